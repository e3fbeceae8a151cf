//! Words of a text and the terms that they are found by: one analysis for documents and questions.
//!
//! A term is a stem (Snowball, German or English), a number in one spelling, a product code without its hyphens, or an
//! e-mail address. Umlauts, their transcriptions and bare vowels come to the same term; `ß` is `ss`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::Language;

/// The longest term, in bytes.
pub const TERM_BYTES: usize = 64;
/// The most words that hyphens or an at sign join to one token.
const JOINED_WORDS: usize = 8;
/// The shortest part of a compound, in letters.
const PART: usize = 4;
/// The shortest stem of a part that is enough by itself.
const STRONG_PART: usize = 5;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A word or number, by Unicode's word boundaries.
    Word,
    /// Words joined by hyphens; its words are tokens as well.
    Joined,
    /// An e-mail address; its words are tokens as well.
    Email,
    /// The number after a section sign.
    Section,
}

/// A stretch of text that terms are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// Its text.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Which word of the text it is, or begins at.
    pub position: u32,
    /// What it is.
    pub kind: Kind,
}

impl Token<'_> {
    /// Where it ends, in bytes.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The words of a text by Unicode's boundaries (UAX #29), with where they begin, in bytes.
///
/// A boundary is always where there is white space, and none is inside a run of Latin letters and digits; only what is
/// neither is given to the full algorithm.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let base = text.as_ptr() as usize;
    text.split([' ', '\n', '\t', '\r']).flat_map(move |run| {
        let start = run.as_ptr() as usize - base;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ɏ');
        let around = |c: char| {
            matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '*' | '#' | '-' | '|' | '"')
        };
        let core = run.trim_matches(around);
        let simple = core.chars().all(plain);
        let skipped = core.as_ptr() as usize - base;
        let one = (simple && !core.is_empty()).then_some((skipped, core));
        let others = (!simple).then(|| run.unicode_word_indices().map(move |(at, word)| (start + at, word)));
        one.into_iter().chain(others.into_iter().flatten())
    })
}

/// The tokens of a text, in order of their ends.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all = Vec::with_capacity(text.len() / 6);
    let mut position = 0;
    // The chain of joined words that ends with the last word: where and at which word it began, its length, its kind.
    let mut chain = (0, 0, 0, Kind::Joined);
    let mut last_end = usize::MAX;
    let close = |all: &mut Vec<Token<'_>>, chain: (usize, u32, usize, Kind), end: usize| {
        let (start, position, words, kind) = chain;
        if words > 1 && end - start <= TERM_BYTES {
            all.push(Token { text: "", start, position, kind });
            end - start
        } else {
            0
        }
    };
    for (start, word) in words(text) {
        let gap = if last_end <= start { &text[last_end..start] } else { "" };
        let joins = matches!(gap, "-" | "\u{2011}" | "@") && chain.2 < JOINED_WORDS;
        if joins {
            chain.2 += 1;
            if gap == "@" {
                chain.3 = Kind::Email;
            }
        } else {
            if last_end != usize::MAX {
                let length = close(&mut all, chain, last_end);
                if length > 0
                    && let Some(token) = all.last_mut()
                {
                    token.text = &text[token.start..token.start + length];
                }
            }
            chain = (start, position, 1, Kind::Joined);
        }
        let section =
            gap.trim_end().ends_with('§') || (position == 0 && text[..start].trim_end().ends_with('§'));
        let kind = if section && starts_with_digit(word) { Kind::Section } else { Kind::Word };
        all.push(Token { text: word, start, position, kind });
        position = position.saturating_add(1);
        last_end = start + word.len();
    }
    if last_end != usize::MAX {
        let length = close(&mut all, chain, last_end);
        if length > 0
            && let Some(token) = all.last_mut()
        {
            token.text = &text[token.start..token.start + length];
        }
    }
    all
}

