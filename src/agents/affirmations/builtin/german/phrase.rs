//! Verb phrases: infinitives with what belongs to them, taken apart, and said in the affirmed present.

use std::collections::BTreeMap;

use super::super::core::{Aspect, Core, Read, Shape, gather};
use super::super::lexicon::Kind;
use super::super::text::{
    COMMA, Words, has_capital, head_of, join, low_at, lower, lows, tail_of, word_at, words_of,
};
use super::super::{Reason, checks};
use super::lists::{German, Operator, Phrase};
use super::words::{Chunk, Gender, Part, Verb, WORDS};
use super::{DEPTH, good, is_small};
use crate::retrieval::Language;

impl German {
    /// Infinitive phrases that words can be read as, each with whether an operator turned it round and made it another kind;
    /// `None` when the words do not end in a verb.
    pub(super) fn infinitive(&self, words: &[String]) -> Option<Vec<(Phrase, bool, Option<Kind>)>> {
        self.infinitive_within(words, DEPTH)
    }

    pub(super) fn infinitive_within(
        &self,
        words: &[String],
        depth: u8,
    ) -> Option<Vec<(Phrase, bool, Option<Kind>)>> {
        if depth == 0 {
            return None;
        }
        let (main, tail) = cut(words);
        // "aufhören zu rauchen": the operator's verb, then a clause with "zu", no comma.
        if tail.is_empty()
            && zu_verb(&lows(&main)).is_some()
            && let Some(at) = (0..main.len())
                .find(|&at| self.operators.iter().any(|(_, _, verb)| *verb == low_at(&main, at)))
            && at + 1 < main.len()
        {
            let with_comma =
                [main[..=at].to_vec(), vec![COMMA.to_owned()], tail_of(&main, at + 1).to_vec()].concat();
            return self.infinitive_within(&with_comma, depth - 1);
        }
        // "an mir zu zweifeln aufhören"
        if tail.is_empty()
            && let Some(last) = main.last().map(|word| lower(word))
            && self.operators.iter().any(|(_, words, verb)| words.is_empty() && *verb == last)
            && main.len() > 2
            && zu_verb(&lows(head_of(&main, main.len() - 1))).is_some()
        {
            let turned = [vec![last, COMMA.to_owned()], head_of(&main, main.len() - 1).to_vec()].concat();
            return self.infinitive_within(&turned, depth - 1);
        }
        let (mid, verb) = verb_at_end(&main)?;
        let low_mid: Words =
            lows(&mid).into_iter().filter(|word| !WORDS.is("soft", word) || word == "es").collect();
        let operator = self.operators.iter().find(|(_, before, infinitive)| {
            *infinitive == verb.infinitive()
                && (low_mid == *before
                    || (low_mid.len() == before.len() + 1
                        && low_mid.ends_with(&["nicht".to_owned()])
                        && low_mid.starts_with(before)))
        });
        if let Some((operator, before, _)) = operator
            && !tail.is_empty()
            && !WORDS.is("clauses", &low_at(&tail, 0))
        {
            let denied = low_mid.len() > before.len();
            let inner = self.infinitive_within(&tail, depth - 1)?;
            return Some(
                inner
                    .into_iter()
                    .map(|(phrase, turn, kind)| match operator {
                        Operator::Not => (phrase, !turn ^ denied, kind),
                        Operator::As => (phrase, turn ^ denied, kind),
                        Operator::Dare => (phrase, turn, Some(Kind::Fear)),
                    })
                    .collect(),
            );
        }
        let first = low_at(&tail, 0);
        let post = if WORDS.is("clauses", &first) || zu_verb(&lows(&tail)).is_some() && first != "um" {
            tail
        } else {
            Words::new()
        };
        let mut found = Vec::new();
        // "mit dem Rauchen aufhören"
        if matches!(verb.infinitive().as_str(), "aufhören" | "aufgeben")
            && let Some(chunk) = WORDS.chunks(&mid).into_iter().find(|chunk| {
                matches!(&chunk.kind, Part::Noun)
                    || matches!(&chunk.kind, Part::Preposition(with) if with == "mit")
            })
        {
            if let Some(inner) = WORDS.verb(&chunk.head) {
                return Some(vec![(
                    Phrase { mid: Words::new(), verb: inner, post: Words::new() },
                    true,
                    None,
                )]);
            }
            if verb.infinitive() == "aufhören" {
                let have = WORDS.verb("haben")?;
                return Some(vec![(
                    Phrase { mid: without_determiners(&chunk.object()), verb: have, post: Words::new() },
                    true,
                    None,
                )]);
            }
        }
        // "Nein sagen lernen", "besser schlafen können"
        if matches!(verb.infinitive().as_str(), "lernen" | "können" | "wollen" | "dürfen")
            && let Some((mid, inner)) = verb_at_end(&mid)
        {
            found.push((Phrase { mid, verb: inner, post: post.clone() }, false, None));
            if verb.base != "lernen" {
                return Some(found);
            }
        }
        if found.is_empty() || mid.len() == 1 {
            found.push((Phrase { mid, verb, post }, false, None));
        }
        Some(found)
    }

