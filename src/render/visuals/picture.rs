//! Pictures from outside: looked at before they are decoded, decoded within limits, cropped and scaled.
//!
//! A file is first walked as the container that it claims to be, from its first byte to its last: that finds its size
//! without decoding a pixel, and finds files that are cut off, that go on after their end, or that carry markup.

use std::fmt;
use std::io::Cursor;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};
use serde::{Deserialize, Serialize};

use super::encode::{self, EncodeError};

/// Decoded pixels: sRGB, 8 bits, straight alpha, rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}×{})", self.width, self.height)
    }
}

impl Picture {
    /// A picture of its pixels, four bytes each; none when the count is wrong or a side is 0.
    pub fn new(width: u32, height: u32, rgba: Vec<u8>) -> Option<Self> {
        let expected = (width as usize).checked_mul(height as usize)?.checked_mul(4)?;
        (expected > 0 && expected == rgba.len()).then_some(Self { width, height, rgba })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: red, green, blue, alpha.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }

    /// The picture with at most so many pixels, in its shape: as it is when it has no more.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no picture has so many pixels")]
    pub fn within(self, pixels: u64) -> Self {
        let has = u64::from(self.width) * u64::from(self.height);
        if has <= pixels {
            return self;
        }
        self.scaled((pixels as f64 / has as f64).sqrt())
    }

