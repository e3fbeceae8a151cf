//! Work that outlives a request: one shape for every agent, and for making passages of documents.
//!
//! Our own table holds the truth. A job is enqueued in its caller's transaction, so it exists only if the change does;
//! a queue library wakes workers, and `app.claim_job` decides fairly which job is next. A worker holds a job under a
//! lease: whoever has lost it can change nothing any more, so that a job ends once, whatever is killed when. It works
//! in its creator's name, with the rights that they have at that time.

pub mod graphql;
pub mod queue;
mod run;
mod store;
pub mod worker;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument as _;
use uuid::Uuid;

pub use run::{Attempted, Failure, Finished, Part, Run, Until, compute};

use crate::db::page::{Page, Slice};
use crate::db::{Lease, ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, JobId, OrganizationId, ProjectId, UserId};
use crate::telemetry::metrics::Backlog;
use crate::telemetry::trace;
use crate::usage::{self, Amounts};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "JobStatus")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It waits for its turn.
    Queued,
    /// A worker has it.
    Running,
    /// It waits for somebody's approval.
    AwaitingApproval,
    /// It is done.
    Succeeded,
    /// It came to nothing; `error` says why.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Status {
    const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::AwaitingApproval, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The spelling of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing more happens to it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// The agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentKind {
    /// Answers questions from documents.
    Qa,
    /// Writes affirmations.
    Affirmations,
    /// Runs several agents in an order.
    ContentWorkflow,
    /// Plans what to publish when.
    ContentStrategy,
    /// Makes pictures with text.
    VisualPost,
    /// Writes posts.
    PostComposition,
    /// Makes videos.
    Video,
    /// Finds hashtags.
    HashtagResearch,
    /// Publishes on Instagram.
    InstagramPoster,
}

impl AgentKind {
    const ALL: [Self; 9] = [
        Self::Qa,
        Self::Affirmations,
        Self::ContentWorkflow,
        Self::ContentStrategy,
        Self::VisualPost,
        Self::PostComposition,
        Self::Video,
        Self::HashtagResearch,
        Self::InstagramPoster,
    ];

    /// The spelling of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qa => "QA",
            Self::Affirmations => "AFFIRMATIONS",
            Self::ContentWorkflow => "CONTENT_WORKFLOW",
            Self::ContentStrategy => "CONTENT_STRATEGY",
            Self::VisualPost => "VISUAL_POST",
            Self::PostComposition => "POST_COMPOSITION",
            Self::Video => "VIDEO",
            Self::HashtagResearch => "HASHTAG_RESEARCH",
            Self::InstagramPoster => "INSTAGRAM_POSTER",
        }
    }

    /// Reads the spelling of the wire and of the database.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|agent| agent.as_str() == text)
    }
}

/// Which engine did the work: the built-in one, or a provider's model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// `builtin`, or the provider.
    pub provider: String,
    /// The model.
    pub model: Option<String>,
    /// Tokens sent.
    pub prompt_tokens: Option<i32>,
    /// Tokens received.
    pub completion_tokens: Option<i32>,
    /// What it cost, in millionths of a US dollar; none when the price is not known.
    pub cost_micro_usd: Option<i64>,
}

impl Engine {
    /// The engine that needs no key.
    pub fn builtin() -> Self {
        Self {
            provider: "builtin".to_owned(),
            model: None,
            prompt_tokens: None,
            completion_tokens: None,
            cost_micro_usd: None,
        }
    }

    /// The same engine asked twice: tokens and costs together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let sum = |one: Option<i32>, other: Option<i32>| Some(one?.saturating_add(other?));
        Self {
            prompt_tokens: sum(self.prompt_tokens, other.prompt_tokens),
            completion_tokens: sum(self.completion_tokens, other.completion_tokens),
            cost_micro_usd: self.cost_micro_usd.zip(other.cost_micro_usd).map(|(one, other)| one + other),
            ..self
        }
    }
}

/// One job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: JobId,
    /// The project that it works in, when it is one.
    pub project: Option<ProjectId>,
    /// The agent, when it is one's.
    pub agent: Option<AgentKind>,
    /// Where it stands.
    pub status: Status,
    /// How far it is, from 0 to 1.
    pub progress: f32,
    /// The number of its newest event.
    pub sequence: i32,
    /// The person who started it, or who made the key that did.
    pub created_by: UserId,
    /// The key that started it.
    pub created_by_key: Option<ApiKeyId>,
    /// How often a worker has taken it.
    pub attempts: i32,
    /// What it left behind.
    pub result: Option<Uuid>,
    /// What it came to nothing of.
    pub error: Option<Fault>,
    /// Which engine did it, or was asked last; with what all have taken that were asked.
    pub engine: Option<Engine>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// One thing that happened to a job.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number, counted from 1 without gaps.
    pub sequence: i32,
    /// When.
    pub at: DateTime<Utc>,
    /// What, for programs.
    pub kind: String,
    /// What, for people.
    pub message: Option<String>,
    /// More.
    pub data: Option<Value>,
}

