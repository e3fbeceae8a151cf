//! Invitations: a link that lets one address into an organization, or into one of its projects.

pub mod graphql;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::access::{Action, Role, Scope};
use crate::db::page::{Page, Slice};
use crate::db::{Changes, Lease, PersonTx, ReadTx, Record, Redacted, Target, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{InvitationId, OrganizationId, ProjectId, UserId};
use crate::identity::credentials::SecretKind;
use crate::mail::EmailAddress;
use crate::{idempotency, memberships, projects};

/// Where an invitation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "InvitationStatus")]
pub enum Status {
    /// Its link can be used.
    Pending,
    /// Somebody used its link.
    Accepted,
    /// Whoever was invited declined.
    Declined,
    /// It was taken back.
    Revoked,
    /// Its time ran out.
    Expired,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending | Self::Expired => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Revoked => "REVOKED",
        }
    }

    fn read(text: &str, expires_at: DateTime<Utc>) -> Option<Self> {
        Some(match text {
            "PENDING" if expires_at <= Utc::now() => Self::Expired,
            "PENDING" => Self::Pending,
            "ACCEPTED" => Self::Accepted,
            "DECLINED" => Self::Declined,
            "REVOKED" => Self::Revoked,
            _ => return None,
        })
    }
}

/// Whether a mail went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "DeliveryState")]
pub enum Delivery {
    /// This server sends no mail: hand the link over yourself.
    NotConfigured,
    /// It is on its way.
    Queued,
    /// The receiver's server took it.
    Sent,
    /// It could not be sent.
    Failed,
}

impl Delivery {
    const ALL: [Self; 4] = [Self::NotConfigured, Self::Queued, Self::Sent, Self::Failed];

    /// The spelling on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotConfigured => "NOT_CONFIGURED",
            Self::Queued => "QUEUED",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The state of a mail that is about to be sent.
    pub const fn about_to_send(mail_is_configured: bool) -> Self {
        if mail_is_configured { Self::Queued } else { Self::NotConfigured }
    }
}

/// An invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Where to.
    pub organization: OrganizationId,
    /// The one project that it is for, if it is for one.
    pub project: Option<ProjectId>,
    /// Whom.
    pub email: String,
    /// As what.
    pub role: Role,
    /// Where it stands.
    pub status: Status,
    /// Whether a mail went out.
    pub delivery: Delivery,
    /// Who invited.
    pub invited_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// What a link offers to whoever holds it.
#[derive(Debug, Clone)]
pub struct Offer {
    id: InvitationId,
    organization: OrganizationId,
    project: Option<ProjectId>,
    invited_by: Option<UserId>,
    /// The organization's name.
    pub organization_name: String,
    /// The project's name, if it is for one.
    pub project_name: Option<String>,
    /// As what.
    pub role: Role,
    /// Whom.
    pub email: String,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// Where it stands.
    pub status: Status,
}

impl Offer {
    /// The organization that it leads to.
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The invitation.
    pub const fn id(&self) -> InvitationId {
        self.id
    }

    /// Refuses an offer that is over, or somebody that it was not made to.
    ///
    /// # Errors
    /// `EXPIRED`, or `INVALID` for another address.
    pub fn acceptable_by(&self, email: &str) -> Result<()> {
        if self.status != Status::Pending {
            return Err(closed("token"));
        }
        if self.email != email {
            return Err(Error::fault(Fault::at(
                FaultCode::Invalid,
                "token",
                "This invitation was sent to another e-mail address. Sign in with that one, or ask for a new invitation.",
            )));
        }
        Ok(())
    }
}

fn closed(field: &str) -> Error {
    Error::fault(Fault::at(
        FaultCode::Expired,
        field,
        "This invitation has expired, was used or was taken back. Ask for a new one.",
    ))
}

