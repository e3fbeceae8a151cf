//! Jobs, as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject, Subscription};
use futures_util::Stream;

use super::{AgentKind, Status};
use crate::access::{Action, Permission, Scope};
use crate::agents::graphql::AgentOutput;
use crate::agents::{instagram, workflow};
use crate::audit::graphql::Actor;
use crate::db::page::PageArgs;
use crate::db::{Changes, ReadTx, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::events::Topic;
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Door, Requires, input_id, not_found_at, read_id, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::live::{News, follow};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Json};
use crate::id::{ApiKeyId, JobId, OrganizationId, ProjectId, UserId};
use crate::identity::graphql::User;
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;

/// Work that outlives a request: one shape for every agent.
pub struct Job {
    row: super::Job,
}

impl Job {
    /// The job of a row.
    pub const fn new(row: super::Job) -> Self {
        Self { row }
    }
}

impl Node for Job {}

/// Who made something: the key, or else the person; null when they have left or are not visible to the caller.
///
/// # Errors
/// What the database says.
pub async fn actor(
    ctx: &Context<'_>,
    organization: OrganizationId,
    user: UserId,
    key: Option<ApiKeyId>,
) -> Result<Option<Actor>> {
    if let Some(key) = key {
        let row = loader::api_key(ctx, organization, key).await?;
        return Ok(row.map(|row| Actor::ApiKey(crate::api_keys::graphql::ApiKey::new(row))));
    }
    let row = loader::user(ctx, organization, user).await?;
    Ok(row.map(|row| Actor::User(User::in_organization(row, organization))))
}

/// One thing that happened to a job.
#[derive(SimpleObject)]
pub struct JobEvent {
    /// Its number: 1, 2, 3, … without gaps.
    sequence: i32,
    /// When.
    at: DateTime,
    /// What: `queued`, `started`, `progress`, `text` (a piece of an answer that is being written), `retrying`, `waiting`,
    /// `awaiting_approval`, `resumed`, `fallback` (the built-in engine works because the provider did not), `painted` and
    /// `filmed` (a provider's picture or clip is there and kept), `embedded` (some vectors are), `not_embedded` (a question is
    /// answered without them), `cancelling`, `succeeded`, `failed` or `cancelled`; of a workflow's step, which `data` names,
    /// `step` (it begins), `step_retrying`, `step_item_succeeded` (one item of its list is done, and not the last),
    /// `step_succeeded` or `step_failed`; more may come.
    kind: String,
    /// What, for people.
    message: Option<String>,
    /// More, for programs.
    data: Option<Json>,
}

/// Which engine answered: the built-in one (provider `builtin`), or a named provider and model. A job's figures are all that it
/// took, with answers of models that could not be used and for which the built-in engine stepped in.
#[derive(SimpleObject)]
pub struct EngineInfo {
    /// `builtin`, or the provider.
    provider: String,
    /// The model; null for the built-in engine.
    model: Option<String>,
    /// Tokens sent; null when nothing was sent or the provider did not say.
    prompt_tokens: Option<i32>,
    /// Tokens received; null when nothing was sent or the provider did not say.
    completion_tokens: Option<i32>,
    /// What it cost, in millionths of a US dollar; null when nothing was to be paid or the price is not known.
    cost_micro_usd: Option<i32>,
}

impl From<super::Engine> for EngineInfo {
    fn from(engine: super::Engine) -> Self {
        Self {
            provider: engine.provider,
            model: engine.model,
            prompt_tokens: engine.prompt_tokens,
            completion_tokens: engine.completion_tokens,
            cost_micro_usd: engine.cost_micro_usd.map(|cost| i32::try_from(cost).unwrap_or(i32::MAX)),
        }
    }
}

/// Work that outlives a request: one shape for every agent.
#[Object]
impl Job {
    /// The job's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// The agent that works; null when it is no agent's.
    async fn agent(&self) -> Option<AgentKind> {
        self.row.agent
    }

