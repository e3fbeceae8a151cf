//! Counts that limits are held to: so much of something in a window of time, in this process or shared by all of them.
//!
//! A window begins with the first thing that is counted in it, not at a minute of the clock: processes need not agree on
//! the time. Several counts are claimed together, all of them or none.
//!
//! With Redis the counts are shared. While it does not answer, the counts of this process stand in for it, and whoever
//! asked is told so: what must not go on uncounted is refused then.

mod local;
mod redis;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::local::Local;
use self::redis::Redis;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// Something of what has an id.
    pub fn of(kind: &str, id: Uuid) -> Self {
        Self(format!("{kind}:{}", id.simple()))
    }

    /// Something of an address. Whoever has a whole IPv6 network has one address.
    pub fn of_address(kind: &str, address: IpAddr) -> Self {
        let address = match address.to_canonical() {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::from(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        Self(format!("{kind}:{address}"))
    }

    /// Something of a text that is nobody's business where the counts are kept, such as a mail address.
    pub fn of_secret(kind: &str, text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        Self(format!("{kind}:{}", hex::encode(&digest[..16])))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// So much more of something, if that is still within the limit.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Of what.
    pub key: Key,
    /// How much more; nothing only asks.
    pub amount: u64,
    /// How much there may be in a window. More than nothing is refused when it would exceed it.
    pub limit: u64,
    /// How long a window is.
    pub window: Duration,
}

/// What has been counted of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So much in this window.
    pub spent: u64,
    /// When the window ends. One that has not begun ends after its whole length.
    pub ends_in: Duration,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The counts after it, in the order of the claims.
    pub counts: Vec<Count>,
    /// The first claim that exceeds its limit; none of them was counted then.
    pub refused: Option<usize>,
    /// Whether the counts are this process's own because the shared ones cannot be reached.
    pub alone: bool,
}

/// The counts. Clones share everything.
#[derive(Debug, Clone)]
pub struct Counters {
    local: Local,
    shared: Option<Redis>,
}

impl Counters {
    /// Counts of this process alone.
    pub fn local() -> Self {
        Self { local: Local::new(), shared: None }
    }

    /// Counts that all processes with this Redis share, `redis://` or `rediss://`. It need not answer yet.
    ///
    /// # Errors
    /// When it is no address of a Redis.
    pub fn shared(url: &str) -> anyhow::Result<Self> {
        Ok(Self { local: Local::new(), shared: Some(Redis::at(url)?) })
    }

    /// Counts all of it, or nothing when one claim exceeds its limit.
    pub async fn claim(&self, claims: &[Claim]) -> Tally {
        let Some(shared) = &self.shared else { return self.local.claim(claims) };
        match shared.claim(claims).await {
            Some(tally) => tally,
            None => Tally { alone: true, ..self.local.claim(claims) },
        }
    }

    /// Takes back what was claimed, as far as it is still counted. With shared counts that happens a moment later.
    pub fn give_back(&self, claims: Vec<Claim>) {
        self.local.give_back(&claims);
        let Some(shared) = self.shared.clone() else { return };
        // Out of a runtime nothing can be sent; the windows end by themselves.
        if let (false, Ok(runtime)) = (claims.is_empty(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { shared.give_back(&claims).await });
        }
    }

    /// Forgets what was counted of something.
    pub async fn forget(&self, key: &Key) {
        self.local.forget(key);
        if let Some(shared) = &self.shared {
            shared.forget(key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_address_and_a_mail_address_is_not_to_be_read() {
        let of = |text: &str| Key::of_address("x", text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:203.0.113.1"), "x:203.0.113.1");
        let secret = Key::of_secret("x", "someone@example.com");
        assert!(
            !secret.to_string().contains("example") && secret != Key::of_secret("x", "other@example.com")
        );
    }
}
