//! Any entity by its id, and what a credential may still spend.

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Object, SimpleObject};
use chrono::{DateTime as Time, Utc};

use crate::accounts::graphql::{self as accounts, Account};
use crate::agents::affirmations::graphql::AffirmationSet;
use crate::agents::graphql as agents;
use crate::agents::hashtags::graphql::HashtagSet;
use crate::agents::instagram::graphql::Publication;
use crate::agents::posts::graphql::Post;
use crate::agents::qa::conversations::graphql::{self as conversations, QaConversation};
use crate::agents::qa::graphql::QaAnswer;
use crate::agents::strategy::graphql::ContentStrategy;
use crate::agents::videos::graphql::Video;
use crate::agents::visuals::graphql::VisualPost;
use crate::agents::workflow::graphql::ContentWorkflowRun;
use crate::agents::workflow::templates::graphql::{self as templates, ContentWorkflowTemplate};
use crate::api_keys::graphql::{self as api_keys, ApiKey};
use crate::assets::graphql::{self as assets, Asset};
use crate::audit::graphql::{self as audit, AuditEntry};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::context::{ContextExt as _, RequestContext, Requires, read_id, visible};
use crate::graphql::scalars::DateTime;
use crate::id::{
    AccountId, ApiKeyId, AssetId, AuditEntryId, ConversationId, DocumentId, InvitationId, JobId,
    MembershipId, OrganizationId, OrganizationUsageId, PeriodId, ProjectId, ProjectMemberId, ProviderId,
    ScheduleId, SecurityEventId, SessionId, UserId, WebhookEndpointId, WireId, WorkflowTemplateId,
};
use crate::identity::graphql::{self as identity, SecurityEvent, Session, User};
use crate::invitations::graphql::{self as invitations, Invitation};
use crate::jobs::graphql::{self as jobs, Job};
use crate::knowledge::graphql::{self as knowledge, KnowledgeDocument};
use crate::memberships::graphql::{self as memberships, Membership};
use crate::organizations::graphql::Organization;
use crate::periods::graphql::{self as periods, Period};
use crate::projects::graphql::{self as projects, Project, ProjectMember};
use crate::providers::graphql::{self as providers, Provider};
use crate::schedules::graphql::{self as schedules, Schedule};
use crate::usage::graphql::{self as usage, OrganizationUsage};
use crate::webhooks::graphql::{self as webhooks, WebhookEndpoint};

/// Anything with an id that can be read again by it.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The object's id."))]
pub enum Node {
    /// A person.
    User(User),
    /// A signed-in device.
    Session(Session),
    /// An event of a person's security log.
    SecurityEvent(SecurityEvent),
    /// An organization.
    Organization(Organization),
    /// A membership.
    Membership(Membership),
    /// An invitation.
    Invitation(Invitation),
    /// A project.
    Project(Project),
    /// A role in a project.
    ProjectMember(ProjectMember),
    /// An API key.
    ApiKey(ApiKey),
    /// An audit entry.
    AuditEntry(AuditEntry),
    /// An organization's usage.
    OrganizationUsage(OrganizationUsage),
    /// A job.
    Job(Job),
    /// A document.
    KnowledgeDocument(KnowledgeDocument),
    /// A file.
    Asset(Asset),
    /// An answer to a question.
    QaAnswer(QaAnswer),
    /// Questions that go on from one another.
    QaConversation(QaConversation),
    /// A period.
    Period(Period),
    /// A provider of models.
    Provider(Provider),
    /// A set of affirmations.
    AffirmationSet(AffirmationSet),
    /// A set of hashtags.
    HashtagSet(HashtagSet),
    /// A post.
    Post(Post),
    /// A content strategy.
    ContentStrategy(ContentStrategy),
    /// A connected account.
    Account(Account),
    /// Something published.
    Publication(Publication),
    /// Pictures with text.
    VisualPost(VisualPost),
    /// A video.
    Video(Video),
    /// A run of a workflow.
    ContentWorkflowRun(ContentWorkflowRun),
    /// A workflow that an organization has made for itself.
    ContentWorkflowTemplate(ContentWorkflowTemplate),
    /// Where an organization has news sent to.
    WebhookEndpoint(WebhookEndpoint),
    /// What a project has done at set times.
    Schedule(Schedule),
}

/// What an organization, or an address without a credential, may spend in a minute, and what is left.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct RateLimit {
    /// What this request costs.
    cost: i32,
    /// Points in a minute.
    limit: i32,
    /// Points left in this minute, after this request.
    remaining: i32,
    /// When all of them are there again.
    reset_at: DateTime,
}

