//! Schedules: when they are due, that each time begins one run whatever is killed when, and in whose name.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};
use sqlx::types::Uuid;

use crate::support::cast::{self, Organization};
use crate::support::fixture::uuid;
use crate::support::work::PATIENCE;
use crate::support::{Client, Server, mutation};

const SHOWN: &str = "id name cron timezone enabled nextRunAt upcoming pausedReason { code message } lastRun { id status agent
    createdBy { ... on User { id } ... on ApiKey { id } } result { ... on ContentWorkflowRun { id status template } } }
    actsFor { ... on User { id } ... on ApiKey { id } } workflow { template brief language options period { id } } project { id }";

async fn read(client: &Client<'_>, id: &Value) -> Value {
    let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Schedule {{ {SHOWN} }} }} }}");
    client.ok(&query, json!({"id": id})).await["node"].clone()
}

/// The schedule, once a condition holds.
async fn read_when(client: &Client<'_>, id: &Value, holds: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let schedule = read(client, id).await;
        if holds(&schedule) {
            return schedule;
        }
        assert!(Instant::now() < until, "waited too long: {schedule:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn make(client: &Client<'_>, project: &str, more: Value) -> Value {
    let mut input = cast::yearly(project);
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.mutate("scheduleCreate", input, &format!("schedule {{ {SHOWN} }}")).await["schedule"].clone()
}

async fn change(client: &Client<'_>, id: &Value, mut with: Value) -> Value {
    with["id"] = id.clone();
    client.mutate("scheduleUpdate", with, &format!("schedule {{ {SHOWN} }}")).await["schedule"].clone()
}

/// Every schedule that goes on has been due for three days.
async fn everything_is_due(server: &Server) -> u64 {
    server
        .tamper("update schedules set next_run_at = now() - interval '3 days' where next_run_at is not null")
        .await
}

/// How many jobs of a kind there are.
async fn jobs(server: &Server, kind: &str) -> i64 {
    let count = sqlx::query_scalar("select count(*) from jobs where kind = $1").bind(kind);
    count.fetch_one(&mut server.database.superuser().await).await.unwrap()
}

/// How many jobs have made schedules fire, and how many runs there are.
async fn fired(server: &Server) -> (i64, i64) {
    (jobs(server, "schedule.fire").await, jobs(server, "workflow.run").await)
}

/// What looks for due schedules, as a worker does. Gives whether there was one.
async fn look(server: &Server) -> bool {
    let found = sqlx::query("select * from app.fire_schedule($1, 'r')").bind(Uuid::now_v7());
    found.fetch_optional(&mut server.database.serving().await).await.unwrap().is_some()
}

/// Waits until no job is left to do.
async fn settled(server: &Server) {
    let until = Instant::now() + PATIENCE;
    let mut superuser = server.database.superuser().await;
    loop {
        let open: i64 = sqlx::query_scalar(
            "select (select count(*) from jobs where status in ('QUEUED', 'RUNNING'))
                + (select count(*) from schedules where next_run_at <= now())",
        )
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        if open == 0 {
            return;
        }
        assert!(Instant::now() < until, "{open} are left");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn stage() -> (Server, Organization) {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    (server, acme)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_begins_a_run_and_what_was_missed_is_done_once() {
    let (server, acme) = stage().await;
    let admin = acme.admin.at(&server);
    let periods = admin.ok("{ periods { id } }", json!({})).await;
    let workflow = json!({"template": "posts_only", "brief": "I want to sleep better. I want to trust my work.", "language": "EN",
        "periodId": periods["periods"][1]["id"]});
    let made = make(
        &admin,
        &acme.project,
        json!({"cron": " 30  18 * * * ", "name": "Evening", "workflow": workflow}),
    )
    .await;
    assert_eq!((&made["cron"], &made["timezone"]), (&json!("30 18 * * *"), &json!("Europe/Berlin")));
    assert_eq!(
        (&made["enabled"], &made["pausedReason"], &made["lastRun"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    assert_eq!(made["workflow"]["period"]["id"], periods["periods"][1]["id"]);
    assert_eq!(made["actsFor"]["id"], json!(acme.admin.id));
    let upcoming = made["upcoming"].as_array().unwrap();
    assert_eq!((upcoming.len(), &upcoming[0]), (5, &made["nextRunAt"]), "what is shown is what happens");

    let workers = server.work();
    assert_eq!(everything_is_due(&server).await, 1);
    let after = read_when(&admin, &made["id"], |schedule| !schedule["lastRun"].is_null()).await;
    assert_eq!(after["nextRunAt"], made["nextRunAt"], "three days were missed, and are done once");
    let run = &after["lastRun"];
    assert_eq!((&run["agent"], &run["createdBy"]["id"]), (&json!("CONTENT_WORKFLOW"), &json!(acme.admin.id)));
    let ended = admin.finished(run["id"].as_str().unwrap()).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended:#}");
    settled(&server).await;
    assert_eq!(fired(&server).await, (1, 1));
    let log = "{ organization { auditLog(filter: {actions: [\"schedule.fire\"]}) { nodes { targetType targetId actorLabel
        project { id } actor { ... on User { id } } changes { field after } } } } }";
    let log = acme.owner.at(&server).ok(log, json!({})).await;
    let entries = log["organization"]["auditLog"]["nodes"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{log:#}");
    assert_eq!((&entries[0]["targetType"], &entries[0]["targetId"]), (&json!("Schedule"), &made["id"]));
    assert_eq!(entries[0]["actor"]["id"], json!(acme.admin.id));
    assert!(entries[0]["changes"].as_array().unwrap().contains(&json!({"field": "job", "after": run["id"]})));

    // And the next time.
    everything_is_due(&server).await;
    let again = read_when(&admin, &made["id"], |schedule| {
        schedule["lastRun"]["id"] != run["id"] && !schedule["lastRun"].is_null()
    });
    let again = again.await;
    assert_ne!(again["lastRun"]["result"]["id"], run["result"]["id"]);
    settled(&server).await;
    assert_eq!(fired(&server).await, (2, 2));
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_look_each_time_begins_one_run() {
    let (server, acme) = stage().await;
    let admin = acme.admin.at(&server);
    for number in 0..5 {
        make(&admin, &acme.project, json!({"name": format!("Number {number}")})).await;
    }
    let replica = server.replica().await;
    let workers = [server.work(), replica.work()];
    for round in 1..=3 {
        assert_eq!(everything_is_due(&server).await, 5);
        // Beside both workers' own.
        let looks = (0..8).map(|_| async {
            for _ in 0..5 {
                look(&server).await;
            }
        });
        futures_util::future::join_all(looks).await;
        settled(&server).await;
        assert_eq!(fired(&server).await, (5 * round, 5 * round));
    }
    for workers in workers {
        workers.stop().await;
    }
    let runs: Vec<(Uuid, i64)> = sqlx::query_as("select fired_by, count(*) from schedules group by fired_by")
        .fetch_all(&mut server.database.superuser().await)
        .await
        .unwrap();
    assert_eq!(runs.len(), 5, "each has been made to fire by a job of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_when_a_time_is_neither_lost_nor_done_twice() {
    let (server, acme) = stage().await;
    let admin = acme.admin.at(&server);
    let made = make(&admin, &acme.project, json!({})).await;
    everything_is_due(&server).await;
    // Whoever looked is gone before a worker has heard of it.
    assert!(look(&server).await && !look(&server).await);
    assert_eq!(fired(&server).await, (1, 0));
    let between = read(&admin, &made["id"]).await;
    assert_eq!((&between["enabled"], &between["nextRunAt"]), (&json!(true), &Value::Null));
    // A worker has taken the job, and is gone.
    let taken = server.tamper(
        "update jobs set status = 'RUNNING', attempts = 1, lease_until = now() - interval '1 minute' where kind = 'schedule.fire'",
    );
    assert_eq!(taken.await, 1);
    let workers = server.work();
    let after = read_when(&admin, &made["id"], |schedule| !schedule["lastRun"].is_null()).await;
    assert_eq!(after["nextRunAt"], made["nextRunAt"]);
    settled(&server).await;
    assert_eq!(fired(&server).await, (1, 1));
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_pauses_itself_when_nobody_is_left_to_act_for() {
    let (server, acme) = stage().await;
    let (owner, admin) = (acme.owner.at(&server), acme.admin.at(&server));
    let key = json!({"organizationId": acme.id, "name": "robot", "permissions": ["AGENT_USE", "AGENT_CONFIGURE", "CONTENT_READ", "PROJECT_READ"]});
    let key = owner.mutate("apiKeyCreate", key, "secret apiKey { id }").await;
    let by_key =
        make(&server.key(key["secret"].as_str().unwrap()), &acme.project, json!({"name": "By a key"})).await;
    assert_eq!(read(&owner, &by_key["id"]).await["actsFor"]["id"], key["apiKey"]["id"]);
    let by_admin = make(&admin, &acme.project, json!({"name": "By the admin"})).await;
    let template = cast::template(&server, &acme, Some(&acme.project)).await;
    let workflow = json!({"template": template, "brief": "I want to sleep well."});
    let gone = make(&owner, &acme.project, json!({"name": "By what is gone", "workflow": workflow})).await;
    let kept = make(&owner, &acme.project, json!({"name": "By the owner"})).await;

    owner.mutate("apiKeyRevoke", json!({"id": key["apiKey"]["id"]}), "").await;
    owner.mutate("membershipUpdate", json!({"id": acme.admin.membership, "role": "VIEWER"}), "").await;
    owner.mutate("contentWorkflowTemplateDelete", json!({"id": template}), "").await;
    everything_is_due(&server).await;
    let workers = server.work();
    settled(&server).await;
    assert_eq!(fired(&server).await, (4, 1), "the owner's alone has begun a run");
    assert_eq!(read(&owner, &kept["id"]).await["enabled"], true);
    for (schedule, code, says) in [
        (&by_key, "CONFLICT", "no longer works"),
        (&by_admin, "CONFLICT", "AGENT_USE"),
        (&gone, "NOT_FOUND", "no such template"),
    ] {
        let paused = read(&owner, &schedule["id"]).await;
        assert_eq!((&paused["enabled"], &paused["nextRunAt"]), (&json!(false), &Value::Null), "{paused:#}");
        let reason = &paused["pausedReason"];
        assert_eq!(reason["code"], code, "{reason}");
        assert!(reason["message"].as_str().unwrap().contains(says), "{reason}");
        assert!(paused["upcoming"].as_array().unwrap().len() == 5 && paused["lastRun"].is_null());
    }
    // Another name does not let it go on.
    let renamed = change(&owner, &by_admin["id"], json!({"name": "By nobody", "cron": "0 7 * * *"})).await;
    assert_eq!((&renamed["enabled"], &renamed["nextRunAt"]), (&json!(false), &Value::Null));
    assert!(!renamed["pausedReason"].is_null());
    // Whoever lets it go on is whom it acts for.
    let resumed = change(&owner, &by_admin["id"], json!({"enabled": true})).await;
    assert_eq!((&resumed["enabled"], &resumed["pausedReason"]), (&json!(true), &Value::Null));
    assert_eq!(
        (&resumed["nextRunAt"], &resumed["actsFor"]["id"]),
        (&resumed["upcoming"][0], &json!(acme.owner.id))
    );
    everything_is_due(&server).await;
    settled(&server).await;
    let ran = read(&owner, &by_admin["id"]).await;
    assert_eq!(ran["lastRun"]["createdBy"]["id"], json!(acme.owner.id));

    // Whoever has left.
    let second =
        cast::invite(&server, &acme.owner.token, &acme.id, "second@acme.example", "ADMIN", None).await;
    let left = make(&second.at(&server), &acme.project, json!({"name": "By whoever left"})).await;
    owner.mutate("membershipDelete", json!({"id": second.membership}), "").await;
    let (_, runs) = fired(&server).await;
    server.tamper("update schedules set next_run_at = now() where name = 'By whoever left'").await;
    let paused = read_when(&owner, &left["id"], |schedule| !schedule["pausedReason"].is_null()).await;
    assert!(paused["pausedReason"]["message"].as_str().unwrap().contains("has left"), "{paused:#}");
    assert_eq!(fired(&server).await.1, runs, "nothing runs");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_for_what_is_due_already() {
    let (server, acme) = stage().await;
    let admin = acme.admin.at(&server);
    let names = ["moved", "paused", "renamed", "deleted"];
    let mut made = Vec::new();
    for name in names {
        made.push(make(&admin, &acme.project, json!({"name": name})).await);
    }
    everything_is_due(&server).await;
    while look(&server).await {}
    change(&admin, &made[0]["id"], json!({"timezone": "America/New_York"})).await;
    change(&admin, &made[1]["id"], json!({"enabled": false})).await;
    change(&admin, &made[2]["id"], json!({"name": "Once a year"})).await;
    admin.mutate("scheduleDelete", json!({"id": made[3]["id"]}), "deletedScheduleId project { id }").await;
    let workers = server.work();
    settled(&server).await;
    assert_eq!(fired(&server).await, (4, 1), "what has another name alone has begun a run");
    let [moved, paused, renamed] = [
        read(&admin, &made[0]["id"]).await,
        read(&admin, &made[1]["id"]).await,
        read(&admin, &made[2]["id"]).await,
    ];
    for schedule in [&moved, &paused] {
        assert_eq!(
            (&schedule["pausedReason"], &schedule["lastRun"]),
            (&Value::Null, &Value::Null),
            "{schedule:#}"
        );
    }
    assert_eq!((&moved["nextRunAt"], &moved["enabled"]), (&moved["upcoming"][0], &json!(true)));
    assert!(moved["nextRunAt"].as_str().unwrap().ends_with("-01-01T14:00:00.000Z"), "{moved:#}");
    assert_eq!((&paused["nextRunAt"], &paused["enabled"]), (&Value::Null, &json!(false)));
    assert!(!renamed["lastRun"].is_null() && renamed["enabled"] == true);
    assert_eq!(read(&admin, &made[3]["id"]).await, Value::Null);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_has_nothing_done_until_it_is_back() {
    let (server, acme) = stage().await;
    let owner = acme.owner.at(&server);
    let made = make(&owner, &acme.project, json!({})).await;
    owner.mutate("organizationDelete", json!({"id": acme.id, "confirmSlug": acme.slug}), "").await;
    everything_is_due(&server).await;
    assert!(!look(&server).await);
    owner.mutate("organizationRestore", json!({"id": acme.id}), "").await;
    let workers = server.work();
    let after = read_when(&owner, &made["id"], |schedule| !schedule["lastRun"].is_null()).await;
    assert_eq!(after["enabled"], true);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_changes_nothing() {
    let (server, acme) = stage().await;
    let (owner, admin, member) = (acme.owner.at(&server), acme.admin.at(&server), acme.member.at(&server));
    let made = make(&admin, &acme.project, json!({})).await;
    let workflow = |more: Value| {
        let mut workflow = cast::yearly("")["workflow"].clone();
        workflow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"workflow": workflow})
    };
    for (wrong, code, field) in [
        (json!({"name": " "}), "REQUIRED", json!(["input", "name"])),
        (json!({"cron": "*/5 * * * *"}), "OUT_OF_RANGE", json!(["input", "cron"])),
        (json!({"cron": "0 0 9 * * 1"}), "INVALID", json!(["input", "cron"])),
        (json!({"cron": "0 9 31 2 *"}), "OUT_OF_RANGE", json!(["input", "cron"])),
        (json!({"timezone": "Berlin"}), "INVALID", json!(["input", "timezone"])),
        (workflow(json!({"brief": ""})), "REQUIRED", json!(["input", "workflow", "brief"])),
        (workflow(json!({"template": "nothing"})), "NOT_FOUND", json!(["input", "workflow", "template"])),
        (workflow(json!({"options": {"moon": 1}})), "INVALID", json!(["input", "workflow", "options"])),
        (workflow(json!({"options": 3})), "INVALID", json!(["input", "workflow", "options"])),
        (workflow(json!({"periodId": "prd_1"})), "INVALID", json!(["input", "workflow", "periodId"])),
    ] {
        let mut input = cast::yearly(&acme.project);
        input.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let created = admin.try_mutate("scheduleCreate", input, "schedule { id }").await;
        let mut input = wrong.clone();
        input["id"] = made["id"].clone();
        let updated = admin.try_mutate("scheduleUpdate", input, "schedule { id }").await;
        for payload in [created, updated] {
            let error = &payload["userErrors"][0];
            assert_eq!((&error["code"], &error["field"]), (&json!(code), &field), "{wrong}: {payload:#}");
            assert_eq!(payload["schedule"], Value::Null);
        }
    }
    assert_eq!(read(&admin, &made["id"]).await, made);
    for first in [0, 51] {
        let query = format!(
            "query($id: ID!) {{ node(id: $id) {{ ... on Schedule {{ upcoming(first: {first}) }} }} }}"
        );
        assert_eq!(admin.refusal(&query, json!({"id": made["id"]})).await, "BAD_USER_INPUT");
    }
    // Members see them; who sets agents up changes them.
    assert_eq!(read(&member, &made["id"]).await["id"], made["id"]);
    let input = json!({"input": cast::yearly(&acme.project)});
    assert_eq!(member.refusal(&mutation("scheduleCreate", ""), input).await, "FORBIDDEN");
    for field in ["scheduleUpdate", "scheduleDelete"] {
        assert_eq!(
            member.refusal(&mutation(field, ""), json!({"input": {"id": made["id"]}})).await,
            "FORBIDDEN"
        );
    }
    // The same call twice makes one.
    let once = || make(&admin, &acme.project, json!({"idempotencyKey": "once", "enabled": false}));
    let (first, second) = (once().await, once().await);
    assert_eq!((&first["id"], &first["nextRunAt"]), (&second["id"], &Value::Null));
    let list = "query($id: ID!) { project(id: $id) { schedules(first: 100) { totalCount nodes { id } } } }";
    let listed = owner.ok(list, json!({"id": acme.project})).await["project"]["schedules"].clone();
    assert_eq!(listed["totalCount"], 2);
    // There is room for so many, also for two who make one at the same time.
    for number in 2..49 {
        make(&admin, &acme.project, json!({"name": format!("Number {number}")})).await;
    }
    let input = || cast::yearly(&acme.project);
    let (one, other) = tokio::join!(
        admin.try_mutate("scheduleCreate", input(), "schedule { id }"),
        owner.try_mutate("scheduleCreate", input(), "schedule { id }")
    );
    let codes: BTreeSet<Option<&str>> =
        [&one, &other].map(|payload| payload["userErrors"][0]["code"].as_str()).into();
    assert_eq!(codes, [None, Some("CONFLICT")].into());
    // Another project has room of its own.
    let second = cast::project(&server, &acme, "Second").await;
    make(&admin, &second, json!({})).await;
    // A schedule is its project's: whoever is in another one does not see it.
    let guest =
        cast::invite(&server, &acme.owner.token, &acme.id, "guest@acme.example", "ADMIN", Some(&second))
            .await;
    assert_eq!(read(&guest.at(&server), &made["id"]).await, Value::Null);
    let owned: i64 = sqlx::query_scalar("select count(*) from schedules where acts_for <> $1")
        .bind(uuid(&acme.admin.id))
        .fetch_one(&mut server.database.superuser().await)
        .await
        .unwrap();
    assert!(owned <= 1, "who made them is whom they act for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_tier_has_no_room_for_is_left_out() {
    let (server, acme) = stage().await;
    let member = acme.owner.at(&server);
    let made = make(&member, &acme.project, json!({})).await;
    server.tamper("insert into tiers (key, name, limits, points_per_minute) values ('none', 'None', '{\"AGENT_RUNS\": 0}', 1000000)").await;
    server.tamper("update organizations set tier = 'none'").await;
    let workers = server.work();
    everything_is_due(&server).await;
    let seen = read_when(&member, &made["id"], |seen| seen["nextRunAt"] == made["nextRunAt"]).await;
    settled(&server).await;
    assert_eq!((&seen["pausedReason"], &seen["lastRun"]), (&Value::Null, &Value::Null), "{seen:#}");
    assert_eq!(fired(&server).await, (1, 0));
    let log = "{ organization { auditLog(first: 5, filter: {actions: [\"schedule.fire\"]}) { nodes { changes { field after } } } } }";
    assert!(member.ok(log, json!({})).await.to_string().contains("QUOTA_EXCEEDED"), "the log says why");
    // With room again, the next time begins a run.
    server.tamper("update organizations set tier = 'community'").await;
    everything_is_due(&server).await;
    let seen = read_when(&member, &made["id"], |seen| seen["lastRun"].is_object()).await;
    assert_eq!(seen["pausedReason"], Value::Null, "{seen:#}");
    workers.stop().await;
}
