//! What a request may do and what it holds: the one way from a resolver to the database.
//!
//! A [`Door`] is made before any resolver runs. It knows the caller, the organization that the request is for, and the
//! request's hold on the database; it makes scopes when they are first needed, opens transactions with them, and makes a
//! scope again, once, when the database says that the caller's rights have changed since.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Guard, ID};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use tokio::sync::Mutex;

use super::live::Pulse;
use super::loader::Rows;
use super::node::Budget;
use crate::access::{Action, Caller, Credential, Permission, Scope};
use crate::db::page::{PageArgs, Seal};
use crate::db::{Call, Entry, Lease, PersonTx, ReadTx, Record, Target, WriteTx};
use crate::error::{Error, Fault, FaultCode, Refusal, Result};
use crate::events::Events;
use crate::id::{OrganizationId, ProjectId, SessionId, UserId, WireId};
use crate::identity::credentials::SecretHash;
use crate::identity::{Identity, SignedIn};

/// The organization that a request names in a header.
#[derive(Debug, Clone)]
pub enum OrganizationSelector {
    /// By id.
    Id(OrganizationId),
    /// By slug, among the caller's own.
    Slug(String),
}

/// The project that a request narrows itself to.
#[derive(Debug, Clone)]
pub enum ProjectSelector {
    /// By id.
    Id(ProjectId),
    /// By slug, in the request's organization.
    Slug(String),
}

/// What the headers of a request say.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Who is asking, or why nobody is.
    pub caller: Result<Caller, Refusal>,
    /// The secret of an API key as it was presented, hashed.
    pub presented: Option<SecretHash>,
    /// `X-Organization`.
    pub organization: Option<OrganizationSelector>,
    /// `X-Project`.
    pub project: Option<ProjectSelector>,
}

#[derive(Debug, Clone)]
struct Held {
    scope: Arc<Scope>,
    /// Whether it was made from the database in this request.
    fresh: bool,
    /// Whether the database has verified it, and that its credential is alive, in this request. Set without a lock: a
    /// transaction may be open meanwhile.
    confirmed: Arc<AtomicBool>,
}

impl Held {
    fn new(scope: Arc<Scope>, fresh: bool) -> Self {
        Self { scope, fresh, confirmed: Arc::default() }
    }

    fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
    }

    fn is_current(&self) -> bool {
        self.fresh || self.is_confirmed()
    }

    fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Scopes {
    held: HashMap<OrganizationId, Held>,
    /// The request's own organization, once it is known; none when there is none.
    default: Option<Option<OrganizationId>>,
}

/// One request's way to the database.
pub struct Door {
    identity: Arc<Identity>,
    intent: Intent,
    /// Who has signed in by this very request: from then on they are the caller.
    newcomer: OnceLock<Caller>,
    lease: Lease,
    scopes: Mutex<Scopes>,
    pulse: Pulse,
    /// The organizations that were read at the last look, with the version of the caller's rights there.
    stood: std::sync::Mutex<Vec<(OrganizationId, i64)>>,
}

/// What resolvers find in their request's data.
pub struct RequestContext {
    /// The way to the database.
    pub door: Arc<Door>,
    /// What is fetched together.
    pub rows: DataLoader<Rows>,
    /// What the request was charged.
    pub budget: OnceLock<Budget>,
    /// Where the request came from.
    pub address: IpAddr,
}

impl RequestContext {
    /// The context of a request that has not been charged yet.
    pub fn new(door: Arc<Door>, address: IpAddr) -> Self {
        Self { rows: super::loader::new(Arc::clone(&door)), door, budget: OnceLock::new(), address }
    }
}

const TWO_TENANTS: &str =
    "This names another organization than the header X-Organization. Send one of them, or the same twice.";

/// Shortcuts for resolvers.
pub trait ContextExt<'a> {
    /// The request's door.
    fn door(&self) -> &'a Arc<Door>;
}

