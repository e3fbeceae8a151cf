//! A question: what it asks for, the words that must be found, and every form in which a document may have them.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::Language;
use super::evidence::Asks;
use super::plan::Statistics;
use super::words::{self, Kind, Token, compounds, is_stop_word, normal, splits, stem, terms_of, tokens};

/// The most words of a question that are looked for.
const WORDS: usize = 48;
/// The most terms that are looked up in the lexicon for a question.
pub const LOOKUPS: usize = 1_000;
/// The most terms that one neighbourhood of the lexicon gives.
pub const NEIGHBOURS: usize = 500;
/// How many synonyms of a compound's part are tried.
const SYNONYMS_OF_A_PART: usize = 12;
/// How many other words and phrases of an organization's own group are tried.
const GROUP: usize = 20;
/// How many forms of a word are told.
const FORMS: usize = 8;
/// The most neighbourhoods that a question asks for.
const NEIGHBOURHOODS: usize = 16;

/// How much a form counts when a text has it instead of the word itself.
mod credit {
    pub const EXACT: f64 = 1.0;
    pub const COMPOUND: f64 = 0.95;
    pub const SPLIT: f64 = 0.85;
    pub const FAMILY: f64 = 0.8;
    pub const SYNONYM: f64 = 0.8;
    pub const RELATED: f64 = 0.4;
    pub const HEAD: f64 = 0.25;
    pub const MODIFIER: f64 = 0.45;
}

/// What a word of a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// A name, a number, a code, or a quoted word: an answer without it answers something else.
    Key,
    /// A noun.
    Noun,
    /// Another word of content.
    Word,
    /// A word that says what kind of answer is wanted (`Datum`, `cost`): an answer of the kind satisfies it.
    Soft,
    /// A word that hardly narrows anything (`brauchen`, `need`).
    Filler,
}

/// A form in which a text may have a word: all of its terms together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    pub terms: Vec<String>,
    pub credit: f64,
    pub sense: Sense,
}

/// What is looked up for a word of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[graphql(name = "QaWordSense")]
pub enum Sense {
    /// The word itself, by its stem.
    Word,
    /// The word and another one of the question as one word, or its parts as words of their own.
    Compound,
    /// A part of the word alone.
    Part,
    /// A word of the same family.
    Related,
    /// What it is also called, or is near to, in general use.
    Synonym,
    /// What it is also called by the organization's own synonyms.
    OwnSynonym,
    /// Another spelling, as it stands in the documents, of a word that does not.
    Spelling,
}

/// A word of a question, and what it was looked up as.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// The word, in one spelling.
    pub word: String,
    /// What some chunk may have for it, the best first.
    pub forms: Vec<LookupForm>,
}

/// What a word was looked up as.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupForm {
    /// The terms, all of which a chunk has to have.
    pub terms: Vec<String>,
    /// What they are to the word.
    pub sense: Sense,
    /// How many chunks hold the rarest of them.
    pub chunks: u64,
}

/// A word of a question with all of its forms.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The word, in one spelling.
    pub word: String,
    pub role: Role,
    /// Where it stands among the question's words.
    pub position: u32,
    /// The forms; the first are the word itself.
    pub forms: Vec<Form>,
    /// Whether it was written in quotation marks.
    pub quoted: bool,
}

impl Slot {
    /// Whether the lexicon has the word itself, or its parts.
    fn is_known(&self, statistics: &Statistics) -> bool {
        let known =
            |form: &Form| form.credit >= credit::SPLIT && form.terms.iter().all(|t| statistics.count(t) > 0);
        self.forms.iter().any(known)
    }

    /// The word itself, as a term of each language.
    fn exact(&self) -> impl Iterator<Item = &String> {
        let itself = |form: &&Form| form.credit >= credit::EXACT && form.terms.len() == 1;
        self.forms.iter().filter(itself).flat_map(|form| &form.terms)
    }

    fn add(&mut self, terms: Vec<String>, credit: f64, sense: Sense) {
        let new =
            terms.iter().all(|term| !term.is_empty()) && self.forms.iter().all(|form| form.terms != terms);
        if new {
            self.forms.push(Form { terms, credit, sense });
        }
    }
}

/// A part of the lexicon: the terms that begin with a prefix and are within a range of lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbourhood {
    /// What the terms begin with.
    pub prefix: String,
    /// The least number of characters.
    pub shortest: usize,
    /// The greatest number of characters.
    pub longest: usize,
    /// How many terms to give at most, the most frequent first; at most [`NEIGHBOURS`].
    pub limit: usize,
}

