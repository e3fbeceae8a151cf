//! Reading a German goal and saying it in the affirmed present.
//!
//! A goal comes to a verb with what stands before it (as in "früher aufstehen") and a clause that may follow; frames ask
//! for its forms. The beginning of the goal ("Ich möchte", "Es fällt mir schwer") says what the phrase is to the writer;
//! negations and words of degree are taken out and turn it round; what has to be turned round, or has a struggling word
//! in it, is looked up among the opposites, part by part, so that objects keep their case.

mod lists;
mod nouns;
mod opposites;
mod phrase;
mod words;

use std::collections::BTreeMap;

use super::core::{Core, Read, gather};
use super::lexicon::{Kind, Opener, after_prefix};
use super::text::{
    self, COMMA, Words, between, has_capital, head_of, join, low_at, lower, lows, tail_of, word_at, words_of,
};
use super::{Reason, checks};
use crate::retrieval::Language;

use self::lists::{GERMAN, German, Phrase, Wanted};
use self::phrase::{base_of_participle, cut, take_denial, zu_verb};
pub(super) use self::words::{Gender, WORDS};

/// How often a phrase may lead to another one inside it.
const DEPTH: u8 = 4;

/// Reads one sentence of a goal.
pub(super) fn read(sentence: &[String]) -> Read {
    let german = &*GERMAN;
    let mut words = german.plain(sentence);
    trim(&mut words);
    if words.is_empty() {
        return Err(Reason::Unread);
    }
    gather(german.coordinated(&words).iter().map(|words| german.sentence(words)))
}

pub(super) fn good(words: &[String]) -> bool {
    checks::negative_word(&join(words), Language::German).is_none()
}

/// Takes away what leads in and reasons at the end.
pub(super) fn trim(words: &mut Words) {
    while words.first().is_some_and(|word| word == COMMA || WORDS.is("fillers", &lower(word)))
        && words.len() > 1
    {
        words.remove(0);
    }
    for aside in &GERMAN.asides {
        let low = lows(words);
        if let Some(at) =
            low.windows(aside.len()).position(|window| window == aside).filter(|_| low.len() > aside.len())
        {
            words.drain(at..at + aside.len());
        }
    }
    let low = lows(words);
    // "Ich tue mich schwer damit, um Hilfe zu bitten" gives no reason.
    let begins = |at: usize| {
        let before = low.get(..at).unwrap_or_default().to_vec();
        GERMAN.opener(&before).is_some_and(|(opener, end)| opener.follow == "only-zu" && end + 1 == at)
    };
    let cut = (1..low.len()).find(|&at| {
        let reason = word_at(&low, at - 1) == COMMA && WORDS.is("reasons", word_at(&low, at));
        (reason && !begins(at)) || word_at(&low, at) == "weil"
    });
    if let Some(at) = cut {
        words.truncate(at);
    }
    while words.last().is_some_and(|word| word == COMMA) {
        words.pop();
    }
}

/// Whether a word that begins a sentence would not have a capital inside one.
pub(super) fn is_small(low: &str) -> bool {
    if ["soft", "fillers", "prepositions", "determiners", "pronouns", "adjectives", "clauses", "someone"]
        .iter()
        .any(|set| WORDS.is(set, low))
    {
        return true;
    }
    let inflected = ["er", "e", "es", "en", "em"].iter().find_map(|end| low.strip_suffix(end));
    let adjective = |word: &str| {
        ["ig", "lich", "isch", "sam", "bar", "haft", "voll", "los"].iter().any(|end| word.ends_with(end))
    };
    WORDS.contraction(low).is_some()
        || inflected.is_some_and(|stem| WORDS.is("adjectives", stem))
        || adjective(low)
        || inflected.is_some_and(adjective)
        || GERMAN
            .adjectives
            .iter()
            .any(|known| known.key.len() == 1 && known.key[0].iter().any(|word| word == low))
}

