//! Documents that are sent by name: registered by their hash, or listed in a manifest; over every way in, and against those
//! who would have something else served under a name. Each refusal beside a request that is served.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use aicos::app::App;
use aicos::config::Config;
use aicos::doctor::{self, Report};
use aicos::graphql::document::Trust;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::cast::{self, Organization};
use crate::support::socket::Socket;
use crate::support::{Server, config, tuning};

const MODERN: &str = "application/graphql-response+json";
const LEGACY: &str = "application/json";

const NAMES: &str =
    "query Names($first: Int!) { organization { name projects(first: $first) { nodes { name } } } }";
const RENAME: &str = "mutation Rename($input: ProjectUpdateInput!) { projectUpdate(input: $input) { project { name } userErrors { code } } }";
const ACTIVITY: &str = "subscription Activity($id: ID!, $after: Int) { organizationActivity(organizationId: $id, after: $after) { sequence } }";

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The extensions of a request that names its document by a hash.
fn persisted(hash: &str) -> Value {
    json!({"persistedQuery": {"version": 1, "sha256Hash": hash}})
}

/// A hash alone.
fn hashed(text: &str, variables: &Value) -> Value {
    json!({"variables": variables, "extensions": persisted(&sha256(text))})
}

/// A text to be kept under its hash.
fn registered(text: &str, variables: &Value) -> Value {
    json!({"query": text, "variables": variables, "extensions": persisted(&sha256(text))})
}

/// A file with this content, in a folder that goes with the run.
fn file(content: &str) -> PathBuf {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let path = config().data_dir.join(format!("manifest-{}.json", FILES.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, content).unwrap();
    path
}

/// A manifest as Relay's compiler writes it.
fn manifest(entries: &[(&str, &str)]) -> PathBuf {
    let map: serde_json::Map<_, _> =
        entries.iter().map(|(id, text)| ((*id).to_owned(), json!(text))).collect();
    file(&Value::from(map).to_string())
}

/// A manifest as Apollo's tools write it.
fn apollo(texts: &[&str]) -> PathBuf {
    let operation = |text: &&str| {
        let (kind, rest) = text.split_once(' ').unwrap();
        json!({"id": sha256(text), "name": rest.split('(').next(), "type": kind, "body": text})
    };
    let operations: Vec<_> = texts.iter().map(operation).collect();
    file(
        &json!({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations})
            .to_string(),
    )
}

fn with(manifest: PathBuf, trust: Trust) -> Config {
    Config { document_manifest: Some(manifest), trusted_documents: trust, ..config() }
}

/// What came back.
struct Reply {
    status: StatusCode,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {:.300}", self.status, self.text))
    }

    fn code(&self) -> Option<String> {
        self.json()["errors"][0]["extensions"]["code"].as_str().map(str::to_owned)
    }

    fn message(&self) -> String {
        self.json()["errors"][0]["message"].as_str().unwrap_or("").to_owned()
    }

    fn data(&self) -> Value {
        assert_eq!(self.code(), None, "{}", self.text);
        self.json()["data"].clone()
    }
}

/// A server, and the owner of an organization on its database.
struct House<'a> {
    server: &'a Server,
    acme: &'a Organization,
}

