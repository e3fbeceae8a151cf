//! Steps that work for each item of a list: what they are given and give, what interrupts them, and what they cost.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fixture::uuid;
use crate::support::provider::Reply;
use crate::support::work::{Room, openai};
use crate::support::{Client, cast};
use crate::usage::{agrees, limit, used};
use crate::workflows::{ended, lines, start, statuses, step, tags, template};

const STEPS: &str = "query($id: ID!) { node(id: $id) { ... on ContentWorkflowRun { id status job { id status progress error { code message } }
    steps { key status attempts startedAt finishedAt itemCount skipped error { code message } engine { provider }
        holds output { id } outputs { __typename id } } } } }";

/// The run's steps with all that they have left behind.
async fn look(client: &Client<'_>, id: &Value) -> Value {
    client.ok(STEPS, json!({"id": id})).await["node"].clone()
}

async fn done(room: &Room, started: &Value) -> Value {
    ended(room, started).await;
    look(&room.member(), &started["run"]["id"]).await
}

fn ids(step: &Value) -> Vec<String> {
    let outputs = step["outputs"].as_array().unwrap().iter();
    outputs.map(|output| output["id"].as_str().unwrap().to_owned()).collect()
}

/// A run's list of lines.
fn variables() -> Value {
    json!([{"name": "lines", "type": "TEXTS", "default": {"texts": ["I sleep well.", "I trust my work.", "I take my time."]}}])
}

