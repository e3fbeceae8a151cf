//! The agent that makes videos: pictures, clips and texts become a film with captions, rendered and encoded in process.
//!
//! Only the built-in engine ([`builtin`]) makes films. They have the sound of recordings that are given, or of what a provider's
//! model speaks (`spoken`), mixed; without any, their sound track, which some players ask for, is silence. Behind the texts there
//! may be what a provider's model films (`filmed`). Clips are read and decoded by processes of their own (`clips`).

pub mod clips;
mod filmed;
pub mod graphql;
mod script;
mod spoken;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

pub(super) use self::filmed::suits as films;
pub use self::filmed::{Filmed, Shot};
pub use self::spoken::Narration;
pub(super) use self::spoken::suits as speaks;
pub use aicos_render::videos as builtin;

use self::builtin::{
    CaptionStyle, Direction, Footage, LONGEST, Progress, Recording, SCENE_TEXT, SCENES, SHORTEST, SceneSpec,
    Sound, VideoError, VideoKind, VideoNote, VideoScene, VideoSize, VideoSpec,
};
use self::clips::Clips;
use super::agent::{self, Agent, Made, Order, Tools};
use super::posts::Posts;
use super::visuals::builtin::{BrandKit, Picture, Role, Typeface};
use super::visuals::{self, Visuals};
use crate::access::Action;
use crate::accounts::channel::Channel;
use crate::assets::{self, AssetKind, NewAsset};
use crate::db::ReadTx;
use crate::engine::Provider;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AssetId, PeriodId, PostId, VideoId, VisualPostId};
use crate::input;
use crate::jobs::{self, AgentKind, Engine, Failure, Run};
use crate::providers::{Providers, Wanted};
use crate::retrieval::{Format, Language};
use crate::usage::Amounts;

/// Frames a second, when nobody says how many.
pub const FRAMES_PER_SECOND: u32 = 30;
/// Bytes of a film's clips at the most, which are in memory while it is rendered.
const CLIPS: usize = 400 << 20;
/// How often whoever watches is told how far the film is.
const TELLING: Duration = Duration::from_secs(1);

/// What the agent is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// How it moves.
    pub kind: VideoKind,
    /// The pictures, one a scene after those that have clips.
    pub assets: Vec<AssetId>,
    /// The clips, one a scene from the first on.
    #[serde(default)]
    pub clips: Vec<AssetId>,
    /// The texts, one a scene.
    pub scenes: Vec<String>,
    /// Whether the pictures show the texts already: then these are spoken and in the captions' files, and not drawn again, and
    /// a text without a picture is left out.
    #[serde(default)]
    pub texts_in_assets: bool,
    /// Whose slides are the scenes.
    pub visual: Option<VisualPostId>,
    /// Whose words and pictures are the scenes.
    #[serde(default)]
    pub post: Option<PostId>,
    /// How long it lasts, in seconds.
    pub seconds: u32,
    /// Frames a second.
    #[serde(default = "frames_per_second")]
    pub frames_per_second: u32,
    /// Which way a parallax moves.
    #[serde(default)]
    pub direction: Direction,
    /// Whether texts are drawn into the film.
    pub captions: bool,
    /// How drawn texts come.
    #[serde(default)]
    pub caption_style: CaptionStyle,
    /// The recording that speaks.
    pub voice_over: Option<AssetId>,
    /// How the texts are spoken, instead of a recording.
    #[serde(default)]
    pub narration: Option<Narration>,
    /// What a model films.
    #[serde(default)]
    pub footage: Option<Shot>,
    /// The music.
    pub music: Option<AssetId>,
    /// Its size.
    pub size: VideoSize,
    /// The typeface.
    pub typeface: Typeface,
    /// The period whose colour it has.
    pub period: Option<PeriodId>,
    /// The language of the texts.
    pub language: Language,
}

const fn frames_per_second() -> u32 {
    FRAMES_PER_SECOND
}

