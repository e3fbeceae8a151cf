//! The handler against the toy schema: each refusal beside a request that is served.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::http::HeaderName;
use futures_util::stream;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::error::Refusal;
use crate::graphql::toy;

const MODERN: &str = "application/graphql-response+json";

/// A gate that reads the token's text as an order.
#[derive(Default)]
struct Doorman {
    runs: Mutex<Vec<Arc<AtomicUsize>>>,
    admitted: AtomicUsize,
    released: AtomicUsize,
    charged: AtomicU64,
    addresses: Mutex<Vec<IpAddr>>,
}

#[derive(Clone, Default)]
struct SharedDoorman(Arc<Doorman>);

impl Gate for SharedDoorman {
    type Context = AtomicUsize;

    async fn admit(&self, head: Head<'_>) -> Result<Admission<AtomicUsize>, Error> {
        let token = head.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
        match token {
            "Bearer forged" => return Err(Error::Unauthenticated(Refusal::NotAccepted)),
            "Bearer expired" => return Err(Error::Unauthenticated(Refusal::Expired)),
            "Bearer greedy" => return Err(Error::Limited(Duration::from_secs(7))),
            "Bearer early" => return Err(Error::unavailable(anyhow::anyhow!("secret of the pool"))),
            "Bearer unlucky" => panic!("secret of the gate"),
            _ => {}
        }
        self.0.admitted.fetch_add(1, Ordering::Relaxed);
        self.0.addresses.lock().unwrap().push(head.address);
        let credential = if token == "Bearer good" { Shown::Accepted } else { Shown::Nothing };
        Ok(Admission { context: AtomicUsize::new(0), credential })
    }

    async fn charge(&self, _: &AtomicUsize, charge: Charge<'_>) -> Charged {
        let spent = self.0.charged.fetch_add(charge.points, Ordering::Relaxed) + charge.points;
        let remaining = 20_000u64.checked_sub(spent);
        let refused = remaining.is_none().then(|| Error::Limited(Duration::from_secs(30)));
        let left = HeaderValue::from(remaining.unwrap_or(0));
        let headers = HeaderMap::from_iter([(HeaderName::from_static("ratelimit"), left)]);
        Charged { remaining, headers, refused }
    }

    async fn rest(&self, _: &AtomicUsize) {}

    async fn attend(&self, _: &Arc<AtomicUsize>) -> Error {
        std::future::pending().await
    }

    fn release(&self, context: Arc<AtomicUsize>) {
        self.0.released.fetch_add(1, Ordering::Relaxed);
        self.0.runs.lock().unwrap().push(context);
    }
}

struct Server {
    router: Router,
    doorman: Arc<Doorman>,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of the first error.
    fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or("").to_owned()
    }
}

