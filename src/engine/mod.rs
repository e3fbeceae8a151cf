//! Engines: models of outside providers, behind ports that say nothing of any provider's wire format.
//!
//! It knows nothing of tenants, SQL or GraphQL, keeps nothing, and never tries again by itself: the job runner does, and a
//! [`Failure`] tells it whether that makes sense and when. A port is a trait ([`TextEngine`], [`images::ImageEngine`],
//! [`speech::SpeechEngine`], [`footage::FootageEngine`] and [`embeddings::EmbeddingEngine`] beside it), and [`Engines`] hands
//! them out by the provider's name.
//!
//! No key, header or body of a provider reaches a message, a log line or a `Debug` output; what a provider says of an
//! error is shown shortened, cleaned, and without anything that looks like a key.

mod address;
mod anthropic;
mod client;
mod elevenlabs;
pub mod embeddings;
mod failure;
pub mod footage;
pub mod graph;
pub mod images;
mod openai;
pub mod photos;
pub mod prices;
mod replicate;
mod schema;
pub mod speech;
mod sse;
pub mod webhook;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt as _, TryFutureExt as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

pub use address::{Reach, Unsafe};
use embeddings::{EmbeddingEngine, EmbeddingReply, EmbeddingRequest};
pub use failure::{Failure, Kind};
use footage::{Clip, Filming, FootageEngine, FootageRequest, Ticket};
use images::{ImageEngine, ImageReply, ImageRequest};
pub use prices::Prices;
use speech::{SpeechEngine, SpeechReply, SpeechRequest};

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// OpenAI, and every server that speaks its chat format.
    OpenAi,
    /// Anthropic, and every server that speaks its messages format.
    Anthropic,
    /// ElevenLabs, and every server that speaks its format for speech.
    ElevenLabs,
    /// Replicate, and every server that speaks its format for models that take their time: here those that film.
    Replicate,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::ElevenLabs, Self::Replicate];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::ElevenLabs => "elevenlabs",
            Self::Replicate => "replicate",
        }
    }

    /// Whether it has models that write.
    pub const fn writes(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic)
    }

    /// Whether it has models that paint.
    pub const fn paints(self) -> bool {
        matches!(self, Self::OpenAi)
    }

    /// Whether it has models that speak.
    pub const fn speaks(self) -> bool {
        matches!(self, Self::OpenAi | Self::ElevenLabs)
    }

    /// Whether it has models that film.
    pub const fn films(self) -> bool {
        matches!(self, Self::Replicate)
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }

    /// Whether it has models of vectors.
    pub const fn embeds(self) -> bool {
        matches!(self, Self::OpenAi)
    }

    /// What configures it.
    const fn settings(self) -> &'static str {
        match self {
            Self::OpenAi => "Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that needs no key",
            Self::Anthropic => "Set ANTHROPIC_API_KEY",
            Self::ElevenLabs | Self::Replicate => "Set it up for the organization with `providerCreate`",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a provider is reached, and with what.
///
/// The address of a server setting is trusted; one that a tenant gives is called as far as [`Reach`] lets it. Redirects are
/// never followed.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// http or https, a host, perhaps a path; with or without the version (`/v1`) at its end.
    pub base_url: Url,
    /// The API key; none for servers that need none.
    pub key: Option<SecretString>,
}

/// The providers that a server's settings name.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// `OPENAI_API_KEY`, `OPENAI_BASE_URL`.
    pub openai: Option<Endpoint>,
    /// `ANTHROPIC_API_KEY`, `ANTHROPIC_BASE_URL`.
    pub anthropic: Option<Endpoint>,
}

/// How long and how much a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until the first byte of the answer, and between one piece of it and the next.
    pub idle: Duration,
    /// The whole call, the requests that adapt to an older server included.
    pub total: Duration,
    /// The whole call for a picture or a recording, of which nothing may come until all of it is there.
    pub making: Duration,
    /// Bytes of an answer.
    pub bytes: usize,
    /// Bytes of one line of a streamed answer.
    pub line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(120),
            making: Duration::from_secs(240),
            bytes: 8 << 20,
            line: 1 << 20,
        }
    }
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What.
    pub text: String,
}

impl Message {
    /// What the user says.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into() }
    }

    /// What the model said before.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into() }
    }
}

