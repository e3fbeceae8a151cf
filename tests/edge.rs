//! The edge: bytes on a connection that no client library would send, and the headers of every kind of answer.

use std::net::SocketAddr;
use std::time::Duration;

use aicos::app::{Running, Tuning};
use aicos::config::{Config, Settings};
use aicos::http::Patience;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, Version};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::cast::{self, Organization};
use crate::support::{Server, config, mutation, tuning};

/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that listens.
struct Edge {
    running: Running,
}

impl Edge {
    async fn open() -> Self {
        Self::with(Patience::default()).await
    }

    async fn with(patience: Patience) -> Self {
        let server = Server::with(config(), Tuning { patience, ..tuning() }).await;
        let running = server.app.clone().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self { running }
    }

    fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Somebody is answered, on a connection of their own.
    async fn is_well(&self) {
        let answer = say(self.address(), &post(r#"{"query": "{ __typename }"}"#)).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""__typename":"Query""#), "{answer}");
    }
}

/// A request as it is meant to be, which asks for the end of its connection.
fn post(body: &str) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Sends bytes, and gives everything that comes back until the server closes.
async fn say(address: SocketAddr, bytes: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(bytes.as_bytes()).await.unwrap();
    until_closed(&mut connection).await
}

/// Everything that comes until the server closes; that it resets a connection on which it left something unread is fine.
async fn until_closed(connection: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let reading = async {
        while let Ok(count @ 1..) = connection.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..count]);
        }
    };
    timeout(PATIENCE, reading).await.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many answers a text of several holds.
fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

// ------------------------------------------------------------------------------------------------ connections

