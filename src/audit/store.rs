//! The SQL of the audit log.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::{AuditEntry, Details, Filter, Outcome};
use crate::access::Role;
use crate::db::page::{Page, Slice};
use crate::db::{Call, Change, Hot, ReadTx, hot};
use crate::error::{Error, Result};
use crate::id::{AuditEntryId, OrganizationId};

/// An entry as it is stored; its details may be left out.
#[derive(Debug)]
pub(crate) struct Row {
    id: Uuid,
    sequence: i64,
    action: Arc<str>,
    outcome: String,
    actor_user_id: Option<Uuid>,
    actor_key_id: Option<Uuid>,
    actor_label: String,
    actor_role: Option<String>,
    target_type: String,
    target_id: Option<String>,
    project_id: Option<Uuid>,
    changes: Option<Json<Vec<Change>>>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    hash: Option<Vec<u8>>,
    occurred_at: DateTime<Utc>,
}

/// By place, in the order of [`NEWEST`], whose lines come without action and details: looking up names is a good part of what
/// reading a page costs.
impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get(0)?,
            sequence: row.try_get(1)?,
            outcome: row.try_get(2)?,
            actor_label: row.try_get(3)?,
            target_type: row.try_get(4)?,
            target_id: row.try_get(5)?,
            ip: row.try_get(6)?,
            user_agent: row.try_get(7)?,
            occurred_at: row.try_get(8)?,
            action: Arc::default(),
            actor_user_id: None,
            actor_key_id: None,
            actor_role: None,
            project_id: None,
            changes: None,
            request_id: None,
            hash: None,
        })
    }
}

impl Row {
    /// The same line, of the action that [`NEWEST`] was asked for.
    pub(crate) fn of(self, action: &Arc<str>) -> Self {
        Self { action: Arc::clone(action), ..self }
    }

    pub(crate) fn read(self, organization: OrganizationId) -> Result<AuditEntry> {
        let outcome = Outcome::parse(&self.outcome)
            .ok_or_else(|| Error::internal(anyhow::anyhow!("the database holds an unknown outcome")))?;
        let details = match (self.changes, self.request_id, self.hash) {
            (Some(Json(changes)), Some(request_id), Some(hash)) => Some(Details {
                actor_user: self.actor_user_id.map(Into::into),
                actor_key: self.actor_key_id.map(Into::into),
                actor_role: self.actor_role.as_deref().and_then(Role::parse),
                project: self.project_id.map(Into::into),
                changes,
                request_id,
                hash,
            }),
            _ => None,
        };
        Ok(AuditEntry {
            organization,
            id: self.id.into(),
            sequence: self.sequence,
            action: self.action,
            outcome,
            actor_label: self.actor_label,
            target_type: self.target_type,
            target_id: self.target_id,
            ip: self.ip,
            user_agent: self.user_agent,
            occurred_at: self.occurred_at,
            details,
        })
    }
}

/// The newest entries of one action without their details, which weigh more than the rest, and without the action itself,
/// which whoever asks knows: what dashboards ask for all the time.
///
/// $1: the action; $2 and $3: the window of sequences; $4: how many; $5: the organization.
pub static NEWEST: Hot = Hot {
    name: "audit_newest",
    door: hot::Door::Tenant,
    sql: "select e.id, e.sequence, e.outcome, e.actor_label, e.target_type, e.target_id, e.ip, e.user_agent, e.occurred_at
        from audit_entries e
        where e.organization_id = $5 and e.action = $1 and e.sequence > $2 and e.sequence < $3
        order by e.sequence desc limit $4",
};

pub(super) fn newest(action: &str, page: &Page<i64>) -> Result<Call<Row>> {
    let (low, high) = page.descending();
    Call::new(&NEWEST).bind(action.to_owned())?.bind(low)?.bind(high)?.bind(page.fetch())
}

pub(super) async fn list(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    page: &Page<i64>,
    filter: &Filter,
) -> Result<Slice<AuditEntry>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        r#"select id, sequence, action, outcome, actor_user_id, actor_key_id, actor_label, actor_role, target_type,
            target_id, project_id, changes as "changes: Json<Vec<Change>>", ip, user_agent, request_id, hash, occurred_at
         from audit_entries
         where organization_id = (select app.current_organization()) and sequence > $1 and sequence < $2
           and ($3::text[] is null or action = any($3))
           and ($4::uuid is null or actor_user_id = $4 or actor_key_id = $4)
           and ($5::text is null or target_id = $5)
           and ($6::uuid is null or project_id = $6)
           and ($7::text is null or outcome = $7)
           and ($8::timestamptz is null or occurred_at >= $8)
           and ($9::timestamptz is null or occurred_at < $9)"#,
        "sequence" "desc" / "asc",
        "$10",
        low,
        high,
        filter.actions.as_deref(),
        filter.actor,
        filter.target.as_deref(),
        filter.project,
        filter.outcome.map(Outcome::as_str),
        filter.since,
        filter.until
    );
    let rows = rows.into_iter().map(|row| row.read(organization)).collect::<Result<Vec<_>>>()?;
    Ok(page.slice(rows))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, filter: &Filter) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from audit_entries
         where organization_id = (select app.current_organization())
           and ($1::text[] is null or action = any($1))
           and ($2::uuid is null or actor_user_id = $2 or actor_key_id = $2)
           and ($3::text is null or target_id = $3)
           and ($4::uuid is null or project_id = $4)
           and ($5::text is null or outcome = $5)
           and ($6::timestamptz is null or occurred_at >= $6)
           and ($7::timestamptz is null or occurred_at < $7)"#,
        filter.actions.as_deref(),
        filter.actor,
        filter.target.as_deref(),
        filter.project,
        filter.outcome.map(Outcome::as_str),
        filter.since,
        filter.until
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn find(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    id: AuditEntryId,
) -> Result<Option<AuditEntry>> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, sequence, action, outcome, actor_user_id, actor_key_id, actor_label, actor_role, target_type,
            target_id, project_id, changes as "changes: Json<Vec<Change>>", ip, user_agent, request_id, hash, occurred_at
         from audit_entries where organization_id = (select app.current_organization()) and id = $1"#,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| row.read(organization)).transpose()
}

pub(super) async fn since(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    sequence: i64,
    limit: usize,
) -> Result<Vec<AuditEntry>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, sequence, action, outcome, actor_user_id, actor_key_id, actor_label, actor_role, target_type,
            target_id, project_id, changes as "changes: Json<Vec<Change>>", ip, user_agent, request_id, hash, occurred_at
         from audit_entries where organization_id = (select app.current_organization()) and sequence > $1
         order by sequence limit $2"#,
        sequence,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(|row| row.read(organization)).collect()
}

pub(super) async fn last(tx: &mut ReadTx<'_>) -> Result<i64> {
    let last = sqlx::query_scalar!(
        r#"select coalesce(max(sequence), 0) as "last!" from audit_entries
         where organization_id = (select app.current_organization())"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(last)
}

/// What `app.audit_problems` says of one chain.
#[derive(Debug, FromRow)]
pub(super) struct ChainRow {
    pub organization_id: Uuid,
    pub entries: i64,
    pub sequence: i64,
    pub problem: Option<String>,
}

/// For the owner, who alone may run it.
pub(super) async fn verify(owner: &mut sqlx::postgres::PgConnection) -> Result<Vec<ChainRow>> {
    Ok(sqlx::query_as("select * from app.audit_problems() order by 1").fetch_all(owner).await?)
}