/// Which jobs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Of this agent only.
    pub agent: Option<AgentKind>,
    /// In this state only.
    pub status: Option<Status>,
}

/// A job to enqueue.
#[derive(Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Which [`worker::Work`] does it.
    pub kind: &'static str,
    /// The agent, when it is one's.
    pub agent: Option<AgentKind>,
    /// The project that it works in.
    pub project: Option<ProjectId>,
    /// What it needs to know: an object.
    pub input: Value,
    /// Not before this time; none: at once.
    pub run_at: Option<DateTime<Utc>>,
    /// What it leaves behind, when that is there from the beginning.
    pub result: Option<Uuid>,
    /// What it may take of what the tier limits.
    pub needs: Amounts,
}

/// Enqueues a job in the caller's transaction, and reserves what it may take. What it does not take is given back when it ends.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub async fn enqueue(tx: &mut WriteTx<'_>, new: &NewJob) -> Result<()> {
    usage::reserve_work(tx, new.needs).await?;
    let span = trace::enqueue(new.kind, &new.id);
    let parent = trace::parent(&span);
    store::insert(tx, new, parent.as_deref()).instrument(span).await?;
    tx.enqueued(new.kind);
    Ok(())
}

/// The jobs of a kind that wait or work, each with its project, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn active(tx: &mut WriteTx<'_>, kind: &str) -> Result<Vec<(JobId, Option<ProjectId>)>> {
    store::active(tx, kind).await
}

/// Reserves more of what a job may take, because there is more for it to do.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub async fn enlarge(tx: &mut WriteTx<'_>, id: JobId, more: Amounts) -> Result<()> {
    usage::reserve_work(tx, more).await?;
    store::allow(tx, id, more).await
}

/// What is due and nobody's yet, in all organizations together.
///
/// # Errors
/// What the database says.
pub async fn backlog(lease: &Lease) -> Result<Backlog> {
    /// Jobs that are counted at the most.
    const MOST: i32 = 1_000;
    let (jobs, seconds) = store::count_waiting(&mut lease.anonymous().await?, MOST).await?;
    lease.release().await;
    Ok(Backlog { jobs: jobs.unsigned_abs(), seconds })
}

/// What a job was asked to do.
///
/// # Errors
/// [`Error::NotFound`], or what the database says.
pub async fn input<T: serde::de::DeserializeOwned>(tx: &mut ReadTx<'_>, id: JobId) -> Result<T> {
    let (_, input) = asked(tx, id).await?;
    serde_json::from_value(input).map_err(Error::internal)
}

/// A job's kind, and what it was asked to do as it is stored.
///
/// # Errors
/// [`Error::NotFound`], or what the database says.
pub async fn asked(tx: &mut ReadTx<'_>, id: JobId) -> Result<(String, serde_json::Value)> {
    store::asked(tx, id).await?.ok_or(Error::NotFound)
}

/// One job.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: JobId) -> Result<Option<Job>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Jobs by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[JobId]) -> Result<Vec<Job>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::find_many(tx, &ids).await
}

/// One page of jobs, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: Filter) -> Result<Slice<Job>> {
    store::list(tx, page, filter).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, filter: Filter) -> Result<i64> {
    store::count(tx, filter).await
}

/// A job's events after a number, oldest first.
///
/// # Errors
/// What the database says.
pub async fn events(tx: &mut ReadTx<'_>, id: JobId, after: i32, first: i32) -> Result<Vec<Event>> {
    store::events(tx, id, after, first).await
}

/// A job's events of some kinds, oldest first: the last 1,000 of them.
///
/// # Errors
/// What the database says.
pub async fn events_of(tx: &mut ReadTx<'_>, id: JobId, kinds: &[&str]) -> Result<Vec<Event>> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    store::events_of(tx, id, &kinds).await
}

/// A job's newest event of a kind.
///
/// # Errors
/// What the database says.
pub async fn last_event(tx: &mut ReadTx<'_>, id: JobId, kind: &str) -> Result<Option<Event>> {
    store::last_event(tx, id, kind).await
}

/// Lets a job that waits for an approval, or for a time, go on now. False: it does neither.
///
/// # Errors
/// What the database says.
pub async fn resume(tx: &mut WriteTx<'_>, id: JobId) -> Result<bool> {
    store::resume(tx, id).await
}

/// Asks for a job to be cancelled: one that waits ends at once, one that runs is told. True when that changed anything.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` when it has ended already.
pub async fn cancel(tx: &mut WriteTx<'_>, id: JobId) -> Result<(Job, bool)> {
    let missing = || {
        Error::fault(Fault::at(
            FaultCode::NotFound,
            "id",
            "There is no such job, or it is not visible to you.",
        ))
    };
    let changed = store::cancel(tx, id).await?;
    let job = find(tx, id).await?.ok_or_else(missing)?;
    if !changed && matches!(job.status, Status::Succeeded | Status::Failed) {
        return Err(Error::fault(Fault::at(FaultCode::Conflict, "id", "This job has ended already.")));
    }
    Ok((job, changed))
}
