//! Days without posts from a calendar (iCalendar, RFC 5545): those of its all-day events.
//!
//! It is read line by line, and only as far as it says which days these are: whatever else a calendar holds, in parts within parts,
//! takes neither time nor memory beyond its length.

use std::collections::{BTreeSet, HashSet};

use chrono::{Days, NaiveDate, NaiveTime};
use rrule::{Frequency, RRule, Tz, Unvalidated};

use crate::agents::text::excerpt;
use crate::error::{Fault, FaultCode};

/// The field that names the file.
pub(super) const FIELD: &str = "holidaysAssetId";

/// Rules by which a calendar's all-day events repeat, at the most.
const RULES: usize = 200;
/// Days that rules are followed through, at the most, in all.
const STEPS: usize = 200_000;

fn refuse(message: impl Into<String>) -> Fault {
    Fault::at(FaultCode::Invalid, FIELD, message)
}

/// An event, as far as it has been read.
#[derive(Debug, Default)]
struct Event {
    /// How deep it lies among the calendar's parts.
    depth: usize,
    uid: String,
    title: String,
    /// Its first day, when it is an all-day event.
    first: Option<NaiveDate>,
    /// The day after its last one.
    end: Option<NaiveDate>,
    days: Option<u64>,
    is_cancelled: bool,
    /// The rules by which it repeats, with their lines.
    rules: Vec<(usize, String)>,
    /// Further first days.
    more: Vec<NaiveDate>,
    /// First days on which it does not take place.
    except: HashSet<NaiveDate>,
    /// Which day of the event with the same id it stands for.
    instead_of: Option<NaiveDate>,
}

/// The days among these that a calendar's all-day events take.
///
/// # Errors
/// What is wrong with it, with the line.
pub(super) fn among(days: &[NaiveDate], text: &str) -> Result<Vec<NaiveDate>, Fault> {
    let events = read(text)?;
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(Vec::new()) };
    let known = events.iter().filter(|event| !event.uid.is_empty());
    let moved: HashSet<(&str, NaiveDate)> =
        known.filter_map(|event| Some((event.uid.as_str(), event.instead_of?))).collect();
    let (mut taken, mut steps) = (BTreeSet::new(), STEPS);
    for event in &events {
        event.take((*first, *last), &moved, &mut steps, &mut taken)?;
    }
    Ok(days.iter().filter(|day| taken.contains(day)).copied().collect())
}

/// The all-day events of a calendar, those that were called off among them.
fn read(text: &str) -> Result<Vec<Event>, Fault> {
    let (mut events, mut depth) = (Vec::new(), 0_usize);
    let mut open: Option<Event> = None;
    for (number, line) in unfolded(text) {
        let Some((name, parameters, value)) = property(&line) else { continue };
        match name.to_ascii_uppercase().as_str() {
            "BEGIN" => {
                depth += 1;
                if open.is_none() && value.trim().eq_ignore_ascii_case("VEVENT") {
                    open = Some(Event { depth, ..Event::default() });
                }
            }
            "END" => {
                let closed = open.take_if(|event| event.depth == depth);
                events.extend(closed.filter(|event| event.first.is_some()));
                depth = depth.saturating_sub(1);
            }
            // Parts of an event, such as alarms, have the same names.
            name => {
                if let Some(event) = open.as_mut().filter(|event| event.depth == depth) {
                    event.read(number, name, parameters, value)?;
                }
            }
        }
    }
    if open.is_some() {
        return Err(refuse("The calendar ends within an event. Export it again, and send all of it."));
    }
    if events.iter().all(|event| event.is_cancelled) {
        return Err(refuse(
            "The calendar has no all-day events. Name one whose holidays are whole days, or leave it out.",
        ));
    }
    if events.iter().map(|event| event.rules.len()).sum::<usize>() > RULES {
        let message = format!(
            "The all-day events of the calendar repeat by more than {RULES} rules. Name one that has holidays alone."
        );
        return Err(refuse(message));
    }
    Ok(events)
}

/// The lines of a calendar with their numbers; one that begins with white space goes on from the one before.
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (place, line) in text.lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, before))) => before.push_str(rest),
            _ => lines.push((place + 1, line.to_owned())),
        }
    }
    lines
}