impl Server {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let doorman = SharedDoorman::default();
        let endpoint = Endpoint::new(doorman.clone(), Arc::new(toy::executor()), settings);
        Self { router: Router::new().route("/graphql", endpoint.into_route()), doorman: doorman.0 }
    }

    async fn send(&self, request: Request<BodyStream>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn post(&self, headers: &[(&str, &str)], body: impl Into<BodyStream>) -> Reply {
        self.send(post(headers, body)).await
    }

    async fn get(&self, headers: &[(&str, &str)], query: &[(&str, &str)]) -> Reply {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let mut request = Request::get(format!("/graphql?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(BodyStream::empty()).unwrap()).await
    }

    /// Asks for a document with the usual headers.
    async fn ask(&self, document: &str) -> Reply {
        self.post(&[("accept", MODERN)], json!({ "query": document }).to_string()).await
    }

    /// How often the toy's resolvers ran.
    fn runs(&self) -> usize {
        self.doorman.runs.lock().unwrap().iter().map(|runs| runs.load(Ordering::Relaxed)).sum()
    }
}

fn post(headers: &[(&str, &str)], body: impl Into<BodyStream>) -> Request<BodyStream> {
    let mut request = Request::post("/graphql");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers.iter().filter(|(_, value)| *value != "-") {
        request = request.header(HeaderName::from_bytes(name.as_bytes()).unwrap(), *value);
    }
    request.body(body.into()).unwrap()
}

fn mutation() -> String {
    json!({ "query": "mutation { run }" }).to_string()
}

/// Attacks: 24, 39, 50.
#[tokio::test]
async fn only_json_is_read() {
    let server = Server::new();
    for refused in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/graphql",
        "application/json; charset=utf-16",
        "-",
    ] {
        let reply = server.post(&[("content-type", refused)], mutation()).await;
        assert_eq!((reply.status, reply.code().as_str()), (415, "BAD_USER_INPUT"), "{refused}");
    }
    for encoding in ["gzip", "br", "identity, gzip"] {
        assert_eq!(
            server.post(&[("content-encoding", encoding)], mutation()).await.status,
            415,
            "{encoding}"
        );
    }
    assert_eq!(server.runs(), 0);
    let served = server.post(&[("content-encoding", "identity")], mutation()).await;
    assert_eq!((served.status, served.text.as_str()), (200, r#"{"data":{"run":1}}"#));
    assert_eq!(
        server.post(&[("content-type", "application/json;charset=UTF-8")], mutation()).await.status,
        200
    );
    assert_eq!(server.runs(), 2);
}

/// Attacks: 48, 49, 52.
#[tokio::test]
async fn mutations_never_run_over_get() {
    let server = Server::new();
    let both = "query Q { hello } mutation M { run }";
    for query in [&[("query", "mutation { run }")][..], &[("query", both), ("operationName", "M")]] {
        for headers in [&[][..], &[("content-type", "application/json")]] {
            let reply = server.get(headers, query).await;
            assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
            assert_eq!(reply.code(), "BAD_USER_INPUT");
        }
    }
    assert_eq!(server.runs(), 0);
    let served = server.get(&[], &[("query", both), ("operationName", "Q")]).await;
    assert_eq!(served.text, r#"{"data":{"hello":"hello"}}"#);
    let variables = [("query", "query ($n: Int) { echo(number: $n) }"), ("variables", r#"{"n": 5}"#)];
    assert!(server.get(&[], &variables).await.text.contains("Some(5)"));
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "HEAD", "OPTIONS", "PROPFIND"] {
        let request =
            Request::builder().method(method).uri("/graphql").body(BodyStream::from(mutation())).unwrap();
        let reply = server.send(request).await;
        assert_eq!((reply.status, reply.header("allow")), (405, "GET, POST"), "{method}");
    }
    assert_eq!(server.runs(), 1);
}

#[tokio::test]
async fn the_status_follows_the_media_type() {
    let server = Server::new();
    for (body, modern, legacy, code) in [
        (json!({ "query": "{ hello }" }), 200, 200, ""),
        (json!({ "query": "{ hello }", "operationName": "" }), 200, 200, ""),
        (json!({ "query": "{ broken }" }), 200, 200, "INTERNAL"),
        (json!({ "query": "{ hello" }), 400, 200, "GRAPHQL_PARSE_FAILED"),
        (json!({ "query": "{ nope }" }), 400, 200, "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "query ($n: Int!) { echo(number: $n) }" }), 400, 200, "BAD_USER_INPUT"),
        (json!({ "query": "{ things(first: 101) { nodes { id } } }" }), 400, 200, "BAD_USER_INPUT"),
        (json!({ "query": "{ hello ".repeat(60) }), 400, 200, "QUERY_TOO_DEEP"),
        (json!({ "query": "subscription { ticks(to: 1) }" }), 400, 200, "BAD_USER_INPUT"),
        (json!({ "query": "{ hello }", "operationName": "Q" }), 400, 200, "BAD_USER_INPUT"),
        (json!({}), 400, 400, "BAD_USER_INPUT"),
        (json!({ "query": 5 }), 400, 400, "BAD_USER_INPUT"),
        (json!({ "query": "{ hello }", "variables": [] }), 400, 400, "BAD_USER_INPUT"),
        (json!({ "query": "{ hello }", "extensions": "x" }), 400, 400, "BAD_USER_INPUT"),
        (json!([{ "query": "{ hello }" }]), 400, 400, "BAD_USER_INPUT"),
    ] {
        for (accept, status) in [(MODERN, modern), ("application/json", legacy)] {
            let reply = server.post(&[("accept", accept)], body.to_string()).await;
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{body} {accept}");
            assert_eq!(reply.header("content-type"), format!("{accept}; charset=utf-8"));
            let executed = modern == 200;
            assert_eq!(reply.json().get("data").is_some(), executed, "{body}");
        }
    }
    let refused = server.post(&[("accept", "text/html")], mutation()).await;
    assert_eq!((refused.status, server.runs()), (406, 4));
}

/// Attacks: 14, 37, 38, 39, 40, 41.
#[tokio::test]
async fn malformed_bodies_are_refused() {
    let server = Server::new();
    let deep = format!(
        r#"{{"query": "{{ hello }}", "variables": {{"a": {}{}}}}}"#,
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let utf16: Vec<u8> = mutation().encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bad in [
        Vec::new(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"\xef\xbb\xbf{\"query\": \"{ hello }\"}".to_vec(),
        b"{\"query\": \"{ hello } # \xff\"}".to_vec(),
        br#"{"query": "{ hello }", "query": "mutation { run }"}"#.to_vec(),
        br#"{"query": "{ hello }", "variables": {"a": 1, "a": 2}}"#.to_vec(),
        br#"{"query": "\ud800"}"#.to_vec(),
        deep.into_bytes(),
        utf16,
    ] {
        let reply = server.post(&[], bad).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_USER_INPUT"), "{}", reply.text);
        assert!(reply.text.len() < 1_000);
    }
    assert_eq!(server.post(&[], r#"{"query": "{ hello } # \u00ff ÿ"}"#).await.status, 200);
}

/// Attacks: 17, 18.
#[tokio::test]
async fn bodies_are_read_up_to_the_limit_that_the_credential_earns() {
    let server = Server::new();
    let padded = |bytes: usize| {
        let frame = json!({ "query": "{ hello }", "padding": "" }).to_string().len();
        json!({ "query": "{ hello }", "padding": "x".repeat(bytes - frame) }).to_string()
    };
    let good = [("authorization", "Bearer good")];
    let (small, large) = (256 * 1024, 8 * 1024 * 1024);
    assert_eq!(server.post(&[], padded(small)).await.status, 200);
    assert_eq!(server.post(&[], padded(small + 1)).await.status, 413);
    assert_eq!(server.post(&good, padded(small + 1)).await.status, 200);
    assert_eq!(server.post(&good, padded(large)).await.status, 200);
    let refused = server.post(&good, padded(large + 1)).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "BAD_USER_INPUT"));
    let document = json!({ "query": format!("{{ hello }} #{}", "x".repeat(small)) }).to_string();
    let refused = server.post(&good, document).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "QUERY_TOO_COMPLEX"));

    // Without a declared length reading stops at the limit.
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let chunks = stream::repeat_with(move || {
        counter.fetch_add(16 * 1024, Ordering::Relaxed);
        Ok::<_, Infallible>(vec![b' '; 16 * 1024])
    });
    assert_eq!(server.post(&[], BodyStream::from_stream(chunks.take_bounded(4_096))).await.status, 413);
    assert!(sent.load(Ordering::Relaxed) <= small + 32 * 1024);
}

/// Ends an endless stream, so that a broken limit fails a test and does not fill the memory.
trait TakeBounded: stream::Stream + Sized {
    fn take_bounded(self, most: usize) -> stream::Take<Self> {
        stream::StreamExt::take(self, most)
    }
}

impl<S: stream::Stream> TakeBounded for S {}

/// Attacks: 57.
#[tokio::test]
async fn answers_carry_few_and_safe_headers() {
    let server = Server::new();
    for (reply, headers) in [(server.ask("{ hello }").await, 6), (server.ask("{ nope }").await, 5)] {
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("x-request-id").len(), 26);
        // What was charged for says what is left.
        assert_eq!(reply.headers.keys().len(), headers, "{:?}", reply.headers);
    }
    let echoed = server.post(&[("x-request-id", "caller-0001")], r#"{"query": "{ nope }"}"#).await;
    assert_eq!(echoed.header("x-request-id"), "caller-0001");
    assert_eq!(echoed.json()["errors"][0]["extensions"]["requestId"], "caller-0001");
    let replaced = server.post(&[("x-request-id", "<script>alert</script>")], mutation()).await;
    assert_eq!(replaced.header("x-request-id").len(), 26);
}

#[tokio::test]
async fn the_price_is_told_when_asked_for() {
    let server = Server::new();
    let body = json!({ "query": "{ things(first: 10) { nodes { id } } }" }).to_string();
    assert!(server.post(&[], body.clone()).await.json().get("extensions").is_none());
    let told = server.post(&[("x-cost", "1")], body.clone()).await.json();
    assert_eq!(
        told["extensions"]["cost"],
        json!({ "requested": 11, "limit": 5000, "remaining": 20_000 - 22 })
    );
    assert!(told["data"]["things"].is_object());

    let dry = [("x-cost", "dry-run")];
    let priced = server.post(&dry, body).await.json();
    assert_eq!(
        priced,
        json!({ "data": null, "extensions": { "cost": { "requested": 11, "limit": 5000, "remaining": 20_000 - 22 } } })
    );
    assert_eq!(server.post(&dry, mutation()).await.json()["extensions"]["cost"]["requested"], 1);
    assert_eq!(server.runs(), 0);
    let dear = json!({ "query": "{ things(first: 100) { nodes { things(first: 100) { nodes { id } } } } }" })
        .to_string();
    assert_eq!(server.post(&dry, dear.clone()).await.json()["extensions"]["cost"]["requested"], 10_201);
    let refused = server.post(&[("accept", MODERN)], dear).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "QUERY_TOO_COMPLEX"));
    assert_eq!(server.doorman.charged.load(Ordering::Relaxed), 22);
}

#[tokio::test]
async fn a_budget_that_is_spent_stops_the_request() {
    let server = Server::new();
    assert_eq!(server.post(&[], mutation()).await.status, 200);
    server.doorman.charged.store(20_000, Ordering::Relaxed);
    let refused = server.post(&[], mutation()).await;
    assert_eq!(
        (refused.status, refused.code().as_str(), refused.header("retry-after")),
        (429, "RATE_LIMITED", "30")
    );
    assert_eq!(refused.json()["errors"][0]["extensions"]["retryAfter"], 30);
    assert_eq!(refused.header("ratelimit"), "0");
    assert_eq!(server.runs(), 1);
}

#[tokio::test]
async fn what_is_left_of_the_budget_stands_in_the_head() {
    let server = Server::new();
    assert_eq!(server.ask("{ hello }").await.header("ratelimit"), "19999");
    assert_eq!(server.ask("{ nothing }").await.header("ratelimit"), "");
}

#[tokio::test]
async fn whoever_gets_no_turn_soon_is_told_to_come_again_and_those_who_wait_for_others_need_none() {
    let turns = TurnSettings { at_once: 1, waiting: 1, patience: Duration::from_millis(100), bodies: 300 };
    let deadline = Duration::from_secs(2);
    let server = Arc::new(Server::with(Settings { deadline, turns, ..Settings::default() }));
    assert_eq!(server.ask("{ hello }").await.status, 200);
    let begin = |document: &'static str| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.ask(document).await })
    };
    let slow = begin("{ slow }");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = server.ask("{ hello }").await;
    assert_eq!(
        (refused.status, refused.code().as_str(), refused.header("retry-after")),
        (503, "UNAVAILABLE", "1")
    );
    assert_eq!(refused.json()["errors"][0]["extensions"]["retryAfter"], 1);
    slow.abort();
    let _ = slow.await;
    // A turn is given back by whoever goes away, and given up by whoever waits for somebody else.
    assert_eq!(server.ask("{ hello }").await.status, 200);
    let patient = begin("{ patient }");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.ask("{ hello }").await.status, 200);
    patient.abort();
    // Bodies have so much room together, which is free again afterwards.
    let large = json!({ "query": format!("{{ hello }} # {}", "x".repeat(400)) }).to_string();
    assert_eq!(server.post(&[], large).await.status, 503);
    assert_eq!(server.ask("{ hello }").await.status, 200);
}

#[tokio::test]
async fn the_gate_refuses_before_the_body_is_read() {
    let server = Server::new();
    for (token, status, code, header, value) in [
        ("Bearer forged", 401, "UNAUTHENTICATED", "www-authenticate", "Bearer"),
        ("Bearer expired", 401, "TOKEN_EXPIRED", "www-authenticate", "Bearer"),
        ("Bearer greedy", 429, "RATE_LIMITED", "retry-after", "7"),
        ("Bearer early", 503, "UNAVAILABLE", "retry-after", "2"),
        ("Bearer unlucky", 500, "INTERNAL", "retry-after", ""),
    ] {
        for accept in [MODERN, "application/json"] {
            let never = BodyStream::from_stream(stream::poll_fn(
                |_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> { panic!("the body is read") },
            ));
            let reply = server.post(&[("authorization", token), ("accept", accept)], never).await;
            assert_eq!(
                (reply.status, reply.code().as_str(), reply.header(header)),
                (status, code, value),
                "{token}"
            );
            assert!(!reply.text.contains("secret") && reply.json().get("data").is_none());
        }
    }
    assert_eq!(server.post(&[("authorization", "Bearer good")], mutation()).await.status, 200);
    assert_eq!(server.runs(), 1);
}

/// Attacks: 72.
#[tokio::test]
async fn what_comes_to_nothing_is_a_503_and_what_is_partial_is_not() {
    let server = Server::with(Settings { batch: Some(10), ..Settings::default() });
    for accept in [MODERN, "application/json"] {
        for (documents, status) in [
            (&["{ away }"][..], 503),
            (&["{ away again: away }"], 503),
            (&["{ away }", "{ away }"], 503),
            (&["{ away hello }"], 200),
            (&["{ away thing { name } }"], 200),
            (&["{ away }", "{ hello }"], 200),
            // Another fault beside it would not go away by itself.
            (&["{ away broken }"], 200),
            (&["{ away refused }"], 200),
            (&["{ broken }"], 200),
            (&["{ hello }"], 200),
        ] {
            let operations: Vec<_> = documents.iter().map(|text| json!({ "query": text })).collect();
            let body =
                if let [one] = &operations[..] { one.to_string() } else { json!(operations).to_string() };
            let reply = server.post(&[("accept", accept)], body).await;
            let again = if status == 503 { "2" } else { "" };
            assert_eq!((reply.status, reply.header("retry-after")), (status, again), "{documents:?}");
            assert!(!reply.text.contains("secret"));
            let first = reply.json().as_array().map_or_else(|| reply.json(), |all| all[0].clone());
            if status == 503 {
                assert!(first["data"].is_null() && first.get("data").is_some(), "{first}");
                assert_eq!(first["errors"][0]["extensions"]["code"], "UNAVAILABLE");
            }
        }
    }
}

#[tokio::test]
async fn ambiguous_credentials_are_refused() {
    let server = Server::new();
    for twice in [
        &[("authorization", "Bearer good"), ("authorization", "Bearer good")][..],
        &[("authorization", "Bearer good"), ("x-api-key", "key")],
        &[("x-api-key", "a"), ("x-api-key", "b")],
        &[("x-organization", "a"), ("x-organization", "b")],
        &[("x-project", "a"), ("x-project", "b")],
    ] {
        let reply = server.post(twice, mutation()).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_USER_INPUT"), "{twice:?}");
    }
    assert_eq!(server.doorman.admitted.load(Ordering::Relaxed), 0);
    let one = [("authorization", "Bearer good"), ("x-organization", "a"), ("x-project", "b")];
    assert_eq!(server.post(&one, mutation()).await.status, 200);
    // What looks like a credential in the address never reaches the gate as one.
    let reply =
        server.get(&[], &[("query", "{ hello }"), ("authorization", "Bearer forged"), ("token", "x")]).await;
    assert_eq!(reply.status, 200);
}

/// Attacks: 144, 147.
#[tokio::test]
async fn faults_show_one_sentence_and_the_server_lives() {
    let server = Server::new();
    for fault in ["boom", "broken", "misplaced"] {
        let reply = server.ask(&format!("{{ {fault} }}")).await;
        assert_eq!((reply.status, reply.code().as_str()), (200, "INTERNAL"), "{fault}");
        let error = &reply.json()["errors"][0];
        assert_eq!(error["message"], Error::internal(anyhow::anyhow!("")).message());
        assert_eq!(error["extensions"]["requestId"], reply.header("x-request-id"));
        assert_eq!(reply.json()["data"], Value::Null);
        for secret in ["secret", "bool", "panic", "index"] {
            assert!(!reply.text.contains(secret), "{}", reply.text);
        }
    }
    assert_eq!(server.ask("{ hello }").await.text, r#"{"data":{"hello":"hello"}}"#);
    let refused = server.ask("{ refused }").await.json();
    assert_eq!(refused["errors"][0]["message"], "The name is odd.");
    assert_eq!(refused["errors"][0]["extensions"]["field"], json!(["input", "name"]));
    assert_eq!(refused["errors"][0]["path"], json!(["refused"]));
    let unreadable = server.ask("{ echo(key: \"other\") }").await;
    assert_eq!((unreadable.status, unreadable.code().as_str()), (200, "BAD_USER_INPUT"));
    assert_eq!(
        unreadable.json()["errors"][0]["message"],
        "A value is not a valid `Key`: a key starts with `key_`."
    );
}

#[tokio::test]
async fn every_error_has_a_code_and_the_request_id() {
    let server = Server::new();
    let unknown: String = (0..100).map(|at| format!("nope{at} ")).collect();
    let reply = server.ask(&format!("{{ thing {{ {unknown} }} }}")).await;
    let errors = reply.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 21);
    for error in &errors {
        assert_eq!(error["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(error["extensions"]["requestId"], reply.header("x-request-id"));
    }
    assert!(reply.text.len() < 10_000);
    let page = server.ask("{ all: things(first: 0) { nodes { id } } }").await;
    assert_eq!(page.json()["errors"][0]["extensions"]["field"], json!(["all", "first"]));
}

#[tokio::test]
async fn a_bad_variable_gets_the_same_answer_on_hit_and_miss() {
    for variables in [
        json!({}),
        json!({ "n": "x" }),
        json!({ "n": 2_147_483_648_u32 }),
        json!({ "n": null }),
        json!({ "n": 5 }),
    ] {
        let server = Server::new();
        let body =
            json!({ "query": "query ($n: Int!) { echo(number: $n) }", "variables": variables }).to_string();
        for accept in [MODERN, "application/json"] {
            let headers = [("accept", accept), ("x-request-id", "same-request")];
            let miss = server.post(&headers, body.clone()).await;
            let hit = server.post(&headers, body.clone()).await;
            assert_eq!((miss.status, &miss.text), (hit.status, &hit.text));
            assert_eq!(miss.status == 400, variables != json!({ "n": 5 }) && accept == MODERN);
        }
    }
}

/// Attacks: 22, 144.
#[tokio::test]
async fn a_request_that_takes_too_long_is_stopped() {
    let server = Server::with(Settings { deadline: Duration::from_millis(50), ..Settings::default() });
    let reply = server.ask("{ slow }").await;
    assert_eq!((reply.status, reply.code().as_str(), reply.header("retry-after")), (503, "TIMEOUT", "2"));
    assert_eq!(reply.json()["data"], Value::Null);
    let stalled = stream::pending::<Result<Bytes, Infallible>>();
    let reply = server.post(&[], BodyStream::from_stream(stalled)).await;
    assert_eq!((reply.status, reply.code().as_str()), (408, "TIMEOUT"));
    assert_eq!(server.ask("{ hello }").await.status, 200);
}

#[tokio::test]
async fn the_context_is_released_however_the_request_ends() {
    let server = Server::with(Settings { deadline: Duration::from_millis(300), ..Settings::default() });
    for document in ["{ hello }", "{ nope }", "{ boom }", "{ slow }"] {
        server.ask(document).await;
    }
    // A caller that goes away.
    let request = post(&[], json!({ "query": "{ slow }" }).to_string());
    let gone = tokio::time::timeout(Duration::from_millis(20), server.router.clone().oneshot(request)).await;
    assert!(gone.is_err());
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    assert_eq!(server.post(&[], BodyStream::from_stream(broken)).await.status, 400);
    assert_eq!(server.doorman.admitted.load(Ordering::Relaxed), 6);
    assert_eq!(server.doorman.released.load(Ordering::Relaxed), 6);
}

/// Attacks: 3.
#[tokio::test]
async fn arrays_are_served_only_when_switched_on() {
    let array = |count: usize| Value::Array(vec![json!({ "query": "mutation { run }" }); count]).to_string();
    let off = Server::new();
    for count in [1, 2, 11, 101] {
        assert_eq!(off.post(&[], array(count)).await.status, 400);
    }
    assert_eq!(off.runs(), 0);
    let on = Server::with(Settings { batch: Some(10), ..Settings::default() });
    for count in [0, 11, 101] {
        assert_eq!(on.post(&[], array(count)).await.status, 400);
    }
    assert_eq!(on.runs(), 0);
    let served = on.post(&[], array(10)).await;
    assert_eq!(served.json().as_array().unwrap().len(), 10);
    assert_eq!(served.json()[9]["data"]["run"], 10);
    let mixed = json!([{ "query": "{ hello }" }, { "query": "{ nope }" }, { "query": "mutation { run }" }])
        .to_string();
    let mixed = on.post(&[("x-cost", "1")], mixed).await.json();
    assert_eq!(mixed[0]["data"]["hello"], "hello");
    assert_eq!(mixed[1]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    assert!(mixed[1].get("data").is_none());
    assert_eq!(mixed[2]["data"]["run"], 2);
    let dear = json!({ "query": "{ things(first: 100) { nodes { things(first: 30) { nodes { id } } } } }" });
    assert_eq!(on.post(&[("accept", MODERN)], dear.to_string()).await.status, 200);
    let together = on.post(&[("accept", MODERN)], json!([dear, dear]).to_string()).await;
    assert_eq!((together.status, together.code().as_str()), (400, "QUERY_TOO_COMPLEX"));
    let missing = on.post(&[], json!([{ "query": "mutation { run }" }, {}]).to_string()).await;
    assert_eq!(missing.status, 400);
    assert_eq!(on.runs(), 12);
}

/// Attacks: 35.
#[tokio::test]
async fn the_callers_address_is_that_of_the_connection_or_a_trusted_proxys_word() {
    let proxies = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
    let server = Server::with(Settings { proxies, ..Settings::default() });
    for (peer, seen) in [("203.0.113.9:1", "203.0.113.9"), ("10.0.0.1:1", "198.51.100.7")] {
        let mut request = post(&[("x-forwarded-for", "1.2.3.4, 198.51.100.7")], mutation());
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        server.send(request).await;
        assert_eq!(server.doorman.addresses.lock().unwrap().pop().unwrap().to_string(), seen);
    }
}
