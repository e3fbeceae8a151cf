//! The SQL of connected accounts.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::channel::Channel;
use super::{Account, Login, NewAccount};
use crate::db::page::{Page, Slice};
use crate::db::{AnonymousTx, ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::{AccountId, OrganizationId, ProjectId};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    channel: String,
    login: String,
    external_id: String,
    username: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    tested_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let unknown = || Error::internal(anyhow::anyhow!("the database holds an account of an unknown kind"));
        let channel = Channel::ALL.into_iter().find(|channel| channel.key() == row.channel);
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            project: row.project_id.map(Into::into),
            channel: channel.ok_or_else(unknown)?,
            login: Login::parse(&row.login).ok_or_else(unknown)?,
            user_id: row.external_id,
            username: row.username,
            expires_at: row.expires_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            tested_at: row.tested_at,
        })
    }
}

pub(super) async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>) -> Result<Slice<Account>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select organization_id, id, project_id, channel, login, external_id, username, expires_at, created_at, updated_at,
            tested_at
         from accounts where organization_id = (select app.current_organization()) and id > $1 and id < $2",
        "id" "desc" / "asc",
        "$3",
        low,
        high
    );
    Ok(page.slice(rows.into_iter().map(TryInto::try_into).collect::<Result<_>>()?))
}

pub(super) async fn find(tx: &mut ReadTx<'_>, id: AccountId) -> Result<Option<Account>> {
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, channel, login, external_id, username, expires_at, created_at, updated_at,
            tested_at
         from accounts where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// A project's own accounts and those for every project.
pub(super) async fn usable(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<Vec<Account>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, channel, login, external_id, username, expires_at, created_at, updated_at,
            tested_at
         from accounts where organization_id = (select app.current_organization())
            and (project_id is null or project_id = $1)
         order by id",
        project.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// An account with its token as it is stored.
pub(super) async fn sealed(tx: &mut ReadTx<'_>, id: AccountId) -> Result<Option<(Account, Vec<u8>)>> {
    let Some(account) = find(tx, id).await? else { return Ok(None) };
    let sealed = sqlx::query_scalar!(
        "select sealed_token from accounts where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(sealed.map(|sealed| (account, sealed)))
}

/// An account, locked until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: AccountId) -> Result<Option<Account>> {
    let organization = tx.organization().uuid();
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, channel, login, external_id, username, expires_at, created_at, updated_at,
            tested_at
         from accounts where organization_id = $1 and id = $2 for update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn count(tx: &mut ReadTx<'_>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from accounts where organization_id = (select app.current_organization())"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

fn connected_already() -> Error {
    let message = "This account is connected there already. Give it another token with `accountUpdate`.";
    Error::fault(Fault::at(FaultCode::AlreadyExists, "userId", message))
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: AccountId,
    new: &NewAccount,
    sealed_token: &[u8],
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into accounts (organization_id, id, project_id, channel, login, external_id, username, sealed_token, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        organization,
        id.uuid(),
        new.project.map(ProjectId::uuid),
        Channel::Instagram.key(),
        new.login.as_str(),
        new.user_id,
        new.username,
        sealed_token,
        new.expires_at
    )
    .execute(tx.conn())
    .await
    .on_constraint("accounts_external_id_key", connected_already)?;
    Ok(())
}

pub(super) async fn update(
    tx: &mut WriteTx<'_>,
    id: AccountId,
    sealed_token: Option<&[u8]>,
    expires_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update accounts set sealed_token = coalesce($3, sealed_token), expires_at = $4, updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        sealed_token,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn tested(tx: &mut WriteTx<'_>, id: AccountId, username: Option<&str>) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update accounts set tested_at = now(), username = coalesce($3, username)
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        username
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: AccountId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from accounts where organization_id = $1 and id = $2", organization, id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A row that is sealed: whose, which, and its bytes.
pub(super) type Sealed = (OrganizationId, AccountId, Vec<u8>);

/// Tokens of all organizations that are not sealed under the current master key.
pub(super) async fn tokens_to_seal(
    tx: &mut AnonymousTx<'_>,
    current: &[u8],
    most: i32,
) -> Result<Vec<Sealed>> {
    let rows = sqlx::query_as("select organization_id, id, sealed_token from app.tokens_to_seal($1, $2)")
        .bind(current)
        .bind(most)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows)
}

/// Puts a token that is sealed anew in its place; false when that has changed meanwhile.
pub(super) async fn seal_token(
    tx: &mut AnonymousTx<'_>,
    organization: OrganizationId,
    id: AccountId,
    before: &[u8],
    after: &[u8],
) -> Result<bool> {
    let sealed: Option<bool> = sqlx::query_scalar("select app.seal_token($1, $2, $3, $4)")
        .bind(organization)
        .bind(id)
        .bind(before)
        .bind(after)
        .fetch_one(tx.conn())
        .await?;
    Ok(sealed.unwrap_or(false))
}
