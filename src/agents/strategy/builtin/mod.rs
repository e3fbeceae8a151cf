//! The built-in engine of content strategy: pillars, and a calendar of what to post where and when, each slot with its
//! reason.
//!
//! Pillars come from the organization's own documents and past posts, or from the caller; topics are headings that earlier posts have not
//! covered and questions that nobody has answered; times keep cadence, spacing and blackout dates, and lie where earlier
//! posts did best or, without enough of them, in an even spread that is called one. What cannot be filled is left out and
//! named as a gap.

mod assign;
mod calendar;
pub mod export;
mod hours;
mod pillars;
mod say;
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Timelike as _, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use self::assign::{Assigner, format};
use self::hours::Hours;
pub use self::hours::{HOUR_NEEDED, POSTS_NEEDED};
use self::pillars::{Pillars, Section, Texts, Weights, last_heading};
use self::topics::Topic;
use crate::accounts::channel::Channel;
use crate::agents::posts::builtin::Passage;
use crate::agents::text::calendar::moment;
use crate::agents::text::numbers::{float, rounded, share};
use crate::agents::text::{Language, Refusal, excerpt};

/// The longest window, in days.
pub const DAYS: usize = 366;
/// The most posts a week on a channel.
pub const POSTS_PER_WEEK: u32 = 21;
/// The most slots of a plan.
pub const SLOTS: usize = 1_200;
/// From this share of repeated topics on, more documents are asked for.
const REPEATED: f64 = 0.25;
/// The most events of a plan.
pub const EVENTS: usize = 100;
/// The most gaps of one kind that are named.
const NAMED: usize = 12;

/// What a strategy is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strategy {
    /// What the content is for. Pillars and topics that speak of it weigh more.
    pub goals: Vec<String>,
    /// Whom it is for. Topics that speak of them weigh more.
    pub audience: Option<String>,
    /// The pillars; derived when empty.
    pub pillars: Vec<GivenPillar>,
    /// The organization's documents in passages.
    pub passages: Vec<Passage>,
    /// Questions that the documents did not answer.
    pub questions: Vec<OpenQuestion>,
    /// The channels, each once.
    pub channels: Vec<ChannelPlan>,
    /// Posts that were published.
    pub past: Vec<PastPost>,
    /// When the plan begins.
    pub from: DateTime<Utc>,
    /// When it ends; the first moment after it. At most [`DAYS`] days later.
    pub until: DateTime<Utc>,
    /// The IANA name of the time zone that days and hours are meant in.
    pub timezone: String,
    /// Days without posts.
    pub blackout: Vec<NaiveDate>,
    /// Posts that must be there.
    pub events: Vec<Event>,
    /// The first and the last hour of a day at which posts go out, 0 to 23.
    pub earliest_hour: u32,
    /// See `earliest_hour`.
    pub latest_hour: u32,
    /// How many days a topic rests before it comes again on the same channel.
    pub topic_rest_days: u32,
    /// The language of documents and reasons.
    pub language: Language,
    /// Seeds spread hours differently where nothing is known of them.
    pub seed: u64,
}

/// A pillar that the caller names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GivenPillar {
    /// Its name.
    pub name: String,
    /// Its share of the posts, 0 to 1; what others leave in equal parts when none.
    pub share: Option<f64>,
    /// Its key phrases; found in its passages when empty.
    pub key_phrases: Vec<String>,
}

/// A question that the documents did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// The question.
    pub text: String,
    /// How often it was asked.
    pub asked: u32,
}

/// How a channel is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPlan {
    /// The channel.
    pub channel: Channel,
    /// Posts a week, 1 to [`POSTS_PER_WEEK`].
    pub posts_per_week: u32,
    /// The least hours between two posts; when none 20, or three fifths of what an even spread would leave.
    pub spacing_hours: Option<u32>,
    /// The formats that are used there; any when empty.
    pub formats: Vec<Format>,
}

