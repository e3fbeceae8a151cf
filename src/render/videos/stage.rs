//! The frames of a film, one at a time and in any order.

use fast_image_resize::Resizer;
use tiny_skia::{FillRule, FilterQuality, Mask, Pixmap, PixmapMut, PixmapPaint, Transform};

use super::camera::{self, smooth};
use super::footage::{Footage, FootageError, Screen};
use super::kinetic::{Caption, Look, f32_from, f32_of};
use super::timing::Plan;
use super::{Direction, SceneSpec, VideoError, VideoKind, VideoNote, VideoSpec};
use crate::visuals::backdrop;
use crate::visuals::paint::{covering, premultiplied, rounded};
use crate::visuals::picture::{Area, Filter, Picture, resize, resize_into};
use crate::visuals::scene::{Pattern, Rect, Stop};
use crate::visuals::{Color, SceneError};

/// Renders the frames of one film.
pub(crate) struct Stage<'a> {
    spec: &'a VideoSpec,
    pictures: &'a [Picture],
    clips: &'a [Footage],
    plan: &'a Plan,
    look: Look,
    theme: Color,
    captions: Vec<Caption>,
    /// The sets that are built: the present scene's and, during a change, the one before.
    sets: Vec<Set>,
    resizer: Resizer,
    frame: Vec<u8>,
    other: Vec<u8>,
    worst_contrast: Option<f32>,
}

/// What a scene needs to be drawn.
struct Set {
    scene: usize,
    ground: Ground,
    /// What moves before the background in a parallax.
    front: Option<Pixmap>,
    /// The veil's opacity for every pixel of some rows.
    veil: Option<Veil>,
}

/// A background, larger than the frame where the camera moves.
enum Ground {
    /// One that stands still.
    Plate(Picture),
    /// One that moves by itself.
    Clip(Box<Screen>),
}

struct Veil {
    top: usize,
    opacity: Vec<u8>,
}

/// Contrast beyond what is required: the film's codec loses a little.
const MARGIN: f32 = 0.8;

/// How often a scene with a clip is looked at for its captions.
const LOOKS: u32 = 9;
/// How far a clip is enlarged to drift in a parallax.
const DRIFTING: f64 = 1.12;

/// The colour of a film without period and brand.
const NEUTRAL: Color = Color::new(0x3E, 0x5C, 0x76);

impl<'a> Stage<'a> {
    pub(crate) fn new(
        spec: &'a VideoSpec,
        pictures: &'a [Picture],
        clips: &'a [Footage],
        plan: &'a Plan,
    ) -> Self {
        let (width, height) = spec.size.pixels();
        let theme = spec.period.as_ref().map(|period| period.color).or(spec.brand.primary).unwrap_or(NEUTRAL);
        let accent = spec.brand.accent.unwrap_or(theme);
        let look = Look {
            width,
            height,
            typeface: spec.brand.typeface,
            style: spec.caption_style,
            language: spec.language,
            ink: Color::WHITE,
            // A dark colour would drown in the veil.
            accent: if accent.lightness() < 0.6 { accent.tone(0.68, 0.2) } else { accent },
            veil: theme.tone(0.13, 0.035),
        };
        let bytes = width as usize * height as usize * 4;
        let mut stage = Self {
            spec,
            pictures,
            clips,
            plan,
            look,
            theme,
            captions: Vec::new(),
            sets: Vec::new(),
            resizer: Resizer::new(),
            frame: vec![255; bytes],
            other: vec![255; bytes],
            worst_contrast: None,
        };
        stage.captions = stage.set_captions();
        stage
    }

    /// The pixels of a frame: RGBA, all opaque.
    pub(crate) fn frame(&mut self, frame: u32) -> Result<&[u8], VideoError> {
        let scene = self.plan.scene_at(frame);
        let (start, _) = self.plan.span(scene);
        let changing = scene > 0 && frame - start < self.plan.transition;
        let first = if changing { scene - 1 } else { scene };
        self.sets.retain(|set| (first..=scene).contains(&set.scene));
        for wanted in first..=scene {
            if !self.sets.iter().any(|set| set.scene == wanted) {
                let set = self.build(wanted)?;
                self.sets.push(set);
            }
        }
        let mut pixels = std::mem::take(&mut self.frame);
        self.draw_scene(scene, frame, &mut pixels)?;
        if changing {
            let mut before = std::mem::take(&mut self.other);
            self.draw_scene(scene - 1, frame, &mut before)?;
            let moment = f64::from(frame - start + 1) / f64::from(self.plan.transition + 1);
            let change = self.change(scene);
            mix(&before, &mut pixels, self.look.width as usize, change, moment);
            self.other = before;
        }
        let seconds = self.plan.seconds(frame);
        if let Some(mut canvas) = PixmapMut::from_bytes(&mut pixels, self.look.width, self.look.height) {
            for caption in &self.captions {
                caption.draw(&mut canvas, seconds);
            }
        }
        self.frame = pixels;
        Ok(&self.frame)
    }

