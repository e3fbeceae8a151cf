//! One attempt at a job: what the worker's code holds while it works.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Engine;
use super::store::{self, Claimed};
use crate::access::{Action, Scope};
use crate::db::{Entry, Facts, Lease, ReadTx, Record, WriteTx};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::events::Topic;
use crate::id::{JobId, OrganizationId, ProjectId};
use crate::identity::Identity;
use crate::usage::{self, Amounts};

/// What a job leaves behind when it succeeds.
#[derive(Debug, Default)]
pub struct Finished {
    /// The id of its output, when it has one.
    pub result: Option<Uuid>,
    /// Which engine did it, when one was needed. What it took stands on the job since it was spent.
    pub engine: Option<Engine>,
    /// What it has taken of what the tier limits, beside what its parts have.
    pub used: Amounts,
}

/// A part of a job that is done.
#[derive(Debug)]
pub struct Part<'a> {
    /// How far the whole job is with it, from 0 to 1.
    pub progress: f32,
    /// What happened, for programs.
    pub kind: &'a str,
    /// What happened, for people.
    pub message: &'a str,
    /// More.
    pub data: Value,
    /// What it has taken of what the tier limits.
    pub used: Amounts,
    /// What was reserved for it.
    pub reserved: Amounts,
}

/// How an attempt came to its end without a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempted {
    /// The job has ended: [`Run::succeed`] has said so.
    Ended,
    /// The job waits: [`Run::park`] has said so.
    Parked,
    /// The job is to be taken up again after this long. It is no failure, and does not count as one.
    Waits {
        /// How long.
        after: Duration,
        /// For what.
        why: String,
    },
}

/// What a parked job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// This time.
    Time(DateTime<Utc>),
    /// That somebody approves, and [`super::resume`] is called.
    Approval,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub enum Failure {
    /// Trying again will not help: the job fails with this.
    Fail(Box<Fault>),
    /// Trying again may help, after this long or after the usual back-off; when the attempts are used up, the job fails
    /// with this.
    Retry(Box<Fault>, Option<Duration>),
}

impl Failure {
    /// Trying again will not help.
    pub fn fail(fault: Fault) -> Self {
        Self::Fail(Box::new(fault))
    }

    /// Trying again may help, after this long or after the usual back-off.
    pub fn retry(fault: Fault, after: Option<Duration>) -> Self {
        Self::Retry(Box::new(fault), after)
    }

    /// What went wrong, for people and programs.
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Fail(fault) | Self::Retry(fault, _) => fault,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match &fault.detail {
            Detail::Provider { retryable: true, .. } => Self::retry(fault, None),
            _ => Self::fail(fault),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(mut faults) if !faults.is_empty() => faults.swap_remove(0).into(),
            Error::Unavailable(_) | Error::Timeout | Error::Internal(_) => {
                Self::retry(Fault::new(FaultCode::Conflict, error.message()), None)
            }
            Error::NotFound => Self::fail(Fault::new(FaultCode::NotFound, error.message())),
            // Whoever started it may no longer do it.
            other => Self::fail(Fault::new(FaultCode::Conflict, other.message())),
        }
    }
}

/// What tells an attempt that it is broken off.
#[derive(Debug, Clone, Default)]
pub(super) struct BrokenOff {
    /// Cancelled when it is, whatever the reason.
    pub any: CancellationToken,
    /// Cancelled before that when somebody has cancelled the job.
    pub unwanted: CancellationToken,
}

/// One attempt at a job, in its creator's name. It holds no connection while it thinks: a transaction is opened, used
/// and let go.
pub struct Run {
    identity: Arc<Identity>,
    claimed: Claimed,
    lease: Lease,
    scope: Mutex<Arc<Scope>>,
    broken_off: BrokenOff,
    /// The part of the whole that progress is told of.
    part: Mutex<(f32, f32)>,
}

impl Run {
    /// Reads the creator's rights again, and begins.
    pub(super) async fn begin(
        identity: Arc<Identity>,
        claimed: Claimed,
        broken_off: BrokenOff,
    ) -> Result<Self> {
        let facts = Facts { request_id: claimed.request_id.clone(), ..Facts::default() };
        let lease = identity.lease(facts);
        let scope = identity.scope_of_job(&lease, claimed.organization, claimed.id, claimed.attempt).await?;
        let part = Mutex::new((0.0, 1.0));
        Ok(Self { identity, claimed, lease, scope: Mutex::new(scope), broken_off, part })
    }

    /// Whose job it is.
    pub const fn organization(&self) -> OrganizationId {
        self.claimed.organization
    }

    /// The job.
    pub const fn job(&self) -> JobId {
        self.claimed.id
    }

    /// Which attempt this is, from 1.
    pub const fn attempt(&self) -> i32 {
        self.claimed.attempt
    }

    /// Completes when somebody has cancelled the job, or it is no longer this worker's. What the work awaits is dropped
    /// then anyway; this is for what does not await.
    pub const fn cancelled(&self) -> &CancellationToken {
        &self.broken_off.any
    }

    /// Whether somebody has cancelled the job, so that nobody takes it up again: what is dropped may ask, to leave nothing
    /// behind elsewhere.
    pub fn is_unwanted(&self) -> bool {
        self.broken_off.unwanted.is_cancelled()
    }

