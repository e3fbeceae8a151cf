//! Choosing the sentences that answer, or saying that none does.
//!
//! A piece of text (sentence, item, row) covers a question's word when it has it itself, or when what it stands under has
//! it: the line that introduces it, its table's head, the heading, the title, the sentences beside it; each counts less.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::evidence::Signs;
use super::pieces::{Kind, Piece, pieces};
use super::plan::{Plan, PlanSlot};
use super::question::{Question, Role};
use super::rank::{Found, Ranked};
use super::{Asks, Format, Language};

/// How many of the best chunks are read sentence by sentence.
const CHUNKS_READ: usize = 25;
/// What the margin over other chunks adds to the coverage that is asked for.
const LEAD_OVER_OTHERS: f64 = 0.2;
/// The longest list that is quoted as one, in bytes.
const LIST_BYTES: usize = 900;
/// How many near misses and follow-ups are given.
const NEAR_MISSES: usize = 3;

/// What a word counts where it stands.
mod place {
    pub const LEAD: f64 = 0.9;
    pub const HEADING: f64 = 0.85;
    pub const TITLE: f64 = 0.75;
    pub const BEFORE: f64 = 0.65;
    pub const AFTER: f64 = 0.4;
    pub const CHUNK: f64 = 0.35;
    pub const DOCUMENT: f64 = 0.5;
}

/// How an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The most sentences, 1 to 4; a short list under its introduction counts as one.
    pub sentences: usize,
    /// What coverage × (0.6 + 0.4 × kind) + 0.2 × margin of the best sentence must reach, 0 to 1.2; less answers more, and
    /// more of it wrongly.
    pub coverage: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sentences: 3, coverage: 0.68 }
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
    /// How well it answers, 0 to 1.
    pub score: f64,
}

/// How sure an answer is, 0 to 1, and why: 0.6 × coverage + 0.25 × kind + 0.15 × margin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Confidence {
    /// The whole.
    pub value: f64,
    /// The share of the question's words, by weight, that the best sentence and what it stands under have.
    pub coverage: f64,
    /// Whether the sentence has what the question asks for: a date, an amount.
    pub kind: f64,
    /// How far the best sentence is ahead of the best one of another chunk: twice the difference, relative, at most 1.
    pub margin: f64,
}

/// A piece that was weighed.
struct Weighed<'r, 'a> {
    ranked: &'r Ranked<'a>,
    /// The rank of its chunk, from 0.
    rank: usize,
    /// Which piece of the chunk it is.
    index: usize,
    bytes: Range<usize>,
    kind: Kind,
    score: f64,
    coverage: f64,
    met: f64,
    own: u64,
}

/// Picks the answer from the ranked chunks.
pub fn answer(plan: &Plan, question: &Question, ranked: &[Ranked<'_>], options: &Options) -> Answer {
    let top = ranked.first().map_or(0.0, |first| first.score);
    let documents = document_terms(ranked);
    let mut weighed: Vec<Weighed<'_, '_>> = Vec::new();
    let mut read: Vec<Vec<Piece>> = Vec::new();
    for (rank, chunk) in ranked.iter().take(CHUNKS_READ).enumerate() {
        let found = pieces(&chunk.candidate.text, Format::Markdown);
        let relative = if top > 0.0 { chunk.score / top } else { 0.0 };
        let document = documents.get(&chunk.candidate.document).copied().unwrap_or(0);
        weigh(plan, chunk, (rank, relative), &found, document, &mut weighed);
        read.push(found);
    }
    weighed.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(a.rank.cmp(&b.rank)).then(a.bytes.start.cmp(&b.bytes.start))
    });
    let Some(best) = weighed.first() else {
        return Answer {
            answered: false,
            text: None,
            citations: Vec::new(),
            near_misses: Vec::new(),
            confidence: Confidence::default(),
            follow_ups: Vec::new(),
        };
    };
    let confidence = confidence(best, &weighed);
    let document = documents.get(&best.ranked.candidate.document).copied().unwrap_or(0);
    let answered = !question.is_empty()
        && best.coverage * (0.6 + 0.4 * best.met) + LEAD_OVER_OTHERS * confidence.margin >= options.coverage
        && best.met > 0.0
        && has_keys(plan, best.ranked, document)
        && has_numbered(plan, ranked, best.ranked.candidate.document);
    let mut used: HashSet<u128> = HashSet::new();
    let (mut citations, mut near_misses, mut text) = (Vec::new(), Vec::new(), None);
    if answered {
        let chosen = choose(plan, &weighed, &read, options.sentences.clamp(1, 4));
        citations = chosen.iter().map(|(one, bytes)| cite(one, bytes.clone())).collect();
        used.extend(chosen.iter().map(|(one, _)| one.ranked.candidate.id));
        text = Some(join(&chosen));
    } else {
        for one in &weighed {
            if near_misses.len() < NEAR_MISSES && used.insert(one.ranked.candidate.id) {
                near_misses.push(cite(one, one.bytes.clone()));
            }
        }
    }
    let follow_ups = follow_ups(ranked, &used);
    Answer { answered, text, citations, near_misses, confidence, follow_ups }
}

