//! Invitations: links that let one address in.

use serde_json::{Value, json};

use crate::support::cast::{self, Organization, PASSWORD};
use crate::support::{Client, Server};

async fn preview(server: &Server, token: &str) -> Value {
    let query = "query($t: String!) { invitation(token: $t) { organizationName projectName role email expiresAt status } }";
    server.anonymous().ok(query, json!({"t": token})).await["invitation"].clone()
}

async fn accept(client: &Client<'_>, token: &str) -> String {
    let payload = client.try_mutate("invitationAccept", json!({"token": token}), "").await;
    payload["userErrors"][0]["code"].as_str().unwrap_or("ok").to_owned()
}

struct Scene {
    server: Server,
    acme: Organization,
    globex: Organization,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start().await;
        let acme = cast::organization(&server, "Acme").await;
        let globex = cast::organization(&server, "Globex").await;
        Self { server, acme, globex }
    }

    fn owner(&self) -> Client<'_> {
        self.acme.owner.at(&self.server)
    }

    async fn link(&self, email: &str, role: &str, project: Option<&str>) -> String {
        cast::link(&self.server, &self.acme.owner, &self.acme.id, email, role, project).await
    }

    /// The membership of somebody in Acme, as its owner sees it.
    async fn membership(&self, email: &str) -> Value {
        let query = "{ organization { members(first: 10) { nodes { id role user { email } limitedTo { id } invitedBy { id } } } } }";
        let seen = self.owner().ok(query, json!({})).await;
        let nodes = seen["organization"]["members"]["nodes"].as_array().unwrap().clone();
        nodes.into_iter().find(|row| row["user"]["email"] == email).unwrap_or(Value::Null)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_what_it_offers_and_lets_a_new_person_in() {
    let scene = Scene::new().await;
    let (server, acme) = (&scene.server, &scene.acme);
    let input = json!({"organizationId": acme.id, "email": " Nina@New.example ", "role": "MEMBER", "expiresInDays": 30});
    let selection = "invitation { id email role status delivery expiresAt createdAt project { id } organization { id } invitedBy { id } } acceptUrl organization { invitations { totalCount } }";
    let made = scene.owner().mutate("invitationCreate", input, selection).await;
    let invitation = &made["invitation"];
    assert_eq!(
        (&invitation["email"], &invitation["role"], &invitation["status"], &invitation["delivery"]),
        (&json!("nina@new.example"), &json!("MEMBER"), &json!("PENDING"), &json!("NOT_CONFIGURED"))
    );
    assert_eq!(invitation["invitedBy"]["id"], acme.owner.id.as_str());
    let url = made["acceptUrl"].as_str().unwrap();
    assert!(
        url.starts_with("http://localhost:8000/"),
        "the configured address, whatever the request says: {url}"
    );
    let token = cast::token_of(url);
    let offer = preview(server, &token).await;
    assert_eq!(
        (&offer["organizationName"], &offer["projectName"], &offer["role"], &offer["status"]),
        (&json!("Acme"), &Value::Null, &json!("MEMBER"), &json!("PENDING"))
    );
    // Somebody else cannot use it, neither with a new account nor with their own.
    let wrong =
        json!({"email": "else@new.example", "password": PASSWORD, "name": "E", "invitationToken": token});
    assert_eq!(server.anonymous().fault("signup", wrong).await, "INVALID");
    assert_eq!(accept(&scene.globex.viewer.at(server), &token).await, "INVALID");
    assert_eq!(
        scene.globex.viewer.at(server).fault("invitationDecline", json!({"token": token})).await,
        "INVALID"
    );
    let both = json!({"email": "nina@new.example", "password": PASSWORD, "name": "N", "invitationToken": token, "organizationName": "Own"});
    assert_eq!(server.anonymous().fault("signup", both).await, "REQUIRED");
    let auth = cast::sign_up(server, "Nina", "nina@new.example", ("invitationToken", &token)).await;
    assert_eq!(auth["organization"]["id"], acme.id.as_str());
    assert_eq!(scene.membership("nina@new.example").await["invitedBy"]["id"], acme.owner.id.as_str());
    assert_eq!(preview(server, &token).await["status"], "ACCEPTED");
    let again =
        json!({"email": "nora@new.example", "password": PASSWORD, "name": "N", "invitationToken": token});
    assert_eq!(server.anonymous().fault("signup", again).await, "EXPIRED", "a link is good once");
}

/// Attacks: 125.
#[tokio::test(flavor = "multi_thread")]
async fn inviting_somebody_does_not_tell_whether_they_have_an_account() {
    let scene = Scene::new().await;
    let selection = "invitation { email role status delivery project { id } invitedBy { id } } acceptUrl";
    let mut told = Vec::new();
    for email in [scene.globex.member.email.as_str(), "nobody@elsewhere.example"] {
        let input = json!({"organizationId": scene.acme.id, "email": email, "role": "MEMBER"});
        let mut made = scene.owner().mutate("invitationCreate", input, selection).await;
        let token = cast::token_of(made["acceptUrl"].as_str().unwrap());
        let mut offer = preview(&scene.server, &token).await;
        let url = made["acceptUrl"].as_str().unwrap().len();
        (made["acceptUrl"], made["invitation"]["email"]) = (json!(url), Value::Null);
        (offer["email"], offer["expiresAt"]) = (Value::Null, Value::Null);
        told.push((made, offer));
    }
    assert_eq!(told[0], told[1]);
    // The control: somebody of one's own organization is known to it.
    let input = json!({"organizationId": scene.acme.id, "email": scene.acme.member.email, "role": "MEMBER"});
    assert_eq!(scene.owner().fault("invitationCreate", input).await, "ALREADY_EXISTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_an_account_accepts_or_declines() {
    let scene = Scene::new().await;
    let (server, guest) = (&scene.server, scene.globex.member.at(&scene.server));
    let token = scene.link(&scene.globex.member.email, "VIEWER", None).await;
    let declined = guest
        .mutate("invitationDecline", json!({"token": token}), "invitation { status organizationName }")
        .await;
    assert_eq!(declined["invitation"]["status"], "DECLINED");
    assert_eq!(accept(&guest, &token).await, "EXPIRED");
    assert_eq!(guest.fault("invitationDecline", json!({"token": token})).await, "EXPIRED");
    let token = scene.link(&scene.globex.member.email, "VIEWER", None).await;
    let made = guest.mutate("invitationAccept", json!({"token": token}), "membership { role organization { name } } organization { name viewerRole } viewer { memberships { totalCount } }").await;
    assert_eq!(
        (
            &made["membership"]["role"],
            &made["organization"]["viewerRole"],
            &made["viewer"]["memberships"]["totalCount"]
        ),
        (&json!("VIEWER"), &json!("VIEWER"), &json!(2))
    );
    assert_eq!(accept(&guest, &token).await, "EXPIRED");
    // Whoever is there already is not invited again.
    let input = json!({"organizationId": scene.acme.id, "email": scene.globex.member.email, "role": "ADMIN"});
    assert_eq!(scene.owner().fault("invitationCreate", input).await, "ALREADY_EXISTS");
    for token in
        ["", "nonsense", "aicos_inv_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &"x".repeat(10_000)]
    {
        assert_eq!(accept(&guest, token).await, "NOT_FOUND");
        assert_eq!(preview(server, token).await, Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_ends_by_time_by_hand_and_by_a_new_link() {
    let scene = Scene::new().await;
    let (server, owner) = (&scene.server, scene.owner());
    let member = &scene.globex.member;
    let create = json!({"organizationId": scene.acme.id, "email": member.email, "role": "VIEWER"});
    let made = owner.mutate("invitationCreate", create.clone(), "invitation { id } acceptUrl").await;
    let (id, first) = (made["invitation"]["id"].clone(), cast::token_of(made["acceptUrl"].as_str().unwrap()));
    assert_eq!(
        owner.fault("invitationCreate", create.clone()).await,
        "ALREADY_EXISTS",
        "one open invitation per address"
    );
    // A new link makes the one before worthless.
    let resent = owner
        .mutate("invitationResend", json!({"id": id}), "invitation { status } acceptUrl organization { id }")
        .await;
    let second = cast::token_of(resent["acceptUrl"].as_str().unwrap());
    assert_eq!(
        (preview(server, &first).await, accept(&member.at(server), &first).await),
        (Value::Null, "NOT_FOUND".to_owned())
    );
    assert_eq!(preview(server, &second).await["status"], "PENDING");
    // Out of time, and with a new link in time again.
    assert_eq!(
        server
            .tamper(
                "update invitations set expires_at = now() - interval '1 second' where status = 'PENDING'"
            )
            .await,
        1
    );
    assert_eq!(preview(server, &second).await["status"], "EXPIRED");
    assert_eq!(accept(&member.at(server), &second).await, "EXPIRED");
    let list = "query($s: InvitationStatus) { organization { invitations(status: $s) { totalCount nodes { status } } } }";
    for (status, expected) in
        [("EXPIRED", 1), ("PENDING", 0), ("ACCEPTED", 3), ("REVOKED", 0), ("DECLINED", 0)]
    {
        let seen = owner.ok(list, json!({"s": status})).await;
        assert_eq!(seen["organization"]["invitations"]["totalCount"], expected, "{status}");
    }
    let resent = owner.mutate("invitationResend", json!({"id": id}), "acceptUrl").await;
    let third = cast::token_of(resent["acceptUrl"].as_str().unwrap());
    let revoked = owner
        .mutate("invitationRevoke", json!({"id": id}), "invitation { status } organization { id }")
        .await;
    assert_eq!(revoked["invitation"]["status"], "REVOKED");
    assert_eq!(
        (preview(server, &third).await["status"].clone(), accept(&member.at(server), &third).await),
        (json!("REVOKED"), "EXPIRED".to_owned())
    );
    assert_eq!(owner.fault("invitationRevoke", json!({"id": id})).await, "CONFLICT");
    assert_eq!(owner.fault("invitationResend", json!({"id": id})).await, "CONFLICT");
    // One that ran out makes room for a new one.
    owner.mutate("invitationCreate", create.clone(), "").await;
    server
        .tamper("update invitations set expires_at = now() - interval '1 second' where status = 'PENDING'")
        .await;
    owner.mutate("invitationCreate", create, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_invitations_are_refused_at_their_field() {
    let scene = Scene::new().await;
    let good = json!({"organizationId": scene.acme.id, "email": "a@x.example", "role": "VIEWER"});
    for (changes, expected, field) in [
        (json!({"email": ""}), "REQUIRED", "email"),
        (json!({"email": "no"}), "INVALID", "email"),
        (json!({"email": "a@x.example\r\nBcc: b@x.example"}), "INVALID", "email"),
        (json!({"email": format!("{}@x.example", "a".repeat(300))}), "TOO_LONG", "email"),
        (json!({"expiresInDays": 0}), "OUT_OF_RANGE", "expiresInDays"),
        (json!({"expiresInDays": 31}), "OUT_OF_RANGE", "expiresInDays"),
        (json!({"expiresInDays": -2_147_483_648_i64}), "OUT_OF_RANGE", "expiresInDays"),
        (json!({"projectId": scene.acme.project, "role": "OWNER"}), "INVALID", "role"),
        (json!({"projectId": scene.globex.project}), "NOT_FOUND", "projectId"),
        (json!({"email": scene.acme.viewer.email}), "ALREADY_EXISTS", "email"),
        (
            json!({"email": scene.acme.viewer.email, "projectId": scene.acme.project}),
            "ALREADY_EXISTS",
            "email",
        ),
    ] {
        let mut input = good.clone();
        for (key, value) in changes.as_object().unwrap() {
            input[key] = value.clone();
        }
        let payload =
            scene.owner().try_mutate("invitationCreate", input, "invitation { id } acceptUrl").await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!(expected), &json!(["input", field])),
            "{changes:.60}"
        );
        assert_eq!((&payload["invitation"], &payload["acceptUrl"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_let_into_one_project_after_the_other_and_may_become_a_full_member() {
    let scene = Scene::new().await;
    let (server, acme) = (&scene.server, &scene.acme);
    let person = &scene.globex.member;
    let client = person.at(server).header("x-organization", &acme.id);
    let (one, two) = (cast::project(server, acme, "One").await, cast::project(server, acme, "Two").await);
    let link = scene.link(&person.email, "MEMBER", Some(&one)).await;
    assert_eq!(preview(server, &link).await["projectName"], "One");
    assert_eq!(accept(&person.at(server), &link).await, "ok");
    assert_eq!(scene.membership(&person.email).await["limitedTo"], json!([{"id": one}]));
    let own = "{ organization { viewerRole projects { nodes { id viewerRole } } members { totalCount } } }";
    assert_eq!(
        client.ok(own, json!({})).await["organization"]["projects"]["nodes"],
        json!([{"id": one, "viewerRole": "MEMBER"}])
    );
    // A further project adds to it.
    let link = scene.link(&person.email, "VIEWER", Some(&two)).await;
    assert_eq!(accept(&person.at(server), &link).await, "ok");
    assert_eq!(scene.membership(&person.email).await["limitedTo"], json!([{"id": one}, {"id": two}]));
    let seen = client.ok(own, json!({})).await;
    assert_eq!(
        seen["organization"]["projects"]["nodes"],
        json!([{"id": one, "viewerRole": "MEMBER"}, {"id": two, "viewerRole": "VIEWER"}])
    );
    assert_eq!(seen["organization"]["members"], Value::Null);
    // Their role is changed where it is: in the projects.
    let membership = scene.membership(&person.email).await["id"].clone();
    assert_eq!(
        scene.owner().fault("membershipUpdate", json!({"id": membership, "role": "ADMIN"})).await,
        "CONFLICT"
    );
    // Somebody who knows neither sees nothing of the other's guests.
    let other = cast::guest(server, acme, "MEMBER", &acme.project).await;
    let seen = other
        .at(server)
        .ok("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({"ids": [person.id, membership, one]}))
        .await;
    assert_eq!(seen["nodes"], json!([null, null, null]));
    // A full invitation widens.
    let link = scene.link(&person.email, "ADMIN", None).await;
    assert_eq!(accept(&person.at(server), &link).await, "ok");
    let row = scene.membership(&person.email).await;
    assert_eq!((&row["role"], &row["limitedTo"], &row["id"]), (&json!("ADMIN"), &Value::Null, &membership));
    let seen = client.ok(own, json!({})).await;
    assert_eq!(
        (
            &seen["organization"]["viewerRole"],
            seen["organization"]["projects"]["nodes"].as_array().unwrap().len()
        ),
        (&json!("ADMIN"), 3)
    );
    assert!(seen["organization"]["members"]["totalCount"].as_i64().unwrap() >= 5);
    // Shown out of their only project, a guest is still a member of nothing.
    scene
        .owner()
        .mutate("projectMemberSet", json!({"projectId": acme.project, "userId": other.id, "role": null}), "")
        .await;
    assert_eq!(other.at(server).ok(own, json!({})).await["organization"]["projects"]["nodes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_is_accepted_twice_at_once_lets_in_once() {
    let scene = Scene::new().await;
    let client = scene.globex.viewer.at(&scene.server);
    let token = scene.link(&scene.globex.viewer.email, "VIEWER", None).await;
    let all = futures_util::future::join_all((0..10).map(|_| accept(&client, &token))).await;
    assert_eq!(all.iter().filter(|code| *code == "ok").count(), 1, "{all:?}");
    assert!(all.iter().all(|code| code == "ok" || code == "EXPIRED"), "{all:?}");
}