    /// A phrase as the user says it: left, or turned round.
    pub(super) fn said(&self, phrase: Phrase, turn: bool, kind: Kind, depth: u8) -> Read {
        let mut phrase = phrase;
        reflexive(&mut phrase);
        let mut turn = turn;
        if take_denial(&mut phrase.mid) {
            turn = !turn;
        }
        let (degree, deficit) = take_degree(&mut phrase.mid, turn);
        turn ^= degree;
        // What the user has too little of is what they want.
        let kind = if deficit && kind == Kind::State { Kind::Struggle } else { kind };
        if let Some(read) = self.compared(&mut phrase, kind) {
            return read;
        }
        let flagged = self.opposite_of(&phrase, true).is_some();
        let is_good = good(&phrase.mid) && good(&[phrase.verb.infinitive()]);
        let post_good = good(&phrase.post);
        if !post_good {
            phrase.post.clear();
        }
        let too = lows(&phrase.mid).iter().any(|word| word == "zu");
        let must_turn = too && self.adjective_in(&phrase.mid).is_some();
        if !turn && !flagged && is_good && !must_turn {
            if kind == Kind::State && !self.says_something_good(&phrase) {
                return Err(Reason::NoWish);
            }
            return self.affirmed(phrase, kind);
        }
        if !turn
            && !flagged
            && let Some(read) = self.without(&phrase, kind)
        {
            return read;
        }
        let all = turn || matches!(kind, Kind::State | Kind::Fear);
        self.turned(&phrase, all, depth)
    }

    /// "ohne Angst vor Leuten sprechen": what is left out is courage.
    pub(super) fn without(&self, phrase: &Phrase, kind: Kind) -> Option<Read> {
        let chunks = WORDS.chunks(&phrase.mid);
        let is_without = |chunk: &Chunk| matches!(&chunk.kind, Part::Preposition(word) if word == "ohne");
        let left_out = chunks.iter().find(|chunk| is_without(chunk))?;
        let kind = if matches!(left_out.head.as_str(), "angst" | "ängste" | "furcht" | "panik") {
            Kind::Fear
        } else {
            kind
        };
        let mid: Words =
            chunks.into_iter().filter(|chunk| !is_without(chunk)).flat_map(|chunk| chunk.words).collect();
        good(&mid).then(|| self.affirmed(Phrase { mid, ..phrase.clone() }, kind))
    }

    /// "werden" with an adjective: becoming it, and being it.
    pub(super) fn compared(&self, phrase: &mut Phrase, kind: Kind) -> Option<Read> {
        if phrase.verb.infinitive() != "werden" || kind == Kind::State {
            return None;
        }
        let last = phrase.mid.last()?;
        let base = last
            .strip_suffix("er")
            .filter(|base| self.good_adjectives.contains(*base) || WORDS.is("adjectives", base))?;
        if has_capital(last) || !good(&phrase.mid) {
            return None;
        }
        let mut be = phrase.clone();
        be.verb = WORDS.verb("sein")?;
        let at = be.mid.len() - 1;
        base.clone_into(&mut be.mid[at]);
        Some(gather([self.affirmed(phrase.clone(), kind), self.affirmed(be, kind)]))
    }

    pub(super) fn says_something_good(&self, phrase: &Phrase) -> bool {
        let good_verb = matches!(
            phrase.verb.infinitive().as_str(),
            "vertrauen"
                | "lieben"
                | "schätzen"
                | "wertschätzen"
                | "genießen"
                | "glauben"
                | "verdienen"
                | "annehmen"
        );
        let copula = matches!(phrase.verb.base.as_str(), "sein" | "fühlen" | "bleiben");
        good_verb || (copula && phrase.mid.iter().any(|word| self.good_adjectives.contains(&lower(word))))
    }

