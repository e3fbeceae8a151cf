//! When a schedule is due: a cron expression in a time zone, whose clocks may go forward and back.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::{Error, Fault, FaultCode, Result};
use crate::input;

/// Characters of an expression.
const CHARACTERS: usize = 100;
/// How far apart the times of a schedule are at the least.
const APART: TimeDelta = TimeDelta::minutes(15);

/// When a schedule is due.
#[derive(Debug, Clone)]
pub struct Rule {
    // It is large.
    cron: Box<Cron>,
    text: String,
    zone: Tz,
}

fn refuse(code: FaultCode, field: &str, message: impl Into<String>) -> Error {
    Error::fault(Fault::at(code, field, message))
}

fn parse(text: &str) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).ok()
}

/// Whether the times of day of an expression, whatever its days, keep their distance.
fn keeps_apart(minutes: &str, hours: &str) -> bool {
    let Some(every_day) = parse(&format!("{minutes} {hours} * * *")) else { return false };
    // Two days without a change of clocks: the last time of one and the first of the next stand there as well.
    let start = DateTime::UNIX_EPOCH;
    let end = start + TimeDelta::days(2);
    let times: Vec<DateTime<Utc>> =
        every_day.iter_after(start - TimeDelta::seconds(1)).take_while(|time| *time < end).collect();
    times.windows(2).all(|pair| pair[1] - pair[0] >= APART)
}

impl Rule {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at `cron` or `timezone`.
    pub fn parse(text: &str, timezone: &str) -> Result<Self> {
        let zone =
            input::timezone(timezone).map_err(|message| refuse(FaultCode::Invalid, "timezone", message))?;
        let text = input::line("cron", text, CHARACTERS)?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let text = fields.join(" ");
        let [minutes, hours, _, _, _] = fields[..] else {
            let message = "`cron` has five fields: minute, hour, day of the month, month, day of the week. `0 9 * * 1-5` is 9:00 from Monday to Friday.";
            return Err(refuse(FaultCode::Invalid, "cron", message));
        };
        let Some(cron) = parse(&text) else {
            let message =
                format!("`{text}` is no cron expression. `0 9 * * 1-5` is 9:00 from Monday to Friday.");
            return Err(refuse(FaultCode::Invalid, "cron", message));
        };
        if !keeps_apart(minutes, hours) {
            let message = format!(
                "`{text}` has times that are less than {} minutes apart. `*/15 * * * *` is as often as it may be.",
                APART.num_minutes()
            );
            return Err(refuse(FaultCode::OutOfRange, "cron", message));
        }
        let rule = Self { cron: Box::new(cron), text, zone };
        if rule.after(Utc::now()).is_none() {
            let message = format!("`{}` names a day that no year has.", rule.text);
            return Err(refuse(FaultCode::OutOfRange, "cron", message));
        }
        Ok(rule)
    }

    /// Reads what was checked when it was kept.
    ///
    /// # Errors
    /// When the database holds what was not.
    pub fn kept(text: &str, timezone: &str) -> Result<Self> {
        let unknown =
            || Error::internal(anyhow::anyhow!("the database holds an unknown time: {text} {timezone}"));
        let cron = parse(text).ok_or_else(unknown)?;
        let zone = timezone.parse().map_err(|_| unknown())?;
        Ok(Self { cron: Box::new(cron), text: text.to_owned(), zone })
    }

    /// The expression, its fields with one space between them.
    pub fn cron(&self) -> &str {
        &self.text
    }

