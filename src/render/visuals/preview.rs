//! Small pictures of large ones, for lists and grids: upright, in sRGB, and with nothing of the file but its pixels.

use super::encode::{self, EncodeError};
use super::picture::{self, Limits, PictureError, PictureFormat};

/// A small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// JPEG, or PNG for a picture with transparency.
    pub format: PictureFormat,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Why there is no small picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreviewError {
    /// The file is refused.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// It cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A picture in small: its longer side has at most so many pixels. It is never enlarged, and of one that moves it is the
/// first frame.
pub fn preview(bytes: &[u8], limits: &Limits, side: u32) -> Result<Preview, PreviewError> {
    let picture = picture::decode(bytes, limits)?;
    // Scaling may leave a pixel that is all but opaque.
    let is_opaque = picture.is_opaque();
    let small = picture.fitting(side.max(1));
    let (format, bytes) = if is_opaque {
        (PictureFormat::Jpeg, encode::small_jpeg(&small)?)
    } else {
        (PictureFormat::Png, encode::transparent_png(&small)?)
    };
    Ok(Preview { format, bytes })
}

#[cfg(test)]
mod tests {
    use super::super::picture::{Picture, decode, inspect};
    use super::*;

    fn sample(width: u32, height: u32, alpha: u8) -> Vec<u8> {
        let rgba =
            (0..width * height).flat_map(|at| [200, 60, 20, if at == 0 { alpha } else { 255 }]).collect();
        encode::transparent_png(&Picture::new(width, height, rgba).unwrap()).unwrap()
    }

    fn size(made: &Preview) -> (u32, u32) {
        let info = inspect(&made.bytes, &Limits::default()).unwrap();
        assert_eq!(info.format, made.format);
        (info.width, info.height)
    }

    #[test]
    fn it_fits_in_its_shape_and_is_never_enlarged() {
        for (from, side, to) in [
            ((400, 200), 160, (160, 80)),
            ((200, 400), 160, (80, 160)),
            ((1_000, 3), 160, (160, 1)),
            ((100, 50), 160, (100, 50)),
            ((160, 160), 160, (160, 160)),
            // Neither side comes out one too short.
            ((4_032, 3_024), 1_280, (1_280, 960)),
        ] {
            let made = preview(&sample(from.0, from.1, 255), &Limits::default(), side).unwrap();
            assert_eq!((made.format, size(&made)), (PictureFormat::Jpeg, to), "{from:?}");
        }
    }

    #[test]
    fn transparency_stays() {
        let made = preview(&sample(40, 40, 0), &Limits::default(), 20).unwrap();
        assert_eq!((made.format, size(&made)), (PictureFormat::Png, (20, 20)));
        let back = decode(&made.bytes, &Limits::default()).unwrap();
        assert!(back.rgba()[3] < 255 && back.rgba()[back.rgba().len() - 1] > 250);
        // One pixel in a thousand is lost in the small picture, and the file is a PNG all the same.
        let made = preview(&sample(400, 400, 254), &Limits::default(), 20).unwrap();
        assert_eq!(made.format, PictureFormat::Png);
    }

    #[test]
    fn what_is_no_picture_has_none() {
        let whole = sample(40, 40, 255);
        assert!(preview(&whole, &Limits::default(), 20).is_ok());
        let limits = Limits { pixels: 1_599, ..Limits::default() };
        let refused = preview(&whole, &limits, 20);
        assert!(matches!(refused, Err(PreviewError::Picture(PictureError::TooManyPixels { .. }))));
        assert!(preview(&whole[..whole.len() - 1], &Limits::default(), 20).is_err());
        assert!(preview(b"GIF89a", &Limits::default(), 20).is_err());
    }
}
