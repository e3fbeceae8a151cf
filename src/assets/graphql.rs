//! Assets, as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::Utc;
use serde::Serialize;

use super::previews::{PreviewSize, Previews};
use super::{AssetKind, AssetUpdate, Filter, NewUpload};
use crate::access::{Action, Permission, Scope};
use crate::db::page::PageArgs;
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Result};
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Url};
use crate::graphql::turn::Turn;
use crate::id::{AssetId, OrganizationId, ProjectId};
use crate::identity::graphql::{cleared, kept};
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;
use crate::storage::Storage;
use crate::{idempotency, input as check};

/// A file: a picture, a video, a recording, a document, captions, a calendar or an archive.
pub struct Asset {
    row: super::Asset,
    /// Until when its address is good: the same for whoever asks for both.
    until: chrono::DateTime<Utc>,
}

impl Asset {
    /// The asset of a row.
    pub fn new(row: super::Asset) -> Self {
        Self { row, until: Utc::now() + super::SHOWN }
    }
}

impl Node for Asset {}

/// A file that is part of an output: it is there as long as the output is, and visible to whoever sees that.
///
/// # Errors
/// When the database holds an output without its file.
pub async fn part(ctx: &Context<'_>, organization: OrganizationId, id: AssetId) -> Result<Asset> {
    let found = loader::asset(ctx, organization, id).await?;
    let lost = || Error::internal(anyhow::anyhow!("the file {id} of an output is gone"));
    found.map(Asset::new).ok_or_else(lost)
}

/// A file: a picture, a video, a recording, a document, captions, a calendar or an archive.
#[Object]
impl Asset {
    /// The asset's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// What it is.
    async fn kind(&self) -> AssetKind {
        self.row.kind
    }

    /// What kind of file, found out from its bytes: `image/png`, for example.
    async fn mime_type(&self) -> &str {
        &self.row.mime_type
    }

    /// How many bytes it has.
    async fn bytes(&self) -> i32 {
        self.row.bytes
    }

    /// How wide a picture or video is, in pixels; null when that is not known.
    async fn width(&self) -> Option<i32> {
        self.row.width
    }

    /// How high a picture or video is, in pixels; null when that is not known.
    async fn height(&self) -> Option<i32> {
        self.row.height
    }

    /// How long a video or a recording lasts; null when that is not known.
    async fn duration_seconds(&self) -> Option<f64> {
        self.row.duration_seconds
    }

    /// The SHA-256 of its bytes, as `sha256sum` prints it.
    async fn sha256(&self) -> String {
        hex::encode(&self.row.sha256)
    }

    /// What can be seen, for whoever cannot see it.
    async fn alt_text(&self) -> Option<&str> {
        self.row.alt_text.as_deref()
    }

    /// Words to find it by.
    async fn tags(&self) -> &[String] {
        &self.row.tags
    }

    /// The project that it belongs to; null when it is the whole organization's.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// When it was begun.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// Where it can be fetched by whoever has this address, without a credential. Signed and expiring.
    async fn url(&self, ctx: &Context<'_>) -> async_graphql::Result<Url> {
        let scope = ctx.door().scope(self.row.organization).await?;
        Ok(Url(self.row.address(storage(ctx).of(&scope), self.until).await?))
    }

    /// Where a small version of a picture can be fetched, as `url` and until `urlExpiresAt`: a JPEG, or a PNG when the picture
    /// has transparency, turned upright, without the picture's metadata, in its shape and never enlarged. It is made when it
    /// is asked for first, counts nothing towards what is stored, and goes with the asset. Null for everything but
    /// pictures, for a GIF, and for a file that cannot be read as a picture of at most 40 million pixels and nothing else.
    /// Costs 5 points.
    async fn preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How large.", default_with = "PreviewSize::Small")] size: PreviewSize,
    ) -> async_graphql::Result<Option<Url>> {
        let door = ctx.door();
        let scope = door.scope(self.row.organization).await?;
        let (tenant, previews) = (storage(ctx).of(&scope), ctx.data_unchecked::<Arc<Previews>>());
        let made = if let Some(known) = previews.known(&self.row, size).await {
            known
        } else {
            // Nothing is held while the store, or a turn to compute, is waited for.
            if let Ok(turn) = ctx.data::<Turn>() {
                turn.give_up();
            }
            door.lease().release().await;
            previews.make(tenant, &self.row, size).await?
        };
        let Some(made) = made else { return Ok(None) };
        Ok(Some(Url(made.address(tenant, &self.row, self.until).await?)))
    }

    /// When `url` and `preview` stop working; ask again for others.
    async fn url_expires_at(&self) -> DateTime {
        self.until.into()
    }
}

