//! What an agent is: what it is asked, what it makes, and how what it makes becomes an output.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::text::{Refusal, RefusalCode};
use super::videos::clips::ClipReader;
use super::{Output, store};
use crate::access::{Action, Permission};
use crate::accounts::Accounts;
use crate::db::{Changes, ReadTx, Record, Target, WriteTx};
use crate::engine::photos::Photos;
use crate::engine::{self, Engines, JsonSchema, Message, TextRequest, Usage};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::id::{AssetId, JobId, ProjectId, ProviderId, WireId};
use crate::jobs::worker::Work;
use crate::jobs::{self, AgentKind, Attempted, Engine, Failure, Finished, NewJob, Run};
use crate::providers::{Providers, Wanted, calls};
use crate::storage::Storage;
use crate::usage::Amounts;
use crate::webhooks::Webhooks;
use crate::{assets, idempotency, projects};

/// An agent whose results are read as a whole. A new one is a folder with its implementation of this and its GraphQL
/// file, a line in the register of [`super`], and a kind of id.
pub trait Agent: Send + Sync + 'static {
    /// Which one.
    const KIND: AgentKind;
    /// The kind of its jobs, for example `affirmations.generate`.
    const JOB: &'static str;
    /// The ids of what it makes.
    type Id: WireId + From<Uuid>;
    /// What it is asked, checked.
    type Input: Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What a provider's model reads and writes for it, in tokens, at the most; nothing where none can do its work.
    const TOKENS: Usage = Usage { prompt_tokens: 0, completion_tokens: 0 };
    /// What it makes.
    type Content: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Makes it. It may be called twice for the same order, and what it makes is kept once. It lets go of its transactions
    /// before it computes or asks a provider.
    fn make(
        tools: &Tools,
        run: &Run,
        order: &Order<Self::Input>,
    ) -> impl Future<Output = Result<Made<Self::Content>, Failure>> + Send;

    /// What a model reads and writes for such an input at the most, where that makes a difference.
    fn tokens(input: &Self::Input) -> Usage {
        let _ = input;
        Self::TOKENS
    }

    /// Whether a provider's model does something for such an input.
    fn asks(input: &Self::Input) -> bool {
        Self::tokens(input).total() > 0
    }

    /// Looks up whoever the input names for a part of the work beside the order's engine.
    ///
    /// # Errors
    /// A fault at the field; `PROVIDER_NOT_CONFIGURED`.
    fn engage(
        input: &mut Self::Input,
        tx: &mut ReadTx<'_>,
        providers: &Providers,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (input, tx, providers);
        std::future::ready(Ok(()))
    }

    /// Whoever that is.
    fn engaged(input: &Self::Input) -> Option<&Wanted> {
        let _ = input;
        None
    }

    /// Refuses an input of which the chosen engine can do nothing: a provider of this kind, or without one the built-in engine.
    ///
    /// # Errors
    /// A fault at the field.
    fn suits(input: &Self::Input, engine: Option<engine::Provider>) -> Result<()> {
        let _ = (input, engine);
        Ok(())
    }

    /// What the audit log keeps of it: an object of a few figures.
    fn summary(content: &Self::Content) -> Value;

    /// What it makes of such an input at the most, of what a tier limits. Its run and a model's tokens count by themselves.
    fn most(input: &Self::Input) -> Amounts {
        let _ = input;
        Amounts::default()
    }

    /// What it has made of what a tier limits.
    fn made(content: &Self::Content) -> Amounts {
        let _ = content;
        Amounts::default()
    }
}

/// What an agent's run may take: itself, what a provider's model reads and writes, and what is made.
pub fn needs(engine: Option<&Wanted>, tokens: Usage, most: Amounts) -> Amounts {
    Amounts::RUN + most + engine.map(|_| Amounts::tokens(tokens.total())).unwrap_or_default()
}

