//! Counts attempts, so that guessing is slow: per account and address, per account, and per address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::error::{Detail, Error, Fault, FaultCode, Result};

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Signing in; only failures count.
    SignIn,
    /// Making an account.
    SignUp,
    /// Asking for a mail.
    Mail,
}

/// How many attempts are let through in a quarter of an hour.
#[derive(Debug, Clone, Copy)]
pub struct ThrottleSettings {
    /// For one account from one address.
    pub per_account_and_address: u32,
    /// For one account from everywhere: high enough that a stranger cannot easily lock its owner out.
    pub per_account: u32,
    /// From one address.
    pub per_address: u32,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self { per_account_and_address: 10, per_account: 100, per_address: 100 }
    }
}

const WINDOW: Duration = Duration::from_mins(15);
/// How long an address from which somebody has signed in is known to be theirs.
const FAMILIAR: Duration = Duration::from_hours(30 * 24);

type Counter = (Attempt, String);

/// The counters of this process.
#[derive(Debug)]
pub struct Throttle {
    settings: ThrottleSettings,
    counters: Cache<Counter, Arc<AtomicU32>>,
    /// Accounts with the addresses that they have been signed in to from.
    familiar: Cache<(String, String), ()>,
}

/// One attempt that has been let through, and counts until it turns out not to have been a wrong guess.
#[derive(Debug)]
#[must_use = "an attempt that is dropped does not count"]
pub struct Turn<'a> {
    throttle: &'a Throttle,
    counted: Vec<Arc<AtomicU32>>,
    attempt: Attempt,
    account: Option<String>,
    address: String,
}

