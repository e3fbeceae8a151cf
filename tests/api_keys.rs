//! API keys: how programs call.

use serde_json::{Value, json};

use crate::support::world::World;
use crate::support::{Server, cast, mutation};

const WHO: &str = "{ credential { kind role permissions expiresAt organization { id } project { id } } viewer { id } organization { name } }";

/// Attacks: 87, 88.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_shows_its_secret_once_and_acts_as_itself() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let input = json!({"organizationId": acme.id, "name": " Deploy ", "permissions": ["ORG_READ", "PROJECT_READ", "PROJECT_READ", "PROJECT_CREATE"], "expiresAt": "2099-01-01T00:00:00Z", "requestsPerMinute": 1000});
    let selection = "apiKey { id name hint permissions project { id } createdBy { id } expiresAt revokedAt lastUsedAt requestsPerMinute } secret organization { apiKeys { totalCount } }";
    let made = owner.mutate("apiKeyCreate", input, selection).await;
    let (key, secret) = (&made["apiKey"], made["secret"].as_str().unwrap());
    assert!(secret.starts_with("aicos_"));
    assert_eq!(
        (&key["name"], &key["permissions"]),
        (&json!("Deploy"), &json!(["ORG_READ", "PROJECT_CREATE", "PROJECT_READ"]))
    );
    assert_eq!(key["expiresAt"], "2099-01-01T00:00:00.000Z");
    let hint = key["hint"].as_str().unwrap();
    assert!(
        hint.ends_with(&secret[secret.len() - 4..])
            && hint.len() < secret.len() / 2
            && secret.starts_with(hint.split('…').next().unwrap()),
        "{hint}"
    );
    assert_eq!(made["organization"]["apiKeys"]["totalCount"], 1);
    // It is nobody, has no role, and acts under its own name.
    let seen = server.key(secret).ok(WHO, json!({})).await;
    assert_eq!(seen["viewer"], Value::Null);
    assert_eq!(
        seen["credential"],
        json!({"kind": "API_KEY", "role": null, "permissions": ["ORG_READ", "PROJECT_CREATE", "PROJECT_READ"], "expiresAt": "2099-01-01T00:00:00.000Z", "organization": {"id": acme.id}, "project": null})
    );
    server
        .key(secret)
        .mutate("projectCreate", json!({"organizationId": acme.id, "name": "By key"}), "")
        .await;
    let log = owner.ok("query($id: ID!) { organization { auditLog(filter: {actorId: $id}) { nodes { action actorLabel actorRole actor { __typename ... on ApiKey { id } } } } } }", json!({"id": key["id"]})).await;
    assert_eq!(
        log["organization"]["auditLog"]["nodes"],
        json!([{"action": "project.create", "actorLabel": "Deploy", "actorRole": null, "actor": {"__typename": "ApiKey", "id": key["id"]}}])
    );
    // Listed without its secret; its last use is noted in time.
    server.app.identity.flush_used().await.unwrap();
    let seen = owner.ok("{ organization { apiKeys { nodes { id hint lastUsedAt } } } }", json!({})).await;
    assert!(!seen["organization"]["apiKeys"]["nodes"][0]["lastUsedAt"].is_null());
    assert!(!seen.to_string().contains(secret));
    for mutation_of_a_person in [
        "logout",
        "userUpdate",
        "organizationCreate",
        "passwordChange",
        "sessionRevoke",
        "organizationSwitch",
        "invitationAccept",
    ] {
        let input = match mutation_of_a_person {
            "organizationCreate" => json!({"name": "n"}),
            "passwordChange" => {
                json!({"currentPassword": cast::PASSWORD, "newPassword": "quite another phrase"})
            }
            "sessionRevoke" => json!({"id": "ses_00000000000000000000000000"}),
            "organizationSwitch" => json!({"organizationId": acme.id}),
            "invitationAccept" => json!({"token": "t"}),
            _ => json!({}),
        };
        let code =
            server.key(secret).refusal(&mutation(mutation_of_a_person, ""), json!({"input": input})).await;
        assert_eq!(code, "UNAUTHENTICATED", "{mutation_of_a_person}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_keys_are_refused_at_their_field() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let good = json!({"organizationId": acme.id, "name": "k", "permissions": ["PROJECT_READ"]});
    for (changes, expected, field) in [
        (json!({"permissions": []}), "REQUIRED", "permissions"),
        (json!({"name": ""}), "REQUIRED", "name"),
        (json!({"name": "n".repeat(101)}), "TOO_LONG", "name"),
        (json!({"name": "a\u{0001}"}), "INVALID", "name"),
        (json!({"expiresAt": "2020-01-01T00:00:00Z"}), "OUT_OF_RANGE", "expiresAt"),
        (json!({"requestsPerMinute": 0}), "OUT_OF_RANGE", "requestsPerMinute"),
        (json!({"requestsPerMinute": 1_000_001}), "OUT_OF_RANGE", "requestsPerMinute"),
        (json!({"projectId": acme.project, "permissions": ["ORG_UPDATE"]}), "INVALID", "permissions"),
        (json!({"projectId": "prj_00000000000000000000000000"}), "NOT_FOUND", "projectId"),
    ] {
        let mut input = good.clone();
        for (key, value) in changes.as_object().unwrap() {
            input[key] = value.clone();
        }
        let payload = owner.try_mutate("apiKeyCreate", input, "apiKey { id } secret").await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!(expected), &json!(["input", field])),
            "{changes:.60}"
        );
        assert_eq!((&payload["apiKey"], &payload["secret"]), (&Value::Null, &Value::Null));
    }
    let id = cast::key(&server, &acme).await;
    for seconds in [-1, 604_801, i32::MAX] {
        assert_eq!(
            owner.fault("apiKeyRotate", json!({"id": id, "graceSeconds": seconds})).await,
            "OUT_OF_RANGE"
        );
    }
    let revoked = owner.mutate("apiKeyRevoke", json!({"id": id}), "apiKey { revokedAt }").await;
    let again = owner.mutate("apiKeyRevoke", json!({"id": id}), "apiKey { revokedAt }").await;
    assert_eq!(revoked, again, "twice is once");
    assert_eq!(owner.fault("apiKeyRotate", json!({"id": id})).await, "CONFLICT");
}