/// The terms of a token, the chief one first; none for stop words of the language and single letters.
pub(super) fn terms_of(token: &Token<'_>, language: Language) -> Vec<String> {
    let text = bounded(token.text);
    match token.kind {
        Kind::Email => vec![bounded(&normal(text)).to_owned()],
        Kind::Joined => joined(text, language),
        Kind::Section => {
            let number = number(text);
            vec![format!("§{number}"), number]
        }
        Kind::Word if text.contains(|c: char| c.is_numeric()) => with_digits(text),
        Kind::Word => word(text, language),
    }
}

/// The terms of a text in their order, as a question or a heading is read.
///
/// ```
/// use aicos_retrieval::{Language, terms};
/// assert_eq!(terms("Die Kuendigungen", Language::German), terms("der Kündigung", Language::German));
/// assert_eq!(terms("2.500", Language::German), terms("2,500", Language::English));
/// ```
pub fn terms(text: &str, language: Language) -> Vec<String> {
    tokens(text).iter().flat_map(|token| terms_of(token, language)).collect()
}

/// Whether the lower-cased word says too little to search for.
pub(super) fn is_stop_word(lower: &str, language: Language) -> bool {
    match language {
        Language::German => GERMAN_STOPS.contains(lower),
        Language::English => ENGLISH_STOPS.contains(lower),
    }
}

/// The stem of a lower-cased word, without accents.
pub(super) fn stem(lower: &str, language: Language) -> String {
    let stemmed = match language {
        Language::German => Stemmer::create(Algorithm::German).stem(&umlauts(lower)).into_owned(),
        Language::English => Stemmer::create(Algorithm::English).stem(lower).into_owned(),
    };
    let mut bare = without_accents(&stemmed);
    if language == Language::German {
        bare = without_infix(bare);
    }
    if bare.len() > TERM_BYTES {
        bare.truncate(bounded(&bare).len());
    }
    bare
}

/// A stem without what German verbs take between a separable prefix and their root: `eingereicht` and `einzureichen` come to
/// the stem of `einreichen` and `Einreichung`.
fn without_infix(stem: String) -> String {
    for prefix in SEPARABLE {
        let Some(rest) = stem.strip_prefix(prefix) else { continue };
        let participle = rest.strip_prefix("ge").and_then(|root| root.strip_suffix('t'));
        let root = participle.map(|root| root.strip_suffix('e').unwrap_or(root));
        let root = root.or_else(|| rest.strip_prefix("zu").filter(|root| !root.starts_with("gs")));
        if let Some(root) = root.filter(|root| root.len() >= 3) {
            return format!("{prefix}{root}");
        }
    }
    stem
}

/// Prefixes that German verbs part with, as stems have them; the longer ones first.
const SEPARABLE: [&str; 32] = [
    "zusammen", "zuruck", "herunter", "heraus", "hinaus", "hinein", "herein", "voraus", "weiter", "wieder",
    "vorbei", "durch", "nieder", "uber", "unter", "nach", "fort", "fest", "frei", "auf", "aus", "bei", "ein",
    "her", "hin", "los", "mit", "vor", "weg", "ab", "an", "zu",
];

/// A word in one spelling: compatibility forms composed, lower case, a straight apostrophe.
pub(super) fn normal(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfkc().flat_map(char::to_lowercase).map(|c| if c == '’' { '\'' } else { c }).collect()
}

/// The parts that a German compound is made of, as terms: both halves known, or one long known half; a known half may be
/// a compound itself. `lower` is a normal word, `known` says whether a stem is that of a noun.
pub(super) fn parts(lower: &str, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    if lower.len() <= TERM_BYTES && lower.chars().all(char::is_alphabetic) {
        collect_parts(&umlauts(lower), known, &mut found, 2);
    }
    found
}

/// Every way to cut a German word in two, as terms: left and right.
pub(super) fn splits(lower: &str) -> Vec<(String, String)> {
    let word = umlauts(lower);
    cuts(&word)
        .map(|at| (stem(&word[..at], Language::German), stem(&word[at..], Language::German)))
        .filter(|(left, right)| left.len() >= 3 && right.len() >= 3)
        .collect()
}