impl Input {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(mut self) -> Result<Self> {
        let wrong = |code, field, message: String| Err(Error::fault(Fault::at(code, field, message)));
        let seconds = f64::from(self.seconds);
        if !(SHORTEST..=LONGEST).contains(&seconds) {
            let message = format!("`durationSeconds` is a number from {SHORTEST} to {LONGEST}.");
            return wrong(FaultCode::OutOfRange, "durationSeconds", message);
        }
        if !builtin::FRAMES_PER_SECOND.contains(&self.frames_per_second) {
            let (least, most) = builtin::FRAMES_PER_SECOND.into_inner();
            let message = format!("`framesPerSecond` is a number from {least} to {most}.");
            return wrong(FaultCode::OutOfRange, "framesPerSecond", message);
        }
        let counts = [
            ("scenes", self.scenes.len()),
            ("assetIds", self.assets.len()),
            ("clipAssetIds", self.clips.len()),
        ];
        for (field, count) in counts {
            if count > SCENES {
                return wrong(FaultCode::TooLong, field, format!("`{field}` has at most {SCENES} entries."));
            }
        }
        if self.clips.len() + self.assets.len() > SCENES {
            let message = format!("`clipAssetIds` and `assetIds` have at most {SCENES} entries together.");
            return wrong(FaultCode::TooLong, "clipAssetIds", message);
        }
        let is_bare = self.scenes.is_empty() && self.assets.is_empty() && self.clips.is_empty();
        if self.visual.is_some() && self.post.is_some() {
            let message = "A film is made of one thing: give `postId` or `visualPostId`, and not both.";
            return wrong(FaultCode::Invalid, "postId", message.to_owned());
        }
        let output = self.visual.map(|_| "visualPostId").or(self.post.map(|_| "postId"));
        if let Some(field) = output.filter(|_| !is_bare) {
            let message = format!(
                "`{field}` brings its own pictures and texts. Leave `assetIds`, `clipAssetIds`, `scenes` and `script` out."
            );
            return wrong(FaultCode::Invalid, field, message);
        }
        if output.is_none() && is_bare {
            let message =
                "A video needs `scenes`, `script`, `assetIds`, `clipAssetIds`, `visualPostId` or `postId`.";
            return wrong(FaultCode::Required, "scenes", message.to_owned());
        }
        if self.narration.is_some() && self.voice_over.is_some() {
            let message = "A film has one voice: give `narration` or `voiceOverAssetId`, and not both.";
            return wrong(FaultCode::Invalid, "narration", message.to_owned());
        }
        // Where pictures show the texts, a text without one is left out.
        let is_covered = self.visual.is_some()
            || self.scenes.len() <= self.clips.len() + self.assets.len()
            || (self.texts_in_assets && !self.assets.is_empty());
        // What a post has only its job knows.
        if self.footage.is_some() && self.post.is_none() && is_covered {
            return Err(Error::fault(nothing_to_film()));
        }
        self.narration = self.narration.map(Narration::parse).transpose()?;
        self.footage = self.footage.map(Shot::parse).transpose()?;
        let scene = |text: &String| input::line("scenes", text, SCENE_TEXT);
        self.scenes = self.scenes.iter().map(scene).collect::<Result<_>>()?;
        Ok(self)
    }
}

/// The texts of scenes that a script is cut into.
///
/// # Errors
/// A fault at the field.
fn cut(text: &str) -> Result<Vec<String>> {
    const MOST: usize = SCENES * SCENE_TEXT;
    let text = input::paragraph("script", Some(text), MOST)?.ok_or_else(|| {
        Error::fault(Fault::at(FaultCode::Required, "script", "`script` must not be empty."))
    })?;
    script::scenes(&text, Format::Markdown, SCENES).ok_or_else(|| {
        let message =
            format!("The script does not fit into {SCENES} scenes of {SCENE_TEXT} characters. Shorten it.");
        Error::fault(Fault::at(FaultCode::TooLong, "script", message))
    })
}

