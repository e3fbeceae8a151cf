//! A day in the life of a content team, from signing up to a published post, on an empty server without any key: every artefact
//! is opened and checked, and the audit log and the usage agree with what happened. Then the same day with a provider that
//! misbehaves in every way at once, and is allowed to be stood in for.
//!
//! `cargo test --test main day` runs it.

use std::collections::BTreeMap;

use aicos::agents::visuals::builtin::picture::{self, Limits};
use serde_json::{Value, json};

use crate::publications::Studio;
use crate::support::graph::Call;
use crate::support::provider::{FakeProvider, Reply};
use crate::support::work::openai;
use crate::support::{Client, files};

const HANDBOOK: &str = include_str!("evaluation/set-1/documents/handbuch.md");
const FRAME: &str = include_str!("evaluation/set-1/documents/lebensphasen.md");
const YOGA: &str = include_str!("evaluation/held-out/documents/yoga-house-rules.md");

/// One person's way through the day.
struct Day<'a> {
    studio: &'a Studio,
    me: Client<'a>,
    organization: String,
    project: String,
    /// The engine that agents are asked to use.
    engine: Option<Value>,
    /// How often each agent was set to work.
    runs: BTreeMap<&'static str, usize>,
}

impl<'a> Day<'a> {
    async fn begin(studio: &'a Studio, engine: Option<Value>) -> Self {
        let person = json!({"email": "ada@day.test", "password": "a long day needs a long password", "name": "Ada",
            "organizationName": "Lumenhain"});
        let select = "accessToken organization { id projects { nodes { id } } }";
        let signed = studio.server.anonymous().mutate("signup", person, select).await;
        let text = |path: &str| signed.pointer(path).and_then(Value::as_str).unwrap().to_owned();
        Self {
            studio,
            me: studio.server.bearer(&text("/accessToken")),
            organization: text("/organization/id"),
            project: text("/organization/projects/nodes/0/id"),
            engine,
            runs: BTreeMap::new(),
        }
    }

    /// Has an agent work, waits for its job, and gives its result by the selection; the job says which engine did it.
    async fn make(&mut self, agent: &'static str, field: &str, more: Value, select: &str) -> Value {
        let mut input = json!({"projectId": self.project, "wait": false});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if let Some(engine) = self.engine.as_ref().filter(|_| !["VISUAL_POST", "VIDEO"].contains(&agent)) {
            input["engine"] = engine.clone();
        }
        let started = self.me.mutate(field, input, "job { id }").await;
        let job = self.me.finished(started["job"]["id"].as_str().unwrap()).await;
        assert_eq!(job["status"], "SUCCEEDED", "{field}: {job:#}");
        assert_eq!(job["engine"]["provider"], "builtin", "{field}: {job:#}");
        if self.engine.is_some() && input_has_engine(agent) {
            let fell = job["events"].as_array().unwrap().iter().any(|event| event["kind"] == "fallback");
            assert!(fell, "whoever steps in says so: {job:#}");
        }
        *self.runs.entry(agent).or_default() += 1;
        let document = format!("query($id: ID!) {{ node(id: $id) {{ {select} }} }}");
        self.me.ok(&document, json!({"id": job["result"]["id"]})).await["node"].clone()
    }

    async fn learn(&self, title: &str, text: &str) -> String {
        let input = json!({"organizationId": self.organization, "title": title, "text": text});
        let added = self.me.mutate("documentCreate", input, "document { id } job { id }").await;
        assert_eq!(self.me.finished(added["job"]["id"].as_str().unwrap()).await["status"], "SUCCEEDED");
        added["document"]["id"].as_str().unwrap().to_owned()
    }

    async fn fetch(&self, asset: &Value) -> Vec<u8> {
        let fetched = files::get(&self.studio.server, asset["url"].as_str().unwrap()).await;
        assert_eq!(fetched.status, 200, "{asset:#}");
        assert_eq!(fetched.body.len(), usize::try_from(asset["bytes"].as_u64().unwrap()).unwrap());
        fetched.body
    }
}

/// The agents that a model can do the work of.
fn input_has_engine(agent: &str) -> bool {
    ["QA", "AFFIRMATIONS", "HASHTAG_RESEARCH", "POST_COMPOSITION", "CONTENT_STRATEGY"].contains(&agent)
}

