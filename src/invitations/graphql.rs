//! Invitations, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{Delivery, NewInvitation, Status};
use crate::access::{Action, Role};
use crate::db::{Changes, ReadTx, Record, Target};
use crate::error::{Error, Result};
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Door, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Url};
use crate::id::{InvitationId, OrganizationId, ProjectId};
use crate::idempotency;
use crate::identity::graphql::{User, user_node};
use crate::mail::Message;
use crate::memberships::graphql::Membership;
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;
use crate::telemetry::carried;

/// An invitation to an organization, or to one of its projects.
pub struct Invitation {
    row: super::Invitation,
}

impl Invitation {
    /// The invitation of a row.
    pub const fn new(row: super::Invitation) -> Self {
        Self { row }
    }
}

impl Node for Invitation {}

/// An invitation to an organization, or to one of its projects.
#[Object]
impl Invitation {
    /// The invitation's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// Whom.
    async fn email(&self) -> &str {
        &self.row.email
    }

    /// As what.
    async fn role(&self) -> Role {
        self.row.role
    }

    /// Where to.
    async fn organization(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Organization>> {
        Ok(loader::owner(ctx, self.row.organization).await?.map(Organization::loaded))
    }

    /// The one project that it is for; null when it is for the organization.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// Where it stands.
    async fn status(&self) -> Status {
        self.row.status
    }

    /// Whether a mail went out.
    async fn delivery(&self) -> Delivery {
        self.row.delivery
    }

    /// Who invited; null when that person has left.
    async fn invited_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<User>> {
        let Some(user) = self.row.invited_by else { return Ok(None) };
        let row = loader::user(ctx, self.row.organization, user).await?;
        Ok(row.map(|row| User::in_organization(row, self.row.organization)))
    }

    /// When.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// Until when.
    async fn expires_at(&self) -> DateTime {
        self.row.expires_at.into()
    }
}

/// What an invitation link offers, to whoever holds the token.
#[derive(SimpleObject)]
pub struct InvitationPreview {
    /// The organization that it leads to.
    organization_name: String,
    /// The one project that it is for; null when it is for the organization.
    project_name: Option<String>,
    /// As what.
    role: Role,
    /// Whom.
    email: String,
    /// Until when.
    expires_at: DateTime,
    /// Where it stands.
    status: Status,
}

impl From<super::Offer> for InvitationPreview {
    fn from(offer: super::Offer) -> Self {
        Self {
            organization_name: offer.organization_name,
            project_name: offer.project_name,
            role: offer.role,
            email: offer.email,
            expires_at: offer.expires_at.into(),
            status: offer.status,
        }
    }
}

/// A new invitation.
#[derive(InputObject, Serialize)]
struct InvitationCreateInput {
    /// Where to.
    organization_id: ID,
    /// For one project only: the guest sees nothing else.
    project_id: Option<ID>,
    /// Whom.
    email: String,
    /// As what; nobody invites above their own role.
    role: Role,
    /// How long the link is good, 1 to 30 days.
    #[graphql(default = 7)]
    expires_in_days: i32,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// A link's token.
#[derive(InputObject)]
struct InvitationAcceptInput {
    /// The token of the link.
    token: String,
}

/// A link's token.
#[derive(InputObject)]
struct InvitationDeclineInput {
    /// The token of the link.
    token: String,
}

/// Which invitation.
#[derive(InputObject)]
struct InvitationRevokeInput {
    /// An open invitation.
    id: ID,
}

/// Which invitation.
#[derive(InputObject)]
struct InvitationResendInput {
    /// An open invitation.
    id: ID,
}

/// What inviting is answered with.
#[derive(Default, SimpleObject)]
pub struct InvitationCreatePayload {
    /// The invitation.
    invitation: Option<Invitation>,
    /// Shown once, whether or not mail is configured; null when an idempotency key replays the call.
    accept_url: Option<Url>,
    /// The organization, whose list of invitations has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What accepting is answered with.
#[derive(Default, SimpleObject)]
pub struct InvitationAcceptPayload {
    /// The caller's membership.
    membership: Option<Membership>,
    /// The organization that the caller belongs to now.
    organization: Option<Organization>,
    /// The caller, whose list of memberships has changed.
    viewer: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What declining is answered with.
#[derive(Default, SimpleObject)]
pub struct InvitationDeclinePayload {
    /// The invitation as it stands now.
    invitation: Option<InvitationPreview>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What taking back is answered with.
#[derive(Default, SimpleObject)]
pub struct InvitationRevokePayload {
    /// The invitation.
    invitation: Option<Invitation>,
    /// The organization, whose list of invitations has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What sending again is answered with.
#[derive(Default, SimpleObject)]
pub struct InvitationResendPayload {
    /// The invitation.
    invitation: Option<Invitation>,
    /// A new link; the one before is worthless now.
    accept_url: Option<Url>,
    /// Its organization.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(
    InvitationCreatePayload,
    InvitationAcceptPayload,
    InvitationDeclinePayload,
    InvitationRevokePayload,
    InvitationResendPayload,
);

fn accept_url(door: &Door, secret: Option<&SecretString>) -> Option<Url> {
    let link = door.identity().links().invitation(secret?);
    Url::stored(Some(link.expose_secret()))
}

/// Sends the mail after the answer, and notes what came of it, with an audit row of its own.
async fn mail_later(
    ctx: &Context<'_>,
    organization: OrganizationId,
    row: &super::Invitation,
    secret: Option<&SecretString>,
) -> Result<()> {
    let door = ctx.door();
    let Some(secret) = secret.filter(|_| door.identity().mailer().is_configured()) else { return Ok(()) };
    let name = loader::organization(ctx, organization).await?.map(|row| row.name).unwrap_or_default();
    let inviter = match door.caller()?.credential.key() {
        None => loader::user(ctx, organization, door.caller()?.credential.user()).await?.map(|row| row.name),
        Some(_) => None,
    };
    let message = Message::Invitation {
        inviter: inviter.unwrap_or_else(|| name.clone()),
        organization: name,
        role: row.role.as_str().to_owned(),
        link: door.identity().links().invitation(secret),
        expires_at: row.expires_at,
    };
    let (id, email, project) = (row.id, row.email.clone(), row.project);
    let door = door.apart();
    tokio::spawn(carried(async move {
        let sent = door.identity().send(&email, message).await;
        let noted = async {
            let mut tx = match project {
                None => door.write(organization, Action::InvitationDeliver).await?,
                Some(project) => door.write_in(organization, project, Action::InvitationDeliver).await?,
            };
            let state = super::delivered(&mut tx, id, sent).await?;
            let changes = Changes::between(
                &serde_json::json!({"delivery": Delivery::Queued.as_str()}),
                &serde_json::json!({"delivery": state.as_str()}),
            );
            tx.commit(Record::with(Target::invitation(id).within(project), changes)).await
        };
        if let Err(error) = noted.await {
            tracing::warn!(invitation.id = %id, "the state of a mail was not noted: {error}");
        }
    }));
    Ok(())
}

/// Looking at what a link offers.
#[derive(Default)]
pub struct InvitationQuery;

#[Object]
impl InvitationQuery {
    /// What an invitation link offers, to whoever holds the token. Null for a link that was never made. Needs no
    /// credential.
    async fn invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token of the link.")] token: String,
    ) -> async_graphql::Result<Option<InvitationPreview>> {
        match super::offered(ctx.door().lease(), &token).await {
            Ok(offer) => Ok(Some(offer.into())),
            Err(Error::Invalid(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Inviting, and answering invitations.
#[derive(Default)]
pub struct InvitationMutation;

#[Object]
impl InvitationMutation {
    /// Invites somebody to an organization, or to one of its projects. Requires: `MEMBER_MANAGE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `ALREADY_EXISTS`,
    /// `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::InvitationCreate, &input.organization_id)")]
    async fn invitation_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The invitation.")] input: InvitationCreateInput,
    ) -> async_graphql::Result<Option<InvitationCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project: Option<ProjectId> =
                input.project_id.as_ref().map(|id| input_id("projectId", id)).transpose()?;
            let new = NewInvitation::parse(&input.email, input.role, project, input.expires_in_days)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write_within(organization, project, Action::InvitationCreate)
                .await
                .map_err(not_found_at(if project.is_some() { "projectId" } else { "organizationId" }))?;
            let scope = tx.scope()?;
            let configured = door.identity().mailer().is_configured();
            let made = super::create(&mut tx, &scope, new, configured, key.as_ref()).await?;
            let row = made.invitation;
            if made.secret.is_some() {
                let target = Target::invitation(row.id).within(project);
                tx.commit(Record::with(target, Changes::made(&super::logged(&row)))).await?;
            } else {
                drop(tx);
            }
            mail_later(ctx, organization, &row, made.secret.as_ref()).await?;
            Ok(InvitationCreatePayload {
                accept_url: accept_url(door, made.secret.as_ref()),
                invitation: Some(Invitation::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Accepts an invitation for the caller, whose address it must have been sent to. Requires: a signed-in person.
    /// Codes: `NOT_FOUND`, `INVALID`, `EXPIRED`, `ALREADY_EXISTS`, `QUOTA_EXCEEDED`.
    #[graphql(guard = "Requires::Person")]
    async fn invitation_accept(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token.")] input: InvitationAcceptInput,
    ) -> async_graphql::Result<Option<InvitationAcceptPayload>> {
        let outcome = async {
            let door = ctx.door();
            let (user, _) = door.person()?;
            let offer = super::offered(door.lease(), &input.token).await?;
            let mut tx = door.write_person().await?;
            let person = crate::identity::find_many(&mut tx, &[user]).await?.pop().ok_or(Error::NotFound)?;
            offer.acceptable_by(&person.email)?;
            super::join(tx, &offer).await?;
            let organization = offer.organization();
            door.forget(organization).await;
            let row = {
                let mut tx = door.read(organization, Action::OrganizationRead).await?;
                crate::memberships::find_by_user(&mut tx, user).await?
            };
            Ok(InvitationAcceptPayload {
                membership: row.map(Membership::new),
                organization: Some(Organization::lazy(organization)),
                viewer: user_node(ctx, user).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Declines an invitation for the caller, whose address it must have been sent to. Requires: a signed-in person.
    /// Codes: `NOT_FOUND`, `INVALID`, `EXPIRED`.
    #[graphql(guard = "Requires::Person")]
    async fn invitation_decline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token.")] input: InvitationDeclineInput,
    ) -> async_graphql::Result<Option<InvitationDeclinePayload>> {
        let outcome = async {
            let door = ctx.door();
            let (user, _) = door.person()?;
            let offer = super::offered(door.lease(), &input.token).await?;
            let mut tx = door.write_person().await?;
            let person = crate::identity::find_many(&mut tx, &[user]).await?.pop().ok_or(Error::NotFound)?;
            offer.acceptable_by(&person.email)?;
            super::decline(tx, &offer).await?;
            let preview = InvitationPreview::from(super::Offer { status: Status::Declined, ..offer });
            Ok(InvitationDeclinePayload { invitation: Some(preview), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Takes an open invitation back; its link is worthless from then on. Requires: `MEMBER_MANAGE`.
    /// Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`.
    #[graphql(guard = "Requires::Here(Action::InvitationRevoke, &input.id)")]
    async fn invitation_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which invitation.")] input: InvitationRevokeInput,
    ) -> async_graphql::Result<Option<InvitationRevokePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let door = ctx.door();
            let (organization, project) = place(ctx, id).await?;
            let mut tx = door
                .write_within(organization, project, Action::InvitationRevoke)
                .await
                .map_err(not_found_at("id"))?;
            let row = super::revoke(&mut tx, id).await?;
            let changes = Changes::between(
                &serde_json::json!({"status": "PENDING"}),
                &serde_json::json!({"status": "REVOKED"}),
            );
            tx.commit(Record::with(Target::invitation(id).within(project), changes)).await?;
            Ok(InvitationRevokePayload {
                invitation: Some(Invitation::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Gives an open invitation a new link, good for a week, and sends it if this server sends mail.
    /// Requires: `MEMBER_MANAGE`. Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`.
    #[graphql(guard = "Requires::Here(Action::InvitationResend, &input.id)")]
    async fn invitation_resend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which invitation.")] input: InvitationResendInput,
    ) -> async_graphql::Result<Option<InvitationResendPayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let door = ctx.door();
            let (organization, project) = place(ctx, id).await?;
            let mut tx = door
                .write_within(organization, project, Action::InvitationResend)
                .await
                .map_err(not_found_at("id"))?;
            let scope = tx.scope()?;
            let configured = door.identity().mailer().is_configured();
            let (row, secret) = super::resend(&mut tx, &scope, id, configured).await?;
            let changes =
                Changes::made(&serde_json::json!({"expiresAt": row.expires_at, "link": crate::db::Redacted}));
            tx.commit(Record::with(Target::invitation(id).within(project), changes)).await?;
            mail_later(ctx, organization, &row, Some(&secret)).await?;
            Ok(InvitationResendPayload {
                accept_url: accept_url(door, Some(&secret)),
                invitation: Some(Invitation::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// Where an invitation of the request's organization leads: its project decides who may touch it.
async fn place(ctx: &Context<'_>, id: InvitationId) -> Result<(OrganizationId, Option<ProjectId>)> {
    let door = ctx.door();
    let missing = not_found_at("id");
    let organization = door.tenant().await.map_err(&missing)?;
    let mut tx = door.read(organization, Action::InvitationList).await.map_err(&missing)?;
    let row = super::find(&mut tx, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
    drop(tx);
    // A role in another project lets nobody know what there is.
    if !door.scope(organization).await?.may_see(row.project, Action::InvitationList.permission()) {
        return Err(missing(Error::NotFound));
    }
    Ok((organization, row.project))
}

/// An invitation of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: InvitationId) -> Result<Option<Invitation>> {
    let door = ctx.door();
    let Some(organization) = visible(door.tenant().await)? else { return Ok(None) };
    let find = async |tx: &mut ReadTx<'_>| Ok(super::find(tx, id).await?.into_iter().collect());
    let project = |row: &super::Invitation| row.project;
    let mut rows = door.read_seen(organization, Action::InvitationList, find, project).await?;
    Ok(rows.pop().map(Invitation::new))
}
