//! What is counted and traced of every request, whatever it asks.

use std::convert::Infallible;
use std::time::Instant;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response};
use tracing::Span;

use super::RequestId;
use crate::telemetry::metrics::Route;
use crate::telemetry::trace::Parent;
use crate::telemetry::{self, count, trace};

/// Counts the answer to a request.
pub(super) async fn counted(
    route: Route,
    answering: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Result<Response<Body>, Infallible> {
    let asked = Instant::now();
    let answer = answering.await?;
    count().answer(route, answer.status().as_u16(), asked.elapsed());
    Ok(answer)
}

/// The span of a request, below the one that it names as its parent.
pub(super) fn span<T>(request: &axum::http::Request<T>, route: Route, id: &RequestId) -> Span {
    begin(request.method(), request.headers(), route, id)
}

/// The same for a request that has been taken apart.
pub(super) fn span_of(parts: &Parts, route: Route, id: &RequestId) -> Span {
    begin(&parts.method, &parts.headers, route, id)
}

fn begin(method: &Method, headers: &HeaderMap, route: Route, id: &RequestId) -> Span {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let parent = Parent { traceparent: header("traceparent"), tracestate: header("tracestate") };
    // Anybody can make up a method.
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "_OTHER",
    };
    trace::request(method, route.as_str(), id.as_str(), parent)
}

/// Answers a request within its span.
pub(super) async fn answer(
    id: &RequestId,
    span: Span,
    answering: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    let answer = telemetry::within(id.shared(), span.clone(), answering).await;
    trace::answered(&span, answer.status().as_u16());
    answer
}
