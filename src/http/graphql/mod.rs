//! `/graphql`: GraphQL over HTTP, from the request's first byte to the answer's last.
//!
//! What may run at all is decided before anything is read: the method, the media types and the credential. Then the
//! body is read up to the limit that the credential earns, and the document is checked and priced. Only then does a
//! resolver run. There are no cookies here, and nothing in the query of an address is a credential.
//!
//! Sockets (`socket`) and event streams (`stream`) come by the same checks, and add what it takes to stay for long.

mod accept;
mod answer;
mod body;
mod operation;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Data, ObjectType, SubscriptionType};
use axum::body::Body as BodyStream;
use axum::body::HttpBody as _;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::routing::{MethodRouter, any};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use self::accept::{Media, is_json};
pub use self::answer::finish_execution;
use self::answer::{Answer, Failure, Reply, panicked};
pub use self::body::Parameters;
use self::body::{Body, from_json, from_query};
pub(super) use self::socket::is_upgrade;
use super::live::Seats;
use super::turns::{Held, TurnSettings, Turns};
use super::{Drain, Proxies, RequestId, watch};
use crate::error::{Code, Error, Refusal};
use crate::graphql::document::Rejection;
use crate::graphql::execute::{Executor, Prepared};
use crate::graphql::turn::Turn;
use crate::telemetry::metrics::{OperationCounts, OperationKind, Operations, Route};
use crate::telemetry::{count, trace};

/// What is known of a request before its body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// All headers; those that carry a credential or a tenant come at most once.
    pub headers: &'a HeaderMap,
    /// The caller's address, trusted proxies taken into account.
    pub address: IpAddr,
    /// The request's name.
    pub request_id: &'a RequestId,
}

/// A request that is let in.
#[derive(Debug)]
pub struct Admission<Context> {
    /// What resolvers find as `Arc<Context>` in the request's data.
    pub context: Context,
    /// What came of its credential.
    pub credential: Shown,
}

/// What came of the credential that a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It carries none.
    Nothing,
    /// It is not accepted. A request is let in all the same: what needs no credential is answered.
    Refused(Refusal),
    /// It is accepted, which earns the larger body limit.
    Accepted,
}

/// What a request is about to cost.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The points; 0 when the request is only priced.
    pub points: u64,
    /// The operation's name; none when it has none, or when there are several.
    pub operation: Option<&'a str>,
    /// Whether something may change by it.
    pub changes: bool,
}

/// What charging has come to.
#[derive(Debug, Default)]
pub struct Charged {
    /// The points that are left; none when there is no budget.
    pub remaining: Option<u64>,
    /// What the head of the answer says of the budget.
    pub headers: HeaderMap,
    /// Why it was not allowed.
    pub refused: Option<Error>,
}

/// Who may come in, and at what price: what the handler asks of the rest of the server.
pub trait Gate: Send + Sync + 'static {
    /// What resolvers know of the request.
    type Context: Send + Sync + 'static;

    /// Reads the headers and lets the request in, or not. It is called before the body is read, so it should not
    /// touch the database unless it must.
    fn admit(&self, head: Head<'_>) -> impl Future<Output = Result<Admission<Self::Context>, Error>> + Send;

    /// Takes points from the caller's budget and tells what is left.
    fn charge(&self, context: &Self::Context, charge: Charge<'_>) -> impl Future<Output = Charged> + Send;

    /// Called between two events of a live operation: it may wait for long, so it should hold nothing.
    fn rest(&self, context: &Self::Context) -> impl Future<Output = ()> + Send;

    /// Has an eye on somebody who stays for long, until this is dropped. It ends, with the reason, when they may stay no
    /// longer.
    fn attend(&self, context: &Arc<Self::Context>) -> impl Future<Output = Error> + Send;

    /// Called once for every request that was let in, when its answer is written, or when it is broken off. It must
    /// not block: the answer is not on its way yet. What takes time belongs into a task.
    fn release(&self, context: Arc<Self::Context>);
}

/// How requests are served, beside the limits of documents.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many operations one body may carry as an array; none when it has to be an object.
    pub batch: Option<usize>,
    /// How long a request may take, from its head to its answer.
    pub deadline: Duration,
    /// The proxies whose word about the caller's address counts.
    pub proxies: Proxies,
    /// Origins whose pages may open sockets, beside the server's own.
    pub origins: Vec<String>,
    /// What holds for those who stay for long.
    pub live: LiveSettings,
    /// How many requests are worked on at the same time.
    pub turns: TurnSettings,
    /// When the server shuts down.
    pub drain: Drain,
}