    /// The forms of a good phrase.
    pub(super) fn affirmed(&self, phrase: Phrase, kind: Kind) -> Read {
        let chunks = WORDS.chunks(&phrase.mid);
        let alone = chunks.iter().all(|chunk| chunk.kind == Part::Pronoun || is_time(chunk));
        if alone && let Some(fuller) = self.bare.get(&phrase.verb.infinitive()) {
            let times: Words = chunks
                .iter()
                .filter(|chunk| chunk.kind != Part::Pronoun)
                .flat_map(|chunk| chunk.words.clone())
                .collect();
            let with_times = fuller.iter().map(|fuller| {
                let lead =
                    fuller.mid.iter().take_while(|word| matches!(word.as_str(), "mich" | "mir")).count();
                let (lead, rest) = fuller.mid.split_at(lead);
                Phrase {
                    mid: [lead.to_vec(), times.clone(), rest.to_vec()].concat(),
                    verb: fuller.verb.clone(),
                    post: phrase.post.clone(),
                }
            });
            return gather(with_times.map(|phrase| Self::formed(phrase, kind)));
        }
        let more = format!("{} …", phrase.verb.infinitive());
        if let Some(fuller) = self.bare.get(&more)
            && chunks.iter().all(|chunk| chunk.kind != Part::Adverb || is_time(chunk))
        {
            let with_all = fuller.iter().map(|fuller| Phrase {
                mid: [fuller.mid.clone(), phrase.mid.clone()].concat(),
                ..phrase.clone()
            });
            return gather(with_all.map(|phrase| Self::formed(phrase, kind)));
        }
        Self::formed(phrase, kind)
    }

    pub(super) fn formed(phrase: Phrase, kind: Kind) -> Read {
        let Phrase { mid, verb, post } = phrase;
        let mid = tidy_mid(mid);
        let all = [mid.clone(), vec![verb.infinitive()], post.clone()].concat();
        if let Some(word) = checks::negative_word(&join(&all), Language::German) {
            return Err(Reason::NegativeLeft { word });
        }
        let empty_verb = matches!(
            verb.infinitive().as_str(),
            "sein" | "haben" | "werden" | "machen" | "nehmen" | "geben" | "bleiben" | "können"
        );
        if empty_verb && mid.is_empty() {
            return Err(Reason::Unread);
        }
        let tail = if post.is_empty() { Words::new() } else { [vec![COMMA.to_owned()], post].concat() };
        let finite = verb.first_person();
        let prefix = Some(verb.prefix.clone()).filter(|prefix| !prefix.is_empty());
        let main = |lead: &str| {
            let lead = words_of(lead);
            join(&[lead, mid.clone(), prefix.clone().into_iter().collect(), tail.clone()].concat())
        };
        let final_form = |form: String| join(&[mid.clone(), vec![form], tail.clone()].concat());
        let slots = BTreeMap::from([
            ("fin", main(&finite)),
            ("inv", main(&format!("{finite} ich"))),
            ("inf", final_form(verb.infinitive())),
            ("zu", final_form(verb.with_zu())),
            ("sub", final_form(format!("{}{finite}", verb.prefix))),
        ]);
        let chunks = WORDS.chunks(&mid);
        let definite = chunks.iter().any(|chunk| {
            chunk.kind == Part::Noun && {
                let first = low_at(&chunk.words, 0);
                ["ein", "mein"].iter().any(|start| first.starts_with(start))
                    || matches!(first.as_str(), "das" | "den" | "die")
            }
        });
        let listed = WORDS.aspect(&verb);
        let alone = matches!(verb.infinitive().as_str(), "heiraten" | "umziehen" | "kündigen");
        let aspect = match listed {
            Aspect::End if verb.infinitive() == "werden" => {
                if chunks.last().is_some_and(|chunk| chunk.kind == Part::Noun) {
                    Aspect::End
                } else {
                    Aspect::Be
                }
            }
            Aspect::End if !(definite || alone) => Aspect::Act,
            Aspect::Act
                if verb.infinitive() == "machen"
                    && lows(&mid).iter().any(|word| word.starts_with("selbst")) =>
            {
                Aspect::End
            }
            Aspect::Act if verb.infinitive() == "schreiben" && definite => Aspect::End,
            other => other,
        };
        Ok(vec![Core {
            kind,
            shape: Shape::Verb,
            aspect,
            timed: timed(&lows(&all)) || WORDS.is_occasional(&verb),
            verbal: !matches!(verb.infinitive().as_str(), "sein" | "haben" | "lieben" | "kennen" | "wissen"),
            lemmas: vec![verb.infinitive()],
            words: all.len(),
            slots,
        }])
    }
}

