//! The four cycles: which of the seven periods a moment lies in, since when, until when, and how far into it.
//!
//! Everything counts from a start, a birth or the founding of a company, as local civil date and time; a start whose
//! time is unknown is taken at midnight, which makes its day cycle meaningless. With `elapsed` as moment − start:
//!
//! | cycle | one round | round begins | period of the round, 0 to 6 |
//! |---|---|---|---|
//! | day | 24 h | at the start's time, every day | ⌊7 · (elapsed mod 24 h) / 24 h⌋ |
//! | week | 7 d | at the start's weekday and time | ⌊(elapsed mod 7 d) / 1 d⌋ |
//! | year | to the next anniversary | on the anniversary, 0:00 | min(⌊days since the anniversary / 52⌋, 6) |
//! | life | 7 years | on every seventh anniversary, 0:00 | completed years mod 7 |
//!
//! The lengths and starts are the predecessor's. Four things that it had wrong or open are settled here:
//! - a day's period lasts 24 h / 7 = 3 h 25 min 42.857… s, not 3.25 h: seven of those leave 75 minutes to no period;
//! - a year ends at the anniversary, after 365 or 366 days. Its first six periods have 52 days, the seventh what is
//!   left: 53 days, or 54 when the year holds a 29 February. A year of always 365 days drifts off the birthday;
//! - who was born on 29 February completes a year at the end of 28 February (as § 188 (2) of the German civil code has
//!   it), so that the anniversary is 1 March in a common year;
//! - one of its agents took `((day_of_year − 1) mod 49) div 7 + 1` for a current period, which knows no start at all; it
//!   has no counterpart here.
//!
//! Civil time is what the caller's clock on the wall shows; the caller picks the zone, and an hour that a change of
//! daylight saving time skips or repeats is skipped or repeated here as well.

use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};

use super::COUNT;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_DAY: i128 = 86_400 * NANOS_PER_SECOND;
/// Days of a year's first six periods.
const DAYS_PER_PERIOD: i64 = 52;

/// What goes round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Cycle {
    /// 24 hours.
    Day,
    /// Seven days.
    Week,
    /// From one anniversary to the next.
    Year,
    /// Seven years.
    Life,
}

impl Cycle {
    /// All four, the shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Year, Self::Life];
}

/// Where a moment lies in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// In which cycle.
    pub cycle: Cycle,
    /// Which round of it, from 1: the round of the start is the first.
    pub round: u64,
    /// The period's number, 1 to 7.
    pub period: u8,
    /// Its first moment, local civil time.
    pub begins: NaiveDateTime,
    /// The first moment after it, local civil time.
    pub ends: NaiveDateTime,
    /// How much of it has passed, from 0 to less than 1.
    pub progress: f64,
}

/// Why a moment has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CycleError {
    /// The moment is earlier than the start.
    #[error("The moment lies before the start. Give a moment at or after it.")]
    BeforeStart,
    /// A date of the period is beyond what a calendar date can be here.
    #[error("The period reaches beyond the calendar. Give dates between the years -200000 and 200000.")]
    OutOfCalendar,
}

/// Where `moment` lies in a cycle that began at `start`, both as local civil time.
///
/// The year and life cycles count from the start's date: the time of day plays no part in them.
///
/// ```
/// use aicos::periods::cycles::{Cycle, position};
/// use chrono::NaiveDate;
///
/// let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap().and_hms_opt(12, 0, 0).unwrap();
/// let position = position(Cycle::Year, day(1990, 3, 14), day(2026, 3, 13)).unwrap();
/// assert_eq!((position.period, position.round), (7, 36));
/// ```
///
/// # Errors
///
/// [`CycleError::BeforeStart`] and [`CycleError::OutOfCalendar`].
pub fn position(cycle: Cycle, start: NaiveDateTime, moment: NaiveDateTime) -> Result<Position, CycleError> {
    match cycle {
        Cycle::Day => even(cycle, NANOS_PER_DAY, start, moment),
        Cycle::Week => even(cycle, NANOS_PER_DAY * i128::from(COUNT), start, moment),
        Cycle::Year => year(start.date(), moment),
        Cycle::Life => life(start.date(), moment),
    }
}