/// The form that an answer must have.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonSchema {
    /// What the answer is, for the provider: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// A JSON Schema whose root is an object. Providers are strictest, and best, when every object lists all of its
    /// properties as `required` and forbids others with `additionalProperties: false`. The answer is checked against
    /// `type`, `properties`, `required`, `additionalProperties: false`, `items`, `enum`, `const` and `anyOf`.
    pub schema: Value,
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRequest {
    /// The model's name at the provider.
    pub model: String,
    /// What it is told about its task, apart from the conversation.
    pub system: Option<String>,
    /// The conversation: begins and ends with the user. Neighbours of one role count as one message.
    pub messages: Vec<Message>,
    /// How much it may write, in the provider's tokens; what it thinks before it writes counts.
    pub max_tokens: u32,
    /// From 0 (the likeliest words) to 1; none: the provider's own. Left out for models that refuse it.
    pub temperature: Option<f64>,
    /// The answer is JSON of this form.
    pub schema: Option<JsonSchema>,
    /// Asks for the same answer to the same question, where the provider knows how (Anthropic does not).
    pub seed: Option<u32>,
    /// How long the whole call may take, when that is less than [`Limits::total`].
    pub timeout: Option<Duration>,
}

impl TextRequest {
    /// One question, without the rest.
    pub fn new(model: impl Into<String>, question: impl Into<String>, max_tokens: u32) -> Self {
        Self {
            model: model.into(),
            system: None,
            messages: vec![Message::user(question)],
            max_tokens,
            temperature: None,
            schema: None,
            seed: None,
            timeout: None,
        }
    }
}

/// The longest model name that is sent.
const NAME_BYTES: usize = 200;

/// The longest question that is sent, system and conversation together. No model takes as much.
const QUESTION_BYTES: usize = 8 << 20;

fn check_model(provider: Provider, name: &str) -> Result<(), Failure> {
    if name.trim().is_empty() || name.len() > NAME_BYTES || name.contains(char::is_control) {
        let message = "The model's name is empty or no name. Name one of the provider's models.";
        return Err(Failure::new(provider, Kind::Rejected, message));
    }
    Ok(())
}

fn check_length<'a>(provider: Provider, texts: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
    if texts.map(String::len).sum::<usize>() > QUESTION_BYTES {
        let message = "The text is too long for any model. Give it less.";
        return Err(Failure::new(provider, Kind::ContextLength, message));
    }
    Ok(())
}

impl TextRequest {
    /// Refuses what every provider would refuse, without asking one.
    fn check(&self, provider: Provider) -> Result<(), Failure> {
        let rejected = |what: &str| Err(Failure::new(provider, Kind::Rejected, what));
        check_model(provider, &self.model)?;
        let ends = [self.messages.first(), self.messages.last()];
        if !ends.iter().all(|end| end.is_some_and(|message| message.role == Role::User)) {
            return rejected("The conversation is empty, or does not begin and end with the user.");
        }
        if self.messages.iter().any(|message| message.text.trim().is_empty()) {
            return rejected("A message of the conversation is empty. Write something, or leave it out.");
        }
        if self.max_tokens == 0 || self.temperature.is_some_and(|degree| !(0.0..=1.0).contains(&degree)) {
            return rejected("The limit of tokens is at least 1, and the temperature is from 0 to 1.");
        }
        let texts = self.messages.iter().map(|message| &message.text);
        check_length(provider, self.system.iter().chain(texts))
    }

    /// The conversation in the words that both formats use. Neighbours of one role are joined: roles have to alternate.
    fn turns(&self) -> Vec<Value> {
        let mut turns: Vec<(Role, String)> = Vec::new();
        for message in &self.messages {
            match turns.last_mut() {
                Some((role, text)) if *role == message.role => {
                    text.push_str("\n\n");
                    text.push_str(&message.text);
                }
                _ => turns.push((message.role, message.text.clone())),
            }
        }
        turns.into_iter().map(|(role, text)| json!({ "role": role.as_str(), "content": text })).collect()
    }

    /// The reply, if it is what was asked for.
    fn accept(&self, provider: Provider, mut reply: TextReply) -> Result<TextReply, Failure> {
        let broken = |what: &str| Err(Failure::broken(provider, what).with_usage(reply.usage));
        let limit = self.max_tokens;
        let cut = reply.finish == Finish::Length;
        if reply.text.trim().is_empty() {
            return if cut {
                broken(&format!("used up its {limit} tokens before anything was written"))
            } else {
                broken("is empty")
            };
        }
        if let Some(form) = &self.schema {
            let text = unfenced(&reply.text);
            let Ok(value) = serde_json::from_str(text) else {
                return if cut {
                    broken(&format!("is JSON that was cut off at {limit} tokens"))
                } else {
                    broken("is not JSON")
                };
            };
            if !schema::fits(&form.schema, &value) {
                return broken("is JSON of another form than was asked for");
            }
            reply.text = text.to_owned();
        }
        Ok(reply)
    }
}

