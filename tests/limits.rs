//! What no request may do, whatever it says: the attacks on the protocol, on encodings and from other origins, each beside a
//! request of the same kind that is answered.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use aicos::app::Tuning;
use aicos::config::Config;
use aicos::http::limiter::LimiterSettings;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::cast::{self, Organization};
use crate::support::sdl::{Sdl, base};
use crate::support::world::World;
use crate::support::{Server, config, mutation, tuning};

/// What came back, and how long it took.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    took: Duration,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {:.300}", self.status, self.text))
    }

    fn code(&self) -> Option<String> {
        self.json()["errors"][0]["extensions"]["code"].as_str().map(str::to_owned)
    }
}

/// A server under attack, with an owner who has something to lose.
struct Target {
    server: Server,
    acme: Organization,
}

/// Nothing of the server's inside in an answer.
fn tells_nothing(what: &str, text: &str) {
    let lower = text.to_lowercase();
    for inside in [
        "sqlx",
        "panicked",
        "/src/",
        "rust",
        "stack backtrace",
        "relation \"",
        "syntax error at",
        "aicos_app",
        "project_members",
        "pg_",
    ] {
        assert!(!lower.contains(inside), "{what} tells of {inside}: {text:.400}");
    }
}

impl Target {
    async fn new() -> Self {
        Self::with(config(), tuning()).await
    }

    async fn with(config: Config, tuning: Tuning) -> Self {
        let server = Server::with(config, tuning).await;
        let acme = cast::organization(&server, "Acme").await;
        Self { server, acme }
    }

    /// Sends anything; whatever it is, the answer is quick, is no fault of the server's, and tells nothing.
    async fn send(&self, what: &str, request: Request<Body>) -> Reply {
        let start = Instant::now();
        let (status, headers, bytes) = self.server.send(request).await;
        let reply = Reply { status, headers, text: String::from_utf8(bytes).unwrap(), took: start.elapsed() };
        // What takes too long may be asked again when there is less to do; anything else would be a fault.
        let is_late = status == StatusCode::SERVICE_UNAVAILABLE && reply.code().as_deref() == Some("TIMEOUT");
        assert!(!status.is_server_error() || is_late, "{what}: {status} {:.300}", reply.text);
        tells_nothing(what, &reply.text);
        // Unoptimised code on a shared core; the figures of the scorecard are checked on the release build.
        assert!(reply.took < Duration::from_secs(4), "{what} took {:?}", reply.took);
        assert!(reply.text.len() < 100_000, "{what} is answered with {} bytes", reply.text.len());
        reply
    }

    /// Posts a body as the owner.
    async fn post(&self, what: &str, body: impl Into<Body>) -> Reply {
        self.send(what, self.request("application/json").body(body.into()).unwrap()).await
    }

    fn request(&self, content: &str) -> axum::http::request::Builder {
        Request::post("/graphql")
            .header("content-type", content)
            .header("authorization", format!("Bearer {}", self.acme.owner.token))
    }

    /// Posts a document as the owner.
    async fn ask(&self, what: &str, query: &str) -> Reply {
        self.post(what, json!({"query": query}).to_string()).await
    }

    /// The document is refused with a code of the closed list, and nothing ran.
    async fn refused(&self, what: &str, query: &str) {
        let request = self.request("application/json").header("accept", "application/graphql-response+json");
        let body = Body::from(json!({"query": query}).to_string());
        let reply = self.send(what, request.body(body).unwrap()).await;
        let expected = [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];
        assert!(expected.contains(&reply.status), "{what}: {} {:.300}", reply.status, reply.text);
        let code = reply.code().unwrap_or_else(|| panic!("{what} is not refused: {:.300}", reply.text));
        assert!(
            [
                "QUERY_TOO_COMPLEX",
                "QUERY_TOO_DEEP",
                "GRAPHQL_PARSE_FAILED",
                "GRAPHQL_VALIDATION_FAILED",
                "BAD_USER_INPUT"
            ]
            .contains(&code.as_str()),
            "{what}: {code}"
        );
        assert!(reply.json().get("data").is_none_or(Value::is_null), "{what}: {:.300}", reply.text);
    }

    /// The server is there and answers the owner.
    async fn is_well(&self) {
        let seen = self
            .acme
            .owner
            .at(&self.server)
            .ok("{ viewer { email } organization { name projects { totalCount } } }", json!({}))
            .await;
        assert_eq!(seen["organization"]["name"], "Acme");
    }
}

/// A document with this many of something at its root.
fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    format!("{{ {} }}", (0..count).map(one).collect::<Vec<_>>().join(" "))
}

/// Fragments of which each spreads the next one several times.
fn doubling(levels: usize, spreads: usize) -> String {
    let mut document = "query { ...F0 }".to_owned();
    for level in 0..levels {
        let spread = format!("...F{} ", level + 1).repeat(spreads);
        let _ = write!(document, " fragment F{level} on Query {{ {spread} }}");
    }
    let _ = write!(document, " fragment F{levels} on Query {{ __typename }}");
    document
}

