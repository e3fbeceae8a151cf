//! Drawing a scene, and measuring what stands behind its texts.

use std::collections::HashMap;

use harfrust::GlyphId;
use harfrust::font::glyph::outline::{DrawMemory, DrawOptions, PathSink};
use tiny_skia::{FillRule, Mask, Path, PathBuilder, Pixmap, PixmapPaint, Stroke, Transform};

use super::backdrop;
use super::color::{Color, contrast, linear, luminance};
use super::fonts::Face;
use super::picture::{Area, Filter, Picture, resize};
use super::scene::{Anchor, Layer, Rect, Role, Scene, SceneError, Slot, TextLayer};
use super::text::{Align, Block, Line, Setting, Shaped, shorten};
use super::{Pictures, TextBlockReport};

/// A drawn scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The pixels, all opaque.
    pub picture: Picture,
    /// What was measured of every text, ornaments aside.
    pub blocks: Vec<TextBlockReport>,
}

/// Draws a scene.
pub fn render(scene: &Scene, pictures: &Pictures<'_>) -> Result<Rendered, SceneError> {
    let mut pixmap = base(scene, pictures)?;
    let mut blocks = Vec::new();
    for layer in &scene.layers {
        if let Layer::Text(text) = layer {
            let set = SetText::new(text, scene);
            if text.role != Role::Ornament {
                blocks.push(set.report(&pixmap, scene));
            }
        }
    }
    for layer in &scene.layers {
        if let Layer::Text(text) = layer {
            SetText::new(text, scene).draw(&mut pixmap);
        }
    }
    Ok(Rendered { picture: picture_of(pixmap).ok_or(SceneError::Size)?, blocks })
}

/// Draws everything but the texts.
pub(crate) fn base(scene: &Scene, pictures: &Pictures<'_>) -> Result<Pixmap, SceneError> {
    scene.check()?;
    let mut pixmap = Pixmap::new(scene.width, scene.height).ok_or(SceneError::Size)?;
    pixmap.fill(tiny_skia::Color::WHITE);
    for (index, layer) in scene.layers.iter().enumerate() {
        draw_layer(&mut pixmap, layer, pictures).ok_or(SceneError::Picture { layer: index })?;
    }
    Ok(pixmap)
}

/// An opaque canvas as a picture.
pub(crate) fn picture_of(pixmap: Pixmap) -> Option<Picture> {
    let (width, height) = (pixmap.width(), pixmap.height());
    Picture::new(width, height, pixmap.take_demultiplied())
}

fn draw_layer(pixmap: &mut Pixmap, layer: &Layer, pictures: &Pictures<'_>) -> Option<()> {
    match layer {
        Layer::Fill { color, opacity } => {
            let color = [f32::from(color.r), f32::from(color.g), f32::from(color.b)];
            if *opacity >= 1.0 {
                let [r, g, b] = color;
                pixmap.fill(tiny_skia::Color::from_rgba(r / 255.0, g / 255.0, b / 255.0, 1.0)?);
            } else {
                backdrop::shade(pixmap, |_, _| (color, *opacity));
            }
        }
        Layer::Gradient { angle, stops } => backdrop::gradient(pixmap, *angle, stops),
        Layer::Clouds { base, colors, seed } => backdrop::clouds(pixmap, *base, colors, *seed),
        Layer::Pattern { pattern, color, opacity, seed } => {
            backdrop::pattern(pixmap, *pattern, *color, *opacity, *seed);
        }
        Layer::Picture { slot, rect, radius } => {
            draw_picture(pixmap, pictures.get(*slot)?, *slot, *rect, *radius);
        }
        Layer::Panel { rect, radius, color, opacity, border, shadow } => {
            if *shadow {
                let below = Rect { y: rect.y + 22.0, ..rect.inset(14.0) };
                backdrop::scrim(pixmap, below, 74.0, Color::BLACK, 0.17);
            }
            if let Some(path) = rounded(*rect, *radius) {
                let paint = backdrop::paint(*color, *opacity);
                pixmap.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
            }
            if let Some(border) = border
                && let Some(path) = rounded(rect.inset(border.width / 2.0), radius - border.width / 2.0)
            {
                let stroke = Stroke { width: border.width, ..Stroke::default() };
                pixmap.stroke_path(
                    &path,
                    &backdrop::paint(border.color, 1.0),
                    &stroke,
                    Transform::identity(),
                    None,
                );
            }
        }
        Layer::Scrim { rect, feather, color, opacity } => {
            backdrop::scrim(pixmap, *rect, *feather, *color, *opacity);
        }
        Layer::Text(_) => {}
    }
    Some(())
}

