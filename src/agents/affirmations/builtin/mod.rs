//! Affirmations from the user's own goals.
//!
//! Each goal is read ("I want to stop doubting my work": a wish, turned round, of a struggle), said in the affirmed present
//! through the lists in `data/` ("trust my work") and put into frames ("I choose to trust my work."), of which the seed
//! picks. Nothing is quoted from a stock of sentences: a goal that cannot be read gives no line but a reason.
//!
//! - **Reading**: `text` cuts a goal into words; `english` and `german` read it; both look struggles up in
//!   `opposites_*.txt`.
//! - **Frames**: `frames_*.txt`, by the kind of goal (wish, duty, struggle, fear, state), by whether it is a doing, a being
//!   or an end, and by the [`Tone`]. Some take a keyword of the period, or a value phrase from the organization's documents: a
//!   noun of the lists, with an adjective of theirs before it if the document has one there (`keywords`).
//! - **Checks**: every line passes [`checks`], which know nothing of how it was made and judge a provider's lines too.
//! - **Choice**: goals take turns. Among a goal's candidates, phrases and frames that were used least come first, then the
//!   order is that of a hash of the seed and the text, so that the same input gives the same lines everywhere.

pub mod checks;
mod core;
mod english;
mod frames;
mod german;
mod keywords;
mod lexicon;
mod text;
mod tone;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::checks::{Checks, Earlier};
use self::core::{Core, gather};
use self::frames::Candidate;
use self::keywords::Keyword;
pub use self::tone::Tone;
use crate::periods::Definition;
use crate::retrieval::Language;

/// How many goals one request may have.
pub const GOALS: std::ops::RangeInclusive<usize> = 1..=20;
/// Characters (Unicode scalar values) of a goal at the most.
pub const GOAL_CHARACTERS: usize = 500;
/// How many lines may be asked for.
pub const COUNT: std::ops::RangeInclusive<usize> = 1..=20;
/// How many words a line may have.
pub const WORDS: std::ops::RangeInclusive<usize> = 5..=30;
/// How many value phrases of the documents may colour lines.
const VALUES: usize = 24;
/// Lines that are less new than this repeat an earlier one.
pub const LEAST_NOVELTY: f64 = 0.1;

/// What lines are made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Goals or struggles in the user's own words, 1 to 20 of at most 500 characters.
    pub goals: Vec<String>,
    /// The period whose keywords may colour a line.
    pub period: Option<Definition>,
    /// The language of goals and lines.
    pub language: Language,
    /// A word for the tone; see [`Tone`] for those that change something.
    pub tone: Option<String>,
    /// How many lines, 1 to 20.
    pub count: usize,
    /// Words of a line at the most, 5 to 30.
    pub max_words: usize,
    /// Words or phrases that no line has, in whatever inflection.
    pub avoid: Vec<String>,
    /// Lines that the user has had before.
    pub earlier: Vec<String>,
    /// Passages of the organization's documents; their value phrases may colour a line.
    pub passages: Vec<Passage>,
    /// Another seed gives other lines.
    pub seed: u64,
}

/// A passage of a document, in which value phrases are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Its text, exactly as the document has it.
    pub text: String,
    /// The id of the document.
    pub document: String,
    /// The version of the document that it is of.
    pub version: i32,
    /// The headings above it.
    pub heading: Option<String>,
    /// Where it begins in the document, in characters (Unicode scalar values).
    pub start: usize,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The sentence.
    pub text: String,
    /// The goal that it was made from, as the user wrote it.
    pub based_on: String,
    /// The period's keyword or the document's value phrase that colours it.
    pub colour: Option<Colour>,
    /// Its words.
    pub word_count: usize,
    /// Whether it speaks in the first person singular; always true for the built-in engine's lines.
    pub first_person: bool,
    /// Whether it stays in the present; always true for the built-in engine's lines.
    pub present_tense: bool,
    /// Whether it is free of negations and struggling words; always true for the built-in engine's lines.
    pub positive: bool,
    /// How new it is against earlier lines and those before it in the set, from 0 (repeats one) to 1; see
    /// [`Earlier::novelty`].
    pub novelty: f64,
}

