//! A plan as a calendar file (iCalendar, RFC 5545) and as a table (CSV, RFC 4180).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Plan, Slot};

/// The longest line of a calendar file, in bytes without its end (RFC 5545, section 3.1).
const LINE: usize = 75;
/// How long an entry lasts in a calendar that shows it; a post has no length.
const DURATION: &str = "PT15M";

/// What a calendar file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Its name, as calendars show it.
    pub name: String,
    /// What the plan is known by, such as its id: entries keep their identity from one export to the next by it.
    pub namespace: String,
    /// When the file is made.
    pub stamped_at: DateTime<Utc>,
}

/// The plan as a calendar file. Times are in UTC, which every calendar shows in its own time zone.
pub fn ics(plan: &Plan, calendar: &Calendar) -> String {
    let mut out = String::new();
    for fixed in
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//aicos//Content calendar//EN", "CALSCALE:GREGORIAN"]
    {
        line(&mut out, fixed);
    }
    line(&mut out, &format!("X-WR-CALNAME:{}", escaped(&calendar.name)));
    for slot in &plan.slots {
        entry(&mut out, slot, calendar);
    }
    line(&mut out, "END:VCALENDAR");
    out
}

fn entry(out: &mut String, slot: &Slot, calendar: &Calendar) {
    let time = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
    let mut description = format!("{} · {}", slot.channel.name(), slot.format.key());
    if let Some(angle) = &slot.angle {
        description.push_str("\n\n");
        description.push_str(&angle.quote);
    }
    description.push_str("\n\n");
    description.push_str(&slot.reason);
    line(out, "BEGIN:VEVENT");
    line(out, &format!("UID:{}", uid(&calendar.namespace, &slot.key)));
    line(out, &format!("DTSTAMP:{}", time(calendar.stamped_at)));
    line(out, &format!("DTSTART:{}", time(slot.at)));
    line(out, &format!("DURATION:{DURATION}"));
    line(out, &format!("SUMMARY:{}", escaped(&format!("{}: {}", slot.channel.name(), slot.topic))));
    line(out, &format!("DESCRIPTION:{}", escaped(&description)));
    if !slot.pillar.is_empty() {
        line(out, &format!("CATEGORIES:{}", escaped(&slot.pillar)));
    }
    line(out, "TRANSP:TRANSPARENT");
    line(out, "END:VEVENT");
}

/// The identity of an entry: the same for the same slot of the same plan, whenever it is exported and wherever it is moved.
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

