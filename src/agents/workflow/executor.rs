//! What takes a run through its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::definition::{Binding, ForEach, ITEMS, Parameter, STEPS, Step, Test, Work as StepWork};
use super::state::{Next, States, StepState, together};
use super::steps::{self, Given};
use super::value::{Place, Source, Type, Value, Values};
use super::{BEGUN, Content, ENDED, ITEM, ORDERED, Plan, RETRIED, Tried, lock, save};
use crate::access::Action;
use crate::agents::agent::{Kit, Order, Product};
use crate::agents::instagram::machine::State as PublicationState;
use crate::agents::instagram::{self, Asked as Ordered};
use crate::agents::store;
use crate::db::{Changes, ReadTx, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{WebhookEndpointId, WireId as _};
use crate::jobs::worker::{Work, back_off};
use crate::jobs::{self, AgentKind, Attempted, Engine, Event, Failure, Finished, Part, Run, Status, Until};
use crate::providers::Wanted;
use crate::usage::{self, Amounts};
use crate::webhooks::Message;
use crate::{assets, id};

/// What works on runs of workflows.
pub struct RunWorkflow {
    kit: Kit,
}

impl RunWorkflow {
    /// With this kit.
    pub const fn new(kit: Kit) -> Self {
        Self { kit }
    }
}

impl Work for RunWorkflow {
    fn kind(&self) -> &'static str {
        super::JOB
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.work(run).boxed()
    }
}

/// What has come of a step.
enum Done {
    Made(Box<Product>),
    Decided(bool),
    /// Another server was told.
    Told,
    /// A publication is on its way, and is waited for.
    Ordered(Box<Ordered>),
    /// It has ended: where it stands then.
    Published(PublicationState),
    Failed(Fault),
}

/// An attempt at a step, or at one item of its list.
struct Attempt<'a> {
    step: &'a Step,
    /// Its place in the definition.
    at: usize,
    item: Option<Item>,
    number: i32,
    since: DateTime<Utc>,
}

/// One item of the list that a step works for.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its place, from 0.
    at: usize,
    /// How many there are.
    of: usize,
    /// The item; nothing where it has been worked on already.
    value: Option<Value>,
}

