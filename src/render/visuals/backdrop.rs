//! Generated backgrounds: gradients, clouds and patterns, the same for the same seed.
//!
//! Slow changes of colour would show as bands with eight bits, so that they are dithered with an ordered matrix: that
//! hides the bands and, unlike noise, still compresses.

use tiny_skia::{Color as SkiaColor, FillRule, Paint, PathBuilder, Pixmap, Stroke, Transform};

use super::color::{Color, byte};
use super::scene::{Pattern, Rect, Stop};

/// Random numbers from a seed (Vigna's `SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
    pub(crate) fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Between two numbers.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.share()
    }
}

/// Bayer's ordered matrix of eight by eight.
const BAYER: [[u8; 8]; 8] = [
    [0, 32, 8, 40, 2, 34, 10, 42],
    [48, 16, 56, 24, 50, 18, 58, 26],
    [12, 44, 4, 36, 14, 46, 6, 38],
    [60, 28, 52, 20, 62, 30, 54, 22],
    [3, 35, 11, 43, 1, 33, 9, 41],
    [51, 19, 59, 27, 49, 17, 57, 25],
    [15, 47, 7, 39, 13, 45, 5, 37],
    [63, 31, 55, 23, 61, 29, 53, 21],
];

/// What is added to a value before rounding, −0.5 to 0.5.
fn dither(x: usize, y: usize) -> f32 {
    let cell = BAYER.get(y % 8).and_then(|row| row.get(x % 8)).copied().unwrap_or(32);
    (f32::from(cell) + 0.5) / 64.0 - 0.5
}

/// Blends a colour over every pixel; the function gives its red, green and blue (0 to 255) and its opacity.
#[expect(clippy::cast_precision_loss, reason = "coordinates are small")]
pub(crate) fn shade(pixmap: &mut Pixmap, color: impl Fn(f32, f32) -> ([f32; 3], f32)) {
    let whole = Rect::new(0.0, 0.0, pixmap.width() as f32, pixmap.height() as f32);
    shade_within(pixmap, whole, color);
}

/// The same for the pixels of a rectangle only.
#[expect(clippy::cast_precision_loss, reason = "coordinates are small")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the canvas")]
fn shade_within(pixmap: &mut Pixmap, rect: Rect, color: impl Fn(f32, f32) -> ([f32; 3], f32)) {
    let (width, height) = (pixmap.width() as usize, pixmap.height() as usize);
    let (left, right) = (rect.x.max(0.0) as usize, (rect.right().ceil().max(0.0) as usize).min(width));
    let (top, bottom) = (rect.y.max(0.0) as usize, (rect.bottom().ceil().max(0.0) as usize).min(height));
    let rows = pixmap.data_mut().chunks_exact_mut(width * 4).enumerate();
    for (y, row) in rows.take(bottom).skip(top) {
        for (x, pixel) in row.as_chunks_mut::<4>().0.iter_mut().enumerate().take(right).skip(left) {
            let (source, opacity) = color(x as f32 + 0.5, y as f32 + 0.5);
            if opacity <= 0.0 {
                continue;
            }
            let [r, g, b] = source;
            let noise = dither(x, y);
            let over =
                |below: u8, value: f32| byte(f32::from(below) * (1.0 - opacity) + value * opacity + noise);
            *pixel = [over(pixel[0], r), over(pixel[1], g), over(pixel[2], b), 255];
        }
    }
}

fn channels(color: Color) -> [f32; 3] {
    [f32::from(color.r), f32::from(color.g), f32::from(color.b)]
}

/// Paints a straight gradient over everything.
#[expect(clippy::cast_precision_loss, reason = "coordinates are small")]
pub(crate) fn gradient(pixmap: &mut Pixmap, angle: f32, stops: &[Stop]) {
    let mut stops = stops.to_vec();
    stops.sort_by(|a, b| a.at.total_cmp(&b.at));
    let (width, height) = (pixmap.width() as f32, pixmap.height() as f32);
    let (sin, cos) = angle.to_radians().sin_cos();
    // The whole gradient fits the canvas from corner to corner.
    let length = (width * cos.abs() + height * sin.abs()).max(1.0);
    shade(pixmap, |x, y| {
        let at = ((x - width / 2.0) * cos + (y - height / 2.0) * sin) / length + 0.5;
        between(&stops, at)
    });
}