    /// The picture with a longer side of at most so many pixels, in its shape: as it is when it has no more.
    #[must_use]
    pub fn fitting(self, side: u32) -> Self {
        let has = self.width.max(self.height);
        if has <= side {
            return self;
        }
        self.scaled(f64::from(side) / f64::from(has))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides only become smaller")]
    fn scaled(self, scale: f64) -> Self {
        // A hair more than the product, which may fall short of a whole number.
        let side = |side: u32| ((f64::from(side) * scale + 1e-6) as u32).max(1);
        let whole =
            Area { left: 0.0, top: 0.0, width: f64::from(self.width), height: f64::from(self.height) };
        resize(&self, whole, side(self.width), side(self.height), Filter::Sharp).unwrap_or(self)
    }

    /// Whether every pixel is opaque.
    pub fn is_opaque(&self) -> bool {
        self.rgba.iter().skip(3).step_by(4).all(|alpha| *alpha == 255)
    }

    /// The pixels without alpha, laid over white.
    pub(crate) fn rgb(&self) -> Vec<u8> {
        let over_white = |value: u8, alpha: u8| {
            let (value, alpha) = (u16::from(value), u16::from(alpha));
            u8::try_from((value * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(255)
        };
        let mut rgb = Vec::with_capacity(self.rgba.len() / 4 * 3);
        for pixel in self.rgba.as_chunks::<4>().0 {
            let [r, g, b, alpha] = *pixel;
            if alpha == 255 {
                rgb.extend([r, g, b]);
            } else {
                rgb.extend([over_white(r, alpha), over_white(g, alpha), over_white(b, alpha)]);
            }
        }
        rgb
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PictureFormat {
    /// PNG.
    Png,
    /// JPEG, baseline or progressive.
    Jpeg,
    /// WebP.
    Webp,
}

impl PictureFormat {
    /// Its media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

/// What may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Size of the file in bytes.
    pub file_bytes: usize,
    /// Width times height.
    pub pixels: u64,
    /// The longer side in pixels.
    pub side: u32,
    /// Memory that decoding takes, in bytes: an estimate from the header, which is above what is really used.
    pub memory: u64,
}

impl Default for Limits {
    /// 10 MiB, 40 megapixels, 16,384 pixels a side, 320 MiB.
    fn default() -> Self {
        Self { file_bytes: 10 * 1024 * 1024, pixels: 40_000_000, side: 16_384, memory: 320 * 1024 * 1024 }
    }
}

/// What a file says of itself, before decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureInfo {
    /// What it is, by its content.
    pub format: PictureFormat,
    /// Width in pixels as stored; [`decode`] turns the picture as its EXIF data asks.
    pub width: u32,
    /// Height in pixels as stored.
    pub height: u32,
    /// Whether it moves; decoding gives the first frame.
    pub animated: bool,
    /// Estimated memory for decoding, in bytes.
    pub memory: u64,
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum PictureError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file is larger than allowed.
    #[error("the file has {bytes} bytes, {limit} are allowed: save the picture smaller")]
    FileTooLarge {
        /// Its bytes.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// It is text that a browser would run: SVG, HTML or XML.
    #[error("the file is markup (SVG or HTML), not a picture of pixels: export it as PNG or JPEG")]
    Markup,
    /// It is something else that is known.
    #[error("the file is {kind}, which is not read: save it as PNG, JPEG or WebP")]
    Unsupported {
        /// Its kind.
        kind: String,
    },
    /// It is nothing known.
    #[error("the file is no picture: send a PNG, JPEG or WebP")]
    NotAPicture,
    /// It ends before its end.
    #[error("the file is cut off: send it again")]
    Truncated,
    /// Something follows the picture, or is hidden in it.
    #[error("the file holds more than a picture ({what}): save it again with a picture program")]
    MoreThanAPicture {
        /// What was found.
        what: String,
    },
    /// It has more pixels than allowed.
    #[error("the picture is {width}×{height}, which is too large: at most {pixels} pixels and {side} a side")]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Pixels allowed.
        pixels: u64,
        /// Pixels a side allowed.
        side: u32,
    },
    /// Decoding it would take more memory than allowed.
    #[error(
        "the picture needs about {bytes} bytes of memory, {limit} are allowed: save it smaller, with 8 bits a channel"
    )]
    TooMuchMemory {
        /// Estimated bytes.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// It contradicts itself or cannot be decoded.
    #[error("the file is damaged: {reason}")]
    Damaged {
        /// What the decoder says.
        reason: String,
    },
}

/// Looks at a file without decoding its pixels: what it is, how large, and whether it is whole and nothing else.
///
/// Linear in the file's size; allocates next to nothing.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<PictureInfo, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    if bytes.len() > limits.file_bytes {
        return Err(PictureError::FileTooLarge { bytes: bytes.len(), limit: limits.file_bytes });
    }
    let format = sniff(bytes)?;
    let header = match format {
        PictureFormat::Png => walk_png(bytes)?,
        PictureFormat::Jpeg => walk_jpeg(bytes)?,
        PictureFormat::Webp => walk_webp(bytes)?,
    };
    let Header { width, height, animated, bytes_per_pixel } = header;
    if width == 0 || height == 0 {
        return Err(PictureError::Damaged { reason: "a side is 0".to_owned() });
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.pixels || width.max(height) > limits.side {
        return Err(PictureError::TooManyPixels { width, height, pixels: limits.pixels, side: limits.side });
    }
    let memory = pixels * bytes_per_pixel;
    if memory > limits.memory {
        return Err(PictureError::TooMuchMemory { bytes: memory, limit: limits.memory });
    }
    Ok(PictureInfo { format, width, height, animated, memory })
}

/// Decodes a file that [`inspect`] accepts: turned upright by its EXIF data, converted to sRGB by its colour profile.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, PictureError> {
    let info = inspect(bytes, limits)?;
    let input = Cursor::new(bytes);
    match info.format {
        PictureFormat::Png => {
            PngDecoder::with_limits(input, decoder_limits(limits)).map_err(damaged).map(Decoder::Png)
        }
        PictureFormat::Jpeg => JpegDecoder::new(input).map_err(damaged).map(Decoder::Jpeg),
        PictureFormat::Webp => WebPDecoder::new(input).map_err(damaged).map(Decoder::Webp),
    }
    .and_then(|decoder| match decoder {
        Decoder::Png(decoder) => read(decoder, &info, limits),
        Decoder::Jpeg(decoder) => read(decoder, &info, limits),
        Decoder::Webp(decoder) => read(decoder, &info, limits),
    })
}

#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack")]
enum Decoder<'a> {
    Png(PngDecoder<Cursor<&'a [u8]>>),
    Jpeg(JpegDecoder<Cursor<&'a [u8]>>),
    Webp(WebPDecoder<Cursor<&'a [u8]>>),
}

fn read(
    mut decoder: impl ImageDecoder,
    info: &PictureInfo,
    limits: &Limits,
) -> Result<Picture, PictureError> {
    if decoder.dimensions() != (info.width, info.height) {
        return Err(PictureError::Damaged { reason: "it gives two different sizes".to_owned() });
    }
    decoder.set_limits(decoder_limits(limits)).map_err(damaged)?;
    let profile = decoder.icc_profile().ok().flatten();
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    let image = image.into_rgba8();
    let (width, height) = image.dimensions();
    let mut rgba = image.into_raw();
    if let Some(profile) = profile {
        to_srgb(&mut rgba, &profile);
    }
    Picture::new(width, height, rgba)
        .ok_or_else(|| PictureError::Damaged { reason: "pixels are missing".to_owned() })
}

/// Converts pixels to sRGB; a profile that cannot be used leaves them as they are, which is how viewers treat it.
fn to_srgb(rgba: &mut [u8], profile: &[u8]) {
    let Ok(source) = ColorProfile::new_from_slice(profile) else { return };
    if source.color_space != DataColorSpace::Rgb {
        return;
    }
    let target = ColorProfile::new_srgb();
    let Ok(transform) =
        source.create_transform_8bit(Layout::Rgba, &target, Layout::Rgba, TransformOptions::default())
    else {
        return;
    };
    // In pieces, so that the copy stays small.
    for piece in rgba.chunks_mut(1 << 20) {
        let copy = piece.to_vec();
        if transform.transform(&copy, piece).is_err() {
            return;
        }
    }
}

fn decoder_limits(limits: &Limits) -> image::Limits {
    let mut found = image::Limits::default();
    found.max_image_width = Some(limits.side);
    found.max_image_height = Some(limits.side);
    found.max_alloc = Some(limits.memory);
    found
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of map_err")]
fn damaged(error: image::ImageError) -> PictureError {
    PictureError::Damaged { reason: error.to_string().chars().take(200).collect() }
}

/// What the content is; the file's name does not count.
fn sniff(bytes: &[u8]) -> Result<PictureFormat, PictureError> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(PictureFormat::Png);
    }
    if bytes.starts_with(b"\xFF\xD8\xFF") {
        return Ok(PictureFormat::Jpeg);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(PictureFormat::Webp);
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    if text.starts_with(b"<") || text.starts_with(b"\xFF\xFE<") || text.starts_with(b"\xFE\xFF\x00<") {
        return Err(PictureError::Markup);
    }
    let known: [(&[u8], &str); 9] = [
        (b"GIF8", "a GIF"),
        (b"%PDF", "a PDF"),
        (b"BM", "a BMP"),
        (b"II*\0", "a TIFF"),
        (b"MM\0*", "a TIFF"),
        (b"PK", "an archive"),
        (b"\x00\x00\x01\x00", "an icon"),
        (b"8BPS", "a Photoshop file"),
        (b"\x00\x00\x00\x0CJXL ", "a JPEG XL"),
    ];
    if let Some((_, kind)) = known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(PictureError::Unsupported { kind: (*kind).to_owned() });
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        let kind = match bytes.get(8..12) {
            Some(b"avif" | b"avis") => "an AVIF",
            Some(b"heic" | b"heix" | b"mif1" | b"heim" | b"heis") => "a HEIC",
            _ => "a video",
        };
        return Err(PictureError::Unsupported { kind: kind.to_owned() });
    }
    Err(PictureError::NotAPicture)
}

/// What a container's header says.
struct Header {
    width: u32,
    height: u32,
    animated: bool,
    /// What decoding needs for a pixel: the decoder's own buffers and the RGBA result.
    bytes_per_pixel: u64,
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn u24_le(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = bytes.get(at..)?.first_chunk().copied()?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

/// PNG (ISO/IEC 15948): a signature and chunks from IHDR to IEND, where the file must end.
fn walk_png(bytes: &[u8]) -> Result<Header, PictureError> {
    use PictureError::Truncated;
    let mut at = 8;
    let mut header = None;
    let mut data = false;
    let mut animated = false;
    loop {
        let length = u32_be(bytes, at).ok_or(Truncated)? as usize;
        let kind: [u8; 4] =
            bytes.get(at + 4..).and_then(|rest| rest.first_chunk().copied()).ok_or(Truncated)?;
        let body = bytes.get(at + 8..).and_then(|rest| rest.get(..length)).ok_or(Truncated)?;
        let next = at + 12 + length;
        if next > bytes.len() {
            return Err(Truncated);
        }
        match (&kind, header.is_some()) {
            (b"IHDR", false) => {
                let (width, height) = u32_be(body, 0).zip(u32_be(body, 4)).ok_or(Truncated)?;
                let (depth, color) = body.get(8).zip(body.get(9)).ok_or(Truncated)?;
                let channels: u64 = match color {
                    0 => 1,
                    // A palette may expand to RGBA.
                    3 | 6 => 4,
                    2 => 3,
                    4 => 2,
                    _ => return Err(PictureError::Damaged { reason: "unknown colour type".to_owned() }),
                };
                let own = if *depth == 16 { channels * 2 } else { channels };
                header = Some((width, height, own + 4));
            }
            (_, false) => {
                return Err(PictureError::Damaged { reason: "it does not begin with its header".to_owned() });
            }
            (b"IHDR", true) => return Err(PictureError::Damaged { reason: "it has two headers".to_owned() }),
            (b"IDAT", true) => data = true,
            (b"acTL", true) => animated = true,
            (b"IEND", true) => break no_more(bytes, next)?,
            _ => no_markup(body)?,
        }
        at = next;
    }
    if !data {
        return Err(Truncated);
    }
    let (width, height, bytes_per_pixel) = header.ok_or(Truncated)?;
    Ok(Header { width, height, animated, bytes_per_pixel })
}

/// JPEG (ITU-T T.81): segments, scans of coded data, and an end marker, where the file must end.
///
/// Phones append further JPEGs (previews, depth, HDR gain maps) and say so in a multi-picture segment; those are walked
/// the same way.
fn walk_jpeg(bytes: &[u8]) -> Result<Header, PictureError> {
    let (header, mut end, several) = walk_one_jpeg(bytes)?;
    while several && bytes.get(end..).is_some_and(|rest| rest.starts_with(b"\xFF\xD8\xFF")) {
        let (_, length, _) = walk_one_jpeg(bytes.get(end..).unwrap_or_default())?;
        end += length;
    }
    // Some cameras fill the last sector with zeroes.
    let rest = bytes.get(end..).unwrap_or_default();
    if !rest.iter().all(|byte| *byte == 0) {
        no_more(bytes, end)?;
    }
    Ok(header)
}

fn walk_one_jpeg(bytes: &[u8]) -> Result<(Header, usize, bool), PictureError> {
    use PictureError::Truncated;
    let mut at = 2;
    let mut frame = None;
    let mut several = false;
    let mut scans = false;
    loop {
        if bytes.get(at) != Some(&0xFF) {
            return Err(if at >= bytes.len() {
                Truncated
            } else {
                PictureError::Damaged { reason: "a segment is missing".to_owned() }
            });
        }
        let marker = *bytes.get(at + 1).ok_or(Truncated)?;
        match marker {
            // Fill bytes.
            0xFF => {
                at += 1;
                continue;
            }
            0xD9 => break,
            // Markers without a body.
            0x01 | 0xD0..=0xD7 => {
                at += 2;
                continue;
            }
            _ => {}
        }
        let length = usize::from(u16_be(bytes, at + 2).ok_or(Truncated)?);
        let body =
            bytes.get(at + 4..).and_then(|rest| rest.get(..length.checked_sub(2)?)).ok_or(Truncated)?;
        at += 2 + length;
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                if frame.is_some() {
                    return Err(PictureError::Damaged { reason: "it has two frames".to_owned() });
                }
                let (height, width) = u16_be(body, 1).zip(u16_be(body, 3)).ok_or(Truncated)?;
                let components = u64::from(*body.get(5).ok_or(Truncated)?);
                // A progressive picture's coefficients, two bytes each, are kept until all scans have been read.
                let coefficients = if marker == 0xC0 || marker == 0xC1 { 0 } else { 2 * components };
                frame = Some((u32::from(width), u32::from(height), components + coefficients + 4));
            }
            0xE2 if body.starts_with(b"MPF\0") => several = true,
            0xE0..=0xEF | 0xFE => no_markup(body)?,
            0xDA => {
                scans = true;
                at = end_of_scan(bytes, at).ok_or(Truncated)?;
            }
            _ => {}
        }
    }
    let (width, height, bytes_per_pixel) = frame.filter(|_| scans).ok_or(Truncated)?;
    Ok((Header { width, height, animated: false, bytes_per_pixel }, at + 2, several))
}

/// Where the coded data of a scan ends: at the next marker that is neither a stuffed byte nor a restart.
fn end_of_scan(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        match bytes.get(at + 1)? {
            0x00 | 0xD0..=0xD7 => at += 2,
            0xFF => at += 1,
            _ => return Some(at),
        }
    }
}

/// WebP (RFC 9649): a RIFF file of chunks, as long as its header says.
fn walk_webp(bytes: &[u8]) -> Result<Header, PictureError> {
    use PictureError::Truncated;
    let size = u32_le(bytes, 4).ok_or(Truncated)? as usize;
    let end = size.checked_add(8).ok_or(Truncated)?;
    if end > bytes.len() {
        return Err(Truncated);
    }
    no_more(bytes, end)?;
    let mut at = 12;
    let mut canvas = None;
    let mut animated = false;
    let mut data = false;
    while at < end {
        let kind: [u8; 4] = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).ok_or(Truncated)?;
        let length = u32_le(bytes, at + 4).ok_or(Truncated)? as usize;
        let body = bytes.get(at + 8..end).and_then(|rest| rest.get(..length)).ok_or(Truncated)?;
        at += 8 + length + length % 2;
        match &kind {
            b"VP8X" => {
                let (width, height) = u24_le(body, 4).zip(u24_le(body, 7)).ok_or(Truncated)?;
                canvas = Some((width + 1, height + 1));
                animated = body.first().is_some_and(|flags| flags & 2 != 0);
            }
            b"VP8 " => {
                data = true;
                if canvas.is_none() {
                    let (width, height) = u16_le(body, 6).zip(u16_le(body, 8)).ok_or(Truncated)?;
                    canvas = Some((u32::from(width & 0x3FFF), u32::from(height & 0x3FFF)));
                }
            }
            b"VP8L" => {
                data = true;
                if canvas.is_none() {
                    let bits = u32_le(body, 1).ok_or(Truncated)?;
                    canvas = Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1));
                }
            }
            b"ANMF" => data = true,
            b"ANIM" | b"ALPH" | b"ICCP" => {}
            _ => no_markup(body)?,
        }
    }
    let (width, height) = canvas.filter(|_| data).ok_or(Truncated)?;
    Ok(Header { width, height, animated, bytes_per_pixel: 12 })
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// Refuses bytes after the picture's end.
fn no_more(bytes: &[u8], end: usize) -> Result<(), PictureError> {
    let rest = bytes.len().saturating_sub(end);
    if rest == 0 {
        return Ok(());
    }
    Err(PictureError::MoreThanAPicture { what: format!("{rest} bytes after its end") })
}

