//! The worker: wake, take the next job in the line, work, end; and drain when the process shuts down.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use graphile_worker::{WorkerOptions, WorkerShutdownConfig};
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::queue::{self, Wake};
use super::run::{Attempted, BrokenOff, Failure, Run};
use super::store::{self, Claimed, Ending};
use crate::db::Facts;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::events::{Events, Topic};
use crate::id::{JobId, OrganizationId};
use crate::identity::Identity;
use crate::telemetry::metrics::{JobCounts, JobOutcome};
use crate::telemetry::{self, count, trace};

/// What does one kind of job. It may be run twice for the same job, and its result is kept once.
pub trait Work: Send + Sync + 'static {
    /// The kind, for example `document.index`.
    fn kind(&self) -> &'static str;

    /// Works, and ends the job with [`Run::succeed`], or lets it wait.
    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>>;
}

/// How a process works.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Jobs at the same time; 0: none in this process.
    pub slots: usize,
    /// How long a worker is believed to be alive without a sign.
    pub lease: Duration,
    /// How often signs are given, and cancellations noticed.
    pub heartbeat: Duration,
    /// How often jobs are taken back from workers that are gone.
    pub sweep: Duration,
    /// How long running jobs may go on when the process shuts down; then they are given back.
    pub drain: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            slots: 4,
            lease: Duration::from_secs(15),
            heartbeat: Duration::from_secs(1),
            sweep: Duration::from_secs(5),
            drain: Duration::from_secs(20),
        }
    }
}

/// Why an attempt was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    /// Somebody cancelled the job.
    Cancelled,
    /// The job is another worker's by now.
    Lost,
}

#[derive(Debug)]
struct Held {
    attempt: i32,
    broken_off: BrokenOff,
    interruption: Option<Interruption>,
}

/// What every attempt of this process shares. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shop(Arc<Shared>);

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}

struct Shared {
    identity: Arc<Identity>,
    events: Events,
    works: HashMap<&'static str, Box<dyn Work>>,
    counts: HashMap<&'static str, JobCounts>,
    settings: WorkerSettings,
    held: Mutex<HashMap<JobId, Held>>,
    /// Cancelled when no more jobs are to be taken.
    stop: CancellationToken,
    /// Cancelled when running jobs are to be given back.
    drained: CancellationToken,
}

/// How an attempt ended.
enum Outcome {
    Done(Attempted),
    Failed(Failure),
    Interrupted,
    Drained,
}

impl Shop {
    /// Works on one job after another while any is due: a wake-up call that is lost, or comes late, keeps none waiting.
    pub(super) async fn work_off(&self) -> Result<()> {
        while !self.0.stop.is_cancelled() && self.work_once().await? {}
        Ok(())
    }

    /// Takes the next job in the line, if one is due, and works on it; whether there was one.
    async fn work_once(&self) -> Result<bool> {
        let shared = &self.0;
        let lease = shared.identity.lease(Facts::default());
        let kinds: Vec<&str> = shared.works.keys().copied().collect();
        let claimed = {
            let mut tx = lease.anonymous().await?;
            store::claim(&mut tx, &kinds, shared.settings.lease).await?
        };
        lease.release().await;
        let Some(claimed) = claimed else { return Ok(false) };
        self.publish(claimed.organization, claimed.id);
        self.work(&claimed).await;
        Ok(true)
    }

    fn publish(&self, organization: OrganizationId, job: JobId) {
        self.0.events.publish(Topic::Job(organization, job));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, claimed: &Claimed) {
        let Claimed { id, kind, attempt, traceparent, .. } = claimed;
        let span = trace::attempt(kind, id, *attempt, traceparent.as_deref());
        let request = claimed.request_id.as_str().into();
        telemetry::within(request, span.clone(), self.work_within(claimed, &span)).await;
    }

