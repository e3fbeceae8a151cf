//! The floor of the queue: jobs that are asked for, taken and ended by hand, in a table of its own, with nothing around them.
//!
//! Whoever asks inserts one row in a transaction; a worker takes the oldest that nobody has (SKIP LOCKED), and ends it together
//! with a result of the size that an agent leaves behind. There are no tenants, no rights, no events and no audit log, and the
//! work itself is nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio_postgres::{Client, NoTls};

/// Bytes of a result.
const RESULT: i32 = 1_500;

const TABLES: &str = "
    drop schema if exists floor cascade;
    create schema floor;
    create table floor.jobs (
        id bigint generated always as identity primary key,
        status text not null default 'QUEUED',
        input jsonb not null,
        finished_at timestamptz
    );
    create index jobs_waiting on floor.jobs (id) where status = 'QUEUED';
    create table floor.results (id bigint primary key, content text not null);";

async fn connect(address: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(address: String, left: Arc<AtomicU32>) -> anyhow::Result<()> {
    let client = connect(&address).await?;
    let insert = client
        .prepare("insert into floor.jobs (input) values (jsonb_build_object('goals', $1::text))")
        .await?;
    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        client.execute(&insert, &[&"I want to trust my work."]).await?;
    }
    Ok(())
}

async fn work(address: String, left: Arc<AtomicU32>) -> anyhow::Result<()> {
    let client = connect(&address).await?;
    let take = client
        .prepare(
            "update floor.jobs set status = 'RUNNING' where id = (
                select id from floor.jobs where status = 'QUEUED' order by id limit 1 for update skip locked)
             returning id, input::text",
        )
        .await?;
    let end = client
        .prepare(
            "with ended as (update floor.jobs set status = 'SUCCEEDED', finished_at = clock_timestamp() where id = $1)
             insert into floor.results (id, content) values ($1, repeat('x', $2))",
        )
        .await?;
    while left.load(Ordering::SeqCst) > 0 {
        let Some(row) = client.query_opt(&take, &[]).await? else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        client.execute(&end, &[&row.get::<_, i64>(0), &RESULT]).await?;
        left.fetch_sub(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Has so many jobs asked for by `callers` and done by `workers` at the same time; prints jobs a second.
pub async fn run(jobs: u32, callers: usize, workers: usize) -> anyhow::Result<()> {
    let address = std::env::var("FLOOR_DATABASE").context("FLOOR_DATABASE is missing")?;
    connect(&address).await?.batch_execute(TABLES).await?;
    let (asked, done) = (Arc::new(AtomicU32::new(jobs)), Arc::new(AtomicU32::new(jobs)));
    let begun = Instant::now();
    let asking = (0..callers).map(|_| tokio::spawn(ask(address.clone(), Arc::clone(&asked))));
    let working = (0..workers).map(|_| tokio::spawn(work(address.clone(), Arc::clone(&done))));
    let tasks: Vec<_> = asking.chain(working).collect();
    for task in tasks {
        task.await??;
    }
    println!("{:.1}", f64::from(jobs) / begun.elapsed().as_secs_f64());
    connect(&address).await?.batch_execute("drop schema floor cascade").await?;
    Ok(())
}
