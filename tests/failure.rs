//! What clients see while PostgreSQL is frozen, killed or full, and what becomes of a statement that nobody waits for.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aicos::app::Running;
use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::cast::{self, Organization};
use crate::support::fragile::Fragile;
use crate::support::socket::{Heard, Socket};
use crate::support::work::HANDBOOK;
use crate::support::{Server, config, mutation, tuning};

/// Longer than anything takes that works, and shorter than what would hang.
const PATIENCE: Duration = Duration::from_secs(30);

const MEDIA: [&str; 2] = ["application/json", "application/graphql-response+json"];

/// Who calls, and what.
type Call = (&'static str, String, Value);

/// What came of a call: its status, when to come again, and its body.
type Reply = (u16, Option<String>, Value);

async fn send(server: &Server, header: (&str, &str), accept: &str, query: &str, variables: &Value) -> Reply {
    let body = json!({"query": query, "variables": variables}).to_string();
    let request =
        Request::post("/graphql").header("content-type", "application/json").header("accept", accept);
    let request = request.header(header.0, header.1).body(Body::from(body)).unwrap();
    let (status, headers, bytes) = server.send(request).await;
    let again = headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (status.as_u16(), again, serde_json::from_slice(&bytes).unwrap())
}

async fn status(server: &Server, address: &str) -> u16 {
    server.send(Request::get(address).body(Body::empty()).unwrap()).await.0.as_u16()
}

async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "in vain waited until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An organization, and the calls of everybody who can call.
struct House {
    server: Server,
    acme: Organization,
    /// A key that the server has not seen yet, so that the database has to know it.
    key: String,
}

impl House {
    async fn open(fragile: &Fragile) -> Self {
        let server = fragile.serve(tuning()).await;
        let acme = cast::organization(&server, "Acme").await;
        let key = cast::secret(&server, &acme.owner, &acme.id, &["PROJECT_READ"]).await;
        Self { server, acme, key }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.acme.owner.token)
    }

    /// One call of each way to the database: each opens a transaction, or asks or changes in one statement.
    fn calls(&self, name: &str) -> Vec<Call> {
        let login = json!({"input": {"email": self.acme.owner.email, "password": cast::PASSWORD}});
        let founder = json!({"input": {"email": cast::address(), "password": cast::PASSWORD, "name": "New",
            "organizationName": name}});
        let project = json!({"input": {"organizationId": self.acme.id, "name": name}});
        let rename = json!({"input": {"id": self.acme.id, "name": name}});
        vec![
            ("authorization", "{ viewer { name } }".into(), json!({})),
            (
                "authorization",
                "{ viewer { name } organization { name projects { totalCount } } }".into(),
                json!({}),
            ),
            ("authorization", mutation("projectCreate", "project { id }"), project),
            ("authorization", mutation("organizationUpdate", "organization { name }"), rename),
            ("x-api-key", "{ organization { projects { totalCount } } }".into(), json!({})),
            ("x-nobody", mutation("login", "accessToken"), login),
            ("x-nobody", mutation("signup", "accessToken"), founder),
        ]
    }

    async fn call(&self, (who, query, variables): &Call, accept: &str) -> Reply {
        let bearer = self.bearer();
        let secret = match *who {
            "authorization" => bearer.as_str(),
            "x-api-key" => self.key.as_str(),
            _ => "",
        };
        send(&self.server, (who, secret), accept, query, variables).await
    }

    /// Every call is answered, as it is on any other day.
    async fn assert_serves(&self, when: &str) {
        for call in self.calls(&format!("Served {when}")) {
            let (status, again, body) = self.call(&call, MEDIA[0]).await;
            assert_eq!((status, again, body.get("errors")), (200, None, None), "{when}: {} {body:#}", call.1);
            let faults =
                body["data"].as_object().unwrap().values().filter_map(|value| value.get("userErrors"));
            assert!(faults.into_iter().all(|faults| *faults == json!([])), "{when}: {} {body:#}", call.1);
        }
    }

    /// Every call is told to come again, whatever it wants to read; three times as many as there are connections.
    async fn assert_sends_away(&self, when: &str) {
        let calls: Vec<_> = (0..4).flat_map(|round| self.calls(&format!("Lost {when} {round}"))).collect();
        let calling = calls.iter().enumerate().map(|(at, call)| self.call(call, MEDIA[at % 2]));
        let replies = tokio::time::timeout(PATIENCE, join_all(calling)).await.expect("everybody is answered");
        for (call, (status, again, body)) in calls.iter().zip(replies) {
            let codes: Vec<&Value> =
                body["errors"].as_array().unwrap().iter().map(|e| &e["extensions"]["code"]).collect();
            assert_eq!((status, again.as_deref()), (503, Some("2")), "{when}: {} {body:#}", call.1);
            assert!(
                !codes.is_empty() && codes.iter().all(|code| *code == "UNAVAILABLE"),
                "{when}: {} {body:#}",
                call.1
            );
            assert!(body["data"].is_null(), "{when}: {body:#}");
        }
        assert_eq!(status(&self.server, "/readyz").await, 503, "{when}");
        assert_eq!(status(&self.server, "/livez").await, 200, "{when}");
    }

    /// Waits until the server says that it is ready; from then on every call is answered.
    async fn assert_recovers(&self, when: &str) {
        until("the server is ready", async || status(&self.server, "/readyz").await == 200).await;
        self.assert_serves(when).await;
    }

    async fn count(&self, projects: &str) -> i64 {
        let sql = "select count(*) from projects where name = $1";
        let mut superuser = self.server.database.superuser().await;
        sqlx::query_scalar(sql).bind(projects).fetch_one(&mut superuser).await.unwrap()
    }
}

