//! What Instagram would refuse, found before it is asked.
//!
//! The limits are those of the Graph API's reference (IG User › Media): a JPEG of at most 8 MiB between 4:5 and 1.91:1 in the
//! feed, 2 to 10 pages of a carousel, reels of 3 seconds to 15 minutes, stories of at most a minute.

use chrono::{DateTime, Utc};

use super::errors::Problem;
use super::machine::Form;
use crate::accounts::channel::Channel;
use crate::agents::hashtags::builtin::hashtags;
use crate::agents::posts::builtin::validity::{ProblemCode, validity};
use crate::assets::AssetKind;
use crate::engine::Unsafe;

/// Bytes of a picture.
const IMAGE_BYTES: u64 = 8 << 20;
/// Pages of a carousel.
const PAGES: std::ops::RangeInclusive<usize> = 2..=10;
/// Stories at once.
const STORIES: usize = 10;
/// The width that Instagram keeps of a picture.
const WIDTH: u64 = 1_440;
/// The height up to which a picture is made.
const HEIGHT: u64 = 2_560;

/// A file, as far as it has to fit.
#[derive(Debug, Clone)]
pub struct Media {
    /// What it is.
    pub kind: AssetKind,
    /// What kind of file.
    pub mime_type: String,
    /// Its length.
    pub bytes: u64,
    /// Its width and height, as far as they are known.
    pub size: Option<(u32, u32)>,
    /// How long it lasts, as far as that is known.
    pub seconds: Option<f64>,
}

/// What else has to hold.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Whether Instagram can reach where the files are fetched.
    pub address: Result<(), Unsafe>,
    /// When the account's token ends.
    pub token_ends: Option<DateTime<Utc>>,
    /// When it shall be public.
    pub at: DateTime<Utc>,
    /// The present.
    pub now: DateTime<Utc>,
}

/// What has to be done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Nothing.
    AsIs,
    /// It is made into a JPEG that fits.
    Transcode,
}

/// Everything that does not fit, and what has to be done to each file.
pub fn check(
    form: Form,
    (caption, comment): (&str, Option<&str>),
    media: &[Media],
    facts: &Facts,
) -> (Vec<Problem>, Vec<Fit>) {
    let mut problems = count(form, media);
    let fits = media.iter().enumerate().map(|(at, media)| {
        let number = at + 1;
        match media.kind {
            AssetKind::Image => picture(form, media, number, &mut problems),
            AssetKind::Video => {
                video(form, media, number, &mut problems);
                Fit::AsIs
            }
            _ => {
                let message = format!("File {number} is neither a picture nor a video.");
                problems.push(Problem::new("MEDIA_KIND", message, "Leave it out."));
                Fit::AsIs
            }
        }
    });
    let fits = fits.collect();
    // Stories have no caption.
    if form != Form::Story {
        problems.extend(text(caption));
        problems.extend(comment.into_iter().flat_map(|comment| below(caption, comment)));
    }
    if let Err(refused) = facts.address {
        let message = format!("Instagram has to fetch the files, and cannot reach where they are. {refused}");
        let remedy = "Set AICOS_PUBLIC_URL to the server's public https address, or keep files in a bucket.";
        problems.push(Problem::new("NOT_REACHABLE", message, remedy));
    }
    problems.extend(token(facts));
    (problems, fits)
}

fn count(form: Form, media: &[Media]) -> Vec<Problem> {
    let takes = match form {
        Form::Feed if media.len() != 1 => "FEED takes one picture",
        Form::Reel if media.len() != 1 => "REEL takes one video",
        Form::Carousel if !PAGES.contains(&media.len()) => "CAROUSEL takes 2 to 10 pictures and videos",
        Form::Story if !(1..=STORIES).contains(&media.len()) => "STORY takes 1 to 10 pictures and videos",
        _ => return Vec::new(),
    };
    let message = format!("{takes}, and there are {}.", media.len());
    vec![Problem::new("MEDIA_COUNT", message, "Choose other files, or another `kind`.")]
}

fn picture(form: Form, media: &Media, number: usize, problems: &mut Vec<Problem>) -> Fit {
    if form == Form::Reel {
        let message = format!("File {number} is a picture, and a reel is a video.");
        problems.push(Problem::new("MEDIA_KIND", message, "Choose a video, or publish it as `FEED`."));
        return Fit::AsIs;
    }
    let has_shape =
        form == Form::Story || media.size.is_some_and(|(width, height)| is_between(width, height));
    jpeg(media, has_shape, &format!("File {number}")).unwrap_or_else(|problem| {
        problems.push(problem);
        Fit::AsIs
    })
}