/// A question as it was understood.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its language, if it shows one.
    pub language: Option<Language>,
    /// What it asks for.
    pub asks: Asks,
    /// Phrases in quotation marks, as they were written.
    pub quoted: Vec<String>,
    /// Words that were read as something else, by the lexicon: as written, and as read.
    pub corrected: Vec<(String, String)>,
    pub(super) slots: Vec<Slot>,
}

impl Question {
    /// Reads a question of any length; words beyond the first few dozen are not looked for.
    pub fn read(text: &str) -> Self {
        Self::read_with(text, &[])
    }

    /// The same with an organization's own synonyms: groups of words and phrases, of which each may be any other.
    pub fn read_with(text: &str, synonyms: &[Vec<String>]) -> Self {
        let language = Language::detect(text);
        let quoted = quoted(text);
        let all = tokens(text);
        let lower: Vec<String> =
            all.iter().filter(|t| t.kind == Kind::Word).map(|t| normal(words::bounded(t.text))).collect();
        let asks = asks(&lower);
        let slots = slots(text, &all, language, asks, &quoted);
        let mut question = Self { language, asks, quoted, corrected: Vec::new(), slots };
        question.join_neighbours();
        question.add_synonyms();
        for group in synonyms {
            question.add_group(group);
        }
        question
    }

    /// Whether there is anything in it to look for.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The terms whose number of chunks a plan needs; at most [`LOOKUPS`], without repetition.
    pub fn lookups(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        // The words themselves come before what they may also be.
        let mut forms: Vec<&Form> = self.slots.iter().flat_map(|slot| &slot.forms).collect();
        forms.sort_by(|a, b| b.credit.total_cmp(&a.credit));
        let terms = forms.into_iter().flat_map(|form| &form.terms).filter(|term| seen.insert(term.as_str()));
        terms.take(LOOKUPS).cloned().collect()
    }

    /// The words that no chunk holds, in the question's spelling.
    pub fn unknown_words(&self, statistics: &Statistics) -> Vec<&str> {
        self.slots.iter().filter(|slot| !slot.is_known(statistics)).map(|slot| slot.word.as_str()).collect()
    }

    /// What each word was looked up as, as far as there are chunks for it; a few forms of each.
    pub fn looked_up(&self, statistics: &Statistics) -> Vec<Lookup> {
        let of = |slot: &Slot| {
            let form = |form: &Form| {
                let chunks =
                    form.terms.iter().map(|term| statistics.count(term)).min().filter(|count| *count > 0)?;
                Some((form.credit, LookupForm { terms: form.terms.clone(), sense: form.sense, chunks }))
            };
            let mut forms: Vec<_> = slot.forms.iter().filter_map(form).collect();
            forms.sort_by(|a, b| b.0.total_cmp(&a.0));
            let forms = forms.into_iter().take(FORMS).map(|(_, form)| form).collect();
            Lookup { word: slot.word.clone(), forms }
        };
        self.slots.iter().map(of).collect()
    }

    /// The parts of the lexicon in which other spellings of unknown words, and relatives of known ones, may be.
    pub fn unknown(&self, statistics: &Statistics) -> Vec<Neighbourhood> {
        let mut wanted = Vec::new();
        let mut want = |neighbourhood: Neighbourhood| {
            if !wanted.contains(&neighbourhood) {
                wanted.push(neighbourhood);
            }
        };
        for slot in self.slots.iter().filter(|slot| !matches!(slot.role, Role::Filler | Role::Soft)) {
            let has_letters = |term: &&String| can_be_misspelt(term);
            if slot.is_known(statistics) {
                if let Some(term) = slot.exact().next().filter(has_letters) {
                    let letters = term.chars().count();
                    want(Neighbourhood {
                        prefix: term.chars().take(letters.saturating_sub(2).max(4)).collect(),
                        shortest: letters.saturating_sub(2),
                        longest: letters + 6,
                        limit: NEIGHBOURS / 5,
                    });
                }
                continue;
            }
            // The stems of one word are of different lengths in different languages, and whose word it is nobody knows yet.
            for term in slot.exact().filter(has_letters) {
                let letters = term.chars().count();
                let slack = distance(letters).max(2);
                want(Neighbourhood {
                    prefix: term.chars().take(1).collect(),
                    shortest: letters.saturating_sub(slack).max(3),
                    longest: letters + slack,
                    limit: NEIGHBOURS,
                });
            }
        }
        wanted.truncate(NEIGHBOURHOODS);
        wanted
    }

