//! Sockets on `/graphql`: the protocol `graphql-transport-ws`, with every close code that it names.
//!
//! A socket is one task that reads and writes; each operation is a task of its own, which sends through a short queue.
//! Whoever does not read fills the queue, then keeps the operations waiting, and is disconnected: memory stays flat.
//!
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_graphql::{ObjectType, SubscriptionType};
use axum::body::Body as BodyStream;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{SetOnce, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::accept::Media;
use super::operation::{End, Event, Gone, Outlet, json, refused};
use super::{
    Answer, Arc, Call, CostReport, Duration, Failure, Gate, Head, Lease, Parameters, Shared, Shown,
    check_credentials, panicked,
};
use crate::error::Error;
use crate::graphql::document::Rejection;
use crate::http::live::Seat;
use crate::http::{RequestId, watch};
use crate::telemetry::metrics::{Route, Transport};
use crate::telemetry::{self, count, trace};

const PROTOCOL: &str = "graphql-transport-ws";
/// Messages that wait for the client at the most.
const QUEUE: usize = 16;
/// Bytes of one message at the most.
const MESSAGE: usize = 256 * 1024;
/// Bytes that a socket reads at a time: what an idle one costs.
const READ_BUFFER: usize = 4 * 1024;
/// Bytes of an operation's id at the most.
const ID: usize = 256;
/// Messages that a client may send at once, and in a second for long.
const MESSAGES: (f64, f64) = (1_000.0, 100.0);
/// How long closing may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Whether a request asks for a socket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Why the server closes a socket.
#[derive(Debug, Clone)]
struct Farewell {
    code: u16,
    reason: String,
}

impl Farewell {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Self::new(4400, reason)
    }

    /// Whoever is there is not let in, or no longer.
    fn forbidden(why: &Error) -> Self {
        Self::new(4403, why.message())
    }

    /// What keeps the server from knowing who is there.
    fn of(error: &Error) -> Self {
        match error {
            Error::Unauthenticated(_) | Error::Forbidden { .. } => Self::forbidden(error),
            Error::Invalid(_) | Error::Refused { .. } => Self::invalid(error.message()),
            Error::Unavailable(_) | Error::Busy(_) | Error::Timeout | Error::Limited(_) => {
                Self::new(close_code::AGAIN, error.message())
            }
            _ => Self::new(close_code::ERROR, error.message()),
        }
    }

    /// The frame, whose reason holds no more than 123 bytes.
    fn frame(self) -> Message {
        let mut reason = self.reason;
        let end = (0..=reason.len().min(123)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        reason.truncate(end);
        Message::Close(Some(CloseFrame { code: self.code, reason: reason.into() }))
    }
}

/// A message of a client.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// What a socket and its operations share.
struct Connection {
    headers: HeaderMap,
    address: IpAddr,
    queue: mpsc::Sender<String>,
    operations: Mutex<Operations>,
    farewell: SetOnce<Farewell>,
}

/// The operations that run, by the client's names for them.
#[derive(Default)]
struct Operations {
    next: u64,
    running: HashMap<String, (u64, AbortHandle)>,
}

impl Connection {
    fn operations(&self) -> MutexGuard<'_, Operations> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees an operation's name; false when the client has ended it meanwhile.
    fn forget(&self, id: &str, number: u64) -> bool {
        let mut operations = self.operations();
        let is_ours = operations.running.get(id).is_some_and(|(known, _)| *known == number);
        if is_ours {
            operations.running.remove(id);
        }
        is_ours
    }

    /// Ends an operation of which the client wants to hear no more.
    fn end(&self, id: &str) {
        if let Some((_, operation)) = self.operations().running.remove(id) {
            operation.abort();
        }
    }

    fn close(&self, farewell: Farewell) {
        // The first reason counts.
        let _ = self.farewell.set(farewell);
    }
}

/// The way to the client for one operation.
struct Subscriber {
    connection: Arc<Connection>,
    id: String,
    number: u64,
}

impl Outlet for Subscriber {
    const TRANSPORT: Transport = Transport::Socket;

    async fn put(&mut self, event: Event) -> Result<(), Gone> {
        // The name is free before the client hears of the end: they may use it again at once.
        if !matches!(event, Event::Next(_)) && !self.connection.forget(&self.id, self.number) {
            return Err(Gone);
        }
        let id = json(&self.id);
        let text = match event {
            Event::Next(answer) => format!(r#"{{"id":{id},"type":"next","payload":{answer}}}"#),
            Event::Refused(errors) => format!(r#"{{"id":{id},"type":"error","payload":{errors}}}"#),
            Event::Complete => format!(r#"{{"id":{id},"type":"complete"}}"#),
        };
        self.connection.queue.send(text).await.map_err(|_| Gone)
    }
}

/// How much a client may still send: a bucket that fills again.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new() -> Self {
        Self { left: MESSAGES.0, at: Instant::now() }
    }

    fn spend(&mut self) -> bool {
        let now = Instant::now();
        let gained = now.duration_since(self.at).as_secs_f64() * MESSAGES.1;
        self.left = (self.left + gained).min(MESSAGES.0) - 1.0;
        self.at = now;
        self.left >= 0.0
    }
}

/// Whoever a socket has said it is, and what ends their stay.
struct Guest<'a, G: Gate> {
    _lease: Lease<'a, G>,
    dismissed: Pin<Box<dyn Future<Output = Error> + Send + 'a>>,
}

/// Makes headers of what a client says when it begins: the same names, and what the socket itself came with.
fn introduce(upgrade: &HeaderMap, payload: Option<&RawValue>) -> Result<HeaderMap, Farewell> {
    let mut headers = HeaderMap::new();
    if let Some(agent) = upgrade.get(header::USER_AGENT) {
        headers.insert(header::USER_AGENT, agent.clone());
    }
    let Some(payload) = payload else { return Ok(headers) };
    let fields: HashMap<String, serde_json::Value> = serde_json::from_str(payload.get())
        .map_err(|_| Farewell::invalid("The payload of connection_init is not an object"))?;
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        if !["authorization", "x-api-key", "x-organization", "x-project"].contains(&name.as_str()) {
            continue;
        }
        let value = match &value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => HeaderValue::from_str(text).ok(),
            _ => None,
        };
        let (Ok(known), Some(value)) = (name.parse::<HeaderName>(), value) else {
            return Err(Farewell::invalid(format!(
                "`{name}` in connection_init is not what the header holds"
            )));
        };
        headers.append(known, value);
    }
    check_credentials(&headers).map_err(|failure| Farewell::invalid(failure.message()))?;
    Ok(headers)
}