    async fn work_within(&self, claimed: &Claimed, span: &Span) {
        let counts = self.0.counts.get(claimed.kind.as_str());
        let waited = Duration::try_from_secs_f64(claimed.waited).unwrap_or_default();
        let running = counts.map(|counts| counts.begin(waited));
        let broken_off = BrokenOff::default();
        let held = Held { attempt: claimed.attempt, broken_off: broken_off.clone(), interruption: None };
        self.held().insert(claimed.id, held);
        let started = std::time::Instant::now();
        let outcome = self.attempt(claimed, broken_off).await;
        let interruption = self.held().remove(&claimed.id).and_then(|held| held.interruption);
        tracing::info!(
            org.id = %claimed.organization,
            job.id = %claimed.id,
            job.kind = claimed.kind,
            job.attempt = claimed.attempt,
            request.id = claimed.request_id,
            duration.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome = match &outcome {
                Outcome::Done(Attempted::Ended) => "succeeded",
                Outcome::Done(_) => "waiting",
                Outcome::Failed(_) => "failed",
                Outcome::Interrupted => "interrupted",
                Outcome::Drained => "given back",
            },
            "job attempted"
        );
        let took = started.elapsed();
        let ended = self.end(claimed, outcome, interruption).await.unwrap_or_else(|error| {
            // The lease runs out, and the job is taken up again.
            tracing::warn!(job.id = %claimed.id, "the end of a job was not written: {error}");
            JobOutcome::Lost
        });
        drop(running);
        if let Some(counts) = counts {
            counts.end(ended, took);
        }
        trace::attempted(span, ended);
    }

    async fn attempt(&self, claimed: &Claimed, broken_off: BrokenOff) -> Outcome {
        let shared = &self.0;
        let Some(work) = shared.works.get(claimed.kind.as_str()) else {
            return Outcome::Failed(Failure::fail(Fault::new(
                FaultCode::Conflict,
                "This server does not know how to do this job.",
            )));
        };
        let token = broken_off.any.clone();
        let begun = Run::begin(Arc::clone(&shared.identity), claimed.clone(), broken_off).await;
        let run = match begun {
            Ok(run) => run,
            Err(Error::NotFound) => {
                return Outcome::Failed(Failure::fail(Fault::new(
                    FaultCode::Conflict,
                    "Whoever started this job has left the organization, or their API key no longer works.",
                )));
            }
            Err(error) => return Outcome::Failed(error.into()),
        };
        let working = AssertUnwindSafe(work.run(&run)).catch_unwind();
        tokio::select! {
            biased;
            () = token.cancelled() => Outcome::Interrupted,
            outcome = working => match outcome {
                Ok(Ok(attempted)) => Outcome::Done(attempted),
                Ok(Err(failure)) => Outcome::Failed(failure),
                Err(_) => {
                    tracing::error!(job.id = %claimed.id, job.kind = claimed.kind, "a job panicked");
                    Outcome::Failed(Error::internal(anyhow::anyhow!("the job panicked")).into())
                }
            },
            () = shared.drained.cancelled() => Outcome::Drained,
        }
    }

