//! What is known of English: how goals begin, opposites, verbs and their forms.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::super::lexicon::{Opener, Sections, Slot};
use super::super::text::Words;

/// A phrase and what it is turned into.
pub(super) struct Opposite {
    pub(super) key: Vec<Slot>,
    pub(super) struggle: bool,
    pub(super) values: Vec<Words>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Not,
    As,
    Dare,
}

/// Everything that is known of English.
pub(in super::super) struct English {
    pub(super) openers: Vec<Opener>,
    pub(super) operators: Vec<(Operator, Words)>,
    pub(super) coping: Vec<Words>,
    pub(super) verbs: Vec<Opposite>,
    pub(super) adjectives: Vec<Opposite>,
    pub(super) nouns: Vec<Opposite>,
    pub(super) qualities: HashMap<String, Words>,
    /// What says too little by itself, and what is said instead.
    pub(super) bare_phrases: HashMap<String, Vec<Words>>,
    pub(super) tails: Vec<Words>,
    pub(super) reasons: Vec<Words>,
    pub(super) sets: HashMap<&'static str, HashSet<String>>,
    pub(super) known_verbs: HashSet<String>,
    pub(in super::super) past: HashMap<String, String>,
    pub(in super::super) participles: HashSet<String>,
    pub(super) good_adjectives: HashSet<String>,
}

/// The lists, read once.
pub(in super::super) static ENGLISH: LazyLock<English> = LazyLock::new(English::load);

impl English {
    pub(super) fn load() -> Self {
        let grammar = Sections::of(include_str!("../data/grammar_en.txt"));
        let opposites = Sections::of(include_str!("../data/opposites_en.txt"));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Words>();
        let pairs = |section| -> Vec<Opposite> {
            let turn = |value: &&str| words(value);
            opposites
                .pairs(section)
                .iter()
                .map(|pair| Opposite {
                    key: Slot::pattern(pair.key),
                    struggle: pair.struggle,
                    values: pair.values.iter().map(turn).collect(),
                })
                .collect()
        };
        let verbs = pairs("verbs");
        let mut known_verbs = HashSet::new();
        for section in ["state", "activity", "achievement"] {
            known_verbs.extend(grammar.words(section));
        }
        known_verbs.extend(
            verbs.iter().filter_map(|opposite| opposite.key.first()).flat_map(|slot| slot.words.clone()),
        );
        let adjectives = pairs("adjectives");
        let good = adjectives.iter().flat_map(|opposite| &opposite.values);
        let good_adjectives = good.filter_map(|value| value.first().cloned()).collect();
        let mut qualities = HashMap::new();
        for pair in opposites.pairs("qualities") {
            for noun in pair.key.split('|') {
                qualities.insert(
                    noun.to_owned(),
                    pair.values.first().map(|value| words(value)).unwrap_or_default(),
                );
            }
        }
        let operators = grammar.phrases("operators").into_iter().filter_map(|mut line| {
            let operator = match line.remove(0).as_str() {
                "not" => Operator::Not,
                "as" => Operator::As,
                "dare" => Operator::Dare,
                _ => return None,
            };
            Some((operator, line))
        });
        let past = grammar.lines("past").iter().filter_map(|line| line.split_once(' '));
        let sections = [
            "copulas",
            "soft",
            "fillers",
            "adjuncts",
            "adverbial",
            "times",
            "keep-capital",
            "someone",
            "determiners",
            "state",
            "achievement",
            "double",
            "occasional",
        ];
        Self {
            openers: Opener::all(&grammar, "openers"),
            operators: operators.collect(),
            coping: grammar.phrases("coping"),
            adjectives,
            nouns: pairs("nouns"),
            qualities,
            bare_phrases: opposites
                .pairs("bare")
                .iter()
                .map(|pair| (pair.key.to_owned(), pair.values.iter().map(|value| words(value)).collect()))
                .collect(),
            tails: grammar.phrases("tails"),
            reasons: grammar
                .words("reasons")
                .iter()
                .map(|word| word.split('-').map(str::to_owned).collect())
                .collect(),
            sets: sections.into_iter().map(|name| (name, grammar.words(name))).collect(),
            known_verbs,
            past: past.map(|(past, base)| (past.to_owned(), base.to_owned())).collect(),
            participles: grammar.words("participles"),
            verbs,
            good_adjectives,
        }
    }

    pub(super) fn is(&self, set: &str, word: &str) -> bool {
        self.sets.get(set).is_some_and(|words| words.contains(word))
    }

    /// Whether a base form is a verb of the lists.
    pub(in super::super) fn is_verb(&self, word: &str) -> bool {
        self.known_verbs.contains(word)
    }

    pub(super) fn soft(&self, word: &str) -> bool {
        self.is("soft", word)
    }

    /// The base of a form that ends in -ed, when the lists have it.
    pub(in super::super) fn base_of_ed(&self, word: &str) -> Option<String> {
        let stem = word.strip_suffix("ed")?;
        let y = stem.strip_suffix('i').map(|rest| format!("{rest}y"));
        [Some(stem.to_owned()), Some(format!("{stem}e")), undoubled(stem), y]
            .into_iter()
            .flatten()
            .find(|base| self.is_verb(base))
    }

