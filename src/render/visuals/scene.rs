//! A slide as layers: what the engine makes, what an editor changes, and what is drawn.

use serde::{Deserialize, Serialize};

use super::color::Color;
use super::fonts::{Typeface, Voice};
use super::text::Align;
use crate::Language;

/// A rectangle in pixels from the top left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Rect {
    /// A rectangle of its corner and size.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    /// The right edge.
    pub fn right(self) -> f32 {
        self.x + self.width
    }

    /// The bottom edge.
    pub fn bottom(self) -> f32 {
        self.y + self.height
    }

    /// The rectangle without so much at every side.
    #[must_use]
    pub fn inset(self, by: f32) -> Self {
        Self::new(
            self.x + by,
            self.y + by,
            (self.width - 2.0 * by).max(1.0),
            (self.height - 2.0 * by).max(1.0),
        )
    }

    /// Whether another rectangle lies within, with half a pixel of grace.
    pub fn contains(self, other: Self) -> bool {
        other.x >= self.x - 0.5
            && other.y >= self.y - 0.5
            && other.right() <= self.right() + 0.5
            && other.bottom() <= self.bottom() + 0.5
    }

    /// The smallest rectangle around both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self::new(x, y, self.right().max(other.right()) - x, self.bottom().max(other.bottom()) - y)
    }
}

/// A slide: layers from the back to the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scene {
    /// Width in pixels, 64 to 4096.
    pub width: u32,
    /// Height in pixels, 64 to 4096.
    pub height: u32,
    /// The typefaces.
    pub typeface: Typeface,
    /// The language of the texts.
    pub language: Language,
    /// Where the platform covers nothing: texts outside are reported.
    pub safe: Rect,
    /// The layers, at most 60.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Layer {
    /// One colour over everything.
    Fill {
        /// The colour.
        color: Color,
        /// 0 to 1.
        opacity: f32,
    },
    /// A straight gradient over everything.
    Gradient {
        /// Direction in degrees: 0 runs to the right, 90 down.
        angle: f32,
        /// Two or more colours by position.
        stops: Vec<Stop>,
    },
    /// Soft clouds of colours over everything.
    Clouds {
        /// The colour between them.
        base: Color,
        /// Their colours.
        colors: Vec<Color>,
        /// Where they are; more than 2⁵³ are its digits as a text.
        #[serde(with = "seed")]
        seed: u64,
    },
    /// Repeated shapes over everything.
    Pattern {
        /// Which shapes.
        pattern: Pattern,
        /// Their colour.
        color: Color,
        /// 0 to 1.
        opacity: f32,
        /// Where they are; more than 2⁵³ are its digits as a text.
        #[serde(with = "seed")]
        seed: u64,
    },
    /// A picture that fills a rectangle or fits into it.
    Picture {
        /// Which picture.
        slot: Slot,
        /// Where.
        rect: Rect,
        /// Radius of the corners.
        radius: f32,
    },
    /// A filled shape with round corners.
    Panel {
        /// Where.
        rect: Rect,
        /// Radius of the corners.
        radius: f32,
        /// The colour.
        color: Color,
        /// 0 to 1.
        opacity: f32,
        /// A line around it.
        border: Option<Border>,
        /// Whether it throws a soft shadow.
        shadow: bool,
    },
    /// A soft veil that makes a text readable.
    Scrim {
        /// Where it is full.
        rect: Rect,
        /// Over how many pixels around that it fades.
        feather: f32,
        /// The colour.
        color: Color,
        /// 0 to 1.
        opacity: f32,
    },
    /// A text.
    Text(TextLayer),
}

/// A colour at a place of a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// 0 to 1.
    pub at: f32,
    /// The colour.
    pub color: Color,
    /// 0 to 1.
    pub opacity: f32,
}

/// A line around a panel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Border {
    /// The colour.
    pub color: Color,
    /// Width in pixels.
    pub width: f32,
}

/// Shapes of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Pattern {
    /// A grid of dots that grow and shrink.
    Dots,
    /// Circles around one point.
    Rings,
    /// Lines that swing.
    Waves,
    /// Rays from one point.
    Rays,
    /// Loose round shapes.
    #[default]
    Pebbles,
}

/// Which of the given pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Slot {
    /// The background picture: it covers its rectangle.
    Background,
    /// The logo: it fits into its rectangle.
    Logo,
}

/// What a text is on the slide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// The headline.
    Headline,
    /// The body.
    Body,
    /// Who said it.
    Attribution,
    /// The period's name.
    Period,
    /// Who took the picture.
    Credit,
    /// A quotation mark as an ornament: it is not part of the text.
    Ornament,
}