/// Has projects of this name take so many seconds to make.
async fn slow_down(server: &Server, name: &str, seconds: u32) {
    let sql = format!(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep({seconds}); return new; end $$;
         create trigger slow before insert on projects for each row when (new.name = '{name}') execute function slow()"
    );
    let mut superuser = server.database.superuser().await;
    superuser.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
}

/// How many statements of the server's sleep in the database.
async fn sleeping(superuser: &mut PgConnection, database: &str) -> i64 {
    let sql = "select count(*) from pg_stat_activity where datname = $1 and usename = 'aicos_app' and wait_event = 'PgSleep'";
    sqlx::query_scalar(sql).bind(database).fetch_one(superuser).await.unwrap()
}

async fn until_asleep(server: &Server, count: i64) {
    let name = &server.database.name;
    until("statements sleep", async || sleeping(&mut server.database.superuser().await, name).await == count)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_keeps_nobody_waiting() {
    let fragile = Fragile::take().await;
    let house = House::open(&fragile).await;
    slow_down(&house.server, "Under way", 1).await;
    house.assert_serves("before the frost").await;
    assert_eq!(status(&house.server, "/readyz").await, 200);

    let input = json!({"organizationId": house.acme.id, "name": "Under way", "idempotencyKey": "once"});
    let call: Call = ("authorization", mutation("projectCreate", "project { id }"), json!({"input": input}));
    let (under_way, frozen) = tokio::join!(house.call(&call, MEDIA[0]), async {
        until_asleep(&house.server, 1).await;
        let frozen = fragile.freeze();
        house.assert_sends_away("in the frost").await;
        frozen
    });
    // Answered before it thaws, like everybody else.
    assert_eq!(under_way.0, 503, "{:#}", under_way.2);
    // With time for what rested to have been found out, too.
    house.assert_sends_away("in the long frost").await;
    drop(frozen);
    house.assert_recovers("after the frost").await;
    // Whether it was kept nobody was told; asked for again, it is there once.
    assert_eq!(house.call(&call, MEDIA[0]).await.0, 200);
    assert_eq!(house.count("Under way").await, 1);
    assert_eq!(house.count("Lost in the long frost 0").await, 0);
}

/// Everything of a server that listens: requests, a subscription, and workers.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_is_a_503_while_it_is_away_and_loses_nothing() {
    let fragile = Fragile::take().await;
    let house = House::open(&fragile).await;
    let running = listen(&house.server).await;
    let mut socket = Socket::bearer(running.address, &house.acme.owner.token).await;
    let activity = "subscription($id: ID!, $after: Int) { organizationActivity(organizationId: $id, after: $after) { action } }";
    socket.subscribe("log", activity, json!({"id": house.acme.id, "after": 0})).await;
    socket.payload("next", "log").await;
    for round in 0..2 {
        // Several connections, all of which the server loses while nobody uses them. How many are opened for those who come at
        // once depends on how soon the first give theirs back.
        let calls = house.calls(&format!("Before {round}"));
        join_all(calls.iter().chain(&calls).map(|call| house.call(call, MEDIA[0]))).await;
        until("several connections are open", async || {
            join_all((0..8).map(|_| house.server.app.db.ready())).await;
            house.server.app.db.status().open > 2
        })
        .await;
        fragile.restart().await;
        house.assert_serves(&format!("after being killed at rest, {round}")).await;

        // And while they are used: what is acknowledged is there, once, and everything else was worth trying again.
        let (done, away) =
            (std::sync::atomic::AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
        let writing = join_all((0..6).map(async |writer| {
            let mut made = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let name = format!("Kept {round} {writer} {made}");
                let input = json!({"organizationId": house.acme.id, "name": name, "idempotencyKey": name});
                let query = mutation("projectCreate", "project { id }");
                let call = ("authorization", query, json!({"input": input}));
                until("a project is made", async || match house.call(&call, MEDIA[made % 2]).await {
                    (200, None, body) => body["data"]["projectCreate"]["project"].is_object(),
                    (status, again, body) => {
                        away.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        assert_eq!((status, again.as_deref()), (503, Some("2")), "{body:#}");
                        false
                    }
                })
                .await;
                made += 1;
            }
            (writer, made)
        }));
        let killing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            fragile.restart().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let (written, ()) = tokio::join!(writing, killing);
        assert!(away.into_inner() > 0, "nobody noticed");
        for (writer, made) in written {
            for number in 0..made {
                assert_eq!(house.count(&format!("Kept {round} {writer} {number}")).await, 1);
            }
        }
    }
    // Workers and subscriptions go on by themselves.
    house.acme.owner.at(&house.server).learn(&house.acme, "Handbook", HANDBOOK).await;
    loop {
        match socket.hear().await {
            Heard::Message(message) => {
                assert_eq!(message["type"], "next", "{message:#}");
                if message["payload"]["data"]["organizationActivity"]["action"] == "document.index" {
                    break;
                }
            }
            end => panic!("{end:?}"),
        }
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_is_a_503_until_there_is_room() {
    let fragile = Fragile::take().await;
    let house = House::open(&fragile).await;
    house.assert_serves("before it is full").await;
    let (mut superuser, database) = (fragile.superuser().await, &house.server.database);
    let end = "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity where usename = 'aicos_app' and datname = $1";
    let all = "select count(*) from pg_stat_activity where usename = 'aicos_app' and datname = $1";
    let (mut others, full) = loop {
        let _: i64 = sqlx::query_scalar(end).bind(&database.name).fetch_one(&mut superuser).await.unwrap();
        let mut others = Vec::new();
        let full = loop {
            match database.serve.connect().await {
                Ok(connection) => others.push(connection),
                Err(error) => break error,
            }
            assert!(others.len() < 100);
        };
        let open: i64 = sqlx::query_scalar(all).bind(&database.name).fetch_one(&mut superuser).await.unwrap();
        // Otherwise the server has one that it had begun to open before, and needs no other.
        if usize::try_from(open) == Ok(others.len()) {
            break (others, full);
        }
    };
    assert_eq!(full.as_database_error().unwrap().code().as_deref(), Some("53300"), "{full}");
    house.assert_sends_away("while it is full").await;
    others.clear();
    house.assert_recovers("after it was full").await;
}

async fn listen(server: &Server) -> Running {
    server.app.clone().listen("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// Asks for a project over a connection of its own, and gives it while the answer is still to come.
async fn begin(address: SocketAddr, acme: &Organization, name: &str) -> TcpStream {
    let input = json!({"organizationId": acme.id, "name": name});
    let query = mutation("projectCreate", "project { id }");
    let body = json!({"query": query, "variables": {"input": input}}).to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        acme.owner.token,
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_takes_their_statement_along() {
    let mut config = config();
    config.connections = 1;
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    slow_down(&server, "Slow", 8).await;
    let running = listen(&server).await;

    let stream = begin(running.address, &acme, "Slow").await;
    until_asleep(&server, 1).await;
    let begun = Instant::now();
    drop(stream);
    // The only connection of the pool.
    acme.owner.at(&server).ok("{ organization { name } }", json!({})).await;
    until_asleep(&server, 0).await;
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(5), "it slept on for {taken:?}");

    // Whoever stays is waited for.
    let mut stream = begin(running.address, &acme, "Slow").await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("prj_"), "{answer}");
    let kept: i64 = sqlx::query_scalar("select count(*) from projects where name = 'Slow'")
        .fetch_one(&mut server.database.superuser().await)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    running.stop().await.unwrap();
}

/// A socket whose guest the database has to know is told to come again; one that is in hears why nothing comes.
#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_told_to_come_again_while_the_database_is_frozen() {
    let fragile = Fragile::take().await;
    let house = House::open(&fragile).await;
    let running = listen(&house.server).await;
    let activity = "subscription($id: ID!) { organizationActivity(organizationId: $id) { action } }";
    let mut inside = Socket::bearer(running.address, &house.acme.owner.token).await;
    let frozen = fragile.freeze();
    inside.subscribe("log", activity, json!({"id": house.acme.id})).await;
    let told = inside.payload("error", "log").await;
    assert_eq!(told[0]["extensions"]["code"], "UNAVAILABLE", "{told:#}");
    let mut outside = Socket::open(running.address).await;
    let init = json!({"type": "connection_init", "payload": {"x-api-key": house.key}});
    outside.say(init.clone()).await;
    assert_eq!(outside.hear().await, Heard::Closed(1013));
    drop(frozen);
    until("the server is ready", async || status(&house.server, "/readyz").await == 200).await;
    let mut outside = Socket::open(running.address).await;
    outside.say(init).await;
    assert_eq!(outside.hear().await, Heard::Message(json!({"type": "connection_ack"})));
    // The same socket, and the same name for the operation.
    let next = "subscription($id: ID!) { organizationActivity(organizationId: $id, after: 0) { action } }";
    inside.subscribe("log", next, json!({"id": house.acme.id})).await;
    inside.payload("next", "log").await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_although_its_database_is_frozen() {
    let fragile = Fragile::take().await;
    let mut tuning = tuning();
    tuning.worker.drain = Duration::from_secs(1);
    let server = fragile.serve(tuning).await;
    let acme = cast::organization(&server, "Acme").await;
    let running = listen(&server).await;
    // It is at work: requests, jobs and events have been through.
    acme.owner.at(&server).learn(&acme, "Handbook", HANDBOOK).await;
    let frozen = fragile.freeze();
    tokio::time::timeout(PATIENCE, running.stop()).await.expect("it waits for nobody").unwrap();
    drop(frozen);
}
