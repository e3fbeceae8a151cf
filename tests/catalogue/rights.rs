//! What the serving role may do at all, what triggers keep, and what the gate lets in; and that breaking any of it is
//! noticed.

use std::fmt::Write as _;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::support::fixture::{self, Tenant, World, uuid};
use crate::support::{Database, Server};

pub(super) async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), String> {
    let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
    done.map(drop).map_err(|error| {
        error.as_database_error().and_then(DatabaseError::code).unwrap_or_default().into_owned()
    })
}

pub(super) async fn must(connection: &mut PgConnection, sql: &str) {
    run(connection, sql).await.unwrap_or_else(|code| panic!("{code}: {sql}"));
}

/// Replaces a clause of a function of schema `app`, behind the savepoint `mutant`.
pub(super) async fn mutate(connection: &mut PgConnection, function: &str, clause: &str, instead: &str) {
    must(connection, "savepoint mutant").await;
    let source: String = sqlx::query_scalar("select pg_get_functiondef(oid) from pg_proc where proname = $1")
        .bind(function)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert!(source.contains(clause), "app.{function} no longer says `{clause}`");
    must(connection, &source.replace(clause, instead)).await;
}

pub(super) async fn prepared() -> (Server, World, PgConnection) {
    let server = Server::start().await;
    let world = fixture::world(&server).await;
    let superuser = server.database.superuser().await;
    (server, world, superuser)
}

/// Read the difference before accepting it: each new right is one more thing that a mistake could do.
#[tokio::test]
async fn the_serving_role_has_these_rights_and_no_others() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let rights: Vec<String> = sqlx::query_scalar(
        "with columns as (
            select c.relname, c.oid, a.attname, a.attnum, p.privilege
            from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            cross join (values ('select'), ('insert'), ('update')) as p (privilege)
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
                and has_column_privilege('aicos_app', c.oid, a.attnum, p.privilege)
        ), said as (
            select relname || ': ' || privilege || case when has_table_privilege('aicos_app', oid, privilege) then ''
                else ' (' || string_agg(attname, ', ' order by attnum) || ')' end as line
            from columns group by relname, oid, privilege
            union all
            select c.relname || ': ' || p.privilege from pg_class c
            cross join (values ('delete'), ('truncate'), ('references'), ('trigger')) as p (privilege)
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
                and has_table_privilege('aicos_app', c.oid, p.privilege)
            union all
            select c.relname || ': ' || p.privilege from pg_class c
            cross join (values ('usage'), ('select'), ('update')) as p (privilege)
            where c.relnamespace = 'public'::regnamespace and c.relkind = 'S'
                and has_sequence_privilege('aicos_app', c.oid, p.privilege)
            union all
            select p.oid::regprocedure || case when p.prosecdef then ': execute as ' || p.proowner::regrole else ': execute' end
            from pg_proc p where p.pronamespace in ('app'::regnamespace, 'public'::regnamespace)
                and has_function_privilege('aicos_app', p.oid, 'execute')
            union all
            select n.nspname || ': ' || p.privilege from pg_namespace n
            cross join (values ('usage'), ('create')) as p (privilege)
            where n.nspname in ('app', 'public') and has_schema_privilege('aicos_app', n.oid, p.privilege)
        )
        select line from said order by line collate \"C\"",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    insta::assert_snapshot!(rights.join("\n"));
}

