//! Who is connected for long, and whether they still may be: a look at all of them at once, twice a second.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::error::{Error, Refusal, Result};
use crate::graphql::context::Door;
use crate::identity::{Changed, Identity, Stood};

/// How often everybody is looked at. A revoked credential is noticed after this at the latest.
const EVERY: Duration = Duration::from_millis(500);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The doors of the live operations and sockets of this process.
#[derive(Default)]
pub struct Live {
    present: Mutex<Present>,
    arrived: Notify,
}

#[derive(Default)]
struct Present {
    next: u64,
    doors: HashMap<u64, Arc<Door>>,
}

/// A door that is looked at until this is dropped.
pub struct Presence {
    live: Arc<Live>,
    number: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        lock(&self.live.present).doors.remove(&self.number);
    }
}

impl Live {
    /// Has a door looked at from now on.
    pub fn enter(self: &Arc<Self>, door: &Arc<Door>) -> Presence {
        let mut present = lock(&self.present);
        let number = present.next;
        present.next += 1;
        present.doors.insert(number, Arc::clone(door));
        self.arrived.notify_one();
        Presence { live: Arc::clone(self), number }
    }

    /// Looks at everybody, for ever. While nobody is there, the database is left alone.
    pub async fn watch_over(&self, identity: &Identity) {
        let mut reported = false;
        loop {
            if lock(&self.present).doors.is_empty() {
                self.arrived.notified().await;
            }
            tokio::time::sleep(EVERY).await;
            match self.look(identity).await {
                Ok(()) => reported = false,
                // Once per outage. Meanwhile nobody gets anything either: every event asks the database.
                Err(error) if !reported => {
                    reported = true;
                    tracing::warn!("who is connected cannot be looked at: {error}");
                }
                Err(_) => {}
            }
        }
    }

    async fn look(&self, identity: &Identity) -> Result<()> {
        // Many operations of one caller are one question.
        let mut asked: HashMap<Stood, Vec<Arc<Door>>> = HashMap::new();
        for door in lock(&self.present).doors.values() {
            let Ok(caller) = door.caller() else { continue };
            let credential = caller.credential;
            let rights = door.stood();
            let rights = rights.into_iter().map(Some).chain([None]);
            for rights in rights {
                asked.entry(Stood { credential, rights }).or_default().push(Arc::clone(door));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let (questions, doors): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        for (place, changed) in Box::pin(identity.find_changed(&questions)).await? {
            for door in doors.get(place).into_iter().flatten() {
                match changed {
                    Changed::Dead => door.pulse().dismiss(Error::Unauthenticated(Refusal::NotAccepted)),
                    Changed::Rights => door.pulse().nudge(),
                }
            }
        }
        Ok(())
    }
}

/// How many long-lived connections each address has.
#[derive(Debug, Default)]
pub struct Seats {
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; dropping it frees it.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    /// Takes a place for an address; none when it has `most` already. Whoever has a whole IPv6 network has one address.
    pub fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Seat> {
        let address = match address {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        let mut taken = lock(&self.taken);
        let count = taken.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Seat { seats: Arc::clone(self), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.seats.taken);
        match taken.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_seats_and_gets_them_back() {
        let seats = Arc::new(Seats::default());
        let one: IpAddr = "203.0.113.1".parse().unwrap();
        let taken: Vec<_> = (0..3).map(|_| seats.take(one, 3).unwrap()).collect();
        assert!(seats.take(one, 3).is_none());
        assert!(seats.take("203.0.113.2".parse().unwrap(), 3).is_some());
        drop(taken);
        assert!(seats.take(one, 1).is_some());
        assert!(lock(&seats.taken).is_empty());
        let first = seats.take("2001:db8::1".parse().unwrap(), 1);
        assert!(first.is_some() && seats.take("2001:db8::2".parse().unwrap(), 1).is_none());
    }
}
