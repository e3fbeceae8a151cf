//! What an organization, an API key or an address may spend in a minute.
//!
//! Whoever is known to belong to an organization spends from its budget, which its tier sets, and with an API key that has a
//! limit of its own from that as well. Until the first answer has shown that a session belongs where its token says, it
//! spends from a budget of its own: a stranger cannot empty an organization's. Whoever shows no credential spends from their
//! address's.
//!
//! The header fields are those of <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/>.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::counters::{Claim, Count, Counters, Key, Tally};
use crate::error::Error;
use crate::id::OrganizationId;
use crate::telemetry::metrics::{RATE_LIMIT_OUTAGE, RATE_LIMITED};

/// Who spends.
#[derive(Debug, Clone)]
pub enum Spender {
    /// Somebody who belongs to an organization.
    Member {
        /// Their organization.
        organization: OrganizationId,
        /// Its tier's points in a minute.
        points: u32,
        /// The API key, with its own limit of requests in a minute.
        key: Option<(Uuid, u32)>,
    },
    /// A credential of which nothing else is known yet.
    Credential(Uuid),
    /// Somebody without a credential.
    Address(IpAddr),
}

/// What is let through when no tier says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct LimiterSettings {
    /// Points in a minute for a credential whose organization is not known yet.
    pub credential_points: u32,
    /// Points in a minute for an address without a credential.
    pub address_points: u32,
}

impl Default for LimiterSettings {
    fn default() -> Self {
        Self { credential_points: 100_000, address_points: 3_000 }
    }
}

/// The stretch of time that budgets are for.
const WINDOW: Duration = Duration::from_mins(1);

/// One limit, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What it is a limit of.
    pub name: &'static str,
    /// How much there is in a minute.
    pub quota: u64,
    /// How much is left.
    pub remaining: u64,
    /// When there is all of it again.
    pub resets_in: Duration,
}

/// What spending has come to.
#[derive(Debug)]
pub struct Spent {
    /// Every limit that applies; the points first.
    pub policies: Vec<Policy>,
    /// Why it was not allowed.
    pub refused: Option<Error>,
}

/// The field that says what the limits are.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The field that says what is left of them.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

impl Spent {
    /// What the caller is told in the head of an answer.
    pub fn headers(&self) -> HeaderMap {
        let (mut policies, mut left) = (String::new(), String::new());
        for Policy { name, quota, remaining, resets_in } in &self.policies {
            let comma = if policies.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(policies, "{comma}\"{name}\";q={quota};w={}", WINDOW.as_secs());
            let _ = write!(left, "{comma}\"{name}\";r={remaining};t={}", whole_seconds(*resets_in));
        }
        let fields = [(POLICY, policies), (LIMIT, left)].into_iter();
        fields.filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
    }
}

/// A wait in whole seconds, after which it is over for certain.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Holds everybody to their limits.
#[derive(Debug)]
pub struct Limiter {
    settings: LimiterSettings,
    counters: Counters,
}

impl Limiter {
    /// Limits that are counted there.
    pub const fn new(settings: LimiterSettings, counters: Counters) -> Self {
        Self { settings, counters }
    }

