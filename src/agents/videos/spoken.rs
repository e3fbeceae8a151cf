//! What a provider's model speaks in a film: the text of each scene, as a recording of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Input;
use super::builtin::{LONGEST, Recording, SceneSpec, VideoNote};
use crate::agents::agent::{self, Order, Tools};
use crate::agents::paid::{Asked, Paid, missing, unusable};
use crate::assets::{self, AssetKind, NewAsset};
use crate::engine::speech::{RECORDING_BYTES, SpeechEngine, SpeechRequest};
use crate::engine::{Provider, TextEngine};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::AssetId;
use crate::input;
use crate::jobs::{self, Engine, Failure, Run};
use crate::providers::{Wanted, calls};

/// Characters of a voice's name.
const VOICE: usize = 100;
/// Characters of what is said about how it is spoken.
const MANNER: usize = 500;
/// The kind of the event that says that a text has been spoken.
const EVENT: &str = "spoken";

/// How the texts are spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narration {
    /// One of the provider's voices.
    pub voice: String,
    /// How it speaks, in words; none: as it usually does.
    pub manner: Option<String>,
}

impl Narration {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(self) -> Result<Self> {
        Ok(Self {
            voice: input::line("narration.voice", &self.voice, VOICE)?,
            manner: input::paragraph("narration.instructions", self.manner.as_deref(), MANNER)?,
        })
    }
}

/// Refuses an engine that has no speech models; none: the built-in one.
pub(in crate::agents) fn suits(engine: Option<Provider>) -> Result<()> {
    let message = match engine {
        Some(provider) if provider.speaks() => return Ok(()),
        Some(_) => {
            "A provider of this kind has no speech models. Name one of the kind OPENAI or ELEVENLABS and a speech model of its own, or leave `narration` out."
        }
        None => {
            "The built-in engine does not speak. Name a provider of the kind OPENAI or ELEVENLABS and one of its speech models, or leave `narration` out."
        }
    };
    Err(Error::fault(Fault::at(FaultCode::ProviderNotConfigured, "engine.provider", message)))
}

/// The scenes' texts, spoken.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    /// By scene.
    pub recordings: Vec<Option<Recording>>,
    /// The same as files.
    pub files: Vec<Option<AssetId>>,
    /// Who has spoken, and what for.
    pub engine: Option<Engine>,
    /// What whoever asked should know.
    pub note: Option<VideoNote>,
}

/// Has the texts spoken. When the provider does not and the caller allows that, it is noted, and the film has no voice.
pub(super) async fn fetch(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    scenes: &[SceneSpec],
) -> Result<Spoken, Failure> {
    let Some(narration) = &order.input.narration else { return Ok(Spoken::default()) };
    if scenes.iter().all(|scene| scene.text.is_none()) {
        let message =
            "There is nothing to say: no scene has a text. Give `scenes`, or leave `narration` out.";
        return Err(Failure::fail(Fault::at(FaultCode::InsufficientInput, "narration", message)));
    }
    let speak = |wanted| speak(tools, run, order, wanted, narration, scenes);
    let spoken = agent::provided(run, order.engine.as_ref(), speak).await?;
    Ok(spoken.unwrap_or_else(|| Spoken { note: Some(VideoNote::NotSpoken), ..Spoken::default() }))
}

async fn speak(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    wanted: &Wanted,
    narration: &Narration,
    scenes: &[SceneSpec],
) -> Result<Spoken, Failure> {
    let engine = tools.engines.text(&wanted.provider).map_err(|error| missing(error.to_string()))?;
    suits(Some(engine.provider()))?;
    let speech =
        engine.speech().ok_or_else(|| missing(format!("{} has no speech models.", engine.name())))?;
    let booth = Booth { tools, run, order, wanted, speech, engine: &*engine };
    // What is said twice is spoken once.
    let mut said: BTreeMap<&str, (Recording, Paid)> = BTreeMap::new();
    let mut spoken = Spoken::default();
    let mut seconds = 0.0;
    for (place, scene) in scenes.iter().enumerate() {
        let Some(text) = scene.text.as_deref() else {
            spoken.recordings.push(None);
            spoken.files.push(None);
            continue;
        };
        if !said.contains_key(text) {
            let made = booth.one(narration, text, (place + 1, scenes.len())).await?;
            spoken.engine = Some(match spoken.engine.take() {
                Some(before) => before.and(&made.1.engine),
                None => made.1.engine.clone(),
            });
            said.insert(text, made);
        }
        let Some((recording, paid)) = said.get(text) else { continue };
        seconds += recording.seconds().unwrap_or(f64::INFINITY);
        spoken.recordings.push(Some(recording.clone()));
        spoken.files.push(Some(paid.asset));
        // The plan of the film refuses what takes longer than any film; nobody pays for the rest of it.
        if seconds > LONGEST {
            break;
        }
    }
    Ok(spoken)
}

/// Where texts are spoken.
struct Booth<'a> {
    tools: &'a Tools,
    run: &'a Run,
    order: &'a Order<Input>,
    wanted: &'a Wanted,
    speech: &'a dyn SpeechEngine,
    engine: &'a dyn TextEngine,
}

impl Booth<'_> {
    /// One text, which is that of a scene among so many.
    async fn one(
        &self,
        narration: &Narration,
        text: &str,
        (scene, scenes): (usize, usize),
    ) -> Result<(Recording, Paid), Failure> {
        let Self { tools, run, order, wanted, speech, engine } = *self;
        let request = SpeechRequest {
            model: wanted.model.clone().unwrap_or_default(),
            voice: narration.voice.clone(),
            instructions: narration.manner.clone(),
            text: text.to_owned(),
        };
        let manner = request.instructions.as_deref().unwrap_or_default();
        let words = [request.model.as_str(), &request.voice, manner, &request.text];
        let asked = Asked::new(EVENT, wanted, order.seed, &words);
        if let Some((bytes, paid)) = asked.earlier(tools, run, order.project, RECORDING_BYTES).await?
            // It could be heard before.
            && let Ok(recording) = jobs::compute(move || Recording::read(bytes)).await?
        {
            return Ok((recording, paid));
        }
        let (reply, used) = calls::speak(run, &tools.engines, (engine, speech), &request).await?;
        let heard = reply.bytes.clone();
        let recording = jobs::compute(move || Recording::read(heard)).await?;
        let recording = recording.map_err(|error| unusable(wanted, "recording", &error))?;
        let file = NewAsset {
            project: Some(order.project),
            kind: AssetKind::Audio,
            mime_type: assets::mime_type(AssetKind::Audio, &reply.bytes).map_err(Failure::from)?,
            bytes: reply.bytes,
            width: None,
            height: None,
            duration_seconds: recording.seconds(),
            alt_text: Some(text.to_owned()),
        };
        let message = format!("{} has spoken scene {scene} of {scenes}.", engine.name());
        #[expect(clippy::cast_precision_loss, reason = "there are at most twenty scenes")]
        let share = 0.1 * scene as f32 / scenes as f32;
        let paid = asked.keep(tools, run, file, used, (share, &message)).await?;
        Ok((recording, paid))
    }
}
