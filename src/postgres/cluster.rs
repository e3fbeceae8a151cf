//! One cluster: its folders, its making, starting, sharing and stopping.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::account::Account;
use super::find::{self, Binaries, Search, begins_with};
use super::{Options, Progress};

/// The only role of a new cluster.
const SUPERUSER: &str = "postgres";

/// The port is only a part of the socket's name, and the folder is private: there is nothing to clash with.
const PORT: u16 = 5432;

/// A step that takes longer is told about.
const NOTICEABLE: Duration = Duration::from_millis(400);

/// Recovery after a crash replays the log before anybody is let in, which may take minutes.
const START_PATIENCE: Duration = Duration::from_mins(5);

/// A fast shutdown ends with a checkpoint.
const STOP_PATIENCE: Duration = Duration::from_mins(1);

/// An `initdb` without its parent writes for no longer than it takes to make a cluster.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(10);

/// The longest path that a socket's address holds, its closing zero aside.
const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A log that is longer when the server starts is put aside.
const LONGEST_LOG: u64 = 8 * 1024 * 1024;

/// A running private cluster; holding it keeps it running.
///
/// End with [`leave`](Self::leave). A cluster that is dropped asks the server to stop without waiting for
/// it, if nobody else uses it.
#[must_use = "a cluster that is dropped stops"]
pub struct Cluster {
    home: Home,
    binaries: Binaries,
    server: Server,
    password: String,
    progress: Progress,
    /// Holds a shared lock, by which others see that the cluster is in use.
    users: File,
    /// Held while the server is being started, so that a start that is given up can tidy up after itself.
    starting: Option<File>,
    left: bool,
}

impl Cluster {
    /// Finds or fetches the programs, makes the cluster if it is new, and starts it unless it runs.
    ///
    /// # Errors
    /// When no PostgreSQL is to be had, when the data were made by another version than any at hand, or when
    /// the server does not start. The message says what to do; it may have several lines.
    pub async fn start(options: Options) -> Result<Self> {
        let search = Search::of_this_machine(options.bin_dir.clone());
        Self::start_with(options, search).await
    }

    pub(super) async fn start_with(options: Options, search: Search) -> Result<Self> {
        let Options { data_dir, progress, .. } = options;
        let home = Home::open(&data_dir)?;
        let starting = home.lock_start(&progress).await?;
        let users = home.open_lock("users.lock")?;
        lock(&users, FlockOperation::NonBlockingLockShared)
            .await
            .with_context(|| format!("{} cannot be locked", home.root.join("users.lock").display()))?;

        home.remove_unfinished().await?;
        let made_by = find::major_of_data(&home.pg)?;
        let running = if made_by.is_some() { home.settled(&progress).await? } else { None };
        let memory = home.root.join("postgresql.json");
        let binaries = if let Some(binaries) = find::recall(&memory, search.explicit.as_deref(), made_by) {
            binaries
        } else {
            let binaries = search.find(&home.account, &home.root, made_by, &progress).await?;
            if let Some(text) = find::memory_of(&binaries) {
                home.write(&memory, &text, 0o600)?;
            }
            binaries
        };
        if made_by.is_none() {
            home.init(&binaries, &progress).await?;
        }
        let password = match home.password()? {
            Some(password) => password,
            None if running.is_none() => home.replace_password(&binaries, &progress).await?,
            None => bail!(
                "{} is missing, and the server is running. Stop every process that uses it; the next start makes \
                 a new password.",
                home.password_file().display()
            ),
        };
        let found = running.is_some();
        let server = running.unwrap_or_else(|| Server { socket_dir: home.socket_dir(), port: PORT });
        let starting = Some(starting);
        let mut cluster = Self { home, binaries, server, password, progress, users, starting, left: false };
        if found {
            debug!("PostgreSQL is running already in {}", cluster.home.pg.display());
        } else {
            cluster.server = cluster.home.launch(&cluster.binaries, &cluster.progress).await?;
        }
        cluster.starting = None;
        Ok(cluster)
    }