/// The shape of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Format {
    /// A picture with a caption.
    Feed,
    /// Several pictures.
    Carousel,
    /// A short video.
    Reel,
    /// A story.
    Story,
    /// Text alone.
    Text,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Feed, Self::Carousel, Self::Reel, Self::Story, Self::Text];

    /// Its name on the wire.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Feed => "FEED",
            Self::Carousel => "CAROUSEL",
            Self::Reel => "REEL",
            Self::Story => "STORY",
            Self::Text => "TEXT",
        }
    }
}

/// A post that was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastPost {
    /// When.
    pub at: DateTime<Utc>,
    /// Where.
    pub channel: Option<Channel>,
    /// Its text.
    pub text: String,
    /// Measured interactions; none when not measured.
    pub engagement: Option<f64>,
}

/// A post that must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What it is about.
    pub title: String,
    /// On which day of the plan's time zone.
    pub date: NaiveDate,
    /// At what time there; at the channel's usual hour when none.
    pub time: Option<NaiveTime>,
    /// On which of the plan's channels; on all when empty.
    pub channels: Vec<Channel>,
    /// Its pillar by name; the nearest when none.
    pub pillar: Option<String>,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The pillars.
    pub pillars: Vec<PlannedPillar>,
    /// The calendar, in order of time.
    pub slots: Vec<Slot>,
    /// How it covers and repeats.
    pub metrics: Metrics,
    /// What is lacking.
    pub gaps: Vec<Gap>,
}

/// A pillar of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedPillar {
    /// Its name.
    pub name: String,
    /// Which share of the posts it is to have, 0 to 1.
    pub share: f64,
    /// Which share of the slots it has.
    pub planned_share: f64,
    /// What it is recognised by.
    pub key_phrases: Vec<String>,
    /// The documents that it rests on.
    pub sources: Vec<String>,
    /// The headings that belong to it.
    pub headings: Vec<String>,
    /// How many past posts it rests on.
    #[serde(default)]
    pub past_posts: usize,
    /// Where it is from.
    pub origin: PillarOrigin,
}

/// Where a pillar is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PillarOrigin {
    /// The passages and past posts.
    Derived,
    /// The caller.
    Given,
    /// The caller's goals, because there are no passages and too few posts that are alike.
    Goal,
}

/// A post to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// What it stays recognisable by when it is moved; unique in the plan.
    pub key: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The same as the plan's time zone shows it, with its offset (RFC 3339).
    pub local: String,
    /// Where.
    pub channel: Channel,
    /// Its pillar; empty when the topic belongs to none.
    pub pillar: String,
    /// In which shape.
    pub format: Format,
    /// About what.
    pub topic: String,
    /// A sentence to start from.
    pub angle: Option<Angle>,
    /// The documents to write it from; none for questions and events.
    pub sources: Vec<String>,
    /// Why the topic is one.
    pub topic_source: TopicSource,
    /// Why the time is this.
    pub time_basis: TimeBasis,
    /// Why this, here and then, as sentences.
    pub reason: String,
}

/// An exact sentence of a passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Angle {
    /// The sentence, letter for letter.
    pub quote: String,
    /// The passage.
    pub passage: String,
    /// Its document.
    pub document: String,
    /// Where it begins in the document, in characters (Unicode scalar values).
    pub start: usize,
    /// Where it ends, in characters; the first one after it.
    pub end: usize,
}

/// Why a topic is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TopicSource {
    /// A heading of the documents.
    Heading,
    /// A question without an answer.
    Question,
    /// An event of the caller's.
    Event,
}

/// Why a time is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimeBasis {
    /// Earlier posts did best then.
    Measured,
    /// Hours are spread evenly, because too few posts are measured.
    EvenSpread,
    /// The caller said so.
    Fixed,
}

/// How a plan covers and repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Slots.
    pub slots: usize,
    /// Headings of the documents.
    pub headings: usize,
    /// Those that an earlier post or a slot is about.
    pub covered_headings: usize,
    /// The same as a share, 0 to 1.
    pub coverage: f64,
    /// The share of slots whose topic another slot of the same channel has as well, 0 to 1.
    pub repetition: f64,
    /// The most slots of one pillar in a row on one channel.
    pub longest_run: usize,
    /// The greatest difference between a pillar's share and what it has, 0 to 1.
    pub share_deviation: f64,
}

