use chrono::{TimeZone as _, Timelike as _};
use proptest::prelude::*;

use super::{Strategy, *};
use crate::agents::text::RefusalCode;

const SECTIONS: [(&str, &str); 4] = [
    (
        "Laufgruppe",
        "Die Laufgruppe trifft sich jeden Mittwoch am Vereinsheim. Es gibt drei Tempogruppen für Läufer. Wer neu ist, läuft vier Wochen kostenlos mit.",
    ),
    (
        "Kinderturnen",
        "Kinderturnen gibt es dienstags für Kinder von drei bis sechs Jahren. Im Mittelpunkt stehen Klettern und Balancieren. Eltern dürfen beim Kinderturnen zuschauen.",
    ),
    (
        "Mitgliedschaft",
        "Der Beitrag beträgt 9 Euro im Monat. Familien zahlen zusammen höchstens 20 Euro Beitrag. Die Kündigung der Mitgliedschaft ist zum Quartal möglich.",
    ),
    (
        "Stadtlauf",
        "Der Stadtlauf findet am 14. Juni statt. Die Strecken beim Stadtlauf sind 5 und 10 Kilometer lang. Wer hilft, bekommt eine warme Mahlzeit.",
    ),
];

fn passages() -> Vec<Passage> {
    let passage = |(at, (heading, text)): (usize, &(&str, &str))| Passage {
        id: format!("p{at}"),
        document: "handbuch".to_owned(),
        version: 1,
        heading: Some(format!("Handbuch › {heading}")),
        text: (*text).to_owned(),
        start: 1_000 * at,
        relevance: None,
    };
    SECTIONS.iter().enumerate().map(passage).collect()
}

fn channel(channel: Channel, posts_per_week: u32) -> ChannelPlan {
    ChannelPlan { channel, posts_per_week, spacing_hours: None, formats: Vec::new() }
}

fn berlin(day: &str) -> DateTime<Utc> {
    let midnight = day.parse::<NaiveDate>().unwrap().and_time(NaiveTime::MIN);
    chrono_tz::Europe::Berlin.from_local_datetime(&midnight).unwrap().with_timezone(&Utc)
}

fn ask() -> Strategy {
    Strategy {
        goals: vec!["Mehr Mitglieder für die Laufgruppe".to_owned()],
        audience: None,
        pillars: Vec::new(),
        passages: passages(),
        questions: Vec::new(),
        channels: vec![channel(Channel::Instagram, 3)],
        past: Vec::new(),
        from: berlin("2027-01-04"),
        until: berlin("2027-02-01"),
        timezone: "Europe/Berlin".to_owned(),
        blackout: Vec::new(),
        events: Vec::new(),
        earliest_hour: 8,
        latest_hour: 20,
        topic_rest_days: 21,
        language: Language::German,
        seed: 0,
    }
}

fn refused(strategy: &Strategy) -> (RefusalCode, String) {
    let refusal = plan(strategy).unwrap_err();
    assert!(refusal.message.ends_with('.'), "{}", refusal.message);
    (refusal.code, refusal.field)
}

