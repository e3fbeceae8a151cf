//! The transactions that leave the doorway: values that say what they may do and must be consumed to take effect.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::sync::MutexGuard;

use super::lease::{Facts, State};
use super::statement::Statements;
use crate::access::{Action, Credential, Role, Scope};
use crate::error::{Error, Result};
use crate::events::{Events, Topic};
use crate::id::{
    AccountId, ApiKeyId, AssetId, AuditEntryId, ConversationId, DocumentId, InvitationId, JobId,
    MembershipId, OrganizationId, PeriodId, ProjectId, ProjectMemberId, ProviderId, ScheduleId,
    SecurityEventId, SessionId, UserId, WebhookEndpointId, WorkflowTemplateId,
};
use crate::telemetry::count;

/// Looks at one organization, or at what is one person's own. The database itself refuses a write in it.
#[must_use]
pub struct ReadTx<'a> {
    state: MutexGuard<'a, State>,
}

impl<'a> ReadTx<'a> {
    pub(super) const fn new(state: MutexGuard<'a, State>) -> Self {
        Self { state }
    }

    /// Where a store runs its statements.
    pub fn conn(&mut self) -> Statements<'_> {
        self.state.connection().statements()
    }
}

/// Where the gate's functions are called, before anybody is known.
#[must_use]
pub struct AnonymousTx<'a> {
    tx: ReadTx<'a>,
}

impl<'a> AnonymousTx<'a> {
    pub(super) const fn new(state: MutexGuard<'a, State>) -> Self {
        Self { tx: ReadTx::new(state) }
    }
}

impl<'a> Deref for AnonymousTx<'a> {
    type Target = ReadTx<'a>;
    fn deref(&self) -> &ReadTx<'a> {
        &self.tx
    }
}

impl DerefMut for AnonymousTx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tx
    }
}

/// Changes one organization. Dropped, everything is rolled back; [`WriteTx::commit`] is the only way to keep it, and
/// writes the audit row in the same transaction.
#[must_use]
pub struct WriteTx<'a> {
    tx: ReadTx<'a>,
    facts: &'a Facts,
    /// Who acts, and where; the founder of an organization has no scope in it yet.
    actor: Actor,
    action: Action,
    events: &'a Events,
    /// What is told to whoever listens once everything is kept.
    announced: Vec<Topic>,
    /// The kinds of the jobs that exist once everything is kept.
    enqueued: Vec<&'static str>,
}

/// Who changes an organization.
enum Actor {
    /// Somebody who belongs to it.
    Member(Arc<Scope>),
    /// Somebody who founds it or is let in by the same transaction, with the role that they are about to have.
    Newcomer { organization: OrganizationId, credential: Credential, role: Role },
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;
    fn deref(&self) -> &ReadTx<'a> {
        &self.tx
    }
}

impl DerefMut for WriteTx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tx
    }
}

impl<'a> WriteTx<'a> {
    pub(super) const fn new(
        state: MutexGuard<'a, State>,
        facts: &'a Facts,
        events: &'a Events,
        scope: Arc<Scope>,
        action: Action,
    ) -> Self {
        Self {
            tx: ReadTx::new(state),
            facts,
            actor: Actor::Member(scope),
            action,
            events,
            announced: Vec::new(),
            enqueued: Vec::new(),
        }
    }

    /// Tells whoever listens that something has happened, once everything is kept.
    pub fn announce(&mut self, topic: Topic) {
        self.announced.push(topic);
    }

    /// Counts a job as enqueued, once everything is kept.
    pub fn enqueued(&mut self, kind: &'static str) {
        self.enqueued.push(kind);
    }

    /// Where it is done.
    pub fn organization(&self) -> OrganizationId {
        match &self.actor {
            Actor::Member(scope) => scope.organization(),
            Actor::Newcomer { organization, .. } => *organization,
        }
    }

    /// Who acts.
    pub fn credential(&self) -> Credential {
        match &self.actor {
            Actor::Member(scope) => scope.credential(),
            Actor::Newcomer { credential, .. } => *credential,
        }
    }

    fn role(&self) -> Option<Role> {
        match &self.actor {
            Actor::Member(scope) => scope.role(),
            Actor::Newcomer { role, .. } => Some(*role),
        }
    }