/// A rectangle with round corners.
pub(crate) fn rounded(rect: Rect, radius: f32) -> Option<Path> {
    let radius = radius.clamp(0.0, rect.width.min(rect.height) / 2.0);
    let (left, top, right, bottom) = (rect.x, rect.y, rect.right(), rect.bottom());
    if radius < 0.5 {
        return tiny_skia::Rect::from_ltrb(left, top, right, bottom).map(PathBuilder::from_rect);
    }
    // How far the control points of a quarter of a circle stand from its ends.
    let k = radius * (1.0 - 0.552_284_8);
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.cubic_to(right - k, top, right, top + k, right, top + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(right, bottom - k, right - k, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.cubic_to(left + k, bottom, left, bottom - k, left, bottom - radius);
    path.line_to(left, top + radius);
    path.cubic_to(left, top + k, left + k, top, left + radius, top);
    path.close();
    path.finish()
}

/// Draws a picture: a background covers its rectangle, a logo fits into it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the scene has been checked"
)]
fn draw_picture(pixmap: &mut Pixmap, picture: &Picture, slot: Slot, rect: Rect, radius: f32) {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let (area, target) = match slot {
        Slot::Background => (covering(picture, f64::from(rect.width) / f64::from(rect.height)), rect),
        Slot::Logo => {
            let scale = (rect.width / picture.width() as f32).min(rect.height / picture.height() as f32);
            let (w, h) = (picture.width() as f32 * scale, picture.height() as f32 * scale);
            let whole = Area { left: 0.0, top: 0.0, width, height };
            (whole, Rect::new(rect.x + (rect.width - w) / 2.0, rect.y + (rect.height - h) / 2.0, w, h))
        }
    };
    let size = (target.width.round().max(1.0) as u32, target.height.round().max(1.0) as u32);
    let Some(scaled) = resize(picture, area, size.0, size.1, Filter::Sharp).as_ref().and_then(premultiplied)
    else {
        return;
    };
    let mask = (radius > 0.5).then(|| rounded(rect, radius)).flatten().and_then(|path| {
        let mut mask = Mask::new(pixmap.width(), pixmap.height())?;
        mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
        Some(mask)
    });
    let (x, y) = (target.x.round() as i32, target.y.round() as i32);
    pixmap.draw_pixmap(x, y, scaled.as_ref(), &PixmapPaint::default(), Transform::identity(), mask.as_ref());
}

/// The largest middle part of a picture with a shape, as width through height.
pub(crate) fn covering(picture: &Picture, shape: f64) -> Area {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let (w, h) = if width / height > shape { (height * shape, height) } else { (width, width / shape) };
    Area { left: (width - w) / 2.0, top: (height - h) / 2.0, width: w, height: h }
}

/// A picture as the painter has it.
pub(crate) fn premultiplied(picture: &Picture) -> Option<Pixmap> {
    let size = tiny_skia::IntSize::from_wh(picture.width(), picture.height())?;
    let mut data = picture.rgba().to_vec();
    for pixel in data.as_chunks_mut::<4>().0 {
        let alpha = u16::from(pixel[3]);
        if alpha < 255 {
            for value in &mut pixel[..3] {
                *value = u8::try_from((u16::from(*value) * alpha + 127) / 255).unwrap_or(255);
            }
        }
    }
    Pixmap::from_vec(data, size)
}

/// A text in lines at its place.
pub(crate) struct SetText<'a> {
    layer: &'a TextLayer,
    /// What is drawn: the text, or the beginning of it that fits.
    pub drawn: String,
    setting: Setting,
    /// Whether the text was shortened.
    pub overflow: bool,
}