/// Everything that holds for every plan.
fn hold(strategy: &Strategy, made: &Plan) {
    let zone: Tz = strategy.timezone.parse().unwrap();
    let mut keys = BTreeSet::new();
    for slot in &made.slots {
        assert!(keys.insert(&slot.key), "{}", slot.key);
        let local = slot.at.with_timezone(&zone);
        assert_eq!(slot.local.parse::<DateTime<chrono::FixedOffset>>().unwrap(), slot.at);
        assert!(!slot.reason.is_empty() && !slot.topic.is_empty());
        if slot.topic_source == TopicSource::Event {
            continue;
        }
        assert!(slot.at >= strategy.from && slot.at < strategy.until, "{}", slot.local);
        assert!(!strategy.blackout.contains(&local.date_naive()), "{}", slot.local);
        if let Some(angle) = &slot.angle {
            let passage = strategy.passages.iter().find(|passage| passage.id == angle.passage).unwrap();
            let there: String = passage
                .text
                .chars()
                .skip(angle.start - passage.start)
                .take(angle.end - angle.start)
                .collect();
            assert_eq!(there, angle.quote);
            assert_eq!(slot.sources, std::slice::from_ref(&angle.document));
        }
    }
    assert!(made.slots.is_sorted_by_key(|slot| slot.at));
    for channel in &strategy.channels {
        let own: Vec<&Slot> = made.slots.iter().filter(|slot| slot.channel == channel.channel).collect();
        let spacing =
            i64::from(channel.spacing_hours.unwrap_or_else(|| 20.min(168 / channel.posts_per_week * 3 / 5)));
        for pair in own.windows(2) {
            let fixed = pair.iter().all(|slot| slot.topic_source == TopicSource::Event);
            assert!(
                fixed || (pair[1].at - pair[0].at) >= Duration::hours(spacing),
                "{} {}",
                pair[0].local,
                pair[1].local
            );
        }
        let mut weeks: BTreeMap<NaiveDate, usize> = BTreeMap::new();
        for slot in own.iter().filter(|slot| slot.topic_source != TopicSource::Event) {
            *weeks.entry(calendar::week(slot.at.with_timezone(&zone).date_naive())).or_insert(0) += 1;
        }
        assert!(
            weeks.values().all(|count| *count <= usize::try_from(channel.posts_per_week).unwrap()),
            "{weeks:?}"
        );
        let mut last: BTreeMap<(&str, Option<&str>), DateTime<Utc>> = BTreeMap::new();
        for slot in own.iter().filter(|slot| slot.topic_source != TopicSource::Event) {
            let topic = (slot.topic.as_str(), slot.angle.as_ref().map(|angle| angle.quote.as_str()));
            if let Some(before) = last.insert(topic, slot.at) {
                assert!(
                    slot.at - before >= Duration::days(strategy.topic_rest_days.into()),
                    "{}",
                    slot.topic
                );
            }
        }
    }
    let sum: f64 = made.pillars.iter().map(|pillar| pillar.share).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert_eq!(plan(strategy).as_ref(), Ok(made), "the same input gives the same output");
}

#[test]
fn pillars_come_from_the_sections_and_slots_keep_their_shares() {
    let asked = ask();
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    let names: Vec<&str> = made.pillars.iter().map(|pillar| pillar.name.as_str()).collect();
    assert_eq!(names, ["Laufgruppe", "Kinderturnen", "Mitgliedschaft", "Stadtlauf"]);
    assert!(
        made.pillars
            .iter()
            .all(|pillar| pillar.sources == ["handbuch"] && pillar.origin == PillarOrigin::Derived)
    );
    assert!(
        made.pillars[0].share > made.pillars[3].share,
        "the goal speaks of the first: {:?}",
        made.pillars
    );
    assert_eq!(made.slots.len(), 12);
    assert!(made.metrics.share_deviation <= 0.1 && made.metrics.longest_run == 1, "{:?}", made.metrics);
    assert!((made.metrics.coverage - 1.0).abs() < 1e-9);
    assert!(
        made.slots
            .iter()
            .all(|slot| slot.time_basis == TimeBasis::EvenSpread && slot.reason.contains("gleichmäßig"))
    );
    let days: BTreeSet<u32> =
        made.slots.iter().map(|slot| slot.at.with_timezone(&chrono_tz::Europe::Berlin).hour()).collect();
    assert!(days.len() > 1, "hours are spread: {days:?}");
}

#[test]
fn hours_are_measured_where_there_is_enough() {
    let mut asked = ask();
    let post = |n: i64, hour: u32, engagement: Option<f64>| PastPost {
        at: berlin("2026-06-01") + Duration::days(n * 2) + Duration::hours(hour.into()),
        channel: Some(Channel::Instagram),
        text: "Die Laufgruppe trifft sich am Vereinsheim mit drei Tempogruppen.".to_owned(),
        engagement,
    };
    asked.past =
        (0..12).map(|n| post(n, 18, Some(40.0))).chain((12..24).map(|n| post(n, 12, Some(10.0)))).collect();
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    assert!(
        made.slots
            .iter()
            .all(|slot| slot.local.contains("T18:00:00") && slot.time_basis == TimeBasis::Measured)
    );
    assert!(
        made.slots[0].reason.contains(
            "Um 18 Uhr hatten 12 gemessene Beiträge im Schnitt 40 Interaktionen, alle zusammen 25."
        )
    );
    let posted = made.slots.iter().find(|slot| slot.topic == "Laufgruppe").unwrap();
    assert!(posted.reason.contains("24 frühere Beiträge behandeln"), "{}", posted.reason);
    // Of too few posts, and of posts without a measure, nothing is concluded.
    asked.past.truncate(POSTS_NEEDED - 1);
    assert!(plan(&asked).unwrap().slots[0].reason.contains("19 gemessene Beiträge zu wenig"));
    asked.past = (0..40).map(|n| post(n, 18, None)).collect();
    assert_eq!(plan(&asked).unwrap().slots[0].time_basis, TimeBasis::EvenSpread);
    // Enough posts, but no hour with enough of them.
    asked.past = (0..24).map(|n| post(n, u32::try_from(n).unwrap() % 12 + 8, Some(5.0))).collect();
    assert_eq!(plan(&asked).unwrap().slots[0].time_basis, TimeBasis::EvenSpread);
}

