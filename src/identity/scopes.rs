//! Credentials become callers, and callers become scopes, here and nowhere else.
//!
//! Both are cached. That is safe because a scope proves nothing by itself: the transaction that it opens verifies the
//! credential, the membership and their version in the database.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use uuid::Uuid;

use super::credentials::{ApiKey, SecretHash};
use super::store::{self, KeyRow, StandingRow};
use crate::access::{Caller, Credential, Permission, Role, Scope, Standing};
use crate::db::Lease;
use crate::error::{Error, Fault, FaultCode, Refusal, Result};
use crate::id::{ApiKeyId, JobId, OrganizationId, UserId};

/// What the cache holds of an API key: what a presented secret is compared with, and the scope of the same snapshot.
#[derive(Debug)]
struct KnownKey {
    hash: Vec<u8>,
    previous: Option<(Vec<u8>, DateTime<Utc>)>,
    expires_at: Option<DateTime<Utc>>,
    revoked: bool,
    requests_per_minute: Option<u32>,
    scope: Arc<Scope>,
}

impl KnownKey {
    fn accepts(&self, presented: &SecretHash, now: DateTime<Utc>) -> bool {
        let current = presented.matches(&self.hash);
        let previous =
            self.previous.as_ref().is_some_and(|(hash, until)| presented.matches(hash) && now < *until);
        let alive = !self.revoked && self.expires_at.is_none_or(|end| now < end);
        (current | previous) & alive
    }
}

/// The caches of this process.
#[derive(Debug)]
pub(super) struct Scopes {
    members: Cache<(Uuid, OrganizationId), Arc<Scope>>,
    keys: Cache<ApiKeyId, Arc<KnownKey>>,
}

const LIFETIME: Duration = Duration::from_mins(5);

fn role(text: &str) -> Result<Role> {
    Role::parse(text).ok_or_else(|| Error::internal(anyhow::anyhow!("the database holds an unknown role")))
}

fn standing(row: &StandingRow) -> Result<Standing> {
    Ok(Standing {
        organization: row.organization_id.into(),
        role: role(&row.role)?,
        limited: row.limited,
        version: row.version,
        deleted: row.deleted,
        project_roles: store::project_roles(&row.project_ids, &row.project_roles),
        key_project: None,
        key_permissions: None,
        points_per_minute: row.points_per_minute.unsigned_abs(),
    })
}

fn known_key(id: ApiKeyId, row: KeyRow) -> Result<KnownKey> {
    let credential = Credential::ApiKey { key: id, creator: row.creator_id.into() };
    let standing = Standing {
        organization: row.organization_id.into(),
        role: role(&row.role)?,
        limited: row.limited,
        version: row.version,
        deleted: false,
        project_roles: store::project_roles(&row.project_ids, &row.project_roles),
        key_project: row.project_id.map(Into::into),
        key_permissions: Some(row.permissions.iter().filter_map(|p| Permission::parse(p)).collect()),
        points_per_minute: row.points_per_minute.unsigned_abs(),
    };
    Ok(KnownKey {
        hash: row.hash,
        previous: row.previous_hash.zip(row.previous_expires_at),
        expires_at: row.expires_at,
        revoked: row.revoked_at.is_some(),
        requests_per_minute: row.requests_per_minute.map(i32::unsigned_abs),
        scope: Arc::new(Scope::mint(credential, standing)),
    })
}

impl Scopes {
    pub(super) fn new() -> Self {
        let members = Cache::builder().max_capacity(100_000).time_to_live(LIFETIME).build();
        let keys = Cache::builder().max_capacity(20_000).time_to_live(LIFETIME).build();
        Self { members, keys }
    }

    /// The scope of a caller in the selected organization, or else in their own, when the cache has it.
    pub(super) fn known(&self, caller: &Caller, selected: Option<OrganizationId>) -> Option<Arc<Scope>> {
        match caller.credential {
            Credential::Session { .. } => {
                self.members.get(&(caller.credential.id(), selected.or(caller.organization)?))
            }
            Credential::ApiKey { key, .. } => self.keys.get(&key).map(|known| Arc::clone(&known.scope)),
            Credential::Job { .. } => None,
        }
    }

    /// Recognises an API key. A key that is known and refused is read once more: it may have been rotated.
    pub(super) async fn recognise(&self, lease: &Lease, text: &str) -> Result<(Caller, SecretHash)> {
        let refused = Error::Unauthenticated(Refusal::NotAccepted);
        // Form and checksum first: what is not a key costs no look-up.
        let Some((id, presented)) = ApiKey::parse(text) else { return Err(refused) };
        if let Some(known) = self.keys.get(&id)
            && known.accepts(&presented, Utc::now())
        {
            return Ok((caller(&known), presented));
        }
        let known = self.read_key(lease, id).await?.ok_or_else(|| refused.clone())?;
        if known.accepts(&presented, Utc::now()) { Ok((caller(&known), presented)) } else { Err(refused) }
    }

