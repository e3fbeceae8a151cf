//! When each channel posts: a constraint problem, solved exactly.
//!
//! A channel has candidate times, the hours of the days that are not blacked out. Chosen are as many in each week as its
//! cadence asks for, none nearer to another or to an event than its spacing, so that the sum of what the times are worth
//! is greatest. Dynamic programming over the times finds that choice; the first of equal ones is taken.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

use super::hours::Hours;
use crate::agents::text::calendar::moment;
use crate::agents::text::numbers::{apportion, float};

/// What a post more is worth: more than any choice of better times.
const POST: i64 = 1_000_000;

/// The days of a window, as a place's clocks show them.
pub(super) fn days(from: DateTime<Utc>, until: DateTime<Utc>, zone: Tz) -> Vec<NaiveDate> {
    let first = from.with_timezone(&zone).date_naive();
    // The window ends before `until`, so that midnight does not open a day.
    let last = (until - Duration::seconds(1)).with_timezone(&zone).date_naive();
    first.iter_days().take_while(|day| *day <= last).take(367).collect()
}

/// The Monday of a day's week.
pub(super) fn week(day: NaiveDate) -> NaiveDate {
    let back = u64::from(day.weekday().num_days_from_monday());
    day.checked_sub_days(chrono::Days::new(back)).unwrap_or(day)
}

/// What a channel's times must satisfy.
pub(super) struct Wanted<'a> {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub zone: Tz,
    pub days: &'a [NaiveDate],
    pub blackout: &'a BTreeSet<NaiveDate>,
    pub per_week: usize,
    pub spacing: Duration,
    /// Posts that are fixed already.
    pub events: &'a [DateTime<Utc>],
    pub hours: &'a Hours,
    pub turn: u64,
}

/// The times of a channel.
pub(super) struct Chosen {
    pub times: Vec<DateTime<Utc>>,
    /// The weeks that got fewer posts than wanted: their Monday, how many they got with events, how many were wanted.
    pub short: Vec<(NaiveDate, usize, usize)>,
}

struct Candidate {
    at: DateTime<Utc>,
    week: usize,
    /// Days since the first day of its week in the window, in tenths.
    place: i64,
    value: i64,
}

/// Chooses the times.
pub(super) fn choose(wanted: &Wanted<'_>) -> Chosen {
    let mut weeks: BTreeMap<NaiveDate, usize> = BTreeMap::new();
    for day in wanted.days {
        *weeks.entry(week(*day)).or_insert(0) += 1;
    }
    let mondays: Vec<NaiveDate> = weeks.keys().copied().collect();
    let lengths: Vec<f64> = weeks.values().map(|days| float(*days)).collect();
    let days = wanted.days.len();
    // At least one post, however short the window is.
    let total = (wanted.per_week * days + 3) / 7;
    let quotas: Vec<usize> =
        apportion(&lengths, total.max(1)).into_iter().map(|quota| quota.min(wanted.per_week)).collect();
    let mut open = quotas.clone();
    let mut fixed = vec![0_usize; open.len()];
    for event in wanted.events {
        let monday = week(event.with_timezone(&wanted.zone).date_naive());
        if let Some(at) = mondays.iter().position(|other| *other == monday) {
            if let Some(quota) = open.get_mut(at) {
                *quota = quota.saturating_sub(1);
            }
            if let Some(count) = fixed.get_mut(at) {
                *count += 1;
            }
        }
    }
    let candidates = candidates(wanted, &mondays);
    let times = solve(&candidates, &open, &lengths, wanted.spacing);
    let mut got = fixed;
    for place in &times {
        if let Some(count) = candidates.get(*place).and_then(|candidate| got.get_mut(candidate.week)) {
            *count += 1;
        }
    }
    let short = mondays.iter().zip(got).zip(&quotas).filter(|((_, got), quota)| got < *quota);
    Chosen {
        short: short.map(|((monday, got), quota)| (*monday, got, *quota)).collect(),
        times: times
            .into_iter()
            .filter_map(|place| candidates.get(place))
            .map(|candidate| candidate.at)
            .collect(),
    }
}