#[test]
fn blackout_dates_and_events_are_kept() {
    let mut asked = ask();
    asked.blackout = (5..11).map(|day| NaiveDate::from_ymd_opt(2027, 1, day).unwrap()).collect();
    asked.events = vec![Event {
        title: "Tag der offenen Tür".to_owned(),
        date: "2027-01-20".parse().unwrap(),
        time: Some("15:30:00".parse().unwrap()),
        channels: Vec::new(),
        pillar: Some("Mitgliedschaft".to_owned()),
    }];
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    let event = made.slots.iter().find(|slot| slot.topic_source == TopicSource::Event).unwrap();
    assert_eq!(
        (event.local.as_str(), event.pillar.as_str()),
        ("2027-01-20T15:30:00+01:00", "Mitgliedschaft")
    );
    let short: Vec<&Gap> = made.gaps.iter().filter(|gap| gap.kind == GapKind::Cadence).collect();
    assert_eq!(short.len(), 1);
    assert!(short[0].message.contains("Woche ab dem 4. Januar 2027 passen 1 von 3"), "{}", short[0].message);
    let week = |slot: &&Slot| slot.at >= berlin("2027-01-18") && slot.at < berlin("2027-01-25");
    assert_eq!(made.slots.iter().filter(week).count(), 3, "the event is one of the three");
}

#[test]
fn contradictions_are_refused() {
    let event = |date: &str| Event {
        title: "Fest".to_owned(),
        date: date.parse().unwrap(),
        time: None,
        channels: Vec::new(),
        pillar: None,
    };
    let base = ask();
    let cases: Vec<(Strategy, &str)> = vec![
        (Strategy { timezone: "Berlin".to_owned(), ..base.clone() }, "timezone"),
        (Strategy { until: base.from, ..base.clone() }, "until"),
        (Strategy { channels: Vec::new(), ..base.clone() }, "channels"),
        (
            Strategy { channels: vec![channel(Channel::X, 1), channel(Channel::X, 2)], ..base.clone() },
            "channels",
        ),
        (
            Strategy {
                channels: vec![ChannelPlan { spacing_hours: Some(60), ..channel(Channel::X, 3) }],
                ..base.clone()
            },
            "cadence.spacingHours",
        ),
        (Strategy { earliest_hour: 9, latest_hour: 8, ..base.clone() }, "latestHour"),
        (Strategy { latest_hour: 24, ..base.clone() }, "latestHour"),
        (
            Strategy {
                events: vec![event("2027-01-10")],
                blackout: vec!["2027-01-10".parse().unwrap()],
                ..base.clone()
            },
            "events",
        ),
        (Strategy { events: vec![event("2027-02-01")], ..base.clone() }, "events"),
        (
            Strategy {
                events: vec![Event { channels: vec![Channel::X], ..event("2027-01-10") }],
                ..base.clone()
            },
            "events",
        ),
        (
            Strategy {
                events: vec![Event { pillar: Some("Keine".to_owned()), ..event("2027-01-10") }],
                ..base.clone()
            },
            "events",
        ),
        (
            Strategy {
                pillars: vec![GivenPillar {
                    name: "A".to_owned(),
                    share: Some(0.4),
                    key_phrases: Vec::new(),
                }],
                ..base.clone()
            },
            "pillars",
        ),
    ];
    for (asked, field) in cases {
        assert_eq!(refused(&asked), (RefusalCode::Invalid, field.to_owned()));
    }
    let long = Strategy { until: base.from + Duration::days(367), ..base.clone() };
    assert_eq!(refused(&long), (RefusalCode::OutOfRange, "until".to_owned()));
    for posts in [0, 22] {
        let asked = Strategy { channels: vec![channel(Channel::X, posts)], ..base.clone() };
        assert_eq!(refused(&asked), (RefusalCode::OutOfRange, "postsPerWeek".to_owned()));
    }
    let many = Strategy {
        until: base.from + Duration::days(366),
        channels: Channel::ALL.into_iter().map(|one| channel(one, 21)).collect(),
        ..base.clone()
    };
    assert_eq!(refused(&many).0, RefusalCode::OutOfRange);
    let nothing = Strategy { passages: Vec::new(), ..base };
    assert_eq!(refused(&nothing).0, RefusalCode::InsufficientInput);
}

