//! The floor: what the workloads cost when somebody writes each of them by hand, with nothing around it.
//!
//! One axum handler and one SQL statement per workload, on the tables and under the role that aicos uses, so that
//! row-level security and the audit trigger are paid here too. BEGIN, the tenant's settings, the statement and COMMIT
//! go out together. There is no authentication, no check, no limit and no GraphQL: the caller is believed.
//!
//! `aicos-bench sql FILE…` runs files of SQL instead: the loader of the benchmark, which needs no psql.
//! `aicos-bench queue JOBS CALLERS WORKERS` is the floor of the queue.

mod queue;
mod statements;

use std::collections::HashMap;
use std::env;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a request says.
#[derive(Deserialize)]
#[serde(default)]
struct Ask<'a> {
    organization: Option<Uuid>,
    user: Uuid,
    action: &'a str,
    name: &'a str,
    slug: &'a str,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self { organization: None, user: Uuid::nil(), action: "", name: "", slug: "" }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Viewer<'a> {
    id: Uuid,
    name: &'a str,
    email: &'a str,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    id: Uuid,
    sequence: i64,
    action: &'a str,
    actor_label: &'a str,
    target_id: Option<&'a str>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
    occurred_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Made<'a> {
    id: Uuid,
    name: &'a str,
    slug: &'a str,
}

#[derive(Serialize)]
struct Organization<'a> {
    id: Uuid,
    name: &'a str,
    slug: &'a str,
    projects: Vec<Project<'a>>,
}

#[derive(Serialize)]
struct Project<'a> {
    id: Uuid,
    name: &'a str,
    slug: &'a str,
    members: Vec<Member<'a>>,
}

#[derive(Serialize)]
struct Member<'a> {
    role: &'a str,
    user: User<'a>,
}

#[derive(Serialize, Clone, Copy)]
struct User<'a> {
    id: Uuid,
    name: &'a str,
}

/// A connection with everything prepared.
struct Session {
    client: Client,
    begin: Statement,
    enter: Statement,
    commit: Statement,
    viewer: Statement,
    levels_json: Statement,
    levels_flat: Statement,
    levels_rows: Statement,
    levels_arrays: Statement,
    page: Statement,
    page_json: Statement,
    create: Statement,
}

impl Session {
    async fn open(address: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self {
            begin: client.prepare("BEGIN").await?,
            enter: client.prepare(statements::ENTER).await?,
            commit: client.prepare("COMMIT").await?,
            viewer: client.prepare(statements::VIEWER).await?,
            levels_json: client.prepare(statements::LEVELS_JSON).await?,
            levels_flat: client.prepare(statements::LEVELS_FLAT).await?,
            levels_rows: client.prepare(statements::LEVELS_ROWS).await?,
            levels_arrays: client.prepare(statements::LEVELS_ARRAYS).await?,
            page: client.prepare(statements::PAGE).await?,
            page_json: client.prepare(statements::PAGE_JSON).await?,
            create: client.prepare(statements::CREATE).await?,
            client,
        })
    }

    /// One transaction, whose four messages are written together.
    async fn run(
        &self,
        ask: &Ask<'_>,
        statement: &Statement,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let organization = ask.organization.map(|id| id.to_string()).unwrap_or_default();
        let user = ask.user.to_string();
        let settings: [&(dyn ToSql + Sync); 2] = [&organization, &user];
        let (_, _, rows, ended) = tokio::join!(
            self.client.execute(&self.begin, &[]),
            self.client.execute(&self.enter, &settings),
            self.client.query(statement, arguments),
            self.client.execute(&self.commit, &[]),
        );
        ended?;
        rows
    }
}

/// A fixed number of connections.
struct Pool {
    idle: Mutex<Vec<Session>>,
    free: Semaphore,
}

/// Gives a connection back, also when the caller hangs up: the four messages of a transaction are all on their way by
/// then, so it ends by itself.
struct Loan<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.pool.idle.lock().expect("no holder panics").extend(self.session.take());
    }
}

impl Pool {
    async fn with<R>(&self, work: impl AsyncFnOnce(&Session) -> R) -> R {
        let _permit = self.free.acquire().await.expect("the semaphore is never closed");
        let session = self.idle.lock().expect("no holder panics").pop();
        let loan = Loan { pool: self, session };
        work(loan.session.as_ref().expect("a permit stands for a session")).await
    }
}

type Rows = Result<Vec<Row>, tokio_postgres::Error>;

