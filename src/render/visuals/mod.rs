//! The engine of the visual post creator: texts become slides, drawn in process, without any provider.
//!
//! [`create`] goes three steps: [`compose()`] lays the texts out as editable [scenes](Scene), [`render`] draws a scene and
//! measures how readable it is, and [`encode`] writes the files. An edited scene goes through the last two again.
//!
//! Nothing is drawn that the caller did not send: the texts are theirs, backgrounds come from their pictures, their
//! colours or a seed. What cannot be drawn is refused or listed in the [notes](Note).

pub mod alt;
pub(crate) mod backdrop;
pub mod color;
mod compose;
mod edited;
pub mod encode;
pub mod fonts;
pub(crate) mod paint;
pub mod picture;
pub mod preview;
mod protect;
pub mod scene;
pub mod split;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use color::Color;
pub use compose::{SLOPE, compose, slides_of_lines};
pub use edited::notes;
pub use fonts::Typeface;
pub use paint::{Rendered, render};
pub use picture::{Picture, PictureError, PictureFormat, PictureInfo, decode, inspect, transcode_jpeg};
pub use scene::{Anchor, Layer, Pattern, Rect, Role, Scene, SceneError, Slot};
pub use text::Align;

use crate::Language;

/// What a visual post is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VisualSpec {
    /// The headline, at most [`HEADLINE`] characters.
    pub headline: Option<String>,
    /// The text, at most [`BODY`] characters. Without a headline it is set like one.
    pub body: Option<String>,
    /// Who said it, at most [`LABEL`] characters.
    pub attribution: Option<String>,
    /// The look.
    pub template: Template,
    /// Where the text stands, if not where the template puts it.
    pub layout: Option<Layout>,
    /// The size.
    pub format: VisualFormat,
    /// Colours and typeface of the brand.
    pub brand: BrandKit,
    /// What is behind the text.
    pub background: Background,
    /// The period that the post belongs to; its colour goes before the brand's.
    pub period: Option<PeriodMark>,
    /// How many slides, 1 to [`SLIDES`]; none: as many as the text needs to be read easily.
    pub slides: Option<u8>,
    /// Whether each line of the text is a slide of its own, however many are wanted.
    pub slide_per_line: bool,
    /// The language of the texts.
    pub language: Language,
    /// Whether long words may be divided at the end of a line.
    pub hyphenate: bool,
    /// Decides where generated shapes are.
    pub seed: u64,
}

impl Default for VisualSpec {
    fn default() -> Self {
        Self {
            headline: None,
            body: None,
            attribution: None,
            template: Template::default(),
            layout: None,
            format: VisualFormat::default(),
            brand: BrandKit::default(),
            background: Background::default(),
            period: None,
            slides: Some(1),
            slide_per_line: false,
            language: Language::German,
            hyphenate: true,
            seed: 0,
        }
    }
}

/// Characters of a headline at the most.
pub const HEADLINE: usize = 300;
/// Characters of a body at the most.
pub const BODY: usize = 3_000;
/// Characters of an attribution, a period's name or a credit at the most.
pub const LABEL: usize = 120;
/// Slides at the most, as Instagram's publishing interface takes them.
pub const SLIDES: u8 = 10;

/// The looks; ids are those that stored posts name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Template {
    /// The same as [`Template::Minimal`].
    #[default]
    Default,
    /// Much air, a calm background in the period's tones, text at the left.
    Minimal,
    /// Dark, large type at the lower left.
    Dramatic,
    /// A strong gradient, text in the middle.
    Gradient,
    /// A white card with a large quotation mark.
    QuoteCard,
    /// Bands at the top and the bottom with the period's name and the attribution.
    PeriodBranding,
}

impl Template {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 6] =
        [Self::Default, Self::Minimal, Self::Dramatic, Self::Gradient, Self::QuoteCard, Self::PeriodBranding];

    /// Its id on the wire.
    pub fn id(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Minimal => "minimal",
            Self::Dramatic => "dramatic",
            Self::Gradient => "gradient",
            Self::QuoteCard => "quote_card",
            Self::PeriodBranding => "period_branding",
        }
    }
}

/// There is no template of this id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no such template: take default, minimal, dramatic, gradient, quote_card or period_branding"
)]
pub struct UnknownTemplate;

impl FromStr for Template {
    type Err = UnknownTemplate;