impl House<'_> {
    async fn send(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Reply {
        let authorization = format!("Bearer {}", self.acme.owner.token);
        let request =
            request.header("authorization", authorization).header("x-request-id", "always-the-same");
        let (status, _, bytes) = self.server.send(request.body(body.into()).unwrap()).await;
        assert!(!status.is_server_error(), "{status}");
        Reply { status, text: String::from_utf8(bytes).unwrap() }
    }

    /// Posts a body.
    async fn post(&self, accept: &str, body: &Value) -> Reply {
        let request =
            Request::post("/graphql").header("content-type", "application/json").header("accept", accept);
        self.send(request, body.to_string()).await
    }

    /// Posts a body and reads the first event of the stream.
    async fn stream(&self, body: &Value) -> Value {
        let request = Request::post("/graphql/stream")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.acme.owner.token));
        self.server.first(request.body(body.to_string().into()).unwrap()).await.body
    }

    /// Asks with the same parameters in the address.
    async fn get(&self, accept: &str, parameters: &Value) -> Reply {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in parameters.as_object().unwrap() {
            query.append_pair(key, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let request = Request::get(format!("/graphql?{}", query.finish())).header("accept", accept);
        self.send(request, Body::empty()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_answered_alike_by_whatever_name_it_is_called() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let files = [(manifest(&[("names-1", NAMES)]), "names-1".to_owned()), (apollo(&[NAMES]), sha256(NAMES))];
    for (path, id) in files {
        for trust in [Trust::Off, Trust::Log, Trust::Enforce] {
            let server = server.replica_with(with(path.clone(), trust)).await;
            let house = House { server: &server, acme: &acme };
            let variables = json!({"first": 5});
            let expected = house.post(MODERN, &json!({"query": NAMES, "variables": variables})).await;
            assert_eq!(
                expected.data()["organization"]["projects"]["nodes"].as_array().map(Vec::len),
                Some(1)
            );
            let named =
                |key: &str, name: &str| json!({key: name, "variables": variables, "operationName": "Names"});
            let ways = [
                hashed(NAMES, &variables),
                registered(NAMES, &variables),
                json!({"variables": variables, "extensions": persisted(&id)}),
                json!({"query": "", "variables": variables, "extensions": persisted(&id)}),
                named("documentId", &id),
                named("documentId", &format!("sha256:{}", sha256(NAMES))),
                named("doc_id", &id),
                json!({"documentId": id, "query": NAMES, "variables": variables}),
            ];
            for way in &ways {
                for accept in [MODERN, LEGACY] {
                    for reply in [house.post(accept, way).await, house.get(accept, way).await] {
                        assert_eq!((reply.status, &reply.text), (StatusCode::OK, &expected.text), "{way}");
                    }
                }
                // Variables are compared with their types as ever, and the price is asked for.
                let mut wrong = way.clone();
                wrong["variables"] = json!({"first": "five"});
                let by_text =
                    house.post(MODERN, &json!({"query": NAMES, "variables": wrong["variables"]})).await;
                let by_name = house.post(MODERN, &wrong).await;
                assert_eq!((by_name.status, &by_name.text), (by_text.status, &by_text.text), "{way}");
                assert_eq!(by_name.code().as_deref(), Some("BAD_USER_INPUT"));
                wrong["variables"] = json!({"first": 101});
                assert_eq!(house.post(MODERN, &wrong).await.code().as_deref(), Some("BAD_USER_INPUT"));
            }
            let none = json!({"documentId": id, "variables": variables, "operationName": "Other"});
            assert!(house.post(MODERN, &none).await.message().contains("no operation of the name"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_and_a_budget_are_those_of_the_document() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let costly = "query Costly($n: Int!) { organization { projects(first: 100) { nodes { members(first: $n) { nodes { id } } } } } }";
    let server = server.replica_with(with(manifest(&[("costly", costly)]), Trust::Enforce)).await;
    let ask = async |headers: &[(&str, &str)], n: u32| {
        let mut request = Request::post("/graphql").header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = json!({"documentId": "costly", "variables": {"n": n}});
        House { server: &server, acme: &acme }.send(request, body.to_string()).await
    };
    assert_eq!(ask(&[], 100).await.code().as_deref(), Some("QUERY_TOO_COMPLEX"));
    let few = ask(&[("x-cost", "1")], 2).await.json();
    let dry = ask(&[("x-cost", "dry-run")], 2).await.json();
    let price = few["extensions"]["cost"]["requested"].as_u64().unwrap();
    assert!(price > 200, "{few}");
    assert_eq!(dry["extensions"]["cost"]["requested"].as_u64(), Some(price));
    assert_eq!((&dry["data"], few["data"]["organization"].is_object()), (&Value::Null, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hash_register_once_and_send_the_hash_from_then_on() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let house = House { server: &server, acme: &acme };
    let variables = || json!({"first": 1});
    // The status is that of every document that is refused; the message is compared by clients.
    for (accept, status) in [(MODERN, StatusCode::BAD_REQUEST), (LEGACY, StatusCode::OK)] {
        for reply in [
            house.post(accept, &hashed(NAMES, &variables())).await,
            house.get(accept, &hashed(NAMES, &variables())).await,
        ] {
            assert_eq!(reply.status, status);
            assert_eq!(reply.code().as_deref(), Some("PERSISTED_QUERY_NOT_FOUND"));
            assert_eq!(reply.message(), "PersistedQueryNotFound");
            assert_eq!(reply.json().as_object().map(serde_json::Map::len), Some(1), "{}", reply.text);
        }
    }
    let first = house.post(MODERN, &registered(NAMES, &variables())).await;
    assert_eq!(first.data()["organization"]["name"], "Acme");
    assert_eq!(house.post(MODERN, &hashed(NAMES, &variables())).await.text, first.text);
    assert_eq!(house.get(LEGACY, &hashed(NAMES, &variables())).await.text, first.text);
    // By an address as well, and with whatever else a client notes down beside the hash.
    let other = NAMES.replace("Names", "Others");
    let mut noted = registered(&other, &variables());
    noted["extensions"]["persistedQuery"]["miss"] = json!(true);
    assert_eq!(house.get(MODERN, &noted).await.text, first.text);
    assert_eq!(house.post(MODERN, &hashed(&other, &variables())).await.text, first.text);
    // Somebody else's register holds nothing that is nobody else's business: the answer is the caller's own.
    let globex = cast::organization(&server, "Globex").await;
    let theirs = House { server: &server, acme: &globex }.post(MODERN, &hashed(NAMES, &variables())).await;
    assert_eq!(theirs.data()["organization"]["name"], "Globex");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_ever_served_under_a_hash() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let house = House { server: &server, acme: &acme };
    let variables = || json!({"first": 1});
    let named = |text: &str, hash: &str| json!({"query": text, "variables": {"first": 1}, "extensions": persisted(hash)});
    let is_known = async |text: &str| house.post(MODERN, &hashed(text, &variables())).await.code().is_none();
    let evil = "query Names { rateLimit { limit } }";
    // Another document's hash, known or not, and hashes that are none.
    house.post(MODERN, &registered(NAMES, &variables())).await.data();
    for hash in [sha256(NAMES), sha256("{ nobody }")] {
        for reply in
            [house.post(MODERN, &named(evil, &hash)).await, house.get(MODERN, &named(evil, &hash)).await]
        {
            assert_eq!(
                (reply.status, reply.code().as_deref()),
                (StatusCode::BAD_REQUEST, Some("BAD_USER_INPUT"))
            );
            assert!(reply.message().contains("not the SHA-256"), "{}", reply.text);
        }
        assert_eq!(house.post(LEGACY, &named(evil, &hash)).await.status, StatusCode::OK);
    }
    assert_eq!(house.post(MODERN, &hashed(NAMES, &variables())).await.data()["organization"]["name"], "Acme");
    assert!(!is_known(evil).await && !is_known("{ nobody }").await);
    let upper = sha256(evil).to_uppercase();
    for hash in ["", "x", &upper, &sha256(evil)[1..], &format!("{}0", sha256(evil)), "é", "\u{0}"] {
        let reply = house.post(MODERN, &named(evil, hash)).await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (StatusCode::BAD_REQUEST, Some("BAD_USER_INPUT"))
        );
        assert!(reply.message().contains("64 hexadecimal digits in lower case"), "{}", reply.text);
    }
    // Forms that are not the protocol's.
    let hash = sha256(evil);
    for (extension, expected) in [
        (json!("hash"), "is an object"),
        (json!([]), "is an object"),
        (json!({"sha256Hash": hash}), "set `version` to 1"),
        (json!({"version": 2, "sha256Hash": hash}), "set `version` to 1"),
        (json!({"version": 1}), "no `sha256Hash`"),
        (json!({"version": 1, "sha256Hash": [hash]}), "no `sha256Hash`"),
    ] {
        for accept in [MODERN, LEGACY] {
            let body = json!({"query": evil, "extensions": {"persistedQuery": extension}});
            let reply = house.post(accept, &body).await;
            assert_eq!(
                (reply.status, reply.code().as_deref()),
                (StatusCode::BAD_REQUEST, Some("BAD_USER_INPUT"))
            );
            assert!(reply.message().contains(expected), "{}", reply.text);
        }
    }
    assert!(!is_known(evil).await);
    // What is not valid, or too much, is refused as ever and not kept.
    let deep = format!("{{ {} }}", "a { ".repeat(30) + "b" + &" }".repeat(30));
    for (text, code) in [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ nope", "GRAPHQL_PARSE_FAILED"),
        (deep.as_str(), "QUERY_TOO_DEEP"),
    ] {
        for _ in 0..2 {
            assert_eq!(
                house.post(MODERN, &registered(text, &variables())).await.code().as_deref(),
                Some(code)
            );
            let again = house.post(MODERN, &hashed(text, &variables())).await;
            assert_eq!(again.code().as_deref(), Some("PERSISTED_QUERY_NOT_FOUND"));
        }
    }
    // And so is a text that was sent without its hash: nobody finds out by guessing what others have asked.
    let private = "query Private { organization { name } }";
    house.post(MODERN, &json!({"query": private})).await.data();
    assert!(!is_known(private).await);
    // The control.
    house.post(MODERN, &registered(evil, &variables())).await.data();
    assert!(is_known(evil).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_runs_no_mutation_by_an_address() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let server = server.replica_with(with(manifest(&[("rename", RENAME)]), Trust::Off)).await;
    let house = House { server: &server, acme: &acme };
    let variables = |name: &str| json!({"input": {"id": acme.project, "name": name}});
    let both = "query Q { __typename } mutation M($input: ProjectUpdateInput!) { projectUpdate(input: $input) { project { name } } }";
    house
        .post(MODERN, &json!({"query": both, "operationName": "Q", "extensions": persisted(&sha256(both))}))
        .await;
    let mut second = hashed(both, &variables("By address"));
    second["operationName"] = json!("M");
    for way in [
        hashed(RENAME, &variables("By address")),
        registered(RENAME, &variables("By address")),
        json!({"documentId": "rename", "variables": variables("By address")}),
        second.clone(),
    ] {
        for accept in [MODERN, LEGACY] {
            assert_eq!(house.get(accept, &way).await.status, StatusCode::METHOD_NOT_ALLOWED, "{way}");
        }
    }
    let name = async || {
        let seen = house.post(MODERN, &json!({"query": NAMES, "variables": {"first": 1}})).await.data();
        seen["organization"]["projects"]["nodes"][0]["name"].as_str().unwrap().to_owned()
    };
    assert_ne!(name().await, "By address");
    // The controls.
    let renamed = house.post(MODERN, &hashed(RENAME, &variables("By hash"))).await.data();
    assert_eq!(
        (renamed["projectUpdate"]["project"]["name"].as_str(), name().await.as_str()),
        (Some("By hash"), "By hash")
    );
    second["operationName"] = json!("Q");
    house.get(MODERN, &second).await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_at_the_same_time_and_without_end_leave_everybody_served() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let house = House { server: &server, acme: &acme };
    let one = "query One { organization { name } }";
    let other = "query Other { rateLimit { limit } }";
    for round in 0..20 {
        let (one, other) = (format!("{one} # {round}"), format!("{other} # {round}"));
        // Two send their own under the same hash; it is right for one of them.
        let right = registered(&one, &json!({}));
        let wrong = json!({"query": other, "extensions": persisted(&sha256(&one))});
        let (a, b, c) =
            tokio::join!(house.post(MODERN, &right), house.post(MODERN, &wrong), house.post(MODERN, &right));
        assert_eq!((a.data(), c.data()), (json!({"organization": {"name": "Acme"}}), a.data()));
        assert_eq!(b.code().as_deref(), Some("BAD_USER_INPUT"));
        assert_eq!(house.post(MODERN, &hashed(&one, &json!({}))).await.text, a.text);
    }
    for number in 0..1_000 {
        let text = format!("query Flood {{ a{number}: __typename }}");
        house.post(MODERN, &registered(&text, &json!({}))).await.data();
        if number % 50 == 0 {
            assert_eq!(house.post(MODERN, &hashed(&format!("{one} # 0"), &json!({}))).await.code(), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn enforced_only_the_manifest_is_served() {
    let open = Server::start().await;
    let acme = cast::organization(&open, "Acme").await;
    let path = manifest(&[("names", NAMES), ("rename", RENAME), ("activity", ACTIVITY)]);
    let server = open.replica_with(with(path, Trust::Enforce)).await;
    let house = House { server: &server, acme: &acme };
    let free = "{ organization { name } }";
    let refused = [
        json!({"query": free}),
        json!({"query": "{ nope"}),
        json!({"query": NAMES.replace("{ name }", "{  name }"), "variables": {"first": 1}}),
        json!({"query": "query IntrospectionQuery { __schema { queryType { name } } }"}),
        json!({"query": "{ __typename }"}),
        hashed(free, &json!({})),
        registered(free, &json!({})),
        json!({"documentId": "free"}),
        json!({"documentId": format!("sha256:{}", sha256(free))}),
        json!({"documentId": "free", "query": free}),
        json!({"query": free.repeat(3)}),
    ];
    for body in &refused {
        for (accept, status) in [(MODERN, StatusCode::BAD_REQUEST), (LEGACY, StatusCode::OK)] {
            for reply in [house.post(accept, body).await, house.get(accept, body).await] {
                assert_eq!(
                    (reply.status, reply.code().as_deref()),
                    (status, Some("DOCUMENT_NOT_TRUSTED")),
                    "{body}"
                );
                // No client is invited to send the text as well.
                assert!(
                    !reply.text.contains("PersistedQuery") && !reply.text.contains("\"data\""),
                    "{}",
                    reply.text
                );
                assert!(reply.message().contains("AICOS_DOCUMENT_MANIFEST"), "{}", reply.text);
            }
        }
        let streamed = house.stream(body).await;
        assert_eq!(streamed["errors"][0]["extensions"]["code"], "DOCUMENT_NOT_TRUSTED", "{body}");
    }
    // A name of the manifest's is no cover for another document.
    for cover in [json!({"documentId": "names"}), json!({"extensions": persisted(&sha256(NAMES))})] {
        let mut body = cover.clone();
        body["query"] = json!(free);
        assert_eq!(house.post(MODERN, &body).await.code().as_deref(), Some("BAD_USER_INPUT"), "{cover}");
    }
    // The controls: each of these is served, and each of the others where nothing is enforced.
    let variables = json!({"first": 1});
    for body in [
        json!({"query": NAMES, "variables": variables}),
        json!({"documentId": "names", "variables": variables}),
        hashed(NAMES, &variables),
        registered(NAMES, &variables),
    ] {
        house.post(MODERN, &body).await.data();
        house.get(MODERN, &body).await.data();
        assert_eq!(house.stream(&body).await["errors"], Value::Null);
    }
    let input = json!({"input": {"id": acme.project, "name": "Trusted"}});
    let renamed = house.post(MODERN, &json!({"documentId": "rename", "variables": input})).await.data();
    assert_eq!(renamed["projectUpdate"]["project"]["name"], "Trusted");
    House { server: &open, acme: &acme }.post(MODERN, &json!({"query": free})).await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_left_out_where_it_could_not_ask_anything() {
    let server = Server::start().await;
    let page = async |server: &Server, path: &str| {
        let (status, _, bytes) = server.send(Request::get(path).body(Body::empty()).unwrap()).await;
        (status.as_u16(), String::from_utf8_lossy(&bytes).into_owned())
    };
    let path = manifest(&[("names", NAMES)]);
    let enforcing = server.replica_with(with(path.clone(), Trust::Enforce)).await;
    let (status, text) = page(&enforcing, "/").await;
    assert!(status == 404 && text.contains("AICOS_TRUSTED_DOCUMENTS=enforce"), "{status} {text}");
    let hidden = Config { playground: false, ..with(path.clone(), Trust::Enforce) };
    let (status, text) = page(&server.replica_with(hidden).await, "/").await;
    assert!(status == 404 && !text.contains("AICOS_TRUSTED_DOCUMENTS"), "{status} {text}");
    for trust in [Trust::Off, Trust::Log] {
        let (status, text) = page(&server.replica_with(with(path.clone(), trust)).await, "/").await;
        assert!(status == 200 && text.contains("<html"), "{status} {text:.100}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_streams_take_every_name() {
    let open = Server::start().await;
    let acme = cast::organization(&open, "Acme").await;
    let path = manifest(&[("names", NAMES), ("activity", ACTIVITY)]);
    let server = open.replica_with(with(path, Trust::Log)).await;
    let running = server.app.clone().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let house = House { server: &server, acme: &acme };
    let mut socket = Socket::bearer(running.address, &acme.owner.token).await;
    let expected = house.post(MODERN, &json!({"query": NAMES, "variables": {"first": 1}})).await.json();
    let free = "query Free($first: Int!) { organization { projects(first: $first) { totalCount } } }";
    let variables = json!({"first": 1});
    let mut number = 0;
    let mut ask = async |socket: &mut Socket, payload: &Value| {
        number += 1;
        socket.say(json!({"id": number.to_string(), "type": "subscribe", "payload": payload})).await;
        number.to_string()
    };
    for payload in [
        json!({"documentId": "names", "variables": variables}),
        json!({"doc_id": "names", "variables": variables}),
        hashed(NAMES, &variables),
        json!({"query": "", "variables": variables, "extensions": persisted(&sha256(NAMES))}),
    ] {
        let id = ask(&mut socket, &payload).await;
        assert_eq!(socket.payload("next", &id).await, expected, "{payload}");
        socket.payload("complete", &id).await;
        assert_eq!(house.stream(&payload).await, expected, "{payload}");
    }
    // Unknown, registered, known: the socket stays.
    let id = ask(&mut socket, &hashed(free, &variables)).await;
    let errors = socket.payload("error", &id).await;
    assert_eq!(errors[0]["message"], "PersistedQueryNotFound");
    assert_eq!(errors[0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(
        house.stream(&hashed(free, &variables)).await["errors"][0]["message"],
        "PersistedQueryNotFound"
    );
    for payload in [registered(free, &variables), hashed(free, &variables)] {
        let id = ask(&mut socket, &payload).await;
        let seen = socket.payload("next", &id).await;
        assert_eq!(seen["data"]["organization"]["projects"]["totalCount"], 1);
        socket.payload("complete", &id).await;
        assert_eq!(house.stream(&payload).await, seen);
    }
    for (wrong, code) in [
        (json!({"documentId": "nobody"}), "PERSISTED_QUERY_NOT_FOUND"),
        (json!({"query": NAMES, "extensions": persisted(&sha256(free))}), "BAD_USER_INPUT"),
        (json!({"extensions": persisted("x")}), "BAD_USER_INPUT"),
        (json!({"extensions": {"persistedQuery": {"version": 2}}}), "BAD_USER_INPUT"),
    ] {
        let id = ask(&mut socket, &wrong).await;
        assert_eq!(socket.payload("error", &id).await[0]["extensions"]["code"], code, "{wrong}");
    }
    // A subscription by its id, over both.
    let after = json!({"id": acme.id, "after": 0});
    let live = json!({"documentId": "activity", "variables": after});
    let id = ask(&mut socket, &live).await;
    let first = socket.payload("next", &id).await;
    assert_eq!(first["data"]["organizationActivity"]["sequence"], 1);
    socket.say(json!({"id": id, "type": "complete"})).await;
    assert_eq!(house.stream(&live).await, first);
    drop(socket);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_takes_every_name() {
    let open = Server::start().await;
    let acme = cast::organization(&open, "Acme").await;
    let path = manifest(&[("names", NAMES)]);
    let batching = |trust| Config { batching: true, ..with(path.clone(), trust) };
    let variables = json!({"first": 1});
    let free = "{ organization { name } }";
    let bodies = json!([
        {"query": NAMES, "variables": variables},
        {"documentId": "names", "variables": variables},
        hashed(NAMES, &variables),
        registered(free, &json!({})),
        hashed(free, &json!({})),
        {"documentId": "nobody"},
    ]);
    let outcomes = async |trust| {
        let server = open.replica_with(batching(trust)).await;
        let answers = House { server: &server, acme: &acme }.post(MODERN, &bodies).await.json();
        let answers = answers.as_array().unwrap().clone();
        for named in &answers[1..3] {
            assert_eq!(named, &answers[0]);
        }
        answers
            .iter()
            .map(|answer| answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("ok").to_owned())
            .collect::<Vec<_>>()
    };
    // All are looked up before any of them runs, in their order.
    assert_eq!(outcomes(Trust::Off).await, ["ok", "ok", "ok", "ok", "ok", "PERSISTED_QUERY_NOT_FOUND"]);
    let untrusted = "DOCUMENT_NOT_TRUSTED";
    assert_eq!(outcomes(Trust::Enforce).await, ["ok", "ok", "ok", untrusted, untrusted, untrusted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_used_refuses_the_start_and_doctor_finds_it() {
    let server = Server::start().await;
    let doctor = async |config: &Config| {
        let mut report = Report::default();
        doctor::check_documents(config, &mut report).await;
        (report.is_well(), report.to_string())
    };
    let start = async |config: &Config| {
        Box::pin(App::start(config, server.database.serve.clone(), tuning())).await.map(|_| ())
    };
    let missing = config().data_dir.join("nowhere.json");
    for (path, expected) in [
        (missing, vec!["cannot be read"]),
        (file("{"), vec!["not JSON", "line 1 column 1"]),
        (file("{}"), vec!["lists no document"]),
        (
            file(r#"{"a": "{ __typename }", "a": "{ __typename }"}"#),
            vec!["several documents under one id: `a`"],
        ),
        (
            manifest(&[
                ("good", NAMES),
                ("renamed", "query Renamed {\n  organization {\n    nam\n  }\n}"),
                ("cut", "{ a"),
            ]),
            vec![
                "2 of its 3 documents",
                "`renamed` (query Renamed { organization { nam } }…), line 3, column 5: Unknown field",
                "`cut` ({ a…), line 1, column ",
                "aicos schema",
            ],
        ),
    ] {
        for trust in [Trust::Off, Trust::Log, Trust::Enforce] {
            let config = with(path.clone(), trust);
            let error = format!("{:#}", start(&config).await.unwrap_err());
            let (is_well, report) = doctor(&config).await;
            assert!(!is_well);
            let name = path.display().to_string();
            for expected in expected.iter().copied().chain(["AICOS_DOCUMENT_MANIFEST", name.as_str()]) {
                assert!(error.contains(expected), "{expected}\n{error}");
                assert!(report.contains(expected), "{expected}\n{report}");
            }
        }
    }
    let good = with(apollo(&[NAMES, RENAME, ACTIVITY]), Trust::Enforce);
    start(&good).await.unwrap();
    let (is_well, report) = doctor(&good).await;
    assert!(
        is_well && report.contains("with 3 of them") && report.contains("others are refused"),
        "{report}"
    );
    let (is_well, report) = doctor(&config()).await;
    assert!(is_well && report.contains("there is no manifest"), "{report}");
}