/// The compounds that two German words may make: the first with each linking sound, then the second.
pub(super) fn compounds(first: &str, second: &str) -> Vec<String> {
    let mut made = Vec::new();
    let bare = umlauts(first);
    let shorter =
        ["en", "e", "n"].iter().find_map(|end| bare.strip_suffix(end)).filter(|rest| rest.len() >= 3);
    for left in std::iter::once(&*bare).chain(shorter) {
        for link in ["", "s", "n", "en", "es", "ungs"] {
            let term = stem(&format!("{left}{link}{second}"), Language::German);
            if term.len() < TERM_BYTES && !made.contains(&term) {
                made.push(term);
            }
        }
    }
    made
}

/// Nouns that compounds may be made of: those in general use, those of a document, and what the caller knows.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    stems: HashSet<String>,
}

impl Vocabulary {
    /// The capitalised words of a text, as German terms.
    pub fn of(text: &str) -> Self {
        let mut seen = HashSet::new();
        let mut stems = HashSet::new();
        for (_, word) in words(text) {
            let noun =
                word.len() <= 2 * STRONG_PART + 6 && word.chars().next().is_some_and(char::is_uppercase);
            if noun && word.len() >= PART && seen.insert(word) {
                let lower = normal(word);
                if lower.chars().all(char::is_alphabetic) && !is_stop_word(&lower, Language::German) {
                    stems.insert(stem(&lower, Language::German));
                }
            }
        }
        Self { stems }
    }

    /// Adds terms, such as the nouns of an organization's other documents.
    pub fn extend(&mut self, terms: impl IntoIterator<Item = String>) {
        self.stems.extend(terms);
    }

    /// Whether a term is that of a noun which compounds are made of.
    pub(super) fn knows(&self, term: &str) -> bool {
        self.stems.contains(term) || is_common_part(term)
    }
}

/// Whether a term is that of a noun in general use.
pub(super) fn is_common_part(term: &str) -> bool {
    COMMON_PARTS.contains(term)
}

/// The terms of words, each worked out once a document.
pub(super) struct Analyser<'v> {
    language: Language,
    vocabulary: &'v Vocabulary,
    /// By kind of token.
    seen: [HashMap<String, Vec<u32>>; 4],
    ids: HashMap<String, u32>,
    names: Vec<String>,
}

impl<'v> Analyser<'v> {
    /// An analyser of one language's chunks.
    pub fn new(language: Language, vocabulary: &'v Vocabulary) -> Self {
        Self { language, vocabulary, seen: Default::default(), ids: HashMap::new(), names: Vec::new() }
    }

    /// The terms of a text with how often each occurs, in the order of the terms.
    pub fn count(&mut self, text: &str) -> Vec<(String, u16)> {
        let mut found: Vec<u32> = Vec::new();
        for token in tokens(text) {
            let (key, kind) = (bounded(token.text), token.kind as usize);
            if let Some(ids) = self.seen[kind].get(key) {
                found.extend(ids);
                continue;
            }
            let mut terms = terms_of(&token, self.language);
            if self.language == Language::German && token.kind == Kind::Word && !terms.is_empty() {
                let capital = token.text.chars().next().is_some_and(char::is_uppercase);
                if capital && token.text.len() >= 2 * PART - 1 {
                    terms.extend(parts(&normal(token.text), &|stem| self.vocabulary.knows(stem)));
                }
            }
            let ids: Vec<u32> = terms.into_iter().map(|term| self.id(term)).collect();
            found.extend(&ids);
            self.seen[kind].insert(key.to_owned(), ids);
        }
        found.sort_unstable();
        let mut counted: Vec<(String, u16)> = found
            .chunk_by(|a, b| a == b)
            .filter_map(|run| {
                let name = self.names.get(usize::try_from(*run.first()?).ok()?)?;
                Some((name.clone(), u16::try_from(run.len()).unwrap_or(u16::MAX)))
            })
            .collect();
        counted.sort_unstable();
        counted
    }