fn storage<'a>(ctx: &Context<'a>) -> &'a Arc<Storage> {
    ctx.data_unchecked::<Arc<Storage>>()
}

/// Which assets; what is absent does not matter.
#[derive(Debug, Clone, Default, InputObject)]
pub struct AssetFilter {
    /// Only those of one of these kinds.
    kinds: Option<Vec<AssetKind>>,
    /// Only those with all of these tags.
    tags: Option<Vec<String>>,
}

/// A page of an organization's assets, or of one project's; none when the caller may not read content there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
    args: &PageArgs,
    filter: Option<AssetFilter>,
) -> Result<Option<Connection<Asset>>> {
    let door = ctx.door();
    let may = |scope: &Scope| scope.may_list(project, Permission::ContentRead);
    let Some(mut tx) = door.read_if(organization, Action::ContentRead, may).await? else { return Ok(None) };
    let AssetFilter { kinds, tags } = filter.unwrap_or_default();
    let filter = Filter { project, kinds, tags };
    let word = format!("{filter:?}");
    let seal = door.seal(&["assets", &organization.to_string(), &word]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page, &filter).await?;
    drop(tx);
    let filter = Arc::new(filter);
    let count: Counter = Box::new(move |ctx| {
        let filter = Arc::clone(&filter);
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::ContentRead).await?;
            super::count(&mut tx, &filter).await.map(Some)
        })
    });
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), Asset::new)))
}

/// An asset of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: AssetId) -> Result<Option<Asset>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    Ok(visible(loader::asset(ctx, organization, id).await)?.flatten().map(Asset::new))
}

/// A file that is on its way, and where to send it.
#[derive(SimpleObject)]
pub struct AssetUpload {
    /// The id of the asset that it becomes.
    id: ID,
    /// Where the file is sent, as the body of one request, without a credential.
    url: Url,
    /// How: always `PUT`.
    method: String,
    /// How many bytes must be sent.
    bytes: i32,
    /// Until when it can be sent and completed.
    expires_at: DateTime,
}

