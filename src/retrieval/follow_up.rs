//! A question that goes on from the one before it: `And on weekends?`, `Und was kostet das?`
//!
//! What it leaves out is taken from the question before, by rules and without a model, so that everybody can see what was
//! looked for.

use super::question::{Question, Role};
use super::words::{bounded, normal};

/// What a question goes on with, longest first; lower-case, as words.
const CONNECTIVES: [&str; 20] = [
    "und wie sieht es aus mit",
    "wie sieht es aus mit",
    "und wie sieht es mit",
    "wie sieht es mit",
    "und wie ist es mit",
    "wie ist es mit",
    "und was ist mit",
    "was ist mit",
    "and what about",
    "and how about",
    "what about",
    "how about",
    "und auch",
    "and also",
    "und",
    "and",
    "aber",
    "but",
    "oder",
    "or",
];

/// Words that ask.
const ASKING: &str = "wer wen wem wessen was wann wo wohin woher warum wieso weshalb weswegen wie wieviel wieviele welche \
                      welcher welches welchem welchen wofür womit wodurch who whom whose what when where why how which";

/// Verbs that a question begins with.
const OPENING: &str = "ist sind war hat haben habe darf dürfen kann können muss müssen soll sollen gibt gilt wird werden is are \
                       was were do does did can could may must should shall will would has have";

/// Words that stand for what was named before.
const POINTING: &str = "er ihn ihm sie es dies davon dafür damit dazu daran darauf darin dabei darüber danach dort dorthin \
                        dessen deren it its they them their theirs this that these those he him his she her hers";

/// Words before which `es` and `it` stand for nothing, or after which.
const IMPERSONAL: &str =
    "gibt geht heißt möglich erlaubt verboten gestattet possible allowed permitted ok okay";

/// What connects a noun to what it is about.
const PREPOSITIONS: &str = "am an auf aus bei beim bis für im in ins mit nach ohne seit über um unter von vom vor während zu zum \
                            zur ab about after at before by during for from in of on over per since to until with without";

/// What stands before a noun.
const ARTICLES: &str = "der die das den dem des ein eine einen einem einer eines mein meine meinen unser unsere unseren the a an \
                        my our your their this that these those";

/// The longest question that is made, in bytes.
const LONGEST: usize = 2_000;

fn listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|other| other == word)
}

/// A word of a question.
struct Word<'a> {
    /// As it was written, with the marks around it.
    written: &'a str,
    /// Without them, in one spelling.
    plain: String,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let plain = |word: &str| normal(bounded(word.trim_matches(|c: char| !c.is_alphanumeric())));
    text.split_whitespace().map(|written| Word { written, plain: plain(written) }).collect()
}

fn written(words: &[Word<'_>]) -> String {
    words.iter().map(|word| word.written).collect::<Vec<_>>().join(" ")
}

/// The words that a question is about: those that name something, or all that mean something where none does.
fn topics(question: &str) -> Vec<String> {
    let read = Question::read(question);
    let named = read.slots.iter().filter(|slot| matches!(slot.role, Role::Key | Role::Noun));
    let named: Vec<String> = named.map(|slot| slot.word.clone()).collect();
    if named.is_empty() { content(&read).collect() } else { named }
}

fn content(question: &Question) -> impl Iterator<Item = String> {
    let means = question.slots.iter().filter(|slot| !matches!(slot.role, Role::Filler | Role::Soft));
    means.map(|slot| slot.word.clone())
}

/// Whether a word stands for something that was named before.
fn points_back(words: &[Word<'_>]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let beside = |at: Option<usize>| at.and_then(|at| words.get(at)).map_or("", |word| &word.plain);
        let (before, after) = (beside(at.checked_sub(1)), beside(Some(at + 1)));
        let formal =
            matches!(word.plain.as_str(), "sie" | "ihnen") && word.written.starts_with('S') && at > 0;
        let impersonal = matches!(word.plain.as_str(), "es" | "it")
            && (listed(IMPERSONAL, before) || listed(IMPERSONAL, after));
        // `das` is an article before a noun, and so is `this`.
        let alone = after.is_empty() || listed(PREPOSITIONS, after);
        let standing = matches!(word.plain.as_str(), "das" | "this" | "that" | "these" | "those" | "dies");
        let points = if standing { alone } else { listed(POINTING, &word.plain) };
        points && !formal && !impersonal
    })
}

/// The whole question that a follow-up stands for, with what it takes from the question before; none when it stands for
/// itself.
pub fn follow_up(question: &str, before: &str) -> Option<String> {
    let all = words(question);
    let connective = CONNECTIVES.iter().find_map(|connective| {
        let count = connective.split(' ').count();
        let begins = all.iter().zip(connective.split(' ')).all(|(word, other)| word.plain == other);
        (begins && all.len() > count).then_some(count)
    });
    let rest = &all[connective.unwrap_or_default()..];
    let first = rest.first()?;
    let asking = |word: &Word<'_>| listed(ASKING, &word.plain);
    let asks = asking(first)
        || listed(OPENING, &first.plain)
        || (listed(PREPOSITIONS, &first.plain) && rest.get(1).is_some_and(asking));
    let read = Question::read(&written(rest));
    let own: Vec<String> = content(&read).collect();
    let points = points_back(rest);
    let stands = if asks {
        // A whole question may begin with `and` as well.
        let names = read.slots.iter().any(|slot| matches!(slot.role, Role::Key | Role::Noun));
        let whole = names || own.len() >= 2 || (connective.is_none() && !own.is_empty());
        (whole && !points) || own.len() > 2
    } else {
        connective.is_none() && !points
    };
    if stands {
        return None;
    }
    let complete = if asks { with_topics(rest, &own, before) } else { in_place(rest, before) }?;
    (complete.len() <= LONGEST).then_some(complete)
}