    /// The least contrast of the captions that were drawn.
    pub(crate) fn caption_contrast(&self) -> Option<f32> {
        self.worst_contrast
    }

    pub(crate) fn notes(&self) -> Vec<VideoNote> {
        let scenes = self.spec.scenes.iter().enumerate();
        scenes.flat_map(|(scene, spec)| self.notes_of(scene, spec)).collect()
    }

    fn notes_of(&self, scene: usize, spec: &SceneSpec) -> Vec<VideoNote> {
        let mut notes = Vec::new();
        if let Some(clip) = spec.clip.and_then(|index| self.clips.get(index)) {
            let (width, height) = clip.upright();
            if width < f64::from(self.look.width) || height < f64::from(self.look.height) {
                notes.push(VideoNote::ClipEnlarged { scene });
            }
            let (start, end) = self.plan.span(scene);
            // A frame less is not seen.
            if clip.seconds() < self.plan.seconds((end - start).saturating_sub(1)) {
                notes.push(VideoNote::ClipRepeated { scene, clip_seconds: clip.seconds() });
            }
        } else if let Some(picture) = spec.picture.and_then(|index| self.pictures.get(index))
            && !spec.text_in_picture
            && (picture.width() < self.look.width || picture.height() < self.look.height)
        {
            notes.push(VideoNote::PictureEnlarged { scene });
        }
        notes
    }

    fn set_captions(&self) -> Vec<Caption> {
        if !self.spec.captions {
            return Vec::new();
        }
        let drawn = self.plan.cues.iter().filter_map(|cue| {
            let scene = self.spec.scenes.get(cue.scene)?;
            if scene.has_text() {
                return None;
            }
            // Text alone is the picture; over a picture it leaves the middle free, and stays above the app's bar.
            let (middle, size) = match (scene.has_picture(), self.spec.kind) {
                (false, _) => (0.45, 108.0),
                (true, VideoKind::Parallax) if scene.clip.is_none() => (0.71, 72.0),
                (true, _) => (0.63, 92.0),
            };
            Some(Caption::new(cue, &self.look, middle, size))
        });
        drawn.collect()
    }

    /// How a scene comes.
    fn change(&self, scene: usize) -> Change {
        if self.spec.kind != VideoKind::Transition {
            return Change::Fade;
        }
        match (self.spec.seed.wrapping_add(scene as u64)) % 4 {
            0 => Change::Fade,
            1 => Change::PushLeft,
            2 => Change::Wipe,
            _ => Change::PushUp,
        }
    }

    fn build(&mut self, scene: usize) -> Result<Set, VideoError> {
        let spec = self.spec.scenes.get(scene).cloned().unwrap_or_default();
        let picture = spec.picture.and_then(|index| self.pictures.get(index));
        let clip = spec.clip.and_then(|index| self.clips.get(index));
        let parallax = self.spec.kind == VideoKind::Parallax;
        let (ground, front) = match (clip, picture) {
            (Some(clip), _) => {
                let shape = f64::from(self.look.width) / f64::from(self.look.height);
                let screen = clip.play(shape).map_err(|error| unusable(scene, error))?;
                (Ground::Clip(Box::new(screen)), None)
            }
            (None, Some(picture)) if parallax && !spec.text_in_picture => {
                let soft = self.soft(picture, 1.25).ok_or(SceneError::Size)?;
                (Ground::Plate(soft), self.card(picture))
            }
            (None, Some(picture)) => {
                (Ground::Plate(self.plate(picture, &spec).ok_or(SceneError::Size)?), None)
            }
            (None, None) => {
                let front = if parallax { self.shapes(scene) } else { None };
                (Ground::Plate(self.generated(scene).ok_or(SceneError::Size)?), front)
            }
        };
        let mut set = Set { scene, ground, front, veil: None };
        self.protect(&mut set)?;
        Ok(set)
    }

