//! Verb phrases: what the user says they want, fear or cannot do, taken apart, and said in the affirmed present.

use std::collections::BTreeMap;

use super::super::Reason;
use super::super::checks;
use super::super::core::{Aspect, Core, Read, Shape, gather};
use super::super::lexicon::{Kind, after_prefix};
use super::super::text::{COMMA, Words, head_of, join, low_at, lower, lows, tail_of, word_at, words_of};
use super::DEPTH;
use super::lists::{English, Operator};
use crate::retrieval::Language;

impl English {
    /// A verb phrase in its base form, as the user says it.
    pub(super) fn verb_phrase(&self, phrase: Words, kind: Kind, depth: u8) -> Read {
        let mut phrase = phrase;
        let mut kind = kind;
        let mut turn = false;
        let soft = |word: &str| self.soft(word) && word != "too";
        // Operators, the outermost first.
        for _ in 0..DEPTH {
            let low = lows(&phrase);
            if self.flagged(&low, &phrase).is_some() && !low.starts_with(&["stop".to_owned()]) {
                break;
            }
            let found = self.operators.iter().find_map(|(operator, words)| {
                let at = after_prefix(&low, words, &soft)?;
                let next = low_at(&phrase, at);
                let ing = self.base_of_ing(&next);
                let last = words.last().map(String::as_str).unwrap_or_default();
                let gerund = matches!(
                    last,
                    "stop"
                        | "quit"
                        | "cease"
                        | "up"
                        | "avoid"
                        | "from"
                        | "of"
                        | "start"
                        | "begin"
                        | "habit"
                        | "used"
                        | "away"
                        | "keep"
                        | "on"
                );
                match (gerund || last == "to" && words.len() > 2, ing) {
                    (_, Some((base, known))) if known || gerund => {
                        Some((*operator, [vec![base], tail_of(&phrase, at + 1).to_vec()].concat()))
                    }
                    (true, _) if gerund => None,
                    _ => (at < phrase.len()).then(|| (*operator, tail_of(&phrase, at).to_vec())),
                }
            });
            let Some((operator, rest)) = found else { break };
            // "I keep comparing" is a complaint, "I want to keep running" is none.
            if low.first().is_some_and(|word| word == "keep") && kind != Kind::State {
                break;
            }
            match operator {
                Operator::Not => turn = !turn,
                Operator::As => {}
                Operator::Dare => kind = Kind::Fear,
            }
            phrase = rest;
        }
        let clause = Self::take_clause(&mut phrase);
        let (degree, deficit) = Self::take_degree(&mut phrase, turn);
        turn ^= degree;
        // What the user has too little of is what they want.
        if deficit && kind == Kind::State {
            kind = Kind::Struggle;
        }
        self.take_tails(&mut phrase);
        phrase.extend(clause);
        if phrase.is_empty() {
            return Err(Reason::Unread);
        }
        let low = lows(&phrase);
        let said = join(&phrase);
        let flagged = self.flagged(&low, &phrase).is_some();
        let bad = checks::negative_word(&said, Language::English);
        let complaint = kind == Kind::State && self.adjective_opposites(&phrase).is_some();
        if !turn
            && !flagged
            && !complaint
            && bad.is_none()
            && low.first().is_none_or(|word| word != "be" || !self.needs_turning(&phrase))
        {
            if kind == Kind::State && !self.says_something_good(&low) {
                return Err(Reason::NoWish);
            }
            return self.affirmed(phrase, kind);
        }
        if !turn
            && !flagged
            && let Some(at) = low.iter().position(|word| word == "without").filter(|at| *at > 0)
            && checks::negative_word(&join(head_of(&phrase, at)), Language::English).is_none()
        {
            let fear = tail_of(&low, at)
                .iter()
                .any(|word| matches!(word.as_str(), "fear" | "fears" | "anxiety" | "afraid" | "panic"));
            return self.affirmed(head_of(&phrase, at).to_vec(), if fear { Kind::Fear } else { kind });
        }
        // "forgive myself for my mistakes": what comes before "for" says enough.
        if !turn
            && !flagged
            && let Some(at) = low.iter().position(|word| word == "for").filter(|at| *at > 1)
            && checks::negative_word(&join(head_of(&phrase, at)), Language::English).is_none()
        {
            return self.affirmed(head_of(&phrase, at).to_vec(), kind);
        }
        let all = turn || matches!(kind, Kind::State | Kind::Fear);
        self.turned(&phrase, all, depth)
    }

    /// Whether "be …" has a bad adjective that is no bad word by itself ("be too busy").
    pub(super) fn needs_turning(&self, phrase: &Words) -> bool {
        let low = lows(phrase);
        low.iter().any(|word| word == "too") && self.adjective_opposites(phrase).is_some()
    }

    pub(super) fn says_something_good(&self, low: &Words) -> bool {
        let good_verb = matches!(
            low.first().map(String::as_str),
            Some(
                "trust"
                    | "love"
                    | "believe"
                    | "enjoy"
                    | "value"
                    | "respect"
                    | "accept"
                    | "appreciate"
                    | "deserve"
            )
        );
        let copula = low.first().is_some_and(|word| self.is("copulas", word));
        let adjective = low.iter().skip(1).any(|word| {
            self.good_adjectives.contains(word)
                || matches!(word.as_str(), "good" | "great" | "happy" | "well" | "wonderful")
        });
        good_verb || (copula && adjective)
    }

