//! The stand-in where no private cluster can be run: it says so, and what to set instead.

use std::path::Path;

use anyhow::{Result, bail};

use super::Options;

/// A running private cluster, of which there is none on this platform.
pub enum Cluster {}

impl Cluster {
    /// Refuses, and names the setting to use instead.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the same signature as on the platforms that have it")]
    pub async fn start(_options: Options) -> Result<Self> {
        bail!(
            "The private PostgreSQL cluster needs Linux or macOS. Set DATABASE_URL to a PostgreSQL 15 or newer."
        )
    }

    /// The folder of the server's socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        match *self {}
    }

    /// The port, which is only a part of the socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        match *self {}
    }

    /// The name of the superuser.
    #[must_use]
    pub fn superuser(&self) -> &str {
        match *self {}
    }

    /// The superuser's password.
    #[must_use]
    pub fn superuser_password(&self) -> &str {
        match *self {}
    }

    /// The server's version.
    #[must_use]
    pub fn version(&self) -> &str {
        match *self {}
    }

    /// The folder of the server's programs.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        match *self {}
    }

    /// Gives the cluster up.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unused_async, reason = "the same signature as on the platforms that have it")]
    pub async fn leave(self) -> Result<()> {
        match self {}
    }
}