impl<'a> ContextExt<'a> for Context<'a> {
    fn door(&self) -> &'a Arc<Door> {
        &self.data_unchecked::<Arc<RequestContext>>().door
    }
}

impl Door {
    /// The door of one request.
    pub fn new(identity: Arc<Identity>, intent: Intent, lease: Lease) -> Self {
        Self {
            identity,
            intent,
            newcomer: OnceLock::new(),
            lease,
            scopes: Mutex::default(),
            pulse: Pulse::default(),
            stood: std::sync::Mutex::default(),
        }
    }

    /// A door of its own for the same caller, for work that goes on after the answer: it holds no connection of the
    /// request's.
    #[must_use]
    pub fn apart(&self) -> Self {
        let lease = self.identity.lease(self.lease.facts().clone());
        Self::new(Arc::clone(&self.identity), self.intent.clone(), lease)
    }

    /// Signing in, tokens and mail.
    pub const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The request's hold on the database, for `identity`.
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// What has happened, to whoever listens.
    pub const fn events(&self) -> &Events {
        self.lease.events()
    }

    /// What reaches this door's operation from outside, when it is a live one.
    pub const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Rests between two events of a live operation: gives the connection back, and forgets the caller's rights, so that
    /// the next event is entered anew.
    pub async fn rest(&self) {
        let mut scopes = self.scopes.lock().await;
        let confirmed = scopes.held.drain().filter(|(_, held)| held.is_confirmed());
        let stood: Vec<_> = confirmed.map(|(id, held)| (id, held.scope.version())).collect();
        if !stood.is_empty() {
            *self.stood.lock().unwrap_or_else(PoisonError::into_inner) = stood;
        }
        drop(scopes);
        self.lease.release().await;
    }

    /// What the caller's rights were when this door last rested: organizations and versions.
    pub fn stood(&self) -> Vec<(OrganizationId, i64)> {
        self.stood.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who is asking.
    ///
    /// # Errors
    /// `Unauthenticated`, with the reason.
    pub fn caller(&self) -> Result<&Caller> {
        if let Some(newcomer) = self.newcomer.get() {
            return Ok(newcomer);
        }
        self.intent.caller.as_ref().map_err(|refusal| Error::Unauthenticated(*refusal))
    }

    /// Whether no credential was sent.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.caller(), Err(Error::Unauthenticated(Refusal::Missing)))
    }

    /// Takes the person who has just signed in for the caller, so that the rest of the answer is read as them.
    pub async fn become_session(&self, signed_in: &SignedIn) {
        let credential = Credential::Session { user: signed_in.user, session: signed_in.session };
        let caller = Caller {
            credential,
            expires_at: Some(signed_in.expires_at),
            organization: signed_in.organization,
            requests_per_minute: None,
        };
        // A second sign-in in the same request stays the first person's.
        if self.newcomer.set(caller).is_ok() {
            *self.scopes.lock().await = Scopes { default: Some(signed_in.organization), ..Scopes::default() };
        }
    }

    /// The signed-in person and session.
    ///
    /// # Errors
    /// `Unauthenticated`, also for an API key: it is nobody's sign-in.
    pub fn person(&self) -> Result<(UserId, SessionId)> {
        match self.caller()?.credential {
            Credential::Session { user, session } => Ok((user, session)),
            Credential::ApiKey { .. } | Credential::Job { .. } => {
                Err(Error::Unauthenticated(Refusal::NotAccepted))
            }
        }
    }

    /// The signed-in person; none for an API key.
    pub fn user(&self) -> Option<UserId> {
        self.person().ok().map(|(user, _)| user)
    }

    /// The organization that `X-Organization` names by its id.
    pub const fn selected(&self) -> Option<OrganizationId> {
        match &self.intent.organization {
            Some(OrganizationSelector::Id(id)) => Some(*id),
            _ => None,
        }
    }

