//! Organizations, as the schema shows them.

use std::sync::{Mutex, PoisonError};

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use serde::Serialize;
use tokio::sync::OnceCell;

use super::{Founding, NewOrganization, OrganizationUpdate, Settings as Row, SettingsUpdate};
use crate::access::{Action, Permission, Role, Scope};
use crate::accounts::graphql::Account;
use crate::agents::graphql::{AgentOutput, OutputFilter};
use crate::agents::qa::conversations::graphql::QaConversation;
use crate::agents::workflow::templates::graphql::ContentWorkflowTemplate;
use crate::api_keys::graphql::ApiKey;
use crate::assets::graphql::{Asset, AssetFilter};
use crate::audit::graphql::{AuditEntry, AuditLogFilter};
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Result};
use crate::graphql::connection::{Connection, Counter, connect};
use crate::graphql::context::{
    ContextExt as _, Requires, input_id, not_found_at, page_args, read_id, visible,
};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::OrganizationId;
use crate::identity::graphql::{User, cleared, kept};
use crate::invitations::Status as InvitationStatus;
use crate::invitations::graphql::Invitation;
use crate::jobs::graphql::{Job, JobFilter};
use crate::knowledge::embeddings::graphql::Embeddings;
use crate::knowledge::graphql::{DocumentFilter, KnowledgeDocument};
use crate::knowledge::synonyms::graphql::SynonymGroup;
use crate::memberships::graphql::Membership;
use crate::projects::graphql::{self as projects, Project, ProjectFilter};
use crate::providers::graphql::{EngineRoute, Provider};
use crate::usage::graphql::OrganizationUsage;
use crate::usage::{Metric, PeriodKind};
use crate::webhooks::graphql::WebhookEndpoint;
use crate::{idempotency, input};

/// An organization: everything that a tenant owns hangs below it.
pub struct Organization {
    id: OrganizationId,
    row: OnceCell<super::Organization>,
    /// Its first projects, when they were read with it.
    projects: Mutex<Option<projects::Ahead>>,
}

impl Organization {
    /// One whose own fields are read when the first of them is selected.
    pub fn lazy(id: OrganizationId) -> Self {
        Self { id, row: OnceCell::new(), projects: Mutex::default() }
    }

    /// One that has been read.
    pub fn loaded(row: super::Organization) -> Self {
        Self { id: row.id, row: OnceCell::new_with(Some(row)), projects: Mutex::default() }
    }

    fn with_projects(self, ahead: projects::Ahead) -> Self {
        Self { projects: Mutex::new(Some(ahead)), ..self }
    }

    async fn row(&self, ctx: &Context<'_>) -> Result<&super::Organization> {
        self.row
            .get_or_try_init(|| async {
                let rows = ctx.door().call(self.id, Action::OrganizationRead, super::current()).await?;
                rows.into_iter().next().ok_or(Error::NotFound)?.try_into()
            })
            .await
    }
}

/// An organization: everything that a tenant owns hangs below it.
#[Object]
impl Organization {
    /// The organization's id.
    pub async fn id(&self) -> ID {
        ID(self.id.to_string())
    }

    /// Its name.
    async fn name(&self, ctx: &Context<'_>) -> async_graphql::Result<&str> {
        Ok(&self.row(ctx).await?.name)
    }

    /// Its slug, by which its own members name it; it need not be unique across the server.
    async fn slug(&self, ctx: &Context<'_>) -> async_graphql::Result<&str> {
        Ok(&self.row(ctx).await?.slug)
    }

