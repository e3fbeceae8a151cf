//! Conversations, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::Conversation;
use crate::access::{Action, Permission, Scope};
use crate::agents::graphql::{AgentOutput, outputs};
use crate::agents::qa::graphql::QaAnswer;
use crate::audit::graphql::Actor;
use crate::db::page::PageArgs;
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Result};
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{ConversationId, OrganizationId, ProjectId};
use crate::idempotency;
use crate::jobs::graphql::actor;
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;

/// Questions that go on from one another, with their answers.
pub struct QaConversation {
    row: Conversation,
}

impl QaConversation {
    /// The conversation of a row.
    pub const fn new(row: Conversation) -> Self {
        Self { row }
    }
}

impl Node for QaConversation {}

/// Questions that go on from one another, with their answers.
#[Object]
impl QaConversation {
    /// The conversation's id; `qaAsk` takes it.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// The project that it belongs to; null when it is the whole organization's.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        Ok(project_of(ctx, self.row.organization, self.row.project).await?)
    }

    /// Who began it; null when they have left or are not visible to the caller.
    async fn created_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Actor>> {
        Ok(actor(ctx, self.row.organization, self.row.created_by, self.row.created_by_key).await?)
    }

    /// When it was begun.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// Its answers, with their questions, in the order in which they were given; the last 100.
    async fn answers(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<QaAnswer>> {
        let ids = {
            let mut tx = ctx.door().read(self.row.organization, Action::ContentRead).await?;
            super::answers(&mut tx, self.row.id).await?
        };
        let found = outputs(ctx, self.row.organization, &ids).await?;
        let mut answers: Vec<QaAnswer> = found
            .into_iter()
            .filter_map(|output| match output {
                AgentOutput::QaAnswer(answer) => Some(answer),
                _ => None,
            })
            .collect();
        answers.sort_by_key(|answer| answer.common().id);
        Ok(answers)
    }
}

async fn project_of(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
) -> Result<Option<Project>> {
    let Some(project) = project else { return Ok(None) };
    Ok(loader::project(ctx, organization, project).await?.map(Project::new))
}

/// A page of an organization's conversations, or of one project's; none when the caller may not read content there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
    args: &PageArgs,
) -> Result<Option<Connection<QaConversation>>> {
    let door = ctx.door();
    let may = |scope: &Scope| scope.may_list(project, Permission::ContentRead);
    let Some(mut tx) = door.read_if(organization, Action::ContentRead, may).await? else { return Ok(None) };
    let place = project.map(|project| project.to_string()).unwrap_or_default();
    let seal = door.seal(&["conversations", &organization.to_string(), &place]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page, project).await?;
    drop(tx);
    let count: Counter = Box::new(move |ctx| {
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::ContentRead).await?;
            super::count(&mut tx, project).await.map(Some)
        })
    });
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), QaConversation::new)))
}

/// A conversation of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: ConversationId) -> Result<Option<QaConversation>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    Ok(visible(loader::conversation(ctx, organization, id).await)?.flatten().map(QaConversation::new))
}

/// Where a conversation is begun.
#[derive(InputObject, Serialize)]
struct QaConversationCreateInput {
    /// Whose documents it is about.
    organization_id: ID,
    /// The project that it belongs to; it belongs to the whole organization when absent.
    project_id: Option<ID>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// Which conversation.
#[derive(InputObject)]
struct QaConversationDeleteInput {
    /// The conversation.
    id: ID,
}

/// What beginning a conversation is answered with.
#[derive(Default, SimpleObject)]
pub struct QaConversationCreatePayload {
    /// The conversation.
    conversation: Option<QaConversation>,
    /// The organization, whose list of conversations has changed.
    organization: Option<Organization>,
    /// The project, whose list of conversations has changed; null when it is the whole organization's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting a conversation is answered with.
#[derive(Default, SimpleObject)]
pub struct QaConversationDeletePayload {
    /// The id of what is gone.
    deleted_qa_conversation_id: Option<ID>,
    /// The organization, whose list of conversations has changed.
    organization: Option<Organization>,
    /// The project, whose list of conversations has changed; null when it was the whole organization's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(QaConversationCreatePayload, QaConversationDeletePayload);

/// Managing conversations.
#[derive(Default)]
pub struct ConversationMutation;

#[Object]
impl ConversationMutation {
    /// Begins a conversation, in which `qaAsk` understands questions that go on from those before. Requires: `AGENT_USE`.
    /// Codes: `NOT_FOUND`, `INVALID`, `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::ConversationCreate, &input.organization_id)")]
    async fn qa_conversation_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Where.")] input: QaConversationCreateInput,
    ) -> async_graphql::Result<Option<QaConversationCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project = match &input.project_id {
                None => None,
                Some(id) => Some(door.named_project("projectId", input_id("projectId", id)?)?),
            };
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write_within(organization, project, Action::ConversationCreate)
                .await
                .map_err(not_found_at(if project.is_some() { "projectId" } else { "organizationId" }))?;
            let (conversation, made) = super::create(&mut tx, project, key.as_ref()).await?;
            if made {
                let target = Target::conversation(conversation.id).within(project);
                tx.commit(Record::with(target, Changes::made(&super::logged(&conversation)))).await?;
            } else {
                drop(tx);
            }
            Ok(QaConversationCreatePayload {
                conversation: Some(QaConversation::new(conversation)),
                organization: Some(Organization::lazy(organization)),
                project: project_of(ctx, organization, project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes a conversation with its answers. Their jobs stay. Requires: `CONTENT_DELETE`.
    /// Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::ConversationDelete, &input.id)")]
    async fn qa_conversation_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which conversation.")] input: QaConversationDeleteInput,
    ) -> async_graphql::Result<Option<QaConversationDeletePayload>> {
        let outcome = async {
            let missing = not_found_at("id");
            let id: ConversationId = input_id("id", &input.id)?;
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let found = loader::conversation(ctx, organization, id).await.map_err(&missing)?;
            let project = found.ok_or(Error::NotFound).map_err(&missing)?.project;
            let mut tx = door
                .write_within(organization, project, Action::ConversationDelete)
                .await
                .map_err(&missing)?;
            let conversation = super::delete(&mut tx, id).await?;
            let target = Target::conversation(id).within(project);
            tx.commit(Record::with(target, Changes::removed(&super::logged(&conversation)))).await?;
            Ok(QaConversationDeletePayload {
                deleted_qa_conversation_id: Some(input.id.clone()),
                organization: Some(Organization::lazy(organization)),
                project: project_of(ctx, organization, project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
