//! The spans of a trace: a request, its operation, the statements of both, the job that comes of them, and calls of
//! providers.
//!
//! All spans are made here, so that it can be seen here what they say: names and ids, never a value that was bound, a
//! credential, or a text of a caller's other than an operation's name. Without a collector they are switched off where
//! they are made, which costs a comparison.

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::{Level, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::metrics::OperationKind;
use crate::error::Code;

/// What tells these spans from those of libraries.
pub(super) const TARGET: &str = module_path!();

/// Characters of a caller's name for an operation at the most.
const NAME: usize = 100;

/// Where a trace began elsewhere, as the headers of that name say it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parent<'a> {
    /// The trace, and the span in it.
    pub traceparent: Option<&'a str>,
    /// What others have noted beside it.
    pub tracestate: Option<&'a str>,
}

impl Extractor for Parent<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        match name {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

impl Parent<'_> {
    /// Hangs a span below it. A parent that cannot be read is as good as none.
    fn adopt(&self, span: &Span) {
        if span.is_disabled() || self.traceparent.is_none() {
            return;
        }
        let parent = TraceContextPropagator::new().extract(self);
        if parent.span().span_context().is_valid() {
            // It fails only for a span that has begun, which this one has not.
            let _ = span.set_parent(parent);
        }
    }
}

/// A request, as part of the trace that its headers name. `method` is one of a closed list.
pub fn request(method: &'static str, route: &'static str, id: &str, parent: Parent<'_>) -> Span {
    let span = info_span!(
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        request.id = id,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    parent.adopt(&span);
    span
}

/// A message of a socket that begins an operation: a request of its own.
pub fn message(id: &str) -> Span {
    info_span!("message", otel.name = "websocket message", otel.kind = "server", request.id = id)
}

/// A request is answered.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// An operation, from its document to its answer.
pub fn operation() -> Span {
    info_span!(
        "operation",
        otel.name = Empty,
        otel.status_code = Empty,
        graphql.operation.name = Empty,
        graphql.operation.type = Empty,
        graphql.field = Empty,
        graphql.points = Empty,
        graphql.document.cached = Empty,
        error.type = Empty,
    )
}

/// What an operation turns out to be.
pub fn selected(span: &Span, name: Option<&str>, kind: OperationKind, field: &str, points: u64) {
    if span.is_disabled() {
        return;
    }
    let kind = kind.as_str();
    span.record("otel.name", format_args!("{kind} {field}"));
    span.record("graphql.operation.type", kind);
    span.record("graphql.field", field);
    span.record("graphql.points", points);
    if let Some(name) = name {
        let end = name.char_indices().nth(NAME).map_or(name.len(), |(end, _)| end);
        span.record("graphql.operation.name", name.get(..end).unwrap_or_default());
    }
}

/// Whether the operation's document had been checked before: of the operation that is being looked at.
pub fn cached(is_known: bool) {
    Span::current().record("graphql.document.cached", is_known);
}

/// Something failed. What a caller did wrong is no fault of the span's.
pub fn failed(span: &Span, code: Code) {
    span.record("error.type", code.as_str());
    if code.level() <= Level::WARN {
        span.record("otel.status_code", "ERROR");
    }
}

/// A statement.
pub fn statement() -> Span {
    info_span!(
        "statement",
        otel.name = Empty,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = "postgresql",
        db.query.summary = Empty,
        db.response.status_code = Empty,
    )
}

/// A statement's name or summary, of which no part is a value.
pub fn stated(span: &Span, summary: &str) {
    span.record("otel.name", summary);
    span.record("db.query.summary", summary);
}

/// A statement failed, with the database's code if it was the database.
pub fn statement_failed(span: &Span, state: Option<&str>) {
    span.record("otel.status_code", "ERROR");
    if let Some(state) = state {
        span.record("db.response.status_code", state);
    }
}

/// The wait for a connection.
pub fn connection() -> Span {
    info_span!("connection", db.system.name = "postgresql")
}

/// A job is enqueued; what is done of it later is part of the same trace.
pub fn enqueue(kind: &str, id: &dyn std::fmt::Display) -> Span {
    info_span!(
        "enqueue",
        otel.name = format_args!("enqueue {kind}"),
        otel.kind = "producer",
        job.kind = kind,
        job.id = %id,
    )
}

/// An attempt at a job, as part of the trace in which it was enqueued.
pub fn attempt(kind: &str, id: &dyn std::fmt::Display, attempt: i32, parent: Option<&str>) -> Span {
    let span = info_span!(
        "attempt",
        otel.name = format_args!("attempt {kind}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        job.kind = kind,
        job.id = %id,
        job.attempt = attempt,
        job.outcome = Empty,
    );
    Parent { traceparent: parent, tracestate: None }.adopt(&span);
    span
}

/// A job's attempt has ended.
pub fn attempted(span: &Span, outcome: super::metrics::JobOutcome) {
    span.record("job.outcome", outcome.as_str());
    if outcome == super::metrics::JobOutcome::Failed {
        span.record("otel.status_code", "ERROR");
    }
}

/// A call of a provider's model.
pub fn provider(provider: &'static str, model: &str) -> Span {
    info_span!(
        "provider",
        otel.name = format_args!("chat {provider}"),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        error.type = Empty,
    )
}

/// A provider has been called, with the tokens of the question and of the reply.
pub fn replied(span: &Span, outcome: Result<(), &'static str>, tokens: Option<(u64, u64)>) {
    if let Err(kind) = outcome {
        span.record("error.type", kind);
        span.record("otel.status_code", "ERROR");
    }
    if let Some((prompt, completion)) = tokens {
        span.record("gen_ai.usage.input_tokens", prompt);
        span.record("gen_ai.usage.output_tokens", completion);
    }
}

/// Ids of the trace and of the span that something happens in; none when no trace is made. It is asked while an event is
/// written, where asking what is switched on would confuse the layers about that event.
pub(super) fn ids() -> Option<(String, String)> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| (span.trace_id().to_string(), span.span_id().to_string()))
}

/// A span's place in its trace, as a `traceparent` says it; none when no trace is made.
pub fn parent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    let flags = span.trace_flags().to_u8();
    span.is_valid().then(|| format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()))
}
