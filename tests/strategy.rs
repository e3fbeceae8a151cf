//! Content strategies: where topics come from, what a calendar keeps to, and what a model may add.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde_json::{Value, json};

use crate::support::Client;
use crate::support::files;
use crate::support::provider::Reply;
use crate::support::work::{HANDBOOK, Room, openai};
use crate::usage::{agrees, limit, used};

const PLANNED: &str = "job { status engine { provider } error { code message field } }
    strategy { id timezone calendarIcs { kind mimeType bytes url } calendarCsv { kind mimeType bytes url } coverage repetition gaps pillars { name share plannedShare keyPhrases pastPosts sources { title } }
        slots { at channel pillar format topic title angle reason } }";

const GUIDE: &str = "# Morning yoga\n\n## Why in the morning\n\nMorning yoga wakes the body before the day asks for it. \
    Fifteen minutes are enough for a calm start.\n\n## How to begin\n\nBegin with three sun salutations and breathe slowly \
    through the nose. Roll out the mat the evening before.\n\n## Breathing\n\nBreathing through the nose calms the heart. \
    A long breath out tells the body to rest.\n";

async fn plan(room: &Room, more: Value) -> Value {
    let mut asked = json!({"goals": ["People start the day calmly"], "channels": ["INSTAGRAM", "LINKEDIN"], "postsPerWeek": 2,
        "from": "2027-03-22T00:00:00+01:00", "until": "2027-04-05T00:00:00+02:00", "timezone": "Europe/Berlin",
        "language": "EN"});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    room.run("contentStrategyCreate", asked, PLANNED).await
}

fn slots(made: &Value) -> &Vec<Value> {
    made["strategy"]["slots"].as_array().unwrap()
}

