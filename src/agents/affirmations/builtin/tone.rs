//! Tones.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::lexicon::Sections;
use super::text::{self, lower};

/// A tone that changes which frames are preferred. Words for it are in `data/tones.txt`; any other word changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Tone {
    /// "I allow myself to …": gentle, warm, calm; sanft, liebevoll, ruhig.
    Gentle,
    /// "I choose to …": strong, bold, motivating; kraftvoll, mutig, energisch.
    Strong,
    /// "I am grateful that …": grateful, joyful, positive; dankbar, freudig.
    Grateful,
}

impl Tone {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "gentle" => Some(Self::Gentle),
            "strong" => Some(Self::Strong),
            "grateful" => Some(Self::Grateful),
            _ => None,
        }
    }

    /// The tone that a user's words ask for: the first known word decides.
    ///
    /// ```
    /// use aicos::agents::affirmations::builtin::Tone;
    /// assert_eq!(Tone::of("warm and loving"), Some(Tone::Gentle));
    /// assert_eq!(Tone::of("kraftvoll"), Some(Tone::Strong));
    /// assert_eq!(Tone::of("sarcastic"), None);
    /// ```
    pub fn of(words: &str) -> Option<Self> {
        static LISTS: LazyLock<Vec<(Tone, Vec<String>)>> = LazyLock::new(|| {
            let text = include_str!("data/tones.txt");
            let sections = Sections::of(text);
            let lines = sections.lines("").iter().filter_map(|line| line.split_once(':'));
            lines
                .filter_map(|(name, words)| {
                    Some((Tone::named(name)?, words.split_whitespace().map(str::to_owned).collect()))
                })
                .collect()
        });
        let start: String = text::clean(words).chars().take(200).collect();
        let known = |word: &str| {
            LISTS.iter().find(|(_, words)| words.iter().any(|known| known == word)).map(|(tone, _)| *tone)
        };
        text::lower_words(&start).find_map(|word| {
            let low = lower(&word);
            ["", "er", "e", "en", "es"].iter().find_map(|end| known(low.strip_suffix(end)?))
        })
    }
}