/// A word or phrase that colours a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colour {
    /// As the line has it.
    pub word: String,
    /// The document that it is taken from; none for a keyword of the period.
    pub source: Option<String>,
    /// Where the document has it; none for a keyword of the period, and in sets of earlier times.
    #[serde(default)]
    pub quote: Option<Quote>,
}

/// A sentence of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The version of the document.
    pub version: i32,
    /// The headings above it.
    pub heading: Option<String>,
    /// The sentence, letter for letter.
    pub quote: String,
    /// Where it begins in the document, in characters (Unicode scalar values).
    pub start: usize,
    /// Where it ends; the first one after it.
    pub end: usize,
}

/// A goal that no line was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    /// The goal, as the user wrote it.
    pub input: String,
    /// Why not.
    pub reason: Reason,
}

/// Why a goal gave no line; its `Display` is a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// It is blank.
    #[error("It has no words. Write what you want to do, be or have.")]
    Blank,
    /// Its grammar is beyond the engine.
    #[error("Its wording could not be read. Write it as one short wish, such as \"I want to …\".")]
    Unread,
    /// It is in another language.
    #[error(
        "It is not in the language that was asked for. Write it in that language, or ask for the other one."
    )]
    OtherLanguage,
    /// It speaks of somebody else.
    #[error("It speaks of \"{subject}\". Write what you yourself want to do, be or have.")]
    SomeoneElse {
        /// Of whom or what.
        subject: String,
    },
    /// It states something without a wish.
    #[error("It states something without saying what shall change. Write what you want instead.")]
    NoWish,
    /// A single word that could mean much.
    #[error(
        "One word alone does not say what you want with it. Write a short wish, such as \"I want to …\"."
    )]
    OneWord,
    /// It wants to be turned round, and nothing is known to turn it into.
    #[error("No positive counterpart of \"{phrase}\" is known. Write what you want to do instead.")]
    NoOpposite {
        /// What could not be turned round.
        phrase: String,
    },
    /// Part of it stays negative.
    #[error("\"{word}\" would be left in the line. Write what you want instead of it.")]
    NegativeLeft {
        /// The word.
        word: String,
    },
    /// A German noun whose gender, and so whose form, is not known.
    #[error("The right form of \"{noun}\" is not known. Write it in a sentence, such as \"Ich möchte …\".")]
    NoGender {
        /// The noun phrase.
        noun: String,
    },
    /// It speaks of dying or self-harm.
    #[error(
        "A line would be no help here. Please talk to someone now: a person you trust, a doctor, or a crisis line (in Germany 0800 1110111, in the US and Canada 988, in the UK and Ireland 116 123)."
    )]
    NeedsAPerson,
    /// Every line would be too long.
    #[error("Every line from it has more than {max_words} words. Allow more words or shorten the goal.")]
    TooLong {
        /// The limit.
        max_words: usize,
    },
    /// Every line would have a word to avoid.
    #[error("Every line from it has a word of the avoid list.")]
    Avoided,
    /// Every line would repeat an earlier one.
    #[error("Every line from it repeats an earlier one.")]
    Repeated,
    /// A line would not pass its checks.
    #[error("No line from it passes the checks: first person, present tense, positive.")]
    Unchecked,
    /// There were more goals than lines.
    #[error("The lines asked for were made from other goals. Ask for more lines.")]
    NoRoom,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Affirmations {
    /// The lines, at most as many as were asked for; fewer when there are no more that differ.
    pub lines: Vec<Line>,
    /// The goals that no line was made from, in their order.
    pub unused: Vec<Unused>,
    /// The tone that was understood; none when its word changes nothing.
    pub tone: Option<Tone>,
}