    fn id(&mut self, term: String) -> u32 {
        if let Some(id) = self.ids.get(&term) {
            return *id;
        }
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(term.clone());
        self.ids.insert(term, id);
        id
    }
}

/// A number in one spelling: `2.500`, `2,500` and `2 500` are 2500; `2,5` is `2.5`; a date is `2025-03-31`.
pub(super) fn number(text: &str) -> String {
    let groups: Vec<&str> = text.split(['.', ',', '\'', '’', '\u{a0}', '\u{202f}']).collect();
    let digits = groups.iter().all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    if !digits || groups.len() == 1 {
        return normal(text);
    }
    if let [day, month, year] = groups[..]
        && (day.len() <= 2 && month.len() <= 2 && (year.len() == 4 || year.len() == 2))
    {
        let century = if year.len() == 2 { "20" } else { "" };
        return format!("{century}{year}-{month:0>2}-{day:0>2}");
    }
    let thousands = |group: &&str| group.len() == 3;
    if groups[0].len() <= 3 && groups[1..].iter().all(thousands) {
        return groups.concat();
    }
    let (last, rest) = (groups[groups.len() - 1], &groups[..groups.len() - 1]);
    let whole = rest.concat();
    let fraction = last.trim_end_matches('0');
    if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
}

fn collect_parts(word: &str, known: &dyn Fn(&str) -> bool, found: &mut Vec<String>, depth: u8) {
    let letters = word.chars().count();
    if letters < 2 * PART - 1 || depth == 0 {
        return;
    }
    let mut one_sided = None;
    for at in cuts(word) {
        let (left, right) = (&word[..at], &word[at..]);
        let (left_stem, right_stem) = (stem(left, Language::German), stem(right, Language::German));
        let (left_known, right_known) = (known(&left_stem), known(&right_stem));
        if left_known && right_known {
            found.extend([left_stem, right_stem]);
            collect_parts(left, known, found, depth - 1);
            collect_parts(right, known, found, depth - 1);
            return;
        }
        // One long half is enough when the other is long enough to be a word, and not an ending.
        let (half, remainder) = if left_known { (left, right) } else { (right, left) };
        // The head, on the right, is the surer sign.
        let enough = if left_known { STRONG_PART } else { PART };
        if (left_known || right_known)
            && half.chars().count() >= enough
            && remainder.chars().count() >= enough
            && !ENDINGS.contains(&remainder)
            && one_sided.as_ref().is_none_or(|(best, ..): &(usize, _, _)| *best < half.len())
        {
            one_sided = Some((half.len(), [left_stem, right_stem], remainder));
        }
    }
    if let Some((_, stems, remainder)) = one_sided {
        found.extend(stems);
        collect_parts(remainder, known, found, depth - 1);
    }
}

/// Endings that are no word of their own.
const ENDINGS: [&str; 12] = [
    "ungen", "lichen", "licher", "liches", "keiten", "heiten", "schaft", "innen", "ischen", "ischer",
    "erinnen", "ierung",
];

/// Where a word may be cut, in bytes.
fn cuts(word: &str) -> impl Iterator<Item = usize> + '_ {
    let letters = word.chars().count();
    word.char_indices()
        .enumerate()
        .filter(move |(index, _)| *index >= PART - 1 && *index + PART - 1 < letters)
        .map(|(_, (at, _))| at)
        .filter(move |at| *at > 0)
}

