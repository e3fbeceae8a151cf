//! What differs between two captions, by words.

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

/// Beyond so many bytes of both texts lines are compared instead of words, which keeps the time in bounds.
const WORDS: usize = 40_000;

/// A stretch that two texts share, or that one of them has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffPart {
    /// Whose it is.
    pub kind: DiffKind,
    /// The stretch.
    pub text: String,
}

/// The kinds of [`DiffPart`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    let compared = if from.len() + to.len() > WORDS {
        TextDiff::from_lines(from, to)
    } else {
        TextDiff::from_words(from, to)
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

    proptest! {
        #[test]
        fn both_sides_come_back(from in "[a-c \n]{0,60}", to in "[a-c \n]{0,60}") {
            let parts = diff(&from, &to);
            prop_assert_eq!(side(&parts, DiffKind::Deleted), from);
            prop_assert_eq!(side(&parts, DiffKind::Inserted), to);
        }
    }
}