/// Something that is lacking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Of which kind.
    pub kind: GapKind,
    /// As a sentence, in the language of the content.
    pub message: String,
}

/// The kinds of [`Gap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GapKind {
    /// A week has fewer posts than its cadence.
    Cadence,
    /// Times for which no topic is left.
    Topic,
    /// A question without an answer in the documents.
    Question,
    /// A pillar with too few topics for its share.
    Pillar,
    /// A heading that no post is about.
    Heading,
    /// Topics come more than once on a channel.
    Repetition,
    /// A channel whose best hours are not known.
    Hours,
}

/// The days of a plan, as its time zone shows them; none for a time zone that is none.
pub fn days(strategy: &Strategy) -> Vec<NaiveDate> {
    let zone = strategy.timezone.parse();
    zone.map(|zone| calendar::days(strategy.from, strategy.until, zone)).unwrap_or_default()
}

/// Checks what a plan is asked for, whatever it is made from.
///
/// # Errors
/// `INVALID` and `OUT_OF_RANGE`, as [`plan`] refuses.
pub fn check(strategy: &Strategy) -> Result<(), Refusal> {
    Frame::check(strategy).map(drop)
}

/// Plans.
///
/// # Errors
/// `INVALID` for a window, time zone, channel, share, hour or event that is none or contradicts another; `OUT_OF_RANGE` for
/// numbers beyond their bounds; `INSUFFICIENT_INPUT` when there is nothing to post about.
pub fn plan(strategy: &Strategy) -> Result<Plan, Refusal> {
    let frame = Frame::check(strategy)?;
    let sections = pillars::sections(&strategy.passages, strategy.language);
    let told = pillars::told(&strategy.past, strategy.language);
    let texts = Texts { sections: &sections, told: &told };
    let weights = Weights::of(texts);
    let pillars = pillars::pillars(strategy, texts, &weights);
    let covered = topics::covered(strategy, &sections, &weights);
    let topics = topics::topics(strategy, &sections, &weights, &pillars, &covered);
    // What posts were about is worth telling, also where no topic is left and every place becomes a gap.
    let known =
        pillars.all.iter().any(|pillar| pillar.origin == PillarOrigin::Derived && pillar.past_posts > 0);
    if topics.is_empty() && strategy.events.is_empty() && !known {
        let message = "There is nothing to post about: no document with sentences, no open question and no event. Add documents.";
        return Err(Refusal::insufficient("documents", message));
    }
    if pillars.all.is_empty() {
        let message =
            "Pillars can be derived from documents and past posts only. Add some, or name pillars or goals.";
        return Err(Refusal::insufficient("goals", message));
    }
    for event in &strategy.events {
        if let Some(name) = &event.pillar
            && !pillars.all.iter().any(|pillar| pillar.name == *name)
        {
            let message = format!(
                "The event “{}” names the pillar “{name}”, which is not in the plan.",
                excerpt(&event.title, 60)
            );
            return Err(Refusal::invalid("events", message));
        }
    }
    Ok(Planner { strategy, frame, sections, weights, pillars, covered, topics }.plan())
}

/// The window, checked.
struct Frame {
    zone: Tz,
    days: Vec<NaiveDate>,
    blackout: BTreeSet<NaiveDate>,
    spacing: BTreeMap<Channel, Duration>,
}

