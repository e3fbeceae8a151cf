//! A provider whose models film, for tests: a server on a loopback port that speaks Replicate's format, faults included.
//!
//! ```ignore
//! let studio = FakeStudio::start().await;
//! studio.script("a lake", [Take::clip().after([json!({"status": "processing"})])]);
//! // … have a film with that prompt made …
//! assert_eq!(studio.made().len(), 1);
//! ```
//!
//! A prediction takes the next take of its prompt's script; without one it is refused with a 500 that says so. Each look at it
//! takes the next of what comes before its end.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aicos::engine::Endpoint;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::{Value, json};

use super::provider::Seen;

/// The model that it has.
pub const MODEL: &str = "acme/camera-2.1";
/// The key that it accepts.
pub const KEY: &str = "r8_key_of_acme_0123456789";
/// A second of 90×160 pixels: `ffmpeg -f lavfi -i testsrc2=s=90x160:r=10:d=1 -c:v libx264 -pix_fmt yuv420p`.
pub const CLIP: &[u8] = include_bytes!("clip.mp4");

/// How a file arrives that a prediction has left.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// As it is.
    Whole(Bytes),
    /// Half of it; then the connection breaks.
    Cut,
    /// It says that it has so many bytes.
    Long(usize),
    /// It is said to be elsewhere.
    Redirect,
    /// It is there no more.
    Gone,
}

/// One scripted prediction.
#[derive(Debug, Clone)]
pub struct Take {
    /// What is answered instead: a status, what it says, and what `retry-after` does.
    refusal: Option<(u16, Value, Option<&'static str>)>,
    before: VecDeque<Value>,
    end: Value,
    /// Where its file is said to be; its own when none.
    at: Option<String>,
    is_listed: bool,
    files: VecDeque<Delivery>,
    is_lost: bool,
}

impl Take {
    fn new(end: Value) -> Self {
        Self {
            refusal: None,
            before: VecDeque::new(),
            end,
            at: None,
            is_listed: false,
            files: VecDeque::new(),
            is_lost: false,
        }
    }

    /// It succeeds with a clip.
    pub fn clip() -> Self {
        Self::new(json!({"status": "succeeded", "metrics": {"predict_time": 61.5, "total_time": 70.1}}))
    }

    /// It succeeds with something else.
    pub fn output(output: &Value) -> Self {
        Self::new(json!({"status": "succeeded", "output": output}))
    }

    /// It succeeds with a file that is said to be there.
    pub fn at(url: &str) -> Self {
        Self { at: Some(url.to_owned()), ..Self::clip() }
    }

    /// It fails, and says why.
    pub fn failed(error: &str) -> Self {
        Self::new(json!({"status": "failed", "error": error}))
    }

    /// It ends like this: `canceled`, `aborted`.
    pub fn ended(status: &str) -> Self {
        Self::new(json!({"status": status}))
    }

    /// It is not made: a status, and what the answer says.
    pub fn refused(status: u16, title: &str, detail: &str) -> Self {
        let body = json!({"title": title, "detail": detail, "status": status});
        Self { refusal: Some((status, body, None)), ..Self::clip() }
    }

    /// 429: too many requests, with what `retry-after` says.
    pub fn rate_limited(retry_after: &'static str) -> Self {
        let body = json!({"detail": "Request was throttled. Your rate limit resets in ~1s.", "status": 429});
        Self { refusal: Some((429, body, Some(retry_after))), ..Self::clip() }
    }

    /// What the looks before the last one see.
    pub fn after(self, before: impl IntoIterator<Item = Value>) -> Self {
        Self { before: before.into_iter().collect(), ..self }
    }

    /// It is being made as long as anybody looks.
    pub fn never() -> Self {
        Self::new(json!({"status": "processing"}))
    }

    /// Its output is a list.
    pub fn listed(self) -> Self {
        Self { is_listed: true, ..self }
    }

    /// How its file arrives, from one time to the next; the last one for ever.
    pub fn files(self, files: impl IntoIterator<Item = Delivery>) -> Self {
        Self { files: files.into_iter().collect(), ..self }
    }