/// Where lines stand between the top and the bottom of their rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Anchor {
    /// At the top.
    #[default]
    Top,
    /// In the middle.
    Middle,
    /// At the bottom.
    Bottom,
}

/// A text in a rectangle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextLayer {
    /// What it is.
    pub role: Role,
    /// The text, at most 5,000 bytes.
    pub text: String,
    /// Where lines are broken, and the height that they should not exceed.
    pub rect: Rect,
    /// Size of the font in pixels.
    pub size: f32,
    /// Distance of baselines in em.
    pub leading: f32,
    /// Which of the typefaces.
    pub voice: Voice,
    /// Its colour.
    pub color: Color,
    /// Across.
    pub align: Align,
    /// Up and down.
    pub anchor: Anchor,
    /// Whether words may be divided.
    pub hyphenate: bool,
    /// Space between letters in em.
    pub tracking: f32,
}

/// Why a scene is not drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SceneError {
    /// The canvas is too small or too large.
    #[error("a slide must have 64 to 4096 pixels a side")]
    Size,
    /// There are too many layers.
    #[error("a slide has at most {LAYERS} layers")]
    Layers,
    /// A number is not finite or out of its range, or a list has too few or too many entries.
    #[error("`{field}` of layer {layer} must lie between {least} and {most}")]
    Range {
        /// Which layer, from 0.
        layer: usize,
        /// Its field, dotted where it is one of a part.
        field: &'static str,
        /// The least.
        least: f32,
        /// The most.
        most: f32,
    },
    /// A text is too long.
    #[error("the text of layer {layer} has more than {TEXT} bytes")]
    Text {
        /// Which, from 0.
        layer: usize,
    },
    /// All texts together are too long.
    #[error("the texts of a slide have at most {TEXTS} bytes together")]
    Texts,
    /// All pictures together are too large.
    #[error("the pictures of a slide cover at most {PIXELS} pixels together")]
    Pictures,
    /// A picture was not given.
    #[error("layer {layer} shows a picture that was not given")]
    Picture {
        /// Which, from 0.
        layer: usize,
    },
}

impl SceneError {
    /// Where in the scene it is, dotted.
    pub fn path(&self) -> String {
        match self {
            Self::Size => "width".to_owned(),
            Self::Layers | Self::Texts | Self::Pictures => "layers".to_owned(),
            Self::Range { layer, field, .. } => format!("layers.{layer}.{field}"),
            Self::Text { layer } => format!("layers.{layer}.text"),
            Self::Picture { layer } => format!("layers.{layer}.slot"),
        }
    }
}

/// Layers at the most.
pub const LAYERS: usize = 60;
/// Bytes of a text at the most.
pub const TEXT: usize = 5_000;
/// Bytes of all texts at the most: what takes longest is to find where their lines end.
pub const TEXTS: usize = 10_000;
/// Pixels of all pictures at the most: that is what they are scaled to, even where nothing of them is seen.
pub const PIXELS: f32 = 16_777_216.0;

impl Scene {
    /// Whether it shows one of the given pictures.
    pub fn shows(&self, wanted: Slot) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Picture { slot, .. } if *slot == wanted))
    }

    /// Whether the scene can be drawn within bounds, whoever edited it.
    pub fn check(&self) -> Result<(), SceneError> {
        if !(64..=4096).contains(&self.width) || !(64..=4096).contains(&self.height) {
            return Err(SceneError::Size);
        }
        if self.layers.len() > LAYERS {
            return Err(SceneError::Layers);
        }
        let (mut texts, mut pixels) = (0, 0.0);
        for (layer, found) in self.layers.iter().enumerate() {
            found.check().map_err(|Outside { field, least, most }| SceneError::Range {
                layer,
                field,
                least,
                most,
            })?;
            match found {
                Layer::Text(text) if text.text.len() > TEXT => return Err(SceneError::Text { layer }),
                Layer::Text(text) => texts += text.text.len(),
                Layer::Picture { rect, .. } => pixels += rect.width * rect.height,
                _ => {}
            }
        }
        match (texts > TEXTS, pixels > PIXELS) {
            (true, _) => Err(SceneError::Texts),
            (_, true) => Err(SceneError::Pictures),
            (false, false) => Ok(()),
        }
    }
}

/// A field whose value lies outside of its range.
struct Outside {
    field: &'static str,
    least: f32,
    most: f32,
}

/// What is not a number is within no range.
fn within(field: &'static str, value: f32, least: f32, most: f32) -> Result<(), Outside> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(Outside { field, least, most }) }
}

fn share(field: &'static str, value: f32) -> Result<(), Outside> {
    within(field, value, 0.0, 1.0)
}

