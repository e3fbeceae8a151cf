//! Projects, as the schema shows them.

use std::sync::Arc;

use async_graphql::parser::types::{Field, SelectionSet};
use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SelectionField, SimpleObject, Value};
use serde::Serialize;
use tokio::sync::Mutex;

use super::{Levels, NewProject, ProjectUpdate};
use crate::access::{Action, Permission, Role, Scope};
use crate::agents::graphql::{AgentOutput, OutputFilter};
use crate::agents::qa::conversations::graphql::QaConversation;
use crate::agents::qa::graphql::OpenQuestion;
use crate::agents::workflow::templates::graphql::ContentWorkflowTemplate;
use crate::assets::graphql::{Asset, AssetFilter};
use crate::audit::graphql::AuditEntry;
use crate::db::page::{Page, PageArgs, Slice};
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Result};
use crate::graphql::connection::{Connection, Counter, Cursor, Edge, Node, connect};
use crate::graphql::context::{
    ContextExt as _, Requires, in_argument, input_id, not_found_at, page_args, read_id, visible,
};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::plain::Text;
use crate::graphql::scalars::DateTime;
use crate::id::{OrganizationId, ProjectId, ProjectMemberId, UserId};
use crate::identity::User as UserRow;
use crate::identity::graphql::{User, cleared, kept, plain_user};
use crate::jobs::graphql::{Job, JobFilter};
use crate::knowledge::graphql::{DocumentFilter, KnowledgeDocument};
use crate::organizations::graphql::{Organization, Settings, SettingsInput};
use crate::providers::graphql::EngineRoute;
use crate::schedules::graphql::Schedule;
use crate::{idempotency, input};

impl Node for Project {
    fn plain(&self, field: &Field, out: &mut Text) -> Option<()> {
        let row = &self.row;
        match field.name.node.as_str() {
            "id" => out.put(&row.id),
            "name" => out.put(&row.name),
            "slug" => out.put(&row.slug),
            "description" => out.put(&row.description),
            "createdAt" => out.put(&DateTime::from(row.created_at)),
            "updatedAt" => out.put(&DateTime::from(row.updated_at)),
            "archivedAt" => out.put(&row.archived_at.map(DateTime::from)),
            // The only such field of the operation, so its arguments are those that it was read for.
            "members" => self.people.as_ref()?.plain(row.id, &field.selection_set.node, out),
            _ => None,
        }
    }
}

/// The people of a page of projects, fetched for all of them when the first one asks.
#[derive(Debug, Default)]
struct Siblings {
    projects: Vec<ProjectId>,
    fetched: Mutex<Option<(String, Arc<Fetched>)>>,
}

#[derive(Debug)]
struct Fetched {
    members: Vec<super::ProjectMember>,
    users: std::collections::HashMap<UserId, UserRow>,
}

/// A project: where content is made.
pub struct Project {
    row: super::Project,
    siblings: Arc<Siblings>,
    /// Its first people, when they were read ahead and the caller may see them.
    people: Option<People>,
}

/// The first people of the projects of a page.
#[derive(Debug, Clone)]
struct People {
    fetched: Arc<Fetched>,
    /// How many of each the caller gets.
    size: usize,
}

impl People {
    /// Writes the connection of a project's people, when only plain fields of its nodes are selected.
    fn plain(&self, project: ProjectId, set: &SelectionSet, out: &mut Text) -> Option<()> {
        let Fetched { members, users } = &*self.fetched;
        out.object("ProjectMemberConnection", set, |field, out| {
            if field.name.node.as_str() != "nodes" {
                return None;
            }
            let set = &field.selection_set.node;
            let own = members.iter().filter(|member| member.project == project).take(self.size);
            out.list(own, |row, out| {
                let user = users.get(&row.user);
                out.object("ProjectMember", set, |field, out| plain_member(row, Some(user), field, out))
            })
        })
    }
}

impl Project {
    /// The project of a row.
    pub fn new(row: super::Project) -> Self {
        let siblings = Siblings { projects: vec![row.id], ..Siblings::default() };
        Self { row, siblings: Arc::new(siblings), people: None }
    }

