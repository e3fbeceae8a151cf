//! Ordering candidates: BM25F over text, heading and title, with proximity, coverage and signs of the answer's kind.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::evidence::Signs;
use super::pieces::{Piece, pieces};
use super::plan::{Plan, PlanSlot, Statistics};
use super::weigh::{Weighed, weigh};
use super::words::{Kind, bare, bounded, is_common_part, normal, parts, terms_of, tokens};
use super::{Format, Language, Role};

/// BM25's saturation and length normalisation: the usual 1.2 and 0.75 (Robertson and Zaragoza, 2009, §3.2).
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// BM25F's weights of a heading and a title against the text; our own, by the tuning questions.
const HEADING: f64 = 2.0;
const TITLE: f64 = 1.0;
/// How many of the best chunks are read sentence by sentence.
pub(super) const CHUNKS_READ: usize = 25;
/// How near two of the question's words must be to support each other, in words.
const NEAR: u32 = 8;

/// A chunk that may answer.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The chunk; breaks ties.
    pub id: u128,
    /// Its document.
    pub document: u128,
    /// The document's title.
    pub title: String,
    /// The chunk's heading path.
    pub heading: Option<String>,
    /// The chunk's text, exactly as the document has it.
    pub text: String,
    /// Where the text begins in the document, in characters.
    pub start: usize,
    /// Its language.
    pub language: Language,
}

/// A candidate with its score.
#[derive(Debug, Clone)]
pub struct Ranked<'a> {
    /// The candidate.
    pub candidate: &'a Candidate,
    /// Its score, 0 or more; comparable within one question only.
    pub score: f64,
    /// How much of the question its text, heading and title cover, 0 to 1.
    pub coverage: f64,
    /// The words of the text that matter, in order.
    pub(super) found: Vec<Found>,
    pub(super) text_terms: u64,
    pub(super) heading_terms: u64,
    pub(super) title_terms: u64,
    /// Which of the plan's numbered things the text, heading or title names, as bits.
    pub(super) numbered: u64,
    /// What its text is made of; of the first [`CHUNKS_READ`] only.
    pub(super) pieces: Vec<Piece>,
    /// The same weighed, in the order of the text.
    pub(super) weighed: Vec<Weighed>,
}

impl Ranked<'_> {
    /// How well its best sentence answers, comparable within one question only; none when it was not read by sentences.
    pub fn sentence(&self) -> Option<f64> {
        (!self.weighed.is_empty()).then(|| self.best())
    }

    /// The score of its best piece.
    fn best(&self) -> f64 {
        self.weighed.iter().map(|one| one.score).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// A word of a text that is a term of the question or a sign of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub start: usize,
    pub position: u32,
    pub terms: u64,
    pub signs: Signs,
}

/// The candidates in order, the best first: the best chunks by their words, those again by their best sentence. Ties are
/// broken by id.
pub fn rank<'a>(plan: &Plan, candidates: &'a [Candidate], statistics: &Statistics) -> Vec<Ranked<'a>> {
    let mut reader = Reader::new(plan);
    let mut ranked: Vec<Ranked<'a>> =
        candidates.iter().map(|candidate| score(plan, candidate, statistics, &mut reader)).collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.candidate.id.cmp(&b.candidate.id)));
    let top = ranked.first().map_or(0.0, |first| first.score).max(f64::MIN_POSITIVE);
    let documents = document_terms(&ranked);
    let read = ranked.len().min(CHUNKS_READ);
    for chunk in &mut ranked[..read] {
        let document = documents.get(&chunk.candidate.document).copied().unwrap_or(0);
        chunk.pieces = pieces(&chunk.candidate.text, Format::Markdown);
        chunk.weighed = weigh(plan, chunk, chunk.score / top, &chunk.pieces, document);
    }
    ranked[..read].sort_by(|a, b| b.best().total_cmp(&a.best()));
    ranked
}

/// The terms that the candidates of each document have together.
pub(super) fn document_terms(ranked: &[Ranked<'_>]) -> BTreeMap<u128, u64> {
    let mut documents = BTreeMap::new();
    for chunk in ranked {
        *documents.entry(chunk.candidate.document).or_insert(0) |=
            chunk.text_terms | chunk.heading_terms | chunk.title_terms;
    }
    documents
}

fn score<'a>(
    plan: &Plan,
    candidate: &'a Candidate,
    statistics: &Statistics,
    reader: &mut Reader<'_, 'a>,
) -> Ranked<'a> {
    let mut text = [0_u16; 64];
    let mut heading = [0_u16; 64];
    let mut title = [0_u16; 64];
    let (found, words) = reader.read(&candidate.text, candidate.language, &mut text);
    let (heading_found, _) =
        reader.read(candidate.heading.as_deref().unwrap_or_default(), candidate.language, &mut heading);
    let (title_found, _) = reader.read(&candidate.title, candidate.language, &mut title);
    let union = |found: &[Found]| found.iter().fold(0, |terms, one| terms | one.terms);
    let (text_terms, heading_terms, title_terms) =
        (union(&found), union(&heading_found), union(&title_found));

    let mut numbered = 0;
    for found in [&found, &heading_found, &title_found] {
        for (at, (word, number)) in plan.numbered.iter().take(64).enumerate() {
            let together = found.windows(2).any(|pair| {
                pair[1].position == pair[0].position + 1
                    && plan.slots[*word].credit(pair[0].terms) > 0.5
                    && plan.slots[*number].credit(pair[1].terms) > 0.5
            });
            numbered |= u64::from(together) << at;
        }
    }
    let average =
        if statistics.average_words > 0.0 { statistics.average_words } else { f64::from(words.max(1)) };
    let length = 1.0 - B + B * f64::from(words) / average;
    let all = text_terms | heading_terms | title_terms;
    let mut sum = 0.0;
    let (mut covered, mut whole) = (0.0, 0.0);
    for slot in &plan.slots {
        let frequency = |counts: &[u16; 64]| frequency(slot, counts);
        let weighed = frequency(&text) / length + HEADING * frequency(&heading) + TITLE * frequency(&title);
        sum += slot.weight * slot.idf * weighed * (K1 + 1.0) / (K1 + weighed);
        covered += slot.weight * slot.credit(all);
        whole += slot.weight;
    }
    let coverage = if whole > 0.0 { covered / whole } else { 0.0 };
    sum += 0.6 * nearness(plan, &found);
    let signs = found.iter().fold(Signs::default(), |signs, one| signs | one.signs)
        | Signs::of_marks(&candidate.text);
    let kind = 0.85 + 0.15 * plan.asks.met_by(signs);
    let score = sum * (0.3 + 0.7 * coverage * coverage) * kind;
    Ranked {
        candidate,
        score,
        coverage,
        found,
        text_terms,
        heading_terms,
        title_terms,
        numbered,
        pieces: Vec::new(),
        weighed: Vec::new(),
    }
}

