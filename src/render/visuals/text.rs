//! Text on a surface: cleaning, shaping, direction, line breaking and fitting.
//!
//! A text is shaped once, in em; every size is a multiple of that, so that fitting tries many sizes cheaply. Lines are
//! broken where UAX #14 allows it, in German and English also between syllables, and in the last resort between
//! graphemes. Of all ways to break, the one with the most even lines is taken (Knuth and Plass 1981, simplified).

use std::ops::Range;

use harfrust::{Buffer, Direction, Script, ShapeOptions, ShaperFont};
use serde::{Deserialize, Serialize};
use unicode_bidi::{BidiInfo, ParagraphInfo};
use unicode_linebreak::{BreakOpportunity, linebreaks};
use unicode_segmentation::UnicodeSegmentation;

use super::fonts::Face;
use crate::Language;

/// Where lines stand between their edges; start and end follow the direction of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Align {
    /// Left, or right for a right-to-left text.
    Start,
    /// In the middle.
    #[default]
    Center,
    /// Right, or left for a right-to-left text.
    End,
}

/// A text that can be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clean {
    /// The text without control characters, with single spaces and line feeds.
    pub text: String,
    /// What no embedded font has, each once, at most [`LEFT_OUT`].
    pub left_out: Vec<String>,
    /// How many letters and signs were left out.
    pub missing: usize,
}

/// How many different characters that could not be drawn are listed.
const LEFT_OUT: usize = 20;
/// Characters of one grapheme that are kept: the longest emoji families have eleven, stacks of accents are unlimited.
const CLUSTER: usize = 16;

/// Makes a text drawable: no control characters, no explicit direction marks, no runs of spaces, nothing without a glyph.
pub(crate) fn clean(text: &str, face: Face) -> Clean {
    let mut out = String::with_capacity(text.len());
    let mut left_out = Vec::<String>::new();
    let mut missing = 0;
    for cluster in text.graphemes(true) {
        if matches!(cluster, "\n" | "\r\n" | "\r" | "\u{2028}" | "\u{2029}" | "\u{85}" | "\u{B}" | "\u{C}") {
            let trimmed = out.trim_end_matches(' ').len();
            out.truncate(trimmed);
            if !out.is_empty() && !out.ends_with("\n\n") {
                out.push('\n');
            }
            continue;
        }
        let kept: String = cluster
            .chars()
            .filter(|c| !matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}'))
            .map(|c| if c == '\t' || c == '\u{3000}' { ' ' } else { c })
            .filter(|c| !c.is_control())
            .take(CLUSTER)
            .collect();
        if kept == " " {
            if !out.is_empty() && !out.ends_with([' ', '\n']) {
                out.push(' ');
            }
        } else if kept.is_empty() || face.for_cluster(&kept).is_some() {
            out.push_str(&kept);
        } else {
            missing += 1;
            if left_out.len() < LEFT_OUT && !left_out.contains(&kept) {
                left_out.push(kept);
            }
        }
    }
    out.truncate(out.trim_end().len());
    Clean { text: out, left_out, missing }
}

/// How a text is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setting {
    pub face: Face,
    pub language: Language,
    /// Whether words may be divided where that makes a much better setting.
    pub hyphenate: bool,
    /// Space added after every character, in em.
    pub tracking: f32,
}

/// A stretch of one face, script and direction.
#[derive(Debug, Clone)]
struct Run {
    range: Range<usize>,
    face: Face,
    script: Script,
}

/// What a line may end at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// UAX #14 allows it.
    Allowed,
    /// The text has a line feed here, or ends.
    Mandatory,
    /// Between syllables: a hyphen is drawn.
    Syllable,
    /// Nothing allows it, but the word is wider than the line.
    Forced,
}

#[derive(Debug, Clone, Copy)]
struct Opportunity {
    at: usize,
    kind: Kind,
}

/// A line: where it starts and ends in the text, without the space at its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub start: usize,
    pub end: usize,
    /// Whether a hyphen is drawn at its end.
    pub hyphen: bool,
    /// Its width in em.
    pub width: f32,
}

/// A text in lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken {
    pub lines: Vec<Line>,
    /// Whether a word was divided between graphemes, because it is wider than the line.
    pub forced: bool,
}

/// A glyph at its place in a line, in em from the start of the baseline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glyph {
    pub face: Face,
    pub id: u32,
    pub x: f32,
    pub y: f32,
    /// The byte of the text that it belongs to.
    pub cluster: usize,
}

