//! A server on a database of its own, and people to use it.

pub mod cast;
pub mod collector;
pub mod files;
pub mod fixture;
pub mod fragile;
pub mod graph;
pub mod process;
pub mod provider;
pub mod sdl;
pub mod socket;
pub mod studio;
pub mod visitor;
pub mod wire;
pub mod work;
pub mod world;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aicos::app::{App, Tuning};
use aicos::config::{Config, Settings};
use aicos::db::{PoolSettings, migrate};
use aicos::http::limiter::LimiterSettings;
use aicos::http::turns::TurnSettings;
use aicos::identity::credentials::{Cost, HashSettings};
use aicos::identity::throttle::ThrottleSettings;
use aicos::postgres::{Cluster, Options};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tower::ServiceExt as _;

/// The cluster of this run: one for all tests, each with a database of its own.
struct Environment {
    superuser: PgConnectOptions,
    owner: PgConnectOptions,
    serve: PgConnectOptions,
    data_dir: std::path::PathBuf,
    cluster: Cluster,
}

/// What is lost in a crash was only a test.
const CARELESS: [&str; 3] = ["fsync = off", "synchronous_commit = off", "full_page_writes = off"];

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);
const PASSWORD: &str = "only-for-tests";

fn environment() -> &'static Environment {
    ENVIRONMENT.get_or_init(|| start("test", &CARELESS))
}

/// Starts a cluster that lasts as long as this process.
fn start(name: &'static str, settings: &'static [&'static str]) -> Environment {
    // A runtime of its own: each test's ends with the test.
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let environment = runtime.block_on(start_cluster(name, settings));
        // Kept: the cluster's tasks live on it.
        std::mem::forget(runtime);
        environment
    })
    .join()
    .unwrap()
}

async fn start_cluster(name: &str, settings: &[&str]) -> Environment {
    let data_dir = std::env::temp_dir().join(format!("aicos-{name}-{}", std::process::id()));
    let options = Options {
        data_dir: data_dir.clone(),
        bin_dir: std::env::var_os("AICOS_POSTGRES_BIN").map(Into::into),
        progress: std::sync::Arc::new(|_: &str| {}),
    };
    let cluster = Cluster::start(options).await.unwrap();
    let base = PgConnectOptions::new_without_pgpass().socket(cluster.socket_dir()).port(cluster.port());
    let superuser = base.clone().username(cluster.superuser()).password(cluster.superuser_password());
    let mut connection = superuser.clone().database("postgres").connect().await.unwrap();
    for setting in settings {
        connection.execute(AssertSqlSafe(format!("alter system set {setting}"))).await.unwrap();
    }
    connection.execute("select pg_reload_conf()").await.unwrap();
    connection.execute(migrate::ROLES_SQL).await.unwrap();
    let roles = [
        (cluster.superuser(), cluster.superuser_password()),
        ("aicos_owner", PASSWORD),
        ("aicos_app", PASSWORD),
    ];
    for (role, password) in roles {
        let sql = format!("alter role {role} password '{}'", scram_of_one_round(password));
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    connection.execute("create database template_aicos owner aicos_owner").await.unwrap();
    let owner = base.clone().username("aicos_owner").password(PASSWORD);
    let serve = base.username("aicos_app").password(PASSWORD);
    aicos::app::migrate(&owner.clone().database("template_aicos"), &|_| {}).await.unwrap();
    stop_with_this_process(&cluster, &data_dir);
    Environment { superuser, owner, serve, data_dir, cluster }
}

/// A password as PostgreSQL keeps it (RFC 5803), with one round instead of 4,096: the thousands of connections of the tests took a
/// tenth of their time for these, unoptimised as they are.
fn scram_of_one_round(password: &str) -> String {
    let mac = |key: &[u8], message: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes()
    };
    let salt = b"a salt of tests.";
    let salted = mac(password.as_bytes(), &[salt.as_slice(), &[0, 0, 0, 1]].concat());
    let stored = Sha256::digest(mac(&salted, b"Client Key"));
    let server = mac(&salted, b"Server Key");
    let [salt, stored, server] = [salt.as_slice(), &stored, &server].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256$1:{salt}${stored}:{server}")
}

/// The test binary exits without dropping anything, so a watcher stops the cluster and removes its folder.
#[expect(clippy::zombie_processes, reason = "the watcher outlives this process")]
fn stop_with_this_process(cluster: &Cluster, data_dir: &std::path::Path) {
    let script = format!(
        "while kill -0 {pid} 2>/dev/null; do sleep 0.2; done; kill -QUIT $(head -1 '{data}/pg/postmaster.pid'); sleep 1; rm -rf '{data}'",
        pid = std::process::id(),
        data = data_dir.display(),
    );
    let _ = cluster.version();
    std::process::Command::new("sh")
        .args(["-c", &script])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
}

