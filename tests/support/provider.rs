//! A provider of models for tests: a server on a loopback port that speaks the real wire formats, faults included.
//!
//! ```ignore
//! let fake = FakeProvider::start().await;
//! fake.script([Reply::text("Hello there."), Reply::rate_limited("20")]);
//! let endpoints = fake.endpoints("a-key"); // or `fake.url()` for OPENAI_BASE_URL
//! // … run what is to be tested …
//! assert_eq!(fake.requests()[0].body["model"], "some-model");
//! ```
//!
//! Each accepted request takes the next reply of the script; without one it is answered with an error that says so. Vectors
//! have a script of their own, and are made of the words where it says nothing. The format is told by the address. A request that the real provider would not accept gets its 400 and takes no reply.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aicos::engine::{Endpoint, Endpoints};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

/// The voice that ElevenLabs has here.
pub const VOICE: &str = "JBFqnCBsd6RMkjVDRZzb";

/// A request as the server got it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

/// How tokens are counted in the chat format; the messages format always counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// In a last chunk of its own with `choices: []`, as OpenAI does when it is asked to.
    Asked,
    /// As `null`.
    Null,
    /// Not at all.
    Missing,
}

/// What happens to the answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives.
    Whole,
    /// The connection breaks after so many deltas.
    Cut(usize),
    /// The body ends properly after so many deltas.
    End(usize),
    /// Nothing more comes after so many deltas.
    Stall(usize),
    /// An error event comes after so many deltas.
    Error(usize),
    /// The connection breaks after the reason to stop.
    CutAfterFinish,
    /// It arrives, the last vector first.
    Backwards,
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub struct Reply {
    deltas: Vec<String>,
    refusal: bool,
    /// In the words of the chat format.
    finish: &'static str,
    counting: Counting,
    tokens: (u64, u64),
    model: Option<String>,
    fate: Fate,
    pause: Duration,
    before: Duration,
    drip: bool,
    streamed: bool,
    /// A status and an error instead of an answer.
    error: Option<Fault>,
    /// A body instead of an answer, as it stands.
    raw: Option<(StatusCode, &'static str, Bytes)>,
    /// What an image model has painted.
    painted: Painted,
}

/// What an image model answers with.
#[derive(Debug, Clone)]
enum Painted {
    Nothing,
    /// What stands for the picture in base64.
    Base64(String),
    /// A picture at an address of the server's own.
    Kept(Bytes),
    /// An address of somebody else's.
    Address(String),
}

#[derive(Debug, Clone)]
struct Fault {
    status: u16,
    chat: Value,
    messages: Value,
    /// As ElevenLabs puts it.
    detail: Value,
    retry_after: Option<String>,
}

impl Fault {
    fn new(status: u16, message: &str, (chat_type, code): (&str, Option<&str>), messages: &str) -> Self {
        Self {
            status,
            chat: json!({
                "error": { "message": message, "type": chat_type, "param": null, "code": code },
            }),
            messages: json!({
                "type": "error", "error": { "type": messages, "message": message }, "request_id": "req_1",
            }),
            detail: json!({ "detail": { "status": code.unwrap_or(messages), "message": message } }),
            retry_after: None,
        }
    }

    /// A 400 about one parameter.
    fn parameter(name: &str, message: &str) -> Self {
        let mut fault = Self::new(400, message, ("invalid_request_error", None), "invalid_request_error");
        fault.chat["error"]["param"] = name.into();
        fault
    }
}

impl Reply {
    /// An answer in these pieces.
    pub fn deltas<T: Into<String>>(deltas: impl IntoIterator<Item = T>) -> Self {
        Self {
            deltas: deltas.into_iter().map(Into::into).collect(),
            refusal: false,
            finish: "stop",
            counting: Counting::Asked,
            tokens: (11, 7),
            model: None,
            fate: Fate::Whole,
            pause: Duration::ZERO,
            before: Duration::ZERO,
            drip: false,
            streamed: true,
            error: None,
            raw: None,
            painted: Painted::Nothing,
        }
    }

    /// Vectors of the texts, the last one first.
    pub fn backwards() -> Self {
        Self { fate: Fate::Backwards, ..Self::text("") }
    }

    /// A picture in base64, as GPT's image models answer.
    pub fn picture(bytes: &[u8]) -> Self {
        Self::base64(&STANDARD.encode(bytes))
    }

    /// A picture in base64 that may be none.
    pub fn base64(text: &str) -> Self {
        Self { painted: Painted::Base64(text.to_owned()), ..Self::text("") }
    }

    /// The address of a picture that the server keeps, as DALL-E answers.
    pub fn kept_picture(bytes: &[u8]) -> Self {
        Self { painted: Painted::Kept(bytes.to_vec().into()), ..Self::text("") }
    }

    /// An address where a picture is said to be.
    pub fn picture_at(url: &str) -> Self {
        Self { painted: Painted::Address(url.to_owned()), ..Self::text("") }
    }

    /// A text that has been spoken: the file itself, as OpenAI answers.
    pub fn recording(bytes: &[u8]) -> Self {
        Self::raw(200, "audio/mpeg", bytes.to_vec())
    }

    /// 400: what is asked for is not painted.
    pub fn moderated() -> Self {
        let message = "Your request was rejected as a result of our safety system.";
        let chat = ("image_generation_user_error", Some("moderation_blocked"));
        Self::fault(Fault::new(400, message, chat, "invalid_request_error"))
    }

    /// An answer, word by word.
    pub fn text(text: &str) -> Self {
        Self::deltas(text.split_inclusive(' '))
    }

    /// An answer in JSON, in pieces that respect nothing: with a schema, of its form; without one, text all the same.
    pub fn json(value: &Value) -> Self {
        let text: Vec<char> = value.to_string().chars().collect();
        Self::deltas(text.chunks(5).map(|piece| piece.iter().collect::<String>()))
    }

    /// The model refuses, in these words (the messages format has none).
    pub fn refusal(words: &str) -> Self {
        Self { refusal: true, ..Self::text(words) }
    }

    /// So many bytes of text.
    pub fn huge(bytes: usize) -> Self {
        let piece = "x".repeat(16 << 10);
        Self::deltas(std::iter::repeat_n(piece, bytes.div_ceil(16 << 10)))
    }

    /// 401: the key is not accepted. The message repeats it, as OpenAI's does.
    pub fn unauthorized(key: &str) -> Self {
        let message =
            format!("Incorrect API key provided: {key}. You can find yours at https://keys.example.");
        let chat = ("invalid_request_error", Some("invalid_api_key"));
        Self::fault(Fault::new(401, &message, chat, "authentication_error"))
    }

    /// 429: too many requests, with what `retry-after` says.
    pub fn rate_limited(retry_after: &str) -> Self {
        let chat = ("requests", Some("rate_limit_exceeded"));
        let mut fault = Fault::new(429, "Rate limit reached. Slow down.", chat, "rate_limit_error");
        fault.retry_after = Some(retry_after.to_owned());
        Self::fault(fault)
    }

    /// No credit left: 429 in the chat format, 400 in the messages format.
    pub fn insufficient_quota() -> Self {
        let chat = ("insufficient_quota", Some("insufficient_quota"));
        let message = "You exceeded your current quota; your credit balance is too low.";
        Self::fault(Fault::new(429, message, chat, "invalid_request_error"))
    }

    /// 400: the question is too long.
    pub fn context_length() -> Self {
        let chat = ("invalid_request_error", Some("context_length_exceeded"));
        let message = "prompt is too long: 210000 tokens > 200000 maximum context length";
        Self::fault(Fault::new(400, message, chat, "invalid_request_error"))
    }

    /// 404: there is no such model.
    pub fn unknown_model() -> Self {
        let chat = ("invalid_request_error", Some("model_not_found"));
        Self::fault(Fault::new(404, "The model `nope` does not exist.", chat, "not_found_error"))
    }

    /// 413: the request is too large.
    pub fn too_large() -> Self {
        let chat = ("invalid_request_error", Some("request_too_large"));
        Self::fault(Fault::new(413, "Request exceeds the maximum size.", chat, "request_too_large"))
    }

    /// 500: an error of the provider's own.
    pub fn server_error() -> Self {
        let chat = ("server_error", None);
        Self::fault(Fault::new(500, "The server had an error.", chat, "api_error"))
    }

    /// 529 in the messages format, 503 in the chat format: overloaded.
    pub fn overloaded() -> Self {
        Self::fault(Fault::new(529, "Overloaded", ("server_error", None), "overloaded_error"))
    }

    /// A body as it stands.
    pub fn raw(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        Self { raw: Some((status, content_type, body.into())), ..Self::text("") }
    }

    fn fault(fault: Fault) -> Self {
        Self { error: Some(fault), ..Self::text("") }
    }

    /// Why the model stops, in the words of the chat format: `stop`, `length`, `content_filter`.
    pub fn finish(self, finish: &'static str) -> Self {
        Self { finish, ..self }
    }

    /// How the chat format counts tokens.
    pub fn counting(self, counting: Counting) -> Self {
        Self { counting, ..self }
    }

    /// How many tokens were read and written.
    pub fn tokens(self, prompt: u64, completion: u64) -> Self {
        Self { tokens: (prompt, completion), ..self }
    }

    /// The model that is said to answer; otherwise the one that was asked.
    pub fn model(self, model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..self }
    }

    /// Waits between the deltas.
    pub fn pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Waits before the first byte.
    pub fn slow_headers(self, before: Duration) -> Self {
        Self { before, ..self }
    }

    /// Sends one byte at a time.
    pub fn drip(self) -> Self {
        Self { drip: true, ..self }
    }

    /// Breaks the connection after so many deltas.
    pub fn cut_after(self, deltas: usize) -> Self {
        Self { fate: Fate::Cut(deltas), ..self }
    }

    /// Ends the body, properly but too early, after so many deltas.
    pub fn end_after(self, deltas: usize) -> Self {
        Self { fate: Fate::End(deltas), ..self }
    }

    /// Breaks the connection when the model has stopped, before tokens are counted.
    pub fn cut_after_finish(self) -> Self {
        Self { fate: Fate::CutAfterFinish, ..self }
    }

    /// Says nothing more after so many deltas.
    pub fn stall_after(self, deltas: usize) -> Self {
        Self { fate: Fate::Stall(deltas), ..self }
    }

    /// Sends an error (overloaded) after so many deltas.
    pub fn error_after(self, deltas: usize) -> Self {
        Self { fate: Fate::Error(deltas), ..self }
    }

    /// Answers at once although a stream was asked for, as some servers of the chat format do.
    pub fn unstreamed(self) -> Self {
        Self { streamed: false, ..self }
    }
}

