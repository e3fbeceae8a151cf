//! The audit log: what it keeps of every mutation, what it never keeps, and how it is read.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};

use crate::support::cast::{self, PASSWORD};
use crate::support::sdl::Sdl;
use crate::support::world::World;
use crate::support::{Client, Server, mutation};

const ENTRY: &str = "id sequence action outcome actorLabel actorRole actor { __typename } targetType targetId project { id } changes { field before after } ip userAgent requestId hash occurredAt";

/// The newest entries, as the owner sees them.
async fn newest(owner: &Client<'_>, count: i32) -> Vec<Value> {
    let query = format!("{{ organization {{ auditLog(first: {count}) {{ nodes {{ {ENTRY} }} }} }} }}");
    owner.ok(&query, json!({})).await["organization"]["auditLog"]["nodes"].as_array().unwrap().clone()
}

/// What identity's mutations leave is a security event; everything else leaves an entry in the log.
const OF_THE_PERSON: [&str; 11] = [
    "signup",
    "login",
    "tokenRefresh",
    "organizationSwitch",
    "logout",
    "sessionRevoke",
    "passwordChange",
    "passwordResetRequest",
    "passwordReset",
    "emailVerificationRequest",
    "emailVerify",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_of_an_organization_leaves_its_entry() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner =
        acme.owner.at(&server).header("user-agent", "Audit/1.0").header("x-request-id", "req-audit-1");
    let mut done = BTreeSet::new();
    let mut run = async |field: &str,
                         input: Value,
                         selection: &str,
                         action: &str,
                         kind: &str,
                         change: Option<Value>| {
        let made = owner.mutate(field, input, selection).await;
        let entry = newest(&owner, 1).await.remove(0);
        assert_eq!(
            (&entry["action"], &entry["outcome"], &entry["targetType"]),
            (&json!(action), &json!("DONE"), &json!(kind)),
            "{field}"
        );
        assert_eq!(
            (&entry["actorLabel"], &entry["actorRole"], &entry["actor"]["__typename"]),
            (&json!("Olivia Owner"), &json!("OWNER"), &json!("User")),
            "{field}"
        );
        assert_eq!(
            (&entry["ip"], &entry["userAgent"], &entry["requestId"]),
            (&json!("203.0.113.7"), &json!("Audit/1.0"), &json!("req-audit-1")),
            "{field}"
        );
        if let Some(change) = change {
            assert!(
                entry["changes"].as_array().unwrap().contains(&change),
                "{field}: {change} is not in {}",
                entry["changes"]
            );
        }
        done.insert(field.to_owned());
        made
    };
    let change = |field: &str, before: Value, after: Value| {
        Some(json!({"field": field, "before": before, "after": after}))
    };
    run(
        "organizationUpdate",
        json!({"id": acme.id, "name": "Acme GmbH", "settings": {"locale": "de"}}),
        "",
        "organization.update",
        "Organization",
        change("name", json!("Acme"), json!("Acme GmbH")),
    )
    .await;
    run(
        "organizationUpdate",
        json!({"id": acme.id, "settings": {"locale": null}}),
        "",
        "organization.update",
        "Organization",
        change("settings", json!({"locale": "de"}), json!({})),
    )
    .await;
    let made = run(
        "projectCreate",
        json!({"organizationId": acme.id, "name": "P"}),
        "project { id }",
        "project.create",
        "Project",
        change("name", Value::Null, json!("P")),
    )
    .await;
    let project = made["project"]["id"].clone();
    run(
        "projectUpdate",
        json!({"id": project, "description": "d"}),
        "",
        "project.update",
        "Project",
        change("description", Value::Null, json!("d")),
    )
    .await;
    run(
        "projectArchive",
        json!({"id": project}),
        "",
        "project.archive",
        "Project",
        change("archived", json!(false), json!(true)),
    )
    .await;
    run(
        "projectMemberSet",
        json!({"projectId": project, "userId": acme.viewer.id, "role": "ADMIN"}),
        "",
        "project.member.set",
        "ProjectMember",
        change("role", json!("VIEWER"), json!("ADMIN")),
    )
    .await;
    let made = run(
        "invitationCreate",
        json!({"organizationId": acme.id, "email": "a@x.example", "role": "VIEWER"}),
        "invitation { id } acceptUrl",
        "invitation.create",
        "Invitation",
        change("link", Value::Null, json!("[redacted]")),
    )
    .await;
    let invitation = made["invitation"]["id"].clone();
    run(
        "invitationResend",
        json!({"id": invitation}),
        "",
        "invitation.resend",
        "Invitation",
        change("link", Value::Null, json!("[redacted]")),
    )
    .await;
    run(
        "invitationRevoke",
        json!({"id": invitation}),
        "",
        "invitation.revoke",
        "Invitation",
        change("status", json!("PENDING"), json!("REVOKED")),
    )
    .await;
    let made = run(
        "apiKeyCreate",
        json!({"organizationId": acme.id, "name": "k", "permissions": ["ORG_READ"]}),
        "apiKey { id }",
        "api_key.create",
        "ApiKey",
        change("secret", Value::Null, json!("[redacted]")),
    )
    .await;
    let key = made["apiKey"]["id"].clone();
    run(
        "apiKeyRotate",
        json!({"id": key}),
        "",
        "api_key.rotate",
        "ApiKey",
        change("secret", Value::Null, json!("[redacted]")),
    )
    .await;
    run("apiKeyRevoke", json!({"id": key}), "", "api_key.revoke", "ApiKey", None).await;
    run(
        "membershipUpdate",
        json!({"id": acme.member.membership, "role": "VIEWER"}),
        "",
        "membership.update",
        "Membership",
        change("role", json!("MEMBER"), json!("VIEWER")),
    )
    .await;
    run(
        "membershipDelete",
        json!({"id": acme.member.membership}),
        "",
        "membership.delete",
        "Membership",
        change("role", json!("VIEWER"), Value::Null),
    )
    .await;
    run(
        "projectDelete",
        json!({"id": project}),
        "",
        "project.delete",
        "Project",
        change("name", json!("P"), Value::Null),
    )
    .await;
    let made = run(
        "documentCreate",
        json!({"organizationId": acme.id, "title": "D", "text": "A secret text."}),
        "document { id } job { id }",
        "document.create",
        "KnowledgeDocument",
        change("title", Value::Null, json!("D")),
    )
    .await;
    let (document, job) = (made["document"]["id"].clone(), made["job"]["id"].clone());
    run("jobCancel", json!({"id": job}), "", "job.cancel", "Job", None).await;
    run(
        "documentUpdate",
        json!({"id": document, "title": "E"}),
        "",
        "document.update",
        "KnowledgeDocument",
        change("title", json!("D"), json!("E")),
    )
    .await;
    run(
        "documentDelete",
        json!({"id": document}),
        "",
        "document.delete",
        "KnowledgeDocument",
        change("title", json!("E"), Value::Null),
    )
    .await;
    let announced = json!({"organizationId": acme.id, "kind": "DOCUMENT", "bytes": 6});
    let kind = change("kind", Value::Null, json!("DOCUMENT"));
    run("assetUploadCreate", announced, "", "asset.create", "Asset", kind.clone()).await;
    let asset = cast::sent(&server, &acme, None).await;
    run("assetUploadComplete", json!({"id": asset}), "", "asset.complete", "Asset", kind).await;
    let import = json!({"assetId": asset, "title": "I"});
    let titled = change("title", Value::Null, json!("I"));
    run("documentImport", import, "", "document.create", "KnowledgeDocument", titled).await;
    let told = change("altText", Value::Null, json!("Words."));
    run("assetUpdate", json!({"id": asset, "altText": "Words."}), "", "asset.update", "Asset", told).await;
    let gone = change("mimeType", json!("text/plain"), Value::Null);
    run("assetDelete", json!({"id": asset}), "", "asset.delete", "Asset", gone).await;
    let ask = json!({"organizationId": acme.id, "question": "Why?", "wait": false});
    run("qaAsk", ask, "", "qa.ask", "Job", change("question", Value::Null, json!("Why?"))).await;
    let ended = cast::ended(&server, &acme).await;
    let repeats = change("repeats", Value::Null, json!(ended));
    run("jobRepeat", json!({"id": ended}), "", "agent.run", "Job", repeats).await;
    let place = json!({"organizationId": acme.id, "projectId": acme.project});
    let within = |before: Value, after: Value| change("project", before, after);
    let made = run(
        "qaConversationCreate",
        place,
        "conversation { id }",
        "conversation.create",
        "QaConversation",
        within(Value::Null, json!(acme.project)),
    )
    .await;
    let gone = within(json!(acme.project), Value::Null);
    let id = json!({"id": made["conversation"]["id"]});
    run("qaConversationDelete", id, "", "conversation.delete", "QaConversation", gone).await;
    let goals = json!({"projectId": acme.project, "goals": ["I want to sleep"], "language": "EN"});
    let agent = |agent: &str| change("agent", Value::Null, json!(agent));
    run("affirmationsGenerate", goals, "", "agent.run", "Job", agent("AFFIRMATIONS")).await;
    let text = json!({"projectId": acme.project, "text": "Sleep well", "language": "EN"});
    run("hashtagResearch", text, "", "agent.run", "Job", agent("HASHTAG_RESEARCH")).await;
    let brief =
        json!({"projectId": acme.project, "brief": "Sleep well", "channels": ["X"], "language": "EN"});
    run("postCompose", brief, "", "agent.run", "Job", agent("POST_COMPOSITION")).await;
    let plan = json!({"projectId": acme.project, "goals": ["Sleep well"], "channels": ["X"], "timezone": "UTC",
        "from": "2027-01-04T00:00:00Z", "until": "2027-01-11T00:00:00Z"});
    run("contentStrategyCreate", plan, "", "agent.run", "Job", agent("CONTENT_STRATEGY")).await;
    let strategy = json!({"strategyId": cast::planned(&server, &acme).await});
    let kind = "ContentStrategy";
    run("contentStrategyDraft", strategy, "", "agent.run", kind, agent("POST_COMPOSITION")).await;
    let slide = json!({"projectId": acme.project, "text": "Sleep well"});
    run("visualPostCreate", slide, "", "agent.run", "Job", agent("VISUAL_POST")).await;
    let (post, scene) = cast::drawn(&server, &acme).await;
    let redraw = json!({"visualPostId": post, "slides": [{"number": 1, "scene": scene}]});
    run("visualPostRedraw", redraw, "", "agent.run", "Job", agent("VISUAL_POST")).await;
    let film = json!({"projectId": acme.project, "scenes": ["Sleep well"]});
    run("videoGenerate", film, "", "agent.run", "Job", agent("VIDEO")).await;
    let template = json!({"organizationId": acme.id, "key": "mine", "name": "Mine", "steps": [{"key": "gate", "kind": "APPROVAL"}]});
    let (kind, keyed) = ("ContentWorkflowTemplate", change("key", Value::Null, json!("mine")));
    let field = "contentWorkflowTemplateCreate";
    let made = run(field, template, "template { id }", "workflow_template.create", kind, keyed).await;
    let template = made["template"]["id"].clone();
    let named = change("name", json!("Mine"), json!("Ours"));
    let rename = json!({"id": template, "name": "Ours"});
    run("contentWorkflowTemplateUpdate", rename, "", "workflow_template.update", kind, named).await;
    let gone = change("key", json!("mine"), Value::Null);
    let id = json!({"id": template});
    run("contentWorkflowTemplateDelete", id, "", "workflow_template.delete", kind, gone).await;
    let named = |before: Value, after: Value| change("name", before, after);
    let kind = "WebhookEndpoint";
    let (receiver, made) = (cast::receiver(&acme.id), named(Value::Null, json!("Receiver")));
    let made =
        run("webhookEndpointCreate", receiver, "endpoint { id }", "webhook_endpoint.create", kind, made)
            .await;
    let endpoint = made["endpoint"]["id"].clone();
    let rotated = change("secret", Value::Null, json!("[redacted]"));
    let rotate = json!({"id": endpoint, "rotateSecret": true});
    run("webhookEndpointUpdate", rotate, "", "webhook_endpoint.update", kind, rotated).await;
    let gone = named(json!("Receiver"), Value::Null);
    run("webhookEndpointDelete", json!({"id": endpoint}), "", "webhook_endpoint.delete", kind, gone).await;
    let (kind, made) = ("Schedule", named(Value::Null, json!("New Year")));
    let yearly = cast::yearly(&acme.project);
    let made = run("scheduleCreate", yearly, "schedule { id }", "schedule.create", kind, made).await;
    let schedule = made["schedule"]["id"].clone();
    let renamed = named(json!("New Year"), json!("Once a year"));
    let rename = json!({"id": schedule, "name": "Once a year"});
    run("scheduleUpdate", rename, "", "schedule.update", kind, renamed).await;
    let gone = named(json!("Once a year"), Value::Null);
    run("scheduleDelete", json!({"id": schedule}), "", "schedule.delete", kind, gone).await;
    let brief = json!({"projectId": acme.project, "brief": "I want to sleep well.", "language": "EN"});
    run("contentWorkflowRun", brief, "", "agent.run", "Job", agent("CONTENT_WORKFLOW")).await;
    let waiting = cast::workflow(&server, &acme, "AWAITING_APPROVAL").await;
    let approve = json!({"runId": waiting, "stepKey": "approval", "approve": true});
    let approved = change("approved", Value::Null, json!(true));
    run("contentWorkflowApprove", approve, "", "workflow.approve", "ContentWorkflowRun", approved).await;
    let failed = cast::workflow(&server, &acme, "FAILED").await;
    let again = json!({"runId": failed, "fromStep": "post"});
    let from = change("fromStep", Value::Null, json!("post"));
    run("contentWorkflowRerun", again, "", "agent.run", "Job", from).await;
    let post = cast::output(&server, &acme, "POST_COMPOSITION").await;
    let moved = |from: &str, to: &str| change("state", json!(from), json!(to));
    let to = |state: &str| json!({"id": post, "state": state, "scheduledAt": (state == "SCHEDULED").then_some("2999-01-01T00:00:00Z")});
    run("postUpdate", to("IN_REVIEW"), "", "post.update", "Post", moved("DRAFT", "IN_REVIEW")).await;
    run("postUpdate", to("APPROVED"), "", "post.approve", "Post", moved("IN_REVIEW", "APPROVED")).await;
    run("postUpdate", to("SCHEDULED"), "", "post.schedule", "Post", moved("APPROVED", "SCHEDULED")).await;
    let period = json!({"id": cast::period(&server, &acme).await, "color": "#010203"});
    run(
        "periodUpdate",
        period,
        "",
        "period.update",
        "Period",
        change("color", json!("#F44336"), json!("#010203")),
    )
    .await;
    let provider = json!({"organizationId": acme.id, "name": "own", "kind": "OPENAI", "model": "m",
        "baseUrl": "https://provider.invalid", "key": "sk-secret-0123456789"});
    let redacted = || change("key", Value::Null, json!("[redacted]"));
    let made =
        run("providerCreate", provider, "provider { id }", "provider.create", "Provider", redacted()).await;
    let provider = made["provider"]["id"].clone();
    let another = json!({"id": provider, "key": "sk-another-0123456789"});
    run("providerUpdate", another, "", "provider.update", "Provider", redacted()).await;
    let outcome = change("outcome", Value::Null, json!("UNREACHABLE"));
    run("providerTest", json!({"id": provider}), "", "provider.test", "Provider", outcome).await;
    let route = json!({"organizationId": acme.id, "agent": "QA", "engine": {"provider": "own"}});
    let routed = change("provider", Value::Null, json!("own"));
    run("engineRouteSet", route, "", "engine_route.set", "EngineRoute", routed).await;
    let vectors = json!({"organizationId": acme.id, "provider": "own", "model": "m"});
    let chosen = change("model", Value::Null, json!("m"));
    run("embeddingsSet", vectors, "", "embeddings.set", "Organization", chosen).await;
    let words = json!({"organizationId": acme.id, "groups": [{"terms": ["PTO", "vacation"]}]});
    let added = change("groups", json!([]), json!([["PTO", "vacation"]]));
    run("synonymsSet", words, "", "synonyms.set", "Organization", added).await;
    let gone = change("name", json!("own"), Value::Null);
    run("providerDelete", json!({"id": provider}), "", "provider.delete", "Provider", gone).await;
    let account = json!({"organizationId": acme.id, "userId": "17841400000000001", "token": "EAAB-secret"});
    let redacted = || change("token", Value::Null, json!("[redacted]"));
    let made =
        run("accountConnect", account, "account { id }", "account.connect", "Account", redacted()).await;
    let account = made["account"]["id"].clone();
    let another = json!({"id": account, "token": "EAAB-another"});
    run("accountUpdate", another, "", "account.update", "Account", redacted()).await;
    let published = json!({"projectId": acme.project, "caption": "So.", "assetIds": [cast::asset(&server, &acme, None).await]});
    let state = change("state", Value::Null, json!("VALIDATING"));
    run("instagramPublish", published, "", "publication.create", "Publication", state).await;
    let id = json!({"id": cast::output(&server, &acme, "INSTAGRAM_POSTER").await});
    run("publicationExport", id, "", "publication.export", "Publication", None).await;
    let outcome = change("outcome", Value::Null, json!("UNREACHABLE"));
    run("accountTest", json!({"id": account}), "", "account.test", "Account", outcome).await;
    let gone = change("userId", json!("17841400000000001"), Value::Null);
    run("accountDisconnect", json!({"id": account}), "", "account.disconnect", "Account", gone).await;
    let answer = cast::answer(&server, &acme, None).await;
    let rating = json!({"id": answer, "stars": 4});
    run("outputRate", rating, "", "output.rate", "QaAnswer", change("stars", Value::Null, json!(4))).await;
    run("outputDelete", json!({"id": answer}), "", "output.delete", "QaAnswer", None).await;
    run(
        "organizationDelete",
        json!({"id": acme.id, "confirmSlug": "acme"}),
        "",
        "organization.delete",
        "Organization",
        change("deleted", json!(false), json!(true)),
    )
    .await;
    run(
        "organizationRestore",
        json!({"id": acme.id}),
        "",
        "organization.restore",
        "Organization",
        change("deleted", json!(true), json!(false)),
    )
    .await;
    // Those who come in leave theirs themselves.
    let globex = cast::organization(&server, "Globex").await;
    let token = cast::link(&server, &acme.owner, &acme.id, &globex.member.email, "VIEWER", None).await;
    globex.member.at(&server).mutate("invitationDecline", json!({"token": token}), "").await;
    let entry = newest(&owner, 1).await.remove(0);
    assert_eq!((&entry["action"], &entry["actorLabel"]), (&json!("invitation.decline"), &json!("mia")));
    cast::join(&server, &acme, &globex.member, "VIEWER").await;
    assert_eq!(newest(&owner, 1).await[0]["action"], "invitation.accept");
    globex.owner.at(&server).mutate("organizationCreate", json!({"name": "Third"}), "").await;
    done.extend(
        ["invitationDecline", "invitationAccept", "organizationCreate", "userUpdate"].map(str::to_owned),
    );
    // It leaves one when Instagram has answered, which it does in `publications`.
    done.insert("publicationMeasure".to_owned());
    // A new mutation leaves an entry, or belongs to a person: say which.
    let sdl = Sdl::of_the_server();
    let all: BTreeSet<String> =
        sdl.fields("Mutation").iter().map(|field| field.name.node.to_string()).collect();
    done.extend(OF_THE_PERSON.map(str::to_owned));
    let unknown: Vec<_> = all.difference(&done).collect();
    assert!(unknown.is_empty(), "no test says what these leave in the log: {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_its_own_entry_and_nothing_else() {
    let world = World::new().await;
    let (acme, owner) = (&world.acme, world.client("owner"));
    let viewer = world.client("viewer");
    for (field, input, action, target) in [
        ("organizationUpdate", json!({"id": acme.id, "name": "Mine"}), "organization.update", None),
        ("organizationDelete", json!({"id": acme.id, "confirmSlug": "acme"}), "organization.delete", None),
        (
            "membershipUpdate",
            json!({"id": acme.owner.membership, "role": "VIEWER"}),
            "membership.update",
            Some(&acme.owner.membership),
        ),
        (
            "membershipDelete",
            json!({"id": acme.owner.membership}),
            "membership.delete",
            Some(&acme.owner.membership),
        ),
        (
            "invitationCreate",
            json!({"organizationId": acme.id, "email": "a@x.example", "role": "OWNER"}),
            "invitation.create",
            None,
        ),
        (
            "apiKeyCreate",
            json!({"organizationId": acme.id, "name": "k", "permissions": ["ORG_READ"]}),
            "api_key.create",
            None,
        ),
        ("projectUpdate", json!({"id": acme.project, "name": "Mine"}), "project.update", Some(&acme.project)),
        ("projectDelete", json!({"id": acme.project}), "project.delete", Some(&acme.project)),
        (
            "projectMemberSet",
            json!({"projectId": acme.project, "userId": acme.viewer.id, "role": "ADMIN"}),
            "project.member.set",
            Some(&acme.project),
        ),
    ] {
        let before = newest(&owner, 1).await[0]["sequence"].as_i64().unwrap();
        assert_eq!(
            viewer.refusal(&mutation(field, ""), json!({"input": input})).await,
            "FORBIDDEN",
            "{field}"
        );
        let entry = newest(&owner, 1).await.remove(0);
        assert_eq!(entry["sequence"].as_i64(), Some(before + 1), "{field}: one entry");
        assert_eq!(
            (&entry["action"], &entry["outcome"], &entry["actorRole"]),
            (&json!(action), &json!("REFUSED"), &json!("VIEWER")),
            "{field}"
        );
        assert_eq!(entry["changes"], json!([]));
        if let Some(target) = target {
            assert_eq!(entry["targetId"], target.as_str(), "{field}");
        }
    }
    // What is no id is not written down, whatever it says.
    for text in ["x".repeat(5000), "<script>".to_owned(), "prj_'; drop table audit_entries; --".to_owned()] {
        viewer.refusal(&mutation("projectUpdate", ""), json!({"input": {"id": text}})).await;
        assert_eq!(newest(&owner, 1).await[0]["targetId"], Value::Null);
    }
    // Who is not even there leaves nothing.
    let before = newest(&owner, 1).await;
    world.client("stranger").fault("organizationUpdate", json!({"id": acme.id, "name": "Mine"})).await;
    world.client("removed").fault("projectDelete", json!({"id": acme.project})).await;
    world
        .server
        .anonymous()
        .refusal(&mutation("projectDelete", ""), json!({"input": {"id": acme.project}}))
        .await;
    // And a business rule that says no is not a refusal.
    owner.fault("organizationDelete", json!({"id": acme.id, "confirmSlug": "no"})).await;
    assert_eq!(newest(&owner, 1).await, before);
    let refused =
        owner.ok("{ organization { auditLog(filter: {outcome: REFUSED}) { totalCount } } }", json!({})).await;
    assert_eq!(refused["organization"]["auditLog"]["totalCount"], 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_numbered_without_gaps_chained_and_verified() {
    let world = World::new().await;
    let (acme, owner) = (&world.acme, world.client("owner"));
    // Many at once, some of which fail.
    let create = |number: usize| {
        let owner = owner.clone();
        let slug = format!("s{}", number % 20);
        async move {
            owner
                .try_mutate(
                    "projectCreate",
                    json!({"organizationId": acme.id, "name": "N", "slug": slug}),
                    "",
                )
                .await
        }
    };
    futures_util::future::join_all((0..40).map(create)).await;
    let mut database = world.server.database.superuser().await;
    let rows = sqlx::query("select organization_id::text, min(sequence), max(sequence), count(*), count(distinct hash) from audit_entries group by 1")
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let (first, last, count, hashes): (i64, i64, i64, i64) =
            (row.get(1), row.get(2), row.get(3), row.get(4));
        assert_eq!((first, last, hashes), (1, count, count));
    }
    let chains = aicos::audit::verify(&mut database).await.unwrap();
    assert!(chains.len() == 2 && chains.iter().all(|chain| chain.problem.is_none()), "{chains:?}");
    world.server.tamper("update audit_entries set actor_label = 'Somebody else' where sequence = 5").await;
    let chains = aicos::audit::verify(&mut database).await.unwrap();
    assert!(chains.iter().all(|chain| chain.problem.is_some() && chain.sequence == 5), "{chains:?}");
}

/// Attacks: 28.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_filtered_and_read_page_by_page() {
    let world = World::new().await;
    let (acme, owner) = (&world.acme, world.client("owner"));
    for number in 0..12 {
        cast::project(&world.server, acme, &format!("P{number}")).await;
    }
    let newest_key = cast::key(&world.server, acme).await;
    let all = newest(&owner, 100).await;
    let sequences: Vec<i64> = all.iter().map(|entry| entry["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.windows(2).all(|pair| pair[0] == pair[1] + 1), "newest first: {sequences:?}");
    let filtered = async |filter: Value| {
        let query = "query($f: AuditLogFilter) { organization { auditLog(first: 100, filter: $f) { totalCount nodes { sequence action occurredAt } } } }";
        let seen = owner.ok(query, json!({"f": filter})).await["organization"]["auditLog"].clone();
        assert_eq!(seen["totalCount"], seen["nodes"].as_array().unwrap().len());
        seen["nodes"].as_array().unwrap().clone()
    };
    assert_eq!(filtered(json!({})).await.len(), all.len());
    assert_eq!(filtered(json!({"actions": ["project.create"]})).await.len(), 13);
    assert_eq!(filtered(json!({"actions": ["project.create", "api_key.create"]})).await.len(), 15);
    assert_eq!(filtered(json!({"actions": []})).await.len(), 0);
    assert_eq!(filtered(json!({"actions": ["no.such"]})).await.len(), 0);
    assert_eq!(filtered(json!({"targetId": newest_key})).await.len(), 1);
    assert_eq!(filtered(json!({"actorId": acme.viewer.id})).await.len(), 1, "their own arrival");
    assert_eq!(filtered(json!({"outcome": "REFUSED"})).await.len(), 0);
    let there = filtered(json!({"projectId": world.other})).await;
    assert!(there.len() >= 4 && there.len() < all.len());
    let middle = all[all.len() / 2]["occurredAt"].clone();
    let (until, since) = (filtered(json!({"until": middle})).await, filtered(json!({"since": middle})).await);
    assert_eq!(until.len() + since.len(), all.len());
    assert!(until.iter().all(|entry| entry["occurredAt"].as_str() < middle.as_str()));
    for (arguments, filter) in [
        ("", json!(null)),
        ("", json!({"actions": ["project.create"]})),
        ("", json!({"actorId": acme.owner.id})),
    ] {
        let expected: Vec<Value> =
            filtered(filter.clone()).await.iter().map(|entry| entry["sequence"].clone()).collect();
        let mut read = Vec::new();
        let mut after = Value::Null;
        loop {
            let query = format!(
                "query($f: AuditLogFilter, $after: String) {{ organization {{ auditLog(first: 5, after: $after, filter: $f{arguments}) {{ nodes {{ sequence }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
            );
            let page =
                owner.ok(&query, json!({"f": filter, "after": after})).await["organization"]["auditLog"]
                    .clone();
            read.extend(page["nodes"].as_array().unwrap().iter().map(|entry| entry["sequence"].clone()));
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(read, expected, "{filter}");
        let query = "query($f: AuditLogFilter) { organization { auditLog(last: 3, filter: $f) { nodes { sequence } } } }";
        let page = owner.ok(query, json!({"f": filter})).await["organization"]["auditLog"]["nodes"].clone();
        let tail: Vec<Value> =
            page.as_array().unwrap().iter().map(|entry| entry["sequence"].clone()).collect();
        assert_eq!(tail, expected[expected.len() - 3..]);
    }
    // A project's own log is the same one, narrowed.
    let activity = owner
        .ok(
            "query($id: ID!) { project(id: $id) { activity(first: 100) { totalCount nodes { sequence } } } }",
            json!({"id": world.other}),
        )
        .await;
    assert_eq!(activity["project"]["activity"]["totalCount"], there.len());
    for (filter, field) in [
        (json!({"actions": vec!["a"; 101]}), None),
        (json!({"actions": ["'; --"]}), Some(json!(["filter", "actions"]))),
        (json!({"since": "yesterday"}), None),
    ] {
        let query = "query($f: AuditLogFilter) { organization { auditLog(filter: $f) { totalCount } } }";
        let answer = owner.send(query, json!({"f": filter})).await;
        assert_eq!(answer.code(), Some("BAD_USER_INPUT"), "{filter}");
        if let Some(field) = field {
            assert_eq!(answer.body["errors"][0]["extensions"]["field"], field);
        }
    }
}

/// Attacks: 87.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_kept_in_the_clear_or_shown_twice() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut secrets = vec![PASSWORD.to_owned(), "quite another phrase".to_owned()];
    for person in acme.people().map(|(_, person)| person) {
        secrets.extend([person.token.clone(), person.refresh.clone()]);
    }
    let made = owner
        .mutate(
            "apiKeyCreate",
            json!({"organizationId": acme.id, "name": "k", "permissions": ["ORG_READ"]}),
            "apiKey { id } secret",
        )
        .await;
    secrets.push(text(&made["secret"]));
    let rotated = owner.mutate("apiKeyRotate", json!({"id": made["apiKey"]["id"]}), "secret").await;
    secrets.push(text(&rotated["secret"]));
    server.key(secrets.last().unwrap()).ok("{ organization { name } }", json!({})).await;
    let made = owner
        .mutate(
            "invitationCreate",
            json!({"organizationId": acme.id, "email": "a@x.example", "role": "VIEWER"}),
            "invitation { id } acceptUrl",
        )
        .await;
    secrets.push(cast::token_of(&text(&made["acceptUrl"])));
    let resent = owner.mutate("invitationResend", json!({"id": made["invitation"]["id"]}), "acceptUrl").await;
    secrets.push(cast::token_of(&text(&resent["acceptUrl"])));
    secrets.push(cast::token_of(
        server.app.identity.reset_link(&acme.member.email).await.unwrap().expose_secret(),
    ));
    let refreshed = server
        .anonymous()
        .mutate("tokenRefresh", json!({"refreshToken": acme.viewer.refresh}), "accessToken refreshToken")
        .await;
    secrets.extend([text(&refreshed["accessToken"]), text(&refreshed["refreshToken"])]);
    acme.admin
        .at(&server)
        .mutate(
            "passwordChange",
            json!({"currentPassword": PASSWORD, "newPassword": "quite another phrase"}),
            "",
        )
        .await;
    server
        .anonymous()
        .fault("login", json!({"email": acme.owner.email, "password": "quite another phrase!"}))
        .await;
    server.app.identity.flush_used().await.unwrap();
    // Every column of every table as text, and bytes also as the text that they may be.
    let mut database = server.database.superuser().await;
    let columns = sqlx::query(
        "select quote_ident(c.table_schema) || '.' || quote_ident(c.table_name), quote_ident(c.column_name),
            c.data_type::text
         from information_schema.columns c
         join information_schema.tables t using (table_schema, table_name)
         where c.table_schema not in ('pg_catalog', 'information_schema') and t.table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut scanned = 0;
    for column in &columns {
        let (table, name, kind): (String, String, String) = (column.get(0), column.get(1), column.get(2));
        let read =
            if kind == "bytea" { format!("encode({name}, 'escape')") } else { format!("{name}::text") };
        let values: Vec<Option<String>> =
            sqlx::query_scalar(AssertSqlSafe(format!("select {read} from {table}")))
                .fetch_all(&mut database)
                .await
                .unwrap();
        for value in values.iter().flatten() {
            scanned += 1;
            for secret in &secrets {
                assert!(!value.contains(secret.as_str()), "{table}.{name} holds {secret}");
                // Nor what makes it up: the part behind the prefix.
                let body = secret.rsplit('_').next().unwrap();
                assert!(body.len() < 16 || !value.contains(body), "{table}.{name} holds a part of {secret}");
            }
        }
    }
    assert!(scanned > 300, "{scanned} values");
    // Nor does any answer show one again.
    let everything = "{ organization { auditLog(first: 100) { nodes { actorLabel targetId changes { field before after } userAgent requestId } } apiKeys { nodes { name hint } } invitations { nodes { email } } } viewer { sessions { userAgent } securityEvents(first: 50) { nodes { kind userAgent } } } }";
    let seen = owner.ok(everything, json!({})).await.to_string();
    for secret in &secrets {
        assert!(!seen.contains(secret.as_str()), "an answer holds {secret}");
    }
    assert!(seen.contains("[redacted]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_says_who_it_was_even_when_they_have_left() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    acme.admin.at(&server).mutate("userUpdate", json!({"name": "Adam Then"}), "").await;
    acme.admin.at(&server).mutate("projectCreate", json!({"organizationId": acme.id, "name": "P"}), "").await;
    acme.admin.at(&server).mutate("userUpdate", json!({"name": "Adam Now"}), "").await;
    let entry = newest(&owner, 1).await.remove(0);
    assert_eq!((&entry["actorLabel"], &entry["actor"]["__typename"]), (&json!("Adam Then"), &json!("User")));
    owner.mutate("membershipDelete", json!({"id": acme.admin.membership}), "").await;
    let entry = newest(&owner, 2).await.remove(1);
    assert_eq!(
        (&entry["actorLabel"], &entry["actor"], &entry["actorRole"]),
        (&json!("Adam Then"), &Value::Null, &json!("ADMIN"))
    );
    // Nobody changes or removes an entry: the schema has no such mutation.
    let sdl = Sdl::of_the_server();
    assert!(sdl.fields("Mutation").iter().all(|field| !field.name.node.to_lowercase().contains("audit")));
}
