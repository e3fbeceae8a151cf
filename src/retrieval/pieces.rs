//! What a text is made of: headings, sentences, list items, table rows, code, each an exact stretch of it.
//!
//! One reader for documents and for the chunks of documents; it looks at each line once and never goes back.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use super::words::{is_stop_word, normal};
use super::{Format, Language};

/// The longest piece, in bytes; a longer sentence, row or block of code is cut.
pub(super) const PIECE_BYTES: usize = 2_000;
/// The longest list item that stays one piece, in bytes.
const ITEM_BYTES: usize = 300;
/// The longest line that may be a heading, in bytes.
const HEADING_LINE: usize = 400;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A heading and its level from 1.
    Heading(u8),
    /// A sentence of a paragraph.
    Sentence,
    /// A list item, or a sentence of a long one.
    Item,
    /// The head row of a table.
    Header,
    /// A row of a table.
    Row,
    /// Code, or lines of it.
    Code,
}

/// A stretch of a text.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// What it is.
    pub kind: Kind,
    /// Where its line begins with its marker, in bytes.
    pub outer: usize,
    /// The stretch itself, without marker and white space, in bytes.
    pub bytes: Range<usize>,
    /// Which block of the text it belongs to.
    pub block: u32,
}

/// The pieces of a text, in order.
pub(super) fn pieces(text: &str, format: Format) -> Vec<Piece> {
    let mut reader =
        Reader { text, format, pieces: Vec::new(), open: Open::Nothing, lines: Vec::new(), block: 0 };
    reader.read();
    reader.pieces
}

/// The block that the reader is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Paragraph,
    Item { text: usize },
    Table,
    Fence { mark: u8, length: usize, start: usize },
}

