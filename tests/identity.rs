//! Accounts, sessions, tokens and passwords, as somebody without good intentions would use them.

use aicos::app::Tuning;
use aicos::config::Config;
use aicos::identity::credentials::{About, Cost, HashSettings, Hasher, NewPassword};
use aicos::identity::throttle::ThrottleSettings;
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::cast::{self, PASSWORD};
use crate::support::{Answer, Client, Server, config, mutation, tuning};

const ME: &str = "{ viewer { id } credential { kind } }";
const NEW: &str = "quite another phrase";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

async fn sign_up(server: &Server, email: &str) -> Value {
    cast::sign_up(server, "Nora Newcomer", email, ("organizationName", "New")).await
}

async fn login(client: &Client<'_>, email: &str, password: &str) -> Value {
    client
        .try_mutate("login", json!({"email": email, "password": password}), "accessToken refreshToken")
        .await
}

async fn refresh(server: &Server, token: &str) -> Value {
    server
        .anonymous()
        .try_mutate("tokenRefresh", json!({"refreshToken": token}), "accessToken refreshToken")
        .await
}

/// The first code, or `ok`.
fn code(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or("ok")
}

async fn alive(server: &Server, token: &Value) -> bool {
    let answer = server.bearer(token.as_str().unwrap()).send(ME, json!({})).await;
    match answer.code() {
        None => true,
        Some("UNAUTHENTICATED") => false,
        Some(other) => panic!("{other}"),
    }
}

/// The kinds of somebody's security events, newest first.
async fn events(client: &Client<'_>) -> Vec<String> {
    let seen = client
        .ok("{ viewer { securityEvents(first: 50) { nodes { kind ip userAgent } } } }", json!({}))
        .await;
    let nodes = seen["viewer"]["securityEvents"]["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|event| event["ip"] == "203.0.113.7"), "{nodes:?}");
    nodes.iter().map(|event| text(&event["kind"])).collect()
}

// ------------------------------------------------------------------------------------------------ accounts

/// Attacks: 42.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_begins_with_an_organization_and_its_default_project() {
    let server = Server::start().await;
    let auth = sign_up(&server, "  Nora@New.Example ").await;
    let client = server.bearer(&text(&auth["accessToken"]));
    let seen = client
        .ok(
            "{ viewer { email name emailVerified avatarUrl memberships { nodes { role invitedBy { id } organization { slug projects { nodes { name slug } } } } } }
               credential { kind role expiresAt permissions organization { name } } }",
            json!({}),
        )
        .await;
    assert_eq!(seen["viewer"]["email"], "nora@new.example", "trimmed and in lower case");
    assert_eq!(seen["viewer"]["emailVerified"], false);
    let membership = &seen["viewer"]["memberships"]["nodes"][0];
    assert_eq!((&membership["role"], &membership["invitedBy"]), (&json!("OWNER"), &Value::Null));
    assert_eq!(
        membership["organization"]["projects"]["nodes"],
        json!([{"name": "Default", "slug": "default"}])
    );
    assert_eq!(seen["credential"]["kind"], "SESSION");
    assert_eq!(seen["credential"]["permissions"].as_array().unwrap().len(), 20);
    assert_eq!(events(&client).await, ["account.created"]);
    // The same address in another spelling is the same account.
    for email in ["nora@new.example", "NORA@new.example", " nora@NEW.example\n"] {
        let input = json!({"email": email, "password": PASSWORD, "name": "N", "organizationName": "N"});
        assert_eq!(server.anonymous().fault("signup", input).await, "ALREADY_EXISTS", "{email:?}");
    }
}