    /// The base of a form that ends in -ing; a guess when the lists do not have it.
    pub(super) fn base_of_ing(&self, word: &str) -> Option<(String, bool)> {
        let stem = word.strip_suffix("ing").filter(|stem| stem.len() >= 2)?;
        let ie = stem.strip_suffix('y').map(|rest| format!("{rest}ie"));
        let candidates = [Some(format!("{stem}e")), Some(stem.to_owned()), undoubled(stem), ie];
        if let Some(base) = candidates.into_iter().flatten().find(|base| self.is_verb(base)) {
            return Some((base, true));
        }
        if !stem.contains(|c: char| "aeiouy".contains(c)) {
            return None;
        }
        let guess = match undoubled(stem) {
            Some(single) if !stem.ends_with("ll") && !stem.ends_with("ss") && !stem.ends_with("zz") => single,
            _ if stem.ends_with(['v', 'z', 'c', 'u']) || stem.ends_with("dg") || stem.ends_with("rs") => {
                format!("{stem}e")
            }
            _ => stem.to_owned(),
        };
        Some((guess, false))
    }

    /// The -ing form of a base form.
    pub(super) fn ing(&self, base: &str) -> String {
        if base == "be" {
            return "being".to_owned();
        }
        if let Some(rest) = base.strip_suffix("ie") {
            return format!("{rest}ying");
        }
        if self.is("double", base) {
            let last: String = base.chars().next_back().into_iter().collect();
            return format!("{base}{last}ing");
        }
        match base.strip_suffix('e') {
            Some(rest) if !base.ends_with("ee") && !base.ends_with("oe") && !base.ends_with("ye") => {
                format!("{rest}ing")
            }
            _ => format!("{base}ing"),
        }
    }
}

/// `stopp` → `stop`.
pub(super) fn undoubled(stem: &str) -> Option<String> {
    let mut chars = stem.chars().rev();
    let (last, before) = (chars.next()?, chars.next()?);
    (last == before && !"aeiou".contains(last)).then(|| stem.strip_suffix(last).unwrap_or(stem).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::affirmations::builtin::checks;
    use crate::agents::affirmations::builtin::lexicon::Kind;
    use crate::agents::affirmations::builtin::text::join;
    use crate::retrieval::Language;

    #[test]
    fn every_opposite_is_good_and_can_be_said() {
        let values = ENGLISH.verbs.iter().chain(&ENGLISH.nouns).flat_map(|opposite| &opposite.values);
        let bare = ENGLISH.bare_phrases.values().flatten();
        for value in values.chain(bare) {
            let text = join(value).replace("{x}", "music");
            let phrase: Words = text.split(' ').map(str::to_owned).collect();
            assert!(ENGLISH.is_verb(&phrase[0]), "{text} does not begin with a known verb");
            let cores =
                ENGLISH.affirmed(phrase, Kind::Turned).unwrap_or_else(|reason| panic!("{text}: {reason}"));
            let line = format!("I {}", cores[0].slots["fin"]);
            assert!(checks::Checks::of(&line, Language::English).pass(20), "{line}");
        }
        for value in ENGLISH.adjectives.iter().flat_map(|opposite| &opposite.values) {
            let text = join(value).replace("{x}", "music");
            assert_eq!(checks::negative_word(&text, Language::English), None, "{text}");
        }
    }

    #[test]
    fn what_is_taken_over_was_taken_first() {
        for opposite in ENGLISH.verbs.iter().chain(&ENGLISH.adjectives) {
            let takes = opposite.key.iter().any(|slot| slot.is("{x}"));
            for value in &opposite.values {
                let gives = value.iter().any(|word| word == "{x}");
                assert!(takes || !gives, "{}", join(value));
            }
        }
        assert!(ENGLISH.verbs.len() > 200 && ENGLISH.adjectives.len() > 50 && ENGLISH.nouns.len() > 60);
    }

    #[test]
    fn verbs_take_ing_and_give_it_back() {
        for (base, ing) in [
            ("write", "writing"),
            ("run", "running"),
            ("be", "being"),
            ("see", "seeing"),
            ("lie", "lying"),
            ("study", "studying"),
            ("sleep", "sleeping"),
            ("stop", "stopping"),
            ("visit", "visiting"),
        ] {
            assert_eq!(ENGLISH.ing(base), ing);
            assert_eq!(ENGLISH.base_of_ing(ing), Some((base.to_owned(), true)), "{ing}");
        }
        assert_eq!(ENGLISH.base_of_ing("blorking"), Some(("blork".to_owned(), false)));
        assert_eq!(ENGLISH.base_of_ing("thing").map(|(_, known)| known), None);
        for base in &ENGLISH.known_verbs {
            let ing = ENGLISH.ing(base);
            assert!(
                ENGLISH.base_of_ing(&ing).is_some_and(|(back, _)| ENGLISH.ing(&back) == ing),
                "{base}: {ing}"
            );
        }
    }
}
