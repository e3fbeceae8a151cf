//! Answers and refusals: their status, their headers and their one serialisation.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use async_graphql::{ServerError, Value, value};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::accept::Media;
use crate::error::{Code, Error, finish};
use crate::graphql::document::{Rejection, shorten};
use crate::http::RequestId;
use crate::http::request_id;
use crate::telemetry::count;

/// When to come again after something that the server needs was down.
const COME_AGAIN: Duration = Duration::from_secs(2);

/// What one operation answers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ServerError>,
    /// Missing when nothing ran.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::graphql::plain::serialize")]
    pub data: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Value>,
    /// Headers that resolvers have set.
    #[serde(skip)]
    pub headers: HeaderMap,
}

impl Answer {
    /// The answer of an execution, whose errors get their final form.
    pub fn of(mut response: async_graphql::Response, id: &RequestId) -> Self {
        for error in &mut response.errors {
            finish_execution(error, id);
        }
        let mut answer = Self {
            errors: response.errors,
            data: Some(response.data),
            extensions: response.extensions,
            headers: response.http_headers,
        };
        // Nulls inside of nulls are no answer either; without one, the status may say so.
        if answer.came_to_nothing() {
            answer.data = Some(Value::Null);
        }
        answer
    }

    /// Whether nothing of it could be had because something that the server needs is down, or took too long.
    pub fn came_to_nothing(&self) -> bool {
        let passing = [Code::Unavailable, Code::Timeout].map(|code| Value::from(code.as_str()));
        let is_passing = |error: &ServerError| {
            let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
            code.is_some_and(|code| passing.contains(code))
        };
        !self.errors.is_empty()
            && self.errors.iter().all(is_passing)
            && self.data.as_ref().is_none_or(is_bare)
    }

    /// The answer of an execution that was broken off.
    pub fn broken_off(error: Error, id: &RequestId) -> Self {
        Self { data: Some(Value::Null), ..Self::refused(error.into(), id) }
    }

    /// The answer to what did not begin to run.
    pub fn refused(rejection: Rejection, id: &RequestId) -> Self {
        Self { errors: rejection.finish(id.as_str()), ..Self::default() }
    }

    /// The code of its first error; none when there is no error.
    pub fn code(&self) -> Option<Code> {
        match self.errors.first()?.extensions.as_ref()?.get("code")? {
            Value::String(code) => Code::parse(code),
            _ => None,
        }
    }

    /// Adds what it cost.
    pub fn with_cost(mut self, requested: u64, limit: u64, remaining: Option<u64>) -> Self {
        let remaining = remaining.map_or(Value::Null, Value::from);
        let cost = value!({ "requested": requested, "limit": limit, "remaining": remaining });
        self.extensions.insert("cost".to_owned(), cost);
        self
    }
}

/// Whether a value holds nothing but nulls.
fn is_bare(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_bare),
        // An empty list is something to know.
        Value::List(items) => !items.is_empty() && items.iter().all(is_bare),
        _ => false,
    }
}

/// Gives an error of an execution its final form.
///
/// Resolvers' errors carry their source. Without one an error is the execution engine's: either an argument that a
/// scalar could not read, which the caller can put right, or something that is nobody's business outside.
pub fn finish_execution(error: &mut ServerError, id: &RequestId) {
    if error.source.is_none() {
        let unreadable = error.message.strip_prefix("Failed to parse ");
        if let Some(reason) = unreadable.and_then(|reason| reason.split_once(": ")) {
            error.message = format!("A value is not a valid {}: {}.", reason.0.replace('"', "`"), reason.1);
            shorten(&mut error.message);
        } else if error.message.starts_with("Expected input type ") {
            shorten(&mut error.message);
        } else {
            let cause = anyhow::anyhow!("the execution engine: {}", error.message);
            error.source = Some(std::sync::Arc::new(Error::internal(cause)));
        }
    }
    finish(error, Code::BadUserInput, id.as_str());
}

/// What a panic leaves: a fault of ours, with its message for the log.
pub(super) fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text =
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("of an unknown kind");
    Error::internal(anyhow::anyhow!("a panic: {text}"))
}

/// Why a request gets no answer of an execution.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    rejection: Rejection,
    /// What the head of the answer says besides. On the heap: a failure is returned from everywhere.
    headers: Box<HeaderMap>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The request is GraphQL over HTTP and its document or variables are refused.
    Document,
    /// It is refused for another reason, whatever it asks.
    Http(StatusCode),
}

impl Failure {
    /// A document or its variables are refused.
    pub fn document(rejection: Rejection) -> Self {
        Self { kind: Kind::Document, rejection, headers: Box::default() }
    }