/// Why there are no lines at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AffirmationsError {
    /// Not 1 to 20 goals.
    #[error("Give 1 to 20 goals, not {goals}.")]
    GoalsOutOfRange {
        /// How many there were.
        goals: usize,
    },
    /// A goal is longer than 500 characters.
    #[error("Goal {number} has more than 500 characters. Shorten it.")]
    GoalTooLong {
        /// Which one, from 1.
        number: usize,
    },
    /// Not 1 to 20 lines.
    #[error("Ask for 1 to 20 lines, not {count}.")]
    CountOutOfRange {
        /// How many were asked for.
        count: usize,
    },
    /// Not 5 to 30 words.
    #[error("Allow a line 5 to 30 words, not {max_words}.")]
    WordsOutOfRange {
        /// How many were allowed.
        max_words: usize,
    },
    /// No goal gave a line.
    #[error("No line could be made: {}", failures(.unused))]
    InsufficientInput {
        /// Each goal and why not.
        unused: Vec<Unused>,
    },
}

fn failures(unused: &[Unused]) -> String {
    let each = unused.iter().map(|unused| format!("\"{}\": {}", unused.input, unused.reason));
    each.collect::<Vec<_>>().join(" ")
}

/// Makes affirmations of goals.
///
/// The same request gives the same result, on every platform. Time is linear in the earlier lines and avoided words, and
/// bounded by the limits of everything else.
///
/// ```
/// use aicos::agents::affirmations::builtin::{Request, generate};
/// use aicos::retrieval::Language;
///
/// let made = generate(&Request {
///     goals: vec!["I want to stop doubting my work".to_owned()],
///     period: None,
///     language: Language::English,
///     tone: None,
///     count: 3,
///     max_words: 15,
///     avoid: vec!["believe".to_owned()],
///     earlier: Vec::new(),
///     passages: Vec::new(),
///     seed: 7,
/// })
/// .unwrap();
/// assert!(made.lines.iter().all(|line| line.text.contains("trust my work")));
/// ```
///
/// # Errors
///
/// [`AffirmationsError::InsufficientInput`] with a reason for each goal when none gives a line; the others when a limit is
/// broken.
pub fn generate(request: &Request) -> Result<Affirmations, AffirmationsError> {
    check_limits(request)?;
    let language = request.language;
    let tone = request.tone.as_deref().and_then(Tone::of);
    let keywords = keywords(request);
    let avoided = Avoided::of(&request.avoid, language);
    let mut earlier = Earlier::new(language);
    for line in &request.earlier {
        earlier.add(line);
    }
    let mut pools: Vec<Pool<'_>> = Vec::new();
    for goal in &request.goals {
        let (choices, reason) = match read(goal, language) {
            Ok(cores) => (choices(&cores, &keywords, tone, request), None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        pools.push(Pool { goal, choices, reason, made: 0, cores: HashMap::new() });
    }
    let mut lines: Vec<Line> = Vec::new();
    // How often each frame was used in the set.
    let mut frames: HashMap<String, usize> = HashMap::new();
    // Goals take turns until there are enough lines or nothing is left.
    while lines.len() < request.count && pools.iter().any(|pool| !pool.choices.is_empty()) {
        for pool in &mut pools {
            if lines.len() == request.count {
                break;
            }
            if let Some(line) = pool.next(request, &avoided, &earlier, &mut frames) {
                earlier.add(&line.text);
                lines.push(line);
            }
        }
    }
    let unused: Vec<Unused> = pools
        .into_iter()
        .filter(|pool| pool.made == 0)
        .map(|pool| Unused { input: pool.goal.to_owned(), reason: pool.reason.unwrap_or(Reason::NoRoom) })
        .collect();
    if lines.is_empty() {
        return Err(AffirmationsError::InsufficientInput { unused });
    }
    Ok(Affirmations { lines, unused, tone })
}

/// A line that somebody else wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The sentence.
    pub text: String,
    /// Which of the request's goals it is for, from 0.
    pub goal: usize,
}

/// Holds lines that somebody else wrote to what the engine's own lines are held to: each becomes a line, or comes back
/// with the reason why not. `kept` are the lines of the set so far.
pub fn judge(
    request: &Request,
    kept: &[Line],
    proposals: Vec<Proposal>,
) -> (Vec<Line>, Vec<(Proposal, Reason)>) {
    let avoided = Avoided::of(&request.avoid, request.language);
    let mut earlier = Earlier::new(request.language);
    for line in request.earlier.iter().chain(kept.iter().map(|line| &line.text)) {
        earlier.add(line);
    }
    let (mut lines, mut rejected) = (Vec::new(), Vec::new());
    for mut proposal in proposals {
        proposal.text = text::clean(&proposal.text);
        let Some(goal) = request.goals.get(proposal.goal) else {
            rejected.push((proposal, Reason::Unread));
            continue;
        };
        let found = Checks::of(&proposal.text, request.language);
        let novelty = earlier.novelty(&proposal.text);
        let is_avoided = avoided.has(&proposal.text, &[]);
        if let Some(reason) = refusal(request, &found, is_avoided, novelty) {
            rejected.push((proposal, reason));
        } else {
            earlier.add(&proposal.text);
            lines.push(line(proposal.text, goal, None, &found, novelty));
        }
    }
    (lines, rejected)
}

/// Why a line is none.
fn refusal(request: &Request, found: &Checks, is_avoided: bool, novelty: f64) -> Option<Reason> {
    if found.word_count > request.max_words {
        Some(Reason::TooLong { max_words: request.max_words })
    } else if is_avoided {
        Some(Reason::Avoided)
    } else if novelty < LEAST_NOVELTY {
        Some(Reason::Repeated)
    } else if !found.pass(request.max_words) {
        Some(Reason::Unchecked)
    } else {
        None
    }
}

fn line(text: String, goal: &str, colour: Option<Colour>, found: &Checks, novelty: f64) -> Line {
    Line {
        text,
        based_on: goal.to_owned(),
        colour,
        word_count: found.word_count,
        first_person: found.first_person,
        present_tense: found.present_tense,
        positive: found.positive,
        novelty,
    }
}

/// Whether a request keeps its limits.
///
/// # Errors
/// The limit that is broken.
pub fn check_limits(request: &Request) -> Result<(), AffirmationsError> {
    if !GOALS.contains(&request.goals.len()) {
        return Err(AffirmationsError::GoalsOutOfRange { goals: request.goals.len() });
    }
    if let Some(at) = request.goals.iter().position(|goal| goal.chars().nth(GOAL_CHARACTERS).is_some()) {
        return Err(AffirmationsError::GoalTooLong { number: at + 1 });
    }
    if !COUNT.contains(&request.count) {
        return Err(AffirmationsError::CountOutOfRange { count: request.count });
    }
    if !WORDS.contains(&request.max_words) {
        return Err(AffirmationsError::WordsOutOfRange { max_words: request.max_words });
    }
    Ok(())
}

/// Reads a goal of any length and sentences.
fn read(goal: &str, language: Language) -> Result<Vec<Core>, Reason> {
    let cleaned = text::clean(goal);
    if checks::asks_for_help(&cleaned, language) {
        return Err(Reason::NeedsAPerson);
    }
    let sentences = text::sentences(&cleaned);
    if sentences.is_empty() {
        return Err(Reason::Blank);
    }
    if text::is_foreign(&cleaned, language) {
        return Err(Reason::OtherLanguage);
    }
    gather(sentences.iter().map(|words| match language {
        Language::German => german::read(words),
        Language::English => english::read(words),
    }))
}

/// The period's keywords and the value phrases that the documents have most often, as far as frames can use them.
fn keywords(request: &Request) -> Vec<Keyword> {
    let own = request.period.iter().flat_map(|period| period.keywords_in(request.language));
    let mut all: Vec<Keyword> = own.filter_map(|word| Keyword::of(word, request.language)).collect();
    let mut values: Vec<(usize, Keyword)> = Vec::new();
    for keyword in request.passages.iter().flat_map(|passage| Keyword::in_passage(passage, request.language))
    {
        match values.iter_mut().find(|(_, known)| known.text == keyword.text) {
            Some((count, _)) => *count += 1,
            None if all.iter().any(|known| known.text == keyword.text) => {}
            None => values.push((1, keyword)),
        }
    }
    values.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    all.extend(values.into_iter().take(VALUES).map(|(_, keyword)| keyword));
    all
}

/// Every line that a goal's phrases and the frames make, each with the phrase that it is of.
fn choices(cores: &[Core], keywords: &[Keyword], tone: Option<Tone>, request: &Request) -> Vec<Choice> {
    let mut all = Vec::new();
    for (at, core) in cores.iter().enumerate() {
        let chance = |text: &str| order(request.seed, text);
        for candidate in frames::candidates(core, keywords, tone, request.language, &chance) {
            let rank = chance(&candidate.text) >> candidate.weight;
            all.push(Choice { core: at, rank, candidate, lemmas: core.lemmas.clone() });
        }
    }
    all
}

/// A line that could be chosen.
struct Choice {
    /// Which of the goal's phrases it says.
    core: usize,
    /// Less is sooner.
    rank: u64,
    candidate: Candidate,
    /// Base forms that the line has in another shape.
    lemmas: Vec<String>,
}

/// A goal's choices and what has come of them.
struct Pool<'r> {
    goal: &'r str,
    choices: Vec<Choice>,
    /// Why there is no line, while there is none.
    reason: Option<Reason>,
    made: usize,
    /// How often each phrase was used.
    cores: HashMap<usize, usize>,
}

