//! The HTTP client as everything that calls outside makes it: no redirects, no proxies, no referrer, and a bound on answers.

use bytes::{Bytes, BytesMut};
use reqwest::{Client, ClientBuilder, Response, redirect};

use super::address::{Reach, Resolver};

/// A client that leads as far as `reach` says; without one, wherever it is sent.
pub(super) fn builder(reach: Option<Reach>) -> ClientBuilder {
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
