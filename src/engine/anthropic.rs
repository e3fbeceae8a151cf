//! Anthropic's messages format (<https://platform.claude.com/docs/en/api/messages>): `POST {base}/v1/messages`, streamed
//! as named events.
//!
//! JSON is asked for with one tool that the model has to use. The newest models refuse to be forced, and know structured
//! outputs instead; models before those know only tools. A 400 that names the parameter tells which one it is, and what a
//! model has taught is kept for its next request. The same goes for `temperature`, which newer models refuse.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use moka::sync::Cache;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{Answer, Complaint, Stream, Target, Wire};
use super::{Endpoint, Failure, Finish, Kind, OnText, Provider, TextEngine, TextReply, TextRequest, Usage};

const PROVIDER: Provider = Provider::Anthropic;
const KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// A server's text models.
#[derive(Debug)]
pub struct Anthropic {
    wire: Arc<Wire>,
    target: Target,
    dialects: Cache<String, Dialect>,
}

/// The parameters that a server knows for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dialect {
    /// JSON comes as the input of a tool that must be used, else as text in a structured output.
    forced_tool: bool,
    temperature: bool,
}

const OLDEST: Dialect = Dialect { forced_tool: true, temperature: true };

impl Dialect {
    /// Another that leaves out what the complaint is about; none when there is none.
    fn without(mut self, complaint: &Complaint, request: &TextRequest) -> Option<Self> {
        let before = self;
        if request.schema.is_some() && complaint.is_about("tool_choice") {
            self.forced_tool = false;
        } else if request.temperature.is_some() && complaint.is_about("temperature") {
            self.temperature = false;
        }
        (self != before).then_some(self)
    }

    fn body(self, request: &TextRequest) -> Value {
        let mut body = json!({
            "model": request.model,
            "max_tokens": request.max_tokens,
            "messages": request.turns(),
            "stream": true,
        });
        if let Some(system) = request.system.as_deref().filter(|system| !system.is_empty()) {
            body["system"] = system.into();
        }
        if let Some(temperature) = request.temperature.filter(|_| self.temperature) {
            body["temperature"] = temperature.into();
        }
        match &request.schema {
            Some(form) if self.forced_tool => {
                body["tools"] = json!([{
                    "name": form.name,
                    "description": "Gives the answer.",
                    "input_schema": form.schema,
                }]);
                body["tool_choice"] =
                    json!({ "type": "tool", "name": form.name, "disable_parallel_tool_use": true });
            }
            Some(form) => {
                body["output_config"] = json!({ "format": { "type": "json_schema", "schema": form.schema } });
            }
            None => {}
        }
        body
    }
}

impl Anthropic {
    /// The models at `endpoint`.
    pub fn new(wire: Arc<Wire>, endpoint: &Endpoint) -> anyhow::Result<Self> {
        let (header, version) = VERSION;
        let target = Target::new(PROVIDER, endpoint, "messages", (KEY, ""))?.with(header, version);
        let dialects = Cache::builder().max_capacity(256).time_to_live(Duration::from_secs(3600)).build();
        Ok(Self { wire, target, dialects })
    }

    async fn converse(&self, request: &TextRequest, on_text: OnText<'_>) -> Result<TextReply, Failure> {
        request.check(PROVIDER)?;
        let mut dialect = self.dialects.get(&request.model).unwrap_or(OLDEST);
        // Each turn of the loop leaves a parameter out, so it ends.
        let stream = loop {
            match self.wire.post(&self.target, &dialect.body(request), self.wire.limits()).await? {
                Answer::Stream(stream) => break stream,
                Answer::Complaint(complaint) => match dialect.without(&complaint, request) {
                    Some(other) => dialect = other,
                    None => return Err(self.target.failure(kind(&complaint), &complaint)),
                },
            }
        };
        if dialect != OLDEST {
            self.dialects.insert(request.model.clone(), dialect);
        }
        let as_tool = request.schema.is_some() && dialect.forced_tool;
        let said = self.read(stream, as_tool, on_text).await?;
        self.conclude(said, request)
    }

