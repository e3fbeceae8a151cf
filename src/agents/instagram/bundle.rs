//! A publication as one file, for whoever publishes it by hand: what is shown, in its order and as it fits, with everything
//! that has to be typed.

use std::io::{Cursor, Write as _};

use bytes::Bytes;
use serde_json::{Value, json};
use zip::CompressionMethod;
use zip::result::ZipResult;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::machine::Publication;

/// Bytes of all files together.
pub const BYTES: u64 = 100 << 20;

/// A file that is shown.
#[derive(Debug)]
pub struct Piece {
    /// What its name ends with, such as `jpg`.
    pub extension: &'static str,
    /// All of it.
    pub bytes: Bytes,
    /// What can be seen, for whoever cannot.
    pub alt_text: Option<String>,
}

/// Puts a publication into a ZIP archive. Pictures and videos cannot be made smaller, so that nothing is compressed; the same
/// publication is the same archive, whenever it is made.
///
/// # Errors
/// When the archive cannot be written.
pub fn zip(publication: &Publication, pieces: &[Piece], cover: Option<&Piece>) -> ZipResult<Vec<u8>> {
    let room = pieces.iter().chain(cover).map(|piece| piece.bytes.len()).sum::<usize>();
    let mut archive = ZipWriter::new(Cursor::new(Vec::with_capacity(room + (64 << 10))));
    let mut add = |name: &str, bytes: &[u8]| -> ZipResult<()> {
        archive
            .start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))?;
        Ok(archive.write_all(bytes)?)
    };
    let name = |at: usize, piece: &Piece| format!("{:02}.{}", at + 1, piece.extension);
    let named: Vec<(String, &Piece)> =
        pieces.iter().enumerate().map(|(at, piece)| (name(at, piece), piece)).collect();
    for (name, piece) in &named {
        add(name, &piece.bytes)?;
    }
    let cover_name = cover.map(|piece| format!("cover.{}", piece.extension));
    if let (Some(name), Some(piece)) = (&cover_name, cover) {
        add(name, &piece.bytes)?;
    }
    let alt_texts: Vec<String> = named
        .iter()
        .filter_map(|(name, piece)| Some(format!("{name}: {}", piece.alt_text.as_deref()?)))
        .collect();
    let texts = [
        ("caption.txt", publication.caption.clone()),
        ("alt-texts.txt", alt_texts.join("\n\n")),
        ("first-comment.txt", publication.details.comment.clone().unwrap_or_default()),
    ];
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        add(name, text.as_bytes())?;
    }
    let about = serde_json::to_vec_pretty(&about(publication, &named, cover_name.as_deref()));
    add("publication.json", &about.map_err(std::io::Error::from)?)?;
    Ok(archive.finish()?.into_inner())
}

/// What a program has to know about it.
fn about(publication: &Publication, named: &[(String, &Piece)], cover: Option<&str>) -> Value {
    let details = &publication.details;
    let part = |thousandths: u16| f64::from(thousandths) / 1_000.0;
    let tags: Vec<Value> = details
        .tags
        .iter()
        .map(|tag| {
            let (x, y) = (tag.place.map(|(x, _)| part(x)), tag.place.map(|(_, y)| part(y)));
            json!({"username": tag.username, "file": tag.file, "x": x, "y": y})
        })
        .collect();
    let files: Vec<Value> =
        named.iter().map(|(name, piece)| json!({"name": name, "altText": piece.alt_text})).collect();
    json!({
        "channel": "INSTAGRAM",
        "kind": publication.form,
        "scheduledAt": publication.scheduled_at,
        "timezone": publication.timezone,
        "files": files,
        "cover": cover,
        "coverSeconds": details.cover.map(|milliseconds| f64::from(milliseconds) / 1_000.0),
        "caption": publication.caption,
        "firstComment": details.comment,
        "userTags": tags,
        "collaborators": details.collaborators,
        "locationId": details.location,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::agents::instagram::machine::Form;

    fn piece(extension: &'static str, alt_text: Option<&str>) -> Piece {
        Piece { extension, bytes: Bytes::from_static(b"bytes"), alt_text: alt_text.map(str::to_owned) }
    }

    fn opened(zip: Vec<u8>) -> Vec<(String, String)> {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        (0..archive.len())
            .map(|at| {
                let mut file = archive.by_index(at).unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                (file.name().unwrap().into_owned(), text)
            })
            .collect()
    }

    #[test]
    fn everything_is_there_in_its_order_and_always_the_same() {
        let mut publication = Publication::new(Form::Carousel);
        publication.caption = "Zwei schöne Bilder.".to_owned();
        publication.details.comment = Some("#eins".to_owned());
        publication.details.collaborators = vec!["ada".to_owned()];
        let pieces = [piece("jpg", Some("A sunrise.")), piece("mp4", None)];
        let made = zip(&publication, &pieces, None).unwrap();
        assert_eq!(made, zip(&publication, &pieces, None).unwrap());
        let files = opened(made);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["01.jpg", "02.mp4", "caption.txt", "alt-texts.txt", "first-comment.txt", "publication.json"];
        assert_eq!(names, expected);
        assert_eq!((files[0].1.as_str(), files[2].1.as_str()), ("bytes", "Zwei schöne Bilder."));
        assert_eq!((files[3].1.as_str(), files[4].1.as_str()), ("01.jpg: A sunrise.", "#eins"));
        let about: Value = serde_json::from_str(&files[5].1).unwrap();
        assert_eq!((&about["kind"], &about["collaborators"]), (&json!("CAROUSEL"), &json!(["ada"])));
        assert_eq!(about["files"][1], json!({"name": "02.mp4", "altText": null}));
    }

    #[test]
    fn what_there_is_none_of_is_left_out() {
        let publication = Publication::new(Form::Reel);
        let files = opened(zip(&publication, &[piece("mp4", None)], Some(&piece("jpg", None))).unwrap());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["01.mp4", "cover.jpg", "publication.json"]);
        assert!(files[2].1.contains("\"cover\": \"cover.jpg\""), "{}", files[2].1);
    }
}
