//! Counts attempts, so that guessing is slow: per account and address, per account, and per address.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use moka::sync::Cache;

use crate::counters::{Claim, Counters, Key, Tally};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::telemetry::count;

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Signing in; only failures count.
    SignIn,
    /// Making an account.
    SignUp,
    /// Asking for a mail.
    Mail,
    /// Having a provider of models asked something.
    ProviderTest,
    /// Having it asked whether a connected account can be used.
    AccountTest,
}

impl Attempt {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignUp => "sign_up",
            Self::Mail => "mail",
            Self::ProviderTest => "provider_test",
            Self::AccountTest => "account_test",
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
/// How long an address from which somebody has signed in is known to be theirs.
const FAMILIAR: Duration = Duration::from_hours(30 * 24);

/// Slows guessing down. While the shared counts cannot be reached, each process counts for itself: whoever guesses sends
/// changes, and those are refused then before they come here.
#[derive(Debug)]
pub struct Throttle {
    settings: ThrottleSettings,
    counters: Counters,
    /// Accounts with the addresses that they have been signed in to from.
    familiar: Cache<(String, String), ()>,
}

/// One attempt that has been let through, and counts until it turns out not to have been a wrong guess.
#[derive(Debug)]
#[must_use = "an attempt that is dropped does not count"]
pub struct Turn<'a> {
    throttle: &'a Throttle,
    counted: Vec<Claim>,
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
    pub async fn succeeded(self) {
        let Some(account) = self.account.clone() else { return };
        let own = account_and_address(self.attempt, &account, &self.address);
        self.throttle.counters.forget(&own).await;
        self.throttle.familiar.insert((account, self.address.clone()), ());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.throttle.counters.give_back(std::mem::take(&mut self.counted));
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

/// What an account is counted as at an address. Neither is to be read where the counts are kept.
fn account_and_address(attempt: Attempt, account: &str, address: &str) -> Key {
    Key::of_secret(attempt.as_str(), &format!("account {account} address {address}"))
}

impl Throttle {
    /// Attempts that are counted there.
    pub fn new(settings: ThrottleSettings, counters: Counters) -> Self {
        let familiar = Cache::builder().max_capacity(200_000).time_to_idle(FAMILIAR).build();
        Self { settings, counters, familiar }
    }

    fn claims(&self, attempt: Attempt, account: Option<&str>, address: &str) -> Vec<Claim> {
        let claim = |key, limit: u32| Claim { key, amount: 1, limit: u64::from(limit), window: WINDOW };
        let secret = |text: String| Key::of_secret(attempt.as_str(), &text);
        let mut claims = vec![claim(secret(format!("address {address}")), self.settings.per_address)];
        if let Some(account) = account {
            let both = account_and_address(attempt, account, address);
            claims.push(claim(both, self.settings.per_account_and_address));
            // Strangers who guess from everywhere do not lock the owner out of where they have been before.
            if !self.familiar.contains_key(&(account.to_owned(), address.to_owned())) {
                claims.push(claim(secret(format!("account {account}")), self.settings.per_account));
            }
        }
        claims
    }

    /// Lets an attempt through and counts it, or refuses because one of its counts is full. It answers alike for accounts
    /// that exist and that do not.
    ///
    /// An attempt counts before its outcome is known: many at once get no more guesses than one after the other.
    ///
    /// # Errors
    /// A `THROTTLED` fault.
    pub async fn enter(
        &self,
        attempt: Attempt,
        account: Option<&str>,
        address: Option<&str>,
    ) -> Result<Turn<'_>> {
        let address = counted(address);
        let claims = self.claims(attempt, account, &address);
        let tally = self.counters.claim(&claims).await;
        refuse(&tally).inspect_err(|_| count().throttled(attempt.as_str()))?;
        let account = account.map(str::to_owned);
        Ok(Turn { throttle: self, counted: claims, attempt, account, address })
    }

    /// Lets an attempt through that counts whatever comes of it.
    ///
    /// # Errors
    /// As [`Throttle::enter`].
    pub async fn pass(&self, attempt: Attempt, account: Option<&str>, address: Option<&str>) -> Result<()> {
        self.enter(attempt, account, address).await.map(Turn::failed)
    }
}

fn refuse(tally: &Tally) -> Result<()> {
    let Some(count) = tally.refused.and_then(|at| tally.counts.get(at)) else { return Ok(()) };
    let seconds = count.ends_in.as_secs() + 1;
    let message = match seconds.div_ceil(60) {
        1 => "Too many attempts. Wait a minute, then try again.".to_owned(),
        minutes => format!("Too many attempts. Wait {minutes} minutes, then try again."),
    };
    let retry_after_seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    Err(Error::fault(
        Fault::new(FaultCode::Throttled, message).with(Detail::Throttle { retry_after_seconds }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        let settings = ThrottleSettings { per_account_and_address: 3, per_account: 5, per_address: 100 };
        Throttle::new(settings, Counters::local())
    }

    /// Attacks: 34.
    #[tokio::test]
    async fn guessing_at_one_account_stops_and_others_go_on() {
        let throttle = throttle();
        for _ in 0..3 {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some("1")).await.unwrap();
        }
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("1")).await.is_err());
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("2")).await.is_ok());
        assert!(throttle.enter(Attempt::SignIn, Some("b@x"), Some("1")).await.is_ok());
        assert!(throttle.enter(Attempt::SignUp, Some("a@x"), Some("1")).await.is_ok());
    }

    #[tokio::test]
    async fn only_wrong_guesses_count_and_a_right_one_forgets_them() {
        let throttle = throttle();
        let enter = || throttle.enter(Attempt::SignIn, Some("a@x"), Some("1"));
        // What was broken off, or could not be tried, is no guess.
        for _ in 0..10 {
            drop(enter().await.unwrap());
        }
        for _ in 0..2 {
            enter().await.unwrap().failed();
        }
        enter().await.unwrap().succeeded().await;
        for _ in 0..3 {
            enter().await.unwrap().failed();
        }
        assert!(enter().await.is_err());
        // A refusal does not count either: at the account itself there were two wrong guesses.
        for _ in 0..10 {
            assert!(enter().await.is_err());
        }
        let other = || throttle.enter(Attempt::SignIn, Some("a@x"), Some("2"));
        for _ in 0..3 {
            other().await.unwrap().failed();
        }
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("3")).await.is_err());
    }

    /// Attacks: 34.
    #[tokio::test]
    async fn guesses_at_the_same_time_count_before_they_are_judged() {
        let throttle = throttle();
        let entering = (0..10).map(|_| throttle.enter(Attempt::SignIn, Some("a@x"), Some("1")));
        let turns = futures_util::future::join_all(entering).await;
        assert_eq!(turns.iter().filter(|turn| turn.is_ok()).count(), 3);
        drop(turns);
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("1")).await.is_ok());
    }

    /// Attacks: 126.
    #[tokio::test]
    async fn strangers_do_not_lock_somebody_out_of_where_they_have_been() {
        let throttle = throttle();
        throttle.enter(Attempt::SignIn, Some("a@x"), Some("home")).await.unwrap().succeeded().await;
        for stranger in ["1", "2"] {
            for _ in 0..3 {
                let _ = throttle.pass(Attempt::SignIn, Some("a@x"), Some(stranger)).await;
            }
        }
        assert!(
            throttle.enter(Attempt::SignIn, Some("a@x"), Some("3")).await.is_err(),
            "the account is full"
        );
        for _ in 0..3 {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some("home")).await.unwrap();
        }
        assert!(
            throttle.enter(Attempt::SignIn, Some("a@x"), Some("home")).await.is_err(),
            "and guesses count there too"
        );
    }

    /// Attacks: 34.
    #[tokio::test]
    async fn a_whole_ipv6_network_is_one_address() {
        let throttle = throttle();
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"] {
            throttle.pass(Attempt::SignIn, Some("a@x"), Some(host)).await.unwrap();
        }
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("2001:db8::4")).await.is_err());
        assert!(throttle.enter(Attempt::SignIn, Some("a@x"), Some("2001:db8:0:1::4")).await.is_ok());
        assert_eq!(counted(Some("::ffff:203.0.113.7")), "203.0.113.7");
    }
}
