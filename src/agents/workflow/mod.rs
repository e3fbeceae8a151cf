//! The agent that has other agents work, in an order, with conditions, delays and approvals between them.
//!
//! A run is one job and one output, which is there from the beginning and says where each step stands. [`executor`] takes it
//! through its steps; whatever is interrupted, a step's result and its state are saved in one transaction, so that a step that
//! has ended never runs again and one that has not does. [`state`] says what is next, [`definition`] what may be written.

pub mod definition;
pub mod executor;
pub mod graphql;
pub mod state;
pub mod steps;
pub mod templates;
#[cfg(test)]
mod tests;
pub mod value;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use self::definition::{Binding, Definition, ForEach, Step, StepKind, Work};
use self::state::States;
use self::steps::{Inputs, Share};
use self::value::{Source, Type, Value};
use super::agent;
use super::{Output, instagram, store};
use crate::db::{ReadTx, WriteTx};
use crate::engine::{self, Prices};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::events::Topic;
use crate::id::{JobId, PeriodId, ProjectId, PublicationId, WorkflowRunId};
use crate::jobs::{self, AgentKind, Event, NewJob, Status};
use crate::providers::{self, Providers, Wanted};
use crate::retrieval::Language;
use crate::usage::Amounts;
use crate::{idempotency, input, projects};

/// The kind of a run's job.
pub const JOB: &str = "workflow.run";
/// Characters of a brief at the most.
const BRIEF: usize = super::posts::BRIEF_CHARACTERS;
/// Characters of what an approver says.
const COMMENT: usize = 2_000;

/// What somebody asks to be run.
#[derive(Debug)]
pub struct Asked {
    /// In which project.
    pub project: ProjectId,
    /// The template.
    pub template: String,
    /// What it is about.
    pub brief: String,
    /// The period that it is for.
    pub period: Option<PeriodId>,
    /// The language.
    pub language: Language,
    /// Values of the template's variables.
    pub options: BTreeMap<String, Value>,
    /// Another engine for every step.
    pub engine: Option<Wanted>,
    /// The caller's seed.
    pub seed: Option<i32>,
}

/// What a run's job is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The run.
    pub run: WorkflowRunId,
    /// In which project.
    pub project: ProjectId,
    /// The template's key.
    pub template: String,
    /// The workflow, as it was when the run was asked for.
    pub definition: Definition,
    /// What it is about.
    pub brief: String,
    /// The period that it is for.
    pub period: Option<PeriodId>,
    /// The language.
    pub language: Language,
    /// Values of the variables.
    pub options: BTreeMap<String, Value>,
    /// Other engines than the built-in one, by step.
    pub engines: BTreeMap<String, Wanted>,
    /// The same seed, input and data give the same output.
    pub seed: u64,
    /// Whether the caller chose the seed.
    pub is_seeded: bool,
}

/// A run, as its output keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// The template's key.
    pub template: String,
    /// The run that this one takes up.
    pub rerun_of: Option<WorkflowRunId>,
    /// Where its steps stand.
    pub states: States,
}

