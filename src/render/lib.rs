//! The engines of visual posts and videos: texts and pictures become slides and films, in process and without a provider.
//!
//! Pure functions of their input: no database, no network, no clock. It is a crate of its own because it computes on pixels,
//! and is optimised in every build: `cargo run` shall not draw many times slower than `cargo run --release`.

pub mod videos;
pub mod visuals;

use serde::{Deserialize, Serialize};

/// The language of a text: it decides on hyphenation, quotation marks, abbreviations and the pace of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    /// German.
    #[default]
    #[serde(rename = "DE")]
    German,
    /// English.
    #[serde(rename = "EN")]
    English,
}
