//! Key phrases of a text: stretches of words that can stand alone as a label or a hashtag.
//!
//! Stop words and punctuation cut a text into runs of content words, as in RAKE (Rose, Engel, Cramer and Cowley, Automatic
//! keyword extraction from individual documents, 2010); within a run, the forms that German and English use for naming
//! things are candidates: nouns, adjective and noun, noun of noun. Words are weighed by frequency, position, spread over
//! sentences and degree, the features of RAKE and of YAKE (Campos et al., YAKE! Keyword extraction from single documents
//! using multiple local features, 2020); the weights are our own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::german;
use super::numbers::{float, ln, rounded, share};
use super::{ENGLISH, GERMAN, Language};
use crate::retrieval::Format;
use crate::retrieval::reading::{self, Kind};

/// The most phrases of a text.
pub const PHRASES: usize = 80;
/// The longest word that is looked at, in bytes.
const WORD_BYTES: usize = 64;
/// After about so many words a word's place counts little more than half.
const POSITION: f64 = 12.0;
/// A text with at most so many words and no full stop names its topic, and is read as a title.
const TITLE_WORDS: usize = 8;

/// A stretch of words that says what a text is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Phrase {
    /// Its words as they are written alone: German in the nominative, with capitals where the language has them.
    pub words: Vec<String>,
    /// The terms of its content words, in order.
    pub terms: Vec<String>,
    /// How often it occurs, declined or not.
    pub count: usize,
    /// How much the text is about it: 1 for the best phrase.
    pub relevance: f64,
}

impl Phrase {
    /// The phrase as a label: its words, the first with a capital.
    pub fn label(&self) -> String {
        super::capitalised(&self.words.join(" "))
    }
}

/// What a text is about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Its phrases, the best first, at most [`PHRASES`].
    pub phrases: Vec<Phrase>,
    /// Its terms with their weights, 1 for the heaviest.
    pub terms: BTreeMap<String, f64>,
    /// How many words it has, stop words included.
    pub words: usize,
}

impl Profile {
    /// The profile with no more than so many terms, the weightiest.
    #[must_use]
    pub fn weightiest(mut self, most: usize) -> Self {
        if self.terms.len() > most {
            let mut order: Vec<(String, f64)> = std::mem::take(&mut self.terms).into_iter().collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            order.truncate(most);
            self.terms = order.into_iter().collect();
        }
        self
    }

    /// The mean weight of some terms in the text: 0 to 1.
    pub fn overlap(&self, terms: &[String]) -> f64 {
        let distinct: BTreeSet<&String> = terms.iter().collect();
        let weights: Vec<f64> =
            distinct.iter().map(|term| self.terms.get(*term).copied().unwrap_or(0.0)).collect();
        if weights.is_empty() { 0.0 } else { weights.iter().sum::<f64>() / float(weights.len()) }
    }
}

/// Reads what a text is about. The time is that of sorting its words.
pub fn read(text: &str, language: Language) -> Profile {
    let tokens = tokens(text, language);
    let statistics = Statistics::of(&tokens);
    let mut found = Candidates::default();
    match language {
        Language::German => german_candidates(&tokens, &mut found),
        Language::English => english_candidates(&tokens, &mut found),
    }
    let phrases = found.weighed(&statistics);
    let heaviest =
        statistics.words.values().map(|word| word.weight).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let terms =
        statistics.words.iter().map(|(term, word)| (term.clone(), rounded(word.weight / heaviest))).collect();
    Profile { phrases, terms, words: tokens.len() }
}

/// Whether a term is that of a noun which says too little by itself (`zeit`, `thing`).
pub fn is_bare(term: &str, language: Language) -> bool {
    match language {
        Language::German => GERMAN.bare.contains(term),
        Language::English => ENGLISH.bare.contains(term),
    }
}

/// The terms of a text as phrases and profiles count them: the stems of its words without stop words and numbers.
pub fn terms(text: &str, language: Language) -> Vec<String> {
    tokens(text, language).iter().filter(|token| token.is_content()).map(|token| token.term.clone()).collect()
}

/// What stands between a word and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// The word opens a sentence, a heading or an item.
    Opens,
    /// Nothing but white space.
    Space,
    /// Punctuation.
    Break,
}

/// What a word can be in a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A stop word, a number or an opener: it ends a run.
    Stop,
    /// A noun, or in English what may be one.
    Noun,
    /// A German noun by nothing but its capital at the beginning of a sentence.
    Unsure,
    /// A word in lower case in German; an English adjective that says little.
    Other,
    /// An English verb in its base form.
    Verb,
    /// An English verb in -ing, which may be a noun.
    Gerund,
    /// An English verb in another form.
    Finite,
}

