//! What a line has to be, as functions of any text: the built-in engine's lines and a provider's pass the same ones.
//!
//! They look words up in lists and parse nothing, so that they are quick on any input, and strict rather than clever:
//! "I have renewed energy" reads like a perfect and is not counted as present. Each is linear in the text.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::english::ENGLISH;
use super::german::WORDS;
use super::lexicon::{Sections, has_phrase};
use super::text;
use crate::retrieval::Language;

/// The words and beginnings of words that no affirmation has.
struct Polarity {
    words: HashSet<String>,
    stems: Vec<String>,
    allowed: Vec<String>,
    beside: HashMap<String, String>,
    crisis: Vec<Vec<String>>,
}

impl Polarity {
    fn of(text: &str) -> Self {
        let sections = Sections::of(text);
        let mut words = sections.words("negations");
        words.extend(sections.words("words"));
        let list = |section| sections.words(section).into_iter().collect::<Vec<_>>();
        let beside = sections.lines("beside").iter().filter_map(|line| line.split_once(' '));
        Self {
            words,
            stems: list("stems"),
            allowed: list("allowed"),
            beside: beside.map(|(word, other)| (word.to_owned(), other.to_owned())).collect(),
            crisis: sections.phrases("crisis"),
        }
    }

    fn in_language(language: Language) -> &'static Self {
        static GERMAN: LazyLock<Polarity> =
            LazyLock::new(|| Polarity::of(include_str!("data/polarity_de.txt")));
        static ENGLISH: LazyLock<Polarity> =
            LazyLock::new(|| Polarity::of(include_str!("data/polarity_en.txt")));
        match language {
            Language::German => &GERMAN,
            Language::English => &ENGLISH,
        }
    }

    fn has(&self, word: &str, language: Language) -> bool {
        if self.words.contains(word) {
            return true;
        }
        if self.allowed.iter().any(|allowed| word.starts_with(allowed.as_str())) {
            return false;
        }
        self.stems.iter().any(|stem| {
            // German joins its fears to what they are of: `Prüfungsangst`.
            word.starts_with(stem.as_str())
                || (language == Language::German && stem.len() > 4 && word.contains(stem.as_str()))
        })
    }
}

/// The first word of a text that negates or names a struggle; `None` when the text is positive.
///
/// ```
/// use aicos::agents::affirmations::builtin::checks::negative_word;
/// use aicos::retrieval::Language::{English, German};
/// assert_eq!(negative_word("I am fearless", English).as_deref(), Some("fearless"));
/// assert_eq!(negative_word("Ich sorge gut für mich", German), None);
/// ```
pub fn negative_word(text: &str, language: Language) -> Option<String> {
    let polarity = Polarity::in_language(language);
    let words: Vec<String> = text::lower_words(text).collect();
    let companions: HashSet<&str> = words.iter().map(String::as_str).collect();
    let bad = |word: &str| {
        let excused = polarity.beside.get(word).is_some_and(|other| companions.contains(other.as_str()));
        polarity.has(word, language) && !excused
    };
    let joined = |word: &str| word.contains(['-', '\'']) && word.split(['-', '\'']).any(bad);
    // A word that comes again is not judged again.
    let mut seen = HashSet::new();
    words
        .iter()
        .find(|word| seen.insert(word.as_str()) && (word.ends_with("n't") || bad(word) || joined(word)))
        .cloned()
}

/// Whether a text has neither a negation nor a word of fear or struggle.
pub fn positive(text: &str, language: Language) -> bool {
    negative_word(text, language).is_none()
}

/// Whether a text speaks in the first person singular.
///
/// ```
/// use aicos::agents::affirmations::builtin::checks::first_person;
/// use aicos::retrieval::Language::{English, German};
/// assert!(first_person("My mind is clear.", English));
/// assert!(!first_person("Vertraue dir selbst.", German));
/// ```
pub fn first_person(text: &str, language: Language) -> bool {
    text::lower_words(text).any(|word| match language {
        Language::English => {
            matches!(word.as_str(), "i" | "me" | "my" | "mine" | "myself") || word.starts_with("i'")
        }
        Language::German => matches!(
            word.as_str(),
            "ich" | "mich" | "mir" | "mein" | "meine" | "meinen" | "meinem" | "meiner" | "meines" | "meins"
        ),
    })
}

