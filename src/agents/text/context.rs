//! Whether a sentence can stand by itself.

use super::Language;
use crate::retrieval::reading;

/// Whether a sentence says something only together with the one before it.
pub fn leans_back(sentence: &str, language: Language) -> bool {
    let words: Vec<String> =
        reading::words(sentence).take(4).map(|(_, word)| reading::normal(word)).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let early = |list: &[&str]| words.iter().take(4).any(|word| list.contains(&word.as_str()));
    match language {
        Language::German => {
            const BACK: [&str; 24] = [
                "er", "sie", "dies", "diese", "dieser", "dieses", "diesem", "diesen", "jene", "dann",
                "deshalb", "daher", "darum", "deswegen", "aber", "denn", "doch", "sondern", "so", "solche",
                "ihre", "seine", "beide", "weil",
            ];
            const POINTS: [&str; 5] = ["diese", "dieser", "dieses", "diesem", "diesen"];
            const EARLY: [&str; 16] = [
                "danach",
                "davon",
                "dabei",
                "dafür",
                "dazu",
                "dagegen",
                "darin",
                "darauf",
                "daran",
                "damit",
                "dadurch",
                "davor",
                "dort",
                "stattdessen",
                "trotzdem",
                "allerdings",
            ];
            let es = word(0) == "es"
                && !matches!(
                    word(1),
                    "gibt" | "geht" | "lohnt" | "hilft" | "braucht" | "reicht" | "dauert" | "kostet" | "ist"
                );
            // `Das` is an article before a noun and points back before a verb.
            let das = word(0) == "das"
                && reading::words(sentence).nth(1).is_some_and(|(_, next)| {
                    next.starts_with(char::is_lowercase)
                        && ["t", "st", "war", "sind"].iter().any(|end| next.ends_with(end))
                });
            let points =
                reading::words(sentence).any(|(_, word)| POINTS.contains(&reading::normal(word).as_str()));
            es || das || points || BACK.contains(&word(0)) || early(&EARLY)
        }
        Language::English => {
            const BACK: [&str; 27] = [
                "they",
                "this",
                "these",
                "those",
                "he",
                "she",
                "its",
                "their",
                "then",
                "that",
                "such",
                "both",
                "but",
                "and",
                "or",
                "so",
                "because",
                "therefore",
                "thus",
                "however",
                "instead",
                "otherwise",
                "them",
                "his",
                "her",
                "usually",
                "nor",
            ];
            let it = word(0) == "it"
                && !(matches!(word(1), "is" | "takes" | "helps") && sentence.contains(" to "));
            // `this year` is the writer's own time.
            let all: Vec<String> = reading::words(sentence).map(|(_, word)| reading::normal(word)).collect();
            let points = all.windows(2).any(|pair| {
                matches!(pair, [one, next] if matches!(one.as_str(), "this" | "these" | "those")
                    && !matches!(next.as_str(), "year" | "week" | "month" | "weekend" | "season"))
            });
            it || points || BACK.contains(&word(0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_points_back_leans() {
        for sentence in [
            "Sie ist keine Pause.",
            "Danach läuft es.",
            "Was danach bleibt, zählt.",
            "Plane Vorhaben in diese Zeit.",
            "Das ist gut.",
            "Weil der Körper Zeit braucht.",
            "Es war gut.",
        ] {
            assert!(leans_back(sentence, Language::German), "{sentence}");
        }
        for sentence in [
            "Das Brot kostet die Hälfte.",
            "Es gibt drei Gruppen.",
            "Wer neu ist, läuft mit.",
            "Ruhe braucht Platz.",
            "",
        ] {
            assert!(!leans_back(sentence, Language::German), "{sentence}");
        }
        for sentence in [
            "It feeds algae.",
            "Their dams slow it.",
            "Then set a timer.",
            "Use this bag.",
            "Usually it is fine.",
        ] {
            assert!(leans_back(sentence, Language::English), "{sentence}");
        }
        for sentence in ["It is normal to feel a mild ache.", "Bread is life.", "Come this weekend."] {
            assert!(!leans_back(sentence, Language::English), "{sentence}");
        }
    }
}
