//! One pooled connection, and the promise that it goes back clean or not at all.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType,
};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection as _, Executor as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::Instrument as _;
use tracing::log::LevelFilter;

use super::PoolSettings;
use super::conn::Conn;
use super::statement::Statements;
use crate::error::{Error, Result};
use crate::telemetry::metrics::Missing;
use crate::telemetry::{count, trace};

/// How long the database may take to give a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_millis(1_500);
/// A connection that nobody has taken for this long is asked for a sign of life first: it may have been closed. PostgreSQL
/// takes longer to start again, so that what is lost while nobody asks is found out before anybody does.
const RESTED: Duration = Duration::from_millis(100);
/// How long what is left on a connection may take to end before the connection is closed.
const SETTLE: Duration = Duration::from_millis(500);
/// How often the server looks, while it runs a statement, whether somebody still waits for it. Milliseconds.
const LOOK_FOR_CLIENT: &str = "select set_config('client_connection_check_interval', '500', false)";

/// What is known of the database, beside what each connection knows.
#[derive(Debug)]
pub(super) struct Health {
    options: PgConnectOptions,
    /// How long a request waits for a connection that works.
    wait: Duration,
    /// How long one statement may take, as seen from here.
    pub(super) ceiling: Duration,
    /// Connections that were open at this moment may have gone with the one that failed then.
    distrusted: Mutex<Option<Instant>>,
    /// When the database was last asked for a sign of life, and whether it gave one.
    asked: tokio::sync::Mutex<Option<(Instant, bool)>>,
    /// Told whenever a connection comes back or is given up.
    returned: Notify,
}

impl Health {
    /// Has every connection that is open now replaced before somebody takes it.
    pub(super) fn distrust(&self) {
        *self.distrusted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Puts a connection back into the pool.
    fn give_back(&self, object: Object<Connections>) {
        drop(object);
        self.returned.notify_one();
    }

    /// Closes a connection, which leaves room for another.
    fn close(&self, object: Object<Connections>) {
        drop(Object::take(object));
        self.returned.notify_one();
    }

    fn distrusts(&self, made: Instant) -> bool {
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|moment| made <= moment)
    }

    /// Whether the database gives a sign of life to somebody new. An answer is good for `age`; whoever asks meanwhile
    /// waits for the same one.
    pub(super) async fn answers(&self, age: Duration) -> bool {
        let mut asked = self.asked.lock().await;
        if let Some((at, answered)) = *asked
            && at.elapsed() < age
        {
            return answered;
        }
        let answered = matches!(timeout(SIGN_OF_LIFE, knock(&self.options)).await, Ok(Ok(())));
        *asked = Some((Instant::now(), answered));
        answered
    }
}

/// Asks whether connections may be encrypted: the one question that PostgreSQL answers to anybody, at no cost, and also
/// when it is full.
async fn knock(options: &PgConnectOptions) -> std::io::Result<()> {
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    async fn ask(mut line: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        line.write_all(&REQUEST).await?;
        line.read_u8().await.map(drop)
    }
    let (host, port) = (options.get_host(), options.get_port());
    // As sqlx does: a host that is a folder holds the socket.
    let folder = options.get_socket().map(PathBuf::as_path);
    let folder = folder.or_else(|| host.starts_with('/').then(|| Path::new(host)));
    match folder {
        #[cfg(unix)]
        Some(folder) => ask(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?).await,
        _ => ask(TcpStream::connect((host, port)).await?).await,
    }
}

/// Opens connections of the serving role.
///
/// A pool of our choosing rather than sqlx's own, because that one pings on every release, a round trip that the hot
/// path would pay; a broken connection is found by the statement that meets it, and closed.
#[derive(Debug)]
pub(super) struct Connections {
    health: Arc<Health>,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, settings: &PoolSettings) -> Self {
        let options = options.application_name("aicos").options([
            ("statement_timeout", settings.statement_timeout.as_millis().to_string()),
            ("lock_timeout", "3000".to_owned()),
            // Longer than any request lasts: only a bug leaves a transaction idle that long.
            ("idle_in_transaction_session_timeout", "60000".to_owned()),
        ]);
        let health = Health {
            options: quiet(options),
            wait: settings.wait,
            // The server's own limit comes first while there is a server.
            ceiling: settings.statement_timeout + Duration::from_secs(2),
            distrusted: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
            returned: Notify::new(),
        };
        Self { health: Arc::new(health) }
    }
}

/// Statements are not logged: what stands in them is nobody's to read there.
pub(super) fn quiet(options: PgConnectOptions) -> PgConnectOptions {
    options.log_statements(LevelFilter::Off).log_slow_statements(LevelFilter::Off, Duration::ZERO)
}

impl Manager for Connections {
    type Type = Conn;
    type Error = sqlx::Error;

    async fn create(&self) -> std::result::Result<Conn, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.health.options).await?;
        match connection.execute(LOOK_FOR_CLIENT).await {
            // A server whose system cannot tell refuses the setting; the statement's own limit ends it then.
            Ok(_) | Err(sqlx::Error::Database(_)) => Ok(Conn::new(connection)),
            Err(error) => Err(error),
        }
    }

    async fn recycle(&self, connection: &mut Conn, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if self.health.distrusts(metrics.created) {
            return Err(RecycleError::message("others of its age have failed"));
        }
        if metrics.last_used() <= RESTED {
            return Ok(());
        }
        match timeout(SIGN_OF_LIFE / 2, connection.raw.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.health.distrust();
                Err(error.into())
            }
            // It may only be slow: no reason to give up all the others.
            Err(_) => Err(RecycleError::message("it gives no sign of life")),
        }
    }
}

