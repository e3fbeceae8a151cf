//! Workflows: what a run goes through, who may let it, what interrupts it, and what is left of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fixture::uuid;
use crate::support::provider::Reply;
use crate::support::work::{Room, openai};
use crate::support::{Client, cast, mutation};

const STARTED: &str = "job { id status error { code message } result { id } engine { provider promptTokens } } project { id }
    estimatedCostMicroUsd run { id template status rerunOf { id } createdBy { ... on User { id } } steps { key kind agent status attempts startedAt
        finishedAt approvedBy { id } comment message holds skipped waitsUntil error { code message }
        engine { provider } output { __typename id } } }";
const RUN: &str = "query($id: ID!) { node(id: $id) { ... on ContentWorkflowRun { id template status rerunOf { id } job { id status error { code message } }
    steps { key kind agent status attempts startedAt finishedAt approvedBy { id } comment message holds skipped waitsUntil
        error { code message } engine { provider } output { __typename id } } } } }";
const BRIEF: &str = "I want to sleep better. I want to trust my work.";

/// The mutation's input for a run in the organization's project.
fn asked(room: &Room, more: &Value) -> Value {
    let mut input = json!({"projectId": room.acme.project, "brief": BRIEF, "language": "EN", "wait": true});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    // A film takes longer than all the other steps; what makes one is tested on its own.
    let template = input["template"].as_str().unwrap_or("full");
    let has_film = template == "full" && matches!(&input["options"], Value::Null | Value::Object(_));
    if has_film && input["options"]["createReels"].is_null() {
        input["options"]["createReels"] = json!(false);
    }
    input
}

pub async fn start(room: &Room, more: Value) -> Value {
    room.member().mutate("contentWorkflowRun", asked(room, &more), STARTED).await
}

async fn run(client: &Client<'_>, id: &Value) -> Value {
    client.ok(RUN, json!({"id": id})).await["node"].clone()
}

/// The run, once its job has ended.
pub async fn ended(room: &Room, started: &Value) -> Value {
    room.member().finished(started["job"]["id"].as_str().unwrap()).await;
    run(&room.member(), &started["run"]["id"]).await
}

pub fn step<'a>(run: &'a Value, key: &str) -> &'a Value {
    let steps = run["steps"].as_array().unwrap();
    steps.iter().find(|step| step["key"] == key).unwrap_or_else(|| panic!("{key} in {run:#}"))
}