/// Refuses metadata that a browser or an interpreter would run if it were given the file as text.
fn no_markup(body: &[u8]) -> Result<(), PictureError> {
    const SIGNS: [&[u8]; 6] = [b"script", b"?php", b"html", b"!doctype", b"svg", b"iframe"];
    let mut at = 0;
    while let Some(offset) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'<')) {
        at += offset + 1;
        let rest = body.get(at..).unwrap_or_default();
        let found = SIGNS
            .iter()
            .find(|sign| rest.get(..sign.len()).is_some_and(|start| start.eq_ignore_ascii_case(sign)));
        if let Some(sign) = found {
            let what = format!("<{} in its metadata", String::from_utf8_lossy(sign));
            return Err(PictureError::MoreThanAPicture { what });
        }
    }
    Ok(())
}

/// A part of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crop {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

/// A JPEG made from a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcoded {
    /// A baseline JPEG of at most [`encode::JPEG_BYTES`].
    pub jpeg: Vec<u8>,
    /// The part of the picture that it shows.
    pub crop: Crop,
    /// Whether the part had fewer pixels than the result: it looks soft then.
    pub enlarged: bool,
}

/// Why a picture is not transcoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscodeError {
    /// The crop is empty or reaches beyond the picture.
    #[error("the crop is not within the picture of {width}×{height}")]
    Crop {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
    },
    /// The wanted size is 0 or more than 4096 a side.
    #[error("a side of the result must have 1 to 4096 pixels")]
    Size,
    /// It cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A baseline JPEG of the wanted size: the crop if given, of that the largest middle part with the wanted shape, scaled.
