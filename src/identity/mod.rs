//! Who is calling: people, sessions, passwords, tokens and keys.
//!
//! The only room that makes a caller out of a credential and a scope out of a caller.

pub mod credentials;
pub mod graphql;
pub mod master;
mod scopes;
pub mod sealer;
pub(crate) mod store;
pub mod throttle;
pub mod tokens;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::FromRow;
use uuid::Uuid;

use credentials::{About, Hasher, NewPassword, SecretHash, SecretKind};
use master::{MasterKeys, Purpose};
use scopes::Scopes;
use store::TokenPurpose;
use throttle::{Attempt, Throttle, ThrottleSettings};
use tokens::{Claims, Family, Keyring, RefreshKeys, Rotation, SigningKey};

use crate::access::{Action, Caller, Credential, Role, Scope};
use crate::counters::Counters;
use crate::db::page::{Page, Slice};
use crate::db::{Changes, Db, Facts, Lease, PersonTx, ReadTx, Record, SecurityEventKind, Target};
use crate::error::{Error, Fault, FaultCode, Refusal, Result};
use crate::id::{JobId, OrganizationId, SessionId, UserId};
use crate::input;
use crate::mail::{EmailAddress, Links, Mailer, Message};
use crate::telemetry::carried;
use crate::{invitations, organizations};

/// A person.
#[derive(Debug, Clone, FromRow)]
pub struct User {
    /// The stored id.
    pub id: Uuid,
    /// Canonical address.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Their picture.
    pub avatar_url: Option<String>,
    /// When they proved that the address is theirs.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

impl User {
    /// The typed id.
    pub fn id(&self) -> UserId {
        self.id.into()
    }
}

/// A signed-in device.
#[derive(Debug, Clone)]
pub struct Session {
    /// The stored id.
    pub id: Uuid,
    /// What the device said of itself.
    pub user_agent: Option<String>,
    /// Where it signed in from.
    pub ip: Option<String>,
    /// When it signed in.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: DateTime<Utc>,
    /// When it ends, however often it is refreshed.
    pub expires_at: DateTime<Utc>,
}

/// One event of a person's own security log.
#[derive(Debug, Clone)]
pub struct SecurityEvent {
    /// The stored id.
    pub id: Uuid,
    /// What happened.
    pub kind: String,
    /// From where.
    pub ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// Lifetimes and hardness.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// How long an access token is good.
    pub access_lifetime: TimeDelta,
    /// How long a session lasts, however often it is refreshed.
    pub session_lifetime: TimeDelta,
    /// `iss` and `aud` of access tokens: the public address.
    pub issuer: String,
    /// How many attempts are let through.
    pub throttle: ThrottleSettings,
    /// HS256 with this secret instead of the keys in the database.
    pub jwt_secret: Option<SecretString>,
}

/// What a sign-in hands out.
#[derive(Debug)]
pub struct SignedIn {
    /// The access token.
    pub access_token: SecretString,
    /// The refresh token.
    pub refresh_token: SecretString,
    /// When the access token ends.
    pub expires_at: DateTime<Utc>,
    /// The session.
    pub session: SessionId,
    /// Who.
    pub user: UserId,
    /// The organization that the token is for.
    pub organization: Option<OrganizationId>,
}

/// How a caller stood when they were last let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stood {
    /// What proved who they are.
    pub credential: Credential,
    /// The organization that they read, and the version of their rights there; none when they have read none.
    pub rights: Option<(OrganizationId, i64)>,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The session or key is revoked, expired or gone.
    Dead,
    /// It lives; the rights are no longer those.
    Rights,
}

/// Requests that were answered since the last flush.
#[derive(Debug, Default)]
struct Used {
    sessions: HashSet<Uuid>,
    keys: HashSet<Uuid>,
    requests: HashMap<OrganizationId, i64>,
}

/// Everything that identity needs, made once at start.
pub struct Identity {
    db: Db,
    settings: IdentitySettings,
    master: MasterKeys,
    keyring: RwLock<Arc<Keyring>>,
    refresh: RefreshKeys,
    hasher: Hasher,
    mailer: Mailer,
    links: Links,
    scopes: Scopes,
    throttle: Throttle,
    cursor_key: Arc<[u8; 32]>,
    used: Mutex<Used>,
}

