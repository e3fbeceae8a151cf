//! Making texts readable: the colour that stands out, and a veil where that is not enough.

use tiny_skia::Pixmap;

use super::backdrop;
use super::color::Color;
use super::paint::{PlacedLine, SetText, base, measure, required_contrast};
use super::scene::{Layer, Rect, Scene, SceneError};
use super::{Pictures, Role};

/// Texts that share a colour and a veil, and what they may be coloured in, the preferred first.
pub(crate) struct Group {
    pub roles: Vec<Role>,
    pub inks: Vec<Color>,
    /// What is taken instead where it stands out without a veil and those do not.
    pub instead: Option<Color>,
    /// Whether its veil runs from edge to edge, as the text in the middle has it; else it stays close.
    pub wide: bool,
}

/// The veil's colours: under light text and under dark text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Veils {
    pub dark: Color,
    pub light: Color,
}

/// Contrast above what is required, so that rounding and the encoder's losses leave enough.
const MARGIN: f32 = 0.2;

/// Contrast beyond what is required at which another ink is better than a veil.
const COMFORTABLE: f32 = 1.5;

/// Colours the groups' texts and adds the least veils that give them the contrast they need.
pub(crate) fn protect(
    scene: &mut Scene,
    pictures: &Pictures<'_>,
    groups: &[Group],
    veils: Veils,
) -> Result<(), SceneError> {
    let mut behind = base(scene, pictures)?;
    for group in groups {
        let Some(texts) = Texts::of(scene, group) else { continue };
        // The first ink that is readable as it is; else the one that comes closest.
        let mut best = None::<(Color, f32)>;
        for ink in &group.inks {
            let least = texts.least(&behind, *ink);
            if best.is_none_or(|(_, found)| least > found) {
                best = Some((*ink, least));
            }
            if least >= 0.0 {
                break;
            }
        }
        let Some((mut ink, mut least)) = best else { continue };
        if let Some(instead) = group.instead
            && least < 0.0
        {
            let found = texts.least(&behind, instead);
            if found >= COMFORTABLE {
                (ink, least) = (instead, found);
            }
        }
        for layer in &mut scene.layers {
            if let Layer::Text(text) = layer
                && group.roles.contains(&text.role)
            {
                text.color = ink;
            }
        }
        if least >= 0.0 {
            continue;
        }
        let veil = if ink.luminance() > 0.4 { veils.dark } else { veils.light };
        let opacity = texts.veil(&behind, ink, veil);
        backdrop::scrim(&mut behind, texts.rect, texts.feather, veil, opacity);
        let at = scene
            .layers
            .iter()
            .position(|layer| matches!(layer, Layer::Text(_)))
            .unwrap_or(scene.layers.len());
        scene
            .layers
            .insert(at, Layer::Scrim { rect: texts.rect, feather: texts.feather, color: veil, opacity });
    }
    Ok(())
}

/// The lines of a group and what each must reach.
struct Texts {
    lines: Vec<(Vec<PlacedLine>, f32)>,
    rect: Rect,
    feather: f32,
}

impl Texts {
    fn of(scene: &Scene, group: &Group) -> Option<Self> {
        let mut lines = Vec::new();
        for layer in &scene.layers {
            if let Layer::Text(text) = layer
                && group.roles.contains(&text.role)
            {
                lines.push((SetText::new(text, scene).lines(), required_contrast(text, scene)));
            }
        }
        let around = lines.iter().flat_map(|(lines, _)| lines).map(PlacedLine::rect).reduce(Rect::union)?;
        let size = lines.iter().flat_map(|(lines, _)| lines).map(|line| line.size).fold(0.0, f32::max);
        let near = around.inset(-0.4 * size);
        let (width, height) = (super::paint::width_of(scene), super::paint::height_of(scene));
        let (rect, feather) = if group.wide {
            (Rect { x: -width, width: 3.0 * width, ..near }, 0.24 * height)
        } else {
            (near, (3.0 * size).clamp(80.0, 260.0))
        };
        Some(Self { lines, rect, feather })
    }

    /// How much contrast there is beyond what is required, at the worst place.
    fn least(&self, behind: &Pixmap, ink: Color) -> f32 {
        self.lines
            .iter()
            .map(|(lines, required)| measure(behind, lines, ink) - required - MARGIN)
            .fold(f32::INFINITY, f32::min)
    }

    /// The least opacity of a veil that suffices, to a sixty-fourth; 1 when none does.
    fn veil(&self, behind: &Pixmap, ink: Color, veil: Color) -> f32 {
        let suffices = |opacity: f32| {
            let mut tried = behind.clone();
            backdrop::scrim(&mut tried, self.rect, self.feather, veil, opacity);
            self.least(&tried, ink) >= 0.0
        };
        super::text::largest(0.0, 63.0, |step| !suffices(step / 64.0)) / 64.0 + 1.0 / 64.0
    }
}
