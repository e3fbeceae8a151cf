//! Whatever happens, no log holds what is secret: a whole day of a server, the failures included, read afterwards.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aicos::config::Config;
use aicos::engine::Reach;
use axum::body::Body;
use axum::http::Request;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::events::PrivateRedis;
use crate::support::cast::{self, PASSWORD};
use crate::support::fixture::text_at;
use crate::support::graph::{FakeGraph, USER};
use crate::support::provider::{FakeProvider, Reply};
use crate::support::socket::Socket;
use crate::support::work::HANDBOOK;
use crate::support::{Server, config, mutation, tuning};

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Secrets of the settings, as nobody would choose them by chance.
const JWT: &str = "jwt-Zq81 sesame over the hills and far away";
const SMTP: &str = "smtp-sesame-4711";
const REDIS: &str = "redis-sesame-4712";
const PROVIDER: &str = "sk-sesame-4713-of-the-server";
const OWN: &str = "sk-sesame-4714-of-the-organization";
const OWN_NEXT: &str = "sk-sesame-4715-of-the-organization";
const ACCOUNT: &str = "EAAB-sesame-4716-of-the-account";
const ACCOUNT_NEXT: &str = "EAAB-sesame-4717-of-the-account";
const MASTER: &str = "c2VzYW1lLXNlc2FtZS1zZXNhbWUtc2VzYW1lITEyMzQ=";
const NEW: &str = "quite another phrase";
const WRONG: &str = "a guess that was wrong";
/// What somebody has written, which is nobody else's to read.
const BODY: &str = "The harvest of the blue orchard stays between us.";