/// What holds for sockets and event streams.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// Sockets and streams of one address at the most.
    pub per_address: usize,
    /// Operations of one socket at the most, at a time.
    pub per_socket: usize,
    /// How long a socket may take to say who it is.
    pub init: Duration,
    /// How long a client may leave what was sent to it unread.
    pub unread: Duration,
    /// How often a silent socket is asked for a sign of life; after three that stay out it is given up.
    pub ping: Duration,
    /// How often a comment keeps a silent stream open.
    pub keep_alive: Duration,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            per_address: 50,
            per_socket: 200,
            init: Duration::from_secs(10),
            unread: Duration::from_secs(10),
            ping: Duration::from_secs(15),
            keep_alive: Duration::from_secs(12),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch: None,
            deadline: Duration::from_secs(30),
            proxies: Proxies::default(),
            origins: Vec::new(),
            live: LiveSettings::default(),
            turns: TurnSettings::default(),
            drain: Drain::default(),
        }
    }
}

/// The handler of `/graphql`. Clones share everything.
pub struct Endpoint<G, Query, Mutation, Subscription> {
    shared: Arc<Shared<G, Query, Mutation, Subscription>>,
}

struct Shared<G, Query, Mutation, Subscription> {
    gate: G,
    executor: Arc<Executor<Query, Mutation, Subscription>>,
    settings: Settings,
    seats: Arc<Seats>,
    turns: Arc<Turns>,
    operations: Operations,
}

/// The answer to a request that is refused before anything is done for it.
pub(super) fn refused(error: Error, headers: &HeaderMap, id: &RequestId) -> Response<BodyStream> {
    let media = Media::negotiate(headers).unwrap_or(Media::Json);
    Failure::from(error).reply(media, id).into_response(media, id)
}

impl<G, Query, Mutation, Subscription> Clone for Endpoint<G, Query, Mutation, Subscription> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// What the caller wants to know about the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CostReport {
    None,
    /// The price beside the answer.
    Beside,
    /// The price instead of an answer.
    DryRun,
}

/// One request that is let in.
struct Call<'a, Context> {
    id: &'a RequestId,
    context: &'a Arc<Context>,
    read_only: bool,
    /// Whether it can be answered more than once.
    live: bool,
    cost: CostReport,
    deadline: Instant,
}

/// An operation that passed every check.
enum Step {
    Run(Prepared),
    Price(u64),
}

/// A step, and the span that it is taken in.
struct Ready {
    step: Step,
    span: Span,
}

/// Releases the context however the request ends, also when the caller goes away.
struct Lease<'a, G: Gate> {
    gate: &'a G,
    context: Arc<G::Context>,
    kept: bool,
}

impl<'a, G: Gate> Lease<'a, G> {
    const fn new(gate: &'a G, context: Arc<G::Context>) -> Self {
        Self { gate, context, kept: false }
    }

    /// The context, which somebody else is going to release.
    fn keep(mut self) -> Arc<G::Context> {
        self.kept = true;
        Arc::clone(&self.context)
    }
}

impl<G: Gate> Drop for Lease<'_, G> {
    fn drop(&mut self) {
        if !self.kept {
            self.gate.release(Arc::clone(&self.context));
        }
    }
}

/// A request up to its body.
struct Received<Context> {
    context: Arc<Context>,
    body: Body,
    read_only: bool,
    cost: CostReport,
    /// The room that the body takes.
    held: Held,
}