    /// Takes up terms of the lexicon, with their numbers of chunks, as other forms of the question's words: relatives
    /// (`bezahl` for `bezahlung`), and for words without a chunk the nearest spellings. The counts join the statistics.
    pub fn correct(&mut self, neighbours: &[(String, u64)], statistics: &mut Statistics) {
        for slot in &mut self.slots {
            if matches!(slot.role, Role::Filler | Role::Soft) {
                continue;
            }
            let originals: Vec<String> = slot.exact().filter(|term| can_be_misspelt(term)).cloned().collect();
            let known = slot.is_known(statistics);
            let mut nearest: Option<(usize, u64, &str)> = None;
            for (term, count) in neighbours {
                for original in &originals {
                    if term == original {
                        continue;
                    }
                    if are_related(original, term) {
                        slot.add(vec![term.clone()], credit::FAMILY, Sense::Related);
                        statistics.counts.insert(term.clone(), *count);
                    } else if !known && !term.contains(|c: char| c.is_numeric()) {
                        let away = strsim::damerau_levenshtein(original, term);
                        let better = nearest.is_none_or(|(best, most, name)| {
                            (away, std::cmp::Reverse(*count), term.as_str())
                                < (best, std::cmp::Reverse(most), name)
                        });
                        if away <= distance(original.chars().count()) && better {
                            nearest = Some((away, *count, term));
                        }
                    }
                }
            }
            if let Some((away, count, term)) = nearest {
                let steps = if away > 1 { 0.2 } else { 0.1 };
                slot.add(vec![term.to_owned()], credit::EXACT - steps, Sense::Spelling);
                statistics.counts.insert(term.to_owned(), count);
                self.corrected.push((slot.word.clone(), term.to_owned()));
            }
        }
    }

    /// Two nouns near each other may be one word in a document: `Frist der Kündigung`, `Kündigungsfrist`.
    fn join_neighbours(&mut self) {
        let nouns: Vec<(usize, u32, String)> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| {
                matches!(slot.role, Role::Noun | Role::Word | Role::Soft) && slot.word.len() >= 3
            })
            .map(|(index, slot)| (index, slot.position, slot.word.clone()))
            .collect();
        for pair in nouns.windows(2) {
            let [(first, at, one), (second, then, other)] = pair else { continue };
            if then - at > 4 {
                continue;
            }
            for term in compounds(one, other).into_iter().chain(compounds(other, one)) {
                for index in [*first, *second] {
                    self.slots[index].add(vec![term.clone()], credit::COMPOUND, Sense::Compound);
                }
            }
        }
    }

    /// The pairs of a word and the number right after it.
    pub(super) fn numbered(&self) -> Vec<(usize, usize)> {
        let number = |slot: &Slot| slot.word.starts_with(|c: char| c.is_ascii_digit());
        let slots = self.slots.windows(2).enumerate();
        slots
            .filter(|(_, pair)| {
                !number(&pair[0]) && number(&pair[1]) && pair[0].position + 1 == pair[1].position
            })
            .map(|(at, _)| (at, at + 1))
            .collect()
    }

    fn add_synonyms(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.role != Role::Key || slot.quoted) {
            let stems: Vec<String> =
                Language::ALL.iter().map(|language| stem(&slot.word, *language)).collect();
            for (language, term) in Language::ALL.iter().zip(&stems) {
                for (other, credit) in
                    synonyms_of(term, *language).filter(|(other, _)| !stems.contains(other))
                {
                    slot.add(vec![other.clone()], credit, Sense::Synonym);
                }
            }
        }
    }

    /// Takes up what words of the question are also called, by a group of an organization's own.
    fn add_group(&mut self, group: &[String]) {
        for (at, term) in group.iter().enumerate() {
            let named = self.named(term);
            if named.is_empty() {
                continue;
            }
            let others = group.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, other)| other);
            for other in others.take(GROUP) {
                for language in Language::ALL {
                    let terms: Vec<String> = words::terms(other, language).into_iter().take(6).collect();
                    for slot in named.iter().filter(|_| !terms.is_empty()) {
                        self.slots[*slot].add(terms.clone(), credit::COMPOUND, Sense::OwnSynonym);
                    }
                }
            }
        }
    }

    /// The words of the question that are a word or phrase, whatever their endings: all of its words near one another, or none.
    fn named(&self, term: &str) -> Vec<usize> {
        let wanted = slots(term, &tokens(term), None, Asks::Other, &[]);
        let of = |wanted: &Slot| {
            self.slots
                .iter()
                .position(|slot| slot.exact().any(|term| wanted.exact().any(|other| other == term)))
        };
        let places: Vec<usize> = wanted.iter().map_while(of).collect();
        let positions = || places.iter().map(|at| self.slots[*at].position);
        let apart = positions().max().zip(positions().min()).map_or(0, |(last, first)| last - first);
        let near = usize::try_from(apart).is_ok_and(|apart| apart <= 2 * places.len());
        if near && places.len() == wanted.len() { places } else { Vec::new() }
    }
}

