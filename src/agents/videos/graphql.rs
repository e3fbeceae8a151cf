//! Videos, as the schema shows them.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::builtin;
use super::{Input, Narration, Shot, Videos};
use crate::access::Action;
use crate::accounts::channel::Channel;
use crate::agents::graphql::{AgentOutput, EngineInput, Given, agent_output, order};
use crate::agents::posts::graphql::ChannelValidity;
use crate::agents::visuals::graphql::Typeface;
use crate::assets::graphql::{Asset, part};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::context::{Requires, input_id};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::id::{AssetId, OrganizationId, PeriodId, PostId, VisualPostId};
use crate::jobs::AgentKind;
use crate::jobs::graphql::Job;
use crate::projects::graphql::Project;
use crate::providers::Wanted;
use crate::retrieval::Language;

agent_output! {
    /// A film of pictures, clips and texts, with its captions: H.264 in MP4, rendered in process, with the sound of a voice
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
            let recordings = self.content.narrator.iter().flat_map(|narrator| &narrator.recordings);
            let recordings = recordings.copied().chain(std::iter::repeat(None));
            let scene = |(scene, recording): (&builtin::VideoScene, _)| VideoScene {
                organization: self.output.organization,
                scene: scene.clone(),
                recording,
            };
            self.content.scenes.iter().zip(recordings).map(scene).collect()
        }

        /// Its length in seconds.
        async fn duration_seconds(&self) -> f64 {
            self.content.seconds
        }

        /// Whether there is a voice or music in it.
        async fn has_sound(&self) -> bool {
            self.content.has_sound
        }

        /// The voice of a machine that speaks the texts, which those who hear it should be told; null when there is none.
        async fn narrator(&self) -> Option<VideoNarrator> {
            self.content.narrator.as_ref().map(VideoNarrator::from)
        }

        /// The clip behind the texts that a provider's model has filmed; null when there is none.
        async fn footage(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<VideoFootage>> {
            let Some(filmed) = &self.content.footage else { return Ok(None) };
            Ok(Some(VideoFootage {
                asset: part(ctx, self.output.organization, filmed.asset).await?,
                provider: filmed.provider.clone(),
                model: filmed.model.clone(),
                prompt: filmed.prompt.clone(),
            }))
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
        /// pictures and clips that were enlarged, clips that begin again.
        async fn notes(&self) -> Vec<String> {
            self.content.notes.iter().map(ToString::to_string).collect()
        }
    }
}

/// A scene of a film, and what it says.
pub struct VideoScene {
    organization: OrganizationId,
    scene: builtin::VideoScene,
    recording: Option<AssetId>,
}

/// A scene's text and times.
#[Object]
impl VideoScene {
    /// What it says; null when it is silent.
    async fn text(&self) -> Option<&str> {
        self.scene.text.as_deref()
    }

    /// From when, in seconds.
    async fn start_seconds(&self) -> f64 {
        self.scene.start_seconds
    }

    /// Until when.
    async fn end_seconds(&self) -> f64 {
        self.scene.end_seconds
    }

    /// Its text, spoken by the film's narrator; null without one. It is the video's own, as the film is.
    async fn recording(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
        let Some(id) = self.recording else { return Ok(None) };
        Ok(Some(part(ctx, self.organization, id).await?))
    }
}

/// A machine that speaks.
#[derive(SimpleObject)]
pub struct VideoNarrator {
    /// Whose model it is: the provider's name.
    provider: String,
    /// The model.
    model: Option<String>,
    /// The voice.
    voice: String,
}

impl From<&super::Narrator> for VideoNarrator {
    fn from(narrator: &super::Narrator) -> Self {
        let super::Narrator { provider, model, voice, .. } = narrator.clone();
        Self { provider, model, voice }
    }
}

/// What a machine has filmed, which those who see it should be told.
#[derive(SimpleObject)]
pub struct VideoFootage {
    /// The clip. It is the video's own, as the film is.
    asset: Asset,
    /// Whose model has filmed it: the provider's name.
    provider: String,
    /// The model.
    model: Option<String>,
    /// What it was to show.
    prompt: String,
}

/// How videos move. The camera goes over clips as over pictures.
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
    /// The picture as a card before a soft copy of itself, both moving at their own speed; a clip fills the frame and drifts.
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

/// How the texts of a film come onto the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(remote = "builtin::CaptionStyle")]
pub enum VideoCaptionStyle {
    /// Word by word, each rising into its place, under a short bar.
    Words,
    /// A line at a time and all of it at once: calmer, and easier to read for many.
    Lines,
}

/// A direction on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(remote = "builtin::Direction")]
pub enum VideoDirection {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Upwards.
    Up,
    /// Downwards.
    Down,
}

/// How the texts of a film are spoken.
#[derive(InputObject, Serialize)]
struct NarrationInput {
    /// One of the provider's voices, for example `marin` at OpenAI; at ElevenLabs its id.
    voice: String,
    /// How it speaks, in your words: calm, slowly, as to a friend. Models that do not take it, such as `tts-1`, speak as they
    /// usually do.
    instructions: Option<String>,
}

/// What a model films.
#[derive(InputObject, Serialize)]
struct FootageInput {
    /// What it shows, at most 1,000 characters.
    prompt: String,
    /// How many seconds it lasts, 3 to 10, as far as the model lets one choose.
    #[graphql(default = 5)]
    seconds: i32,
    /// Whose model films: `engine` when absent. One provider may so film what another one speaks.
    engine: Option<EngineInput>,
}

