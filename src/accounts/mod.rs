//! Accounts of other services that an organization has connected, for what it publishes.
//!
//! Their tokens are sealed with the master key, each for its own row of its own organization, and are opened only to be
//! used: when a worker publishes, or an account is tested. Nothing gives them back.

pub mod channel;
pub mod graphql;
mod store;

use std::time::Instant;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use self::channel::Channel;
use crate::db::page::{Page, Slice};
use crate::db::{AnonymousTx, Db, ReadTx, Redacted, WriteTx};
use crate::engine::Reach;
use crate::engine::graph::{Graph, Trouble};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AccountId, OrganizationId, ProjectId};
use crate::identity::master::{MasterKeys, Purpose};
use crate::identity::sealer::Sealer;
use crate::telemetry::count;
use crate::{input, projects};

/// Accounts of an organization at the most.
pub const MOST: i64 = 100;
/// Characters of a token.
const TOKEN: usize = 1_000;
/// Characters of a user name.
const USERNAME: usize = 100;

/// Which way an account's owner signed in; each has a host of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, async_graphql::Enum)]
#[graphql(name = "AccountLogin")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Login {
    /// With Facebook: the token is that of the page that the account belongs to.
    Facebook,
    /// With Instagram itself.
    Instagram,
}

impl Login {
    /// The spelling of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Facebook => "FACEBOOK",
            Self::Instagram => "INSTAGRAM",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Facebook, Self::Instagram].into_iter().find(|login| login.as_str() == text)
    }

    /// Where the API is reached, with the version that is spoken.
    const fn usual(self) -> &'static str {
        match self {
            Self::Facebook => "https://graph.facebook.com/v24.0",
            Self::Instagram => "https://graph.instagram.com/v24.0",
        }
    }
}

/// A connected account, without its token, which nobody can read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: AccountId,
    /// The project that it is for; none: for every project.
    pub project: Option<ProjectId>,
    /// Which service.
    pub channel: Channel,
    /// Which way its owner signed in.
    pub login: Login,
    /// The service's own id of it.
    pub user_id: String,
    /// Its name there, as far as it is known.
    pub username: Option<String>,
    /// When its token ends; none when that is not known, or it does not.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was connected.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was last tested.
    pub tested_at: Option<DateTime<Utc>>,
}

/// A token as a caller gives it, checked.
fn token(text: &str) -> Result<SecretString> {
    let refuse = |code, message: &str| Err(Error::fault(Fault::at(code, "token", message)));
    let text = text.trim();
    if text.is_empty() {
        return refuse(FaultCode::Required, "`token` must not be empty.");
    }
    if text.len() > TOKEN {
        return refuse(FaultCode::TooLong, "`token` has at most 1,000 characters.");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse(FaultCode::Invalid, "`token` holds a character that no token has. Copy it again.");
    }
    Ok(text.into())
}

fn expiry(at: DateTime<Utc>) -> Result<DateTime<Utc>> {
    if at > Utc::now() {
        return Ok(at);
    }
    let message = "`expiresAt` lies in the past. Get a new token first.";
    Err(Error::fault(Fault::at(FaultCode::OutOfRange, "expiresAt", message)))
}

/// What reaches the services of connected accounts.
#[derive(Debug)]
pub struct Accounts {
    graph: Graph,
    /// Where the API is reached instead of its usual hosts.
    instead: Option<Url>,
    sealer: Sealer,
}

/// An account with its token opened.
#[derive(Debug)]
pub struct Connected<'a> {
    /// Which.
    pub account: Account,
    graph: &'a Graph,
    base: Url,
    token: SecretString,
}

impl Connected<'_> {
    /// Reads `path`.
    ///
    /// # Errors
    /// What came instead of an answer.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, Trouble> {
        let asked = Instant::now();
        counted(asked, self.graph.get(&self.base, path, parameters, &self.token).await)
    }

    /// Sends a form to `path`.
    ///
    /// # Errors
    /// What came instead of an answer.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, Trouble> {
        let asked = Instant::now();
        counted(asked, self.graph.post(&self.base, path, form, &self.token).await)
    }
}

