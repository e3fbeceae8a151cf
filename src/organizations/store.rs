//! The SQL of organizations.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::{Organization, OrganizationUpdate, Tier};
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
/// in one statement, and each person once, however many projects they are in.
///
/// Somebody is in a project as a full member of the organization or, as a guest, by a row of the project. The first people
/// of a project are therefore among the organization's first full members, who are the same for every project, and the
/// project's own first rows of those members and of guests. [`read_levels`] puts the two together.
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
        select 0, o.id, null::uuid, o.name, o.slug, o.description, o.tier, o.settings, o.created_at, o.updated_at, o.deleted_at
            from organizations o where o.id = $4
        union all select 1, p.id, null, p.name, p.slug, p.description, null, p.settings, p.created_at, p.updated_at,
            p.archived_at from p
        union all select 2, null, m.user_id, null, null, null, m.role, null, null, null, null from m
        union all select case when r.guest then 4 else 3 end, r.id, r.user_id, null, null, null, r.role, null, null, null,
            null from r
        union all select 5, u.id, null, u.name, u.email, u.avatar_url, null, null, u.created_at, null, u.email_verified_at
            from users u where u.id = any (array(select m.user_id from m union select r.user_id from r))",
};

/// A row of [`LEVELS`]: by `kind` the organization (0), a project (1), a full member (2), a full member's role in a project
/// (3), a guest of a project (4) or a person (5).
#[derive(Debug)]
pub(crate) struct LevelRow {
    kind: i32,
    id: Option<Uuid>,
    user_id: Option<Uuid>,
    name: Option<String>,
    /// A person's address.
    slug: Option<String>,
    /// A person's picture.
    description: Option<String>,
    /// A tier or a role.
    word: Option<String>,
    settings: Option<Value>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    /// When it was deleted, archived or verified.
    ended_at: Option<DateTime<Utc>>,
}

/// By place: looking up names is a good part of what reading costs.
impl FromRow<'_, PgRow> for LevelRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            kind: row.try_get(0)?,
            id: row.try_get(1)?,
            user_id: row.try_get(2)?,
            name: row.try_get(3)?,
            slug: row.try_get(4)?,
            description: row.try_get(5)?,
            word: row.try_get(6)?,
            settings: row.try_get(7)?,
            created_at: row.try_get(8)?,
            updated_at: row.try_get(9)?,
            ended_at: row.try_get(10)?,
        })
    }
}

fn there<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::internal(anyhow::anyhow!("a level came without a column")))
}

fn parse_role(word: Option<String>) -> Result<Role> {
    there(Role::parse(&there(word)?))
}

pub(super) fn levels(projects: i64, members: i64) -> Result<Call<LevelRow>> {
    Call::new(&LEVELS).bind(projects)?.bind(members)?.bind(Uuid::nil())
}

/// Puts the levels together: at most `most` people for each project.
pub(super) fn read_levels(rows: Vec<LevelRow>, most: usize) -> Result<Option<(Organization, Levels)>> {
    let mut own = None;
    let mut levels = Levels { projects: Vec::new(), members: Vec::new(), users: Vec::new() };
    let mut full: Vec<(Uuid, Role)> = Vec::new();
    let mut rows_of: HashMap<Uuid, Vec<(Uuid, Role, bool)>> = HashMap::new();
    for row in rows {
        match row.kind {
            0 => {
                own = Some(Organization::try_from(Row {
                    id: there(row.id)?,
                    name: there(row.name)?,
                    slug: there(row.slug)?,
                    description: row.description,
                    tier: there(row.word)?,
                    settings: there(row.settings)?,
                    created_at: there(row.created_at)?,
                    updated_at: there(row.updated_at)?,
                    deleted_at: row.ended_at,
                })?);
            }
            1 => levels.projects.push(Project {
                // The organization is the first row.
                organization: there(own.as_ref())?.id,
                id: there(row.id)?.into(),
                name: there(row.name)?,
                slug: there(row.slug)?,
                description: row.description,
                settings: serde_json::from_value(there(row.settings)?).map_err(Error::internal)?,
                created_at: there(row.created_at)?,
                updated_at: there(row.updated_at)?,
                archived_at: row.ended_at,
            }),
            2 => full.push((there(row.user_id)?, parse_role(row.word)?)),
            5 => levels.users.push(User {
                id: there(row.id)?,
                name: there(row.name)?,
                email: there(row.slug)?,
                avatar_url: row.description,
                email_verified_at: row.ended_at,
                created_at: there(row.created_at)?,
            }),
            kind => {
                let of_project = rows_of.entry(there(row.id)?).or_default();
                of_project.push((there(row.user_id)?, parse_role(row.word)?, kind == 4));
            }
        }
    }
    let Some(own) = own else { return Ok(None) };
    levels.projects.sort_unstable_by_key(|project| project.id);
    for project in &levels.projects {
        let rows = rows_of.get(&project.id.uuid()).map_or(&[][..], Vec::as_slice);
        let mut people: Vec<ProjectMember> = Vec::with_capacity(full.len() + rows.len());
        let member = |user: Uuid, role, inherited| ProjectMember {
            organization: own.id,
            project: project.id,
            user: user.into(),
            role,
            inherited,
        };
        for (user, inherited) in &full {
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
        levels.members.append(&mut people);
    }
    Ok(Some((own, levels)))
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
