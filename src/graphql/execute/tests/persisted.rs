//! Documents that are sent by name: registered by their hash, or listed in a manifest.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::graphql::document::Called;

const HELLO: &str = "{ hello }";
const THING: &str = "query Thing($upper: Boolean) { thing { id name(upper: $upper) } }";

fn hash(text: &str) -> String {
    Fingerprint::of(text).to_string()
}

/// A hash alone.
fn hashed(hash: &str) -> Wanted<'_> {
    Wanted { text: None, name: Some(Called::Hash(hash)) }
}

/// A text to be kept under a hash.
fn registered<'a>(text: &'a str, hash: &'a str) -> Wanted<'a> {
    Wanted { text: Some(text), name: Some(Called::Hash(hash)) }
}

fn identified(id: &str) -> Wanted<'_> {
    Wanted { text: None, name: Some(Called::Id(id)) }
}

async fn refused(executor: &ToyExecutor, wanted: Wanted<'_>) -> (Code, String) {
    let Err(rejection) = executor.select(wanted, None).await else { panic!("{wanted:?} is served") };
    (rejection.code, rejection.errors[0].message.clone())
}

async fn served(executor: &ToyExecutor, wanted: Wanted<'_>, json: &str) -> String {
    let operation =
        executor.select(wanted, None).await.unwrap_or_else(|error| panic!("{wanted:?}: {error:?}"));
    let prepared = executor.prepare(operation, variables(json)).unwrap();
    serde_json::to_string(&executor.execute(prepared, Data::default()).await).unwrap()
}

fn manifest(entries: &[(&str, &str)]) -> Manifest {
    let map: serde_json::Map<_, _> =
        entries.iter().map(|(id, text)| ((*id).to_owned(), (*text).into())).collect();
    Manifest::parse(&serde_json::to_string(&map).unwrap()).unwrap()
}

async fn trusting(entries: &[(&str, &str)], trust: Trust) -> ToyExecutor {
    toy::executor().trusting(&manifest(entries), trust).await.unwrap()
}

/// Counts what is validated.
struct Counting(Arc<AtomicUsize>);

impl ExtensionFactory for Counting {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

#[async_trait::async_trait]
impl Extension for Counting {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run(ctx).await
    }
}

fn counting() -> (ToyExecutor, Arc<AtomicUsize>) {
    let (mut executor, count) = (toy::executor(), Arc::<AtomicUsize>::default());
    let strict = toy::builder().validation_mode(ValidationMode::Strict).extension(StopAfterValidation);
    executor.strict = strict.extension(Counting(Arc::clone(&count))).finish();
    (executor, count)
}

#[tokio::test]
async fn a_hash_stands_for_the_text_that_was_sent_with_it() {
    let executor = toy::executor();
    let of_hello = hash(HELLO);
    let not_found = (Code::PersistedQueryNotFound, "PersistedQueryNotFound".to_owned());
    assert_eq!(refused(&executor, hashed(&of_hello)).await, not_found);
    // Sent without its hash, it is nobody's to find by one.
    let by_text = served(&executor, HELLO.into(), "{}").await;
    assert_eq!(refused(&executor, hashed(&of_hello)).await, not_found);
    assert_eq!(served(&executor, registered(HELLO, &of_hello), "{}").await, by_text);
    assert_eq!(served(&executor, hashed(&of_hello), "{}").await, by_text);
    let id = format!("sha256:{of_hello}");
    assert_eq!(served(&executor, identified(&id), "{}").await, by_text);
}

#[tokio::test]
async fn nothing_is_kept_under_a_hash_that_is_not_its_own() {
    let executor = toy::executor();
    let (of_hello, of_thing) = (hash(HELLO), hash(THING));
    served(&executor, registered(THING, &of_thing), "{}").await;
    for wrong in [&of_thing, &hash("{ hello } ")] {
        let (code, message) = refused(&executor, registered(HELLO, wrong)).await;
        assert_eq!(code, Code::BadUserInput);
        assert!(message.contains("Hash exactly the text"), "{message}");
        assert!(executor.documents.get(Fingerprint::of(HELLO), &HELLO.into()).is_none());
    }
    // What was there is still what it was.
    assert!(served(&executor, hashed(&of_thing), "{}").await.contains("thg_1"));
    for no_hash in
        ["", "abc", &of_hello.to_uppercase(), &format!("{of_hello}0"), &"g".repeat(64), &"é".repeat(32)]
    {
        for wanted in [hashed(no_hash), registered(HELLO, no_hash)] {
            let (code, message) = refused(&executor, wanted).await;
            assert_eq!(code, Code::BadUserInput);
            assert!(message.contains("64 hexadecimal digits in lower case"), "{message}");
        }
    }
    assert!(served(&executor, registered(HELLO, &of_hello), "{}").await.contains("hello"));
}