/// Attacks: 82.
#[tokio::test(flavor = "multi_thread")]
async fn near_misses_of_a_secret_are_refused_alike() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let secret = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ"]).await;
    let other = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ"]).await;
    server.key(&secret).ok(WHO, json!({})).await;
    // One key's id with another one's secret.
    let cut = secret.len() - 36;
    let swapped = format!("{}{}", &secret[..cut], &other[cut..]);
    let mut changed: Vec<String> = (6..secret.len())
        .step_by(3)
        .map(|place| {
            let mut bytes = secret.clone().into_bytes();
            bytes[place] = if bytes[place] == b'a' { b'b' } else { b'a' };
            String::from_utf8(bytes).unwrap()
        })
        .collect();
    changed.extend([
        swapped,
        secret[..secret.len() - 1].to_owned(),
        format!("{secret}0"),
        secret.to_uppercase(),
        "aicos_".to_owned(),
        "aicos_key".to_owned(),
        "a".repeat(5000),
    ]);
    let mut bodies = std::collections::BTreeSet::new();
    for wrong in &changed {
        let answer = server.key(wrong).send(WHO, json!({})).await;
        assert_eq!(answer.code(), Some("UNAUTHENTICATED"), "{wrong}");
        bodies.insert(answer.body["errors"][0]["message"].to_string());
    }
    assert_eq!(
        bodies.len(),
        1,
        "a wrong secret, an unknown key and a typing error are told alike: {bodies:?}"
    );
}

