//! The request's loader: what many fields ask for one by one is fetched together.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};

use crate::access::{Action, Scope};
use crate::agents::qa::conversations::{self, Conversation};
use crate::agents::{self, Output};
use crate::api_keys::{self, ApiKey};
use crate::assets::{self, Asset};
use crate::db::ReadTx;
use crate::error::{Error, Result};
use crate::graphql::context::{Door, RequestContext, shown, visible};
use crate::id::{ApiKeyId, AssetId, ConversationId, DocumentId, JobId, OrganizationId, ProjectId, UserId};
use crate::identity::{self, User};
use crate::jobs::{self, Job};
use crate::knowledge::{self, Document};
use crate::organizations::{self, Organization};
use crate::projects::{self, Project};
use crate::telemetry::carried;
use uuid::Uuid;

/// Fetches through the request's own door, so that nothing is shared between callers.
pub struct Rows(Arc<Door>);

/// A person, as one organization sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserKey(OrganizationId, UserId);

/// A project of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProjectKey(OrganizationId, ProjectId);

/// An API key of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyKey(OrganizationId, ApiKeyId);

/// A job of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobKey(OrganizationId, JobId);

/// A document of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DocumentKey(OrganizationId, DocumentId);

/// An asset of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AssetKey(OrganizationId, AssetId);

/// A conversation of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConversationKey(OrganizationId, ConversationId);

/// What an agent has made in one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputKey(OrganizationId, Uuid);

/// Makes the loader of a request.
pub fn new(door: Arc<Door>) -> DataLoader<Rows> {
    // What a level of the answer asks for is asked in one go; waiting longer gains nothing.
    DataLoader::new(Rows(door), |loading| tokio::spawn(carried(loading))).delay(std::time::Duration::ZERO)
}

fn by_organization<K: Copy, I>(
    keys: &[K],
    split: impl Fn(K) -> (OrganizationId, I),
) -> HashMap<OrganizationId, Vec<I>> {
    let mut groups: HashMap<OrganizationId, Vec<I>> = HashMap::new();
    for key in keys {
        let (organization, id) = split(*key);
        groups.entry(organization).or_default().push(id);
    }
    groups
}

impl Loader<UserKey> for Rows {
    type Value = User;
    type Error = Error;

    async fn load(&self, keys: &[UserKey]) -> Result<HashMap<UserKey, User>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            if let Some(mut tx) = shown(self.0.read(organization, Action::OrganizationRead).await)? {
                let rows = identity::find_many(&mut tx, &ids).await?;
                found.extend(rows.into_iter().map(|row| (UserKey(organization, row.id()), row)));
            }
        }
        Ok(found)
    }
}

impl Loader<ProjectKey> for Rows {
    type Value = Project;
    type Error = Error;

    async fn load(&self, keys: &[ProjectKey]) -> Result<HashMap<ProjectKey, Project>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            let may = |scope: &Scope| scope.may_somewhere(Action::ProjectRead.permission());
            if let Some(mut tx) = self.0.read_if(organization, Action::ProjectRead, may).await? {
                let rows = projects::find_many(&mut tx, &ids).await?;
                found.extend(rows.into_iter().map(|row| (ProjectKey(organization, row.id), row)));
            }
        }
        Ok(found)
    }
}

impl Loader<ApiKeyKey> for Rows {
    type Value = ApiKey;
    type Error = Error;

    async fn load(&self, keys: &[ApiKeyKey]) -> Result<HashMap<ApiKeyKey, ApiKey>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            let find = async |tx: &mut ReadTx<'_>| api_keys::find_many(tx, &ids).await;
            let rows = self.0.read_seen(organization, Action::ApiKeyList, find, |row| row.project).await?;
            found.extend(rows.into_iter().map(|row| (ApiKeyKey(organization, row.id), row)));
        }
        Ok(found)
    }
}

impl Loader<JobKey> for Rows {
    type Value = Job;
    type Error = Error;

    async fn load(&self, keys: &[JobKey]) -> Result<HashMap<JobKey, Job>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            let find = async |tx: &mut ReadTx<'_>| jobs::find_many(tx, &ids).await;
            let rows = self.0.read_seen(organization, Action::ContentRead, find, |row| row.project).await?;
            found.extend(rows.into_iter().map(|row| (JobKey(organization, row.id), row)));
        }
        Ok(found)
    }
}

impl Loader<OutputKey> for Rows {
    type Value = Output;
    type Error = Error;

    async fn load(&self, keys: &[OutputKey]) -> Result<HashMap<OutputKey, Output>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            let find = async |tx: &mut ReadTx<'_>| agents::find_many(tx, &ids).await;
            let rows = self.0.read_seen(organization, Action::ContentRead, find, |row| row.project).await?;
            found.extend(rows.into_iter().map(|row| (OutputKey(organization, row.id), row)));
        }
        Ok(found)
    }
}

impl Loader<ConversationKey> for Rows {
    type Value = Conversation;
    type Error = Error;

