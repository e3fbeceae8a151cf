//! The HTTP client as everything that calls outside makes it: no redirects, no proxies, no referrer, and a bound on answers.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, ClientBuilder, Response, redirect};

use super::address::{Reach, Resolver};

/// A client that is made at the first call: it reads the machine's certificates, which takes as long as all the rest of a
/// start.
#[derive(Debug)]
pub(super) struct LazyClient(OnceLock<Client>);

/// The client cannot be made; the log says why.
#[derive(Debug)]
pub(super) struct NoClient;

impl LazyClient {
    /// One that is not made yet.
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The client: it leads as far as `reach` says, without one wherever it is sent, and waits as long as `patience` says.
    ///
    /// # Errors
    /// [`NoClient`].
    pub(super) fn get(
        &self,
        reach: Option<Reach>,
        patience: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<&Client, NoClient> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = patience(builder(reach)).build().map_err(|error| {
            tracing::error!("no client for calls outside can be made: {error:?}");
            NoClient
        })?;
        Ok(self.0.get_or_init(|| client))
    }
}

fn builder(reach: Option<Reach>) -> ClientBuilder {
    let client = Client::builder()
        .user_agent(concat!("aicos/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy();
    match reach {
        Some(reach) => client.dns_resolver(Resolver(reach)),
        None => client,
    }
}

/// A body of at most so many bytes; none when it has more.
///
/// # Errors
/// It is cut off, or does not come.
pub(super) async fn body(mut response: Response, most: usize) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(body.freeze()))
}
