//! Reading an English goal and saying it in the affirmed present.
//!
//! English needs little grammar here: the first person of the present is the base form (but for "be"), so that a goal
//! comes to a verb phrase in its base form. The beginning of the goal ("I want to", "I'm afraid of") says what the
//! phrase is to the writer; operators inside ("stop", "not", "learn to") turn it round or leave it; what has to be
//! turned round, or has a struggling word in it, is looked up among the opposites.

mod lists;
mod nouns;
mod opposites;
mod phrase;

use std::collections::BTreeMap;

use super::core::{Core, Read, gather};
use super::lexicon::{Kind, Opener, after_prefix};
use super::text::{
    self, COMMA, Words, between, head_of, join, low_at, lower, lows, tail_of, word_at, words_of,
};
use super::{Reason, checks};
use crate::retrieval::Language;

pub(super) use self::lists::ENGLISH;
use self::lists::English;
use self::opposites::{best, matches};

/// How often a phrase may lead to another one inside it.
const DEPTH: u8 = 4;

/// Reads one sentence of a goal.
pub(super) fn read(sentence: &[String]) -> Read {
    let english = &*ENGLISH;
    let mut words = english.plain(sentence);
    english.trim(&mut words);
    if words.is_empty() {
        return Err(Reason::Unread);
    }
    let readings = english.coordinated(&words);
    gather(readings.into_iter().map(|words| english.sentence(&words)))
}

impl English {
    /// Contractions written out, the first word without its capital unless it always has one.
    pub(super) fn plain(&self, sentence: &[String]) -> Words {
        let mut words: Words = sentence.to_vec();
        text::calm(&mut words);
        let mut out = Words::new();
        for (at, word) in words.into_iter().enumerate() {
            let low = lower(&word);
            let inner_capital = word.chars().skip(1).any(char::is_uppercase);
            let keep = self.is("keep-capital", &low) || inner_capital || (at > 0 && word != low);
            let word = match low.as_str() {
                "i" => "I".to_owned(),
                _ if self.is("keep-capital", &low) && word == low => text::capitalized(&low),
                _ if keep => word,
                _ => low.clone(),
            };
            let pieces: &[&str] = match low.as_str() {
                "i'm" | "im" => &["I", "am"],
                "i've" | "ive" => &["I", "have"],
                "i'd" => &["I", "would"],
                "i'll" => &["I", "will"],
                "can't" | "cant" | "cannot" => &["can", "not"],
                "couldn't" => &["could", "not"],
                "don't" | "dont" => &["do", "not"],
                "doesn't" => &["does", "not"],
                "didn't" => &["did", "not"],
                "won't" => &["will", "not"],
                "isn't" => &["is", "not"],
                "aren't" => &["are", "not"],
                "wasn't" => &["was", "not"],
                "shouldn't" => &["should", "not"],
                "mustn't" => &["must", "not"],
                "haven't" => &["have", "not"],
                "it's" => &["it", "is"],
                "that's" => &["that", "is"],
                "wanna" => &["want", "to"],
                "gonna" => &["going", "to"],
                "gotta" => &["got", "to"],
                "&" => &["and"],
                "alot" => &["a", "lot"],
                _ => &[],
            };
            if pieces.is_empty() {
                out.push(word);
            } else {
                out.extend(pieces.iter().map(|piece| (*piece).to_owned()));
            }
        }
        out
    }

    /// Takes away what leads in and what gives reasons.
    pub(super) fn trim(&self, words: &mut Words) {
        while words.first().is_some_and(|word| word == COMMA || self.is("fillers", &lower(word))) {
            words.remove(0);
        }
        let low = lows(words);
        let cut = (2..low.len()).find(|&at| {
            self.reasons.iter().any(|reason| {
                tail_of(&low, at).starts_with(reason)
                    && !(reason.len() == 1 && word_at(reason, 0) == "but" && at < 3)
            })
        });
        if let Some(at) = cut {
            words.truncate(at);
        }
        while words.last().is_some_and(|word| word == COMMA) {
            words.pop();
        }
    }

