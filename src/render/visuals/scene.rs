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
        /// Where they are.
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
        /// Where they are.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SceneError {
    /// The canvas is too small or too large.
    #[error("a slide must have 64 to 4096 pixels a side")]
    Size,
    /// There are too many layers.
    #[error("a slide has at most {0} layers", LAYERS)]
    Layers,
    /// A number is not finite or far outside.
    #[error("layer {layer} has a number that is out of range")]
    Number {
        /// Which, from 0.
        layer: usize,
    },
    /// A text is too long.
    #[error("the text of layer {layer} has more than {} bytes", TEXT)]
    Text {
        /// Which, from 0.
        layer: usize,
    },
    /// A picture was not given.
    #[error("layer {layer} shows a picture that was not given")]
    Picture {
        /// Which, from 0.
        layer: usize,
    },
}

/// Layers at the most.
pub const LAYERS: usize = 60;
/// Bytes of a text at the most.
pub const TEXT: usize = 5_000;

impl Scene {
    /// Whether the scene can be drawn within bounds, whoever edited it.
    pub fn check(&self) -> Result<(), SceneError> {
        if !(64..=4096).contains(&self.width) || !(64..=4096).contains(&self.height) {
            return Err(SceneError::Size);
        }
        if self.layers.len() > LAYERS {
            return Err(SceneError::Layers);
        }
        for (layer, found) in self.layers.iter().enumerate() {
            if let Layer::Text(text) = found
                && text.text.len() > TEXT
            {
                return Err(SceneError::Text { layer });
            }
            if !found.numbers_are_sound() {
                return Err(SceneError::Number { layer });
            }
        }
        Ok(())
    }
}

impl Layer {
    fn numbers_are_sound(&self) -> bool {
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let length = |value: f32| (0.0..=10_000.0).contains(&value);
        let place = |value: f32| (-10_000.0..=10_000.0).contains(&value);
        let rect = |r: &Rect| place(r.x) && place(r.y) && length(r.width) && length(r.height);
        match self {
            Self::Fill { opacity, .. } | Self::Pattern { opacity, .. } => share(*opacity),
            Self::Gradient { angle, stops } => {
                place(*angle)
                    && (2..=8).contains(&stops.len())
                    && stops.iter().all(|s| share(s.at) && share(s.opacity))
            }
            Self::Clouds { colors, .. } => (1..=8).contains(&colors.len()),
            Self::Picture { rect: r, radius, .. } => {
                rect(r)
                    && length(*radius)
                    && r.width >= 1.0
                    && r.height >= 1.0
                    && r.width * r.height <= 16_777_216.0
            }
            Self::Panel { rect: r, radius, opacity, border, .. } => {
                rect(r)
                    && length(*radius)
                    && share(*opacity)
                    && border.is_none_or(|border| length(border.width))
            }
            Self::Scrim { rect: r, feather, opacity, .. } => rect(r) && length(*feather) && share(*opacity),
            Self::Text(text) => {
                rect(&text.rect)
                    && (4.0..=1_000.0).contains(&text.size)
                    && (0.5..=4.0).contains(&text.leading)
                    && (-0.2..=1.0).contains(&text.tracking)
            }
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
            assert_eq!(scene(vec![fill(wrong)]).check(), Err(SceneError::Number { layer: 0 }));
        }
        assert_eq!(scene(vec![fill(1.0); LAYERS + 1]).check(), Err(SceneError::Layers));
        assert_eq!(Scene { width: 5_000, ..scene(Vec::new()) }.check(), Err(SceneError::Size));
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
