//! Making captions of the chosen sentences.

use std::collections::BTreeSet;

use super::banned::Banned;
use super::brief::Brief;
use super::compress::compress;
use super::readability::readability;
use super::select::{From, Unit, Units};
use super::validity::{self, Unit as Count, validity};
use super::{Citation, Compose, Length, Line, Opening, Origin, Passage, Variant};
use crate::accounts::channel::Channel;
use crate::agents::hashtags::builtin as hashtags;
use crate::agents::hashtags::builtin::GroupKind;
use crate::agents::text::numbers::{Seeded, float, rounded};
use crate::agents::text::{UnusedInput, excerpt, phrases};
use crate::retrieval;
use crate::retrieval::reading::Kind;

/// The most openings and sentences that are tried.
const OPENINGS: usize = 24;
const TRIED: usize = 60;
/// The longest opening, in characters.
const HOOK: usize = 140;
/// The longest heading that opens a post, in characters.
const HEADING: usize = 70;
/// The share of the brief from which on a question of the sources is the brief's.
const ASKED: f64 = 0.6;
/// The most hashtags of a short and a medium variant.
const SHORT_TAGS: usize = 3;
const MEDIUM_TAGS: usize = 5;

pub(super) struct Writer<'a> {
    pub compose: &'a Compose,
    pub brief: &'a Brief,
    pub passages: &'a [Passage],
    pub units: &'a Units<'a>,
    pub banned: &'a Banned,
}

/// What a caption can open with.
#[derive(Debug, Clone, Copy)]
enum Hook<'a> {
    /// The topic as the caller wrote it.
    Topic(&'a str),
    /// A sentence or heading, by its place.
    Unit(usize),
}

impl Length {
    const ALL: [Self; 3] = [Self::Medium, Self::Short, Self::Long];

    /// The most graphemes.
    pub const fn graphemes(self) -> usize {
        self.bounds().0
    }

    /// The most graphemes, and the most sentences after the opening.
    const fn bounds(self) -> (usize, usize) {
        match self {
            Self::Short => (250, 2),
            Self::Medium => (480, 4),
            Self::Long => (1_000, 9),
        }
    }

    /// The channels that a variant of this length must fit.
    fn channels(self, wanted: &[Channel]) -> Vec<Channel> {
        let spared = |channel: &Channel| match self {
            Self::Short => false,
            Self::Medium => *channel == Channel::X,
            Self::Long => matches!(channel, Channel::X | Channel::Threads),
        };
        let held: Vec<Channel> = wanted.iter().copied().filter(|channel| !spared(channel)).collect();
        if held.is_empty() { wanted.to_vec() } else { held }
    }
}

