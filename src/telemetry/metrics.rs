//! Every figure that `/metrics` shows: its name, what it says, and the handle that counts it.
//!
//! What a label may say comes from the schema, from a closed list or from the register of jobs, and never from a caller's
//! text, so that the number of series is bounded. Handles are made once; counting is an atomic addition.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Label, SharedString};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::error::Code;

/// A figure.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, in its base unit.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it is split by.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many were at most so large; the bounds.
    Histogram(&'static [f64]),
}

use Kind::{Counter as COUNTER, Gauge as GAUGE, Histogram as HISTOGRAM};

/// Seconds that an answer takes.
const ANSWER: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds until there is a connection; requests give up after two.
const CONNECTION: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.0];
/// Seconds that work takes which outlives a request.
const WORK: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

macro_rules! catalogue {
    ($($constant:ident: $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: Metric =
            Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// All of them.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

catalogue! {
    BUILD: GAUGE, "aicos_build_info", ["version"], "1, for the version that runs.";
    HTTP_REQUESTS: COUNTER, "aicos_http_requests_total", ["route", "status"], "HTTP requests that were answered.";
    HTTP_DURATION: HISTOGRAM(ANSWER), "aicos_http_request_duration_seconds", ["route"], "Time from a request's head to its answer's head.";
    OPERATIONS: COUNTER, "aicos_graphql_operations_total", ["kind", "field", "outcome"], "GraphQL operations that ran, by their root field (`several` when there is more than one) and `ok` or the code of the first error.";
    OPERATION_DURATION: HISTOGRAM(ANSWER), "aicos_graphql_operation_duration_seconds", ["kind", "field"], "Time that queries and mutations ran.";
    REFUSALS: COUNTER, "aicos_graphql_refusals_total", ["code"], "Requests and operations that were refused before anything ran.";
    ERRORS: COUNTER, "aicos_graphql_errors_total", ["code"], "Errors that callers were sent, refusals and the errors of single fields.";
    POINTS: COUNTER, "aicos_graphql_points_total", [], "Points that operations were charged.";
    RATE_LIMITED: COUNTER, "aicos_rate_limit_refusals_total", ["policy"], "Requests that exceeded a budget, by whose it was.";
    RATE_LIMIT_OUTAGE: COUNTER, "aicos_rate_limit_outage_total", ["outcome"], "Requests that could not be counted in Redis: `counted_here`, or `refused` when they would change something.";
    TURN_WAIT: HISTOGRAM(CONNECTION), "aicos_admission_wait_seconds", [], "Time that requests waited for their turn; those that had it at once are not among them.";
    TURNED_AWAY: COUNTER, "aicos_admission_rejections_total", ["reason"], "Requests that were turned away because there was too much to do.";
    DOCUMENTS: COUNTER, "aicos_graphql_documents_total", ["cache"], "Documents that were looked up among those that had been checked before.";
    CONNECTIONS: GAUGE, "aicos_database_connections", ["state"], "Open database connections of the pool.";
    CONNECTIONS_MAX: GAUGE, "aicos_database_connections_max", [], "Database connections at the most.";
    CONNECTION_WAITERS: GAUGE, "aicos_database_connection_waiters", [], "Requests and jobs that wait for a database connection.";
    CONNECTION_WAIT: HISTOGRAM(CONNECTION), "aicos_database_connection_wait_seconds", [], "Time until there was a database connection.";
    CONNECTION_ERRORS: COUNTER, "aicos_database_connection_errors_total", ["reason"], "Times that there was no database connection to be had.";
    TRANSACTIONS: COUNTER, "aicos_database_transactions_total", ["access"], "Transactions that were opened; the hot statements, which are one by themselves, are not among them.";
    STATEMENTS: COUNTER, "aicos_database_statements_total", [], "Statements that were sent to the database.";
    JOBS_ENQUEUED: COUNTER, "aicos_jobs_enqueued_total", ["kind"], "Jobs that were enqueued.";
    JOBS_STARTED: COUNTER, "aicos_jobs_started_total", ["kind"], "Attempts at jobs that were begun here.";
    JOBS_FINISHED: COUNTER, "aicos_jobs_finished_total", ["kind", "outcome"], "Attempts at jobs that ended here.";
    JOBS_RUNNING: GAUGE, "aicos_jobs_running", ["kind"], "Jobs that are worked on here.";
    JOBS_WAITING: GAUGE, "aicos_jobs_waiting", [], "Jobs of all organizations that are due and wait for a worker; counted up to 1,000, and the same in every process.";
    JOBS_OLDEST: GAUGE, "aicos_jobs_oldest_waiting_seconds", [], "How long the first of the waiting jobs has been due.";
    JOBS_RECOVERED: COUNTER, "aicos_jobs_recovered_total", [], "Jobs that were taken back from workers that gave no sign of life.";
    JOB_WAIT: HISTOGRAM(WORK), "aicos_job_wait_seconds", ["kind"], "Time that jobs were due before a worker took them.";
    JOB_DURATION: HISTOGRAM(WORK), "aicos_job_duration_seconds", ["kind"], "Time that attempts at jobs took.";
    LIVE_CONNECTIONS: GAUGE, "aicos_live_connections", ["transport"], "Open sockets and event streams.";
    LIVE_OPERATIONS: GAUGE, "aicos_live_operations", ["transport"], "Subscriptions that run.";
    LIVE_EVENTS: COUNTER, "aicos_live_events_total", ["transport"], "Answers that were sent over sockets and event streams.";
    SOCKET_CLOSES: COUNTER, "aicos_socket_closes_total", ["code"], "Sockets that ended, by the server's close code; `none` when the client went by itself.";
    HASHES: GAUGE, "aicos_password_hashes", ["state"], "Passwords that are being hashed, or wait for it.";
    HASH_REFUSALS: COUNTER, "aicos_password_hash_refusals_total", [], "Times that too many passwords waited to be hashed.";
    THROTTLED: COUNTER, "aicos_throttled_total", ["attempt"], "Sign-ins, sign-ups and mails that were refused because there had been too many.";
    PROVIDER_REQUESTS: COUNTER, "aicos_provider_requests_total", ["provider", "outcome"], "Calls of providers of models.";
    PROVIDER_DURATION: HISTOGRAM(WORK), "aicos_provider_request_duration_seconds", ["provider"], "Time that calls of providers of models took.";
    PROVIDER_TOKENS: COUNTER, "aicos_provider_tokens_total", ["provider", "direction"], "Tokens that providers of models counted.";
    TRACES: COUNTER, "aicos_trace_deliveries_total", ["outcome"], "Batches of spans that were sent to the collector.";
    PANICS: COUNTER, "aicos_panics_total", [], "Tasks that panicked.";
    PROCESS_CPU: COUNTER, "process_cpu_seconds_total", [], "Processor time of this process, in whole seconds.";
    PROCESS_MEMORY: GAUGE, "process_resident_memory_bytes", [], "Memory of this process that is in use.";
    PROCESS_FDS: GAUGE, "process_open_fds", [], "Open file descriptors of this process.";
    PROCESS_MAX_FDS: GAUGE, "process_max_fds", [], "Open file descriptors of this process at the most.";
    PROCESS_START: GAUGE, "process_start_time_seconds", [], "When this process was started, in seconds since 1970.";
}

impl Metric {
    fn labelled<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Vec<Label> {
        debug_assert_eq!(self.labels.len(), N, "{}", self.name);
        self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, value)).collect()
    }

    /// The counter with these labels, for what is counted seldom.
    pub fn counter<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Counter {
        metrics::counter!(self.name, self.labelled(values))
    }

    fn gauge<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Gauge {
        metrics::gauge!(self.name, self.labelled(values))
    }

    /// The histogram with these labels, for what is measured seldom.
    pub fn histogram<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Histogram {
        metrics::histogram!(self.name, self.labelled(values))
    }

    fn describe(&self) {
        match self.kind {
            Kind::Counter => metrics::describe_counter!(self.name, self.help),
            Kind::Gauge => metrics::describe_gauge!(self.name, self.help),
            Kind::Histogram(_) => metrics::describe_histogram!(self.name, self.help),
        }
    }
}

/// No labels.
pub const NONE: [&str; 0] = [];

/// The addresses that requests are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/graphql`.
    Graphql,
    /// `/graphql/stream`.
    Stream,
    /// `/livez` and `/readyz`.
    Probe,
    /// `/metrics`.
    Metrics,
    /// Everything else.
    Other,
}

