//! Cutting a document into chunks: under one heading each, 120 to 250 words, never inside a sentence or a row.

use std::ops::Range;

use super::pieces::{Kind, Piece, pieces};
use super::words::{Analyser, Vocabulary};
use super::{Format, Language};

/// A chunk is closed at the end of a block from this many words on.
const ENOUGH: usize = 120;
/// A chunk is closed at the end of a piece from this many words on.
const PLENTY: usize = 200;
/// The most words of a chunk, unless a single piece has more.
const MOST: usize = 250;
/// A word counts as one for each of so many bytes, so that text without spaces is bounded too.
const WORD_BYTES: usize = 12;
/// The longest heading path, in characters.
pub const HEADING_CHARACTERS: usize = 200;
/// The most chunks of a document; what follows them is not cut in.
pub const CHUNKS: usize = 20_000;
/// From so many chunks on a heading no longer ends a chunk.
const HEADED_CHUNKS: usize = 5_000;

/// A stretch of a document that is searched and ranked as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The headings above it, outermost first, joined by ` › `; at most [`HEADING_CHARACTERS`]. The later chunks of a long
    /// table have the table's head row last.
    pub heading: Option<String>,
    /// Where it begins, in characters (Unicode scalar values) of the document.
    pub start: usize,
    /// Where it ends, in characters; the first one after it.
    pub end: usize,
    /// The same stretch in bytes.
    pub bytes: Range<usize>,
    /// Its language; where it gives no sign of one, that of the document.
    pub language: Language,
    /// How many words it has.
    pub words: usize,
}

/// The terms that a chunk is found by, each with how often it occurs; in order, and at most [`super::TERM_BYTES`] long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkTerms {
    /// Those of its text.
    pub text: Vec<(String, u16)>,
    /// Those of its heading and of the document's title.
    pub heading: Vec<(String, u16)>,
}

/// Cuts a document into chunks, in order and without overlap. The time is linear in the text's length.
pub fn chunk(text: &str, format: Format) -> Vec<Chunk> {
    let main = Language::detect(text).unwrap_or(Language::German);
    let mut cutter =
        Cutter { text, main, chunks: Vec::new(), path: Vec::new(), open: None, offset: (0, 0), header: None };
    for piece in pieces(text, format) {
        if cutter.chunks.len() >= CHUNKS {
            break;
        }
        cutter.take(&piece);
    }
    cutter.drop_to(0);
    cutter.close();
    cutter.chunks
}

/// The index terms of a document's chunks, in their order. `vocabulary` holds the nouns that compounds are split at: that
/// of the text ([`Vocabulary::of`]) and what else is known.
pub fn index(text: &str, title: &str, chunks: &[Chunk], vocabulary: &Vocabulary) -> Vec<ChunkTerms> {
    let mut german = Analyser::new(Language::German, vocabulary);
    let mut english = Analyser::new(Language::English, vocabulary);
    let mut indexed = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let analyser = if chunk.language == Language::German { &mut german } else { &mut english };
        let heading = format!("{title}\n{}", chunk.heading.as_deref().unwrap_or_default());
        let body = text.get(chunk.bytes.clone()).unwrap_or_default();
        indexed.push(ChunkTerms { text: analyser.count(body), heading: analyser.count(&heading) });
    }
    indexed
}

/// The chunk that is being filled.
struct Filling {
    bytes: Range<usize>,
    words: usize,
    block: u32,
    heading: Option<String>,
}

struct Cutter<'a> {
    text: &'a str,
    main: Language,
    chunks: Vec<Chunk>,
    /// The headings above: level, text, stretch, and whether anything stands below it yet.
    path: Vec<Heading>,
    open: Option<Filling>,
    /// A byte offset and the character that begins there.
    offset: (usize, usize),
    /// The head row of the table in which the last piece was.
    header: Option<(u32, Range<usize>)>,
}

struct Heading {
    level: u8,
    text: String,
    bytes: Range<usize>,
    used: bool,
}