/// Attacks: 42, 45, 127, 128.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_account_is_refused_at_its_field_and_nothing_is_made() {
    let server = Server::start().await;
    let good = json!({"email": "a@x.example", "password": PASSWORD, "name": "N", "organizationName": "O"});
    let long = "x".repeat(201);
    let words = "correct horse battery staple ".repeat(7);
    for (changes, expected, field) in [
        (json!({"email": ""}), "REQUIRED", "email"),
        (json!({"email": "no-at-sign"}), "INVALID", "email"),
        (json!({"email": "ADMİN@x.example"}), "INVALID", "email"),
        (json!({"email": "аdmin@x.example"}), "INVALID", "email"),
        (json!({"email": "a\r\nBcc: b@x.example@x.example"}), "INVALID", "email"),
        (json!({"email": format!("{}@x.example", "a".repeat(300))}), "TOO_LONG", "email"),
        (json!({"password": "short"}), "TOO_SHORT", "password"),
        (json!({"password": "password123"}), "WEAK_PASSWORD", "password"),
        (json!({"password": "aaaaaaaaaaaaaaaa"}), "WEAK_PASSWORD", "password"),
        (
            json!({"password": "norabelle and more", "email": "norabelle@x.example"}),
            "WEAK_PASSWORD",
            "password",
        ),
        (json!({"password": long}), "TOO_LONG", "password"),
        (json!({"password": "x".repeat(100_000)}), "TOO_LONG", "password"),
        (json!({"password": "line\nbreak in it"}), "INVALID", "password"),
        (json!({"name": ""}), "REQUIRED", "name"),
        (json!({"name": "N\r\nX-Header: 1"}), "INVALID", "name"),
        (json!({"name": "\u{202E}nimda"}), "INVALID", "name"),
        (json!({"name": "n".repeat(101)}), "TOO_LONG", "name"),
        (json!({"organizationName": "\u{200B}"}), "INVALID", "organizationName"),
        (json!({"organizationName": null}), "REQUIRED", "organizationName"),
        (json!({"invitationToken": "aicos_inv_x"}), "REQUIRED", "organizationName"),
        (json!({"organizationName": null, "invitationToken": "aicos_inv_x"}), "NOT_FOUND", "token"),
    ] {
        let mut input = good.clone();
        for (key, value) in changes.as_object().unwrap() {
            input[key] = value.clone();
        }
        let payload = server.anonymous().try_mutate("signup", input, "accessToken user { id }").await;
        assert_eq!(code(&payload), expected, "{changes:.80}: {payload}");
        assert_eq!(
            payload["userErrors"][0]["field"].as_array().unwrap().last().unwrap(),
            field,
            "{changes:.80}"
        );
        assert_eq!((&payload["accessToken"], &payload["user"]), (&Value::Null, &Value::Null));
    }
    let mut database = server.database.superuser().await;
    let users: i64 = sqlx::query_scalar("select count(*) from users").fetch_one(&mut database).await.unwrap();
    assert_eq!(users, 0);
    // The control, and that neither length nor spaces nor Unicode are cut off.
    for (number, password) in
        [PASSWORD, &words[..200], "пароль надёжный 密码", "  spaces  at  the  ends  "].iter().enumerate()
    {
        let email = format!("good{number}@x.example");
        let input = json!({"email": email, "password": password, "name": "N", "organizationName": "O"});
        server.anonymous().mutate("signup", input, "").await;
        assert_eq!(code(&login(&server.anonymous(), &email, password).await), "ok");
        let cut: String = password.chars().take(password.chars().count() - 1).collect();
        assert_eq!(code(&login(&server.anonymous(), &email, &cut).await), "INVALID_CREDENTIALS");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_changed_where_it_is_named_and_cleared_where_it_is_null() {
    let server = Server::start().await;
    let auth = sign_up(&server, "nora@new.example").await;
    let client = server.bearer(&text(&auth["accessToken"]));
    let set = async |input: Value| client.try_mutate("userUpdate", input, "user { name avatarUrl }").await;
    let both = set(json!({"name": " Nora  N. ", "avatarUrl": "https://example.com/a.png"})).await;
    assert_eq!(both["user"], json!({"name": "Nora  N.", "avatarUrl": "https://example.com/a.png"}));
    assert_eq!(set(json!({})).await["user"], both["user"], "absent leaves unchanged");
    assert_eq!(set(json!({"avatarUrl": null})).await["user"]["avatarUrl"], Value::Null);
    assert_eq!(code(&set(json!({"name": null})).await), "REQUIRED");
    assert_eq!(code(&set(json!({"name": "x".repeat(101)})).await), "TOO_LONG");
    for url in [
        "ftp://example.com/a",
        "https://user:pass@example.com/a",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ] {
        assert_eq!(code(&set(json!({"avatarUrl": url})).await), "UNSAFE_URL", "{url}");
    }
    let refused =
        client.send(&mutation("userUpdate", ""), json!({"input": {"avatarUrl": "not a url"}})).await;
    assert_eq!(refused.code(), Some("BAD_USER_INPUT"));
    assert_eq!(events(&client).await[0], "profile.changed");
}

// ------------------------------------------------------------------------------------------------ signing in

/// Attacks: 124, 125.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_fails_does_not_tell_whether_there_is_an_account() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let ask = async |field: &str, input: Value| {
        let answer = server.anonymous().send(&mutation(field, ""), json!({"input": input})).await;
        (answer.status, answer.body)
    };
    for (field, with) in [
        ("login", json!({"password": "a wrong password"})),
        ("passwordResetRequest", json!({})),
        ("emailVerificationRequest", json!({})),
    ] {
        let mut answers = Vec::new();
        for email in [&acme.owner.email, "nobody@acme.example", "nobody@elsewhere.example"] {
            let mut input = with.clone();
            input["email"] = email.into();
            answers.push(ask(field, input).await);
        }
        assert_eq!(answers[0], answers[1], "{field}");
        assert_eq!(answers[1], answers[2], "{field}");
    }
    // Without mail the answer says that none goes out, to everybody alike.
    let asked = server
        .anonymous()
        .mutate("emailVerificationRequest", json!({"email": "nobody@x.example"}), "delivery")
        .await;
    assert_eq!(asked["delivery"], "NOT_CONFIGURED");
    assert_eq!(server.anonymous().fault("passwordResetRequest", json!({"email": "no"})).await, "INVALID");
    // A failed sign-in is the account's to know of, and a malformed address is just a wrong one.
    assert_eq!(code(&login(&server.anonymous(), "not an address", PASSWORD).await), "INVALID_CREDENTIALS");
    for _ in 0..50 {
        if events(&acme.owner.at(&server)).await.iter().any(|kind| kind == "login.failed") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(events(&acme.owner.at(&server)).await.contains(&"login.failed".to_owned()));
    // The control.
    assert_eq!(code(&login(&server.anonymous(), "Olivia@ACME.example", PASSWORD).await), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_acts_in_the_organization_that_it_names() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    cast::join(&server, &globex, &acme.owner, "VIEWER").await;
    let here = "organization { name } accessToken";
    let input = |organization: &str| json!({"email": acme.owner.email, "password": PASSWORD, "organizationId": organization});
    let made = server.anonymous().mutate("login", input(&globex.id), here).await;
    assert_eq!(made["organization"]["name"], "Globex");
    let there = server.bearer(&text(&made["accessToken"]));
    assert_eq!(there.ok("{ credential { role } }", json!({})).await["credential"]["role"], "VIEWER");
    let without = json!({"email": acme.owner.email, "password": PASSWORD});
    let made = server.anonymous().mutate("login", without, here).await;
    assert_eq!(made["organization"]["name"], "Acme", "the oldest of one's own");
    // A switch is a session of its own: both tabs go on.
    let switched =
        acme.owner.at(&server).mutate("organizationSwitch", json!({"organizationId": globex.id}), here).await;
    assert_eq!(switched["organization"]["name"], "Globex");
    let seen = acme.owner.at(&server).ok("{ credential { organization { name } } }", json!({})).await;
    assert_eq!(seen["credential"]["organization"]["name"], "Acme");
    let other = cast::organization(&server, "Other").await;
    assert_eq!(
        acme.owner.at(&server).fault("organizationSwitch", json!({"organizationId": other.id})).await,
        "NOT_FOUND"
    );
    assert_eq!(events(&acme.owner.at(&server)).await[0], "organization.switched");
    // What is read below a sign-in is read as whoever has just signed in, whoever sent the request.
    let document = "mutation($a: LoginInput!, $b: LoginInput!) {
        a: login(input: $a) { user { email sessions { id } memberships { totalCount } } organization { viewerRole auditLog { totalCount } } }
        b: login(input: $b) { user { id } } }";
    let (a, b) = (
        json!({"email": acme.viewer.email, "password": PASSWORD}),
        json!({"email": globex.owner.email, "password": PASSWORD}),
    );
    let seen = acme.owner.at(&server).ok(document, json!({"a": a, "b": b})).await;
    assert_eq!(seen["a"]["user"]["email"], acme.viewer.email.as_str());
    assert_eq!(seen["a"]["organization"], json!({"viewerRole": "VIEWER", "auditLog": null}));
}