    /// Takes points, or refuses with the time until there are more. A price alone costs nothing.
    ///
    /// What changes something is refused as well while the shared counts cannot be reached: replicas that do not know of
    /// each other would let through several times what is allowed. Reads go on, counted by each.
    pub async fn spend(&self, spender: &Spender, points: u64, changes: bool) -> Spent {
        let of =
            |name, key, limit| (name, Claim { key, amount: points, limit: u64::from(limit), window: WINDOW });
        let requests = |(key, limit): (Uuid, u32)| {
            let claim = Claim {
                key: Key::of("key", key),
                amount: u64::from(points > 0),
                limit: u64::from(limit),
                window: WINDOW,
            };
            ("api-key", claim)
        };
        let claims = match spender {
            Spender::Member { organization, points, key } => {
                let own = of("organization", Key::of("organization", organization.uuid()), *points);
                std::iter::once(own).chain(key.map(requests)).collect()
            }
            Spender::Credential(id) => {
                vec![of("credential", Key::of("credential", *id), self.settings.credential_points)]
            }
            Spender::Address(ip) => {
                vec![of("address", Key::of_address("address", *ip), self.settings.address_points)]
            }
        };
        let (names, claims): (Vec<&'static str>, Vec<Claim>) = claims.into_iter().unzip();
        let tally = self.counters.claim(&claims).await;
        let refused = refusal(&tally, &names, points > 0 && changes);
        let policy = |((name, claim), count): ((&'static str, &Claim), &Count)| Policy {
            name,
            quota: claim.limit,
            remaining: claim.limit.saturating_sub(count.spent),
            resets_in: count.ends_in,
        };
        let policies = names.into_iter().zip(&claims).zip(&tally.counts).map(policy).collect();
        Spent { policies, refused }
    }
}

fn refusal(tally: &Tally, names: &[&'static str], changes: bool) -> Option<Error> {
    if let Some(at) = tally.refused {
        let (name, count) = (names.get(at)?, tally.counts.get(at)?);
        RATE_LIMITED.counter([*name]).increment(1);
        return Some(Error::Limited(Duration::from_secs(whole_seconds(count.ends_in).max(1))));
    }
    if !tally.alone {
        return None;
    }
    let outcome = if changes { "refused" } else { "counted_here" };
    RATE_LIMIT_OUTAGE.counter([outcome]).increment(1);
    changes.then(|| Error::Busy(Duration::from_secs(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> Limiter {
        Limiter::new(LimiterSettings { credential_points: 10, address_points: 5 }, Counters::local())
    }

    #[tokio::test]
    async fn what_is_spent_is_gone_for_this_minute_and_for_whoever_shares_it() {
        let limiter = limiter();
        let organization = OrganizationId::generate();
        let member = |key| Spender::Member { organization, points: 10, key };
        let key = (Uuid::now_v7(), 2);
        assert_eq!(limiter.spend(&member(None), 7, false).await.policies[0].remaining, 3);
        assert!(limiter.spend(&member(Some(key)), 4, false).await.refused.is_some());
        assert_eq!(limiter.spend(&member(None), 0, false).await.policies[0].remaining, 3);
        let spent = limiter.spend(&member(Some(key)), 1, false).await;
        assert_eq!((spent.policies[0].remaining, spent.policies[1].remaining), (2, 1));
        assert!(limiter.spend(&member(Some(key)), 1, true).await.refused.is_none());
        // The key has no request left, its organization a point.
        let spent = limiter.spend(&member(Some(key)), 1, false).await;
        assert!(matches!(spent.refused, Some(Error::Limited(wait)) if wait <= WINDOW));
        assert!(limiter.spend(&member(None), 1, false).await.refused.is_none());
        let other = Spender::Member { organization: OrganizationId::generate(), points: 10, key: None };
        assert!(limiter.spend(&other, 10, false).await.refused.is_none());
    }

    #[tokio::test]
    async fn credentials_and_addresses_have_budgets_of_their_own() {
        let limiter = limiter();
        assert!(limiter.spend(&Spender::Credential(Uuid::now_v7()), 10, false).await.refused.is_none());
        assert!(limiter.spend(&Spender::Credential(Uuid::now_v7()), 11, false).await.refused.is_some());
        let one = Spender::Address("2001:db8::1".parse().unwrap());
        let neighbour = Spender::Address("2001:db8::2".parse().unwrap());
        assert!(limiter.spend(&one, 5, false).await.refused.is_none());
        assert!(limiter.spend(&neighbour, 1, false).await.refused.is_some());
    }

    #[test]
    fn headers_name_every_limit() {
        let policy = |name, quota, remaining, millis| Policy {
            name,
            quota,
            remaining,
            resets_in: Duration::from_millis(millis),
        };
        let policies = vec![policy("organization", 600, 12, 41_300), policy("api-key", 60, 0, 2_000)];
        let headers = Spent { policies, refused: None }.headers();
        assert_eq!(headers["ratelimit-policy"], "\"organization\";q=600;w=60, \"api-key\";q=60;w=60");
        assert_eq!(headers["ratelimit"], "\"organization\";r=12;t=42, \"api-key\";r=0;t=2");
    }
}
