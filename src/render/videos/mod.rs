//! The engine of the video agent: scenes become an MP4 with captions, rendered and encoded in process.
//!
//! [`generate`] renders one frame after the other, so that memory does not grow with the length except for the encoded
//! bytes: two backgrounds, one frame and the encoder's pictures are held at a time. A background may be a clip ([`Footage`]),
//! which another process decodes while the film goes on. The film is H.264 in MP4 with its
//! index first, as Instagram takes it, and plays at a pace that people can read (see [`timing`]). What is heard is mixed and
//! encoded before the first frame.

mod camera;
pub mod captions;
mod encode;
mod footage;
mod kinetic;
mod mix;
mod mp4;
mod recording;
mod stage;
#[cfg(test)]
mod tests;
pub mod timing;

use std::fmt;
use std::ops::{ControlFlow, RangeInclusive};

use serde::{Deserialize, Serialize};

use crate::visuals::{BrandKit, PeriodMark, Picture, SceneError, encode as still};
pub use captions::Cue;
pub use footage::{Footage, FootageError, Projector, Projectors, read_clip};
pub use recording::{Recording, RecordingError};

use crate::Language;

/// What a video is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoSpec {
    /// How it moves.
    pub kind: VideoKind,
    /// What it shows, 1 to [`SCENES`].
    pub scenes: Vec<SceneSpec>,
    /// Its size.
    pub size: VideoSize,
    /// Frames a second: some of [`FRAMES_PER_SECOND`].
    pub fps: u32,
    /// Its length, [`SHORTEST`] to [`LONGEST`] seconds; none: as long as reading takes.
    pub duration_seconds: Option<f64>,
    /// Whether texts are drawn into the film.
    pub captions: bool,
    /// How drawn texts come.
    pub caption_style: CaptionStyle,
    /// The language of the texts: it decides on the reading time.
    pub language: Language,
    /// Colours and typeface of the brand.
    pub brand: BrandKit,
    /// The period; its colour goes before the brand's.
    pub period: Option<PeriodMark>,
    /// Which way a parallax moves.
    pub direction: Direction,
    /// Whether a film without sound has a silent sound track, which some players ask for.
    pub silent_track: bool,
    /// Decides where generated shapes are and which way the camera goes.
    pub seed: u64,
}

impl Default for VideoSpec {
    fn default() -> Self {
        Self {
            kind: VideoKind::default(),
            scenes: Vec::new(),
            size: VideoSize::default(),
            fps: 30,
            duration_seconds: None,
            captions: true,
            caption_style: CaptionStyle::default(),
            language: Language::German,
            brand: BrandKit::default(),
            period: None,
            direction: Direction::default(),
            silent_track: true,
            seed: 0,
        }
    }
}

/// Scenes at the most.
pub const SCENES: usize = 20;
/// Characters of a scene's text at the most.
pub const SCENE_TEXT: usize = 400;
/// How many frames a second a film may have: what Instagram takes of reels (Meta's documentation).
pub const FRAMES_PER_SECOND: RangeInclusive<u32> = 24..=60;
/// Seconds at the least: Instagram refuses shorter reels.
pub const SHORTEST: f64 = 3.0;
/// Seconds at the most.
pub const LONGEST: f64 = 60.0;

/// One scene.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SceneSpec {
    /// What it says, at most [`SCENE_TEXT`] characters.
    pub text: Option<String>,
    /// Which of the given pictures it shows; none: a generated background.
    pub picture: Option<usize>,
    /// Which of the given clips it shows, instead of a picture.
    pub clip: Option<usize>,
    /// Whether the picture is a slide that has the text already: it is not drawn again, shown whole and hardly zoomed.
    pub text_in_picture: bool,
}

impl SceneSpec {
    /// Whether what it shows has the text already.
    fn has_text(&self) -> bool {
        self.text_in_picture && self.picture.is_some() && self.clip.is_none()
    }

    /// Whether there is something else to see than a generated background.
    fn has_picture(&self) -> bool {
        self.picture.is_some() || self.clip.is_some()
    }
}

/// How a video moves. The camera goes over clips as over pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VideoKind {
    /// Still pictures that fade into each other.
    #[default]
    Slideshow,
    /// A slow zoom to 1.2 times with a pan; every other scene moves back.
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

/// The sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VideoSize {
    /// 1080×1920, a reel or story.
    #[default]
    Reel,
    /// 720×1280: the same shape in half the time.
    ReelSmall,
    /// 1080×1350.
    Post,
    /// 1080×1080.
    Square,
    /// 180×320, which tests draw and decode quickly.
    #[cfg(test)]
    Tiny,
}

impl VideoSize {
    /// Width and height in pixels.
    pub fn pixels(self) -> (u32, u32) {
        match self {
            Self::Reel => (1080, 1920),
            Self::ReelSmall => (720, 1280),
            Self::Post => (1080, 1350),
            Self::Square => (1080, 1080),
            #[cfg(test)]
            Self::Tiny => (180, 320),
        }
    }
}