fn nothing_to_film() -> Fault {
    let message = "`footage` is for scenes without a picture and a clip, and there is none. Give more texts, or leave `footage` out.";
    Fault::at(FaultCode::Invalid, "footage", message)
}

impl Input {
    /// Whether it asks for footage, and names nobody else for it.
    fn needs_an_engine_that_films(&self) -> bool {
        self.footage.as_ref().is_some_and(|shot| shot.engine.is_none())
    }
}

/// A video.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// How it moves.
    pub kind: VideoKind,
    /// The film.
    pub video: AssetId,
    /// A frame of it.
    pub poster: AssetId,
    /// The captions as a `SubRip` file; none without texts.
    pub srt: Option<AssetId>,
    /// The captions as a `WebVTT` file.
    pub vtt: Option<AssetId>,
    /// The scenes with their times.
    pub scenes: Vec<VideoScene>,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Its length in seconds.
    pub seconds: f64,
    /// Whether there is anything to hear.
    #[serde(default)]
    pub has_sound: bool,
    /// Whose voice speaks the texts; none: nobody's, or a recording's.
    #[serde(default)]
    pub narrator: Option<Narrator>,
    /// What a model has filmed; none: nothing.
    #[serde(default)]
    pub footage: Option<Filmed>,
    /// The least contrast of drawn texts; none without any.
    pub contrast: Option<f32>,
    /// What whoever asked should know.
    pub notes: Vec<VideoNote>,
}

/// The voice of a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Narrator {
    /// The provider.
    pub provider: String,
    /// Its model.
    pub model: Option<String>,
    /// Its voice.
    pub voice: String,
    /// What it says in each scene.
    pub recordings: Vec<Option<AssetId>>,
}

impl Content {
    /// Why a channel would not take it, as sentences.
    pub fn problems(&self, channel: Channel) -> Vec<String> {
        // Every channel takes H.264 of 3 to 60 seconds, which is all that is made here; reels are 9:16 (Meta's documentation).
        let is_upright = u64::from(self.size.0) * 16 == u64::from(self.size.1) * 9;
        if channel != Channel::Instagram || is_upright {
            return Vec::new();
        }
        vec!["Reels are 9:16; this is shown with bars. Make it in the size REEL.".to_owned()]
    }
}

/// What makes videos.
pub struct Videos;

impl Agent for Videos {
    const KIND: AgentKind = AgentKind::Video;
    const JOB: &'static str = "video.generate";
    type Id = VideoId;
    type Input = Input;
    type Content = Content;

