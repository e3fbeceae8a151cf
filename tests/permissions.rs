//! Who may do what: the table as a snapshot, the same table through the API, and that it holds from the next request on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aicos::access::{Action, Permission, policy};
use serde_json::{Value, json};
use sqlx::Executor as _;
use syn::visit::Visit;

use crate::support::cast::{self, PASSWORD, Person};
use crate::support::sdl::{Sdl, base};
use crate::support::world::World;
use crate::support::{Answer, Client, Server, mutation};

#[test]
fn the_table_of_actions_permissions_and_roles() {
    insta::assert_snapshot!(policy::markdown());
}

// ------------------------------------------------------------------------------------------------ through the API

/// One caller's answer: `ok`, `null`, a refusal, or the code of a business rule, which is not a refusal.
fn word(answer: &Answer, pointer: &str) -> String {
    if let Some(code) = answer.code() {
        let required = answer.body["errors"][0]["extensions"]["required"].as_str();
        return required.map_or_else(|| code.to_owned(), |required| format!("{code} {required}"));
    }
    let value = answer.body["data"].pointer(pointer).unwrap_or(&Value::Null);
    match value["userErrors"][0]["code"].as_str() {
        Some(code) => code.to_owned(),
        None if value.is_null() => "null".to_owned(),
        None => "ok".to_owned(),
    }
}

/// Every caller of the grid: the roles, and one key for each single permission.
struct Grid {
    world: World,
    keys: Vec<(&'static str, String)>,
}

impl Grid {
    async fn new() -> Self {
        let world = World::new().await;
        let mut keys = Vec::new();
        for permission in Permission::ALL {
            let secret =
                cast::secret(&world.server, &world.acme.owner, &world.acme.id, &[permission.as_str()]).await;
            keys.push((permission.as_str(), secret));
        }
        Self { world, keys }
    }

    /// One line: what each role gets, and which single permissions are enough for a key.
    fn line(name: &str, roles: &[(&str, String)], keys: &[(&str, String)]) -> String {
        let mut line = format!("{name:<46}");
        for (role, word) in roles {
            let _ = write!(line, " {role}: {word};");
        }
        let enough: Vec<&str> = keys.iter().filter(|(_, word)| word == "ok").map(|(name, _)| *name).collect();
        let enough = match enough.len() {
            0 => "none".to_owned(),
            all if all == keys.len() => "any".to_owned(),
            _ => enough.join(" "),
        };
        let _ = writeln!(line, " key: {enough}");
        line
    }