pub fn transcode_jpeg(
    picture: &Picture,
    width: u32,
    height: u32,
    crop: Option<Crop>,
) -> Result<Transcoded, TranscodeError> {
    if !(1..=4096).contains(&width) || !(1..=4096).contains(&height) {
        return Err(TranscodeError::Size);
    }
    let whole = Crop { x: 0, y: 0, width: picture.width, height: picture.height };
    let crop = crop.unwrap_or(whole);
    let within = |start: u32, length: u32, side: u32| {
        length > 0 && start.checked_add(length).is_some_and(|end| end <= side)
    };
    if !within(crop.x, crop.width, picture.width) || !within(crop.y, crop.height, picture.height) {
        return Err(TranscodeError::Crop { width: picture.width, height: picture.height });
    }
    let crop = shaped_as(crop, width, height);
    let area = Area {
        left: f64::from(crop.x),
        top: f64::from(crop.y),
        width: f64::from(crop.width),
        height: f64::from(crop.height),
    };
    let scaled = resize(picture, area, width, height, Filter::Sharp).ok_or(TranscodeError::Size)?;
    let jpeg = encode::jpeg(&scaled, encode::JPEG_BYTES)?;
    Ok(Transcoded { jpeg, crop, enlarged: crop.width < width || crop.height < height })
}

