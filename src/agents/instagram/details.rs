//! What goes along with the files and the words: who is in them, who else shows them, where it was, a reel's cover, and the
//! first comment below it.
//!
//! Which container takes which of these is the Graph API's reference (IG User › Media).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::machine::Form;
use crate::agents::posts::builtin::validity::{self, Unit};
use crate::assets::AssetKind;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::AssetId;
use crate::input;

/// Tags in all files together.
const TAGS: usize = 20;
/// Accounts that show it as theirs as well.
const COLLABORATORS: usize = 3;
/// Characters of a name on Instagram.
const NAME: usize = 30;
/// Digits of a place's id.
const PLACE: usize = 25;
/// Characters of a comment, as a reader counts them.
const COMMENT: usize = 2_200;
/// Unicode scalar values of a comment that is read at all: an emoji may have many.
const COMMENT_READ: usize = 10_000;
/// Seconds of the longest reel.
const LONGEST: f64 = 900.0;

/// What goes along with a publication.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// Who is in the files.
    pub tags: Vec<Tag>,
    /// Names of accounts that are asked to show it as theirs as well.
    pub collaborators: Vec<String>,
    /// The id of a place.
    pub location: Option<String>,
    /// At how many milliseconds of a reel its cover is.
    pub cover: Option<u32>,
    /// The picture that is a reel's cover.
    pub cover_asset: Option<AssetId>,
    /// The first comment, which is written below it when it is public.
    pub comment: Option<String>,
}

/// Somebody who is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Their name on Instagram.
    pub username: String,
    /// In which file, from 1.
    pub file: usize,
    /// Where in a picture: thousandths of its width and height.
    pub place: Option<(u16, u16)>,
}