    /// The folder of the server's socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.server.socket_dir
    }

    /// The port, which is only a part of the socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The name of the superuser, who is also the name of a database to connect to first.
    #[must_use]
    pub fn superuser(&self) -> &str {
        SUPERUSER
    }

    /// The superuser's password; the server asks for one on its socket too.
    #[must_use]
    pub fn superuser_password(&self) -> &str {
        &self.password
    }

    /// The version of the server's programs, such as `15.3`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.binaries.version
    }

    /// The folder of the server's programs.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.bin_dir
    }

    /// Gives the cluster up; the last process to do so stops it and waits until it has stopped.
    ///
    /// Connections that are still open are cut.
    ///
    /// # Errors
    /// When the server does not stop in time; its data are safe even then.
    pub async fn leave(mut self) -> Result<()> {
        self.left = true;
        let _starting = self.home.lock_start(&self.progress).await?;
        if flock(&self.users, FlockOperation::NonBlockingLockExclusive).is_err() {
            debug!("PostgreSQL in {} stays up for its other users", self.home.pg.display());
            // Still under the other lock: two who leave at once must not each take the other for a user.
            flock(&self.users, FlockOperation::Unlock).ok();
            return Ok(());
        }
        let Some(pid) = self.home.postmaster() else { return Ok(()) };
        let stopping = self.home.stop(pid);
        noticeably(stopping, &self.progress, || format!("Stopping PostgreSQL {} …", self.binaries.version))
            .await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // A destructor does not wait long. Who holds the lock for longer is starting, and will leave later.
        let soon = Instant::now() + NOTICEABLE;
        if self.starting.is_none() {
            let Ok(file) = self.home.open_lock("start.lock") else { return };
            while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                if Instant::now() > soon {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            self.starting = Some(file);
        }
        if flock(&self.users, FlockOperation::NonBlockingLockExclusive).is_ok()
            && let Some(pid) = self.home.postmaster()
        {
            kill_process(pid, Signal::INT).ok();
            // Until it says that it is stopping, the next to start would take it for running.
            let deaf = |found: PidFile| found.pid == Some(pid) && found.status != "stopping";
            while PidFile::read(&self.home.pg).is_some_and(deaf) && Instant::now() < soon {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        flock(&self.users, FlockOperation::Unlock).ok();
    }
}

/// Where a running server listens.
struct Server {
    socket_dir: PathBuf,
    port: u16,
}

/// What the server writes about itself into `postmaster.pid`, as far as it has come.
struct PidFile {
    pid: Option<Pid>,
    port: Option<u16>,
    socket_dir: Option<PathBuf>,
    status: String,
}

impl PidFile {
    fn read(pg: &Path) -> Option<Self> {
        let text = fs::read_to_string(pg.join("postmaster.pid")).ok()?;
        // Process, data folder, start time, port, socket folder, address, shared memory, status.
        let line = |number: usize| text.lines().nth(number).map(str::trim).filter(|line| !line.is_empty());
        Some(Self {
            // A server in single-user mode writes its id as a negative number.
            pid: line(0).and_then(|pid| Pid::from_raw(pid.trim_start_matches('-').parse().ok()?)),
            port: line(3).and_then(|port| port.parse().ok()),
            socket_dir: line(4).map(PathBuf::from),
            status: line(7).unwrap_or_default().to_owned(),
        })
    }
}

/// What a process id in `postmaster.pid` stands for.
#[derive(Debug, PartialEq)]
enum Process {
    Server,
    Another,
    Gone,
}

/// What is going on in the cluster's folder.
enum State {
    Stopped,
    Running(Server),
    /// Starting, recovering or stopping.
    Busy(Pid),
    /// The server runs, but its socket was removed.
    Unreachable(Pid, PathBuf),
}

/// The data folder and the account that its server runs as.
struct Home {
    root: PathBuf,
    pg: PathBuf,
    account: Account,
}

impl Home {
    /// Makes the folder when it is missing, and refuses one that is not private enough.
    fn open(data_dir: &Path) -> Result<Self> {
        let root = std::path::absolute(data_dir)
            .with_context(|| format!("{} is not a usable path for the data folder", data_dir.display()))?;
        if !find::is_plain(&root) {
            bail!(
                "The data folder {} has a double quote, dollar sign, backtick, backslash, line break or bytes \
                 outside UTF-8 in its path, which PostgreSQL's programs cannot take. Choose another one.",
                root.display()
            );
        }
        let explain = || format!("The data folder {} cannot be used", root.display());
        let account = Account::choose(&root.join("pg"))?;
        if !root.exists() {
            if let Some(parent) = root.parent() {
                fs::create_dir_all(parent).with_context(explain)?;
            }
            match DirBuilder::new().mode(0o700).create(&root) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).with_context(explain);
                }
                // Made here, or just now by another process that starts too.
                _ => {}
            }
        }
        // The server is told this path, and is later recognised by it.
        let root = root.canonicalize().with_context(explain)?;
        let found = fs::metadata(&root).with_context(explain)?;
        if !found.is_dir() || !find::is_plain(&root) {
            bail!(
                "The data folder {} is not a folder with a plain path. Choose another one.",
                root.display()
            );
        }
        if found.mode() & 0o002 != 0 {
            bail!(
                "Everybody may write to the data folder {0}, so that other users of this machine could replace \
                 the database. Close it (chmod o-w {0}) or choose another one.",
                root.display()
            );
        }
        let private = found.uid() == geteuid().as_raw() && found.mode() & 0o777 == 0o700;
        if private && account.lesser {
            // The server's account has to pass through, and nobody else.
            lchown(&root, None, Some(account.gid)).with_context(explain)?;
            fs::set_permissions(&root, fs::Permissions::from_mode(0o710)).with_context(explain)?;
        }
        Ok(Self { pg: root.join("pg"), root, account })
    }

    fn password_file(&self) -> PathBuf {
        self.root.join("superuser.password")
    }

    fn log(&self) -> PathBuf {
        self.root.join("postgresql.log")
    }

    fn open_lock(&self, name: &str) -> Result<File> {
        let file = self.root.join(name);
        // Closed on exec, as all files here: a lock that the server inherited would never be released.
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow())
            .open(&file)
            .with_context(|| {
                format!(
                    "{} cannot be opened. Is the data folder another user's? Choose another one then.",
                    file.display()
                )
            })
    }

    /// The lock under which the cluster is made, started and stopped.
    async fn lock_start(&self, progress: &Progress) -> Result<File> {
        let file = self.open_lock("start.lock")?;
        noticeably(lock(&file, FlockOperation::NonBlockingLockExclusive), progress, || {
            "Another process is starting or stopping the private cluster; waiting for it …".to_owned()
        })
        .await
        .with_context(|| format!("{} cannot be locked", self.root.join("start.lock").display()))?;
        Ok(file)
    }

    /// Writes a file of our own so that it is there whole or not at all.
    fn write(&self, file: &Path, content: &[u8], mode: u32) -> Result<()> {
        let explain = || format!("{} cannot be written", file.display());
        let new = file.with_extension(format!("new-{}", random_hex(4)?));
        let mut handle =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).with_context(explain)?;
        if self.account.lesser && mode & 0o070 != 0 {
            fchown(&handle, None, Some(self.account.gid)).with_context(explain)?;
            handle.set_permissions(fs::Permissions::from_mode(mode)).with_context(explain)?;
        }
        handle.write_all(content).and_then(|()| handle.sync_all()).with_context(explain)?;
        fs::rename(&new, file).and_then(|()| self.sync()).with_context(explain)
    }

    /// Makes new names in the data folder durable.
    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.root)?.sync_all()
    }

    /// Makes a folder for the server alone, or checks that an existing one is.
    fn private_folder(&self, folder: &Path) -> Result<()> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) if self.account.lesser => lchown(folder, Some(self.account.uid), Some(self.account.gid))
                .with_context(|| format!("{} cannot be given to {}", folder.display(), self.account.name)),
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let mut found = fs::symlink_metadata(folder)?;
                if found.is_dir() && self.account.lesser && found.uid() == geteuid().as_raw() {
                    // Made by us, who were stopped before giving it away.
                    lchown(folder, Some(self.account.uid), Some(self.account.gid))?;
                    found = fs::symlink_metadata(folder)?;
                }
                if !found.is_dir() || found.uid() != self.account.uid {
                    bail!(
                        "{} should be a folder of {}'s for the server's socket, and is another's. Remove it, or \
                         choose another data folder.",
                        folder.display(),
                        self.account.name
                    );
                }
                if found.mode() & 0o777 != 0o700 {
                    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
                }
                Ok(())
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be made", folder.display())),
        }
    }

    fn password(&self) -> Result<Option<String>> {
        let file = self.password_file();
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|password| !password.is_empty())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
        }
    }

    /// Removes what an interrupted making left.
    ///
    /// An `initdb` whose parent was killed goes on for a moment and writes into what is being removed; once it
    /// misses a file it ends. What may not be removed, or is defended for longer, stays until the next start.
    async fn remove_unfinished(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let mut defended = false;
            for entry in fs::read_dir(&self.root)?.flatten() {
                if begins_with(&entry.file_name(), "pg.new-") {
                    let path = entry.path();
                    let removed =
                        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                    defended |= removed.err().is_some_and(|error| {
                        matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound)
                    });
                }
            }
            if !defended || begun.elapsed() > ORPHAN_PATIENCE {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes the cluster beside its place and moves it there when it is whole.
    async fn init(&self, binaries: &Binaries, progress: &Progress) -> Result<()> {
        progress(&format!(
            "Making a private PostgreSQL {} cluster in {} …",
            binaries.major,
            self.pg.display()
        ));
        // Kept before the cluster that it opens exists, so that an interruption cannot part the two.
        let password = if let Some(password) = self.password()? {
            password
        } else {
            let password = random_hex(32)?;
            self.write(&self.password_file(), password.as_bytes(), 0o600)?;
            password
        };
        let name = format!("pg.new-{}", random_hex(8)?);
        let new = self.root.join(&name);
        let password_file = self.root.join(name + ".password");
        let mut handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
        if self.account.lesser {
            fchown(&handle, Some(self.account.uid), Some(self.account.gid))?;
        }
        handle.write_all(password.as_bytes())?;

        let outcome = self.init_in(&new, &password_file, binaries).await;
        fs::remove_file(&password_file).ok();
        let outcome = outcome.and_then(|()| {
            let place = || format!("The new cluster cannot be moved to {}", self.pg.display());
            fs::rename(&new, &self.pg).and_then(|()| self.sync()).with_context(place)
        });
        if outcome.is_err() {
            fs::remove_dir_all(&new).ok();
        }
        outcome
    }

    async fn init_in(&self, new: &Path, password_file: &Path, binaries: &Binaries) -> Result<()> {
        // Code-point order: the collation of the system may change below an index, this one does not.
        let built_in: &[&str] = &["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
        let of_system: &[&str] = &["--locale=C.UTF-8"];
        let plain: &[&str] = &["--locale=C"];
        let locales = if binaries.major >= 17 { [built_in, plain] } else { [of_system, plain] };
        let mut said = String::new();
        for locale in locales {
            self.private_folder(new)?;
            let mut command = self.account.command(&binaries.program("initdb"));
            command.arg("--pgdata").arg(new).arg("--pwfile").arg(password_file).args(locale).args([
                "--username",
                SUPERUSER,
                "--encoding=UTF8",
                "--auth=scram-sha-256",
                "--data-checksums",
                "--no-instructions",
            ]);
            let answer = command.kill_on_drop(true).output().await.context("initdb cannot be run")?;
            if answer.status.success() {
                let mut conf = OpenOptions::new()
                    .append(true)
                    .custom_flags(no_follow())
                    .open(new.join("postgresql.conf"))?;
                writeln!(conf, "\n# Settings of the private cluster, written anew at each start.")?;
                writeln!(conf, "include '../aicos.conf'")?;
                return conf.sync_all().context("postgresql.conf cannot be written");
            }
            String::from_utf8_lossy(&answer.stderr).trim().clone_into(&mut said);
            fs::remove_dir_all(new).ok();
            if !said.contains("locale") {
                break;
            }
        }
        bail!(
            "PostgreSQL could not make its cluster in {}. initdb says:\n  {}\n{}",
            self.root.display(),
            said.replace('\n', "\n  "),
            if said.contains("effective user ID") {
                // A container may run under a bare number, which PostgreSQL's programs do not accept.
                "Give this user a line in /etc/passwd, start this as a user who has one, or set DATABASE_URL."
                    .to_owned()
            } else {
                self.advice("Correct that and start again; nothing was left behind.")
            }
        )
    }

    /// What to do next: a folder in the way is a likelier cause than the one that PostgreSQL sees.
    fn advice(&self, otherwise: &str) -> String {
        match self.account.barred_by(&self.root) {
            Some(folder) => format!(
                "The server runs as {}, who may not enter {}. Open that folder (chmod o+x), or choose another \
                 data folder.",
                self.account.name,
                folder.display()
            ),
            None => otherwise.to_owned(),
        }
    }

    /// Gives the superuser a new password, when its file is lost and the server stands still.
    async fn replace_password(&self, binaries: &Binaries, progress: &Progress) -> Result<String> {
        progress("The superuser's password is missing; giving it a new one …");
        self.prepare()?;
        let password = random_hex(32)?;
        let mut command = self.account.command(&binaries.program("postgres"));
        command.arg("--single").arg("-D").arg(&self.pg).arg(SUPERUSER).stdin(std::process::Stdio::piped());
        let mut child = command.spawn().context("postgres cannot be run")?;
        if let Some(mut stdin) = child.stdin.take() {
            let statement = format!("ALTER ROLE {SUPERUSER} PASSWORD '{password}'\n");
            tokio::io::AsyncWriteExt::write_all(&mut stdin, statement.as_bytes()).await?;
        }
        let answer = child.wait_with_output().await?;
        let said = String::from_utf8_lossy(&answer.stderr);
        if !answer.status.success() || said.contains("ERROR") {
            bail!(
                "{} is missing, and a new password could not be set. PostgreSQL says:\n  {}\nPut the file back \
                 from a backup.",
                self.password_file().display(),
                said.trim().replace('\n', "\n  ")
            );
        }
        self.write(&self.password_file(), password.as_bytes(), 0o600)?;
        Ok(password)
    }

    /// The folder for the socket: below the data folder, or a short one when that path would not do.
    ///
    /// An address of a socket holds about a hundred bytes, fewer than many home folders need, and clients
    /// take a comma in it for the end of one host in a list. `/run` is root's; `/tmp` is everybody's, so that
    /// the folder's owner and mode are checked before it is used.
    fn socket_dir(&self) -> PathBuf {
        let below = self.root.join("run");
        let fits = below.as_os_str().len() + format!("/.s.PGSQL.{PORT}").len() <= LONGEST_SOCKET;
        if fits && !below.to_string_lossy().contains(',') {
            return below;
        }
        // FNV-1a: the name has to be the same for every build, and need not be secret.
        let hash =
            self.root.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let short = format!("aicos-{}-{hash:016x}", self.account.uid);
        let base = if self.account.lesser && Path::new("/run").is_dir() { "/run" } else { "/tmp" };
        Path::new(base).join(short)
    }

    /// Brings the settings, the socket's folder and the log into the state that a start needs.
    fn prepare(&self) -> Result<()> {
        let socket_dir = self.socket_dir();
        self.private_folder(&socket_dir)?;
        let conf = self.root.join("aicos.conf");
        let text = settings(&socket_dir);
        if fs::read_to_string(&conf).ok().as_ref() != Some(&text) {
            self.write(&conf, text.as_bytes(), if self.account.lesser { 0o640 } else { 0o600 })?;
        }
        let log = self.log();
        if fs::metadata(&log).is_ok_and(|found| found.len() > LONGEST_LOG) {
            fs::rename(&log, self.root.join("postgresql.log.1"))?;
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&log) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("{} cannot be written", log.display()));
            }
            _ => {}
        }
        if self.account.lesser {
            lchown(&log, Some(self.account.uid), Some(self.account.gid))
                .with_context(|| format!("{} cannot be given to {}", log.display(), self.account.name))?;
        }
        Ok(())
    }

    async fn launch(&self, binaries: &Binaries, progress: &Progress) -> Result<Server> {
        self.prepare()?;
        let log = self.log();
        let mut attempts = 0;
        loop {
            let before = fs::metadata(&log).map_or(0, |found| found.len());
            let mut command = self.account.command(&binaries.program("pg_ctl"));
            command
                .args(["start", "--wait", "--silent", "--timeout"])
                .arg(START_PATIENCE.as_secs().to_string());
            command.arg("--pgdata").arg(&self.pg).arg("--log").arg(&log);
            // pg_ctl gives the server a session of its own, but a Ctrl-C while it waits would end both.
            command.process_group(0);
            let starting = command.output();
            let message = || format!("Starting PostgreSQL {} …", binaries.version);
            let answer = noticeably(starting, progress, message).await.context("pg_ctl cannot be run")?;
            if answer.status.success()
                && let State::Running(server) = self.state().await?
            {
                info!("PostgreSQL {} runs in {}", binaries.version, self.pg.display());
                return Ok(server);
            }
            let last = last_lines(&log, before);
            // After a kill the server's children need a moment to notice and to let go of its memory.
            if last.contains("pre-existing shared memory block") && attempts < 100 {
                if attempts == 0 {
                    progress("Waiting for what is left of a killed PostgreSQL …");
                }
                attempts += 1;
                sleep(Duration::from_millis(300)).await;
                continue;
            }
            let said =
                if last.is_empty() { String::from_utf8_lossy(&answer.stderr).into_owned() } else { last };
            // A start that was given up may have left its server on the way: it is there now, or was and is leaving. While it
            // begins to write its file, the server or pg_ctl itself finds that empty.
            let is_taken = ["already exists", "is empty"]
                .iter()
                .any(|found| said.contains(&format!("postmaster.pid\" {found}")));
            if is_taken && attempts < 100 {
                attempts += 1;
                if let Some(server) = self.settled(progress).await? {
                    return Ok(server);
                }
                continue;
            }
            bail!(
                "PostgreSQL {} did not start. The end of its log, {}:\n  {}\n{}",
                binaries.version,
                log.display(),
                said.trim().replace('\n', "\n  "),
                self.advice("Correct what it names and start again; the data were not touched.")
            );
        }
    }

    /// The running server, once it is neither starting nor stopping.
    async fn settled(&self, progress: &Progress) -> Result<Option<Server>> {
        let begun = Instant::now();
        let waiting = async {
            loop {
                match self.state().await? {
                    State::Stopped => return Ok(None),
                    State::Running(server) => return Ok(Some(server)),
                    State::Unreachable(pid, socket) if begun.elapsed() > Duration::from_secs(5) => bail!(
                        "PostgreSQL runs on {} as process {pid}, but its socket {} is gone. Stop it (kill -INT \
                         {pid}) and start again.",
                        self.pg.display(),
                        socket.display()
                    ),
                    State::Busy(pid) if begun.elapsed() > START_PATIENCE => bail!(
                        "PostgreSQL, process {pid}, has been starting or stopping for {} seconds. Its log, {}, \
                         ends:\n  {}\nWait for it and start again, or stop it (kill -INT {pid}).",
                        START_PATIENCE.as_secs(),
                        self.log().display(),
                        last_lines(&self.log(), 0).trim().replace('\n', "\n  ")
                    ),
                    State::Busy(_) | State::Unreachable(..) => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        noticeably(waiting, progress, || "Waiting for PostgreSQL, which is starting or stopping …".to_owned())
            .await
    }

    async fn state(&self) -> Result<State> {
        let pid_file = self.pg.join("postmaster.pid");
        let Some(found) = PidFile::read(&self.pg) else { return Ok(State::Stopped) };
        let Some(pid) = found.pid else {
            // The server writes the file in one go; one that stays empty is what a power cut left.
            let age = fs::metadata(&pid_file).and_then(|found| found.modified()).ok();
            let age = age.and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default();
            if age < Duration::from_secs(2) {
                sleep(Duration::from_secs(2).saturating_sub(age)).await;
                if PidFile::read(&self.pg).is_some_and(|found| found.pid.is_some()) {
                    return Box::pin(self.state()).await;
                }
            }
            remove(&pid_file)?;
            return Ok(State::Stopped);
        };
        // The same process holds the socket's own lock file, which PostgreSQL checks in the same way.
        let socket_lock = found.socket_dir.as_ref().zip(found.port);
        let socket_lock = socket_lock.map(|(folder, port)| folder.join(format!(".s.PGSQL.{port}.lock")));
        let clear = || remove(&pid_file).and_then(|()| socket_lock.as_deref().map_or(Ok(()), remove));
        let server =
            found.socket_dir.clone().zip(found.port).map(|(socket_dir, port)| Server { socket_dir, port });
        let ready = found.status == "ready";
        if let Some(server) = server {
            let socket = server.socket_dir.join(format!(".s.PGSQL.{}", server.port));
            if listens(&socket).await {
                // Reachable though its process is not visible from here: the server of another container.
                return Ok(if ready { State::Running(server) } else { State::Busy(pid) });
            }
            if ready && self.identify(pid) == Process::Server {
                return Ok(State::Unreachable(pid, socket));
            }
        }
        match self.identify(pid) {
            Process::Server => Ok(State::Busy(pid)),
            Process::Gone => {
                // A dead process that nobody has waited for still counts as alive to PostgreSQL.
                if test_kill_process(pid).is_ok() {
                    clear()?;
                }
                Ok(State::Stopped)
            }
            Process::Another => {
                // PostgreSQL would take it for its server: containers give the same small numbers again.
                warn!("{} names process {pid}, which is something else; it is removed", pid_file.display());
                clear()?;
                Ok(State::Stopped)
            }
        }
    }

    /// The process of this cluster's server, if one lives.
    fn postmaster(&self) -> Option<Pid> {
        PidFile::read(&self.pg)?.pid.filter(|pid| self.identify(*pid) == Process::Server)
    }

    /// What kind of process has this id, judged by its command line, which everybody may read.
    fn identify(&self, pid: Pid) -> Process {
        let Some(line) = command_line(pid) else {
            let exists = !matches!(test_kill_process(pid), Err(Errno::SRCH));
            // Hidden from us, but there: PostgreSQL's own checks have the last word.
            return if exists { Process::Server } else { Process::Gone };
        };
        let Some(program) = line.first().filter(|program| !program.is_empty()) else { return Process::Gone };
        let name = Path::new(program).file_name().unwrap_or_default();
        if name != "postgres" && name != "postmaster" {
            return Process::Another;
        }
        let data = line.iter().skip_while(|word| *word != "-D").nth(1).map(PathBuf::from);
        match data {
            Some(data) if data != self.pg => {
                // The folder of ours may have been moved while it ran; another's names its own process.
                let own = PidFile::read(&data).and_then(|found| found.pid);
                if own == Some(pid) { Process::Another } else { Process::Server }
            }
            _ => Process::Server,
        }
    }

    /// Asks for a fast shutdown and waits for its end.
    async fn stop(&self, pid: Pid) -> Result<()> {
        match kill_process(pid, Signal::INT) {
            Ok(()) => {}
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("Process {pid} cannot be stopped")),
        }
        let begun = Instant::now();
        while PidFile::read(&self.pg).is_some_and(|found| found.pid == Some(pid))
            && self.identify(pid) == Process::Server
        {
            if begun.elapsed() > STOP_PATIENCE {
                bail!(
                    "PostgreSQL, process {pid}, has not stopped after {} seconds; it goes on stopping. Its log \
                     is {}.",
                    STOP_PATIENCE.as_secs(),
                    self.log().display()
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
        info!("PostgreSQL in {} has stopped", self.pg.display());
        Ok(())
    }
}

/// The settings that differ from PostgreSQL's own; durability is left as it comes.
fn settings(socket_dir: &Path) -> String {
    let socket_dir = socket_dir.to_string_lossy().replace('\'', "''");
    format!(
        "# Written anew at each start of the private cluster; changes belong into pg/postgresql.conf,\n\
         # below the line that includes this file.\n\
         cluster_name = 'aicos'\n\
         listen_addresses = ''\n\
         port = {PORT}\n\
         unix_socket_directories = '\"{socket_dir}\"'\n\
         unix_socket_permissions = 0700\n\
         password_encryption = 'scram-sha-256'\n\
         max_connections = 100\n\
         shared_buffers = '128MB'\n\
         random_page_cost = 1.1\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         logging_collector = off\n\
         log_destination = 'stderr'\n"
    )
}

/// Runs a step, and tells about it when it takes long enough to be noticed.
async fn noticeably<T>(
    step: impl Future<Output = T>,
    progress: &Progress,
    message: impl FnOnce() -> String,
) -> T {
    tokio::pin!(step);
    tokio::select! {
        outcome = &mut step => return outcome,
        () = sleep(NOTICEABLE) => progress(&message()),
    }
    step.await
}

/// Takes a lock as soon as it is free, without a thread that waits for it.
async fn lock(file: &File, operation: FlockOperation) -> Result<(), Errno> {
    loop {
        match flock(file, operation) {
            Err(Errno::WOULDBLOCK | Errno::INTR) => sleep(Duration::from_millis(20)).await,
            outcome => return outcome,
        }
    }
}

/// Whether somebody accepts connections there.
async fn listens(socket: &Path) -> bool {
    match timeout(Duration::from_secs(2), UnixStream::connect(socket)).await {
        // A server that is too busy to answer is one all the same.
        Err(_) | Ok(Ok(_)) => true,
        Ok(Err(error)) => !matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::ConnectionRefused
                | ErrorKind::InvalidInput
                | ErrorKind::NotADirectory
        ),
    }
}

/// The words of a process's command line; none for one that has ended and was not waited for.
fn command_line(pid: Pid) -> Option<Vec<String>> {
    if cfg!(target_os = "linux") {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        return Some(text.trim_end_matches('\0').split('\0').map(str::to_owned).collect());
    }
    let answer = std::process::Command::new("/bin/ps")
        .args(["-ww", "-o", "stat=", "-o", "command=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let (status, line) = text.trim().split_once(char::is_whitespace)?;
    if status.starts_with('Z') {
        return Some(Vec::new());
    }
    // The folder comes last, and may have spaces, as macOS's own data folders do.
    let (program, data) = line.trim().split_once(" -D ").unwrap_or((line.trim(), ""));
    let mut words = vec![program.to_owned()];
    if !data.is_empty() {
        words.extend(["-D".to_owned(), data.to_owned()]);
    }
    Some(words)
}

/// What the log has gained since it had this length, the last lines of it.
fn last_lines(log: &Path, since: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(since.max(length.saturating_sub(8192))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} is left over and cannot be removed", file.display()))
        }
        _ => Ok(()),
    }
}

/// Opens no link that somebody laid in place of a file.
fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

/// Secret random bytes, as twice as many hexadecimal digits.
pub(super) fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .context("/dev/urandom cannot be read")?;
    Ok(hex::encode(random))
}
