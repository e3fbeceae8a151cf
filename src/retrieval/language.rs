//! Which of the two languages a text is in, by its commonest words and its letters.

use super::words::{is_stop_word, normal, words};

/// How many words are looked at.
const SAMPLE: usize = 120;

/// The languages that texts are analysed, and content is made, in.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    async_graphql::Enum,
)]
pub enum Language {
    /// German.
    #[default]
    #[serde(rename = "DE")]
    #[graphql(name = "DE")]
    German,
    /// English.
    #[serde(rename = "EN")]
    #[graphql(name = "EN")]
    English,
}

impl Language {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::German, Self::English];

    /// The tag of the language, as in ISO 639-1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::German => "de",
            Self::English => "en",
        }
    }

    /// Its English name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::German => "German",
            Self::English => "English",
        }
    }

    /// The language of a text, or none when it gives no sign of either. Looks at the first words only.
    pub fn detect(text: &str) -> Option<Self> {
        let (mut german, mut english) = (0_u32, 0_u32);
        for word in words(text).map(|(_, word)| word).take(SAMPLE) {
            if word.len() > 24 {
                continue;
            }
            let lower = normal(word);
            if lower.contains(['ä', 'ö', 'ü', 'ß']) {
                german += 2;
            }
            let (de, en) = (is_stop_word(&lower, Self::German), is_stop_word(&lower, Self::English));
            if de != en {
                german += u32::from(de) * 2;
                english += u32::from(en) * 2;
            }
            // Endings that are frequent in one language and rare in the other.
            let ends = |ends: &[&str]| lower.len() > 5 && ends.iter().any(|end| lower.ends_with(end));
            german += u32::from(ends(&["ung", "ungen", "keit", "heit", "lich", "schaft", "en"]));
            english += u32::from(ends(&["ing", "tion", "ment", "ness", "ly", "ity", "ed"]));
        }
        match german.cmp(&english) {
            std::cmp::Ordering::Greater => Some(Self::German),
            std::cmp::Ordering::Less => Some(Self::English),
            std::cmp::Ordering::Equal => None,
        }
    }
}