fn counted(asked: Instant, answer: Result<Value, Trouble>) -> Result<Value, Trouble> {
    let outcome = match &answer {
        Ok(_) => "ok",
        Err(Trouble::Unreachable) => "unavailable",
        Err(Trouble::Lost) => "broken",
        Err(Trouble::Said(_)) => "rejected",
    };
    count().provider("instagram", outcome, asked.elapsed(), None);
    answer
}

impl Accounts {
    /// With the master keys that tokens are sealed with, and another address of the API than its usual ones.
    pub const fn new(master: MasterKeys, reach: Reach, instead: Option<Url>) -> Self {
        Self { graph: Graph::new(reach), instead, sealer: Sealer::new(master, Purpose::AccountTokens) }
    }

    /// How far addresses may lead.
    pub const fn reach(&self) -> Reach {
        self.graph.reach()
    }

    /// An account with its token opened; none when it is not there, or not visible.
    ///
    /// # Errors
    /// What the database says; a fault of ours when the token cannot be opened.
    pub async fn connected(&self, tx: &mut ReadTx<'_>, id: AccountId) -> Result<Option<Connected<'_>>> {
        let Some((account, sealed)) = store::sealed(tx, id).await? else { return Ok(None) };
        let token = self.sealer.open_text(account.organization, id.uuid(), &sealed)?;
        let base = match &self.instead {
            Some(url) => url.clone(),
            None => Url::parse(account.login.usual()).map_err(Error::internal)?,
        };
        Ok(Some(Connected { account, graph: &self.graph, base, token }))
    }

    /// Seals every token anew that is not sealed under the current master key (`aicos keys rotate`). Gives how many.
    ///
    /// # Errors
    /// When the database does not answer, or a token cannot be opened with any master key.
    pub async fn reseal(&self, db: &Db) -> Result<usize> {
        let replace = async |tx: &mut AnonymousTx<'_>, (organization, id, before): store::Sealed| {
            let after = self.sealer.anew(organization, id.uuid(), &before)?;
            store::seal_token(tx, organization, id, &before, &after).await
        };
        self.sealer.reseal(db, store::tokens_to_seal, replace).await
    }
}

/// A new account, checked.
#[derive(Debug)]
pub struct NewAccount {
    project: Option<ProjectId>,
    login: Login,
    user_id: String,
    username: Option<String>,
    token: SecretString,
    expires_at: Option<DateTime<Utc>>,
}

impl NewAccount {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(
        project: Option<ProjectId>,
        login: Login,
        user_id: &str,
        username: Option<&str>,
        secret: &str,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let user_id = input::line("userId", user_id, 40)?;
        if !user_id.bytes().all(|byte| byte.is_ascii_digit()) {
            let message =
                "`userId` is the number that the Graph API names the account by, such as 17841400000000000.";
            return Err(Error::fault(Fault::at(FaultCode::Invalid, "userId", message)));
        }
        let username = username.map(|name| input::line("username", name, USERNAME)).transpose()?;
        let username = username.map(|name| name.trim_start_matches('@').to_owned());
        Ok(Self {
            project,
            login,
            user_id,
            username: username.filter(|name| !name.is_empty()),
            token: token(secret)?,
            expires_at: expires_at.map(expiry).transpose()?,
        })
    }
}

/// What the audit log keeps of an account.
pub fn logged(account: &Account) -> Value {
    json!({
        "channel": account.channel.key(), "login": account.login.as_str(), "userId": account.user_id,
        "username": account.username, "expiresAt": account.expires_at, "token": Redacted,
    })
}

