//! What is read ahead, or written at once, is what the resolvers would have said one by one.

use serde_json::{Value, json};

use crate::support::{Client, Server, cast};

/// A field of an organization in two ways: alone, which takes the short way, and twice, which never does.
async fn both(caller: &Client<'_>, organization: &str, fields: &str) -> Value {
    let ask = async |selection: String| {
        let text = format!("query($id: ID!) {{ organization(id: $id) {{ {selection} }} }}");
        caller.ok(&text, json!({"id": organization})).await["organization"].clone()
    };
    let short = ask(format!("id name {fields}")).await;
    let mut long = ask(format!("id name {fields} again: {fields}")).await;
    if let Some(object) = long.as_object_mut() {
        object.remove("again");
    }
    assert_eq!(short, long, "{fields}");
    short
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_and_their_people_are_the_same_read_ahead() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let other = cast::organization(&server, "Other").await;
    let owner = acme.owner.at(&server);
    let mut projects = vec![acme.project.clone()];
    for name in ["Spring", "Summer", "Autumn"] {
        projects.push(cast::project(&server, &acme, name).await);
    }
    // Members with roles of their own, an owner whom no role lowers, guests of one project and of two.
    for (project, person, role) in [
        (&projects[0], &acme.member, "ADMIN"),
        (&projects[1], &acme.member, "VIEWER"),
        (&projects[1], &acme.admin, "MEMBER"),
        (&projects[2], &acme.viewer, "MEMBER"),
    ] {
        let input = json!({"projectId": project, "userId": person.id, "role": role});
        owner.mutate("projectMemberSet", input, "projectMember { id }").await;
    }
    let mut guests = Vec::new();
    for project in [0, 0, 2] {
        guests.push(cast::guest(&server, &acme, "MEMBER", &projects[project]).await);
    }
    let input = json!({"projectId": projects[3], "userId": guests[0].id, "role": "VIEWER"});
    owner.mutate("projectMemberSet", input, "projectMember { id }").await;
    let secret = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ", "PROJECT_READ"]).await;
    let blind = cast::secret(&server, &acme.owner, &acme.id, &["ORG_READ"]).await;

    let callers = [
        acme.owner.at(&server),
        acme.admin.at(&server),
        acme.member.at(&server),
        acme.viewer.at(&server),
        guests[0].at(&server),
        guests[1].at(&server),
        guests[2].at(&server),
        owner.header("x-project", &projects[1]),
        server.key(&secret),
        server.key(&blind),
        other.owner.at(&server),
    ];
    let people = "nodes { id role user { id name avatarUrl emailVerified createdAt } }";
    for caller in &callers {
        for fields in [
            format!("projects {{ nodes {{ id name members {{ {people} }} }} }}"),
            format!("projects(first: 2) {{ nodes {{ id slug members(first: 3) {{ {people} }} }} pageInfo {{ hasNextPage endCursor }} }}"),
            format!("projects(first: 3) {{ totalCount nodes {{ members(first: 1) {{ {people} pageInfo {{ hasNextPage }} }} }} }}"),
            format!("projects(first: 10) {{ nodes {{ id members(first: 10) {{ {people} totalCount }} }} edges {{ node {{ id members(first: 2) {{ nodes {{ role }} }} }} }} }}"),
            format!("projects(first: 3) {{ nodes {{ members(first: 2) {{ {people} }} }} edges {{ node {{ members(first: 2) {{ {people} pageInfo {{ hasNextPage }} }} }} }} }}"),
            format!("projects(first: 3) {{ nodes {{ members(first: 2) {{ {people} ... on ProjectMemberConnection {{ pageInfo @include(if: true) {{ hasNextPage }} }} }} }} ... {{ pageInfo {{ hasNextPage }} }} }}"),
            "projects(first: 4) { nodes { members(first: 2) { nodes { role user { email } inheritedFrom { id } } } } }".to_owned(),
            "projects { nodes { id ... on Project { name members(first: 2) { nodes { user { name } } } } } }".to_owned(),
            "projects { nodes { id description createdAt updatedAt archivedAt viewerPermissions viewerRole } }".to_owned(),
        ] {
            both(caller, &acme.id, &fields).await;
        }
    }
    // It was not all refused.
    let all = "projects(first: 4) { nodes { id members(first: 20) { nodes { user { id } } } } }";
    let seen = both(&callers[0], &acme.id, all).await;
    let sizes: Vec<usize> = seen["projects"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["members"]["nodes"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [6, 4, 5, 5]);
    let seen = both(&callers[4], &acme.id, all).await;
    assert_eq!(seen["projects"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(both(&callers[10], &acme.id, all).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_the_same_with_and_without_their_details() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    for name in ["Spring", "Summer", "Autumn"] {
        cast::project(&server, &acme, name).await;
    }
    let owner = acme.owner.at(&server);
    let page = async |selection: &str| {
        let text = format!(
            "{{ organization {{ auditLog(first: 2, filter: {{actions: [\"project.create\"]}}) {{ {selection} }} }} }}"
        );
        owner.ok(&text, json!({})).await["organization"]["auditLog"].clone()
    };
    let line = "id sequence action outcome actorLabel targetType targetId ip userAgent occurredAt";
    let details =
        "actor { __typename } actorRole project { id } changes { field before after } requestId hash";
    let (short, long) =
        (page(&format!("nodes {{ {line} }}")).await, page(&format!("nodes {{ {line} {details} }}")).await);
    for (short, long) in short["nodes"].as_array().unwrap().iter().zip(long["nodes"].as_array().unwrap()) {
        for (name, value) in short.as_object().unwrap() {
            assert_eq!(value, &long[name], "{name}");
        }
        assert_eq!(long["actorRole"], "OWNER");
        assert_eq!(long["hash"].as_str().unwrap().len(), 64);
        assert_eq!(long["actor"]["__typename"], "User");
    }
    // A detail that look-ahead does not see is read when it is asked for.
    let parts = page("nodes { id } edges { node { hash changes { field } } }").await;
    assert_eq!(parts["edges"][0]["node"]["hash"], long["nodes"][0]["hash"]);
    assert_eq!(parts["nodes"][1]["id"], long["nodes"][1]["id"]);
    // There is a third, and every way of asking finds it.
    for around in [
        "pageInfo { hasNextPage }",
        "nodes { id } ... { around: pageInfo { hasNextPage } }",
        "edges { cursor } ... on AuditEntryConnection { pageInfo @include(if: true) { hasNextPage } }",
        "nodes { id } } auditLog(first: 2, filter: {actions: [\"project.create\"]}) { pageInfo { hasNextPage }",
    ] {
        let seen = page(around).await;
        assert_eq!(seen.get("around").unwrap_or(&seen["pageInfo"])["hasNextPage"], true, "{around}");
    }
}