/// Attacks: 131.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_hash_is_good_for_one_more_sign_in_and_is_then_replaced() {
    let server = Server::start().await;
    let auth = sign_up(&server, "nora@new.example").await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let mut database = server.database.superuser().await;
    let stored = async |database: &mut sqlx::PgConnection| -> String {
        sqlx::query_scalar("select hash from passwords").fetch_one(database).await.unwrap()
    };
    for prefix in ["$2b$", "$2a$", "$2y$"] {
        let legacy = hash.replacen("$2b$", prefix, 1);
        sqlx::query("update passwords set hash = $1").bind(&legacy).execute(&mut database).await.unwrap();
        assert_eq!(
            code(&login(&server.anonymous(), "nora@new.example", "a wrong password").await),
            "INVALID_CREDENTIALS"
        );
        assert_eq!(stored(&mut database).await, legacy, "a failure changes nothing");
        assert_eq!(code(&login(&server.anonymous(), "nora@new.example", PASSWORD).await), "ok");
        assert!(stored(&mut database).await.starts_with("$argon2id$v=19$"), "{prefix}");
        assert_eq!(code(&login(&server.anonymous(), "nora@new.example", PASSWORD).await), "ok");
    }
    // One of the same kind with other parameters is replaced alike.
    let stronger =
        HashSettings { cost: Cost { memory_kib: 64, passes: 2, lanes: 1 }, parallel: 1, waiting: 1 };
    let chosen = NewPassword::parse(PASSWORD, About::default(), "password").unwrap();
    let other = Hasher::start(stronger).unwrap().hash(&chosen).await.unwrap();
    let update = sqlx::query("update passwords set hash = $1").bind(other.expose_secret());
    update.execute(&mut database).await.unwrap();
    assert_eq!(code(&login(&server.anonymous(), "nora@new.example", PASSWORD).await), "ok");
    assert!(stored(&mut database).await.contains("$m=8,t=1,p=1$"));
    assert_eq!(code(&login(&server.anonymous(), "nora@new.example", PASSWORD).await), "ok");
    // A hash that nothing can read refuses, like a wrong password.
    sqlx::query("update passwords set hash = 'broken'").execute(&mut database).await.unwrap();
    assert_eq!(code(&login(&server.anonymous(), "nora@new.example", PASSWORD).await), "INVALID_CREDENTIALS");
    assert!(alive(&server, &auth["accessToken"]).await);
}

/// Attacks: 34, 35, 126.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_per_account_and_address_and_per_address() {
    let throttle = ThrottleSettings { per_account_and_address: 3, per_account: 6, per_address: 5 };
    let server = Server::with(config(), Tuning { throttle, ..tuning() }).await;
    sign_up(&server, "nora@new.example").await;
    sign_up(&server, "otto@new.example").await;
    let at = |ip: &str| server.anonymous().from(ip);
    let throttled = async |payload: Value| {
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["__typename"], &error["code"]),
            (&json!("ThrottleError"), &json!("THROTTLED")),
            "{payload}"
        );
    };
    // Known and unknown accounts alike.
    for (ip, email) in [("198.51.100.1", "nora@new.example"), ("198.51.100.2", "nobody@new.example")] {
        for _ in 0..3 {
            assert_eq!(code(&login(&at(ip), email, "a wrong password").await), "INVALID_CREDENTIALS");
        }
        throttled(login(&at(ip), email, "a wrong password").await).await;
        // Also with the right password: a throttled guess tells nothing.
        throttled(login(&at(ip), email, PASSWORD).await).await;
    }
    let document = "mutation($input: LoginInput!) { login(input: $input) { userErrors { ... on ThrottleError { retryAfterSeconds } } } }";
    let input = json!({"input": {"email": "nora@new.example", "password": "x"}});
    let seen = at("198.51.100.1").ok(document, input).await;
    assert!(seen["login"]["userErrors"][0]["retryAfterSeconds"].as_i64().unwrap() > 0);
    // Somebody else at that address, and the same person elsewhere, go on.
    assert_eq!(code(&login(&at("198.51.100.1"), "otto@new.example", PASSWORD).await), "ok");
    assert_eq!(code(&login(&at("198.51.100.3"), "nora@new.example", PASSWORD).await), "ok");
    // One address that tries many accounts.
    for number in 0..5 {
        let email = format!("guess{number}@new.example");
        assert_eq!(
            code(&login(&at("198.51.100.9"), &email, "a wrong password").await),
            "INVALID_CREDENTIALS"
        );
    }
    throttled(login(&at("198.51.100.9"), "otto@new.example", PASSWORD).await).await;
    // A header that anybody can write is no other address.
    let forged =
        at("198.51.100.9").header("x-forwarded-for", "192.0.2.1").header("forwarded", "for=192.0.2.1");
    throttled(login(&forged, "otto@new.example", PASSWORD).await).await;
    // Many addresses that try one account, once the account's own measure is full.
    for number in 0..3 {
        login(&at(&format!("192.0.2.{number}")), "nora@new.example", "a wrong password").await;
    }
    throttled(login(&at("192.0.2.99"), "nora@new.example", PASSWORD).await).await;
    // It locks nobody out of where they have signed in before.
    assert_eq!(code(&login(&at("198.51.100.3"), "nora@new.example", PASSWORD).await), "ok");
    // Many guesses at the same time are no more than one after the other.
    let client = at("198.51.100.4");
    let guesses = (0..30).map(|_| login(&client, "otto@new.example", "a wrong password"));
    let guessed = futures_util::future::join_all(guesses).await;
    assert_eq!(
        guessed.iter().filter(|payload| code(payload) == "INVALID_CREDENTIALS").count(),
        3,
        "{guessed:?}"
    );
    // A header that anybody can write is no network either, and a network of IPv6 is one address.
    for number in 0..4 {
        let payload = login(&at(&format!("2001:db8::{number}")), "ida@new.example", "a wrong password").await;
        assert_eq!(code(&payload), if number < 3 { "INVALID_CREDENTIALS" } else { "THROTTLED" });
    }
    // Making accounts and asking for mails has its own measure.
    let measured = async |number: usize, payload: Value, expected: &str| {
        if number < 5 {
            assert_eq!(code(&payload), expected);
        } else {
            throttled(payload).await;
        }
    };
    for number in 0..6 {
        let input = json!({"email": format!("s{number}@new.example"), "password": PASSWORD, "name": "N", "organizationName": "O"});
        let payload = at("198.51.100.20").try_mutate("signup", input, "").await;
        measured(number, payload, "ok").await;
        let payload = at("198.51.100.21")
            .try_mutate("passwordResetRequest", json!({"email": format!("s{number}@x.example")}), "")
            .await;
        measured(number, payload, "ok").await;
        let payload = at("198.51.100.22")
            .try_mutate("passwordReset", json!({"token": "guess", "newPassword": NEW}), "")
            .await;
        measured(number, payload, "EXPIRED").await;
    }
}