/// The server. It stops when this is dropped.
pub struct FakeProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

struct Shared {
    script: Mutex<VecDeque<Reply>>,
    vectors: Mutex<VecDeque<Reply>>,
    meanings: Mutex<Vec<&'static [&'static str]>>,
    requests: Mutex<Vec<Seen>>,
    lacking: Mutex<Vec<&'static str>>,
    kept: Mutex<Bytes>,
    hung_up: watch::Sender<usize>,
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl FakeProvider {
    /// A server without a script.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::default(),
            vectors: Mutex::default(),
            meanings: Mutex::default(),
            requests: Mutex::default(),
            lacking: Mutex::default(),
            kept: Mutex::default(),
            hung_up: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/messages", post(messages))
            .route("/v1/images/generations", post(images))
            .route("/v1/audio/speech", post(speech))
            .route("/v1/text-to-speech/{voice}", post(eleven))
            .route("/v1/models", get(eleven_models))
            .route("/v1/embeddings", post(embeddings))
            .route("/files/picture", get(kept))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    /// Its address: what `OPENAI_BASE_URL` and `ANTHROPIC_BASE_URL` are set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Both providers at this server, with this key.
    pub fn endpoints(&self, key: &str) -> Endpoints {
        let endpoint = Endpoint { base_url: self.url().parse().unwrap(), key: Some(key.into()) };
        Endpoints { openai: Some(endpoint.clone()), anthropic: Some(endpoint) }
    }

    /// Adds to what will be answered.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.script.lock().unwrap().extend(replies);
    }

    /// Adds to how requests for vectors will be answered, before they are answered from the words again.
    pub fn script_vectors(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.vectors.lock().unwrap().extend(replies);
    }

    /// Words that mean the same as each other, in lower case: texts that hold any of them have vectors that are near.
    pub fn means(&self, words: &'static [&'static str]) {
        self.shared.meanings.lock().unwrap().push(words);
    }

    /// From now on the server does not know this parameter: `max_completion_tokens`, `stream_options`, `temperature`,
    /// `seed`, `json_schema`, `response_format`, `tool_choice`, `dimensions`, `encoding_format`.
    pub fn lacks(&self, parameter: &'static str) {
        self.shared.lacking.lock().unwrap().push(parameter);
    }

    /// What has been asked, in order; what was answered with a 400 included.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Replies of the script that nobody has asked for yet.
    pub fn left(&self) -> usize {
        self.shared.script.lock().unwrap().len()
    }

    /// Waits until so many clients have hung up in the middle of an answer.
    pub async fn hung_up(&self, clients: usize) {
        let mut count = self.shared.hung_up.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(5), count.wait_for(|count| *count >= clients));
        waited.await.expect("nobody has hung up").unwrap();
    }
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.answer("/v1/chat/completions", headers, &body, refuse_chat, chat_events).await
}