/// How a layer's text is set.
pub(crate) fn setting(layer: &TextLayer, scene: &Scene) -> Setting {
    Setting {
        face: Face::of(scene.typeface, layer.voice),
        language: scene.language,
        hyphenate: layer.hyphenate,
        tracking: layer.tracking,
    }
}

impl<'a> SetText<'a> {
    pub(crate) fn new(layer: &'a TextLayer, scene: &Scene) -> Self {
        let setting = setting(layer, scene);
        let clean = super::text::clean(&layer.text, setting.face).text;
        let (width, limit) = (layer.rect.width.max(1.0), layer.rect.height.max(1.0));
        let overflow = Shaped::new(&clean, setting).at(layer.size, width, limit, layer.leading).overflow;
        let drawn =
            if overflow { shorten(&clean, setting, layer.size, width, limit, layer.leading) } else { clean };
        Self { layer, drawn, setting, overflow }
    }

    fn lay_out(&self) -> (Shaped<'_>, Block) {
        let shaped = Shaped::new(&self.drawn, self.setting);
        let rect = self.layer.rect;
        let block = shaped.at(self.layer.size, rect.width.max(1.0), rect.height.max(1.0), self.layer.leading);
        (shaped, block)
    }

    /// The lines with the left end of their baselines and their widths, in pixels.
    pub(crate) fn lines(&self) -> Vec<PlacedLine> {
        let (shaped, block) = self.lay_out();
        let layer = self.layer;
        let cap = self.setting.face.cap_height();
        let height = block.height(cap);
        let top = match layer.anchor {
            Anchor::Top => layer.rect.y,
            Anchor::Middle => layer.rect.y + (layer.rect.height - height) / 2.0,
            Anchor::Bottom => layer.rect.bottom() - height,
        };
        let mut baseline = top + cap * block.size;
        let mut placed = Vec::with_capacity(block.lines.len());
        for line in &block.lines {
            let (glyphs, width) = shaped.place(line);
            let width = width * block.size;
            let free = layer.rect.width - width;
            let right_to_left = shaped.is_right_to_left(line);
            let x = match (layer.align, right_to_left) {
                (Align::Center, _) => layer.rect.x + free / 2.0,
                (Align::Start, false) | (Align::End, true) => layer.rect.x,
                (Align::Start, true) | (Align::End, false) => layer.rect.x + free,
            };
            placed.push(PlacedLine { line: line.clone(), x, baseline, width, size: block.size, cap, glyphs });
            baseline += block.size * block.leading;
        }
        placed
    }

    pub(crate) fn draw(&self, pixmap: &mut Pixmap) {
        for line in self.lines() {
            if let Some(path) = outline(&line.glyphs, line.size, line.x, line.baseline) {
                let paint = backdrop::paint(self.layer.color, 1.0);
                pixmap.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
            }
        }
    }

    /// Measures the text on what is behind it.
    pub(crate) fn report(&self, behind: &Pixmap, scene: &Scene) -> TextBlockReport {
        let lines = self.lines();
        let around = lines.iter().map(PlacedLine::rect).reduce(Rect::union);
        TextBlockReport {
            role: self.layer.role,
            text: self.drawn.clone(),
            font_size: self.layer.size,
            contrast: measure(behind, &lines, self.layer.color),
            required_contrast: required_contrast(self.layer, scene),
            overflow: self.overflow,
            in_safe_area: around.is_none_or(|around| scene.safe.contains(around)),
        }
    }
}

/// A line at its place, in pixels.
pub(crate) struct PlacedLine {
    pub line: Line,
    pub x: f32,
    pub baseline: f32,
    pub width: f32,
    pub size: f32,
    pub cap: f32,
    pub glyphs: Vec<super::text::Glyph>,
}

impl PlacedLine {
    /// From the top of the capitals to below the descenders.
    pub(crate) fn rect(&self) -> Rect {
        let top = self.baseline - self.cap * self.size;
        Rect::new(self.x, top, self.width, (self.cap + 0.22) * self.size)
    }
}

/// The contrast that WCAG 2.2 asks of a text (1.4.3): 3 if it is large, else 4.5.
///
/// Large is 24 CSS pixels, or 18.66 if bold. A phone shows a slide about 390 CSS pixels wide, which gives the scale.
pub(crate) fn required_contrast(layer: &TextLayer, scene: &Scene) -> f32 {
    let css = layer.size * 390.0 / width_of(scene);
    let bold = Face::of(scene.typeface, layer.voice).bold();
    if css >= 24.0 || (bold && css >= 18.66) { 3.0 } else { 4.5 }
}