    /// What it is about.
    async fn description(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<&str>> {
        Ok(self.row(ctx).await?.description.as_deref())
    }

    /// What it may use. Tiers are data: limits and features, not code.
    async fn tier(&self, ctx: &Context<'_>) -> async_graphql::Result<Tier> {
        let key = self.row(ctx).await?.tier.clone();
        let mut tx = ctx.door().read(self.id, Action::OrganizationRead).await?;
        Ok(Tier::new(super::tier(&mut tx, &key).await?))
    }

    /// What it has set.
    async fn settings(&self, ctx: &Context<'_>) -> async_graphql::Result<Settings> {
        Ok(Settings::of_organization(self.row(ctx).await?.settings.clone()))
    }

    /// When it was founded.
    async fn created_at(&self, ctx: &Context<'_>) -> async_graphql::Result<DateTime> {
        Ok(self.row(ctx).await?.created_at.into())
    }

    /// When it was last changed.
    async fn updated_at(&self, ctx: &Context<'_>) -> async_graphql::Result<DateTime> {
        Ok(self.row(ctx).await?.updated_at.into())
    }

    /// When it was deleted; its owners can restore it for 30 days from then.
    async fn deleted_at(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<DateTime>> {
        Ok(self.row(ctx).await?.deleted_at.map(Into::into))
    }

    /// What the caller may do in the organization as a whole. Drive buttons from this, not from role names.
    async fn viewer_permissions(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Permission>> {
        Ok(ctx.door().confirmed(self.id).await?.permissions().iter().collect())
    }

    /// The caller's role; null for an API key.
    async fn viewer_role(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Role>> {
        Ok(ctx.door().confirmed(self.id).await?.role())
    }

    /// Its projects, oldest first. Null without `PROJECT_READ`.
    async fn projects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which projects.")] filter: Option<ProjectFilter>,
    ) -> async_graphql::Result<Option<Connection<Project>>> {
        let args = page_args(first, after, last, before);
        let ahead = || self.projects.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(projects::connection(ctx, self.id, &args, filter, ahead).await?)
    }

    /// Its people, in the order in which they came. Null without `ORG_READ`, and for guests of single projects.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only people with this role.")] role: Option<Role>,
    ) -> async_graphql::Result<Option<Connection<Membership>>> {
        let door = ctx.door();
        let (organization, action) = (self.id, Action::MembershipList);
        let may = |scope: &Scope| scope.may(action.permission()) && !scope.is_limited();
        let Some(mut tx) = door.read_if(organization, action, may).await? else { return Ok(None) };
        let word = role.map_or("", Role::as_str);
        let seal = door.seal(&["members", &self.id.to_string(), word]);
        let page = page_args(first, after, last, before).read(&seal)?;
        let slice = crate::memberships::list(&mut tx, &page, role).await?;
        drop(tx);
        let count: Counter = Box::new(move |ctx| {
            Box::pin(async move {
                let mut tx = ctx.door().read(organization, Action::MembershipList).await?;
                crate::memberships::count(&mut tx, role).await.map(Some)
            })
        });
        Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), Membership::new)))
    }

    /// Its invitations, newest first. Null without `MEMBER_MANAGE`.
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those that stand here.")] status: Option<InvitationStatus>,
    ) -> async_graphql::Result<Option<Connection<Invitation>>> {
        let door = ctx.door();
        let (organization, action) = (self.id, Action::InvitationList);
        let may = |scope: &Scope| scope.may_throughout(action.permission());
        let Some(mut tx) = door.read_if(organization, action, may).await? else { return Ok(None) };
        let seal = door.seal(&["invitations", &self.id.to_string(), &format!("{status:?}")]);
        let page = page_args(first, after, last, before).read(&seal)?;
        let slice = crate::invitations::list(&mut tx, &page, status).await?;
        drop(tx);
        let count: Counter = Box::new(move |ctx| {
            Box::pin(async move {
                let mut tx = ctx.door().read(organization, Action::InvitationList).await?;
                crate::invitations::count(&mut tx, status).await.map(Some)
            })
        });
        Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), Invitation::new)))
    }

    /// Its API keys, newest first. Null without `API_KEY_MANAGE`.
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<ApiKey>>> {
        let door = ctx.door();
        let (organization, action) = (self.id, Action::ApiKeyList);
        let may = |scope: &Scope| scope.may_throughout(action.permission());
        let Some(mut tx) = door.read_if(organization, action, may).await? else { return Ok(None) };
        let seal = door.seal(&["apiKeys", &self.id.to_string()]);
        let page = page_args(first, after, last, before).read(&seal)?;
        let slice = crate::api_keys::list(&mut tx, &page).await?;
        drop(tx);
        let count: Counter = Box::new(move |ctx| {
            Box::pin(async move {
                let mut tx = ctx.door().read(organization, Action::ApiKeyList).await?;
                crate::api_keys::count(&mut tx).await.map(Some)
            })
        });
        Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), ApiKey::new)))
    }

    /// Where it has news sent to, by name. Null without `WEBHOOK_MANAGE`.
    async fn webhook_endpoints(
        &self,
        ctx: &Context<'_>,
    ) -> async_graphql::Result<Option<Vec<WebhookEndpoint>>> {
        Ok(crate::webhooks::graphql::list(ctx, self.id).await?)
    }

    /// The providers of models that it has set up, by name. Null without `AGENT_CONFIGURE` in the whole organization.
    async fn providers(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Vec<Provider>>> {
        Ok(crate::providers::graphql::list(ctx, self.id).await?)
    }

    /// The accounts of other services that it has connected, newest first: those for all projects, and those of the projects
    /// that the caller reaches. Null without `AGENT_CONFIGURE`.
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<Account>>> {
        Ok(crate::accounts::graphql::connection(ctx, self.id, &page_args(first, after, last, before)).await?)
    }

    /// The engines that its agents work with when a call names none, where their project has no route of its own. Null
    /// without `AGENT_CONFIGURE` in the whole organization.
    async fn engine_routes(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Vec<EngineRoute>>> {
        Ok(crate::providers::graphql::routes(ctx, self.id, None).await?)
    }

    /// The model that makes vectors of its passages, so that they are found by what they mean; null when none does, and
    /// without `AGENT_CONFIGURE` in the whole organization.
    async fn embeddings(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Embeddings>> {
        Ok(crate::knowledge::embeddings::graphql::current(ctx, self.id).await?)
    }

    /// Its own synonyms, by which questions find passages that say the same in other words. Null without `AGENT_CONFIGURE` in
    /// the whole organization.
    async fn synonyms(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Vec<SynonymGroup>>> {
        Ok(crate::knowledge::synonyms::graphql::current(ctx, self.id).await?)
    }

    /// Its documents and those of its projects, newest first. Null without `CONTENT_READ`.
    #[expect(clippy::too_many_arguments, reason = "a page's four, a place and a filter")]
    async fn documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those of this project.")] project_id: Option<ID>,
        #[graphql(desc = "Which documents.")] filter: Option<DocumentFilter>,
    ) -> async_graphql::Result<Option<Connection<KnowledgeDocument>>> {
        let args = page_args(first, after, last, before);
        let project = project_id.as_ref().map(|id| read_id("projectId", id)).transpose()?;
        Ok(crate::knowledge::graphql::connection(ctx, self.id, project, &args, filter).await?)
    }

    /// Its files and those of its projects, newest first. Null without `CONTENT_READ`.
    #[expect(clippy::too_many_arguments, reason = "a page's four, a place and a filter")]
    async fn assets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those of this project.")] project_id: Option<ID>,
        #[graphql(desc = "Which files.")] filter: Option<AssetFilter>,
    ) -> async_graphql::Result<Option<Connection<Asset>>> {
        let args = page_args(first, after, last, before);
        let project = project_id.as_ref().map(|id| read_id("projectId", id)).transpose()?;
        Ok(crate::assets::graphql::connection(ctx, self.id, project, &args, filter).await?)
    }

    /// What works for it, or has worked, newest first. Null without `CONTENT_READ`.
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which jobs.")] filter: Option<JobFilter>,
    ) -> async_graphql::Result<Option<Connection<Job>>> {
        let args = page_args(first, after, last, before);
        Ok(crate::jobs::graphql::connection(ctx, self.id, None, &args, filter).await?)
    }

    /// Its conversations and those of its projects, newest first. Null without `CONTENT_READ`.
    async fn qa_conversations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those of this project.")] project_id: Option<ID>,
    ) -> async_graphql::Result<Option<Connection<QaConversation>>> {
        let args = page_args(first, after, last, before);
        let project = project_id.as_ref().map(|id| read_id("projectId", id)).transpose()?;
        Ok(crate::agents::qa::conversations::graphql::connection(ctx, self.id, project, &args).await?)
    }

    /// Its own workflows and those of its projects, newest first. Null without `AGENT_USE`.
    async fn workflow_templates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<ContentWorkflowTemplate>>> {
        let args = page_args(first, after, last, before);
        Ok(crate::agents::workflow::templates::graphql::connection(ctx, self.id, None, &args).await?)
    }

    /// What its agents have made, newest first. Null without `CONTENT_READ`.
    async fn outputs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which outputs.")] filter: Option<OutputFilter>,
    ) -> async_graphql::Result<Option<Connection<AgentOutput>>> {
        let args = page_args(first, after, last, before);
        Ok(crate::agents::graphql::connection(ctx, self.id, None, &args, filter).await?)
    }

    /// What was done in it, newest first. Null without `AUDIT_READ`, not an error: one query serves every role.
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which entries.")] filter: Option<AuditLogFilter>,
    ) -> async_graphql::Result<Option<Connection<AuditEntry>>> {
        let args = page_args(first, after, last, before);
        let filter = || Ok(filter.map(AuditLogFilter::read).transpose()?.unwrap_or_default());
        let may = |scope: &Scope| scope.may_throughout(Action::AuditRead.permission());
        Ok(crate::audit::graphql::connection(ctx, self.id, &args, filter, may).await?)
    }

    /// What it uses, as far as it is measured. Null without `ORG_READ`, and for guests of single projects.
    async fn usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "PeriodKind::CurrentMonth", desc = "Which stretch of days, in UTC.")]
        period: PeriodKind,
    ) -> async_graphql::Result<Option<OrganizationUsage>> {
        Ok(crate::usage::graphql::of(ctx, self.id, crate::usage::Period::of(period, chrono::Utc::now()))
            .await?)
    }
}

