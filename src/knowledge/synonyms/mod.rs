//! An organization's own synonyms: words and phrases that mean the same there, in groups.
//!
//! A question that has one of a group is read as if it had any other one as well, wherever passages are looked for by their
//! words. All groups are set at once, and hold for the whole organization.

pub mod graphql;
mod store;

use serde_json::{Value, json};

use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::input;

/// Groups at the most.
const GROUPS: usize = 100;
/// Words and phrases of a group at the most.
const TERMS: usize = 20;
/// Characters of a word or phrase at the most.
const CHARACTERS: usize = 60;
/// The turn of whoever changes them.
const TURN: &str = "synonyms";

/// Words and phrases that mean the same.
pub type Group = Vec<String>;

/// Groups, checked.
#[derive(Debug)]
pub struct NewGroups(Vec<Group>);

impl NewGroups {
    /// Checks what a caller wrote. What stands in a group twice, in whatever case, is kept once.
    ///
    /// # Errors
    /// A fault at `groups`.
    pub fn parse<'a>(groups: impl Iterator<Item = &'a [String]>) -> Result<Self> {
        let refuse = |code, message: String| Err(Error::fault(Fault::at(code, "groups", message)));
        let mut read = Vec::new();
        for given in groups {
            if read.len() == GROUPS {
                return refuse(FaultCode::TooLong, format!("`groups` has at most {GROUPS} groups."));
            }
            let mut group: Group = Vec::new();
            for term in given {
                let term = input::line("groups", term, CHARACTERS)?;
                if !group.iter().any(|other| other.to_lowercase() == term.to_lowercase()) {
                    group.push(term);
                }
                if group.len() > TERMS {
                    let message = format!("A group of `groups` has at most {TERMS} words and phrases.");
                    return refuse(FaultCode::TooLong, message);
                }
            }
            if group.len() < 2 {
                let message =
                    "A group of `groups` has two words or phrases at least. Add one, or leave the group out.";
                return refuse(FaultCode::Required, message.to_owned());
            }
            read.push(group);
        }
        Ok(Self(read))
    }
}

/// What the audit log keeps of a change: the groups that are gone, and those that are new.
pub fn logged(before: &[Group], after: &[Group]) -> (Value, Value) {
    let without = |groups: &[Group], others: &[Group]| {
        let kept: Vec<_> = groups.iter().filter(|group| !others.contains(group)).collect();
        json!({"groups": kept})
    };
    (without(before, after), without(after, before))
}

/// The organization's groups, in their order.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Group>> {
    store::list(tx).await
}

/// Sets all groups. Gives them before and after.
///
/// # Errors
/// What the database says.
pub async fn set(tx: &mut WriteTx<'_>, new: NewGroups) -> Result<(Vec<Group>, Vec<Group>)> {
    tx.take_turn(TURN).await?;
    let before = store::list(tx).await?;
    if before != new.0 {
        store::delete(tx).await?;
        store::insert(tx, &new.0).await?;
    }
    Ok((before, new.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(groups: &[&[&str]]) -> Result<Vec<Group>> {
        let owned: Vec<Group> =
            groups.iter().map(|group| group.iter().map(ToString::to_string).collect()).collect();
        NewGroups::parse(owned.iter().map(Vec::as_slice)).map(|new| new.0)
    }

    #[test]
    fn groups_are_few_and_hold_a_few_words_each() {
        let read = parse(&[&[" PTO ", "paid time off", "pto"], &["Zaster", "Gehalt"]]).unwrap();
        assert_eq!(read, [["PTO", "paid time off"], ["Zaster", "Gehalt"]]);
        assert!(parse(&[]).unwrap().is_empty());
        let words: Vec<String> = (0..21).map(|number| number.to_string()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let long = "a".repeat(61);
        assert!(parse(&[&words[1..]]).is_ok() && parse(&[&["a", &long[1..]]]).is_ok());
        assert!(parse(&vec![&["a", "b"][..]; GROUPS]).is_ok());
        for (bad, code) in [
            (vec![&["a", "b"][..]; GROUPS + 1], FaultCode::TooLong),
            (vec![&words[..]], FaultCode::TooLong),
            (vec![&["a", &long][..]], FaultCode::TooLong),
            (vec![&["a", " A"][..]], FaultCode::Required),
            (vec![&[][..]], FaultCode::Required),
            (vec![&["a", "\n"][..]], FaultCode::Required),
            (vec![&["a", "b\0"][..]], FaultCode::Invalid),
        ] {
            let Err(Error::Invalid(faults)) = parse(&bad) else { panic!("{bad:?}") };
            assert_eq!(faults[0].code, code, "{bad:?}");
        }
    }

    #[test]
    fn the_log_keeps_what_has_changed_and_no_more() {
        let groups = parse(&[&["a", "b"], &["c", "d"], &["e", "f"]]).unwrap();
        let (gone, new) = logged(&groups[..2], &groups[1..]);
        assert_eq!((gone, new), (json!({"groups": [["a", "b"]]}), json!({"groups": [["e", "f"]]})));
    }
}
