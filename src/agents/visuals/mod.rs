//! The agent that makes pictures with text: slides for feeds, stories and link previews.
//!
//! The built-in engine ([`builtin`], a crate of its own) draws every slide in process. What is behind the text is the template's own, a generated
//! pattern, one of the organization's pictures (`background`), a photo of a stock library ([`crate::engine::photos`]), or what
//! a provider's model paints (`painted`). Text is always drawn here, so that it is never misspelt. Slides whose layers somebody
//! has edited are drawn again ([`redraw`]).

mod background;
pub mod graphql;
mod painted;
pub mod redraw;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::background::picture;
pub use self::background::{Source, Wish};
use self::builtin::{
    BODY, Background, BrandKit, Color, HEADLINE, LABEL, Note, PeriodMark, Picture, Pictures, SLIDES, Scene,
    Slide as Drawn, Template, TextBlockReport, Typeface, VisualError, VisualFormat, VisualSpec,
};
pub(super) use self::painted::{TOKENS as PAINTING, suits as paints};
use super::agent::{Agent, Made, Order, Tools};
use crate::access::Action;
use crate::assets::{self, AssetKind, NewAsset};
use crate::db::ReadTx;
use crate::engine::{Provider, Usage};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AssetId, PeriodId, ProjectId, VisualPostId};
use crate::jobs::{self, AgentKind, Engine, Failure, Run};
use crate::retrieval::Language;
use crate::usage::Amounts;
use crate::{input, periods, projects};
pub use aicos_render::visuals as builtin;

/// What the agent is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// The text.
    pub text: String,
    /// What stands above it.
    pub headline: Option<String>,
    /// Who said it.
    pub attribution: Option<String>,
    /// The look.
    pub template: Template,
    /// The size.
    pub format: VisualFormat,
    /// The typeface.
    pub typeface: Typeface,
    /// The period that it belongs to.
    pub period: Option<PeriodId>,
    /// What is behind the text.
    pub background: Wish,
    /// The brand's mark.
    pub logo: Option<AssetId>,
    /// How many slides; none: as many as reading asks for.
    pub slides: Option<u8>,
    /// Whether each line of the text is a slide of its own, however many are wanted.
    #[serde(default)]
    pub slide_per_line: bool,
    /// The language of the text.
    pub language: Language,
}

impl Input {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(mut self) -> Result<Self> {
        let most = |characters: usize| i32::try_from(characters).unwrap_or(i32::MAX);
        self.text = input::paragraph("text", Some(&self.text), BODY)?.ok_or_else(|| {
            Error::fault(Fault::at(FaultCode::Required, "text", "`text` must not be empty."))
        })?;
        self.headline = self.headline.map(|text| input::line("headline", &text, HEADLINE)).transpose()?;
        self.attribution =
            self.attribution.map(|text| input::line("attribution", &text, LABEL)).transpose()?;
        if self.slide_per_line {
            let slides = builtin::slides_of_lines(self.headline.as_deref(), &self.text);
            let slides = u8::try_from(slides).ok().filter(|slides| *slides <= SLIDES);
            self.slides = Some(slides.ok_or_else(|| {
                let message = format!(
                    "Each line of `text` is a slide, and there are at most {SLIDES} with the headline's. Leave lines out, or \
                    make two visual posts."
                );
                Error::fault(Fault::at(FaultCode::TooLong, "text", message))
            })?);
        }
        if self.slides.is_some_and(|slides| !(1..=SLIDES).contains(&slides)) {
            let message = format!("`slides` is a number from 1 to {}.", most(SLIDES.into()));
            return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "slides", message)));
        }
        self.background = self.background.parse()?;
        Ok(self)
    }
}

/// The template of an id.
///
/// # Errors
/// A fault at `template` that names them all.
pub fn template(id: &str) -> Result<Template> {
    id.parse().map_err(|_| {
        let known: Vec<String> =
            Template::ALL.iter().map(|template| format!("`{}`", template.id())).collect();
        let message = format!("There is no such template. Take one of {}.", known.join(", "));
        Error::fault(Fault::at(FaultCode::Invalid, "template", message))
    })
}

/// Slides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// The look.
    pub template: Template,
    /// The size.
    pub format: VisualFormat,
    /// The period that they belong to.
    pub period: Option<PeriodId>,
    /// Where the picture behind the text comes from; none: it is generated.
    pub source: Option<Source>,
    /// The slides, in order.
    pub slides: Vec<Slide>,
    /// What whoever asked should know.
    pub notes: Vec<Note>,
    /// The brand's mark that they were drawn with.
    #[serde(default)]
    pub logo: Option<AssetId>,
    /// The visual post whose slides were edited.
    #[serde(default)]
    pub redraw_of: Option<VisualPostId>,
}