async fn messages(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.answer("/v1/messages", headers, &body, refuse_messages, message_events).await
}

async fn images(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let (reply, asked) = match shared.next("/v1/images/generations", &headers, &body, refuse_images).await {
        Ok(next) => next,
        Err(response) => return response,
    };
    let one = match reply.painted {
        Painted::Nothing => json!({}),
        Painted::Base64(text) => json!({ "b64_json": text }),
        Painted::Kept(bytes) => {
            *shared.kept.lock().unwrap() = bytes;
            let host = headers[header::HOST].to_str().unwrap();
            json!({ "url": format!("http://{host}/files/picture?se=2027&sig=abc"), "revised_prompt": "Better." })
        }
        Painted::Address(url) => json!({ "url": url }),
    };
    let (input, output) = reply.tokens;
    let mut answer = json!({ "created": 1_700_000_000, "data": [one], "size": asked["size"] });
    if reply.counting == Counting::Asked {
        answer["usage"] = json!({
            "total_tokens": input + output, "input_tokens": input, "output_tokens": output,
            "input_tokens_details": { "text_tokens": input, "image_tokens": 0 },
        });
    }
    in_json(StatusCode::OK, &answer)
}

async fn speech(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match shared.next("/v1/audio/speech", &headers, &body, refuse_speech).await {
        Ok(_) => panic!("only a recording is spoken: script Reply::recording"),
        Err(response) => response,
    }
}

