//! People at the doorway itself, without GraphQL in between; and ways to disturb them.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use aicos::access::{Credential, Scope};
use aicos::db::{Db, Facts, Hot};
use aicos::id::{SessionId, UserId};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Executor as _, Row as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::Server;

/// What a test's requests say of themselves.
pub fn facts() -> Facts {
    Facts { request_id: "test".to_owned(), ..Facts::default() }
}

/// Somebody in one organization.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who they are.
    pub user: UserId,
    /// Their session.
    pub session: SessionId,
    /// What opens the doorway for them.
    pub scope: Arc<Scope>,
}

impl Visitor {
    /// The person of an access token, in the organization that it is for.
    pub async fn of(server: &Server, token: &str) -> Self {
        let identity = &server.app.identity;
        let caller = identity.recognise_token(token).unwrap();
        let organization = caller.organization.unwrap();
        let lease = server.app.db.lease(facts());
        let (scope, _) = identity.scope(&lease, &caller, None, organization, true).await.unwrap();
        let Credential::Session { user, session } = caller.credential else { panic!("not a session") };
        Self { user, session, scope }
    }

    /// The key's scope; user and session are those of `self`, its maker.
    pub async fn key(&self, server: &Server, secret: &str) -> Arc<Scope> {
        let identity = &server.app.identity;
        let lease = server.app.db.lease(facts());
        let (caller, hash) = identity.recognise_key(&lease, secret).await.unwrap();
        let organization = self.scope.organization();
        identity.scope(&lease, &caller, Some(hash), organization, true).await.unwrap().0
    }
}

/// A hot query by its name.
pub fn hot(name: &str) -> &'static Hot {
    aicos::app::HOT_QUERIES.iter().find(|hot| hot.name == name).unwrap()
}

/// A future that is given up after so many polls; none comes out of it then.
pub struct Cut<F> {
    future: Pin<Box<F>>,
    polls: usize,
}

/// Gives a future up after so many polls.
pub fn cut<F: Future>(polls: usize, future: F) -> Cut<F> {
    Cut { future: Box::pin(future), polls }
}

impl<F: Future> Future for Cut<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

static LINES: AtomicUsize = AtomicUsize::new(0);

/// A folder for the end of a line, in the run's own, which goes when the run ends.
pub fn line_folder() -> PathBuf {
    let line = format!("line-{}", LINES.fetch_add(1, Ordering::Relaxed));
    let folder = super::environment().data_dir.join(line);
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// The same database behind a line that passes a few bytes at a time, so that a future can be given up in the middle of
/// any message. It lasts as long as the test's runtime.
pub fn slow_line(options: &PgConnectOptions, bytes: usize) -> PgConnectOptions {
    line(options, move |_| Some(bytes))
}

/// The same database behind a line that says of each connection how many bytes of an answer it passes at a time; one of
/// which it says nothing is taken, and hears nothing. It lasts as long as the test's runtime.
pub fn line(
    options: &PgConnectOptions,
    bytes: impl Fn(usize) -> Option<usize> + Send + 'static,
) -> PgConnectOptions {
    let name = format!(".s.PGSQL.{}", options.get_port());
    let real = options.get_socket().unwrap().join(&name);
    let folder = line_folder();
    let listener = UnixListener::bind(folder.join(&name)).unwrap();
    tokio::spawn(async move {
        let mut deaf = Vec::new();
        for place in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let Some(bytes) = bytes(place) else {
                deaf.push(client);
                continue;
            };
            let server = UnixStream::connect(&real).await.unwrap();
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = server.into_split();
            tokio::spawn(pass(client_in, server_out, 65536));
            tokio::spawn(pass(server_in, client_out, bytes));
        }
    });
    options.clone().socket(folder)
}

async fn pass(
    mut from: tokio::net::unix::OwnedReadHalf,
    mut to: tokio::net::unix::OwnedWriteHalf,
    bytes: usize,
) {
    let mut buffer = vec![0; 65536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        for piece in buffer[..read].chunks(bytes) {
            if to.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Numbers that look random, and are the same in every run of a test when it makes them from the same seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice with a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// How many backends of the serving role sit in a transaction and wait, in this database.
pub async fn idle_in_transaction(superuser: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity
         where datname = current_database() and usename = 'aicos_app' and state like 'idle in transaction%'",
    )
    .fetch_one(superuser)
    .await
    .unwrap()
}

/// What the next user of a pool finds: no setting of anybody's, no open transaction, no row.
pub async fn assert_clean(db: &Db, after: &str) {
    let lease = db.lease(facts());
    let mut tx = lease.anonymous().await.unwrap_or_else(|error| panic!("{after}: {error}"));
    // As one simple statement: outside of a transaction it began when its transaction did.
    let sql = "select concat_ws('|', current_setting('app.organization', true), current_setting('app.user', true),
            current_setting('app.project', true), current_setting('transaction_read_only'),
            transaction_timestamp() = statement_timestamp(),
            (select count(*) from projects) + (select count(*) from users) + (select count(*) from sessions))";
    let row =
        tx.conn().fetch_one(sqlx::raw_sql(sql)).await.unwrap_or_else(|error| panic!("{after}: {error}"));
    let found: String = row.get(0);
    // A setting that was never made on this connection is missing, one that has been is empty.
    let found = found.trim_start_matches('|');
    assert_eq!(found, "off|t|0", "left by: {after}");
}
