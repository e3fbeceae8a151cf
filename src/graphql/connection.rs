//! Pages as Relay connections.
//!
//! The library's connections come without descriptions; these are the same in the schema, and say what they are.

use std::borrow::Cow;

use async_graphql::parser::types::{Field, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_list;
use async_graphql::{
    Context, ContextSelectionSet, Object, OutputType, Positioned, ServerResult, SimpleObject, TypeName, Value,
};
use futures_util::future::BoxFuture;

use super::plain::{Distinct, Text};
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
pub struct Edge<N> {
    cursor: Cursor,
    node: N,
}

impl<N> Edge<N> {
    /// The edge of a row.
    pub const fn new(cursor: Cursor, node: N) -> Self {
        Self { cursor, node }
    }
}

impl<N: OutputType> TypeName for Edge<N> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", N::type_name()).into()
    }
}

/// One row of a page, with its place in the list and nothing else.
#[Object(name_type)]
impl<N: OutputType> Edge<N> {
    /// The row's place in the list: pass it as `after` or `before`.
    async fn cursor(&self) -> String {
        self.cursor.text()
    }

    /// The row.
    async fn node(&self) -> &N {
        &self.node
    }
}

/// What a list can hold.
pub trait Node: OutputType {
    /// Writes the value of one field as its resolver would give it, when that is plain: the value is there, everybody who
    /// sees the object sees it, and its arguments (if it has any) are those that it was read for. None sends the whole
    /// list through the resolvers.
    ///
    /// Only a shortcut: a field that is left out here is slower and nothing else. What it says must be what the resolver
    /// says, which a test compares for every type that has one.
    fn plain(&self, field: &Field, out: &mut Text) -> Option<()> {
        let _ = (field, out);
        None
    }
}

/// One page of a list, and how to go on from it.
pub struct Connection<N: Node> {
    edges: Vec<Edge<N>>,
    has_next: bool,
    has_previous: bool,
    count: Counter,
}

impl<N: Node> TypeName for Connection<N> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", N::type_name()).into()
    }
}

/// One page of a list, and how to go on from it.
#[Object(name_type)]
impl<N: Node> Connection<N> {
    /// The page's rows with their places in the list.
    async fn edges(&self) -> &[Edge<N>] {
        &self.edges
    }

    /// The page's rows.
    async fn nodes(&self) -> Nodes<'_, N> {
        Nodes(&self.edges)
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

/// The nodes of a list: written at once when everything that is selected is plain, otherwise resolved one by one.
struct Nodes<'a, N: Node>(&'a [Edge<N>]);

impl<N: Node> OutputType for Nodes<'_, N> {
    fn type_name() -> Cow<'static, str> {
        Vec::<N>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<N>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        let list = Vec::<N>::create_type_info(registry);
        // What a connection lists is a node. An interface can be declared so nowhere else: the macros know objects only.
        registry.add_implements(&N::type_name(), "Node");
        list
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let nodes = self.0.iter().map(|edge| &edge.node);
        let text = ctx.data_opt::<Distinct>().and_then(|Distinct| written(nodes, &ctx.item.node));
        match text {
            Some(list) => Ok(list),
            None => resolve_list(ctx, field, self.0.iter().map(|edge| &edge.node), Some(self.0.len())).await,
        }
    }
}

/// The list of these nodes, when all that is selected of them is plain.
fn written<'a, N: Node + 'a>(nodes: impl Iterator<Item = &'a N>, set: &SelectionSet) -> Option<Value> {
    let mut out = Text::default();
    let name = N::type_name();
    out.list(nodes, |node, out| out.object(&name, set, |field, out| node.plain(field, out)))?;
    Some(out.into_value())
}

/// Makes the connection of a page. `key` gives a node's place, `count` counts when `totalCount` is selected.
pub fn connect<T, K: Key, N: Node>(
    slice: Slice<T>,
    seal: &Seal,
    count: Counter,
    key: impl Fn(&T) -> K,
    node: impl Fn(T) -> N,
) -> Connection<N> {
    let edge = |item: T| Edge::new(Cursor::new(seal, key(&item)), node(item));
    Connection {
        edges: slice.items.into_iter().map(edge).collect(),
        has_next: slice.has_next,
        has_previous: slice.has_previous,
        count,
    }
}

#[cfg(test)]
pub(crate) mod tests;