/// A question that asks for something else of the same thing: what the question before was about stands behind it.
fn with_topics(rest: &[Word<'_>], own: &[String], before: &str) -> Option<String> {
    let topics = topics(before);
    let taken: Vec<&str> = before
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| {
            let plain = normal(bounded(word));
            topics.contains(&plain) && !own.contains(&plain)
        })
        .collect();
    if taken.is_empty() {
        return None;
    }
    let question = written(rest);
    let mut letters = question.chars();
    let first = letters.next()?.to_uppercase();
    Some(format!("{first}{} ({})", letters.as_str(), taken.join(" ")))
}

/// The question before with something else in the place of what it was about, or with one more circumstance.
fn in_place(rest: &[Word<'_>], before: &str) -> Option<String> {
    let old = words(before);
    let topics = topics(before);
    let is_topic = |word: &Word<'_>| topics.contains(&word.plain);
    let phrase = written(rest);
    let phrase = phrase.trim_end_matches(['?', '.', '!']);
    if phrase.is_empty() {
        return None;
    }
    let first = &rest.first()?.plain;
    let circumstance = listed(PREPOSITIONS, first);
    // The stretch of the question before that is replaced.
    let end = |from: usize| {
        let goes_on = |word: &Word<'_>| is_topic(word) || listed(ARTICLES, &word.plain);
        old.iter().skip(from).position(|word| !goes_on(word)).map_or(old.len(), |count| from + count)
    };
    let replaced = if circumstance {
        let same = old.iter().rposition(|word| word.plain == *first);
        same.map(|at| (at, end(at + 1)))
    } else {
        let last = old.iter().rposition(is_topic);
        last.map(|last| {
            let is_part = |at: usize| is_topic(&old[at]);
            let mut start = last;
            while start > 0 && is_part(start - 1) {
                start -= 1;
            }
            while start > 0 && listed(ARTICLES, &old[start - 1].plain) {
                start -= 1;
            }
            (start, last + 1)
        })
    };
    let (start, end) = replaced.unwrap_or((old.len(), old.len()));
    let parts = [&written(&old[..start]), phrase, &written(&old[end..])];
    let parts: Vec<&str> = parts.into_iter().map(|part| part.trim_end_matches(['?', '.', '!'])).collect();
    let joined = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    Some(format!("{joined}?"))
}

#[cfg(test)]
mod tests {
    use super::follow_up;

    #[test]
    fn a_follow_up_is_completed_from_the_question_before() {
        for (before, question, expected) in [
            ("Wann öffnet die Kantine?", "Und am Wochenende?", "Wann öffnet die Kantine am Wochenende?"),
            (
                "How long may Room B be booked?",
                "And on weekends?",
                "How long may Room B be booked on weekends?",
            ),
            ("Wer wartet die Drehmaschine D7?", "Und die Bandsäge B2?", "Wer wartet die Bandsäge B2?"),
            (
                "Wie viele Urlaubstage habe ich?",
                "Was ist mit Sonderurlaub?",
                "Wie viele Sonderurlaub habe ich?",
            ),
            (
                "How high is the deposit for a ribbon microphone?",
                "What about for a condenser microphone?",
                "How high is the deposit for a condenser microphone?",
            ),
            ("Wann öffnet die Kantine?", "Und wann schließt sie?", "Wann schließt sie? (Kantine)"),
            ("Wie hoch ist die Kaution für ein Mikrofon?", "Warum?", "Warum? (Kaution Mikrofon)"),
            (
                "How high is the deposit for a microphone?",
                "Who pays it back?",
                "Who pays it back? (deposit microphone)",
            ),
        ] {
            assert_eq!(follow_up(question, before).as_deref(), Some(expected), "{before} {question}");
        }
    }

    #[test]
    fn a_question_that_stands_for_itself_stays() {
        for question in [
            "Wie viele Urlaubstage habe ich?",
            "And how many days of vacation do I have?",
            "Gibt es Parkplätze für Besucher?",
            "Is it possible to park a bicycle in the yard?",
            "Können Sie Fahrräder reparieren?",
            "Urlaubstage im ersten Jahr",
            "Kündigungsfrist",
            "",
            "?",
        ] {
            assert_eq!(follow_up(question, "Wann öffnet die Kantine?"), None, "{question}");
        }
        // Nothing is taken from nothing, and nothing grows without end.
        assert_eq!(follow_up("Warum?", "Und?"), None);
        let long = format!("Wann öffnet die Kantine {}?", "Nord ".repeat(500));
        assert_eq!(follow_up("Und am Wochenende?", &long), None);
    }
}