    async fn load(&self, keys: &[ConversationKey]) -> Result<HashMap<ConversationKey, Conversation>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            let find = async |tx: &mut ReadTx<'_>| conversations::find_many(tx, &ids).await;
            let rows = self.0.read_seen(organization, Action::ContentRead, find, |row| row.project).await?;
            found.extend(rows.into_iter().map(|row| (ConversationKey(organization, row.id), row)));
        }
        Ok(found)
    }
}

impl Loader<DocumentKey> for Rows {
    type Value = Document;
    type Error = Error;

    async fn load(&self, keys: &[DocumentKey]) -> Result<HashMap<DocumentKey, Document>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            let find = async |tx: &mut ReadTx<'_>| knowledge::find_many(tx, &ids).await;
            let rows = self.0.read_seen(organization, Action::ContentRead, find, |row| row.project).await?;
            found.extend(rows.into_iter().map(|row| (DocumentKey(organization, row.id), row)));
        }
        Ok(found)
    }
}

impl Loader<AssetKey> for Rows {
    type Value = Asset;
    type Error = Error;

    async fn load(&self, keys: &[AssetKey]) -> Result<HashMap<AssetKey, Asset>> {
        let mut found = HashMap::new();
        for (organization, ids) in by_organization(keys, |key| (key.0, key.1)) {
            let find = async |tx: &mut ReadTx<'_>| assets::find_many(tx, &ids).await;
            let rows = self.0.read_seen(organization, Action::ContentRead, find, |row| row.project).await?;
            found.extend(rows.into_iter().map(|row| (AssetKey(organization, row.id), row)));
        }
        Ok(found)
    }
}

/// Organizations: one of the caller's own is read under the caller, any other way under its own tenant.
impl Loader<OrganizationId> for Rows {
    type Value = Organization;
    type Error = Error;

    async fn load(&self, keys: &[OrganizationId]) -> Result<HashMap<OrganizationId, Organization>> {
        let mut found = HashMap::new();
        if keys.len() > 1 && self.0.person().is_ok() {
            let mut tx = self.0.read_person().await?;
            let rows = organizations::find_many(&mut tx, keys).await?;
            // A deleted one is there for its owners only, which the person's own view does not tell.
            let alive = rows.into_iter().filter(|row| row.deleted_at.is_none());
            found.extend(alive.map(|row| (row.id, row)));
        }
        for id in keys {
            if found.contains_key(id) {
                continue;
            }
            let rows = self.0.call(*id, Action::OrganizationRead, organizations::current()).await;
            for row in visible(rows)?.into_iter().flatten() {
                let row: Organization = row.try_into()?;
                found.insert(row.id, row);
            }
        }
        Ok(found)
    }
}

fn rows<'a>(ctx: &Context<'a>) -> &'a DataLoader<Rows> {
    &ctx.data_unchecked::<Arc<RequestContext>>().rows
}

/// An organization that the caller belongs to.
///
/// # Errors
/// What the database says.
pub async fn organization(ctx: &Context<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    rows(ctx).load_one(id).await
}

/// The organization that something belongs to; none for a key that may not see organizations.
///
/// # Errors
/// What the database says.
pub async fn owner(ctx: &Context<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    Ok(shown(organization(ctx, id).await)?.flatten())
}

/// A person, as the organization sees them.
///
/// # Errors
/// What the database says.
pub async fn user(ctx: &Context<'_>, organization: OrganizationId, id: UserId) -> Result<Option<User>> {
    rows(ctx).load_one(UserKey(organization, id)).await
}

/// A project of the organization, as far as the caller sees it.
///
/// # Errors
/// What the database says.
pub async fn project(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: ProjectId,
) -> Result<Option<Project>> {
    rows(ctx).load_one(ProjectKey(organization, id)).await
}

/// An API key of the organization; none for those who may not see keys.
///
/// # Errors
/// What the database says.
pub async fn api_key(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>> {
    rows(ctx).load_one(ApiKeyKey(organization, id)).await
}

/// A job of the organization, as far as the caller may read content where it works.
///
/// # Errors
/// What the database says.
pub async fn job(ctx: &Context<'_>, organization: OrganizationId, id: JobId) -> Result<Option<Job>> {
    rows(ctx).load_one(JobKey(organization, id)).await
}

/// What an agent has made, as far as the caller may read content where it was made.
///
/// # Errors
/// What the database says.
pub async fn output(ctx: &Context<'_>, organization: OrganizationId, id: Uuid) -> Result<Option<Output>> {
    rows(ctx).load_one(OutputKey(organization, id)).await
}

/// A document of the organization, as far as the caller may read content where it belongs.
///
/// # Errors
/// What the database says.
pub async fn document(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: DocumentId,
) -> Result<Option<Document>> {
    rows(ctx).load_one(DocumentKey(organization, id)).await
}

/// A conversation of the organization, as far as the caller may read content where it belongs.
///
/// # Errors
/// What the database says.
pub async fn conversation(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: ConversationId,
) -> Result<Option<Conversation>> {
    rows(ctx).load_one(ConversationKey(organization, id)).await
}

/// An asset of the organization, as far as the caller may read content where it belongs.
///
/// # Errors
/// What the database says.
pub async fn asset(ctx: &Context<'_>, organization: OrganizationId, id: AssetId) -> Result<Option<Asset>> {
    rows(ctx).load_one(AssetKey(organization, id)).await
}