#[expect(clippy::struct_excessive_bools, reason = "they are independent observations of one word")]
#[derive(Debug, Clone)]
struct Token<'a> {
    text: &'a str,
    lower: String,
    term: String,
    gap: Gap,
    class: Class,
    /// Whether it says too little to stand alone.
    bare: bool,
    /// Whether it had a possessive `'s`.
    owns: bool,
    /// Where it begins in the row of words.
    index: usize,
    /// What is known of it as a German noun.
    noun: Option<german::Noun>,
    /// Whether the text itself has it as a hashtag.
    tagged: bool,
    /// Whether it is written with a capital that its place does not explain.
    name: bool,
    sentence: usize,
    /// Whether it stands in a heading or in a text that is a title.
    title: bool,
}

impl Token<'_> {
    const fn is_content(&self) -> bool {
        !matches!(self.class, Class::Stop)
    }
}

/// The words of a text with hyphens inside, what separates them, and what they are.
fn tokens(text: &str, language: Language) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::with_capacity(text.len() / 6);
    let sentences = reading::sentences(text, Format::Markdown);
    let words: usize = text.split_whitespace().take(TITLE_WORDS + 1).count();
    let ends = |c: char| matches!(c, '.' | '!' | '?' | '…');
    let title_text = words <= TITLE_WORDS && !text.trim_end().ends_with(ends);
    for (index, sentence) in sentences.iter().enumerate() {
        if sentence.kind == Kind::Code {
            continue;
        }
        let Some(stretch) = text.get(sentence.bytes.clone()) else { continue };
        let title = title_text || sentence.kind == Kind::Heading;
        for part in without_links(stretch) {
            push_words(part, index, title, part.as_ptr() == stretch.as_ptr(), &mut tokens);
        }
    }
    classify(&mut tokens, language);
    tokens
}

/// The stretches between the links of a text.
fn without_links(text: &str) -> Vec<&str> {
    // Without a dot or an at sign there are none, and most sentences are spared the search.
    if !text.contains("://") && !text.contains('@') && !text.contains("www.") {
        return vec![text];
    }
    let mut finder = linkify::LinkFinder::new();
    finder.url_must_have_scheme(false);
    finder.spans(text).filter(|span| span.kind().is_none()).map(|span| span.as_str()).collect()
}

fn push_words<'a>(part: &'a str, sentence: usize, title: bool, opens: bool, tokens: &mut Vec<Token<'a>>) {
    let mut last_end = 0;
    let mut first = true;
    let mut chain: Option<(usize, usize, Gap, bool)> = None;
    let push = |(start, end, gap, tagged): (usize, usize, Gap, bool), tokens: &mut Vec<Token<'a>>| {
        let Some(text) = part.get(start..end).filter(|text| text.len() <= WORD_BYTES) else { return };
        let owner = text.strip_suffix("'s").or_else(|| text.strip_suffix("’s"));
        // What somebody owns is named without its owner.
        let gap =
            if gap == Gap::Space && tokens.last().is_some_and(|last| last.owns) { Gap::Break } else { gap };
        let (text, owns) = (owner.unwrap_or(text), owner.is_some());
        tokens.push(Token {
            text,
            owns,
            lower: reading::normal(text),
            term: String::new(),
            gap,
            class: Class::Stop,
            bare: false,
            tagged,
            name: false,
            sentence,
            title,
            index: tokens.len(),
            noun: None,
        });
    };
    for (start, word) in reading::words(part) {
        let between = part.get(last_end..start).unwrap_or_default();
        let end = start + word.len();
        let joins = matches!(between, "-" | "\u{2010}" | "\u{2011}");
        match &mut chain {
            Some((from, to, ..)) if joins && end - *from <= WORD_BYTES => *to = end,
            _ => {
                if let Some(whole) = chain.take() {
                    push(whole, tokens);
                }
                let gap = match between {
                    _ if first && opens => Gap::Opens,
                    _ if first => Gap::Break,
                    _ if !between.is_empty() && between.chars().all(char::is_whitespace) => Gap::Space,
                    _ if between.contains(['.', '!', '?', ':', '–', '—', '"', '„', '“', '•', '\n', '(']) => {
                        Gap::Opens
                    }
                    _ => Gap::Break,
                };
                chain = Some((start, end, gap, between.ends_with('#')));
                first = false;
            }
        }
        last_end = end;
    }
    if let Some(whole) = chain {
        push(whole, tokens);
    }
}

