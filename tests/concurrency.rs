//! What must hold when many do the same at once: a thousand races each, and not one violation.
//!
//! A race is two or more callers who want the same thing at the same moment. Eight places hold 125 races each, one after
//! the other in each of them. Where a crowd may do what a few do not, one test more sends fifty.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::types::Uuid;

use crate::support::cast::{self, PASSWORD};
use crate::support::fixture::{text_at, uuid};
use crate::support::visitor::Dice;
use crate::support::{self, Server};

/// Places that hold races side by side, and how many each of them holds.
const PLACES: usize = 8;
const RACES: usize = 125;
/// Callers in a race, where nothing else is said.
const CALLERS: usize = 4;

async fn server() -> Arc<Server> {
    let mut config = support::config();
    config.connections = 16;
    let mut tuning = support::tuning();
    // A thousand wait at once here, on two cores.
    tuning.pool.wait = std::time::Duration::from_secs(30);
    let server = Server::with(config, tuning).await;
    // Every connection is open before the races begin, however long a busy machine takes to open them.
    while server.app.db.status().open < 16 {
        join_all((0..32).map(|_| server.app.db.ready())).await;
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

/// 1,000 races of two callers: two owners, each of whom lowers or removes one of them.
#[tokio::test(flavor = "multi_thread")]
async fn two_owners_never_leave_an_organization_without_one() {
    let server = server().await;
    let pairs: Vec<Pair> = join_all((0..PLACES).map(|n| {
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
    println!("{} races: {tally:?}", PLACES * RACES);
    assert!(tally["OK"] >= PLACES * RACES && tally["LAST_OWNER"] >= 100, "{tally:?}");
    assert_chains(&server).await;
}

/// One crowd: 1,000 attempts of ten owners on each other, all at once.
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

/// 1,000 races of two callers: both accept, or one accepts while the other declines.
#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_accepted_once() {
    let server = server().await;
    let outcomes = join_all((0..PLACES).map(async |number| {
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
    println!("{} races: {:?}", PLACES * RACES, tally(outcomes.iter().map(String::as_str)));
    assert_chains(&server).await;
}

/// What a refresh with this token is answered with.
async fn refresh(server: &Server, token: &str) -> Value {
    let document = support::mutation("tokenRefresh", "refreshToken accessToken");
    let answer = server.anonymous().send(&document, json!({"input": {"refreshToken": token}})).await;
    answer.body["data"]["tokenRefresh"].clone()
}

/// Refreshes with one token at once, and returns its only successor.
async fn refresh_race(server: &Server, token: &str, callers: usize) -> String {
    let answers = join_all((0..callers).map(|_| refresh(server, token))).await;
    assert!(answers.iter().all(|answer| answer["userErrors"] == json!([])), "{answers:?}");
    let successors: HashSet<&str> =
        answers.iter().filter_map(|answer| answer["refreshToken"].as_str()).collect();
    assert_eq!(successors.len(), 1, "one chain goes on: {successors:?}");
    successors.into_iter().next().unwrap().to_owned()
}

/// 1,000 races of four callers: eight sessions, each refreshed 125 times.
///
/// Attacks: 76.
#[tokio::test(flavor = "multi_thread")]
async fn parallel_refreshes_leave_one_chain() {
    let server = server().await;
    join_all((0..PLACES).map(async |number| {
        let name = format!("Rita{number}");
        let email = format!("rita{number}@people.example");
        let auth = cast::sign_up(&server, &name, &email, ("organizationName", &name)).await;
        let mut token = text_at(&auth, "/refreshToken");
        for _ in 0..RACES {
            token = refresh_race(&server, &token, CALLERS).await;
        }
    }))
    .await;
    let chains: Vec<(i32, bool)> = sqlx::query_as("select generation, revoked_at is null from sessions")
        .fetch_all(&mut server.database.superuser().await)
        .await
        .unwrap();
    assert_eq!(chains, [(i32::try_from(RACES).unwrap(), true); PLACES]);
}

/// Twenty crowds of fifty callers; then fifty callers of whom half come with a token that was used before.
///
/// Attacks: 73, 76.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_refreshes_leave_one_chain() {
    let server = server().await;
    let mut superuser = server.database.superuser().await;
    let auth = cast::sign_up(&server, "Rita", "rita@people.example", ("organizationName", "Rita")).await;
    let mut token = text_at(&auth, "/refreshToken");
    for round in 0..20 {
        token = refresh_race(&server, &token, 50).await;
        let chains: Vec<(i32, bool)> = sqlx::query_as("select generation, revoked_at is null from sessions")
            .fetch_all(&mut superuser)
            .await
            .unwrap();
        assert_eq!(chains, [(round + 1, true)]);
    }
    // Half of them come with the token before, too late: the chain ends, for everybody and whoever was first.
    let before = token.clone();
    token = text_at(&refresh(&server, &token).await, "/refreshToken");
    sqlx::query("update sessions set rotated_at = rotated_at - interval '11 seconds'")
        .execute(&mut superuser)
        .await
        .unwrap();
    let tokens = (0..50).map(|number| if number % 2 == 0 { before.clone() } else { token.clone() });
    let answers = join_all(tokens.map(async |token| refresh(&server, &token).await)).await;
    let late = answers.iter().step_by(2).filter(|answer| answer["refreshToken"].is_string()).count();
    assert_eq!(late, 0, "a token that was used before is never good again");
    let alive: i64 = sqlx::query_scalar("select count(*) from sessions where revoked_at is null")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert_eq!(alive, 0);
    for answer in answers {
        if let Some(token) = answer["refreshToken"].as_str() {
            assert_eq!(refresh(&server, token).await["userErrors"][0]["code"], "INVALID_CREDENTIALS");
        }
    }
}

/// 200 races of four callers: three refresh, one ends the session; whatever they got, it is over.
///
/// Attacks: 81.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_while_it_is_refreshed_is_over() {
    const TURNS: usize = 25;
    let server = server().await;
    let refreshed = join_all((0..PLACES).map(async |number| {
        let name = format!("Rosa{number}");
        let email = format!("rosa{number}@people.example");
        let auth = cast::sign_up(&server, &name, &email, ("organizationName", &name)).await;
        let keeper = text_at(&auth, "/accessToken");
        let mut refreshed = 0;
        for turn in 0..TURNS {
            let auth = cast::sign_in(&server, &email).await;
            let (access, token) = (text_at(&auth, "/accessToken"), text_at(&auth, "/refreshToken"));
            let own = "{ viewer { sessions { id current } } }";
            let sessions = server.bearer(&access).ok(own, json!({})).await;
            let mut sessions = sessions["viewer"]["sessions"].as_array().unwrap().iter();
            let id = sessions.find(|session| session["current"] == true).unwrap()["id"].clone();
            let end = async {
                let (code, _) = if turn % 2 == 0 {
                    attempt(&server, &access, "logout", json!({}), "").await
                } else {
                    attempt(&server, &keeper, "sessionRevoke", json!({ "id": id }), "").await
                };
                assert_eq!(code, "OK");
            };
            let refreshes = join_all((0..3).map(|_| refresh(&server, &token)));
            let ((), answers) = tokio::join!(end, refreshes);
            for answer in answers {
                let (Some(next), Some(access)) =
                    (answer["refreshToken"].as_str(), answer["accessToken"].as_str())
                else {
                    // On a busy machine some are told to come again.
                    assert!(answer.is_null() || answer["userErrors"][0]["code"] == "INVALID_CREDENTIALS");
                    continue;
                };
                refreshed += 1;
                assert_eq!(refresh(&server, next).await["userErrors"][0]["code"], "INVALID_CREDENTIALS");
                let used = server.bearer(access).refusal("{ viewer { id } }", json!({})).await;
                assert_eq!(used, "UNAUTHENTICATED");
            }
        }
        // The control: the session that nobody has ended goes on.
        server.bearer(&keeper).ok("{ viewer { id } }", json!({})).await;
        refreshed
    }))
    .await;
    let refreshed: usize = refreshed.iter().sum();
    println!("{} races: {refreshed} refreshes came first", PLACES * TURNS);
    assert!(refreshed > 0, "no refresh ever came first");
}

/// What can be created with an idempotency key: the mutation, what is selected, and where the new id stands.
const CREATIONS: [(&str, &str, &str); 4] = [
    ("projectCreate", "project { id }", "/project/id"),
    ("apiKeyCreate", "apiKey { id } secret", "/apiKey/id"),
    ("invitationCreate", "invitation { id } acceptUrl", "/invitation/id"),
    ("organizationCreate", "organization { id }", "/organization/id"),
];

/// 1,000 races of four callers, 250 for each of four mutations; every fifth key is then sent with another input.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_makes_one_object() {
    let server = server().await;
    join_all((0..PLACES).map(async |place| {
        let (token, organization) = founder(&server, &format!("Once{place}")).await;
        for race in 0..RACES {
            let (field, selection, path) = CREATIONS[(place + race) % CREATIONS.len()];
            let mut input = match field {
                "apiKeyCreate" => json!({"name": "Key", "permissions": ["PROJECT_READ"]}),
                "invitationCreate" => json!({"email": format!("i{race}@people.example"), "role": "VIEWER"}),
                _ => json!({"name": format!("Thing {race}")}),
            };
            if field != "organizationCreate" {
                input["organizationId"] = json!(organization);
            }
            input["idempotencyKey"] = json!(format!("key {race}"));
            let calls = (0..CALLERS).map(|_| attempt(&server, &token, field, input.clone(), selection));
            let answers = join_all(calls).await;
            assert!(answers.iter().all(|(code, _)| code == "OK"), "{field}: {answers:#?}");
            let ids: HashSet<String> = answers.iter().map(|(_, payload)| text_at(payload, path)).collect();
            assert_eq!(ids.len(), 1, "{field}: {ids:?}");
            let shown = answers
                .iter()
                .filter(|(_, payload)| payload["secret"].is_string() || payload["acceptUrl"].is_string());
            let secrets = usize::from(selection.contains("secret") || selection.contains("acceptUrl"));
            assert_eq!(shown.count(), secrets, "{field}: a secret is shown once");
            if race % 5 == 0 {
                let name = if field == "invitationCreate" { "email" } else { "name" };
                input[name] = json!("other@people.example");
                let (code, _) = attempt(&server, &token, field, input, selection).await;
                assert_eq!(code, "IDEMPOTENCY_KEY_REUSED", "{field}");
            }
        }
    }))
    .await;
    let counts: (i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from projects where name like 'Thing%'), (select count(*) from api_keys),
            (select count(*) from invitations), (select count(*) from organizations where name like 'Thing%')",
    )
    .fetch_one(&mut server.database.superuser().await)
    .await
    .unwrap();
    assert_eq!(counts, (250, 250, 250, 250));
    assert_chains(&server).await;
}

/// One of the callers of a race gets what all of them want.
async fn one_gets_it(server: &Server, token: &str, field: &str, input: &Value, callers: usize) {
    let answers = join_all((0..callers).map(|_| attempt(server, token, field, input.clone(), ""))).await;
    let tally = tally(answers.iter().map(|(code, _)| code.as_str()));
    let expected = HashMap::from([("OK".to_owned(), 1), ("ALREADY_EXISTS".to_owned(), callers - 1)]);
    assert_eq!(tally, expected, "{input}");
}

/// 1,000 races of four callers for a slug in an organization; then crowds of 25 for slugs made from one name.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_slug_is_given_once() {
    let server = server().await;
    let founders = join_all((0..PLACES).map(async |place| {
        let (token, organization) = founder(&server, &format!("Slugs{place}")).await;
        for race in 0..RACES {
            let input =
                json!({"organizationId": organization, "name": "Any", "slug": format!("slug-{race}")});
            one_gets_it(&server, &token, "projectCreate", &input, CALLERS).await;
        }
        (token, organization)
    }))
    .await;
    // Made from the name: everybody gets one of their own.
    let (token, organization) = &founders[0];
    let calls = (0..25 * 8).map(|number| {
        let input = json!({"organizationId": organization, "name": format!("Name {}", number % 8)});
        attempt(&server, token, "projectCreate", input, "project { slug }")
    });
    let answers = join_all(calls).await;
    let slugs: HashSet<String> =
        answers.iter().map(|(_, payload)| text_at(payload, "/project/slug")).collect();
    assert_eq!(slugs.len(), 200);
    let projects: i64 = sqlx::query_scalar("select count(*) from projects")
        .fetch_one(&mut server.database.superuser().await)
        .await
        .unwrap();
    assert_eq!(usize::try_from(projects).unwrap(), PLACES + PLACES * RACES + 200);
    assert_chains(&server).await;
}

/// 1,000 races of four callers for a slug among one person's organizations; then a crowd of twenty for slugs made from
/// one name.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_organization_of_a_slug() {
    let server = server().await;
    // Everybody may use the same slugs, each of them once.
    join_all((0..PLACES).map(async |place| {
        let (token, _) = founder(&server, &format!("Person{place}")).await;
        for race in 0..RACES {
            let input = json!({"name": "Any", "slug": format!("slug-{race}")});
            one_gets_it(&server, &token, "organizationCreate", &input, CALLERS).await;
        }
        let calls = (0..20).map(|_| {
            attempt(&server, &token, "organizationCreate", json!({"name": "Same"}), "organization { slug }")
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

/// 1,000 races of four callers for the last place of a tier: two who make a project beside two who bring one back.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_place_of_a_tier_is_given_once() {
    let server = server().await;
    join_all((0..PLACES).map(async |place| {
        let (token, organization) = founder(&server, &format!("Full{place}")).await;
        let mut archived = Vec::new();
        for number in 0..10 {
            let input = json!({"organizationId": organization, "name": format!("Old {number}")});
            let made = server.bearer(&token).mutate("projectCreate", input, "project { id }").await;
            archived.push(text_at(&made, "/project/id"));
        }
        // Nine of ten places are taken: the first project's, and eight of these.
        let ended = [archived.swap_remove(0), archived.swap_remove(0)];
        let organization_id = uuid(&organization);
        let mut superuser = server.database.superuser().await;
        sqlx::query("update organizations set tier = 'starter' where id = $1")
            .bind(organization_id)
            .execute(&mut superuser)
            .await
            .unwrap();
        for race in 0..RACES {
            sqlx::query("delete from projects where organization_id = $1 and name = 'New'")
                .bind(organization_id)
                .execute(&mut superuser)
                .await
                .unwrap();
            sqlx::query(
                "update projects set archived_at = now() where organization_id = $1 and id = any ($2)",
            )
            .bind(organization_id)
            .bind(ended.iter().map(|id| uuid(id)).collect::<Vec<_>>())
            .execute(&mut superuser)
            .await
            .unwrap();
            let calls = (0..CALLERS).map(|number| {
                let (field, input) = ended.get(number).map_or_else(
                    || ("projectCreate", json!({"organizationId": organization, "name": "New"})),
                    |id| ("projectArchive", json!({"id": id, "archived": false})),
                );
                attempt(&server, &token, field, input, "")
            });
            let answers = join_all(calls).await;
            let tally = tally(answers.iter().map(|(code, _)| code.as_str()));
            let expected = HashMap::from([("OK".to_owned(), 1), ("QUOTA_EXCEEDED".to_owned(), CALLERS - 1)]);
            assert_eq!(tally, expected, "race {race}");
            let projects: i64 = sqlx::query_scalar(
                "select count(*) from projects where organization_id = $1 and archived_at is null",
            )
            .bind(organization_id)
            .fetch_one(&mut superuser)
            .await
            .unwrap();
            assert_eq!(projects, 10, "race {race}");
        }
    }))
    .await;
    assert_chains(&server).await;
}

/// Twenty crowds of fifty callers for nine places of a tier, and twelve who were invited for four places of people.
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
