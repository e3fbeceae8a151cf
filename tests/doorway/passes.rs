//! A pass enters before its statement runs: the order that hot queries count on (`src/db/hot.rs`).

use aicos::id::{SessionId, UserId};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::House;
use crate::support::visitor::{Visitor, idle_in_transaction};
use crate::support::wire::{Line, bind, execute, parse, query, sync};

/// A pass as the doorway binds it, here with whatever a test puts into it.
#[derive(Debug, Clone, sqlx::Type)]
#[sqlx(type_name = "app.tenant_pass")]
struct Pass {
    organization: Option<Uuid>,
    person: Option<Uuid>,
    credential: Option<Uuid>,
    is_key: Option<bool>,
    version: Option<i64>,
    project: Option<Uuid>,
}

impl Pass {
    fn of(visitor: &Visitor) -> Self {
        Self {
            organization: Some(visitor.scope.organization().uuid()),
            person: Some(visitor.user.uuid()),
            credential: Some(visitor.session.uuid()),
            is_key: Some(false),
            version: Some(visitor.scope.version()),
            project: None,
        }
    }
}

/// With plans that are made anew and with one plan for all, and also where the transaction before belonged to somebody else:
/// whatever is computed while planning, once, per row, first or last finds the context there.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_sees_the_context_of_its_pass() {
    const SEEN: &str = "with seen as materialized (select app.current_organization() as first)
        select seen.first, (select app.current_organization()), p.organization_id,
            current_setting('app.organization', true)::uuid, current_setting('transaction_read_only')
        from seen cross join projects p
        where p.organization_id = app.current_organization() and p.name like 'canary%' and app.current_user_id() is not null
        limit $1";
    let house = House::start().await;
    let mut connection = PgConnection::connect_with(&house.server.database.serve).await.unwrap();
    let visitors = [&house.acme.1, &house.globex.1];
    for mode in ["force_custom_plan", "force_generic_plan", "auto"] {
        connection.execute(AssertSqlSafe(format!("set plan_cache_mode = {mode}"))).await.unwrap();
        for inside in [false, true] {
            for round in 0..12 {
                let visitor = visitors[round % 2];
                if inside {
                    connection.execute("begin").await.unwrap();
                    let other = sqlx::query_scalar::<_, i64>("select count(*) from projects where $1 > 0")
                        .bind(1_i64);
                    other.bind(Pass::of(visitors[(round + 1) % 2])).fetch_one(&mut connection).await.unwrap();
                }
                let found: Vec<(Uuid, Uuid, Uuid, Uuid, String)> = sqlx::query_as(SEEN)
                    .bind(9_i64)
                    .bind(Pass::of(visitor))
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                let own = visitor.scope.organization().uuid();
                assert_eq!(found, [(own, own, own, own, "on".to_owned())], "{mode}, {inside}, {round}");
                if inside {
                    connection.execute("rollback").await.unwrap();
                }
                let left: (String, String, i64) = sqlx::query_as(
                    "select current_setting('app.organization', true), current_setting('transaction_read_only'),
                        (select count(*) from projects)",
                )
                .fetch_one(&mut connection)
                .await
                .unwrap();
                assert_eq!(left, (String::new(), "off".to_owned(), 0), "it ends with its statement");
            }
        }
        // It is for looking only.
        for sql in [
            "delete from projects where $1 > 0",
            "select set_config('transaction_read_only', 'off', true) where $1 > 0",
        ] {
            let done =
                sqlx::query(sql).bind(1_i64).bind(Pass::of(visitors[0])).execute(&mut connection).await;
            assert!(done.is_err(), "{mode}: {sql}");
        }
    }
    assert_eq!(idle_in_transaction(&mut house.superuser().await).await, 0);
}

