//! Whether a channel takes a caption: lengths in the unit that the channel counts, hashtags, mentions and links.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::UnicodeEmoji as _;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::accounts::channel::Channel;
use crate::agents::hashtags::builtin as hashtags;

/// What a channel counts as one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Unit {
    /// What a reader sees as one (Unicode's extended grapheme clusters).
    Graphemes,
    /// UTF-16 code units: an emoji is two or more.
    Utf16,
    /// Bytes of UTF-8: an umlaut is two, an emoji four or more.
    Utf8Bytes,
    /// X's weights: most of the world's alphabets one, the rest and emoji two, a link 23.
    Weighted,
}

/// What a channel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The greatest length.
    pub length: usize,
    /// In what it is counted.
    pub unit: Unit,
    /// The most hashtags.
    pub hashtags: Option<usize>,
    /// The most mentions.
    pub mentions: Option<usize>,
    /// The most different links.
    pub links: Option<usize>,
}

/// The limits of a channel.
///
/// - Instagram: "Maximum 2200 characters, 30 hashtags, and 20 @ tags" (Instagram platform reference, IG User › Media,
///   `caption`). The unit is not documented; UTF-16 is the strictest that is called a character.
/// - Threads: "Text posts are limited to 500 characters. Emojis are counted as the number of UTF-8 bytes" (Threads API,
///   Posts). Publishers report that every character is counted so (postiz-app, pull request 1946), which is what is done
///   here; "posts containing more than 5 links will fail" (Threads API, Text attachments, from 22 December 2025).
/// - X: twitter-text's configuration version 3 and the page "Counting characters" of X's documentation.
/// - `LinkedIn`: its service answers "`ShareCommentary` text length … exceeded the maximum allowed (3000 characters)"; the
///   unit is not documented, UTF-16 is the strictest that is called a character.
/// - Facebook: 63,206 characters, the figure known since the limit was raised in 2011; the unit is not documented, UTF-16 is
///   the strictest that is called a character.
pub const fn limits(channel: Channel) -> Limits {
    match channel {
        Channel::Instagram => {
            Limits { hashtags: Some(hashtags::HASHTAGS), mentions: Some(20), ..limits_of(2_200, Unit::Utf16) }
        }
        Channel::Threads => Limits { links: Some(5), ..limits_of(500, Unit::Utf8Bytes) },
        Channel::X => limits_of(280, Unit::Weighted),
        Channel::Linkedin => limits_of(3_000, Unit::Utf16),
        Channel::Facebook => limits_of(63_206, Unit::Utf16),
    }
}

const fn limits_of(length: usize, unit: Unit) -> Limits {
    Limits { length, unit, hashtags: None, mentions: None, links: None }
}

/// A reason why a channel does not take a caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Of which kind.
    pub code: ProblemCode,
    /// As a sentence.
    pub message: String,
}

/// The kinds of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProblemCode {
    /// There is no text.
    Empty,
    /// It is too long.
    TooLong,
    /// It has too many hashtags.
    TooManyHashtags,
    /// It has too many mentions.
    TooManyMentions,
    /// It has too many links.
    TooManyLinks,
    /// It has a character that is refused.
    Character,
}

/// Whether a channel takes a caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelValidity {
    /// The channel.
    pub channel: Channel,
    /// Whether there is no problem.
    pub valid: bool,
    /// The length as the channel counts.
    pub length: usize,
    /// Its limits.
    pub limits: Limits,
    /// Why it does not take it.
    pub problems: Vec<Problem>,
    /// What it takes and does not treat as one might expect, as sentences.
    pub advice: Vec<String>,
}

/// Checks a caption against a channel.
pub fn validity(caption: &str, channel: Channel) -> ChannelValidity {
    let limits = limits(channel);
    let length = length(caption, limits.unit);
    let tags = hashtags::hashtags(caption).len();
    let mut problems = Vec::new();
    let mut problem = |code, message: String| problems.push(Problem { code, message });
    let name = channel.name();
    if caption.trim().is_empty() {
        problem(ProblemCode::Empty, "There is no text.".to_owned());
    }
    if length > limits.length {
        let message =
            format!("{name} takes {} characters, and by its count these are {length}.", limits.length);
        problem(ProblemCode::TooLong, message);
    }
    let counts = [
        (tags, limits.hashtags, ProblemCode::TooManyHashtags, "hashtags"),
        (mentions(caption).len(), limits.mentions, ProblemCode::TooManyMentions, "mentions"),
        (distinct_links(caption), limits.links, ProblemCode::TooManyLinks, "links"),
    ];
    for (count, most, code, what) in counts {
        if let Some(most) = most.filter(|most| count > *most) {
            problem(code, format!("{name} takes {most} {what}, and there are {count}."));
        }
    }
    if caption.contains(|c| is_refused(c, channel)) {
        problem(ProblemCode::Character, "There is a control character in the text.".to_owned());
    }
    let advice = match channel {
        Channel::Instagram if tags > 5 => Some(format!(
            "Instagram announced in December 2025 that its app takes 5 hashtags in a caption; there are {tags}."
        )),
        Channel::Threads if tags > 1 => {
            Some("Threads makes a topic of the first hashtag only; the others stay text.".to_owned())
        }
        _ => None,
    };
    let valid = problems.is_empty();
    ChannelValidity { channel, valid, length, limits, problems, advice: advice.into_iter().collect() }
}

