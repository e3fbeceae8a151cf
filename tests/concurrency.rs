//! What must hold when many do the same at once: a thousand races each, and not one violation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::types::Uuid;

use crate::support::cast::{self, PASSWORD};
use crate::support::fixture::{text_at, uuid};
use crate::support::visitor::Dice;
use crate::support::{self, Server};

async fn server() -> Arc<Server> {
    let mut config = support::config();
    config.connections = 16;
    let mut tuning = support::tuning();
    // A thousand wait at once here, on two cores.
    tuning.pool.wait = std::time::Duration::from_secs(30);
    let server = Server::with(config, tuning).await;
    // Every connection is open before the races begin.
    for ready in join_all((0..32).map(|_| server.app.db.ready())).await {
        ready.unwrap();
    }
    Arc::new(server)
}

/// Somebody with an organization of their own, and its id.
async fn founder(server: &Server, name: &str) -> (String, String) {
    let email = format!("{}@people.example", name.to_lowercase());
    let auth = cast::sign_up(server, name, &email, ("organizationName", name)).await;
    (text_at(&auth, "/accessToken"), text_at(&auth, "/organization/id"))
}

/// An invitation's token.
async fn invitation(server: &Server, by: &str, organization: &str, email: &str, role: &str) -> String {
    let input = json!({"organizationId": organization, "email": email, "role": role});
    let made = server.bearer(by).mutate("invitationCreate", input, "acceptUrl").await;
    text_at(&made, "/acceptUrl").split("token=").nth(1).unwrap().to_owned()
}

/// A person who belongs to the organization of somebody else, as their second one or their first.
async fn joined(server: &Server, by: &str, organization: &str, email: &str, role: &str) -> (String, String) {
    let token = invitation(server, by, organization, email, role).await;
    let auth = cast::sign_up(server, "Somebody", email, ("invitationToken", &token)).await;
    (text_at(&auth, "/accessToken"), text_at(&auth, "/user/id"))
}

/// What came of a mutation: `OK`, a fault's code, or a top-level error's.
async fn attempt(
    server: &Server,
    token: &str,
    field: &str,
    input: Value,
    selection: &str,
) -> (String, Value) {
    let document = support::mutation(field, selection);
    let answer = server.bearer(token).send(&document, json!({ "input": input })).await;
    if let Some(code) = answer.code() {
        return (code.to_owned(), Value::Null);
    }
    let payload = answer.body["data"][field].clone();
    let code = payload["userErrors"][0]["code"].as_str().unwrap_or("OK").to_owned();
    (code, payload)
}

fn tally<'a>(codes: impl IntoIterator<Item = &'a str>) -> HashMap<String, usize> {
    let mut tally = HashMap::new();
    for code in codes {
        *tally.entry(code.to_owned()).or_default() += 1;
    }
    tally
}

/// After everything, every organization's log is gap-free and its chain whole.
async fn assert_chains(server: &Server) {
    let mut owner = sqlx::PgConnection::connect_with(&server.database.owner).await.unwrap();
    let chains = aicos::audit::verify(&mut owner).await.unwrap();
    assert!(!chains.is_empty());
    for chain in chains {
        assert!(chain.problem.is_none(), "{chain:?}");
        assert_eq!(chain.sequence, chain.entries + 1, "{chain:?}");
    }
}

/// Two owners of one organization, by membership and user.
struct Pair {
    organization: String,
    tokens: [String; 2],
    users: [Uuid; 2],
    memberships: [String; 2],
}