/// The largest middle part of a crop with the shape of a size.
fn shaped_as(crop: Crop, width: u32, height: u32) -> Crop {
    let (w, h) = (u64::from(crop.width), u64::from(crop.height));
    let (tw, th) = (u64::from(width), u64::from(height));
    let narrow = |value: u64| u32::try_from(value.max(1)).unwrap_or(u32::MAX);
    let (cw, ch) =
        if w * th > h * tw { (narrow(h * tw / th), crop.height) } else { (crop.width, narrow(w * th / tw)) };
    Crop { x: crop.x + (crop.width - cw) / 2, y: crop.y + (crop.height - ch) / 2, width: cw, height: ch }
}

/// A part of a picture with fractions of pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// How a picture is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Lanczos, for pictures that stay.
    Sharp,
    /// Bilinear, for frames.
    Fast,
}

/// A part of a picture at another size.
pub(crate) fn resize(
    picture: &Picture,
    area: Area,
    width: u32,
    height: u32,
    filter: Filter,
) -> Option<Picture> {
    let mut target = vec![0; (width as usize).checked_mul(height as usize)?.checked_mul(4)?];
    let size = (picture.width, picture.height);
    let use_alpha = !picture.is_opaque();
    resize_into(
        &mut Resizer::new(),
        &picture.rgba,
        size,
        area,
        &mut target,
        (width, height),
        filter,
        use_alpha,
    )?;
    Picture::new(width, height, target)
}

