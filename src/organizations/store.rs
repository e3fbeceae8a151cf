//! The SQL of organizations.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Organization, OrganizationUpdate, Tier};
use crate::db::{Call, Hot, PersonTx, ReadTx, WriteTx, hot};
use crate::error::{Error, Result};
use crate::id::{OrganizationId, UserId};

/// The request's organization.
pub static ORGANIZATION: Hot = Hot {
    name: "organization",
    params: "",
    returns: "id uuid, name text, slug text, description text, tier text, settings jsonb, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz",
    door: hot::Door::Tenant,
    body: "select o.id, o.name, o.slug, o.description, o.tier, o.settings, o.created_at, o.updated_at, o.deleted_at
        from public.organizations o where o.id = p_organization",
};

/// An organization as it is stored.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    pub tier: String,
    pub settings: Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Organization {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { id, name, slug, description, tier, settings, created_at, updated_at, deleted_at } = row;
        let settings = serde_json::from_value(settings).map_err(Error::internal)?;
        Ok(Self {
            id: id.into(),
            name,
            slug,
            description,
            tier,
            settings,
            created_at,
            updated_at,
            deleted_at,
        })
    }
}

pub(super) fn current() -> Call<Row> {
    Call::new(&ORGANIZATION)
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Organization>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, name, slug, description, tier, settings, created_at, updated_at, deleted_at
         from organizations where id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: OrganizationId,
    name: &str,
    slug: &str,
    description: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "insert into organizations (id, name, slug, description) values ($1, $2, $3, $4)",
        id.uuid(),
        name,
        slug,
        description
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether one of the person's own organizations has this slug, other than `except`.
pub(super) async fn slug_taken(tx: &mut PersonTx<'_>, slug: &str) -> Result<bool> {
    let user = tx.user().uuid();
    // One founding or renaming at a time per person, so that two at once cannot both find the slug free.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 2))")
        .bind(user.to_string())
        .execute(tx.conn())
        .await?;
    Ok(sqlx::query_scalar!(r#"select exists (select from organizations where slug = $1) as "taken!""#, slug)
        .fetch_one(tx.conn())
        .await?)
}

/// What a person's create with this key made before, in any organization.
pub(super) async fn earlier_create(
    tx: &mut PersonTx<'_>,
    user: UserId,
    key: &str,
) -> Result<Option<(OrganizationId, Vec<u8>)>> {
    let row = sqlx::query!(
        "select organization_id, input from idempotency_keys
         where actor_id = $1 and action = 'organization.create' and key = $2
           and created_at > now() - interval '24 hours'",
        user.uuid(),
        key
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.organization_id.into(), row.input)))
}

pub(super) async fn update(
    tx: &mut WriteTx<'_>,
    id: OrganizationId,
    update: &OrganizationUpdate,
) -> Result<()> {
    let settings = update.settings.as_ref().map(serde_json::to_value).transpose().map_err(Error::internal)?;
    sqlx::query!(
        "update organizations set name = coalesce($2, name), slug = coalesce($3, slug),
            description = case when $4 then $5 else description end,
            settings = coalesce($6, settings), updated_at = now()
         where id = $1",
        id.uuid(),
        update.name.as_deref(),
        update.slug.as_deref(),
        update.description.is_some(),
        update.description.as_ref().and_then(Option::as_deref),
        settings
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Locks the organization's row until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, slug, description, tier, settings, created_at, updated_at, deleted_at
         from organizations where id = $1 for no key update",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn set_deleted(tx: &mut WriteTx<'_>, id: OrganizationId, deleted: bool) -> Result<()> {
    sqlx::query!(
        "update organizations set deleted_at = case when $2 then now() end, updated_at = now() where id = $1",
        id.uuid(),
        deleted
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn tier(tx: &mut ReadTx<'_>, key: &str) -> Result<Option<Tier>> {
    let row = sqlx::query!("select key, name, limits, features from tiers where key = $1", key)
        .fetch_optional(tx.conn())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let limits = serde_json::from_value(row.limits).map_err(Error::internal)?;
    Ok(Some(Tier { key: row.key, name: row.name, limits, features: row.features }))
}