/// The terms that the candidates of each document have together.
fn document_terms(ranked: &[Ranked<'_>]) -> BTreeMap<u128, u64> {
    let mut documents = BTreeMap::new();
    for chunk in ranked {
        *documents.entry(chunk.candidate.document).or_insert(0) |=
            chunk.text_terms | chunk.heading_terms | chunk.title_terms;
    }
    documents
}

fn weigh<'r, 'a>(
    plan: &Plan,
    chunk: &'r Ranked<'a>,
    (rank, relative): (usize, f64),
    found: &[Piece],
    document: u64,
    into: &mut Vec<Weighed<'r, 'a>>,
) {
    let text = &chunk.candidate.text;
    let heading_signs = Signs::of_marks(chunk.candidate.heading.as_deref().unwrap_or_default());
    let inside = |bytes: &Range<usize>| {
        let from = chunk.found.partition_point(|one| one.start < bytes.start);
        let words = chunk.found[from..].iter().take_while(|one| one.start < bytes.end);
        words.fold((0, Signs::default()), |(terms, signs), one| {
            // A number that the question has is not what it asks for.
            let given = one.terms != 0 && one.signs.has(Signs::DIGITS);
            (terms | one.terms, if given { signs } else { signs | one.signs })
        })
    };
    let read: Vec<(u64, Signs)> = found
        .iter()
        .map(|piece| {
            let (terms, signs) = inside(&piece.bytes);
            (terms, signs | Signs::of_marks(&text[piece.bytes.clone()]) | names(chunk, &piece.bytes))
        })
        .collect();
    // The last line that introduces what follows it, and the head of the table.
    let mut lead: Option<usize> = None;
    for (index, piece) in found.iter().enumerate() {
        let quote = &text[piece.bytes.clone()];
        let introduces = introduces(quote, piece.kind);
        if matches!(piece.kind, Kind::Sentence) && !introduces {
            let question_before = lead.is_some_and(|at| text[found[at].bytes.clone()].ends_with('?'));
            if !question_before {
                lead = None;
            }
        }
        let lead_in = lead.or_else(|| {
            let listed = matches!(piece.kind, Kind::Item | Kind::Row);
            let first = (0..index)
                .rev()
                .find(|at| found[*at].block != piece.block && !matches!(found[*at].kind, Kind::Item));
            first.filter(|_| listed)
        });
        let header = (0..index)
            .rev()
            .take(200)
            .find(|at| found[*at].block == piece.block && found[*at].kind == Kind::Header);
        let header = header.filter(|_| piece.kind == Kind::Row);
        let (own, own_signs) = read[index];
        let of = |at: Option<usize>| at.and_then(|at| read.get(at)).copied().unwrap_or_default();
        let (lead_terms, lead_signs) = of(lead_in);
        let (header_terms, header_signs) = of(header);
        let (before, _) = of(index.checked_sub(1));
        let (after, _) = of(Some(index + 1));
        let signs = own_signs | (lead_signs | header_signs | heading_signs).units();
        let mut reach = [
            (own, 1.0),
            (lead_terms | header_terms, place::LEAD),
            (chunk.heading_terms, place::HEADING),
            (chunk.title_terms, place::TITLE),
            (before, place::BEFORE),
            (after, place::AFTER),
            (chunk.text_terms, place::CHUNK),
        ];
        for at in 1..reach.len() {
            reach[at].0 |= reach[at - 1].0;
        }
        let met = plan.asks.met_by(signs);
        let (mut covered, mut whole, mut by_itself) = (0.0, 0.0, 0.0);
        for slot in &plan.slots {
            let credit = slot_credit(slot, &reach, document, met, plan.asks);
            covered += slot.weight * credit;
            by_itself += slot.weight * slot.credit(own);
            whole += slot.weight;
        }
        if whole <= 0.0 {
            continue;
        }
        let coverage = covered / whole;
        let coverage = if other_number(plan, chunk, &piece.bytes) { 0.5 * coverage } else { coverage };
        let mut score = coverage * (0.55 + 0.45 * met) + 0.1 * by_itself / whole;
        if own == 0 && plan.slots.iter().any(|slot| !slot.forms.is_empty()) {
            score *= 0.85;
        }
        let asks_itself = quote.ends_with('?');
        if asks_itself || matches!(piece.kind, Kind::Header | Kind::Heading(_)) {
            score *= 0.3;
        } else if introduces && found.get(index + 1).is_none() {
            score *= 0.6;
        }
        #[expect(clippy::cast_precision_loss, reason = "a chunk has few pieces")]
        let early = 0.03 / (1.0 + index as f64);
        score = score.mul_add(0.8 + 0.2 * relative, early);
        into.push(Weighed {
            ranked: chunk,
            rank,
            index,
            bytes: piece.bytes.clone(),
            kind: piece.kind,
            score: score.clamp(0.0, 1.0),
            coverage,
            met,
            own,
        });
        if introduces {
            lead = Some(index);
        }
    }
}

/// How well a piece has a word, itself or by what it stands under.
fn slot_credit(slot: &PlanSlot, reach: &[(u64, f64)], document: u64, met: f64, asks: Asks) -> f64 {
    let whole = reach.iter().take(3).map(|(terms, place)| place * slot.credit(*terms));
    // The parts of a compound far from each other are not the compound.
    let far = reach.iter().skip(3).map(|(terms, place)| place * slot.single_credit(*terms));
    let near = whole.chain(far).fold(0.0, f64::max);
    let soft = if slot.role == Role::Soft && met >= 1.0 && asks != Asks::Other { 1.0 } else { 0.0 };
    let named = if slot.role == Role::Key { place::DOCUMENT * slot.credit(document) } else { 0.0 };
    near.max(soft).max(named)
}

/// Whether the chunk, or for names its document, has every key of the question.
fn has_keys(plan: &Plan, chunk: &Ranked<'_>, document: u64) -> bool {
    let all = chunk.text_terms | chunk.heading_terms | chunk.title_terms | document;
    plan.slots.iter().filter(|slot| slot.role == Role::Key).all(|slot| slot.credit(all) > 0.5)
}

/// Whether a stretch speaks of the thing with another number than the question: `Model 40` for `Model 60`.
fn other_number(plan: &Plan, chunk: &Ranked<'_>, bytes: &Range<usize>) -> bool {
    let from = chunk.found.partition_point(|one| one.start < bytes.start);
    let inside: Vec<_> = chunk.found[from..].iter().take_while(|one| one.start < bytes.end).collect();
    plan.numbered.iter().any(|(word, number)| {
        let named = |pair: &&[&Found]| {
            plan.slots[*word].credit(pair[0].terms) > 0.5
                && pair[1].position == pair[0].position + 1
                && pair[1].signs.has(Signs::DIGITS)
        };
        let mut right = inside
            .windows(2)
            .filter(named)
            .map(|pair| plan.slots[*number].credit(pair[1].terms) > 0.5)
            .peekable();
        right.peek().is_some() && !right.any(|right| right)
    })
}

/// Whether the document has each numbered thing of the question, word and number together.
fn has_numbered(plan: &Plan, ranked: &[Ranked<'_>], document: u128) -> bool {
    let mut chunks = ranked.iter().filter(|chunk| chunk.candidate.document == document);
    plan.numbered
        .iter()
        .enumerate()
        .all(|(at, _)| chunks.clone().any(|chunk| chunk.numbered & (1 << at.min(63)) != 0))
        || (plan.numbered.is_empty() && chunks.next().is_some())
}

/// Whether a line stands before what it speaks of: it ends in a colon or a question mark, is a heading, or all bold.
fn introduces(quote: &str, kind: Kind) -> bool {
    let bare = quote.trim_end_matches(['*', '_']);
    match kind {
        Kind::Heading(_) => true,
        Kind::Sentence | Kind::Item => {
            bare.ends_with([':', '?'])
                || (quote.starts_with("**") && quote.ends_with("**") && quote.len() < 120)
        }
        _ => false,
    }
}

/// The sign of a name: two capitalised words in a row, as names are written.
fn names(chunk: &Ranked<'_>, bytes: &Range<usize>) -> Signs {
    let from = chunk.found.partition_point(|one| one.start < bytes.start);
    let mut last: Option<u32> = None;
    for one in chunk.found[from..].iter().take_while(|one| one.start < bytes.end) {
        if one.signs.has(Signs::CAPITAL) {
            if last.is_some_and(|position| one.position == position + 1) {
                return Signs::PERSON;
            }
            last = Some(one.position);
        }
    }
    Signs::default()
}

fn confidence(best: &Weighed<'_, '_>, weighed: &[Weighed<'_, '_>]) -> Confidence {
    let next = weighed.iter().find(|one| one.rank != best.rank).map_or(0.0, |one| one.score);
    let margin =
        if best.score > 0.0 { (2.0 * (best.score - next) / best.score).clamp(0.0, 1.0) } else { 0.0 };
    let coverage = best.coverage.clamp(0.0, 1.0);
    let value = 0.6 * coverage + 0.25 * best.met + 0.15 * margin;
    Confidence { value, coverage, kind: best.met, margin }
}

type Chosen<'w, 'r, 'a> = (&'w Weighed<'r, 'a>, Range<usize>);

/// The best piece, what it needs to be understood, and others that say something more.
fn choose<'w, 'r, 'a>(
    plan: &Plan,
    weighed: &'w [Weighed<'r, 'a>],
    read: &[Vec<Piece>],
    most: usize,
) -> Vec<Chosen<'w, 'r, 'a>> {
    let Some(best) = weighed.first() else { return Vec::new() };
    let mut chosen: Vec<Chosen<'w, 'r, 'a>> = Vec::new();
    let whole: f64 = plan.slots.iter().map(|slot| slot.weight).sum();
    let mut have = 0;
    for one in weighed {
        if chosen.len() >= most {
            break;
        }
        let text = one.ranked.candidate.text.as_str();
        let bytes = with_list(plan.asks, one, &read[one.rank], text);
        let taken = |(other, stretch): &Chosen<'_, '_, '_>| {
            other.rank == one.rank && stretch.start < bytes.end && bytes.start < stretch.end
        };
        if chosen.iter().any(taken) {
            continue;
        }
        if !chosen.is_empty() {
            let gain: f64 = plan
                .slots
                .iter()
                .map(|slot| slot.weight * (slot.credit(have | one.own) - slot.credit(have)))
                .sum();
            let adds = gain / whole.max(f64::MIN_POSITIVE) >= 0.15 && one.score >= 0.7 * best.score;
            let as_good = one.score >= 0.97 * best.score && one.own != 0;
            // The sentence beside it says when or how much in another case.
            let beside = one.rank == best.rank
                && one.index.abs_diff(best.index) == 1
                && one.score >= 0.7 * best.score
                && one.met >= 1.0
                && plan.asks.is_measured();
            let speaks = one.met > 0.0 && !text[one.bytes.clone()].ends_with('?');
            let repeats = || {
                chosen.iter().any(|(other, stretch)| {
                    similarity(&other.ranked.candidate.text[stretch.clone()], &text[bytes.clone()]) > 0.5
                })
            };
            if !(adds || as_good || beside) || !speaks || repeats() {
                continue;
            }
        }
        have |= one.own;
        // A sentence that begins with a pronoun is understood with the one before it.
        if chosen.len() + 1 < most
            && leans_back(&text[bytes.clone()])
            && let Some(before) =
                weighed.iter().find(|other| other.rank == one.rank && other.index + 1 == one.index)
            && matches!(before.kind, Kind::Sentence)
            && !chosen.iter().any(|(other, _)| other.rank == before.rank && other.index == before.index)
        {
            chosen.push((before, before.bytes.clone()));
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
fn with_list(asks: Asks, one: &Weighed<'_, '_>, found: &[Piece], text: &str) -> Range<usize> {
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

fn cite(one: &Weighed<'_, '_>, bytes: Range<usize>) -> Citation {
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
        score: one.score,
    }
}

/// The quotations one after the other: sentences on a line, items and rows on their own.
fn join(chosen: &[Chosen<'_, '_, '_>]) -> String {
    let mut text = String::new();
    let mut last: Option<(u128, Kind)> = None;
    for (one, bytes) in chosen {
        let here = (one.ranked.candidate.id, one.kind);
        if let Some(before) = last {
            let flows = before == here && one.kind == Kind::Sentence;
            text.push(if flows { ' ' } else { '\n' });
        }
        text.push_str(&one.ranked.candidate.text[bytes.clone()]);
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
