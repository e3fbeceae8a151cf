//! The private PostgreSQL cluster: found, made, started, shared between processes, and stopped by the last.
//!
//! It listens on a Unix socket only. This module knows nothing of the schema or the roles inside: whoever
//! starts the cluster receives its superuser and does the rest.
//!
//! The data folder holds
//!
//! | name | what |
//! |---|---|
//! | `pg/` | the cluster, owned by the account that the server runs as |
//! | `run/` | the socket; a short folder elsewhere when this path is too long for a socket |
//! | `aicos.conf` | the settings that differ from PostgreSQL's own, written anew at each start |
//! | `superuser.password` | the superuser's password, for the starting account alone |
//! | `postgresql.log` | the server's log; the one before is `postgresql.log.1` |
//! | `postgresql.json` | where the programs were found, so that a start need not look again |
//! | `npm/` | PostgreSQL itself, when it had to be fetched |
//! | `start.lock`, `users.lock` | one process starts or stops at a time; every user holds the second |
//!
//! Only `pg/`, `run/` and the log belong to the server's account, so a server that was broken into cannot
//! change what the starting account, possibly root, reads and runs.

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(unix)]
mod account;
#[cfg(unix)]
mod cluster;
#[cfg(unix)]
mod find;
#[cfg(unix)]
mod npm;
#[cfg(test)]
#[cfg(unix)]
mod tests;
#[cfg(not(unix))]
mod unsupported;

#[cfg(unix)]
pub use cluster::Cluster;
#[cfg(not(unix))]
pub use unsupported::Cluster;

/// Receives a sentence about each step that takes long enough to be worth telling.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Where to look and where to keep things.
#[derive(Clone)]
pub struct Options {
    /// The folder under which everything lies; made when it is missing.
    pub data_dir: PathBuf,
    /// The folder of `initdb`, `pg_ctl` and `postgres` (`AICOS_POSTGRES_BIN`); looked up when absent.
    pub bin_dir: Option<PathBuf>,
    /// Told about slow steps.
    pub progress: Progress,
}

/// The data folder for the current account when none is set.
///
/// Root's is `/var/lib/aicos`, never below root's home, which the server's own account cannot enter.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    #[cfg(unix)]
    {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        data_dir_for(
            rustix::process::geteuid().is_root(),
            variable("XDG_DATA_HOME"),
            variable("HOME").or_else(account::home),
        )
    }
    #[cfg(not(unix))]
    {
        std::env::temp_dir().join("aicos")
    }
}

#[cfg(unix)]
fn data_dir_for(root: bool, xdg_data_home: Option<PathBuf>, home: Option<PathBuf>) -> PathBuf {
    if root {
        return PathBuf::from("/var/lib/aicos");
    }
    let home = home.unwrap_or_else(std::env::temp_dir);
    if cfg!(target_os = "macos") {
        home.join("Library/Application Support/aicos")
    } else {
        xdg_data_home.unwrap_or_else(|| home.join(".local/share")).join("aicos")
    }
}
