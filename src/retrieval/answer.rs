//! Choosing the sentences that answer, or saying that none does.

use std::collections::HashSet;
use std::ops::Range;

use super::pieces::{Kind, Piece};
use super::plan::Plan;
use super::question::{Question, Role};
use super::rank::{CHUNKS_READ, Ranked, document_terms};
use super::weigh::Weighed;
use super::{Asks, Language};

/// How probable another piece must be against the best one to be quoted as well.
const NEARLY: f64 = 0.1;
/// The share of words from which on a stretch says little new beside another.
const REPEATS: f64 = 0.5;
/// The share of words from which on two pieces are the same, in two documents or two versions of one.
const SAME: f64 = 0.9;
/// How many of the best pieces are compared with the chosen ones.
const COMPARED: usize = 32;
/// The longest list that is quoted as one, in bytes.
const LIST_BYTES: usize = 900;
/// The sentences by which it is judged how sure an answer is, however many of them are quoted.
const JUDGED: usize = 3;
/// The most sentences that are quoted.
const SENTENCES: usize = 6;
/// How many near misses and follow-ups are given.
const NEAR_MISSES: usize = 3;

/// How an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The most sentences, 1 to 6; a short list under its introduction counts as one. Whether there is an answer does not
    /// depend on it.
    pub sentences: usize,
    /// The least confidence of an answer, 0 to 1; less answers more, and more of it wrongly.
    pub confidence: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sentences: JUDGED, confidence: 0.6 }
    }
}

/// What the documents answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Whether they do.
    pub answered: bool,
    /// The quotations, joined; none when unanswered.
    pub text: Option<String>,
    /// Where the answer is from, in reading order, the best document first.
    pub citations: Vec<Citation>,
    /// What came closest when unanswered, the best first.
    pub near_misses: Vec<Citation>,
    /// How sure this is.
    pub confidence: Confidence,
    /// Headings of other chunks that the question touches.
    pub follow_ups: Vec<String>,
}

/// An exact stretch of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    /// The chunk.
    pub chunk: u128,
    /// The document.
    pub document: u128,
    /// The chunk's heading path.
    pub heading: Option<String>,
    /// The stretch, letter for letter.
    pub quote: String,
    /// Where it begins in the document, in characters.
    pub start: usize,
    /// Where it ends, in characters; the first one after it.
    pub end: usize,
    /// How probable it is that it answers best of all that was read, 0 to 1.
    pub score: f64,
}

/// How sure an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Confidence {
    /// How probable it is that the documents answer, and that this is the answer; 0 to 1.
    pub value: f64,
    /// The share of the question's words, by weight, that the best sentence and what it stands under have.
    pub coverage: f64,
    /// Whether the best sentence has what the question asks for: a date, an amount.
    pub kind: f64,
    /// The share of the one word that the best sentence lacks most.
    pub gap: f64,
    /// How probable it is that one of the best three sentences is the best of all that were read.
    pub chosen: f64,
}

/// A piece that was read.
#[derive(Clone, Copy)]
pub(super) struct Read<'r, 'a> {
    pub ranked: &'r Ranked<'a>,
    pub piece: &'r Weighed,
    /// How probable it is that it answers, if one does.
    probability: f64,
}

impl Read<'_, '_> {
    fn chunk(&self) -> u128 {
        self.ranked.candidate.id
    }

    fn text(&self, bytes: Range<usize>) -> &str {
        &self.ranked.candidate.text[bytes]
    }
}

/// Picks the answer from the ranked chunks.
pub fn answer(plan: &Plan, question: &Question, ranked: &[Ranked<'_>], options: &Options) -> Answer {
    let read = read(ranked);
    let judged = choose(plan, &read, JUDGED);
    let confidence = confidence(plan, &read, &judged);
    let most = options.sentences.clamp(1, SENTENCES);
    let chosen = if most == JUDGED { judged } else { choose(plan, &read, most) };
    let answered = !question.is_empty()
        && confidence.value >= options.confidence
        && read.first().is_some_and(|best| names_the_same(plan, ranked, best));
    let mut used: HashSet<u128> = HashSet::new();
    let (mut citations, mut near_misses, mut text) = (Vec::new(), Vec::new(), None);
    if answered {
        citations = chosen.iter().map(|(one, bytes)| cite(one, bytes.clone())).collect();
        used.extend(chosen.iter().map(|(one, _)| one.chunk()));
        text = Some(join(&chosen));
    } else {
        for one in &read {
            if near_misses.len() < NEAR_MISSES && used.insert(one.chunk()) {
                near_misses.push(cite(one, one.piece.bytes.clone()));
            }
        }
    }
    let follow_ups = follow_ups(ranked, &used);
    Answer { answered, text, citations, near_misses, confidence, follow_ups }
}

/// The pieces of the chunks that were read, the best first.
pub(super) fn read<'r, 'a>(ranked: &'r [Ranked<'a>]) -> Vec<Read<'r, 'a>> {
    let pieces = ranked
        .iter()
        .flat_map(|ranked| ranked.weighed.iter().map(move |piece| Read { ranked, piece, probability: 0.0 }));
    let mut read: Vec<Read<'_, '_>> = pieces.collect();
    // Equals stay in the order of their chunks and of the text.
    read.sort_by(|a, b| b.piece.score.total_cmp(&a.piece.score));
    let best = read.first().map_or(0.0, |best| best.piece.score);
    let sum: f64 = read.iter().map(|one| (one.piece.score - best).exp()).sum();
    for one in &mut read {
        one.probability = (one.piece.score - best).exp() / sum;
    }
    read
}

