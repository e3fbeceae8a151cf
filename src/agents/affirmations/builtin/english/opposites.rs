//! Looking up what a struggle is turned into.

use super::super::Reason;
use super::super::checks;
use super::super::core::{Read, gather};
use super::super::lexicon::{Kind, Slot};
use super::super::text::{COMMA, Words, between, join, low_at, lower, lows, tail_of, word_at, words_of};
use super::lists::{English, Opposite};
use crate::retrieval::Language;

impl English {
    /// Whether a phrase is a struggle by itself.
    pub(super) fn flagged(&self, low: &Words, phrase: &Words) -> Option<()> {
        let (low, phrase) = self.bare(low, phrase);
        self.verbs.iter().filter(|opposite| opposite.struggle).find_map(|opposite| {
            let found = matches(&opposite.key, &low, &phrase)?;
            self.kept(found).map(|_| ())
        })
    }

    /// Without adverbs of degree and frequency.
    pub(super) fn bare(&self, low: &Words, phrase: &Words) -> (Words, Words) {
        let keep = |at: &usize| {
            let word = word_at(low, *at);
            // "so" may be a link inside a clause; adverbs beyond the first clause are left alone.
            !(self.soft(word) || *at == 0 && word.ends_with("ly") && low.len() > 1)
        };
        let kept: Vec<usize> = (0..low.len()).filter(keep).collect();
        (
            kept.iter().map(|at| word_at(low, *at).to_owned()).collect(),
            kept.iter().map(|at| word_at(phrase, *at).to_owned()).collect(),
        )
    }

    /// Whether what remains beside an opposite can stand there.
    pub(super) fn fits(&self, rest: &[String]) -> bool {
        rest.first().is_none_or(|word| self.is("adjuncts", &lower(word))) && low_at(rest, 1) != "front"
    }

    /// What remains is dropped when it says before whom.
    pub(super) fn kept(&self, found: Found) -> Option<Found> {
        if low_at(&found.rest, 0) == "in" && low_at(&found.rest, 1) == "front" {
            return Some(Found { rest: Words::new(), ..found });
        }
        self.fits(&found.rest).then_some(found)
    }

    /// The opposite of a phrase: by all patterns, or by those alone that are struggles by themselves ("I want to lose weight" is no wish
    /// to keep it).
    pub(super) fn turned(&self, phrase: &Words, all: bool, depth: u8) -> Read {
        let said = join(phrase);
        if depth == 0 {
            return Err(Reason::NoOpposite { phrase: said });
        }
        let (low, bare) = self.bare(&lows(phrase), phrase);
        let mut captured = None;
        let mut phrases: Vec<Words> = Vec::new();
        if let Some((opposite, found)) = self.best_verb(&low, &bare, all) {
            for value in &opposite.values {
                let mut words = Words::new();
                for word in value {
                    if word == "{x}" {
                        words.extend(found.x.iter().cloned());
                    } else {
                        words.push(word.clone());
                    }
                }
                words.extend(found.rest.iter().cloned());
                phrases.push(words);
            }
            captured = Some(found.x.clone());
        } else if let Some(found) = self.adjective_opposites(&bare) {
            phrases = found;
        } else if let Some((rest, np)) = self.coped(&low, &bare) {
            let bare: Words =
                np.iter().filter(|word| !self.is("determiners", &lower(word))).cloned().collect();
            let have = [words_of("have"), bare].concat();
            if rest != ["have"] && self.flagged(&lows(&have), &have).is_some() {
                return self.turned(&have, all, depth - 1);
            }
            if let Some(found) = self.opposite_of_noun(&np) {
                phrases = found;
            } else if rest != ["have"] {
                return self.turned(&[words_of("have"), np].concat(), all, depth - 1);
            }
        }
        if phrases.is_empty() {
            return Err(Reason::NoOpposite { phrase: said });
        }
        let is_good = |words: &Words| checks::negative_word(&join(words), Language::English).is_none();
        if phrases.iter().any(is_good) {
            return gather(
                phrases.into_iter().filter(is_good).map(|words| self.affirmed(words, Kind::Turned)),
            );
        }
        // What was taken over is a struggle too: "afraid of failing", "worry about my debts".
        let x = captured.unwrap_or_default();
        if let Some((base, known)) = self.base_of_ing(&low_at(&x, 0))
            && known
        {
            return self.turned(&[vec![base], tail_of(&x, 1).to_vec()].concat(), true, depth - 1);
        }
        if x.is_empty() {
            return Err(Reason::NegativeLeft {
                word: checks::negative_word(&said, Language::English).unwrap_or(said),
            });
        }
        self.turned(&[words_of("have"), x].concat(), true, depth - 1)
    }