struct Reader<'a> {
    text: &'a str,
    format: Format,
    pieces: Vec<Piece>,
    open: Open,
    /// The lines of the open paragraph or item, trimmed, in bytes.
    lines: Vec<Range<usize>>,
    block: u32,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut at = self.front_matter();
        while at < self.text.len() {
            let end = self.text[at..].find('\n').map_or(self.text.len(), |n| at + n);
            self.line(at..end);
            at = end + 1;
        }
        self.close(self.text.len());
    }

    /// Where the text begins after its front matter.
    fn front_matter(&self) -> usize {
        let Some(rest) = self.text.strip_prefix("---") else { return 0 };
        if self.format == Format::Plain || !rest.starts_with(['\n', '\r']) {
            return 0;
        }
        let mut at = 3;
        for line in self.text[3..].split_inclusive('\n').take(100) {
            at += line.len();
            if at > 4 && matches!(line.trim_end(), "---" | "...") {
                return at;
            }
        }
        0
    }

    fn line(&mut self, line: Range<usize>) {
        let text = self.text;
        let whole = &text[line.clone()];
        let content = trimmed(text, line.clone());
        let trim = &text[content.clone()];
        if let Open::Fence { mark, length, .. } = self.open {
            let run = trim.bytes().take_while(|b| *b == mark).count();
            if run >= length && run == trim.len() {
                self.close(line.end);
            }
            return;
        }
        if trim.is_empty() {
            self.close(line.start);
            return;
        }
        if let Some((mark, length)) = fence(trim) {
            self.close(line.start);
            self.open = Open::Fence { mark, length, start: line.start };
            return;
        }
        if self.format == Format::Markdown
            && let Some((level, inner)) = atx(text, &content)
        {
            self.close(line.start);
            self.push(Kind::Heading(level), line.start, inner);
            self.block += 1;
            return;
        }
        if let Some(level) = underline(trim) {
            if self.open == Open::Paragraph && self.lines.len() == 1 {
                let heading = self.lines[0].clone();
                if heading.len() <= HEADING_LINE && !text[heading.clone()].ends_with(['.', ';', ',']) {
                    self.lines.clear();
                    self.open = Open::Nothing;
                    self.push(Kind::Heading(level), heading.start, heading);
                    self.block += 1;
                    return;
                }
            }
            if trim.len() >= 3 && (trim.starts_with(['-', '=']) || self.open == Open::Nothing) {
                self.close(line.start);
                return;
            }
        }
        if is_rule(trim) {
            self.close(line.start);
            return;
        }
        if is_row(trim, whole, self.open == Open::Table) {
            self.row(line.start, content);
            return;
        }
        if let Some(marker) = list_marker(trim) {
            let level = if self.format == Format::Plain && self.open == Open::Nothing {
                self.plain_heading(&line, trim)
            } else {
                None
            };
            self.close(line.start);
            if let Some(level) = level {
                self.push(Kind::Heading(level), line.start, content);
                self.block += 1;
                return;
            }
            let inner = trimmed(text, content.start + marker..content.end);
            self.open = Open::Item { text: line.start };
            self.lines.push(inner);
            return;
        }
        self.text_line(&line, content);
    }

    fn text_line(&mut self, line: &Range<usize>, content: Range<usize>) {
        let trim = &self.text[content.clone()];
        if self.format == Format::Plain
            && self.open == Open::Nothing
            && let Some(level) = self.plain_heading(line, trim)
        {
            self.push(Kind::Heading(level), line.start, content);
            self.block += 1;
            return;
        }
        let quoted = trim.trim_start_matches(['>', ' ']);
        let inner = if trim.starts_with('>') { content.end - quoted.len()..content.end } else { content };
        if inner.is_empty() {
            self.close(line.start);
            return;
        }
        if matches!(self.open, Open::Table | Open::Nothing) {
            self.close(line.start);
            self.open = Open::Paragraph;
        }
        self.lines.push(inner);
    }

    fn row(&mut self, start: usize, content: Range<usize>) {
        let delimiter =
            self.text[content.clone()].bytes().all(|b| matches!(b, b'|' | b'-' | b':' | b' ' | b'\t' | b'+'));
        if self.open != Open::Table {
            self.close(start);
            self.open = Open::Table;
        }
        if delimiter {
            // The row above it is the table's head.
            if let Some(last) = self.pieces.last_mut()
                && last.block == self.block
                && last.kind == Kind::Row
            {
                last.kind = Kind::Header;
            }
            return;
        }
        self.push(Kind::Row, start, content);
    }

    /// The level of a heading in plain text: a short line by itself that is numbered or in capitals.
    fn plain_heading(&self, line: &Range<usize>, trim: &str) -> Option<u8> {
        if trim.len() > 100 || trim.ends_with(['.', ';', ',', ':', '!', '-']) {
            return None;
        }
        let after = self.text.get(line.end + 1..)?;
        let mut following = after.split('\n');
        if following.next().is_some_and(|next| !next.trim().is_empty()) {
            return None;
        }
        let level = numbered(trim);
        if level.is_some() {
            // Numbered lines one after the other are a list.
            let next = following.take(3).map(str::trim).find(|next| !next.is_empty()).unwrap_or_default();
            let sibling = numbered(next) == level && next.len() <= 100;
            let before = self.pieces.last().filter(|piece| piece.kind == Kind::Item);
            let continues =
                before.is_some_and(|piece| numbered(&self.text[piece.outer..piece.bytes.end]) == level);
            return if sibling || continues { None } else { level };
        }
        let letters = trim.chars().filter(|c| c.is_alphabetic()).count();
        let capitals = letters >= 4 && !trim.chars().any(char::is_lowercase) && !trim.contains('\t');
        capitals.then_some(1)
    }

    /// Ends the open block.
    fn close(&mut self, end: usize) {
        let lines = std::mem::take(&mut self.lines);
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => return,
            Open::Table => {}
            Open::Fence { start, .. } => self.code(start..end.min(self.text.len())),
            Open::Paragraph => {
                let outer = lines.first().map_or(0, |line| line.start);
                for part in self.hard_lines(lines) {
                    self.sentences(Kind::Sentence, outer.max(part.start), part);
                }
            }
            Open::Item { text } => {
                if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
                    let whole = first.start..last.end;
                    if whole.len() <= ITEM_BYTES {
                        self.push(Kind::Item, text, whole);
                    } else {
                        self.sentences(Kind::Item, text, whole);
                    }
                }
            }
        }
        self.block += 1;
    }

    /// Joins the lines of a paragraph, except where the breaks between them mean something: labels (`Place: …`), breaks
    /// that Markdown keeps, and lines that are all short.
    fn hard_lines(&self, lines: Vec<Range<usize>>) -> Vec<Range<usize>> {
        let all_short = lines.len() > 1 && lines.iter().all(|line| line.len() <= 45);
        let mut joined: Vec<Range<usize>> = Vec::new();
        let mut hard = true;
        for line in lines {
            let text = &self.text[line.clone()];
            match joined.last_mut() {
                Some(last) if !(hard || all_short || is_label(text)) => last.end = line.end,
                _ => joined.push(line.clone()),
            }
            hard = text.ends_with('\\') || self.text[line.end..].starts_with("  ");
        }
        joined
    }

    fn code(&mut self, range: Range<usize>) {
        let range = trimmed(self.text, range);
        if range.len() <= PIECE_BYTES {
            self.push(Kind::Code, range.start, range);
            return;
        }
        let mut start = range.start;
        let mut end = start;
        for line in self.text[range].split_inclusive('\n') {
            if end - start + line.len() > PIECE_BYTES && end > start {
                self.push(Kind::Code, start, trimmed(self.text, start..end));
                start = end;
            }
            end += line.len();
        }
        self.push(Kind::Code, start, trimmed(self.text, start..end));
    }

    fn sentences(&mut self, kind: Kind, outer: usize, range: Range<usize>) {
        let mut outer = outer;
        let mut start = range.start;
        for end in sentence_ends(self.text, range.clone()) {
            let sentence = trimmed(self.text, start..end);
            self.push(kind, outer.min(sentence.start), sentence);
            start = end;
            outer = usize::MAX;
        }
        let rest = trimmed(self.text, start..range.end);
        self.push(kind, outer.min(rest.start), rest);
    }

    /// Adds a piece, in several when it is enormous.
    fn push(&mut self, kind: Kind, outer: usize, mut bytes: Range<usize>) {
        let mut outer = outer;
        while bytes.len() > PIECE_BYTES {
            let limit = self.text.floor_char_boundary(bytes.start + PIECE_BYTES);
            let window = &self.text[bytes.start..limit];
            let cut = window
                .rfind(char::is_whitespace)
                .filter(|at| *at > PIECE_BYTES / 2)
                .map_or(limit, |at| bytes.start + at);
            let head = trimmed(self.text, bytes.start..cut);
            if !head.is_empty() {
                self.pieces.push(Piece { kind, outer, bytes: head, block: self.block });
            }
            bytes = trimmed(self.text, cut..bytes.end);
            outer = bytes.start;
        }
        if !bytes.is_empty() {
            self.pieces.push(Piece { kind, outer: outer.min(bytes.start), bytes, block: self.block });
        }
    }
}

