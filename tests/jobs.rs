//! Jobs: fair, fenced, cancelled, tried again, given back, and ended once whatever happens to whoever works on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aicos::access::Action;
use aicos::db::{Record, Target};
use aicos::error::{Detail, Error, Fault, FaultCode};
use aicos::jobs::worker::{Work, WorkerSettings, Workers};
use aicos::jobs::{Attempted, Failure, Finished, Run, Until};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::types::Uuid;

use crate::support::cast::{self, Organization};
use crate::support::fixture::uuid;
use crate::support::work::HANDBOOK;
use crate::support::{Client, Server};

/// Does what a job's input says, and counts.
#[derive(Clone, Default)]
struct Scripted {
    begun: Arc<AtomicU32>,
    saved: Arc<AtomicU32>,
}

impl Scripted {
    async fn go(&self, run: &Run) -> Result<Attempted, Failure> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let input: Value = {
            let mut tx = run.read(Action::QaAsk).await?;
            aicos::jobs::input(&mut tx, run.job()).await?
        };
        run.release().await;
        let number = |name: &str| input[name].as_u64().unwrap_or(0);
        for step in 0..number("steps") {
            run.progress(0.1, &format!("step {step}")).await?;
        }
        tokio::time::sleep(Duration::from_millis(number("milliseconds"))).await;
        // It waits in three ways, one after another: as a worker does, until a time, and for an approval.
        let waits = input["waits"].as_bool() == Some(true);
        if waits && run.attempt() == 1 {
            return Ok(Attempted::Waits {
                after: Duration::from_millis(10),
                why: "for the other side".into(),
            });
        }
        if waits && run.attempt() < 4 {
            let soon = chrono::Utc::now() + Duration::from_millis(10);
            let until = if run.attempt() == 2 { Until::Time(soon) } else { Until::Approval };
            let tx = run.write(None, Action::QaAnswer).await?;
            return Ok(run.park(tx, until, "as asked", Record::of(Target::job(run.job()))).await?);
        }
        if u64::from(run.attempt().unsigned_abs()) <= number("failures") {
            return Err(match input["failure"].as_str() {
                Some("unavailable") => Error::unavailable(anyhow::anyhow!("not now")).into(),
                Some("panic") => panic!("on purpose"),
                Some("provider") => Fault::new(FaultCode::ProviderFailed, "The provider said no.")
                    .with(Detail::Provider { provider: "p".into(), provider_code: None, retryable: false })
                    .into(),
                _ => {
                    Failure::fail(Fault::new(FaultCode::InsufficientInput, "There is nothing to work with."))
                }
            });
        }
        let tx = run.write(None, Action::QaAnswer).await?;
        // Counted first: the attempt may be dropped as soon as its end is saved.
        self.saved.fetch_add(1, Ordering::SeqCst);
        let ended = run.succeed(tx, &Finished::default(), Record::of(Target::job(run.job()))).await;
        if ended.is_err() {
            self.saved.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(ended?)
    }
}

impl Work for Scripted {
    fn kind(&self) -> &'static str {
        "test.scripted"
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.go(run).boxed()
    }
}

/// Impatient enough for tests.
fn settings(slots: usize) -> WorkerSettings {
    WorkerSettings {
        slots,
        lease: Duration::from_secs(2),
        heartbeat: Duration::from_millis(100),
        sweep: Duration::from_millis(200),
        drain: Duration::from_millis(300),
    }
}

impl Scripted {
    fn work(&self, server: &Server, settings: WorkerSettings) -> Workers {
        let (identity, events) = (Arc::clone(&server.app.identity), server.app.db.events().clone());
        let works: Vec<Box<dyn Work>> = vec![Box::new(self.clone())];
        Workers::start(server.database.serve.clone(), identity, events, works, settings)
    }
}

/// Enqueues jobs of somebody's, as a transaction of theirs would.
async fn enqueue(server: &Server, organization: &Organization, count: i32, input: &Value) -> Vec<String> {
    let mut superuser = server.database.superuser().await;
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "with made as (
            insert into jobs (organization_id, id, kind, input, created_by, request_id)
            select $1, gen_random_uuid(), 'test.scripted', $3, $2, 'test' from generate_series(1, $4)
            returning organization_id, id
         ), noted as (
            insert into job_events (organization_id, job_id, sequence, kind) select organization_id, id, 1, 'queued' from made
         )
         select id from made, lateral app.wake_workers(organization_id, id, clock_timestamp())",
    )
    .bind(uuid(&organization.id))
    .bind(uuid(&organization.member.id))
    .bind(input)
    .bind(count)
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    ids.into_iter().map(|id| aicos::id::JobId::from(id).to_string()).collect()
}

