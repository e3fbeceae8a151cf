//! What callers write, cleaned once and in one way: trimmed, NFC, without control characters, inside its limits.

use chrono::{NaiveDate, NaiveTime};
use unicode_normalization::UnicodeNormalization as _;
use url::Url;

use crate::error::{Error, Fault, FaultCode, Result};

/// Characters that reorder or hide text; they serve nobody in a name.
const fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
        // Arabic and Mongolian marks of the same kind, letters that fill a place with nothing, notes between lines, tags.
        | '\u{061C}' | '\u{180E}' | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}')
}

fn clean(field: &str, text: &str, lines: bool) -> Result<String> {
    let text: String = text.trim().nfc().collect();
    let mut before = ' ';
    let bad = text.chars().find(|c| {
        // A text may hold what joins emoji (👩‍👩‍👧) and letters of some scripts, behind what it joins.
        let joins = lines && matches!(c, '\u{200C}' | '\u{200D}');
        let hangs = before.is_whitespace() || is_deceptive(before);
        before = *c;
        (c.is_control() && !(lines && matches!(c, '\n' | '\t'))) || (is_deceptive(*c) && (!joins || hangs))
    });
    match bad {
        Some(c) => Err(Error::fault(Fault::at(
            FaultCode::Invalid,
            field,
            format!(
                "`{field}` holds the character U+{:04X}, which is not allowed here. Remove it.",
                u32::from(c)
            ),
        ))),
        None => Ok(text),
    }
}

fn within(field: &str, text: String, max: usize) -> Result<String> {
    if text.chars().count() > max {
        return Err(Error::fault(Fault::at(
            FaultCode::TooLong,
            field,
            format!("`{field}` has at most {max} characters."),
        )));
    }
    Ok(text)
}

/// One line that must be there: a name.
///
/// # Errors
/// A fault at the field.
pub fn line(field: &str, text: &str, max: usize) -> Result<String> {
    let text = within(field, clean(field, text, false)?, max)?;
    if text.is_empty() {
        return Err(Error::fault(Fault::at(
            FaultCode::Required,
            field,
            format!("`{field}` must not be empty."),
        )));
    }
    Ok(text)
}

/// A colour, in capitals.
///
/// # Errors
/// A fault at the field.
pub fn color(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let digits = text.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Error::fault(Fault::at(FaultCode::Invalid, field, "A colour looks like `#1A2B3C`.")))
}

/// A time zone by its IANA name.
///
/// # Errors
/// What a time zone looks like: where it stood is the caller's to say.
pub fn timezone(text: &str) -> std::result::Result<chrono_tz::Tz, &'static str> {
    text.trim().parse().map_err(|_| "`timezone` is an IANA name such as `Europe/Berlin` or `UTC`.")
}

/// A day.
///
/// # Errors
/// A fault at the field.
pub fn date(field: &str, text: &str) -> Result<NaiveDate> {
    text.trim().parse().map_err(|_| {
        let message = format!("`{field}` takes days such as `2026-12-24`.");
        Error::fault(Fault::at(FaultCode::Invalid, field, message))
    })
}

/// A time of day.
///
/// # Errors
/// A fault at the field.
pub fn time(field: &str, text: &str) -> Result<NaiveTime> {
    NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| {
        let message = format!("`{field}` takes hours such as `18:30`.");
        Error::fault(Fault::at(FaultCode::Invalid, field, message))
    })
}

/// A text of several lines that may be empty, which means that there is none.
///
/// # Errors
/// A fault at the field.
pub fn paragraph(field: &str, text: Option<&str>, max: usize) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let text = within(field, clean(field, &text.replace("\r\n", "\n"), true)?, max)?;
    Ok((!text.is_empty()).then_some(text))
}

/// A slug that the caller chose: lower-case letters, digits and single hyphens, at most 63.
///
/// # Errors
/// A fault at the field.
pub fn slug(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let fits = !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        return Ok(text.to_owned());
    }
    Err(Error::fault(Fault::at(
        FaultCode::Invalid,
        field,
        format!(
            "`{field}` has 1 to 63 lower-case letters, digits and single hyphens, such as `spring-campaign`."
        ),
    )))
}

/// A slug made from a name; never empty.
pub fn slug_from(name: &str) -> String {
    let mut out = String::new();
    for c in name.nfkd().flat_map(char::to_lowercase) {
        match c {
            'ß' => out.push_str("ss"),
            c if c.is_ascii_alphanumeric() => out.push(c),
            // Accents that NFKD took off their letters.
            '\u{0300}'..='\u{036F}' => {}
            _ if out.is_empty() || out.ends_with('-') => {}
            _ => out.push('-'),
        }
        if out.len() >= 50 {
            break;
        }
    }
    let slug = out.trim_end_matches('-');
    if slug.is_empty() { "untitled".to_owned() } else { slug.to_owned() }
}

