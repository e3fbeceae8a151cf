//! Takes hints from one process to the others, many at once.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Events, Shared, Topic, lock};
use crate::id::{JobId, OrganizationId};

/// How long hints are collected before they are sent together.
const COLLECT: Duration = Duration::from_millis(20);
/// Bytes of one message at the most: PostgreSQL takes less than 8,000.
const MESSAGE: usize = 7_900;
/// How long a line that was lost stays down before the first attempt, and at the most before a later one.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long opening a line, and sending over it, may take: what takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open line to the other processes.
pub trait Line: Send {
    /// Sends messages.
    fn send(&mut self, messages: &[String]) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// The next message of any process. It may be given up at any point and loses nothing.
    fn receive(&mut self) -> impl Future<Output = anyhow::Result<String>> + Send;
}

/// Opens lines.
pub trait Lines: Send + Sync + 'static {
    /// What is opened.
    type Line: Line;
    /// What it is called in logs.
    const NAME: &'static str;

    /// Opens one. It listens when this returns.
    fn open(&self) -> impl Future<Output = anyhow::Result<Self::Line>> + Send;
}

/// Carries the hints of this process to the others and theirs here, until stopped.
///
/// A line that is lost is opened again, with pauses that grow up to two seconds; meanwhile this process hears its own
/// hints. When it is back, everybody here is woken once, because hints may have been lost.
pub async fn carry(events: Events, lines: impl Lines, stop: CancellationToken) {
    events.shared.carried.store(true, Ordering::Relaxed);
    stop.run_until_cancelled(keep_carrying(&events.shared, &lines)).await;
    events.shared.carried.store(false, Ordering::Relaxed);
}

async fn keep_carrying<L: Lines>(shared: &Shared, lines: &L) {
    let (mut pause, mut reported) = (BACK_OFF.0, false);
    loop {
        let lost = match in_time(Box::pin(lines.open())).await {
            Ok(line) => {
                if reported {
                    tracing::info!("events travel between processes again, over {}", L::NAME);
                }
                (pause, reported) = (BACK_OFF.0, false);
                shared.wake_all();
                let Err(lost) = serve(shared, line).await;
                lost
            }
            Err(error) => error,
        };
        // Once per outage: what follows is the same outage.
        if !reported {
            reported = true;
            tracing::warn!("events do not reach other processes, {} is not there: {lost:#}", L::NAME);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

async fn serve(shared: &Shared, mut line: impl Line) -> Result<std::convert::Infallible, anyhow::Error> {
    let mut due = pin!(collected(shared));
    loop {
        tokio::select! {
            message = line.receive() => hear(shared, &message?),
            () = &mut due => {
                let topics = std::mem::take(&mut *lock(&shared.outgoing));
                in_time(line.send(&messages(shared.process, topics))).await?;
                due.set(collected(shared));
            }
        }
    }
}

async fn in_time<T>(doing: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, doing).await.context("no answer in time")?
}

/// Waits until something is to be sent, and a little longer for what comes with it.
async fn collected(shared: &Shared) {
    while lock(&shared.outgoing).is_empty() {
        shared.waiting.notified().await;
    }
    tokio::time::sleep(COLLECT).await;
}

fn hear(shared: &Shared, message: &str) {
    let mut words = message.split(' ');
    // What this process said it has heard already.
    if words.next().and_then(crate::id::decode) == Some(shared.process) {
        return;
    }
    for topic in words.filter_map(read) {
        shared.wake(&topic);
    }
}

/// The sender and as many topics as fit, as words.
fn messages(process: Uuid, topics: impl IntoIterator<Item = Topic>) -> Vec<String> {
    let sender = crate::id::encode(process);
    let mut messages: Vec<String> = Vec::new();
    for topic in topics {
        let word = match topic {
            Topic::Audit(organization) => organization.to_string(),
            Topic::Job(organization, job) => format!("{organization}/{job}"),
        };
        match messages.last_mut() {
            Some(message) if message.len() + 1 + word.len() <= MESSAGE => {
                // Writing to a string cannot fail.
                let _ = write!(message, " {word}");
            }
            _ => messages.push(format!("{sender} {word}")),
        }
    }
    messages
}

/// A topic as written by [`messages`]; none for what another version may have written.
fn read(word: &str) -> Option<Topic> {
    match word.split_once('/') {
        None => word.parse::<OrganizationId>().ok().map(Topic::Audit),
        Some((organization, job)) => Some(Topic::Job(organization.parse().ok()?, job.parse::<JobId>().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_survive_the_way_and_messages_stay_small() {
        let organization = OrganizationId::generate();
        let topics: Vec<Topic> = (0..1_000)
            .map(|n| match n % 2 {
                0 => Topic::Audit(OrganizationId::generate()),
                _ => Topic::Job(organization, JobId::generate()),
            })
            .collect();
        let process = Uuid::now_v7();
        let messages = messages(process, topics.clone());
        assert!(messages.len() > 1 && messages.iter().all(|message| message.len() < 8_000));
        let heard: Vec<Topic> =
            messages.iter().flat_map(|message| message.split(' ').skip(1)).filter_map(read).collect();
        assert_eq!(heard, topics);
        assert!(messages.iter().all(|message| message.starts_with(&crate::id::encode(process))));
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for word in ["", "/", "org_", "prj_01jd3x8r5nf6xr8m2zq0v7k9we", "org_x/job_y", "\u{0}"] {
            assert_eq!(read(word), None, "{word}");
        }
    }
}
