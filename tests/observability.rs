//! What can be seen of a server that runs: figures, traces and logs, of the real program in a process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aicos::config::Config;
use aicos::telemetry::metrics::{self, Kind, Metric};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::support::collector::{Collector, Span};
use crate::support::process::Process;
use crate::support::socket::{Heard, Socket};
use crate::support::work::HANDBOOK;
use crate::support::{Database, Server, cast, config, tuning};

const VIEWER: &str = "{ viewer { name } }";
const ACTIVITY: &str =
    "subscription($id: ID!) { organizationActivity(organizationId: $id, after: 0) { sequence } }";

/// A series: its metric, its labels, its value.
type Series = (String, BTreeMap<String, String>, f64);

fn series(figures: &str) -> Vec<Series> {
    let read = |line: &str| {
        let (key, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
        let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
        let labels = labels.map(|label| {
            let (name, value) = label.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        (name.to_owned(), labels.collect(), value.parse().unwrap())
    };
    figures.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(read).collect()
}

/// The metric that a series belongs to.
fn metric_of(series: &str) -> Option<&'static Metric> {
    metrics::ALL.iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| series.strip_suffix(end).is_some_and(|base| base == metric.name)),
        _ => series == metric.name,
    })
}

/// Runs `promtool`. Where it is missing the test says so and passes, unless `AICOS_REQUIRE_PROMTOOL=1` is set.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let started = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("AICOS_REQUIRE_PROMTOOL").is_none(), "no promtool: {error}");
            eprintln!("skipped: no promtool ({error})");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_counted_once_under_what_it_was_and_how_it_ended() {
    let database = Database::fresh().await;
    let server = Process::serve(&database, &[]).await;
    let (token, organization) = server.sign_up("olivia").await;
    let signed_in = [("authorization", token.as_str())];
    for _ in 0..3 {
        server.send(VIEWER, json!({}), &signed_in).await;
    }
    server.send("{ a: viewer { id } b: viewer { name } }", json!({}), &signed_in).await;
    server.send("{ viewer { name } organization { name } }", json!({}), &signed_in).await;
    server.send("{ __typename }", json!({}), &[]).await;
    let document = json!({"organizationId": organization, "title": "Handbook", "text": HANDBOOK});
    let creating = crate::support::mutation("documentCreate", "job { id }");
    server.send(&creating, json!({"input": document}), &[]).await;
    server.send("{ viewer {", json!({}), &[]).await;
    server.send("{ nothing }", json!({}), &[]).await;
    server.mutate("documentCreate", document, "job { id }", &signed_in).await;
    server.figure_is(r#"aicos_jobs_finished_total{kind="document.index",outcome="succeeded"}"#, 1.0).await;
    for (series, expected) in [
        (r#"aicos_graphql_operations_total{kind="mutation",field="signup",outcome="ok"}"#, 1.0),
        (r#"aicos_graphql_operations_total{kind="query",field="viewer",outcome="ok"}"#, 4.0),
        (r#"aicos_graphql_operations_total{kind="query",field="several",outcome="ok"}"#, 1.0),
        (r#"aicos_graphql_operations_total{kind="query",field="__typename",outcome="ok"}"#, 1.0),
        (
            r#"aicos_graphql_operations_total{kind="mutation",field="documentCreate",outcome="UNAUTHENTICATED"}"#,
            1.0,
        ),
        (r#"aicos_graphql_operations_total{kind="mutation",field="documentCreate",outcome="ok"}"#, 1.0),
        (r#"aicos_graphql_operation_duration_seconds_count{kind="query",field="viewer"}"#, 4.0),
        (r#"aicos_graphql_operation_duration_seconds_bucket{kind="query",field="viewer",le="+Inf"}"#, 4.0),
        (r#"aicos_graphql_refusals_total{code="GRAPHQL_PARSE_FAILED"}"#, 1.0),
        (r#"aicos_graphql_refusals_total{code="GRAPHQL_VALIDATION_FAILED"}"#, 1.0),
        (r#"aicos_graphql_refusals_total{code="UNAUTHENTICATED"}"#, 0.0),
        (r#"aicos_graphql_errors_total{code="UNAUTHENTICATED"}"#, 1.0),
        (r#"aicos_graphql_errors_total{code="INTERNAL"}"#, 0.0),
        // A text counts as known from its second time on.
        (r#"aicos_graphql_documents_total{cache="hit"}"#, 3.0),
        (r#"aicos_http_requests_total{route="/graphql",status="200"}"#, 11.0),
        (r#"aicos_jobs_enqueued_total{kind="document.index"}"#, 1.0),
        (r#"aicos_jobs_started_total{kind="document.index"}"#, 1.0),
        (r#"aicos_jobs_finished_total{kind="document.index",outcome="failed"}"#, 0.0),
        (r#"aicos_jobs_running{kind="document.index"}"#, 0.0),
        (r#"aicos_job_duration_seconds_count{kind="document.index"}"#, 1.0),
        (r#"aicos_job_wait_seconds_count{kind="document.index"}"#, 1.0),
        (r#"aicos_database_connections{state="used"}"#, 0.0),
        ("aicos_database_connections_max", 16.0),
        ("aicos_database_connection_waiters", 0.0),
        (r#"aicos_database_connection_errors_total{reason="exhausted"}"#, 0.0),
        (r#"aicos_password_hashes{state="running"}"#, 0.0),
        (concat!(r#"aicos_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""}"#), 1.0),
        ("aicos_panics_total", 0.0),
    ] {
        assert_eq!(server.figure(series).await, Some(expected), "{series}");
    }
    let figures = server.figures().await;
    let at_least = |name: &str, least: f64| {
        let found = series(&figures).into_iter().find(|(found, ..)| found == name).map(|(.., value)| value);
        assert!(found.is_some_and(|value| value >= least), "{name}: {found:?}");
    };
    at_least("aicos_database_statements_total", 20.0);
    at_least("aicos_database_connection_wait_seconds_count", 5.0);
    at_least("aicos_graphql_points_total", 8.0);
    at_least("process_resident_memory_bytes", 1_000_000.0);
    at_least("process_open_fds", 3.0);
    server.figure_is("aicos_jobs_waiting", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_catalogue_and_no_caller_makes_new_ones() {
    let database = Database::fresh().await;
    let server = Process::serve(&database, &[]).await;
    let (token, organization) = server.sign_up("olivia").await;
    let signed_in = [("authorization", token.as_str())];
    let document = json!({"organizationId": organization, "title": "Handbook", "text": HANDBOOK});
    server.mutate("documentCreate", document, "job { id }", &signed_in).await;
    server.figure_is(r#"aicos_jobs_finished_total{kind="document.index",outcome="succeeded"}"#, 1.0).await;
    server.send("query Begin { viewer { id } }", json!({}), &signed_in).await;
    server.send("query Begin { viewer { nothing } }", json!({}), &signed_in).await;
    // A scrape counts itself, so that only the second one shows it.
    server.figures().await;
    let known = |figures: &str| -> BTreeSet<(String, BTreeMap<String, String>)> {
        series(figures).into_iter().map(|(name, labels, _)| (name, labels)).collect()
    };
    let before = known(&server.figures().await);
    for number in 0..1_000 {
        let name = format!("Name{number}");
        let id = format!("a-request-of-{number}");
        let headers = [signed_in[0], ("x-request-id", &id), ("user-agent", &name)];
        server.send(&format!("query {name} {{ viewer {{ id }} }}"), json!({}), &headers).await;
        if number % 10 == 0 {
            server.send(&format!("query {name} {{ viewer {{ field{number} }} }}"), json!({}), &headers).await;
        }
    }
    let figures = server.figures().await;
    let after = known(&figures);
    assert_eq!(
        after.difference(&before).collect::<Vec<_>>(),
        Vec::<&(String, BTreeMap<String, String>)>::new()
    );
    assert!(!figures.contains("Name") && !figures.contains("a-request") && !figures.contains("field9"));
    let counted =
        server.figure(r#"aicos_graphql_operations_total{kind="query",field="viewer",outcome="ok"}"#);
    assert_eq!(counted.await, Some(1_001.0));
    for (name, mut labels) in after {
        let metric = metric_of(&name).unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        labels.remove("le");
        let expected: BTreeSet<_> = metric.labels.iter().map(ToString::to_string).collect();
        assert_eq!(labels.into_keys().collect::<BTreeSet<_>>(), expected, "{name}");
    }
    if let Some((good, said)) = promtool(&["check", "metrics"], &figures) {
        assert!(good && said.is_empty(), "{said}");
        // The control: it does complain.
        let (good, said) = promtool(&["check", "metrics"], "# TYPE things counter\nthings 1\n").unwrap();
        assert!(!good && said.contains("things"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_streams_are_counted_while_they_are_open() {
    let database = Database::fresh().await;
    let server = Process::serve(&database, &[]).await;
    let (token, organization) = server.sign_up("olivia").await;
    let mut socket = Socket::enter(server.address, json!({"authorization": token})).await;
    socket.subscribe("1", ACTIVITY, json!({"id": organization})).await;
    socket.payload("next", "1").await;
    server.figure_is(r#"aicos_live_connections{transport="websocket"}"#, 1.0).await;
    server.figure_is(r#"aicos_live_operations{transport="websocket"}"#, 1.0).await;
    server.figure_is(r#"aicos_live_events_total{transport="websocket"}"#, 1.0).await;
    socket.say(json!({"id": "1", "type": "complete"})).await;
    server.figure_is(r#"aicos_live_operations{transport="websocket"}"#, 0.0).await;
    let ended =
        r#"aicos_graphql_operations_total{kind="subscription",field="organizationActivity",outcome="ok"}"#;
    server.figure_is(ended, 1.0).await;
    socket.say(json!({"type": "connection_init"})).await;
    assert_eq!(socket.end().await, Heard::Closed(4429));
    server.figure_is(r#"aicos_socket_closes_total{code="4429"}"#, 1.0).await;
    server.figure_is(r#"aicos_live_connections{transport="websocket"}"#, 0.0).await;
    let body = json!({"query": ACTIVITY, "variables": {"id": organization}}).to_string();
    let asked = reqwest::Client::new().post(format!("http://{}/graphql/stream", server.address));
    let asked = asked.header("content-type", "application/json").header("authorization", &token).body(body);
    let mut stream = asked.send().await.unwrap();
    while !String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()).contains("event: next") {}
    server.figure_is(r#"aicos_live_connections{transport="stream"}"#, 1.0).await;
    server.figure_is(r#"aicos_live_operations{transport="stream"}"#, 1.0).await;
    server.figure_is(r#"aicos_live_events_total{transport="stream"}"#, 1.0).await;
    drop(stream);
    server.figure_is(r#"aicos_live_connections{transport="stream"}"#, 0.0).await;
    server.figure_is(ended, 2.0).await;
}

/// Asks for the figures from an address, with these headers.
async fn read(server: &Server, from: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let mut request = Request::get("/metrics");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    let peer = SocketAddr::new(from.parse().unwrap(), 50_000);
    request.extensions_mut().insert(ConnectInfo(peer));
    let (status, headers, body) = server.send(request).await;
    if status == StatusCode::UNAUTHORIZED {
        assert_eq!(headers["www-authenticate"], "Bearer");
    }
    assert_eq!(
        (&headers["cache-control"], &headers["x-content-type-options"]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    (status, String::from_utf8(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_for_this_machine_and_for_whoever_has_the_token() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let bearer = format!("Bearer {TOKEN}");
    let with = |token: Option<&str>, proxies: &[&str]| Config {
        metrics_token: token.map(Into::into),
        trusted_proxies: proxies.iter().map(|text| text.parse().unwrap()).collect(),
        ..config()
    };
    let (open, plain) = (Server::with(with(Some(TOKEN), &[]), tuning()).await, Server::start().await);
    let proxied = Server::with(with(Some(TOKEN), &["127.0.0.0/8"]), tuning()).await;
    let here = ("host", "localhost:8000");
    let may = async |server: &Server, from: &str, headers: &[(&str, &str)]| {
        let (status, body) = read(server, from, headers).await;
        match status {
            StatusCode::OK => assert!(body.contains("aicos_build_info"), "{body}"),
            StatusCode::UNAUTHORIZED => assert_eq!(body, "This address needs a credential.\n"),
            other => panic!("{other} {body}"),
        }
        status == StatusCode::OK
    };
    // On this machine, with and without a token being set.
    for server in [&open, &plain] {
        assert!(may(server, "127.0.0.1", &[here]).await);
        assert!(may(server, "::1", &[("host", "[::1]:8000")]).await);
        assert!(!may(server, "203.0.113.7", &[here]).await);
        assert!(!may(server, "10.0.0.7", &[here]).await);
    }
    // Elsewhere with the token, and with nothing that is like it.
    assert!(may(&open, "203.0.113.7", &[("authorization", &bearer)]).await);
    assert!(may(&open, "203.0.113.7", &[("authorization", &format!("bearer {TOKEN}"))]).await);
    for wrong in [
        TOKEN.to_owned(),
        format!("Basic {TOKEN}"),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Bearer {TOKEN}0"),
        format!("Bearer {}", TOKEN.to_uppercase()),
        "Bearer ".to_owned(),
        "Bearer".to_owned(),
    ] {
        assert!(!may(&open, "203.0.113.7", &[("authorization", &wrong)]).await, "{wrong}");
    }
    assert!(!may(&open, "203.0.113.7", &[("authorization", &bearer), ("authorization", "Bearer x")]).await);
    assert!(!may(&plain, "203.0.113.7", &[("authorization", &bearer)]).await);
    assert!(!may(&plain, "203.0.113.7", &[("authorization", "Bearer ")]).await);
    // A proxy on this machine is somebody else, unless they have the token.
    for header in
        ["x-forwarded-for", "x-forwarded-proto", "forwarded", "x-real-ip", "via", "cf-connecting-ip"]
    {
        let told = (header, "127.0.0.1");
        assert!(!may(&open, "127.0.0.1", &[here, told]).await, "{header}");
        assert!(may(&open, "127.0.0.1", &[here, told, ("authorization", &bearer)]).await, "{header}");
    }
    assert!(!may(&proxied, "127.0.0.1", &[here]).await);
    assert!(!may(&proxied, "127.0.0.1", &[here, ("x-forwarded-for", "127.0.0.1")]).await);
    assert!(may(&proxied, "127.0.0.1", &[here, ("authorization", &bearer)]).await);
    // A page elsewhere whose name leads here.
    assert!(!may(&open, "127.0.0.1", &[("host", "rebound.example:8000")]).await);
    assert!(!may(&open, "127.0.0.1", &[]).await);
    // An access token of the API opens nothing here.
    let acme = cast::organization(&open, "Acme").await;
    let token = format!("Bearer {}", acme.owner.token);
    assert!(!may(&open, "203.0.113.7", &[("authorization", &token)]).await);
    let (status, ..) = open.send(Request::post("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The spans below one, itself left out.
fn below<'a>(spans: &'a [Span], top: &str) -> Vec<&'a Span> {
    let children = spans.iter().filter(|span| span.parent == top);
    children.flat_map(|span| std::iter::once(span).chain(below(spans, &span.id))).collect()
}

fn named<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} is not in {names:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_statements_and_its_job_are_one_tree_below_the_callers_span() {
    let database = Database::fresh().await;
    let collector = Collector::start().await;
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Process::serve(&database, &settings).await;
    let (token, organization) = server.sign_up("olivia").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("authorization", token.as_str()),
        ("traceparent", traceparent.as_str()),
        ("x-request-id", "a-request-0001"),
    ];
    let secret = "A secret that nobody should read in a trace.";
    let document = json!({"organizationId": organization, "title": "A private title", "text": secret});
    let named_mutation = "mutation AddHandbook($input: DocumentCreateInput!) {
        documentCreate(input: $input) { job { id } userErrors { code } } }";
    let made = server.send(named_mutation, json!({"input": document}), &headers).await;
    let job = made["data"]["documentCreate"]["job"]["id"].as_str().unwrap_or_else(|| panic!("{made:#}"));
    server.figure_is(r#"aicos_jobs_finished_total{kind="document.index",outcome="succeeded"}"#, 1.0).await;
    let plain = [("authorization", token.as_str())];
    server.send(VIEWER, json!({}), &plain).await;
    server.send(VIEWER, json!({}), &plain).await;
    let unsampled = format!("00-{}-{PARENT}-00", "7".repeat(32));
    server.send(VIEWER, json!({}), &[plain[0], ("traceparent", unsampled.as_str())]).await;
    server.send(VIEWER, json!({}), &[plain[0], ("traceparent", "00-nonsense-01")]).await;
    server.send("{ viewer {", json!({}), &plain).await;
    let (status, _, log) = server.stop().await;
    assert!(status.success(), "{}", log.join("\n"));

    let spans = collector.spans();
    let tree: Vec<Span> = spans.iter().filter(|span| span.trace == TRACE).cloned().collect();
    let all = below(&tree, PARENT);
    assert_eq!(all.len(), tree.len(), "one tree below the caller's span: {tree:#?}");
    let request = named(&all, "POST /graphql");
    assert_eq!((request.parent.as_str(), request.kind), (PARENT, 2));
    assert_eq!(request.says("http.response.status_code"), Some("200"));
    assert_eq!(request.says("request.id"), Some("a-request-0001"));
    let operation = named(&below(&tree, &request.id), "mutation documentCreate");
    assert_eq!(operation.parent, request.id);
    assert_eq!(operation.says("graphql.operation.name"), Some("AddHandbook"));
    assert_eq!(operation.says("graphql.document.cached"), Some("false"));
    assert!(operation.says("graphql.points").unwrap().parse::<u64>().unwrap() > 0);
    let work = below(&tree, &operation.id);
    let entering = named(&work, "SELECT app.enter; BEGIN");
    assert_eq!((entering.kind, entering.says("db.system.name")), (3, Some("postgresql")));
    assert_eq!(entering.parent, operation.id);
    named(&work, "INSERT documents");
    named(&work, "SELECT app.record_audit");
    named(&work, "COMMIT");
    let enqueued = named(&work, "enqueue document.index");
    assert_eq!((enqueued.kind, enqueued.says("job.id")), (4, Some(job)));
    assert_eq!(named(&work, "INSERT jobs").parent, enqueued.id);
    let attempt = named(&work, "attempt document.index");
    assert_eq!((attempt.parent.as_str(), attempt.kind), (enqueued.id.as_str(), 5));
    assert_eq!((attempt.says("job.id"), attempt.says("job.outcome")), (Some(job), Some("succeeded")));
    named(&below(&tree, &attempt.id), "SELECT app.enter_job; BEGIN");
    for span in &work {
        assert!(span.time.0 >= operation.time.0 && span.time.1 >= span.time.0, "{span:#?}");
    }

    // Others have a trace of their own, which is known by whether its document was.
    let viewers: Vec<&Span> = spans.iter().filter(|span| span.name == "query viewer").collect();
    let cached: Vec<_> = viewers.iter().map(|span| span.says("graphql.document.cached").unwrap()).collect();
    assert_eq!(cached, ["false", "true", "true"], "the caller that is not sampled is not among them");
    let traces: BTreeSet<&str> = viewers.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), 3);
    let hot: Vec<_> = below(&spans, &viewers[0].id);
    assert_eq!(named(&hot, "viewer").says("db.query.summary"), Some("viewer"));
    let refused: Vec<_> =
        spans.iter().filter(|span| span.says("error.type") == Some("GRAPHQL_PARSE_FAILED")).collect();
    assert!(matches!(refused[..], [span] if span.status != 2), "{refused:#?}");

    // Nothing that anybody bound, wrote or presented.
    let (bare, id) = (token.strip_prefix("Bearer ").unwrap(), aicos_id(&organization));
    for span in &spans {
        assert_eq!(span.events, 0, "{span:#?}");
        assert!(
            span.resource.contains(&("service.name".to_owned(), "aicos".to_owned())),
            "{:?}",
            span.resource
        );
        let version = ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        assert!(span.resource.contains(&version), "{:?}", span.resource);
        let said = format!("{} {:?}", span.name, span.attributes);
        for secret in [
            bare,
            secret,
            "private title",
            cast::PASSWORD,
            "olivia",
            "Olivia",
            "argon2",
            &organization,
            &id,
            "$1",
        ] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
}

/// An organization's id as the database has it.
fn aicos_id(organization: &str) -> String {
    crate::support::fixture::uuid(organization).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_elsewhere_goes_on_with_the_trace_and_shows_its_own_figures() {
    let database = Database::fresh().await;
    let collector = Collector::start().await;
    let url = collector.url();
    let traced = ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str());
    let server = Process::serve(&database, &[traced, ("AICOS_WORKER_SLOTS", "0")]).await;
    let (token, organization) = server.sign_up("olivia").await;
    let headers = [("authorization", token.as_str())];
    let document = json!({"organizationId": organization, "title": "Handbook", "text": HANDBOOK});
    server.mutate("documentCreate", document, "job { id }", &headers).await;
    // What is due is known also where nobody works.
    server.figure_is("aicos_jobs_waiting", 1.0).await;
    assert!(server.figure("aicos_jobs_oldest_waiting_seconds").await.unwrap() > 0.0);
    let finished = r#"aicos_jobs_finished_total{kind="document.index",outcome="succeeded"}"#;
    assert_eq!(server.figure(finished).await, None);
    let worker = Process::work(&database, &[traced]).await;
    worker.figure_is(finished, 1.0).await;
    assert_eq!(worker.figure(r#"aicos_jobs_enqueued_total{kind="document.index"}"#).await, None);
    let (status, ..) = worker.stop().await;
    assert!(status.success());
    server.stop().await;
    let spans = collector.spans();
    let enqueued = spans.iter().find(|span| span.name == "enqueue document.index").unwrap();
    let attempt = spans.iter().find(|span| span.name == "attempt document.index").unwrap();
    assert_eq!((&attempt.trace, &attempt.parent), (&enqueued.trace, &enqueued.id));
    let instance = |span: &Span| {
        let found = span.resource.iter().find(|(name, _)| name == "service.instance.id");
        found.map(|(_, value)| value.clone()).unwrap()
    };
    assert_ne!(instance(enqueued), instance(attempt));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_or_hangs_holds_nobody_up() {
    let hanging = Collector::hang().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for collector in [hanging, nobody] {
        let database = Database::fresh().await;
        let url = format!("http://{collector}");
        // Batches leave at once, so that the courier is stuck with the first one soon.
        let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
        let server = Process::serve(&database, &settings).await;
        let (token, _) = server.sign_up("olivia").await;
        let headers = [("authorization", token.as_str())];
        server.send(VIEWER, json!({}), &headers).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        // More spans than find room while they wait.
        let began = Instant::now();
        for _ in 0..1_000 {
            let answer = server.send(VIEWER, json!({}), &headers).await;
            assert_eq!(answer["data"]["viewer"]["name"], "Olivia Owner", "{answer:#}");
        }
        let took = began.elapsed();
        assert!(took < Duration::from_secs(30), "a thousand requests took {took:?}");
        server.figure_is(r#"aicos_trace_deliveries_total{outcome="delivered"}"#, 0.0).await;
        let until = Instant::now() + Duration::from_secs(30);
        while server.figure(r#"aicos_trace_deliveries_total{outcome="failed"}"#).await < Some(2.0) {
            assert!(Instant::now() < until, "nobody noticed:\n{}", server.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (status, took, log) = server.stop().await;
        assert!(status.success() && took < Duration::from_secs(15), "{status} after {took:?}");
        let told: Vec<_> = log.iter().filter(|line| line.contains("traces are lost")).collect();
        assert_eq!(told.len(), 1, "{}", log.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_of_a_request_carries_its_ids() {
    let database = Database::fresh().await;
    let collector = Collector::start().await;
    let url = collector.url();
    let debug = ("RUST_LOG", "warn,aicos=debug");
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), debug];
    let traced = Process::serve(&database, &settings).await;
    let (token, organization) = traced.sign_up("olivia").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("authorization", token.as_str()),
        ("traceparent", traceparent.as_str()),
        ("x-request-id", "a-request-0002"),
    ];
    let document = json!({"organizationId": organization, "title": "Handbook", "text": HANDBOOK});
    traced.mutate("documentCreate", document, "job { id }", &headers).await;
    traced.figure_is(r#"aicos_jobs_finished_total{kind="document.index",outcome="succeeded"}"#, 1.0).await;
    // The resolver's refusal is logged in its operation, the answer in its request.
    let deleting = crate::support::mutation("documentDelete", "");
    traced.send(&deleting, json!({"input": {"id": "doc_x"}}), &[("x-request-id", "a-request-0003")]).await;
    let answered = traced.logs("request answered", "a-request-0002").await;
    let attempted = traced.logs("job attempted", "a-request-0002").await;
    for line in [&answered, &attempted] {
        assert_eq!(line["trace.id"], TRACE, "{line:#}");
    }
    let refused = traced.logs("request refused", "a-request-0003").await;
    let lines = traced.logged();
    let (status, ..) = traced.stop().await;
    assert!(status.success());
    let spans = collector.spans();
    let logged_in = |line: &Value| {
        let span = spans.iter().find(|span| line["span.id"] == span.id.as_str());
        span.map_or_else(|| panic!("{line:#}"), |span| span.name.clone())
    };
    assert_eq!(logged_in(&answered), "POST /graphql");
    assert_eq!(logged_in(&attempted), "attempt document.index");
    assert_eq!(logged_in(&refused), "mutation documentDelete");
    // Without a collector there is no trace to name, and the request is named all the same.
    let plain = Process::serve(&database, &[debug]).await;
    plain.send(VIEWER, json!({}), &headers).await;
    let answered = plain.logs("request answered", "a-request-0002").await;
    assert!(answered.get("trace.id").is_none() && answered.get("span.id").is_none(), "{answered:#}");
    for line in [plain.logged(), lines].concat() {
        let line = line.to_string();
        let bare = token.strip_prefix("Bearer ").unwrap();
        assert!(!line.contains(bare) && !line.contains(cast::PASSWORD), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_providers_are_counted_and_traced() {
    use crate::support::provider::{FakeProvider, Reply};
    let fake = FakeProvider::start().await;
    fake.script([Reply::text("You have 30 days of vacation [1].")]);
    let database = Database::fresh().await;
    let collector = Collector::start().await;
    let (url, provider) = (collector.url(), fake.url());
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OPENAI_BASE_URL", provider.as_str())];
    let server = Process::serve(&database, &settings).await;
    let (token, organization) = server.sign_up("olivia").await;
    let headers = [("authorization", token.as_str())];
    let document = json!({"organizationId": organization, "title": "Handbook", "text": HANDBOOK});
    server.mutate("documentCreate", document, "job { id }", &headers).await;
    server.figure_is(r#"aicos_jobs_finished_total{kind="document.index",outcome="succeeded"}"#, 1.0).await;
    let question = "How many days of vacation do I have?";
    let input = json!({"organizationId": organization, "question": question,
        "engine": {"provider": "openai", "model": "some-model"}});
    let asked = server.mutate("qaAsk", input, "answer { answered answer }", &headers).await;
    assert_eq!(asked["answer"]["answered"], true, "{asked:#}");
    server.figure_is(r#"aicos_provider_requests_total{provider="openai",outcome="ok"}"#, 1.0).await;
    server.figure_is(r#"aicos_provider_request_duration_seconds_count{provider="openai"}"#, 1.0).await;
    server.figure_is(r#"aicos_jobs_finished_total{kind="qa.ask",outcome="succeeded"}"#, 1.0).await;
    server.stop().await;
    let spans = collector.spans();
    let call = spans.iter().find(|span| span.name == "chat openai").unwrap();
    assert_eq!((call.kind, call.says("gen_ai.request.model")), (3, Some("some-model")));
    let attempt = spans.iter().find(|span| span.name == "attempt qa.ask").unwrap();
    assert!(below(&spans, &attempt.id).iter().any(|span| span.id == call.id));
    for span in &spans {
        assert!(!format!("{:?}", span.attributes).contains("vacation"), "{span:#?}");
    }
}

const DASHBOARD: &str = include_str!("../src/telemetry/grafana.json");
const ALERTS: &str = include_str!("../src/telemetry/alerts.yml");
const CASES: &str = include_str!("observability/alerts.yml");

/// What neither the dashboard nor an alert shows, and why.
const NOT_SHOWN: [(&str, &str); 0] = [];

/// The names of figures in a text, each with what is chosen of it by label.
fn mentioned(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let text = text.replace("\\\"", "\"");
    let starts = ["aicos_", "process_"].iter().flat_map(|prefix| text.match_indices(prefix));
    let starts = starts.filter(|(at, _)| !text[..*at].ends_with(is_name));
    starts
        .map(|(at, _)| {
            let rest = &text[at..];
            let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
            let chosen =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |chosen| chosen.0);
            // A value may hold a comma, but no quote.
            let labels =
                chosen.split('"').step_by(2).map(|part| part.trim_matches([',', '=', '~', '!', ' ']));
            (name.to_owned(), labels.filter(|label| !label.is_empty()).map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn dashboard_and_alerts_show_the_figures_that_there_are_and_all_of_them() {
    let mut shown = BTreeSet::new();
    for (place, text) in [("grafana.json", DASHBOARD), ("alerts.yml", ALERTS), ("the alerts' cases", CASES)] {
        let found = mentioned(text);
        assert!(found.len() > 20, "{place} mentions nothing");
        for (name, chosen) in found {
            let metric =
                metric_of(&name).unwrap_or_else(|| panic!("{place} shows {name}, which nobody counts"));
            for label in &chosen {
                let known = metric.labels.contains(&label.as_str());
                assert!(
                    known || ["job", "instance", "le"].contains(&label.as_str()),
                    "{place}: {name} has no {label}"
                );
            }
            if place != "the alerts' cases" {
                shown.insert(metric.name);
            }
        }
    }
    for metric in metrics::ALL {
        let left_out = NOT_SHOWN.iter().any(|(name, _)| *name == metric.name);
        assert_ne!(
            left_out,
            shown.contains(metric.name),
            "{} is on the dashboard, in an alert, or listed as not shown with the reason",
            metric.name
        );
    }
    // The control: what is made up is noticed.
    assert!(metric_of("aicos_made_up_total").is_none() && metric_of("aicos_jobs_running_count").is_none());
    assert_eq!(mentioned(r#"rate(aicos_x_total{a="1,2",b=~"$c"}[5m])"#)[0].1.len(), 2);
}

#[test]
fn alerts_fire_when_they_should_and_the_dashboard_asks_what_prometheus_understands() {
    let root = env!("CARGO_MANIFEST_DIR");
    let alerts = format!("{root}/src/telemetry/alerts.yml");
    let cases = format!("{root}/tests/observability/alerts.yml");
    let Some((good, said)) = promtool(&["check", "rules", &alerts], "") else { return };
    assert!(good, "{said}");
    let (good, said) = promtool(&["test", "rules", &cases], "").unwrap();
    assert!(good, "{said}");
    let names = |text: &str, mark: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(mark));
        lines.map(|name| name.trim().to_owned()).collect()
    };
    let untested: Vec<_> = names(ALERTS, "- alert:").difference(&names(CASES, "- name:")).cloned().collect();
    assert!(untested.is_empty(), "no case for {untested:?}");
    // Each of the dashboard's questions, as a rule.
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let rules: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m"))
        .enumerate()
        .map(|(number, question)| format!("  - record: panel:{number}\n    expr: {}\n", json!(question)))
        .collect();
    assert!(rules.len() > 40, "{rules:?}");
    let rules = format!("groups:\n- name: dashboard\n  rules:\n{}", rules.concat());
    let file = std::env::temp_dir().join(format!("aicos-dashboard-{}.yml", std::process::id()));
    std::fs::write(&file, rules).unwrap();
    let (good, said) = promtool(&["check", "rules", &file.display().to_string()], "").unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(good, "{said}");
}