/// Name, parameters and value of a line.
fn property(line: &str) -> Option<(&str, &str, &str)> {
    let mut quoted = false;
    let colon = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    });
    let (head, value) = line.split_at_checked(colon?.0)?;
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    Some((name.trim(), parameters, value.get(1..).unwrap_or_default()))
}

impl Event {
    fn read(&mut self, line: usize, name: &str, parameters: &str, value: &str) -> Result<(), Fault> {
        let value = value.trim();
        match name {
            "UID" => value.clone_into(&mut self.uid),
            "SUMMARY" => self.title = excerpt(&value.replace('\\', ""), 60),
            "STATUS" => self.is_cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            "RRULE" => self.rules.push((line, value.to_owned())),
            "RDATE" => self.more.extend(dates(value)),
            "EXDATE" => self.except.extend(dates(value)),
            "RECURRENCE-ID" => self.instead_of = dates(value).next(),
            "DTSTART" => self.first = day(line, name, parameters, value)?,
            "DTEND" => self.end = day(line, name, parameters, value)?,
            // Of a time; an all-day event lasts days or weeks.
            "DURATION" => {
                let count = |letter| value.strip_prefix('P')?.strip_suffix(letter)?.parse::<u64>().ok();
                self.days = count('D').or_else(|| count('W').map(|weeks| weeks.saturating_mul(7)));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes its days from the first to the last of a plan, as far as it takes place.
    fn take(
        &self,
        (first, last): (NaiveDate, NaiveDate),
        moved: &HashSet<(&str, NaiveDate)>,
        steps: &mut usize,
        taken: &mut BTreeSet<NaiveDate>,
    ) -> Result<(), Fault> {
        let Some(begins) = self.first.filter(|_| !self.is_cancelled) else { return Ok(()) };
        let ends = self.end.and_then(|end| u64::try_from((end - begins).num_days()).ok());
        let lasts = ends.filter(|days| *days > 0).or(self.days).unwrap_or(1).clamp(1, 10_000);
        let mut starts: BTreeSet<NaiveDate> = self.more.iter().copied().chain([begins]).collect();
        for (line, rule) in &self.rules {
            starts.extend(self.repeated(*line, rule, begins, last, steps)?);
        }
        let stands_elsewhere =
            |start| self.instead_of.is_none() && moved.contains(&(self.uid.as_str(), start));
        let mut next = first;
        for start in starts.range(..=last) {
            if self.except.contains(start) || stands_elsewhere(*start) {
                continue;
            }
            let end = start.checked_add_days(Days::new(lasts)).unwrap_or(NaiveDate::MAX);
            taken.extend(next.max(*start).iter_days().take_while(|day| *day < end && *day <= last));
            next = next.max(end);
        }
        Ok(())
    }

    /// On which days a rule has it begin, until the last of a plan.
    fn repeated(
        &self,
        line: usize,
        rule: &str,
        begins: NaiveDate,
        last: NaiveDate,
        steps: &mut usize,
    ) -> Result<Vec<NaiveDate>, Fault> {
        let refuse = |what: &str| {
            let title = &self.title;
            refuse(format!(
                "Line {line}: the all-day event “{title}” {what}. Correct it, or export the calendar with each day as an event \
                of its own."
            ))
        };
        let unreadable = |error: rrule::RRuleError| {
            refuse(&format!("repeats by a rule that cannot be read ({})", excerpt(&error.to_string(), 200)))
        };
        let at = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().with_timezone(&Tz::UTC);
        let rule: RRule<Unvalidated> = rule.parse().map_err(unreadable)?;
        if rule.get_freq() > Frequency::Daily {
            return Err(refuse("repeats within a day"));
        }
        // A rule's last day has no zone, as the event's days have none.
        let until = rule.get_until().map_or(last, |until| until.date_naive().min(last));
        if until < begins {
            return Ok(Vec::new());
        }
        let days = rule.until(at(until)).build(at(begins)).map_err(unreadable)?.limit();
        let mut starts = Vec::new();
        for day in &days {
            *steps = steps.checked_sub(1).ok_or_else(|| refuse("repeats too often"))?;
            starts.push(day.date_naive());
        }
        Ok(starts)
    }
}

/// The days of a list; a time of day says nothing of an all-day event.
fn dates(value: &str) -> impl Iterator<Item = NaiveDate> {
    value.split(',').filter_map(|one| NaiveDate::parse_from_str(one.trim().get(..8)?, "%Y%m%d").ok())
}

/// The day that a line names; none when it names a time.
fn day(line: usize, name: &str, parameters: &str, value: &str) -> Result<Option<NaiveDate>, Fault> {
    let is_day = parameters.split(';').any(|parameter| parameter.trim().eq_ignore_ascii_case("VALUE=DATE"));
    if !is_day && value.contains(['T', 't']) {
        return Ok(None);
    }
    let digits = value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit());
    let read = NaiveDate::parse_from_str(value, "%Y%m%d").ok().filter(|_| digits);
    read.map(Some).ok_or_else(|| {
        let value = excerpt(value, 40);
        refuse(format!(
            "Line {line}, `{name}`: “{value}” is no day such as 20261224. Export the calendar again."
        ))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn calendar(events: &[&str]) -> String {
        let events: String =
            events.iter().map(|event| format!("BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n")).collect();
        format!("\u{FEFF}BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
    }

    /// The days from a Monday in December 2026 on.
    fn plan() -> Vec<NaiveDate> {
        date("2026-12-21").iter_days().take(28).collect()
    }

    fn free(events: &[&str]) -> Vec<String> {
        let free = among(&plan(), &calendar(events)).unwrap();
        free.iter().map(|day| day.format("%m-%d").to_string()).collect()
    }

    #[test]
    fn all_day_events_are_days_and_everything_else_is_not() {
        let holiday = "DTSTART;VALUE=DATE:20261225";
        assert_eq!(free(&[holiday]), ["12-25"]);
        assert_eq!(free(&["dtstart;value=date:20261225\r\nDTEND;VALUE=DATE:20261227"]), ["12-25", "12-26"]);
        assert_eq!(
            free(&["DTSTART:20261225\nDURATION:P1W"]),
            ["12-25", "12-26", "12-27", "12-28", "12-29", "12-30", "12-31"]
        );
        assert_eq!(free(&["DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261225"]), ["12-25"]);
        // Folded lines, quoted parameters, and alarms with times of their own.
        let folded = "SUMMARY;X=\"a:b;VALUE=DATE\":Weih\r\n nachten\r\nDTSTART;VALUE=DA\r\n\tTE:2026\r\n 1225\r\nBEGIN:VALARM\r\n\
            DTSTART:junk\r\nEND:VALARM\r\nDTEND;VALUE=DATE:20261227";
        assert_eq!(free(&[folded]), ["12-25", "12-26"]);
        let timed = "DTSTART;TZID=Europe/Berlin:20261226T180000\nDTEND;TZID=Europe/Berlin:20261226T190000\nRRULE:FREQ=WEEKLY";
        let cancelled = "STATUS:CANCELLED\nDTSTART;VALUE=DATE:20261228";
        assert_eq!(free(&[timed, holiday, cancelled]), ["12-25"]);
        assert_eq!(free(&[holiday, "DTSTART:20270116\nDURATION:P900D"]), ["12-25", "01-16", "01-17"]);
        assert_eq!(free(&["DTSTART:20200101\nDURATION:P9000D"]).len(), 28);
    }

    #[test]
    fn days_that_come_again_are_found_by_their_rules() {
        assert_eq!(free(&["DTSTART;VALUE=DATE:16040101\nRRULE:FREQ=YEARLY"]), ["01-01"]);
        let thursday =
            "DTSTART;VALUE=DATE:20201231\nDTEND;VALUE=DATE:20210102\nRRULE:FREQ=YEARLY;BYMONTH=12;BYDAY=-1TH";
        assert_eq!(free(&[thursday]), ["12-31", "01-01"]);
        let weekly = "UID:a\nDTSTART;VALUE=DATE:20261201\nRRULE:FREQ=WEEKLY";
        assert_eq!(free(&[weekly]), ["12-22", "12-29", "01-05", "01-12"]);
        assert_eq!(free(&[&format!("{weekly};UNTIL=20261229")]), ["12-22", "12-29"]);
        assert_eq!(free(&[&format!("{weekly};COUNT=4")]), ["12-22"]);
        assert_eq!(free(&[&format!("{weekly};UNTIL=20261201")]), Vec::<String>::new());
        // Days that are left out, added, and moved to another one.
        let changed = format!("{weekly}\nEXDATE;VALUE=DATE:20261222,20261229\nRDATE;VALUE=DATE:20261224");
        let moved = "UID:a\nRECURRENCE-ID;VALUE=DATE:20270105\nDTSTART;VALUE=DATE:20270106";
        assert_eq!(free(&[&changed, moved]), ["12-24", "01-06", "01-12"]);
        // What another event has moved stays.
        assert_eq!(free(&[&changed, &moved.replace("UID:a", "UID:b")]), ["12-24", "01-05", "01-06", "01-12"]);
    }

    #[test]
    fn calendars_of_a_library_are_read() {
        use icalendar::{Calendar, Component as _, Event, EventLike as _};
        let event = Event::new()
            .summary("Zwischen den Jahren; lang, mit Komma")
            .starts(date("2026-12-27"))
            .ends(date("2027-01-01"))
            .done();
        let written = Calendar::new().push(event).done().to_string();
        let days: Vec<NaiveDate> = date("2026-12-27").iter_days().take(5).collect();
        assert_eq!(among(&plan(), &written).unwrap(), days);
    }

    proptest! {
        /// Rules that come to nothing, or only after thousands of years, are given up.
        #[test]
        fn every_rule_is_followed_or_refused(
            freq in prop::sample::select(vec!["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]),
            parts in prop::collection::btree_map(
                prop::sample::select(vec![
                    "INTERVAL", "COUNT", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS", "BYHOUR", "WKST", "BYDAY",
                ]),
                prop::sample::select(vec!["0", "1", "-1", "2", "5", "29", "31", "53", "-53", "366", "-366", "65535", "MO", "-5SU"]),
                0..5,
            ),
            begins in prop::sample::select(vec!["00010101", "16040229", "20201231", "20261222", "99991231"]),
        ) {
            let parts: String = parts.iter().map(|(name, value)| format!(";{name}={value}")).collect();
            let text = calendar(&[&format!("DTSTART;VALUE=DATE:{begins}\nRRULE:FREQ={freq}{parts}")]);
            match among(&plan(), &text) {
                Ok(days) => prop_assert!(days.iter().all(|day| plan().contains(day))),
                Err(fault) => prop_assert!(fault.message.starts_with("Line 5: the all-day event"), "{}", fault.message),
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, words) in [
            (calendar(&[]), "no all-day events"),
            (calendar(&["DTSTART;VALUE=DATE:25.12.2026"]), "Line 4, `DTSTART`: “25.12.2026”"),
            (calendar(&["DTSTART;VALUE=DATE:20261325"]), "Line 4, `DTSTART`"),
            (
                calendar(&["SUMMARY:Neujahr\\, frei\nDTSTART;VALUE=DATE:20270101\nRRULE:FREQ=NEVER"]),
                "Line 6: the all-day event “Neujahr, frei” repeats by a rule that cannot be read",
            ),
            (calendar(&["DTSTART:20260101\nRRULE:FREQ=HOURLY"]), "repeats within a day"),
            (calendar(&["DTSTART:10000101\nRRULE:FREQ=DAILY"]), "repeats too often"),
            (calendar(&["DTSTART:20260101\nRRULE:FREQ=YEARLY"; RULES + 1]), "by more than 200 rules"),
            (
                calendar(&[&format!("DTSTART:20260101\n{}", "RRULE:FREQ=YEARLY\n".repeat(RULES + 1))]),
                "by more than 200 rules",
            ),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\n".to_owned(), "ends within an event"),
        ] {
            let fault = among(&plan(), &text).unwrap_err();
            assert_eq!(fault.code, FaultCode::Invalid);
            assert!(
                fault.message.contains(words) && fault.message.ends_with('.'),
                "{words}: {}",
                fault.message
            );
        }
        // Parts within parts without end take no stack.
        let deep = "BEGIN:A\n".repeat(200_000);
        assert!(among(&plan(), &deep).is_err());
    }
}