#[test]
fn a_whole_year_across_both_clock_changes() {
    for (zone, hours) in [("Europe/Berlin", 8..=20), ("Australia/Lord_Howe", 0..=23)] {
        let asked = Strategy {
            timezone: zone.to_owned(),
            until: ask().from + Duration::days(365),
            channels: vec![channel(Channel::Instagram, 7), channel(Channel::X, 14)],
            earliest_hour: *hours.start(),
            latest_hour: *hours.end(),
            topic_rest_days: 1,
            ..ask()
        };
        let made = plan(&asked).unwrap();
        hold(&asked, &made);
        let tz: Tz = zone.parse().unwrap();
        assert!(made.slots.iter().all(|slot| hours.contains(&slot.at.with_timezone(&tz).hour())), "{zone}");
        assert!(made.slots.len() > 900, "{}", made.slots.len());
    }
}

#[test]
fn questions_without_answers_are_topics_and_gaps() {
    let mut asked = ask();
    let question = |text: &str, asked: u32| OpenQuestion { text: text.to_owned(), asked };
    asked.questions = vec![
        question("Gibt es Kinderturnen auch am Samstag?", 6),
        question("gibt es Kinderturnen auch am samstag?", 1),
        question("", 3),
    ];
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    let slot = made.slots.iter().find(|slot| slot.topic_source == TopicSource::Question).unwrap();
    assert_eq!(slot.pillar, "Kinderturnen");
    assert!(slot.sources.is_empty() && slot.reason.contains("6-mal gestellt"), "{}", slot.reason);
    assert_eq!(made.gaps.iter().filter(|gap| gap.kind == GapKind::Question).count(), 1);
}

#[test]
fn what_cannot_be_filled_is_left_out_and_named() {
    let asked = Strategy { channels: vec![channel(Channel::Instagram, 14)], topic_rest_days: 60, ..ask() };
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    assert!(made.slots.len() < 20);
    assert!(made.gaps.iter().any(|gap| gap.kind == GapKind::Topic), "{:?}", made.gaps);
}

#[test]
fn given_pillars_keep_their_shares_and_name_what_they_lack() {
    let pillar = |name: &str, share: Option<f64>, phrases: &[&str]| GivenPillar {
        name: name.to_owned(),
        share,
        key_phrases: phrases.iter().map(|phrase| (*phrase).to_owned()).collect(),
    };
    let asked = Strategy {
        pillars: vec![
            pillar("Laufen", Some(0.5), &["Laufgruppe", "Stadtlauf"]),
            pillar("Familie", None, &["Kinderturnen", "Familien"]),
            pillar("Ernährung", Some(0.2), &["Rezepte"]),
        ],
        ..ask()
    };
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    let shares: Vec<f64> = made.pillars.iter().map(|pillar| pillar.share).collect();
    assert_eq!(shares, [0.5, 0.3, 0.2]);
    assert!(made.pillars.iter().all(|pillar| pillar.origin == PillarOrigin::Given));
    assert!(
        made.gaps.iter().any(|gap| gap.kind == GapKind::Pillar && gap.message.contains("Ernährung")),
        "{:?}",
        made.gaps
    );
}