/// Hashtags of each line.
fn tagged(more: &Value) -> Value {
    let mut step = json!({"key": "tags", "kind": "AGENT", "agent": "HASHTAG_RESEARCH", "forEach": "options.lines",
        "inputs": [{"name": "text", "from": "item"}]});
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_works_for_each_item_of_a_list() {
    let room = Room::new().await;
    let mut known = variables();
    known.as_array_mut().unwrap().push(
        json!({"name": "channels", "type": "CHANNELS", "default": {"texts": ["INSTAGRAM", "LINKEDIN"]}}),
    );
    let steps = json!([
        {"key": "pictures", "kind": "AGENT", "agent": "VISUAL_POST", "forEach": "options.lines", "forEachAtMost": 2, "inputs": [
            {"name": "text", "from": "item"}, {"name": "format", "value": {"text": "LINK"}},
            {"name": "template", "value": {"text": "gradient"}}]},
        {"key": "posts", "kind": "AGENT", "agent": "POST_COMPOSITION", "after": ["pictures"], "forEach": "options.lines", "inputs": [
            {"name": "brief", "from": "brief"}, {"name": "lead", "from": "item"},
            {"name": "channels", "from": "options.channels.item"}, {"name": "assets", "from": "steps.pictures.assets.item"}]},
        {"key": "tags", "kind": "AGENT", "agent": "HASHTAG_RESEARCH", "after": ["posts"], "forEach": "steps.posts.text",
            "inputs": [{"name": "text", "from": "item"}, {"name": "count", "from": "item.number"}]},
        {"key": "enough", "kind": "CONDITION", "after": ["tags"], "condition": {"of": "steps.tags.count", "atLeast": 3}},
        {"key": "alone", "kind": "CONDITION", "after": ["enough"], "condition": {"of": "steps.pictures.assets", "atMost": 1}},
    ]);
    let made = template(&room, "lines", known, steps).await;
    let kept = room
        .owner()
        .ok(
            "query($id: ID!) { node(id: $id) { ... on ContentWorkflowTemplate { steps { forEach forEachAtMost } } } }",
            json!({"id": made["template"]["id"]}),
        )
        .await;
    assert_eq!(
        kept["node"]["steps"].as_array().unwrap()[..3],
        [
            json!({"forEach": "options.lines", "forEachAtMost": 2}),
            json!({"forEach": "options.lines", "forEachAtMost": null}),
            json!({"forEach": "steps.posts.text", "forEachAtMost": null}),
        ]
    );
    let made = start(&room, json!({"template": "lines"})).await;
    let run = done(&room, &made).await;
    assert_eq!(run["status"], "SUCCEEDED", "{run:#}");
    for (key, kind, count) in [("pictures", "VisualPost", 2), ("posts", "Post", 3), ("tags", "HashtagSet", 3)]
    {
        let step = step(&run, key);
        let outputs = step["outputs"].as_array().unwrap();
        assert!(outputs.iter().all(|output| output["__typename"] == kind), "{step:#}");
        assert_eq!((outputs.len(), &step["itemCount"]), (count, &json!(count)), "{step:#}");
        assert_eq!(
            (&step["attempts"], &step["output"]["id"]),
            (&json!(count), &outputs[0]["id"]),
            "{step:#}"
        );
        assert_eq!(step["engine"]["provider"], "builtin");
        assert!(step["startedAt"].as_str().unwrap() <= step["finishedAt"].as_str().unwrap());
    }
    // What they give together: one hashtag and more and more, and a picture of each.
    let holds = ["enough", "alone"].map(|key| step(&run, key)["holds"].clone());
    assert_eq!(holds, [json!(true), json!(false)], "{run:#}");
    assert_eq!(
        (&step(&run, "enough")["itemCount"], &step(&run, "enough")["outputs"]),
        (&Value::Null, &json!([]))
    );

    // Lists stand beside each other, and the shorter ones go round.
    let [pictures, posts, found] = ["pictures", "posts", "tags"].map(|key| ids(step(&run, key)));
    let of = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on VisualPost { slides { altText jpeg { id } } }
        ... on Post { assets { id } variants { caption validity { channel } } } ... on HashtagSet { hashtags { tag } } } }";
    let drawn = room.member().ok(of, json!({"ids": pictures})).await["nodes"].clone();
    let composed = room.member().ok(of, json!({"ids": posts})).await["nodes"].clone();
    for (at, (line, channel)) in
        [("I sleep well.", "INSTAGRAM"), ("I trust my work.", "LINKEDIN"), ("I take my time.", "INSTAGRAM")]
            .into_iter()
            .enumerate()
    {
        let post = &composed[at];
        assert_eq!(
            post["assets"],
            json!([{"id": drawn[at % 2]["slides"][0]["jpeg"]["id"]}]),
            "{at}: {composed:#}"
        );
        assert_eq!(post["variants"][0]["validity"][0]["channel"], channel, "{post:#}");
        assert!(post.to_string().contains(line), "{line}: {post:#}");
    }
    let found = room.member().ok(of, json!({"ids": found})).await["nodes"].clone();
    let counts = [0, 1, 2].map(|at| found[at]["hashtags"].as_array().unwrap().len());
    assert!(counts[0] == 1 && counts[1] <= 2 && counts[2] <= 3, "as many as its number: {found:#}");
    for (at, line) in ["I sleep well", "I trust my work"].into_iter().enumerate() {
        assert!(drawn[at]["slides"][0]["altText"].as_str().unwrap().contains(line), "{drawn:#}");
    }

    // Each is an output of its own: in the list, in the audit log, and in what is used.
    let counted = room
        .owner()
        .ok(
            "{ organization { outputs { totalCount } auditLog(first: 50, filter: {actions: [\"output.create\"]}) { nodes {
                targetId changes { field after } } } usage { metrics { kind used } } } }",
            json!({}),
        )
        .await["organization"]
        .clone();
    assert_eq!(counted["outputs"]["totalCount"], 9, "the run, and one for each");
    let log = counted["auditLog"]["nodes"].as_array().unwrap();
    assert_eq!(log.len(), 8);
    let second = log.iter().find(|entry| entry["targetId"] == posts[1].as_str()).unwrap();
    for change in [json!({"field": "step", "after": "posts"}), json!({"field": "item", "after": 2})] {
        assert!(second["changes"].as_array().unwrap().contains(&change), "{second:#}");
    }
    let metrics = counted["usage"]["metrics"].as_array().unwrap();
    let used = |kind: &str| metrics.iter().find(|metric| metric["kind"] == kind).unwrap()["used"].as_f64();
    assert_eq!((used("AGENT_RUNS"), used("IMAGES")), (Some(9.0), Some(2.0)));
    let job = room.member().job(made["job"]["id"].as_str().unwrap()).await;
    let told: Vec<(&str, &Value)> = job["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["data"]["step"] == "posts")
        .map(|event| (event["kind"].as_str().unwrap(), &event["data"]["item"]))
        .collect();
    assert_eq!(
        told,
        [
            ("step", &json!(1)),
            ("step_item_succeeded", &json!(1)),
            ("step", &json!(2)),
            ("step_item_succeeded", &json!(2)),
            ("step", &json!(3)),
            ("step_succeeded", &json!(3)),
        ]
    );

    // Taken up from a step on, all of its items are worked for again; those of the steps before it are kept.
    let input = json!({"runId": run["id"], "fromStep": "posts", "wait": true});
    let again = room.member().mutate("contentWorkflowRerun", input, "job { id } run { id }").await;
    let second = done(&room, &again).await;
    assert_eq!(second["status"], "SUCCEEDED", "{second:#}");
    assert_eq!(step(&second, "pictures"), step(&run, "pictures"), "as it was");
    let anew = ids(step(&second, "posts"));
    assert!(anew.len() == 3 && anew.iter().all(|id| !posts.contains(id)), "{second:#}");
    assert_eq!(look(&room.member(), &run["id"]).await, run, "the first run is as it was");

    // What is deleted is left out, and nobody else sees any of it.
    let admin = room.acme.admin.at(&room.server);
    admin.mutate("outputDelete", json!({"id": anew[0]}), "").await;
    let left = look(&room.member(), &second["id"]).await;
    assert_eq!(ids(step(&left, "posts")), anew[1..], "{left:#}");
    assert_eq!(step(&left, "posts")["output"], Value::Null, "the first one is gone");
    let input = json!({"runId": second["id"], "fromStep": "tags", "wait": true});
    let third = room.member().mutate("contentWorkflowRerun", input, "job { id } run { id }").await;
    let third = done(&room, &third).await;
    assert_eq!(step(&third, "tags")["error"]["code"], "NOT_FOUND", "{third:#}");
    assert!(
        step(&third, "tags")["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`posts` left behind was deleted")
    );
    let globex = cast::organization(&room.server, "Globex").await;
    assert_eq!(look(&globex.owner.at(&room.server), &run["id"]).await, Value::Null);
    let found = globex.owner.at(&room.server).ok(of, json!({"ids": posts})).await;
    assert_eq!(found["nodes"], json!([null, null, null]));
    room.workers.stop().await;
}