    async fn may(&self, ctx: &Context<'_>, permission: Permission) -> Result<bool> {
        ctx.door().may_in(self.row.organization, self.row.id, permission).await
    }

    /// The members of every project of the page, in one statement, with their people in a second one.
    async fn fetch_members(
        &self,
        ctx: &Context<'_>,
        args: &PageArgs,
        page: &crate::db::page::Page<uuid::Uuid>,
        with_users: bool,
    ) -> Result<Arc<Fetched>> {
        // A cursor belongs to one project; without one the page is the same for all.
        let alone = args.after.is_some() || args.before.is_some();
        let key = members_key(args.first, args.last, with_users);
        let mut fetched = self.siblings.fetched.lock().await;
        if !alone
            && let Some((known, rows)) = fetched.as_ref()
            && *known == key
        {
            return Ok(Arc::clone(rows));
        }
        let own = [self.row.id];
        let projects = if alone { &own[..] } else { &self.siblings.projects };
        let mut tx = ctx.door().read(self.row.organization, Action::ProjectRead).await?;
        let members = super::members(&mut tx, self.row.organization, projects, page).await?;
        let mut users = std::collections::HashMap::new();
        if with_users {
            let mut ids: Vec<UserId> = members.iter().map(|member| member.user).collect();
            ids.sort_unstable();
            ids.dedup();
            let rows = crate::identity::find_many(&mut tx, &ids).await?;
            users.extend(rows.into_iter().map(|row| (row.id(), row)));
        }
        let rows = Arc::new(Fetched { members, users });
        if !alone {
            *fetched = Some((key, Arc::clone(&rows)));
        }
        Ok(rows)
    }
}

/// A project: where content is made.
#[Object]
impl Project {
    /// The project's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// Whose.
    async fn organization(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Organization>> {
        Ok(loader::owner(ctx, self.row.organization).await?.map(Organization::loaded))
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Its slug, unique in the organization.
    async fn slug(&self) -> &str {
        &self.row.slug
    }

    /// What it is about.
    async fn description(&self) -> Option<&str> {
        self.row.description.as_deref()
    }

    /// What it has set, and what it inherits.
    async fn settings(&self, ctx: &Context<'_>) -> async_graphql::Result<Settings> {
        // Whoever sees the project sees what it inherits, also without `ORG_READ`.
        let mut tx = ctx.door().read(self.row.organization, Action::ProjectRead).await?;
        let found = crate::organizations::find_many(&mut tx, &[self.row.organization]).await?.pop();
        let organization = found.ok_or(Error::NotFound)?;
        Ok(Settings::of_project(self.row.settings.clone(), organization.settings))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.row.updated_at.into()
    }

    /// When it was archived.
    async fn archived_at(&self) -> Option<DateTime> {
        self.row.archived_at.map(Into::into)
    }

    /// What the caller may do in this project. Drive buttons from this, not from role names.
    async fn viewer_permissions(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Permission>> {
        let scope = ctx.door().confirmed(self.row.organization).await?;
        Ok(scope.permissions_in(self.row.id).iter().collect())
    }

    /// The caller's role in this project; null for an API key.
    async fn viewer_role(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Role>> {
        Ok(ctx.door().confirmed(self.row.organization).await?.role_in(self.row.id))
    }

    /// The engines that its agents work with when a call names none, as far as they are its own. Null without
    /// `AGENT_CONFIGURE`.
    async fn engine_routes(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Vec<EngineRoute>>> {
        let (organization, project) = (self.row.organization, self.row.id);
        Ok(crate::providers::graphql::routes(ctx, organization, Some(project)).await?)
    }

    /// Everybody who has a role in it, their own or the organization's. Null without `PROJECT_READ`.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<ProjectMember>>> {
        if !self.may(ctx, Permission::ProjectRead).await? {
            return Ok(None);
        }
        let seal = ctx.door().seal(&["projectMembers", &self.row.id.to_string()]);
        let args = page_args(first, after, last, before);
        let page = args.read(&seal)?;
        let look = ctx.look_ahead();
        let with_users = look.field("nodes").field("user").exists()
            || look.field("edges").field("node").field("user").exists();
        let fetched = self.fetch_members(ctx, &args, &page, with_users).await?;
        let own = fetched.members.iter().filter(|member| member.project == self.row.id).copied().collect();
        let (organization, project) = (self.row.organization, self.row.id);
        let count: Counter = Box::new(move |ctx| {
            Box::pin(async move {
                let mut tx = ctx.door().read(organization, Action::ProjectRead).await?;
                super::count_members(&mut tx, project).await.map(Some)
            })
        });
        let node = |row: super::ProjectMember| ProjectMember {
            user: with_users.then(|| fetched.users.get(&row.user).cloned()),
            row,
        };
        Ok(Some(connect(page.slice(own), &seal, count, |row| row.user.uuid(), node)))
    }

    /// Its own documents, newest first; those of the whole organization stand there. Null without `CONTENT_READ`.
    async fn documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which documents.")] filter: Option<DocumentFilter>,
    ) -> async_graphql::Result<Option<Connection<KnowledgeDocument>>> {
        let args = page_args(first, after, last, before);
        let (organization, project) = (self.row.organization, Some(self.row.id));
        Ok(crate::knowledge::graphql::connection(ctx, organization, project, &args, filter).await?)
    }

    /// Its own files, newest first; those of the whole organization stand there. Null without `CONTENT_READ`.
    async fn assets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which files.")] filter: Option<AssetFilter>,
    ) -> async_graphql::Result<Option<Connection<Asset>>> {
        let args = page_args(first, after, last, before);
        let (organization, project) = (self.row.organization, Some(self.row.id));
        Ok(crate::assets::graphql::connection(ctx, organization, project, &args, filter).await?)
    }

    /// What works in it, or has worked, newest first. Null without `CONTENT_READ`.
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
        let (organization, project) = (self.row.organization, Some(self.row.id));
        Ok(crate::jobs::graphql::connection(ctx, organization, project, &args, filter).await?)
    }

    /// What agents have made in it, newest first. Null without `CONTENT_READ`.
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
        let (organization, project) = (self.row.organization, Some(self.row.id));
        Ok(crate::agents::graphql::connection(ctx, organization, project, &args, filter).await?)
    }