fn answer(value: &impl Serialize) -> axum::response::Response {
    let body = serde_json::to_vec(value).expect("plain data is serialised");
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// What the database has made JSON of.
fn json(rows: &[Row]) -> axum::response::Response {
    let body: &str = rows[0].get(0);
    ([(CONTENT_TYPE, "application/json")], body.to_owned()).into_response()
}

fn failed(error: impl std::fmt::Display) -> axum::response::Response {
    (axum::http::StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

async fn handle(
    Path(workload): Path<String>,
    State(pool): State<Arc<Pool>>,
    body: Bytes,
) -> axum::response::Response {
    let ask: Ask<'_> = match serde_json::from_slice(&body) {
        Ok(ask) => ask,
        Err(error) => return failed(error),
    };
    let outcome = match workload.as_str() {
        "w1" => viewer(&pool, &ask).await,
        "w2" | "w2-arrays" => levels_arrays(&pool, &ask).await,
        "w2-json" => levels_json(&pool, &ask).await,
        "w2-flat" => levels_flat(&pool, &ask).await,
        "w2-rows" => levels_rows(&pool, &ask).await,
        "w3" => page(&pool, &ask).await,
        "w3-json" => page_json(&pool, &ask).await,
        "w4" => create(&pool, &ask).await,
        _ => return failed("no such workload"),
    };
    outcome.unwrap_or_else(failed)
}

type Answered = Result<axum::response::Response, tokio_postgres::Error>;

async fn viewer(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let rows: Rows = pool.with(async |session| session.run(ask, &session.viewer, &[&ask.user]).await).await;
    let rows = rows?;
    let row = &rows[0];
    Ok(answer(&Viewer { id: row.get(0), name: row.get(1), email: row.get(2), created_at: row.get(3) }))
}

async fn page(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let rows: Rows = pool
        .with(async |session| session.run(ask, &session.page, &[&ask.organization, &ask.action]).await)
        .await;
    let rows = rows?;
    let entries: Vec<_> = rows
        .iter()
        .map(|row| Entry {
            id: row.get(0),
            sequence: row.get(1),
            action: row.get(2),
            actor_label: row.get(3),
            target_id: row.get(4),
            ip: row.get(5),
            user_agent: row.get(6),
            occurred_at: row.get(7),
        })
        .collect();
    Ok(answer(&entries))
}

async fn page_json(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let rows: Rows = pool
        .with(async |session| session.run(ask, &session.page_json, &[&ask.organization, &ask.action]).await)
        .await;
    Ok(json(&rows?))
}

async fn create(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let (project, entry, request) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7().to_string());
    let rows: Rows = pool
        .with(async |session| {
            let arguments: [&(dyn ToSql + Sync); 7] =
                [&ask.organization, &project, &ask.name, &ask.slug, &entry, &ask.user, &request];
            session.run(ask, &session.create, &arguments).await
        })
        .await;
    let rows = rows?;
    let row = &rows[0];
    Ok(answer(&Made { id: row.get(0), name: row.get(1), slug: row.get(2) }))
}

/// The whole answer as JSON made by the database.
async fn levels_json(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let rows: Rows =
        pool.with(async |session| session.run(ask, &session.levels_json, &[&ask.organization]).await).await;
    Ok(json(&rows?))
}

/// One row per member, with everything above it repeated.
async fn levels_flat(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let rows: Rows =
        pool.with(async |session| session.run(ask, &session.levels_flat, &[&ask.organization]).await).await;
    let rows = rows?;
    let first = &rows[0];
    let mut projects: Vec<Project<'_>> = Vec::with_capacity(20);
    for row in &rows {
        let Some(id) = row.get::<_, Option<Uuid>>(3) else { continue };
        if projects.last().is_none_or(|last| last.id != id) {
            projects.push(Project { id, name: row.get(4), slug: row.get(5), members: Vec::with_capacity(5) });
        }
        if let (Some(last), Some(user)) = (projects.last_mut(), row.get::<_, Option<Uuid>>(7)) {
            last.members.push(Member { role: row.get(6), user: User { id: user, name: row.get(8) } });
        }
    }
    Ok(answer(&Organization { id: first.get(0), name: first.get(1), slug: first.get(2), projects }))
}

/// A project's own row for somebody: who, as what, and whether they are a guest.
type Own<'a> = (Uuid, &'a str, bool);

/// The first five people of a project.
fn together<'a>(full: &[(Uuid, &'a str)], own: &[Own<'a>], people: &[User<'a>]) -> Vec<Member<'a>> {
    let mut members = Vec::with_capacity(10);
    for (user, inherited) in full {
        let set = own.iter().find(|(other, ..)| other == user && *inherited != "OWNER");
        members.push((*user, set.map_or(*inherited, |(_, role, _)| *role)));
    }
    members.extend(own.iter().filter(|(.., guest)| *guest).map(|(user, role, _)| (*user, *role)));
    members.sort_unstable_by_key(|(user, _)| *user);
    members.truncate(5);
    let found = members.into_iter().filter_map(|(user, role)| {
        people.iter().find(|person| person.id == user).map(|user| Member { role, user: *user })
    });
    found.collect()
}

