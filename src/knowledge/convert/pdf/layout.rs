//! From characters at their places to lines, paragraphs, headings and pages. A PDF says nothing else: what belongs together
//! is told from distances, and what is a heading from its size.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use pdf_extract::{MediaBox, OutputDev, OutputError, Transform};
use unicode_normalization::UnicodeNormalization as _;

use crate::knowledge::TEXT_BYTES;
use crate::retrieval::Language;

/// Letters that a document with text has at least.
const LETTERS: usize = 20;
/// A gap between two words, in sizes of a letter.
const GAP: f64 = 0.15;
/// A gap between two columns of a table.
const COLUMN: f64 = 1.8;
/// How much larger than the text a heading is.
const LARGER: f64 = 1.1;
/// Characters of a heading at the most.
const HEADING: usize = 200;
/// The level of headings above which no heading of the text goes: pages are below all of them.
const LEVELS: usize = 4;

/// A line of text on a page.
#[derive(Debug, Clone)]
struct Line {
    text: String,
    size: f64,
    left: f64,
    right: f64,
    /// From the bottom of the page.
    y: f64,
    is_row: bool,
}

/// The pages of a document, as they are read: the lines of each.
#[derive(Debug, Default)]
pub(super) struct Pages {
    lines: Vec<Vec<Line>>,
    open: Option<Line>,
    bytes: usize,
}

impl OutputDev for Pages {
    fn begin_page(
        &mut self,
        _: u32,
        _: &MediaBox,
        _: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        self.lines.push(Vec::new());
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        self.end_open();
        Ok(())
    }