/// Whether a term has so many letters, and nothing else, that another one may be meant.
fn can_be_misspelt(term: &str) -> bool {
    term.chars().count() >= 4 && !term.contains(|c: char| c.is_numeric())
}

/// How many changes a word of so many letters may be away (Damerau–Levenshtein).
fn distance(letters: usize) -> usize {
    match letters {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// Whether two stems differ only by endings that make one kind of word from another.
fn are_related(one: &str, other: &str) -> bool {
    let common: usize =
        one.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let longer = one.len().max(other.len());
    common >= 4
        && common * 2 >= longer
        && DERIVATIONS.contains(&&one[common..])
        && DERIVATIONS.contains(&&other[common..])
}

/// What is left of a related word after the common part, in German and English.
const DERIVATIONS: [&str; 44] = [
    "", "e", "en", "n", "t", "et", "te", "ten", "st", "est", "er", "ern", "el", "ung", "erung", "lich", "ig",
    "bar", "keit", "igkeit", "schaft", "nis", "end", "in", "erin", "ier", "ation", "s", "or", "ment", "ion",
    "ing", "al", "anc", "enc", "abl", "ist", "iv", "ant", "ent", "y", "ed", "es", "ier",
];

fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, char)> = None;
    for (at, c) in text.char_indices() {
        match open {
            Some((start, close)) if c == close || (close == '“' && c == '”') => {
                let phrase = text[start..at].trim();
                if !phrase.is_empty() && found.len() < 8 {
                    found.push(phrase.to_owned());
                }
                open = None;
            }
            Some(_) => {}
            None => {
                let close = match c {
                    '"' => '"',
                    '„' => '“',
                    '“' => '”',
                    '»' => '«',
                    '«' => '»',
                    _ => continue,
                };
                open = Some((at + c.len_utf8(), close));
            }
        }
    }
    found
}

fn slots(
    text: &str,
    all: &[Token<'_>],
    language: Option<Language>,
    asks: Asks,
    quoted: &[String],
) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    let shouted = !text.chars().any(char::is_lowercase);
    let spoken: Vec<&Token<'_>> =
        all.iter().filter(|token| token.kind != Kind::Joined && token.kind != Kind::Email).collect();
    for token in all {
        let lower = normal(words::bounded(token.text));
        let stop = match language {
            Some(language) => is_stop_word(&lower, language),
            None => Language::ALL.iter().any(|language| is_stop_word(&lower, *language)),
        };
        let covered = slots.iter().any(|slot| {
            slot.position == token.position
                && matches!(token.kind, Kind::Word)
                && slot.role == Role::Key
                && slot.word != lower
        });
        if stop || covered || slots.len() >= WORDS {
            continue;
        }
        let mut exact: Vec<String> = Vec::new();
        for language in Language::ALL {
            if let Some(term) = terms_of(token, language).into_iter().next()
                && !exact.contains(&term)
            {
                exact.push(term);
            }
        }
        if exact.is_empty() || slots.iter().any(|slot| slot.forms[0].terms[0] == exact[0]) {
            continue;
        }
        let before = spoken
            .iter()
            .rev()
            .find(|other| other.end() <= token.start)
            .map(|other| normal(words::bounded(other.text)));
        let last = spoken.last().is_some_and(|other| other.position == token.position);
        let is_quoted = quoted.iter().any(|phrase| phrase.contains(token.text));
        let role = if is_quoted {
            Role::Key
        } else {
            role(token, &lower, before.as_deref(), language, shouted, asks, last)
        };
        let mut slot = Slot {
            word: lower.clone(),
            role,
            position: token.position,
            forms: Vec::new(),
            quoted: is_quoted,
        };
        for term in exact {
            slot.add(vec![term], credit::EXACT, Sense::Word);
        }
        if token.kind == Kind::Word && !lower.contains(|c: char| c.is_numeric()) {
            participles(&mut slot);
            if lower.chars().count() >= 8 && lower.len() <= 40 {
                for (left, right) in splits(&lower) {
                    slot.add(vec![left.clone(), right.clone()], credit::SPLIT, Sense::Compound);
                    if words::is_common_part(&right) {
                        // `Ferientage` for `Urlaubstage`.
                        let same = synonyms_of(&left, Language::German)
                            .filter(|(_, credit)| *credit >= credit::SYNONYM);
                        for (other, credit) in same.take(SYNONYMS_OF_A_PART) {
                            slot.add(vec![other.clone(), right.clone()], credit, Sense::Synonym);
                        }
                    }
                    slot.add(vec![left], credit::MODIFIER, Sense::Part);
                    slot.add(vec![right], credit::HEAD, Sense::Part);
                }
            }
        }
        if token.kind == Kind::Joined {
            // `XR-200` may be written `XR 200`, `Home-Office` as two words.
            let pieces: Vec<String> =
                lower.split(['-', '\u{2011}']).map(|piece| stem(piece, Language::German)).collect();
            slot.add(pieces, credit::SPLIT, Sense::Compound);
            // Its words are not asked for one by one.
            let last = token.end();
            slots.retain(|other| {
                let inside = all.iter().any(|t| {
                    t.kind == Kind::Word
                        && t.position == other.position
                        && t.start >= token.start
                        && t.end() <= last
                });
                !inside
            });
        }
        slots.push(slot);
    }
    slots
}