fn classify(tokens: &mut [Token<'_>], language: Language) {
    // Words with a capital inside a sentence, which are nouns or names wherever they stand.
    let inside: BTreeSet<String> = tokens
        .iter()
        .filter(|token| token.gap != Gap::Opens && token.text.starts_with(char::is_uppercase))
        .map(|token| token.lower.clone())
        .collect();
    let lowered: BTreeSet<String> =
        tokens.iter().filter(|token| token.text == token.lower).map(|token| token.lower.clone()).collect();
    let next_is_noun: Vec<bool> = (0..tokens.len())
        .map(|at| {
            tokens
                .get(at + 1)
                .is_some_and(|next| next.gap == Gap::Space && next.text.starts_with(char::is_uppercase))
        })
        .collect();
    let around: Vec<Around> = match language {
        Language::English => (0..tokens.len()).map(|at| Around::of(tokens, at)).collect(),
        Language::German => vec![Around::default(); tokens.len()],
    };
    // Each word is worked out once, however often it occurs.
    let mut stems: HashMap<String, String> = HashMap::new();
    let mut nouns: HashMap<&str, Option<german::Noun>> = HashMap::new();
    for ((token, before_noun), around) in tokens.iter_mut().zip(next_is_noun).zip(around) {
        let stem = |lower: &str| reading::stem(&lower.replace(['-', '\u{2010}', '\u{2011}'], ""), language);
        if !stems.contains_key(&token.lower) {
            stems.insert(token.lower.clone(), stem(&token.lower));
        }
        token.term = stems.get(&token.lower).cloned().unwrap_or_default();
        if language == Language::German {
            token.noun = *nouns.entry(token.text).or_insert_with(|| german::noun(token.text));
        }
        let capital = token.text.starts_with(char::is_uppercase);
        let letters = token.text.chars().filter(|c| c.is_alphabetic()).count();
        let initials = letters >= 2 && token.text.chars().all(|c| !c.is_lowercase());
        let inner = token.text.chars().skip(1).any(char::is_uppercase) && !token.text.contains('-');
        token.name =
            (capital && (token.gap != Gap::Opens || inside.contains(&token.lower))) || initials || inner;
        // `(z.B.`, `usw.`, `innen` after a star, and words with a colon or a dot inside are no words for a phrase.
        let odd = token.lower.contains(['.', ':', '/', '_']);
        let number = !token.lower.starts_with(char::is_alphabetic) && !has_word(&token.lower);
        let short = letters < 2 || (letters == 2 && !initials && token.text.is_ascii());
        if odd || number || short || reading::is_stop_word(&token.lower, language) {
            continue;
        }
        token.class = match language {
            Language::German => {
                let Classified { class, bare } = german_class(token, capital, &inside, &lowered, before_noun);
                token.bare = bare;
                class
            }
            Language::English => {
                let Classified { class, bare } = english_class(token, &around);
                token.bare = bare;
                class
            }
        };
        if token.tagged {
            token.class = Class::Noun;
            token.bare = false;
        }
    }
}

/// Whether a word that begins with a digit has a word in it (`7-Tage-Plan`, `24-Stunden-Lauf`), and is no unit (`5km`).
fn has_word(lower: &str) -> bool {
    lower.split(|c: char| !c.is_alphabetic()).any(|word| word.chars().count() >= 3)
}

struct Classified {
    class: Class,
    bare: bool,
}

fn german_class(
    token: &Token<'_>,
    capital: bool,
    inside: &BTreeSet<String>,
    lowered: &BTreeSet<String>,
    before_noun: bool,
) -> Classified {
    let lower = token.lower.as_str();
    let bare = GERMAN.bare.contains(&token.term) || is_empty_adjective(lower);
    if !capital {
        return Classified { class: Class::Other, bare: true };
    }
    let opens = token.gap == Gap::Opens && !inside.contains(lower);
    // `Kostenloses Gespräch`: before a noun, what only ends like one is an adjective.
    let declined = ["e", "er", "es", "en", "em"].iter().any(|end| lower.ends_with(end));
    let known = token.noun.is_some() && (!before_noun || !declined || german::is_listed(token.text));
    let class = if !opens || (known && !GERMAN.openers.contains(lower)) {
        Class::Noun
    } else if GERMAN.openers.contains(lower) {
        Class::Stop
    } else if lowered.contains(lower) || before_noun {
        // An adjective that opens a sentence: `Innere Ruhe`.
        Class::Other
    } else {
        Class::Unsure
    };
    Classified { class, bare }
}

/// What stands around an English word that may be a noun or a verb.
#[derive(Debug, Clone, Default)]
struct Around {
    before: String,
    before_is_content: bool,
    after: String,
    /// Whether the clause begins with the word.
    opens: bool,
}

impl Around {
    fn of(tokens: &[Token<'_>], at: usize) -> Self {
        let spaced = |token: &&Token<'_>| token.gap == Gap::Space;
        let opens = tokens.get(at).is_none_or(|token| token.gap != Gap::Space);
        let before = at.checked_sub(1).and_then(|before| tokens.get(before)).filter(|_| !opens);
        let after = tokens.get(at + 1).filter(spaced);
        let content = |token: &Token<'_>| {
            token.lower.len() > 2 && !reading::is_stop_word(&token.lower, crate::retrieval::Language::English)
        };
        Self {
            before: before.map(|token| token.lower.clone()).unwrap_or_default(),
            before_is_content: before
                .is_some_and(|token| content(token) && !ENGLISH.adjectives.contains(token.lower.as_str())),
            after: after.map(|token| token.lower.clone()).unwrap_or_default(),
            opens,
        }
    }

    /// Whether a word that is a noun as often is a verb here.
    fn verb(&self) -> bool {
        const SUBJECTS: [&str; 25] = [
            "i", "you", "we", "they", "it", "he", "she", "who", "what", "that", "which", "to", "can", "will",
            "should", "could", "would", "may", "might", "must", "don't", "doesn't", "let's", "not", "never",
        ];
        // After a noun these go on with the sentence, so that what stands before them is no verb yet.
        const NO_OBJECTS: [&str; 26] = [
            "", "per", "and", "or", "is", "are", "was", "were", "that", "which", "who", "can", "will", "of",
            "in", "on", "at", "for", "from", "by", "has", "have", "into", "as", "but", "with",
        ];
        const OBJECTS: [&str; 17] = [
            "to", "with", "the", "a", "an", "your", "our", "my", "their", "it", "us", "me", "yourself",
            "these", "this", "about", "you",
        ];
        if ENGLISH.verbs.contains(self.before.as_str()) && !ENGLISH.both.contains(self.before.as_str()) {
            return false;
        }
        SUBJECTS.contains(&self.before.as_str())
            || matches!(self.after.as_str(), "up" | "out" | "down" | "off" | "away")
            || (self.opens && self.after.starts_with(|c: char| c.is_ascii_digit()))
            || (self.before_is_content && !NO_OBJECTS.contains(&self.after.as_str()))
            || (self.opens && OBJECTS.contains(&self.after.as_str()))
    }
}

fn english_class(token: &Token<'_>, around: &Around) -> Classified {
    let lower = token.lower.as_str();
    let bare = ENGLISH.bare.contains(&token.term);
    let both = ENGLISH.both.contains(lower)
        || lower.strip_suffix('s').is_some_and(|base| ENGLISH.both.contains(base))
        || lower.strip_suffix("es").is_some_and(|base| ENGLISH.both.contains(base));
    if both && (around.verb() || ENGLISH.finite.contains(lower)) && !(token.name && token.gap == Gap::Space) {
        let class = if lower.ends_with('s') { Class::Finite } else { Class::Verb };
        return Classified { class, bare: true };
    }
    if token.name {
        return Classified { class: Class::Noun, bare };
    }
    if ENGLISH.adverbs.contains(lower)
        || (lower.ends_with("ly") && lower.len() > 5 && !lower.ends_with("family"))
    {
        return Classified { class: Class::Stop, bare };
    }
    if ENGLISH.adjectives.contains(lower) {
        return Classified { class: Class::Other, bare: true };
    }
    // Whatever else it may be: `cools our town` goes on like a verb.
    let goes_on = matches!(
        around.after.as_str(),
        "the" | "our" | "your" | "my" | "their" | "us" | "them" | "it" | "its"
    );
    if ENGLISH.finite.contains(lower) || (goes_on && lower.ends_with('s') && !lower.ends_with("ss")) {
        return Classified { class: Class::Finite, bare: true };
    }
    if both {
        return Classified { class: Class::Noun, bare };
    }
    let class = verb_form(lower).unwrap_or(Class::Noun);
    let adjective = ["ful", "less", "ous", "able", "ible", "ish", "ier", "iest", "al", "ic", "ive"];
    let describes = ENGLISH.describing.contains(lower)
        || (adjective.iter().any(|end| lower.ends_with(end)) && !ENGLISH.nouns.contains(lower))
        || (lower.ends_with("ed") && lower.len() > 4);
    Classified { class, bare: bare || describes }
}

/// What form of a verb a word is, as far as the list of verbs tells.
fn verb_form(lower: &str) -> Option<Class> {
    if ENGLISH.verbs.contains(lower) {
        return Some(Class::Verb);
    }
    if ENGLISH.irregular.contains(lower) {
        return Some(Class::Finite);
    }
    let is_verb = |base: &str| ENGLISH.verbs.contains(base) || ENGLISH.both.contains(base);
    let of = |ending: &str, class: Class| {
        let base = lower.strip_suffix(ending)?;
        let undoubled =
            base.char_indices().next_back().map_or("", |(at, _)| base.get(..at).unwrap_or_default());
        let doubled = base.ends_with(|c: char| undoubled.ends_with(c));
        let silent = format!("{base}e");
        let known = is_verb(base) || is_verb(&silent) || (doubled && is_verb(undoubled));
        let y = base.strip_suffix('i').map(|base| format!("{base}y"));
        (known || y.is_some_and(|base| is_verb(&base))).then_some(class)
    };
    let third = lower
        .strip_suffix('s')
        .is_some_and(|base| ENGLISH.verbs.contains(base) && !ENGLISH.both.contains(base));
    if third {
        return Some(Class::Finite);
    }
    of("ing", Class::Gerund).or_else(|| of("ed", Class::Finite))
}

/// What is counted of a word.
#[derive(Debug, Clone, Default)]
struct Word {
    count: usize,
    first: usize,
    sentences: BTreeSet<usize>,
    neighbours: usize,
    weight: f64,
}

struct Statistics {
    words: BTreeMap<String, Word>,
}

impl Statistics {
    fn of(tokens: &[Token<'_>]) -> Self {
        let mut words: BTreeMap<String, Word> = BTreeMap::new();
        let sentences = tokens.last().map_or(0, |token| token.sentence + 1);
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_content()) {
            let joined = |at: Option<usize>, gap: Option<&Token<'_>>| {
                let neighbour = at.and_then(|at| tokens.get(at));
                neighbour.is_some_and(Token::is_content) && gap.is_some_and(|token| token.gap == Gap::Space)
            };
            let neighbours = usize::from(joined(at.checked_sub(1), Some(token)))
                + usize::from(joined(Some(at + 1), tokens.get(at + 1)));
            let fresh = || Word { first: token.index, ..Word::default() };
            let word = words.entry(token.term.clone()).or_insert_with(fresh);
            word.count += 1;
            word.neighbours += neighbours;
            word.sentences.insert(token.sentence);
        }
        for word in words.values_mut() {
            let frequency = float(word.count) / (float(word.count) + 1.0);
            let position = 1.0 / (1.0 + ln(1.0 + float(word.first) / POSITION));
            let spread = share(word.sentences.len(), sentences);
            // RAKE's degree over frequency: words that stand among others name something more specific.
            let degree = float(word.neighbours) / float(word.count.max(1)) / 2.0;
            word.weight = 0.5 * frequency + 0.3 * position + 0.15 * spread + 0.05 * degree;
        }
        Self { words }
    }
}