/// Whether a page of this origin may open a socket: it carries no credential by itself, and is refused all the same.
fn is_welcome(headers: &HeaderMap, known: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if known.iter().any(|known| known == origin) {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some((Ok(origin), Some(host))) = Some((Url::parse(origin), host)) else { return false };
    // The scheme is the proxy's business; its usual port goes without saying on either side.
    let own = Url::parse(&format!("{}://{host}", origin.scheme()));
    own.is_ok_and(|own| {
        own.host().is_some()
            && (own.host(), own.port_or_known_default()) == (origin.host(), origin.port_or_known_default())
    })
}

impl<G, Query, Mutation, Subscription> Shared<G, Query, Mutation, Subscription>
where
    G: Gate,
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    /// Makes a socket of a request, or says why not.
    pub(super) async fn upgrade(self: Arc<Self>, request: Request<BodyStream>) -> Response<BodyStream> {
        let id = RequestId::of(request.headers());
        let (parts, _) = request.into_parts();
        let span = watch::span_of(&parts, Route::Graphql, &id);
        watch::answer(&id, span, self.switch(parts, &id)).await
    }

    async fn switch(self: Arc<Self>, mut parts: Parts, id: &RequestId) -> Response<BodyStream> {
        let refuse = |status, message: &str| {
            Failure::http(status, message).reply(Media::Json, id).into_response(Media::Json, id)
        };
        if !is_welcome(&parts.headers, &self.settings.origins) {
            let message =
                "Pages of this origin may not open sockets here. AICOS_CORS_ORIGINS lists those that may.";
            return refuse(StatusCode::FORBIDDEN, message);
        }
        let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade.protocols([PROTOCOL]),
            Err(rejection) => return rejection.into_response(),
        };
        if upgrade.selected_protocol().is_none() {
            return refuse(StatusCode::BAD_REQUEST, "Sockets speak the subprotocol graphql-transport-ws.");
        }
        let address = self.address(&parts);
        let seat = self.seats.take(address, self.settings.live.per_address);
        let stay = self.settings.drain.stay();
        upgrade
            .max_message_size(MESSAGE)
            .max_frame_size(MESSAGE)
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .on_upgrade(async move |socket| {
                let (_stay, _connected) = (stay, count().connected(Transport::Socket));
                self.receive_guest(socket, &parts.headers, address, seat).await;
            })
    }

    async fn receive_guest(
        self: Arc<Self>,
        mut socket: WebSocket,
        headers: &HeaderMap,
        address: IpAddr,
        seat: Option<Seat>,
    ) {
        let farewell = if seat.is_some() {
            let conversing = AssertUnwindSafe(Arc::clone(&self).converse(&mut socket, headers, address));
            conversing.catch_unwind().await.unwrap_or_else(|payload| {
                let error = panicked(payload.as_ref());
                error.log("socket");
                Some(Farewell::of(&error))
            })
        } else {
            Some(Farewell::new(4429, "Too many sockets from this address"))
        };
        count().closed(farewell.as_ref().map(|farewell| farewell.code));
        let Some(farewell) = farewell else { return };
        let part = async {
            if socket.send(farewell.frame()).await.is_ok() {
                // Read on until the client has closed as well: what it still sends would otherwise reset the
                // connection, and it would never learn why.
                while let Some(Ok(_)) = socket.recv().await {}
            }
        };
        // A client that is gone, or does not read, is not waited for.
        let _ = timeout(GOODBYE, part).await;
    }

    /// Reads and writes until there is a reason to close; none when the client is gone.
    async fn converse(
        self: Arc<Self>,
        socket: &mut WebSocket,
        upgrade: &HeaderMap,
        address: IpAddr,
    ) -> Option<Farewell> {
        let live = &self.settings.live;
        let (queue, mut outgoing) = mpsc::channel(QUEUE);
        let mut connection: Option<Arc<Connection>> = None;
        let mut guest: Option<Guest<'_, G>> = None;
        let mut queue = Some(queue);
        // Dropped with this function, and every operation with it.
        let mut tasks = JoinSet::new();
        let mut allowance = Allowance::new();
        let introduction = Instant::now() + live.init;
        let mut pings = tokio::time::interval_at(Instant::now() + live.ping, live.ping);
        let mut silent = 0_u32;
        loop {
            tokio::select! {
                received = socket.recv() => {
                    let message = match received? {
                        Ok(message) => message,
                        Err(error) => return too_large(error),
                    };
                    silent = 0;
                    if !allowance.spend() {
                        return Some(Farewell::new(4429, "Too many messages"));
                    }
                    let text = match message {
                        Message::Text(text) => text,
                        Message::Binary(_) => return Some(Farewell::invalid("Messages are text")),
                        Message::Ping(_) | Message::Pong(_) => continue,
                        Message::Close(_) => return None,
                    };
                    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(&text) else {
                        return Some(Farewell::invalid("The message is not one of graphql-transport-ws"));
                    };
                    match (envelope.kind.as_str(), &connection) {
                        ("connection_init", None) => {
                            let headers = match introduce(upgrade, envelope.payload) {
                                Ok(headers) => headers,
                                Err(farewell) => return Some(farewell),
                            };
                            // On the heap, as whatever an idle socket would otherwise keep room for.
                            let welcome = Box::pin(self.welcome(&headers, address));
                            match timeout_at(introduction, welcome).await {
                                Ok(Ok(welcomed)) => guest = Some(welcomed),
                                Ok(Err(farewell)) => return Some(farewell),
                                Err(_) => return Some(Farewell::of(&Error::Timeout)),
                            }
                            let queue = queue.take()?;
                            connection = Some(Arc::new(Connection {
                                headers,
                                address,
                                queue,
                                operations: Mutex::default(),
                                farewell: SetOnce::new(),
                            }));
                            write(socket, r#"{"type":"connection_ack"}"#.into(), live.unread).await?;
                        }
                        ("connection_init", Some(_)) => {
                            return Some(Farewell::new(4429, "Too many initialisation requests"));
                        }
                        ("subscribe", None) => return Some(Farewell::new(4401, "Unauthorized")),
                        ("subscribe", Some(connection)) => {
                            if let Err(farewell) = self.subscribe(connection, envelope, &mut tasks) {
                                return Some(farewell);
                            }
                        }
                        ("complete", connection) => {
                            let Some(id) = envelope.id else {
                                return Some(Farewell::invalid("`complete` names an operation by its `id`"));
                            };
                            if let Some(connection) = connection {
                                connection.end(&id);
                            }
                        }
                        ("ping", _) => write(socket, r#"{"type":"pong"}"#.into(), live.unread).await?,
                        ("pong", _) => {}
                        (other, _) => {
                            let other: String = other.chars().take(30).collect();
                            return Some(Farewell::invalid(format!("`{other}` is no message of a client")));
                        }
                    }
                }
                Some(text) = outgoing.recv() => write(socket, text, live.unread).await?,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                why = dismissal(&mut guest) => return Some(Farewell::forbidden(&why)),
                farewell = parting(connection.as_deref()) => return Some(farewell),
                () = tokio::time::sleep_until(introduction), if connection.is_none() => {
                    return Some(Farewell::new(4408, "Connection initialisation timeout"));
                }
                () = self.settings.drain.begun() => {
                    return Some(Farewell::new(close_code::AWAY, "The server shuts down"));
                }
                _ = pings.tick() => {
                    silent += 1;
                    if silent > 3 {
                        return None;
                    }
                    timeout(live.unread, socket.send(Message::Ping(bytes::Bytes::new()))).await.ok()?.ok()?;
                }
            }
        }
    }

    /// Finds out who is there.
    async fn welcome(&self, headers: &HeaderMap, address: IpAddr) -> Result<Guest<'_, G>, Farewell> {
        let request_id = RequestId::of(headers);
        let head = Head { headers, address, request_id: &request_id };
        let admitted = self.gate.admit(head).await.map_err(|error| {
            error.log(request_id.as_str());
            Farewell::of(&error)
        })?;
        let context = Arc::new(admitted.context);
        let lease = Lease::new(&self.gate, Arc::clone(&context));
        if let Shown::Refused(refusal) = admitted.credential {
            return Err(Farewell::forbidden(&Error::Unauthenticated(refusal)));
        }
        self.gate.rest(&context).await;
        let dismissed = Box::pin(async move { self.gate.attend(&context).await });
        Ok(Guest { _lease: lease, dismissed })
    }

    /// Begins an operation.
    fn subscribe(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        envelope: Envelope<'_>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Farewell> {
        let id = envelope
            .id
            .filter(|id| (1..=ID).contains(&id.len()))
            .ok_or_else(|| Farewell::invalid(format!("`subscribe` has an `id` of 1 to {ID} bytes")))?;
        let payload = envelope.payload.map_or("", RawValue::get);
        let parameters: Parameters = serde_json::from_str(payload)
            .map_err(|_| Farewell::invalid("The payload of `subscribe` is not that of an operation"))?;
        if !parameters.name_a_document() {
            return Err(Farewell::invalid(
                "The payload of `subscribe` has no `query`, and names no document",
            ));
        }
        let mut operations = connection.operations();
        if operations.running.contains_key(&id) {
            return Err(Farewell::new(4409, format!("Subscriber for {id} already exists")));
        }
        if operations.running.len() >= self.settings.live.per_socket {
            return Err(Farewell::new(4429, "Too many operations at the same time on this socket"));
        }
        let number = operations.next;
        operations.next += 1;
        let subscriber = Subscriber { connection: Arc::clone(connection), id: id.clone(), number };
        // The lock is held until the name is taken: the operation may end at once, and frees it then.
        let request = RequestId::of(&HeaderMap::new());
        let span = trace::message(request.as_str());
        let shared = request.shared();
        let operating = Arc::clone(self).operate(parameters, subscriber, request);
        let task = tasks.spawn(telemetry::within(shared, span, operating));
        operations.running.insert(id, (number, task));
        Ok(())
    }

    /// Runs one operation as if it were a request of its own, with the headers that the socket began with.
    async fn operate(
        self: Arc<Self>,
        parameters: Parameters,
        mut subscriber: Subscriber,
        request_id: RequestId,
    ) {
        let connection = Arc::clone(&subscriber.connection);
        let playing = async {
            let deadline = Instant::now() + self.settings.deadline;
            let Connection { headers, address, .. } = &*connection;
            let head = Head { headers, address: *address, request_id: &request_id };
            let admitted = match timeout_at(deadline, Box::pin(self.gate.admit(head))).await {
                Ok(Ok(admitted)) => admitted,
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(Failure::from(Error::Timeout)),
            };
            let lease = Lease::new(&self.gate, Arc::new(admitted.context));
            let context = &lease.context;
            let cost = CostReport::None;
            let call = Call { id: &request_id, context, read_only: false, live: true, cost, deadline };
            let paid = Box::pin(self.pay(parameters, &call)).await?;
            Ok(self.play(paid, &call, &mut subscriber).await)
        };
        let failure = match AssertUnwindSafe(playing).catch_unwind().await {
            Ok(Ok(End::Over)) => return,
            Ok(Ok(End::Dismissed(why))) => return connection.close(Farewell::forbidden(&why)),
            Ok(Err(failure)) => failure.into_errors(&request_id),
            Err(payload) => Answer::refused(Rejection::from(panicked(payload.as_ref())), &request_id).errors,
        };
        let _ = subscriber.put(refused(&failure)).await;
    }
}

/// Writes a message; none when the client is gone or leaves it unread for too long.
async fn write(socket: &mut WebSocket, text: String, unread: Duration) -> Option<()> {
    timeout(unread, socket.send(Message::Text(text.into()))).await.ok()?.ok()
}

/// Waits until the guest may stay no longer; for ever while there is none.
async fn dismissal<G: Gate>(guest: &mut Option<Guest<'_, G>>) -> Error {
    match guest {
        Some(guest) => guest.dismissed.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Waits until an operation has a reason to close the socket.
async fn parting(connection: Option<&Connection>) -> Farewell {
    match connection {
        Some(connection) => connection.farewell.wait().await.clone(),
        None => std::future::pending().await,
    }
}

/// A message that is too large has a close code of its own; whatever else fails is the connection itself.
fn too_large(error: axum::Error) -> Option<Farewell> {
    let cause = error.into_inner();
    // The library's error type is not axum's to show, but its words are.
    let text = cause.to_string();
    text.contains("too long")
        .then(|| Farewell::new(close_code::SIZE, format!("A message has at most {MESSAGE} bytes")))
}
