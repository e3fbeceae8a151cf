//! The whole way of a document, against the toy schema.

mod persisted;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use async_graphql::futures_util::StreamExt as _;
use async_graphql::{Data, Value};

use super::*;
use crate::graphql::toy::{self, ToyExecutor};

const CLOSED: Disclosure = Disclosure { introspection: false, suggestions: false };

fn variables(json: &str) -> RawVariables {
    serde_json::from_str(json).unwrap()
}

async fn prepare(executor: &ToyExecutor, text: &str, json: &str) -> Result<Prepared, Rejection> {
    let operation = executor.select(text, None).await?;
    executor.prepare(operation, variables(json))
}

async fn cost(text: &str, json: &str) -> u64 {
    prepare(&toy::executor(), text, json).await.unwrap().cost()
}

/// How long a busy machine may take to refuse what would take it hours to expand. How long it does take, `tests/drills/bombs`
/// judges.
const PATIENCE: Duration = Duration::from_secs(20);

/// Refused with this code, and with a short list of errors.
async fn refuse(executor: &ToyExecutor, text: &str, code: Code) -> Rejection {
    let rejection = prepare(executor, text, "{}").await.expect_err(&text[..text.len().min(80)]);
    assert_eq!(rejection.code, code, "{:?}", rejection.errors);
    let size: usize = rejection.errors.iter().map(|error| error.message.len()).sum();
    assert!(!rejection.errors.is_empty() && size < 10_000, "{size}");
    rejection
}

async fn run(executor: &ToyExecutor, text: &str, json: &str) -> String {
    let prepared = match prepare(executor, text, json).await {
        Ok(prepared) => prepared,
        Err(rejection) => return format!("{:?}: {}", rejection.code, rejection.errors[0].message),
    };
    let response = executor.execute(prepared, Data::default()).await;
    serde_json::to_string(&response).unwrap()
}

/// A chain of fragments, each spreading the next one `width` times.
fn bomb(levels: usize, width: usize, leaf: &str) -> String {
    let mut text = "{ thing { ...F0 } }".to_owned();
    for level in 0..levels {
        let spreads = format!("...F{} ", level + 1).repeat(width);
        write!(text, " fragment F{level} on Thing {{ {spreads} }}").unwrap();
    }
    write!(text, " fragment F{levels} on Thing {{ {leaf} }}").unwrap();
    text
}

