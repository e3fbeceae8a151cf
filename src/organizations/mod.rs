//! Organizations: the tenants.

pub mod graphql;
pub mod settings;
pub(crate) mod store;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

pub use settings::{Settings, SettingsUpdate};

use crate::access::Role;
use crate::db::{Call, Changes, PersonTx, ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{OrganizationId, UserId};
use crate::projects::Levels;
use crate::{idempotency, input, memberships, periods, projects};

/// An organization.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its slug, by which its own members name it.
    pub slug: String,
    /// What it is about.
    pub description: Option<String>,
    /// The key of its tier.
    pub tier: String,
    /// What it has set.
    pub settings: Settings,
    /// When it was founded.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted, while it can still be restored.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// What an organization may use.
#[derive(Debug, Clone)]
pub struct Tier {
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Limits by metric, in its wire spelling; what is absent is not limited.
    pub limits: BTreeMap<String, f64>,
    /// What is switched on.
    pub features: Vec<String>,
}

/// What the audit log keeps of an organization.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logged<'a> {
    name: &'a str,
    slug: &'a str,
    description: Option<&'a str>,
    settings: &'a Settings,
}

impl Organization {
    /// What the audit log keeps.
    pub fn logged(&self) -> Logged<'_> {
        Logged {
            name: &self.name,
            slug: &self.slug,
            description: self.description.as_deref(),
            settings: &self.settings,
        }
    }
}

/// A new organization, checked.
#[derive(Debug)]
pub struct NewOrganization {
    name: String,
    slug: String,
    description: Option<String>,
}

impl NewOrganization {
    /// One that has a name and nothing else.
    pub fn named(name: String) -> Self {
        Self { slug: input::slug_from(&name), name, description: None }
    }

    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(name: &str, slug: Option<&str>, description: Option<&str>) -> Result<Self> {
        let name = input::line("name", name, 100)?;
        let slug = match slug {
            Some(slug) => input::slug("slug", slug)?,
            None => input::slug_from(&name),
        };
        Ok(Self { name, slug, description: input::paragraph("description", description, 2000)? })
    }
}

/// A change of an organization: absent leaves unchanged.
#[derive(Debug, Default)]
pub struct OrganizationUpdate {
    /// A new name.
    pub name: Option<String>,
    /// A new slug.
    pub slug: Option<String>,
    /// A new description; an inner none clears it.
    pub description: Option<Option<String>>,
    /// The settings as they shall be.
    pub settings: Option<Settings>,
}

/// The request's organization, through the one-statement door.
pub(crate) fn current() -> Call<store::Row> {
    store::current()
}

/// The request's organization with its first projects and their first people, through the one-statement door.
///
/// # Errors
/// When a value cannot be encoded.
pub(crate) fn levels((projects, members): (i64, i64)) -> Result<Call<store::LevelsRow>> {
    store::levels(projects, members)
}

/// What [`levels`] found; none when there is no organization.
///
/// # Errors
/// When the database holds what it should not.
pub(crate) fn read_levels(
    rows: Vec<store::LevelsRow>,
    (_, members): (i64, i64),
) -> Result<Option<(Organization, Levels)>> {
    let most = usize::try_from(members).unwrap_or(0);
    rows.into_iter().next().map(|row| row.read(most)).transpose()
}

/// Organizations by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[OrganizationId]) -> Result<Vec<Organization>> {
    let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    store::find_many(tx, &ids).await
}

/// One organization that must be there.
///
/// # Errors
/// [`Error::NotFound`], or what the database says.
pub async fn get(tx: &mut ReadTx<'_>, id: OrganizationId) -> Result<Organization> {
    find_many(tx, &[id]).await?.pop().ok_or(Error::NotFound)
}

/// Founds the organization that the transaction has stepped into, with its founder as owner and its default project.
///
/// # Errors
/// What the database says.
pub async fn found(tx: &mut WriteTx<'_>, founder: UserId, new: NewOrganization) -> Result<Organization> {
    let id = tx.organization();
    store::insert(tx, id, &new.name, &new.slug, new.description.as_deref()).await?;
    memberships::insert(tx, founder, Role::Owner, false, None).await?;
    projects::insert_default(tx).await?;
    periods::insert_seed(tx).await?;
    get(tx, id).await
}