    /// The organization that the request is for.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none that the caller belongs to.
    pub async fn tenant(&self) -> Result<OrganizationId> {
        let mut scopes = self.scopes.lock().await;
        if let Some(known) = scopes.default {
            return known.ok_or(Error::NotFound);
        }
        let caller = self.caller()?;
        let found = match &self.intent.organization {
            None => caller.organization,
            Some(OrganizationSelector::Id(id)) => Some(*id),
            Some(OrganizationSelector::Slug(slug)) => {
                let scope = self.identity.scope_by_slug(&self.lease, caller, slug).await?;
                let id = scope.organization();
                let scope = self.narrow(scope).await?;
                scopes.held.insert(id, Held::new(scope, true));
                Some(id)
            }
        };
        scopes.default = Some(found);
        found.ok_or(Error::NotFound)
    }

    /// The one organization of the caller's that has this slug.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn by_slug(&self, slug: &str) -> Result<OrganizationId> {
        let caller = self.caller()?;
        Ok(self.identity.scope_by_slug(&self.lease, caller, slug).await?.organization())
    }

    /// The organization that a mutation's input names. It must not contradict `X-Organization`.
    ///
    /// # Errors
    /// A fault at `field`.
    pub async fn named(&self, field: &str, id: OrganizationId) -> Result<OrganizationId> {
        if self.contradicts(id).await? {
            Err(Error::fault(Fault::at(FaultCode::Invalid, field, TWO_TENANTS)))
        } else {
            Ok(id)
        }
    }

    /// The organization that a query's argument names. It must not contradict `X-Organization`.
    ///
    /// # Errors
    /// A fault of the argument.
    pub async fn argued(&self, argument: &str, id: OrganizationId) -> Result<OrganizationId> {
        if self.contradicts(id).await? {
            Err(Error::fault(Fault::of(FaultCode::Invalid, argument, TWO_TENANTS)))
        } else {
            Ok(id)
        }
    }

    async fn contradicts(&self, id: OrganizationId) -> Result<bool> {
        if self.intent.organization.is_none() {
            return Ok(false);
        }
        match self.tenant().await {
            Ok(tenant) => Ok(tenant != id),
            // Not knowing is no contradiction.
            Err(error @ (Error::Unavailable(_) | Error::Timeout)) => Err(error),
            Err(_) => Ok(true),
        }
    }

    /// The scope in an organization, from the request, the cache or the database.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller is not a member.
    pub async fn scope(&self, organization: OrganizationId) -> Result<Arc<Scope>> {
        Ok(self.held(organization, false).await?.scope)
    }

    async fn held(&self, organization: OrganizationId, renew: bool) -> Result<Held> {
        let mut scopes = self.scopes.lock().await;
        if let Some(held) = scopes.held.get(&organization)
            && (!renew || held.is_current())
        {
            return Ok(held.clone());
        }
        let caller = self.caller()?;
        let (scope, fresh) =
            self.identity.scope(&self.lease, caller, self.intent.presented, organization, renew).await?;
        let held = Held::new(self.narrow(scope).await?, fresh);
        scopes.held.insert(organization, held.clone());
        Ok(held)
    }

    /// Narrows a scope to the project of `X-Project`. A project that is not there narrows to nothing.
    async fn narrow(&self, scope: Arc<Scope>) -> Result<Arc<Scope>> {
        let project = match &self.intent.project {
            None => return Ok(scope),
            Some(ProjectSelector::Id(id)) => *id,
            Some(ProjectSelector::Slug(slug)) => {
                let mut tx = self.lease.read(&scope, Action::OrganizationRead).await?;
                crate::projects::id_of_slug(&mut tx, slug).await?.unwrap_or_else(ProjectId::generate)
            }
        };
        Ok(Arc::new(scope.narrow(project)))
    }

    /// Runs a check on the scope; before a refusal the database is asked whether the rights have grown since.
    async fn check(
        &self,
        organization: OrganizationId,
        check: impl Fn(&Scope) -> Result<()>,
    ) -> Result<Held> {
        let held = self.held(organization, false).await?;
        match check(&held.scope) {
            Ok(()) => Ok(held),
            Err(refused) if held.is_current() => Err(refused),
            Err(_) => {
                let held = self.held(organization, true).await?;
                check(&held.scope).map(|()| held)
            }
        }
    }

    /// Whether the caller may, in the organization as a whole. For fields that are null by design.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn may(&self, organization: OrganizationId, permission: Permission) -> Result<bool> {
        self.asks(organization, |scope| scope.may(permission)).await
    }

    /// Whether the caller may, in one project.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn may_in(
        &self,
        organization: OrganizationId,
        project: ProjectId,
        permission: Permission,
    ) -> Result<bool> {
        self.asks(organization, |scope| scope.permissions_in(project).contains(permission)).await
    }

    /// Whether the caller may, in the organization or in one of its projects.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn may_somewhere(&self, organization: OrganizationId, permission: Permission) -> Result<bool> {
        self.asks(organization, |scope| scope.may_somewhere(permission)).await
    }

    /// The scope, once the database has confirmed it in this request.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller is not a member, `Unauthenticated` when they are nobody any more.
    pub async fn confirmed(&self, organization: OrganizationId) -> Result<Arc<Scope>> {
        let held = self.held(organization, false).await?;
        if held.is_confirmed() {
            return Ok(held.scope);
        }
        match self.read(organization, Action::OrganizationRead).await {
            Ok(tx) => drop(tx),
            // A key that may not even see the organization is looked up instead.
            Err(Error::Forbidden { .. }) => self.renew(organization).await?.confirm(),
            Err(error) => return Err(error),
        }
        self.scope(organization).await
    }

    /// Whether the caller may see projects at all; which ones is the database's to say.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn may_see_projects(&self, organization: OrganizationId) -> Result<bool> {
        self.may_somewhere(organization, Action::ProjectRead.permission()).await
    }

    /// Whether the caller's scope answers a question with yes.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn asks(
        &self,
        organization: OrganizationId,
        question: impl Fn(&Scope) -> bool,
    ) -> Result<bool> {
        let verdict = self
            .check(organization, |scope| if question(scope) { Ok(()) } else { Err(Error::NotFound) })
            .await;
        match verdict {
            Ok(_) => Ok(true),
            Err(Error::NotFound) => {
                // Whoever is nobody any more is told that, and not what they may not do.
                visible(self.confirmed(organization).await)?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens or joins the read-only transaction of an organization.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or what the database says.
    pub async fn read(&self, organization: OrganizationId, action: Action) -> Result<ReadTx<'_>> {
        self.read_checked(organization, action, |scope| scope.require_somewhere(action)).await
    }

    /// The same for what everything that the caller reaches has to allow, as for a list of the whole organization.
    ///
    /// # Errors
    /// As [`Door::read`].
    pub async fn read_throughout(&self, organization: OrganizationId, action: Action) -> Result<ReadTx<'_>> {
        self.read_checked(organization, action, |scope| scope.require_throughout(action)).await
    }

    /// The same for what is null by design: none when the question is answered with no, by a scope that the database
    /// confirms.
    ///
    /// # Errors
    /// What the database says.
    pub async fn read_if(
        &self,
        organization: OrganizationId,
        action: Action,
        question: impl Fn(&Scope) -> bool,
    ) -> Result<Option<ReadTx<'_>>> {
        let check = |scope: &Scope| if question(scope) { Ok(()) } else { Err(Error::NotFound) };
        let opened = shown(self.read_checked(organization, action, check).await)?;
        if opened.is_none() {
            visible(self.confirmed(organization).await)?;
        }
        Ok(opened)
    }

    /// The rows of an organization that `find` brings, as far as the caller may see them: each is judged by the project
    /// that it belongs to.
    ///
    /// # Errors
    /// What the database says.
    pub async fn read_seen<R>(
        &self,
        organization: OrganizationId,
        action: Action,
        find: impl AsyncFnOnce(&mut ReadTx<'_>) -> Result<Vec<R>>,
        project: impl Fn(&R) -> Option<ProjectId>,
    ) -> Result<Vec<R>> {
        let permission = action.permission();
        let may = |scope: &Scope| scope.may_somewhere(permission);
        let Some(mut tx) = self.read_if(organization, action, may).await? else { return Ok(Vec::new()) };
        let rows = find(&mut tx).await?;
        drop(tx);
        let scope = self.scope(organization).await?;
        Ok(rows.into_iter().filter(|row| scope.may_see(project(row), permission)).collect())
    }

    async fn read_checked(
        &self,
        organization: OrganizationId,
        action: Action,
        check: impl Fn(&Scope) -> Result<()>,
    ) -> Result<ReadTx<'_>> {
        let mut held = self.check(organization, &check).await?;
        let mut outcome = self.lease.read(&held.scope, action).await;
        if matches!(outcome, Err(Entry::Stale)) {
            held = self.renew(organization).await?;
            check(&held.scope)?;
            outcome = self.lease.read(&held.scope, action).await;
        }
        let tx = outcome?;
        held.confirm();
        Ok(tx)
    }

    /// Opens a transaction that changes an organization.
    ///
    /// # Errors
    /// `Forbidden` (which leaves its own audit row), `NotFound`, or what the database says.
    pub async fn write(&self, organization: OrganizationId, action: Action) -> Result<WriteTx<'_>> {
        let scope = self.allow(organization, action, None, |scope| scope.require(action)).await?;
        refuse_narrowed(&scope)?;
        match self.lease.write(&scope, action).await {
            Err(Entry::Stale) => {
                let scope = self.renew(organization).await?.scope;
                Ok(self.lease.write(&scope, action).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Opens a transaction that changes an organization's own object, which the refusal's audit row names.
    ///
    /// # Errors
    /// As [`Door::write`].
    pub async fn write_on(
        &self,
        organization: OrganizationId,
        action: Action,
        target: String,
    ) -> Result<WriteTx<'_>> {
        self.allow(organization, action, Some(target), |scope| scope.require(action)).await?;
        self.write(organization, action).await
    }

    /// Opens a transaction that changes what belongs to one project, or to the organization as a whole.
    ///
    /// # Errors
    /// As [`Door::write`].
    pub async fn write_within(
        &self,
        organization: OrganizationId,
        project: Option<ProjectId>,
        action: Action,
    ) -> Result<WriteTx<'_>> {
        match project {
            None => self.write(organization, action).await,
            Some(project) => self.write_in(organization, project, action).await,
        }
    }

    /// Opens a transaction that changes one project. A project that the caller does not reach is not found.
    ///
    /// # Errors
    /// As [`Door::write`].
    pub async fn write_in(
        &self,
        organization: OrganizationId,
        project: ProjectId,
        action: Action,
    ) -> Result<WriteTx<'_>> {
        if !self.may_in(organization, project, Permission::ProjectRead).await? {
            return Err(Error::NotFound);
        }
        let id = Some(project.to_string());
        let scope = self.allow(organization, action, id, |scope| scope.require_in(project, action)).await?;
        match self.lease.write_in(&scope, project, action).await {
            Err(Entry::Stale) => {
                let scope = self.renew(organization).await?.scope;
                Ok(self.lease.write_in(&scope, project, action).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Runs a hot query.
    ///
    /// # Errors
    /// As [`Door::read`].
    pub async fn call<R>(&self, organization: OrganizationId, action: Action, call: Call<R>) -> Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.call_checked(organization, action, call, |scope| scope.require_somewhere(action)).await
    }

    /// The same for what is null by design, as [`Door::read_if`].
    ///
    /// # Errors
    /// What the database says.
    pub async fn call_if<R>(
        &self,
        organization: OrganizationId,
        action: Action,
        call: Call<R>,
        question: impl Fn(&Scope) -> bool,
    ) -> Result<Option<Vec<R>>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let check = |scope: &Scope| if question(scope) { Ok(()) } else { Err(Error::NotFound) };
        shown(self.call_checked(organization, action, call, check).await)
    }

    async fn call_checked<R>(
        &self,
        organization: OrganizationId,
        action: Action,
        call: Call<R>,
        check: impl Fn(&Scope) -> Result<()>,
    ) -> Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut held = self.check(organization, &check).await?;
        let mut outcome = self.lease.call(&held.scope, action, &call).await;
        if matches!(outcome, Err(Entry::Stale)) {
            held = self.renew(organization).await?;
            check(&held.scope)?;
            outcome = self.lease.call(&held.scope, action, &call).await;
        }
        let rows = outcome?;
        held.confirm();
        Ok(rows)
    }

    /// Runs a hot change of an organization, with its audit row.
    ///
    /// # Errors
    /// As [`Door::write`].
    pub async fn call_write<R>(
        &self,
        organization: OrganizationId,
        action: Action,
        record: Record,
        call: Call<R>,
    ) -> Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let scope = self.allow(organization, action, None, |scope| scope.require(action)).await?;
        refuse_narrowed(&scope)?;
        match self.lease.call_write(&scope, action, &record, &call).await {
            Err(Entry::Stale) => {
                let scope = self.renew(organization).await?.scope;
                Ok(self.lease.call_write(&scope, action, &record, &call).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Runs a hot query of what is the caller's own.
    ///
    /// # Errors
    /// `Unauthenticated`, or what the database says.
    pub async fn call_person<R>(&self, call: Call<R>) -> Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let (user, session) = self.person()?;
        Ok(self.lease.call_person(user, session, &call).await?)
    }

    /// Opens or joins the read-only transaction of what is the caller's own.
    ///
    /// # Errors
    /// `Unauthenticated`, or what the database says.
    pub async fn read_person(&self) -> Result<ReadTx<'_>> {
        let (user, session) = self.person()?;
        Ok(self.lease.read_person(user, session).await?)
    }

    /// Opens a transaction that changes what is the caller's own.
    ///
    /// # Errors
    /// `Unauthenticated`, or what the database says.
    pub async fn write_person(&self) -> Result<PersonTx<'_>> {
        Ok(self.lease.write_person(self.caller()?.credential).await?)
    }

    /// Forgets the scope of an organization whose rights this request has changed.
    pub async fn forget(&self, organization: OrganizationId) {
        self.scopes.lock().await.held.remove(&organization);
    }

    /// The project that an argument names. It must not contradict `X-Project`.
    ///
    /// # Errors
    /// A fault at `field`.
    pub fn named_project(&self, field: &str, id: ProjectId) -> Result<ProjectId> {
        match &self.intent.project {
            Some(ProjectSelector::Id(own)) if *own != id => Err(Error::fault(Fault::at(
                FaultCode::Invalid,
                field,
                format!("`{field}` names another project than the header X-Project. Send one of them."),
            ))),
            _ => Ok(id),
        }
    }

    /// The scope made again from the database.
    async fn renew(&self, organization: OrganizationId) -> Result<Held> {
        self.scopes.lock().await.held.remove(&organization);
        self.held(organization, true).await
    }

    /// Checks an action; a refusal that matters leaves its own audit row.
    async fn allow(
        &self,
        organization: OrganizationId,
        action: Action,
        target: Option<String>,
        check: impl Fn(&Scope) -> Result<()>,
    ) -> Result<Arc<Scope>> {
        match self.check(organization, check).await {
            Err(refused @ Error::Forbidden { .. }) => {
                self.confirmed(organization).await?;
                self.record_refusal(organization, action, target).await?;
                Err(refused)
            }
            outcome => Ok(outcome?.scope),
        }
    }

    /// Leaves the audit row of a refusal, for the actions that call for one.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub async fn record_refusal(
        &self,
        organization: OrganizationId,
        action: Action,
        target: Option<String>,
    ) -> Result<()> {
        if !action.audits_refusal() {
            return Ok(());
        }
        let scope = self.scope(organization).await?;
        self.lease.record_refusal(&scope, action, Target::refused(action.target_kind(), target)).await
    }

    /// The seal of a list's cursors.
    pub fn seal(&self, parts: &[&str]) -> Seal {
        Seal::new(self.identity.cursor_key(), parts)
    }
}