/// A file that shall be sent.
#[derive(InputObject, Serialize)]
struct AssetUploadCreateInput {
    /// Where.
    organization_id: ID,
    /// For one project only; for the whole organization when absent.
    project_id: Option<ID>,
    /// What it is.
    kind: AssetKind,
    /// How many bytes it has.
    bytes: i32,
    /// The SHA-256 of its bytes as 64 hexadecimal digits; what arrives is compared with it.
    sha256: Option<String>,
    /// What can be seen, at most 1,000 characters.
    alt_text: Option<String>,
    /// Words to find it by, at most 20 of at most 40 characters.
    tags: Option<Vec<String>>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// Which file has been sent.
#[derive(InputObject)]
struct AssetUploadCompleteInput {
    /// The upload's id.
    id: ID,
}

/// What to change of an asset; what is absent stays as it is.
#[derive(InputObject)]
struct AssetUpdateInput {
    /// Which asset.
    id: ID,
    /// What can be seen, at most 1,000 characters; null takes it away.
    alt_text: MaybeUndefined<String>,
    /// All the words to find it by, at most 20 of at most 40 characters.
    tags: MaybeUndefined<Vec<String>>,
}

/// Which asset.
#[derive(InputObject)]
struct AssetDeleteInput {
    /// The asset.
    id: ID,
}

/// What announcing a file is answered with.
#[derive(Default, SimpleObject)]
pub struct AssetUploadCreatePayload {
    /// Where to send it.
    upload: Option<AssetUpload>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What completing a file is answered with.
#[derive(Default, SimpleObject)]
pub struct AssetUploadCompletePayload {
    /// The asset.
    asset: Option<Asset>,
    /// The organization, whose list of assets has changed.
    organization: Option<Organization>,
    /// The project, whose list of assets has changed; null when it is the whole organization's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing an asset is answered with.
#[derive(Default, SimpleObject)]
pub struct AssetUpdatePayload {
    /// The asset.
    asset: Option<Asset>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting an asset is answered with.
#[derive(Default, SimpleObject)]
pub struct AssetDeletePayload {
    /// The id of what is gone.
    deleted_asset_id: Option<ID>,
    /// The organization, whose list of assets has changed.
    organization: Option<Organization>,
    /// The project, whose list of assets has changed; null when it was the whole organization's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(AssetUploadCreatePayload, AssetUploadCompletePayload, AssetUpdatePayload, AssetDeletePayload);

/// Managing assets.
#[derive(Default)]
pub struct AssetMutation;

/// A project of the organization, for a payload.
async fn project_of(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
) -> Result<Option<Project>> {
    let Some(project) = project else { return Ok(None) };
    Ok(loader::project(ctx, organization, project).await?.map(Project::new))
}

#[Object]
impl AssetMutation {
    /// Announces a file and reserves its bytes: send it to the address of the answer with `PUT`, and then call
    /// `assetUploadComplete`. Requires: `CONTENT_CREATE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `QUOTA_EXCEEDED`, `CONFLICT`, `EXPIRED`,
    /// `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::AssetCreate, &input.organization_id)")]
    async fn asset_upload_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file.")] input: AssetUploadCreateInput,
    ) -> async_graphql::Result<Option<AssetUploadCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project = match &input.project_id {
                None => None,
                Some(id) => Some(door.named_project("projectId", input_id("projectId", id)?)?),
            };
            let tags = input.tags.as_deref().unwrap_or_default();
            let (sha256, alt_text) = (input.sha256.as_deref(), input.alt_text.as_deref());
            let new = NewUpload::parse(project, input.kind, input.bytes, sha256, alt_text, tags)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write_within(organization, project, Action::AssetCreate)
                .await
                .map_err(not_found_at(if project.is_some() { "projectId" } else { "organizationId" }))?;
            let (upload, made) = super::create(&mut tx, &new, key.as_ref()).await?;
            if made {
                let target = Target::asset(upload.id).within(project);
                tx.commit(Record::with(target, Changes::made(&super::announced(&upload)))).await?;
            } else {
                drop(tx);
                upload.expect_waiting()?;
            }
            let scope = door.scope(organization).await?;
            let address = upload.address(storage(ctx).of(&scope)).await?;
            let upload = AssetUpload {
                id: ID(upload.id.to_string()),
                url: Url(address),
                method: "PUT".to_owned(),
                bytes: input.bytes,
                expires_at: upload.expires_at.into(),
            };
            Ok(AssetUploadCreatePayload { upload: Some(upload), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Makes an asset of a file that has been sent: its length, its checksum and what it really is are found out first.
    /// What is refused is removed, and can be sent again. Calling it twice is harmless. Requires: `CONTENT_CREATE`.
    /// Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`, `EXPIRED`.
    #[graphql(guard = "Requires::Here(Action::AssetComplete, &input.id)")]
    async fn asset_upload_complete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which file.")] input: AssetUploadCompleteInput,
    ) -> async_graphql::Result<Option<AssetUploadCompletePayload>> {
        let outcome = async {
            let id: AssetId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let upload = {
                let mut tx = door.read(organization, Action::AssetComplete).await.map_err(&missing)?;
                super::waiting(&mut tx, id).await.map_err(&missing)?
            };
            let open = || door.write_within(organization, upload.project, Action::AssetComplete);
            // Whoever may not is refused before anything is looked at.
            drop(open().await.map_err(&missing)?);
            door.lease().release().await;
            let completed = async || {
                let mut tx = door.read(organization, Action::AssetComplete).await?;
                super::find(&mut tx, id).await
            };
            let asset = if upload.is_ready {
                completed().await?.ok_or(Error::NotFound)?
            } else {
                let scope = door.scope(organization).await?;
                let tenant = storage(ctx).of(&scope);
                match super::receive(tenant, &upload).await {
                    // What was sent is gone when somebody else was faster, and the asset is there.
                    Err(refused) => completed().await?.ok_or(refused)?,
                    Ok(received) => {
                        let mut tx = open().await.map_err(&missing)?;
                        let (asset, made) =
                            super::complete(&mut tx, &upload, &received).await.map_err(&missing)?;
                        if made {
                            let target = Target::asset(id).within(upload.project);
                            tx.commit(Record::with(target, Changes::made(&super::logged(&asset)))).await?;
                        } else {
                            drop(tx);
                        }
                        door.lease().release().await;
                        super::tidy_up(tenant, &upload, (!made).then_some(&received)).await;
                        asset
                    }
                }
            };
            Ok(AssetUploadCompletePayload {
                asset: Some(Asset::new(asset)),
                organization: Some(Organization::lazy(organization)),
                project: project_of(ctx, organization, upload.project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes what is said about an asset. Requires: `CONTENT_UPDATE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`.
    #[graphql(guard = "Requires::Here(Action::AssetUpdate, &input.id)")]
    async fn asset_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: AssetUpdateInput,
    ) -> async_graphql::Result<Option<AssetUpdatePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let update = AssetUpdate {
                alt_text: cleared(input.alt_text).map(|text| super::alt_text(text.as_deref())).transpose()?,
                tags: kept("tags", input.tags)?.map(|tags| check::tags(&tags)).transpose()?,
            };
            let (organization, project) = place(ctx, id).await?;
            let mut tx = ctx
                .door()
                .write_within(organization, project, Action::AssetUpdate)
                .await
                .map_err(not_found_at("id"))?;
            let (before, after) = super::update(&mut tx, id, &update).await.map_err(not_found_at("id"))?;
            let changes = Changes::between(&super::logged(&before), &super::logged(&after));
            if changes.is_empty() {
                drop(tx);
            } else {
                tx.commit(Record::with(Target::asset(id).within(project), changes)).await?;
            }
            Ok(AssetUpdatePayload { asset: Some(Asset::new(after)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes an asset with its previews, and gives its bytes back. Its addresses stop working. Requires: `CONTENT_DELETE`.
    /// Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::AssetDelete, &input.id)")]
    async fn asset_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which asset.")] input: AssetDeleteInput,
    ) -> async_graphql::Result<Option<AssetDeletePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let (organization, project) = place(ctx, id).await?;
            let door = ctx.door();
            let mut tx = door
                .write_within(organization, project, Action::AssetDelete)
                .await
                .map_err(not_found_at("id"))?;
            let asset = super::delete(&mut tx, id).await.map_err(not_found_at("id"))?;
            let target = Target::asset(id).within(project);
            tx.commit(Record::with(target, Changes::removed(&super::logged(&asset)))).await?;
            door.lease().release().await;
            let scope = door.scope(organization).await?;
            super::clear(storage(ctx).of(&scope), &asset).await;
            Ok(AssetDeletePayload {
                deleted_asset_id: Some(input.id.clone()),
                organization: Some(Organization::lazy(organization)),
                project: project_of(ctx, organization, project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// Where an asset of the request's organization belongs: its project decides who may touch it.
async fn place(ctx: &Context<'_>, id: AssetId) -> Result<(OrganizationId, Option<ProjectId>)> {
    let missing = not_found_at("id");
    let organization = ctx.door().tenant().await.map_err(&missing)?;
    let found = loader::asset(ctx, organization, id).await.map_err(&missing)?;
    let row = found.ok_or(Error::NotFound).map_err(&missing)?;
    Ok((organization, row.project))
}