/// A phrase that was found, before it is weighed.
struct Candidate {
    words: Vec<String>,
    terms: Vec<String>,
    count: usize,
    /// How well its form names something.
    form: f64,
    first: usize,
    title: bool,
}

#[derive(Default)]
struct Candidates {
    by_key: BTreeMap<String, Candidate>,
    found: usize,
}

impl Candidates {
    fn add(&mut self, words: Vec<String>, tokens: &[&Token<'_>], form: f64) {
        let terms: Vec<String> = tokens.iter().map(|token| token.term.clone()).collect();
        let title = tokens.iter().any(|token| token.title || token.tagged);
        let order = self.found;
        self.found += 1;
        // `Rhythmus des Lebens` and `Leben und Rhythmus` are two things.
        let key = format!("{}\u{1f}{}", terms.join(" "), words.len());
        let entry =
            self.by_key.entry(key).or_insert(Candidate { words, terms, count: 0, form, first: order, title });
        entry.count += 1;
        entry.form = entry.form.max(form);
        entry.title |= title;
    }

    fn weighed(self, statistics: &Statistics) -> Vec<Phrase> {
        let mut weighed: Vec<(f64, Candidate)> = Vec::with_capacity(self.by_key.len());
        for candidate in self.by_key.into_values() {
            let of = |term: &String| statistics.words.get(term);
            let words: Vec<&Word> = candidate.terms.iter().filter_map(of).collect();
            let rarest = words.iter().map(|word| word.count).min().unwrap_or(1);
            let mean = words.iter().map(|word| word.weight).sum::<f64>() / float(words.len().max(1));
            // How much of its rarest word's use is in this phrase.
            let cohesion = 0.6 + 0.4 * share(candidate.count, rarest);
            let specific = 1.0 + 0.15 * float(words.len().saturating_sub(1).min(2));
            let title = if candidate.title { 1.25 } else { 1.0 };
            weighed.push((mean * cohesion * specific * title * candidate.form, candidate));
        }
        let best = weighed.iter().map(|(weight, _)| *weight).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.first.cmp(&b.1.first)));
        weighed.truncate(PHRASES);
        let phrase = |(weight, candidate): (f64, Candidate)| Phrase {
            words: candidate.words,
            terms: candidate.terms,
            count: candidate.count,
            relevance: rounded(weight / best),
        };
        weighed.into_iter().map(phrase).collect()
    }
}