    fn from_str(id: &str) -> Result<Self, UnknownTemplate> {
        Self::ALL.into_iter().find(|template| template.id() == id).ok_or(UnknownTemplate)
    }
}

/// Where the text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Across.
    pub align: Align,
    /// Up and down.
    pub anchor: Anchor,
}

/// The sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VisualFormat {
    /// A feed post, 1080×1350.
    #[default]
    Post,
    /// A story or reel cover, 1080×1920.
    Story,
    /// A square, 1080×1080.
    Square,
    /// A link preview, 1200×630.
    Link,
}

impl VisualFormat {
    /// Width and height in pixels.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Post => (1080, 1350),
            Self::Story => (1080, 1920),
            Self::Square => (1080, 1080),
            Self::Link => (1200, 630),
        }
    }

    /// Where texts belong: a margin, which covers what the profile's grid cuts off at the sides of a post, and in stories
    /// not under the app's own bars, which take 250 pixels at the top and 340 at the bottom (Meta's guide to safe zones
    /// of stories: 14 % and 20 %).
    pub fn safe_area(self) -> Rect {
        match self {
            Self::Post => Rect::new(48.0, 48.0, 984.0, 1254.0),
            Self::Story => Rect::new(65.0, 250.0, 950.0, 1330.0),
            Self::Square => Rect::new(48.0, 48.0, 984.0, 984.0),
            Self::Link => Rect::new(36.0, 30.0, 1128.0, 570.0),
        }
    }

    /// Where the templates put their texts: the safe area with more air.
    pub(crate) fn text_area(self) -> Rect {
        match self {
            Self::Post => Rect::new(96.0, 96.0, 888.0, 1158.0),
            Self::Story => Rect::new(96.0, 250.0, 888.0, 1330.0),
            Self::Square => Rect::new(96.0, 96.0, 888.0, 888.0),
            Self::Link => Rect::new(72.0, 60.0, 1056.0, 510.0),
        }
    }
}

/// Colours and typeface of a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BrandKit {
    /// The main colour: everything is toned by it when there is no period.
    pub primary: Option<Color>,
    /// The colour of bars and marks; none: the main colour.
    pub accent: Option<Color>,
    /// The typeface.
    pub typeface: Typeface,
}

/// What is behind the text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Background {
    /// What the template has.
    #[default]
    Template,
    /// One colour.
    Solid {
        /// Which; none: a dark tone of the period or brand.
        color: Option<Color>,
    },
    /// A straight gradient.
    Gradient {
        /// From; none: a tone of the period or brand.
        from: Option<Color>,
        /// To; none: another one.
        to: Option<Color>,
        /// Direction in degrees: 0 runs to the right, 90 down.
        angle: f32,
    },
    /// Shapes on one colour.
    Pattern {
        /// Which shapes.
        pattern: Pattern,
        /// The colour behind them; none: a pale tone.
        color: Option<Color>,
    },
    /// Soft clouds of colours.
    Noise {
        /// Which colours, at most 8; none: tones of the period or brand.
        colors: Vec<Color>,
    },
    /// The background picture given as [`Pictures::background`].
    Picture {
        /// Who took it, at most [`LABEL`] characters: drawn small on the first slide.
        credit: Option<String>,
    },
}

/// A period: its name and colour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodMark {
    /// Its name in the post's language, at most [`LABEL`] characters.
    pub name: String,
    /// Its colour.
    pub color: Color,
}

/// The decoded pictures that scenes refer to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pictures<'a> {
    /// For [`Background::Picture`].
    pub background: Option<&'a Picture>,
    /// The brand's logo; shown wherever given.
    pub logo: Option<&'a Picture>,
}

impl<'a> Pictures<'a> {
    pub(crate) fn get(&self, slot: scene::Slot) -> Option<&'a Picture> {
        match slot {
            scene::Slot::Background => self.background,
            scene::Slot::Logo => self.logo,
        }
    }
}

/// What was measured of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextBlockReport {
    /// What it is.
    pub role: Role,
    /// What is drawn; ends in an ellipsis when [`overflow`](Self::overflow) is true.
    pub text: String,
    /// Size of the font in pixels.
    pub font_size: f32,
    /// The least contrast with the pixels behind it, 1 to 21 (WCAG 2.2), over cells of eight by eight pixels.
    pub contrast: f32,
    /// What WCAG's level AA asks of this size: 4.5, or 3 for large text as a phone shows it.
    pub required_contrast: f32,
    /// Whether the text did not fit at the least size and was shortened.
    pub overflow: bool,
    /// Whether it lies where the platform covers nothing.
    pub in_safe_area: bool,
}

