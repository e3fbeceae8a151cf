//! Counts of this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::{Claim, Count, Key, Tally};

/// Things that are counted at the most; what is counted seldom is forgotten first.
const MOST: u64 = 200_000;

/// One window of one thing.
#[derive(Debug)]
struct Window {
    spent: Mutex<u64>,
    length: Duration,
    ends: Instant,
}

impl Window {
    fn new(length: Duration) -> Arc<Self> {
        Arc::new(Self { spent: Mutex::new(0), length, ends: Instant::now() + length })
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A window is forgotten when it ends.
#[derive(Debug)]
struct WhenItEnds;

impl Expiry<Key, Arc<Window>> for WhenItEnds {
    fn expire_after_create(&self, _: &Key, window: &Arc<Window>, _: Instant) -> Option<Duration> {
        Some(window.length)
    }
}

/// The counts. Clones share everything.
#[derive(Debug, Clone)]
pub(super) struct Local(Cache<Key, Arc<Window>>);

impl Local {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).expire_after(WhenItEnds).build())
    }

    pub(super) fn claim(&self, claims: &[Claim]) -> Tally {
        let windows: Vec<_> = claims.iter().map(|claim| self.window(claim)).collect();
        // Claims of one kind come in one order, so nobody waits for each other in a circle.
        let mut spent: Vec<_> = windows.iter().map(|window| window.lock()).collect();
        let exceeds = |(claim, spent): (&Claim, &MutexGuard<'_, u64>)| {
            claim.amount > 0 && spent.saturating_add(claim.amount) > claim.limit
        };
        let refused = claims.iter().zip(&spent).position(exceeds);
        let counts = claims.iter().zip(&windows).zip(&mut spent).map(|((claim, window), spent)| {
            if refused.is_none() {
                **spent = spent.saturating_add(claim.amount);
            }
            Count { spent: **spent, ends_in: window.ends.saturating_duration_since(Instant::now()) }
        });
        let counts = counts.collect();
        Tally { counts, refused, alone: false }
    }

    /// The window that a claim falls into. A mere question does not begin one.
    fn window(&self, claim: &Claim) -> Arc<Window> {
        if claim.amount == 0 {
            return self.0.get(&claim.key).unwrap_or_else(|| Window::new(claim.window));
        }
        if let Some(window) = self.0.get(&claim.key) {
            return window;
        }
        self.0.get_with(claim.key.clone(), || Window::new(claim.window))
    }

    pub(super) fn give_back(&self, claims: &[Claim]) {
        for claim in claims {
            if let Some(window) = self.0.get(&claim.key) {
                let mut spent = window.lock();
                *spent = spent.saturating_sub(claim.amount);
            }
        }
    }

    pub(super) fn forget(&self, key: &Key) {
        self.0.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn claim(name: &str, amount: u64, limit: u64, window: Duration) -> Claim {
        Claim { key: Key::of(name, Uuid::nil()), amount, limit, window }
    }

    fn spent(tally: &Tally) -> Vec<u64> {
        tally.counts.iter().map(|count| count.spent).collect()
    }

    #[test]
    fn all_is_counted_or_nothing() {
        let local = Local::new();
        let minute = Duration::from_mins(1);
        let both = |one, other| [claim("a", one, 10, minute), claim("b", other, 2, minute)];
        let tally = local.claim(&both(7, 1));
        assert_eq!((tally.refused, spent(&tally)), (None, vec![7, 1]));
        let tally = local.claim(&both(4, 1));
        assert_eq!((tally.refused, spent(&tally)), (Some(0), vec![7, 1]));
        let tally = local.claim(&both(3, 1));
        assert_eq!((tally.refused, spent(&tally)), (None, vec![10, 2]));
        let tally = local.claim(&both(0, 1));
        assert_eq!((tally.refused, spent(&tally)), (Some(1), vec![10, 2]));
        let tally = local.claim(&both(0, 0));
        assert_eq!((tally.refused, spent(&tally)), (None, vec![10, 2]));
        local.give_back(&both(4, 7));
        assert_eq!(spent(&local.claim(&both(0, 0))), [6, 0]);
        assert_eq!(spent(&local.claim(&both(4, 2))), [10, 2]);
        local.forget(&Key::of("a", Uuid::nil()));
        assert_eq!(spent(&local.claim(&both(0, 0))), [0, 2]);
    }

    #[test]
    fn a_window_ends() {
        let local = Local::new();
        let short = |amount| claim("a", amount, 1, Duration::from_millis(60));
        assert_eq!(local.claim(&[short(1)]).refused, None);
        let again = local.claim(&[short(1)]);
        assert!(again.refused.is_some() && again.counts[0].ends_in <= Duration::from_millis(60));
        std::thread::sleep(Duration::from_millis(80));
        assert_eq!(local.claim(&[short(1)]).refused, None);
    }

    #[test]
    fn many_at_once_stay_within_the_limit() {
        let local = Local::new();
        let admitted: usize = std::thread::scope(|scope| {
            let claiming = || {
                let one = || local.claim(&[claim("a", 1, 100, Duration::from_mins(1))]);
                (0..50).filter(|_| one().refused.is_none()).count()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(claiming)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 100);
    }
}