/// Whether a text stays in the present: no past, no perfect, no future, no "would" or "möchte".
///
/// ```
/// use aicos::agents::affirmations::builtin::checks::present_tense;
/// use aicos::retrieval::Language::{English, German};
/// assert!(present_tense("Ich werde jeden Tag ruhiger.", German));
/// assert!(!present_tense("Ich werde jeden Tag ruhiger schlafen.", German));
/// assert!(!present_tense("I trusted my work.", English));
/// ```
pub fn present_tense(text: &str, language: Language) -> bool {
    let words: Vec<String> = text::lower_words(text).collect();
    match language {
        Language::English => english_present(&words),
        Language::German => german_present(text),
    }
}

fn english_present(words: &[String]) -> bool {
    const NEVER: [&str; 22] = [
        "will", "shall", "would", "could", "should", "might", "ought", "was", "were", "had", "did", "been",
        "went", "grew", "knew", "became", "gave", "took", "saw", "began", "chose", "wrote",
    ];
    let adverb = |word: &str| {
        word.ends_with("ly")
            || matches!(
                word,
                "always" | "often" | "now" | "also" | "just" | "already" | "finally" | "even" | "still"
            )
    };
    let past = |word: &str| {
        ENGLISH.past.contains_key(word) || (ENGLISH.base_of_ed(word).is_some() && !ENGLISH.is_verb(word))
    };
    let participle = |word: &str| ENGLISH.participles.contains(word) || past(word);
    let base_too = |word: &str| {
        matches!(word, "read" | "put" | "let" | "set" | "cut" | "found" | "felt" | "saw" | "lead" | "left")
    };
    for (at, word) in words.iter().enumerate() {
        let word = word.as_str();
        if NEVER.contains(&word)
            || ["'ll", "'d"].iter().any(|end| word.ends_with(end))
            || matches!(word, "won't" | "wasn't" | "weren't" | "didn't")
        {
            return false;
        }
        let next = words[at + 1..].iter().find(|word| !adverb(word)).map(String::as_str).unwrap_or_default();
        if word == "going" && next == "to" {
            let after = words[at + 1..]
                .iter()
                .skip_while(|word| *word != "to")
                .nth(1)
                .map(String::as_str)
                .unwrap_or_default();
            if ENGLISH.is_verb(after) || after == "be" {
                return false;
            }
        }
        if word == "i" && past(next) && !(base_too(next) && ENGLISH.is_verb(next)) {
            return false;
        }
        if matches!(word, "have" | "has" | "i've") && participle(next) {
            return false;
        }
    }
    true
}

fn german_present(text: &str) -> bool {
    const NEVER: [&str; 20] = [
        "würde", "würden", "möchte", "möchten", "könnte", "könnten", "sollte", "müsste", "wäre", "hätte",
        "hätten", "dürfte", "wurde", "wurden", "waren", "hatten", "konnten", "wollten", "gewesen", "worden",
    ];
    let cleaned = text::clean(text);
    let german = &*WORDS;
    for clause in cleaned.split([',', '.', ';', ':', '!', '?', '\n', '–', '—']) {
        let words: Vec<&str> =
            clause.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).collect();
        let lows: Vec<String> = words.iter().map(|word| text::lower(word)).collect();
        let last = lows.iter().rposition(|word| !word.is_empty());
        let has = |wanted: &[&str]| lows.iter().any(|word| wanted.contains(&word.as_str()));
        if has(&NEVER) {
            return false;
        }
        let of_mine = has(&["ich"]);
        for (at, word) in lows.iter().enumerate() {
            let near = |offset: isize| {
                at.checked_add_signed(offset).and_then(|at| lows.get(at)).is_some_and(|word| word == "ich")
            };
            let verb_place = near(-1) || near(1) || Some(at) == last || at == 1;
            if german.strong_past.contains(word.as_str()) && verb_place && !text::has_capital(words[at]) {
                return false;
            }
            if (near(-1) || near(1)) && german.is_weak_past(word) {
                return false;
            }
        }
        let Some(last) = last else { continue };
        // An infinitive or participle may be followed by its auxiliary in a clause ("dass ich geschlafen habe").
        let auxiliary = |word: &str| matches!(word, "habe" | "bin" | "werde" | "hab" | "haben" | "werden");
        let end = if last > 0 && auxiliary(&lows[last]) { last - 1 } else { last };
        let capital = text::has_capital(words[end]);
        let will = has(&["werde", "wird", "werden"])
            && !capital
            && end > 0
            && german.is_infinitive(&lows[end])
            && !auxiliary(&lows[end]);
        let perfect = !capital && end > 0 && of_mine && {
            let with_have = has(&["habe", "hab"]) && german.is_participle(&lows[end]);
            let with_be = has(&["bin"]) && german.sein_participles.contains(lows[end].as_str());
            with_have || with_be
        };
        if will || perfect {
            return false;
        }
    }
    true
}

