//! What a question's words weigh, by how many chunks hold them, and what to search for first.

use std::collections::HashMap;

use super::question::{Question, Role, Slot};
use super::{Asks, Language};

/// The most terms of a plan: one bit each of a word of the machine.
const TERMS: usize = 64;

/// What is known about the chunks that are searched.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// How many chunks there are.
    pub chunks: u64,
    /// How many words a chunk has on average.
    pub average_words: f64,
    /// How many chunks hold a term; a term that is not here is held by none.
    pub counts: HashMap<String, u64>,
}

impl Statistics {
    /// How many chunks hold the term.
    pub fn count(&self, term: &str) -> u64 {
        self.counts.get(term).copied().unwrap_or(0)
    }

    /// The inverse document frequency of what `count` chunks hold: ln(1 + (N − n + ½) / (n + ½)), as in BM25 (Robertson and
    /// Zaragoza, The Probabilistic Relevance Framework, 2009), kept above 0 by the 1.
    #[expect(clippy::cast_precision_loss, reason = "numbers of chunks are far below 2^52")]
    fn idf(&self, count: u64) -> f64 {
        let (all, held) = (self.chunks.max(count) as f64, count as f64);
        (1.0 + (all - held + 0.5) / (held + 0.5)).ln()
    }
}

/// A term to search for.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanTerm {
    /// The term.
    pub term: String,
    /// What a chunk gains by holding it.
    pub weight: f64,
}

/// A question weighed against the chunks.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The terms to search for, the most selective first.
    pub terms: Vec<PlanTerm>,
    /// What the question asks for.
    pub asks: Asks,
    /// The question's language, if it shows one.
    pub language: Option<Language>,
    pub(super) slots: Vec<PlanSlot>,
    /// Words followed by a number (`Model 60`, `version 6`), by their slots: with another number it is another thing.
    pub(super) numbered: Vec<(usize, usize)>,
    pub(super) ids: HashMap<String, u32>,
}

/// A word of the question, weighed.
#[derive(Debug, Clone)]
pub(super) struct PlanSlot {
    pub role: Role,
    /// Its share in the coverage of the question.
    pub weight: f64,
    pub idf: f64,
    /// The forms that some chunk may have: the terms as bits, and what the form counts.
    pub forms: Vec<(u64, f64)>,
}

impl PlanSlot {
    /// The same by forms of one term only.
    pub fn single_credit(&self, terms: u64) -> f64 {
        let single = self.forms.iter().filter(|(mask, _)| mask.is_power_of_two() && terms & mask == *mask);
        single.map(|(_, credit)| *credit).fold(0.0, f64::max)
    }

    /// How well a set of terms has the word: 0 to 1.
    pub fn credit(&self, terms: u64) -> f64 {
        let matched = self.forms.iter().filter(|(mask, _)| terms & mask == *mask).map(|(_, credit)| *credit);
        matched.fold(0.0, f64::max)
    }
}

impl Question {
    /// Weighs the question's words by the counts of its terms.
    pub fn plan(&self, statistics: &Statistics) -> Plan {
        let held = |terms: &[String]| terms.iter().map(|term| statistics.count(term)).min().unwrap_or(0);
        // What each term is worth at best; the words themselves before their other forms.
        let mut worth: HashMap<&str, (f64, f64)> = HashMap::new();
        let mut weighed = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let usable: Vec<_> = slot.forms.iter().filter(|form| held(&form.terms) > 0).collect();
            let whole = usable.iter().filter(|form| form.credit > 0.5);
            let best = whole.clone().map(|form| form.credit).fold(0.0, f64::max);
            let count = whole
                .filter(|form| form.credit >= best - 0.01)
                .map(|form| held(&form.terms))
                .max()
                .unwrap_or(0);
            let idf = statistics.idf(count);
            let importance = importance(slot, count > 0, self.language);
            let relative = idf / statistics.idf(0).max(f64::MIN_POSITIVE);
            for form in &usable {
                for term in &form.terms {
                    let rarity = statistics.idf(statistics.count(term));
                    let weight = rarity * form.credit * importance;
                    let entry = worth.entry(term).or_insert((0.0, 0.0));
                    entry.0 = entry.0.max(form.credit);
                    entry.1 = entry.1.max(weight);
                }
            }
            weighed.push((slot, usable, importance * (0.35 + 0.65 * relative), idf));
        }
        let mut terms: Vec<(&str, f64, f64)> =
            worth.into_iter().map(|(term, (credit, weight))| (term, credit, weight)).collect();
        terms.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(b.0)));
        terms.truncate(TERMS);
        terms.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(b.0)));
        let ids: HashMap<String, u32> =
            terms.iter().zip(0..).map(|((term, ..), id)| ((*term).to_owned(), id)).collect();
        let slots = weighed
            .into_iter()
            .map(|(slot, usable, weight, idf)| {
                let mask = |terms: &[String]| {
                    terms.iter().try_fold(0_u64, |mask, term| ids.get(term).map(|id| mask | 1 << id))
                };
                let forms =
                    usable.iter().filter_map(|form| Some((mask(&form.terms)?, form.credit))).collect();
                PlanSlot { role: slot.role, weight, idf, forms }
            })
            .collect();
        let terms =
            terms.into_iter().map(|(term, _, weight)| PlanTerm { term: term.to_owned(), weight }).collect();
        Plan { terms, asks: self.asks, language: self.language, slots, numbered: self.numbered(), ids }
    }
}

/// How much a word of its role matters.
fn importance(slot: &Slot, known: bool, language: Option<Language>) -> f64 {
    match slot.role {
        Role::Key => 1.6,
        Role::Noun => 1.25,
        // A verb or adjective that the documents lack is often said with another one.
        Role::Word if !known => 0.45,
        Role::Word if language == Some(Language::German) => 0.6,
        Role::Word => 0.8,
        Role::Soft => 0.35,
        Role::Filler => 0.1,
    }
}