fn german_candidates(tokens: &[Token<'_>], found: &mut Candidates) {
    for (at, token) in tokens.iter().enumerate() {
        let is_noun = matches!(token.class, Class::Noun | Class::Unsure);
        if !is_noun {
            continue;
        }
        let before =
            at.checked_sub(1).and_then(|before| tokens.get(before)).filter(|_| token.gap == Gap::Space);
        let sure = if token.class == Class::Unsure && !token.title { 0.6 } else { 1.0 };
        let adjective =
            before.filter(|before| before.class == Class::Other && !is_empty_adjective(&before.lower));
        // The word in front of the adjective decides on the adjective's form.
        let article = adjective.filter(|adjective| adjective.gap == Gap::Space).and_then(|_| {
            let article = at.checked_sub(2).and_then(|article| tokens.get(article))?;
            Some(article.lower.as_str())
        });
        if let Some(adjective) = adjective
            && adjective.text.len() < 30
            && (token.class == Class::Noun)
            && let Some((form, noun)) = german::attributive(article, adjective.text, token.text)
        {
            found.add(vec![form, noun], &[adjective, token], 1.05);
        }
        let Some(noun) = nominative(token, before.map(|before| before.lower.as_str()), adjective.is_some())
        else {
            continue;
        };
        let initials = token.text.chars().all(char::is_uppercase);
        if !token.bare && (token.lower.chars().count() >= 3 || initials) {
            let compound = if token.lower.chars().count() >= 10 { 1.05 } else { 1.0 };
            found.add(vec![noun.clone()], &[token], sure * compound * if token.tagged { 1.2 } else { 1.0 });
        }
        // Noun, link, noun; and two nouns in a row where they are names.
        let Some(next) = tokens.get(at + 1).filter(|next| next.gap == Gap::Space) else { continue };
        if matches!(next.class, Class::Noun) && next.name && (is_name(token) && is_name(next) || token.title)
        {
            found.add(vec![token.text.to_owned(), next.text.to_owned()], &[token, next], 0.95);
        }
        let link = next.lower.as_str();
        let genitive = matches!(link, "des" | "der");
        let loose = matches!(
            link,
            "für" | "mit" | "ohne" | "im" | "am" | "und" | "zum" | "zur" | "ums" | "in" | "aus"
        );
        let Some(second) = tokens.get(at + 2).filter(|second| second.gap == Gap::Space) else { continue };
        let whole =
            second.class == Class::Noun && (!second.bare || token.title) && (!token.bare || token.title);
        let named = token.noun.map_or(token.title, |noun| noun.base);
        if whole && named && (genitive || (loose && token.title)) {
            let words = vec![token.text.to_owned(), link.to_owned(), second.text.to_owned()];
            found.add(words, &[token, second], if genitive { 0.95 } else { 1.05 });
        }
    }
}

/// A noun without an adjective, in the nominative; none where its form does not tell.
fn nominative(token: &Token<'_>, before: Option<&str>, after_adjective: bool) -> Option<String> {
    if token.tagged || !token.name && token.class == Class::Unsure {
        return Some(token.text.to_owned());
    }
    let before = before.unwrap_or_default();
    let after_article = matches!(before, "des" | "eines" | "dieses" | "jedes")
        || before
            .strip_suffix("es")
            .is_some_and(|stem| matches!(stem, "mein" | "dein" | "sein" | "ihr" | "unser" | "kein"));
    // `ruhigen Lebens` is in the genitive as well, and a plural in -s is not told from it.
    let may_be = after_article || (after_adjective && token.text.ends_with('s'));
    if may_be {
        return german::genitive(token.text);
    }
    let dative = matches!(
        before,
        "zwei"
            | "drei"
            | "vier"
            | "fünf"
            | "sechs"
            | "sieben"
            | "acht"
            | "zehn"
            | "den"
            | "mit"
            | "in"
            | "von"
            | "bei"
            | "aus"
            | "zu"
            | "nach"
            | "an"
            | "auf"
            | "unter"
            | "über"
            | "vor"
            | "seit"
            | "zwischen"
    ) || before.ends_with(|c: char| c.is_ascii_digit())
        || before.strip_suffix("en").is_some_and(|stem| stem.len() >= 3);
    Some(if dative { german::nominative(token.text) } else { token.text.to_owned() })
}

/// Whether a capitalised word is rather a name than a noun of the language.
const fn is_name(token: &Token<'_>) -> bool {
    token.noun.is_none()
}

fn is_empty_adjective(lower: &str) -> bool {
    let bare = |end: &str| lower.strip_suffix(end).is_some_and(|stem| GERMAN.adjectives.contains(stem));
    GERMAN.adjectives.contains(lower) || ["e", "er", "es", "en", "em", "ere", "eren"].into_iter().any(bare)
}

fn english_candidates(tokens: &[Token<'_>], found: &mut Candidates) {
    // How often a word is followed by another of its run: then it rather describes that than names something itself.
    let mut attributive: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_content()) {
        let entry = attributive.entry(&token.term).or_default();
        let next = tokens.get(at + 1).filter(|next| next.gap == Gap::Space && next.is_content());
        entry.0 += usize::from(next.is_some_and(|next| matches!(next.class, Class::Noun | Class::Gerund)));
        entry.1 += 1;
    }
    let always =
        |token: &Token<'_>| attributive.get(token.term.as_str()).is_some_and(|(next, all)| next == all);
    for (at, token) in tokens.iter().enumerate() {
        if !token.is_content() {
            continue;
        }
        let before =
            at.checked_sub(1).and_then(|before| tokens.get(before)).filter(|_| token.gap == Gap::Space);
        let after = tokens.get(at + 1).filter(|next| next.gap == Gap::Space);
        let in_name = token.name && (before.is_some_and(|one| one.name) || after.is_some_and(|one| one.name));
        let single = matches!(token.class, Class::Noun) && !token.bare && !in_name && token.text.len() >= 3;
        let alone = !after.is_some_and(Token::is_content) && !before.is_some_and(Token::is_content);
        if single || (token.class == Class::Gerund && alone && token.title) {
            let form = if token.tagged {
                1.2
            } else if always(token) {
                0.6
            } else if token.name && token.gap != Gap::Opens {
                1.0
            } else {
                0.9
            };
            found.add(vec![english_word(token)], &[token], form);
        }
        for length in 2..=4_usize {
            let Some(window) = tokens.get(at..at + length) else { break };
            let inner = window.get(1..).unwrap_or_default();
            if inner.iter().any(|token| token.gap != Gap::Space || !token.is_content()) {
                break;
            }
            let next = tokens.get(at + length).filter(|next| next.gap == Gap::Space);
            let cut = before.is_some_and(|before| before.name && token.name)
                || (next.is_some_and(|next| next.name) && window.last().is_some_and(|last| last.name));
            // What goes on in another noun is named by the whole: `brewing guide`, not `printed brewing`.
            let open = next.is_some_and(|next| matches!(next.class, Class::Noun | Class::Gerund));
            let gerund = window.last().is_some_and(|last| last.class == Class::Gerund);
            let form = english_form(window, before).filter(|_| !cut && (!open || !gerund));
            if let Some(form) = form.map(|form| if open { 0.8 * form } else { form }) {
                found.add(
                    window.iter().map(english_word).collect(),
                    &window.iter().collect::<Vec<_>>(),
                    form,
                );
            }
        }
        let (Some(link), Some(second)) = (tokens.get(at + 1), tokens.get(at + 2)) else { continue };
        let spaced = link.gap == Gap::Space && second.gap == Gap::Space;
        let links = link.lower == "of"
            || (token.title && matches!(link.lower.as_str(), "for" | "with" | "and" | "in"));
        let nouns = |token: &Token<'_>| matches!(token.class, Class::Noun | Class::Gerund) && !token.bare;
        if spaced && links && nouns(token) && nouns(second) {
            // `trail running for beginners` begins a word earlier.
            let lead = before.filter(|before| token.title && before.class == Class::Noun);
            let ends = [token, second];
            let whole: Vec<&Token<'_>> = lead.into_iter().chain(ends).collect();
            let mut words: Vec<String> = whole.iter().map(|token| english_word(token)).collect();
            words.insert(words.len() - 1, link.lower.clone());
            found.add(words, &whole, 0.9);
        }
    }
}

/// How well a run of words names something; none when it does not.
fn english_form(window: &[Token<'_>], before: Option<&Token<'_>>) -> Option<f64> {
    let (first, last) = (window.first()?, window.last()?);
    let names = window.iter().all(|token| token.name);
    if names {
        return (window.len() <= 4).then_some(1.05);
    }
    if window.len() > 3
        || (window.len() == 3 && !first.title && window.iter().any(|token| token.name != first.name))
    {
        return None;
    }
    let inside = window.get(1..).unwrap_or_default();
    if inside.iter().any(|token| matches!(token.class, Class::Finite | Class::Verb | Class::Other)) {
        return None;
    }
    if last.bare && !closes(&last.lower) {
        return None;
    }
    // `teams focus` is a sentence, `team focus` is not.
    let plural = |token: &Token<'_>| token.lower.ends_with('s') && !token.lower.ends_with("ss");
    let pairs = window.iter().zip(inside);
    if pairs.clone().any(|(one, other)| plural(one) && ENGLISH.both.contains(other.lower.as_str())) {
        return None;
    }
    let base = match first.class {
        Class::Noun if first.bare && !ENGLISH.bare.contains(&first.term) => 1.0,
        Class::Noun => 1.0,
        Class::Gerund => 0.95,
        // A verb in its base form is a call to do something when nothing of the sentence stands before it.
        Class::Verb
            if !is_pale(&first.lower)
                && (first.gap == Gap::Opens || before.is_some_and(|before| leads_verb(&before.lower))) =>
        {
            0.8
        }
        _ => return None,
    };
    if last.class == Class::Gerund && first.class != Class::Noun {
        return None;
    }
    Some(if window.len() == 3 { base * 0.8 } else { base })
}

/// Whether a noun that says too little alone can close a phrase (`four-day week`).
fn closes(noun: &str) -> bool {
    const NOUNS: [&str; 18] = [
        "day", "days", "week", "weeks", "weekend", "month", "year", "years", "hour", "hours", "night",
        "friend", "friends", "people", "word", "words", "gift", "rest",
    ];
    NOUNS.contains(&noun)
}

/// Whether a verb says too little to begin a phrase.
fn is_pale(verb: &str) -> bool {
    const VERBS: [&str; 27] = [
        "see", "keep", "get", "have", "make", "take", "do", "use", "need", "want", "try", "go", "find",
        "give", "let", "start", "come", "bring", "put", "set", "show", "call", "wear", "ask", "tell", "know",
        "look",
    ];
    VERBS.contains(&verb)
}

fn leads_verb(word: &str) -> bool {
    matches!(
        word,
        "to" | "can"
            | "will"
            | "should"
            | "could"
            | "may"
            | "you"
            | "we"
            | "please"
            | "and"
            | "don't"
            | "let's"
    )
}

/// An English word as it stands inside a label.
fn english_word(token: &Token<'_>) -> String {
    if token.name || token.tagged { token.text.to_owned() } else { token.lower.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str, language: Language) -> Vec<String> {
        read(text, language).phrases.iter().map(Phrase::label).collect()
    }

    #[test]
    fn german_phrases_are_nouns_in_the_nominative() {
        let text = "Mit innerer Ruhe in den Tag: Die Kraft der Gewohnheit trägt dich. Kleine Pausen geben dem Körper Zeit.";
        let found = labels(text, Language::German);
        for expected in ["Innere Ruhe", "Kraft der Gewohnheit", "Gewohnheit", "Pausen", "Körper"] {
            assert!(found.iter().any(|label| label == expected), "{expected}: {found:?}");
        }
        for unwanted in ["Tag", "Zeit", "Trägt", "Kleine Pausen", "Körper Zeit"] {
            assert!(!found.iter().any(|label| label == unwanted), "{unwanted}: {found:?}");
        }
    }

    #[test]
    fn english_phrases_do_not_end_in_verbs() {
        let found = labels(
            "A simple morning routine helps teams focus. You can reduce stress with it.",
            Language::English,
        );
        assert!(found.contains(&"Morning routine".to_owned()), "{found:?}");
        assert!(found.contains(&"Reduce stress".to_owned()), "{found:?}");
        for unwanted in ["Teams focus", "Routine helps", "Helps teams", "Simple"] {
            assert!(!found.contains(&unwanted.to_owned()), "{unwanted}: {found:?}");
        }
    }

    #[test]
    fn links_code_and_numbers_are_no_phrases() {
        let found = labels(
            "Mehr auf https://beispiel.de/termine oder an hallo@beispiel.de bis 2027.",
            Language::German,
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn what_is_no_text_has_no_phrases() {
        for text in ["", " ", "\0", "…", "123 456", "👩‍👩‍👧‍👦", "\u{301}\u{301}"] {
            assert!(read(text, Language::German).phrases.is_empty(), "{text:?}");
            assert!(read(text, Language::English).phrases.is_empty(), "{text:?}");
        }
    }
}