    /// It is made, and the answer breaks off.
    pub fn lost(self) -> Self {
        Self { is_lost: true, ..self }
    }
}

/// A prediction that has been made.
#[derive(Debug, Clone)]
pub struct Made {
    pub id: String,
    pub input: Value,
    pub looks: usize,
    pub is_cancelled: bool,
    model: String,
    at: chrono::DateTime<chrono::Utc>,
    take: Take,
}

#[derive(Default)]
struct Inner {
    script: HashMap<String, VecDeque<Take>>,
    made: Vec<Made>,
    requests: Vec<Seen>,
    /// What a field takes; nothing: it is not known.
    takes: Vec<(&'static str, Vec<Value>)>,
    /// How many looks fail from now on.
    outage: usize,
}

type Shared = Arc<Mutex<Inner>>;

/// The server. It stops when this is dropped.
pub struct FakeStudio {
    address: SocketAddr,
    inner: Shared,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for FakeStudio {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl FakeStudio {
    /// A server without a script.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Shared::default();
        let router = Router::new()
            .route("/v1/models/{owner}/{name}", get(model))
            .route("/v1/models/{owner}/{name}/versions/{version}", get(version))
            .route("/v1/models/{owner}/{name}/predictions", post(create))
            .route("/v1/predictions", get(list).post(create_version))
            .route("/v1/predictions/{id}", get(look))
            .route("/v1/predictions/{id}/cancel", post(cancel))
            .route("/files/{id}", get(file))
            .with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, serving }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// It with the key that it accepts.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { base_url: self.url().parse().unwrap(), key: Some(KEY.into()) }
    }

    /// Adds to what predictions with this prompt come to.
    pub fn script(&self, prompt: &str, takes: impl IntoIterator<Item = Take>) {
        self.inner.lock().unwrap().script.entry(prompt.to_owned()).or_default().extend(takes);
    }

    /// From now on a field of the input takes these values only; without any it is not known.
    pub fn takes(&self, field: &'static str, values: impl IntoIterator<Item = Value>) {
        self.inner.lock().unwrap().takes.push((field, values.into_iter().collect()));
    }

    /// So many looks fail from now on.
    pub fn fails_to_tell(&self, looks: usize) {
        self.inner.lock().unwrap().outage = looks;
    }

    /// The predictions that have been made, in order.
    pub fn made(&self) -> Vec<Made> {
        self.inner.lock().unwrap().made.clone()
    }

    /// Those with this prompt.
    pub fn made_of(&self, prompt: &str) -> Vec<Made> {
        self.made().into_iter().filter(|made| made.input["prompt"] == prompt).collect()
    }

    /// What has been asked, in order; what was refused included.
    pub fn requests(&self) -> Vec<Seen> {
        self.inner.lock().unwrap().requests.clone()
    }