/// A direction on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// To the left.
    Left,
    /// To the right.
    #[default]
    Right,
    /// Upwards.
    Up,
    /// Downwards.
    Down,
}

/// How the texts of a film come onto the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CaptionStyle {
    /// Word by word, each rising into its place, under a short bar.
    #[default]
    Words,
    /// A line at a time and all of it at once: calmer, and easier to read for many.
    Lines,
}

/// What is heard in a video; nothing by itself.
#[derive(Debug, Default)]
pub struct Sound {
    /// Speaks from the beginning, at its own loudness. It is not longer than the film.
    pub voice_over: Option<Recording>,
    /// Speaks the scenes' texts, a recording for each, instead of a voice-over; a scene lasts until its own has been heard.
    pub narration: Vec<Option<Recording>>,
    /// Goes on for as long as the film: it begins again when it is shorter, makes way for the voice, and fades out.
    pub music: Option<Recording>,
}

impl Sound {
    /// How long each scene is spoken, in seconds; what is longer than any film has no end.
    fn spoken(&self) -> Vec<Option<f64>> {
        let seconds = |spoken: &Recording| spoken.seconds().unwrap_or(f64::INFINITY);
        self.narration.iter().map(|spoken| spoken.as_ref().map(seconds)).collect()
    }
}

/// A finished video.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// The film: MP4 with its index (`moov`) before its data, H.264, 4:2:0, BT.709.
    pub mp4: Vec<u8>,
    /// A frame of the first scene with its text, as a baseline JPEG.
    pub poster: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// How many frames.
    pub frames: u32,
    /// Its length in seconds.
    pub duration_seconds: f64,
    /// The scenes with their times.
    pub scenes: Vec<VideoScene>,
    /// The captions with their times.
    pub cues: Vec<Cue>,
    /// The captions as a `SubRip` file.
    pub srt: String,
    /// The captions as a `WebVTT` file.
    pub vtt: String,
    /// The least contrast of drawn captions with the frames behind them, sampled three times a scene, and all through a clip; none
    /// without any.
    pub caption_contrast: Option<f32>,
    /// What the caller should know.
    pub notes: Vec<VideoNote>,
}

/// A scene's times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoScene {
    /// What it says.
    pub text: Option<String>,
    /// From when, in seconds.
    pub start_seconds: f64,
    /// Until when.
    pub end_seconds: f64,
}

/// What the caller should know about a finished video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum VideoNote {
    /// The wanted length is shorter than reading takes.
    FastToRead {
        /// Seconds that reading takes.
        comfortable_seconds: f64,
    },
    /// No embedded font has these characters: they are not drawn.
    CharactersLeftOut {
        /// Each once, at most 20.
        characters: Vec<String>,
    },
    /// A picture has fewer pixels than the film and looks soft.
    PictureEnlarged {
        /// Which scene, from 0.
        scene: usize,
    },
    /// A clip has fewer pixels than the film where it is shown and looks soft.
    ClipEnlarged {
        /// Which scene, from 0.
        scene: usize,
    },
    /// A clip is shorter than its scene and begins again.
    ClipRepeated {
        /// Which scene, from 0.
        scene: usize,
        /// How long the clip is, in seconds.
        clip_seconds: f64,
    },
    /// The provider did not speak the texts; nobody does.
    NotSpoken,
    /// The provider did not film the footage; there is none.
    NotFilmed,
}

impl fmt::Display for VideoNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FastToRead { comfortable_seconds } => {
                let seconds = comfortable_seconds.ceil();
                write!(f, "The texts pass faster than they are read. {seconds} seconds would be comfortable.")
            }
            Self::CharactersLeftOut { characters } => {
                write!(f, "No font here has these characters, which are left out: {}", characters.join(" "))
            }
            Self::PictureEnlarged { scene } => {
                write!(f, "The picture of scene {} has fewer pixels than the film and looks soft.", scene + 1)
            }
            Self::ClipEnlarged { scene } => {
                write!(f, "The clip of scene {} has fewer pixels than the film and looks soft.", scene + 1)
            }
            Self::ClipRepeated { scene, clip_seconds } => {
                let scene = scene + 1;
                write!(
                    f,
                    "The clip of scene {scene} lasts {clip_seconds:.1} seconds, less than the scene, and begins again."
                )
            }
            Self::NotSpoken => f.write_str("The provider did not speak the texts: the film has no voice."),
            Self::NotFilmed => f.write_str("The provider filmed nothing: the film has no footage."),
        }
    }
}