/// What is bad is refused and told apart, whatever is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_pass_is_refused_for_its_reason() {
    let house = House::start().await;
    let mut connection = PgConnection::connect_with(&house.server.database.serve).await.unwrap();
    let (acme, globex) = (&house.acme.1, &house.globex.1);
    let good = Pass::of(acme);
    for (pass, code) in [
        (None, "23502"),
        (Some(Pass { organization: None, ..good.clone() }), "AC002"),
        (Some(Pass { organization: Some(Uuid::nil()), ..good.clone() }), "AC002"),
        (Some(Pass { organization: Pass::of(globex).organization, ..good.clone() }), "AC002"),
        (Some(Pass { person: None, ..good.clone() }), "AC001"),
        (Some(Pass { person: Some(globex.user.uuid()), ..good.clone() }), "AC001"),
        (Some(Pass { credential: None, ..good.clone() }), "AC001"),
        (Some(Pass { is_key: None, credential: Some(Uuid::nil()), ..good.clone() }), "AC001"),
        (Some(Pass { is_key: Some(true), ..good.clone() }), "AC001"),
        (Some(Pass { version: None, ..good.clone() }), "AC003"),
        (Some(Pass { version: Some(1 << 40), ..good.clone() }), "AC003"),
    ] {
        let outcome = sqlx::query("select 1 where $1 > 0").bind(1_i64).bind(pass.clone());
        let said = outcome.fetch_all(&mut connection).await.unwrap_err();
        let said = said.as_database_error().and_then(DatabaseError::code);
        assert_eq!(said.as_deref(), Some(code), "{pass:?}");
    }
}

/// What the wire is told, and what comes back: rows, errors and the state of the transaction after each Sync.
struct Probe {
    line: Line,
    superuser: PgConnection,
    tenant: u32,
    person: u32,
    /// How many times a statement was planned.
    planned: usize,
    broken: Vec<String>,
}

/// How far a statement is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// It is not even planned.
    Nowhere,
    /// It has no row to give, but may be planned.
    NoRow,
    /// It runs.
    ToItsRow,
}

/// Takes a lock when it is planned and one when it runs, both of which are kept whatever becomes of the transaction.
const TAKES_LOCKS: &str = "planned(), pg_try_advisory_lock(2)";
const ROWS: &str = "(select string_agg(name, ',') from projects where name like 'canary%'),
    current_setting('app.organization', true), current_setting('transaction_read_only')";

impl Probe {
    async fn on(options: &PgConnectOptions, mut superuser: PgConnection) -> Self {
        let (tenant, person): (i64, i64) = sqlx::query_as(
            "select 'app.tenant_pass'::regtype::oid::int8, 'app.person_pass'::regtype::oid::int8",
        )
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        let oid = |number: i64| u32::try_from(number).unwrap();
        let line = Line::open(options).await;
        Self { line, superuser, tenant: oid(tenant), person: oid(person), planned: 0, broken: Vec::new() }
    }

    /// Sends messages and compares what comes back, and how far a statement with [`TAKES_LOCKS`] has come.
    async fn expect(&mut self, what: &str, messages: &[Vec<u8>], expected: &[&str], comes: Comes) {
        let came = self.line.send(messages).await;
        if came != expected {
            self.broken.push(format!("{what}: {came:?} instead of {expected:?}"));
        }
        let (planned, ran): (bool, bool) = sqlx::query_as(
            "select coalesce(bool_or(objid = 1), false), coalesce(bool_or(objid = 2), false) from pg_locks
             where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
        )
        .fetch_one(&mut self.superuser)
        .await
        .unwrap();
        self.planned += usize::from(planned);
        if ran != (comes == Comes::ToItsRow) || planned && comes == Comes::Nowhere {
            self.broken.push(format!("{what}: planned: {planned}, ran: {ran}, instead of {comes:?}"));
        }
        self.line.send(&[query("rollback"), query("select pg_advisory_unlock_all()")]).await;
        let state = "select concat(current_setting('app.organization', true), current_setting('app.user', true)),
            current_setting('transaction_read_only'), (select count(*) from projects) + (select count(*) from users)";
        let left = self.line.send(&[query(state)]).await;
        if left != ["row |off|0", "ready I"] {
            self.broken.push(format!("{what}: it leaves {left:?}"));
        }
    }
}

fn tenant_text(visitor: &Visitor, version: i64) -> String {
    let (organization, user) = (visitor.scope.organization().uuid(), visitor.user.uuid());
    format!("({organization},{user},{},f,{version},)", visitor.session.uuid())
}

