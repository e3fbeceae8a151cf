//! What there is to post about: headings that earlier posts have not covered, from several angles, and questions that
//! nobody has answered.

use std::collections::BTreeSet;

use super::pillars::{Pillars, Section, Vector, Weights, last_heading, likeness};
use super::{Angle, Strategy, TopicSource};
use crate::agents::text::context::leans_back;
use crate::agents::text::numbers::{float, share};
use crate::agents::text::{Language, excerpt, phrases};
use crate::retrieval::Format;
use crate::retrieval::reading::{self, Kind};

/// The most angles of one heading.
const ANGLES: usize = 4;
/// The most topics.
const TOPICS: usize = 2_000;
/// The most questions.
const QUESTIONS: usize = 200;
/// The longest angle, in characters.
const ANGLE_CHARACTERS: usize = 220;
/// The most earlier posts that are compared, the latest.
const POSTS: usize = 500;
/// An earlier post that is at least so like a section is about it.
const ABOUT: f64 = 0.2;

/// Something to post about.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub text: String,
    pub angle: Option<Angle>,
    pub source: TopicSource,
    pub pillar: Option<usize>,
    pub documents: Vec<String>,
    /// The section that it is of, to space its angles.
    pub section: Option<usize>,
    /// Whether its section has a list to show.
    pub has_list: bool,
    /// How often it was asked, for questions; how many earlier posts are about it, for headings.
    pub count: usize,
    pub score: f64,
}

/// How far earlier posts cover each section: in how many it is.
pub(super) fn covered(strategy: &Strategy, sections: &[Section], weights: &Weights) -> Vec<usize> {
    let mut past: Vec<&super::PastPost> = strategy.past.iter().collect();
    past.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.text.cmp(&b.text)));
    let posts: Vec<Vector> =
        past.iter().take(POSTS).map(|post| weights.of_text(&post.text, strategy.language)).collect();
    let about = |section: &Section| {
        let own = weights.vector(&section.terms);
        let heading = section.heading.as_deref().map(last_heading).unwrap_or_default();
        let heading = weights.of_text(heading, strategy.language);
        posts.iter().filter(|post| likeness(post, &own).max(0.8 * likeness(post, &heading)) >= ABOUT).count()
    };
    sections.iter().map(about).collect()
}

/// The topics, the best first.
pub(super) fn topics(
    strategy: &Strategy,
    sections: &[Section],
    weights: &Weights,
    pillars: &Pillars,
    covered: &[usize],
) -> Vec<Topic> {
    let language = strategy.language;
    let goals = weights.of_text(&strategy.goals.join("\n"), language);
    let audience = weights.of_text(strategy.audience.as_deref().unwrap_or_default(), language);
    let longest = sections.iter().map(|section| section.words).max().unwrap_or(1);
    let mut all: Vec<Topic> = Vec::new();
    for (at, section) in sections.iter().enumerate() {
        let posts = covered.get(at).copied().unwrap_or(0);
        let own = weights.vector(&section.terms);
        // Of a heading with many posts already there is less to say; of a long section more.
        let open = 1.0 / (1.0 + float(posts));
        let asked_for = likeness(&own, &goals).max(likeness(&own, &audience));
        let base = 0.55 * open + 0.2 * share(section.words, longest).sqrt() + 0.25 * asked_for.min(1.0);
        let (angles, has_list) = angles(strategy, section, language);
        let name = section.heading.as_deref().map(last_heading).filter(|heading| !heading.is_empty());
        for (place, angle) in angles.into_iter().enumerate() {
            let text = name.map_or_else(|| excerpt(&angle.quote, 80), |heading| excerpt(heading, 120));
            all.push(Topic {
                text,
                angle: Some(angle),
                source: TopicSource::Heading,
                pillar: pillars.of_section.get(at).copied().flatten(),
                documents: vec![section.document.clone()],
                section: Some(at),
                has_list,
                count: posts,
                score: base - 0.08 * float(place),
            });
        }
    }
    let mut seen = BTreeSet::new();
    for question in strategy.questions.iter().take(QUESTIONS) {
        let text = question.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() || !seen.insert(text.to_lowercase()) {
            continue;
        }
        let asked = usize::try_from(question.asked.max(1)).unwrap_or(usize::MAX);
        let vector = weights.of_text(&text, language);
        all.push(Topic {
            text: excerpt(&text, 200),
            angle: None,
            source: TopicSource::Question,
            pillar: pillars.nearest(&vector),
            documents: Vec::new(),
            section: None,
            has_list: false,
            count: asked,
            // What several people asked comes before most headings.
            score: 0.6 + 0.4 * float(asked) / (float(asked) + 2.0),
        });
    }
    // Equals stay in the order of the documents.
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all.truncate(TOPICS);
    all
}

/// Sentences of a section that a post can start from: a question that it answers, one with a number, the first ones; and
/// whether it has a list of three items or more.
fn angles(strategy: &Strategy, section: &Section, language: Language) -> (Vec<Angle>, bool) {
    let mut rated: Vec<(usize, Angle, BTreeSet<String>)> = Vec::new();
    let mut items = 0;
    for (order, passage) in
        section.passages.iter().filter_map(|place| strategy.passages.get(*place)).enumerate()
    {
        for sentence in reading::sentences(&passage.text, Format::Markdown) {
            items += usize::from(sentence.kind == Kind::Item);
            let Some(quote) = passage.text.get(sentence.bytes.clone()) else { continue };
            let length = quote.chars().count();
            let whole = quote.ends_with(['.', '!', '?']) && quote.split_whitespace().count() >= 4;
            if sentence.kind != Kind::Sentence
                || !whole
                || length > ANGLE_CHARACTERS
                || leans_back(quote, language)
            {
                continue;
            }
            let rank = match quote {
                _ if quote.ends_with('?') => 0,
                _ if rated.is_empty() => 1,
                _ if quote.contains(|c: char| c.is_ascii_digit()) => 2,
                _ => 3,
            };
            let before = passage.text.get(..sentence.bytes.start).map_or(0, |before| before.chars().count());
            let start = passage.start + before;
            let angle = Angle {
                quote: quote.to_owned(),
                passage: passage.id.clone(),
                document: passage.document.clone(),
                start,
                end: start + length,
            };
            let terms = phrases::terms(quote, language).into_iter().collect();
            rated.push((rank + order.min(1), angle, terms));
        }
    }
    rated.sort_by_key(|(rank, ..)| *rank);
    let mut chosen: Vec<(Angle, BTreeSet<String>)> = Vec::new();
    for (_, angle, terms) in rated {
        let repeats = |(_, other): &(Angle, BTreeSet<String>)| {
            share(other.intersection(&terms).count(), other.len().min(terms.len()).max(1)) > 0.6
        };
        if chosen.len() < ANGLES && !chosen.iter().any(repeats) {
            chosen.push((angle, terms));
        }
    }
    (chosen.into_iter().map(|(angle, _)| angle).collect(), items >= 3)
}
