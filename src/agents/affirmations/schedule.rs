//! When each line of a set is for.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::agents::text::calendar::moment;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::input;

/// Days from one line to the next.
const EVERY: RangeInclusive<i32> = 1..=365;
/// The years that a schedule may begin in.
const YEARS: RangeInclusive<i32> = 2000..=2199;

/// When the lines of a set are for: the first on a day, each other so many days after the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The first day.
    pub starts_on: NaiveDate,
    /// The time of day.
    pub time: NaiveTime,
    /// The IANA name of the zone that it is meant in.
    pub timezone: String,
    /// Days from one line to the next.
    pub every_days: u32,
}

impl Schedule {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(starts_on: &str, time: &str, timezone: &str, every_days: i32) -> Result<Self> {
        let refuse = |code, field: &str, message: &str| Error::fault(Fault::at(code, field, message));
        let starts_on = input::date("schedule.startsOn", starts_on)?;
        if !YEARS.contains(&starts_on.year()) {
            let message = "`startsOn` is a day from 2000-01-01 to 2199-12-31.";
            return Err(refuse(FaultCode::OutOfRange, "schedule.startsOn", message));
        }
        let zone = input::timezone(timezone)
            .map_err(|message| refuse(FaultCode::Invalid, "schedule.timezone", message))?;
        let every_days = u32::try_from(every_days).ok().filter(|_| EVERY.contains(&every_days));
        let every_days = every_days.ok_or_else(|| {
            let message = "`everyDays` is a number from 1 to 365.";
            refuse(FaultCode::OutOfRange, "schedule.everyDays", message)
        })?;
        let time = input::time("schedule.time", time)?;
        Ok(Self { starts_on, time, timezone: zone.name().to_owned(), every_days })
    }

    /// The moments of so many lines, in their order.
    pub fn moments(&self, lines: usize) -> Vec<DateTime<Utc>> {
        let Ok(zone) = input::timezone(&self.timezone) else { return Vec::new() };
        let days = (0_u64..).map(|line| Days::new(line * u64::from(self.every_days)));
        let at = |days| moment(zone, self.starts_on.checked_add_days(days)?.and_time(self.time));
        days.take(lines).filter_map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(starts_on: &str, time: &str, timezone: &str, every_days: i32, lines: usize) -> Vec<String> {
        let schedule = Schedule::parse(starts_on, time, timezone, every_days).unwrap();
        schedule.moments(lines).iter().map(DateTime::to_rfc3339).collect()
    }

    #[test]
    fn lines_come_at_the_same_time_of_day_whatever_the_clocks_do() {
        // The clocks go forward on 28 March 2027 and back on 31 October.
        assert_eq!(
            moments("2027-03-27", "07:30", "Europe/Berlin", 1, 3),
            ["2027-03-27T06:30:00+00:00", "2027-03-28T05:30:00+00:00", "2027-03-29T05:30:00+00:00"]
        );
        assert_eq!(
            moments("2027-10-30", "07:30", "Europe/Berlin", 2, 2),
            ["2027-10-30T05:30:00+00:00", "2027-11-01T06:30:00+00:00"]
        );
        // What the clocks skip is the next moment that there is.
        assert_eq!(
            moments("2027-03-27", "02:30", "Europe/Berlin", 1, 3),
            ["2027-03-27T01:30:00+00:00", "2027-03-28T01:00:00+00:00", "2027-03-29T00:30:00+00:00"]
        );
        assert_eq!(moments("2028-02-28", "00:00", "UTC", 1, 2)[1], "2028-02-29T00:00:00+00:00");
        assert_eq!(moments("2199-12-31", "23:59", "Pacific/Kiritimati", 365, 20).len(), 20);
    }

    #[test]
    fn a_schedule_that_cannot_be_is_refused() {
        for (starts_on, time, timezone, every_days) in [
            ("2027-02-30", "07:30", "UTC", 1),
            ("1999-12-31", "07:30", "UTC", 1),
            ("+12000-01-01", "07:30", "UTC", 1),
            ("2027-01-01", "7.30", "UTC", 1),
            ("2027-01-01", "24:00", "UTC", 1),
            ("2027-01-01", "07:30", "Mars/Olympus", 1),
            ("2027-01-01", "07:30", "UTC", 0),
            ("2027-01-01", "07:30", "UTC", -1),
            ("2027-01-01", "07:30", "UTC", 366),
        ] {
            assert!(
                Schedule::parse(starts_on, time, timezone, every_days).is_err(),
                "{starts_on} {time} {every_days}"
            );
        }
    }
}
