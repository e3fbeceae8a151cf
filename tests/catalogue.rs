//! What the database's catalogue has to say: rules that hold for every table, also for the next one.

mod isolation;
mod rights;
mod workers;

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use aicos::app::HOT_QUERIES;
use aicos::db::migrate;

use crate::support::Database;

/// Tables that hold no tenant's data. `tiers` says the same to everybody (and only says it); `_sqlx_migrations` is the
/// migrations' own, and readable so that a server can see whether the schema is its own.
const OPEN_TABLES: [&str; 2] = ["tiers", "_sqlx_migrations"];

async fn lint(connection: &mut PgConnection, schema: &str, app: &str, owner: &str) -> Vec<(String, String)> {
    let none: [&str; 0] = [];
    sqlx::query_as(include_str!("rls-lint.sql"))
        .bind(schema)
        .bind(app)
        .bind(owner)
        .bind("organization_id")
        .bind(&OPEN_TABLES[..])
        .bind(&none[..])
        .fetch_all(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn row_level_security_has_no_findings() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    for schema in ["public", "app"] {
        let findings = lint(&mut superuser, schema, "aicos_app", "aicos_owner").await;
        assert!(findings.is_empty(), "{schema}: {findings:#?}");
    }
}

/// One defect for each rule.
const TRAPS: &str = "
    create role trap_owner;
    create role trap_app createrole;
    grant trap_owner to trap_app;
    create schema trap;
    grant create on schema trap to public;
    create table trap.plain (organization_id uuid, id uuid primary key, parent uuid references trap.plain, name text unique);
    grant all on trap.plain to trap_app;
    create table trap.unforced (id int);
    alter table trap.unforced enable row level security;
    grant select on trap.unforced to trap_app;
    create table trap.weak (id uuid);
    alter table trap.weak enable row level security, force row level security;
    create policy weak_write on trap.weak for update using (true);
    create policy weak_read on trap.weak for select using (id::text = current_setting('app.x'));
    create view trap.looking as select * from trap.plain;
    create materialized view trap.kept as select * from trap.plain;
    grant select on trap.looking, trap.kept to trap_app;
    create table trap.parted (id int) partition by range (id);
    create table trap.part partition of trap.parted default;
    grant select on trap.part to trap_app;
    create table trap.audit_log (id int);
    grant delete on trap.audit_log to trap_app;
    create function trap.anybodys() returns int language sql security definer as 'select 1'";

#[tokio::test]
async fn every_rule_of_the_lint_finds_its_defect() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let mut tx = superuser.begin().await.unwrap();
    tx.execute(TRAPS).await.unwrap();
    let findings = lint(&mut tx, "trap", "trap_app", "trap_owner").await;
    let found: Vec<&str> = findings.iter().filter_map(|(rule, _)| rule.get(..3)).collect();
    for number in 1..=22 {
        let rule = format!("L{number:02}");
        assert!(found.contains(&rule.as_str()), "{rule} finds nothing in\n{findings:#?}");
    }
}

/// Tables without `organization_id`, each with its reason.
fn without_tenant() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("users", "a person may belong to several organizations"),
        ("passwords", "a person's own"),
        ("sessions", "a person's own"),
        ("user_tokens", "a person's own"),
        ("security_events", "a person's own"),
        ("organizations", "the tenants themselves: their id is the column"),
        ("tiers", "the same for everybody, and read only"),
        ("signing_keys", "the server's own, closed to everybody but the gate"),
        ("_sqlx_migrations", "the migrations' own"),
    ])
}

#[tokio::test]
async fn every_table_is_a_tenants_or_says_why_not() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    // Name, whether it has the column, whether a key of it leads with the column, and references that leave it out.
    let tables: Vec<(String, bool, bool, Vec<String>)> = sqlx::query_as(
        "with tables as (
            select c.oid, c.relname::text as name, a.attnum as tenant
            from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p'))
         select t.name, t.tenant is not null,
            exists (select from pg_constraint k
                where k.conrelid = t.oid and k.contype in ('p', 'u') and k.conkey[1] = t.tenant),
            array(select k.conname::text from pg_constraint k join tables other on other.oid = k.confrelid
                where k.conrelid = t.oid and k.contype = 'f' and other.tenant is not null
                    and (t.tenant is null or t.tenant <> all (k.conkey)))
         from tables t order by 1",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let mut allowed = without_tenant();
    for (name, has_tenant, has_key, loose) in &tables {
        match (has_tenant, allowed.remove(name.as_str())) {
            (true, None) => assert!(has_key, "{name} has no key that leads with organization_id"),
            (true, Some(_)) => panic!("{name} has organization_id now: take it off the list"),
            (false, None) => {
                panic!("{name} has no organization_id: add it, or say in this test why it has none")
            }
            (false, Some(_)) => {}
        }
        assert!(loose.is_empty(), "{name} refers to a tenant's rows without the tenant: {loose:?}");
    }
    assert!(allowed.is_empty(), "on the list, and gone: {allowed:?}");
}

/// What stands between the dollar quotes of every hot function, by name.
async fn hot_functions(connection: &mut PgConnection) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select proname::text, prosrc from pg_proc
         where pronamespace = 'app'::regnamespace and proname like 'hot\\_%'",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    rows.into_iter().collect()
}

fn defined() -> BTreeMap<String, String> {
    let definitions = HOT_QUERIES.iter().filter_map(|hot| hot.definition());
    definitions.map(|definition| (format!("hot_{}", definition.name), definition.source)).collect()
}

#[tokio::test]
async fn hot_functions_are_what_stands_beside_their_rust() {
    let database = Database::fresh().await;
    let mut owner = sqlx::PgConnection::connect_with(&database.owner).await.unwrap();
    assert_eq!(hot_functions(&mut owner).await, defined());

    // One that differs, and one that is gone beside one that nobody knows, are put right by `migrate`, rights included.
    for damage in [
        "do $$ begin execute replace(
            pg_get_functiondef((select oid from pg_proc where proname = 'hot_create_project')),
            'return next', 'return next; return next'); end $$",
        "alter function app.hot_create_project rename to hot_unknown",
    ] {
        owner.execute(damage).await.unwrap();
        assert_ne!(hot_functions(&mut owner).await, defined());
        migrate::run(&mut owner, HOT_QUERIES, &|_| {}).await.unwrap();
        assert_eq!(hot_functions(&mut owner).await, defined());
    }
    for name in defined().keys() {
        let (mine, anybodys): (bool, bool) = sqlx::query_as(
            "select has_function_privilege('aicos_app', p.oid, 'execute'),
                has_function_privilege('public', p.oid, 'execute')
             from pg_proc p where p.proname = $1",
        )
        .bind(name)
        .fetch_one(&mut owner)
        .await
        .unwrap();
        assert!(mine && !anybodys, "{name}");
    }
}