/// Two hundred guesses at once, at one account and from one address, at the real price of a hash.
///
/// Attacks: 34.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sign_ins_is_refused_and_everybody_else_is_answered() {
    let hashing = HashSettings { cost: Cost::default(), parallel: 1, waiting: 4 };
    let mut tuning = Tuning { hashing, ..tuning() };
    // Two hundred want one of eight connections at once, on a machine that does other things as well.
    tuning.pool.wait = std::time::Duration::from_secs(30);
    let server = Server::with(config(), tuning).await;
    while server.app.db.status().open < config().connections {
        futures_util::future::join_all((0..16).map(|_| server.app.db.ready())).await;
    }
    let auth = sign_up(&server, "nora@new.example").await;
    let nora = server.bearer(auth["accessToken"].as_str().unwrap());
    let document = mutation("login", "accessToken");
    let clients: Vec<_> =
        (0..200).map(|number| server.anonymous().from(&format!("198.51.100.{number}"))).collect();
    let flood = futures_util::future::join_all(clients.iter().enumerate().map(async |(number, client)| {
        let email =
            if number % 2 == 0 { "nora@new.example".to_owned() } else { format!("p{number}@new.example") };
        let input = json!({"input": {"email": email, "password": "a wrong password"}});
        client.send(&document, input).await
    }));
    let others = async {
        let mut slowest = std::time::Duration::ZERO;
        for _ in 0..50 {
            let begun = std::time::Instant::now();
            nora.ok("{ viewer { email } organization { name } }", json!({})).await;
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (answers, slowest) = tokio::join!(flood, others);
    assert!(slowest < std::time::Duration::from_secs(10), "somebody waited for {slowest:?}");
    let mut hashed = 0;
    for answer in answers {
        match answer.code() {
            None => {
                assert_eq!(code(&answer.body["data"]["login"]), "INVALID_CREDENTIALS");
                hashed += 1;
            }
            Some("RATE_LIMITED") => {
                assert!(answer.body["errors"][0]["extensions"]["retryAfter"].as_i64().unwrap() >= 1);
            }
            Some(other) => panic!("{other}: {}", answer.body),
        }
    }
    assert!((1..150).contains(&hashed), "{hashed} of 200 were compared");
    // The control: when it is over, there is room again.
    assert_eq!(code(&login(&server.anonymous(), "nora@new.example", PASSWORD).await), "ok");
}

// ------------------------------------------------------------------------------------------------ refresh tokens

/// Makes the last rotation of every session look this old.
async fn age(server: &Server, sql: &'static str) {
    assert!(server.tamper(sql).await > 0);
}

const PAST_THE_GRACE: &str =
    "update sessions set rotated_at = rotated_at - interval '11 seconds' where rotated_at is not null";

/// Attacks: 74.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_gives_the_same_successor_again_while_its_grace_lasts() {
    let server = Server::start().await;
    let auth = sign_up(&server, "nora@new.example").await;
    let first = text(&auth["refreshToken"]);
    let made = refresh(&server, &first).await;
    let second = text(&made["refreshToken"]);
    assert_ne!(first, second);
    assert!(alive(&server, &made["accessToken"]).await && alive(&server, &auth["accessToken"]).await);
    let again = refresh(&server, &first).await;
    assert_eq!(again["refreshToken"], second.as_str(), "derived, not stored, and no fork");
    assert!(alive(&server, &again["accessToken"]).await);
    // On another replica too.
    let replica = server.replica().await;
    assert_eq!(refresh(&replica, &first).await["refreshToken"], second.as_str());
    let third = refresh(&server, &second).await;
    assert_eq!(code(&third), "ok");
    assert_eq!(events(&server.bearer(&text(&third["accessToken"]))).await[0], "session.refreshed");
}

