//! Pages as Relay connections.

use async_graphql::connection::{self, CursorType, EmptyFields};
use async_graphql::{Context, Object, OutputType};
use futures_util::future::BoxFuture;

use crate::db::page::{Key, Seal, Slice};
use crate::error::Result;

/// A list whose edges hold nothing but cursor and node.
pub type Connection<Node> = connection::Connection<Cursor, Node, Total, EmptyFields>;

/// An edge of such a list.
pub type Edge<Node> = connection::Edge<Cursor, Node, EmptyFields>;

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
}

impl CursorType for Cursor {
    type Error = &'static str;

    fn decode_cursor(_: &str) -> std::result::Result<Self, Self::Error> {
        Err("cursors are read with their list's seal")
    }

    fn encode_cursor(&self) -> String {
        self.seal.encode(uuid::Uuid::from_bytes(self.row))
    }
}

/// Counts the rows of a list when asked.
pub type Counter = Box<dyn for<'a> Fn(&'a Context<'a>) -> BoxFuture<'a, Result<Option<i64>>> + Send + Sync>;

/// What a connection has beside its page.
pub struct Total(Counter);

#[Object]
impl Total {
    /// How many there are in all, with the same filter. Counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<i32>> {
        let count = (self.0)(ctx).await?;
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
    let mut connection = Connection::with_additional_fields(slice.has_previous, slice.has_next, Total(count));
    connection.edges.extend(slice.items.into_iter().map(|item| {
        let cursor = Cursor::new(seal, key(&item));
        Edge::new(cursor, node(item))
    }));
    connection
}