/// What an agent works with.
#[derive(Debug)]
pub struct Tools {
    /// What reaches the providers of models, the organization's own among them.
    pub engines: Engines,
    /// Where files are kept.
    pub storage: Arc<Storage>,
    /// What looks for stock photos; none where the server has no key for it.
    pub photos: Option<Arc<Photos>>,
    /// What reaches the services of connected accounts.
    pub accounts: Arc<Accounts>,
    /// What reads clips.
    pub clips: Arc<ClipReader>,
}

/// What all agents' tools are made from.
#[derive(Debug, Clone)]
pub struct Kit {
    /// What reaches providers of models.
    pub providers: Arc<Providers>,
    /// Where files are kept.
    pub storage: Arc<Storage>,
    /// What looks for stock photos.
    pub photos: Option<Arc<Photos>>,
    /// What reaches the services of connected accounts.
    pub accounts: Arc<Accounts>,
    /// What sends to the organizations' webhook endpoints.
    pub webhooks: Arc<Webhooks>,
    /// What reads clips.
    pub clips: Arc<ClipReader>,
}

impl Kit {
    /// The tools for a job that wants these of the organization's own providers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tools(
        &self,
        tx: &mut ReadTx<'_>,
        own: impl IntoIterator<Item = (&str, ProviderId), IntoIter: Send>,
    ) -> Result<Tools> {
        let engines = self.providers.engines_of(tx, own).await?;
        let (storage, accounts) = (Arc::clone(&self.storage), Arc::clone(&self.accounts));
        let clips = Arc::clone(&self.clips);
        Ok(Tools { engines, storage, photos: self.photos.clone(), accounts, clips })
    }
}

/// What an agent is asked to do, where and with which engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order<I> {
    /// In which project.
    pub project: ProjectId,
    /// Another engine than the built-in one.
    pub engine: Option<Wanted>,
    /// The same seed, input and data give the same output.
    pub seed: u64,
    /// Whether the caller chose the seed.
    pub is_seeded: bool,
    /// What is asked.
    pub input: I,
}

/// What an agent has made, and with which engine.
#[derive(Debug)]
pub struct Made<C> {
    /// What.
    pub content: C,
    /// Which engine did it.
    pub engine: Engine,
    /// The files that belong to it, put into the storage by [`assets::save`].
    pub files: Vec<AssetId>,
}

impl<C> Made<C> {
    /// What an engine has made, without files.
    pub const fn new(content: C, engine: Engine) -> Self {
        Self { content, engine, files: Vec::new() }
    }
}

/// Enqueues an order. Gives the job, and whether it is a new one.
///
/// # Errors
/// `NOT_FOUND` for the project; `IDEMPOTENCY_KEY_REUSED`; `QUOTA_EXCEEDED`.
pub async fn enqueue<A: Agent>(
    tx: &mut WriteTx<'_>,
    order: Unseeded<A::Input>,
    key: Option<&idempotency::Key>,
) -> Result<(JobId, bool)> {
    let id = JobId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok((earlier.into(), false));
    }
    if projects::find(tx, order.project).await?.is_none() {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    place::<A>(tx, id, order).await?;
    Ok((id, true))
}

/// Enqueues an order in a project that is there, as this job.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub(super) async fn place<A: Agent>(
    tx: &mut WriteTx<'_>,
    id: JobId,
    order: Unseeded<A::Input>,
) -> Result<()> {
    let project = Some(order.project);
    let needs = needs(order.engine.as_ref(), A::tokens(&order.input), A::most(&order.input));
    let input = serde_json::to_value(order.seeded(id)).map_err(Error::internal)?;
    let agent = Some(A::KIND);
    let new = NewJob { id, kind: A::JOB, agent, project, input, run_at: None, result: None, needs };
    jobs::enqueue(tx, &new).await
}

/// An order as a caller gives it: without a seed, its job's id is one.
#[derive(Debug)]
pub struct Unseeded<I> {
    /// In which project.
    pub project: ProjectId,
    /// Another engine than the built-in one.
    pub engine: Option<Wanted>,
    /// The caller's seed.
    pub seed: Option<i32>,
    /// What is asked.
    pub input: I,
}