    /// Its conversations, newest first. Null without `CONTENT_READ`.
    async fn qa_conversations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<QaConversation>>> {
        let args = page_args(first, after, last, before);
        let (organization, project) = (self.row.organization, Some(self.row.id));
        Ok(crate::agents::qa::conversations::graphql::connection(ctx, organization, project, &args).await?)
    }

    /// Its own workflows, newest first; those of the whole organization stand there. Null without `AGENT_USE`.
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
        let (organization, project) = (self.row.organization, Some(self.row.id));
        Ok(crate::agents::workflow::templates::graphql::connection(ctx, organization, project, &args).await?)
    }

    /// What it has done at set times, newest first. Null without `AGENT_USE`.
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<Schedule>>> {
        let args = page_args(first, after, last, before);
        Ok(crate::schedules::graphql::connection(ctx, self.row.organization, self.row.id, &args).await?)
    }

    /// What it was asked and its documents do not answer, at most the 50 most frequent questions. A document that answers
    /// one closes it when it is asked again. Null without `CONTENT_READ`.
    async fn open_questions(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Also those whose last answer people have rated with so many stars on average, or fewer: 1 to 5."
        )]
        max_stars: Option<i32>,
    ) -> async_graphql::Result<Option<Vec<OpenQuestion>>> {
        let (organization, project) = (self.row.organization, self.row.id);
        Ok(crate::agents::qa::graphql::open_questions(ctx, organization, project, max_stars).await?)
    }

    /// What was done in it, newest first. Null without `AUDIT_READ`.
    async fn activity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<AuditEntry>>> {
        let args = page_args(first, after, last, before);
        let (organization, project) = (self.row.organization, self.row.id);
        let filter =
            || Ok(crate::audit::Filter { project: Some(project.uuid()), ..crate::audit::Filter::default() });
        let may = |scope: &Scope| scope.permissions_in(project).contains(Permission::AuditRead);
        Ok(crate::audit::graphql::connection(ctx, organization, &args, filter, may).await?)
    }
}

