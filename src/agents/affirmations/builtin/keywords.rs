//! What colours a line: a period's keywords, and the value phrases of an organization's documents.
//!
//! A value phrase is a noun whose use is known, with the adjective that the document has before it if that one is known as
//! well ("quiet confidence", „innere Ruhe“). Anything else that stands before a noun could turn its meaning round ("blind
//! trust"), and so could the sentence: one that denies something or complains has no values.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::german::{Gender, WORDS};
use super::text::{self, lower};
use super::{Passage, Quote, checks};
use crate::retrieval::reading::{self, Kind};
use crate::retrieval::{Format, Language};

/// Adjectives that make a value more of what it is.
const ENGLISH_ADJECTIVES: [&str; 20] = [
    "inner",
    "deep",
    "quiet",
    "calm",
    "gentle",
    "clear",
    "warm",
    "fresh",
    "new",
    "genuine",
    "natural",
    "healthy",
    "steady",
    "lively",
    "creative",
    "true",
    "lasting",
    "joyful",
    "heartfelt",
    "playful",
];
/// The same without their endings.
const GERMAN_ADJECTIVES: [&str; 20] = [
    "inner",
    "tief",
    "still",
    "ruhig",
    "sanft",
    "klar",
    "warm",
    "frisch",
    "neu",
    "echt",
    "natürlich",
    "gesund",
    "stetig",
    "lebendig",
    "kreativ",
    "wahr",
    "bleibend",
    "freudig",
    "herzlich",
    "spielerisch",
];

/// Nouns of the English list that are verbs or adjectives as well, and what they are nouns behind, beside an adjective.
const ENGLISH_AMBIGUOUS: [&str; 13] = [
    "balance", "calm", "care", "change", "drive", "focus", "love", "power", "respect", "rest", "trust",
    "values", "vision",
];
const ENGLISH_BEFORE_NOUNS: [&str; 10] =
    ["with", "of", "for", "in", "through", "by", "our", "my", "your", "mutual"];
/// What a noun stands alone before.
const ENGLISH_AFTER_NOUNS: [&str; 16] = [
    "and", "or", "but", "as", "at", "for", "from", "in", "is", "on", "that", "to", "when", "where", "while",
    "with",
];
/// Nouns of the German list that may be something else where a sentence begins ("Liebe Gäste", „Würde das helfen?“).
const GERMAN_AMBIGUOUS: [&str; 5] = ["liebe", "würde", "vertrauen", "stärke", "kraft"];

/// A noun that frames may use, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyword {
    /// As it is written when it stands alone.
    pub text: String,
    /// What stands before the noun, in German without its ending.
    adjective: Option<&'static str>,
    noun: String,
    /// The frames that it reads well in.
    pub uses: HashSet<String>,
    /// Its gender; none in English.
    pub gender: Option<Gender>,
    /// The document that it is taken from, and where; none for a period's own.
    pub source: Option<(String, Quote)>,
}

/// What a German adjective has to agree with, beside its noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Without an article.
    Nominative,
    /// Without an article.
    Accusative,
    /// Without an article.
    Dative,
    /// Behind `mein`.
    MyNominative,
    /// Behind `meinen`.
    MyAccusative,
}

impl Case {
    /// The case that a frame has its keyword in, by what stands before it.
    fn of(template: &str) -> Self {
        let before = template.split("{kw}").next().unwrap_or_default().trim_end();
        let ends = |word: &str| before.ends_with(word);
        match () {
            () if ends("{meinen}") => Self::MyAccusative,
            () if ends("{mein}") => Self::MyNominative,
            () if ends("Mit") || ends("mit") => Self::Dative,
            () if ends("für") => Self::Accusative,
            () => Self::Nominative,
        }
    }

    /// The ending of an adjective before a noun.
    const fn ending(self, gender: Gender) -> &'static str {
        match (self, gender) {
            (Self::Dative, Gender::Masculine | Gender::Neuter) => "em",
            (Self::Nominative | Self::MyNominative, Gender::Masculine) | (Self::Dative, Gender::Feminine) => {
                "er"
            }
            (Self::Accusative | Self::MyAccusative, Gender::Masculine)
            | (Self::Dative | Self::MyNominative | Self::MyAccusative, Gender::Plural) => "en",
            (
                Self::Nominative | Self::Accusative | Self::MyNominative | Self::MyAccusative,
                Gender::Neuter,
            ) => "es",
            (
                Self::Nominative | Self::Accusative | Self::MyNominative | Self::MyAccusative,
                Gender::Feminine,
            )
            | (Self::Nominative | Self::Accusative, Gender::Plural) => "e",
        }
    }
}