/// What has to be done to the picture of a reel's cover. It may have any shape: Instagram takes what fits from its middle.
///
/// # Errors
/// Why it cannot be one.
pub fn cover(media: &Media) -> Result<Fit, Problem> {
    if media.kind != AssetKind::Image {
        let message = "The reel's cover is no picture.";
        return Err(Problem::new("COVER", message, "Choose a picture for `coverAssetId`."));
    }
    jpeg(media, true, "The reel's cover")
}

/// What has to be done to a picture that Instagram shall fetch.
fn jpeg(media: &Media, has_shape: bool, name: &str) -> Result<Fit, Problem> {
    let is_jpeg = media.mime_type == "image/jpeg";
    if !is_jpeg && !matches!(media.mime_type.as_str(), "image/png" | "image/webp") {
        let message = format!("{name} is {}, which cannot be made into a JPEG here.", media.mime_type);
        return Err(Problem::new("IMAGE_FORMAT", message, "Send a JPEG, PNG or WebP."));
    }
    let fits = is_jpeg && media.bytes <= IMAGE_BYTES && has_shape;
    Ok(if fits { Fit::AsIs } else { Fit::Transcode })
}

fn video(form: Form, media: &Media, number: usize, problems: &mut Vec<Problem>) {
    if form == Form::Feed {
        let message = format!("File {number} is a video, and Instagram shows single videos as reels.");
        problems.push(Problem::new("MEDIA_KIND", message, "Publish it as `REEL`."));
    }
    if !matches!(media.mime_type.as_str(), "video/mp4" | "video/quicktime") {
        let message = format!("File {number} is {}, which Instagram does not take.", media.mime_type);
        problems.push(Problem::new("VIDEO_FORMAT", message, "Send an MP4 with H.264 video and AAC sound."));
    }
    let (least, most) = match form {
        Form::Story | Form::Carousel => (3.0, 60.0),
        Form::Feed | Form::Reel => (3.0, 900.0),
    };
    if let Some(seconds) = media.seconds.filter(|seconds| !(least..=most).contains(seconds)) {
        let message = format!("File {number} lasts {seconds:.1} s; {least:.0} s to {most:.0} s are taken.");
        problems.push(Problem::new("VIDEO_LENGTH", message, "Cut it."));
    }
}

fn text(caption: &str) -> Vec<Problem> {
    let found = validity(caption, Channel::Instagram).problems.into_iter();
    let problem = |code, message, remedy| Some(Problem::new(code, message, remedy));
    let read = |found: crate::agents::posts::builtin::validity::Problem| match found.code {
        // It may be without one.
        ProblemCode::Empty | ProblemCode::TooManyLinks => None,
        ProblemCode::TooLong => problem("CAPTION_TOO_LONG", found.message, "Shorten the caption."),
        ProblemCode::TooManyHashtags => {
            problem("TOO_MANY_HASHTAGS", found.message, "Take some hashtags out.")
        }
        ProblemCode::TooManyMentions => {
            problem("TOO_MANY_MENTIONS", found.message, "Take some mentions out.")
        }
        ProblemCode::Character => problem("CAPTION_CHARACTER", found.message, "Type the caption again."),
    };
    found.filter_map(read).collect()
}

/// What does not fit of a first comment. Its length was looked at when it was given; its hashtags count together with the
/// caption's.
fn below(caption: &str, comment: &str) -> Vec<Problem> {
    let found = validity(comment, Channel::Instagram);
    let mut problems: Vec<_> = found
        .problems
        .into_iter()
        .filter_map(|found| match found.code {
            ProblemCode::TooManyMentions => {
                let message = format!("The first comment: {}", found.message);
                Some(Problem::new("COMMENT_TOO_MANY_MENTIONS", message, "Take some mentions out of it."))
            }
            ProblemCode::Character => {
                let message = format!("The first comment: {}", found.message);
                Some(Problem::new("COMMENT_CHARACTER", message, "Type it again."))
            }
            ProblemCode::TooManyHashtags
            | ProblemCode::Empty
            | ProblemCode::TooLong
            | ProblemCode::TooManyLinks => None,
        })
        .collect();
    let (above, below) = (hashtags(caption).len(), hashtags(comment).len());
    // A caption that has too many by itself has been reported.
    if let Some(most) = found.limits.hashtags.filter(|most| above <= *most && above + below > *most) {
        let message = format!(
            "Instagram takes {most} hashtags in the caption and the first comment together, and there are {above} and {below}."
        );
        problems.push(Problem::new("TOO_MANY_HASHTAGS", message, "Take some hashtags out."));
    }
    problems
}

fn token(facts: &Facts) -> Option<Problem> {
    const REMEDY: &str = "Get a new token and give it to the account with `accountUpdate`.";
    let ends = facts.token_ends?;
    if ends <= facts.now {
        return Some(Problem::new("TOKEN_EXPIRED", "The account's token has expired.", REMEDY));
    }
    let message = "The account's token expires before it is published.";
    (ends <= facts.at).then(|| Problem::new("TOKEN_EXPIRES", message, REMEDY))
}

