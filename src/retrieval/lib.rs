//! The built-in engine that answers questions from documents: text in, exact quotations out.
//!
//! It knows nothing of tenants, databases or requests. Whoever keeps the documents asks it in this order:
//!
//! 1. [`chunk()`] cuts a document, [`index`] gives the terms that each chunk is found by; both are stored, with a lexicon
//!    that counts the chunks of each term.
//! 2. [`Question::read`] reads a question. The store counts [`Question::lookups`] into [`Statistics`], gives the
//!    neighbourhoods that [`Question::unknown`] names, and [`Question::correct`] takes them up.
//! 3. [`Question::plan`] weighs the terms; the store returns the few hundred chunks with the greatest sum of
//!    [`PlanTerm::weight`] over the distinct terms that they hold, as [`Candidate`]s.
//! 4. [`rank()`] orders them and weighs the sentences of the best, [`answer()`] picks from these, or says that none answers.
//!
//! Where a model has made vectors of chunks and question, [`Nearest`] finds the chunks that mean the same, and [`fuse`] ranks
//! them together with those that have the words.
//!
//! No model is asked here and no text is made up: an answer is joined from stretches of the documents. Everything is bounded
//! and deterministic; what a document says is only ever text.

mod answer;
mod chunk;
mod evidence;
mod follow_up;
mod language;
mod pieces;
mod plan;
mod question;
mod rank;
pub mod reading;
mod vectors;
mod weigh;
mod words;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Citation, Confidence, Options, answer};
pub use chunk::{CHUNKS, Chunk, ChunkTerms, HEADING_CHARACTERS, chunk, index};
pub use evidence::Asks;
pub use follow_up::follow_up;
pub use language::Language;
pub use plan::{Plan, PlanTerm, Statistics};
use question::Role;
pub use question::{LOOKUPS, Lookup, LookupForm, NEIGHBOURS, Neighbourhood, Question, Sense};
pub use rank::{Candidate, Ranked, rank};
pub use vectors::{Nearest, Quantised, fuse};
pub use words::{TERM_BYTES, Vocabulary, terms};

/// How a document's text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Markdown: headings, lists, tables, block quotes and code by their marks.
    Markdown,
    /// Plain text: paragraphs; underlined, numbered and capital headings; lists and tab-separated tables.
    Plain,
}