/// The same through fields with a name of their own each.
fn aliased_doubling(levels: usize) -> String {
    let mut document = "query { organization { ...F0 } }".to_owned();
    for level in 0..levels {
        let next = level + 1;
        let project = |alias: &str| {
            format!("{alias}: projects(first: 1) {{ nodes {{ organization {{ ...F{next} }} }} }}")
        };
        let _ =
            write!(document, " fragment F{level} on Organization {{ {} {} }}", project("a"), project("b"));
    }
    let _ = write!(document, " fragment F{levels} on Organization {{ name }}");
    document
}

/// Objects inside each other.
fn nested(depth: usize) -> String {
    let mut document = String::from("{ organization { ");
    for _ in 0..depth / 3 {
        document.push_str("projects(first: 1) { nodes { organization { ");
    }
    document.push_str("name");
    document.push_str(&" } } }".repeat(depth / 3));
    document.push_str(" } }");
    document
}

/// Attacks: 1, 2, 8, 9, 10, 11, 12, 13.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_aliases_fields_and_operations_are_refused() {
    let target = Target::new().await;
    for count in [101, 1_000, 10_000] {
        target
            .refused(&format!("{count} aliases"), &many(count, |n| format!("a{n}: rateLimit {{ limit }}")))
            .await;
        target
            .refused(
                &format!("{count} aliased nodes"),
                &many(count, |n| format!("a{n}: node(id: \"usr_x\") {{ id }}")),
            )
            .await;
    }
    target.refused("1,000 __typename", &many(1_000, |n| format!("a{n}: __typename"))).await;
    target.refused("31 root fields", &many(31, |n| format!("a{n}: __typename"))).await;
    target.ask("20,000 duplicate fields", &many(20_000, |_| "rateLimit { limit }".to_owned())).await;
    target
        .refused(
            "3,000 conflicting fields",
            &many(3_000, |n| format!("a: rateLimit {{ limit }} a: node(id: \"{n}\") {{ id }}")),
        )
        .await;
    target
        .refused(
            "1,000 operations",
            &(0..1_000).map(|n| format!("query Q{n} {{ __typename }} ")).collect::<String>(),
        )
        .await;
    let variables: String = (0..10_000).map(|n| format!("$v{n}: Int ")).collect();
    target.refused("10,000 variables", &format!("query({variables}) {{ __typename }}")).await;
    let directives = "@skip(if: false) ".repeat(51);
    target.refused("51 directives", &format!("{{ rateLimit {directives} {{ limit }} }}")).await;
    target
        .refused(
            "5,000 unknown directives",
            &format!("{{ rateLimit {} {{ limit }} }}", "@nothing ".repeat(5_000)),
        )
        .await;
    // The controls: what is many and not too many.
    let reply = target.ask("20 aliases", &many(20, |n| format!("a{n}: rateLimit {{ limit }}"))).await;
    assert_eq!((reply.code(), reply.json()["data"].as_object().unwrap().len()), (None, 20));
    assert_eq!(target.ask("a directive", "{ rateLimit @skip(if: false) { limit } }").await.code(), None);
    target.is_well().await;
}

/// Attacks: 4, 5, 6, 7, 14, 15, 16.
#[tokio::test(flavor = "multi_thread")]
async fn depth_cycles_and_bombs_are_refused_at_once() {
    let target = Target::new().await;
    for depth in [20, 100, 1_000, 5_000] {
        target.refused(&format!("{depth} levels"), &nested(depth)).await;
    }
    target.refused("a fragment of itself", "{ ...A } fragment A on Query { __typename ...A }").await;
    target
        .refused(
            "a cycle",
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }",
        )
        .await;
    for levels in [20, 22, 24, 26, 30] {
        target.refused(&format!("2^{levels}"), &doubling(levels, 2)).await;
    }
    target.refused("8 levels of 9", &doubling(8, 9)).await;
    for levels in [4, 10, 20] {
        target.refused(&format!("{levels} levels of two aliases"), &aliased_doubling(levels)).await;
    }
    // The price is asked before anything is expanded, which would take hours; `tests/drills/bombs` judges the time.
    target.refused("2^300", &doubling(300, 2)).await;
    target.refused("100,000 braces", &"{".repeat(100_000)).await;
    target.refused("100,000 brackets", &format!("{{ nodes(ids: {}", "[".repeat(100_000))).await;
    target
        .refused(
            "a list 20,000 deep",
            &format!("{{ nodes(ids: {}{}) {{ id }} }}", "[".repeat(20_000), "]".repeat(20_000)),
        )
        .await;
    target
        .refused(
            "an inline fragment 10,000 deep",
            &format!("{{ {} __typename {} }}", "... { ".repeat(10_000), "}".repeat(10_000)),
        )
        .await;
    let deep = format!(
        r#"{{"query": "query($ids: [ID!]!) {{ nodes(ids: $ids) {{ id }} }}", "variables": {{"ids": {}{}}}}}"#,
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let reply = target.post("variables 20,000 deep", deep).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    // The controls.
    assert_eq!(target.ask("8 levels", &nested(7)).await.code(), None);
    assert_eq!(target.ask("2^3", &doubling(3, 2)).await.code(), None);
    target.is_well().await;
}

