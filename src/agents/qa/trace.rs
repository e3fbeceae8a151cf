//! How an answer was looked for: kept with it, for those who configure what agents work with.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::small;
use crate::id::DocumentId;
use crate::knowledge::search::{Found, Passage};
use crate::retrieval::{self, LookupForm, Ranked, Sense};

/// Passages that are kept, the best.
const PASSAGES: usize = 20;
/// Forms of words that are kept in all.
const FORMS: usize = 150;

/// How an answer was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The question's words.
    pub words: Vec<Word>,
    /// How many passages have words of it, of those that are ranked.
    pub candidates: i32,
    /// The best passages, in their order.
    pub passages: Vec<Place>,
}

/// A word of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word.
    pub word: String,
    /// What it was looked up as.
    pub forms: Vec<Form>,
}

/// What a word was looked up as.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Terms, all of which a passage has to have.
    pub terms: Vec<String>,
    /// What they are to the word.
    pub sense: Sense,
    /// How many passages hold the rarest of them.
    pub passages: i32,
}

/// A passage, and how it was ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Its document.
    pub document: DocumentId,
    /// The version that it is of.
    pub version: i32,
    /// The headings above it.
    pub heading: Option<String>,
    /// Whether the answer was looked for in it.
    pub read: bool,
    /// Which place it has by the question's words; none when it has none of them.
    pub word_rank: Option<i32>,
    /// Which place it has by meaning; none when it is not among the nearest, or there are no vectors.
    pub meaning_rank: Option<i32>,
    /// Its score by words.
    pub score: Option<f32>,
    /// How much of the question it covers.
    pub coverage: Option<f32>,
    /// How well its best sentence answers.
    pub sentence: Option<f32>,
}

fn number(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "a score needs no more digits")]
const fn single(score: f64) -> f32 {
    score as f32
}

impl Trace {
    /// Of a search: what was ranked by words, what is near by meaning, the order of both together, and how many of the first
    /// were read.
    pub(super) fn of(
        found: &Found,
        ranked: &[Ranked<'_>],
        near: &[Passage],
        order: &[u128],
        top_k: usize,
    ) -> Self {
        let passages: HashMap<u128, &Passage> =
            found.passages.iter().chain(near).map(|passage| (passage.candidate.id, passage)).collect();
        let place = |(at, id): (usize, &u128)| {
            let passage = passages.get(id)?;
            let by_words = ranked.iter().position(|ranked| ranked.candidate.id == *id);
            let by_meaning = near.iter().position(|near| near.candidate.id == *id);
            let words = by_words.and_then(|at| ranked.get(at));
            Some(Place {
                document: passage.document,
                version: passage.version,
                heading: passage.candidate.heading.clone(),
                read: at < top_k,
                word_rank: by_words.map(|at| number(at + 1)),
                meaning_rank: by_meaning.map(|at| number(at + 1)),
                score: words.map(|words| single(words.score)),
                coverage: words.map(|words| small(words.coverage)),
                sentence: words.and_then(Ranked::sentence).map(single),
            })
        };
        let mut left = FORMS;
        let mut form = |form: LookupForm| {
            left = left.checked_sub(1)?;
            Some(Form { terms: form.terms, sense: form.sense, passages: number(form.chunks) })
        };
        let mut word = |looked: retrieval::Lookup| Word {
            word: looked.word,
            forms: looked.forms.into_iter().map_while(&mut form).collect(),
        };
        Self {
            words: found.question.looked_up(&found.statistics).into_iter().map(&mut word).collect(),
            candidates: number(found.passages.len()),
            passages: order.iter().take(PASSAGES).enumerate().filter_map(place).collect(),
        }
    }
}