/// Where `moment` lies in each of the four cycles, in the order of [`Cycle::ALL`].
///
/// # Errors
///
/// As [`position`]; none of the four is given when one fails.
pub fn positions(start: NaiveDateTime, moment: NaiveDateTime) -> Result<[Position; 4], CycleError> {
    let of = |cycle| position(cycle, start, moment);
    let [day, week, year, life] = Cycle::ALL;
    Ok([of(day)?, of(week)?, of(year)?, of(life)?])
}

/// A cycle of seven equal periods, counted in nanoseconds from the start.
fn even(
    cycle: Cycle,
    length: i128,
    start: NaiveDateTime,
    moment: NaiveDateTime,
) -> Result<Position, CycleError> {
    let elapsed = nanos(start, moment);
    if elapsed < 0 {
        return Err(CycleError::BeforeStart);
    }
    let count = i128::from(COUNT);
    let (round, within) = (elapsed / length, elapsed % length);
    let period = within * count / length;
    // The first whole nanosecond of a period, so that its bounds agree with the division above.
    let bound = |period: i128| after(start, round * length + (period * length + count - 1) / count);
    between(cycle, round, period, bound(period)?, bound(period + 1)?, moment)
}

fn year(start: NaiveDate, moment: NaiveDateTime) -> Result<Position, CycleError> {
    let years = completed_years(start, moment.date())?;
    let (first, next) = (anniversary(start, years)?, anniversary(start, years + 1)?);
    let last = i64::from(COUNT) - 1;
    let period = ((moment.date() - first).num_days() / DAYS_PER_PERIOD).min(last);
    let bound = |period: i64| {
        let days = u64::try_from(period * DAYS_PER_PERIOD).map_err(|_| CycleError::OutOfCalendar)?;
        first.checked_add_days(Days::new(days)).ok_or(CycleError::OutOfCalendar)
    };
    let ends = if period == last { next } else { bound(period + 1)? };
    between(Cycle::Year, years.into(), period.into(), midnight(bound(period)?), midnight(ends), moment)
}

fn life(start: NaiveDate, moment: NaiveDateTime) -> Result<Position, CycleError> {
    let years = completed_years(start, moment.date())?;
    let (begins, ends) = (anniversary(start, years)?, anniversary(start, years + 1)?);
    let count = i32::from(COUNT);
    between(
        Cycle::Life,
        (years / count).into(),
        (years % count).into(),
        midnight(begins),
        midnight(ends),
        moment,
    )
}

/// `round` and `period` are counted from 0.
fn between(
    cycle: Cycle,
    round: i128,
    period: i128,
    begins: NaiveDateTime,
    ends: NaiveDateTime,
    moment: NaiveDateTime,
) -> Result<Position, CycleError> {
    Ok(Position {
        cycle,
        round: u64::try_from(round + 1).map_err(|_| CycleError::OutOfCalendar)?,
        period: u8::try_from(period + 1).map_err(|_| CycleError::OutOfCalendar)?,
        begins,
        ends,
        progress: share(nanos(begins, moment), nanos(begins, ends)),
    })
}

/// `part` of `whole`, from 0 to the largest number below 1: the last nanosecond of a year would round to 1.
#[expect(clippy::cast_precision_loss, reason = "a share of seven years needs no more than 53 bits")]
fn share(part: i128, whole: i128) -> f64 {
    (part as f64 / whole.max(1) as f64).clamp(0.0, 1.0_f64.next_down())
}

/// Anniversaries of the start up to a date, the start itself not counted.
fn completed_years(start: NaiveDate, date: NaiveDate) -> Result<i32, CycleError> {
    let mut years = date.year() - start.year();
    if date < start {
        return Err(CycleError::BeforeStart);
    }
    if date < anniversary(start, years)? {
        years -= 1;
    }
    Ok(years)
}

