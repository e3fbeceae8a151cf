//! What a piece of text (sentence, item, row) shows of an answer, and how much that weighs.
//!
//! A piece has a question's word when it holds it itself, or when what it stands under holds it: the line that introduces
//! it, its table's head, the heading, the title, the sentences beside it. What each of these shows is a feature from 0 to
//! 1, and a piece's score is their weighted sum. The weights are fitted to the tuning questions of `tests/evaluation`, as
//! its README says.

use std::ops::Range;

use super::evidence::Signs;
use super::pieces::{Kind, Piece};
use super::plan::Plan;
use super::question::Role;
use super::rank::{Found, Ranked};

/// How many features a piece has.
pub(super) const FEATURES: usize = 18;

/// A piece of a chunk, weighed.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    /// Which piece of the chunk it is.
    pub index: usize,
    /// The stretch of the chunk's text.
    pub bytes: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// How well it answers against others of the question: the difference of two scores is the logarithm of how much more
    /// probable one is than the other.
    pub score: f64,
    /// The share of the question's words, by weight, that it and what it stands under have.
    pub coverage: f64,
    /// The share of the one word that it lacks most.
    pub gap: f64,
    /// Whether it has what the question asks for: a date, an amount.
    pub met: f64,
    /// Whether it names the thing of the question with another number, and not with the question's.
    pub other: bool,
    /// What the score is made of, for fitting the weights.
    #[cfg(test)]
    pub features: [f64; FEATURES],
}

/// Weighs the pieces of a chunk. `relative` is its score against the best one's, `document` the terms of all candidates of
/// its document.
pub(super) fn weigh(
    plan: &Plan,
    chunk: &Ranked<'_>,
    relative: f64,
    found: &[Piece],
    document: u64,
) -> Vec<Weighed> {
    let mut weighed = Vec::with_capacity(found.len());
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
            own,
            lead_terms | header_terms,
            chunk.heading_terms,
            chunk.title_terms,
            before,
            after,
            chunk.text_terms,
            document,
        ];
        for at in 1..reach.len() {
            reach[at] |= reach[at - 1];
        }
        let met = plan.asks.met_by(signs);
        weighed.push(weigh_one(plan, chunk, relative, (index, piece), &reach, met));
        if introduces {
            lead = Some(index);
        }
    }
    weighed
}

/// Weighs one piece. `reach` holds the terms of each place together with those before it: the piece, what introduces it,
/// the heading, the title, the sentence before, the one after, the chunk, the document.
fn weigh_one(
    plan: &Plan,
    chunk: &Ranked<'_>,
    relative: f64,
    (index, piece): (usize, &Piece),
    reach: &[u64; 8],
    met: f64,
) -> Weighed {
    let shows = plan.asks.shows();
    let quote = &chunk.candidate.text[piece.bytes.clone()];
    let whole = plan.slots.iter().map(|slot| slot.weight).sum::<f64>().max(f64::MIN_POSITIVE);
    let content = || plan.slots.iter().filter(|slot| !matches!(slot.role, Role::Filler | Role::Soft));
    let weightiest = content().max_by(|a, b| (a.weight * a.idf).total_cmp(&(b.weight * b.idf)));
    // What each place adds to those before it.
    let mut gained = [0.0; 8];
    let (mut soft, mut gap, mut lacking) = (0.0, 0.0_f64, 0.0_f64);
    for slot in &plan.slots {
        let share = slot.weight / whole;
        let mut have = 0.0_f64;
        for (at, terms) in reach.iter().enumerate() {
            // The parts of a compound far from each other are not the compound.
            let credit = if at < 3 { slot.credit(*terms) } else { slot.single_credit(*terms) };
            if credit > have {
                gained[at] += share * (credit - have);
                have = credit;
            }
        }
        if slot.role == Role::Soft && met >= 1.0 && shows {
            soft += share * (1.0 - have);
        }
    }
    for slot in content() {
        let above = slot.credit(reach[2]);
        gap = gap.max(slot.weight / whole * (1.0 - above.max(slot.single_credit(reach[6]))));
        lacking = lacking.max(slot.idf * (1.0 - above));
    }
    let other = other_number(plan, chunk, &piece.bytes);
    let coverage = gained[..7].iter().sum::<f64>() + soft;
    let flag = |on: bool| f64::from(u8::from(on));
    #[expect(clippy::cast_precision_loss, reason = "a piece has few words")]
    let words = quote.split_whitespace().count().max(1) as f64;
    let [own_share, lead_share, heading, title, before_share, _, in_chunk, in_document] = gained;
    let features: [f64; FEATURES] = [
        own_share,
        own_share * own_share,
        lead_share,
        heading,
        title,
        before_share,
        in_chunk,
        in_document,
        weightiest.map_or(0.0, |slot| slot.credit(reach[0])),
        if plan.asks.is_measured() { met } else { 0.0 },
        if shows && !plan.asks.is_measured() { met } else { 0.0 },
        relative,
        chunk.coverage,
        words.ln() / 5.0,
        flag(quote.ends_with('?') || matches!(piece.kind, Kind::Header | Kind::Heading(_))),
        flag(plan.language.is_some_and(|language| language != chunk.candidate.language)),
        lacking / 7.0,
        flag(other),
    ];
    let score = WEIGHTS.iter().zip(features).map(|((_, weight), feature)| weight * feature).sum();
    Weighed {
        index,
        bytes: piece.bytes.clone(),
        kind: piece.kind,
        score,
        coverage,
        gap,
        met,
        other,
        #[cfg(test)]
        features,
    }
}

/// The features, in order, and what each weighs.
const WEIGHTS: [(&str, f64); FEATURES] = [
    ("the share of the question, by weight, that it has itself", 6.88),
    ("the same squared: the first words count most", -3.33),
    ("what the line or the table's head above adds", 2.51),
    ("what the heading adds", 3.18),
    ("what the document's title adds", 0.51),
    ("what the sentence before adds", 1.41),
    ("what only the rest of the chunk has", -5.76),
    ("what only the rest of the document has", 4.19),
    ("whether it has the weightiest word", 0.48),
    ("whether it has the date or figure that is asked for", 3.48),
    ("whether it has the person, place, contact or reason that is asked for", 3.96),
    ("the chunk's score against the best one's", 4.95),
    ("the chunk's coverage of the question", 2.90),
    ("its number of words", 1.60),
    ("whether it asks or heads, and states nothing", -1.97),
    ("whether it is in another language than the question", -3.73),
    ("how rare the word is that it and its headings lack", -3.16),
    ("whether it names another number of the thing", 0.27),
];

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
        // The names that the question gives are not the one that it asks for.
        if one.signs.has(Signs::CAPITAL) && one.terms == 0 {
            if last.is_some_and(|position| one.position == position + 1) {
                return Signs::PERSON;
            }
            last = Some(one.position);
        }
    }
    Signs::default()
}
