//! What a project has done at set times: runs of workflows, by a cron expression in a time zone.
//!
//! A schedule that is due gets a job: `app.fire_schedule` takes it from the line of due ones and enqueues the job in one
//! statement, so that however many processes look, and whatever is killed when, there is one job for each time. In one
//! transaction, in the name of whoever the schedule acts for, that job ([`fire`]) begins the run and says when the schedule
//! is due next. When it comes to nothing, because that person has left, may no longer run agents, or the workflow is gone,
//! the schedule is due no more: it has paused itself, and the job's fault says why.

pub mod fire;
pub mod graphql;
pub mod rule;
mod store;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::rule::Rule;
use crate::agents::workflow::value::Value;
use crate::agents::workflow::{self, Plan};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, JobId, OrganizationId, PeriodId, ProjectId, ScheduleId, UserId};
use crate::providers::Providers;
use crate::retrieval::Language;
use crate::{idempotency, input, periods, projects};

/// Schedules of a project at the most.
pub const MOST: i64 = 50;
/// Characters of a schedule's name.
const NAME: usize = 100;

/// The run of a workflow that a schedule begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// The template: its key or its id.
    pub template: String,
    /// What it is about.
    pub brief: String,
    /// The period that it is for.
    pub period: Option<PeriodId>,
    /// The language.
    pub language: Language,
    /// Values of the template's variables.
    pub options: BTreeMap<String, Value>,
}

impl Workflow {
    /// Plans what is to be done now, checked as if somebody asked for it now.
    ///
    /// # Errors
    /// A fault at the field.
    pub async fn plan(&self, tx: &mut ReadTx<'_>, providers: &Providers, project: ProjectId) -> Result<Plan> {
        let Self { template, brief, period, language, options } = self;
        if let Some(period) = period
            && periods::find(tx, *period).await?.is_none()
        {
            let message = "There is no such period, or it is not visible to you.";
            return Err(Error::fault(Fault::at(FaultCode::NotFound, "periodId", message)));
        }
        let asked = workflow::Asked {
            project,
            template: template.clone(),
            brief: brief.clone(),
            period: *period,
            language: *language,
            options: options.clone(),
            engine: None,
            seed: None,
        };
        asked.plan(tx, providers).await
    }

