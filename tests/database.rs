//! Databases that aicos did not make: what it refuses, with the fix; what doctor finds; and what a client sees while
//! one is gone.

use std::sync::Arc;
use std::time::Duration;

use aicos::app::{self, App, HOT_QUERIES, Prepared};
use aicos::config::{Config, Settings};
use aicos::db::{Db, PoolSettings, migrate};
use aicos::doctor::{self, Report};
use aicos::postgres::{Cluster, Options};
use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use crate::support::{self, Database, Server, cast};

async fn run(connection: &mut PgConnection, sql: &str) {
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Why a server does not start on this connection.
async fn refusal(options: &PgConnectOptions) -> String {
    let db = Db::open(options.clone(), &PoolSettings { size: 1, ..PoolSettings::default() }).unwrap();
    format!("{:#}", db.check().await.unwrap_err())
}

#[tokio::test]
async fn a_role_that_row_level_security_does_not_hold_is_refused() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    Db::open(database.serve.clone(), &PoolSettings::default()).unwrap().check().await.unwrap();

    assert!(refusal(&database.superuser).await.contains("is a superuser"));
    assert!(refusal(&database.owner).await.contains("owns tables"));
    let cases = [
        ("bypassrls", "", "has BYPASSRLS"),
        ("createrole", "", "may create roles"),
        ("replication", "", "may copy the whole database"),
        ("", "aicos_owner", "is a member of `aicos_"),
        ("", "aicos_gate", "is a member of `aicos_gate`"),
        ("noinherit", "aicos_owner", "is a member of `aicos_"),
        ("", "pg_read_all_data", "is a member of `pg_read_all_data`"),
        ("", "pg_write_all_data", "is a member of `pg_write_all_data`"),
        ("", "pg_execute_server_program", "is a member of `pg_execute_server_program`"),
        ("", "pg_read_server_files", "is a member of `pg_read_server_files`"),
        ("", "pg_write_server_files", "is a member of `pg_write_server_files`"),
    ];
    for (number, (attribute, member_of, why)) in cases.into_iter().enumerate() {
        let role = format!("{}_{number}", database.name);
        run(&mut superuser, &format!("create role {role} login {attribute} password 'only-for-tests'")).await;
        if !member_of.is_empty() {
            run(&mut superuser, &format!("grant {member_of} to {role}")).await;
        }
        let options = database.serve.clone().username(&role).password("only-for-tests");
        let said = refusal(&options).await;
        run(&mut superuser, &format!("drop role {role}")).await;
        assert!(said.contains(why), "{said}");
        assert!(said.contains(&role) && said.contains("alter role aicos_app with login"), "no fix: {said}");
    }
}

#[tokio::test]
async fn another_schema_is_refused_with_the_fix() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    for (done, undone, why, fix) in [
        (
            "alter table _sqlx_migrations rename to _away",
            "alter table _away rename to _sqlx_migrations",
            "no aicos schema",
            "aicos migrate",
        ),
        (
            "update _sqlx_migrations set version = -version where version = 20261122000005",
            "update _sqlx_migrations set version = -version where version < 0",
            "lacks the migration 20261122000005 (create projects)",
            "aicos migrate",
        ),
        (
            "update _sqlx_migrations set success = false where version = 20261122000011",
            "update _sqlx_migrations set success = true",
            "lacks the migration 20261122000011",
            "aicos migrate",
        ),
        (
            "insert into _sqlx_migrations values (29990101000000, 'from the future', now(), true, '', 0)",
            "delete from _sqlx_migrations where version = 29990101000000",
            "29990101000000, which this binary does not know",
            "Use a newer aicos",
        ),
    ] {
        run(&mut superuser, done).await;
        let said = refusal(&database.serve).await;
        assert!(said.contains(why) && said.contains(fix), "{done}: {said}");
        run(&mut superuser, undone).await;
    }
    let nowhere = database.serve.clone().database("nowhere");
    assert!(refusal(&nowhere).await.contains("nowhere"));
}