/// Looks up what a link offers.
///
/// # Errors
/// [`Error::NotFound`], as `NOT_FOUND` at `token`, for a link that was never made.
pub async fn offered(lease: &Lease, token: &str) -> Result<Offer> {
    let unknown = || {
        Error::fault(Fault::at(
            FaultCode::NotFound,
            "token",
            "There is no such invitation. Ask for a new link.",
        ))
    };
    let hash = SecretKind::Invitation.parse(token).ok_or_else(unknown)?;
    let row = {
        let mut tx = lease.anonymous().await?;
        store::find_offer(&mut tx, hash.bytes()).await?.ok_or_else(unknown)?
    };
    let broken = || Error::internal(anyhow::anyhow!("the database holds an unknown word in an invitation"));
    Ok(Offer {
        id: row.id.into(),
        organization: row.organization_id.into(),
        project: row.project_id.map(Into::into),
        invited_by: row.invited_by.map(Into::into),
        organization_name: row.organization_name,
        project_name: row.project_name,
        role: Role::parse(&row.role).ok_or_else(broken)?,
        email: row.email,
        status: Status::read(&row.status, row.expires_at).ok_or_else(broken)?,
        expires_at: row.expires_at,
    })
}

/// Lets the person of the transaction in, as the offer says, and keeps everything that the transaction did.
///
/// # Errors
/// `EXPIRED` when somebody else was faster; `ALREADY_EXISTS` when they are a member already.
pub async fn join(tx: PersonTx<'_>, offer: &Offer) -> Result<()> {
    let user = tx.user();
    let mut tx = tx.step_into(offer.organization, Action::InvitationAccept, offer.role).await?;
    if !store::close(&mut tx, offer.id, Status::Accepted).await? {
        return Err(closed("token"));
    }
    let known = memberships::find_by_user(&mut tx, user).await?;
    match (&known, offer.project) {
        (None, project) => {
            if !memberships::insert(&mut tx, user, offer.role, project.is_some(), offer.invited_by).await? {
                return Err(member_already("token"));
            }
        }
        (Some(guest), None) if guest.limited => memberships::widen(&mut tx, guest.id, offer.role).await?,
        (Some(guest), Some(_)) if guest.limited => {}
        (Some(_), _) => return Err(member_already("token")),
    }
    if let Some(project) = offer.project {
        projects::set_member(&mut tx, project, user, offer.role).await?;
    }
    let changes = Changes::made(&json!({"user": user, "role": offer.role.as_str(), "email": offer.email}));
    tx.commit(Record::with(Target::invitation(offer.id).within(offer.project), changes)).await
}

fn member_already(field: &str) -> Error {
    Error::fault(Fault::at(FaultCode::AlreadyExists, field, "This person is a member already."))
}

/// Declines what a link offers, and keeps it.
///
/// # Errors
/// `EXPIRED` when it is no longer open.
pub async fn decline(tx: PersonTx<'_>, offer: &Offer) -> Result<()> {
    let mut tx = tx.step_into(offer.organization, Action::InvitationDecline, offer.role).await?;
    if !store::close(&mut tx, offer.id, Status::Declined).await? {
        return Err(closed("token"));
    }
    let changes = Changes::between(&json!({"status": "PENDING"}), &json!({"status": "DECLINED"}));
    tx.commit(Record::with(Target::invitation(offer.id).within(offer.project), changes)).await
}

/// A new invitation, checked.
#[derive(Debug)]
pub struct NewInvitation {
    /// Whom.
    pub email: EmailAddress,
    /// As what.
    pub role: Role,
    /// The one project that it is for, if it is for one.
    pub project: Option<ProjectId>,
    /// How long it is good.
    pub lifetime: TimeDelta,
}

impl NewInvitation {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(email: &str, role: Role, project: Option<ProjectId>, days: i32) -> Result<Self> {
        let email = EmailAddress::parse(email).map_err(Error::fault)?;
        if !(1..=30).contains(&days) {
            return Err(Error::fault(Fault::at(
                FaultCode::OutOfRange,
                "expiresInDays",
                "`expiresInDays` is a number from 1 to 30.",
            )));
        }
        if project.is_some() && role == Role::Owner {
            return Err(Error::fault(Fault::at(
                FaultCode::Invalid,
                "role",
                "A guest of one project cannot be an owner. Choose ADMIN, MEMBER or VIEWER.",
            )));
        }
        Ok(Self { email, role, project, lifetime: TimeDelta::days(i64::from(days)) })
    }
}

/// What a create made, or found that the same call made before; the link is known only the first time.
pub struct Invited {
    /// The invitation.
    pub invitation: Invitation,
    /// The link's secret.
    pub secret: Option<SecretString>,
}

