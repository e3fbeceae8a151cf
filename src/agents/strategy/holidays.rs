//! Days without posts from a calendar (iCalendar, RFC 5545): those of its all-day events.
//!
//! It is read line by line, and only as far as it says which days these are: whatever else a calendar holds, in parts within parts,
//! takes neither time nor memory beyond its length.

use chrono::{Days, NaiveDate};

use crate::agents::text::excerpt;
use crate::error::{Fault, FaultCode};

/// The field that names the file.
pub(super) const FIELD: &str = "holidaysAssetId";

/// From a day on until before another one.
pub(super) type Span = (NaiveDate, NaiveDate);

/// The days of a plan that a calendar keeps free.
pub(super) fn among(days: &[NaiveDate], spans: &[Span]) -> Vec<NaiveDate> {
    let free = |day: &&NaiveDate| spans.iter().any(|(first, end)| first <= *day && *day < end);
    days.iter().filter(free).copied().collect()
}

fn refuse(message: impl Into<String>) -> Fault {
    Fault::at(FaultCode::Invalid, FIELD, message)
}

/// An event, as far as it has been read.
#[derive(Debug, Default)]
struct Event {
    /// How deep it lies among the calendar's parts.
    depth: usize,
    title: String,
    /// Its first day, when it is an all-day event.
    first: Option<NaiveDate>,
    /// The day after its last one.
    end: Option<NaiveDate>,
    days: Option<u64>,
    is_cancelled: bool,
    /// The line of what has it repeat.
    repeats: Option<usize>,
}

/// The days of a calendar's all-day events.
///
/// # Errors
/// What is wrong with it, with the line.
pub(super) fn parse(text: &str) -> Result<Vec<Span>, Fault> {
    let (mut spans, mut depth) = (Vec::new(), 0_usize);
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
                if let Some(event) = open.take_if(|event| event.depth == depth) {
                    spans.extend(event.span()?);
                }
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
    if spans.is_empty() {
        return Err(refuse(
            "The calendar has no all-day events. Name one whose holidays are whole days, or leave it out.",
        ));
    }
    Ok(spans)
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
            "SUMMARY" => self.title = excerpt(&value.replace('\\', ""), 60),
            "STATUS" => self.is_cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            "RRULE" | "RDATE" => self.repeats = Some(line),
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

    /// Its days; none unless it is an all-day event that takes place.
    fn span(self) -> Result<Option<Span>, Fault> {
        let Some(first) = self.first.filter(|_| !self.is_cancelled) else { return Ok(None) };
        if let Some(line) = self.repeats {
            let message = format!(
                "Line {line}: the all-day event “{}” repeats by a rule. Export the calendar with each day as an event of its own.",
                self.title
            );
            return Err(refuse(message));
        }
        let lasting = Days::new(self.days.unwrap_or(1).clamp(1, 10_000));
        let end = self.end.filter(|end| *end > first).or_else(|| first.checked_add_days(lasting));
        Ok(end.map(|end| (first, end)))
    }
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
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn calendar(events: &[&str]) -> String {
        let events: String =
            events.iter().map(|event| format!("BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n")).collect();
        format!("\u{FEFF}BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
    }

    fn spans(events: &[&str]) -> Vec<(String, String)> {
        let spans = parse(&calendar(events)).unwrap();
        spans.into_iter().map(|(first, end)| (first.to_string(), end.to_string())).collect()
    }

    fn one(first: &str, end: &str) -> Vec<(String, String)> {
        vec![(first.to_owned(), end.to_owned())]
    }

    #[test]
    fn all_day_events_are_days_and_everything_else_is_not() {
        let holiday = "DTSTART;VALUE=DATE:20261225";
        assert_eq!(spans(&[holiday]), one("2026-12-25", "2026-12-26"));
        assert_eq!(
            spans(&["dtstart;value=date:20261225\r\nDTEND;VALUE=DATE:20261227"]),
            one("2026-12-25", "2026-12-27")
        );
        assert_eq!(spans(&["DTSTART:20261225\nDURATION:P1W"]), one("2026-12-25", "2027-01-01"));
        assert_eq!(
            spans(&["DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261225"]),
            one("2026-12-25", "2026-12-26")
        );
        // Folded lines, quoted parameters, and alarms with times of their own.
        let folded = "SUMMARY;X=\"a:b;VALUE=DATE\":Weih\r\n nachten\r\nDTSTART;VALUE=DA\r\n\tTE:2026\r\n 1225\r\nBEGIN:VALARM\r\n\
            DTSTART:junk\r\nEND:VALARM\r\nDTEND;VALUE=DATE:20261227";
        assert_eq!(spans(&[folded]), one("2026-12-25", "2026-12-27"));
        let timed = "DTSTART;TZID=Europe/Berlin:20261226T180000\nDTEND;TZID=Europe/Berlin:20261226T190000\nRRULE:FREQ=WEEKLY";
        let cancelled = "STATUS:CANCELLED\nDTSTART;VALUE=DATE:20261228";
        assert_eq!(spans(&[timed, holiday, cancelled]), one("2026-12-25", "2026-12-26"));
        let days: Vec<NaiveDate> = date("2026-12-23").iter_days().take(6).collect();
        let free = among(&days, &parse(&calendar(&[holiday, "DTSTART:20261227\nDURATION:P900D"])).unwrap());
        assert_eq!(free, ["2026-12-25", "2026-12-27", "2026-12-28"].map(date));
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
        assert_eq!(parse(&written).unwrap(), [(date("2026-12-27"), date("2027-01-01"))]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, words) in [
            (calendar(&[]), "no all-day events"),
            (calendar(&["DTSTART;VALUE=DATE:25.12.2026"]), "Line 4, `DTSTART`: “25.12.2026”"),
            (calendar(&["DTSTART;VALUE=DATE:20261325"]), "Line 4, `DTSTART`"),
            (
                calendar(&["SUMMARY:Neujahr\\, frei\nDTSTART;VALUE=DATE:20270101\nRRULE:FREQ=YEARLY"]),
                "Line 6: the all-day event “Neujahr, frei” repeats",
            ),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\n".to_owned(), "ends within an event"),
        ] {
            let fault = parse(&text).unwrap_err();
            assert_eq!(fault.code, FaultCode::Invalid);
            assert!(
                fault.message.contains(words) && fault.message.ends_with('.'),
                "{words}: {}",
                fault.message
            );
        }
        // Parts within parts without end take no stack.
        let deep = "BEGIN:A\n".repeat(200_000);
        assert!(parse(&deep).is_err());
    }
}
