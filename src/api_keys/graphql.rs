//! API keys, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::NewApiKey;
use crate::access::{Action, Permission};
use crate::db::{Changes, Record, Redacted, Target};
use crate::error::{Error, Result};
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{ApiKeyId, OrganizationId, ProjectId};
use crate::idempotency;
use crate::identity::graphql::User;
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;

/// How a program calls. The secret is shown once; afterwards only `hint` (its beginning and last four characters) is
/// readable.
pub struct ApiKey {
    row: super::ApiKey,
}

impl ApiKey {
    /// The key of a row.
    pub const fn new(row: super::ApiKey) -> Self {
        Self { row }
    }
}

impl Node for ApiKey {}

/// How a program calls. The secret is shown once; afterwards only `hint` (its beginning and last four characters) is
/// readable.
#[Object]
impl ApiKey {
    /// The key's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// What it is for.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The secret's beginning and last four characters.
    async fn hint(&self) -> &str {
        &self.row.hint
    }

    /// The one project that it sees; null when it sees the organization.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// What it allows, as far as its creator may do it too.
    async fn permissions(&self) -> Vec<Permission> {
        self.row.permissions.iter().collect()
    }

    /// Who made it; null when that person has left, and then the key no longer works.
    async fn created_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<User>> {
        let row = loader::user(ctx, self.row.organization, self.row.created_by).await?;
        Ok(row.map(|row| User::in_organization(row, self.row.organization)))
    }

    /// When.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last used, to the minute.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.row.last_used_at.map(Into::into)
    }

    /// When it ends by itself.
    async fn expires_at(&self) -> Option<DateTime> {
        self.row.expires_at.map(Into::into)
    }

    /// When it was revoked.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.row.revoked_at.map(Into::into)
    }

    /// Its own limit; null when only the organization's holds.
    async fn requests_per_minute(&self) -> Option<i32> {
        self.row.requests_per_minute
    }
}

