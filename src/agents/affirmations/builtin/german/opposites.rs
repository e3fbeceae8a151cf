//! Looking up what a struggle is turned into, part by part, so that objects keep their case.

use super::super::Reason;
use super::super::core::{Read, gather};
use super::super::lexicon::Kind;
use super::super::text::{self, COMMA, Words, head_of, join, low_at, lower, lows, tail_of};
use super::good;
use super::lists::{Adjective, German, Opposite, Phrase, Wanted};
use super::phrase::{is_time, without_determiners};
use super::words::{Chunk, Part, WORDS};
use crate::retrieval::Language;

impl German {
    /// The best opposite of a phrase; of those that are struggles by themselves when asked for.
    pub(super) fn opposite_of(&self, phrase: &Phrase, struggles: bool) -> Option<Vec<Phrase>> {
        let chunks = WORDS.chunks(&phrase.mid);
        let infinitive = phrase.verb.infinitive();
        let found = self
            .opposites
            .iter()
            .filter(|opposite| (opposite.struggle || !struggles) && opposite.verbs.contains(&infinitive))
            .filter_map(|opposite| Some((opposite, fit(opposite, &chunks)?)));
        let (opposite, fit) =
            found.reduce(|best, next| if next.1.score > best.1.score { next } else { best })?;
        Some(opposite.values.iter().map(|value| fit.fill(value)).collect())
    }

    /// An adjective of the lists in a phrase: it, and from where to where it stands.
    pub(super) fn adjective_in(&self, mid: &[String]) -> Option<(&Adjective, usize, usize)> {
        let low = lows(mid);
        let fits = |adjective: &Adjective, at: usize| {
            let mut end = at;
            let mut own = 0;
            for words in &adjective.key {
                let word = low.get(end).map(String::as_str).unwrap_or_default();
                let optional = words.iter().all(|known| known.ends_with('?'));
                let bare = |known: &String| {
                    known.trim_end_matches('?') == word
                        || known.trim_end_matches('?') == word.trim_end_matches("er") && word.len() > 5
                };
                if words.iter().any(bare) {
                    end += 1;
                    own += 1;
                } else if !optional {
                    return None;
                }
            }
            Some((own, end))
        };
        let mut best: Option<(usize, &Adjective, usize, usize)> = None;
        for at in 0..low.len() {
            for adjective in &self.adjectives {
                if let Some((own, end)) = fits(adjective, at)
                    && best.as_ref().is_none_or(|(score, ..)| own > *score)
                {
                    best = Some((own, adjective, at, end));
                }
            }
        }
        best.map(|(_, adjective, from, to)| (adjective, from, to))
    }

    /// The opposite of a phrase: by all patterns, or by those alone that are struggles by themselves.
    pub(super) fn turned(&self, phrase: &Phrase, all: bool, depth: u8) -> Read {
        let nothing = || Reason::NoOpposite {
            phrase: join(&[phrase.mid.clone(), vec![phrase.verb.infinitive()]].concat()),
        };
        if depth == 0 {
            return Err(nothing());
        }
        let phrases = self
            .opposite_of(phrase, !all)
            .or_else(|| self.adjective_opposites(phrase))
            .or_else(|| self.coped(phrase))
            .ok_or_else(nothing)?;
        let is_good =
            |phrase: &&Phrase| good(&phrase.mid) && good(&[phrase.verb.infinitive()]) && good(&phrase.post);
        if phrases.iter().any(|phrase| is_good(&phrase)) {
            return gather(
                phrases.iter().filter(is_good).map(|phrase| self.affirmed(phrase.clone(), Kind::Turned)),
            );
        }
        // What was taken over is a struggle too: "Angst vor Ablehnung".
        let object = WORDS
            .chunks(&phrase.mid)
            .into_iter()
            .rfind(|chunk| !matches!(chunk.kind, Part::Pronoun | Part::Adverb));
        let (Some(object), Some(have)) = (object, WORDS.verb("haben")) else { return Err(nothing()) };
        let mid = without_determiners(&object.object());
        let inner = Phrase { mid, verb: have, post: Words::new() };
        if inner.mid == phrase.mid { Err(nothing()) } else { self.turned(&inner, true, depth - 1) }
    }

    pub(super) fn adjective_opposites(&self, phrase: &Phrase) -> Option<Vec<Phrase>> {
        let verb = match phrase.verb.infinitive().as_str() {
            "sein" => "sein",
            "fühlen" => "fühlen",
            "werden" | "bleiben" | "wirken" => "bleiben",
            _ => return None,
        };
        let (adjective, from, to) = self.adjective_in(&phrase.mid)?;
        let verb = WORDS.verb(verb)?;
        // "müde und antriebslos": what is joined to it goes with it.
        let mut end = to;
        while matches!(low_at(&phrase.mid, end).as_str(), "und" | COMMA | "oder") {
            end += 2;
        }
        let mut start = from;
        while start >= 2 && matches!(low_at(&phrase.mid, start - 1).as_str(), "und" | COMMA | "oder") {
            start -= 2;
        }
        let plain = adjective.values.iter().all(|(words, _)| words.len() == 1);
        let kept = |words: &[String]| -> Words {
            WORDS
                .chunks(words)
                .into_iter()
                .filter(|chunk| match &chunk.kind {
                    Part::Pronoun => true,
                    Part::Preposition(word) => {
                        let beside = matches!(word.as_str(), "bei" | "in" | "nach" | "während" | "zu")
                            || (word == "mit" && plain);
                        (beside || is_time(chunk)) && good(&chunk.words)
                    }
                    Part::Adverb => is_time(chunk) && good(&chunk.words) && !WORDS.is("soft", &chunk.head),
                    Part::Noun => false,
                })
                .flat_map(|chunk| chunk.words)
                .collect()
        };
        let before = kept(phrase.mid.get(..start).unwrap_or_default());
        let after = kept(phrase.mid.get(end..).unwrap_or_default());
        let phrases = adjective.values.iter().map(|(words, post)| Phrase {
            mid: [before.clone(), words.clone(), after.clone()].concat(),
            verb: verb.clone(),
            post: if post.is_empty() { phrase.post.clone() } else { post.clone() },
        });
        Some(phrases.collect())
    }