    async fn make(tools: &Tools, run: &Run, order: &Order<Input>) -> Result<Made<Content>, Failure> {
        let Order { input, seed, project, .. } = order;
        let (scenes, brand, period) = {
            let mut tx = run.read(Action::ContentRead).await?;
            let brand = visuals::brand(&mut tx, *project).await?;
            let period = visuals::mark(&mut tx, input.period, input.language).await?;
            (scenes(&mut tx, input).await?, BrandKit { typeface: input.typeface, ..brand }, period)
        };
        run.release().await;
        if input.footage.is_some()
            && input.post.is_some()
            && scenes.iter().all(|scene| scene.picture.is_some())
        {
            return Err(Failure::fail(nothing_to_film()));
        }
        let voice_over = recording(tools, run, input.voice_over, "voiceOverAssetId").await?;
        let music = recording(tools, run, input.music, "musicAssetId").await?;
        let reader = tools.clips.begin(run.cancelled());
        let mut clips = clips(tools, run, &reader, &input.clips).await?;
        let mut pictures = Vec::new();
        let mut specs = Vec::with_capacity(scenes.len());
        for (scene, Scene { text, picture, text_in_picture }) in scenes.into_iter().enumerate() {
            let place = pictures.len();
            if let Some(id) = picture {
                pictures.push(visuals::picture(tools, run, id, "assetIds").await?);
            }
            let clip = Some(scene).filter(|scene| *scene < clips.len());
            specs.push(SceneSpec { text, picture: picture.map(|_| place), clip, text_in_picture });
        }
        // What has to be paid for comes when all else is there.
        let spoken = spoken::fetch(tools, run, order, &specs).await?;
        let filmed = filmed::fetch(tools, run, &reader, order).await?;
        if let Some(clip) = filmed.clip {
            // Behind the texts that have nothing else behind them.
            for spec in specs.iter_mut().filter(|spec| spec.picture.is_none() && spec.clip.is_none()) {
                spec.clip = Some(clips.len());
            }
            clips.push(clip);
        }
        let sound = Sound { voice_over, narration: spoken.recordings, music };
        let spec = VideoSpec {
            kind: input.kind,
            scenes: specs,
            size: input.size,
            fps: input.frames_per_second,
            duration_seconds: Some(f64::from(input.seconds)),
            captions: input.captions,
            caption_style: input.caption_style,
            direction: input.direction,
            language: input.language,
            brand,
            period,
            seed: *seed,
            ..VideoSpec::default()
        };
        let mut film = render(run, spec, pictures, clips, sound).await?;
        film.notes.extend(spoken.note.into_iter().chain(filmed.note));
        run.progress(0.97, "Storing the film.").await?;
        let mut made = keep(tools, run, order, film).await?;
        if let (Some(engine), Some(narration)) = (&spoken.engine, &input.narration) {
            let own: BTreeSet<AssetId> = spoken.files.iter().flatten().copied().collect();
            made.files.extend(own);
            made.content.has_sound = true;
            made.content.narrator = Some(Narrator {
                provider: engine.provider.clone(),
                model: engine.model.clone(),
                voice: narration.voice.clone(),
                recordings: spoken.files,
            });
        }
        made.files.extend(filmed.made.as_ref().map(|made| made.asset));
        made.content.footage = filmed.made;
        made.engine = match (spoken.engine, filmed.engine) {
            (Some(spoken), Some(filmed)) => spoken.and(&filmed),
            (one, other) => one.or(other).unwrap_or(made.engine),
        };
        Ok(made)
    }

    /// Speech and footage have no tokens that anybody counts.
    fn asks(input: &Input) -> bool {
        input.narration.is_some() || input.needs_an_engine_that_films()
    }

    fn suits(input: &Input, engine: Option<Provider>) -> Result<()> {
        if input.narration.is_some() {
            speaks(engine)?;
        }
        if input.needs_an_engine_that_films() { films(engine) } else { Ok(()) }
    }

    async fn engage(input: &mut Input, tx: &mut ReadTx<'_>, providers: &Providers) -> Result<()> {
        match &mut input.footage {
            Some(shot) => shot.engage(tx, providers).await,
            None => Ok(()),
        }
    }

    fn engaged(input: &Input) -> Option<&Wanted> {
        input.footage.as_ref()?.engine.as_ref()
    }

    fn summary(content: &Content) -> Value {
        json!({"kind": content.kind, "seconds": content.seconds, "scenes": content.scenes.len()})
    }

    /// A film lasts until everything has been said.
    #[expect(clippy::cast_possible_truncation, reason = "films have a minute at the most")]
    fn most(input: &Input) -> Amounts {
        let seconds = if input.narration.is_some() { LONGEST as i64 } else { input.seconds.into() };
        Amounts { video_seconds: seconds, ..Amounts::default() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "films have a minute at the most")]
    fn made(content: &Content) -> Amounts {
        Amounts { video_seconds: content.seconds.ceil() as i64, ..Amounts::default() }
    }
}

/// What a scene is made from.
struct Scene {
    text: Option<String>,
    picture: Option<AssetId>,
    text_in_picture: bool,
}

/// The scenes that are asked for: a visual post's slides, a post's pictures and words, or texts beside clips and then pictures;
/// what one list has more of, the other's place is empty.
async fn scenes(tx: &mut ReadTx<'_>, input: &Input) -> Result<Vec<Scene>> {
    match (input.visual, input.post) {
        (Some(visual), _) => of_visual(tx, visual).await,
        (_, Some(post)) => of_post(tx, post).await,
        _ => Ok(given(input)),
    }
}

