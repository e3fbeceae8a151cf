//! The SQL of organizations.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{Decode, FromRow, Postgres, Row as _, Type};
use uuid::Uuid;

use super::{Organization, OrganizationUpdate, Settings, Tier};
use crate::access::Role;
use crate::db::{Call, Hot, PersonTx, ReadTx, WriteTx, hot};
use crate::error::{Error, Result};
use crate::id::{OrganizationId, UserId};
use crate::identity::User;
use crate::projects::{Levels, Project, ProjectMember};

/// The request's organization.
pub static ORGANIZATION: Hot = Hot {
    name: "organization",
    door: hot::Door::Tenant,
    sql: "select o.id, o.name, o.slug, o.description, o.tier, o.settings, o.created_at, o.updated_at, o.deleted_at
        from organizations o where o.id = $1",
};

/// The request's organization, its first projects and the first people of each: what a start page asks for. Level by level
/// in one statement and one row, each level as arrays, and each person once, however many projects they are in.
///
/// Somebody is in a project as a full member of the organization or, as a guest, by a row of the project. The first people
/// of a project are therefore among the organization's first full members, who are the same for every project, and the
/// project's own first rows of those members and of guests. [`LevelsRow::read`] puts the two together.
///
/// $1: how many projects; $2: how many people of each; $3: the id before the first project's, because with a bound the
/// planner takes the index that has them in order; $4: the organization.
pub static LEVELS: Hot = Hot {
    name: "organization_levels",
    door: hot::Door::Tenant,
    sql: "with p as materialized (
            select p.id, p.name, p.slug, p.description, p.settings, p.created_at, p.updated_at, p.archived_at
            from projects p where p.organization_id = $4 and p.id > $3 order by p.id limit $1
        ), m as materialized (
            select m.user_id, m.role from memberships m
            where m.organization_id = $4 and not m.limited order by m.user_id limit $2
        ), r as materialized (
            select p.id, r.user_id, r.role, r.guest from p cross join lateral (
                select r.user_id, r.role, r.user_id <> all (array(select m.user_id from m)) as guest
                from project_members r
                where r.organization_id = $4 and r.project_id = p.id
                    and (r.user_id = any (array(select m.user_id from m))
                        or r.user_id = any (array(select g.user_id from memberships g
                            where g.organization_id = $4 and g.limited)))
                order by r.user_id limit $2
            ) r
            where $2 > 0
        )
        select o.id, o.name, o.slug, o.description, o.tier, o.settings, o.created_at, o.updated_at, o.deleted_at,
            projects.*, members.*, roles.*, people.*
        from organizations o
        cross join (select array_agg(p.id), array_agg(p.name), array_agg(p.slug), array_agg(p.description),
            array_agg(nullif(p.settings, '{}')), array_agg(p.created_at), array_agg(p.updated_at),
            array_agg(p.archived_at) from p) as projects
        cross join (select array_agg(m.user_id), array_agg(m.role) from m) as members
        cross join (select array_agg(r.id), array_agg(r.user_id), array_agg(r.role), array_agg(r.guest) from r) as roles
        cross join (select array_agg(u.id), array_agg(u.name), array_agg(u.email), array_agg(u.avatar_url),
            array_agg(u.email_verified_at), array_agg(u.created_at)
            from users u where u.id = any (array(select m.user_id from m union select r.user_id from r))) as people
        where o.id = $4",
};

/// The row of [`LEVELS`].
#[derive(Debug)]
pub(crate) struct LevelsRow {
    own: Row,
    projects: Vec<ProjectRow>,
    /// Full members.
    full: Vec<(Uuid, Role)>,
    /// By project, people's own roles in it, and whether they are guests.
    roles: HashMap<Uuid, Vec<(Uuid, Role, bool)>>,
    users: Vec<User>,
}

/// A project of [`LEVELS`]; its settings are missing when nothing is set.
#[derive(Debug)]
struct ProjectRow {
    id: Uuid,
    name: String,
    slug: String,
    description: Option<String>,
    settings: Option<Json<Settings>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    archived_at: Option<DateTime<Utc>>,
}

/// Reads the columns of a row from left to right.
struct Columns<'r> {
    row: &'r PgRow,
    at: usize,
}