impl Attempt<'_> {
    /// The place of its item and how many there are.
    fn place(&self) -> Option<(usize, usize)> {
        self.item.as_ref().map(|item| (item.at, item.of))
    }

    /// What the job's events keep of it: its number, and that of its item, from 1.
    fn data(&self) -> serde_json::Value {
        let mut data = json!({"step": self.step.key, "attempt": self.number});
        if let Some((at, of)) = self.place() {
            data["item"] = json!(at + 1);
            data["items"] = json!(of);
        }
        data
    }

    /// What it is called in a sentence.
    fn name(&self) -> String {
        match self.place() {
            Some((at, of)) => format!("item {} of {of} of the step `{}`", at + 1, self.step.key),
            None => format!("the step `{}`", self.step.key),
        }
    }

    /// The same at the beginning of one.
    fn title(&self) -> String {
        let name = self.name();
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

/// What a step has given.
#[derive(Debug, Default)]
pub(super) struct Gave {
    /// All of it.
    all: Values,
    /// By item of the list that it has worked for; empty when it has worked once.
    each: Vec<Values>,
}

impl RunWorkflow {
    async fn work(&self, run: &Run) -> Result<Attempted, Failure> {
        let plan: Plan = {
            let mut tx = run.read(Action::AgentRun).await?;
            jobs::input(&mut tx, run.job()).await?
        };
        loop {
            let (mut states, events) = {
                let mut tx = run.read(Action::AgentRun).await?;
                read(&mut tx, run, &plan).await?
            };
            run.release().await;
            let ended = match states.settle(&plan.definition, steps::signature, Utc::now()) {
                Next::Step(at) => self.step(run, &plan, &states, at, &events).await?,
                Next::Ordered(until) => follow(run, &plan, &states, &events, until).await?,
                Next::Time(_) | Next::Approval => wait(run, &plan).await?,
                Next::Over => Some(finish(run, &plan).await?),
            };
            if let Some(attempted) = ended {
                return Ok(attempted);
            }
        }
    }

    /// Takes one step. Gives how the attempt at the job ends, when it does.
    async fn step(
        &self,
        run: &Run,
        plan: &Plan,
        states: &States,
        at: usize,
        events: &[Event],
    ) -> Result<Option<Attempted>, Failure> {
        let missing = || Error::internal(anyhow::anyhow!("a run has a step that its workflow has not"));
        let step = plan.definition.steps.get(at).ok_or_else(missing)?;
        let item = match step.each() {
            Some(each) => Some(item(run, plan, states, step, each).await?),
            None => None,
        };
        let place = states.get(&step.key).and_then(StepState::item);
        let tried = Tried::of(events, &step.key, place);
        let (number, since) = (tried.begun + 1, tried.since.unwrap_or_else(Utc::now));
        let (item, failed) = match item.transpose() {
            Ok(item) => (item, None),
            Err(fault) => (None, Some(fault)),
        };
        let attempt = Attempt { step, at, item, number, since };
        if let Some(fault) = failed {
            keep(run, plan, &attempt, Done::Failed(fault)).await?;
            return Ok(None);
        }
        let what = match step.agent() {
            Some(agent) => format!("{} begins: {}.", attempt.title(), agent.as_str()),
            None => format!("{} begins.", attempt.title()),
        };
        run.note(Some(states.progress()), BEGUN, Some(&what), Some(&attempt.data())).await?;
        let (done, parts) = (states.progress(), states.steps.len() * attempt.place().map_or(1, |(_, of)| of));
        #[expect(clippy::cast_precision_loss, reason = "there are at most 30 steps of ten items")]
        run.begin_part(done, done + 1.0 / parts.max(1) as f32);
        let longest = Duration::from_secs(step.timeout_seconds.into());
        let outcome = timeout(longest, self.attempt(run, plan, states, &attempt)).await;
        run.release().await;
        let done = match outcome {
            Ok(Ok(done)) => done,
            Ok(Err(Failure::Fail(fault))) => Done::Failed(*fault),
            Ok(Err(Failure::Retry(fault, asked))) => {
                if let Some(waits) = retry(run, &attempt, tried, &fault, asked).await? {
                    return Ok(Some(waits));
                }
                Done::Failed(*fault)
            }
            Err(_) => {
                let message = format!(
                    "The step took longer than {} seconds. Give it more with `timeoutSeconds`, or less to do.",
                    step.timeout_seconds
                );
                let fault = Fault::new(FaultCode::Conflict, message);
                if let Some(waits) = retry(run, &attempt, tried, &fault, None).await? {
                    return Ok(Some(waits));
                }
                Done::Failed(fault)
            }
        };
        let orders = matches!(done, Done::Ordered(_));
        match keep(run, plan, &attempt, done).await {
            // What cannot be ordered, the step fails of; and others may have taken the room while it worked.
            Err(Failure::Fail(fault)) if orders || fault.code == FaultCode::QuotaExceeded => {
                keep(run, plan, &attempt, Done::Failed(*fault)).await?;
            }
            kept => kept?,
        }
        Ok(None)
    }

    async fn attempt(
        &self,
        run: &Run,
        plan: &Plan,
        states: &States,
        attempt: &Attempt<'_>,
    ) -> Result<Done, Failure> {
        let step = attempt.step;
        match &step.work {
            StepWork::Condition { of, test } => {
                let mut tx = run.read(Action::ContentRead).await?;
                let given = results(&mut tx, states, step).await?;
                Ok(Done::Decided(decide(plan, &given, of, test)))
            }
            StepWork::Webhook { endpoint, inputs } => {
                self.tell(run, plan, states, attempt, (*endpoint, inputs)).await
            }
            StepWork::Agent { agent: AgentKind::InstagramPoster, inputs, .. } => {
                publish(run, plan, states, attempt, inputs).await
            }
            StepWork::Agent { agent, inputs, .. } => {
                let unknown = || {
                    let message = "This server does not know the agent of this step.";
                    Failure::fail(Fault::new(FaultCode::Conflict, message))
                };
                let known = steps::find(*agent).ok_or_else(unknown)?;
                let wanted = plan.engines.get(&step.key);
                let (given, tools) = {
                    let mut tx = run.read(Action::AgentRun).await?;
                    let given = results(&mut tx, states, step).await?;
                    let values = bind(plan, &given, attempt.item.as_ref(), known.signature().takes, inputs)?;
                    for parameter in known.signature().takes {
                        if parameter.kind == Type::Assets {
                            let files = values.assets(parameter.name);
                            assets::require(&mut tx, plan.project, parameter.name, &files).await?;
                        }
                    }
                    let given = Given { values, language: plan.language, began: states.began };
                    usage::require_room(&mut tx, known.most(&given)?).await?;
                    let tools = self.kit.tools(&mut tx, wanted.and_then(Wanted::own)).await?;
                    (given, tools)
                };
                run.release().await;
                let order = Order {
                    project: plan.project,
                    engine: wanted.cloned(),
                    seed: plan.seed.wrapping_add(own_seed(attempt)),
                    is_seeded: plan.is_seeded,
                    input: given,
                };
                Ok(Done::Made(Box::new(known.make(&tools, run, order).await?)))
            }
            StepWork::Approval { .. } | StepWork::Delay { .. } => {
                Err(Error::internal(anyhow::anyhow!("a step that waits was begun")).into())
            }
        }
    }
}

impl RunWorkflow {
    /// Tells another server, by Standard Webhooks. However often it is tried, it is the same message.
    async fn tell(
        &self,
        run: &Run,
        plan: &Plan,
        states: &States,
        attempt: &Attempt<'_>,
        (endpoint, inputs): (WebhookEndpointId, &BTreeMap<String, Binding>),
    ) -> Result<Done, Failure> {
        let key = &attempt.step.key;
        // When it could be told, which no attempt changes: what comes before it had ended.
        let before = attempt.step.after.iter().filter_map(|key| states.get(key)?.finished_at);
        let since = before.max().unwrap_or(states.began);
        let (opened, told) = {
            let mut tx = run.read(Action::AgentRun).await?;
            let given = results(&mut tx, states, attempt.step).await?;
            let told: BTreeMap<&String, serde_json::Value> = inputs
                .iter()
                .filter_map(|(name, binding)| {
                    let value = match binding {
                        Binding::Is(value) => Some(value.clone()),
                        Binding::From(source) => value(plan, &given, None, source),
                    };
                    Some((name, value?.json()))
                })
                .collect();
            (self.kit.webhooks.opened(&mut tx, endpoint).await?, told)
        };
        run.release().await;
        let Some(opened) = opened else {
            let message = "The webhook endpoint of this step was deleted.";
            return Err(Failure::fail(Fault::new(FaultCode::NotFound, message)));
        };
        let body = json!({
            "type": "workflow.step",
            "timestamp": since,
            "data": {
                "organization": run.organization(), "project": plan.project, "run": plan.run, "template": plan.template,
                "step": key, "values": told,
            },
        });
        let message = Message { id: format!("{}_{key}", plan.run), body: body.to_string().into() };
        self.kit.webhooks.send(&opened, &message).await?;
        Ok(Done::Told)
    }
}

/// What tells a step's seed from the other steps', and an item's from the other items'. Whose seed is the same is given the same
/// file for the same request.
fn own_seed(attempt: &Attempt<'_>) -> u64 {
    let item = attempt.item.as_ref().map_or(0, |item| item.at);
    u64::try_from(attempt.at + item * STEPS).unwrap_or_default()
}

/// The item that a step is at, or the fault that there is none, or that there are too many.
async fn item(
    run: &Run,
    plan: &Plan,
    states: &States,
    step: &Step,
    ForEach { list, at_most }: &ForEach,
) -> Result<Result<Item, Fault>, Failure> {
    let given = {
        let mut tx = run.read(Action::AgentRun).await?;
        results(&mut tx, states, step).await
    };
    run.release().await;
    let given = match given {
        Err(Failure::Fail(fault)) => return Ok(Err(*fault)),
        given => given?,
    };
    let refuse = |code, message: String| Ok(Err(Fault::new(code, message)));
    let Some(Value::Texts(mut items)) = value(plan, &given, None, list) else {
        let message = format!("There is nothing to work for: `{list}` is empty.");
        return refuse(FaultCode::InsufficientInput, message);
    };
    let most = usize::try_from(at_most.unwrap_or(ITEMS)).unwrap_or(usize::MAX);
    if at_most.is_some() {
        items.truncate(most);
    }
    let of = items.len();
    if of > most {
        let message = format!(
            "`{list}` has {of} items, and a step works for {ITEMS} at the most. Give the step `{}` a `forEachAtMost`, or make the list shorter.",
            step.key
        );
        return refuse(FaultCode::TooLong, message);
    }
    let begun = states.get(&step.key).and_then(|state| state.items.as_ref());
    let at = begun.map_or(0, |items| items.done.len());
    if begun.and_then(|items| items.count).is_some_and(|count| count != of) || at >= of {
        let message = format!(
            "`{list}` has {of} items now, and had others when the step began. Run again from the step `{}`.",
            step.key
        );
        return refuse(FaultCode::Conflict, message);
    }
    Ok(Ok(Item { at, of, value: Some(Value::Text(items.swap_remove(at))) }))
}

/// Has something published: by a job of its own, which the run waits for.
async fn publish(
    run: &Run,
    plan: &Plan,
    states: &States,
    attempt: &Attempt<'_>,
    inputs: &BTreeMap<String, Binding>,
) -> Result<Done, Failure> {
    let asked = {
        let mut tx = run.read(Action::AgentRun).await?;
        let given = results(&mut tx, states, attempt.step).await?;
        steps::publication(&bind(plan, &given, attempt.item.as_ref(), steps::PUBLISH.takes, inputs)?)?
    };
    run.release().await;
    Ok(Done::Ordered(Box::new(asked)))
}

/// Says what has come of what steps have ordered, or waits for it: not beyond a time at which another step goes on.
async fn follow(
    run: &Run,
    plan: &Plan,
    states: &States,
    events: &[Event],
    until: Option<DateTime<Utc>>,
) -> Result<Option<Attempted>, Failure> {
    let mut open = Vec::new();
    let mut since = None;
    for (at, (step, state)) in plan.definition.steps.iter().zip(&states.steps).enumerate() {
        let Some(id) = state.output.filter(|_| state.has_ordered()) else { continue };
        let found = {
            let mut tx = run.read(Action::AgentRun).await?;
            instagram::find(&mut tx, id).await?
        };
        run.release().await;
        let tried = Tried::of(events, &step.key, state.item());
        let begun = tried.since.unwrap_or_else(Utc::now);
        let count = state.items.as_ref().and_then(|items| items.count);
        let item = state.item().zip(count).map(|(at, of)| Item { at, of, value: None });
        let done = match found {
            None => Done::Failed(Fault::new(FaultCode::NotFound, "What it published was deleted.")),
            Some(publication) if !publication.state.is_final() => {
                open.push(step.key.as_str());
                since = since.max(Some(begun));
                continue;
            }
            Some(publication) => match publication.state {
                PublicationState::Failed | PublicationState::Expired => {
                    Done::Failed(instagram::fault(&publication))
                }
                reached => Done::Published(reached),
            },
        };
        keep(run, plan, &Attempt { step, at, item, number: tried.begun, since: begun }, done).await?;
        return Ok(None);
    }
    let Some(since) = since else { return Ok(None) };
    let now = Utc::now();
    // The longer the youngest of them takes, the longer it is waited.
    let waited = (now - since).to_std().unwrap_or_default();
    let after = waited.clamp(Duration::from_secs(1), Duration::from_secs(60));
    let rest = until.map(|until| (until - now).to_std().unwrap_or_default());
    let why = format!("The publication of the step `{}` is waited for.", open.join("`, `"));
    Ok(Some(Attempted::Waits { after: rest.map_or(after, |rest| rest.min(after)), why }))
}

/// Where the steps stand, and what the job's events say about them.
async fn read(tx: &mut ReadTx<'_>, run: &Run, plan: &Plan) -> Result<(States, Vec<Event>), Failure> {
    let mut found = store::find_many(tx, &[plan.run.uuid()]).await?;
    let content = found.pop().and_then(|output| output.content).ok_or_else(deleted)?;
    let content: Content = serde_json::from_value(content).map_err(Error::internal)?;
    let events = jobs::events_of(tx, run.job(), &[BEGUN, RETRIED]).await?;
    Ok((content.states, events))
}

fn deleted() -> Failure {
    Failure::fail(Fault::new(FaultCode::NotFound, "The run was deleted."))
}

/// What the steps have made that this one uses, by step.
async fn results(
    tx: &mut ReadTx<'_>,
    states: &States,
    step: &Step,
) -> Result<BTreeMap<String, Gave>, Failure> {
    let keys: BTreeSet<&str> = step.sources().into_iter().filter_map(Source::step).collect();
    let used: Vec<&StepState> = keys.iter().filter_map(|key| states.get(key)).collect();
    let ids: Vec<Uuid> = used.iter().flat_map(|state| state.outputs()).collect();
    let mut found = BTreeMap::new();
    if !ids.is_empty() {
        found.extend(store::find_many(tx, &ids).await?.into_iter().map(|output| (output.id, output)));
    }
    let mut results = BTreeMap::new();
    for state in used {
        let mut each = Vec::new();
        for id in state.outputs() {
            let Some(output) = found.remove(&id) else {
                let message = format!(
                    "What the step `{}` left behind was deleted. Run again from that step.",
                    state.key
                );
                return Err(Failure::fail(Fault::new(FaultCode::NotFound, message)));
            };
            each.extend(steps::gives(output)?);
        }
        let gave = match state.items {
            Some(_) => Gave { all: Values::together(&each), each },
            None => match each.pop() {
                Some(all) => Gave { all, each: Vec::new() },
                None => continue,
            },
        };
        results.insert(state.key.clone(), gave);
    }
    Ok(results)
}

/// What stands at the place of an item in a list, going round in one that is shorter.
fn beside<'a, T>(list: &'a [T], item: Option<&Item>) -> Option<&'a T> {
    list.get(item?.at.checked_rem(list.len())?)
}