/// A text that has been measured.
#[derive(Debug)]
pub(crate) struct Shaped<'t> {
    text: &'t str,
    setting: Setting,
    bidi: BidiInfo<'t>,
    runs: Vec<Run>,
    /// The advance in em of the text up to each byte.
    prefix: Vec<f32>,
    opportunities: Vec<Opportunity>,
    hyphen: f32,
}

impl<'t> Shaped<'t> {
    /// Measures a text, which has been [cleaned](clean).
    pub(crate) fn new(text: &'t str, setting: Setting) -> Self {
        let bidi = BidiInfo::new(text, None);
        let runs = itemize(text, setting.face);
        let mut advances = vec![0.0_f32; text.len() + 1];
        for run in &runs {
            for part in level_runs(&bidi, &run.range) {
                let right_to_left = bidi.levels.get(part.start).is_some_and(unicode_bidi::Level::is_rtl);
                for glyph in shape(text, part, run, right_to_left, setting) {
                    if let Some(advance) = advances.get_mut(glyph.cluster + 1) {
                        *advance += glyph.advance;
                    }
                }
            }
        }
        let mut prefix = advances;
        let mut sum = 0.0;
        for value in &mut prefix {
            sum += *value;
            *value = sum;
        }
        let opportunities = opportunities(text, setting);
        let hyphen = hyphen_glyph(setting).map_or(0.0, |glyph| glyph.advance);
        Self { text, setting, bidi, runs, prefix, opportunities, hyphen }
    }

    /// Width of a stretch in em, without the space at its end.
    fn width(&self, range: Range<usize>) -> f32 {
        self.prefix.get(range.end).zip(self.prefix.get(range.start)).map_or(0.0, |(end, start)| end - start)
    }

    /// Where the visible part of a line ends that is broken at `at`.
    fn visible_end(&self, start: usize, at: usize) -> usize {
        self.text
            .get(start..at)
            .map_or(start, |line| start + line.trim_end_matches([' ', '\n', '\u{AD}', '\u{200B}']).len())
    }

    /// The text in lines of at most this width in em.
    pub(crate) fn break_lines(&self, width: f32, hyphenate: bool) -> Broken {
        let mut forced = false;
        let mut nodes = Vec::with_capacity(self.opportunities.len() + 1);
        nodes.push(Opportunity { at: 0, kind: Kind::Mandatory });
        let mut start = 0;
        for opportunity in &self.opportunities {
            if opportunity.kind == Kind::Syllable && !hyphenate {
                continue;
            }
            // With a syllable's hyphen, the stretch must hold it too.
            let hyphen = if opportunity.kind == Kind::Syllable { self.hyphen } else { 0.0 };
            if self.width(start..self.visible_end(start, opportunity.at)) + hyphen > width {
                forced = true;
                let stretch = self.text.get(start..opportunity.at).unwrap_or_default();
                let inner = stretch.grapheme_indices(true).skip(1);
                nodes.extend(inner.map(|(offset, _)| Opportunity { at: start + offset, kind: Kind::Forced }));
            }
            nodes.push(*opportunity);
            start = opportunity.at;
        }
        Broken { lines: self.best_lines(&nodes, width), forced }
    }

    /// The lines with the least cost over all ways to break at the nodes.
    fn best_lines(&self, nodes: &[Opportunity], width: f32) -> Vec<Line> {
        let mut best = vec![(f32::INFINITY, 0_usize); nodes.len()];
        if let Some(first) = best.first_mut() {
            *first = (0.0, 0);
        }
        for (to, node) in nodes.iter().enumerate().skip(1) {
            for from in (0..to).rev() {
                let Some((start, &(so_far, _))) = nodes.get(from).zip(best.get(from)) else { break };
                let line = self.line(start.at, *node);
                let last_resort = from + 1 == to;
                if line.width > width && !last_resort {
                    break;
                }
                let cost = so_far + self.cost(&line, *node, width);
                if let Some(slot) = best.get_mut(to).filter(|slot| cost < slot.0) {
                    *slot = (cost, from);
                }
                if start.kind == Kind::Mandatory {
                    break;
                }
            }
        }
        let mut lines = Vec::new();
        let mut at = nodes.len().saturating_sub(1);
        while at > 0 {
            let Some(&(_, from)) = best.get(at) else { break };
            if let (Some(start), Some(node)) = (nodes.get(from), nodes.get(at)) {
                lines.push(self.line(start.at, *node));
            }
            at = from;
        }
        lines.reverse();
        lines
    }

