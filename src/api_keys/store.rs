//! The SQL of API keys.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ApiKey, NewApiKey};
use crate::access::{Permission, Permissions};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::Result;
use crate::id::{ApiKeyId, ProjectId, UserId};

pub(super) struct Row {
    id: Uuid,
    organization_id: Uuid,
    project_id: Option<Uuid>,
    name: String,
    hint: String,
    permissions: Vec<String>,
    requests_per_minute: Option<i32>,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Row> for ApiKey {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            project: row.project_id.map(Into::into),
            name: row.name,
            hint: row.hint,
            permissions: row.permissions.iter().filter_map(|text| Permission::parse(text)).collect(),
            requests_per_minute: row.requests_per_minute,
            created_by: row.created_by.into(),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}

pub(super) async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>) -> Result<Slice<ApiKey>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select id, organization_id, project_id, name, hint, permissions, requests_per_minute, created_by, created_at,
            last_used_at, expires_at, revoked_at
         from api_keys where organization_id = (select app.current_organization()) and id > $1 and id < $2",
        "id" "desc" / "asc",
        "$3",
        low,
        high
    );
    Ok(page.slice(rows.into_iter().map(Into::into).collect()))
}

pub(super) async fn count(tx: &mut ReadTx<'_>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from api_keys where organization_id = (select app.current_organization())"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<ApiKey>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, organization_id, project_id, name, hint, permissions, requests_per_minute, created_by, created_at,
            last_used_at, expires_at, revoked_at
         from api_keys where organization_id = (select app.current_organization()) and id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

fn words(permissions: Permissions) -> Vec<String> {
    permissions.iter().map(|permission| permission.as_str().to_owned()).collect()
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: ApiKeyId,
    creator: UserId,
    new: &NewApiKey,
    hint: &str,
    hash: &[u8],
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into api_keys (organization_id, id, project_id, name, hint, hash, permissions, requests_per_minute,
            created_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        organization,
        id.uuid(),
        new.project.map(ProjectId::uuid),
        new.name,
        hint,
        hash,
        &words(new.permissions),
        new.requests_per_minute,
        creator.uuid(),
        new.expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives a living key a new secret; the old one works until its grace ends.
pub(super) async fn rotate(
    tx: &mut WriteTx<'_>,
    id: ApiKeyId,
    hint: &str,
    hash: &[u8],
    grace_seconds: i32,
) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "update api_keys set hint = $3, hash = $4, previous_expires_at = now() + make_interval(secs => $5::int)
         where organization_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > now())",
        organization,
        id.uuid(),
        hint,
        hash,
        grace_seconds
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn revoke(tx: &mut WriteTx<'_>, id: ApiKeyId) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "update api_keys set revoked_at = now() where organization_id = $1 and id = $2 and revoked_at is null",
        organization,
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