/// What a video is made from.
#[derive(InputObject, Serialize)]
struct VideoGenerateInput {
    /// In which project.
    project_id: ID,
    /// Whose model speaks, with `narration`, or films, with `footage`; the film itself is always made by the built-in engine.
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
    /// The pictures, one a scene, at most 20; scenes without one get a generated background. With `clipAssetIds` they are shown in
    /// the scenes after the clips.
    asset_ids: Option<Vec<ID>>,
    /// Moving footage behind the texts, one clip a scene from the first on, as assets of the kind `VIDEO`: H.264 in MP4 or
    /// `QuickTime`, up to 3840×2160 pixels and 60 frames a second, of which the first minute is used. A clip fills the frame from its
    /// middle, without its own sound, and begins again when it is shorter than its scene. Together they have at most 400 MiB, and
    /// with the pictures there are at most 20.
    clip_asset_ids: Option<Vec<ID>>,
    /// The texts, one a scene, at most 20 of 400 characters.
    scenes: Option<Vec<String>>,
    /// The texts as a whole, instead of `scenes`, at most 8,000 characters: it is cut at its sentences, of which short ones share a
    /// scene.
    script: Option<String>,
    /// A visual post whose slides are the scenes, instead of pictures, clips and texts.
    visual_post_id: Option<ID>,
    /// A post whose pictures and words are the scenes, instead of pictures, clips and texts. Slides of visual posts show what they
    /// say; its other pictures are behind the words of the chosen variant, the first one's when none is chosen, without its
    /// hashtags. Without pictures the words stand alone; files of other kinds are left out.
    post_id: Option<ID>,
    /// How long it lasts, 3 to 60.
    #[graphql(default = 15)]
    duration_seconds: i32,
    /// Frames a second, 24 to 60. Twice as many take twice as long to render.
    #[graphql(default = 30)]
    frames_per_second: i32,
    /// Which way a `PARALLAX` moves; other kinds have ways of their own.
    #[graphql(default_with = "VideoDirection::Right")]
    parallax_towards: VideoDirection,
    /// Whether the texts are drawn into the film; the caption files have them in any case.
    #[graphql(default = true)]
    captions: bool,
    /// How drawn texts come.
    #[graphql(default_with = "VideoCaptionStyle::Words")]
    caption_style: VideoCaptionStyle,
    /// A spoken recording, as an asset of the kind `AUDIO`: it is heard from the beginning, at its own loudness, and is never
    /// cut. One that is longer than the film is refused.
    voice_over_asset_id: Option<ID>,
    /// Has a provider's model speak the texts: a scene lasts until its own has been said, and the film as long as all of them
    /// take, if that is longer than `durationSeconds`. Needs `engine` or a route, and is given instead of a voice-over.
    narration: Option<NarrationInput>,
    /// Has a provider's model film what is behind the texts: one clip, of the film's shape as far as the model has it, for the
    /// scenes that have neither a picture nor a clip. It takes minutes, and is kept as `footage`. Needs an engine or a route whose
    /// provider films.
    footage: Option<FootageInput>,
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
        let clips = self.clip_asset_ids.iter().flatten().map(|id| input_id::<AssetId>("clipAssetIds", id));
        let scenes = match (&self.scenes, &self.script) {
            (Some(_), Some(_)) => {
                let message = "Give the texts as `scenes` or as one `script`, and not as both.";
                return Err(Error::fault(Fault::at(FaultCode::Invalid, "script", message)));
            }
            (_, Some(script)) => super::cut(script)?,
            (scenes, None) => scenes.clone().unwrap_or_default(),
        };
        Input {
            kind: self.kind.into(),
            assets: assets.collect::<Result<_>>()?,
            clips: clips.collect::<Result<_>>()?,
            scenes,
            texts_in_assets: false,
            visual: self
                .visual_post_id
                .as_ref()
                .map(|id| input_id::<VisualPostId>("visualPostId", id))
                .transpose()?,
            post: self.post_id.as_ref().map(|id| input_id::<PostId>("postId", id)).transpose()?,
            // What is no number of seconds is none of the range either.
            seconds: u32::try_from(self.duration_seconds).unwrap_or(0),
            frames_per_second: u32::try_from(self.frames_per_second).unwrap_or(0),
            direction: self.parallax_towards.into(),
            captions: self.captions,
            caption_style: self.caption_style.into(),
            voice_over: recording("voiceOverAssetId", &self.voice_over_asset_id)?,
            narration: self.narration.as_ref().map(|narration| Narration {
                voice: narration.voice.clone(),
                manner: narration.instructions.clone(),
            }),
            footage: self.footage.as_ref().map(|footage| Shot {
                prompt: footage.prompt.clone(),
                seconds: u32::try_from(footage.seconds).unwrap_or(0),
                engine: footage.engine.as_ref().map(Wanted::from),
            }),
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
    /// Makes a film of pictures, clips and texts, of a visual post's slides or of a post, with the sound of recordings or of a model that
    /// speaks, and behind its texts what a model films.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job `NOT_FOUND`, `INSUFFICIENT_INPUT`, `INVALID`,
    /// `QUOTA_EXCEEDED`, `PROVIDER_FAILED`.
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
            let clips = asked.clips.iter().map(|id| ("clipAssetIds", *id));
            let assets: Vec<_> = pictures.chain(clips).chain(recordings).collect();
            let visual = asked.visual.map(|id| ("visualPostId", AgentKind::VisualPost, id.uuid()));
            let post = asked.post.map(|id| ("postId", AgentKind::PostComposition, id.uuid()));
            let outputs: Vec<_> = visual.into_iter().chain(post).collect();
            let given = Given {
                project: &input.project_id,
                period: asked.period,
                account: None,
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
