//! Decodes a clip while the film goes on: one frame at a time, upright, cut to the film's shape, in the colours of the screen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use openh264::OpenH264API;
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use super::{Clip, FootageError, Turn};

/// How far the next key frame must be ahead for the frames before it to be left out, and not decoded in passing.
const SKIPPED: usize = 8;
/// Frames that may fail to be decoded, beside one in four.
const FAILURES: u32 = 8;
/// Frames that are decoded for a scene at the most: a minute of sixty a second takes 3,600, and a little more whenever the clip
/// begins again. One that says that its first frame is its last would take them all each time.
const FED: u32 = 30_000;
/// Rows that are turned at a time: as many pixels as lie side by side in the memory's lines.
const ROWS: usize = 16;

/// Plays a clip. Asked for frames in their order it decodes each once.
pub(super) struct Player<'a> {
    clip: &'a Clip,
    decoder: Option<Decoder>,
    /// The sample that is decoded next.
    next: usize,
    /// When those are shown that have gone in, and not come out: they come out in that order.
    waiting: BinaryHeap<Reverse<i64>>,
    /// The moment that was asked for last.
    asked: Option<i64>,
    /// The moment of the frame that came out last.
    reached: i64,
    cut: Cut,
    /// What is shown: RGBA, all opaque.
    pixels: Vec<u8>,
    units: Vec<u8>,
    decoded: u32,
    failed: u32,
    /// How often something has gone in.
    fed: u32,
    /// How often what is shown has changed.
    converted: u32,
}

/// The part of a decoded frame that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Cut {
    /// The largest part of a shape, width by height, in the middle of a clip that is upright.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the frame")]
    fn of(clip: &Clip, shape: f64) -> Self {
        let (width, height) = (f64::from(clip.size.0), f64::from(clip.size.1));
        let shape = if clip.turn.is_on_its_side { 1.0 / shape } else { shape } / clip.aspect;
        let (w, h) = if width / height > shape { (height * shape, height) } else { (width, width / shape) };
        // Colours come for pairs of pixels.
        let begin = |whole: f64, part: f64| ((whole - part) / 4.0).max(0.0) as usize * 2;
        let side = |whole: f64, part: f64| (part.round().clamp(2.0, whole)) as usize;
        Self { left: begin(width, w), top: begin(height, h), width: side(width, w), height: side(height, h) }
    }
}

impl<'a> Player<'a> {
    /// A player that shows the middle of a clip in a shape, width by height.
    pub(super) fn new(clip: &'a Clip, shape: f64) -> Self {
        let cut = Cut::of(clip, shape);
        Self {
            clip,
            decoder: None,
            next: 0,
            waiting: BinaryHeap::new(),
            asked: None,
            reached: i64::MIN,
            cut,
            pixels: Vec::new(),
            units: Vec::new(),
            decoded: 0,
            failed: 0,
            fed: 0,
            converted: 0,
        }
    }

    /// Width and height of what is shown.
    #[expect(clippy::cast_possible_truncation, reason = "within the frame")]
    pub(super) fn size(&self) -> (u32, u32) {
        let (width, height) = (self.cut.width as u32, self.cut.height as u32);
        if self.clip.turn.is_on_its_side { (height, width) } else { (width, height) }
    }

    /// The pixels of what is shown: RGBA, all opaque.
    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// How often what is shown has changed.
    pub(super) fn converted(&self) -> u32 {
        self.converted
    }

    /// Shows what the clip shows in a frame of a film, which began with it and has so many frames a second. A clip that is over
    /// begins again.
    pub(super) fn show(&mut self, frame: u32, fps: u32) -> Result<(), FootageError> {
        let (ticks, frame, fps) = (u64::from(self.clip.ticks), u64::from(frame), u64::from(fps.max(1)));
        // Some files have their times in whole milliseconds.
        let at = frame * ticks / fps % self.clip.length + ticks / 1_000;
        let shown = &self.clip.shown;
        let place = shown.partition_point(|shown| shown.from <= at).saturating_sub(1);
        let found = shown.get(place).and_then(|shown| self.clip.samples.get(shown.sample).zip(Some(shown)));
        let (sample, shown) = found.ok_or(FootageError::Damaged)?;
        self.go_to(sample.at, shown.sample)
    }