    /// What the creator may do.
    pub fn scope(&self) -> Arc<Scope> {
        Arc::clone(&self.scope.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn renew(&self) -> Result<Arc<Scope>> {
        let Claimed { organization, id, attempt, .. } = &self.claimed;
        let scope = self.identity.scope_of_job(&self.lease, *organization, *id, *attempt).await?;
        *self.scope.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&scope);
        Ok(scope)
    }

    /// Opens or joins a transaction that looks.
    ///
    /// # Errors
    /// `Forbidden` when the creator may no longer look, or what the database says.
    pub async fn read(&self, action: Action) -> Result<ReadTx<'_>> {
        match self.lease.read(&self.scope(), action).await {
            Err(Entry::Stale) => {
                let scope = self.renew().await?;
                Ok(self.lease.read(&scope, action).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Opens a transaction that changes the organization, or one project of it.
    ///
    /// # Errors
    /// `Forbidden` when the creator may no longer do it, or what the database says.
    pub async fn write(&self, project: Option<ProjectId>, action: Action) -> Result<WriteTx<'_>> {
        match self.open(&self.scope(), project, action).await {
            Err(Entry::Stale) => {
                let scope = self.renew().await?;
                Ok(self.open(&scope, project, action).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn open(
        &self,
        scope: &Arc<Scope>,
        project: Option<ProjectId>,
        action: Action,
    ) -> Result<WriteTx<'_>, Entry> {
        match project {
            None => self.lease.write(scope, action).await,
            Some(project) => self.lease.write_in(scope, project, action).await,
        }
    }

    /// Gives the connection back, for work that now waits for something else.
    pub async fn release(&self) {
        self.lease.release().await;
    }

    /// Notes how far the work is (0 to 1) and what it does now. Open transactions are ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the job is no longer this worker's.
    pub async fn progress(&self, progress: f32, message: &str) -> Result<()> {
        let (from, to) = *self.part.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = from + (to - from) * progress.clamp(0.0, 1.0);
        self.note(Some(progress), "progress", Some(message), None).await
    }

    /// Has the progress that is told from now on mean a part of the whole: whoever tells it knows of that part only.
    pub fn begin_part(&self, from: f32, to: f32) {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = (from, to);
    }

    /// Notes something for whoever watches. Open transactions are ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the job is no longer this worker's.
    pub async fn note(
        &self,
        progress: Option<f32>,
        kind: &str,
        message: Option<&str>,
        data: Option<&Value>,
    ) -> Result<()> {
        let kept = {
            let mut tx = self.lease.anonymous().await?;
            store::advance(&mut tx, &self.claimed, progress, kind, message, data).await?
        };
        self.lease.release().await;
        if !kept {
            return Err(Error::NotFound);
        }
        self.lease.events().publish(Topic::Job(self.organization(), self.job()));
        Ok(())
    }

    /// Counts what has been spent on an engine, and stays so whatever becomes of the work: of what the tier limits, and of what
    /// the job says that it took. Open transactions are ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the job is no longer this worker's.
    pub async fn spend(&self, spent: Amounts, engine: &Engine) -> Result<()> {
        let kept = {
            let mut tx = self.lease.anonymous().await?;
            store::spend(&mut tx, &self.claimed, spent, engine).await?
        };
        self.lease.release().await;
        if kept { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Notes that the built-in engine works because the provider did not.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the job is no longer this worker's.
    pub async fn fall_back(&self, failure: &Failure) -> Result<()> {
        let message = format!("{} The built-in engine works instead.", failure.fault().message);
        self.note(None, "fallback", Some(&message), None).await
    }

    /// Makes sure that what a transaction changes is kept only while the job is this worker's and nobody has cancelled it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was cancelled or is no longer this worker's.
    pub async fn hold(&self, tx: &mut WriteTx<'_>) -> Result<()> {
        if store::hold(tx, self.job(), self.attempt()).await? { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Ends the job with its result, in the transaction that saves it: both are kept, or neither.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was cancelled or is no longer this worker's; then nothing is kept.
    pub async fn succeed(
        &self,
        mut tx: WriteTx<'_>,
        finished: &Finished,
        record: Record,
    ) -> Result<Attempted> {
        if !store::succeed(&mut tx, self.job(), self.attempt(), finished).await? {
            return Err(Error::NotFound);
        }
        tx.commit(record).await?;
        self.lease.events().publish(Topic::Job(self.organization(), self.job()));
        Ok(Attempted::Ended)
    }

    /// Notes that a part of the work is done, in the transaction that saves it: both are kept, or neither. The job goes on.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED` when it has taken more than was reserved and than there is; [`Error::NotFound`] when it was cancelled or is no longer this worker's; then nothing is kept.
    pub async fn keep(&self, mut tx: WriteTx<'_>, part: Part<'_>, record: Record) -> Result<()> {
        usage::reserve_work(&mut tx, part.used.beyond(part.reserved)).await?;
        if !store::keep(&mut tx, self.job(), self.attempt(), part).await? {
            return Err(Error::NotFound);
        }
        tx.commit(record).await?;
        self.lease.events().publish(Topic::Job(self.organization(), self.job()));
        Ok(())
    }

    /// Lets the job wait, in the transaction that saves where it stands: both are kept, or neither. It is taken up again
    /// from its beginning, by whichever worker is free then.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was cancelled or is no longer this worker's; then nothing is kept.
    pub async fn park(
        &self,
        mut tx: WriteTx<'_>,
        until: Until,
        why: &str,
        record: Record,
    ) -> Result<Attempted> {
        if !store::park(&mut tx, self.job(), self.attempt(), until, why).await? {
            return Err(Error::NotFound);
        }
        tx.commit(record).await?;
        self.lease.events().publish(Topic::Job(self.organization(), self.job()));
        Ok(Attempted::Parked)
    }
}

/// Runs what computes where no other request waits for it.
///
/// # Errors
/// When it panics.
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