    /// The scope that opened the transaction.
    ///
    /// # Errors
    /// A fault of ours: whoever founds or joins has none yet.
    pub fn scope(&self) -> Result<Arc<Scope>> {
        match &self.actor {
            Actor::Member(scope) => Ok(Arc::clone(scope)),
            Actor::Newcomer { .. } => Err(Error::internal(anyhow::anyhow!("a newcomer has no scope yet"))),
        }
    }

    /// Waits until nobody else of the organization has this turn, and has it until the transaction ends: so that those who
    /// count what is there before they add to it do so one after the other. Whoever takes several takes them in the order
    /// that everybody does.
    ///
    /// # Errors
    /// What the database says.
    pub async fn take_turn(&mut self, turn: &str) -> Result<()> {
        self.wait("select pg_advisory_xact_lock(hashtextextended($1, 3))", turn).await
    }

    /// Waits until nobody of the organization has taken this turn, and keeps everybody from taking it until the transaction
    /// ends. Any number may share it at the same time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn share_turn(&mut self, turn: &str) -> Result<()> {
        self.wait("select pg_advisory_xact_lock_shared(hashtextextended($1, 3))", turn).await
    }

    async fn wait(&mut self, sql: &'static str, turn: &str) -> Result<()> {
        let turn = format!("{} {turn}", self.organization());
        sqlx::query(sql).bind(turn).execute(self.conn()).await?;
        Ok(())
    }

    /// The request that it is part of.
    pub fn request_id(&self) -> &'a str {
        &self.facts.request_id
    }

    /// What is being done.
    pub const fn action(&self) -> Action {
        self.action
    }

    /// Keeps everything, with its audit row.
    ///
    /// # Errors
    /// When the database refuses; then nothing is kept.
    pub async fn commit(self, record: Record) -> Result<()> {
        self.finish(record, "DONE").await
    }

    /// Writes the row of a refusal.
    pub(super) async fn refuse(self, record: Record) -> Result<()> {
        self.finish(record, "REFUSED").await
    }

    async fn finish(mut self, record: Record, outcome: &str) -> Result<()> {
        let Record { target, changes } = record;
        sqlx::query("select app.record_audit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
            .bind(AuditEntryId::generate().uuid())
            .bind(self.action.as_str())
            .bind(outcome)
            .bind(self.credential().key().map(ApiKeyId::uuid))
            .bind(self.role().map(Role::as_str))
            .bind(target.kind)
            .bind(target.id)
            .bind(target.project.map(ProjectId::uuid))
            .bind(changes.to_json())
            .bind(self.facts.ip.as_deref())
            .bind(self.facts.user_agent.as_deref())
            .bind(&self.facts.request_id)
            .execute(self.tx.conn())
            .await?;
        end(&mut self.tx.state, "COMMIT").await?;
        self.events.publish(Topic::Audit(self.organization()));
        for topic in &self.announced {
            self.events.publish(*topic);
        }
        for kind in &self.enqueued {
            count().enqueued(kind);
        }
        Ok(())
    }
}

/// Changes what is one person's own. [`PersonTx::commit`] is the only way to keep it, and writes a security event.
#[must_use]
pub struct PersonTx<'a> {
    tx: ReadTx<'a>,
    facts: &'a Facts,
    events: &'a Events,
    user: UserId,
    session: SessionId,
}

impl<'a> Deref for PersonTx<'a> {
    type Target = ReadTx<'a>;
    fn deref(&self) -> &ReadTx<'a> {
        &self.tx
    }
}

impl DerefMut for PersonTx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tx
    }
}

impl<'a> PersonTx<'a> {
    pub(super) const fn new(
        state: MutexGuard<'a, State>,
        facts: &'a Facts,
        events: &'a Events,
        user: UserId,
        session: SessionId,
    ) -> Self {
        Self { tx: ReadTx::new(state), facts, events, user, session }
    }

    /// The person.
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// The session that acts, or that is being opened.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The same transaction, opening another session of the person's.
    pub const fn as_session(mut self, session: SessionId) -> Self {
        self.session = session;
        self
    }