/// Attacks: 85.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_project_sees_and_changes_that_project_only() {
    let world = World::new().await;
    let acme = &world.acme;
    let key = world.client("key");
    let seen = key.ok("{ credential { project { id } permissions } organization { viewerPermissions projects { nodes { id } } members { totalCount } usage { id } apiKeys { nodes { project { id } } } } }", json!({})).await;
    assert_eq!(seen["credential"]["project"]["id"], world.other.as_str());
    assert_eq!(seen["credential"]["permissions"].as_array().unwrap().len(), 15);
    assert_eq!(
        seen["organization"]["viewerPermissions"],
        json!(["ORG_READ", "PROJECT_READ", "CONTENT_READ"])
    );
    assert_eq!(seen["organization"]["projects"]["nodes"], json!([{"id": world.other}]));
    assert_eq!(
        (&seen["organization"]["members"], &seen["organization"]["usage"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(seen["organization"]["apiKeys"]["nodes"], json!([{"project": {"id": world.other}}]));
    key.mutate("projectUpdate", json!({"id": world.other, "description": "by key"}), "").await;
    assert_eq!(
        key.fault("projectUpdate", json!({"id": acme.project, "description": "by key"})).await,
        "NOT_FOUND"
    );
    // Naming another project in the header contradicts nothing and gives nothing.
    let elsewhere = key.clone().header("x-project", &acme.project);
    let seen = elsewhere
        .ok("{ organization { projects { totalCount } } credential { permissions } }", json!({}))
        .await;
    assert_eq!(seen["organization"]["projects"].get("totalCount").unwrap_or(&json!(0)), &json!(0), "{seen}");
    assert_eq!(seen["credential"]["permissions"], json!([]));
}

/// Attacks: 84.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_dead_when_its_maker_comes_back() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let secret = cast::secret(&server, &acme.admin, &acme.id, &["ORG_READ"]).await;
    server.key(&secret).ok(WHO, json!({})).await;
    acme.owner.at(&server).mutate("membershipDelete", json!({"id": acme.admin.membership}), "").await;
    assert_eq!(server.key(&secret).refusal(WHO, json!({})).await, "UNAUTHENTICATED");
    cast::join(&server, &acme, &acme.admin, "VIEWER").await;
    assert_eq!(server.key(&secret).refusal(WHO, json!({})).await, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_own_limit_of_requests_holds() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let input = json!({"organizationId": acme.id, "name": "slow", "permissions": ["ORG_READ"], "requestsPerMinute": 3});
    let made = acme.owner.at(&server).mutate("apiKeyCreate", input, "secret").await;
    let key = server.key(made["secret"].as_str().unwrap());
    // A minute may end in between, once.
    let mut answers = Vec::new();
    for _ in 0..8 {
        let answer = key.send(WHO, json!({})).await;
        answers.push(answer.code().unwrap_or("ok").to_owned());
        if answer.code() == Some("RATE_LIMITED") {
            assert!(answer.body["errors"][0]["extensions"]["retryAfter"].as_i64().unwrap() <= 60);
        }
    }
    assert_eq!(answers[0], "ok");
    assert!(answers.iter().filter(|code| *code == "RATE_LIMITED").count() >= 2, "{answers:?}");
    acme.owner.at(&server).ok(WHO, json!({})).await;
}

/// Whoever cannot write a key costs no look-up: it is refused while there is no database to look in.
///
/// Attacks: 83.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_wrong_checksum_is_refused_without_the_database() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let secret = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ"]).await;
    let other = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ"]).await;
    // The checksum of another key, and one with the right checksum that the cache does not know.
    let cut = secret.len() - 6;
    let wrong = format!("{}{}", &secret[..cut], &other[cut..]);
    server.app.db.close();
    let query = "{ organization { name } }";
    assert_eq!(server.key(&wrong).refusal(query, json!({})).await, "UNAUTHENTICATED");
    for malformed in ["aicos_", "aicos_x", &secret[1..], &secret.to_lowercase()] {
        assert_eq!(server.key(malformed).refusal(query, json!({})).await, "UNAUTHENTICATED", "{malformed}");
    }
    // The control: a key that could be one is looked for.
    assert_eq!(server.key(&other).refusal(query, json!({})).await, "UNAVAILABLE");
}

/// Attacks: 89.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_written_for_many_requests_at_once() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let secret = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ"]).await;
    let mut database = server.database.superuser().await;
    // The row's version changes with whatever is written to it.
    let mut row = async || -> (String, bool) {
        sqlx::query_as("select xmin::text, last_used_at is not null from api_keys")
            .fetch_one(&mut database)
            .await
            .unwrap()
    };
    let made = row().await;
    for _ in 0..20 {
        server.key(&secret).ok(WHO, json!({})).await;
    }
    assert_eq!((row().await, made.1), (made.clone(), false), "no request wrote it");
    server.app.identity.flush_used().await.unwrap();
    let noted = row().await;
    assert!(noted.0 != made.0 && noted.1);
    server.app.identity.flush_used().await.unwrap();
    assert_eq!(row().await, noted, "nothing was used meanwhile");
}
