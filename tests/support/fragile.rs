//! A PostgreSQL to be frozen, killed and filled: not the one that all other tests work on.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aicos::app::Tuning;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};

use super::{Database, Environment, Server, start};

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
static TURN: Mutex<()> = Mutex::const_new(());

/// It, for one test at a time.
pub struct Fragile {
    environment: &'static Environment,
    _turn: MutexGuard<'static, ()>,
}

/// A frozen one; it thaws when this is dropped.
pub struct Frozen(Vec<Pid>);

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            // One that has ended meanwhile needs no thawing.
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

impl Fragile {
    /// Waits for it. What it has acknowledged outlives its processes, though not the machine; it is soon full.
    pub async fn take() -> Self {
        let turn = TURN.lock().await;
        let environment =
            ENVIRONMENT.get_or_init(|| start("fragile", &["max_connections = 40", "fsync = off"]));
        let fragile = Self { environment, _turn: turn };
        if !fragile.admits(40).await {
            fragile.restart().await;
        }
        fragile
    }

    async fn admits(&self, connections: i32) -> bool {
        let mut superuser = self.superuser().await;
        let sql = "select current_setting('max_connections')::int";
        let most: i32 = sqlx::query_scalar(sql).fetch_one(&mut superuser).await.unwrap();
        most == connections
    }

    /// A server on a database of its own in it.
    pub async fn serve(&self, tuning: Tuning) -> Server {
        Box::pin(Server::at(Database::in_cluster(self.environment).await, tuning)).await
    }

    /// A connection that is let in also when it is full.
    pub async fn superuser(&self) -> PgConnection {
        self.environment.superuser.clone().database("postgres").connect().await.unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.environment.data_dir.join("pg")
    }

    /// Stops the processes of the server, and leaves every connection open.
    pub fn freeze(&self) -> Frozen {
        let file = std::fs::read_to_string(self.folder().join("postmaster.pid")).unwrap();
        let postmaster = file.lines().next().unwrap().trim().to_owned();
        let pid = |text: &str| Pid::from_raw(text.parse().unwrap()).unwrap();
        let mut frozen = Frozen(vec![pid(&postmaster)]);
        // It first, so that no child is born meanwhile.
        kill_process(frozen.0[0], Signal::STOP).unwrap();
        let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap();
        for line in String::from_utf8(listed.stdout).unwrap().lines() {
            let mut words = line.split_whitespace();
            if let (Some(child), Some(parent)) = (words.next(), words.next())
                && parent == postmaster
            {
                let child = pid(child);
                let _ = kill_process(child, Signal::STOP);
                frozen.0.push(child);
            }
        }
        frozen
    }

    /// Kills the server and starts it anew: whatever is under way is lost. Ready when this returns.
    pub async fn restart(&self) {
        let owner = std::fs::metadata(self.folder()).unwrap();
        let mut command = Command::new(self.environment.cluster.bin_dir().join("pg_ctl"));
        command.args(["restart", "-m", "immediate", "-w", "-D"]).arg(self.folder());
        command.args(["-l", "/dev/null"]).current_dir("/").env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let restarted = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
        assert!(restarted.success());
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match self.environment.superuser.clone().database("postgres").connect().await {
                Ok(connection) => return connection.close().await.unwrap(),
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