/// The value of a source, for a step that may be at an item of its list; none when there is nothing there.
pub(super) fn value(
    plan: &Plan,
    results: &BTreeMap<String, Gave>,
    item: Option<&Item>,
    source: &Source,
) -> Option<Value> {
    let one = |list: &Value| match list {
        Value::Texts(texts) => beside(texts, item).cloned().map(Value::Text),
        _ => None,
    };
    let found = match source {
        Source::Item => item?.value.clone(),
        Source::ItemNumber => i64::try_from(item?.at + 1).ok().map(Value::Number),
        Source::Brief => Some(Value::Text(plan.brief.clone())),
        Source::BriefSentences => Some(Value::Texts(steps::sentences(&plan.brief))),
        Source::Period => plan.period.map(|period| Value::Text(period.to_string())),
        Source::Language => {
            let code = serde_json::to_value(plan.language).ok()?;
            Some(Value::Text(code.as_str()?.to_owned()))
        }
        Source::Option(name) => plan.options.get(name).cloned(),
        Source::OptionItem(name) => one(plan.options.get(name)?),
        Source::Step { key, field, place } => {
            let gave = results.get(key)?;
            match place {
                None => gave.all.get(field).cloned(),
                Some(Place::At(index)) => match gave.all.get(field)? {
                    Value::Texts(texts) => texts.get(*index).cloned().map(Value::Text),
                    _ => None,
                },
                Some(Place::Item) if gave.each.is_empty() => one(gave.all.get(field)?),
                // Whatever it has given for the item at this place.
                Some(Place::Item) => beside(&gave.each, item)?.get(field).cloned(),
            }
        }
    };
    found.filter(Value::is_there)
}