/// The words of a text: what stands between spaces and has a letter or digit.
///
/// ```
/// use aicos::agents::affirmations::builtin::checks::word_count;
/// assert_eq!(word_count("I trust my self-made work – every day."), 7);
/// ```
pub fn word_count(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

/// What was found about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Its words.
    pub word_count: usize,
    /// Whether it speaks in the first person singular.
    pub first_person: bool,
    /// Whether it stays in the present.
    pub present_tense: bool,
    /// Whether it has neither a negation nor a word of struggle.
    pub positive: bool,
}

impl Checks {
    /// Looks a text over.
    pub fn of(text: &str, language: Language) -> Self {
        Self {
            word_count: word_count(text),
            first_person: first_person(text, language),
            present_tense: present_tense(text, language),
            positive: positive(text, language),
        }
    }

    /// Whether it is an affirmation of at most so many words.
    pub const fn pass(&self, max_words: usize) -> bool {
        self.first_person
            && self.present_tense
            && self.positive
            && 0 < self.word_count
            && self.word_count <= max_words
    }
}

/// Whether a text speaks of wanting to die or of self-harm: it wants a person's help, and no line at all.
pub fn asks_for_help(text: &str, language: Language) -> bool {
    let words: Vec<String> = text::lower_words(text).collect();
    has_phrase(&words, &Polarity::in_language(language).crisis)
}

/// Lines that a new one is compared with.
#[derive(Debug, Clone)]
pub struct Earlier {
    language: Language,
    /// For each stem, the lines that have it.
    lines_with: HashMap<String, Vec<usize>>,
    /// How many stems each line has.
    sizes: Vec<usize>,
}

impl Earlier {
    /// No lines yet.
    pub fn new(language: Language) -> Self {
        Self { language, lines_with: HashMap::new(), sizes: Vec::new() }
    }

    /// Adds a line.
    pub fn add(&mut self, line: &str) {
        let stems = text::stems(line, self.language);
        self.sizes.push(stems.len());
        for stem in stems {
            self.lines_with.entry(stem).or_default().push(self.sizes.len() - 1);
        }
    }

    /// How new a line is, from 0 (its words are those of an earlier line) to 1 (it shares none): 1 − the largest Jaccard index
    /// |A ∩ B| / |A ∪ B| of its set of stems A with that of an earlier line B. Words that nearly every sentence has do not count.
    pub fn novelty(&self, line: &str) -> f64 {
        let stems: BTreeSet<String> = text::stems(line, self.language);
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for at in stems.iter().filter_map(|stem| self.lines_with.get(stem)).flatten() {
            *shared.entry(*at).or_default() += 1;
        }
        let likeness = shared.into_iter().map(|(at, both)| {
            let either = stems.len() + self.sizes.get(at).copied().unwrap_or_default() - both;
            ratio(both, either)
        });
        1.0 - likeness.fold(0.0, f64::max)
    }
}