pub(super) fn timed(low: &[String]) -> bool {
    low.iter().any(|word| WORDS.is("times", word))
}

pub(super) fn is_time(chunk: &Chunk) -> bool {
    chunk.words.iter().any(|word| WORDS.is("times", &lower(word)) || WORDS.is("time-nouns", &lower(word)))
}

/// Words up to the first comma, and after it.
pub(super) fn cut(words: &[String]) -> (Words, Words) {
    match words.iter().position(|word| word == COMMA) {
        Some(at) => (head_of(words, at).to_vec(), tail_of(words, at + 1).to_vec()),
        None => (words.to_vec(), Words::new()),
    }
}

/// The verb of a clause with "zu", in lower case, and how many words it takes at the end.
pub(super) fn zu_verb(low: &[String]) -> Option<(Verb, usize)> {
    let last = low.last()?;
    if low.len() > 1 && low.get(low.len() - 2).is_some_and(|word| word == "zu") {
        return Some((WORDS.verb_or_guess(last)?, 2));
    }
    WORDS.verb_with_zu(last).map(|verb| (verb, 1))
}

/// Parts the verb from the end of an infinitive phrase, with or without "zu".
pub(super) fn verb_at_end(words: &[String]) -> Option<(Words, Verb)> {
    let low = lows(words);
    let last = words.last()?;
    if let Some((verb, taken)) = zu_verb(&low) {
        let mid = head_of(words, words.len() - taken).to_vec();
        // "sagen zu können"
        if matches!(verb.base.as_str(), "können" | "dürfen" | "wollen")
            && let Some((mid, verb)) = verb_at_end(&mid)
        {
            return Some((mid, verb));
        }
        return Some((mid, verb));
    }
    let word = lower(last);
    let capital = has_capital(last) && words.len() > 1;
    let verb = WORDS.verb(&word).or_else(|| {
        let unlike = is_small(&word) || WORDS.noun(&word).is_some() || word == COMMA;
        if unlike || words.len() < 2 { None } else { WORDS.verb_or_guess(&word) }
    })?;
    if capital || (WORDS.noun(&word).is_some() && words.len() == 1 && has_capital(last)) {
        return None;
    }
    Some((head_of(words, words.len() - 1).to_vec(), verb))
}

/// The infinitive of a participle, where its form or the lists tell.
pub(super) fn base_of_participle(word: &str) -> Option<String> {
    let strong = match word {
        "verloren" => "verlieren",
        "vergessen" => "vergessen",
        "aufgegeben" => "aufgeben",
        "aufgeschoben" => "aufschieben",
        "verschwendet" => "verschwenden",
        "gescheitert" => "scheitern",
        _ => "",
    };
    if !strong.is_empty() {
        return Some(strong.to_owned());
    }
    if !WORDS.is_participle(word) {
        return None;
    }
    let root = word.strip_suffix('t')?;
    let root = root.strip_prefix("ge").unwrap_or(root);
    let root = root.strip_suffix('e').unwrap_or(root);
    [format!("{root}en"), format!("{root}n")].into_iter().find(|infinitive| WORDS.is_infinitive(infinitive))
}

pub(super) fn without_determiners(words: &[String]) -> Words {
    let skip = words
        .iter()
        .take_while(|word| WORDS.is("determiners", &lower(word)) || WORDS.is("soft", &lower(word)))
        .count();
    words.get(skip..).filter(|rest| !rest.is_empty()).map_or_else(|| words.to_vec(), <[String]>::to_vec)
}

/// `sich` becomes `mich`, or `mir` beside another object or a verb that wants it.
pub(super) fn reflexive(phrase: &mut Phrase) {
    let dative = matches!(
        phrase.verb.infinitive().as_str(),
        "vertrauen"
            | "vornehmen"
            | "erlauben"
            | "merken"
            | "gönnen"
            | "leisten"
            | "zutrauen"
            | "wünschen"
            | "verzeihen"
            | "helfen"
            | "vergeben"
            | "gefallen"
    );
    let object = WORDS.chunks(&phrase.mid).iter().any(|chunk| chunk.kind == Part::Noun);
    for word in &mut phrase.mid {
        if lower(word) == "sich" {
            if dative || object { "mir" } else { "mich" }.clone_into(word);
        }
    }
}