fn decide(plan: &Plan, results: &BTreeMap<String, Gave>, of: &Source, test: &Test) -> bool {
    test.holds(value(plan, results, None, of).as_ref())
}

/// The values of an agent's parameters.
fn bind(
    plan: &Plan,
    results: &BTreeMap<String, Gave>,
    item: Option<&Item>,
    takes: &[Parameter],
    inputs: &BTreeMap<String, Binding>,
) -> Result<Values, Failure> {
    let mut values = Values::default();
    for parameter in takes {
        let (found, from) = match inputs.get(parameter.name) {
            None => continue,
            Some(Binding::Is(value)) => (Some(value.clone()).filter(Value::is_there), None),
            Some(Binding::From(source)) => (value(plan, results, item, source), Some(source)),
        };
        let Some(found) = found else {
            if !parameter.required {
                continue;
            }
            let from = from.map(|source| format!("`{source}`")).unwrap_or_default();
            let message = format!("There is nothing for `{}`: {from} is empty.", parameter.name);
            return Err(Failure::fail(Fault::new(FaultCode::InsufficientInput, message)));
        };
        let taken = parameter.kind.take(found).ok_or_else(|| {
            let message =
                format!("`{}` is {}, and what it is given is not.", parameter.name, parameter.kind.name());
            Failure::fail(Fault::new(FaultCode::Invalid, message))
        })?;
        values.put(parameter.name, taken);
    }
    Ok(values)
}

