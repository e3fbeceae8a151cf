//! The SQL of jobs: of tenants under row-level security, and of workers through the gate.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::{AgentKind, Engine, Event, Filter, Finished, Job, NewJob, Part, Status, Until};
use crate::db::page::{Page, Slice};
use crate::db::{AnonymousTx, ReadTx, WriteTx};
use crate::error::{Error, Fault, Result};
use crate::id::{ApiKeyId, JobId, OrganizationId, ProjectId};
use crate::usage::Amounts;

pub(super) struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    agent: Option<String>,
    status: String,
    progress: f32,
    sequence: i32,
    created_by: Uuid,
    created_by_key: Option<Uuid>,
    attempts: i32,
    result_id: Option<Uuid>,
    error: Option<Value>,
    engine_provider: Option<String>,
    engine_model: Option<String>,
    prompt_tokens: Option<i32>,
    completion_tokens: Option<i32>,
    cost_micro_usd: Option<i64>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Job {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let unknown = || Error::internal(anyhow::anyhow!("the database holds an unknown job status"));
        let engine = row.engine_provider.map(|provider| Engine {
            provider,
            model: row.engine_model,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            cost_micro_usd: row.cost_micro_usd,
        });
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            project: row.project_id.map(Into::into),
            agent: row.agent.as_deref().and_then(AgentKind::parse),
            status: Status::parse(&row.status).ok_or_else(unknown)?,
            progress: row.progress,
            sequence: row.sequence,
            created_by: row.created_by.into(),
            created_by_key: row.created_by_key.map(Into::into),
            attempts: row.attempts,
            result: row.result_id,
            error: row.error.map(serde_json::from_value).transpose().map_err(Error::internal)?,
            engine,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

fn amounts(amounts: Amounts) -> Result<Value> {
    serde_json::to_value(amounts).map_err(Error::internal)
}

pub(super) async fn insert(tx: &mut WriteTx<'_>, new: &NewJob, traceparent: Option<&str>) -> Result<()> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    let request = tx.request_id().to_owned();
    let project = new.project.map(ProjectId::uuid);
    sqlx::query!(
        "insert into jobs (organization_id, id, project_id, kind, agent, input, created_by, created_by_key, request_id,
            traceparent, run_at, result_id, reserved)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, now()), $12, $13)",
        organization,
        new.id.uuid(),
        project,
        new.kind,
        new.agent.map(AgentKind::as_str),
        new.input,
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid),
        request,
        traceparent,
        new.run_at,
        new.result,
        amounts(new.needs)?
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into job_events (organization_id, job_id, sequence, project_id, kind) values ($1, $2, 1, $3, 'queued')",
        organization,
        new.id.uuid(),
        project
    )
    .execute(tx.conn())
    .await?;
    sqlx::query("select app.wake_workers($1, $2, coalesce($3, clock_timestamp()))")
        .bind(organization)
        .bind(new.id)
        .bind(new.run_at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A job's kind, and what it was asked to do.
pub(super) async fn asked(tx: &mut ReadTx<'_>, id: JobId) -> Result<Option<(String, Value)>> {
    let asked = sqlx::query!(
        "select kind, input from jobs where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(asked.map(|row| (row.kind, row.input)))
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Job>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, agent, status, progress, sequence, created_by, created_by_key, attempts,
            result_id, error, engine_provider, engine_model, prompt_tokens, completion_tokens, cost_micro_usd, created_at,
            started_at, finished_at
         from jobs where organization_id = (select app.current_organization()) and id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: Filter) -> Result<Slice<Job>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select organization_id, id, project_id, agent, status, progress, sequence, created_by, created_by_key, attempts,
            result_id, error, engine_provider, engine_model, prompt_tokens, completion_tokens, cost_micro_usd, created_at,
            started_at, finished_at
         from jobs where organization_id = (select app.current_organization()) and id > $1 and id < $2
            and ($3::uuid is null or project_id = $3) and ($4::text is null or agent = $4)
            and ($5::text is null or status = $5)",
        "id" "desc" / "asc",
        "$6",
        low,
        high,
        filter.project.map(ProjectId::uuid),
        filter.agent.map(AgentKind::as_str),
        filter.status.map(Status::as_str)
    );
    let rows: Result<Vec<Job>> = rows.into_iter().map(TryInto::try_into).collect();
    Ok(page.slice(rows?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, filter: Filter) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from jobs where organization_id = (select app.current_organization())
            and ($1::uuid is null or project_id = $1) and ($2::text is null or agent = $2)
            and ($3::text is null or status = $3)"#,
        filter.project.map(ProjectId::uuid),
        filter.agent.map(AgentKind::as_str),
        filter.status.map(Status::as_str)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn events(tx: &mut ReadTx<'_>, id: JobId, after: i32, first: i32) -> Result<Vec<Event>> {
    let events = sqlx::query_as!(
        Event,
        "select sequence, at, kind, message, data from job_events
         where organization_id = (select app.current_organization()) and job_id = $1 and sequence > $2
         order by sequence limit $3",
        id.uuid(),
        after,
        i64::from(first)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(events)
}

pub(super) async fn events_of(tx: &mut ReadTx<'_>, id: JobId, kinds: &[String]) -> Result<Vec<Event>> {
    let mut events = sqlx::query_as!(
        Event,
        "select sequence, at, kind, message, data from job_events
         where organization_id = (select app.current_organization()) and job_id = $1 and kind = any($2)
         order by sequence desc limit 1000",
        id.uuid(),
        kinds
    )
    .fetch_all(tx.conn())
    .await?;
    events.reverse();
    Ok(events)
}

pub(super) async fn last_event(tx: &mut ReadTx<'_>, id: JobId, kind: &str) -> Result<Option<Event>> {
    let event = sqlx::query_as!(
        Event,
        "select sequence, at, kind, message, data from job_events
         where organization_id = (select app.current_organization()) and job_id = $1 and kind = $2
         order by sequence desc limit 1",
        id.uuid(),
        kind
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(event)
}

/// The jobs of a kind that wait or work and have not been asked to end.
pub(super) async fn active(tx: &mut WriteTx<'_>, kind: &str) -> Result<Vec<(JobId, Option<ProjectId>)>> {
    let organization = tx.organization().uuid();
    let rows = sqlx::query!(
        "select id, project_id from jobs where organization_id = $1 and kind = $2 and status in ('QUEUED', 'RUNNING')
            and cancel_requested_at is null
         order by id",
        organization,
        kind
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.project_id.map(Into::into))).collect())
}

/// Lets a job take more than it was to.
pub(super) async fn allow(tx: &mut WriteTx<'_>, id: JobId, more: Amounts) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update jobs set reserved = app.add_amounts(reserved, $3, 1) where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        amounts(more)?
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn cancel(tx: &mut WriteTx<'_>, id: JobId) -> Result<bool> {
    let organization = tx.organization().uuid();
    let moved = sqlx::query!(
        "update jobs set cancel_requested_at = clock_timestamp(), sequence = sequence + 1,
            status = case when status = 'RUNNING' then status else 'CANCELLED' end,
            finished_at = case when status = 'RUNNING' then null else clock_timestamp() end
         where organization_id = $1 and id = $2 and status in ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL')
            and cancel_requested_at is null
         returning sequence, project_id, status",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(moved) = moved else { return Ok(false) };
    let kind = if moved.status == "CANCELLED" { "cancelled" } else { "cancelling" };
    note(tx, id, moved.sequence, moved.project_id, kind, None, None).await?;
    Ok(true)
}

async fn note(
    tx: &mut WriteTx<'_>,
    id: JobId,
    sequence: i32,
    project: Option<Uuid>,
    kind: &str,
    message: Option<&str>,
    data: Option<Value>,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into job_events (organization_id, job_id, sequence, project_id, kind, message, data)
         values ($1, $2, $3, $4, $5, $6, $7)",
        organization,
        id.uuid(),
        sequence,
        project,
        kind,
        message,
        data
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends a job with its result, in the transaction that saves it. False: it is cancelled, or another worker's by now.
pub(super) async fn succeed(
    tx: &mut WriteTx<'_>,
    id: JobId,
    attempt: i32,
    finished: &Finished,
) -> Result<bool> {
    let organization = tx.organization().uuid();
    let engine = finished.engine.as_ref();
    let moved = sqlx::query!(
        "update jobs set status = 'SUCCEEDED', progress = 1, sequence = sequence + 1, lease_until = null,
            finished_at = clock_timestamp(), result_id = $4, engine_provider = $5, engine_model = $6,
            used = app.add_amounts(used, $7, 1)
         where organization_id = $1 and id = $2 and attempts = $3 and status = 'RUNNING' and cancel_requested_at is null
         returning sequence, project_id",
        organization,
        id.uuid(),
        attempt,
        finished.result,
        engine.map(|engine| engine.provider.as_str()),
        engine.and_then(|engine| engine.model.as_deref()),
        amounts(finished.used)?
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(moved) = moved else { return Ok(false) };
    note(tx, id, moved.sequence, moved.project_id, "succeeded", None, None).await?;
    Ok(true)
}

/// Keeps a job from being cancelled, or taken over, until the transaction ends. False: it is cancelled, or another
/// worker's by now.
pub(super) async fn hold(tx: &mut WriteTx<'_>, id: JobId, attempt: i32) -> Result<bool> {
    let organization = tx.organization().uuid();
    let held = sqlx::query_scalar!(
        "select id from jobs where organization_id = $1 and id = $2 and attempts = $3 and status = 'RUNNING'
            and cancel_requested_at is null
         for no key update",
        organization,
        id.uuid(),
        attempt
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(held.is_some())
}

/// Notes that a part of a job is done, in the transaction that saves it. False: it is cancelled, or another worker's by now.
pub(super) async fn keep(
    tx: &mut WriteTx<'_>,
    id: JobId,
    attempt: i32,
    Part { progress, kind, message, data, used, reserved }: Part<'_>,
) -> Result<bool> {
    let organization = tx.organization().uuid();
    let moved = sqlx::query!(
        "update jobs set progress = greatest(progress, $4), sequence = sequence + 1,
            used = app.add_amounts(used, $5, 1), reserved = app.add_amounts(reserved, $6, -1)
         where organization_id = $1 and id = $2 and attempts = $3 and status = 'RUNNING' and cancel_requested_at is null
         returning sequence, project_id",
        organization,
        id.uuid(),
        attempt,
        progress,
        amounts(used)?,
        amounts(reserved)?
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(moved) = moved else { return Ok(false) };
    note(tx, id, moved.sequence, moved.project_id, kind, Some(message), Some(data)).await?;
    Ok(true)
}

/// Lets a job wait. False: it is cancelled, or another worker's by now.
pub(super) async fn park(
    tx: &mut WriteTx<'_>,
    id: JobId,
    attempt: i32,
    until: Until,
    why: &str,
) -> Result<bool> {
    let organization = tx.organization().uuid();
    let (status, time, kind) = match until {
        Until::Time(time) => (Status::Queued, Some(time), "waiting"),
        Until::Approval => (Status::AwaitingApproval, None, "awaiting_approval"),
    };
    let moved = sqlx::query!(
        "update jobs set status = $4, run_at = coalesce($5, now()), sequence = sequence + 1, lease_until = null,
            max_attempts = max_attempts + 1
         where organization_id = $1 and id = $2 and attempts = $3 and status = 'RUNNING' and cancel_requested_at is null
         returning sequence, project_id",
        organization,
        id.uuid(),
        attempt,
        status.as_str(),
        time
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(moved) = moved else { return Ok(false) };
    note(tx, id, moved.sequence, moved.project_id, kind, Some(why), None).await?;
    if let Some(time) = time {
        wake(tx, id, time).await?;
    }
    Ok(true)
}

/// Lets a job that waits go on. False: it does not wait.
pub(super) async fn resume(tx: &mut WriteTx<'_>, id: JobId) -> Result<bool> {
    let organization = tx.organization().uuid();
    let moved = sqlx::query!(
        "update jobs set status = 'QUEUED', run_at = now(), sequence = sequence + 1
         where organization_id = $1 and id = $2 and cancel_requested_at is null
            and (status = 'AWAITING_APPROVAL' or status = 'QUEUED' and run_at > now())
         returning sequence, project_id, run_at",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(moved) = moved else { return Ok(false) };
    note(tx, id, moved.sequence, moved.project_id, "resumed", None, None).await?;
    wake(tx, id, moved.run_at).await?;
    Ok(true)
}

async fn wake(tx: &mut WriteTx<'_>, id: JobId, at: DateTime<Utc>) -> Result<()> {
    let organization = tx.organization();
    sqlx::query("select app.wake_workers($1, $2, $3)")
        .bind(organization)
        .bind(id)
        .bind(at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A job that a worker has taken.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Claimed {
    #[sqlx(rename = "organization_id")]
    pub organization: OrganizationId,
    pub id: JobId,
    pub kind: String,
    pub attempt: i32,
    pub request_id: String,
    /// Whether there is no other attempt after it.
    pub is_last: bool,
    /// How many seconds it was due.
    pub waited: f64,
    /// Its place in a trace.
    pub traceparent: Option<String>,
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}

pub(super) async fn claim(
    tx: &mut AnonymousTx<'_>,
    kinds: &[&str],
    lease: Duration,
) -> Result<Option<Claimed>> {
    let claimed = sqlx::query_as("select * from app.claim_job($1, $2)")
        .bind(kinds)
        .bind(interval(lease))
        .fetch_optional(tx.conn())
        .await?;
    Ok(claimed)
}

/// Which of the jobs are still the worker's, and whether they are to be cancelled.
pub(super) async fn renew(
    tx: &mut AnonymousTx<'_>,
    held: &[(JobId, i32)],
    lease: Duration,
) -> Result<Vec<(JobId, bool)>> {
    let (jobs, attempts): (Vec<Uuid>, Vec<i32>) =
        held.iter().map(|(job, attempt)| (job.uuid(), attempt)).unzip();
    let kept = sqlx::query_as("select id, cancelled from app.renew_leases($1, $2, $3)")
        .bind(jobs)
        .bind(attempts)
        .bind(interval(lease))
        .fetch_all(tx.conn())
        .await?;
    Ok(kept)
}

/// Notes how far a job is. False: it is no longer the worker's.
pub(super) async fn advance(
    tx: &mut AnonymousTx<'_>,
    claimed: &Claimed,
    progress: Option<f32>,
    kind: &str,
    message: Option<&str>,
    data: Option<&Value>,
) -> Result<bool> {
    let sequence: Option<i32> = sqlx::query_scalar("select app.advance_job($1, $2, $3, $4, $5, $6, $7)")
        .bind(claimed.organization)
        .bind(claimed.id)
        .bind(claimed.attempt)
        .bind(progress)
        .bind(kind)
        .bind(message)
        .bind(data)
        .fetch_one(tx.conn())
        .await?;
    Ok(sequence.is_some())
}

/// Counts what an attempt has spent on an engine, whatever comes of it. False: the job is no longer the worker's.
pub(super) async fn spend(
    tx: &mut AnonymousTx<'_>,
    claimed: &Claimed,
    spent: Amounts,
    engine: &Engine,
) -> Result<bool> {
    let kept: Option<bool> =
        sqlx::query_scalar("select app.spend_on_job($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(claimed.organization)
            .bind(claimed.id)
            .bind(claimed.attempt)
            .bind(amounts(spent)?)
            .bind(&engine.provider)
            .bind(&engine.model)
            .bind(engine.prompt_tokens)
            .bind(engine.completion_tokens)
            .bind(engine.cost_micro_usd)
            .fetch_one(tx.conn())
            .await?;
    Ok(kept.is_some())
}

/// What becomes of an attempt that came to nothing.
#[derive(Debug)]
pub(super) enum Ending<'a> {
    Failed(&'a Fault),
    Cancelled,
    /// Again later; when the attempts are used up, failed with the fault.
    Again {
        delay: Duration,
        forgive: bool,
        why: &'a str,
        fault: Option<&'a Fault>,
    },
    /// Again later, because it waits for something.
    Waits {
        delay: Duration,
        why: &'a str,
    },
}

pub(super) async fn end(tx: &mut AnonymousTx<'_>, claimed: &Claimed, ending: &Ending<'_>) -> Result<bool> {
    let (status, error, delay, forgive, kind, message) = match ending {
        Ending::Failed(fault) => {
            ("FAILED", Some(*fault), Duration::ZERO, false, "failed", Some(fault.message.as_str()))
        }
        Ending::Cancelled => ("CANCELLED", None, Duration::ZERO, false, "cancelled", None),
        Ending::Again { delay, forgive, why, fault } => {
            ("QUEUED", *fault, *delay, *forgive, "retrying", Some(*why))
        }
        Ending::Waits { delay, why } => ("QUEUED", None, *delay, true, "waiting", Some(*why)),
    };
    let error = error.map(serde_json::to_value).transpose().map_err(Error::internal)?;
    let sequence: Option<i32> =
        sqlx::query_scalar("select app.end_attempt($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(claimed.organization)
            .bind(claimed.id)
            .bind(claimed.attempt)
            .bind(status)
            .bind(error)
            .bind(interval(delay))
            .bind(forgive)
            .bind(kind)
            .bind(message)
            .fetch_one(tx.conn())
            .await?;
    Ok(sequence.is_some())
}

pub(super) async fn recover(tx: &mut AnonymousTx<'_>) -> Result<Vec<(OrganizationId, JobId)>> {
    let moved =
        sqlx::query_as("select organization_id, id from app.recover_jobs()").fetch_all(tx.conn()).await?;
    Ok(moved)
}

/// Makes the job of the schedule that has been due the longest, if one is.
pub(super) async fn fire_schedule(tx: &mut AnonymousTx<'_>) -> Result<Option<(OrganizationId, JobId)>> {
    let job = JobId::generate();
    let fired: Option<OrganizationId> =
        sqlx::query_scalar("select organization_id from app.fire_schedule($1, $2)")
            .bind(job)
            // No request has made it.
            .bind(job.to_string())
            .fetch_optional(tx.conn())
            .await?;
    Ok(fired.map(|organization| (organization, job)))
}

/// How many of the first `most` jobs in the line are due, and for how many seconds the first of them has been.
pub(super) async fn count_waiting(tx: &mut AnonymousTx<'_>, most: i32) -> Result<(i32, f64)> {
    let counted = sqlx::query_as("select jobs, seconds from app.count_waiting_jobs($1)")
        .bind(most)
        .fetch_one(tx.conn())
        .await?;
    Ok(counted)
}