    /// A phrase that does something with a struggle that a noun names.
    pub(super) fn coped(&self, phrase: &Phrase) -> Option<Vec<Phrase>> {
        let infinitive = phrase.verb.infinitive();
        let chunks = WORDS.chunks(&phrase.mid);
        let have = WORDS.verb("haben")?;
        for (preposition, verb) in &self.coping {
            if *verb != infinitive {
                continue;
            }
            let at = chunks.iter().position(|chunk| match (preposition, &chunk.kind) {
                (None, Part::Noun) => true,
                (Some(wanted), Part::Preposition(found)) => wanted == found,
                _ => false,
            });
            let Some(at) = at else { continue };
            let object = without_determiners(&chunks[at].object());
            let others = chunks
                .iter()
                .enumerate()
                .filter(|(index, chunk)| *index != at && chunk.kind != Part::Pronoun);
            let rest: Words = others.flat_map(|(_, chunk)| chunk.words.clone()).collect();
            let mid = [object, rest].concat();
            let inner = Phrase { mid, verb: have.clone(), post: Words::new() };
            if let Some(found) = self.opposite_of(&inner, false) {
                return Some(found);
            }
        }
        None
    }
}

/// How a pattern fits a phrase.
pub(super) struct Fit {
    /// What the placeholder stands for.
    pub(super) object: Words,
    /// What is kept beside the opposite, before and after the object's place.
    pub(super) before: Words,
    pub(super) after: Words,
    pub(super) score: usize,
}

impl Fit {
    pub(super) fn fill(&self, value: &Phrase) -> Phrase {
        let mut mid = Words::new();
        let lead = value.mid.iter().take_while(|word| matches!(word.as_str(), "mich" | "mir")).count();
        mid.extend(head_of(&value.mid, lead).iter().cloned());
        mid.extend(self.before.iter().cloned());
        let mut placed = false;
        for word in tail_of(&value.mid, lead) {
            if matches!(word.as_str(), "{a}" | "{d}") {
                mid.extend(self.object.iter().cloned());
                mid.extend(self.after.iter().cloned());
                placed = true;
            } else {
                mid.push(word.clone());
            }
        }
        if !placed {
            let at = lead + self.before.len();
            mid.splice(at..at, self.after.iter().cloned());
        }
        Phrase { mid, verb: value.verb.clone(), post: value.post.clone() }
    }
}

/// Fits a pattern to the parts of a phrase, in any order; every object has to be taken, and what is left has to be something that
/// an opposite can stand beside.
pub(super) fn fit(opposite: &Opposite, chunks: &[Chunk]) -> Option<Fit> {
    let mut used = vec![false; chunks.len()];
    let mut object = Words::new();
    let mut place = chunks.len();
    let mut score = 0;
    let same = |chunk: &Chunk, words: &Words| {
        words.iter().any(|word| {
            chunk.head == *word
                || chunk.words.iter().any(|own| lower(own) == *word)
                || (chunk.kind != Part::Adverb
                    && word.len() > 4
                    && text::stem(&chunk.head, Language::German) == text::stem(word, Language::German))
        })
    };
    // Words first, so that an object does not take what a word stands for.
    for element in opposite.elements.iter().filter(|element| matches!(element.what, Wanted::Words(_))) {
        let Wanted::Words(words) = &element.what else { continue };
        let found = chunks.iter().position(|chunk| {
            let preposition = match (&element.preposition, &chunk.kind) {
                (Some(wanted), Part::Preposition(found)) => wanted == found,
                (None, Part::Preposition(_)) | (Some(_), _) => false,
                (None, _) => true,
            };
            preposition && same(chunk, words)
        });
        match found {
            Some(at) => {
                used[at] = true;
                score += 4;
            }
            None if element.optional => {}
            None => return None,
        }
    }
    for element in opposite.elements.iter().filter(|element| matches!(element.what, Wanted::Object)) {
        let found = chunks.iter().enumerate().rposition(|(at, chunk)| {
            let kind = match (&element.preposition, &chunk.kind) {
                (Some(wanted), Part::Preposition(found)) => wanted == found,
                (None, Part::Noun) => true,
                _ => false,
            };
            kind && !used[at]
        })?;
        used[found] = true;
        place = found;
        object = chunks[found].object();
        score += 1 + 2 * usize::from(element.preposition.is_some());
    }
    let (mut before, mut after) = (Words::new(), Words::new());
    for (at, chunk) in chunks.iter().enumerate().filter(|(at, _)| !used[*at]) {
        let kept = match &chunk.kind {
            Part::Noun => return None,
            Part::Pronoun => false,
            Part::Preposition(word) => WORDS.is("adjunct-prepositions", word) && good(&chunk.words),
            Part::Adverb => {
                is_time(chunk)
                    && !WORDS.is("soft", &chunk.head)
                    && !matches!(chunk.head.as_str(), "immer" | "spät" | "früh" | "später" | "oft")
            }
        };
        if kept {
            (if at < place { &mut before } else { &mut after }).extend(chunk.words.iter().cloned());
        }
    }
    Some(Fit { object, before, after, score })
}