impl Asked {
    /// Checks what is asked, and makes a plan of it.
    ///
    /// # Errors
    /// A fault at the field.
    pub async fn plan(self, tx: &mut ReadTx<'_>, providers: &Providers) -> Result<Plan> {
        let brief = input::paragraph("brief", Some(&self.brief), BRIEF)?.ok_or_else(|| {
            Error::fault(Fault::at(FaultCode::Required, "brief", "`brief` must not be empty."))
        })?;
        let (template, definition) = templates::resolve(tx, self.project, &self.template).await?;
        let options = definition.options(self.options)?;
        let run = WorkflowRunId::generate();
        // The low half of a version 7 id is random.
        let own = u64::try_from(run.uuid().as_u128() & u128::from(u64::MAX)).unwrap_or_default();
        let mut plan = Plan {
            run,
            project: self.project,
            template,
            definition,
            brief,
            period: self.period,
            language: self.language,
            options,
            engines: BTreeMap::new(),
            seed: self.seed.map_or(own, |seed| u64::from(seed.cast_unsigned())),
            is_seeded: self.seed.is_some(),
        };
        let mut engines = BTreeMap::new();
        for step in &plan.definition.steps {
            // What no model can do, the built-in engine does, whatever the others work with; and publishing needs none.
            let Some(agent) = step.agent() else { continue };
            let place = (Some(self.project), agent);
            let wanted = match plan.share(step) {
                Share::None => continue,
                Share::Text(_) => Wanted::choose(self.engine.clone(), tx, providers, place).await?,
                // A run's engine writes. Who paints and who speaks, the agents' routes say.
                Share::File { suits, .. } => {
                    let wanted = Wanted::choose(None, tx, providers, place).await?;
                    if wanted.as_ref().is_none_or(|wanted| !wanted.fallback) {
                        suits(wanted.as_ref().and_then(|wanted| wanted.kind))
                            .map_err(|error| routeless(error, &step.key, agent))?;
                    }
                    wanted
                }
            };
            if let Some(wanted) = wanted {
                engines.insert(step.key.clone(), wanted);
            }
        }
        plan.engines = engines;
        Ok(plan)
    }
}

/// Nobody makes the file that a step asks for.
fn routeless(error: Error, step: &str, agent: AgentKind) -> Error {
    let Error::Invalid(faults) = error else { return error };
    let faults = faults.into_iter().map(|fault| {
        let message = format!(
            "The step `{step}` asks for a file that a provider makes, which is the one that `engineRouteSet` sets for {}. {}",
            agent.as_str(),
            fault.message
        );
        Fault { message, field: None, ..fault }
    });
    Error::Invalid(faults.collect())
}

impl Plan {
    /// What a step is given, with what the run knows from its beginning in its place; what is as good as nothing is left out.
    fn known(&self, inputs: &Inputs) -> Inputs {
        let settled = |binding: &Binding| match binding {
            Binding::From(source) if source.step().is_none() && !source.is_of_item() => {
                executor::value(self, &BTreeMap::new(), None, source).map(Binding::Is)
            }
            Binding::Is(value) if !value.is_there() => None,
            other => Some(other.clone()),
        };
        inputs.iter().filter_map(|(name, binding)| Some((name.clone(), settled(binding)?))).collect()
    }

    /// What of a step's work a provider's model can do.
    fn share(&self, step: &Step) -> Share {
        let Work::Agent { agent, inputs, .. } = &step.work else { return Share::None };
        steps::find(*agent).map_or(Share::None, |known| known.share(&self.known(inputs)))
    }

    /// How often a step works at the most: once, or for each item of its list.
    fn times(&self, step: &Step) -> u32 {
        let Some(ForEach { list, at_most }) = step.each() else { return 1 };
        let most = at_most.unwrap_or(definition::ITEMS).min(definition::ITEMS);
        self.longest(list).map_or(most, |known| known.min(most))
    }

    /// How long a list is at the most; none when only the run will know.
    fn longest(&self, list: &Source) -> Option<u32> {
        let Source::Step { key, field, place: None } = list else {
            return match executor::value(self, &BTreeMap::new(), None, list) {
                Some(Value::Texts(texts)) => u32::try_from(texts.len()).ok(),
                Some(_) => None,
                None => Some(0),
            };
        };
        let step = self.definition.step(key)?;
        let Work::Agent { agent, inputs, .. } = &step.work else { return None };
        let signature = steps::signature(*agent)?;
        let (_, kind) = signature.gives.iter().find(|(name, _)| name == field)?;
        let once = match kind {
            Type::Text => 1,
            _ => steps::find(*agent)?.longest(field, &self.known(inputs))?,
        };
        Some(once.saturating_mul(self.times(step)))
    }

