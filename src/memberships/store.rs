//! The SQL of memberships.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Membership;
use crate::access::Role;
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{MembershipId, ProjectId, UserId};

/// A membership as it is stored.
pub(super) struct Row {
    id: Uuid,
    organization_id: Uuid,
    user_id: Uuid,
    role: String,
    limited: bool,
    invited_by: Option<Uuid>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Membership {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let role = Role::parse(&row.role)
            .ok_or_else(|| Error::internal(anyhow::anyhow!("the database holds an unknown role")))?;
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            user: row.user_id.into(),
            role,
            limited: row.limited,
            invited_by: row.invited_by.map(Into::into),
            created_at: row.created_at,
        })
    }
}

fn all(rows: Vec<Row>) -> Result<Vec<Membership>> {
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    role: Option<Role>,
) -> Result<Slice<Membership>> {
    let (low, high) = page.ascending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select id, organization_id, user_id, role, limited, invited_by, created_at from memberships
         where id > $1 and id < $2 and organization_id = (select app.current_organization())
           and ($3::text is null or role = $3)",
        "id" "asc" / "desc",
        "$4",
        low,
        high,
        role.map(Role::as_str)
    );
    Ok(page.slice(all(rows)?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, role: Option<Role>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from memberships
           where organization_id = (select app.current_organization()) and ($1::text is null or role = $1)"#,
        role.map(Role::as_str)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// The person's own, read under the person.
pub(super) async fn list_own(tx: &mut ReadTx<'_>, page: &Page<Uuid>) -> Result<Slice<Membership>> {
    let (low, high) = page.ascending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select m.id, m.organization_id, m.user_id, m.role, m.limited, m.invited_by, m.created_at
         from memberships m join organizations o on o.id = m.organization_id
         where m.id > $1 and m.id < $2 and m.user_id = (select app.current_user_id())
           and (o.deleted_at is null or m.role = 'OWNER' and o.deleted_at > now() - interval '30 days')",
        "m.id" "asc" / "desc",
        "$3",
        low,
        high
    );
    Ok(page.slice(all(rows)?))
}

pub(super) async fn count_own(tx: &mut ReadTx<'_>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from memberships m join organizations o on o.id = m.organization_id
           where m.user_id = (select app.current_user_id())
             and (o.deleted_at is null or m.role = 'OWNER' and o.deleted_at > now() - interval '30 days')"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn find(tx: &mut ReadTx<'_>, id: MembershipId) -> Result<Option<Membership>> {
    let row = sqlx::query_as!(
        Row,
        "select id, organization_id, user_id, role, limited, invited_by, created_at from memberships
         where id = $1
           and (organization_id = (select app.current_organization()) or user_id = (select app.current_user_id()))",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn find_by_user(tx: &mut ReadTx<'_>, user: UserId) -> Result<Option<Membership>> {
    let row = sqlx::query_as!(
        Row,
        "select id, organization_id, user_id, role, limited, invited_by, created_at from memberships
         where organization_id = (select app.current_organization()) and user_id = $1",
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: MembershipId,
    user: UserId,
    role: Role,
    limited: bool,
    invited_by: Option<UserId>,
) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "insert into memberships (organization_id, user_id, id, role, limited, invited_by)
         values ($1, $2, $3, $4, $5, $6) on conflict (organization_id, user_id) do nothing",
        organization,
        user.uuid(),
        id.uuid(),
        role.as_str(),
        limited,
        invited_by.map(UserId::uuid)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What the database answers when the last owner would be gone.
fn last_owner(error: sqlx::Error) -> Error {
    if error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("AC010") {
        return Error::fault(Fault::at(
            FaultCode::LastOwner,
            "id",
            "This is the organization's last owner. Make somebody else an owner first.",
        ));
    }
    error.into()
}

pub(super) async fn set_role(
    tx: &mut WriteTx<'_>,
    id: MembershipId,
    role: Role,
    limited: bool,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update memberships set role = $3, limited = $4 where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        role.as_str(),
        limited
    )
    .execute(tx.conn())
    .await
    .map_err(last_owner)?;
    Ok(())
}

/// Revokes the keys that a person made here: they must not live again when the person comes back.
pub(super) async fn revoke_keys_of(tx: &mut WriteTx<'_>, user: UserId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update api_keys set revoked_at = now() where organization_id = $1 and created_by = $2 and revoked_at is null",
        organization,
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: MembershipId) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "delete from memberships where organization_id = $1 and id = $2",
        organization,
        id.uuid()
    )
    .execute(tx.conn())
    .await
    .map_err(last_owner)?;
    Ok(done.rows_affected() == 1)
}

/// The projects that a guest was let into.
pub(super) async fn projects_of(tx: &mut ReadTx<'_>, user: UserId) -> Result<Vec<ProjectId>> {
    let ids = sqlx::query_scalar!(
        "select project_id from project_members
         where organization_id = (select app.current_organization()) and user_id = $1 order by project_id",
        user.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}