/// What the serving role must not do, each with the right that would let it.
fn forbidden(tables: &[String]) -> Vec<(String, String)> {
    let pair = |statement: &str, grant: &str| (statement.to_owned(), grant.to_owned());
    let mut list = vec![
        // The audit log is only ever added to.
        pair("update audit_entries set actor_label = 'x'", "grant update on audit_entries to aicos_app"),
        pair("delete from audit_entries", "grant delete on audit_entries to aicos_app"),
        pair(
            "alter table audit_entries disable trigger audit_entries_chain",
            "alter table audit_entries owner to aicos_app",
        ),
        pair(
            "set session_replication_role = replica",
            "grant set on parameter session_replication_role to aicos_app",
        ),
        pair("select app.audit_problems()", "grant execute on function app.audit_problems() to aicos_app"),
        pair(
            "select app.chain_audit_entry()",
            "grant execute on function app.chain_audit_entry() to aicos_app",
        ),
        pair("select app.keep_an_owner()", "grant execute on function app.keep_an_owner() to aicos_app"),
        // Secrets are written, and never read.
        pair("select hash from passwords", "grant select on passwords to aicos_app"),
        pair("select hash from invitations", "grant select (hash) on invitations to aicos_app"),
        pair("select hash from api_keys", "grant select (hash) on api_keys to aicos_app"),
        pair("select previous_hash from api_keys", "grant select (previous_hash) on api_keys to aicos_app"),
        pair("select hash from user_tokens", "grant select (hash) on user_tokens to aicos_app"),
        // Nobody widens what was granted before.
        pair("update api_keys set permissions = '{}'", "grant update on api_keys to aicos_app"),
        pair("update api_keys set created_by = created_by", "grant update on api_keys to aicos_app"),
        pair("update user_tokens set expires_at = now()", "grant update on user_tokens to aicos_app"),
        pair("update security_events set kind = 'x'", "grant update on security_events to aicos_app"),
        pair("delete from security_events", "grant delete on security_events to aicos_app"),
        pair("select setval('access_versions', 1)", "grant update on sequence access_versions to aicos_app"),
        pair("update tiers set points_per_minute = 1", "grant update on tiers to aicos_app"),
        // In whose name a job runs, what it does and when is settled when it is enqueued.
        pair("update jobs set created_by = created_by", "grant update on jobs to aicos_app"),
        pair("update jobs set input = '{}'", "grant update on jobs to aicos_app"),
        pair("update jobs set turn = 0", "grant update on jobs to aicos_app"),
        pair("update jobs set attempts = 0", "grant update on jobs to aicos_app"),
        pair("delete from jobs", "grant delete on jobs to aicos_app"),
        pair("update job_events set kind = 'x'", "grant update on job_events to aicos_app"),
        pair("delete from job_events", "grant delete on job_events to aicos_app"),
        // What was cited, and what was answered, stays what it was.
        pair("update document_versions set text = 'x'", "grant update on document_versions to aicos_app"),
        pair("update documents set created_by = created_by", "grant update on documents to aicos_app"),
        pair("update qa_answers set answer = 'x'", "grant update on qa_answers to aicos_app"),
        pair("update qa_citations set quote = 'x'", "grant update on qa_citations to aicos_app"),
        pair("select app.give_turn()", "grant execute on function app.give_turn() to aicos_app"),
        pair("insert into usage_counters select where false", "grant insert on usage_counters to aicos_app"),
        pair("update usage_counters set used = 0", "grant update on usage_counters to aicos_app"),
        pair("delete from users", "grant delete on users to aicos_app"),
        pair("delete from organizations", "grant delete on organizations to aicos_app"),
        // Nothing of the schema is its own.
        pair("create table public.mine ()", "grant create on schema public to aicos_app"),
        pair(
            "create function app.mine() returns int language sql return 1",
            "grant create on schema app to aicos_app",
        ),
        pair("alter table projects disable row level security", "alter table projects owner to aicos_app"),
        pair("drop policy projects_tenant on projects", "alter table projects owner to aicos_app"),
    ];
    for table in ["audit_heads", "signing_keys"] {
        list.push((format!("select * from {table}"), format!("grant select on {table} to aicos_app")));
        list.push((
            format!("insert into {table} select where false"),
            format!("grant insert on {table} to aicos_app"),
        ));
        list.push((format!("delete from {table}"), format!("grant delete on {table} to aicos_app")));
    }
    list.push(pair("update audit_heads set sequence = 0", "grant update on audit_heads to aicos_app"));
    list.push(pair("update signing_keys set retired_at = null", "grant update on signing_keys to aicos_app"));
    for table in tables {
        list.push((format!("truncate {table}"), format!("grant truncate on {table} to aicos_app")));
    }
    list
}