    /// Writes how an attempt ended; what it has saved as its result has ended the job already.
    async fn end(
        &self,
        claimed: &Claimed,
        outcome: Outcome,
        interruption: Option<Interruption>,
    ) -> Result<JobOutcome> {
        let shared = &self.0;
        let lease = shared.identity.lease(Facts::default());
        let mut tx = lease.anonymous().await?;
        // A job that was cancelled while it failed is cancelled.
        let kept = store::renew(&mut tx, &[(claimed.id, claimed.attempt)], shared.settings.lease).await?;
        let Some((_, cancelled)) = kept.first() else {
            if matches!(outcome, Outcome::Failed(_)) && interruption != Some(Interruption::Lost) {
                tracing::debug!(job.id = %claimed.id, "the job had ended before its attempt did");
            }
            // It may have been dropped between saving its result and saying so.
            self.publish(claimed.organization, claimed.id);
            return Ok(match outcome {
                Outcome::Done(Attempted::Ended) => JobOutcome::Succeeded,
                Outcome::Done(Attempted::Parked) => JobOutcome::Waiting,
                _ => JobOutcome::Lost,
            });
        };
        let (ending, ended) = match &outcome {
            _ if *cancelled => (Ending::Cancelled, JobOutcome::Cancelled),
            Outcome::Done(Attempted::Waits { after, why }) => {
                (Ending::Waits { delay: *after, why }, JobOutcome::Waiting)
            }
            Outcome::Done(Attempted::Ended | Attempted::Parked) => {
                return Err(Error::internal(anyhow::anyhow!("{} ended without a result", claimed.kind)));
            }
            Outcome::Interrupted => (Ending::Cancelled, JobOutcome::Cancelled),
            Outcome::Drained => {
                let why = "The server that worked on it is shutting down.";
                let again = Ending::Again { delay: Duration::ZERO, forgive: true, why, fault: None };
                (again, JobOutcome::GivenBack)
            }
            Outcome::Failed(Failure::Fail(fault)) => (Ending::Failed(fault), JobOutcome::Failed),
            Outcome::Failed(Failure::Retry(fault, after)) => {
                let (delay, why) = (back_off(claimed.attempt, *after), fault.message.as_str());
                let again = Ending::Again { delay, forgive: false, why, fault: Some(fault) };
                (again, if claimed.is_last { JobOutcome::Failed } else { JobOutcome::Retried })
            }
        };
        store::end(&mut tx, claimed, &ending).await?;
        drop(tx);
        lease.release().await;
        self.publish(claimed.organization, claimed.id);
        Ok(ended)
    }

    /// Gives a sign of life for every job that is being worked on.
    async fn beat(&self) -> Result<()> {
        let list: Vec<(JobId, i32)> = self.held().iter().map(|(job, held)| (*job, held.attempt)).collect();
        if list.is_empty() {
            return Ok(());
        }
        let lease = self.0.identity.lease(Facts::default());
        let kept: HashMap<JobId, bool> = {
            let mut tx = lease.anonymous().await?;
            store::renew(&mut tx, &list, self.0.settings.lease).await?.into_iter().collect()
        };
        let mut held = self.held();
        for (job, attempt) in list {
            let Some(held) = held.get_mut(&job).filter(|held| held.attempt == attempt) else { continue };
            held.interruption = match kept.get(&job) {
                Some(false) => continue,
                Some(true) => Some(Interruption::Cancelled),
                None => Some(Interruption::Lost),
            };
            if held.interruption == Some(Interruption::Cancelled) {
                held.broken_off.unwanted.cancel();
            }
            held.broken_off.any.cancel();
        }
        Ok(())
    }

    async fn sweep(&self) -> Result<()> {
        let lease = self.0.identity.lease(Facts::default());
        {
            let mut tx = lease.anonymous().await?;
            while let Some((organization, job)) = store::fire_schedule(&mut tx).await? {
                self.publish(organization, job);
            }
        }
        let moved = {
            let mut tx = lease.anonymous().await?;
            store::recover(&mut tx).await?
        };
        for (organization, job) in moved {
            count().recovered();
            tracing::warn!(org.id = %organization, job.id = %job, "a job was taken back from a worker that is gone");
            self.publish(organization, job);
        }
        Ok(())
    }

    /// Beats and sweeps until stopped.
    async fn keep_house(self, stop: CancellationToken) {
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut beats, mut sweeps) = (every(self.0.settings.heartbeat), every(self.0.settings.sweep));
        loop {
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                _ = beats.tick() => self.beat().await,
                _ = sweeps.tick() => self.sweep().await,
            };
            if let Err(error) = outcome {
                tracing::warn!("jobs could not be looked after just now: {error}");
            }
        }
    }
}

/// How long to wait before the next attempt: what the other side asked for, or 1, 2, 4, … seconds, at most five minutes.
pub(crate) fn back_off(attempt: i32, asked: Option<Duration>) -> Duration {
    const MOST: Duration = Duration::from_mins(5);
    let doubled = Duration::from_secs(1 << (attempt - 1).clamp(0, 8));
    asked.unwrap_or(Duration::ZERO).max(doubled).min(MOST)
}

