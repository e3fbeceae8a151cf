//! Connected accounts, as the schema shows them.

use std::sync::Arc;
use std::time::Instant;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use secrecy::SecretString;

use super::channel::Channel;
use super::{AccountUpdate, Accounts, Connected, Login, NewAccount};
use crate::access::{Action, Scope};
use crate::agents::instagram::errors::{self, Kind};
use crate::agents::instagram::graph;
use crate::db::page::PageArgs;
use crate::db::{Changes, ReadTx, Record, Target};
use crate::engine::graph::Trouble;
use crate::error::{Error, Result};
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::graphql::turn::Turn;
use crate::id::{AccountId, OrganizationId, ProjectId};
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;

/// An account of another service that an organization publishes by. Its token is never readable again.
pub struct Account {
    row: super::Account,
}

impl Account {
    /// The account of a row.
    pub const fn new(row: super::Account) -> Self {
        Self { row }
    }
}

impl Node for Account {}

/// An account of another service that an organization publishes by. Its token is never readable again.
#[Object]
impl Account {
    /// The account's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// Which service.
    async fn channel(&self) -> Channel {
        self.row.channel
    }

    /// Which way its owner signed in.
    async fn login(&self) -> Login {
        self.row.login
    }

    /// The number that the service names it by.
    async fn user_id(&self) -> &str {
        &self.row.user_id
    }

    /// Its name there; null until it is given, or a test has found it out.
    async fn username(&self) -> Option<&str> {
        self.row.username.as_deref()
    }

    /// The project that publishes by it; null: every project.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// When its token ends; null when that is not known, or it does not.
    async fn expires_at(&self) -> Option<DateTime> {
        self.row.expires_at.map(Into::into)
    }

    /// When it was connected.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.row.updated_at.into()
    }

    /// When it was last tested; null when it never was.
    async fn tested_at(&self) -> Option<DateTime> {
        self.row.tested_at.map(Into::into)
    }
}

/// Whether somebody may list what is connected, as far as they reach it: who is limited to projects publishes by the
/// organization's accounts as well.
fn sees(scope: &Scope) -> bool {
    scope.may_list(None, Action::AccountRead.permission())
}

/// A page of an organization's accounts; none without the permission.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    args: &PageArgs,
) -> Result<Option<Connection<Account>>> {
    let door = ctx.door();
    let Some(mut tx) = door.read_if(organization, Action::AccountRead, sees).await? else { return Ok(None) };
    let seal = door.seal(&["accounts", &organization.to_string()]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page).await?;
    drop(tx);
    let count: Counter = Box::new(move |ctx| {
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::AccountRead).await?;
            super::count_all(&mut tx).await.map(Some)
        })
    });
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), Account::new)))
}

/// An account as far as the caller may see it: with the permission in the whole organization, or in its project.
///
/// # Errors
/// What the database says.
pub async fn seen(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: AccountId,
) -> Result<Option<super::Account>> {
    let find = async |tx: &mut ReadTx<'_>| Ok(super::find(tx, id).await?.into_iter().collect::<Vec<_>>());
    Ok(ctx.door().read_seen(organization, Action::AccountRead, find, |row| row.project).await?.pop())
}

/// An account of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: AccountId) -> Result<Option<Account>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    Ok(visible(seen(ctx, organization, id).await)?.flatten().map(Account::new))
}

/// An account to connect.
#[derive(InputObject)]
struct AccountConnectInput {
    /// Where.
    organization_id: ID,
    /// For one project only; for all of them when absent.
    project_id: Option<ID>,
    /// Which way its owner signed in; it says which host is asked.
    #[graphql(default_with = "Login::Facebook")]
    login: Login,
    /// The number that the Graph API names the account by.
    user_id: String,
    /// Its name; a test finds it out.
    username: Option<String>,
    /// Its access token, at most 1,000 characters, which nobody can read again.
    token: String,
    /// When the token ends.
    expires_at: Option<DateTime>,
}

/// A change of an account; what is absent stays.
#[derive(InputObject)]
struct AccountUpdateInput {
    /// Which account.
    id: ID,
    /// Another token.
    token: Option<String>,
    /// When the token ends; null: it is not known. A new token without it has none.
    expires_at: MaybeUndefined<DateTime>,
}

/// Which account.
#[derive(InputObject)]
struct AccountDisconnectInput {
    /// The account.
    id: ID,
}

/// Which account.
#[derive(InputObject)]
struct AccountTestInput {
    /// The account.
    id: ID,
}