/// An `https:` or `http:` address without credentials.
///
/// # Errors
/// A fault at the field.
pub fn url(field: &str, url: &Url) -> Result<String> {
    let fits = matches!(url.scheme(), "https" | "http")
        && url.host_str().is_some()
        && url.username().is_empty()
        && url.password().is_none();
    if !fits {
        return Err(Error::fault(Fault::at(
            FaultCode::UnsafeUrl,
            field,
            format!("`{field}` is an http(s) address without a user name or password."),
        )));
    }
    within(field, url.to_string(), 2000)
}

/// Tags at the most.
const TAGS: usize = 20;

/// Words to find something by, each once.
///
/// # Errors
/// A fault at `tags`.
pub fn tags(given: &[String]) -> Result<Vec<String>> {
    let mut tags: Vec<String> = given.iter().map(|tag| line("tags", tag, 40)).collect::<Result<_>>()?;
    tags.sort();
    tags.dedup();
    if tags.len() > TAGS {
        let message = format!("`tags` has at most {TAGS} words.");
        return Err(Error::fault(Fault::at(FaultCode::TooLong, "tags", message)));
    }
    Ok(tags)
}

/// A list of at most 100 items.
///
/// # Errors
/// A fault at the field.
pub fn list<T>(field: &str, items: &[T]) -> Result<()> {
    if items.len() > 100 {
        return Err(Error::fault(Fault::at(
            FaultCode::TooLong,
            field,
            format!("`{field}` has at most 100 items."),
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attacks: 36, 42.
    #[test]
    fn names_are_trimmed_normalised_and_bounded() {
        assert_eq!(line("name", "  Cafe\u{301} ", 10).unwrap(), "Café");
        assert!(line("name", "a\u{0}b", 10).is_err());
        for hidden in ['\u{202E}', '\u{200B}', '\u{2066}', '\u{FEFF}', '\u{061C}', '\u{3164}', '\u{E0061}'] {
            assert!(line("name", &format!("a{hidden}b"), 10).is_err(), "{hidden:?}");
            assert!(paragraph("name", Some(&hidden.to_string()), 10).is_err(), "{hidden:?}");
        }
        for shown in ["Zoë 日本語", "אבג", "العربية", "O’Brien – Söhne", "🦉"] {
            assert_eq!(line("name", shown, 20).unwrap(), shown);
        }
        for joined in ["👩\u{200D}👩\u{200D}👧", "می\u{200C}خواهم"] {
            assert_eq!(paragraph("text", Some(joined), 20).unwrap().as_deref(), Some(joined));
            assert!(line("name", joined, 20).is_err(), "{joined}");
        }
        for nothing in ["\u{200D}", "a \u{200D}", "a\u{200D}\u{200D}", "a\u{200C}\u{200D}"] {
            assert!(paragraph("text", Some(nothing), 20).is_err(), "{nothing:?}");
        }
        assert!(line("name", "   ", 10).is_err());
        assert!(line("name", &"ü".repeat(11), 10).is_err());
        assert!(line("name", &"ü".repeat(10), 10).is_ok());
        assert_eq!(paragraph("d", Some("a\r\nb"), 10).unwrap().as_deref(), Some("a\nb"));
        assert_eq!(paragraph("d", Some("  "), 10).unwrap(), None);
    }

    #[test]
    fn tags_are_few_short_and_each_there_once() {
        let of = |words: &[&str]| tags(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&[" travel", "HR", "travel"]).unwrap(), ["HR", "travel"]);
        let many: Vec<String> = (0..21).map(|number| number.to_string()).collect();
        assert!(tags(&many[1..]).is_ok());
        for (bad, code) in [
            (many.clone(), FaultCode::TooLong),
            (vec!["a".repeat(41)], FaultCode::TooLong),
            (vec![" ".to_owned()], FaultCode::Required),
        ] {
            let Err(Error::Invalid(faults)) = tags(&bad) else { panic!("{bad:?}") };
            assert_eq!(faults[0].code, code, "{bad:?}");
        }
    }

    #[test]
    fn slugs_are_made_from_any_name() {
        assert_eq!(slug_from("Frühling & Sommer 2026!"), "fruhling-sommer-2026");
        assert_eq!(slug_from("Straße"), "strasse");
        assert_eq!(slug_from("日本語"), "untitled");
        assert!(slug_from(&"a b ".repeat(100)).len() <= 50);
        for good in ["a", "a-b", "2026"] {
            assert!(slug("slug", good).is_ok());
        }
        for bad in ["", "-a", "a-", "a--b", "A", "ä", &"a".repeat(64)] {
            assert!(slug("slug", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_plain_web_addresses_pass() {
        assert!(url("u", &Url::parse("https://example.com/a.png").unwrap()).is_ok());
        for bad in ["ftp://example.com", "file:///etc/passwd", "https://a:b@example.com", "data:text/html,x"]
        {
            assert!(url("u", &Url::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