/// A process's workers.
pub struct Workers {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Workers {
    /// Starts them. `serve` is the serving role's connection.
    pub fn start(
        serve: PgConnectOptions,
        identity: Arc<Identity>,
        events: Events,
        works: Vec<Box<dyn Work>>,
        settings: WorkerSettings,
    ) -> Self {
        let stop = CancellationToken::new();
        let shared = Shared {
            identity,
            events,
            counts: works.iter().map(|work| (work.kind(), JobCounts::of(work.kind()))).collect(),
            works: works.into_iter().map(|work| (work.kind(), work)).collect(),
            settings,
            held: Mutex::default(),
            stop: stop.clone(),
            drained: CancellationToken::new(),
        };
        let running = tokio::spawn(run(Shop(Arc::new(shared)), serve, stop.clone()));
        Self { stop, running }
    }

    /// Takes no more jobs, lets running ones finish for a while, and gives the rest back.
    pub async fn stop(self) {
        self.stop.cancel();
        if self.running.await.is_err() {
            tracing::error!("the workers ended in a panic");
        }
    }
}

/// How much longer than our own patience the library's is, so that a job is given back properly before it breaks it off.
const GRACE: Duration = Duration::from_secs(3);
/// How much longer its statements are waited for when it stops: it waits for a frozen database for ever.
const OVERDUE: Duration = Duration::from_secs(5);

async fn run(shop: Shop, serve: PgConnectOptions, stop: CancellationToken) {
    let (drained, settings) = (shop.0.drained.clone(), shop.0.settings);
    let settled = CancellationToken::new();
    let house = tokio::spawn(shop.clone().keep_house(settled.clone()));
    let draining = {
        let stop = stop.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            sleep(settings.drain).await;
            drained.cancel();
        })
    };
    let working = async {
        while !stop.is_cancelled() {
            if let Err(error) = listen(&shop, serve.clone(), &stop).await {
                tracing::warn!("the workers pause: {error:#}");
                // Until the database is back.
                drop(timeout(Duration::from_secs(2), stop.cancelled()).await);
            }
        }
    };
    let overdue = async {
        stop.cancelled().await;
        sleep(settings.drain + OVERDUE).await;
    };
    tokio::select! {
        () = working => {}
        () = overdue => tracing::warn!("the workers stop without having heard from the database"),
    }
    draining.abort();
    settled.cancel();
    drop(house.await);
}

/// Works until stopped, or until the queue's connections fail.
async fn listen(shop: &Shop, serve: PgConnectOptions, stop: &CancellationToken) -> anyhow::Result<()> {
    let settings = shop.0.settings;
    let shutdown = WorkerShutdownConfig::default()
        .listen_os_shutdown_signals(false)
        .grace_period(settings.drain + GRACE)
        .shutdown_signal(stop.clone().cancelled_owned());
    let pool = queue::open(serve);
    let worker = WorkerOptions::default()
        .schema(queue::SCHEMA)
        .pg_pool(pool.clone())
        .concurrency(settings.slots)
        .poll_interval(Duration::from_secs(2))
        .heartbeat_interval(Duration::from_secs(30))
        .worker_shutdown(shutdown)
        .define_job::<Wake>()
        .add_extension(shop.clone())
        .init()
        .await
        .context("the queue does not answer")?;
    let outcome = worker.run().await.context("the queue's worker stopped");
    pool.close().await;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_honours_the_other_side_and_ends() {
        let seconds =
            |attempt, asked: Option<u64>| back_off(attempt, asked.map(Duration::from_secs)).as_secs();
        assert_eq!([seconds(1, None), seconds(2, None), seconds(3, None)], [1, 2, 4]);
        assert_eq!(seconds(1, Some(30)), 30);
        assert_eq!(seconds(4, Some(1)), 8);
        assert_eq!(seconds(i32::MAX, Some(100_000)), 300);
    }
}