/// What an organization may use.
#[derive(SimpleObject)]
pub struct Tier {
    /// Its key.
    key: String,
    /// Its name.
    name: String,
    /// What is limited; what is absent is not.
    limits: Vec<TierLimit>,
    /// What is switched on.
    features: Vec<String>,
}

/// One limit of a tier.
#[derive(SimpleObject)]
pub struct TierLimit {
    /// What is limited.
    metric: Metric,
    /// To how much; null when it is not.
    limit: Option<f64>,
}

impl Tier {
    fn new(row: super::Tier) -> Self {
        let limits = Metric::ALL
            .into_iter()
            .map(|metric| TierLimit { metric, limit: row.limits.get(metric.as_str()).copied() })
            .collect();
        Self { key: row.key, name: row.name, limits, features: row.features }
    }
}

/// Typed settings. A project inherits what it does not set.
#[derive(SimpleObject)]
pub struct Settings {
    /// The language that content is made in, as a BCP 47 tag.
    locale: String,
    /// The zone that times of day are meant in, as an IANA name.
    timezone: String,
    /// How the brand speaks: a model that rewrites posts is told of it.
    brand_voice: Option<String>,
    /// The brand's colours as `#RRGGBB`.
    brand_colors: Vec<String>,
    /// Hashtags that every post gets.
    default_hashtags: Vec<String>,
    /// What posts can call to.
    calls_to_action: Vec<String>,
    /// Words and phrases that nothing has which agents write, in any form.
    banned_words: Vec<String>,
    /// The fields that come from the organization.
    inherited: Vec<String>,
}

