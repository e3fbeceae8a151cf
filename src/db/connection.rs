//! One pooled connection, and the promise that it goes back clean or not at all.

use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection as _, Executor as _};
use tracing::log::LevelFilter;

use crate::error::{Error, Result};

/// Opens connections of the serving role.
///
/// A pool of our choosing rather than sqlx's own, because that one pings on every release, a round trip that the hot
/// path would pay; a broken connection is found by the statement that meets it, and closed.
#[derive(Debug)]
pub(super) struct Connections {
    options: PgConnectOptions,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, statement_timeout: Duration) -> Self {
        let options = options.application_name("aicos").options([
            ("statement_timeout", statement_timeout.as_millis().to_string()),
            ("lock_timeout", "5000".to_owned()),
            // Longer than any request lasts: only a bug leaves a transaction idle that long.
            ("idle_in_transaction_session_timeout", "60000".to_owned()),
        ]);
        Self { options: quiet(options) }
    }
}

/// Statements are not logged: what stands in them is nobody's to read there.
pub(super) fn quiet(options: PgConnectOptions) -> PgConnectOptions {
    options.log_statements(LevelFilter::Off).log_slow_statements(LevelFilter::Off, Duration::ZERO)
}

/// What the pool keeps: a connection, and whether it has failed.
#[derive(Debug)]
pub(super) struct Pooled {
    connection: PgConnection,
    broken: bool,
}

impl Manager for Connections {
    type Type = Pooled;
    type Error = sqlx::Error;

    async fn create(&self) -> std::result::Result<Pooled, sqlx::Error> {
        Ok(Pooled { connection: PgConnection::connect_with(&self.options).await?, broken: false })
    }

    async fn recycle(&self, pooled: &mut Pooled, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if pooled.broken { Err(RecycleError::message("the connection has failed")) } else { Ok(()) }
    }
}

/// A connection on loan. Dropped inside a transaction, it is rolled back before anybody else gets it; when that does
/// not work within two seconds it is closed.
#[derive(Debug)]
pub(super) struct Connection {
    object: Option<Object<Connections>>,
    /// Set before a transaction may have begun, cleared after it has ended for certain.
    pub(super) dirty: bool,
}

/// Takes a connection from the pool.
pub(super) async fn take(pool: &Pool<Connections>) -> Result<Connection> {
    // Whatever keeps a connection from being opened, it is not the request's fault: later it may work.
    let object = pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => Error::unavailable(error),
        other => Error::unavailable(anyhow::anyhow!("no database connection: {other}")),
    })?;
    Ok(Connection { object: Some(object), dirty: false })
}

impl Connection {
    /// The connection itself, for this room only.
    ///
    /// # Panics
    /// Never: the object is there until the connection is dropped.
    #[expect(clippy::expect_used, reason = "the object leaves only in drop")]
    pub(super) fn raw(&mut self) -> &mut PgConnection {
        &mut self.object.as_mut().expect("a connection on loan").connection
    }

    /// Marks it as not to be used again.
    pub(super) fn fail(&mut self) {
        if let Some(object) = self.object.as_mut() {
            object.broken = true;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut object) = self.object.take() else { return };
        if !self.dirty {
            return;
        }
        // Out of a runtime nothing can be rolled back: close it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            drop(Object::take(object));
            return;
        };
        runtime.spawn(async move {
            // sqlx first reads what is still to come of an interrupted statement.
            let rollback = object.connection.execute("ROLLBACK");
            match tokio::time::timeout(Duration::from_secs(2), rollback).await {
                Ok(Ok(_)) => {}
                _ => drop(Object::take(object)),
            }
        });
    }
}