    fn line(&self, start: usize, node: Opportunity) -> Line {
        let end = self.visible_end(start, node.at);
        let soft = self.text.get(..node.at).is_some_and(|text| text.ends_with('\u{AD}'));
        let hyphen = node.kind == Kind::Syllable || soft;
        let width = self.width(start..end) + if hyphen { self.hyphen } else { 0.0 };
        Line { start, end, hyphen, width }
    }

    /// What a line costs: the square of its empty share, and more where it ends badly.
    fn cost(&self, line: &Line, node: Opportunity, width: f32) -> f32 {
        let empty = ((width - line.width) / width).clamp(0.0, 1.0);
        let last = node.kind == Kind::Mandatory;
        let text = self.text.get(line.start..line.end).unwrap_or_default();
        // The last line counts like any other: a single word alone looks lost.
        let mut cost = empty * empty;
        cost += match node.kind {
            Kind::Syllable => 0.5,
            Kind::Forced => 2.0,
            Kind::Allowed | Kind::Mandatory => 0.0,
        };
        if !last && node.kind == Kind::Allowed {
            if ends_badly(text) {
                cost += 0.04;
            }
            // A line that ends where a thought does reads well.
            if text.ends_with([',', ';', ':', '.', '!', '?', '–', '—']) {
                cost -= 0.03;
            }
        }
        cost + 0.02
    }

    /// How uneven lines look, 0 for all alike: the mean square of what each lacks to the longest, and more for divided
    /// words and for lines that end with an article or preposition.
    #[expect(clippy::cast_precision_loss, reason = "a text has few lines")]
    pub(crate) fn unevenness(&self, lines: &[Line]) -> f32 {
        let longest = lines.iter().map(|line| line.width).fold(f32::MIN_POSITIVE, f32::max);
        let mut sum = 0.0;
        for (index, line) in lines.iter().enumerate() {
            let last = index + 1 == lines.len();
            let lacks = (longest - line.width) / longest;
            sum += lacks * lacks;
            let text = self.text.get(line.start..line.end).unwrap_or_default();
            if line.hyphen {
                sum += 0.1;
            } else if !last && ends_badly(text) {
                sum += 0.03;
            }
        }
        sum / lines.len().max(1) as f32
    }

    /// The glyphs of a line from left to right, and its width in em.
    pub(crate) fn place(&self, line: &Line) -> (Vec<Glyph>, f32) {
        let mut glyphs = Vec::new();
        let mut x = 0.0;
        let Some(paragraph) = self.paragraph(line.start) else { return (glyphs, x) };
        let hyphen = line.hyphen.then(|| hyphen_glyph(self.setting)).flatten();
        let right_to_left = paragraph.level.is_rtl();
        let put = |glyphs: &mut Vec<Glyph>, x: &mut f32, part: &ShapedGlyph| {
            glyphs.push(Glyph {
                face: part.face,
                id: part.id,
                x: *x + part.dx,
                y: part.dy,
                cluster: part.cluster,
            });
            *x += part.advance;
        };
        if right_to_left && let Some(hyphen) = &hyphen {
            put(&mut glyphs, &mut x, &ShapedGlyph { cluster: line.end.saturating_sub(1), ..*hyphen });
        }
        if line.start < line.end {
            let (levels, visual) = self.bidi.visual_runs(paragraph, line.start..line.end);
            for stretch in visual {
                let backwards = levels.get(stretch.start).is_some_and(unicode_bidi::Level::is_rtl);
                let mut parts: Vec<(Range<usize>, &Run)> = self
                    .runs
                    .iter()
                    .filter_map(|run| {
                        let part = run.range.start.max(stretch.start)..run.range.end.min(stretch.end);
                        (part.start < part.end).then_some((part, run))
                    })
                    .collect();
                if backwards {
                    parts.reverse();
                }
                for (part, run) in parts {
                    for glyph in shape(self.text, part, run, backwards, self.setting) {
                        put(&mut glyphs, &mut x, &glyph);
                    }
                }
            }
        }
        if !right_to_left && let Some(hyphen) = &hyphen {
            put(&mut glyphs, &mut x, &ShapedGlyph { cluster: line.end.saturating_sub(1), ..*hyphen });
        }
        (glyphs, (x - self.setting.tracking).max(0.0))
    }

