//! The way of finished spans to a collector: OTLP over HTTP, many at once, from a thread of its own.
//!
//! What is waiting is bounded, and dropped when there is no more room; nobody who makes a span ever waits.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use url::Url;

use super::metrics::count;

/// How long the collector may take for one batch.
const BATCH: Duration = Duration::from_secs(5);
/// How long what is left may take when the process ends.
const GOODBYE: Duration = Duration::from_secs(2);
/// Bytes of a collector's answer at the most.
const ANSWER: usize = 1 << 20;

/// Spans on their way.
pub(super) struct Delivery {
    provider: SdkTracerProvider,
}

impl Delivery {
    /// Begins to collect spans for the collector at this address. Nothing is connected yet.
    pub fn start(collector: &Url) -> anyhow::Result<Self> {
        let mut address = collector.clone();
        address
            .path_segments_mut()
            .map_err(|()| {
                anyhow::anyhow!("OTEL_EXPORTER_OTLP_ENDPOINT is an address that cannot have a path.")
            })?
            .pop_if_empty()
            .extend(["v1", "traces"]);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Courier::new(collector.clone()))
            .with_endpoint(address.as_str())
            .with_timeout(BATCH)
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used")?;
        let resource = Resource::builder()
            .with_service_name("aicos")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()))
            .build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Self { provider })
    }

    /// What makes spans.
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer("aicos")
    }

    /// Sends what is left, and waits for it no longer than is decent.
    pub async fn stop(self) {
        // It blocks its thread while the collector is asked.
        let stopping = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(GOODBYE));
        match stopping.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::warn!("the last spans did not reach the collector"),
            Err(error) => tracing::error!("the last spans were not sent: {error}"),
        }
    }
}

/// Carries batches to the collector on the server's own runtime, and tells when that begins and ceases to work.
#[derive(Debug)]
struct Courier {
    collector: Url,
    runtime: Handle,
    client: OnceLock<reqwest::Client>,
    is_down: AtomicBool,
}

impl Courier {
    fn new(collector: Url) -> Self {
        let runtime = Handle::current();
        Self { collector, runtime, client: OnceLock::new(), is_down: AtomicBool::new(false) }
    }

    /// The client, made when it is first needed: it reads the system's certificates, which takes a while.
    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("aicos/", env!("CARGO_PKG_VERSION")))
            .timeout(BATCH)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    async fn carry(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + piece.len() > ANSWER {
                return Err(ResponseBodyTooLarge::new().into());
            }
            body.extend_from_slice(&piece);
        }
        *response.body_mut() = body.into();
        Ok(response)
    }

    /// Tells once that a collector is gone, and once that it is back.
    fn tell(&self, outcome: Result<u16, &HttpError>) {
        let is_delivered = outcome.is_ok_and(|status| status < 300);
        count().traces(is_delivered);
        let was_down = self.is_down.swap(!is_delivered, Ordering::Relaxed);
        match outcome {
            Ok(_) if is_delivered && was_down => {
                tracing::info!("traces reach the collector at {} again", self.collector);
            }
            Ok(status) if !is_delivered && !was_down => tracing::warn!(
                "traces are lost: the collector at {} answers with the status {status}",
                self.collector
            ),
            Err(error) if !was_down => {
                let error = anyhow::anyhow!(error.to_string());
                tracing::warn!("traces are lost: the collector at {} is not there: {error}", self.collector);
            }
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let carrying = async {
            let client = self.client()?;
            // Whoever asks is a thread without a runtime.
            self.runtime.spawn(Self::carry(client, request)).await?
        };
        let outcome: Result<_, HttpError> = carrying.await;
        self.tell(outcome.as_ref().map(|response| response.status().as_u16()));
        outcome
    }
}
