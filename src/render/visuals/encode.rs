//! Pixels to files: PNG and baseline JPEG, both marked as sRGB.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use moxcms::ColorProfile;

use super::picture::Picture;

/// The largest JPEG that Instagram takes, in bytes.
pub const JPEG_BYTES: usize = 8 * 1024 * 1024;
/// The qualities tried until the file is small enough.
const QUALITIES: [u8; 6] = [92, 88, 82, 74, 64, 50];

/// A picture could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The encoder refused the picture.
    #[error("the picture cannot be written: {0}")]
    Encoder(String),
    /// No quality makes the JPEG small enough.
    #[error(
        "the picture needs more than {limit} bytes as a JPEG even at the lowest quality: make it smaller"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// A PNG of 8-bit RGB with its colour space, sRGB. Transparency is laid over white.
pub fn png(picture: &Picture) -> Result<Vec<u8>, EncodeError> {
    write_png(picture, png::ColorType::Rgb, &picture.rgb())
}

/// The same with its transparency.
pub fn transparent_png(picture: &Picture) -> Result<Vec<u8>, EncodeError> {
    write_png(picture, png::ColorType::Rgba, picture.rgba())
}

fn write_png(picture: &Picture, color: png::ColorType, pixels: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let failed = |error: png::EncodingError| EncodeError::Encoder(error.to_string());
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// A baseline JPEG (SOF0, no subsampling of colour, which keeps coloured text sharp) with an sRGB profile, of the best
/// of six qualities from 92 down to 50 that stays within a number of bytes. Transparency is laid over white.
pub fn jpeg(picture: &Picture, limit: usize) -> Result<Vec<u8>, EncodeError> {
    let rgb = picture.rgb();
    let profile = srgb_profile();
    for quality in QUALITIES {
        let bytes = write_jpeg(picture, &rgb, quality, profile.clone())?;
        if bytes.len() <= limit {
            return Ok(bytes);
        }
    }
    Err(EncodeError::TooLarge { limit })
}

/// A baseline JPEG for a small place: of quality 82, and with nothing but its pixels, which are sRGB where nothing else is
/// said. Transparency is laid over white.
pub fn small_jpeg(picture: &Picture) -> Result<Vec<u8>, EncodeError> {
    write_jpeg(picture, &picture.rgb(), 82, None)
}

fn write_jpeg(
    picture: &Picture,
    rgb: &[u8],
    quality: u8,
    profile: Option<Vec<u8>>,
) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).map_err(|error| EncodeError::Encoder(error.to_string()))?;
    }
    encoder
        .write_image(rgb, picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|error| EncodeError::Encoder(error.to_string()))?;
    Ok(bytes)
}

/// An sRGB profile, the same at every call: the library writes the present time into it (bytes 24 to 35 of the header, ICC.1
/// 7.2), which is replaced by the first second of 2000.
fn srgb_profile() -> Option<Vec<u8>> {
    const YEAR_2000: [u8; 12] = [0x07, 0xD0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    let mut profile = ColorProfile::new_srgb().encode().ok()?;
    profile.get_mut(24..36)?.copy_from_slice(&YEAR_2000);
    Some(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: u32, height: u32) -> Picture {
        let mut state = 1_u32;
        let rgba = (0..width * height)
            .flat_map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let [a, b, c, _] = state.to_be_bytes();
                [a, b, c, 255]
            })
            .collect();
        Picture::new(width, height, rgba).unwrap()
    }

    /// The markers of a JPEG up to its first scan.
    fn markers(bytes: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        let mut at = 2;
        while at + 4 <= bytes.len() {
            assert_eq!(bytes[at], 0xFF);
            found.push(bytes[at + 1]);
            if bytes[at + 1] == 0xDA {
                break;
            }
            at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        }
        found
    }

    #[test]
    fn a_jpeg_is_baseline_and_carries_srgb() {
        let bytes = jpeg(&noise(64, 48), JPEG_BYTES).unwrap();
        let markers = markers(&bytes);
        assert!(markers.contains(&0xC0), "{markers:02X?}");
        assert!(
            !markers
                .iter()
                .any(|marker| matches!(marker, 0xC1..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF))
        );
        assert!(bytes.windows(11).any(|window| window == b"ICC_PROFILE"));
    }

    #[test]
    fn no_time_is_written() {
        let bytes = jpeg(&noise(8, 8), JPEG_BYTES).unwrap();
        let header = bytes.windows(4).position(|window| window == b"acsp").unwrap() - 36;
        assert_eq!(&bytes[header + 24..header + 28], &[0x07, 0xD0, 0, 1]);
    }

    #[test]
    fn files_are_the_same_every_time() {
        let picture = noise(40, 40);
        assert_eq!(png(&picture), png(&picture));
        assert_eq!(jpeg(&picture, JPEG_BYTES), jpeg(&picture, JPEG_BYTES));
    }

    #[test]
    fn the_quality_falls_until_the_file_is_small_enough() {
        let picture = noise(200, 200);
        let best = jpeg(&picture, JPEG_BYTES).unwrap().len();
        let small = jpeg(&picture, best * 2 / 3).unwrap().len();
        assert!(small <= best * 2 / 3);
        assert_eq!(jpeg(&picture, 1_000), Err(EncodeError::TooLarge { limit: 1_000 }));
    }

    #[test]
    fn a_png_says_srgb_and_reads_back_exactly() {
        let picture = noise(33, 21);
        let bytes = png(&picture).unwrap();
        assert!(bytes.windows(4).any(|window| window == b"sRGB"));
        let back = super::super::picture::decode(&bytes, &super::super::picture::Limits::default()).unwrap();
        assert_eq!(back, picture);
    }
}
