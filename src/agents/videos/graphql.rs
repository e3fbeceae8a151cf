//! Videos, as the schema shows them.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::builtin;
use super::{Input, Videos};
use crate::access::Action;
use crate::agents::channel::Channel;
use crate::agents::graphql::{AgentOutput, EngineInput, Given, agent_output, order};
use crate::agents::posts::graphql::ChannelValidity;
use crate::agents::visuals::graphql::Typeface;
use crate::assets::graphql::{Asset, part};
use crate::error::Result;
use crate::graphql::context::{Requires, input_id};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::id::{AssetId, PeriodId, VisualPostId};
use crate::jobs::AgentKind;
use crate::jobs::graphql::Job;
use crate::projects::graphql::Project;
use crate::retrieval::Language;

agent_output! {
    /// A film of pictures and texts, with its captions: H.264 in MP4, rendered in process, with the sound of a voice-over
    /// and of music (AAC-LC, stereo); without any, its sound track is silence.
    Video(Videos) {
        /// How it moves.
        async fn kind(&self) -> VideoKind {
            self.content.kind.into()
        }

        /// The film. It is the video's own, as its other files are: it goes when the video is deleted.
        async fn video(&self, ctx: &Context<'_>) -> async_graphql::Result<Asset> {
            Ok(part(ctx, self.output.organization, self.content.video).await?)
        }

        /// A frame of it, as a JPEG.
        async fn poster(&self, ctx: &Context<'_>) -> async_graphql::Result<Asset> {
            Ok(part(ctx, self.output.organization, self.content.poster).await?)
        }

        /// The captions as a `SubRip` file; null when it has no texts.
        async fn captions_srt(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
            let Some(id) = self.content.srt else { return Ok(None) };
            Ok(Some(part(ctx, self.output.organization, id).await?))
        }

        /// The captions as a `WebVTT` file; null when it has no texts.
        async fn captions_vtt(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
            let Some(id) = self.content.vtt else { return Ok(None) };
            Ok(Some(part(ctx, self.output.organization, id).await?))
        }

        /// The scenes with their times.
        async fn scenes(&self) -> Vec<VideoScene> {
            self.content.scenes.iter().map(VideoScene::from).collect()
        }

        /// Its length in seconds.
        async fn duration_seconds(&self) -> f64 {
            self.content.seconds
        }

        /// Whether there is a voice-over or music in it.
        async fn has_sound(&self) -> bool {
            self.content.has_sound
        }

        /// The least contrast of drawn texts with what is behind them, 1 to 21, as WCAG 2.2 measures it; null without any.
        async fn caption_contrast(&self) -> Option<f64> {
            self.content.contrast.map(|contrast| (f64::from(contrast) * 100.0).round() / 100.0)
        }

        /// Whether the channels take it.
        async fn validity(&self) -> Vec<ChannelValidity> {
            Channel::ALL.iter().map(|channel| ChannelValidity::new(*channel, self.content.problems(*channel))).collect()
        }

        /// What whoever asked should know, as sentences: texts that pass faster than they are read, characters that no font has,
        /// pictures that were enlarged.
        async fn notes(&self) -> Vec<String> {
            self.content.notes.iter().map(ToString::to_string).collect()
        }
    }
}

/// A scene's text and times.
#[derive(SimpleObject)]
pub struct VideoScene {
    /// What it says; null when it is silent.
    text: Option<String>,
    /// From when, in seconds.
    start_seconds: f64,
    /// Until when.
    end_seconds: f64,
}

impl From<&builtin::VideoScene> for VideoScene {
    fn from(scene: &builtin::VideoScene) -> Self {
        Self { text: scene.text.clone(), start_seconds: scene.start_seconds, end_seconds: scene.end_seconds }
    }
}

/// How videos move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(remote = "builtin::VideoKind")]
pub enum VideoKind {
    /// Still pictures that fade into each other.
    Slideshow,
    /// A slow zoom with a pan; every other scene moves back.
    KenBurns,
    /// Still pictures that push, wipe and slide; two scenes or more.
    Transition,
    /// From the whole picture to 1.5 times.
    ZoomIn,
    /// From 1.5 times to the whole picture.
    ZoomOut,
    /// The picture as a card before a soft copy of itself, both moving at their own speed.
    Parallax,
}

/// The sizes of videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(remote = "builtin::VideoSize")]
pub enum VideoSize {
    /// 1080×1920, a reel or story.
    Reel,
    /// 720×1280: the same shape in half the time.
    ReelSmall,
    /// 1080×1350.
    Post,
    /// 1080×1080.
    Square,
}