impl<'r> Columns<'r> {
    fn next<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> sqlx::Result<T> {
        self.at += 1;
        self.row.try_get(self.at - 1)
    }

    /// The items of an array, which is null when there are none.
    fn list<T>(&mut self) -> sqlx::Result<std::vec::IntoIter<T>>
    where
        Vec<T>: Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(self.next::<Option<Vec<T>>>()?.unwrap_or_default().into_iter())
    }
}

fn role(word: &str) -> sqlx::Result<Role> {
    Role::parse(word)
        .ok_or_else(|| sqlx::Error::Decode(format!("the database holds the role `{word}`").into()))
}

fn missing() -> sqlx::Error {
    sqlx::Error::Decode("the arrays of a level have different lengths".into())
}

impl FromRow<'_, PgRow> for LevelsRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let mut columns = Columns { row, at: 0 };
        let own = Row {
            id: columns.next()?,
            name: columns.next()?,
            slug: columns.next()?,
            description: columns.next()?,
            tier: columns.next()?,
            settings: columns.next()?,
            created_at: columns.next()?,
            updated_at: columns.next()?,
            deleted_at: columns.next()?,
        };
        let ids = columns.list()?;
        let (mut names, mut slugs, mut descriptions) = (columns.list()?, columns.list()?, columns.list()?);
        let (mut settings, mut created, mut updated) = (columns.list()?, columns.list()?, columns.list()?);
        let mut archived = columns.list()?;
        let mut projects = Vec::with_capacity(ids.len());
        for id in ids {
            projects.push(ProjectRow {
                id,
                name: names.next().ok_or_else(missing)?,
                slug: slugs.next().ok_or_else(missing)?,
                description: descriptions.next().ok_or_else(missing)?,
                settings: settings.next().ok_or_else(missing)?,
                created_at: created.next().ok_or_else(missing)?,
                updated_at: updated.next().ok_or_else(missing)?,
                archived_at: archived.next().ok_or_else(missing)?,
            });
        }
        let (users, words) = (columns.list()?, columns.list::<String>()?);
        let full =
            users.zip(words).map(|(user, word)| Ok((user, role(&word)?))).collect::<sqlx::Result<_>>()?;
        let places = columns.list::<Uuid>()?;
        let (mut users, mut words, mut guests) =
            (columns.list()?, columns.list::<String>()?, columns.list::<bool>()?);
        let mut roles: HashMap<Uuid, Vec<_>> = HashMap::with_capacity(projects.len());
        for place in places {
            let word = words.next().ok_or_else(missing)?;
            let guest = guests.next().ok_or_else(missing)?;
            roles.entry(place).or_default().push((users.next().ok_or_else(missing)?, role(&word)?, guest));
        }
        let ids = columns.list()?;
        let (mut names, mut emails, mut pictures) = (columns.list()?, columns.list()?, columns.list()?);
        let (mut verified, mut created) = (columns.list()?, columns.list()?);
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            users.push(User {
                id,
                name: names.next().ok_or_else(missing)?,
                email: emails.next().ok_or_else(missing)?,
                avatar_url: pictures.next().ok_or_else(missing)?,
                email_verified_at: verified.next().ok_or_else(missing)?,
                created_at: created.next().ok_or_else(missing)?,
            });
        }
        Ok(Self { own, projects, full, roles, users })
    }
}

pub(super) fn levels(projects: i64, members: i64) -> Result<Call<LevelsRow>> {
    Call::new(&LEVELS).bind(projects)?.bind(members)?.bind(Uuid::nil())
}

