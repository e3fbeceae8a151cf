//! The SQL of providers and routes.

use chrono::{DateTime, Utc};
use url::Url;
use uuid::Uuid;

use super::{NewProvider, Provider, Route};
use crate::db::{AnonymousTx, ReadTx, WriteTx};
use crate::engine::Provider as Kind;
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::{OrganizationId, ProjectId, ProviderId};
use crate::jobs::AgentKind;

struct Row {
    organization_id: Uuid,
    id: Uuid,
    name: String,
    kind: String,
    base_url: String,
    model: Option<String>,
    sealed_key: Option<Vec<u8>>,
    key_hint: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    tested_at: Option<DateTime<Utc>>,
}

fn unknown(what: &str) -> Error {
    Error::internal(anyhow::anyhow!("the database holds the unknown {what}"))
}

impl TryFrom<Row> for Provider {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            name: row.name,
            kind: Kind::parse(&row.kind).ok_or_else(|| unknown("kind of a provider"))?,
            base_url: Url::parse(&row.base_url).map_err(Error::internal)?,
            model: row.model,
            key_hint: row.key_hint,
            has_key: row.sealed_key.is_some(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            tested_at: row.tested_at,
        })
    }
}

pub(super) async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Provider>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, name, kind, base_url, model, sealed_key, key_hint, created_at, updated_at, tested_at
         from providers where organization_id = (select app.current_organization()) order by name"
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// A provider with its key as it is stored.
pub(super) async fn sealed(
    tx: &mut ReadTx<'_>,
    id: ProviderId,
) -> Result<Option<(Provider, Option<Vec<u8>>)>> {
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, name, kind, base_url, model, sealed_key, key_hint, created_at, updated_at, tested_at
         from providers where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let sealed = row.sealed_key.clone();
    Ok(Some((row.try_into()?, sealed)))
}

/// A provider, locked until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: ProviderId) -> Result<Option<Provider>> {
    let organization = tx.organization().uuid();
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, name, kind, base_url, model, sealed_key, key_hint, created_at, updated_at, tested_at
         from providers where organization_id = $1 and id = $2 for update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn count(tx: &mut ReadTx<'_>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from providers where organization_id = (select app.current_organization())"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

fn same_name() -> Error {
    let message = "Another provider of the organization has this name. Choose another one.";
    Error::fault(Fault::at(FaultCode::AlreadyExists, "name", message))
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: ProviderId,
    new: &NewProvider,
    sealed_key: Option<&[u8]>,
    key_hint: Option<&str>,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into providers (organization_id, id, name, kind, base_url, model, sealed_key, key_hint)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        organization,
        id.uuid(),
        new.name,
        new.kind.as_str(),
        new.base_url.as_str(),
        new.model,
        sealed_key,
        key_hint
    )
    .execute(tx.conn())
    .await
    .on_constraint("providers_name_key", same_name)?;
    Ok(())
}

pub(super) async fn update(tx: &mut WriteTx<'_>, provider: &Provider) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update providers set name = $3, base_url = $4, model = $5, updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        provider.id.uuid(),
        provider.name,
        provider.base_url.as_str(),
        provider.model
    )
    .execute(tx.conn())
    .await
    .on_constraint("providers_name_key", same_name)?;
    Ok(())
}

pub(super) async fn set_key(
    tx: &mut WriteTx<'_>,
    id: ProviderId,
    sealed_key: Option<&[u8]>,
    key_hint: Option<&str>,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update providers set sealed_key = $3, key_hint = $4 where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        sealed_key,
        key_hint
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn tested(tx: &mut WriteTx<'_>, id: ProviderId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update providers set tested_at = now() where organization_id = $1 and id = $2",
        organization,
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: ProviderId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from providers where organization_id = $1 and id = $2", organization, id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}

struct RouteRow {
    organization_id: Uuid,
    project_id: Option<Uuid>,
    agent: String,
    provider: String,
    model: Option<String>,
    fallback: bool,
}

impl TryFrom<RouteRow> for Route {
    type Error = Error;

    fn try_from(row: RouteRow) -> Result<Self> {
        Ok(Self {
            organization: row.organization_id.into(),
            project: row.project_id.map(Into::into),
            agent: AgentKind::parse(&row.agent).ok_or_else(|| unknown("agent of a route"))?,
            provider: row.provider,
            model: row.model,
            fallback: row.fallback,
        })
    }
}

/// The routes of a project and those of its organization.
pub(super) async fn routes(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<Vec<Route>> {
    let rows = sqlx::query_as!(
        RouteRow,
        "select organization_id, project_id, agent, provider, model, fallback from engine_routes
         where organization_id = (select app.current_organization()) and (project_id is null or project_id = $1)
         order by agent",
        project.map(ProjectId::uuid)
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn put_route(tx: &mut WriteTx<'_>, route: &Route) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into engine_routes (organization_id, id, project_id, agent, provider, model, fallback)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict on constraint engine_routes_place_key
         do update set provider = excluded.provider, model = excluded.model, fallback = excluded.fallback",
        organization,
        Uuid::now_v7(),
        route.project.map(ProjectId::uuid),
        route.agent.as_str(),
        route.provider,
        route.model,
        route.fallback
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete_route(
    tx: &mut WriteTx<'_>,
    project: Option<ProjectId>,
    agent: AgentKind,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "delete from engine_routes where organization_id = $1 and project_id is not distinct from $2 and agent = $3",
        organization,
        project.map(ProjectId::uuid),
        agent.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A row that is sealed: whose, which, and its bytes.
pub(super) type Sealed = (OrganizationId, ProviderId, Vec<u8>);

/// Keys of all organizations that are not sealed under the current master key.
pub(super) async fn keys_to_seal(tx: &mut AnonymousTx<'_>, current: &[u8], most: i32) -> Result<Vec<Sealed>> {
    let rows = sqlx::query_as("select organization_id, id, sealed_key from app.keys_to_seal($1, $2)")
        .bind(current)
        .bind(most)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows)
}

/// Puts a key that is sealed anew in its place; false when that has changed meanwhile.
pub(super) async fn seal_key(
    tx: &mut AnonymousTx<'_>,
    organization: OrganizationId,
    id: ProviderId,
    before: &[u8],
    after: &[u8],
) -> Result<bool> {
    let sealed: Option<bool> = sqlx::query_scalar("select app.seal_key($1, $2, $3, $4)")
        .bind(organization)
        .bind(id)
        .bind(before)
        .bind(after)
        .fetch_one(tx.conn())
        .await?;
    Ok(sealed.unwrap_or(false))
}