impl German {
    /// Nouns with their capitals, the first word without one unless it is a noun.
    pub(super) fn plain(&self, sentence: &[String]) -> Words {
        let mut words: Words = sentence.to_vec();
        text::calm(&mut words);
        let no_capitals = words.iter().skip(1).all(|word| !has_capital(word)) && words.len() > 2;
        let mut out: Words = words
            .iter()
            .enumerate()
            .map(|(at, word)| {
                let word = with_umlauts(word);
                let low = lower(&word);
                if low == "ich" {
                    return low;
                }
                if at == 0 && has_capital(&word) {
                    let one_verb = WORDS.is_infinitive(&low) && WORDS.noun(&low).is_none();
                    let finite =
                        words.len() > 1 && WORDS.infinitive_of(&low).is_some() && low_at(&words, 1) == "ich";
                    return if is_small(&low) || finite || one_verb { low } else { word };
                }
                let verb = WORDS.is_infinitive(&low)
                    && words.get(at + 1).is_none_or(|next| next == COMMA || lower(next) == "und");
                if no_capitals
                    && !verb
                    && let Some(noun) = WORDS.noun(&low)
                    && !matches!(low.as_str(), "morgen" | "abend" | "angst" | "ja" | "nein" | "fit")
                {
                    return noun.text.clone();
                }
                word
            })
            .collect();
        if no_capitals {
            for at in 0..out.len() {
                let low = low_at(&out, at);
                let next = low_at(&out, at + 1);
                // `angst vor …`, and the last word after an article and an adjective.
                let known = matches!(low.as_str(), "angst" | "nein" | "morgen" | "abend");
                let named = (low == "angst" && next != "und")
                    || (low == "nein" && next.starts_with("sag"))
                    || (known
                        && at > 0
                        && (WORDS.is("determiners", &low_at(&out, at - 1))
                            || WORDS.contraction(&low_at(&out, at - 1)).is_some()));
                let struggle = self.opposites.iter().any(|opposite| {
                    opposite.verbs.iter().any(|verb| verb == "haben")
                        && opposite.elements.iter().any(
                            |element| matches!(&element.what, Wanted::Words(words) if words.contains(&low)),
                        )
                }) && !is_small(&low);
                if (named || struggle)
                    && !has_capital(&out[at])
                    && !matches!(low.as_str(), "mir" | "mich" | "das" | "gefühl-")
                {
                    out[at] = text::capitalized(&low);
                }
            }
        }
        out
    }

    /// The sentence, and once more for each infinitive phrase that "und" or a comma adds.
    pub(super) fn coordinated(&self, words: &Words) -> Vec<Words> {
        let low = lows(words);
        let start = self.opener(&low).map_or(0, |(_, at)| at);
        let head = head_of(words, start).to_vec();
        let ends_in_verb = |part: &[String]| {
            let last = part.last().map(|word| lower(word)).unwrap_or_default();
            let small = part.last().is_some_and(|word| !has_capital(word)) || part.len() == 1;
            small && (WORDS.is_infinitive(&last) || WORDS.verb_with_zu(&last).is_some())
        };
        let mut parts = Vec::new();
        let mut from = start;
        for at in start + 1..words.len() {
            if !matches!(word_at(&low, at), "und" | COMMA) || at + 1 >= words.len() || at <= from {
                continue;
            }
            let next =
                if word_at(&low, at) == COMMA && word_at(&low, at + 1) == "und" { at + 2 } else { at + 1 };
            let end = (next..words.len())
                .find(|&end| matches!(word_at(&low, end), "und" | COMMA))
                .unwrap_or(words.len());
            let clause =
                WORDS.is("clauses", word_at(&low, next.min(words.len() - 1))) && word_at(&low, at) == COMMA;
            let operator = self.operators.iter().any(|(_, _, verb)| *verb == word_at(&low, at - 1))
                && word_at(&low, at) == COMMA;
            let rest_ends = ends_in_verb(words.get(next..end).unwrap_or_default())
                || (end < words.len() && ends_in_verb(tail_of(words, next)) && word_at(&low, at) == "und");
            let wanted = |word: &str| {
                matches!(
                    word,
                    "mehr"
                        | "weniger"
                        | "keine"
                        | "keinen"
                        | "besserer"
                        | "bessere"
                        | "besseren"
                        | "besseres"
                )
            };
            let nouns = !ends_in_verb(words)
                && wanted(word_at(&low, next.min(words.len() - 1)))
                && has_capital(word_at(words, at - 1));
            if nouns || ends_in_verb(between(words, from, at)) && rest_ends && !clause && !operator {
                parts.push(between(words, from, at).to_vec());
                from = next;
            }
        }
        parts.push(words.get(from..).unwrap_or_default().to_vec());
        parts.retain(|part| !part.is_empty());
        parts.into_iter().map(|part| [head.clone(), part].concat()).collect()
    }

