//! `/assets/…`: the objects of a local folder, sent and fetched at signed addresses. A bucket has addresses of its own.
//!
//! Whoever has an address has what it is good for, and an address that is not good says nothing: everything about it is
//! answered 404.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use chrono::Utc;
use futures_util::StreamExt as _;
use tower_http::cors::{Any, CorsLayer};

use crate::assets::content;
use crate::error::Error;
use crate::storage::address::{Ticket, Verb};
use crate::storage::{Presentation, Storage, Unwritten};

/// How long the next piece of a file may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The addresses. An address is all the proof that is needed, and nothing rides along with it, so every page may use one.
pub(super) fn router(storage: Arc<Storage>) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::PUT])
        .allow_headers([CONTENT_TYPE, RANGE]);
    Router::new().route("/assets/{*key}", get(give).put(take)).layer(cors).with_state(storage)
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "There is nothing at this address, or it has expired. Ask for a new one.\n")
        .into_response()
}

fn fault(error: &Error) -> Response {
    match error {
        Error::NotFound => nothing(),
        error => {
            tracing::error!("the storage failed: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "The storage does not answer. Try again later.\n")
                .into_response()
        }
    }
}

/// Takes a file.
async fn take(
    State(storage): State<Arc<Storage>>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let Some(ticket) = storage.admit(Verb::Put, &key, &query.unwrap_or_default()) else { return nothing() };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length != ticket.bytes) {
        return wrong_length(&ticket);
    }
    let pieces = patiently(request.into_body(), PATIENCE).map(|piece| piece.ok_or(Error::Timeout));
    match storage.take(&ticket, pieces.boxed()).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(Unwritten::Length) => wrong_length(&ticket),
        Err(Unwritten::Broken(_)) => {
            (StatusCode::REQUEST_TIMEOUT, "The file stopped coming. Send it again.\n").into_response()
        }
        Err(Unwritten::Store(error)) => fault(&error),
    }
}

fn wrong_length(ticket: &Ticket) -> Response {
    let message =
        format!("The file has another length than the {} bytes that were announced.\n", ticket.bytes);
    (StatusCode::PAYLOAD_TOO_LARGE, message).into_response()
}

/// The pieces of a body; none for one that does not come, after which there are no more.
fn patiently(
    body: Body,
    patience: Duration,
) -> impl futures_util::Stream<Item = Option<bytes::Bytes>> + Send {
    futures_util::stream::unfold(Some(body.into_data_stream()), move |pieces| async move {
        let mut pieces = pieces?;
        match tokio::time::timeout(patience, pieces.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Some(piece), Some(pieces))),
            Ok(Some(Err(_))) | Err(_) => Some((None, None)),
        }
    })
}

/// What of a file is asked for.
enum Part {
    All,
    Some(Range<u64>),
    /// Nothing of it: it is not that long.
    Beyond,
}

/// One range is served; several at once, or what is no range, are answered with all of it, as HTTP allows.
fn part(headers: &HeaderMap, tag: &str, bytes: u64) -> Part {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(RANGE) else { return Part::All };
    if text(IF_RANGE).is_some_and(|known| known != tag) {
        return Part::All;
    }
    let Ok(parsed) = http_range_header::parse_range_header(range) else { return Part::All };
    match parsed.validate(bytes) {
        Ok(ranges) => match ranges.as_slice() {
            [only] => Part::Some(*only.start()..*only.end() + 1),
            _ => Part::All,
        },
        Err(_) => Part::Beyond,
    }
}

/// Gives a file, or a part of it.
async fn give(
    State(storage): State<Arc<Storage>>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(ticket) = storage.admit(Verb::Get, &key, &query.unwrap_or_default()) else { return nothing() };
    // An object never changes: its name is as good as its checksum.
    let name = key.rsplit('/').next().unwrap_or_default();
    let tag = format!("\"{name}\"");
    let part = part(&headers, &tag, ticket.bytes);
    let range = match &part {
        Part::Some(range) => Some(range.clone()),
        _ => None,
    };
    let pieces = match storage.give(&ticket, range).await {
        Ok(pieces) => pieces,
        Err(error) => return fault(&error),
    };
    let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let (status, length) = match &part {
        _ if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) => {
            (StatusCode::NOT_MODIFIED, None)
        }
        Part::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, Some(0)),
        Part::Some(range) => (StatusCode::PARTIAL_CONTENT, Some(range.end - range.start)),
        Part::All => (StatusCode::OK, Some(ticket.bytes)),
    };
    let has_body = method == Method::GET && matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    let body = if has_body { Body::from_stream(pieces) } else { Body::empty() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    };
    let seconds = (ticket.expires - Utc::now().timestamp()).max(0);
    let asset = key.rsplit('/').nth(1).unwrap_or_default();
    let file = format!("{asset}.{}", content::extension(&ticket.mime_type));
    set(ETAG, tag);
    set(ACCEPT_RANGES, "bytes".to_owned());
    set(CACHE_CONTROL, format!("private, max-age={seconds}"));
    set(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox".to_owned());
    // It is made to be shown by other sites: by the front end of whoever was given the address.
    set(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin".to_owned());
    set(CONTENT_DISPOSITION, Presentation::disposition(&ticket.mime_type, &file));
    match &part {
        Part::Some(range) => {
            set(CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, ticket.bytes));
        }
        Part::Beyond => set(CONTENT_RANGE, format!("bytes */{}", ticket.bytes)),
        Part::All => {}
    }
    if let Some(length) = length {
        set(CONTENT_LENGTH, length.to_string());
        set(CONTENT_TYPE, ticket.mime_type);
    }
    response
}