impl<G, Query, Mutation, Subscription> Endpoint<G, Query, Mutation, Subscription>
where
    G: Gate,
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    /// A handler.
    pub fn new(gate: G, executor: Arc<Executor<Query, Mutation, Subscription>>, settings: Settings) -> Self {
        let roots = [OperationType::Query, OperationType::Mutation, OperationType::Subscription]
            .into_iter()
            .flat_map(|kind| executor.index().roots(kind).map(move |field| (known(kind), field.to_owned())));
        let operations = Operations::new(roots);
        let turns = Arc::new(Turns::new(settings.turns));
        let seats = Arc::default();
        Self { shared: Arc::new(Shared { gate, executor, settings, seats, turns, operations }) }
    }

    /// Whose turn it is.
    pub fn turns(&self) -> Arc<Turns> {
        Arc::clone(&self.shared.turns)
    }

    /// The handler as a route for all methods.
    pub fn into_route<State: Clone + Send + Sync + 'static>(self) -> MethodRouter<State> {
        any(move |request: Request<BodyStream>| {
            let endpoint = self.clone();
            async move {
                if is_upgrade(request.headers()) {
                    endpoint.shared.upgrade(request).await
                } else {
                    endpoint.handle(request).await
                }
            }
        })
    }

    /// The same operations, and subscriptions, as event streams: a route for all methods.
    pub fn into_stream_route<State: Clone + Send + Sync + 'static>(self) -> MethodRouter<State> {
        any(move |request: Request<BodyStream>| {
            let endpoint = self.clone();
            async move { endpoint.shared.stream(request).await }
        })
    }

    /// Answers one request; whatever happens, there is an answer.
    pub async fn handle(&self, request: Request<BodyStream>) -> Response<BodyStream> {
        let id = RequestId::of(request.headers());
        let span = watch::span(&request, Route::Graphql, &id);
        watch::answer(&id, span, self.respond(request, &id)).await
    }

    async fn respond(&self, request: Request<BodyStream>, id: &RequestId) -> Response<BodyStream> {
        let started = Instant::now();
        let wanted = Media::negotiate(request.headers());
        let media = wanted.unwrap_or(Media::Json);
        let answered = match wanted {
            None => Err(Failure::http(
                StatusCode::NOT_ACCEPTABLE,
                "Answers come as application/graphql-response+json or application/json: accept one of them.",
            )),
            Some(_) => AssertUnwindSafe(self.shared.answer(request, id))
                .catch_unwind()
                .await
                .unwrap_or_else(|payload| Err(panicked(payload.as_ref()).into())),
        };
        let response = answered.unwrap_or_else(|failure| failure.reply(media, id)).into_response(media, id);
        tracing::debug!(
            request.id = id.as_str(),
            http.status = response.status().as_u16(),
            duration.us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "request answered"
        );
        response
    }
}