impl Route {
    const ALL: [Self; 5] = [Self::Graphql, Self::Stream, Self::Probe, Self::Metrics, Self::Other];

    /// The one that an address belongs to.
    pub fn of(path: &str) -> Self {
        match path {
            "/graphql" => Self::Graphql,
            "/graphql/stream" => Self::Stream,
            "/livez" | "/readyz" => Self::Probe,
            "/metrics" => Self::Metrics,
            _ => Self::Other,
        }
    }

    /// How it is labelled.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Graphql => "/graphql",
            Self::Stream => "/graphql/stream",
            Self::Probe => "probe",
            Self::Metrics => "/metrics",
            Self::Other => "other",
        }
    }
}

/// The statuses that answers have here; others are counted as one.
const STATUSES: [u16; 21] =
    [200, 101, 204, 206, 304, 400, 401, 403, 404, 405, 406, 408, 413, 415, 429, 431, 500, 502, 503, 504, 505];

/// The answers at one route.
struct Answers {
    route: Route,
    by_status: [OnceLock<Counter>; STATUSES.len() + 1],
    duration: Histogram,
}

impl Answers {
    fn of(route: Route) -> Self {
        Self {
            route,
            by_status: [const { OnceLock::new() }; STATUSES.len() + 1],
            duration: HTTP_DURATION.histogram([route.as_str()]),
        }
    }

