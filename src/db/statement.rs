//! Statements, each watched while it runs: a database that has stopped answering keeps nobody waiting for ever.
//!
//! PostgreSQL itself ends a statement that takes too long, as long as it lives. Frozen, or behind a line that is dead, it
//! ends nothing. So whoever has waited a second begins to doubt, and asks the database for a sign of life on a new
//! connection, again and again. Without one, or after more time than the server would take to give up, the statement
//! fails, and its connection with it.

use std::io::{Error as IoError, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgDatabaseError, PgQueryResult, PgRow, PgSeverity, PgStatement, PgTypeInfo, Postgres};
use sqlx::{Describe, Either, Execute, Executor, SqlStr};
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Connection, Health, Parts};

/// How long a statement runs before its database is doubted.
const DOUBT: Duration = Duration::from_secs(1);

type Step = sqlx::Result<Either<PgQueryResult, PgRow>>;

/// Where statements run: a connection that notices what becomes of each.
#[derive(Debug)]
pub struct Statements<'c> {
    connection: &'c mut Connection,
}

impl<'c> Statements<'c> {
    pub(super) const fn on(connection: &'c mut Connection) -> Self {
        Self { connection }
    }

    /// The same, whose next statement stands in traces under a name of its own.
    pub(super) fn named(self, name: &'static str) -> Self {
        self.connection.parts().connection.named(name);
        self
    }
}

/// A statement that runs.
struct Running<'e> {
    /// None once the connection has failed.
    steps: Option<BoxStream<'e, Step>>,
    health: &'e Health,
    busy: &'e mut bool,
    broken: &'e mut bool,
    /// Made when it is first waited for.
    patience: Option<BoxFuture<'e, ()>>,
}

impl Running<'_> {
    fn fail(&mut self) {
        self.steps = None;
        *self.broken = true;
        self.health.distrust();
    }
}

/// Completes when waiting for a statement that begins now makes no sense any longer.
async fn patience(health: &Health) {
    let end = Instant::now() + health.ceiling;
    while Instant::now() + DOUBT < end {
        sleep(DOUBT).await;
        if !health.answers(DOUBT).await {
            return;
        }
    }
    sleep_until(end).await;
}

/// Whether the connection is gone, and not only the statement wrong.
fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

impl Stream for Running<'_> {
    type Item = Step;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Step>> {
        let this = &mut *self;
        let Some(steps) = &mut this.steps else { return Poll::Ready(None) };
        if let Poll::Ready(step) = steps.poll_next_unpin(context) {
            match &step {
                Some(Err(error)) if is_gone(error) => this.fail(),
                // Refused by the database, it has ended as well.
                None | Some(Err(sqlx::Error::Database(_))) => *this.busy = false,
                Some(_) => {}
            }
            return Poll::Ready(step);
        }
        let health = this.health;
        let patience = this.patience.get_or_insert_with(|| Box::pin(patience(health)));
        ready!(patience.as_mut().poll(context));
        this.fail();
        let silence = IoError::new(ErrorKind::TimedOut, "the database does not answer");
        Poll::Ready(Some(Err(sqlx::Error::Io(silence))))
    }
}

impl<'c> Executor<'c> for Statements<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Parts { connection, health, busy, broken } = self.connection.parts();
        *busy = true;
        let steps = Some(connection.fetch_many(query));
        Running { steps, health, busy, broken, patience: None }.boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let mut steps = self.fetch_many(query);
        Box::pin(async move {
            let mut first = None;
            // To its end: a constraint that is deferred is checked after the row.
            while let Some(step) = steps.try_next().await? {
                if let Either::Right(row) = step {
                    first.get_or_insert(row);
                }
            }
            Ok(first)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.connection.parts().connection.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.connection.parts().connection.describe(sql)
    }
}
