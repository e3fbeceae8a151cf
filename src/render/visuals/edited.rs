//! What is to be said of slides that somebody has edited: their texts are read again.

use unicode_segmentation::UnicodeSegmentation;

use super::fonts::Face;
use super::scene::{Layer, Scene};
use super::text::clean;
use super::{Note, TextBlockReport};

/// Characters that are listed as left out, at the most.
const LEFT_OUT: usize = 20;

impl Note {
    /// Whether it says something about a text, and not about what the slides are made from.
    pub const fn is_of_text(&self) -> bool {
        matches!(self, Self::CharactersLeftOut { .. } | Self::EmojiInOneColor | Self::Shortened)
    }
}

/// The notes on the texts of slides and what was measured of them: characters that no font has, emoji, what was shortened.
pub fn notes<'a>(slides: impl IntoIterator<Item = (&'a Scene, &'a [TextBlockReport])>) -> Vec<Note> {
    let (mut characters, mut emoji, mut shortened) = (Vec::<String>::new(), false, false);
    for (scene, blocks) in slides {
        shortened |= blocks.iter().any(|block| block.overflow);
        for layer in &scene.layers {
            let Layer::Text(text) = layer else { continue };
            let clean = clean(&text.text, Face::of(scene.typeface, text.voice));
            let is_emoji = |cluster| Face::InterMedium.for_cluster(cluster) == Some(Face::Emoji);
            emoji |= clean.text.graphemes(true).any(is_emoji);
            for character in clean.left_out {
                if characters.len() < LEFT_OUT && !characters.contains(&character) {
                    characters.push(character);
                }
            }
        }
    }
    let left_out = (!characters.is_empty()).then_some(Note::CharactersLeftOut { characters });
    let emoji = emoji.then_some(Note::EmojiInOneColor);
    left_out.into_iter().chain(emoji).chain(shortened.then_some(Note::Shortened)).collect()
}
