//! A store in memory that keeps the same contract as a database's.

use std::collections::{BTreeMap, HashMap};

use super::super::{
    Answer, Candidate, Format, Neighbourhood, Options, Plan, Question, Statistics, Vocabulary, answer, chunk,
    index, rank,
};

/// How many candidates a search returns.
const CANDIDATES: usize = 200;

/// Documents, their chunks and the lexicon.
#[derive(Default)]
pub struct Memory {
    /// The documents' titles and texts.
    pub documents: Vec<(String, String)>,
    chunks: Vec<Candidate>,
    words: usize,
    postings: HashMap<String, Vec<usize>>,
    lexicon: BTreeMap<String, u64>,
}

impl Memory {
    /// Adds a document.
    pub fn add(&mut self, title: &str, text: &str, format: Format) {
        let document = self.documents.len() as u128;
        self.documents.push((title.to_owned(), text.to_owned()));
        let chunks = chunk(text, format);
        let terms = index(text, title, &chunks, &Vocabulary::of(text));
        for (chunk, terms) in chunks.into_iter().zip(terms) {
            let id = self.chunks.len();
            let mut all: Vec<String> =
                terms.text.into_iter().chain(terms.heading).map(|(term, _)| term).collect();
            all.sort_unstable();
            all.dedup();
            for term in all {
                *self.lexicon.entry(term.clone()).or_default() += 1;
                self.postings.entry(term).or_default().push(id);
            }
            self.words += chunk.words;
            self.chunks.push(Candidate {
                id: id as u128,
                document,
                title: title.to_owned(),
                heading: chunk.heading,
                text: text[chunk.bytes].to_owned(),
                start: chunk.start,
                language: chunk.language,
            });
        }
    }

    /// What is known of the terms.
    pub fn statistics(&self, terms: &[String]) -> Statistics {
        let counts = terms.iter().filter_map(|term| Some((term.clone(), *self.lexicon.get(term)?))).collect();
        let whole = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let average_words = whole(self.words) / whole(self.chunks.len().max(1));
        Statistics { chunks: self.chunks.len() as u64, average_words, counts }
    }

    fn neighbours(&self, wanted: &Neighbourhood) -> Vec<(String, u64)> {
        let from = self
            .lexicon
            .range(wanted.prefix.clone()..)
            .take_while(|(term, _)| term.starts_with(&wanted.prefix));
        let lengths = wanted.shortest..=wanted.longest;
        let mut found: Vec<(String, u64)> = from
            .filter(|(term, _)| lengths.contains(&term.chars().count()))
            .map(|(term, count)| (term.clone(), *count))
            .collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(wanted.limit);
        found
    }

    /// Searches: the question, its plan, the candidates and the statistics.
    pub fn search(&self, text: &str) -> (Question, Plan, Vec<Candidate>, Statistics) {
        let mut question = Question::read(text);
        let mut statistics = self.statistics(&question.lookups());
        let neighbours: Vec<(String, u64)> =
            question.unknown(&statistics).iter().flat_map(|wanted| self.neighbours(wanted)).collect();
        question.correct(&neighbours, &mut statistics);
        let plan = question.plan(&statistics);
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for term in &plan.terms {
            for id in self.postings.get(&term.term).into_iter().flatten() {
                *sums.entry(*id).or_default() += term.weight;
            }
        }
        let mut best: Vec<(usize, f64)> = sums.into_iter().collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        best.truncate(CANDIDATES);
        let candidates: Vec<Candidate> = best.into_iter().map(|(id, _)| self.chunks[id].clone()).collect();
        (question, plan, candidates, statistics)
    }

    /// Asks, and returns what the search found as well: the ranked chunks.
    pub fn ask_with(&self, text: &str, options: &Options) -> (Answer, Question, Vec<Candidate>) {
        let (question, plan, candidates, statistics) = self.search(text);
        let ranked = rank(&plan, &candidates, &statistics);
        let answer = answer(&plan, &question, &ranked, options);
        let order = ranked.iter().map(|one| one.candidate.clone()).collect();
        (answer, question, order)
    }

    /// Asks.
    pub fn ask(&self, text: &str) -> Answer {
        self.ask_with(text, &Options::default()).0
    }

    /// Whether a quotation is what the document has there.
    pub fn is_exact(&self, document: u128, start: usize, end: usize, quote: &str) -> bool {
        let at = usize::try_from(document).unwrap_or(usize::MAX);
        let Some((_, text)) = self.documents.get(at) else { return false };
        text.chars().skip(start).take(end - start).eq(quote.chars())
    }
}
