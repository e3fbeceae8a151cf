//! What has happened, to whoever listens.
//!
//! An event is a hint and carries nothing: the tables are the truth, and whoever hears of something reads what is new
//! through their own door, where the database checks their rights once more. So a hint that comes twice, late or from
//! another tenant's deployment does no harm, and one that is lost is made up for by reading again after a while.
//!
//! In one process hints are heard at once. A [`carry`] task takes them to the other processes, over a [`Line`].

mod carrier;
pub mod redis;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

pub use carrier::{Line, Lines, carry};

use crate::id::{JobId, OrganizationId};

/// What there can be news of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The organization's audit log has grown.
    Audit(OrganizationId),
    /// A job of the organization has moved on.
    Job(OrganizationId, JobId),
}

/// Parts of the register of listeners, each under a lock of its own.
const SHARDS: usize = 16;
/// Topics that wait for the carrier at the most. What comes on top is dropped, as any hint may be.
const WAITING: usize = 10_000;

impl Topic {
    /// Whose news it is.
    pub const fn organization(&self) -> OrganizationId {
        match self {
            Self::Audit(organization) | Self::Job(organization, _) => *organization,
        }
    }
}

/// Where hints are given and heard. Clones share everything.
#[derive(Debug, Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// This process, so that its own hints are known when they come back.
    process: Uuid,
    hasher: RandomState,
    shards: [Mutex<HashMap<Topic, watch::Sender<()>>>; SHARDS],
    /// How many listen, by organization.
    listeners: Mutex<HashMap<OrganizationId, usize>>,
    /// Whether a carrier takes hints to other processes.
    carried: AtomicBool,
    outgoing: Mutex<HashSet<Topic>>,
    waiting: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn shard(&self, topic: &Topic) -> MutexGuard<'_, HashMap<Topic, watch::Sender<()>>> {
        let hash = self.hasher.hash_one(topic);
        lock(&self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)])
    }

    fn wake(&self, topic: &Topic) {
        if let Some(listeners) = self.shard(topic).get(topic) {
            listeners.send_replace(());
        }
    }

    fn wake_all(&self) {
        for shard in &self.shards {
            for listeners in lock(shard).values() {
                listeners.send_replace(());
            }
        }
    }
}

impl Events {
    /// Events of this process alone, until [`carry`] runs.
    pub fn local() -> Self {
        let shared = Shared {
            process: Uuid::now_v7(),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            listeners: Mutex::default(),
            carried: AtomicBool::new(false),
            outgoing: Mutex::default(),
            waiting: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Tells whoever listens: here at once, in other processes soon. It neither waits nor fails.
    pub fn publish(&self, topic: Topic) {
        self.shared.wake(&topic);
        if !self.shared.carried.load(Ordering::Relaxed) {
            return;
        }
        let mut outgoing = lock(&self.shared.outgoing);
        if outgoing.is_empty() {
            self.shared.waiting.notify_one();
        }
        if outgoing.len() < WAITING {
            outgoing.insert(topic);
        }
    }

    /// Listens from now on, until the watch is dropped.
    pub fn watch(&self, topic: Topic) -> Watch {
        let news = self.shared.shard(&topic).entry(topic).or_default().subscribe();
        *lock(&self.shared.listeners).entry(topic.organization()).or_default() += 1;
        Watch { shared: Arc::clone(&self.shared), topic, news }
    }

    /// How many listen here to news of an organization.
    pub fn listeners(&self, organization: OrganizationId) -> usize {
        lock(&self.shared.listeners).get(&organization).copied().unwrap_or(0)
    }

    /// How many topics somebody here listens to.
    pub fn watched(&self) -> usize {
        self.shared.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

/// A listener for one topic.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    topic: Topic,
    news: watch::Receiver<()>,
}

impl Watch {
    /// Waits until there was news since the last call, or since the watch was made. News that came several times
    /// meanwhile counts once.
    pub async fn changed(&mut self) {
        // The sender stays in the register for as long as anybody listens.
        if self.news.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut shard = self.shared.shard(&self.topic);
        if shard.get(&self.topic).is_some_and(|listeners| listeners.receiver_count() <= 1) {
            shard.remove(&self.topic);
        }
        drop(shard);
        let organization = self.topic.organization();
        let mut listeners = lock(&self.shared.listeners);
        match listeners.get_mut(&organization) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                listeners.remove(&organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn hears(watch: &mut Watch) -> bool {
        tokio::time::timeout(Duration::from_millis(20), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn whoever_listens_hears_of_their_own_topic_once_and_of_nothing_before() {
        let events = Events::local();
        let (ours, theirs) = (OrganizationId::generate(), OrganizationId::generate());
        events.publish(Topic::Audit(ours));
        let mut watch = events.watch(Topic::Audit(ours));
        assert!(!hears(&mut watch).await);
        events.publish(Topic::Audit(theirs));
        events.publish(Topic::Job(ours, JobId::generate()));
        assert!(!hears(&mut watch).await);
        for _ in 0..3 {
            events.publish(Topic::Audit(ours));
        }
        assert!(hears(&mut watch).await);
        assert!(!hears(&mut watch).await);
    }

    #[tokio::test]
    async fn what_happens_between_two_looks_is_not_missed() {
        let events = Events::local();
        let topic = Topic::Audit(OrganizationId::generate());
        let mut watch = events.watch(topic);
        events.publish(topic);
        assert!(hears(&mut watch).await);
        events.publish(topic);
        assert!(hears(&mut watch).await);
    }

    #[test]
    fn nothing_is_kept_for_topics_that_nobody_listens_to() {
        let events = Events::local();
        let topic = Topic::Audit(OrganizationId::generate());
        events.publish(topic);
        let watches = [events.watch(topic), events.watch(topic)];
        assert_eq!((events.watched(), events.listeners(topic.organization())), (1, 2));
        let [first, second] = watches;
        drop(first);
        assert_eq!((events.watched(), events.listeners(topic.organization())), (1, 1));
        drop(second);
        assert_eq!((events.watched(), events.listeners(topic.organization())), (0, 0));
    }

    #[test]
    fn what_waits_for_the_carrier_is_bounded_and_counts_once() {
        let events = Events::local();
        events.publish(Topic::Audit(OrganizationId::generate()));
        assert!(lock(&events.shared.outgoing).is_empty());
        events.shared.carried.store(true, Ordering::Relaxed);
        let topic = Topic::Audit(OrganizationId::generate());
        events.publish(topic);
        events.publish(topic);
        assert_eq!(lock(&events.shared.outgoing).len(), 1);
        for _ in 0..WAITING + 10 {
            events.publish(Topic::Audit(OrganizationId::generate()));
        }
        assert_eq!(lock(&events.shared.outgoing).len(), WAITING);
    }
}