/// Whether the best piece can be about what the question names: its chunk or document has every name and number of the
/// question, also together (`Model 60`), and it has the date or figure that is asked for.
pub(super) fn names_the_same(plan: &Plan, ranked: &[Ranked<'_>], best: &Read<'_, '_>) -> bool {
    let document = best.ranked.candidate.document;
    let chunks = || ranked.iter().filter(|chunk| chunk.candidate.document == document);
    let terms = document_terms(ranked).get(&document).copied().unwrap_or(0);
    let mut keys = plan.slots.iter().filter(|slot| slot.role == Role::Key);
    let numbered =
        (0..plan.numbered.len().min(64)).all(|at| chunks().any(|chunk| chunk.numbered & (1 << at) != 0));
    keys.all(|slot| slot.credit(terms) >= 0.5)
        && numbered
        && !best.piece.other
        && (best.piece.met > 0.0 || !plan.asks.is_measured())
}

/// What the logarithm of the odds of an answer is made of; fitted as the weights of pieces are.
mod odds {
    pub const BASE: f64 = -1.35;
    /// Times coverage × (0.6 + 0.4 × kind).
    pub const COVERAGE: f64 = 1.23;
    /// Times how probable the chosen sentences are among all.
    pub const CHOSEN: f64 = 1.2;
    /// Times the share of the word that is lacking most.
    pub const GAP: f64 = -0.94;
    /// For a question that yes or no answers: nearly any sentence on the matter does.
    pub const YES_OR_NO: f64 = 0.68;
}

fn confidence(plan: &Plan, read: &[Read<'_, '_>], chosen: &[Chosen<'_, '_, '_>]) -> Confidence {
    let Some(best) = read.first() else { return Confidence::default() };
    let Weighed { coverage, met, gap, .. } = *best.piece;
    // What stands in several documents is not less probable for it.
    let is_chosen = |one: &Read<'_, '_>| {
        chosen.iter().any(|(other, stretch)| {
            let inside = other.chunk() == one.chunk() && stretch.contains(&one.piece.bytes.start);
            inside || similarity(other.text(stretch.clone()), one.text(one.piece.bytes.clone())) >= SAME
        })
    };
    let compared = read.iter().take(COMPARED).filter(|one| is_chosen(one));
    let chosen: f64 = compared.map(|one| one.probability).sum();
    let odds: f64 = odds::BASE
        + odds::COVERAGE * coverage * (0.6 + 0.4 * met)
        + odds::CHOSEN * chosen
        + odds::GAP * gap
        + if plan.asks == Asks::YesNo { odds::YES_OR_NO } else { 0.0 };
    Confidence {
        value: 1.0 / (1.0 + (-odds).exp()),
        coverage: coverage.clamp(0.0, 1.0),
        kind: met,
        gap,
        chosen,
    }
}

type Chosen<'w, 'r, 'a> = (&'w Read<'r, 'a>, Range<usize>);

/// The best piece, others that are nearly as probable, and what they need to be understood.
fn choose<'w, 'r, 'a>(plan: &Plan, read: &'w [Read<'r, 'a>], most: usize) -> Vec<Chosen<'w, 'r, 'a>> {
    let Some(best) = read.first() else { return Vec::new() };
    let mut chosen: Vec<Chosen<'w, 'r, 'a>> = Vec::new();
    for one in read.iter().take_while(|one| one.probability >= NEARLY * best.probability) {
        if chosen.len() >= most {
            break;
        }
        let bytes = with_list(plan.asks, one.piece, &one.ranked.pieces, &one.ranked.candidate.text);
        let overlaps = |(other, stretch): &Chosen<'_, '_, '_>| {
            other.chunk() == one.chunk() && stretch.start < bytes.end && bytes.start < stretch.end
        };
        let repeats = |(other, stretch): &Chosen<'_, '_, '_>| {
            similarity(other.text(stretch.clone()), one.text(bytes.clone())) > REPEATS
        };
        if chosen.iter().any(|other| overlaps(other) || repeats(other)) {
            continue;
        }
        // A sentence that begins with a pronoun is understood with the one before it.
        if chosen.len() + 1 < most
            && leans_back(one.text(bytes.clone()))
            && let Some(before) = read
                .iter()
                .find(|other| other.chunk() == one.chunk() && other.piece.index + 1 == one.piece.index)
            && matches!(before.piece.kind, Kind::Sentence)
            && !chosen.iter().any(|(other, stretch)| {
                other.chunk() == before.chunk() && stretch.contains(&before.piece.bytes.start)
            })
        {
            chosen.push((before, before.piece.bytes.clone()));
        }
        chosen.push((one, bytes));
    }
    // Reading order within a document; the best piece's document first.
    let order: Vec<u128> = chosen.iter().map(|(one, _)| one.ranked.candidate.document).collect();
    let place = |document: u128| order.iter().position(|other| *other == document);
    chosen.sort_by_key(|(one, bytes)| {
        (place(one.ranked.candidate.document), one.ranked.candidate.start, bytes.start)
    });
    chosen
}