/// Makes an invitation.
///
/// # Errors
/// `INVALID` for a role above the caller's; `ALREADY_EXISTS`; `NOT_FOUND` for the project.
pub async fn create(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    new: NewInvitation,
    mail_is_configured: bool,
    key: Option<&idempotency::Key>,
) -> Result<Invited> {
    let id = InvitationId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        let invitation = store::find(tx, earlier.into()).await?.ok_or(Error::NotFound)?;
        return Ok(Invited { invitation, secret: None });
    }
    if !scope.may_grant(new.role, new.project) {
        return Err(Error::fault(Fault::at(
            FaultCode::Invalid,
            "role",
            "You cannot invite somebody to a role that is above your own.",
        )));
    }
    if let Some(project) = new.project
        && projects::find(tx, project).await?.is_none()
    {
        return Err(Error::fault(Fault::at(
            FaultCode::NotFound,
            "projectId",
            "There is no such project, or it is not visible to you.",
        )));
    }
    if store::is_member(tx, new.email.as_str(), new.project).await? {
        return Err(member_already("email"));
    }
    let secret = SecretKind::Invitation.generate()?;
    let row = store::New {
        id,
        project: new.project,
        email: new.email.as_str(),
        role: new.role,
        hash: secret.hash.bytes(),
        delivery: Delivery::about_to_send(mail_is_configured),
        invited_by: scope.credential().user(),
        expires_at: Utc::now() + new.lifetime,
    };
    store::insert(tx, row).await?;
    let invitation = store::find(tx, id).await?.ok_or(Error::NotFound)?;
    Ok(Invited { invitation, secret: Some(secret.text) })
}

/// What the audit log keeps of a new invitation.
pub fn logged(invitation: &Invitation) -> serde_json::Value {
    json!({
        "email": invitation.email, "role": invitation.role.as_str(), "project": invitation.project,
        "expiresAt": invitation.expires_at, "link": Redacted,
    })
}

/// Takes an open invitation back.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` when it is no longer open.
pub async fn revoke(tx: &mut WriteTx<'_>, id: InvitationId) -> Result<Invitation> {
    store::find(tx, id).await?.ok_or_else(not_found)?;
    if !store::close(tx, id, Status::Revoked).await? {
        return Err(not_open());
    }
    store::find(tx, id).await?.ok_or(Error::NotFound)
}

/// Gives an open invitation a new link, good for a week; the old link is worthless from then on.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` when it is no longer open.
pub async fn resend(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: InvitationId,
    mail_is_configured: bool,
) -> Result<(Invitation, SecretString)> {
    let before = store::find(tx, id).await?.ok_or_else(not_found)?;
    if !scope.may_grant(before.role, before.project) {
        return Err(Error::fault(Fault::at(
            FaultCode::Invalid,
            "id",
            "You cannot invite somebody to a role that is above your own.",
        )));
    }
    let secret = SecretKind::Invitation.generate()?;
    let delivery = Delivery::about_to_send(mail_is_configured);
    let expires_at = Utc::now() + TimeDelta::days(7);
    if !store::renew(tx, id, secret.hash.bytes(), delivery, expires_at).await? {
        return Err(not_open());
    }
    let invitation = store::find(tx, id).await?.ok_or(Error::NotFound)?;
    Ok((invitation, secret.text))
}

/// Notes whether the mail went out.
///
/// # Errors
/// What the database says.
pub async fn delivered(tx: &mut WriteTx<'_>, id: InvitationId, sent: bool) -> Result<Delivery> {
    let state = if sent { Delivery::Sent } else { Delivery::Failed };
    store::set_delivery(tx, id, state).await?;
    Ok(state)
}

/// One page of invitations, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    status: Option<Status>,
) -> Result<Slice<Invitation>> {
    store::list(tx, page, status).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, status: Option<Status>) -> Result<i64> {
    store::count(tx, status).await
}

/// One invitation.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: InvitationId) -> Result<Option<Invitation>> {
    store::find(tx, id).await
}

fn not_found() -> Error {
    Error::fault(Fault::at(
        FaultCode::NotFound,
        "id",
        "There is no such invitation, or it is not visible to you.",
    ))
}

fn not_open() -> Error {
    Error::fault(Fault::at(
        FaultCode::Conflict,
        "id",
        "This invitation is no longer open. Make a new one with `invitationCreate`.",
    ))
}
