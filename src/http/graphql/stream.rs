//! `/graphql/stream`: GraphQL over server-sent events, in the protocol's distinct connections mode.
//!
//! Each operation is one request and one stream: `next` for every answer, then `complete`. What is wrong with a document
//! is told in the stream; what is wrong with the request, or its caller, by the status.
//!
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>

use std::panic::AssertUnwindSafe;

use async_graphql::{ObjectType, SubscriptionType};
use axum::body::Body as BodyStream;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::accept::Media;
use super::body::Body;
use super::operation::{End, Event, Gone, Outlet, Paid, refused};
use super::{
    Answer, Arc, Call, CostReport, Duration, Failure, Gate, Lease, Received, Shared, bad_request, panicked,
};
use crate::error::{Code, Error};
use crate::graphql::document::Rejection;
use crate::http::live::Seat;
use crate::http::{RequestId, request_id, watch};
use crate::telemetry::metrics::{Route, Transport};
use crate::telemetry::{self, count};

/// Events that wait for the client at the most.
const QUEUE: usize = 8;

/// What a stream has to begin with.
struct Opening<Context> {
    context: Arc<Context>,
    read_only: bool,
    cost: CostReport,
    /// The operation, or what is wrong with its document.
    paid: Result<Paid, Failure>,
    seat: Seat,
}

/// The way to the client of a stream.
struct Pipe {
    queue: mpsc::Sender<Bytes>,
    unread: Duration,
}

impl Pipe {
    async fn write(&self, text: String) -> Result<(), Gone> {
        match timeout(self.unread, self.queue.send(text.into())).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}

impl Outlet for Pipe {
    const TRANSPORT: Transport = Transport::Stream;

    async fn put(&mut self, event: Event) -> Result<(), Gone> {
        match event {
            Event::Next(answer) => self.write(format!("event: next\ndata: {answer}\n\n")).await,
            Event::Refused(errors) => {
                let answer = format!("event: next\ndata: {{\"errors\":{errors}}}\n\n");
                self.write(answer + "event: complete\ndata:\n\n").await
            }
            Event::Complete => self.write("event: complete\ndata:\n\n".to_owned()).await,
        }
    }
}

/// Whether the client reads event streams.
fn accepts(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(header::ACCEPT).iter().peekable();
    ranges.peek().is_none()
        || ranges.any(|value| {
            let names = value.to_str().unwrap_or("").split(',');
            names.filter_map(|range| range.split(';').next()).any(|name| {
                ["text/event-stream", "text/*", "*/*"]
                    .iter()
                    .any(|known| name.trim().eq_ignore_ascii_case(known))
            })
        })
}

impl<G, Query, Mutation, Subscription> Shared<G, Query, Mutation, Subscription>
where
    G: Gate,
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    /// Answers one request with a stream, or with why there is none.
    pub(super) async fn stream(self: Arc<Self>, request: Request<BodyStream>) -> Response<BodyStream> {
        let id = RequestId::of(request.headers());
        let span = watch::span(&request, Route::Stream, &id);
        watch::answer(&id, span, self.begin(request, &id)).await
    }

    async fn begin(self: Arc<Self>, request: Request<BodyStream>, id: &RequestId) -> Response<BodyStream> {
        let opening = AssertUnwindSafe(self.open(request, id)).catch_unwind().await;
        match opening.unwrap_or_else(|payload| Err(panicked(payload.as_ref()).into())) {
            Ok(opening) => {
                let (queue, events) = mpsc::channel(QUEUE);
                let response = respond(events, id);
                tokio::spawn(telemetry::carried(self.feed(opening, id.clone(), queue)));
                response
            }
            Err(failure) => failure.reply(Media::Json, id).into_response(Media::Json, id),
        }
    }

    async fn open(
        &self,
        request: Request<BodyStream>,
        id: &RequestId,
    ) -> Result<Opening<G::Context>, Failure> {
        let deadline = Instant::now() + self.settings.deadline;
        let (parts, body) = request.into_parts();
        if !accepts(&parts.headers) {
            let message = "Answers come as text/event-stream: accept it, or ask at /graphql.";
            return Err(Failure::http(StatusCode::NOT_ACCEPTABLE, message));
        }
        let most = self.settings.live.per_address;
        let seat = self.seats.take(self.address(&parts), most).ok_or_else(|| Error::Refused {
            code: Code::RateLimited,
            message: format!(
                "This address has {most} sockets and streams open already. Close some of them first."
            ),
        })?;
        let Received { context, body, read_only, cost, held: _held } =
            self.receive(&parts, body, id, deadline).await?;
        let lease = Lease::new(&self.gate, context);
        let Body::One(parameters) = body else {
            return Err(bad_request("A stream has one operation: the body has to be an object."));
        };
        let call = Call { id, context: &lease.context, read_only, live: true, cost, deadline };
        let paid = match self.pay(parameters, &call).await {
            Err(failure) if !failure.is_of_document() => return Err(failure),
            paid => paid,
        };
        Ok(Opening { context: lease.keep(), read_only, cost, paid, seat })
    }

    /// Runs the operation until it ends, the client goes or does not read, or the server shuts down.
    async fn feed(self: Arc<Self>, opening: Opening<G::Context>, id: RequestId, queue: mpsc::Sender<Bytes>) {
        let Opening { context, read_only, cost, paid, seat: _seat } = opening;
        let _connected = count().connected(Transport::Stream);
        let lease = Lease::new(&self.gate, context);
        let deadline = Instant::now() + self.settings.deadline;
        let call = Call { id: &id, context: &lease.context, read_only, live: true, cost, deadline };
        let mut pipe = Pipe { queue: queue.clone(), unread: self.settings.live.unread };
        let playing = async {
            match paid {
                Ok(paid) => self.play(paid, &call, &mut pipe).await,
                Err(failure) => {
                    let _ = pipe.put(refused(&failure.into_errors(&id))).await;
                    End::Over
                }
            }
        };
        let played = tokio::select! {
            played = AssertUnwindSafe(playing).catch_unwind() => played,
            () = keep_alive(&queue, self.settings.live.keep_alive) => return,
            () = queue.closed() => return,
            // The client comes again, to another server or to the next one here.
            () = self.settings.drain.begun() => return,
        };
        let why = match played {
            Ok(End::Over) => return,
            Ok(End::Dismissed(why)) => why,
            Err(payload) => panicked(payload.as_ref()),
        };
        let mut pipe = Pipe { queue, unread: self.settings.live.unread };
        let errors = Answer::refused(Rejection::from(why), &id).errors;
        let _ = pipe.put(refused(&errors)).await;
    }
}

/// Writes a comment now and then, so that nobody on the way takes silence for the end. The first one is there at once: it
/// sends the head. It ends when the client does not read.
async fn keep_alive(queue: &mpsc::Sender<Bytes>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        match queue.try_send(Bytes::from_static(b":\n\n")) {
            // Events wait: silence it is not.
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

fn respond(events: mpsc::Receiver<Bytes>, id: &RequestId) -> Response<BodyStream> {
    let body = stream::unfold(events, async |mut events| {
        let event = events.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(event), events))
    });
    let mut response = Response::new(BodyStream::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Proxies that collect answers are told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if let Some(id) = id.to_header() {
        headers.insert(request_id::HEADER, id);
    }
    response
}