impl Settings {
    fn of_organization(own: Row) -> Self {
        Self {
            locale: own.locale.unwrap_or_else(|| "en".to_owned()),
            timezone: own.timezone.unwrap_or_else(|| "UTC".to_owned()),
            brand_voice: own.brand_voice,
            brand_colors: own.brand_colors.unwrap_or_default(),
            default_hashtags: own.default_hashtags.unwrap_or_default(),
            calls_to_action: own.calls_to_action.unwrap_or_default(),
            banned_words: own.banned_words.unwrap_or_default(),
            inherited: Vec::new(),
        }
    }

    /// A project's settings, with the rest from its organization.
    pub fn of_project(own: Row, organization: Row) -> Self {
        let missing = [
            ("locale", own.locale.is_none()),
            ("timezone", own.timezone.is_none()),
            ("brandVoice", own.brand_voice.is_none()),
            ("brandColors", own.brand_colors.is_none()),
            ("defaultHashtags", own.default_hashtags.is_none()),
            ("callsToAction", own.calls_to_action.is_none()),
            ("bannedWords", own.banned_words.is_none()),
        ];
        let inherited =
            missing.into_iter().filter(|(_, is)| *is).map(|(field, _)| field.to_owned()).collect();
        Self { inherited, ..Self::of_organization(own.or(organization)) }
    }
}