/// Why no video is made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VideoError {
    /// There is not enough to show: `INSUFFICIENT_INPUT`.
    #[error("{field}: {reason}")]
    InsufficientInput {
        /// Which input.
        field: &'static str,
        /// What is missing and what to do.
        reason: String,
    },
    /// An input is out of range.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which input.
        field: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The progress callback said stop.
    #[error("the video was cancelled")]
    Cancelled,
    /// A background cannot be drawn.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// The poster cannot be written.
    #[error(transparent)]
    Poster(#[from] still::EncodeError),
    /// The encoder or the muxer failed.
    #[error("the film cannot be written: {0}")]
    Encoder(String),
}

/// How far a video is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Frames that are done.
    pub done: u32,
    /// Frames in all.
    pub frames: u32,
}

/// Makes a video. After every frame `progress` is told; when it breaks, the work ends with [`VideoError::Cancelled`].
///
/// The same input gives the same bytes on the same platform.
pub fn generate(
    spec: &VideoSpec,
    pictures: &[Picture],
    clips: &[Footage],
    sound: &Sound,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Video, VideoError> {
    let plan = timing::plan(spec, &sound.spoken())?;
    check_given(spec, pictures, clips)?;
    let (width, height) = spec.size.pixels();
    let sound = heard(spec, sound, &plan)?;
    let mut stage = stage::Stage::new(spec, pictures, clips, &plan);
    let mut film = encode::Film::new(width, height, spec.fps, sound)?;
    let mut poster = Vec::new();
    for frame in 0..plan.frames {
        let pixels = stage.frame(frame)?;
        if frame == plan.poster() {
            poster.extend_from_slice(pixels);
        }
        film.push(pixels, plan.begins_at(frame))?;
        if progress(Progress { done: frame + 1, frames: plan.frames }).is_break() {
            return Err(VideoError::Cancelled);
        }
    }
    let mp4 = film.finish()?;
    let poster = Picture::new(width, height, poster)
        .ok_or_else(|| VideoError::Encoder("the poster is empty".to_owned()))?;
    let mut notes = plan.notes.clone();
    notes.extend(stage.notes());
    Ok(Video {
        mp4,
        poster: still::jpeg(&poster, still::JPEG_BYTES)?,
        width,
        height,
        fps: spec.fps,
        frames: plan.frames,
        duration_seconds: plan.seconds(plan.frames),
        scenes: plan.scenes(),
        srt: captions::srt(&plan.cues),
        vtt: captions::vtt(&plan.cues, spec.language),
        cues: plan.cues.clone(),
        caption_contrast: stage.caption_contrast(),
        notes,
    })
}

/// The film's sound, mixed and encoded. A voice is never cut: one that is longer than the film is refused.
fn heard(spec: &VideoSpec, sound: &Sound, plan: &timing::Plan) -> Result<encode::Sound, VideoError> {
    let Sound { voice_over, narration, music } = sound;
    let is_narrated = narration.iter().any(Option::is_some);
    if voice_over.is_none() && music.is_none() && !is_narrated {
        return Ok(if spec.silent_track { encode::Sound::Silence } else { encode::Sound::None });
    }
    let film = plan.seconds(plan.frames);
    if let Some(voice) = voice_over {
        // A few samples more are of the conversion of rates, and nobody's voice.
        let seconds = voice.seconds().map(|seconds| (seconds * 100.0).round() / 100.0);
        let reason = match seconds {
            None => Some(format!(
                "the recording is longer than the longest film, which has {LONGEST} seconds, and this one has {film}: give a shorter one"
            )),
            Some(seconds) if seconds > film => Some(format!(
                "the recording lasts {seconds:.2} seconds and the film {film}: set `durationSeconds` to {} or more, or give a shorter recording",
                seconds.ceil()
            )),
            Some(_) => None,
        };
        if let Some(reason) = reason {
            return Err(VideoError::Invalid { field: "voiceOverAssetId", reason });
        }
    }
    let samples = u64::from(plan.frames) * u64::from(recording::RATE) / u64::from(plan.fps);
    let samples = usize::try_from(samples).unwrap_or(usize::MAX);
    let narrated = if is_narrated { mix::lay(&plan.voices(narration), samples) } else { Vec::new() };
    let voice = if is_narrated { Some(&narrated[..]) } else { voice_over.as_ref().map(Recording::frames) };
    encode::sound(&mix::mix(voice, music.as_ref(), samples))
}

/// Whether all that scenes show was given.
fn check_given(spec: &VideoSpec, pictures: &[Picture], clips: &[Footage]) -> Result<(), VideoError> {
    let missing = |shown: fn(&SceneSpec) -> Option<usize>, given: usize| {
        spec.scenes.iter().filter_map(shown).find(|index| *index >= given)
    };
    let reason = if let Some(index) = missing(|scene| scene.picture, pictures.len()) {
        format!("picture {index} was not given: there are {}", pictures.len())
    } else if let Some(index) = missing(|scene| scene.clip, clips.len()) {
        format!("clip {index} was not given: there are {}", clips.len())
    } else {
        return Ok(());
    };
    Err(VideoError::Invalid { field: "scenes", reason })
}