    pub(super) fn opener(&self, low: &Words) -> Option<(&Opener, usize)> {
        let soft = |word: &str| WORDS.is("soft", word);
        self.openers.iter().find_map(|opener| {
            let at = after_prefix(low, &opener.words, &soft)?;
            if opener.follow == "only-zu" {
                let comma = low.get(at).is_some_and(|word| word == COMMA);
                let zu = low.get(at..).is_some_and(|rest| !rest.is_empty() && zu_verb(rest).is_some());
                let clause =
                    zu && (word_at(low, at) == "zu" || WORDS.preposition(word_at(low, at)).is_none());
                return (comma || clause).then_some((opener, at));
            }
            (at < low.len()).then_some((opener, at))
        })
    }

    pub(super) fn sentence(&self, words: &Words) -> Read {
        if low_at(words, 0) == "ich" && low_at(words, 1) == "wünschte" && words.len() > 3 {
            let start = 2 + tail_of(words, 2)
                .iter()
                .take_while(|word| *word == COMMA || lower(word) == "dass")
                .count();
            return self.sentence(&tail_of(words, start).to_vec());
        }
        let words = self.in_order(words);
        let low = lows(&words);
        if let Some((opener, at)) = self.opener(&low) {
            return self.opened(opener, tail_of(&words, at));
        }
        let first = low.first().map(String::as_str).unwrap_or_default();
        if first == "ich" {
            return self.statement(tail_of(&words, 1));
        }
        if first.starts_with("mein")
            && let Some(read) = self.mine(&words)
        {
            return read;
        }
        let finite = |word: &String| {
            matches!(
                word.as_str(),
                "ist"
                    | "sind"
                    | "hat"
                    | "haben"
                    | "macht"
                    | "wird"
                    | "will"
                    | "soll"
                    | "war"
                    | "sollen"
                    | "wollen"
                    | "möchten"
            )
        };
        if let Some(at) = low.iter().take(6).position(finite)
            && at > 0
            && at + 1 < low.len()
            && word_at(&low, at) != "haben"
        {
            return Err(Reason::SomeoneElse { subject: join(head_of(&words, at)) });
        }
        if WORDS.is("someone", first) && low.get(1).is_some_and(finite) {
            return Err(Reason::SomeoneElse { subject: first.to_owned() });
        }
        let words = Self::told(&imperative(&words));
        match self.infinitive(&words) {
            Some(phrases) => gather(
                phrases
                    .into_iter()
                    .map(|(phrase, turn, kind)| self.said(phrase, turn, kind.unwrap_or(Kind::Wish), DEPTH)),
            ),
            None => self.noun_phrase(&words, Kind::Wish, false),
        }
    }

