//! Organizations and the people in them.

use serde_json::{Value, json};

use crate::support::cast::{self, Organization, PASSWORD};
use crate::support::{Client, Server, mutation};

/// A server, an organization and its owner.
async fn acme(server: &Server) -> (Organization, Client<'_>) {
    let acme = cast::organization(server, "Acme").await;
    let owner = acme.owner.at(server);
    (acme, owner)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_is_founded_with_its_founder_and_a_default_project() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    let selection = "organization { id name slug description tier { key } projects { nodes { slug } } viewerRole }
        membership { role user { id } organization { id } invitedBy { id } limitedTo { id } } viewer { memberships { totalCount } }";
    let made = owner
        .mutate(
            "organizationCreate",
            json!({"name": "  Überbau & Söhne  ", "description": "Zwei\r\nZeilen"}),
            selection,
        )
        .await;
    let organization = &made["organization"];
    assert_eq!(
        (&organization["name"], &organization["slug"]),
        (&json!("Überbau & Söhne"), &json!("uberbau-sohne"))
    );
    assert_eq!(organization["description"], "Zwei\nZeilen");
    assert_eq!(organization["projects"]["nodes"], json!([{"slug": "default"}]));
    assert_eq!(made["membership"]["role"], "OWNER");
    assert_eq!(made["membership"]["user"]["id"], acme.owner.id.as_str());
    assert_eq!(made["membership"]["organization"]["id"], organization["id"]);
    assert_eq!(
        (&made["membership"]["invitedBy"], &made["membership"]["limitedTo"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(made["viewer"]["memberships"]["totalCount"], 2);
    // Without a credential of a person there is no founder.
    let key = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ", "PROJECT_CREATE"]).await;
    let input = json!({"input": {"name": "Robots"}});
    assert_eq!(server.key(&key).refusal(&mutation("organizationCreate", ""), input).await, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_is_unique_among_ones_own_organizations() {
    let server = Server::start().await;
    let (_, owner) = acme(&server).await;
    let create = async |input: Value| {
        let payload = owner.try_mutate("organizationCreate", input, "organization { slug }").await;
        payload["userErrors"][0]["code"]
            .as_str()
            .or(payload["organization"]["slug"].as_str())
            .unwrap()
            .to_owned()
    };
    assert_eq!(create(json!({"name": "Acme"})).await, "acme-2");
    assert_eq!(create(json!({"name": "ACME!"})).await, "acme-3");
    assert_eq!(create(json!({"name": "Acme", "slug": "acme"})).await, "ALREADY_EXISTS");
    assert_eq!(create(json!({"name": "日本語"})).await, "untitled");
    assert_eq!(create(json!({"name": "Own", "slug": "my-own-2"})).await, "my-own-2");
    for slug in ["", "-a", "a-", "a--b", "A", "ä", "a b", "a_b", "../etc", &"a".repeat(64)] {
        assert_eq!(create(json!({"name": "N", "slug": slug})).await, "INVALID", "{slug:?}");
    }
    for (input, expected) in [
        (json!({"name": " "}), "REQUIRED"),
        (json!({"name": "n".repeat(101)}), "TOO_LONG"),
        (json!({"name": "a\u{7}b"}), "INVALID"),
        (json!({"name": "n", "description": "d".repeat(2001)}), "TOO_LONG"),
        (json!({"name": "n", "idempotencyKey": ""}), "REQUIRED"),
        (json!({"name": "n", "idempotencyKey": "k".repeat(201)}), "TOO_LONG"),
    ] {
        assert_eq!(create(input.clone()).await, expected, "{input:.60}");
    }
    // Somebody else's may have it.
    let other = cast::organization(&server, "Globex").await;
    let made = other
        .owner
        .at(&server)
        .mutate("organizationCreate", json!({"name": "Acme"}), "organization { slug }")
        .await;
    assert_eq!(made["organization"]["slug"], "acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_absent_stays_and_what_is_null_is_cleared() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    let fields = "organization { name slug description settings { locale timezone brandVoice brandColors defaultHashtags callsToAction bannedWords inherited } updatedAt }";
    let set = async |mut input: Value| {
        input["id"] = acme.id.clone().into();
        owner.try_mutate("organizationUpdate", input, fields).await
    };
    let all = json!({"name": "Acme GmbH", "slug": "acme-gmbh", "description": "d", "settings": {
        "locale": "de-AT", "timezone": "Europe/Vienna", "brandVoice": "warm", "brandColors": ["#1a2b3c"], "defaultHashtags": ["frühling", "#sommer"],
        "callsToAction": [" Write to us. "], "bannedWords": ["cheap", "made in a hurry"]}});
    let first = set(all).await["organization"].clone();
    assert_eq!(
        (&first["name"], &first["slug"], &first["description"]),
        (&json!("Acme GmbH"), &json!("acme-gmbh"), &json!("d"))
    );
    let settings = json!({"locale": "de-AT", "timezone": "Europe/Vienna", "brandVoice": "warm", "brandColors": ["#1A2B3C"], "defaultHashtags": ["#frühling", "#sommer"], "callsToAction": ["Write to us."], "bannedWords": ["cheap", "made in a hurry"], "inherited": []});
    assert_eq!(first["settings"], settings);
    let same = |mut value: Value| {
        value["updatedAt"] = Value::Null;
        value
    };
    assert_eq!(same(set(json!({})).await["organization"].clone()), same(first.clone()));
    assert_eq!(same(set(json!({"settings": {}})).await["organization"].clone()), same(first));
    let cleared = set(json!({"description": null, "settings": {"locale": null, "brandVoice": null, "brandColors": null, "defaultHashtags": [], "callsToAction": null, "bannedWords": null}})).await["organization"].clone();
    assert_eq!(cleared["description"], Value::Null);
    assert_eq!(
        cleared["settings"],
        json!({"locale": "en", "timezone": "Europe/Vienna", "brandVoice": null, "brandColors": [], "defaultHashtags": [], "callsToAction": [], "bannedWords": [], "inherited": []})
    );
    for (input, expected, field) in [
        (json!({"name": null}), "REQUIRED", vec!["input", "name"]),
        (json!({"slug": null}), "REQUIRED", vec!["input", "slug"]),
        (json!({"name": ""}), "REQUIRED", vec!["input", "name"]),
        (json!({"slug": "A"}), "INVALID", vec!["input", "slug"]),
        (json!({"description": "d".repeat(2001)}), "TOO_LONG", vec!["input", "description"]),
        (json!({"settings": {"locale": "Deutsch"}}), "INVALID", vec!["input", "settings", "locale"]),
        (json!({"settings": {"timezone": "Mars/Olympus"}}), "INVALID", vec!["input", "settings", "timezone"]),
        (
            json!({"settings": {"brandVoice": "v".repeat(2001)}}),
            "TOO_LONG",
            vec!["input", "settings", "brandVoice"],
        ),
        (json!({"settings": {"brandColors": ["red"]}}), "INVALID", vec!["input", "settings", "brandColors"]),
        (
            json!({"settings": {"defaultHashtags": ["two words"]}}),
            "INVALID",
            vec!["input", "settings", "defaultHashtags"],
        ),
        (
            json!({"settings": {"callsToAction": vec!["Come."; 21]}}),
            "TOO_LONG",
            vec!["input", "settings", "callsToAction"],
        ),
        (
            json!({"settings": {"callsToAction": ["c".repeat(151)]}}),
            "TOO_LONG",
            vec!["input", "settings", "callsToAction"],
        ),
        (json!({"settings": {"bannedWords": [" "]}}), "REQUIRED", vec!["input", "settings", "bannedWords"]),
    ] {
        let payload = set(input.clone()).await;
        let error = &payload["userErrors"][0];
        assert_eq!((&error["code"], &error["field"]), (&json!(expected), &json!(field)), "{input:.60}");
        assert_eq!(payload["organization"], Value::Null);
    }
    // A list in the input is bounded before anything runs.
    let many = json!({"input": {"id": acme.id, "settings": {"brandColors": vec!["#000000"; 101]}}});
    assert_eq!(owner.refusal(&mutation("organizationUpdate", ""), many).await, "BAD_USER_INPUT");
    let kept = owner.ok("{ organization { name slug settings { timezone } } }", json!({})).await;
    assert_eq!(
        kept["organization"],
        json!({"name": "Acme GmbH", "slug": "acme-gmbh", "settings": {"timezone": "Europe/Vienna"}})
    );
}

/// Attacks: 43, 47.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_kept_as_they_are_written_and_never_run() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    for name in [
        "Robert'); drop table projects;--",
        "<script>alert(1)</script>",
        "=cmd()|' /C calc'!A0",
        "**bold** [x](javascript:1)",
        "{{7*7}} ${7*7} %s %n",
        "\u{1F600} 日本語 العربية",
    ] {
        let made = owner
            .mutate("organizationUpdate", json!({"id": acme.id, "name": name}), "organization { name }")
            .await;
        assert_eq!(made["organization"]["name"], name);
    }
    // One form: what looks the same is the same.
    let made = owner
        .mutate("organizationUpdate", json!({"id": acme.id, "name": "Cafe\u{301}"}), "organization { name }")
        .await;
    assert_eq!(made["organization"]["name"], "Café");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_can_be_looked_at_and_brought_back_by_its_owners() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    let delete = |slug: &str| json!({"id": acme.id, "confirmSlug": slug});
    assert_eq!(owner.fault("organizationDelete", delete("acm")).await, "INVALID");
    assert_eq!(owner.fault("organizationRestore", json!({"id": acme.id})).await, "CONFLICT");
    let gone = owner
        .mutate(
            "organizationDelete",
            delete("acme"),
            "deletedOrganizationId viewer { memberships { nodes { organization { deletedAt } } } }",
        )
        .await;
    assert_eq!(gone["deletedOrganizationId"], acme.id.as_str());
    assert!(!gone["viewer"]["memberships"]["nodes"][0]["organization"]["deletedAt"].is_null());
    let seen = owner.ok("{ organization { name deletedAt projects { totalCount } members { totalCount } auditLog(first: 1) { nodes { action } } } }", json!({})).await;
    assert_eq!(seen["organization"]["auditLog"]["nodes"][0]["action"], "organization.delete");
    // Others sign in still, and have nothing there; an owner may still act in it.
    for (person, here) in [(&acme.owner, true), (&acme.admin, false)] {
        let auth = server
            .anonymous()
            .mutate(
                "login",
                json!({"email": person.email, "password": PASSWORD}),
                "organization { id } user { memberships { totalCount } }",
            )
            .await;
        assert_eq!(auth["organization"].is_null(), !here);
        assert_eq!(auth["user"]["memberships"]["totalCount"], i32::from(here));
        let named = json!({"email": person.email, "password": PASSWORD, "organizationId": acme.id});
        let payload = server.anonymous().try_mutate("login", named, "").await;
        assert_eq!(payload["userErrors"] == json!([]), here, "{payload}");
    }
    let back = owner
        .mutate("organizationRestore", json!({"id": acme.id}), "organization { deletedAt } viewer { id }")
        .await;
    assert_eq!(back["organization"]["deletedAt"], Value::Null);
    acme.viewer.at(&server).ok("{ organization { name } }", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_always_an_owner() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    let set = |membership: &str, role: &str| json!({"id": membership, "role": role});
    let own = &acme.owner.membership;
    for field in ["membershipUpdate", "membershipDelete"] {
        let input = if field == "membershipUpdate" { set(own, "ADMIN") } else { json!({"id": own}) };
        assert_eq!(owner.fault(field, input).await, "LAST_OWNER", "{field}");
    }
    owner
        .mutate(
            "membershipUpdate",
            set(&acme.admin.membership, "OWNER"),
            "membership { role } organization { id }",
        )
        .await;
    // Two owners lower each other at the same time: one of them stays.
    let second = acme.admin.at(&server);
    let document = mutation("membershipUpdate", "");
    let both = tokio::join!(
        owner.send(&document, json!({"input": set(&acme.admin.membership, "VIEWER")})),
        second.send(&document, json!({"input": set(own, "VIEWER")})),
    );
    assert!(both.0.status.is_success() && both.1.status.is_success());
    let mut database = server.database.superuser().await;
    let owners: i64 = sqlx::query_scalar("select count(*) from memberships where role = 'OWNER'")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert!(owners >= 1, "{both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed_filtered_and_removed_and_may_leave() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    let people = "query($role: Role) { organization { members(role: $role) { totalCount nodes { id role createdAt user { name } invitedBy { name } } pageInfo { hasNextPage } } } }";
    let seen = owner.ok(people, json!({})).await;
    let roles: Vec<&str> = seen["organization"]["members"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["OWNER", "ADMIN", "MEMBER", "VIEWER"], "in the order in which they came");
    assert_eq!(seen["organization"]["members"]["nodes"][3]["invitedBy"]["name"], "Olivia Owner");
    let seen = owner.ok(people, json!({"role": "ADMIN"})).await;
    assert_eq!(seen["organization"]["members"]["totalCount"], 1);
    let gone = owner
        .mutate(
            "membershipDelete",
            json!({"id": acme.viewer.membership}),
            "deletedMembershipId organization { members { totalCount } } viewer { id }",
        )
        .await;
    assert_eq!(gone["deletedMembershipId"], acme.viewer.membership.as_str());
    assert_eq!(gone["organization"]["members"]["totalCount"], 3);
    assert_eq!(owner.fault("membershipDelete", json!({"id": acme.viewer.membership})).await, "NOT_FOUND");
    // Whoever leaves has no organization to show any more.
    let left = acme
        .member
        .at(&server)
        .mutate(
            "membershipDelete",
            json!({"id": acme.member.membership}),
            "deletedMembershipId organization { id } viewer { memberships { totalCount } }",
        )
        .await;
    assert_eq!(
        (&left["organization"], &left["viewer"]["memberships"]["totalCount"]),
        (&Value::Null, &json!(0))
    );
    // One's own membership is left from wherever the request is.
    let globex = cast::organization(&server, "Globex").await;
    cast::join(&server, &globex, &acme.admin, "MEMBER").await;
    let own = acme
        .admin
        .at(&server)
        .ok("{ viewer { memberships { nodes { id organization { name } } } } }", json!({}))
        .await;
    let there = own["viewer"]["memberships"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["organization"]["name"] == "Globex")
        .unwrap()["id"]
        .clone();
    acme.admin.at(&server).mutate("membershipDelete", json!({"id": there}), "").await;
    let seen = acme
        .admin
        .at(&server)
        .ok("{ viewer { memberships { totalCount } } organization { name } }", json!({}))
        .await;
    assert_eq!(
        (&seen["viewer"]["memberships"]["totalCount"], &seen["organization"]["name"]),
        (&json!(1), &json!("Acme"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_create_sent_again_makes_nothing_new() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    let project = cast::project(&server, &acme, "P").await;
    let inputs = [
        ("organizationCreate", "organization", json!({"name": "Once"}), json!({"name": "Twice"})),
        (
            "projectCreate",
            "project",
            json!({"organizationId": acme.id, "name": "Once"}),
            json!({"organizationId": acme.id, "name": "Twice"}),
        ),
        (
            "invitationCreate",
            "invitation",
            json!({"organizationId": acme.id, "projectId": project, "email": "once@x.example", "role": "VIEWER"}),
            json!({"organizationId": acme.id, "projectId": project, "email": "once@x.example", "role": "MEMBER"}),
        ),
        (
            "apiKeyCreate",
            "apiKey",
            json!({"organizationId": acme.id, "name": "Once", "permissions": ["PROJECT_READ"]}),
            json!({"organizationId": acme.id, "name": "Once", "permissions": ["ORG_READ"]}),
        ),
    ];
    for (field, entity, mut first, mut other) in inputs {
        first["idempotencyKey"] = "one key for every kind".into();
        other["idempotencyKey"] = "one key for every kind".into();
        let selection = match field {
            "invitationCreate" => "invitation { id } acceptUrl",
            "apiKeyCreate" => "apiKey { id } secret",
            "projectCreate" => "project { id }",
            _ => "organization { id }",
        };
        let made = owner.mutate(field, first.clone(), selection).await;
        let again = owner.mutate(field, first.clone(), selection).await;
        assert_eq!(made[entity]["id"], again[entity]["id"], "{field}");
        for shown_once in ["secret", "acceptUrl"] {
            if let Some(secret) = made.get(shown_once) {
                assert!(secret.is_string() && again[shown_once].is_null(), "{field} shows {shown_once} once");
            }
        }
        assert_eq!(owner.fault(field, other).await, "IDEMPOTENCY_KEY_REUSED", "{field}");
        // At the same time, too.
        first["idempotencyKey"] = "all at once".into();
        let document = mutation(field, selection);
        if field != "invitationCreate" {
            let all = (0..8).map(|_| owner.ok(&document, json!({"input": first})));
            let all = futures_util::future::join_all(all).await;
            let ids: std::collections::BTreeSet<String> =
                all.iter().map(|made| made[field][entity]["id"].to_string()).collect();
            assert_eq!(ids.len(), 1, "{field}: {all:?}");
        }
    }
    // A key's calls are its own, not its maker's; after a day the same key makes something new.
    let secret = cast::secret(&server, &acme.owner, &acme.id, &["PROJECT_CREATE", "PROJECT_READ"]).await;
    let input =
        json!({"organizationId": acme.id, "name": "Once", "idempotencyKey": "one key for every kind"});
    let by_owner = owner.mutate("projectCreate", input.clone(), "project { id }").await;
    let by_key = server.key(&secret).mutate("projectCreate", input.clone(), "project { id }").await;
    assert_ne!(by_owner["project"]["id"], by_key["project"]["id"]);
    server.tamper("update idempotency_keys set created_at = created_at - interval '25 hours'").await;
    let later = owner.mutate("projectCreate", input, "project { id }").await;
    assert_ne!(by_owner["project"]["id"], later["project"]["id"]);
    // What failed is not remembered.
    let failing = json!({"organizationId": acme.id, "name": "N", "slug": "default", "idempotencyKey": "k"});
    assert_eq!(owner.fault("projectCreate", failing).await, "ALREADY_EXISTS");
    let mended = json!({"organizationId": acme.id, "name": "N", "slug": "other", "idempotencyKey": "k"});
    owner.mutate("projectCreate", mended, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_measured_and_the_tier_limits_it() {
    let server = Server::start().await;
    let (acme, owner) = acme(&server).await;
    let usage = "{ organization { tier { key name features limits { metric limit } } usage { periodStart periodEnd metrics { kind used limit resetsAt } } today: usage(period: TODAY) { id } before: usage(period: PREVIOUS_MONTH) { id } } }";
    let seen = owner.ok(usage, json!({})).await;
    let metric = |seen: &Value, kind: &str| {
        seen["organization"]["usage"]["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["kind"] == kind)
            .cloned()
            .unwrap()
    };
    assert_eq!(metric(&seen, "MEMBERS")["used"], 4.0);
    assert_eq!(
        (&metric(&seen, "PROJECTS")["used"], &metric(&seen, "PROJECTS")["limit"]),
        (&json!(1.0), &Value::Null)
    );
    assert_eq!(seen["organization"]["usage"]["metrics"].as_array().unwrap().len(), 8, "all that is measured");
    server.tamper("update organizations set tier = 'starter'").await;
    let seen = owner.ok(usage, json!({})).await;
    assert_eq!(seen["organization"]["tier"]["key"], "starter");
    assert_eq!(
        (&metric(&seen, "MEMBERS")["limit"], &metric(&seen, "PROJECTS")["limit"]),
        (&json!(5.0), &json!(10.0))
    );
    let document = "mutation($input: ProjectCreateInput!) { projectCreate(input: $input) { project { id } userErrors { __typename code field message ... on QuotaError { metric limit used resetsAt requiredTier } } } }";
    let create = async |name: &str| {
        owner.ok(document, json!({"input": {"organizationId": acme.id, "name": name}})).await["projectCreate"]
            .clone()
    };
    let mut last = Value::Null;
    for number in 0..9 {
        let made = create(&format!("P{number}")).await;
        assert_eq!(made["userErrors"], json!([]), "{number}");
        last = made["project"]["id"].clone();
    }
    let full = create("One too many").await;
    let error = &full["userErrors"][0];
    assert_eq!(
        (&error["__typename"], &error["code"]),
        (&json!("QuotaError"), &json!("QUOTA_EXCEEDED")),
        "{full}"
    );
    assert_eq!(
        (&error["metric"], &error["limit"], &error["used"]),
        (&json!("PROJECTS"), &json!(10.0), &json!(10.0))
    );
    assert_eq!(full["project"], Value::Null);
    // An archived one makes room, and may come back only where there is some.
    owner.mutate("projectArchive", json!({"id": last}), "").await;
    assert_eq!(create("In its place").await["userErrors"], json!([]));
    assert_eq!(owner.fault("projectArchive", json!({"id": last, "archived": false})).await, "QUOTA_EXCEEDED");
    // Twenty at once for the one place that is left.
    owner.mutate("projectDelete", json!({"id": acme.project}), "").await;
    let all = (0..20).map(|number| {
        owner.ok(document, json!({"input": {"organizationId": acme.id, "name": format!("R{number}")}}))
    });
    let made = futures_util::future::join_all(all)
        .await
        .iter()
        .filter(|made| made["projectCreate"]["userErrors"] == json!([]))
        .count();
    assert_eq!(made, 1);
    // The fifth member comes in, the sixth does not: neither by signing up nor by accepting.
    cast::member(&server, &acme, "VIEWER").await;
    let email = cast::address();
    let token = cast::link(&server, &acme.owner, &acme.id, &email, "VIEWER", None).await;
    let input = json!({"email": email, "password": PASSWORD, "name": "Six", "invitationToken": token});
    assert_eq!(server.anonymous().fault("signup", input).await, "QUOTA_EXCEEDED");
    let globex = cast::organization(&server, "Globex").await;
    let token = cast::link(&server, &acme.owner, &acme.id, &globex.owner.email, "VIEWER", None).await;
    assert_eq!(
        globex.owner.at(&server).fault("invitationAccept", json!({"token": token})).await,
        "QUOTA_EXCEEDED"
    );
}