/// JSON without the code fence that models without a JSON mode like to put around it.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    inner.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

/// Tokens, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Read, from a cache or not.
    pub prompt_tokens: u64,
    /// Written, what was thought included.
    pub completion_tokens: u64,
}

impl Usage {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

/// What a model takes at the most that is told so many characters and may write so many tokens. German takes about three
/// characters for a token.
pub const fn tokens(characters: u64, written: u32) -> Usage {
    Usage { prompt_tokens: characters.div_ceil(3), completion_tokens: written as u64 }
}

/// Why a model stopped. Refusals and filtered answers are failures ([`Kind::Refused`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It had said everything.
    Stop,
    /// `max_tokens` or the context was used up: the text ends somewhere.
    Length,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextReply {
    /// Never empty; with a schema, JSON that fits it.
    pub text: String,
    /// The model that the provider says has answered, which may be a dated version of the one that was asked.
    pub model: String,
    /// None where the provider does not count.
    pub usage: Option<Usage>,
    /// Why it stopped.
    pub finish: Finish,
}

/// What came of asking whether a model answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The model that the provider says has answered.
    pub model: String,
    /// What asking took; none where nothing is counted.
    pub usage: Option<Usage>,
}

/// What asking whether a model answers may cost at the most, in tokens: models that think first need a few.
const PROBE_TOKENS: u32 = 256;

/// Is given each piece of text when it arrives; with a schema, pieces of JSON. What is given is part of the reply, unless
/// the call fails after all.
pub type OnText<'a> = &'a mut (dyn FnMut(&str) + Send);

/// A provider's text models.
pub trait TextEngine: fmt::Debug + Send + Sync {
    /// Whose.
    fn provider(&self) -> Provider;

    /// What it is called where it is used; a tenant's own has a name of its own.
    fn name(&self) -> &str {
        self.provider().as_str()
    }

    /// Asks a model for one word; where none writes, whether it is there.
    ///
    /// # Errors
    /// A [`Failure`] of any kind.
    fn probe<'a>(&'a self, model: &'a str, timeout: Duration) -> BoxFuture<'a, Result<Probed, Failure>> {
        let probe = async move {
            let question = TextRequest::new(model, "Reply with the word OK and nothing else.", PROBE_TOKENS);
            let request = TextRequest { timeout: Some(timeout), ..question };
            let reply = self.write(&request, &mut |_| ()).await?;
            Ok(Probed { model: reply.model, usage: reply.usage })
        };
        probe.boxed()
    }

    /// Its image models; none where its format has none.
    fn images(&self) -> Option<&dyn ImageEngine> {
        None
    }

    /// Its speech models; none where its format has none.
    fn speech(&self) -> Option<&dyn SpeechEngine> {
        None
    }

    /// Its models that film; none where its format has none ([`Provider::films`]).
    fn footage(&self) -> Option<&dyn FootageEngine> {
        None
    }

    /// Its models of vectors; none where its format has none ([`Provider::embeds`]).
    fn embeddings(&self) -> Option<&dyn EmbeddingEngine> {
        None
    }

    /// Asks, hands on the text while it arrives, and returns the whole. Dropping the future closes the connection.
    ///
    /// # Errors
    /// A [`Failure`] of any kind; text that was handed on before it is void.
    fn write<'a>(
        &'a self,
        request: &'a TextRequest,
        on_text: OnText<'a>,
    ) -> BoxFuture<'a, Result<TextReply, Failure>>;
}

/// Why there is no engine of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotConfigured {
    /// aicos does not know such a provider.
    #[error(
        "There is no provider of that name. Use openai, anthropic or one that the organization has set up, or the built-in engine."
    )]
    Unknown,
    /// It is known, and this server has neither its key nor its address.
    #[error(
        "The provider {0} is not configured. {settings}, or use the built-in engine.",
        settings = .0.settings()
    )]
    Missing(Provider),
    /// It was the tenant's own, and is there no more.
    #[error(
        "The provider {0} has been deleted since it was asked for. Use another one, or the built-in engine."
    )]
    Deleted(String),
}