    /// What the run costs at the most, in millionths of a US dollar, when each step succeeds at once; none when a model's price
    /// is not known. The built-in engine costs nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn price(&self, tx: &mut ReadTx<'_>, prices: &Prices) -> Result<Option<i64>> {
        let mut total = 0_i64;
        for step in &self.definition.steps {
            let Some(wanted) = self.engines.get(&step.key) else { continue };
            let kind = match wanted.own {
                Some(own) => providers::find(tx, own).await?.map(|provider| provider.kind),
                None => engine::Provider::parse(&wanted.provider),
            };
            let model = wanted.model.as_deref().unwrap_or_default();
            let Some(cost) = kind.and_then(|kind| self.share(step).cost(prices, kind, model)) else {
                return Ok(None);
            };
            let cost = i64::try_from(cost).unwrap_or(i64::MAX).saturating_mul(self.times(step).into());
            total = total.saturating_add(cost);
        }
        Ok(Some(total))
    }

    /// What a run may take: itself, and the agents of the steps that are still to be taken. What these make is known, and
    /// reserved, when their turn comes.
    fn needs(&self, content: &Content) -> Amounts {
        let ahead = |step: &&Step| content.states.get(&step.key).is_none_or(|state| !state.status.is_final());
        let steps = self.definition.steps.iter().filter(ahead);
        steps.fold(Amounts::RUN, |sum, step| sum + self.step_needs(step).times(self.times(step)))
    }

    /// What is reserved from the beginning for a step, or for each item of its list.
    fn step_needs(&self, step: &Step) -> Amounts {
        match step.agent().and_then(steps::find) {
            Some(_) => {
                agent::needs(self.engines.get(&step.key), self.share(step).tokens(), Amounts::default())
            }
            None => Amounts::default(),
        }
    }

    /// What of that a step has no use for any more when it is done, or one item: with the last item, what was reserved for more
    /// of them as well.
    fn settled(&self, step: &Step, item: Option<(usize, usize)>) -> Amounts {
        let needs = self.step_needs(step);
        let Some((at, of)) = item else { return needs };
        let most = self.times(step);
        let from = u32::try_from(at).unwrap_or(u32::MAX).min(most);
        let to = if at + 1 >= of { most } else { from.saturating_add(1).min(most) };
        needs.times(to - from)
    }

    /// What the audit log keeps of a run that begins.
    pub fn logged(&self, rerun: Option<(WorkflowRunId, &str)>) -> serde_json::Value {
        json!({
            "agent": AgentKind::ContentWorkflow.as_str(), "template": self.template, "run": self.run,
            "rerunOf": rerun.map(|(run, _)| run), "fromStep": rerun.map(|(_, step)| step),
        })
    }
}

/// Begins a run: its job and its output, both or neither. Gives the job, and whether it is a new one.
///
/// # Errors
/// `NOT_FOUND` for the project; `IDEMPOTENCY_KEY_REUSED`; `QUOTA_EXCEEDED`.
pub async fn start(
    tx: &mut WriteTx<'_>,
    plan: &Plan,
    content: &Content,
    key: Option<&idempotency::Key>,
) -> Result<(JobId, bool)> {
    let id = JobId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok((earlier.into(), false));
    }
    if projects::find(tx, plan.project).await?.is_none() {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    let (project, run) = (Some(plan.project), plan.run.uuid());
    let agent = AgentKind::ContentWorkflow;
    let input = serde_json::to_value(plan).map_err(Error::internal)?;
    let needs = plan.needs(content);
    let job =
        NewJob { id, kind: JOB, agent: Some(agent), project, input, run_at: None, result: Some(run), needs };
    jobs::enqueue(tx, &job).await?;
    let content = serde_json::to_value(content).map_err(Error::internal)?;
    store::insert(tx, run, agent, (id, None), project, Some(&content)).await?;
    Ok((id, true))
}

impl Content {
    /// A run that begins.
    pub fn new(plan: &Plan) -> Self {
        let states = States::new(&plan.definition, Utc::now());
        Self { template: plan.template.clone(), rerun_of: None, states }
    }
}

/// The run's content, locked until the transaction ends. It is locked before the job is changed, by whoever changes both.
async fn lock(tx: &mut WriteTx<'_>, run: Uuid) -> Result<Content> {
    let stored = store::content(tx, run).await?.ok_or(Error::NotFound)?;
    serde_json::from_value(stored).map_err(Error::internal)
}