/// The stretch without white space at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = text[range.clone()].trim_end();
    let end = range.start + inner.len();
    end - inner.trim_start().len()..end
}

fn fence(trim: &str) -> Option<(u8, usize)> {
    let mark = *trim.as_bytes().first().filter(|b| matches!(b, b'`' | b'~'))?;
    let length = trim.bytes().take_while(|b| *b == mark).count();
    let info = &trim[length..];
    (length >= 3 && info.len() <= 100 && !info.contains('`')).then_some((mark, length))
}

/// The level and the inner stretch of `## Heading ##`.
fn atx(text: &str, content: &Range<usize>) -> Option<(u8, Range<usize>)> {
    let trim = &text[content.clone()];
    let level = trim.bytes().take(7).take_while(|b| *b == b'#').count();
    if level == 0 || level > 6 || trim.len() > HEADING_LINE {
        return None;
    }
    let rest = &trim[level..];
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let inner = rest.trim_end_matches('#').trim_end();
    let start = content.start + level;
    Some((u8::try_from(level).ok()?, trimmed(text, start..start + inner.len())))
}

/// The level of a heading that a line underlines.
fn underline(trim: &str) -> Option<u8> {
    let first = *trim.as_bytes().first()?;
    let level = match first {
        b'=' => 1,
        b'-' | b'~' => 2,
        _ => return None,
    };
    (trim.len() >= 2 && trim.bytes().all(|b| b == first)).then_some(level)
}

fn is_rule(trim: &str) -> bool {
    trim.len() >= 3
        && trim.as_bytes().first().is_some_and(|first| {
            matches!(first, b'-' | b'*' | b'_' | b'=') && trim.bytes().all(|b| b == *first || b == b' ')
        })
}

fn is_row(trim: &str, whole: &str, in_table: bool) -> bool {
    if let Some(rest) = trim.strip_prefix('|') {
        return !rest.is_empty() && (in_table || rest.contains('|'));
    }
    trim.contains(" | ")
        || (in_table && trim.contains('|'))
        || (trim.contains('\t') && !whole.starts_with('\t'))
}

/// The length of a list item's marker with its space, in bytes.
fn list_marker(trim: &str) -> Option<usize> {
    let mut chars = trim.chars();
    let first = chars.next()?;
    if matches!(first, '-' | '*' | '+' | '•' | '–' | '◦' | '▪' | '‣') {
        return chars.next().filter(|c| c.is_whitespace()).map(|_| first.len_utf8());
    }
    let label = trim.bytes().take(4).take_while(u8::is_ascii_alphanumeric).count();
    let numbered =
        label > 0 && (label == 1 || trim[..label].bytes().all(|b| b.is_ascii_digit())) && label <= 3;
    let close = trim.as_bytes().get(label)?;
    let letter = first.is_ascii_alphabetic();
    let marks = if letter { *close == b')' } else { matches!(close, b'.' | b')') };
    (numbered && marks && trim[label + 1..].starts_with([' ', '\t'])).then_some(label + 1)
}

