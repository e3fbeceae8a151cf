//! A collector of traces: a server on a loopback port that speaks OTLP over HTTP, and keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Wire;
use prost::Message as _;
use tokio::net::TcpListener;

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace, in hexadecimal.
    pub trace: String,
    /// The span.
    pub id: String,
    /// The span above; empty for none.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// 2 when it has failed.
    pub status: i32,
    /// How often the span notes that something happened in it.
    pub events: usize,
    /// From when to when, in nanoseconds.
    pub time: (u64, u64),
    /// What it says, as text.
    pub attributes: Vec<(String, String)>,
    /// Who says it.
    pub resource: Vec<(String, String)>,
}

impl Span {
    /// What it says under a name.
    pub fn says(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A collector that is listening.
pub struct Collector {
    /// Where.
    pub address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Any::StringValue(text)) => text,
        Some(Any::BoolValue(value)) => value.to_string(),
        Some(Any::IntValue(value)) => value.to_string(),
        Some(Any::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn said(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn read(span: Wire, resource: &[(String, String)]) -> Span {
    Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        status: span.status.map_or(0, |status| status.code),
        events: span.events.len(),
        time: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: said(span.attributes),
        resource: resource.to_vec(),
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut kept = spans.lock().unwrap();
    for resource in request.resource_spans {
        let who = said(resource.resource.unwrap_or_default().attributes);
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        kept.extend(spans.map(|span| read(span, &who)));
    }
    StatusCode::OK
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        let spans = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&spans));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, spans }
    }

    /// One that accepts connections and never answers.
    pub async fn hang() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        address
    }

    /// Its address, as the setting has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}
