//! Counts attempts, so that guessing is slow: per account and address, per account, and per address.

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

/// The counters of this process.
#[derive(Debug)]
pub struct Throttle {
    settings: ThrottleSettings,
    counters: Cache<(Attempt, String), Arc<AtomicU32>>,
}

impl Throttle {
    /// Counters that start at zero.
    pub fn new(settings: ThrottleSettings) -> Self {
        // A counter lives from its first attempt to the end of its window.
        let counters = Cache::builder().max_capacity(200_000).time_to_live(WINDOW).build();
        Self { settings, counters }
    }

    fn keys(&self, account: Option<&str>, address: Option<&str>) -> Vec<(String, u32)> {
        let address = address.unwrap_or("unknown");
        let mut keys = vec![(format!("address {address}"), self.settings.per_address)];
        if let Some(account) = account {
            keys.push((format!("account {account}"), self.settings.per_account));
            keys.push((
                format!("account {account} address {address}"),
                self.settings.per_account_and_address,
            ));
        }
        keys
    }

    /// Refuses when one of the counters is full. It answers alike for accounts that exist and that do not.
    ///
    /// # Errors
    /// A `THROTTLED` fault.
    pub fn check(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Result<()> {
        let full = self.keys(account, address).into_iter().any(|(key, limit)| {
            self.counters.get(&(attempt, key)).is_some_and(|count| count.load(Ordering::Relaxed) >= limit)
        });
        if !full {
            return Ok(());
        }
        let seconds = i32::try_from(WINDOW.as_secs()).unwrap_or(i32::MAX);
        Err(Error::fault(
            Fault::new(FaultCode::Throttled, "Too many attempts. Wait a quarter of an hour, then try again.")
                .with(Detail::Throttle { retry_after_seconds: seconds }),
        ))
    }

    /// Counts one attempt.
    pub fn count(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) {
        for (key, _) in self.keys(account, address) {
            self.counters.get_with((attempt, key), Arc::default).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Checks, then counts.
    ///
    /// # Errors
    /// As [`Throttle::check`].
    pub fn pass(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Result<()> {
        self.check(attempt, account, address)?;
        self.count(attempt, account, address);
        Ok(())
    }

    /// Forgets the failures of an account at an address, after a success there.
    pub fn forgive(&self, attempt: Attempt, account: &str, address: Option<&str>) {
        let address = address.unwrap_or("unknown");
        self.counters.invalidate(&(attempt, format!("account {account} address {address}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_at_one_account_stops_and_others_go_on() {
        let settings = ThrottleSettings { per_account_and_address: 3, per_account: 5, per_address: 100 };
        let throttle = Throttle::new(settings);
        for _ in 0..3 {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some("1")).unwrap();
        }
        assert!(throttle.check(Attempt::SignIn, Some("a@x"), Some("1")).is_err());
        assert!(throttle.check(Attempt::SignIn, Some("a@x"), Some("2")).is_ok());
        assert!(throttle.check(Attempt::SignIn, Some("b@x"), Some("1")).is_ok());
        assert!(throttle.check(Attempt::SignUp, Some("a@x"), Some("1")).is_ok());
        throttle.forgive(Attempt::SignIn, "a@x", Some("1"));
        assert!(throttle.check(Attempt::SignIn, Some("a@x"), Some("1")).is_ok());
    }
}
