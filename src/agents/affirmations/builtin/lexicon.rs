//! The lists that the engine works from, read from the text files beside it.

use std::collections::{HashMap, HashSet};

/// The sections of a list: `[name]`, then lines; `#` begins a comment.
pub(super) struct Sections<'t>(HashMap<&'t str, Vec<&'t str>>);

impl<'t> Sections<'t> {
    /// Reads a list.
    pub fn of(text: &'t str) -> Self {
        let mut all: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut section = "";
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some(name) => section = name,
                None => all.entry(section).or_default().push(line),
            }
        }
        Self(all)
    }

    /// The lines of a section; none when there is no such section.
    pub fn lines(&self, section: &str) -> &[&'t str] {
        self.0.get(section).map_or(&[], Vec::as_slice)
    }

    /// All words of a section.
    pub fn words(&self, section: &str) -> HashSet<String> {
        self.lines(section).iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect()
    }

    /// The lines of a section as lists of words, those with more words first.
    pub fn phrases(&self, section: &str) -> Vec<Vec<String>> {
        let mut all: Vec<Vec<String>> = self
            .lines(section)
            .iter()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        all.sort_by_key(|words| std::cmp::Reverse(words.len()));
        all
    }

    /// The lines `key = value / value` of a section, in their order; the key without its `!`, and whether it had one.
    pub fn pairs(&self, section: &str) -> Vec<Pair<'t>> {
        self.lines(section)
            .iter()
            .filter_map(|line| {
                let (key, values) = line.split_once('=')?;
                let bare = key.trim();
                let key = bare.strip_prefix('!').unwrap_or(bare).trim();
                Some(Pair {
                    key,
                    struggle: bare.starts_with('!'),
                    values: values.split('/').map(str::trim).collect(),
                })
            })
            .collect()
    }
}

/// A line `! key = value / value`.
pub(super) struct Pair<'t> {
    /// The left side.
    pub key: &'t str,
    /// Whether the key is a struggle by itself.
    pub struggle: bool,
    /// The right side.
    pub values: Vec<&'t str>,
}

/// A word of a pattern: alternatives, and whether it may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// What the word may be; `{x}` stands for anything.
    pub words: Vec<String>,
    /// Whether it may be missing.
    pub optional: bool,
}

impl Slot {
    /// The words of a pattern such as `like|as a? failure`.
    pub fn pattern(text: &str) -> Vec<Self> {
        text.split_whitespace()
            .map(|word| {
                let (word, optional) = word.strip_suffix('?').map_or((word, false), |word| (word, true));
                Self { words: word.split('|').map(str::to_owned).collect(), optional }
            })
            .collect()
    }

    /// Whether the word is one of its alternatives.
    pub fn takes(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word)
    }

    /// Whether it is the placeholder of that name.
    pub fn is(&self, placeholder: &str) -> bool {
        self.takes(placeholder)
    }
}

/// The beginning of a goal and what it says.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    /// What the rest is, in the writer's eyes.
    pub kind: Kind,
    /// Which form the rest has.
    pub follow: String,
    /// Its words.
    pub words: Vec<String>,
}

impl Opener {
    /// The lines `kind follow word word …` of a section, the longest first.
    pub fn all(sections: &Sections<'_>, section: &str) -> Vec<Self> {
        let mut all: Vec<Self> = sections
            .lines(section)
            .iter()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let kind = Kind::of(words.next()?)?;
                let follow = words.next()?.to_owned();
                Some(Self { kind, follow, words: words.map(str::to_owned).collect() })
            })
            .collect();
        all.sort_by_key(|opener| std::cmp::Reverse(opener.words.len()));
        all
    }
}

/// How a goal is put, which decides what suits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// "I want to …".
    Wish,
    /// "I must …".
    Obligation,
    /// "I find it hard to …", "I can't …".
    Struggle,
    /// "I am afraid of …".
    Fear,
    /// "I am …".
    State,
    /// A struggle that an opposite was found for.
    Turned,
}

impl Kind {
    /// The kind that a list names.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "wish" => Self::Wish,
            "obligation" => Self::Obligation,
            "struggle" => Self::Struggle,
            "fear" => Self::Fear,
            "state" => Self::State,
            "turned" => Self::Turned,
            _ => return None,
        })
    }
}

/// Where a phrase continues in `words` after the words of an opener, passing over soft words; `None` when it does not
/// begin with them.
pub(super) fn after_prefix(
    words: &[String],
    prefix: &[String],
    soft: &dyn Fn(&str) -> bool,
) -> Option<usize> {
    let mut at = 0;
    for wanted in prefix {
        while words.get(at).is_some_and(|word| word != wanted && soft(word)) {
            at += 1;
        }
        if words.get(at)? != wanted {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// Whether `phrase` stands somewhere in `words`, word for word.
pub(super) fn contains(words: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && words.windows(phrase.len()).any(|window| window == phrase)
}

/// Whether a text has one of the phrases, word for word.
pub(super) fn has_phrase(words: &[String], phrases: &[Vec<String>]) -> bool {
    phrases.iter().any(|phrase| contains(words, phrase))
}
