//! The built-in engine of post composition: captions made of the sources' own sentences.
//!
//! Nothing is written here that nobody wrote: a caption is sentences of the passages, exact or shortened by rule
//! ([`compress`]), the caller's own words, their call to action or one of the project's list, and hashtags. Each line says where it is
//! from. The checks ([`validity`], [`facts`], [`banned`]) stand by themselves, so that a provider's output passes through
//! the same ones.

pub mod banned;
mod brief;
pub mod compress;
pub mod diff;
pub mod facts;
pub mod readability;
mod select;
pub mod validity;
mod write;

use serde::{Deserialize, Serialize};

use self::banned::Banned;
use self::brief::Brief;
use self::diff::DiffPart;
use self::readability::Readability;
use self::validity::ChannelValidity;
use crate::accounts::channel::Channel;
use crate::agents::hashtags::builtin::Research;
use crate::agents::text::{Language, Refusal, UnusedInput, excerpt};
use crate::retrieval;

/// The most variants of a post.
pub const VARIANTS: usize = 6;

/// What a post is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compose {
    /// What it is about: an order to write about something, a topic, or the text itself.
    pub brief: String,
    /// A sentence that it leans to: what a topic alone does not tell.
    pub angle: Option<String>,
    /// Passages to make it from.
    pub passages: Vec<Passage>,
    /// Where it is published; all channels when empty.
    pub channels: Vec<Channel>,
    /// In which language. Passages in another one are not used.
    pub language: Language,
    /// How many variants, 1 to [`VARIANTS`].
    pub variants: usize,
    /// How long; one of each length in turn when none.
    pub length: Option<Length>,
    /// The tone that is wished for. The built-in engine cannot give one and says so.
    pub tone: Option<String>,
    /// The caller's call to action, which every variant gets.
    pub call_to_action: Option<String>,
    /// The project's calls to action; without the caller's no other is used.
    pub calls_to_action: Vec<String>,
    /// How hashtags are researched; its text and language are those of the post. Without it there are none.
    pub hashtags: Option<Research>,
    /// Words that must not be in it.
    pub banned: Vec<String>,
    /// The pillars of the project's content.
    pub pillars: Vec<Pillar>,
    /// 0 begins with the best opening and call to action; other seeds begin with others.
    pub seed: u64,
}

/// A stretch of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The passage.
    pub id: String,
    /// Its document.
    pub document: String,
    /// The version of the document that it is of.
    pub version: u32,
    /// The headings above it.
    pub heading: Option<String>,
    /// Its text, exactly as the document has it.
    pub text: String,
    /// Where it begins in the document, in characters (Unicode scalar values).
    pub start: usize,
    /// How well a search found it for the brief, 0 to 1; none when it was not searched for.
    pub relevance: Option<f64>,
}

/// A pillar of content, by what it is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pillar {
    /// Its name.
    pub name: String,
    /// Its key phrases.
    pub key_phrases: Vec<String>,
}

/// How long a variant is at most, in graphemes with everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[graphql(name = "PostLength")]
pub enum Length {
    /// 250, and what every wanted channel takes.
    Short,
    /// 480, and what every wanted channel but X takes.
    Medium,
    /// 1,000, and what every wanted channel but X and Threads takes.
    Long,
}

/// What a variant opens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Opening {
    /// A question.
    Question,
    /// A sentence with a number.
    Number,
    /// The brief's topic or a heading.
    Headline,
    /// Any other sentence.
    Statement,
}

/// A post in variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Composition {
    /// They differ in length or opening; no two have the same caption.
    pub variants: Vec<Variant>,
    /// What leads from the first variant to each other.
    pub diffs: Vec<VariantDiff>,
    /// What was given and is not in the post, with the reason.
    pub unused: Vec<UnusedInput>,
}

/// One way to say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Everything, ready to publish.
    pub caption: String,
    /// The opening.
    pub hook: String,
    /// What follows it.
    pub body: String,
    /// The call to action.
    pub call_to_action: Option<String>,
    /// With their signs.
    pub hashtags: Vec<String>,
    /// What it opens with.
    pub opening: Opening,
    /// How long it was to be.
    pub length: Length,
    /// The pillar whose phrases it has most of.
    pub pillar: Option<String>,
    /// The caption's length in graphemes.
    pub graphemes: usize,
    /// How easily hook and body read.
    pub readability: Option<Readability>,
    /// Its lines, each with where it is from.
    pub lines: Vec<Line>,
    /// What the lines rest on.
    pub sources: Vec<Citation>,
    /// Whether the channels take it.
    pub validity: Vec<ChannelValidity>,
}

/// A line of a caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// As the caption has it.
    pub text: String,
    /// Where it is from.
    pub origin: Origin,
    /// For a line of a source, its place in the variant's sources.
    pub source: Option<usize>,
}

/// Where a line is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Origin {
    /// A passage.
    Source,
    /// The caller's own text.
    Brief,
    /// The project's list of calls to action.
    Project,
}

