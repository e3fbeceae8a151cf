//! Goals that are noun phrases.

use super::super::core::{Core, Read, gather};
use super::super::lexicon::Kind;
use super::super::text::{COMMA, Words, head_of, join, low_at, lower, lows, tail_of, word_at, words_of};
use super::super::{Reason, checks, keywords};
use super::DEPTH;
use super::lists::English;
use crate::retrieval::Language;

/// What may stand before a noun phrase: the words, whether they turn it round, whether they say that it is missing.
const MARKERS: [(&[&str], bool, bool); 11] = [
    (&["too", "much"], true, false),
    (&["too", "many"], true, false),
    (&["so", "much"], true, false),
    (&["less"], true, false),
    (&["fewer"], true, false),
    (&["without"], true, false),
    (&["no", "more"], true, false),
    (&["no"], true, true),
    (&["not", "enough"], false, true),
    (&["too", "little"], false, true),
    (&["lack", "of"], false, true),
];

impl English {
    /// A goal that is a noun phrase; `opened` when a beginning such as "I want" says what it is wanted for.
    pub(super) fn noun_phrase(&self, np: &Words, kind: Kind, opened: bool) -> Read {
        let mut np = np.clone();
        let low = lows(&np);
        let marker = MARKERS
            .iter()
            .find(|(words, ..)| low.iter().map(String::as_str).take(words.len()).eq(words.iter().copied()));
        let (marked, turn, lacking) =
            marker.map_or((0, false, false), |(words, turn, lacking)| (words.len(), *turn, *lacking));
        np.drain(..marked);
        self.take_tails(&mut np);
        if np.is_empty() {
            return Err(Reason::Unread);
        }
        let have = [words_of("have"), np.clone()].concat();
        let bad = checks::negative_word(&join(&np), Language::English);
        if turn || bad.is_some() {
            return match self.turned(&have, true, DEPTH) {
                Err(_) if lacking && bad.is_none() => self.affirmed(have, Kind::Struggle),
                read => read,
            };
        }
        if lacking {
            return self.affirmed(have, Kind::Struggle);
        }
        let low = lows(&np);
        if !opened && let Some(reason) = self.says_too_little(&np, &low) {
            return Err(reason);
        }
        // "calmer", "more patient": an adjective by itself is what I want to be.
        if self.is_adjective_phrase(&low) {
            return self.affirmed([words_of("be"), np].concat(), kind);
        }
        // "more courage to speak": the doing is the goal.
        if let Some(to) = low.iter().position(|word| word == "to")
            && let Some(noun) = to.checked_sub(1).and_then(|at| low.get(at))
            && low.get(to + 1).is_some_and(|verb| self.is_verb(verb))
        {
            let brave = matches!(noun.as_str(), "courage" | "confidence" | "bravery" | "self-confidence");
            return self.verb_phrase(
                tail_of(&np, to + 1).to_vec(),
                if brave { Kind::Fear } else { kind },
                DEPTH,
            );
        }
        self.wished_for(np, &low, kind)
    }

    /// Why a bare noun phrase is no goal, if it is none.
    fn says_too_little(&self, np: &Words, low: &Words) -> Option<Reason> {
        let is_verb = |word: &str| self.is_verb(word);
        let acts = |word: &str| {
            word.strip_suffix('s')
                .is_some_and(|base| is_verb(base) || base.strip_suffix('e').is_some_and(is_verb))
        };
        let first = low.first()?.as_str();
        if matches!(first, "my" | "the")
            && let Some(at) = (2..low.len()).find(|at| acts(word_at(low, *at)))
        {
            let subject: Words =
                head_of(np, at).iter().filter(|word| !self.soft(&lower(word))).cloned().collect();
            return Some(Reason::SomeoneElse { subject: join(&subject) });
        }
        let familiar = |word: &String| {
            let small =
                ["more", "better", "enough", "new", "good", "of", "in", "at", "with", "for", "and", "inner"];
            is_verb(word)
                || self.good_adjectives.contains(word)
                || self.is_quality(word)
                || self.is("determiners", word)
                || self.is("times", word)
                || self.base_of_ing(word).is_some_and(|(_, known)| known)
                || small.contains(&word.as_str())
        };
        if !low.iter().any(familiar) {
            return Some(Reason::Unread);
        }
        if matches!(first, "my" | "the" | "this") {
            return Some(Reason::NoWish);
        }
        (low.len() == 1 && !self.is_quality(first)).then_some(Reason::OneWord)
    }

