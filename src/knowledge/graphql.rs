//! Documents, as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use serde::Serialize;

use super::convert::pdf::{PDF_BYTES, PdfReader};
use super::convert::{self, Converted};
use super::{DocumentUpdate, Filter, IndexState, MimeType, NewDocument, Text};
use crate::access::{Action, Permission, Scope};
use crate::assets::{self, Asset, AssetKind};
use crate::audit::graphql::Actor;
use crate::db::page::PageArgs;
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::events::Topic;
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Url};
use crate::graphql::turn::Turn;
use crate::id::{AssetId, DocumentId, OrganizationId, ProjectId};
use crate::identity::graphql::{cleared, kept};
use crate::jobs::graphql::{Job, actor};
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;
use crate::storage::Storage;
use crate::{idempotency, input as check};

/// A document that questions are answered from.
pub struct KnowledgeDocument {
    row: super::Document,
}

impl KnowledgeDocument {
    /// The document of a row.
    pub const fn new(row: super::Document) -> Self {
        Self { row }
    }
}

impl Node for KnowledgeDocument {}

/// A document that questions are answered from.
#[Object]
impl KnowledgeDocument {
    /// The document's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// What it is called.
    async fn title(&self) -> &str {
        &self.row.title
    }

    /// Where it comes from.
    async fn source_url(&self) -> Option<Url> {
        Url::stored(self.row.source_url.as_deref())
    }

    /// What it was: `text/markdown`, `text/plain`, `text/html`, `text/csv` or `application/pdf`. Of the last three, text is
    /// kept.
    async fn mime_type(&self) -> &str {
        &self.row.mime_type
    }

    /// Words to find it by, in alphabetical order.
    async fn tags(&self) -> &[String] {
        &self.row.tags
    }

    /// Bytes of the newest version's text in UTF-8.
    async fn bytes(&self) -> i32 {
        self.row.bytes
    }

    /// The newest version's number: 1, 2, 3, …
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// The project that it belongs to; null when it is the whole organization's.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// Who added it; null when they have left or are not visible to the caller.
    async fn created_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Actor>> {
        Ok(actor(ctx, self.row.organization, self.row.created_by, self.row.created_by_key).await?)
    }

    /// When it was added.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.row.updated_at.into()
    }

    /// Whose.
    async fn organization(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Organization>> {
        Ok(loader::owner(ctx, self.row.organization).await?.map(Organization::loaded))
    }

    /// How far the newest version is from being found. Until then, answers come from the version before.
    async fn index_state(&self) -> IndexState {
        self.row.index_state
    }

    /// The same as a share, from 0 to 1.
    async fn index_progress(&self) -> f64 {
        (f64::from(self.row.index_progress) * 100.0).round() / 100.0
    }

    /// The job that makes the newest version's passages; subscribe to it with `jobUpdated`.
    async fn index_job(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Job>> {
        Ok(loader::job(ctx, self.row.organization, self.row.index_job).await?.map(Job::new))
    }

    /// The stored text of a version, exactly as citations count it. Null for a version that is no longer kept: older ones
    /// are, while an answer cites them. Costs 500 points: it may be long.
    async fn text(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The version; the newest one when absent.")] version: Option<i32>,
    ) -> async_graphql::Result<Option<String>> {
        let mut tx = ctx.door().read(self.row.organization, Action::ContentRead).await?;
        Ok(super::text(&mut tx, self.row.id, version).await?)
    }
}

/// Which documents; what is absent does not matter.
#[derive(Debug, Clone, Default, InputObject)]
pub struct DocumentFilter {
    /// Only those with all of these tags.
    tags: Option<Vec<String>>,
}

/// A page of an organization's documents, or of one project's; none when the caller may not read content there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
    args: &PageArgs,
    filter: Option<DocumentFilter>,
) -> Result<Option<Connection<KnowledgeDocument>>> {
    let door = ctx.door();
    let may = |scope: &Scope| scope.may_list(project, Permission::ContentRead);
    let Some(mut tx) = door.read_if(organization, Action::ContentRead, may).await? else { return Ok(None) };
    let filter = Filter { project, tags: filter.unwrap_or_default().tags };
    let seal = door.seal(&["documents", &organization.to_string(), &format!("{filter:?}")]);
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
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), KnowledgeDocument::new)))
}