    /// Asks one field as everybody; `document` makes the query, with the pointer to the answer.
    async fn field(&self, name: &str, document: &str, variables: &Value, pointer: &str) -> String {
        let mut roles = Vec::new();
        for role in ["owner", "admin", "member", "viewer", "raised", "guest"] {
            let answer = self.world.client(role).send(document, variables.clone()).await;
            roles.push((role, word(&answer, pointer)));
        }
        let mut keys = Vec::new();
        for (permission, secret) in &self.keys {
            let answer = self.world.server.key(secret).send(document, variables.clone()).await;
            keys.push((*permission, word(&answer, pointer)));
        }
        Self::line(name, &roles, &keys)
    }
}

/// The selection below a field: nothing for a leaf.
fn below(sdl: &Sdl, ty: &str) -> &'static str {
    if sdl.fields(ty).is_empty() && ty != "Actor" && ty != "UserError" { "" } else { "{ __typename }" }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_an_organization_and_a_project_answers_each_role_as_the_snapshot_says() {
    let sdl = Sdl::of_the_server();
    let grid = Grid::new().await;
    let world = &grid.world;
    // Nothing is null for want of a value.
    let filled = json!({"id": world.acme.id, "description": "d"});
    world.client("owner").mutate("organizationUpdate", filled, "").await;
    let provider = json!({"organizationId": world.acme.id, "name": "vectors", "kind": "OPENAI"});
    world.client("owner").mutate("providerCreate", provider, "").await;
    let vectors = json!({"organizationId": world.acme.id, "provider": "vectors", "model": "m"});
    world.client("owner").mutate("embeddingsSet", vectors, "").await;
    let filled = json!({"id": world.other, "description": "d"});
    world.client("owner").mutate("projectUpdate", filled, "").await;
    world.client("owner").mutate("projectArchive", json!({"id": world.other}), "").await;
    let member = json!({"id": world.acme.member.id});
    let parents = [
        ("Organization", "{ organization { FIELD } }", json!({}), "/organization/"),
        (
            "Project",
            "query($id: ID!) { project(id: $id) { FIELD } }",
            json!({"id": world.other}),
            "/project/",
        ),
        ("User", "query($id: ID!) { node(id: $id) { ... on User { FIELD } } }", member, "/node/"),
    ];
    let mut lines = String::new();
    for (ty, document, variables, pointer) in parents {
        for field in sdl.fields(ty) {
            let name = &field.name.node;
            let selected = format!("{name} {}", below(&sdl, base(&field.ty.node)));
            let document = document.replace("FIELD", &selected);
            let line =
                grid.field(&format!("{ty}.{name}"), &document, &variables, &format!("{pointer}{name}")).await;
            lines.push_str(&line);
        }
    }
    insta::assert_snapshot!(lines);
}

/// The input of a mutation that takes no id; none for one that nobody has thought of.
async fn input_without_id(world: &World, field: &str, person: Option<&Person>) -> Option<Value> {
    let server = &world.server;
    Some(match field {
        "signup" => {
            json!({"email": cast::address(), "password": PASSWORD, "name": "New", "organizationName": "New"})
        }
        "logout" | "emailVerificationRequest" => json!({}),
        // Wrong, so that everybody's sessions stay: who may try is what counts here.
        "passwordChange" => json!({"currentPassword": "not this one", "newPassword": PASSWORD}),
        "passwordResetRequest" => json!({"email": "nobody@nowhere.example"}),
        "passwordReset" => json!({"token": "none", "newPassword": PASSWORD}),
        "emailVerify" => json!({"token": "none"}),
        "tokenRefresh" => json!({"refreshToken": "none"}),
        "userUpdate" => json!({"name": "Same Name"}),
        "organizationCreate" => json!({"name": "Another"}),
        "invitationAccept" | "invitationDecline" => {
            let email = person.map_or("nobody@nowhere.example", |person| &person.email);
            let globex = &world.globex.owner;
            // An organization that nobody belongs to yet.
            let founder = globex.at(server);
            let made =
                founder.mutate("organizationCreate", json!({"name": "New"}), "organization { id }").await;
            let id = made["organization"]["id"].as_str().unwrap().to_owned();
            json!({"token": cast::link(server, globex, &id, email, "VIEWER", None).await})
        }
        _ => return None,
    })
}

/// Attacks: 85.
#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_answers_each_role_as_the_snapshot_says() {
    let sdl = Sdl::of_the_server();
    let places = sdl.places("ID");
    let grid = Grid::new().await;
    let world = &grid.world;
    let mut lines = String::new();
    for field in sdl.fields("Mutation") {
        let name = field.name.node.as_str();
        // The first id that a mutation takes names its tenant or its object; the object is a fresh one each time.
        let start = format!("Mutation.{name}(");
        let place = places.iter().find(|place| place.starts_with(&start));
        let ask = async |caller: &str, client: Client<'_>| {
            let (document, variables) = if let Some(place) = place {
                let case = world.case(place, caller).await.unwrap();
                (case.document, case.variables)
            } else {
                let input = input_without_id(world, name, world.person(caller)).await;
                let input = input
                    .unwrap_or_else(|| panic!("`{name}` is new: say in `input_without_id` how it is called"));
                (mutation(name, ""), json!({"input": input}))
            };
            let answer = client.send(&document, variables).await;
            if name.starts_with("organizationDelete") || name == "organizationRestore" {
                let id = json!({"id": world.acme.id});
                world.client("owner").try_mutate("organizationRestore", id, "").await;
            }
            word(&answer, &format!("/{name}"))
        };
        let mut roles = Vec::new();
        for role in ["owner", "admin", "member", "viewer", "raised", "guest"] {
            let email = &world.person(role).unwrap().email;
            // A session of its own, because some mutations end it.
            let token = cast::sign_in(&world.server, email).await["accessToken"].as_str().unwrap().to_owned();
            roles.push((role, ask(role, world.server.bearer(&token)).await));
        }
        let mut keys = Vec::new();
        for (permission, secret) in &grid.keys {
            keys.push((*permission, ask("key of the organization", world.server.key(secret)).await));
        }
        roles.push(("nobody", ask("nobody", world.server.anonymous()).await));
        lines.push_str(&Grid::line(name, &roles, &keys));
    }
    insta::assert_snapshot!(lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscription_answers_each_role_as_the_snapshot_says() {
    let sdl = Sdl::of_the_server();
    let places = sdl.places("ID");
    let grid = Grid::new().await;
    let mut lines = String::new();
    for field in sdl.fields("Subscription") {
        let name = &field.name.node;
        let start = format!("Subscription.{name}(");
        let place = places.iter().find(|place| place.starts_with(&start));
        let place = place.unwrap_or_else(|| panic!("`{name}` takes no id: say here how it is called"));
        let case = grid.world.case(place, "owner").await.unwrap();
        let pointer = case.answer.unwrap();
        lines.push_str(&grid.field(name, &case.document, &case.variables, pointer).await);
    }
    insta::assert_snapshot!(lines);
}

// ------------------------------------------------------------------------------------------- nobody grants more

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hands_out_a_role_that_they_do_not_hold() {
    let world = World::new().await;
    let (acme, server) = (&world.acme, &world.server);
    let admin = acme.admin.at(server);
    let invite = |role: &str| json!({"organizationId": acme.id, "email": cast::address(), "role": role});
    assert_eq!(admin.fault("invitationCreate", invite("OWNER")).await, "INVALID");
    admin.mutate("invitationCreate", invite("ADMIN"), "").await;
    let set = |person: &Person, role: &str| json!({"id": person.membership, "role": role});
    assert_eq!(admin.fault("membershipUpdate", set(&acme.member, "OWNER")).await, "INVALID");
    assert_eq!(admin.fault("membershipUpdate", set(&acme.owner, "VIEWER")).await, "INVALID");
    assert_eq!(admin.fault("membershipUpdate", set(&acme.admin, "OWNER")).await, "SELF_ACTION");
    assert_eq!(admin.fault("membershipDelete", json!({"id": acme.owner.membership})).await, "INVALID");
    // An owner's invitation to an owner is not an admin's to send again.
    let input = invite("OWNER");
    let made = acme.owner.at(server).mutate("invitationCreate", input, "invitation { id }").await;
    assert_eq!(admin.fault("invitationResend", json!({"id": made["invitation"]["id"]})).await, "INVALID");
    // The control: what is theirs to give, they give.
    admin.mutate("membershipUpdate", set(&acme.member, "ADMIN"), "").await;
    acme.owner.at(server).mutate("membershipUpdate", set(&acme.member, "OWNER"), "").await;
    // In a project: a guest who administers it gives roles up to their own, and none to themselves.
    let guest = world.client("guest");
    let role = |user: &Person, role: &str| json!({"projectId": world.other, "userId": user.id, "role": role});
    assert_eq!(guest.fault("projectMemberSet", role(&acme.viewer, "OWNER")).await, "INVALID");
    assert_eq!(guest.fault("projectMemberSet", role(&world.guest, "VIEWER")).await, "SELF_ACTION");
    assert_eq!(guest.fault("projectMemberSet", role(&acme.owner, "VIEWER")).await, "INVALID");
    guest.mutate("projectMemberSet", role(&acme.viewer, "ADMIN"), "").await;
    let refused = mutation("invitationCreate", "");
    let input = json!({"organizationId": acme.id, "email": cast::address(), "role": "VIEWER"});
    assert_eq!(guest.refusal(&refused, json!({"input": input})).await, "FORBIDDEN");
    let input = json!({"organizationId": acme.id, "projectId": world.other, "email": cast::address(), "role": "ADMIN"});
    guest.mutate("invitationCreate", input, "").await;
}

/// Attacks: 85.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_never_stronger_than_whoever_makes_rotates_or_uses_it() {
    let world = World::new().await;
    let (acme, server) = (&world.acme, &world.server);
    let admin = acme.admin.at(server);
    let create =
        |permissions: &[&str]| json!({"organizationId": acme.id, "name": "k", "permissions": permissions});
    assert_eq!(admin.fault("apiKeyCreate", create(&["PROJECT_READ", "ORG_DELETE"])).await, "INVALID");
    let made = acme.owner.at(server).mutate("apiKeyCreate", create(&["ORG_DELETE"]), "apiKey { id }").await;
    let id = json!({"id": made["apiKey"]["id"]});
    assert_eq!(admin.fault("apiKeyRotate", id.clone()).await, "INVALID", "its secret would be ORG_DELETE");
    admin.mutate("apiKeyRevoke", id, "").await;
    // A key that manages keys makes none that does more than itself.
    let secret = cast::secret(server, &acme.owner, &acme.id, &["API_KEY_MANAGE", "PROJECT_READ"]).await;
    let key = server.key(&secret);
    assert_eq!(key.fault("apiKeyCreate", create(&["PROJECT_DELETE"])).await, "INVALID");
    let made = key.mutate("apiKeyCreate", create(&["PROJECT_READ"]), "secret").await;
    let child = server.key(made["secret"].as_str().unwrap());
    assert_eq!(
        child.ok("{ credential { permissions } }", json!({})).await["credential"]["permissions"],
        json!(["PROJECT_READ"])
    );
    // A key that manages members invites nobody to more than it may do itself.
    let secret = cast::secret(server, &acme.owner, &acme.id, &["MEMBER_MANAGE", "ORG_READ"]).await;
    let input = json!({"organizationId": acme.id, "email": cast::address(), "role": "VIEWER"});
    assert_eq!(server.key(&secret).fault("invitationCreate", input).await, "INVALID");
    // A key of one project is none of the organization's, whatever it may do there.
    let key = world.client("key");
    for (field, input) in [
        ("membershipUpdate", json!({"id": acme.viewer.membership, "role": "MEMBER"})),
        ("membershipDelete", json!({"id": acme.viewer.membership})),
        ("invitationCreate", json!({"organizationId": acme.id, "email": cast::address(), "role": "VIEWER"})),
        ("apiKeyCreate", create(&["PROJECT_READ"])),
    ] {
        assert_eq!(key.refusal(&mutation(field, ""), json!({"input": input})).await, "FORBIDDEN", "{field}");
    }
    let inside = json!({"organizationId": acme.id, "projectId": world.other, "name": "k", "permissions": ["PROJECT_READ"]});
    key.mutate("apiKeyCreate", inside, "").await;
    let beyond = json!({"organizationId": acme.id, "projectId": world.other, "name": "k", "permissions": ["PROJECT_CREATE"]});
    assert_eq!(key.fault("apiKeyCreate", beyond).await, "INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_in_one_project_opens_nothing_outside_of_it() {
    let world = World::new().await;
    let (acme, server) = (&world.acme, &world.server);
    cast::invitation(server, acme).await;
    let lists = "{ organization { viewerRole invitations { totalCount } apiKeys { totalCount } auditLog { totalCount } } }";
    let raised = world.client("raised");
    let seen = raised.ok(lists, json!({})).await;
    let expected = json!({"viewerRole": "VIEWER", "invitations": null, "apiKeys": null, "auditLog": null});
    assert_eq!(seen["organization"], expected);
    // Narrowed to that project they see what is in it.
    let there = raised.clone().header("x-project", &world.other);
    let seen = there.ok(lists, json!({})).await;
    assert_eq!(seen["organization"]["apiKeys"]["totalCount"], 1);
    let all = world.client("owner").ok(lists, json!({})).await;
    assert!(
        seen["organization"]["auditLog"]["totalCount"].as_i64()
            < all["organization"]["auditLog"]["totalCount"].as_i64()
    );
    let elsewhere = raised.clone().header("x-project", &acme.project);
    let nothing = elsewhere.ok(lists, json!({})).await;
    assert_eq!(nothing["organization"], expected);
    let update = |id: &str| json!({"id": id, "description": "mine"});
    raised.mutate("projectUpdate", update(&world.other), "").await;
    let refused = mutation("projectUpdate", "");
    assert_eq!(raised.refusal(&refused, json!({"input": update(&acme.project)})).await, "FORBIDDEN");
    let input = json!({"organizationId": acme.id, "name": "n"});
    assert_eq!(raised.refusal(&mutation("projectCreate", ""), json!({"input": input})).await, "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_the_organization_contradicts_a_request_for_one_project() {
    let world = World::new().await;
    let (acme, server) = (&world.acme, &world.server);
    let narrow = acme.owner.at(server).header("x-project", &acme.project);
    for (field, input) in [
        ("projectCreate", json!({"organizationId": acme.id, "name": "n"})),
        ("projectCreate", json!({"organizationId": acme.id, "name": "n", "idempotencyKey": "k"})),
        ("invitationCreate", json!({"organizationId": acme.id, "email": cast::address(), "role": "VIEWER"})),
        ("apiKeyCreate", json!({"organizationId": acme.id, "name": "k", "permissions": ["PROJECT_READ"]})),
        ("organizationUpdate", json!({"id": acme.id, "name": "n"})),
        ("membershipUpdate", json!({"id": acme.member.membership, "role": "VIEWER"})),
        ("projectUpdate", json!({"id": world.other, "name": "n"})),
    ] {
        assert_eq!(narrow.fault(field, input).await, "INVALID", "{field}");
    }
    narrow.mutate("projectUpdate", json!({"id": acme.project, "name": "n"}), "").await;
    let seen = narrow
        .ok("{ organization { projects { nodes { id } } } credential { project { id } } }", json!({}))
        .await;
    assert_eq!(seen["organization"]["projects"]["nodes"], json!([{"id": acme.project}]));
    assert_eq!(seen["credential"]["project"]["id"], acme.project.as_str());
}

/// Attacks: 80.
#[tokio::test(flavor = "multi_thread")]
async fn inputs_take_nothing_that_is_the_servers_to_say() {
    let world = World::new().await;
    let acme = &world.acme;
    for (field, input) in [
        ("projectUpdate", json!({"id": acme.project, "organizationId": world.globex.id})),
        ("projectCreate", json!({"organizationId": acme.id, "name": "n", "id": acme.project})),
        ("userUpdate", json!({"emailVerified": true})),
        ("userUpdate", json!({"id": acme.viewer.id, "name": "n"})),
        ("organizationUpdate", json!({"id": acme.id, "tier": "community"})),
        ("membershipUpdate", json!({"id": acme.member.membership, "role": "OWNER", "limited": false})),
        (
            "apiKeyCreate",
            json!({"organizationId": acme.id, "name": "n", "permissions": ["ORG_READ"], "createdBy": acme.viewer.id}),
        ),
        (
            "signup",
            json!({"email": "x@y.example", "password": PASSWORD, "name": "n", "organizationName": "n", "role": "OWNER"}),
        ),
    ] {
        let code = world.client("owner").refusal(&mutation(field, ""), json!({"input": input})).await;
        assert_eq!(code, "BAD_USER_INPUT", "{field}");
    }
}

// -------------------------------------------------------------------------------- from the next request, everywhere

/// Two replicas on one database, with warm caches.
struct Replicas {
    world: World,
    second: Server,
}

const LOOK: &str = "{ organization { id viewerRole viewerPermissions description projects { totalCount } members { totalCount }
    invitations { totalCount } apiKeys { totalCount } auditLog { totalCount } usage { id } }
    credential { role permissions organization { id } } }";
