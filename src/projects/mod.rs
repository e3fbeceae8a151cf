//! Projects, and people's roles in them.

pub mod graphql;
pub(crate) mod store;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::access::{Role, Scope};
use crate::db::page::{Page, Slice};
use crate::db::{Call, Changes, ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{OrganizationId, ProjectId, ProjectMemberId, UserId};
use crate::identity::User;
use crate::organizations::{Settings, SettingsUpdate};
use crate::usage::{self, Metric};
use crate::{idempotency, input, memberships, organizations};

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Its slug, unique in the organization.
    pub slug: String,
    /// What it is about.
    pub description: Option<String>,
    /// What it has set; the rest is inherited.
    pub settings: Settings,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was archived.
    pub archived_at: Option<DateTime<Utc>>,
}

/// What the audit log keeps of a project.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logged<'a> {
    name: &'a str,
    slug: &'a str,
    description: Option<&'a str>,
    settings: &'a Settings,
    archived: bool,
}

impl Project {
    /// What the audit log keeps.
    pub fn logged(&self) -> Logged<'_> {
        Logged {
            name: &self.name,
            slug: &self.slug,
            description: self.description.as_deref(),
            settings: &self.settings,
            archived: self.archived_at.is_some(),
        }
    }
}

/// One person's effective role in one project.
#[derive(Debug, Clone, Copy)]
pub struct ProjectMember {
    /// Whose project.
    pub organization: OrganizationId,
    /// Which.
    pub project: ProjectId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Whether the role comes from the organization.
    pub inherited: bool,
}

impl ProjectMember {
    /// The id of the pair.
    pub const fn id(&self) -> ProjectMemberId {
        ProjectMemberId { project: self.project, user: self.user }
    }
}

/// The projects of an organization and their people, level by level.
#[derive(Debug)]
pub struct Levels {
    /// The projects, in order.
    pub projects: Vec<Project>,
    /// Their people, in order within each project.
    pub members: Vec<ProjectMember>,
    /// Everybody who is among them, once.
    pub users: Vec<User>,
}

/// Which projects.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ProjectFilter {
    /// Part of the name or slug.
    pub search: Option<String>,
    /// Only archived ones, or only others.
    pub archived: Option<bool>,
}

impl ProjectFilter {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(search: Option<&str>, archived: Option<bool>) -> Result<Self> {
        Ok(Self { search: input::paragraph("search", search, 100)?, archived })
    }
}

/// A new project, checked.
#[derive(Debug)]
pub struct NewProject {
    /// Its id, made by the server.
    pub id: ProjectId,
    name: String,
    slug: String,
    slug_wanted: bool,
    description: Option<String>,
}

impl NewProject {
    /// Checks what a caller wrote. Without a slug one is made from the name.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(name: &str, slug: Option<&str>, description: Option<&str>) -> Result<Self> {
        let name = input::line("name", name, 100)?;
        let wanted = slug.map(|slug| input::slug("slug", slug)).transpose()?;
        Ok(Self {
            id: ProjectId::generate(),
            slug_wanted: wanted.is_some(),
            slug: wanted.unwrap_or_else(|| input::slug_from(&name)),
            name,
            description: input::paragraph("description", description, 2000)?,
        })
    }

    /// What the audit log keeps.
    pub fn logged(&self) -> serde_json::Value {
        json!({"name": self.name, "slug": self.slug, "description": self.description})
    }
}

/// A change of a project: absent leaves unchanged.
#[derive(Debug, Default)]
pub struct ProjectUpdate {
    /// A new name.
    pub name: Option<String>,
    /// A new slug.
    pub slug: Option<String>,
    /// A new description; an inner none clears it.
    pub description: Option<Option<String>>,
    /// The settings as they shall be.
    pub settings: Option<Settings>,
}

/// The usual creation, through the one-statement door: nothing comes back when anything is unusual.
///
/// # Errors
/// When a value cannot be encoded.
pub(crate) fn create_at_once(new: &NewProject) -> Result<Call<store::Row>> {
    store::create(new)
}

