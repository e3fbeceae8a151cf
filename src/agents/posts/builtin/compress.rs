//! Shortening a sentence by rule: what goes is named in `droppable.txt`, and nothing else does.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::agents::text::{Language, capitalised};
use crate::retrieval::reading;

/// The longest aside that is dropped, in bytes.
const ASIDE: usize = 80;

struct Rules {
    adverbs: HashSet<&'static str>,
    openers: HashSet<String>,
    limits: HashSet<&'static str>,
}

static GERMAN: LazyLock<Rules> = LazyLock::new(|| Rules::read("de"));
static ENGLISH: LazyLock<Rules> = LazyLock::new(|| Rules::read("en"));

impl Rules {
    fn read(language: &str) -> Self {
        let list = |name: &str| -> Vec<&'static str> {
            let header = format!("[{language} {name}]");
            let lines = include_str!("droppable.txt").lines().skip_while(|line| *line != header).skip(1);
            let section =
                lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
            section.flat_map(str::split_whitespace).collect()
        };
        Self {
            adverbs: list("adverbs").into_iter().collect(),
            openers: list("openers").into_iter().map(|word| word.replace('_', " ")).collect(),
            limits: list("limits").into_iter().collect(),
        }
    }

    fn of(language: Language) -> &'static Self {
        match language {
            Language::German => &GERMAN,
            Language::English => &ENGLISH,
        }
    }

    /// Whether an aside can go: it is short and narrows nothing.
    fn idle(&self, aside: &str) -> bool {
        let limits = |(_, word): (usize, &str)| self.limits.contains(reading::normal(word).as_str());
        aside.len() <= ASIDE && !reading::words(aside).any(limits)
    }
}

/// The sentence without parentheses and asides between dashes that narrow nothing, without connecting words at its
/// beginning, and without intensifying adverbs.
///
/// ```
/// use aicos::agents::posts::builtin::compress::compress;
/// use aicos::agents::text::Language;
/// assert_eq!(compress("Außerdem hilft es, zu fragen.", Language::German), "Es hilft, zu fragen.");
/// assert_eq!(compress("Moreover, it is very simple (a bit like tea).", Language::English), "It is simple.");
/// ```
pub fn compress(sentence: &str, language: Language) -> String {
    let rules = Rules::of(language);
    let mut text = without_parentheses(sentence, rules);
    text = without_dashes(&text, rules);
    text = without_opener(&text, rules, language);
    without_adverbs(&text, rules)
}

