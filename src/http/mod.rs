//! The HTTP surface: addresses, and how connections are served and drained.

mod assets;
mod door;
pub mod gate;
pub mod graphql;
pub mod limiter;
pub mod live;
mod metrics;
mod page;
pub mod proxies;
pub mod request_id;
pub mod turns;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;

pub use self::door::Door;
pub use self::metrics::Readers;
pub use self::proxies::Proxies;
pub use self::request_id::RequestId;
use crate::db::Db;
use crate::graphql::{Mutation, Query, Subscription};
use crate::identity::Identity;
use crate::storage::Storage;
use crate::telemetry::metrics::Route;

/// The handler of `/graphql`.
pub type Endpoint = graphql::Endpoint<gate::Entrance, Query, Mutation, Subscription>;

/// That the server shuts down, as everybody needs to know who stays for long. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    sockets: TaskTracker,
}

impl Drain {
    /// Waits until shutting down begins.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// Holds the end back until what this stands for has said goodbye.
    pub fn stay(&self) -> TaskTrackerToken {
        self.sockets.token()
    }

    fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    fn begin(&self) {
        self.begun.cancel();
        self.sockets.close();
    }
}

/// What the other addresses need.
#[derive(Clone)]
struct Health {
    db: Db,
    identity: Arc<Identity>,
    drain: Drain,
}

/// What is at `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Nothing.
    None,
    /// The playground.
    Playground,
    /// Why there is no playground: only documents of the manifest are served, and it has none.
    Closed,
}

/// What is switched on.
#[derive(Debug, Clone)]
pub struct Surface {
    /// What is at `/`.
    pub page: Page,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Whether people reach the server by `https:` only.
    pub encrypted: bool,
    /// Who may read `/metrics`.
    pub readers: Readers,
}

/// The addresses, and what stands before them.
pub fn router(
    endpoint: Endpoint,
    db: Db,
    identity: Arc<Identity>,
    surface: &Surface,
    drain: Drain,
    storage: Arc<Storage>,
) -> (Router, Door) {
    let door = Door::new(endpoint.turns(), surface.encrypted);
    let router = probes(db, identity, surface.readers.clone(), drain);
    let router = match surface.page {
        Page::None => router,
        Page::Playground => router.route("/", get(page::index)).route("/playground/{file}", get(page::file)),
        Page::Closed => router.route("/", get(page_closed)),
    };
    let mut api = Router::new()
        .route("/graphql/stream", endpoint.clone().into_stream_route())
        .route("/graphql", endpoint.into_route());
    if !surface.cors_origins.is_empty() {
        api = api.layer(cors(&surface.cors_origins));
    }
    let router = router
        .merge(api)
        .layer(CompressionLayer::new())
        // Not compressed: a part of a file is a part of the file.
        .merge(assets::router(storage))
        .fallback(nothing_here)
        .layer(map_response_with_state(
            surface.encrypted,
            |State(encrypted), mut response: Response| async move {
                protect(encrypted, response.headers_mut());
                response
            },
        ));
    (router, door)
}

/// Adds to every answer what keeps a browser from doing more with it than it is meant for. An answer's own headers stay:
/// the page has a policy that lets it run.
fn protect(encrypted: bool, headers: &mut HeaderMap) {
    const HEADERS: [(HeaderName, &str); 6] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    // A browser told once would not speak `http:` to this host for a year.
    const ENCRYPTED: HeaderValue = HeaderValue::from_static("max-age=31536000");
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if encrypted {
        headers.insert(STRICT_TRANSPORT_SECURITY, ENCRYPTED);
    }
}

/// The addresses of a worker, which serves nobody.
pub fn worker_router(db: Db, identity: Arc<Identity>, readers: Readers, drain: Drain) -> Router {
    probes(db, identity, readers, drain).fallback(nothing_here)
}

/// What is asked of every process.
fn probes(db: Db, identity: Arc<Identity>, readers: Readers, drain: Drain) -> Router {
    let figures = metrics::Figures { db: db.clone(), identity: Arc::clone(&identity), readers };
    let figures = Router::new().route("/metrics", get(metrics::show)).with_state(figures);
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(Health { db, identity, drain })
        .merge(figures)
}

