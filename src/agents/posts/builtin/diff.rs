//! What differs between two captions, by words.

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

/// Beyond so many words of both texts lines are compared, and beyond so many lines nothing is: the time grows with the square.
const COMPARED: usize = 2_000;

/// A stretch that two texts share, or that one of them has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffPart {
    /// Whose it is.
    pub kind: DiffKind,
    /// The stretch.
    pub text: String,
}

/// Whose a stretch of two compared texts is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DiffKind {
    /// Both have it.
    Equal,
    /// Only the first has it.
    Deleted,
    /// Only the second has it.
    Inserted,
}

/// What leads from one text to another: the equal and the deleted parts joined are the first, the equal and the inserted
/// ones the second.
pub fn diff(from: &str, to: &str) -> Vec<DiffPart> {
    let of_both = |count: fn(&str) -> usize| count(from) + count(to);
    let compared = if of_both(|text| text.split_whitespace().count()) <= COMPARED {
        TextDiff::from_words(from, to)
    } else if of_both(|text| text.lines().count()) <= COMPARED {
        TextDiff::from_lines(from, to)
    } else {
        let whole = [(DiffKind::Deleted, from), (DiffKind::Inserted, to)].into_iter();
        let part = |(kind, text): (DiffKind, &str)| DiffPart { kind, text: text.to_owned() };
        return whole.filter(|(_, text)| !text.is_empty()).map(part).collect();
    };
    let mut parts: Vec<DiffPart> = Vec::new();
    for change in compared.iter_all_changes() {
        let kind = match change.tag() {
            ChangeTag::Equal => DiffKind::Equal,
            ChangeTag::Delete => DiffKind::Deleted,
            ChangeTag::Insert => DiffKind::Inserted,
        };
        match parts.last_mut() {
            Some(last) if last.kind == kind => last.text.push_str(change.value()),
            _ => parts.push(DiffPart { kind, text: change.value().to_owned() }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side(parts: &[DiffPart], kind: DiffKind) -> String {
        parts
            .iter()
            .filter(|part| part.kind == DiffKind::Equal || part.kind == kind)
            .map(|part| part.text.as_str())
            .collect()
    }

    #[test]
    fn words_are_compared() {
        let parts = diff("Drei ruhige Minuten.", "Fünf ruhige Minuten.");
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[0].kind, parts[0].text.as_str()), (DiffKind::Deleted, "Drei"));
        assert_eq!(parts[2].text, " ruhige Minuten.");
        assert_eq!(diff("", ""), []);
    }

    #[test]
    fn long_texts_are_compared_by_lines_and_very_long_ones_not_at_all() {
        let text = |first: &str, between: &str| {
            format!("{first}{between}{}", format!("Ruhe.{between}").repeat(1_500))
        };
        let kinds = |between: &str| {
            let (from, to) = (text("Drei Minuten.", between), text("Fünf Minuten.", between));
            let parts = diff(&from, &to);
            assert_eq!((side(&parts, DiffKind::Deleted), side(&parts, DiffKind::Inserted)), (from, to));
            parts.into_iter().map(|part| (part.kind, part.text.len() > 100)).collect::<Vec<_>>()
        };
        let (deleted, inserted) = (DiffKind::Deleted, DiffKind::Inserted);
        assert_eq!(kinds(" "), [(deleted, true), (inserted, true)], "one line of too many words");
        assert_eq!(kinds("\n"), [(deleted, true), (inserted, true)], "too many lines");
        let few = |first: &str| format!("{first} Minuten.\n{}", "Ruhe. Kraft.\n".repeat(600));
        let parts = diff(&few("Drei"), &few("Fünf"));
        let kinds: Vec<DiffKind> = parts.iter().map(|part| part.kind).collect();
        assert_eq!(
            (kinds, parts[0].text.as_str()),
            (vec![deleted, inserted, DiffKind::Equal], "Drei Minuten.\n")
        );
    }

    proptest! {
        #[test]
        fn both_sides_come_back(from in "[a-c \n]{0,60}", to in "[a-c \n]{0,60}") {
            let parts = diff(&from, &to);
            prop_assert_eq!(side(&parts, DiffKind::Deleted), from);
            prop_assert_eq!(side(&parts, DiffKind::Inserted), to);
        }
    }
}