impl<I> Unseeded<I> {
    fn seeded(self, job: JobId) -> Order<I> {
        // The low half of a version 7 id is random.
        let own = u64::try_from(job.uuid().as_u128() & u128::from(u64::MAX)).unwrap_or_default();
        let seed = self.seed.map_or(own, |seed| u64::from(seed.cast_unsigned()));
        Order {
            project: self.project,
            engine: self.engine,
            seed,
            is_seeded: self.seed.is_some(),
            input: self.input,
        }
    }
}

/// An agent as what works on its jobs: reads the order, has it made, saves the output and ends the job in one
/// transaction.
pub struct Worker<A> {
    kit: Kit,
    agent: PhantomData<fn() -> A>,
}

impl<A> Worker<A> {
    /// With this kit.
    pub const fn new(kit: Kit) -> Self {
        Self { kit, agent: PhantomData }
    }
}

impl<A: Agent> Work for Worker<A> {
    fn kind(&self) -> &'static str {
        A::JOB
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.work(run).boxed()
    }
}

impl<A: Agent> Worker<A> {
    async fn work(&self, run: &Run) -> Result<Attempted, Failure> {
        let (order, tools): (Order<A::Input>, Tools) = {
            let mut tx = run.read(Action::AgentRun).await?;
            let order: Order<A::Input> = jobs::input(&mut tx, run.job()).await?;
            let wanted = order.engine.iter().chain(A::engaged(&order.input));
            let own: Vec<_> = wanted.filter_map(Wanted::own).collect();
            let tools = self.kit.tools(&mut tx, own).await?;
            (order, tools)
        };
        let product = make::<A>(&tools, run, &order).await?;
        let mut tx = run.write(Some(order.project), Action::OutputCreate).await?;
        let (id, record) = product.save(&mut tx, run.job(), None).await?;
        let finished = Finished { result: Some(id), engine: Some(product.engine), used: product.used };
        Ok(run.succeed(tx, &finished, record).await?)
    }
}

/// What an agent has made of an order, and is not saved yet.
#[derive(Debug)]
pub struct Product {
    agent: AgentKind,
    project: ProjectId,
    content: Value,
    /// What the audit log keeps of it.
    summary: Value,
    files: Vec<AssetId>,
    /// Its type, and how its id is written.
    kind: &'static str,
    name: fn(Uuid) -> String,
    /// Which engine did it.
    pub engine: Engine,
    /// What it has taken of what the tier limits, without tokens: they were counted when they were spent.
    pub used: Amounts,
}

/// Has an agent make what is ordered. No connection is held afterwards.
///
/// # Errors
/// The agent's failure.
pub async fn make<A: Agent>(tools: &Tools, run: &Run, order: &Order<A::Input>) -> Result<Product, Failure> {
    // Agents work from what the organization has: whoever may not read content is not told it by an agent either.
    if !run.scope().may_see(Some(order.project), Permission::ContentRead) {
        let message = "Agents work from documents and earlier results, and you may not read them: that needs CONTENT_READ.";
        return Err(Failure::fail(Fault::new(FaultCode::Conflict, message)));
    }
    let made = A::make(tools, run, order).await?;
    run.release().await;
    Ok(Product {
        agent: A::KIND,
        project: order.project,
        content: serde_json::to_value(&made.content).map_err(Error::internal)?,
        summary: A::summary(&made.content),
        files: made.files,
        kind: A::Id::KIND,
        name: |id| A::Id::from(id).to_string(),
        used: Amounts::RUN + A::made(&made.content),
        engine: made.engine,
    })
}

