//! Slides that somebody has edited: a visual post made of another one's slides, some of them drawn from other layers.
//!
//! A scene comes from outside and is believed in nothing: its length, its fields and every number have bounds, it keeps the size
//! that the post has, and it shows only the pictures that the post was drawn with. Slides that are not edited keep their files
//! as they are, in copies of their own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::builtin::{self, Layer, Role, Scene, SceneError, Slot, alt};
use super::{Content, Loaded, Slide, Source, Visuals, background};
use crate::access::Action;
use crate::agents::agent::{self, Agent, Made, Order, Tools};
use crate::agents::text::excerpt;
use crate::assets::{self, AssetKind, NewAsset};
use crate::db::ReadTx;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AssetId, ProjectId, VisualPostId};
use crate::input;
use crate::jobs::{AgentKind, Engine, Failure, Run};
use crate::usage::Amounts;

/// Bytes of a scene as JSON, at the most.
const SCENE_BYTES: usize = 64 << 10;
/// Characters of what is repeated of a scene, where that says what is wrong.
const REPEATED: usize = 200;

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// The visual post whose slides were edited.
    pub of: VisualPostId,
    /// The edited ones.
    pub slides: Vec<Edited>,
}

/// A slide with other layers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Edited {
    /// Which, from 0.
    pub place: usize,
    /// Its layers.
    pub scene: Scene,
    /// What it says; none: what its texts say.
    pub alt_text: Option<String>,
}

/// A slide as a caller gives it.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Which, from 1.
    pub number: i32,
    /// Its layers.
    pub scene: &'a Value,
    /// What it says.
    pub alt_text: Option<&'a str>,
}

impl Input {
    /// Checks what a caller has made of a visual post's slides.
    ///
    /// # Errors
    /// A fault at the field, down to that of the layer.
    pub fn parse(of: VisualPostId, before: &Content, given: &[Given<'_>]) -> Result<Self> {
        if given.is_empty() {
            let message = "`slides` must not be empty. Give those that have changed.";
            return Err(Error::fault(Fault::at(FaultCode::Required, "slides", message)));
        }
        let mut slides: Vec<Edited> = Vec::new();
        for (at, Given { number, scene, alt_text }) in given.iter().enumerate() {
            let field = |name: &str| format!("slides.{at}.{name}");
            let place = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
            let Some((place, slide)) = place.and_then(|place| Some((place, before.slides.get(place)?)))
            else {
                let message = format!("`number` is a number from 1 to {}.", before.slides.len());
                return Err(Error::fault(Fault::at(FaultCode::OutOfRange, &field("number"), message)));
            };
            if slides.iter().any(|other| other.place == place) {
                let message = format!("Slide {number} is there twice. Give it once.");
                return Err(Error::fault(Fault::at(FaultCode::Invalid, &field("number"), message)));
            }
            let scene = read(&field("scene"), scene)?;
            suits(&field("scene"), &scene, before, slide)?;
            let alt_text = input::paragraph(&field("altText"), *alt_text, alt::ALT_TEXT)?;
            slides.push(Edited { place, scene, alt_text });
        }
        Ok(Self { of, slides })
    }
}

/// Reads a scene: every field that it has to have, none that it has not, and all within bounds.
fn read(field: &str, given: &Value) -> Result<Scene> {
    let refuse = |code, path: &str, message: String| {
        let path = if path.is_empty() { field.to_owned() } else { format!("{field}.{path}") };
        Error::fault(Fault::at(code, &path, message))
    };
    let bytes = serde_json::to_vec(given).map_err(Error::internal)?.len();
    if bytes > SCENE_BYTES {
        let message = format!(
            "A scene has at most {SCENE_BYTES} bytes as JSON, and this one has {bytes}. Take layers out."
        );
        return Err(refuse(FaultCode::TooLong, "", message));
    }
    let scene: Scene = serde_path_to_error::deserialize(given).map_err(|error| {
        let parts = error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        let path = parts.collect::<Vec<_>>().join(".");
        let at = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
        let said = excerpt(&error.inner().to_string(), REPEATED);
        refuse(FaultCode::Invalid, &path, format!("The scene cannot be read{at}: {said}."))
    })?;
    if let Some(path) = foreign(given, &serde_json::to_value(&scene).map_err(Error::internal)?) {
        let path = path.join(".");
        let message =
            format!("A scene has no field `{path}`, or it is not written like this. See how it is spelled.");
        return Err(refuse(FaultCode::Invalid, &path, message));
    }
    scene.check().map_err(|error| {
        let code = match &error {
            SceneError::Text { .. } | SceneError::Texts | SceneError::Layers => FaultCode::TooLong,
            SceneError::Range { .. } | SceneError::Size | SceneError::Pictures => FaultCode::OutOfRange,
            SceneError::Picture { .. } => FaultCode::Invalid,
        };
        refuse(code, &error.path(), format!("The scene cannot be drawn: {error}."))
    })?;
    Ok(scene)
}

/// The path to the first part of what was given that is not in what was read of it.
fn foreign(given: &Value, read: &Value) -> Option<Vec<String>> {
    let below = |name: String, given: &Value, read: &Value| {
        let mut path = foreign(given, read)?;
        path.insert(0, name);
        Some(path)
    };
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(key, value)| {
            let Some(read) = read.get(key) else { return Some(vec![excerpt(key, REPEATED)]) };
            below(key.clone(), value, read)
        }),
        (Value::Array(given), Value::Array(read)) => {
            let mut both = given.iter().zip(read).enumerate();
            both.find_map(|(at, (given, read))| below(at.to_string(), given, read))
        }
        // Fields without their names.
        (Value::Array(_), Value::Object(_)) => Some(Vec::new()),
        _ => None,
    }
}

