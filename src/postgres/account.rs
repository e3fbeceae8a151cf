//! Whose account the server's programs run under: the current one, or a lesser one when that is root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, bail};
use rustix::process::{getegid, geteuid};
use tokio::process::Command;

/// What the server's programs get to see of the environment.
///
/// Everything else stays behind: the server may run under an account that must not read our secrets.
const ENVIRONMENT: [&str; 8] = [
    "PATH",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "LOCPATH",
    "LOCALE_ARCHIVE",
    "ICU_DATA",
];

/// The account of the server and its programs.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    /// Whether it is another account than the current one; only root can have such.
    pub(super) lesser: bool,
}

impl Account {
    /// The account that owns the cluster in `pg`, or is to own a new one.
    ///
    /// An existing cluster decides, because PostgreSQL insists on being run by the owner of its data: a
    /// `postgres` account that appears later must not lock out a cluster that `nobody` made.
    pub(super) fn choose(pg: &Path) -> Result<Self> {
        let people = fs::read_to_string("/etc/passwd").map(|text| parse(&text)).unwrap_or_default();
        let owner = owner_of_content(pg);
        let me = geteuid();
        if !me.is_root() {
            if let Some((uid, _)) = owner.filter(|(uid, _)| *uid != me.as_raw()) {
                bail!(
                    "{} belongs to {}, and PostgreSQL runs only as the owner of its data. Start this as that \
                     user, or choose another data folder.",
                    pg.display(),
                    name_of(&people, uid),
                );
            }
            let name = name_of(&people, me.as_raw());
            return Ok(Self { uid: me.as_raw(), gid: getegid().as_raw(), name, lesser: false });
        }
        if let Some((uid, gid)) = owner {
            if uid == 0 {
                bail!(
                    "{0} belongs to root, and PostgreSQL refuses to run as root. Give it to the account that \
                     made it: chown -R postgres: {0}",
                    pg.display(),
                );
            }
            let gid = people.iter().find(|person| person.uid == uid).map_or(gid, |person| person.gid);
            return Ok(Self { uid, gid, name: name_of(&people, uid), lesser: true });
        }
        for name in ["postgres", "_postgres", "nobody"] {
            if let Some(person) = people.iter().find(|person| person.name == name && person.uid != 0) {
                return Ok(Self { uid: person.uid, gid: person.gid, name: name.to_owned(), lesser: true });
            }
        }
        bail!(
            "PostgreSQL refuses to run as root, and /etc/passwd has neither a postgres nor a nobody account to \
             run it as. Add one (useradd --system postgres), start this as an ordinary user, or set \
             DATABASE_URL."
        )
    }

    /// A command that runs as this account, with captured output and nothing of ours but the essentials.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // English messages, and on macOS the server refuses to start without any locale.
        command.env("LC_ALL", "C");
        // The current folder may be closed to a lesser account, and PostgreSQL's programs look at it.
        command.current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.lesser {
            // The supplementary groups of root are dropped along with the user.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// The nearest folder on the way to `path` that this account cannot pass, judged by its mode.
    pub(super) fn barred_by(&self, path: &Path) -> Option<PathBuf> {
        if !self.lesser {
            return None;
        }
        path.ancestors()
            .find(|folder| {
                fs::metadata(folder).is_ok_and(|found| {
                    let bit = match found {
                        _ if found.uid() == self.uid => 0o100,
                        _ if found.gid() == self.gid => 0o010,
                        _ => 0o001,
                    };
                    found.is_dir() && found.mode() & bit == 0
                })
            })
            .map(Path::to_path_buf)
    }
}

/// The home folder that `/etc/passwd` gives the current account.
pub(super) fn home() -> Option<PathBuf> {
    let people = parse(&fs::read_to_string("/etc/passwd").ok()?);
    let me = geteuid().as_raw();
    people.into_iter().find(|person| person.uid == me).map(|person| person.home)
}

/// One line of `/etc/passwd`.
#[derive(Debug, PartialEq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
}

/// Reads the text of `/etc/passwd`, passing over what is not a person.
pub(super) fn parse(passwd: &str) -> Vec<Person> {
    // macOS writes the id of `nobody` as -2, which is its two's complement.
    let id =
        |text: &str| text.parse::<u32>().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned));
    passwd
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
            Some(Person { name: name.to_owned(), uid: id(uid)?, gid: id(gid)?, home: home.into() })
        })
        .filter(|person| !person.name.is_empty())
        .collect()
}

fn name_of(people: &[Person], uid: u32) -> String {
    people
        .iter()
        .find(|person| person.uid == uid)
        .map_or_else(|| format!("user {uid}"), |person| person.name.clone())
}

/// The owner of a folder that has something in it; an empty one is a mere mount point.
fn owner_of_content(folder: &Path) -> Option<(u32, u32)> {
    let found = fs::metadata(folder).ok()?;
    let empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    (!empty).then(|| (found.uid(), found.gid()))
}