    /// A picture that covers the frame, as large as the camera needs and the picture gives.
    fn plate(&self, picture: &Picture, spec: &SceneSpec) -> Option<Picture> {
        let (width, height) = (f64::from(self.look.width), f64::from(self.look.height));
        let shape = width / height;
        let own = f64::from(picture.width()) / f64::from(picture.height());
        if spec.text_in_picture && (own / shape).ln().abs() > 0.02 {
            return self.framed(picture);
        }
        let area = covering(picture, shape);
        let reach = camera::reach(self.spec.kind, spec.text_in_picture).min((area.width / width).max(1.0));
        let flat = flattened(picture);
        resize(&flat, area, even(width * reach), even(height * reach), Filter::Sharp)
    }

    /// A picture shown whole before a soft copy of itself.
    #[expect(clippy::cast_possible_truncation, reason = "within the film")]
    fn framed(&self, picture: &Picture) -> Option<Picture> {
        let mut canvas = premultiplied(&self.soft(picture, 1.0)?)?;
        let (width, height) = (f32_of(self.look.width), f32_of(self.look.height));
        let scale = (width / f32_of(picture.width())).min(height / f32_of(picture.height()));
        let (w, h) = (f32_of(picture.width()) * scale, f32_of(picture.height()) * scale);
        let sharp = resize(&flattened(picture), whole(picture), pixels(w), pixels(h), Filter::Sharp)?;
        let (x, y) = ((width - w) / 2.0, (height - h) / 2.0);
        let at = Transform::identity();
        canvas.draw_pixmap(
            x as i32,
            y as i32,
            premultiplied(&sharp)?.as_ref(),
            &PixmapPaint::default(),
            at,
            None,
        );
        Picture::new(canvas.width(), canvas.height(), canvas.take())
    }

    /// A soft, dark copy of a picture that covers the frame with some room around it.
    fn soft(&self, picture: &Picture, room: f64) -> Option<Picture> {
        let (width, height) = (f64::from(self.look.width), f64::from(self.look.height));
        let area = covering(picture, width / height);
        // Very small and large again is a blur.
        let small = resize(&flattened(picture), area, 18, even(18.0 * height / width), Filter::Sharp)?;
        let large = resize(&small, whole(&small), even(width * room), even(height * room), Filter::Sharp)?;
        let mut canvas = premultiplied(&large)?;
        let night = self.look.veil;
        let dark = [f32::from(night.r), f32::from(night.g), f32::from(night.b)];
        backdrop::shade(&mut canvas, |_, _| (dark, 0.45));
        Picture::new(canvas.width(), canvas.height(), canvas.take())
    }

    /// The picture as a card with round corners.
    fn card(&self, picture: &Picture) -> Option<Pixmap> {
        let (width, height) = (f32_of(self.look.width), f32_of(self.look.height));
        // The card keeps the picture's shape within reason.
        let shape = (f32_of(picture.width()) / f32_of(picture.height())).clamp(0.7, 1.5);
        let (room_w, room_h) = (width * 0.76, height * 0.46);
        let (w, h) =
            if room_w / shape <= room_h { (room_w, room_w / shape) } else { (room_h * shape, room_h) };
        let cut = resize(
            &flattened(picture),
            covering(picture, f64::from(w / h)),
            pixels(w),
            pixels(h),
            Filter::Sharp,
        )?;
        let source = premultiplied(&cut)?;
        let edge = 60_u32;
        let mut card = Pixmap::new(source.width() + 2 * edge, source.height() + 2 * edge)?;
        let rect = Rect::new(f32_of(edge), f32_of(edge), f32_of(source.width()), f32_of(source.height()));
        let radius = width * 0.03;
        // A shadow of nested shapes; their sum falls off softly.
        for step in 0..10_u16 {
            let grow = 4.0 * f32::from(step);
            let below = Rect { y: rect.y + 12.0, ..rect.inset(-grow) };
            if let Some(path) = rounded(below, radius + grow) {
                let paint = backdrop::paint(Color::BLACK, 0.045);
                card.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
            }
        }
        let mut mask = Mask::new(card.width(), card.height())?;
        mask.fill_path(&rounded(rect, radius)?, FillRule::Winding, true, Transform::identity());
        let (at, identity) = (i32::try_from(edge).ok()?, Transform::identity());
        card.draw_pixmap(at, at, source.as_ref(), &PixmapPaint::default(), identity, Some(&mask));
        Some(card)
    }