    pub(super) fn best_verb(&self, low: &Words, phrase: &Words, all: bool) -> Option<(&Opposite, Found)> {
        let found = self.verbs.iter().filter(|opposite| all || opposite.struggle).filter_map(|opposite| {
            let found = matches(&opposite.key, low, phrase)?;
            Some((opposite, self.kept(found)?))
        });
        // The more words a pattern has, the better it fits; the first of equals.
        found.reduce(|best, next| if next.1.score > best.1.score { next } else { best })
    }

    pub(super) fn adjective_opposites(&self, phrase: &Words) -> Option<Vec<Words>> {
        let low = lows(phrase);
        let verb = low.first().filter(|word| self.is("copulas", word))?;
        let keep: Vec<usize> = (1..low.len())
            .filter(|at| !self.soft(word_at(&low, *at)) && word_at(&low, *at) != "more")
            .collect();
        let rest: Words = keep.iter().map(|at| word_at(phrase, *at).to_owned()).collect();
        let rest_low = lows(&rest);
        let copula = match verb.as_str() {
            "be" => "be",
            "feel" => "feel",
            _ => "stay",
        };
        let found = best(&self.adjectives, &rest_low, &rest).or_else(|| {
            // "tired and unmotivated": the second will do.
            let at = rest_low.iter().position(|word| word == "and" || word == COMMA)?;
            best(&self.adjectives, tail_of(&rest_low, at + 1), tail_of(&rest, at + 1))
        });
        let (values, x, leftover): (Vec<Words>, Words, Words) = if let Some((opposite, x, leftover)) = found {
            (opposite.values.clone(), x, leftover)
        } else {
            let word = rest_low.first()?;
            let base = ["un", "in", "im", "dis"].iter().find_map(|prefix| word.strip_prefix(prefix))?;
            self.good_adjectives
                .contains(base)
                .then(|| (vec![words_of(base)], Words::new(), tail_of(&rest, 1).to_vec()))?
        };
        let leftover_kept = match leftover.first().map(|word| lower(word)).as_deref() {
            Some("about" | "with") => leftover,
            Some(word) if self.is("adjuncts", word) => leftover,
            None | Some("by" | "of" | "that" | "and" | "to" | "from" | COMMA | "for") => Words::new(),
            Some(_) => return None,
        };
        let kept_good = checks::negative_word(&join(&leftover_kept), Language::English).is_none();
        let leftover = if kept_good { leftover_kept } else { Words::new() };
        let fill = |value: &Words| {
            let value =
                value.iter().flat_map(|word| if word == "{x}" { x.clone() } else { vec![word.clone()] });
            [words_of(copula), value.collect(), leftover.clone()].concat()
        };
        Some(values.iter().map(fill).collect())
    }

    /// A phrase that does something with a struggle: the words of doing, and the noun phrase.
    pub(super) fn coped(&self, low: &Words, phrase: &Words) -> Option<(Words, Words)> {
        let coping = self.coping.iter().find(|words| low.len() > words.len() && low.starts_with(words))?;
        Some((coping.clone(), tail_of(phrase, coping.len()).to_vec()))
    }