/// Attacks: 73, 75.
#[tokio::test(flavor = "multi_thread")]
async fn reuse_of_a_refresh_token_ends_the_session_and_its_newest_token() {
    let server = Server::start().await;
    for scenario in ["after the grace", "the grandparent inside the grace"] {
        let auth = cast::sign_up(&server, "N", &cast::address(), ("organizationName", "New")).await;
        let first = text(&auth["refreshToken"]);
        let second = text(&refresh(&server, &first).await["refreshToken"]);
        let newest = if scenario == "after the grace" {
            age(&server, PAST_THE_GRACE).await;
            second
        } else {
            text(&refresh(&server, &second).await["refreshToken"])
        };
        assert_eq!(code(&refresh(&server, &first).await), "INVALID_CREDENTIALS", "{scenario}");
        assert_eq!(
            code(&refresh(&server, &newest).await),
            "INVALID_CREDENTIALS",
            "{scenario}: the newest is dead too"
        );
        assert!(!alive(&server, &auth["accessToken"]).await, "{scenario}: and so is the access token");
    }
    let mut database = server.database.superuser().await;
    let noted: i64 = sqlx::query_scalar("select count(*) from security_events where kind = 'refresh.reused'")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(noted, 2);
}

/// Attacks: 76.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_refreshes_at_once_leave_one_chain() {
    let server = Server::start().await;
    let auth = sign_up(&server, "nora@new.example").await;
    let first = text(&auth["refreshToken"]);
    let all = futures_util::future::join_all((0..50).map(|_| refresh(&server, &first))).await;
    let successor = &all[0]["refreshToken"];
    assert!(all.iter().all(|made| code(made) == "ok" && &made["refreshToken"] == successor));
    assert_eq!(code(&refresh(&server, successor.as_str().unwrap()).await), "ok");
}

/// Attacks: 70, 77, 79, 129.
#[tokio::test(flavor = "multi_thread")]
async fn no_refresh_token_outlives_its_session() {
    let server = Server::start().await;
    let sign_in = async || cast::sign_in(&server, "nora@new.example").await;
    sign_up(&server, "nora@new.example").await;
    let dead = async |auth: &Value, why: &str| {
        assert_eq!(
            code(&refresh(&server, auth["refreshToken"].as_str().unwrap()).await),
            "INVALID_CREDENTIALS",
            "{why}"
        );
        assert!(!alive(&server, &auth["accessToken"]).await, "{why}");
    };
    let bearer = |auth: &Value| server.bearer(auth["accessToken"].as_str().unwrap());
    let auth = sign_in().await;
    assert_eq!(bearer(&auth).mutate("logout", json!({}), "revokedCount").await["revokedCount"], 1);
    dead(&auth, "logout").await;
    let (one, two) = (sign_in().await, sign_in().await);
    assert_eq!(
        bearer(&one).mutate("logout", json!({"everywhere": true}), "revokedCount").await["revokedCount"],
        3
    );
    dead(&one, "logout everywhere").await;
    dead(&two, "logout everywhere, elsewhere").await;
    // A revoked session, and within the grace of its last rotation.
    let (one, two) = (sign_in().await, sign_in().await);
    let next = refresh(&server, two["refreshToken"].as_str().unwrap()).await;
    let own = bearer(&two).ok("{ viewer { sessions { id current } } }", json!({})).await;
    let id = own["viewer"]["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["current"] == true)
        .unwrap()["id"]
        .clone();
    bearer(&one).mutate("sessionRevoke", json!({"id": id}), "revokedSessionId").await;
    dead(&two, "revoked").await;
    dead(&next, "revoked, the successor").await;
    assert_eq!(bearer(&one).fault("sessionRevoke", json!({"id": id})).await, "NOT_FOUND");
    // A changed password ends the others and keeps the one that changed it.
    let two = sign_in().await;
    bearer(&one).mutate("passwordChange", json!({"currentPassword": PASSWORD, "newPassword": NEW}), "").await;
    dead(&two, "password change").await;
    let one = refresh(&server, one["refreshToken"].as_str().unwrap()).await;
    assert_eq!(code(&one), "ok");
    // A reset ends every one.
    let link = server.app.identity.reset_link("nora@new.example").await.unwrap();
    let reset = json!({"token": cast::token_of(link.expose_secret()), "newPassword": PASSWORD});
    let auth = server.anonymous().mutate("passwordReset", reset, "accessToken refreshToken").await;
    dead(&one, "password reset").await;
    assert!(alive(&server, &auth["accessToken"]).await);
    // Past its end, however often it was refreshed.
    age(&server, "update sessions set expires_at = now() - interval '1 second'").await;
    dead(&auth, "past its end").await;
}

/// Attacks: 77, 81.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_does_not_outrun_a_change_of_the_password() {
    let server = Server::start().await;
    sign_up(&server, "nora@new.example").await;
    let legacy = bcrypt::hash(PASSWORD, 4).unwrap();
    let mut superuser = server.database.superuser().await;
    let mut watcher = server.database.superuser().await;
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and usename = 'aicos_app' and wait_event_type = 'Lock'";
    for (changed, expected) in [(true, "INVALID_CREDENTIALS"), (false, "ok")] {
        // Of an old kind, so that signing in would also replace it.
        let set = sqlx::query("update passwords set hash = $1").bind(&legacy);
        set.execute(&mut superuser).await.unwrap();
        let mut change = superuser.begin().await.unwrap();
        sqlx::query("select from passwords for update").execute(&mut *change).await.unwrap();
        let signing_in = async {
            let payload = login(&server.anonymous(), "nora@new.example", PASSWORD).await;
            code(&payload).to_owned()
        };
        let changing = async {
            // The old password has been found right, and the session is about to begin.
            let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.unwrap() == 0 {
                assert!(std::time::Instant::now() < until, "nobody waits for the change");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            if changed {
                sqlx::query("update passwords set hash = 'another'").execute(&mut *change).await.unwrap();
            }
            change.commit().await.unwrap();
        };
        let (outcome, ()) = tokio::join!(signing_in, changing);
        assert_eq!(outcome, expected);
        let stored: String =
            sqlx::query_scalar("select hash from passwords").fetch_one(&mut watcher).await.unwrap();
        assert_eq!(stored == "another", changed, "the old password does not come back: {stored}");
    }
}

/// Attacks: 80.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_the_servers_to_name() {
    let server = Server::start().await;
    let auth = sign_up(&server, "nora@new.example").await;
    let session_of = |auth: &Value| text(&parts(auth["accessToken"].as_str().unwrap()).1["sid"]);
    let known = session_of(&auth);
    let credentials = json!({"email": "nora@new.example", "password": PASSWORD});
    let document = mutation("login", "accessToken");
    for field in ["sessionId", "session", "id", "sid", "refreshToken", "generation"] {
        let mut input = credentials.clone();
        input[field] = known.clone().into();
        let refused = server.anonymous().refusal(&document, json!({"input": input})).await;
        assert_eq!(refused, "BAD_USER_INPUT", "{field}");
    }
    // Nor does anything around the document choose it: each sign-in has one of its own.
    let mut seen = vec![known.clone()];
    for header in ["cookie", "x-session-id", "session-id", "x-request-id"] {
        let client = server.anonymous().header(header, &format!("sid={known}"));
        seen.push(session_of(&client.mutate("login", credentials.clone(), "accessToken").await));
    }
    let signed_in = server.bearer(auth["accessToken"].as_str().unwrap());
    seen.push(session_of(&signed_in.mutate("login", credentials.clone(), "accessToken").await));
    let different: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(different.len(), seen.len(), "{seen:?}");
    assert!(alive(&server, &auth["accessToken"]).await);
}