    /// Whose.
    async fn organization(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Organization>> {
        Ok(loader::owner(ctx, self.row.organization).await?.map(Organization::loaded))
    }

    /// The project that it works in; null when it is the whole organization.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// Who started it; null when they have left or are not visible to the caller.
    async fn created_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Actor>> {
        Ok(actor(ctx, self.row.organization, self.row.created_by, self.row.created_by_key).await?)
    }

    /// Where it stands.
    async fn status(&self) -> Status {
        self.row.status
    }

    /// How far it is, from 0 to 1.
    async fn progress(&self) -> f64 {
        // Two decimals are all that is meant, and 0.30000001192092896 is not.
        (f64::from(self.row.progress) * 100.0).round() / 100.0
    }

    /// The number of its newest event, strictly increasing: pass the last one seen to `events(after:)` to resume after a
    /// dropped socket.
    async fn sequence(&self) -> i32 {
        self.row.sequence
    }

    /// What happened to it, oldest first.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only what comes after this number.")] after: Option<i32>,
        #[graphql(desc = "How many, 1 to 100; 20 when absent.")] first: Option<i32>,
    ) -> async_graphql::Result<Vec<JobEvent>> {
        let first = first.unwrap_or(crate::db::page::DEFAULT_PAGE);
        if !(1..=crate::db::page::MAX_PAGE).contains(&first) {
            let fault = Fault::of(FaultCode::OutOfRange, "first", "`first` is a number from 1 to 100.");
            return Err(Error::fault(fault).into());
        }
        let mut tx = ctx.door().read(self.row.organization, Action::ContentRead).await?;
        let events = super::events(&mut tx, self.row.id, after.unwrap_or(0), first).await?;
        let event = |event: super::Event| JobEvent {
            sequence: event.sequence,
            at: event.at.into(),
            kind: event.kind,
            message: event.message,
            data: event.data.map(Json),
        };
        Ok(events.into_iter().map(event).collect())
    }

    /// What it left behind; null until it has succeeded, and when its result is deleted. A workflow's run is there from the
    /// beginning.
    async fn result(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<AgentOutput>> {
        let Some(id) = self.row.result else { return Ok(None) };
        Ok(crate::agents::graphql::output(ctx, self.row.organization, id).await?)
    }

    /// Why it failed.
    async fn error(&self) -> Option<UserError> {
        self.row.error.clone().map(Into::into)
    }

    /// Which engine did it; until the job has succeeded, the one that has answered last. Null while none has, and when no engine
    /// was needed.
    async fn engine(&self) -> Option<EngineInfo> {
        self.row.engine.clone().map(Into::into)
    }

    /// How often it was begun.
    async fn attempts(&self) -> i32 {
        self.row.attempts
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was first begun.
    async fn started_at(&self) -> Option<DateTime> {
        self.row.started_at.map(Into::into)
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime> {
        self.row.finished_at.map(Into::into)
    }
}

/// Which jobs; what is absent does not matter.
#[derive(InputObject)]
pub struct JobFilter {
    /// Only this agent's.
    agent: Option<AgentKind>,
    /// Only those that stand here.
    status: Option<Status>,
}

/// A page of an organization's jobs, or of one project's; none when the caller may not read content there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
    args: &PageArgs,
    filter: Option<JobFilter>,
) -> Result<Option<Connection<Job>>> {
    let door = ctx.door();
    let may = |scope: &Scope| scope.may_list(project, Permission::ContentRead);
    let Some(mut tx) = door.read_if(organization, Action::ContentRead, may).await? else { return Ok(None) };
    let (agent, status) = filter.map_or((None, None), |filter| (filter.agent, filter.status));
    let filter = super::Filter { project, agent, status };
    let word = format!("{filter:?}");
    let seal = door.seal(&["jobs", &organization.to_string(), &word]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page, filter).await?;
    drop(tx);
    let count: Counter = Box::new(move |ctx| {
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::ContentRead).await?;
            super::count(&mut tx, filter).await.map(Some)
        })
    });
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), Job::new)))
}

