//! Webhooks of workflows: what a receiver gets and can check, and what becomes of a step whose receiver misbehaves.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aicos::engine::Reach;
use aicos::identity::master::MasterKeys;
use aicos::jobs::worker::Workers;
use aicos::webhooks::Webhooks;
use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::cast::{self, Organization};
use crate::support::{Server, config, mutation, tuning};

/// How the receiver answers.
#[derive(Debug, Clone, Copy)]
enum Reply {
    Status(u16),
    Redirect,
    Stall,
}

/// What it got.
#[derive(Debug, Clone)]
struct Got {
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// As the specification has a receiver check: one of the signatures is of the id, the time and the bytes, and the time is
    /// not long ago.
    fn is_signed_by(&self, secret: &str) -> bool {
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let age = chrono::Utc::now().timestamp() - timestamp.parse::<i64>().unwrap();
        assert!(age.abs() < 5 * 60, "{age} seconds old");
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(key.len(), 32);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = [format!("{id}.{timestamp}.").as_bytes(), &self.body].concat();
        self.header("webhook-signature").split(' ').any(|signature| {
            let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, &signed, &tag).is_ok()
        })
    }
}

#[derive(Default)]
struct Inner {
    replies: VecDeque<Reply>,
    got: Vec<Got>,
}

/// Somebody else's server. It answers 204 unless it is told otherwise.
struct Receiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(State(inner): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let reply = {
        let mut inner = inner.lock().unwrap();
        inner.got.push(Got { headers, body });
        inner.replies.pop_front()
    };
    match reply {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Reply::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Reply::Redirect) => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response()
        }
        Some(Reply::Stall) => std::future::pending().await,
    }
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::<Mutex<Inner>>::default();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, serving }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner.lock().unwrap().replies = replies.into_iter().collect();
    }

    /// What it got since it was last asked.
    fn got(&self) -> Vec<Got> {
        std::mem::take(&mut self.inner.lock().unwrap().got)
    }
}

/// A server that may call this machine, an organization, its workers, and somebody who is told.
struct Room {
    server: Server,
    acme: Organization,
    receiver: Receiver,
}

impl Room {
    async fn new() -> (Self, Workers) {
        let mut config = config();
        config.reach = Reach::Private;
        let server = Server::with(config, tuning()).await;
        let acme = cast::organization(&server, "Acme").await;
        let workers = server.work();
        (Self { server, acme, receiver: Receiver::start().await }, workers)
    }

    /// An endpoint at the receiver: its id and its secret.
    async fn endpoint(&self) -> (Value, String) {
        let input = json!({"organizationId": self.acme.id, "name": "Ours", "url": self.receiver.url()});
        let made = self.acme.owner.at(&self.server);
        let made = made.mutate("webhookEndpointCreate", input, "endpoint { id name url } secret").await;
        assert_eq!(made["endpoint"]["url"], self.receiver.url());
        (made["endpoint"]["id"].clone(), made["secret"].as_str().unwrap().to_owned())
    }

    /// A workflow that tells the endpoint what it is about.
    async fn template(&self, key: &str, endpoint: &Value, more: Value) {
        let mut step = json!({"key": "tell", "kind": "WEBHOOK", "endpointId": endpoint, "inputs": [
            {"name": "about", "from": "brief"}, {"name": "mood", "from": "options.mood"},
            {"name": "tags", "value": {"texts": ["a", "b"]}}, {"name": "count", "value": {"number": 3}}]});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let input = json!({"organizationId": self.acme.id, "key": key, "name": "Tell",
            "variables": [{"name": "mood", "type": "TEXT", "default": {"text": ""}}], "steps": [step]});
        self.acme
            .admin
            .at(&self.server)
            .mutate("contentWorkflowTemplateCreate", input, "template { id }")
            .await;
    }