fn between(stops: &[Stop], at: f32) -> ([f32; 3], f32) {
    let after = stops.iter().position(|stop| stop.at >= at).unwrap_or(stops.len());
    let (Some(low), Some(high)) =
        (stops.get(after.saturating_sub(1)).or(stops.last()), stops.get(after).or(stops.last()))
    else {
        return ([0.0; 3], 0.0);
    };
    let span = high.at - low.at;
    let share = if span <= f32::EPSILON { 0.0 } else { ((at - low.at) / span).clamp(0.0, 1.0) };
    // A soft start and end of every step leaves no edge.
    let share = share * share * (3.0 - 2.0 * share);
    let (a, b) = (channels(low.color), channels(high.color));
    let mix = |a: f32, b: f32| a + (b - a) * share;
    ([mix(a[0], b[0]), mix(a[1], b[1]), mix(a[2], b[2])], mix(low.opacity, high.opacity))
}

/// The distance in pixels of the points at which clouds are computed; between them they are interpolated.
const STEP: usize = 12;

/// Paints soft clouds of colours over everything.
#[expect(clippy::cast_precision_loss, reason = "coordinates are small")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates are within the canvas"
)]
pub(crate) fn clouds(pixmap: &mut Pixmap, base: Color, colors: &[Color], seed: u64) {
    let (width, height) = (pixmap.width() as f32, pixmap.height() as f32);
    let mut random = Random::new(seed);
    let reach = width.max(height);
    let spots: Vec<([f32; 3], f32, f32, f32)> = (0..colors.len().max(1) * 2)
        .filter_map(|index| {
            let color = channels(*colors.get(index % colors.len().max(1))?);
            let (x, y) = (random.between(-0.1, 1.1) * width, random.between(-0.1, 1.1) * height);
            Some((color, x, y, random.between(0.28, 0.5) * reach))
        })
        .collect();
    let base = channels(base);
    let color = |x: f32, y: f32| {
        let (mut sum, mut weight) = (base.map(|value| value * 0.35), 0.35);
        for (color, cx, cy, radius) in &spots {
            let near = (-((x - cx).powi(2) + (y - cy).powi(2)) / (radius * radius) * 2.0).exp();
            weight += near;
            for (sum, value) in sum.iter_mut().zip(color) {
                *sum += value * near;
            }
        }
        sum.map(|value| value / weight)
    };
    let columns = pixmap.width() as usize / STEP + 2;
    let rows = pixmap.height() as usize / STEP + 2;
    let grid: Vec<[f32; 3]> = (0..rows * columns)
        .map(|at| color((at % columns * STEP) as f32, (at / columns * STEP) as f32))
        .collect();
    let step = STEP as f32;
    shade(pixmap, |x, y| {
        let (gx, gy) = (x / step, y / step);
        let (cx, cy) = (gx as usize, gy as usize);
        let (fx, fy) = (gx.fract(), gy.fract());
        let at = |dx: usize, dy: usize| grid.get((cy + dy) * columns + cx + dx).copied().unwrap_or(base);
        let (a, b, c, d) = (at(0, 0), at(1, 0), at(0, 1), at(1, 1));
        let mut mixed = [0.0; 3];
        for (channel, value) in mixed.iter_mut().enumerate() {
            let pick = |corner: [f32; 3]| corner.get(channel).copied().unwrap_or(0.0);
            let top = pick(a) + (pick(b) - pick(a)) * fx;
            let bottom = pick(c) + (pick(d) - pick(c)) * fx;
            *value = top + (bottom - top) * fy;
        }
        (mixed, 1.0)
    });
}

/// Paints a veil: full within a rectangle, fading around it.
pub(crate) fn scrim(pixmap: &mut Pixmap, rect: Rect, feather: f32, color: Color, opacity: f32) {
    let color = channels(color);
    let feather = feather.max(1.0);
    shade_within(pixmap, rect.inset(-feather), |x, y| {
        let dx = (rect.x - x).max(x - rect.right()).max(0.0);
        let dy = (rect.y - y).max(y - rect.bottom()).max(0.0);
        let near = (1.0 - dx.hypot(dy) / feather).clamp(0.0, 1.0);
        (color, opacity * near * near * (3.0 - 2.0 * near))
    });
}

