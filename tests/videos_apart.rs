//! What decodes the clips of a film: a process that has nothing of the server's, and whose end is the film's alone.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::{FDInfo, FDTarget, LimitValue, Process, all_processes};
use serde_json::{Value, json};

use crate::support::Database;
use crate::support::process;
use crate::support::work::PATIENCE;

/// The processes that read clips for a server.
fn readers(server: &process::Process) -> Vec<Process> {
    let of = |process: &Process| {
        let is_child = process.stat().is_ok_and(|stat| u32::try_from(stat.ppid) == Ok(server.id()));
        is_child && process.cmdline().is_ok_and(|line| line.get(1).is_some_and(|word| word == "read-clip"))
    };
    all_processes().unwrap().filter_map(Result::ok).filter(of).collect()
}

/// Somebody of a server, with a project.
struct Somebody<'a> {
    server: &'a process::Process,
    token: String,
    project: Value,
}

impl Somebody<'_> {
    async fn mutate(&self, field: &str, input: Value, select: &str) -> Value {
        self.server.mutate(field, input, select, &[("authorization", &self.token)]).await
    }

    /// Begins a film; gives its job.
    async fn begin(&self, more: Value) -> Value {
        let mut input = json!({"projectId": self.project, "size": "REEL_SMALL"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.mutate("videoGenerate", input, "job { id }").await["job"]["id"].clone()
    }

    /// A job, once a condition holds.
    async fn job(&self, id: &Value, holds: impl Fn(&Value) -> bool) -> Value {
        let query = "query($id: ID!) { job(id: $id) { status progress error { code message field }
            result { ... on Video { video { id } } } } }";
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.server.send(query, json!({"id": id}), &[("authorization", &self.token)]).await;
            let job = &said["data"]["job"];
            if holds(job) {
                return job.clone();
            }
            assert!(Instant::now() < until, "waited too long: {said:#}\n{}", self.server.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn finished(&self, id: &Value) -> Value {
        self.job(id, |job| ["SUCCEEDED", "FAILED", "CANCELLED"].contains(&job["status"].as_str().unwrap()))
            .await
    }

    /// A job of a long film over a clip, once it is drawn; and what decodes the clip then.
    async fn midway(&self, clip: &Value) -> (Value, Process) {
        let job = self.begin(json!({"clipAssetIds": [clip], "durationSeconds": 60, "size": "REEL"})).await;
        self.job(&job, |job| job["progress"].as_f64() > Some(0.0)).await;
        let mut readers = readers(self.server);
        assert_eq!(readers.len(), 1);
        (job, readers.remove(0))
    }
}

/// Attacks: 203.
#[tokio::test(flavor = "multi_thread")]
async fn what_decodes_a_clip_has_nothing_of_the_servers_and_ends_alone() {
    let database = Database::fresh().await;
    let server = process::Process::serve(&database, &[]).await;
    let (token, organization) = server.sign_up("olivia").await;
    let mut olivia = Somebody { server: &server, token, project: Value::Null };
    let project = json!({"organizationId": organization, "name": "Films"});
    olivia.project = olivia.mutate("projectCreate", project, "project { id }").await["project"]["id"].clone();
    // A film that is made here is a clip for the next.
    let first = olivia.begin(json!({"scenes": ["Ich atme."], "durationSeconds": 3})).await;
    let first = olivia.finished(&first).await;
    assert_eq!(first["status"], "SUCCEEDED", "{first:#}");
    let clip = &first["result"]["video"]["id"];

    let (job, reader) = olivia.midway(clip).await;
    let environment = reader.environ().unwrap();
    assert_eq!(environment.keys().collect::<Vec<_>>(), ["MIMALLOC_ARENA_RESERVE"], "no settings, no secrets");
    assert_eq!(reader.cwd().unwrap(), Path::new("/"));
    let is_open = |target: &FDTarget| matches!(target, FDTarget::Socket(_) | FDTarget::AnonInode(_));
    let files: Vec<FDInfo> = reader.fd().unwrap().filter_map(Result::ok).collect();
    assert!(files.len() >= 3 && !files.iter().any(|file| is_open(&file.target)), "no connections: {files:?}");
    let limits = reader.limits().unwrap();
    let held = [
        (limits.max_address_space, 768 << 20),
        (limits.max_cpu_time, 900),
        (limits.max_open_files, 0),
        (limits.max_file_size, 0),
        (limits.max_processes, 0),
        (limits.max_core_file_size, 0),
    ];
    for (found, most) in held {
        let LimitValue::Value(hard) = found.hard_limit else { panic!("{limits:?}") };
        assert_eq!(hard, most, "{limits:?}");
    }
    let status = reader.status().unwrap();
    assert_eq!((status.nonewprivs, status.threads), (Some(1), 1));
    assert!(status.vmpeak.unwrap() * 1024 < 768 << 20);

    // It is killed: that film says so, and the next is made.
    let killed = std::process::Command::new("kill").args(["-KILL", &reader.pid().to_string()]).status();
    assert!(killed.unwrap().success());
    let failed = olivia.finished(&job).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"], &failed["error"]["field"]),
        (&json!("FAILED"), &json!("INVALID"), &json!(["input", "clipAssetIds"])),
        "{failed:#}"
    );
    let said = failed["error"]["message"].as_str().unwrap();
    assert!(said.contains("the clip of scene 1 cannot be used: it takes more time or memory"), "{said}");
    let next = olivia.begin(json!({"clipAssetIds": [clip], "durationSeconds": 3})).await;
    assert_eq!(olivia.finished(&next).await["status"], "SUCCEEDED");

    // A film that nobody wants any more takes it along.
    let (job, reader) = olivia.midway(clip).await;
    olivia.mutate("jobCancel", json!({"id": job}), "").await;
    let until = Instant::now() + PATIENCE;
    while Process::new(reader.pid()).is_ok() {
        assert!(Instant::now() < until, "it is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(olivia.finished(&job).await["status"], "CANCELLED");
    assert!(readers(&server).is_empty());
}
