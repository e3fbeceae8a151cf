//! Texts that agents put into files.
//!
//! Whatever is in them comes from the job, so that a job that is worked on twice gives the same files.

use chrono::DateTime;

use super::agent::Tools;
use super::text::calendar::Calendar;
use crate::assets::{self, AssetKind, NewAsset};
use crate::error::Result;
use crate::id::{AssetId, ProjectId};
use crate::jobs::Run;

/// What a job's calendar file says of itself.
pub fn calendar(run: &Run, name: String) -> Calendar {
    let job = run.job();
    let began = job.uuid().get_timestamp().and_then(|at| {
        let (seconds, nanos) = at.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    });
    Calendar { name, namespace: job.to_string(), stamped_at: began.unwrap_or_default() }
}

/// Puts a text into the storage. No transaction of the run's may be open.
///
/// # Errors
/// `QUOTA_EXCEEDED`; what the database or the storage says.
pub async fn save(
    tools: &Tools,
    run: &Run,
    project: ProjectId,
    (kind, mime_type): (AssetKind, &'static str),
    text: String,
) -> Result<AssetId> {
    let file = NewAsset {
        project: Some(project),
        kind,
        bytes: text.into(),
        mime_type,
        width: None,
        height: None,
        duration_seconds: None,
        alt_text: None,
    };
    assets::save(run, &tools.storage, file).await
}