fn word(text: &str, language: Language) -> Vec<String> {
    let lower = normal(text);
    let lower = lower.strip_suffix("'s").or_else(|| lower.strip_suffix('\'')).unwrap_or(&lower);
    if is_stop_word(lower, language) {
        return Vec::new();
    }
    if lower.contains(['.', ':', '\'', '·']) {
        // `firma.de` is found whole and by its parts, `Mitarbeiter:innen` by its parts.
        let mut terms = if lower.contains('.') { vec![lower.to_owned()] } else { Vec::new() };
        let pieces = lower.split(['.', ':', '\'', '·']).filter(|piece| piece.chars().nth(1).is_some());
        terms
            .extend(pieces.filter(|piece| !is_stop_word(piece, language)).map(|piece| stem(piece, language)));
        return terms;
    }
    if lower.chars().nth(1).is_none() && lower.is_ascii() {
        return Vec::new();
    }
    vec![stem(lower, language)]
}

/// Terms of a word with digits in it: the whole, and its digits and letters apart (`5kg`, `XR200`).
fn with_digits(text: &str) -> Vec<String> {
    let whole = number(text);
    let mut terms = vec![whole];
    let lower = normal(text);
    if lower.contains(char::is_alphabetic) {
        let digits =
            lower.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(lower.len());
        let (front, unit) = lower.split_at(digits);
        if !front.is_empty() && unit.chars().all(char::is_alphabetic) {
            terms.push(number(front.trim_end_matches(['.', ','])));
            if unit.len() > 1 {
                terms.push(unit.to_owned());
            }
        }
    } else if let Some((year, _)) = terms[0].split_once('-') {
        terms.push(year.to_owned());
    }
    terms
}

fn joined(text: &str, language: Language) -> Vec<String> {
    let lower = normal(text);
    let bare: String = lower.chars().filter(|c| !matches!(c, '-' | '\u{2010}' | '\u{2011}')).collect();
    if bare.contains(|c: char| c.is_numeric()) {
        let dates: Vec<&str> = lower.split('-').collect();
        let is_date = dates.len() == 3 && dates.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        return vec![if is_date && dates[0].len() == 4 { lower } else { bare }];
    }
    vec![stem(&bare, language)]
}

/// German spelling in one form: `ss` for `ß`, umlauts for their transcriptions (not after a vowel or q, as in `neue`,
/// `Quelle`).
fn umlauts(lower: &str) -> Cow<'_, str> {
    if !lower.contains('ß') && !lower.contains("ae") && !lower.contains("oe") && !lower.contains("ue") {
        return Cow::Borrowed(lower);
    }
    let mut out = String::with_capacity(lower.len() + 2);
    let mut before = ' ';
    let mut chars = lower.chars().peekable();
    while let Some(c) = chars.next() {
        let umlaut = match c {
            'a' => 'ä',
            'o' => 'ö',
            'u' => 'ü',
            'ß' => {
                out.push_str("ss");
                before = 's';
                continue;
            }
            other => other,
        };
        if umlaut != c && chars.peek() == Some(&'e') && !"aeiouq".contains(before) {
            chars.next();
            out.push(umlaut);
            before = umlaut;
        } else {
            out.push(c);
            before = c;
        }
    }
    Cow::Owned(out)
}

fn without_accents(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    text.nfd()
        .filter(|c| !unicode_normalization::char::is_combining_mark(*c))
        .flat_map(|c| if c == 'ß' { ['s', 's'].into_iter().take(2) } else { [c, c].into_iter().take(1) })
        .collect()
}

/// The first [`TERM_BYTES`] of a text, cut between characters.
pub(super) fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(TERM_BYTES)]
}

fn starts_with_digit(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

static GERMAN_STOPS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("stopwords_de.txt").split_whitespace().collect());
static ENGLISH_STOPS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("stopwords_en.txt").split_whitespace().collect());
static COMMON_PARTS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let words = include_str!("compounds_de.txt").lines().filter(|line| !line.starts_with('#'));
    words.flat_map(str::split_whitespace).map(|word| stem(word, Language::German)).collect()
});

/// A word in lower case without accents, of which its stem is the beginning.
pub(super) fn bare(word: &str, language: Language) -> String {
    let lower = normal(word);
    match language {
        Language::German => without_accents(&umlauts(&lower)),
        Language::English => without_accents(&lower),
    }
}