/// Attacks: 6, 7.
#[tokio::test]
async fn fragment_bombs_never_go_off() {
    let executor = toy::executor();
    for (name, text) in [
        ("2^22", bomb(22, 2, "id")),
        ("2^30", bomb(30, 2, "id")),
        ("2^300", bomb(300, 2, "id")),
        ("9^8", bomb(8, 9, "id")),
        ("9^8 of a fragment that is not there", bomb(8, 9, "...Nobody")),
        ("100^20", bomb(20, 100, "id")),
    ] {
        let start = Instant::now();
        let rejection = prepare(&executor, &text, "{}").await.unwrap_err();
        assert!(start.elapsed() < PATIENCE, "{name}: {:?}", rejection.code);
    }
    let nested = (0..30).fold("id".to_owned(), |inner, level| {
        format!("a{level}: parent {{ {inner} }} b{level}: parent {{ id }}")
    });
    refuse(&executor, &format!("{{ thing {{ {nested} }} }}"), Code::QueryTooComplex).await;
    // The same shape within the limits is served.
    assert_eq!(run(&executor, &bomb(4, 5, "id"), "{}").await, r#"{"data":{"thing":{"id":"thg_1"}}}"#);
}

#[tokio::test]
async fn hostile_documents_are_refused_quickly() {
    use Code::{GraphqlParseFailed, GraphqlValidationFailed, QueryTooComplex, QueryTooDeep};
    let executor = toy::executor();
    let aliases = |count: usize| (0..count).map(|at| format!("a{at}: hello ")).collect::<String>();
    let nested =
        |depth: usize| format!("{{ thing {{ {} id {} }} }}", "parent { ".repeat(depth), "} ".repeat(depth));
    let conflicts: String = (0..1_500).map(|at| format!("echo(number: {at}) ")).collect();
    let operations: String = (0..1_000).map(|at| format!("query Q{at} {{ hello }} ")).collect();
    let declared: String = (0..10_000).map(|at| format!("$v{at}: Int ")).collect();
    for (text, code) in [
        (format!("{{ {} }}", aliases(51)), QueryTooComplex),
        (format!("{{ {} }}", aliases(1_000)), QueryTooComplex),
        (format!("{{ {} }}", "hello ".repeat(31)), QueryTooComplex),
        (format!("{{ thing {{ {} }} }}", "id ".repeat(9_000)), QueryTooComplex),
        (format!("{{ {} }}", "hello ".repeat(20_000)), QueryTooComplex),
        (nested(11), QueryTooDeep),
        (nested(40), QueryTooDeep),
        (nested(5_000), QueryTooDeep),
        (format!("{{ hello {} }}", "@skip(if: true) ".repeat(50)), GraphqlValidationFailed),
        (format!("{{ hello {} }}", "@skip(if: true) ".repeat(51)), QueryTooComplex),
        (format!("{{ hello {} }}", "@nope ".repeat(5_000)), QueryTooComplex),
        (format!("{{ hello {} }}", "@nope ".repeat(4_000)), QueryTooComplex),
        (conflicts, GraphqlParseFailed),
        (
            format!(
                "{{ thing {{ {} }} }}",
                (0..800).map(|_| "name(upper: true) name(upper: false) ").collect::<String>()
            ),
            GraphqlValidationFailed,
        ),
        (
            format!("{{ thing {{ {} }} }}", (0..1_900).map(|at| format!("n{at} ")).collect::<String>()),
            GraphqlValidationFailed,
        ),
        (operations, QueryTooComplex),
        (format!("query Q({declared}) {{ hello }}"), QueryTooComplex),
        (
            format!(
                "query Q({}) {{ hello }}",
                (0..200).map(|at| format!("$v{at}: Int ")).collect::<String>()
            ),
            GraphqlValidationFailed,
        ),
        (format!("{{ echo(tags: {}{}) }}", "[".repeat(20_000), "]".repeat(20_000)), QueryTooDeep),
        ("{".repeat(100_000), QueryTooDeep),
        (" ".repeat(3 << 20), QueryTooComplex),
        ("fragment A on Thing { ...A } { thing { ...A } }".into(), GraphqlValidationFailed),
        (
            "fragment A on Thing { ...B } fragment B on Thing { parent { ...A } } { thing { ...B } }".into(),
            GraphqlValidationFailed,
        ),
        ("fragment A on Thing { ...A } { hello }".into(), GraphqlValidationFailed),
        ("{ thing { ...Nobody } }".into(), GraphqlValidationFailed),
        ("{ hello".into(), GraphqlParseFailed),
        (format!("{{ hello }} {}", "x".repeat(100)), GraphqlParseFailed),
        (format!("{{ hello }} {}", "( ".repeat(30).repeat(100)), QueryTooDeep),
        (format!("{{ echo(text: \"{}\" }}", "x".repeat(200_000)), GraphqlParseFailed),
        (String::new(), GraphqlParseFailed),
        ("{ nope }".into(), GraphqlValidationFailed),
        ("mutation { nope }".into(), GraphqlValidationFailed),
        ("{ hello } { hello }".into(), GraphqlParseFailed),
    ] {
        refuse(&executor, &text, code).await;
    }
    // As deep as the scan lets through, on a test's small stack.
    let lists = format!("{{ echo(json: {}{}) }}", "[".repeat(48), "]".repeat(48));
    let fragments = format!("{{ thing {{ {} id {} }} }}", "... { ".repeat(30), "} ".repeat(30));
    for text in [
        lists,
        fragments,
        format!("{{ {} }}", aliases(30)),
        format!("{{ {} }}", "hello ".repeat(30)),
        format!("{{ thing {{ {} }} }}", "id ".repeat(1_999)),
        nested(10),
        (0..50).map(|at| format!("query Q{at} {{ hello }} ")).collect(),
    ] {
        let name = text.starts_with("query").then_some("Q7");
        executor.select(&text, name).await.unwrap();
    }
}

/// Attacks: 9, 21.
#[tokio::test]
async fn the_error_list_is_capped_and_suggestions_can_be_off() {
    let unknown = format!("{{ thing {{ {} }} }}", (0..100).map(|at| format!("nam{at} ")).collect::<String>());
    let open = refuse(&toy::executor(), &unknown, Code::GraphqlValidationFailed).await;
    assert_eq!(open.errors.len(), 21);
    assert_eq!(open.errors[20].message, "There are 80 more errors.");
    assert!(open.errors[0].message.contains("Did you mean"));
    assert_eq!(open.errors[0].locations.len(), 1);
    let closed = toy::executor_with(Limits::default(), CLOSED);
    let closed = refuse(&closed, &unknown, Code::GraphqlValidationFailed).await;
    assert!(!closed.errors[0].message.contains("Did you mean"));
}

/// What tools send to learn a schema.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name }
    subscriptionType { name } types { ...FullType } directives { name description locations args { ...InputValue } } } }
    fragment FullType on __Type { kind name description
      fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
      inputFields { ...InputValue } interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
      ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

/// Attacks: 20.
#[tokio::test]
async fn introspection_is_exempt_from_points_and_can_be_off() {
    let executor = toy::executor();
    assert_eq!(cost(INTROSPECTION, "{}").await, 1);
    assert!(run(&executor, INTROSPECTION, "{}").await.contains("ThingConnection"));
    let circles = format!(
        "{{ __schema {{ types {{ {} name {} }} }} }}",
        "fields { type { ".repeat(5),
        "} } ".repeat(5)
    );
    refuse(&executor, &circles, Code::QueryTooComplex).await;
    let deep =
        format!("{{ __type(name: \"Thing\") {{ {} name {} }} }}", "ofType { ".repeat(14), "} ".repeat(14));
    refuse(&executor, &deep, Code::QueryTooDeep).await;
    let closed = toy::executor_with(Limits::default(), CLOSED);
    for text in [
        INTROSPECTION,
        "{ __type(name: \"Thing\") { name } }",
        "{ ...Q } fragment Q on Query { __schema { types { name } } }",
    ] {
        refuse(&closed, text, Code::GraphqlValidationFailed).await;
    }
    assert_eq!(
        run(&closed, "{ __typename thing { __typename } }", "{}").await,
        r#"{"data":{"__typename":"Query","thing":{"__typename":"Thing"}}}"#
    );
}

#[tokio::test]
async fn prices_follow_the_rules() {
    for (text, json, points) in [
        ("{ hello }", "{}", 1),
        ("{ __typename }", "{}", 1),
        ("{ thing { id name } }", "{}", 1),
        ("{ thing { parent { parent { id } } } }", "{}", 3),
        ("{ unpaged { id } }", "{}", 10),
        ("{ unpaged { parent { id } } }", "{}", 20),
        ("{ thing { siblings { id } } }", "{}", 11),
        ("{ nodes(ids: [\"a\", \"b\", \"c\"]) { id } }", "{}", 3),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { parent { id } } }", r#"{"ids": ["a", "b"]}"#, 4),
        ("{ things { nodes { id } } }", "{}", 21),
        ("{ things { edges { node { id } } } }", "{}", 21),
        ("{ things { edges { cursor } } }", "{}", 21),
        ("{ things { totalCount pageInfo { hasNextPage } } }", "{}", 21),
        ("{ things(first: 100) { nodes { id } } }", "{}", 101),
        ("{ things(last: 5) { nodes { parent { id } } pageInfo { hasNextPage } } }", "{}", 11),
        ("{ things(first: 3) { edges { node { id } } nodes { id } } }", "{}", 7),
        ("query ($n: Int) { things(first: $n) { nodes { id } } }", r#"{"n": 7}"#, 8),
        ("query ($n: Int = 9) { things(first: $n) { nodes { id } } }", "{}", 10),
        ("query ($n: Int) { things(first: $n) { nodes { id } } }", "{}", 21),
        ("query ($n: Int = 9) { things(first: $n) { nodes { id } } }", r#"{"n": null}"#, 21),
        ("{ things(first: 10) { nodes { things(first: 10) { nodes { id } } } } }", "{}", 121),
        (
            "{ things(first: 2) { ...C } } fragment C on ThingConnection { nodes { ...T } } fragment T on Thing { parent { id } }",
            "{}",
            5,
        ),
        ("{ anything { ... on Thing { parent { id } } ... on Other { id } } }", "{}", 2),
        ("query ($n: Int!) { unpaged { things(first: $n) { nodes { id } } } }", r#"{"n": 4}"#, 60),
        ("{ a: thing { id } b: thing { id } hello }", "{}", 2),
        ("mutation { run }", "{}", 1),
    ] {
        assert_eq!(cost(text, json).await, points, "{text} {json}");
    }
}

#[tokio::test]
async fn what_costs_too_much_is_refused_with_its_price() {
    let executor = toy::executor();
    let text =
        "query ($n: Int!) { hello things(first: $n) { nodes { things(first: $n) { nodes { id } } } } }";
    let operation = executor.select(text, None).await.unwrap();
    let refused = executor.prepare(operation.clone(), variables(r#"{"n": 100}"#)).unwrap_err();
    assert_eq!(refused.code, Code::QueryTooComplex);
    let message = &refused.errors[0].message;
    assert!(
        message.contains("10201") && message.contains("5000") && message.contains("`things`"),
        "{message}"
    );
    assert_eq!(executor.quote(operation.clone(), variables(r#"{"n": 100}"#)).unwrap(), 10_201);
    assert_eq!(executor.prepare(operation.clone(), variables(r#"{"n": 10}"#)).unwrap().cost(), 121);
    let five = "{ a: things(first: 100) { nodes { things(first: 100) { nodes { things(first: 100) { nodes { things(first: 100) { nodes { things(first: 100) { nodes { id } } } } } } } } } } }";
    let deep = executor.select(five, None).await.unwrap();
    assert!(executor.quote(deep, RawVariables::new()).unwrap() > 10_000_000_000);
    for size in ["0", "-1", "101", "2147483647"] {
        let refused =
            executor.prepare(operation.clone(), variables(&format!("{{\"n\": {size}}}"))).unwrap_err();
        assert_eq!(refused.code, Code::BadUserInput);
        let literal = format!("{{ page: thing {{ things(first: {size}) {{ nodes {{ id }} }} }} }}");
        let refused = refuse(&executor, &literal, Code::BadUserInput).await;
        let source = refused.errors[0].source::<crate::error::Error>().unwrap();
        let crate::error::Error::Invalid(faults) = source else { panic!("{source}") };
        assert_eq!(faults[0].field.as_ref().unwrap().join("."), "page.things.first");
    }
}

#[tokio::test]
async fn variables_are_compared_with_their_types_alike_on_hit_and_miss() {
    let text = "query ($text: String, $number: Int, $ratio: Float, $flag: Boolean, $id: ID, $color: Color, $tags: [String!],
        $input: EchoInput, $target: Target, $key: Key, $json: JSON) {
        echo(text: $text, number: $number, ratio: $ratio, flag: $flag, id: $id, color: $color, tags: $tags,
            input: $input, target: $target, key: $key, json: $json) }";
    let many = format!(r#"{{"tags": [{}"x"]}}"#, "\"x\",".repeat(100));
    for (json, expected) in [
        (r"{}", "None None None None None None None None None None None 5"),
        (r#"{"nobody": 1, "text": "x"}"#, "Some(\\\"x\\\") None"),
        (r#"{"number": 2147483647}"#, "Some(2147483647)"),
        (r#"{"number": 3.0}"#, "Some(3)"),
        (r#"{"number": 2147483648}"#, "BadUserInput: `$number` has to be a whole number"),
        (r#"{"number": -2147483649.0}"#, "BadUserInput: `$number`"),
        (r#"{"number": 1.5}"#, "BadUserInput: `$number`"),
        (r#"{"number": "1"}"#, "BadUserInput: `$number`"),
        (r#"{"number": true}"#, "BadUserInput: `$number`"),
        (r#"{"number": [1]}"#, "BadUserInput: `$number`"),
        (r#"{"ratio": 2}"#, "Some(2.0)"),
        (r#"{"ratio": "2"}"#, "BadUserInput: `$ratio` has to be a number"),
        (r#"{"flag": 1}"#, "BadUserInput: `$flag` has to be true or false"),
        (r#"{"id": 5}"#, "Some(ID(\\\"5\\\"))"),
        (r#"{"id": 5.5}"#, "BadUserInput: `$id`"),
        (r#"{"text": 5}"#, "BadUserInput: `$text` has to be text"),
        ("{\"text\": \"a\\u0000b\"}", "BadUserInput: `$text` contains the character U+0000"),
        ("{\"json\": {\"a\": [\"\\u0000\"]}}", "BadUserInput: `$json` contains"),
        (r#"{"color": "RED"}"#, "Some(Red)"),
        (r#"{"color": "PINK"}"#, "BadUserInput: `$color` has to be one of the values of `Color`"),
        (r#"{"color": 1}"#, "BadUserInput: `$color`"),
        (r#"{"tags": ["a", "b"]}"#, "Some([\\\"a\\\", \\\"b\\\"])"),
        (r#"{"tags": "a"}"#, "Some([\\\"a\\\"])"),
        (r#"{"tags": ["a", null]}"#, "BadUserInput: `$tags[1]` is of type `String!` and must not be null"),
        (r#"{"tags": ["a", 5]}"#, "BadUserInput: `$tags[1]` has to be text"),
        (&many, "BadUserInput: `$tags` has more than 100 items"),
        (r#"{"input": {"text": "x"}}"#, "preset: 7"),
        (r#"{"input": {}}"#, "BadUserInput: `$input.text` of type `String!` is required"),
        (r#"{"input": "x"}"#, "BadUserInput: `$input` has to be an object of type `EchoInput`"),
        (r#"{"input": {"text": "x", "nope": 1}}"#, "BadUserInput: `$input.nope` does not exist"),
        (
            r#"{"input": {"text": "x", "inner": {"text": "y", "tags": [1]}}}"#,
            "BadUserInput: `$input.inner.tags[0]`",
        ),
        (r#"{"target": {"id": "x"}}"#, "Some(Id("),
        (r#"{"target": {"id": "x", "slug": "y"}}"#, "BadUserInput: `$target` has to give exactly one field"),
        (r#"{"target": {"id": null}}"#, "BadUserInput: `$target` has to give exactly one field"),
        (r#"{"target": {}}"#, "BadUserInput: `$target` has to give exactly one field"),
        (r#"{"key": "key_1"}"#, "Some(Key("),
        (r#"{"key": "other"}"#, "Failed to parse"),
        (r#"{"key": 5}"#, "Expected input type"),
        (r#"{"json": [1, {"a": null}]}"#, "Some(Array"),
    ] {
        let executor = toy::executor();
        let miss = run(&executor, text, json).await;
        let hit = run(&executor, text, json).await;
        assert_eq!(miss, hit);
        assert!(miss.contains(expected), "{json:.100}: {miss}");
    }
    let executor = toy::executor();
    let required = "query ($id: ID!) { nodes(ids: [$id]) { id } }";
    assert!(run(&executor, required, "{}").await.contains("`$id` of type `ID!` is required"));
    assert!(run(&executor, required, r#"{"id": null}"#).await.contains("must not be null"));
    assert!(run(&executor, required, r#"{"id": "x"}"#).await.contains("thg_1"));
}

#[tokio::test]
async fn literals_are_compared_with_their_types() {
    let executor = toy::executor();
    for bad in [
        "{ echo(number: 2147483648) }",
        "{ echo(number: 1.0) }",
        "{ echo(number: \"1\") }",
        "{ echo(color: \"RED\") }",
        "{ echo(color: PINK) }",
        "{ echo(input: \"x\") }",
        "{ echo(input: {}) }",
        "{ echo(input: {text: \"x\", nope: 1}) }",
        "query ($t: String!) { echo(input: {text: $t, nope: 1}) }",
        "query ($t: String!) { echo(input: {text: $t, number: 99999999999}) }",
        "query ($t: String!) { echo(input: {text: $t, inner: {number: 1}}) }",
        "{ echo(target: {id: \"x\", slug: \"y\"}) }",
        "{ echo(text: \"\\u0000\") }",
        "query ($n: Int = \"x\") { echo(number: $n) }",
        "query ($n: Int = 99999999999) { echo(number: $n) }",
        "{ hello @skip(if: 1) }",
        "query ($n: String) { echo(number: $n) }",
        "{ echo(number: $n) }",
        "query ($t: String) { echo(tags: [$t]) }",
        "query ($t: String) { echo(tags: $t) }",
        "query ($t: [String]) { echo(tags: $t) }",
        "query ($t: String) { ...Q } fragment Q on Query { echo(input: {text: $t}) }",
        "query ($t: String) { hello @skip(if: $t) }",
        "query ($t: Boolean) { hello @skip(if: $t) }",
        "query ($t: ID) { echo(target: {id: $t}) }",
        "query ($t: [Nope] = [1]) { echo(tags: $t) }",
        "query ($t: Nope) { echo(tags: $t) }",
        "query ($t: Thing) { echo(tags: $t) }",
        "query ($t: [[Float]] = [[1]]) { echo(tags: $t) }",
    ] {
        refuse(&executor, bad, Code::GraphqlValidationFailed).await;
    }
    for good in [
        "{ echo(number: -2147483648, ratio: 1, id: 5, color: GREEN, tags: \"x\", flag: true) }",
        "query ($t: String!) { echo(input: {text: $t, inner: {text: $t, tags: [$t, \"y\"]}}) }",
        "query ($c: Color = RED, $i: EchoInput = {text: \"x\"}) { echo(color: $c, input: $i) }",
        "query ($b: Boolean = true, $t: ID!, $p: Int) { echo(target: {id: $t}, preset: $p) hello @skip(if: $b) }",
        "query ($t: [String!]!) { echo(tags: $t) }",
        "{ echo(text: null, key: \"key_1\", json: {a: [1, \"x\", B]}) hello @skip(if: true) }",
    ] {
        let text = run(&executor, good, r#"{"t": "t"}"#).await;
        assert!(text.starts_with(r#"{"data":{"echo":"#), "{good}: {text}");
    }
}

#[tokio::test]
async fn a_variable_that_is_not_sent_leaves_its_input_out() {
    let executor = toy::executor();
    let text = "mutation ($id: ID!, $name: String) { update(input: {id: $id, name: $name}) }";
    for (json, expected) in [
        (r#"{"id": "x"}"#, "x: left alone"),
        (r#"{"id": "x", "name": null}"#, "x: cleared"),
        (r#"{"id": "x", "name": "y"}"#, "x: set to y"),
    ] {
        assert!(run(&executor, text, json).await.contains(expected), "{json}");
    }
    let spread = "query ($p: Int, $n: Int) { ...Q } fragment Q on Query { echo(preset: $p, json: [$n]) }";
    assert!(run(&executor, spread, "{}").await.contains("Some(Array [Null]) 5"));
    let spread = "query ($upper: Boolean) { ...Q } fragment Q on Query { thing { ... on Thing { name(upper: $upper) } } }";
    assert!(run(&executor, spread, "{}").await.contains("thing"));
}

#[tokio::test]
async fn operations_are_chosen_by_name() {
    let executor = toy::executor();
    let text = "query A { ...F } mutation B { run } query C { thing { ...G } } fragment F on Query { hello } fragment G on Thing { id }";
    assert_eq!(executor.select(text, None).await.unwrap_err().code, Code::BadUserInput);
    assert_eq!(executor.select(text, Some("D")).await.unwrap_err().code, Code::BadUserInput);
    assert_eq!(executor.select("{ hello }", Some("A")).await.unwrap_err().code, Code::BadUserInput);
    let mutation = executor.select(text, Some("B")).await.unwrap();
    assert_eq!((mutation.kind(), mutation.name()), (OperationType::Mutation, Some("B")));
    assert!(mutation.to_executable(&[]).fragments.is_empty());
    for (name, expected) in [("A", r#"{"hello":"hello"}"#), ("C", r#"{"thing":{"id":"thg_1"}}"#)] {
        let operation = executor.select(text, Some(name)).await.unwrap();
        assert_eq!(operation.to_executable(&[]).fragments.len(), 1);
        let prepared = executor.prepare(operation, RawVariables::new()).unwrap();
        let response = executor.execute(prepared, Data::default()).await;
        assert_eq!(serde_json::to_string(&response.data).unwrap(), expected);
    }
}

#[tokio::test]
async fn only_valid_documents_are_kept() {
    let executor = toy::executor();
    for text in ["{ nope }", "{ hello", "{ echo(number: 99999999999) }"] {
        executor.select(text, None).await.unwrap_err();
        assert!(executor.documents.get(Fingerprint::of(text), &text.into()).is_none());
    }
    let first = executor.select("{ hello }", None).await.unwrap();
    let second = executor.select("{ hello }", None).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn subscriptions_stream() {
    let executor = toy::executor();
    let prepared =
        prepare(&executor, "subscription ($to: Int!) { ticks(to: $to) }", r#"{"to": 3}"#).await.unwrap();
    assert_eq!(prepared.kind(), OperationType::Subscription);
    let ticks: Vec<Value> =
        executor.subscribe(prepared, Data::default()).map(|response| response.data).collect().await;
    assert_eq!(ticks.len(), 3);
}

#[tokio::test]
async fn a_subscription_follows_one_field_wherever_it_stands() {
    let executor = toy::executor();
    for text in [
        "subscription { ticks(to: 1) }",
        "subscription { ... on Ticks { ticks(to: 1) } }",
        "subscription { ...F } fragment F on Ticks { ... { ticks(to: 1) } }",
    ] {
        let prepared = prepare(&executor, text, "{}").await.unwrap();
        let answers: Vec<_> = executor.subscribe(prepared, Data::default()).collect().await;
        assert_eq!(answers.len(), 1, "{text}");
        assert_eq!(answers[0].data.to_string(), "{ticks: 0}", "{text}");
    }
    for text in [
        "subscription { a: ticks(to: 1) b: ticks(to: 1) }",
        "subscription { ticks(to: 1) ...F } fragment F on Ticks { more: ticks(to: 2) }",
        "subscription { __typename }",
        "subscription { ticks(to: 1) @skip(if: true) }",
        "subscription ($v: Boolean!) { ... @include(if: $v) { ticks(to: 1) } }",
    ] {
        let refused = executor.select(text, None).await.unwrap_err();
        assert_eq!(refused.code, Code::GraphqlValidationFailed, "{text}");
    }
}

#[tokio::test]
async fn skipped_fields_do_not_run() {
    let executor = toy::executor();
    let text = "query ($no: Boolean!) { hello @skip(if: $no) thing @include(if: $no) { id } }";
    assert_eq!(run(&executor, text, r#"{"no": true}"#).await, r#"{"data":{"thing":{"id":"thg_1"}}}"#);
    assert_eq!(run(&executor, text, r#"{"no": false}"#).await, r#"{"data":{"hello":"hello"}}"#);
}

#[tokio::test]
async fn an_answer_has_every_field_in_the_documents_order() {
    let executor = toy::executor();
    for (text, data) in [
        // In the order asked, not in the order ready.
        (
            "{ thing { late id ...More parent { late name } } hello } fragment More on Thing { late name }",
            r#"{"thing":{"late":true,"id":"thg_1","name":"thing","parent":{"late":true,"name":"thing"}},"hello":"hello"}"#,
        ),
        (
            "{ anything { ... on Thing { id } ... on Other { label id } } }",
            r#"{"anything":{"id":"oth_1","label":"other"}}"#,
        ),
        // Null where it failed, and the siblings keep their data.
        ("{ thing { gone id } }", r#"{"thing":{"gone":null,"id":"thg_1"}}"#),
        ("{ thing { a: gone b: gone } }", r#"{"thing":{"a":null,"b":null}}"#),
        (
            "{ things { nodes { gone } totalCount } }",
            r#"{"things":{"nodes":[{"gone":null}],"totalCount":1}}"#,
        ),
        // What may not be null takes the closest place that may.
        ("{ thing { lost id } hello }", r#"{"thing":null,"hello":"hello"}"#),
        (
            "{ thing { gone parent { name lost gone } id } }",
            r#"{"thing":{"gone":null,"parent":null,"id":"thg_1"}}"#,
        ),
        ("{ thing { siblings { lost } } hello }", r#"{"thing":null,"hello":"hello"}"#),
        (r#"{ nodes(ids: ["1"]) { id lost } }"#, r#"{"nodes":[null]}"#),
        ("{ unpaged { id lost } hello }", "null"),
        ("{ thing { ... on Thing { x: lost } } broken }", "null"),
    ] {
        let answer = run(&executor, text, "{}").await;
        let found = answer.strip_prefix(r#"{"data":"#).unwrap_or(&answer);
        let rest = found.strip_prefix(data).unwrap_or_else(|| panic!("{text}: {answer}"));
        assert!(rest.starts_with(r#","errors":["#) || rest == "}", "{text}: {answer}");
    }
}