#[tokio::test]
async fn what_is_refused_is_not_kept() {
    let executor = toy::executor();
    let bomb = bomb(22, 2, "id");
    let deep = format!("{{ thing {{ {} id {} }} }}", "parent { ".repeat(40), "} ".repeat(40));
    for text in ["{ nope }", "{ hello", "{ echo(number: 99999999999) }", &bomb, &deep] {
        let of_text = hash(text);
        let first = refused(&executor, registered(text, &of_text)).await;
        assert_eq!(refused(&executor, registered(text, &of_text)).await, first);
        assert_eq!(refused(&executor, hashed(&of_text)).await.0, Code::PersistedQueryNotFound, "{text:.50}");
    }
    served(&executor, registered(HELLO, &hash(HELLO)), "{}").await;
    served(&executor, hashed(&hash(HELLO)), "{}").await;
}

#[tokio::test]
async fn known_documents_are_neither_scanned_nor_parsed_nor_validated_again() {
    let (executor, validated) = counting();
    let mut executor = executor.trusting(&manifest(&[("one", THING)]), Trust::Off).await.unwrap();
    served(&executor, registered(HELLO, &hash(HELLO)), "{}").await;
    assert_eq!(validated.load(Ordering::Relaxed), 2);
    // From here on the scan, which comes first, lets nothing through.
    executor.limits.tokens = 0;
    assert_eq!(refused(&executor, "{ thing { id } }".into()).await.0, Code::QueryTooComplex);
    let thing = served(&executor, THING.into(), r#"{"upper": true}"#).await;
    assert_eq!(thing, r#"{"data":{"thing":{"id":"thg_1","name":"THING"}}}"#);
    for wanted in [identified("one"), hashed("one"), hashed(&hash(THING))] {
        assert_eq!(served(&executor, wanted, r#"{"upper": true}"#).await, thing);
    }
    for wanted in [HELLO.into(), hashed(&hash(HELLO)), registered(HELLO, &hash(HELLO))] {
        served(&executor, wanted, "{}").await;
    }
    assert_eq!(validated.load(Ordering::Relaxed), 2);
    // Variables are compared with their types all the same.
    let operation = executor.select(identified("one"), None).await.unwrap();
    let wrong = executor.prepare(Arc::clone(&operation), variables(r#"{"upper": "yes"}"#)).unwrap_err();
    assert_eq!(wrong.code, Code::BadUserInput);
    assert!(executor.prepare(Arc::clone(&operation), variables(r#"{"upper": false}"#)).unwrap().cost() > 0);
    // And the price is asked for.
    executor.limits.points = 0;
    let dear = executor.prepare(operation, variables("{}")).unwrap_err();
    assert_eq!(dear.code, Code::QueryTooComplex);
}

#[tokio::test]
async fn only_the_manifest_is_served_where_that_is_enforced() {
    let entries = [("one", THING), ("2", "{ hello a: hello }"), ("two", "{ hello a: hello }")];
    let executor = trusting(&entries, Trust::Enforce).await;
    assert_eq!(executor.trusted(), 2);
    for wanted in [
        identified("one"),
        identified("two"),
        identified("2"),
        hashed("one"),
        hashed(&hash(THING)),
        registered(THING, &hash(THING)),
        Wanted { text: Some(THING), ..identified("one") },
        THING.into(),
    ] {
        served(&executor, wanted, "{}").await;
    }
    let reordered = THING.replace(' ', "  ");
    let unknown = format!("sha256:{}", hash(HELLO));
    for wanted in [
        HELLO.into(),
        reordered.as_str().into(),
        // Not even parsed.
        "{ hello".into(),
        "{ __schema { types { name } } }".into(),
        hashed(&hash(HELLO)),
        registered(HELLO, &hash(HELLO)),
        identified("three"),
        identified(&unknown),
        Wanted { text: Some(HELLO), ..identified("three") },
    ] {
        let (code, message) = refused(&executor, wanted).await;
        assert_eq!(code, Code::DocumentNotTrusted, "{wanted:?}");
        assert!(
            message.contains("AICOS_DOCUMENT_MANIFEST") && !message.contains("PersistedQuery"),
            "{message}"
        );
    }
    // A name of the manifest does not make another document one of its.
    for wanted in [registered(HELLO, &hash(THING)), Wanted { text: Some(HELLO), ..identified("one") }] {
        assert_eq!(refused(&executor, wanted).await.0, Code::BadUserInput);
    }
    assert_eq!(executor.documents.weight(), 0);
}

/// What is logged, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn what_is_not_in_the_manifest_is_logged_once_and_not_without_end() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let executor = trusting(&[("one", THING)], Trust::Log).await;
    let ask = async |executor: &ToyExecutor, wanted: Wanted<'_>, request: &str| {
        let operation = executor.select(wanted, None).await.unwrap();
        executor.note(&operation, request);
    };
    let secret = "query Secret { echo(text: \"hunter2\") }";
    for request in ["first-request", "second-request"] {
        ask(&executor, THING.into(), request).await;
        ask(&executor, identified("one"), request).await;
        ask(&executor, secret.into(), request).await;
        ask(&executor, registered(HELLO, &hash(HELLO)), request).await;
        ask(&executor, hashed(&hash(HELLO)), request).await;
    }
    executor.select("{ nope }", None).await.unwrap_err();
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, text, operation) in [(&lines[0], secret, Some("Secret")), (&lines[1], HELLO, None)] {
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["request.id"], "first-request");
        assert_eq!(line["document.hash"], hash(text));
        assert_eq!(line.get("graphql.operation").and_then(serde_json::Value::as_str), operation);
        assert!(!line.to_string().contains("hunter2"), "{line}");
    }
    // Whoever sends ever new ones fills neither the memory nor the log.
    executor.noted.lock().unwrap().extend((0..NOTED - 3).map(|number| Fingerprint::of(&number.to_string())));
    for number in 0..5 {
        ask(&executor, (&format!("{{ a{number}: hello }}")).into(), "another-one").await;
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[2]["document.hash"], hash("{ a0: hello }"));
    let last = lines[3]["message"].as_str().unwrap();
    assert!(last.contains("no further one is named"), "{last}");
    // Where nothing is to be logged, nothing is.
    for trust in [Trust::Off, Trust::Enforce] {
        let executor = trusting(&[("one", THING)], trust).await;
        ask(&executor, THING.into(), "quiet-request").await;
        let _ =
            executor.select(HELLO, None).await.map(|operation| executor.note(&operation, "quiet-request"));
    }
    assert_eq!(log.lines().len(), 4);
}

#[tokio::test]
async fn an_id_that_nobody_knows_is_not_found_and_a_text_beside_it_is_served() {
    for trust in [Trust::Off, Trust::Log] {
        let executor = trusting(&[("one", THING)], trust).await;
        let (code, message) = refused(&executor, identified("two")).await;
        assert_eq!(code, Code::PersistedQueryNotFound);
        assert!(message.contains("No document is known by this id"), "{message}");
        served(&executor, Wanted { text: Some(HELLO), ..identified("two") }, "{}").await;
        served(&executor, identified("one"), "{}").await;
    }
}

#[tokio::test]
async fn a_manifest_whose_documents_cannot_be_served_is_refused_by_name() {
    let deep = format!("{{ thing {{ {} id {} }} }}", "parent { ".repeat(40), "} ".repeat(40));
    let entries = [
        ("good", HELLO),
        ("unknown", "query Unknown {\n  nope\n}"),
        ("broken", "{ hello"),
        ("deep", deep.as_str()),
        ("large", "{ things(first: 1000) { totalCount } }"),
        ("default", "query D($n: Int = 1000) { things(first: $n) { totalCount } }"),
        ("dear", "query { things(first: 100) { nodes { things(first: 100) { nodes { id } } } } }"),
        (
            "affordable",
            "query A($n: Int!) { things(first: 100) { nodes { things(first: $n) { nodes { id } } } } }",
        ),
    ];
    let error = toy::executor().trusting(&manifest(&entries), Trust::Log).await.err().unwrap().to_string();
    for expected in [
        "6 of its 8 documents cannot be served",
        "aicos schema",
        "`unknown` (query Unknown { nope }…), line 2, column 3: ",
        "`broken` ({ hello…), line 1, column ",
        "`deep` ",
        "`large` ",
        "`default` ",
        "`dear` ",
    ] {
        assert!(error.contains(expected), "{expected}\n{error}");
    }
    assert!(!error.contains("`good`") && !error.contains("`affordable`"), "{error}");
    let many: Vec<_> =
        (0..500).map(|number| (format!("id{number:03}"), format!("{{ nope{number} }}"))).collect();
    let many: Vec<_> = many.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let error = toy::executor().trusting(&manifest(&many), Trust::Enforce).await.err().unwrap().to_string();
    assert!(error.contains("500 of its 500") && error.contains("and 480 more errors"), "{error}");
    assert!(error.len() < 5_000, "{}", error.len());
}

#[tokio::test]
async fn introspection_that_is_switched_off_is_no_document_of_a_manifest_either() {
    let schema = [("schema", "{ __schema { types { name } } }")];
    let closed = toy::executor_with(Limits::default(), CLOSED);
    let error = closed.trusting(&manifest(&schema), Trust::Off).await.err().unwrap().to_string();
    assert!(error.contains("Introspection is switched off"), "{error}");
    assert_eq!(trusting(&schema, Trust::Enforce).await.trusted(), 1);
}

#[tokio::test]
async fn registrations_without_end_take_no_more_than_their_room() {
    // Of ten kilobytes each, and of megabytes once they are read: each operation has the fragment to itself.
    let large = |number: usize| {
        let operations: String = (0..8).map(|at| format!("query Q{at} {{ ...F }} ")).collect();
        let list = "\"\" ".repeat(100);
        let fields: String = (0..29).map(|at| format!("a{at}_{number}: echo(tags: [{list}]) ")).collect();
        format!("{operations} fragment F on Query {{ {fields} }}")
    };
    let room = 6 * 1024 * 1024;
    let limits = Limits { cache_bytes: room, ..Limits::default() };
    let disclosure = Disclosure { introspection: true, suggestions: true };
    let executor = toy::executor_with(limits, disclosure);
    let used = "query Used { hello }";
    served(&executor, registered(used, &hash(used)), "{}").await;
    for number in 0..10 {
        let text = large(number);
        assert!(text.len() < 16_000);
        executor.select(registered(&text, &hash(&text)), Some("Q0")).await.unwrap();
        assert!(executor.documents.weight() <= room);
        served(&executor, hashed(&hash(used)), "{}").await;
    }
    let weight = executor.documents.weight();
    assert!(weight > room / 2, "{weight}");
    for number in 0..4_000 {
        let text = format!("{{ a{number}: hello }}");
        executor.select(registered(&text, &hash(&text)), None).await.unwrap();
        if number % 100 == 0 {
            // What is in use outlives the flood.
            served(&executor, hashed(&hash(used)), "{}").await;
        }
    }
    assert!(executor.documents.weight() <= room);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_registers_at_the_same_time_is_served() {
    let executor = Arc::new(toy::executor());
    for round in 0..50 {
        let text: Arc<str> = format!("{{ a{round}: hello }}").into();
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                let (executor, text) = (Arc::clone(&executor), Arc::clone(&text));
                tokio::spawn(async move {
                    let of_text = hash(&text);
                    // Some send it without its hash.
                    let wanted = if racer % 2 == 0 { registered(&text, &of_text) } else { (&*text).into() };
                    served(&executor, wanted, "{}").await
                })
            })
            .collect();
        for racer in racers {
            assert_eq!(racer.await.unwrap(), format!(r#"{{"data":{{"a{round}":"hello"}}}}"#));
        }
        served(&executor, hashed(&hash(&text)), "{}").await;
    }
}
