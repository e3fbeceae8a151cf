//! The real program in a process of its own: what it counts, logs and traces is its own and nobody else's.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{Database, mutation};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    client: reqwest::Client,
}

impl Process {
    /// A server on a database, with these settings beside the usual ones; it is ready.
    pub async fn serve(database: &Database, settings: &[(&str, &str)]) -> Self {
        Self::start(&[], database, settings).await
    }

    /// A worker on a database, which answers probes.
    pub async fn work(database: &Database, settings: &[(&str, &str)]) -> Self {
        Self::start(&["worker"], database, settings).await
    }

    async fn start(arguments: &[&str], database: &Database, settings: &[(&str, &str)]) -> Self {
        let folder = super::environment().data_dir.join(format!("process-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let address = free_address();
        let mut child = Command::new(env!("CARGO_BIN_EXE_aicos"))
            .args(arguments)
            .current_dir(&folder)
            .env_remove("RUST_LOG")
            .env("AICOS_DATA_DIR", &folder)
            .env("AICOS_LISTEN", address.to_string())
            .env("DATABASE_URL", database.serve_url())
            .env("AICOS_MASTER_KEY", "dGVzdHMgb25seSwgYW5kIHRlc3RzIG9ubHkuLi4uLi4=")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::default());
        let kept: Arc<Mutex<Vec<String>>> = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut process = Self { child, address, log, reader: Some(reader), client };
        process.wait_until_ready().await;
        process
    }

    async fn wait_until_ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let ready = self.client.get(format!("http://{}/readyz", self.address)).send().await;
            if ready.is_ok_and(|ready| ready.status().is_success()) {
                return;
            }
            let gone = self.child.try_wait().unwrap();
            assert!(gone.is_none() && Instant::now() < until, "{gone:?}\n{}", self.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The lines of its log, as JSON.
    pub fn logged(&self) -> Vec<Value> {
        self.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The line of its log that begins so and is of this request: it may come a moment after the answer.
    pub async fn logs(&self, message: &str, request: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.logged().into_iter().find(|line| {
                let begins = line["message"].as_str().is_some_and(|text| text.starts_with(message));
                begins && line["request.id"] == request
            });
            if let Some(found) = found {
                return found;
            }
            assert!(Instant::now() < until, "{message} of {request} is not in {:#?}", self.logged());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a document with these headers, and gives the answer.
    pub async fn send(&self, query: &str, variables: Value, headers: &[(&str, &str)]) -> Value {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let body = json!({"query": query, "variables": variables}).to_string();
        let sent = self
            .client
            .post(format!("http://{}/graphql", self.address))
            .header("content-type", "application/json")
            .headers(headers)
            .body(body);
        serde_json::from_slice(&sent.send().await.unwrap().bytes().await.unwrap()).unwrap()
    }

    /// Sends a mutation of one input, and expects its payload without `userErrors`.
    pub async fn mutate(
        &self,
        field: &str,
        input: Value,
        selection: &str,
        headers: &[(&str, &str)],
    ) -> Value {
        let answer = self.send(&mutation(field, selection), json!({"input": input}), headers).await;
        let payload = &answer["data"][field];
        assert_eq!(payload["userErrors"], json!([]), "{field}: {answer:#}");
        payload.clone()
    }

    /// Signs somebody up with an organization; gives the access token, as a header's value, and the organization's id.
    pub async fn sign_up(&self, local: &str) -> (String, String) {
        let input = json!({"email": format!("{local}@acme.example"), "password": super::cast::PASSWORD,
            "name": "Olivia Owner", "organizationName": "Acme"});
        let made = self.mutate("signup", input, "accessToken organization { id }", &[]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (format!("Bearer {}", text(&made["accessToken"])), text(&made["organization"]["id"]))
    }

    /// Its figures, as `/metrics` shows them.
    pub async fn figures(&self) -> String {
        let answer = self.client.get(format!("http://{}/metrics", self.address)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }

    /// One figure, by its name and labels as they stand there; none when it is not there.
    pub async fn figure(&self, series: &str) -> Option<f64> {
        let figures = self.figures().await;
        let value = figures.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// Waits until a figure has a value.
    pub async fn figure_is(&self, series: &str, expected: f64) {
        let until = Instant::now() + PATIENCE;
        loop {
            let value = self.figure(series).await;
            if value.is_some_and(|value| (value - expected).abs() < f64::EPSILON) {
                return;
            }
            assert!(Instant::now() < until, "{series} is {value:?} and not {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks it to stop, waits until it has, and gives how it ended, how long that took and what it wrote.
    pub async fn stop(mut self) -> (ExitStatus, Duration, Vec<String>) {
        let asked = Instant::now();
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(asked.elapsed() < PATIENCE, "it does not stop:\n{}", self.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let took = asked.elapsed();
        self.reader.take().unwrap().join().unwrap();
        (status, took, self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
