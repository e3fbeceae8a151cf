//! What is written at once is what the resolvers would have said.

use async_graphql::{Data, EmptyMutation, EmptySubscription, Schema};

use super::*;
use crate::graphql::document::{Limits, RawVariables};
use crate::graphql::execute::{Disclosure, Executor};
use crate::graphql::plain;

struct Root<N>(fn() -> Vec<N>);

#[Object(name = "Query")]
impl<N: Node> Root<N> {
    async fn quick(&self) -> Connection<N> {
        let slice = Slice { items: (self.0)(), has_next: false, has_previous: false };
        let seal = Seal::new(std::sync::Arc::new([7; 32]), &["test"]);
        connect(slice, &seal, Box::new(|_| Box::pin(async { Ok(None) })), |_| 1_i64, |node| node)
    }

    async fn usual(&self) -> Vec<N> {
        (self.0)()
    }
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Some of the fields: plain, under another name, twice, or in a fragment.
fn selection(fields: &[&str], dice: &mut Dice) -> String {
    let mut text = String::new();
    // Without repetitions nothing is merged, so the list may be written at once.
    let repeats = dice.below(2) == 0;
    let mut left = fields.to_vec();
    for _ in 0..=dice.below(fields.len() + 2) {
        if left.is_empty() {
            break;
        }
        let at = dice.below(left.len());
        let field = if repeats { left[at] } else { left.swap_remove(at) };
        let (name, below) = field.split_once(' ').unwrap_or((field, ""));
        let word = match dice.below(if repeats { 8 } else { 40 }) {
            0 => format!("alias{}: {field}", dice.below(1 << 30)),
            1 => format!("... {{ {field} }}"),
            2 => format!("alias{}: __typename", dice.below(1 << 30)),
            3 => format!("{name} @include(if: true) {below}"),
            4 if repeats => format!("{field} {field}"),
            _ => field.to_owned(),
        };
        text.push(' ');
        text.push_str(&word);
    }
    text
}

/// The answer's value, as the resolvers' own text and as this server writes it.
fn json(value: Option<&Value>) -> String {
    let mut own = Vec::new();
    plain::serialize(&value.cloned(), &mut serde_json::Serializer::new(&mut own)).unwrap();
    String::from_utf8(own).unwrap()
}

/// Compares the two ways over many selections of these fields, each of which is to be plain, and of `others`: whole
/// documents, checked, run and settled as those of requests.
pub(crate) async fn assert_same<N: Node + 'static>(nodes: fn() -> Vec<N>, plain: &[&str], others: &[&str]) {
    for field in plain {
        let document = async_graphql::parser::parse_query(format!("{{ {field} }}")).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        for node in nodes() {
            let written = written([&node].into_iter(), &operation.node.selection_set.node);
            assert!(written.is_some(), "{field} is not plain");
        }
    }
    let schema = || Schema::build(Root(nodes), EmptyMutation, EmptySubscription);
    let open = Disclosure { introspection: true, suggestions: true };
    let executor = Executor::new(schema, Limits::default(), open).unwrap();
    let all = [plain, others].concat();
    let mut dice = Dice(42);
    let mut texts = 0;
    for round in 0..600 {
        let fields = if round % 2 == 0 { plain } else { &all };
        let (one, two) = (selection(fields, &mut dice), selection(fields, &mut dice));
        // In one place, or in two that the engine has to merge.
        let (quick, both) = match dice.below(9) {
            0 => (format!("quick {{ nodes {{{one}}} nodes {{{two}}} }}"), one + &two),
            1 => (format!("quick {{ nodes {{{one}}} }} quick {{ nodes {{{two}}} }}"), one + &two),
            2 => (format!("quick {{ nodes {{{one}}} }} ... {{ quick {{ nodes {{{two}}} }} }}"), one + &two),
            _ => (format!("quick {{ nodes {{{one}}} }}"), one),
        };
        let text = format!("{{ {quick} usual {{{both}}} }}");
        let operation =
            executor.select(&text, None).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let prepared = executor.prepare(operation, RawVariables::default()).unwrap();
        let response = executor.execute(prepared, Data::default()).await;
        assert!(response.errors.is_empty(), "{text}: {:?}", response.errors);
        let Value::Object(data) = response.data else { unreachable!("a query answers with an object") };
        let Some(Value::Object(quick)) = data.get("quick") else { unreachable!("it is not null") };
        let usual = data.get("usual");
        let library = serde_json::to_string(&usual).unwrap();
        assert_eq!(json(usual), library, "{text}");
        assert_eq!(json(quick.get("nodes")), library, "{text}");
        texts += usize::from(matches!(quick.get("nodes"), Some(Value::Binary(_))));
    }
    assert!(texts >= 60, "only {texts} of 600 lists were written at once");
}
