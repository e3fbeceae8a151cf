//! The hours at which to post: those that earlier posts did best at, where there are enough of them, else an even spread.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Timelike as _};
use chrono_tz::Tz;

use super::Strategy;
use crate::accounts::channel::Channel;
use crate::agents::text::numbers::{float, floor};

/// So many measured posts of a channel are needed before any hour is better than another.
pub const POSTS_NEEDED: usize = 20;
/// So many of them at one hour before that hour counts.
pub const HOUR_NEEDED: usize = 5;
/// How many posts of average success an hour starts with: few posts are drawn towards the average.
const PRIOR: f64 = 5.0;
/// The most hours that are used.
const HOURS: usize = 3;
/// The hours of a day over which posts are spread where nothing is known.
const SPREAD: u32 = 4;

/// An hour that posts did well at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub hour: u32,
    /// How many posts that is known from.
    pub posts: usize,
    /// Their mean engagement, and that of all.
    pub mean: f64,
    pub overall: f64,
    /// What it is worth among the chosen hours, 0 to 300.
    pub value: i64,
}

/// When a channel's posts go out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hours {
    /// By earlier posts.
    Measured(Vec<Measured>),
    /// Evenly, because too few are measured: how many.
    Even { hours: Vec<u32>, measured: usize },
}

/// What is known of a channel's hours.
pub(super) fn hours(strategy: &Strategy, channel: Channel, zone: Tz) -> Hours {
    let (earliest, latest) = (strategy.earliest_hour, strategy.latest_hour);
    let mut by_hour: BTreeMap<u32, (usize, f64)> = BTreeMap::new();
    let (mut count, mut sum) = (0, 0.0);
    // The order of the input does not change a sum of floating-point numbers when it is sorted first.
    let mut measured: Vec<(u32, f64)> = strategy
        .past
        .iter()
        .filter(|post| post.channel == Some(channel))
        .filter_map(|post| {
            Some((
                post.at.with_timezone(&zone).hour(),
                post.engagement.filter(|value| value.is_finite() && *value >= 0.0)?,
            ))
        })
        .collect();
    measured.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    for (hour, engagement) in measured {
        let entry = by_hour.entry(hour).or_insert((0, 0.0));
        entry.0 += 1;
        entry.1 += engagement;
        count += 1;
        sum += engagement;
    }
    let overall = if count == 0 { 0.0 } else { sum / float(count) };
    let drawn = |posts: usize, sum: f64| (sum + PRIOR * overall) / (float(posts) + PRIOR);
    let mut best: Vec<(f64, u32, usize, f64)> = by_hour
        .iter()
        .filter(|(hour, (posts, _))| *posts >= HOUR_NEEDED && (earliest..=latest).contains(*hour))
        .map(|(hour, (posts, sum))| (drawn(*posts, *sum), *hour, *posts, sum / float(*posts)))
        .collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // An hour below the average is no good hour, however often it was used.
    best.retain(|(value, ..)| *value >= overall);
    best.truncate(HOURS);
    let top = best.first().map_or(0.0, |(value, ..)| *value);
    if count >= POSTS_NEEDED && top > 0.0 {
        let worth = |value: f64| i64::try_from(floor(300.0 * value / top)).unwrap_or(0);
        let list = best.into_iter();
        return Hours::Measured(
            list.map(|(value, hour, posts, mean)| Measured {
                hour,
                posts,
                mean,
                overall,
                value: worth(value),
            })
            .collect(),
        );
    }
    let steps = SPREAD.min(latest - earliest + 1);
    let span = latest - earliest;
    let hours =
        (0..steps).map(|step| earliest + if steps > 1 { span * step / (steps - 1) } else { 0 }).collect();
    Hours::Even { hours, measured: count }
}

impl Hours {
    /// The hours of a day with what each is worth there; an even spread takes them in turn.
    pub fn on(&self, date: chrono::NaiveDate, turn: u64) -> Vec<(u32, i64)> {
        match self {
            Self::Measured(hours) => hours.iter().map(|hour| (hour.hour, hour.value)).collect(),
            Self::Even { hours, .. } => {
                let (weekday, day) = (date.weekday().num_days_from_monday(), date.num_days_from_ce() - 1);
                let week = u64::try_from(day / 7).unwrap_or(0);
                let count = u64::try_from(hours.len().max(1)).unwrap_or(1);
                // The same weekday meets another hour each week.
                let first = (u64::from(weekday) + week + turn) % count;
                let order = |at: usize| (u64::try_from(at).unwrap_or(0) + count - first) % count;
                hours
                    .iter()
                    .enumerate()
                    .map(|(at, hour)| (*hour, -30 * i64::try_from(order(at)).unwrap_or(0)))
                    .collect()
            }
        }
    }
}