/// The configured providers of a server.
#[derive(Debug, Clone)]
pub struct Engines {
    /// To where the server's settings say.
    wire: Arc<wire::Wire>,
    /// To where tenants say.
    guarded: Arc<wire::Wire>,
    reach: Reach,
    text: Vec<Arc<dyn TextEngine>>,
    /// A tenant's own by name, before all others; none: deleted.
    own: Vec<(String, Option<Arc<dyn TextEngine>>)>,
    prices: Arc<Prices>,
}

impl Engines {
    /// Those that `endpoints` names. Nothing is connected yet.
    ///
    /// # Errors
    /// A key holds what no header can.
    pub fn new(endpoints: &Endpoints, limits: Limits) -> anyhow::Result<Self> {
        let wire = Arc::new(wire::Wire::new(limits));
        let mut text = Vec::new();
        for (provider, endpoint) in
            [(Provider::OpenAi, &endpoints.openai), (Provider::Anthropic, &endpoints.anthropic)]
        {
            if let Some(endpoint) = endpoint {
                text.push(engine(&wire, provider, endpoint)?);
            }
        }
        let reach = Reach::default();
        let guarded = Arc::new(wire::Wire::guarded(limits, reach));
        Ok(Self { wire, guarded, reach, text, own: Vec::new(), prices: Arc::default() })
    }

    /// The same, with tenants' own addresses reached as far as this.
    #[must_use]
    pub fn reaching(self, reach: Reach) -> Self {
        let guarded = Arc::new(wire::Wire::guarded(self.wire.limits(), reach));
        Self { guarded, reach, ..self }
    }

    /// The same, with these prices.
    #[must_use]
    pub fn priced(self, prices: Prices) -> Self {
        Self { prices: Arc::new(prices), ..self }
    }

    /// What models cost.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// How far tenants' own addresses are reached.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// The same with a tenant's own of that name, which is found before any other; none says that it has been deleted.
    #[must_use]
    pub fn with(&self, name: &str, engine: Option<Arc<dyn TextEngine>>) -> Self {
        let mut engines = self.clone();
        let engine =
            engine.map(|engine| -> Arc<dyn TextEngine> { Arc::new(Named { name: name.to_owned(), engine }) });
        engines.own.insert(0, (name.to_owned(), engine));
        engines
    }

    /// The text models of the provider of that name.
    ///
    /// # Errors
    /// There is no such provider, or it is not configured; a sentence says what to set.
    pub fn text(&self, provider: &str) -> Result<Arc<dyn TextEngine>, NotConfigured> {
        if let Some((name, own)) = self.own.iter().find(|(name, _)| name == provider) {
            return own.clone().ok_or_else(|| NotConfigured::Deleted(name.clone()));
        }
        let provider = Provider::parse(provider).ok_or(NotConfigured::Unknown)?;
        let found = self.text.iter().find(|engine| engine.provider() == provider);
        found.cloned().ok_or(NotConfigured::Missing(provider))
    }

    /// The server's own providers.
    pub fn configured(&self) -> impl Iterator<Item = Provider> {
        self.text.iter().map(|engine| engine.provider())
    }

    /// Text models where a tenant says, with its own key. Connections are shared, keys are not; where they lead is judged
    /// at each call ([`Reach`]).
    ///
    /// # Errors
    /// The key holds what no header can.
    pub fn connect(&self, provider: Provider, endpoint: &Endpoint) -> anyhow::Result<Arc<dyn TextEngine>> {
        engine(&self.guarded, provider, endpoint)
    }
}

fn engine(
    wire: &Arc<wire::Wire>,
    provider: Provider,
    endpoint: &Endpoint,
) -> anyhow::Result<Arc<dyn TextEngine>> {
    let wire = Arc::clone(wire);
    Ok(match provider {
        Provider::OpenAi => Arc::new(openai::OpenAi::new(wire, endpoint)?),
        Provider::Anthropic => Arc::new(anthropic::Anthropic::new(wire, endpoint)?),
        Provider::ElevenLabs => Arc::new(elevenlabs::ElevenLabs::new(wire, endpoint)?),
        Provider::Replicate => Arc::new(replicate::Replicate::new(wire, endpoint)?),
    })
}

