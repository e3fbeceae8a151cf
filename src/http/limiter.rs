//! What a credential or an address may spend in a minute.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::graphql::node::Budget;

/// Who spends.
#[derive(Debug, Clone)]
pub enum Spender {
    /// A session or an API key.
    Caller {
        /// Its id.
        credential: Uuid,
        /// The tier's points in a minute, when the organization is known already.
        points: Option<u32>,
        /// The key's own limit of requests.
        requests: Option<u32>,
    },
    /// Somebody without a credential.
    Address(IpAddr),
}

/// What is let through when nothing else is said.
#[derive(Debug, Clone, Copy)]
pub struct LimiterSettings {
    /// Points in a minute for a credential whose tier is not known yet.
    pub caller_points: u32,
    /// Points in a minute for an address without a credential.
    pub address_points: u32,
}

impl Default for LimiterSettings {
    fn default() -> Self {
        Self { caller_points: 100_000, address_points: 3_000 }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Credential(Uuid),
    Address(IpAddr),
}

#[derive(Debug, Default)]
struct Spent {
    minute: i64,
    points: u64,
    requests: u64,
}

/// The counters of this process.
#[derive(Debug)]
pub struct Limiter {
    settings: LimiterSettings,
    spent: Cache<Key, Arc<Mutex<Spent>>>,
}

impl Limiter {
    /// Counters that start at zero.
    pub fn new(settings: LimiterSettings) -> Self {
        let idle = Duration::from_mins(2);
        Self { settings, spent: Cache::builder().max_capacity(500_000).time_to_idle(idle).build() }
    }

    /// Takes points, or refuses with the time until there are more. A price alone costs nothing.
    ///
    /// # Errors
    /// [`Error::Limited`].
    pub fn spend(&self, spender: &Spender, cost: u64) -> Result<Budget> {
        let (key, limit, requests) = match spender {
            Spender::Caller { credential, points, requests } => {
                (Key::Credential(*credential), points.unwrap_or(self.settings.caller_points), *requests)
            }
            // Whoever has a whole IPv6 network has one address.
            Spender::Address(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                let network = std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
                (Key::Address(network.into()), self.settings.address_points, None)
            }
            Spender::Address(ip) => (Key::Address(*ip), self.settings.address_points, None),
        };
        let limit = u64::from(limit);
        let now = Utc::now().timestamp();
        let minute = now.div_euclid(60);
        let next = (minute + 1) * 60;
        let counter = self.spent.get_with(key, Arc::default);
        let mut spent = counter.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.minute != minute {
            *spent = Spent { minute, ..Spent::default() };
        }
        let too_many = requests.is_some_and(|most| spent.requests >= u64::from(most));
        if cost > 0 && (too_many || spent.points + cost > limit) {
            return Err(Error::Limited(Duration::from_secs(next.abs_diff(now))));
        }
        spent.points += cost;
        spent.requests += u64::from(cost > 0);
        Ok(Budget {
            cost,
            limit,
            remaining: limit.saturating_sub(spent.points),
            resets_at: DateTime::from_timestamp(next, 0).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_gone_for_this_minute_and_this_spender() {
        let limiter = Limiter::new(LimiterSettings { caller_points: 10, address_points: 5 });
        let caller = |points, requests| Spender::Caller { credential: Uuid::nil(), points, requests };
        assert_eq!(limiter.spend(&caller(None, None), 7).unwrap().remaining, 3);
        assert!(limiter.spend(&caller(None, None), 4).is_err());
        assert_eq!(limiter.spend(&caller(None, None), 0).unwrap().remaining, 3);
        assert_eq!(limiter.spend(&caller(Some(20), None), 4).unwrap().remaining, 9);
        assert!(limiter.spend(&caller(Some(20), Some(2)), 1).is_err());
        let one = Spender::Address("2001:db8::1".parse().unwrap());
        let neighbour = Spender::Address("2001:db8::2".parse().unwrap());
        limiter.spend(&one, 5).unwrap();
        assert!(limiter.spend(&neighbour, 1).is_err());
    }
}
