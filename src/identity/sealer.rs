//! Secrets that are kept in rows of organizations, each sealed for its own row.

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use uuid::Uuid;

use super::master::{MasterKeys, Purpose};
use crate::db::{AnonymousTx, Db, Facts};
use crate::error::{Error, Result};
use crate::id::OrganizationId;

/// Seals and opens secrets of one kind with the master keys. Bytes that are copied into another row, or to another tenant, do
/// not open.
#[derive(Debug)]
pub struct Sealer {
    master: MasterKeys,
    purpose: Purpose,
}

fn place(organization: OrganizationId, row: Uuid) -> Vec<u8> {
    [organization.uuid().as_bytes().as_slice(), row.as_bytes()].concat()
}

impl Sealer {
    /// For secrets of this kind.
    pub const fn new(master: MasterKeys, purpose: Purpose) -> Self {
        Self { master, purpose }
    }

    /// Seals a secret for its row.
    ///
    /// # Errors
    /// A fault of ours: encryption is not available.
    pub fn seal(&self, organization: OrganizationId, row: Uuid, secret: &[u8]) -> Result<Vec<u8>> {
        self.master.seal(self.purpose, secret, &place(organization, row))
    }

    /// Opens what was sealed for this row.
    ///
    /// # Errors
    /// A fault of ours: it was not, or its master key is gone.
    pub fn open(&self, organization: OrganizationId, row: Uuid, sealed: &[u8]) -> Result<SecretSlice<u8>> {
        Ok(self.master.open(self.purpose, sealed, &place(organization, row))?)
    }

    /// Opens a text that was sealed for this row.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn open_text(&self, organization: OrganizationId, row: Uuid, sealed: &[u8]) -> Result<SecretString> {
        let opened = self.open(organization, row, sealed)?;
        let text = std::str::from_utf8(opened.expose_secret()).map_err(Error::internal)?;
        Ok(text.into())
    }

    /// The same secret, sealed under the current master key.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn anew(&self, organization: OrganizationId, row: Uuid, sealed: &[u8]) -> Result<Vec<u8>> {
        self.seal(organization, row, self.open(organization, row, sealed)?.expose_secret())
    }

    /// Seals everything anew that is not sealed under the current master key (`aicos keys rotate`). `waiting` gives some rows
    /// whose bytes begin otherwise than those that it is told, `replace` puts one in its place unless that has changed
    /// meanwhile. Gives how many.
    ///
    /// # Errors
    /// When the database does not answer, or a secret cannot be opened with any master key.
    pub async fn reseal<T>(
        &self,
        db: &Db,
        waiting: impl AsyncFn(&mut AnonymousTx<'_>, &[u8], i32) -> Result<Vec<T>>,
        replace: impl AsyncFn(&mut AnonymousTx<'_>, T) -> Result<bool>,
    ) -> Result<usize> {
        const AT_ONCE: i32 = 100;
        let lease = db.lease(Facts::default());
        let mut sealed = 0;
        loop {
            let mut tx = lease.anonymous().await?;
            let rows = waiting(&mut tx, &self.master.current(), AT_ONCE).await?;
            if rows.is_empty() {
                return Ok(sealed);
            }
            for row in rows {
                // One that has just been replaced is sealed under the current key already.
                sealed += usize::from(replace(&mut tx, row).await?);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_in_its_own_place_only() {
        let sealer = Sealer::new(MasterKeys::generate().unwrap(), Purpose::ProviderKeys);
        let (organization, row) = (OrganizationId::generate(), Uuid::now_v7());
        let sealed = sealer.seal(organization, row, b"sk-hush").unwrap();
        assert!(!sealed.windows(4).any(|bytes| bytes == b"hush"));
        assert_eq!(sealer.open_text(organization, row, &sealed).unwrap().expose_secret(), "sk-hush");
        let anew = sealer.anew(organization, row, &sealed).unwrap();
        assert_ne!(anew, sealed);
        assert_eq!(sealer.open_text(organization, row, &anew).unwrap().expose_secret(), "sk-hush");
        assert!(sealer.open(OrganizationId::generate(), row, &sealed).is_err());
        assert!(sealer.open(organization, Uuid::now_v7(), &sealed).is_err());
        let others = Sealer::new(MasterKeys::generate().unwrap(), Purpose::ProviderKeys);
        assert!(others.open(organization, row, &sealed).is_err());
        let other = Sealer { purpose: Purpose::AccountTokens, ..sealer };
        assert!(other.open(organization, row, &sealed).is_err());
    }
}
