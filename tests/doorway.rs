//! The doorway leaves nothing behind: whatever becomes of a request, the next user of its connection sees nothing of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aicos::access::{Action, Scope};
use aicos::db::{Call, Changes, Db, Entry, Lease, PoolSettings, Record, SecurityEventKind, Target};
use aicos::error::{Error, Refusal};
use aicos::id::ProjectId;
use serde_json::json;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::types::Uuid;
use sqlx::{Connection as _, Executor as _, FromRow};
use tokio::sync::Notify;

use crate::support::cast::{self, Organization};
use crate::support::visitor::{
    Cut, Dice, Visitor, assert_clean, cut, facts, hot, idle_in_transaction, line, slow_line,
};
use crate::support::{self, Server};

mod passes;

/// A project, as hot functions and stores return it.
#[derive(Debug, FromRow)]
struct Project {
    organization_id: Uuid,
    name: String,
}

/// Two tenants, each with a project that is called like nothing else, and a pool of one connection.
struct House {
    server: Server,
    db: Db,
    acme: (Organization, Visitor),
    globex: (Organization, Visitor),
}

async fn tenant(server: &Server, name: &str) -> (Organization, Visitor) {
    let organization = cast::organization(server, name).await;
    let input = json!({"organizationId": organization.id, "name": format!("canary of {name}")});
    organization.owner.at(server).mutate("projectCreate", input, "").await;
    let visitor = Visitor::of(server, &organization.owner.token).await;
    (organization, visitor)
}

fn pool_of(size: usize, options: PgConnectOptions) -> Db {
    let settings =
        PoolSettings { size, wait: Duration::from_secs(5), statement_timeout: Duration::from_millis(500) };
    Db::open(options, &settings).unwrap()
}

impl House {
    async fn start() -> Self {
        let server = Server::start().await;
        let acme = tenant(&server, "Acme").await;
        let globex = tenant(&server, "Globex").await;
        let db = pool_of(1, server.database.serve.clone());
        Self { server, db, acme, globex }
    }

    fn lease(&self) -> Lease {
        self.db.lease(facts())
    }

    async fn superuser(&self) -> PgConnection {
        self.server.database.superuser().await
    }

    /// The next user, of the other tenant, sees what is theirs, and a second later nobody sits in a transaction.
    async fn assert_nothing_left(&self, after: &str) {
        self.assert_next_user(after).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(idle_in_transaction(&mut self.superuser().await).await, 0, "after {after}");
    }

    async fn assert_next_user(&self, after: &str) {
        assert_clean(&self.db, after).await;
        let lease = self.lease();
        let globex = &self.globex.1;
        for project in projects(&lease, &globex.scope).await.unwrap() {
            assert!(!project.name.contains("Acme"), "{after}: {project:?}");
            assert_eq!(project.organization_id, globex.scope.organization().uuid(), "{after}");
        }
    }
}

async fn projects(lease: &Lease, scope: &Scope) -> Result<Vec<Project>, Error> {
    let mut tx = lease.read(scope, Action::ProjectRead).await?;
    Ok(sqlx::query_as("select organization_id, name from projects").fetch_all(tx.conn()).await?)
}

async fn insert_project(lease: &Lease, scope: &Arc<Scope>, name: &str, keep: bool) -> Result<(), Error> {
    let id = ProjectId::generate();
    let mut tx = lease.write(scope, Action::ProjectCreate).await?;
    sqlx::query("insert into projects (organization_id, id, name, slug) values ($1, $2, $3, $4)")
        .bind(scope.organization().uuid())
        .bind(id.uuid())
        .bind(name)
        .bind(format!("p-{}", id.uuid().simple()))
        .execute(tx.conn())
        .await?;
    if keep { tx.commit(Record::of(Target::project(id))).await } else { Ok(()) }
}

fn create_call(name: &str, slug: &str) -> (Record, Call<Project>) {
    let id = ProjectId::generate();
    let call = Call::new(hot("create_project"))
        .bind(id.uuid())
        .and_then(|call| call.bind(name.to_owned()))
        .and_then(|call| call.bind(slug.to_owned()))
        .and_then(|call| call.bind(None::<String>))
        .unwrap();
    (Record::with(Target::project(id), Changes::none()), call)
}