impl Content {
    /// The files that belong to it, each once: slides may look the same.
    fn files(&self) -> Vec<AssetId> {
        let painted = match &self.source {
            Some(Source::Painted { id, .. }) => Some(*id),
            _ => None,
        };
        let slides = self.slides.iter().flat_map(|slide| [slide.png, slide.jpeg]);
        let mut files: Vec<AssetId> = slides.chain(painted).collect();
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// A slide.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slide {
    /// As a PNG.
    pub png: AssetId,
    /// As a baseline JPEG.
    pub jpeg: AssetId,
    /// What it says, for those who do not see it.
    pub alt_text: String,
    /// What was measured of its texts.
    pub blocks: Vec<TextBlockReport>,
    /// Its layers.
    pub scene: Scene,
    /// Whether it was drawn for this visual post, and is no copy of another one's.
    #[serde(default = "drawn")]
    pub is_drawn: bool,
}

const fn drawn() -> bool {
    true
}

/// What makes pictures with text.
pub struct Visuals;

impl Agent for Visuals {
    const KIND: AgentKind = AgentKind::VisualPost;
    const JOB: &'static str = "visual_post.create";
    type Id = VisualPostId;
    type Input = Input;
    type Content = Content;

    async fn make(tools: &Tools, run: &Run, order: &Order<Input>) -> Result<Made<Content>, Failure> {
        let Order { input, seed, project, .. } = order;
        let (brand, period, own) = {
            let mut tx = run.read(Action::ContentRead).await?;
            let period = mark(&mut tx, input.period, input.language).await?;
            let brand = BrandKit { typeface: input.typeface, ..brand(&mut tx, *project).await? };
            let own = background::own(&mut tx, *project, &input.background, input.period, *seed).await?;
            (brand, period, own)
        };
        run.release().await;
        let behind = background::fetch(tools, run, order, own, period.as_ref()).await?;
        let logo = match input.logo {
            Some(id) => Some(background::picture(tools, run, id, "logoAssetId").await?),
            None => None,
        };
        let spec = VisualSpec {
            headline: input.headline.clone(),
            body: Some(input.text.clone()),
            attribution: input.attribution.clone(),
            template: input.template,
            layout: None,
            format: input.format,
            brand,
            background: match &behind.picture {
                Some(_) => Background::Picture { credit: behind.credit() },
                None => input.background.generated(),
            },
            period,
            slides: input.slides,
            slide_per_line: input.slide_per_line,
            language: input.language,
            hyphenate: true,
            seed: *seed,
        };
        let (slides, mut notes) =
            draw(tools, run, *project, spec, Loaded { background: behind.picture, logo }).await?;
        notes.extend(behind.notes);
        let content = Content {
            template: input.template,
            format: input.format,
            period: input.period,
            source: behind.source,
            slides,
            notes,
            logo: input.logo,
            redraw_of: None,
        };
        let files = content.files();
        Ok(Made { content, engine: behind.engine.unwrap_or_else(Engine::builtin), files })
    }

    fn summary(content: &Content) -> Value {
        json!({"template": content.template.id(), "slides": content.slides.len()})
    }

    fn tokens(input: &Input) -> Usage {
        if matches!(input.background, Wish::Painted { .. }) { painted::TOKENS } else { Self::TOKENS }
    }

    fn suits(input: &Input, engine: Option<Provider>) -> Result<()> {
        if matches!(input.background, Wish::Painted { .. }) { painted::suits(engine) } else { Ok(()) }
    }

    /// A painted background is a picture beside the slides.
    fn most(input: &Input) -> Amounts {
        let painted = i64::from(matches!(input.background, Wish::Painted { .. }));
        Amounts { images: i64::from(input.slides.unwrap_or(SLIDES)) + painted, ..Amounts::default() }
    }

    fn made(content: &Content) -> Amounts {
        let painted = i64::from(matches!(content.source, Some(Source::Painted { .. })));
        let slides = i64::try_from(content.slides.len()).unwrap_or(i64::MAX - 1);
        Amounts { images: slides + painted, ..Amounts::default() }
    }
}

/// The pictures that slides are drawn with.
struct Loaded {
    background: Option<Picture>,
    logo: Option<Picture>,
}

impl Loaded {
    fn pictures(&self) -> Pictures<'_> {
        Pictures { background: self.background.as_ref(), logo: self.logo.as_ref() }
    }
}