/// A colour with an opacity as the painter has it.
pub(crate) fn paint(color: Color, opacity: f32) -> Paint<'static> {
    let mut paint = Paint::default();
    let mut found = SkiaColor::from_rgba8(color.r, color.g, color.b, 255);
    found.set_alpha(opacity.clamp(0.0, 1.0));
    paint.set_color(found);
    paint.anti_alias = true;
    paint
}

/// Paints a pattern over everything.
#[expect(clippy::cast_precision_loss, reason = "coordinates are small")]
pub(crate) fn pattern(pixmap: &mut Pixmap, pattern: Pattern, color: Color, opacity: f32, seed: u64) {
    let (width, height) = (pixmap.width() as f32, pixmap.height() as f32);
    let unit = width.min(height) / 1080.0;
    let mut random = Random::new(seed);
    let mut shapes = PathBuilder::new();
    let mut lines = None;
    match pattern {
        Pattern::Dots => {
            let step = 54.0 * unit;
            let (cx, cy) = (random.share() * width, random.share() * height);
            let reach = width.hypot(height) * 0.75;
            let mut y = step / 2.0;
            while y < height {
                let mut x = step / 2.0;
                while x < width {
                    let near = 1.0 - ((x - cx).hypot(y - cy) / reach).min(1.0);
                    shapes.push_circle(x, y, (2.0 + 11.0 * near * near) * unit);
                    x += step;
                }
                y += step;
            }
        }
        Pattern::Rings => {
            let (cx, cy) = (random.between(0.7, 1.05) * width, random.between(-0.05, 0.3) * height);
            let step = 74.0 * unit;
            let mut radius = step;
            while radius < width.hypot(height) * 1.3 {
                shapes.push_circle(cx, cy, radius);
                radius += step;
            }
            lines = Some(2.5 * unit);
        }
        Pattern::Waves => {
            let step = 64.0 * unit;
            let length = random.between(420.0, 700.0) * unit;
            let phase = random.share() * length;
            let mut y = -step;
            while y < height + step {
                let mut x = -length - phase;
                shapes.move_to(x, y);
                let mut up = true;
                while x < width + length {
                    let bend = if up { -0.9 } else { 0.9 } * step;
                    shapes.quad_to(x + length / 4.0, y + bend, x + length / 2.0, y);
                    x += length / 2.0;
                    up = !up;
                }
                y += step;
            }
            lines = Some(3.0 * unit);
        }
        Pattern::Rays => {
            let (cx, cy) = (random.between(0.3, 0.7) * width, height * 1.08);
            let reach = width + height;
            let rays = 28_u16;
            let turn = random.share();
            for ray in (0..rays).step_by(2) {
                let angle = |at: f32| (at + turn) / f32::from(rays) * std::f32::consts::TAU;
                let (a, b) = (angle(f32::from(ray)), angle(f32::from(ray) + 1.0));
                shapes.move_to(cx, cy);
                shapes.line_to(cx + a.cos() * reach, cy + a.sin() * reach);
                shapes.line_to(cx + b.cos() * reach, cy + b.sin() * reach);
                shapes.close();
            }
        }
        Pattern::Pebbles => {
            for _ in 0..46 {
                let radius = random.between(10.0, 70.0) * unit;
                let (x, y) = (random.share() * width, random.share() * height);
                let stretch = random.between(0.7, 1.0);
                if let Some(oval) = tiny_skia::Rect::from_xywh(
                    x - radius,
                    y - radius * stretch,
                    2.0 * radius,
                    2.0 * radius * stretch,
                ) {
                    shapes.push_oval(oval);
                }
            }
        }
    }
    let Some(path) = shapes.finish() else { return };
    let paint = paint(color, opacity);
    if let Some(width) = lines {
        pixmap.stroke_path(
            &path,
            &paint,
            &Stroke { width, ..Stroke::default() },
            Transform::identity(),
            None,
        );
    } else {
        pixmap.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
    }
}