fn moment(slot: &Value) -> DateTime<Utc> {
    slot["at"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_comes_from_documents_and_open_questions_and_keeps_to_what_was_asked() {
    let room = Room::new().await;
    let owner = room.owner();
    owner.learn(&room.acme, "Morning yoga", GUIDE).await;
    owner.learn(&room.acme, "Handbook", HANDBOOK).await;
    // Asked twice, whatever the case, and never answered; and one that is answered.
    for question in [
        "Who repairs the coffee machine?",
        "who repairs the coffee machine?",
        "How many days of vacation are there?",
    ] {
        let asked = json!({"projectId": room.acme.project});
        room.member().ask(&room.acme, question, asked).await;
    }
    let open = "query($id: ID!) { project(id: $id) { openQuestions { question asked lastAskedAt } } }";
    let found = room.member().ok(open, json!({"id": room.acme.project})).await;
    let questions = found["project"]["openQuestions"].as_array().unwrap();
    assert_eq!(questions.len(), 1, "{questions:#?}");
    assert_eq!(
        (&questions[0]["question"], &questions[0]["asked"]),
        (&json!("who repairs the coffee machine?"), &json!(2))
    );

    let blackout = ["2027-03-28", "2027-03-29"];
    let event =
        json!({"title": "Open day", "date": "2027-03-31", "time": "18:30", "channels": ["INSTAGRAM"]});
    let pillars = json!([{"name": "Calm", "keyPhrases": ["morning yoga", "breath"]},
        {"name": "Office", "keyPhrases": ["vacation", "coffee machine"]}]);
    let asked = json!({"blackoutDates": blackout, "events": [event], "pillars": pillars, "seed": 4});
    let made = plan(&room, asked.clone()).await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    assert_eq!(made["job"]["engine"]["provider"], "builtin");
    let slots = slots(&made);
    assert!((7..=9).contains(&slots.len()), "{made:#}");

    let zone: chrono_tz::Tz = "Europe/Berlin".parse().unwrap();
    let mut per_week: BTreeMap<(&str, u32), u32> = BTreeMap::new();
    let mut last: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for slot in slots {
        let local = moment(slot).with_timezone(&zone);
        let day = local.format("%Y-%m-%d").to_string();
        assert!(
            ("2027-03-22".."2027-04-05").contains(&day.as_str()) && !blackout.contains(&day.as_str()),
            "{slot:#}"
        );
        assert!((8..=20).contains(&local.hour()), "{slot:#}");
        let channel = slot["channel"].as_str().unwrap();
        *per_week.entry((channel, local.iso_week().week())).or_default() += 1;
        if let Some(before) = last.insert(channel, moment(slot)) {
            assert!((moment(slot) - before).num_hours() >= 20, "{slot:#}");
        }
        assert!(slot["reason"].as_str().unwrap().len() > 10 && slot["title"].is_null(), "{slot:#}");
        if let Some(angle) = slot["angle"].as_str() {
            assert!(GUIDE.contains(angle) || HANDBOOK.contains(angle), "{slot:#}");
        }
    }
    assert!(per_week.values().all(|posts| (1..=3).contains(posts)), "{per_week:?}");
    let event = slots.iter().find(|slot| slot["topic"] == "Open day").unwrap();
    // Summer time begins on 28 March: half past six is two hours behind UTC.
    assert_eq!((&event["at"], &event["channel"]), (&json!("2027-03-31T16:30:00.000Z"), &json!("INSTAGRAM")));
    let topics: BTreeSet<&str> = slots.iter().map(|slot| slot["topic"].as_str().unwrap()).collect();
    assert!(topics.iter().any(|topic| topic.contains("coffee machine")), "{topics:?}");
    assert!(!topics.iter().any(|topic| topic.contains("How many days of vacation")), "{topics:?}");

    let gaps = made["strategy"]["gaps"].as_array().unwrap();
    assert!(gaps.iter().any(|gap| gap.as_str().unwrap().contains("coffee machine")), "{gaps:#?}");

    // The calendar is there as files, which calendars and tables read.
    let owner = room.owner();
    for (file, kind, mime, first) in [
        ("calendarIcs", "CALENDAR", "text/calendar", "BEGIN:VCALENDAR"),
        ("calendarCsv", "DOCUMENT", "text/csv", "date,time,utc,channel,pillar,"),
    ] {
        let asset = &made["strategy"][file];
        assert_eq!((&asset["kind"], &asset["mimeType"]), (&json!(kind), &json!(mime)), "{asset:#}");
        let fetched = files::get(&room.server, asset["url"].as_str().unwrap()).await;
        assert_eq!(fetched.status, 200, "{asset:#}");
        assert_eq!(fetched.body.len(), usize::try_from(asset["bytes"].as_i64().unwrap()).unwrap());
        let text = std::str::from_utf8(&fetched.body).unwrap();
        assert!(text.starts_with(first) && text.contains("Open day"), "{text}");
        if kind == "CALENDAR" {
            let read: icalendar::Calendar = text.parse().unwrap();
            assert_eq!(read.components.len(), slots.len());
        }
    }
    let listed = owner
        .ok(
            "query($id: ID!) { project(id: $id) { assets { nodes { kind } } } }",
            json!({"id": room.acme.project}),
        )
        .await;
    assert_eq!(listed["project"]["assets"]["nodes"].as_array().unwrap().len(), 2, "{listed:#}");

    // The same seed, input and data give the same plan.
    let again = plan(&room, asked).await;
    assert_eq!(again["strategy"]["slots"], made["strategy"]["slots"]);

    // Without pillars they are derived from the documents.
    let made = plan(&room, json!({})).await;
    let pillars = made["strategy"]["pillars"].as_array().unwrap();
    let shares: f64 = pillars.iter().map(|pillar| pillar["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 0.02 && pillars.len() >= 2, "{pillars:#?}");
    assert!(pillars.iter().any(|pillar| pillar["sources"][0]["title"] == "Morning yoga"), "{pillars:#?}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_keeps_its_own_cadence() {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    room.owner().learn(&room.acme, "Handbook", HANDBOOK).await;
    // Two whole weeks.
    let cadence = json!([
        {"channel": "INSTAGRAM", "postsPerWeek": 1, "formats": ["REEL"]},
        {"channel": "LINKEDIN", "postsPerWeek": 3, "spacingHours": 48},
    ]);
    let made = plan(
        &room,
        json!({"postsPerWeek": 2, "channels": ["INSTAGRAM", "LINKEDIN", "X"], "cadence": cadence}),
    )
    .await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    let of = |channel: &str| -> Vec<&Value> {
        slots(&made).iter().filter(|slot| slot["channel"] == json!(channel)).collect()
    };
    let counts = ["INSTAGRAM", "LINKEDIN", "X"].map(|channel| of(channel).len());
    assert_eq!(counts, [2, 6, 4], "{made:#}");
    assert!(of("INSTAGRAM").iter().all(|slot| slot["format"] == "REEL"), "{made:#}");
    assert!(of("LINKEDIN").iter().any(|slot| slot["format"] != "REEL"), "{made:#}");
    for pair in of("LINKEDIN").windows(2) {
        assert!((moment(pair[1]) - moment(pair[0])).num_hours() >= 48, "{pair:#?}");
    }
    room.workers.stop().await;
}

/// A file of past posts as an asset of the organization's.
async fn table(room: &Room, text: &str) -> Value {
    room.owner().keep_file(&room.acme, "DOCUMENT", text.as_bytes()).await["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn past_posts_come_from_a_file_and_what_is_wrong_with_it_is_named() {
    const PAST: &str = "job { status error { code message field } }
        strategy { id pastPosts { posts fromFile fromAccount measured oldestAt unusedColumns file { id } account { id } }
            slots { at channel topic reason } }";
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    // Twelve in the evening do better than twelve in the morning; of one the time is not known, and of one the channel is another.
    let row = |day: u32, time: &str, likes: u32| {
        format!(
            "Breathing through the nose calms the heart.;2026-11-{day:02}{time};Instagram;{likes};2;seen\n"
        )
    };
    let mut text = "\u{FEFF}Text;At;Channel;Likes;Comments;Reach\n".to_owned();
    text.extend((1..=12).map(|day| row(day, " 18:30", 38)));
    text.extend((13..=24).map(|day| row(day, " 09:15", 2)));
    text.push_str(&row(25, "", 900));
    text.push_str("\"Sun; and\nsalutations\";2026-10-31T07:00:00Z;X;;;\n");
    let file = table(&room, &text).await;
    let asked = json!({"goals": ["Calm"], "channels": ["INSTAGRAM", "LINKEDIN"], "postsPerWeek": 2, "language": "EN",
        "from": "2027-01-04T00:00:00+01:00", "until": "2027-01-18T00:00:00+01:00", "timezone": "Europe/Berlin"});
    let plan = async |file: &Value| {
        let mut input = asked.clone();
        input["pastPostsAssetId"] = file.clone();
        room.run("contentStrategyCreate", input, PAST).await
    };
    let made = plan(&file).await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    let past = json!({"posts": 26, "fromFile": 26, "fromAccount": 0, "measured": 24, "oldestAt": "2026-10-31T07:00:00.000Z",
        "unusedColumns": ["Reach"], "file": {"id": file}, "account": null});
    assert_eq!(made["strategy"]["pastPosts"], past, "{made:#}");
    let best = "At 18:00, 12 measured posts had 40 interactions on average, all posts 22.";
    for slot in slots(&made) {
        let reason = slot["reason"].as_str().unwrap();
        if slot["channel"] == "INSTAGRAM" {
            assert!(
                reason.contains(best) && slot["at"].as_str().unwrap().ends_with("T17:00:00.000Z"),
                "{slot:#}"
            );
        } else {
            assert!(reason.contains("Nothing is measured"), "another channel's hours are its own: {slot:#}");
        }
        if slot["topic"] == "Breathing" {
            assert!(reason.contains("25 earlier posts are about this topic"), "{slot:#}");
        }
    }

    // What is read stays told when the file goes.
    room.owner().mutate("assetDelete", json!({"id": file}), "").await;
    let shown =
        "query($id: ID!) { node(id: $id) { ... on ContentStrategy { pastPosts { posts file { id } } } } }";
    let node = room.member().ok(shown, json!({"id": made["strategy"]["id"]})).await["node"].clone();
    assert_eq!(node["pastPosts"], json!({"posts": 26, "file": null}));

    for (text, words) in [
        (text.replace(";38;2;seen", ";many;2;seen"), "Line 2, column `likes`: “many”"),
        (text.replace("2026-11-03 18:30", "3.11.2026"), "Line 4, column `at`: “3.11.2026”"),
        (text.replacen("Text;", "Words;", 1), "Line 1, column `text`"),
    ] {
        let failed = plan(&table(&room, &text).await).await;
        let error = &failed["job"]["error"];
        assert_eq!(
            (&failed["job"]["status"], &error["code"]),
            (&json!("FAILED"), &json!("INVALID")),
            "{failed:#}"
        );
        assert_eq!(error["field"], json!(["input", "pastPostsAssetId"]));
        assert!(error["message"].as_str().unwrap().contains(words), "{failed:#}");
    }
    let picture = room.owner().keep_file(&room.acme, "IMAGE", &files::png(4, 4)).await;
    let failed = plan(&picture["id"]).await;
    assert!(failed["job"]["error"]["message"].as_str().unwrap().contains("no table"), "{failed:#}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_posts_alone_show_what_has_been_posted_about() {
    let room = Room::new().await;
    let mut text = "at,text\n".to_owned();
    text.extend((1..=9).map(|day| {
        format!("2026-11-0{day},Sun salutations in the park wake body number {day}. #MorningYoga\n")
    }));
    let made = plan(&room, json!({"pastPostsAssetId": table(&room, &text).await})).await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    let pillars = made["strategy"]["pillars"].as_array().unwrap();
    let rests: Vec<_> =
        pillars.iter().map(|pillar| (&pillar["pastPosts"], &pillar["sources"], &pillar["share"])).collect();
    assert_eq!(rests, [(&json!(9), &json!([]), &json!(1.0))], "{made:#}");
    assert!(pillars[0]["keyPhrases"].to_string().contains("un salutations"), "{made:#}");
    let gaps = made["strategy"]["gaps"].to_string();
    assert!(slots(&made).is_empty() && gaps.contains("there is no topic left"), "{made:#}");
    room.workers.stop().await;
}

const DRAFTED: &str = "jobs { id agent status } project { id }
    strategy { slots { position at channel topic angle sources { title } job { id status error { code } }
        post { id state plannedAt scheduledAt strategy { id } variants { caption sources { quote document { title } } } } } }";

async fn draft(client: &Client<'_>, strategy: &Value, more: Value) -> Value {
    let mut input = json!({"strategyId": strategy});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.mutate("contentStrategyDraft", input, DRAFTED).await
}

/// The calendar of a strategy, once all jobs of a call have ended.
async fn after(client: &Client<'_>, strategy: &Value, drafted: &Value) -> Vec<Value> {
    for job in ids(drafted) {
        client.finished(&job).await;
    }
    draft(client, strategy, json!({"slots": []})).await["strategy"]["slots"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_drafts_many_posts_of_a_plan_and_none_of_them_twice() {
    let room = Room::new().await;
    let guide = room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    let event = json!({"title": "Quarterly barbecue", "date": "2027-03-31", "channels": ["LINKEDIN"]});
    let member = room.member();
    let made = plan(&room, json!({"events": [event]})).await;
    let (strategy, slots) = (made["strategy"]["id"].clone(), slots(&made).clone());
    let event = slots.iter().position(|slot| slot["topic"] == "Quarterly barbecue").unwrap();
    let (first, last) = (0, slots.len() - 1);
    assert!(event != first && event != last && slots.len() > 5, "{made:#}");

    let asked = json!({"slots": [last, first], "variants": 2, "idempotencyKey": "two"});
    let drafted = draft(&member, &strategy, asked.clone()).await;
    let jobs = drafted["jobs"].as_array().unwrap().clone();
    assert_eq!(jobs.len(), 2, "{drafted:#}");
    assert!(jobs.iter().all(|job| job["agent"] == "POST_COMPOSITION"), "{drafted:#}");
    assert_eq!(drafted["project"]["id"], room.acme.project.as_str());
    let seen = after(&member, &strategy, &drafted).await;
    for (place, slot) in seen.iter().enumerate() {
        assert_eq!(slot["position"], json!(place));
        if place != first && place != last {
            assert_eq!((&slot["job"], &slot["post"]), (&Value::Null, &Value::Null), "{slot:#}");
            continue;
        }
        let post = &slot["post"];
        assert_eq!(slot["sources"], json!([{"title": "Morning yoga"}]), "{slot:#}");
        assert_eq!((&post["state"], &post["scheduledAt"]), (&json!("DRAFT"), &Value::Null), "{slot:#}");
        assert_eq!((&post["plannedAt"], &post["strategy"]["id"]), (&slot["at"], &strategy), "{slot:#}");
        // It leans to the sentence that the plan starts from, and cites it.
        let sources = post["variants"][0]["sources"].to_string();
        assert!(sources.contains(slot["angle"].as_str().unwrap()), "{slot:#}");
        assert!(post["variants"].as_array().unwrap().len() <= 2);
    }
    assert_eq!((&seen[first]["job"]["id"], &seen[last]["job"]["id"]), (&jobs[0]["id"], &jobs[1]["id"]));

    // The same call is the same jobs; the same posts by another call are none.
    assert_eq!(ids(&draft(&member, &strategy, asked).await), ids(&drafted));
    assert!(ids(&draft(&member, &strategy, json!({"slots": [first, last]})).await).is_empty());

    // Whoever drafts the others at the same time: each of them is drafted once.
    let others = futures_util::future::join_all((0..4).map(|_| draft(&member, &strategy, json!({})))).await;
    let all: Vec<String> = others.iter().flat_map(ids).collect();
    assert_eq!(all.len(), slots.len() - 2, "{others:#?}");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    let others = others.into_iter().find(|drafted| !ids(drafted).is_empty()).unwrap();
    let seen = after(&member, &strategy, &others).await;
    let (failed, done): (Vec<&Value>, Vec<&Value>) = seen.iter().partition(|slot| slot["post"].is_null());
    assert_eq!(
        failed.iter().map(|slot| &slot["position"]).collect::<Vec<_>>(),
        [&json!(event)],
        "{failed:#?}"
    );
    assert_eq!(failed[0]["job"]["error"]["code"], "INSUFFICIENT_INPUT", "nothing is known of it");
    let captions: BTreeSet<&str> =
        done.iter().map(|slot| slot["post"]["variants"][0]["caption"].as_str().unwrap()).collect();
    let topics: BTreeSet<&str> = done.iter().map(|slot| slot["topic"].as_str().unwrap()).collect();
    assert!(captions.len() > topics.len(), "a topic that comes again is said otherwise: {captions:#?}");

    // What has failed is drafted anew by whoever drafts the rest; a draft that was deleted, by who names it.
    let again = draft(&member, &strategy, json!({})).await;
    assert_eq!(ids(&again).len(), 1, "{again:#}");
    member.finished(&ids(&again)[0]).await;
    room.owner().mutate("outputDelete", json!({"id": seen[first]["post"]["id"]}), "").await;
    let seen = after(&member, &strategy, &again).await;
    assert_eq!(seen[first]["post"], Value::Null);
    let again = draft(&member, &strategy, json!({"slots": [first, last]})).await;
    let seen = after(&member, &strategy, &again).await;
    assert_eq!(ids(&again).len(), 1, "{again:#}");
    assert_eq!(seen[first]["job"]["id"].as_str(), Some(ids(&again)[0].as_str()));
    assert!(seen[first]["post"]["id"].is_string());

    // A plan whose document is gone has no sources, and posts outlive their plan.
    room.owner().mutate("documentDelete", json!({"id": guide}), "").await;
    let shown = "query($id: ID!) { node(id: $id) { ... on ContentStrategy { slots { sources { id } } } } }";
    let node = member.ok(shown, json!({"id": strategy})).await["node"].clone();
    assert_eq!(node["slots"][first]["sources"], json!([]));
    room.owner().mutate("outputDelete", json!({"id": strategy}), "").await;
    let shown = "query($id: ID!) { node(id: $id) { ... on Post { plannedAt strategy { id } } } }";
    let node = member.ok(shown, json!({"id": seen[first]["post"]["id"]})).await["node"].clone();
    assert_eq!(node, json!({"plannedAt": seen[first]["at"], "strategy": null}));
    drop(member);
    room.workers.stop().await;
}

fn ids(drafted: &Value) -> Vec<String> {
    drafted["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_ordered_all_or_none() {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    let made = plan(&room, json!({})).await;
    let strategy = &made["strategy"]["id"];
    let count = slots(&made).len();
    let Room { server, acme, workers, .. } = room;
    workers.stop().await;
    let member = acme.member.at(&server);
    let fault = async |more: Value| {
        let mut input = json!({"strategyId": strategy});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        member.fault("contentStrategyDraft", input).await
    };
    for (more, code) in [
        (json!({"slots": [0, count]}), "OUT_OF_RANGE"),
        (json!({"slots": [-1]}), "OUT_OF_RANGE"),
        (json!({"slots": vec![0; 51]}), "TOO_LONG"),
        (json!({"variants": 7}), "OUT_OF_RANGE"),
        (json!({"tone": "x".repeat(101)}), "TOO_LONG"),
        (json!({"engine": {"provider": "nobody", "model": "m"}}), "PROVIDER_NOT_CONFIGURED"),
        (json!({"strategyId": "pst_00000000000000000000000000"}), "INVALID"),
    ] {
        assert_eq!(fault(more.clone()).await, code, "{more}");
    }
    // Of three posts with room for two, none is drafted; nothing is noted, so that two are drafted afterwards.
    let [before] = used(&member, ["AGENT_RUNS"]).await;
    limit(&server, &acme, &json!({"AGENT_RUNS": before + 2})).await;
    assert_eq!(fault(json!({"slots": [0, 1, 2], "idempotencyKey": "k"})).await, "QUOTA_EXCEEDED");
    assert_eq!(used(&member, ["AGENT_RUNS"]).await, [before]);
    let drafted = draft(&member, strategy, json!({"slots": [0, 1], "idempotencyKey": "k"})).await;
    assert_eq!(ids(&drafted).len(), 2, "{drafted:#}");
    assert_eq!(used(&member, ["AGENT_RUNS"]).await, [before + 2]);
    agrees(&server).await;
    // Who cancels one makes room for another one.
    member.mutate("jobCancel", json!({"id": ids(&drafted)[1]}), "").await;
    let again = draft(&member, strategy, json!({"slots": [0, 1]})).await;
    assert_eq!(ids(&again).len(), 1, "{again:#}");
    assert_eq!(fault(json!({"slots": [1, 0], "idempotencyKey": "k"})).await, "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn holidays_of_a_calendar_are_days_without_posts() {
    use icalendar::{Calendar, Component as _, Event, EventLike as _};
    const FREE: &str = "job { status error { code message field } } strategy { holidays slots { at } gaps }";
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    let day = |text: &str| text.parse::<chrono::NaiveDate>().unwrap();
    let calendar = |more: Option<Event>| {
        let mut calendar = Calendar::new();
        calendar
            .push(Event::new().summary("Easter").starts(day("2027-03-26")).ends(day("2027-03-30")).done());
        let monthly = Event::new().summary("First").all_day(day("2020-01-01")).done();
        calendar.push(monthly.clone().add_property("RRULE", "FREQ=MONTHLY").done());
        calendar.push(Event::new().summary("Christmas").all_day(day("2027-12-25")).done());
        let noon: DateTime<Utc> = "2027-03-24T12:00:00Z".parse().unwrap();
        calendar
            .push(Event::new().summary("Lunch").starts(noon).ends(noon + chrono::TimeDelta::hours(1)).done());
        calendar.extend(more);
        calendar.done().to_string()
    };
    let planned = async |file: &Value, more: Value| {
        let mut asked = json!({"goals": ["Calm"], "channels": ["X"], "postsPerWeek": 7, "language": "EN", "holidaysAssetId": file,
            "from": "2027-03-22T00:00:00+01:00", "until": "2027-04-05T00:00:00+02:00", "timezone": "Europe/Berlin"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room.run("contentStrategyCreate", asked, FREE).await
    };
    let keep = async |text: String| {
        room.owner().keep_file(&room.acme, "CALENDAR", text.as_bytes()).await["id"].clone()
    };
    let file = keep(calendar(None)).await;
    let made = planned(&file, json!({})).await;
    let free = ["2027-03-26", "2027-03-27", "2027-03-28", "2027-03-29", "2027-04-01"];
    assert_eq!(made["strategy"]["holidays"], json!(free), "{made:#}");
    let zone: chrono_tz::Tz = "Europe/Berlin".parse().unwrap();
    let days: BTreeSet<String> =
        slots(&made).iter().map(|slot| moment(slot).with_timezone(&zone).date_naive().to_string()).collect();
    assert!(days.contains("2027-03-24") && free.iter().all(|day| !days.contains(*day)), "{days:?}");

    let event = json!({"events": [{"title": "Open day", "date": "2027-03-28"}]});
    let failed = planned(&file, event).await;
    assert_eq!(
        (&failed["job"]["error"]["code"], &failed["job"]["error"]["field"]),
        (&json!("INVALID"), &json!(["input", "events"]))
    );
    let never = Event::new()
        .summary("New Year")
        .all_day(day("2027-01-01"))
        .add_property("RRULE", "FREQ=NEVER")
        .done();
    let text = room.owner().keep_file(&room.acme, "DOCUMENT", b"2027-03-26").await["id"].clone();
    for (file, words) in
        [(keep(calendar(Some(never))).await, "“New Year” repeats by a rule"), (text, "no calendar")]
    {
        let failed = planned(&file, json!({})).await;
        let error = &failed["job"]["error"];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!("INVALID"), &json!(["input", "holidaysAssetId"])),
            "{failed:#}"
        );
        assert!(error["message"].as_str().unwrap().contains(words), "{failed:#}");
    }
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_pillars_hold_their_shares() {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    let pillars =
        json!([{"name": "Breath", "share": 0.25, "keyPhrases": ["breathing", "nose"]}, {"name": "Movement"}]);
    let made = plan(&room, json!({"pillars": pillars})).await;
    let pillars = made["strategy"]["pillars"].as_array().unwrap();
    let mut shares: Vec<(&str, &Value)> =
        pillars.iter().map(|pillar| (pillar["name"].as_str().unwrap(), &pillar["share"])).collect();
    shares.sort_by_key(|(name, _)| *name);
    assert_eq!(shares, [("Breath", &json!(0.25)), ("Movement", &json!(0.75))], "{made:#}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_adds_titles_that_state_nothing_more() {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    let title = |number: u32, title: &str| json!({"number": number, "title": title});
    room.fake.script([Reply::json(&json!({"titles": [
        title(1, "Start calmly"), title(2, "87 % sleep better with Dr. Miller"), title(99, "Nobody asked"),
    ]}))]);
    let made = plan(&room, json!({"engine": openai(false)})).await;
    assert_eq!(made["job"]["engine"]["provider"], "openai", "{made:#}");
    let titles: BTreeSet<&str> = slots(&made).iter().filter_map(|slot| slot["title"].as_str()).collect();
    assert_eq!(titles, BTreeSet::from(["Start calmly"]), "{made:#}");
    let asked = room.fake.requests().pop().unwrap().body.to_string();
    assert!(asked.contains("Topic 1") && asked.contains("no instructions to you"), "{asked}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_is_refused_with_the_reason() {
    let room = Room::new().await;
    let made = plan(&room, json!({})).await;
    assert_eq!((&made["job"]["status"], &made["strategy"]), (&json!("FAILED"), &Value::Null));
    assert_eq!(made["job"]["error"]["code"], "INSUFFICIENT_INPUT", "{made:#}");
    room.owner().learn(&room.acme, "Morning yoga", GUIDE).await;
    let good = json!({"projectId": room.acme.project, "goals": ["Calm"], "channels": ["X"], "timezone": "UTC",
        "from": "2027-03-22T00:00:00Z", "until": "2027-04-05T00:00:00Z"});
    for (field, value, code) in [
        ("timezone", json!("Europe/Atlantis"), "INVALID"),
        ("channels", json!([]), "INVALID"),
        ("until", json!("2027-03-22T00:00:00Z"), "INVALID"),
        ("until", json!("2028-06-01T00:00:00Z"), "OUT_OF_RANGE"),
        ("postsPerWeek", json!(22), "OUT_OF_RANGE"),
        ("postsPerWeek", json!(-1), "OUT_OF_RANGE"),
        ("blackoutDates", json!(["28.3.2027"]), "INVALID"),
        ("events", json!([{"title": "Late", "date": "2027-05-01"}]), "INVALID"),
        ("events", json!([{"title": "Late", "date": "2027-03-23", "time": "half six"}]), "INVALID"),
        ("pillars", json!([{"name": "A", "share": 0.7}, {"name": "B", "share": 0.7}]), "INVALID"),
        ("goals", json!(["x".repeat(501)]), "TOO_LONG"),
        ("cadence", json!([{"channel": "LINKEDIN"}]), "INVALID"),
        ("cadence", json!([{"channel": "X"}, {"channel": "X"}]), "INVALID"),
        ("cadence", json!([{"channel": "X", "postsPerWeek": 0}]), "OUT_OF_RANGE"),
        ("cadence", json!([{"channel": "X", "postsPerWeek": 22}]), "OUT_OF_RANGE"),
        ("cadence", json!([{"channel": "X", "spacingHours": -1}]), "OUT_OF_RANGE"),
        ("cadence", json!([{"channel": "X", "postsPerWeek": 3, "spacingHours": 57}]), "INVALID"),
        ("cadence", json!([{"channel": "X", "formats": ["FILM"]}]), "INVALID"),
    ] {
        let mut input = good.clone();
        input[field] = value;
        assert_eq!(room.member().fault("contentStrategyCreate", input.clone()).await, code, "{input}");
    }
    let made = room.member().mutate("contentStrategyCreate", good, "job { id }").await;
    assert!(made["job"]["id"].is_string(), "{made:#}");
    room.workers.stop().await;
}