    /// A generated background.
    fn generated(&self, scene: usize) -> Option<Picture> {
        let room = camera::reach(self.spec.kind, false);
        let (width, height) = (f64::from(self.look.width) * room, f64::from(self.look.height) * room);
        let mut canvas = Pixmap::new(even(width), even(height))?;
        let turned = self.theme.turned(if scene.is_multiple_of(2) { 0.0 } else { 22.0 });
        let (night, deep, glow) = (turned.tone(0.17, 0.05), turned.tone(0.3, 0.11), turned.tone(0.42, 0.15));
        backdrop::clouds(&mut canvas, night, &[deep, night, glow], self.spec.seed.wrapping_add(scene as u64));
        let stop = |at, opacity| Stop { at, color: night, opacity };
        backdrop::gradient(&mut canvas, 90.0, &[stop(0.45, 0.0), stop(1.0, 0.55)]);
        Picture::new(canvas.width(), canvas.height(), canvas.take())
    }

    /// Shapes that move before a generated background.
    fn shapes(&self, scene: usize) -> Option<Pixmap> {
        let mut canvas =
            Pixmap::new(even(f64::from(self.look.width) * 1.4), even(f64::from(self.look.height) * 1.2))?;
        let color = self.theme.tone(0.55, 0.16);
        backdrop::pattern(
            &mut canvas,
            Pattern::Pebbles,
            color,
            0.22,
            self.spec.seed.wrapping_add(scene as u64),
        );
        Some(canvas)
    }

    /// Finds the least veil that makes the scene's captions readable at its start, middle and end, and all through a clip.
    fn protect(&mut self, set: &mut Set) -> Result<(), VideoError> {
        if !self.captions.iter().any(|caption| caption.scene == set.scene) {
            return Ok(());
        }
        let (start, end) = self.plan.span(set.scene);
        let last = end.saturating_sub(start + 1);
        let steps = if matches!(set.ground, Ground::Clip(_)) { LOOKS - 1 } else { 2 };
        let mut samples = Vec::new();
        for frame in (0..=steps).map(|step| start + last * step / steps) {
            let mut pixels = vec![255; self.look.width as usize * self.look.height as usize * 4];
            self.draw_set(set, frame, &mut pixels)?;
            let size =
                tiny_skia::IntSize::from_wh(self.look.width, self.look.height).ok_or(SceneError::Size)?;
            samples.push(Pixmap::from_vec(pixels, size).ok_or(SceneError::Size)?);
        }
        let captions: Vec<&Caption> =
            self.captions.iter().filter(|caption| caption.scene == set.scene).collect();
        let areas = captions.iter().map(|caption| caption.veil_area());
        let Some((rect, feather)) = areas.reduce(|(a, f), (b, g)| (a.union(b), f.max(g))) else {
            return Ok(());
        };
        // The least contrast, and the least beyond what is required.
        let readable = |opacity: f32| {
            let mut found = (f32::INFINITY, f32::INFINITY);
            for sample in &samples {
                let mut tried = sample.clone();
                if opacity > 0.0 {
                    backdrop::scrim(&mut tried, rect, feather, self.look.veil, opacity);
                }
                for caption in &captions {
                    let contrast = caption.contrast(&tried, self.look.ink);
                    found = (found.0.min(contrast), found.1.min(contrast - caption.required()));
                }
            }
            found
        };
        let mut opacity = 0.0;
        let mut found = readable(opacity);
        while opacity < 0.96 && found.1 < MARGIN {
            opacity += 0.12;
            found = readable(opacity);
        }
        if opacity > 0.0 {
            set.veil = Some(self.veil(rect, feather, opacity));
        }
        self.worst_contrast = Some(self.worst_contrast.map_or(found.0, |worst| worst.min(found.0)));
        Ok(())
    }

    /// The opacity of a veil for every pixel of the rows that it touches.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the frame")]
    #[expect(clippy::cast_precision_loss, reason = "a frame is small")]
    fn veil(&self, rect: Rect, feather: f32, opacity: f32) -> Veil {
        let (width, height) = (self.look.width as usize, self.look.height as usize);
        let top = (rect.y - feather).max(0.0) as usize;
        let bottom = ((rect.bottom() + feather).max(0.0) as usize).min(height);
        let mut values = Vec::with_capacity(width * bottom.saturating_sub(top));
        for y in top..bottom {
            for x in 0..width {
                let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
                let dx = (rect.x - px).max(px - rect.right()).max(0.0);
                let dy = (rect.y - py).max(py - rect.bottom()).max(0.0);
                let near = (1.0 - dx.hypot(dy) / feather).clamp(0.0, 1.0);
                values.push((255.0 * opacity * near * near * (3.0 - 2.0 * near)).round() as u8);
            }
        }
        Veil { top, opacity: values }
    }