fn given(input: &Input) -> Vec<Scene> {
    let clips = input.clips.len();
    let (texts, shown) = (input.scenes.len(), clips + input.assets.len());
    let count = if input.texts_in_assets && shown > clips { shown } else { texts.max(shown) };
    let picture = |place: usize| input.assets.get(place.checked_sub(clips)?).copied();
    let scene = |place: usize| Scene {
        text: input.scenes.get(place).cloned(),
        picture: picture(place),
        text_in_picture: input.texts_in_assets && picture(place).is_some(),
    };
    (0..count).map(scene).collect()
}

async fn of_visual(tx: &mut ReadTx<'_>, visual: VisualPostId) -> Result<Vec<Scene>> {
    let content = output::<Visuals>(tx, visual.uuid(), "visualPostId").await?;
    Ok(content.slides.into_iter().map(Scene::from).collect())
}

/// A post as scenes: the slides of visual posts, which show what they say; then its other pictures behind the words of the variant
/// that is chosen. Those stand alone when it has no pictures, and are left to the slides when it has nothing else.
async fn of_post(tx: &mut ReadTx<'_>, post: PostId) -> Result<Vec<Scene>> {
    let content = output::<Posts>(tx, post.uuid(), "postId").await?;
    let (slides, pictures) = shown(tx, &content.assets).await?;
    let mut scenes = slides;
    if !scenes.is_empty() && pictures.is_empty() {
        return Ok(scenes);
    }
    let variant = content.variants.into_iter().nth(content.chosen.unwrap_or(0));
    let said = variant.map_or_else(String::new, |variant| {
        let parts = [Some(variant.hook), Some(variant.body), variant.call_to_action];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    });
    let texts =
        script::scenes(&said, Format::Plain, SCENES.saturating_sub(scenes.len())).ok_or_else(|| {
            let message =
                format!("The post has more words than a film of {SCENES} scenes can show. Shorten it.");
            Error::fault(Fault::at(FaultCode::TooLong, "postId", message))
        })?;
    let (said, shown) = (texts.len(), pictures.len());
    // Of few pictures each stays behind several texts.
    let picture =
        |place: usize| pictures.get(if shown < said { place * shown / said } else { place }).copied();
    let scene = |place: usize| Scene {
        text: texts.get(place).cloned(),
        picture: picture(place),
        text_in_picture: false,
    };
    scenes.extend((0..said.max(shown)).map(scene));
    Ok(scenes)
}

/// The pictures among some files, in their order: those that are slides as scenes, and the others.
async fn shown(tx: &mut ReadTx<'_>, files: &[AssetId]) -> Result<(Vec<Scene>, Vec<AssetId>)> {
    let made = assets::owners(tx, files).await?;
    let mut slides: BTreeMap<AssetId, visuals::Slide> = BTreeMap::new();
    for mut output in super::find_many(tx, &made).await? {
        if output.agent == AgentKind::VisualPost {
            for slide in agent::content::<Visuals>(&mut output)?.slides {
                slides.insert(slide.png, slide.clone());
                slides.insert(slide.jpeg, slide);
            }
        }
    }
    let images: BTreeSet<AssetId> = assets::find_many(tx, files)
        .await?
        .into_iter()
        .filter(|asset| asset.kind == AssetKind::Image)
        .map(|asset| asset.id)
        .collect();
    let (drawn, others): (Vec<AssetId>, Vec<AssetId>) =
        files.iter().filter(|id| images.contains(id)).partition(|id| slides.contains_key(id));
    let scene = |id: AssetId| Some(Scene { picture: Some(id), ..Scene::from(slides.get(&id)?.clone()) });
    Ok((drawn.into_iter().filter_map(scene).collect(), others))
}

