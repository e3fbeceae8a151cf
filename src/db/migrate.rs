//! Roles, migrations and hot functions: what makes a database this binary's, and what refuses one that is unsafe.

use anyhow::{Context as _, bail, ensure};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnection, PgExecutor};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::hot::Hot;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The roles, for a superuser or for somebody who may create roles to run once. Idempotent. Passwords are set apart.
pub const ROLES_SQL: &str = "\
do $$ begin
    if not exists (select from pg_roles where rolname = 'aicos_owner') then
        create role aicos_owner login nosuperuser nobypassrls nocreatedb nocreaterole;
    end if;
    if not exists (select from pg_roles where rolname = 'aicos_app') then
        create role aicos_app login nosuperuser nobypassrls nocreatedb nocreaterole noinherit;
    end if;
    if not exists (select from pg_roles where rolname = 'aicos_gate') then
        create role aicos_gate nologin nosuperuser nobypassrls nocreatedb nocreaterole;
    end if;
    if not exists (select from pg_roles where rolname = 'aicos_queue') then
        create role aicos_queue nologin nosuperuser nobypassrls nocreatedb nocreaterole;
    end if;
    grant aicos_gate, aicos_queue to aicos_owner;
    -- Workers become it, on connections of their own; what serves inherits nothing of it.
    alter role aicos_app noinherit;
    grant aicos_queue to aicos_app;
end $$;";

/// Brings the database to this binary's schema. `connection` is the owner's.
///
/// # Errors
/// A sentence that names the fix; the database is then as it was before the failing migration.
pub async fn run(
    connection: &mut PgConnection,
    hot: &[&Hot],
    progress: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<()> {
    let (version,): (i32,) = sqlx::query_as("select current_setting('server_version_num')::int")
        .fetch_one(&mut *connection)
        .await?;
    ensure!(
        version >= 150_000,
        "PostgreSQL 15 or newer is needed; this one reports {version}. Upgrade it first."
    );
    ensure_roles(connection).await?;
    ensure_membership(connection).await?;

    let before = applied(&mut *connection).await.unwrap_or_default();
    let missing = MIGRATIONS.iter().filter(|m| !before.contains(&m.version)).count();
    if missing > 0 {
        progress(&format!("Applying {missing} migration{} …", if missing == 1 { "" } else { "s" }));
    }
    MIGRATIONS.run(&mut *connection).await.context("a migration did not apply; nothing of it was kept")?;
    create_hot_functions(connection, hot).await
}

/// Whether all the roles of [`ROLES_SQL`] are there.
///
/// # Errors
/// What the database says.
pub async fn has_roles(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select count(*) = 4 from pg_roles where rolname in ('aicos_owner', 'aicos_app', 'aicos_gate', 'aicos_queue')",
    )
    .fetch_one(connection)
    .await
}

async fn ensure_roles(connection: &mut PgConnection) -> anyhow::Result<()> {
    if has_roles(connection).await? {
        return Ok(());
    }
    let (may,): (bool,) =
        sqlx::query_as("select rolcreaterole or rolsuper from pg_roles where rolname = current_user")
            .fetch_one(&mut *connection)
            .await?;
    if may {
        connection.execute(ROLES_SQL).await.context("the roles could not be created")?;
        return Ok(());
    }
    bail!(
        "The roles aicos_owner, aicos_app, aicos_gate and aicos_queue do not all exist, and DATABASE_OWNER_URL may not create \
         roles. Run this once as an administrator, give the two LOGIN roles passwords, then start again:\n\n{ROLES_SQL}"
    )
}

/// Handing functions to the gate and a schema to the queue's role takes a member of both. `aicos_owner` is one; an owner
/// of another name becomes one here, or says what is missing.
async fn ensure_membership(connection: &mut PgConnection) -> anyhow::Result<()> {
    let (role, member, may): (String, bool, bool) = sqlx::query_as(
        "select rolname::text, pg_has_role(oid, 'aicos_gate', 'member') and pg_has_role(oid, 'aicos_queue', 'member'),
            rolcreaterole
         from pg_roles where rolname = current_user",
    )
    .fetch_one(&mut *connection)
    .await?;
    if member {
        return Ok(());
    }
    let granted = if may {
        connection.execute("grant aicos_gate, aicos_queue to current_user").await.is_ok()
    } else {
        false
    };
    ensure!(
        granted,
        "The role `{role}` of DATABASE_OWNER_URL is not a member of aicos_gate and aicos_queue. Put `aicos_owner` into \
         DATABASE_OWNER_URL, or run this once as an administrator: `grant aicos_gate, aicos_queue to \"{role}\"`"
    );
    Ok(())
}

async fn applied(connection: impl PgExecutor<'_>) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar("select version from _sqlx_migrations where success order by version")
        .fetch_all(connection)
        .await
}