/// A connection on loan. Dropped inside a transaction or a statement, it is brought to an end before anybody else gets
/// it; when that does not work at once it is closed, and the server then gives up what it was doing.
#[derive(Debug)]
pub(super) struct Connection {
    object: Option<Object<Connections>>,
    health: Arc<Health>,
    /// Set before a transaction may have begun, cleared after it has ended for certain.
    pub(super) dirty: bool,
    /// Whether a statement was sent whose end has not been seen.
    busy: bool,
    /// Whether it has failed: it is not used again.
    broken: bool,
}

/// The connection's parts, for a statement that is about to run on it.
pub(super) struct Parts<'c> {
    pub(super) connection: &'c mut Conn,
    pub(super) health: &'c Health,
    pub(super) busy: &'c mut bool,
    pub(super) broken: &'c mut bool,
}

/// Takes a connection that works from the pool, or opens one.
pub(super) async fn take(pool: &Pool<Connections>) -> Result<Connection> {
    let health = Arc::clone(&pool.manager().health);
    let asked = Instant::now();
    // Whatever keeps a connection from being had, it is not the request's fault: later it may work. On the heap, because
    // what opens one is large, and hardly ever needed.
    let got = timeout(health.wait, Box::pin(get(pool).instrument(trace::connection()))).await;
    count().connection_wait(asked);
    let object = got.unwrap_or(Err(PoolError::Timeout(TimeoutType::Wait))).map_err(|error| {
        count().missing(reason(&error));
        match error {
            PoolError::Backend(error) => Error::unavailable(error),
            other => Error::unavailable(anyhow::anyhow!("no database connection: {other}")),
        }
    })?;
    Ok(Connection { object: Some(object), health, dirty: false, busy: false, broken: false })
}

/// One that lies idle, or else whichever is free first: one that comes back, or one that is opened for this. Opening one
/// costs PostgreSQL a process: when many requests meet an empty pool, the first to be opened soon serve them all, while
/// the last are still on their way.
async fn get(pool: &Pool<Connections>) -> std::result::Result<Object<Connections>, PoolError<sqlx::Error>> {
    let status = pool.status();
    if status.available > 0 || status.size >= status.max_size {
        return pool.get().await;
    }
    let health = &pool.manager().health;
    // In a task of its own: when it takes longer than this request waits, the next one finds it.
    let opening = tokio::spawn({
        let (pool, health) = (pool.clone(), Arc::clone(health));
        async move { pool.get().await.map(|object| health.give_back(object)) }
    });
    let mut opening = pin!(opening);
    loop {
        let mut returned = pin!(health.returned.notified());
        // From here on nothing that comes back is missed.
        returned.as_mut().enable();
        if idle(pool) {
            return pool.get().await;
        }
        tokio::select! {
            biased;
            () = returned => {}
            opened = &mut opening => {
                opened.unwrap_or(Err(PoolError::Closed))?;
                return pool.get().await;
            }
        }
    }
}

/// Whether a connection lies idle. [`Pool::status`] does not tell: it takes off one for each that is being opened.
fn idle(pool: &Pool<Connections>) -> bool {
    pool.retain(|_, _| true).retained > 0
}

/// Why there was no connection.
const fn reason(error: &PoolError<sqlx::Error>) -> Missing {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => Missing::Exhausted,
        PoolError::Timeout(_) => Missing::Slow,
        PoolError::Backend(_) => Missing::Refused,
        _ => Missing::Closed,
    }
}

impl Connection {
    /// Where statements run.
    pub(super) const fn statements(&mut self) -> Statements<'_> {
        Statements::on(self)
    }

    /// Whether it has failed.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// The connection itself and what is known of it, for [`Statements`] only.
    ///
    /// # Panics
    /// Never: the object is there until the connection is dropped.
    #[expect(clippy::expect_used, reason = "the object leaves only in drop")]
    pub(super) fn parts(&mut self) -> Parts<'_> {
        let Self { object, health, busy, broken, .. } = self;
        let connection = &mut **object.as_mut().expect("a connection on loan");
        Parts { connection, health, busy, broken }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut object) = self.object.take() else { return };
        let health = Arc::clone(&self.health);
        if self.broken {
            health.close(object);
            return;
        }
        let dirty = self.dirty;
        if !dirty && !self.busy {
            health.give_back(object);
            return;
        }
        // Out of a runtime nothing can be brought to an end: close it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            health.close(object);
            return;
        };
        runtime.spawn(async move {
            // Both first read what is still to come of an interrupted statement.
            let settling = async {
                if dirty { object.raw.execute("ROLLBACK").await.map(drop) } else { object.raw.ping().await }
            };
            match timeout(SETTLE, settling).await {
                Ok(Ok(())) => health.give_back(object),
                _ => health.close(object),
            }
        });
    }
}