    /// Shows the frame of a moment, which is that of a sample.
    fn go_to(&mut self, moment: i64, sample: usize) -> Result<(), FootageError> {
        let before = self.asked.replace(moment);
        if before == Some(moment) && !self.pixels.is_empty() {
            return Ok(());
        }
        let key = self.clip.samples.iter().take(sample + 1).rposition(|key| key.is_key && key.at <= moment);
        let key = key.unwrap_or(0);
        if self.decoder.is_none() || before.is_none_or(|before| moment < before) || key > self.next + SKIPPED
        {
            self.begin(key)?;
        } else if self.reached >= moment && !self.pixels.is_empty() {
            // Frames that could not be decoded are left out.
            return Ok(());
        }
        while let Some(decoded) = self.step()? {
            if decoded >= moment {
                return Ok(());
            }
        }
        // The end is damaged: what was shown before stays.
        if self.pixels.is_empty() { Err(FootageError::Damaged) } else { Ok(()) }
    }

    /// Begins to decode with a sample.
    fn begin(&mut self, key: usize) -> Result<(), FootageError> {
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), config);
        self.decoder = Some(decoder.map_err(|_| FootageError::Damaged)?);
        self.next = key;
        self.waiting.clear();
        self.reached = i64::MIN;
        self.units.clear();
        self.units.extend(&self.clip.head);
        Ok(())
    }

    /// Decodes until a frame comes out, and shows it where it is the one that was asked for or later. Its moment; none at the end.
    fn step(&mut self) -> Result<Option<i64>, FootageError> {
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(None) };
            let sample = self.clip.samples.get(self.next).copied();
            let mut options = DecodeOptions::new();
            let is_written = if let Some(sample) = sample {
                self.next += 1;
                self.fed += 1;
                if self.fed > FED {
                    return Err(FootageError::Damaged);
                }
                self.waiting.push(Reverse(sample.at));
                // What comes before the first frame is for the next one then.
                let before = self.units.len();
                let is_written = self.clip.write(sample, &mut self.units).is_ok();
                self.units.truncate(if is_written { self.units.len() } else { before });
                is_written
            } else {
                // Nothing more goes in: what waits comes out.
                options = options.flush_after_decode(Flush::Flush);
                true
            };
            let decoded =
                if is_written { decoder.decode_with_options(&self.units, options).ok() } else { None };
            match decoded {
                Some(Some(yuv)) if yuv.dimensions() == sides(self.clip.size) => {
                    let Some(Reverse(moment)) = self.waiting.pop() else { return Ok(None) };
                    self.reached = moment;
                    self.decoded += 1;
                    if self.asked.is_none_or(|asked| moment >= asked) {
                        self.converted += 1;
                        convert(&yuv, self.cut, self.clip.turn, self.clip.colors, &mut self.pixels);
                    }
                    self.units.clear();
                    return Ok(Some(moment));
                }
                // The first frames are held back until their order is known.
                Some(None) if sample.is_some() => self.units.clear(),
                _ => {
                    if is_written {
                        self.units.clear();
                    }
                    let Some(sample) = sample else { return Ok(None) };
                    self.waiting.retain(|waiting| waiting.0 != sample.at);
                    self.failed += 1;
                    if self.failed > FAILURES + self.decoded / 4 {
                        return Err(self.refusal());
                    }
                }
            }
        }
    }

    /// Why nothing more is shown: what never decodes is of a kind that the decoder does not know.
    fn refusal(&self) -> FootageError {
        if self.decoded == 0 { FootageError::Kind } else { FootageError::Damaged }
    }
}

fn sides((width, height): (u32, u32)) -> (usize, usize) {
    (width as usize, height as usize)
}

/// How brightness and colour become red, green and blue, in 16,384ths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colors {
    black: i32,
    luma: i32,
    red: i32,
    green: (i32, i32),
    blue: i32,
}

/// Bits of a fraction.
const SHIFT: i32 = 14;