/// A database of its own, made from the template.
pub struct Database {
    /// Its name.
    pub name: String,
    /// The serving role's connection.
    pub serve: PgConnectOptions,
    /// The owner's connection.
    pub owner: PgConnectOptions,
    /// The superuser's connection: for looking, and for breaking things on purpose.
    pub superuser: PgConnectOptions,
}

impl Database {
    /// A fresh one with the schema and nothing in it.
    pub async fn fresh() -> Self {
        Self::in_cluster(environment()).await
    }

    async fn in_cluster(environment: &Environment) -> Self {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut connection = environment.superuser.clone().database("postgres").connect().await.unwrap();
        connection
            .execute(AssertSqlSafe(format!(
                "create database {name} template template_aicos owner aicos_owner"
            )))
            .await
            .unwrap();
        connection.close().await.unwrap();
        Self {
            serve: environment.serve.clone().database(&name),
            owner: environment.owner.clone().database(&name),
            superuser: environment.superuser.clone().database(&name),
            name,
        }
    }

    /// The serving role's connection as an address.
    pub fn serve_url(&self) -> String {
        let socket = self.serve.get_socket().map(|path| path.display().to_string()).unwrap_or_default();
        format!("postgres://aicos_app:{PASSWORD}@localhost/{}?host={socket}", self.name)
    }

    /// A connection that sees everything.
    pub async fn superuser(&self) -> PgConnection {
        self.superuser.connect().await.unwrap()
    }

    /// A connection of the serving role, outside of any doorway.
    pub async fn serving(&self) -> PgConnection {
        self.serve.connect().await.unwrap()
    }
}

/// Cheap hashing, and limits that no ordinary test meets.
pub fn tuning() -> Tuning {
    let many = 1_000_000_000;
    Tuning {
        hashing: HashSettings { cost: Cost::CHEAP, parallel: 4, waiting: 10_000 },
        throttle: ThrottleSettings { per_account_and_address: many, per_account: many, per_address: many },
        limiter: LimiterSettings { credential_points: many, address_points: many },
        pool: PoolSettings::default(),
        // A thousand at once, on two cores and unoptimised, all get their turn.
        turns: TurnSettings {
            waiting: 100_000,
            patience: Duration::from_secs(60),
            ..TurnSettings::default()
        },
        reader: Some(env!("CARGO_BIN_EXE_aicos").into()),
        ..Tuning::default()
    }
}

/// The settings of a test's server.
pub fn config() -> Config {
    let settings = Settings {
        data_dir: Some(environment().data_dir.join("server")),
        public_url: Some("http://localhost:8000".parse().unwrap()),
        database_connections: Some(8),
        // No test calls the real one.
        instagram_base_url: Some("https://graph.invalid/v24.0".to_owned()),
        ..Settings::default()
    };
    std::fs::create_dir_all(environment().data_dir.join("server")).unwrap();
    settings.check().unwrap()
}

/// A server, called in process.
pub struct Server {
    /// Its database.
    pub database: Arc<Database>,
    /// What serves.
    pub app: App,
}

impl Server {
    /// A server with the usual settings on a fresh database.
    pub async fn start() -> Self {
        Box::pin(Self::with(config(), tuning())).await
    }

    /// A server with other settings.
    pub async fn with(config: Config, tuning: Tuning) -> Self {
        Self::on(Arc::new(Database::fresh().await), config, tuning).await
    }

    /// A server on a database that is there.
    pub async fn at(database: Database, tuning: Tuning) -> Self {
        Self::on(Arc::new(database), config(), tuning).await
    }

    /// A second server on the same database, with caches of its own: what a second replica is.
    pub async fn replica(&self) -> Self {
        Self::on(Arc::clone(&self.database), config(), tuning()).await
    }

    /// The same with other settings.
    pub async fn replica_with(&self, config: Config) -> Self {
        Self::on(Arc::clone(&self.database), config, tuning()).await
    }

    /// A server on a database that is there already.
    pub async fn on(database: Arc<Database>, config: Config, tuning: Tuning) -> Self {
        let app = Box::pin(App::start(&config, database.serve.clone(), tuning)).await.unwrap();
        Self { database, app }
    }

    /// Changes what is stored, as nobody but a superuser can.
    pub async fn tamper(&self, sql: &'static str) -> u64 {
        self.database.superuser().await.execute(sql).await.unwrap().rows_affected()
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Client<'_> {
        Client { server: self, headers: HeaderMap::new(), address: None }
    }

