//! Captions: texts in pieces, and the two file formats.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::Language;
use crate::visuals::split::sentences;

/// A caption and when it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cue {
    /// Which scene it belongs to, from 0.
    pub scene: usize,
    /// What it says, on one line.
    pub text: String,
    /// From when, in seconds.
    pub start_seconds: f64,
    /// Until when.
    pub end_seconds: f64,
}

/// Characters of a cue that is read at a glance.
const GLANCE: usize = 56;
/// Characters of a line in the files (Netflix Timed Text Style Guide: 42).
const LINE: usize = 42;

/// A text in pieces of about a glance, cut where sentences and clauses end, else between words.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    // German abbreviations are known in English texts as well, and the other way round.
    sentences(text, Language::German).into_iter().flat_map(|sentence| divide(sentence, GLANCE)).collect()
}

/// A sentence in the least number of pieces of at most so many characters, as even as possible, best after a comma.
fn divide(sentence: &str, most: usize) -> Vec<String> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let mut sums = vec![0_usize];
    for word in &words {
        sums.push(sums.last().copied().unwrap_or(0) + word.chars().count() + 1);
    }
    let total = sums.last().copied().unwrap_or(0);
    let count = total.saturating_sub(1).div_ceil(most).clamp(1, words.len().max(1));
    if count == 1 {
        return vec![words.join(" ")];
    }
    let length = |from: usize, to: usize| sums.get(to).zip(sums.get(from)).map_or(0, |(to, from)| to - from);
    let ideal = total / count;
    let cost = |from: usize, to: usize| {
        let off = length(from, to).abs_diff(ideal);
        let too_long = length(from, to).saturating_sub(most + 1) * 20;
        let clause = to
            .checked_sub(1)
            .and_then(|last| words.get(last))
            .is_some_and(|word| word.ends_with([',', ';', ':', '–', '—']));
        off * off + too_long * too_long + if clause || to == words.len() { 0 } else { 60 }
    };
    // best[k][to]: the least cost of the first words in k pieces.
    let mut best = vec![vec![(usize::MAX, 0_usize); words.len() + 1]; count + 1];
    if let Some(first) = best.first_mut().and_then(|row| row.first_mut()) {
        *first = (0, 0);
    }
    for piece in 1..=count {
        for to in piece..=words.len() {
            let mut found = (usize::MAX, 0);
            for from in piece - 1..to {
                let before =
                    best.get(piece - 1).and_then(|row| row.get(from)).map_or(usize::MAX, |cell| cell.0);
                let sum = before.saturating_add(cost(from, to));
                if sum < found.0 {
                    found = (sum, from);
                }
            }
            if let Some(cell) = best.get_mut(piece).and_then(|row| row.get_mut(to)) {
                *cell = found;
            }
        }
    }
    let mut pieces = Vec::new();
    let mut to = words.len();
    for piece in (1..=count).rev() {
        let from = best.get(piece).and_then(|row| row.get(to)).map_or(0, |cell| cell.1);
        pieces.push(words.get(from..to).unwrap_or_default().join(" "));
        to = from;
    }
    pieces.reverse();
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The captions as a `SubRip` file.
pub fn srt(cues: &[Cue]) -> String {
    let mut file = String::new();
    for (index, cue) in cues.iter().enumerate() {
        let (start, end) = (time(cue.start_seconds, ','), time(cue.end_seconds, ','));
        // A blank line would end the cue, and an arrow would be read as a time.
        let lines = lines(&cue.text).replace("-->", "→");
        let _ = write!(file, "{}\n{start} --> {end}\n{lines}\n\n", index + 1);
    }
    file
}

/// The captions as a `WebVTT` file (W3C `WebVTT`).
pub fn vtt(cues: &[Cue], language: Language) -> String {
    let language = match language {
        Language::German => "de",
        Language::English => "en",
    };
    let mut file = format!("WEBVTT\nLanguage: {language}\n\n");
    for (index, cue) in cues.iter().enumerate() {
        let (start, end) = (time(cue.start_seconds, '.'), time(cue.end_seconds, '.'));
        let lines = lines(&cue.text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = write!(file, "{}\n{start} --> {end}\n{lines}\n\n", index + 1);
    }
    file
}

/// A cue on one or two lines.
fn lines(text: &str) -> String {
    if text.chars().count() <= LINE { text.to_owned() } else { divide(text, LINE).join("\n") }
}

/// Hours, minutes, seconds and milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a film is short")]
fn time(seconds: f64, point: char) -> String {
    let milliseconds = (seconds.max(0.0) * 1_000.0).round() as u64;
    let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60);
    let (seconds, rest) = (milliseconds / 1_000 % 60, milliseconds % 1_000);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_cut_at_clauses() {
        let text = "Wenn der Tag laut wird, atme ich tief durch, und finde in der Stille zurück zu mir.";
        let found = pieces(text);
        assert_eq!(found.join(" "), text);
        assert!(found.len() == 2 && found[0].ends_with(','), "{found:?}");
        assert_eq!(pieces("Kurz."), ["Kurz."]);
        assert!(pieces("").is_empty());
        let unbroken = "x".repeat(300);
        assert_eq!(pieces(&unbroken), [unbroken.as_str()]);
    }

    #[test]
    fn the_files_are_as_players_read_them() {
        let cue = |text: &str, start, end| Cue {
            scene: 0,
            text: text.to_owned(),
            start_seconds: start,
            end_seconds: end,
        };
        let cues = [
            cue("Erster <b> & Text --> hier", 0.1, 1.9995),
            cue("Ein zweiter Text, der etwas zu lang für eine Zeile ist", 2.0, 65.25),
        ];
        assert_eq!(
            srt(&cues),
            "1\n00:00:00,100 --> 00:00:02,000\nErster <b> & Text → hier\n\n\
             2\n00:00:02,000 --> 00:01:05,250\nEin zweiter Text, der etwas\nzu lang für eine Zeile ist\n\n"
        );
        let vtt = vtt(&cues, Language::German);
        assert!(vtt.starts_with("WEBVTT\nLanguage: de\n\n1\n00:00:00.100 --> 00:00:02.000\nErster &lt;b&gt; &amp; Text --&gt; hier\n\n"), "{vtt}");
    }
}