#[test]
fn goals_are_pillars_where_there_is_nothing_else() {
    let asked = Strategy {
        passages: Vec::new(),
        questions: vec![OpenQuestion { text: "Wie werde ich Mitglied?".to_owned(), asked: 2 }],
        ..ask()
    };
    let made = plan(&asked).unwrap();
    assert_eq!(made.pillars[0].origin, PillarOrigin::Goal);
    assert_eq!(made.slots.len(), 2, "one question, once every three weeks");
}

/// Posts about running, about recipes, and about neither.
fn posts(about: &[&'static str]) -> Vec<PastPost> {
    const RUNNING: [&str; 4] = [
        "Unsere Laufgruppe trainiert Tempoläufe im Stadtpark. #Laufgruppe #Training",
        "Tempoläufe im Stadtpark: die Laufgruppe trainiert wieder. #Laufgruppe",
        "Training der Laufgruppe: drei Tempoläufe durch den Stadtpark. #Laufgruppe",
        "Die Laufgruppe sucht Mitläufer für Tempoläufe im Stadtpark. #Laufgruppe #Training",
    ];
    const RECIPES: [&str; 4] = [
        "Rezept der Woche: Linsensuppe mit Gemüse und Brot. #Rezept",
        "Linsensuppe mit Gemüse kochen, das Rezept für den Abend. #Rezept",
        "Gemüse, Linsensuppe und Brot: unser Rezept für Sportler. #Rezept",
        "Ein Rezept mit Gemüse und Linsensuppe nach dem Sport. #Rezept",
    ];
    let text = |kind: &&'static str| match *kind {
        "running" => RUNNING.to_vec(),
        "recipes" => RECIPES.to_vec(),
        other => vec![other],
    };
    let post = |(day, text): (i64, &str)| PastPost {
        at: berlin("2026-10-01") + Duration::days(day),
        channel: None,
        text: text.to_owned(),
        engagement: None,
    };
    (0..).zip(about.iter().flat_map(text)).map(post).collect()
}

#[test]
fn past_posts_alone_form_pillars_and_leave_no_topic() {
    let odd = "Frohe Weihnachten und einen guten Rutsch wünscht der Vorstand.";
    let again = "Unsere Laufgruppe trainiert  Tempoläufe im Stadtpark. #laufgruppe #training";
    let asked = Strategy {
        passages: Vec::new(),
        past: posts(&["running", odd, "recipes", again, "", "Ja."]),
        ..ask()
    };
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    let pillars: Vec<_> =
        made.pillars.iter().map(|pillar| (pillar.past_posts, pillar.sources.len(), pillar.origin)).collect();
    assert_eq!(pillars, [(5, 0, PillarOrigin::Derived), (4, 0, PillarOrigin::Derived)], "{made:#?}");
    assert!(made.pillars[0].key_phrases.iter().any(|phrase| phrase.contains("Laufgruppe")), "{made:#?}");
    assert!(made.pillars[1].key_phrases.iter().any(|phrase| phrase.contains("Linsensuppe")), "{made:#?}");
    let named = made.pillars.iter().flat_map(|pillar| pillar.key_phrases.iter().chain([&pillar.name]));
    assert!(
        named.into_iter().all(|phrase| !phrase.contains('#') && !phrase.contains("Weihnacht")),
        "{made:#?}"
    );
    assert!(made.slots.is_empty() && made.gaps.iter().any(|gap| gap.kind == GapKind::Topic), "{made:#?}");

    // An event goes to the pillar that it is about.
    let event = Event {
        title: "Linsensuppe für alle, mit Rezept".to_owned(),
        date: "2027-01-20".parse().unwrap(),
        time: None,
        channels: Vec::new(),
        pillar: None,
    };
    let made = plan(&Strategy { events: vec![event], ..asked.clone() }).unwrap();
    assert_eq!((made.slots.len(), &made.slots[0].pillar), (1, &made.pillars[1].name), "{made:#?}");

    // Three that are alike are too few.
    let few = Strategy { past: posts(&["running"])[..3].to_vec(), ..asked };
    assert_eq!(refused(&few), (RefusalCode::InsufficientInput, "documents".to_owned()));
}