/// The stretch of a piece; with the list that it introduces, or the whole list when the question asks for one.
pub(super) fn with_list(asks: Asks, one: &Weighed, found: &[Piece], text: &str) -> Range<usize> {
    let is_item = |piece: &Piece| matches!(piece.kind, Kind::Item);
    let quote = &text[one.bytes.clone()];
    let mut first = one.index;
    if one.kind == Kind::Item && matches!(asks, Asks::Manner | Asks::Other) {
        // Steps and enumerations are answered as a whole when their introduction is what the question is about.
        while first > 0 && is_item(&found[first - 1]) {
            first -= 1;
        }
        let lead = first
            .checked_sub(1)
            .map(|at| &found[at])
            .filter(|piece| text[piece.bytes.clone()].ends_with(':'));
        if lead.is_none() && asks != Asks::Manner {
            return one.bytes.clone();
        }
        if lead.is_some() {
            first -= 1;
        }
    } else if !(quote.ends_with(':') && found.get(one.index + 1).is_some()) {
        return one.bytes.clone();
    }
    let mut last = one.index.max(first);
    while let Some(next) = found.get(last + 1)
        && (is_item(next) || (last == first && !quote.is_empty() && one.index == first))
        && next.bytes.end - found[first].bytes.start <= LIST_BYTES
    {
        last += 1;
    }
    found[first].bytes.start..found[last].bytes.end
}

/// Whether a sentence points back to the one before.
fn leans_back(sentence: &str) -> bool {
    let first = sentence.split_whitespace().next().unwrap_or_default();
    let first = super::words::normal(super::words::bounded(first));
    matches!(
        first.as_str(),
        "er" | "sie"
            | "es"
            | "dies"
            | "diese"
            | "dieser"
            | "dieses"
            | "dabei"
            | "dazu"
            | "dafür"
            | "davon"
            | "danach"
            | "dann"
            | "ihre"
            | "seine"
            | "it"
            | "they"
            | "this"
            | "these"
            | "those"
            | "he"
            | "she"
            | "its"
            | "their"
    )
}

/// The share of words that two texts have in common, of the shorter one's.
fn similarity(one: &str, other: &str) -> f64 {
    let words =
        |text: &str| -> HashSet<String> { super::words::terms(text, Language::German).into_iter().collect() };
    let (one, other) = (words(one), words(other));
    let shorter = one.len().min(other.len());
    if shorter == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "sentences have few words")]
    let share = one.intersection(&other).count() as f64 / shorter as f64;
    share
}

fn cite(one: &Read<'_, '_>, bytes: Range<usize>) -> Citation {
    let candidate = one.ranked.candidate;
    let start = candidate.start + candidate.text[..bytes.start].chars().count();
    let quote = candidate.text[bytes].to_owned();
    Citation {
        chunk: candidate.id,
        document: candidate.document,
        heading: candidate.heading.clone(),
        start,
        end: start + quote.chars().count(),
        quote,
        score: one.probability,
    }
}

/// The quotations one after the other: sentences on a line, items and rows on their own.
fn join(chosen: &[Chosen<'_, '_, '_>]) -> String {
    let mut text = String::new();
    let mut last: Option<(u128, Kind)> = None;
    for (one, bytes) in chosen {
        let here = (one.chunk(), one.piece.kind);
        if let Some(before) = last {
            let flows = before == here && one.piece.kind == Kind::Sentence;
            text.push(if flows { ' ' } else { '\n' });
        }
        text.push_str(one.text(bytes.clone()));
        last = Some(here);
    }
    text
}

fn follow_ups(ranked: &[Ranked<'_>], used: &HashSet<u128>) -> Vec<String> {
    let mut headings: Vec<String> = Vec::new();
    let cited: HashSet<&str> = ranked
        .iter()
        .filter(|chunk| used.contains(&chunk.candidate.id))
        .filter_map(|chunk| chunk.candidate.heading.as_deref())
        .collect();
    for chunk in ranked.iter().take(CHUNKS_READ).filter(|chunk| chunk.coverage >= 0.2) {
        if let Some(heading) = chunk.candidate.heading.as_deref()
            && !cited.contains(heading)
            && headings.len() < NEAR_MISSES
            && headings.iter().all(|other| other != heading)
        {
            headings.push(heading.to_owned());
        }
    }
    headings
}