async fn pair(server: &Server, name: &str) -> Pair {
    let (first, organization) = founder(server, name).await;
    let email = format!("second@{}.example", name.to_lowercase());
    let (second, user) = joined(server, &first, &organization, &email, "OWNER").await;
    let list = server
        .bearer(&first)
        .ok("{ organization { members(first: 5) { nodes { id user { id } } } } }", json!({}))
        .await;
    let rows = list["organization"]["members"]["nodes"].as_array().unwrap().clone();
    let (theirs, own): (Vec<Value>, Vec<Value>) =
        rows.into_iter().partition(|row| row["user"]["id"] == user.as_str());
    let (own, theirs) = (&own[0], &theirs[0]);
    Pair {
        organization,
        tokens: [first, second],
        users: [uuid(&text_at(own, "/user/id")), uuid(&user)],
        memberships: [text_at(own, "/id"), text_at(theirs, "/id")],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_never_leave_an_organization_without_one() {
    const RACES: usize = 125;
    let server = server().await;
    let pairs: Vec<Pair> = join_all((0..8).map(|n| {
        let server = Arc::clone(&server);
        async move { pair(&server, &format!("Pair{n}")).await }
    }))
    .await;
    let outcomes = join_all(pairs.iter().enumerate().map(async |(number, pair)| {
        let mut superuser = server.database.superuser().await;
        let mut dice = Dice::new(number as u64 + 1);
        let mut outcomes = Vec::new();
        for _ in 0..RACES {
            let mut acts = Vec::new();
            for who in [0, 1] {
                // Lower oneself, lower the other, leave, or remove the other.
                let whom = if dice.below(2) == 0 { who } else { 1 - who };
                let id = &pair.memberships[whom];
                acts.push(if dice.below(2) == 0 {
                    attempt(
                        &server,
                        &pair.tokens[who],
                        "membershipUpdate",
                        json!({"id": id, "role": "ADMIN"}),
                        "",
                    )
                } else {
                    attempt(&server, &pair.tokens[who], "membershipDelete", json!({ "id": id }), "")
                });
            }
            for (code, _) in join_all(acts).await {
                assert!(
                    ["OK", "LAST_OWNER", "INVALID", "NOT_FOUND", "FORBIDDEN"].contains(&code.as_str()),
                    "{code}"
                );
                outcomes.push(code);
            }
            let organization = uuid(&pair.organization);
            let owners: i64 = sqlx::query_scalar(
                "select count(*) from memberships where organization_id = $1 and role = 'OWNER'",
            )
            .bind(organization)
            .fetch_one(&mut superuser)
            .await
            .unwrap();
            assert!(owners >= 1, "nobody owns {}", pair.organization);
            // Both again, for the next race.
            for who in [0, 1] {
                sqlx::query(
                    "insert into memberships (organization_id, user_id, id, role) values ($1, $2, $3, 'OWNER')
                     on conflict (organization_id, user_id) do update set role = 'OWNER'",
                )
                .bind(organization)
                .bind(pair.users[who])
                .bind(uuid(&pair.memberships[who]))
                .execute(&mut superuser)
                .await
                .unwrap();
            }
        }
        outcomes
    }))
    .await
    .concat();
    let tally = tally(outcomes.iter().map(String::as_str));
    println!("{} races: {tally:?}", 8 * RACES);
    assert!(tally["OK"] >= 8 * RACES && tally["LAST_OWNER"] >= 100, "{tally:?}");
    assert_chains(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_attempts_at_once_leave_one_owner() {
    let server = server().await;
    let (first, organization) = founder(&server, "Crowd").await;
    for number in 0..9 {
        joined(&server, &first, &organization, &format!("owner{number}@crowd.example"), "OWNER").await;
    }
    let list = server
        .bearer(&first)
        .ok("{ organization { members(first: 20) { nodes { id user { email } } } } }", json!({}))
        .await;
    let mut members = Vec::new();
    for row in list["organization"]["members"]["nodes"].as_array().unwrap() {
        let input = json!({"email": row["user"]["email"], "password": PASSWORD});
        let auth = server.anonymous().mutate("login", input, "accessToken").await;
        members.push((text_at(row, "/id"), text_at(&auth, "/accessToken")));
    }
    assert_eq!(members.len(), 10);
    let mut dice = Dice::new(5);
    let mut pick = || &members[usize::try_from(dice.below(10)).unwrap()];
    let acts: Vec<_> = (0..1000)
        .map(|number| {
            let ((_, token), (id, _)) = (pick(), pick());
            if number % 2 == 0 {
                attempt(&server, token, "membershipUpdate", json!({"id": id, "role": "ADMIN"}), "")
            } else {
                attempt(&server, token, "membershipDelete", json!({ "id": id }), "")
            }
        })
        .collect();
    let outcomes = join_all(acts).await;
    let tally = tally(outcomes.iter().map(|(code, _)| code.as_str()));
    println!("1,000 attempts: {tally:?}");
    let owners: i64 =
        sqlx::query_scalar("select count(*) from memberships where organization_id = $1 and role = 'OWNER'")
            .bind(uuid(&organization))
            .fetch_one(&mut server.database.superuser().await)
            .await
            .unwrap();
    assert!(owners >= 1, "{tally:?}");
    // On a busy machine some are told to come again; nothing is broken by it.
    assert!(!tally.contains_key("INTERNAL"), "{tally:?}");
    assert_chains(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_accepted_once() {
    const RACES: usize = 125;
    let server = server().await;
    let outcomes = join_all((0..8).map(async |number| {
        let name = format!("Host{number}");
        let (host, organization) = founder(&server, &name).await;
        let email = format!("guest{number}@people.example");
        let (guest, _) = founder(&server, &format!("Guest{number}")).await;
        let mut superuser = server.database.superuser().await;
        let mut outcomes = Vec::new();
        for race in 0..RACES {
            let token = invitation(&server, &host, &organization, &email, "MEMBER").await;
            let accept = || attempt(&server, &guest, "invitationAccept", json!({ "token": token }), "");
            let decline = || attempt(&server, &guest, "invitationDecline", json!({ "token": token }), "");
            let ends = if race % 4 == 0 {
                let (first, second) = tokio::join!(accept(), decline());
                [first, second]
            } else {
                let (first, second) = tokio::join!(accept(), accept());
                [first, second]
            };
            let ok = ends.iter().filter(|(code, _)| code == "OK").count();
            assert_eq!(ok, 1, "{ends:?}");
            let (members, closings): (i64, i64) = sqlx::query_as(
                "select (select count(*) from memberships where organization_id = $1),
                    (select count(*) from audit_entries where organization_id = $1
                        and action in ('invitation.accept', 'invitation.decline'))",
            )
            .bind(uuid(&organization))
            .fetch_one(&mut superuser)
            .await
            .unwrap();
            assert_eq!(members, if ends[0].0 == "OK" || race % 4 != 0 { 2 } else { 1 }, "{ends:?}");
            assert_eq!(usize::try_from(closings).unwrap(), race + 1);
            sqlx::query("delete from memberships where organization_id = $1 and role = 'MEMBER'")
                .bind(uuid(&organization))
                .execute(&mut superuser)
                .await
                .unwrap();
            outcomes.extend(ends.map(|(code, _)| code));
        }
        outcomes
    }))
    .await
    .concat();
    println!("{} races: {:?}", 8 * RACES, tally(outcomes.iter().map(String::as_str)));
    assert_chains(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_refreshes_leave_one_chain() {
    let server = server().await;
    let mut superuser = server.database.superuser().await;
    let auth = cast::sign_up(&server, "Rita", "rita@people.example", ("organizationName", "Rita")).await;
    let mut token = text_at(&auth, "/refreshToken");
    let refresh = |token: String| {
        let server = Arc::clone(&server);
        async move {
            let document = support::mutation("tokenRefresh", "refreshToken accessToken");
            let answer = server.anonymous().send(&document, json!({"input": {"refreshToken": token}})).await;
            answer.body["data"]["tokenRefresh"].clone()
        }
    };
    for round in 0..20 {
        let answers = join_all((0..50).map(|_| refresh(token.clone()))).await;
        let successors: HashSet<&str> =
            answers.iter().filter_map(|answer| answer["refreshToken"].as_str()).collect();
        assert_eq!(successors.len(), 1, "one chain goes on: {successors:?}");
        assert!(answers.iter().all(|answer| answer["userErrors"] == json!([])), "{answers:?}");
        let chains: Vec<(i32, bool)> = sqlx::query_as("select generation, revoked_at is null from sessions")
            .fetch_all(&mut superuser)
            .await
            .unwrap();
        assert_eq!(chains, [(round + 1, true)]);
        token = successors.into_iter().next().unwrap().to_owned();
    }
    // Half of them come with the token before, too late: the chain ends, for everybody and whoever was first.
    let before = token.clone();
    token = text_at(&refresh(token).await, "/refreshToken");
    sqlx::query("update sessions set rotated_at = rotated_at - interval '11 seconds'")
        .execute(&mut superuser)
        .await
        .unwrap();
    let tokens = (0..50).map(|number| if number % 2 == 0 { before.clone() } else { token.clone() });
    let answers = join_all(tokens.map(refresh)).await;
    let late = answers.iter().step_by(2).filter(|answer| answer["refreshToken"].is_string()).count();
    assert_eq!(late, 0, "a token that was used before is never good again");
    let alive: i64 = sqlx::query_scalar("select count(*) from sessions where revoked_at is null")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert_eq!(alive, 0);
    for answer in answers {
        if let Some(token) = answer["refreshToken"].as_str() {
            assert_eq!(refresh(token.to_owned()).await["userErrors"][0]["code"], "INVALID_CREDENTIALS");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_makes_one_object() {
    let server = server().await;
    let (token, organization) = founder(&server, "Once").await;
    let kinds = [
        ("projectCreate", "project { id }", "/project/id"),
        ("apiKeyCreate", "apiKey { id } secret", "/apiKey/id"),
        ("invitationCreate", "invitation { id } acceptUrl", "/invitation/id"),
        ("organizationCreate", "organization { id }", "/organization/id"),
    ];
    let mut races = Vec::new();
    for (field, selection, path) in kinds {
        for key in 0..25 {
            let mut input = match field {
                "apiKeyCreate" => json!({"name": "Key", "permissions": ["PROJECT_READ"]}),
                "invitationCreate" => json!({"email": format!("i{key}@people.example"), "role": "VIEWER"}),
                _ => json!({"name": format!("Thing {key}")}),
            };
            if field != "organizationCreate" {
                input["organizationId"] = json!(organization);
            }
            input["idempotencyKey"] = json!(format!("key {key}"));
            races.push((field, selection, path, input));
        }
    }
    stream::iter(races)
        .for_each_concurrent(4, async |(field, selection, path, input)| {
            let calls = (0..10).map(|_| attempt(&server, &token, field, input.clone(), selection));
            let answers = join_all(calls).await;
            assert!(answers.iter().all(|(code, _)| code == "OK"), "{field}: {answers:#?}");
            let ids: HashSet<String> = answers.iter().map(|(_, payload)| text_at(payload, path)).collect();
            assert_eq!(ids.len(), 1, "{field}: {ids:?}");
            let shown = answers
                .iter()
                .filter(|(_, payload)| payload["secret"].is_string() || payload["acceptUrl"].is_string());
            let secrets = usize::from(selection.contains("secret") || selection.contains("acceptUrl"));
            assert_eq!(shown.count(), secrets, "{field}: a secret is shown once");
            let mut other = input.clone();
            let name = if field == "invitationCreate" { "email" } else { "name" };
            other[name] = json!("other@people.example");
            let (code, _) = attempt(&server, &token, field, other, selection).await;
            assert_eq!(code, "IDEMPOTENCY_KEY_REUSED", "{field}");
        })
        .await;
    let counts: (i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from projects where name like 'Thing%'), (select count(*) from api_keys),
            (select count(*) from invitations), (select count(*) from organizations where name like 'Thing%')",
    )
    .fetch_one(&mut server.database.superuser().await)
    .await
    .unwrap();
    assert_eq!(counts, (25, 25, 25, 25));
    assert_chains(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_slug_is_given_once() {
    let server = server().await;
    let (token, organization) = founder(&server, "Slugs").await;
    // Wanted: one gets it.
    stream::iter(0..100)
        .for_each_concurrent(4, async |number| {
            let input =
                json!({"organizationId": organization, "name": "Any", "slug": format!("slug-{number}")});
            let calls = (0..10).map(|_| attempt(&server, &token, "projectCreate", input.clone(), ""));
            let answers = join_all(calls).await;
            let tally = tally(answers.iter().map(|(code, _)| code.as_str()));
            assert_eq!(tally, HashMap::from([("OK".to_owned(), 1), ("ALREADY_EXISTS".to_owned(), 9)]));
        })
        .await;
    // Made from the name: everybody gets one of their own.
    let calls = (0..25 * 8).map(|number| {
        let input = json!({"organizationId": organization, "name": format!("Name {}", number % 8)});
        attempt(&server, &token, "projectCreate", input, "project { slug }")
    });
    let answers = join_all(calls).await;
    let slugs: HashSet<String> =
        answers.iter().map(|(_, payload)| text_at(payload, "/project/slug")).collect();
    assert_eq!(slugs.len(), 200);
    let projects: i64 = sqlx::query_scalar("select count(*) from projects")
        .fetch_one(&mut server.database.superuser().await)
        .await
        .unwrap();
    assert_eq!(projects, 1 + 100 + 200);
    assert_chains(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_organization_of_a_slug() {
    let server = server().await;
    let people = join_all((0..4).map(|number| {
        let server = Arc::clone(&server);
        async move { founder(&server, &format!("Person{number}")).await.0 }
    }))
    .await;
    // Everybody may use the same slugs, each of them once.
    join_all(people.iter().map(async |token| {
        for number in 0..25 {
            let input = json!({"name": "Any", "slug": format!("slug-{number}")});
            let calls = (0..10).map(|_| attempt(&server, token, "organizationCreate", input.clone(), ""));
            let answers = join_all(calls).await;
            let tally = tally(answers.iter().map(|(code, _)| code.as_str()));
            assert_eq!(tally, HashMap::from([("OK".to_owned(), 1), ("ALREADY_EXISTS".to_owned(), 9)]));
        }
        let calls = (0..20).map(|_| {
            attempt(&server, token, "organizationCreate", json!({"name": "Same"}), "organization { slug }")
        });
        let answers = join_all(calls).await;
        let slugs: HashSet<String> =
            answers.iter().map(|(_, payload)| text_at(payload, "/organization/slug")).collect();
        assert_eq!(slugs.len(), 20);
    }))
    .await;
    let clashes: i64 = sqlx::query_scalar(
        "select count(*) from (select m.user_id, o.slug from organizations o
            join memberships m on m.organization_id = o.id group by 1, 2 having count(*) > 1) as c",
    )
    .fetch_one(&mut server.database.superuser().await)
    .await
    .unwrap();
    assert_eq!(clashes, 0);
    assert_chains(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_is_not_overrun() {
    let server = server().await;
    let mut superuser = server.database.superuser().await;
    let (token, organization) = founder(&server, "Starter").await;
    // Twenty archived ones that want to come back, beside those that want to be made.
    let mut archived = Vec::new();
    for number in 0..20 {
        let input = json!({"organizationId": organization, "name": format!("Old {number}")});
        let made = server.bearer(&token).mutate("projectCreate", input, "project { id }").await;
        let id = text_at(&made, "/project/id");
        let archive = json!({"id": id, "archived": true});
        server.bearer(&token).mutate("projectArchive", archive, "").await;
        archived.push(id);
    }
    sqlx::query("update organizations set tier = 'starter'").execute(&mut superuser).await.unwrap();
    let count = "select count(*) from projects where archived_at is null";
    for _ in 0..20 {
        let calls = (0..50).map(|number| {
            let (field, input) = archived.get(number).map_or_else(
                || ("projectCreate", json!({"organizationId": organization, "name": "New"})),
                |id| ("projectArchive", json!({"id": id, "archived": false})),
            );
            attempt(&server, &token, field, input, "")
        });
        let answers = join_all(calls).await;
        let tally = tally(answers.iter().map(|(code, _)| code.as_str()));
        let projects: i64 = sqlx::query_scalar(count).fetch_one(&mut superuser).await.unwrap();
        assert_eq!(projects, 10, "{tally:?}");
        assert_eq!(tally, HashMap::from([("OK".to_owned(), 9), ("QUOTA_EXCEEDED".to_owned(), 41)]));
        sqlx::query("delete from projects where name = 'New'").execute(&mut superuser).await.unwrap();
        sqlx::query("update projects set archived_at = now() where name like 'Old%'")
            .execute(&mut superuser)
            .await
            .unwrap();
    }
    // The owner, and four of twelve who were invited.
    let mut invited = Vec::new();
    for number in 0..12 {
        let email = format!("wants{number}@people.example");
        invited.push((email.clone(), invitation(&server, &token, &organization, &email, "MEMBER").await));
    }
    let joining = invited.iter().map(async |(email, token)| {
        let input = json!({"email": email, "password": PASSWORD, "name": "Wants", "invitationToken": token});
        let document = support::mutation("signup", "user { id }");
        let answer = server.anonymous().send(&document, json!({ "input": input })).await;
        answer.body["data"]["signup"]["userErrors"][0]["code"].as_str().unwrap_or("OK").to_owned()
    });
    let answers = join_all(joining).await;
    let tally = tally(answers.iter().map(String::as_str));
    assert_eq!(tally, HashMap::from([("OK".to_owned(), 4), ("QUOTA_EXCEEDED".to_owned(), 8)]));
    let counts: (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from memberships), (select count(*) from users), (select count(*) from sessions)",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!(counts, (5, 5, 5), "who was not let in has left no account behind");
    assert_chains(&server).await;
}
