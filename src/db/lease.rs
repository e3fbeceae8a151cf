//! What a request holds of the database: at most one connection, on which one transaction at a time is open.
//!
//! One connection per request rules out the deadlock of a pool that is empty because everybody waits for a second one.
//! Its resolvers share one read-only transaction per organization, opened when the first of them needs it; a resolver of
//! another organization ends it and opens its own.

use std::sync::Arc;

use deadpool::managed::Pool;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, Executor as _, FromRow, SqlSafeStr};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use super::connection::{self, Connection, Connections};
use super::hot::{Call, Door, Hot, PersonPass, TenantPass, add};
use super::tx::{AnonymousTx, Changes, PersonTx, ReadTx, Record, Target, WriteTx};
use crate::access::{Action, Credential, Scope};
use crate::error::{Error, Refusal, Result};
use crate::events::{Events, Topic};
use crate::id::{AuditEntryId, OrganizationId, ProjectId, SessionId, UserId};
use crate::telemetry::count;

/// What is written beside every change: where the request came from.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The caller's address.
    pub ip: Option<String>,
    /// The caller's user agent, at most 400 characters.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: String,
}

/// Why a transaction did not open.
#[derive(Debug)]
pub enum Entry {
    /// The scope is older than the caller's rights, or they are no longer a member: make it again, once.
    Stale,
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Entry {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Entry> for Error {
    fn from(entry: Entry) -> Self {
        match entry {
            // Whoever is stale twice is no longer there: to them the organization does not exist.
            Entry::Stale => Self::NotFound,
            Entry::Failed(error) => error,
        }
    }
}

impl From<sqlx::Error> for Entry {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
            Some("AC001") => Self::Failed(Error::Unauthenticated(Refusal::NotAccepted)),
            Some("AC002" | "AC003") => Self::Stale,
            _ => Self::Failed(error.into()),
        }
    }
}

/// The context that the open transaction was entered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Context {
    Tenant {
        credential: Credential,
        organization: OrganizationId,
        version: i64,
        narrowed: Option<ProjectId>,
    },
    Person(UserId, SessionId),
    /// For one unit of work; nobody else joins it.
    Exclusive,
}

impl Context {
    const fn of(scope: &Scope) -> Self {
        Self::Tenant {
            credential: scope.credential(),
            organization: scope.organization(),
            version: scope.version(),
            narrowed: scope.narrowed(),
        }
    }
}

/// The state behind the lease's lock.
#[derive(Debug, Default)]
pub(super) struct State {
    connection: Option<Connection>,
    pub(super) open: Option<Context>,
    /// Why no connection was to be had.
    refused: Option<Error>,
}

impl State {
    /// The connection; there is one whenever a transaction of this room holds the state.
    #[expect(clippy::expect_used, reason = "every door takes a connection before it lets anybody in")]
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a door has taken a connection")
    }
}

/// A request's hold on the database.
pub struct Lease {
    pool: Pool<Connections>,
    events: Events,
    state: Arc<Mutex<State>>,
    facts: Facts,
}