/// Two hundred connections that begin and do not go on, in every way that there is.
///
/// Attacks: 22.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_not_go_on_are_closed_and_keep_nobody_out() {
    let head = Duration::from_secs(3);
    assert!(Patience::default().head <= Duration::from_secs(10));
    let edge = Edge::with(Patience { head, ..Patience::default() }).await;
    let beginnings = [
        "",
        "P",
        // Half of what a connection of HTTP/2 begins with.
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\n",
    ];
    let begun = Instant::now();
    let mut half_open = Vec::new();
    for number in 0..200 {
        let mut connection = TcpStream::connect(edge.address()).await.unwrap();
        connection.write_all(beginnings[number % beginnings.len()].as_bytes()).await.unwrap();
        half_open.push(connection);
    }
    // A header more now and then does not keep one open.
    let mut dripping = TcpStream::connect(edge.address()).await.unwrap();
    dripping.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    let drip = async {
        for number in 0..100 {
            if dripping.write_all(format!("X-Drip-{number}: 1\r\n").as_bytes()).await.is_err() {
                return number;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("it drips for ever");
    };
    // The controls: meanwhile others are served, and whoever has asked once may take their time.
    let others = async {
        let mut patient = TcpStream::connect(edge.address()).await.unwrap();
        let ask = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for _ in 0..8 {
            patient.write_all(ask.as_bytes()).await.unwrap();
            let mut buffer = [0; 1024];
            let count = timeout(PATIENCE, patient.read(&mut buffer)).await.unwrap().unwrap();
            assert!(buffer[..count].starts_with(b"HTTP/1.1 200"));
            edge.is_well().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let closing = join_all(half_open.iter_mut().map(until_closed));
    let (closed, dripped, ()) = tokio::join!(closing, drip, others);
    assert!(dripped > 4, "{dripped}");
    for (number, said) in closed.iter().enumerate() {
        // The frames with which HTTP/2 begins are no answer.
        assert_eq!(answers(said), usize::from(said.contains(" 408 ")), "{number}: {said}");
    }
    assert!(begun.elapsed() >= head, "it was no timeout that closed them");
    edge.is_well().await;
}

/// Answers that nobody reads are given up, and with them what they hold.
///
/// Attacks: 22.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answer_is_given_up() {
    let unread = Duration::from_secs(2);
    let edge = Edge::with(Patience { unread, ..Patience::default() }).await;
    let query = r#"{"query": "{ __schema { types { name description fields { name description } } } }"}"#;
    let ask = post(query).replace("Connection: close\r\n", "");
    // More than all buffers hold: the server stands still until it hangs up, which shows in what is sent to it.
    let mut deaf = TcpStream::connect(edge.address()).await.unwrap();
    let sending = async { while deaf.write_all(ask.as_bytes()).await.is_ok() {} };
    timeout(2 * PATIENCE, sending).await.expect("the server hangs up");
    // The control: whoever reads, however late, gets as many answers as they have asked for.
    let mut slow = TcpStream::connect(edge.address()).await.unwrap();
    slow.write_all(ask.repeat(5).as_bytes()).await.unwrap();
    tokio::time::sleep(unread + Duration::from_secs(1)).await;
    let (mut seen, mut rest, mut buffer) = (0, String::new(), vec![0; 1 << 16]);
    while seen < 5 {
        let count = timeout(PATIENCE, slow.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(count, 0, "it ended after {seen} answers");
        rest += &String::from_utf8_lossy(&buffer[..count]);
        seen += answers(&rest);
        // What may be the beginning of the next one.
        rest = rest.split_off(rest.floor_char_boundary(rest.len().saturating_sub("HTTP/1.1".len())));
    }
    edge.is_well().await;
}

/// Attacks: 23.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_greatest_size() {
    let edge = Edge::open().await;
    let with = |size: usize| {
        format!(
            "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Large: {}\r\nConnection: close\r\n\r\n",
            "x".repeat(size)
        )
    };
    for size in [64 * 1024, 1 << 20] {
        let answer = say(edge.address(), &with(size)).await;
        assert!(
            answer.starts_with("HTTP/1.1 431") || answer.is_empty() && size > 64 * 1024,
            "{size}: {answer}"
        );
    }
    let path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(64 * 1024));
    let answer = say(edge.address(), &path).await;
    assert!(answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..1_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    let answer = say(edge.address(), &format!("GET /livez HTTP/1.1\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    // The control: what a few tokens and tracing headers take.
    let answer = say(edge.address(), &with(16 * 1024)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    // HTTP/2 has the same measure.
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for (size, expected) in [(64 * 1024, 431), (16 * 1024, 200)] {
        let url = format!("http://{}/livez", edge.address());
        let answer = client.get(url).header("x-large", "x".repeat(size)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (expected, Version::HTTP_2), "{size}");
    }
}

/// A length that is too large is answered before the body; one that is not declared, as soon as it is too large.
///
/// Attacks: 18.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_64_mebibytes_is_neither_waited_for_nor_read() {
    let edge = Edge::open().await;
    let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let declared = say(edge.address(), &format!("{head}Content-Length: {}\r\n\r\n", 64 << 20)).await;
    assert!(declared.starts_with("HTTP/1.1 413"), "{declared}");

    let connection = TcpStream::connect(edge.address()).await.unwrap();
    let (mut from, mut to) = connection.into_split();
    let sending = async {
        to.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        let mut sent = 0;
        while sent < 64 << 20 && matches!(timeout(PATIENCE, to.write_all(chunk.as_bytes())).await, Ok(Ok(())))
        {
            sent += 0x10000;
        }
        sent
    };
    let reading = async {
        let mut buffer = [0; 4096];
        let count = timeout(PATIENCE, from.read(&mut buffer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let (sent, answer) = tokio::join!(sending, reading);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // What the kernel's buffers hold counts as sent.
    assert!(sent < 32 << 20, "{sent} bytes were taken");
    edge.is_well().await;
}

/// A request in the body of another one: there is one answer, and then the connection is closed.
///
/// Attacks: 53.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_in_the_body_of_another() {
    let edge = Edge::open().await;
    let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let hidden = "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Hidden: 1\r\n\r\n";
    let query = r#"{"query": "{ __typename }"}"#;
    let chunked = format!("{:x}\r\n{query}\r\n0\r\n\r\n", query.len());
    let length = chunked.len() + hidden.len();
    for (what, headers, body) in [
        (
            "a length, then chunks",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            &chunked,
        ),
        (
            "chunks, then a length",
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
            &chunked,
        ),
        ("a shorter length", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".to_owned(), &chunked),
    ] {
        let answer = say(edge.address(), &format!("{head}{headers}\r\n{body}{hidden}")).await;
        assert_eq!(answers(&answer), 1, "{what}: {answer}");
        assert!(
            answer.contains(r#""__typename":"Query""#) && !answer.contains("\r\nok\n"),
            "{what}: {answer}"
        );
    }
    // What no two readers understand alike is refused.
    for headers in [
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}, 0\r\n"),
        "Content-Length: +4\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 0x10\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Transfer-Encoding:\x0bchunked\r\n".to_owned(),
        " Transfer-Encoding: chunked\r\n".to_owned(),
        "X: 1\r\n Transfer-Encoding: chunked\r\n".to_owned(),
        "X: 1\nTransfer-Encoding: chunked\0\r\n".to_owned(),
    ] {
        let answer = say(edge.address(), &format!("{head}{headers}\r\n{chunked}{hidden}")).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answers(&answer) == 1, "{headers}: {answer}");
    }
    let old = format!("POST /graphql HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{hidden}");
    assert_eq!(answers(&say(edge.address(), &old).await), 1);
    // The controls: requests that say where they end, in either way, are two on one connection.
    let last = "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n";
    for two in [
        format!("{head}Content-Length: {}\r\n\r\n{query}{last}", query.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}{last}"),
    ] {
        let answer = say(edge.address(), &two).await;
        assert!(answers(&answer) == 2 && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    }
}

// ------------------------------------------------------------------------------------------------ headers

/// What an address answers.
async fn get(server: &Server, path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    server.send(Request::get(path).body(Body::empty()).unwrap()).await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// A request of each kind that there is, with its name.
fn kinds(acme: &Organization) -> Vec<(&'static str, Request<Body>)> {
    let graphql = |body: &str| {
        Request::post("/graphql")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", acme.owner.token))
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let login = json!({"query": mutation("login", "accessToken"), "variables": {"input": {"email": acme.owner.email, "password": cast::PASSWORD}}});
    vec![
        ("a sign-in", graphql(&login.to_string())),
        ("an answer", graphql(r#"{"query": "{ viewer { email } }"}"#)),
        ("a refused document", graphql(r#"{"query": "{ nope }"}"#)),
        ("a refused body", graphql("{")),
        (
            "a stream",
            Request::post("/graphql/stream")
                .header("content-type", "application/json")
                .body(Body::from(r#"{"query": "{ __typename }"}"#))
                .unwrap(),
        ),
        ("another method", Request::put("/graphql").body(Body::empty()).unwrap()),
        ("the page", get("/")),
        ("a file of the page", get("/playground/none.js")),
        ("nothing", get("/nothing")),
        ("alive", get("/livez")),
        ("ready", get("/readyz")),
        ("the keys", get("/.well-known/jwks.json")),
    ]
}

/// Attacks: 57, 147.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_a_browser_to_keep_it_to_itself() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    for (what, request) in kinds(&acme) {
        let (status, headers, _) = server.send(request).await;
        assert!(!status.is_server_error(), "{what}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(&headers, name), value, "{what}: {name}");
        }
        let policy = header(&headers, "content-security-policy");
        let own = if what == "the page" { "default-src 'self'" } else { "default-src 'none'" };
        assert!(policy.starts_with(own) && policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
        // The page and the public keys may be kept, and nothing else.
        let kept = match what {
            "the page" => "no-cache",
            "the keys" => "public, max-age=300",
            _ => "no-store",
        };
        assert_eq!(header(&headers, "cache-control"), kept, "{what}");
        // Nobody learns what they talk to, and no cookie is ever set.
        for name in
            ["server", "x-powered-by", "via", "set-cookie", "strict-transport-security", "etag-version"]
        {
            assert!(!headers.contains_key(name), "{what}: {name}");
        }
        let all = format!("{headers:?}").to_lowercase();
        for word in ["hyper", "axum", "rust", "aicos", env!("CARGO_PKG_VERSION")] {
            assert!(
                !all.contains(word) || word == "aicos" && what == "the page",
                "{what} names {word}: {all}"
            );
        }
    }
    let (_, page, _) = get(&server, "/").await;
    assert_eq!(header(&page, "cross-origin-opener-policy"), "same-origin");
    assert!(header(&page, "permissions-policy").contains("camera=()"));
    // Where people come by `https:`, their browsers are told to do so always.
    let secure = Config { public_url: "https://aicos.example.com".parse().unwrap(), ..config() };
    let server = Server::with(secure, tuning()).await;
    for path in ["/", "/livez", "/nothing"] {
        assert_eq!(
            header(&get(&server, path).await.1, "strict-transport-security"),
            "max-age=31536000",
            "{path}"
        );
    }
}

/// Attacks: 51.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_call_only_where_they_are_listed() {
    let ask = async |server: &Server, method: Method, origin: Option<&str>, path: &str| {
        let mut request =
            Request::builder().method(&method).uri(path).header("content-type", "application/json");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if method == Method::OPTIONS {
            request = request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type, authorization");
        }
        server.send(request.body(Body::from(r#"{"query": "{ __typename }"}"#)).unwrap()).await
    };
    let listed = "https://app.example";
    let strangers = [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:444",
        "null",
        "*",
    ];
    // The default lists nobody: a preflight is just another method, and no answer says anything about origins.
    let closed = Server::start().await;
    for path in ["/graphql", "/graphql/stream"] {
        for origin in strangers.into_iter().chain([listed]) {
            let (status, headers, _) = ask(&closed, Method::OPTIONS, Some(origin), path).await;
            assert_eq!((status, header(&headers, "allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, POST"));
            let (_, answered, _) = ask(&closed, Method::POST, Some(origin), path).await;
            let all = format!("{headers:?} {answered:?}");
            assert!(!all.contains("access-control") && !all.contains("example"), "{origin}: {all}");
        }
    }
    let open = Server::with(Config { cors_origins: vec![listed.to_owned()], ..config() }, tuning()).await;
    for path in ["/graphql", "/graphql/stream"] {
        for origin in strangers {
            for method in [Method::OPTIONS, Method::POST] {
                let (_, headers, _) = ask(&open, method.clone(), Some(origin), path).await;
                assert!(!headers.contains_key("access-control-allow-origin"), "{method} {origin}");
                assert!(!format!("{headers:?}").contains("evil"), "{method} {origin}");
                assert!(
                    header(&headers, "vary").contains("origin"),
                    "{method} {origin}: a cache keeps them apart"
                );
            }
        }
        // The controls: the listed one, and somebody who is no page.
        let (status, headers, _) = ask(&open, Method::OPTIONS, Some(listed), path).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(header(&headers, "access-control-allow-origin"), listed);
        assert_eq!(header(&headers, "access-control-allow-methods"), "GET,POST");
        let allowed = header(&headers, "access-control-allow-headers");
        for name in [
            "content-type",
            "authorization",
            "x-api-key",
            "x-organization",
            "x-project",
            "x-request-id",
            "x-cost",
        ] {
            assert!(allowed.split(',').any(|allowed| allowed.trim() == name), "{name}: {allowed}");
        }
        assert!(header(&headers, "vary").contains("origin"));
        let (status, headers, body) = ask(&open, Method::POST, Some(listed), path).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(header(&headers, "access-control-allow-origin"), listed);
        let exposed = header(&headers, "access-control-expose-headers");
        assert!(exposed.contains("x-request-id") && exposed.contains("retry-after"), "{exposed}");
        // Nothing travels by itself, so that nothing has to be allowed to.
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(String::from_utf8(body).unwrap().contains("Query"));
        assert_eq!(ask(&open, Method::POST, None, path).await.0, StatusCode::OK);
    }
    // A refusal can be read by the page that caused it.
    let (status, headers, _) = ask(&open, Method::PUT, Some(listed), "/graphql").await;
    assert_eq!(
        (status, header(&headers, "access-control-allow-origin")),
        (StatusCode::METHOD_NOT_ALLOWED, listed)
    );
    // Other addresses are for no page.
    for path in ["/livez", "/readyz", "/.well-known/jwks.json", "/", "/nothing"] {
        let (_, headers, _) = ask(&open, Method::GET, Some(listed), path).await;
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
    }
    // What would list everybody is no origin.
    for all in
        ["*", "null", "https://*.example", "app.example", "https://app.example/path", "file:///", "https://"]
    {
        let settings = Settings { cors_origins: Some(all.to_owned()), ..Settings::default() };
        let refused = settings.check().err().map(|error| format!("{error:#}"));
        assert!(
            refused.as_ref().is_some_and(|error| error.contains("AICOS_CORS_ORIGINS")),
            "{all}: {refused:?}"
        );
    }
    let settings =
        Settings { cors_origins: Some(format!("{listed}/ , http://localhost:3000")), ..Settings::default() };
    assert_eq!(settings.check().unwrap().cors_origins, [listed, "http://localhost:3000"]);
}

/// The caller's address is what a trusted proxy says, and what anybody else says is nothing.
///
/// Attacks: 35.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_believed_when_it_is_listed_and_only_then() {
    let trusting = Config { trusted_proxies: vec!["198.51.100.0/24".parse().unwrap()], ..config() };
    let server = Server::with(trusting, tuning()).await;
    let seen = async |peer: &str, headers: &[(&str, &str)]| -> Value {
        let email = cast::address();
        let mut client = server.anonymous().from(peer);
        for (name, value) in headers {
            client = client.header(name, value);
        }
        let input = json!({"email": email, "password": cast::PASSWORD, "name": "N", "organizationName": "O"});
        let made = client.mutate("signup", input, "accessToken").await;
        let own = server.bearer(made["accessToken"].as_str().unwrap());
        own.ok("{ viewer { sessions { ip } } }", json!({})).await["viewer"]["sessions"][0]["ip"].clone()
    };
    for name in
        ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip"]
    {
        assert_eq!(seen("203.0.113.9", &[(name, "192.0.2.1")]).await, "203.0.113.9", "{name} of a stranger");
    }
    for name in ["forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"] {
        assert_eq!(seen("198.51.100.1", &[(name, "192.0.2.1")]).await, "198.51.100.1", "{name} says nothing");
    }
    // What the caller put in front is not believed, only what the proxy added.
    assert_eq!(seen("198.51.100.1", &[("x-forwarded-for", "127.0.0.1, 192.0.2.1")]).await, "192.0.2.1");
    // The control.
    assert_eq!(seen("198.51.100.1", &[("x-forwarded-for", "192.0.2.1")]).await, "192.0.2.1");
}

// ------------------------------------------------------------------------------------------------ addresses

/// Attacks: 20, 146.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_shows_what_it_is_for_and_there_are_no_others() {
    let open = Server::start().await;
    let hidden = Server::with(Config { playground: false, introspection: false, ..config() }, tuning()).await;
    for path in [
        "/schema",
        "/schema.graphql",
        "/sdl",
        "/graphiql",
        "/playground",
        "/voyager",
        "/altair",
        "/graphql/schema",
        "/graphql/",
        "/graphql.json",
        "/debug",
        "/debug/pprof",
        "/status",
        "/info",
        "/actuator/env",
        "/.env",
        "/.git/config",
        "/aicos.toml",
        "/master.key",
        "/assets/x",
        "/playground/../Cargo.toml",
        "/playground/..%2f..%2fCargo.toml",
        "/playground/%2e%2e%2fCargo.toml",
        "//",
    ] {
        for server in [&open, &hidden] {
            let (status, _, body) = get(server, path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            let body = String::from_utf8(body).unwrap();
            assert!(body.len() < 100 && !body.contains(path), "{path}: {body}");
        }
    }
    // Where there are people from elsewhere, there is neither a page nor a schema.
    let (status, _, _) = get(&hidden, "/").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let schema = "/graphql?query=%7B__schema%7BqueryType%7Bname%7D%7D%7D";
    let (_, _, body) = get(&hidden, schema).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body.get("data").is_none() && body["errors"][0]["extensions"]["code"].is_string(), "{body}");
    // Who asks for their health learns one word.
    for server in [&open, &hidden] {
        let (status, _, body) = get(server, "/readyz").await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, br#"{"ready":true}"#.as_slice()));
        assert_eq!(get(server, "/livez").await.2, b"ok\n");
        // The keys are public, and hold nothing private.
        let keys: Value = serde_json::from_slice(&get(server, "/.well-known/jwks.json").await.2).unwrap();
        let key = keys["keys"][0].as_object().unwrap();
        let names: Vec<&str> = key.keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    }
    // The controls.
    assert_eq!(get(&open, "/").await.0, StatusCode::OK);
    let body: Value = serde_json::from_slice(&get(&open, schema).await.2).unwrap();
    assert_eq!(body["data"]["__schema"]["queryType"]["name"], "Query");
    let loopback = Settings::default().check().unwrap();
    assert!(loopback.introspection && loopback.playground);
    let public =
        Settings { listen: Some("0.0.0.0:80".parse().unwrap()), ..Settings::default() }.check().unwrap();
    assert!(!public.introspection && !public.playground);
}