/// The whole day; gives what was made, by name.
async fn live(studio: &Studio, engine: Option<Value>) {
    let mut day = Day::begin(studio, engine).await;
    let colors = json!({"id": day.organization, "settings": {"brandColors": ["#2A5D67", "#E0A458"]}});
    day.me.mutate("organizationUpdate", colors, "organization { settings { brandColors } }").await;

    // What the team knows, in two languages.
    let mut texts = BTreeMap::new();
    for (title, text) in [("Handbuch", HANDBOOK), ("Der Rahmen", FRAME), ("Yoga house rules", YOGA)] {
        texts.insert(day.learn(title, text).await, text);
    }

    // A question is answered in the documents' own words, each quotation where it says it is.
    let cited = "question answered answer citations { document { id } quote startOffset endOffset }";
    let question = "Wie groß ist die Schrift in Druckstücken im siebten Bogen mindestens?";
    let mut asked = json!({"organizationId": day.organization, "projectId": day.project, "question": question, "wait": true});
    if let Some(engine) = &day.engine {
        asked["engine"] = engine.clone();
    }
    let answered =
        day.me.mutate("qaAsk", asked, &format!("job {{ engine {{ provider }} }} answer {{ {cited} }}")).await;
    *day.runs.entry("QA").or_default() += 1;
    let answer = &answered["answer"];
    assert_eq!(
        (&answer["answered"], &answered["job"]["engine"]["provider"]),
        (&json!(true), &json!("builtin")),
        "{answered:#}"
    );
    assert!(answer["answer"].as_str().unwrap().contains("13 Punkt"), "{answer:#}");
    for citation in answer["citations"].as_array().unwrap() {
        let text = texts[citation["document"]["id"].as_str().unwrap()];
        let place = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
        let quoted: String =
            text.chars().skip(place("startOffset")).take(place("endOffset") - place("startOffset")).collect();
        assert_eq!(citation["quote"], quoted);
    }

    // Lines from the person's own goals.
    let periods = day.me.ok("{ periods { id key } }", json!({})).await;
    let period = periods["periods"][5]["id"].clone();
    let goals = json!({"goals": ["Ich möchte ruhiger schlafen", "Ich will meiner Arbeit vertrauen"], "periodId": period, "count": 4});
    let lines = day
        .make(
            "AFFIRMATIONS",
            "affirmationsGenerate",
            goals,
            "... on AffirmationSet { affirmations { text basedOn firstPerson presentTense positive } }",
        )
        .await;
    let lines = lines["affirmations"].as_array().unwrap();
    assert!(!lines.is_empty());
    for line in lines {
        assert!(
            line["firstPerson"] == true && line["presentTense"] == true && line["positive"] == true,
            "{line:#}"
        );
    }
    let line = lines[0]["text"].as_str().unwrap();

    // One of them as a picture: it opens, its text fits and can be read.
    let drawn = day
        .make("VISUAL_POST", "visualPostCreate", json!({"text": line, "periodId": period, "template": "period_branding"}),
            "... on VisualPost { id slides { altText jpeg { id url bytes } png { id url bytes } blocks { contrast requiredContrast overflow inSafeArea } } }")
        .await;
    let slide = &drawn["slides"][0];
    assert!(slide["altText"].as_str().unwrap().contains(line.trim_end_matches('.')), "{slide:#}");
    for block in slide["blocks"].as_array().unwrap() {
        assert!(block["contrast"].as_f64() >= block["requiredContrast"].as_f64(), "{block:#}");
        assert_eq!((&block["overflow"], &block["inSafeArea"]), (&json!(false), &json!(true)), "{block:#}");
    }
    for file in ["png", "jpeg"] {
        let picture = picture::decode(&day.fetch(&slide[file]).await, &Limits::default()).unwrap();
        assert_eq!((picture.width(), picture.height()), (1080, 1350));
    }

    // And as a film: another program plays it.
    let film =
        json!({"visualPostId": drawn["id"], "durationSeconds": 4, "size": "REEL_SMALL", "kind": "KEN_BURNS"});
    let film = day
        .make(
            "VIDEO",
            "videoGenerate",
            film,
            "... on Video { durationSeconds video { url bytes } captionsVtt { url bytes } }",
        )
        .await;
    let file = crate::support::config().data_dir.join(format!("day-{}.mp4", day.organization));
    std::fs::write(&file, day.fetch(&film["video"]).await).unwrap();
    if crate::videos::has_ffmpeg() {
        let found = crate::videos::probe(&file);
        let is_video = |stream: &&Value| stream["codec_type"] == "video";
        let stream = found["streams"].as_array().unwrap().iter().find(is_video).unwrap();
        assert_eq!((&stream["codec_name"], &stream["nb_read_frames"]), (&json!("h264"), &json!("120")));
    }
    assert!(day.fetch(&film["captionsVtt"]).await.starts_with(b"WEBVTT\n"));

    // A post with the picture, hashtags, and a plan for a month.
    let brief = json!({"brief": "Schreibe über Übungen, die sich in drei Minuten machen lassen", "channels": ["INSTAGRAM"],
        "assetIds": [slide["jpeg"]["id"]]});
    let post = day
        .make("POST_COMPOSITION", "postCompose", brief, "... on Post { id state variants { caption sources { quote } validity { valid } } assets { id } }")
        .await;
    let variant = &post["variants"][0];
    assert!(
        variant["validity"][0]["valid"] == true && !variant["sources"].as_array().unwrap().is_empty(),
        "{post:#}"
    );
    assert_eq!(post["assets"][0]["id"], slide["jpeg"]["id"]);
    let caption = variant["caption"].as_str().unwrap();
    let tags = day
        .make(
            "HASHTAG_RESEARCH",
            "hashtagResearch",
            json!({"text": caption, "periodId": period}),
            "... on HashtagSet { hashtags { tag } }",
        )
        .await;
    assert!(
        tags["hashtags"].as_array().unwrap().iter().all(|tag| tag["tag"].as_str().unwrap().starts_with('#')),
        "{tags:#}"
    );
    let month = json!({"goals": ["Menschen schlafen besser"], "channels": ["INSTAGRAM"], "postsPerWeek": 2, "timezone": "Europe/Berlin",
        "from": "2027-03-01T00:00:00+01:00", "until": "2027-03-31T00:00:00+02:00"});
    let plan = day
        .make(
            "CONTENT_STRATEGY",
            "contentStrategyCreate",
            month,
            "... on ContentStrategy { slots { at topic } calendarIcs { url bytes } }",
        )
        .await;
    let calendar = String::from_utf8(day.fetch(&plan["calendarIcs"]).await).unwrap();
    let calendar: icalendar::Calendar = calendar.parse().unwrap();
    assert_eq!(calendar.components.len(), plan["slots"].as_array().unwrap().len());

    // The whole workflow, through an approval.
    let run = json!({"projectId": day.project, "brief": "Ich möchte ruhiger schlafen. Ich will meiner Arbeit vertrauen.", "wait": true,
        "periodId": period, "options": {"createReels": false, "affirmationCount": 2}});
    let run =
        day.me.mutate("contentWorkflowRun", run, "job { id status error { message } } run { id }").await;
    assert_eq!(run["job"]["status"], "AWAITING_APPROVAL", "{run:#}");
    let approve = json!({"runId": run["run"]["id"], "stepKey": "approval", "approve": true});
    day.me.mutate("contentWorkflowApprove", approve, "").await;
    let job = day.me.finished(run["job"]["id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    *day.runs.entry("CONTENT_WORKFLOW").or_default() += 1;

    // Approved, and published where nobody has seen it before.
    day.me.mutate("postUpdate", json!({"id": post["id"], "chosenVariant": 0}), "").await;
    let move_to = async |state: &str| {
        let to = json!({"id": post["id"], "state": state});
        day.me.mutate("postUpdate", to, "post { state }").await
    };
    move_to("IN_REVIEW").await;
    assert_eq!(move_to("APPROVED").await["post"]["state"], "APPROVED");
    let account = json!({"organizationId": day.organization, "userId": crate::support::graph::USER, "token": crate::publications::TOKEN});
    day.me.mutate("accountConnect", account, "account { id }").await;
    let publish = json!({"projectId": day.project, "postId": post["id"], "assetIds": [slide["jpeg"]["id"]], "caption": caption});
    let published = day.me.mutate("instagramPublish", publish, "job { id } publication { id }").await;
    let job = day.me.finished(published["job"]["id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    *day.runs.entry("INSTAGRAM_POSTER").or_default() += 1;
    let seen = "query($id: ID!) { node(id: $id) { ... on Publication { state permalink post { state } } } }";
    let seen = day.me.ok(seen, json!({"id": published["publication"]["id"]})).await["node"].clone();
    assert_eq!(
        (&seen["state"], &seen["post"]["state"]),
        (&json!("PUBLISHED"), &json!("PUBLISHED")),
        "{seen:#}"
    );
    assert_eq!(studio.graph.published().len(), 1, "once");
    assert_eq!(studio.graph.calls(Call::Publish), 1);

    agrees(&day).await;
}

/// The audit log and the usage say what happened, and nothing else.
async fn agrees(day: &Day<'_>) {
    let mut after = Value::Null;
    let (mut orders, mut sequence) = (BTreeMap::new(), Vec::new());
    loop {
        let page = "query($after: String) { organization { auditLog(first: 100, after: $after) { pageInfo { hasNextPage endCursor }
            nodes { sequence action outcome changes { field after } } } } }";
        let page = day.me.ok(page, json!({"after": after})).await["organization"]["auditLog"].clone();
        for entry in page["nodes"].as_array().unwrap() {
            assert_eq!(entry["outcome"], "DONE", "{entry:#}");
            sequence.push(entry["sequence"].as_i64().unwrap());
            let agent = entry["changes"].as_array().unwrap().iter().find(|change| change["field"] == "agent");
            if let Some(agent) =
                agent.filter(|_| entry["action"] == "agent.run" || entry["action"] == "qa.ask")
            {
                *orders.entry(agent["after"].as_str().unwrap().to_owned()).or_insert(0_usize) += 1;
            }
        }
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    sequence.reverse();
    assert_eq!(sequence, (1..).take(sequence.len()).collect::<Vec<_>>(), "no entry is missing");
    // Asking and publishing have entries of their own kinds.
    for (agent, runs) in day.runs.iter().filter(|(agent, _)| !["QA", "INSTAGRAM_POSTER"].contains(agent)) {
        assert_eq!(orders.get(*agent), Some(runs), "{agent}: {orders:?}");
    }
    let kept = "{ organization { outputs(first: 50) { totalCount } assets(first: 100) { nodes { bytes mimeType durationSeconds } } usage(period: TODAY) { metrics { kind used } } } }";
    let kept = day.me.ok(kept, json!({})).await["organization"].clone();
    let bytes: f64 = kept["assets"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| asset["bytes"].as_f64().unwrap())
        .sum();
    let used = |kind: &str| {
        let metrics = kept["usage"]["metrics"].as_array().unwrap();
        metrics
            .iter()
            .find(|metric| metric["kind"] == kind)
            .and_then(|metric| metric["used"].as_f64())
            .unwrap()
    };
    assert!((used("STORAGE_BYTES") - bytes).abs() < 1.0, "{} and {bytes}", used("STORAGE_BYTES"));
    // Every output is a run's, every slide there once as PNG, and films are counted by the second.
    let files = kept["assets"]["nodes"].as_array().unwrap();
    let slides = files.iter().filter(|asset| asset["mimeType"] == "image/png").count();
    let seconds: f64 =
        files.iter().filter_map(|asset| asset["durationSeconds"].as_f64()).map(f64::ceil).sum();
    assert!(slides > 0 && seconds > 0.0, "{kept:#}");
    let counted = ["AGENT_RUNS", "IMAGES", "VIDEO_SECONDS"].map(|kind| json!(used(kind)));
    let outputs = kept["outputs"]["totalCount"].as_f64();
    assert_eq!(counted, [json!(outputs), json!(f64::from(u32::try_from(slides).unwrap())), json!(seconds)]);
    // Nine outputs of nine agents, and four that the workflow's steps have left beside the run.
    assert_eq!(kept["outputs"]["totalCount"], 13, "{kept:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_any_key() {
    let studio = Studio::open().await;
    live(&studio, None).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_day_with_a_provider_that_misbehaves() {
    let fake = FakeProvider::start().await;
    fake.script([
        Reply::rate_limited("1"),
        Reply::server_error(),
        Reply::text("This is not JSON.").drip(),
        Reply::json(&json!({"unexpected": true})).cut_after(1),
        Reply::overloaded(),
    ]);
    let studio =
        Studio::with(|config| config.providers = fake.endpoints("sk-key-that-does-not-matter")).await;
    live(&studio, Some(openai(true))).await;
    assert!(!fake.requests().is_empty());
    studio.close().await;
}