/// Control characters, which no channel shows and some refuse; twitter-text also refuses U+FFFE, U+FEFF and U+FFFF.
fn is_refused(c: char, channel: Channel) -> bool {
    let control = c.is_control() && !matches!(c, '\n' | '\t' | '\r');
    control || (channel == Channel::X && matches!(c, '\u{fffe}' | '\u{feff}' | '\u{ffff}'))
}

/// The length of a text in a unit.
pub fn length(text: &str, unit: Unit) -> usize {
    match unit {
        Unit::Graphemes => text.graphemes(true).count(),
        Unit::Utf16 => text.encode_utf16().count(),
        Unit::Utf8Bytes => text.len(),
        Unit::Weighted => weighted(text),
    }
}

/// The length by X's weights, after composing the text (NFC).
///
/// An emoji weighs two however many code points it has. A symbol that can be drawn as text or as emoji (`©`) counts as emoji
/// here, so that the count is never below X's.
fn weighted(text: &str) -> usize {
    const LINK: usize = 23;
    let composed: String = text.nfc().collect();
    let stretch = |text: &str| -> usize {
        text.graphemes(true)
            .map(|cluster| if is_emoji(cluster) { 2 } else { cluster.chars().map(weight).sum() })
            .sum()
    };
    if !composed.contains(['.', ':']) {
        return stretch(&composed);
    }
    link_finder()
        .spans(&composed)
        .map(|span| {
            let link = span.kind() == Some(&linkify::LinkKind::Url) && is_link(span.as_str());
            if link { LINK } else { stretch(span.as_str()) }
        })
        .sum()
}

/// The ranges that weigh one are those of twitter-text's configuration version 3.
const fn weight(c: char) -> usize {
    match c as u32 {
        0..=4_351 | 8_192..=8_205 | 8_208..=8_223 | 8_242..=8_247 => 1,
        _ => 2,
    }
}

/// Whether a grapheme cluster is an emoji; digits, `#` and `*` are one only with the keycap.
fn is_emoji(cluster: &str) -> bool {
    cluster
        .chars()
        .any(|c| !c.is_ascii() && (c.is_emoji_char() || c == '\u{20e3}') && !matches!(c, '\u{200d}'))
}

/// Whether what looks like a link is one: by its scheme, `www.`, or a top-level domain in general use. `Ende.Anfang` is two
/// sentences without a space.
fn is_link(found: &str) -> bool {
    const DOMAINS: &str = " com org net de at ch eu li lu nl be fr it es pt pl cz dk se no fi ie uk us ca au nz in jp br mx za \
        io co ai app dev me tv ly gg to gl info biz name xyz shop store online site website tech blog cloud agency studio \
        digital berlin hamburg wien koeln bayern news media social link page space live life world today club art design \
        academy school edu gov health fitness yoga coach coaching training events travel jobs gmbh swiss social video ";
    if found.contains("://") || found.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www.")) {
        return true;
    }
    let host = found.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let domain = host.rsplit('.').next().unwrap_or_default().to_lowercase();
    !domain.is_empty() && DOMAINS.contains(&format!(" {domain} "))
}

/// What finds links, with and without a scheme, and e-mail addresses.
fn link_finder() -> linkify::LinkFinder {
    let mut finder = linkify::LinkFinder::new();
    finder.url_must_have_scheme(false);
    finder
}

fn distinct_links(text: &str) -> usize {
    let urls = links(text).into_iter().map(str::to_lowercase);
    urls.collect::<std::collections::BTreeSet<_>>().len()
}

/// The links of a text, e-mail addresses left out.
pub fn links(text: &str) -> Vec<&str> {
    let mut finder = link_finder();
    finder.kinds(&[linkify::LinkKind::Url]);
    finder.links(text).map(|link| link.as_str()).filter(|link| is_link(link)).collect()
}