/// ElevenLabs' text to speech.
async fn eleven(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path_and_query().unwrap().as_str();
    if path != format!("/v1/text-to-speech/{VOICE}") {
        let message = format!("A voice with the voice_id of {path} was not found.");
        return respond(
            &Fault::new(404, &message, ("not_found", Some("voice_not_found")), ""),
            Format::Detail,
        );
    }
    match shared.next(path, &headers, &body, refuse_eleven).await {
        Ok(_) => panic!("only a recording is spoken: script Reply::recording"),
        Err(response) => response,
    }
}

/// ElevenLabs' list of models.
async fn eleven_models(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(fault) = no_eleven_key(&headers) {
        return respond(&fault, Format::Detail);
    }
    let seen = Seen { path: "/v1/models".to_owned(), headers, body: Value::Null };
    shared.requests.lock().unwrap().push(seen);
    let model =
        |id: &str, speaks: bool| json!({ "model_id": id, "name": id, "can_do_text_to_speech": speaks });
    let models = [("eleven_multilingual_v2", true), ("eleven_flash_v2_5", true), ("scribe_v1", false)];
    in_json(StatusCode::OK, &Value::from(models.map(|(id, speaks)| model(id, speaks)).to_vec()))
}

fn no_eleven_key(headers: &HeaderMap) -> Option<Fault> {
    let message = "Invalid API key";
    (!headers.contains_key("xi-api-key"))
        .then(|| Fault::new(401, message, ("authentication_error", Some("invalid_api_key")), ""))
}

/// What is wrong with a request for speech, as ElevenLabs sees it.
fn refuse_eleven(headers: &HeaderMap, body: &Value) -> Option<Fault> {
    if let Some(fault) = no_eleven_key(headers) {
        return Some(fault);
    }
    let wrong = |code, message: &str| Some(Fault::new(400, message, ("validation_error", Some(code)), ""));
    if body["text"].as_str().is_none_or(str::is_empty) {
        return wrong("invalid_text", "The text is missing.");
    }
    if !["eleven_multilingual_v2", "eleven_flash_v2_5"]
        .contains(&body["model_id"].as_str().unwrap_or_default())
    {
        return wrong(
            "model_not_found",
            &format!("A model with model ID {} does not exist.", body["model_id"]),
        );
    }
    let unknown =
        body.as_object().unwrap().keys().find(|name| !["text", "model_id"].contains(&name.as_str()));
    unknown.and_then(|name| wrong("invalid_parameters", &format!("Unknown field {name}.")))
}

/// How many numbers a vector has when the request does not say.
pub const OWN_DIMENSIONS: usize = 96;

/// The vector of a text: one number for each meaning that it has, and a little of each of its words.
fn vector(text: &str, meanings: &[&[&str]], dimensions: usize) -> Vec<f64> {
    let mut vector = vec![0.0; dimensions];
    let text = text.to_lowercase();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if let Some(meaning) = meanings.iter().position(|words| words.contains(&word)) {
            vector[meaning % dimensions] += 1.0;
        } else {
            let sum = word.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            vector[sum % dimensions] += 0.01;
        }
    }
    vector
}

async fn embeddings(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let (reply, asked) = match shared.next("/v1/embeddings", &headers, &body, refuse_embeddings).await {
        Ok(next) => next,
        Err(response) => return response,
    };
    let meanings = shared.meanings.lock().unwrap().clone();
    let dimensions =
        asked["dimensions"].as_u64().map_or(OWN_DIMENSIONS, |count| usize::try_from(count).unwrap());
    let texts: Vec<&str> =
        asked["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let mut data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": vector(text, &meanings, dimensions) }))
        .collect();
    if reply.fate == Fate::Backwards {
        data.reverse();
    }
    let tokens: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    let answer = json!({
        "object": "list", "data": data, "model": reply.model_of(&asked),
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    });
    in_json(StatusCode::OK, &answer)
}

