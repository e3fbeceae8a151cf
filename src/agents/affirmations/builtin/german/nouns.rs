//! Goals that are noun phrases.

use super::super::Reason;
use super::super::core::{Core, Read, gather};
use super::super::lexicon::Kind;
use super::super::text::{Words, has_capital, head_of, join, low_at, lower, lows, tail_of};
use super::lists::{German, Phrase};
use super::phrase::{cut, is_time, take_denial, timed, without_determiners, zu_verb};
use super::words::{Chunk, Part, WORDS};
use super::{DEPTH, good, is_small};

impl German {
    /// A goal that is a noun phrase; `opened` when a beginning such as "Ich möchte" says what it is wanted for, so that it
    /// stands in the accusative.
    pub(super) fn noun_phrase(&self, np: &[String], kind: Kind, opened: bool) -> Read {
        let (mut np, tail) = cut(np);
        // "mehr Mut, meinen Träumen zu folgen": the doing is the goal.
        if zu_verb(&lows(&tail)).is_some()
            && let Some(phrases) = self.infinitive(&tail)
        {
            let brave =
                np.iter().any(|word| matches!(lower(word).as_str(), "mut" | "selbstvertrauen" | "vertrauen"));
            let kind = if brave { Kind::Fear } else { kind };
            return gather(
                phrases
                    .into_iter()
                    .map(|(phrase, turn, inner)| self.said(phrase, turn, inner.unwrap_or(kind), DEPTH)),
            );
        }
        while np
            .first()
            .is_some_and(|word| WORDS.is("soft", &lower(word)) && lower(word) != "zu" && np.len() > 1)
        {
            np.remove(0);
        }
        // "bis nächstes Jahr eine eigene Wohnung": what is wanted comes first.
        let lead = WORDS.chunks(&np).first().map_or(0, |chunk| match chunk.kind {
            Part::Preposition(_) => chunk.words.len(),
            _ => 0,
        });
        if lead < np.len() {
            np.rotate_left(lead);
        }
        let Some(have) = WORDS.verb("haben") else { return Err(Reason::Unread) };
        let (turn, denied) = take_marker(&mut np);
        if np.is_empty() {
            return Err(Reason::Unread);
        }
        let is_good = good(&np);
        if turn || !is_good {
            let inner = Phrase { mid: without_determiners(&np), verb: have.clone(), post: Words::new() };
            return match self.turned(&inner, true, DEPTH) {
                Err(_) if denied && is_good => {
                    self.affirmed(Phrase { mid: np, verb: have, post: Words::new() }, Kind::Struggle)
                }
                read => read,
            };
        }
        // "gelassener": what I want to be.
        if let [word] = np.as_slice()
            && !has_capital(word)
        {
            let low = lower(word);
            let base = low.strip_suffix("er").unwrap_or(&low);
            let known = self.good_adjectives.contains(base) || WORDS.is("adjectives", base);
            return match WORDS.verb("sein").filter(|_| known) {
                Some(verb) => self.affirmed(Phrase { mid: np, verb, post: Words::new() }, kind),
                None => Err(Reason::Unread),
            };
        }
        let Some((end, head)) = WORDS.noun_phrase(&np, 0) else { return Err(Reason::Unread) };
        if !opened && let Some(reason) = self.says_too_little(&np, head) {
            return Err(reason);
        }
        // What follows has to say where, when or what for.
        let goes_on = |chunk: &Chunk| match chunk.kind {
            Part::Preposition(_) => true,
            Part::Adverb => chunk.words.iter().all(|word| is_small(&lower(word))) || is_time(chunk),
            Part::Noun | Part::Pronoun => false,
        };
        if !WORDS.chunks(np.get(end..).unwrap_or_default()).iter().all(goes_on) {
            return Err(Reason::Unread);
        }
        self.wished_for(&np, head, end, kind, opened)
    }

    /// Why a bare noun phrase is no goal, if it is none.
    fn says_too_little(&self, np: &[String], head: usize) -> Option<Reason> {
        let acts = |word: &String| {
            let root = lower(word).strip_suffix('t').map(str::to_owned);
            let known =
                |root: String| ["en", "n"].iter().any(|end| WORDS.is_infinitive(&format!("{root}{end}")));
            !has_capital(word) && root.is_some_and(known)
        };
        if np.get(head + 1).is_some_and(acts) {
            return Some(Reason::SomeoneElse { subject: join(np.get(..=head)?) });
        }
        let first = low_at(np, 0);
        if first.starts_with("mein") && head < 2 || matches!(first.as_str(), "der" | "die" | "das") {
            return Some(Reason::NoWish);
        }
        let noun = low_at(np, head);
        let known = WORDS.noun(&noun).is_some_and(|noun| noun.mass) || self.qualities.contains_key(&noun);
        (np.len() == 1 && !known).then_some(Reason::OneWord)
    }