/// Lets the job wait before a step is tried again, while it may be.
async fn retry(
    run: &Run,
    attempt: &Attempt<'_>,
    tried: Tried,
    fault: &Fault,
    asked: Option<Duration>,
) -> Result<Option<Attempted>, Failure> {
    if tried.retried >= attempt.step.retries {
        return Ok(None);
    }
    run.note(None, RETRIED, Some(&fault.message), Some(&attempt.data())).await?;
    let after = back_off(i32::try_from(tried.retried + 1).unwrap_or(i32::MAX), asked);
    let why = format!("{} is tried again: {}", attempt.title(), fault.message);
    Ok(Some(Attempted::Waits { after, why }))
}

/// Saves what has come of a step, with where the run stands then: both are kept, or neither.
async fn keep(run: &Run, plan: &Plan, attempt: &Attempt<'_>, done: Done) -> Result<(), Failure> {
    let Attempt { step, number, since, .. } = attempt;
    let (item, name) = (attempt.place(), attempt.name());
    let of = item.map(|(_, of)| of);
    let action = match done {
        Done::Made(_) => Action::OutputCreate,
        Done::Ordered(_) => Action::PublicationCreate,
        _ => Action::WorkflowAdvance,
    };
    let mut tx = run.write(Some(plan.project), action).await?;
    let mut content = lock(&mut tx, plan.run.uuid()).await.map_err(gone)?;
    let state = content.states.get_mut(&step.key).ok_or(Error::NotFound)?;
    state.attempts = state.attempts_done().saturating_add(*number);
    state.started_at = state.started_at.or(Some(*since));
    let mut data = attempt.data();
    let mut used = Amounts::default();
    let (kind, message, record) = match done {
        Done::Made(product) => {
            let place = Some((step.key.as_str(), item.map(|(at, _)| at + 1)));
            let (output, record) = product.save(&mut tx, run.job(), place).await?;
            used = product.used;
            state.leave(output, of, *number, Some(product.engine));
            (ENDED[0], format!("{} is done.", attempt.title()), record)
        }
        Done::Told => {
            state.status = Status::Succeeded;
            let record = noted(plan, &json!({"step": step.key, "status": Status::Succeeded}));
            (ENDED[0], format!("The webhook of the step `{}` was received.", step.key), record)
        }
        Done::Ordered(asked) => {
            // It has not ended, and is looked at again.
            let (id, publication) =
                instagram::order(&mut tx, plan.project, *asked, None).await?.1.ok_or(Error::NotFound)?;
            state.output = Some(id.uuid());
            if let Some(items) = &mut state.items {
                items.count = of;
            }
            let message = format!("{} has ordered its publication.", attempt.title());
            (ORDERED, message, instagram::recorded(id, plan.project, &publication))
        }
        Done::Published(reached) => {
            let ordered = state.output.take().ok_or(Error::NotFound)?;
            state.leave(ordered, of, *number, None);
            data["state"] = json!(reached);
            let mut changes = json!({"step": step.key, "status": Status::Succeeded, "state": reached});
            if let Some((at, _)) = item {
                changes["item"] = json!(at + 1);
            }
            let record = noted(plan, &changes);
            let message = if reached == PublicationState::ReadyNotConnected {
                let why = "No account is connected, so nothing was published: it is READY_NOT_CONNECTED. Connect one with `accountConnect`, and run again from this step.";
                state.message = Some(why.to_owned());
                why.to_owned()
            } else {
                format!("What {name} has ordered is public.")
            };
            (ENDED[0], message, record)
        }
        Done::Decided(holds) => {
            state.status = Status::Succeeded;
            state.holds = Some(holds);
            data["holds"] = holds.into();
            let said = if holds { "holds" } else { "does not hold" };
            let record = noted(plan, &json!({"step": step.key, "holds": holds}));
            (ENDED[0], format!("The condition `{}` {said}.", step.key), record)
        }
        Done::Failed(fault) => {
            state.status = Status::Failed;
            let record =
                noted(plan, &json!({"step": step.key, "status": Status::Failed, "error": fault.code}));
            let message = fault.message.clone();
            // Where in an input it lies, nobody has written.
            state.error = Some(Fault { field: None, ..fault });
            (ENDED[1], message, record)
        }
    };
    let kind = if state.status.is_final() {
        state.finished_at = Some(Utc::now());
        kind
    } else {
        // There is another item to work for, or what is ordered is waited for.
        if kind == ENDED[0] { ITEM } else { kind }
    };
    content.states.settle(&plan.definition, steps::signature, Utc::now());
    save(&mut tx, plan.run.uuid(), &content).await?;
    let progress = content.states.progress();
    // What a step that failed did not take is given back with the rest, when the run ends.
    let reserved = if used == Amounts::default() { used } else { plan.settled(step, item) };
    let part = Part { progress, kind, message: &message, data, used, reserved };
    Ok(run.keep(tx, part, record).await?)
}