/// What identifies every object that `migrate` makes, and the transaction that made it.
async fn objects(connection: &mut PgConnection) -> Vec<(String, String)> {
    sqlx::query_as(
        "select 'function ' || oid::regprocedure, xmin::text from pg_proc where pronamespace = 'app'::regnamespace
         union all select 'table ' || oid::regclass, xmin::text from pg_class where relnamespace = 'public'::regnamespace
         union all select 'policy ' || polname, xmin::text from pg_policy order by 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = Database::fresh().await;
    let mut owner = database.owner.connect().await.unwrap();
    let before = objects(&mut owner).await;
    let said = std::sync::Mutex::new(Vec::new());
    let progress = |line: &str| said.lock().unwrap().push(line.to_owned());
    migrate::run(&mut owner, HOT_QUERIES, &progress).await.unwrap();
    assert_eq!(objects(&mut owner).await, before);
    assert!(said.into_inner().unwrap().is_empty());
}

/// Eight servers that start at the same time.
async fn all_at_once(owner: &PgConnectOptions) {
    let migrations = (0..8).map(async |_| {
        let mut connection = owner.connect().await.unwrap();
        migrate::run(&mut connection, HOT_QUERIES, &|_| {}).await.map_err(|error| format!("{error:#}"))
    });
    for migrated in join_all(migrations).await {
        assert_eq!(migrated, Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_together_migrate_once() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let name = format!("{}_empty", database.name);
    run(&mut superuser, &format!("create database {name} owner aicos_owner")).await;
    let owner = database.owner.clone().database(&name);
    all_at_once(&owner).await;
    Db::open(database.serve.clone().database(&name), &PoolSettings::default())
        .unwrap()
        .check()
        .await
        .unwrap();
    // A repair, all at once.
    let mut connection = owner.connect().await.unwrap();
    run(&mut connection, "alter function app.hot_create_project rename to hot_other").await;
    all_at_once(&owner).await;
}

#[tokio::test]
async fn an_older_postgresql_is_refused() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    run(
        &mut superuser,
        "create schema old; grant usage on schema old to public;
         create function old.current_setting(text) returns text language sql return '140011'",
    )
    .await;
    let old = database.owner.clone().options([("search_path", "old,pg_catalog,public")]);
    let mut owner = old.connect().await.unwrap();
    let said = migrate::run(&mut owner, HOT_QUERIES, &|_| {}).await.unwrap_err().to_string();
    assert!(said.contains("PostgreSQL 15 or newer is needed") && said.contains("140011"), "{said}");
}

/// A cluster without aicos's roles, where the other tests' cannot be missed.
#[tokio::test(flavor = "multi_thread")]
async fn missing_roles_are_made_or_asked_for() {
    let folder = std::env::temp_dir().join(format!("aicos-roles-{}", std::process::id()));
    let options = Options {
        data_dir: folder.clone(),
        bin_dir: std::env::var_os("AICOS_POSTGRES_BIN").map(Into::into),
        progress: Arc::new(|_: &str| {}),
    };
    let cluster = Cluster::start(options).await.unwrap();
    let base = PgConnectOptions::new_without_pgpass().socket(cluster.socket_dir()).port(cluster.port());
    let base = base.password("only-for-tests");
    let superuser = base.clone().username(cluster.superuser()).password(cluster.superuser_password());
    let mut connection = superuser.clone().database("postgres").connect().await.unwrap();
    run(&mut connection, "create role plain login password 'only-for-tests'").await;
    run(&mut connection, "create role maker login createrole password 'only-for-tests'").await;
    for name in ["plain", "maker"] {
        run(&mut connection, &format!("create database {name} owner {name}")).await;
    }
    let mut plain = base.clone().username("plain").database("plain").connect().await.unwrap();
    let said = migrate::run(&mut plain, HOT_QUERIES, &|_| {}).await.unwrap_err().to_string();
    assert!(
        said.contains(migrate::ROLES_SQL) && said.contains("Run this once as an administrator"),
        "{said}"
    );
    plain.close().await.unwrap();

    let mut maker = base.username("maker").database("maker").connect().await.unwrap();
    let made = migrate::run(&mut maker, HOT_QUERIES, &|_| {}).await;
    let (roles, safe): (i64, bool) = sqlx::query_as(
        "select count(*), bool_and(not (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication))
         from pg_roles where rolname like 'aicos\\_%'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    maker.close().await.unwrap();
    connection.close().await.unwrap();
    cluster.leave().await.unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    assert_eq!((roles, safe), (4, true));
    made.unwrap();
}

fn outside(database: &Database, owner: bool) -> Config {
    let owner = owner.then(|| database.owner.to_url_lossy().to_string());
    let settings = Settings {
        data_dir: Some(std::env::temp_dir()),
        database_url: Some(database.serve.to_url_lossy().to_string()),
        database_owner_url: owner,
        master_key: Some("dGVzdHMgb25seSwgYW5kIHRlc3RzIG9ubHkuLi4uLi4=".into()),
        ..Settings::default()
    };
    settings.check().unwrap()
}

async fn examine(prepared: &Prepared) -> Report {
    let mut report = Report::default();
    doctor::check_database(prepared, &mut report).await;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_each_defect_and_says_how_to_mend_it() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let prepared = app::prepare(&outside(&database, true), Arc::new(|_: &str| {})).await.unwrap();
    let report = examine(&prepared).await;
    assert!(report.is_well(), "{report}");
    for (done, undone, finding, fix) in [
        (
            "alter table projects disable row level security",
            "alter table projects enable row level security",
            "projects: row-level security is off",
            "alter table projects enable row level security",
        ),
        (
            "alter table signing_keys disable row level security",
            "alter table signing_keys enable row level security",
            "signing_keys: row-level security is off",
            "alter table signing_keys enable row level security",
        ),
        (
            "alter table memberships no force row level security",
            "alter table memberships force row level security",
            "memberships: row-level security is not forced",
            "alter table memberships force row level security",
        ),
        (
            "create table extra (organization_id uuid)",
            "drop table extra",
            "extra: row-level security is off",
            "alter table extra enable row level security",
        ),
        (
            "create table extra (organization_id uuid);
             alter table extra enable row level security, force row level security",
            "drop table extra",
            "extra: it has no policy",
            "from the migration that makes it",
        ),
        (
            "create policy open on projects to aicos_app using (true) with check (true)",
            "drop policy open on projects",
            "projects: a policy lets everything through",
            "drop policy open on projects",
        ),
        (
            "create policy open on projects for select using (true)",
            "drop policy open on projects",
            "projects: a policy lets everything through",
            "drop policy open on projects",
        ),
        (
            "update _sqlx_migrations set version = -version where version = 20261122000011",
            "update _sqlx_migrations set version = -version where version < 0",
            "lacks the migration 20261122000011",
            "aicos migrate",
        ),
        (
            "alter function app.hot_create_project rename to hot_other",
            "alter function app.hot_other rename to hot_create_project",
            "app.hot_create_project is not this binary's",
            "aicos migrate",
        ),
        (
            "alter schema queue rename to elsewhere",
            "alter schema elsewhere rename to queue",
            "its tables are missing",
            "aicos migrate",
        ),
    ] {
        run(&mut superuser, done).await;
        let report = examine(&prepared).await;
        run(&mut superuser, undone).await;
        let said = report.to_string();
        let line = said.lines().find(|line| line.contains(finding) && line.starts_with("FIX"));
        assert!(line.is_some_and(|line| line.contains(fix)), "{done}: {said}");
        assert!(!report.is_well());
    }
    let report = examine(&prepared).await;
    assert!(report.is_well(), "{report}");

    // A hot function that says something else; the next start repairs it.
    run(
        &mut superuser,
        "do $$ begin execute replace(
            pg_get_functiondef((select oid from pg_proc where proname = 'hot_create_project')),
            'return next', 'return next; return next'); end $$",
    )
    .await;
    let report = examine(&prepared).await;
    assert!(report.to_string().contains("app.hot_create_project is not this binary's. Run `aicos migrate`"));
    let prepared = app::prepare(&outside(&database, true), Arc::new(|_: &str| {})).await.unwrap();
    assert!(examine(&prepared).await.is_well());

    // Without the owner's connection it says what it could not look at.
    let blind = app::prepare(&outside(&database, false), Arc::new(|_: &str| {})).await.unwrap();
    let report = examine(&blind).await;
    assert!(report.to_string().contains("DATABASE_OWNER_URL") && !report.is_well(), "{report}");
}

/// Without the owner's connection nobody repairs what is missing, so a server does not start on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_on_hot_functions_that_are_not_its_own() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    run(&mut superuser, "drop function app.hot_create_project").await;
    let started = App::start(&support::config(), database.serve.clone(), support::tuning()).await;
    let said = format!("{:#}", started.err().expect("it is refused"));
    assert!(said.contains("app.hot_create_project") && said.contains("aicos migrate"), "{said}");
}

async fn ready(server: &Server) -> u16 {
    server.send(Request::get("/readyz").body(Body::empty()).unwrap()).await.0.as_u16()
}

/// Ends every connection of the server's, and lets no new one in until told otherwise.
async fn take_away(superuser: &mut PgConnection, name: &str, how: &str) {
    run(superuser, &format!("alter database {name} {how}")).await;
    let gone = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'aicos_app' and datname = '{name}'"
    );
    run(superuser, &gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_a_503_and_comes_back_by_itself() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    // From elsewhere: nobody closes the database that they are in.
    let mut superuser = server.database.superuser.clone().database("postgres").connect().await.unwrap();
    let name = &server.database.name;
    let query = "{ viewer { name } organization { name projects { totalCount } } }";
    for (how, back) in [
        // The server is starting, stopping or full; or the database is closed on purpose.
        ("connection limit 0", "connection limit -1"),
        ("allow_connections false", "allow_connections true"),
    ] {
        assert_eq!(ready(&server).await, 200);
        take_away(&mut superuser, name, how).await;
        for _ in 0..10 {
            assert_eq!(ready(&server).await, 503, "{how}");
            let answer = owner.send(query, json!({})).await;
            assert_eq!(answer.code(), Some("UNAVAILABLE"), "{how}: {:#}", answer.body);
            let login = json!({"input": {"email": acme.owner.email, "password": cast::PASSWORD}});
            let answer = server.anonymous().send(&support::mutation("login", ""), login).await;
            assert_eq!(answer.code(), Some("UNAVAILABLE"), "{how}: {:#}", answer.body);
        }
        let (status, ..) = server.send(Request::get("/livez").body(Body::empty()).unwrap()).await;
        assert_eq!(status, 200);
        run(&mut superuser, &format!("alter database {name} {back}")).await;
        assert_eq!(ready(&server).await, 200, "{how}");
        owner.ok(query, json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_that_are_terminated_cost_a_503_at_most() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let mut superuser = server.database.superuser().await;
    let queries = [
        "{ viewer { name } }",
        "{ organization { name } }",
        "{ organization { projects { totalCount nodes { name } } members { nodes { user { name } } } } }",
    ];
    let (mut fine, mut unavailable) = (0, 0);
    for round in 0..20 {
        let asking = join_all((0..20).map(|number| {
            let query = queries[(round + number) % queries.len()];
            owner.send(query, json!({}))
        }));
        let ending = async {
            tokio::time::sleep(Duration::from_millis(u64::try_from(round).unwrap())).await;
            take_away(&mut superuser, &server.database.name, "connection limit -1").await;
        };
        let (answers, ()) = tokio::join!(asking, ending);
        for answer in answers {
            match answer.code() {
                None => fine += 1,
                Some("UNAVAILABLE") => unavailable += 1,
                Some(_) => panic!("{} {:#}", answer.status, answer.body),
            }
            assert!(answer.status == 200 || answer.status == 503, "{}", answer.status);
        }
    }
    println!("{fine} answered, {unavailable} were told to come again");
    assert!(fine > 100 && unavailable > 0, "{fine} {unavailable}");
    // A pool full of broken connections costs each of them one request at the most; on a machine that is busy elsewhere a
    // new connection may take too long, too.
    let (mut tries, begun) = (0, std::time::Instant::now());
    while owner.send(queries[0], json!({})).await.code().is_some() {
        tries += 1;
        assert!(tries <= 8 || begun.elapsed() < Duration::from_secs(10), "it does not recover");
    }
    assert_eq!(ready(&server).await, 200);
}
