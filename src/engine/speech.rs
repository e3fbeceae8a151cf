//! Speech that a model speaks: what is asked, what comes back, and OpenAI's format for it
//! (<https://developers.openai.com/api/reference/resources/audio/subresources/speech>): `POST {base}/v1/audio/speech`, which
//! many servers speak. The answer is the recording itself, without a count of tokens.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::openai::OpenAi;
use super::wire::Stream;
use super::{Failure, Kind, Provider};

/// Bytes of a recording at the most: ten minutes as MP3, a minute and a half as WAV.
pub const RECORDING_BYTES: usize = 16 << 20;
/// Characters that are spoken in one request at the most: OpenAI's own limit.
pub const SPOKEN: usize = 4_096;
/// Parameters that a request can do without.
const OPTIONAL: [&str; 2] = ["response_format", "instructions"];

/// What a model is asked to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechRequest {
    /// The model's name at the provider.
    pub model: String,
    /// One of the provider's voices.
    pub voice: String,
    /// How it speaks, in words, where the model takes that.
    pub instructions: Option<String>,
    /// The words.
    pub text: String,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechReply {
    /// The file: it begins like sound; whether it is, nobody has heard yet.
    pub bytes: Bytes,
    /// Characters that were spoken, which is what providers count.
    pub characters: u64,
}

/// A provider's speech models.
pub trait SpeechEngine: Send + Sync {
    /// Has a text spoken. Dropping the future closes the connection.
    ///
    /// # Errors
    /// A [`Failure`] of any kind.
    fn speak<'a>(&'a self, request: &'a SpeechRequest) -> BoxFuture<'a, Result<SpeechReply, Failure>>;
}

impl SpeechRequest {
    /// Refuses what every provider would refuse, without asking one.
    pub(super) fn check(&self, provider: Provider) -> Result<(), Failure> {
        super::check_model(provider, &self.model)?;
        let rejected = |message| Err(Failure::new(provider, Kind::Rejected, message));
        if self.voice.trim().is_empty() {
            return rejected("The voice has no name. Name one of the provider's voices.");
        }
        if self.text.trim().is_empty() || self.text.chars().count() > SPOKEN {
            return rejected("What is to be spoken is empty, or too long for any model. Give it less.");
        }
        Ok(())
    }

    /// Servers that do not know the format answer with their own, which is found out from the file.
    fn body(&self, unknown: &[&'static str]) -> Value {
        let mut body = json!({ "model": self.model, "voice": self.voice, "input": self.text });
        for (name, value) in
            [("response_format", Some("mp3")), ("instructions", self.instructions.as_deref())]
        {
            if let Some(value) = value.filter(|_| !unknown.contains(&name)) {
                body[name] = value.into();
            }
        }
        body
    }
}

impl SpeechReply {
    /// The body of an answer, which has to be the recording.
    pub(super) async fn read(
        provider: Provider,
        request: &SpeechRequest,
        stream: Box<Stream>,
    ) -> Result<Self, Failure> {
        let bytes = Bytes::from(stream.whole().await?);
        if !is_sound(&bytes) {
            return Err(Failure::broken(provider, "is no recording"));
        }
        let characters = u64::try_from(request.text.chars().count()).unwrap_or(u64::MAX);
        Ok(Self { bytes, characters })
    }
}

/// Whether a file begins like sound.
fn is_sound(bytes: &[u8]) -> bool {
    infer::get(bytes).is_some_and(|found| found.matcher_type() == infer::MatcherType::Audio)
}

impl OpenAi {
    async fn recording(&self, request: &SpeechRequest) -> Result<SpeechReply, Failure> {
        let provider = self.speech.provider;
        request.check(provider)?;
        let limits = self.wire.making(RECORDING_BYTES);
        let body = |unknown: &[_]| request.body(unknown);
        let (stream, _) = self.file(&self.speech, limits, &OPTIONAL, body).await?;
        SpeechReply::read(provider, request, stream).await
    }
}

impl SpeechEngine for OpenAi {
    fn speak<'a>(&'a self, request: &'a SpeechRequest) -> BoxFuture<'a, Result<SpeechReply, Failure>> {
        let total = self.wire.making(RECORDING_BYTES).total;
        self.wire.within(self.speech.provider, total, self.recording(request).boxed()).boxed()
    }
}