async fn save(tx: &mut WriteTx<'_>, run: Uuid, content: &Content) -> Result<()> {
    let content = serde_json::to_value(content).map_err(Error::internal)?;
    store::set_content(tx, run, &content).await
}

/// What somebody decides about a step that waits for it.
#[derive(Debug)]
pub struct Decision {
    /// The step.
    pub step: String,
    /// Whether it goes on.
    pub approve: bool,
    /// Why.
    pub comment: Option<String>,
}

impl Decision {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(step: &str, approve: bool, comment: Option<&str>) -> Result<Self> {
        let comment = input::paragraph("comment", comment, COMMENT)?;
        Ok(Self { step: input::line("stepKey", step, 100)?, approve, comment })
    }
}

/// Approves a step of a run, or refuses it: then the run fails. Its job goes on.
///
/// # Errors
/// `NOT_FOUND` for the run or the step; `CONFLICT` when nobody is asked.
pub async fn decide(tx: &mut WriteTx<'_>, run: &Output, decision: Decision) -> Result<()> {
    let conflict = |message: String| Err(Error::fault(Fault::at(FaultCode::Conflict, "stepKey", message)));
    let Decision { step, approve, comment } = decision;
    let mut content = lock(tx, run.id).await?;
    let job = jobs::find(tx, run.job).await?.ok_or(Error::NotFound)?;
    if job.status.is_final() {
        return conflict("This run has ended already.".to_owned());
    }
    let plan: Plan = jobs::input(tx, run.job).await?;
    let now = Utc::now();
    content.states.settle(&plan.definition, steps::signature, now);
    let Some(state) = content.states.get_mut(&step) else {
        let message = format!("The run has no step `{step}`.");
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "stepKey", message)));
    };
    match (state.kind, state.status) {
        (StepKind::Approval, Status::AwaitingApproval) => {}
        (StepKind::Approval, Status::Succeeded) => {
            return conflict(format!("The step `{step}` is approved already."));
        }
        (StepKind::Approval, _) => {
            return conflict(format!("The step `{step}` does not wait for approval now."));
        }
        _ => return conflict(format!("The step `{step}` is no approval.")),
    }
    state.approved_by = Some(tx.credential().user());
    state.finished_at = Some(now);
    if approve {
        state.status = Status::Succeeded;
    } else {
        let why = comment.as_deref().unwrap_or("Nothing was said about why.");
        state.status = Status::Failed;
        state.error = Some(Fault::new(FaultCode::Conflict, format!("The approval was refused: {why}")));
    }
    state.comment = comment;
    content.states.settle(&plan.definition, steps::signature, now);
    save(tx, run.id, &content).await?;
    // One that runs looks again before it waits.
    jobs::resume(tx, run.job).await?;
    Ok(())
}

/// Cancels what a run that is cancelled has ordered and waits for, and says which. What is being made public goes on: that
/// cannot be taken back.
///
/// # Errors
/// What the database says.
pub async fn cancelled(tx: &mut WriteTx<'_>, run: Uuid) -> Result<Vec<PublicationId>> {
    let mut cancelled = Vec::new();
    let content = match lock(tx, run).await {
        Err(Error::NotFound) => return Ok(cancelled),
        content => content?,
    };
    let ordered = content.states.steps.iter().filter(|state| state.has_ordered());
    let ordered: Vec<Uuid> = ordered.filter_map(|state| state.output).collect();
    for publication in store::find_many(tx, &ordered).await? {
        if instagram::cancelled(tx, publication.id).await? && jobs::cancel(tx, publication.job).await?.1 {
            tx.announce(Topic::Job(tx.organization(), publication.job));
            cancelled.push(publication.id.into());
        }
    }
    Ok(cancelled)
}