fn person_text(user: UserId, session: SessionId) -> String {
    format!("({},{})", user.uuid(), session.uuid())
}

/// The promises that are broken, on the wire itself, with values as text.
async fn broken_promises(house: &House) -> Vec<String> {
    let mut probe = Probe::on(&house.server.database.serve, house.superuser().await).await;
    let (acme, globex) = (&house.acme.1, &house.globex.1);
    let own = |visitor: &Visitor, name: &str| {
        let organization = visitor.scope.organization().uuid();
        format!("row t|t|canary of {name}|{organization}|on")
    };
    let (own, other) = (own(acme, "Acme"), own(globex, "Globex"));
    let good = tenant_text(acme, acme.scope.version());
    let good_other = tenant_text(globex, globex.scope.version());
    let stale = tenant_text(acme, acme.scope.version() + 1);
    let (good, good_other, stale) =
        (bind("s", &[Some(&good)]), bind("s", &[Some(&good_other)]), bind("s", &[Some(&stale)]));
    let null = bind("s", &[None]);
    for mode in ["force_custom_plan", "force_generic_plan", "auto"] {
        probe.line.send(&[query(&format!("set plan_cache_mode = {mode}"))]).await;
        // Its parameter unmentioned, mentioned, and where nothing ever comes to it.
        for (end, rows) in [
            ("", true),
            ("where ($1).version is not null", true),
            ("where false and ($1).version is null", false),
        ] {
            let sql = format!("select {TAKES_LOCKS}, {ROWS} {end}");
            probe.line.send(&[query("deallocate all"), parse("s", &sql, &[probe.tenant]), sync()]).await;
            let what = |what: &str| format!("{mode} `{end}`: {what}");
            let comes = if rows { Comes::ToItsRow } else { Comes::NoRow };
            // So often that there is a generic plan in the end.
            for _ in 0..if mode == "auto" { 7 } else { 2 } {
                for (bound, row) in [(&good, own.as_str()), (&good_other, other.as_str())] {
                    let expected = if rows { vec![row, "ready I"] } else { vec!["ready I"] };
                    let messages = [bound.clone(), execute(), sync()];
                    probe.expect(&what("a good pass"), &messages, &expected, comes).await;
                    let messages = [stale.clone(), execute(), sync()];
                    probe
                        .expect(&what("a bad pass"), &messages, &["error AC003", "ready I"], Comes::Nowhere)
                        .await;
                }
            }
            let messages = [null.clone(), execute(), sync()];
            probe.expect(&what("no pass"), &messages, &["error 23502", "ready I"], Comes::Nowhere).await;
            if !rows {
                continue;
            }
            // What follows an error up to the next Sync is skipped.
            let messages = [stale.clone(), execute(), good.clone(), execute(), sync()];
            probe
                .expect(&what("after a bad pass"), &messages, &["error AC003", "ready I"], Comes::Nowhere)
                .await;
            let messages = [good.clone(), execute(), stale.clone(), execute(), sync()];
            probe
                .expect(
                    &what("before a bad pass"),
                    &messages,
                    &[&own, "error AC003", "ready I"],
                    Comes::ToItsRow,
                )
                .await;
            let messages = [good.clone(), execute(), good_other.clone(), execute(), sync()];
            probe
                .expect(&what("one after the other"), &messages, &[&own, &other, "ready I"], Comes::ToItsRow)
                .await;
            // In a transaction that is another tenant's.
            let inside = [query("begin"), good_other.clone(), execute(), sync()];
            let messages = [&inside[..], &[good.clone(), execute(), sync()]].concat();
            let expected = ["ready T", &other, "ready T", &own, "ready T"];
            probe.expect(&what("inside"), &messages, &expected, Comes::ToItsRow).await;
            let messages =
                [&inside[..], &[stale.clone(), execute(), sync(), good.clone(), execute(), sync()]].concat();
            let expected = ["ready T", &other, "ready T", "error AC003", "ready E", "error 25P02", "ready E"];
            probe.expect(&what("a bad pass inside"), &messages, &expected, Comes::ToItsRow).await;
        }
    }
    let sql = format!("select {TAKES_LOCKS}, email, current_setting('transaction_read_only') from users");
    probe.line.send(&[parse("p", &sql, &[probe.person]), sync()]).await;
    let bound = |session| {
        let text = person_text(acme.user, session);
        [bind("p", &[Some(&text)]), execute(), sync()]
    };
    let row = format!("row t|t|{}|on", house.acme.0.owner.email);
    probe.expect("a person's pass", &bound(acme.session), &[&row, "ready I"], Comes::ToItsRow).await;
    probe
        .expect("a bad one", &bound(SessionId::generate()), &["error AC001", "ready I"], Comes::Nowhere)
        .await;
    let no_pass = [bind("p", &[None]), execute(), sync()];
    probe.expect("no person's pass", &no_pass, &["error 23502", "ready I"], Comes::Nowhere).await;
    // Written into the text it is an expression like others: bad it opens nothing.
    let literal = tenant_text(acme, acme.scope.version() + 1);
    let text = |rest: &str| {
        query(&format!("select count(*) from projects where {rest} '{literal}'::app.tenant_pass is null"))
    };
    probe.expect("a bad literal", &[text("")], &["error AC003", "ready I"], Comes::Nowhere).await;
    probe.expect("one that nobody comes to", &[text("true or")], &["row 0", "ready I"], Comes::Nowhere).await;
    if probe.planned == 0 {
        probe.broken.push("it is not noticed when a statement is planned".to_owned());
    }
    probe.broken
}