/// A German participle and its verb: `gekündigt`, `kündigen`.
fn participles(slot: &mut Slot) {
    let Some(term) = slot.forms.first().and_then(|form| form.terms.first()).cloned() else { return };
    if term.len() >= 7
        && let Some(verb) = term.strip_prefix("ge")
    {
        let bare = verb.strip_suffix("et").or_else(|| verb.strip_suffix('t')).unwrap_or(verb);
        slot.add(vec![bare.to_owned()], credit::FAMILY, Sense::Related);
    }
    if term.len() >= 3 && term.len() < words::TERM_BYTES - 4 {
        slot.add(vec![format!("ge{term}t")], credit::FAMILY, Sense::Related);
        slot.add(vec![format!("ge{term}")], credit::FAMILY, Sense::Related);
    }
}

fn role(
    token: &Token<'_>,
    lower: &str,
    before: Option<&str>,
    language: Option<Language>,
    shouted: bool,
    asks: Asks,
    last: bool,
) -> Role {
    if token.kind == Kind::Email || token.kind == Kind::Section {
        return Role::Key;
    }
    if token.text.contains(|c: char| c.is_numeric()) {
        return Role::Key;
    }
    if FILLERS.contains(lower) {
        return Role::Filler;
    }
    if SOFT.get(lower).is_some_and(|kinds| kinds.contains(&asks)) {
        return Role::Soft;
    }
    let capital = token.text.starts_with(char::is_uppercase) && !shouted;
    let acronym =
        token.text.chars().filter(|c| c.is_uppercase()).count() >= 2 && !shouted && token.kind == Kind::Word;
    if acronym {
        return Role::Key;
    }
    if capital && before.is_some() {
        return if language == Some(Language::English) { Role::Key } else { Role::Noun };
    }
    let determined = before.is_some_and(|word| DETERMINERS.contains(&word));
    // The last word of an English question is its object more often than its verb.
    let object = last
        && !lower.ends_with("ed")
        && !lower.ends_with("ing")
        && !before.is_some_and(|word| SUBJECTS.contains(&word));
    if language != Some(Language::German) && (determined || object) { Role::Noun } else { Role::Word }
}

/// Words that a verb follows.
const SUBJECTS: [&str; 10] = ["i", "you", "we", "they", "it", "he", "she", "to", "not", "there"];

const DETERMINERS: [&str; 26] = [
    "a", "an", "the", "my", "our", "your", "their", "his", "her", "its", "of", "for", "any", "no", "many",
    "much", "which", "what", "with", "without", "per", "about", "some", "each", "every", "whose",
];