    /// "Vertraue dir", said to themself, in the order of an infinitive phrase; anything else as it is.
    pub(super) fn told(words: &Words) -> Words {
        let first = low_at(words, 0);
        let verb = if first == "sei" { Some("sein".to_owned()) } else { WORDS.infinitive_of(&first) };
        let Some(infinitive) =
            verb.filter(|verb| *verb != first && !WORDS.is_infinitive(&first) && words.len() > 1)
        else {
            return words.clone();
        };
        let to_me =
            words.iter().any(|word| matches!(word.as_str(), "mir" | "mich") || word.starts_with("mein"));
        if WORDS.noun(&first).is_some() && !to_me || is_small(&first) {
            return words.clone();
        }
        let parted = |prefix: &str| {
            let joined = format!("{prefix}{infinitive}");
            WORDS.verb(&joined).filter(|verb| verb.prefix == prefix && !prefix.is_empty()).map(|_| joined)
        };
        let rest = words.get(1..).unwrap_or_default();
        if let Some(verb) = parted(&low_at(rest, rest.len() - 1)) {
            return [head_of(rest, rest.len() - 1).to_vec(), vec![verb]].concat();
        }
        if let Some(verb) = parted(&low_at(rest, 0)) {
            return [vec![verb], tail_of(rest, 1).to_vec()].concat();
        }
        let (main, tail) = cut(rest);
        let comma = if tail.is_empty() { Words::new() } else { vec![COMMA.to_owned()] };
        [main, vec![infinitive], comma, tail].concat()
    }

    /// "Abends kann ich …" as "Ich kann abends …"; "Wenn …, werde ich …" with its clause at the end.
    pub(super) fn in_order(&self, words: &Words) -> Words {
        let low = lows(words);
        if low.first().is_some_and(|word| matches!(word.as_str(), "wenn" | "sobald" | "bevor"))
            && let Some(comma) = low.iter().position(|word| word == COMMA)
            && comma + 1 < words.len()
        {
            let main = self.in_order(&tail_of(words, comma + 1).to_vec());
            return [main, vec![COMMA.to_owned()], head_of(words, comma).to_vec()].concat();
        }
        if low.first().is_some_and(|word| word == "ich" || word == "dass")
            || low.iter().take(7).any(|word| word == COMMA)
        {
            return words.clone();
        }
        let Some(at) = (1..low.len().min(8))
            .find(|&at| word_at(&low, at) == "ich" && WORDS.infinitive_of(word_at(&low, at - 1)).is_some())
        else {
            return words.clone();
        };
        let front = head_of(words, at - 1);
        let mut rest = tail_of(words, at + 1).to_vec();
        let pronouns =
            rest.iter().take_while(|word| matches!(lower(word).as_str(), "mich" | "mir" | "es")).count();
        // Openers such as "wie kann ich" stand in this order themselves.
        if self.opener(&low).is_some_and(|(opener, _)| opener.words.first().is_some_and(|word| word != "ich"))
        {
            return words.clone();
        }
        let tail = rest.split_off(pronouns);
        [words_of("ich"), vec![words[at - 1].clone()], rest, front.to_vec(), tail].concat()
    }