/// One person's effective role in one project; the id is of this pair, never the membership's.
pub struct ProjectMember {
    row: super::ProjectMember,
    /// The person, when they were fetched with the page.
    user: Option<Option<UserRow>>,
}

/// One person's effective role in one project; the id is of this pair, never the membership's.
#[Object]
impl ProjectMember {
    /// The pair's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id().to_string())
    }

    /// Who.
    async fn user(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<User>> {
        let organization = self.row.organization;
        let row = match &self.user {
            Some(row) => row.clone(),
            None => loader::user(ctx, organization, self.row.user).await?,
        };
        Ok(row.map(|row| User::in_organization(row, organization)))
    }

    /// Where.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        Ok(loader::project(ctx, self.row.organization, self.row.project).await?.map(Project::new))
    }

    /// As what.
    async fn role(&self) -> Role {
        self.row.role
    }

    /// The organization that the role comes from; null when it was set for this project.
    async fn inherited_from(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Organization>> {
        if !self.row.inherited {
            return Ok(None);
        }
        Ok(loader::owner(ctx, self.row.organization).await?.map(Organization::loaded))
    }
}

impl Node for ProjectMember {
    fn plain(&self, field: &Field, out: &mut Text) -> Option<()> {
        plain_member(&self.row, self.user.as_ref().map(Option::as_ref), field, out)
    }
}

/// Writes a plain field of somebody's role in a project; `user` is who, when they were fetched.
fn plain_member(
    row: &super::ProjectMember,
    user: Option<Option<&UserRow>>,
    field: &Field,
    out: &mut Text,
) -> Option<()> {
    match field.name.node.as_str() {
        "id" => out.put(&row.id().to_string()),
        "role" => out.put(row.role.as_str()),
        "user" => match user? {
            None => out.put(&()),
            Some(user) => {
                out.object("User", &field.selection_set.node, |field, out| plain_user(user, field, out))
            }
        },
        _ => None,
    }
}

/// Which projects.
#[derive(InputObject)]
pub struct ProjectFilter {
    /// Part of the name or slug, at most 100 characters.
    search: Option<String>,
    /// Only archived ones, or only others.
    archived: Option<bool>,
}

/// The first page of an organization's projects, read together with the organization.
#[derive(Debug)]
pub struct Ahead {
    first: Option<i32>,
    slice: Slice<super::Project>,
    members: Option<AheadMembers>,
}

/// The first people of those projects.
#[derive(Debug)]
struct AheadMembers {
    /// The key of [`members_key`].
    key: String,
    fetched: Arc<Fetched>,
    /// How many of each the caller gets.
    size: usize,
}

/// What of a selection on an organization can be read together with it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    first: Option<i32>,
    projects: Page<uuid::Uuid>,
    /// People of each project, with their names.
    members: Option<(Option<i32>, Page<uuid::Uuid>)>,
}

/// The value of `first` when there is no other argument, and its page. It looks further where `pageInfo` is selected, or
/// where the same rows are `shared` with a selection that may ask for it.
fn first_page(field: &SelectionField<'_>, shared: bool) -> Option<(Option<i32>, Page<uuid::Uuid>)> {
    let mut first = None;
    for (name, value) in field.arguments().ok()? {
        match (name.as_str(), value) {
            ("first", Value::Number(number)) => first = Some(i32::try_from(number.as_i64()?).ok()?),
            (_, Value::Null) => {}
            _ => return None,
        }
    }
    let size = first.unwrap_or(crate::db::page::DEFAULT_PAGE);
    let looks_further = shared || field.selection_set().any(|field| field.name() == "pageInfo");
    (0..=crate::db::page::MAX_PAGE)
        .contains(&size)
        .then(|| (first, Page::first(i64::from(size)).looking_further(looks_further)))
}