    /// Runs it; gives the step once the run has ended, and the run's id.
    async fn run(&self, template: &str) -> (Value, String) {
        let member = self.acme.member.at(&self.server);
        let input =
            json!({"projectId": self.acme.project, "template": template, "brief": "Ruhe.", "wait": true});
        let made = member.mutate("contentWorkflowRun", input, "job { id } run { id }").await;
        member.finished(made["job"]["id"].as_str().unwrap()).await;
        let query =
            "query($id: ID!) { node(id: $id) { ... on ContentWorkflowRun { steps { key kind status attempts
            error { code message } output { __typename } } } } }";
        let run = member.ok(query, json!({"id": made["run"]["id"]})).await;
        (run["node"]["steps"][0].clone(), made["run"]["id"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_what_the_step_says_signed_by_the_specification() {
    let (room, workers) = Room::new().await;
    let (endpoint, secret) = room.endpoint().await;
    room.template("tell", &endpoint, json!({})).await;
    let (step, run) = room.run("tell").await;
    assert_eq!(
        (&step["kind"], &step["status"], &step["attempts"]),
        (&json!("WEBHOOK"), &json!("SUCCEEDED"), &json!(1))
    );
    let got = room.receiver.got();
    assert_eq!(got.len(), 1, "{got:#?}");
    assert!(got[0].is_signed_by(&secret));
    assert!(!got[0].is_signed_by(&format!("whsec_{}", STANDARD.encode([7; 32]))), "not by any other");
    assert_eq!(
        (got[0].header("content-type"), got[0].header("webhook-id")),
        ("application/json", &*format!("{run}_tell"))
    );
    let body: Value = serde_json::from_slice(&got[0].body).unwrap();
    assert_eq!(body["type"], "workflow.step");
    assert!(body["timestamp"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().is_ok());
    assert_eq!(
        body["data"],
        json!({"organization": room.acme.id, "project": room.acme.project, "run": run, "template": "tell", "step": "tell",
            "values": {"about": "Ruhe.", "tags": ["a", "b"], "count": 3}})
    );
    // With another secret, the one before signs as well for a while.
    let owner = room.acme.owner.at(&room.server);
    let rotate = json!({"id": endpoint, "rotateSecret": true});
    let rotated =
        owner.mutate("webhookEndpointUpdate", rotate, "secret endpoint { previousSecretUntil }").await;
    let second = rotated["secret"].as_str().unwrap();
    assert!(second != secret && rotated["endpoint"]["previousSecretUntil"].is_string());
    room.run("tell").await;
    let got = room.receiver.got();
    assert!(got[0].is_signed_by(&secret) && got[0].is_signed_by(second));
    assert_eq!(room.server.tamper("update webhook_endpoints set previous_until = now()").await, 1);
    room.run("tell").await;
    let got = room.receiver.got();
    assert!(!got[0].is_signed_by(&secret) && got[0].is_signed_by(second), "after that it does not");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_is_sent_again_as_the_step_says_and_is_the_same() {
    let (room, workers) = Room::new().await;
    let (endpoint, secret) = room.endpoint().await;
    room.template("usual", &endpoint, json!({})).await;
    room.receiver.replies([Reply::Status(500), Reply::Status(503)]);
    let (step, _) = room.run("usual").await;
    assert_eq!((&step["status"], &step["attempts"]), (&json!("SUCCEEDED"), &json!(3)), "{step:#}");
    let got = room.receiver.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|got| got.is_signed_by(&secret)));
    for again in &got[1..] {
        assert_eq!(
            again.header("webhook-id"),
            got[0].header("webhook-id"),
            "by this a receiver drops what it has"
        );
        assert_eq!(again.body, got[0].body);
    }
    // Until the step's retries are used up.
    room.receiver.replies([Reply::Status(500); 9]);
    let (step, _) = room.run("usual").await;
    assert_eq!(
        (&step["status"], &step["error"]["code"]),
        (&json!("FAILED"), &json!("PROVIDER_FAILED")),
        "{step:#}"
    );
    assert!(step["error"]["message"].as_str().unwrap().contains("500"));
    assert_eq!(room.receiver.got().len(), 3);
    // What answers that it is not wanted is left alone, and a redirect is not followed.
    for (reply, says) in
        [(Reply::Status(410), "410"), (Reply::Status(404), "404"), (Reply::Redirect, "not followed")]
    {
        room.receiver.replies([reply]);
        let (step, _) = room.run("usual").await;
        assert_eq!((&step["status"], &step["attempts"]), (&json!("FAILED"), &json!(1)), "{step:#}");
        assert!(step["error"]["message"].as_str().unwrap().contains(says), "{step:#}");
        assert_eq!(room.receiver.got().len(), 1);
    }
    // Whoever does not answer is waited for as long as the step says.
    room.template("brief", &endpoint, json!({"timeoutSeconds": 1, "retries": 1})).await;
    room.receiver.replies([Reply::Stall]);
    let (step, _) = room.run("brief").await;
    assert_eq!((&step["status"], &step["attempts"]), (&json!("SUCCEEDED"), &json!(2)), "{step:#}");
    assert_eq!(room.receiver.got().len(), 2);
    // Nobody is there; the endpoint is gone.
    room.template("once", &endpoint, json!({"retries": 0})).await;
    let owner = room.acme.owner.at(&room.server);
    let nowhere = json!({"id": endpoint, "url": "http://127.0.0.1:9/hook"});
    owner.mutate("webhookEndpointUpdate", nowhere, "").await;
    let (step, _) = room.run("once").await;
    assert!(step["error"]["message"].as_str().unwrap().contains("cannot be reached"), "{step:#}");
    owner.mutate("webhookEndpointDelete", json!({"id": endpoint}), "deletedWebhookEndpointId").await;
    let (step, _) = room.run("once").await;
    assert_eq!(step["error"]["code"], "NOT_FOUND", "{step:#}");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_private_network() {
    let (room, workers) = Room::new().await;
    let (endpoint, _) = room.endpoint().await;
    room.template("once", &endpoint, json!({"retries": 0})).await;
    workers.stop().await;
    // The same database, served where private addresses are not allowed.
    let careful = room.server.replica_with(config()).await;
    let owner = room.acme.owner.at(&careful);
    for (url, code) in [
        (room.receiver.url(), "UNSAFE_URL"),
        ("https://169.254.169.254/latest".to_owned(), "UNSAFE_URL"),
        ("https://10.0.0.1/hook".to_owned(), "UNSAFE_URL"),
        ("http://receiver.example/hook".to_owned(), "UNSAFE_URL"),
        ("https://user:pass@receiver.example/hook".to_owned(), "UNSAFE_URL"),
    ] {
        let made = json!({"organizationId": room.acme.id, "name": "Theirs", "url": url});
        assert_eq!(owner.fault("webhookEndpointCreate", made).await, code, "{url}");
        let moved = json!({"id": endpoint, "url": url});
        assert_eq!(owner.fault("webhookEndpointUpdate", moved).await, code, "{url}");
    }
    let public =
        json!({"organizationId": room.acme.id, "name": "Theirs", "url": "https://receiver.example/hook"});
    owner.mutate("webhookEndpointCreate", public, "endpoint { id }").await;
    let workers = careful.work();
    let (step, _) = room.run("once").await;
    assert_eq!(
        (&step["status"], &step["error"]["code"]),
        (&json!("FAILED"), &json!("UNSAFE_URL")),
        "{step:#}"
    );
    assert!(room.receiver.got().is_empty());
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_managed_by_few_and_its_secret_is_shown_once() {
    let (room, workers) = Room::new().await;
    let (owner, admin) = (room.acme.owner.at(&room.server), room.acme.admin.at(&room.server));
    let input = json!({"organizationId": room.acme.id, "name": "Ours", "url": room.receiver.url(), "idempotencyKey": "once"});
    let made = owner.mutate("webhookEndpointCreate", input.clone(), "endpoint { id } secret").await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let again = owner.mutate("webhookEndpointCreate", input, "endpoint { id } secret").await;
    assert_eq!((&again["endpoint"]["id"], &again["secret"]), (&made["endpoint"]["id"], &Value::Null));
    let listed =
        "{ organization { webhookEndpoints { id name url previousSecretUntil createdAt updatedAt } } }";
    let seen = admin.ok(listed, json!({})).await;
    assert_eq!(seen["organization"]["webhookEndpoints"][0]["id"], made["endpoint"]["id"]);
    // It stands nowhere in the clear, and another row does not open it.
    let stored: Vec<(Vec<u8>, String)> =
        sqlx::query_as("select sealed_secret, to_jsonb(e)::text from webhook_endpoints e")
            .fetch_all(&mut room.server.database.superuser().await)
            .await
            .unwrap();
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    assert!(!stored[0].0.windows(16).any(|bytes| key.windows(16).any(|part| part == bytes)));
    assert!(!stored[0].1.contains(secret));
    let log = "{ organization { auditLog { nodes { changes { before after } } } } }";
    assert!(!owner.ok(log, json!({})).await.to_string().contains(secret));
    // Nobody else manages them; members run workflows that use them.
    let member = room.acme.member.at(&room.server);
    assert_eq!(member.ok(listed, json!({})).await["organization"]["webhookEndpoints"], Value::Null);
    let delete = json!({"input": {"id": made["endpoint"]["id"]}});
    assert_eq!(member.refusal(&mutation("webhookEndpointDelete", ""), delete).await, "FORBIDDEN");
    // A workflow names one that is there.
    let template = |endpoint: &str| {
        json!({"organizationId": room.acme.id, "key": "tell", "name": "Tell",
        "steps": [{"key": "tell", "kind": "WEBHOOK", "endpointId": endpoint}]})
    };
    let nobody = aicos::id::WebhookEndpointId::generate().to_string();
    assert_eq!(admin.fault("contentWorkflowTemplateCreate", template(&nobody)).await, "NOT_FOUND");
    let mut wrong = template(made["endpoint"]["id"].as_str().unwrap());
    wrong["steps"][0]["inputs"] = json!([{"name": "x", "from": "steps.nothing.text"}]);
    assert_eq!(admin.fault("contentWorkflowTemplateCreate", wrong.clone()).await, "INVALID");
    wrong["steps"][0]["inputs"] = json!([{"name": "No name", "value": {"text": "x"}}]);
    assert_eq!(admin.fault("contentWorkflowTemplateCreate", wrong).await, "INVALID");
    for number in 1..20 {
        let input =
            json!({"organizationId": room.acme.id, "name": format!("{number}"), "url": room.receiver.url()});
        owner.mutate("webhookEndpointCreate", input, "").await;
    }
    let input = json!({"organizationId": room.acme.id, "name": "One more", "url": room.receiver.url()});
    assert_eq!(owner.fault("webhookEndpointCreate", input).await, "CONFLICT");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_sealed_anew_under_another_master_key_and_sign_as_before() {
    let (room, workers) = Room::new().await;
    let (endpoint, before) = room.endpoint().await;
    let owner = room.acme.owner.at(&room.server);
    let rotated =
        owner.mutate("webhookEndpointUpdate", json!({"id": endpoint, "rotateSecret": true}), "secret").await;
    let secret = rotated["secret"].as_str().unwrap().to_owned();
    room.template("tell", &endpoint, json!({})).await;
    workers.stop().await;
    let old = std::fs::read_to_string(config().data_dir.join("master.key")).unwrap();
    let new = STANDARD.encode([41_u8; 16].iter().chain(&[99; 16]).copied().collect::<Vec<u8>>());
    let keys = |text: String| MasterKeys::parse(&text.into()).unwrap();
    let both = Webhooks::new(keys(format!("{new},{}", old.trim())), Reach::Private);
    assert_eq!(both.reseal(&room.server.app.db).await.unwrap(), 1);
    assert_eq!(both.reseal(&room.server.app.db).await.unwrap(), 0, "it is done");
    let mut alone = config();
    alone.reach = Reach::Private;
    alone.master_key = Some(format!("{new},{}", old.trim()).into());
    let replica = room.server.replica_with(alone).await;
    let workers = replica.work();
    room.run("tell").await;
    let got = room.receiver.got();
    assert!(got[0].is_signed_by(&secret) && got[0].is_signed_by(&before));
    workers.stop().await;
}