/// What an agent has made, which a field names.
async fn output<A: Agent>(tx: &mut ReadTx<'_>, id: Uuid, field: &'static str) -> Result<A::Content> {
    let found = super::find_many(tx, &[id]).await?.pop().filter(|output| output.agent == A::KIND);
    let mut output = found.ok_or_else(|| {
        let message = "There is no such output any more, or it is not visible to you.";
        Error::fault(Fault::at(FaultCode::NotFound, field, message))
    })?;
    agent::content::<A>(&mut output)
}

impl From<visuals::Slide> for Scene {
    fn from(slide: visuals::Slide) -> Self {
        let said = slide.blocks.iter().filter(|block| matches!(block.role, Role::Headline | Role::Body));
        let text = said.map(|block| block.text.as_str()).collect::<Vec<_>>().join(" ");
        let text: String = text.chars().take(SCENE_TEXT).collect();
        let text = Some(text).filter(|text| !text.is_empty());
        Self { text, picture: Some(slide.png), text_in_picture: true }
    }
}

/// An asset as a recording to be heard.
async fn recording(
    tools: &Tools,
    run: &Run,
    id: Option<AssetId>,
    field: &'static str,
) -> Result<Option<Recording>, Failure> {
    let Some(id) = id else { return Ok(None) };
    let bytes = file(tools, run, id, (AssetKind::Audio, "recording", field)).await?;
    let decoded = jobs::compute(move || Recording::read(bytes)).await?;
    let unusable = |error| {
        Failure::fail(Fault::at(FaultCode::Invalid, field, format!("The recording cannot be used: {error}.")))
    };
    decoded.map(Some).map_err(unusable)
}

/// Assets as clips to be shown, in their order; each is read once.
async fn clips(tools: &Tools, run: &Run, reader: &Clips, ids: &[AssetId]) -> Result<Vec<Footage>, Failure> {
    let field = "clipAssetIds";
    let mut clips: Vec<Footage> = Vec::with_capacity(ids.len());
    let mut bytes = 0;
    for (place, id) in ids.iter().enumerate() {
        if let Some(known) = ids.iter().take(place).position(|earlier| earlier == id) {
            clips.extend(clips.get(known).cloned());
            continue;
        }
        let read = file(tools, run, *id, (AssetKind::Video, "video", field)).await?;
        bytes += read.len();
        if bytes > CLIPS {
            let most = CLIPS >> 20;
            let message = format!("The clips have more than {most} MiB together. Cut them, or take fewer.");
            return Err(Failure::fail(Fault::at(FaultCode::Invalid, field, message)));
        }
        clips.push(reader.read(read).await?.map_err(|error| {
            let message = format!("Clip {} cannot be used: {error}.", place + 1);
            Failure::fail(Fault::at(FaultCode::Invalid, field, message))
        })?);
    }
    Ok(clips)
}

