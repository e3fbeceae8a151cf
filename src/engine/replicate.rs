//! Replicate's format (<https://replicate.com/docs/reference/http>): `POST {base}/v1/models/{owner}/{name}/predictions`, and
//! `GET {base}/v1/predictions/{id}` until the clip is there. It hosts models of many makers; here it films.
//!
//! All models that film take a prompt. They differ in everything else, and a 422 that names a field has it said otherwise,
//! or not at all; what is refused costs nothing. A prediction that nobody looks at any more ends by itself at its deadline
//! (<https://replicate.com/changelog/2025-10-16-prediction-deadlines>).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::footage::{self, CLIP_BYTES, Clip, Filming, FootageEngine, FootageRequest, Ticket};
use super::wire::{Answer, Complaint, Stream, Target, Wire};
use super::{Endpoint, Failure, Kind, Limits, OnText, Probed, Provider, TextEngine, TextReply, TextRequest};

const PROVIDER: Provider = Provider::Replicate;
const CANCEL_AFTER: HeaderName = HeaderName::from_static("cancel-after");
/// When a prediction ends that is neither done nor looked at.
const DEADLINE: HeaderValue = HeaderValue::from_static("15m");
/// How far the clocks of both sides may be apart.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// A server's models that film.
#[derive(Debug)]
pub struct Replicate {
    wire: Arc<Wire>,
    models: Target,
    predictions: Target,
}

/// A model as its page names it: `owner/name`, or `owner/name:version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Model<'a> {
    owner: &'a str,
    name: &'a str,
    version: Option<&'a str>,
}

impl<'a> Model<'a> {
    /// Its parts become parts of addresses, so they are names and nothing else.
    fn parse(text: &'a str) -> Result<Self, Failure> {
        let is_name = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let (path, version) = match text.split_once(':') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        path.split_once('/')
            .map(|(owner, name)| Self { owner, name, version })
            .filter(|model| is_name(model.owner) && is_name(model.name) && version.is_none_or(is_name))
            .ok_or_else(|| {
                let message = format!(
                    "`{text}` is no model of the provider {PROVIDER}. Name one as its page does: `owner/name`, or `owner/name:version`."
                );
                Failure::new(PROVIDER, Kind::Rejected, message)
            })
    }