/// A new key.
#[derive(InputObject, Serialize)]
struct ApiKeyCreateInput {
    /// Where.
    organization_id: ID,
    /// For one project only: the key sees nothing else.
    project_id: Option<ID>,
    /// What it is for, 1 to 100 characters.
    name: String,
    /// What it shall allow; nobody grants more than they hold.
    permissions: Vec<Permission>,
    /// When it shall end; never by itself when absent.
    expires_at: Option<DateTime>,
    /// Its own limit, 1 to 1,000,000.
    requests_per_minute: Option<i32>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// Which key.
#[derive(InputObject)]
struct ApiKeyRotateInput {
    /// A key that works.
    id: ID,
    /// The old secret keeps working this long, 0 to 604,800 seconds.
    #[graphql(default = 86_400)]
    grace_seconds: i32,
}

/// Which key.
#[derive(InputObject)]
struct ApiKeyRevokeInput {
    /// The key.
    id: ID,
}

/// What creating a key is answered with.
#[derive(Default, SimpleObject)]
pub struct ApiKeyCreatePayload {
    /// The key.
    api_key: Option<ApiKey>,
    /// Shown once. Null when an idempotency key replays the call.
    secret: Option<String>,
    /// The organization, whose list of keys has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What rotating a key is answered with.
#[derive(Default, SimpleObject)]
pub struct ApiKeyRotatePayload {
    /// The key.
    api_key: Option<ApiKey>,
    /// The new secret, shown once.
    secret: Option<String>,
    /// Its organization.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What revoking a key is answered with.
#[derive(Default, SimpleObject)]
pub struct ApiKeyRevokePayload {
    /// The key.
    api_key: Option<ApiKey>,
    /// Its organization.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(ApiKeyCreatePayload, ApiKeyRotatePayload, ApiKeyRevokePayload);

/// Managing API keys.
#[derive(Default)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Creates an API key; the answer shows its secret, once. Requires: `API_KEY_MANAGE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::ApiKeyCreate, &input.organization_id)")]
    async fn api_key_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key.")] input: ApiKeyCreateInput,
    ) -> async_graphql::Result<Option<ApiKeyCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project: Option<ProjectId> =
                input.project_id.as_ref().map(|id| input_id("projectId", id)).transpose()?;
            let ends = input.expires_at.map(|time| time.0);
            let new =
                NewApiKey::parse(project, &input.name, &input.permissions, ends, input.requests_per_minute)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write_within(organization, project, Action::ApiKeyCreate)
                .await
                .map_err(not_found_at(if project.is_some() { "projectId" } else { "organizationId" }))?;
            let scope = tx.scope()?;
            let made = super::create(&mut tx, &scope, new, key.as_ref()).await?;
            if made.secret.is_some() {
                let target = Target::api_key(made.key.id).within(project);
                tx.commit(Record::with(target, Changes::made(&super::logged(&made.key)))).await?;
            }
            Ok(ApiKeyCreatePayload {
                api_key: Some(ApiKey::new(made.key)),
                secret: made.secret.map(|secret| secret.expose_secret().to_owned()),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Gives an API key a new secret in place; the old one keeps working for a while. Requires: `API_KEY_MANAGE`.
    /// Codes: `NOT_FOUND`, `INVALID`, `OUT_OF_RANGE`, `CONFLICT`.
    #[graphql(guard = "Requires::Here(Action::ApiKeyRotate, &input.id)")]
    async fn api_key_rotate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: ApiKeyRotateInput,
    ) -> async_graphql::Result<Option<ApiKeyRotatePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let door = ctx.door();
            let (organization, project) = place(ctx, id).await?;
            let mut tx = door
                .write_within(organization, project, Action::ApiKeyRotate)
                .await
                .map_err(not_found_at("id"))?;
            let scope = tx.scope()?;
            let made = super::rotate(&mut tx, &scope, id, input.grace_seconds).await?;
            let changes =
                Changes::made(&serde_json::json!({"secret": Redacted, "graceSeconds": input.grace_seconds}));
            tx.commit(Record::with(Target::api_key(id).within(project), changes)).await?;
            Ok(ApiKeyRotatePayload {
                api_key: Some(ApiKey::new(made.key)),
                secret: made.secret.map(|secret| secret.expose_secret().to_owned()),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Revokes an API key, from the next request on. Requires: `API_KEY_MANAGE`. Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::ApiKeyRevoke, &input.id)")]
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: ApiKeyRevokeInput,
    ) -> async_graphql::Result<Option<ApiKeyRevokePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let door = ctx.door();
            let (organization, project) = place(ctx, id).await?;
            let mut tx = door
                .write_within(organization, project, Action::ApiKeyRevoke)
                .await
                .map_err(not_found_at("id"))?;
            let (row, changed) = super::revoke(&mut tx, id).await?;
            if changed {
                let changes = Changes::made(&serde_json::json!({"revokedAt": row.revoked_at}));
                tx.commit(Record::with(Target::api_key(id).within(project), changes)).await?;
            }
            Ok(ApiKeyRevokePayload {
                api_key: Some(ApiKey::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// Where a key of the request's organization belongs: its project decides who may touch it.
async fn place(ctx: &Context<'_>, id: ApiKeyId) -> Result<(OrganizationId, Option<ProjectId>)> {
    let door = ctx.door();
    let missing = not_found_at("id");
    let organization = door.tenant().await.map_err(&missing)?;
    let mut tx = door.read(organization, Action::ApiKeyList).await.map_err(&missing)?;
    let row = super::find(&mut tx, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
    drop(tx);
    // A role in another project lets nobody know what there is.
    if !door.scope(organization).await?.may_see(row.project, Action::ApiKeyList.permission()) {
        return Err(missing(Error::NotFound));
    }
    Ok((organization, row.project))
}

/// A key of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    Ok(visible(loader::api_key(ctx, organization, id).await)?.flatten().map(ApiKey::new))
}
