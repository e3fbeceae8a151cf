//! Calendar files (iCalendar, RFC 5545), and the moments that clocks show.

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

/// The longest line of a calendar file, in bytes without its end (RFC 5545, section 3.1).
pub const LINE: usize = 75;
/// How long an entry lasts in a calendar that shows it: what agents plan has a beginning and no length.
const DURATION: &str = "PT15M";

/// A moment as a place's clocks show it. A time that a change of the clocks skips is the next that exists, of one that it
/// repeats it is the first.
pub fn moment(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    const STEP: i64 = 15;
    // No change of clocks skips more than a day.
    let steps = 0..=(25 * 60 / STEP);
    steps.filter_map(|step| local.checked_add_signed(Duration::minutes(step * STEP))).find_map(|local| {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time.with_timezone(&Utc)),
            LocalResult::None => None,
        }
    })
}

/// What a calendar file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Its name, as calendars show it.
    pub name: String,
    /// What it is known by, such as its job's id: entries keep their identity from one file to the next by it.
    pub namespace: String,
    /// When the file is made.
    pub stamped_at: DateTime<Utc>,
}

/// An entry of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is known by in its calendar.
    pub key: String,
    /// When it begins.
    pub at: DateTime<Utc>,
    /// What calendars show.
    pub summary: String,
    /// What they show of it when they are asked; may be empty.
    pub description: String,
    /// What it belongs to; may be empty.
    pub category: String,
}

impl Calendar {
    /// The file. Times are in UTC, which every calendar shows in its own time zone.
    pub fn file(&self, entries: impl Iterator<Item = Entry>) -> String {
        let mut out = String::new();
        for fixed in
            ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//aicos//Content calendar//EN", "CALSCALE:GREGORIAN"]
        {
            line(&mut out, fixed);
        }
        line(&mut out, &format!("X-WR-CALNAME:{}", escaped(&self.name)));
        for entry in entries {
            self.entry(&mut out, &entry);
        }
        line(&mut out, "END:VCALENDAR");
        out
    }

    fn entry(&self, out: &mut String, entry: &Entry) {
        let time = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
        line(out, "BEGIN:VEVENT");
        line(out, &format!("UID:{}", uid(&self.namespace, &entry.key)));
        line(out, &format!("DTSTAMP:{}", time(self.stamped_at)));
        line(out, &format!("DTSTART:{}", time(entry.at)));
        line(out, &format!("DURATION:{DURATION}"));
        line(out, &format!("SUMMARY:{}", escaped(&entry.summary)));
        for (name, text) in [("DESCRIPTION", &entry.description), ("CATEGORIES", &entry.category)] {
            if !text.is_empty() {
                line(out, &format!("{name}:{}", escaped(text)));
            }
        }
        line(out, "TRANSP:TRANSPARENT");
        line(out, "END:VEVENT");
    }
}

/// The identity of an entry: the same for the same entry of the same calendar, whenever it is made and wherever it is moved.
fn uid(namespace: &str, key: &str) -> String {
    let digest = Sha256::digest(format!("{namespace}\n{key}").as_bytes());
    format!("{}@aicos", hex::encode(&digest[..16]))
}

/// A value of type TEXT (RFC 5545, section 3.3.11), without control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => out.push_str("\\n"),
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Adds a line, folded where it is longer than [`LINE`], between characters.
fn line(out: &mut String, content: &str) {
    let mut used = 0;
    for c in content.chars() {
        if used + c.len_utf8() > LINE {
            out.push_str("\r\n ");
            // The space that marks the fold counts.
            used = 1;
        }
        out.push(c);
        used += c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(text: &str) -> DateTime<Utc> {
        moment(chrono_tz::Europe::Berlin, text.parse().unwrap()).unwrap()
    }

    #[test]
    fn clocks_that_change_are_followed() {
        // 28 March 2027: 02:00 to 03:00 does not exist in Berlin; 31 October 2027: it is there twice.
        assert_eq!(berlin("2027-03-28T02:30:00").to_rfc3339(), "2027-03-28T01:00:00+00:00");
        assert_eq!(berlin("2027-03-28T18:00:00").to_rfc3339(), "2027-03-28T16:00:00+00:00");
        assert_eq!(berlin("2027-10-31T02:30:00").to_rfc3339(), "2027-10-31T00:30:00+00:00");
        // Samoa left out the whole of 30 December 2011.
        let skipped = moment(chrono_tz::Pacific::Apia, "2011-12-30T12:00:00".parse().unwrap()).unwrap();
        assert_eq!(
            skipped.with_timezone(&chrono_tz::Pacific::Apia).to_rfc3339(),
            "2011-12-31T00:00:00+14:00"
        );
        let half = moment(chrono_tz::Australia::Lord_Howe, "2027-10-03T02:15:00".parse().unwrap()).unwrap();
        assert_eq!(
            half.with_timezone(&chrono_tz::Australia::Lord_Howe).to_rfc3339(),
            "2027-10-03T02:30:00+11:00"
        );
    }
}