    fn is_quality(&self, noun: &str) -> bool {
        self.qualities.contains_key(noun) || keywords::english(noun).is_some()
    }

    /// A wished-for noun: as what I am ("more patient"), have, or make room for.
    fn wished_for(&self, np: Words, low: &Words, kind: Kind) -> Read {
        let mut readings: Vec<Read> = Vec::new();
        let head = self.head(low);
        if let Some((at, noun)) = &head
            && let Some(template) = self.qualities.get(noun)
            && !matches!(low_at(&np, at + 1).as_str(), "and" | COMMA)
            && let Some(phrase) = quality_phrase(template, head_of(low, *at), tail_of(&np, at + 1))
        {
            readings.push(self.affirmed(phrase, kind));
        }
        let first = low.first().map(String::as_str).unwrap_or_default();
        let known = head.is_some_and(|(_, noun)| self.is_quality(&noun));
        let quality = !matches!(first, "a" | "an")
            && (known || matches!(first, "more" | "enough" | "inner" | "greater"));
        readings.push(Ok(vec![Core::noun(kind, quality, self.timed(low), "np", &np)]));
        if quality {
            readings.push(self.affirmed([words_of("have"), np].concat(), kind));
        }
        gather(readings)
    }

    pub(super) fn is_adjective_phrase(&self, low: &[String]) -> bool {
        let good = |word: &str| self.good_adjectives.contains(word) && !self.qualities.contains_key(word);
        match low {
            [word] => good(word) || word.strip_suffix("er").is_some_and(good),
            [more, word, ..] if more == "more" => good(word),
            _ => false,
        }
    }

    /// The noun that a phrase is about: the last word before a preposition.
    pub(super) fn head(&self, low: &[String]) -> Option<(usize, String)> {
        let end = low
            .iter()
            .position(|word| {
                self.is("adjuncts", word)
                    || matches!(
                        word.as_str(),
                        "of" | "to" | "for" | "from" | "that" | "about" | "and" | "who" | COMMA
                    )
            })
            .unwrap_or(low.len());
        let at = end.checked_sub(1)?;
        Some((at, word_at(low, at).to_owned()))
    }
}

/// A quality as a verb phrase: "more patience with my kids" → "be more patient with my kids".
pub(super) fn quality_phrase(template: &Words, before: &[String], after: &[String]) -> Option<Words> {
    let mut phrase = Words::new();
    let degree = before.last().map(String::as_str);
    for word in template {
        match word.as_str() {
            "{more}" => match degree {
                None | Some("inner") => {}
                Some("more" | "greater" | "better") => phrase.push("more".to_owned()),
                Some(_) => return None,
            },
            "{well}" | "{much}" => phrase.push(
                match (degree, word.as_str()) {
                    (None | Some("good"), "{well}") => "well",
                    (None | Some("regular"), _) => "regularly",
                    (Some("better"), "{well}") => "better",
                    (Some("healthy"), "{well}") => "healthily",
                    (Some("healthier"), "{well}") => "more healthily",
                    (Some("more"), _) => "more",
                    (Some("enough"), _) => "enough",
                    (Some("deep" | "deeper"), "{well}") => "deeply",
                    (Some("restful"), "{well}") => "restfully",
                    (Some("daily"), _) => "every day",
                    _ => return None,
                }
                .to_owned(),
            ),
            other => phrase.push(other.to_owned()),
        }
    }
    phrase.extend(after.iter().cloned());
    Some(phrase)
}