/// A finished post.
#[derive(Debug, Clone, PartialEq)]
pub struct VisualPost {
    /// Its slides in order, at least one.
    pub slides: Vec<Slide>,
    /// What the caller should know.
    pub notes: Vec<Note>,
}

/// A finished slide.
#[derive(Debug, Clone, PartialEq)]
pub struct Slide {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// A PNG.
    pub png: Vec<u8>,
    /// A baseline JPEG of at most 8 MiB.
    pub jpeg: Vec<u8>,
    /// What the slide says, for those who do not see it, at most [`alt::ALT_TEXT`] characters.
    pub alt_text: String,
    /// What was measured of its texts.
    pub blocks: Vec<TextBlockReport>,
    /// The slide as editable layers.
    pub scene: Scene,
}

/// What the caller should know about a finished post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Note {
    /// No embedded font has these characters: they are not drawn.
    CharactersLeftOut {
        /// Each once, at most 20.
        characters: Vec<String>,
    },
    /// Emoji are drawn in one colour, as outlines.
    EmojiInOneColor,
    /// The text has too few sentences for the wanted slides.
    FewerSlides {
        /// Wanted.
        wanted: u8,
        /// Made.
        made: u8,
    },
    /// The background picture has fewer pixels than the slide and looks soft.
    PictureEnlarged,
    /// A text did not fit and was shortened.
    Shortened,
    /// None of the organization's own pictures has a tag that fits.
    NoOwnPicture,
    /// The stock library has no such photo.
    NoStockPhoto,
    /// The provider has painted nothing.
    NotPainted,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CharactersLeftOut { characters } => {
                write!(f, "No font here has these characters, which are left out: {}", characters.join(" "))
            }
            Self::EmojiInOneColor => f.write_str("Emoji are drawn in one colour."),
            Self::FewerSlides { wanted, made } => {
                write!(f, "The text has too few sentences for {wanted} slides: there are {made}.")
            }
            Self::PictureEnlarged => {
                f.write_str("The picture behind the text has fewer pixels than the slide and looks soft.")
            }
            Self::Shortened => f.write_str("A text did not fit and was shortened. Use more slides, or less text."),
            Self::NoOwnPicture => f.write_str(
                "None of your pictures has a tag that fits; the template's background was taken. Tag pictures with the period's words.",
            ),
            Self::NoStockPhoto => {
                f.write_str("The stock library has no such photo; the template's background was taken.")
            }
            Self::NotPainted => f.write_str(
                "The provider has painted no background; a pattern was drawn instead. The job's events say why.",
            ),
        }
    }
}

/// Why no post is made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VisualError {
    /// There is nothing to draw: `INSUFFICIENT_INPUT`.
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
    /// A scene cannot be drawn.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// A file cannot be written.
    #[error(transparent)]
    Encode(#[from] encode::EncodeError),
}

/// Makes a post.
///
/// The same input gives the same bytes on the same platform. Takes about a third of a second a slide on one core.
pub fn create(spec: &VisualSpec, pictures: &Pictures<'_>) -> Result<VisualPost, VisualError> {
    let composed = compose(spec, pictures)?;
    let mut notes = composed.notes;
    let mut slides = Vec::with_capacity(composed.slides.len());
    for (scene, alt_text) in composed.slides {
        slides.push(finish(scene, alt_text, pictures)?);
    }
    if slides.iter().flat_map(|slide| &slide.blocks).any(|block| block.overflow) {
        notes.push(Note::Shortened);
    }
    Ok(VisualPost { slides, notes })
}

/// Draws and writes one scene, composed or edited.
pub fn finish(scene: Scene, alt_text: String, pictures: &Pictures<'_>) -> Result<Slide, VisualError> {
    let Rendered { picture, blocks } = render(&scene, pictures)?;
    Ok(Slide {
        width: picture.width(),
        height: picture.height(),
        png: encode::png(&picture)?,
        jpeg: encode::jpeg(&picture, encode::JPEG_BYTES)?,
        alt_text,
        blocks,
        scene,
    })
}
