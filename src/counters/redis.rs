//! Counts that several processes share, in Redis.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use redis::Script;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use super::{Claim, Count, Key, Tally};

/// What every key begins with.
const PREFIX: &str = "aicos:count:";
/// How long an answer may take: beyond, the counts are as good as not there.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long Redis is left alone after it has not answered: an outage costs each request nothing.
const LEFT_ALONE: Duration = Duration::from_millis(500);

/// Reads every count, then adds to all of them or to none. Redis runs nothing else meanwhile.
const CLAIM: &str = r"
local refused = 0
local counts = {}
for at, key in ipairs(KEYS) do
    local amount, limit = tonumber(ARGV[3 * at - 2]), tonumber(ARGV[3 * at - 1])
    counts[at] = tonumber(redis.call('GET', key) or '0')
    if refused == 0 and amount > 0 and counts[at] + amount > limit then
        refused = at
    end
end
local reply = { refused }
for at, key in ipairs(KEYS) do
    local amount, window = tonumber(ARGV[3 * at - 2]), tonumber(ARGV[3 * at])
    if refused == 0 and amount > 0 then
        counts[at] = redis.call('INCRBY', key, amount)
    end
    local left = redis.call('PTTL', key)
    if left < 0 then
        left = window
        if counts[at] > 0 then
            redis.call('PEXPIRE', key, window)
        end
    end
    reply[2 * at] = counts[at]
    reply[2 * at + 1] = left
end
return reply
";

/// Takes from each count that is still there, and not below nothing.
const GIVE_BACK: &str = r"
for at, key in ipairs(KEYS) do
    local spent = tonumber(redis.call('GET', key) or '0')
    local amount = math.min(spent, tonumber(ARGV[at]))
    if amount > 0 then
        redis.call('DECRBY', key, amount)
    end
end
";

/// The shared counts. Clones share everything.
#[derive(Clone)]
pub(super) struct Redis(Arc<Inner>);

struct Inner {
    manager: ConnectionManager,
    claim: Script,
    give_back: Script,
    started: Instant,
    /// Milliseconds after the start until which Redis is left alone; 0 while it answers.
    until: AtomicU64,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}

/// The largest number that a script counts exactly.
const LARGEST: u64 = 1 << 52;

impl Redis {
    pub(super) fn at(url: &str) -> anyhow::Result<Self> {
        let not_one = "REDIS_URL is not an address such as redis://:password@host:6379/0";
        let client = redis::Client::open(url).context(not_one)?;
        // A request does not wait for a reconnection that takes several attempts: the next one finds it made.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let manager = ConnectionManager::new_lazy_with_config(client, config).context(not_one)?;
        let (claim, give_back) = (Script::new(CLAIM), Script::new(GIVE_BACK));
        let (started, until) = (Instant::now(), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { manager, claim, give_back, started, until })))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// None when Redis does not answer.
    pub(super) async fn claim(&self, claims: &[Claim]) -> Option<Tally> {
        let until = self.0.until.load(Ordering::Relaxed);
        if self.now() < until {
            return None;
        }
        let mut call = self.0.claim.prepare_invoke();
        for Claim { key, amount, limit, window } in claims {
            call.key(format!("{PREFIX}{key}"));
            let window = u64::try_from(window.as_millis()).unwrap_or(LARGEST);
            call.arg((*amount).min(LARGEST)).arg((*limit).min(LARGEST)).arg(window.min(LARGEST));
        }
        let mut connection = self.0.manager.clone();
        // The library's own limits do not hold for everything together.
        let asked = tokio::time::timeout(2 * PATIENCE, call.invoke_async::<Vec<u64>>(&mut connection)).await;
        let reply = match asked {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return self.leave_alone(until, &error),
            Err(elapsed) => return self.leave_alone(until, &elapsed),
        };
        if until > 0 {
            self.0.until.store(0, Ordering::Relaxed);
            tracing::info!("Redis counts again");
        }
        let [refused, counts @ ..] = reply.as_slice() else { return None };
        let counts = counts
            .chunks_exact(2)
            .map(|count| Count { spent: count[0], ends_in: Duration::from_millis(count[1]) });
        let refused = usize::try_from(*refused).ok().and_then(|at| at.checked_sub(1));
        let tally = Tally { counts: counts.collect(), refused, alone: false };
        (tally.counts.len() == claims.len()).then_some(tally)
    }

    fn leave_alone(&self, before: u64, why: &dyn fmt::Display) -> Option<Tally> {
        let pause = u64::try_from(LEFT_ALONE.as_millis()).unwrap_or(0);
        self.0.until.store(self.now() + pause, Ordering::Relaxed);
        if before == 0 {
            // Once per outage.
            tracing::warn!(
                "Redis does not count: changes are refused until it answers, reads are counted here: {why}"
            );
        }
        None
    }

    pub(super) async fn give_back(&self, claims: &[Claim]) {
        let mut call = self.0.give_back.prepare_invoke();
        for claim in claims {
            call.key(format!("{PREFIX}{}", claim.key));
            call.arg(claim.amount.min(LARGEST));
        }
        let mut connection = self.0.manager.clone();
        let giving = tokio::time::timeout(2 * PATIENCE, call.invoke_async::<()>(&mut connection)).await;
        if !matches!(giving, Ok(Ok(()))) {
            tracing::debug!("counts were not given back in Redis; their windows end by themselves");
        }
    }

    pub(super) async fn forget(&self, key: &Key) {
        let mut connection = self.0.manager.clone();
        let forgetting = async {
            redis::cmd("UNLINK").arg(format!("{PREFIX}{key}")).query_async::<()>(&mut connection).await
        };
        if !matches!(tokio::time::timeout(2 * PATIENCE, forgetting).await, Ok(Ok(()))) {
            tracing::debug!("a count was not forgotten in Redis; its window ends by itself");
        }
    }
}