    /// Whether a line belongs to a right-to-left paragraph.
    pub(crate) fn is_right_to_left(&self, line: &Line) -> bool {
        self.paragraph(line.start).is_some_and(|paragraph| paragraph.level.is_rtl())
    }

    fn paragraph(&self, at: usize) -> Option<&ParagraphInfo> {
        self.bidi
            .paragraphs
            .iter()
            .find(|paragraph| paragraph.range.contains(&at))
            .or(self.bidi.paragraphs.last())
    }
}

/// Whether a line ends with a short word, most likely an article or preposition, which belongs to what follows.
fn ends_badly(line: &str) -> bool {
    line.rsplit_once(' ')
        .is_some_and(|(_, word)| word.chars().count() <= 3 && word.chars().all(char::is_alphabetic))
}

/// A glyph as the shaper gives it, in em.
#[derive(Debug, Clone, Copy)]
struct ShapedGlyph {
    face: Face,
    id: u32,
    cluster: usize,
    advance: f32,
    dx: f32,
    dy: f32,
}

fn hyphen_glyph(setting: Setting) -> Option<ShapedGlyph> {
    let run = Run { range: 0..1, face: setting.face, script: harfrust::Script::LATIN };
    shape("-", 0..1, &run, false, setting).into_iter().next()
}

/// The glyphs of a stretch from left to right.
fn shape(
    text: &str,
    range: Range<usize>,
    run: &Run,
    right_to_left: bool,
    setting: Setting,
) -> Vec<ShapedGlyph> {
    let Some((part, font)) = text.get(range.clone()).zip(run.face.font()) else { return Vec::new() };
    let mut buffer = Buffer::new();
    buffer.push_str(part);
    buffer.set_direction(if right_to_left { Direction::RightToLeft } else { Direction::LeftToRight });
    buffer.set_script(Some(run.script));
    buffer.set_language(harfrust::Language::new(match setting.language {
        Language::German => "de",
        Language::English => "en",
    }));
    if harfrust::shape(&ShaperFont::new(font), &mut buffer, ShapeOptions::new()).is_err() {
        return Vec::new();
    }
    let em = f32::from(font.units_per_em().max(1));
    // Joined scripts must not be pulled apart.
    let tracking = if right_to_left { 0.0 } else { setting.tracking };
    buffer
        .glyph_infos()
        .iter()
        .zip(buffer.glyph_positions())
        .map(|(info, position)| ShapedGlyph {
            face: run.face,
            id: info.glyph_id,
            cluster: range.start + info.cluster as usize,
            advance: em_of(position.x_advance, em) + if position.x_advance > 0 { tracking } else { 0.0 },
            dx: em_of(position.x_offset, em),
            dy: em_of(position.y_offset, em),
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "font units are small")]
fn em_of(units: i32, em: f32) -> f32 {
    units as f32 / em
}

/// The parts of a stretch that have one level each.
fn level_runs(bidi: &BidiInfo<'_>, range: &Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    for at in range.clone() {
        if bidi.levels.get(at) != bidi.levels.get(start) {
            parts.push(start..at);
            start = at;
        }
    }
    parts.push(start..range.end);
    parts
}

/// The text in stretches of one face and one script.
fn itemize(text: &str, wanted: Face) -> Vec<Run> {
    let mut runs = Vec::<Run>::new();
    for (at, cluster) in text.grapheme_indices(true) {
        let range = at..at + cluster.len();
        let script =
            cluster.chars().map(|c| harfrust::unicode::script(u32::from(c))).find(|script| is_real(*script));
        let last = runs.last_mut();
        // Spaces and marks stay with what stands before them, as long as that face has them.
        let neutral =
            script.is_none() && cluster.chars().all(|c| c.is_whitespace() || c.is_ascii_punctuation());
        let face = match &last {
            Some(run) if neutral && run.face != Face::Emoji => run.face,
            _ => wanted.for_cluster(cluster).unwrap_or(wanted),
        };
        match last {
            Some(run)
                if run.face == face && script.is_none_or(|s| !is_real(run.script) || run.script == s) =>
            {
                run.range.end = range.end;
                if let Some(script) = script {
                    run.script = script;
                }
            }
            _ => runs.push(Run { range, face, script: script.unwrap_or(Script::COMMON) }),
        }
    }
    runs
}