    /// Somebody with an access token.
    pub fn bearer(&self, token: &str) -> Client<'_> {
        self.anonymous().header("authorization", &format!("Bearer {token}"))
    }

    /// A program with an API key.
    pub fn key(&self, secret: &str) -> Client<'_> {
        self.anonymous().header("x-api-key", secret)
    }

    /// Asks for an event stream, and leaves after the first answer.
    pub async fn first(&self, request: Request<Body>) -> Answer {
        let response = self.respond(request).await;
        let (status, mut body, mut text) = (response.status(), response.into_body(), String::new());
        let answer = async {
            loop {
                if let Some((_, rest)) = text.split_once("data: ")
                    && let Some((data, _)) = rest.split_once("\n\n")
                {
                    return serde_json::from_str(data).unwrap();
                }
                match body.frame().await {
                    Some(frame) => text += std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap(),
                    None => return serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}")),
                }
            }
        };
        let body = tokio::time::timeout(std::time::Duration::from_secs(10), answer).await.unwrap();
        Answer { status, body }
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let (parts, body) = self.respond(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, bytes.to_vec())
    }

    /// Sends any request; the body is read by whoever asks.
    pub async fn respond(&self, mut request: Request<Body>) -> Response<Body> {
        if request.extensions().get::<ConnectInfo<SocketAddr>>().is_none() {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 7], 50_000))));
        }
        // A task of its own, as on a server: the stack of a test's thread is no place for a whole request.
        tokio::spawn(self.app.router.clone().oneshot(request)).await.unwrap().unwrap()
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub struct Client<'a> {
    server: &'a Server,
    headers: HeaderMap,
    address: Option<SocketAddr>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
}

impl Client<'_> {
    /// The same caller with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// The same caller from another address.
    pub fn from(mut self, ip: &str) -> Self {
        self.address = Some(SocketAddr::new(ip.parse().unwrap(), 50_000));
        self
    }

    /// Sends a document with variables. Of a subscription the first answer is waited for.
    pub async fn send(&self, query: &str, variables: Value) -> Answer {
        let body = json!({"query": query, "variables": variables}).to_string();
        let is_live = query.starts_with("subscription");
        let address = if is_live { "/graphql/stream" } else { "/graphql" };
        let mut request = Request::post(address).header("content-type", "application/json");
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
        }
        if let (Some(extensions), Some(address)) = (request.extensions_mut(), self.address) {
            extensions.insert(ConnectInfo(address));
        }
        let request = request.body(Body::from(body)).unwrap();
        if is_live {
            return self.server.first(request).await;
        }
        let (status, _, bytes) = self.server.send(request).await;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| panic!("not JSON: {status} {}", String::from_utf8_lossy(&bytes)));
        Answer { status, body }
    }

    /// Sends a document, and expects data without errors.
    pub async fn ok(&self, query: &str, variables: Value) -> Value {
        let answer = self.send(query, variables).await;
        assert!(answer.body.get("errors").is_none(), "{query}\n{:#}", answer.body);
        answer.body["data"].clone()
    }

    /// Sends a mutation with one root field and one input, and expects its payload without `userErrors`.
    /// `selection` is what is read of the payload.
    pub async fn mutate(&self, field: &str, input: Value, selection: &str) -> Value {
        let payload = self.try_mutate(field, input, selection).await;
        assert_eq!(payload["userErrors"], json!([]), "{field}: {payload:#}");
        payload
    }

    /// The same, with `userErrors` as they come.
    pub async fn try_mutate(&self, field: &str, input: Value, selection: &str) -> Value {
        let document = mutation(field, selection);
        self.ok(&document, json!({"input": input})).await[field].clone()
    }

    /// The code of the first of the payload's `userErrors`.
    pub async fn fault(&self, field: &str, input: Value) -> String {
        let payload = self.try_mutate(field, input, "").await;
        payload["userErrors"][0]["code"].as_str().unwrap_or_else(|| panic!("{field}: {payload:#}")).to_owned()
    }

    /// Sends a document, and tells the status and the head of the answer.
    pub async fn head(&self, query: &str) -> (StatusCode, HeaderMap) {
        let mut request = Request::post("/graphql").header("content-type", "application/json");
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
        }
        if let (Some(extensions), Some(address)) = (request.extensions_mut(), self.address) {
            extensions.insert(ConnectInfo(address));
        }
        let body = Body::from(json!({"query": query}).to_string());
        let (status, headers, _) = self.server.send(request.body(body).unwrap()).await;
        (status, headers)
    }

    /// The code of the first top-level error.
    pub async fn refusal(&self, query: &str, variables: Value) -> String {
        let answer = self.send(query, variables).await;
        answer.code().unwrap_or_else(|| panic!("not refused: {:#}", answer.body)).to_owned()
    }
}

impl Answer {
    /// The code of the first top-level error.
    pub fn code(&self) -> Option<&str> {
        self.body["errors"][0]["extensions"]["code"].as_str()
    }
}

/// A mutation's document: its one root field, its input as a variable, and `userErrors` always.
pub fn mutation(field: &str, selection: &str) -> String {
    let mut type_name = field.to_owned();
    type_name[..1].make_ascii_uppercase();
    format!(
        "mutation($input: {type_name}Input!) {{ {field}(input: $input) {{ {selection} userErrors {{ __typename code message field }} }} }}"
    )
}