/// The start's date in a later year; 1 March for a 29 February that the year does not have.
fn anniversary(start: NaiveDate, years: i32) -> Result<NaiveDate, CycleError> {
    let year = start.year().checked_add(years).ok_or(CycleError::OutOfCalendar)?;
    NaiveDate::from_ymd_opt(year, start.month(), start.day())
        .or_else(|| NaiveDate::from_ymd_opt(year, 3, 1))
        .ok_or(CycleError::OutOfCalendar)
}

fn midnight(date: NaiveDate) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN)
}

fn nanos(from: NaiveDateTime, to: NaiveDateTime) -> i128 {
    let delta = to - from;
    i128::from(delta.num_seconds()) * NANOS_PER_SECOND + i128::from(delta.subsec_nanos())
}

fn after(start: NaiveDateTime, nanos: i128) -> Result<NaiveDateTime, CycleError> {
    let seconds = i64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| CycleError::OutOfCalendar)?;
    let rest = u32::try_from(nanos % NANOS_PER_SECOND).map_err(|_| CycleError::OutOfCalendar)?;
    TimeDelta::new(seconds, rest)
        .and_then(|delta| start.checked_add_signed(delta))
        .ok_or(CycleError::OutOfCalendar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    fn of(cycle: Cycle, start: &str, moment: &str) -> Position {
        position(cycle, at(start), at(moment)).unwrap()
    }

    #[test]
    fn a_day_has_seven_equal_periods_from_the_time_of_birth() {
        let start = "1990-03-14T08:30:00";
        let first = of(Cycle::Day, start, "1990-03-14T08:30:00");
        assert_eq!((first.period, first.round, first.progress), (1, 1, 0.0));
        assert_eq!(first.ends, at("1990-03-14T11:55:42.857142858"));
        let second = of(Cycle::Day, start, "2026-07-01T11:55:42.857142858");
        assert_eq!((second.period, second.begins), (2, at("2026-07-01T11:55:42.857142858")));
        let before = of(Cycle::Day, start, "2026-07-01T11:55:42.857142857");
        assert_eq!((before.period, before.ends), (1, second.begins));
        // The last period runs past midnight, into the next morning.
        let last = of(Cycle::Day, start, "2026-07-02T08:29:59");
        assert_eq!((last.period, last.ends), (7, at("2026-07-02T08:30:00")));
    }

    #[test]
    fn a_week_begins_on_the_weekday_of_birth() {
        // 14 March 1990 was a Wednesday, as 1 July 2026 is.
        let start = "1990-03-14T08:30:00";
        let wednesday = of(Cycle::Week, start, "2026-07-01T09:00:00");
        assert_eq!((wednesday.period, wednesday.begins), (1, at("2026-07-01T08:30:00")));
        assert_eq!(of(Cycle::Week, start, "2026-07-01T08:00:00").period, 7);
        let noon = of(Cycle::Week, start, "2026-07-03T20:30:00");
        assert_eq!((noon.period, noon.progress), (3, 0.5));
    }

    #[test]
    fn a_year_has_six_periods_of_52_days_and_the_rest() {
        let start = "1990-03-14T08:30:00";
        for (moment, period, begins, ends) in [
            ("2025-03-14T00:00:00", 1, "2025-03-14T00:00:00", "2025-05-05T00:00:00"),
            ("2025-05-04T23:59:59", 1, "2025-03-14T00:00:00", "2025-05-05T00:00:00"),
            ("2025-05-05T00:00:00", 2, "2025-05-05T00:00:00", "2025-06-26T00:00:00"),
            ("2026-01-20T00:00:00", 7, "2026-01-20T00:00:00", "2026-03-14T00:00:00"),
            ("2026-03-13T23:59:59", 7, "2026-01-20T00:00:00", "2026-03-14T00:00:00"),
            // This year holds 29 February 2024: the last period has 54 days.
            ("2024-03-13T12:00:00", 7, "2024-01-20T00:00:00", "2024-03-14T00:00:00"),
        ] {
            let found = of(Cycle::Year, start, moment);
            assert_eq!((found.period, found.begins, found.ends), (period, at(begins), at(ends)), "{moment}");
        }
        let days = |moment| {
            let found = of(Cycle::Year, start, moment);
            (found.ends - found.begins).num_days()
        };
        assert_eq!(days("2026-02-01T00:00:00"), 53);
        assert_eq!(days("2024-02-01T00:00:00"), 54);
    }

    #[test]
    fn a_life_has_seven_years_and_begins_again() {
        let start = "1990-03-14T08:30:00";
        let newborn = of(Cycle::Life, start, "1990-03-14T08:30:00");
        assert_eq!((newborn.period, newborn.round), (1, 1));
        let six = of(Cycle::Life, start, "1997-03-13T23:59:59");
        assert_eq!((six.period, six.round, six.ends), (7, 1, at("1997-03-14T00:00:00")));
        let seven = of(Cycle::Life, start, "1997-03-14T00:00:00");
        assert_eq!((seven.period, seven.round), (1, 2));
        let now = of(Cycle::Life, start, "2026-07-01T12:00:00");
        assert_eq!((now.period, now.round, now.begins), (2, 6, at("2026-03-14T00:00:00")));
    }

    #[test]
    fn a_leap_day_has_its_anniversary_on_the_first_of_march() {
        let start = "2000-02-29T06:00:00";
        assert_eq!(of(Cycle::Life, start, "2001-02-28T23:59:59").period, 1);
        assert_eq!(of(Cycle::Life, start, "2001-03-01T00:00:00").period, 2);
        assert_eq!(of(Cycle::Life, start, "2004-02-28T23:59:59").period, 4);
        assert_eq!(of(Cycle::Life, start, "2004-02-29T00:00:00").period, 5);
        let year = of(Cycle::Year, start, "2004-02-28T00:00:00");
        assert_eq!((year.period, year.ends), (7, at("2004-02-29T00:00:00")));
        // From 29 February 2004 to 1 March 2005 are 366 days.
        assert_eq!(of(Cycle::Year, start, "2005-02-28T00:00:00").ends, at("2005-03-01T00:00:00"));
    }

    #[test]
    fn what_lies_before_the_start_is_refused() {
        for cycle in Cycle::ALL {
            let early = position(cycle, at("2000-01-02T12:00:00"), at("2000-01-01T12:00:00"));
            assert_eq!(early, Err(CycleError::BeforeStart), "{cycle:?}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        let far = [NaiveDateTime::MIN, NaiveDateTime::MAX, at("2000-02-29T00:00:00")];
        for start in far {
            for moment in far {
                for cycle in Cycle::ALL {
                    let _ = position(cycle, start, moment);
                }
            }
        }
        assert_eq!(
            position(Cycle::Life, at("2000-01-01T00:00:00"), NaiveDateTime::MAX),
            Err(CycleError::OutOfCalendar)
        );
    }

    prop_compose! {
        fn moments()(a in -3_000_000_000i64..6_000_000_000, b in 0i64..6_000_000_000, nano in 0u32..1_000_000_000)
            -> (NaiveDateTime, NaiveDateTime)
        {
            let start = chrono::DateTime::from_timestamp(a, 0).unwrap().naive_utc();
            (start, chrono::DateTime::from_timestamp(a + b, nano).unwrap().naive_utc())
        }
    }

    proptest! {
        /// A moment lies in its period, the next moment after its end in the next one, and nothing in between is left out.
        #[test]
        fn periods_follow_each_other((start, moment) in moments()) {
            for cycle in Cycle::ALL {
                let here = position(cycle, start, moment).unwrap();
                prop_assert!(here.begins <= moment && moment < here.ends);
                prop_assert!((1..=COUNT).contains(&here.period));
                prop_assert!((0.0..1.0).contains(&here.progress));
                let next = position(cycle, start, here.ends).unwrap();
                prop_assert_eq!(next.begins, here.ends);
                prop_assert_eq!(next.period, here.period % COUNT + 1);
                prop_assert_eq!(next.round, here.round + u64::from(here.period == COUNT));
                let last = position(cycle, start, here.ends - TimeDelta::nanoseconds(1)).unwrap();
                prop_assert_eq!((last.period, last.ends), (here.period, here.ends));
            }
        }
    }
}