impl Turn<'_> {
    /// It was a wrong guess: it counts.
    pub fn failed(mut self) {
        self.counted.clear();
    }

    /// It was right: what went wrong before, there and with this account, is forgotten.
    pub fn succeeded(self) {
        let Some(account) = self.account.clone() else { return };
        let own = pair(&account, &self.address);
        self.throttle.counters.invalidate(&(self.attempt, own));
        self.throttle.familiar.insert((account, self.address.clone()), ());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for counter in &self.counted {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// An address as it is counted: whoever has a whole IPv6 network has one.
fn counted(address: Option<&str>) -> String {
    let Some(text) = address else { return "unknown".to_owned() };
    match text.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        Ok(ip) => ip.to_string(),
        Err(_) => text.to_owned(),
    }
}

fn pair(account: &str, address: &str) -> String {
    format!("account {account} address {address}")
}

impl Throttle {
    /// Counters that start at zero.
    pub fn new(settings: ThrottleSettings) -> Self {
        // A counter lives from its first attempt to the end of its window.
        let counters = Cache::builder().max_capacity(200_000).time_to_live(WINDOW).build();
        let familiar = Cache::builder().max_capacity(200_000).time_to_idle(FAMILIAR).build();
        Self { settings, counters, familiar }
    }

    fn keys(&self, account: Option<&str>, address: &str) -> Vec<(String, u32)> {
        let mut keys = vec![(format!("address {address}"), self.settings.per_address)];
        if let Some(account) = account {
            keys.push((pair(account, address), self.settings.per_account_and_address));
            // Strangers who guess from everywhere do not lock the owner out of where they have been before.
            if !self.familiar.contains_key(&(account.to_owned(), address.to_owned())) {
                keys.push((format!("account {account}"), self.settings.per_account));
            }
        }
        keys
    }

    /// Lets an attempt through and counts it, or refuses because one of its counters is full. It answers alike for accounts
    /// that exist and that do not.
    ///
    /// An attempt counts before its outcome is known: many at once get no more guesses than one after the other.
    ///
    /// # Errors
    /// A `THROTTLED` fault.
    pub fn enter(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Result<Turn<'_>> {
        let address = counted(address);
        let keys = self.keys(account, &address);
        let account = account.map(str::to_owned);
        let mut turn = Turn { throttle: self, counted: Vec::new(), attempt, account, address };
        for (key, limit) in keys {
            let counter = self.counters.get_with((attempt, key), Arc::default);
            let before = counter.fetch_add(1, Ordering::Relaxed);
            // Dropped with the turn when one of them is full.
            turn.counted.push(counter);
            if before >= limit {
                return Err(throttled());
            }
        }
        Ok(turn)
    }

    /// Lets an attempt through that counts whatever comes of it.
    ///
    /// # Errors
    /// As [`Throttle::enter`].
    pub fn pass(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Result<()> {
        self.enter(attempt, account, address).map(Turn::failed)
    }
}

fn throttled() -> Error {
    let seconds = i32::try_from(WINDOW.as_secs()).unwrap_or(i32::MAX);
    Error::fault(
        Fault::new(FaultCode::Throttled, "Too many attempts. Wait a quarter of an hour, then try again.")
            .with(Detail::Throttle { retry_after_seconds: seconds }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(ThrottleSettings { per_account_and_address: 3, per_account: 5, per_address: 100 })
    }

    /// Attacks: 34.
    #[test]
    fn guessing_at_one_account_stops_and_others_go_on() {
        let throttle = throttle();
        for _ in 0..3 {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some("1")).unwrap();
        }
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("1")).is_err());
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("2")).is_ok());
        assert!(throttle.enter(Attempt::SignIn, Some("b@x"), Some("1")).is_ok());
        assert!(throttle.enter(Attempt::SignUp, Some("a@x"), Some("1")).is_ok());
    }

    #[test]
    fn only_wrong_guesses_count_and_a_right_one_forgets_them() {
        let throttle = throttle();
        let enter = || throttle.enter(Attempt::SignIn, Some("a@x"), Some("1"));
        // What was broken off, or could not be tried, is no guess.
        for _ in 0..10 {
            drop(enter().unwrap());
        }
        for _ in 0..2 {
            enter().unwrap().failed();
        }
        enter().unwrap().succeeded();
        for _ in 0..3 {
            enter().unwrap().failed();
        }
        assert!(enter().is_err());
        // A refusal does not count either: at the account itself there were two wrong guesses.
        for _ in 0..10 {
            assert!(enter().is_err());
        }
        let other = || throttle.enter(Attempt::SignIn, Some("a@x"), Some("2"));
        for _ in 0..3 {
            other().unwrap().failed();
        }
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("3")).is_err());
    }

    /// Attacks: 34.
    #[test]
    fn guesses_at_the_same_time_count_before_they_are_judged() {
        let throttle = throttle();
        let turns: Vec<_> =
            (0..10).map(|_| throttle.enter(Attempt::SignIn, Some("a@x"), Some("1"))).collect();
        assert_eq!(turns.iter().filter(|turn| turn.is_ok()).count(), 3);
        drop(turns);
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("1")).is_ok());
    }

    /// Attacks: 126.
    #[test]
    fn strangers_do_not_lock_somebody_out_of_where_they_have_been() {
        let throttle = throttle();
        throttle.enter(Attempt::SignIn, Some("a@x"), Some("home")).unwrap().succeeded();
        for stranger in ["1", "2"] {
            for _ in 0..3 {
                let _ = throttle.pass(Attempt::SignIn, Some("a@x"), Some(stranger));
            }
        }
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("3")).is_err(), "the account is full");
        for _ in 0..3 {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some("home")).unwrap();
        }
        assert!(
            throttle.enter(Attempt::SignIn, Some("a@x"), Some("home")).is_err(),
            "and guesses count there too"
        );
    }

    /// Attacks: 34.
    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        let throttle = throttle();
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"] {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some(host)).unwrap();
        }
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("2001:db8::4")).is_err());
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("2001:db8:0:1::4")).is_ok());
        assert_eq!(counted(Some("::ffff:203.0.113.7")), "203.0.113.7");
    }
}