/// The plan as a table, in UTF-8 with a head row.
///
/// A cell that a spreadsheet would take for a formula begins with an apostrophe, which it shows as text (OWASP, CSV
/// injection).
pub fn csv(plan: &Plan) -> String {
    const HEAD: [&str; 12] = [
        "date",
        "time",
        "utc",
        "channel",
        "pillar",
        "format",
        "topic",
        "angle",
        "sources",
        "time_basis",
        "reason",
        "key",
    ];
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_record(HEAD);
    for slot in &plan.slots {
        let (date, time) = slot.local.split_once('T').unwrap_or((&slot.local, ""));
        let angle = slot.angle.as_ref().map(|angle| angle.quote.as_str()).unwrap_or_default();
        let basis = match slot.time_basis {
            super::TimeBasis::Measured => "MEASURED",
            super::TimeBasis::EvenSpread => "EVEN_SPREAD",
            super::TimeBasis::Fixed => "FIXED",
        };
        let utc = slot.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let sources = slot.sources.join(" ");
        let cells = [
            date,
            time,
            &utc,
            slot.channel.key(),
            &slot.pillar,
            slot.format.key(),
            &slot.topic,
            angle,
            &sources,
            basis,
            &slot.reason,
            &slot.key,
        ];
        let _ = writer.write_record(cells.map(harmless));
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// A cell that no spreadsheet takes for a formula, without NUL, at which some stop reading.
fn harmless(cell: &str) -> String {
    const FORMULA: [char; 10] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r'];
    let bare = cell.replace('\0', "");
    let begins = bare.trim_start_matches([' ', '\n', '\u{a0}', '\u{feff}']).starts_with(FORMULA);
    if begins { format!("'{bare}") } else { bare }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::channel::Channel;
    use crate::agents::strategy::builtin::{Format, Metrics, TimeBasis, TopicSource};

    fn slot(topic: &str, reason: &str) -> Slot {
        Slot {
            key: "instagram-20270104-1".to_owned(),
            at: "2027-01-04T07:00:00Z".parse().unwrap(),
            local: "2027-01-04T08:00:00+01:00".to_owned(),
            channel: Channel::Instagram,
            pillar: "Ruhe, Kraft".to_owned(),
            format: Format::Feed,
            topic: topic.to_owned(),
            angle: None,
            sources: vec!["doc_1".to_owned()],
            topic_source: TopicSource::Heading,
            time_basis: TimeBasis::EvenSpread,
            reason: reason.to_owned(),
        }
    }

    fn plan(slots: Vec<Slot>) -> Plan {
        let metrics = Metrics {
            slots: slots.len(),
            headings: 0,
            covered_headings: 0,
            coverage: 0.0,
            repetition: 0.0,
            longest_run: 0,
            share_deviation: 0.0,
        };
        Plan { pillars: Vec::new(), slots, metrics, gaps: Vec::new() }
    }

    fn calendar() -> Calendar {
        Calendar {
            name: "Plan; 2027".to_owned(),
            namespace: "stg_1".to_owned(),
            stamped_at: "2026-12-01T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_calendar_is_read_back_as_it_was() {
        use icalendar::{CalendarComponent, Component as _};
        let topics = [
            "Atem; Pausen, Teil 1\\2\nZeile zwei".to_owned(),
            format!("Ä{}", "ö👩‍👩‍👧".repeat(60)),
            "END:VEVENT\r\nBEGIN:VEVENT".to_owned(),
            String::new(),
        ];
        let slots: Vec<Slot> = topics
            .iter()
            .enumerate()
            .map(|(at, topic)| Slot { key: format!("k{at}"), ..slot(topic, "Weil: es, so; ist.") })
            .collect();
        let text = ics(&plan(slots), &calendar());
        for raw in text.split("\r\n") {
            assert!(raw.len() <= LINE && !raw.contains(['\n', '\r']), "{raw}");
        }
        let read: icalendar::Calendar = text.parse().unwrap();
        let events: Vec<_> = read
            .components
            .iter()
            .filter_map(|one| if let CalendarComponent::Event(event) = one { Some(event) } else { None })
            .collect();
        assert_eq!(events.len(), topics.len());
        for (event, topic) in events.iter().zip(&topics) {
            let expected = format!("Instagram: {}", topic.replace("\r\n", "\n"));
            assert_eq!(event.get_summary().unwrap(), expected);
            assert_eq!(event.property_value("DTSTART"), Some("20270104T070000Z"));
            assert!(event.get_description().unwrap().ends_with("Weil: es, so; ist."));
        }
        let uids: std::collections::BTreeSet<_> = events.iter().filter_map(|event| event.get_uid()).collect();
        assert_eq!(uids.len(), topics.len());
    }

    #[test]
    fn entries_keep_their_identity() {
        let first = ics(&plan(vec![slot("Ruhe", "")]), &calendar());
        let moved = Slot { at: "2027-01-05T09:00:00Z".parse().unwrap(), ..slot("Neu", "") };
        let later = Calendar { stamped_at: "2026-12-24T12:00:00Z".parse().unwrap(), ..calendar() };
        let second = ics(&plan(vec![moved]), &later);
        let uid = |text: &str| text.lines().find(|line| line.starts_with("UID:")).unwrap().to_owned();
        assert_eq!(uid(&first), uid(&second));
        let other = Calendar { namespace: "stg_2".to_owned(), ..calendar() };
        assert_ne!(uid(&first), uid(&ics(&plan(vec![slot("Ruhe", "")]), &other)));
    }

    #[test]
    fn a_table_is_read_back_and_holds_no_formula() {
        let nasty = [
            ("=1+1", "'=1+1"),
            ("+49 123", "'+49 123"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("a, \"b\"\r\nc", "a, \"b\"\r\nc"),
            ("a\0b", "ab"),
            ("Ruhe", "Ruhe"),
        ];
        let text = csv(&plan(nasty.iter().map(|(topic, _)| slot(topic, "=cmd|' /C calc'!A0")).collect()));
        assert!(text.starts_with("date,time,utc,channel,") && text.ends_with("\r\n"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), nasty.len());
        for (row, (_, expected)) in rows.iter().zip(nasty) {
            assert_eq!(&row[6], expected);
            assert_eq!((&row[0], &row[1], &row[2]), ("2027-01-04", "08:00:00+01:00", "2027-01-04T07:00:00Z"));
            assert_eq!(&row[10], "'=cmd|' /C calc'!A0");
        }
    }
}
