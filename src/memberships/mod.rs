//! Memberships: who belongs to an organization, and as what.

pub mod graphql;
mod store;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::access::{Role, Scope};
use crate::db::page::{Page, Slice};
use crate::db::{Changes, ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{MembershipId, OrganizationId, ProjectId, UserId};
use crate::usage::{self, Metric};

/// One person in one organization.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Its id.
    pub id: MembershipId,
    /// Where.
    pub organization: OrganizationId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Whether they are a guest of single projects.
    pub limited: bool,
    /// Who invited them.
    pub invited_by: Option<UserId>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// One page of the organization's people.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, role: Option<Role>) -> Result<Slice<Membership>> {
    store::list(tx, page, role).await
}

/// How many people there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, role: Option<Role>) -> Result<i64> {
    store::count(tx, role).await
}

/// One page of a person's own memberships.
///
/// # Errors
/// What the database says.
pub async fn list_own(tx: &mut ReadTx<'_>, page: &Page<Uuid>) -> Result<Slice<Membership>> {
    store::list_own(tx, page).await
}

/// How many memberships a person has.
///
/// # Errors
/// What the database says.
pub async fn count_own(tx: &mut ReadTx<'_>) -> Result<i64> {
    store::count_own(tx).await
}

/// One membership.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: MembershipId) -> Result<Option<Membership>> {
    store::find(tx, id).await
}

/// One person's membership in the transaction's organization.
///
/// # Errors
/// What the database says.
pub async fn find_by_user(tx: &mut ReadTx<'_>, user: UserId) -> Result<Option<Membership>> {
    store::find_by_user(tx, user).await
}

/// The projects that a guest was let into.
///
/// # Errors
/// What the database says.
pub async fn projects_of(tx: &mut ReadTx<'_>, user: UserId) -> Result<Vec<ProjectId>> {
    store::projects_of(tx, user).await
}

/// Lets somebody in; false when they are there already.
///
/// # Errors
/// What the database says.
pub async fn insert(
    tx: &mut WriteTx<'_>,
    user: UserId,
    role: Role,
    limited: bool,
    invited_by: Option<UserId>,
) -> Result<bool> {
    usage::reserve(tx, Metric::Members, 1).await?;
    store::insert(tx, MembershipId::generate(), user, role, limited, invited_by).await
}

/// Makes a guest a full member, as what a full invitation offers.
///
/// # Errors
/// What the database says.
pub async fn widen(tx: &mut WriteTx<'_>, id: MembershipId, role: Role) -> Result<()> {
    store::set_role(tx, id, role, false).await
}

fn refuse(code: FaultCode, field: &str, message: &str) -> Error {
    Error::fault(Fault::at(code, field, message))
}

/// Changes a member's role.
///
/// # Errors
/// `NOT_FOUND`; `INVALID` when the caller would grant, or take, more than they hold; `SELF_ACTION`; `LAST_OWNER`.
pub async fn set_role(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: MembershipId,
    role: Role,
) -> Result<(Membership, Changes)> {
    let before = store::find(tx, id).await?.ok_or_else(|| not_found("id"))?;
    if before.role == role {
        return Ok((before, Changes::none()));
    }
    let own = before.user == scope.credential().user();
    // Whoever lowers themselves gives something up; nobody raises themselves.
    if own && !role.permissions().is_subset(before.role.permissions()) {
        return Err(refuse(
            FaultCode::SelfAction,
            "role",
            "You cannot raise your own role. Ask another owner.",
        ));
    }
    if before.limited {
        return Err(refuse(
            FaultCode::Conflict,
            "id",
            "This person is a guest of single projects. Change their role there, or invite them to the organization.",
        ));
    }
    if !scope.may_grant(role, None) || !scope.may_grant(before.role, None) {
        return Err(refuse(
            FaultCode::Invalid,
            "role",
            "You cannot grant or take a role that is above your own.",
        ));
    }
    store::set_role(tx, id, role, false).await?;
    let after = store::find(tx, id).await?.ok_or(Error::NotFound)?;
    let changes = Changes::between(&json!({"role": before.role.as_str()}), &json!({"role": role.as_str()}));
    Ok((after, changes))
}

/// Removes a member, or lets the caller leave.
///
/// # Errors
/// `NOT_FOUND`; `INVALID` for somebody above the caller; `LAST_OWNER`.
pub async fn remove(tx: &mut WriteTx<'_>, scope: &Scope, id: MembershipId) -> Result<Changes> {
    let before = store::find(tx, id).await?.ok_or_else(|| not_found("id"))?;
    let own = before.user == scope.credential().user() && scope.role().is_some();
    if !own && !scope.may_grant(before.role, None) {
        return Err(refuse(
            FaultCode::Invalid,
            "id",
            "You cannot remove somebody whose role is above your own.",
        ));
    }
    store::revoke_keys_of(tx, before.user).await?;
    if !store::delete(tx, id).await? {
        return Err(not_found("id"));
    }
    Ok(Changes::removed(&json!({"user": before.user, "role": before.role.as_str()})))
}

fn not_found(field: &str) -> Error {
    refuse(FaultCode::NotFound, field, "There is no such member, or they are not visible to you.")
}