/// Parameters of a container.
pub type Parameters = Vec<(&'static str, String)>;

fn refuse<T>(code: FaultCode, field: &'static str, message: impl Into<String>) -> Result<T> {
    Err(Error::fault(Fault::at(code, field, message)))
}

/// A name on Instagram, without the `@` that people write before it.
fn username(field: &'static str, text: &str) -> Result<String> {
    let name = text.trim().trim_start_matches('@');
    let is_name = (1..=NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_');
    if is_name {
        return Ok(name.to_owned());
    }
    let message = "A name on Instagram has 1 to 30 letters, digits, periods and underscores.";
    refuse(FaultCode::Invalid, field, message)
}

/// Where somebody is in a picture.
///
/// # Errors
/// A fault at `userTags`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000")]
pub fn place(x: Option<f64>, y: Option<f64>) -> Result<Option<(u16, u16)>> {
    let within = |part: f64| (0.0..=1.0).contains(&part).then(|| (part * 1_000.0).round() as u16);
    match (x, y) {
        (None, None) => Ok(None),
        (Some(x), Some(y)) => match within(x).zip(within(y)) {
            Some(place) => Ok(Some(place)),
            None => refuse(FaultCode::OutOfRange, "userTags", "`x` and `y` are numbers from 0 to 1."),
        },
        _ => refuse(FaultCode::Required, "userTags", "`x` and `y` belong together: give both, or neither."),
    }
}

/// Milliseconds of so many seconds of a reel.
///
/// # Errors
/// A fault at `coverSeconds`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a quarter of an hour")]
pub fn cover(seconds: f64) -> Result<u32> {
    if (0.0..=LONGEST).contains(&seconds) {
        return Ok((seconds * 1_000.0).round() as u32);
    }
    refuse(FaultCode::OutOfRange, "coverSeconds", format!("`coverSeconds` is a number from 0 to {LONGEST}."))
}

impl Details {
    /// Checks what a caller wrote for so many files that are shown in this way.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(mut self, form: Form, files: usize) -> Result<Self> {
        if self.tags.len() > TAGS {
            return refuse(FaultCode::TooLong, "userTags", format!("`userTags` has at most {TAGS} entries."));
        }
        if self.collaborators.len() > COLLABORATORS {
            let message = format!("`collaborators` has at most {COLLABORATORS} names.");
            return refuse(FaultCode::TooLong, "collaborators", message);
        }
        for tag in &mut self.tags {
            tag.username = username("userTags", &tag.username)?;
            if !(1..=files).contains(&tag.file) {
                let message = format!("`file` of `userTags` is a number from 1 to {files}.");
                return refuse(FaultCode::OutOfRange, "userTags", message);
            }
        }
        for name in &mut self.collaborators {
            *name = username("collaborators", name)?;
        }
        if let Some(id) = &mut self.location {
            *id = id.trim().to_owned();
            if !(1..=PLACE).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                let message = "`locationId` is the id of a page on Facebook that has a place: digits only.";
                return refuse(FaultCode::Invalid, "locationId", message);
            }
        }
        if let Some(text) = &self.comment {
            let text = input::paragraph("firstComment", Some(text), COMMENT_READ)?;
            if text.as_deref().is_some_and(|text| validity::length(text, Unit::Graphemes) > COMMENT) {
                let message = format!("`firstComment` has at most {COMMENT} characters.");
                return refuse(FaultCode::TooLong, "firstComment", message);
            }
            self.comment = text;
        }
        let takes = |field, given: bool, forms: &[Form], said: &str| {
            if given && !forms.contains(&form) { refuse(FaultCode::Invalid, field, said) } else { Ok(()) }
        };
        let words = [Form::Feed, Form::Reel, Form::Carousel];
        takes("userTags", !self.tags.is_empty(), &words, "Stories take no `userTags`.")?;
        takes("locationId", self.location.is_some(), &words, "Stories take no `locationId`.")?;
        takes("firstComment", self.comment.is_some(), &words, "Stories take no `firstComment`.")?;
        let alone = &[Form::Feed, Form::Reel];
        let said = "Only `FEED` and `REEL` take `collaborators`.";
        takes("collaborators", !self.collaborators.is_empty(), alone, said)?;
        takes("coverSeconds", self.cover.is_some(), &[Form::Reel], "Only a `REEL` takes `coverSeconds`.")?;
        let said = "Only a `REEL` takes `coverAssetId`.";
        takes("coverAssetId", self.cover_asset.is_some(), &[Form::Reel], said)?;
        if self.cover.is_some() && self.cover_asset.is_some() {
            let message =
                "A cover is a moment of the reel or a picture: leave out `coverSeconds` or `coverAssetId`.";
            return refuse(FaultCode::Invalid, "coverAssetId", message);
        }
        Ok(self)
    }

    /// Checks it against the files: what each is, and how long it lasts as far as that is known.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn suit(&self, files: &[(AssetKind, Option<f64>)]) -> Result<()> {
        for Tag { username, file, place } in &self.tags {
            let found = file.checked_sub(1).and_then(|at| files.get(at));
            if place.is_none() && found.is_some_and(|(kind, _)| *kind == AssetKind::Image) {
                let message = format!("Say with `x` and `y` where in picture {file} {username} is.");
                return refuse(FaultCode::Required, "userTags", message);
            }
        }
        if let (Some(cover), Some((_, Some(seconds)))) = (self.cover, files.first())
            && f64::from(cover) / 1_000.0 > *seconds
        {
            let message = format!("The reel lasts {seconds} seconds: its cover cannot come later.");
            return refuse(FaultCode::OutOfRange, "coverSeconds", message);
        }
        Ok(())
    }

    /// What the container of a file takes, which is the page of that number, from 0.
    pub fn of_page(&self, page: usize, is_video: bool) -> Parameters {
        let here = self.tags.iter().filter(|tag| tag.file == page + 1);
        let tags: Vec<_> = here
            .map(|Tag { username, place, .. }| match place.filter(|_| !is_video) {
                Some((x, y)) => {
                    json!({"username": username, "x": f64::from(x) / 1_000.0, "y": f64::from(y) / 1_000.0})
                }
                None => json!({"username": username}),
            })
            .collect();
        if tags.is_empty() { Vec::new() } else { vec![("user_tags", json!(tags).to_string())] }
    }

    /// What the container of the whole takes: the only one, or that of a carousel.
    pub fn of_whole(&self) -> Parameters {
        let mut parameters = Vec::new();
        if !self.collaborators.is_empty() {
            parameters.push(("collaborators", json!(self.collaborators).to_string()));
        }
        if let Some(id) = &self.location {
            parameters.push(("location_id", id.clone()));
        }
        if let Some(milliseconds) = self.cover {
            parameters.push(("thumb_offset", milliseconds.to_string()));
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(username: &str, file: usize, place: Option<(u16, u16)>) -> Tag {
        Tag { username: username.to_owned(), file, place }
    }

    #[test]
    fn what_goes_along_is_put_where_it_belongs() {
        let details = Details {
            tags: vec![tag(" @ada.l ", 1, Some((250, 1_000))), tag("bo", 2, Some((0, 0)))],
            location: Some(" 123 ".to_owned()),
            ..Details::default()
        };
        let details = details.parse(Form::Carousel, 2).unwrap();
        let first = r#"[{"username":"ada.l","x":0.25,"y":1.0}]"#.to_owned();
        assert_eq!(details.of_page(0, false), [("user_tags", first)]);
        // A video has no places.
        assert_eq!(details.of_page(1, true), [("user_tags", r#"[{"username":"bo"}]"#.to_owned())]);
        assert_eq!(details.of_page(2, false), []);
        assert_eq!(details.of_whole(), [("location_id", "123".to_owned())]);
        let reel =
            Details { collaborators: vec!["@bo".to_owned()], cover: Some(1_500), ..Details::default() };
        let reel = reel.parse(Form::Reel, 1).unwrap();
        let whole = [("collaborators", r#"["bo"]"#.to_owned()), ("thumb_offset", "1500".to_owned())];
        assert_eq!(reel.of_whole(), whole);
        assert_eq!(Details::default().of_whole(), []);
    }

    #[test]
    fn what_does_not_belong_is_refused_at_its_field() {
        let tags = |tags: Vec<Tag>| Details { tags, ..Details::default() };
        let here = Some((500, 500));
        let people = |names: &[&str]| Details {
            collaborators: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Details::default()
        };
        let at = |id: &str| Details { location: Some(id.to_owned()), ..Details::default() };
        let pictured = |cover| {
            let cover_asset = Some(AssetId::generate());
            Details { cover, cover_asset, ..Details::default() }
        };
        assert!(pictured(None).parse(Form::Reel, 1).is_ok());
        let says = |text: &str| Details { comment: Some(text.to_owned()), ..Details::default() };
        // A family is one character to whoever reads it.
        let families = "👨‍👩‍👧".repeat(2_000);
        assert_eq!(says(&families).parse(Form::Feed, 1).unwrap().comment, Some(families));
        assert_eq!(says("  ").parse(Form::Feed, 1).unwrap().comment, None);
        let covered = Details { cover: Some(0), ..Details::default() };
        for (details, form, files, code, field) in [
            (tags(vec![tag("ada", 1, here); 21]), Form::Feed, 1, FaultCode::TooLong, "userTags"),
            (tags(vec![tag("ada b", 1, here)]), Form::Feed, 1, FaultCode::Invalid, "userTags"),
            (tags(vec![tag("@", 1, here)]), Form::Feed, 1, FaultCode::Invalid, "userTags"),
            (tags(vec![tag("ada", 2, here)]), Form::Feed, 1, FaultCode::OutOfRange, "userTags"),
            (tags(vec![tag("ada", 0, here)]), Form::Carousel, 3, FaultCode::OutOfRange, "userTags"),
            (tags(vec![tag("ada", 1, here)]), Form::Story, 1, FaultCode::Invalid, "userTags"),
            (people(&["a", "b", "c", "d"]), Form::Feed, 1, FaultCode::TooLong, "collaborators"),
            (people(&["a"]), Form::Carousel, 2, FaultCode::Invalid, "collaborators"),
            (people(&["a/b"]), Form::Feed, 1, FaultCode::Invalid, "collaborators"),
            (at("12a"), Form::Feed, 1, FaultCode::Invalid, "locationId"),
            (at(""), Form::Feed, 1, FaultCode::Invalid, "locationId"),
            (at("12"), Form::Story, 1, FaultCode::Invalid, "locationId"),
            (covered, Form::Feed, 1, FaultCode::Invalid, "coverSeconds"),
            (pictured(None), Form::Feed, 1, FaultCode::Invalid, "coverAssetId"),
            (pictured(Some(0)), Form::Reel, 1, FaultCode::Invalid, "coverAssetId"),
            (says("Hi."), Form::Story, 1, FaultCode::Invalid, "firstComment"),
            (says(&"é".repeat(2_201)), Form::Feed, 1, FaultCode::TooLong, "firstComment"),
        ] {
            let Error::Invalid(faults) = details.clone().parse(form, files).unwrap_err() else {
                panic!("{details:?}");
            };
            assert_eq!(
                (faults[0].code, faults[0].field.as_ref().unwrap()[1].as_str()),
                (code, field),
                "{details:?}"
            );
        }
        let files = [(AssetKind::Image, None), (AssetKind::Video, Some(2.0))];
        let fits = |details: &Details, files: &[_]| details.suit(files).is_ok();
        assert!(
            !fits(&tags(vec![tag("ada", 1, None)]), &files) && fits(&tags(vec![tag("ada", 1, here)]), &files)
        );
        assert!(fits(&tags(vec![tag("ada", 2, None)]), &files));
        let at = |cover| Details { cover: Some(cover), ..Details::default() };
        assert!(fits(&at(2_000), &files[1..]) && !fits(&at(2_001), &files[1..]));
        assert!(fits(&at(900_000), &[(AssetKind::Video, None)]), "nobody knows how long it is");
        assert!(place(Some(0.5), None).is_err() && place(Some(1.1), Some(0.0)).is_err());
        assert!(
            place(Some(f64::NAN), Some(0.0)).is_err() && cover(f64::NAN).is_err() && cover(-1.0).is_err()
        );
        assert_eq!((place(Some(0.25), Some(1.0)).unwrap(), cover(1.5).unwrap()), (Some((250, 1_000)), 1_500));
    }
}
