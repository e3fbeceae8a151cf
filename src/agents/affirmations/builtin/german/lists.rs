//! What is known of German beside its words: how goals begin, and opposites with their patterns.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::super::lexicon::{Opener, Pair, Sections};
use super::super::text::{Words, has_capital, lower};
use super::words::{Verb, WORDS};

/// A verb with what belongs to it, in the order of an infinitive phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrase {
    /// What stands before the verb.
    pub(super) mid: Words,
    pub(super) verb: Verb,
    /// A clause after it, without its comma.
    pub(super) post: Words,
}

/// A part of a pattern.
pub(super) struct Element {
    /// The preposition that it has to have.
    pub(super) preposition: Option<String>,
    pub(super) what: Wanted,
    pub(super) optional: bool,
}

pub(super) enum Wanted {
    /// An object, taken over: in the accusative or dative, which is the writer's business.
    Object,
    /// One of these words.
    Words(Words),
}

/// A phrase and what it is turned into.
pub(super) struct Opposite {
    pub(super) elements: Vec<Element>,
    pub(super) verbs: Words,
    pub(super) struggle: bool,
    pub(super) values: Vec<Phrase>,
}

pub(super) struct Adjective {
    /// Lower case, several words in a row.
    pub(super) key: Vec<Words>,
    /// The words before and after the verb.
    pub(super) values: Vec<(Words, Words)>,
}

pub(super) enum Operator {
    Not,
    As,
    Dare,
}

pub(super) struct German {
    pub(super) openers: Vec<Opener>,
    /// The words before the verb, and the verb.
    pub(super) operators: Vec<(Operator, Words, String)>,
    pub(super) coping: Vec<(Option<String>, String)>,
    pub(super) opposites: Vec<Opposite>,
    pub(super) adjectives: Vec<Adjective>,
    pub(super) good_adjectives: HashSet<String>,
    pub(super) asides: Vec<Words>,
    pub(super) qualities: HashMap<String, String>,
    /// What says too little by itself, and what is said instead.
    pub(super) bare: HashMap<String, Vec<Phrase>>,
}

pub(super) static GERMAN: LazyLock<German> = LazyLock::new(German::load);

impl German {
    pub(super) fn load() -> Self {
        let grammar = Sections::of(include_str!("../data/grammar_de.txt"));
        let lists = Sections::of(include_str!("../data/opposites_de.txt"));
        let operators = grammar.lines("operators").iter().filter_map(|line| {
            let mut words: Words = line.split_whitespace().map(str::to_owned).collect();
            let operator = match words.remove(0).as_str() {
                "not" => Operator::Not,
                "as" => Operator::As,
                _ => Operator::Dare,
            };
            let verb = words.pop()?;
            Some((operator, words, verb))
        });
        let coping = lists.lines("coping").iter().map(|line| match line.split_once(' ') {
            Some((preposition, verb)) if WORDS.is("prepositions", preposition) => {
                (Some(preposition.to_owned()), verb.to_owned())
            }
            _ => (None, (*line).to_owned()),
        });
        let adjectives: Vec<Adjective> = lists.pairs("adjectives").iter().map(adjective).collect();
        let mut good_adjectives: HashSet<String> = adjectives
            .iter()
            .flat_map(|adjective| &adjective.values)
            .filter(|(words, _)| words.len() == 1)
            .flat_map(|(words, _)| words.clone())
            .collect();
        good_adjectives.extend(
            ["gut", "glücklich", "stolz", "froh", "wohl", "erfolgreich", "fröhlich", "geliebt"]
                .map(str::to_owned),
        );
        let mut qualities = HashMap::new();
        for pair in lists.pairs("qualities") {
            for noun in pair.key.split('|') {
                qualities.insert(lower(noun), pair.values.first().copied().unwrap_or_default().to_owned());
            }
        }
        Self {
            openers: Opener::all(&grammar, "openers"),
            operators: operators.collect(),
            coping: coping.collect(),
            opposites: lists.pairs("verbs").iter().filter_map(opposite).collect(),
            adjectives,
            good_adjectives,
            asides: grammar.phrases("asides"),
            qualities,
            bare: lists
                .pairs("bare")
                .iter()
                .map(|pair| {
                    (pair.key.to_owned(), pair.values.iter().filter_map(|value| phrase_of(value)).collect())
                })
                .collect(),
        }
    }
}

