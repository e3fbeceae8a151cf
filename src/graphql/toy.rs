//! A small schema with one of everything, for tests of the checks and of the handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql::futures_util::stream::{self, Stream};
use async_graphql::{
    Context, Enum, InputObject, InputValueError, InputValueResult, MaybeUndefined, Object, OneofObject,
    Scalar, ScalarType, Schema, SchemaBuilder, SimpleObject, Subscription, Union, Value,
};

use super::document::Limits;
use super::execute::{Disclosure, Executor};
use super::turn::Turn;
use crate::error::{Error, Fault, FaultCode};

/// How often any resolver of the toy ran, when the request carries one.
pub(crate) type Runs = Arc<AtomicUsize>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
enum Color {
    Red,
    Green,
}

#[derive(Debug, InputObject)]
struct EchoInput {
    text: String,
    number: Option<i32>,
    #[graphql(default = 7)]
    preset: i32,
    tags: Option<Vec<String>>,
    inner: Option<Box<EchoInput>>,
}

#[derive(Debug, InputObject)]
struct UpdateInput {
    id: async_graphql::ID,
    name: MaybeUndefined<String>,
}

#[derive(Debug, OneofObject)]
enum Target {
    Id(async_graphql::ID),
    Slug(String),
}

/// A scalar that reads `key_` and something.
#[derive(Debug)]
struct Key(String);

#[Scalar]
impl ScalarType for Key {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if text.starts_with("key_") => Ok(Self(text)),
            Value::String(_) => Err(InputValueError::custom("a key starts with `key_`")),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

#[derive(Debug, Clone, Copy)]
struct Thing;

#[Object]
impl Thing {
    async fn id(&self) -> async_graphql::ID {
        "thg_1".into()
    }
    async fn name(&self, upper: Option<bool>) -> &str {
        if upper.unwrap_or(false) { "THING" } else { "thing" }
    }
    async fn parent(&self) -> Option<Thing> {
        Some(Thing)
    }
    async fn siblings(&self) -> Vec<Thing> {
        vec![Thing]
    }
    async fn late(&self) -> bool {
        tokio::task::yield_now().await;
        true
    }
    async fn gone(&self) -> Result<Option<bool>, Error> {
        Err(Error::NotFound)
    }
    async fn lost(&self) -> Result<bool, Error> {
        Err(Error::NotFound)
    }
    async fn things(&self, first: Option<i32>, last: Option<i32>, after: Option<String>) -> ThingConnection {
        let _ = (first, last, after);
        ThingConnection::new()
    }
}

#[derive(Debug, SimpleObject)]
struct Other {
    id: async_graphql::ID,
    label: String,
}

#[derive(Debug, Union)]
enum Anything {
    Thing(Thing),
    Other(Other),
}

#[derive(Debug, SimpleObject)]
struct ThingEdge {
    cursor: String,
    node: Thing,
}

#[derive(Debug, SimpleObject)]
struct PageInfo {
    has_next_page: bool,
}

#[derive(Debug, SimpleObject)]
struct ThingConnection {
    edges: Vec<ThingEdge>,
    nodes: Vec<Thing>,
    page_info: PageInfo,
    total_count: Option<i32>,
}

impl ThingConnection {
    fn new() -> Self {
        Self {
            edges: vec![ThingEdge { cursor: "c".into(), node: Thing }],
            nodes: vec![Thing],
            page_info: PageInfo { has_next_page: false },
            total_count: Some(1),
        }
    }
}

pub(crate) struct Query;

#[Object]
#[expect(clippy::too_many_arguments, reason = "one argument of each kind")]
impl Query {
    async fn hello(&self, ctx: &Context<'_>) -> &str {
        if let Some(runs) = ctx.data_opt::<Runs>() {
            runs.fetch_add(1, Ordering::Relaxed);
        }
        "hello"
    }

    async fn echo(
        &self,
        text: Option<String>,
        number: Option<i32>,
        ratio: Option<f64>,
        flag: Option<bool>,
        id: Option<async_graphql::ID>,
        color: Option<Color>,
        tags: Option<Vec<String>>,
        input: Option<EchoInput>,
        target: Option<Target>,
        key: Option<Key>,
        json: Option<async_graphql::Json<serde_json::Value>>,
        #[graphql(default = 5)] preset: i32,
    ) -> String {
        let json = json.map(|json| json.0);
        format!(
            "{text:?} {number:?} {ratio:?} {flag:?} {id:?} {color:?} {tags:?} {input:?} {target:?} {key:?} {json:?} {preset}"
        )
    }

    async fn thing(&self) -> Option<Thing> {
        Some(Thing)
    }
    async fn nodes(&self, ids: Vec<async_graphql::ID>) -> Vec<Option<Thing>> {
        ids.iter().map(|_| Some(Thing)).collect()
    }
    async fn anything(&self) -> Anything {
        Anything::Other(Other { id: "oth_1".into(), label: "other".into() })
    }
    async fn unpaged(&self) -> Vec<Thing> {
        vec![Thing]
    }
    async fn things(&self, first: Option<i32>, last: Option<i32>, after: Option<String>) -> ThingConnection {
        let _ = (first, last, after);
        ThingConnection::new()
    }

    async fn boom(&self) -> bool {
        let nothing: Vec<bool> = std::iter::empty().collect();
        nothing[0]
    }
    async fn broken(&self) -> Result<bool, Error> {
        Err(Error::internal(anyhow::anyhow!("secret of the database")))
    }
    async fn away(&self) -> Result<Option<bool>, Error> {
        Err(Error::unavailable(anyhow::anyhow!("secret of the pool")))
    }
    async fn refused(&self) -> Result<bool, Error> {
        Err(Error::fault(Fault::at(FaultCode::Invalid, "name", "The name is odd.")))
    }
    async fn misplaced(&self, ctx: &Context<'_>) -> async_graphql::Result<bool> {
        Ok(*ctx.data::<bool>()?)
    }
    async fn patient(&self, ctx: &Context<'_>) -> bool {
        if let Ok(turn) = ctx.data::<Turn>() {
            turn.give_up();
        }
        std::future::pending().await
    }
    async fn slow(&self) -> bool {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        true
    }
}

pub(crate) struct Mutation;

#[Object]
impl Mutation {
    async fn run(&self, ctx: &Context<'_>) -> usize {
        ctx.data_opt::<Runs>().map_or(0, |runs| runs.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn update(&self, input: UpdateInput) -> String {
        let name = match input.name {
            MaybeUndefined::Undefined => "left alone".to_owned(),
            MaybeUndefined::Null => "cleared".to_owned(),
            MaybeUndefined::Value(name) => format!("set to {name}"),
        };
        format!("{}: {name}", input.id.as_str())
    }
}

pub(crate) struct Ticks;

#[Subscription]
impl Ticks {
    async fn ticks(&self, to: i32) -> impl Stream<Item = i32> {
        stream::iter(0..to)
    }
}

pub(crate) type ToyExecutor = Executor<Query, Mutation, Ticks>;

pub(crate) fn builder() -> SchemaBuilder<Query, Mutation, Ticks> {
    Schema::build(Query, Mutation, Ticks)
}

pub(crate) fn executor_with(limits: Limits, disclosure: Disclosure) -> ToyExecutor {
    Executor::new(builder, limits, disclosure).unwrap()
}

pub(crate) fn executor() -> ToyExecutor {
    executor_with(Limits::default(), Disclosure { introspection: true, suggestions: true })
}