impl<G, Query, Mutation, Subscription> Shared<G, Query, Mutation, Subscription>
where
    G: Gate,
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    async fn answer(&self, request: Request<BodyStream>, id: &RequestId) -> Result<Reply, Failure> {
        let deadline = Instant::now() + self.settings.deadline;
        let (parts, stream) = request.into_parts();
        let received = self.receive(&parts, stream, id, deadline).await?;
        let Received { context, body, read_only, cost, held: _held } = received;
        let lease = Lease::new(&self.gate, context);
        // Only now: a client that sends its body slowly keeps nobody from their turn.
        let turn = self.turns.take().await?;
        let call = Call { id, context: &lease.context, read_only, live: false, cost, deadline };
        match body {
            Body::One(parameters) => self.one(parameters, &call, &turn).await,
            Body::Many(list) => self.many(list, &call, &turn).await,
        }
    }

    /// Reads a request; whatever its body says, the caller has been let in when this returns.
    async fn receive(
        &self,
        parts: &Parts,
        stream: BodyStream,
        id: &RequestId,
        deadline: Instant,
    ) -> Result<Received<G::Context>, Failure> {
        let read_only = match parts.method {
            Method::GET => true,
            Method::POST => {
                check_content(&parts.headers)?;
                false
            }
            _ => return Err(Failure::method("GET, POST", "GraphQL is served to GET and POST.")),
        };
        check_credentials(&parts.headers)?;
        self.turns.look()?;
        let head = Head { headers: &parts.headers, address: self.address(parts), request_id: id };
        let admitted = timeout_at(deadline, self.gate.admit(head)).await.map_err(|_| Error::Timeout)??;
        let lease = Lease::new(&self.gate, Arc::new(admitted.context));
        let mut held = self.turns.hold();
        let body = if read_only {
            Body::One(from_query(parts.uri.query().unwrap_or("")).map_err(bad_request)?)
        } else {
            let limits = self.executor.limits();
            let trusted = admitted.credential == Shown::Accepted;
            let limit = if trusted { limits.trusted_body_bytes } else { limits.body_bytes };
            let bytes = timeout_at(deadline, read(stream, limit, &mut held))
                .await
                .map_err(|_| Failure::slow_body())??;
            let text = std::str::from_utf8(&bytes).map_err(|_| bad_request("The body is not UTF-8."))?;
            from_json(text).map_err(bad_request)?
        };
        Ok(Received { context: lease.keep(), body, read_only, cost: cost_report(&parts.headers), held })
    }

    /// Where a request comes from.
    fn address(&self, parts: &Parts) -> IpAddr {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        self.settings.proxies.client(peer, &parts.headers)
    }

    /// Answers a body with one operation.
    async fn one(
        &self,
        parameters: Parameters,
        call: &Call<'_, G::Context>,
        turn: &Turn,
    ) -> Result<Reply, Failure> {
        let step = self.prepare(parameters, call).await?;
        let Charged { remaining, headers, .. } = self.charge(step.charge(), call).await?;
        let mut answer = self.run(step, remaining, call, turn).await;
        let own = std::mem::take(&mut answer.headers);
        let reply = Reply::executed(answer.came_to_nothing(), &answer);
        Ok(reply.with_headers(headers).with_headers(own))
    }

    /// Answers a body with several operations, which share one price limit and run one after the other.
    async fn many(
        &self,
        list: Vec<Parameters>,
        call: &Call<'_, G::Context>,
        turn: &Turn,
    ) -> Result<Reply, Failure> {
        let Some(most) = self.settings.batch else {
            return Err(bad_request("Send one operation at a time: the body has to be an object."));
        };
        if list.is_empty() || list.len() > most {
            return Err(bad_request(format!("An array may hold 1 to {most} operations.")));
        }
        let mut steps = Vec::with_capacity(list.len());
        for parameters in list {
            steps.push(match self.prepare(parameters, call).await {
                Ok(step) => Ok(step),
                Err(failure) => Err(failure.into_answer(call.id)?),
            });
        }
        let points = steps.iter().flatten().map(|step| step.charge().points).fold(0, u64::saturating_add);
        let limit = self.executor.limits().points;
        if points > limit {
            let message =
                format!("These operations cost {points} points together; one request may cost {limit}.");
            return Err(Failure::document(Rejection::new(Code::QueryTooComplex, message, None)));
        }
        let changes = steps.iter().flatten().any(|step| step.charge().changes);
        let charge = Charge { points, operation: None, changes };
        let Charged { remaining, mut headers, .. } = self.charge(charge, call).await?;
        let mut answers = Vec::with_capacity(steps.len());
        for step in steps {
            let mut answer = match step {
                Ok(step) => self.run(step, remaining, call, turn).await,
                Err(answer) => answer,
            };
            headers.extend(std::mem::take(&mut answer.headers));
            answers.push(answer);
        }
        let came_to_nothing = answers.iter().all(Answer::came_to_nothing);
        Ok(Reply::executed(came_to_nothing, &answers).with_headers(headers))
    }

    /// Checks an operation, in a span that lasts until it is answered.
    async fn prepare(&self, parameters: Parameters, call: &Call<'_, G::Context>) -> Result<Ready, Failure> {
        let span = trace::operation();
        match self.check(parameters, call).instrument(span.clone()).await {
            Ok(step) => {
                if let Step::Run(prepared) = &step {
                    let field = self.counts(prepared).field();
                    trace::selected(&span, prepared.name(), known(prepared.kind()), field, prepared.cost());
                }
                Ok(Ready { step, span })
            }
            Err(failure) => {
                trace::failed(&span, failure.code());
                Err(failure)
            }
        }
    }

    /// Where an operation is counted.
    fn counts(&self, prepared: &Prepared) -> &OperationCounts {
        self.operations.of(known(prepared.kind()), prepared.root())
    }

    /// Everything that can refuse an operation before it runs.
    async fn check(&self, parameters: Parameters, call: &Call<'_, G::Context>) -> Result<Step, Failure> {
        let wanted = parameters.wanted().map_err(bad_request)?;
        let limit = self.executor.limits().text_bytes;
        if wanted.text.is_some_and(|text| text.len() > limit) {
            return Err(Failure::long_document(limit));
        }
        // Some clients send an empty name for none.
        let name = parameters.operation_name.as_deref().filter(|name| !name.is_empty());
        let operation = self.executor.select(wanted, name).await.map_err(Failure::document)?;
        self.executor.note(&operation, call.id.as_str());
        let variables = parameters.variables;
        match operation.kind() {
            OperationType::Mutation if call.read_only => {
                return Err(Failure::method("POST", "Mutations are served to POST only."));
            }
            OperationType::Subscription if !call.live => {
                let message =
                    "Subscriptions run over WebSocket (graphql-transport-ws) or at /graphql/stream.";
                return Err(Failure::document(Rejection::new(Code::BadUserInput, message, None)));
            }
            _ => {}
        }
        let step = if call.cost == CostReport::DryRun {
            self.executor.quote(operation, variables).map(Step::Price)
        } else {
            self.executor.prepare(operation, variables).map(Step::Run)
        };
        step.map_err(Failure::document)
    }

    async fn charge(&self, charge: Charge<'_>, call: &Call<'_, G::Context>) -> Result<Charged, Failure> {
        let charging = self.gate.charge(call.context, charge);
        let mut charged = timeout_at(call.deadline, charging).await.map_err(|_| Error::Timeout)?;
        match charged.refused.take() {
            None => Ok(charged),
            Some(why) => Err(Failure::from(why).with_headers(charged.headers)),
        }
    }

    async fn run(
        &self,
        ready: Ready,
        remaining: Option<u64>,
        call: &Call<'_, G::Context>,
        turn: &Turn,
    ) -> Answer {
        let limit = self.executor.limits().points;
        let Ready { step, span } = ready;
        let prepared = match step {
            Step::Run(prepared) => prepared,
            Step::Price(points) => {
                let nothing = Answer { data: Some(async_graphql::Value::Null), ..Answer::default() };
                return nothing.with_cost(points, limit, remaining);
            }
        };
        let points = prepared.cost();
        let (counts, started) = (self.counts(&prepared), Instant::now());
        count().points(points);
        let mut data = Data::default();
        data.insert(Arc::clone(call.context));
        data.insert(turn.clone());
        let executing = self.executor.execute(prepared, data).instrument(span.clone());
        let running = AssertUnwindSafe(executing).catch_unwind();
        let ran = timeout_at(call.deadline, running).await;
        let answer = span.in_scope(|| match ran {
            Ok(Ok(response)) => Answer::of(response, call.id),
            Ok(Err(payload)) => Answer::broken_off(panicked(payload.as_ref()), call.id),
            Err(_) => Answer::broken_off(Error::Timeout, call.id),
        });
        counts.took(started.elapsed());
        counts.ended(answer.code());
        if let Some(code) = answer.code() {
            trace::failed(&span, code);
        }
        match call.cost {
            CostReport::Beside => answer.with_cost(points, limit, remaining),
            _ => answer,
        }
    }
}