    /// Where the request came from.
    pub const fn facts(&self) -> &'a Facts {
        self.facts
    }

    /// Notes a security event of this person's in the transaction.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn note(&mut self, kind: SecurityEventKind) -> Result<()> {
        let user = self.user.uuid();
        sqlx::query(
            "insert into security_events (id, user_id, kind, ip, user_agent) values ($1, $2, $3, $4, $5)",
        )
        .bind(SecurityEventId::generate().uuid())
        .bind(user)
        .bind(kind.as_str())
        .bind(self.facts.ip.as_deref())
        .bind(self.facts.user_agent.as_deref())
        .execute(self.tx.conn())
        .await?;
        Ok(())
    }

    /// Keeps everything, with its security event.
    ///
    /// # Errors
    /// When the database refuses; then nothing is kept.
    pub async fn commit(mut self, kind: SecurityEventKind) -> Result<()> {
        self.note(kind).await?;
        end(&mut self.tx.state, "COMMIT").await
    }

    /// Steps into an organization that the person founds or is let into, in the same transaction: what was changed so
    /// far is kept only together with the organization's audit row. `role` is the one that they are about to have.
    /// For `identity` and `organizations` alone (held by `tests/tidy.rs`).
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn step_into(
        mut self,
        organization: OrganizationId,
        action: Action,
        role: Role,
    ) -> Result<WriteTx<'a>> {
        let sql = format!("SELECT set_config('app.organization', '{}', true)", organization.uuid());
        self.tx.conn().execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        let Self { tx, facts, events, user, session } = self;
        let credential = Credential::Session { user, session };
        let actor = Actor::Newcomer { organization, credential, role };
        Ok(WriteTx { tx, facts, actor, action, events, announced: Vec::new(), enqueued: Vec::new() })
    }
}

async fn end(state: &mut State, sql: &'static str) -> Result<()> {
    state.open = None;
    state.connection().statements().execute(sql).await?;
    state.connection().dirty = false;
    Ok(())
}

/// What happened to somebody's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityEventKind {
    /// The account was made.
    SignedUp,
    /// A sign-in succeeded.
    SignedIn,
    /// A sign-in was refused: the password was wrong.
    SignInFailed,
    /// One or all sessions were ended.
    SignedOut,
    /// A session was ended from another one.
    SessionRevoked,
    /// A token for another organization was issued.
    OrganizationSwitched,
    /// A refresh token was exchanged for its successor.
    Refreshed,
    /// An old refresh token was used again: the session was ended.
    RefreshReused,
    /// The password was changed.
    PasswordChanged,
    /// A link to reset the password was asked for.
    PasswordResetRequested,
    /// The password was reset by a link.
    PasswordReset,
    /// A link to verify the address was asked for.
    EmailVerificationRequested,
    /// The address was verified.
    EmailVerified,
    /// The profile was changed.
    ProfileChanged,
}

impl SecurityEventKind {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedUp => "account.created",
            Self::SignedIn => "login.succeeded",
            Self::SignInFailed => "login.failed",
            Self::SignedOut => "logout",
            Self::SessionRevoked => "session.revoked",
            Self::OrganizationSwitched => "organization.switched",
            Self::Refreshed => "session.refreshed",
            Self::RefreshReused => "refresh.reused",
            Self::PasswordChanged => "password.changed",
            Self::PasswordResetRequested => "password.reset_requested",
            Self::PasswordReset => "password.reset",
            Self::EmailVerificationRequested => "email.verification_requested",
            Self::EmailVerified => "email.verified",
            Self::ProfileChanged => "profile.changed",
        }
    }
}

/// What an audit row speaks of.
#[derive(Debug, Clone)]
pub struct Target {
    kind: &'static str,
    id: Option<String>,
    project: Option<ProjectId>,
}

macro_rules! targets {
    ($($name:ident($id:ty) $kind:literal;)*) => {$(
        #[doc = concat!("The target of an action on one `", $kind, "`.")]
        pub fn $name(id: $id) -> Self {
            Self { kind: $kind, id: Some(id.to_string()), project: None }
        }
    )*};
}