/// An engine under the name that its tenant has given it, which its failures say as well.
#[derive(Debug)]
struct Named {
    name: String,
    engine: Arc<dyn TextEngine>,
}

impl TextEngine for Named {
    fn provider(&self) -> Provider {
        self.engine.provider()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn images(&self) -> Option<&dyn ImageEngine> {
        self.engine.images().map(|_| self as &dyn ImageEngine)
    }

    fn speech(&self) -> Option<&dyn SpeechEngine> {
        self.engine.speech().map(|_| self as &dyn SpeechEngine)
    }

    fn footage(&self) -> Option<&dyn FootageEngine> {
        self.engine.footage().map(|_| self as &dyn FootageEngine)
    }

    fn embeddings(&self) -> Option<&dyn EmbeddingEngine> {
        self.engine.embeddings().map(|_| self as &dyn EmbeddingEngine)
    }

    fn probe<'a>(&'a self, model: &'a str, timeout: Duration) -> BoxFuture<'a, Result<Probed, Failure>> {
        self.renaming(self.engine.probe(model, timeout))
    }

    fn write<'a>(
        &'a self,
        request: &'a TextRequest,
        on_text: OnText<'a>,
    ) -> BoxFuture<'a, Result<TextReply, Failure>> {
        self.renaming(self.engine.write(request, on_text))
    }
}

impl ImageEngine for Named {
    fn paint<'a>(&'a self, request: &'a ImageRequest) -> BoxFuture<'a, Result<ImageReply, Failure>> {
        self.asking(self.engine.images(), "image models", |images| images.paint(request))
    }
}

impl SpeechEngine for Named {
    fn speak<'a>(&'a self, request: &'a SpeechRequest) -> BoxFuture<'a, Result<SpeechReply, Failure>> {
        self.asking(self.engine.speech(), "speech models", |speech| speech.speak(request))
    }
}

impl FootageEngine for Named {
    fn submit<'a>(&'a self, request: &'a FootageRequest) -> BoxFuture<'a, Result<Ticket, Failure>> {
        self.filming(|studio| studio.submit(request))
    }

    fn find<'a>(
        &'a self,
        request: &'a FootageRequest,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Option<Ticket>, Failure>> {
        self.filming(move |studio| studio.find(request, since))
    }

    fn poll<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Filming, Failure>> {
        let looked = self.filming(|studio| studio.poll(ticket)).map_ok(move |state| match state {
            Filming::Ended(failure) => Filming::Ended(self.renamed(failure)),
            state => state,
        });
        looked.boxed()
    }

    fn download<'a>(&'a self, clip: &'a Clip) -> BoxFuture<'a, Result<Bytes, Failure>> {
        self.filming(|studio| studio.download(clip))
    }

    fn cancel<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<(), Failure>> {
        self.filming(|studio| studio.cancel(ticket))
    }
}

impl EmbeddingEngine for Named {
    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<EmbeddingReply, Failure>> {
        self.asking(self.engine.embeddings(), "embedding models", |embeddings| embeddings.embed(request))
    }
}

impl Named {
    /// Asks its models of a kind, if it has any.
    fn asking<'a, M: ?Sized, T: Send + 'a>(
        &'a self,
        models: Option<&'a M>,
        kind: &str,
        ask: impl FnOnce(&'a M) -> BoxFuture<'a, Result<T, Failure>>,
    ) -> BoxFuture<'a, Result<T, Failure>> {
        let Some(models) = models else {
            let message = format!("The provider {} has no {kind}.", self.name);
            return ready(Err(Failure::new(self.provider(), Kind::Rejected, message))).boxed();
        };
        self.renaming(ask(models))
    }

    fn filming<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn FootageEngine) -> BoxFuture<'a, Result<T, Failure>>,
    ) -> BoxFuture<'a, Result<T, Failure>> {
        self.asking(self.engine.footage(), "models that film", ask)
    }

    fn renaming<'a, T: 'a>(
        &'a self,
        asked: BoxFuture<'a, Result<T, Failure>>,
    ) -> BoxFuture<'a, Result<T, Failure>> {
        asked.map_err(move |failure| self.renamed(failure)).boxed()
    }

    /// The sentence is of this room, and names its provider before anything that the provider says.
    fn renamed(&self, mut failure: Failure) -> Failure {
        failure.message = failure.message.replacen(self.provider().as_str(), &self.name, 1);
        failure
    }
}