#[tokio::test]
async fn what_is_forbidden_is_refused_and_a_right_too_many_is_noticed() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let mut serving = database.serving().await;
    let list = forbidden(&tables);
    for (statement, grant) in &list {
        assert_eq!(run(&mut serving, statement).await, Err("42501".to_owned()), "{statement}");
        let mut tx = superuser.begin().await.unwrap();
        must(&mut tx, &format!("{grant}; set local role aicos_app")).await;
        let unnoticed = run(&mut tx, statement).await == Err("42501".to_owned());
        assert!(!unnoticed, "`{grant}` is not noticed by `{statement}`");
        tx.rollback().await.unwrap();
    }
    println!("{} statements refused; each right that would allow one is noticed", list.len());
    // What no right lends: becoming somebody else, files, and rights over roles.
    for statement in [
        "set role aicos_owner",
        "set role aicos_gate",
        "set session authorization aicos_owner",
        "alter role aicos_app bypassrls",
        "create role friend",
        "select pg_read_file('/etc/passwd')",
        "copy tiers to program 'true'",
    ] {
        assert_eq!(run(&mut serving, statement).await, Err("42501".to_owned()), "{statement}");
    }
}

/// Workers become the queue's role on connections of their own: it reaches its own schema and nothing of any tenant.
#[tokio::test]
async fn the_queues_role_reaches_the_queue_and_nothing_else() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let reached: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
             and has_any_column_privilege('aicos_queue', c.oid, 'select, insert, update, references')
         union all
         select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace = 'app'::regnamespace and has_function_privilege('aicos_queue', p.oid, 'execute')
         union all
         select rolname::text from pg_roles where rolname <> 'aicos_queue' and pg_has_role('aicos_queue', oid, 'member')",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(reached, ["app.wake_workers(uuid,uuid,timestamp with time zone)"]);
    let mut serving = database.serving().await;
    assert_eq!(run(&mut serving, "select * from queue._private_jobs").await, Err("42501".to_owned()));
    must(&mut serving, "set role aicos_queue").await;
    must(&mut serving, "select * from queue._private_jobs").await;
    for statement in
        ["select * from jobs", "select * from documents", "select app.enter_job(null, null, null, null)"]
    {
        assert_eq!(run(&mut serving, statement).await, Err("42501".to_owned()), "{statement}");
    }
}

