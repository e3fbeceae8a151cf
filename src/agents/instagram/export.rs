//! Publications as files: whoever has no account connected, or wants to publish by hand, gets all of one at once.
//!
//! What a publication shows does not change once it is checked, so that its file is made once and belongs to it.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bundle::{self, Piece};
use super::machine::Publication;
use super::target;
use crate::access::{Action, Permission};
use crate::agents::find_many;
use crate::assets::{self, Asset, AssetKind, NewAsset};
use crate::db::{Changes, Record, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AssetId, JobId, ProjectId, PublicationId};
use crate::idempotency;
use crate::jobs::worker::Work;
use crate::jobs::{self, Attempted, Failure, Finished, NewJob, Run};
use crate::storage::Storage;
use crate::usage::Amounts;

/// The kind of its jobs.
const JOB: &str = "instagram.export";

/// What its jobs know.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    publication: PublicationId,
}

/// The files that a publication shows, in their order, and its cover behind them.
fn shown(publication: &Publication) -> Vec<AssetId> {
    let pages = publication.items.iter().flat_map(|item| &item.pages).map(|page| page.asset);
    pages.chain(publication.cover).collect()
}

/// Has the file of a publication made. Gives the job, and whether it is a new one; none when the file is there.
///
/// # Errors
/// `CONFLICT` for what is not checked, does not fit, or has lost a file; `OUT_OF_RANGE` for what is too large;
/// `IDEMPOTENCY_KEY_REUSED`.
pub async fn order(
    tx: &mut WriteTx<'_>,
    (id, project): (PublicationId, Option<ProjectId>),
    publication: &Publication,
    key: Option<&idempotency::Key>,
) -> Result<Option<(JobId, bool)>> {
    if assets::bundle(tx, id.uuid()).await?.is_some() {
        return Ok(None);
    }
    let job = JobId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, job.uuid()).await? {
        return Ok(Some((earlier.into(), false)));
    }
    let named = shown(publication);
    if named.is_empty() {
        let message =
            "There is nothing to export: it is not checked yet, or does not fit. See its `problems`.";
        return Err(Error::fault(Fault::at(FaultCode::Conflict, "id", message)));
    }
    let found = assets::find_many(tx, &named).await?;
    if named.iter().any(|id| !found.iter().any(|asset| asset.id == *id)) {
        let message = "Some of its files have been deleted, or are not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::Conflict, "id", message)));
    }
    if named.iter().map(|id| bytes(&found, *id)).sum::<u64>() > bundle::BYTES {
        let message = "Its files have more than 100 MiB together. Download them one by one from `assets`.";
        return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "id", message)));
    }
    let input = serde_json::to_value(Order { publication: id }).map_err(Error::internal)?;
    let result = Some(id.uuid());
    // No agent works: whoever cancels it does not cancel the publication.
    let (agent, needs) = (None, Amounts::default());
    jobs::enqueue(tx, &NewJob { id: job, kind: JOB, agent, project, input, run_at: None, result, needs })
        .await?;
    Ok(Some((job, true)))
}

fn bytes(files: &[Asset], id: AssetId) -> u64 {
    let file = files.iter().find(|file| file.id == id);
    file.and_then(|file| u64::try_from(file.bytes).ok()).unwrap_or_default()
}

/// What makes files of publications.
#[derive(Debug)]
pub struct Exporter {
    storage: Arc<Storage>,
}

impl Work for Exporter {
    fn kind(&self) -> &'static str {
        JOB
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.work(run).boxed()
    }
}

impl Exporter {
    /// With files of this storage.
    pub const fn new(storage: Arc<Storage>) -> Self {
        Self { storage }
    }

    async fn work(&self, run: &Run) -> Result<Attempted, Failure> {
        let (id, project, publication) = {
            let mut tx = run.read(Action::PublicationExport).await?;
            let Order { publication: id } = jobs::input(&mut tx, run.job()).await?;
            let output = find_many(&mut tx, &[id.uuid()]).await?.pop().ok_or(Error::NotFound)?;
            let content = output.content.unwrap_or_default();
            let publication: Publication = serde_json::from_value(content).map_err(Error::internal)?;
            (id, output.project, publication)
        };
        run.release().await;
        let made = self.make(run, project, publication).await?;
        let mut tx = run.write(project, Action::PublicationExport).await?;
        tx.take_turn(&format!("bundle {id}")).await?;
        // Of two who make it at the same time one is enough: what the other one has saved goes after a day.
        if assets::bundle(&mut tx, id.uuid()).await?.is_none() {
            assets::keep(&mut tx, id.uuid(), &[made]).await?;
        }
        let finished = Finished { result: Some(id.uuid()), engine: None, used: Amounts::default() };
        let changes = Changes::made(&json!({"bundle": made}));
        Ok(run.succeed(tx, &finished, Record::with(target(id, project), changes)).await?)
    }

    async fn make(
        &self,
        run: &Run,
        project: Option<ProjectId>,
        publication: Publication,
    ) -> Result<AssetId, Failure> {
        let mut pieces = Vec::new();
        let mut left = bundle::BYTES;
        for id in shown(&publication) {
            let (asset, bytes) = assets::read(run, &self.storage, id, left).await?;
            if !run.scope().may_see(asset.project, Permission::ContentRead) {
                return Err(Error::NotFound.into());
            }
            left = left.saturating_sub(u64::try_from(asset.bytes).unwrap_or(u64::MAX));
            let extension = assets::content::extension(&asset.mime_type);
            pieces.push(Piece { extension, bytes, alt_text: asset.alt_text });
        }
        let cover = publication.cover.and_then(|_| pieces.pop());
        let zip = jobs::compute(move || bundle::zip(&publication, &pieces, cover.as_ref())).await?;
        let new = NewAsset {
            project,
            kind: AssetKind::Archive,
            bytes: zip.map_err(Error::internal)?.into(),
            mime_type: "application/zip",
            width: None,
            height: None,
            duration_seconds: None,
            alt_text: None,
        };
        Ok(assets::save(run, &self.storage, new).await?)
    }
}