/// Attacks: 19, 25, 26, 27.
#[tokio::test(flavor = "multi_thread")]
async fn what_multiplies_is_priced_before_it_runs() {
    let target = Target::new().await;
    let members = "members(first: 100) { nodes { user { name } } }";
    target
        .refused(
            "100 × 100",
            &format!("{{ organization {{ projects(first: 100) {{ nodes {{ {members} }} }} }} }}"),
        )
        .await;
    target.refused("100 × 100 × 100", &format!("{{ viewer {{ memberships(first: 100) {{ nodes {{ organization {{ projects(first: 100) {{ nodes {{ {members} }} }} }} }} }} }} }}")).await;
    for first in ["2147483647", "101", "-1", "-2147483648"] {
        target
            .refused(
                &format!("first: {first}"),
                &format!("{{ organization {{ projects(first: {first}) {{ totalCount }} }} }}"),
            )
            .await;
    }
    for overflow in ["2147483648", "99999999999999999999", "1e400", "1.5", "\"1\"", "true"] {
        target
            .refused(
                &format!("first: {overflow}"),
                &format!("{{ organization {{ projects(first: {overflow}) {{ totalCount }} }} }}"),
            )
            .await;
        let body = format!(
            r#"{{"query": "query($n: Int) {{ organization {{ projects(first: $n) {{ totalCount }} }} }}", "variables": {{"n": {overflow}}}}}"#
        );
        let reply = target.post("a variable", body).await;
        assert!(reply.json()["errors"][0]["message"].is_string(), "{overflow}: {}", reply.text);
    }
    let variable = json!({"query": "query($n: Int) { organization { projects(first: $n) { nodes { members(first: $n) { nodes { user { name } } } } } } }", "variables": {"n": 100}});
    assert_eq!(
        target.post("by variables", variable.to_string()).await.code().as_deref(),
        Some("QUERY_TOO_COMPLEX")
    );
    let ids: Vec<String> = (0..101).map(|_| target.acme.project.clone()).collect();
    let nodes =
        json!({"query": "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", "variables": {"ids": ids}});
    assert_eq!(target.post("101 nodes", nodes.to_string()).await.code().as_deref(), Some("BAD_USER_INPUT"));
    let nodes =
        json!({"query": "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", "variables": {"ids": ids[..100]}});
    assert_eq!(
        target.post("100 nodes", nodes.to_string()).await.json()["data"]["nodes"].as_array().unwrap().len(),
        100
    );
    let search = json!({"query": "query($s: String!) { organization { projects(filter: {search: $s}) { totalCount } } }", "variables": {"s": "%_".repeat(100_000)}});
    assert_eq!(
        target.post("a long search", search.to_string()).await.code().as_deref(),
        Some("BAD_USER_INPUT")
    );
    assert_eq!(target.ask("10 × 10", "{ organization { projects(first: 10) { nodes { members(first: 10) { nodes { user { name } } } } } } }").await.code(), None);
    target.is_well().await;
}

