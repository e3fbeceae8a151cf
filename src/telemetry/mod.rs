//! What can be seen of a running server: logs, figures for Prometheus, traces for OpenTelemetry.
//!
//! | file | what |
//! |---|---|
//! | `metrics.rs` | every figure, and what counts it |
//! | `trace.rs` | every span, and what it says |
//! | `logs.rs`, `otlp.rs` | how lines are written, and how spans travel |
//! | `grafana.json`, `alerts.yml` | a dashboard and alerts; `tests/observability.rs` compares them with the figures |

mod logs;
pub mod metrics;
mod otlp;
pub mod trace;

use std::future::Future;
use std::sync::Arc;

use tracing::{Instrument as _, Span};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};
use url::Url;

use self::logs::REQUEST;
pub use self::metrics::count;
use self::otlp::Delivery;

/// Logging and tracing of this process.
#[must_use]
pub struct Telemetry {
    delivery: Option<Delivery>,
}

/// Starts logging, and tracing where there is a collector. A runtime must be there.
///
/// # Errors
/// When spans cannot be sent to such an address.
pub fn start(collector: Option<&Url>) -> anyhow::Result<Telemetry> {
    let delivery = collector.map(Delivery::start).transpose()?;
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![logs::layer()];
    if let Some(delivery) = &delivery {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(delivery.tracer())
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        // Spans of our own only, and no events: what is logged may say more than a trace should.
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == trace::TARGET);
        layers.push(spans.with_filter(ours).boxed());
    }
    let started = tracing_subscriber::registry().with(layers).try_init();
    // A panic is logged like every other fault; the answer tells nothing of it.
    std::panic::set_hook(Box::new(|info| {
        metrics::panicked();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked: {}", info.payload_as_str().unwrap_or("without a message"));
    }));
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(Telemetry { delivery })
}

impl Telemetry {
    /// Sends the spans that are left, for no longer than a moment.
    pub async fn stop(self) {
        if let Some(delivery) = self.delivery {
            delivery.stop().await;
        }
    }
}

/// Works on a request or a job: what is logged meanwhile carries the request's id, and what is traced hangs below the span.
pub fn within<F: Future>(request: Arc<str>, span: Span, work: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(request, work.instrument(span))
}

/// The same for a task that the work begins, which would otherwise know nothing of it.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let work = work.in_current_span();
    let request = REQUEST.try_with(Arc::clone).ok();
    async move {
        match request {
            Some(request) => REQUEST.scope(request, work).await,
            None => work.await,
        }
    }
}
