//! The SQL of people, sessions and what proves them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Session, User};
use crate::db::page::{Page, Slice};
use crate::db::{AnonymousTx, Call, Hot, PersonTx, ReadTx, hot};
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::{JobId, OrganizationId, SessionId, UserId};

/// The signed-in person: the most frequent read of all.
pub static VIEWER: Hot = Hot {
    name: "viewer",
    door: hot::Door::Person,
    sql: "select u.id, u.email, u.name, u.avatar_url, u.email_verified_at, u.created_at
        from users u where u.id = $1",
};

pub(super) fn viewer() -> Call<User> {
    Call::new(&VIEWER)
}

pub(super) async fn users(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<User>> {
    let users = sqlx::query_as!(
        User,
        "select id, email, name, avatar_url, email_verified_at, created_at from users where id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(users)
}

/// What the database says about a person in one organization.
#[derive(Debug, FromRow)]
pub(super) struct StandingRow {
    pub organization_id: Uuid,
    pub role: String,
    pub limited: bool,
    pub version: i64,
    pub deleted: bool,
    pub project_ids: Vec<Uuid>,
    pub project_roles: Vec<String>,
    pub points_per_minute: i32,
}

pub(super) async fn find_scope(
    tx: &mut AnonymousTx<'_>,
    user: UserId,
    organization: Option<OrganizationId>,
    slug: Option<&str>,
) -> Result<Vec<StandingRow>> {
    let rows = sqlx::query_as("select * from app.find_scope($1, $2, $3)")
        .bind(user)
        .bind(organization)
        .bind(slug)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows)
}

/// An API key, and what the database says about its creator.
#[derive(Debug, FromRow)]
pub(super) struct KeyRow {
    pub organization_id: Uuid,
    pub creator_id: Uuid,
    pub hash: Vec<u8>,
    pub previous_hash: Option<Vec<u8>>,
    pub previous_expires_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub requests_per_minute: Option<i32>,
    pub project_id: Option<Uuid>,
    pub permissions: Vec<String>,
    pub role: String,
    pub limited: bool,
    pub version: i64,
    pub project_ids: Vec<Uuid>,
    pub project_roles: Vec<String>,
    pub points_per_minute: i32,
}

pub(super) async fn find_key_scope(tx: &mut AnonymousTx<'_>, key: Uuid) -> Result<Option<KeyRow>> {
    let row =
        sqlx::query_as("select * from app.find_key_scope($1)").bind(key).fetch_optional(tx.conn()).await?;
    Ok(row)
}

/// Whoever started a job, and what the database says about them.
#[derive(Debug, FromRow)]
pub(super) struct JobRow {
    pub creator_id: Uuid,
    pub key_id: Option<Uuid>,
    pub key_project_id: Option<Uuid>,
    pub key_permissions: Option<Vec<String>>,
    pub role: String,
    pub limited: bool,
    pub version: i64,
    pub project_ids: Vec<Uuid>,
    pub project_roles: Vec<String>,
    pub points_per_minute: i32,
}

pub(super) async fn find_job_scope(
    tx: &mut AnonymousTx<'_>,
    organization: OrganizationId,
    job: JobId,
    attempt: i32,
) -> Result<Option<JobRow>> {
    let row = sqlx::query_as("select * from app.find_job_scope($1, $2, $3)")
        .bind(organization)
        .bind(job)
        .bind(attempt)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row)
}

/// Pairs what the two arrays of a standing say.
pub(super) fn project_roles(
    ids: &[Uuid],
    roles: &[String],
) -> BTreeMap<crate::id::ProjectId, crate::access::Role> {
    let roles = roles.iter().map(|role| crate::access::Role::parse(role));
    ids.iter().zip(roles).filter_map(|(id, role)| Some(((*id).into(), role?))).collect()
}

pub(super) async fn find_login(
    tx: &mut AnonymousTx<'_>,
    email: &str,
) -> Result<Option<(UserId, Option<String>)>> {
    let row = sqlx::query_as("select user_id, hash from app.find_login($1)")
        .bind(email)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row)
}

pub(super) async fn find_password(tx: &mut AnonymousTx<'_>, user: UserId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("select app.find_password($1)").bind(user).fetch_one(tx.conn()).await?)
}

pub(super) async fn find_user_token(
    tx: &mut AnonymousTx<'_>,
    hash: &[u8],
    purpose: TokenPurpose,
) -> Result<Option<(Uuid, UserId)>> {
    let row = sqlx::query_as("select id, user_id from app.find_user_token($1, $2)")
        .bind(hash)
        .bind(purpose.as_str())
        .fetch_optional(tx.conn())
        .await?;
    Ok(row)
}

/// What a single-use link is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum TokenPurpose {
    PasswordReset,
    EmailVerification,
}

impl TokenPurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
        }
    }
}

