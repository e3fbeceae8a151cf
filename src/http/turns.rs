//! Whose turn it is: how many requests are worked on at the same time, and what becomes of the others.
//!
//! More at the same time than the cores and the database can serve makes everybody slower and nobody faster. So a request
//! waits for its turn, and only for so long: under too much load those that are let in keep their time, and the others
//! learn at once that they should come again later, before much has been done for them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::graphql::turn::Turn;
use crate::telemetry::metrics::{NONE, TURN_WAIT, TURNED_AWAY};

/// How much is let in.
#[derive(Debug, Clone, Copy)]
pub struct TurnSettings {
    /// Requests that are worked on at the same time.
    pub at_once: usize,
    /// Requests that wait at the most.
    pub waiting: usize,
    /// How long one waits at the most.
    pub patience: Duration,
    /// Bytes of bodies that are held at the same time.
    pub bodies: usize,
}

impl Default for TurnSettings {
    fn default() -> Self {
        Self { at_once: 64, waiting: 256, patience: Duration::from_millis(400), bodies: 256 * 1024 * 1024 }
    }
}

/// When whoever is turned away should come again.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// How often it is logged that somebody is turned away.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// The turns of one server.
#[derive(Debug)]
pub struct Turns {
    settings: TurnSettings,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    bodies: AtomicUsize,
    turned_away: AtomicU64,
    said: Mutex<Option<Instant>>,
}

/// Bytes of a body that are held; dropping this lets go of them.
#[derive(Debug)]
pub struct Held {
    turns: Arc<Turns>,
    bytes: usize,
}

impl Held {
    /// Holds so many more.
    ///
    /// # Errors
    /// [`Error::Busy`] when that is more than all requests together may hold.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        if self.turns.bodies.fetch_add(bytes, Ordering::Relaxed) + bytes > self.turns.settings.bodies {
            return Err(self.turns.turn_away("bodies"));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.turns.bodies.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Somebody in the queue, also when they leave it early.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// Turns of which none is taken.
    pub fn new(settings: TurnSettings) -> Self {
        Self {
            free: Arc::new(Semaphore::new(settings.at_once.max(1))),
            settings,
            waiting: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            turned_away: AtomicU64::new(0),
            said: Mutex::default(),
        }
    }

    /// Holds nothing of a body yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { turns: Arc::clone(self), bytes: 0 }
    }

    /// Turns somebody away whose wait would be in vain, before anything is done for them.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full.
    pub fn look(&self) -> Result<(), Error> {
        if self.waiting.load(Ordering::Relaxed) >= self.settings.waiting {
            return Err(self.turn_away("queue_full"));
        }
        Ok(())
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full, or the turn does not come soon enough.
    pub async fn take(&self) -> Result<Turn, Error> {
        let permit = if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            permit
        } else {
            self.queue().await?
        };
        Ok(Turn::new(permit))
    }

    async fn queue(&self) -> Result<OwnedSemaphorePermit, Error> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        if before >= self.settings.waiting {
            return Err(self.turn_away("queue_full"));
        }
        let began = Instant::now();
        let waited = timeout(self.settings.patience, Arc::clone(&self.free).acquire_owned()).await;
        TURN_WAIT.histogram(NONE).record(began.elapsed());
        match waited {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(closed)) => Err(Error::internal(closed)),
            Err(_) => Err(self.turn_away("waited_too_long")),
        }
    }

    fn turn_away(&self, reason: &'static str) -> Error {
        TURNED_AWAY.counter([reason]).increment(1);
        let so_far = self.turned_away.fetch_add(1, Ordering::Relaxed) + 1;
        // Whoever finds somebody else at it need not say it as well.
        if let Ok(mut said) = self.said.try_lock()
            && said.is_none_or(|at| at.elapsed() >= SAY_AGAIN)
        {
            *said = Some(Instant::now());
            tracing::warn!(reason, "too much to do: requests are turned away, {so_far} since the start");
        }
        Error::Busy(COME_AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(at_once: usize, waiting: usize) -> Arc<Turns> {
        let patience = Duration::from_millis(50);
        Arc::new(Turns::new(TurnSettings { at_once, waiting, patience, bodies: 10 }))
    }

    #[tokio::test]
    async fn turns_are_taken_one_after_the_other_and_only_so_many_wait() {
        let turns = turns(1, 1);
        let first = turns.take().await.unwrap();
        assert!(turns.look().is_ok());
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take().await }
        });
        while turns.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // The queue is full: nobody waits for nothing.
        assert!(matches!(turns.look(), Err(Error::Busy(_))));
        assert!(matches!(turns.take().await, Err(Error::Busy(_))));
        drop(first);
        let second = waiting.await.unwrap().unwrap();
        // Whoever waits in vain leaves the queue.
        assert!(matches!(turns.take().await, Err(Error::Busy(_))));
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
        second.give_up();
        turns.take().await.unwrap();
    }

    #[tokio::test]
    async fn bodies_have_so_much_room_together() {
        let turns = turns(1, 1);
        let (mut one, mut other) = (turns.hold(), turns.hold());
        one.grow(6).unwrap();
        other.grow(4).unwrap();
        assert!(matches!(other.grow(1), Err(Error::Busy(_))));
        drop(other);
        one.grow(4).unwrap();
        drop(one);
        assert_eq!(turns.bodies.load(Ordering::Relaxed), 0);
    }
}
