//! What a file really is: told from its bytes as they pass, never from what its sender calls it, and never decoded.

use sha2::{Digest as _, Sha256};

use super::AssetKind;
use crate::error::{Fault, FaultCode};

/// Bytes from which a file's kind is told.
pub const HEAD: usize = 8 * 1024;
/// Bytes in which a picture says how large it is: behind colour profiles and thumbnails.
const PICTURE_HEAD: usize = 1024 * 1024;
/// Pixels of a picture's side at the most.
const SIDE: usize = 16_384;
/// Pixels of a picture at the most.
const PIXELS: usize = 50_000_000;

/// What has been found out about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its checksum.
    pub sha256: [u8; 32],
    /// How wide a picture is, in pixels.
    pub width: Option<i32>,
    /// How high it is.
    pub height: Option<i32>,
}

fn refuse(message: impl Into<String>) -> Fault {
    Fault::new(FaultCode::Invalid, message)
}

/// The kind of file that begins like this, as far as it is allowed here.
///
/// # Errors
/// What may be sent instead.
pub fn sniff(kind: AssetKind, head: &[u8]) -> Result<&'static str, Fault> {
    let known = infer::get(head).map(|found| found.mime_type());
    let is_text = known.is_none() && looks_like_text(head);
    let found = match (kind, known) {
        (AssetKind::Image, Some(mime @ ("image/png" | "image/jpeg" | "image/gif" | "image/webp")))
        | (AssetKind::Video, Some(mime @ ("video/mp4" | "video/webm" | "video/quicktime")))
        | (AssetKind::Audio, Some(mime @ ("audio/mpeg" | "audio/aac" | "audio/ogg")))
        | (AssetKind::Document, Some(mime @ "application/pdf"))
        | (AssetKind::Archive, Some(mime @ "application/zip")) => Some(mime),
        (AssetKind::Video, Some("video/x-m4v")) => Some("video/mp4"),
        (AssetKind::Audio, Some("audio/m4a")) => Some("audio/mp4"),
        (AssetKind::Audio, Some("audio/x-wav")) => Some("audio/wav"),
        (AssetKind::Document, None) if is_text => Some("text/plain"),
        (AssetKind::Captions, None) if is_text && begins(head, "WEBVTT") => Some("text/vtt"),
        (AssetKind::Captions, None) if is_text && is_subrip(head) => Some("application/x-subrip"),
        (AssetKind::Calendar, None) if is_text && begins(head, "BEGIN:VCALENDAR") => Some("text/calendar"),
        _ => None,
    };
    found.ok_or_else(|| {
        refuse(format!("The file is none of those that this kind of asset takes. Send {}.", kind.takes()))
    })
}

fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head)
}

fn begins(head: &[u8], word: &str) -> bool {
    without_mark(head).starts_with(word.as_bytes())
}

/// The number of the first line of speech, and then its times.
fn is_subrip(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(without_mark(head));
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let number = lines.next().is_some_and(|line| line.bytes().all(|b| b.is_ascii_digit()));
    number && lines.next().is_some_and(|line| line.contains("-->"))
}

/// Whether it may be a text that no browser would run. The rest of it is read when it passes.
fn looks_like_text(head: &[u8]) -> bool {
    let text = without_mark(head);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    // Whatever begins like markup could be taken for a page or a drawing that runs scripts.
    first.is_some_and(|byte| *byte != b'<') && !text.contains(&0)
}

/// Watches a file pass.
pub struct Inspector {
    is_picture: bool,
    digest: Sha256,
    head: Vec<u8>,
    /// The beginning of a character whose end is in the next piece; none when it is no text.
    text: Option<Vec<u8>>,
}

impl Inspector {
    /// For a file of a kind that is known.
    pub fn new(mime_type: &str) -> Self {
        let is_text = mime_type.starts_with("text/") || mime_type == "application/x-subrip";
        Self {
            is_picture: mime_type.starts_with("image/"),
            digest: Sha256::new(),
            head: Vec::new(),
            text: is_text.then(Vec::new),
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn pass(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.digest.update(piece);
        if self.is_picture {
            let room = PICTURE_HEAD.saturating_sub(self.head.len());
            self.head.extend_from_slice(&piece[..room.min(piece.len())]);
        }
        if let Some(pending) = &mut self.text {
            pending.extend_from_slice(piece);
            let bad = || refuse("The text is not UTF-8. Save it as UTF-8 and send it again.");
            let valid = match std::str::from_utf8(pending) {
                Ok(text) => text.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err(bad()),
            };
            if pending[..valid].contains(&0) {
                return Err(bad());
            }
            pending.drain(..valid);
        }
        Ok(())
    }

    /// What it was, once all of it has passed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn finish(self) -> Result<Found, Fault> {
        if self.text.is_some_and(|pending| !pending.is_empty()) {
            return Err(refuse("The text ends in the middle of a character. Send all of it."));
        }
        let sha256 = self.digest.finalize().into();
        if !self.is_picture {
            return Ok(Found { sha256, width: None, height: None });
        }
        let size = imagesize::blob_size(&self.head)
            .map_err(|_| refuse("The picture is damaged: it does not say how large it is. Save it again."))?;
        let sides = 1..=SIDE;
        let fits = sides.contains(&size.width)
            && sides.contains(&size.height)
            && size.width.saturating_mul(size.height) <= PIXELS;
        if !fits {
            let (width, height) = (size.width, size.height);
            return Err(refuse(format!(
                "The picture has {width} × {height} pixels; at most {SIDE} a side and 50 million in all are taken. Make it smaller."
            )));
        }
        let side = |pixels: usize| i32::try_from(pixels).ok();
        Ok(Found { sha256, width: side(size.width), height: side(size.height) })
    }
}

/// What a file of this kind is called at its end.
pub fn extension(mime_type: &str) -> &'static str {
    match mime_type {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        "video/quicktime" => "mov",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/aac" => "aac",
        "audio/wav" => "wav",
        "audio/ogg" => "ogg",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "text/vtt" => "vtt",
        "application/x-subrip" => "srt",
        "text/calendar" => "ics",
        "text/csv" => "csv",
        "text/markdown" => "md",
        _ => "txt",
    }
}