/// One document of an organization, as far as the caller may read content where it belongs.
///
/// # Errors
/// What the database says.
pub async fn find(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: DocumentId,
) -> Result<Option<KnowledgeDocument>> {
    Ok(visible(loader::document(ctx, organization, id).await)?.flatten().map(KnowledgeDocument::new))
}

/// A document of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: DocumentId) -> Result<Option<KnowledgeDocument>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    find(ctx, organization, id).await
}

/// A new document.
#[derive(InputObject, Serialize)]
struct DocumentCreateInput {
    /// Where.
    organization_id: ID,
    /// For one project only; for the whole organization when absent.
    project_id: Option<ID>,
    /// What it is called, 1 to 200 characters; empty for a page that has a title of its own.
    title: String,
    /// Its text, at most 2 MiB of UTF-8; of a page or a table, as much may be left of it.
    text: String,
    /// `text/markdown`, which is cut at its headings; `text/plain`; `text/html`, of which the text is kept, as Markdown; or
    /// `text/csv`, with commas, semicolons or tabs, of which each row is kept with the names that the first row has.
    #[graphql(default_with = "String::from(\"text/markdown\")")]
    mime_type: String,
    /// Where it comes from.
    source_url: Option<Url>,
    /// Words to find it by, at most 20 of at most 40 characters.
    tags: Option<Vec<String>>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// A new document, of a file.
#[derive(InputObject, Serialize)]
struct DocumentImportInput {
    /// The file: an asset of kind `DOCUMENT`, a PDF of at most 20 MiB or a text of at most 8 MiB. The document belongs where
    /// the file does.
    asset_id: ID,
    /// What it is called, 1 to 200 characters; what the PDF calls itself when absent.
    title: Option<String>,
    /// What a file of text is, as `documentCreate` takes it: `text/plain` when absent.
    mime_type: Option<String>,
    /// Where it comes from.
    source_url: Option<Url>,
    /// Words to find it by, at most 20 of at most 40 characters; the file's own when absent.
    tags: Option<Vec<String>>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a document; what is absent stays as it is.
#[derive(InputObject)]
struct DocumentUpdateInput {
    /// Which document.
    id: ID,
    /// What it is called, 1 to 200 characters.
    title: MaybeUndefined<String>,
    /// A new text makes a new version. It is written as the first one was; that of a PDF is Markdown.
    text: MaybeUndefined<String>,
    /// A file with the new text, instead of `text`: a PDF for a document that was one.
    asset_id: Option<ID>,
    /// Where it comes from; null takes it away.
    source_url: MaybeUndefined<Url>,
    /// All the words to find it by, at most 20 of at most 40 characters.
    tags: MaybeUndefined<Vec<String>>,
}

/// Which document.
#[derive(InputObject)]
struct DocumentDeleteInput {
    /// The document.
    id: ID,
}

/// What adding a document is answered with.
#[derive(Default, SimpleObject)]
pub struct DocumentCreatePayload {
    /// The document.
    document: Option<KnowledgeDocument>,
    /// The job that makes its passages; questions are answered from it once that has succeeded.
    job: Option<Job>,
    /// The organization, whose list of documents has changed.
    organization: Option<Organization>,
    /// The project, whose list of documents has changed; null when it is the whole organization's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What importing a document is answered with.
#[derive(Default, SimpleObject)]
pub struct DocumentImportPayload {
    /// The document.
    document: Option<KnowledgeDocument>,
    /// The job that makes its passages; questions are answered from it once that has succeeded.
    job: Option<Job>,
    /// The organization, whose list of documents has changed.
    organization: Option<Organization>,
    /// The project, whose list of documents has changed; null when it is the whole organization's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing a document is answered with.
#[derive(Default, SimpleObject)]
pub struct DocumentUpdatePayload {
    /// The document.
    document: Option<KnowledgeDocument>,
    /// The job that makes the newest version's passages.
    job: Option<Job>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting a document is answered with.
#[derive(Default, SimpleObject)]
pub struct DocumentDeletePayload {
    /// The id of what is gone.
    deleted_document_id: Option<ID>,
    /// The organization, whose list of documents has changed.
    organization: Option<Organization>,
    /// The project, whose list of documents has changed; null when it was the whole organization's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(DocumentCreatePayload, DocumentImportPayload, DocumentUpdatePayload, DocumentDeletePayload);

/// Managing documents.
#[derive(Default)]
pub struct DocumentMutation;

/// A project of the organization, for a payload.
async fn project_of(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
) -> Result<Option<Project>> {
    let Some(project) = project else { return Ok(None) };
    Ok(loader::project(ctx, organization, project).await?.map(Project::new))
}

/// The most bytes of a file of text: what is around the text of a page may be more than the text.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// A file of the request's organization, as far as the caller may see it.
async fn file(ctx: &Context<'_>, organization: OrganizationId, id: &ID) -> Result<Asset> {
    let missing = not_found_at("assetId");
    let id: AssetId = input_id("assetId", id)?;
    let found = loader::asset(ctx, organization, id).await.map_err(&missing)?;
    found.ok_or(Error::NotFound).map_err(missing)
}

/// Makes a text of a file. `mime_type` is what a file of text is said to be. Nothing of the database is held meanwhile.
async fn read_file(
    ctx: &Context<'_>,
    asset: &Asset,
    mime_type: Option<MimeType>,
) -> Result<(MimeType, Converted)> {
    let refuse = |code, message: &str| Err(Error::fault(Fault::at(code, "assetId", message)));
    if asset.kind != AssetKind::Document {
        let message = "The file is not of the kind `DOCUMENT`. Upload a PDF or a text as one.";
        return refuse(FaultCode::Invalid, message);
    }
    let found = MimeType::known(&asset.mime_type).unwrap_or(MimeType::Plain);
    let is_pdf = found == MimeType::Pdf;
    let most = if is_pdf { PDF_BYTES } else { FILE_BYTES };
    if u64::try_from(asset.bytes).is_ok_and(|bytes| bytes > most) {
        let message =
            "A document is made of a PDF of at most 20 MiB, or a text of at most 8 MiB. Split the file.";
        return refuse(FaultCode::TooLong, message);
    }
    if mime_type.is_some_and(|said| is_pdf != (said == MimeType::Pdf)) {
        let message = if is_pdf { "The file is a PDF." } else { "The file is no PDF." };
        let message =
            format!("{message} Send one that is like the document, or import it as a document of its own.");
        return refuse(FaultCode::Invalid, &message);
    }
    let door = ctx.door();
    let scope = door.scope(asset.organization).await?;
    door.lease().release().await;
    let bytes = assets::bytes(ctx.data_unchecked::<Arc<Storage>>().of(&scope), asset, most).await?;
    if is_pdf {
        // The work is another process's, of which there are few.
        if let Ok(turn) = ctx.data::<Turn>() {
            turn.give_up();
        }
        let converted = ctx.data_unchecked::<Arc<PdfReader>>().read("assetId", &bytes).await?;
        return Ok((found, converted));
    }
    let Ok(text) = String::from_utf8(bytes.into()) else {
        return refuse(FaultCode::Invalid, "The text is not UTF-8. Save it as UTF-8 and upload it again.");
    };
    let mime_type = mime_type.unwrap_or(found);
    Ok((mime_type, convert::text(mime_type, "assetId", text).await?))
}

/// What was added, for a payload.
struct Added {
    document: KnowledgeDocument,
    job: Option<Job>,
    organization: Organization,
    project: Option<Project>,
}

/// Adds a document. `missing` names the field of what may not be there.
async fn add(
    ctx: &Context<'_>,
    (organization, project): (OrganizationId, Option<ProjectId>),
    missing: &str,
    new: NewDocument,
    key: Option<&idempotency::Key>,
) -> Result<Added> {
    let mut tx = ctx
        .door()
        .write_within(organization, project, Action::DocumentCreate)
        .await
        .map_err(not_found_at(missing))?;
    let (document, made) = super::create(&mut tx, new, key).await?;
    if made {
        let target = Target::document(document.id).within(project);
        tx.commit(Record::with(target, Changes::made(&super::logged(&document)))).await?;
    } else {
        drop(tx);
    }
    Ok(Added {
        job: loader::job(ctx, organization, document.index_job).await?.map(Job::new),
        document: KnowledgeDocument::new(document),
        organization: Organization::lazy(organization),
        project: project_of(ctx, organization, project).await?,
    })
}

#[Object]
impl DocumentMutation {
    /// Adds a document; a job makes its passages, which takes a moment. The same content again, in the same place, is
    /// refused. Requires: `CONTENT_CREATE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `ALREADY_EXISTS`, `UNSAFE_URL`, `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::DocumentCreate, &input.organization_id)")]
    async fn document_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] input: DocumentCreateInput,
    ) -> async_graphql::Result<Option<DocumentCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project = match &input.project_id {
                None => None,
                Some(id) => Some(door.named_project("projectId", input_id("projectId", id)?)?),
            };
            let (mime_type, url) =
                (MimeType::parse(&input.mime_type)?, input.source_url.as_ref().map(|url| &url.0));
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            // Whoever may not is refused before anything is read.
            let field = if project.is_some() { "projectId" } else { "organizationId" };
            let may = door.write_within(organization, project, Action::DocumentCreate).await;
            drop(may.map_err(not_found_at(field))?);
            door.lease().release().await;
            let converted = convert::text(mime_type, "text", input.text.clone()).await?;
            let (title, tags) = (Some(input.title.as_str()), input.tags.as_deref().unwrap_or_default());
            let new = NewDocument::parse(project, title, ("text", &converted), mime_type, url, tags)?;
            let added = add(ctx, (organization, project), field, new, key.as_ref()).await?;
            Ok(DocumentCreatePayload {
                document: Some(added.document),
                job: added.job,
                organization: Some(added.organization),
                project: added.project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Adds a document of a file that was uploaded: a PDF, or a text. Its text is kept, a PDF's as Markdown with its headings
    /// and pages; the file stays as it is. A PDF that is locked, damaged or made of pictures is refused, with what to do.
    /// Requires: `CONTENT_CREATE`, and `CONTENT_READ` for the file.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `ALREADY_EXISTS`, `UNSAFE_URL`, `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::Here(Action::DocumentCreate, &input.asset_id)")]
    async fn document_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file.")] input: DocumentImportInput,
    ) -> async_graphql::Result<Option<DocumentImportPayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization = door.tenant().await.map_err(not_found_at("assetId"))?;
            let asset = file(ctx, organization, &input.asset_id).await?;
            let project = asset.project;
            let said = input.mime_type.as_deref().map(MimeType::parse).transpose()?;
            let url = input.source_url.as_ref().map(|url| &url.0);
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            // Whoever may not is refused before anything is read.
            let may = door.write_within(organization, project, Action::DocumentCreate).await;
            drop(may.map_err(not_found_at("assetId"))?);
            let (mime_type, converted) = read_file(ctx, &asset, said).await?;
            let (title, tags) = (input.title.as_deref(), input.tags.as_deref().unwrap_or(&asset.tags));
            let new = NewDocument::parse(project, title, ("assetId", &converted), mime_type, url, tags)?;
            let added = add(ctx, (organization, project), "assetId", new, key.as_ref()).await?;
            Ok(DocumentImportPayload {
                document: Some(added.document),
                job: added.job,
                organization: Some(added.organization),
                project: added.project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes a document. A new text makes a new version; until its passages are made, answers come from the one before.
    /// Requires: `CONTENT_UPDATE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `ALREADY_EXISTS`, `UNSAFE_URL`.
    #[graphql(guard = "Requires::Here(Action::DocumentUpdate, &input.id)")]
    async fn document_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: DocumentUpdateInput,
    ) -> async_graphql::Result<Option<DocumentUpdatePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let title = kept("title", input.title)?;
            let text = kept("text", input.text)?;
            let mut update = DocumentUpdate {
                title: title.map(|title| check::line("title", &title, 200)).transpose()?,
                text: None,
                source_url: cleared(input.source_url)
                    .map(|url| url.map(|url| check::url("sourceUrl", &url.0)).transpose())
                    .transpose()?,
                tags: kept("tags", input.tags)?.map(|tags| check::tags(&tags)).transpose()?,
            };
            if text.is_some() && input.asset_id.is_some() {
                let message = "Send `text` or `assetId`, and not both.";
                return Err(Error::fault(Fault::at(FaultCode::Invalid, "assetId", message)));
            }
            let door = ctx.door();
            let (organization, row) = place(ctx, id).await?;
            let (project, mime_type) = (row.project, MimeType::known(&row.mime_type));
            let open = || door.write_within(organization, project, Action::DocumentUpdate);
            if text.is_some() || input.asset_id.is_some() {
                // Whoever may not is refused before anything is read.
                drop(open().await.map_err(not_found_at("id"))?);
                door.lease().release().await;
            }
            if let Some(text) = text {
                let mime_type = mime_type.unwrap_or(MimeType::Markdown);
                update.text = Some(Text::parse("text", &convert::text(mime_type, "text", text).await?.text)?);
            } else if let Some(asset) = &input.asset_id {
                let asset = file(ctx, organization, asset).await?;
                if asset.project.is_some_and(|of| Some(of) != project) {
                    return Err(not_found_at("assetId")(Error::NotFound));
                }
                let (_, converted) = read_file(ctx, &asset, mime_type).await?;
                update.text = Some(Text::parse("assetId", &converted.text)?);
            }
            let mut tx = open().await.map_err(not_found_at("id"))?;
            let (before, after) = super::update(&mut tx, id, &update).await?;
            let changes = Changes::between(&super::logged(&before), &super::logged(&after));
            if changes.is_empty() {
                drop(tx);
            } else {
                tx.commit(Record::with(Target::document(id).within(project), changes)).await?;
            }
            Ok(DocumentUpdatePayload {
                job: loader::job(ctx, organization, after.index_job).await?.map(Job::new),
                document: Some(KnowledgeDocument::new(after)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes a document with all its versions. Answers keep the words that they quote. Requires: `CONTENT_DELETE`.
    /// Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::DocumentDelete, &input.id)")]
    async fn document_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which document.")] input: DocumentDeleteInput,
    ) -> async_graphql::Result<Option<DocumentDeletePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let (organization, row) = place(ctx, id).await?;
            let project = row.project;
            let mut tx = ctx
                .door()
                .write_within(organization, project, Action::DocumentDelete)
                .await
                .map_err(not_found_at("id"))?;
            let document = super::delete(&mut tx, id).await?;
            tx.announce(Topic::Job(organization, document.index_job));
            let target = Target::document(id).within(project);
            tx.commit(Record::with(target, Changes::removed(&super::logged(&document)))).await?;
            Ok(DocumentDeletePayload {
                deleted_document_id: Some(input.id.clone()),
                organization: Some(Organization::lazy(organization)),
                project: project_of(ctx, organization, project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// A document of the request's organization: its project decides who may touch it.
async fn place(ctx: &Context<'_>, id: DocumentId) -> Result<(OrganizationId, super::Document)> {
    let missing = not_found_at("id");
    let organization = ctx.door().tenant().await.map_err(&missing)?;
    let found = loader::document(ctx, organization, id).await.map_err(&missing)?;
    let row = found.ok_or(Error::NotFound).map_err(&missing)?;
    Ok((organization, row))
}