/// An adjective of the lists as a document has it before a noun.
fn adjective(word: &str, language: Language) -> Option<&'static str> {
    let word = lower(word);
    match language {
        Language::English => ENGLISH_ADJECTIVES.into_iter().find(|adjective| *adjective == word),
        Language::German => GERMAN_ADJECTIVES.into_iter().find(|adjective| {
            word.strip_prefix(adjective).is_some_and(|end| matches!(end, "e" | "er" | "es" | "em" | "en"))
        }),
    }
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
    pub fn of(word: &str, language: Language) -> Option<Self> {
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
        suits.then(|| Self { noun: text.clone(), adjective: None, text, uses, gender, source: None })
    }

    /// With what stands before it.
    fn with(mut self, adjective: Option<&'static str>) -> Self {
        self.adjective = adjective;
        self.text = self.inflected(Case::Nominative);
        self
    }

    fn inflected(&self, case: Case) -> String {
        let ending = self.gender.map_or("", |gender| case.ending(gender));
        match self.adjective {
            Some(adjective) => format!("{adjective}{ending} {}", self.noun),
            None => self.noun.clone(),
        }
    }

    /// As a frame has it.
    pub fn within(&self, template: &str) -> Self {
        Self { text: self.inflected(Case::of(template)), ..self.clone() }
    }

    /// The value phrases that a passage of a document has, in their order, each once.
    pub fn in_passage(passage: &Passage, language: Language) -> Vec<Self> {
        const MOST: usize = 20;
        let mut found: Vec<Self> = Vec::new();
        for sentence in reading::sentences(&passage.text, Format::Markdown) {
            let is_said = matches!(sentence.kind, Kind::Sentence | Kind::Item);
            let Some(stretch) = passage.text.get(sentence.bytes.clone()).filter(|_| is_said) else {
                continue;
            };
            let cleaned = text::clean(stretch);
            let phrases = phrases(&cleaned, language);
            // A sentence that denies something or complains is no place to take a value from.
            if phrases.is_empty() || !checks::positive(&cleaned, language) {
                continue;
            }
            let before = passage.text.get(..sentence.bytes.start).unwrap_or_default().chars().count();
            let start = passage.start + before;
            let quote = Quote {
                version: passage.version,
                heading: passage.heading.clone(),
                quote: stretch.to_owned(),
                start,
                end: start + stretch.chars().count(),
            };
            for phrase in phrases {
                if !found.iter().any(|known| known.text == phrase.text) {
                    let source = Some((passage.document.clone(), quote.clone()));
                    found.push(Self { source, ..phrase });
                }
                if found.len() == MOST {
                    return found;
                }
            }
        }
        found
    }
}

