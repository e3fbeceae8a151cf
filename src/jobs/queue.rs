//! The queue: a library's own schema, which carries ids and wakes workers.

use graphile_worker::WorkerContext;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

/// The schema of the library's tables.
pub(super) const SCHEMA: &str = "queue";

/// Connections that have become the queue's role. It owns its schema and reaches nothing else; the serving role does
/// not inherit it.
fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute("set role aicos_queue").await.map(drop) })
        })
        .connect_lazy_with(options)
}

/// Brings the queue's schema to what the library needs. `owner` is the owner's connection.
///
/// # Errors
/// When the database refuses.
pub async fn migrate(owner: &PgConnectOptions) -> anyhow::Result<()> {
    let pool = pool(owner.clone(), 1);
    let migrated = graphile_worker::WorkerUtils::new(pool.clone(), SCHEMA).migrate().await;
    pool.close().await;
    migrated.map_err(|error| anyhow::anyhow!("the queue's schema could not be brought up to date: {error}"))
}

/// Connections of workers, as the serving role lets them become the queue's.
pub(super) fn open(serve: PgConnectOptions) -> PgPool {
    pool(serve, 4)
}

/// What wakes a worker. It names the job that it is for, but whichever is next in the line is taken, and what is due
/// after it: the library would look for the next call only when it polls or hears of a new one.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Wake {
    organization: uuid::Uuid,
    job: uuid::Uuid,
}

impl graphile_worker::TaskHandler for Wake {
    const IDENTIFIER: &'static str = "work";

    async fn run(self, context: WorkerContext) -> impl graphile_worker::IntoTaskHandlerResult {
        let Some(shop) = context.get_ext::<super::worker::Shop>() else {
            return Err("the worker was started without its shop".to_owned());
        };
        shop.work_off().await.map_err(|error| error.to_string())
    }
}
