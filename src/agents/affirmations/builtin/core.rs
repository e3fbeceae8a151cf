//! What a goal comes to once it is affirmed, ready for a frame.

use std::collections::BTreeMap;

use super::Reason;
use super::lexicon::Kind;
use super::text::join;

/// How a phrase behaves in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aspect {
    /// Being: "be calm", "trust my work".
    Be,
    /// Doing, again and again: "get up earlier".
    Act,
    /// Reached once: "finish my degree".
    End,
}

/// What part of a sentence it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// What I do or am.
    Verb,
    /// What I have or want; of no certain amount ("more patience"), or countable ("a new job").
    Noun {
        /// Whether it is of no certain amount.
        quality: bool,
    },
    /// A sentence about something of mine: "my desk is tidy".
    Whole,
}

/// An affirmed phrase in the forms that frames ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Core {
    /// How the goal was put.
    pub kind: Kind,
    /// What it is.
    pub shape: Shape,
    /// How it behaves in time.
    pub aspect: Aspect,
    /// Whether a frame must not name a time: it names one, or does not come every day.
    pub timed: bool,
    /// Whether its verb says more than being and having.
    pub verbal: bool,
    /// Base forms that do not show in every frame, for lists of words to avoid.
    pub lemmas: Vec<String>,
    /// The forms, by the name that frames use.
    pub slots: BTreeMap<&'static str, String>,
    /// How many words it has.
    pub words: usize,
}

impl Core {
    /// A noun phrase in the form that a slot names.
    pub fn noun(kind: Kind, quality: bool, timed: bool, slot: &'static str, words: &[String]) -> Self {
        Self {
            kind,
            shape: Shape::Noun { quality },
            aspect: Aspect::Be,
            timed,
            verbal: false,
            lemmas: Vec::new(),
            words: words.len(),
            slots: BTreeMap::from([(slot, join(words))]),
        }
    }

    /// A sentence about something of mine, in the forms that slots name.
    pub fn whole(slots: BTreeMap<&'static str, String>) -> Self {
        Self {
            kind: Kind::State,
            shape: Shape::Whole,
            aspect: Aspect::Be,
            timed: false,
            verbal: false,
            lemmas: Vec::new(),
            words: 0,
            slots,
        }
    }
}

/// Cores, or why there are none.
pub(super) type Read = Result<Vec<Core>, Reason>;

/// All that could be read of several readings; the first reason when none could.
pub(super) fn gather(readings: impl IntoIterator<Item = Read>) -> Read {
    let mut cores: Vec<Core> = Vec::new();
    let mut reason = None;
    for reading in readings {
        match reading {
            Ok(more) => {
                for core in more {
                    if !cores.iter().any(|known| known.slots == core.slots) {
                        cores.push(core);
                    }
                }
            }
            Err(why) => {
                reason.get_or_insert(why);
            }
        }
    }
    if cores.is_empty() { Err(reason.unwrap_or(Reason::Unread)) } else { Ok(cores) }
}