/// The bytes of an asset of a kind, which a sentence calls by a name and a field has given.
async fn file(
    tools: &Tools,
    run: &Run,
    id: AssetId,
    (kind, name, field): (AssetKind, &str, &'static str),
) -> Result<Bytes, Failure> {
    let refuse = |code, message: String| Failure::fail(Fault::at(code, field, message));
    let asset = {
        let mut tx = run.read(Action::ContentRead).await?;
        assets::find(&mut tx, id).await?
    };
    run.release().await;
    let Some(asset) = asset else {
        let message = format!("There is no such {name} any more, or it is not visible to you.");
        return Err(refuse(FaultCode::NotFound, message));
    };
    if asset.kind != kind {
        let message = format!("The file is no {name}. Give {}.", kind.takes());
        return Err(refuse(FaultCode::Invalid, message));
    }
    let scope = run.scope();
    Ok(assets::bytes(tools.storage.of(&scope), &asset, kind.most_bytes()).await?)
}

/// Renders on a thread of its own, tells whoever watches how far it is, and stops when nobody waits for it any more.
async fn render(
    run: &Run,
    spec: VideoSpec,
    pictures: Vec<Picture>,
    clips: Vec<Footage>,
    sound: Sound,
) -> Result<builtin::Video, Failure> {
    let (tell, told) = watch::channel(Progress { done: 0, frames: 1 });
    // Dropped with this future, whether the job is cancelled or the server shuts down.
    let wanted = Arc::new(());
    let unwanted = Arc::downgrade(&wanted);
    let mut rendering = std::pin::pin!(jobs::compute(move || {
        builtin::generate(&spec, &pictures, &clips, &sound, |progress| {
            tell.send_replace(progress);
            if unwanted.strong_count() == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }));
    let made = loop {
        tokio::select! {
            made = &mut rendering => break made?,
            () = tokio::time::sleep(TELLING) => {
                let Progress { done, frames } = *told.borrow();
                #[expect(clippy::cast_precision_loss, reason = "there are at most a few thousand frames")]
                let share = 0.95 * done as f32 / frames.max(1) as f32;
                run.progress(share, &format!("Rendered {done} of {frames} frames.")).await?;
            }
        }
    };
    drop(wanted);
    made.map_err(|error| refused(&error))
}

/// Puts the film and what belongs to it into the storage.
async fn keep(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    film: builtin::Video,
) -> Result<Made<Content>, Failure> {
    let side = |pixels: u32| i32::try_from(pixels).ok();
    let said: Vec<&str> = film.scenes.iter().filter_map(|scene| scene.text.as_deref()).collect();
    let alt_text = super::text::excerpt(&said.join(" "), 1_000);
    let file = |kind, mime_type, bytes: Bytes| NewAsset {
        project: Some(order.project),
        kind,
        bytes,
        mime_type,
        width: side(film.width),
        height: side(film.height),
        duration_seconds: None,
        alt_text: Some(alt_text.clone()).filter(|text| !text.is_empty()),
    };
    let text = |mime_type, text: &str| NewAsset {
        width: None,
        height: None,
        alt_text: None,
        ..file(AssetKind::Captions, mime_type, Bytes::copy_from_slice(text.as_bytes()))
    };
    let mp4 = NewAsset {
        duration_seconds: Some(film.duration_seconds),
        ..file(AssetKind::Video, "video/mp4", film.mp4.into())
    };
    let video = assets::save(run, &tools.storage, mp4).await?;
    let poster = file(AssetKind::Image, "image/jpeg", film.poster.into());
    let poster = assets::save(run, &tools.storage, poster).await?;
    let (srt, vtt) = if film.cues.is_empty() {
        (None, None)
    } else {
        let srt = assets::save(run, &tools.storage, text("application/x-subrip", &film.srt)).await?;
        (Some(srt), Some(assets::save(run, &tools.storage, text("text/vtt", &film.vtt)).await?))
    };
    let content = Content {
        kind: order.input.kind,
        video,
        poster,
        srt,
        vtt,
        scenes: film.scenes,
        size: (film.width, film.height),
        seconds: film.duration_seconds,
        has_sound: order.input.voice_over.is_some() || order.input.music.is_some(),
        narrator: None,
        footage: None,
        contrast: film.caption_contrast,
        notes: film.notes,
    };
    let files = [Some(video), Some(poster), srt, vtt].into_iter().flatten().collect();
    Ok(Made { content, engine: Engine::builtin(), files })
}

/// The engine's refusal, as a job's.
fn refused(error: &VideoError) -> Failure {
    let (code, field) = match error {
        VideoError::InsufficientInput { field, .. } => (FaultCode::InsufficientInput, Some(*field)),
        VideoError::Invalid { field, .. } => (FaultCode::Invalid, Some(*field)),
        VideoError::Cancelled | VideoError::Encoder(_) => {
            return Failure::retry(Fault::new(FaultCode::Conflict, format!("{error}.")), None);
        }
        VideoError::Scene(_) | VideoError::Poster(_) => (FaultCode::Invalid, None),
    };
    let message = format!("The video cannot be made. {error}.");
    Failure::fail(match field {
        Some(field) => Fault::at(code, field, message),
        None => Fault::new(code, message),
    })
}
