//! What makes a repeated create harmless: a key of the caller's, remembered for 24 hours beside what it made.

mod store;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::db::WriteTx;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::input;

/// A caller's key and the fingerprint of the input that it was sent with.
#[derive(Debug, Clone)]
pub struct Key {
    text: String,
    input: [u8; 32],
}

impl Key {
    /// Reads the key of an input; none when there is none.
    ///
    /// # Errors
    /// A fault at `idempotencyKey`.
    pub fn parse(text: Option<&str>, input: &impl Serialize) -> Result<Option<Self>> {
        let Some(text) = text else { return Ok(None) };
        let text = input::line("idempotencyKey", text, 200)?;
        let json = serde_json::to_vec(input).map_err(Error::internal)?;
        Ok(Some(Self { text, input: Sha256::digest(json).into() }))
    }

    /// The key.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Refuses the key when it was used before with another input.
    ///
    /// # Errors
    /// `IDEMPOTENCY_KEY_REUSED`.
    pub fn compare(&self, stored: &[u8]) -> Result<()> {
        if self.input == stored {
            return Ok(());
        }
        Err(Error::fault(Fault::at(
            FaultCode::IdempotencyKeyReused,
            "idempotencyKey",
            "This idempotency key was used before with another input. Use a new key for a new request.",
        )))
    }
}

/// Claims the key for what is about to be made, or finds what the same call made before. Of calls at the same time one
/// claims it; the others wait for that one's commit and find its result.
///
/// # Errors
/// `IDEMPOTENCY_KEY_REUSED`.
pub async fn claim(tx: &mut WriteTx<'_>, key: Option<&Key>, target: Uuid) -> Result<Option<Uuid>> {
    let Some(key) = key else { return Ok(None) };
    store::forget_old(tx).await?;
    if store::insert(tx, &key.text, &key.input, target).await? {
        return Ok(None);
    }
    let (earlier, input) = store::get(tx, &key.text).await?;
    key.compare(&input)?;
    Ok(Some(earlier))
}