    pub(super) fn opened(&self, opener: &Opener, rest: &[String]) -> Read {
        let mut rest = rest.to_vec();
        while rest.first().is_some_and(|word| {
            word == COMMA
                || matches!(lower(word).as_str(), "bitte" | "endlich" | "unbedingt" | "einfach" | "wirklich")
        }) && rest.len() > 1
        {
            rest.remove(0);
        }
        let kind = opener.kind;
        let lacking = matches!(kind, Kind::Struggle | Kind::Fear) || kind == Kind::State;
        match opener.follow.as_str() {
            "be" | "have" => {
                let verb = if opener.follow == "be" { "sein" } else { "haben" };
                let (main, post) = cut(&rest);
                let Some(verb) = WORDS.verb(verb) else { return Err(Reason::Unread) };
                if opener.follow == "have" {
                    return self.noun_phrase(&main, kind, true);
                }
                return self.said(Phrase { mid: main, verb, post }, false, kind, DEPTH);
            }
            "missing" | "zero" | "dative" => {
                let (np, _) = cut(&rest);
                let np: Words = np.into_iter().filter(|word| !WORDS.is("soft", &lower(word))).collect();
                let accusative = match opener.follow.as_str() {
                    "missing" => WORDS.accusative(&np),
                    "dative" => {
                        let noun = || Reason::NoGender { noun: join(&np) };
                        Some(WORDS.accusative_of_dative(&np).ok_or_else(noun)?)
                    }
                    _ => None,
                };
                return self.noun_phrase(&accusative.unwrap_or(np), Kind::Wish, true);
            }
            _ => {}
        }
        if low_at(&rest, 0) == "dass" {
            return self.that_clause(tail_of(&rest, 1), kind, lacking);
        }
        if low_at(&rest, 0) == "wie" && low_at(&rest, 1) == "ich" {
            return self.that_clause(tail_of(&rest, 1), Kind::Struggle, true);
        }
        match self.infinitive(&rest) {
            Some(phrases) => gather(phrases.into_iter().map(|(phrase, turn, inner)| {
                let kind = inner.unwrap_or(kind);
                let mut phrase = phrase;
                if opener.follow == "lack" || (lacking && kind != Kind::Fear) {
                    // "Ich kann nicht schlafen": what is denied is what is wanted.
                    let badly = phrase
                        .mid
                        .iter()
                        .position(|word| matches!(lower(word).as_str(), "schlecht" | "schwer"));
                    if let Some(at) = badly {
                        phrase.mid.remove(at);
                    }
                    let denied = take_denial(&mut phrase.mid) || badly.is_some();
                    let kind = if denied || lacking { kind } else { Kind::State };
                    return self.said(phrase, turn, kind, DEPTH);
                }
                self.said(phrase, turn, kind, DEPTH)
            })),
            None if opener.words.last().is_some_and(|word| word == "werde") => {
                self.statement(&[words_of("werde"), rest].concat())
            }
            None if opener.follow == "only-zu" => Err(Reason::Unread),
            None => self.noun_phrase(&rest, kind, true),
        }
    }

    /// "dass ich … bin": the verb stands at the end.
    pub(super) fn that_clause(&self, rest: &[String], kind: Kind, lacking: bool) -> Read {
        let (mut main, post) = cut(rest);
        if low_at(&main, 0) != "ich" {
            let named = usize::from(low_at(&main, 0).starts_with("mein")) + 1;
            return Err(Reason::SomeoneElse { subject: join(main.get(..named).unwrap_or_default()) });
        }
        main.remove(0);
        let mut last = main.pop().map(|word| lower(&word)).unwrap_or_default();
        if matches!(last.as_str(), "kann" | "könnte" | "soll" | "sollte" | "muss" | "will" | "werde")
            && main.last().is_some_and(|word| WORDS.is_infinitive(&lower(word)))
        {
            last = main.pop().unwrap_or_default();
        } else if let Some(infinitive) = WORDS.infinitive_of(&last) {
            last = infinitive;
        }
        let Some(verb) = WORDS.verb_or_guess(&lower(&last)) else { return Err(Reason::Unread) };
        if lacking {
            take_denial(&mut main);
        }
        let kind = if kind == Kind::Struggle || kind == Kind::Fear { Kind::Struggle } else { kind };
        self.said(Phrase { mid: main, verb, post }, false, kind, DEPTH)
    }

    /// "Ich …": what the user says of themself.
    pub(super) fn statement(&self, rest: &[String]) -> Read {
        let (main, post) = cut(rest);
        let Some(finite) = main.first().map(|word| lower(word)) else { return Err(Reason::Unread) };
        let mut mid: Words = tail_of(&main, 1).to_vec();
        let infinitive = WORDS.infinitive_of(&finite).or_else(|| {
            // The preterite of a weak verb.
            let stem = finite.strip_suffix("te")?;
            WORDS.is_weak_past(&finite).then(|| format!("{}en", stem.strip_suffix('e').unwrap_or(stem)))
        });
        let Some(mut infinitive) = infinitive else { return Err(Reason::Unread) };
        if matches!(infinitive.as_str(), "haben" | "sein")
            && let Some(last) = mid.last().map(|word| lower(word))
            && let Some(base) = base_of_participle(&last)
            && !has_capital(mid.last().map(String::as_str).unwrap_or_default())
            && (infinitive == "haben" || WORDS.sein_participles.contains(&last))
        {
            mid.pop();
            infinitive = base;
        } else if let Some(last) = mid.last().map(|word| lower(word)) {
            let parted = format!("{last}{infinitive}");
            if WORDS.verb(&parted).is_some_and(|verb| verb.prefix == last) {
                mid.pop();
                infinitive = parted;
            }
        }
        let Some(verb) = WORDS.verb(&infinitive) else { return Err(Reason::Unread) };
        let denied = take_denial(&mut mid);
        let kind = if denied { Kind::Struggle } else { Kind::State };
        self.said(Phrase { mid, verb, post }, false, kind, DEPTH)
    }