impl LevelsRow {
    /// Puts the levels together: at most `most` people for each project.
    pub(super) fn read(self, most: usize) -> Result<(Organization, Levels)> {
        let own = Organization::try_from(self.own)?;
        let organization = own.id;
        let project = |row: ProjectRow| Project {
            organization,
            id: row.id.into(),
            name: row.name,
            slug: row.slug,
            description: row.description,
            settings: row.settings.map(|Json(settings)| settings).unwrap_or_default(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            archived_at: row.archived_at,
        };
        let mut projects: Vec<Project> = self.projects.into_iter().map(project).collect();
        projects.sort_unstable_by_key(|project| project.id);
        let mut members = Vec::with_capacity(projects.len() * most.min(self.users.len()));
        for project in &projects {
            let rows = self.roles.get(&project.id.uuid()).map_or(&[][..], Vec::as_slice);
            let member = |user: Uuid, role, inherited| ProjectMember {
                organization,
                project: project.id,
                user: user.into(),
                role,
                inherited,
            };
            let mut people: Vec<ProjectMember> = Vec::with_capacity(self.full.len() + rows.len());
            for (user, inherited) in &self.full {
                // An owner is never lowered.
                let set = rows.iter().find(|(other, ..)| other == user && *inherited != Role::Owner);
                people.push(
                    set.map_or(member(*user, *inherited, true), |(_, role, _)| member(*user, *role, false)),
                );
            }
            people.extend(
                rows.iter().filter(|(.., guest)| *guest).map(|(user, role, _)| member(*user, *role, false)),
            );
            people.sort_unstable_by_key(|member| member.user);
            people.truncate(most);
            members.append(&mut people);
        }
        Ok((own, Levels { projects, members, users: self.users }))
    }
}

/// An organization as it is stored.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    pub tier: String,
    pub settings: Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Organization {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { id, name, slug, description, tier, settings, created_at, updated_at, deleted_at } = row;
        let settings = serde_json::from_value(settings).map_err(Error::internal)?;
        Ok(Self {
            id: id.into(),
            name,
            slug,
            description,
            tier,
            settings,
            created_at,
            updated_at,
            deleted_at,
        })
    }
}

pub(super) fn current() -> Call<Row> {
    Call::new(&ORGANIZATION)
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Organization>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, name, slug, description, tier, settings, created_at, updated_at, deleted_at
         from organizations where id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: OrganizationId,
    name: &str,
    slug: &str,
    description: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "insert into organizations (id, name, slug, description) values ($1, $2, $3, $4)",
        id.uuid(),
        name,
        slug,
        description
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether one of the person's own organizations has this slug, other than `except`.
pub(super) async fn slug_taken(tx: &mut PersonTx<'_>, slug: &str) -> Result<bool> {
    let user = tx.user().uuid();
    // One founding or renaming at a time per person, so that two at once cannot both find the slug free.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 2))")
        .bind(user.to_string())
        .execute(tx.conn())
        .await?;
    Ok(sqlx::query_scalar!(r#"select exists (select from organizations where slug = $1) as "taken!""#, slug)
        .fetch_one(tx.conn())
        .await?)
}

/// What a person's create with this key made before, in any organization.
pub(super) async fn earlier_create(
    tx: &mut PersonTx<'_>,
    user: UserId,
    key: &str,
) -> Result<Option<(OrganizationId, Vec<u8>)>> {
    let row = sqlx::query!(
        "select organization_id, input from idempotency_keys
         where actor_id = $1 and action = 'organization.create' and key = $2
           and created_at > now() - interval '24 hours'",
        user.uuid(),
        key
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.organization_id.into(), row.input)))
}

pub(super) async fn update(
    tx: &mut WriteTx<'_>,
    id: OrganizationId,
    update: &OrganizationUpdate,
) -> Result<()> {
    let settings = update.settings.as_ref().map(serde_json::to_value).transpose().map_err(Error::internal)?;
    sqlx::query!(
        "update organizations set name = coalesce($2, name), slug = coalesce($3, slug),
            description = case when $4 then $5 else description end,
            settings = coalesce($6, settings), updated_at = now()
         where id = $1",
        id.uuid(),
        update.name.as_deref(),
        update.slug.as_deref(),
        update.description.is_some(),
        update.description.as_ref().and_then(Option::as_deref),
        settings
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Locks the organization's row until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, slug, description, tier, settings, created_at, updated_at, deleted_at
         from organizations where id = $1 for no key update",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn set_deleted(tx: &mut WriteTx<'_>, id: OrganizationId, deleted: bool) -> Result<()> {
    sqlx::query!(
        "update organizations set deleted_at = case when $2 then now() end, updated_at = now() where id = $1",
        id.uuid(),
        deleted
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn tier(tx: &mut ReadTx<'_>, key: &str) -> Result<Option<Tier>> {
    let row = sqlx::query!("select key, name, limits, features from tiers where key = $1", key)
        .fetch_optional(tx.conn())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let limits = serde_json::from_value(row.limits).map_err(Error::internal)?;
    Ok(Some(Tier { key: row.key, name: row.name, limits, features: row.features }))
}