    /// What a noun that names a struggle is turned into, with what says where or when.
    pub(super) fn opposite_of_noun(&self, np: &[String]) -> Option<Vec<Words>> {
        let keep: Vec<&String> = np
            .iter()
            .filter(|word| {
                let low = lower(word);
                !(self.soft(&low)
                    || self.is("determiners", &low)
                    || matches!(
                        low.as_str(),
                        "much" | "many" | "more" | "no" | "less" | "fewer" | "better" | "well"
                    ))
            })
            .collect();
        let np: Words = keep.into_iter().cloned().collect();
        let low = lows(&np);
        let mut best: Option<(usize, &Opposite, Words)> = None;
        for opposite in &self.nouns {
            // The noun that the phrase is about stands before "at work" and the like.
            let end = low.iter().position(|word| self.is("adjuncts", word)).unwrap_or(low.len());
            for at in 0..end.min(6) {
                let Some(found) = matches(&opposite.key, tail_of(&low, at), tail_of(&np, at)) else {
                    continue;
                };
                // A head noun ends its phrase, or something like "at work" follows.
                if !self.fits(&found.rest)
                    && !found
                        .rest
                        .first()
                        .is_some_and(|word| matches!(lower(word).as_str(), "of" | "about" | "to" | "from"))
                {
                    continue;
                }
                if best.as_ref().is_none_or(|(score, ..)| found.score > *score) {
                    let rest = if self.fits(&found.rest) { found.rest } else { Words::new() };
                    best = Some((found.score, opposite, rest));
                }
            }
        }
        let (_, opposite, rest) = best?;
        let good = checks::negative_word(&join(&rest), Language::English).is_none();
        let rest = if good { rest } else { Words::new() };
        Some(opposite.values.iter().map(|value| [value.clone(), rest.clone()].concat()).collect())
    }
}

/// What a pattern took.
pub(super) struct Found {
    /// What `{x}` stands for.
    pub(super) x: Words,
    /// What follows the pattern.
    pub(super) rest: Words,
    /// How many words are the pattern's own, doubled; one more when nothing is left over.
    pub(super) score: usize,
}

/// Matches a pattern from the first word on. `{x}` takes everything up to the pattern's next word, or to the end.
pub(super) fn matches(key: &[Slot], low: &[String], phrase: &[String]) -> Option<Found> {
    let mut at = 0;
    let mut own = 0;
    for (index, slot) in key.iter().enumerate() {
        if slot.is("{x}") {
            let after = key.get(index + 1..).unwrap_or_default();
            if after.is_empty() {
                let x = phrase.get(at..).filter(|x| !x.is_empty())?.to_vec();
                return Some(Found { x, rest: Words::new(), score: 2 * own });
            }
            // "put {x} off": up to the next own word.
            return (at + 1..low.len()).find_map(|end| {
                let found = matches(after, tail_of(low, end), tail_of(phrase, end))?;
                Some(Found {
                    x: between(phrase, at, end).to_vec(),
                    rest: found.rest,
                    score: found.score + 2 * own,
                })
            });
        }
        if low.get(at).is_some_and(|word| slot.takes(word)) {
            at += 1;
            own += 1;
        } else if !slot.optional {
            return None;
        }
    }
    let rest = phrase.get(at..)?.to_vec();
    let score = 2 * own + usize::from(rest.is_empty());
    (own > 0).then_some(Found { x: Words::new(), rest, score })
}

/// The best pattern for the beginning of a phrase: itself, what `{x}` took, what is left over.
pub(super) fn best<'o>(
    all: &'o [Opposite],
    low: &[String],
    phrase: &[String],
) -> Option<(&'o Opposite, Words, Words)> {
    let found =
        all.iter().filter_map(|opposite| matches(&opposite.key, low, phrase).map(|found| (opposite, found)));
    let (opposite, found) =
        found.reduce(|best, next| if next.1.score > best.1.score { next } else { best })?;
    Some((opposite, found.x, found.rest))
}