    /// A request that cannot be read as GraphQL over HTTP.
    pub fn http(status: StatusCode, message: impl Into<String>) -> Self {
        Self::coded(status, Code::BadUserInput, message)
    }

    fn coded(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        let rejection = Rejection::new(code, message, None);
        Self { kind: Kind::Http(status), rejection, headers: Box::default() }
    }

    /// A body that is larger than allowed.
    pub fn large_body(limit: usize) -> Self {
        Self::http(StatusCode::PAYLOAD_TOO_LARGE, format!("The body is larger than {limit} bytes."))
    }

    /// A document whose text is longer than allowed.
    pub fn long_document(limit: usize) -> Self {
        let message = format!("The document is longer than {limit} bytes.");
        Self::coded(StatusCode::PAYLOAD_TOO_LARGE, Code::QueryTooComplex, message)
    }

    /// A method that does not fit, with those that do.
    pub fn method(allow: &'static str, message: &str) -> Self {
        let mut failure = Self::http(StatusCode::METHOD_NOT_ALLOWED, message);
        failure.headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        failure
    }

    /// The body did not arrive in time.
    pub fn slow_body() -> Self {
        Self::coded(StatusCode::REQUEST_TIMEOUT, Code::Timeout, "The body did not arrive in time.")
    }

    /// The same with more in the head of the answer.
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The refusal of one operation among several, as its answer.
    pub fn into_answer(self, id: &RequestId) -> Result<Answer, Self> {
        match self.kind {
            Kind::Document => {
                count().refusal(self.code());
                Ok(Answer::refused(self.rejection, id))
            }
            Kind::Http(_) => Err(self),
        }
    }

    /// Whether it concerns the document, and not how it was sent.
    pub const fn is_of_document(&self) -> bool {
        matches!(self.kind, Kind::Document)
    }

    /// What is wrong, for programs.
    pub const fn code(&self) -> Code {
        self.rejection.code
    }

    /// What is wrong, as a sentence.
    pub fn message(&self) -> String {
        self.rejection.errors.first().map(|error| error.message.clone()).unwrap_or_default()
    }

    /// The errors that it consists of.
    pub fn into_errors(self, id: &RequestId) -> Vec<ServerError> {
        count().refusal(self.code());
        self.rejection.finish(id.as_str())
    }

    pub fn reply(self, media: Media, id: &RequestId) -> Reply {
        count().refusal(self.code());
        let status = match (self.kind, media) {
            (Kind::Http(status), _) => status,
            (Kind::Document, Media::GraphqlResponse) => StatusCode::BAD_REQUEST,
            (Kind::Document, Media::Json) => StatusCode::OK,
        };
        let mut reply = Reply::new(status, &Answer::refused(self.rejection, id)).with_headers(*self.headers);
        if status == StatusCode::UNAUTHORIZED {
            reply.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        reply
    }
}

impl From<Error> for Failure {
    /// A refusal by the gate, before anything ran.
    fn from(error: Error) -> Self {
        let status = match error.code() {
            Code::Unauthenticated | Code::TokenExpired => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable | Code::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let retry_after = match &error {
            Error::Limited(wait) | Error::Busy(wait) => Some(*wait),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some(COME_AGAIN),
            _ => None,
        };
        let mut headers = Box::<HeaderMap>::default();
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        Self { kind: Kind::Http(status), rejection: error.into(), headers }
    }
}

/// An answer in its last form.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    /// Serialises an answer, or a list of them.
    pub fn new(status: StatusCode, answer: &impl Serialize) -> Self {
        let mut body = Vec::with_capacity(1024);
        match serde_json::to_writer(&mut body, answer) {
            Ok(()) => Self { status, headers: HeaderMap::new(), body },
            Err(error) => {
                tracing::error!("an answer cannot be written as JSON: {error}");
                let body = br#"{"errors":[{"message":"Something went wrong on the server.","extensions":{"code":"INTERNAL"}}]}"#;
                Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    headers: HeaderMap::new(),
                    body: body.to_vec(),
                }
            }
        }
    }

    /// Serialises what was executed: an answer or a list of them. When all of it came to nothing, the status says so.
    pub fn executed(came_to_nothing: bool, answer: &impl Serialize) -> Self {
        if !came_to_nothing {
            return Self::new(StatusCode::OK, answer);
        }
        let mut reply = Self::new(StatusCode::SERVICE_UNAVAILABLE, answer);
        reply.headers.insert(header::RETRY_AFTER, HeaderValue::from(COME_AGAIN.as_secs()));
        reply
    }

    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    pub fn into_response(self, media: Media, id: &RequestId) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media.header());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(id) = id.to_header() {
            headers.insert(request_id::HEADER, id);
        }
        response
    }
}
