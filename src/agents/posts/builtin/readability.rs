//! How easily a text reads: the formula of Flesch for English and that of Amstad for German.

use serde::{Deserialize, Serialize};

use crate::agents::text::Language;
use crate::agents::text::numbers::float;
use crate::retrieval::Format;
use crate::retrieval::reading;

/// Which formula a score is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[graphql(name = "ReadabilityFormula")]
pub enum Formula {
    /// 206.835 − 1.015 × words per sentence − 84.6 × syllables per word (Flesch, A new readability yardstick, Journal of
    /// Applied Psychology 32, 1948).
    Flesch,
    /// 180 − words per sentence − 58.5 × syllables per word (Amstad, Wie verständlich sind unsere Zeitungen?, 1978).
    Amstad,
}

/// How easily a text reads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Readability {
    /// About 0 (very hard) to 100 (very easy); short sentences of short words come above, with one decimal.
    pub score: f64,
    /// By which formula.
    pub formula: Formula,
    /// Sentences, headings and list items.
    pub sentences: usize,
    /// Words.
    pub words: usize,
    /// Syllables, estimated from vowels.
    pub syllables: usize,
}

/// How easily a text reads; none for a text without words.
pub fn readability(text: &str, language: Language) -> Option<Readability> {
    let (mut sentences, mut words, mut syllables) = (0, 0, 0);
    for sentence in reading::sentences(text, Format::Plain) {
        let Some(stretch) = text.get(sentence.bytes) else { continue };
        let before = words;
        for (_, word) in reading::words(stretch) {
            words += 1;
            syllables += self::syllables(word, language);
        }
        sentences += usize::from(words > before);
    }
    if words == 0 || sentences == 0 {
        return None;
    }
    let length = float(words) / float(sentences);
    let weight = float(syllables) / float(words);
    let (formula, score) = match language {
        Language::English => (Formula::Flesch, 206.835 - 1.015 * length - 84.6 * weight),
        Language::German => (Formula::Amstad, 180.0 - length - 58.5 * weight),
    };
    Some(Readability { score: (score * 10.0).round() / 10.0, formula, sentences, words, syllables })
}

/// The syllables of a word, at least one; figures count as two.
fn syllables(word: &str, language: Language) -> usize {
    if word.chars().all(|c| !c.is_alphabetic()) {
        return 2;
    }
    let lower = reading::normal(word);
    match language {
        Language::German => german(&lower),
        Language::English => english(&lower),
    }
    .max(1)
}

/// One syllable for each vowel or diphthong. Two vowels that are no diphthong are two syllables (`Na-ti-on`).
fn german(lower: &str) -> usize {
    const TOGETHER: [(char, char); 13] = [
        ('a', 'i'),
        ('a', 'u'),
        ('ä', 'u'),
        ('e', 'i'),
        ('e', 'u'),
        ('i', 'e'),
        ('o', 'i'),
        ('a', 'a'),
        ('e', 'e'),
        ('o', 'o'),
        ('e', 'y'),
        ('a', 'y'),
        ('o', 'u'),
    ];
    let mut count = 0;
    let mut before = None;
    let mut last = ' ';
    for c in lower.chars() {
        let vowel = matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'ä' | 'ö' | 'ü' | 'y' | 'é' | 'è' | 'á' | 'à')
            && !(c == 'u' && last == 'q');
        before = if vowel {
            let joined = before.is_some_and(|first| TOGETHER.contains(&(first, c)));
            count += usize::from(!joined);
            // The third vowel in a row begins anew (`neu-e`).
            if joined { None } else { Some(c) }
        } else {
            None
        };
        last = c;
    }
    // `Fa-mi-li-e`, `Stu-di-e`: the last two vowels are apart.
    let apart = ["ilie", "ilien", "inie", "inien", "udie", "udien", "erie", "erien", "amie"]
        .iter()
        .any(|end| lower.ends_with(end));
    count + usize::from(apart)
}

