//! Live updates: sockets and event streams from the first byte to the close code, who gets what, and for how long.

use std::net::SocketAddr;
use std::time::Duration;

use aicos::app::{Running, Tuning};
use aicos::config::Config;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::events::PrivateRedis;
use crate::support::cast::{self, Organization, Person};
use crate::support::socket::{Heard, Socket};
use crate::support::{Server, config, tuning};

const ACTIVITY: &str = "subscription($id: ID!, $after: Int) {
    organizationActivity(organizationId: $id, after: $after) { sequence action actor { __typename } } }";
/// Nothing is said within this time where nothing is to be said.
const SILENCE: Duration = Duration::from_millis(400);

/// A server that listens, with an organization.
struct House {
    server: Server,
    running: Running,
    acme: Organization,
}

impl House {
    async fn open() -> Self {
        Self::with(config(), tuning()).await
    }

    async fn with(config: Config, tuning: Tuning) -> Self {
        let server = Server::with(config, tuning).await;
        let running = listen(&server).await;
        let acme = cast::organization(&server, "Acme").await;
        Self { server, running, acme }
    }

    fn address(&self) -> SocketAddr {
        self.running.address
    }

    async fn socket(&self, person: &Person) -> Socket {
        Socket::bearer(self.address(), &person.token).await
    }