/// A change of settings: absent leaves unchanged, null clears.
#[derive(InputObject, Serialize)]
pub struct SettingsInput {
    /// The language that content is made in, such as `de` or `en-GB`.
    locale: MaybeUndefined<String>,
    /// The zone that times of day are meant in, such as `Europe/Berlin`.
    timezone: MaybeUndefined<String>,
    /// How the brand speaks, at most 2,000 characters: a model that rewrites posts is told of it.
    brand_voice: MaybeUndefined<String>,
    /// The brand's colours as `#RRGGBB`, at most 100.
    brand_colors: MaybeUndefined<Vec<String>>,
    /// Hashtags that every post gets, at most 100.
    default_hashtags: MaybeUndefined<Vec<String>>,
    /// What posts can call to, such as `Write to us.`, at most 20 of at most 150 characters. Of those in a post's language, each
    /// variant gets one.
    calls_to_action: MaybeUndefined<Vec<String>>,
    /// Words and phrases that nothing has which agents write, in any form, at most 100 of at most 100 characters: no post, no
    /// hashtag, no affirmation.
    banned_words: MaybeUndefined<Vec<String>>,
}

impl From<SettingsInput> for SettingsUpdate {
    fn from(input: SettingsInput) -> Self {
        Self {
            locale: cleared(input.locale),
            timezone: cleared(input.timezone),
            brand_voice: cleared(input.brand_voice),
            brand_colors: cleared(input.brand_colors),
            default_hashtags: cleared(input.default_hashtags),
            calls_to_action: cleared(input.calls_to_action),
            banned_words: cleared(input.banned_words),
        }
    }
}