async fn one(server: &Server, organization: &Organization, input: &Value) -> String {
    enqueue(server, organization, 1, input).await.remove(0)
}

fn kinds(job: &Value) -> Vec<&str> {
    let events = job["events"].as_array().unwrap();
    let sequences: Vec<i64> = events.iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    assert_eq!(sequences, (1..).take(sequences.len()).collect::<Vec<_>>(), "numbered without gaps");
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_of_one_organization_let_anothers_first_begin_at_once() {
    let server = Server::start().await;
    let (acme, globex) =
        (cast::organization(&server, "Acme").await, cast::organization(&server, "Globex").await);
    enqueue(&server, &acme, 1000, &json!({"milliseconds": 100})).await;
    let scripted = Scripted::default();
    let workers = scripted.work(&server, settings(1));
    let busy = Instant::now();
    while scripted.begun.load(Ordering::SeqCst) < 5 {
        assert!(busy.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ids = enqueue(&server, &globex, 3, &json!({"milliseconds": 100})).await;
    let member = globex.member.at(&server);
    let mut before = Vec::new();
    for id in &ids {
        member.finished(id).await;
        let mut superuser = server.database.superuser().await;
        // How many of the other organization's jobs began between its being asked for and its beginning.
        let count: i64 = sqlx::query_scalar(
            "select count(*) from jobs a, jobs b where b.id = $1 and a.organization_id = $2
                and a.started_at > b.created_at and a.started_at < b.started_at",
        )
        .bind(uuid(id))
        .bind(uuid(&acme.id))
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        before.push(count);
    }
    let mut superuser = server.database.superuser().await;
    let wait: f64 = sqlx::query_scalar(
        "select extract(epoch from started_at - created_at)::float8 from jobs where id = $1",
    )
    .bind(uuid(&ids[0]))
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    println!(
        "another organization's first job began after {wait:.3} s; jobs begun before each of its three: {before:?}"
    );
    assert!(before[0] <= 2 && before[1] <= 4 && before[2] <= 6, "{before:?}");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_are_worked_off_without_a_pause() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    enqueue(&server, &acme, 100, &json!({})).await;
    let scripted = Scripted::default();
    let workers = scripted.work(&server, settings(2));
    // The queue is polled every two seconds: with one job a slot each time, it would take a minute and a half. On a busy
    // machine the jobs themselves take their time.
    let until = Instant::now() + Duration::from_secs(45);
    let mut superuser = server.database.superuser().await;
    let mut left = 100_i64;
    while left > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let waiting = "select count(*) from jobs where status <> 'SUCCEEDED'";
        left = sqlx::query_scalar(waiting).fetch_one(&mut superuser).await.unwrap();
    }
    assert_eq!(left, 0);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_tried_again_as_its_failure_says() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let scripted = Scripted::default();
    let workers = scripted.work(&server, settings(4));
    let passing = one(&server, &acme, &json!({"failures": 1, "failure": "unavailable"})).await;
    let panicking = one(&server, &acme, &json!({"failures": 1, "failure": "panic"})).await;
    let lasting = one(&server, &acme, &json!({"failures": 9, "failure": "provider"})).await;
    let hopeless = one(&server, &acme, &json!({"failures": 9})).await;
    for id in [&passing, &panicking] {
        let job = member.finished(id).await;
        assert_eq!((&job["status"], &job["attempts"]), (&json!("SUCCEEDED"), &json!(2)), "{job:#}");
        assert_eq!(kinds(&job), ["queued", "started", "retrying", "started", "succeeded"]);
    }
    let job = member.finished(&lasting).await;
    assert_eq!((&job["status"], &job["attempts"]), (&json!("FAILED"), &json!(1)), "{job:#}");
    assert_eq!(
        job["error"],
        json!({"__typename": "ProviderError", "code": "PROVIDER_FAILED", "message": "The provider said no."})
    );
    let job = member.finished(&hopeless).await;
    assert_eq!(job["error"]["code"], "INSUFFICIENT_INPUT");
    assert_eq!(kinds(&job), ["queued", "started", "failed"]);
    // Somebody who lost patience after the last attempt.
    let mut superuser = server.database.superuser().await;
    sqlx::query("alter table jobs alter column max_attempts set default 2")
        .execute(&mut superuser)
        .await
        .unwrap();
    let worn = one(&server, &acme, &json!({"failures": 9, "failure": "unavailable"})).await;
    let job = member.finished(&worn).await;
    assert_eq!((&job["status"], &job["attempts"]), (&json!("FAILED"), &json!(2)), "{job:#}");
    assert_eq!(kinds(&job), ["queued", "started", "retrying", "started", "failed"]);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_while_it_waits_and_while_it_runs() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let cancel = async |client: &Client<'_>, id: &str| {
        client.mutate("jobCancel", json!({"id": id}), "job { status }").await["job"]["status"].clone()
    };
    let waiting = one(&server, &acme, &json!({"milliseconds": 10})).await;
    assert_eq!(cancel(&member, &waiting).await, "CANCELLED");
    assert_eq!(cancel(&member, &waiting).await, "CANCELLED", "twice changes nothing");
    let scripted = Scripted::default();
    let workers = scripted.work(&server, settings(4));
    let running = one(&server, &acme, &json!({"milliseconds": 60_000})).await;
    member.job_when(&running, |job| job["status"] == "RUNNING").await;
    cancel(&member, &running).await;
    let job = member.finished(&running).await;
    assert_eq!(job["status"], "CANCELLED", "{job:#}");
    assert_eq!(kinds(&job), ["queued", "started", "cancelling", "cancelled"]);
    // The control: what nobody cancels is done, and cannot be cancelled then.
    let done = one(&server, &acme, &json!({})).await;
    assert_eq!(member.finished(&done).await["status"], "SUCCEEDED");
    assert_eq!(member.fault("jobCancel", json!({"id": done})).await, "CONFLICT");
    let refused = crate::support::mutation("jobCancel", "");
    assert_eq!(acme.viewer.at(&server).refusal(&refused, json!({"input": {"id": done}})).await, "FORBIDDEN");
    assert_eq!(scripted.saved.load(Ordering::SeqCst), 1);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_a_time_and_for_an_approval_without_using_up_its_attempts() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let mut superuser = server.database.superuser().await;
    sqlx::query("alter table jobs alter column max_attempts set default 1")
        .execute(&mut superuser)
        .await
        .unwrap();
    let scripted = Scripted::default();
    let workers = scripted.work(&server, settings(4));
    let id = one(&server, &acme, &json!({"waits": true})).await;
    let job = member.job_when(&id, |job| job["status"] == "AWAITING_APPROVAL").await;
    assert_eq!(job["attempts"], 3, "{job:#}");
    assert_eq!(
        kinds(&job),
        ["queued", "started", "waiting", "started", "waiting", "started", "awaiting_approval"]
    );
    assert_eq!(scripted.begun.load(Ordering::SeqCst), 3, "nobody takes up what waits for an approval");
    // What waits is cancelled at once, for no worker has it.
    let cancelled = member.mutate("jobCancel", json!({"id": id}), "job { status }").await;
    assert_eq!(cancelled["job"]["status"], "CANCELLED");
    assert_eq!(scripted.saved.load(Ordering::SeqCst), 0);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_works_with_the_rights_that_its_creator_has_then() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let kept = one(&server, &acme, &json!({})).await;
    let mut lowered = acme.clone();
    lowered.member = cast::member(&server, &acme, "MEMBER").await;
    let mut gone = acme.clone();
    gone.member = cast::member(&server, &acme, "MEMBER").await;
    let (by_lowered, by_gone) =
        (one(&server, &lowered, &json!({})).await, one(&server, &gone, &json!({})).await);
    owner.mutate("membershipUpdate", json!({"id": lowered.member.membership, "role": "VIEWER"}), "").await;
    owner.mutate("membershipDelete", json!({"id": gone.member.membership}), "").await;
    // And a right that goes while the job runs.
    let mut leaving = acme.clone();
    leaving.member = cast::member(&server, &acme, "MEMBER").await;
    let by_leaving = one(&server, &leaving, &json!({"milliseconds": 1500})).await;
    let scripted = Scripted::default();
    let workers = scripted.work(&server, settings(4));
    owner.job_when(&by_leaving, |job| job["status"] == "RUNNING").await;
    owner.mutate("membershipUpdate", json!({"id": leaving.member.membership, "role": "VIEWER"}), "").await;
    assert_eq!(owner.finished(&kept).await["status"], "SUCCEEDED");
    for id in [&by_lowered, &by_gone, &by_leaving] {
        let job = owner.finished(id).await;
        assert_eq!(job["status"], "FAILED", "{job:#}");
    }
    assert_eq!(scripted.saved.load(Ordering::SeqCst), 1);
    // A deleted organization's jobs come to nothing.
    let late = one(&server, &acme, &json!({"milliseconds": 500})).await;
    owner.job_when(&late, |job| job["status"] == "RUNNING").await;
    owner.mutate("organizationDelete", json!({"id": acme.id, "confirmSlug": acme.slug}), "").await;
    let mut superuser = server.database.superuser().await;
    let until = Instant::now();
    loop {
        let status: String = sqlx::query_scalar("select status from jobs where id = $1")
            .bind(uuid(&late))
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        if status == "FAILED" {
            break;
        }
        assert!(until.elapsed() < Duration::from_secs(30), "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(scripted.saved.load(Ordering::SeqCst), 1);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_shuts_down_gives_its_jobs_back_and_one_that_is_lost_changes_nothing() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let first = Scripted::default();
    let workers = first.work(&server, settings(2));
    let id = one(&server, &acme, &json!({"milliseconds": 3000})).await;
    member.job_when(&id, |job| job["status"] == "RUNNING").await;
    workers.stop().await;
    let job = member.job(&id).await;
    assert_eq!(job["status"], "QUEUED", "given back: {job:#}");
    let second = Scripted::default();
    let workers = second.work(&server, settings(2));
    member.job_when(&id, |job| job["status"] == "RUNNING").await;
    // Somebody takes it away from the worker that has it, as the sweep does with one that gives no sign of life.
    let mut superuser = server.database.superuser().await;
    sqlx::query(
        "update jobs set lease_until = now() - interval '1 second', attempts = attempts + 1 where id = $1",
    )
    .bind(uuid(&id))
    .execute(&mut superuser)
    .await
    .unwrap();
    let job = member.finished(&id).await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    assert_eq!((first.saved.load(Ordering::SeqCst), second.saved.load(Ordering::SeqCst)), (0, 1));
    let results =
        member.ok("{ organization { jobs(filter: {status: SUCCEEDED}) { totalCount } } }", json!({})).await;
    assert_eq!(results["organization"]["jobs"]["totalCount"], 1);
    let log = acme.owner.at(&server).ok("{ organization { auditLog(filter: {actions: [\"qa.answer\"]}) { totalCount nodes { actorLabel requestId } } } }", json!({})).await;
    assert_eq!(log["organization"]["auditLog"]["totalCount"], 1, "one result, one row");
    assert_eq!(
        log["organization"]["auditLog"]["nodes"][0]["requestId"], "test",
        "the request that it is part of"
    );
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_exists_only_if_its_change_does_and_workers_of_other_processes_do_it() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    // Refused: no document, no job, nothing in the queue.
    let input = json!({"organizationId": acme.id, "projectId": "prj_00000000000000000000000000", "title": "t", "text": "x"});
    assert_eq!(member.fault("documentCreate", input).await, "NOT_FOUND");
    let mut superuser = server.database.superuser().await;
    let queued = "select (select count(*) from jobs) + (select count(*) from queue._private_jobs)";
    let count: i64 = sqlx::query_scalar(queued).fetch_one(&mut superuser).await.unwrap();
    assert_eq!(count, 0);
    // Another process, with caches and events of its own.
    let replica = server.replica().await;
    let workers = replica.work();
    let id = member.learn(&acme, "Handbook", HANDBOOK).await;
    assert!(id.starts_with("doc_"));
    workers.stop().await;
    // What the queue carries is ids.
    let added = member.add_document(&acme, "Waiting", "A secret text.").await;
    let payload: Value = sqlx::query_scalar("select payload from queue._private_jobs")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    let mut keys: Vec<&String> = payload.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["job", "organization"]);
    assert_eq!(payload["job"].as_str().unwrap(), uuid(added["job"]["id"].as_str().unwrap()).to_string());
    // The serving role reaches nothing of the queue.
    let mut serving = server.database.serving().await;
    let refused =
        sqlx::query("select payload from queue._private_jobs").fetch_all(&mut serving).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"));
}