/// Refuses a scene that is not one of this slide's.
fn suits(field: &str, scene: &Scene, before: &Content, slide: &Slide) -> Result<()> {
    let invalid = |path: String, message: String| {
        Err(Error::fault(Fault::at(FaultCode::Invalid, &format!("{field}.{path}"), message)))
    };
    let own = &slide.scene;
    if (scene.width, scene.height) != (own.width, own.height) {
        let path = if scene.width == own.width { "height" } else { "width" };
        let message = format!(
            "A slide of this visual post is {} pixels wide and {} high. Leave `width` and `height` as they are.",
            own.width, own.height
        );
        return invalid(path.to_owned(), message);
    }
    if scene.safe != own.safe {
        let message = "Where the platform covers nothing is not for the scene to say. Leave `safe` as it is.";
        return invalid("safe".to_owned(), message.to_owned());
    }
    for (at, layer) in scene.layers.iter().enumerate() {
        let Layer::Picture { slot, .. } = layer else { continue };
        let message = match slot {
            Slot::Background if before.source.is_none() => {
                "This visual post has no picture behind its text. Take the layer out, or make a new one with `visualPostCreate`."
            }
            Slot::Logo if before.logo.is_none() => {
                "This visual post has no logo that is known. Take the layer out, or make a new one with `visualPostCreate`."
            }
            Slot::Background | Slot::Logo => continue,
        };
        return invalid(format!("layers.{at}.slot"), message.to_owned());
    }
    // Whoever took a photo of a stock library stays named.
    if matches!(before.source, Some(Source::Stock { .. })) && scene.shows(Slot::Background) {
        let kept = |credit: &str| credits(scene).any(|text| text == credit);
        if let Some(lost) = credits(own).find(|credit| !kept(credit)) {
            let message = format!(
                "Whoever took the photo stays named: keep the text `{lost}`, in a layer of the role CREDIT."
            );
            return invalid("layers".to_owned(), message);
        }
    }
    Ok(())
}

fn credits(scene: &Scene) -> impl Iterator<Item = &str> {
    scene.layers.iter().filter_map(|layer| match layer {
        Layer::Text(text) if text.role == Role::Credit => Some(text.text.as_str()),
        _ => None,
    })
}

/// What draws edited slides.
pub struct Redraw;

impl Agent for Redraw {
    const KIND: AgentKind = AgentKind::VisualPost;
    const JOB: &'static str = "visual_post.redraw";
    type Id = VisualPostId;
    type Input = Input;
    type Content = Content;