    /// Takes the clause of time off a phrase; what there is of it to be kept.
    pub(super) fn take_clause(phrase: &mut Words) -> Words {
        let low = lows(phrase);
        let aside = |at: usize| {
            word_at(&low, at) == COMMA
                && low.get(at + 1).is_some_and(|word| {
                    matches!(
                        word.as_str(),
                        "even" | "especially" | "particularly" | "mostly" | "mainly" | "like" | "which"
                    )
                })
        };
        if let Some(at) = (1..low.len()).find(|at| aside(*at)) {
            phrase.truncate(at);
        }
        let low = lows(phrase);
        let begins = |at: &usize| {
            matches!(word_at(&low, *at), "when" | "whenever" | "while" | "if" | "before" | "after" | "until")
        };
        let Some(at) = (1..low.len()).find(begins) else { return Words::new() };
        let clause = phrase.split_off(at);
        while phrase.last().is_some_and(|word| word == COMMA) {
            phrase.pop();
        }
        let too = lows(&clause).iter().any(|word| word == "too");
        if too
            || word_at(&low, at) == "if"
            || checks::negative_word(&join(&clause), Language::English).is_some()
        {
            Words::new()
        } else {
            clause
        }
    }

    /// Takes "less", "too much" and the like out of a phrase: whether they turn it round, and whether something was too little.
    pub(super) fn take_degree(phrase: &mut Words, turned: bool) -> (bool, bool) {
        let low = lows(phrase);
        let (mut turn, mut deficit) = (false, false);
        let mut kept = Words::new();
        let mut at = 0;
        while let Some(word) = low.get(at) {
            let next = low.get(at + 1).map(String::as_str).unwrap_or_default();
            match (word.as_str(), next) {
                ("less" | "fewer", _) => turn = true,
                ("too", "much" | "many" | "often") => {
                    turn = true;
                    at += 1;
                }
                ("too", "little" | "few") => {
                    deficit = true;
                    kept.push("enough".to_owned());
                    at += 1;
                }
                ("so" | "as" | "that", "much" | "many" | "often") | ("any", "more") => at += 1,
                ("anymore", _) => {}
                ("much" | "many" | "often", _) if turned => {}
                _ => kept.push(phrase[at].clone()),
            }
            at += 1;
        }
        *phrase = kept;
        (turn, deficit)
    }

    pub(super) fn take_tails(&self, phrase: &mut Words) {
        loop {
            let low = lows(phrase);
            let ends = |tail: &&Words| {
                low.len() > tail.len()
                    && low.ends_with(tail)
                    && word_at(&low, low.len() - tail.len() - 1) != "more"
            };
            let Some(tail) = self.tails.iter().find(ends) else { return };
            phrase.truncate(phrase.len() - tail.len());
            while phrase.last().is_some_and(|word| word == COMMA) {
                phrase.pop();
            }
        }
    }

    pub(super) fn timed(&self, low: &[String]) -> bool {
        low.iter().any(|word| self.is("times", word))
    }

    /// The forms of a good phrase.
    pub(super) fn affirmed(&self, phrase: Words, kind: Kind) -> Read {
        match self.bare_phrases.get(&join(&lows(&phrase))) {
            Some(fuller) => gather(fuller.iter().map(|phrase| self.formed(phrase.clone(), kind))),
            None => self.formed(phrase, kind),
        }
    }

    pub(super) fn formed(&self, phrase: Words, kind: Kind) -> Read {
        let mut phrase = phrase;
        while phrase.last().is_some_and(|word| {
            word == COMMA || matches!(lower(word).as_str(), "and" | "or" | "to" | "the" | "a")
        }) {
            phrase.pop();
        }
        let low = lows(&phrase);
        if let Some(word) = checks::negative_word(&join(&phrase), Language::English) {
            return Err(Reason::NegativeLeft { word });
        }
        let Some(head) = low
            .iter()
            .position(|word| !(self.is("adverbial", word) || word.ends_with("ly") && !self.is_verb(word)))
        else {
            return Err(Reason::Unread);
        };
        let verb = word_at(&low, head).to_owned();
        if verb.len() < 2
            || !verb.chars().all(|c| c.is_alphabetic() || c == '-')
            || self.is("determiners", &verb)
            || self.is("someone", &verb)
            || self.soft(&verb)
        {
            return Err(Reason::Unread);
        }
        let (before, after) = (head_of(&phrase, head).to_vec(), tail_of(&phrase, head + 1).to_vec());
        let next = low_at(&phrase, head + 1);
        let once = self.is("achievement", &verb)
            && !low.iter().any(|word| word == "away")
            && matches!(next.as_str(), "a" | "an" | "my" | "the");
        let aspect = if once {
            Aspect::End
        } else if self.is("state", &verb) {
            Aspect::Be
        } else {
            Aspect::Act
        };
        let fin = if verb == "be" {
            [words_of("am"), before, after.clone()].concat()
        } else if once || verb == "become" {
            [words_of("am"), before, vec![self.ing(&verb)], after.clone()].concat()
        } else {
            [before, vec![verb.clone()], after.clone()].concat()
        };
        let mut cores = vec![Core {
            kind,
            shape: Shape::Verb,
            aspect,
            timed: self.timed(&low) || self.is("occasional", &verb),
            verbal: !matches!(verb.as_str(), "be" | "have" | "love" | "know"),
            lemmas: vec![verb.clone()],
            words: phrase.len(),
            slots: BTreeMap::from([("fin", join(&fin)), ("inf", join(&phrase))]),
        }];
        if verb == "become"
            && let Ok(more) = self.affirmed([words_of("be"), after].concat(), kind)
        {
            cores.extend(more);
        }
        Ok(cores)
    }
}