/// What is selected below the fields, under this name.
fn below<'a>(fields: &[SelectionField<'a>], name: &str) -> Vec<SelectionField<'a>> {
    let mut found = Vec::new();
    for field in fields {
        found.extend(field.selection_set().filter(|field| field.name() == name));
    }
    found
}

impl Wanted {
    /// Looks at the selection on an organization: one list of projects from its start, and in it one list of people with
    /// their names from its start. Anything else is read when its resolver runs.
    pub fn of(organization: &SelectionField<'_>) -> Option<Self> {
        let lists = below(std::slice::from_ref(organization), "projects");
        let [list] = lists.as_slice() else { return None };
        let (first, projects) = first_page(list, false)?;
        let of_each = below(&below(&lists, "nodes"), "members");
        // The same projects, with lists of their own.
        let by_edges = !below(&lists, "edges").is_empty();
        let members = match of_each.as_slice() {
            [people] if !below(&below(&of_each, "nodes"), "user").is_empty() => first_page(people, by_edges),
            _ => None,
        };
        Some(Self { first, projects, members })
    }

    /// How many projects a statement fetches, and how many people of each.
    pub fn sizes(&self) -> (i64, i64) {
        (self.projects.fetch(), self.members.map_or(0, |(_, page)| page.fetch()))
    }

    /// What was read.
    pub fn read(&self, levels: Levels) -> Ahead {
        let Levels { projects, members, users } = levels;
        let users = users.into_iter().map(|row| (row.id(), row)).collect();
        let fetched = Arc::new(Fetched { members, users });
        let members = self.members.map(|(first, page)| AheadMembers {
            key: members_key(first, None, true),
            fetched,
            size: usize::try_from(page.size).unwrap_or(0),
        });
        Ahead { first: self.first, slice: self.projects.slice(projects), members }
    }
}

fn members_key(first: Option<i32>, last: Option<i32>, with_users: bool) -> String {
    format!("{first:?} {last:?} {with_users}")
}

/// A page of an organization's projects; none without `PROJECT_READ`.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    args: &PageArgs,
    filter: Option<ProjectFilter>,
    ahead: impl FnOnce() -> Option<Ahead>,
) -> Result<Option<Connection<Project>>> {
    let may = |scope: &Scope| scope.may_somewhere(Action::ProjectRead.permission());
    let ahead = match (args, &filter) {
        (PageArgs { last: None, after: None, before: None, .. }, None) => {
            ahead().filter(|ahead| ahead.first == args.first)
        }
        _ => None,
    };
    let mut tx = None;
    if ahead.is_some() {
        // What was read ahead has verified the scope.
        if !ctx.door().asks(organization, may).await? {
            return Ok(None);
        }
    } else {
        tx = ctx.door().read_if(organization, Action::ProjectRead, may).await?;
        if tx.is_none() {
            return Ok(None);
        }
    }
    let filter = match filter {
        Some(filter) => super::ProjectFilter::parse(filter.search.as_deref(), filter.archived)
            .map_err(in_argument("filter"))?,
        None => super::ProjectFilter::default(),
    };
    let word = serde_json::to_string(&filter).map_err(Error::internal)?;
    let seal = ctx.door().seal(&["projects", &organization.to_string(), &word]);
    let page = args.read(&seal)?;
    let scope = ctx.door().scope(organization).await?;
    let (slice, members) = match (ahead, tx) {
        (Some(ahead), _) => (ahead.slice, ahead.members),
        (None, Some(mut tx)) => (super::list(&mut tx, &page, &filter).await?, None),
        (None, None) => return Ok(None),
    };
    let people =
        members.as_ref().map(|ahead| People { fetched: Arc::clone(&ahead.fetched), size: ahead.size });
    let siblings = Arc::new(Siblings {
        projects: slice.items.iter().map(|row| row.id).collect(),
        fetched: Mutex::new(members.map(|ahead| (ahead.key, ahead.fetched))),
    });
    let count: Counter = Box::new(move |ctx| {
        let filter = filter.clone();
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::ProjectRead).await?;
            super::count(&mut tx, &filter).await.map(Some)
        })
    });
    let node = |row: super::Project| {
        let readable = |_: &&People| scope.permissions_in(row.id).contains(Permission::ProjectRead);
        Project { people: people.as_ref().filter(readable).cloned(), row, siblings: Arc::clone(&siblings) }
    };
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), node)))
}

