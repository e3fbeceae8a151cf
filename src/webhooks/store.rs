//! The SQL of webhook endpoints.

use chrono::{DateTime, Utc};
use url::Url;
use uuid::Uuid;

use super::{Endpoint, NewEndpoint};
use crate::db::{AnonymousTx, ReadTx, WriteTx};
use crate::error::{Error, Result};
use crate::id::{OrganizationId, WebhookEndpointId};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    name: String,
    url: String,
    previous_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Endpoint {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            name: row.name,
            url: Url::parse(&row.url).map_err(Error::internal)?,
            previous_until: row.previous_until,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

pub(super) async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Endpoint>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, name, url, previous_until, created_at, updated_at
         from webhook_endpoints where organization_id = (select app.current_organization()) order by name, id"
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// An endpoint with its secrets as they are stored: the one that holds, and the one before.
pub(super) async fn sealed(
    tx: &mut ReadTx<'_>,
    id: WebhookEndpointId,
) -> Result<Option<(Endpoint, Vec<u8>, Option<Vec<u8>>)>> {
    let Some(endpoint) = super::find(tx, id).await? else { return Ok(None) };
    let sealed = sqlx::query!(
        "select sealed_secret, sealed_previous from webhook_endpoints
         where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(sealed.map(|sealed| (endpoint, sealed.sealed_secret, sealed.sealed_previous)))
}

/// An endpoint, locked until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: WebhookEndpointId) -> Result<Option<Endpoint>> {
    let organization = tx.organization().uuid();
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, name, url, previous_until, created_at, updated_at
         from webhook_endpoints where organization_id = $1 and id = $2 for update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn count(tx: &mut ReadTx<'_>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhook_endpoints
           where organization_id = (select app.current_organization())"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: WebhookEndpointId,
    new: &NewEndpoint,
    sealed_secret: &[u8],
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into webhook_endpoints (organization_id, id, name, url, sealed_secret) values ($1, $2, $3, $4, $5)",
        organization,
        id.uuid(),
        new.name,
        new.url.as_str(),
        sealed_secret
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut WriteTx<'_>, endpoint: &Endpoint) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update webhook_endpoints set name = $3, url = $4, updated_at = now() where organization_id = $1 and id = $2",
        organization,
        endpoint.id.uuid(),
        endpoint.name,
        endpoint.url.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts another secret in the place of the one that holds, which signs as well until then.
pub(super) async fn rotate(
    tx: &mut WriteTx<'_>,
    id: WebhookEndpointId,
    sealed_secret: &[u8],
    until: DateTime<Utc>,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update webhook_endpoints set sealed_previous = sealed_secret, previous_until = $4, sealed_secret = $3
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        sealed_secret,
        until
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: WebhookEndpointId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "delete from webhook_endpoints where organization_id = $1 and id = $2",
        organization,
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whose endpoint, with its secrets as they are stored.
pub(super) type Sealed = (OrganizationId, WebhookEndpointId, Vec<u8>, Option<Vec<u8>>);

/// Secrets of all organizations that are not sealed under the current master key.
pub(super) async fn secrets_to_seal(
    tx: &mut AnonymousTx<'_>,
    current: &[u8],
    most: i32,
) -> Result<Vec<Sealed>> {
    let rows = sqlx::query_as(
        "select organization_id, id, sealed_secret, sealed_previous from app.secrets_to_seal($1, $2)",
    )
    .bind(current)
    .bind(most)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Puts secrets that are sealed anew in their place; false when the one that holds has changed meanwhile.
pub(super) async fn seal_secret(
    tx: &mut AnonymousTx<'_>,
    (organization, id): (OrganizationId, WebhookEndpointId),
    before: &[u8],
    after: &[u8],
    previous: Option<&[u8]>,
) -> Result<bool> {
    let sealed: Option<bool> = sqlx::query_scalar("select app.seal_secret($1, $2, $3, $4, $5)")
        .bind(organization)
        .bind(id)
        .bind(before)
        .bind(after)
        .bind(previous)
        .fetch_one(tx.conn())
        .await?;
    Ok(sealed.unwrap_or(false))
}
