//! The SQL of the audit log.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{AuditEntry, Filter, Outcome};
use crate::access::Role;
use crate::db::page::{Page, Slice};
use crate::db::{Call, Change, Hot, ReadTx, hot};
use crate::error::{Error, Result};
use crate::id::{AuditEntryId, OrganizationId};

/// An entry as it is stored.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    id: Uuid,
    sequence: i64,
    action: String,
    outcome: String,
    actor_user_id: Option<Uuid>,
    actor_key_id: Option<Uuid>,
    actor_label: String,
    actor_role: Option<String>,
    target_type: String,
    target_id: Option<String>,
    project_id: Option<Uuid>,
    changes: Json<Vec<Change>>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: String,
    hash: Vec<u8>,
    occurred_at: DateTime<Utc>,
}

impl Row {
    pub(crate) fn read(self, organization: OrganizationId) -> Result<AuditEntry> {
        let outcome = Outcome::parse(&self.outcome)
            .ok_or_else(|| Error::internal(anyhow::anyhow!("the database holds an unknown outcome")))?;
        Ok(AuditEntry {
            organization,
            id: self.id.into(),
            sequence: self.sequence,
            action: self.action,
            outcome,
            actor_user: self.actor_user_id.map(Into::into),
            actor_key: self.actor_key_id.map(Into::into),
            actor_label: self.actor_label,
            actor_role: self.actor_role.as_deref().and_then(Role::parse),
            target_type: self.target_type,
            target_id: self.target_id,
            project: self.project_id.map(Into::into),
            changes: self.changes.0,
            ip: self.ip,
            user_agent: self.user_agent,
            request_id: self.request_id,
            hash: self.hash,
            occurred_at: self.occurred_at,
        })
    }
}

/// The newest entries of one action: what dashboards ask for all the time.
pub static NEWEST: Hot = Hot {
    name: "audit_newest",
    params: "p_action text, p_low bigint, p_high bigint, p_limit bigint",
    returns: "id uuid, sequence bigint, action text, outcome text, actor_user_id uuid, actor_key_id uuid, actor_label text, actor_role text, target_type text, target_id text, project_id uuid, changes jsonb, ip text, user_agent text, request_id text, hash bytea, occurred_at timestamptz",
    door: hot::Door::Tenant,
    body: "select e.id, e.sequence, e.action, e.outcome, e.actor_user_id, e.actor_key_id, e.actor_label, e.actor_role,
            e.target_type, e.target_id, e.project_id, e.changes, e.ip, e.user_agent, e.request_id, e.hash, e.occurred_at
        from public.audit_entries e
        where e.organization_id = p_organization and e.action = p_action
            and e.sequence > p_low and e.sequence < p_high
        order by e.sequence desc limit p_limit",
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
