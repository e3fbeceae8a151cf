//! What a brief is: an order to write about something, a topic, or the text itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::agents::text::Language;
use crate::agents::text::phrases;
use crate::retrieval::Format;
use crate::retrieval::reading::{self, Kind};

/// The longest topic that can head a post, in characters.
const HEADLINE: usize = 80;
/// The most terms of a brief that are looked for.
const TERMS: usize = 48;
/// The least characters of a single sentence that is a text rather than a topic.
const TEXT: usize = 90;
/// What the words of an angle weigh beside those of the brief.
const ANGLE: f64 = 0.5;

/// A brief that was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Brief {
    /// Its terms with their weights, without the words of an order.
    pub terms: BTreeMap<String, f64>,
    /// Its words, in lower case.
    pub words: Vec<String>,
    /// What it names.
    pub topics: Vec<String>,
    /// The topic, when it can head a post as it is.
    pub headline: Option<String>,
    /// The text, when it is one.
    pub own: Option<String>,
    /// Whether it is an order to write something.
    pub is_order: bool,
}

impl Brief {
    /// Reads a brief.
    pub fn read(text: &str, language: Language) -> Self {
        let trimmed = text.trim();
        let is_order = is_order(trimmed);
        let profile = phrases::read(trimmed, language);
        // Verbs and adverbs of a topic (`was passiert mit`) say less than what it names.
        let named: BTreeSet<&String> = profile.phrases.iter().flat_map(|phrase| &phrase.terms).collect();
        let weight = |term: &String, weight: f64| if named.contains(term) { weight } else { 0.35 * weight };
        let mut weighed: Vec<(String, f64)> =
            profile.terms.iter().map(|(term, value)| (term.clone(), weight(term, *value))).collect();
        weighed.retain(|(term, _)| !is_order_term(term));
        let topics =
            profile.phrases.iter().filter(|phrase| !phrase.terms.iter().any(|term| is_order_term(term)));
        let topics = topics.map(phrases::Phrase::label).collect();
        weighed.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let terms = weighed.into_iter().take(TERMS).collect();
        let sentences = reading::sentences(trimmed, Format::Markdown);
        let ends = |text: &str| text.ends_with(['.', '!', '?', '…']);
        let full = sentences.iter().filter_map(|sentence| {
            let stretch = trimmed.get(sentence.bytes.clone())?;
            (sentence.kind == Kind::Sentence && ends(stretch) && stretch.split_whitespace().count() >= 3)
                .then_some(stretch)
        });
        let full: Vec<&str> = full.collect();
        let is_text = !is_order && (full.len() >= 2 || full.iter().any(|one| one.chars().count() >= TEXT));
        let short = trimmed.chars().count() <= HEADLINE && !trimmed.contains('\n') && !trimmed.is_empty();
        let headline = (!is_order && !is_text && short).then(|| trimmed.to_owned());
        let words = reading::words(trimmed).take(200).map(|(_, word)| reading::normal(word)).collect();
        Self { terms, words, topics, headline, own: is_text.then(|| trimmed.to_owned()), is_order }
    }

    /// The same, leaning to the words of a sentence.
    pub fn leaning(mut self, sentence: &str, language: Language) -> Self {
        for (term, weight) in phrases::read(sentence, language).weightiest(TERMS).terms {
            self.terms.entry(term).or_insert(ANGLE * weight);
        }
        self
    }
}