fn is_real(script: Script) -> bool {
    script != Script::COMMON && script != Script::INHERITED && script != Script::UNKNOWN
}

/// Where lines may end, in order.
fn opportunities(text: &str, setting: Setting) -> Vec<Opportunity> {
    let mut found: Vec<Opportunity> = linebreaks(text)
        .filter(|(at, kind)| *kind == BreakOpportunity::Mandatory || !within_abbreviation(text, *at))
        .map(|(at, kind)| Opportunity {
            at,
            kind: if kind == BreakOpportunity::Mandatory { Kind::Mandatory } else { Kind::Allowed },
        })
        .collect();
    if setting.hyphenate {
        found.extend(syllables(text, setting.language).map(|at| Opportunity { at, kind: Kind::Syllable }));
        found.sort_by_key(|opportunity| (opportunity.at, opportunity.kind == Kind::Syllable));
        found.dedup_by_key(|opportunity| opportunity.at);
    }
    found
}

/// Whether a place is the space of an abbreviation of single letters, like that of "z. B." or "d. h.".
fn within_abbreviation(text: &str, at: usize) -> bool {
    let Some((before, after)) = text.split_at_checked(at) else { return false };
    let part = |word: &str| {
        let mut characters = word.chars();
        matches!((characters.next(), characters.next(), characters.next()), (Some(letter), Some('.'), None) if letter.is_alphabetic())
    };
    let first = before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
    let second =
        after.get(..after.char_indices().nth(2).map_or(after.len(), |(end, _)| end)).unwrap_or_default();
    part(first.trim_start_matches(['(', '„', '“', '"'])) && part(second)
}

/// Letters before and after a hyphen, at the least.
const SYLLABLE: usize = 4;
/// A longer word is divided between graphemes only: no language has it.
const WORD: usize = 100;

/// The places between the syllables of longer words.
fn syllables(text: &str, language: Language) -> impl Iterator<Item = usize> + '_ {
    let language = match language {
        Language::German => hypher::Lang::German,
        Language::English => hypher::Lang::English,
    };
    text.unicode_word_indices().filter(|(_, word)| is_divisible(word)).flat_map(move |(start, word)| {
        hypher::hyphenate_bounded(word, language, SYLLABLE, SYLLABLE)
            .scan(start, |at, syllable| {
                *at += syllable.len();
                Some(*at)
            })
            .filter(move |at| *at < start + word.len())
    })
}

fn is_divisible(word: &str) -> bool {
    let letters = word.chars().count();
    (2 * SYLLABLE..=WORD).contains(&letters)
        && word.chars().all(|c| c.is_alphabetic() && harfrust::unicode::script(u32::from(c)) == Script::LATIN)
        // Capitals are names and abbreviations.
        && word.chars().skip(1).all(char::is_lowercase)
}

/// A block of lines at a size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub lines: Vec<Line>,
    /// In pixels.
    pub size: f32,
    /// Distance of baselines, in em.
    pub leading: f32,
    /// Whether the text does not fit and lines are missing.
    pub overflow: bool,
    /// Whether a word was divided between graphemes.
    pub forced: bool,
}

/// How far below the last baseline a block reaches, in em.
const DESCENT: f32 = 0.22;

impl Block {
    /// Height in pixels from the top of the capitals to below the descenders.
    pub(crate) fn height(&self, cap_height: f32) -> f32 {
        height(self.lines.len(), self.size, self.leading, cap_height)
    }
}

/// Height in pixels of so many lines.
#[expect(clippy::cast_precision_loss, reason = "a text has few lines")]
pub(crate) fn height(lines: usize, size: f32, leading: f32, cap_height: f32) -> f32 {
    if lines == 0 { 0.0 } else { size * (cap_height + DESCENT + (lines - 1) as f32 * leading) }
}

impl Shaped<'_> {
    /// The text at a size in a width of pixels, cut at a height if it does not fit.
    pub(crate) fn at(&self, size: f32, width: f32, limit: f32, leading: f32) -> Block {
        let plain = self.break_lines(width / size, false);
        let broken = if self.setting.hyphenate {
            let divided = self.break_lines(width / size, true);
            // Dividing words must pay: a whole word in pieces avoided, or two lines saved.
            if plain.forced || divided.lines.len() + 1 < plain.lines.len() { divided } else { plain }
        } else {
            plain
        };
        let cap = self.setting.face.cap_height();
        let fits = |lines: usize| height(lines, size, leading, cap) <= limit + 0.5;
        let mut lines = broken.lines;
        let overflow = !fits(lines.len());
        while lines.len() > 1 && !fits(lines.len()) {
            lines.pop();
        }
        Block { lines, size, leading, overflow, forced: broken.forced }
    }
}