/// A new project.
#[derive(InputObject, Serialize)]
struct ProjectCreateInput {
    /// Where.
    organization_id: ID,
    /// 1 to 100 characters.
    name: String,
    /// 1 to 63 lower-case letters, digits and hyphens, unique in the organization; made from the name when absent.
    slug: Option<String>,
    /// At most 2,000 characters.
    description: Option<String>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// A change of a project: absent leaves unchanged, null clears.
#[derive(InputObject)]
struct ProjectUpdateInput {
    /// The project.
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

/// Which project, and whether it is to be archived.
#[derive(InputObject)]
struct ProjectArchiveInput {
    /// The project.
    id: ID,
    /// False brings it back.
    #[graphql(default = true)]
    archived: bool,
}

/// Which project.
#[derive(InputObject)]
struct ProjectDeleteInput {
    /// The project.
    id: ID,
}

/// Somebody's role in a project.
#[derive(InputObject)]
struct ProjectMemberSetInput {
    /// The project.
    project_id: ID,
    /// Somebody who belongs to the organization.
    user_id: ID,
    /// Null: back to the inherited role; shows a guest out.
    role: Option<Role>,
}

/// What creating a project is answered with.
#[derive(Default, SimpleObject)]
pub struct ProjectCreatePayload {
    /// The project.
    project: Option<Project>,
    /// The project as an edge of the organization's unfiltered list.
    project_edge: Option<Edge<Project>>,
    /// The organization, whose list of projects has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing a project is answered with.
#[derive(Default, SimpleObject)]
pub struct ProjectUpdatePayload {
    /// The project.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What archiving a project is answered with.
#[derive(Default, SimpleObject)]
pub struct ProjectArchivePayload {
    /// The project.
    project: Option<Project>,
    /// The organization, whose lists of projects have changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting a project is answered with.
#[derive(Default, SimpleObject)]
pub struct ProjectDeletePayload {
    /// The project that is no more.
    deleted_project_id: Option<ID>,
    /// The organization, whose list of projects has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What setting a role is answered with.
#[derive(Default, SimpleObject)]
pub struct ProjectMemberSetPayload {
    /// The person's role now; null when they have none any more.
    project_member: Option<ProjectMember>,
    /// The project.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(
    ProjectCreatePayload,
    ProjectUpdatePayload,
    ProjectArchivePayload,
    ProjectDeletePayload,
    ProjectMemberSetPayload,
);

/// Looking at projects.
#[derive(Default)]
pub struct ProjectQuery;

#[Object]
impl ProjectQuery {
    /// A project of the request's organization; null when it is missing or invisible. Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn project(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The project.")] id: ID,
    ) -> async_graphql::Result<Option<Project>> {
        Ok(node(ctx, read_id("id", &id)?).await?)
    }
}

/// Creating, changing and deleting projects.
#[derive(Default)]
pub struct ProjectMutation;

/// Makes the project: in one statement when nothing is unusual, else through the general door, which says what is.
async fn create(
    ctx: &Context<'_>,
    organization: OrganizationId,
    new: &NewProject,
    key: Option<&idempotency::Key>,
) -> Result<super::Project> {
    let door = ctx.door();
    let missing = not_found_at("organizationId");
    let record = Record::with(Target::project(new.id), Changes::made(&new.logged()));
    if key.is_none() {
        let call = super::create_at_once(new)?;
        let rows = door.call_write(organization, Action::ProjectCreate, record.clone(), call).await;
        if let Some(row) = rows.map_err(&missing)?.into_iter().next() {
            return row.try_into();
        }
    }
    let mut tx = door.write(organization, Action::ProjectCreate).await.map_err(&missing)?;
    let (project, is_new) = super::create(&mut tx, new, key).await?;
    if is_new {
        let changes = Changes::made(&project.logged());
        tx.commit(Record::with(Target::project(project.id), changes)).await?;
    }
    Ok(project)
}

#[Object]
impl ProjectMutation {
    /// Creates a project. Requires: `PROJECT_CREATE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `ALREADY_EXISTS`, `QUOTA_EXCEEDED`,
    /// `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::ProjectCreate, &input.organization_id)")]
    async fn project_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The project.")] input: ProjectCreateInput,
    ) -> async_graphql::Result<Option<ProjectCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let new = NewProject::parse(&input.name, input.slug.as_deref(), input.description.as_deref())?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let row = create(ctx, organization, &new, key.as_ref()).await?;
            let everything =
                serde_json::to_string(&super::ProjectFilter::default()).map_err(Error::internal)?;
            let seal = door.seal(&["projects", &organization.to_string(), &everything]);
            let cursor = Cursor::new(&seal, row.id.uuid());
            Ok(ProjectCreatePayload {
                project_edge: Some(Edge::new(cursor, Project::new(row.clone()))),
                project: Some(Project::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes a project of the request's organization. Requires: `PROJECT_UPDATE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `ALREADY_EXISTS`.
    #[graphql(guard = "Requires::Here(Action::ProjectUpdate, &input.id)")]
    async fn project_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: ProjectUpdateInput,
    ) -> async_graphql::Result<Option<ProjectUpdatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let id = door.named_project("id", input_id("id", &input.id)?)?;
            let change = ProjectUpdate {
                name: kept("name", input.name)?.map(|name| input::line("name", &name, 100)).transpose()?,
                slug: kept("slug", input.slug)?.map(|slug| input::slug("slug", &slug)).transpose()?,
                description: match cleared(input.description) {
                    None => None,
                    Some(text) => Some(input::paragraph("description", text.as_deref(), 2000)?),
                },
                settings: None,
            };
            let organization = door.tenant().await.map_err(not_found_at("id"))?;
            let mut tx =
                door.write_in(organization, id, Action::ProjectUpdate).await.map_err(not_found_at("id"))?;
            let (row, changes) = super::update(&mut tx, id, change, input.settings.map(Into::into)).await?;
            tx.commit(Record::with(Target::project(id), changes)).await?;
            Ok(ProjectUpdatePayload { project: Some(Project::new(row)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Archives a project, or brings it back. Requires: `PROJECT_UPDATE`.
    /// Codes: `NOT_FOUND`, `INVALID`, `QUOTA_EXCEEDED`.
    #[graphql(guard = "Requires::Here(Action::ProjectArchive, &input.id)")]
    async fn project_archive(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which project.")] input: ProjectArchiveInput,
    ) -> async_graphql::Result<Option<ProjectArchivePayload>> {
        let outcome = async {
            let door = ctx.door();
            let id = door.named_project("id", input_id("id", &input.id)?)?;
            let organization = door.tenant().await.map_err(not_found_at("id"))?;
            let mut tx =
                door.write_in(organization, id, Action::ProjectArchive).await.map_err(not_found_at("id"))?;
            let (row, changes) = super::archive(&mut tx, id, input.archived).await?;
            tx.commit(Record::with(Target::project(id), changes)).await?;
            Ok(ProjectArchivePayload {
                project: Some(Project::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes a project with everything in it; there is no way back. Requires: `PROJECT_DELETE`.
    /// Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::ProjectDelete, &input.id)")]
    async fn project_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which project.")] input: ProjectDeleteInput,
    ) -> async_graphql::Result<Option<ProjectDeletePayload>> {
        let outcome = async {
            let door = ctx.door();
            let id = door.named_project("id", input_id("id", &input.id)?)?;
            let organization = door.tenant().await.map_err(not_found_at("id"))?;
            let mut tx =
                door.write_in(organization, id, Action::ProjectDelete).await.map_err(not_found_at("id"))?;
            let changes = super::delete(&mut tx, id).await?;
            tx.commit(Record::with(Target::project(id), changes)).await?;
            Ok(ProjectDeletePayload {
                deleted_project_id: Some(input.id),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Sets somebody's role in a project; it replaces the one that they inherit. Requires: `MEMBER_MANAGE`.
    /// Codes: `NOT_FOUND`, `INVALID`, `SELF_ACTION`.
    #[graphql(guard = "Requires::Here(Action::ProjectMemberSet, &input.project_id)")]
    async fn project_member_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose role, and where.")] input: ProjectMemberSetInput,
    ) -> async_graphql::Result<Option<ProjectMemberSetPayload>> {
        let outcome = async {
            let door = ctx.door();
            let project = door.named_project("projectId", input_id("projectId", &input.project_id)?)?;
            let user = input_id("userId", &input.user_id)?;
            let missing = not_found_at("projectId");
            let organization = door.tenant().await.map_err(&missing)?;
            let mut tx =
                door.write_in(organization, project, Action::ProjectMemberSet).await.map_err(&missing)?;
            let scope = tx.scope()?;
            let (row, changes) = super::change_member(&mut tx, &scope, project, user, input.role).await?;
            let target = Target::project_member(ProjectMemberId { project, user });
            tx.commit(Record::with(target, changes)).await?;
            Ok(ProjectMemberSetPayload {
                project_member: row.map(|row| ProjectMember { row, user: None }),
                project: node(ctx, project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// A project of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: ProjectId) -> Result<Option<Project>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    Ok(visible(loader::project(ctx, organization, id).await)?.flatten().map(Project::new))
}

/// One person's role in a project of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn member_node(ctx: &Context<'_>, id: ProjectMemberId) -> Result<Option<ProjectMember>> {
    let door = ctx.door();
    let Some(organization) = visible(door.tenant().await)? else { return Ok(None) };
    if !visible(door.may_in(organization, id.project, Permission::ProjectRead).await)?.unwrap_or(false) {
        return Ok(None);
    }
    let mut tx = door.read(organization, Action::ProjectRead).await?;
    Ok(super::member(&mut tx, organization, id).await?.map(|row| ProjectMember { row, user: None }))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::graphql::connection::tests::assert_same;

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 120_000).unwrap()
    }

    fn projects() -> Vec<Project> {
        let row = super::super::Project {
            organization: OrganizationId::from(uuid::Uuid::from_u128(1)),
            id: ProjectId::from(uuid::Uuid::from_u128(2)),
            name: "A \\ \"project\"".to_owned(),
            slug: "a".to_owned(),
            description: None,
            settings: crate::organizations::Settings::default(),
            created_at: time(1_790_000_000),
            updated_at: time(1_790_000_001),
            archived_at: None,
        };
        let other = super::super::Project {
            description: Some("It\nis".to_owned()),
            archived_at: Some(time(0)),
            ..row.clone()
        };
        vec![Project::new(row), Project::new(other)]
    }

    fn members() -> Vec<ProjectMember> {
        let row = super::super::ProjectMember {
            organization: OrganizationId::from(uuid::Uuid::from_u128(1)),
            project: ProjectId::from(uuid::Uuid::from_u128(2)),
            user: UserId::from(uuid::Uuid::from_u128(3)),
            role: Role::Viewer,
            inherited: false,
        };
        let user = UserRow {
            id: uuid::Uuid::from_u128(3),
            email: "a@example.com".to_owned(),
            name: "A".to_owned(),
            avatar_url: Some("https://example.com/a b.png".to_owned()),
            email_verified_at: Some(time(1)),
            created_at: time(2),
        };
        let plain = UserRow { avatar_url: None, email_verified_at: None, ..user.clone() };
        [Some(user), Some(plain), None]
            .map(|user| ProjectMember { row, user: Some(user) })
            .into_iter()
            .collect()
    }

    #[tokio::test]
    async fn plain_fields_are_what_the_resolvers_say() {
        let plain = ["id", "name", "slug", "description", "createdAt", "updatedAt", "archivedAt"];
        assert_same(projects, &plain, &[]).await;
        let plain = [
            "id",
            "role",
            "user { id }",
            "user { avatarUrl name }",
            "user { createdAt again: name emailVerified __typename }",
        ];
        assert_same(members, &plain, &["inheritedFrom { id }", "user { ... { id } }"]).await;
    }
}