#[test]
fn past_posts_count_beside_documents() {
    let names = |made: &Plan| made.pillars.iter().map(|pillar| pillar.name.clone()).collect::<Vec<_>>();
    let without = plan(&ask()).unwrap();
    let odd = Strategy {
        past: posts(&["Frohe Weihnachten und einen guten Rutsch wünscht der Vorstand."]),
        ..ask()
    };
    assert_eq!(names(&plan(&odd).unwrap()), names(&without), "one post that is like nothing is no pillar");

    let asked = Strategy { past: posts(&["running", "recipes"]), ..ask() };
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    let of =
        |made: &Plan, name: &str| made.pillars.iter().find(|pillar| pillar.name == name).unwrap().clone();
    assert_eq!(names(&made)[..4], names(&without));
    assert_eq!(
        (of(&made, "Laufgruppe").past_posts, of(&made, "Kinderturnen").past_posts),
        (4, 0),
        "{made:#?}"
    );
    let posted = &made.pillars[4];
    assert_eq!((posted.past_posts, posted.sources.len()), (4, 0), "{made:#?}");
    assert!(
        made.gaps.iter().any(|gap| gap.kind == GapKind::Pillar && gap.message.contains(&posted.name)),
        "nothing is documented of it: {made:#?}"
    );
    let ratio = |made: &Plan| of(made, "Laufgruppe").share / of(made, "Kinderturnen").share;
    assert!(ratio(&made) > ratio(&without), "what is posted about weighs more");

    // Pillars that are named say how many posts are theirs.
    let pillar = |name: &str| GivenPillar { name: name.to_owned(), share: None, key_phrases: Vec::new() };
    let given = Strategy { pillars: vec![pillar("Linsensuppe"), pillar("Kinderturnen")], ..asked };
    let made = plan(&given).unwrap();
    assert_eq!((made.pillars[0].past_posts, made.pillars[1].past_posts), (4, 0), "{made:#?}");
}

#[test]
fn formats_follow_the_channel_and_the_caller() {
    let asked = Strategy {
        channels: vec![
            channel(Channel::X, 2),
            ChannelPlan { formats: vec![Format::Reel], ..channel(Channel::Instagram, 2) },
        ],
        ..ask()
    };
    let made = plan(&asked).unwrap();
    hold(&asked, &made);
    for slot in &made.slots {
        assert_eq!(slot.format, if slot.channel == Channel::X { Format::Text } else { Format::Reel });
    }
}

#[test]
fn nasty_texts_do_no_harm() {
    let long = "Größe und Kraft wachsen langsam. ".repeat(32_000);
    assert!(long.len() > 1 << 20);
    let one = |text: &str| Passage { text: text.to_owned(), heading: None, ..passages()[0].clone() };
    for text in
        [&long, "שלום עולם. מה שלומך היום? טוב.", "\0\0. a\0b.", "e\u{301}\u{301}. 👩‍👩‍👧 !", "### \n|||\n- "]
    {
        let asked = Strategy { passages: vec![one(text)], ..ask() };
        if let Ok(made) = plan(&asked) {
            assert!(made.slots.len() <= 12);
        }
    }
    let far = Strategy {
        from: DateTime::<Utc>::MAX_UTC - Duration::days(1),
        until: DateTime::<Utc>::MAX_UTC,
        ..ask()
    };
    assert_eq!(refused(&far).0, RefusalCode::Invalid);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_plan_holds(
        per_week in 1..22_u32,
        second in 1..8_u32,
        days in 1..120_i64,
        blackout in proptest::collection::vec(0..120_i64, 0..20),
        rest in 0..40_u32,
        hours in (0..24_u32, 0..24_u32),
        seed: u64,
        zone in prop::sample::select(vec!["Europe/Berlin", "UTC", "Pacific/Apia", "America/New_York", "Asia/Kathmandu"]),
    ) {
        let from = berlin("2027-03-01");
        let asked = Strategy {
            channels: vec![channel(Channel::Instagram, per_week), channel(Channel::Threads, second)],
            from,
            until: from + Duration::days(days),
            blackout: blackout.iter().map(|day| "2027-03-01".parse::<NaiveDate>().unwrap() + Duration::days(*day)).collect(),
            topic_rest_days: rest,
            earliest_hour: hours.0.min(hours.1),
            latest_hour: hours.0.max(hours.1),
            timezone: zone.to_owned(),
            seed,
            ..ask()
        };
        let made = plan(&asked).unwrap();
        hold(&asked, &made);
    }
}