/// What a question asks for, from its words in lower case. Lists of words are separated by spaces.
fn asks(lower: &[String]) -> Asks {
    let listed = |list: &str, word: &str| list.split(' ').any(|other| other == word);
    let has = |list: &str| lower.iter().any(|word| listed(list, word));
    let pair = |first: &str, second: &str| {
        lower.windows(2).any(|pair| listed(first, &pair[0]) && listed(second, &pair[1]))
    };
    let which = |list: &str| pair("welche welcher welches welchem welchen which what", list);
    let how = |list: &str| pair("wie how", list);
    // `When` asks at the beginning; later it mostly means `while`.
    let when =
        lower.first().is_some_and(|word| word == "when") || pair("until till since by from and or", "when");
    let quantity = how(QUANTITIES) || has("wieviel wieviele anzahl");
    let money = has(
        "kostet kosten preis preise gebühr gebühren cost costs price prices fee fees teuer expensive bezahlen zahlen pay",
    );
    // `How much is …` asks for a price unless something is measured.
    let priced = pair("much", "is are was were") || (money && (quantity || has("was what")));
    let opens = || lower.first().is_some_and(|word| OPENERS.contains(&word.as_str()));
    if how("lange lang long") && !has("zentimeter meter cm") {
        Asks::Duration
    } else if how("oft häufig often frequently") {
        Asks::Frequency
    } else if when || has("wann") || which(TIMES) || pair("viel wieviel", "uhr") {
        Asks::When
    } else if how("warm heiß heiss kalt hot cold") || has("temperatur temperature") {
        Asks::Temperature
    } else if how("erreiche erreichen kontaktiere") || (has("how") && has("reach contact")) {
        Asks::Contact
    } else if priced {
        Asks::Money
    } else if has("telefonnummer rufnummer mailadresse phone telephone")
        || pair("telefon email", "nummer address adresse")
    {
        Asks::Contact
    } else if quantity || which("höhe menge prozentsatz amount percentage number size") {
        Asks::Number
    } else if has("wer wem wen wessen who whom whose") {
        Asks::Person
    } else if has("wo wohin woher where") {
        Asks::Place
    } else if has("warum wieso weshalb weswegen why") || pair("aus", "welchem welchen") {
        Asks::Reason
    } else if pair("was what", "ist sind bedeutet heißt versteht is are does") {
        Asks::Definition
    } else if has("wie how") {
        Asks::Manner
    } else if opens() {
        Asks::YesNo
    } else {
        Asks::Other
    }
}

/// What follows `how` in a question for a number.
const QUANTITIES: &str = "viel viele vielen hoch gross groß weit schwer alt breit tief schnell stark many much high large big \
                          far heavy old wide deep tall fast strong late early";

/// What follows `which` in a question for a time.
const TIMES: &str =
    "datum tag tagen uhrzeit wochentag zeitpunkt jahr monat date day days weekday time year month";

/// Verbs that open a question which yes or no answers.
const OPENERS: [&str; 42] = [
    "ist", "sind", "war", "hat", "haben", "habe", "darf", "dürfen", "kann", "können", "muss", "müssen",
    "soll", "sollen", "gibt", "gilt", "wird", "werden", "bekomme", "brauche", "is", "are", "was", "were",
    "do", "does", "did", "can", "could", "may", "must", "should", "shall", "will", "would", "has", "have",
    "am", "erhalte", "bekommen", "brauchen", "need",
];

static FILLERS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "machen macht mache tun tut getan brauchen brauche braucht benötigen benötige benötigt bekommen bekomme bekommt erhalten \
     erhalte erhält passieren passiert geschieht funktionieren funktioniert finden finde findet wissen weiß sagen sagt nennen \
     nenne erklären erkläre beschreiben beschreibe möglich möglichkeit steht stehen wichtig genau eigentlich normalerweise \
     überhaupt gehen geht kommen kommt liegt liegen wollen möchte möchten bitte hallo danke frage fragen sache sachen dinge \
     hoch lang lange viel viele oft groß gross insgesamt maximal mindestens höchstens beträgt betragen lautet lauten heißt \
     need needs want wants do make makes happen happens work works find know tell explain describe possible important exactly \
     actually usually go goes come comes say says give given thing things please hello thanks question like use used using \
     done held made got taken found been placed happened stattfinden stattfindet findet fand gemacht gegeben genommen statt \
     high long much many often big large total take takes long allowed required"
        .split_whitespace()
        .collect()
});