async fn create_at_once(lease: &Lease, scope: &Scope, name: &str, slug: &str) -> Result<usize, Entry> {
    let (record, call) = create_call(name, slug);
    Ok(lease.call_write(scope, Action::ProjectCreate, &record, &call).await?.len())
}

/// One way through the doorway, all the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Read,
    ReadSlowly,
    Write,
    WriteAndDrop,
    HotRead,
    HotReadInside,
    HotWrite,
    ReadPerson,
    WritePerson,
    HotPerson,
}

const WAYS: [Way; 10] = [
    Way::Read,
    Way::ReadSlowly,
    Way::Write,
    Way::WriteAndDrop,
    Way::HotRead,
    Way::HotReadInside,
    Way::HotWrite,
    Way::ReadPerson,
    Way::WritePerson,
    Way::HotPerson,
];

#[derive(FromRow)]
struct Named {
    name: String,
}

/// Goes it, and returns the names that were seen.
async fn go(way: Way, db: &Db, visitor: &Visitor) -> Result<Vec<String>, Error> {
    let lease = db.lease(facts());
    let Visitor { user, session, scope } = visitor;
    let names = |list: Vec<Named>| list.into_iter().map(|row| row.name).collect::<Vec<_>>();
    match way {
        Way::Read => Ok(projects(&lease, scope).await?.into_iter().map(|project| project.name).collect()),
        Way::ReadSlowly => {
            let mut tx = lease.read(scope, Action::ProjectRead).await?;
            let sql = "select name from projects, pg_sleep(0.005) order by name";
            Ok(names(sqlx::query_as(sql).fetch_all(tx.conn()).await?))
        }
        Way::Write => insert_project(&lease, scope, "written", true).await.map(|()| Vec::new()),
        Way::WriteAndDrop => insert_project(&lease, scope, "dropped", false).await.map(|()| Vec::new()),
        Way::HotRead => {
            let call = Call::<Named>::new(hot("organization"));
            Ok(names(lease.call(scope, Action::OrganizationRead, &call).await?))
        }
        Way::HotReadInside => {
            let mut seen: Vec<String> =
                projects(&lease, scope).await?.into_iter().map(|project| project.name).collect();
            let call = Call::<Named>::new(hot("organization"));
            seen.extend(names(lease.call(scope, Action::OrganizationRead, &call).await?));
            Ok(seen)
        }
        Way::HotWrite => {
            let slug = format!("p-{}", ProjectId::generate().uuid().simple());
            create_at_once(&lease, scope, "at once", &slug).await?;
            Ok(Vec::new())
        }
        Way::ReadPerson => {
            let mut tx = lease.read_person(*user, *session).await?;
            Ok(names(sqlx::query_as("select email as name from users").fetch_all(tx.conn()).await?))
        }
        Way::WritePerson => {
            let mut tx = lease.write_person(scope.credential()).await?;
            sqlx::query("update users set updated_at = now()").execute(tx.conn()).await?;
            tx.commit(SecurityEventKind::ProfileChanged).await?;
            Ok(Vec::new())
        }
        Way::HotPerson => {
            let call = Call::<Named>::new(hot("viewer"));
            Ok(names(lease.call_person(*user, *session, &call).await?))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_success_nothing_is_left() {
    let house = House::start().await;
    for way in WAYS {
        go(way, &house.db, &house.acme.1).await.unwrap();
        house.assert_next_user(&format!("{way:?}")).await;
    }
    house.assert_nothing_left("success").await;
}

/// What the door says when it does not open, for each way in.
async fn refusals(house: &House, visitor: &Visitor, why: &str) -> Vec<(Way, Result<(), Error>)> {
    let mut list = Vec::new();
    for way in WAYS {
        list.push((way, go(way, &house.db, visitor).await.map(drop)));
        house.assert_next_user(&format!("{why}: {way:?}")).await;
    }
    house.assert_nothing_left(why).await;
    list
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refusal_at_the_door_nothing_is_left() {
    let house = House::start().await;
    let mut superuser = house.superuser().await;
    let person = |way: Way| matches!(way, Way::ReadPerson | Way::WritePerson | Way::HotPerson);
    let admin = Visitor::of(&house.server, &house.acme.0.admin.token).await;

    let renew = "update memberships set role = role where user_id = $1";
    sqlx::query(renew).bind(admin.user.uuid()).execute(&mut superuser).await.unwrap();
    for (way, outcome) in refusals(&house, &admin, "a changed version").await {
        assert_eq!(matches!(outcome, Err(Error::NotFound)), !person(way), "{way:?}: {outcome:?}");
    }

    let remove = "delete from memberships where user_id = $1";
    sqlx::query(remove).bind(admin.user.uuid()).execute(&mut superuser).await.unwrap();
    for (way, outcome) in refusals(&house, &admin, "a removed member").await {
        assert_eq!(matches!(outcome, Err(Error::NotFound)), !person(way), "{way:?}: {outcome:?}");
    }

    let revoke = "update sessions set revoked_at = now() where user_id = $1";
    sqlx::query(revoke).bind(admin.user.uuid()).execute(&mut superuser).await.unwrap();
    for (way, outcome) in refusals(&house, &admin, "a revoked session").await {
        let refused = matches!(outcome, Err(Error::Unauthenticated(Refusal::NotAccepted)));
        assert!(refused, "{way:?}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failing_statement_nothing_is_left() {
    let house = House::start().await;
    let scope = &house.acme.1.scope;
    for (sql, timeout) in
        [("select 1 / (select count(*) from projects where false)", false), ("select pg_sleep(5)", true)]
    {
        for write in [false, true] {
            let lease = house.lease();
            let outcome = if write {
                let mut tx = lease.write(scope, Action::ProjectUpdate).await.unwrap();
                sqlx::query("update projects set description = 'lost'").execute(tx.conn()).await.unwrap();
                let outcome = sqlx::query(sql).execute(tx.conn()).await;
                // Whoever overlooks the failure cannot keep anything.
                assert!(tx.commit(Record::of(Target::organization(scope.organization()))).await.is_err());
                outcome
            } else {
                let mut tx = lease.read(scope, Action::ProjectRead).await.unwrap();
                sqlx::query(sql).execute(tx.conn()).await
            };
            let error = Error::from(outcome.unwrap_err());
            assert_eq!(matches!(error, Error::Timeout), timeout, "{error:?}");
            drop(lease);
            house.assert_next_user(sql).await;
        }
    }
    // A hot function that fails: the name is missing.
    let (record, _) = create_call("x", "x");
    let call = Call::<Project>::new(hot("create_project"))
        .bind(ProjectId::generate().uuid())
        .and_then(|call| call.bind(None::<String>))
        .and_then(|call| call.bind("slug"))
        .and_then(|call| call.bind(None::<String>))
        .unwrap();
    let lease = house.lease();
    for inside in [false, true] {
        if inside {
            projects(&lease, scope).await.unwrap();
        }
        assert!(lease.call_write(scope, Action::ProjectCreate, &record, &call).await.is_err());
        // The same lease goes on.
        assert_eq!(projects(&lease, scope).await.unwrap().len(), 2);
    }
    drop(lease);
    house.assert_nothing_left("a failing statement").await;
    let kept: i64 = sqlx::query_scalar("select count(*) from projects where description = 'lost'")
        .fetch_one(&mut house.superuser().await)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

/// Each way in, given up after one poll, two polls, and so on to its end, on a line so slow that each poll brings a few
/// bytes: while a connection is opened, while the transaction is, in the middle of a query, and during the commit.
#[tokio::test]
async fn a_request_given_up_at_any_point_leaves_nothing() {
    let mut house = House::start().await;
    house.db = pool_of(1, slow_line(&house.server.database.serve, 9));
    let (mut cuts, mut ends) = (0, 0);
    for way in WAYS {
        let mut polls = 1;
        loop {
            // The first time a connection has to be opened, too, and its statements are not known yet.
            let outcome = cut(polls, go(way, &house.db, &house.acme.1)).await;
            house.assert_next_user(&format!("{way:?}, given up after {polls} polls")).await;
            cuts += 1;
            if let Some(outcome) = outcome {
                outcome.unwrap();
                ends += 1;
                break;
            }
            polls += if polls < 40 { 1 } else { 3 };
        }
    }
    println!("given up at {} points", cuts - ends);
    assert_eq!(ends, WAYS.len());
    assert!(cuts > 200, "the line is not slow enough: {cuts}");
    house.assert_nothing_left("being given up").await;
}

/// The same while the connection itself is being opened.
#[tokio::test]
async fn a_request_given_up_while_it_connects_leaves_nothing() {
    let mut house = House::start().await;
    for polls in (1..).step_by(3) {
        house.db = pool_of(1, slow_line(&house.server.database.serve, 150));
        let outcome = cut(polls, go(Way::Read, &house.db, &house.acme.1)).await;
        house.assert_next_user(&format!("connecting, given up after {polls} polls")).await;
        if let Some(outcome) = outcome {
            assert!(outcome.unwrap().contains(&"canary of Acme".to_owned()));
            assert!(polls > 5, "{polls}");
            break;
        }
        house.db.close();
    }
    house.assert_nothing_left("being given up").await;
}

/// Whoever waits for a connection to open is served by one that comes back first, even when the other never opens.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_connection_takes_one_that_comes_back() {
    let house = House::start().await;
    let db = pool_of(2, line(&house.server.database.serve, |place| (place == 0).then_some(65536)));
    let taken = Notify::new();
    let waiting = async {
        taken.notified().await;
        go(Way::Read, &db, &house.acme.1).await
    };
    let holding = async {
        let lease = db.lease(facts());
        let tx = lease.read(&house.acme.1.scope, Action::ProjectRead).await.unwrap();
        taken.notify_one();
        while db.status().waiting == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(tx);
    };
    let (outcome, ()) = tokio::join!(waiting, holding);
    assert!(outcome.unwrap().contains(&"canary of Acme".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_panic_nothing_is_left() {
    let house = House::start().await;
    for write in [false, true] {
        for mid_query in [false, true] {
            let (db, scope) = (house.db.clone(), house.acme.1.scope.clone());
            let task = tokio::spawn(async move {
                let lease = db.lease(facts());
                let mut tx =
                    if write { None } else { Some(lease.read(&scope, Action::ProjectRead).await.unwrap()) };
                let mut writing = match tx {
                    Some(_) => None,
                    None => Some(lease.write(&scope, Action::ProjectUpdate).await.unwrap()),
                };
                let conn = match (&mut tx, &mut writing) {
                    (Some(tx), _) => tx.conn(),
                    (None, Some(tx)) => {
                        sqlx::query("update projects set description = 'panicked'")
                            .execute(tx.conn())
                            .await
                            .unwrap();
                        tx.conn()
                    }
                    (None, None) => unreachable!(),
                };
                if mid_query {
                    let sleeping = sqlx::query("select pg_sleep(0.1)").execute(conn);
                    let _: Option<_> = cut(2, sleeping).await;
                }
                panic!("on purpose");
            });
            assert!(task.await.unwrap_err().is_panic());
            house.assert_next_user(&format!("a panic, writing: {write}, mid-query: {mid_query}")).await;
        }
    }
    house.assert_nothing_left("a panic").await;
    let kept: i64 = sqlx::query_scalar("select count(*) from projects where description = 'panicked'")
        .fetch_one(&mut house.superuser().await)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

/// A statement that does not end when its request does is ended by the server, and nobody else waits on it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_nobody_waits_for_ends() {
    let house = House::start().await;
    let scope = &house.acme.1.scope;
    let lease = house.lease();
    {
        let mut tx = lease.read(scope, Action::ProjectRead).await.unwrap();
        let sleeping = sqlx::query("select pg_sleep(60)").execute(tx.conn());
        assert!(tokio::time::timeout(Duration::from_millis(50), sleeping).await.is_err());
    }
    drop(lease);
    let started = std::time::Instant::now();
    house.assert_next_user("a query that nobody waits for").await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    house.assert_nothing_left("a query that nobody waits for").await;
}

/// Whoever waits too long for a lock is told to come again, and nothing of theirs is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_given_up_is_a_503() {
    let house = House::start().await;
    let mut superuser = house.superuser().await;
    let before = counts(&mut superuser).await;
    let mut holding = superuser.begin().await.unwrap();
    holding.execute("select from audit_heads for update").await.unwrap();
    let db = Db::open(house.server.database.serve.clone(), &PoolSettings::default()).unwrap();
    let (one, other) = (db.lease(facts()), db.lease(facts()));
    let scope = &house.acme.1.scope;
    let (general, hot) = tokio::join!(
        insert_project(&one, scope, "waiting", true),
        create_at_once(&other, scope, "waiting", "waiting"),
    );
    // The first in the queue waits for the lock, the second one for the first and then for the lock: as long as the
    // statement may take.
    let outcomes = [general.map_err(Entry::Failed), hot.map(drop)];
    let is_told = |outcome: &Result<(), Entry>| {
        matches!(outcome, Err(Entry::Failed(Error::Unavailable(_) | Error::Timeout)))
    };
    assert!(outcomes.iter().all(is_told), "{outcomes:?}");
    assert!(
        outcomes.iter().any(|told| matches!(told, Err(Entry::Failed(Error::Unavailable(_))))),
        "{outcomes:?}"
    );
    holding.rollback().await.unwrap();
    assert_eq!(counts(&mut superuser).await, before);
    drop((one, other));
    assert_clean(&db, "waiting for a lock").await;
}

/// 1,000 users of one connection, of either tenant, at any pace, some of whom leave at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn random_users_of_one_connection_see_their_own_only() {
    let house = House::start().await;
    let line = slow_line(&house.server.database.serve, 50);
    for (size, seed) in [(1, 7), (2, 11)] {
        let db = pool_of(size, line.clone());
        let mut dice = Dice::new(seed);
        let (mut seen, mut aborted, mut failed) = (0, 0, 0);
        for _ in 0..100 {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..10 {
                let first = dice.below(2) == 0;
                let (visitor, own, other) = if first {
                    (house.acme.1.clone(), "Acme", "Globex")
                } else {
                    (house.globex.1.clone(), "Globex", "Acme")
                };
                let way = WAYS[usize::try_from(dice.below(WAYS.len() as u64)).unwrap()];
                let polls = if dice.below(2) == 0 { 1 + dice.below(12) } else { 10_000 };
                let db = db.clone();
                tasks.spawn(async move {
                    let going: Cut<_> = cut(usize::try_from(polls).unwrap(), go(way, &db, &visitor));
                    (way, own, other, going.await)
                });
            }
            while let Some(done) = tasks.join_next().await {
                let (way, own, other, outcome) = done.unwrap();
                match outcome {
                    None => aborted += 1,
                    Some(Err(error)) => {
                        failed += 1;
                        println!("{way:?}: {error:?}");
                    }
                    Some(Ok(names)) => {
                        let mine = |name: &String| name.to_lowercase().contains(&own.to_lowercase());
                        let theirs = |name: &String| name.to_lowercase().contains(&other.to_lowercase());
                        seen += usize::from(names.iter().any(mine));
                        assert!(!names.iter().any(theirs), "{way:?} as {own}: {names:?}");
                    }
                }
            }
        }
        println!("pool of {size}: {seen} saw their own, {aborted} left early, {failed} failed");
        assert!(seen >= 100, "{seen}");
        assert!(aborted >= 100, "{aborted}");
        assert_eq!(failed, 0);
        assert_clean(&db, "1,000 users").await;
    }
    house.assert_nothing_left("1,000 users").await;
}

/// Clients of a real server with one connection hang up at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_leave_nothing() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut config = support::config();
    config.connections = 1;
    let server = Server::with(config, support::tuning()).await;
    let (acme, _) = tenant(&server, "Acme").await;
    let (globex, _) = tenant(&server, "Globex").await;
    let Server { database, app } = server;
    let db = app.db.clone();
    let running = app.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let query = "{ organization { name projects(first: 50) { nodes { name } totalCount } members(first: 20) { nodes { user { name } } } } viewer { email } }";
    let mut dice = Dice::new(3);
    let (mut answered, mut own_seen) = (0, 0);
    for round in 0..400 {
        let (who, own, other) =
            if dice.below(2) == 0 { (&acme, "Acme", "Globex") } else { (&globex, "Globex", "Acme") };
        let input = json!({"organizationId": who.id, "name": format!("{own} {round}")});
        let body = if dice.below(3) == 0 {
            json!({"query": support::mutation("projectCreate", "project { name }"), "variables": {"input": input}})
        } else {
            json!({ "query": query })
        };
        let body = body.to_string();
        let mut stream = tokio::net::TcpStream::connect(running.address).await.unwrap();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            who.owner.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let patience = if dice.below(3) == 0 { 2_000_000 } else { dice.below(12_000) };
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        if tokio::time::timeout(Duration::from_micros(patience), reading).await.is_ok() {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(!answer.contains(other) && !answer.contains("\"errors\""), "{answer}");
            answered += 1;
            own_seen += usize::from(answer.contains(own));
        }
        drop(stream);
    }
    println!("{answered} of 400 waited for the answer, {own_seen} saw their own");
    assert!(own_seen >= 40 && answered < 400, "{own_seen} of {answered}");
    assert_clean(&db, "clients that hang up").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut superuser = database.superuser().await;
    assert_eq!(idle_in_transaction(&mut superuser).await, 0);
    // Whatever was kept has its audit row, and the other way round.
    let (projects, rows): (i64, i64) = sqlx::query_as(
        "select (select count(*) from projects where name <> 'Default'),
            (select count(*) from audit_entries where action = 'project.create')",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!(projects, rows);
    running.stop().await.unwrap();
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(DatabaseError::code).unwrap_or_default().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_cannot_write() {
    let house = House::start().await;
    let Visitor { user, session, scope } = &house.acme.1;
    let lease = house.lease();
    for sql in [
        "update projects set description = 'x'",
        "set transaction read write",
        "set transaction_read_only = off",
    ] {
        {
            let mut tx = lease.read(scope, Action::ProjectRead).await.unwrap();
            let count: i64 =
                sqlx::query_scalar("select count(*) from projects").fetch_one(tx.conn()).await.unwrap();
            assert_eq!(count, 2);
            let error = sqlx::query(sql).execute(tx.conn()).await.unwrap_err();
            assert!(["25006", "25001", "22023"].contains(&code(&error).as_str()), "{sql}: {error}");
        }
        lease.release().await;
        {
            let mut tx = lease.read_person(*user, *session).await.unwrap();
            let sql = sql.replace("projects set description", "users set avatar_url");
            sqlx::query("select 1").execute(tx.conn()).await.unwrap();
            let error = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(tx.conn()).await.unwrap_err();
            assert!(["25006", "25001", "22023"].contains(&code(&error).as_str()), "{sql}: {error}");
        }
        lease.release().await;
    }
}

/// In one request the person reads one organization, then another one, then what is their own.
#[tokio::test(flavor = "multi_thread")]
async fn one_lease_sees_one_context_at_a_time() {
    let house = House::start().await;
    let (globex, acme) = (&house.globex, &house.acme);
    // Acme's owner belongs to Globex, too.
    let input = json!({"organizationId": globex.0.id, "email": acme.0.owner.email, "role": "ADMIN"});
    let made = globex.0.owner.at(&house.server).mutate("invitationCreate", input, "acceptUrl").await;
    let token = made["acceptUrl"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned();
    let owner = acme.0.owner.at(&house.server);
    owner.mutate("invitationAccept", json!({"token": token}), "").await;
    let caller = house.server.app.identity.recognise_token(&acme.0.owner.token).unwrap();
    let lease = house.lease();
    let there = globex.1.scope.organization();
    let (other, _) = house.server.app.identity.scope(&lease, &caller, None, there, true).await.unwrap();
    let own = &acme.1.scope;
    let names = |list: Vec<Project>| list.into_iter().map(|project| project.name).collect::<HashSet<_>>();
    let call = Call::<Named>::new(hot("organization"));
    let narrow = own.narrow(ProjectId::generate());
    for _ in 0..2 {
        assert!(names(projects(&lease, own).await.unwrap()).contains("canary of Acme"));
        assert_eq!(lease.call(&other, Action::OrganizationRead, &call).await.unwrap()[0].name, "Globex");
        assert!(names(projects(&lease, &other).await.unwrap()).contains("canary of Globex"));
        assert_eq!(lease.call(own, Action::OrganizationRead, &call).await.unwrap()[0].name, "Acme");
        assert_eq!(projects(&lease, &narrow).await.unwrap().len(), 0);
        assert!(names(projects(&lease, own).await.unwrap()).contains("canary of Acme"));
        let mut tx = lease.read_person(acme.1.user, acme.1.session).await.unwrap();
        let counts: (i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from projects), (select count(*) from memberships), (select count(*) from users)",
        )
        .fetch_one(tx.conn())
        .await
        .unwrap();
        assert_eq!(counts, (0, 2, 1), "projects, memberships and people that are the person's own");
    }
}

/// A lease serves whoever comes, one after the other: nobody joins what somebody else has opened.
#[tokio::test(flavor = "multi_thread")]
async fn one_lease_serves_one_caller_at_a_time() {
    let house = House::start().await;
    let (acme, globex) = (&house.acme, &house.globex);
    let lease = house.lease();
    for visitor in [&acme.1, &globex.1, &acme.1] {
        let mut tx = lease.read_person(visitor.user, visitor.session).await.unwrap();
        let users: Vec<Uuid> = sqlx::query_scalar("select id from users").fetch_all(tx.conn()).await.unwrap();
        assert_eq!(users, [visitor.user.uuid()]);
    }
    // A project's key and its maker, at the same version: the maker's has changed after the key was made.
    let input = json!({"organizationId": acme.0.id, "name": "Key", "permissions": ["PROJECT_READ"], "projectId": acme.0.project});
    let made = acme.0.owner.at(&house.server).mutate("apiKeyCreate", input, "secret").await;
    let renew = "update memberships set role = role where user_id = $1";
    sqlx::query(renew).bind(acme.1.user.uuid()).execute(&mut house.superuser().await).await.unwrap();
    let key = acme.1.key(&house.server, made["secret"].as_str().unwrap()).await;
    let maker = Visitor::of(&house.server, &acme.0.owner.token).await.scope;
    assert_eq!(key.version(), maker.version());
    for _ in 0..2 {
        assert_eq!(projects(&lease, &maker).await.unwrap().len(), 2);
        assert_eq!(projects(&lease, &key).await.unwrap().len(), 1);
    }
}

async fn counts(superuser: &mut PgConnection) -> (i64, i64) {
    sqlx::query_as("select (select count(*) from projects), (select count(*) from audit_entries)")
        .fetch_one(superuser)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_kept_with_its_audit_row_or_not_at_all() {
    let house = House::start().await;
    let mut superuser = house.superuser().await;
    let lease = house.lease();
    let scope = &house.acme.1.scope;
    let before = counts(&mut superuser).await;

    // Dropped: nothing. Through either door: one of each.
    insert_project(&lease, scope, "dropped", false).await.unwrap();
    assert_eq!(projects(&lease, scope).await.unwrap().len(), 2);
    assert_eq!(counts(&mut superuser).await, before);
    insert_project(&lease, scope, "kept", true).await.unwrap();
    assert_eq!(counts(&mut superuser).await, (before.0 + 1, before.1 + 1));
    assert_eq!(create_at_once(&lease, scope, "at once", "at-once").await.unwrap(), 1);
    assert_eq!(counts(&mut superuser).await, (before.0 + 2, before.1 + 2));
    // A slug that is taken: the one-statement door makes neither.
    assert_eq!(create_at_once(&lease, scope, "again", "at-once").await.unwrap(), 0);
    assert_eq!(counts(&mut superuser).await, (before.0 + 2, before.1 + 2));
    // A refusal leaves its row and nothing else.
    let target = Target::refused("Project", None);
    lease.record_refusal(scope, Action::ProjectDelete, target).await.unwrap();
    assert_eq!(counts(&mut superuser).await, (before.0 + 2, before.1 + 3));
    let newest: (String, String, String) = sqlx::query_as(
        "select action, outcome, actor_label from audit_entries order by occurred_at desc limit 1",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!(newest, ("project.delete".into(), "REFUSED".into(), "Olivia Owner".into()));

    // Without the audit row there is no commit.
    let before = counts(&mut superuser).await;
    for (breaking, mending) in [
        ("revoke insert on audit_entries from aicos_app", "grant insert on audit_entries to aicos_app"),
        (
            "alter table audit_entries disable trigger audit_entries_chain",
            "alter table audit_entries enable trigger audit_entries_chain",
        ),
        (
            "alter function app.record_audit rename to record_audit_away",
            "alter function app.record_audit_away rename to record_audit",
        ),
        (
            "revoke execute on function app.record_audit from aicos_app",
            "grant execute on function app.record_audit to aicos_app",
        ),
    ] {
        superuser.execute(breaking).await.unwrap();
        assert!(insert_project(&lease, scope, "unseen", true).await.is_err(), "{breaking}");
        assert!(create_at_once(&lease, scope, "unseen", "unseen").await.is_err(), "{breaking}");
        assert_eq!(counts(&mut superuser).await, before, "{breaking}");
        superuser.execute(mending).await.unwrap();
    }
    insert_project(&lease, scope, "seen", true).await.unwrap();
    assert_eq!(create_at_once(&lease, scope, "seen", "seen").await.unwrap(), 1);
    assert_eq!(counts(&mut superuser).await, (before.0 + 2, before.1 + 2));
}
