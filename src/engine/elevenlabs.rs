//! ElevenLabs' format for speech (<https://elevenlabs.io/docs/api-reference/text-to-speech/convert>):
//! `POST {base}/v1/text-to-speech/{voice}`. The answer is the recording itself. It has no models that write.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::json;

use super::speech::{RECORDING_BYTES, SpeechEngine, SpeechReply, SpeechRequest};
use super::wire::{Answer, Complaint, Stream, Target, Wire};
use super::{Endpoint, Failure, Kind, OnText, Probed, Provider, TextEngine, TextReply, TextRequest};

const PROVIDER: Provider = Provider::ElevenLabs;
const KEY: HeaderName = HeaderName::from_static("xi-api-key");

/// A server's models of speech.
#[derive(Debug)]
pub struct ElevenLabs {
    wire: Arc<Wire>,
    speech: Target,
    models: Target,
}

impl ElevenLabs {
    /// The models at `endpoint`.
    pub fn new(wire: Arc<Wire>, endpoint: &Endpoint) -> anyhow::Result<Self> {
        let target = |path| Target::new(PROVIDER, endpoint, path, (KEY, ""));
        Ok(Self { wire, speech: target("text-to-speech")?, models: target("models")? })
    }

    async fn recording(&self, request: &SpeechRequest) -> Result<SpeechReply, Failure> {
        request.check(PROVIDER)?;
        // Voices have ids; a name is no part of an address.
        if !request.voice.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!(
                "`{}` is no voice of the provider {PROVIDER}. It knows them by ids of letters and digits, which its list of voices shows.",
                request.voice
            );
            return Err(Failure::new(PROVIDER, Kind::Rejected, message));
        }
        // Without `output_format` it is MP3 of 44.1 kHz and 128 kbit/s, which every account may have.
        let target = self.speech.below(&request.voice);
        let body = json!({ "text": request.text, "model_id": request.model });
        let limits = self.wire.making(RECORDING_BYTES);
        let stream = answered(&target, self.wire.post(&target, &body, limits).await?)?;
        SpeechReply::read(PROVIDER, request, stream).await
    }

    async fn find(&self, model: &str) -> Result<Probed, Failure> {
        super::check_model(PROVIDER, model)?;
        let answer = self.wire.get(&self.models, self.wire.limits()).await?;
        let body = answered(&self.models, answer)?.whole().await?;
        let models: Vec<Model> =
            serde_json::from_slice(&body).map_err(|_| Failure::broken(PROVIDER, "is no list of models"))?;
        if models.iter().any(|known| known.model_id == model && known.speaks) {
            return Ok(Probed { model: model.to_owned(), usage: None });
        }
        let known: Vec<&str> = models
            .iter()
            .filter(|known| known.speaks)
            .map(|known| known.model_id.as_str())
            .take(10)
            .collect();
        let message = format!(
            "The provider {PROVIDER} has no model of that name that speaks. It has these: {}.",
            known.join(", ")
        );
        Err(Failure::new(PROVIDER, Kind::Rejected, super::failure::clean_message(&message, None)))
    }
}

/// A model as the list has it.
#[derive(Deserialize)]
struct Model {
    model_id: String,
    #[serde(rename = "can_do_text_to_speech", default)]
    speaks: bool,
}

/// The body of a success.
fn answered(target: &Target, answer: Answer) -> Result<Box<Stream>, Failure> {
    match answer {
        Answer::Stream(stream) => Ok(stream),
        Answer::Complaint(complaint) => Err(target.failure(kind(&complaint), &complaint)),
    }
}

impl TextEngine for ElevenLabs {
    fn provider(&self) -> Provider {
        PROVIDER
    }

    fn speech(&self) -> Option<&dyn SpeechEngine> {
        Some(self)
    }

    fn write<'a>(&'a self, _: &'a TextRequest, _: OnText<'a>) -> BoxFuture<'a, Result<TextReply, Failure>> {
        let message = format!("The provider {PROVIDER} has no models that write. Name another one.");
        std::future::ready(Err(Failure::new(PROVIDER, Kind::Rejected, message))).boxed()
    }

    fn probe<'a>(&'a self, model: &'a str, timeout: Duration) -> BoxFuture<'a, Result<Probed, Failure>> {
        let total = self.wire.total(Some(timeout));
        self.wire.within(PROVIDER, total, self.find(model).boxed()).boxed()
    }
}

impl SpeechEngine for ElevenLabs {
    fn speak<'a>(&'a self, request: &'a SpeechRequest) -> BoxFuture<'a, Result<SpeechReply, Failure>> {
        let total = self.wire.making(RECORDING_BYTES).total;
        self.wire.within(PROVIDER, total, self.recording(request).boxed()).boxed()
    }
}

/// What a complaint means. Used up credit is told by 401 like a wrong key
/// (<https://help.elevenlabs.io/hc/en-us/articles/19572237925521>).
fn kind(complaint: &Complaint) -> Kind {
    match (complaint.code.as_deref().unwrap_or_default(), complaint.status) {
        ("quota_exceeded" | "insufficient_credits", _) | (_, 402) => Kind::Quota,
        ("max_character_limit_exceeded" | "text_too_long", _) | (_, 413) => Kind::ContextLength,
        (_, 401 | 403) => Kind::Authentication,
        (_, 408) => Kind::Timeout,
        (_, 429) => Kind::RateLimited,
        (_, 500..) => Kind::Unavailable,
        _ => Kind::Rejected,
    }
}