    /// A wished-for noun: as what I am ("geduldiger"), have, or make room for.
    fn wished_for(&self, np: &[String], head: usize, end: usize, kind: Kind, accusative: bool) -> Read {
        let (first, noun) = (low_at(np, 0), low_at(np, head));
        let mass = WORDS.noun(&noun).is_some_and(|noun| noun.mass);
        let abstract_noun = ["heit", "keit"].iter().any(|end| noun.ends_with(end));
        let quality = !first.starts_with("ein")
            && (mass || abstract_noun || matches!(first.as_str(), "mehr" | "genug"));
        let mut readings: Vec<Read> = Vec::new();
        if let Some(phrase) = self.quality_phrase(np, head, end) {
            readings.push(self.affirmed(phrase, kind));
        }
        let np = if accusative { Some(np.to_vec()) } else { WORDS.accusative(np) };
        match np {
            Some(np) => {
                readings.push(Ok(vec![Core::noun(kind, quality, timed(&lows(&np)), "acc", &np)]));
                if quality && let Some(verb) = WORDS.verb("haben") {
                    readings.push(self.affirmed(Phrase { mid: np, verb, post: Words::new() }, kind));
                }
            }
            None => readings.push(Err(Reason::NoGender { noun })),
        }
        gather(readings)
    }

    /// A quality as a verb phrase: "mehr Geduld mit meinen Kindern" → "geduldiger mit meinen Kindern sein".
    pub(super) fn quality_phrase(&self, np: &[String], head: usize, end: usize) -> Option<Phrase> {
        let template = self.qualities.get(&low_at(np, head))?;
        let attributes: Words = head_of(np, head)
            .iter()
            .map(|word| lower(word))
            .filter(|word| !word.starts_with("ein") || word == "einfach")
            .collect();
        let degree = match attributes.as_slice() {
            [] => None,
            [one] => Some(one.as_str()),
            _ => return None,
        };
        let mut mid = Words::new();
        for word in template.split_whitespace() {
            let word = match word {
                "{+}" => match degree {
                    None => "gut".to_owned(),
                    Some("mehr" | "genug") => degree.unwrap_or_default().to_owned(),
                    Some(attribute) => uninflected(attribute)?,
                },
                adjective if adjective.starts_with('{') => {
                    let base = adjective.trim_matches(['{', '}']);
                    match degree {
                        None | Some("innere" | "genug" | "große" | "innerer") => base.to_owned(),
                        Some("mehr" | "größere" | "größeren") => comparative(base),
                        Some(_) => return None,
                    }
                }
                other => other.to_owned(),
            };
            mid.push(word);
        }
        let verb = WORDS.verb(&mid.pop()?)?;
        mid.extend(tail_of(np, end).iter().cloned());
        Some(Phrase { mid, verb, post: Words::new() })
    }
}

/// Takes "weniger", "keine" and the like off a noun phrase: whether it is turned round, and whether it is denied.
fn take_marker(np: &mut Words) -> (bool, bool) {
    let (first, second) = (low_at(np, 0), low_at(np, 1));
    match (first.as_str(), second.as_str()) {
        ("weniger" | "ohne", _) => {
            np.remove(0);
            (true, false)
        }
        ("nicht", "genug") => {
            np.remove(0);
            (false, false)
        }
        ("zu", "viel" | "viele") => {
            np.drain(..2);
            (true, false)
        }
        ("zu", "wenig" | "wenige") => {
            np.splice(..2, ["genug".to_owned()]);
            (false, false)
        }
        _ if first.starts_with("kein") => {
            take_denial(np);
            (true, true)
        }
        _ => (false, false),
    }
}

/// `besserer` → `besser`, `gesunde` → `gesund`.
pub(super) fn uninflected(attribute: &str) -> Option<String> {
    let stem = ["er", "en", "es", "e"].iter().find_map(|end| attribute.strip_suffix(end))?;
    (stem.len() > 2).then(|| stem.to_owned())
}

/// `geduldig` → `geduldiger`.
pub(super) fn comparative(adjective: &str) -> String {
    match adjective.strip_suffix("el") {
        Some(stem) => format!("{stem}ler"),
        None => format!("{adjective}er"),
    }
}
