//! `/metrics`: figures for Prometheus, for programs on this machine and for whoever has the token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Proxies;
use crate::db::Db;
use crate::identity::Identity;
use crate::telemetry::count;

/// Who may read the figures.
#[derive(Debug, Clone, Default)]
pub struct Readers {
    /// Whoever has this token; none: nobody else.
    pub token: Option<SecretString>,
    /// What tells programs on this machine from proxies on it.
    pub proxies: Proxies,
}

impl Readers {
    fn include(&self, request: &Parts) -> bool {
        self.know(&request.headers) || self.is_here(request)
    }

    /// Whether the request carries the token. Both are hashed first, so that not even the length shows in the time.
    fn know(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return false };
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(sent), None) = (sent.next(), sent.next()) else { return false };
        let Some((scheme, sent)) = sent.to_str().ok().and_then(|sent| sent.split_once(' ')) else {
            return false;
        };
        let (sent, token) = (Sha256::digest(sent.trim()), Sha256::digest(token.expose_secret()));
        scheme.eq_ignore_ascii_case("bearer") && sent[..].ct_eq(&token[..]).into()
    }

    /// Whether the request is made on this machine.
    fn is_here(&self, request: &Parts) -> bool {
        let Some(ConnectInfo(peer)) = request.extensions.get::<ConnectInfo<SocketAddr>>() else {
            return false;
        };
        let named = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        // HTTP/2 has the host in the address.
        let host = request.uri.authority().map(Authority::as_str).or(named);
        self.proxies.is_local(peer.ip(), &request.headers, host)
    }
}

/// What the figures are read from.
#[derive(Clone)]
pub(super) struct Figures {
    pub db: Db,
    pub identity: Arc<Identity>,
    pub readers: Readers,
}

/// All figures, or nothing.
pub(super) async fn show(State(figures): State<Figures>, request: Parts) -> Response {
    let Figures { db, identity, readers } = figures;
    let plain = [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    if !readers.include(&request) {
        let refusal = "This address needs a credential.\n";
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], plain, refusal).into_response();
    }
    count().pool(db.status());
    let (running, waiting) = identity.hashing();
    count().hashes(running, waiting);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], plain, count().render()).into_response()
}
