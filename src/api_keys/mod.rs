//! API keys: how programs call.

pub mod graphql;
mod store;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::access::{Permission, Permissions, Scope};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, Redacted, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, OrganizationId, ProjectId, UserId};
use crate::identity::credentials;
use crate::{idempotency, input, projects};

/// An API key, without its secret, which nobody can read again.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose.
    pub organization: OrganizationId,
    /// The one project that it sees, if it is bound to one.
    pub project: Option<ProjectId>,
    /// What it is for.
    pub name: String,
    /// Its beginning and its last four characters.
    pub hint: String,
    /// What it allows, as far as its creator may do it too.
    pub permissions: Permissions,
    /// Its own limit.
    pub requests_per_minute: Option<i32>,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A new key, checked.
#[derive(Debug)]
pub struct NewApiKey {
    /// The one project that it shall see.
    pub project: Option<ProjectId>,
    /// What it is for.
    pub name: String,
    /// What it shall allow.
    pub permissions: Permissions,
    /// When it shall end.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its own limit.
    pub requests_per_minute: Option<i32>,
}

impl NewApiKey {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(
        project: Option<ProjectId>,
        name: &str,
        permissions: &[Permission],
        expires_at: Option<DateTime<Utc>>,
        requests_per_minute: Option<i32>,
    ) -> Result<Self> {
        input::list("permissions", permissions)?;
        let refuse = |code, field: &str, message: &str| Err(Error::fault(Fault::at(code, field, message)));
        let permissions: Permissions = permissions.iter().copied().collect();
        if permissions == Permissions::NONE {
            return refuse(FaultCode::Required, "permissions", "Give the key at least one permission.");
        }
        if project.is_some() && !permissions.is_subset(Permission::IN_PROJECT) {
            return refuse(
                FaultCode::Invalid,
                "permissions",
                "A project's key cannot carry permissions of the organization. Leave them or `projectId` out.",
            );
        }
        if expires_at.is_some_and(|end| end <= Utc::now()) {
            return refuse(FaultCode::OutOfRange, "expiresAt", "`expiresAt` must lie in the future.");
        }
        if requests_per_minute.is_some_and(|limit| !(1..=1_000_000).contains(&limit)) {
            return refuse(
                FaultCode::OutOfRange,
                "requestsPerMinute",
                "`requestsPerMinute` is from 1 to 1,000,000.",
            );
        }
        Ok(Self {
            project,
            name: input::line("name", name, 100)?,
            permissions,
            expires_at,
            requests_per_minute,
        })
    }
}

/// A key and, the only time that it is known, its secret.
pub struct Made {
    /// The key.
    pub key: ApiKey,
    /// Its text; none when an idempotency key replays the call.
    pub secret: Option<SecretString>,
}

/// What the audit log keeps of a new key.
pub fn logged(key: &ApiKey) -> serde_json::Value {
    let permissions: Vec<_> = key.permissions.iter().map(Permission::as_str).collect();
    json!({
        "name": key.name, "permissions": permissions, "project": key.project, "expiresAt": key.expires_at,
        "requestsPerMinute": key.requests_per_minute, "secret": Redacted,
    })
}

/// Makes a key.
///
/// # Errors
/// `INVALID` for permissions that the caller does not hold; `NOT_FOUND` for the project.
pub async fn create(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    new: NewApiKey,
    key: Option<&idempotency::Key>,
) -> Result<Made> {
    let id = ApiKeyId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok(Made { key: find(tx, earlier.into()).await?.ok_or(Error::NotFound)?, secret: None });
    }
    if let Some(project) = new.project
        && projects::find(tx, project).await?.is_none()
    {
        return Err(Error::fault(Fault::at(
            FaultCode::NotFound,
            "projectId",
            "There is no such project, or it is not visible to you.",
        )));
    }
    let held = new.project.map_or_else(|| scope.permissions(), |project| scope.permissions_in(project));
    if let Some(missing) = new.permissions.iter().find(|permission| !held.contains(*permission)) {
        return Err(Error::fault(Fault::at(
            FaultCode::Invalid,
            "permissions",
            format!("You do not hold {} yourself, so no key of yours can.", missing.as_str()),
        )));
    }
    let secret = credentials::ApiKey::generate(id)?;
    store::insert(tx, id, scope.credential().user(), &new, &secret.hint, secret.hash.bytes()).await?;
    Ok(Made { key: find(tx, id).await?.ok_or(Error::NotFound)?, secret: Some(secret.text) })
}

/// Gives a key a new secret; the old one keeps working for `grace_seconds`.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` when it is revoked or has ended; `OUT_OF_RANGE`; `INVALID` for a key above the caller.
pub async fn rotate(tx: &mut WriteTx<'_>, scope: &Scope, id: ApiKeyId, grace_seconds: i32) -> Result<Made> {
    if !(0..=604_800).contains(&grace_seconds) {
        return Err(Error::fault(Fault::at(
            FaultCode::OutOfRange,
            "graceSeconds",
            "`graceSeconds` is a number from 0 to 604,800, a week.",
        )));
    }
    let before = get(tx, id).await?;
    // A new secret is the key's power in the caller's hands: they need to hold it themselves.
    let held = before.project.map_or_else(|| scope.permissions(), |project| scope.permissions_in(project));
    if !before.permissions.is_subset(held) {
        return Err(Error::fault(Fault::at(
            FaultCode::Invalid,
            "id",
            "This key carries permissions that you do not hold. Ask its creator, or revoke it and make a new one.",
        )));
    }
    let secret = credentials::ApiKey::generate(id)?;
    if !store::rotate(tx, id, &secret.hint, secret.hash.bytes(), grace_seconds).await? {
        return Err(Error::fault(Fault::at(
            FaultCode::Conflict,
            "id",
            "This key is revoked or has ended. Make a new one with `apiKeyCreate`.",
        )));
    }
    Ok(Made { key: get(tx, id).await?, secret: Some(secret.text) })
}

/// Revokes a key; doing it twice changes nothing.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn revoke(tx: &mut WriteTx<'_>, id: ApiKeyId) -> Result<(ApiKey, bool)> {
    get(tx, id).await?;
    let changed = store::revoke(tx, id).await?;
    Ok((get(tx, id).await?, changed))
}

async fn get(tx: &mut ReadTx<'_>, id: ApiKeyId) -> Result<ApiKey> {
    find(tx, id).await?.ok_or_else(|| {
        Error::fault(Fault::at(
            FaultCode::NotFound,
            "id",
            "There is no such API key, or it is not visible to you.",
        ))
    })
}

/// One key.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: ApiKeyId) -> Result<Option<ApiKey>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Keys by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[ApiKeyId]) -> Result<Vec<ApiKey>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::find_many(tx, &ids).await
}

/// One page of keys, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>) -> Result<Slice<ApiKey>> {
    store::list(tx, page).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>) -> Result<i64> {
    store::count(tx).await
}