const fn yes_no(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn literal(id: Option<Uuid>) -> String {
    id.map_or_else(|| "null".to_owned(), |id| format!("'{id}'"))
}

/// The opening call. Only uuids and integers go into the text; everything else is bound.
fn enter_sql(scope: &Scope) -> String {
    let credential = scope.credential();
    if let Credential::Job { job, attempt, .. } = credential {
        return format!(
            "SELECT app.enter_job('{}', '{}', {attempt}, {})",
            scope.organization().uuid(),
            job.uuid(),
            scope.version(),
        );
    }
    format!(
        "SELECT app.enter('{}', '{}', '{}', {}, {}, {})",
        scope.organization().uuid(),
        credential.user().uuid(),
        credential.id(),
        yes_no(credential.key().is_some()),
        scope.version(),
        literal(scope.narrowed().map(ProjectId::uuid)),
    )
}

fn person_sql(user: UserId) -> String {
    format!(
        "SELECT set_config('app.organization', '', true), set_config('app.user', '{}', true), set_config('app.project', '', true)",
        user.uuid()
    )
}

impl Lease {
    pub(super) fn new(pool: Pool<Connections>, events: Events, facts: Facts) -> Self {
        Self { pool, events, state: Arc::default(), facts }
    }

    /// What has happened, to whoever listens.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Where the request came from.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes the lock, and a connection when there is none yet.
    ///
    /// What has failed once fails at once from then on: the resolvers of a request do not wait for the same thing one
    /// after the other.
    async fn hold(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock().await;
        if let Some(error) = &state.refused {
            return Err(error.clone());
        }
        match &state.connection {
            Some(connection) if connection.is_broken() => {
                return Err(Error::unavailable(anyhow::anyhow!("the request's connection has failed")));
            }
            Some(_) => {}
            None => {
                let taken = connection::take(&self.pool).await;
                state.connection = Some(taken.inspect_err(|error| state.refused = Some(error.clone()))?);
            }
        }
        Ok(state)
    }

    /// Ends what is open and opens anew, in one message.
    ///
    /// `enter` stands before BEGIN: BEGIN adopts the implicit transaction that the settings were made in, and when
    /// `enter` raises the connection is left idle. The connection counts as dirty before the message goes out, so a
    /// request that is dropped half-way has it rolled back before anybody else gets it.
    async fn open(state: &mut State, enter: &str, begin: &str, context: Context) -> Result<(), Entry> {
        let ending = if state.connection().dirty { "ROLLBACK; " } else { "" };
        let sql = format!("{ending}{enter}; {begin}");
        state.open = None;
        let connection = state.connection();
        connection.dirty = true;
        count().transaction(begin == "BEGIN");
        match connection.statements().execute(sqlx::raw_sql(AssertSqlSafe(sql))).await {
            Ok(_) => {
                state.open = Some(context);
                Ok(())
            }
            Err(error) => {
                // A refusal of the database leaves the connection idle; anything else leaves it unknown.
                if error.as_database_error().is_some() {
                    connection.dirty = false;
                }
                Err(error.into())
            }
        }
    }

    /// Ends what is open, so that the connection is free for statements of their own.
    async fn close(state: &mut State) -> Result<()> {
        if state.connection().dirty {
            state.open = None;
            state.connection().statements().execute("ROLLBACK").await?;
            state.connection().dirty = false;
        }
        Ok(())
    }

    /// Opens, or joins, the request's read-only transaction in the scope's organization.
    ///
    /// # Errors
    /// [`Entry::Stale`] when the scope has to be made again; otherwise what went wrong. `Forbidden` when the scope does
    /// not allow the action anywhere in the organization.
    pub async fn read(&self, scope: &Scope, action: Action) -> Result<ReadTx<'_>, Entry> {
        scope.require_somewhere(action)?;
        let mut state = self.hold().await?;
        let context = Context::of(scope);
        if state.open.as_ref() != Some(&context) {
            Self::open(&mut state, &enter_sql(scope), "BEGIN READ ONLY", context).await?;
        }
        Ok(ReadTx::new(state))
    }

    /// Opens a transaction that changes the organization.
    ///
    /// # Errors
    /// As [`Lease::read`]; the organization as a whole must allow the action.
    pub async fn write(&self, scope: &Arc<Scope>, action: Action) -> Result<WriteTx<'_>, Entry> {
        scope.require(action)?;
        self.write_anyway(scope, action).await
    }

    /// Opens a transaction that changes one project, whose own roles decide.
    ///
    /// # Errors
    /// As [`Lease::read`]; the project must allow the action.
    pub async fn write_in(
        &self,
        scope: &Arc<Scope>,
        project: ProjectId,
        action: Action,
    ) -> Result<WriteTx<'_>, Entry> {
        scope.require_in(project, action)?;
        self.write_anyway(scope, action).await
    }

    async fn write_anyway(&self, scope: &Arc<Scope>, action: Action) -> Result<WriteTx<'_>, Entry> {
        let mut state = self.hold().await?;
        Self::open(&mut state, &enter_sql(scope), "BEGIN", Context::Exclusive).await?;
        Ok(WriteTx::new(state, &self.facts, &self.events, Arc::clone(scope), action))
    }

    /// Leaves the row of a refusal: its own unit of work, after what was refused has been rolled back.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub async fn record_refusal(&self, scope: &Arc<Scope>, action: Action, target: Target) -> Result<()> {
        let mut state = self.hold().await?;
        Self::open(&mut state, &enter_sql(scope), "BEGIN", Context::Exclusive).await?;
        WriteTx::new(state, &self.facts, &self.events, Arc::clone(scope), action)
            .refuse(Record { target, changes: Changes::none() })
            .await
    }

    /// Runs a hot query in its own statement, or inside the request's transaction of the same scope when one is open.
    ///
    /// # Errors
    /// As [`Lease::read`].
    pub async fn call<R>(&self, scope: &Scope, action: Action, call: &Call<R>) -> Result<Vec<R>, Entry>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        debug_assert!(call.hot.door == Door::Tenant);
        scope.require_somewhere(action)?;
        let mut state = self.hold().await?;
        if state.open.as_ref() != Some(&Context::of(scope)) {
            Self::close(&mut state).await?;
        }
        let arguments = add(call.arguments.clone(), scope.organization().uuid())?;
        let arguments = add(arguments, TenantPass::from(scope))?;
        Self::run(&mut state, call.hot, call.hot.sql, arguments).await
    }

    /// Runs a hot change: one statement that enters, changes and writes its audit row, or does nothing.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn call_write<R>(
        &self,
        scope: &Scope,
        action: Action,
        record: &Record,
        call: &Call<R>,
    ) -> Result<Vec<R>, Entry>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        debug_assert!(matches!(call.hot.door, Door::Write { .. }));
        scope.require(action)?;
        let mut state = self.hold().await?;
        Self::close(&mut state).await?;
        let credential = scope.credential();
        let arguments = enter_arguments(call.arguments.clone(), scope)?;
        let Record { target, changes } = record;
        let arguments = add(arguments, AuditEntryId::generate().uuid())?;
        let arguments = add(arguments, target.id())?;
        let arguments = add(arguments, action.as_str())?;
        let arguments = add(arguments, credential.key().map(crate::id::ApiKeyId::uuid))?;
        let arguments = add(arguments, scope.role().map(crate::access::Role::as_str))?;
        let arguments = add(arguments, target.kind())?;
        let arguments = add(arguments, changes.to_json())?;
        let arguments = add(arguments, self.facts.ip.as_deref())?;
        let arguments = add(arguments, self.facts.user_agent.as_deref())?;
        let arguments = add(arguments, self.facts.request_id.as_str())?;
        let sql = call.hot.call(sqlx::Arguments::len(&arguments));
        let rows = Self::run(&mut state, call.hot, AssertSqlSafe(sql), arguments).await?;
        // Each row was changed with an audit row of its own; without one nothing happened.
        if !rows.is_empty() {
            self.events.publish(Topic::Audit(scope.organization()));
        }
        Ok(rows)
    }

    /// Runs a hot query of what is a person's own.
    ///
    /// # Errors
    /// As [`Lease::read_person`].
    pub async fn call_person<R>(
        &self,
        user: UserId,
        session: SessionId,
        call: &Call<R>,
    ) -> Result<Vec<R>, Entry>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        debug_assert!(call.hot.door == Door::Person);
        let mut state = self.hold().await?;
        if state.open != Some(Context::Person(user, session)) {
            Self::close(&mut state).await?;
        }
        let arguments = add(call.arguments.clone(), user.uuid())?;
        let arguments = add(arguments, PersonPass::new(user, session))?;
        Self::run(&mut state, call.hot, call.hot.sql, arguments).await
    }

    async fn run<R>(
        state: &mut State,
        hot: &Hot,
        sql: impl SqlSafeStr,
        arguments: PgArguments,
    ) -> Result<Vec<R>, Entry>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let query = sqlx::query_as_with::<_, R, _>(sql, arguments);
        // Inside the shared transaction a failure has ended it; on its own the statement has ended itself.
        let rows = query
            .fetch_all(state.connection().statements().named(hot.name))
            .await
            .inspect_err(|_| state.open = None)?;
        Ok(rows)
    }

    /// Opens, or joins, a read-only transaction of what is the person's own.
    ///
    /// # Errors
    /// `Unauthenticated` when the session is no longer alive.
    pub async fn read_person(&self, user: UserId, session: SessionId) -> Result<ReadTx<'_>, Entry> {
        let mut state = self.hold().await?;
        if state.open != Some(Context::Person(user, session)) {
            let enter = format!("SELECT app.enter_user('{}', '{}')", user.uuid(), session.uuid());
            Self::open(&mut state, &enter, "BEGIN READ ONLY", Context::Person(user, session)).await?;
        }
        Ok(ReadTx::new(state))
    }

    /// Opens a transaction that changes what is the person's own, for a session that the database verifies first.
    ///
    /// # Errors
    /// As [`Lease::read_person`].
    pub async fn write_person(&self, credential: Credential) -> Result<PersonTx<'_>, Entry> {
        let Credential::Session { user, session } = credential else {
            return Err(Entry::Failed(Error::Unauthenticated(Refusal::NotAccepted)));
        };
        let mut state = self.hold().await?;
        let enter = format!("SELECT app.enter_user('{}', '{}')", user.uuid(), session.uuid());
        Self::open(&mut state, &enter, "BEGIN", Context::Exclusive).await?;
        Ok(PersonTx::new(state, &self.facts, &self.events, user, session))
    }

    /// The narrow door before anybody is known: only the gate's functions answer here, every table is empty.
    /// For `identity` and `jobs` alone (held by `tests/tidy.rs`).
    ///
    /// # Errors
    /// When the database is not there.
    pub async fn anonymous(&self) -> Result<AnonymousTx<'_>> {
        let mut state = self.hold().await?;
        Self::close(&mut state).await?;
        Ok(AnonymousTx::new(state))
    }

    /// Opens a transaction as a person who has just proved who they are by other means than a session: a password, a
    /// refresh token, a single-use link, or by being made. For `identity` alone (held by `tests/tidy.rs`).
    ///
    /// # Errors
    /// When the database is not there.
    pub async fn identify(&self, user: UserId, session: SessionId) -> Result<PersonTx<'_>> {
        let mut state = self.hold().await?;
        Self::open(&mut state, &person_sql(user), "BEGIN", Context::Exclusive).await?;
        Ok(PersonTx::new(state, &self.facts, &self.events, user, session))
    }

    /// Gives the connection back early, for work that now waits for something else.
    pub async fn release(&self) {
        *self.state.lock().await = State::default();
    }
}

fn enter_arguments(arguments: PgArguments, scope: &Scope) -> Result<PgArguments> {
    let credential = scope.credential();
    let arguments = add(arguments, scope.organization().uuid())?;
    let arguments = add(arguments, credential.user().uuid())?;
    let arguments = add(arguments, credential.id())?;
    let arguments = add(arguments, credential.key().is_some())?;
    let arguments = add(arguments, scope.version())?;
    add(arguments, scope.narrowed().map(ProjectId::uuid))
}