/// The level of a line that begins with a number, a section sign or the name of a division.
fn numbered(line: &str) -> Option<u8> {
    let (first, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    if first == "§" || (first.starts_with('§') && first.len() > 2) {
        return rest.starts_with(|c: char| c.is_alphanumeric()).then_some(1);
    }
    let division = matches!(
        normal(super::words::bounded(first)).as_str(),
        "article"
            | "artikel"
            | "section"
            | "abschnitt"
            | "kapitel"
            | "chapter"
            | "teil"
            | "part"
            | "anlage"
            | "annex"
    );
    if division {
        return rest.starts_with(|c: char| c.is_ascii_digit() || c.is_uppercase()).then_some(1);
    }
    let digits = first.strip_suffix(['.', ')']).unwrap_or(first);
    let groups = digits.split('.').count();
    let numeric = !digits.is_empty()
        && digits.split('.').all(|g| !g.is_empty() && g.len() <= 2 && g.bytes().all(|b| b.is_ascii_digit()));
    let dotted = first.len() > digits.len() || groups > 1;
    (numeric && dotted && rest.starts_with(char::is_uppercase))
        .then(|| u8::try_from(groups.min(6)).unwrap_or(6))
}

/// Whether a line is `Label: value`.
fn is_label(line: &str) -> bool {
    let head = &line[..line.floor_char_boundary(40)];
    let Some(at) = head.find(':') else { return false };
    let label = head[..at].trim_matches(['*', '_']);
    !label.is_empty()
        && label.split_whitespace().count() <= 3
        && label.starts_with(|c: char| c.is_uppercase() || c == '*')
        && line[at + 1..].starts_with([' ', '*'])
}

/// Where the sentences of a stretch end, the last one's end left out.
fn sentence_ends(text: &str, range: Range<usize>) -> Vec<usize> {
    let mut ends = Vec::new();
    let stretch = &text[range.clone()];
    let mut chars = stretch.char_indices().peekable();
    let mut word_start = 0;
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            word_start = at + c.len_utf8();
            continue;
        }
        if !matches!(c, '.' | '!' | '?' | '…' | '。') {
            continue;
        }
        let mut end = at + c.len_utf8();
        while let Some((next, closing)) = chars.peek().copied() {
            if !matches!(
                closing,
                '.' | '!' | '?' | '"' | '\'' | '”' | '“' | '’' | '»' | '«' | ')' | ']' | '*' | '_'
            ) {
                break;
            }
            end = next + closing.len_utf8();
            chars.next();
        }
        let Some((_, space)) = chars.peek().copied() else { break };
        if !space.is_whitespace() {
            continue;
        }
        // A word or a gap longer than this is no sentence's end that matters, and looking at it costs.
        let following = &stretch[end..stretch.floor_char_boundary(end + 200)];
        let next = following.trim_start().trim_start_matches(['"', '„', '“', '»', '(', '[', '*', '_', '\'']);
        if c == '.' && !ends_sentence(&stretch[word_start..at], next) {
            continue;
        }
        if c != '.' && next.starts_with(char::is_lowercase) {
            continue;
        }
        ends.push(range.start + end);
    }
    ends
}

/// Whether a full stop after `word` ends a sentence when `next` follows.
fn ends_sentence(word: &str, next: &str) -> bool {
    if next.starts_with(char::is_lowercase) {
        return false;
    }
    let word = word.trim_start_matches(['(', '[', '"', '„', '“', '*', '_', '>']);
    let word = &word[..word.floor_char_boundary(24)];
    let letters = word.chars().count();
    if letters == 0 {
        return true;
    }
    if word.bytes().all(|b| b.is_ascii_digit()) {
        // An ordinal (`1. Januar`, `the 3. Party`) unless the next word begins sentences.
        let first = next.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let lower = normal(super::words::bounded(first));
        return letters > 2 || Language::ALL.iter().any(|language| is_stop_word(&lower, *language));
    }
    if letters == 1 && word.chars().all(char::is_alphabetic) {
        return false;
    }
    let lower = normal(word);
    !(ABBREVIATIONS.contains(lower.as_str()) || (word.contains('.') && letters <= 6))
}

/// Words that a full stop shortens and that rarely end a sentence.
static ABBREVIATIONS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "nr abs art bzw ca dr prof hr fr vgl ggf inkl exkl evtl bspw max min tel str usw zzgl abzgl st ing dipl geb sog s \
     mr mrs ms jr sr vs no vol fig eq approx dept est inc ltd co corp e.g i.e z.b d.h u.a o.ä i.d.r u.u z.t s.o s.u \
     jan feb mrz apr jun jul aug sep sept okt oct nov dez dec mo di mi do sa so std mio mrd tsd kap ziff lit anm hrsg"
        .split_whitespace()
        .collect()
});