async fn find(ctx: &Context<'_>, field: &str, id: &ID) -> Result<Option<Node>> {
    let node = match id.split('_').next().unwrap_or_default() {
        UserId::PREFIX => identity::user_node(ctx, read_id(field, id)?).await?.map(Node::User),
        SessionId::PREFIX => identity::session_node(ctx, read_id(field, id)?).await?.map(Node::Session),
        SecurityEventId::PREFIX => {
            identity::security_event_node(ctx, read_id(field, id)?).await?.map(Node::SecurityEvent)
        }
        OrganizationId::PREFIX => {
            let id: OrganizationId = read_id(field, id)?;
            if ctx.door().person().is_err() && visible(ctx.door().tenant().await)? != Some(id) {
                return Ok(None);
            }
            let row = super::loader::organization(ctx, id).await?;
            row.map(|row| Node::Organization(Organization::loaded(row)))
        }
        MembershipId::PREFIX => memberships::node(ctx, read_id(field, id)?).await?.map(Node::Membership),
        InvitationId::PREFIX => invitations::node(ctx, read_id(field, id)?).await?.map(Node::Invitation),
        ProjectId::PREFIX => projects::node(ctx, read_id(field, id)?).await?.map(Node::Project),
        ProjectMemberId::PREFIX => {
            projects::member_node(ctx, read_id(field, id)?).await?.map(Node::ProjectMember)
        }
        ApiKeyId::PREFIX => api_keys::node(ctx, read_id(field, id)?).await?.map(Node::ApiKey),
        AuditEntryId::PREFIX => audit::node(ctx, read_id(field, id)?).await?.map(Node::AuditEntry),
        OrganizationUsageId::PREFIX => {
            usage::node(ctx, read_id(field, id)?).await?.map(Node::OrganizationUsage)
        }
        JobId::PREFIX => jobs::node(ctx, read_id(field, id)?).await?.map(Node::Job),
        DocumentId::PREFIX => knowledge::node(ctx, read_id(field, id)?).await?.map(Node::KnowledgeDocument),
        ConversationId::PREFIX => {
            conversations::node(ctx, read_id(field, id)?).await?.map(Node::QaConversation)
        }
        AssetId::PREFIX => assets::node(ctx, read_id(field, id)?).await?.map(Node::Asset),
        PeriodId::PREFIX => periods::node(ctx, read_id(field, id)?).await?.map(Node::Period),
        ProviderId::PREFIX => providers::node(ctx, read_id(field, id)?).await?.map(Node::Provider),
        AccountId::PREFIX => accounts::node(ctx, read_id(field, id)?).await?.map(Node::Account),
        WorkflowTemplateId::PREFIX => {
            templates::node(ctx, read_id(field, id)?).await?.map(Node::ContentWorkflowTemplate)
        }
        WebhookEndpointId::PREFIX => {
            webhooks::node(ctx, read_id(field, id)?).await?.map(Node::WebhookEndpoint)
        }
        ScheduleId::PREFIX => schedules::node(ctx, read_id(field, id)?).await?.map(Node::Schedule),
        _ if agents::is_output(id) => agents::node(ctx, field, id).await?.map(Node::from),
        _ => {
            return Err(Error::fault(Fault::of(
                FaultCode::Invalid,
                field,
                format!("`{field}` is not an id: it has no known prefix."),
            )));
        }
    };
    Ok(node)
}

/// What every client asks.
#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Any entity of the request's organization, or of the caller's own (themselves, sessions, security events,
    /// organizations). Null when missing or invisible. Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The object's id.")] id: ID,
    ) -> async_graphql::Result<Option<Node>> {
        Ok(find(ctx, "id", &id).await?)
    }

    /// At most 100 entities in the order asked, null where missing or invisible. Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The objects' ids.")] ids: Vec<ID>,
    ) -> async_graphql::Result<Option<Vec<Option<Node>>>> {
        if ids.len() > 100 {
            return Err(
                Error::fault(Fault::of(FaultCode::TooLong, "ids", "`ids` has at most 100 items.")).into()
            );
        }
        let found = futures_util::future::join_all(ids.iter().map(|id| find(ctx, "ids", id))).await;
        Ok(Some(found.into_iter().collect::<Result<_>>()?))
    }

    /// The budget of this credential, or of the address when there is none. Needs no credential.
    async fn rate_limit(&self, ctx: &Context<'_>) -> async_graphql::Result<RateLimit> {
        let budget = ctx.data_unchecked::<Arc<RequestContext>>().budget.get();
        let budget =
            budget.ok_or_else(|| Error::internal(anyhow::anyhow!("a request ran without a charge")))?;
        let whole = |points: u64| i32::try_from(points).unwrap_or(i32::MAX);
        Ok(RateLimit {
            cost: whole(budget.cost),
            limit: whole(budget.limit),
            remaining: whole(budget.remaining),
            reset_at: budget.resets_at.into(),
        })
    }
}

/// What the request was charged, for `rateLimit`.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// What it costs.
    pub cost: u64,
    /// Points in a minute.
    pub limit: u64,
    /// Points left.
    pub remaining: u64,
    /// When all of it is there again.
    pub resets_at: Time<Utc>,
}