    async fn make(tools: &Tools, run: &Run, order: &Order<Input>) -> Result<Made<Content>, Failure> {
        let Order { input, project, .. } = order;
        let before = {
            let mut tx = run.read(Action::ContentRead).await?;
            original(&mut tx, *project, input.of).await?
        };
        run.release().await;
        let loaded = Arc::new(load(tools, run, input, &before).await?);
        let Content { template, format, period, source, slides: earlier, notes, logo, .. } = before;
        let (count, mut slides) = (earlier.len(), Vec::with_capacity(earlier.len()));
        for (place, slide) in earlier.into_iter().enumerate() {
            let said = if let Some(edited) = input.slides.iter().find(|edited| edited.place == place) {
                let alt_text = alt_text(edited, &slide, count);
                slides
                    .push(super::one(tools, run, *project, (edited.scene.clone(), alt_text), &loaded).await?);
                "Drew"
            } else {
                let png = copy(tools, run, *project, slide.png).await?;
                let jpeg = copy(tools, run, *project, slide.jpeg).await?;
                slides.push(Slide { png, jpeg, is_drawn: false, ..slide });
                "Kept"
            };
            #[expect(clippy::cast_precision_loss, reason = "there are at most ten slides")]
            let done = (place + 1) as f32 / (count + 1) as f32;
            run.progress(done, &format!("{said} slide {} of {count}.", place + 1)).await?;
        }
        let source = match source {
            Some(Source::Painted { id, provider, model, prompt }) => {
                let id = copy(tools, run, *project, id).await?;
                Some(Source::Painted { id, provider, model, prompt })
            }
            other => other,
        };
        let of_texts = builtin::notes(slides.iter().map(|slide| (&slide.scene, slide.blocks.as_slice())));
        let notes = notes.into_iter().filter(|note| !note.is_of_text()).chain(of_texts).collect();
        let redraw_of = Some(input.of);
        let content = Content { template, format, period, source, slides, notes, logo, redraw_of };
        let files = content.files();
        Ok(Made { content, engine: Engine::builtin(), files })
    }

    fn summary(content: &Content) -> Value {
        let mut summary = Visuals::summary(content);
        summary["redrawOf"] = json!(content.redraw_of);
        summary
    }

    fn most(input: &Input) -> Amounts {
        pictures(input.slides.len())
    }

    fn made(content: &Content) -> Amounts {
        pictures(content.slides.iter().filter(|slide| slide.is_drawn).count())
    }
}

fn pictures(count: usize) -> Amounts {
    Amounts { images: i64::try_from(count).unwrap_or(i64::MAX), ..Amounts::default() }
}

/// The visual post whose slides were edited, as it stands now.
async fn original(tx: &mut ReadTx<'_>, project: ProjectId, of: VisualPostId) -> Result<Content> {
    let found = crate::agents::find_many(tx, &[of.uuid()]).await?.pop();
    let found = found.filter(|found| found.agent == AgentKind::VisualPost && found.project == Some(project));
    let mut found =
        found.ok_or_else(|| gone("The visual post has been deleted, or is not visible to you."))?;
    agent::content::<Visuals>(&mut found)
}

fn gone(message: &str) -> Error {
    Error::fault(Fault::at(FaultCode::NotFound, "visualPostId", message))
}

/// The pictures that the edited slides show.
async fn load(tools: &Tools, run: &Run, input: &Input, before: &Content) -> Result<Loaded, Failure> {
    let shown = |slot| input.slides.iter().any(|edited| edited.scene.shows(slot));
    let background = match &before.source {
        Some(source) if shown(Slot::Background) => {
            Some(background::again(tools, run, source, before.format.size()).await?)
        }
        _ => None,
    };
    let logo = match before.logo {
        Some(logo) if shown(Slot::Logo) => Some(background::picture(tools, run, logo, "visualPostId").await?),
        _ => None,
    };
    Ok(Loaded { background, logo })
}

/// What a slide says: as its caller says, or as before when its texts are, or what its texts say now.
fn alt_text(edited: &Edited, before: &Slide, count: usize) -> String {
    let page = (count > 1).then_some((edited.place + 1, count));
    let said = alt::of_scene(&edited.scene, page);
    match &edited.alt_text {
        Some(given) => given.clone(),
        None if said == alt::of_scene(&before.scene, page) => before.alt_text.clone(),
        None => said,
    }
}

/// A copy of a picture that belongs to the other visual post.
async fn copy(tools: &Tools, run: &Run, project: ProjectId, id: AssetId) -> Result<AssetId, Failure> {
    let most = AssetKind::Image.most_bytes();
    let (asset, bytes) = assets::read(run, &tools.storage, id, most).await.map_err(|error| match error {
        Error::NotFound => gone("A picture of the visual post is gone, or is not visible to you."),
        other => other,
    })?;
    let mime_type = assets::mime_type(AssetKind::Image, &bytes).map_err(Failure::fail)?;
    let copy = NewAsset {
        project: Some(project),
        kind: AssetKind::Image,
        bytes,
        mime_type,
        width: asset.width,
        height: asset.height,
        duration_seconds: None,
        alt_text: asset.alt_text,
    };
    Ok(assets::save(run, &tools.storage, copy).await?)
}