impl Ready {
    /// What the caller pays: nothing for a price alone.
    fn charge(&self) -> Charge<'_> {
        match &self.step {
            Step::Run(prepared) => Charge {
                points: prepared.cost(),
                operation: prepared.name(),
                changes: prepared.kind() == OperationType::Mutation,
            },
            Step::Price(_) => Charge { points: 0, operation: None, changes: false },
        }
    }
}

/// A kind of operation, as it is counted.
const fn known(kind: OperationType) -> OperationKind {
    match kind {
        OperationType::Query => OperationKind::Query,
        OperationType::Mutation => OperationKind::Mutation,
        OperationType::Subscription => OperationKind::Subscription,
    }
}

fn bad_request(message: impl Into<String>) -> Failure {
    Failure::http(StatusCode::BAD_REQUEST, message)
}

/// A body is JSON in UTF-8 and not compressed: everything else is a form that a browser may send unasked, or a bomb.
fn check_content(headers: &HeaderMap) -> Result<(), Failure> {
    let identity = |value: &[u8]| value.eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(|value| identity(value.as_bytes())) {
        return Err(Failure::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body without compression."));
    }
    if !is_json(headers) {
        let message = "Send the body as JSON in UTF-8, with `Content-Type: application/json`.";
        return Err(Failure::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    Ok(())
}

/// Two credentials, or two tenants, are an ambiguity that nobody needs.
fn check_credentials(headers: &HeaderMap) -> Result<(), Failure> {
    for name in ["authorization", "x-api-key", "x-organization", "x-project"] {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(bad_request(format!("The header `{name}` is given twice.")));
        }
    }
    if headers.contains_key(header::AUTHORIZATION) && headers.contains_key("x-api-key") {
        return Err(bad_request("Send either `Authorization` or `X-API-Key`, not both."));
    }
    Ok(())
}

fn cost_report(headers: &HeaderMap) -> CostReport {
    match headers.get("x-cost").map(HeaderValue::as_bytes) {
        Some(b"1") => CostReport::Beside,
        Some(b"dry-run") => CostReport::DryRun,
        _ => CostReport::None,
    }
}

/// Reads a body that is not larger than the limit, and stops at once when it is.
async fn read(body: BodyStream, limit: usize, held: &mut Held) -> Result<Bytes, Failure> {
    let too_large = || Failure::large_body(limit);
    // The declared length is known before the first byte.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut body = Limited::new(body, limit);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() { too_large() } else { bad_request("The body broke off.") }
        })?;
        if let Ok(data) = frame.into_data() {
            held.grow(data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}