    /// The time zone's name.
    pub fn timezone(&self) -> &'static str {
        self.zone.name()
    }

    /// The first time after a moment. A time that the clocks skip is the first moment after the gap; of one that they show
    /// twice it is the first, unless the expression names all hours or all minutes and so means both.
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.cron.find_next_occurrence(&moment.with_timezone(&self.zone), false).ok()?;
        Some(found.with_timezone(&Utc)).filter(|time| *time > moment)
    }

    /// The first times after a moment.
    pub fn upcoming(&self, moment: DateTime<Utc>, first: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.after(moment), |time| self.after(*time)).take(first).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeZone as _, Timelike as _};

    use super::*;

    const BERLIN: &str = "Europe/Berlin";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn times(cron: &str, zone: &str, from: &str, until: &str) -> Vec<String> {
        let rule = Rule::parse(cron, zone).unwrap();
        let found = rule.upcoming(at(from), 3_000);
        assert!(
            found.windows(2).all(|pair| pair[0] < pair[1]),
            "{cron}: each time comes after the one before"
        );
        found
            .into_iter()
            .take_while(|time| *time < at(until))
            .map(|time| time.with_timezone(&rule.zone).format("%d %H:%M%:z").to_string())
            .collect()
    }

    fn refusal(cron: &str, zone: &str) -> (FaultCode, String) {
        let Error::Invalid(faults) = Rule::parse(cron, zone).unwrap_err() else { panic!("{cron}") };
        (faults[0].code, faults[0].message.clone())
    }

    #[test]
    fn a_day_whose_clocks_change_has_the_time_once() {
        // 28 March 2027: 02:00 becomes 03:00. 31 October 2027: 03:00 becomes 02:00.
        assert_eq!(
            times("30 2 * * *", BERLIN, "2027-03-26T12:00:00Z", "2027-03-30T12:00:00Z"),
            ["27 02:30+01:00", "28 03:00+02:00", "29 02:30+02:00", "30 02:30+02:00"]
        );
        assert_eq!(
            times("30 2 * * *", BERLIN, "2027-10-29T12:00:00Z", "2027-11-02T12:00:00Z"),
            ["30 02:30+02:00", "31 02:30+02:00", "01 02:30+01:00", "02 02:30+01:00"]
        );
        // What is due at the end of the gap anyway is due once, not twice.
        assert_eq!(
            times("0,30 2,3 * * *", BERLIN, "2027-03-28T00:00:00Z", "2027-03-28T12:00:00Z"),
            ["28 03:00+02:00", "28 03:30+02:00"]
        );
        // Half an hour's change, on the other side of the world.
        assert_eq!(
            times("15 2 * * *", "Australia/Lord_Howe", "2027-10-01T20:00:00Z", "2027-10-03T20:00:00Z"),
            ["03 02:30+11:00", "04 02:15+11:00"]
        );
    }

    #[test]
    fn the_working_day_begins_at_nine_on_either_side_of_a_change() {
        for (from, until) in [
            ("2027-03-25T00:00:00Z", "2027-04-01T00:00:00Z"),
            ("2027-10-28T00:00:00Z", "2027-11-04T00:00:00Z"),
        ] {
            let found = times("0 9 * * 1-5", BERLIN, from, until);
            assert_eq!(found.len(), 5, "{found:?}");
            assert!(found.iter().all(|time| time[3..].starts_with("09:00")), "{found:?}");
            let offsets: std::collections::BTreeSet<&str> = found.iter().map(|time| &time[8..]).collect();
            assert_eq!(offsets.len(), 2, "the clocks changed: {found:?}");
        }
    }

    #[test]
    fn an_interval_goes_on_through_a_change() {
        for (from, until, quarters) in [
            ("2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z", 23 * 4),
            ("2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z", 25 * 4),
        ] {
            let rule = Rule::parse("*/15 * * * *", BERLIN).unwrap();
            let found = rule.upcoming(at(from) - TimeDelta::seconds(1), quarters + 1);
            assert!(found.windows(2).all(|pair| pair[1] - pair[0] == APART), "{found:?}");
            assert_eq!(*found.last().unwrap(), at(until));
        }
    }

    #[test]
    fn every_day_of_ten_years_has_its_time_once() {
        for (zone, cron, hour) in [
            (BERLIN, "30 2 * * *", 2),
            ("America/New_York", "30 1 * * *", 1),
            ("America/Santiago", "0 0 * * *", 0),
        ] {
            let rule = Rule::parse(cron, zone).unwrap();
            let start = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap().and_hms_opt(12, 0, 0).unwrap();
            let start = rule.zone.from_local_datetime(&start).unwrap().with_timezone(&Utc);
            let found = rule.upcoming(start, 3_650);
            let days: Vec<NaiveDate> =
                found.iter().map(|time| time.with_timezone(&rule.zone).date_naive()).collect();
            assert!(days.windows(2).all(|pair| pair[1] == pair[0].succ_opt().unwrap()), "{zone}");
            let moved = found.iter().filter(|time| time.with_timezone(&rule.zone).hour() != hour).count();
            assert!(moved <= 10, "{zone}: at most one skipped hour a year, {moved}");
        }
    }

    #[test]
    fn what_is_too_often_or_never_is_refused() {
        for often in ["* * * * *", "*/14 * * * *", "0,10 9 1 1 *", "55,5 0,23 * * *"] {
            let (code, message) = refusal(often, BERLIN);
            assert_eq!(code, FaultCode::OutOfRange, "{often}");
            assert!(message.contains("15 minutes apart"), "{message}");
        }
        let (code, message) = refusal("0 0 30 2 *", "UTC");
        assert_eq!((code, message.contains("no year has")), (FaultCode::OutOfRange, true), "{message}");
        for wrong in [
            "0 9 * *",
            "0 0 9 * * 1",
            "@daily",
            "0 24 * * *",
            "61 9 * * *",
            "0/20 9 * * *",
            "0 9 * * MONDAY",
            "a b c d e",
        ] {
            assert_eq!(refusal(wrong, BERLIN).0, FaultCode::Invalid, "{wrong}");
        }
        assert_eq!(refusal("", BERLIN).0, FaultCode::Required);
        assert_eq!(refusal(&"1".repeat(CHARACTERS + 1), BERLIN).0, FaultCode::TooLong);
        for zone in ["Berlin", "+02:00", ""] {
            assert_eq!(refusal("0 9 * * *", zone).0, FaultCode::Invalid, "{zone}");
        }
        for right in
            ["*/15 * * * *", "0 9 29 2 *", "0 9 * * MON-FRI", "0 9 L * *", "30 18 * * 5#2", "0 */6 * * *"]
        {
            let rule = Rule::parse(&format!("  {right} "), BERLIN).unwrap();
            assert_eq!((rule.cron(), rule.timezone()), (right, BERLIN));
            let kept = Rule::kept(rule.cron(), rule.timezone()).unwrap();
            let now = Utc::now();
            assert_eq!(kept.upcoming(now, 5), rule.upcoming(now, 5));
            assert_eq!(kept.upcoming(now, 5).len(), 5, "{right}");
        }
    }
}