    async fn read_key(&self, lease: &Lease, id: ApiKeyId) -> Result<Option<Arc<KnownKey>>> {
        let row = {
            let mut tx = lease.anonymous().await?;
            store::find_key_scope(&mut tx, id.uuid()).await?
        };
        let Some(row) = row else {
            self.keys.invalidate(&id);
            return Ok(None);
        };
        let known = Arc::new(known_key(id, row)?);
        self.keys.insert(id, Arc::clone(&known));
        Ok(Some(known))
    }

    /// The scope of a caller in an organization, and whether the database was asked for it just now.
    pub(super) async fn of(
        &self,
        lease: &Lease,
        caller: &Caller,
        presented: Option<SecretHash>,
        organization: OrganizationId,
        renew: bool,
    ) -> Result<(Arc<Scope>, bool)> {
        match caller.credential {
            Credential::Session { user, .. } => {
                self.of_member(lease, caller, user, organization, renew).await
            }
            Credential::ApiKey { key, .. } => {
                if caller.organization != Some(organization) {
                    return Err(Error::NotFound);
                }
                if !renew && let Some(known) = self.keys.get(&key) {
                    return Ok((Arc::clone(&known.scope), false));
                }
                let known = self.read_key(lease, key).await?;
                match (known, presented) {
                    (Some(known), Some(presented)) if known.accepts(&presented, Utc::now()) => {
                        Ok((Arc::clone(&known.scope), true))
                    }
                    _ => Err(Error::Unauthenticated(Refusal::NotAccepted)),
                }
            }
            // A job sends no requests.
            Credential::Job { .. } => Err(Error::Unauthenticated(Refusal::NotAccepted)),
        }
    }

    async fn of_member(
        &self,
        lease: &Lease,
        caller: &Caller,
        user: UserId,
        organization: OrganizationId,
        renew: bool,
    ) -> Result<(Arc<Scope>, bool)> {
        let key = (caller.credential.id(), organization);
        if !renew && let Some(scope) = self.members.get(&key) {
            return Ok((scope, false));
        }
        let rows = {
            let mut tx = lease.anonymous().await?;
            store::find_scope(&mut tx, user, Some(organization), None).await?
        };
        let Some(row) = rows.first() else {
            self.members.invalidate(&key);
            return Err(Error::NotFound);
        };
        let scope = Arc::new(Scope::mint(caller.credential, standing(row)?));
        self.members.insert(key, Arc::clone(&scope));
        Ok((scope, true))
    }

    /// The scope in the one organization of the caller's that has this slug.
    pub(super) async fn by_slug(&self, lease: &Lease, caller: &Caller, slug: &str) -> Result<Arc<Scope>> {
        let user = caller.credential.user();
        let rows = {
            let mut tx = lease.anonymous().await?;
            store::find_scope(&mut tx, user, None, Some(slug)).await?
        };
        match (rows.as_slice(), caller.credential) {
            ([], _) => Err(Error::NotFound),
            ([_], Credential::Job { .. }) => Err(Error::Unauthenticated(Refusal::NotAccepted)),
            ([row], Credential::ApiKey { .. })
                if caller.organization.is_none_or(|own| own.uuid() != row.organization_id) =>
            {
                Err(Error::NotFound)
            }
            ([row], Credential::ApiKey { .. }) => {
                let organization = row.organization_id.into();
                Ok(self.of(lease, caller, None, organization, false).await?.0)
            }
            ([row], Credential::Session { .. }) => {
                let scope = Arc::new(Scope::mint(caller.credential, standing(row)?));
                self.members.insert((caller.credential.id(), scope.organization()), Arc::clone(&scope));
                Ok(scope)
            }
            _ => Err(Error::fault(Fault::new(
                FaultCode::Invalid,
                "Several of your organizations have this slug. Name the one you mean by its id.",
            ))),
        }
    }
}

/// The scope that a job works in: what whoever started it may do now.
///
/// # Errors
/// [`Error::NotFound`] when there is nobody left to work for, or the job is another worker's by now.
pub(super) async fn of_job(
    lease: &Lease,
    organization: OrganizationId,
    job: JobId,
    attempt: i32,
) -> Result<Arc<Scope>> {
    let row = {
        let mut tx = lease.anonymous().await?;
        store::find_job_scope(&mut tx, organization, job, attempt).await?.ok_or(Error::NotFound)?
    };
    let credential =
        Credential::Job { job, attempt, creator: row.creator_id.into(), key: row.key_id.map(Into::into) };
    let own = |list: Vec<String>| list.iter().filter_map(|p| Permission::parse(p)).collect();
    let standing = Standing {
        organization,
        role: role(&row.role)?,
        limited: row.limited,
        version: row.version,
        deleted: false,
        project_roles: store::project_roles(&row.project_ids, &row.project_roles),
        key_project: row.key_project_id.map(Into::into),
        key_permissions: row.key_permissions.map(own),
        points_per_minute: row.points_per_minute.unsigned_abs(),
    };
    Ok(Arc::new(Scope::mint(credential, standing)))
}

fn caller(known: &KnownKey) -> Caller {
    Caller {
        credential: known.scope.credential(),
        expires_at: known.expires_at,
        organization: Some(known.scope.organization()),
        requests_per_minute: known.requests_per_minute,
    }
}