/// What connecting an account is answered with.
#[derive(Default, SimpleObject)]
pub struct AccountConnectPayload {
    /// The account.
    account: Option<Account>,
    /// The organization, whose list of accounts has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing an account is answered with.
#[derive(Default, SimpleObject)]
pub struct AccountUpdatePayload {
    /// The account.
    account: Option<Account>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What disconnecting an account is answered with.
#[derive(Default, SimpleObject)]
pub struct AccountDisconnectPayload {
    /// The id of what is gone.
    disconnected_account_id: Option<ID>,
    /// The organization, whose list of accounts has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What came of asking about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum AccountOutcome {
    /// It can be used.
    Connected,
    /// The token is not accepted.
    TokenRejected,
    /// The token or the account does not allow it.
    NotPermitted,
    /// Too many calls in too short a time.
    RateLimited,
    /// The service does not accept the question: the number is wrong, for example.
    Rejected,
    /// Nothing answers at the address, or it has an error of its own.
    Unreachable,
}

impl From<Kind> for AccountOutcome {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Retry | Kind::NotReady => Self::Unreachable,
            Kind::Wait => Self::RateLimited,
            Kind::Reconnect => Self::TokenRejected,
            Kind::Account => Self::NotPermitted,
            Kind::Recreate | Kind::FixMedia | Kind::FixText | Kind::Refused => Self::Rejected,
        }
    }
}

/// What came of a test.
#[derive(SimpleObject)]
pub struct AccountTest {
    /// What happened.
    outcome: AccountOutcome,
    /// The same as a sentence, with what to do next.
    message: String,
    /// What the account has published in the time that the service counts; null when it does not say.
    quota_used: Option<i32>,
    /// What it may publish in that time, as the service says; null when it does not.
    quota_total: Option<i32>,
    /// How long it took.
    milliseconds: i32,
}

