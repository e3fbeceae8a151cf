//! What a hashtag is: joining words to one, and the rules that platforms share.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use crate::agents::text::capitalised;

/// The longest hashtag, in characters (Unicode scalar values) without the sign.
pub const CHARACTERS: usize = 30;
/// The most of a text that is read as one hashtag, in characters.
const LOOKED_AT: usize = 200;

/// Why something is no hashtag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TagProblem {
    /// There is nothing after the sign.
    Empty,
    /// It has more than [`CHARACTERS`].
    TooLong,
    /// It has a character that is no letter, mark, digit or underscore; platforms end the hashtag there.
    Character,
    /// It has no letter; platforms do not link digits alone.
    NoLetter,
}

/// Words as one hashtag, without the sign: each word with a capital, so that screen readers read words and not a string
/// of letters.
///
/// Capitals inside a word stay (`iOS`, `KI`), hyphens and apostrophes go (`E-Mail-Liste` is `EMailListe`), umlauts stay.
///
/// ```
/// use aicos::agents::hashtags::builtin::join;
/// assert_eq!(join(&["Kraft", "der", "Gewohnheit"]), "KraftDerGewohnheit");
/// assert_eq!(join(&["Work-Life-Balance"]), "WorkLifeBalance");
/// assert_eq!(join(&["größere", "Ziele"]), "GrößereZiele");
/// ```
pub fn join<S: AsRef<str>>(words: &[S]) -> String {
    let mut tag = String::new();
    for word in words {
        let composed: String = word.as_ref().chars().take(LOOKED_AT).nfkc().collect();
        // An apostrophe joins what it stands between, anything else that is not allowed separates.
        let whole: String = composed.chars().filter(|c| !matches!(c, '\'' | '’')).collect();
        for part in whole.split(|c: char| !is_allowed(c)).filter(|part| !part.is_empty()) {
            let inner = part.chars().skip(1).any(char::is_uppercase) && part.chars().any(char::is_lowercase);
            if inner {
                tag.push_str(part);
            } else {
                tag.push_str(&capitalised(part));
            }
        }
    }
    tag
}

/// A hashtag as a person writes it (`#innere Ruhe`, `Innere-Ruhe`, `#ruhe`) without the sign; one word keeps its capitals.
pub fn tidy(written: &str) -> String {
    let bare = written.trim().trim_start_matches(['#', '＃']);
    let words: Vec<&str> = bare.split_whitespace().take(LOOKED_AT).collect();
    match words.as_slice() {
        [one] if one.chars().all(is_allowed) => one.chars().take(LOOKED_AT).nfkc().collect(),
        words => join(words),
    }
}

/// What two spellings of one hashtag have in common: platforms ignore case.
pub fn key(tag: &str) -> String {
    let bare = tag.trim().trim_start_matches(['#', '＃']);
    bare.chars().take(LOOKED_AT).nfkc().flat_map(char::to_lowercase).collect()
}

/// Whether a hashtag, without the sign, is one: letters, marks, digits and underscores of any script, with a letter, and
/// not too long.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(tag: &str) -> Result<(), TagProblem> {
    if tag.is_empty() {
        return Err(TagProblem::Empty);
    }
    if !tag.chars().all(is_allowed) {
        return Err(TagProblem::Character);
    }
    if !tag.chars().any(char::is_alphabetic) {
        return Err(TagProblem::NoLetter);
    }
    if tag.chars().count() > CHARACTERS {
        return Err(TagProblem::TooLong);
    }
    Ok(())
}

/// Letters, marks, decimal digits and the underscore: the hashtag characters of Unicode's UAX #31, §7.2, without emoji and
/// joiners, which not every platform takes.
fn is_allowed(c: char) -> bool {
    c == '_'
        || c.is_alphabetic()
        || is_combining_mark(c)
        || c.general_category() == GeneralCategory::DecimalNumber
}

/// The hashtags of a text, without the sign, in order and with repetitions: a sign after no letter or digit, then all
/// that is allowed.
pub fn hashtags(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut before = None;
    for (at, c) in text.char_indices() {
        let opens = matches!(c, '#' | '＃')
            && !before.is_some_and(|c: char| c.is_alphanumeric() || matches!(c, '_' | '&' | '/' | '#'));
        if opens && let Some(rest) = text.get(at + c.len_utf8()..) {
            let end = rest.find(|c: char| !is_allowed(c)).unwrap_or(rest.len());
            if let Some(tag) = rest.get(..end).filter(|tag| tag.chars().any(char::is_alphabetic)) {
                found.push(tag);
            }
        }
        before = Some(c);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_with_capitals() {
        for (words, expected) in [
            (&["innere", "Ruhe"][..], "InnereRuhe"),
            (&["Rhythmus", "des", "Lebens"], "RhythmusDesLebens"),
            (&["Bio-Gemüse"], "BioGemüse"),
            (&["E-Mail-Liste"], "EMailListe"),
            (&["iPhone", "Tipps"], "iPhoneTipps"),
            (&["KI-gestützte", "Planung"], "KIGestütztePlanung"),
            (&["DSGVO"], "DSGVO"),
            (&["ölwechsel"], "Ölwechsel"),
            (&["straße", "ßtest"], "Straßeßtest"),
            (&["don't", "shop"], "DontShop"),
            (&["7", "Zyklen"], "7Zyklen"),
            (&["e\u{301}lan"], "Élan"),
            (&["ruhe"], "Ruhe"),
            (&["الصباح", "الهادئ"], "الصباحالهادئ"),
        ] {
            assert_eq!(join(words), expected);
        }
    }

    #[test]
    fn platforms_rules_hold() {
        for good in ["Ruhe", "7Zyklen", "Größe", "朝活", "سكينة", "ध्यान", "my_tag", "a", "٣أيام"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, problem) in [
            ("", TagProblem::Empty),
            ("2027", TagProblem::NoLetter),
            ("٢٠٢٧", TagProblem::NoLetter),
            ("_", TagProblem::NoLetter),
            ("a b", TagProblem::Character),
            ("Work-Life", TagProblem::Character),
            ("m²", TagProblem::Character),
            ("hey!", TagProblem::Character),
            ("love❤", TagProblem::Character),
            ("a\0", TagProblem::Character),
            ("Abcdefghijklmnopqrstuvwxyzabcde", TagProblem::TooLong),
        ] {
            assert_eq!(check(bad), Err(problem), "{bad}");
        }
        assert_eq!(check("ÄÖÜäöüßÄÖÜäöüßÄÖÜäöüßÄÖÜäöüßÄÖ"), Ok(()), "30 characters, not bytes");
    }

    #[test]
    fn hashtags_are_found_where_platforms_find_them() {
        let text = "Los: #Ruhe, #7Zyklen! (#Mut) C#Sharp #2027 ##doppelt a&#39; #größe_1 ＃朝活";
        assert_eq!(hashtags(text), ["Ruhe", "7Zyklen", "Mut", "größe_1", "朝活"]);
    }

    #[test]
    fn what_people_write_is_tidied() {
        for (written, expected) in [
            ("#7cycles", "7cycles"),
            (" innere Ruhe ", "InnereRuhe"),
            ("##Ruhe", "Ruhe"),
            ("Work-Life", "WorkLife"),
            ("#", ""),
            ("!!!", ""),
        ] {
            assert_eq!(tidy(written), expected);
        }
        assert_eq!(key("#InnereRuhe"), key("innereruhe"));
        assert_eq!(key("#Größe"), key("GRÖßE"));
    }
}
