//! What an organization, a key and an address may spend: the head of every answer says it, replicas with one Redis count
//! together, and an outage of Redis neither stops reads nor lets changes through uncounted.

use std::sync::Arc;
use std::time::Duration;

use aicos::app::Tuning;
use aicos::config::Config;
use aicos::http::limiter::LimiterSettings;
use aicos::identity::throttle::ThrottleSettings;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::events::PrivateRedis;
use crate::support::cast::{self, Organization};
use crate::support::{Database, Server, config, tuning};

const READ: &str = "{ organization { name } }";

fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// What is left of each policy, by its name.
fn left(headers: &HeaderMap) -> Vec<(String, u64)> {
    let items = field(headers, "ratelimit").split(", ").filter(|item| !item.is_empty());
    let read = |item: &str| {
        let (name, rest) = item.split_once(";r=").unwrap();
        let (remaining, seconds) = rest.split_once(";t=").unwrap();
        assert!(seconds.parse::<u64>().unwrap() <= 60, "{item}");
        (name.trim_matches('"').to_owned(), remaining.parse().unwrap())
    };
    items.map(read).collect()
}

/// Two organizations on a database of their own, whose tier lets each spend so many points in a minute.
async fn prepare(points: i32) -> (Arc<Database>, Organization, Organization) {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    let sql = format!("update tiers set points_per_minute = {points}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut server.database.superuser().await).await.unwrap();
    (server.database, acme, globex)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_one_budget_and_a_stranger_cannot_empty_it() {
    let (database, acme, globex) = prepare(50).await;
    let server = Server::on(database, config(), tuning()).await;
    // The first look shows that they belong there; from then on they spend together.
    for person in [&acme.owner, &acme.member] {
        person.at(&server).ok(READ, json!({})).await;
    }
    let (status, headers) = acme.owner.at(&server).head(READ).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(field(&headers, "ratelimit-policy"), "\"organization\";q=50;w=60");
    let before = left(&headers)[0].1;
    let (_, headers) = acme.member.at(&server).head(READ).await;
    assert!(left(&headers)[0].1 < before, "{before} {headers:?}");
    // A stranger names the organization, for nothing.
    for _ in 0..60 {
        let stranger = globex.owner.at(&server).header("x-organization", &acme.id);
        let (_, headers) = stranger.head(READ).await;
        assert_ne!(left(&headers).first().map(|(name, _)| name.as_str()), Some("organization"));
    }
    let (status, headers) = acme.owner.at(&server).head(READ).await;
    assert_eq!(status, StatusCode::OK, "{headers:?}");
    // Until it is spent, for everybody in it.
    let mut refused = None;
    for _ in 0..60 {
        let (status, headers) = acme.owner.at(&server).head(READ).await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(headers);
            break;
        }
    }
    let headers = refused.expect("a budget ends");
    let wait: u64 = field(&headers, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait) && !left(&headers).is_empty(), "{headers:?}");
    let answer = acme.member.at(&server).send(READ, json!({})).await;
    assert_eq!(answer.code(), Some("RATE_LIMITED"));
    assert!(answer.body["errors"][0]["extensions"]["retryAfter"].as_u64().unwrap() <= 60);
    assert_eq!(globex.owner.at(&server).send(READ, json!({})).await.code(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_a_limit_of_its_own_beside_its_organizations() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let input = json!({
        "organizationId": acme.id, "name": "Script", "permissions": ["ORG_READ"], "requestsPerMinute": 3
    });
    let made = acme.owner.at(&server).mutate("apiKeyCreate", input, "secret").await;
    let key = server.key(made["secret"].as_str().unwrap());
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (status, headers) = key.head(READ).await;
        assert!(field(&headers, "ratelimit-policy").ends_with("\"api-key\";q=3;w=60"), "{headers:?}");
        seen.push((status.as_u16(), left(&headers)[1].1));
    }
    assert_eq!(seen, [(200, 2), (200, 1), (200, 0), (429, 0)]);
    assert_eq!(acme.owner.at(&server).send(READ, json!({})).await.code(), None);
}

fn with_redis(url: &str) -> Config {
    Config { redis_url: Some(url.to_owned().into()), ..config() }
}

fn strict() -> Tuning {
    let limiter = LimiterSettings { address_points: 40, ..tuning().limiter };
    Tuning { limiter, ..tuning() }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_one_redis_have_one_limit() {
    let Some(redis) = PrivateRedis::start().await else { return };
    let (database, acme, globex) = prepare(60).await;
    let server = async || Server::on(Arc::clone(&database), with_redis(&redis.url()), strict()).await;
    let (one, other) = (server().await, server().await);
    // Both know who belongs there.
    for server in [&one, &other] {
        acme.owner.at(server).ok(READ, json!({})).await;
    }
    let (mut admitted, mut last) = (0, u64::MAX);
    for number in 0..80 {
        let server = if number % 2 == 0 { &one } else { &other };
        let (status, headers) = acme.owner.at(server).head(READ).await;
        if status == StatusCode::OK {
            admitted += 1;
            let (name, remaining) = &left(&headers)[0];
            assert!(name == "organization" && *remaining < last, "{name} {remaining} {last}");
            last = *remaining;
        }
    }
    // A look costs a point. Each alone would have let all of its forty through.
    assert_eq!(admitted, 60);
    // At once, from both: no more than there are.
    for server in [&one, &other] {
        globex.owner.at(server).ok(READ, json!({})).await;
    }
    let (_, headers) = globex.owner.at(&one).head(READ).await;
    let remaining = left(&headers)[0].1;
    let cost = {
        let (_, headers) = globex.owner.at(&other).head(READ).await;
        remaining - left(&headers)[0].1
    };
    let attempts = (0..100).map(|number| {
        let server = if number % 2 == 0 { &one } else { &other };
        let owner = globex.owner.at(server);
        async move { owner.head(READ).await.0 == StatusCode::OK }
    });
    let through = futures_util::future::join_all(attempts).await.into_iter().filter(|ok| *ok).count();
    assert_eq!(through as u64, (remaining - cost) / cost);
    // An address without a credential, and attempts to sign in, count on both as well.
    let mut codes = Vec::new();
    for number in 0..60 {
        let server = if number % 2 == 0 { &one } else { &other };
        codes.push(server.anonymous().from("198.51.100.9").head("{ rateLimit { limit } }").await.0);
    }
    let refused = codes.iter().filter(|code| **code == StatusCode::TOO_MANY_REQUESTS).count();
    assert!(refused >= 20, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_a_password_is_slowed_down_by_both_servers_together() {
    let Some(redis) = PrivateRedis::start().await else { return };
    let throttle = ThrottleSettings::default();
    let (database, acme, _) = prepare(10_000).await;
    let tuning = || Tuning { throttle, ..tuning() };
    let server = async || Server::on(Arc::clone(&database), with_redis(&redis.url()), tuning()).await;
    let (one, other) = (server().await, server().await);
    let attempt = async |server: &Server, password: &str| {
        let input = json!({"email": acme.owner.email, "password": password});
        let payload = server.anonymous().try_mutate("login", input, "accessToken").await;
        payload["userErrors"][0]["code"].as_str().unwrap_or("in").to_owned()
    };
    assert_eq!(attempt(&one, cast::PASSWORD).await, "in");
    let mut codes = Vec::new();
    for number in 0..14 {
        codes.push(attempt(if number % 2 == 0 { &one } else { &other }, "wrong password").await);
    }
    assert_eq!(codes.iter().filter(|code| *code == "INVALID_CREDENTIALS").count(), 10, "{codes:?}");
    assert_eq!(attempt(&other, cast::PASSWORD).await, "THROTTLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_reads_go_on_and_changes_wait() {
    let Some(redis) = PrivateRedis::start().await else { return };
    let (database, acme, _) = prepare(10_000).await;
    let server = Server::on(database, with_redis(&redis.url()), strict()).await;
    let owner = acme.owner.at(&server);
    let change = json!({"id": acme.id, "name": "Acme again"});
    owner.mutate("organizationUpdate", change.clone(), "").await;
    let port = redis.port;
    drop(redis);
    for _ in 0..5 {
        let (status, headers) = owner.head(READ).await;
        assert!(status == StatusCode::OK && !left(&headers).is_empty(), "{status} {headers:?}");
    }
    let document = crate::support::mutation("organizationUpdate", "");
    let refused = owner.send(&document, json!({"input": change})).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, Some("UNAVAILABLE")));
    // Each process holds addresses to the limit by itself meanwhile.
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(server.anonymous().from("198.51.100.8").head("{ rateLimit { limit } }").await.0);
    }
    assert!(statuses.contains(&StatusCode::OK) && statuses.contains(&StatusCode::TOO_MANY_REQUESTS));
    let _again = PrivateRedis::at(port).await.unwrap();
    let counted_again = async {
        while owner.send(&document, json!({"input": change})).await.code().is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counted_again).await.expect("changes go on");
}
