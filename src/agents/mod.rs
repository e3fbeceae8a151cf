//! Agents: what makes content, and what they leave behind.
//!
//! An agent is a folder here: an [`agent::Agent`] with its prompt and, in `builtin`, the engine that needs no key, and its
//! GraphQL file. It runs as a job: a short read, a long think without a connection, a short write that saves the output
//! and ends the job in one transaction. The first agent, [`qa`], keeps its answers in tables of their own, because
//! documents are cited by row.

pub mod affirmations;
pub mod agent;
mod files;
pub mod graphql;
pub mod hashtags;
pub mod instagram;
mod paid;
pub mod posts;
pub mod qa;
mod store;
pub mod strategy;
pub mod text;
pub mod videos;
pub mod visuals;
pub mod workflow;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::agent::{Agent, Kit, Order, Worker};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, JobId, OrganizationId, ProjectId, UserId};
use crate::jobs::worker::Work;
use crate::jobs::{AgentKind, NewJob};
use crate::usage::Amounts;
use crate::{idempotency, input, jobs};

/// What the register holds of an agent whose work stays here, so that it may be done once more.
struct Entry {
    /// The kind of its jobs.
    job: &'static str,
    /// What works on them.
    work: fn(&Kit) -> Box<dyn Work>,
    /// What such a job may take, by what it was asked as it is stored.
    needs: fn(serde_json::Value) -> serde_json::Result<Amounts>,
}

impl Entry {
    const fn of<A: Agent>() -> Self {
        let needs = |asked| {
            let order: Order<A::Input> = serde_json::from_value(asked)?;
            Ok(agent::needs(order.engine.as_ref(), A::tokens(&order.input), A::most(&order.input)))
        };
        Self { job: A::JOB, work: |kit| Box::new(Worker::<A>::new(kit.clone())), needs }
    }
}

/// The register.
const AGENTS: &[Entry] = &[
    Entry {
        job: qa::KIND,
        work: |kit| Box::new(qa::AnswerQuestion::new(Arc::clone(&kit.providers))),
        needs: |asked| Ok(serde_json::from_value::<qa::Ask>(asked)?.needs()),
    },
    Entry::of::<affirmations::Affirmations>(),
    Entry::of::<hashtags::Hashtags>(),
    Entry::of::<posts::Posts>(),
    Entry::of::<strategy::Strategies>(),
    Entry::of::<visuals::Visuals>(),
    Entry::of::<visuals::redraw::Redraw>(),
    Entry::of::<videos::Videos>(),
];

/// What works on the agents' jobs: those of the register, and those that reach beyond this server or order others.
pub fn works(kit: &Kit, poster: instagram::Poster) -> Vec<Box<dyn Work>> {
    let mut works: Vec<Box<dyn Work>> = AGENTS.iter().map(|entry| (entry.work)(kit)).collect();
    works.push(Box::new(poster));
    works.push(Box::new(instagram::export::Exporter::new(Arc::clone(&kit.storage))));
    works.push(Box::new(workflow::executor::RunWorkflow::new(kit.clone())));
    works
}

/// Enqueues what a job was asked to do once more: the same input, engine and seed. Gives the job, and whether it is a new one.
///
/// # Errors
/// `INVALID` for a job whose work is no agent's, or would be seen elsewhere a second time; `IDEMPOTENCY_KEY_REUSED`;
/// `QUOTA_EXCEEDED`.
pub async fn repeat(
    tx: &mut WriteTx<'_>,
    of: &jobs::Job,
    key: Option<&idempotency::Key>,
) -> Result<(JobId, bool)> {
    let id = JobId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok((earlier.into(), false));
    }
    let (kind, input) = jobs::asked(tx, of.id).await?;
    let Some(entry) = AGENTS.iter().find(|entry| entry.job == kind) else {
        let message = match of.agent {
            Some(AgentKind::ContentWorkflow) => "A workflow is run again with `contentWorkflowRerun`.",
            Some(AgentKind::InstagramPoster) => {
                "A publication is not repeated: it would be public twice. Make another one with `instagramPublish`."
            }
            _ => "Only what agents make can be repeated.",
        };
        return Err(Error::fault(Fault::at(FaultCode::Invalid, "id", message)));
    };
    let needs = (entry.needs)(input.clone()).map_err(Error::internal)?;
    let (project, agent) = (of.project, of.agent);
    let new = NewJob { id, kind: entry.job, agent, project, input, run_at: None, result: None, needs };
    jobs::enqueue(tx, &new).await?;
    Ok((id, true))
}

/// What every output has in common.
#[derive(Debug, Clone)]
pub struct Output {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id, which is also its row's in the agent's own table.
    pub id: Uuid,
    /// The project that it was made in.
    pub project: Option<ProjectId>,
    /// The agent that made it.
    pub agent: AgentKind,
    /// The job that made it.
    pub job: JobId,
    /// The person who asked for it, or who made the key that did.
    pub created_by: UserId,
    /// The key that asked for it.
    pub created_by_key: Option<ApiKeyId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What it is, when it is read as a whole.
    pub content: Option<serde_json::Value>,
}

/// Somebody's judgement of an output.
#[derive(Debug, Clone)]
pub struct Rating {
    /// 1 to 5.
    pub stars: i16,
    /// Why.
    pub comment: Option<String>,
    /// Whose: a person's id, or a key's.
    pub actor: Uuid,
    /// Whether it is a key's.
    pub by_key: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which outputs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Of this agent only.
    pub agent: Option<AgentKind>,
    /// Made at this moment or later.
    pub since: Option<DateTime<Utc>>,
    /// Rated with that many stars or more by anybody.
    pub min_stars: Option<i16>,
    /// Only those that somebody has rated with so many stars or fewer.
    pub max_stars: Option<i16>,
}

/// Outputs by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Output>> {
    store::find_many(tx, ids).await
}

/// One page of outputs, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: Filter) -> Result<Slice<Output>> {
    store::list(tx, page, filter).await
}

/// What one agent has made in a project, newest first, at most so many.
///
/// # Errors
/// What the database says.
pub async fn latest(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    agent: AgentKind,
    most: i32,
) -> Result<Vec<Output>> {
    store::latest(tx, project, agent, most).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, filter: Filter) -> Result<i64> {
    store::count(tx, filter).await
}

/// An output's ratings, newest first, at most 100.
///
/// # Errors
/// What the database says.
pub async fn ratings(tx: &mut ReadTx<'_>, output: Uuid) -> Result<Vec<Rating>> {
    store::ratings(tx, output).await
}

/// Rates an output; the same caller's earlier rating is replaced.
///
/// # Errors
/// `OUT_OF_RANGE`; `TOO_LONG`; `NOT_FOUND`.
pub async fn rate(tx: &mut WriteTx<'_>, output: Uuid, stars: i32, comment: Option<&str>) -> Result<()> {
    let stars = i16::try_from(stars).ok().filter(|stars| (1..=5).contains(stars)).ok_or_else(|| {
        Error::fault(Fault::at(FaultCode::OutOfRange, "stars", "`stars` is a number from 1 to 5."))
    })?;
    let comment = input::paragraph("comment", comment, 2000)?;
    if store::rate(tx, output, stars, comment.as_deref()).await? { Ok(()) } else { Err(Error::NotFound) }
}

/// Deletes an output with everything that belongs to it. Its job stays.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, output: Uuid) -> Result<()> {
    if store::delete(tx, output).await? { Ok(()) } else { Err(Error::NotFound) }
}