/// A new key verifies at once and signs a minute later, when every replica has read it.
const SIGNING_DELAY: TimeDelta = TimeDelta::seconds(60);
const RESET_LIFETIME: TimeDelta = TimeDelta::hours(1);
const VERIFICATION_LIFETIME: TimeDelta = TimeDelta::days(3);

fn wrong_credentials(field: &str) -> Error {
    Error::fault(Fault::at(
        FaultCode::InvalidCredentials,
        field,
        "The e-mail address or the password is wrong. Try again, or reset the password.",
    ))
}

fn bad_link() -> Error {
    Error::fault(Fault::at(
        FaultCode::Expired,
        "token",
        "This link has expired or was used before. Ask for a new one.",
    ))
}

/// What somebody needs to make an account.
#[derive(Debug)]
pub struct NewAccount {
    /// The address.
    pub email: String,
    /// The password.
    pub password: SecretString,
    /// What they are called.
    pub name: String,
    /// A new organization's name …
    pub organization_name: Option<String>,
    /// … or the token of an invitation.
    pub invitation_token: Option<SecretString>,
}

impl Identity {
    /// Reads or makes the signing keys, and readies everything else.
    ///
    /// # Errors
    /// When the database does not answer, or a key cannot be opened with the master key.
    pub async fn start(
        db: Db,
        settings: IdentitySettings,
        master: MasterKeys,
        hasher: Hasher,
        mailer: Mailer,
        links: Links,
        counters: Counters,
    ) -> anyhow::Result<Self> {
        let refresh = RefreshKeys::new(&master);
        let cursor_key = master
            .derive(Purpose::Cursors)
            .first()
            .map(|key| Arc::new(**key))
            .ok_or_else(|| anyhow::anyhow!("there is no master key"))?;
        let keyring = read_keyring(&db, &settings, &master).await?;
        Ok(Self {
            throttle: Throttle::new(settings.throttle, counters),
            db,
            settings,
            master,
            keyring: RwLock::new(Arc::new(keyring)),
            refresh,
            hasher,
            mailer,
            links,
            scopes: Scopes::new(),
            cursor_key,
            used: Mutex::default(),
        })
    }

    /// Lets an organization have a provider of models asked something, so often from an address and in all.
    ///
    /// # Errors
    /// `THROTTLED`.
    pub async fn let_test_a_provider(&self, organization: OrganizationId, lease: &Lease) -> Result<()> {
        let account = organization.to_string();
        self.throttle.pass(Attempt::ProviderTest, Some(&account), lease.facts().ip.as_deref()).await
    }

    /// Lets an organization have it asked whether an account can be used, so often from an address and in all.
    ///
    /// # Errors
    /// `THROTTLED`.
    pub async fn let_test_an_account(&self, organization: OrganizationId, lease: &Lease) -> Result<()> {
        let account = organization.to_string();
        self.throttle.pass(Attempt::AccountTest, Some(&account), lease.facts().ip.as_deref()).await
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the signing keys again, so that a rotation reaches every replica.
    ///
    /// # Errors
    /// When the database does not answer; the keys in use stay.
    pub async fn reload_keys(&self) -> anyhow::Result<()> {
        let keyring = read_keyring(&self.db, &self.settings, &self.master).await?;
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
        Ok(())
    }

    /// A lease for work outside a request.
    pub fn lease(&self, facts: Facts) -> Lease {
        self.db.lease(facts)
    }

    /// How many passwords are being hashed, and how many wait for it.
    pub fn hashing(&self) -> (usize, usize) {
        self.hasher.load()
    }

    /// The public keys, for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> serde_json::Value {
        self.keyring().jwks()
    }

    /// The key of the cursors' seals.
    pub fn cursor_key(&self) -> Arc<[u8; 32]> {
        Arc::clone(&self.cursor_key)
    }

    /// Links for mails.
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// The way mails go out.
    pub const fn mailer(&self) -> &Mailer {
        &self.mailer
    }

    // ------------------------------------------------------------------------------------------ callers and scopes