/// Attacks: 3, 17, 18, 128.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_and_batches_are_refused_unread() {
    let target = Target::new().await;
    let text = |size: usize| json!({"query": format!("{{ __typename }} #{}", "x".repeat(size))}).to_string();
    let anonymous = |body: String| {
        Request::post("/graphql").header("content-type", "application/json").body(Body::from(body)).unwrap()
    };
    assert_eq!(
        target.send("300 KiB from nobody", anonymous(text(300 * 1024))).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(target.send("200 KiB from nobody", anonymous(text(200 * 1024))).await.status, StatusCode::OK);
    assert_eq!(target.post("a query of 3 MiB", text(3 << 20)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(target.post("9 MiB", text(9 << 20)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // A stream without a declared length is cut off.
    let chunks = futures_util::stream::iter(
        (0..64).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 1 << 20]))),
    );
    let streamed = target.request("application/json").body(Body::from_stream(chunks)).unwrap();
    assert_eq!(target.send("64 MiB streamed", streamed).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let invalid = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("authorization", "Bearer forged")
        .body(Body::from(text(300 * 1024)));
    assert_eq!(
        target.send("a forged token earns no larger body", invalid.unwrap()).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let large = json!({"query": mutation("organizationUpdate", ""), "variables": {"input": {"id": target.acme.id, "description": "d".repeat(1 << 20)}}});
    assert_eq!(
        target.post("1 MiB of text, signed in", large.to_string()).await.json()["data"]["organizationUpdate"]
            ["userErrors"][0]["code"],
        "TOO_LONG"
    );
    let password = json!({"query": mutation("login", ""), "variables": {"input": {"email": target.acme.owner.email, "password": "p".repeat(1 << 20)}}});
    assert_eq!(
        target.post("a password of 1 MiB", password.to_string()).await.json()["data"]["login"]["userErrors"]
            [0]["code"],
        "INVALID_CREDENTIALS"
    );
    for count in [1, 11, 101] {
        let batch = vec![json!({"query": "{ __typename }"}); count];
        assert_eq!(
            target.post("a batch", json!(batch).to_string()).await.status,
            StatusCode::BAD_REQUEST,
            "{count}"
        );
    }
    target.is_well().await;
    // Switched on, a batch is short and shares one price.
    let target = Target::with(Config { batching: true, ..config() }, tuning()).await;
    let batch = |count: usize, query: &str| json!(vec![json!({"query": query}); count]).to_string();
    assert_eq!(target.post("10", batch(10, "{ __typename }")).await.json().as_array().unwrap().len(), 10);
    assert_eq!(target.post("11", batch(11, "{ __typename }")).await.status, StatusCode::BAD_REQUEST);
    let costly = "{ organization { projects(first: 100) { nodes { members(first: 8) { nodes { id } } } } } }";
    assert_eq!(target.post("one", batch(1, costly)).await.json()[0]["errors"], Value::Null);
    assert_eq!(target.post("ten", batch(10, costly)).await.code().as_deref(), Some("QUERY_TOO_COMPLEX"));
}

/// Attacks: 20, 21.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_shown_or_hidden_as_the_setting_says() {
    let introspection = "{ __schema { types { name fields { name type { name ofType { name } } } } } }";
    let circular = format!(
        "{{ __schema {{ types {{ {} name {} }} }} }}",
        "fields { type { ".repeat(12),
        "} }".repeat(12)
    );
    let shown = Target::new().await;
    shown.refused("circular introspection", &circular).await;
    let typo = shown.ask("a typing error", "{ organizatio { name } }").await;
    assert!(typo.json()["errors"][0]["message"].as_str().unwrap().contains("organization"));
    let hidden = Target::with(Config { introspection: false, ..config() }, tuning()).await;
    hidden.refused("introspection", introspection).await;
    hidden.refused("one type", "{ __type(name: \"Organization\") { name } }").await;
    for typo in [
        "{ organizatio { name } }",
        "{ organization { nam } }",
        "{ organization(identity: 1) { name } }",
        "mutation { projectCreat(input: {}) { x } }",
    ] {
        let reply = hidden.ask("a typing error", typo).await;
        let message = reply.json()["errors"][0]["message"].to_string();
        assert!(
            !message.contains("Did you mean")
                && !message.contains("\"name\"")
                && !message.contains("projectCreate"),
            "{message}"
        );
    }
    let reply = hidden.ask("names of types", "{ organization { __typename } }").await;
    assert_eq!(reply.json()["data"]["organization"]["__typename"], "Organization");
    hidden.is_well().await;
}

/// Attacks: 35.
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_spent_by_whoever_asks_and_headers_make_nobody_else_of_them() {
    let limiter = LimiterSettings { credential_points: 1_000_000, address_points: 60 };
    let target = Target {
        server: Server::with(config(), Tuning { limiter, ..tuning() }).await,
        acme: Target::new().await.acme,
    };
    let ask = async |ip: &str, forged: &str| {
        let client =
            target.server.anonymous().from(ip).header("x-forwarded-for", forged).header("x-real-ip", forged);
        client.send("{ rateLimit { limit remaining cost } }", json!({})).await
    };
    let mut answers = Vec::new();
    for number in 0..150 {
        answers
            .push(ask("198.51.100.1", &format!("192.0.2.{number}")).await.code().unwrap_or("ok").to_owned());
    }
    assert_eq!(answers[0], "ok");
    assert!(answers.iter().filter(|code| *code == "RATE_LIMITED").count() >= 30, "{answers:?}");
    assert_eq!(ask("198.51.100.2", "192.0.2.1").await.code(), None);
    // A price alone is free, and is the one that would be paid.
    let dry = target.server.anonymous().from("198.51.100.3").header("x-cost", "dry-run");
    for _ in 0..100 {
        let answer = dry.send("{ rateLimit { limit } }", json!({})).await;
        assert_eq!((answer.code(), &answer.body["data"]), (None, &Value::Null));
        assert!(answer.body["extensions"]["cost"]["requested"].as_i64().unwrap() >= 1);
    }
}

/// A hash runs nothing by itself, whatever stands behind it, and nobody's document becomes another one's.
///
/// Attacks: 33.
#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_no_document_and_no_document_takes_the_place_of_another() {
    let target = Target::new().await;
    let (own, poison) = ("{ organization { name } }", "{ viewer { email } }");
    let hash = |text: &str| {
        sha2::Sha256::digest(text.as_bytes())
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let persisted = |hash: &str| json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
    let refused = [Some("BAD_USER_INPUT"), Some("PERSISTED_QUERY_NOT_FOUND"), Some("DOCUMENT_NOT_TRUSTED")];
    for hash in [
        hash(own),
        hash(poison),
        "0".repeat(64),
        String::new(),
        "'; drop table users; --".to_owned(),
        "f".repeat(100_000),
    ] {
        let reply = target.post("a hash alone", json!({"extensions": persisted(&hash)}).to_string()).await;
        assert!(refused.contains(&reply.code().as_deref()), "{hash:.70}: {}", reply.text);
        assert!(reply.json().get("data").is_none_or(Value::is_null), "{hash:.70}: {}", reply.text);
    }
    // Another document under the hash of one's own: it is refused, or is only itself; it is never kept as the other one.
    let reply = target
        .post("another's hash", json!({"query": poison, "extensions": persisted(&hash(own))}).to_string())
        .await;
    assert!(reply.json()["data"].get("organization").is_none(), "{}", reply.text);
    let reply = target.post("the hash again", json!({"extensions": persisted(&hash(own))}).to_string()).await;
    assert!(refused.contains(&reply.code().as_deref()) && !reply.text.contains("@acme"), "{}", reply.text);
    // The control: a document under its own hash is answered.
    let reply = target
        .post("its own hash", json!({"query": own, "extensions": persisted(&hash(own))}).to_string())
        .await;
    assert_eq!(reply.json()["data"]["organization"]["name"], "Acme", "{}", reply.text);
}

// ------------------------------------------------------------------------------------------------ encodings

/// Attacks: 24, 36, 37, 38, 39, 41, 43.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_and_texts_that_are_no_json_are_refused() {
    let target = Target::new().await;
    let name = |text: &str| {
        format!(
            r#"{{"query": "mutation($n: String!) {{ projectCreate(input: {{organizationId: \"{}\", name: $n}}) {{ project {{ name }} userErrors {{ code }} }} }}", "variables": {{"n": "{text}"}}}}"#,
            target.acme.id
        )
    };
    let before = target
        .acme
        .owner
        .at(&target.server)
        .ok("{ organization { projects { totalCount } } }", json!({}))
        .await;
    for (what, text) in [
        ("NUL", "a\\u0000b"),
        ("a lone surrogate", "a\\ud800b"),
        ("another one", "\\udc00"),
        ("a bell", "a\\u0007b"),
        ("a reversal", "\\u202Egnp.exe"),
        ("nothing visible", "\\u200B"),
    ] {
        let reply = target.post(what, name(text)).await;
        let faults = &reply.json()["data"]["projectCreate"]["userErrors"][0]["code"];
        assert!(
            reply.code().is_some() || faults == "INVALID" || faults == "REQUIRED",
            "{what}: {}",
            reply.text
        );
    }
    for (what, body) in [
        ("invalid UTF-8", b"{\"query\": \"{ __typename }\", \"variables\": {\"a\": \"\xff\xfe\"}}".to_vec()),
        ("UTF-16", "{\"query\": \"{ __typename }\"}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("nothing", Vec::new()),
        ("half", b"{\"query\": \"{ __typename".to_vec()),
        ("a number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("a key twice", b"{\"query\": \"{ __typename }\", \"query\": \"{ viewer { id } }\"}".to_vec()),
        (
            "a variable twice",
            b"{\"query\": \"query($a: Int) { __typename }\", \"variables\": {\"a\": 1, \"a\": 2}}".to_vec(),
        ),
        ("no query", b"{\"variables\": {}}".to_vec()),
        ("a query that is a list", b"{\"query\": [\"{ __typename }\"]}".to_vec()),
        ("variables that are a list", b"{\"query\": \"{ __typename }\", \"variables\": []}".to_vec()),
        ("variables that are a text", b"{\"query\": \"{ __typename }\", \"variables\": \"{}\"}".to_vec()),
        ("not a number", b"{\"query\": \"{ __typename }\", \"variables\": {\"a\": NaN}}".to_vec()),
    ] {
        let reply = target.post(what, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{what}: {}", reply.text);
        assert_eq!(reply.code().as_deref(), Some("BAD_USER_INPUT"), "{what}");
    }
    for (content, status) in [
        ("application/json; charset=utf-16", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json; charset=utf-8", StatusCode::OK),
        ("application/json;charset=\"UTF-8\"", StatusCode::OK),
    ] {
        let request = target.request(content).body(Body::from(r#"{"query": "{ __typename }"}"#)).unwrap();
        assert_eq!(target.send(content, request).await.status, status, "{content}");
    }
    let zipped = target
        .request("application/json")
        .header("content-encoding", "gzip")
        .body(Body::from(vec![0x1f, 0x8b, 8, 0]))
        .unwrap();
    assert_eq!(target.send("gzip", zipped).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let after = target
        .acme
        .owner
        .at(&target.server)
        .ok("{ organization { projects { totalCount } } }", json!({}))
        .await;
    assert_eq!(before, after, "nothing was made");
    // The controls: what only looks dangerous is kept as it is.
    for text in [
        "Robert'); drop table projects;--",
        "<img src=x onerror=alert(1)>",
        "=1+1",
        "../../etc/passwd",
        "日本語 \\ud83d\\ude00",
        "a\\tb",
    ] {
        let reply = target.post(text, name(text)).await;
        let expected: Value = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        let made = &reply.json()["data"]["projectCreate"];
        assert!(
            made["project"]["name"] == expected
                || (text == "a\\tb" && made["userErrors"][0]["code"] == "INVALID"),
            "{text}: {}",
            reply.text
        );
    }
    target.is_well().await;
}

/// Texts that something on the way might stumble over. The first one no database keeps.
const HOSTILE: [&str; 8] = [
    "a\0b",
    "\u{FFFF}\u{FFFE}\u{10FFFF}",
    "\u{202E}\u{200B}\u{FEFF}",
    "a\r\nBcc: b@x.example\r\n\r\n",
    "'; drop table users; --\" $1 $$ \\",
    "%s%n%x {0} ${jndi:ldap://127.0.0.1/x} {{7*7}}",
    "../../../../etc/passwd\\..\\",
    "NULL",
];

/// The inputs of mutations that take no id: what they would need beside the text under test.
fn input_without_id(field: &str) -> Option<Value> {
    Some(match field {
        "signup" => {
            json!({"email": cast::address(), "password": cast::PASSWORD, "name": "N", "organizationName": "O"})
        }
        "emailVerificationRequest" | "userUpdate" => json!({}),
        "passwordChange" => json!({"currentPassword": "a wrong one", "newPassword": cast::PASSWORD}),
        "passwordResetRequest" => json!({"email": cast::address()}),
        "passwordReset" => json!({"token": "none", "newPassword": cast::PASSWORD}),
        "emailVerify" | "invitationAccept" | "invitationDecline" => json!({"token": "none"}),
        "tokenRefresh" => json!({"refreshToken": "none"}),
        "organizationCreate" => json!({"name": "Another"}),
        _ => return None,
    })
}

/// Sets a value below a path, and makes the objects on the way to it.
fn put(value: &mut Value, path: &[&str], text: &str) {
    match path {
        [] => *value = text.into(),
        // Of a list, the first entry.
        path if value.is_array() => put(&mut value[0], path, text),
        [first, rest @ ..] => put(&mut value[*first], rest, text),
    }
}

/// Every place of the schema that takes a text, with every text: none is a fault of the server's, and what no database keeps
/// is refused where it stands.
///
/// Attacks: 36, 42, 43, 45.
#[tokio::test(flavor = "multi_thread")]
async fn every_place_that_takes_a_text_takes_any_text() {
    let world = World::new().await;
    let sdl = Sdl::of_the_server();
    let texts = ["String", "URL", "DateTime", "JSON"];
    let ids = sdl.places("ID");
    let mut wrong = Vec::new();
    let (mut asked, mut taken) = (0, 0);
    for place in texts.iter().flat_map(|scalar| sdl.places(scalar)) {
        let (root, rest) = place.split_once('.').unwrap();
        let (field, path) = rest.trim_end_matches(')').split_once('(').unwrap();
        let path: Vec<&str> = path.split('.').collect();
        let start = format!("Mutation.{field}(");
        let by_id = ids.iter().find(|place| place.starts_with(&start));
        for text in HOSTILE.into_iter().chain(["harmless"]) {
            let (document, mut variables) = if root == "Mutation" {
                let variables = match by_id {
                    Some(place) => world.case(place, "owner").await.map(|case| case.variables),
                    None => input_without_id(field).map(|input| json!({"input": input})),
                };
                let variables = variables.unwrap_or_else(|| {
                    panic!("`{field}` is new: say in `input_without_id` how it is called")
                });
                (mutation(field, ""), variables)
            } else {
                let definition = sdl.fields(root).into_iter().find(|known| known.name.node == field).unwrap();
                let ty = &definition
                    .arguments
                    .iter()
                    .find(|known| known.node.name.node == path[0])
                    .unwrap()
                    .node
                    .ty;
                let leaf = sdl.fields(base(&definition.ty.node)).is_empty();
                // What else must be given.
                let others = definition.arguments.iter().map(|known| &known.node).filter(|known| {
                    !known.ty.node.nullable && known.default_value.is_none() && known.name.node != path[0]
                });
                let others: String = others
                    .map(|known| match base(&known.ty.node) {
                        "DateTime" => format!("{}: \"2000-01-01T00:00:00Z\", ", known.name.node),
                        other => panic!("`{field}` needs a {other}: say here which one"),
                    })
                    .collect();
                let below = if leaf { "" } else { "{ __typename }" };
                let asked = format!("{field}({others}{0}: ${0}) {below}", path[0]);
                let asked = match root {
                    "Query" | "Subscription" => asked,
                    "Organization" => format!("organization {{ {asked} }}"),
                    "Project" => format!("project(id: \"{}\") {{ {asked} }}", world.other),
                    "User" => format!("viewer {{ {asked} }}"),
                    other => panic!("`{other}` takes a text: say here how one comes to it"),
                };
                let kind = if root == "Subscription" { "subscription" } else { "query" };
                (format!("{kind}(${}: {ty}) {{ {asked} }}", path[0]), json!({}))
            };
            put(&mut variables, &path, text);
            let answer = world.owner().send(&document, variables).await;
            asked += 1;
            let said = answer.body.to_string();
            tells_nothing(&place, &said);
            let refused = said.contains("\"code\":");
            let fault = answer.status.is_server_error()
                || ["INTERNAL", "UNAVAILABLE", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"]
                    .contains(&answer.code().unwrap_or_default());
            // Nothing is found by a text that cannot be stored, which need not be called wrong.
            let kept = text.contains('\0') && root == "Mutation" && !refused;
            if fault || kept {
                wrong.push(format!("{place} with {text:?}: {} {said:.300}", answer.status));
            }
            taken += usize::from(text == "harmless" && !refused);
        }
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
    // The control: a harmless text is taken at many of them.
    assert!(asked > 300 && taken > 20, "{asked} asked, {taken} taken");
}

// ------------------------------------------------------------------------------------------------ other origins

/// Attacks: 48, 49, 50, 52.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_by_an_address_or_by_a_form() {
    let target = Target::new().await;
    let change = format!(
        "mutation M {{ organizationUpdate(input: {{id: \"{}\", name: \"Taken\"}}) {{ userErrors {{ code }} }} }}",
        target.acme.id
    );
    let get = |query: &str| {
        let path = format!("/graphql?{query}");
        Request::get(path)
            .header("authorization", format!("Bearer {}", target.acme.owner.token))
            .body(Body::empty())
            .unwrap()
    };
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    assert_eq!(
        target.send("GET", get(&format!("query={}", encoded(&change)))).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let both = encoded(&format!("query Q {{ __typename }} {change}"));
    assert_eq!(
        target.send("GET by name", get(&format!("query={both}&operationName=M"))).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let reply =
        target.send("GET of the query beside it", get(&format!("query={both}&operationName=Q"))).await;
    assert_eq!(reply.json()["data"]["__typename"], "Query");
    for content in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/graphql",
        "text/json",
        "application/jsonp",
        "",
    ] {
        let body = json!({"query": change}).to_string();
        let request = target.request(content).body(Body::from(body)).unwrap();
        assert_eq!(
            target.send(content, request).await.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content}"
        );
    }
    let none = Request::post("/graphql")
        .header("authorization", format!("Bearer {}", target.acme.owner.token))
        .body(Body::from(json!({"query": change}).to_string()));
    assert_eq!(
        target.send("no content type", none.unwrap()).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    for method in
        [Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE, Method::CONNECT, Method::OPTIONS]
    {
        let request = Request::builder()
            .method(method.clone())
            .uri("/graphql")
            .header("content-type", "application/json");
        let reply = target
            .send(method.as_str(), request.body(Body::from(json!({"query": change}).to_string())).unwrap())
            .await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(reply.headers.get("allow").is_some(), "{method}");
    }
    target.is_well().await;
    // The control: as it is meant to be sent, it is done.
    assert_eq!(
        target.ask("POST", &change).await.json()["data"]["organizationUpdate"]["userErrors"],
        json!([])
    );
}

/// Attacks: 51, 56, 57.
#[tokio::test(flavor = "multi_thread")]
async fn another_origin_and_a_forged_host_change_nothing() {
    let target = Target::new().await;
    let ask = |origin: &str, host: &str| {
        let query = json!({"query": mutation("invitationCreate", "acceptUrl"), "variables": {"input": {"organizationId": target.acme.id, "email": cast::address(), "role": "VIEWER"}}});
        target
            .request("application/json")
            .header("origin", origin)
            .header("host", host)
            .header("x-forwarded-host", host)
            .header("forwarded", format!("host={host}"))
            .body(Body::from(query.to_string()))
            .unwrap()
    };
    let reply = target.send("a hostile origin", ask("https://evil.example", "evil.example")).await;
    assert!(reply.headers.get("access-control-allow-origin").is_none());
    assert!(!format!("{:?}", reply.headers).contains("evil"));
    let link = reply.json()["data"]["invitationCreate"]["acceptUrl"].as_str().unwrap().to_owned();
    assert!(link.starts_with("http://localhost:8000/"), "{link}");
    assert_eq!(reply.headers.get("cache-control").map(|value| value.to_str().unwrap()), Some("no-store"));
    assert!(reply.headers.get("set-cookie").is_none() && reply.headers.get("server").is_none());
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/graphql")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let reply = target.send("its preflight", preflight.body(Body::empty()).unwrap()).await;
    assert!(reply.headers.get("access-control-allow-origin").is_none());
    // The control: an origin that is allowed by name, and only that one.
    let target =
        Target::with(Config { cors_origins: vec!["https://app.example".to_owned()], ..config() }, tuning())
            .await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("https://app.example.evil.example", false),
        ("null", false),
        ("http://app.example", false),
    ] {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri("/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        let reply = target.send(origin, request.body(Body::empty()).unwrap()).await;
        let answer =
            reply.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(answer.as_deref(), allowed.then_some(origin));
        assert!(reply.headers.get("access-control-allow-credentials").is_none());
    }
}

/// Attacks: 144.
#[tokio::test(flavor = "multi_thread")]
async fn every_error_names_its_code_and_its_request() {
    let target = Target::new().await;
    let mut database = target.server.database.superuser().await;
    for query in [
        "{ nothing }",
        "{",
        "{ node(id: \"x\") { id } }",
        "{ organization(id: \"org_x\") { id } }",
        "mutation { logout(input: {everywhere: 1}) { revokedCount } }",
        "subscription { x }",
    ] {
        let reply = target.ask(query, query).await;
        for error in reply.json()["errors"].as_array().unwrap() {
            assert!(
                error["extensions"]["code"].is_string() && error["extensions"]["requestId"].is_string(),
                "{error}"
            );
        }
    }
    // A fault of the database is one fixed sentence and the request's id.
    sqlx::Executor::execute(&mut database, "alter table projects rename column slug to slugs").await.unwrap();
    let start = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("x-request-id", "req-broken")
        .header("authorization", format!("Bearer {}", target.acme.owner.token));
    let (status, headers, bytes) = target.server.send(start.body(Body::from(json!({"query": "{ viewer { name } organization { projects { totalCount nodes { id } } } }"}).to_string())).unwrap()).await;
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(status, StatusCode::OK);
    let error = &body["errors"][0];
    assert_eq!(
        (&error["extensions"]["code"], &error["extensions"]["requestId"]),
        (&json!("INTERNAL"), &json!("req-broken"))
    );
    assert_eq!(
        error["message"],
        "Something went wrong on the server. It has been logged under this request id."
    );
    assert_eq!(body["data"]["viewer"]["name"], "Olivia Owner", "what can be answered is");
    assert_eq!(headers.get("x-request-id").unwrap(), "req-broken");
    tells_nothing("a broken table", &body.to_string());
    sqlx::Executor::execute(&mut database, "alter table projects rename column slugs to slug").await.unwrap();
    // So is a constraint that nobody has thought of, and a statement that takes too long is told as that.
    let create = |name: &str| {
        json!({"query": mutation("projectCreate", "project { id }"), "variables": {"input": {"organizationId": target.acme.id, "name": name}}}).to_string()
    };
    let constraint = "alter table projects add constraint projects_secret check (name <> 'Taboo')";
    sqlx::Executor::execute(&mut database, constraint).await.unwrap();
    let reply = target.post("a constraint", create("Taboo")).await;
    assert_eq!(reply.code().as_deref(), Some("INTERNAL"), "{}", reply.text);
    assert!(!reply.text.contains("secret") && !reply.text.contains("Taboo"), "{}", reply.text);
    let slow = "create function public.wait() returns trigger language plpgsql as
        $$ begin if new.name = 'Slow' then perform pg_sleep(30); end if; return new; end $$";
    sqlx::Executor::execute(&mut database, slow).await.unwrap();
    let trigger = "create trigger wait before insert on projects for each row execute function public.wait()";
    sqlx::Executor::execute(&mut database, trigger).await.unwrap();
    let mut superuser = target.server.database.superuser().await;
    let cancel = async {
        // What the statement's own limit does after ten seconds.
        let running = "select count(pg_cancel_backend(pid)) from pg_stat_activity
            where datname = current_database() and usename = 'aicos_app' and wait_event = 'PgSleep'";
        while sqlx::query_scalar::<_, i64>(running).fetch_one(&mut superuser).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (reply, ()) = tokio::join!(target.post("a slow statement", create("Slow")), cancel);
    assert_eq!(reply.code().as_deref(), Some("TIMEOUT"), "{}", reply.text);
    let made = target.post("the control", create("Plain")).await;
    assert!(made.json()["data"]["projectCreate"]["project"]["id"].is_string(), "{}", made.text);
    target.is_well().await;
}