/// What concerns the organization as a whole contradicts a request that has narrowed itself to one project.
fn refuse_narrowed(scope: &Scope) -> Result<()> {
    if scope.narrowed().is_none() {
        return Ok(());
    }
    Err(Error::fault(Fault::new(
        FaultCode::Invalid,
        "This concerns the organization as a whole. Send it without the header X-Project.",
    )))
}

/// The arguments of a list, as a value.
pub fn page_args(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> PageArgs {
    PageArgs { first, last, after, before }
}

/// Reads an id of a query; a malformed one is an input error that names the argument.
///
/// # Errors
/// A fault at `field`.
pub fn read_id<T: WireId>(field: &str, id: &ID) -> Result<T> {
    id.parse().map_err(|error: crate::id::ParseIdError| {
        Error::fault(Fault {
            field: Some(field.split('.').map(str::to_owned).collect()),
            ..Fault::new(FaultCode::Invalid, format!("`{field}` is not an id of this kind: {error}."))
        })
    })
}

/// Faults of an input that is an argument of a query: their paths begin with the argument's name.
pub fn in_argument(name: &str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Invalid(mut faults) => {
            for first in faults.iter_mut().filter_map(|fault| fault.field.as_mut()?.first_mut()) {
                name.clone_into(first);
            }
            Error::Invalid(faults)
        }
        other => other,
    }
}