const LISTS: &str =
    "{ organization { id projects { totalCount } members { totalCount } invitations { totalCount }
    apiKeys { totalCount } auditLog { totalCount } usage { id } } }";
const AUDIT: &str = "{ organization { auditLog(filter: {actions: [\"project.create\"]}) { totalCount } } }";

impl Replicas {
    async fn new() -> Self {
        let world = World::new().await;
        let second = world.server.replica().await;
        Self { world, second }
    }

    fn both(&self) -> [&Server; 2] {
        [&self.world.server, &self.second]
    }

    /// Both replicas have seen these callers.
    async fn warm(&self, callers: &[&dyn Fn(&Server) -> Answering]) {
        for server in self.both() {
            for caller in callers {
                caller(server).ask(server, LOOK).await;
            }
        }
    }
}

/// How a caller shows who they are.
enum Answering {
    Token(String),
    Key(String),
}

impl Answering {
    async fn ask(&self, server: &Server, query: &str) -> Answer {
        self.at(server).send(query, json!({})).await
    }

    fn at<'a>(&self, server: &'a Server) -> Client<'a> {
        match self {
            Self::Token(token) => server.bearer(token),
            Self::Key(secret) => server.key(secret),
        }
    }
}

fn token(person: &Person) -> impl Fn(&Server) -> Answering {
    let token = person.token.clone();
    move |_| Answering::Token(token.clone())
}