/// Makes a project, or finds the one that the same call made before.
///
/// # Errors
/// `ALREADY_EXISTS` for a slug that was asked for; `QUOTA_EXCEEDED`.
pub async fn create(
    tx: &mut WriteTx<'_>,
    new: &NewProject,
    key: Option<&idempotency::Key>,
) -> Result<(Project, bool)> {
    if let Some(earlier) = idempotency::claim(tx, key, new.id.uuid()).await? {
        let project = find(tx, earlier.into()).await?.ok_or(Error::NotFound)?;
        return Ok((project, false));
    }
    usage::reserve(tx, Metric::Projects, 1).await?;
    let mut slug = new.slug.clone();
    let mut number = 2;
    while !store::insert(tx, new, &slug).await? {
        if new.slug_wanted {
            return Err(Error::fault(Fault::at(
                FaultCode::AlreadyExists,
                "slug",
                "Another project of this organization has this slug. Choose another one.",
            )));
        }
        slug = format!("{}-{number}", new.slug);
        number += 1;
    }
    let project = find(tx, new.id).await?.ok_or(Error::NotFound)?;
    Ok((project, true))
}

/// Makes the project that every organization begins with.
///
/// # Errors
/// What the database says.
pub async fn insert_default(tx: &mut WriteTx<'_>) -> Result<()> {
    let new = NewProject::parse("Default", None, None)?;
    store::insert(tx, &new, "default").await?;
    Ok(())
}

/// One page of projects.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: &ProjectFilter) -> Result<Slice<Project>> {
    store::list(tx, page, filter).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, filter: &ProjectFilter) -> Result<i64> {
    store::count(tx, filter).await
}

/// Projects by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[ProjectId]) -> Result<Vec<Project>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::find_many(tx, &ids).await
}

/// One project.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: ProjectId) -> Result<Option<Project>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// What a project has set, with the rest from its organization.
///
/// # Errors
/// [`Error::NotFound`], or what the database says.
pub async fn settings(tx: &mut ReadTx<'_>, id: ProjectId) -> Result<Settings> {
    let project = find(tx, id).await?.ok_or(Error::NotFound)?;
    let organization = organizations::get(tx, project.organization).await?;
    Ok(project.settings.or(organization.settings))
}

/// The project with this slug.
///
/// # Errors
/// What the database says.
pub async fn id_of_slug(tx: &mut ReadTx<'_>, slug: &str) -> Result<Option<ProjectId>> {
    store::id_of_slug(tx, slug).await
}

async fn locked(tx: &mut WriteTx<'_>, id: ProjectId) -> Result<Project> {
    store::lock(tx, id).await?.ok_or_else(|| not_found("id"))
}

/// Changes a project.
///
/// # Errors
/// `NOT_FOUND`; `ALREADY_EXISTS` for the slug.
pub async fn update(
    tx: &mut WriteTx<'_>,
    id: ProjectId,
    change: ProjectUpdate,
    settings: Option<SettingsUpdate>,
) -> Result<(Project, Changes)> {
    let before = locked(tx, id).await?;
    let settings = settings.map(|update| before.settings.with(update)).transpose()?;
    store::update(tx, id, &ProjectUpdate { settings, ..change }).await?;
    changed(tx, &before).await
}

async fn changed(tx: &mut WriteTx<'_>, before: &Project) -> Result<(Project, Changes)> {
    let after = find(tx, before.id).await?.ok_or(Error::NotFound)?;
    let changes = Changes::between(&before.logged(), &after.logged());
    Ok((after, changes))
}

/// Archives a project, or brings it back.
///
/// # Errors
/// `NOT_FOUND`; `QUOTA_EXCEEDED` when there is no room for it any more.
pub async fn archive(tx: &mut WriteTx<'_>, id: ProjectId, archived: bool) -> Result<(Project, Changes)> {
    let before = locked(tx, id).await?;
    if before.archived_at.is_some() && !archived {
        usage::reserve(tx, Metric::Projects, 1).await?;
    }
    store::set_archived(tx, id, archived).await?;
    changed(tx, &before).await
}

