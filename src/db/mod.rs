//! The only room that knows there is a pool of connections.
//!
//! Nothing here hands one out. What leaves this room is a [`Lease`], which a request holds, and the transactions that
//! it opens: each scoped to one organization or one person, authorised, and, when it writes, unable to commit without
//! its audit row.

#[macro_use]
mod keyset;
mod conn;
mod connection;
pub mod hot;
mod lease;
pub mod migrate;
mod notify;
pub mod page;
mod statement;
mod tx;

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Pool, QueueMode, Timeouts};
use sqlx::postgres::PgConnectOptions;

use connection::Connections;
pub use hot::{Call, Hot};
pub use lease::{Entry, Facts, Lease};
pub use notify::Notifications;
pub use statement::Statements;
pub use tx::{
    AnonymousTx, Change, Changes, PersonTx, ReadTx, Record, Redacted, SecurityEventKind, Target, WriteTx,
};

use crate::error::{Error, Result};
use crate::events::Events;
use crate::telemetry::metrics;

/// How long opening a connection may take, whoever waits for it.
const OPENING: Duration = Duration::from_secs(5);

/// How the pool behaves; every figure is a limit on how long somebody may wait.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Connections at the most.
    pub size: usize,
    /// How long a request waits for a connection before it is answered 503.
    pub wait: Duration,
    /// `statement_timeout` of every connection.
    pub statement_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { size: 16, wait: Duration::from_secs(2), statement_timeout: Duration::from_secs(10) }
    }
}

/// The database, as the serving role sees it.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Connections>,
    events: Events,
    notifications: Notifications,
    wait: Duration,
}

impl Db {
    /// Makes the pool; the first connection is opened by [`Db::check`] or by the first request.
    ///
    /// # Errors
    /// When the pool cannot be made.
    pub fn open(options: PgConnectOptions, settings: &PoolSettings) -> anyhow::Result<Self> {
        let notifications = Notifications::new(options.clone());
        let manager = Connections::new(options, settings);
        let timeouts = Timeouts { wait: Some(settings.wait), create: Some(OPENING), recycle: None };
        let pool = Pool::builder(manager)
            .max_size(settings.size)
            .timeouts(timeouts)
            // The one that was used last has its plans and what it read last in the processor's caches.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool, events: Events::local(), notifications, wait: settings.wait })
    }

    /// What has happened here; whatever leaves this room with an audit row is told by it.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// The database's own way to carry events to other processes.
    pub const fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// A lease for one request or one piece of work: takes a connection when it is first needed.
    pub fn lease(&self, facts: Facts) -> Lease {
        Lease::new(self.pool.clone(), self.events.clone(), facts)
    }

    /// Refuses a role that could see more than one tenant, and a schema that is not this binary's.
    ///
    /// # Errors
    /// A sentence that names the fix.
    pub async fn check(&self) -> anyhow::Result<()> {
        let mut connection = connection::take(&self.pool).await.map_err(anyhow::Error::from)?;
        migrate::refuse_unsafe_role(connection.statements()).await?;
        migrate::refuse_other_schema(connection.statements()).await
    }

    /// Refuses hot functions that are not this binary's: whoever serves may not create them.
    ///
    /// # Errors
    /// A sentence that names the fix.
    pub async fn check_functions(&self, hot: &[&Hot]) -> anyhow::Result<()> {
        let mut connection = connection::take(&self.pool).await.map_err(anyhow::Error::from)?;
        match migrate::stale_function(connection.statements(), hot).await? {
            None => Ok(()),
            Some(name) => anyhow::bail!(
                "The database's function app.hot_{name} is not this binary's. Run `aicos migrate` with DATABASE_OWNER_URL."
            ),
        }
    }

    /// Whether the database answers, as soon as a request wants it to, and has this binary's schema.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when not.
    pub async fn ready(&self) -> Result<()> {
        let looking = async {
            let mut connection = connection::take(&self.pool).await?;
            migrate::refuse_other_schema(connection.statements()).await.map_err(Error::unavailable)
        };
        let looked = tokio::time::timeout(self.wait, looking).await;
        looked.map_err(|_| Error::unavailable(anyhow::anyhow!("the database takes too long")))?
    }

    /// Connections open and in use, and who waits for one.
    pub fn status(&self) -> metrics::Pool {
        let status = self.pool.status();
        metrics::Pool {
            open: status.size,
            used: status.size.saturating_sub(status.available),
            waiting: status.waiting,
            most: status.max_size,
        }
    }

    /// Closes every connection.
    pub fn close(&self) {
        self.pool.close();
    }
}