fn length(field: &'static str, value: f32) -> Result<(), Outside> {
    within(field, value, 0.0, 10_000.0)
}

fn place(field: &'static str, value: f32) -> Result<(), Outside> {
    within(field, value, -10_000.0, 10_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "more than a few are refused")]
fn several<T>(field: &'static str, list: &[T], least: f32) -> Result<(), Outside> {
    within(field, list.len() as f32, least, 8.0)
}

fn sound(rect: &Rect) -> Result<(), Outside> {
    place("rect.x", rect.x)?;
    place("rect.y", rect.y)?;
    length("rect.width", rect.width)?;
    length("rect.height", rect.height)
}

impl Layer {
    fn check(&self) -> Result<(), Outside> {
        match self {
            Self::Fill { opacity, .. } | Self::Pattern { opacity, .. } => share("opacity", *opacity),
            Self::Gradient { angle, stops } => {
                place("angle", *angle)?;
                several("stops", stops, 2.0)?;
                stops.iter().try_for_each(|stop| {
                    share("stops.at", stop.at)?;
                    share("stops.opacity", stop.opacity)
                })
            }
            Self::Clouds { colors, .. } => several("colors", colors, 1.0),
            Self::Picture { rect, radius, .. } => {
                sound(rect)?;
                within("rect.width", rect.width, 1.0, 10_000.0)?;
                within("rect.height", rect.height, 1.0, 10_000.0)?;
                length("radius", *radius)
            }
            Self::Panel { rect, radius, opacity, border, .. } => {
                sound(rect)?;
                length("radius", *radius)?;
                share("opacity", *opacity)?;
                border.map_or(Ok(()), |border| length("border.width", border.width))
            }
            Self::Scrim { rect, feather, opacity, .. } => {
                sound(rect)?;
                length("feather", *feather)?;
                share("opacity", *opacity)
            }
            Self::Text(text) => {
                sound(&text.rect)?;
                within("size", text.size, 4.0, 1_000.0)?;
                within("leading", text.leading, 0.5, 4.0)?;
                within("tracking", text.tracking, -0.2, 1.0)
            }
        }
    }
}