    fn output_character(
        &mut self,
        at: &Transform,
        width: f64,
        spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        // What runs up or down the margin is no line of the text.
        if at.m12.abs() > at.m11.abs() {
            return Ok(());
        }
        let (x, y) = (at.m31, at.m32);
        let size = at.m21.hypot(at.m22) * font_size.abs();
        let width = if width > 0.0 { width } else { 0.5 };
        let right = x + width * size + spacing.max(0.0) * at.m11.abs();
        let goes_on = self.open.as_ref().is_some_and(|line| {
            let least = line.size.min(size);
            (y - line.y).abs() < 0.6 * line.size.max(size) && x > line.right - 2.0 * least
        });
        if !goes_on {
            self.end_open();
        }
        let line = self.open.get_or_insert_with(|| Line {
            text: String::new(),
            size,
            left: x,
            right: x,
            y,
            is_row: false,
        });
        let gap = x - line.right;
        if gap > COLUMN * size && !line.text.trim().is_empty() {
            line.text.push_str(" | ");
            line.is_row = true;
        } else if gap > GAP * size && !line.text.ends_with(' ') {
            line.text.push(' ');
        }
        // Ligatures are letters, and what has no meaning outside of its font is nothing.
        for c in text.chars() {
            match c {
                '\u{FB00}'..='\u{FB06}' => line.text.extend(std::iter::once(c).nfkc()),
                '\u{E000}'..='\u{F8FF}' | '\u{FFFD}' => {}
                c if c.is_whitespace() => line.text.push(' '),
                c if c.is_control() => {}
                c => line.text.push(c),
            }
        }
        line.right = line.right.max(right);
        line.size = line.size.max(size);
        self.bytes += text.len();
        if self.is_too_long() { Err(std::fmt::Error.into()) } else { Ok(()) }
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Lines that read as one.
#[derive(Debug)]
struct Block {
    page: usize,
    last_page: usize,
    size: f64,
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paragraph,
    Item,
    Row,
}

impl Pages {
    /// Whether there is more text than a document may have.
    pub(super) const fn is_too_long(&self) -> bool {
        self.bytes > TEXT_BYTES
    }

    fn end_open(&mut self) {
        let Some(mut line) = self.open.take() else { return };
        line.text = super::super::one_line(&line.text);
        if !line.text.is_empty()
            && let Some(page) = self.lines.last_mut()
        {
            page.push(line);
        }
    }

    /// The text; none when the pages have none.
    pub(super) fn finish(mut self) -> Option<String> {
        self.remove_margins();
        let letters = |line: &Line| line.text.chars().filter(|c| c.is_alphabetic()).count();
        if self.lines.iter().flatten().map(letters).sum::<usize>() < LETTERS {
            return None;
        }
        let usual = self.usual_size();
        let blocks = self.blocks(usual);
        Some(write(&blocks, usual))
    }

    /// Takes away what stands at the top or the bottom of most pages, but for its numbers, and lone page numbers.
    fn remove_margins(&mut self) {
        let bare = |line: &Line| -> String { line.text.chars().filter(|c| !c.is_numeric()).collect() };
        let ends = |page: &[Line]| -> Vec<usize> {
            let order = |a: &usize, b: &usize| page[*a].y.total_cmp(&page[*b].y);
            let lowest = (0..page.len()).min_by(order);
            let highest = (0..page.len()).max_by(order);
            lowest.into_iter().chain(highest.filter(|highest| Some(*highest) != lowest)).collect()
        };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for page in &self.lines {
            for at in ends(page) {
                *seen.entry(bare(&page[at])).or_default() += 1;
            }
        }
        let pages = self.lines.len();
        for page in &mut self.lines {
            let mut gone: Vec<usize> = ends(page)
                .into_iter()
                .filter(|at| {
                    let bare = bare(&page[*at]);
                    let often = pages >= 3 && seen.get(&bare).is_some_and(|count| 2 * count > pages);
                    often || bare.trim().is_empty()
                })
                .collect();
            gone.sort_unstable();
            for at in gone.into_iter().rev() {
                page.remove(at);
            }
        }
    }

    /// The size that most of the text has, in tenths.
    fn usual_size(&self) -> i64 {
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        for line in self.lines.iter().flatten() {
            *counts.entry(tenths(line.size)).or_default() += line.text.len();
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(size, _)| size)
    }

    fn blocks(self, usual: i64) -> Vec<Block> {
        // How far apart the lines of a paragraph are: what most lines of the usual size are apart.
        let mut steps: BTreeMap<i64, usize> = BTreeMap::new();
        for page in &self.lines {
            for pair in page.windows(2) {
                let step = tenths(pair[0].y - pair[1].y);
                if step > 0 && tenths(pair[0].size) == usual && tenths(pair[1].size) == usual {
                    *steps.entry(step / 2).or_default() += 1;
                }
            }
        }
        let step =
            steps.into_iter().max_by_key(|(_, count)| *count).map_or(0.0, |(step, _)| size_of(2 * step + 1));
        let mut blocks: Vec<Block> = Vec::new();
        for (page, lines) in self.lines.into_iter().enumerate() {
            let right = lines.iter().map(|line| line.right).fold(0.0, f64::max);
            let mut last: Option<Line> = None;
            for line in lines {
                let item = marker(&line.text);
                let kind = match item {
                    _ if line.is_row => Kind::Row,
                    Some(_) => Kind::Item,
                    None => Kind::Paragraph,
                };
                let goes_on = kind == Kind::Paragraph
                    && last.as_ref().is_some_and(|last| goes_on(last, &line, step, right));
                // A sentence that goes on over the page is told whole where it begins.
                let runs_over = last.is_none() && kind == Kind::Paragraph;
                let joins = blocks.last_mut().filter(|block| {
                    if block.last_page == page { goes_on } else { runs_over && goes_over(block, &line) }
                });
                if let Some(block) = joins {
                    join(&mut block.text, &line.text);
                    block.last_page = page;
                } else {
                    let text = item.map_or_else(|| line.text.clone(), str::to_owned);
                    blocks.push(Block { page, last_page: page, size: line.size, text, kind });
                }
                last = Some(line);
            }
        }
        blocks
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sizes and distances on a page are small")]
fn tenths(size: f64) -> i64 {
    (size * 10.0).round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "sizes and distances on a page are small")]
fn size_of(tenths: i64) -> f64 {
    tenths as f64 / 10.0
}

/// What follows the mark of a list's item.
fn marker(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['•', '◦', '▪', '‣', '●', '○', '■', '–', '-', '*'])?;
    let inner = rest.trim_start();
    (inner.len() < rest.len() && !inner.is_empty()).then_some(inner)
}

/// Whether a line belongs to the paragraph of the one before it.
fn goes_on(last: &Line, line: &Line, step: f64, right: f64) -> bool {
    let alike = (last.size - line.size).abs() <= 0.05 * last.size.max(line.size);
    if last.is_row || !alike {
        return false;
    }
    let down = last.y - line.y;
    if down < 0.0 {
        // The next column, as long as the sentence is not over.
        return !ends(&last.text);
    }
    let near = down <= (1.3 * step).max(1.45 * line.size);
    let indented = line.left > last.left + line.size && marker(&last.text).is_none();
    let was_short = ends(&last.text) && last.right < last.left + 0.8 * (right - last.left);
    near && !indented && !was_short
}

/// Whether a text ends as sentences do.
fn ends(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '“', '»', '«', '’', ')']).ends_with(['.', '!', '?', ':', '…'])
}