/// One row per thing: the organization, each project, each role, and each person once.
async fn levels_rows(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let rows: Rows = pool
        .with(async |session| {
            session.run(ask, &session.levels_rows, &[&ask.organization, &Uuid::nil()]).await
        })
        .await;
    let rows = rows?;
    let mut own = None;
    let (mut projects, mut full, mut people) = (Vec::with_capacity(20), Vec::new(), Vec::new());
    let mut roles: HashMap<Uuid, Vec<Own<'_>>> = HashMap::new();
    for row in &rows {
        match row.get::<_, i32>(0) {
            0 => own = Some(row),
            1 => projects.push(row),
            2 => full.push((row.get(2), row.get(4))),
            5 => people.push(User { id: row.get(1), name: row.get(3) }),
            kind => roles.entry(row.get(1)).or_default().push((row.get(2), row.get(4), kind == 4)),
        }
    }
    let Some(own) = own else { return Ok(answer(&())) };
    let projects = projects.into_iter().map(|row: &Row| {
        let id = row.get(1);
        let members = together(&full, roles.get(&id).map_or(&[], Vec::as_slice), &people);
        Project { id, name: row.get(3), slug: row.get(4), members }
    });
    let projects = projects.collect();
    Ok(answer(&Organization { id: own.get(1), name: own.get(3), slug: own.get(4), projects }))
}

/// One row: each level as arrays, people once.
async fn levels_arrays(pool: &Pool, ask: &Ask<'_>) -> Answered {
    let rows: Rows = pool
        .with(async |session| {
            session.run(ask, &session.levels_arrays, &[&ask.organization, &Uuid::nil()]).await
        })
        .await;
    let rows = rows?;
    let Some(row) = rows.first() else { return Ok(answer(&())) };
    let (ids, names, slugs): (Vec<Uuid>, Vec<&str>, Vec<&str>) = (row.get(3), row.get(4), row.get(5));
    let (users, words): (Vec<Uuid>, Vec<&str>) = (row.get(6), row.get(7));
    let full: Vec<_> = users.into_iter().zip(words).collect();
    let (places, users, words): (Vec<Uuid>, Vec<Uuid>, Vec<&str>) = (row.get(8), row.get(9), row.get(10));
    let guests: Vec<bool> = row.get(11);
    let (people, called): (Vec<Uuid>, Vec<&str>) = (row.get(12), row.get(13));
    let people: Vec<_> = people.into_iter().zip(called).map(|(id, name)| User { id, name }).collect();
    let mut roles: HashMap<Uuid, Vec<Own<'_>>> = HashMap::new();
    for ((place, user), (role, guest)) in places.into_iter().zip(users).zip(words.into_iter().zip(guests)) {
        roles.entry(place).or_default().push((user, role, guest));
    }
    let projects = ids.into_iter().zip(names.into_iter().zip(slugs)).map(|(id, (name, slug))| Project {
        id,
        name,
        slug,
        members: together(&full, roles.get(&id).map_or(&[], Vec::as_slice), &people),
    });
    let projects = projects.collect();
    Ok(answer(&Organization { id: row.get(0), name: row.get(1), slug: row.get(2), projects }))
}

async fn serve() -> anyhow::Result<()> {
    let address = env::var("FLOOR_DATABASE").context("FLOOR_DATABASE is missing")?;
    let listen = env::var("FLOOR_LISTEN").context("FLOOR_LISTEN is missing")?;
    let size: usize = env::var("FLOOR_CONNECTIONS").unwrap_or_else(|_| "8".to_owned()).parse()?;
    let mut idle = Vec::with_capacity(size);
    for _ in 0..size {
        idle.push(Session::open(&address).await?);
    }
    let pool = Arc::new(Pool { idle: Mutex::new(idle), free: Semaphore::new(size) });
    let router = Router::new()
        .route("/readyz", axum::routing::get(async || "ready\n"))
        .route("/{workload}", post(handle))
        .with_state(pool);
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let listener = listener.tap_io(|stream| {
        // Without it answers would wait for the client's acknowledgements.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

/// Runs files of SQL; every statement on its own, because VACUUM insists. A line of `--;` ends a statement.
async fn load(files: &[String]) -> anyhow::Result<()> {
    let address = env::var("FLOOR_DATABASE").context("FLOOR_DATABASE is missing")?;
    let (client, connection) = tokio_postgres::connect(&address, NoTls).await?;
    tokio::spawn(connection);
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.clone())?;
        for statement in text.split("\n--;\n").filter(|statement| !statement.trim().is_empty()) {
            for message in client.simple_query(statement).await.with_context(|| statement.to_owned())? {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                    let cells: Vec<_> = (0..row.len()).map(|at| row.get(at).unwrap_or("")).collect();
                    println!("{}", cells.join("\t"));
                }
            }
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first() {
        Some((word, [])) if word == "serve" => serve().await,
        Some((word, [jobs, callers, workers])) if word == "queue" => {
            queue::run(jobs.parse()?, callers.parse()?, workers.parse()?).await
        }
        Some((word, files)) if word == "sql" && !files.is_empty() => load(files).await,
        _ => {
            ensure!(false, "usage: aicos-bench serve | sql FILE… | queue JOBS CALLERS WORKERS");
            Ok(())
        }
    }
}