/// Seeds in JSON: a number, or its digits as a text where programs that know only floating-point numbers would change it.
mod seed {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Up to here every whole number is a floating-point number.
    const EXACT: u64 = 1 << 53;

    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Digits(String),
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over like this")]
    pub(super) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if *seed <= EXACT { serializer.serialize_u64(*seed) } else { serializer.collect_str(seed) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let wrong = || D::Error::custom("`seed` is a whole number from 0 on, or its digits as a text");
        match Written::deserialize(deserializer).map_err(|_| wrong())? {
            Written::Number(seed) => Ok(seed),
            Written::Digits(digits) => digits.parse().map_err(|_| wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(layers: Vec<Layer>) -> Scene {
        Scene {
            width: 100,
            height: 100,
            typeface: Typeface::Sans,
            language: Language::German,
            safe: Rect::new(0.0, 0.0, 100.0, 100.0),
            layers,
        }
    }

    #[test]
    fn unsound_scenes_are_refused() {
        let fill = |opacity| Layer::Fill { color: Color::WHITE, opacity };
        assert_eq!(scene(vec![fill(1.0)]).check(), Ok(()));
        for wrong in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
            let refused = scene(vec![fill(0.5), fill(wrong)]).check().unwrap_err();
            assert_eq!(
                (refused.path().as_str(), refused.to_string().as_str()),
                ("layers.1.opacity", "`opacity` of layer 1 must lie between 0 and 1")
            );
        }
        assert_eq!(scene(vec![fill(1.0); LAYERS + 1]).check(), Err(SceneError::Layers));
        assert_eq!(Scene { width: 5_000, ..scene(Vec::new()) }.check(), Err(SceneError::Size));
    }

    fn text(text: String) -> Layer {
        Layer::Text(TextLayer {
            role: Role::Body,
            text,
            rect: Rect::new(0.0, 0.0, 100.0, 100.0),
            size: 20.0,
            leading: 1.2,
            voice: Voice::Text,
            color: Color::BLACK,
            align: Align::Start,
            anchor: Anchor::Top,
            hyphenate: true,
            tracking: 0.0,
        })
    }

    fn picture(width: f32, height: f32) -> Layer {
        Layer::Picture { slot: Slot::Logo, rect: Rect::new(0.0, 0.0, width, height), radius: 0.0 }
    }

    #[test]
    fn every_bound_is_kept_and_says_where_it_is_broken() {
        let Layer::Text(small) = text("So.".to_owned()) else { panic!("it is a text") };
        let rect = Rect::new(0.0, 0.0, 10.0, 10.0);
        let panel = |rect, width| Layer::Panel {
            rect,
            radius: 0.0,
            color: Color::WHITE,
            opacity: 1.0,
            border: Some(Border { color: Color::BLACK, width }),
            shadow: false,
        };
        let stop = |at, opacity| Stop { at, color: Color::WHITE, opacity };
        let scrim = |feather| Layer::Scrim { rect, feather, color: Color::BLACK, opacity: 0.5 };
        for (layer, path) in [
            (Layer::Text(TextLayer { size: 3.9, ..small.clone() }), "layers.0.size"),
            (Layer::Text(TextLayer { size: 1e9, ..small.clone() }), "layers.0.size"),
            (Layer::Text(TextLayer { leading: 4.1, ..small.clone() }), "layers.0.leading"),
            (Layer::Text(TextLayer { tracking: -0.3, ..small }), "layers.0.tracking"),
            (text("x".repeat(TEXT + 1)), "layers.0.text"),
            (Layer::Gradient { angle: f32::NAN, stops: vec![stop(0.0, 1.0); 2] }, "layers.0.angle"),
            (Layer::Gradient { angle: 0.0, stops: vec![stop(0.0, 1.0)] }, "layers.0.stops"),
            (Layer::Gradient { angle: 0.0, stops: vec![stop(0.0, 1.0); 9] }, "layers.0.stops"),
            (Layer::Gradient { angle: 0.0, stops: vec![stop(1.1, 1.0); 2] }, "layers.0.stops.at"),
            (Layer::Clouds { base: Color::WHITE, colors: Vec::new(), seed: 0 }, "layers.0.colors"),
            (Layer::Clouds { base: Color::WHITE, colors: vec![Color::BLACK; 9], seed: 0 }, "layers.0.colors"),
            (panel(Rect { x: f32::INFINITY, ..rect }, 1.0), "layers.0.rect.x"),
            (panel(Rect { y: -10_001.0, ..rect }, 1.0), "layers.0.rect.y"),
            (panel(Rect { width: -1.0, ..rect }, 1.0), "layers.0.rect.width"),
            (panel(rect, 1e9), "layers.0.border.width"),
            (scrim(-1.0), "layers.0.feather"),
            (picture(0.5, 9.0), "layers.0.rect.width"),
            (picture(10_000.0, 10_000.0), "layers"),
        ] {
            let refused = scene(vec![layer.clone()]).check().unwrap_err();
            assert_eq!(refused.path(), path, "{layer:?}");
        }
        // What one may have, many may not.
        let many = |layer: Layer, count| scene(vec![layer; count]).check();
        assert_eq!(many(text("x".repeat(TEXT)), 2), Ok(()));
        assert_eq!(many(text("x".repeat(TEXT)), 3), Err(SceneError::Texts));
        assert_eq!(many(picture(4_096.0, 4_096.0), 1), Ok(()));
        assert_eq!(many(picture(4_096.0, 4_096.0), 2), Err(SceneError::Pictures));
    }

    #[test]
    fn a_seed_survives_programs_that_know_only_floating_point_numbers() {
        for (seed, written) in
            [(7, "7"), (1 << 53, "9007199254740992"), (u64::MAX, "\"18446744073709551615\"")]
        {
            let layer = Layer::Clouds { base: Color::WHITE, colors: vec![Color::BLACK], seed };
            let json = serde_json::to_string(&layer).unwrap();
            assert!(json.ends_with(&format!("\"seed\":{written}}}")), "{json}");
            assert_eq!(serde_json::from_str::<Layer>(&json).unwrap(), layer);
            // As it was written before.
            let json = json.replace(written, &seed.to_string());
            assert_eq!(serde_json::from_str::<Layer>(&json).unwrap(), layer);
        }
        let wrong = r##"{"type":"CLOUDS","base":"#FFFFFF","colors":[],"seed":-1}"##;
        assert!(serde_json::from_str::<Layer>(wrong).unwrap_err().to_string().contains("`seed` is a whole"));
    }

    #[test]
    fn a_scene_survives_json() {
        let scene = scene(vec![
            Layer::Fill { color: Color::new(1, 2, 3), opacity: 0.5 },
            Layer::Pattern { pattern: Pattern::Rings, color: Color::BLACK, opacity: 0.25, seed: 7 },
        ]);
        let json = serde_json::to_string(&scene).unwrap();
        assert!(json.contains(r##""type":"PATTERN","pattern":"RINGS","color":"#000000""##), "{json}");
        assert_eq!(serde_json::from_str::<Scene>(&json).unwrap(), scene);
    }
}
