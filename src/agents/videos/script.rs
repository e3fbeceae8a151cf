//! A script becomes the texts of scenes: whole sentences, as far as they fit.

use super::builtin::SCENE_TEXT;
use crate::retrieval::{Format, reading};

/// Characters that are read at ease in one scene: short sentences of a paragraph share one up to this.
const AT_EASE: usize = 120;

/// The texts of at most so many scenes, in order; none when the script is too long for them.
///
/// A sentence is a scene; short ones that follow each other in a paragraph are one together. Where that makes too many, the
/// shortest neighbours are put together as well, and what is longer than a scene is cut between words.
pub(super) fn scenes(script: &str, format: Format, most: usize) -> Option<Vec<String>> {
    let mut read: Vec<(u32, String)> = Vec::new();
    for sentence in reading::sentences(script, format) {
        let text = script.get(sentence.bytes).unwrap_or_default();
        for piece in pieces(text) {
            match read.last_mut() {
                Some((block, before)) if *block == sentence.block && together(before, &piece) <= AT_EASE => {
                    before.push(' ');
                    before.push_str(&piece);
                }
                _ => read.push((sentence.block, piece)),
            }
        }
    }
    // With their lengths, which are compared over and over.
    let mut scenes: Vec<(String, usize)> = read
        .into_iter()
        .map(|(_, text)| {
            let length = text.chars().count();
            (text, length)
        })
        .collect();
    while scenes.len() > most {
        let pairs = scenes.windows(2).enumerate().filter_map(|(at, pair)| match pair {
            [(_, one), (_, other)] => Some((one + 1 + other, at)),
            _ => None,
        });
        let (length, at) = pairs.min().filter(|(length, _)| *length <= SCENE_TEXT)?;
        let (next, _) = scenes.remove(at + 1);
        let (text, whole) = scenes.get_mut(at)?;
        text.push(' ');
        text.push_str(&next);
        *whole = length;
    }
    Some(scenes.into_iter().map(|(text, _)| text).collect())
}

/// How many characters two texts have as one.
fn together(one: &str, other: &str) -> usize {
    one.chars().count() + 1 + other.chars().count()
}

/// A sentence's words with one space between them, cut where a scene is full.
fn pieces(sentence: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in sentence.split_whitespace() {
        // A word without end is cut as well.
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(SCENE_TEXT) {
            let part: String = part.iter().collect();
            match pieces.last_mut() {
                Some(before) if together(before, &part) <= SCENE_TEXT => {
                    before.push(' ');
                    before.push_str(&part);
                }
                _ => pieces.push(part),
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::videos::builtin::SCENES;

    #[test]
    fn a_script_is_cut_at_its_sentences() {
        let script = "# Morning\n\nBreathe in. Breathe out.\n\nThe first hour of the day belongs to nobody but you, and what you do \
            with it decides about all the others. So begin it slowly, without a screen, beside an open window.\n";
        assert_eq!(
            scenes(script, Format::Markdown, SCENES).unwrap(),
            [
                "Morning",
                "Breathe in. Breathe out.",
                "The first hour of the day belongs to nobody but you, and what you do with it decides about all the others.",
                "So begin it slowly, without a screen, beside an open window.",
            ]
        );
        assert_eq!(scenes(" \n", Format::Plain, SCENES).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn scenes_are_no_more_and_no_longer_than_a_film_has() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for script in [
            "Sieh hin. ".repeat(300),
            (1..=60)
                .map(|day| format!("An Tag {day} gehst du ein Stück weiter als am Tag davor.\n\n"))
                .collect(),
            format!("{}.", "und immer weiter ".repeat(150).trim()),
            "x".repeat(5 * SCENE_TEXT),
        ] {
            let found = scenes(&script, Format::Plain, SCENES).unwrap();
            assert!((1..=SCENES).contains(&found.len()), "{found:#?}");
            assert!(found.iter().all(|text| (1..=SCENE_TEXT).contains(&text.chars().count())), "{found:#?}");
            if !script.starts_with('x') {
                assert_eq!(words(&found.join(" ")), words(&script), "nothing is lost");
            }
        }
        assert_eq!(
            scenes("Eins ist kurz.\n\nZwei auch.", Format::Plain, 1).unwrap(),
            ["Eins ist kurz. Zwei auch."]
        );
        let long = "Noch ein Satz, der für sich allein schon so lang ist, dass er kaum in eine Szene passt. ";
        assert_eq!(scenes(&long.repeat(SCENES * 5), Format::Plain, SCENES), None);
    }
}