/// The plan and the content of a run that takes up another one from a step on.
///
/// # Errors
/// `NOT_FOUND` for the step; `CONFLICT` while the run goes on.
pub async fn rerun(tx: &mut ReadTx<'_>, run: &Output, from: &str) -> Result<(Plan, Content)> {
    let job = jobs::find(tx, run.job).await?.ok_or(Error::NotFound)?;
    if !job.status.is_final() {
        let message = "This run goes on. Wait until it has ended, or cancel its job.";
        return Err(Error::fault(Fault::at(FaultCode::Conflict, "runId", message)));
    }
    let earlier: Plan = jobs::input(tx, run.job).await?;
    if earlier.definition.step(from).is_none() {
        let keys: Vec<String> =
            earlier.definition.steps.iter().map(|step| format!("`{}`", step.key)).collect();
        let message = format!("The run has no such step. It has {}.", keys.join(", "));
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "fromStep", message)));
    }
    let mut kept = store::find_many(tx, &[run.id]).await?.pop().ok_or(Error::NotFound)?;
    let content: Content = super::agent::read(&mut kept)?;
    let states = content.states.from_step(&earlier.definition, from, Utc::now());
    let rerun_of = Some(earlier.run);
    let plan = Plan { run: WorkflowRunId::generate(), ..earlier };
    let content = Content { template: content.template, rerun_of, states };
    Ok((plan, content))
}

/// The kinds of events that say how steps went.
const BEGUN: &str = "step";
const RETRIED: &str = "step_retrying";
const ORDERED: &str = "step_ordered";
const ITEM: &str = "step_item_succeeded";
const ENDED: [&str; 2] = ["step_succeeded", "step_failed"];

/// How often a step was begun and tried again, by the job's events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tried {
    begun: i32,
    retried: u32,
    since: Option<DateTime<Utc>>,
    /// How many items its list has.
    of: Option<usize>,
}

impl Tried {
    /// Of a step, or of one item of its list, from 0.
    fn of(events: &[Event], key: &str, item: Option<usize>) -> Self {
        let mut tried = Self::default();
        let number = item.and_then(|at| u64::try_from(at).ok()?.checked_add(1));
        let is_own =
            |data: &serde_json::Value| data["step"].as_str() == Some(key) && data["item"].as_u64() == number;
        let own = events.iter().filter(|event| event.data.as_ref().is_some_and(is_own));
        for event in own {
            match event.kind.as_str() {
                BEGUN => {
                    tried.begun += 1;
                    tried.since = tried.since.or(Some(event.at));
                    let items = event.data.as_ref().and_then(|data| data["items"].as_u64());
                    tried.of = items.and_then(|items| usize::try_from(items).ok());
                }
                RETRIED => tried.retried += 1,
                _ => {}
            }
        }
        tried
    }
}

/// The steps as they stand while, or after, a job works on them: what is written down, with what the job and its events say
/// about the others.
fn shown(mut states: States, job: &jobs::Job, events: &[Event]) -> States {
    let running = events.iter().rev().find(|event| event.kind == BEGUN);
    let running = running.and_then(|event| event.data.as_ref()?["step"].as_str());
    for state in states.steps.iter_mut().filter(|state| !state.status.is_final()) {
        let tried = Tried::of(events, &state.key, state.item());
        if let Some(items) = state.items.as_mut().filter(|items| items.count.is_none()) {
            items.count = tried.of;
        }
        let is_running = running == Some(state.key.as_str());
        if matches!(state.kind, StepKind::Agent | StepKind::Condition | StepKind::Webhook) {
            state.attempts = state.attempts.max(state.attempts_done().saturating_add(tried.begun));
            state.started_at = state.started_at.or(tried.since);
        }
        match job.status {
            Status::Running if is_running => state.status = Status::Running,
            // What is published has a job of its own, and is waited for.
            Status::Queued | Status::Running if state.has_ordered() => state.status = Status::Running,
            Status::Failed if is_running => {
                state.status = Status::Failed;
                state.finished_at = job.finished_at;
                state.error.clone_from(&job.error);
            }
            Status::Failed | Status::Cancelled | Status::Succeeded => {
                state.status = Status::Cancelled;
                state.finished_at = job.finished_at;
            }
            _ => {}
        }
    }
    states
}