    fn draw_scene(&mut self, scene: usize, frame: u32, pixels: &mut [u8]) -> Result<(), VideoError> {
        let Some(index) = self.sets.iter().position(|set| set.scene == scene) else { return Ok(()) };
        let mut set = self.sets.swap_remove(index);
        let drawn = self.draw_set(&mut set, frame, pixels);
        self.sets.push(set);
        drawn
    }

    /// Draws a scene without its captions.
    fn draw_set(&mut self, set: &mut Set, frame: u32, pixels: &mut [u8]) -> Result<(), VideoError> {
        let (start, end) = self.plan.span(set.scene);
        // A scene moves on while the next one comes.
        let length = f64::from(end - start + if end < self.plan.frames { self.plan.transition } else { 0 });
        let passed = frame.saturating_sub(start);
        let moment = f64::from(passed) / (length - 1.0).max(1.0);
        let with_text = self.spec.scenes.get(set.scene).is_some_and(SceneSpec::has_text);
        let turn = self.spec.seed.wrapping_add(set.scene as u64);
        let mut view = camera::view(self.spec.kind, moment, with_text, turn);
        let (dx, dy) = self.drift(moment);
        if self.spec.kind == VideoKind::Parallax && !with_text {
            (view.x, view.y) = (-dx, -dy);
            if matches!(set.ground, Ground::Clip(_)) {
                view.zoom = DRIFTING;
            }
        }
        let size = (self.look.width, self.look.height);
        let (source, rgba) = match &mut set.ground {
            Ground::Plate(plate) => ((plate.width(), plate.height()), plate.rgba()),
            Ground::Clip(screen) => {
                screen.show(passed, self.plan.fps).map_err(|error| unusable(set.scene, error))?;
                (screen.size(), screen.pixels())
            }
        };
        let (width, height) = (f64::from(source.0), f64::from(source.1));
        let (w, h) = (width / view.zoom, height / view.zoom);
        let area = Area {
            left: ((width - w) / 2.0 * (1.0 + view.x)).clamp(0.0, width - w),
            top: ((height - h) / 2.0 * (1.0 + view.y)).clamp(0.0, height - h),
            width: w,
            height: h,
        };
        if source == size && view.zoom <= 1.0 {
            pixels.copy_from_slice(rgba);
        } else {
            resize_into(&mut self.resizer, rgba, source, area, pixels, size, Filter::Fast, false)
                .ok_or_else(|| VideoError::Encoder("a frame cannot be scaled".to_owned()))?;
        }
        if let Some(front) = &set.front
            && let Some(mut canvas) = PixmapMut::from_bytes(pixels, size.0, size.1)
        {
            self.draw_front(&mut canvas, front, dx, dy, set.scene);
        }
        if let Some(veil) = &set.veil {
            lay(veil, pixels, size.0 as usize, self.look.veil);
        }
        Ok(())
    }

    /// Where a parallax stands, −1 to 1 in its direction.
    fn drift(&self, moment: f64) -> (f64, f64) {
        let way = 2.0 * camera::gentle(moment) - 1.0;
        match self.spec.direction {
            Direction::Left => (-way, 0.0),
            Direction::Right => (way, 0.0),
            Direction::Up => (0.0, -way),
            Direction::Down => (0.0, way),
        }
    }

    fn draw_front(&self, canvas: &mut PixmapMut<'_>, front: &Pixmap, dx: f64, dy: f64, scene: usize) {
        let (width, height) = (f32_of(self.look.width), f32_of(self.look.height));
        let is_card = self.spec.scenes.get(scene).is_some_and(|scene| scene.picture.is_some());
        // A card stands above the captions; shapes fill the frame.
        let middle = if is_card { 0.36 } else { 0.5 };
        let reach = if is_card { 0.055 } else { 0.15 };
        let x = (width - f32_of(front.width())) / 2.0 + f32_from(dx) * width * reach;
        let y = height * middle - f32_of(front.height()) / 2.0 + f32_from(dy) * height * reach * 0.6;
        let paint = PixmapPaint { quality: FilterQuality::Bilinear, ..PixmapPaint::default() };
        canvas.draw_pixmap(0, 0, front.as_ref(), &paint, Transform::from_translate(x, y), None);
    }
}

