//! A clock, a pace and what is waited for, to test with.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::machine::{Pace, Then};

pub const PACE: Pace = Pace {
    poll: Duration::from_secs(5),
    settle: Duration::from_secs(60),
    retry: Duration::from_secs(10),
    room: Duration::from_secs(900),
};

pub fn start() -> DateTime<Utc> {
    "2027-01-04T10:00:00Z".parse().unwrap()
}

/// How many seconds are waited, for a reason.
pub fn waits(then: Then) -> u64 {
    match then {
        Then::Wait(after, why) => {
            assert!(!why.is_empty());
            after.as_secs()
        }
        Then::On => panic!("it goes on"),
    }
}