/// The largest whole number of pixels between two that passes, found by halving; the least when none does.
pub(crate) fn largest(least: f32, most: f32, passes: impl Fn(f32) -> bool) -> f32 {
    let (mut low, mut high) = (least.round(), most.round().max(least.round()));
    if passes(high) {
        return high;
    }
    while high - low > 1.0 {
        let middle = f32::midpoint(low, high).floor();
        if passes(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The longest beginning of a text, ending in an ellipsis, that fits a box at a size.
pub(crate) fn shorten(
    text: &str,
    setting: Setting,
    size: f32,
    width: f32,
    limit: f32,
    leading: f32,
) -> String {
    let ends: Vec<usize> =
        text.split_word_bound_indices().map(|(at, word)| at + word.trim_end().len()).collect();
    let candidate = |count: usize| {
        let end = count.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
        let kept = text.get(..end).unwrap_or_default();
        format!(
            "{}…",
            kept.trim_end_matches(
                |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '.' | '–' | '—')
            )
        )
    };
    let fits =
        |count: usize| !Shaped::new(&candidate(count), setting).at(size, width, limit, leading).overflow;
    let (mut low, mut high) = (0, ends.len());
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if low > 0 {
        return candidate(low);
    }
    // Not even the first word fits: graphemes of it.
    let mut kept = String::new();
    for grapheme in text.graphemes(true) {
        let longer = format!("{kept}{grapheme}");
        if Shaped::new(&format!("{longer}…"), setting).at(size, width, limit, leading).overflow {
            break;
        }
        kept = longer;
    }
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "the numbers of tests are small")]

    use super::*;
    use crate::visuals::fonts::Face;

    const SETTING: Setting =
        Setting { face: Face::InterMedium, language: Language::German, hyphenate: true, tracking: 0.0 };

    fn lines(text: &str, width: f32, setting: Setting) -> Vec<&str> {
        let shaped = Shaped::new(text, setting);
        shaped
            .at(1.0, width, f32::INFINITY, 1.2)
            .lines
            .iter()
            .map(|line| &text[line.start..line.end])
            .collect()
    }

    #[test]
    fn cleaning_keeps_the_words_and_drops_what_cannot_be_drawn() {
        let clean = clean("  Hallo\u{0}\u{202E}  Welt \r\n\r\n\r\n漢字 🌱\tok\u{7} ", Face::InterMedium);
        assert_eq!(clean.text, "Hallo Welt\n\n🌱 ok");
        assert_eq!(clean.left_out, ["漢", "字"]);
        assert_eq!(clean.missing, 2);
        let stacked = format!("a{}", "\u{301}".repeat(1_000));
        assert!(super::clean(&stacked, Face::InterMedium).text.chars().count() <= CLUSTER);
    }

    #[test]
    fn widths_add_up_to_what_is_placed() {
        for text in [
            "Größe zählt nicht.",
            "Straße — «Été» „Ärger“ ﬁn",
            "שלום world",
            "سلام عليكم",
            "Φως και Мир 🌱 ok",
        ] {
            let shaped = Shaped::new(text, Setting { hyphenate: false, ..SETTING });
            let broken = shaped.break_lines(1_000.0, false);
            assert_eq!(broken.lines.len(), 1);
            let (glyphs, width) = shaped.place(&broken.lines[0]);
            assert!(
                (width - broken.lines[0].width).abs() < 0.01,
                "{text}: {width} {}",
                broken.lines[0].width
            );
            assert!(glyphs.iter().all(|glyph| glyph.id != 0), "{text} has a missing glyph");
        }
    }

    #[test]
    fn lines_are_balanced_and_within_the_width() {
        let text = "Jeder Tag ist eine neue Gelegenheit, freundlich mit dir selbst zu sein.";
        let found = lines(text, 16.0, SETTING);
        assert_eq!(found.concat().replace(' ', ""), text.replace(' ', ""));
        let shaped = Shaped::new(text, SETTING);
        let widths: Vec<f32> = shaped.break_lines(16.0, false).lines.iter().map(|line| line.width).collect();
        assert!(widths.iter().all(|width| *width <= 16.0), "{widths:?}");
        let (least, most) = widths.iter().fold((f32::MAX, 0.0_f32), |(a, b), w| (a.min(*w), b.max(*w)));
        assert!(least > 0.55 * most, "ragged: {found:?} {widths:?}");
    }

    #[test]
    fn long_german_words_are_divided_between_syllables() {
        let found = lines("Donaudampfschifffahrtsgesellschaft", 10.0, SETTING);
        assert!(found.len() > 1, "{found:?}");
        let shaped = Shaped::new("Donaudampfschifffahrtsgesellschaft", SETTING);
        let block = shaped.at(1.0, 10.0, f32::INFINITY, 1.2);
        assert!(!block.forced && block.lines.iter().rev().skip(1).all(|line| line.hyphen), "{found:?}");
        // Without hyphenation, and for what is no word, graphemes are the last resort.
        let plain = Setting { hyphenate: false, ..SETTING };
        assert!(
            Shaped::new("Donaudampfschifffahrtsgesellschaft", plain).at(1.0, 10.0, f32::INFINITY, 1.2).forced
        );
        assert!(Shaped::new(&"x".repeat(200), SETTING).at(1.0, 10.0, f32::INFINITY, 1.2).forced);
    }

    #[test]
    fn a_mixed_line_is_in_visual_order() {
        let text = "abc שלום def";
        let shaped = Shaped::new(text, Setting { hyphenate: false, ..SETTING });
        let broken = shaped.break_lines(100.0, false);
        let (glyphs, _) = shaped.place(&broken.lines[0]);
        let hebrew: Vec<usize> =
            glyphs.iter().filter(|g| g.face == Face::Hebrew).map(|g| g.cluster).collect();
        let hebrew: Vec<usize> = hebrew.into_iter().filter(|at| text.as_bytes()[*at] != b' ').collect();
        assert!(hebrew.is_sorted_by(|a, b| a >= b), "Hebrew runs right to left: {hebrew:?}");
        assert!(!shaped.is_right_to_left(&broken.lines[0]));
        let rtl = Shaped::new("שלום abc", SETTING);
        assert!(rtl.is_right_to_left(&rtl.break_lines(100.0, false).lines[0]));
    }

    #[test]
    fn halving_finds_the_largest_that_passes() {
        let shaped = Shaped::new("Ich gehe meinen Weg mit ruhiger Kraft.", SETTING);
        let fits = |size: f32| {
            let block = shaped.at(size, 888.0, 600.0, 1.15);
            !block.overflow && !block.forced
        };
        let size = largest(28.0, 300.0, fits);
        assert!(fits(size) && !fits(size + 1.0) && size > 100.0, "{size}");
        assert_eq!(largest(5.0, 9.0, |_| false), 5.0);
        assert_eq!(largest(5.0, 9.0, |_| true), 9.0);
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        let text = "Ein langer Satz, der niemals in zwei Zeilen passt, weil er viel zu viele Wörter hat. "
            .repeat(20);
        let limit = height(2, 40.0, 1.3, 0.727);
        let short = shorten(text.trim(), SETTING, 40.0, 600.0, limit, 1.3);
        assert!(short.ends_with('…') && short.len() > 20, "{short}");
        assert!(!Shaped::new(&short, SETTING).at(40.0, 600.0, limit, 1.3).overflow);
        assert_eq!(shorten(&"x".repeat(500), SETTING, 40.0, 30.0, height(1, 40.0, 1.3, 0.727), 1.3), "…");
    }

    #[test]
    fn abbreviations_stay_together() {
        for text in ["Wer z. B. ruht", "Das heißt d. h. viel", "So (z. B. hier) auch"] {
            for width in 3..12_u8 {
                for line in lines(text, f32::from(width), Setting { hyphenate: false, ..SETTING }) {
                    assert!(!line.ends_with("z.") && !line.ends_with("d."), "{line}");
                }
            }
        }
    }

    #[test]
    fn soft_hyphens_and_line_feeds_are_honoured() {
        let shaped = Shaped::new("Silben\u{AD}trennung\nhier", Setting { hyphenate: false, ..SETTING });
        let broken = shaped.break_lines(5.0, false);
        assert!(broken.lines[0].hyphen, "{:?}", broken.lines);
        assert_eq!(&shaped.text[broken.lines.last().unwrap().start..], "hier");
    }
}
