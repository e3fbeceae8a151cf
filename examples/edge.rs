//! The protocol edge on its own: a schema of three fields at `/graphql`, for conformance checks.
//!
//! `cargo run --example edge -- 127.0.0.1:4000`

use std::net::SocketAddr;
use std::sync::Arc;

use aicos::error::Error;
use aicos::graphql::document::Limits;
use aicos::graphql::execute::{Disclosure, Executor};
use aicos::http::graphql::{Admission, Charge, Endpoint, Gate, Head, Settings};
use async_graphql::{EmptySubscription, Object, Schema};
use axum::Router;

struct Query;

#[Object]
impl Query {
    /// A greeting.
    async fn hello(&self, name: Option<String>) -> String {
        format!("Hello, {}!", name.as_deref().unwrap_or("world"))
    }
}

struct Mutation;

#[Object]
impl Mutation {
    /// Gives back what it is given.
    async fn echo(&self, number: i32) -> i32 {
        number
    }
}

/// Lets everybody in.
struct Open;

impl Gate for Open {
    type Context = ();

    async fn admit(&self, _head: Head<'_>) -> Result<Admission<()>, Error> {
        Ok(Admission { context: (), authenticated: false })
    }

    async fn charge(&self, _context: &(), _charge: Charge<'_>) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    fn release(&self, _context: Arc<()>) {}
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:4000").parse()?;
    let disclosure = Disclosure { introspection: true, suggestions: true };
    let build = || Schema::build(Query, Mutation, EmptySubscription);
    let executor = Executor::new(build, Limits::default(), disclosure)?;
    let endpoint = Endpoint::new(Open, Arc::new(executor), Settings::default());
    let router = Router::new().route("/graphql", endpoint.into_route());
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