    /// A socket, as soon as there is a place for it.
    async fn seated(&self, person: &Person) -> Socket {
        let waiting = async {
            loop {
                let mut socket = Socket::open(self.address()).await;
                let authorization = format!("Bearer {}", person.token);
                socket
                    .say(json!({"type": "connection_init", "payload": {"authorization": authorization}}))
                    .await;
                if socket.hear().await == Heard::Message(json!({"type": "connection_ack"})) {
                    return socket;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("there is a place")
    }

    /// A socket that follows the organization's log. It has heard the newest entry, so that it is let in and waits.
    async fn follower(&self, person: &Person) -> Socket {
        let mut socket = self.socket(person).await;
        let variables = json!({"id": self.acme.id, "after": self.latest().await - 1});
        socket.subscribe("log", ACTIVITY, variables).await;
        socket.payload("next", "log").await;
        socket
    }

    /// Follows the organization's log from here on, whenever the server comes to it.
    async fn follow(&self, socket: &mut Socket) {
        let variables = json!({"id": self.acme.id, "after": self.latest().await});
        socket.subscribe("log", ACTIVITY, variables).await;
    }

    /// The number of the newest entry.
    async fn latest(&self) -> i64 {
        let query = "{ organization { auditLog(first: 1) { nodes { sequence } } } }";
        let seen = self.acme.owner.at(&self.server).ok(query, json!({})).await;
        seen.pointer("/organization/auditLog/nodes/0/sequence").and_then(Value::as_i64).unwrap()
    }

    /// Waits until so many subscriptions listen to the organization at a server.
    async fn listeners(&self, server: &Server, count: usize) {
        let events = server.app.db.events();
        until(|| events.listeners(self.acme.id.parse().unwrap()) == count).await;
    }

    async fn rename(&self, name: &str) {
        let input = json!({"id": self.acme.project, "name": name});
        self.acme.owner.at(&self.server).mutate("projectUpdate", input, "").await;
    }
}

async fn listen(server: &Server) -> Running {
    server.app.clone().listen("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it comes to pass");
}

fn action(payload: &Value) -> &str {
    payload["data"]["organizationActivity"]["action"].as_str().unwrap_or_else(|| panic!("{payload}"))
}

// ------------------------------------------------------------------------------------------------ the protocol

#[tokio::test(flavor = "multi_thread")]
async fn every_breach_of_the_protocol_has_its_close_code() {
    let mut tuning = tuning();
    tuning.live.init = Duration::from_millis(700);
    let house = House::with(config(), tuning).await;
    let init = json!({"type": "connection_init"});
    let query = json!({"id": "1", "type": "subscribe", "payload": {"query": "{ __typename }"}});
    let live = json!({"id": "1", "type": "subscribe", "payload": {"query": ACTIVITY, "variables": {"id": house.acme.id}}});
    let me = json!({"type": "connection_init", "payload": {"Authorization": format!("Bearer {}", house.acme.owner.token)}});
    let text = |value: &Value| Message::text(value.to_string());
    let cases: Vec<(&str, Vec<Message>, u16)> = vec![
        ("no initialisation", vec![], 4408),
        ("an operation first", vec![text(&query)], 4401),
        ("two initialisations", vec![text(&init), text(&init)], 4429),
        ("no JSON", vec![Message::text("{nope")], 4400),
        ("no object", vec![Message::text("[]")], 4400),
        ("no type", vec![Message::text("{}")], 4400),
        ("a type of nobody's", vec![text(&json!({"type": "start"}))], 4400),
        ("a type of the server's", vec![text(&init), text(&json!({"type": "next", "id": "1"}))], 4400),
        ("a binary message", vec![Message::binary(vec![0, 255])], 4400),
        (
            "an initialisation with a list",
            vec![text(&json!({"type": "connection_init", "payload": []}))],
            4400,
        ),
        (
            "a token that is a number",
            vec![text(&json!({"type": "connection_init", "payload": {"authorization": 5}}))],
            4400,
        ),
        (
            "two credentials",
            vec![text(
                &json!({"type": "connection_init", "payload": {"authorization": "Bearer a", "x-api-key": "b"}}),
            )],
            4400,
        ),
        (
            "a malformed organization",
            vec![text(&json!({"type": "connection_init", "payload": {"x-organization": "org_5"}}))],
            4400,
        ),
        (
            "an operation without a name",
            vec![text(&init), text(&json!({"type": "subscribe", "payload": {"query": "{a}"}}))],
            4400,
        ),
        (
            "an empty name",
            vec![text(&init), text(&json!({"id": "", "type": "subscribe", "payload": {"query": "{a}"}}))],
            4400,
        ),
        (
            "a number for a name",
            vec![text(&init), text(&json!({"id": 1, "type": "subscribe", "payload": {"query": "{a}"}}))],
            4400,
        ),
        (
            "an operation without a payload",
            vec![text(&init), text(&json!({"id": "1", "type": "subscribe"}))],
            4400,
        ),
        (
            "an operation without a document",
            vec![text(&init), text(&json!({"id": "1", "type": "subscribe", "payload": {}}))],
            4400,
        ),
        ("an end without a name", vec![text(&init), text(&json!({"type": "complete"}))], 4400),
        ("one name twice", vec![text(&me), text(&live), text(&live)], 4409),
        ("too large", vec![text(&init), Message::text(" ".repeat(300_000))], 1009),
        (
            "a token that never was one",
            vec![text(&json!({"type": "connection_init", "payload": {"authorization": "Bearer x"}}))],
            4403,
        ),
        (
            "a key that never was one",
            vec![text(&json!({"type": "connection_init", "payload": {"x-api-key": "aicos_x"}}))],
            4403,
        ),
    ];
    for (name, messages, code) in cases {
        let mut socket = Socket::open(house.address()).await;
        for message in messages {
            socket.send(message).await;
        }
        assert_eq!(socket.end().await, Heard::Closed(code), "{name}");
    }
    // The controls: without a credential one is let in, and everything else goes on.
    let mut socket = Socket::enter(house.address(), json!({})).await;
    socket.say(json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await, Heard::Message(json!({"type": "pong"})));
    socket.say(json!({"type": "pong", "payload": {"any": 1}})).await;
    socket.say(json!({"type": "complete", "id": "unknown"})).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    socket.say(query).await;
    assert_eq!(socket.payload("next", "1").await, json!({"data": {"__typename": "Query"}}));
    assert_eq!(socket.payload("complete", "1").await, Value::Null);
}

/// Attacks: 54.
#[tokio::test(flavor = "multi_thread")]
async fn only_pages_that_may_open_sockets_of_the_right_protocol() {
    let mut config = config();
    config.cors_origins = vec!["https://app.example".to_owned()];
    let house = House::with(config, tuning()).await;
    let own = format!("http://{}", house.address());
    for (origin, expected) in [
        ("https://evil.example", Err(403)),
        ("null", Err(403)),
        ("http://127.0.0.1.evil.example", Err(403)),
        ("http://127.0.0.1:1", Err(403)),
        (own.as_str(), Ok(())),
        ("https://app.example", Ok(())),
        ("http://localhost:8000", Ok(())),
        ("", Ok(())),
    ] {
        let opened = Socket::try_open(house.address(), &[("origin", origin)]).await;
        assert_eq!(opened.map(|_| ()), expected, "{origin}");
    }
    for protocol in ["graphql-ws", "no-such-protocol", ""] {
        let opened = Socket::try_open(house.address(), &[("sec-websocket-protocol", protocol)]).await;
        assert_eq!(opened.err(), Some(400), "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_over_a_socket_answer_as_over_http() {
    let house = House::open().await;
    let mut socket = house.socket(&house.acme.owner).await;
    socket
        .subscribe(
            "q",
            "query($n: Int) { organization { name projects(first: $n) { totalCount } } }",
            json!({"n": 5}),
        )
        .await;
    let seen = socket.payload("next", "q").await;
    assert_eq!(seen, json!({"data": {"organization": {"name": "Acme", "projects": {"totalCount": 1}}}}));
    socket.payload("complete", "q").await;
    // What cannot run is an error, with the codes of HTTP; the socket stays.
    for (document, code) in [
        ("{ nope", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ a: __typename ", "GRAPHQL_PARSE_FAILED"),
        ("subscription { a: __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($n: Int!) { organization { projects(first: $n) { totalCount } } }", "BAD_USER_INPUT"),
    ] {
        socket.subscribe("e", document, json!({})).await;
        let errors = socket.payload("error", "e").await;
        assert_eq!(errors[0]["extensions"]["code"], code, "{document}");
        assert_eq!(errors[0]["extensions"]["requestId"].as_str().map(str::len), Some(26));
    }
    let deep = format!("{{ {} }}", "a { ".repeat(30) + "b" + &" }".repeat(30));
    socket.subscribe("e", &deep, json!({})).await;
    assert_eq!(socket.payload("error", "e").await[0]["extensions"]["code"], "QUERY_TOO_DEEP");
    let input = json!({"organizationId": house.acme.id, "name": "By socket"});
    let document = crate::support::mutation("projectCreate", "project { name }");
    socket.subscribe("m", &document, json!({"input": input})).await;
    let made = socket.payload("next", "m").await;
    assert_eq!(made["data"]["projectCreate"]["project"]["name"], "By socket");
    socket.payload("complete", "m").await;
    // Without a credential what is protected refuses, as over HTTP.
    let mut nobody = Socket::enter(house.address(), json!({})).await;
    nobody.subscribe("q", "{ organization { name } }", json!({})).await;
    let refused = nobody.payload("next", "q").await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    nobody.payload("complete", "q").await;
    nobody.subscribe("s", ACTIVITY, json!({"id": house.acme.id})).await;
    let refused = nobody.payload("error", "s").await;
    assert_eq!(refused[0]["extensions"]["code"], "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_socket_spends_is_its_callers() {
    let mut tuning = tuning();
    tuning.limiter.address_points = 300;
    let house = House::with(config(), tuning).await;
    let mut socket = Socket::enter(house.address(), json!({})).await;
    let mut refused = None;
    for n in 0..900 {
        let id = n.to_string();
        socket.subscribe(&id, "{ __typename }", json!({})).await;
        let Heard::Message(message) = socket.hear().await else { panic!("closed") };
        if message["type"] == "error" {
            refused = Some(message);
            break;
        }
        socket.payload("complete", &id).await;
    }
    assert_eq!(refused.unwrap()["payload"][0]["extensions"]["code"], "RATE_LIMITED");
}

// ------------------------------------------------------------------------------------------------ who gets what

#[tokio::test(flavor = "multi_thread")]
async fn activity_arrives_as_it_is_written_and_from_where_one_left() {
    let house = House::open().await;
    let mut socket = house.follower(&house.acme.owner).await;
    for name in ["One", "Two", "Three"] {
        house.rename(name).await;
    }
    let mut sequences = Vec::new();
    for _ in 0..3 {
        let entry = socket.payload("next", "log").await;
        assert_eq!(action(&entry), "project.update");
        assert_eq!(entry["data"]["organizationActivity"]["actor"]["__typename"], "User");
        sequences.push(entry["data"]["organizationActivity"]["sequence"].as_i64().unwrap());
    }
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
    // Somebody who comes later replays, and goes on.
    let mut late = house.socket(&house.acme.admin).await;
    late.subscribe("log", ACTIVITY, json!({"id": house.acme.id, "after": sequences[0]})).await;
    for expected in &sequences[1..] {
        let entry = late.payload("next", "log").await;
        assert_eq!(entry["data"]["organizationActivity"]["sequence"], *expected);
    }
    house.rename("Four").await;
    assert_eq!(
        late.payload("next", "log").await["data"]["organizationActivity"]["sequence"],
        sequences[2] + 1
    );
    socket.payload("next", "log").await;
    // From the beginning, in more than one page.
    for n in 0..120 {
        house.rename(&format!("Name {n}")).await;
    }
    let mut all = house.socket(&house.acme.owner).await;
    all.subscribe("all", ACTIVITY, json!({"id": house.acme.id, "after": 0})).await;
    for expected in 1..=sequences[2] + 121 {
        let entry = all.payload("next", "all").await;
        assert_eq!(entry["data"]["organizationActivity"]["sequence"], expected);
    }
    // Ended by the client, nothing more comes, and the name is free again.
    all.say(json!({"type": "complete", "id": "all"})).await;
    all.subscribe("q", "{ __typename }", json!({})).await;
    all.payload("next", "q").await;
    all.payload("complete", "q").await;
    house.rename("Unheard").await;
    assert_eq!(all.hear_within(SILENCE).await, None);
    // Without a place to begin at, it begins with what is written next.
    let before = house.latest().await;
    all.subscribe("next", ACTIVITY, json!({"id": house.acme.id})).await;
    let mut first = None;
    while first.is_none() {
        house.rename(&format!("Next {before}")).await;
        first = all.hear_within(SILENCE).await;
    }
    let Some(Heard::Message(first)) = first else { panic!("closed") };
    assert!(first["payload"]["data"]["organizationActivity"]["sequence"].as_i64().unwrap() > before);
    all.say(json!({"type": "complete", "id": "next"})).await;
    all.subscribe("q", "{ __typename }", json!({})).await;
    while all.hear().await != Heard::Message(json!({"type": "complete", "id": "q"})) {}
    let wrong = json!({"id": house.acme.id, "after": -1});
    all.subscribe("all", ACTIVITY, wrong).await;
    let refused = all.payload("error", "all").await;
    assert_eq!(refused[0]["extensions"]["field"], json!(["after"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tenants_hear_nothing_and_are_told_nothing() {
    let house = House::open().await;
    let globex = cast::organization(&house.server, "Globex").await;
    let mut ours = house.follower(&house.acme.owner).await;
    let mut theirs = house.socket(&globex.owner).await;
    let newest = "{ organization { auditLog(first: 1) { nodes { sequence } } } }";
    let newest = globex.owner.at(&house.server).ok(newest, json!({})).await;
    let after = &newest["organization"]["auditLog"]["nodes"][0]["sequence"];
    theirs.subscribe("own", ACTIVITY, json!({"id": globex.id, "after": after})).await;
    theirs.subscribe("foreign", ACTIVITY, json!({"id": house.acme.id, "after": 0})).await;
    let refused = theirs.payload("error", "foreign").await;
    assert_eq!(refused[0]["extensions"]["code"], "NOT_FOUND");
    let nothing = aicos::id::OrganizationId::generate().to_string();
    theirs.subscribe("nothing", ACTIVITY, json!({"id": nothing, "after": 0})).await;
    let same = theirs.payload("error", "nothing").await;
    assert_eq!(refused[0]["message"], same[0]["message"]);
    // A member who may not read the log is told so.
    let mut member = house.socket(&house.acme.member).await;
    member.subscribe("log", ACTIVITY, json!({"id": house.acme.id})).await;
    let refused = member.payload("error", "log").await;
    assert_eq!(
        (refused[0]["extensions"]["code"].as_str(), refused[0]["extensions"]["required"].as_str()),
        (Some("FORBIDDEN"), Some("AUDIT_READ"))
    );
    // The attempt itself is news to those who may.
    assert_eq!(action(&ours.payload("next", "log").await), "audit.read");
    house.rename("Ours").await;
    assert_eq!(action(&ours.payload("next", "log").await), "project.update");
    assert_eq!(theirs.hear_within(SILENCE).await, None);
    // The control: their own they do hear.
    cast::project(&house.server, &globex, "Theirs").await;
    assert_eq!(action(&theirs.payload("next", "own").await), "project.create");
    assert_eq!(ours.hear_within(SILENCE).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_project_hears_of_that_project_alone() {
    let house = House::open().await;
    let input = json!({"organizationId": house.acme.id, "projectId": house.acme.project, "name": "k", "permissions": ["AUDIT_READ", "PROJECT_READ"]});
    let made = house.acme.owner.at(&house.server).mutate("apiKeyCreate", input, "secret").await;
    let other = cast::project(&house.server, &house.acme, "Other").await;
    let mut socket = Socket::enter(house.address(), json!({"x-api-key": made["secret"]})).await;
    house.follow(&mut socket).await;
    let rename = json!({"id": other, "name": "Not theirs"});
    house.acme.owner.at(&house.server).mutate("projectUpdate", rename, "").await;
    assert_eq!(socket.hear_within(SILENCE).await, None);
    house.rename("Theirs").await;
    assert_eq!(action(&socket.payload("next", "log").await), "project.update");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_brings_the_news() {
    let house = House::open().await;
    let replica = house.server.replica().await;
    let other = listen(&replica).await;
    let mut socket = Socket::bearer(other.address, &house.acme.owner.token).await;
    house.follow(&mut socket).await;
    house.listeners(&replica, 1).await;
    // Past its first look, so that it is the hint that wakes it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Sooner than the fifteen seconds after which it would look by itself.
    for name in ["One", "Two"] {
        house.rename(name).await;
        let heard = socket.hear_within(Duration::from_secs(10)).await;
        assert!(matches!(heard, Some(Heard::Message(_))), "{heard:?}");
    }
    other.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_brings_the_news_by_redis() {
    let Some(redis) = PrivateRedis::start().await else { return };
    let mut with_redis = config();
    with_redis.redis_url = Some(redis.url().into());
    let house = House::with(with_redis.clone(), tuning()).await;
    let replica = house.server.replica_with(with_redis).await;
    let other = listen(&replica).await;
    let mut socket = Socket::bearer(other.address, &house.acme.owner.token).await;
    house.follow(&mut socket).await;
    house.listeners(&replica, 1).await;
    // Past its first look, so that it is the hint that wakes it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for name in ["One", "Two"] {
        house.rename(name).await;
        let heard = socket.hear_within(Duration::from_secs(10)).await;
        assert!(matches!(heard, Some(Heard::Message(_))), "{heard:?}");
    }
    // It was Redis that brought it: nobody listens to the database.
    let listening: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'aicos events'",
    )
    .fetch_one(&mut house.server.database.superuser().await)
    .await
    .unwrap();
    assert_eq!(listening, 0);
    other.stop().await.unwrap();
}

// ------------------------------------------------------------------------------------------------ for how long

/// The socket is closed with 4403, whatever had been underway; in a second or so, and on a busy machine at least before the
/// caller would be looked at anew anyway.
async fn assert_dismissed(socket: &mut Socket, why: &str) {
    let end = tokio::time::timeout(Duration::from_secs(10), socket.end()).await;
    assert_eq!(end.expect(why), Heard::Closed(4403), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_out_is_out_on_open_sockets_as_well() {
    let house = House::open().await;
    let (server, acme) = (&house.server, &house.acme);
    let owner = acme.owner.at(server);
    let fresh = async || cast::member(server, acme, "ADMIN").await;

    // Signed out, and signed out from elsewhere; also without any operation.
    let person = fresh().await;
    let (mut socket, mut idle) = (house.follower(&person).await, house.socket(&person).await);
    person.at(server).mutate("logout", json!({}), "").await;
    assert_dismissed(&mut socket, "signed out").await;
    assert_dismissed(&mut idle, "signed out, without an operation").await;

    let person = fresh().await;
    let elsewhere = cast::sign_in(server, &person.email).await;
    let mut socket = house.follower(&person).await;
    let elsewhere = server.bearer(elsewhere["accessToken"].as_str().unwrap());
    let sessions = elsewhere.ok("{ viewer { sessions { id current } } }", json!({})).await;
    let first = sessions["viewer"]["sessions"].as_array().unwrap().iter().find(|row| row["current"] == false);
    elsewhere.mutate("sessionRevoke", json!({"id": first.unwrap()["id"]}), "").await;
    assert_dismissed(&mut socket, "session revoked").await;

    // Removed from the organization.
    let person = fresh().await;
    let mut socket = house.follower(&person).await;
    owner.mutate("membershipDelete", json!({"id": person.membership}), "").await;
    assert_dismissed(&mut socket, "removed").await;

    // Lowered below what the subscription needs. Somebody whose change leaves the right stays.
    let (person, stays) = (fresh().await, fresh().await);
    let (mut socket, mut staying) = (house.follower(&person).await, house.follower(&stays).await);
    owner.mutate("membershipUpdate", json!({"id": stays.membership, "role": "OWNER"}), "").await;
    owner.mutate("membershipUpdate", json!({"id": person.membership, "role": "VIEWER"}), "").await;
    assert_dismissed(&mut socket, "lowered").await;
    for _ in 0..2 {
        assert_eq!(action(&staying.payload("next", "log").await), "membership.update");
    }
    assert_eq!(staying.hear_within(Duration::from_secs(1)).await, None);

    // A key that is revoked, and one whose creator is removed.
    let secret = cast::secret(server, &acme.owner, &acme.id, &["AUDIT_READ"]).await;
    let mut socket =
        Socket::enter(house.address(), json!({"authorization": format!("Bearer {secret}")})).await;
    house.follow(&mut socket).await;
    let keys = owner.ok("{ organization { apiKeys(first: 1) { nodes { id } } } }", json!({})).await;
    owner.mutate("apiKeyRevoke", json!({"id": keys["organization"]["apiKeys"]["nodes"][0]["id"]}), "").await;
    assert_dismissed(&mut socket, "key revoked").await;
    let person = fresh().await;
    let secret = cast::secret(server, &person, &acme.id, &["AUDIT_READ"]).await;
    let mut socket = Socket::enter(house.address(), json!({"x-api-key": secret})).await;
    owner.mutate("membershipDelete", json!({"id": person.membership}), "").await;
    assert_dismissed(&mut socket, "key of somebody who is gone").await;

    // The organization is deleted: its owners go on.
    let mut admin = house.follower(&acme.admin).await;
    owner.mutate("organizationDelete", json!({"id": acme.id, "confirmSlug": acme.slug}), "").await;
    assert_dismissed(&mut admin, "deleted").await;
    let mut left = false;
    while let Some(heard) = staying.hear_within(Duration::from_secs(1)).await {
        let Heard::Message(message) = heard else { panic!("an owner is shut out") };
        left |= action(&message["payload"]) == "organization.delete";
    }
    assert!(left, "the owner hears of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_did_not_do_it_closes_as_well() {
    let house = House::open().await;
    let replica = house.server.replica().await;
    let other = listen(&replica).await;
    let person = cast::member(&house.server, &house.acme, "ADMIN").await;
    let mut socket = Socket::bearer(other.address, &person.token).await;
    socket.subscribe("log", ACTIVITY, json!({"id": house.acme.id})).await;
    house.listeners(&replica, 1).await;
    person.at(&house.server).mutate("logout", json!({}), "").await;
    assert_dismissed(&mut socket, "signed out at another replica").await;
    other.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_closes_its_socket_and_does_not_open_another() {
    let mut config = config();
    config.access_lifetime = chrono::TimeDelta::seconds(4);
    let house = House::with(config, tuning()).await;
    let auth = cast::sign_in(&house.server, &house.acme.owner.email).await;
    let token = auth["accessToken"].as_str().unwrap();
    let mut socket = Socket::bearer(house.address(), token).await;
    let end = tokio::time::timeout(Duration::from_secs(8), socket.end()).await.unwrap();
    assert_eq!(end, Heard::Closed(4403));
    let mut socket = Socket::open(house.address()).await;
    let authorization = format!("Bearer {token}");
    socket.say(json!({"type": "connection_init", "payload": {"authorization": authorization}})).await;
    assert_eq!(socket.end().await, Heard::Closed(4403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_and_waits_for_nobody() {
    let house = House::open().await;
    let mut idle = Socket::open(house.address()).await;
    let mut socket = house.follower(&house.acme.owner).await;
    let stream =
        Stream::open(house.address(), &house.acme.owner, ACTIVITY, json!({"id": house.acme.id})).await;
    let stopping = tokio::time::timeout(Duration::from_secs(10), house.running.stop());
    let (stopped, first, second, rest) = tokio::join!(stopping, idle.end(), socket.end(), stream.rest());
    stopped.expect("nobody is waited for").unwrap();
    assert_eq!((first, second), (Heard::Closed(1001), Heard::Closed(1001)));
    assert!(!rest.contains("event: complete"), "the client comes again: {rest}");
}

// ------------------------------------------------------------------------------------------------ how much

/// Attacks: 30.
#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_their_operations_are_counted() {
    let mut tuning = tuning();
    (tuning.live.per_address, tuning.live.per_socket) = (3, 5);
    let house = House::with(config(), tuning).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(house.socket(&house.acme.owner).await);
    }
    let mut one_more = Socket::open(house.address()).await;
    assert_eq!(one_more.end().await, Heard::Closed(4429));
    let refused = Stream::request(house.address(), &house.acme.owner, "{ __typename }", json!({})).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    // A place is free again when its socket is closed.
    drop(open.pop());
    let mut socket = house.seated(&house.acme.owner).await;
    for n in 0..6 {
        socket.subscribe(&n.to_string(), ACTIVITY, json!({"id": house.acme.id})).await;
    }
    assert_eq!(socket.end().await, Heard::Closed(4429));
    drop(socket);
    // An operation that has ended does not count.
    let mut socket = house.seated(&house.acme.owner).await;
    for n in 0..20 {
        let id = n.to_string();
        socket.subscribe(&id, ACTIVITY, json!({"id": house.acme.id})).await;
        socket.say(json!({"type": "complete", "id": id})).await;
    }
    socket.subscribe("q", "{ __typename }", json!({})).await;
    socket.payload("next", "q").await;
}

/// Attacks: 30.
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_a_thousand_subscriptions() {
    let mut tuning = tuning();
    tuning.pool.wait = Duration::from_secs(30);
    let house = House::with(config(), tuning).await;
    let organization = house.acme.id.parse().unwrap();
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut socket = house.socket(&house.acme.owner).await;
        for n in 0..200 {
            socket.subscribe(&n.to_string(), ACTIVITY, json!({"id": house.acme.id})).await;
        }
        open.push(socket);
    }
    let events = house.server.app.db.events().clone();
    house.listeners(&house.server, 1_000).await;
    let mut socket = house.socket(&house.acme.owner).await;
    socket.subscribe("more", ACTIVITY, json!({"id": house.acme.id})).await;
    assert_eq!(socket.payload("error", "more").await[0]["extensions"]["code"], "RATE_LIMITED");
    // Another organization is not concerned.
    let globex = cast::organization(&house.server, "Globex").await;
    let mut theirs = house.socket(&globex.owner).await;
    theirs.subscribe("log", ACTIVITY, json!({"id": globex.id, "after": 0})).await;
    theirs.payload("next", "log").await;
    drop(open);
    until(|| events.listeners(organization) == 0).await;
    socket.subscribe("more", ACTIVITY, json!({"id": house.acme.id, "after": 0})).await;
    socket.payload("next", "more").await;
}

/// Attacks: 32.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_messages_close_the_socket() {
    let house = House::open().await;
    for flood in [Message::text(r#"{"type":"ping"}"#), Message::Ping("x".into())] {
        let mut socket = Socket::enter(house.address(), json!({})).await;
        // The control: many, and not too many.
        for _ in 0..500 {
            socket.send(flood.clone()).await;
        }
        socket.subscribe("q", "{ __typename }", json!({})).await;
        while socket.hear().await != Heard::Message(json!({"type": "complete", "id": "q"})) {}
        for _ in 0..3_000 {
            socket.send(flood.clone()).await;
        }
        assert_eq!(socket.end().await, Heard::Closed(4429));
    }
}

/// Attacks: 31.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_disconnected() {
    let mut tuning = tuning();
    tuning.live.unread = Duration::from_millis(500);
    tuning.live.per_address = 1;
    tuning.limits.introspection_objects = u64::MAX;
    let house = House::with(config(), tuning).await;
    let mut socket = Socket::enter(house.address(), json!({})).await;
    let large =
        "{ __schema { types { name description fields { name description args { name description } } } } }";
    for n in 0..190 {
        socket.subscribe(&n.to_string(), large, json!({})).await;
    }
    // Once the server has given it up, there is a place for somebody else.
    drop(house.seated(&house.acme.owner).await);
    let mut answers = 0;
    loop {
        match socket.hear().await {
            Heard::Message(message) if message["type"] == "next" => answers += 1,
            Heard::Message(_) => {}
            end => {
                assert_eq!(end, Heard::Gone);
                break;
            }
        }
    }
    assert!(answers < 190, "the server kept {answers} answers for somebody who did not read");
    // Others are served meanwhile and afterwards.
    house.acme.owner.at(&house.server).ok("{ organization { name } }", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_news_holds_no_connection_of_the_pool() {
    let mut config = config();
    config.connections = 1;
    let house = House::with(config, tuning()).await;
    let mut socket = house.socket(&house.acme.owner).await;
    let variables = json!({"id": house.acme.id, "after": house.latest().await});
    for n in 0..20 {
        socket.subscribe(&n.to_string(), ACTIVITY, variables.clone()).await;
    }
    house.listeners(&house.server, 20).await;
    for n in 0..20 {
        house.rename(&format!("Name {n}")).await;
    }
    for _ in 0..20 * 20 {
        let Heard::Message(message) = socket.hear().await else { panic!("closed") };
        assert_eq!(action(&message["payload"]), "project.update");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let backends: Vec<String> = sqlx::query_scalar(
        "select state from pg_stat_activity where datname = current_database() and application_name = 'aicos'",
    )
    .fetch_all(&mut house.server.database.superuser().await)
    .await
    .unwrap();
    assert_eq!(backends, ["idle"]);
    house.acme.owner.at(&house.server).ok("{ organization { name } }", json!({})).await;
}

// ------------------------------------------------------------------------------------------------ event streams

/// An event stream, read as bytes.
struct Stream {
    connection: TcpStream,
    read: String,
}

impl Stream {
    async fn send(address: SocketAddr, person: &Person, query: &str, variables: Value) -> TcpStream {
        let body = json!({"query": query, "variables": variables}).to_string();
        let head = format!(
            "POST /graphql/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            person.token,
            body.len()
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all((head + &body).as_bytes()).await.unwrap();
        connection
    }

    async fn open(address: SocketAddr, person: &Person, query: &str, variables: Value) -> Self {
        let connection = Self::send(address, person, query, variables).await;
        let mut stream = Self { connection, read: String::new() };
        // The first comment is there at once.
        stream.until("\r\n\r\n").await;
        assert!(stream.read.starts_with("HTTP/1.1 200"), "{}", stream.read);
        assert!(stream.read.contains("content-type: text/event-stream"));
        assert!(!stream.read.contains("content-encoding"));
        stream.until(":\n\n").await;
        stream
    }

    /// One whole answer.
    async fn request(address: SocketAddr, person: &Person, query: &str, variables: Value) -> String {
        let mut connection = Self::send(address, person, query, variables).await;
        let mut bytes = Vec::new();
        connection.read_to_end(&mut bytes).await.unwrap();
        // What is no stream may be compressed.
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn until(&mut self, what: &str) {
        let mut buffer = [0; 4096];
        while !self.read.contains(what) {
            let reading = tokio::time::timeout(Duration::from_secs(10), self.connection.read(&mut buffer));
            let count =
                reading.await.unwrap_or_else(|_| panic!("{what} does not come: {}", self.read)).unwrap();
            assert_ne!(count, 0, "it ended before {what}: {}", self.read);
            self.read += std::str::from_utf8(&buffer[..count]).unwrap();
        }
    }

    /// Everything until the server ends it.
    async fn rest(mut self) -> String {
        let mut text = String::new();
        let reading =
            tokio::time::timeout(Duration::from_secs(10), self.connection.read_to_string(&mut text));
        reading.await.expect("it ends").unwrap();
        self.read + &text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_what_a_socket_brings() {
    let mut tuning = tuning();
    tuning.live.keep_alive = Duration::from_millis(300);
    let house = House::with(config(), tuning).await;
    let (address, acme) = (house.address(), &house.acme);
    let mut stream = Stream::open(address, &acme.owner, ACTIVITY, json!({"id": acme.id, "after": 0})).await;
    stream.until("organization.create").await;
    // It has caught up, and silence is kept alive.
    tokio::time::sleep(Duration::from_millis(200)).await;
    stream.read.clear();
    stream.until(":\n\n").await;
    house.rename("Heard").await;
    stream.until("project.update").await;
    assert!(
        stream.read.contains("event: next\ndata: {\"data\":{\"organizationActivity\":{\"sequence\":"),
        "{}",
        stream.read
    );
    // Queries and mutations answer once.
    let answer = Stream::request(address, &acme.owner, "{ organization { name } }", json!({})).await;
    assert!(
        answer.contains("event: next\ndata: {\"data\":{\"organization\":{\"name\":\"Acme\"}}}\n\n"),
        "{answer}"
    );
    assert!(answer.contains("event: complete\ndata:\n\n"), "{answer}");
    let create = crate::support::mutation("projectCreate", "project { name }");
    let input = json!({"input": {"organizationId": acme.id, "name": "By stream"}});
    let answer = Stream::request(address, &acme.owner, &create, input).await;
    assert!(answer.contains("\"name\":\"By stream\""), "{answer}");
    // What is wrong with a document or invisible is told in the stream, which then ends.
    let nothing = aicos::id::OrganizationId::generate().to_string();
    for (query, variables, code) in [
        ("{ nope }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (ACTIVITY, json!({"id": nothing}), "NOT_FOUND"),
        (ACTIVITY, json!({"id": "x"}), "BAD_USER_INPUT"),
    ] {
        let answer = Stream::request(address, &acme.owner, query, variables).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("event: next\ndata: {\"errors\":[") && answer.contains(code), "{answer}");
        assert!(answer.contains("event: complete"), "{answer}");
    }
    let answer = Stream::request(address, &acme.member, ACTIVITY, json!({"id": acme.id})).await;
    assert!(answer.contains("FORBIDDEN") && answer.contains("event: complete"), "{answer}");
    // Whoever is out is told so, and it ends.
    let leaver = cast::member(&house.server, acme, "ADMIN").await;
    let stream = Stream::open(address, &leaver, ACTIVITY, json!({"id": acme.id})).await;
    acme.owner.at(&house.server).mutate("membershipDelete", json!({"id": leaver.membership}), "").await;
    let rest = tokio::time::timeout(Duration::from_secs(10), stream.rest()).await.expect("it ends soon");
    assert!(rest.contains("\"errors\":[") && rest.contains("event: complete"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_asked_for_as_a_request_is() {
    let house = House::open().await;
    let server = &house.server;
    let ask = async |request: axum::http::request::Builder, body: &str| {
        let response = server.respond(request.body(Body::from(body.to_owned())).unwrap()).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (parts.status.as_u16(), parts.headers, text)
    };
    let post = || Request::post("/graphql/stream").header("content-type", "application/json");
    let query = r#"{"query": "{ __typename }"}"#;
    assert_eq!(ask(post(), query).await.0, 200);
    assert_eq!(ask(post().header("accept", "application/json"), query).await.0, 406);
    let text = Request::post("/graphql/stream").header("content-type", "text/plain");
    assert_eq!(ask(text, query).await.0, 415);
    assert_eq!(ask(post(), "{").await.0, 400);
    assert_eq!(ask(post(), &format!("[{query}]")).await.0, 400);
    assert_eq!(ask(post().header("authorization", "a").header("x-api-key", "b"), query).await.0, 400);
    for method in ["PUT", "DELETE", "PATCH"] {
        let (status, headers, _) = ask(Request::builder().method(method).uri("/graphql/stream"), "").await;
        assert_eq!((status, headers["allow"].to_str().unwrap()), (405, "GET, POST"));
    }
    // GET reads, and changes nothing.
    let get = |query: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        Request::get(format!("/graphql/stream?query={query}"))
    };
    let (status, headers, text) = ask(get("{ __typename }"), "").await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap()),
        (200, "text/event-stream; charset=utf-8")
    );
    assert!(
        text.contains("event: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete"),
        "{text}"
    );
    assert_eq!(ask(get("mutation { logout(input: {}) { userErrors { code } } }"), "").await.0, 405);
    let refused = ask(
        get(&format!(
            "subscription {{ organizationActivity(organizationId: \"{}\") {{ id }} }}",
            house.acme.id
        )),
        "",
    );
    assert!(refused.await.2.contains("UNAUTHENTICATED"));
    // Subscriptions stay where they are.
    let (_, _, text) = ask(
        Request::post("/graphql").header("content-type", "application/json"),
        &json!({"query": ACTIVITY, "variables": {"id": house.acme.id}}).to_string(),
    )
    .await;
    assert!(text.contains("/graphql/stream"), "{text}");
}
