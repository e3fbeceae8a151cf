//! A plan as a calendar file (iCalendar, RFC 5545) and as a table (CSV, RFC 4180).

use super::{Plan, Slot};
use crate::agents::text::calendar::{Calendar, Entry};

/// The plan as a calendar file. Times are in UTC, which every calendar shows in its own time zone.
pub fn ics(plan: &Plan, calendar: &Calendar) -> String {
    let entry = |slot: &Slot| {
        let mut description = format!("{} · {}", slot.channel.name(), slot.format.key());
        if let Some(angle) = &slot.angle {
            description.push_str("\n\n");
            description.push_str(&angle.quote);
        }
        description.push_str("\n\n");
        description.push_str(&slot.reason);
        Entry {
            key: slot.key.clone(),
            at: slot.at,
            summary: format!("{}: {}", slot.channel.name(), slot.topic),
            description,
            category: slot.pillar.clone(),
        }
    };
    calendar.file(plan.slots.iter().map(entry))
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
    use crate::agents::text::calendar::LINE;

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
