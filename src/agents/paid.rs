//! Files that a provider's model makes. One costs much more than a text, so it is kept as soon as it is there: an attempt that
//! is broken off afterwards finds it again by an event of the job, and does not pay for it twice. What takes long is noted on
//! the way as well, for the same reason.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::agent::Tools;
use crate::access::Action;
use crate::assets::{self, NewAsset};
use crate::error::{Detail, Fault, FaultCode, Result};
use crate::id::{AssetId, ProjectId};
use crate::jobs::{self, Engine, Event, Failure, Run};
use crate::providers::Wanted;

/// A file that has been paid for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paid {
    /// What was asked of whom, as a checksum.
    request: String,
    /// The file.
    pub asset: AssetId,
    /// Who has made it, and what for.
    pub engine: Engine,
}

/// What is noted about a request on the way to its file.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    request: String,
    kept: Option<String>,
}

/// What is asked of a provider's model.
#[derive(Debug)]
pub(super) struct Asked {
    /// The kind of the event that says that the file is there.
    event: &'static str,
    request: String,
}

impl Asked {
    /// Of this provider, in these words; the seed tells two steps of one job from each other.
    pub fn new(event: &'static str, wanted: &Wanted, seed: u64, words: &[&str]) -> Self {
        let mut sum = Sha256::new();
        for word in [wanted.provider.as_str(), &seed.to_string()].iter().chain(words) {
            sum.update(word);
            sum.update("\n");
        }
        Self { event, request: hex::encode(sum.finalize()) }
    }

    /// What has been noted about the same request, oldest first: events of these kinds, each with what was kept with it.
    pub async fn noted(&self, run: &Run, kinds: &[&str]) -> Result<Vec<(Event, Option<String>)>> {
        let events = {
            let mut tx = run.read(Action::ContentRead).await?;
            jobs::events_of(&mut tx, run.job(), kinds).await?
        };
        run.release().await;
        let about = events.into_iter().filter_map(|event| {
            let noted: Noted = serde_json::from_value(event.data.clone()?).ok()?;
            (noted.request == self.request).then_some((event, noted.kept))
        });
        Ok(about.collect())
    }

    /// Notes something about the request, for a later attempt and for whoever watches.
    ///
    /// # Errors
    /// What the database says.
    pub async fn note(&self, run: &Run, kind: &str, message: &str, kept: Option<&str>) -> Result<()> {
        let noted = Noted { request: self.request.clone(), kept: kept.map(str::to_owned) };
        run.note(None, kind, Some(message), Some(&json!(noted))).await
    }

    /// The file that an earlier attempt was given for the same request, of so many bytes at the most.
    pub async fn earlier(
        &self,
        tools: &Tools,
        run: &Run,
        project: ProjectId,
        most: usize,
    ) -> Result<Option<(Bytes, Paid)>> {
        let events = {
            let mut tx = run.read(Action::ContentRead).await?;
            jobs::events_of(&mut tx, run.job(), &[self.event]).await?
        };
        let mut kept =
            events.into_iter().filter_map(|event| serde_json::from_value::<Paid>(event.data?).ok());
        let Some(paid) = kept.rfind(|paid| paid.request == self.request) else { return Ok(None) };
        let place = (Some(project), paid.asset);
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        Ok(assets::read_saved(run, &tools.storage, place, most).await?.map(|bytes| (bytes, paid)))
    }

    /// Keeps the file, and says so with how far the work is.
    ///
    /// # Errors
    /// What the database or the storage says.
    pub async fn keep(
        self,
        tools: &Tools,
        run: &Run,
        file: NewAsset,
        engine: Engine,
        (share, message): (f32, &str),
    ) -> Result<Paid, Failure> {
        let asset = assets::save(run, &tools.storage, file).await?;
        let paid = Paid { request: self.request, asset, engine };
        run.note(Some(share), self.event, Some(message), Some(&json!(paid))).await?;
        Ok(paid)
    }
}

/// A provider is wanted that is not there, or has no such models.
pub(super) fn missing(message: impl Into<String>) -> Failure {
    Failure::fail(Fault::new(FaultCode::ProviderNotConfigured, message))
}

/// What the provider has sent is of no use.
pub(super) fn unusable(wanted: &Wanted, what: &str, error: &dyn std::error::Error) -> Failure {
    let detail = Detail::Provider { provider: wanted.provider.clone(), provider_code: None, retryable: true };
    let message = format!("The {what} of {} cannot be used: {error}. Try again.", wanted.provider);
    Failure::from(Fault::new(FaultCode::ProviderFailed, message).with(detail))
}
