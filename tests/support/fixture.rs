//! Two tenants with something in every table: what isolation is tested on.
//!
//! A test generated from the catalogue fails when a table has no rows of both; add here what makes them.

use serde_json::{Value, json};
use sqlx::types::Uuid;

use aicos::id;

use super::Server;
use super::cast::{self, Organization, Person};
use super::work::HANDBOOK;

/// One tenant: an organization with two projects, a guest of each, and one of everything else in each.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The organization and its people.
    pub cast: Organization,
    /// The default project and another one.
    pub projects: [String; 2],
    /// A guest of each project.
    pub guests: [Person; 2],
}

/// Two tenants, and a person who belongs to both.
#[derive(Debug, Clone)]
pub struct World {
    /// The tenants.
    pub tenants: [Tenant; 2],
    /// Who belongs to both.
    pub both: Person,
}

/// The stored form of an id on the wire.
pub fn uuid(wire: &str) -> Uuid {
    let (_, body) = wire.split_once('_').unwrap();
    id::decode(body).unwrap_or_else(|| panic!("not an id: {wire}"))
}

/// The text at a JSON pointer.
pub fn text_at(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer}: {value:#}")).to_owned()
}

impl Tenant {
    /// The organization's stored id.
    pub fn organization(&self) -> Uuid {
        uuid(&self.cast.id)
    }

    /// A project's stored id.
    pub fn project(&self, number: usize) -> Uuid {
        uuid(&self.projects[number])
    }

    /// The owner's stored id.
    pub fn owner(&self) -> Uuid {
        uuid(&self.cast.owner.id)
    }
}

async fn tenant(server: &Server, name: &str) -> Tenant {
    let cast = cast::organization(server, name).await;
    let domain = format!("{}.example", name.to_lowercase());
    let owner = cast.owner.at(server);
    let input = json!({"organizationId": cast.id, "name": "Second", "idempotencyKey": "once"});
    let second = owner.mutate("projectCreate", input, "project { id }").await;
    let projects = [cast.project.clone(), text_at(&second, "/project/id")];

    let mut guests = Vec::new();
    for (number, place) in [None, Some(&projects[0]), Some(&projects[1])].into_iter().enumerate() {
        if let Some(project) = place {
            let email = format!("guest{number}@{domain}");
            let guest =
                cast::invite(server, &cast.owner.token, &cast.id, &email, "VIEWER", Some(project)).await;
            guests.push(guest);
            let set = json!({"projectId": project, "userId": cast.member.id, "role": "ADMIN"});
            owner.mutate("projectMemberSet", set, "").await;
        }
        // Left open.
        let email = format!("invited{number}@{domain}");
        let invitation =
            json!({"organizationId": cast.id, "email": email, "role": "VIEWER", "projectId": place});
        owner.mutate("invitationCreate", invitation, "").await;
        let key = json!({"organizationId": cast.id, "name": format!("Key {number}"), "permissions": ["PROJECT_READ"], "projectId": place});
        owner.mutate("apiKeyCreate", key, "").await;
    }
    // A document, a question that it answers in a conversation and a judgement, in the organization and in each project.
    for place in [None, Some(&projects[0]), Some(&projects[1])] {
        let document =
            json!({"organizationId": cast.id, "projectId": place, "title": "Handbook", "text": HANDBOOK});
        let added = owner.mutate("documentCreate", document, "job { id }").await;
        owner.finished(&text_at(&added, "/job/id")).await;
        let conversation = json!({"organizationId": cast.id, "projectId": place});
        let begun = owner.mutate("qaConversationCreate", conversation, "conversation { id }").await;
        let question = json!({"organizationId": cast.id, "projectId": place,
            "question": "How many days of vacation?", "conversationId": begun["conversation"]["id"]});
        let asked = owner.mutate("qaAsk", question, "answer { id citations { quote } }").await;
        text_at(&asked, "/answer/citations/0/quote");
        owner.mutate("outputRate", json!({"id": asked["answer"]["id"], "stars": 5}), "").await;
    }
    let provider = json!({"organizationId": cast.id, "name": "own", "kind": "OPENAI", "model": "m",
        "key": "sk-key-of-the-fixture-1234"});
    owner.mutate("providerCreate", provider, "").await;
    for place in [None, Some(&projects[0]), Some(&projects[1])] {
        let route = json!({"organizationId": cast.id, "projectId": place, "agent": "HASHTAG_RESEARCH",
            "engine": {"provider": "own"}});
        owner.mutate("engineRouteSet", route, "").await;
        let template = json!({"organizationId": cast.id, "projectId": place, "key": "own", "name": "Ask first",
            "steps": [{"key": "gate", "kind": "APPROVAL"}]});
        owner.mutate("contentWorkflowTemplateCreate", template, "").await;
    }
    for place in [None, Some(&projects[0]), Some(&projects[1])] {
        let account = json!({"organizationId": cast.id, "projectId": place, "userId": cast::instagram_user(), "token": "EAAB"});
        owner.mutate("accountConnect", account, "").await;
    }
    let synonyms = json!({"organizationId": cast.id, "groups": [{"terms": ["PTO", "vacation"]}]});
    owner.mutate("synonymsSet", synonyms, "").await;
    owner.mutate("webhookEndpointCreate", cast::receiver(&cast.id), "").await;
    for project in &projects {
        owner.mutate("scheduleCreate", cast::yearly(project), "").await;
    }
    for place in [None, Some(&*projects[0]), Some(&*projects[1])] {
        cast::asset(server, &cast, place).await;
    }
    server.app.identity.reset_link(&cast.owner.email).await.unwrap();
    Tenant { cast, projects, guests: guests.try_into().unwrap() }
}

/// Makes the world.
pub async fn world(server: &Server) -> World {
    let workers = server.work();
    let tenants = [tenant(server, "Acme").await, tenant(server, "Globex").await];
    workers.stop().await;
    // By each account Instagram has been asked about a hashtag.
    let asked = "insert into hashtag_searches (organization_id, account_id, tag) select organization_id, id, 'yoga' from accounts";
    assert_eq!(server.tamper(asked).await, 6);
    let [first, second] = &tenants;
    // Nobody asks the provider: what it would have made of the passages is written down.
    for tenant in &tenants {
        let choice = json!({"organizationId": tenant.cast.id, "provider": "own", "model": "m"});
        tenant.cast.owner.at(server).mutate("embeddingsSet", choice, "").await;
    }
    let made = server
        .tamper(
            "insert into document_chunk_vectors (organization_id, chunk_id, document_id, project_id, embeddings_id, scale,
                direction)
             select c.organization_id, c.id, c.document_id, c.project_id, e.id, 0.01, '\\x01'
             from document_chunks c join embeddings e on e.organization_id = c.organization_id",
        )
        .await;
    assert!(made >= 6, "there are {made} vectors");
    let email = "both@people.example";
    let both = cast::invite(server, &first.cast.owner.token, &first.cast.id, email, "ADMIN", None).await;
    let input = json!({"organizationId": second.cast.id, "email": email, "role": "ADMIN"});
    let made = second.cast.owner.at(server).mutate("invitationCreate", input, "acceptUrl").await;
    let url = text_at(&made, "/acceptUrl");
    let token = url.split("token=").nth(1).unwrap();
    both.at(server).mutate("invitationAccept", json!({"token": token}), "").await;
    let input = json!({"organizationId": second.cast.id, "name": "Third", "idempotencyKey": "both"});
    both.at(server).mutate("projectCreate", input, "").await;
    server.app.identity.flush_used().await.unwrap();
    World { tenants, both }
}
