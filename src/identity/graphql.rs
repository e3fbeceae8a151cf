//! People, sessions and signing in, as the schema shows them.

use async_graphql::parser::types::Field;
use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use secrecy::{ExposeSecret as _, SecretString};

use super::{NewAccount, SignedIn};
use crate::access::{Action, Credential as Proof, Permission, Role};
use crate::db::SecurityEventKind;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::connection::{Connection, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, page_args, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::plain::Text;
use crate::graphql::scalars::{DateTime, Url};
use crate::id::{OrganizationId, SecurityEventId, SessionId, UserId};
use crate::input;
use crate::invitations::Delivery;
use crate::memberships::graphql::Membership;
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;

/// A person with an account.
pub struct User {
    row: super::User,
    /// The organization that they were reached through; none for the caller themselves.
    seen_from: Option<OrganizationId>,
}

impl User {
    /// The caller.
    pub const fn own(row: super::User) -> Self {
        Self { row, seen_from: None }
    }

    /// Somebody who shares an organization with the caller.
    pub const fn in_organization(row: super::User, organization: OrganizationId) -> Self {
        Self { row, seen_from: Some(organization) }
    }

    fn is_caller(&self, ctx: &Context<'_>) -> bool {
        ctx.door().user() == Some(self.row.id())
    }
}

/// A person with an account.
#[Object]
impl User {
    /// The person's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id().to_string())
    }

    /// The person's e-mail address. Null unless it is the caller's own, or the caller may manage members in the
    /// organization that they share.
    async fn email(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<&str>> {
        let shown = match self.seen_from {
            _ if self.is_caller(ctx) => true,
            Some(organization) => ctx.door().may(organization, Action::MemberEmailRead.permission()).await?,
            None => false,
        };
        Ok(shown.then_some(self.row.email.as_str()))
    }

    /// What the person is called.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The person's picture.
    async fn avatar_url(&self) -> Option<Url> {
        Url::stored(self.row.avatar_url.as_deref())
    }

    /// Whether the person has proved that the address is theirs.
    async fn email_verified(&self) -> bool {
        self.row.email_verified_at.is_some()
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// Every organization that the person belongs to. Only for the caller; null for everybody else.
    async fn memberships(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<Membership>>> {
        if !self.is_caller(ctx) {
            return Ok(None);
        }
        let door = ctx.door();
        let seal = door.seal(&["memberships", &self.row.id().to_string()]);
        let page = page_args(first, after, last, before).read(&seal)?;
        let slice = crate::memberships::list_own(&mut door.read_person().await?, &page).await?;
        let count: crate::graphql::connection::Counter = Box::new(|ctx| {
            Box::pin(async move {
                let mut tx = ctx.door().read_person().await?;
                crate::memberships::count_own(&mut tx).await.map(Some)
            })
        });
        Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), Membership::new)))
    }

    /// The person's sessions that are alive, last used first. Only for the caller; null for everybody else.
    async fn sessions(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Vec<Session>>> {
        if !self.is_caller(ctx) {
            return Ok(None);
        }
        let rows = super::sessions(&mut ctx.door().read_person().await?).await?;
        Ok(Some(rows.into_iter().map(|row| Session { row }).collect()))
    }

    /// Sign-ins, failures, password and key events outside any organization, newest first. Only for the caller; null for
    /// everybody else.
    async fn security_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without `first` and `last`.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> async_graphql::Result<Option<Connection<SecurityEvent>>> {
        if !self.is_caller(ctx) {
            return Ok(None);
        }
        let door = ctx.door();
        let seal = door.seal(&["securityEvents", &self.row.id().to_string()]);
        let page = page_args(first, after, last, before).read(&seal)?;
        let slice = super::security_events(&mut door.read_person().await?, &page).await?;
        let count: crate::graphql::connection::Counter = Box::new(|ctx| {
            Box::pin(async move {
                let mut tx = ctx.door().read_person().await?;
                super::count_security_events(&mut tx).await.map(Some)
            })
        });
        Ok(Some(connect(slice, &seal, count, |row| row.id, |row| SecurityEvent { row })))
    }
}

