//! The text for those who do not see a slide: what the slide says, nothing invented.

use unicode_segmentation::UnicodeSegmentation;

use super::fonts::Face;
use super::scene::{Layer, Role, Scene};
use super::text::clean;
use crate::Language;

/// Characters of an alt text at the most, as Instagram takes them.
pub const ALT_TEXT: usize = 1_000;

/// What is written on a slide.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written<'a> {
    /// The headline.
    pub headline: Option<&'a str>,
    /// The body.
    pub body: Option<&'a str>,
    /// Who said it.
    pub attribution: Option<&'a str>,
    /// The period's name.
    pub period: Option<&'a str>,
    /// Who took the picture.
    pub credit: Option<&'a str>,
    /// Which slide of how many, when there are several.
    pub page: Option<(usize, usize)>,
}

/// The alt text of a scene, whoever edited it: what its texts say, in the order in which they are read.
pub fn of_scene(scene: &Scene, page: Option<(usize, usize)>) -> String {
    const ORDER: [Role; 5] = [Role::Headline, Role::Body, Role::Attribution, Role::Period, Role::Credit];
    let said = |role: Role| {
        scene.layers.iter().filter_map(move |layer| match layer {
            Layer::Text(text) if text.role == role => {
                Some(clean(&text.text, Face::of(scene.typeface, text.voice)).text)
            }
            _ => None,
        })
    };
    let texts = ORDER.into_iter().flat_map(said).filter(|text| !text.is_empty());
    let texts: Vec<String> = texts.map(|text| sentence(&text)).collect();
    bounded(&numbered(page, scene.language).into_iter().chain(texts).collect::<Vec<_>>().join(" "))
}

fn numbered(page: Option<(usize, usize)>, language: Language) -> Option<String> {
    let (page, pages) = page?;
    Some(match language {
        Language::German => format!("Bild {page} von {pages}:"),
        Language::English => format!("Slide {page} of {pages}:"),
    })
}

/// The alt text: number, headline, body, attribution, period and credit as they are drawn, cut at a word if too long.
pub fn alt_text(written: &Written<'_>, language: Language) -> String {
    let mut parts: Vec<String> = numbered(written.page, language).into_iter().collect();
    parts.extend(written.headline.map(sentence));
    parts.extend(written.body.map(sentence));
    parts.extend(written.attribution.map(|name| sentence(&format!("— {name}"))));
    parts.extend(written.period.map(sentence));
    parts.extend(written.credit.map(|name| sentence(&credit(name, language))));
    bounded(&parts.join(" "))
}

/// The line that names the photographer.
pub(crate) fn credit(name: &str, language: Language) -> String {
    match language {
        Language::German => format!("Foto: {name}"),
        Language::English => format!("Photo: {name}"),
    }
}

/// A text on one line that ends like a sentence, so that a screen reader pauses.
fn sentence(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = line.ends_with(['.', '!', '?', '…', ':', '“', '”', '"', '»', '«']);
    if ends { line } else { line + "." }
}

fn bounded(text: &str) -> String {
    if text.graphemes(true).count() <= ALT_TEXT {
        return text.to_owned();
    }
    let cut: String = text.graphemes(true).take(ALT_TEXT - 1).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!("{}…", cut.get(..end).unwrap_or(&cut).trim_end_matches([',', ';', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_slide_says() {
        let written = Written {
            headline: Some("Energie\nfür heute"),
            body: Some("Ich atme durch!"),
            attribution: Some("Mira"),
            credit: Some("A. Foto"),
            page: Some((2, 5)),
            ..Written::default()
        };
        assert_eq!(
            alt_text(&written, Language::German),
            "Bild 2 von 5: Energie für heute. Ich atme durch! — Mira. Foto: A. Foto."
        );
        assert!(alt_text(&written, Language::English).starts_with("Slide 2 of 5: "));
    }

    #[test]
    fn it_is_bounded() {
        let long = "Größe 🌱 ".repeat(2_000);
        let alt = alt_text(&Written { body: Some(&long), ..Written::default() }, Language::German);
        assert!(alt.graphemes(true).count() <= ALT_TEXT && alt.ends_with('…'));
        let unbroken = "ä".repeat(5_000);
        let alt = alt_text(&Written { body: Some(&unbroken), ..Written::default() }, Language::German);
        assert!(alt.graphemes(true).count() <= ALT_TEXT);
    }
}