impl Cutter<'_> {
    fn take(&mut self, piece: &Piece) {
        if let Kind::Heading(level) = piece.kind {
            self.heading(level, piece);
            return;
        }
        for heading in &mut self.path {
            heading.used = true;
        }
        if piece.kind == Kind::Header {
            self.header = Some((piece.block, piece.bytes.clone()));
        }
        self.fill(piece.outer, &piece.bytes, piece.block);
    }

    fn heading(&mut self, level: u8, piece: &Piece) {
        self.drop_to(level);
        if self.chunks.len() < HEADED_CHUNKS {
            self.close();
        }
        let text = plain(&self.text[piece.bytes.clone()]);
        if let Some(parent) = self.path.last_mut() {
            parent.used = true;
        }
        self.path.push(Heading { level, text, bytes: piece.bytes.clone(), used: false });
    }

    /// Leaves the headings of this level and below. One with nothing under it becomes text itself.
    fn drop_to(&mut self, level: u8) {
        while let Some(last) = self.path.last()
            && last.level >= level
        {
            let Some(last) = self.path.pop() else { break };
            if !last.used {
                self.fill(last.bytes.start, &last.bytes, u32::MAX);
            }
        }
    }

    fn fill(&mut self, outer: usize, bytes: &Range<usize>, block: u32) {
        let words = count_words(&self.text[bytes.clone()]);
        if let Some(open) = &self.open {
            let new_block = open.block != block;
            let full =
                open.words + words > MOST || open.words >= PLENTY || (new_block && open.words >= ENOUGH);
            if full {
                self.close();
            }
        }
        if let Some(open) = &mut self.open {
            open.bytes.end = bytes.end;
            open.words += words;
            open.block = block;
        } else {
            let heading = self.path_text(block, bytes.start);
            self.open = Some(Filling { bytes: outer..bytes.end, words, block, heading });
        }
    }

    fn path_text(&self, block: u32, at: usize) -> Option<String> {
        let mut names: Vec<String> =
            self.path.iter().filter(|h| !h.text.is_empty()).map(|h| h.text.clone()).collect();
        if let Some((table, header)) = &self.header
            && *table == block
            && header.end <= at
        {
            let cells =
                self.text[header.clone()].split(['|', '\t']).map(str::trim).filter(|cell| !cell.is_empty());
            names.push(cells.map(plain).collect::<Vec<_>>().join(" | "));
        }
        // The innermost headings say most.
        let mut path = names.pop()?;
        while let Some(outer) = names.pop() {
            let longer = format!("{outer} › {path}");
            if longer.chars().count() > HEADING_CHARACTERS {
                break;
            }
            path = longer;
        }
        if path.chars().count() > HEADING_CHARACTERS {
            path = path.chars().take(HEADING_CHARACTERS - 1).chain(['…']).collect();
        }
        Some(path)
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        let start = self.characters(open.bytes.start);
        let end = self.characters(open.bytes.end);
        let body = &self.text[open.bytes.clone()];
        let language = Language::detect(body).unwrap_or(self.main);
        self.chunks.push(Chunk {
            heading: open.heading,
            start,
            end,
            bytes: open.bytes,
            language,
            words: open.words,
        });
    }

    /// Which character begins at a byte; asked in rising order.
    fn characters(&mut self, byte: usize) -> usize {
        let (last, count) = self.offset;
        let between = self.text.get(last..byte).unwrap_or_default();
        self.offset = (byte.max(last), count + between.chars().count());
        self.offset.1
    }
}

/// A heading's text without Markdown's marks: emphasis, code, and the targets of links.
fn plain(heading: &str) -> String {
    let mut out = String::new();
    let mut rest = heading;
    while let Some(at) = rest.find(['*', '`', '[', ']', '_']) {
        out.push_str(&rest[..at]);
        let mark = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        if mark == b']'
            && rest.starts_with('(')
            && let Some(close) = rest.find(')')
        {
            rest = &rest[close + 1..];
        } else if mark == b'_'
            && out.ends_with(char::is_alphanumeric)
            && rest.starts_with(char::is_alphanumeric)
        {
            out.push('_');
        }
        if out.len() > 4 * HEADING_CHARACTERS {
            break;
        }
    }
    out.push_str(rest);
    out.chars().filter(|c| !c.is_control()).take(HEADING_CHARACTERS).collect::<String>().trim().to_owned()
}

fn count_words(text: &str) -> usize {
    text.split_whitespace().count().max(text.len() / WORD_BYTES)
}