/// Writes a field of a person that everybody sees who sees the person.
pub fn plain_user(row: &super::User, field: &Field, out: &mut Text) -> Option<()> {
    match field.name.node.as_str() {
        "id" => out.put(&row.id()),
        "name" => out.put(&row.name),
        "avatarUrl" => out.put(&Url::stored(row.avatar_url.as_deref()).map(|url| url.0)),
        "emailVerified" => out.put(&row.email_verified_at.is_some()),
        "createdAt" => out.put(&DateTime::from(row.created_at)),
        _ => None,
    }
}

/// A signed-in device.
pub struct Session {
    row: super::Session,
}

/// A signed-in device.
#[Object]
impl Session {
    /// The session's id.
    pub async fn id(&self) -> ID {
        ID(SessionId::from(self.row.id).to_string())
    }

    /// Whether it is the one that asks.
    async fn current(&self, ctx: &Context<'_>) -> bool {
        ctx.door().person().is_ok_and(|(_, session)| session.uuid() == self.row.id)
    }

    /// What the device said of itself when it signed in.
    async fn user_agent(&self) -> Option<&str> {
        self.row.user_agent.as_deref()
    }

    /// The address that it signed in from.
    async fn ip(&self) -> Option<&str> {
        self.row.ip.as_deref()
    }

    /// When it signed in.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last used, to the minute.
    async fn last_used_at(&self) -> DateTime {
        self.row.last_used_at.into()
    }

    /// When it ends, however often it is refreshed.
    async fn expires_at(&self) -> DateTime {
        self.row.expires_at.into()
    }
}

/// One event of a person's own security log.
pub struct SecurityEvent {
    row: super::SecurityEvent,
}

/// One event of a person's own security log.
#[Object]
impl SecurityEvent {
    /// The event's id.
    pub async fn id(&self) -> ID {
        ID(SecurityEventId::from(self.row.id).to_string())
    }

    /// What happened, for example `login.failed`.
    async fn kind(&self) -> &str {
        &self.row.kind
    }

    /// The address that it came from.
    async fn ip(&self) -> Option<&str> {
        self.row.ip.as_deref()
    }

    /// What the device said of itself.
    async fn user_agent(&self) -> Option<&str> {
        self.row.user_agent.as_deref()
    }

    /// When it happened.
    async fn occurred_at(&self) -> DateTime {
        self.row.occurred_at.into()
    }
}

impl Node for SecurityEvent {}

/// What a request is authenticated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum CredentialKind {
    /// An access token of a signed-in session.
    Session,
    /// An API key.
    ApiKey,
}

/// What this credential is and may do.
#[derive(SimpleObject)]
pub struct Credential {
    /// What kind it is.
    kind: CredentialKind,
    /// The organization that it acts in by default.
    organization: Option<Organization>,
    /// The one project that it is limited to, if it is limited to one.
    project: Option<Project>,
    /// The role in the organization; null for an API key.
    role: Option<Role>,
    /// What it may do in the organization as a whole, or in its project if it is limited to one.
    permissions: Vec<Permission>,
    /// When it ends by itself.
    expires_at: Option<DateTime>,
}