/// Reads an id of a mutation's input.
///
/// # Errors
/// A fault at the input's `field`.
pub fn input_id<T: WireId>(field: &str, id: &ID) -> Result<T> {
    id.parse().map_err(|error: crate::id::ParseIdError| {
        Error::fault(Fault::at(
            FaultCode::Invalid,
            field,
            format!("`{field}` is not an id of this kind: {error}."),
        ))
    })
}

/// `NOT_FOUND` at the field that named the object.
pub fn not_found_at(field: &str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotFound => Error::fault(Fault::at(FaultCode::NotFound, field, Error::NotFound.message())),
        other => other,
    }
}

/// Null where the object is missing or invisible, and where the permission to see it is missing: for what is null by
/// design.
///
/// # Errors
/// Everything but [`Error::NotFound`] and [`Error::Forbidden`].
pub fn shown<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(Error::Forbidden { .. }) => Ok(None),
        other => visible(other),
    }
}

/// Null where the object is missing or invisible.
///
/// # Errors
/// Everything but [`Error::NotFound`].
pub fn visible<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stands on every field and mutation that refuses. It enforces what the tenant alone decides; the doorway enforces all
/// of it again, and what depends on an argument.
pub enum Requires<'a> {
    /// A credential of any kind.
    Caller,
    /// A signed-in person.
    Person,
    /// An action in the request's organization, on the object that the id names.
    Here(Action, &'a ID),
    /// An action in the organization that the id names.
    In(Action, &'a ID),
}

impl Guard for Requires<'_> {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        let door = ctx.door();
        let (action, organization, target) = match self {
            Self::Caller => {
                door.caller()?;
                return Ok(());
            }
            Self::Person => {
                door.person()?;
                return Ok(());
            }
            Self::Here(action, id) => {
                door.caller()?;
                (*action, door.tenant().await.ok(), Some(*id))
            }
            Self::In(action, id) => {
                door.caller()?;
                (*action, id.parse::<OrganizationId>().ok(), None)
            }
        };
        // Without an organization there is nothing to refuse: the resolver says what is missing or malformed.
        let Some(organization) = organization else { return Ok(()) };
        let target = target.map(|id| id.to_string()).filter(|id| crate::id::is_well_formed(id));
        match door.allow(organization, action, target, |scope| scope.require_somewhere(action)).await {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