/// Whether somebody is asked to write: by the first word, by `post about`, or by a last word that says what to do with it.
fn is_order(text: &str) -> bool {
    const FIRST: [&str; 34] = [
        "schreib",
        "schreibe",
        "schreibt",
        "erstelle",
        "erstell",
        "verfasse",
        "formuliere",
        "mach",
        "mache",
        "entwirf",
        "generiere",
        "bewirb",
        "poste",
        "textvorschlag",
        "bitte",
        "wir",
        "ich",
        "write",
        "create",
        "make",
        "draft",
        "compose",
        "generate",
        "prepare",
        "please",
        "can",
        "could",
        "kannst",
        "könntest",
        "i",
        "we",
        "need",
        "brauche",
        "ankündigung",
    ];
    const THINGS: [&str; 16] = [
        "post",
        "beitrag",
        "posting",
        "caption",
        "text",
        "story",
        "reel",
        "tweet",
        "thread",
        "linkedin-post",
        "instagram-post",
        "facebook-post",
        "beiträge",
        "posts",
        "bildunterschrift",
        "ankündigung",
    ];
    const ABOUT: [&str; 11] =
        ["zu", "zum", "zur", "über", "für", "about", "on", "for", "announcing", "that", "mit"];
    const LAST: [&str; 9] = [
        "bewerben",
        "ankündigen",
        "vorstellen",
        "posten",
        "teasern",
        "promoten",
        "schreiben",
        "erstellen",
        "kommunizieren",
    ];
    let words: Vec<String> = reading::words(text).take(400).map(|(_, word)| reading::normal(word)).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let thing = |at: usize| THINGS.contains(&word(at)) && ABOUT.contains(&word(at + 1));
    // `Wir brauchen einen Post` is an order, `Wir sind umgezogen` is not.
    let loose = matches!(
        word(0),
        "wir"
            | "ich"
            | "i"
            | "we"
            | "bitte"
            | "please"
            | "can"
            | "could"
            | "need"
            | "mach"
            | "mache"
            | "make"
            | "prepare"
    );
    let asks = FIRST.contains(&word(0))
        && (!loose || words.iter().take(8).any(|word| THINGS.contains(&word.as_str())));
    asks || (0..4).any(thing) || words.last().is_some_and(|last| LAST.contains(&last.as_str()))
}

/// Whether a term belongs to the order rather than to the topic.
fn is_order_term(term: &str) -> bool {
    const TERMS: [&str; 44] = [
        "post",
        "beitrag",
        "caption",
        "text",
        "thema",
        "them",
        "linkedin",
        "instagram",
        "facebook",
        "thread",
        "twitt",
        "x",
        "social",
        "media",
        "schreib",
        "erstell",
        "verfass",
        "formuli",
        "entwirf",
        "generi",
        "bewerb",
        "bewirb",
        "ankund",
        "vorstell",
        "postet",
        "posting",
        "write",
        "creat",
        "make",
        "draft",
        "compos",
        "generat",
        "prepar",
        "topic",
        "stori",
        "story",
        "reel",
        "tweet",
        "lustig",
        "funni",
        "kurz",
        "lang",
        "promot",
        "teas",
    ];
    TERMS.contains(&term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_topics_and_texts_are_told_apart() {
        for order in [
            "Schreib einen Post über Entspannung und Atempausen",
            "Post zu unseren neuen Öffnungszeiten am Sonntag",
            "Kostenloses Erstgespräch bewerben",
            "Wir brauchen einen Beitrag für LinkedIn",
            "Ein Post über Katzen",
            "Write a post about our brewing workshops",
            "Please make a caption for this",
        ] {
            let brief = Brief::read(order, Language::German);
            assert!(brief.is_order && brief.headline.is_none() && brief.own.is_none(), "{order}");
        }
        for topic in [
            "Bewerbung ohne Anschreiben",
            "Was passiert mit dem Brot von gestern?",
            "Back pain: stay active",
            "Wir sind umgezogen!",
        ] {
            let brief = Brief::read(topic, Language::German);
            assert_eq!(brief.headline.as_deref(), Some(topic));
            assert!(!brief.is_order && brief.own.is_none(), "{topic}");
        }
        let text = "Ab Montag haben wir ein neues Team. Jana und Timo reparieren auch E-Bikes.";
        let brief = Brief::read(text, Language::German);
        assert_eq!((brief.own.as_deref(), brief.headline), (Some(text), None));
    }

    #[test]
    fn the_words_of_an_order_are_not_the_topic() {
        let brief = Brief::read(
            "Erstelle einen Beitrag für LinkedIn zum Thema Datenschutz in Arztpraxen",
            Language::German,
        );
        let terms: Vec<&String> = brief.terms.keys().collect();
        assert_eq!(terms, ["arztprax", "datenschutz"]);
    }
}