#[expect(clippy::cast_precision_loss, reason = "words of a line are few")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::Language::{English, German};

    #[test]
    fn negations_and_struggles_are_found() {
        for (text, word) in [
            ("I am not afraid", "not"),
            ("I don't give up", "don't"),
            ("I am fearless", "fearless"),
            ("I live without limits", "without"),
            ("I am stress-free", "stress-free"),
            ("I worry less", "worry"),
            ("My anxiety fades", "anxiety"),
            ("I never fail", "never"),
            ("I overcome my self-doubt", "self-doubt"),
        ] {
            assert_eq!(negative_word(text, English).as_deref(), Some(word), "{text}");
        }
        for (text, word) in [
            ("Ich habe keine Angst", "keine"),
            ("Ich bin angstfrei", "angstfrei"),
            ("Meine Prüfungsangst geht", "prüfungsangst"),
            ("Ich bin nicht müde", "nicht"),
            ("Ich lebe ohne Sorgen", "ohne"),
            ("Ich mache mir Sorgen", "sorgen"),
            ("Ich bin stressfrei", "stressfrei"),
            ("ICH ZWEIFLE", "zweifle"),
            ("Ich u\u{308}berwinde meine A\u{308}ngste", "ängste"),
        ] {
            assert_eq!(negative_word(text, German).as_deref(), Some(word), "{text}");
        }
    }

    #[test]
    fn good_words_that_look_bad_pass() {
        for text in [
            "I protect our environment",
            "I paint",
            "I know my worth",
            "I note what matters",
            "I work hard",
            "I choose knots",
        ] {
            assert!(positive(text, English), "{text}");
        }
        for text in [
            "Ich sorge gut für mich",
            "Ich entscheide mich, für mich zu sorgen",
            "Ich arbeite sorgfältig",
            "Ich laufe Langstrecke",
            "Ich notiere alles",
            "Ich atme tief",
        ] {
            assert!(positive(text, German), "{text}: {:?}", negative_word(text, German));
        }
    }

    #[test]
    fn the_first_person_is_found() {
        for text in ["I rest.", "My mind is clear", "Peace fills me", "I'm calm", "Trust is mine"] {
            assert!(first_person(text, English), "{text}");
        }
        for text in ["Trust yourself", "We are calm", "Mining is fun", "", "It is", "Iris is calm"] {
            assert!(!first_person(text, English), "{text}");
        }
        for text in ["Ich ruhe", "Mein Herz ist offen", "Ruhe erfüllt mich", "Meinem Weg vertraue ich"] {
            assert!(first_person(text, German), "{text}");
        }
        for text in ["Vertraue dir", "Wir sind ruhig", "Sie meint es gut", "Der Mineralfluss", "michel"] {
            assert!(!first_person(text, German), "{text}");
        }
    }

    #[test]
    fn the_present_is_told_from_other_tenses() {
        for text in [
            "I trust my work.",
            "I am calm.",
            "I am going to bed on time.",
            "I need rest.",
            "I read every day.",
            "I have unlimited energy.",
            "I have time for myself.",
            "I feed my mind.",
            "I am loved.",
            "I can do this.",
        ] {
            assert!(present_tense(text, English), "{text}");
        }
        for text in [
            "I will trust my work.",
            "I'll rest.",
            "I am going to rest.",
            "I trusted my work.",
            "I was calm.",
            "I have learned to rest.",
            "I've found peace.",
            "I would like to rest.",
            "I always knew it.",
            "I slept well.",
            "I should rest.",
        ] {
            assert!(!present_tense(text, English), "{text}");
        }
        for text in [
            "Ich vertraue mir.",
            "Ich werde jeden Tag ruhiger.",
            "Ich arbeite gern.",
            "Ich achte auf mich.",
            "Ich bin entspannt.",
            "Ich bin meinen Aufgaben gewachsen.",
            "Ich habe Vertrauen.",
            "Ich darf früher aufstehen.",
            "Ich erlaube mir, zu wachsen.",
            "Ich weiß, was ich will.",
            "Ich rede offen.",
            "Ich werde Führungskraft.",
        ] {
            assert!(present_tense(text, German), "{text}");
        }
        for text in [
            "Ich werde mir vertrauen.",
            "Ich werde früher aufstehen.",
            "Ich vertraute mir.",
            "Ich war ruhig.",
            "Ich habe gut geschlafen.",
            "Ich habe viel gelernt.",
            "Ich bin früh aufgestanden.",
            "Ich würde gern ruhen.",
            "Ich möchte ruhig sein.",
            "Ich ging meinen Weg.",
            "Schön, dass ich gut geschlafen habe.",
            "Damals fand ich Ruhe.",
        ] {
            assert!(!present_tense(text, German), "{text}");
        }
    }

    #[test]
    fn words_are_counted_between_spaces() {
        assert_eq!(word_count("I trust my self-made work – every day."), 7);
        assert_eq!(word_count("  "), 0);
        assert_eq!(word_count("… — !"), 0);
        assert_eq!(word_count("Ich\u{a0}bin\nda"), 3);
    }

    #[test]
    fn novelty_goes_from_0_to_1() {
        let mut earlier = Earlier::new(English);
        let near = |earlier: &Earlier, line, expected: f64| {
            let found = earlier.novelty(line);
            assert!((found - expected).abs() < 1e-9, "{line}: {found}");
        };
        near(&earlier, "I trust my work", 1.0);
        earlier.add("I trust my work.");
        near(&earlier, "I TRUST my works!", 0.0);
        near(&earlier, "I trust my body", 1.0 - 1.0 / 3.0);
        near(&earlier, "I sleep well", 1.0);
        near(&earlier, "", 1.0);
    }

    #[test]
    fn words_of_despair_ask_for_help() {
        for (text, language) in [
            ("I want to die", English),
            ("Sometimes I think about killing myself.", English),
            ("Ich will nicht mehr leben", German),
            ("Ich denke daran, mich umzubringen", German),
        ] {
            assert!(asks_for_help(text, language), "{text}");
        }
        for (text, language) in [
            ("I want to live", English),
            ("I want to diet", English),
            ("Ich will mehr leben", German),
            ("Ich möchte im Sterbehospiz helfen", German),
        ] {
            assert!(!asks_for_help(text, language), "{text}");
        }
    }
}