/// An exact stretch of a passage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The passage.
    pub passage: String,
    /// Its document.
    pub document: String,
    /// The version that is quoted.
    pub version: u32,
    /// The headings above it.
    pub heading: Option<String>,
    /// The stretch, letter for letter.
    pub quote: String,
    /// Where it begins in the document, in characters (Unicode scalar values).
    pub start: usize,
    /// Where it ends, in characters; the first one after it.
    pub end: usize,
    /// How well it suits the brief among all sentences, 0 to 1.
    pub score: f64,
    /// Whether the caption has it letter for letter, not shortened.
    pub verbatim: bool,
}

/// What leads from one variant to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantDiff {
    /// The place of the one.
    pub from: usize,
    /// The place of the other.
    pub to: usize,
    /// The parts of both captions.
    pub parts: Vec<DiffPart>,
}

/// Composes.
///
/// # Errors
/// `OUT_OF_RANGE` for the number of variants; `INSUFFICIENT_INPUT` when neither brief nor passages hold sentences in the
/// language, or the passages do not speak of the brief.
pub fn compose(compose: &Compose) -> Result<Composition, Refusal> {
    if !(1..=VARIANTS).contains(&compose.variants) {
        return Err(Refusal::out_of_range(
            "variants",
            format!("`variants` is a number from 1 to {VARIANTS}."),
        ));
    }
    let mut unused = Vec::new();
    if let Some(tone) = compose.tone.as_deref().filter(|tone| !tone.trim().is_empty()) {
        let reason = "The built-in engine takes sentences as they are and cannot change their tone.";
        unused.push(UnusedInput { input: excerpt(tone, 100), reason: reason.to_owned() });
    }
    let brief = Brief::read(&compose.brief, compose.language);
    let brief = match compose.angle.as_deref() {
        Some(angle) => brief.leaning(angle, compose.language),
        None => brief,
    };
    let passages = usable(compose, &mut unused);
    if compose.brief.trim().is_empty() && compose.passages.is_empty() {
        let message =
            "There is neither a brief nor a source. Write what the post is about, or name documents.";
        return Err(Refusal::insufficient("brief", message));
    }
    if passages.is_empty() && brief.own.is_none() {
        let message = if compose.passages.is_empty() {
            "The brief says what to write about, and nothing that could be said. Write at least two sentences, or name documents."
        } else {
            "None of the sources has text in the language of the post."
        };
        return Err(Refusal::insufficient("brief", message));
    }
    let banned = Banned::read(&compose.banned, compose.language);
    let units = select::read(&brief, &passages, compose.language, &banned);
    let looked_for = !brief.terms.is_empty() && brief.own.is_none();
    if looked_for && units.covered <= 0.0 {
        let message = "The sources do not speak of what the brief asks for. Name other documents, or say it in their words.";
        return Err(Refusal::insufficient("brief", message));
    }
    if units.chosen.is_empty() {
        let message = "There is no sentence that could stand in a post: only headings, tables, fragments or banned words.";
        return Err(Refusal::insufficient("brief", message));
    }
    let writer =
        write::Writer { compose, brief: &brief, passages: &passages, units: &units, banned: &banned };
    let variants = writer.variants(&mut unused);
    if variants.is_empty() {
        let message = if compose.call_to_action.is_some() {
            "No variant with this call to action fits the channels without breaking a sentence. Shorten it, or choose other channels or sources."
        } else {
            "No variant fits the channels without breaking a sentence. Choose other channels or sources."
        };
        return Err(Refusal::insufficient("channels", message));
    }
    let captions: Vec<&str> = variants.iter().map(|variant| variant.caption.as_str()).collect();
    Ok(Composition { diffs: diffs(&captions), variants, unused })
}

/// What leads from the first caption to each other.
pub fn diffs<S: AsRef<str>>(captions: &[S]) -> Vec<VariantDiff> {
    let first = captions.first().map_or("", AsRef::as_ref);
    let others = captions.iter().enumerate().skip(1);
    others
        .map(|(to, caption)| VariantDiff { from: 0, to, parts: diff::diff(first, caption.as_ref()) })
        .collect()
}

/// The passages in the language of the post; the others are named as unused.
fn usable(compose: &Compose, unused: &mut Vec<UnusedInput>) -> Vec<Passage> {
    let wanted: retrieval::Language = compose.language;
    let mut kept = Vec::with_capacity(compose.passages.len());
    for passage in &compose.passages {
        let reason = match retrieval::Language::detect(&passage.text) {
            Some(language) if language != wanted => {
                "It is in another language than the post, and nothing is translated."
            }
            _ if passage.text.trim().is_empty() => "It has no text.",
            _ => {
                kept.push(passage.clone());
                continue;
            }
        };
        unused.push(UnusedInput { input: excerpt(&passage.id, 100), reason: reason.to_owned() });
    }
    kept
}

#[cfg(test)]
mod tests;