    async fn read(
        &self,
        mut stream: Box<Stream>,
        as_tool: bool,
        on_text: OnText<'_>,
    ) -> Result<Said, Failure> {
        let mut said = Said::default();
        if !stream.has_events() {
            return Err(Failure::broken(PROVIDER, "is not a stream of events"));
        }
        loop {
            let event = match stream.next().await {
                Ok(Some(event)) => event,
                Ok(None) | Err(_) if said.stop_reason.is_some() => return Ok(said),
                Ok(None) => return Err(Failure::broken(PROVIDER, "was cut off").with_usage(said.usage())),
                Err(failure) => return Err(failure.with_usage(said.usage())),
            };
            let Ok(event) = serde_json::from_str::<Event>(&event.data) else {
                let failure = Failure::broken(PROVIDER, "is not in the messages format");
                return Err(failure.with_usage(said.usage()));
            };
            match event {
                Event::MessageStart { message } => {
                    said.model = message.model;
                    said.count(message.usage);
                }
                Event::ContentBlockDelta { delta } => {
                    let piece = match delta {
                        Delta::Text { text } if !as_tool => text,
                        Delta::Input { partial_json } if as_tool => partial_json,
                        // What the model thinks, or says before it uses the tool, is no part of the answer.
                        _ => continue,
                    };
                    if !piece.is_empty() {
                        on_text(&piece);
                        said.text.push_str(&piece);
                    }
                }
                Event::MessageDelta { delta, usage } => {
                    said.stop_reason = delta.stop_reason.or(said.stop_reason.take());
                    said.count(usage);
                }
                Event::MessageStop => return Ok(said),
                Event::Error { error } => {
                    let complaint = Complaint::read(200, &json!({ "error": error }));
                    let failure = self.target.failure(kind(&complaint), &complaint);
                    return Err(failure.with_usage(said.usage()));
                }
                Event::Other => {}
            }
        }
    }

    fn conclude(&self, said: Said, request: &TextRequest) -> Result<TextReply, Failure> {
        let usage = said.usage();
        let finish = match said.stop_reason.as_deref() {
            Some("refusal") => {
                let failure = self.target.failure(Kind::Refused, &Complaint::of("refusal", ""));
                return Err(failure.with_usage(usage));
            }
            Some("max_tokens" | "model_context_window_exceeded" | "pause_turn") => Finish::Length,
            _ => Finish::Stop,
        };
        let model = said.model.unwrap_or_else(|| request.model.clone());
        request.accept(PROVIDER, TextReply { text: said.text, model, usage, finish })
    }
}

impl TextEngine for Anthropic {
    fn provider(&self) -> Provider {
        PROVIDER
    }

    fn write<'a>(
        &'a self,
        request: &'a TextRequest,
        on_text: OnText<'a>,
    ) -> BoxFuture<'a, Result<TextReply, Failure>> {
        let total = self.wire.total(request.timeout);
        self.wire.within(PROVIDER, total, self.converse(request, on_text).boxed()).boxed()
    }
}

/// What has been said so far.
#[derive(Default)]
struct Said {
    text: String,
    model: Option<String>,
    stop_reason: Option<String>,
    counted: Option<Counted>,
}

impl Said {
    /// Takes over what is counted; the counts are running totals.
    fn count(&mut self, counted: Option<Counted>) {
        let Some(new) = counted else { return };
        let old = self.counted.take().unwrap_or_default();
        self.counted = Some(Counted {
            input: new.input.or(old.input),
            cache_creation: new.cache_creation.or(old.cache_creation),
            cache_read: new.cache_read.or(old.cache_read),
            output: new.output.or(old.output),
        });
    }

    fn usage(&self) -> Option<Usage> {
        let counted = self.counted.as_ref()?;
        let read = [counted.input, counted.cache_creation, counted.cache_read];
        Some(Usage {
            prompt_tokens: read.into_iter().flatten().fold(0, u64::saturating_add),
            completion_tokens: counted.output.unwrap_or(0),
        })
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        delta: End,
        usage: Option<Counted>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    /// `ping`, the borders of blocks, and what is still to be invented.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    model: Option<String>,
    usage: Option<Counted>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Counted {
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "cache_creation_input_tokens")]
    cache_creation: Option<u64>,
    #[serde(rename = "cache_read_input_tokens")]
    cache_read: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
}

/// What a complaint means.
fn kind(complaint: &Complaint) -> Kind {
    let says = |words: &[&str]| words.iter().any(|word| complaint.message.contains(word));
    match (complaint.kind.as_deref().unwrap_or_default(), complaint.status) {
        ("authentication_error" | "permission_error", _) | (_, 401 | 403) => Kind::Authentication,
        ("billing_error", _) | (_, 402) => Kind::Quota,
        ("request_too_large", _) | (_, 413) => Kind::ContextLength,
        ("rate_limit_error", _) | (_, 429) => Kind::RateLimited,
        ("timeout_error", _) | (_, 408) => Kind::Timeout,
        ("api_error" | "overloaded_error", _) | (_, 500..) => Kind::Unavailable,
        (_, 400) if says(&["prompt is too long", "exceed context limit"]) => Kind::ContextLength,
        (_, 400) if says(&["credit balance is too low"]) => Kind::Quota,
        ("invalid_request_error", _) | (_, 300..500) => Kind::Rejected,
        _ => Kind::Unavailable,
    }
}
