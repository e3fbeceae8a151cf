//! Captions in the film: the words of a cue rise into place one after the other, or come all at once, over a veil that makes
//! them readable.

use tiny_skia::{FillRule, FilterQuality, Pixmap, PixmapMut, PixmapPaint, Transform};
use unicode_segmentation::UnicodeSegmentation;

use super::camera::smooth;
use super::{CaptionStyle, Cue};
use crate::Language;
use crate::visuals::Color;
use crate::visuals::backdrop;
use crate::visuals::fonts::{Face, Typeface, Voice};
use crate::visuals::paint::{PlacedLine, SetText, measure, outline, required_contrast, rounded};
use crate::visuals::scene::{Anchor, Rect, Role, Scene, TextLayer};
use crate::visuals::text::{Align, Shaped, clean, largest};

/// How captions look in a film.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub width: u32,
    pub height: u32,
    pub typeface: Typeface,
    pub style: CaptionStyle,
    pub language: Language,
    pub ink: Color,
    pub accent: Color,
    pub veil: Color,
}

/// A cue that can be drawn.
pub(crate) struct Caption {
    /// The scene that it belongs to.
    pub scene: usize,
    words: Vec<Word>,
    bar: Option<Pixmap>,
    bar_at: (f32, f32),
    lines: Vec<PlacedLine>,
    /// Around all lines.
    rect: Rect,
    size: f32,
    style: CaptionStyle,
    required: f32,
    start: f64,
    end: f64,
}

/// A word as pixels, and where they belong.
struct Word {
    pixels: Pixmap,
    x: f32,
    y: f32,
}

/// Seconds in which a word comes.
const COMING: f64 = 0.28;
/// Seconds between words at the most.
const STAGGER: f64 = 0.11;
/// Seconds in which a cue goes.
const GOING: f64 = 0.16;

impl Caption {
    /// Sets a cue in a box of the film: its middle at a share of the height.
    pub(crate) fn new(cue: &Cue, look: &Look, middle: f32, largest_size: f32) -> Self {
        let (width, height) = (f32_of(look.width), f32_of(look.height));
        let unit = width / 1080.0;
        let room = Rect::new(width * 0.09, height * middle - height * 0.17, width * 0.82, height * 0.34);
        let mut layer = TextLayer {
            role: Role::Body,
            text: cue.text.clone(),
            rect: room,
            size: 76.0 * unit,
            leading: if look.typeface == Typeface::Sans { 1.14 } else { 1.2 },
            voice: Voice::Display,
            color: look.ink,
            align: Align::Center,
            anchor: Anchor::Middle,
            hyphenate: true,
            tracking: if look.typeface == Typeface::Sans { -0.02 } else { 0.0 },
        };
        let scene = Scene {
            width: look.width,
            height: look.height,
            typeface: look.typeface,
            language: look.language,
            safe: room,
            layers: Vec::new(),
        };
        let setting = crate::visuals::paint::setting(&layer, &scene);
        let text = clean(&layer.text, Face::of(look.typeface, Voice::Display)).text;
        let shaped = Shaped::new(&text, setting);
        layer.size = largest(40.0 * unit, largest_size * unit, |size| {
            let block = shaped.at(size, room.width, room.height, layer.leading);
            !block.overflow && !block.forced && block.lines.len() <= 4
        });
        let set = SetText::new(&layer, &scene);
        let lines = set.lines();
        let rect = lines.iter().map(PlacedLine::rect).reduce(Rect::union).unwrap_or(room);
        let words = words(&set.drawn, &lines, look.ink);
        let required = required_contrast(&layer, &scene);
        let (bar, bar_at) = match look.style {
            CaptionStyle::Words => bar(look, rect, unit),
            CaptionStyle::Lines => (None, (0.0, 0.0)),
        };
        Self {
            scene: cue.scene,
            words,
            bar,
            bar_at,
            lines,
            rect,
            size: layer.size,
            style: look.style,
            required,
            start: cue.start_seconds,
            end: cue.end_seconds,
        }
    }

    /// Where the veil is full, and over how many pixels it fades.
    pub(crate) fn veil_area(&self) -> (Rect, f32) {
        (self.rect.inset(-0.5 * self.size), 3.2 * self.size)
    }

    /// The least contrast with what is behind.
    pub(crate) fn contrast(&self, behind: &Pixmap, ink: Color) -> f32 {
        measure(behind, &self.lines, ink)
    }

    /// What its size asks for.
    pub(crate) fn required(&self) -> f32 {
        self.required
    }

    /// Whether it is on the screen at a time.
    fn is_shown(&self, seconds: f64) -> bool {
        seconds >= self.start && seconds < self.end
    }