impl Target {
    targets! {
        organization(OrganizationId) "Organization";
        membership(MembershipId) "Membership";
        invitation(InvitationId) "Invitation";
        api_key(ApiKeyId) "ApiKey";
        document(DocumentId) "KnowledgeDocument";
        job(JobId) "Job";
        period(PeriodId) "Period";
        provider(ProviderId) "Provider";
        account(AccountId) "Account";
        asset(AssetId) "Asset";
        conversation(ConversationId) "QaConversation";
        workflow_template(WorkflowTemplateId) "ContentWorkflowTemplate";
        schedule(ScheduleId) "Schedule";
        webhook_endpoint(WebhookEndpointId) "WebhookEndpoint";
    }

    /// The target of an action on a project.
    pub fn project(id: ProjectId) -> Self {
        Self { kind: "Project", id: Some(id.to_string()), project: Some(id) }
    }

    /// The target of an action on somebody's role in a project.
    pub fn project_member(id: ProjectMemberId) -> Self {
        Self { kind: "ProjectMember", id: Some(id.to_string()), project: Some(id.project) }
    }

    /// The target of an action on the engine that an agent works with; the agent says which, and the project is the place.
    pub fn engine_route(agent: &'static str) -> Self {
        Self { kind: "EngineRoute", id: Some(agent.to_owned()), project: None }
    }

    /// The target of an action on what an agent has made, by its type and its id on the wire.
    pub const fn output(kind: &'static str, id: String) -> Self {
        Self { kind, id: Some(id), project: None }
    }

    /// A refused action on something that the caller named, or tried to make.
    pub fn refused(kind: &'static str, id: Option<String>) -> Self {
        Self { kind, id, project: None }
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The same, inside a project.
    #[must_use]
    pub const fn within(mut self, project: Option<ProjectId>) -> Self {
        self.project = project;
        self
    }
}

/// What an audit row says: what was changed, and how.
#[derive(Debug, Clone)]
pub struct Record {
    /// What it speaks of.
    pub target: Target,
    /// Before and after, per field.
    pub changes: Changes,
}

impl Record {
    /// A record without field changes.
    pub const fn of(target: Target) -> Self {
        Self { target, changes: Changes::none() }
    }

    /// A record with field changes.
    pub const fn with(target: Target, changes: Changes) -> Self {
        Self { target, changes }
    }
}

/// One field's change.
#[derive(Debug, Clone, Serialize, serde::Deserialize, PartialEq)]
pub struct Change {
    /// The field, in its wire spelling.
    pub field: String,
    /// Before; null when it was made.
    pub before: Value,
    /// After; null when it was removed.
    pub after: Value,
}

/// Before and after, per field. What must not be logged is of a type that serialises redacted.
#[derive(Debug, Clone, Default)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// None.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Every field of something that was made.
    pub fn made(after: &impl Serialize) -> Self {
        Self::between(&json!({}), after)
    }

    /// Every field of something that was removed.
    pub fn removed(before: &impl Serialize) -> Self {
        Self::between(before, &json!({}))
    }

    /// The fields that differ.
    pub fn between(before: &impl Serialize, after: &impl Serialize) -> Self {
        let (before, mut after) = (fields(before), fields(after));
        let mut list = Vec::new();
        for (field, before) in before {
            let after = after.remove(&field).unwrap_or(Value::Null);
            if before != after {
                list.push(Change { field, before, after });
            }
        }
        let made = after.into_iter().filter(|(_, after)| !after.is_null());
        list.extend(made.map(|(field, after)| Change { field, before: Value::Null, after }));
        Self(list)
    }

    /// Whether nothing changed.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn to_json(&self) -> Value {
        json!(self.0)
    }
}

fn fields(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// A value that the audit log may know of but not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redacted;

impl Serialize for Redacted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_differ_are_kept() {
        let changes =
            Changes::between(&json!({"name": "A", "slug": "a"}), &json!({"name": "B", "slug": "a"}));
        assert_eq!(changes.0, vec![Change { field: "name".into(), before: json!("A"), after: json!("B") }]);
        assert_eq!(Changes::made(&json!({"name": "A", "description": null})).0.len(), 1);
        assert_eq!(Changes::removed(&json!({"name": "A"})).0[0].after, Value::Null);
    }
}