    /// How often something was asked of a path that ends like this.
    pub fn asked(&self, end: &str) -> usize {
        self.requests().iter().filter(|seen| seen.path.ends_with(end)).count()
    }
}

fn in_json(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn problem(status: u16, title: &str, detail: &str) -> Response {
    in_json(status, &json!({"title": title, "detail": detail, "status": status}))
}

/// Notes the request; refuses who does not have the key.
fn admit(inner: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Value) -> Option<Response> {
    let path = format!("{method} {}", uri.path_and_query().unwrap());
    let seen = Seen { path, headers: headers.clone(), body: body.clone() };
    inner.lock().unwrap().requests.push(seen);
    let is_known = headers.get(header::AUTHORIZATION).is_some_and(|value| value == &format!("Bearer {KEY}"));
    (!is_known).then(|| problem(401, "Unauthenticated", "You did not pass a valid authentication token"))
}

async fn model(
    State(inner): State<Shared>,
    Path((owner, name)): Path<(String, String)>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    if let Some(refused) = admit(&inner, &method, &uri, &headers, &Value::Null) {
        return refused;
    }
    if format!("{owner}/{name}") != MODEL {
        return in_json(404, &json!({"detail": "The requested resource could not be found.", "status": 404}));
    }
    in_json(200, &json!({"owner": owner, "name": name, "latest_version": {"id": "9dcd6d78e7"}}))
}

async fn version(
    State(inner): State<Shared>,
    Path((_, _, version)): Path<(String, String, String)>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    if let Some(refused) = admit(&inner, &method, &uri, &headers, &Value::Null) {
        return refused;
    }
    if version == "9dcd6d78e7" {
        in_json(200, &json!({"id": version}))
    } else {
        in_json(404, &json!({"detail": "The requested resource could not be found.", "status": 404}))
    }
}

async fn create(
    State(inner): State<Shared>,
    Path((owner, name)): Path<(String, String)>,
    request: (Method, Uri, HeaderMap),
    body: Bytes,
) -> Response {
    let model = format!("{owner}/{name}");
    make(&inner, request, &body, |body| body.get("version").is_none().then_some(model))
}

async fn create_version(
    State(inner): State<Shared>,
    request: (Method, Uri, HeaderMap),
    body: Bytes,
) -> Response {
    make(&inner, request, &body, |body| {
        body["version"].as_str()?.strip_suffix(":9dcd6d78e7").map(str::to_owned)
    })
}

fn make(
    inner: &Shared,
    (method, uri, headers): (Method, Uri, HeaderMap),
    body: &Bytes,
    model: impl FnOnce(&Value) -> Option<String>,
) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(refused) = admit(inner, &method, &uri, &headers, &body) {
        return refused;
    }
    let Some(model) = model(&body).filter(|model| model == MODEL) else {
        return in_json(404, &json!({"detail": "The requested resource could not be found.", "status": 404}));
    };
    let mut inner = inner.lock().unwrap();
    let input = body["input"].clone();
    if let Some(refused) = inner.refuse(&input) {
        return refused;
    }
    let prompt = input["prompt"].as_str().unwrap();
    let Some(take) = inner.script.get_mut(prompt).and_then(VecDeque::pop_front) else {
        return problem(500, "Internal server error", "The script has no more takes.");
    };
    if let Some((status, body, retry_after)) = take.refusal {
        let mut response = in_json(status, &body);
        if let Some(wait) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, wait.parse().unwrap());
        }
        return response;
    }
    let made = Made {
        id: format!("gm3qorzdhgbfurvjtvhg6d{:04}", inner.made.len()),
        input,
        looks: 0,
        is_cancelled: false,
        model,
        at: chrono::Utc::now(),
        take,
    };
    let answer = made.shown(&json!({"status": "starting"}));
    let is_lost = made.take.is_lost;
    inner.made.push(made);
    if is_lost {
        let half = Bytes::from(answer.to_string()[..20].to_owned());
        return (StatusCode::CREATED, broken(half)).into_response();
    }
    in_json(201, &answer)
}

impl Inner {
    /// What is wrong with an input, as the provider sees it.
    fn refuse(&self, input: &Value) -> Option<Response> {
        let wrong = |field: &str, kind: &str, description: &str| {
            let at = if field.is_empty() { "input".to_owned() } else { format!("input.{field}") };
            let body = json!({
                "detail": format!("- {at}: {description}\n"), "status": 422, "title": "Input validation failed",
                "invalid_fields": [{"type": kind, "field": at, "description": description}],
            });
            Some(in_json(422, &body))
        };
        if input["prompt"].as_str().is_none_or(str::is_empty) {
            return wrong("", "required", "prompt is required");
        }
        for (name, value) in input.as_object().unwrap() {
            let known = ["prompt", "duration", "aspect_ratio", "seed"];
            let limit = self.takes.iter().find(|(field, _)| field == name);
            if !known.contains(&name.as_str()) || limit.is_some_and(|(_, values)| values.is_empty()) {
                let message = format!("Additional property {name} is not allowed");
                return wrong("", "additional_property_not_allowed", &message);
            }
            if let Some((_, values)) = limit.filter(|(_, values)| !values.contains(value)) {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                let message = format!("{name} must be one of the following: {}", values.join(", "));
                return wrong(name, "enum", &message);
            }
        }
        None
    }
}