/// Functions of the gate are executed with its eyes, so a stranger must not execute any.
#[tokio::test]
async fn nobody_but_the_serving_role_executes_what_sees_more() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let functions: Vec<String> = sqlx::query_scalar(
        "select oid::regprocedure::text from pg_proc where pronamespace = 'app'::regnamespace order by 1",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let stranger = "select has_function_privilege('stranger', $1::regprocedure, 'execute')";
    let mut tx = superuser.begin().await.unwrap();
    must(&mut tx, "create role stranger").await;
    for function in &functions {
        let may: bool = sqlx::query_scalar(stranger).bind(function).fetch_one(&mut *tx).await.unwrap();
        assert!(!may, "anybody may execute {function}");
        must(&mut tx, &format!("savepoint mutant; grant execute on function {function} to public")).await;
        let may: bool = sqlx::query_scalar(stranger).bind(function).fetch_one(&mut *tx).await.unwrap();
        assert!(may, "not noticed: {function}");
        must(&mut tx, "rollback to savepoint mutant").await;
    }
    let owners: Vec<(String, String)> = sqlx::query_as(
        "select oid::regprocedure::text, proowner::regrole::text from pg_proc
         where pronamespace = 'app'::regnamespace and prosecdef and proowner <> 'aicos_gate'::regrole
             -- The one way into the queue belongs to the queue's role.
             and not (proname = 'wake_workers' and proowner = 'aicos_queue'::regrole)",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert!(owners.is_empty(), "definer functions belong to the gate: {owners:?}");
}

/// A definer function looks names up in `pg_catalog` and, without being told otherwise, in the caller's own temporary
/// schema before it: whoever can run SQL could lend it a type of their own, whose check then runs as the gate.
#[tokio::test]
async fn a_temporary_type_does_not_run_as_the_gate() {
    let database = Database::fresh().await;
    let mut superuser = database.superuser().await;
    let unpinned: Vec<String> = sqlx::query_scalar(
        "select oid::regprocedure::text from pg_proc
         where pronamespace = 'app'::regnamespace and prosecdef
             and array_to_string(proconfig, ',') !~ 'search_path=pg_catalog, pg_temp$'",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let mut serving = database.serving().await;
    must(
        &mut serving,
        "create function pg_temp.note(value pg_catalog.uuid) returns boolean language plpgsql as $$ begin
            if current_user = 'aicos_gate' then raise exception using errcode = 'AC999'; end if;
            return true;
         end $$;
         create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.note(value));
         grant usage on type pg_temp.uuid to public; grant execute on function pg_temp.note to public",
    )
    .await;
    let nobody = "'00000000-0000-0000-0000-000000000000'::pg_catalog.uuid";
    let enter = format!("select app.enter({nobody}, {nobody}, {nobody}, true, 1, {nobody})");
    assert_eq!(
        run(&mut serving, &enter).await,
        Err("AC001".to_owned()),
        "AC999: the type's check ran as the gate"
    );
    assert!(unpinned.is_empty(), "without `set search_path = pg_catalog, pg_temp`: {unpinned:?}");
}

fn context(tenant: &Tenant) -> String {
    format!(
        "select set_config('app.organization', '{}', true), set_config('app.user', '{}', true),
            set_config('app.project', '', true)",
        tenant.organization(),
        tenant.owner()
    )
}

/// What each trigger keeps, as a block that fails when it does not. `:words` stand for ids of the first tenant.
const TRIGGERS: [(&str, &str); 12] = [
    (
        // Whoever enqueues does not choose their place: behind their own, and never before the one that is next.
        "jobs_give_turn",
        "declare first bigint; second bigint; begin
            insert into jobs (organization_id, id, kind, input, created_by, request_id, turn)
            values (:organization, :member, 'test.one', '{}', :owner, 'r', -5);
            select turn into first from jobs where id = :member;
            insert into jobs (organization_id, id, kind, input, created_by, request_id, turn)
            values (:organization, :guest, 'test.two', '{}', :owner, 'r', -9);
            select turn into second from jobs where id = :guest;
            assert first >= 0 and second > first;
        end",
    ),
    (
        // What a row leaves behind is looked for, whatever took the row; the note is the gate's to read.
        "assets_leave_objects",
        "begin
            delete from projects where id = :project;
            delete from assets;
            reset role;
            assert (select count(*) from asset_leftovers where organization_id = :organization and keep is null) = 3;
        end",
    ),
    (
        // What was sent beside what is kept.
        "assets_leave_upload",
        "begin
            insert into assets (organization_id, id, kind, mime_type, bytes, sha256, object, created_by, expires_at)
            values (:organization, :member, 'DOCUMENT', 'text/plain', 1, decode(repeat('00', 32), 'hex'), :guest, :owner,
                now());
            update assets set state = 'READY' where id = :member;
            reset role;
            assert (select keep from asset_leftovers where asset_id = :member) = :guest;
        end",
    ),
    (
        // Reserved, taken, and what is left given back.
        "jobs_count_work",
        "declare job uuid := gen_random_uuid(); before bigint; begin
            select coalesce(sum(used), 0) into before from usage_counters where metric = 'IMAGES';
            insert into jobs (organization_id, id, kind, input, created_by, request_id, reserved)
            values (:organization, job, 'test', '{}', :member, 'test', '{\"IMAGES\": 5}');
            assert (select sum(used) from usage_counters where metric = 'IMAGES') = before + 5;
            update jobs set used = '{\"IMAGES\": 2}', reserved = app.add_amounts(reserved, '{\"IMAGES\": 2}', -1) where id = job;
            assert (select sum(used) from usage_counters where metric = 'IMAGES') = before + 5;
            update jobs set status = 'CANCELLED' where id = job;
            assert (select sum(used) from usage_counters where metric = 'IMAGES') = before + 2;
        end",
    ),
    (
        // What is reserved by a job that goes with its project is not lost.
        "jobs_return_work",
        "declare before bigint; begin
            select coalesce(sum(used), 0) into before from usage_counters where metric = 'IMAGES';
            insert into jobs (organization_id, id, project_id, kind, input, created_by, request_id, reserved, used)
            values (:organization, gen_random_uuid(), :project, 'test', '{}', :member, 'test', '{\"IMAGES\": 5}',
                '{\"IMAGES\": 1}');
            assert (select sum(used) from usage_counters where metric = 'IMAGES') = before + 6;
            delete from projects where id = :project;
            assert (select sum(used) from usage_counters where metric = 'IMAGES') = before + 1;
        end",
    ),
    (
        "memberships_renew",
        "declare before bigint; begin
            select version into before from memberships where user_id = :member;
            update memberships set role = 'VIEWER', version = 1 where user_id = :member;
            assert (select version from memberships where user_id = :member) > before;
        end",
    ),
    (
        "memberships_keep_an_owner",
        "begin
            delete from memberships where user_id = :owner;
            assert false;
        exception when sqlstate 'AC010' then null; end",
    ),
    (
        "memberships_keep_an_owner_update",
        "begin
            update memberships set role = 'ADMIN' where user_id = :owner;
            assert false;
        exception when sqlstate 'AC010' then null; end",
    ),
    (
        "organizations_renew",
        "declare before bigint; begin
            select max(version) into before from memberships;
            update organizations set deleted_at = now();
            assert (select min(version) from memberships) > before;
        end",
    ),
    (
        // A role in a project, and a project that goes with its guests.
        "project_members_renew",
        "declare before bigint; begin
            select version into before from memberships where user_id = :member;
            update project_members set role = 'VIEWER' where user_id = :member and project_id = :project;
            assert (select version from memberships where user_id = :member) > before;
            select version into before from memberships where user_id = :guest;
            delete from projects where id = :project;
            assert (select version from memberships where user_id = :guest) > before;
        end",
    ),
    (
        "api_keys_renew",
        "declare before bigint; old bytea; begin
            select f.version, f.hash into before, old from app.find_key_scope(:key) f;
            update api_keys set hash = '\\x01', previous_hash = '\\x02' where id = :key;
            assert (select f.version > before and f.previous_hash = old from app.find_key_scope(:key) f);
        end",
    ),
    (
        "audit_entries_chain",
        "declare newest bigint; e audit_entries; begin
            select max(sequence) into newest from audit_entries;
            insert into audit_entries (organization_id, id, sequence, action, outcome, actor_label, target_type,
                request_id, hash, occurred_at)
            values (:organization, gen_random_uuid(), 999999, 'x', 'DONE', 'x', 'x', 'x', '\\x00', '2000-01-01')
            returning * into e;
            assert e.sequence = newest + 1 and length(e.hash) = 32 and e.occurred_at > now() - interval '1 hour';
        end",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_trigger_keeps_its_promise_and_is_missed_when_it_is_off() {
    let (_server, world, mut superuser) = Box::pin(prepared()).await;
    let tenant = &world.tenants[0];
    let triggers: Vec<(String, String)> = sqlx::query_as(
        "select t.tgname::text, t.tgrelid::regclass::text from pg_trigger t join pg_class c on c.oid = t.tgrelid
         where not t.tgisinternal and c.relnamespace = 'public'::regnamespace order by 1",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let (key,): (sqlx::types::Uuid,) =
        sqlx::query_as("select id from api_keys where organization_id = $1 order by id limit 1")
            .bind(tenant.organization())
            .fetch_one(&mut superuser)
            .await
            .unwrap();
    let words = [
        (":organization", tenant.organization()),
        (":owner", tenant.owner()),
        (":member", uuid(&tenant.cast.member.id)),
        (":guest", uuid(&tenant.guests[0].id)),
        (":project", tenant.project(0)),
        (":key", key),
    ];
    for (trigger, table) in &triggers {
        let Some((_, block)) = TRIGGERS.iter().find(|(name, _)| name == trigger) else {
            panic!("the trigger {trigger} is new: say in TRIGGERS what it keeps");
        };
        let block =
            words.iter().fold((*block).to_owned(), |text, (word, id)| text.replace(word, &format!("'{id}'")));
        let block = format!("set local role aicos_app; {}; do $do${block}$do$", context(tenant));
        for off in [false, true] {
            let mut tx = superuser.begin().await.unwrap();
            if off {
                must(&mut tx, &format!("alter table {table} disable trigger {trigger}")).await;
            }
            let kept = run(&mut tx, &block).await;
            assert_eq!(kept.is_ok(), !off, "{trigger}, off: {off}: {kept:?}");
            tx.rollback().await.unwrap();
        }
    }
    assert_eq!(triggers.len(), TRIGGERS.len());
}

/// One call of the gate, and what has to come of it.
struct Call {
    what: &'static str,
    /// Done before, as the superuser.
    before: String,
    sql: String,
    /// The SQLSTATE, or organization, user and projects.
    expected: Result<String, &'static str>,
}

#[expect(clippy::too_many_lines, reason = "it is one list")]
async fn calls(superuser: &mut PgConnection, world: &World) -> Vec<Call> {
    let [first, second] = &world.tenants;
    let (organization, owner) = (first.organization(), first.owner());
    let guest = uuid(&first.guests[0].id);
    let mut session = async |user: sqlx::types::Uuid| -> sqlx::types::Uuid {
        sqlx::query_scalar("select id from sessions where user_id = $1 order by id limit 1")
            .bind(user)
            .fetch_one(&mut *superuser)
            .await
            .unwrap()
    };
    let (own, guests, other) = (session(owner).await, session(guest).await, session(second.owner()).await);
    let (free, bound): (sqlx::types::Uuid, sqlx::types::Uuid) = sqlx::query_as(
        "select (select id from api_keys where organization_id = $1 and project_id is null),
            (select id from api_keys where organization_id = $1 and project_id = $2)",
    )
    .bind(organization)
    .bind(first.project(1))
    .fetch_one(&mut *superuser)
    .await
    .unwrap();
    let version = |user: sqlx::types::Uuid| {
        format!(
            "(select version from memberships where organization_id = '{organization}' and user_id = '{user}')"
        )
    };
    // Versions are looked up before the role changes, by a variable of the test's own.
    let with = |user| format!("select set_config('test.version', {}::text, true)", version(user));
    let key_version = |key: sqlx::types::Uuid| {
        format!(
            "select set_config('test.version', greatest((select version from api_keys where id = '{key}'), {})::text, true)",
            version(owner)
        )
    };
    let enter = |organization, user, credential, key: bool, project: Option<sqlx::types::Uuid>| {
        let project = project.map_or("null".to_owned(), |id| format!("'{id}'"));
        format!(
            "select app.enter('{organization}', '{user}', '{credential}', {key}, current_setting('test.version')::bigint, {project})"
        )
    };
    let ok = |organization: String, user, projects: String| Ok(format!("{organization}|{user}|{projects}"));
    let as_owner = enter(organization, owner, own, false, None);
    let by_key = enter(organization, owner, free, true, None);
    let call =
        |what, before: String, call: &str, expected| Call { what, before, sql: call.to_owned(), expected };
    let after = |first: String, then: &str| format!("{first}; {then}");
    let touch = |key| format!("update api_keys set hash = '\\x00' where id = '{key}'");
    let renew = format!("update memberships set role = role where user_id = '{owner}'");
    vec![
        call("a member", with(owner), &as_owner, ok(organization.to_string(), owner, String::new())),
        call(
            "a revoked session",
            after(with(owner), &format!("update sessions set revoked_at = now() where id = '{own}'")),
            &as_owner,
            Err("AC001"),
        ),
        call(
            "an expired session",
            after(with(owner), &format!("update sessions set expires_at = now() where id = '{own}'")),
            &as_owner,
            Err("AC001"),
        ),
        call(
            "somebody else's session",
            with(owner),
            &enter(organization, owner, other, false, None),
            Err("AC001"),
        ),
        call(
            "an unknown session",
            with(owner),
            &enter(organization, owner, organization, false, None),
            Err("AC001"),
        ),
        call(
            "a key for a session",
            with(owner),
            &enter(organization, owner, free, false, None),
            Err("AC001"),
        ),
        call("a session for a key", with(owner), &enter(organization, owner, own, true, None), Err("AC001")),
        call(
            "another organization",
            with(owner),
            &enter(second.organization(), owner, own, false, None),
            Err("AC002"),
        ),
        call(
            "a removed member",
            after(with(guest), &format!("delete from memberships where user_id = '{guest}'")),
            &enter(organization, guest, guests, false, None),
            Err("AC002"),
        ),
        call("a changed member", after(with(owner), &renew), &as_owner, Err("AC003")),
        call(
            "a guest",
            with(guest),
            &enter(organization, guest, guests, false, None),
            ok(organization.to_string(), guest, format!("{{{}}}", first.project(0))),
        ),
        call(
            "a guest of no project",
            after(format!("delete from project_members where user_id = '{guest}'"), &with(guest)),
            &enter(organization, guest, guests, false, None),
            ok(organization.to_string(), guest, "{}".into()),
        ),
        call(
            "narrowed to one project",
            with(owner),
            &enter(organization, owner, own, false, Some(first.project(1))),
            ok(organization.to_string(), owner, format!("{{{}}}", first.project(1))),
        ),
        call(
            "a guest narrowed to another project",
            with(guest),
            &enter(organization, guest, guests, false, Some(first.project(1))),
            ok(organization.to_string(), guest, "{}".into()),
        ),
        call("a key", key_version(free), &by_key, ok(organization.to_string(), owner, String::new())),
        call(
            "a revoked key",
            format!("update api_keys set revoked_at = now() where id = '{free}'; {}", key_version(free)),
            &by_key,
            Err("AC001"),
        ),
        call(
            "an expired key",
            after(key_version(free), &format!("update api_keys set expires_at = now() where id = '{free}'")),
            &by_key,
            Err("AC001"),
        ),
        call(
            "a key that ends later",
            after(
                key_version(free),
                &format!("update api_keys set expires_at = now() + interval '1 hour' where id = '{free}'"),
            ),
            &by_key,
            ok(organization.to_string(), owner, String::new()),
        ),
        call(
            "a key in another organization",
            after(
                format!(
                    "insert into memberships (organization_id, user_id, id, role) values ('{}', '{owner}', gen_random_uuid(), 'ADMIN')",
                    second.organization()
                ),
                "select set_config('test.version', (select max(version) from memberships)::text, true)",
            ),
            &enter(second.organization(), owner, free, true, None),
            Err("AC001"),
        ),
        call(
            "a key of somebody else's",
            with(guest),
            &enter(organization, guest, free, true, None),
            Err("AC001"),
        ),
        call("a rotated key", after(key_version(free), &touch(free)), &by_key, Err("AC003")),
        call("a key whose maker has changed", after(key_version(free), &renew), &by_key, Err("AC003")),
        call(
            "a key whose maker is gone",
            after(
                key_version(free),
                &format!(
                    "alter table memberships disable trigger user; delete from memberships where user_id = '{owner}'"
                ),
            ),
            &by_key,
            Err("AC002"),
        ),
        call(
            "a project's key",
            key_version(bound),
            &enter(organization, owner, bound, true, None),
            ok(organization.to_string(), owner, format!("{{{}}}", first.project(1))),
        ),
        call(
            "a project's key narrowed to another project",
            key_version(bound),
            &enter(organization, owner, bound, true, Some(first.project(0))),
            ok(organization.to_string(), owner, "{}".into()),
        ),
        call(
            "a person",
            context(second),
            &format!("select app.enter_user('{owner}', '{own}')"),
            ok(String::new(), owner, String::new()),
        ),
        call(
            "a person with somebody else's session",
            String::from("select"),
            &format!("select app.enter_user('{owner}', '{other}')"),
            Err("AC001"),
        ),
        call(
            "a person with a revoked session",
            format!("update sessions set revoked_at = now() where id = '{own}'"),
            &format!("select app.enter_user('{owner}', '{own}')"),
            Err("AC001"),
        ),
        call(
            "a person with an expired session",
            format!("update sessions set expires_at = now() where id = '{own}'"),
            &format!("select app.enter_user('{owner}', '{own}')"),
            Err("AC001"),
        ),
    ]
}

/// What did not come of the calls as it should.
async fn judge(tx: &mut PgConnection, calls: &[Call]) -> Vec<String> {
    let mut broken = Vec::new();
    for Call { what, before, sql, expected } in calls {
        must(tx, "savepoint call").await;
        must(tx, &format!("{before}; set local role aicos_app")).await;
        let got = match run(tx, sql).await {
            Ok(()) => Ok(sqlx::query_scalar::<_, String>(
                "select concat_ws('|', current_setting('app.organization'), current_setting('app.user'),
                    current_setting('app.project'))",
            )
            .fetch_one(&mut *tx)
            .await
            .unwrap()),
            Err(code) => Err(code),
        };
        if got.as_deref().map_err(String::as_str) != expected.as_deref().map_err(|code| *code) {
            broken.push(format!("{what}: expected {expected:?}, got {got:?}"));
        }
        must(tx, "rollback to savepoint call").await;
    }
    broken
}

/// What is taken out of the gate's functions, one at a time.
const GATE_MUTANTS: [(&str, &str, &str); 21] = [
    ("enter", "s.revoked_at is null and", ""),
    ("enter", "and s.expires_at > clock_timestamp()", ""),
    ("enter", "and s.user_id = p_user", ""),
    ("enter", "k.revoked_at is null and", ""),
    ("enter", "and (k.expires_at is null or k.expires_at > clock_timestamp())", ""),
    ("enter", "(k.expires_at is null or k.expires_at > clock_timestamp())", "k.expires_at is null"),
    ("enter", "k.organization_id = p_organization and", ""),
    ("enter", "and k.created_by = p_user", ""),
    ("enter", "greatest(k.version, m.version) + 0 * m.version", "greatest(k.version, m.version)"),
    ("enter", "greatest(k.version, m.version) + 0 * m.version", "m.version"),
    ("enter", "greatest(k.version, m.version) + 0 * m.version", "k.version + 0 * m.version"),
    ("enter", "v_alive is not true", "false"),
    ("enter", "v_version is null", "false"),
    ("enter", "v_version is distinct from p_version", "false"),
    ("enter", "if v_limited", "if false"),
    ("enter", "coalesce(array_agg(p.project_id), '{}')", "array_agg(p.project_id)"),
    ("enter", "if v_only is not null", "if false"),
    ("enter", "if p_project is not null", "if false"),
    ("enter_user", "and s.user_id = p_user", ""),
    ("enter_user", "and s.revoked_at is null", ""),
    ("enter_user", "and s.expires_at > clock_timestamp()", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_lets_in_whom_it_should_and_each_of_its_checks_is_needed() {
    let (_server, world, mut superuser) = Box::pin(prepared()).await;
    let calls = calls(&mut superuser, &world).await;
    let mut tx = superuser.begin().await.unwrap();
    let broken = judge(&mut tx, &calls).await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let (mut report, mut survivors) = (String::new(), Vec::new());
    for (function, clause, instead) in GATE_MUTANTS {
        mutate(&mut tx, function, clause, instead).await;
        match judge(&mut tx, &calls).await.first() {
            Some(first) => {
                writeln!(report, "noticed  {function}: `{clause}` -> `{instead}`: {first}").unwrap();
            }
            None => survivors.push((function, clause, instead)),
        }
        must(&mut tx, "rollback to savepoint mutant").await;
    }
    println!("{report}{} mutants of the gate", GATE_MUTANTS.len());
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
}