fn secret(secret: &str) -> impl Fn(&Server) -> Answering {
    let secret = secret.to_owned();
    move |_| Answering::Key(secret.clone())
}

/// What an organization without the permissions of an admin looks like, however it is asked; never an error.
async fn sees_as_viewer(client: &Client<'_>) {
    for query in [AUDIT, LISTS, LOOK] {
        let seen = client.ok(query, json!({})).await;
        for hidden in ["invitations", "apiKeys", "auditLog"] {
            assert_eq!(
                seen["organization"].get(hidden).unwrap_or(&Value::Null),
                &Value::Null,
                "{hidden}: {seen:#}"
            );
        }
    }
    let seen = client.ok(LOOK, json!({})).await;
    assert_eq!(seen["organization"]["viewerRole"], "VIEWER");
    assert_eq!(seen["credential"]["permissions"], json!(["ORG_READ", "PROJECT_READ", "CONTENT_READ"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_raised_or_lowered_holds_from_the_next_request_on_every_replica() {
    let replicas = Replicas::new().await;
    let acme = &replicas.world.acme;
    let owner = acme.owner.at(&replicas.world.server);
    let set = |role: &str| json!({"id": acme.admin.membership, "role": role});
    let create = json!({"organizationId": acme.id, "name": "n"});
    let refused = mutation("projectCreate", "");
    // Each way of asking is the first one after a change, once.
    for first in [AUDIT, LISTS, LOOK, "{ viewer { memberships { nodes { organization { viewerRole } } } } }"]
    {
        replicas.warm(&[&token(&acme.admin)]).await;
        owner.mutate("membershipUpdate", set("VIEWER"), "").await;
        for server in replicas.both() {
            let client = acme.admin.at(server);
            let seen = client.ok(first, json!({})).await;
            let text = seen.to_string();
            assert!(!text.contains("ADMIN") && !text.contains("AUDIT_READ"), "{first}: {text}");
            assert_eq!(
                seen["organization"].get("auditLog").unwrap_or(&Value::Null),
                &Value::Null,
                "{first}: {text}"
            );
            assert_eq!(client.refusal(&refused, json!({"input": create})).await, "FORBIDDEN");
            sees_as_viewer(&client).await;
        }
        owner.mutate("membershipUpdate", set("ADMIN"), "").await;
        for server in replicas.both() {
            acme.admin.at(server).mutate("projectCreate", create.clone(), "").await;
            let seen = acme.admin.at(server).ok(LOOK, json!({})).await;
            assert_eq!(seen["organization"]["viewerRole"], "ADMIN");
            assert!(!seen["organization"]["auditLog"].is_null());
        }
    }
    // A mutation as the very first request after it.
    replicas.warm(&[&token(&acme.admin)]).await;
    owner.mutate("membershipUpdate", set("VIEWER"), "").await;
    for server in replicas.both() {
        assert_eq!(acme.admin.at(server).refusal(&refused, json!({"input": create})).await, "FORBIDDEN");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_in_two_organizations_reads_their_role_as_it_is_now() {
    let replicas = Replicas::new().await;
    let (acme, globex) = (&replicas.world.acme, &replicas.world.globex);
    cast::join(&replicas.world.server, globex, &acme.admin, "MEMBER").await;
    let own = "{ viewer { memberships { nodes { organization { id viewerRole viewerPermissions } } } } }";
    for server in replicas.both() {
        acme.admin.at(server).ok(own, json!({})).await;
        acme.admin.at(server).ok(LOOK, json!({})).await;
    }
    let input = json!({"id": acme.admin.membership, "role": "VIEWER"});
    acme.owner.at(&replicas.world.server).mutate("membershipUpdate", input, "").await;
    for server in replicas.both() {
        let seen = acme.admin.at(server).ok(own, json!({})).await;
        let rows = seen["viewer"]["memberships"]["nodes"].as_array().unwrap();
        let here = rows.iter().find(|row| row["organization"]["id"] == acme.id.as_str()).unwrap();
        assert_eq!(here["organization"]["viewerRole"], "VIEWER");
    }
}

/// Attacks: 70, 84.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_is_out_from_the_next_request_and_so_are_their_keys() {
    let replicas = Replicas::new().await;
    let acme = &replicas.world.acme;
    let key = cast::secret(
        &replicas.world.server,
        &acme.admin,
        &acme.id,
        &["ORG_READ", "PROJECT_READ", "AUDIT_READ"],
    )
    .await;
    replicas.warm(&[&token(&acme.admin), &secret(&key)]).await;
    let input = json!({"id": acme.admin.membership});
    acme.owner.at(&replicas.world.server).mutate("membershipDelete", input, "").await;
    let [first, second] = replicas.both();
    // On one replica a list is the first thing that is asked, on the other one the organization's own fields.
    let seen = acme.admin.at(first).ok(LISTS, json!({})).await;
    for list in ["projects", "members", "invitations", "apiKeys", "auditLog", "usage"] {
        assert_eq!(seen["organization"].get(list).unwrap_or(&Value::Null), &Value::Null, "{list}: {seen}");
    }
    assert_eq!(acme.admin.at(second).ok(LOOK, json!({})).await["organization"], Value::Null);
    for server in [first, second] {
        let client = acme.admin.at(server);
        assert_eq!(client.ok(LOOK, json!({})).await["organization"], Value::Null);
        let project = "query($id: ID!) { project(id: $id) { id } node(id: $id) { id } }";
        assert_eq!(
            client.ok(project, json!({"id": acme.project})).await,
            json!({"project": null, "node": null})
        );
        assert_eq!(
            client.fault("projectUpdate", json!({"id": acme.project, "name": "n"})).await,
            "NOT_FOUND"
        );
        assert_eq!(
            client.ok("{ viewer { memberships { totalCount } } }", json!({})).await["viewer"]["memberships"]
                ["totalCount"],
            0
        );
        for query in [AUDIT, LOOK, "{ organization { name } }", "{ credential { kind } }"] {
            assert_eq!(server.key(&key).refusal(query, json!({})).await, "UNAUTHENTICATED", "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_role_holds_and_ends_from_the_next_request_on_every_replica() {
    let replicas = Replicas::new().await;
    let world = &replicas.world;
    let acme = &world.acme;
    let owner = acme.owner.at(&world.server);
    let set = |user: &Person, role: Value| json!({"projectId": world.other, "userId": user.id, "role": role});
    let update = json!({"id": world.other, "description": "changed"});
    let refused = mutation("projectUpdate", "");
    replicas.warm(&[&token(&acme.member), &token(&acme.admin), &token(&world.guest)]).await;
    owner.mutate("projectMemberSet", set(&acme.member, json!("ADMIN")), "").await;
    owner.mutate("projectMemberSet", set(&acme.admin, json!("VIEWER")), "").await;
    for server in replicas.both() {
        acme.member.at(server).mutate("projectUpdate", update.clone(), "project { viewerRole }").await;
        assert_eq!(acme.admin.at(server).refusal(&refused, json!({"input": update})).await, "FORBIDDEN");
    }
    owner.mutate("projectMemberSet", set(&acme.member, Value::Null), "").await;
    owner.mutate("projectMemberSet", set(&acme.admin, Value::Null), "").await;
    for server in replicas.both() {
        assert_eq!(acme.member.at(server).refusal(&refused, json!({"input": update})).await, "FORBIDDEN");
        acme.admin.at(server).mutate("projectUpdate", update.clone(), "").await;
    }
    // A guest is shown out; by somebody who is a guest themselves, who cannot see the membership any more afterwards.
    let other = cast::guest(&world.server, acme, "ADMIN", &world.other).await;
    replicas.warm(&[&token(&other)]).await;
    let look = "query($id: ID!) { project(id: $id) { name viewerPermissions activity { totalCount } } }";
    for server in replicas.both() {
        assert!(!other.at(server).ok(look, json!({"id": world.other})).await["project"].is_null());
    }
    world.client("guest").mutate("projectMemberSet", set(&other, Value::Null), "projectMember { id }").await;
    for server in replicas.both() {
        assert_eq!(other.at(server).ok(look, json!({"id": world.other})).await["project"], Value::Null);
        assert_eq!(other.at(server).fault("projectUpdate", update.clone()).await, "NOT_FOUND");
        assert_eq!(
            other
                .at(server)
                .ok("{ organization { projects { totalCount } auditLog { totalCount } } }", json!({}))
                .await["organization"]["projects"]["totalCount"],
            0
        );
    }
}

/// Attacks: 84, 90.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_or_rotated_key_is_refused_from_the_next_request_on_every_replica() {
    let replicas = Replicas::new().await;
    let world = &replicas.world;
    let acme = &world.acme;
    let owner = acme.owner.at(&world.server);
    let input =
        json!({"organizationId": acme.id, "name": "k", "permissions": ["ORG_READ", "PROJECT_CREATE"]});
    let made = owner.mutate("apiKeyCreate", input, "apiKey { id } secret").await;
    let (id, old) = (made["apiKey"]["id"].clone(), made["secret"].as_str().unwrap().to_owned());
    let name = "{ organization { name } }";
    replicas.warm(&[&secret(&old)]).await;
    let rotate = |grace: i32| json!({"id": id, "graceSeconds": grace});
    let made = owner.mutate("apiKeyRotate", rotate(0), "secret").await;
    let new = made["secret"].as_str().unwrap().to_owned();
    for server in replicas.both() {
        assert_eq!(server.key(&old).refusal(name, json!({})).await, "UNAUTHENTICATED");
        server.key(&new).ok(name, json!({})).await;
    }
    // With grace both work, until it is over.
    let made = owner.mutate("apiKeyRotate", rotate(1), "secret").await;
    let newest = made["secret"].as_str().unwrap().to_owned();
    for server in replicas.both() {
        server.key(&new).ok(name, json!({})).await;
        server.key(&newest).ok(name, json!({})).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for server in replicas.both() {
        assert_eq!(server.key(&new).refusal(name, json!({})).await, "UNAUTHENTICATED");
        server.key(&newest).ok(name, json!({})).await;
    }
    // Its creator is lowered: the key holds no more than they do.
    let create = json!({"organizationId": acme.id, "name": "n"});
    let theirs = cast::secret(&world.server, &acme.admin, &acme.id, &["ORG_READ", "PROJECT_CREATE"]).await;
    replicas.warm(&[&secret(&theirs)]).await;
    for server in replicas.both() {
        server.key(&theirs).mutate("projectCreate", create.clone(), "").await;
    }
    owner.mutate("membershipUpdate", json!({"id": acme.admin.membership, "role": "MEMBER"}), "").await;
    for server in replicas.both() {
        assert_eq!(
            server.key(&theirs).refusal(&mutation("projectCreate", ""), json!({"input": create})).await,
            "FORBIDDEN"
        );
        server.key(&theirs).ok(name, json!({})).await;
    }
    owner.mutate("apiKeyRevoke", json!({"id": id}), "").await;
    for server in replicas.both() {
        assert_eq!(server.key(&newest).refusal(name, json!({})).await, "UNAUTHENTICATED");
        assert_eq!(
            server.key(&newest).refusal(&mutation("projectCreate", ""), json!({"input": create})).await,
            "UNAUTHENTICATED"
        );
    }
    // One that ends by itself.
    let mut database = world.server.database.superuser().await;
    let ending = cast::secret(&world.server, &acme.owner, &acme.id, &["ORG_READ"]).await;
    replicas.warm(&[&secret(&ending)]).await;
    database
        .execute("update api_keys set expires_at = now() - interval '1 second' where revoked_at is null")
        .await
        .unwrap();
    for server in replicas.both() {
        assert_eq!(server.key(&ending).refusal(name, json!({})).await, "UNAUTHENTICATED");
    }
}

/// Attacks: 70.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_is_refused_from_the_next_request_on_every_replica() {
    let replicas = Replicas::new().await;
    let acme = &replicas.world.acme;
    let server = &replicas.world.server;
    for (field, input) in [
        ("sessionRevoke", json!({})),
        ("logout", json!({"everywhere": true})),
        ("passwordChange", json!({"currentPassword": PASSWORD, "newPassword": "another horse battery"})),
    ] {
        let input_for = json!({"email": acme.member.email, "password": PASSWORD});
        let one = server.anonymous().mutate("login", input_for.clone(), "accessToken").await;
        let two = server.anonymous().mutate("login", input_for, "accessToken").await;
        let (one, two) = (
            one["accessToken"].as_str().unwrap().to_owned(),
            two["accessToken"].as_str().unwrap().to_owned(),
        );
        let (a, b) = (one.clone(), two.clone());
        replicas
            .warm(&[&move |_: &Server| Answering::Token(a.clone()), &move |_: &Server| {
                Answering::Token(b.clone())
            }])
            .await;
        let mut input = input;
        if field == "sessionRevoke" {
            let own = server.bearer(&two).ok("{ viewer { sessions { id current } } }", json!({})).await;
            let sessions = own["viewer"]["sessions"].as_array().unwrap().clone();
            input = json!({"id": sessions.iter().find(|session| session["current"] == true).unwrap()["id"]});
        }
        server.bearer(&one).mutate(field, input, "").await;
        for replica in replicas.both() {
            for query in [
                LOOK,
                LISTS,
                AUDIT,
                "{ viewer { name } }",
                "{ credential { kind } }",
                "{ node(id: \"usr_00000000000000000000000000\") { id } }",
            ] {
                assert_eq!(
                    replica.bearer(&two).refusal(query, json!({})).await,
                    "UNAUTHENTICATED",
                    "{field}: {query}"
                );
            }
            let document = mutation("projectUpdate", "");
            let input = json!({"input": {"id": acme.project, "name": "n"}});
            let code = replica.bearer(&two).refusal(&document, input).await;
            assert_eq!(code, "UNAUTHENTICATED");
            let input = json!({"input": {"organizationId": acme.id, "name": "n"}});
            let code = replica.bearer(&two).refusal(&mutation("projectCreate", ""), input).await;
            assert_eq!(code, "UNAUTHENTICATED");
            let code = replica
                .bearer(&two)
                .refusal(&mutation("userUpdate", ""), json!({"input": {"name": "n"}}))
                .await;
            assert_eq!(code, "UNAUTHENTICATED");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_is_gone_for_all_but_its_owners_at_once_and_back_at_once() {
    let replicas = Replicas::new().await;
    let world = &replicas.world;
    let (acme, server) = (&world.acme, &world.server);
    // Two memberships, so that organizations are also read under the person.
    cast::join(server, &world.globex, &acme.member, "VIEWER").await;
    let key = cast::secret(server, &acme.owner, &acme.id, &["ORG_READ", "PROJECT_READ"]).await;
    let link = cast::link(server, &acme.owner, &acme.id, &cast::address(), "VIEWER", None).await;
    let everybody = [&acme.owner, &acme.admin, &acme.member, &acme.viewer, &world.guest];
    let nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } viewer { memberships { nodes { organization { id name } } } } }";
    let ids = json!({"ids": [acme.id, world.globex.id, acme.project]});
    let preview = "query($token: String!) { invitation(token: $token) { status } }";
    for turn in 0..2 {
        for person in everybody {
            replicas.warm(&[&token(person)]).await;
        }
        replicas.warm(&[&secret(&key)]).await;
        acme.owner
            .at(server)
            .mutate("organizationDelete", json!({"id": acme.id, "confirmSlug": acme.slug}), "")
            .await;
        for replica in replicas.both() {
            for person in &everybody[1..] {
                let client = person.at(replica);
                let seen = client.ok(if turn == 0 { LOOK } else { LISTS }, json!({})).await;
                assert!(
                    seen["organization"].is_null() || seen["organization"]["projects"].is_null(),
                    "{seen}"
                );
                assert_eq!(client.ok(LOOK, json!({})).await["organization"], Value::Null);
                let seen = client.ok(nodes, ids.clone()).await;
                assert!(!seen.to_string().contains(&acme.id), "{seen}");
                assert_eq!(
                    client.fault("projectUpdate", json!({"id": acme.project, "name": "n"})).await,
                    "NOT_FOUND"
                );
            }
            assert_eq!(replica.key(&key).refusal(LOOK, json!({})).await, "UNAUTHENTICATED");
            assert_eq!(
                replica.anonymous().ok(preview, json!({"token": link})).await["invitation"],
                Value::Null
            );
            let owner = acme.owner.at(replica);
            let seen = owner.ok("{ organization { name deletedAt } }", json!({})).await;
            assert!(!seen["organization"]["deletedAt"].is_null());
            for (field, input) in [
                ("organizationUpdate", json!({"id": acme.id, "name": "n"})),
                ("projectCreate", json!({"organizationId": acme.id, "name": "n"})),
                ("projectUpdate", json!({"id": acme.project, "name": "n"})),
                ("organizationDelete", json!({"id": acme.id, "confirmSlug": acme.slug})),
                ("membershipDelete", json!({"id": acme.viewer.membership})),
            ] {
                assert_eq!(owner.fault(field, input).await, "CONFLICT", "{field}: bring it back first");
            }
        }
        acme.owner.at(server).mutate("organizationRestore", json!({"id": acme.id}), "").await;
        for replica in replicas.both() {
            // A write is the first thing that the owner does afterwards.
            acme.owner
                .at(replica)
                .mutate("projectCreate", json!({"organizationId": acme.id, "name": "n"}), "")
                .await;
            for person in everybody {
                assert!(!person.at(replica).ok(LOOK, json!({})).await["organization"].is_null());
            }
            replica.key(&key).ok(LOOK, json!({})).await;
            assert_eq!(
                replica.anonymous().ok(preview, json!({"token": link})).await["invitation"]["status"],
                "PENDING"
            );
        }
    }
    // After thirty days it is gone for its owners as well.
    acme.owner
        .at(server)
        .mutate("organizationDelete", json!({"id": acme.id, "confirmSlug": acme.slug}), "")
        .await;
    let mut database = server.database.superuser().await;
    database
        .execute(
            "update organizations set deleted_at = now() - interval '31 days' where deleted_at is not null",
        )
        .await
        .unwrap();
    assert_eq!(
        acme.owner.at(&replicas.second).fault("organizationRestore", json!({"id": acme.id})).await,
        "NOT_FOUND"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_reads_projects_reads_their_settings() {
    let world = World::new().await;
    let (acme, server) = (&world.acme, &world.server);
    let secret = cast::secret(server, &acme.owner, &acme.id, &["PROJECT_READ"]).await;
    let query = "query($id: ID!) { project(id: $id) { name settings { locale } } }";
    let seen = server.key(&secret).ok(query, json!({"id": acme.project})).await;
    assert_eq!(seen["project"]["settings"]["locale"], "en");
}

// ------------------------------------------------------------------------------------------------ the source itself

/// The root fields of one file: their doc comment, guard and body.
#[derive(Default)]
struct Roots {
    ty: String,
    found: Vec<Root>,
}

struct Root {
    ty: String,
    name: String,
    doc: String,
    guard: Option<String>,
    body: String,
}

impl<'ast> Visit<'ast> for Roots {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is = |name| item.attrs.iter().any(|attribute| attribute.path().is_ident(name));
        let syn::Type::Path(path) = &*item.self_ty else { return };
        self.ty = path.path.segments.last().unwrap().ident.to_string();
        let roots = is("Object") && (self.ty.ends_with("Query") || self.ty.ends_with("Mutation"));
        if roots || is("Subscription") {
            syn::visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let (mut doc, mut guard) = (String::new(), None);
        for attribute in &item.attrs {
            match &attribute.meta {
                syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => {
                    if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) = &pair.value {
                        doc.push_str(line.value().trim());
                        doc.push(' ');
                    }
                }
                syn::Meta::List(list) if list.path.is_ident("graphql") => {
                    let text = list.tokens.to_string();
                    guard = text
                        .split("guard = \"")
                        .nth(1)
                        .and_then(|rest| rest.split('"').next())
                        .map(str::to_owned);
                }
                _ => {}
            }
        }
        let body = quote_of(&item.block);
        self.found.push(Root { ty: self.ty.clone(), name: item.sig.ident.to_string(), doc, guard, body });
    }
}

/// The method calls in a block, by name.
fn quote_of(block: &syn::Block) -> String {
    #[derive(Default)]
    struct Calls(String);
    impl<'ast> Visit<'ast> for Calls {
        fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
            let _ = write!(self.0, " {}(", call.method);
            syn::visit::visit_expr_method_call(self, call);
        }
    }
    let mut calls = Calls::default();
    calls.visit_block(block);
    calls.0
}

fn roots() -> Vec<Root> {
    let mut files = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("graphql.rs") || path.ends_with("graphql/node.rs") {
                files.push(path);
            }
        }
    }
    let mut roots = Roots::default();
    for path in files {
        roots.visit_file(&syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap());
    }
    roots.found
}

#[test]
fn every_root_field_is_guarded_and_says_what_it_requires() {
    let roots = roots();
    let sdl = Sdl::of_the_server();
    assert_eq!(
        roots.len(),
        ["Query", "Mutation", "Subscription"].iter().map(|root| sdl.fields(root).len()).sum::<usize>(),
        "every root field is found"
    );
    let permissions: BTreeMap<String, &str> =
        Action::ALL.iter().map(|action| (format!("{action:?}"), action.permission().as_str())).collect();
    let mut wrong = Vec::new();
    for Root { ty, name, doc, guard, body } in &roots {
        let at = format!("{ty}::{name}");
        match guard {
            Some(guard) if !guard.starts_with("Requires::") => {
                wrong.push(format!("{at} has another guard than `Requires`: {guard}"));
            }
            Some(guard) => {
                let Some((_, needs)) = doc.split_once("Requires:") else {
                    wrong.push(format!("{at} is guarded and does not say so: add a line `Requires: …`."));
                    continue;
                };
                let action = guard.split("Action::").nth(1).and_then(|rest| rest.split([',', ')']).next());
                let expected = match (action, guard.as_str()) {
                    (Some(action), _) => format!("`{}`", permissions[action.trim()]),
                    (None, "Requires::Person") => "a signed-in person".to_owned(),
                    (None, _) if needs.contains("for others than oneself") => "`MEMBER_MANAGE`".to_owned(),
                    (None, _) => "a credential".to_owned(),
                };
                if !needs.trim_start().starts_with(&expected) {
                    wrong.push(format!(
                        "{at} requires {expected}, and its description says otherwise: {needs}"
                    ));
                }
            }
            None if doc.to_lowercase().contains("needs no credential") || body.contains(" may") => {}
            None => wrong.push(format!(
                "{at} has no guard, does not ask `may(`, and does not say `Needs no credential`."
            )),
        }
        if ty.ends_with("Mutation") && !doc.contains("Codes:") {
            wrong.push(format!("{at} does not list the codes that it can return: add `Codes: …`."));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