/// Connects an account.
///
/// # Errors
/// `NOT_FOUND` for the project; `ALREADY_EXISTS` when it is connected there; `CONFLICT` when there are too many.
pub async fn connect(tx: &mut WriteTx<'_>, accounts: &Accounts, new: &NewAccount) -> Result<Account> {
    if let Some(project) = new.project
        && projects::find(tx, project).await?.is_none()
    {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    tx.take_turn("accounts").await?;
    if store::count(tx).await? >= MOST {
        let message =
            format!("An organization has at most {MOST} accounts. Disconnect one that is not used.");
        return Err(Error::fault(Fault::new(FaultCode::Conflict, message)));
    }
    let id = AccountId::generate();
    let token = new.token.expose_secret().as_bytes();
    let sealed = accounts.sealer.seal(tx.organization(), id.uuid(), token)?;
    store::insert(tx, id, new, &sealed).await?;
    find(tx, id).await?.ok_or(Error::NotFound)
}

/// A change of an account: absent leaves unchanged, null clears.
#[derive(Debug, Default)]
pub struct AccountUpdate {
    /// Another token.
    pub token: Option<SecretString>,
    /// When the token ends.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// Changes an account. Gives it as it was and as it is.
///
/// # Errors
/// A fault at the field; `NOT_FOUND`.
pub async fn update(
    tx: &mut WriteTx<'_>,
    accounts: &Accounts,
    id: AccountId,
    change: AccountUpdate,
) -> Result<(Account, Account)> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    let given = change.token.map(|given| token(given.expose_secret())).transpose()?;
    let seal = |token: &SecretString| {
        accounts.sealer.seal(before.organization, id.uuid(), token.expose_secret().as_bytes())
    };
    let sealed = given.as_ref().map(seal).transpose()?;
    // How long the token before was good says nothing of a new one.
    let kept = if sealed.is_some() { None } else { before.expires_at };
    let expires_at = change.expires_at.unwrap_or(kept).map(expiry).transpose()?;
    store::update(tx, id, sealed.as_deref(), expires_at).await?;
    Ok((before, find(tx, id).await?.ok_or(Error::NotFound)?))
}

/// Disconnects an account: its token is gone. Gives it as it was. What was to be published by it fails.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn disconnect(tx: &mut WriteTx<'_>, id: AccountId) -> Result<Account> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    store::delete(tx, id).await?;
    Ok(before)
}

/// Notes that an account was tested, and what it is called. Gives it.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn tested(tx: &mut WriteTx<'_>, id: AccountId, username: Option<&str>) -> Result<Account> {
    let username = username.filter(|name| (1..=USERNAME).contains(&name.chars().count()));
    store::tested(tx, id, username).await?;
    find(tx, id).await?.ok_or(Error::NotFound)
}

/// One account.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: AccountId) -> Result<Option<Account>> {
    store::find(tx, id).await
}

/// The accounts that a project can publish by.
///
/// # Errors
/// What the database says.
pub async fn usable(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<Vec<Account>> {
    store::usable(tx, project).await
}

/// Makes sure that an account is there, and that a project can use it.
///
/// # Errors
/// `NOT_FOUND` at `accountId`.
pub async fn require(tx: &mut ReadTx<'_>, project: ProjectId, id: AccountId) -> Result<()> {
    if usable(tx, project).await?.iter().any(|account| account.id == id) {
        return Ok(());
    }
    let message = "There is no such account, or this project cannot publish by it.";
    Err(Error::fault(Fault::at(FaultCode::NotFound, "accountId", message)))
}

/// One page of accounts, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>) -> Result<Slice<Account>> {
    store::list(tx, page).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count_all(tx: &mut ReadTx<'_>) -> Result<i64> {
    store::count(tx).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_its_number_and_a_token_is_what_a_header_carries() {
        let parse = |user: &str, secret: &str| {
            NewAccount::parse(None, Login::Facebook, user, Some("@acme"), secret, None)
        };
        let new = parse(" 17841400000000000 ", " EAAB0123 ").unwrap();
        assert_eq!((new.user_id.as_str(), new.username.as_deref()), ("17841400000000000", Some("acme")));
        assert_eq!(new.token.expose_secret(), "EAAB0123");
        for (user, secret) in
            [("acme", "EAAB"), ("", "EAAB"), ("1", ""), ("1", "two words"), ("1", "schlüssel")]
        {
            assert!(parse(user, secret).is_err(), "{user} {secret}");
        }
        assert!(parse("1", &"t".repeat(TOKEN)).is_ok() && parse("1", &"t".repeat(TOKEN + 1)).is_err());
    }
}