/// A job of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: JobId) -> Result<Option<Job>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    Ok(loader::job(ctx, organization, id).await?.map(Job::new))
}

/// Which job.
#[derive(InputObject)]
struct JobCancelInput {
    /// A job that has not ended.
    id: ID,
}

/// What cancelling a job is answered with.
#[derive(Default, SimpleObject)]
pub struct JobCancelPayload {
    /// The job; one that runs is `CANCELLED` a moment later.
    job: Option<Job>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(JobCancelPayload);

/// Asking for jobs.
#[derive(Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// A job of the request's organization; null when missing or invisible. Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn job(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job's id.")] id: ID,
    ) -> async_graphql::Result<Option<Job>> {
        Ok(node(ctx, read_id("id", &id)?).await?)
    }
}

/// Cancelling jobs.
#[derive(Default)]
pub struct JobMutation;

#[Object]
impl JobMutation {
    /// Cancels a job: one that waits ends at once, one that runs is told and ends a moment later. With the job of a workflow's
    /// run go the publications that it waits for, but for what is being made public. Doing it twice changes nothing.
    /// Requires: `AGENT_USE`. Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`.
    #[graphql(guard = "Requires::Here(Action::JobCancel, &input.id)")]
    async fn job_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which job.")] input: JobCancelInput,
    ) -> async_graphql::Result<Option<JobCancelPayload>> {
        let outcome = async {
            let id: JobId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let row = loader::job(ctx, organization, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
            let mut tx =
                door.write_within(organization, row.project, Action::JobCancel).await.map_err(&missing)?;
            // What the job has made is locked before the job, as whoever works on it does.
            let mut publications = Vec::new();
            let may_end = match (row.agent, row.result) {
                (Some(AgentKind::InstagramPoster), Some(result)) => {
                    instagram::cancelled(&mut tx, result).await?
                }
                (Some(AgentKind::ContentWorkflow), Some(result)) => {
                    publications = workflow::cancelled(&mut tx, result).await?;
                    true
                }
                _ => true,
            };
            if !may_end {
                let message = "It is being published, or is public already. That cannot be cancelled.";
                return Err(Error::fault(Fault::at(FaultCode::Conflict, "id", message)));
            }
            let (job, changed) = super::cancel(&mut tx, id).await?;
            if changed {
                tx.announce(Topic::Job(organization, id));
                let target = Target::job(id).within(row.project);
                // What goes with it has no entry of its own.
                let record = if publications.is_empty() {
                    Record::of(target)
                } else {
                    Record::with(target, Changes::made(&serde_json::json!({"publications": publications})))
                };
                tx.commit(record).await?;
            }
            Ok(JobCancelPayload { job: Some(Job::new(job)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }
}

/// Watching jobs.
#[derive(Default)]
pub struct JobSubscription;

#[Subscription]
impl JobSubscription {
    /// A job of the request's organization: how it stands now, then whenever it has moved on, until it ends. Several
    /// steps at once are one answer; `events(after:)` has every single one. Ends with the error `NOT_FOUND` when the job
    /// is missing or not visible to the caller. Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn job_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job's id.")] id: ID,
    ) -> async_graphql::Result<impl Stream<Item = async_graphql::Result<Job>> + use<>> {
        let door = ctx.door();
        let id: JobId = read_id("id", &id)?;
        let organization = door.tenant().await?;
        let read = move |door: Arc<Door>, seen: i32| async move {
            let find = async |tx: &mut ReadTx<'_>| super::find_many(tx, &[id]).await;
            let mut rows = door.read_seen(organization, Action::ContentRead, find, |row| row.project).await?;
            let row = rows.pop().ok_or(Error::NotFound)?;
            let (next, over) = (row.sequence, row.status.is_final());
            let items = if next > seen { vec![Job::new(row)] } else { Vec::new() };
            Ok(News { items, next, more: false, over })
        };
        Ok(follow(door, organization, Topic::Job(organization, id), 0, read).await?)
    }
}