/// What an access token, a new session or a new account is answered with.
#[derive(Default, SimpleObject)]
pub struct AuthPayload {
    /// Send it as `Authorization: Bearer …`.
    access_token: Option<String>,
    /// Exchange it with `tokenRefresh` before or after the access token has expired; each one is used once.
    refresh_token: Option<String>,
    /// When the access token expires.
    expires_at: Option<DateTime>,
    /// The person who is signed in now.
    user: Option<User>,
    /// The organization that the token is for.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What a logout is answered with.
#[derive(Default, SimpleObject)]
pub struct LogoutPayload {
    /// How many sessions were ended.
    revoked_count: i32,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What ending a session is answered with.
#[derive(Default, SimpleObject)]
pub struct SessionRevokePayload {
    /// The session that was ended.
    revoked_session_id: Option<ID>,
    /// The caller, whose list of sessions has changed.
    viewer: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing a password is answered with.
#[derive(Default, SimpleObject)]
pub struct PasswordChangePayload {
    /// The caller.
    viewer: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What asking for a reset is answered with: the same for known and unknown addresses.
#[derive(Default, SimpleObject)]
pub struct PasswordResetRequestPayload {
    /// Whether the request was taken.
    accepted: bool,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What asking for a verification is answered with: the same for known and unknown addresses.
#[derive(Default, SimpleObject)]
pub struct EmailVerificationRequestPayload {
    /// Whether this server sends mail at all.
    delivery: Option<Delivery>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What verifying an address is answered with.
#[derive(Default, SimpleObject)]
pub struct EmailVerifyPayload {
    /// The person whose address it is.
    user: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing a profile is answered with.
#[derive(Default, SimpleObject)]
pub struct UserUpdatePayload {
    /// The person.
    user: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(
    AuthPayload,
    LogoutPayload,
    SessionRevokePayload,
    PasswordChangePayload,
    PasswordResetRequestPayload,
    EmailVerificationRequestPayload,
    EmailVerifyPayload,
    UserUpdatePayload,
);

/// A new account.
#[derive(InputObject)]
struct SignupInput {
    /// The address to sign in with.
    email: String,
    /// 10 to 200 characters, not one that is easy to guess.
    password: String,
    /// What the person is called, 1 to 100 characters.
    name: String,
    /// Either a new organization's name, 1 to 100 characters …
    organization_name: Option<String>,
    /// … or the token of an invitation to accept.
    invitation_token: Option<String>,
}

/// Address and password.
#[derive(InputObject)]
struct LoginInput {
    /// The address.
    email: String,
    /// The password.
    password: String,
    /// The organization to act in; without it the oldest of one's own.
    organization_id: Option<ID>,
}

/// A refresh token.
#[derive(InputObject)]
struct TokenRefreshInput {
    /// The newest one of its session.
    refresh_token: String,
}

/// Another organization.
#[derive(InputObject)]
struct OrganizationSwitchInput {
    /// One that the caller belongs to.
    organization_id: ID,
}

/// How far to sign out.
#[derive(InputObject)]
struct LogoutInput {
    /// Also ends every other session of the caller.
    #[graphql(default = false)]
    everywhere: bool,
}

/// One session.
#[derive(InputObject)]
struct SessionRevokeInput {
    /// One of the caller's own.
    id: ID,
}

/// The old password and a new one.
#[derive(InputObject)]
struct PasswordChangeInput {
    /// The password until now.
    current_password: String,
    /// 10 to 200 characters, not one that is easy to guess.
    new_password: String,
}

/// Who has forgotten their password.
#[derive(InputObject)]
struct PasswordResetRequestInput {
    /// The answer is the same for known and unknown addresses.
    email: String,
}

/// A link's token and a new password.
#[derive(InputObject)]
struct PasswordResetInput {
    /// The token of the link; it is good for one hour and one use.
    token: String,
    /// 10 to 200 characters, not one that is easy to guess.
    new_password: String,
}

/// Whose address to verify.
#[derive(InputObject)]
struct EmailVerificationRequestInput {
    /// Defaults to the caller's address.
    email: Option<String>,
}

/// A link's token.
#[derive(InputObject)]
struct EmailVerifyInput {
    /// The token of the link; it is good for three days and one use.
    token: String,
}

/// A change of the profile: absent leaves unchanged, null clears.
#[derive(InputObject)]
struct UserUpdateInput {
    /// What the person is called, 1 to 100 characters; cannot be cleared.
    name: MaybeUndefined<String>,
    /// The person's picture, an http(s) address of at most 2,000 characters.
    avatar_url: MaybeUndefined<Url>,
}

async fn caller_of(ctx: &Context<'_>) -> Result<User> {
    let rows = ctx.door().call_person(super::store::viewer()).await?;
    rows.into_iter().next().map(User::own).ok_or(Error::NotFound)
}

/// The answer to a sign-in. Its fields are read as the new session, which is the caller from here on.
async fn signed_in(ctx: &Context<'_>, signed_in: SignedIn) -> Result<AuthPayload> {
    let user = {
        let mut tx = ctx.door().lease().read_person(signed_in.user, signed_in.session).await?;
        super::find_many(&mut tx, &[signed_in.user]).await?.pop().ok_or(Error::NotFound)?
    };
    let organization = match signed_in.organization {
        Some(id) => {
            let mut tx = ctx.door().lease().read_person(signed_in.user, signed_in.session).await?;
            crate::organizations::find_many(&mut tx, &[id]).await?.pop().map(Organization::loaded)
        }
        None => None,
    };
    ctx.door().become_session(&signed_in).await;
    Ok(AuthPayload {
        access_token: Some(signed_in.access_token.expose_secret().to_owned()),
        refresh_token: Some(signed_in.refresh_token.expose_secret().to_owned()),
        expires_at: Some(signed_in.expires_at.into()),
        user: Some(User::own(user)),
        organization,
        user_errors: Vec::new(),
    })
}

/// Who is asking.
#[derive(Default)]
pub struct IdentityQuery;

#[Object]
impl IdentityQuery {
    /// The signed-in user. Null when anonymous or when the credential is an API key. Needs no credential.
    async fn viewer(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<User>> {
        let door = ctx.door();
        if door.is_anonymous() {
            return Ok(None);
        }
        match door.caller()?.credential {
            Proof::ApiKey { .. } | Proof::Job { .. } => Ok(None),
            Proof::Session { .. } => Ok(visible(caller_of(ctx).await)?),
        }
    }

    /// What this credential is and may do. Null when anonymous. Needs no credential.
    async fn credential(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Credential>> {
        let door = ctx.door();
        if door.is_anonymous() {
            return Ok(None);
        }
        let caller = door.caller()?;
        let kind = match caller.credential {
            Proof::Session { .. } => CredentialKind::Session,
            Proof::ApiKey { .. } | Proof::Job { .. } => CredentialKind::ApiKey,
        };
        // Opening a transaction verifies the credential, which a cached scope does not.
        if kind == CredentialKind::Session {
            drop(door.read_person().await?);
        }
        let expires_at = caller.expires_at.map(Into::into);
        let nowhere = Credential {
            kind,
            organization: None,
            project: None,
            role: None,
            permissions: Vec::new(),
            expires_at,
        };
        let Some(organization) = visible(door.tenant().await)? else { return Ok(Some(nowhere)) };
        let Some(scope) = visible(door.confirmed(organization).await)? else { return Ok(Some(nowhere)) };
        let (project, permissions) = match scope.bound_project() {
            Some(id) => (loader::project(ctx, organization, id).await?, scope.permissions_in(id)),
            None => (None, scope.permissions()),
        };
        let row = loader::owner(ctx, organization).await?;
        Ok(Some(Credential {
            organization: row.map(Organization::loaded),
            project: project.map(Project::new),
            role: scope.role(),
            permissions: permissions.iter().collect(),
            ..nowhere
        }))
    }
}

/// Accounts, sessions and passwords.
#[derive(Default)]
pub struct IdentityMutation;

#[Object]
impl IdentityMutation {
    /// Makes an account: with a new organization and its default project, or with an invitation. The answer signs in.
    /// Needs no credential. Codes: `REQUIRED`, `INVALID`, `TOO_LONG`, `TOO_SHORT`, `WEAK_PASSWORD`, `ALREADY_EXISTS`,
    /// `NOT_FOUND`, `EXPIRED`, `QUOTA_EXCEEDED`, `THROTTLED`.
    async fn signup(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: SignupInput,
    ) -> async_graphql::Result<Option<AuthPayload>> {
        let new = NewAccount {
            email: input.email,
            password: input.password.into(),
            name: input.name,
            organization_name: input.organization_name,
            invitation_token: input.invitation_token.map(Into::into),
        };
        let outcome = async {
            let signed = ctx.door().identity().sign_up(ctx.door().lease(), new).await?;
            signed_in(ctx, signed).await
        };
        Ok(settle(outcome.await)?)
    }

    /// Signs in with address and password. Unknown and known addresses are answered alike. Needs no credential.
    /// Codes: `INVALID_CREDENTIALS`, `NOT_FOUND`, `INVALID`, `THROTTLED`.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Address and password.")] input: LoginInput,
    ) -> async_graphql::Result<Option<AuthPayload>> {
        let outcome = async {
            let organization =
                input.organization_id.as_ref().map(|id| input_id("organizationId", id)).transpose()?;
            let password = SecretString::from(input.password);
            let door = ctx.door();
            let signed = door.identity().sign_in(door.lease(), &input.email, &password, organization).await?;
            signed_in(ctx, signed).await
        };
        Ok(settle(outcome.await)?)
    }

    /// Exchanges a refresh token for a new pair. Within ten seconds the same token gives the same successor again; used
    /// later it ends its session. Needs no credential. Codes: `INVALID_CREDENTIALS`.
    async fn token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: TokenRefreshInput,
    ) -> async_graphql::Result<Option<AuthPayload>> {
        let outcome = async {
            let signed = ctx.door().identity().refresh(ctx.door().lease(), &input.refresh_token).await?;
            signed_in(ctx, signed).await
        };
        Ok(settle(outcome.await)?)
    }