/// One syllable for each group of vowels, without the endings that are silent.
fn english(lower: &str) -> usize {
    let word: Vec<char> = lower.chars().filter(|c| *c != '\'').collect();
    let vowel = |c: &char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'é' | 'è' | 'ö' | 'ü');
    let mut count = 0;
    let mut inside = false;
    for (at, c) in word.iter().enumerate() {
        // A y before a vowel is a consonant (`beyond`), and so is the u of `qu`.
        let consonant = (*c == 'y' && word.get(at + 1).is_some_and(vowel))
            || (*c == 'u' && at > 0 && word.get(at - 1) == Some(&'q'));
        let is_vowel = vowel(c) && !consonant;
        count += usize::from(is_vowel && !inside);
        inside = is_vowel;
    }
    let ends = |end: &str| lower.ends_with(end);
    let bare = ends("e") && word.iter().rev().nth(1).is_some_and(|c| !vowel(c));
    let silent = (bare && !(ends("le") && word.iter().rev().nth(2).is_some_and(|c| !vowel(c))))
        || (ends("es")
            && !["ses", "zes", "ces", "ges", "xes", "ches", "shes", "les"].iter().any(|end| ends(end)))
        || (ends("ed") && !ends("ted") && !ends("ded"));
    // Pairs that are two syllables in most words (`cre-ate`, `me-di-um`, `vi-olin`).
    let apart = ["ia", "io", "iu", "eo", "uou", "reat", "iet", "ual"]
        .iter()
        .filter(|pair| lower.contains(**pair))
        .count();
    let together = ["tion", "sion", "cial", "tial", "cious", "tious", "gion"]
        .iter()
        .filter(|pair| lower.contains(**pair))
        .count();
    (count + apart.saturating_sub(together)).saturating_sub(usize::from(silent && count > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_counted() {
        for (word, expected) in [
            ("Nation", 3),
            ("Haus", 1),
            ("neue", 2),
            ("Familie", 4),
            ("Energie", 3),
            ("Quelle", 2),
            ("Sonne", 2),
            ("Umsicht", 2),
            ("Gewohnheit", 3),
            ("Überraschung", 4),
            ("Baum", 1),
            ("See", 1),
            ("Bäume", 2),
            ("Theater", 3),
            ("Idee", 2),
        ] {
            assert_eq!(syllables(word, Language::German), expected, "{word}");
        }
        for (word, expected) in [
            ("cat", 1),
            ("cake", 1),
            ("table", 2),
            ("created", 3),
            ("walked", 1),
            ("wanted", 2),
            ("boxes", 2),
            ("times", 1),
            ("queen", 1),
            ("beyond", 2),
            ("coffee", 2),
            ("the", 1),
            ("nation", 2),
            ("medium", 3),
            ("rhythm", 1),
            ("quiet", 2),
            ("simple", 2),
            ("radio", 3),
            ("special", 2),
        ] {
            assert_eq!(syllables(word, Language::English), expected, "{word}");
        }
    }

    #[test]
    fn formulas_are_those_of_their_authors() {
        // Two sentences, ten words, ten syllables: 206.835 − 1.015 × 5 − 84.6.
        let easy = readability("The cat sat on it. The dog ran to us.", Language::English).unwrap();
        assert_eq!((easy.sentences, easy.words, easy.syllables), (2, 10, 10));
        assert!((easy.score - 117.2).abs() < 1e-9);
        // One sentence, five words, six syllables: 180 − 5 − 58.5 × 1.2.
        let german = readability("Die Sonne scheint auf uns.", Language::German).unwrap();
        assert_eq!((german.words, german.syllables), (5, 6));
        assert!((german.score - 104.8).abs() < 1e-9);
        assert_eq!(german.formula, Formula::Amstad);
        let hard =
            "Die Inanspruchnahme verwaltungsrechtlicher Genehmigungsverfahren erfordert Bescheinigungen.";
        assert!(readability(hard, Language::German).unwrap().score < 0.0);
        for text in ["", " ", "…", "👩‍👩‍👧"] {
            assert_eq!(readability(text, Language::German), None, "{text:?}");
        }
    }
}