#[expect(clippy::cast_precision_loss, reason = "a slide is small")]
pub(crate) fn width_of(scene: &Scene) -> f32 {
    scene.width as f32
}

#[expect(clippy::cast_precision_loss, reason = "a slide is small")]
pub(crate) fn height_of(scene: &Scene) -> f32 {
    scene.height as f32
}

/// Side of the cells over which the background is averaged, in pixels: about as wide as a stroke of a letter.
const CELL: usize = 8;

/// The least contrast of a colour with the cells behind lines of text.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the canvas first")]
#[expect(clippy::cast_precision_loss, reason = "a canvas is small")]
pub(crate) fn measure(behind: &Pixmap, lines: &[PlacedLine], color: Color) -> f32 {
    let own = color.luminance();
    let (width, height) = (behind.width() as usize, behind.height() as usize);
    let clamp = |value: f32, side: usize| value.clamp(0.0, side as f32) as usize;
    let data = behind.data();
    let mut least = f32::INFINITY;
    let table: Vec<f32> = (0..=255).map(linear).collect();
    let value = |byte: u8| table.get(usize::from(byte)).copied().unwrap_or(0.0);
    for line in lines {
        let rect = line.rect();
        let (left, right) = (clamp(rect.x, width), clamp(rect.right().ceil(), width));
        let (top, bottom) = (clamp(rect.y, height), clamp(rect.bottom().ceil(), height));
        for cell_top in (top..bottom).step_by(CELL) {
            for cell_left in (left..right).step_by(CELL) {
                let (mut sum, mut count) = ([0.0_f32; 3], 0.0_f32);
                for y in cell_top..(cell_top + CELL).min(bottom) {
                    let row = data.get((y * width + cell_left) * 4..).unwrap_or_default();
                    let cells = (right - cell_left).min(CELL);
                    for pixel in row.as_chunks::<4>().0.iter().take(cells) {
                        let [r, g, b, _] = *pixel;
                        sum = [sum[0] + value(r), sum[1] + value(g), sum[2] + value(b)];
                        count += 1.0;
                    }
                }
                if count > 0.0 {
                    least = least.min(contrast(own, luminance(sum.map(|value| value / count))));
                }
            }
        }
    }
    if least.is_finite() { least } else { 1.0 }
}

/// The outlines of glyphs at a place.
pub(crate) fn outline(glyphs: &[super::text::Glyph], size: f32, x: f32, baseline: f32) -> Option<Path> {
    let mut pen = Pen { path: PathBuilder::new(), scale: size, x: 0.0, y: 0.0 };
    let mut outlines = HashMap::new();
    for glyph in glyphs {
        let Some(font) = glyph.face.font() else { continue };
        let found = outlines.entry(glyph.face).or_insert_with(|| font.outline_glyphs());
        let Some(shape) = found.get(GlyphId::new(glyph.id)) else { continue };
        pen.scale = size / f32::from(font.units_per_em().max(1));
        pen.x = x + glyph.x * size;
        pen.y = baseline - glyph.y * size;
        // A glyph that cannot be drawn leaves its space empty; the embedded fonts have none.
        let _ = shape.draw(&DrawOptions::new(), DrawMemory::Scratch, &mut pen);
    }
    pen.path.finish()
}

/// Takes outlines in font units with y upwards and puts them into a path.
struct Pen {
    path: PathBuilder,
    scale: f32,
    x: f32,
    y: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl PathSink for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, cx0: f32, cy0: f32, x: f32, y: f32) {
        let ((a, b), (x, y)) = (self.at(cx0, cy0), self.at(x, y));
        self.path.quad_to(a, b, x, y);
    }

    #[expect(clippy::many_single_char_names, reason = "coordinates of four points")]
    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        let ((a, b), (c, d), (x, y)) = (self.at(cx0, cy0), self.at(cx1, cy1), self.at(x, y));
        self.path.cubic_to(a, b, c, d, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
