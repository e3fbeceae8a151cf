//! What is done when a schedule is due.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::store;
use crate::access::Action;
use crate::agents::workflow::{self, Content};
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ProjectId, ScheduleId, WorkflowRunId};
use crate::jobs::worker::Work;
use crate::jobs::{self, Attempted, Failure, Finished, Run};
use crate::providers::Providers;
use crate::usage::Amounts;

/// What its job knows, as `app.fire_schedule` writes it.
#[derive(Debug, Deserialize)]
struct Order {
    schedule: Uuid,
    project: Uuid,
    due: DateTime<Utc>,
}

/// What begins the runs of schedules.
pub struct FireSchedule {
    providers: Arc<Providers>,
}

impl FireSchedule {
    /// With these providers of models.
    pub const fn new(providers: Arc<Providers>) -> Self {
        Self { providers }
    }

    /// Begins the run and says when the schedule is due next, in the transaction that ends the job: all of it, or nothing.
    async fn work(&self, run: &Run) -> Result<Attempted, Failure> {
        let Order { schedule, project, due } = {
            let mut tx = run.read(Action::ScheduleRead).await?;
            jobs::input(&mut tx, run.job()).await?
        };
        let (id, project) = (ScheduleId::from(schedule), ProjectId::from(project));
        let mut tx = run.write(Some(project), Action::ScheduleFire).await?;
        let refused = |code, message: &str| Failure::fail(Fault::new(code, message));
        let found = store::lock(&mut tx, id).await?;
        let schedule = found.ok_or_else(|| refused(FaultCode::NotFound, "The schedule was deleted."))?;
        if schedule.fired_by != Some(run.job()) {
            let message = "The schedule was changed before it began anything: it goes by its new times.";
            return Err(refused(FaultCode::Conflict, message));
        }
        let plan = schedule.workflow.plan(&mut tx, &self.providers, project).await.map_err(said)?;
        let begun = match workflow::start(&mut tx, &plan, &Content::new(&plan), None).await {
            Ok((job, _)) => Some(job),
            // A month that is used up is over some day: this time is left out, and the schedule goes on.
            Err(Error::Invalid(faults))
                if faults.iter().all(|fault| fault.code == FaultCode::QuotaExceeded) =>
            {
                None
            }
            Err(error) => return Err(said(error)),
        };
        // What was missed meanwhile is not made up for, time after time.
        let next = schedule.rule.after(Utc::now().max(due));
        store::fired(&mut tx, id, begun, next).await?;
        let made = begun.map(|_| plan.run);
        let left_out = begun.is_none().then_some(FaultCode::QuotaExceeded);
        let changes = Changes::made(&json!({"due": due, "job": begun, "run": made, "leftOut": left_out}));
        let record = Record::with(Target::schedule(id).within(Some(project)), changes);
        let result = made.map(WorkflowRunId::uuid);
        let finished = Finished { result, engine: None, used: Amounts::default() };
        Ok(run.succeed(tx, &finished, record).await?)
    }
}

impl Work for FireSchedule {
    fn kind(&self) -> &'static str {
        "schedule.fire"
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.work(run).boxed()
    }
}

/// A fault as the schedule shows it: nobody is there to whose input it could point.
fn said(error: Error) -> Failure {
    match error {
        Error::Invalid(mut faults) if !faults.is_empty() => {
            Failure::from(Fault { field: None, ..faults.swap_remove(0) })
        }
        other => other.into(),
    }
}