/// The same into a buffer, with a resizer that keeps its own buffers.
#[expect(clippy::too_many_arguments, reason = "source, part, target and manner are all needed")]
pub(crate) fn resize_into(
    resizer: &mut Resizer,
    source: &[u8],
    source_size: (u32, u32),
    area: Area,
    target: &mut [u8],
    target_size: (u32, u32),
    filter: Filter,
    use_alpha: bool,
) -> Option<()> {
    let source = ImageRef::new(source_size.0, source_size.1, source, PixelType::U8x4).ok()?;
    let mut target = Image::from_slice_u8(target_size.0, target_size.1, target, PixelType::U8x4).ok()?;
    let algorithm = match filter {
        Filter::Sharp => ResizeAlg::Convolution(FilterType::Lanczos3),
        Filter::Fast => ResizeAlg::Convolution(FilterType::Bilinear),
    };
    let options = ResizeOptions::new()
        .resize_alg(algorithm)
        .crop(area.left, area.top, area.width, area.height)
        .use_alpha(use_alpha);
    resizer.resize(&source, &mut target, &options).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::webp::WebPEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    fn sample(width: u32, height: u32) -> Picture {
        let rgba = (0..height)
            .flat_map(|y| {
                (0..width).flat_map(move |x| [(x * 255 / width) as u8, (y * 255 / height) as u8, 90, 255])
            })
            .collect();
        Picture::new(width, height, rgba).unwrap()
    }

    fn files() -> [(PictureFormat, Vec<u8>); 3] {
        let picture = sample(60, 40);
        let mut webp = Vec::new();
        WebPEncoder::new_lossless(&mut webp)
            .write_image(picture.rgba(), 60, 40, ExtendedColorType::Rgba8)
            .unwrap();
        [
            (PictureFormat::Png, encode::png(&picture).unwrap()),
            (PictureFormat::Jpeg, encode::jpeg(&picture, encode::JPEG_BYTES).unwrap()),
            (PictureFormat::Webp, webp),
        ]
    }

    #[test]
    fn a_large_picture_is_made_smaller_in_its_shape() {
        let wide = Picture::new(400, 100, vec![200; 400 * 100 * 4]).unwrap();
        let small = wide.clone().within(10_000);
        assert_eq!((small.width(), small.height(), small.rgba()[0]), (200, 50, 200));
        assert_eq!(wide.clone().within(40_000), wide);
    }

    #[test]
    fn whole_files_are_accepted_and_decoded() {
        for (format, bytes) in files() {
            let info = inspect(&bytes, &Limits::default()).unwrap();
            assert_eq!((info.format, info.width, info.height, info.animated), (format, 60, 40, false));
            let picture = decode(&bytes, &Limits::default()).unwrap();
            assert_eq!((picture.width(), picture.height()), (60, 40));
            let pixel = &picture.rgba()[(20 * 60 + 30) * 4..][..4];
            assert!(
                pixel[0].abs_diff(127) < 6 && pixel[1].abs_diff(127) < 6 && pixel[3] == 255,
                "{format:?} {pixel:?}"
            );
        }
    }

    #[test]
    fn cut_files_are_refused_at_every_length() {
        for (format, bytes) in files() {
            for length in 1..bytes.len() {
                let found = inspect(&bytes[..length], &Limits::default());
                assert!(found.is_err(), "{format:?} of {length} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let mut state = 7_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for (_, bytes) in files() {
            for _ in 0..400 {
                let mut broken = bytes.clone();
                for _ in 0..=(random() % 4) {
                    let at = random() % broken.len();
                    broken[at] = random() as u8;
                }
                let _ = decode(&broken, &Limits::default());
            }
        }
        for length in 0..64 {
            let _ = decode(&vec![random() as u8; length], &Limits::default());
        }
    }

    #[test]
    fn files_that_are_also_something_else_are_refused() {
        for (format, bytes) in files() {
            let mut appended = bytes.clone();
            appended.extend(b"PK\x03\x04<script>alert(1)</script>");
            assert!(
                matches!(inspect(&appended, &Limits::default()), Err(PictureError::MoreThanAPicture { .. })),
                "{format:?}"
            );
        }
        let [_, (_, jpeg), _] = files();
        let comment = b"*/ <ScRiPt src=//x>";
        let mut hidden = jpeg[..2].to_vec();
        hidden.extend([0xFF, 0xFE, 0, comment.len() as u8 + 2]);
        hidden.extend(comment);
        hidden.extend(&jpeg[2..]);
        assert!(matches!(inspect(&hidden, &Limits::default()), Err(PictureError::MoreThanAPicture { .. })));
    }

    #[test]
    fn markup_and_other_formats_are_named() {
        for markup in [
            "<svg xmlns='http://www.w3.org/2000/svg'/>",
            " \n<!DOCTYPE html>",
            "\u{FEFF}<?xml version='1.0'?>",
        ] {
            assert_eq!(inspect(markup.as_bytes(), &Limits::default()), Err(PictureError::Markup));
        }
        assert_eq!(inspect(b"", &Limits::default()), Err(PictureError::Empty));
        assert_eq!(inspect(b"hello there", &Limits::default()), Err(PictureError::NotAPicture));
        for (bytes, kind) in
            [(&b"GIF89a...."[..], "a GIF"), (b"\0\0\0\x18ftypheic", "a HEIC"), (b"%PDF-1.7", "a PDF")]
        {
            assert_eq!(
                inspect(bytes, &Limits::default()),
                Err(PictureError::Unsupported { kind: kind.to_owned() })
            );
        }
    }

    /// A PNG of a few bytes that claims to be huge.
    fn bomb(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8], body: &[u8]| {
            bytes.extend((body.len() as u32).to_be_bytes());
            bytes.extend(kind);
            bytes.extend(body);
            bytes.extend([0; 4]);
        };
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend([8, 6, 0, 0, 0]);
        chunk(b"IHDR", &header);
        chunk(b"IDAT", b"x");
        chunk(b"IEND", b"");
        bytes
    }

    #[test]
    fn bombs_are_refused_before_decoding() {
        let limits = Limits::default();
        for (width, height) in [(50_000, 50_000), (20_000, 10), (8_000, 5_001), (u32::MAX, u32::MAX)] {
            assert!(matches!(
                inspect(&bomb(width, height), &limits),
                Err(PictureError::TooManyPixels { .. })
            ));
        }
        let small = Limits { memory: 1_000_000, ..limits };
        assert!(matches!(inspect(&bomb(1_000, 1_000), &small), Err(PictureError::TooMuchMemory { .. })));
        assert!(inspect(&bomb(1_000, 1_000), &limits).is_ok());
        assert!(decode(&bomb(1_000, 1_000), &limits).is_err());
        let tiny = Limits { file_bytes: 10, ..limits };
        assert!(matches!(inspect(&bomb(1, 1), &tiny), Err(PictureError::FileTooLarge { .. })));
    }

    #[test]
    fn pictures_are_turned_upright() {
        let picture = sample(60, 40);
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        // EXIF with the one entry "orientation: 6" (turn right).
        encoder
            .set_exif_metadata(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec())
            .unwrap();
        encoder.write_image(&picture.rgb(), 60, 40, ExtendedColorType::Rgb8).unwrap();
        let decoded = decode(&bytes, &Limits::default()).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (40, 60));
    }

    #[test]
    fn colour_profiles_are_applied() {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
        encoder.set_icc_profile(ColorProfile::new_display_p3().encode().unwrap()).unwrap();
        encoder.write_image(&[200, 60, 60].repeat(64), 8, 8, ExtendedColorType::Rgb8).unwrap();
        let pixel = decode(&bytes, &Limits::default()).unwrap().rgba()[..3].to_vec();
        // The same numbers mean a stronger red in Display P3.
        assert!(pixel[0] > 208 && pixel[1] < 56, "{pixel:?}");
    }

    #[test]
    fn transcoding_crops_to_the_wanted_shape() {
        let picture = sample(400, 200);
        let made = transcode_jpeg(&picture, 108, 135, None).unwrap();
        assert_eq!(made.crop, Crop { x: 120, y: 0, width: 160, height: 200 });
        assert!(!made.enlarged);
        let back = decode(&made.jpeg, &Limits::default()).unwrap();
        assert_eq!((back.width(), back.height()), (108, 135));
        let middle = back.rgba()[(67 * 108 + 54) * 4];
        assert!(middle.abs_diff(127) < 4, "{middle}");
        let wrong = Some(Crop { x: 300, y: 0, width: 101, height: 10 });
        assert_eq!(
            transcode_jpeg(&picture, 10, 10, wrong),
            Err(TranscodeError::Crop { width: 400, height: 200 })
        );
        assert_eq!(transcode_jpeg(&picture, 0, 10, None), Err(TranscodeError::Size));
        let overflow = Some(Crop { x: u32::MAX, y: 0, width: 2, height: 10 });
        assert!(transcode_jpeg(&picture, 10, 10, overflow).is_err());
    }
}