    fn path(self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// A part of the input that a model may not know, or not as it is said first: its ways, the best one first.
type Wish = VecDeque<(&'static str, Value)>;

fn wishes(request: &FootageRequest) -> [Wish; 3] {
    [
        [("duration", json!(request.seconds))].into(),
        request.aspect.names().iter().map(|name| ("aspect_ratio", json!(name))).collect(),
        request.seed.map(|seed| ("seed", json!(seed))).into_iter().collect(),
    ]
}

/// Whether a complaint about the input names a field: `- input.duration: duration must be one of …`.
fn is_about(complaint: &Complaint, field: &str) -> bool {
    let mut words = complaint.message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    complaint.status == 422 && words.any(|word| word == field)
}

/// A prediction as the provider has it.
#[derive(Deserialize)]
struct Prediction {
    id: String,
    #[serde(default)]
    status: String,
    model: Option<String>,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    output: Value,
    #[serde(default)]
    error: Value,
    logs: Option<String>,
    metrics: Option<Metrics>,
    created_at: Option<DateTime<Utc>>,
    #[serde(default)]
    data_removed: bool,
}

#[derive(Deserialize)]
struct Metrics {
    predict_time: Option<f64>,
}

#[derive(Deserialize)]
struct Predictions {
    results: Vec<Prediction>,
}

/// How far a model says that it is: in the last line of its log that has a bar, `37%|███▋      | 18/50`.
fn progress(logs: &str) -> Option<f32> {
    let percent = logs.rsplit(['\n', '\r']).find_map(|line| {
        let (percent, _) = line.split_once("%|")?;
        percent.trim().parse::<u8>().ok()
    });
    percent.filter(|percent| *percent <= 100).map(|percent| f32::from(percent) / 100.0)
}

/// What went wrong with a prediction, in its own words. Those that it was not the model's fault say that it may be tried again.
fn kind_of_end(error: &str) -> Kind {
    let error = error.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if says(&["sensitive", "nsfw", "moderation", "safety", "content policy"]) {
        Kind::Refused
    } else if says(&["retry", "try again", "temporarily", "high demand", "interrupted"]) {
        Kind::Unavailable
    } else {
        Kind::Rejected
    }
}

/// The code that stands in an error, such as `E1001` (<https://replicate.com/docs/reference/error-codes>).
fn code(error: &str) -> Option<&str> {
    let is_code = |word: &&str| {
        word.strip_prefix('E').is_some_and(|rest| {
            (3..=4).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    error.split(|c: char| !c.is_ascii_alphanumeric()).find(is_code)
}

impl Prediction {
    async fn read(stream: Box<Stream>) -> Result<Self, Failure> {
        serde_json::from_slice(&stream.whole().await?)
            .map_err(|_| Failure::broken(PROVIDER, "is no prediction"))
    }

    fn ticket(&self) -> Result<Ticket, Failure> {
        Ticket::parse(&self.id).ok_or_else(|| Failure::broken(PROVIDER, "has no id of a prediction"))
    }

    /// Whether it was asked for like this. A seed that it tells of is another for another job.
    fn is_of(&self, request: &FootageRequest, model: Model<'_>, since: DateTime<Utc>) -> bool {
        let seed = self.input.get("seed").and_then(Value::as_u64);
        let is_open = !matches!(self.status.as_str(), "failed" | "canceled" | "aborted");
        is_open
            && self.model.as_deref() == Some(model.path().as_str())
            && self.input.get("prompt").and_then(Value::as_str) == Some(request.prompt.as_str())
            && seed.is_none_or(|seed| request.seed.is_none_or(|own| u64::from(own) == seed))
            && self.created_at.is_some_and(|at| at >= since - SKEW)
    }

    /// Where it stands.
    fn state(self, target: &Target) -> Filming {
        let ended = |message: String| Filming::Ended(Failure::new(PROVIDER, Kind::Rejected, message));
        match self.status.as_str() {
            "succeeded" => {
                // One file, or a list of them.
                let first = self.output.get(0).unwrap_or(&self.output);
                let worked = self.metrics.and_then(|metrics| metrics.predict_time);
                match first.as_str().and_then(|url| Url::parse(url).ok()) {
                    Some(url) => Filming::Done(Clip { url, worked }),
                    None if self.data_removed => ended(format!(
                        "The provider {PROVIDER} has removed the footage before it was fetched. Ask for it again."
                    )),
                    None => ended(format!(
                        "The provider {PROVIDER} has made something else than footage. Name a model that films."
                    )),
                }
            }
            "failed" => {
                let error = self.error.as_str().unwrap_or_default();
                let code = code(error).unwrap_or_default();
                let (kind, complaint) = (kind_of_end(error), Complaint::of(code, error));
                if kind != Kind::Rejected {
                    return Filming::Ended(target.failure(kind, &complaint));
                }
                let message = format!(
                    "The provider {PROVIDER} came to nothing with the footage. Describe it differently, or name another model.{}",
                    target.said(&complaint)
                );
                Filming::Ended(Failure::new(PROVIDER, kind, message).with_code(Some(code)))
            }
            "canceled" => ended(format!(
                "The footage was cancelled at the provider {PROVIDER}, or took too long. Ask for it again."
            )),
            "aborted" => ended(format!(
                "The provider {PROVIDER} has not begun with the footage in time. Ask for it again, or name another model."
            )),
            "processing" => Filming::Working { progress: self.logs.as_deref().and_then(progress) },
            _ => Filming::Waiting,
        }
    }
}

impl Replicate {
    /// The models at `endpoint`.
    pub fn new(wire: Arc<Wire>, endpoint: &Endpoint) -> anyhow::Result<Self> {
        let target = |path| Target::new(PROVIDER, endpoint, path, (AUTHORIZATION, "Bearer "));
        Ok(Self { wire, models: target("models")?, predictions: target("predictions")? })
    }

    async fn order(&self, request: &FootageRequest) -> Result<Ticket, Failure> {
        request.check(PROVIDER)?;
        let model = Model::parse(&request.model)?;
        // Of a model that has an owner here, the newest version is asked; any other is asked by its version.
        let target = match model.version {
            None => self.models.below(model.owner).below(model.name).below("predictions"),
            Some(_) => self.predictions.clone(),
        };
        let target = target.with(CANCEL_AFTER, DEADLINE);
        let mut wishes = wishes(request);
        // Each turn of the loop has one way fewer to say something, so it ends.
        loop {
            let mut input = json!({ "prompt": request.prompt });
            for (name, value) in wishes.iter().filter_map(VecDeque::front) {
                input[*name] = value.clone();
            }
            let mut body = json!({ "input": input });
            if model.version.is_some() {
                body["version"] = request.model.as_str().into();
            }
            match self.wire.post(&target, &body, self.wire.limits()).await? {
                Answer::Stream(stream) => return Prediction::read(stream).await?.ticket(),
                Answer::Complaint(complaint) => {
                    let refused =
                        |wish: &&mut Wish| wish.front().is_some_and(|(name, _)| is_about(&complaint, name));
                    match wishes.iter_mut().find(refused) {
                        Some(wish) => drop(wish.pop_front()),
                        None => return Err(target.failure(kind(&complaint), &complaint)),
                    }
                }
            }
        }
    }

    async fn look_for(
        &self,
        request: &FootageRequest,
        since: DateTime<Utc>,
    ) -> Result<Option<Ticket>, Failure> {
        let model = Model::parse(&request.model)?;
        // The newest hundred.
        let body = self.body(&self.predictions).await?;
        let Predictions { results } = serde_json::from_slice(&body)
            .map_err(|_| Failure::broken(PROVIDER, "is no list of predictions"))?;
        results.iter().find(|made| made.is_of(request, model, since)).map(Prediction::ticket).transpose()
    }

    async fn look(&self, ticket: &Ticket) -> Result<Filming, Failure> {
        let target = self.predictions.below(ticket.as_str());
        match self.wire.get(&target, self.wire.limits()).await? {
            Answer::Stream(stream) => Ok(Prediction::read(stream).await?.state(&target)),
            Answer::Complaint(Complaint { status: 404, .. }) => {
                let message = format!(
                    "The provider {PROVIDER} knows nothing of the footage that was asked for. Ask for it again."
                );
                Ok(Filming::Ended(Failure::new(PROVIDER, Kind::Rejected, message)))
            }
            Answer::Complaint(complaint) => Err(target.failure(kind(&complaint), &complaint)),
        }
    }

    async fn fetch(&self, clip: &Clip) -> Result<Bytes, Failure> {
        let limits = Limits { bytes: CLIP_BYTES, total: self.wire.limits().making, ..self.wire.limits() };
        let fetched = self.wire.fetch(&self.predictions, &clip.url, ("clip", limits)).await;
        // The same file would come again.
        let fetched = fetched.map_err(|failure| match failure.kind {
            Kind::Broken => Failure { kind: Kind::Rejected, ..failure },
            _ => failure,
        })?;
        if !footage::is_clip(&fetched) {
            let message =
                format!("What the provider {PROVIDER} has made is no MP4. Name a model that films.");
            return Err(Failure::new(PROVIDER, Kind::Rejected, message));
        }
        Ok(fetched)
    }

    async fn find_model(&self, name: &str) -> Result<Probed, Failure> {
        let model = Model::parse(name)?;
        let mut target = self.models.below(model.owner).below(model.name);
        if let Some(version) = model.version {
            target = target.below("versions").below(version);
        }
        match self.wire.get(&target, self.wire.limits()).await? {
            Answer::Stream(stream) => {
                let known: Value = serde_json::from_slice(&stream.whole().await?).unwrap_or_default();
                if known.get(if model.version.is_some() { "id" } else { "name" }).is_none() {
                    return Err(Failure::broken(PROVIDER, "is no model"));
                }
                Ok(Probed { model: name.to_owned(), usage: None })
            }
            Answer::Complaint(Complaint { status: 404, .. }) => {
                let message = format!(
                    "The provider {PROVIDER} has no model `{name}`. Name one as its page does: `owner/name`, or `owner/name:version`."
                );
                Err(Failure::new(PROVIDER, Kind::Rejected, message))
            }
            Answer::Complaint(complaint) => Err(target.failure(kind(&complaint), &complaint)),
        }
    }

    async fn body(&self, target: &Target) -> Result<Vec<u8>, Failure> {
        match self.wire.get(target, self.wire.limits()).await? {
            Answer::Stream(stream) => stream.whole().await,
            Answer::Complaint(complaint) => Err(target.failure(kind(&complaint), &complaint)),
        }
    }

    fn within<'a, T>(
        &'a self,
        call: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Failure>>
    where
        T: Send + 'a,
    {
        self.wire.within(PROVIDER, self.wire.limits().total, call.boxed()).boxed()
    }
}

impl TextEngine for Replicate {
    fn provider(&self) -> Provider {
        PROVIDER
    }

    fn footage(&self) -> Option<&dyn FootageEngine> {
        Some(self)
    }

    fn write<'a>(&'a self, _: &'a TextRequest, _: OnText<'a>) -> BoxFuture<'a, Result<TextReply, Failure>> {
        let message = format!("The provider {PROVIDER} films here and does not write. Name another one.");
        std::future::ready(Err(Failure::new(PROVIDER, Kind::Rejected, message))).boxed()
    }

    /// Whether the model is there, which costs nothing.
    fn probe<'a>(&'a self, model: &'a str, timeout: Duration) -> BoxFuture<'a, Result<Probed, Failure>> {
        let total = self.wire.total(Some(timeout));
        self.wire.within(PROVIDER, total, self.find_model(model).boxed()).boxed()
    }
}

impl FootageEngine for Replicate {
    fn submit<'a>(&'a self, request: &'a FootageRequest) -> BoxFuture<'a, Result<Ticket, Failure>> {
        self.within(self.order(request))
    }

    fn find<'a>(
        &'a self,
        request: &'a FootageRequest,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Option<Ticket>, Failure>> {
        self.within(self.look_for(request, since))
    }

    fn poll<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Filming, Failure>> {
        self.within(self.look(ticket))
    }

    fn download<'a>(&'a self, clip: &'a Clip) -> BoxFuture<'a, Result<Bytes, Failure>> {
        // It has limits of its own.
        self.fetch(clip).boxed()
    }

    fn cancel<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<(), Failure>> {
        let cancelled = async move {
            let target = self.predictions.below(ticket.as_str()).below("cancel");
            match self.wire.post(&target, &json!({}), self.wire.limits()).await? {
                Answer::Stream(_) => Ok(()),
                Answer::Complaint(complaint) => Err(target.failure(kind(&complaint), &complaint)),
            }
        };
        self.within(cancelled)
    }
}

/// What a complaint means.
fn kind(complaint: &Complaint) -> Kind {
    match complaint.status {
        401 | 403 => Kind::Authentication,
        402 => Kind::Quota,
        408 => Kind::Timeout,
        413 => Kind::ContextLength,
        429 => Kind::RateLimited,
        500.. => Kind::Unavailable,
        _ => Kind::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_its_owner_its_name_and_perhaps_its_version() {
        let model = |text| Model::parse(text).ok();
        let named = |owner, name, version| Some(Model { owner, name, version });
        assert_eq!(model("kwaivgi/kling-v2.1"), named("kwaivgi", "kling-v2.1", None));
        assert_eq!(model("a/b_c:9dcd6d78e7"), named("a", "b_c", Some("9dcd6d78e7")));
        for text in
            ["", "kling", "a/", "/b", "a/b/c", "a/..", "../b", "a/b:", "a/b:c:d", "a/b?c", "a b/c", "a/%2e"]
        {
            assert_eq!(model(text), None, "{text}");
        }
    }

    #[test]
    fn a_complaint_is_about_the_field_that_it_names() {
        let complaint = |status, detail: &str| {
            Complaint::read(
                status,
                &json!({ "title": "Input validation failed", "detail": detail, "status": status }),
            )
        };
        let enumerated = "- input.aspect_ratio: aspect_ratio must be one of the following: \"9:16\"\n";
        assert!(is_about(&complaint(422, enumerated), "aspect_ratio"));
        assert!(!is_about(&complaint(400, enumerated), "aspect_ratio"));
        assert!(!is_about(&complaint(422, "- input.image_size: too large\n"), "image"));
        assert!(is_about(&complaint(422, "- input: Additional property seed is not allowed\n"), "seed"));
    }

    #[test]
    fn how_far_it_is_stands_in_the_last_bar_of_the_log() {
        let logs =
            "seed 7\n  0%|          | 0/50 [00:00<?, ?it/s]\r 36%|███▌      | 18/50 [00:09<00:16]\nsaving";
        assert_eq!(progress(logs), Some(0.36));
        for logs in ["", "100% done", "x%|", "250%|██"] {
            assert_eq!(progress(logs), None, "{logs}");
        }
    }

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let sensitive =
            "The input or output was flagged as sensitive. Please try again with different inputs. (E005)";
        assert_eq!((kind_of_end(sensitive), code(sensitive)), (Kind::Refused, Some("E005")));
        let interrupted = "Prediction interrupted; please retry (code: PA)";
        assert_eq!((kind_of_end(interrupted), code(interrupted)), (Kind::Unavailable, None));
        assert_eq!(kind_of_end("CUDA out of memory"), Kind::Rejected);
        assert_eq!((code("Error E12345"), code("(E1001)")), (None, Some("E1001")));
    }
}