/// Attacks: 145.
#[tokio::test]
async fn no_log_of_a_whole_day_holds_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("debug,aicos=trace"))
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone, what a thread of another test is first to say would be taken as said to nobody, for all.
    let _beside = tracing::Dispatch::new(tracing_subscriber::registry());
    // The runtime of this test has one thread, so that this catches what its tasks log, the libraries included.
    let _guard = tracing::subscriber::set_default(subscriber);
    let fake = FakeProvider::start().await;
    let graph = FakeGraph::start("EAAB-nobodys").await;
    let redis = PrivateRedis::with_password(REDIS).await;
    let mail = Some((
        format!("smtp://user:{SMTP}@127.0.0.1:1").into(),
        "aicos <no-reply@aicos.example.com>".to_owned(),
    ));
    let settings = Config {
        jwt_secret: Some(JWT.into()),
        master_key: Some(MASTER.into()),
        redis_url: redis.as_ref().map(|redis| format!("redis://:{REDIS}@127.0.0.1:{}", redis.port).into()),
        providers: fake.endpoints(PROVIDER),
        reach: Reach::Private,
        instagram: Some(graph.url()),
        mail,
        ..config()
    };
    let server = Server::with(settings, tuning()).await;
    let running = server.app.clone().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut secrets: Vec<String> = [
        JWT,
        SMTP,
        REDIS,
        PROVIDER,
        OWN,
        OWN_NEXT,
        ACCOUNT,
        ACCOUNT_NEXT,
        MASTER,
        PASSWORD,
        NEW,
        WRONG,
        BODY,
    ]
    .map(str::to_owned)
    .to_vec();

    // People: made, let in, refreshed, changed, and refused.
    let acme = cast::organization(&server, "Acme").await;
    for (_, person) in acme.people() {
        secrets.extend([person.token.clone(), person.refresh.clone()]);
    }
    let owner = acme.owner.at(&server);
    let anonymous = server.anonymous();
    let keep = |made: &Value, pointers: &[&str]| -> Vec<String> {
        pointers.iter().map(|pointer| text_at(made, pointer)).collect()
    };
    let both = "accessToken refreshToken";
    secrets
        .extend(keep(&cast::sign_in(&server, &acme.member.email).await, &["/accessToken", "/refreshToken"]));
    for email in [acme.owner.email.as_str(), "nobody@acme.example", WRONG] {
        anonymous.fault("login", json!({"email": email, "password": WRONG})).await;
    }
    let made = anonymous.mutate("tokenRefresh", json!({"refreshToken": acme.viewer.refresh}), both).await;
    secrets.extend(keep(&made, &["/accessToken", "/refreshToken"]));
    server.tamper("update sessions set rotated_at = rotated_at - interval '11 seconds'").await;
    anonymous.fault("tokenRefresh", json!({"refreshToken": acme.viewer.refresh})).await;
    let change = json!({"currentPassword": PASSWORD, "newPassword": NEW});
    acme.admin.at(&server).mutate("passwordChange", change, "").await;
    // Somebody else: the link is made a moment later, and would take the place of the next one.
    anonymous.mutate("passwordResetRequest", json!({"email": acme.viewer.email}), "").await;
    acme.owner.at(&server).mutate("emailVerificationRequest", json!({}), "").await;
    let link = server.app.identity.reset_link(&acme.member.email).await.unwrap();
    let token = cast::token_of(link.expose_secret());
    anonymous.fault("passwordReset", json!({"token": &token[..token.len() - 1], "newPassword": NEW})).await;
    let reset = json!({"token": token, "newPassword": NEW});
    secrets.extend(keep(
        &anonymous.mutate("passwordReset", reset, both).await,
        &["/accessToken", "/refreshToken"],
    ));
    secrets.push(token);

    // Invitations and keys.
    let invite = json!({"organizationId": acme.id, "email": cast::address(), "role": "VIEWER"});
    let invited = owner.mutate("invitationCreate", invite, "acceptUrl invitation { id }").await;
    secrets.push(cast::token_of(&text_at(&invited, "/acceptUrl")));
    let resent =
        owner.mutate("invitationResend", json!({"id": invited["invitation"]["id"]}), "acceptUrl").await;
    secrets.push(cast::token_of(&text_at(&resent, "/acceptUrl")));
    let key = json!({"organizationId": acme.id, "name": "k", "permissions": ["ORG_READ"]});
    let key = owner.mutate("apiKeyCreate", key, "secret apiKey { id }").await;
    let rotated =
        owner.mutate("apiKeyRotate", json!({"id": key["apiKey"]["id"], "graceSeconds": 0}), "secret").await;
    secrets.extend([text_at(&key, "/secret"), text_at(&rotated, "/secret")]);
    server.key(&text_at(&rotated, "/secret")).ok("{ organization { name } }", json!({})).await;
    server.key(&text_at(&key, "/secret")).refusal("{ organization { name } }", json!({})).await;

    // Credentials where they have no business: in addresses, in broken bodies, in documents, forged.
    for secret in secrets.clone().iter().filter(|secret| !secret.contains(' ')) {
        let address = format!("/graphql?token={secret}&query=%7B__typename%7D");
        let cookie = Request::get(address).header("cookie", format!("token={secret}"));
        server.send(cookie.body(Body::empty()).unwrap()).await;
        server.bearer(&format!("{secret}x")).send("{ viewer { id } }", json!({})).await;
        let broken = Request::post("/graphql").header("content-type", "application/json");
        server.send(broken.body(Body::from(format!("{{\"query\": \"{secret}"))).unwrap()).await;
        anonymous.send(&format!("{{ node(id: \"{secret}\") {{ id }} }}"), json!({"x": secret})).await;
        server.send(Request::get(format!("/{secret}")).body(Body::empty()).unwrap()).await;
    }
    let mut socket = Socket::bearer(running.address, &acme.owner.token).await;
    socket.subscribe("q", "{ viewer { id } }", json!({"secret": acme.owner.refresh})).await;
    socket.payload("next", "q").await;
    let mut refused = Socket::open(running.address).await;
    let forged = json!({"authorization": format!("Bearer {}x", acme.owner.token)});
    refused.say(json!({"type": "connection_init", "payload": forged})).await;
    refused.end().await;

    // Content and models, which fail as well.
    owner.learn(&acme, "Handbook", &format!("{HANDBOOK}\n{BODY}")).await;
    fake.script([
        Reply::text(&format!("{BODY} [1]")),
        Reply::unauthorized(PROVIDER),
        Reply::text("One two").cut_after(1),
    ]);
    for _ in 0..2 {
        let asked = json!({"organizationId": acme.id, "question": format!("What is said? {BODY}"),
            "engine": {"provider": "openai", "model": "gpt-test"}});
        owner.try_mutate("qaAsk", asked, "answer { answer }").await;
    }

    let own = json!({"organizationId": acme.id, "name": "own", "kind": "ANTHROPIC", "baseUrl": fake.url(), "key": OWN});
    let own = owner.mutate("providerCreate", own, "provider { id }").await["provider"]["id"].clone();
    fake.script([Reply::unauthorized(OWN), Reply::text("OK"), Reply::unauthorized(OWN_NEXT)]);
    owner.mutate("providerTest", json!({"id": own, "model": "m"}), "test { message }").await;
    owner.mutate("providerUpdate", json!({"id": own, "key": OWN_NEXT}), "").await;
    owner.fault("providerUpdate", json!({"id": own, "key": format!("{OWN_NEXT} x")})).await;
    owner.mutate("providerTest", json!({"id": own, "model": "m"}), "test { message }").await;
    let asked = json!({"organizationId": acme.id, "question": "What is said?", "wait": false,
        "engine": {"provider": "own", "model": "m"}});
    owner.try_mutate("qaAsk", asked, "job { id }").await;

    // An account whose token is repeated by whoever refuses it, accepted, and replaced.
    let account = json!({"organizationId": acme.id, "userId": USER, "token": ACCOUNT});
    let account = owner.mutate("accountConnect", account, "account { id }").await["account"]["id"].clone();
    for token in ["EAAB-nobodys", ACCOUNT] {
        graph.accept(token);
        owner.mutate("accountTest", json!({"id": account}), "test { message }").await;
    }
    owner.mutate("accountUpdate", json!({"id": account, "token": ACCOUNT_NEXT}), "").await;
    owner.fault("accountUpdate", json!({"id": account, "token": format!("{ACCOUNT_NEXT} x")})).await;
    owner.mutate("accountTest", json!({"id": account}), "test { message }").await;
    assert_eq!(graph.seen().len(), 4, "one answer of three was an account's");

    // Faults of the server's: a constraint whose row holds a hash, and a table that is not what it was.
    server.tamper("alter table passwords add constraint nothing_fits check (hash = '') not valid").await;
    let change = json!({"input": {"currentPassword": NEW, "newPassword": PASSWORD}});
    let answer = acme.admin.at(&server).send(&mutation("passwordChange", ""), change).await;
    assert_eq!(answer.code(), Some("INTERNAL"), "{}", answer.body);
    server.tamper("alter table passwords drop constraint nothing_fits").await;
    server.tamper("alter table api_keys rename column hash to hashes").await;
    let key = json!({"input": {"organizationId": acme.id, "name": BODY, "permissions": ["ORG_READ"]}});
    let answer = owner.send(&mutation("apiKeyCreate", "secret"), key).await;
    assert_eq!(answer.code(), Some("INTERNAL"), "{}", answer.body);
    server.tamper("alter table api_keys rename column hashes to hash").await;

    // The mails that cannot be sent have been given up, and whatever else goes on in the background has happened.
    let logged = async || loop {
        let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        if text.matches("a mail was not sent").count() >= 4 {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let text = tokio::time::timeout(Duration::from_secs(60), logged()).await.expect("mails fail");
    running.stop().await.unwrap();
    // The controls: it was logged, by the server and by what it stands on, and faults with their cause.
    for said in [
        "request answered",
        "request refused",
        "request failed",
        "nothing_fits",
        "relation \"api_keys\"",
        " hyper_util::",
    ] {
        assert!(text.contains(said), "nothing is logged of `{said}`");
    }
    let mut found = String::new();
    for secret in secrets.iter().map(String::as_str).chain(["$argon2", "argon2id", "eyJ", "Bearer ey"]) {
        for line in text.lines().filter(|line| line.contains(secret)).take(2) {
            let _ = writeln!(found, "{secret:.40} in: {line:.400}");
        }
    }
    assert!(found.is_empty(), "{found}");
}