impl Frame {
    fn check(strategy: &Strategy) -> Result<Self, Refusal> {
        let zone: Tz = strategy.timezone.parse().map_err(|_| {
            let message = "`timezone` is the name of an IANA time zone, such as Europe/Berlin.";
            Refusal::invalid("timezone", message)
        })?;
        let bounds =
            DateTime::<Utc>::MIN_UTC + Duration::days(800)..DateTime::<Utc>::MAX_UTC - Duration::days(800);
        let inside = bounds.contains(&strategy.from) && bounds.contains(&strategy.until);
        if !inside || strategy.from >= strategy.until {
            return Err(Refusal::invalid("until", "The plan must end after it begins."));
        }
        let days = calendar::days(strategy.from, strategy.until, zone);
        if days.len() > DAYS {
            return Err(Refusal::out_of_range("until", format!("A plan covers at most {DAYS} days.")));
        }
        if strategy.earliest_hour > strategy.latest_hour || strategy.latest_hour > 23 {
            return Err(Refusal::invalid(
                "latestHour",
                "Posts go out from an earlier to a later hour of the day, 0 to 23.",
            ));
        }
        let spacing = Self::spacing(strategy, days.len())?;
        let blackout: BTreeSet<NaiveDate> = strategy.blackout.iter().copied().collect();
        Self::check_shares(strategy)?;
        if strategy.events.len() > EVENTS {
            return Err(Refusal::out_of_range("events", format!("A plan has at most {EVENTS} events.")));
        }
        for event in &strategy.events {
            let title = excerpt(&event.title, 60);
            let wrong = |message: String| Err(Refusal::invalid("events", message));
            if event.title.trim().is_empty() {
                return wrong("Every event needs a title.".to_owned());
            }
            if blackout.contains(&event.date) {
                return wrong(format!(
                    "“{title}” falls on {}, which is a blackout date. Move one of them.",
                    event.date
                ));
            }
            if !days.contains(&event.date) {
                return wrong(format!("“{title}” falls on {}, which is outside the plan.", event.date));
            }
            if let Some(channel) = event.channels.iter().find(|channel| !spacing.contains_key(*channel)) {
                return wrong(format!(
                    "“{title}” is to be on {}, which is not among the plan's channels.",
                    channel.name()
                ));
            }
        }
        Ok(Self { zone, days, blackout, spacing })
    }

    fn spacing(strategy: &Strategy, days: usize) -> Result<BTreeMap<Channel, Duration>, Refusal> {
        let mut spacing = BTreeMap::new();
        let mut slots = 0;
        if strategy.channels.is_empty() {
            return Err(Refusal::invalid("channels", "Name at least one channel."));
        }
        for channel in &strategy.channels {
            let name = channel.channel.name();
            if !(1..=POSTS_PER_WEEK).contains(&channel.posts_per_week) {
                let message = format!("`postsPerWeek` is a number from 1 to {POSTS_PER_WEEK}.");
                return Err(Refusal::out_of_range("postsPerWeek", message));
            }
            let even = 168 / channel.posts_per_week;
            let hours = channel.spacing_hours.unwrap_or_else(|| 20.min(even * 3 / 5));
            if hours > even {
                let message = format!(
                    "{name}: {} posts a week cannot lie {hours} hours apart. At most {even} hours are possible.",
                    channel.posts_per_week
                );
                return Err(Refusal::invalid("cadence.spacingHours", message));
            }
            if spacing.insert(channel.channel, Duration::hours(hours.into())).is_some() {
                return Err(Refusal::invalid("channels", format!("{name} is there twice.")));
            }
            slots += usize::try_from(channel.posts_per_week).unwrap_or(usize::MAX) * days.div_ceil(7);
        }
        if slots > SLOTS {
            let message = format!(
                "The plan would have {slots} posts; at most {SLOTS} are planned at once. Shorten it or post less."
            );
            return Err(Refusal::out_of_range("until", message));
        }
        Ok(spacing)
    }