/// Words that an answer of the kind satisfies by itself.
static SOFT: LazyLock<HashMap<&str, Vec<Asks>>> = LazyLock::new(|| {
    use Asks::{
        Contact, Definition, Duration, Frequency, Money, Number, Person, Place, Reason, Temperature, When,
    };
    let lists: [(&[Asks], &str); 10] = [
        (
            &[Money, Number],
            "kostet kosten preis preise gebühr gebühren betrag höhe teuer zahlen bezahlen cost costs price prices fee fees charge \
             amount pay expensive euro",
        ),
        (
            &[When, Duration],
            "datum tag tagen zeitpunkt uhrzeit uhr termin jahr monat date day days time year month frist deadline zeitraum period",
        ),
        (
            &[Duration],
            "dauert dauern dauer dauerte lange zeit last lasts duration long time stunden minuten tage wochen monate jahre",
        ),
        (
            &[Number],
            "anzahl zahl menge number amount höhe size größe prozent prozentsatz percentage percent temperatur temperature grad degrees weight gewicht schwer alt old",
        ),
        (&[Temperature], "temperatur temperature grad degrees warm heiß hot"),
        (&[Frequency], "häufigkeit frequency mal times"),
        (
            &[Contact],
            "telefonnummer rufnummer telefon nummer phone telephone number email mail e-mail mailadresse adresse address kontakt contact",
        ),
        (&[Person], "person name namens ansprechpartner zuständig verantwortlich responsible contact charge"),
        (&[Place], "ort adresse place location address located befindet befinden"),
        (
            &[Reason, Definition],
            "grund gründe reason reasons bedeutet bedeuten bedeutung definition mean means meaning versteht unterschied",
        ),
    ];
    let mut soft: HashMap<&str, Vec<Asks>> = HashMap::new();
    for (kinds, words) in lists {
        for word in words.split_whitespace() {
            soft.entry(word).or_default().extend(kinds);
        }
    }
    soft
});

/// What a term is also called in general use, as terms of both languages, with what each counts.
fn synonyms_of(term: &str, language: Language) -> impl Iterator<Item = (&'static String, f64)> {
    let places = LEXICON.places.get(&(language, term.to_owned())).into_iter().flatten();
    places.flat_map(|place| {
        let group = &LEXICON.groups[place.group];
        let (members, credit) = match (group.related, place.heads) {
            (false, _) => (&group.terms[..], credit::SYNONYM),
            (true, true) => (&group.terms[..], credit::RELATED),
            (true, false) => (&group.terms[..group.heads], credit::RELATED),
        };
        members.iter().map(move |term| (term, credit))
    })
}

/// The words of general use that say, or ask for, the same.
struct Lexicon {
    groups: Vec<Group>,
    /// The groups that a term is in.
    places: HashMap<(Language, String), Vec<Place>>,
}

struct Group {
    terms: Vec<String>,
    /// Whether only the first word and each other one are related, and the others not with one another.
    related: bool,
    /// How many of the terms are the first word.
    heads: usize,
}

struct Place {
    group: usize,
    heads: bool,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon { groups: Vec::new(), places: HashMap::new() };
    lexicon.read(include_str!("synonyms_de.txt"), &[Language::German]);
    lexicon.read(include_str!("synonyms_en.txt"), &[Language::English]);
    lexicon.read(include_str!("synonyms.txt"), &Language::ALL);
    // Words that say the same come before words that are only related.
    for places in lexicon.places.values_mut() {
        places.sort_by_key(|place| lexicon.groups[place.group].related);
    }
    lexicon
});

impl Lexicon {
    /// Takes up a list: a group of words a line; one that begins with `~` holds a word and what is related to it.
    fn read(&mut self, list: &str, languages: &[Language]) {
        for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let related = line.strip_prefix('~');
            let group = self.groups.len();
            let (mut terms, mut heads): (Vec<String>, usize) = (Vec::new(), 0);
            for (at, word) in related.unwrap_or(line).split_whitespace().enumerate() {
                for language in languages {
                    let term = stem(word, *language);
                    let places = self.places.entry((*language, term.clone())).or_default();
                    if places.last().is_none_or(|place| place.group != group) {
                        places.push(Place { group, heads: at == 0 });
                    }
                    if !terms.contains(&term) {
                        terms.push(term);
                    }
                }
                if at == 0 {
                    heads = terms.len();
                }
            }
            self.groups.push(Group { terms, related: related.is_some(), heads });
        }
    }
}