/// What a video is made from.
#[derive(InputObject, Serialize)]
struct VideoGenerateInput {
    /// In which project.
    project_id: ID,
    /// Only the built-in engine makes films.
    engine: Option<EngineInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s, which is too short for most films; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// How it moves.
    #[graphql(default_with = "VideoKind::Slideshow")]
    kind: VideoKind,
    /// The pictures, one a scene, at most 20; scenes without one get a generated background.
    asset_ids: Option<Vec<ID>>,
    /// The texts, one a scene, at most 20 of 400 characters.
    scenes: Option<Vec<String>>,
    /// A visual post whose slides are the scenes, instead of pictures and texts.
    visual_post_id: Option<ID>,
    /// How long it lasts, 3 to 60.
    #[graphql(default = 15)]
    duration_seconds: i32,
    /// Whether the texts are drawn into the film; the caption files have them in any case.
    #[graphql(default = true)]
    captions: bool,
    /// A spoken recording, as an asset of the kind `AUDIO`: it is heard from the beginning, at its own loudness, and is never
    /// cut. One that is longer than the film is refused.
    voice_over_asset_id: Option<ID>,
    /// Music, as an asset of the kind `AUDIO`: it begins again when it is shorter than the film, is turned down under the
    /// voice-over, and fades out at the end.
    music_asset_id: Option<ID>,
    /// The size.
    #[graphql(default_with = "VideoSize::Reel")]
    size: VideoSize,
    /// The typeface of the texts.
    #[graphql(default_with = "Typeface::Sans")]
    typeface: Typeface,
    /// The period whose colour it has; the brand's when absent.
    period_id: Option<ID>,
    /// The language of the texts: it decides on the reading time.
    #[graphql(default_with = "Language::German")]
    language: Language,
}

impl VideoGenerateInput {
    fn asked(&self) -> Result<Input> {
        let recording =
            |field, id: &Option<ID>| id.as_ref().map(|id| input_id::<AssetId>(field, id)).transpose();
        let assets = self.asset_ids.iter().flatten().map(|id| input_id::<AssetId>("assetIds", id));
        Input {
            kind: self.kind.into(),
            assets: assets.collect::<Result<_>>()?,
            scenes: self.scenes.clone().unwrap_or_default(),
            visual: self
                .visual_post_id
                .as_ref()
                .map(|id| input_id::<VisualPostId>("visualPostId", id))
                .transpose()?,
            // What is no number of seconds is none of the range either.
            seconds: u32::try_from(self.duration_seconds).unwrap_or(0),
            captions: self.captions,
            voice_over: recording("voiceOverAssetId", &self.voice_over_asset_id)?,
            music: recording("musicAssetId", &self.music_asset_id)?,
            size: self.size.into(),
            typeface: self.typeface.into(),
            period: self.period_id.as_ref().map(|id| input_id::<PeriodId>("periodId", id)).transpose()?,
            language: self.language,
        }
        .parse()
    }
}

/// What making a video is answered with.
#[derive(Default, SimpleObject)]
pub struct VideoGeneratePayload {
    /// The job that renders.
    job: Option<Job>,
    /// The video; null when it was not waited for or is not there yet: watch the job.
    video: Option<Video>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(VideoGeneratePayload);

/// Rendering.
#[derive(Default)]
pub struct VideoMutation;

#[Object]
impl VideoMutation {
    /// Makes a film of pictures and texts, or of a visual post's slides, with the sound of recordings. Requires: `AGENT_USE`, and `CONTENT_READ` for the
    /// result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job `NOT_FOUND`, `INSUFFICIENT_INPUT`, `INVALID`, `QUOTA_EXCEEDED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.project_id)")]
    async fn video_generate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is made from.")] input: VideoGenerateInput,
    ) -> async_graphql::Result<Option<VideoGeneratePayload>> {
        let outcome = async {
            let asked = input.asked()?;
            let pictures = asked.assets.iter().map(|id| ("assetIds", *id));
            let recordings = [("voiceOverAssetId", asked.voice_over), ("musicAssetId", asked.music)];
            let recordings = recordings.into_iter().filter_map(|(field, id)| Some((field, id?)));
            let assets: Vec<_> = pictures.chain(recordings).collect();
            let slides = asked.visual.map(|id| ("visualPostId", AgentKind::VisualPost, id.uuid()));
            let outputs: Vec<_> = slides.into_iter().collect();
            let given = Given {
                project: &input.project_id,
                period: asked.period,
                documents: None,
                assets: &assets,
                outputs: &outputs,
                engine: input.engine.as_ref(),
                seed: input.seed,
                wait: input.wait,
                key: input.idempotency_key.as_deref(),
            };
            let ordered = order::<Videos>(ctx, given, &input, asked).await?;
            Ok(VideoGeneratePayload {
                job: ordered.job,
                video: match ordered.output {
                    Some(AgentOutput::Video(video)) => Some(video),
                    _ => None,
                },
                project: ordered.project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
