//! Sentences, and how they are spread over slides.

use unicode_segmentation::UnicodeSegmentation;

use crate::Language;

/// Abbreviations after which a sentence goes on, in both languages, one a line.
const ABBREVIATIONS: &str = include_str!("abbreviations.txt");

/// The sentences of a text with their closing marks and without the space around them.
///
/// UAX #29 finds the boundaries; those after an abbreviation, an initial or, in German, an ordinal number are no ends. A
/// line feed always ends a sentence.
pub fn sentences(text: &str, language: Language) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        for (at, piece) in line.split_sentence_bound_indices() {
            let end = at + piece.len();
            let sentence = line.get(start..end).unwrap_or_default();
            let rest = line.get(end..).unwrap_or_default();
            if !rest.trim().is_empty() && goes_on(sentence.trim_end(), rest, language) {
                continue;
            }
            if !sentence.trim().is_empty() {
                found.push(sentence.trim());
            }
            start = end;
        }
        let rest = line.get(start..).unwrap_or_default().trim();
        if !rest.is_empty() {
            found.push(rest);
        }
    }
    found
}

fn goes_on(sentence: &str, rest: &str, language: Language) -> bool {
    let Some(body) = sentence.strip_suffix('.') else { return false };
    let word = body
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '„' | '“' | '"'))
        .next()
        .unwrap_or_default();
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none();
    let ordinal = language == Language::German
        && (1..=2).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && rest.trim_start().chars().next().is_some_and(char::is_alphabetic);
    let last_part = word.rsplit('.').next().unwrap_or_default();
    let short_part = word.contains('.') && last_part.chars().count() == 1;
    initial || ordinal || short_part || ABBREVIATIONS.lines().any(|known| known.eq_ignore_ascii_case(word))
}

/// Pieces of a text in order, at most so many, as even as sentences allow; each piece is whole sentences.
///
/// Of all ways to cut, the one with the least sum of squared lengths is taken.
pub fn spread(text: &str, pieces: usize, language: Language) -> Vec<String> {
    let sentences = sentences(text, language);
    let pieces = pieces.clamp(1, sentences.len().max(1));
    let mut sums = vec![0_u64];
    for sentence in &sentences {
        let length = u64::try_from(sentence.chars().count()).unwrap_or(u64::MAX).min(1 << 20);
        sums.push(sums.last().copied().unwrap_or(0) + length + 1);
    }
    let length = |from: usize, to: usize| sums.get(to).zip(sums.get(from)).map_or(0, |(to, from)| to - from);
    let count = sentences.len();
    // best[k][to]: the least cost of the first `to` sentences in k pieces, and where the last piece begins.
    let mut best = vec![vec![(u64::MAX, 0_usize); count + 1]; pieces + 1];
    if let Some(first) = best.first_mut().and_then(|row| row.first_mut()) {
        *first = (0, 0);
    }
    for piece in 1..=pieces {
        for to in piece..=count {
            let mut found = (u64::MAX, 0);
            for from in piece - 1..to {
                let before =
                    best.get(piece - 1).and_then(|row| row.get(from)).map_or(u64::MAX, |cell| cell.0);
                let cost = before.saturating_add(length(from, to).saturating_pow(2));
                if cost < found.0 {
                    found = (cost, from);
                }
            }
            if let Some(cell) = best.get_mut(piece).and_then(|row| row.get_mut(to)) {
                *cell = found;
            }
        }
    }
    let mut cuts = Vec::new();
    let mut to = count;
    for piece in (1..=pieces).rev() {
        let from = best.get(piece).and_then(|row| row.get(to)).map_or(0, |cell| cell.1);
        cuts.push(sentences.get(from..to).unwrap_or_default().join(" "));
        to = from;
    }
    cuts.reverse();
    cuts.retain(|piece| !piece.is_empty());
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        let cases: [(&str, Language, &[&str]); 9] = [
            ("Ich bin da. Du bist da!", Language::German, &["Ich bin da.", "Du bist da!"]),
            (
                "Das gilt z. B. am 3. Oktober. Danach nicht.",
                Language::German,
                &["Das gilt z. B. am 3. Oktober.", "Danach nicht."],
            ),
            ("Frag Dr. Maier. Sie weiß es.", Language::German, &["Frag Dr. Maier.", "Sie weiß es."]),
            ("„Geh!“, sagte er. Und ging.", Language::German, &["„Geh!“, sagte er.", "Und ging."]),
            (
                "Es dauert ca. 3.500 Tage, d.h. lange. Fertig?",
                Language::German,
                &["Es dauert ca. 3.500 Tage, d.h. lange.", "Fertig?"],
            ),
            ("I have 3. You have 4.", Language::English, &["I have 3.", "You have 4."]),
            (
                "Ask Mr. Smith, e.g. Tom. He knows.",
                Language::English,
                &["Ask Mr. Smith, e.g. Tom.", "He knows."],
            ),
            ("Erste Zeile\nzweite Zeile", Language::German, &["Erste Zeile", "zweite Zeile"]),
            ("", Language::German, &[]),
        ];
        for (text, language, expected) in cases {
            assert_eq!(sentences(text, language), expected, "{text}");
        }
    }

    #[test]
    fn pieces_are_even_and_lose_nothing() {
        let text = "Eins ist kurz. Zwei ist ein wenig länger als eins. Drei. Vier hat auch ein paar Worte. Fünf endet.";
        for pieces in 1..8 {
            let found = spread(text, pieces, Language::German);
            assert_eq!(found.join(" "), text);
            assert_eq!(found.len(), pieces.min(5));
        }
        let two = spread(text, 2, Language::German);
        assert!(two[0].len().abs_diff(two[1].len()) < 30, "{two:?}");
        assert!(spread("", 3, Language::German).is_empty());
    }
}