/// Draws all slides, one at a time: each takes a good part of a second of one core, and whoever cancels does not wait for the
/// others.
async fn draw(
    tools: &Tools,
    run: &Run,
    project: ProjectId,
    spec: VisualSpec,
    loaded: Loaded,
) -> Result<(Vec<Slide>, Vec<Note>), Failure> {
    let loaded = Arc::new(loaded);
    let with = Arc::clone(&loaded);
    let composed = jobs::compute(move || builtin::compose(&spec, &with.pictures()))
        .await?
        .map_err(|error| refused(&error))?;
    let (mut slides, mut notes) = (Vec::with_capacity(composed.slides.len()), composed.notes);
    let count = composed.slides.len();
    for (place, (scene, alt_text)) in composed.slides.into_iter().enumerate() {
        let slide = one(tools, run, project, (scene, alt_text), &loaded).await?;
        if slide.blocks.iter().any(|block| block.overflow) && !notes.contains(&Note::Shortened) {
            notes.push(Note::Shortened);
        }
        slides.push(slide);
        #[expect(clippy::cast_precision_loss, reason = "there are at most ten slides")]
        let done = (place + 1) as f32 / (count + 1) as f32;
        run.progress(done, &format!("Drew slide {} of {count}.", place + 1)).await?;
    }
    Ok((slides, notes))
}

/// Draws one slide of its layers and what it says.
async fn one(
    tools: &Tools,
    run: &Run,
    project: ProjectId,
    (scene, alt_text): (Scene, String),
    loaded: &Arc<Loaded>,
) -> Result<Slide, Failure> {
    let with = Arc::clone(loaded);
    let drawn = jobs::compute(move || builtin::finish(scene, alt_text, &with.pictures()));
    let drawn = drawn.await?.map_err(|error| refused(&error))?;
    keep(tools, run, project, drawn).await
}

/// Puts a slide's files into the storage.
async fn keep(tools: &Tools, run: &Run, project: ProjectId, made: Drawn) -> Result<Slide, Failure> {
    let side = |pixels: u32| i32::try_from(pixels).ok();
    let file = |mime_type, bytes: Vec<u8>| NewAsset {
        project: Some(project),
        kind: AssetKind::Image,
        bytes: bytes.into(),
        mime_type,
        width: side(made.width),
        height: side(made.height),
        duration_seconds: None,
        alt_text: Some(made.alt_text.clone()).filter(|text| !text.is_empty()),
    };
    let png = assets::save(run, &tools.storage, file("image/png", made.png)).await?;
    let jpeg = assets::save(run, &tools.storage, file("image/jpeg", made.jpeg)).await?;
    let Drawn { alt_text, blocks, scene, .. } = made;
    Ok(Slide { png, jpeg, alt_text, blocks, scene, is_drawn: true })
}

/// The engine's refusal, as a job's.
fn refused(error: &VisualError) -> Failure {
    let (code, field) = match error {
        VisualError::InsufficientInput { field, .. } => (FaultCode::InsufficientInput, Some(*field)),
        VisualError::Invalid { field, .. } => (FaultCode::Invalid, Some(*field)),
        VisualError::Scene(_) | VisualError::Encode(_) => (FaultCode::Invalid, None),
    };
    // The engine's words for its fields are those of the wire but for this one.
    let field = field.map(|field| if field == "body" { "text" } else { field });
    let message = format!("The picture cannot be made. {error}.");
    Failure::fail(match field {
        Some(field) => Fault::at(code, field, message),
        None => Fault::new(code, message),
    })
}

/// The brand's colours: the project's, else the organization's; the first is the main one, the second sets accents.
///
/// # Errors
/// [`Error::NotFound`] for the project, or what the database says.
pub(super) async fn brand(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<BrandKit> {
    let colors = projects::settings(tx, project).await?.brand_colors.unwrap_or_default();
    let mut colors = colors.iter().filter_map(|text| text.parse::<Color>().ok());
    Ok(BrandKit { primary: colors.next(), accent: colors.next(), typeface: Typeface::default() })
}

/// A period's name and colour, as slides show them.
///
/// # Errors
/// [`Error::NotFound`], or what the database says.
pub(super) async fn mark(
    tx: &mut ReadTx<'_>,
    period: Option<PeriodId>,
    language: Language,
) -> Result<Option<PeriodMark>> {
    let Some(id) = period else { return Ok(None) };
    let found = periods::find(tx, id).await?.ok_or(Error::NotFound)?.definition;
    let name = found.names.get(&language).or_else(|| found.names.values().next()).cloned();
    let color = found.color.parse::<Color>().map_err(Error::internal)?;
    Ok(Some(PeriodMark { name: name.unwrap_or(found.key), color }))
}
