//! The chat format of OpenAI and of the many servers that speak it
//! (<https://developers.openai.com/api/reference/resources/chat>): `POST {base}/v1/chat/completions`, streamed.
//!
//! Servers differ in the parameters that they know. A request begins with the newest form, and a 400 that names a
//! parameter makes it simpler; what was learnt of a model, and of a form of JSON, is kept for the next such request.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use moka::sync::Cache;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};

use super::embeddings::EmbeddingEngine;
use super::images::ImageEngine;
use super::speech::SpeechEngine;
use super::wire::{Answer, Complaint, Stream, Target, Wire};
use super::{
    Endpoint, Failure, Finish, Kind, Limits, OnText, Provider, TextEngine, TextReply, TextRequest, Usage,
};

const PROVIDER: Provider = Provider::OpenAi;

/// A server's models of texts, images, speech and vectors.
#[derive(Debug)]
pub struct OpenAi {
    pub(super) wire: Arc<Wire>,
    target: Target,
    /// Where pictures are painted ([`super::images`]).
    pub(super) images: Target,
    /// Where texts are spoken ([`super::speech`]).
    pub(super) speech: Target,
    /// Where vectors of texts are made ([`super::embeddings`]).
    pub(super) embeddings: Target,
    dialects: Cache<String, Dialect>,
}

/// What a server knows for a model; the default is all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Dialect {
    format: Format,
    /// The parameters of [`OPTIONAL`] that it does not know.
    unknown: Vec<&'static str>,
}

/// Parameters that a request can do without; `max_tokens` stands in for the first.
const OPTIONAL: [&str; 4] = ["max_completion_tokens", "stream_options", "temperature", "seed"];

/// How JSON is asked for; all but the first also write the schema into the instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Schema,
    Object,
    Words,
}

impl Dialect {
    fn knows(&self, parameter: &str) -> bool {
        !self.unknown.contains(&parameter)
    }

    /// A simpler one that leaves out what the complaint is about; none when there is none.
    fn without(&self, complaint: &Complaint) -> Option<Self> {
        let mut simpler = self.clone();
        let about_format = complaint.is_about("response_format") || complaint.is_about("json_");
        match OPTIONAL.into_iter().find(|name| self.knows(name) && complaint.is_about(name)) {
            Some(parameter) => simpler.unknown.push(parameter),
            None if about_format && self.format == Format::Schema => simpler.format = Format::Object,
            None if about_format && self.format == Format::Object => simpler.format = Format::Words,
            None => return None,
        }
        Some(simpler)
    }

    fn body(&self, request: &TextRequest) -> Value {
        let mut body = json!({
            "model": request.model,
            "messages": self.messages(request),
            "stream": true,
        });
        let limit = if self.knows("max_completion_tokens") { "max_completion_tokens" } else { "max_tokens" };
        body[limit] = request.max_tokens.into();
        if self.knows("stream_options") {
            body["stream_options"] = json!({ "include_usage": true });
        }
        if let Some(temperature) = request.temperature.filter(|_| self.knows("temperature")) {
            body["temperature"] = temperature.into();
        }
        if let Some(seed) = request.seed.filter(|_| self.knows("seed")) {
            body["seed"] = seed.into();
        }
        match (&request.schema, self.format) {
            (Some(form), Format::Schema) => {
                body["response_format"] = json!({
                    "type": "json_schema",
                    "json_schema": { "name": form.name, "schema": form.schema, "strict": true },
                });
            }
            (Some(_), Format::Object) => body["response_format"] = json!({ "type": "json_object" }),
            _ => {}
        }
        body
    }

    fn messages(&self, request: &TextRequest) -> Vec<Value> {
        let mut system = request.system.clone().unwrap_or_default();
        if let Some(form) = request.schema.as_ref().filter(|_| self.format != Format::Schema) {
            if !system.is_empty() {
                system.push_str("\n\n");
            }
            system.push_str("Answer with one JSON object and nothing else. It fits this JSON Schema: ");
            system.push_str(&form.schema.to_string());
        }
        let system = (!system.is_empty()).then(|| json!({ "role": "system", "content": system }));
        system.into_iter().chain(request.turns()).collect()
    }
}