/// What an organizationCreate found before it made anything.
pub enum Founding<'a> {
    /// Nothing: go on in this transaction.
    New(PersonTx<'a>),
    /// The same call was answered before.
    Replayed(OrganizationId),
}

/// Looks whether the same call was answered before, and whether the slug is free among the person's own organizations.
///
/// # Errors
/// `ALREADY_EXISTS` for a slug that was asked for; `IDEMPOTENCY_KEY_REUSED`.
pub async fn prepare_founding<'a>(
    mut tx: PersonTx<'a>,
    new: &mut NewOrganization,
    slug_wanted: bool,
    key: Option<&idempotency::Key>,
) -> Result<Founding<'a>> {
    let user = tx.user();
    // Takes the person's lock, so that the same call sent twice at once is answered once.
    let mut taken = store::slug_taken(&mut tx, &new.slug).await?;
    if let Some(key) = key
        && let Some((id, input)) = store::earlier_create(&mut tx, user, key.text()).await?
    {
        key.compare(&input)?;
        return Ok(Founding::Replayed(id));
    }
    if taken && slug_wanted {
        return Err(slug_exists());
    }
    let base = new.slug.clone();
    let mut number = 2;
    while taken {
        new.slug = format!("{base}-{number}");
        number += 1;
        taken = store::slug_taken(&mut tx, &new.slug).await?;
    }
    Ok(Founding::New(tx))
}

fn slug_exists() -> Error {
    Error::fault(Fault::at(
        FaultCode::AlreadyExists,
        "slug",
        "Another of your organizations has this slug. Choose another one.",
    ))
}

/// Changes the organization of the transaction.
///
/// # Errors
/// What the database says.
pub async fn update(
    tx: &mut WriteTx<'_>,
    change: OrganizationUpdate,
    settings: Option<SettingsUpdate>,
) -> Result<(Organization, Changes)> {
    let before = store::lock(tx, tx.organization()).await?.ok_or(Error::NotFound)?;
    let settings = settings.map(|update| before.settings.with(update)).transpose()?;
    store::update(tx, before.id, &OrganizationUpdate { settings, ..change }).await?;
    let after = get(tx, before.id).await?;
    let changes = Changes::between(&before.logged(), &after.logged());
    Ok((after, changes))
}

/// Deletes the organization of the transaction: softly, for 30 days.
///
/// # Errors
/// `INVALID` when the slug does not confirm it.
pub async fn delete(tx: &mut WriteTx<'_>, confirm_slug: &str) -> Result<Changes> {
    let before = store::lock(tx, tx.organization()).await?.ok_or(Error::NotFound)?;
    if before.slug != confirm_slug.trim() {
        return Err(Error::fault(Fault::at(
            FaultCode::Invalid,
            "confirmSlug",
            format!("To delete this organization, give its slug `{}` as `confirmSlug`.", before.slug),
        )));
    }
    store::set_deleted(tx, before.id, true).await?;
    Ok(Changes::between(&json!({"deleted": false}), &json!({"deleted": true})))
}

/// Brings a deleted organization back.
///
/// # Errors
/// `CONFLICT` when it is not deleted.
pub async fn restore(tx: &mut WriteTx<'_>) -> Result<(Organization, Changes)> {
    let before = store::lock(tx, tx.organization()).await?.ok_or(Error::NotFound)?;
    if before.deleted_at.is_none() {
        return Err(Error::fault(Fault::at(FaultCode::Conflict, "id", "This organization is not deleted.")));
    }
    store::set_deleted(tx, before.id, false).await?;
    let after = get(tx, before.id).await?;
    Ok((after, Changes::between(&json!({"deleted": true}), &json!({"deleted": false}))))
}

/// A tier by its key.
///
/// # Errors
/// What the database says.
pub async fn tier(tx: &mut ReadTx<'_>, key: &str) -> Result<Tier> {
    store::tier(tx, key).await?.ok_or_else(|| Error::internal(anyhow::anyhow!("the tier `{key}` is gone")))
}