/// A new organization.
#[derive(InputObject, Serialize)]
struct OrganizationCreateInput {
    /// 1 to 100 characters.
    name: String,
    /// 1 to 63 lower-case letters, digits and hyphens; made from the name when absent.
    slug: Option<String>,
    /// At most 2,000 characters.
    description: Option<String>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// A change of an organization: absent leaves unchanged, null clears.
#[derive(InputObject)]
struct OrganizationUpdateInput {
    /// The organization.
    id: ID,
    /// 1 to 100 characters; cannot be cleared.
    name: MaybeUndefined<String>,
    /// 1 to 63 lower-case letters, digits and hyphens; cannot be cleared.
    slug: MaybeUndefined<String>,
    /// At most 2,000 characters.
    description: MaybeUndefined<String>,
    /// The settings to change.
    settings: Option<SettingsInput>,
}

/// What to delete.
#[derive(InputObject)]
struct OrganizationDeleteInput {
    /// Soft: restorable for 30 days.
    id: ID,
    /// The organization's slug, so that it is not deleted by mistake.
    confirm_slug: String,
}

/// What to bring back.
#[derive(InputObject)]
struct OrganizationRestoreInput {
    /// A deleted organization of the caller's.
    id: ID,
}

/// What founding an organization is answered with.
#[derive(Default, SimpleObject)]
pub struct OrganizationCreatePayload {
    /// The organization.
    organization: Option<Organization>,
    /// The caller's membership in it.
    membership: Option<Membership>,
    /// The caller, whose list of memberships has changed.
    viewer: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing an organization is answered with.
#[derive(Default, SimpleObject)]
pub struct OrganizationUpdatePayload {
    /// The organization.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting an organization is answered with.
#[derive(Default, SimpleObject)]
pub struct OrganizationDeletePayload {
    /// The organization that was deleted.
    deleted_organization_id: Option<ID>,
    /// The caller.
    viewer: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What restoring an organization is answered with.
#[derive(Default, SimpleObject)]
pub struct OrganizationRestorePayload {
    /// The organization.
    organization: Option<Organization>,
    /// The caller, whose list of memberships has changed.
    viewer: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(
    OrganizationCreatePayload,
    OrganizationUpdatePayload,
    OrganizationDeletePayload,
    OrganizationRestorePayload,
);

/// Looking at organizations.
#[derive(Default)]
pub struct OrganizationQuery;

#[Object]
impl OrganizationQuery {
    /// Without arguments the request's organization; with id or slug that one. Null unless the caller belongs to it.
    /// Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "One of the caller's own.")] id: Option<ID>,
        #[graphql(desc = "The slug of one of the caller's own.")] slug: Option<String>,
    ) -> async_graphql::Result<Option<Organization>> {
        let door = ctx.door();
        let id = match (&id, &slug) {
            (Some(_), Some(_)) => {
                return Err(Error::fault(crate::error::Fault::new(
                    crate::error::FaultCode::Invalid,
                    "Give `id` or `slug`, not both.",
                ))
                .into());
            }
            (Some(id), None) => door.argued("id", read_id("id", id)?).await?,
            (None, Some(slug)) => match visible(door.by_slug(slug).await)? {
                Some(id) => door.argued("slug", id).await?,
                None => return Ok(None),
            },
            (None, None) => match visible(door.tenant().await)? {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        Ok(open(ctx, id).await?)
    }
}

/// An organization that the caller belongs to. Its row is read at once, unless no field of the row is selected: then the
/// first list below it verifies the scope.
///
/// # Errors
/// What the database says.
pub async fn open(ctx: &Context<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    const LISTS: [&str; 8] =
        ["id", "__typename", "projects", "members", "invitations", "apiKeys", "auditLog", "usage"];
    let field = ctx.field();
    if let Some(wanted) = projects::Wanted::of(&field) {
        let may = |scope: &Scope| {
            !scope.is_deleted()
                && scope.may_somewhere(Action::OrganizationRead.permission())
                && scope.may_somewhere(Action::ProjectRead.permission())
        };
        // Whoever may not see projects gets the organization the other way.
        if let Some(scope) = visible(ctx.door().scope(id).await)?
            && may(&scope)
        {
            let call = super::levels(wanted.sizes())?;
            let Some(rows) = visible(ctx.door().call(id, Action::OrganizationRead, call).await)? else {
                return Ok(None);
            };
            let levels = super::read_levels(rows, wanted.sizes())?;
            return Ok(
                levels.map(|(row, levels)| Organization::loaded(row).with_projects(wanted.read(levels)))
            );
        }
    }
    let only_lists = field.selection_set().all(|field| LISTS.contains(&field.name()));
    let some_list = field.selection_set().any(|field| !matches!(field.name(), "id" | "__typename"));
    if only_lists && some_list {
        // The lists open their own transaction, which says whether the organization is there.
        return Ok(visible(ctx.door().scope(id).await)?.map(|_| Organization::lazy(id)));
    }
    Ok(loader::organization(ctx, id).await?.map(Organization::loaded))
}

/// Founding, changing and deleting organizations.
#[derive(Default)]
pub struct OrganizationMutation;

#[Object]
impl OrganizationMutation {
    /// Founds an organization with the caller as its owner, and its default project. Requires: a signed-in person.
    /// Codes: `REQUIRED`, `INVALID`, `TOO_LONG`, `ALREADY_EXISTS`, `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::Person")]
    async fn organization_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The organization.")] input: OrganizationCreateInput,
    ) -> async_graphql::Result<Option<OrganizationCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let (user, _) = door.person()?;
            let mut new =
                NewOrganization::parse(&input.name, input.slug.as_deref(), input.description.as_deref())?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let tx = door.write_person().await?;
            let id = match super::prepare_founding(tx, &mut new, input.slug.is_some(), key.as_ref()).await? {
                Founding::Replayed(id) => id,
                Founding::New(tx) => {
                    let id = OrganizationId::generate();
                    let mut tx = tx.step_into(id, Action::OrganizationCreate, Role::Owner).await?;
                    let row = super::found(&mut tx, user, new).await?;
                    idempotency::claim(&mut tx, key.as_ref(), id.uuid()).await?;
                    let changes = Changes::made(&row.logged());
                    tx.commit(Record::with(Target::organization(id), changes)).await?;
                    id
                }
            };
            let row = loader::organization(ctx, id).await?.ok_or(Error::NotFound)?;
            let membership = {
                let mut tx = door.read(id, Action::OrganizationRead).await?;
                crate::memberships::find_by_user(&mut tx, user).await?
            };
            Ok(OrganizationCreatePayload {
                organization: Some(Organization::loaded(row)),
                membership: membership.map(Membership::new),
                viewer: crate::identity::graphql::user_node(ctx, user).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes an organization. Requires: `ORG_UPDATE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`.
    #[graphql(guard = "Requires::In(Action::OrganizationUpdate, &input.id)")]
    async fn organization_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: OrganizationUpdateInput,
    ) -> async_graphql::Result<Option<OrganizationUpdatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let id = door.named("id", input_id("id", &input.id)?).await?;
            let change = OrganizationUpdate {
                name: kept("name", input.name)?.map(|name| input::line("name", &name, 100)).transpose()?,
                slug: kept("slug", input.slug)?.map(|slug| input::slug("slug", &slug)).transpose()?,
                description: match cleared(input.description) {
                    None => None,
                    Some(text) => Some(input::paragraph("description", text.as_deref(), 2000)?),
                },
                settings: None,
            };
            let mut tx = door.write(id, Action::OrganizationUpdate).await.map_err(not_found_at("id"))?;
            let (row, changes) = super::update(&mut tx, change, input.settings.map(Into::into)).await?;
            tx.commit(Record::with(Target::organization(id), changes)).await?;
            Ok(OrganizationUpdatePayload {
                organization: Some(Organization::loaded(row)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes an organization: softly, its owners can restore it for 30 days. Everybody else loses access at once.
    /// Requires: `ORG_DELETE`. Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::In(Action::OrganizationDelete, &input.id)")]
    async fn organization_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to delete.")] input: OrganizationDeleteInput,
    ) -> async_graphql::Result<Option<OrganizationDeletePayload>> {
        let outcome = async {
            let door = ctx.door();
            let id = door.named("id", input_id("id", &input.id)?).await?;
            let mut tx = door.write(id, Action::OrganizationDelete).await.map_err(not_found_at("id"))?;
            let changes = super::delete(&mut tx, &input.confirm_slug).await?;
            tx.commit(Record::with(Target::organization(id), changes)).await?;
            let viewer = match door.user() {
                Some(user) => crate::identity::graphql::user_node(ctx, user).await?,
                None => None,
            };
            Ok(OrganizationDeletePayload {
                deleted_organization_id: Some(input.id),
                viewer,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Brings a deleted organization back. Requires: `ORG_DELETE`. Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`.
    #[graphql(guard = "Requires::In(Action::OrganizationRestore, &input.id)")]
    async fn organization_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to bring back.")] input: OrganizationRestoreInput,
    ) -> async_graphql::Result<Option<OrganizationRestorePayload>> {
        let outcome = async {
            let door = ctx.door();
            let id = door.named("id", input_id("id", &input.id)?).await?;
            let mut tx = door.write(id, Action::OrganizationRestore).await.map_err(not_found_at("id"))?;
            let (row, changes) = super::restore(&mut tx).await?;
            tx.commit(Record::with(Target::organization(id), changes)).await?;
            let viewer = match door.user() {
                Some(user) => crate::identity::graphql::user_node(ctx, user).await?,
                None => None,
            };
            Ok(OrganizationRestorePayload {
                organization: Some(Organization::loaded(row)),
                viewer,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