    /// What tells it from another one: whole, it is too long for a log.
    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: ScheduleId,
    /// In which project.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// When it is due.
    pub rule: Rule,
    /// What it begins then.
    pub workflow: Workflow,
    /// Whether somebody wants it to go on.
    pub enabled: bool,
    /// When it is due next; none while it is paused or its job works.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The job that was made when it was due last.
    pub fired_by: Option<JobId>,
    /// Why it has paused itself.
    pub paused: Option<Fault>,
    /// The job of the run that it has begun last.
    pub last_run: Option<JobId>,
    /// The person that it acts for.
    pub acts_for: UserId,
    /// The key of theirs that it acts for.
    pub acts_for_key: Option<ApiKeyId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Schedule {
    /// Whether it goes on by itself.
    pub const fn is_on(&self) -> bool {
        self.enabled && self.paused.is_none()
    }
}

/// What the audit log keeps of a schedule.
pub fn logged(schedule: &Schedule) -> serde_json::Value {
    json!({
        "name": schedule.name, "cron": schedule.rule.cron(), "timezone": schedule.rule.timezone(),
        "enabled": schedule.is_on(), "template": schedule.workflow.template,
        "workflow": schedule.workflow.fingerprint(),
    })
}

/// A new schedule, checked as far as it can be without the database.
#[derive(Debug)]
pub struct NewSchedule {
    project: ProjectId,
    name: String,
    rule: Rule,
    workflow: Workflow,
    enabled: bool,
}

impl NewSchedule {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(
        project: ProjectId,
        name: &str,
        (cron, timezone): (&str, &str),
        workflow: Workflow,
        enabled: bool,
    ) -> Result<Self> {
        let (name, rule) = (input::line("name", name, NAME)?, Rule::parse(cron, timezone)?);
        Ok(Self { project, name, rule, workflow, enabled })
    }
}

/// Faults of what is done stand below the input's `workflow`.
fn in_workflow(error: Error) -> Error {
    let Error::Invalid(mut faults) = error else { return error };
    for path in faults.iter_mut().filter_map(|fault| fault.field.as_mut()) {
        path.insert(path.len().min(1), "workflow".to_owned());
    }
    Error::Invalid(faults)
}

/// Makes a schedule. Gives it, and whether it is a new one.
///
/// # Errors
/// A fault at the field; `NOT_FOUND` for the project; `CONFLICT` when there are too many; `IDEMPOTENCY_KEY_REUSED`.
pub async fn create(
    tx: &mut WriteTx<'_>,
    providers: &Providers,
    new: &NewSchedule,
    repeated: Option<&idempotency::Key>,
) -> Result<(Schedule, bool)> {
    let id = ScheduleId::generate();
    if let Some(earlier) = idempotency::claim(tx, repeated, id.uuid()).await? {
        return Ok((find(tx, earlier.into()).await?.ok_or(Error::NotFound)?, false));
    }
    if projects::find(tx, new.project).await?.is_none() {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    new.workflow.plan(tx, providers, new.project).await.map_err(in_workflow)?;
    tx.take_turn(&format!("schedules {}", new.project)).await?;
    if store::count(tx, new.project).await? >= MOST {
        let message = format!("A project has at most {MOST} schedules. Delete one that is not used.");
        return Err(Error::fault(Fault::new(FaultCode::Conflict, message)));
    }
    let next = new.enabled.then(|| new.rule.after(Utc::now())).flatten();
    store::insert(tx, id, new, next).await?;
    Ok((find(tx, id).await?.ok_or(Error::NotFound)?, true))
}

/// A change of a schedule: absent leaves unchanged.
#[derive(Debug, Default)]
pub struct ScheduleUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another expression.
    pub cron: Option<String>,
    /// Another time zone.
    pub timezone: Option<String>,
    /// Something else to do.
    pub workflow: Option<Workflow>,
    /// Whether it goes on.
    pub enabled: Option<bool>,
}

/// Changes a schedule, which acts for whoever does so from then on. Gives it as it was and as it is.
///
/// # Errors
/// A fault at the field; `NOT_FOUND`.
pub async fn update(
    tx: &mut WriteTx<'_>,
    providers: &Providers,
    id: ScheduleId,
    change: ScheduleUpdate,
) -> Result<(Schedule, Schedule)> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    let mut after = before.clone();
    if let Some(name) = change.name {
        after.name = input::line("name", &name, NAME)?;
    }
    let is_moved = change.cron.is_some() || change.timezone.is_some();
    if is_moved {
        let cron = change.cron.as_deref().unwrap_or(before.rule.cron());
        after.rule = Rule::parse(cron, change.timezone.as_deref().unwrap_or(before.rule.timezone()))?;
    }
    if let Some(workflow) = change.workflow {
        workflow.plan(tx, providers, before.project).await.map_err(in_workflow)?;
        after.workflow = workflow;
    }
    match change.enabled {
        Some(false) => (after.enabled, after.next_run_at, after.fired_by) = (false, None, None),
        // Its times begin anew; a job that was made for the ones before begins nothing.
        wanted if (wanted == Some(true) && !before.is_on()) || (is_moved && before.is_on()) => {
            (after.enabled, after.fired_by) = (true, None);
            after.next_run_at = after.rule.after(Utc::now());
        }
        _ => {}
    }
    store::update(tx, &after).await?;
    Ok((before, find(tx, id).await?.ok_or(Error::NotFound)?))
}

/// Deletes a schedule. Gives it as it was. Runs that have begun go on.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, id: ScheduleId) -> Result<Schedule> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    store::delete(tx, id).await?;
    Ok(before)
}

/// One schedule.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: ScheduleId) -> Result<Option<Schedule>> {
    store::find(tx, id).await
}

/// One page of a project's schedules, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, project: ProjectId) -> Result<Slice<Schedule>> {
    store::list(tx, page, project).await
}

/// How many a project has.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<i64> {
    store::count(tx, project).await
}
