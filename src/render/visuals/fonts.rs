//! The embedded typefaces. Nothing is read from the system, so that a text looks the same on every server.
//!
//! All are under the SIL Open Font License 1.1; the licence texts lie beside the files in `fonts/`, which are unmodified.

use std::sync::LazyLock;

use harfrust::font::Font;
use serde::{Deserialize, Serialize};

/// Which typefaces a brand speaks in: one for display text, one for running text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Typeface {
    /// Inter: plain and modern. Latin, Greek, Cyrillic.
    #[default]
    Sans,
    /// Source Serif 4: calm and literary. Latin, Greek, Cyrillic.
    Serif,
    /// Playfair Display over Inter: elegant, like a magazine. Latin, Cyrillic; Greek falls back to Inter.
    Editorial,
}

/// How a text speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Voice {
    /// Large text: headlines and statements.
    Display,
    /// Running text.
    Text,
    /// Small text: labels, attributions, page numbers.
    Label,
    /// A quotation mark as an ornament.
    Ornament,
}

/// One of the embedded fonts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Face {
    InterMedium,
    InterExtraBold,
    SerifRegular,
    SerifSemiBold,
    PlayfairBold,
    Hebrew,
    Arabic,
    Emoji,
}

/// Every face, in the order in which they are asked for a character that the chosen face lacks.
const ALL: [Face; 8] = [
    Face::InterMedium,
    Face::InterExtraBold,
    Face::SerifRegular,
    Face::SerifSemiBold,
    Face::PlayfairBold,
    Face::Hebrew,
    Face::Arabic,
    Face::Emoji,
];

static FONTS: LazyLock<Vec<Option<Font>>> =
    LazyLock::new(|| ALL.iter().map(|face| Font::new(face.bytes(), 0)).collect());

impl Face {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::InterMedium => include_bytes!("fonts/Inter_500Medium.ttf"),
            Self::InterExtraBold => include_bytes!("fonts/Inter_800ExtraBold.ttf"),
            Self::SerifRegular => include_bytes!("fonts/SourceSerif4_400Regular.ttf"),
            Self::SerifSemiBold => include_bytes!("fonts/SourceSerif4_600SemiBold.ttf"),
            Self::PlayfairBold => include_bytes!("fonts/PlayfairDisplay_700Bold.ttf"),
            Self::Hebrew => include_bytes!("fonts/NotoSansHebrew_500Medium.ttf"),
            Self::Arabic => include_bytes!("fonts/NotoSansArabic_500Medium.ttf"),
            Self::Emoji => include_bytes!("fonts/NotoEmoji_500Medium.ttf"),
        }
    }

    /// The font itself; the embedded files always parse, which a test shows.
    pub(crate) fn font(self) -> Option<&'static Font> {
        FONTS.get(self as usize).and_then(Option::as_ref)
    }

    /// Whether the face is drawn bold, as WCAG's definition of large text asks.
    pub(crate) fn bold(self) -> bool {
        matches!(self, Self::InterExtraBold | Self::PlayfairBold)
    }

    /// The face for a voice of a typeface.
    pub(crate) fn of(typeface: Typeface, voice: Voice) -> Self {
        match (typeface, voice) {
            // Its quotation marks are round and full in every company.
            (_, Voice::Ornament) | (Typeface::Editorial, Voice::Display) => Self::PlayfairBold,
            (Typeface::Sans, Voice::Display) => Self::InterExtraBold,
            (Typeface::Serif, Voice::Display) => Self::SerifSemiBold,
            (Typeface::Serif, Voice::Text) => Self::SerifRegular,
            _ => Self::InterMedium,
        }
    }

    /// Height of a capital in em.
    pub(crate) fn cap_height(self) -> f32 {
        match self {
            Self::SerifRegular | Self::SerifSemiBold => 0.67,
            Self::PlayfairBold => 0.708,
            _ => 0.727,
        }
    }

    /// The first face that has every visible character of a cluster: the wanted one, then the others.
    ///
    /// A cluster that asks to be an emoji goes to the emoji font first: other fonts have plain forms of some.
    pub(crate) fn for_cluster(self, cluster: &str) -> Option<Self> {
        let emoji =
            cluster.contains('\u{FE0F}') || cluster.contains('\u{20E3}') || cluster.chars().any(is_emoji);
        let first = if emoji { Self::Emoji } else { self };
        // A bold text falls back to a bold face where there is one.
        let second = if self.bold() { Self::InterExtraBold } else { Self::InterMedium };
        [first, self, second].into_iter().chain(ALL).find(|face| face.covers(cluster))
    }

    fn covers(self, cluster: &str) -> bool {
        let Some(font) = self.font() else { return false };
        let map = font.charmap();
        cluster.chars().all(|c| is_invisible(c) || map.map_unicode(c).is_some())
    }
}

/// Characters that shape others and need no glyph of their own.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0020}'..='\u{E007F}' | '\n')
}

/// The blocks of characters that are emoji unless told otherwise.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1F000}'..='\u{1FAFF}' | '\u{231A}' | '\u{231B}' | '\u{23E9}'..='\u{23EC}' | '\u{23F0}' | '\u{23F3}'
        | '\u{2614}' | '\u{2615}' | '\u{2648}'..='\u{2653}' | '\u{26A1}' | '\u{26BD}' | '\u{26BE}' | '\u{26C4}' | '\u{2705}'
        | '\u{270A}' | '\u{270B}' | '\u{2728}' | '\u{274C}' | '\u{2753}'..='\u{2755}' | '\u{2757}' | '\u{2B50}' | '\u{2B55}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_font_parses() {
        for face in ALL {
            assert!(face.font().is_some(), "{face:?}");
        }
    }

    #[test]
    fn the_promised_scripts_are_there_in_every_typeface() {
        let latin = "ÄÖÜäöüßẞ„“”‚‘’«»‹›–—…€§©éèêëçñåøæœłśżźćąęőűșțğışčřžďťľŠŽÐþĦħŐű¿¡№•";
        let greek = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩάέήίόύώϊϋςθ";
        let cyrillic = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгґдеёєжзиіїйђћљњџ";
        for typeface in [Typeface::Sans, Typeface::Serif, Typeface::Editorial] {
            for voice in [Voice::Display, Voice::Text, Voice::Label] {
                let face = Face::of(typeface, voice);
                for c in latin.chars().chain(greek.chars()).chain(cyrillic.chars()) {
                    let found = face.for_cluster(&c.to_string());
                    assert!(found.is_some(), "{typeface:?} {voice:?} lacks {c}");
                    if latin.contains(c) {
                        assert_eq!(found, Some(face), "{typeface:?} {voice:?} falls back for {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_scripts_and_emoji_fall_back_or_are_missing() {
        assert_eq!(Face::InterMedium.for_cluster("ש"), Some(Face::Hebrew));
        assert_eq!(Face::InterMedium.for_cluster("م"), Some(Face::Arabic));
        assert_eq!(Face::InterMedium.for_cluster("🌱"), Some(Face::Emoji));
        assert_eq!(Face::InterMedium.for_cluster("❤\u{FE0F}"), Some(Face::Emoji));
        assert_eq!(Face::InterMedium.for_cluster("漢"), None);
    }
}