/// What is wrong with a request for vectors, as OpenAI's models see it.
fn refuse_embeddings(_: &HeaderMap, body: &Value) -> Option<Fault> {
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Some(Fault::parameter("model", "you must provide a model parameter"));
    }
    let texts = body["input"].as_array().filter(|texts| (1..=2_048).contains(&texts.len()));
    if texts.is_none_or(|texts| texts.iter().any(|text| text.as_str().is_none_or(str::is_empty))) {
        return Some(Fault::parameter("input", "'$.input' is invalid. Please check the API reference."));
    }
    if body.get("dimensions").is_some_and(|count| count.as_u64().is_none_or(|count| count == 0)) {
        return Some(Fault::parameter("dimensions", "Invalid value for 'dimensions'."));
    }
    if body.get("encoding_format").is_some_and(|format| format != "float" && format != "base64") {
        return Some(Fault::parameter("encoding_format", "Invalid value for 'encoding_format'."));
    }
    let all = ["model", "input", "dimensions", "encoding_format", "user"];
    let unknown = body.as_object().unwrap().keys().find(|name| !all.contains(&name.as_str()));
    unknown.map(|name| Fault::parameter(name, &format!("Unknown parameter: '{name}'.")))
}

/// Gives the picture that an answer named.
async fn kept(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let seen = Seen { path: "/files/picture".to_owned(), headers, body: Value::Null };
    shared.requests.lock().unwrap().push(seen);
    shared.kept.lock().unwrap().clone().into_response()
}

/// What is wrong with a request for a picture, as GPT's image models see it.
fn refuse_images(_: &HeaderMap, body: &Value) -> Option<Fault> {
    let known = |name: &str, values: &[&str]| {
        let value = body.get(name)?;
        let is_known = value.as_str().is_some_and(|value| values.contains(&value));
        (!is_known).then(|| Fault::parameter(name, &format!("Invalid value for '{name}'.")))
    };
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Some(Fault::parameter("model", "you must provide a model parameter"));
    }
    if body["prompt"].as_str().is_none_or(str::is_empty) {
        return Some(Fault::parameter("prompt", "Missing required parameter: 'prompt'."));
    }
    let all = ["model", "prompt", "n", "size", "quality", "output_format", "background"];
    let unknown = body.as_object().unwrap().keys().find(|name| !all.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Some(Fault::parameter(name, &format!("Unknown parameter: '{name}'.")));
    }
    known("size", &["1024x1024", "1536x1024", "1024x1536", "auto"])
        .or_else(|| known("quality", &["low", "medium", "high", "auto"]))
        .or_else(|| known("output_format", &["png", "jpeg", "webp"]))
}

/// What is wrong with a request for speech, as OpenAI's models see it.
fn refuse_speech(_: &HeaderMap, body: &Value) -> Option<Fault> {
    for name in ["model", "input", "voice"] {
        if body[name].as_str().is_none_or(str::is_empty) {
            return Some(Fault::parameter(name, &format!("Missing required parameter: '{name}'.")));
        }
    }
    let voices = ["alloy", "cedar", "coral", "marin", "nova"];
    if body["voice"].as_str().is_none_or(|voice| !voices.contains(&voice)) {
        let message =
            format!("Input should be one of {}", voices.map(|voice| format!("'{voice}'")).join(", "));
        return Some(Fault::parameter("voice", &message));
    }
    if body["input"].as_str().is_none_or(|text| text.chars().count() > 4_096) {
        return Some(Fault::parameter("input", "String should have at most 4096 characters"));
    }
    let all = ["model", "input", "voice", "response_format", "instructions", "speed", "stream_format"];
    let unknown = body.as_object().unwrap().keys().find(|name| !all.contains(&name.as_str()));
    unknown.map(|name| Fault::parameter(name, &format!("Unknown parameter: '{name}'.")))
}

/// What is wrong with a request of the chat format.
fn refuse_chat(_: &HeaderMap, body: &Value) -> Option<Fault> {
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Some(Fault::parameter("model", "you must provide a model parameter"));
    }
    let turns = body["messages"].as_array().filter(|turns| !turns.is_empty());
    let Some(turns) = turns else {
        return Some(Fault::parameter("messages", "'messages' must contain at least one message."));
    };
    if !turns.iter().all(|turn| {
        matches!(turn["role"].as_str(), Some("system" | "user" | "assistant")) && turn["content"].is_string()
    }) {
        return Some(Fault::parameter("messages", "Invalid value in messages."));
    }
    if body.get("max_tokens").is_some() && body.get("max_completion_tokens").is_some() {
        return Some(Fault::parameter(
            "max_tokens",
            "Setting both limits at the same time is not supported.",
        ));
    }
    let format = &body["response_format"];
    if format["type"] == "json_object" && !body["messages"].to_string().to_lowercase().contains("json") {
        return Some(Fault::parameter("messages", "'messages' must contain the word 'json' in some form."));
    }
    if format["type"] == "json_schema" {
        let schema = &format["json_schema"];
        let named = schema["name"].as_str().is_some_and(|name| {
            (1..=64).contains(&name.len())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        });
        if !named || schema["schema"]["additionalProperties"] != false {
            return Some(Fault::parameter("response_format", "Invalid schema for response_format."));
        }
    }
    None
}

