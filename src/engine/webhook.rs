//! What is sent to other people's servers when something has happened: one request, and nothing of the answer but its status.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use url::Url;

use super::address::{Reach, Unsafe};
use super::client;

/// Until the connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Until the answer has begun; the rest of it is not read.
const TOTAL: Duration = Duration::from_secs(20);

/// What sends it.
#[derive(Debug)]
pub struct Sender {
    client: OnceLock<Client>,
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
        Self { client: OnceLock::new(), reach }
    }

    /// How far addresses may lead.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    fn client(&self) -> Result<&Client, Undelivered> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = client::builder(Some(self.reach)).connect_timeout(CONNECT).timeout(TOTAL);
        let client = client.build().map_err(|error| {
            tracing::error!("no client for webhooks can be made: {error:?}");
            Undelivered::Unreachable
        })?;
        Ok(self.client.get_or_init(|| client))
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