impl Product {
    /// Saves it as what a job leaves behind, or one step of it, or one of the items that a step works for, by its number from
    /// 1. Gives its id and what the audit log says.
    ///
    /// # Errors
    /// What the database says.
    pub async fn save(
        &self,
        tx: &mut WriteTx<'_>,
        job: JobId,
        step: Option<(&str, Option<usize>)>,
    ) -> Result<(Uuid, Record)> {
        let (id, project) = (Uuid::now_v7(), Some(self.project));
        store::insert(tx, id, self.agent, (job, step), project, Some(&self.content)).await?;
        assets::keep(tx, id, &self.files).await?;
        let (step, item) = step.map(|(step, item)| (Some(step), item)).unwrap_or_default();
        let mut kept = json!({"engine": self.engine.provider, "model": self.engine.model, "step": step});
        if let Some(item) = item {
            kept["item"] = item.into();
        }
        if let (Some(kept), Value::Object(more)) = (kept.as_object_mut(), &self.summary) {
            kept.extend(more.clone());
        }
        let target = Target::output(self.kind, (self.name)(id)).within(project);
        Ok((id, Record::with(target, Changes::made(&kept))))
    }
}

/// Takes the content of an agent's output.
///
/// # Errors
/// When the database holds what the agent cannot have written.
pub fn content<A: Agent>(output: &mut Output) -> Result<A::Content> {
    read(output)
}

/// Takes the content of an output as what its code writes.
///
/// # Errors
/// When the database holds what nobody can have written.
pub fn read<C: DeserializeOwned>(output: &mut Output) -> Result<C> {
    let content = output.content.take().unwrap_or_default();
    serde_json::from_value(content).map_err(Error::internal)
}

/// What a provider's model makes of an order; none when the built-in engine shall work: because no provider is wanted, or
/// because it has failed and the caller allows that.
///
/// # Errors
/// The provider's failure.
pub async fn provided<'w, T, F>(
    run: &Run,
    wanted: Option<&'w Wanted>,
    ask: impl FnOnce(&'w Wanted) -> F + Send,
) -> Result<Option<T>, Failure>
where
    F: Future<Output = Result<T, Failure>> + Send,
{
    let Some(wanted) = wanted else { return Ok(None) };
    match ask(wanted).await {
        Ok(made) => Ok(Some(made)),
        Err(failure) if wanted.fallback => {
            run.fall_back(&failure).await?;
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code {
            RefusalCode::InsufficientInput => FaultCode::InsufficientInput,
            RefusalCode::Invalid => FaultCode::Invalid,
            RefusalCode::OutOfRange => FaultCode::OutOfRange,
        };
        Self::at(code, &refusal.field, refusal.message)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::fail(refusal.into())
    }
}

/// A question to a provider's model whose answer is JSON.
#[derive(Debug)]
pub struct JsonQuestion {
    /// What the model is told about its task.
    pub system: &'static str,
    /// What it is asked.
    pub question: String,
    /// The form of the answer.
    pub schema: JsonSchema,
    /// How much it may write, in tokens.
    pub max_tokens: u32,
}

/// Asks a provider's model for JSON. Gives the answer and the engine as the job keeps it.
///
/// # Errors
/// The provider's failure, as a job's.
pub async fn ask_json<T: DeserializeOwned>(
    run: &Run,
    engines: &Engines,
    wanted: &Wanted,
    seed: u64,
    asked: JsonQuestion,
) -> Result<(T, Engine), Failure> {
    let engine = engines.text(&wanted.provider).map_err(|missing| {
        Failure::fail(Fault::new(FaultCode::ProviderNotConfigured, missing.to_string()))
    })?;
    let model = wanted.model.as_deref().unwrap_or_default();
    let request = TextRequest {
        system: Some(asked.system.to_owned()),
        messages: vec![Message::user(asked.question.clone())],
        schema: Some(asked.schema),
        seed: u32::try_from(seed & u64::from(u32::MAX >> 1)).ok(),
        ..TextRequest::new(model, asked.question, asked.max_tokens)
    };
    let reply = calls::write(run, engines, &*engine, &request, &mut |_| ()).await?;
    let answer = serde_json::from_str(&reply.text).map_err(|error| {
        let detail =
            Detail::Provider { provider: wanted.provider.clone(), provider_code: None, retryable: true };
        let message = format!("{} did not answer in the form that was asked for: {error}.", wanted.provider);
        Failure::retry(Fault::new(FaultCode::ProviderFailed, message).with(detail), None)
    })?;
    Ok((answer, calls::engine_of(engines, &*engine, &reply)))
}
