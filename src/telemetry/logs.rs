//! Logs: readable on a terminal, JSON elsewhere; a message that stands alone, and fields with dotted names.
//!
//! Whatever is logged while a request or a job is worked on carries the request's id, and where traces are made the ids of
//! the trace and the span.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;
use std::sync::Arc;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::trace;

tokio::task_local! {
    /// The request that is worked on.
    pub(super) static REQUEST: Arc<str>;
}

/// The layer that logs to standard error. `RUST_LOG` chooses what, for example `aicos=debug`.
pub(super) fn layer<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let wanted = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,aicos=info,aicos::postgres=warn"));
    // Spans are the business of traces: without them nobody pays for one.
    let wanted = wanted.and(filter_fn(|metadata| !metadata.is_span()));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        layer.with_target(false).map_event_format(Line::Terminal).with_filter(wanted).boxed()
    } else {
        layer.json().flatten_event(true).map_event_format(Line::Json).with_filter(wanted).boxed()
    }
}

/// A line of the log with the ids of what it is part of.
enum Line {
    Terminal(Format<Full>),
    Json(Format<Json>),
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_named = event.metadata().fields().field("request.id").is_some();
        let request = if is_named { None } else { REQUEST.try_with(Arc::clone).ok() };
        let trace = trace::ids();
        let ids = [
            ("request.id", request.as_deref()),
            ("trace.id", trace.as_ref().map(|(trace, _)| trace.as_str())),
            ("span.id", trace.as_ref().map(|(_, span)| span.as_str())),
        ];
        let ids = ids.iter().filter_map(|(name, id)| Some((*name, (*id)?)));
        let mut line = String::new();
        match self {
            Self::Terminal(format) => {
                let format = format.clone().with_ansi(writer.has_ansi_escapes());
                format.format_event(context, Writer::new(&mut line), event)?;
                line.truncate(line.trim_end().len());
                for (name, id) in ids {
                    write!(line, " {name}={id}")?;
                }
            }
            Self::Json(format) => {
                format.format_event(context, Writer::new(&mut line), event)?;
                line.truncate(line.trim_end().len());
                line.truncate(line.strip_suffix('}').unwrap_or(&line).len());
                for (name, id) in ids {
                    // An id has no character that JSON would have escaped.
                    write!(line, ",\"{name}\":\"{id}\"")?;
                }
                line.push('}');
            }
        }
        writeln!(writer, "{line}")
    }
}