/// What is wrong with a request of the messages format.
fn refuse_messages(headers: &HeaderMap, body: &Value) -> Option<Fault> {
    let missing = |name: &str| Some(Fault::parameter(name, &format!("{name}: Field required")));
    if headers.get("anthropic-version").is_none_or(|version| version != "2023-06-01") {
        return Some(Fault::parameter("version", "anthropic-version: header is required"));
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return missing("model");
    }
    if body["max_tokens"].as_u64().is_none_or(|limit| limit == 0) {
        return missing("max_tokens");
    }
    let Some(turns) = body["messages"].as_array().filter(|turns| !turns.is_empty()) else {
        return missing("messages");
    };
    let role = |at: usize| if at.is_multiple_of(2) { "user" } else { "assistant" };
    if !turns.iter().enumerate().all(|(at, turn)| turn["role"] == role(at)) {
        return Some(Fault::parameter(
            "messages",
            "messages: roles must alternate between user and assistant",
        ));
    }
    if turns.iter().any(|turn| turn["content"].as_str().is_none_or(|text| text.trim().is_empty())) {
        return Some(Fault::parameter("messages", "messages: text content blocks must be non-empty"));
    }
    for unknown in ["seed", "response_format", "stream_options", "max_completion_tokens"] {
        if body.get(unknown).is_some() {
            return Some(Fault::parameter(unknown, &format!("{unknown}: Extra inputs are not permitted")));
        }
    }
    if body["tool_choice"]["type"] == "tool" {
        let tools = body["tools"].as_array().into_iter().flatten();
        let mut tools = tools.filter(|tool| tool["name"] == body["tool_choice"]["name"]);
        if !tools.any(|tool| tool["input_schema"]["type"] == "object") {
            return Some(Fault::parameter("tool_choice", "tool_choice: no such tool"));
        }
    }
    None
}

type Refuse = fn(&HeaderMap, &Value) -> Option<Fault>;
type Events = fn(&Reply, &Value) -> Vec<Step>;

/// A step of an answer: bytes, or what happens in between.
enum Step {
    Send(String),
    Delta(String),
    Cut,
    Stall,
}

impl Shared {
    /// What the server refuses because it does not know it.
    fn lacks(&self, body: &Value) -> Option<Fault> {
        for name in self.lacking.lock().unwrap().iter() {
            let there = match *name {
                "json_schema" => body["response_format"]["type"] == "json_schema",
                "tool_choice" => body["tool_choice"]["type"] == "tool",
                name => body.get(name).is_some(),
            };
            let message = match *name {
                "json_schema" => "'response_format.type' must be 'json_object' or 'text'".to_owned(),
                "tool_choice" => {
                    r#"tool_choice: type "tool" and "any" are not supported for this model."#.to_owned()
                }
                "temperature" => "`temperature` is deprecated for this model.".to_owned(),
                name => format!("Unsupported parameter: '{name}' is not supported with this model."),
            };
            if there {
                return Some(Fault::parameter(name, &message));
            }
        }
        None
    }

    /// The next reply and the request, or what is answered instead.
    async fn next(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
        refuse: Refuse,
    ) -> Result<(Reply, Value), Response> {
        let format = Format::at(path);
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let seen = Seen { path: path.to_owned(), headers: headers.clone(), body: body.clone() };
        self.requests.lock().unwrap().push(seen);
        let refused = refuse(headers, &body).or_else(|| self.lacks(&body));
        if let Some(fault) = refused {
            return Err(respond(&fault, format));
        }
        let next = if path.ends_with("embeddings") {
            self.vectors.lock().unwrap().pop_front().or_else(|| Some(Reply::text("")))
        } else {
            self.script.lock().unwrap().pop_front()
        };
        let Some(mut reply) = next else {
            let fault =
                Fault::new(500, "The script has no more replies.", ("server_error", None), "api_error");
            return Err(respond(&fault, format));
        };
        tokio::time::sleep(reply.before).await;
        if let Some(fault) = &reply.error {
            return Err(respond(fault, format));
        }
        if let Some((status, content_type, body)) = reply.raw.take() {
            let headers = [(header::CONTENT_TYPE, content_type), (header::LOCATION, "/elsewhere")];
            return Err((status, headers, body).into_response());
        }
        Ok((reply, body))
    }

