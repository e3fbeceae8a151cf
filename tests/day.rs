//! A day in the life of a content team, from signing up to a published post, on an empty server without any key: every artefact
//! is opened and checked, and the audit log and the usage agree with what happened. Then the same day with a provider that
//! misbehaves in every way at once, and is allowed to be stood in for.
//!
//! The documents in `tests/day/documents` are as long as those of real teams, fifteen pages and more. They were written for
//! this day, under the project's licence; companies, people and figures in them are invented.
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

const HANDBOOK: &str = include_str!("day/documents/handbuch.md");
const FRAME: &str = include_str!("day/documents/rahmen.md");
const YOGA: &str = include_str!("day/documents/house-rules.html");

/// Questions, each with the title of the document that answers it, and words of the answer.
const QUESTIONS: [(&str, &str, &str); 7] = [
    ("Wie lange darf der Leuchtturm höchstens am Stück gebucht werden?", "Handbuch", "vier Stunden"),
    ("Wie hoch ist der Zuschuss für den Arbeitsplatz zu Hause?", "Handbuch", "420 Euro"),
    ("Wie groß ist die Schrift in Druckstücken im siebten Bogen mindestens?", "Der Rahmen", "13 Punkt"),
    ("Wann wird der Rahmen das nächste Mal überarbeitet?", "Der Rahmen", "im Herbst 2028"),
    ("To how many degrees is the hot room heated?", "Yoga house rules", "36 degrees"),
    ("For how many weeks a year can an unlimited membership be paused?", "Yoga house rules", "eight weeks"),
    ("What does the newcomer offer cost?", "Yoga house rules", "£35"),
];
/// What no document tells, though one names her.
const UNANSWERED: &str = "Wie hoch ist das Gehalt der Rahmenhüterin?";