pub(super) async fn insert_user(tx: &mut PersonTx<'_>, id: UserId, email: &str, name: &str) -> Result<()> {
    sqlx::query!("insert into users (id, email, name) values ($1, $2, $3)", id.uuid(), email, name)
        .execute(tx.conn())
        .await
        .on_constraint("users_email_key", || {
            Error::fault(Fault::at(
                FaultCode::AlreadyExists,
                "email",
                "There is an account with this address. Sign in, or reset its password.",
            ))
        })?;
    Ok(())
}

pub(super) async fn update_user(
    tx: &mut PersonTx<'_>,
    name: Option<&str>,
    avatar: Option<Option<&str>>,
) -> Result<User> {
    let user = tx.user().uuid();
    let user = sqlx::query_as!(
        User,
        "update users set name = coalesce($2, name), avatar_url = case when $3 then $4 else avatar_url end,
            updated_at = now()
         where id = $1 returning id, email, name, avatar_url, email_verified_at, created_at",
        user,
        name,
        avatar.is_some(),
        avatar.flatten()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(user)
}

pub(super) async fn verify_email(tx: &mut PersonTx<'_>) -> Result<()> {
    let user = tx.user().uuid();
    sqlx::query!(
        "update users set email_verified_at = coalesce(email_verified_at, now()) where id = $1",
        user
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn set_password(tx: &mut PersonTx<'_>, hash: &str) -> Result<()> {
    let user = tx.user().uuid();
    sqlx::query!(
        "insert into passwords (user_id, hash) values ($1, $2)
         on conflict (user_id) do update set hash = $2, changed_at = now()",
        user,
        hash
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Holds the person's password as it is until the transaction ends; false when it is no longer the one of this hash.
pub(super) async fn lock_password(tx: &mut PersonTx<'_>, hash: String) -> Result<bool> {
    let user = tx.user();
    // One statement after the other: the second one sees what the first one has waited for.
    sqlx::query!("select user_id from passwords where user_id = $1 for no key update", user.uuid())
        .fetch_optional(tx.conn())
        .await?;
    let stored: Option<String> =
        sqlx::query_scalar("select app.find_password($1)").bind(user).fetch_one(tx.conn()).await?;
    Ok(stored == Some(hash))
}

pub(super) async fn insert_session(
    tx: &mut PersonTx<'_>,
    id: SessionId,
    issued_for: Option<OrganizationId>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let user = tx.user().uuid();
    let (ip, user_agent) = (tx.facts().ip.clone(), tx.facts().user_agent.clone());
    sqlx::query!(
        "insert into sessions (id, user_id, issued_for, ip, user_agent, expires_at) values ($1, $2, $3, $4, $5, $6)",
        id.uuid(),
        user,
        issued_for.map(OrganizationId::uuid),
        ip,
        user_agent,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A session's chain, locked until the transaction ends, and the database's clock.
pub(super) struct ChainRow {
    pub generation: i32,
    pub rotated_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub issued_for: Option<Uuid>,
    pub now: DateTime<Utc>,
}

pub(super) async fn lock_chain(tx: &mut PersonTx<'_>, id: SessionId) -> Result<Option<ChainRow>> {
    let row = sqlx::query_as!(
        ChainRow,
        r#"select generation, rotated_at, expires_at, revoked_at, issued_for, clock_timestamp() as "now!"
           from sessions where id = $1 for update"#,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn advance_chain(tx: &mut PersonTx<'_>, id: SessionId, generation: i32) -> Result<()> {
    sqlx::query!(
        "update sessions set generation = $2, rotated_at = clock_timestamp(), last_used_at = now() where id = $1",
        id.uuid(),
        generation
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends sessions of the person: one, or all but one, or all.
pub(super) async fn revoke_sessions(
    tx: &mut PersonTx<'_>,
    only: Option<SessionId>,
    except: Option<SessionId>,
) -> Result<u64> {
    let user = tx.user().uuid();
    let done = sqlx::query!(
        "update sessions set revoked_at = now()
         where user_id = $1 and revoked_at is null and expires_at > now()
           and ($2::uuid is null or id = $2) and ($3::uuid is null or id <> $3)",
        user,
        only.map(SessionId::uuid),
        except.map(SessionId::uuid)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn sessions(tx: &mut ReadTx<'_>) -> Result<Vec<Session>> {
    let sessions = sqlx::query_as!(
        Session,
        "select id, user_agent, ip, created_at, last_used_at, expires_at from sessions
         where revoked_at is null and expires_at > now() order by last_used_at desc, id desc limit 100"
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(sessions)
}

pub(super) async fn session(tx: &mut ReadTx<'_>, id: SessionId) -> Result<Option<Session>> {
    let session = sqlx::query_as!(
        Session,
        "select id, user_agent, ip, created_at, last_used_at, expires_at from sessions
         where id = $1 and revoked_at is null and expires_at > now()",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(session)
}

/// The organization that a token is issued for: the wanted one if the person belongs to it, else their oldest.
pub(super) async fn choose_organization(
    tx: &mut PersonTx<'_>,
    wanted: Option<Uuid>,
) -> Result<Option<OrganizationId>> {
    let user = tx.user().uuid();
    let id = sqlx::query_scalar!(
        "select m.organization_id from memberships m join organizations o on o.id = m.organization_id
         where m.user_id = $1 and (o.deleted_at is null or m.role = 'OWNER')
         order by m.organization_id is not distinct from $2 desc, o.deleted_at is not null, m.created_at, m.organization_id
         limit 1",
        user,
        wanted
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(Into::into))
}

pub(super) async fn insert_user_token(
    tx: &mut PersonTx<'_>,
    purpose: TokenPurpose,
    hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<()> {
    // A newer link makes the older ones worthless.
    void_user_tokens(tx, purpose).await?;
    let user = tx.user().uuid();
    sqlx::query!(
        "insert into user_tokens (id, user_id, purpose, hash, expires_at) values ($1, $2, $3, $4, $5)",
        Uuid::now_v7(),
        user,
        purpose.as_str(),
        hash,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Makes the person's links of a kind worthless.
pub(super) async fn void_user_tokens(tx: &mut PersonTx<'_>, purpose: TokenPurpose) -> Result<()> {
    let user = tx.user().uuid();
    sqlx::query!(
        "update user_tokens set used_at = now() where user_id = $1 and purpose = $2 and used_at is null",
        user,
        purpose.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Uses a link up; false when somebody else just did.
pub(super) async fn use_user_token(tx: &mut PersonTx<'_>, id: Uuid) -> Result<bool> {
    let done = sqlx::query!(
        "update user_tokens set used_at = now() where id = $1 and used_at is null and expires_at > now()",
        id
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn security_events(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
) -> Result<Slice<super::SecurityEvent>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        super::SecurityEvent,
        tx,
        page,
        "select id, kind, ip, user_agent, occurred_at from security_events where id > $1 and id < $2",
        "id" "desc" / "asc",
        "$3",
        low,
        high
    );
    Ok(page.slice(rows))
}

pub(super) async fn security_event(tx: &mut ReadTx<'_>, id: Uuid) -> Result<Option<super::SecurityEvent>> {
    let row = sqlx::query_as!(
        super::SecurityEvent,
        "select id, kind, ip, user_agent, occurred_at from security_events where id = $1",
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

pub(super) async fn count_security_events(tx: &mut ReadTx<'_>) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from security_events"#)
        .fetch_one(tx.conn())
        .await?)
}

/// Records the last use of many credentials, and requests of many organizations.
pub(super) async fn touch(tx: &mut AnonymousTx<'_>, sessions: &[Uuid], keys: &[Uuid]) -> Result<()> {
    sqlx::query("select app.touch($1, $2)").bind(sessions).bind(keys).execute(tx.conn()).await?;
    Ok(())
}

pub(super) async fn count_requests(
    tx: &mut AnonymousTx<'_>,
    organizations: &[Uuid],
    counts: &[i64],
) -> Result<()> {
    sqlx::query("select app.count_usage($1, 'API_REQUESTS', $2)")
        .bind(organizations)
        .bind(counts)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Which of the standings are no longer as they were, by place from 1, and whether their credential is alive.
pub(super) async fn find_changed(tx: &mut AnonymousTx<'_>, all: &[super::Stood]) -> Result<Vec<(i64, bool)>> {
    let list = |of: fn(&super::Stood) -> Uuid| all.iter().map(of).collect::<Vec<_>>();
    let rows = sqlx::query_as("select place, alive from app.find_changed($1, $2, $3, $4, $5)")
        .bind(list(|stood| stood.credential.id()))
        .bind(all.iter().map(|stood| stood.credential.key().is_some()).collect::<Vec<_>>())
        .bind(list(|stood| stood.credential.user().uuid()))
        .bind(all.iter().map(|stood| stood.rights.map(|(id, _)| id.uuid())).collect::<Vec<_>>())
        .bind(all.iter().map(|stood| stood.rights.map(|(_, version)| version)).collect::<Vec<_>>())
        .fetch_all(tx.conn())
        .await?;
    Ok(rows)
}

/// A signing key as it is stored.
#[derive(Debug, FromRow)]
pub(super) struct SigningKeyRow {
    pub id: String,
    pub sealed_private_key: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub retired_at: Option<DateTime<Utc>>,
}

pub(super) async fn signing_keys(tx: &mut AnonymousTx<'_>) -> Result<Vec<SigningKeyRow>> {
    let rows =
        sqlx::query_as("select id, sealed_private_key, created_at, retired_at from app.signing_keys()")
            .fetch_all(tx.conn())
            .await?;
    Ok(rows)
}

pub(super) async fn add_signing_key(
    tx: &mut AnonymousTx<'_>,
    id: &str,
    public: &[u8],
    sealed: &[u8],
    rotate: bool,
) -> Result<()> {
    sqlx::query("select app.add_signing_key($1, $2, $3, $4)")
        .bind(id)
        .bind(public)
        .bind(sealed)
        .bind(rotate)
        .execute(tx.conn())
        .await?;
    Ok(())
}
