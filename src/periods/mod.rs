//! The seven periods of an organization, and which of them a moment lies in.
//!
//! Periods are an organization's own data; [`seed`] is what a new one starts with: the seven periods of the predecessor
//! with their gold-to-purple palette (it had three contradicting definitions; this is the one that its agents and its
//! documents agreed on). German keywords have a noun's capital here, which the predecessor left out.
//!
//! [`cycles`] computes which period a moment belongs to.

pub mod cycles;
pub mod graphql;
mod store;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{OrganizationId, PeriodId};
use crate::input;
use crate::retrieval::Language;

/// How many periods a cycle has.
pub const COUNT: u8 = 7;
/// Keywords of a language at the most.
pub const KEYWORDS: usize = 20;

/// One of an organization's periods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: PeriodId,
    /// What it is.
    pub definition: Definition,
}

/// What a period is, whoever's it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its place in a cycle, from 1.
    pub number: u8,
    /// A short name for programs, such as `energy`.
    pub key: String,
    /// Its name in each language.
    pub names: BTreeMap<Language, String>,
    /// Its colour, `#RRGGBB`.
    pub color: String,
    /// Words that belong to it, in each language; nouns and adjectives.
    pub keywords: BTreeMap<Language, Vec<String>>,
}

impl Definition {
    /// Its keywords in a language; none when it has none there.
    pub fn keywords_in(&self, language: Language) -> &[String] {
        self.keywords.get(&language).map_or(&[], Vec::as_slice)
    }
}

static SEED: LazyLock<Vec<Definition>> =
    LazyLock::new(|| serde_json::from_str(include_str!("seed.json")).unwrap_or_default());

/// The seven periods that a new organization starts with, in their order.
pub fn seed() -> &'static [Definition] {
    &SEED
}

/// The period that a person or an old file means: its key, its name in any language (any case, composed or decomposed
/// accents) or its number; `None` when it is none of these.
///
/// ```
/// use aicos::periods::{named, seed};
/// assert_eq!(named(seed(), "VERA\u{308}NDERUNG").map(|period| period.number), Some(2));
/// assert_eq!(named(seed(), "7").map(|period| period.key.as_str()), Some("prudence"));
/// assert_eq!(named(seed(), "Foundation"), None);
/// ```
pub fn named<'p>(periods: &'p [Definition], text: &str) -> Option<&'p Definition> {
    const LONGEST: usize = 200;
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    let wanted = folded(text);
    periods.iter().find(|period| {
        period.number.to_string() == wanted
            || folded(&period.key) == wanted
            || period.names.values().any(|name| folded(name) == wanted)
    })
}

fn folded(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

/// Gives a new organization its seven periods.
///
/// # Errors
/// What the database says.
pub async fn insert_seed(tx: &mut WriteTx<'_>) -> Result<()> {
    store::insert(tx, seed()).await
}

/// The periods of the transaction's organization, in their order.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Period>> {
    store::list(tx).await
}

/// One period.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: PeriodId) -> Result<Option<Period>> {
    Ok(store::list(tx).await?.into_iter().find(|period| period.id == id))
}

/// A change of a period: absent leaves unchanged.
#[derive(Debug, Default)]
pub struct PeriodUpdate {
    /// Another key.
    pub key: Option<String>,
    /// Names; languages that are absent keep theirs.
    pub names: BTreeMap<Language, String>,
    /// Another colour.
    pub color: Option<String>,
    /// Keywords; languages that are absent keep theirs.
    pub keywords: BTreeMap<Language, Vec<String>>,
}

/// Changes a period. Gives it as it was and as it is.
///
/// # Errors
/// A fault at the field; `ALREADY_EXISTS` for a key that another period has; `NOT_FOUND`.
pub async fn update(tx: &mut WriteTx<'_>, id: PeriodId, change: PeriodUpdate) -> Result<(Period, Period)> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    let mut definition = before.definition.clone();
    if let Some(key) = change.key {
        definition.key = input::slug("key", &key)?;
        let first_is_letter = definition.key.starts_with(|first: char| first.is_ascii_lowercase());
        if !first_is_letter || definition.key.len() > 40 {
            let message = "`key` begins with a letter and has at most 40 characters.";
            return Err(Error::fault(Fault::at(FaultCode::Invalid, "key", message)));
        }
    }
    for (language, name) in change.names {
        definition.names.insert(language, input::line("names", &name, 60)?);
    }
    if let Some(color) = change.color {
        definition.color = input::color("color", &color)?;
    }
    for (language, words) in change.keywords {
        if words.len() > KEYWORDS {
            let message = format!("`keywords` has at most {KEYWORDS} words in each language.");
            return Err(Error::fault(Fault::at(FaultCode::TooLong, "keywords", message)));
        }
        let words: Result<Vec<String>> = words.iter().map(|word| input::line("keywords", word, 60)).collect();
        definition.keywords.insert(language, words?);
    }
    store::update(tx, id, &definition).await?;
    Ok((before.clone(), Period { definition, ..before }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_complete() {
        assert_eq!(seed().len(), usize::from(COUNT));
        for (period, number) in seed().iter().zip(1..) {
            assert_eq!(period.number, number);
            assert_eq!(period.names.len(), 2, "{}", period.key);
            for language in [Language::German, Language::English] {
                assert_eq!(period.keywords_in(language).len(), 5, "{}", period.key);
            }
            let digits = period.color.strip_prefix('#').unwrap();
            assert!(digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{}", period.color);
        }
        let mut keys: Vec<_> = seed().iter().map(|period| &period.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 7);
    }

    #[test]
    fn periods_are_found_by_what_people_write() {
        for (text, number) in [
            ("Energie", 3),
            ("ENERGY", 3),
            ("energy", 3),
            (" 3 ", 3),
            ("Veränderung", 2),
            ("Vera\u{308}nderung", 2),
            ("VERÄNDERUNG", 2),
            ("KREATIVITÄT", 4),
            ("Umsicht", 7),
        ] {
            assert_eq!(named(seed(), text).map(|period| period.number), Some(number), "{text}");
        }
        for text in ["", "0", "8", "33", "Energi", "\0", &"x".repeat(1_000_000)] {
            assert_eq!(named(seed(), text), None);
        }
    }

    #[test]
    fn a_period_reads_back_as_it_was_written() {
        for period in seed() {
            let json = serde_json::to_string(period).unwrap();
            assert_eq!(&serde_json::from_str::<Definition>(&json).unwrap(), period);
        }
    }
}