    async fn answer(
        self: Arc<Self>,
        path: &str,
        headers: HeaderMap,
        body: &Bytes,
        refuse: Refuse,
        events: Events,
    ) -> Response {
        let (reply, body) = match self.next(path, &headers, body, refuse).await {
            Ok(next) => next,
            Err(response) => return response,
        };
        if !reply.streamed {
            return in_json(StatusCode::OK, &chat_whole(&reply, &body));
        }
        let steps = events(&reply, &body);
        let (sender, pieces) = mpsc::channel(1);
        let told = Arc::clone(&self);
        tokio::spawn(async move {
            // Sending fails when the client has gone: hyper drops the body then.
            if play(steps, &reply, &sender).await.is_err() {
                told.hung_up.send_modify(|count| *count += 1);
            }
        });
        let body = Body::from_stream(Pieces(pieces));
        ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response()
    }
}

fn in_json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Whose format an address speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// OpenAI's.
    Chat,
    /// Anthropic's.
    Messages,
    /// ElevenLabs'.
    Detail,
}

impl Format {
    fn at(path: &str) -> Self {
        match path {
            "/v1/messages" => Self::Messages,
            path if path.starts_with("/v1/text-to-speech/") => Self::Detail,
            _ => Self::Chat,
        }
    }
}

fn respond(fault: &Fault, format: Format) -> Response {
    // Only the messages format knows 529. A lack of credit is a 400 there, and a 401 with a word of its own at ElevenLabs.
    let is_credit = fault.status == 429 && fault.retry_after.is_none();
    let (status, body) = match (format, fault.status) {
        (Format::Messages, 429) if is_credit => (400, fault.messages.clone()),
        (Format::Messages, status) => (status, fault.messages.clone()),
        (Format::Detail, 429) if is_credit => {
            let message = "This request exceeds your quota of 10000. You have 0 credits remaining.";
            (401, json!({ "detail": { "status": "quota_exceeded", "message": message } }))
        }
        (Format::Detail, 529) => (503, fault.detail.clone()),
        (Format::Detail, status) => (status, fault.detail.clone()),
        (Format::Chat, 529) => (503, fault.chat.clone()),
        (Format::Chat, status) => (status, fault.chat.clone()),
    };
    let mut response = in_json(StatusCode::from_u16(status).unwrap(), &body);
    if let Some(wait) = &fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, wait.parse().unwrap());
    }
    response
}

type Piece = Result<Bytes, std::io::Error>;

/// The body's pieces out of a channel.
struct Pieces(mpsc::Receiver<Piece>);

impl Stream for Pieces {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// The client has hung up.
struct Gone;

async fn play(steps: Vec<Step>, reply: &Reply, sender: &mpsc::Sender<Piece>) -> Result<(), Gone> {
    let drip = |text: String| -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
        let bytes = Bytes::from(text);
        if reply.drip {
            Box::pin(stream::iter((0..bytes.len()).map(move |at| bytes.slice(at..=at))))
        } else {
            Box::pin(stream::iter([bytes]))
        }
    };
    for step in steps {
        let (text, pause) = match step {
            Step::Send(text) => (text, Duration::ZERO),
            Step::Delta(text) => (text, reply.pause),
            Step::Cut => {
                let _ = sender.send(Err(std::io::Error::other("the connection breaks"))).await;
                return Ok(());
            }
            Step::Stall => {
                sender.closed().await;
                return Err(Gone);
            }
        };
        let mut pieces = drip(text);
        while let Some(piece) = pieces.next().await {
            sender.send(Ok(piece)).await.map_err(|_| Gone)?;
            if reply.drip {
                tokio::task::yield_now().await;
            }
        }
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = sender.closed() => return Err(Gone),
            }
        }
    }
    Ok(())
}

impl Reply {
    /// The model that is said to answer.
    fn model_of(&self, request: &Value) -> Value {
        self.model.clone().map_or_else(|| request["model"].clone(), Value::from)
    }

    /// The deltas as steps up to where the answer's fate sets in; and whether it goes on after that.
    fn steps(&self, delta: impl Fn(&str) -> String, error: String) -> (Vec<Step>, bool) {
        let end = match self.fate {
            Fate::Cut(at) | Fate::End(at) | Fate::Stall(at) | Fate::Error(at) => at,
            Fate::Whole | Fate::Backwards | Fate::CutAfterFinish => self.deltas.len(),
        };
        let mut steps: Vec<Step> =
            self.deltas.iter().take(end).map(|text| Step::Delta(delta(text))).collect();
        match self.fate {
            Fate::Cut(_) => steps.push(Step::Cut),
            Fate::Stall(_) => steps.push(Step::Stall),
            Fate::Error(_) => steps.push(Step::Send(error)),
            Fate::End(_) => {}
            Fate::Whole | Fate::Backwards | Fate::CutAfterFinish => return (steps, true),
        }
        (steps, false)
    }
}

