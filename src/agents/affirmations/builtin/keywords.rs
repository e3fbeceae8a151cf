//! Nouns that colour a line: a period's keywords, and the value words of an organization's documents.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::german::{Gender, WORDS};
use super::text::{self, lower};
use crate::retrieval::Language;

/// A noun that frames may use, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyword {
    /// As it is written.
    pub text: String,
    /// The frames that it reads well in.
    pub uses: HashSet<String>,
    /// Its gender; none in English.
    pub gender: Option<Gender>,
    /// The document that it is taken from; none for a period's own.
    pub source: Option<String>,
}

static ENGLISH: LazyLock<HashMap<&'static str, HashSet<String>>> = LazyLock::new(|| {
    let lines = include_str!("data/keywords_en.txt").lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(':'));
    pairs.map(|(noun, uses)| (noun.trim(), uses.split_whitespace().map(str::to_owned).collect())).collect()
});

/// The uses of an English noun, when the lists have it.
pub(super) fn english(noun: &str) -> Option<&'static HashSet<String>> {
    ENGLISH.get(noun)
}

impl Keyword {
    /// A word as a keyword; `None` when it is no noun whose use is known, as an adjective is not.
    pub fn of(word: &str, source: Option<&str>, language: Language) -> Option<Self> {
        let word = text::clean(word);
        let low = lower(word.trim());
        let (text, uses, gender) = match language {
            Language::English => {
                let uses = english(&low).cloned().or_else(|| {
                    ["ness", "fulness"]
                        .iter()
                        .any(|end| low.ends_with(end) && low.len() > end.len() + 3)
                        .then(|| HashSet::from(["manner".to_owned()]))
                })?;
                (low, uses, None)
            }
            Language::German => {
                if let Some(noun) = WORDS.noun(&low) {
                    (noun.text.clone(), noun.uses.iter().cloned().collect(), Some(noun.gender))
                } else {
                    let abstract_noun = ["heit", "keit"].iter().any(|end| low.ends_with(end));
                    let known = abstract_noun && low.len() > 6 && low.chars().all(char::is_alphabetic);
                    known.then(|| {
                        (
                            text::capitalized(&low),
                            HashSet::from(["manner".to_owned()]),
                            Some(Gender::Feminine),
                        )
                    })?
                }
            }
        };
        let suits = ["manner", "source", "sources", "grows", "strengthens", "welcome"]
            .iter()
            .any(|known| uses.contains(*known));
        suits.then(|| Self { text, uses, gender, source: source.map(str::to_owned) })
    }

    /// The keywords that a passage of a document has, in their order, each once.
    pub fn in_passage(passage: &str, source: &str, language: Language) -> Vec<Self> {
        const MOST: usize = 20;
        let cleaned = text::clean(passage);
        let words: Vec<&str> = cleaned
            .split(|c: char| !(c.is_alphanumeric() || c == '-'))
            .filter(|word| !word.is_empty())
            .collect();
        let mut found: Vec<Self> = Vec::new();
        for word in words {
            let fits = match language {
                Language::English => english(&lower(word)).is_some(),
                Language::German => text::has_capital(word) && WORDS.noun(word).is_some_and(|noun| noun.mass),
            };
            if fits
                && let Some(keyword) = Self::of(word, Some(source), language)
                && !found.iter().any(|known| known.text == keyword.text)
            {
                found.push(keyword);
            }
            if found.len() == MOST {
                break;
            }
        }
        found
    }
}
