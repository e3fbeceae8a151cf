//! What is written at once is what the resolvers would have said.

use async_graphql::{EmptyMutation, EmptySubscription, Schema};

use super::*;

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
    for _ in 0..=dice.below(fields.len() + 2) {
        let field = fields[dice.below(fields.len())];
        let (name, below) = field.split_once(' ').unwrap_or((field, ""));
        let word = match dice.below(8) {
            0 => format!("alias{}: {field}", dice.below(1000)),
            1 => format!("... {{ {field} }}"),
            2 => "__typename".to_owned(),
            3 => format!("{name} @include(if: true) {below}"),
            4 => format!("{field} {field}"),
            _ => field.to_owned(),
        };
        text.push(' ');
        text.push_str(&word);
    }
    text
}

/// Compares the two ways over many selections of these fields, each of which is to be plain, and of `others`.
pub(crate) async fn assert_same<N: Node + 'static>(nodes: fn() -> Vec<N>, plain: &[&str], others: &[&str]) {
    for field in plain {
        let document = async_graphql::parser::parse_query(format!("{{ {field} }}")).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        for node in nodes() {
            assert!(
                plain_object(&node, &operation.node.selection_set.node).is_some(),
                "{field} is not plain"
            );
        }
    }
    let schema = Schema::build(Root(nodes), EmptyMutation, EmptySubscription).finish();
    let all = [plain, others].concat();
    let mut dice = Dice(42);
    for round in 0..400 {
        let fields = selection(if round % 2 == 0 { plain } else { &all }, &mut dice);
        let text = format!("{{ quick {{ nodes {{{fields} }} }} usual {{{fields} }} }}");
        let response = schema.execute(text.as_str()).await;
        assert!(response.errors.is_empty(), "{text}: {:?}", response.errors);
        let Value::Object(mut data) = response.data else { unreachable!("a query answers with an object") };
        let json = |value: Option<Value>| serde_json::to_string(&value).unwrap();
        let usual = json(data.swap_remove("usual"));
        let Some(Value::Object(mut quick)) = data.swap_remove("quick") else {
            unreachable!("it is not null")
        };
        assert_eq!(json(quick.swap_remove("nodes")), usual, "{text}");
    }
}