/// Whether a paragraph goes on with a line of the next page.
fn goes_over(block: &Block, line: &Line) -> bool {
    block.kind != Kind::Row
        && !ends(&block.text)
        && (block.size - line.size).abs() <= 0.05 * block.size
        && line.text.starts_with(char::is_lowercase)
}

/// Puts a line to those before it; a word that was divided at the line's end is one again.
fn join(text: &mut String, line: &str) {
    let divided = text.ends_with('\u{AD}')
        || (text.ends_with(['-', '\u{2010}'])
            && text.trim_end_matches(['-', '\u{2010}']).ends_with(char::is_lowercase)
            && line.starts_with(char::is_lowercase)
            && !["und ", "oder ", "bzw. ", "and ", "or "].iter().any(|word| line.starts_with(word)));
    if divided {
        text.pop();
    } else if !text.ends_with(['\u{2011}']) {
        text.push(' ');
    }
    text.push_str(line);
}

/// Writes blocks as Markdown. Each stretch of a page stands under a heading with the page's number, below the headings of
/// the text, so that whoever is cited from it is cited with the page.
fn write(blocks: &[Block], usual: i64) -> String {
    let all: String = blocks.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n");
    let word = if Language::detect(&all) == Some(Language::German) { "Seite" } else { "Page" };
    let is_heading = |block: &Block| {
        block.kind == Kind::Paragraph
            && block.size >= LARGER * size_of(usual)
            && block.text.chars().count() <= HEADING
            && block.text.chars().any(char::is_alphabetic)
    };
    let mut sizes: Vec<i64> =
        blocks.iter().filter(|block| is_heading(block)).map(|block| tenths(block.size) / 5).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    let mut text = String::with_capacity(all.len() + all.len() / 8);
    let mut page = None;
    let mut last = None;
    for block in blocks {
        if is_heading(block) {
            let rank = sizes.iter().position(|size| *size == tenths(block.size) / 5).unwrap_or_default();
            let level = (rank + 1).min(LEVELS);
            // Writing to a string cannot fail.
            let _ = write!(text, "\n\n{} {}", "#".repeat(level), block.text);
            // The heading has taken the text out of the page's.
            (page, last) = (None, None);
            continue;
        }
        if page != Some(block.page) {
            let _ = write!(text, "\n\n{} {word} {}", "#".repeat(LEVELS + 1), block.page + 1);
            (page, last) = (Some(block.page), None);
        }
        let together = block.kind != Kind::Paragraph && last == Some(block.kind);
        text.push_str(if together { "\n" } else { "\n\n" });
        if block.kind == Kind::Item {
            text.push_str("- ");
        }
        text.push_str(&block.text.replace('\u{AD}', ""));
        last = Some(block.kind);
    }
    text.trim_start().to_owned()
}
