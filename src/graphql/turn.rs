//! A request's turn to be worked on, which its resolvers may give up.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// A request's turn: as long as it is held, the request is worked on. Clones are the same turn.
#[derive(Debug, Clone)]
pub struct Turn(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Turn {
    /// The turn that a permit stands for.
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// Lets somebody else have it, before a wait that takes neither the processor nor the database. What is left to do
    /// after the wait is little, and needs no turn.
    pub fn give_up(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