fn candidates(wanted: &Wanted<'_>, mondays: &[NaiveDate]) -> Vec<Candidate> {
    let mut all = Vec::new();
    let first = wanted.days.first().copied();
    for day in wanted.days.iter().filter(|day| !wanted.blackout.contains(day)) {
        let monday = week(*day);
        let Some(number) = mondays.iter().position(|other| *other == monday) else { continue };
        let begin = first.map_or(monday, |first| first.max(monday));
        for (hour, value) in wanted.hours.on(*day, wanted.turn) {
            let time =
                NaiveTime::from_hms_opt(hour, 0, 0).and_then(|time| moment(wanted.zone, day.and_time(time)));
            let Some(at) = time.filter(|at| *at >= wanted.from && *at < wanted.until) else { continue };
            let crowded = wanted.events.iter().any(|event| (*event - at).abs() < wanted.spacing);
            if !crowded {
                let place = 10 * (*day - begin).num_days() + i64::from(hour) * 10 / 24;
                all.push(Candidate { at, week: number, place, value });
            }
        }
    }
    all.sort_by_key(|candidate| candidate.at);
    all.dedup_by_key(|candidate| candidate.at);
    all
}

/// The greatest sum with a candidate, and the candidate that it follows with its place in its week.
type Step = Option<(i64, Option<(usize, usize)>)>;

/// The places of the chosen candidates.
///
/// `best[i][k]` is the greatest sum when candidate i is chosen as the k-th of its week; it follows a candidate that is far
/// enough before it, either the (k − 1)-th of the same week or any of an earlier one.
fn solve(candidates: &[Candidate], quotas: &[usize], lengths: &[f64], spacing: Duration) -> Vec<usize> {
    let most = quotas.iter().copied().max().unwrap_or(0);
    if most == 0 || candidates.is_empty() {
        return Vec::new();
    }
    let mut best: Vec<Vec<Step>> = Vec::with_capacity(candidates.len());
    // The best of all candidates up to a place, and for each k the best of the same week up to it.
    let mut of_all: Vec<Option<(i64, usize, usize)>> = Vec::with_capacity(candidates.len());
    let mut of_week: Vec<Vec<Option<(i64, usize)>>> = Vec::with_capacity(candidates.len());
    let mut far = 0;
    let mut week_begins = 0;
    for (place, candidate) in candidates.iter().enumerate() {
        if candidates.get(week_begins).is_some_and(|first| first.week != candidate.week) {
            week_begins = place;
        }
        while candidates.get(far).is_some_and(|other| other.at + spacing <= candidate.at) {
            far += 1;
        }
        let quota = quotas.get(candidate.week).copied().unwrap_or(0);
        let days = lengths.get(candidate.week).copied().unwrap_or(7.0);
        let mut row: Vec<Step> = vec![None; most];
        for k in 0..quota {
            let before = if k == 0 {
                let last = far.min(week_begins).checked_sub(1);
                let earlier = last.and_then(|last| of_all.get(last).copied().flatten());
                Some(earlier.map_or((0, None), |(sum, place, k)| (sum, Some((place, k)))))
            } else {
                let last = far.checked_sub(1).filter(|last| *last >= week_begins);
                let same =
                    last.and_then(|last| of_week.get(last)).and_then(|row| row.get(k - 1)).copied().flatten();
                same.map(|(sum, place)| (sum, Some((place, k - 1))))
            };
            if let (Some((sum, from)), Some(cell)) = (before, row.get_mut(k)) {
                *cell = Some((sum + POST + candidate.value - off(candidate.place, k, quota, days), from));
            }
        }
        let mut all = of_all.last().copied().flatten();
        let mut week =
            if week_begins == place { vec![None; most] } else { of_week.last().cloned().unwrap_or_default() };
        for (k, step) in row.iter().enumerate() {
            let Some((sum, _)) = step else { continue };
            if all.is_none_or(|(most, ..)| *sum > most) {
                all = Some((*sum, place, k));
            }
            if let Some(cell) = week.get_mut(k)
                && cell.is_none_or(|(most, _)| *sum > most)
            {
                *cell = Some((*sum, place));
            }
        }
        best.push(row);
        of_all.push(all);
        of_week.push(week);
    }
    let mut chosen = Vec::new();
    let mut next = of_all.last().copied().flatten().map(|(_, place, k)| (place, k));
    while let Some((place, k)) = next {
        chosen.push(place);
        next = best.get(place).and_then(|row| row.get(k)).copied().flatten().and_then(|(_, from)| from);
    }
    chosen.reverse();
    chosen
}

