//! What the agents that work on texts share: languages, refusals, key phrases, German grammar, and arithmetic that gives
//! the same on every platform.

pub mod calendar;
pub mod context;
pub mod german;
pub mod numbers;
pub mod phrases;

use std::collections::HashSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::retrieval;
pub use crate::retrieval::Language;

/// Why an engine makes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Of which kind the reason is.
    pub code: RefusalCode,
    /// The input that it lies in, by its name on the wire.
    pub field: String,
    /// What is wrong and what to do about it, as a sentence.
    pub message: String,
}

/// The kinds of [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalCode {
    /// Nothing can honestly be made from what was given.
    InsufficientInput,
    /// Not of the form that is needed, or contradicting another input.
    Invalid,
    /// A number beyond its bounds.
    OutOfRange,
}

impl Refusal {
    /// A refusal for want of something to work from.
    pub fn insufficient(field: &str, message: impl Into<String>) -> Self {
        Self { code: RefusalCode::InsufficientInput, field: field.to_owned(), message: message.into() }
    }

    /// A refusal of an input that is not of the form that is needed.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self { code: RefusalCode::Invalid, field: field.to_owned(), message: message.into() }
    }

    /// A refusal of a number beyond its bounds.
    pub fn out_of_range(field: &str, message: impl Into<String>) -> Self {
        Self { code: RefusalCode::OutOfRange, field: field.to_owned(), message: message.into() }
    }
}

/// An input that nothing was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedInput {
    /// The input.
    pub input: String,
    /// Why it was not used.
    pub reason: String,
}

/// The words of one section of a word list.
fn section(list: &'static str, name: &str) -> impl Iterator<Item = &'static str> {
    let mut inside = false;
    let lines = list.lines().filter(move |line| {
        if let Some(header) = line.strip_prefix('[') {
            inside = header.trim_end().strip_suffix(']') == Some(name);
            return false;
        }
        inside && !line.starts_with('#')
    });
    let words: Vec<&'static str> = lines.flat_map(str::split_whitespace).collect();
    words.into_iter()
}

/// The two word lists, by language and section.
struct Words {
    /// As stems.
    bare: HashSet<String>,
    adjectives: HashSet<&'static str>,
    adverbs: HashSet<&'static str>,
    verbs: HashSet<&'static str>,
    irregular: HashSet<&'static str>,
    both: HashSet<&'static str>,
    describing: HashSet<&'static str>,
    finite: HashSet<&'static str>,
    nouns: HashSet<&'static str>,
    openers: HashSet<&'static str>,
}

impl Words {
    fn read(list: &'static str, language: Language) -> Self {
        let all = |name| section(list, name).collect();
        Self {
            bare: section(list, "bare").map(|word| retrieval::reading::stem(word, language)).collect(),
            adjectives: all("adjectives"),
            adverbs: all("adverbs"),
            verbs: all("verbs"),
            irregular: all("irregular"),
            both: all("both"),
            describing: all("describing"),
            finite: all("finite"),
            nouns: all("nouns"),
            openers: all("openers"),
        }
    }
}

static GERMAN: LazyLock<Words> =
    LazyLock::new(|| Words::read(include_str!("words_de.txt"), Language::German));
static ENGLISH: LazyLock<Words> =
    LazyLock::new(|| Words::read(include_str!("words_en.txt"), Language::English));

/// The text with its first letter in upper case.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    // Sharp s has no capital that begins words, and a ligature would grow.
    let first = chars.next().map(|first| {
        let mut upper = first.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => first,
        }
    });
    first.into_iter().chain(chars).collect()
}

/// At most so many characters of a text, with an ellipsis where it was cut.
pub fn excerpt(text: &str, characters: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= characters {
        return flat;
    }
    flat.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}