    /// Recognises an access token: no database is asked.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn recognise_token(&self, token: &str) -> Result<Caller, Refusal> {
        let claims = self.keyring().verify(token, Utc::now())?;
        Ok(Caller {
            credential: Credential::Session { user: claims.user, session: claims.session },
            expires_at: Some(claims.expires_at),
            organization: claims.organization,
            requests_per_minute: None,
        })
    }

    /// Recognises an API key, from the cache or the database.
    ///
    /// # Errors
    /// `Unauthenticated`, or what the database says.
    pub async fn recognise_key(&self, lease: &Lease, text: &str) -> Result<(Caller, SecretHash)> {
        self.scopes.recognise(lease, text).await
    }

    /// The scope of a caller in an organization, and whether the database was asked for it just now.
    ///
    /// # Errors
    /// [`Error::NotFound`] when they do not belong to it.
    pub async fn scope(
        &self,
        lease: &Lease,
        caller: &Caller,
        presented: Option<SecretHash>,
        organization: OrganizationId,
        renew: bool,
    ) -> Result<(Arc<Scope>, bool)> {
        self.scopes.of(lease, caller, presented, organization, renew).await
    }

    /// The scope in the one organization of the caller's that has this slug.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; a fault when there are several.
    pub async fn scope_by_slug(&self, lease: &Lease, caller: &Caller, slug: &str) -> Result<Arc<Scope>> {
        // What cannot be a slug is nobody's, and never reaches the database.
        input::slug("slug", slug).map_err(|_| Error::NotFound)?;
        self.scopes.by_slug(lease, caller, slug).await
    }

    /// The scope that a claimed job works in, made of what whoever started it may do now.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is nobody left to work for.
    pub async fn scope_of_job(
        &self,
        lease: &Lease,
        organization: OrganizationId,
        job: JobId,
        attempt: i32,
    ) -> Result<Arc<Scope>> {
        scopes::of_job(lease, organization, job, attempt).await
    }

    /// Which callers no longer stand as they did, by their place in the list: one statement for all of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_changed(&self, all: &[Stood]) -> Result<Vec<(usize, Changed)>> {
        let lease = self.db.lease(Facts::default());
        let mut tx = lease.anonymous().await?;
        let rows = store::find_changed(&mut tx, all).await?;
        let read = |(place, alive): (i64, bool)| {
            let place = usize::try_from(place - 1).ok()?;
            Some((place, if alive { Changed::Rights } else { Changed::Dead }))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// The caller's scope in the selected organization, or else in their own, when the database has shown it before.
    pub fn known_scope(&self, caller: &Caller, selected: Option<OrganizationId>) -> Option<Arc<Scope>> {
        self.scopes.known(caller, selected)
    }

    /// Notes that a credential was used; written later, for many at once.
    pub fn used(&self, caller: &Caller) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match caller.credential {
            Credential::Session { session, .. } => used.sessions.insert(session.uuid()),
            Credential::ApiKey { key, .. } => used.keys.insert(key.uuid()),
            Credential::Job { .. } => false,
        };
        if let Some(organization) = caller.organization {
            *used.requests.entry(organization).or_default() += 1;
        }
    }

    /// Writes what was used since the last time.
    ///
    /// # Errors
    /// When the database does not answer; what was noted is then written the next time.
    pub async fn flush_used(&self) -> Result<()> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.sessions.is_empty() && used.keys.is_empty() {
            return Ok(());
        }
        let sessions: Vec<Uuid> = used.sessions.iter().copied().collect();
        let keys: Vec<Uuid> = used.keys.iter().copied().collect();
        let (organizations, counts): (Vec<Uuid>, Vec<i64>) =
            used.requests.iter().map(|(organization, count)| (organization.uuid(), *count)).unzip();
        let lease = self.db.lease(Facts::default());
        let written = async {
            let mut tx = lease.anonymous().await?;
            store::touch(&mut tx, &sessions, &keys).await?;
            store::count_requests(&mut tx, &organizations, &counts).await
        };
        let outcome = written.await;
        if outcome.is_err() {
            let mut now = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            now.sessions.extend(used.sessions);
            now.keys.extend(used.keys);
            for (organization, count) in used.requests {
                *now.requests.entry(organization).or_default() += count;
            }
        }
        outcome
    }

    // ------------------------------------------------------------------------------------------ signing in

    fn tokens(
        &self,
        user: UserId,
        session: SessionId,
        organization: Option<OrganizationId>,
        generation: u32,
        session_ends: DateTime<Utc>,
    ) -> Result<SignedIn> {
        let now = Utc::now();
        let lifetime = self.settings.access_lifetime.min(session_ends - now);
        let claims = Claims::new(user, session, organization, now, lifetime);
        Ok(SignedIn {
            access_token: self.keyring().sign(&claims)?,
            refresh_token: self.refresh.issue(session, user, generation),
            expires_at: claims.expires_at,
            session,
            user,
            organization,
        })
    }

    /// Makes an account, with a new organization and its default project, or into an invitation.
    ///
    /// # Errors
    /// Faults of the input; `ALREADY_EXISTS` for a known address.
    pub async fn sign_up(&self, lease: &Lease, new: NewAccount) -> Result<SignedIn> {
        self.throttle.pass(Attempt::SignUp, None, lease.facts().ip.as_deref()).await?;
        let email = EmailAddress::parse(&new.email).map_err(Error::fault)?;
        let name = input::line("name", &new.name, 100)?;
        let about = About { email: email.as_str(), name: &name };
        let password =
            NewPassword::parse(new.password.expose_secret(), about, "password").map_err(Error::fault)?;
        let destination = match (&new.organization_name, &new.invitation_token) {
            (Some(name), None) => Destination::Found(input::line("organizationName", name, 100)?),
            (None, Some(token)) => {
                let offer = invitations::offered(lease, token.expose_secret()).await?;
                offer.acceptable_by(email.as_str())?;
                Destination::Join(offer)
            }
            _ => {
                return Err(Error::fault(Fault::at(
                    FaultCode::Required,
                    "organizationName",
                    "Give either `organizationName`, to found an organization, or `invitationToken`, to join one.",
                )));
            }
        };
        // Hashing takes a while: no connection is held meanwhile.
        lease.release().await;
        let hash = self.hasher.hash(&password).await?;

        let (user, session) = (UserId::generate(), SessionId::generate());
        let organization = match &destination {
            Destination::Found(_) => OrganizationId::generate(),
            Destination::Join(offer) => offer.organization(),
        };
        let session_ends = Utc::now() + self.settings.session_lifetime;
        let mut tx = lease.identify(user, session).await?;
        store::insert_user(&mut tx, user, email.as_str(), &name).await?;
        store::set_password(&mut tx, hash.expose_secret()).await?;
        store::insert_session(&mut tx, session, Some(organization), session_ends).await?;
        tx.note(SecurityEventKind::SignedUp).await?;
        match destination {
            Destination::Found(name) => {
                let mut tx = tx.step_into(organization, Action::OrganizationCreate, Role::Owner).await?;
                let founded =
                    organizations::found(&mut tx, user, organizations::NewOrganization::named(name)).await?;
                tx.commit(Record::with(Target::organization(organization), Changes::made(&founded.logged())))
                    .await?;
            }
            // The token came to the address by mail or was handed over by the inviter; it proves the invitation, and
            // the address itself is proved by its own link.
            Destination::Join(offer) => invitations::join(tx, &offer).await?,
        }
        self.tokens(user, session, Some(organization), 0, session_ends)
    }

    /// Signs in with address and password. Unknown and known addresses answer alike, in text and time.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS` or `THROTTLED`; `NOT_FOUND` for an organization that the person does not belong to.
    pub async fn sign_in(
        self: &Arc<Self>,
        lease: &Lease,
        email: &str,
        password: &SecretString,
        organization: Option<OrganizationId>,
    ) -> Result<SignedIn> {
        let ip = lease.facts().ip.clone();
        let email = EmailAddress::parse(email).ok();
        let account = email.as_ref().map(EmailAddress::as_str);
        let turn = self.throttle.enter(Attempt::SignIn, account, ip.as_deref()).await?;
        let found = match account {
            Some(email) => {
                let mut tx = lease.anonymous().await?;
                store::find_login(&mut tx, email).await?
            }
            None => None,
        };
        lease.release().await;
        let stored = found.as_ref().and_then(|(_, hash)| hash.as_deref());
        let verified = self.hasher.verify(password.expose_secret(), stored).await?;
        let (user, verified_against) = match (verified.ok, found) {
            (true, Some((user, Some(hash)))) => (user, hash),
            (_, found) => {
                turn.failed();
                if let Some((user, _)) = found {
                    self.note_later(user, SecurityEventKind::SignInFailed, lease.facts().clone());
                }
                return Err(wrong_credentials("password"));
            }
        };
        let upgraded = if verified.needs_upgrade {
            Some(self.hasher.rehash(password.expose_secret()).await?)
        } else {
            None
        };
        let session = SessionId::generate();
        let mut tx = lease.identify(user, session).await?;
        // Comparing took a while. Whoever changed the password meanwhile has ended every session, and this one must not
        // begin behind their back, nor an upgrade bring the old password back.
        if !store::lock_password(&mut tx, verified_against).await? {
            return Err(wrong_credentials("password"));
        }
        turn.succeeded().await;
        if let Some(hash) = upgraded {
            store::set_password(&mut tx, hash.expose_secret()).await?;
        }
        self.open_session(tx, organization, SecurityEventKind::SignedIn).await
    }

    /// Opens the session that the transaction was identified for.
    async fn open_session(
        &self,
        mut tx: PersonTx<'_>,
        wanted: Option<OrganizationId>,
        kind: SecurityEventKind,
    ) -> Result<SignedIn> {
        let (user, session) = (tx.user(), tx.session());
        let organization = store::choose_organization(&mut tx, wanted.map(OrganizationId::uuid)).await?;
        if wanted.is_some() && wanted != organization {
            return Err(Error::fault(Fault::at(
                FaultCode::NotFound,
                "organizationId",
                "You do not belong to this organization. Leave `organizationId` out, or ask for an invitation.",
            )));
        }
        let session_ends = Utc::now() + self.settings.session_lifetime;
        store::insert_session(&mut tx, session, organization, session_ends).await?;
        tx.commit(kind).await?;
        self.tokens(user, session, organization, 0, session_ends)
    }

    /// Notes a security event after the answer, so that the answer's time does not tell whether the account exists.
    fn note_later(self: &Arc<Self>, user: UserId, kind: SecurityEventKind, facts: Facts) {
        let this = Arc::clone(self);
        tokio::spawn(carried(async move {
            let lease = this.db.lease(facts);
            let outcome = async { lease.identify(user, SessionId::generate()).await?.commit(kind).await };
            if let Err(error) = outcome.await {
                tracing::warn!(user.id = %user, "a security event was not written: {error}");
            }
        }));
    }

    /// Exchanges a refresh token for its successor.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS` when it is not accepted; a used one ends its session.
    pub async fn refresh(&self, lease: &Lease, token: &str) -> Result<SignedIn> {
        let refused = || {
            Error::fault(Fault::at(
                FaultCode::InvalidCredentials,
                "refreshToken",
                "This refresh token is not accepted. Sign in again.",
            ))
        };
        // Whoever cannot derive a token is refused without a look-up.
        let claims = self.refresh.parse(token).ok_or_else(refused)?;
        let mut tx = lease.identify(claims.user, claims.session).await?;
        let chain = store::lock_chain(&mut tx, claims.session).await?.ok_or_else(refused)?;
        let family = Family {
            generation: chain.generation.unsigned_abs(),
            rotated_at: chain.rotated_at,
            expires_at: chain.expires_at,
            revoked: chain.revoked_at.is_some(),
        };
        let generation = match family.rotate(claims.generation, chain.now) {
            Rotation::Refused => return Err(refused()),
            Rotation::Reuse => {
                store::revoke_sessions(&mut tx, Some(claims.session), None).await?;
                tx.commit(SecurityEventKind::RefreshReused).await?;
                return Err(refused());
            }
            Rotation::Same(generation) => {
                let organization = store::choose_organization(&mut tx, chain.issued_for).await?;
                drop(tx);
                return self.tokens(claims.user, claims.session, organization, generation, chain.expires_at);
            }
            Rotation::Advance(generation) => generation,
        };
        let stored = i32::try_from(generation).map_err(Error::internal)?;
        store::advance_chain(&mut tx, claims.session, stored).await?;
        let organization = store::choose_organization(&mut tx, chain.issued_for).await?;
        tx.commit(SecurityEventKind::Refreshed).await?;
        self.tokens(claims.user, claims.session, organization, generation, chain.expires_at)
    }

    /// Signs in to another organization of the person's: a session of its own, so that two tabs never share a chain.
    ///
    /// # Errors
    /// `NOT_FOUND` when they do not belong to it.
    pub async fn switch(&self, tx: PersonTx<'_>, organization: OrganizationId) -> Result<SignedIn> {
        let tx = tx.as_session(SessionId::generate());
        self.open_session(tx, Some(organization), SecurityEventKind::OrganizationSwitched).await
    }

    // ------------------------------------------------------------------------------------------ passwords and links

    /// Changes the password of a signed-in person; their other sessions end.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS`, or what the policy says.
    pub async fn change_password(
        self: &Arc<Self>,
        lease: &Lease,
        person: Credential,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<()> {
        let (user, ip) = (person.user(), lease.facts().ip.clone());
        let account = user.to_string();
        let turn = self.throttle.enter(Attempt::SignIn, Some(&account), ip.as_deref()).await?;
        let about = {
            let mut tx = lease.write_person(person).await?;
            first_user(&mut tx).await?
        };
        let stored = {
            let mut tx = lease.anonymous().await?;
            store::find_password(&mut tx, user).await?
        };
        lease.release().await;
        if !self.hasher.verify(current.expose_secret(), stored.as_deref()).await?.ok {
            turn.failed();
            return Err(Error::fault(Fault::at(
                FaultCode::InvalidCredentials,
                "currentPassword",
                "The current password is wrong. Try again, or reset it by mail.",
            )));
        }
        let facts = About { email: &about.email, name: &about.name };
        let password = NewPassword::parse(new.expose_secret(), facts, "newPassword").map_err(Error::fault)?;
        let hash = self.hasher.hash(&password).await?;
        let mut tx = lease.write_person(person).await?;
        store::set_password(&mut tx, hash.expose_secret()).await?;
        let own = tx.session();
        store::revoke_sessions(&mut tx, None, Some(own)).await?;
        // A link that somebody else has asked for, or found, is not a way back in.
        store::void_user_tokens(&mut tx, TokenPurpose::PasswordReset).await?;
        tx.commit(SecurityEventKind::PasswordChanged).await?;
        turn.succeeded().await;
        self.mail_later(about.email, self.password_changed(about.name));
        Ok(())
    }

    /// Sends a link to reset a password, if there is such an account; the caller learns nothing either way.
    ///
    /// # Errors
    /// `THROTTLED`, or a malformed address.
    pub async fn request_reset(self: &Arc<Self>, facts: &Facts, email: &str) -> Result<()> {
        let email = EmailAddress::parse(email).map_err(Error::fault)?;
        self.throttle.pass(Attempt::Mail, Some(email.as_str()), facts.ip.as_deref()).await?;
        self.link_later(email, TokenPurpose::PasswordReset, facts.clone());
        Ok(())
    }

    /// Sends a link to verify an address, if there is such an account.
    ///
    /// # Errors
    /// `THROTTLED`, or a malformed address.
    pub async fn request_verification(self: &Arc<Self>, facts: &Facts, email: &str) -> Result<()> {
        let email = EmailAddress::parse(email).map_err(Error::fault)?;
        self.throttle.pass(Attempt::Mail, Some(email.as_str()), facts.ip.as_deref()).await?;
        self.link_later(email, TokenPurpose::EmailVerification, facts.clone());
        Ok(())
    }

    /// Looks, makes and mails after the answer, so that its time does not tell whether the account exists.
    fn link_later(self: &Arc<Self>, email: EmailAddress, purpose: TokenPurpose, facts: Facts) {
        let this = Arc::clone(self);
        tokio::spawn(carried(async move {
            if !this.mailer.is_configured() {
                // Without mail nobody would see the link; `aicos user reset-link` makes one that somebody does.
                return;
            }
            match this.make_link(&email, purpose, facts).await {
                Ok(Some((user, link, expires_at))) => {
                    let message = match purpose {
                        TokenPurpose::PasswordReset => {
                            Message::PasswordReset { name: user.name, link, expires_at }
                        }
                        TokenPurpose::EmailVerification => {
                            Message::EmailVerification { name: user.name, link, expires_at }
                        }
                    };
                    this.send(email.as_str(), message).await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!("a link was not made: {error}"),
            }
        }));
    }

    async fn make_link(
        &self,
        email: &EmailAddress,
        purpose: TokenPurpose,
        facts: Facts,
    ) -> Result<Option<(User, SecretString, DateTime<Utc>)>> {
        let lease = self.db.lease(facts);
        let found = {
            let mut tx = lease.anonymous().await?;
            store::find_login(&mut tx, email.as_str()).await?
        };
        let Some((user, _)) = found else { return Ok(None) };
        let (kind, event, lifetime) = match purpose {
            TokenPurpose::PasswordReset => {
                (SecretKind::PasswordReset, SecurityEventKind::PasswordResetRequested, RESET_LIFETIME)
            }
            TokenPurpose::EmailVerification => (
                SecretKind::EmailVerification,
                SecurityEventKind::EmailVerificationRequested,
                VERIFICATION_LIFETIME,
            ),
        };
        let secret = kind.generate()?;
        let expires_at = Utc::now() + lifetime;
        let mut tx = lease.identify(user, SessionId::generate()).await?;
        let person = first_user(&mut tx).await?;
        store::insert_user_token(&mut tx, purpose, secret.hash.bytes(), expires_at).await?;
        tx.commit(event).await?;
        let link = match purpose {
            TokenPurpose::PasswordReset => self.links.password_reset(&secret.text),
            TokenPurpose::EmailVerification => self.links.email_verification(&secret.text),
        };
        Ok(Some((person, link, expires_at)))
    }

    /// A link to reset somebody's password, for whoever runs the server (`aicos user reset-link`).
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn reset_link(&self, email: &str) -> Result<SecretString> {
        let email = EmailAddress::parse(email).map_err(Error::fault)?;
        let facts = Facts { request_id: "command-line".to_owned(), ..Facts::default() };
        let made = self.make_link(&email, TokenPurpose::PasswordReset, facts).await?;
        made.map(|(_, link, _)| link).ok_or(Error::NotFound)
    }

    /// Sets a new password by a link, ends every session and opens a new one.
    ///
    /// # Errors
    /// `EXPIRED`, or what the policy says.
    pub async fn reset_password(
        self: &Arc<Self>,
        lease: &Lease,
        token: &str,
        new: &SecretString,
    ) -> Result<SignedIn> {
        let (id, user) = self.find_link(lease, token, TokenPurpose::PasswordReset).await?;
        let session = SessionId::generate();
        let person = {
            let mut tx = lease.identify(user, session).await?;
            first_user(&mut tx).await?
        };
        let about = About { email: &person.email, name: &person.name };
        let password = NewPassword::parse(new.expose_secret(), about, "newPassword").map_err(Error::fault)?;
        lease.release().await;
        let hash = self.hasher.hash(&password).await?;
        let mut tx = lease.identify(user, session).await?;
        if !store::use_user_token(&mut tx, id).await? {
            return Err(bad_link());
        }
        store::set_password(&mut tx, hash.expose_secret()).await?;
        store::revoke_sessions(&mut tx, None, None).await?;
        let signed_in = self.open_session(tx, None, SecurityEventKind::PasswordReset).await?;
        self.mail_later(person.email, self.password_changed(person.name));
        Ok(signed_in)
    }

    /// Verifies an address by a link.
    ///
    /// # Errors
    /// `EXPIRED`.
    pub async fn verify_email(&self, lease: &Lease, token: &str) -> Result<User> {
        let (id, user) = self.find_link(lease, token, TokenPurpose::EmailVerification).await?;
        let mut tx = lease.identify(user, SessionId::generate()).await?;
        if !store::use_user_token(&mut tx, id).await? {
            return Err(bad_link());
        }
        store::verify_email(&mut tx).await?;
        let person = first_user(&mut tx).await?;
        tx.commit(SecurityEventKind::EmailVerified).await?;
        Ok(person)
    }

    async fn find_link(&self, lease: &Lease, token: &str, purpose: TokenPurpose) -> Result<(Uuid, UserId)> {
        let ip = lease.facts().ip.clone();
        let turn = self.throttle.enter(Attempt::Mail, None, ip.as_deref()).await?;
        let kind = match purpose {
            TokenPurpose::PasswordReset => SecretKind::PasswordReset,
            TokenPurpose::EmailVerification => SecretKind::EmailVerification,
        };
        let found = match kind.parse(token) {
            Some(hash) => {
                let mut tx = lease.anonymous().await?;
                store::find_user_token(&mut tx, hash.bytes(), purpose).await?
            }
            None => None,
        };
        if found.is_none() {
            turn.failed();
        }
        found.ok_or_else(bad_link)
    }

    fn password_changed(&self, name: String) -> Message {
        Message::PasswordChanged { name, link: self.links.password_forgotten(), changed_at: Utc::now() }
    }

    fn mail_later(self: &Arc<Self>, to: String, message: Message) {
        if self.mailer.is_configured() {
            let this = Arc::clone(self);
            tokio::spawn(carried(async move { this.send(&to, message).await }));
        }
    }

    /// Sends a mail; true when the receiver's server took it.
    pub async fn send(&self, to: &str, message: Message) -> bool {
        let outcome = match EmailAddress::parse(to) {
            Ok(to) => self.mailer.send(&message, &to).await.map_err(Into::into),
            Err(fault) => Err(Error::fault(fault)),
        };
        if let Err(error) = &outcome {
            tracing::warn!("a mail was not sent: {error}");
        }
        outcome.is_ok()
    }
}

enum Destination {
    Found(String),
    Join(invitations::Offer),
}

async fn read_keyring(db: &Db, settings: &IdentitySettings, master: &MasterKeys) -> anyhow::Result<Keyring> {
    if let Some(secret) = &settings.jwt_secret {
        return Ok(Keyring::from_secret(secret, &settings.issuer, &settings.issuer)?);
    }
    let lease = db.lease(Facts::default());
    let mut rows = {
        let mut tx = lease.anonymous().await?;
        store::signing_keys(&mut tx).await?
    };
    if rows.is_empty() {
        add_signing_key(&lease, master, false).await?;
        let mut tx = lease.anonymous().await?;
        rows = store::signing_keys(&mut tx).await?;
    }
    // The first one signs: the newest that every replica has had the time to read, or the newest there is.
    let settled = Utc::now() - SIGNING_DELAY;
    let first = rows
        .iter()
        .position(|row| row.created_at < settled && row.retired_at.is_none_or(|retired| retired > settled))
        .unwrap_or(0);
    if let Some(head) = rows.get_mut(..=first) {
        head.rotate_right(1);
    }
    let keys = rows
        .iter()
        .map(|row| SigningKey::open(master, &row.id, &row.sealed_private_key))
        .collect::<Result<Vec<_>>>()?;
    Ok(Keyring::from_keys(&keys, &settings.issuer, &settings.issuer)?)
}

async fn add_signing_key(lease: &Lease, master: &MasterKeys, rotate: bool) -> Result<String> {
    let key = SigningKey::generate()?;
    let sealed = key.seal(master)?;
    let mut tx = lease.anonymous().await?;
    store::add_signing_key(&mut tx, key.kid(), key.public(), &sealed, rotate).await?;
    Ok(key.kid().to_owned())
}

/// Adds a signing key and retires the one before (`aicos keys rotate`). Servers pick it up within a minute.
///
/// # Errors
/// When the database does not answer.
pub async fn rotate_signing_keys(db: &Db, master: &MasterKeys) -> Result<String> {
    add_signing_key(&db.lease(Facts::default()), master, true).await
}

async fn first_user(tx: &mut PersonTx<'_>) -> Result<User> {
    let user = tx.user().uuid();
    store::users(tx, &[user]).await?.pop().ok_or(Error::Unauthenticated(Refusal::NotAccepted))
}

/// People by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[UserId]) -> Result<Vec<User>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::users(tx, &ids).await
}

