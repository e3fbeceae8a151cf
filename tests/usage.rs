//! Usage: what work takes is reserved when it is asked for, counted when it is done, and given back when nothing comes of it;
//! and nobody takes more than there is.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::cast::{self, Organization};
use crate::support::fixture::uuid;
use crate::support::provider::Reply;
use crate::support::work::{Room, openai};
use crate::support::{Client, Server, mutation};

const ERRORS: &str = "job { id status } userErrors { __typename code message ... on QuotaError { metric limit used resetsAt requiredTier } }";

/// Gives an organization a tier of its own.
pub async fn limit(server: &Server, organization: &Organization, limits: &Value) {
    let mut superuser = server.database.superuser().await;
    sqlx::query(
        "with made as (insert into tiers (key, name, limits, points_per_minute) values ('small', 'Small', $1, 1000000)
            on conflict (key) do update set limits = excluded.limits returning key)
         update organizations set tier = made.key from made where id = $2",
    )
    .bind(limits)
    .bind(uuid(&organization.id))
    .execute(&mut superuser)
    .await
    .unwrap();
}

/// What is used of some metrics this month.
pub async fn used<const N: usize>(client: &Client<'_>, kinds: [&str; N]) -> [i64; N] {
    let seen = client.ok("{ organization { usage { metrics { kind used } } } }", json!({})).await;
    let metrics = seen["organization"]["usage"]["metrics"].as_array().unwrap();
    kinds.map(|kind| {
        let found = metrics.iter().find(|metric| metric["kind"] == kind).unwrap();
        // Counts are whole, whatever the wire calls them.
        found["used"].to_string().trim_end_matches(".0").parse().unwrap()
    })
}

