//! Counts attempts, so that guessing is slow: per account and address, per account, and per address.

use std::time::Duration;

use crate::counters::{Claim, Counters, Key, Tally};
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

impl Attempt {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignUp => "sign-up",
            Self::Mail => "mail",
        }
    }
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

/// Slows guessing down. While the shared counts cannot be reached, each process counts for itself: whoever guesses sends
/// changes, and those are refused then before they come here.
#[derive(Debug)]
pub struct Throttle {
    settings: ThrottleSettings,
    counters: Counters,
}

/// What an account is counted as at an address. Neither is to be read where the counts are kept.
fn account_and_address(attempt: Attempt, account: &str, address: &str) -> Key {
    Key::of_secret(attempt.as_str(), &format!("account {account} address {address}"))
}

impl Throttle {
    /// Attempts that are counted there.
    pub const fn new(settings: ThrottleSettings, counters: Counters) -> Self {
        Self { settings, counters }
    }

    fn claims(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Vec<Claim> {
        let address = address.unwrap_or("unknown");
        let claim = |key, limit: u32| Claim { key, amount: 1, limit: u64::from(limit), window: WINDOW };
        let secret = |text: String| Key::of_secret(attempt.as_str(), &text);
        let mut claims = vec![claim(secret(format!("address {address}")), self.settings.per_address)];
        if let Some(account) = account {
            claims.push(claim(secret(format!("account {account}")), self.settings.per_account));
            let both = account_and_address(attempt, account, address);
            claims.push(claim(both, self.settings.per_account_and_address));
        }
        claims
    }

    /// Refuses when one of the counts is full. It answers alike for accounts that exist and that do not.
    ///
    /// # Errors
    /// A `THROTTLED` fault.
    pub async fn check(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Result<()> {
        let mut claims = self.claims(attempt, account, address);
        for claim in &mut claims {
            claim.amount = 0;
        }
        let tally = self.counters.claim(&claims).await;
        let full = claims.iter().zip(&tally.counts).position(|(claim, count)| count.spent >= claim.limit);
        refuse(&tally, full)
    }

    /// Counts one attempt.
    pub async fn count(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) {
        let mut claims = self.claims(attempt, account, address);
        for claim in &mut claims {
            claim.limit = u64::MAX;
        }
        self.counters.claim(&claims).await;
    }

    /// Counts one attempt, unless one of the counts is full.
    ///
    /// # Errors
    /// As [`Throttle::check`].
    pub async fn pass(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Result<()> {
        let tally = self.counters.claim(&self.claims(attempt, account, address)).await;
        refuse(&tally, tally.refused)
    }

    /// Forgets the failures of an account at an address, after a success there.
    pub async fn forgive(&self, attempt: Attempt, account: &str, address: Option<&str>) {
        let address = address.unwrap_or("unknown");
        self.counters.forget(&account_and_address(attempt, account, address)).await;
    }
}

fn refuse(tally: &Tally, full: Option<usize>) -> Result<()> {
    let Some(count) = full.and_then(|at| tally.counts.get(at)) else { return Ok(()) };
    let seconds = count.ends_in.as_secs() + 1;
    let minutes = seconds.div_ceil(60);
    let message = match minutes {
        1 => "Too many attempts. Wait a minute, then try again.".to_owned(),
        _ => format!("Too many attempts. Wait {minutes} minutes, then try again."),
    };
    let retry_after_seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    Err(Error::fault(
        Fault::new(FaultCode::Throttled, message).with(Detail::Throttle { retry_after_seconds }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn guessing_at_one_account_stops_and_others_go_on() {
        let settings = ThrottleSettings { per_account_and_address: 3, per_account: 5, per_address: 100 };
        let throttle = Throttle::new(settings, Counters::local());
        for _ in 0..3 {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some("1")).await.unwrap();
        }
        let at = async |attempt, account, address| {
            throttle.check(attempt, Some(account), Some(address)).await.is_ok()
        };
        assert!(!at(Attempt::SignIn, "a@x", "1").await);
        assert!(throttle.pass(Attempt::SignIn, Some("a@x"), Some("1")).await.is_err());
        assert!(at(Attempt::SignIn, "a@x", "2").await);
        assert!(at(Attempt::SignIn, "b@x", "1").await);
        assert!(at(Attempt::SignUp, "a@x", "1").await);
        throttle.forgive(Attempt::SignIn, "a@x", Some("1")).await;
        assert!(at(Attempt::SignIn, "a@x", "1").await);
        // From everywhere together it is two more.
        throttle.count(Attempt::SignIn, Some("a@x"), Some("3")).await;
        throttle.count(Attempt::SignIn, Some("a@x"), Some("4")).await;
        assert!(!at(Attempt::SignIn, "a@x", "5").await);
        assert!(at(Attempt::SignIn, "b@x", "5").await);
    }
}
