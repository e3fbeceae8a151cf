//! What is sent to other people's servers when something has happened: one request, and nothing of the answer but its status.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, ClientBuilder};
use url::Url;

use super::address::{Reach, Unsafe};
use super::client::LazyClient;

/// Until the connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Until the answer has begun; the rest of it is not read.
const TOTAL: Duration = Duration::from_secs(20);

/// What sends it.
#[derive(Debug)]
pub struct Sender {
    client: LazyClient,
    reach: Reach,
}

/// Why it did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    /// The address may not be called.
    Refused(Unsafe),
    /// Nobody is there, or nobody answered in time.
    Unreachable,
    /// The answer was no success, with how long it asks to wait.
    Answered(u16, Option<Duration>),
}

impl Undelivered {
    /// Whether the same may arrive later: not where it is answered that it is sent to the wrong place, or in the wrong way.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unreachable => true,
            Self::Answered(status, _) => matches!(status, 408 | 409 | 425 | 429 | 500..),
        }
    }
}

impl Sender {
    /// A client that calls where it may.
    pub const fn new(reach: Reach) -> Self {
        Self { client: LazyClient::new(), reach }
    }

    /// How far addresses may lead.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    fn client(&self) -> Result<&Client, Undelivered> {
        let patience = |client: ClientBuilder| client.connect_timeout(CONNECT).timeout(TOTAL);
        self.client.get(Some(self.reach), patience).map_err(|_| Undelivered::Unreachable)
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<(), Undelivered> {
        self.reach.check(url).map_err(Undelivered::Refused)?;
        let mut request =
            self.client()?.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.map_err(|_| Undelivered::Unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let asked =
            answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(Undelivered::Answered(status.as_u16(), asked.map(Duration::from_secs)))
    }
}
