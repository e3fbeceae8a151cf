//! Documents, as the schema shows them.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use serde::Serialize;

use super::{DocumentUpdate, IndexState, NewDocument, Text};
use crate::access::{Action, Permission, Scope};
use crate::audit::graphql::Actor;
use crate::db::page::PageArgs;
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Result};
use crate::events::Topic;
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Url};
use crate::id::{DocumentId, OrganizationId, ProjectId};
use crate::identity::graphql::{cleared, kept};
use crate::jobs::graphql::{Job, actor};
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;
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

    /// What kind of text it is: `text/markdown` or `text/plain`.
    async fn mime_type(&self) -> &str {
        &self.row.mime_type
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

/// A page of an organization's documents, or of one project's; none when the caller may not read content there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
    args: &PageArgs,
) -> Result<Option<Connection<KnowledgeDocument>>> {
    let door = ctx.door();
    let may = |scope: &Scope| scope.may_list(project, Permission::ContentRead);
    let Some(mut tx) = door.read_if(organization, Action::ContentRead, may).await? else { return Ok(None) };
    let place = project.map(|project| project.to_string()).unwrap_or_default();
    let seal = door.seal(&["documents", &organization.to_string(), &place]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page, project).await?;
    drop(tx);
    let count: Counter = Box::new(move |ctx| {
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::ContentRead).await?;
            super::count(&mut tx, project).await.map(Some)
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
    /// What it is called, 1 to 200 characters.
    title: String,
    /// Its text, at most 2 MiB of UTF-8.
    text: String,
    /// `text/markdown`, which is cut at its headings, or `text/plain`.
    #[graphql(default_with = "String::from(\"text/markdown\")")]
    mime_type: String,
    /// Where it comes from.
    source_url: Option<Url>,
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
    /// A new text makes a new version.
    text: MaybeUndefined<String>,
    /// Where it comes from; null takes it away.
    source_url: MaybeUndefined<Url>,
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

payloads!(DocumentCreatePayload, DocumentUpdatePayload, DocumentDeletePayload);

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
            let url = input.source_url.as_ref().map(|url| &url.0);
            let new = NewDocument::parse(project, &input.title, &input.text, &input.mime_type, url)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write_within(organization, project, Action::DocumentCreate)
                .await
                .map_err(not_found_at(if project.is_some() { "projectId" } else { "organizationId" }))?;
            let (document, made) = super::create(&mut tx, new, key.as_ref()).await?;
            if made {
                let target = Target::document(document.id).within(project);
                tx.commit(Record::with(target, Changes::made(&super::logged(&document)))).await?;
            } else {
                drop(tx);
            }
            Ok(DocumentCreatePayload {
                job: loader::job(ctx, organization, document.index_job).await?.map(Job::new),
                document: Some(KnowledgeDocument::new(document)),
                organization: Some(Organization::lazy(organization)),
                project: project_of(ctx, organization, project).await?,
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
            let update = DocumentUpdate {
                title: title.map(|title| check::line("title", &title, 200)).transpose()?,
                text: text.map(|text| Text::parse(&text)).transpose()?,
                source_url: cleared(input.source_url)
                    .map(|url| url.map(|url| check::url("sourceUrl", &url.0)).transpose())
                    .transpose()?,
            };
            let (organization, project) = place(ctx, id).await?;
            let mut tx = ctx
                .door()
                .write_within(organization, project, Action::DocumentUpdate)
                .await
                .map_err(not_found_at("id"))?;
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
            let (organization, project) = place(ctx, id).await?;
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

/// Where a document of the request's organization belongs: its project decides who may touch it.
async fn place(ctx: &Context<'_>, id: DocumentId) -> Result<(OrganizationId, Option<ProjectId>)> {
    let missing = not_found_at("id");
    let organization = ctx.door().tenant().await.map_err(&missing)?;
    let found = loader::document(ctx, organization, id).await.map_err(&missing)?;
    let row = found.ok_or(Error::NotFound).map_err(&missing)?;
    Ok((organization, row.project))
}