/// The value phrases of a sentence.
fn phrases(sentence: &str, language: Language) -> Vec<Keyword> {
    let mut found = Vec::new();
    // The word before, when nothing but a space parts it from the next one; none where the sentence begins.
    let mut before = None;
    let mut tokens = sentence.split_whitespace().peekable();
    while let Some(token) = tokens.next() {
        let after = tokens.peek().copied().unwrap_or_default();
        for word in token.split(|c: char| !(c.is_alphanumeric() || c == '-')).filter(|word| !word.is_empty())
        {
            let behind = before.filter(|_| token.starts_with(word)).unwrap_or_default();
            let adjective = adjective(behind, language);
            let low = lower(word);
            let is_noun = match language {
                Language::English => {
                    // In front of another noun it says of what kind that one is ("health check").
                    let stands_alone = !token.ends_with(word)
                        || !after.starts_with(char::is_alphanumeric)
                        || ENGLISH_AFTER_NOUNS.contains(&lower(after.trim_end_matches(',')).as_str());
                    let is_clear = !ENGLISH_AMBIGUOUS.contains(&low.as_str())
                        || adjective.is_some()
                        || ENGLISH_BEFORE_NOUNS.contains(&lower(behind).as_str());
                    stands_alone && is_clear && english(&low).is_some()
                }
                Language::German => {
                    let is_clear = before.is_some() || !GERMAN_AMBIGUOUS.contains(&low.as_str());
                    is_clear && text::has_capital(word) && WORDS.noun(word).is_some_and(|noun| noun.mass)
                }
            };
            if is_noun && let Some(keyword) = Keyword::of(word, language) {
                found.push(keyword.with(adjective));
            }
        }
        before = Some(if token.ends_with(char::is_alphanumeric) { token } else { "" });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(text: &str) -> Passage {
        Passage { text: text.to_owned(), document: "doc_7".to_owned(), version: 3, heading: None, start: 40 }
    }

    fn found(text: &str, language: Language) -> Vec<String> {
        Keyword::in_passage(&passage(text), language).into_iter().map(|keyword| keyword.text).collect()
    }

    #[test]
    fn value_phrases_are_nouns_and_adjectives_of_the_lists() {
        let german = |text| found(text, Language::German);
        assert_eq!(
            german("Wir arbeiten mit innerer Ruhe und klarem Fokus."),
            ["innere Ruhe", "klarer Fokus"]
        );
        assert_eq!(
            german("Uns trägt tiefes Vertrauen, neuer Mut und Offenheit."),
            ["tiefes Vertrauen", "neuer Mut", "Offenheit"]
        );
        let english = |text| found(text, Language::English);
        assert_eq!(english("We lead with quiet confidence and honesty."), ["quiet confidence", "honesty"]);
        // What is not known stays away, and so does what a mark parts.
        assert_eq!(english("Loud courage is easy; be clear, honesty is better."), ["courage", "honesty"]);
        assert_eq!(german("Das ist lautes Vertrauen. Klar, Ruhe tut gut."), ["Vertrauen", "Ruhe"]);
        assert_eq!(english("We want courage/honesty (joy)."), ["courage", "honesty", "joy"]);
        assert_eq!(english("A health check, a confidence interval and energy used."), Vec::<String>::new());
    }

    #[test]
    fn a_word_that_may_be_none_is_no_noun() {
        let english = |text| found(text, Language::English);
        assert_eq!(
            english("Trust us, we rest at noon and drive home. They stay calm."),
            Vec::<String>::new()
        );
        assert_eq!(english("We lead with trust and in deep calm."), ["trust", "deep calm"]);
        let german = |text| found(text, Language::German);
        assert_eq!(german("Liebe Gäste! Würde das gehen? Uns trägt Liebe."), ["Liebe"]);
    }

    #[test]
    fn what_is_denied_or_complained_of_is_no_value() {
        assert_eq!(
            found("Hier gibt es keine Ruhe. Uns fehlt nie der Mut.", Language::German),
            Vec::<String>::new()
        );
        assert_eq!(found("There is no trust here. We fear change.", Language::English), Vec::<String>::new());
        assert_eq!(
            found("# Mut\n\n| Ruhe | Kraft |\n|---|---|\n| Mut | Ruhe |\n", Language::German),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_phrase_says_where_it_stands() {
        let text = "Ä ist ein Umlaut. Wir reden mit innerer Ruhe. Gut so.";
        let keyword = Keyword::in_passage(&passage(text), Language::German).remove(0);
        let (document, quote) = keyword.source.unwrap();
        assert_eq!((document.as_str(), quote.version), ("doc_7", 3));
        assert_eq!(quote.quote, "Wir reden mit innerer Ruhe.");
        let cut: String = text.chars().skip(quote.start - 40).take(quote.end - quote.start).collect();
        assert_eq!(cut, quote.quote);
    }

    #[test]
    fn adjectives_agree_with_their_nouns_in_every_frame() {
        let frames = [
            "{kw}",
            "Mit {kw} {inv}.",
            "{mein} {kw} {hilft} mir, {zu}.",
            "Ich stärke {meinen} {kw}, wenn ich {sub}.",
            "Ich öffne mich für {kw} und {fin}.",
        ];
        for (noun, forms) in [
            ("Mut", ["neuer Mut", "neuem Mut", "neuer Mut", "neuen Mut", "neuen Mut"]),
            ("Ruhe", ["neue Ruhe", "neuer Ruhe", "neue Ruhe", "neue Ruhe", "neue Ruhe"]),
            (
                "Vertrauen",
                [
                    "neues Vertrauen",
                    "neuem Vertrauen",
                    "neues Vertrauen",
                    "neues Vertrauen",
                    "neues Vertrauen",
                ],
            ),
            ("Ziele", ["neue Ziele", "neuen Ziele", "neuen Ziele", "neuen Ziele", "neue Ziele"]),
        ] {
            let keyword = Keyword::of(noun, Language::German).unwrap().with(Some("neu"));
            assert_eq!(frames.map(|frame| keyword.within(frame).text), forms);
        }
        let english = Keyword::of("trust", Language::English).unwrap().with(Some("deep"));
        assert_eq!(english.within("With {kw}, I {fin}.").text, "deep trust");
    }
}