/// Creates the hot functions that are missing or differ, and drops those that this binary does not know.
async fn create_hot_functions(connection: &mut PgConnection, hot: &[&Hot]) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    // Servers that start together wait here for each other; the later ones then find everything in its place.
    transaction.execute("select pg_advisory_xact_lock(hashtextextended('aicos.hot_functions', 0))").await?;
    let existing: Vec<(String, String, String)> = sqlx::query_as(
        "select proname::text, oid::regprocedure::text, prosrc from pg_proc \
         where pronamespace = 'app'::regnamespace and proname like 'hot\\_%'",
    )
    .fetch_all(&mut *transaction)
    .await?;
    let mut missing: Vec<_> = hot.iter().filter_map(|hot| hot.definition()).collect();
    for (name, signature, source) in existing {
        let known =
            missing.iter().position(|known| name == format!("hot_{}", known.name) && source == known.source);
        if let Some(known) = known {
            missing.swap_remove(known);
        } else {
            transaction.execute(AssertSqlSafe(format!("drop function {signature}"))).await?;
        }
    }
    for definition in missing {
        let name = definition.name;
        transaction
            .execute(AssertSqlSafe(definition.create()))
            .await
            .with_context(|| format!("app.hot_{name} could not be created"))?;
        for right in [
            format!("revoke execute on function app.hot_{name} from public"),
            format!("grant execute on function app.hot_{name} to aicos_app"),
        ] {
            transaction.execute(AssertSqlSafe(right)).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// The first hot function that is missing or is not this binary's.
pub(crate) async fn stale_function(
    connection: impl PgExecutor<'_>,
    hot: &[&Hot],
) -> sqlx::Result<Option<&'static str>> {
    let functions: Vec<(String, String)> = sqlx::query_as(
        "select proname::text, prosrc from pg_proc where pronamespace = 'app'::regnamespace and proname like 'hot\\_%'",
    )
    .fetch_all(connection)
    .await?;
    let mut definitions = hot.iter().filter_map(|hot| hot.definition());
    let stale = definitions.find(|wanted| {
        let name = format!("hot_{}", wanted.name);
        !functions.iter().any(|(known, source)| *known == name && *source == wanted.source)
    });
    Ok(stale.map(|definition| definition.name))
}

/// Roles of PostgreSQL's own whose members read or write past grants and policies.
const ABOVE_GRANTS: [&str; 5] = [
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
];

/// Refuses to serve as a role that row-level security does not hold.
///
/// # Errors
/// A sentence that names the fix.
pub(super) async fn refuse_unsafe_role(connection: impl PgExecutor<'_>) -> anyhow::Result<()> {
    let (role, why): (String, Option<String>) = sqlx::query_as(
        "select r.rolname::text, case
            when r.rolsuper then 'is a superuser, which row-level security does not hold'
            when r.rolbypassrls then 'has BYPASSRLS, which row-level security does not hold'
            when exists (select from pg_class c where c.relowner = r.oid and c.relnamespace = 'public'::regnamespace)
                then 'owns tables, so it could switch row-level security off'
            when r.rolcreaterole then 'may create roles, and so make itself a member of others'
            when r.rolreplication then 'has REPLICATION, so it may copy the whole database'
            else (select 'is a member of `' || o.rolname || '`, which reaches past row-level security or its own rights'
                from pg_roles o
                where o.rolname <> r.rolname and pg_has_role(r.oid, o.oid, 'member')
                    and (o.rolsuper or o.rolbypassrls or o.rolname in ('aicos_owner', 'aicos_gate') or o.rolname = any ($1))
                order by o.rolname limit 1)
         end
         from pg_roles r where r.rolname = current_user",
    )
    .bind(&ABOVE_GRANTS[..])
    .fetch_one(connection)
    .await?;
    let Some(why) = why else { return Ok(()) };
    bail!(
        "The role `{role}` of DATABASE_URL {why}. Serve as `aicos_app` instead: \
         `alter role aicos_app with login nocreaterole noreplication password '…'`, then put that role into DATABASE_URL \
         and this one, if it owns the tables, into DATABASE_OWNER_URL."
    )
}

/// Refuses a database whose schema is not this binary's.
///
/// # Errors
/// A sentence that names the fix.
pub(super) async fn refuse_other_schema(connection: impl PgExecutor<'_>) -> anyhow::Result<()> {
    let applied = match applied(connection).await {
        Ok(applied) => applied,
        Err(error) if error.as_database_error().is_some() => {
            bail!(
                "The database has no aicos schema that this role can read. Run `aicos migrate` with DATABASE_OWNER_URL."
            )
        }
        Err(error) => return Err(error).context("the database does not answer"),
    };
    if let Some(missing) = MIGRATIONS.iter().find(|m| !applied.contains(&m.version)) {
        bail!(
            "The database lacks the migration {} ({}). Run `aicos migrate` with DATABASE_OWNER_URL.",
            missing.version,
            missing.description
        );
    }
    if let Some(unknown) = applied.iter().find(|version| !MIGRATIONS.version_exists(**version)) {
        bail!(
            "The database has the migration {unknown}, which this binary does not know. Use a newer aicos."
        );
    }
    Ok(())
}