    /// "Mein Schreibtisch ist chaotisch".
    pub(super) fn mine(&self, words: &Words) -> Option<Read> {
        let low = lows(words);
        let at = (1..low.len().min(8))
            .find(|&at| matches!(word_at(&low, at), "ist" | "sind" | "wirkt" | "war"))?;
        let subject = head_of(words, at);
        let verb = if word_at(&low, at) == "war" { "ist" } else { word_at(&low, at) };
        let mut predicate: Words =
            tail_of(words, at + 1).iter().filter(|word| !WORDS.is("soft", &lower(word))).cloned().collect();
        let denied = take_denial(&mut predicate);
        let values: Vec<Words> = if denied {
            vec![predicate]
        } else {
            let (found, from, to) = self.adjective_in(&predicate)?;
            if from > 0 || to < predicate.len() {
                return None;
            }
            found.values.iter().filter(|(_, post)| post.is_empty()).map(|(words, _)| words.clone()).collect()
        };
        let cores = values.into_iter().map(|value| {
            let whole = [subject.to_vec(), words_of(verb), value.clone()].concat();
            if let Some(word) = checks::negative_word(&join(&whole), Language::German) {
                return Err(Reason::NegativeLeft { word });
            }
            let sub = [subject.to_vec(), value, words_of(verb)].concat();
            Ok(vec![Core::whole(BTreeMap::from([("whole", join(&whole)), ("whole-sub", join(&sub))]))])
        });
        Some(gather(cores))
    }
}

/// `moechte` as `möchte`, where that makes a word of the lists.
pub(super) fn with_umlauts(word: &str) -> String {
    let low = lower(word);
    if !["ae", "oe", "ue"].iter().any(|pair| low.contains(pair)) {
        return word.to_owned();
    }
    let turned = low.replace("ae", "ä").replace("oe", "ö").replace("ue", "ü");
    let known = WORDS.is_infinitive(&turned)
        || WORDS.noun(&turned).is_some()
        || WORDS.infinitive_of(&turned).is_some()
        || is_small(&turned)
        || WORDS.verb_with_zu(&turned).is_some();
    let known_before = WORDS.is_infinitive(&low)
        || WORDS.noun(&low).is_some()
        || WORDS.infinitive_of(&low).is_some()
        || is_small(&low);
    if known && !known_before {
        if has_capital(word) { text::capitalized(&turned) } else { turned }
    } else {
        word.to_owned()
    }
}

/// A user who speaks to themself, or of "sich", means themself.
pub(super) fn imperative(words: &Words) -> Words {
    let own = lows(words).iter().any(|word| {
        matches!(word.as_str(), "sich" | "dich" | "dir" | "dein" | "deine" | "deinen" | "deinem" | "deiner")
    });
    words
        .iter()
        .map(|word| {
            let low = lower(word);
            let mine = low
                .strip_prefix("dein")
                .or_else(|| low.strip_prefix("sein").filter(|_| own && low != "sein"));
            match (low.as_str(), mine) {
                ("dich", _) => "mich".to_owned(),
                ("dir", _) => "mir".to_owned(),
                (_, Some(end)) if matches!(end, "" | "e" | "en" | "em" | "er" | "es") => format!("mein{end}"),
                _ => word.clone(),
            }
        })
        .collect()
}