impl Colors {
    /// Of a matrix's number (ITU-T H.273, table 4), and whether values have the full range. What is not said is told by the size,
    /// as players do: BT.709 from 1280 pixels across or more than 576 rows on, BT.601 below.
    pub(super) fn new(matrix: u8, is_full: bool, (width, height): (u32, u32)) -> Self {
        let is_large = width.max(height) >= 1_280 || width.min(height) > 576;
        let (kr, kb) = match matrix {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            5 | 6 => (0.299, 0.114),
            7 => (0.212, 0.087),
            9 | 10 => (0.2627, 0.0593),
            _ if is_large => (0.2126, 0.0722),
            _ => (0.299, 0.114),
        };
        let (luma, chroma) = if is_full { (1.0, 1.0) } else { (255.0 / 219.0, 255.0 / 224.0) };
        #[expect(clippy::cast_possible_truncation, reason = "coefficients below 3")]
        let whole = |value: f64| (value * f64::from(1 << SHIFT)).round() as i32;
        let green = 1.0 - kr - kb;
        Self {
            black: if is_full { 0 } else { 16 },
            luma: whole(luma),
            red: whole(2.0 * (1.0 - kr) * chroma),
            green: (
                whole(-2.0 * (1.0 - kb) * kb / green * chroma),
                whole(-2.0 * (1.0 - kr) * kr / green * chroma),
            ),
            blue: whole(2.0 * (1.0 - kb) * chroma),
        }
    }

    /// Converts a row; each of its colours is that of two pixels.
    fn row(self, luma: &[u8], blue: &[u8], red: &[u8], rgba: &mut [u8]) {
        let pairs = luma.chunks(2).zip(blue.iter().zip(red)).zip(rgba.chunks_mut(8));
        for ((luma, (blue, red)), rgba) in pairs {
            let (blue, red) = (i32::from(*blue) - 128, i32::from(*red) - 128);
            let green = self.green.0 * blue + self.green.1 * red;
            let add = [self.red * red, green, self.blue * blue].map(|add| add + (1 << (SHIFT - 1)));
            for (luma, rgba) in luma.iter().zip(rgba.as_chunks_mut::<4>().0) {
                let grey = (i32::from(*luma) - self.black) * self.luma;
                let rgb = add.map(|add| byte((grey + add) >> SHIFT));
                *rgba = [rgb[0], rgb[1], rgb[2], 255];
            }
        }
    }
}

#[expect(clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

/// Converts a part of a decoded frame, upright.
fn convert(yuv: &DecodedYUV<'_>, cut: Cut, turn: Turn, colors: Colors, pixels: &mut Vec<u8>) {
    let Cut { left, top, width, height } = cut;
    pixels.resize(width * height * 4, 255);
    let (luma_stride, chroma_stride, _) = yuv.strides();
    let row = |plane: &[u8], stride: usize, y: usize, left: usize, width: usize| {
        let begin = y * stride + left;
        begin..(begin + width).min(plane.len())
    };
    let convert = |y: usize, rgba: &mut [u8]| {
        let luma = yuv.y().get(row(yuv.y(), luma_stride, top + y, left, width)).unwrap_or_default();
        let place = top + y;
        let half = |plane: &[u8]| row(plane, chroma_stride, place / 2, left / 2, width.div_ceil(2));
        let blue = yuv.u().get(half(yuv.u())).unwrap_or_default();
        let red = yuv.v().get(half(yuv.v())).unwrap_or_default();
        colors.row(luma, blue, red, rgba);
    };
    let back = |place: usize, count: usize, is_back: bool| if is_back { count - 1 - place } else { place };
    if !turn.is_on_its_side {
        for (place, rgba) in pixels.chunks_exact_mut(width * 4).enumerate() {
            convert(back(place, height, turn.rows_back), rgba);
            if turn.columns_back {
                rgba.as_chunks_mut::<4>().0.reverse();
            }
        }
        return;
    }
    // Rows become columns: some at a time, so that their pixels lie side by side.
    let mut rows = vec![255; ROWS.min(height) * width * 4];
    let (target, _) = pixels.as_chunks_mut::<4>();
    for first in (0..height).step_by(ROWS) {
        let count = ROWS.min(height - first);
        for (place, rgba) in rows.chunks_exact_mut(width * 4).take(count).enumerate() {
            convert(back(first + place, height, turn.rows_back), rgba);
        }
        let (rows, _) = rows.as_chunks::<4>();
        for (place, target) in target.chunks_exact_mut(height).enumerate() {
            let column = back(place, width, turn.columns_back);
            for (place, pixel) in target.iter_mut().skip(first).take(count).enumerate() {
                if let Some(found) = rows.get(place * width + column) {
                    *pixel = *found;
                }
            }
        }
    }
}