/// What may be left of a pass's check: nothing, not that it is for looking only, or not that it verifies.
const MUTANTS: [(&str, &[&str]); 2] = [
    (
        "tenant_pass",
        &[
            "true",
            "app.enter((value).organization, (value).person, (value).credential, (value).is_key, (value).version,
                (value).project)",
            "concat(set_config('app.organization', ((value).organization)::text, true),
                set_config('app.user', ((value).person)::text, true), set_config('app.project', '', true),
                set_config('transaction_read_only', 'on', true)) <> ''",
        ],
    ),
    (
        "person_pass",
        &[
            "true",
            "app.enter_user((value).person, (value).session)",
            "concat(set_config('app.organization', '', true), set_config('app.user', ((value).person)::text, true),
                set_config('app.project', '', true), set_config('transaction_read_only', 'on', true)) <> ''",
        ],
    ),
];

/// On the wire itself: what runs, what is planned, what comes back and what is left, message by message; and that each part
/// of the passes' checks is needed for it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_pass_nothing_is_planned_or_run() {
    let house = House::start().await;
    let mut superuser = house.superuser().await;
    superuser
        .execute("create function planned() returns boolean immutable language sql as 'select pg_try_advisory_lock(1)'")
        .await
        .unwrap();
    assert_eq!(broken_promises(&house).await, [""; 0]);
    for (domain, checks) in MUTANTS {
        let constraint = format!("{domain}_enters");
        let own: String =
            sqlx::query_scalar("select pg_get_constraintdef(oid) from pg_constraint where conname = $1")
                .bind(&constraint)
                .fetch_one(&mut superuser)
                .await
                .unwrap();
        let set = |check: &str| {
            let domain = format!("alter domain app.{domain}");
            AssertSqlSafe(format!(
                "{domain} drop constraint {constraint}; {domain} add constraint {constraint} {check}"
            ))
        };
        for check in checks {
            superuser.execute(set(&format!("check ({check})"))).await.unwrap();
            assert_ne!(broken_promises(&house).await, [""; 0], "{domain} with {check} is not noticed");
        }
        superuser.execute(set(&own)).await.unwrap();
        for (verb, well) in [("drop", false), ("set", true)] {
            let sql = format!("alter domain app.{domain} {verb} not null");
            superuser.execute(AssertSqlSafe(sql)).await.unwrap();
            assert_eq!(broken_promises(&house).await.is_empty(), well, "{domain}: {verb} not null");
        }
    }
}
