//! The SQL of invitations.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Delivery, Invitation, Status};
use crate::access::Role;
use crate::db::page::{Page, Slice};
use crate::db::{AnonymousTx, ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::{InvitationId, ProjectId, UserId};

pub(super) struct Row {
    id: Uuid,
    organization_id: Uuid,
    project_id: Option<Uuid>,
    email: String,
    role: String,
    status: String,
    delivery: String,
    invited_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

fn unknown() -> Error {
    Error::internal(anyhow::anyhow!("the database holds an unknown word in an invitation"))
}

impl TryFrom<Row> for Invitation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            project: row.project_id.map(Into::into),
            email: row.email,
            role: Role::parse(&row.role).ok_or_else(unknown)?,
            status: Status::read(&row.status, row.expires_at).ok_or_else(unknown)?,
            delivery: Delivery::parse(&row.delivery).ok_or_else(unknown)?,
            invited_by: row.invited_by.map(Into::into),
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// What an invitation link offers.
#[derive(Debug, FromRow)]
pub(super) struct OfferRow {
    pub organization_id: Uuid,
    pub id: Uuid,
    pub organization_name: String,
    pub project_id: Option<Uuid>,
    pub project_name: Option<String>,
    pub role: String,
    pub email: String,
    pub status: String,
    pub expires_at: DateTime<Utc>,
    pub invited_by: Option<Uuid>,
}

pub(super) async fn find_offer(tx: &mut AnonymousTx<'_>, hash: &[u8]) -> Result<Option<OfferRow>> {
    let row =
        sqlx::query_as("select * from app.find_invitation($1)").bind(hash).fetch_optional(tx.conn()).await?;
    Ok(row)
}

/// A status as a filter: what is stored, and on which side of its time. EXPIRED is PENDING past its time.
const fn stored(status: Option<Status>) -> (Option<&'static str>, Option<bool>) {
    match status {
        None => (None, None),
        Some(Status::Pending) => (Some("PENDING"), Some(false)),
        Some(Status::Expired) => (Some("PENDING"), Some(true)),
        Some(status) => (Some(status.as_str()), None),
    }
}

pub(super) async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    status: Option<Status>,
) -> Result<Slice<Invitation>> {
    let (low, high) = page.descending();
    let (status, expired) = stored(status);
    let rows = keyset!(
        Row,
        tx,
        page,
        "select id, organization_id, project_id, email, role, status, delivery, invited_by, created_at, expires_at
         from invitations
         where organization_id = (select app.current_organization()) and id > $1 and id < $2
           and ($3::text is null or status = $3) and ($4::boolean is null or (expires_at <= now()) = $4)",
        "id" "desc" / "asc",
        "$5",
        low,
        high,
        status,
        expired
    );
    Ok(page.slice(rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<Invitation>>>()?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, status: Option<Status>) -> Result<i64> {
    let (status, expired) = stored(status);
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from invitations
           where organization_id = (select app.current_organization())
             and ($1::text is null or status = $1) and ($2::boolean is null or (expires_at <= now()) = $2)"#,
        status,
        expired
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn find(tx: &mut ReadTx<'_>, id: InvitationId) -> Result<Option<Invitation>> {
    let row = sqlx::query_as!(
        Row,
        "select id, organization_id, project_id, email, role, status, delivery, invited_by, created_at, expires_at
         from invitations where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// What is stored of a new invitation.
pub(super) struct New<'a> {
    pub id: InvitationId,
    pub project: Option<ProjectId>,
    pub email: &'a str,
    pub role: Role,
    pub hash: &'a [u8],
    pub delivery: Delivery,
    pub invited_by: UserId,
    pub expires_at: DateTime<Utc>,
}

pub(super) async fn insert(tx: &mut WriteTx<'_>, new: New<'_>) -> Result<()> {
    let organization = tx.organization().uuid();
    // An invitation that ran out makes room for a new one to the same address.
    sqlx::query!(
        "update invitations set status = 'REVOKED'
         where organization_id = $1 and email = $2 and project_id is not distinct from $3
           and status = 'PENDING' and expires_at <= now()",
        organization,
        new.email,
        new.project.map(ProjectId::uuid)
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into invitations (organization_id, id, project_id, email, role, hash, delivery, invited_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        organization,
        new.id.uuid(),
        new.project.map(ProjectId::uuid),
        new.email,
        new.role.as_str(),
        new.hash,
        new.delivery.as_str(),
        new.invited_by.uuid(),
        new.expires_at
    )
    .execute(tx.conn())
    .await
    .on_constraint("invitations_pending_key", || {
        Error::fault(Fault::at(
            FaultCode::AlreadyExists,
            "email",
            "There is an open invitation to this address. Send it again with `invitationResend`, or revoke it.",
        ))
    })?;
    Ok(())
}

/// Moves an open invitation on; false when it is no longer open.
pub(super) async fn close(tx: &mut WriteTx<'_>, id: InvitationId, status: Status) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "update invitations set status = $3
         where organization_id = $1 and id = $2 and status = 'PENDING' and ($3 = 'REVOKED' or expires_at > now())",
        organization,
        id.uuid(),
        status.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives an open invitation a new link and a new time.
pub(super) async fn renew(
    tx: &mut WriteTx<'_>,
    id: InvitationId,
    hash: &[u8],
    delivery: Delivery,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "update invitations set hash = $3, delivery = $4, expires_at = $5
         where organization_id = $1 and id = $2 and status = 'PENDING'",
        organization,
        id.uuid(),
        hash,
        delivery.as_str(),
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn set_delivery(tx: &mut WriteTx<'_>, id: InvitationId, delivery: Delivery) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update invitations set delivery = $3 where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        delivery.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether somebody with this address is a full member already.
pub(super) async fn is_member(tx: &mut WriteTx<'_>, email: &str, project: Option<ProjectId>) -> Result<bool> {
    let organization = tx.organization().uuid();
    let known = sqlx::query_scalar!(
        r#"select exists (
               select from memberships m join users u on u.id = m.user_id
               where m.organization_id = $1 and u.email = $2 and (not m.limited or $3::uuid is not null and exists (
                   select from project_members p
                   where p.organization_id = m.organization_id and p.user_id = m.user_id and p.project_id = $3))
           ) as "known!""#,
        organization,
        email,
        project.map(ProjectId::uuid)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(known)
}
