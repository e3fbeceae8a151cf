//! The agents whose results are read as a whole: what they make without a key, what a model adds, and what is kept.

use icalendar::Component as _;
use serde_json::{Value, json};

use crate::support::provider::Reply;
use crate::support::work::{Room, openai};
use crate::support::{cast, files};

const AFFIRMED: &str = "job { id status engine { provider model promptTokens } error { code message field } }
    affirmations { id language period { key } affirmations { text basedOn wordCount firstPerson presentTense positive novelty }
        unused { input reason } }
    project { id }";
const RESEARCHED: &str = "job { id status engine { provider } error { code message field } }
    hashtags { id hashtags { tag score relevance distinctiveness usedByUs source } groups warnings }";

async fn affirm(room: &Room, more: Value) -> Value {
    room.run("affirmationsGenerate", more, AFFIRMED).await
}

async fn research(room: &Room, more: Value) -> Value {
    room.run("hashtagResearch", more, RESEARCHED).await
}

fn texts(set: &Value) -> Vec<&str> {
    set["affirmations"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn affirmations_come_from_the_persons_own_goals_in_both_languages() {
    let room = Room::new().await;
    let goals = ["I want to stop doubting my work", "I would like to sleep better", "xyzzy"];
    let asked = json!({"goals": goals, "language": "EN", "count": 4, "seed": 7});
    let made = affirm(&room, asked.clone()).await;
    assert_eq!(
        (&made["job"]["status"], &made["job"]["engine"]["provider"]),
        (&json!("SUCCEEDED"), &json!("builtin"))
    );
    let set = &made["affirmations"];
    let lines = set["affirmations"].as_array().unwrap();
    assert_eq!(lines.len(), 4, "{made:#}");
    for line in lines {
        assert!(
            line["firstPerson"] == true && line["presentTense"] == true && line["positive"] == true,
            "{line}"
        );
        assert!(goals[..2].contains(&line["basedOn"].as_str().unwrap()), "{line}");
        assert!(!line["text"].as_str().unwrap().contains("doubt"), "{line}");
    }
    assert_eq!(set["unused"][0]["input"], "xyzzy");
    assert!(set["unused"][0]["reason"].as_str().unwrap().len() > 20);

    // Nothing is said twice: the next set knows this one.
    let again = affirm(&room, asked).await;
    let before = texts(set);
    assert!(texts(&again["affirmations"]).iter().all(|line| !before.contains(line)), "{again:#}");

    let period = room.member().ok("{ periods { id key } }", json!({})).await["periods"][2].clone();
    let german = json!({"goals": ["Ich möchte mutiger sein"], "periodId": period["id"], "count": 3});
    let made = affirm(&room, german).await;
    assert_eq!(
        (&made["affirmations"]["language"], &made["affirmations"]["period"]["key"]),
        (&json!("DE"), &period["key"])
    );
    assert!(texts(&made["affirmations"]).iter().all(|line| line.contains("mutig")), "{made:#}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_honestly_be_made_is_refused_with_the_reason() {
    let room = Room::new().await;
    let made = affirm(&room, json!({"goals": ["Qwrtz vbnm"], "language": "DE"})).await;
    assert_eq!((&made["job"]["status"], &made["affirmations"]), (&json!("FAILED"), &Value::Null));
    assert_eq!(made["job"]["error"]["code"], "INSUFFICIENT_INPUT");
    assert!(made["job"]["error"]["message"].as_str().unwrap().contains("\"Qwrtz vbnm\""), "{made:#}");
    let made =
        affirm(&room, json!({"goals": ["I want to kill myself"], "language": "EN", "engine": openai(false)}))
            .await;
    assert!(made["job"]["error"]["message"].as_str().unwrap().contains("988"), "{made:#}");
    let goals = ["I want to kill myself", "I would like to sleep better"];
    let made = affirm(&room, json!({"goals": goals, "language": "EN", "engine": openai(false)})).await;
    let unused = &made["affirmations"]["unused"][0];
    assert_eq!((&unused["input"], &made["job"]["engine"]["provider"]), (&json!(goals[0]), &json!("builtin")));
    assert!(unused["reason"].as_str().unwrap().contains("988"), "{made:#}");
    assert_eq!(room.fake.requests().len(), 0, "no model is asked to write over it");
    let project = &room.acme.project;
    for (field, input, code) in [
        ("affirmationsGenerate", json!({"projectId": project, "goals": []}), "OUT_OF_RANGE"),
        ("affirmationsGenerate", json!({"projectId": project, "goals": ["x".repeat(501)]}), "TOO_LONG"),
        ("affirmationsGenerate", json!({"projectId": project, "goals": ["a"], "count": 21}), "OUT_OF_RANGE"),
        ("affirmationsGenerate", json!({"projectId": project, "goals": ["a"], "count": -1}), "OUT_OF_RANGE"),
        (
            "affirmationsGenerate",
            json!({"projectId": project, "goals": ["a"], "maxWords": 4}),
            "OUT_OF_RANGE",
        ),
        (
            "affirmationsGenerate",
            json!({"projectId": project, "goals": ["a"], "engine": {"provider": "openai"}}),
            "REQUIRED",
        ),
        (
            "affirmationsGenerate",
            json!({"projectId": project, "goals": ["a"], "engine": {"provider": "nobody", "model": "m"}}),
            "PROVIDER_NOT_CONFIGURED",
        ),
        ("hashtagResearch", json!({"projectId": project, "text": " "}), "REQUIRED"),
        ("hashtagResearch", json!({"projectId": project, "text": "a", "count": 31}), "OUT_OF_RANGE"),
        ("hashtagResearch", json!({"projectId": project, "text": "a", "mix": {"text": 101}}), "OUT_OF_RANGE"),
        ("hashtagResearch", json!({"projectId": project, "text": "a", "mix": {"brand": -1}}), "OUT_OF_RANGE"),
        (
            "hashtagResearch",
            json!({"projectId": project, "text": "a", "mix": {"text": 0, "corpus": 0, "brand": 0, "period": 0, "provider": 0}}),
            "INVALID",
        ),
    ] {
        assert_eq!(room.member().fault(field, input.clone()).await, code, "{input}");
    }
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_affirmations_pass_the_same_checks_and_failures_are_asked_for_once_more() {
    let room = Room::new().await;
    let line = |text: &str, goal: u32| json!({"text": text, "goal": goal});
    room.fake.script([
        Reply::json(&json!({"affirmations": [
            line("I trust my work.", 1), line("I never doubt my work.", 1), line("You are great.", 1), line("I am calm.", 9),
        ]}))
        .tokens(100, 20),
        Reply::json(&json!({"affirmations": [line("I believe in what I make.", 1)]})).tokens(50, 10),
    ]);
    let asked = json!({"goals": ["I want to stop doubting my work"], "language": "EN", "count": 2, "engine": openai(false)});
    let made = affirm(&room, asked.clone()).await;
    assert_eq!(texts(&made["affirmations"]), ["I trust my work.", "I believe in what I make."], "{made:#}");
    let engine = &made["job"]["engine"];
    assert_eq!((&engine["provider"], &engine["promptTokens"]), (&json!("openai"), &json!(150)));
    let second = room.fake.requests().pop().unwrap().body.to_string();
    assert!(second.contains("I never doubt my work.") && second.contains("You are great."), "{second}");

    // When the provider fails, the built-in engine works if it may, and the result says so.
    room.fake.script([Reply::insufficient_quota()]);
    let made =
        affirm(&room, json!({"goals": asked["goals"], "language": "EN", "engine": openai(true)})).await;
    assert_eq!(made["job"]["engine"]["provider"], "builtin", "{made:#}");
    let job = room.member().job(made["job"]["id"].as_str().unwrap()).await;
    assert!(job["events"].to_string().contains("\"fallback\""), "{job:#}");
    room.fake.script([Reply::insufficient_quota()]);
    let made = affirm(&room, asked).await;
    assert_eq!(made["job"]["error"]["code"], "PROVIDER_FAILED", "{made:#}");
    assert_eq!(room.fake.left(), 0);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn value_phrases_of_the_documents_colour_lines_and_are_quoted() {
    let room = Room::new().await;
    let text = "# How we work\n\nWe never lack trust. Äpfel are free. We meet each other with quiet confidence and genuine kindness.\n";
    let values = room.owner().learn(&room.acme, "Values", text).await;
    let select = "affirmations { affirmations { text basedOn source { quote startOffset endOffset documentVersion document { id } } } }";
    let asked = json!({"goals": ["I want to listen better"], "language": "EN", "count": 12, "seed": 3});
    let made = room.run("affirmationsGenerate", asked, select).await;
    let lines = made["affirmations"]["affirmations"].as_array().unwrap();
    let (coloured, plain): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line["source"] != Value::Null);
    assert!(!coloured.is_empty() && !plain.is_empty(), "{made:#}");
    for line in coloured {
        let said = line["text"].as_str().unwrap();
        assert!(said.contains("quiet confidence") || said.contains("genuine kindness"), "{line:#}");
        let source = &line["source"];
        assert_eq!((&source["document"]["id"], &source["documentVersion"]), (&json!(values), &json!(1)));
        assert_eq!(source["quote"], "We meet each other with quiet confidence and genuine kindness.");
        let [start, end] =
            ["startOffset", "endOffset"].map(|at| usize::try_from(source[at].as_u64().unwrap()).unwrap());
        let cut: String = text.chars().skip(start).take(end - start).collect();
        assert_eq!(source["quote"], cut, "letter for letter");
        assert_eq!(line["basedOn"], "I want to listen better");
    }
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_there_as_a_text_and_with_a_schedule_as_a_calendar() {
    let room = Room::new().await;
    let select =
        "job { error { code message } } affirmations { id affirmations { text at } unused { input reason }
        textFile { id kind mimeType url } calendarIcs { id kind mimeType url } }";
    let made = async |more: Value| {
        let mut asked = json!({"goals": ["I want to trust my work", "I would like to sleep better"], "language": "EN",
            "count": 3, "seed": 1});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room.run("affirmationsGenerate", asked, select).await["affirmations"].clone()
    };
    let fetch = async |asset: &Value, kind: &str, mime: &str| {
        assert_eq!((&asset["kind"], &asset["mimeType"]), (&json!(kind), &json!(mime)), "{asset:#}");
        let fetched = files::get(&room.server, asset["url"].as_str().unwrap()).await;
        assert_eq!(fetched.status, 200, "{asset:#}");
        String::from_utf8(fetched.body.clone()).unwrap()
    };
    let plain = made(json!({})).await;
    let lines = texts(&plain);
    assert_eq!(fetch(&plain["textFile"], "DOCUMENT", "text/plain").await, format!("{}\n", lines.join("\n")));
    assert_eq!(plain["calendarIcs"], Value::Null);
    assert!(plain["affirmations"].as_array().unwrap().iter().all(|line| line["at"] == Value::Null));

    // Summer time begins on 28 March 2027.
    let schedule = json!({"startsOn": "2027-03-27", "time": "07:30", "timezone": "Europe/Berlin"});
    let timed = made(json!({"schedule": schedule, "audience": "first-time leads"})).await;
    let moments: Vec<&Value> =
        timed["affirmations"].as_array().unwrap().iter().map(|line| &line["at"]).collect();
    assert_eq!(moments, ["2027-03-27T06:30:00.000Z", "2027-03-28T05:30:00.000Z", "2027-03-29T05:30:00.000Z"]);
    let text = fetch(&timed["calendarIcs"], "CALENDAR", "text/calendar").await;
    let read: icalendar::Calendar = text.parse().unwrap();
    let events: Vec<(String, String)> = read
        .components
        .iter()
        .filter_map(
            |one| if let icalendar::CalendarComponent::Event(event) = one { Some(event) } else { None },
        )
        .map(|event| {
            let begins = event.property_value("DTSTART").unwrap();
            (event.get_summary().unwrap().to_owned(), begins.to_owned())
        })
        .collect();
    let begins = ["20270327T063000Z", "20270328T053000Z", "20270329T053000Z"];
    let expected: Vec<(String, String)> =
        texts(&timed).into_iter().zip(begins).map(|(line, at)| (line.to_owned(), at.to_owned())).collect();
    assert_eq!(events, expected);
    // Whom they are for is more than grammar knows.
    let unused = &timed["unused"][0];
    assert_eq!(unused["input"], "first-time leads");
    assert!(unused["reason"].as_str().unwrap().contains("built-in engine"), "{timed:#}");

    // The files go with the set, and none of them alone.
    let owner = room.owner();
    for file in ["textFile", "calendarIcs"] {
        assert_eq!(owner.fault("assetDelete", json!({"id": timed[file]["id"]})).await, "CONFLICT");
    }
    owner.mutate("outputDelete", json!({"id": timed["id"]}), "").await;
    for file in ["textFile", "calendarIcs"] {
        let node =
            owner.ok("query($id: ID!) { node(id: $id) { id } }", json!({"id": timed[file]["id"]})).await;
        assert_eq!(node["node"], Value::Null, "{file}");
    }

    for (wrong, code, field) in [
        (json!({"startsOn": "soon"}), "INVALID", "startsOn"),
        (json!({"startsOn": "1999-12-31"}), "OUT_OF_RANGE", "startsOn"),
        (json!({"time": "7.30"}), "INVALID", "time"),
        (json!({"timezone": "Mars/Olympus"}), "INVALID", "timezone"),
        (json!({"everyDays": 0}), "OUT_OF_RANGE", "everyDays"),
    ] {
        let mut schedule = schedule.clone();
        schedule.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let asked = json!({"projectId": room.acme.project, "goals": ["I want to trust my work"], "schedule": schedule});
        let payload = room.member().try_mutate("affirmationsGenerate", asked, "").await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!(code), &json!(["input", "schedule", field])),
            "{wrong}"
        );
    }

    // A model is told whom it writes for.
    let line = json!({"text": "I believe in what I make.", "goal": 1});
    room.fake.script([Reply::json(&json!({"affirmations": [line]}))]);
    let led = made(json!({"audience": "first-time leads", "count": 1, "engine": openai(false)})).await;
    assert_eq!(texts(&led), ["I believe in what I make."]);
    assert!(!led["unused"].to_string().contains("first-time leads"), "{led:#}");
    assert!(room.fake.requests()[0].body.to_string().contains("Audience: first-time leads"));
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hashtags_come_from_the_text_the_brand_and_the_period_with_what_speaks_for_them() {
    let room = Room::new().await;
    let settings = json!({"id": room.acme.project, "settings": {"defaultHashtags": ["#AcmeYoga"]}});
    room.owner().mutate("projectUpdate", settings, "").await;
    let text = "Morning yoga helps you start the day with energy. Our morning yoga class begins at seven, and breathing \
        exercises follow the yoga class.";
    let asked = json!({"text": text, "language": "EN", "count": 8, "banned": ["class"], "mustInclude": ["#Breathing"], "seed": 1});
    let made = research(&room, asked.clone()).await;
    let set = &made["hashtags"];
    let tags: Vec<&str> =
        set["hashtags"].as_array().unwrap().iter().map(|tag| tag["tag"].as_str().unwrap()).collect();
    assert!(
        tags.contains(&"#AcmeYoga") && tags.contains(&"#Breathing") && tags.contains(&"#MorningYoga"),
        "{made:#}"
    );
    assert!(tags.iter().all(|tag| !tag.to_lowercase().contains("class")), "{tags:?}");
    let sources = set["hashtags"].to_string();
    assert!(sources.contains("BRAND") && sources.contains("TEXT"), "{sources}");
    assert!(set["groups"][0].as_str().unwrap().starts_with('#'));
    assert!(set["warnings"].to_string().contains("documents"), "there are none to compare with: {set:#}");
    // The same input, seed and data give the same output.
    assert_eq!(research(&room, asked).await["hashtags"]["hashtags"], set["hashtags"]);

    // A model's ideas are scored by the same function.
    room.fake.script([Reply::json(&json!({"hashtags": ["#SunSalutation", "not a tag!", "#Class"]}))]);
    let made = research(
        &room,
        json!({"text": text, "language": "EN", "banned": ["class"], "engine": openai(false)}),
    )
    .await;
    let list = made["hashtags"]["hashtags"].as_array().unwrap();
    let idea = list.iter().find(|tag| tag["tag"] == "#SunSalutation").unwrap_or_else(|| panic!("{made:#}"));
    assert_eq!((&idea["source"], &made["job"]["engine"]["provider"]), (&json!("PROVIDER"), &json!("openai")));
    assert!(list.iter().all(|tag| tag["tag"] != "#Class"), "{made:#}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashtag_shows_the_posts_that_use_it_and_sources_fill_a_set_as_they_are_mixed() {
    const PARTS: &str = "job { status } hashtags { id hashtags { tag source usedByUs score relevance distinctiveness orgUsage length posts { id } } }";
    let room = Room::new().await;
    let settings =
        json!({"id": room.acme.project, "settings": {"defaultHashtags": ["#AcmeYoga", "#AcmeRests"]}});
    let owner = room.owner();
    owner.mutate("projectUpdate", settings, "").await;
    // Six approved posts have it, and one that is none yet.
    let mut posts = Vec::new();
    for number in 1..=7 {
        let post = cast::output(&room.server, &room.acme, "POST_COMPOSITION").await;
        let caption = format!("Morning yoga wakes the body, part {number}. #MorningYoga");
        owner.mutate("postUpdate", json!({"id": post, "caption": caption}), "").await;
        for state in ["IN_REVIEW", "APPROVED"] {
            if number < 7 {
                owner.mutate("postUpdate", json!({"id": post, "state": state}), "").await;
            }
        }
        posts.push(post);
    }
    let text = "Morning yoga helps you start the day with energy. Breathing exercises follow the morning yoga class.";
    let found = async |mix: Value| {
        let asked = json!({"text": text, "language": "EN", "count": 4, "mix": mix});
        room.run("hashtagResearch", asked, PARTS).await["hashtags"].clone()
    };
    let set = found(Value::Null).await;
    let list = set["hashtags"].as_array().unwrap();
    let tag = list.iter().find(|tag| tag["tag"] == "#MorningYoga").unwrap_or_else(|| panic!("{set:#}"));
    let newest: Vec<Value> = posts[1..6].iter().rev().map(|id| json!({"id": id})).collect();
    assert_eq!((&tag["usedByUs"], &tag["posts"]), (&json!(6), &json!(newest)), "{tag:#}");
    assert_eq!((&tag["orgUsage"], &tag["length"]), (&json!(0.6667), &json!(1.0)), "{tag:#}");
    let unused = list.iter().find(|tag| tag["usedByUs"] == 0 && tag["source"] == "TEXT").unwrap();
    assert_eq!((&unused["posts"], &unused["orgUsage"]), (&json!([]), &json!(0.0)));
    for tag in list {
        let part = |name: &str| tag[name].as_f64().unwrap();
        let whole = 0.55 * part("relevance")
            + 0.2 * part("distinctiveness")
            + 0.15 * part("orgUsage")
            + 0.1 * part("length");
        assert!(part("score") <= whole + 0.001, "{tag:#}");
    }

    // What was deleted is no evidence any more.
    owner.mutate("outputDelete", json!({"id": posts[5]}), "").await;
    let shown = "query($id: ID!) { node(id: $id) { ... on HashtagSet { hashtags { tag posts { id } } } } }";
    let node = owner.ok(shown, json!({"id": set["id"]})).await["node"].clone();
    let tag = node["hashtags"].as_array().unwrap().iter().find(|tag| tag["tag"] == "#MorningYoga").unwrap();
    assert_eq!(tag["posts"], json!(newest[1..]), "{node:#}");

    let sources = |set: &Value| -> Vec<String> {
        let list = set["hashtags"].as_array().unwrap().iter();
        let mut sources: Vec<String> = list.map(|tag| tag["source"].as_str().unwrap().to_owned()).collect();
        sources.sort();
        sources
    };
    assert_eq!(sources(&found(json!({"brand": 12})).await), ["BRAND", "BRAND", "TEXT", "TEXT"]);
    assert_eq!(sources(&found(json!({"brand": 0})).await), ["TEXT", "TEXT", "TEXT", "TEXT"]);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brands_banned_words_are_in_no_affirmation_and_no_hashtag() {
    let room = Room::new().await;
    let affirmed = json!({"goals": ["I want to trust my work"], "language": "EN", "count": 3, "seed": 1});
    let text = "Morning yoga helps you start the day with energy. Breathing exercises follow the yoga class.";
    let tagged = json!({"text": text, "language": "EN", "seed": 1});
    let made = affirm(&room, affirmed.clone()).await;
    assert!(texts(&made["affirmations"]).iter().all(|line| line.contains("trust my work")), "{made:#}");
    let tags = |made: &Value| made["hashtags"]["hashtags"].to_string().to_lowercase();
    assert!(tags(&research(&room, tagged.clone()).await).contains("yoga"));
    let settings = json!({"bannedWords": ["trusting", "yoga"]});
    room.owner().mutate("organizationUpdate", json!({"id": room.acme.id, "settings": settings}), "").await;
    let made = affirm(&room, affirmed.clone()).await;
    assert_eq!(made["job"]["error"]["code"], "INSUFFICIENT_INPUT", "{made:#}");
    let made = research(&room, tagged).await;
    assert!(tags(&made).contains("breathing") && !tags(&made).contains("yoga"), "{made:#}");
    // A project that bans nothing says so.
    let settings = json!({"id": room.acme.project, "settings": {"bannedWords": []}});
    room.owner().mutate("projectUpdate", settings, "").await;
    assert_eq!(affirm(&room, affirmed).await["job"]["status"], "SUCCEEDED");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_all_agents_are_listed_rated_and_deleted_alike() {
    let room = Room::new().await;
    let goals = json!({"goals": ["I want to trust my work"], "language": "EN", "idempotencyKey": "once"});
    let made = affirm(&room, goals.clone()).await;
    assert_eq!(affirm(&room, goals).await["job"]["id"], made["job"]["id"], "the same call is the same job");
    let set = made["affirmations"]["id"].as_str().unwrap();
    let tags = research(&room, json!({"text": "Morning yoga", "language": "EN"})).await;
    let tags = tags["hashtags"]["id"].as_str().unwrap();
    let owner = room.owner();
    let list = "query($id: ID!) { project(id: $id) { outputs { nodes { __typename id createdBy { ... on User { id } }
        job { agent } ratings { stars } } } } }";
    let rated =
        owner.mutate("outputRate", json!({"id": set, "stars": 4}), "output { id ratings { stars } }").await;
    assert_eq!(rated["output"], json!({"id": set, "ratings": [{"stars": 4}]}));
    let by = json!({"id": room.acme.member.id});
    let found = owner.ok(list, json!({"id": room.acme.project})).await;
    assert_eq!(
        found["project"]["outputs"]["nodes"],
        json!([
            {"__typename": "HashtagSet", "id": tags, "createdBy": by, "job": {"agent": "HASHTAG_RESEARCH"}, "ratings": []},
            {"__typename": "AffirmationSet", "id": set, "createdBy": by, "job": {"agent": "AFFIRMATIONS"}, "ratings": [{"stars": 4}]},
        ])
    );
    // An id with another agent's prefix names nothing.
    let swapped = set.replacen("afs_", "hts_", 1);
    let node = "query($id: ID!) { node(id: $id) { __typename id } }";
    assert_eq!(owner.ok(node, json!({"id": set})).await["node"]["__typename"], "AffirmationSet");
    assert_eq!(owner.ok(node, json!({"id": swapped})).await["node"], Value::Null);
    assert_eq!(owner.fault("outputDelete", json!({"id": swapped})).await, "NOT_FOUND");
    assert_eq!(owner.fault("outputDelete", json!({"id": room.acme.project})).await, "INVALID");
    let gone = owner.mutate("outputDelete", json!({"id": set}), "deletedOutputId project { id }").await;
    assert_eq!(gone["deletedOutputId"], set);
    assert_eq!(owner.ok(node, json!({"id": set})).await["node"], Value::Null);
    let job = owner.job(made["job"]["id"].as_str().unwrap()).await;
    assert_eq!((&job["status"], &job["result"]), (&json!("SUCCEEDED"), &Value::Null), "its job stays");
    room.workers.stop().await;
}

const COMPOSED: &str = "job { id status engine { provider } error { code message field } }
    post { id state chosenVariant scheduledAt assets { id } unused { input reason } diffs { from to parts { kind text } }
        variants { caption hook body callToAction hashtags graphemes readability { score formula sentences words syllables } sources { quote startOffset endOffset document { id title } } validity { channel valid problems } } }";

const GUIDE: &str = "# Morning yoga\n\n## Why in the morning\n\nMorning yoga wakes the body before the day asks for it. \
    Fifteen minutes are enough for a calm start. Those who practise before breakfast keep it up twice as often.\n\n\
    ## How to begin\n\nBegin with three sun salutations and breathe slowly through the nose. \
    Roll out the mat the evening before, so that nothing stands in the way. \
    What helps most on dark mornings? A fixed time and a warm room.\n";

#[tokio::test(flavor = "multi_thread")]
async fn posts_are_composed_of_the_sources_own_sentences_and_say_where_they_stand() {
    let room = Room::new().await;
    let guide = room.owner().learn(&room.acme, "Guide", GUIDE).await;
    let picture = cast::asset(&room.server, &room.acme, Some(&room.acme.project)).await;
    let text = "query($id: ID!) { node(id: $id) { ... on KnowledgeDocument { text } } }";
    let text =
        room.member().ok(text, json!({"id": guide})).await["node"]["text"].as_str().unwrap().to_owned();
    let text: Vec<char> = text.chars().collect();
    let asked = json!({"brief": "Write about morning yoga", "language": "EN", "channels": ["INSTAGRAM", "X"], "tone": "warm",
        "assetIds": [picture]});
    let made = room.run("postCompose", asked.clone(), COMPOSED).await;
    let post = &made["post"];
    assert_eq!((&made["job"]["status"], &post["state"]), (&json!("SUCCEEDED"), &json!("DRAFT")), "{made:#}");
    assert_eq!(post["assets"], json!([{"id": picture}]));
    let variants = post["variants"].as_array().unwrap();
    assert!(variants.len() >= 2, "{made:#}");
    for variant in variants {
        let caption = variant["caption"].as_str().unwrap();
        assert_eq!(
            variant["graphemes"],
            unicode_segmentation::UnicodeSegmentation::graphemes(caption, true).count()
        );
        let sources = variant["sources"].as_array().unwrap();
        assert!(!sources.is_empty(), "{variant:#}");
        for source in sources {
            let (start, end) =
                (source["startOffset"].as_u64().unwrap(), source["endOffset"].as_u64().unwrap());
            let cut: String =
                text[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].iter().collect();
            assert_eq!(source["quote"], cut, "letter for letter");
            assert_eq!(source["document"]["id"], guide);
        }
        assert!(!variant["hashtags"].as_array().unwrap().is_empty());
        let [hook, body] = ["hook", "body"].map(|part| variant[part].as_str().unwrap());
        assert!(caption.starts_with(hook) && caption.contains(body) && !body.contains('#'), "{variant:#}");
        let read = &variant["readability"];
        assert_eq!(read["formula"], "FLESCH");
        let [sentences, words, syllables] =
            ["sentences", "words", "syllables"].map(|count| read[count].as_f64().unwrap());
        let score = 206.835 - 1.015 * words / sentences - 84.6 * syllables / words;
        assert!((read["score"].as_f64().unwrap() - score).abs() < 0.06, "{read:#}");
        let fits = variant["validity"].as_array().unwrap();
        assert_eq!(
            (fits.len(), &fits[0]["channel"], &fits[0]["valid"]),
            (2, &json!("INSTAGRAM"), &json!(true))
        );
    }
    assert!(post["unused"].to_string().contains("cannot change their tone"), "{post:#}");
    assert_eq!(room.run("postCompose", asked, COMPOSED).await["post"]["variants"], post["variants"]);
    // Nothing to say is said, and not filled up.
    let made = room
        .run(
            "postCompose",
            json!({"brief": "Write about tax returns", "language": "EN", "channels": ["X"]}),
            COMPOSED,
        )
        .await;
    assert_eq!(made["job"]["error"]["code"], "INSUFFICIENT_INPUT", "{made:#}");
    room.workers.stop().await;
}

/// Both captions of each difference come back from its parts.
fn diffs_hold(post: &Value) {
    let variants = post["variants"].as_array().unwrap();
    let diffs = post["diffs"].as_array().unwrap();
    assert_eq!(diffs.len(), variants.len() - 1, "{post:#}");
    for diff in diffs {
        for (place, other) in [("from", "DELETED"), ("to", "INSERTED")] {
            let parts = diff["parts"].as_array().unwrap().iter();
            let own = parts.filter(|part| part["kind"] == "EQUAL" || part["kind"] == other);
            let whole: String = own.map(|part| part["text"].as_str().unwrap()).collect();
            let place = usize::try_from(diff[place].as_u64().unwrap()).unwrap();
            assert_eq!(whole, variants[place]["caption"], "{diff:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_a_post_stays_true_when_somebody_edits_it() {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Guide", GUIDE).await;
    let asked = json!({"brief": "Write about morning yoga", "language": "EN", "channels": ["INSTAGRAM"]});
    let post = room.run("postCompose", asked, COMPOSED).await["post"].clone();
    diffs_hold(&post);
    let select = COMPOSED.split_once("post {").unwrap().1;
    let select = format!("post {{{select}");
    // A source is one as long as its line stands.
    let sources = post["variants"][0]["sources"].as_array().unwrap();
    let caption = post["variants"][0]["caption"].as_str().unwrap();
    let stands = |source: &&Value| caption.contains(source["quote"].as_str().unwrap());
    let kept = sources.iter().find(stands).unwrap_or_else(|| panic!("{post:#}"));
    assert!(sources.len() > 1, "{post:#}");
    let caption = format!("Good morning.\n{}", kept["quote"].as_str().unwrap());
    let edited = json!({"id": post["id"], "chosenVariant": 0, "caption": caption});
    let edited = room.member().mutate("postUpdate", edited, &select).await["post"].clone();
    assert_eq!(edited["variants"][0]["sources"], json!([kept]));
    for chosen in [1, 0] {
        let caption = "The cat sat on it.\nThe dog ran to us.\n\n#Cat #Dog\n#Home";
        let edited = json!({"id": post["id"], "chosenVariant": chosen, "caption": caption});
        let edited = room.member().mutate("postUpdate", edited, &select).await["post"].clone();
        diffs_hold(&edited);
        let variant = &edited["variants"][chosen];
        assert_eq!(
            (&variant["hook"], &variant["body"], &variant["hashtags"]),
            (&json!("The cat sat on it."), &json!("The dog ran to us."), &json!(["#Cat", "#Dog", "#Home"]))
        );
        let read = json!({"score": 117.2, "formula": "FLESCH", "sentences": 2, "words": 10, "syllables": 10});
        assert_eq!(variant["readability"], read);
        assert_eq!(variant["sources"], json!([]));
    }
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_as_long_as_asked_calls_to_what_is_set_and_has_no_banned_word() {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Guide", GUIDE).await;
    let settings = json!({"callsToAction": ["Write to us.", "Schreib uns einfach eine Nachricht."], "bannedWords": ["mat"]});
    room.owner().mutate("organizationUpdate", json!({"id": room.acme.id, "settings": settings}), "").await;
    let compose = async |more: Value| {
        let mut asked = json!({"brief": "Write about morning yoga", "language": "EN", "channels": ["INSTAGRAM"], "variants": 6});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room.run("postCompose", asked, COMPOSED).await
    };
    let variants =
        |made: &Value| made["post"]["variants"].as_array().unwrap_or_else(|| panic!("{made:#}")).clone();
    let made = compose(json!({})).await;
    assert!(
        made["post"]["unused"].to_string().contains("Schreib uns"),
        "what is in another language: {made:#}"
    );
    let lengths: Vec<u64> =
        variants(&made).iter().map(|variant| variant["graphemes"].as_u64().unwrap()).collect();
    assert!(lengths.iter().any(|length| *length > 250), "{lengths:?}");
    for variant in variants(&made) {
        assert_eq!(variant["callToAction"], "Write to us.");
        assert!(!variant["caption"].as_str().unwrap().contains(" mat "), "{variant:#}");
    }
    let call = "Come and breathe with us.";
    let made = compose(json!({"length": "SHORT", "callToAction": call, "bannedWords": ["breakfast"]})).await;
    for variant in variants(&made) {
        let caption = variant["caption"].as_str().unwrap();
        assert!(variant["graphemes"].as_u64().unwrap() <= 250, "{variant:#}");
        assert!(
            caption.contains(call) && !caption.contains("breakfast") && !caption.contains(" mat "),
            "{caption}"
        );
    }
    // An edit that leaves the call to action where it was keeps it one.
    let caption = format!("Good morning.\nBreathe in.\n\n{call}\n\n#Calm");
    let edited = json!({"id": made["post"]["id"], "chosenVariant": 0, "caption": caption});
    let select = "post { variants { hook body callToAction } }";
    let edited = room.member().mutate("postUpdate", edited, select).await["post"]["variants"][0].clone();
    assert_eq!(edited, json!({"hook": "Good morning.", "body": "Breathe in.", "callToAction": call}));
    // A project's own list stands instead of the organization's.
    let own = json!({"id": room.acme.project, "settings": {"callsToAction": ["Roll out the mat with us.", "See you at seven."]}});
    room.owner().mutate("projectUpdate", own, "").await;
    let made = compose(json!({})).await;
    assert!(variants(&made).iter().all(|variant| variant["callToAction"] == "See you at seven."), "{made:#}");
    assert!(made["post"]["unused"].to_string().contains("banned word"), "{made:#}");
    for (more, code) in [
        (json!({"callToAction": "c".repeat(151)}), "TOO_LONG"),
        (json!({"callToAction": " "}), "REQUIRED"),
        (json!({"bannedWords": ["w".repeat(101)]}), "TOO_LONG"),
        (json!({"sourceAnswerId": room.acme.project}), "INVALID"),
        (json!({"sourceAnswerId": aicos::id::AnswerId::generate().to_string()}), "NOT_FOUND"),
    ] {
        let mut asked = json!({"projectId": room.acme.project, "brief": "Yoga", "channels": ["X"]});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(room.member().fault("postCompose", asked).await, code, "{more}");
    }

    // A model is told, and what it writes passes the same checks.
    let post =
        |number: u32, opening: &str, body: &str| json!({"number": number, "opening": opening, "body": body});
    room.fake.script([Reply::json(&json!({"posts": [
        post(1, "Start softly.", "Breathe and begin."),
        post(2, "Roll out the mats.", ""),
        post(3, "Start softly.", &"Breathe and begin. ".repeat(20)),
    ]}))]);
    let made = compose(json!({"length": "SHORT", "variants": 3, "engine": openai(false)})).await;
    let asked = room.fake.requests().pop().unwrap().body.to_string();
    assert!(asked.contains("Banned words: mat") && asked.contains("Most characters: "), "{asked}");
    let taken: Vec<bool> = variants(&made)
        .iter()
        .map(|variant| variant["hook"].as_str().unwrap().starts_with("Start softly"))
        .collect();
    assert_eq!(taken, [true, false, false], "{made:#}");
    let unused = made["post"]["unused"].to_string();
    assert!(unused.contains("banned word: mat") && unused.contains("too long"), "{unused}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_made_from_what_an_answer_cites() {
    let room = Room::new().await;
    let guide = room.owner().learn(&room.acme, "Guide", GUIDE).await;
    room.owner()
        .learn(
            &room.acme,
            "Other",
            "# Evening\n\nMorning yoga has a sister in the evening. It ends the day.\n",
        )
        .await;
    let project = json!({"projectId": room.acme.project});
    let question = "How many minutes of morning yoga are enough for a calm start?";
    let asked = room.owner().ask(&room.acme, question, project.clone()).await;
    let answer = &asked["answer"];
    let quotes: Vec<&Value> =
        answer["citations"].as_array().unwrap().iter().map(|one| &one["quote"]).collect();
    assert!(!quotes.is_empty(), "{asked:#}");
    let compose = async |answer: &Value| {
        let asked = json!({"brief": question, "language": "EN", "channels": ["INSTAGRAM"], "sourceAnswerId": answer, "hashtags": false});
        room.run("postCompose", asked, COMPOSED).await
    };
    let made = compose(&answer["id"]).await;
    let variants = made["post"]["variants"].as_array().unwrap_or_else(|| panic!("{made:#}"));
    let sources: Vec<&Value> = variants.iter().flat_map(|one| one["sources"].as_array().unwrap()).collect();
    assert!(!sources.is_empty(), "{made:#}");
    for source in sources {
        let quote = source["quote"].as_str().unwrap();
        assert!(quotes.iter().any(|cited| cited.as_str().unwrap().contains(quote)), "{source:#}");
        assert_eq!(source["document"]["id"], guide);
        let [start, end] =
            ["startOffset", "endOffset"].map(|at| usize::try_from(source[at].as_u64().unwrap()).unwrap());
        let chars: Vec<char> = GUIDE.trim().chars().collect();
        assert_eq!(chars[start..end].iter().collect::<String>(), quote, "letter for letter");
    }
    // What was not answered gives nothing to say, and an answer of the whole organization is none of the project's.
    let unanswered = room.owner().ask(&room.acme, "zxqv wvut?", project).await;
    let made = compose(&unanswered["answer"]["id"]).await;
    assert_eq!(
        (&made["job"]["error"]["code"], &made["job"]["error"]["field"]),
        (&json!("INSUFFICIENT_INPUT"), &json!(["input", "sourceAnswerId"])),
        "{made:#}"
    );
    let outside = room.owner().ask(&room.acme, question, json!({})).await;
    let asked = json!({"projectId": room.acme.project, "brief": "Yoga", "channels": ["X"], "sourceAnswerId": outside["answer"]["id"]});
    assert_eq!(room.member().fault("postCompose", asked).await, "NOT_FOUND");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_rewrites_drafts_and_may_not_add_facts() {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Guide", GUIDE).await;
    let voice = json!({"brandVoice": "Plain words,\nnever hurried."});
    room.owner().mutate("organizationUpdate", json!({"id": room.acme.id, "settings": voice}), "").await;
    let post =
        |number: u32, opening: &str, body: &str| json!({"number": number, "opening": opening, "body": body});
    room.fake.script([Reply::json(&json!({"posts": [
        post(1, "Start softly.", "Fifteen minutes of morning yoga are enough for a calm start."),
        post(2, "Start at once.", "Morning yoga makes you 37 % fitter."),
        post(9, "Nobody asked.", ""),
    ]}))]);
    let asked = json!({"brief": "Write about morning yoga", "language": "EN", "channels": ["INSTAGRAM"], "engine": openai(false)});
    let made = room.run("postCompose", asked, COMPOSED).await;
    let variants = &made["post"]["variants"];
    assert_eq!(
        (&variants[0]["hook"], &made["job"]["engine"]["provider"]),
        (&json!("Start softly."), &json!("openai")),
        "{made:#}"
    );
    assert!(!variants[1]["caption"].as_str().unwrap().contains("37"), "{made:#}");
    assert!(made["post"]["unused"].to_string().contains("37"), "what was not taken is told: {made:#}");
    let asked = room.fake.requests().pop().unwrap().body.to_string();
    assert!(asked.contains("Voice of the brand: Plain words, never hurried."), "{asked}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_goes_through_review_and_approval_and_an_edit_leads_back() {
    let room = Room::new().await;
    let (acme, server) = (&room.acme, &room.server);
    let post = cast::output(server, acme, "POST_COMPOSITION").await;
    let (member, admin) = (acme.member.at(server), acme.admin.at(server));
    let to = |more: Value| {
        let mut input = json!({"id": post});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let select = "post { state chosenVariant scheduledAt variants { caption hook hashtags graphemes } }";
    let later = "2999-01-01T00:00:00.000Z";
    // There is no way around approval.
    for state in ["APPROVED", "SCHEDULED"] {
        assert_eq!(
            admin.fault("postUpdate", to(json!({"state": state, "scheduledAt": later}))).await,
            "CONFLICT"
        );
    }
    for state in ["PUBLISHED", "FAILED"] {
        assert_eq!(admin.fault("postUpdate", to(json!({"state": state}))).await, "INVALID");
    }
    assert_eq!(member.fault("postUpdate", to(json!({"chosenVariant": 1}))).await, "OUT_OF_RANGE");
    let edited = to(json!({"chosenVariant": 0, "caption": "A new day 👩‍👩‍👧\nBegin softly. #Yoga"}));
    let edited = member.mutate("postUpdate", edited, select).await["post"].clone();
    assert_eq!(edited["variants"][0]["hook"], "A new day 👩‍👩‍👧");
    assert_eq!(
        (&edited["variants"][0]["hashtags"], &edited["variants"][0]["graphemes"]),
        (&json!(["#Yoga"]), &json!(31))
    );
    member.mutate("postUpdate", to(json!({"state": "IN_REVIEW"})), select).await;
    // A member asks; who may approve approves; who may publish schedules.
    let refused = crate::support::mutation("postUpdate", "");
    let approving = json!({"input": to(json!({"state": "APPROVED"}))});
    assert_eq!(member.refusal(&refused, approving).await, "FORBIDDEN");
    admin.mutate("postUpdate", to(json!({"state": "APPROVED"})), select).await;
    assert_eq!(admin.fault("postUpdate", to(json!({"state": "SCHEDULED"}))).await, "REQUIRED");
    assert_eq!(
        admin
            .fault("postUpdate", to(json!({"state": "SCHEDULED", "scheduledAt": "2020-01-01T00:00:00Z"})))
            .await,
        "OUT_OF_RANGE"
    );
    let scheduled =
        admin.mutate("postUpdate", to(json!({"state": "SCHEDULED", "scheduledAt": later})), select).await;
    assert_eq!(
        (&scheduled["post"]["state"], &scheduled["post"]["scheduledAt"]),
        (&json!("SCHEDULED"), &json!(later))
    );
    assert_eq!(member.fault("postUpdate", to(json!({"caption": "Other"}))).await, "CONFLICT");
    let scheduling = json!({"input": to(json!({"scheduledAt": later}))});
    assert_eq!(member.refusal(&refused, scheduling).await, "FORBIDDEN");
    let back = admin.mutate("postUpdate", to(json!({"state": "APPROVED"})), select).await["post"].clone();
    assert_eq!((&back["state"], &back["scheduledAt"]), (&json!("APPROVED"), &Value::Null));
    let draft = member.mutate("postUpdate", to(json!({"caption": "Other"})), select).await["post"].clone();
    assert_eq!(draft["state"], "DRAFT", "what was approved was the text");
    // What is approved teaches the hashtags: an approved post's tags count as used.
    member.mutate("postUpdate", to(json!({"caption": "Morning yoga for all #SunriseYoga"})), select).await;
    for state in ["IN_REVIEW", "APPROVED"] {
        admin.mutate("postUpdate", to(json!({"state": state})), select).await;
    }
    let made = research(&room, json!({"text": "Morning yoga for all of us", "language": "EN"})).await;
    let used =
        made["hashtags"]["hashtags"].as_array().unwrap().iter().find(|tag| tag["tag"] == "#SunriseYoga");
    assert_eq!(used.unwrap_or_else(|| panic!("{made:#}"))["usedByUs"], 1);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_once_more_with_what_there_is_by_then() {
    let room = Room::new().await;
    let (owner, member) = (room.owner(), room.member());
    let select = "job { id status error { code } } output { id ... on QaAnswer { answered answer }
        ... on HashtagSet { hashtags { tag score } } } project { id }";
    // What had no answer has one when somebody has written it down.
    let question =
        json!({"organizationId": room.acme.id, "question": "How many days of vacation do we have?"});
    let asked = room.run("qaAsk", question, "job { id } answer { id answered }").await;
    assert_eq!(asked["answer"]["answered"], false, "{asked:#}");
    owner.learn(&room.acme, "Handbook", "Everybody has 30 days of vacation a year.").await;
    let input = json!({"id": asked["job"]["id"], "wait": true, "idempotencyKey": "once more"});
    let again = member.mutate("jobRepeat", input.clone(), select).await;
    assert_eq!(
        (&again["job"]["status"], &again["output"]["answered"]),
        (&json!("SUCCEEDED"), &json!(true)),
        "{again:#}"
    );
    assert!(again["output"]["answer"].as_str().unwrap().contains("30 days"), "{again:#}");
    assert!(again["job"]["id"] != asked["job"]["id"] && again["output"]["id"] != asked["answer"]["id"]);
    assert_eq!(again["project"]["id"], json!(room.acme.project));
    let same = member.mutate("jobRepeat", input, select).await;
    assert_eq!(same["job"]["id"], again["job"]["id"], "the same key, the same job");
    // The same input, seed and data give the same.
    let text = json!({"text": "Atemübungen und ruhige Morgenrituale helfen bei Stress."});
    let found = room.run("hashtagResearch", text, "job { id } hashtags { id hashtags { tag score } }").await;
    let again = member.mutate("jobRepeat", json!({"id": found["job"]["id"], "wait": true}), select).await;
    assert_eq!(again["output"]["hashtags"], found["hashtags"]["hashtags"], "{again:#}");
    assert_ne!(again["output"]["id"], found["hashtags"]["id"]);
    // The log says which job it repeats, and it has used as much.
    let log = "{ organization { auditLog(first: 50) { nodes { action changes { field after } } } } }";
    let log = owner.ok(log, json!({})).await;
    let told = |entry: &&Value| {
        entry["action"] == "agent.run"
            && entry["changes"]
                .as_array()
                .unwrap()
                .iter()
                .any(|change| change["field"] == "repeats" && change["after"] == found["job"]["id"])
    };
    let entries = log["organization"]["auditLog"]["nodes"].as_array().unwrap();
    assert_eq!(entries.iter().filter(told).count(), 1, "{log:#}");

    // What has not ended is not repeated, nor what is no agent's, a workflow or a publication.
    let film = json!({"projectId": room.acme.project, "scenes": ["Lang."], "durationSeconds": 60});
    let film = member.mutate("videoGenerate", film, "job { id }").await["job"]["id"].clone();
    assert_eq!(member.fault("jobRepeat", json!({"id": film})).await, "CONFLICT");
    member.mutate("jobCancel", json!({"id": film}), "").await;
    let indexed = owner.add_document(&room.acme, "Other", "Words.").await["job"]["id"].clone();
    member.finished(indexed.as_str().unwrap()).await;
    assert_eq!(member.fault("jobRepeat", json!({"id": indexed})).await, "INVALID");
    let run = json!({"template": "posts_only", "brief": "Ruhe."});
    let run = room.run("contentWorkflowRun", run, "job { id }").await["job"]["id"].clone();
    member.finished(run.as_str().unwrap()).await;
    assert_eq!(member.fault("jobRepeat", json!({"id": run})).await, "INVALID");
}