impl OpenAi {
    /// The models at `endpoint`.
    pub fn new(wire: Arc<Wire>, endpoint: &Endpoint) -> anyhow::Result<Self> {
        let target = |path| Target::new(PROVIDER, endpoint, path, (AUTHORIZATION, "Bearer "));
        let (images, speech) = (target("images/generations")?, target("audio/speech")?);
        let embeddings = target("embeddings")?;
        let target = target("chat/completions")?;
        let dialects = Cache::builder().max_capacity(256).time_to_live(Duration::from_secs(3600)).build();
        Ok(Self { wire, target, images, speech, embeddings, dialects })
    }

    /// Asks for what comes as a whole. What the server does not know of the `optional` parameters, `body` is made without;
    /// gives the answer, and which these are.
    pub(super) async fn file(
        &self,
        target: &Target,
        limits: Limits,
        optional: &[&'static str],
        body: impl Fn(&[&'static str]) -> Value,
    ) -> Result<(Box<Stream>, Vec<&'static str>), Failure> {
        let mut unknown = Vec::new();
        // Each turn of the loop leaves a parameter out, so it ends. What is refused costs nothing.
        loop {
            match self.wire.post(target, &body(&unknown), limits).await? {
                Answer::Stream(stream) => return Ok((stream, unknown)),
                Answer::Complaint(complaint) => {
                    let about = |name: &&&str| !unknown.contains(*name) && complaint.is_about(name);
                    let kind = kind(&complaint);
                    match optional.iter().find(about) {
                        Some(name) if kind == Kind::Rejected => unknown.push(*name),
                        _ => return Err(target.failure(kind, &complaint)),
                    }
                }
            }
        }
    }

    async fn converse(&self, request: &TextRequest, on_text: OnText<'_>) -> Result<TextReply, Failure> {
        request.check(PROVIDER)?;
        // That one form is too much for a strict server says nothing of other forms.
        let form = request.schema.as_ref().map_or("", |form| &form.name);
        let about = format!("{} {form}", request.model);
        let mut dialect = self.dialects.get(&about).unwrap_or_default();
        // Each turn of the loop leaves a parameter out, so it ends.
        let stream = loop {
            match self.wire.post(&self.target, &dialect.body(request), self.wire.limits()).await? {
                Answer::Stream(stream) => break stream,
                Answer::Complaint(complaint) => match dialect.without(&complaint) {
                    Some(simpler) => dialect = simpler,
                    None => return Err(self.target.failure(kind(&complaint), &complaint)),
                },
            }
        };
        if dialect != Dialect::default() {
            self.dialects.insert(about, dialect);
        }
        let said = self.read(stream, on_text).await?;
        self.conclude(said, request)
    }

    async fn read(&self, mut stream: Box<Stream>, on_text: OnText<'_>) -> Result<Said, Failure> {
        let mut said = Said::default();
        if !stream.has_events() {
            // A server that does not stream answers at once.
            let body = stream.whole().await?;
            self.take(&mut said, &body, on_text)?;
            return Ok(said);
        }
        loop {
            let event = match stream.next().await {
                Ok(Some(event)) => event,
                // What follows the reason to stop is the count of tokens: the text is whole without it.
                Ok(None) | Err(_) if said.finish.is_some() => return Ok(said),
                Ok(None) => {
                    return Err(Failure::broken(PROVIDER, "was cut off").with_usage(said.usage));
                }
                Err(failure) => return Err(failure.with_usage(said.usage)),
            };
            if event.data.trim() == "[DONE]" {
                return Ok(said);
            }
            self.take(&mut said, event.data.as_bytes(), on_text)?;
        }
    }

    fn take(&self, said: &mut Said, json: &[u8], on_text: OnText<'_>) -> Result<(), Failure> {
        let Ok(chunk) = serde_json::from_slice::<Chunk>(json) else {
            return Err(Failure::broken(PROVIDER, "is not in the chat format").with_usage(said.usage));
        };
        refuse(&self.target, chunk.error).map_err(|failure| failure.with_usage(said.usage))?;
        said.model = chunk.model.or(said.model.take());
        if let Some(counted) = chunk.usage {
            said.usage = Some(Usage {
                prompt_tokens: counted.prompt_tokens.unwrap_or(0),
                completion_tokens: counted.completion_tokens.unwrap_or(0),
            });
        }
        let Some(choice) = chunk.choices.into_iter().flatten().next() else { return Ok(()) };
        if let Some(piece) = choice.delta.or(choice.message) {
            said.refusal.push_str(&piece.refusal.unwrap_or_default());
            if let Some(text) = piece.content.filter(|text| !text.is_empty()) {
                on_text(&text);
                said.text.push_str(&text);
            }
        }
        said.finish = choice.finish_reason.or(said.finish.take());
        Ok(())
    }

    fn conclude(&self, said: Said, request: &TextRequest) -> Result<TextReply, Failure> {
        let refused = |code: &str, message: &str| {
            let failure = self.target.failure(Kind::Refused, &Complaint::of(code, message));
            Err(failure.with_usage(said.usage))
        };
        if !said.refusal.is_empty() {
            return refused("refusal", &said.refusal);
        }
        let finish = match said.finish.as_deref() {
            Some("content_filter") => return refused("content_filter", ""),
            Some("length") => Finish::Length,
            _ => Finish::Stop,
        };
        let model = said.model.unwrap_or_else(|| request.model.clone());
        request.accept(PROVIDER, TextReply { text: said.text, model, usage: said.usage, finish })
    }
}

impl TextEngine for OpenAi {
    fn provider(&self) -> Provider {
        PROVIDER
    }

    fn images(&self) -> Option<&dyn ImageEngine> {
        Some(self)
    }

    fn speech(&self) -> Option<&dyn SpeechEngine> {
        Some(self)
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingEngine> {
        Some(self)
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
    refusal: String,
    model: Option<String>,
    usage: Option<Usage>,
    finish: Option<String>,
}

/// A piece of the answer, or the whole of it.
#[derive(Deserialize)]
struct Chunk {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Counted>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Piece>,
    message: Option<Piece>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Piece {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Refuses an answer that is an error after all.
pub(super) fn refuse(target: &Target, error: Option<Value>) -> Result<(), Failure> {
    let Some(error) = error else { return Ok(()) };
    let complaint = Complaint::read(200, &json!({ "error": error }));
    Err(target.failure(kind(&complaint), &complaint))
}

/// What a complaint means.
fn kind(complaint: &Complaint) -> Kind {
    let word = |words: &[&str]| {
        [&complaint.code, &complaint.kind].into_iter().flatten().any(|word| words.contains(&word.as_str()))
    };
    let says = |words: &[&str]| words.iter().any(|word| complaint.message.contains(word));
    if word(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]) {
        return Kind::Quota;
    }
    if word(&["context_length_exceeded", "exceed_context_size_error"])
        || (complaint.status == 400 && says(&["maximum context length", "context window", "context size"]))
    {
        return Kind::ContextLength;
    }
    if word(&["content_filter", "content_policy_violation", "moderation_blocked"]) {
        return Kind::Refused;
    }
    match complaint.status {
        401 | 403 => Kind::Authentication,
        402 => Kind::Quota,
        408 => Kind::Timeout,
        413 => Kind::ContextLength,
        429 => Kind::RateLimited,
        // In the middle of a stream the words are all there is.
        200 if word(&["rate_limit_exceeded"]) => Kind::RateLimited,
        200 | 500.. => Kind::Unavailable,
        _ => Kind::Rejected,
    }
}
