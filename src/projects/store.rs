//! The SQL of projects and of people's roles in them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::{NewProject, Project, ProjectFilter, ProjectMember, ProjectUpdate};
use crate::access::Role;
use crate::db::page::{Page, Slice};
use crate::db::{Call, Hot, ReadTx, WriteTx, hot};
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::{ProjectId, UserId};

/// A project as it is stored.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    organization_id: Uuid,
    id: Uuid,
    name: String,
    slug: String,
    description: Option<String>,
    settings: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    archived_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Project {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            name: row.name,
            slug: row.slug,
            description: row.description,
            settings: serde_json::from_value(row.settings).map_err(Error::internal)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            archived_at: row.archived_at,
        })
    }
}

fn all(rows: Vec<Row>) -> Result<Vec<Project>> {
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The usual creation in one statement. It makes nothing when anything is unusual (the slug is taken, the tier limits
/// projects); the general door then says what.
pub static CREATE: Hot = Hot {
    name: "create_project",
    door: hot::Door::Write {
        params: "p_id uuid, p_name text, p_slug text, p_description text",
        returns: "organization_id uuid, id uuid, name text, slug text, description text, settings jsonb, created_at timestamptz, updated_at timestamptz, archived_at timestamptz",
    },
    sql: "insert into public.projects as p (organization_id, id, name, slug, description)
        select p_organization, p_id, p_name, p_slug, p_description
        where not exists (select from public.organizations o join public.tiers t on t.key = o.tier
            where o.id = p_organization and t.limits ? 'PROJECTS')
        on conflict on constraint projects_slug_key do nothing
        returning p.organization_id, p.id, p.name, p.slug, p.description, p.settings, p.created_at, p.updated_at,
            p.archived_at, p.id as audit_project",
};

pub(super) fn create(new: &NewProject) -> Result<Call<Row>> {
    Call::new(&CREATE)
        .bind(new.id.uuid())?
        .bind(new.name.clone())?
        .bind(new.slug.clone())?
        .bind(new.description.clone())
}

pub(super) async fn insert(tx: &mut WriteTx<'_>, new: &NewProject, slug: &str) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "insert into projects (organization_id, id, name, slug, description) values ($1, $2, $3, $4, $5)
         on conflict on constraint projects_slug_key do nothing",
        organization,
        new.id.uuid(),
        new.name,
        slug,
        new.description
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A filter's search as a pattern for `ilike`, its own wildcards taken literally.
fn pattern(search: Option<&str>) -> Option<String> {
    search.map(|text| format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")))
}

pub(super) async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    filter: &ProjectFilter,
) -> Result<Slice<Project>> {
    let (low, high) = page.ascending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select organization_id, id, name, slug, description, settings, created_at, updated_at, archived_at
         from projects
         where organization_id = (select app.current_organization()) and id > $1 and id < $2
           and ($3::text is null or name ilike $3 or slug ilike $3)
           and ($4::boolean is null or (archived_at is not null) = $4)",
        "id" "asc" / "desc",
        "$5",
        low,
        high,
        pattern(filter.search.as_deref()),
        filter.archived
    );
    Ok(page.slice(all(rows)?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, filter: &ProjectFilter) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from projects
           where organization_id = (select app.current_organization())
             and ($1::text is null or name ilike $1 or slug ilike $1)
             and ($2::boolean is null or (archived_at is not null) = $2)"#,
        pattern(filter.search.as_deref()),
        filter.archived
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Project>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, name, slug, description, settings, created_at, updated_at, archived_at
         from projects where organization_id = (select app.current_organization()) and id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    all(rows)
}

pub(super) async fn id_of_slug(tx: &mut ReadTx<'_>, slug: &str) -> Result<Option<ProjectId>> {
    let id = sqlx::query_scalar!(
        "select id from projects where organization_id = (select app.current_organization()) and slug = $1",
        slug
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(Into::into))
}

pub(super) async fn lock(tx: &mut WriteTx<'_>, id: ProjectId) -> Result<Option<Project>> {
    let organization = tx.organization().uuid();
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, name, slug, description, settings, created_at, updated_at, archived_at
         from projects where organization_id = $1 and id = $2 for no key update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn update(tx: &mut WriteTx<'_>, id: ProjectId, update: &ProjectUpdate) -> Result<()> {
    let organization = tx.organization().uuid();
    let settings = update.settings.as_ref().map(serde_json::to_value).transpose().map_err(Error::internal)?;
    sqlx::query!(
        "update projects set name = coalesce($3, name), slug = coalesce($4, slug),
            description = case when $5 then $6 else description end,
            settings = coalesce($7, settings), updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        update.name.as_deref(),
        update.slug.as_deref(),
        update.description.is_some(),
        update.description.as_ref().and_then(Option::as_deref),
        settings
    )
    .execute(tx.conn())
    .await
    .on_constraint("projects_slug_key", || {
        Error::fault(Fault::at(
            FaultCode::AlreadyExists,
            "slug",
            "Another project of this organization has this slug. Choose another one.",
        ))
    })?;
    Ok(())
}

pub(super) async fn set_archived(tx: &mut WriteTx<'_>, id: ProjectId, archived: bool) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update projects set archived_at = case when $3 then coalesce(archived_at, now()) end, updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        archived
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: ProjectId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from projects where organization_id = $1 and id = $2", organization, id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A person's effective role in a project as it is stored: the row's own, or the inherited one.
#[derive(Debug)]
pub(super) struct MemberRow {
    project_id: Uuid,
    user_id: Uuid,
    role: String,
    own: bool,
}

impl MemberRow {
    fn read(self, organization: crate::id::OrganizationId) -> Result<ProjectMember> {
        let role = Role::parse(&self.role)
            .ok_or_else(|| Error::internal(anyhow::anyhow!("the database holds an unknown role")))?;
        Ok(ProjectMember {
            organization,
            project: self.project_id.into(),
            user: self.user_id.into(),
            role,
            inherited: !self.own,
        })
    }
}

/// One page of people for each of the projects.
pub(super) async fn members(
    tx: &mut ReadTx<'_>,
    organization: crate::id::OrganizationId,
    projects: &[Uuid],
    page: &Page<Uuid>,
) -> Result<Vec<ProjectMember>> {
    let (low, high) = page.ascending();
    let rows = keyset!(
        MemberRow,
        tx,
        page,
        r#"select p.id as "project_id!", m.user_id as "user_id!", m.role as "role!", m.own as "own!"
           from unnest($3::uuid[]) with ordinality as p (id, place)
           cross join lateral (
               select s.user_id, case when s.role = 'OWNER' then s.role else coalesce(r.role, s.role) end as role,
                   r.role is not null and s.role <> 'OWNER' as own
               from memberships s
               left join project_members r
                   on r.organization_id = s.organization_id and r.project_id = p.id and r.user_id = s.user_id
               where s.organization_id = (select app.current_organization()) and (not s.limited or r.role is not null)
                 and s.user_id > $1 and s.user_id < $2"#,
        "s.user_id" "asc" / "desc",
        "$4) m order by p.place",
        low,
        high,
        projects
    );
    rows.into_iter().map(|row| row.read(organization)).collect()
}

pub(super) async fn count_members(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from memberships s
           where s.organization_id = (select app.current_organization()) and (not s.limited or exists (
               select from project_members r where r.organization_id = s.organization_id and r.project_id = $1
                   and r.user_id = s.user_id))"#,
        project.uuid()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// A person's own row in a project, without what they inherit.
pub(super) async fn own_role(tx: &mut ReadTx<'_>, project: ProjectId, user: UserId) -> Result<Option<Role>> {
    let role = sqlx::query_scalar!(
        "select role from project_members
         where organization_id = (select app.current_organization()) and project_id = $1 and user_id = $2",
        project.uuid(),
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(role.as_deref().and_then(Role::parse))
}

pub(super) async fn upsert_member(
    tx: &mut WriteTx<'_>,
    project: ProjectId,
    user: UserId,
    role: Role,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into project_members (organization_id, project_id, user_id, role) values ($1, $2, $3, $4)
         on conflict (organization_id, project_id, user_id) do update set role = excluded.role",
        organization,
        project.uuid(),
        user.uuid(),
        role.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete_member(tx: &mut WriteTx<'_>, project: ProjectId, user: UserId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "delete from project_members where organization_id = $1 and project_id = $2 and user_id = $3",
        organization,
        project.uuid(),
        user.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