impl Made {
    /// It as the provider shows it, in this state.
    fn shown(&self, state: &Value) -> Value {
        let mut shown = json!({
            "id": self.id, "model": self.model, "version": "hidden", "input": self.input, "logs": "", "output": null,
            "error": null, "status": "starting", "created_at": self.at, "data_removed": false, "metrics": {},
            "urls": {"get": "https://api.example/v1/predictions/x", "cancel": "https://api.example/v1/predictions/x/cancel"},
        });
        shown.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        shown
    }
}

async fn list(State(inner): State<Shared>, (method, uri, headers): (Method, Uri, HeaderMap)) -> Response {
    if let Some(refused) = admit(&inner, &method, &uri, &headers, &Value::Null) {
        return refused;
    }
    let inner = inner.lock().unwrap();
    let newest = inner.made.iter().rev().take(100);
    let results: Vec<Value> = newest.map(|made| made.shown(&json!({"status": "processing"}))).collect();
    in_json(200, &json!({"next": null, "previous": null, "results": results}))
}

async fn look(
    State(inner): State<Shared>,
    Path(id): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    if let Some(refused) = admit(&inner, &method, &uri, &headers, &Value::Null) {
        return refused;
    }
    let host = headers[header::HOST].to_str().unwrap().to_owned();
    let mut inner = inner.lock().unwrap();
    if let Some(left) = inner.outage.checked_sub(1) {
        inner.outage = left;
        return problem(500, "Internal server error", "An unexpected error occurred.");
    }
    let Some(made) = inner.made.iter_mut().find(|made| made.id == id) else {
        return in_json(404, &json!({"detail": "The requested resource could not be found.", "status": 404}));
    };
    made.looks += 1;
    let mut state = match made.take.before.pop_front() {
        Some(state) => state,
        None if made.is_cancelled => json!({"status": "canceled"}),
        None => made.take.end.clone(),
    };
    if state["status"] == "succeeded" && state.get("output").is_none() {
        let url = made.take.at.clone().unwrap_or_else(|| format!("http://{host}/files/{id}?sig=abc"));
        state["output"] = if made.take.is_listed { json!([url]) } else { json!(url) };
    }
    in_json(200, &made.shown(&state))
}

async fn cancel(
    State(inner): State<Shared>,
    Path(id): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    if let Some(refused) = admit(&inner, &method, &uri, &headers, &Value::Null) {
        return refused;
    }
    let mut inner = inner.lock().unwrap();
    let made = inner.made.iter_mut().find(|made| made.id == id).unwrap();
    made.is_cancelled = true;
    in_json(200, &made.shown(&json!({"status": "canceled"})))
}

/// Gives what a prediction has left; without a key, which goes nowhere else.
async fn file(
    State(inner): State<Shared>,
    Path(id): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    let path = format!("{method} {}", uri.path_and_query().unwrap());
    let mut inner = inner.lock().unwrap();
    inner.requests.push(Seen { path, headers, body: Value::Null });
    let files = &mut inner.made.iter_mut().find(|made| made.id == id).unwrap().take.files;
    let delivery = if files.len() > 1 { files.pop_front() } else { files.front().cloned() };
    let mp4 = [(header::CONTENT_TYPE, "video/mp4")];
    match delivery.unwrap_or(Delivery::Whole(Bytes::from_static(CLIP))) {
        Delivery::Whole(bytes) => (mp4, bytes).into_response(),
        Delivery::Cut => (mp4, broken(Bytes::from_static(&CLIP[..CLIP.len() / 2]))).into_response(),
        Delivery::Long(bytes) => {
            let pieces = std::iter::repeat_n(Bytes::from(vec![0; 1 << 16]), bytes.div_ceil(1 << 16));
            let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, std::io::Error>)));
            ([(header::CONTENT_LENGTH, bytes.to_string())], body).into_response()
        }
        Delivery::Redirect => {
            (StatusCode::FOUND, [(header::LOCATION, format!("/files/{id}/elsewhere"))]).into_response()
        }
        Delivery::Gone => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A body that breaks off behind this.
fn broken(bytes: Bytes) -> Body {
    let breaks = std::io::Error::other("the connection breaks");
    Body::from_stream(stream::iter([Ok(bytes), Err(breaks)]))
}