/// How often a field has the word in its best form, less for other forms.
fn frequency(slot: &PlanSlot, counts: &[u16; 64]) -> f64 {
    let of_form = |(mask, credit): &(u64, f64)| {
        let rarest = (0..64).filter(|id| mask & (1 << id) != 0).map(|id| counts[id]).min().unwrap_or(0);
        f64::from(rarest) * credit
    };
    slot.forms.iter().map(of_form).fold(0.0, f64::max)
}

/// What the question's words gain by standing near one another, in the question's order more than in another.
fn nearness(plan: &Plan, found: &[Found]) -> f64 {
    let mut best = vec![0.0_f64; plan.slots.len()];
    let mut last: Option<(usize, u32)> = None;
    for one in found.iter().filter(|one| one.terms != 0) {
        let credits = plan.slots.iter().map(|slot| slot.credit(one.terms)).enumerate();
        let Some((slot, _)) = credits.filter(|(_, c)| *c > 0.3).max_by(|a, b| a.1.total_cmp(&b.1)) else {
            continue;
        };
        if let Some((before, position)) = last
            && before != slot
            && one.position >= position
            && one.position - position <= NEAR
        {
            let near = 1.0 / f64::from((one.position - position).max(1));
            let gain = if before < slot { near } else { 0.7 * near };
            best[slot] = best[slot].max(gain);
            best[before] = best[before].max(gain);
        }
        last = Some((slot, one.position));
    }
    let gains = plan.slots.iter().zip(best).filter(|(slot, _)| slot.role != Role::Filler);
    gains.map(|(slot, gain)| slot.weight * slot.idf * gain).sum()
}

/// What a word is, worked out once a question.
struct Reader<'p, 'a> {
    plan: &'p Plan,
    seen: HashMap<(&'a str, Kind, Language), (u64, Signs)>,
    /// The terms of letters, which compounds may have as parts.
    stems: Vec<&'p str>,
    beginnings: HashSet<&'p str>,
}

/// The first two letters of a stem.
fn beginning(stem: &str) -> &str {
    &stem[..stem.char_indices().nth(2).map_or(stem.len(), |(at, _)| at)]
}

impl<'p, 'a> Reader<'p, 'a> {
    fn new(plan: &'p Plan) -> Self {
        let long = |term: &&str| term.len() >= 3 && term.chars().all(char::is_alphabetic);
        let stems = plan.terms.iter().map(|term| term.term.as_str()).filter(long).collect();
        let beginnings = plan.terms.iter().map(|term| beginning(&term.term)).collect();
        Self { plan, seen: HashMap::new(), stems, beginnings }
    }

    /// The words of a text that matter, and how many words it has; counts the terms.
    fn read(&mut self, text: &'a str, language: Language, counts: &mut [u16; 64]) -> (Vec<Found>, u32) {
        let mut found = Vec::new();
        let mut words = 0;
        for token in tokens(text) {
            words = words.max(token.position + 1);
            let key = (bounded(token.text), token.kind, language);
            let (terms, signs) = if let Some(known) = self.seen.get(&key) {
                *known
            } else {
                let new = (self.terms(&token, language), Signs::of_token(&token));
                self.seen.insert(key, new);
                new
            };
            if terms != 0 || !signs.is_empty() {
                found.push(Found { start: token.start, position: token.position, terms, signs });
                let mut rest = terms;
                while rest != 0 {
                    let id = rest.trailing_zeros() as usize;
                    counts[id] = counts[id].saturating_add(1);
                    rest &= rest - 1;
                }
            }
        }
        (found, words)
    }

    fn terms(&self, token: &super::words::Token<'_>, language: Language) -> u64 {
        let bit = |term: &String| self.plan.ids.get(term).map_or(0, |id| 1_u64 << id);
        let spelled = token.kind == Kind::Word && !token.text.contains(|c: char| c.is_numeric() || c == '.');
        let bare = if spelled { bare(bounded(token.text), language) } else { String::new() };
        let holds = spelled && self.stems.iter().any(|stem| bare.contains(stem));
        // A word is its stem and an ending: most need not be stemmed to see that they are no term of the question.
        if spelled && !holds && !self.beginnings.contains(beginning(&bare)) {
            return 0;
        }
        let own = terms_of(token, language);
        let mut mask = own.iter().map(bit).fold(0, |all, one| all | one);
        if language == Language::German && holds && !own.is_empty() && token.text.len() >= 7 {
            let known = |term: &str| self.plan.ids.contains_key(term) || is_common_part(term);
            mask |= parts(&normal(token.text), &known).iter().map(bit).fold(0, |all, one| all | one);
        }
        mask
    }
}