/// Reads a line of opposites.
pub(super) fn opposite(pair: &Pair<'_>) -> Option<Opposite> {
    let mut elements = Vec::new();
    let mut tokens: Vec<&str> = pair.key.split_whitespace().collect();
    let verbs = tokens.pop()?.split('|').map(str::to_owned).collect();
    let mut preposition = None;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let (token, optional) = token.strip_suffix('?').map_or((token, false), |token| (token, true));
        let words: Words = token.split('|').map(str::to_owned).collect();
        let first = lower(words.first()?);
        // The "zu" of "zu spät" is none.
        let before_object = tokens.peek().is_some_and(|next| {
            has_capital(next)
                || next.contains('{')
                || WORDS.is("determiners", next)
                || WORDS.is("pronouns", next)
                || WORDS.preposition(next).is_some()
        });
        if preposition.is_none()
            && (first != "zu" || before_object)
            && let Some(found) = WORDS.preposition(&first)
        {
            preposition = Some(found);
            continue;
        }
        if preposition.is_some() && WORDS.is("determiners", &first) && !has_capital(words.first()?) {
            continue;
        }
        let what = if matches!(token, "{a}" | "{d}") {
            Wanted::Object
        } else {
            Wanted::Words(words.iter().map(|word| lower(word)).collect())
        };
        elements.push(Element { preposition: preposition.take(), what, optional });
    }
    let values = pair.values.iter().map(|value| phrase_of(value)).collect::<Option<Vec<Phrase>>>()?;
    Some(Opposite { elements, verbs, struggle: pair.struggle, values })
}

/// An infinitive phrase of the lists: the verb is the last word before the first comma.
pub(super) fn phrase_of(value: &str) -> Option<Phrase> {
    let (main, post) = value.split_once(',').unwrap_or((value, ""));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Words>();
    let mut mid = words(main);
    let verb = WORDS.verb_or_guess(&mid.pop()?)?;
    Some(Phrase { mid, verb, post: words(post) })
}

pub(super) fn adjective(pair: &Pair<'_>) -> Adjective {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Words>();
    let key = pair.key.split_whitespace().map(|slot| slot.split('|').map(str::to_owned).collect()).collect();
    let values = pair.values.iter().map(|value| {
        let (before, after) = value.split_once(',').unwrap_or((value, ""));
        (words(before), words(after))
    });
    Adjective { key, values: values.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::affirmations::builtin::checks;
    use crate::agents::affirmations::builtin::lexicon::Kind;
    use crate::agents::affirmations::builtin::text::join;
    use crate::retrieval::Language;

    fn lists() -> Sections<'static> {
        Sections::of(include_str!("../data/opposites_de.txt"))
    }

    #[test]
    fn every_line_is_read() {
        for pair in lists().pairs("verbs") {
            assert!(opposite(&pair).is_some(), "{}", pair.key);
        }
        assert_eq!(lists().pairs("verbs").len(), lists().lines("verbs").len());
        assert_eq!(lists().pairs("adjectives").len(), lists().lines("adjectives").len());
        assert!(GERMAN.opposites.len() > 300 && GERMAN.adjectives.len() > 60);
    }

    #[test]
    fn objects_keep_their_case() {
        for pair in lists().pairs("verbs") {
            for value in pair.values {
                for slot in ["{a}", "{d}"] {
                    assert!(!value.contains(slot) || pair.key.contains(slot), "{} = {value}", pair.key);
                }
            }
        }
    }

    #[test]
    fn every_opposite_is_good_and_can_be_said() {
        let values = GERMAN.opposites.iter().flat_map(|opposite| &opposite.values);
        for value in values.chain(GERMAN.bare.values().flatten()) {
            let mid = value
                .mid
                .iter()
                .map(|word| if word.starts_with('{') { "Musik".to_owned() } else { word.clone() });
            let phrase = Phrase { mid: mid.collect(), ..value.clone() };
            let said = format!("{} {}", join(&phrase.mid), phrase.verb.infinitive());
            assert!(WORDS.verb(&phrase.verb.infinitive()).is_some(), "{said} has an unknown verb");
            let cores =
                GERMAN.affirmed(phrase, Kind::Turned).unwrap_or_else(|reason| panic!("{said}: {reason}"));
            for (slot, lead) in [
                ("fin", "Ich"),
                ("inv", "Heute"),
                ("inf", "Ich darf"),
                ("zu", "Ich erlaube mir,"),
                ("sub", "Schön, dass ich"),
            ] {
                let line = format!("{lead} {}", cores[0].slots[slot]);
                assert!(checks::Checks::of(&line, Language::German).pass(20), "{line}");
            }
        }
    }

    #[test]
    fn every_adjective_is_good() {
        for (words, post) in GERMAN.adjectives.iter().flat_map(|adjective| &adjective.values) {
            let text = format!("{} {}", join(words), join(post));
            assert_eq!(checks::negative_word(&text, Language::German), None);
        }
        for (noun, template) in &GERMAN.qualities {
            assert!(template.split(' ').next_back().is_some_and(|verb| WORDS.verb(verb).is_some()), "{noun}");
        }
    }
}