    fn count(&self, status: u16, took: Duration) {
        let place = STATUSES.iter().position(|known| *known == status);
        let counter = self.by_status[place.unwrap_or(STATUSES.len())].get_or_init(|| {
            let status = place.map_or_else(|| "other".to_owned(), |_| status.to_string());
            HTTP_REQUESTS.counter([self.route.as_str().to_owned(), status])
        });
        counter.increment(1);
        self.duration.record(took);
    }
}

/// Query, mutation or subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// It looks.
    Query,
    /// It changes.
    Mutation,
    /// It is answered more than once.
    Subscription,
}

impl OperationKind {
    const ALL: [Self; 3] = [Self::Query, Self::Mutation, Self::Subscription];

    /// How it is labelled.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// The operations of one kind with one root field. A series is made when it is first needed: most never are.
#[derive(Debug)]
pub struct OperationCounts {
    kind: OperationKind,
    field: SharedString,
    /// `ok`, then the codes.
    outcomes: [OnceLock<Counter>; Code::ALL.len() + 1],
    duration: OnceLock<Histogram>,
}

impl OperationCounts {
    fn new(kind: OperationKind, field: impl Into<SharedString>) -> Self {
        Self {
            kind,
            field: field.into(),
            outcomes: [const { OnceLock::new() }; Code::ALL.len() + 1],
            duration: OnceLock::new(),
        }
    }

    /// Its root field, or `several`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Counts one that ran; none is a success.
    pub fn ended(&self, outcome: Option<Code>) {
        let place = outcome.map_or(0, |code| code as usize + 1);
        let counter = self.outcomes[place].get_or_init(|| {
            let outcome = outcome.map_or("ok", Code::as_str);
            OPERATIONS.counter([self.kind.as_str().into(), self.field.clone(), outcome.into()])
        });
        counter.increment(1);
    }

    /// Notes how long one ran.
    pub fn took(&self, time: Duration) {
        let duration = self.duration.get_or_init(|| {
            OPERATION_DURATION.histogram([SharedString::from(self.kind.as_str()), self.field.clone()])
        });
        duration.record(time);
    }
}

/// The operations that a schema allows, by kind and root field.
#[derive(Debug)]
pub struct Operations {
    known: [HashMap<String, OperationCounts>; OperationKind::ALL.len()],
    several: [OperationCounts; OperationKind::ALL.len()],
}

impl Operations {
    /// Those of a schema with these root fields.
    pub fn new(roots: impl IntoIterator<Item = (OperationKind, String)>) -> Self {
        let mut known = OperationKind::ALL.map(|_| HashMap::new());
        for (kind, field) in roots {
            known[kind as usize].insert(field.clone(), OperationCounts::new(kind, field));
        }
        Self { known, several: OperationKind::ALL.map(|kind| OperationCounts::new(kind, "several")) }
    }

    /// The ones of a kind with this root field; none stands for more than one.
    pub fn of(&self, kind: OperationKind, field: Option<&str>) -> &OperationCounts {
        let known = field.and_then(|field| self.known[kind as usize].get(field));
        known.unwrap_or(&self.several[kind as usize])
    }
}

/// How an attempt at a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// The job is done.
    Succeeded,
    /// The job has failed.
    Failed,
    /// The job is tried again later.
    Retried,
    /// The job waits for a time, another system or an approval.
    Waiting,
    /// Somebody cancelled the job.
    Cancelled,
    /// The server shuts down; another one takes the job up.
    GivenBack,
    /// The job is another worker's by now.
    Lost,
}

