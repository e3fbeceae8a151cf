//! Which pillar, topic and format each time gets.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::pillars::Pillars;
use super::topics::Topic;
use super::{Format, TopicSource};
use crate::accounts::channel::Channel;
use crate::agents::text::numbers::float;

/// How soon the same section comes again on a channel without being put back.
const SECTION_REST: i64 = 6;

/// What a time got.
#[derive(Debug, Clone)]
pub(super) struct Assigned {
    /// The topic's place.
    pub topic: usize,
    /// The pillar; none when the topic belongs to none.
    pub pillar: Option<usize>,
    /// How many posts of how many the pillar had before.
    pub used: usize,
    pub of: usize,
}

/// Gives topics to times one after the other.
///
/// Each time goes to the pillar that lags most behind its share, if it has a topic left that has rested on the channel; of
/// its topics the best one that was not used of late.
pub(super) struct Assigner<'a> {
    topics: &'a [Topic],
    pillars: &'a Pillars,
    rest: Duration,
    /// When each topic was used on each channel last.
    last: BTreeMap<(usize, Channel), DateTime<Utc>>,
    /// The same by section.
    sections: BTreeMap<(usize, Channel), DateTime<Utc>>,
    /// How often each topic was used anywhere.
    uses: BTreeMap<usize, usize>,
    /// How many posts each pillar has.
    counts: Vec<usize>,
    before: BTreeMap<Channel, usize>,
    total: usize,
}

impl<'a> Assigner<'a> {
    pub fn new(topics: &'a [Topic], pillars: &'a Pillars, rest_days: u32) -> Self {
        Self {
            topics,
            pillars,
            rest: Duration::days(rest_days.into()),
            last: BTreeMap::new(),
            sections: BTreeMap::new(),
            uses: BTreeMap::new(),
            counts: vec![0; pillars.all.len()],
            before: BTreeMap::new(),
            total: 0,
        }
    }

    /// Notes a post whose pillar is fixed.
    pub fn note(&mut self, channel: Channel, pillar: usize) {
        if let Some(count) = self.counts.get_mut(pillar) {
            *count += 1;
        }
        self.before.insert(channel, pillar);
        self.total += 1;
    }

    /// The topic of a time; none when there is none left.
    pub fn assign(&mut self, channel: Channel, at: DateTime<Utc>) -> Option<Assigned> {
        let lag = |pillar: usize| {
            let share = self.pillars.all.get(pillar).map_or(0.0, |pillar| pillar.share);
            let behind = share * float(self.total + 1) - float(self.counts.get(pillar).copied().unwrap_or(0));
            // Two of a kind in a row are avoided where the difference is small.
            behind - if self.before.get(&channel) == Some(&pillar) { 0.5 } else { 0.0 }
        };
        let mut order: Vec<usize> = (0..self.pillars.all.len()).collect();
        order.sort_by(|a, b| lag(*b).total_cmp(&lag(*a)).then(a.cmp(b)));
        // What belongs to no pillar comes before a pillar that has its share already.
        let (behind, ahead): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|pillar| lag(*pillar) >= 0.0);
        let mut choices = behind.into_iter().map(Some).chain([None]).chain(ahead.into_iter().map(Some));
        let (pillar, topic) = choices.find_map(|pillar| Some((pillar, self.best(pillar, channel, at)?)))?;
        let used = pillar.and_then(|pillar| self.counts.get(pillar)).copied().unwrap_or(0);
        let of = self.total;
        self.last.insert((topic, channel), at);
        *self.uses.entry(topic).or_insert(0) += 1;
        if let Some(section) = self.topics.get(topic).and_then(|topic| topic.section) {
            self.sections.insert((section, channel), at);
        }
        match pillar {
            Some(pillar) => self.note(channel, pillar),
            None => self.total += 1,
        }
        Some(Assigned { topic, pillar, used, of })
    }

    fn best(&self, pillar: Option<usize>, channel: Channel, at: DateTime<Utc>) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for (place, topic) in self.topics.iter().enumerate().filter(|(_, topic)| topic.pillar == pillar) {
            if self.last.get(&(place, channel)).is_some_and(|last| at - *last < self.rest) {
                continue;
            }
            let uses = self.uses.get(&place).copied().unwrap_or(0);
            let recent = topic
                .section
                .and_then(|section| self.sections.get(&(section, channel)))
                .is_some_and(|last| at - *last < Duration::days(SECTION_REST));
            let value = topic.score - 0.3 * float(uses) - if recent { 0.25 } else { 0.0 };
            if best.is_none_or(|(most, _)| value > most) {
                best = Some((value, place));
            }
        }
        best.map(|(_, place)| place)
    }

    /// The share of each pillar in what was given so far.
    pub fn shares(&self) -> Vec<f64> {
        self.counts
            .iter()
            .map(|count| if self.total == 0 { 0.0 } else { float(*count) / float(self.total) })
            .collect()
    }
}

/// The format that suits a topic on a channel, of those that are allowed there.
pub(super) fn format(topic: &Topic, channel: Channel, allowed: &[Format]) -> Format {
    let text = matches!(channel, Channel::Threads | Channel::X);
    let suits = match topic.source {
        _ if text => Format::Text,
        TopicSource::Heading if topic.has_list && channel != Channel::Facebook => Format::Carousel,
        TopicSource::Question if channel == Channel::Linkedin => Format::Text,
        _ => Format::Feed,
    };
    if allowed.is_empty() || allowed.contains(&suits) {
        suits
    } else {
        allowed.first().copied().unwrap_or(suits)
    }
}