    /// Issues tokens for another organization of the caller's, as a session of its own: two tabs can act in two
    /// organizations. Requires: a signed-in person. Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Person")]
    async fn organization_switch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The organization.")] input: OrganizationSwitchInput,
    ) -> async_graphql::Result<Option<AuthPayload>> {
        let outcome = async {
            let organization = input_id("organizationId", &input.organization_id)?;
            let door = ctx.door();
            let signed = door.identity().switch(door.write_person().await?, organization).await?;
            signed_in(ctx, signed).await
        };
        Ok(settle(outcome.await)?)
    }

    /// Ends the session of the request, or every session of the caller. Requires: a signed-in person. Codes: none.
    #[graphql(guard = "Requires::Person")]
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How far.")] input: LogoutInput,
    ) -> async_graphql::Result<Option<LogoutPayload>> {
        let outcome = async {
            let (_, session) = ctx.door().person()?;
            let mut tx = ctx.door().write_person().await?;
            let count = super::end_sessions(&mut tx, (!input.everywhere).then_some(session)).await?;
            tx.commit(SecurityEventKind::SignedOut).await?;
            Ok(LogoutPayload {
                revoked_count: i32::try_from(count).unwrap_or(i32::MAX),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Ends one of the caller's own sessions. Requires: a signed-in person. Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Person")]
    async fn session_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session.")] input: SessionRevokeInput,
    ) -> async_graphql::Result<Option<SessionRevokePayload>> {
        let outcome = async {
            let id: SessionId = input_id("id", &input.id)?;
            let viewer = caller_of(ctx).await?;
            let mut tx = ctx.door().write_person().await?;
            if super::end_sessions(&mut tx, Some(id)).await? == 0 {
                return Err(Error::fault(Fault::at(
                    FaultCode::NotFound,
                    "id",
                    "There is no such session, or it has ended.",
                )));
            }
            tx.commit(SecurityEventKind::SessionRevoked).await?;
            Ok(SessionRevokePayload {
                revoked_session_id: Some(input.id),
                viewer: Some(viewer),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes the caller's password and ends their other sessions. Requires: a signed-in person.
    /// Codes: `INVALID_CREDENTIALS`, `INVALID`, `TOO_LONG`, `TOO_SHORT`, `WEAK_PASSWORD`, `THROTTLED`.
    #[graphql(guard = "Requires::Person")]
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The old and the new password.")] input: PasswordChangeInput,
    ) -> async_graphql::Result<Option<PasswordChangePayload>> {
        let outcome = async {
            let door = ctx.door();
            let (current, new) = (input.current_password.into(), input.new_password.into());
            door.identity().change_password(door.lease(), door.caller()?.credential, &current, &new).await?;
            Ok(PasswordChangePayload { viewer: Some(caller_of(ctx).await?), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Sends a link that resets a password, if there is such an account; the answer is the same if there is none.
    /// Without mail on this server, whoever runs it makes the link with `aicos user reset-link`. Needs no credential.
    /// Codes: `INVALID`, `REQUIRED`, `TOO_LONG`, `THROTTLED`.
    async fn password_reset_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose password.")] input: PasswordResetRequestInput,
    ) -> async_graphql::Result<Option<PasswordResetRequestPayload>> {
        let outcome = ctx.door().identity().request_reset(ctx.door().lease().facts(), &input.email).await;
        Ok(settle(outcome.map(|()| PasswordResetRequestPayload { accepted: true, user_errors: Vec::new() }))?)
    }

    /// Sets a new password by a link, ends every session of the person and signs in. Needs no credential.
    /// Codes: `EXPIRED`, `INVALID`, `TOO_LONG`, `TOO_SHORT`, `WEAK_PASSWORD`, `THROTTLED`.
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token and a new password.")] input: PasswordResetInput,
    ) -> async_graphql::Result<Option<AuthPayload>> {
        let outcome = async {
            let door = ctx.door();
            let new = input.new_password.into();
            let signed = door.identity().reset_password(door.lease(), &input.token, &new).await?;
            signed_in(ctx, signed).await
        };
        Ok(settle(outcome.await)?)
    }

    /// Sends a link that verifies an address, if there is such an account; the answer is the same if there is none.
    /// Needs no credential when an address is given. Codes: `REQUIRED`, `INVALID`, `TOO_LONG`, `THROTTLED`.
    async fn email_verification_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose address.")] input: EmailVerificationRequestInput,
    ) -> async_graphql::Result<Option<EmailVerificationRequestPayload>> {
        let outcome = async {
            let email = match input.email {
                Some(email) => email,
                None => caller_of(ctx).await?.row.email,
            };
            let identity = ctx.door().identity();
            identity.request_verification(ctx.door().lease().facts(), &email).await?;
            let delivery = Delivery::about_to_send(identity.mailer().is_configured());
            Ok(EmailVerificationRequestPayload { delivery: Some(delivery), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Verifies an address by a link. Needs no credential. Codes: `EXPIRED`, `THROTTLED`.
    async fn email_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token.")] input: EmailVerifyInput,
    ) -> async_graphql::Result<Option<EmailVerifyPayload>> {
        let outcome = async {
            let user = ctx.door().identity().verify_email(ctx.door().lease(), &input.token).await?;
            Ok(EmailVerifyPayload { user: Some(User::own(user)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes the caller's profile. Requires: a signed-in person.
    /// Codes: `REQUIRED`, `INVALID`, `TOO_LONG`, `UNSAFE_URL`.
    #[graphql(guard = "Requires::Person")]
    async fn user_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UserUpdateInput,
    ) -> async_graphql::Result<Option<UserUpdatePayload>> {
        let outcome = async {
            let name = kept("name", input.name)?.map(|name| input::line("name", &name, 100)).transpose()?;
            let avatar = match input.avatar_url {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(Url(url)) => Some(Some(input::url("avatarUrl", &url)?)),
            };
            let mut tx = ctx.door().write_person().await?;
            let avatar = avatar.as_ref().map(Option::as_deref);
            let user = super::update_profile(&mut tx, name.as_deref(), avatar).await?;
            tx.commit(SecurityEventKind::ProfileChanged).await?;
            Ok(UserUpdatePayload { user: Some(User::own(user)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }
}

/// A field that can be changed but not cleared.
///
/// # Errors
/// `REQUIRED` for null.
pub fn kept<T>(field: &str, value: MaybeUndefined<T>) -> Result<Option<T>> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Value(value) => Ok(Some(value)),
        MaybeUndefined::Null => Err(Error::fault(Fault::at(
            FaultCode::Required,
            field,
            format!("`{field}` cannot be cleared. Leave it out to keep it."),
        ))),
    }
}

/// Absent, null or a value, as the operations take it.
pub fn cleared<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// One node of the caller's own: themselves, a session or a security event; or somebody of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn user_node(ctx: &Context<'_>, id: UserId) -> Result<Option<User>> {
    let door = ctx.door();
    if door.user() == Some(id) {
        return visible(caller_of(ctx).await);
    }
    let Some(organization) = visible(door.tenant().await)? else { return Ok(None) };
    Ok(loader::user(ctx, organization, id).await?.map(|row| User::in_organization(row, organization)))
}

/// A session of the caller's own.
///
/// # Errors
/// What the database says.
pub async fn session_node(ctx: &Context<'_>, id: SessionId) -> Result<Option<Session>> {
    if ctx.door().person().is_err() {
        return Ok(None);
    }
    let row = super::session(&mut ctx.door().read_person().await?, id).await?;
    Ok(row.map(|row| Session { row }))
}

/// A security event of the caller's own.
///
/// # Errors
/// What the database says.
pub async fn security_event_node(ctx: &Context<'_>, id: SecurityEventId) -> Result<Option<SecurityEvent>> {
    if ctx.door().person().is_err() {
        return Ok(None);
    }
    let row = super::security_event(&mut ctx.door().read_person().await?, id.uuid()).await?;
    Ok(row.map(|row| SecurityEvent { row }))
}
