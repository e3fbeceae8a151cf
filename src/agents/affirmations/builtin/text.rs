//! Text as the engine sees it: cleaned, cut into sentences and words, stemmed.

use std::collections::BTreeSet;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization as _;

use crate::retrieval::Language;

/// Words in their order.
pub(super) type Words = Vec<String>;

/// A comma, dash or bracket between words, as a word of its own.
pub(super) const COMMA: &str = ",";
/// The most sentences that are read in one text.
const SENTENCES: usize = 8;

/// A text in one spelling: composed characters, straight quotation marks, single spaces, nothing invisible.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = true;
    for c in text.nfc() {
        let c = match c {
            '’' | '‘' | '`' | '´' | 'ʼ' => '\'',
            '“' | '”' | '„' | '«' | '»' => '"',
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => '\n',
            other => other,
        };
        if c == '\n' {
            while out.ends_with(' ') {
                out.pop();
            }
            out.push('\n');
            space = true;
        } else if c.is_whitespace() || c.is_control() || matches!(c, '{' | '}' | '<' | '>') {
            if !space {
                out.push(' ');
            }
            space = true;
        } else if !is_invisible(c) {
            out.push(c);
            space = false;
        }
    }
    out
}

/// Marks of direction, joiners, variation selectors and the like.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// The words of each sentence of a cleaned text, with [`COMMA`] for what parts them; sentences without a word are left
/// out, and those after the eighth.
pub(super) fn sentences(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let mut pieces = line.split(' ').peekable();
        while let Some(piece) = pieces.next() {
            let ends = push_words(piece, &mut words);
            // `z. B.` and `2.` go on.
            if ends && (piece.chars().count() > 2 || pieces.peek().is_none()) {
                all.push(std::mem::take(&mut words));
            }
        }
        all.push(std::mem::take(&mut words));
    }
    let mut kept: Vec<Vec<String>> =
        all.into_iter().map(without_loose_commas).filter(|words| !words.is_empty()).collect();
    kept.truncate(SENTENCES);
    kept
}

/// Adds the word of a piece between spaces; whether it ends a sentence.
fn push_words(piece: &str, words: &mut Vec<String>) -> bool {
    let start = piece.trim_start_matches(|c: char| !c.is_alphanumeric());
    let core = start.trim_end_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '%' | '€' | '$')));
    if core.is_empty() {
        if piece.contains(['-', '–', '—', ',', '(', ';']) {
            words.push(COMMA.to_owned());
        }
        return piece.contains(['.', '!', '?', '…']);
    }
    let before = &piece[..piece.len() - start.len()];
    let after = &start[core.len()..];
    if before.contains('(') {
        words.push(COMMA.to_owned());
    }
    for (part, separator) in parts(core) {
        words.push(part.to_owned());
        if separator {
            words.push(COMMA.to_owned());
        }
    }
    if after.contains([',', ';', ')', '–', '—']) {
        words.push(COMMA.to_owned());
    }
    after.contains(['.', '!', '?', '…'])
}

/// A word without spaces may still hold two: `calm,patient`, `work/life`; numbers such as `2,5` hold one.
fn parts(core: &str) -> Vec<(&str, bool)> {
    let digits = core.contains(|c: char| c.is_ascii_digit());
    if digits || !core.contains([',', ';', '/', '—', '–']) {
        return vec![(core, false)];
    }
    let pieces: Vec<&str> = core.split([',', ';', '/', '—', '–']).filter(|piece| !piece.is_empty()).collect();
    let last = pieces.len().saturating_sub(1);
    pieces.into_iter().enumerate().map(|(at, piece)| (piece, at != last)).collect()
}

fn without_loose_commas(words: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        if word != COMMA || kept.last().is_some_and(|last| last != COMMA) {
            kept.push(word);
        }
    }
    if kept.last().is_some_and(|last| last == COMMA) {
        kept.pop();
    }
    kept
}

