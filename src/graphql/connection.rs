//! Pages as Relay connections.
//!
//! The library's connections come without descriptions; these are the same in the schema, and say what they are.

use std::borrow::Cow;

use async_graphql::{Context, Object, OutputType, SimpleObject, TypeName};
use futures_util::future::BoxFuture;

use crate::db::page::{Key, Seal, Slice};
use crate::error::Result;

/// A row's place in its list; written out only when a client asks for it.
#[derive(Debug, Clone)]
pub struct Cursor {
    seal: Seal,
    row: [u8; 16],
}

impl Cursor {
    /// The cursor of a row.
    pub fn new<K: Key>(seal: &Seal, key: K) -> Self {
        Self { seal: seal.clone(), row: key.bytes() }
    }

    fn text(&self) -> String {
        self.seal.encode(uuid::Uuid::from_bytes(self.row))
    }
}

/// Counts the rows of a list when asked.
pub type Counter = Box<dyn for<'a> Fn(&'a Context<'a>) -> BoxFuture<'a, Result<Option<i64>>> + Send + Sync>;

/// Where a page stands in its list.
#[derive(Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether there is more after this page.
    has_next_page: bool,
    /// Whether there is more before this page.
    has_previous_page: bool,
    /// The cursor of the page's first row: pass it as `before` to go back.
    start_cursor: Option<String>,
    /// The cursor of the page's last row: pass it as `after` to go on.
    end_cursor: Option<String>,
}

/// One row of a page, with its place in the list and nothing else.
pub struct Edge<Node> {
    cursor: Cursor,
    node: Node,
}

impl<Node> Edge<Node> {
    /// The edge of a row.
    pub const fn new(cursor: Cursor, node: Node) -> Self {
        Self { cursor, node }
    }
}

impl<Node: OutputType> TypeName for Edge<Node> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", Node::type_name()).into()
    }
}

/// One row of a page, with its place in the list and nothing else.
#[Object(name_type)]
impl<Node: OutputType> Edge<Node> {
    /// The row's place in the list: pass it as `after` or `before`.
    async fn cursor(&self) -> String {
        self.cursor.text()
    }

    /// The row.
    async fn node(&self) -> &Node {
        &self.node
    }
}

/// One page of a list, and how to go on from it.
pub struct Connection<Node> {
    edges: Vec<Edge<Node>>,
    has_next: bool,
    has_previous: bool,
    count: Counter,
}

impl<Node: OutputType> TypeName for Connection<Node> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", Node::type_name()).into()
    }
}

/// One page of a list, and how to go on from it.
#[Object(name_type)]
impl<Node: OutputType> Connection<Node> {
    /// The page's rows with their places in the list.
    async fn edges(&self) -> &[Edge<Node>] {
        &self.edges
    }

    /// The page's rows.
    async fn nodes(&self) -> Vec<&Node> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// Where the page stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.edges.first().map(|edge| edge.cursor.text()),
            end_cursor: self.edges.last().map(|edge| edge.cursor.text()),
        }
    }

    /// How many there are in all, with the same filter. Counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<i32>> {
        let count = (self.count)(ctx).await?;
        Ok(count.map(|count| i32::try_from(count).unwrap_or(i32::MAX)))
    }
}

/// Makes the connection of a page. `key` gives a node's place, `count` counts when `totalCount` is selected.
pub fn connect<T, K: Key, Node: OutputType>(
    slice: Slice<T>,
    seal: &Seal,
    count: Counter,
    key: impl Fn(&T) -> K,
    node: impl Fn(T) -> Node,
) -> Connection<Node> {
    let edge = |item: T| Edge::new(Cursor::new(seal, key(&item)), node(item));
    Connection {
        edges: slice.items.into_iter().map(edge).collect(),
        has_next: slice.has_next,
        has_previous: slice.has_previous,
        count,
    }
}