/// One person's way through the day.
struct Day<'a> {
    studio: &'a Studio,
    me: Client<'a>,
    organization: String,
    project: String,
    /// The engine that agents are asked to use.
    engine: Option<Value>,
    /// What the team knows: the documents' texts as they are kept, by id.
    texts: BTreeMap<String, String>,
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
            texts: BTreeMap::new(),
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
        let job = self.worked(agent, &started).await;
        let document = format!("query($id: ID!) {{ node(id: $id) {{ {select} }} }}");
        self.me.ok(&document, json!({"id": job["result"]["id"]})).await["node"].clone()
    }

    /// Waits for a job of an agent that was set to work: the built-in engine did it, and says so where it stepped in.
    async fn worked(&mut self, agent: &'static str, started: &Value) -> Value {
        let job = self.me.finished(started["job"]["id"].as_str().unwrap()).await;
        assert_eq!(job["status"], "SUCCEEDED", "{agent}: {job:#}");
        assert_eq!(job["engine"]["provider"], "builtin", "{agent}: {job:#}");
        if self.engine.is_some() && input_has_engine(agent) {
            let fell = job["events"].as_array().unwrap().iter().any(|event| event["kind"] == "fallback");
            assert!(fell, "whoever steps in says so: {job:#}");
        }
        *self.runs.entry(agent).or_default() += 1;
        job
    }

    /// Adds a document and waits until it can be found; gives its text as it is kept.
    async fn learn(&mut self, title: &str, mime_type: &str, text: &str) -> String {
        let input =
            json!({"organizationId": self.organization, "title": title, "mimeType": mime_type, "text": text});
        let added =
            self.me.mutate("documentCreate", input, "document { id title mimeType text } job { id }").await;
        assert_eq!(self.me.finished(added["job"]["id"].as_str().unwrap()).await["status"], "SUCCEEDED");
        let document = &added["document"];
        assert_eq!((&document["title"], &document["mimeType"]), (&json!(title), &json!(mime_type)));
        let [id, kept] = ["id", "text"].map(|field| document[field].as_str().unwrap().to_owned());
        self.texts.insert(id, kept.clone());
        kept
    }

    /// Asks; each quotation of the answer, or of what came closest to one, stands in its document where it says it is.
    async fn ask(&mut self, question: &str) -> Value {
        let mut asked = json!({"organizationId": self.organization, "projectId": self.project,
            "question": question, "wait": true});
        if let Some(engine) = &self.engine {
            asked["engine"] = engine.clone();
        }
        let cited = "document { id title } quote startOffset endOffset";
        let select = format!(
            "job {{ id }} answer {{ answered answer citations {{ {cited} }} nearMisses {{ {cited} }} }}"
        );
        let asked = self.me.mutate("qaAsk", asked, &select).await;
        self.worked("QA", &asked).await;
        let answer = asked["answer"].clone();
        self.hold(&answer["citations"]);
        self.hold(&answer["nearMisses"]);
        answer
    }

    /// Quotations equal the texts that are kept, character by character.
    fn hold(&self, citations: &Value) {
        for citation in citations.as_array().unwrap() {
            let text = &self.texts[citation["document"]["id"].as_str().unwrap()];
            let place = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
            let (start, end) = (place("startOffset"), place("endOffset"));
            let quoted: String = text.chars().skip(start).take(end - start).collect();
            assert!(!quoted.is_empty());
            assert_eq!(citation["quote"], quoted, "{citation:#}");
        }
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

    // What the team knows, in two languages. Markdown is kept as it is, and of a page what people read.
    for (title, text) in [("Handbuch", HANDBOOK), ("Der Rahmen", FRAME)] {
        assert!(text.split_whitespace().count() > 4_000);
        assert_eq!(day.learn(title, "text/markdown", text).await.trim(), text.trim());
    }
    let page = day.learn("Yoga house rules", "text/html", YOGA).await;
    assert!(page.split_whitespace().count() > 4_000);
    for read in [
        "# House rules and student handbook\n\nNinth edition, in force from 4 January 2027.",
        "\n- Please practise in bare feet or in grip socks.\n",
        "\n| Newcomer offer | £35 | 3 weeks, once per person |\n",
    ] {
        assert!(page.contains(read), "{read}: {page}");
    }
    for unread in ["Summer sale", "--water", "<p>", "&nbsp;", "&pound;"] {
        assert!(YOGA.contains(unread) && !page.contains(unread), "{unread}: {page}");
    }

    // Questions are answered in the documents' own words, and what no document tells is not answered.
    for (question, title, words) in QUESTIONS {
        let answer = day.ask(question).await;
        assert_eq!(answer["answered"], true, "{question}: {answer:#}");
        let text = answer["answer"].as_str().unwrap();
        let citations = answer["citations"].as_array().unwrap();
        let says = |citation: &&Value| citation["quote"].as_str().unwrap().contains(words);
        let found = citations.iter().find(says);
        let found = found.unwrap_or_else(|| panic!("{question}: {answer:#}"));
        assert_eq!(found["document"]["title"], title, "{question}: {answer:#}");
        assert!(
            citations.iter().all(|citation| text.contains(citation["quote"].as_str().unwrap())),
            "{answer:#}"
        );
    }
    let answer = day.ask(UNANSWERED).await;
    assert_eq!((&answer["answered"], &answer["answer"]), (&json!(false), &Value::Null), "{answer:#}");
    assert_eq!(answer["citations"], json!([]));
    let open = "query($id: ID!) { project(id: $id) { openQuestions { question asked } } }";
    let open = day.me.ok(open, json!({"id": day.project})).await;
    assert_eq!(open["project"]["openQuestions"], json!([{"question": UNANSWERED, "asked": 1}]));

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
        .make("POST_COMPOSITION", "postCompose", brief, "... on Post { id state variants { caption sources { document { id title } quote startOffset endOffset } validity { valid } } assets { id } }")
        .await;
    let variant = &post["variants"][0];
    assert_eq!(variant["validity"][0]["valid"], true, "{post:#}");
    day.hold(&variant["sources"]);
    let is_asked_for = |source: &Value| {
        source["document"]["title"] == "Der Rahmen"
            && source["quote"].as_str().unwrap().to_lowercase().contains("drei minuten")
    };
    assert!(variant["sources"].as_array().unwrap().iter().any(is_asked_for), "{post:#}");
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
    let tags = tags["hashtags"].as_array().unwrap();
    assert!(!tags.is_empty());
    assert!(tags.iter().all(|tag| tag["tag"].as_str().unwrap().starts_with('#')), "{tags:#?}");
    let month = json!({"goals": ["Menschen schlafen besser"], "channels": ["INSTAGRAM"], "postsPerWeek": 2, "timezone": "Europe/Berlin",
        "from": "2027-03-01T00:00:00+01:00", "until": "2027-03-31T00:00:00+02:00"});
    let plan = day
        .make(
            "CONTENT_STRATEGY",
            "contentStrategyCreate",
            month,
            "... on ContentStrategy { slots { at topic angle } pillars { name sources { id } } calendarIcs { url bytes } }",
        )
        .await;
    let calendar = String::from_utf8(day.fetch(&plan["calendarIcs"]).await).unwrap();
    let calendar: icalendar::Calendar = calendar.parse().unwrap();
    let slots = plan["slots"].as_array().unwrap();
    assert_eq!(calendar.components.len(), slots.len());
    // Topics and sentences to start from are the documents', or what was asked in vain; four whole weeks have two each.
    assert!(slots.len() >= 8, "{plan:#}");
    let is_theirs = |words: &Value| {
        let words = words.as_str().unwrap();
        words == UNANSWERED || day.texts.values().any(|text| text.contains(words))
    };
    for slot in slots {
        assert!(is_theirs(&slot["topic"]), "{slot:#}");
        assert!(slot["angle"].is_null() || is_theirs(&slot["angle"]), "{slot:#}");
    }
    assert!(slots.iter().any(|slot| slot["angle"].is_string()), "{plan:#}");
    let pillars = plan["pillars"].as_array().unwrap();
    assert!(!pillars.is_empty());
    for pillar in pillars {
        let sources = pillar["sources"].as_array().unwrap();
        assert!(!pillar["name"].as_str().unwrap().is_empty() && !sources.is_empty(), "{pillar:#}");
        assert!(
            sources.iter().all(|source| day.texts.contains_key(source["id"].as_str().unwrap())),
            "{pillar:#}"
        );
    }

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
    // An output of each run, and those that the workflow's steps have left beside theirs: two affirmations, and for each of
    // them a picture, a post and hashtags.
    let runs: usize = day.runs.values().sum();
    assert_eq!((day.runs.len(), &kept["outputs"]["totalCount"]), (9, &json!(runs + 7)), "{kept:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_any_key() {
    let studio = Studio::open().await;
    live(&studio, None).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_day_with_a_provider_that_misbehaves() {
    let key = "sk-key-that-does-not-matter";
    let questions = [
        Reply::rate_limited("1"),
        Reply::server_error(),
        Reply::overloaded(),
        Reply::text("Half an answer, and then").cut_after(1),
        Reply::text("Another one, and then").error_after(1),
        Reply::unauthorized(key),
        Reply::insufficient_quota(),
        Reply::raw(502, "text/html", "<h1>Bad gateway</h1>"),
    ];
    assert_eq!(questions.len(), QUESTIONS.len() + 1);
    let others = [
        Reply::server_error(),
        Reply::text("This is not JSON.").drip(),
        Reply::json(&json!({"unexpected": true})).cut_after(1),
        Reply::overloaded(),
    ];
    let orders = questions.len() + others.len();
    let fake = FakeProvider::start().await;
    fake.script(questions.into_iter().chain(others));
    let studio = Studio::with(|config| config.providers = fake.endpoints(key)).await;
    live(&studio, Some(openai(true))).await;
    assert_eq!(fake.requests().len(), orders, "each order is tried once");
    studio.close().await;
}