/// Whether a picture is between 4:5 and 1.91:1.
fn is_between(width: u32, height: u32) -> bool {
    let (width, height) = (u64::from(width), u64::from(height));
    width * 5 >= height * 4 && width * 100 <= height * 191
}

/// The size that a picture is made into: as much of it as may be shown, no larger than it is.
pub fn target(form: Form, width: u32, height: u32) -> (u32, u32) {
    let (mut w, mut h) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let is_free = form == Form::Story;
    if !is_free {
        h = h.min((w * 5 / 4).max(1));
        w = w.min((h * 191 / 100).max(1));
    }
    if w > WIDTH {
        h = (h * WIDTH / w).max(1);
        w = WIDTH;
    }
    if is_free && h > HEIGHT {
        w = (w * HEIGHT / h).max(1);
        h = HEIGHT;
    }
    if !is_free {
        // Rounding down may have gone past the edge.
        h = h.clamp((w * 100).div_ceil(191), (w * 5 / 4).max(1));
    }
    let narrow = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
    (narrow(w), narrow(h))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2027-01-04T10:00:00Z".parse().unwrap()
    }

    fn facts() -> Facts {
        Facts { address: Ok(()), token_ends: None, at: now(), now: now() }
    }

    fn picture(width: u32, height: u32) -> Media {
        let mime_type = "image/jpeg".to_owned();
        Media { kind: AssetKind::Image, mime_type, bytes: 1_000, size: Some((width, height)), seconds: None }
    }

    fn mp4(seconds: f64) -> Media {
        let mime_type = "video/mp4".to_owned();
        Media { kind: AssetKind::Video, mime_type, bytes: 1_000, size: None, seconds: Some(seconds) }
    }

    fn codes(form: Form, caption: &str, media: &[Media], facts: &Facts) -> Vec<String> {
        let (problems, fits) = check(form, (caption, None), media, facts);
        assert_eq!(fits.len(), media.len());
        assert!(problems.iter().all(|problem| !problem.message.is_empty() && !problem.remedy.is_empty()));
        problems.into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn what_fits_is_let_through() {
        for (form, media) in [
            (Form::Feed, vec![picture(1080, 1350)]),
            (Form::Carousel, vec![picture(1080, 1080), mp4(10.0)]),
            (Form::Reel, vec![mp4(3.0)]),
            (Form::Story, vec![picture(1080, 1920), mp4(60.0)]),
        ] {
            assert_eq!(codes(form, "", &media, &facts()), [""; 0], "{form:?}");
        }
    }

    #[test]
    fn every_kind_takes_its_own_files() {
        for (form, media, code) in [
            (Form::Feed, vec![], "MEDIA_COUNT"),
            (Form::Feed, vec![picture(100, 100), picture(100, 100)], "MEDIA_COUNT"),
            (Form::Feed, vec![mp4(5.0)], "MEDIA_KIND"),
            (Form::Reel, vec![picture(100, 100)], "MEDIA_KIND"),
            (Form::Reel, vec![mp4(2.9)], "VIDEO_LENGTH"),
            (Form::Reel, vec![mp4(901.0)], "VIDEO_LENGTH"),
            (Form::Reel, vec![Media { mime_type: "video/webm".into(), ..mp4(5.0) }], "VIDEO_FORMAT"),
            (Form::Carousel, vec![picture(100, 100)], "MEDIA_COUNT"),
            (Form::Carousel, vec![picture(100, 100); 11], "MEDIA_COUNT"),
            (Form::Story, vec![], "MEDIA_COUNT"),
            (Form::Story, vec![mp4(61.0)], "VIDEO_LENGTH"),
            (Form::Feed, vec![Media { mime_type: "image/gif".into(), ..picture(100, 100) }], "IMAGE_FORMAT"),
            (Form::Story, vec![Media { kind: AssetKind::Document, ..picture(1, 1) }], "MEDIA_KIND"),
        ] {
            assert_eq!(codes(form, "", &media, &facts()), [code], "{form:?} {media:?}");
        }
    }

    #[test]
    fn a_caption_has_its_limits_and_a_story_none() {
        let tags = |count: usize| (0..count).map(|n| format!("#tag{n} ")).collect::<String>();
        let names = |count: usize| (0..count).map(|n| format!("@name{n} ")).collect::<String>();
        for (caption, code) in [
            ("a".repeat(2_201), "CAPTION_TOO_LONG"),
            (tags(31), "TOO_MANY_HASHTAGS"),
            (names(21), "TOO_MANY_MENTIONS"),
        ] {
            assert_eq!(codes(Form::Feed, &caption, &[picture(100, 100)], &facts()), [code]);
            assert_eq!(codes(Form::Story, &caption, &[picture(100, 100)], &facts()), [""; 0]);
        }
        for caption in ["a".repeat(2_200), tags(30), names(20)] {
            assert_eq!(codes(Form::Feed, &caption, &[picture(100, 100)], &facts()), [""; 0]);
        }
    }

    #[test]
    fn a_first_comment_is_looked_at_with_its_caption() {
        let tags = |count: usize| (0..count).map(|n| format!("#tag{n} ")).collect::<String>();
        let names = |count: usize| (0..count).map(|n| format!("@name{n} ")).collect::<String>();
        let codes = |form, caption: &str, comment: &str| -> Vec<String> {
            let (problems, _) = check(form, (caption, Some(comment)), &[picture(100, 100)], &facts());
            problems.into_iter().map(|problem| problem.code).collect()
        };
        for (caption, comment, expected) in [
            (tags(20), tags(10), vec![]),
            (tags(20), tags(11), vec!["TOO_MANY_HASHTAGS"]),
            (String::new(), tags(31), vec!["TOO_MANY_HASHTAGS"]),
            (tags(31), tags(1), vec!["TOO_MANY_HASHTAGS"]),
            (names(20), names(20), vec![]),
            (names(20), names(21), vec!["COMMENT_TOO_MANY_MENTIONS"]),
            (String::new(), "a\u{7}".to_owned(), vec!["COMMENT_CHARACTER"]),
        ] {
            assert_eq!(codes(Form::Feed, &caption, &comment), expected, "{caption} {comment}");
        }
    }

    #[test]
    fn the_token_and_the_address_are_looked_at() {
        let one = [picture(100, 100)];
        let hour = chrono::TimeDelta::hours(1);
        let with = |token_ends| Facts { token_ends: Some(token_ends), at: now() + hour, ..facts() };
        assert_eq!(codes(Form::Feed, "", &one, &with(now())), ["TOKEN_EXPIRED"]);
        assert_eq!(codes(Form::Feed, "", &one, &with(now() + hour / 2)), ["TOKEN_EXPIRES"]);
        assert_eq!(codes(Form::Feed, "", &one, &with(now() + hour * 2)), [""; 0]);
        let near = Facts { address: Err(Unsafe::Private), ..facts() };
        assert_eq!(codes(Form::Feed, "", &one, &near), ["NOT_REACHABLE"]);
    }

    #[test]
    fn what_is_no_jpeg_too_large_or_of_another_shape_is_made_anew() {
        let of = |form, media: Media| check(form, ("", None), &[media], &facts()).1[0];
        assert_eq!(of(Form::Feed, picture(1080, 1080)), Fit::AsIs);
        assert_eq!(of(Form::Feed, picture(1080, 1351)), Fit::Transcode);
        assert_eq!(of(Form::Feed, picture(1920, 1000)), Fit::Transcode);
        assert_eq!(of(Form::Story, picture(1080, 1920)), Fit::AsIs);
        assert_eq!(of(Form::Feed, Media { bytes: IMAGE_BYTES + 1, ..picture(1080, 1080) }), Fit::Transcode);
        assert_eq!(of(Form::Feed, Media { size: None, ..picture(1, 1) }), Fit::Transcode);
        assert_eq!(
            of(Form::Feed, Media { mime_type: "image/png".into(), ..picture(1080, 1080) }),
            Fit::Transcode
        );
        assert_eq!(cover(&picture(1000, 3000)), Ok(Fit::AsIs));
        assert_eq!(cover(&Media { mime_type: "image/png".into(), ..picture(10, 10) }), Ok(Fit::Transcode));
        let code = |media: &Media| cover(media).unwrap_err().code;
        assert_eq!(code(&Media { mime_type: "image/gif".into(), ..picture(10, 10) }), "IMAGE_FORMAT");
        assert_eq!(code(&mp4(3.0)), "COVER");
        assert_eq!(target(Form::Feed, 4000, 3000), (1440, 1080));
        assert_eq!(target(Form::Feed, 1000, 2000), (1000, 1250));
        assert_eq!(target(Form::Feed, 3000, 1000), (1440, 754));
        assert_eq!(target(Form::Story, 2160, 3840), (1440, 2560));
        assert_eq!(target(Form::Feed, 60, 40), (60, 40));
    }

    proptest! {
        #[test]
        fn what_is_made_fits_and_is_no_larger(width in 1_u32..20_000, height in 1_u32..20_000) {
            for form in [Form::Feed, Form::Carousel, Form::Story] {
                let (w, h) = target(form, width, height);
                prop_assert!(w >= 1 && h >= 1 && w <= 1440 && h <= 2560);
                prop_assert!(w <= width);
                // The smallest pictures have no shape that is allowed.
                if form != Form::Story && width.min(height) > 4 {
                    prop_assert!(is_between(w, h), "{width}x{height} -> {w}x{h}");
                }
            }
        }
    }
}
