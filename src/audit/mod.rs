//! The audit log: what was done in an organization, by whom; append-only and chained.
//!
//! It is written by the doorway (`db::WriteTx::commit`) and only read here.

pub mod graphql;
pub(crate) mod store;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::access::Role;
use crate::db::page::{Page, Slice};
use crate::db::{Call, Change, ReadTx};
use crate::error::Result;
use crate::id::{ApiKeyId, AuditEntryId, OrganizationId, ProjectId, UserId};

/// What came of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, async_graphql::Enum)]
#[graphql(name = "AuditOutcome")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused: the permission was missing.
    Refused,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "DONE",
            Self::Refused => "REFUSED",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Done, Self::Refused].into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// One entry.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Whose log.
    pub organization: OrganizationId,
    /// Its id.
    pub id: AuditEntryId,
    /// Its number, without gaps.
    pub sequence: i64,
    /// What was done. Shared by the lines of a page that is all of one action.
    pub action: Arc<str>,
    /// What came of it.
    pub outcome: Outcome,
    /// What the actor was called then.
    pub actor_label: String,
    /// The type of what it was done to.
    pub target_type: String,
    /// What it was done to.
    pub target_id: Option<String>,
    /// From where.
    pub ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// The rest; none when it was not asked for.
    pub details: Option<Details>,
}

/// What weighs most in an entry, and is not part of a line in a list.
#[derive(Debug, Clone)]
pub struct Details {
    /// Who did it, when it was a person.
    pub actor_user: Option<UserId>,
    /// Who did it, when it was a key.
    pub actor_key: Option<ApiKeyId>,
    /// The actor's role then.
    pub actor_role: Option<Role>,
    /// The project that it was done in.
    pub project: Option<ProjectId>,
    /// Before and after, per field.
    pub changes: Vec<Change>,
    /// By which request.
    pub request_id: String,
    /// The chain's hash up to here.
    pub hash: Vec<u8>,
}

/// Which entries.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Filter {
    /// Only these actions.
    pub actions: Option<Vec<String>>,
    /// Only by this person or key.
    pub actor: Option<Uuid>,
    /// Only on this object.
    pub target: Option<String>,
    /// Only in this project.
    pub project: Option<Uuid>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// From this moment on.
    pub since: Option<DateTime<Utc>>,
    /// Before this moment.
    pub until: Option<DateTime<Utc>>,
}

impl Filter {
    /// The one action that the filter asks for, when it asks for nothing else.
    fn only_action(&self) -> Option<&str> {
        match self {
            Self {
                actions: Some(actions),
                actor: None,
                target: None,
                project: None,
                outcome: None,
                since: None,
                until: None,
            } => match actions.as_slice() {
                [action] => Some(action),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The page through the one-statement door, when it is one that has one, and the action of all its lines.
///
/// # Errors
/// When a value cannot be encoded.
pub(crate) fn newest(page: &Page<i64>, filter: &Filter) -> Result<Option<(Arc<str>, Call<store::Row>)>> {
    match filter.only_action() {
        Some(action) if !page.from_end => Ok(Some((action.into(), store::newest(action, page)?))),
        _ => Ok(None),
    }
}

/// One page, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    page: &Page<i64>,
    filter: &Filter,
) -> Result<Slice<AuditEntry>> {
    store::list(tx, organization, page, filter).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, filter: &Filter) -> Result<i64> {
    store::count(tx, filter).await
}

/// What came after a number, oldest first, and whether there is more.
///
/// # Errors
/// What the database says.
pub async fn since(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    sequence: i64,
    limit: usize,
) -> Result<(Vec<AuditEntry>, bool)> {
    let mut entries = store::since(tx, organization, sequence, limit + 1).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    Ok((entries, more))
}

/// The number of the newest entry that the caller sees; 0 when there is none.
///
/// # Errors
/// What the database says.
pub async fn last(tx: &mut ReadTx<'_>) -> Result<i64> {
    store::last(tx).await
}

/// One entry.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    id: AuditEntryId,
) -> Result<Option<AuditEntry>> {
    store::find(tx, organization, id).await
}

/// One organization's chain, recomputed.
#[derive(Debug)]
pub struct Chain {
    /// Whose.
    pub organization: OrganizationId,
    /// How many entries there are.
    pub entries: i64,
    /// The first entry that is wrong, or the next one.
    pub sequence: i64,
    /// What is wrong; none when nothing is.
    pub problem: Option<String>,
}

/// Recomputes every chain, as the owner of the tables.
///
/// # Errors
/// What the database says.
pub async fn verify(owner: &mut sqlx::postgres::PgConnection) -> Result<Vec<Chain>> {
    let rows = store::verify(owner).await?;
    let chain = |row: store::ChainRow| Chain {
        organization: row.organization_id.into(),
        entries: row.entries,
        sequence: row.sequence,
        problem: row.problem,
    };
    Ok(rows.into_iter().map(chain).collect())
}