fn gone(error: Error) -> Failure {
    match error {
        Error::NotFound => deleted(),
        other => other.into(),
    }
}

/// What the audit log says of a run that has moved on.
fn noted(plan: &Plan, changes: &serde_json::Value) -> Record {
    let target = Target::output(id::WorkflowRunId::KIND, plan.run.to_string()).within(Some(plan.project));
    Record::with(target, Changes::made(changes))
}

/// Lets the job wait, unless there is something to do by now.
async fn wait(run: &Run, plan: &Plan) -> Result<Option<Attempted>, Failure> {
    let mut tx = run.write(Some(plan.project), Action::WorkflowAdvance).await?;
    let mut content = lock(&mut tx, plan.run.uuid()).await.map_err(gone)?;
    let until = match content.states.settle(&plan.definition, steps::signature, Utc::now()) {
        Next::Time(time) => Until::Time(time),
        Next::Approval => Until::Approval,
        Next::Step(_) | Next::Ordered(_) | Next::Over => return Ok(None),
    };
    let waiting = content.states.steps.iter().filter(|state| match until {
        Until::Time(time) => state.until == Some(time) && !state.status.is_final(),
        Until::Approval => state.status == Status::AwaitingApproval,
    });
    let keys: Vec<String> = waiting.map(|state| state.key.clone()).collect();
    let why = match until {
        Until::Time(time) => format!("The step `{}` waits until {}.", keys.join("`, `"), time.to_rfc3339()),
        Until::Approval => format!("The step `{}` waits for somebody's approval.", keys.join("`, `")),
    };
    save(&mut tx, plan.run.uuid(), &content).await?;
    let record = noted(plan, &json!({"waitsIn": keys}));
    Ok(Some(run.park(tx, until, &why, record).await?))
}