impl JobOutcome {
    const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::Retried,
        Self::Waiting,
        Self::Cancelled,
        Self::GivenBack,
        Self::Lost,
    ];

    /// How it is labelled.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Retried => "retried",
            Self::Waiting => "waiting",
            Self::Cancelled => "cancelled",
            Self::GivenBack => "given_back",
            Self::Lost => "lost",
        }
    }
}

/// The jobs of one kind.
#[derive(Debug)]
pub struct JobCounts {
    started: Counter,
    running: Gauge,
    wait: Histogram,
    duration: Histogram,
    finished: [Counter; JobOutcome::ALL.len()],
}

impl JobCounts {
    /// Those of a kind, which is one of the register's.
    pub fn of(kind: &'static str) -> Self {
        LazyLock::force(&COUNTS);
        Self {
            started: JOBS_STARTED.counter([kind]),
            running: JOBS_RUNNING.gauge([kind]),
            wait: JOB_WAIT.histogram([kind]),
            duration: JOB_DURATION.histogram([kind]),
            finished: JobOutcome::ALL.map(|outcome| JOBS_FINISHED.counter([kind, outcome.as_str()])),
        }
    }

    /// Counts an attempt that begins, and the job as running until this is dropped.
    pub fn begin(&self, waited: Duration) -> Counted {
        self.started.increment(1);
        self.wait.record(waited);
        Counted::new(&self.running)
    }

    /// Counts an attempt that has ended.
    pub fn end(&self, outcome: JobOutcome, took: Duration) {
        self.finished[outcome as usize].increment(1);
        self.duration.record(took);
    }
}

/// How somebody is connected who stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket.
    Socket,
    /// An event stream.
    Stream,
}

impl Transport {
    const ALL: [Self; 2] = [Self::Socket, Self::Stream];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "websocket",
            Self::Stream => "stream",
        }
    }
}

struct LiveCounts {
    connections: Gauge,
    operations: Gauge,
    events: Counter,
}

impl LiveCounts {
    fn of(transport: Transport) -> Self {
        let label = [transport.as_str()];
        Self {
            connections: LIVE_CONNECTIONS.gauge(label),
            operations: LIVE_OPERATIONS.gauge(label),
            events: LIVE_EVENTS.counter(label),
        }
    }
}

/// Is counted until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// What the pool of connections is like.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// Connections that are open.
    pub open: usize,
    /// Open ones that somebody has.
    pub used: usize,
    /// How many wait for one.
    pub waiting: usize,
    /// Connections at the most.
    pub most: usize,
}

/// Why there was no database connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Others had all of them for too long.
    Exhausted,
    /// The database did not answer in time.
    Slow,
    /// The database did not let anybody in.
    Refused,
    /// The server is shutting down.
    Closed,
}

impl Missing {
    const ALL: [Self; 4] = [Self::Exhausted, Self::Slow, Self::Refused, Self::Closed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Slow => "slow",
            Self::Refused => "refused",
            Self::Closed => "closed",
        }
    }
}

/// What of the work is due and nobody's yet.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Jobs.
    pub jobs: u32,
    /// How long the first of them has been due, in seconds.
    pub seconds: f64,
}

/// The handles of this process.
pub struct Counts {
    exporter: PrometheusHandle,
    answers: [Answers; Route::ALL.len()],
    refusals: [Counter; Code::ALL.len()],
    errors: [Counter; Code::ALL.len()],
    points: Counter,
    documents: [Counter; 2],
    connection_wait: Histogram,
    connection_errors: [Counter; Missing::ALL.len()],
    transactions: [Counter; 2],
    statements: Counter,
    recovered: Counter,
    live: [LiveCounts; Transport::ALL.len()],
    traces: [Counter; 2],
    hash_refusals: Counter,
    panics: Counter,
}

static COUNTS: LazyLock<Counts> = LazyLock::new(Counts::install);

/// What is counted in this process.
pub fn count() -> &'static Counts {
    &COUNTS
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    ALL.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        Kind::Histogram(bounds) => {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
        }
        _ => Ok(builder),
    })
}