/// Attacks: 78.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_by_their_own_person_only() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let signed = server
        .anonymous()
        .header("user-agent", "Test/1.0")
        .mutate("login", json!({"email": acme.member.email, "password": PASSWORD}), "accessToken")
        .await;
    let own = "{ viewer { sessions { id current userAgent ip createdAt lastUsedAt expiresAt } } }";
    let seen = server.bearer(&text(&signed["accessToken"])).ok(own, json!({})).await;
    let sessions = seen["viewer"]["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let current: Vec<_> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(
        (current.len(), &current[0]["userAgent"], &current[0]["ip"]),
        (1, &json!("Test/1.0"), &json!("203.0.113.7"))
    );
    let theirs = acme.owner.at(&server).ok(own, json!({})).await;
    assert_eq!(theirs["viewer"]["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(
        acme.owner.at(&server).fault("sessionRevoke", json!({"id": sessions[0]["id"]})).await,
        "NOT_FOUND"
    );
    assert!(alive(&server, &signed["accessToken"]).await);
    assert_eq!(events(&acme.owner.at(&server)).await, ["account.created"]);
}

// ------------------------------------------------------------------------------------------------ passwords and links

/// Attacks: 127, 129.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_by_whoever_knows_it() {
    let server = Server::start().await;
    let auth = sign_up(&server, "nora@new.example").await;
    let client = server.bearer(&text(&auth["accessToken"]));
    for (current, new, expected) in [
        ("a wrong password", NEW, "INVALID_CREDENTIALS"),
        ("", NEW, "INVALID_CREDENTIALS"),
        (PASSWORD, "short", "TOO_SHORT"),
        (PASSWORD, "password123", "WEAK_PASSWORD"),
        (PASSWORD, "my name is newcomer", "WEAK_PASSWORD"),
    ] {
        let input = json!({"currentPassword": current, "newPassword": new});
        assert_eq!(client.fault("passwordChange", input).await, expected, "{current} to {new}");
    }
    client
        .mutate("passwordChange", json!({"currentPassword": PASSWORD, "newPassword": NEW}), "viewer { id }")
        .await;
    assert_eq!(code(&login(&server.anonymous(), "nora@new.example", PASSWORD).await), "INVALID_CREDENTIALS");
    assert_eq!(code(&login(&server.anonymous(), "nora@new.example", NEW).await), "ok");
    assert!(events(&client).await.contains(&"password.changed".to_owned()));
}

/// Attacks: 69, 130.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_link_is_good_once_for_an_hour_and_until_the_next_one() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let link = async |email: &str| {
        cast::token_of(server.app.identity.reset_link(email).await.unwrap().expose_secret())
    };
    let reset = async |token: &str, password: &str| {
        server
            .anonymous()
            .try_mutate(
                "passwordReset",
                json!({"token": token, "newPassword": password}),
                "accessToken user { email }",
            )
            .await
    };
    let (older, newer) = (link(&acme.owner.email).await, link(&acme.owner.email).await);
    assert_eq!(code(&reset(&older, NEW).await), "EXPIRED", "a newer one makes it worthless");
    assert_eq!(code(&reset(&newer, "short").await), "TOO_SHORT");
    assert_eq!(code(&reset(&newer, NEW).await), "ok", "a refused password does not use the link up");
    assert_eq!(code(&reset(&newer, NEW).await), "EXPIRED");
    assert_eq!(code(&login(&server.anonymous(), &acme.owner.email, NEW).await), "ok");
    let late = link(&acme.owner.email).await;
    age(&server, "update user_tokens set expires_at = now() - interval '1 second'").await;
    assert_eq!(code(&reset(&late, NEW).await), "EXPIRED");
    // No link passes for another kind, and near misses are misses.
    let token = link(&acme.owner.email).await;
    let invitation = cast::link(&server, &acme.admin, &acme.id, &cast::address(), "VIEWER", None).await;
    assert_eq!(server.anonymous().fault("emailVerify", json!({"token": token})).await, "EXPIRED");
    assert_eq!(code(&reset(&invitation, NEW).await), "EXPIRED");
    for wrong in [
        "",
        "aicos_pwr_",
        &token[..token.len() - 1],
        &format!("{token}A"),
        &token.to_uppercase(),
        &token.replace("aicos_pwr", "aicos_emv"),
    ] {
        assert_eq!(code(&reset(wrong, NEW).await), "EXPIRED", "{wrong}");
    }
    assert_eq!(server.bearer(&token).refusal(ME, json!({})).await, "UNAUTHENTICATED");
    assert_eq!(code(&reset(&token, "the last of all phrases").await), "ok");
    assert!(server.app.identity.reset_link("nobody@acme.example").await.is_err());
    // Whoever changes their password has closed that door as well.
    let (theirs, others) = (link(&acme.viewer.email).await, link(&acme.member.email).await);
    let change = json!({"currentPassword": PASSWORD, "newPassword": NEW});
    acme.viewer.at(&server).mutate("passwordChange", change, "").await;
    assert_eq!(code(&reset(&theirs, "the last of all phrases").await), "EXPIRED");
    assert_eq!(code(&reset(&others, "the last of all phrases").await), "ok");
}