/// Takes a negation out of a phrase; whether there was one. `kein` leaves the article that a countable noun needs.
pub(super) fn take_denial(mid: &mut Words) -> bool {
    let low = lows(mid);
    let mut denied = false;
    let mut kept = Words::new();
    for (at, word) in mid.iter().enumerate() {
        let low_word = word_at(&low, at);
        if matches!(low_word, "nicht" | "nie" | "niemals" | "kaum" | "selten") {
            denied = true;
        } else if let Some(end) =
            low_word.strip_prefix("kein").filter(|end| matches!(*end, "" | "e" | "en" | "em" | "er" | "es"))
        {
            denied = true;
            if let Some(article) = article_for(mid, at, end) {
                kept.push(article);
            }
        } else if denied && low_word == "mehr" && !mid.get(at + 1).is_some_and(|next| has_capital(next)) {
            // "nicht mehr", "keine Angst mehr"
        } else if low_word == "mehr" && at > 0 && word_at(&low, at - 1) == "nicht" {
        } else {
            kept.push(word.clone());
        }
    }
    if denied {
        *mid = kept;
    }
    denied
}

/// The article in the place of `kein…`, when the noun takes one.
pub(super) fn article_for(mid: &[String], at: usize, end: &str) -> Option<String> {
    let (_, head) = WORDS.noun_phrase(mid, at)?;
    let noun = mid.get(head)?;
    let known = WORDS.noun(noun);
    let mass = known.is_some_and(|noun| noun.mass);
    if mass || WORDS.gender(noun) == Some(Gender::Plural) {
        return None;
    }
    match end {
        "e" if known.is_none() => None,
        _ => Some(format!("ein{end}")),
    }
}

/// Takes "weniger", "zu viel" and the like out of a phrase: whether they turn it round, and whether something was too little.
pub(super) fn take_degree(mid: &mut Words, turned: bool) -> (bool, bool) {
    let low = lows(mid);
    let (mut turn, mut deficit) = (false, false);
    let mut kept = Words::new();
    let mut at = 0;
    while let Some(word) = low.get(at) {
        let next = low.get(at + 1).map(String::as_str).unwrap_or_default();
        match (word.as_str(), next) {
            ("weniger" | "seltener" | "zuviel", _) => turn = true,
            ("zu", "viel" | "viele" | "vielen" | "oft" | "häufig" | "lange" | "sehr" | "schnell") => {
                turn = true;
                at += 1;
                if next == "lange" || next == "schnell" {
                    kept.push(mid[at].clone());
                }
            }
            ("zu", "wenig" | "wenige") => {
                kept.push("genug".to_owned());
                deficit = true;
                at += 1;
            }
            ("zu", "selten") => {
                deficit = true;
                kept.push("regelmäßig".to_owned());
                at += 1;
            }
            ("wenig", _) => {
                deficit = true;
                kept.push("genug".to_owned());
            }
            ("so", "viel" | "viele" | "vielen" | "oft" | "sehr" | "schnell") => at += 1,
            ("so", "lange") | ("immer" | "ständig" | "dauernd" | "so" | "ganz", _) if turned => {}
            _ => kept.push(mid[at].clone()),
        }
        at += 1;
    }
    *mid = kept;
    (turn, deficit)
}

/// What is left of a phrase to be said: no words of frequency that only struggles have.
pub(super) fn tidy_mid(mid: Words) -> Words {
    let mut mid: Words = mid
        .into_iter()
        .filter(|word| {
            !matches!(
                lower(word).as_str(),
                "endlich"
                    | "eigentlich"
                    | "einfach"
                    | "leider"
                    | "wirklich"
                    | "unbedingt"
                    | "gern"
                    | "gerne"
                    | "halt"
                    | "mal"
                    | "ständig"
                    | "dauernd"
                    | "andauernd"
                    | "irgendwie"
                    | "überhaupt"
                    | "gar"
                    | "künftig"
                    | "zukünftig"
                    | "dringend"
            )
        })
        .collect();
    while mid
        .first()
        .is_some_and(|word| word == COMMA || matches!(word.as_str(), "und" | "auch" | "doch" | "schon"))
    {
        mid.remove(0);
    }
    mid
}