/// A run whose second item stands in the middle of its provider's answer.
async fn stalled(room: &Room) -> Value {
    template(room, "tagged", variables(), json!([tagged(&json!({}))])).await;
    room.fake.script([tags(), tags().slow_headers(Duration::from_secs(40))]);
    let made = start(room, json!({"template": "tagged", "engine": openai(false), "wait": false})).await;
    let until = Instant::now() + Duration::from_secs(60);
    while room.fake.requests().len() < 2 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_loses_its_worker_goes_on_at_its_unfinished_item_and_makes_none_twice() {
    let room = Room::new().await;
    let made = stalled(&room).await;
    let before = look(&room.member(), &made["run"]["id"]).await;
    let first = step(&before, "tags");
    assert_eq!((&first["status"], &first["itemCount"]), (&json!("RUNNING"), &json!(3)), "{before:#}");
    assert_eq!((ids(first).len(), &first["attempts"]), (1, &json!(2)), "{before:#}");
    let third = before["job"]["progress"].as_f64().map(|done| (done * 3.0).round());
    assert_eq!(third, Some(1.0), "one of its three items is done: {before:#}");
    room.fake.script([tags(), tags()]);
    // As the sweep does with a worker that gives no sign of life: whoever had the job has lost it.
    let sql =
        "update jobs set lease_until = now() - interval '1 second', attempts = attempts + 1 where id = $1";
    let job = made["job"]["id"].as_str().unwrap();
    sqlx::query(sql).bind(uuid(job)).execute(&mut room.server.database.superuser().await).await.unwrap();
    let after = done(&room, &made).await;
    assert_eq!(after["status"], "SUCCEEDED", "{after:#}");
    let tagged = step(&after, "tags");
    assert_eq!((ids(tagged).len(), &tagged["attempts"]), (3, &json!(4)), "{after:#}");
    assert_eq!(ids(tagged)[0], ids(first)[0], "what was done stays as it was");
    let asked: Vec<String> = room.fake.requests().iter().map(|seen| seen.body.to_string()).collect();
    let about = |line: &str| asked.iter().filter(|body| body.contains(line)).count();
    let times = ["I sleep well.", "I trust my work.", "I take my time."].map(about);
    assert_eq!(times, [1, 2, 1], "what was paid for is not asked for again");
    // What all answers took stands on the job.
    let job = room.member().job(job).await;
    assert_eq!(job["engine"]["promptTokens"], 150, "{job:#}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_within_an_item_and_keeps_those_that_are_done() {
    let room = Room::new().await;
    let made = stalled(&room).await;
    room.member().mutate("jobCancel", json!({"id": made["job"]["id"]}), "").await;
    let run = done(&room, &made).await;
    assert_eq!((&run["status"], statuses(&run)), (&json!("CANCELLED"), vec!["CANCELLED"]), "{run:#}");
    assert_eq!(ids(step(&run, "tags")).len(), 1, "what is done is kept");
    assert_eq!(room.fake.requests().len(), 2, "and nothing is begun any more");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_is_tried_again_and_the_step_fails_of_the_first_that_fails() {
    let room = Room::new().await;
    template(&room, "again", variables(), json!([tagged(&json!({"retries": 1}))])).await;
    let asked = json!({"template": "again", "engine": openai(false)});
    room.fake.script([tags(), Reply::server_error(), tags(), Reply::server_error(), tags()]);
    let run = done(&room, &start(&room, asked.clone()).await).await;
    assert_eq!(run["status"], "SUCCEEDED", "each of them once: {run:#}");
    assert_eq!(step(&run, "tags")["attempts"], 5);
    room.fake.script([tags(), Reply::server_error(), Reply::server_error()]);
    let run = done(&room, &start(&room, asked).await).await;
    let failed = step(&run, "tags");
    assert_eq!(
        (&failed["status"], &failed["error"]["code"], &failed["attempts"]),
        (&json!("FAILED"), &json!("PROVIDER_FAILED"), &json!(3)),
        "{run:#}"
    );
    assert_eq!((ids(failed).len(), &failed["itemCount"]), (1, &json!(3)), "{run:#}");
    assert_eq!(room.fake.left(), 0);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_items_and_not_too_many() {
    let room = Room::new().await;
    let behind = json!({"key": "behind", "kind": "AGENT", "agent": "AFFIRMATIONS", "after": ["tags"],
        "inputs": [{"name": "goals", "from": "steps.tags.texts"}]});
    template(&room, "all", variables(), json!([tagged(&json!({})), behind])).await;
    template(&room, "some", variables(), json!([tagged(&json!({"forEachAtMost": 1}))])).await;
    let eleven: Vec<String> = (0..11).map(|number| format!("I sleep well for {number} hours.")).collect();
    for (lines, code, said) in [
        (json!(eleven), "TOO_LONG", "`options.lines` has 11 items, and a step works for 10 at the most"),
        (json!([]), "INSUFFICIENT_INPUT", "`options.lines` is empty"),
    ] {
        let made = start(&room, json!({"template": "all", "options": {"lines": lines}})).await;
        let run = done(&room, &made).await;
        let failed = step(&run, "tags");
        assert_eq!(
            (&failed["status"], &failed["error"]["code"]),
            (&json!("FAILED"), &json!(code)),
            "{run:#}"
        );
        assert!(failed["error"]["message"].as_str().unwrap().contains(said), "{failed:#}");
        assert_eq!((&failed["outputs"], &failed["attempts"]), (&json!([]), &json!(1)), "{failed:#}");
        assert!(step(&run, "behind")["skipped"].as_str().unwrap().contains("`tags` failed"), "{run:#}");
    }
    // The first so many of them, however many there are.
    let made = start(&room, json!({"template": "some", "options": {"lines": eleven}})).await;
    let run = done(&room, &made).await;
    assert_eq!(
        (&run["status"], &step(&run, "tags")["itemCount"]),
        (&json!("SUCCEEDED"), &json!(1)),
        "{run:#}"
    );
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_worked_for_is_refused_with_its_reason() {
    let room = Room::new().await;
    let admin = room.acme.admin.at(&room.server);
    let gate = json!({"key": "gate", "kind": "APPROVAL", "forEach": "options.lines"});
    for (step, code, said) in [
        (gate, "INVALID", "`forEach`, which belongs to steps of another kind"),
        (tagged(&json!({"forEachAtMost": 11})), "OUT_OF_RANGE", "`forEachAtMost`"),
        (tagged(&json!({"forEachAtMost": 0})), "OUT_OF_RANGE", "from 1 to 10"),
        (tagged(&json!({"forEach": null, "forEachAtMost": 3})), "REQUIRED", "needs `forEach`"),
        (tagged(&json!({"forEach": null})), "INVALID", "`item` and works for no list"),
        (tagged(&json!({"forEach": "brief"})), "INVALID", "it is a text"),
        (tagged(&json!({"forEach": "everything"})), "INVALID", "names no value"),
    ] {
        let input = json!({"organizationId": room.acme.id, "key": "bad", "name": "n", "variables": variables(), "steps": [step]});
        let payload = admin.try_mutate("contentWorkflowTemplateCreate", input, "userErrors { field }").await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!(code), &json!(["input", "steps"])),
            "{payload}"
        );
        assert!(error["message"].as_str().unwrap().contains(said), "{said}: {error}");
    }
    template(&room, "good", variables(), json!([tagged(&json!({"forEachAtMost": 10}))])).await;
    room.workers.stop().await;
}

/// The figures of a dry run, which is not started.
async fn price(room: &Room, template: &str, more: Value) -> Value {
    let mut input = json!({"projectId": room.acme.project, "template": template, "dryRun": true, "language": "EN",
        "brief": "I want to sleep better. I want to trust my work."});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    room.member().mutate("contentWorkflowRun", input, "job { id } estimatedCostMicroUsd").await["estimatedCostMicroUsd"]
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prices_as_many_items_as_there_may_be() {
    let room = Room::new().await;
    let affirm = |count: Value| {
        json!({"key": "lines", "kind": "AGENT", "agent": "AFFIRMATIONS", "inputs": [
            {"name": "goals", "from": "brief.sentences"}, {"name": "count", "value": {"number": count}}]})
    };
    let after = |list: &str| tagged(&json!({"forEach": list, "after": ["lines"]}));
    for (key, steps) in [
        ("once", json!([tagged(&json!({"forEach": null, "inputs": [{"name": "text", "from": "brief"}]}))])),
        ("lines", json!([tagged(&json!({}))])),
        ("two", json!([tagged(&json!({"forEachAtMost": 2}))])),
        ("sentences", json!([tagged(&json!({"forEach": "brief.sentences"}))])),
        ("affirmed", json!([affirm(json!(4)), after("steps.lines.texts")])),
        ("affirm", json!([affirm(json!(4))])),
        ("many", json!([affirm(json!(20)), after("steps.lines.texts")])),
    ] {
        template(&room, key, variables(), steps).await;
    }
    let of = async |key: &str| price(&room, key, json!({"engine": openai(false)})).await.as_i64().unwrap();
    let one = of("once").await;
    assert!(one > 0);
    assert_eq!([of("lines").await, of("two").await, of("sentences").await], [3 * one, 2 * one, 2 * one]);
    let lines = json!({"engine": openai(false), "options": {"lines": ["I sleep well."]}});
    assert_eq!(price(&room, "lines", lines).await, one, "a run's own list");
    let affirm = of("affirm").await;
    assert_eq!(of("affirmed").await, affirm + 4 * one, "as many as the step before it may make");
    assert_eq!(of("many").await, affirm + 10 * one, "and no more than any step works for");
    assert_eq!(price(&room, "many", json!({})).await, 0, "the built-in engine costs nothing");

    // What is spoken costs by the character, where that is what its price is for.
    let film = |scenes: Value, voice: Value, more: Value| {
        let mut step = json!({"key": "film", "kind": "AGENT", "agent": "VIDEO", "inputs": [
            {"name": "scenes"}, {"name": "narrationVoice"}]});
        step["inputs"][0].as_object_mut().unwrap().extend(scenes.as_object().unwrap().clone());
        step["inputs"][1].as_object_mut().unwrap().extend(voice.as_object().unwrap().clone());
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    };
    let voice = json!({"value": {"text": "marin"}});
    let said = json!({"value": {"texts": ["Ich atme.", "Größe."]}});
    let mut known = variables();
    known.as_array_mut().unwrap().push(json!({"name": "voice", "type": "TEXT", "default": {"text": ""}}));
    let before = tagged(&json!({}));
    for (key, steps) in [
        ("spoken", json!([film(said.clone(), voice.clone(), json!({}))])),
        ("wished", json!([film(said, json!({"from": "options.voice"}), json!({}))])),
        ("each", json!([film(json!({"from": "item"}), voice.clone(), json!({"forEach": "options.lines"}))])),
        (
            "unknown",
            json!([before, film(json!({"from": "steps.tags.texts"}), voice, json!({"after": ["tags"]}))]),
        ),
    ] {
        template(&room, key, known.clone(), steps).await;
    }
    let route = async |provider: &str, model: &str| {
        let engine = json!({"provider": provider, "model": model});
        let input = json!({"organizationId": room.acme.id, "agent": "VIDEO", "engine": engine});
        room.owner().mutate("engineRouteSet", input, "").await;
    };
    assert_eq!(price(&room, "wished", json!({})).await, 0, "nobody speaks");
    route("openai", "tts-1").await;
    assert_eq!(price(&room, "spoken", json!({})).await, 15 * 15, "fifteen characters");
    assert_eq!(price(&room, "wished", json!({})).await, 0, "nobody speaks");
    assert_eq!(price(&room, "wished", json!({"options": {"voice": "marin"}})).await, 15 * 15);
    assert_eq!(price(&room, "each", json!({})).await, 3 * 400 * 15, "a scene of 400 characters for each");
    assert_eq!(price(&room, "unknown", json!({})).await, 20 * 400 * 15, "twenty scenes at the most");
    // One counts tokens that it does not tell: its price is not known, which is not nothing.
    route("openai", "gpt-4o-mini-tts").await;
    assert_eq!(price(&room, "spoken", json!({})).await, Value::Null);
    assert_eq!(price(&room, "wished", json!({})).await, 0);
    assert!(room.fake.requests().is_empty(), "nobody was asked");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reserves_as_many_items_as_there_may_be_and_gives_back_the_rest() {
    let room = Room::new().await;
    let steps = json!([
        {"key": "lines", "kind": "AGENT", "agent": "AFFIRMATIONS", "inputs": [
            {"name": "goals", "from": "brief.sentences"}, {"name": "count", "value": {"number": 20}}]},
        tagged(&json!({"forEach": "steps.lines.texts", "after": ["lines"]})),
        {"key": "gate", "kind": "APPROVAL", "after": ["tags"]},
    ]);
    template(&room, "counted", json!([]), steps).await;
    let member = room.member();
    // The run, the step before it, and ten items.
    limit(&room.server, &room.acme, &json!({"AGENT_RUNS": 11})).await;
    let asked = json!({"template": "counted", "engine": openai(false)});
    let mut input =
        json!({"projectId": room.acme.project, "brief": "I want to sleep better. I want to trust my work."});
    input.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    assert_eq!(member.fault("contentWorkflowRun", input).await, "QUOTA_EXCEEDED");
    limit(&room.server, &room.acme, &json!({"AGENT_RUNS": 12})).await;
    // Two lines come of it, and nothing new when more are asked for.
    room.fake.script([lines(), lines(), tags(), tags()]);
    let made = start(&room, asked).await;
    assert_eq!(made["job"]["status"], "AWAITING_APPROVAL", "{made:#}");
    let run = look(&member, &made["run"]["id"]).await;
    assert_eq!(step(&run, "tags")["itemCount"], 2, "{run:#}");
    assert_eq!(used(&member, ["AGENT_RUNS"]).await, [4], "while it waits as well");
    agrees(&room.server).await;
    member.mutate("jobCancel", json!({"id": made["job"]["id"]}), "").await;
    assert_eq!(used(&member, ["AGENT_RUNS"]).await, [3], "what was made stays counted");
    agrees(&room.server).await;
    room.workers.stop().await;
}

/// Films of the shortest and smallest kind: they take longer than all else.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_made_of_pictures_that_say_their_texts() {
    let room = Room::new().await;
    let steps = json!([
        {"key": "pictures", "kind": "AGENT", "agent": "VISUAL_POST", "forEach": "options.lines", "forEachAtMost": 2, "inputs": [
            {"name": "text", "from": "item"}, {"name": "format", "value": {"text": "STORY"}}]},
        {"key": "film", "kind": "AGENT", "agent": "VIDEO", "after": ["pictures"], "inputs": [
            {"name": "scenes", "from": "options.lines"}, {"name": "assets", "from": "steps.pictures.assets"},
            {"name": "textsInAssets", "value": {"flag": true}}, {"name": "size", "value": {"text": "REEL_SMALL"}},
            {"name": "durationSeconds", "value": {"number": 3}}]},
    ]);
    template(&room, "shown", variables(), steps).await;
    let run = done(&room, &start(&room, json!({"template": "shown", "wait": false})).await).await;
    assert_eq!(run["status"], "SUCCEEDED", "{run:#}");
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Video { captionContrast captionsVtt { id } scenes { text } } } }";
    let film = room.member().ok(query, json!({"ids": ids(step(&run, "film"))})).await["nodes"][0].clone();
    // A text without a picture is left out; the others are in the captions' file, and not drawn over themselves.
    assert_eq!(film["scenes"], json!([{"text": "I sleep well."}, {"text": "I trust my work."}]), "{film:#}");
    assert_eq!(film["captionContrast"], Value::Null, "{film:#}");
    assert!(film["captionsVtt"]["id"].is_string(), "{film:#}");
    room.workers.stop().await;
}