// ------------------------------------------------------------------------------------------------ access tokens

/// The parts of a token, decoded.
fn parts(token: &str) -> (Value, Value, Vec<u8>) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let (head, body, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    (serde_json::from_slice(&head).unwrap(), serde_json::from_slice(&body).unwrap(), signature)
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Attacks: 58, 59, 60, 61, 62, 63, 64, 65, 66, 69.
#[tokio::test(flavor = "multi_thread")]
async fn no_forged_token_is_let_in() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let (_, _, jwks) = server.send(Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap()).await;
    let jwks: Value = serde_json::from_slice(&jwks).unwrap();
    let genuine = acme.viewer.token.clone();
    let (head, body, signature) = parts(&genuine);
    let [h, b, s]: [&str; 3] = genuine.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut forged: Vec<(String, String)> = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        for end in ["", s] {
            let mut head = head.clone();
            head["alg"] = none.into();
            forged.push((format!("alg {none:?}"), format!("{}.{b}.{end}", encode(&head))));
        }
    }
    // The public key as a shared secret, in each form that one may have it in.
    let x = text(&jwks["keys"][0]["x"]);
    let raw = URL_SAFE_NO_PAD.decode(&x).unwrap();
    let spki = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &raw].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&spki));
    let owner = {
        let mut body = body.clone();
        body["sub"] = acme.owner.id.clone().into();
        body
    };
    let mut secrets =
        vec![raw, spki, pem.into_bytes(), x.into_bytes(), jwks["keys"][0].to_string().into_bytes()];
    secrets.extend(
        ["secret", "", "password", "changeme", "your-256-bit-secret", "jwt", "aicos", "test", "0"]
            .map(|text| text.as_bytes().to_vec()),
    );
    for secret in secrets {
        for algorithm in [jsonwebtoken::Algorithm::HS256, jsonwebtoken::Algorithm::HS512] {
            let mut header = jsonwebtoken::Header::new(algorithm);
            header.kid = head["kid"].as_str().map(str::to_owned);
            header.typ = head["typ"].as_str().map(str::to_owned);
            let key = jsonwebtoken::EncodingKey::from_secret(&secret);
            forged.push((
                format!("{algorithm:?} with {} bytes", secret.len()),
                jsonwebtoken::encode(&header, &owner, &key).unwrap(),
            ));
        }
    }
    for place in [0, signature.len() / 2, signature.len() - 1] {
        let mut flipped = signature.clone();
        flipped[place] ^= 1;
        forged.push((
            format!("bit {place} of the signature"),
            format!("{h}.{b}.{}", URL_SAFE_NO_PAD.encode(flipped)),
        ));
    }
    for (name, value) in [
        ("sub", json!(acme.owner.id)),
        ("sid", json!("ses_00000000000000000000000000")),
        ("org", json!("org_00000000000000000000000000")),
        ("exp", json!(4_102_444_800_u64)),
        ("iss", json!("https://elsewhere.example")),
    ] {
        let mut body = body.clone();
        body[name] = value;
        forged.push((format!("changed {name}"), format!("{h}.{}.{s}", encode(&body))));
    }
    // Whoever follows an address in a token comes by here.
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = elsewhere.local_addr().unwrap();
    for (name, value) in [
        ("jwk", jwks["keys"][0].clone()),
        ("jku", json!(format!("http://{address}/jwks.json"))),
        ("x5u", json!(format!("http://{address}/cert.pem"))),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' union select 'x' --")),
        ("kid", json!("k".repeat(2000))),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
    ] {
        let mut head = head.clone();
        head[name] = value;
        forged.push((format!("header {name}"), format!("{}.{b}.{s}", encode(&head))));
    }
    for (what, token) in [
        ("two parts", format!("{h}.{b}")),
        ("four parts", format!("{genuine}.{s}")),
        ("five parts", format!("{h}.{b}.{s}.{s}.{s}")),
        ("no signature", format!("{h}.{b}.")),
        ("zeros", format!("{h}.{b}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        ("padding", format!("{genuine}=")),
        ("cut", genuine[..genuine.len() - 2].to_owned()),
        ("large", format!("{h}.{}.{s}", "A".repeat(20_000))),
        ("deep", format!("{h}.{}.{s}", URL_SAFE_NO_PAD.encode("[".repeat(2000)))),
        ("an array", format!("{h}.{}.{s}", URL_SAFE_NO_PAD.encode("[]"))),
        ("the refresh token", acme.viewer.refresh.clone()),
        ("a word", "undefined".to_owned()),
        ("an id", acme.viewer.id.clone()),
        ("an invitation", cast::link(&server, &acme.owner, &acme.id, &cast::address(), "VIEWER", None).await),
        (
            "a reset link",
            cast::token_of(server.app.identity.reset_link(&acme.owner.email).await.unwrap().expose_secret()),
        ),
        ("a key's prefix", "aicos_".to_owned()),
    ] {
        forged.push((what.to_owned(), token));
    }
    for (what, token) in &forged {
        let answer = server.bearer(token).send(ME, json!({})).await;
        assert_eq!(answer.code(), Some("UNAUTHENTICATED"), "{what}: {}", answer.body);
        let message = text(&answer.body["errors"][0]["message"]);
        assert_eq!(
            message, "This credential is not accepted. Sign in again, or use another API key.",
            "{what}"
        );
    }
    assert_eq!(forged.len(), 10 + 28 + 3 + 5 + 8 + 16, "each of them is meant");
    let followed = elsewhere.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(followed, Err(std::io::ErrorKind::WouldBlock), "nobody was asked for a key");
    // And the other way round: an access token refreshes nothing.
    assert_eq!(code(&refresh(&server, &genuine).await), "INVALID_CREDENTIALS");
    // The control.
    server.bearer(&genuine).ok(ME, json!({})).await;
}

/// Attacks: 71.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_another_deployment_is_not_ours() {
    let (here, there) = (Server::start().await, Server::start().await);
    let ours = cast::organization(&here, "Acme").await;
    let theirs = cast::organization(&there, "Acme").await;
    assert_eq!(here.bearer(&theirs.owner.token).refusal(ME, json!({})).await, "UNAUTHENTICATED");
    here.bearer(&ours.owner.token).ok(ME, json!({})).await;
}

