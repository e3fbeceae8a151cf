//! Projects, and people's roles in them.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::cast;
use crate::support::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_made_with_its_edge_and_its_parent() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let selection = "project { id name slug description archivedAt viewerRole organization { id } } projectEdge { cursor node { id } } organization { projects { totalCount edges { cursor node { id } } } }";
    let made = owner
        .mutate(
            "projectCreate",
            json!({"organizationId": acme.id, "name": " Frühling 2026 ", "description": "d"}),
            selection,
        )
        .await;
    assert_eq!(
        (&made["project"]["name"], &made["project"]["slug"]),
        (&json!("Frühling 2026"), &json!("fruhling-2026"))
    );
    assert_eq!(made["organization"]["projects"]["totalCount"], 2);
    // The edge is the one of the list, so that a cache can append it.
    let edges = made["organization"]["projects"]["edges"].as_array().unwrap();
    assert_eq!(edges.last().unwrap(), &made["projectEdge"]);
    let again = owner
        .mutate(
            "projectCreate",
            json!({"organizationId": acme.id, "name": "Frühling 2026"}),
            "project { slug }",
        )
        .await;
    assert_eq!(again["project"]["slug"], "fruhling-2026-2");
    for (input, expected) in [
        (json!({"name": "X", "slug": "default"}), "ALREADY_EXISTS"),
        (json!({"name": "X", "slug": "No"}), "INVALID"),
        (json!({"name": ""}), "REQUIRED"),
        (json!({"name": "n".repeat(101)}), "TOO_LONG"),
        (json!({"name": "n", "description": "d".repeat(2001)}), "TOO_LONG"),
        (json!({"name": "a\nb"}), "INVALID"),
    ] {
        let mut input = input;
        input["organizationId"] = acme.id.clone().into();
        assert_eq!(owner.fault("projectCreate", input.clone()).await, expected, "{input:.80}");
    }
    assert_eq!(
        owner.ok("{ organization { projects { totalCount } } }", json!({})).await["organization"]["projects"]
            ["totalCount"],
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slugs_that_are_wanted_at_the_same_time_go_to_one_and_those_that_are_made_to_all() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let make = |input: Value| {
        let owner = owner.clone();
        async move { owner.try_mutate("projectCreate", input, "project { slug }").await }
    };
    let wanted = (0..12).map(|_| make(json!({"organizationId": acme.id, "name": "N", "slug": "wanted"})));
    let wanted = futures_util::future::join_all(wanted).await;
    assert_eq!(wanted.iter().filter(|made| made["userErrors"] == json!([])).count(), 1);
    assert!(
        wanted
            .iter()
            .all(|made| made["userErrors"] == json!([]) || made["userErrors"][0]["code"] == "ALREADY_EXISTS")
    );
    let made = (0..12).map(|_| make(json!({"organizationId": acme.id, "name": "Same"})));
    let made = futures_util::future::join_all(made).await;
    let slugs: std::collections::BTreeSet<String> =
        made.iter().map(|made| made["project"]["slug"].to_string()).collect();
    assert_eq!(slugs.len(), 12, "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_inherits_the_settings_that_it_does_not_set() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let organization = json!({"id": acme.id, "settings": {"locale": "de", "timezone": "Europe/Berlin", "brandVoice": "warm", "brandColors": ["#111111"],
        "callsToAction": ["Write to us."], "bannedWords": ["cheap"]}});
    owner.mutate("organizationUpdate", organization, "").await;
    let set = async |settings: Value| {
        let made = owner
            .mutate(
                "projectUpdate",
                json!({"id": acme.project, "settings": settings}),
                "project { settings { locale timezone brandVoice brandColors defaultHashtags callsToAction bannedWords inherited } }",
            )
            .await;
        made["project"]["settings"].clone()
    };
    let all = [
        "locale",
        "timezone",
        "brandVoice",
        "brandColors",
        "defaultHashtags",
        "callsToAction",
        "bannedWords",
    ];
    let bare = set(json!({})).await;
    assert_eq!(
        bare,
        json!({"locale": "de", "timezone": "Europe/Berlin", "brandVoice": "warm", "brandColors": ["#111111"], "defaultHashtags": [], "callsToAction": ["Write to us."], "bannedWords": ["cheap"], "inherited": all})
    );
    let own =
        set(json!({"locale": "fr", "brandColors": [], "defaultHashtags": ["été"], "bannedWords": []})).await;
    assert_eq!(
        own,
        json!({"locale": "fr", "timezone": "Europe/Berlin", "brandVoice": "warm", "brandColors": [], "defaultHashtags": ["#été"], "callsToAction": ["Write to us."], "bannedWords": [], "inherited": ["timezone", "brandVoice", "callsToAction"]})
    );
    owner
        .mutate(
            "organizationUpdate",
            json!({"id": acme.id, "settings": {"locale": "it", "timezone": "Europe/Rome"}}),
            "",
        )
        .await;
    let later = set(json!({})).await;
    assert_eq!((&later["locale"], &later["timezone"]), (&json!("fr"), &json!("Europe/Rome")));
    let cleared =
        set(json!({"locale": null, "brandColors": null, "defaultHashtags": null, "bannedWords": null})).await;
    assert_eq!(
        (&cleared["locale"], &cleared["brandColors"], &cleared["inherited"]),
        (&json!("it"), &json!(["#111111"]), &json!(all))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_changed_archived_and_deleted() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let id = cast::project(&server, &acme, "Spring").await;
    let set = async |mut input: Value| {
        input["id"] = id.clone().into();
        owner.try_mutate("projectUpdate", input, "project { name slug description }").await
    };
    assert_eq!(
        set(json!({"name": "Summer", "slug": "summer", "description": "d"})).await["project"],
        json!({"name": "Summer", "slug": "summer", "description": "d"})
    );
    assert_eq!(
        set(json!({"description": null})).await["project"],
        json!({"name": "Summer", "slug": "summer", "description": null})
    );
    for (input, expected) in [
        (json!({"name": null}), "REQUIRED"),
        (json!({"slug": null}), "REQUIRED"),
        (json!({"slug": "default"}), "ALREADY_EXISTS"),
        (json!({"slug": "Not a slug"}), "INVALID"),
        (json!({"name": "n".repeat(101)}), "TOO_LONG"),
    ] {
        let payload = set(input.clone()).await;
        assert_eq!(payload["userErrors"][0]["code"], expected, "{input:.60}");
    }
    let archived =
        owner.mutate("projectArchive", json!({"id": id}), "project { archivedAt } organization { id }").await;
    assert!(!archived["project"]["archivedAt"].is_null());
    let list =
        "query($f: ProjectFilter) { organization { projects(filter: $f) { totalCount nodes { name } } } }";
    for (filter, expected) in [
        (json!(null), 2),
        (json!({}), 2),
        (json!({"archived": true}), 1),
        (json!({"archived": false}), 1),
        (json!({"search": "SUMM"}), 1),
        (json!({"search": "winter"}), 0),
        (json!({"search": "summ", "archived": false}), 0),
    ] {
        let seen = owner.ok(list, json!({"f": filter})).await;
        assert_eq!(seen["organization"]["projects"]["totalCount"], expected, "{filter}");
    }
    let long = owner.send(list, json!({"f": {"search": "s".repeat(101)}})).await;
    assert_eq!(long.code(), Some("BAD_USER_INPUT"));
    assert_eq!(long.body["errors"][0]["extensions"]["field"], json!(["filter", "search"]));
    let back =
        owner.mutate("projectArchive", json!({"id": id, "archived": false}), "project { archivedAt }").await;
    assert_eq!(back["project"]["archivedAt"], Value::Null);
    // With it go its people, keys and invitations.
    let guest = cast::guest(&server, &acme, "MEMBER", &id).await;
    let input =
        json!({"organizationId": acme.id, "projectId": id, "name": "k", "permissions": ["PROJECT_READ"]});
    let key = owner.mutate("apiKeyCreate", input, "secret").await;
    let token = cast::link(&server, &acme.owner, &acme.id, "late@acme.example", "VIEWER", Some(&id)).await;
    let gone = owner
        .mutate(
            "projectDelete",
            json!({"id": id}),
            "deletedProjectId organization { projects { totalCount } }",
        )
        .await;
    assert_eq!(
        (&gone["deletedProjectId"], &gone["organization"]["projects"]["totalCount"]),
        (&json!(id), &json!(1))
    );
    assert_eq!(owner.fault("projectDelete", json!({"id": id})).await, "NOT_FOUND");
    assert_eq!(
        server.key(key["secret"].as_str().unwrap()).refusal("{ credential { kind } }", json!({})).await,
        "UNAUTHENTICATED"
    );
    let seen = server
        .anonymous()
        .ok("query($t: String!) { invitation(token: $t) { status } }", json!({"t": token}))
        .await;
    assert_eq!(seen["invitation"], Value::Null);
    let seen = guest.at(&server).ok("{ organization { projects { totalCount } } }", json!({})).await;
    assert_eq!(seen["organization"]["projects"]["totalCount"], 0);
    // The log keeps what was done there.
    let log = owner.ok("query($id: ID!) { organization { auditLog(filter: {targetId: $id, actions: [\"project.delete\"]}) { nodes { project { id } targetId changes { field before after } } } } }", json!({"id": id})).await;
    let entry = &log["organization"]["auditLog"]["nodes"][0];
    assert_eq!((&entry["project"], &entry["targetId"]), (&Value::Null, &json!(id)));
    assert!(
        entry["changes"]
            .as_array()
            .unwrap()
            .contains(&json!({"field": "name", "before": "Summer", "after": null}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_role_replaces_the_inherited_one() {
    let world = World::new().await;
    let (acme, owner) = (&world.acme, world.client("owner"));
    let set = |user: &str, role: Value| json!({"projectId": world.other, "userId": user, "role": role});
    let selection =
        "projectMember { id role inheritedFrom { id } user { id } project { id } } project { id }";
    let made = owner.mutate("projectMemberSet", set(&acme.viewer.id, json!("ADMIN")), selection).await;
    assert_eq!(
        (&made["projectMember"]["role"], &made["projectMember"]["inheritedFrom"]),
        (&json!("ADMIN"), &Value::Null)
    );
    let seen = world.client("viewer").ok("query($id: ID!) { project(id: $id) { viewerRole viewerPermissions } organization { viewerRole } }", json!({"id": world.other})).await;
    assert_eq!(
        (&seen["project"]["viewerRole"], &seen["organization"]["viewerRole"]),
        (&json!("ADMIN"), &json!("VIEWER"))
    );
    let lowered = owner.mutate("projectMemberSet", set(&acme.admin.id, json!("VIEWER")), selection).await;
    assert_eq!(lowered["projectMember"]["role"], "VIEWER");
    let back = owner.mutate("projectMemberSet", set(&acme.viewer.id, Value::Null), selection).await;
    assert_eq!(
        (&back["projectMember"]["role"], &back["projectMember"]["inheritedFrom"]["id"]),
        (&json!("VIEWER"), &json!(acme.id))
    );
    // A guest has no role to go back to.
    let out = owner.mutate("projectMemberSet", set(&world.guest.id, Value::Null), selection).await;
    assert_eq!(out["projectMember"], Value::Null);
    // Everybody with a role in it, and nobody else.
    let people = "query($id: ID!) { project(id: $id) { members(first: 100) { totalCount nodes { role user { id } inheritedFrom { name } } } } }";
    let seen = owner.ok(people, json!({"id": world.other})).await;
    let members = seen["project"]["members"]["nodes"].as_array().unwrap();
    assert_eq!(seen["project"]["members"]["totalCount"], members.len());
    let role = |id: &str| members.iter().find(|row| row["user"]["id"] == id).map(|row| row["role"].clone());
    assert_eq!(role(&acme.owner.id), Some(json!("OWNER")));
    assert_eq!(role(&acme.admin.id), Some(json!("VIEWER")));
    assert_eq!(role(&world.guest.id), None);
    for (user, role, expected) in [
        (&acme.owner.id, json!("VIEWER"), "INVALID"),
        (&acme.viewer.id, json!("OWNER"), "INVALID"),
        (&world.globex.viewer.id, json!("VIEWER"), "NOT_FOUND"),
        (&world.removed.id, json!("VIEWER"), "NOT_FOUND"),
    ] {
        assert_eq!(owner.fault("projectMemberSet", set(user, role)).await, expected, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_paged_from_both_ends_in_a_stable_order() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    for number in 0..7 {
        cast::project(&server, &acme, &format!("P{number}")).await;
    }
    let page = async |arguments: &str| {
        let query = format!(
            "{{ organization {{ projects({arguments}) {{ totalCount nodes {{ name }} edges {{ cursor }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
        );
        owner.ok(&query, json!({})).await["organization"]["projects"].clone()
    };
    let names = |page: &Value| {
        page["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = names(&page("first: 100").await);
    assert_eq!(all, ["Default", "P0", "P1", "P2", "P3", "P4", "P5", "P6"]);
    let (mut forwards, mut after) = (Vec::new(), String::new());
    loop {
        let next = page(&format!("first: 3{after}")).await;
        assert_eq!(
            (&next["totalCount"], &next["pageInfo"]["hasPreviousPage"]),
            (&json!(8), &json!(!after.is_empty()))
        );
        forwards.extend(names(&next));
        if next["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = format!(", after: {}", next["pageInfo"]["endCursor"]);
    }
    assert_eq!(forwards, all);
    let (mut backwards, mut before) = (Vec::new(), String::new());
    loop {
        let previous = page(&format!("last: 3{before}")).await;
        backwards.splice(0..0, names(&previous));
        if previous["pageInfo"]["hasPreviousPage"] == false {
            break;
        }
        before = format!(", before: {}", previous["pageInfo"]["startCursor"]);
    }
    assert_eq!(backwards, all);
    for (arguments, field) in [
        ("first: 101", "first"),
        ("first: -1", "first"),
        ("last: 101", "last"),
        ("first: 1, last: 1", "last"),
        ("first: 2147483647", "first"),
        ("last: -2147483648", "last"),
    ] {
        let query = format!("{{ organization {{ projects({arguments}) {{ totalCount }} }} }}");
        let answer = owner.send(&query, json!({})).await;
        let code = answer.code().unwrap();
        assert!(code == "BAD_USER_INPUT" || code == "QUERY_TOO_COMPLEX", "{arguments}: {code}");
        if code == "BAD_USER_INPUT" {
            let path = answer.body["errors"][0]["extensions"]["field"].as_array().unwrap();
            assert_eq!(path.last().unwrap(), field, "{arguments}");
        }
    }
}