impl Writer<'_> {
    /// The variants, and why there are fewer than wanted.
    pub fn variants(&self, unused: &mut Vec<UnusedInput>) -> Vec<Variant> {
        let wanted =
            if self.compose.channels.is_empty() { &Channel::ALL[..] } else { &self.compose.channels };
        let hooks = self.hooks();
        let tags = self.tags();
        let calls = self.calls(unused);
        let lengths: Vec<Length> = self.compose.length.map_or(Length::ALL.to_vec(), |length| vec![length]);
        let mut variants: Vec<Variant> = Vec::new();
        let mut tried: BTreeSet<(Length, usize)> = BTreeSet::new();
        // Each round takes the next length and, of the openings not used with it, the one that was used least.
        for round in 0..self.compose.variants * (hooks.len() + 1) {
            if variants.len() >= self.compose.variants {
                break;
            }
            let length = lengths.get(round % lengths.len().max(1)).copied().unwrap_or(Length::Medium);
            let used =
                |opening: Opening| variants.iter().filter(|variant| variant.opening == opening).count();
            let untried = hooks.iter().enumerate().filter(|(place, _)| !tried.contains(&(length, *place)));
            let taken = |place: usize| tried.iter().filter(|(_, other)| *other == place).count();
            let next = untried.min_by_key(|(place, (opening, _))| (used(*opening), taken(*place), *place));
            let Some((place, (opening, hook))) = next else { continue };
            tried.insert((length, place));
            let fitting = length.channels(wanted);
            let call = calls
                .get((variants.len() + self.seed_of(1, calls.len())) % calls.len().max(1))
                .map(String::as_str);
            let made = self.write(*hook, *opening, length, &fitting, call, &tags);
            if let Some(mut variant) = made
                && variants.iter().all(|other| other.caption != variant.caption)
                && self.banned.find(&variant.caption).is_empty()
            {
                variant.validity =
                    wanted.iter().map(|channel| validity(&variant.caption, *channel)).collect();
                variants.push(variant);
            }
        }
        if variants.len() < self.compose.variants {
            let reason =
                format!("The sources give {} variants that differ in length or opening.", variants.len());
            unused.push(UnusedInput { input: format!("variants: {}", self.compose.variants), reason });
        }
        variants
    }

    /// A number below `bound` that the seed gives; 0 for the seed 0.
    fn seed_of(&self, stream: u64, bound: usize) -> usize {
        if self.compose.seed == 0 {
            return 0;
        }
        Seeded::new(self.compose.seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)).below(bound)
    }

    /// What the captions can open with: the best of each kind first, then the next of each.
    fn hooks(&self) -> Vec<(Opening, Hook<'_>)> {
        let mut rated: Vec<(Opening, f64, Hook<'_>)> = Vec::new();
        if let Some(topic) = self.brief.headline.as_deref().filter(|topic| self.banned.find(topic).is_empty())
        {
            let opening = if topic.ends_with('?') { Opening::Question } else { Opening::Headline };
            rated.push((opening, 2.0, Hook::Topic(topic)));
        }
        for (place, unit) in self.units.all.iter().enumerate() {
            let length = unit.characters();
            let opening = match unit.kind {
                Kind::Heading => Opening::Headline,
                Kind::Sentence if unit.is_question() => Opening::Question,
                Kind::Sentence if unit.has_number() => Opening::Number,
                Kind::Sentence => Opening::Statement,
                _ => continue,
            };
            let usable = match opening {
                // A heading of one word says too little, and one off the topic misleads.
                Opening::Headline => {
                    let topic = self.brief.terms.is_empty() || unit.coverage >= 0.3;
                    length <= HEADING && unit.text.contains(' ') && topic && self.brief.headline.is_none()
                }
                _ => length <= HOOK && !unit.leans && self.units.chosen.contains(&place),
            };
            if usable && !unit.text.contains("://") {
                // A question that the brief asks and the source answers is the best opening of all.
                let answered =
                    opening == Opening::Question && unit.own >= ASKED && self.answer(place).is_some();
                let lead = if answered { 3.0 } else { 0.0 };
                rated.push((opening, lead + self.rate(unit, opening), Hook::Unit(place)));
            }
        }
        rated.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut ordered: Vec<(usize, (Opening, Hook<'_>))> = Vec::with_capacity(rated.len());
        let mut counts = [0_usize; 4];
        for (opening, _, hook) in rated {
            if let Some(count) = counts.get_mut(opening as usize) {
                ordered.push((*count, (opening, hook)));
                *count += 1;
            }
        }
        ordered.sort_by_key(|(rank, _)| *rank);
        let mut hooks: Vec<(Opening, Hook<'_>)> = ordered.into_iter().map(|(_, hook)| hook).collect();
        hooks.truncate(OPENINGS);
        let kinds = counts.iter().filter(|count| **count > 0).count();
        let turn = self.seed_of(2, kinds);
        if let Some(first) = hooks.get_mut(..kinds) {
            first.rotate_left(turn);
        }
        hooks
    }

    /// The sentence right behind a question, in its section.
    fn answer(&self, place: usize) -> Option<usize> {
        let (question, next) = (self.units.all.get(place)?, self.units.all.get(place + 1)?);
        (next.section == question.section && next.order == question.order + 1).then_some(place + 1)
    }

    /// How well a sentence opens a caption, by what can be measured: a length that is read at a glance (best from 20 to 70
    /// characters), a number, a question, a pillar's words, and how much of the brief it covers.
    fn rate(&self, unit: &Unit<'_>, opening: Opening) -> f64 {
        let length = unit.characters();
        let glance = match length {
            0..=19 => float(length) / 20.0,
            20..=70 => 1.0,
            _ => 1.0 - float(length - 70) / float(HOOK - 70),
        };
        let pillar = self.pillar(&unit.terms.iter().cloned().collect::<Vec<_>>()).is_some();
        let trait_of = match opening {
            Opening::Question => 0.2,
            Opening::Number => 0.15,
            Opening::Headline | Opening::Statement => 0.0,
        };
        0.5 * glance + trait_of + if pillar { 0.1 } else { 0.0 } + 0.5 * unit.coverage + 0.2 * unit.score
    }

    /// The pillar that has most of some terms.
    fn pillar(&self, terms: &[String]) -> Option<&str> {
        let has = |phrases: &[String]| {
            let own =
                phrases.iter().take(50).flat_map(|phrase| phrases::terms(phrase, self.compose.language));
            let own: BTreeSet<String> = own.collect();
            own.iter().filter(|term| terms.contains(term)).count()
        };
        let rated =
            self.compose.pillars.iter().map(|pillar| (has(&pillar.key_phrases), pillar.name.as_str()));
        let mut best: Option<(usize, &str)> = None;
        for (count, name) in rated.filter(|(count, _)| *count > 0) {
            if best.is_none_or(|(most, _)| count > most) {
                best = Some((count, name));
            }
        }
        best.map(|(_, name)| name)
    }

    /// The caller's call to action, or the project's that can stand here, those that take up the topic first.
    fn calls(&self, unused: &mut Vec<UnusedInput>) -> Vec<String> {
        if let Some(own) = &self.compose.call_to_action {
            if self.banned.find(own).is_empty() {
                return vec![own.clone()];
            }
            let reason = "This call to action has a banned word.".to_owned();
            unused.push(UnusedInput { input: excerpt(own, 100), reason });
            return Vec::new();
        }
        let wanted: retrieval::Language = self.compose.language;
        let mut calls: Vec<(usize, &str)> = Vec::new();
        for call in self
            .compose
            .calls_to_action
            .iter()
            .map(|call| call.trim())
            .filter(|call| !call.is_empty())
            .take(100)
        {
            let other = retrieval::Language::detect(call).is_some_and(|language| language != wanted);
            let reason = if other {
                "This call to action is in another language."
            } else if !self.banned.find(call).is_empty() {
                "This call to action has a banned word."
            } else {
                let terms = phrases::terms(call, self.compose.language);
                calls.push((terms.iter().filter(|term| self.brief.terms.contains_key(*term)).count(), call));
                continue;
            };
            unused.push(UnusedInput { input: excerpt(call, 100), reason: reason.to_owned() });
        }
        calls.sort_by_key(|(common, _)| std::cmp::Reverse(*common));
        calls.into_iter().map(|(_, call)| call.to_owned()).collect()
    }

    /// Hashtags for the topic by length, those that must come out first.
    fn tags(&self) -> [Vec<String>; 3] {
        let Some(research) = &self.compose.hashtags else { return Default::default() };
        let best = self.units.chosen.iter().take(12).filter_map(|place| self.units.all.get(*place));
        let topic = if self.brief.is_order {
            self.brief.topics.join(", ")
        } else {
            self.compose.brief.trim().to_owned()
        };
        let mut text = format!("{topic}\n\n");
        for unit in best {
            text.push_str(unit.text);
            text.push_str("\n\n");
        }
        let mut research = hashtags::Research { text, language: self.compose.language, ..research.clone() };
        research.banned.extend(self.compose.banned.iter().cloned());
        // Each length is researched by itself, so that brand and period keep their share of a few.
        [SHORT_TAGS, MEDIUM_TAGS, hashtags::HASHTAGS].map(|most| {
            let count = research.count.min(most);
            let required = research
                .must_include
                .get(..research.must_include.len().min(count))
                .unwrap_or_default()
                .to_vec();
            let set =
                hashtags::research(&hashtags::Research { count, must_include: required, ..research.clone() });
            let all =
                set.ok().and_then(|set| set.groups.into_iter().find(|group| group.kind == GroupKind::All));
            all.map(|group| group.tags).unwrap_or_default()
        })
    }

    fn write(
        &self,
        hook: Hook<'_>,
        opening: Opening,
        length: Length,
        channels: &[Channel],
        call: Option<&str>,
        tags: &[Vec<String>; 3],
    ) -> Option<Variant> {
        let (graphemes, sentences) = length.bounds();
        let [short, medium, long] = tags;
        let tags: &[String] = match length {
            Length::Short => short,
            Length::Medium => medium,
            Length::Long => long,
        };
        let fits = |caption: &str| {
            validity::length(caption, Count::Graphemes) <= graphemes
                && channels.iter().all(|channel| validity(caption, *channel).problems.is_empty())
        };
        // What does not fit beside the opening and one sentence is left out: first hashtags, then the call to action.
        let trims: [(Option<&str>, &[String]); 4] =
            [(call, tags), (call, tags.get(..tags.len().min(1))?), (call, &[]), (None, &[])];
        // The caller's own call to action is never left out.
        let is_own = call.is_some() && self.compose.call_to_action.is_some();
        for (call, tags) in trims.into_iter().filter(|(call, _)| call.is_some() || !is_own) {
            let mut draft = Draft::new(self, hook, length, call, tags);
            if !fits(&draft.caption()) {
                continue;
            }
            let must = draft.must();
            if let Some(answer) = must
                && !draft.take(answer, &fits)
            {
                continue;
            }
            for place in self.units.chosen.iter().take(TRIED) {
                if draft.body.len() >= sentences {
                    break;
                }
                draft.offer(*place, sentences, &fits);
            }
            // An opening alone is no post, unless there is nothing more to say.
            if !draft.body.is_empty() || self.units.chosen.len() <= 1 {
                return Some(draft.finish(opening));
            }
        }
        None
    }
}

/// A caption in the making.
struct Draft<'w> {
    writer: &'w Writer<'w>,
    hook: Hook<'w>,
    length: Length,
    call: Option<&'w str>,
    tags: &'w [String],
    /// The places of the body's sentences, in reading order.
    body: Vec<usize>,
}

impl<'w> Draft<'w> {
    const fn new(
        writer: &'w Writer<'w>,
        hook: Hook<'w>,
        length: Length,
        call: Option<&'w str>,
        tags: &'w [String],
    ) -> Self {
        Self { writer, hook, length, call, tags, body: Vec::new() }
    }

    fn unit(&self, place: usize) -> Option<&'w Unit<'w>> {
        self.writer.units.all.get(place)
    }

    fn hook_place(&self) -> Option<usize> {
        match self.hook {
            Hook::Unit(place) => Some(place),
            Hook::Topic(_) => None,
        }
    }

    /// The sentence after a question that opens the caption, which answers it.
    fn must(&self) -> Option<usize> {
        let place = self.hook_place()?;
        self.unit(place).filter(|unit| unit.is_question())?;
        self.writer.answer(place)
    }

    /// Adds a sentence, if it fits.
    fn take(&mut self, place: usize, fits: &dyn Fn(&str) -> bool) -> bool {
        let before = self.body.clone();
        self.body.push(place);
        self.sort();
        let fitting = fits(&self.caption());
        if !fitting {
            self.body = before;
        }
        fitting
    }

    /// Adds a sentence with those that it needs, if all fit and make sense here.
    fn offer(&mut self, place: usize, sentences: usize, fits: &dyn Fn(&str) -> bool) {
        if self.has(place) || self.unit(place).is_none_or(Unit::is_question) {
            return;
        }
        let mut chain = vec![place];
        let mut first = place;
        while self.unit(first).is_some_and(|unit| unit.leans) {
            let Some(before) = first.checked_sub(1) else { return };
            let adjacent = self.unit(before).zip(self.unit(first)).is_some_and(|(before, unit)| {
                before.section == unit.section
                    && before.order + 1 == unit.order
                    && before.kind != Kind::Heading
            });
            if !adjacent {
                return;
            }
            if self.has(before) {
                break;
            }
            if self.unit(before).is_none_or(Unit::is_question) {
                return;
            }
            chain.push(before);
            first = before;
        }
        if self.body.len() + chain.len() > sentences {
            return;
        }
        let before = self.body.clone();
        self.body.extend(chain);
        self.sort();
        if !fits(&self.caption()) {
            self.body = before;
        }
    }

    fn has(&self, place: usize) -> bool {
        self.hook_place() == Some(place) || self.body.contains(&place)
    }

    /// Reading order, the opening's section first, and what leans on the opening right behind it.
    fn sort(&mut self) {
        let section = self.hook_place().and_then(|place| self.unit(place)).map(|unit| unit.section);
        let units = &self.writer.units.all;
        let mut follows = BTreeSet::new();
        let mut next = self.hook_place().map(|place| place + 1);
        let answered = self.must();
        while let Some(place) = next
            && self.body.contains(&place)
            && (answered == Some(place)
                || units.get(place).is_some_and(|unit| unit.leans && Some(unit.section) == section))
        {
            follows.insert(place);
            next = Some(place + 1);
        }
        self.body.sort_by_key(|place| {
            let same = units.get(*place).map(|unit| unit.section) == section;
            (!follows.contains(place), !same, *place)
        });
    }

    /// A sentence as this caption has it: without marks of Markdown, and shortened unless the caption is long.
    fn shown(&self, unit: &Unit<'_>) -> String {
        let plain = without_marks(unit.text);
        let short = if self.length == Length::Long || unit.from == From::Brief {
            plain
        } else {
            compress(&plain, self.writer.compose.language)
        };
        // A shortened sentence never brings in what is banned, for its words are those of the whole one.
        if unit.kind == Kind::Item { format!("• {short}") } else { short }
    }

    fn hook_text(&self) -> String {
        match self.hook {
            Hook::Topic(topic) => topic.to_owned(),
            Hook::Unit(place) => self.unit(place).map(|unit| self.shown(unit)).unwrap_or_default(),
        }
    }

    fn body_text(&self) -> String {
        let mut text = String::new();
        let mut before: Option<&Unit<'_>> = None;
        for unit in self.body.iter().filter_map(|place| self.unit(*place)) {
            if let Some(before) = before {
                let items = before.kind == Kind::Item && unit.kind == Kind::Item;
                let flows =
                    before.section == unit.section && before.kind != Kind::Item && unit.kind != Kind::Item;
                text.push_str(match () {
                    () if flows => " ",
                    () if items => "\n",
                    () => "\n\n",
                });
            }
            text.push_str(&self.shown(unit));
            before = Some(unit);
        }
        text
    }

    fn caption(&self) -> String {
        let parts = [
            self.hook_text(),
            self.body_text(),
            self.call.map(str::to_owned).unwrap_or_default(),
            self.tags.join(" "),
        ];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    fn finish(self, opening: Opening) -> Variant {
        let caption = self.caption();
        let (hook, body) = (self.hook_text(), self.body_text());
        let mut lines = Vec::new();
        let mut sources: Vec<Citation> = Vec::new();
        if let Hook::Topic(topic) = self.hook {
            lines.push(Line { text: topic.to_owned(), origin: Origin::Brief, source: None });
        }
        for unit in self.hook_place().iter().chain(&self.body).filter_map(|place| self.unit(*place)) {
            let text = self.shown(unit);
            match self.cite(unit, &text) {
                Some(citation) => {
                    lines.push(Line { text, origin: Origin::Source, source: Some(sources.len()) });
                    sources.push(citation);
                }
                None => lines.push(Line { text, origin: Origin::Brief, source: None }),
            }
        }
        if let Some(call) = self.call {
            let own = self.writer.compose.call_to_action.is_some();
            let origin = if own { Origin::Brief } else { Origin::Project };
            lines.push(Line { text: call.to_owned(), origin, source: None });
        }
        let language = self.writer.compose.language;
        let read = format!("{hook}\n\n{body}");
        let pillar = self.writer.pillar(&phrases::terms(&read, language)).map(str::to_owned);
        Variant {
            graphemes: validity::length(&caption, Count::Graphemes),
            readability: readability(&read, language),
            call_to_action: self.call.map(str::to_owned),
            hashtags: self.tags.to_vec(),
            length: self.length,
            validity: Vec::new(),
            caption,
            hook,
            body,
            opening,
            pillar,
            lines,
            sources,
        }
    }

    /// Where a sentence of a passage stands; none for the caller's own.
    fn cite(&self, unit: &Unit<'_>, shown: &str) -> Option<Citation> {
        let From::Passage(at) = unit.from else { return None };
        let passage = self.writer.passages.get(at)?;
        let before = passage.text.get(..unit.bytes.start)?;
        let start = passage.start + before.chars().count();
        Some(Citation {
            passage: passage.id.clone(),
            document: passage.document.clone(),
            version: passage.version,
            heading: passage.heading.clone(),
            quote: unit.text.to_owned(),
            start,
            end: start + unit.text.chars().count(),
            score: rounded(unit.score.clamp(0.0, 1.0)),
            verbatim: shown.trim_start_matches("• ") == unit.text,
        })
    }
}

/// A sentence without Markdown's emphasis, code marks and link targets, on one line.
pub(super) fn without_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        // `[words](target)` shows its words; any other bracket stays.
        let link = after.split_once("](").and_then(|(words, behind)| {
            let (target, behind) = behind.split_once(')')?;
            (!words.contains(['[', ']']) && !target.contains(char::is_whitespace)).then_some((words, behind))
        });
        if let Some((words, behind)) = link {
            out.push_str(words);
            rest = behind;
        } else {
            out.push('[');
            rest = after;
        }
    }
    out.push_str(rest);
    let bare = out.replace("**", "").replace("__", "").replace('`', "");
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}
