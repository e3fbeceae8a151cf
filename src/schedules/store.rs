//! The SQL of schedules.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::rule::Rule;
use super::{NewSchedule, Schedule};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, JobId, ProjectId, ScheduleId};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Uuid,
    name: String,
    cron: String,
    timezone: String,
    work: Value,
    enabled: bool,
    next_run_at: Option<DateTime<Utc>>,
    fired_by: Option<Uuid>,
    last_run: Option<Uuid>,
    acts_for: Uuid,
    acts_for_key: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Of the job that was made when it was due last.
    status: Option<String>,
    error: Option<Value>,
}

impl Row {
    /// Why the schedule has paused itself: it waits for nothing, and its job does not work any more.
    fn paused(&self) -> Result<Option<Fault>> {
        if !self.enabled || self.next_run_at.is_some() {
            return Ok(None);
        }
        let fault = match (self.status.as_deref(), &self.error) {
            (Some("QUEUED" | "RUNNING"), _) => return Ok(None),
            (Some("FAILED"), Some(error)) => {
                serde_json::from_value(error.clone()).map_err(Error::internal)?
            }
            (Some("CANCELLED"), _) => Fault::new(FaultCode::Conflict, "Somebody cancelled its job."),
            _ => Fault::new(FaultCode::Conflict, "It was broken off."),
        };
        Ok(Some(fault))
    }
}

impl TryFrom<Row> for Schedule {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            project: row.project_id.into(),
            paused: row.paused()?,
            name: row.name,
            rule: Rule::kept(&row.cron, &row.timezone)?,
            workflow: serde_json::from_value(row.work).map_err(Error::internal)?,
            enabled: row.enabled,
            next_run_at: row.next_run_at,
            fired_by: row.fired_by.map(Into::into),
            last_run: row.last_run.map(Into::into),
            acts_for: row.acts_for.into(),
            acts_for_key: row.acts_for_key.map(Into::into),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

pub(super) async fn find(tx: &mut ReadTx<'_>, id: ScheduleId) -> Result<Option<Schedule>> {
    let row = sqlx::query_as!(
        Row,
        r#"select s.organization_id, s.id, s.project_id, s.name, s.cron, s.timezone, s.work, s.enabled, s.next_run_at,
            s.fired_by, s.last_run, s.acts_for, s.acts_for_key, s.created_at, s.updated_at,
            j.status as "status?", j.error as "error?"
         from schedules s left join jobs j on j.organization_id = s.organization_id and j.id = s.fired_by
         where s.organization_id = (select app.current_organization()) and s.id = $1"#,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The schedule, locked until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: ScheduleId) -> Result<Option<Schedule>> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "select id from schedules where organization_id = $1 and id = $2 for update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    find(tx, id).await
}

pub(super) async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    project: ProjectId,
) -> Result<Slice<Schedule>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select s.organization_id, s.id, s.project_id, s.name, s.cron, s.timezone, s.work, s.enabled, s.next_run_at,
            s.fired_by, s.last_run, s.acts_for, s.acts_for_key, s.created_at, s.updated_at,
            j.status as \"status?\", j.error as \"error?\"
         from schedules s left join jobs j on j.organization_id = s.organization_id and j.id = s.fired_by
         where s.organization_id = (select app.current_organization()) and s.id > $1 and s.id < $2
            and s.project_id = $3",
        "s.id" "desc" / "asc",
        "$4",
        low,
        high,
        project.uuid()
    );
    let rows: Result<Vec<Schedule>> = rows.into_iter().map(TryInto::try_into).collect();
    Ok(page.slice(rows?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from schedules
           where organization_id = (select app.current_organization()) and project_id = $1"#,
        project.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: ScheduleId,
    new: &NewSchedule,
    next: Option<DateTime<Utc>>,
) -> Result<()> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    let work = serde_json::to_value(&new.workflow).map_err(Error::internal)?;
    sqlx::query!(
        "insert into schedules (organization_id, id, project_id, name, cron, timezone, work, enabled, next_run_at,
            acts_for, acts_for_key)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        organization,
        id.uuid(),
        new.project.uuid(),
        new.name,
        new.rule.cron(),
        new.rule.timezone(),
        work,
        new.enabled,
        next,
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Saves a schedule, which acts for whoever does so.
pub(super) async fn update(tx: &mut WriteTx<'_>, schedule: &Schedule) -> Result<()> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    let work = serde_json::to_value(&schedule.workflow).map_err(Error::internal)?;
    sqlx::query!(
        "update schedules set name = $3, cron = $4, timezone = $5, work = $6, enabled = $7, next_run_at = $8,
            fired_by = $9, acts_for = $10, acts_for_key = $11, updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        schedule.id.uuid(),
        schedule.name,
        schedule.rule.cron(),
        schedule.rule.timezone(),
        work,
        schedule.enabled,
        schedule.next_run_at,
        schedule.fired_by.map(JobId::uuid),
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes which run a schedule has begun, if it has, and when it is due next.
pub(super) async fn fired(
    tx: &mut WriteTx<'_>,
    id: ScheduleId,
    run: Option<JobId>,
    next: Option<DateTime<Utc>>,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update schedules set last_run = coalesce($3, last_run), next_run_at = $4 where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        run.map(JobId::uuid),
        next
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: ScheduleId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from schedules where organization_id = $1 and id = $2", organization, id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}