impl Pool<'_> {
    /// The goal's next line that passes everything; its frame is counted.
    fn next(
        &mut self,
        request: &Request,
        avoided: &Avoided,
        earlier: &Earlier,
        frames: &mut HashMap<String, usize>,
    ) -> Option<Line> {
        loop {
            let used = |choice: &Choice| {
                let frame = frames.get(&choice.candidate.frame).copied().unwrap_or_default();
                (frame + self.cores.get(&choice.core).copied().unwrap_or_default(), choice.rank)
            };
            let best = (0..self.choices.len()).min_by_key(|at| self.choices.get(*at).map(used))?;
            let Choice { core, candidate, lemmas, .. } = self.choices.swap_remove(best);
            let found = Checks::of(&candidate.text, request.language);
            let novelty = earlier.novelty(&candidate.text);
            let is_avoided = avoided.has(&candidate.text, &lemmas);
            let Some(failed) = refusal(request, &found, is_avoided, novelty) else {
                *frames.entry(candidate.frame).or_default() += 1;
                *self.cores.entry(core).or_default() += 1;
                self.made += 1;
                let colour = candidate.keyword.map(|keyword| {
                    let (source, quote) = keyword.source.unzip();
                    Colour { word: keyword.text, source, quote }
                });
                return Some(line(candidate.text, self.goal, colour, &found, novelty));
            };
            self.reason.get_or_insert(failed);
        }
    }
}

/// Words that no line has.
struct Avoided {
    language: Language,
    /// The stems of each entry's words.
    phrases: Vec<Vec<String>>,
}

impl Avoided {
    fn of(avoid: &[String], language: Language) -> Self {
        let phrases = avoid
            .iter()
            .map(|entry| text::lower_words(entry).map(|word| text::stem(&word, language)).collect());
        Self { language, phrases: phrases.filter(|words: &Vec<String>| !words.is_empty()).collect() }
    }

    /// Whether a line has one of them; `lemmas` are base forms that it has in another shape ("stehe … auf").
    fn has(&self, line: &str, lemmas: &[String]) -> bool {
        let stem = |word: &str| text::stem(word, self.language);
        let words: Vec<String> = text::lower_words(line).map(|word| stem(&word)).collect();
        let lemmas: Vec<String> = lemmas.iter().map(|word| stem(word)).collect();
        self.phrases.iter().any(|phrase| {
            lexicon::contains(&words, phrase) || (phrase.len() == 1 && lemmas.contains(&phrase[0]))
        })
    }
}

/// A number that orders texts by chance: `SplitMix64` (Steele, Lea and Flood, 2014) of the seed and the text's FNV-1a hash.
fn order(seed: u64, text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ hash;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