/// Attacks: 67.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_says_so_and_is_refreshed() {
    let server = Server::with(Config { access_lifetime: TimeDelta::seconds(1), ..config() }, tuning()).await;
    let auth = sign_up(&server, "nora@new.example").await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let client = server.bearer(&text(&auth["accessToken"]));
    assert_eq!(client.refusal(ME, json!({})).await, "TOKEN_EXPIRED");
    assert_eq!(client.refusal("{ organization { name } }", json!({})).await, "TOKEN_EXPIRED");
    let next = refresh(&server, auth["refreshToken"].as_str().unwrap()).await;
    assert!(alive(&server, &next["accessToken"]).await);
}

async fn raw(server: &Server, headers: &[(&str, &str)], path: &str) -> Answer {
    let mut request = Request::post(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Body::from(json!({"query": ME}).to_string());
    let (status, _, bytes) = server.send(request.body(body).unwrap()).await;
    Answer { status, body: serde_json::from_slice(&bytes).unwrap() }
}

/// Attacks: 72.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_carries_one_credential_and_carries_it_in_a_header() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let key = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ"]).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let (token, other, key_bearer) = (bearer(&acme.owner.token), bearer(&acme.viewer.token), bearer(&key));
    for headers in [
        vec![("authorization", token.as_str()), ("authorization", other.as_str())],
        vec![("authorization", token.as_str()), ("authorization", token.as_str())],
        vec![("authorization", token.as_str()), ("x-api-key", key.as_str())],
        vec![("x-api-key", key.as_str()), ("x-api-key", key.as_str())],
        vec![
            ("authorization", token.as_str()),
            ("x-organization", acme.id.as_str()),
            ("x-organization", acme.slug.as_str()),
        ],
    ] {
        let answer = raw(&server, &headers, "/graphql").await;
        assert_eq!(answer.code(), Some("BAD_USER_INPUT"), "{headers:?}");
        assert!(answer.body.get("data").is_none());
    }
    for wrong in [
        format!("Basic {}", STANDARD.encode("olivia@acme.example:password")),
        acme.owner.token.clone(),
        "Bearer".to_owned(),
        format!("Token {}", acme.owner.token),
        String::new(),
    ] {
        let answer = raw(&server, &[("authorization", &wrong)], "/graphql").await;
        assert_eq!(answer.code(), Some("UNAUTHENTICATED"), "{wrong}");
    }
    // Nothing in the address is a credential.
    for name in ["token", "access_token", "authorization", "apiKey", "x-api-key"] {
        let answer = raw(&server, &[], &format!("/graphql?{name}={}", acme.owner.token)).await;
        assert_eq!(answer.body["data"], json!({"viewer": null, "credential": null}), "{name}");
    }
    let answer = raw(&server, &[("cookie", &format!("token={}", acme.owner.token))], "/graphql").await;
    assert_eq!(answer.body["data"]["viewer"], Value::Null);
    // The controls: a token, a key in its own header, and a key as a bearer.
    assert_eq!(
        raw(&server, &[("authorization", &token)], "/graphql").await.body["data"]["credential"]["kind"],
        "SESSION"
    );
    assert_eq!(
        raw(&server, &[("authorization", &token.replace("Bearer", "bearer"))], "/graphql").await.body["data"]
            ["credential"]["kind"],
        "SESSION"
    );
    assert_eq!(
        raw(&server, &[("x-api-key", &key)], "/graphql").await.body["data"],
        json!({"viewer": null, "credential": {"kind": "API_KEY"}})
    );
    assert_eq!(
        raw(&server, &[("authorization", &key_bearer)], "/graphql").await.body["data"]["credential"]["kind"],
        "API_KEY"
    );
    // A token in the key's header is no key.
    assert_eq!(
        raw(&server, &[("x-api-key", &acme.owner.token)], "/graphql").await.code(),
        Some("UNAUTHENTICATED")
    );
}

/// Attacks: 70.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_nobody_is_refused_on_every_protected_field() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    for query in [
        "{ organization { name } }",
        "{ node(id: \"usr_00000000000000000000000000\") { id } }",
        "{ nodes(ids: []) { id } }",
    ] {
        assert_eq!(server.anonymous().refusal(query, json!({})).await, "UNAUTHENTICATED", "{query}");
    }
    let open =
        "{ viewer { id } credential { kind } rateLimit { limit cost } invitation(token: \"x\") { role } }";
    let seen = server.anonymous().ok(open, json!({})).await;
    assert_eq!(
        (&seen["viewer"], &seen["credential"], &seen["invitation"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    // A person who is gone takes their tokens along.
    server.tamper("delete from users where email = 'victor@acme.example'").await;
    assert_eq!(acme.viewer.at(&server).refusal(ME, json!({})).await, "UNAUTHENTICATED");
    assert_eq!(code(&refresh(&server, &acme.viewer.refresh).await), "INVALID_CREDENTIALS");
    acme.owner.at(&server).ok(ME, json!({})).await;
}