fn chat_events(reply: &Reply, request: &Value) -> Vec<Step> {
    let model = reply.model_of(request);
    let counted = request["stream_options"]["include_usage"] == true;
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
            "choices": choices,
        });
        if !usage.is_null() || (counted && reply.counting != Counting::Missing) {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, finish: Option<&str>| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), Value::Null)
    };
    let field = if reply.refusal { "refusal" } else { "content" };
    let error = json!({ "error": { "message": "Overloaded", "type": "server_error", "code": null } });
    let (steps, goes_on) =
        reply.steps(|text| choice(json!({ field: text }), None), format!("data: {error}\n\n"));
    let mut all = vec![Step::Send(choice(json!({ "role": "assistant", "content": null }), None))];
    all.extend(steps);
    if goes_on {
        all.push(Step::Send(choice(json!({}), Some(reply.finish))));
        if reply.fate == Fate::CutAfterFinish {
            all.push(Step::Cut);
            return all;
        }
        if counted && reply.counting == Counting::Asked {
            all.push(Step::Send(chunk(json!([]), usage(reply))));
        }
        all.push(Step::Send("data: [DONE]\n\n".to_owned()));
    }
    all
}

fn usage(reply: &Reply) -> Value {
    let (prompt, completion) = reply.tokens;
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}

fn chat_whole(reply: &Reply, request: &Value) -> Value {
    let text = reply.deltas.concat();
    let message = if reply.refusal {
        json!({ "role": "assistant", "content": null, "refusal": text })
    } else {
        json!({ "role": "assistant", "content": text, "refusal": null })
    };
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000,
        "model": reply.model_of(request),
        "choices": [{ "index": 0, "message": message, "finish_reason": reply.finish }],
        "usage": usage(reply),
    })
}

fn message_events(reply: &Reply, request: &Value) -> Vec<Step> {
    let model = reply.model_of(request);
    let event = |name: &str, mut data: Value| {
        data["type"] = name.into();
        format!("event: {name}\ndata: {data}\n\n")
    };
    let (prompt, completion) = reply.tokens;
    let forced = request["tool_choice"]["type"] == "tool";
    let start = json!({ "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": prompt, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": 1,
        },
    } });
    let block = if forced {
        let name = &request["tool_choice"]["name"];
        json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": {} })
    } else {
        json!({ "type": "text", "text": "" })
    };
    let delta = |text: &str| {
        let delta = if forced {
            json!({ "type": "input_json_delta", "partial_json": text })
        } else {
            json!({ "type": "text_delta", "text": text })
        };
        event("content_block_delta", json!({ "index": 1, "delta": delta }))
    };
    let error = json!({ "error": { "type": "overloaded_error", "message": "Overloaded" } });
    // A refusal comes without words; the models think before they answer.
    let silent = Reply { deltas: Vec::new(), ..reply.clone() };
    let told = if reply.refusal { &silent } else { reply };
    let (steps, goes_on) = told.steps(delta, event("error", error));
    let thought = json!({ "type": "thinking_delta", "thinking": "Not for the reader." });
    let mut all: Vec<Step> = [
        event("message_start", start),
        event("content_block_start", json!({ "index": 0, "content_block": { "type": "thinking" } })),
        event("ping", json!({})),
        event("content_block_delta", json!({ "index": 0, "delta": thought })),
        // Some say something before they use the tool.
        if forced {
            let text = json!({ "type": "text_delta", "text": "Here it is:" });
            event("content_block_delta", json!({ "index": 0, "delta": text }))
        } else {
            event("ping", json!({}))
        },
        event("content_block_stop", json!({ "index": 0 })),
        event("content_block_start", json!({ "index": 1, "content_block": block })),
    ]
    .map(Step::Send)
    .into();
    all.extend(steps);
    if goes_on {
        let stop_reason = match reply.finish {
            _ if reply.refusal => "refusal",
            "length" => "max_tokens",
            "content_filter" => "refusal",
            _ if forced => "tool_use",
            _ => "end_turn",
        };
        let ended = json!({
            "delta": { "stop_reason": stop_reason, "stop_sequence": null },
            "usage": { "output_tokens": completion },
        });
        all.push(Step::Send(event("content_block_stop", json!({ "index": 1 }))));
        all.push(Step::Send(event("message_delta", ended)));
        all.push(if reply.fate == Fate::CutAfterFinish {
            Step::Cut
        } else {
            Step::Send(event("message_stop", json!({})))
        });
    }
    all
}