/// The names that a text mentions, without the sign: an at sign after no letter or digit, then letters, digits, underscores
/// and dots, at most 30 (Instagram's longest).
pub fn mentions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut before = None;
    for (at, c) in text.char_indices() {
        let opens = c == '@'
            && !before.is_some_and(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '/'));
        if opens && let Some(rest) = text.get(at + 1..) {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')))
                .unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default().trim_end_matches('.');
            if !name.is_empty() && name.len() <= 30 {
                found.push(name);
            }
        }
        before = Some(c);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(caption: &str, channel: Channel) -> Vec<ProblemCode> {
        validity(caption, channel).problems.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn x_counts_by_weight() {
        for (text, expected) in [
            ("", 0),
            ("hello", 5),
            ("Größe", 5),
            // The documentation's own example: composed and decomposed count the same.
            ("café", 4),
            ("cafe\u{301}", 4),
            ("日本語", 6),
            ("👾", 2),
            ("🙋🏽", 2),
            ("👨‍🎤", 2),
            ("👨‍👩‍👧‍👦", 2),
            ("🇩🇪", 2),
            ("1️⃣", 2),
            ("3 # *", 5),
            ("see https://example.com/a/very/long/path?with=query", 27),
            ("see https://example.com", 27),
            ("see example.com/x", 27),
            ("“quotes” – dash…", 17),
        ] {
            assert_eq!(length(text, Unit::Weighted), expected, "{text}");
        }
        assert_eq!(codes(&"a".repeat(280), Channel::X), []);
        assert_eq!(codes(&"a".repeat(281), Channel::X), [ProblemCode::TooLong]);
        assert_eq!(codes(&"👾".repeat(141), Channel::X), [ProblemCode::TooLong]);
        let linked = format!("{} https://example.com/{}", "a".repeat(256), "b".repeat(500));
        assert_eq!(codes(&linked, Channel::X), []);
    }

    #[test]
    fn an_abbreviation_is_no_link() {
        for text in
            ["z.B. am Montag", "d.h. so", "18.30 Uhr", "Ende.Anfang", "3.8 tonnes", "e.g. this", "usw. Und"]
        {
            assert_eq!(links(text), Vec::<&str>::new(), "{text}");
        }
        assert_eq!(
            links("auf beispiel.de/termine und www.test.org."),
            ["beispiel.de/termine", "www.test.org"]
        );
    }

    #[test]
    fn threads_counts_bytes() {
        assert_eq!(codes(&"a".repeat(500), Channel::Threads), []);
        assert_eq!(codes(&"ä".repeat(251), Channel::Threads), [ProblemCode::TooLong]);
        let six = (1..=6).map(|n| format!("https://example.com/{n} ")).collect::<String>();
        assert_eq!(codes(&six, Channel::Threads), [ProblemCode::TooManyLinks]);
        assert_eq!(codes(&"https://example.com/1 ".repeat(6), Channel::Threads), []);
        assert_eq!(validity("Ruhe #a #b", Channel::Threads).advice.len(), 1);
    }

    #[test]
    fn instagram_counts_hashtags_and_mentions() {
        let tags = |count: usize| (0..count).map(|n| format!("#tag{n} ")).collect::<String>();
        assert_eq!(codes(&tags(30), Channel::Instagram), []);
        assert_eq!(codes(&tags(31), Channel::Instagram), [ProblemCode::TooManyHashtags]);
        let names = |count: usize| (0..count).map(|n| format!("@name{n} ")).collect::<String>();
        assert_eq!(codes(&names(20), Channel::Instagram), []);
        assert_eq!(codes(&names(21), Channel::Instagram), [ProblemCode::TooManyMentions]);
        assert_eq!(codes(&"a".repeat(2_200), Channel::Instagram), []);
        assert_eq!(codes(&"a".repeat(2_201), Channel::Instagram), [ProblemCode::TooLong]);
        assert_eq!(codes(&"👾".repeat(1_101), Channel::Instagram), [ProblemCode::TooLong]);
        assert_eq!(mentions("mail hallo@beispiel.de, danke @anna.m! @_x_ @@y"), ["anna.m", "_x_"]);
    }

    #[test]
    fn the_others_have_their_lengths() {
        assert_eq!(codes(&"a".repeat(3_000), Channel::Linkedin), []);
        assert_eq!(codes(&"a".repeat(3_001), Channel::Linkedin), [ProblemCode::TooLong]);
        assert_eq!(codes(&"a".repeat(63_206), Channel::Facebook), []);
        assert_eq!(codes(&"a".repeat(63_207), Channel::Facebook), [ProblemCode::TooLong]);
        for channel in Channel::ALL {
            assert_eq!(codes(" \n", channel), [ProblemCode::Empty]);
            assert_eq!(codes("a\0b", channel), [ProblemCode::Character]);
        }
    }

    #[test]
    fn lengths_differ_by_unit() {
        let text = "Ä👨‍👩‍👧";
        assert_eq!(length(text, Unit::Graphemes), 2);
        assert_eq!(length(text, Unit::Utf16), 9);
        assert_eq!(length(text, Unit::Utf8Bytes), 20);
        assert_eq!(length(text, Unit::Weighted), 3);
    }
}