pub fn statuses(run: &Value) -> Vec<&str> {
    run["steps"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect()
}

fn decision(run: &Value, approve: bool, comment: Option<&str>) -> Value {
    json!({"runId": run["id"], "stepKey": "approval", "approve": approve, "comment": comment})
}

/// How many outputs there are, and how many audit entries of an action.
async fn counts(room: &Room, action: &str) -> (i64, i64) {
    let query = "query($action: String!) { organization { outputs { totalCount } auditLog(filter: {actions: [$action]}) { totalCount } } }";
    let found = room.owner().ok(query, json!({"action": action})).await;
    let count = |list: &str| found["organization"][list]["totalCount"].as_i64().unwrap();
    (count("outputs"), count("auditLog"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_through_its_agents_and_an_approval() {
    let room = Room::new().await;
    let period = room.member().ok("{ periods { id } }", json!({})).await["periods"][2]["id"].clone();
    let made = start(&room, json!({"periodId": period, "options": {"affirmationCount": 2}})).await;
    assert_eq!(made["job"]["status"], "AWAITING_APPROVAL", "{made:#}");
    assert_eq!(made["job"]["result"]["id"], made["run"]["id"], "the run is there from the beginning");
    assert_eq!(made["estimatedCostMicroUsd"], 0, "the built-in engine costs nothing");
    let job = room.member().job(made["job"]["id"].as_str().unwrap()).await;
    assert_eq!(
        job["progress"].as_f64().map(|done| (done * 9.0).round()),
        Some(4.0),
        "four of its nine steps are done"
    );
    let waiting = &made["run"];
    assert_eq!((&waiting["template"], &waiting["status"]), (&json!("full"), &json!("AWAITING_APPROVAL")));
    assert_eq!(
        statuses(waiting),
        [
            "SUCCEEDED",
            "SUCCEEDED",
            "SUCCEEDED",
            "SUCCEEDED",
            "AWAITING_APPROVAL",
            "QUEUED",
            "QUEUED",
            "QUEUED",
            "QUEUED",
            "QUEUED"
        ]
    );
    for (key, agent, output) in [
        ("affirmations", "AFFIRMATIONS", "AffirmationSet"),
        ("picture", "VISUAL_POST", "VisualPost"),
        ("post", "POST_COMPOSITION", "Post"),
        ("hashtags", "HASHTAG_RESEARCH", "HashtagSet"),
    ] {
        let step = step(waiting, key);
        assert_eq!(
            (&step["agent"], &step["output"]["__typename"]),
            (&json!(agent), &json!(output)),
            "{step:#}"
        );
        let times = if key == "affirmations" { 1 } else { 2 };
        assert_eq!((&step["attempts"], &step["engine"]["provider"]), (&json!(times), &json!("builtin")));
        assert!(step["startedAt"].as_str().unwrap() <= step["finishedAt"].as_str().unwrap());
    }
    let lines = room
        .member()
        .ok(
            "query($id: ID!) { node(id: $id) { ... on AffirmationSet { job { id } affirmations { basedOn } } } }",
            json!({"id": step(waiting, "affirmations")["output"]["id"]}),
        )
        .await;
    assert_eq!(lines["node"]["affirmations"].as_array().unwrap().len(), 2, "the option counts: {lines}");
    assert_eq!(lines["node"]["job"]["id"], made["job"]["id"]);
    assert!(step(waiting, "approval")["message"].as_str().unwrap().contains("approve"));

    // Who may not approve is refused, and nothing has happened.
    let approve = mutation("contentWorkflowApprove", "");
    let input = json!({"input": decision(waiting, true, None)});
    assert_eq!(room.member().refusal(&approve, input.clone()).await, "FORBIDDEN");
    assert_eq!(room.acme.viewer.at(&room.server).refusal(&approve, input).await, "FORBIDDEN");
    assert_eq!(run(&room.member(), &waiting["id"]).await["status"], "AWAITING_APPROVAL");
    let admin = room.acme.admin.at(&room.server);
    for (step, code) in
        [("post", "CONFLICT"), ("schedule", "CONFLICT"), ("nothing", "NOT_FOUND"), ("", "REQUIRED")]
    {
        let input = json!({"runId": waiting["id"], "stepKey": step, "approve": true});
        assert_eq!(admin.fault("contentWorkflowApprove", input).await, code, "{step}");
    }
    let approved = admin
        .mutate("contentWorkflowApprove", decision(waiting, true, Some("Good.")), "run { id status }")
        .await;
    assert_eq!(approved["run"]["id"], waiting["id"]);

    let run = ended(&room, &made).await;
    assert_eq!(run["status"], "SUCCEEDED", "{run:#}");
    let approval = step(&run, "approval");
    assert_eq!(
        (&approval["status"], &approval["approvedBy"]["id"], &approval["comment"]),
        (&json!("SUCCEEDED"), &json!(room.acme.admin.id), &json!("Good."))
    );
    assert_eq!(step(&run, "scheduleWanted")["holds"], false);
    let left_out = step(&run, "schedule");
    assert_eq!((&left_out["status"], &left_out["attempts"]), (&json!("CANCELLED"), &json!(0)));
    assert!(left_out["skipped"].as_str().unwrap().contains("`scheduleWanted` does not hold"), "{left_out:#}");
    assert_eq!(admin.fault("contentWorkflowApprove", decision(&run, true, None)).await, "CONFLICT");

    // What the job's events and the audit log say is what happened.
    let job = room.member().job(made["job"]["id"].as_str().unwrap()).await;
    let events = job["events"].as_array().unwrap();
    let of = |kind: &str| {
        let of_kind = events.iter().filter(|event| event["kind"] == kind);
        of_kind.map(|event| event["data"]["step"].as_str().unwrap()).collect::<Vec<_>>()
    };
    // Once for each of the two affirmations.
    let each = ["picture", "post", "hashtags"];
    let begun: Vec<&str> = each.into_iter().flat_map(|key| [key; 2]).collect();
    assert_eq!(of("step"), [&["affirmations"][..], &begun, &["reelWanted", "scheduleWanted"]].concat());
    assert_eq!(of("step_item_succeeded"), each);
    assert_eq!(
        of("step_succeeded"),
        [&["affirmations"][..], &each, &["reelWanted", "scheduleWanted"]].concat()
    );
    assert!(events.iter().any(|event| event["message"].as_str().unwrap_or_default().contains("`post`")));
    assert_eq!(job["engine"]["provider"], "builtin");
    let log = room
        .owner()
        .ok(
            "{ organization { auditLog(first: 50) { nodes { action targetType targetId actor { ... on User { id } } changes { field after } } } } }",
            json!({}),
        )
        .await;
    let entries: Vec<&Value> =
        log["organization"]["auditLog"]["nodes"].as_array().unwrap().iter().rev().collect();
    let begun = entries.iter().position(|entry| entry["action"] == "agent.run").unwrap();
    let actions: Vec<&str> = entries[begun..].iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "agent.run",
            "asset.save",
            "output.create",
            "asset.save",
            "asset.save",
            "output.create",
            "asset.save",
            "asset.save",
            "output.create",
            "output.create",
            "output.create",
            "output.create",
            "output.create",
            "workflow.advance",
            "workflow.approve",
            "workflow.advance",
            "workflow.advance",
            "workflow.advance",
        ]
    );
    let approver = entries.iter().find(|entry| entry["action"] == "workflow.approve").unwrap();
    assert_eq!(
        (&approver["actor"]["id"], &approver["targetId"], &approver["targetType"]),
        (&json!(room.acme.admin.id), &waiting["id"], &json!("ContentWorkflowRun"))
    );
    let saved = entries.iter().find(|entry| entry["action"] == "output.create").unwrap();
    assert_eq!(saved["targetId"], step(&run, "affirmations")["output"]["id"]);
    assert_eq!(saved["actor"]["id"], room.acme.member.id.as_str(), "in the name of whoever asked");
    assert!(
        saved["changes"].as_array().unwrap().contains(&json!({"field": "step", "after": "affirmations"}))
    );
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_approval_fails_the_run_and_says_why() {
    let room = Room::new().await;
    let made = start(&room, json!({})).await;
    let admin = room.acme.admin.at(&room.server);
    admin.mutate("contentWorkflowApprove", decision(&made["run"], false, Some("Too loud.")), "").await;
    let run = ended(&room, &made).await;
    assert_eq!(run["status"], "FAILED", "{run:#}");
    assert_eq!(run["job"]["error"]["code"], "CONFLICT");
    assert!(run["job"]["error"]["message"].as_str().unwrap().contains("Too loud."), "{run:#}");
    assert_eq!(
        statuses(&run),
        [
            "SUCCEEDED",
            "SUCCEEDED",
            "SUCCEEDED",
            "SUCCEEDED",
            "FAILED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED"
        ]
    );
    assert_eq!(step(&run, "approval")["approvedBy"]["id"], room.acme.admin.id.as_str());
    assert!(step(&run, "schedule")["skipped"].as_str().unwrap().contains("`approval` was refused"));
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_keeps_what_comes_after_it_from_running() {
    let room = Room::new().await;
    // Nobody knows what this wishes for, and the post does not need to.
    let made = start(&room, json!({"template": "posts_only", "brief": "The studio opens at seven. Coffee is ready for whoever comes early."})).await;
    let run = ended(&room, &made).await;
    assert_eq!(run["status"], "FAILED", "{run:#}");
    let failed = step(&run, "affirmations");
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("FAILED"), &json!("INSUFFICIENT_INPUT"))
    );
    assert_eq!(failed["attempts"], 1, "trying again would not help");
    assert!(run["job"]["error"]["message"].as_str().unwrap().starts_with("The step `affirmations` failed."));
    // What does not come after it has run.
    assert_eq!(step(&run, "post")["status"], "SUCCEEDED", "{run:#}");

    let made = start(&room, json!({"brief": "Qwrtz vbnm."})).await;
    let run = ended(&room, &made).await;
    assert_eq!(
        statuses(&run),
        [
            "FAILED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED",
            "CANCELLED"
        ],
        "{run:#}"
    );
    assert!(step(&run, "schedule")["skipped"].as_str().unwrap().contains("the step `affirmations` failed"));
    room.workers.stop().await;
}

pub fn lines() -> Reply {
    let line = |text: &str, goal: u32| json!({"text": text, "goal": goal});
    Reply::json(&json!({"affirmations": [line("I sleep well.", 1), line("I trust my work.", 2)]}))
        .tokens(100, 20)
}

fn posts() -> Reply {
    Reply::json(&json!({"posts": []})).tokens(200, 30)
}

pub fn tags() -> Reply {
    Reply::json(&json!({"hashtags": ["#Sleep"]})).tokens(50, 5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_tried_again_where_that_may_help() {
    let room = Room::new().await;
    let asked =
        json!({"template": "posts_only", "engine": openai(false), "options": {"affirmationCount": 2}});
    room.fake.script([lines(), Reply::server_error(), posts(), tags()]);
    let made = start(&room, asked.clone()).await;
    let run = ended(&room, &made).await;
    assert_eq!(run["status"], "SUCCEEDED", "{run:#}");
    let attempts: Vec<_> = run["steps"].as_array().unwrap().iter().map(|step| &step["attempts"]).collect();
    assert_eq!(attempts, [1, 2, 1]);
    let job = room.member().job(made["job"]["id"].as_str().unwrap()).await;
    assert!(job["events"].to_string().contains("step_retrying"), "{job:#}");
    assert_eq!((&job["engine"]["provider"], &job["engine"]["promptTokens"]), (&json!("openai"), &json!(350)));
    assert!(job["engine"]["costMicroUsd"].as_i64().unwrap() > 0);
    assert_eq!(room.fake.requests().len(), 4, "what was done is not done again");

    // Twice again, as the template says, and no more; a failure that lasts is not tried again at all.
    room.fake.script([Reply::server_error(), Reply::server_error(), Reply::server_error()]);
    room.fake.script([posts(), tags()]);
    let made = start(&room, asked.clone()).await;
    let run = ended(&room, &made).await;
    let failed = step(&run, "affirmations");
    assert_eq!(
        (&failed["attempts"], &failed["error"]["code"]),
        (&json!(3), &json!("PROVIDER_FAILED")),
        "{run:#}"
    );
    room.fake.script([Reply::insufficient_quota(), posts(), tags()]);
    let run = ended(&room, &start(&room, asked).await).await;
    assert_eq!(step(&run, "affirmations")["attempts"], 1, "{run:#}");
    assert_eq!(room.fake.left(), 0);
    room.workers.stop().await;
}

/// A run whose second step stands in the middle of its provider's answer.
async fn stalled(room: &Room) -> Value {
    let slow = posts().slow_headers(Duration::from_secs(40));
    room.fake.script([lines(), slow]);
    let more = json!({"template": "posts_only", "engine": openai(false), "wait": false,
        "options": {"affirmationCount": 2}});
    let made = start(room, more).await;
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while room.fake.requests().len() < 2 {
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_loses_its_worker_goes_on_from_its_unfinished_step_and_makes_nothing_twice() {
    let room = Room::new().await;
    let made = stalled(&room).await;
    let before = run(&room.member(), &made["run"]["id"]).await;
    assert_eq!(statuses(&before), ["SUCCEEDED", "RUNNING", "QUEUED"], "{before:#}");
    room.fake.script([posts(), tags()]);
    // As the sweep does with a worker that gives no sign of life: whoever had the job has lost it.
    let sql =
        "update jobs set lease_until = now() - interval '1 second', attempts = attempts + 1 where id = $1";
    let job = made["job"]["id"].as_str().unwrap();
    sqlx::query(sql).bind(uuid(job)).execute(&mut room.server.database.superuser().await).await.unwrap();
    let after = ended(&room, &made).await;
    assert_eq!(after["status"], "SUCCEEDED", "{after:#}");
    assert_eq!(step(&after, "affirmations"), step(&before, "affirmations"), "what was done stays as it was");
    assert_eq!(step(&after, "post")["attempts"], 2);
    assert_eq!(counts(&room, "output.create").await, (4, 3), "the run and one output of each step");
    let affirmed =
        room.fake.requests().iter().filter(|seen| seen.body.to_string().contains("affirmations in")).count();
    assert_eq!(affirmed, 1);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_while_it_works_and_while_it_waits() {
    let room = Room::new().await;
    let cancel = async |made: &Value| {
        room.member().mutate("jobCancel", json!({"id": made["job"]["id"]}), "").await;
    };
    let made = stalled(&room).await;
    cancel(&made).await;
    let run = ended(&room, &made).await;
    assert_eq!(
        (&run["status"], &run["job"]["status"]),
        (&json!("CANCELLED"), &json!("CANCELLED")),
        "{run:#}"
    );
    assert_eq!(statuses(&run), ["SUCCEEDED", "CANCELLED", "CANCELLED"]);
    assert_eq!(step(&run, "affirmations")["output"]["__typename"], "AffirmationSet", "what is done is kept");
    assert!(step(&run, "post")["output"].is_null());

    let made = start(&room, json!({})).await;
    assert_eq!(made["run"]["status"], "AWAITING_APPROVAL");
    cancel(&made).await;
    let run = ended(&room, &made).await;
    assert_eq!(run["status"], "CANCELLED");
    assert_eq!(step(&run, "approval")["status"], "CANCELLED", "{run:#}");
    let admin = room.acme.admin.at(&room.server);
    assert_eq!(admin.fault("contentWorkflowApprove", decision(&run, true, None)).await, "CONFLICT");
    assert_eq!(ended(&room, &made).await["status"], "CANCELLED");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_from_a_step_keeps_what_was_made_before_it() {
    let room = Room::new().await;
    let made = start(&room, json!({})).await;
    let again = |more: Value| {
        let mut input = json!({"runId": made["run"]["id"], "fromStep": "post", "wait": true});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    assert_eq!(room.member().fault("contentWorkflowRerun", again(json!({}))).await, "CONFLICT", "it goes on");
    let admin = room.acme.admin.at(&room.server);
    admin.mutate("contentWorkflowApprove", decision(&made["run"], true, None), "").await;
    let first = ended(&room, &made).await;
    assert_eq!(first["status"], "SUCCEEDED");
    let unknown = again(json!({"fromStep": "nothing"}));
    assert_eq!(room.member().fault("contentWorkflowRerun", unknown).await, "NOT_FOUND");

    let select = STARTED.replace("estimatedCostMicroUsd", "");
    let second = room.member().mutate("contentWorkflowRerun", again(json!({})), &select).await;
    assert_ne!(second["run"]["id"], first["id"]);
    let run = &second["run"];
    assert_eq!(run["rerunOf"]["id"], first["id"]);
    assert_eq!(run["status"], "AWAITING_APPROVAL", "what comes after the step is approved anew: {run:#}");
    assert_eq!(step(run, "affirmations"), step(&first, "affirmations"), "as it was");
    assert_ne!(step(run, "post")["output"]["id"], step(&first, "post")["output"]["id"]);
    // From the last step on, the approval stays as well.
    let last = again(json!({"fromStep": "scheduleWanted", "idempotencyKey": "again"}));
    let third = room.member().mutate("contentWorkflowRerun", last.clone(), &select).await;
    assert_eq!(third["run"]["status"], "SUCCEEDED", "{third:#}");
    assert_eq!(step(&third["run"], "approval"), step(&first, "approval"));
    let same = room.member().mutate("contentWorkflowRerun", last, &select).await;
    assert_eq!((&same["run"]["id"], &same["job"]["id"]), (&third["run"]["id"], &third["job"]["id"]));
    // The first run is as it was.
    assert_eq!(ended(&room, &made).await, first);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prices_and_starts_nothing() {
    let room = Room::new().await;
    let before = counts(&room, "agent.run").await;
    let price = async |more: Value| {
        let mut input =
            asked(&room, &json!({"dryRun": true, "template": "posts_only", "idempotencyKey": "k"}));
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = room.member().mutate("contentWorkflowRun", input, STARTED).await;
        assert_eq!((&made["job"], &made["run"]), (&Value::Null, &Value::Null));
        assert_eq!(made["project"]["id"], room.acme.project.as_str());
        made["estimatedCostMicroUsd"].clone()
    };
    assert_eq!(price(json!({})).await, 0);
    // By the list prices of the model: what its three steps read and write at the most.
    let posts = price(json!({"engine": openai(false)})).await.as_i64().unwrap();
    let full = price(json!({"engine": openai(false), "template": "full"})).await.as_i64().unwrap();
    assert!(posts > 10_000 && full > posts, "{posts} {full}");
    assert_eq!(price(json!({"engine": {"provider": "openai", "model": "nobody-knows"}})).await, Value::Null);
    assert_eq!(counts(&room, "agent.run").await, before);
    let jobs = room.member().ok("{ organization { jobs { totalCount } } }", json!({})).await;
    assert_eq!(jobs["organization"]["jobs"]["totalCount"], 0);
    // The control: the same key is still good for a run.
    let more = json!({"template": "posts_only", "idempotencyKey": "k"});
    let made = start(&room, more.clone()).await;
    assert_eq!(made["run"]["status"], "SUCCEEDED", "{made:#}");
    let again = start(&room, more).await;
    assert_eq!((&again["run"]["id"], &again["job"]["id"]), (&made["run"]["id"], &made["job"]["id"]));
    let other = asked(&room, &json!({"template": "full", "idempotencyKey": "k"}));
    assert_eq!(room.member().fault("contentWorkflowRun", other).await, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(counts(&room, "agent.run").await.1, before.1 + 1);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_refused_with_the_reason() {
    let room = Room::new().await;
    for (more, code, field) in [
        (json!({"template": "nothing"}), "NOT_FOUND", "template"),
        (json!({"brief": " "}), "REQUIRED", "brief"),
        (json!({"brief": "x".repeat(10_001)}), "TOO_LONG", "brief"),
        (json!({"options": ["a"]}), "INVALID", "options"),
        (json!({"options": {"affirmationCount": "three"}}), "INVALID", "options"),
        (json!({"options": {"affirmationCount": 1.5}}), "INVALID", "options"),
        (json!({"options": {"channels": ["PIGEON"]}}), "INVALID", "options"),
        (json!({"options": {"volume": 3}}), "INVALID", "options"),
        (json!({"engine": {"provider": "nobody", "model": "m"}}), "PROVIDER_NOT_CONFIGURED", "engine"),
    ] {
        let payload =
            room.member().try_mutate("contentWorkflowRun", asked(&room, &more), "userErrors { field }").await;
        let error = &payload["userErrors"][0];
        assert_eq!((&error["code"], &error["field"][1]), (&json!(code), &json!(field)), "{more} {payload:#}");
    }
    assert_eq!(counts(&room, "agent.run").await, (0, 0));
    let made = start(&room, json!({"template": "posts_only", "options": {"affirmationCount": 21}})).await;
    let run = ended(&room, &made).await;
    assert_eq!(
        step(&run, "affirmations")["error"]["code"],
        "OUT_OF_RANGE",
        "the agent's own bounds hold: {run:#}"
    );
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_the_rights_that_its_creator_has_then_and_its_results_while_they_are_there() {
    let room = Room::new().await;
    let admin = room.acme.admin.at(&room.server);
    let made = start(&room, json!({"options": {"schedulePosts": true}})).await;
    let membership = &room.acme.member.membership;
    room.owner().mutate("membershipUpdate", json!({"id": membership, "role": "VIEWER"}), "").await;
    admin.mutate("contentWorkflowApprove", decision(&made["run"], true, None), "").await;
    let run = ended(&room, &made).await;
    assert_eq!(
        (&run["status"], &run["job"]["error"]["code"]),
        (&json!("FAILED"), &json!("CONFLICT")),
        "{run:#}"
    );
    assert_eq!(step(&run, "approval")["status"], "SUCCEEDED", "the approver's right was their own");
    assert!(step(&run, "schedule")["output"].is_null());
    room.owner().mutate("membershipUpdate", json!({"id": membership, "role": "MEMBER"}), "").await;

    // What a later step needs was deleted.
    let made = start(&room, json!({})).await;
    admin.mutate("contentWorkflowApprove", decision(&made["run"], true, None), "").await;
    let first = ended(&room, &made).await;
    assert_eq!(first["status"], "SUCCEEDED");
    admin.mutate("outputDelete", json!({"id": step(&first, "post")["output"]["id"]}), "").await;
    let again = json!({"runId": first["id"], "fromStep": "hashtags", "wait": true});
    let second = room.member().mutate("contentWorkflowRerun", again, "job { id } run { id }").await;
    let run = ended(&room, &second).await;
    let failed = step(&run, "hashtags");
    assert_eq!(failed["error"]["code"], "NOT_FOUND", "{run:#}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("`post` left behind was deleted"));
    // And a run that is deleted while it waits has nothing to go on with.
    let made = start(&room, json!({})).await;
    admin.mutate("outputDelete", json!({"id": made["run"]["id"]}), "").await;
    assert_eq!(admin.fault("contentWorkflowApprove", decision(&made["run"], true, None)).await, "NOT_FOUND");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_decisions_at_the_same_time_are_one() {
    let room = Room::new().await;
    let made = start(&room, json!({})).await;
    let admin = room.acme.admin.at(&room.server);
    let owner = room.owner();
    let decide = async |client: &Client<'_>, approve: bool| {
        let input = decision(&made["run"], approve, None);
        client.try_mutate("contentWorkflowApprove", input, "").await["userErrors"].clone()
    };
    let (one, other) = futures_util::future::join(decide(&admin, true), decide(&owner, true)).await;
    let refused: Vec<&Value> =
        [&one, &other].into_iter().filter(|errors| !errors.as_array().unwrap().is_empty()).collect();
    assert_eq!(refused.len(), 1, "{one} {other}");
    assert_eq!(refused[0][0]["code"], "CONFLICT");
    assert_eq!(ended(&room, &made).await["status"], "SUCCEEDED");
    assert_eq!(counts(&room, "workflow.approve").await.1, 1);
    room.workers.stop().await;
}

/// A template of the organization's own.
pub async fn template(room: &Room, key: &str, variables: Value, steps: Value) -> Value {
    let input = json!({"organizationId": room.acme.id, "key": key, "name": key, "variables": variables, "steps": steps});
    let select = "template { id key name description project { id } variables { name type default }
        steps { key kind after agent inputs { name from value } condition { of atLeast atMost equals holds } message
            delaySeconds retries timeoutSeconds } } organization { id }";
    room.acme.admin.at(&room.server).mutate("contentWorkflowTemplateCreate", input, select).await
}

fn affirm(key: &str, after: &Value) -> Value {
    json!({"key": key, "kind": "AGENT", "agent": "AFFIRMATIONS", "after": after, "retries": 0,
        "inputs": [{"name": "goals", "from": "brief.sentences"}, {"name": "count", "from": "options.count"}]})
}

fn count() -> Value {
    json!([{"name": "count", "type": "NUMBER", "default": {"number": 2}}])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_runs_workflows_of_its_own() {
    let room = Room::new().await;
    let steps = json!([
        affirm("lines", &json!([])),
        {"key": "enough", "kind": "CONDITION", "after": ["lines"], "condition": {"of": "steps.lines.count", "atLeast": 2}},
        {"key": "pause", "kind": "DELAY", "after": ["enough"], "delaySeconds": 2},
        {"key": "post", "kind": "AGENT", "agent": "POST_COMPOSITION", "after": ["pause"], "inputs": [
            {"name": "brief", "from": "steps.lines.text"}, {"name": "channels", "value": {"texts": ["X"]}},
            {"name": "hashtags", "value": {"flag": false}}]},
    ]);
    let made = template(&room, "calm", count(), steps).await;
    assert_eq!(made["organization"]["id"], room.acme.id.as_str());
    let own = &made["template"];
    assert_eq!(own["variables"], json!([{"name": "count", "type": "NUMBER", "default": 2}]));
    assert_eq!(own["steps"][1]["condition"]["atLeast"], 2);
    assert_eq!(own["steps"][3]["inputs"][1], json!({"name": "channels", "from": null, "value": ["X"]}));

    // By its key, which a project's own stands before, and by its id.
    let project = json!({"organizationId": room.acme.id, "projectId": room.acme.project, "key": "calm", "name": "Ours",
        "steps": [{"key": "gate", "kind": "APPROVAL", "message": "Well?"}]});
    let admin = room.acme.admin.at(&room.server);
    let theirs =
        admin.mutate("contentWorkflowTemplateCreate", project, "template { id } project { id }").await;
    assert_eq!(theirs["project"]["id"], room.acme.project.as_str());
    let gated = start(&room, json!({"template": "calm"})).await;
    assert_eq!(statuses(&gated["run"]), ["AWAITING_APPROVAL"], "{gated:#}");
    let other = cast::project(&room.server, &room.acme, "Other").await;
    let foreign = json!({"template": theirs["template"]["id"], "projectId": other});
    assert_eq!(room.member().fault("contentWorkflowRun", asked(&room, &foreign)).await, "NOT_FOUND");

    let started = start(&room, json!({"template": own["id"], "wait": false})).await;
    assert_eq!(started["run"]["template"], "calm");
    // It waits without a worker, and says until when.
    let job = started["job"]["id"].as_str().unwrap();
    room.member().job_when(job, |job| job["events"].to_string().contains("\"waiting\"")).await;
    let waiting = run(&room.member(), &started["run"]["id"]).await;
    let pause = step(&waiting, "pause");
    assert_eq!((&pause["status"], &waiting["status"]), (&json!("RUNNING"), &json!("QUEUED")), "{waiting:#}");
    assert_eq!(step(&waiting, "enough")["holds"], true);
    let until = pause["waitsUntil"].as_str().unwrap().to_owned();
    // A change of the template changes no run that has begun.
    let change = json!({"id": own["id"], "steps": [{"key": "gate", "kind": "APPROVAL"}], "variables": [], "description": "d"});
    let changed =
        admin.mutate("contentWorkflowTemplateUpdate", change, "template { description steps { key } }").await;
    assert_eq!(changed["template"], json!({"description": "d", "steps": [{"key": "gate"}]}));
    let done = ended(&room, &started).await;
    assert_eq!(done["status"], "SUCCEEDED", "{done:#}");
    assert_eq!(statuses(&done), ["SUCCEEDED"; 4]);
    assert_eq!(step(&done, "pause")["finishedAt"], until.as_str());
    assert!(step(&done, "post")["startedAt"].as_str().unwrap() >= until.as_str());
    let job = room.member().job(job).await;
    assert_eq!(job["attempts"], 2, "waiting is no failed attempt: {job:#}");

    // One that waits for long is cancelled at once.
    let steps = json!([{"key": "pause", "kind": "DELAY", "delaySeconds": 86_400}, affirm("lines", &json!(["pause"]))]);
    template(&room, "tomorrow", count(), steps).await;
    let long = start(&room, json!({"template": "tomorrow", "wait": false})).await;
    let job = long["job"]["id"].as_str().unwrap();
    room.member().job_when(job, |job| job["events"].to_string().contains("\"waiting\"")).await;
    room.member().mutate("jobCancel", json!({"id": job}), "").await;
    let cancelled = run(&room.member(), &long["run"]["id"]).await;
    assert_eq!((&cancelled["status"], statuses(&cancelled)), (&json!("CANCELLED"), vec!["CANCELLED"; 2]));

    // Deleted, it is there no longer; a run that has begun goes on.
    let deleted = admin
        .mutate(
            "contentWorkflowTemplateDelete",
            json!({"id": theirs["template"]["id"]}),
            "deletedContentWorkflowTemplateId project { id }",
        )
        .await;
    assert_eq!(deleted["deletedContentWorkflowTemplateId"], theirs["template"]["id"]);
    let approve = json!({"runId": gated["run"]["id"], "stepKey": "gate", "approve": true});
    admin.mutate("contentWorkflowApprove", approve, "").await;
    assert_eq!(ended(&room, &gated).await["status"], "SUCCEEDED");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_too_long_fails() {
    let room = Room::new().await;
    let mut slow = affirm("lines", &json!([]));
    slow["timeoutSeconds"] = json!(1);
    template(&room, "hurry", count(), json!([slow])).await;
    room.fake.script([lines().slow_headers(Duration::from_secs(30))]);
    let made = start(&room, json!({"template": "hurry", "engine": openai(false)})).await;
    let run = ended(&room, &made).await;
    let failed = step(&run, "lines");
    assert_eq!((&run["status"], &failed["status"]), (&json!("FAILED"), &json!("FAILED")), "{run:#}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("longer than 1 seconds"), "{failed:#}");
    // The control: in time it succeeds.
    room.fake.script([lines()]);
    let made = start(&room, json!({"template": "hurry", "engine": openai(false)})).await;
    assert_eq!(ended(&room, &made).await["status"], "SUCCEEDED");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_cannot_work_is_refused_with_its_reason() {
    let room = Room::new().await;
    let admin = room.acme.admin.at(&room.server);
    let with = |key: &str, variables: Value, steps: Value| json!({"organizationId": room.acme.id, "key": key, "name": "n", "variables": variables, "steps": steps});
    let gate = |key: &str, after: Value| json!({"key": key, "kind": "APPROVAL", "after": after});
    let agent =
        |inputs: Value| json!([{"key": "a", "kind": "AGENT", "agent": "AFFIRMATIONS", "inputs": inputs}]);
    let goals = json!({"name": "goals", "from": "brief"});
    for (steps, code, said) in [
        (json!([]), "REQUIRED", "at least one step"),
        (
            json!((0..31).map(|at| gate(&format!("g{at}"), json!([]))).collect::<Vec<_>>()),
            "TOO_LONG",
            "at most 30",
        ),
        (json!([gate("a", json!(["b"])), gate("b", json!(["a"]))]), "INVALID", "wait for each other"),
        (json!([gate("a", json!(["z"]))]), "INVALID", "no such step"),
        (json!([gate("a", json!([])), gate("a", json!([]))]), "INVALID", "Two steps"),
        (json!([gate("Großes A", json!([]))]), "INVALID", "cannot be a name"),
        (json!([{"key": "a", "kind": "AGENT"}]), "REQUIRED", "needs `agent`"),
        (json!([{"key": "a", "kind": "AGENT", "agent": "QA"}]), "INVALID", "cannot be a step"),
        (json!([{"key": "a", "kind": "CONDITION"}]), "REQUIRED", "needs `condition`"),
        (json!([{"key": "a", "kind": "DELAY"}]), "REQUIRED", "needs `delaySeconds`"),
        (json!([{"key": "a", "kind": "DELAY", "delaySeconds": -1}]), "OUT_OF_RANGE", "delaySeconds"),
        (json!([{"key": "a", "kind": "APPROVAL", "delaySeconds": 5}]), "INVALID", "another kind"),
        (json!([{"key": "a", "kind": "APPROVAL", "retries": 6}]), "OUT_OF_RANGE", "retries"),
        (
            json!([{"key": "a", "kind": "CONDITION", "condition": {"of": "brief", "holds": true, "atLeast": 1}}]),
            "INVALID",
            "exactly one",
        ),
        (
            json!([{"key": "a", "kind": "CONDITION", "condition": {"of": "weather", "holds": true}}]),
            "INVALID",
            "names no value",
        ),
        (
            json!([{"key": "a", "kind": "CONDITION", "condition": {"of": "brief", "atLeast": 1}}]),
            "INVALID",
            "cannot be asked",
        ),
        (agent(json!([])), "REQUIRED", "needs `goals`"),
        (agent(json!([goals, goals])), "INVALID", "twice"),
        (agent(json!([goals, {"name": "volume", "value": {"number": 3}}])), "INVALID", "takes no `volume`"),
        (agent(json!([goals, {"name": "count", "value": {"text": "3"}}])), "INVALID", "a whole number"),
        (
            agent(json!([goals, {"name": "count", "value": {"number": 3, "text": "3"}}])),
            "INVALID",
            "exactly one",
        ),
        (
            agent(json!([goals, {"name": "count", "from": "brief", "value": {"number": 3}}])),
            "INVALID",
            "exactly one",
        ),
        (agent(json!([goals, {"name": "count", "from": "options.more"}])), "INVALID", "no such variable"),
        (
            agent(json!([goals, {"name": "period", "value": {"text": room.acme.project}}])),
            "INVALID",
            "a period's id",
        ),
        (agent(json!([{"name": "goals", "from": "steps.b.texts"}])), "INVALID", "no such step"),
        (
            json!([gate("b", json!([])), {"key": "a", "kind": "AGENT", "agent": "AFFIRMATIONS", "after": ["b"],
            "inputs": [{"name": "goals", "from": "steps.b.texts"}]}]),
            "INVALID",
            "gives nothing",
        ),
        (
            json!([affirm("b", &json!([])), {"key": "a", "kind": "AGENT", "agent": "AFFIRMATIONS",
            "inputs": [{"name": "goals", "from": "steps.b.texts"}]}]),
            "INVALID",
            "does not come after `b`",
        ),
    ] {
        let input = with("bad", count(), steps);
        let payload =
            admin.try_mutate("contentWorkflowTemplateCreate", input.clone(), "userErrors { field }").await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!(code), &json!(["input", "steps"])),
            "{input} {payload}"
        );
        assert!(error["message"].as_str().unwrap().contains(said), "{said}: {error}");
    }
    let good = json!([gate("a", json!([]))]);
    for (key, variables, code, field) in [
        ("full", json!([]), "ALREADY_EXISTS", "key"),
        ("No key", json!([]), "INVALID", "key"),
        ("good", json!([{"name": "n", "type": "NUMBER", "default": {"flag": true}}]), "INVALID", "variables"),
        (
            "good",
            json!([{"name": "n", "type": "TEXT"}, {"name": "n", "type": "TEXT"}]),
            "INVALID",
            "variables",
        ),
    ] {
        let input = with(key, variables, good.clone());
        let payload = admin.try_mutate("contentWorkflowTemplateCreate", input, "userErrors { field }").await;
        let error = &payload["userErrors"][0];
        assert_eq!((&error["code"], &error["field"][1]), (&json!(code), &json!(field)), "{payload}");
    }
    // The control, once for a repeated call; another one may not have its key, and only in another place the same.
    let mut input = with("good", json!([]), good);
    input["idempotencyKey"] = json!("k");
    let create = "contentWorkflowTemplateCreate";
    let made = admin.mutate(create, input.clone(), "template { id }").await;
    assert_eq!(admin.mutate(create, input.clone(), "template { id }").await, made);
    input["idempotencyKey"] = Value::Null;
    assert_eq!(admin.fault(create, input.clone()).await, "ALREADY_EXISTS");
    input["projectId"] = json!(room.acme.project);
    admin.mutate(create, input.clone(), "").await;
    let bad =
        json!({"id": made["template"]["id"], "steps": [{"key": "a", "kind": "DELAY", "delaySeconds": 0}]});
    assert_eq!(admin.fault("contentWorkflowTemplateUpdate", bad).await, "OUT_OF_RANGE");
    // Members run them and see them; they make none.
    let seen = room
        .member()
        .ok("{ organization { workflowTemplates { totalCount nodes { key } } } }", json!({}))
        .await;
    assert_eq!(seen["organization"]["workflowTemplates"]["totalCount"], 2);
    let refused = mutation(create, "");
    assert_eq!(room.member().refusal(&refused, json!({"input": input})).await, "FORBIDDEN");
    // Another organization's template is none here, by id and by key.
    let globex = cast::organization(&room.server, "Globex").await;
    for template in [&made["template"]["id"], &json!("good")] {
        let input = json!({"projectId": globex.project, "brief": BRIEF, "template": template});
        assert_eq!(globex.owner.at(&room.server).fault("contentWorkflowRun", input).await, "NOT_FOUND");
    }
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_steps_that_make_the_same_file_keep_one_each() {
    let room = Room::new().await;
    let admin = room.acme.admin.at(&room.server);
    let draw = |key: &str| {
        json!({"key": key, "kind": "AGENT", "agent": "VISUAL_POST", "inputs": [
            {"name": "text", "from": "brief"}, {"name": "format", "value": {"text": "LINK"}},
            {"name": "template", "value": {"text": "gradient"}}]})
    };
    let template = json!({"organizationId": room.acme.id, "key": "twice", "name": "Twice", "steps": [draw("one"), draw("two")]});
    admin.mutate("contentWorkflowTemplateCreate", template, "").await;
    // Each step has a seed of its own, and a gradient needs none.
    let made = start(&room, json!({"template": "twice", "brief": "Ruhe."})).await;
    let run = ended(&room, &made).await;
    assert_eq!(run["status"], "SUCCEEDED", "{run:#}");
    let files =
        "query($ids: [ID!]!) { nodes(ids: $ids) { ... on VisualPost { slides { png { id sha256 } } } } }";
    let ids = json!({"ids": [step(&run, "one")["output"]["id"], step(&run, "two")["output"]["id"]]});
    let found = room.member().ok(files, ids).await;
    let png = |at: usize, field: &str| found["nodes"][at]["slides"][0]["png"][field].clone();
    assert_eq!(png(0, "sha256"), png(1, "sha256"), "{found:#}");
    assert_ne!(png(0, "id"), png(1, "id"), "{found:#}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_have_files_made_by_the_providers_of_their_agents_routes() {
    let room = Room::new().await;
    let steps = json!([
        affirm("lines", &json!([])),
        {"key": "picture", "kind": "AGENT", "agent": "VISUAL_POST", "after": ["lines"], "inputs": [
            {"name": "text", "from": "steps.lines.text"}, {"name": "format", "value": {"text": "SQUARE"}},
            {"name": "backgroundPrompt", "from": "brief"}]},
        {"key": "film", "kind": "AGENT", "agent": "VIDEO", "after": ["picture"], "inputs": [
            {"name": "scenes", "value": {"texts": ["Ich atme."]}}, {"name": "assets", "from": "steps.picture.assets"},
            {"name": "size", "value": {"text": "REEL_SMALL"}}, {"name": "durationSeconds", "value": {"number": 3}},
            {"name": "narrationVoice", "value": {"text": "marin"}}]},
    ]);
    template(&room, "studio", count(), steps).await;
    // The run's engine writes; it neither paints nor speaks.
    let asked = json!({"template": "studio", "engine": openai(false), "wait": false});
    let route = async |agent: &str, provider: &str, model: &str| {
        let engine = json!({"provider": provider, "model": model});
        let input = json!({"organizationId": room.acme.id, "agent": agent, "engine": engine});
        room.owner().mutate("engineRouteSet", input, "").await;
    };
    let refused = async || {
        let input = self::asked(&room, &asked);
        let payload = room.member().try_mutate("contentWorkflowRun", input, "job { id }").await;
        let error = &payload["userErrors"][0];
        (error["code"].clone(), error["message"].as_str().unwrap().to_owned())
    };
    let (code, message) = refused().await;
    assert_eq!(code, "PROVIDER_NOT_CONFIGURED");
    assert!(
        message.contains("`picture`") && message.contains("`engineRouteSet` sets for VISUAL_POST"),
        "{message}"
    );
    route("VISUAL_POST", "openai", "gpt-image-1").await;
    route("VIDEO", "anthropic", "claude-sonnet-5").await;
    let (code, message) = refused().await;
    assert_eq!(code, "PROVIDER_NOT_CONFIGURED");
    assert!(message.contains("`film`") && message.contains("has no speech models"), "{message}");
    route("VIDEO", "openai", "tts-1").await;

    let painted = crate::visuals::plain(256, 256, aicos::agents::visuals::builtin::Color::new(20, 40, 160));
    let spoken = crate::videos::recording(440.0, 0.5, 1.0);
    room.fake.script([lines(), Reply::picture(&painted).tokens(10, 20), Reply::recording(&spoken)]);
    let made = start(&room, asked.clone()).await;
    let run = ended(&room, &made).await;
    assert_eq!(run["status"], "SUCCEEDED", "{run:#}");
    let paths: Vec<String> = room.fake.requests().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1/chat/completions", "/v1/images/generations", "/v1/audio/speech"]);
    let files = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on VisualPost { background { prompt model } }
        ... on Video { narrator { model voice } hasSound } } }";
    let ids = json!({"ids": [step(&run, "picture")["output"]["id"], step(&run, "film")["output"]["id"]]});
    let found = room.member().ok(files, ids).await["nodes"].clone();
    assert_eq!(found[0]["background"], json!({"prompt": BRIEF, "model": "gpt-image-1"}));
    assert_eq!(found[1], json!({"narrator": {"model": "tts-1", "voice": "marin"}, "hasSound": true}));

    // Whose steps ask for no file needs no route.
    let plain = json!([affirm("lines", &json!([]))]);
    template(&room, "plain", count(), plain).await;
    let none = json!({"organizationId": room.acme.id, "agent": "VISUAL_POST", "engine": null});
    room.owner().mutate("engineRouteSet", none, "").await;
    start(&room, json!({"template": "plain", "engine": openai(false), "dryRun": true})).await;
    assert_eq!(refused().await.0, "PROVIDER_NOT_CONFIGURED", "and whose steps do, still does");
    room.workers.stop().await;
}