/// What testing an account is answered with.
#[derive(Default, SimpleObject)]
pub struct AccountTestPayload {
    /// What came of it.
    test: Option<AccountTest>,
    /// The account.
    account: Option<Account>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(AccountConnectPayload, AccountUpdatePayload, AccountDisconnectPayload, AccountTestPayload);

/// Asks who the account is, and what it may still publish. Gives its name as well.
async fn ask(connected: &Connected<'_>) -> (AccountTest, Option<String>) {
    let asked = Instant::now();
    let answered = async {
        let username = graph::username(connected).await?;
        Ok::<_, Trouble>((username, graph::quota(connected).await?))
    };
    let answered = answered.await;
    let milliseconds = i32::try_from(asked.elapsed().as_millis()).unwrap_or(i32::MAX);
    match answered {
        Ok((username, quota)) => {
            let test = AccountTest {
                outcome: AccountOutcome::Connected,
                message: "The account can be used.".to_owned(),
                quota_used: quota.map(|quota| quota.used),
                quota_total: quota.and_then(|quota| quota.total),
                milliseconds,
            };
            (test, username)
        }
        Err(trouble) => {
            let meaning = errors::meaning(&trouble);
            let message = format!("{} {}", meaning.problem.message, meaning.problem.remedy);
            let outcome = meaning.kind.into();
            (AccountTest { outcome, message, quota_used: None, quota_total: None, milliseconds }, None)
        }
    }
}

/// Connecting accounts.
#[derive(Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Connects an Instagram account, for all projects or for one; at most 100. Its token is encrypted, and nobody can read it
    /// again. Requires: `AGENT_CONFIGURE`, in the project or in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `ALREADY_EXISTS`, `CONFLICT`.
    #[graphql(guard = "Requires::In(Action::AccountConnect, &input.organization_id)")]
    async fn account_connect(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: AccountConnectInput,
    ) -> async_graphql::Result<Option<AccountConnectPayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project: Option<ProjectId> = match &input.project_id {
                None => None,
                Some(id) => Some(door.named_project("projectId", input_id("projectId", id)?)?),
            };
            let new = NewAccount::parse(
                project,
                input.login,
                &input.user_id,
                input.username.as_deref(),
                &input.token,
                input.expires_at.map(|at| at.0),
            )?;
            let missing = not_found_at(if project.is_some() { "projectId" } else { "organizationId" });
            let mut tx =
                door.write_within(organization, project, Action::AccountConnect).await.map_err(missing)?;
            let row = super::connect(&mut tx, ctx.data_unchecked::<Arc<Accounts>>(), &new).await?;
            let target = Target::account(row.id).within(project);
            tx.commit(Record::with(target, Changes::made(&super::logged(&row)))).await?;
            Ok(AccountConnectPayload {
                account: Some(Account::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Gives an account another token. Requires: `AGENT_CONFIGURE`, in its project or in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`.
    #[graphql(guard = "Requires::Here(Action::AccountUpdate, &input.id)")]
    async fn account_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: AccountUpdateInput,
    ) -> async_graphql::Result<Option<AccountUpdatePayload>> {
        let outcome = async {
            let id: AccountId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let row = seen(ctx, organization, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
            let is_new = input.token.is_some();
            let asked = AccountUpdate {
                token: input.token.map(SecretString::from),
                expires_at: match input.expires_at {
                    MaybeUndefined::Undefined => None,
                    MaybeUndefined::Null => Some(None),
                    MaybeUndefined::Value(at) => Some(Some(at.0)),
                },
            };
            let mut tx = door
                .write_within(organization, row.project, Action::AccountUpdate)
                .await
                .map_err(&missing)?;
            let accounts = ctx.data_unchecked::<Arc<Accounts>>();
            let (before, after) = super::update(&mut tx, accounts, id, asked).await.map_err(&missing)?;
            let mut old = super::logged(&before);
            if is_new {
                // A token that replaces another is a change, though neither is told.
                old["token"] = serde_json::Value::Null;
            }
            let changes = Changes::between(&old, &super::logged(&after));
            if changes.is_empty() {
                drop(tx);
            } else {
                tx.commit(Record::with(Target::account(id).within(row.project), changes)).await?;
            }
            Ok(AccountUpdatePayload { account: Some(Account::new(after)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Disconnects an account: its token is gone, and what was to be published by it fails. What is public stays. Requires:
    /// `AGENT_CONFIGURE`, in its project or in the whole organization. Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::AccountDisconnect, &input.id)")]
    async fn account_disconnect(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which account.")] input: AccountDisconnectInput,
    ) -> async_graphql::Result<Option<AccountDisconnectPayload>> {
        let outcome = async {
            let id: AccountId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let row = seen(ctx, organization, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
            let mut tx = door
                .write_within(organization, row.project, Action::AccountDisconnect)
                .await
                .map_err(&missing)?;
            let before = super::disconnect(&mut tx, id).await.map_err(&missing)?;
            let changes = Changes::removed(&super::logged(&before));
            tx.commit(Record::with(Target::account(id).within(row.project), changes)).await?;
            Ok(AccountDisconnectPayload {
                disconnected_account_id: Some(input.id.clone()),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Asks the service who an account is and what it may still publish, and says what came of it. That it does not answer
    /// is a result, not an error. Requires: `AGENT_CONFIGURE`, in its project or in the whole organization.
    /// Codes: `NOT_FOUND`, `INVALID`, `THROTTLED`.
    #[graphql(guard = "Requires::Here(Action::AccountTest, &input.id)")]
    async fn account_test(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which account.")] input: AccountTestInput,
    ) -> async_graphql::Result<Option<AccountTestPayload>> {
        let outcome = async {
            let id: AccountId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let row = seen(ctx, organization, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
            let write = async || {
                door.write_within(organization, row.project, Action::AccountTest).await.map_err(&missing)
            };
            // Whoever may not write is refused before anything is asked; the row is written when it is known what to say.
            drop(write().await?);
            let connected = {
                let accounts = ctx.data_unchecked::<Arc<Accounts>>();
                let mut tx = door.read(organization, Action::AccountTest).await.map_err(&missing)?;
                accounts.connected(&mut tx, id).await?.ok_or(Error::NotFound).map_err(&missing)?
            };
            door.identity().let_test_an_account(organization, door.lease()).await?;
            door.lease().release().await;
            if let Ok(turn) = ctx.data::<Turn>() {
                turn.give_up();
            }
            let (test, username) = ask(&connected).await;
            let mut tx = write().await?;
            let row = super::tested(&mut tx, id, username.as_deref()).await.map_err(&missing)?;
            let said = async_graphql::Value::from(test.outcome).into_json().unwrap_or_default();
            let changes = Changes::made(&serde_json::json!({"outcome": said}));
            tx.commit(Record::with(Target::account(id).within(row.project), changes)).await?;
            Ok(AccountTestPayload {
                test: Some(test),
                account: Some(Account::new(row)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
