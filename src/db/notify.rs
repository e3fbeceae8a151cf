//! Hints over PostgreSQL's own LISTEN and NOTIFY, for deployments without a Redis.
//!
//! One connection per process, beside the pool: it listens, and it sends. A request's transaction never notifies,
//! because a commit that does waits for every other one that does.

use anyhow::Context as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::connection::quiet;
use crate::events::{Line, Lines};

const CHANNEL: &str = "aicos_events";

/// Lines over one database.
#[derive(Debug, Clone)]
pub struct Notifications {
    options: PgConnectOptions,
}

impl Notifications {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        // A hint is not worth waiting for the disk.
        let options = options.application_name("aicos events").options([("synchronous_commit", "off")]);
        Self { options: quiet(options) }
    }
}

/// The connection that listens and sends.
pub struct Notifying {
    listener: PgListener,
}

impl Lines for Notifications {
    type Line = Notifying;
    const NAME: &'static str = "PostgreSQL";

    async fn open(&self) -> anyhow::Result<Notifying> {
        // The listener takes its connection from a pool; this one has no other.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .acquire_timeout(std::time::Duration::from_secs(5))
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(Notifying { listener })
    }
}

impl Line for Notifying {
    async fn send(&mut self, messages: &[String]) -> anyhow::Result<()> {
        sqlx::query("select pg_notify($1, message) from unnest($2::text[]) as message")
            .bind(CHANNEL)
            .bind(messages)
            .execute(&mut self.listener)
            .await?;
        Ok(())
    }

    async fn receive(&mut self) -> anyhow::Result<String> {
        let notification = self.listener.try_recv().await?.context("the connection was closed")?;
        Ok(notification.payload().to_owned())
    }
}