/// A way from one scene to the next.
#[derive(Debug, Clone, Copy)]
enum Change {
    Fade,
    PushLeft,
    PushUp,
    Wipe,
}

/// What a clip turns out to be while it is shown.
fn unusable(scene: usize, error: FootageError) -> VideoError {
    let reason = format!("the clip of scene {} cannot be used: {error}", scene + 1);
    match error {
        FootageError::Away => VideoError::Encoder(reason),
        _ => VideoError::Invalid { field: "clipAssetIds", reason },
    }
}

/// Mixes the frame before into the frame after.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of the frame")]
#[expect(clippy::cast_precision_loss, reason = "a frame is small")]
fn mix(before: &[u8], after: &mut [u8], width: usize, change: Change, moment: f64) {
    let row = width * 4;
    let height = after.len() / row.max(1);
    let moment = smooth(moment);
    match change {
        Change::Fade => {
            let share = (moment * 256.0).round() as u32;
            for (after, before) in after.iter_mut().zip(before) {
                *after = ((u32::from(*after) * share + u32::from(*before) * (256 - share) + 128) >> 8) as u8;
            }
        }
        Change::PushLeft => {
            let gone = ((width as f64 * moment) as usize).min(width) * 4;
            for (after, before) in after.chunks_exact_mut(row).zip(before.chunks_exact(row)) {
                after.copy_within(..gone, row - gone);
                if let (Some(to), Some(from)) = (after.get_mut(..row - gone), before.get(gone..)) {
                    to.copy_from_slice(from);
                }
            }
        }
        Change::PushUp => {
            let gone = ((height as f64 * moment) as usize).min(height) * row;
            let length = after.len();
            after.copy_within(..gone, length - gone);
            if let (Some(to), Some(from)) = (after.get_mut(..length - gone), before.get(gone..)) {
                to.copy_from_slice(from);
            }
        }
        Change::Wipe => {
            // An edge, soft over a twelfth of the width, runs from the right to the left.
            let soft = width as f64 / 12.0;
            let edge = width as f64 - (width as f64 + soft) * moment;
            for (after, before) in after.chunks_exact_mut(row).zip(before.chunks_exact(row)) {
                for (x, (after, before)) in after.chunks_exact_mut(4).zip(before.chunks_exact(4)).enumerate()
                {
                    let share = (((x as f64 - edge) / soft).clamp(0.0, 1.0) * 256.0) as u32;
                    for (after, before) in after.iter_mut().zip(before) {
                        *after = ((u32::from(*after) * share + u32::from(*before) * (256 - share) + 128) >> 8)
                            as u8;
                    }
                }
            }
        }
    }
}

/// Lays a veil over a frame.
#[expect(clippy::cast_possible_truncation, reason = "a mean of bytes")]
fn lay(veil: &Veil, pixels: &mut [u8], width: usize, color: Color) {
    let color = [color.r, color.g, color.b].map(u32::from);
    let rows = pixels.get_mut(veil.top * width * 4..).unwrap_or_default();
    for (pixel, opacity) in rows.chunks_exact_mut(4).zip(&veil.opacity) {
        let opacity = u32::from(*opacity);
        if opacity > 0 {
            for (value, color) in pixel.iter_mut().zip(color) {
                *value = ((u32::from(*value) * (255 - opacity) + color * opacity + 127) / 255) as u8;
            }
        }
    }
}

/// A picture without transparency.
fn flattened(picture: &Picture) -> std::borrow::Cow<'_, Picture> {
    if picture.is_opaque() {
        return std::borrow::Cow::Borrowed(picture);
    }
    let rgba = picture.rgb().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
    Picture::new(picture.width(), picture.height(), rgba)
        .map_or(std::borrow::Cow::Borrowed(picture), std::borrow::Cow::Owned)
}

fn whole(picture: &Picture) -> Area {
    Area { left: 0.0, top: 0.0, width: f64::from(picture.width()), height: f64::from(picture.height()) }
}

/// A side in whole, even pixels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side is small and positive")]
fn even(side: f64) -> u32 {
    ((side / 2.0).round().max(1.0) * 2.0) as u32
}

fn pixels(side: f32) -> u32 {
    even(f64::from(side))
}