/// Words as a text again: no space before a comma.
pub(super) fn join<S: AsRef<str>>(words: &[S]) -> String {
    let mut out = String::new();
    for word in words {
        let word = word.as_ref();
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() && word != COMMA {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Words in lower case.
pub(super) fn lows(words: &[String]) -> Words {
    words.iter().map(|word| lower(word)).collect()
}

/// The words of a text of the lists, which single spaces part.
pub(super) fn words_of(text: &str) -> Words {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The word at a place in lower case; empty where there is none.
pub(super) fn low_at(words: &[String], at: usize) -> String {
    words.get(at).map(|word| lower(word)).unwrap_or_default()
}

/// The word at a place; empty where there is none.
pub(super) fn word_at(words: &[String], at: usize) -> &str {
    words.get(at).map(String::as_str).unwrap_or_default()
}

/// The words from a place on; none where there are none.
pub(super) fn tail_of(words: &[String], at: usize) -> &[String] {
    words.get(at..).unwrap_or_default()
}

/// The words before a place; all where there are no more.
pub(super) fn head_of(words: &[String], at: usize) -> &[String] {
    words.get(..at).unwrap_or(words)
}

/// The words from one place up to another; none where these are not in order.
pub(super) fn between(words: &[String], from: usize, to: usize) -> &[String] {
    words.get(from..to).unwrap_or_default()
}

/// A word's lower case.
pub(super) fn lower(word: &str) -> String {
    if word.is_ascii() { word.to_ascii_lowercase() } else { word.to_lowercase() }
}

/// A text with a capital at its beginning.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Whether a word begins with a capital.
pub(super) fn has_capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// The words of any text in lower case, without punctuation; apostrophes and hyphens inside a word stay.
pub(super) fn lower_words(text: &str) -> impl Iterator<Item = String> {
    clean(text)
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '-'))
        .map(|word| lower(word.trim_matches(['\'', '-'])))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .into_iter()
}

/// The stem of a word in lower case (Snowball), with `ss` for `ß` and without umlauts.
pub(super) fn stem(lower: &str, language: Language) -> String {
    let algorithm = match language {
        Language::German => Algorithm::German,
        Language::English => Algorithm::English,
    };
    let stem = Stemmer::create(algorithm).stem(lower);
    let mut out = String::with_capacity(stem.len());
    for c in stem.chars() {
        match c {
            'ä' => out.push('a'),
            'ö' => out.push('o'),
            'ü' => out.push('u'),
            'ß' => out.push_str("ss"),
            other => out.push(other),
        }
    }
    out
}

/// The distinct stems of a text, without the words that every sentence has; all of them when there are no others.
pub(super) fn stems(text: &str, language: Language) -> BTreeSet<String> {
    let small: &[&str] = match language {
        Language::German => &[
            "ich", "mich", "mir", "mein", "meine", "meinen", "meinem", "meiner", "der", "die", "das", "den",
            "dem", "ein", "eine", "einen", "einem", "einer", "und", "zu", "in", "im", "an", "am", "auf",
            "mit", "für", "von", "bin", "habe", "dass", "es",
        ],
        Language::English => &[
            "i", "i'm", "me", "my", "myself", "the", "a", "an", "and", "to", "in", "on", "at", "of", "for",
            "with", "am", "is", "are", "that", "it", "be",
        ],
    };
    let words: BTreeSet<String> = lower_words(text).collect();
    let telling: BTreeSet<String> = words
        .iter()
        .filter(|word| !small.contains(&word.as_str()))
        .map(|word| stem(word, language))
        .collect();
    if telling.is_empty() { words.iter().map(|word| stem(word, language)).collect() } else { telling }
}

/// Lower case unless nearly everything is capitals, which is then no information.
pub(super) fn calm(words: &mut [String]) {
    let letters = |upper: bool| {
        words
            .iter()
            .flat_map(|word| word.chars())
            .filter(|c| c.is_alphabetic() && c.is_uppercase() == upper)
            .count()
    };
    let (upper, small) = (letters(true), letters(false));
    if upper > 6 && upper > 4 * small {
        for word in words.iter_mut() {
            *word = lower(word);
        }
    }
}

/// Whether a text is in the other language, or in another script: more of its words are small words of the other language
/// than of its own.
pub(super) fn is_foreign(text: &str, language: Language) -> bool {
    const GERMAN: &[&str] = &[
        "ich",
        "und",
        "mehr",
        "nicht",
        "möchte",
        "mein",
        "meine",
        "meinen",
        "meinem",
        "meiner",
        "mich",
        "mir",
        "zu",
        "mit",
        "für",
        "der",
        "die",
        "das",
        "ist",
        "bin",
        "kein",
        "keine",
        "weniger",
        "besser",
        "vor",
        "von",
        "wie",
        "aufhören",
        "immer",
        "habe",
        "sein",
        "werden",
        "den",
        "dem",
        "ein",
        "eine",
        "einen",
        "auf",
        "bei",
        "beim",
        "im",
        "kann",
        "zum",
        "zur",
        "über",
        "sich",
        "ohne",
        "will",
    ];
    const ENGLISH: &[&str] = &[
        "i", "to", "my", "the", "want", "of", "and", "with", "more", "is", "am", "not", "i'm", "less",
        "better", "be", "for", "at", "on", "myself", "don't", "can't", "too", "stop", "a", "an", "about",
        "sleep", "have", "feel", "me", "being", "how", "love", "like", "get", "from", "when", "who",
    ];
    let alphabetic = text.chars().filter(|c| c.is_alphabetic()).count();
    let latin = text.chars().filter(|c| c.is_alphabetic() && matches!(*c, '\0'..='\u{24f}')).count();
    if latin * 2 < alphabetic {
        return true;
    }
    let words: Vec<String> = lower_words(text).collect();
    let count = |list: &[&str]| words.iter().filter(|word| list.contains(&word.as_str())).count();
    let (german, english) = (count(GERMAN), count(ENGLISH));
    match language {
        Language::German => english > german,
        Language::English => german > english,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        sentences(&clean(text)).iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn texts_fall_into_sentences_and_words() {
        assert_eq!(read("I’m tired.  I want to sleep!"), ["I'm tired", "I want to sleep"]);
        assert_eq!(read("- “Ruhe”, bitte … (sehr)"), ["Ruhe , bitte , sehr"]);
        assert_eq!(
            read("Ich will z. B. 2,5 kg abnehmen\nund schlafen"),
            ["Ich will z B 2,5 kg abnehmen", "und schlafen"]
        );
        assert_eq!(read("calm,patient"), ["calm , patient"]);
        assert_eq!(read(" \0 🙂 … "), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        assert_eq!(clean("a\u{200b}b\u{202e}c\td\0e"), "abc d e");
        assert_eq!(clean("u\u{308}ben"), "üben");
    }

    #[test]
    fn words_join_to_a_text() {
        assert_eq!(join(&["sagen", ",", "was", "ist"]), "sagen, was ist");
    }

    #[test]
    fn stems_leave_out_what_every_sentence_has() {
        let stems = stems("I trust my work", Language::English);
        assert_eq!(stems.into_iter().collect::<Vec<_>>(), ["trust", "work"]);
        assert_eq!(super::stems("ich", Language::German).len(), 1);
    }
}