/// Deletes a project with everything in it.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, id: ProjectId) -> Result<Changes> {
    let before = locked(tx, id).await?;
    store::delete(tx, id).await?;
    Ok(Changes::removed(&before.logged()))
}

/// One page of people for each of the projects, in the projects' order.
///
/// # Errors
/// What the database says.
pub async fn members(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    projects: &[ProjectId],
    page: &Page<Uuid>,
) -> Result<Vec<ProjectMember>> {
    let ids: Vec<Uuid> = projects.iter().map(|id| id.uuid()).collect();
    store::members(tx, organization, &ids, page).await
}

/// How many people have a role in the project.
///
/// # Errors
/// What the database says.
pub async fn count_members(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<i64> {
    store::count_members(tx, project).await
}

/// One person's effective role in one project.
///
/// # Errors
/// What the database says.
pub async fn member(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    id: ProjectMemberId,
) -> Result<Option<ProjectMember>> {
    if find(tx, id.project).await?.is_none() {
        return Ok(None);
    }
    let Some(membership) = memberships::find_by_user(tx, id.user).await? else { return Ok(None) };
    let own = store::own_role(tx, id.project, id.user).await?;
    let (role, inherited) = match (membership.role, own, membership.limited) {
        (Role::Owner, ..) => (Role::Owner, true),
        (_, Some(own), _) => (own, false),
        (_, None, true) => return Ok(None),
        (inherited, None, false) => (inherited, true),
    };
    Ok(Some(ProjectMember { organization, project: id.project, user: id.user, role, inherited }))
}

/// Lets somebody into a project with a role of their own.
///
/// # Errors
/// What the database says.
pub async fn set_member(tx: &mut WriteTx<'_>, project: ProjectId, user: UserId, role: Role) -> Result<()> {
    store::upsert_member(tx, project, user, role).await
}

/// Sets somebody's role in a project; none goes back to the inherited one, and shows a guest out.
///
/// # Errors
/// `NOT_FOUND`; `INVALID` for a role above the caller's, or an owner, who is never lowered; `SELF_ACTION`.
pub async fn change_member(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    project: ProjectId,
    user: UserId,
    role: Option<Role>,
) -> Result<(Option<ProjectMember>, Changes)> {
    if find(tx, project).await?.is_none() {
        return Err(not_found("projectId"));
    }
    let membership = memberships::find_by_user(tx, user).await?.ok_or_else(|| {
        Error::fault(Fault::at(
            FaultCode::NotFound,
            "userId",
            "This person does not belong to the organization. Invite them first.",
        ))
    })?;
    let refuse = |code, field: &str, message: &str| Err(Error::fault(Fault::at(code, field, message)));
    if membership.role == Role::Owner {
        return refuse(
            FaultCode::Invalid,
            "userId",
            "An owner of the organization is an owner of every project.",
        );
    }
    if user == scope.credential().user() {
        return refuse(
            FaultCode::SelfAction,
            "userId",
            "You cannot change your own role. Ask somebody else.",
        );
    }
    if role == Some(Role::Owner) {
        return refuse(
            FaultCode::Invalid,
            "role",
            "OWNER is a role of the organization. Choose ADMIN, MEMBER or VIEWER.",
        );
    }
    let organization = membership.organization;
    let id = ProjectMemberId { project, user };
    let before = member(tx, organization, id).await?;
    let above = |role: Role| !scope.may_grant(role, Some(project));
    if role.is_some_and(above) || before.is_some_and(|before| above(before.role)) {
        return refuse(FaultCode::Invalid, "role", "You cannot grant or take a role that is above your own.");
    }
    match role {
        Some(role) => store::upsert_member(tx, project, user, role).await?,
        None => store::delete_member(tx, project, user).await?,
    }
    let after = member(tx, organization, id).await?;
    let word = |member: &Option<ProjectMember>| json!({"role": member.map(|member| member.role.as_str())});
    let changes = Changes::between(&word(&before), &word(&after));
    Ok((after, changes))
}

fn not_found(field: &str) -> Error {
    Error::fault(Fault::at(
        FaultCode::NotFound,
        field,
        "There is no such project, or it is not visible to you.",
    ))
}