    /// Draws it as it is at a time.
    pub(crate) fn draw(&self, frame: &mut PixmapMut<'_>, seconds: f64) {
        if !self.is_shown(seconds) {
            return;
        }
        let going = ((self.end - seconds) / GOING).clamp(0.0, 1.0);
        // All words have come when a third of the cue is over.
        let count = u32::try_from(self.words.len().max(1)).unwrap_or(1);
        let (stagger, height) = match self.style {
            CaptionStyle::Words => (STAGGER.min((self.end - self.start) / 3.0 / f64::from(count)), 0.34),
            CaptionStyle::Lines => (0.0, 0.0),
        };
        if let Some(bar) = &self.bar {
            let opacity = smooth((seconds - self.start) / COMING) * smooth(going);
            put(frame, bar, self.bar_at.0, self.bar_at.1, opacity);
        }
        for (index, word) in (0_u32..).zip(&self.words) {
            let come = smooth((seconds - self.start - f64::from(index) * stagger) / COMING);
            if come <= 0.0 {
                continue;
            }
            let rise = height * self.size * f32_from(1.0 - come);
            put(frame, &word.pixels, word.x, word.y + rise, come * smooth(going));
        }
    }
}

/// Draws pixels at a place; between pixels they are interpolated.
#[expect(clippy::cast_possible_truncation, reason = "within the frame")]
fn put(frame: &mut PixmapMut<'_>, pixels: &Pixmap, x: f32, y: f32, opacity: f64) {
    let quality = if y.fract() == 0.0 { FilterQuality::Nearest } else { FilterQuality::Bilinear };
    let paint = PixmapPaint { opacity: f32_from(opacity), quality, ..PixmapPaint::default() };
    let (whole_x, whole_y) = (x.floor() as i32, y.floor() as i32);
    frame.draw_pixmap(
        whole_x,
        whole_y,
        pixels.as_ref(),
        &paint,
        Transform::from_translate(0.0, y.fract()),
        None,
    );
}

/// The words of placed lines as pixels, with a soft edge of shadow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a word is smaller than the frame"
)]
fn words(text: &str, lines: &[PlacedLine], ink: Color) -> Vec<Word> {
    let mut words = Vec::new();
    for line in lines {
        let found = text.get(line.line.start..line.line.end).unwrap_or_default();
        for (offset, word) in found.split_word_bound_indices().fold(Vec::new(), joined) {
            let (start, end) = (line.line.start + offset, line.line.start + offset + word);
            let glyphs: Vec<_> =
                line.glyphs.iter().filter(|glyph| (start..end).contains(&glyph.cluster)).copied().collect();
            let Some(path) = outline(&glyphs, line.size, line.x, line.baseline) else { continue };
            let bounds = path.bounds();
            let edge = 0.12 * line.size + 2.0;
            let (x, y) = ((bounds.left() - edge).floor(), (bounds.top() - edge).floor());
            let (width, height) = (bounds.right() + edge - x, bounds.bottom() + edge - y);
            let Some(mut pixels) = Pixmap::new(width.ceil() as u32, height.ceil() as u32) else { continue };
            let at = Transform::from_translate(-x, -y);
            for (grow, opacity) in [(0.10, 0.10), (0.06, 0.12), (0.03, 0.14)] {
                let stroke = tiny_skia::Stroke {
                    width: 2.0 * grow * line.size,
                    line_join: tiny_skia::LineJoin::Round,
                    ..tiny_skia::Stroke::default()
                };
                let lowered = at.post_translate(0.0, 0.02 * line.size);
                pixels.stroke_path(&path, &backdrop::paint(Color::BLACK, opacity), &stroke, lowered, None);
            }
            pixels.fill_path(&path, &backdrop::paint(ink, 1.0), FillRule::Winding, at, None);
            words.push(Word { pixels, x, y });
        }
    }
    words
}

/// Joins what stands between two spaces: punctuation comes with its word.
fn joined(mut words: Vec<(usize, usize)>, (offset, part): (usize, &str)) -> Vec<(usize, usize)> {
    if part.trim().is_empty() {
        return words;
    }
    match words.last_mut() {
        Some((start, length)) if *start + *length == offset => *length += part.len(),
        _ => words.push((offset, part.len())),
    }
    words
}

/// The short bar over a caption.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bar is small")]
fn bar(look: &Look, rect: Rect, unit: f32) -> (Option<Pixmap>, (f32, f32)) {
    let (width, height) = ((84.0 * unit).round(), (10.0 * unit).round());
    let at = ((f32_of(look.width) - width) / 2.0, (rect.y - 58.0 * unit).round());
    let pixels = Pixmap::new(width as u32, height as u32).map(|mut pixels| {
        if let Some(path) = rounded(Rect::new(0.0, 0.0, width, height), height / 2.0) {
            pixels.fill_path(
                &path,
                &backdrop::paint(look.accent, 1.0),
                FillRule::Winding,
                Transform::identity(),
                None,
            );
        }
        pixels
    });
    (pixels, (at.0.round(), at.1))
}

#[expect(clippy::cast_precision_loss, reason = "a frame is small")]
pub(crate) fn f32_of(value: u32) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "precision is not needed")]
pub(crate) fn f32_from(value: f64) -> f32 {
    value as f32
}