/// A number that is small enough to be exact.
fn exact(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Counts {
    /// Begins to count.
    fn install() -> Self {
        let recorder = builder().unwrap_or_default().build_recorder();
        let exporter = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::error!("somebody else counts in this process: /metrics stays empty");
        }
        ALL.iter().for_each(Metric::describe);
        BUILD.gauge([env!("CARGO_PKG_VERSION")]).set(1);
        backlog(None);
        Self {
            exporter,
            answers: Route::ALL.map(Answers::of),
            refusals: Code::ALL.map(|code| REFUSALS.counter([code.as_str()])),
            errors: Code::ALL.map(|code| ERRORS.counter([code.as_str()])),
            points: POINTS.counter(NONE),
            documents: ["miss", "hit"].map(|cache| DOCUMENTS.counter([cache])),
            connection_wait: CONNECTION_WAIT.histogram(NONE),
            connection_errors: Missing::ALL.map(|why| CONNECTION_ERRORS.counter([why.as_str()])),
            transactions: ["read", "write"].map(|access| TRANSACTIONS.counter([access])),
            statements: STATEMENTS.counter(NONE),
            recovered: JOBS_RECOVERED.counter(NONE),
            live: Transport::ALL.map(LiveCounts::of),
            traces: ["failed", "delivered"].map(|outcome| TRACES.counter([outcome])),
            hash_refusals: HASH_REFUSALS.counter(NONE),
            panics: PANICS.counter(NONE),
        }
    }

    /// An HTTP request was answered.
    pub fn answer(&self, route: Route, status: u16, took: Duration) {
        self.answers[route as usize].count(status, took);
    }

    /// A request or an operation was refused before anything ran.
    pub fn refusal(&self, code: Code) {
        self.refusals[code as usize].increment(1);
    }

    /// A caller was sent an error.
    pub fn error(&self, code: Code) {
        self.errors[code as usize].increment(1);
    }

    /// An operation was charged.
    pub fn points(&self, points: u64) {
        self.points.increment(points);
    }

    /// A document was looked up among those that had been checked before.
    pub fn document(&self, is_known: bool) {
        self.documents[usize::from(is_known)].increment(1);
    }

    /// Somebody has waited for a connection.
    pub fn connection_wait(&self, since: Instant) {
        self.connection_wait.record(since.elapsed());
    }

    /// There was no connection.
    pub fn missing(&self, why: Missing) {
        self.connection_errors[why as usize].increment(1);
    }

    /// A transaction was opened.
    pub fn transaction(&self, is_write: bool) {
        self.transactions[usize::from(is_write)].increment(1);
    }

    /// A statement was sent.
    pub fn statement(&self) {
        self.statements.increment(1);
    }

    /// A job was enqueued.
    pub fn enqueued(&self, kind: &'static str) {
        JOBS_ENQUEUED.counter([kind]).increment(1);
    }

    /// A job was taken back from a worker that is gone.
    pub fn recovered(&self) {
        self.recovered.increment(1);
    }

    /// A socket or stream, until this is dropped.
    pub fn connected(&self, transport: Transport) -> Counted {
        Counted::new(&self.live[transport as usize].connections)
    }

    /// A subscription that runs, until this is dropped.
    pub fn subscribed(&self, transport: Transport) -> Counted {
        Counted::new(&self.live[transport as usize].operations)
    }

    /// An answer was sent to somebody who stays.
    pub fn event(&self, transport: Transport) {
        self.live[transport as usize].events.increment(1);
    }

    /// A socket has ended, with one of the server's close codes or by itself.
    pub fn closed(&self, code: Option<u16>) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        SOCKET_CLOSES.counter([code]).increment(1);
    }

    /// Too many passwords waited to be hashed.
    pub fn hash_refusal(&self) {
        self.hash_refusals.increment(1);
    }

    /// An attempt was refused because there had been too many of its kind.
    pub fn throttled(&self, attempt: &'static str) {
        THROTTLED.counter([attempt]).increment(1);
    }

    /// A provider was called. The tokens are those of the question and of the reply.
    pub fn provider(
        &self,
        provider: &'static str,
        outcome: &'static str,
        took: Duration,
        tokens: Option<(u64, u64)>,
    ) {
        PROVIDER_REQUESTS.counter([provider, outcome]).increment(1);
        PROVIDER_DURATION.histogram([provider]).record(took);
        if let Some((prompt, completion)) = tokens {
            PROVIDER_TOKENS.counter([provider, "prompt"]).increment(prompt);
            PROVIDER_TOKENS.counter([provider, "completion"]).increment(completion);
        }
    }

    /// A batch of spans was sent, or could not be.
    pub fn traces(&self, is_delivered: bool) {
        self.traces[usize::from(is_delivered)].increment(1);
    }

    /// What the pool of connections is like now.
    pub fn pool(&self, pool: Pool) {
        CONNECTIONS.gauge(["used"]).set(exact(pool.used));
        CONNECTIONS.gauge(["idle"]).set(exact(pool.open.saturating_sub(pool.used)));
        CONNECTION_WAITERS.gauge(NONE).set(exact(pool.waiting));
        CONNECTIONS_MAX.gauge(NONE).set(exact(pool.most));
    }

    /// How many passwords are being hashed now, and how many wait for it.
    pub fn hashes(&self, running: usize, waiting: usize) {
        HASHES.gauge(["running"]).set(exact(running));
        HASHES.gauge(["waiting"]).set(exact(waiting));
    }

    /// What is due and nobody's now; none when that is not known.
    pub fn backlog(&self, found: Option<Backlog>) {
        backlog(found);
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        process();
        self.exporter.render()
    }

    /// Puts what was recorded since the last time into its buckets: until then every single value takes up room.
    pub fn tidy_up(&self) {
        self.exporter.run_upkeep();
    }
}