    fn check_shares(strategy: &Strategy) -> Result<(), Refusal> {
        let shares = || strategy.pillars.iter().filter_map(|pillar| pillar.share);
        let sum: f64 = shares().sum();
        let wrong = shares().any(|share| !(0.0..=1.0).contains(&share)) || sum > 1.005;
        let all = shares().count() == strategy.pillars.len();
        if wrong || (all && !strategy.pillars.is_empty() && sum < 0.995) {
            let message = "The shares of the pillars are numbers from 0 to 1 that add up to 1.";
            return Err(Refusal::invalid("pillars", message));
        }
        let mut names = BTreeSet::new();
        if strategy.pillars.len() > 20
            || strategy
                .pillars
                .iter()
                .any(|pillar| pillar.name.trim().is_empty() || !names.insert(&pillar.name))
        {
            return Err(Refusal::invalid("pillars", "Pillars are at most 20, each with a name of its own."));
        }
        Ok(())
    }
}

struct Planner<'a> {
    strategy: &'a Strategy,
    frame: Frame,
    sections: Vec<Section>,
    weights: Weights,
    pillars: Pillars,
    covered: Vec<usize>,
    topics: Vec<Topic>,
}

/// A time that wants content.
struct Time {
    at: DateTime<Utc>,
    channel: Channel,
    event: Option<usize>,
}

