//! Meta's Graph API: forms in, JSON out, errors with a code and a subcode. What is said there is somebody else's to know.
//!
//! The token travels in a header, and what may be an address to fetch a file in the body: neither is part of an address.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::address::Reach;
use super::client::{self, LazyClient};
use super::failure::clean_message;

/// Until the connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// A whole call: the API fetches nothing while it is waited for, but publishing takes its time.
const TOTAL: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const BYTES: usize = 1 << 20;

/// One place of the API, with what reaches it.
#[derive(Debug)]
pub struct Graph {
    client: LazyClient,
    reach: Reach,
}

/// A call that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The address may not be called, or nobody is there: nothing was done.
    Unreachable,
    /// No answer came, or half of one: whether it was done is not known.
    Lost,
    /// An error as the API puts it.
    Said(Complaint),
}

/// An error as the API puts it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Complaint {
    /// The status.
    pub status: u16,
    /// `error.code`; 0 without one.
    pub code: i64,
    /// `error.error_subcode`.
    pub subcode: Option<i64>,
    /// `error.is_transient`.
    pub transient: bool,
    /// What it says, as it may be shown.
    pub message: String,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
}

impl Graph {
    /// A client that calls where it may.
    pub const fn new(reach: Reach) -> Self {
        Self { client: LazyClient::new(), reach }
    }

    /// How far addresses may lead.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    fn client(&self) -> Result<&Client, Trouble> {
        let patience = |client: ClientBuilder| client.connect_timeout(CONNECT).timeout(TOTAL);
        self.client.get(Some(self.reach), patience).map_err(|_| Trouble::Unreachable)
    }

    /// Reads `path` below `base`.
    ///
    /// # Errors
    /// What came instead of an answer.
    pub async fn get(
        &self,
        base: &Url,
        path: &str,
        parameters: &[(&str, &str)],
        token: &SecretString,
    ) -> Result<Value, Trouble> {
        let mut url = self.address(base, path)?;
        url.query_pairs_mut().extend_pairs(parameters);
        self.send(self.client()?.get(url), token).await
    }

    /// Sends a form to `path` below `base`.
    ///
    /// # Errors
    /// What came instead of an answer.
    pub async fn post(
        &self,
        base: &Url,
        path: &str,
        form: &[(&str, &str)],
        token: &SecretString,
    ) -> Result<Value, Trouble> {
        let url = self.address(base, path)?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client()?.post(url).body(body);
        self.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"), token).await
    }

    fn address(&self, base: &Url, path: &str) -> Result<Url, Trouble> {
        self.reach.check(base).map_err(|_| Trouble::Unreachable)?;
        let mut url = base.clone();
        let segments = path.split('/');
        url.path_segments_mut().map_err(|()| Trouble::Unreachable)?.pop_if_empty().extend(segments);
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder, token: &SecretString) -> Result<Value, Trouble> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| Trouble::Unreachable)?;
        bearer.set_sensitive(true);
        let sent = request.header(AUTHORIZATION, bearer).send().await;
        let response =
            sent.map_err(|error| if error.is_connect() { Trouble::Unreachable } else { Trouble::Lost })?;
        let status = response.status();
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = read(response).await;
        if status.is_success() {
            return body.ok_or(Trouble::Lost);
        }
        let body = body.unwrap_or_default();
        let error = &body["error"];
        if status.is_server_error() && !error.is_object() {
            return Err(Trouble::Lost);
        }
        // What is written for people says more than what is written for programs.
        let said = ["error_user_msg", "message"].iter().find_map(|key| error[key].as_str());
        Err(Trouble::Said(Complaint {
            status: status.as_u16(),
            code: error["code"].as_i64().unwrap_or_default(),
            subcode: error["error_subcode"].as_i64(),
            transient: error["is_transient"].as_bool().unwrap_or_default(),
            message: clean_message(said.unwrap_or_default(), Some(token.expose_secret())),
            retry_after: asked.map(Duration::from_secs),
        }))
    }
}

/// A body as JSON; none when it is too large, cut off, or something else.
async fn read(response: Response) -> Option<Value> {
    let body = client::body(response, BYTES).await.ok()??;
    serde_json::from_slice(&body).ok()
}