/// Ends the job: with the run, or with what the first step that failed has failed of.
async fn finish(run: &Run, plan: &Plan) -> Result<Attempted, Failure> {
    let mut tx = run.write(Some(plan.project), Action::WorkflowAdvance).await?;
    let mut content = lock(&mut tx, plan.run.uuid()).await.map_err(gone)?;
    content.states.settle(&plan.definition, steps::signature, Utc::now());
    if let Some(state) = content.states.failed() {
        let usual = || Fault::new(FaultCode::Conflict, "It came to nothing.");
        let fault = state.error.clone().unwrap_or_else(usual);
        let message = format!("The step `{}` failed. {}", state.key, fault.message);
        return Err(Failure::fail(Fault { message, ..fault }));
    }
    save(&mut tx, plan.run.uuid(), &content).await?;
    let ran = content.states.steps.iter().filter(|state| state.status == Status::Succeeded).count();
    let record = noted(plan, &json!({"status": Status::Succeeded, "steps": ran}));
    let engine = engine(&content.states);
    let finished = Finished { result: Some(plan.run.uuid()), engine, used: Amounts::RUN };
    Ok(run.succeed(tx, &finished, record).await?)
}

/// The engine of the whole run: the one of its steps that is not built in, with what they needed together.
fn engine(states: &States) -> Option<Engine> {
    // What a rerun has kept was paid for by the run that it takes up.
    let own = |state: &&StepState| state.finished_at.is_some_and(|at| at >= states.began);
    together(states.steps.iter().filter(own).filter_map(|state| state.engine.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::workflow::tests::{compose, of};
    use crate::id::{ProjectId, WorkflowRunId};
    use crate::retrieval::Language;

    fn plan() -> Plan {
        Plan {
            run: WorkflowRunId::generate(),
            project: ProjectId::generate(),
            template: "t".into(),
            definition: of(vec![compose("a", &[], "brief")]),
            brief: "First. Second.".into(),
            period: None,
            language: Language::English,
            options: BTreeMap::from([("mood".to_owned(), Value::Text(String::new()))]),
            engines: BTreeMap::new(),
            seed: 1,
            is_seeded: false,
        }
    }

    #[test]
    fn values_come_from_the_run_and_from_earlier_steps() {
        let mut made = Values::default();
        made.put("texts", Value::Texts(vec!["x".into(), "y".into()]));
        let results = BTreeMap::from([("lines".to_owned(), Gave { all: made, each: Vec::new() })]);
        let read = |source: &str| value(&plan(), &results, None, &source.parse().unwrap());
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        assert_eq!(read("brief"), text("First. Second."));
        assert_eq!(read("brief.sentences"), Some(Value::Texts(vec!["First.".into(), "Second.".into()])));
        assert_eq!(read("language"), text("EN"));
        assert_eq!(read("steps.lines.texts.1"), text("y"));
        for nothing in [
            "period",
            "options.mood",
            "options.other",
            "steps.lines.texts.2",
            "steps.b.text",
            "item",
            "item.number",
            "steps.lines.texts.item",
        ] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_item_stands_beside_those_of_other_lists() {
        let texts = |list: &[&str]| Value::Texts(list.iter().map(|text| (*text).to_owned()).collect());
        let gave = |text: &str, slides: &[&str]| {
            let mut values = Values::default();
            values.put("text", Value::Text(text.to_owned()));
            values.put("assets", texts(slides));
            values
        };
        let mut pictures = Values::default();
        pictures.put("assets", texts(&["p", "q"]));
        let each = vec![gave("first", &["a", "b"]), gave("second", &["c"])];
        let results = BTreeMap::from([
            ("pictures".to_owned(), Gave { all: pictures, each: Vec::new() }),
            ("posts".to_owned(), Gave { all: Values::together(&each), each }),
        ]);
        let read = |at: usize, source: &str| {
            let item = Item { at, of: 3, value: Some(Value::Text(format!("item {at}"))) };
            let mut plan = plan();
            plan.options.insert("tones".into(), texts(&["calm", "loud"]));
            value(&plan, &results, Some(&item), &source.parse().unwrap())
        };
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        assert_eq!((read(2, "item"), read(2, "item.number")), (text("item 2"), Some(Value::Number(3))));
        // Shorter lists go round.
        let beside = |source: &str| [0, 1, 2].map(|at| read(at, source));
        assert_eq!(beside("options.tones.item"), [text("calm"), text("loud"), text("calm")]);
        assert_eq!(beside("steps.pictures.assets.item"), [text("p"), text("q"), text("p")]);
        // What has worked for each has given all that it has for the item at the same place.
        assert_eq!(
            beside("steps.posts.assets.item"),
            [Some(texts(&["a", "b"])), Some(texts(&["c"])), Some(texts(&["a", "b"]))]
        );
        assert_eq!(read(1, "steps.posts.text.item"), text("second"));
        assert_eq!(read(1, "steps.posts.assets"), Some(texts(&["a", "b", "c"])));
        assert_eq!(read(0, "steps.posts.text.1"), text("second"));
        assert_eq!(read(0, "options.mood.item"), None, "what is no list has no items");
    }

    #[test]
    fn what_is_reserved_for_items_is_given_back_with_the_last() {
        let mut plan = plan();
        let step = |at_most, list: &str| {
            let step = compose("a", &[], "item");
            crate::agents::workflow::tests::each(step, list, at_most)
        };
        // The brief has two sentences.
        assert_eq!(plan.times(&step(None, "brief.sentences")), 2);
        assert_eq!(plan.times(&step(Some(1), "brief.sentences")), 1);
        assert_eq!(plan.times(&step(None, "options.nothing")), 0);
        let unknown = step(Some(7), "steps.b.texts");
        assert_eq!(plan.times(&unknown), 7);
        let runs = |item| plan.settled(&unknown, Some(item)).agent_runs;
        assert_eq!([(0, 3), (1, 3), (2, 3)].map(runs), [1, 1, 5], "seven in all, however many there are");
        assert_eq!([(6, 7), (7, 8), (8, 9)].map(runs), [1, 0, 0], "and never more");
        // As many as the step before it makes at the most, by what is known of it.
        let write = |count: Binding| {
            let inputs = [("goals", Binding::From(Source::Brief)), ("count", count)];
            let work = crate::agents::workflow::tests::agent(AgentKind::Affirmations, &inputs);
            crate::agents::workflow::tests::step("b", &[], work)
        };
        plan.options.insert("count".into(), Value::Number(4));
        for (count, times) in [
            (Binding::Is(Value::Number(3)), 3),
            (Binding::From("options.count".parse().unwrap()), 4),
            (Binding::From("steps.c.count".parse().unwrap()), 7),
        ] {
            plan.definition = of(vec![write(count), unknown.clone()]);
            assert_eq!(plan.times(&unknown), times);
        }
    }

    #[test]
    fn what_an_agent_needs_and_is_not_there_is_said() {
        let takes = [Parameter::required("goals", Type::Texts), Parameter::optional("tone", Type::Text)];
        let from = |name: &str, source: &str| (name.to_owned(), Binding::From(source.parse().unwrap()));
        let inputs = BTreeMap::from([from("goals", "brief"), from("tone", "options.mood")]);
        let values = bind(&plan(), &BTreeMap::new(), None, &takes, &inputs).unwrap();
        assert_eq!((values.texts("goals"), values.text("tone")), (vec!["First. Second.".to_owned()], None));
        let inputs = BTreeMap::from([from("goals", "steps.lines.texts")]);
        let failure = bind(&plan(), &BTreeMap::new(), None, &takes, &inputs).unwrap_err();
        assert_eq!(failure.fault().code, FaultCode::InsufficientInput);
        assert!(failure.fault().message.contains("`steps.lines.texts` is empty"));
    }

    #[test]
    fn the_engine_of_a_run_is_that_of_its_steps() {
        let model = |provider: &str, model: &str, cost| Engine {
            provider: provider.to_owned(),
            model: Some(model.to_owned()),
            prompt_tokens: Some(10),
            completion_tokens: Some(1),
            cost_micro_usd: cost,
        };
        let run = |engines: &[Engine]| {
            let definition =
                of((0..engines.len()).map(|at| compose(&format!("s{at}"), &[], "brief")).collect());
            let mut states = States::new(&definition, Utc::now());
            for (state, engine) in states.steps.iter_mut().zip(engines) {
                state.engine = Some(engine.clone());
                state.finished_at = Some(states.began);
            }
            engine(&states)
        };
        assert_eq!(run(&[]), None);
        assert_eq!(run(&[Engine::builtin(), Engine::builtin()]), Some(Engine::builtin()));
        let together =
            run(&[model("openai", "m", Some(2)), Engine::builtin(), model("openai", "m", Some(3))]).unwrap();
        assert_eq!(
            (together.model.as_deref(), together.prompt_tokens, together.cost_micro_usd),
            (Some("m"), Some(20), Some(5))
        );
        let mixed = run(&[model("openai", "m", Some(2)), model("anthropic", "n", None)]).unwrap();
        assert_eq!((mixed.provider.as_str(), mixed.model, mixed.cost_micro_usd), ("several", None, None));
    }
}
