//! Words and sentences of a text, for whoever reads texts without searching them.
//!
//! The same analysis as that of documents and questions, so that what is counted here and what the index counts are the
//! same terms.

use std::ops::Range;

use super::{Format, Language, pieces, words};

/// What a stretch of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A heading.
    Heading,
    /// A sentence of a paragraph.
    Sentence,
    /// A list item, or a sentence of a long one.
    Item,
    /// A row of a table, its head included.
    Row,
    /// Code.
    Code,
}

/// A sentence of a text, or what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// What it is.
    pub kind: Kind,
    /// The stretch without marker and white space, in bytes.
    pub bytes: Range<usize>,
    /// Which block of the text it belongs to.
    pub block: u32,
}

/// The sentences of a text, in order.
pub fn sentences(text: &str, format: Format) -> Vec<Sentence> {
    let kind = |kind| match kind {
        pieces::Kind::Heading(_) => Kind::Heading,
        pieces::Kind::Sentence => Kind::Sentence,
        pieces::Kind::Item => Kind::Item,
        pieces::Kind::Header | pieces::Kind::Row => Kind::Row,
        pieces::Kind::Code => Kind::Code,
    };
    let all = pieces::pieces(text, format).into_iter();
    all.map(|piece| Sentence { kind: kind(piece.kind), bytes: piece.bytes, block: piece.block }).collect()
}

/// The words of a text by Unicode's boundaries, with where they begin, in bytes.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    words::words(text)
}

/// A word in one spelling: compatibility forms composed, lower case, a straight apostrophe.
pub fn normal(word: &str) -> String {
    words::normal(word)
}

/// The stem of a [`normal`] word, without accents.
pub fn stem(lower: &str, language: Language) -> String {
    words::stem(lower, language)
}

/// Whether a [`normal`] word says too little to search for.
pub fn is_stop_word(lower: &str, language: Language) -> bool {
    words::is_stop_word(lower, language)
}

/// A number in one spelling: `2.500`, `2,500` and `2 500` are 2500; `2,5` is `2.5`; a date is `2025-03-31`.
pub fn number(text: &str) -> String {
    words::number(text)
}

/// The parts that a [`normal`] German compound is made of, as stems; `known` adds nouns to those in general use.
pub fn compound_parts(lower: &str, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    words::parts(lower, &|stem| words::is_common_part(stem) || known(stem))
}
