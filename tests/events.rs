//! News travels: within a process at once, between processes by PostgreSQL or by Redis, and again after an outage.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aicos::app::carry_events;
use aicos::db::{Db, PoolSettings};
use aicos::events::redis::Redis;
use aicos::events::{Events, Topic, Watch};
use aicos::id::{JobId, OrganizationId};
use serde_json::json;
use sqlx::Executor as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Database, Server, cast};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn hears(watch: &mut Watch) -> bool {
    tokio::time::timeout(PATIENCE, watch.changed()).await.is_ok()
}

/// What a process has of the events' room.
struct Process {
    events: Events,
    stop: CancellationToken,
    carrying: JoinHandle<()>,
}

impl Process {
    fn start(database: &Database, redis: Option<&str>) -> Self {
        let db = Db::open(database.serve.clone(), &PoolSettings::default()).unwrap();
        let redis = redis.map(|url| Redis::at(url).unwrap());
        let (events, stop) = (db.events().clone(), CancellationToken::new());
        Self { events, stop: stop.clone(), carrying: tokio::spawn(carry_events(db, redis, stop)) }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.carrying.await.unwrap();
    }
}

/// Waits until what the one says reaches the other.
async fn connected(from: &Process, to: &Process) {
    let topic = Topic::Audit(OrganizationId::generate());
    let mut watch = to.events.watch(topic);
    let reaches = async {
        loop {
            from.events.publish(topic);
            if tokio::time::timeout(Duration::from_millis(100), watch.changed()).await.is_ok() {
                // It is the opening of the line that wakes everybody once; the second time it is the hint.
                from.events.publish(topic);
                if tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.is_ok() {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reaches).await.expect("the processes find each other");
}

/// Two processes, each hearing just what it listens to of the other's news.
async fn talk(one: &Process, other: &Process) {
    connected(one, other).await;
    connected(other, one).await;
    let organization = OrganizationId::generate();
    let (audit, job) = (Topic::Audit(organization), Topic::Job(organization, JobId::generate()));
    let mut unrelated = other.events.watch(Topic::Job(organization, JobId::generate()));
    for topic in [audit, job] {
        let mut watches = [one.events.watch(topic), other.events.watch(topic)];
        one.events.publish(topic);
        for watch in &mut watches {
            assert!(hears(watch).await);
        }
    }
    // More at once than one message holds.
    let many: Vec<Topic> =
        (0..500).map(|_| Topic::Job(OrganizationId::generate(), JobId::generate())).collect();
    let mut watches: Vec<Watch> = many.iter().map(|topic| other.events.watch(*topic)).collect();
    for topic in &many {
        one.events.publish(*topic);
    }
    for watch in &mut watches {
        assert!(hears(watch).await);
    }
    let nothing = tokio::time::timeout(Duration::from_millis(50), unrelated.changed()).await;
    assert!(nothing.is_err(), "what nobody said is heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_on_one_database_hear_each_other_and_find_each_other_again() {
    let database = Database::fresh().await;
    let (one, other) = (Process::start(&database, None), Process::start(&database, None));
    talk(&one, &other).await;
    // The lines are cut: whoever listens is woken once when they are back, for they may have missed something.
    let mut watch = other.events.watch(Topic::Audit(OrganizationId::generate()));
    database
        .superuser()
        .await
        .execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'aicos events' and datname = current_database()")
        .await
        .unwrap();
    assert!(hears(&mut watch).await);
    talk(&one, &other).await;
    one.stop().await;
    other.stop().await;
}

/// A Redis of this test's own.
pub struct PrivateRedis {
    /// Where it listens.
    pub port: u16,
    child: Child,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl PrivateRedis {
    /// Starts one; none when this machine has no Redis, which continuous integration never lacks.
    pub async fn start() -> Option<Self> {
        Self::open(free_port(), &[]).await
    }

    /// Starts one that lets in only who knows this.
    pub async fn with_password(password: &str) -> Option<Self> {
        Self::open(free_port(), &["--requirepass", password]).await
    }

    /// Starts one on this port, where another one was before.
    pub async fn at(port: u16) -> Option<Self> {
        Self::open(port, &[]).await
    }

    async fn open(port: u16, more: &[&str]) -> Option<Self> {
        let started = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
            .args(more)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            assert!(
                std::env::var_os("CI").is_none(),
                "redis-server is missing: apt-get install redis-server"
            );
            eprintln!("NOT TESTED: redis-server is missing. Install it with: apt-get install redis-server");
            return None;
        };
        let redis = Self { port, child };
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listens).await.expect("Redis starts");
        Some(redis)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_with_one_redis_hear_each_other_and_find_each_other_again() {
    let Some(redis) = PrivateRedis::start().await else { return };
    // Databases of their own: nothing reaches the other one but by Redis.
    let (here, there) = (Database::fresh().await, Database::fresh().await);
    let (one, other) =
        (Process::start(&here, Some(&redis.url())), Process::start(&there, Some(&redis.url())));
    talk(&one, &other).await;
    let (port, topic) = (redis.port, Topic::Audit(OrganizationId::generate()));
    let mut watch = one.events.watch(topic);
    drop(redis);
    // Without Redis each process still hears itself.
    one.events.publish(topic);
    assert!(hears(&mut watch).await);
    let _again = PrivateRedis::at(port).await.unwrap();
    assert!(hears(&mut watch).await, "whoever listens is woken when the line is back");
    talk(&one, &other).await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_an_audit_log_is_news_to_its_organization_alone() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    let events = server.app.db.events();
    let topic = |organization: &cast::Organization| Topic::Audit(organization.id.parse().unwrap());
    let (mut ours, mut theirs) = (events.watch(topic(&acme)), events.watch(topic(&globex)));
    // The general door, the one-statement door, and a refusal.
    let rename = json!({"id": acme.project, "name": "Renamed"});
    acme.owner.at(&server).mutate("projectUpdate", rename, "").await;
    assert!(hears(&mut ours).await);
    cast::project(&server, &acme, "New").await;
    assert!(hears(&mut ours).await);
    let refused = json!({"id": acme.viewer.membership, "role": "OWNER"});
    let document = crate::support::mutation("membershipUpdate", "");
    acme.viewer.at(&server).refusal(&document, json!({"input": refused})).await;
    assert!(hears(&mut ours).await);
    // What is rolled back, and what is only read, is none.
    acme.owner.at(&server).fault("projectUpdate", json!({"id": globex.project, "name": "n"})).await;
    acme.owner.at(&server).ok("{ organization { auditLog { totalCount } } }", json!({})).await;
    let nothing = tokio::time::timeout(Duration::from_millis(50), ours.changed()).await;
    assert!(nothing.is_err());
    let nothing = tokio::time::timeout(Duration::from_millis(50), theirs.changed()).await;
    assert!(nothing.is_err(), "another organization's news");
}