    /// The sentence, and once more for each verb phrase that "and" or a comma adds to it.
    pub(super) fn coordinated(&self, words: &Words) -> Vec<Words> {
        let low = lows(words);
        let Some((_, start)) = self.opener(&low) else {
            return self.split(words, 0);
        };
        let head = head_of(words, start).to_vec();
        let rests = self.split(words, start);
        rests
            .into_iter()
            .map(|rest| if rest.starts_with(&head) { rest } else { [head.clone(), rest].concat() })
            .collect()
    }

    /// Cuts at "and" where a verb or another "I" follows.
    pub(super) fn split(&self, words: &Words, start: usize) -> Vec<Words> {
        let low = lows(words);
        let mut parts: Vec<Words> = Vec::new();
        let mut from = 0;
        for at in start + 1..words.len() {
            let joins = matches!(word_at(&low, at), "and" | COMMA);
            let mut next = at + 1;
            while next < low.len()
                && (matches!(word_at(&low, next), "and" | "to" | "then" | "finally")
                    || word_at(&low, next) == COMMA)
            {
                next += 1;
            }
            let Some(word) = low.get(next) else { continue };
            let before = word_at(&low, at - 1);
            let first = low.get(start).map(String::as_str).unwrap_or_default();
            let same_form = if first.ends_with("ing") {
                word.ends_with("ing")
            } else {
                (self.is_verb(word) && self.is_verb(first) || word == "stop" || word == "i")
                    && !self.nouns_have(word, low.get(next + 1))
            };
            let wanted = |word: &str| matches!(word, "more" | "less" | "fewer" | "better" | "no");
            let nouns = wanted(word) && wanted(first);
            if at <= from {
                continue;
            }
            if nouns && joins || joins && same_form && !self.is_verb(before) && next > at {
                parts.push(between(words, from, at).to_vec());
                from = next;
            }
        }
        parts.push(tail_of(words, from).to_vec());
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Whether a word that may be a verb stands alone, as a noun does.
    pub(super) fn nouns_have(&self, word: &str, next: Option<&String>) -> bool {
        next.is_none()
            && (self.qualities.contains_key(word)
                || self.nouns.iter().any(|noun| noun.key.iter().any(|slot| slot.takes(word))))
    }

    pub(super) fn opener(&self, low: &Words) -> Option<(&Opener, usize)> {
        let soft = |word: &str| self.soft(word);
        self.openers.iter().find_map(|opener| {
            let at = after_prefix(low, &opener.words, &soft)?;
            (at < low.len()).then_some((opener, at))
        })
    }

    pub(super) fn sentence(&self, words: &Words) -> Read {
        let low = lows(words);
        if let Some((opener, at)) = self.opener(&low) {
            return self.opened(opener, tail_of(words, at));
        }
        let first = low.first().map(String::as_str).unwrap_or_default();
        if first == "i" {
            return self.statement(tail_of(words, 1));
        }
        if first == "my"
            && let Some(read) = self.mine(words)
        {
            return read;
        }
        if self.is("someone", first) {
            return Err(Reason::SomeoneElse { subject: first.to_owned() });
        }
        let mine = imperative(words);
        if let Some((base, true)) = self.base_of_ing(first)
            && !self.names_struggle(words)
        {
            let phrase = [vec![base], tail_of(&mine, 1).to_vec()].concat();
            return self.verb_phrase(phrase, Kind::Wish, DEPTH);
        }
        let begins_operator = self.operators.iter().any(|(_, words)| low.starts_with(words));
        let verb = self.is_verb(first) && !(words.len() == 1 && self.nouns_have(first, None));
        // "work stress", but not "overcome stress".
        let compound =
            words.len() > 1 && self.names_struggle(words) && !self.coping.contains(&vec![first.to_owned()]);
        if begins_operator || (verb && !compound) {
            return self.verb_phrase(mine, Kind::Wish, DEPTH);
        }
        if let Some(at) = (1..low.len())
            .find(|&at| matches!(word_at(&low, at), "is" | "are" | "was" | "has" | "keeps" | "makes"))
            && at < 5
        {
            return Err(Reason::SomeoneElse { subject: join(head_of(words, at)) });
        }
        self.noun_phrase(&mine, Kind::Wish, false)
    }

    /// Whether the first or second word begins a noun that names a struggle.
    pub(super) fn names_struggle(&self, words: &[String]) -> bool {
        let low = lows(words);
        (0..low.len().min(2)).any(|at| {
            self.nouns.iter().any(|noun| matches(&noun.key, tail_of(&low, at), tail_of(words, at)).is_some())
        })
    }

    pub(super) fn opened(&self, opener: &Opener, rest: &[String]) -> Read {
        let mut rest = rest.to_vec();
        while rest
            .first()
            .is_some_and(|word| word == COMMA || (self.soft(&lower(word)) && lower(word) != "too"))
        {
            rest.remove(0);
        }
        if rest.is_empty() {
            return Err(Reason::Unread);
        }
        let low = lows(&rest);
        let first = low.first().map(String::as_str).unwrap_or_default();
        if matches!(first, "you" | "him" | "her" | "them" | "people" | "someone")
            || (first != "my" && low.get(1).is_some_and(|word| word == "would"))
        {
            return Err(Reason::SomeoneElse { subject: first.to_owned() });
        }
        let kind = opener.kind;
        match opener.follow.as_str() {
            "past" => {
                let base = self
                    .past
                    .get(first)
                    .cloned()
                    .or_else(|| self.base_of_ed(first))
                    .unwrap_or_else(|| first.to_owned());
                if base == "can" {
                    return self.verb_phrase(tail_of(&rest, 1).to_vec(), kind, DEPTH);
                }
                return self.verb_phrase([vec![base], tail_of(&rest, 1).to_vec()].concat(), kind, DEPTH);
            }
            "isnot" => return self.verb_phrase([words_of("be"), rest].concat(), kind, DEPTH),
            _ => {}
        }
        let last = opener.words.last().map(String::as_str).unwrap_or_default();
        let takes_verb = matches!(
            last,
            "to" | "could"
                | "can"
                | "must"
                | "should"
                | "never"
                | "rarely"
                | "hardly"
                | "ever"
                | "barely"
                | "seldom"
                | "not"
                | "will"
                | "dare"
        ) || (last == "i" && opener.words.len() > 2)
            || (last == "me" && self.is_verb(first));
        if takes_verb {
            return self.verb_phrase(rest, kind, DEPTH);
        }
        if let Some((base, known)) = self.base_of_ing(first)
            && (known || rest.len() > 1)
            && !self.names_struggle(&rest)
        {
            return self.verb_phrase([vec![base], tail_of(&rest, 1).to_vec()].concat(), kind, DEPTH);
        }
        match kind {
            Kind::Fear => self.verb_phrase([words_of("be afraid of"), rest].concat(), Kind::State, DEPTH),
            Kind::Struggle => {
                self.verb_phrase([words_of("struggle with"), rest].concat(), Kind::State, DEPTH)
            }
            _ => self.noun_phrase(&rest, kind, true),
        }
    }

    /// "I …": what the user says of themself.
    pub(super) fn statement(&self, rest: &[String]) -> Read {
        let mut rest = rest.to_vec();
        while rest.first().is_some_and(|word| self.soft(&lower(word))) {
            rest.remove(0);
        }
        let first = low_at(&rest, 0);
        let verb_at = |at: usize| -> Option<String> {
            let word = low_at(&rest, at);
            self.past.get(&word).cloned().or_else(|| self.base_of_ed(&word).filter(|_| !self.is_verb(&word)))
        };
        let mut phrase = match first.as_str() {
            "" => return Err(Reason::Unread),
            "am" | "was" => {
                let mut rest: Words = tail_of(&rest, 1).to_vec();
                while rest.first().is_some_and(|word| self.soft(&lower(word)) && lower(word) != "too") {
                    rest.remove(0);
                }
                match self.base_of_ing(&low_at(&rest, 0)) {
                    Some((base, true)) => [vec![base], tail_of(&rest, 1).to_vec()].concat(),
                    _ => [words_of("be"), rest].concat(),
                }
            }
            "have" => {
                let mut at = 1;
                let denied = low_at(&rest, 1) == "not" || low_at(&rest, 1) == "never";
                if denied && let Some(base) = verb_at(2) {
                    return self.verb_phrase(
                        [vec![base], tail_of(&rest, 3).to_vec()].concat(),
                        Kind::Struggle,
                        DEPTH,
                    );
                }
                while self.soft(&low_at(&rest, at)) || low_at(&rest, at) == "been" && rest.len() > at + 1 {
                    at += 1;
                }
                let been = lows(head_of(&rest, at)).iter().any(|word| word == "been");
                match (verb_at(at), self.base_of_ing(&low_at(&rest, at))) {
                    (_, Some((base, true))) if been => [vec![base], tail_of(&rest, at + 1).to_vec()].concat(),
                    _ if been => [words_of("be"), tail_of(&rest, at).to_vec()].concat(),
                    (Some(base), _) => [vec![base], tail_of(&rest, at + 1).to_vec()].concat(),
                    _ => rest.clone(),
                }
            }
            _ => match verb_at(0) {
                Some(base) => [vec![base], tail_of(&rest, 1).to_vec()].concat(),
                None => rest.clone(),
            },
        };
        if phrase.iter().any(|word| word == COMMA) {
            let at = phrase.iter().position(|word| word == COMMA).unwrap_or(phrase.len());
            phrase.truncate(at);
        }
        self.verb_phrase(phrase, Kind::State, DEPTH)
    }

    /// "My desk is messy".
    pub(super) fn mine(&self, words: &Words) -> Option<Read> {
        let low = lows(words);
        let at = (1..low.len()).find(|&at| {
            matches!(word_at(&low, at), "is" | "are" | "feels" | "feel" | "looks" | "seems" | "was")
        })?;
        let (subject, rest) = (head_of(words, at), tail_of(words, at + 1));
        let verb = if word_at(&low, at) == "was" { "is" } else { word_at(&low, at) };
        let rest: Words = rest.iter().filter(|word| !self.soft(&lower(word))).cloned().collect();
        let negated = rest.first().is_some_and(|word| matches!(lower(word).as_str(), "not" | "never"));
        let predicates: Vec<Words> =
            if negated { vec![tail_of(&rest, 1).to_vec()] } else { self.good_predicates(&rest)? };
        let subject_bad = checks::negative_word(&join(subject), Language::English);
        if let Some(word) = subject_bad {
            return Some(Err(Reason::NegativeLeft { word }));
        }
        let cores = predicates.into_iter().map(|predicate| {
            let words = [subject.to_vec(), words_of(verb), predicate].concat();
            let whole = join(&words);
            Ok(vec![Core::whole(BTreeMap::from([("whole", whole)]))])
        });
        Some(gather(cores))
    }

    pub(super) fn good_predicates(&self, rest: &Words) -> Option<Vec<Words>> {
        let low = lows(rest);
        let (opposite, _, leftover) = best(&self.adjectives, &low, rest)?;
        leftover.is_empty().then(|| opposite.values.clone())
    }
}

/// A user who speaks to themself means themself.
pub(super) fn imperative(words: &Words) -> Words {
    words
        .iter()
        .map(|word| match lower(word).as_str() {
            "your" => "my".to_owned(),
            "yourself" => "myself".to_owned(),
            "you" => "me".to_owned(),
            _ => word.clone(),
        })
        .collect()
}