impl Planner<'_> {
    fn plan(mut self) -> Plan {
        let mut gaps: Vec<Gap> = Vec::new();
        let mut hours: BTreeMap<Channel, Hours> = BTreeMap::new();
        let mut times: Vec<Time> = Vec::new();
        for (order, channel) in self.strategy.channels.iter().enumerate() {
            let known = hours::hours(self.strategy, channel.channel, self.frame.zone);
            times.extend(self.times(order, channel, &known, &mut gaps));
            hours.insert(channel.channel, known);
        }
        times.sort_by_key(|time| (time.at, time.channel, time.event.is_none()));
        let mut assigner = Assigner::new(&self.topics, &self.pillars, self.strategy.topic_rest_days);
        let mut slots: Vec<Slot> = Vec::new();
        let mut without: BTreeMap<Channel, usize> = BTreeMap::new();
        let mut sections: BTreeSet<usize> = BTreeSet::new();
        let mut keys: BTreeMap<String, usize> = BTreeMap::new();
        for time in &times {
            let made = match time.event.and_then(|event| self.strategy.events.get(event)) {
                Some(event) => Some(self.event(time, event, &mut assigner)),
                None => self.slot(time, &mut assigner, hours.get(&time.channel), &mut sections),
            };
            let Some(mut slot) = made else {
                *without.entry(time.channel).or_insert(0) += 1;
                continue;
            };
            let day = time.at.with_timezone(&self.frame.zone).format("%Y%m%d");
            let base = format!("{}-{day}", time.channel.key().to_lowercase());
            let number = keys.entry(base.clone()).or_insert(0);
            *number += 1;
            slot.key = format!("{base}-{number}");
            slots.push(slot);
        }
        let shares = assigner.shares();
        for (pillar, share) in self.pillars.all.iter_mut().zip(shares) {
            pillar.planned_share = rounded(share);
        }
        let metrics = self.metrics(&slots, &sections);
        self.gaps(&mut gaps, &without, &sections, &hours, &metrics);
        Plan { pillars: self.pillars.all, slots, metrics, gaps }
    }

    /// The times of a channel, its events among them.
    fn times(&self, order: usize, channel: &ChannelPlan, hours: &Hours, gaps: &mut Vec<Gap>) -> Vec<Time> {
        let zone = self.frame.zone;
        let turn = self.strategy.seed.wrapping_add(u64::try_from(order).unwrap_or(0)) % 1_000;
        let mut times = Vec::new();
        for (at, event) in self.strategy.events.iter().enumerate() {
            if !event.channels.is_empty() && !event.channels.contains(&channel.channel) {
                continue;
            }
            let usual = hours
                .on(event.date, turn)
                .into_iter()
                .max_by_key(|(hour, value)| (*value, std::cmp::Reverse(*hour)));
            let hour = usual.map_or(self.strategy.earliest_hour, |(hour, _)| hour);
            let time = event.time.or_else(|| NaiveTime::from_hms_opt(hour, 0, 0)).unwrap_or_default();
            if let Some(moment) = moment(zone, event.date.and_time(time)) {
                times.push(Time { at: moment, channel: channel.channel, event: Some(at) });
            }
        }
        let mut events: Vec<DateTime<Utc>> = times.iter().map(|time| time.at).collect();
        events.sort_unstable();
        let chosen = calendar::choose(&calendar::Wanted {
            from: self.strategy.from,
            until: self.strategy.until,
            zone,
            days: &self.frame.days,
            blackout: &self.frame.blackout,
            per_week: usize::try_from(channel.posts_per_week).unwrap_or(1),
            spacing: self.frame.spacing.get(&channel.channel).copied().unwrap_or_else(Duration::zero),
            events: &events,
            hours,
            turn,
        });
        for (monday, got, wanted) in chosen.short.into_iter().take(NAMED) {
            let message = say::short(channel.channel, monday, got, wanted, self.strategy.language);
            gaps.push(Gap { kind: GapKind::Cadence, message });
        }
        times.extend(chosen.times.into_iter().map(|at| Time { at, channel: channel.channel, event: None }));
        times
    }

    fn local(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.frame.zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, false)
    }

    fn event(&self, time: &Time, event: &Event, assigner: &mut Assigner<'_>) -> Slot {
        let language = self.strategy.language;
        let named = event
            .pillar
            .as_ref()
            .and_then(|name| self.pillars.all.iter().position(|pillar| pillar.name == *name));
        let pillar = named.or_else(|| self.pillars.nearest(&self.weights.of_text(&event.title, language)));
        if let Some(pillar) = pillar {
            assigner.note(time.channel, pillar);
        }
        let text = matches!(time.channel, Channel::Threads | Channel::X);
        Slot {
            key: String::new(),
            at: time.at,
            local: self.local(time.at),
            channel: time.channel,
            pillar: self.name(pillar),
            format: if text { Format::Text } else { Format::Feed },
            topic: excerpt(&event.title, 200),
            angle: None,
            sources: Vec::new(),
            topic_source: TopicSource::Event,
            time_basis: TimeBasis::Fixed,
            reason: say::event(language),
        }
    }

    fn name(&self, pillar: Option<usize>) -> String {
        pillar
            .and_then(|pillar| self.pillars.all.get(pillar))
            .map(|pillar| pillar.name.clone())
            .unwrap_or_default()
    }

    fn slot(
        &self,
        time: &Time,
        assigner: &mut Assigner<'_>,
        hours: Option<&Hours>,
        sections: &mut BTreeSet<usize>,
    ) -> Option<Slot> {
        let language = self.strategy.language;
        let assigned = assigner.assign(time.channel, time.at)?;
        let topic = self.topics.get(assigned.topic)?;
        sections.extend(topic.section);
        let pillar = assigned.pillar.and_then(|pillar| self.pillars.all.get(pillar));
        let why_pillar = pillar.map_or_else(
            || say::without_pillar(language),
            |pillar| say::pillar(&pillar.name, pillar.share, assigned.used, assigned.of, language),
        );
        let why_topic = match topic.source {
            TopicSource::Question => say::question(topic.count, language),
            _ => say::heading(topic.count, !self.strategy.past.is_empty(), language),
        };
        let hour = time.at.with_timezone(&self.frame.zone).hour();
        let (time_basis, why_time) = match hours {
            Some(Hours::Measured(list)) => {
                let known = list.iter().find(|known| known.hour == hour).or(list.first());
                (TimeBasis::Measured, known.map(|known| say::measured(known, language)).unwrap_or_default())
            }
            Some(Hours::Even { measured, .. }) => (TimeBasis::EvenSpread, say::even(*measured, language)),
            None => (TimeBasis::EvenSpread, say::even(0, language)),
        };
        let allowed = self.strategy.channels.iter().find(|channel| channel.channel == time.channel);
        Some(Slot {
            key: String::new(),
            at: time.at,
            local: self.local(time.at),
            channel: time.channel,
            pillar: self.name(assigned.pillar),
            format: format(topic, time.channel, allowed.map_or(&[][..], |channel| &channel.formats)),
            topic: topic.text.clone(),
            angle: topic.angle.clone(),
            sources: topic.documents.clone(),
            topic_source: topic.source,
            time_basis,
            reason: format!("{why_pillar} {why_topic} {why_time}"),
        })
    }

    fn metrics(&self, slots: &[Slot], planned: &BTreeSet<usize>) -> Metrics {
        let headed: Vec<usize> = (0..self.sections.len()).filter(|at| self.heading(*at).is_some()).collect();
        let is_covered =
            |at: &&usize| planned.contains(*at) || self.covered.get(**at).is_some_and(|posts| *posts > 0);
        let covered_headings = headed.iter().filter(is_covered).count();
        let mut uses: BTreeMap<(Channel, &str, Option<&str>), usize> = BTreeMap::new();
        for slot in slots {
            *uses.entry(identity(slot)).or_insert(0) += 1;
        }
        let repeated =
            slots.iter().filter(|slot| uses.get(&identity(slot)).is_some_and(|uses| *uses > 1)).count();
        let mut longest_run = 0;
        for channel in Channel::ALL {
            let mut run = 0;
            let mut last: Option<&str> = None;
            for slot in slots.iter().filter(|slot| slot.channel == channel) {
                run = if last == Some(slot.pillar.as_str()) { run + 1 } else { 1 };
                last = Some(&slot.pillar);
                longest_run = longest_run.max(run);
            }
        }
        let deviation = self
            .pillars
            .all
            .iter()
            .map(|pillar| (pillar.share - pillar.planned_share).abs())
            .fold(0.0, f64::max);
        Metrics {
            slots: slots.len(),
            headings: headed.len(),
            covered_headings,
            coverage: rounded(share(covered_headings, headed.len())),
            repetition: rounded(share(repeated, slots.len())),
            longest_run,
            share_deviation: rounded(deviation),
        }
    }

    fn heading(&self, section: usize) -> Option<&str> {
        let heading = self.sections.get(section)?.heading.as_deref().map(last_heading)?;
        Some(heading).filter(|heading| !heading.is_empty())
    }

    fn gaps(
        &self,
        gaps: &mut Vec<Gap>,
        without: &BTreeMap<Channel, usize>,
        planned: &BTreeSet<usize>,
        hours: &BTreeMap<Channel, Hours>,
        metrics: &Metrics,
    ) {
        let language = self.strategy.language;
        let mut gap = |kind, message| gaps.push(Gap { kind, message });
        for (channel, count) in without {
            gap(GapKind::Topic, say::no_topic(*channel, *count, language));
        }
        for pillar in &self.pillars.all {
            // One post more or less is no gap.
            let least = (1.0 / float(metrics.slots.max(1))).max(0.05);
            if pillar.share - pillar.planned_share > least && metrics.slots > 3 {
                gap(GapKind::Pillar, say::thin(&pillar.name, pillar.share, pillar.planned_share, language));
            }
        }
        if metrics.repetition > REPEATED {
            gap(GapKind::Repetition, say::repetition(metrics.repetition, language));
        }
        for topic in self.topics.iter().filter(|topic| topic.source == TopicSource::Question).take(NAMED) {
            gap(GapKind::Question, say::unanswered(&topic.text, topic.count, language));
        }
        let open =
            (0..self.sections.len()).filter(|at| !planned.contains(at) && self.covered.get(*at) == Some(&0));
        for heading in open.filter_map(|at| self.heading(at)).take(NAMED) {
            gap(GapKind::Heading, say::uncovered(&excerpt(heading, 120), language));
        }
        for (channel, hours) in hours {
            if let Hours::Even { measured, .. } = hours {
                gap(GapKind::Hours, say::no_hours(*channel, *measured, language));
            }
        }
    }
}

/// What makes two slots the same post.
fn identity(slot: &Slot) -> (Channel, &str, Option<&str>) {
    (slot.channel, &slot.topic, slot.angle.as_ref().map(|angle| angle.quote.as_str()))
}

#[cfg(test)]
mod tests;