fn backlog(found: Option<Backlog>) {
    let (jobs, seconds) = found.map_or((f64::NAN, f64::NAN), |found| (found.jobs.into(), found.seconds));
    JOBS_WAITING.gauge(NONE).set(jobs);
    JOBS_OLDEST.gauge(NONE).set(seconds);
}

/// A task has panicked. It counts only where counting has begun: a panic is no time to begin anything.
pub(super) fn panicked() {
    if let Some(counts) = LazyLock::get(&COUNTS) {
        counts.panics.increment(1);
    }
}

/// What the system says of this process; what it does not say is left out.
#[cfg(target_os = "linux")]
fn process() {
    let Ok(process) = procfs::process::Process::myself() else { return };
    if let Ok(stat) = process.stat() {
        let ticks = procfs::ticks_per_second();
        PROCESS_CPU.counter(NONE).absolute((stat.utime + stat.stime) / ticks);
        let pages = f64::from(u32::try_from(stat.rss).unwrap_or(u32::MAX));
        let page = f64::from(u32::try_from(procfs::page_size()).unwrap_or(u32::MAX));
        PROCESS_MEMORY.gauge(NONE).set(pages * page);
        if let Ok(boot) = procfs::boot_time_secs() {
            let started = u32::try_from(boot + stat.starttime / ticks).unwrap_or(u32::MAX);
            PROCESS_START.gauge(NONE).set(started);
        }
    }
    if let Ok(open) = process.fd_count() {
        PROCESS_FDS.gauge(NONE).set(exact(open));
    }
    if let Ok(limits) = process.limits()
        && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        PROCESS_MAX_FDS.gauge(NONE).set(exact(usize::try_from(most).unwrap_or(usize::MAX)));
    }
}

/// Other systems have no such files.
#[cfg(not(target_os = "linux"))]
fn process() {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let names: HashSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "a name stands twice");
        for metric in ALL {
            let Metric { name, kind, labels, help } = metric;
            let fits = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.starts_with("aicos_") || name.starts_with("process_"), "{name}");
            assert!(name.chars().all(fits) && labels.iter().all(|label| label.chars().all(fits)), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(help.ends_with('.'), "{name}: {help}");
            if let Kind::Histogram(bounds) = kind {
                assert!(name.ends_with("_seconds") && bounds.is_sorted() && bounds.len() >= 9, "{name}");
            }
        }
    }

    #[test]
    fn codes_stand_in_their_order() {
        for (place, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!((code as usize, Code::parse(code.as_str())), (place, Some(code)));
        }
        for (place, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, place);
        }
        for (place, transport) in Transport::ALL.into_iter().enumerate() {
            assert_eq!(transport as usize, place);
        }
        for (place, why) in Missing::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, place);
        }
        for (place, kind) in OperationKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
        for (place, outcome) in JobOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }

    #[test]
    fn an_operation_is_counted_under_a_root_of_the_schema_or_as_several() {
        let operations = Operations::new([(OperationKind::Query, "viewer".to_owned())]);
        assert_eq!(operations.of(OperationKind::Query, Some("viewer")).field(), "viewer");
        for (kind, field) in [
            (OperationKind::Query, None),
            (OperationKind::Query, Some("made up")),
            (OperationKind::Mutation, Some("viewer")),
        ] {
            let found = operations.of(kind, field);
            assert_eq!((found.field(), found.kind), ("several", kind));
        }
    }
}