/// The person's sessions that are alive, last used first.
///
/// # Errors
/// What the database says.
pub async fn sessions(tx: &mut ReadTx<'_>) -> Result<Vec<Session>> {
    store::sessions(tx).await
}

/// One of the person's own sessions.
///
/// # Errors
/// What the database says.
pub async fn session(tx: &mut ReadTx<'_>, id: SessionId) -> Result<Option<Session>> {
    store::session(tx, id).await
}

/// The person's own security events, newest first.
///
/// # Errors
/// What the database says.
pub async fn security_events(tx: &mut ReadTx<'_>, page: &Page<Uuid>) -> Result<Slice<SecurityEvent>> {
    store::security_events(tx, page).await
}

/// One of the person's own security events.
///
/// # Errors
/// What the database says.
pub async fn security_event(tx: &mut ReadTx<'_>, id: Uuid) -> Result<Option<SecurityEvent>> {
    store::security_event(tx, id).await
}

/// How many security events the person has.
///
/// # Errors
/// What the database says.
pub async fn count_security_events(tx: &mut ReadTx<'_>) -> Result<i64> {
    store::count_security_events(tx).await
}

/// Ends one session of the person's, or every one.
///
/// # Errors
/// What the database says.
pub async fn end_sessions(tx: &mut PersonTx<'_>, only: Option<SessionId>) -> Result<u64> {
    store::revoke_sessions(tx, only, None).await
}

/// Changes the person's profile.
///
/// # Errors
/// What the database says.
pub async fn update_profile(
    tx: &mut PersonTx<'_>,
    name: Option<&str>,
    avatar: Option<Option<&str>>,
) -> Result<User> {
    store::update_user(tx, name, avatar).await
}