fn cors(origins: &[String]) -> CorsLayer {
    let header = |name: &'static str| HeaderName::from_static(name);
    CorsLayer::new()
        .allow_origin(
            origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect::<Vec<_>>(),
        )
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            CONTENT_TYPE,
            header("accept"),
            header("authorization"),
            header("x-api-key"),
            header("x-organization"),
            header("x-project"),
            header("x-request-id"),
            header("x-cost"),
        ])
        .expose_headers([
            header("x-request-id"),
            header("ratelimit"),
            header("ratelimit-policy"),
            RETRY_AFTER,
            ALLOW,
        ])
        .max_age(Duration::from_hours(1))
}

async fn nothing_here() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "There is nothing at this address. The API is at /graphql.\n")
}

async fn page_closed() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "This server runs only the documents of its manifest (AICOS_TRUSTED_DOCUMENTS=enforce), so the page, which asks \
         what is typed there, is left out. Start a server with AICOS_TRUSTED_DOCUMENTS=off to use it.\n",
    )
}

/// The process lives; no database is asked.
async fn livez() -> &'static str {
    "ok\n"
}

/// Requests can be served: the database answers with this binary's schema, and the server is not shutting down.
async fn readyz(State(health): State<Health>) -> Response {
    if health.drain.is_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "reason": "shutting down"})))
            .into_response();
    }
    match health.db.ready().await {
        Ok(()) => Json(json!({"ready": true})).into_response(),
        Err(error) => {
            tracing::warn!("not ready: {error}");
            let reason = "the database does not answer, or has another schema";
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "reason": reason}))).into_response()
        }
    }
}

/// The public keys that access tokens are verified with.
async fn jwks(State(health): State<Health>) -> impl IntoResponse {
    ([("cache-control", "public, max-age=300")], Json(health.identity.jwks()))
}

/// How long accepted requests may take when the server shuts down.
const DRAIN: Duration = Duration::from_secs(30);
/// How long sockets may take to close.
const GOODBYE: Duration = Duration::from_secs(3);

/// How long a connection is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a client may take to send a head, and to ask for something at all.
    pub head: Duration,
    /// How long a client may leave what was sent to it unread.
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), unread: Duration::from_secs(30) }
    }
}

/// Bytes of a request's head; larger ones are answered 431.
const HEAD_BYTES: usize = 32 * 1024;

/// Serves until `stop` completes, then lets accepted requests finish. A worker has no door: it serves nobody.
///
/// # Errors
/// When a connection cannot be accepted for a lasting reason.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    door: Option<Door>,
    drain: Drain,
    patience: Patience,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(100)
        .keep_alive_interval(Duration::from_secs(30));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, for example: others are being served and will give some back.
                    tracing::warn!("a connection was not accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // Answers are small and awaited: never hold one back to fill a packet.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("no delay could not be set: {error}");
        }
        let (router, door) = (router.clone(), door.clone());
        let spoken = CancellationToken::new();
        let heard = spoken.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            if !heard.is_cancelled() {
                heard.cancel();
            }
            let route = Route::of(request.uri().path());
            let sent_away = door.as_ref().and_then(|door| door.send_away(&request));
            let router = router.clone();
            watch::counted(route, async move {
                if let Some(answer) = sent_away {
                    return Ok(answer);
                }
                let mut request: Request = request.map(axum::body::Body::new);
                request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
                router.oneshot(request).await
            })
        });
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(patience.unread));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = builder.serve_connection_with_upgrades(stream, service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // hyper's own timer starts with the first bytes, so that whoever sends none, or half the preface of HTTP/2,
            // would stay for ever.
            let silence = async {
                tokio::time::sleep(patience.head).await;
                if spoken.is_cancelled() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                served = connection => {
                    if let Err(error) = served {
                        tracing::debug!("a connection ended: {error}");
                    }
                }
                () = silence => tracing::debug!("a connection was closed: it asked for nothing"),
            }
        });
    }
    drain.begin();
    drop(listener);
    // Sockets left the connections that they began as: they are told by themselves, and say goodbye in a second or two.
    let sockets = tokio::time::timeout(GOODBYE, drain.sockets.wait());
    let (closed, finished) = tokio::join!(sockets, tokio::time::timeout(DRAIN, graceful.shutdown()));
    if closed.is_err() {
        tracing::warn!("some sockets did not close");
    }
    if finished.is_err() {
        tracing::warn!("some requests did not finish within {} seconds", DRAIN.as_secs());
    }
    Ok(())
}
