//! What people do, from signing up to leaving.

use serde_json::json;

use crate::support::{Server, cast};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_creates_a_project_and_asks_who_they_are() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let input = json!({"organizationId": acme.id, "name": "Frühling 2026"});
    let made = owner
        .mutate("projectCreate", input, "project { id slug } organization { projects { totalCount } }")
        .await;
    assert_eq!(made["project"]["slug"], "fruhling-2026");
    assert_eq!(made["organization"]["projects"]["totalCount"], 2);
    let me = owner.ok("{ viewer { name email } credential { kind role permissions } }", json!({})).await;
    assert_eq!(me["viewer"]["email"], "olivia@acme.example");
    assert_eq!(me["credential"]["role"], "OWNER");
    let log = owner
        .ok("{ organization { auditLog(filter: {actions: [\"project.create\"]}) { nodes { sequence action actorLabel changes { field after } } } } }", json!({}))
        .await;
    assert_eq!(log["organization"]["auditLog"]["nodes"][0]["actorLabel"], "Olivia Owner");
}

/// The deepest and widest document that the limits let through, on the stack that the server has.
#[tokio::test(flavor = "multi_thread")]
async fn the_deepest_document_is_answered() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let deep = "{ organization { projects(first: 1) { nodes { members(first: 1) { nodes { project { organization { \
                members(first: 1) { nodes { organization { auditLog(first: 2) { totalCount } } } } } } } } } } } }";
    acme.owner.at(&server).ok(deep, json!({})).await;
    let deeper = deep.replace("totalCount", "nodes { id }");
    assert_eq!(acme.owner.at(&server).refusal(&deeper, json!({})).await, "QUERY_TOO_DEEP");
}