/// How far the k-th of a week's posts is from where an even spread has it: 100 a day.
#[expect(clippy::cast_possible_truncation, reason = "tenths of the days of one week")]
fn off(place: i64, k: usize, quota: usize, days: f64) -> i64 {
    let even = (float(k) + 0.5) * days / float(quota.max(1)) * 10.0;
    10 * (place - even as i64).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(text: &str) -> DateTime<Utc> {
        moment(chrono_tz::Europe::Berlin, text.parse().unwrap()).unwrap()
    }

    /// All choices, for small problems.
    fn by_trying(candidates: &[Candidate], quotas: &[usize], lengths: &[f64], spacing: Duration) -> i64 {
        let mut most = 0;
        'choices: for mask in 0..1_u32 << candidates.len() {
            let chosen: Vec<&Candidate> = candidates
                .iter()
                .enumerate()
                .filter(|(at, _)| mask & (1 << at) != 0)
                .map(|(_, one)| one)
                .collect();
            if chosen.windows(2).any(|pair| pair[1].at - pair[0].at < spacing) {
                continue;
            }
            let mut sum = 0;
            let mut counts = vec![0; quotas.len()];
            for one in chosen {
                if counts[one.week] == quotas[one.week] {
                    continue 'choices;
                }
                sum +=
                    POST + one.value - off(one.place, counts[one.week], quotas[one.week], lengths[one.week]);
                counts[one.week] += 1;
            }
            most = most.max(sum);
        }
        most
    }

    #[test]
    fn the_solution_is_the_best_of_all() {
        let mut seeded = crate::agents::text::numbers::Seeded::new(5);
        let start = berlin("2027-01-04T08:00:00");
        for _ in 0..300 {
            let mut hours = 0;
            let candidates: Vec<Candidate> = (0..12)
                .map(|_| {
                    hours += 6 + i64::try_from(seeded.below(30)).unwrap();
                    let week = usize::try_from(hours / 168).unwrap();
                    let place = (hours % 168) * 10 / 24;
                    let value = i64::try_from(seeded.below(300)).unwrap();
                    Candidate { at: start + Duration::hours(hours), week, place, value }
                })
                .collect();
            let quotas = [seeded.below(4), 1 + seeded.below(3), seeded.below(3)];
            let lengths = [7.0, 7.0, 7.0];
            let spacing = Duration::hours(6 + i64::try_from(seeded.below(60)).unwrap());
            let chosen = solve(&candidates, &quotas, &lengths, spacing);
            let mut counts = [0; 3];
            let mut sum = 0;
            for place in &chosen {
                let one = &candidates[*place];
                sum += POST + one.value - off(one.place, counts[one.week], quotas[one.week], 7.0);
                counts[one.week] += 1;
            }
            assert!(counts.iter().zip(&quotas).all(|(count, quota)| count <= quota));
            assert!(chosen.windows(2).all(|pair| candidates[pair[1]].at - candidates[pair[0]].at >= spacing));
            assert_eq!(sum, by_trying(&candidates, &quotas, &lengths, spacing));
        }
    }
}