/// What the rows of jobs say together is what is counted, whatever has happened to them.
pub async fn agrees(server: &Server) {
    let mut superuser = server.database.superuser().await;
    let differing: Vec<(String, i64, i64)> = sqlx::query_as(
        "with told as (
            select j.organization_id, a.key as metric, sum(a.value::bigint)::bigint as used
            from jobs j, lateral (select * from jsonb_each_text(j.reserved) union all select * from jsonb_each_text(j.used)) a
            group by 1, 2
         ), counted as (
            select organization_id, metric, sum(used)::bigint as used from usage_counters
            where metric <> 'API_REQUESTS' group by 1, 2
         )
         select metric, coalesce(t.used, 0), coalesce(c.used, 0) from told t full join counted c using (organization_id, metric)
         where coalesce(t.used, 0) <> coalesce(c.used, 0)",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(differing, [], "what jobs say, and what is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_starts_at_once_take_no_more_than_there_is() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    limit(&server, &acme, &json!({"AGENT_RUNS": 20})).await;
    let member = acme.member.at(&server);
    let (ask, affirm) = (mutation("qaAsk", ERRORS), mutation("affirmationsGenerate", ERRORS));
    let start = async |number: usize| {
        let (field, query, input) = if number.is_multiple_of(2) {
            let question = format!("How many days of vacation are there in year {number}?");
            ("qaAsk", &ask, json!({"organizationId": acme.id, "question": question, "wait": false}))
        } else {
            let goals = ["I want to trust my work."];
            (
                "affirmationsGenerate",
                &affirm,
                json!({"projectId": acme.project, "goals": goals, "language": "EN"}),
            )
        };
        member.ok(query, json!({"input": input})).await[field].clone()
    };
    let answers = join_all((0..50).map(start)).await;
    let (started, refused): (Vec<&Value>, Vec<&Value>) =
        answers.iter().partition(|answer| answer["userErrors"] == json!([]));
    assert_eq!((started.len(), refused.len()), (20, 30));
    for answer in &refused {
        let error = &answer["userErrors"][0];
        assert_eq!((&error["__typename"], &error["code"]), (&json!("QuotaError"), &json!("QUOTA_EXCEEDED")));
        assert_eq!((&error["metric"], &error["limit"]), (&json!("AGENT_RUNS"), &json!(20.0)), "{error:#}");
        // The smallest of the tiers that allow it.
        assert_eq!(error["requiredTier"], "starter");
        assert!(error["used"].as_f64() <= Some(20.0) && error["resetsAt"].is_string(), "{error:#}");
        assert_eq!(answer["job"], Value::Null);
    }
    assert_eq!(used(&member, ["AGENT_RUNS"]).await, [20], "reserved");
    assert_eq!(used(&globex.member.at(&server), ["AGENT_RUNS"]).await, [0]);
    agrees(&server).await;

    // Whatever waits may be cancelled, and makes room: for one, and not for two.
    let job = started[0]["job"]["id"].clone();
    member.mutate("jobCancel", json!({"id": job}), "job { status }").await;
    assert_eq!(used(&member, ["AGENT_RUNS"]).await, [19]);
    let again = join_all((50..60).map(start)).await;
    let started = again.iter().filter(|answer| answer["userErrors"] == json!([])).count();
    assert_eq!(started, 1);

    // What is done stays counted; what came to nothing (there are no documents to rest an answer on, but an answer that says so
    // is one) is given back.
    let workers = server.work();
    let jobs = member.ok("{ organization { jobs(first: 50) { nodes { id } } } }", json!({})).await;
    let mut done = 0;
    for job in jobs["organization"]["jobs"]["nodes"].as_array().unwrap() {
        let job = member.finished(job["id"].as_str().unwrap()).await;
        done += i64::from(job["status"] == "SUCCEEDED");
    }
    assert_eq!(used(&member, ["AGENT_RUNS"]).await, [done]);
    assert!(done > 0);
    agrees(&server).await;
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_is_settled_with_what_was_taken() {
    let room = Room::new().await;
    let (member, metrics) = (room.member(), ["AGENT_RUNS", "IMAGES", "LLM_TOKENS"]);

    // A visual post of however many slides it needs may have ten, and has one.
    let visual = json!({"text": "Ruhe ist kein Luxus.", "format": "SQUARE"});
    let made = room
        .run("visualPostCreate", visual.clone(), "visualPost { slides { altText } } job { status }")
        .await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    let slides = made["visualPost"]["slides"].as_array().unwrap().len();
    assert_eq!(used(&member, metrics).await, [1, i64::try_from(slides).unwrap(), 0]);
    // Ten may be asked for while there is room for ten, whatever comes of it.
    let of = |count: i32| json!({"projectId": room.acme.project, "text": "Ruhe ist kein Luxus.", "format": "SQUARE", "slides": count, "wait": true});
    let room_for = async |count: i64| {
        let limit_of = json!({"IMAGES": used(&member, metrics).await[1] + count, "LLM_TOKENS": 40_000});
        limit(&room.server, &room.acme, &limit_of).await;
    };
    room_for(9).await;
    assert_eq!(member.fault("visualPostCreate", of(10)).await, "QUOTA_EXCEEDED");
    member.mutate("visualPostCreate", of(9), "job { id }").await;
    room_for(10).await;
    member.mutate("visualPostCreate", of(10), "job { id }").await;

    // What fails takes nothing: not its run, not its pictures.
    let before = used(&member, metrics).await;
    let failed = room
        .run("affirmationsGenerate", json!({"goals": ["Blue."], "language": "EN"}), "job { status }")
        .await;
    assert_eq!(failed["job"]["status"], "FAILED", "{failed:#}");
    assert_eq!(used(&member, metrics).await, before);

    // A model's tokens: what it may take is reserved, what the provider counted is kept.
    room.fake.script([Reply::text("There are 30 days. [1]")]);
    member.learn(&room.acme, "Handbook", crate::support::work::HANDBOOK).await;
    let asked = member
        .ask(
            &room.acme,
            "How many days of vacation are there?",
            json!({"wait": true, "engine": openai(false)}),
        )
        .await;
    assert_eq!(asked["job"]["status"], "SUCCEEDED", "{asked:#}");
    let engine = &asked["job"]["engine"];
    let tokens = engine["promptTokens"].as_i64().unwrap() + engine["completionTokens"].as_i64().unwrap();
    assert_eq!(used(&member, metrics).await, [before[0] + 1, before[1], tokens]);
    // What it has written for nothing is spent as well, whether the built-in engine works instead or nobody does.
    let goals = |fallback| json!({"goals": ["I want to sleep better."], "language": "EN", "engine": openai(fallback)});
    let select =
        "job { status attempts engine { provider model promptTokens completionTokens costMicroUsd } }";
    let took = |provider: &str, model: Value, prompt: i32, completion: i32, cost: i32| json!({"provider": provider, "model": model, "promptTokens": prompt, "completionTokens": completion, "costMicroUsd": cost});
    room.fake.script([Reply::text("This is no JSON.").tokens(100, 10)]);
    let made = room.run("affirmationsGenerate", goals(true), select).await;
    assert_eq!(made["job"]["engine"], took("builtin", Value::Null, 100, 10, 75 + 45), "{made:#}");
    assert_eq!(used(&member, metrics).await, [before[0] + 2, before[1], tokens + 110]);
    room.fake.script([Reply::refusal("No.").tokens(50, 5)]);
    let made = room.run("affirmationsGenerate", goals(false), select).await;
    assert_eq!(made["job"]["status"], "FAILED", "{made:#}");
    assert_eq!(made["job"]["engine"], took("openai", json!("gpt-5.4-mini"), 50, 5, 60), "{made:#}");
    assert_eq!(used(&member, metrics).await, [before[0] + 2, before[1], tokens + 165]);
    // What an earlier attempt has paid for in vain stands beside what was of use.
    let line = json!({"affirmations": [{"text": "I sleep well.", "goal": 1}]});
    room.fake.script([
        Reply::text("This is no JSON.").tokens(100, 10),
        Reply::json(&line).tokens(100, 20),
        Reply::json(&json!({"affirmations": []})).tokens(40, 2),
    ]);
    let made = room.run("affirmationsGenerate", goals(false), select).await;
    assert_eq!(
        (&made["job"]["status"], &made["job"]["attempts"]),
        (&json!("SUCCEEDED"), &json!(2)),
        "{made:#}"
    );
    let all = took("openai", json!("gpt-5.4-mini"), 240, 32, 120 + 165 + 39);
    assert_eq!(made["job"]["engine"], all, "{made:#}");
    assert_eq!(used(&member, metrics).await, [before[0] + 3, before[1], tokens + 165 + 272]);
    // Where a price is not known once, the whole is not known either.
    let unpriced = json!({"goals": ["I want to sleep better."], "language": "EN",
        "engine": {"provider": "openai", "model": "nobody-knows", "fallbackToBuiltin": true}});
    room.fake.script([Reply::text("This is no JSON.").tokens(10, 1)]);
    let made = room.run("affirmationsGenerate", unpriced, select).await;
    let engine = &made["job"]["engine"];
    assert_eq!((&engine["promptTokens"], &engine["costMicroUsd"]), (&json!(10), &Value::Null), "{made:#}");
    limit(&room.server, &room.acme, &json!({"LLM_TOKENS": 1_000})).await;
    let asking = json!({"organizationId": room.acme.id, "question": "What is paid for meals?", "engine": openai(false)});
    assert_eq!(member.fault("qaAsk", asking).await, "QUOTA_EXCEEDED");
    // The built-in engine takes none of them.
    let asked = member.ask(&room.acme, "What is paid for meals?", json!({"wait": true})).await;
    assert_eq!(asked["job"]["status"], "SUCCEEDED", "{asked:#}");
    agrees(&room.server).await;
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_takes_what_its_steps_take() {
    let room = Room::new().await;
    let member = room.member();
    let metrics = ["AGENT_RUNS", "IMAGES"];
    let input = json!({"template": "full", "brief": "I want to sleep better. I want to trust my work.", "language": "EN",
        "options": {"createReels": false, "affirmationCount": 2}, "wait": false});
    let select = "job { id } run { id steps { key kind status error { code message } } }";
    let start = async || room.run("contentWorkflowRun", input.clone(), select).await;
    let steps = async |made: &Value| {
        let job = made["job"]["id"].as_str().unwrap();
        member.job_when(job, |job| job["status"] != "QUEUED" && job["status"] != "RUNNING").await;
        let query = "query($id: ID!) { node(id: $id) { ... on ContentWorkflowRun { steps { key kind agent status error { code message } } } } }";
        member.ok(query, json!({"id": made["run"]["id"]})).await["node"]["steps"].clone()
    };
    let made = start().await;
    let of = |made: &Value, status: &str| {
        let steps = made.as_array().unwrap().iter();
        steps.filter(|step| step["kind"] == "AGENT" && step["status"] == status).count()
    };
    let seen = steps(&made).await;
    // It waits for an approval; the steps behind it keep their places.
    assert!(of(&seen, "SUCCEEDED") >= 3, "{seen:#}");
    // Four of them work for each of two affirmations.
    let agents = seen.as_array().unwrap().iter().filter(|step| step["kind"] == "AGENT").count() + 4;
    let [runs, images] = used(&member, metrics).await;
    assert_eq!((runs, images), (i64::try_from(agents + 1).unwrap(), 2), "{seen:#}");
    agrees(&room.server).await;
    // Cancelled, what was made stays counted, and the rest is given back with the run's own.
    member.mutate("jobCancel", json!({"id": made["job"]["id"]}), "job { status }").await;
    let done = i64::try_from(of(&seen, "SUCCEEDED")).unwrap() + 3;
    assert_eq!(used(&member, metrics).await, [done, 2]);
    agrees(&room.server).await;

    // A run that there is no room for does not begin; a step that there is no room for fails with the reason.
    limit(&room.server, &room.acme, &json!({"AGENT_RUNS": done + 2})).await;
    let mut full = input.clone();
    full["projectId"] = json!(room.acme.project);
    assert_eq!(member.fault("contentWorkflowRun", full).await, "QUOTA_EXCEEDED");
    // Two are made already, and there is room for the first picture of two.
    limit(&room.server, &room.acme, &json!({"IMAGES": 3})).await;
    let made = start().await;
    let job = member.finished(made["job"]["id"].as_str().unwrap()).await;
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("FAILED"), &json!("QUOTA_EXCEEDED")),
        "{job:#}"
    );
    assert_eq!(job["error"]["__typename"], "QuotaError");
    let seen = steps(&made).await;
    let failed: Vec<_> = seen.as_array().unwrap().iter().filter(|step| step["status"] == "FAILED").collect();
    assert_eq!((failed.len(), &failed[0]["agent"]), (1, &json!("VISUAL_POST")), "{seen:#}");
    // The affirmations and the first picture.
    assert_eq!(of(&seen, "SUCCEEDED"), 1, "{seen:#}");
    assert_eq!(used(&member, metrics).await, [done + 2, 3]);
    agrees(&room.server).await;
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_begins_with_nothing_used() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    limit(&server, &acme, &json!({"AGENT_RUNS": 1})).await;
    let member = acme.member.at(&server);
    let ask =
        json!({"organizationId": acme.id, "question": "How many days of vacation are there?", "wait": false});
    member.mutate("qaAsk", ask.clone(), "job { id }").await;
    assert_eq!(member.fault("qaAsk", ask.clone()).await, "QUOTA_EXCEEDED");
    server.tamper("update usage_counters set day = day - 40 where metric = 'AGENT_RUNS'").await;
    member.mutate("qaAsk", ask.clone(), "job { id }").await;
    let seen = "{ organization { month: usage { metrics { kind used limit } } today: usage(period: TODAY) { metrics { kind used limit } } } }";
    let seen = member.ok(seen, json!({})).await["organization"].clone();
    let runs = |period: &str| {
        let metrics = seen[period]["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["kind"] == "AGENT_RUNS").cloned().unwrap()
    };
    assert_eq!(runs("month"), json!({"kind": "AGENT_RUNS", "used": 1.0, "limit": 1.0}));
    // A month's limit says nothing about a day.
    assert_eq!(runs("today"), json!({"kind": "AGENT_RUNS", "used": 1.0, "limit": null}));
}