fn without_parentheses(text: &str, rules: &Rules) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('(') {
        let Some((aside, behind)) = after.split_once(')') else { break };
        // Nested parentheses, and a word's own (`Kolleg(inn)en`), stay as they are.
        let whole = !aside.contains('(') && before.ends_with(char::is_whitespace);
        if whole && rules.idle(aside) {
            out.push_str(before.trim_end());
        } else {
            out.push_str(before);
            out.push('(');
            out.push_str(aside);
            out.push(')');
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Drops what stands between two dashes when the sentence has exactly two.
fn without_dashes(text: &str, rules: &Rules) -> String {
    let parts: Vec<&str> = text.split(" – ").collect();
    match parts.as_slice() {
        [before, aside, after] if rules.idle(aside) && !aside.contains(['.', ':', '?', '!']) => {
            format!("{before} {after}")
        }
        _ => text.to_owned(),
    }
}

fn without_opener(text: &str, rules: &Rules, language: Language) -> String {
    let words: Vec<(usize, &str)> = reading::words(text).take(5).collect();
    let lower: Vec<String> = words.iter().map(|(_, word)| reading::normal(word)).collect();
    let opened = |count: usize| {
        lower
            .get(..count)
            .filter(|words| words.len() == count)
            .is_some_and(|words| rules.openers.contains(&words.join(" ")))
    };
    let Some(count) = [2, 1].into_iter().find(|count| opened(*count)) else { return text.to_owned() };
    let end = |index: usize| words.get(index).map(|(at, word)| at + word.len());
    let between = |index: usize| {
        let from = end(index.wrapping_sub(1));
        from.zip(words.get(index)).and_then(|(from, (to, _))| text.get(from..*to)).unwrap_or_default()
    };
    match language {
        // `Moreover, we …`; without the comma the word may belong to what follows (`Also open on Sundays`).
        Language::English => match words.get(count).and_then(|(at, _)| text.get(*at..)) {
            Some(rest) if between(count) == ", " => capitalised(rest),
            _ => text.to_owned(),
        },
        // The verb stands second: `Außerdem bieten wir Kurse an` is `Wir bieten Kurse an`. Only with a pronoun is it sure
        // where the subject ends.
        Language::German => {
            let (Some((_, verb)), Some((_, subject))) = (words.get(count), words.get(count + 1)) else {
                return text.to_owned();
            };
            let pronoun = matches!(*subject, "wir" | "ich" | "es" | "er" | "man" | "du");
            let plain =
                between(count) == " " && between(count + 1) == " " && verb.starts_with(char::is_lowercase);
            let rest = end(count + 1).and_then(|at| text.get(at..)).unwrap_or_default();
            if pronoun && plain { format!("{} {verb}{rest}", capitalised(subject)) } else { text.to_owned() }
        }
    }
}

/// Drops adverbs that stand between spaces inside a clause; before a comma or full stop they may be what is said.
fn without_adverbs(text: &str, rules: &Rules) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = String::new();
    let mut pieces = text.split(' ').peekable();
    while let Some(piece) = pieces.next() {
        let negated = matches!(
            before.as_str(),
            "nicht" | "not" | "kein" | "keine" | "so" | "wie" | "how" | "isn't" | "don't" | "zu"
        );
        let drop = !out.is_empty()
            && !negated
            && pieces.peek().is_some_and(|next| !next.is_empty())
            && rules.adverbs.contains(piece);
        if !drop {
            if !before.is_empty() || !out.is_empty() {
                out.push(' ');
            }
            out.push_str(piece);
            before = reading::normal(piece.get(..piece.len().min(40)).unwrap_or_default());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adds_nothing_goes() {
        for (sentence, expected) in [
            (
                "Plane anstrengende Vorhaben (zum Beispiel einen Umzug) in diese Zeit.",
                "Plane anstrengende Vorhaben in diese Zeit.",
            ),
            ("Außerdem hilft es, mit jemandem zu sprechen.", "Es hilft, mit jemandem zu sprechen."),
            ("Darüber hinaus bieten wir Kurse an.", "Wir bieten Kurse an."),
            ("Das ist wirklich gut und sehr einfach.", "Das ist gut und einfach."),
            ("Unser Team – drei Menschen und ein Hund – freut sich.", "Unser Team freut sich."),
        ] {
            assert_eq!(compress(sentence, Language::German), expected);
        }
        for (sentence, expected) in [
            ("Most subscribers (about 70 percent) choose it.", "Most subscribers choose it."),
            ("Furthermore, donations are tax-deductible.", "Donations are tax-deductible."),
            ("It is very easy.", "It is easy."),
        ] {
            assert_eq!(compress(sentence, Language::English), expected);
        }
    }

    #[test]
    fn what_narrows_stays() {
        for sentence in [
            "Die Kosten liegen bei 25.000 Euro (vor Förderung).",
            "Wir beraten persönlich (bitte mit Termin).",
            "Der Eintritt ist frei (außer sonntags).",
            "Außerdem bieten die Kurse viel.",
            "Das ist nicht sehr teuer.",
            "Er ist selbstverständlich.",
            "In der Regel dauert es drei Tage.",
            "Liebe Kolleg(inn)en, willkommen.",
            "(offen",
            "",
            "zu (tief (verschachtelt)) hier",
        ] {
            assert_eq!(compress(sentence, Language::German), sentence);
        }
        for sentence in [
            "Entry is free (except on Sundays).",
            "It is not very expensive.",
            "Also open on Sundays.",
            "How very kind.",
        ] {
            assert_eq!(compress(sentence, Language::English), sentence);
        }
    }
}
