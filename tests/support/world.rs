//! Two organizations, everybody who might try something, and how each place that takes an id is called.

use aicos::id::{
    AccountId, AffirmationSetId, AnswerId, ApiKeyId, AssetId, AuditEntryId, ConversationId, DocumentId,
    HashtagSetId, InvitationId, JobId, MembershipId, OrganizationId, OrganizationUsageId, PeriodId, PostId,
    ProjectId, ProjectMemberId, ProviderId, PublicationId, ScheduleId, SecurityEventId, SessionId,
    StrategyId, UserId, VideoId, VisualPostId, WebhookEndpointId, WorkflowRunId, WorkflowTemplateId,
};
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::cast::{self, Organization, PASSWORD, Person};
use super::{Answer, Client, Server, mutation};

/// Who calls. All but the last three belong, or belonged, to the organization whose ids are used.
///
/// `raised` is a VIEWER who is an ADMIN in another project, `guest` is an ADMIN of that project only, `key` is bound to another project with every permission that a project
/// allows, `removed` was a member, `stranger` owns another organization, and `home` is the stranger who names that
/// organization in `X-Organization`.
pub const CALLERS: [&str; 11] =
    ["owner", "admin", "member", "viewer", "raised", "guest", "removed", "key", "stranger", "home", "nobody"];

/// One call with the id under test in its variables.
pub struct Case {
    /// The document.
    pub document: String,
    /// Its variables.
    pub variables: Value,
    /// Where the id is in the variables.
    pub id: &'static str,
    /// Where the answer is in the data of a query; none for a mutation.
    pub answer: Option<&'static str>,
}

impl Case {
    pub fn query(document: &str, variables: Value, id: &'static str, answer: &'static str) -> Self {
        Self { document: document.to_owned(), variables, id, answer: Some(answer) }
    }

    pub fn mutation(field: &str, input: Value, id: &'static str) -> Self {
        let variables = Value::Object([("input".to_owned(), input)].into_iter().collect());
        let selection = if field == "login" || field == "organizationSwitch" { "accessToken" } else { "" };
        Self { document: mutation(field, selection), variables, id, answer: None }
    }

    pub fn id(&self) -> &str {
        self.variables.pointer(self.id).and_then(Value::as_str).unwrap()
    }

    pub fn with_id(&self, id: &str) -> Value {
        let mut variables = self.variables.clone();
        *variables.pointer_mut(self.id).unwrap() = id.into();
        variables
    }

    pub fn outcome(&self, answer: &Answer) -> String {
        if let Some(code) = answer.code() {
            return format!("!{code}");
        }
        let data = &answer.body["data"];
        let Some(pointer) = self.answer else {
            let payload = data.as_object().unwrap().values().next().unwrap();
            return payload["userErrors"][0]["code"].as_str().unwrap_or("ok").to_owned();
        };
        match data.pointer(pointer) {
            None | Some(Value::Null) => "null".to_owned(),
            Some(Value::Number(number)) if number.as_i64() == Some(0) => "none".to_owned(),
            Some(_) => "ok".to_owned(),
        }
    }
}

/// A well-formed id of the same kind that belongs to nothing.
pub fn nothing_like(id: &str) -> String {
    let nothing = match id.split('_').next().unwrap() {
        "usr" => UserId::generate().to_string(),
        "ses" => SessionId::generate().to_string(),
        "org" => OrganizationId::generate().to_string(),
        "mem" => MembershipId::generate().to_string(),
        "inv" => InvitationId::generate().to_string(),
        "prj" => ProjectId::generate().to_string(),
        "key" => ApiKeyId::generate().to_string(),
        "aud" => AuditEntryId::generate().to_string(),
        "sec" => SecurityEventId::generate().to_string(),
        "job" => JobId::generate().to_string(),
        "doc" => DocumentId::generate().to_string(),
        "qna" => AnswerId::generate().to_string(),
        "cnv" => ConversationId::generate().to_string(),
        "ast" => AssetId::generate().to_string(),
        "prd" => PeriodId::generate().to_string(),
        "eng" => ProviderId::generate().to_string(),
        "afs" => AffirmationSetId::generate().to_string(),
        "hts" => HashtagSetId::generate().to_string(),
        "pst" => PostId::generate().to_string(),
        "stg" => StrategyId::generate().to_string(),
        "pub" => PublicationId::generate().to_string(),
        "acc" => AccountId::generate().to_string(),
        "vip" => VisualPostId::generate().to_string(),
        "vid" => VideoId::generate().to_string(),
        "wfr" => WorkflowRunId::generate().to_string(),
        "whk" => WebhookEndpointId::generate().to_string(),
        "sch" => ScheduleId::generate().to_string(),
        "wft" => WorkflowTemplateId::generate().to_string(),
        "pmb" => {
            let (project, user) = (ProjectId::generate(), UserId::generate());
            ProjectMemberId { project, user }.to_string()
        }
        "usg" => {
            let known: OrganizationUsageId = id.parse().unwrap();
            OrganizationUsageId { organization: OrganizationId::generate(), ..known }.to_string()
        }
        other => panic!("`{other}` is a new kind of id: say here how one that belongs to nothing is made"),
    };
    assert_ne!(nothing, id);
    nothing
}

/// The steps of a workflow that tells an organization's endpoint.
async fn telling(server: &Server, organization: &Organization) -> Value {
    json!([{"key": "tell", "kind": "WEBHOOK", "endpointId": cast::endpoint(server, organization).await}])
}

/// Two organizations, and everybody who might try something.
pub struct World {
    pub server: Server,
    pub acme: Organization,
    pub globex: Organization,
    /// Another project of the first organization.
    pub other: String,
    pub raised: Person,
    pub guest: Person,
    pub removed: Person,
    pub key: String,
}

/// Every permission that a key of one project can carry and its creator holds.
pub const IN_PROJECT: [&str; 15] = [
    "ORG_READ",
    "MEMBER_MANAGE",
    "API_KEY_MANAGE",
    "AUDIT_READ",
    "PROJECT_READ",
    "PROJECT_UPDATE",
    "PROJECT_DELETE",
    "AGENT_USE",
    "AGENT_CONFIGURE",
    "CONTENT_CREATE",
    "CONTENT_READ",
    "CONTENT_UPDATE",
    "CONTENT_DELETE",
    "CONTENT_APPROVE",
    "CONTENT_PUBLISH",
];

impl World {
    /// Everybody, signed in.
    pub async fn new() -> Self {
        Box::pin(Self::make()).await
    }

    async fn make() -> Self {
        let server = Server::start().await;
        let acme = cast::organization(&server, "Acme").await;
        let globex = cast::organization(&server, "Globex").await;
        let other = cast::project(&server, &acme, "Other").await;
        let guest =
            cast::invite(&server, &acme.owner.token, &acme.id, "greta@acme.example", "ADMIN", Some(&other))
                .await;
        let removed = cast::member(&server, &acme, "ADMIN").await;
        acme.owner.at(&server).mutate("membershipDelete", json!({"id": removed.membership}), "").await;
        let input =
            json!({"organizationId": acme.id, "projectId": other, "name": "k", "permissions": IN_PROJECT});
        let made = acme.owner.at(&server).mutate("apiKeyCreate", input, "secret").await;
        let key = made["secret"].as_str().unwrap().to_owned();
        let raised = cast::member(&server, &acme, "VIEWER").await;
        let input = json!({"projectId": other, "userId": raised.id, "role": "ADMIN"});
        acme.owner.at(&server).mutate("projectMemberSet", input, "").await;
        Self { server, acme, globex, other, raised, guest, removed, key }
    }

    pub fn person(&self, caller: &str) -> Option<&Person> {
        Some(match caller {
            "owner" => &self.acme.owner,
            "admin" => &self.acme.admin,
            "member" => &self.acme.member,
            "viewer" => &self.acme.viewer,
            "raised" => &self.raised,
            "guest" => &self.guest,
            "removed" => &self.removed,
            "stranger" | "home" => &self.globex.owner,
            _ => return None,
        })
    }

    pub fn client(&self, caller: &str) -> Client<'_> {
        match (caller, self.person(caller)) {
            ("home", Some(person)) => person.at(&self.server).header("x-organization", &self.globex.id),
            (_, Some(person)) => person.at(&self.server),
            ("key", None) => self.server.key(&self.key),
            _ => self.server.anonymous(),
        }
    }

    /// The caller's own organization, for the ids that are not under test.
    pub fn own(&self, caller: &str) -> &Organization {
        if matches!(caller, "stranger" | "home") { &self.globex } else { &self.acme }
    }

    /// A project that the caller reaches, for the ids that are not under test.
    pub fn own_project(&self, caller: &str) -> &str {
        if matches!(caller, "raised" | "guest" | "key") { &self.other } else { &self.own(caller).project }
    }

    pub fn owner(&self) -> Client<'_> {
        self.acme.owner.at(&self.server)
    }

    /// How a place is called with one of Acme's ids; none for a place that nobody has thought of.
    pub async fn case(&self, place: &str, caller: &str) -> Option<Case> {
        let server = &self.server;
        let acme = &self.acme;
        let project = || cast::project(server, acme, "Fresh");
        let own = &self.own(caller).id;
        Some(match place {
            "Query.node(id)" => Case::query(
                "query($id: ID!) { node(id: $id) { __typename } }",
                json!({"id": project().await}),
                "/id",
                "/node",
            ),
            "Query.nodes(ids)" => Case::query(
                "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }",
                json!({"ids": [project().await]}),
                "/ids/0",
                "/nodes/0",
            ),
            "Query.organization(id)" => Case::query(
                "query($id: ID!) { organization(id: $id) { name } }",
                json!({"id": acme.id}),
                "/id",
                "/organization",
            ),
            "Query.project(id)" => Case::query(
                "query($id: ID!) { project(id: $id) { name } }",
                json!({"id": project().await}),
                "/id",
                "/project",
            ),
            "Subscription.organizationActivity(organizationId)" => Case::query(
                "subscription($id: ID!) { organizationActivity(organizationId: $id, after: 0) { sequence } }",
                json!({"id": acme.id}),
                "/id",
                "/organizationActivity",
            ),
            "Query.job(id)" => Case::query(
                "query($id: ID!) { job(id: $id) { status } }",
                json!({"id": cast::document(server, acme, None).await.1}),
                "/id",
                "/job",
            ),
            "Subscription.jobUpdated(id)" => Case::query(
                "subscription($id: ID!) { jobUpdated(id: $id) { status } }",
                json!({"id": cast::document(server, acme, None).await.1}),
                "/id",
                "/jobUpdated",
            ),
            "Organization.documents(projectId)" => {
                let project = project().await;
                cast::document(server, acme, Some(&project)).await;
                Case::query(
                    "query($id: ID!) { organization { documents(projectId: $id) { totalCount } } }",
                    json!({"id": project}),
                    "/id",
                    "/organization/documents/totalCount",
                )
            }
            "Organization.assets(projectId)" => {
                let project = project().await;
                cast::asset(server, acme, Some(&project)).await;
                Case::query(
                    "query($id: ID!) { organization { assets(projectId: $id) { totalCount } } }",
                    json!({"id": project}),
                    "/id",
                    "/organization/assets/totalCount",
                )
            }
            "Mutation.assetUploadCreate(input.organizationId)" => Case::mutation(
                "assetUploadCreate",
                json!({"organizationId": acme.id, "kind": "DOCUMENT", "bytes": 1}),
                "/input/organizationId",
            ),
            "Mutation.assetUploadCreate(input.projectId)" => Case::mutation(
                "assetUploadCreate",
                json!({"organizationId": own, "projectId": project().await, "kind": "DOCUMENT", "bytes": 1}),
                "/input/projectId",
            ),
            "Mutation.assetUploadComplete(input.id)" => Case::mutation(
                "assetUploadComplete",
                json!({"id": cast::sent(server, acme, None).await}),
                "/input/id",
            ),
            "Mutation.assetUpdate(input.id)" => Case::mutation(
                "assetUpdate",
                json!({"id": cast::asset(server, acme, None).await, "altText": format!("by {caller}")}),
                "/input/id",
            ),
            "Mutation.assetDelete(input.id)" => Case::mutation(
                "assetDelete",
                json!({"id": cast::asset(server, acme, None).await}),
                "/input/id",
            ),
            "Mutation.documentCreate(input.organizationId)" => Case::mutation(
                "documentCreate",
                json!({"organizationId": acme.id, "title": "t", "text": cast::address()}),
                "/input/organizationId",
            ),
            "Mutation.documentCreate(input.projectId)" => Case::mutation(
                "documentCreate",
                json!({"organizationId": own, "projectId": project().await, "title": "t", "text": cast::address()}),
                "/input/projectId",
            ),
            "Mutation.documentUpdate(input.id)" => Case::mutation(
                "documentUpdate",
                json!({"id": cast::document(server, acme, None).await.0, "title": format!("by {caller}")}),
                "/input/id",
            ),
            "Mutation.documentUpdate(input.assetId)" => {
                let place = self.own_project(caller);
                let document = cast::document(server, self.own(caller), Some(place)).await.0;
                Case::mutation(
                    "documentUpdate",
                    json!({"id": document, "assetId": cast::writing(server, acme).await}),
                    "/input/assetId",
                )
            }
            "Mutation.documentImport(input.assetId)" => Case::mutation(
                "documentImport",
                json!({"assetId": cast::writing(server, acme).await, "title": "t"}),
                "/input/assetId",
            ),
            "Mutation.documentDelete(input.id)" => Case::mutation(
                "documentDelete",
                json!({"id": cast::document(server, acme, None).await.0}),
                "/input/id",
            ),
            "Mutation.qaAsk(input.organizationId)" => Case::mutation(
                "qaAsk",
                json!({"organizationId": acme.id, "question": "Why?", "wait": false}),
                "/input/organizationId",
            ),
            "Mutation.qaAsk(input.projectId)" => Case::mutation(
                "qaAsk",
                json!({"organizationId": own, "projectId": project().await, "question": "Why?", "wait": false}),
                "/input/projectId",
            ),
            "Mutation.qaAsk(input.documentIds)" => {
                let document = cast::document(server, acme, None).await.0;
                Case::mutation(
                    "qaAsk",
                    json!({"organizationId": own, "projectId": self.own_project(caller), "question": "Why?",
                        "documentIds": [document], "wait": false}),
                    "/input/documentIds/0",
                )
            }
            "Mutation.qaAsk(input.conversationId)" => {
                let place = self.own_project(caller);
                let owner = if matches!(caller, "raised") { place } else { &acme.project };
                let project = if matches!(caller, "stranger" | "home") { place } else { owner };
                let conversation = cast::conversation(server, acme, Some(owner)).await;
                Case::mutation(
                    "qaAsk",
                    json!({"organizationId": own, "projectId": project, "question": "Why?",
                        "conversationId": conversation, "wait": false}),
                    "/input/conversationId",
                )
            }
            "Organization.qaConversations(projectId)" => {
                let project = project().await;
                cast::conversation(server, acme, Some(&project)).await;
                Case::query(
                    "query($id: ID!) { organization { qaConversations(projectId: $id) { totalCount } } }",
                    json!({"id": project}),
                    "/id",
                    "/organization/qaConversations/totalCount",
                )
            }
            "Mutation.qaConversationCreate(input.organizationId)" => Case::mutation(
                "qaConversationCreate",
                json!({"organizationId": acme.id}),
                "/input/organizationId",
            ),
            "Mutation.qaConversationCreate(input.projectId)" => Case::mutation(
                "qaConversationCreate",
                json!({"organizationId": own, "projectId": project().await}),
                "/input/projectId",
            ),
            "Mutation.qaConversationDelete(input.id)" => Case::mutation(
                "qaConversationDelete",
                json!({"id": cast::conversation(server, acme, None).await}),
                "/input/id",
            ),
            "Query.periods(organizationId)" => Case::query(
                "query($id: ID) { periods(organizationId: $id) { key } }",
                json!({"id": acme.id}),
                "/id",
                "/periods",
            ),
            "Mutation.periodUpdate(input.id)" => Case::mutation(
                "periodUpdate",
                json!({"id": cast::period(server, acme).await, "color": "#123456"}),
                "/input/id",
            ),
            "Mutation.providerCreate(input.organizationId)" => {
                cast::forget_providers(server).await;
                Case::mutation(
                    "providerCreate",
                    json!({"organizationId": acme.id, "name": "swept", "kind": "OPENAI"}),
                    "/input/organizationId",
                )
            }
            "Mutation.providerUpdate(input.id)" => Case::mutation(
                "providerUpdate",
                json!({"id": cast::provider(server, acme).await, "model": format!("by-{caller}")}),
                "/input/id",
            ),
            "Mutation.providerDelete(input.id)" => Case::mutation(
                "providerDelete",
                json!({"id": cast::provider(server, acme).await}),
                "/input/id",
            ),
            "Mutation.providerTest(input.id)" => {
                Case::mutation("providerTest", json!({"id": cast::provider(server, acme).await}), "/input/id")
            }
            "Mutation.accountConnect(input.organizationId)" => Case::mutation(
                "accountConnect",
                json!({"organizationId": acme.id, "userId": cast::instagram_user(), "token": "EAAB"}),
                "/input/organizationId",
            ),
            "Mutation.accountConnect(input.projectId)" => Case::mutation(
                "accountConnect",
                json!({"organizationId": own, "projectId": project().await, "userId": cast::instagram_user(),
                    "token": "EAAB"}),
                "/input/projectId",
            ),
            "Mutation.accountUpdate(input.id)" => Case::mutation(
                "accountUpdate",
                json!({"id": cast::account(server, acme).await, "token": format!("EAAB-by-{caller}")}),
                "/input/id",
            ),
            "Mutation.accountDisconnect(input.id)" => Case::mutation(
                "accountDisconnect",
                json!({"id": cast::account(server, acme).await}),
                "/input/id",
            ),
            "Mutation.accountTest(input.id)" => {
                Case::mutation("accountTest", json!({"id": cast::account(server, acme).await}), "/input/id")
            }
            "Mutation.instagramPublish(input.projectId)" => {
                cast::forget_accounts(server).await;
                let project = project().await;
                let asset = cast::asset(server, acme, None).await;
                Case::mutation(
                    "instagramPublish",
                    json!({"projectId": project, "caption": format!("By {caller}"), "assetIds": [asset]}),
                    "/input/projectId",
                )
            }
            "Mutation.instagramPublish(input.assetIds)" => {
                cast::forget_accounts(server).await;
                let asset = cast::asset(server, acme, None).await;
                Case::mutation(
                    "instagramPublish",
                    json!({"projectId": self.own_project(caller), "caption": format!("By {caller}"), "assetIds": [asset]}),
                    "/input/assetIds/0",
                )
            }
            "Mutation.instagramPublish(input.coverAssetId)" => {
                cast::forget_accounts(server).await;
                let (owner, place) = (self.own(caller), self.own_project(caller));
                let asset = cast::asset(server, owner, Some(place)).await;
                Case::mutation(
                    "instagramPublish",
                    json!({"projectId": place, "caption": format!("Covered by {caller}"), "assetIds": [asset],
                        "kind": "REEL", "coverAssetId": cast::asset(server, acme, None).await}),
                    "/input/coverAssetId",
                )
            }
            "Mutation.instagramPublish(input.accountId)" => {
                let (owner, place) = (self.own(caller), self.own_project(caller));
                let asset = cast::asset(server, owner, Some(place)).await;
                Case::mutation(
                    "instagramPublish",
                    json!({"projectId": place, "caption": format!("By {caller}"), "assetIds": [asset],
                        "accountId": cast::account(server, acme).await}),
                    "/input/accountId",
                )
            }
            "Mutation.instagramPublish(input.postId)" => {
                cast::forget_accounts(server).await;
                let (owner, place) = (self.own(caller), self.own_project(caller));
                let asset = cast::asset(server, owner, Some(place)).await;
                Case::mutation(
                    "instagramPublish",
                    json!({"projectId": place, "caption": "So.", "assetIds": [asset], "allowDuplicate": true,
                        "postId": cast::approved_post(server, acme).await}),
                    "/input/postId",
                )
            }
            "Mutation.engineRouteSet(input.organizationId)" => Case::mutation(
                "engineRouteSet",
                json!({"organizationId": acme.id, "agent": "QA",
                    "engine": {"provider": "builtin", "model": format!("by-{caller}")}}),
                "/input/organizationId",
            ),
            "Mutation.engineRouteSet(input.projectId)" => Case::mutation(
                "engineRouteSet",
                json!({"organizationId": own, "projectId": project().await, "agent": "QA",
                    "engine": {"provider": "builtin"}}),
                "/input/projectId",
            ),
            "Mutation.embeddingsSet(input.organizationId)" => {
                Case::mutation("embeddingsSet", json!({"organizationId": acme.id}), "/input/organizationId")
            }
            "Mutation.synonymsSet(input.organizationId)" => {
                let groups = json!([{"terms": ["PTO", format!("leave of {caller}")]}]);
                let input = json!({"organizationId": acme.id, "groups": groups});
                Case::mutation("synonymsSet", input, "/input/organizationId")
            }
            "Mutation.affirmationsGenerate(input.projectId)" => Case::mutation(
                "affirmationsGenerate",
                json!({"projectId": project().await, "goals": ["Ich möchte ruhiger schlafen"]}),
                "/input/projectId",
            ),
            "Mutation.affirmationsGenerate(input.periodId)" => Case::mutation(
                "affirmationsGenerate",
                json!({"projectId": self.own_project(caller), "goals": ["Ich möchte ruhiger schlafen"],
                    "periodId": cast::period(server, acme).await}),
                "/input/periodId",
            ),
            "Mutation.hashtagResearch(input.projectId)" => Case::mutation(
                "hashtagResearch",
                json!({"projectId": project().await, "text": "Yoga am Morgen"}),
                "/input/projectId",
            ),
            "Mutation.hashtagResearch(input.periodId)" => Case::mutation(
                "hashtagResearch",
                json!({"projectId": self.own_project(caller), "text": "Yoga am Morgen",
                    "periodId": cast::period(server, acme).await}),
                "/input/periodId",
            ),
            "Mutation.hashtagResearch(input.accountId)" => Case::mutation(
                "hashtagResearch",
                json!({"projectId": self.own_project(caller), "text": "Yoga am Morgen",
                    "accountId": cast::account(server, acme).await}),
                "/input/accountId",
            ),
            "Mutation.contentStrategyCreate(input.projectId)" => Case::mutation(
                "contentStrategyCreate",
                json!({"projectId": project().await, "goals": ["Sleep well"], "channels": ["X"], "timezone": "UTC",
                    "from": "2027-01-04T00:00:00Z", "until": "2027-01-11T00:00:00Z"}),
                "/input/projectId",
            ),
            "Mutation.contentStrategyCreate(input.accountId)" => Case::mutation(
                "contentStrategyCreate",
                json!({"projectId": self.own_project(caller), "goals": ["Sleep well"], "channels": ["X"], "timezone": "UTC",
                    "from": "2027-01-04T00:00:00Z", "until": "2027-01-11T00:00:00Z",
                    "accountId": cast::account(server, acme).await}),
                "/input/accountId",
            ),
            "Mutation.contentStrategyCreate(input.holidaysAssetId)" => Case::mutation(
                "contentStrategyCreate",
                json!({"projectId": self.own_project(caller), "goals": ["Sleep well"], "channels": ["X"], "timezone": "UTC",
                    "from": "2027-01-04T00:00:00Z", "until": "2027-01-11T00:00:00Z",
                    "holidaysAssetId": cast::asset(server, acme, None).await}),
                "/input/holidaysAssetId",
            ),
            "Mutation.contentStrategyCreate(input.pastPostsAssetId)" => Case::mutation(
                "contentStrategyCreate",
                json!({"projectId": self.own_project(caller), "goals": ["Sleep well"], "channels": ["X"], "timezone": "UTC",
                    "from": "2027-01-04T00:00:00Z", "until": "2027-01-11T00:00:00Z",
                    "pastPostsAssetId": cast::asset(server, acme, None).await}),
                "/input/pastPostsAssetId",
            ),
            "Mutation.contentStrategyDraft(input.strategyId)" => Case::mutation(
                "contentStrategyDraft",
                json!({"strategyId": cast::planned(server, acme).await}),
                "/input/strategyId",
            ),
            "Mutation.visualPostRedraw(input.visualPostId)" => {
                let (post, scene) = cast::drawn(server, acme).await;
                Case::mutation(
                    "visualPostRedraw",
                    json!({"visualPostId": post, "slides": [{"number": 1, "scene": scene}]}),
                    "/input/visualPostId",
                )
            }
            "Mutation.visualPostCreate(input.projectId)" => Case::mutation(
                "visualPostCreate",
                json!({"projectId": project().await, "text": "Atme."}),
                "/input/projectId",
            ),
            "Mutation.visualPostCreate(input.periodId)" => Case::mutation(
                "visualPostCreate",
                json!({"projectId": self.own_project(caller), "text": "Atme.",
                    "periodId": cast::period(server, acme).await}),
                "/input/periodId",
            ),
            "Mutation.visualPostCreate(input.backgroundAssetId)" => Case::mutation(
                "visualPostCreate",
                json!({"projectId": self.own_project(caller), "text": "Atme.",
                    "backgroundAssetId": cast::asset(server, acme, None).await}),
                "/input/backgroundAssetId",
            ),
            "Mutation.visualPostCreate(input.logoAssetId)" => Case::mutation(
                "visualPostCreate",
                json!({"projectId": self.own_project(caller), "text": "Atme.",
                    "logoAssetId": cast::asset(server, acme, None).await}),
                "/input/logoAssetId",
            ),
            "Mutation.videoGenerate(input.projectId)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": project().await, "scenes": ["Atme."]}),
                "/input/projectId",
            ),
            "Mutation.videoGenerate(input.periodId)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": self.own_project(caller), "scenes": ["Atme."],
                    "periodId": cast::period(server, acme).await}),
                "/input/periodId",
            ),
            "Mutation.videoGenerate(input.assetIds)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": self.own_project(caller), "assetIds": [cast::asset(server, acme, None).await]}),
                "/input/assetIds/0",
            ),
            "Mutation.videoGenerate(input.clipAssetIds)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": self.own_project(caller), "clipAssetIds": [cast::asset(server, acme, None).await]}),
                "/input/clipAssetIds/0",
            ),
            "Mutation.videoGenerate(input.musicAssetId)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": self.own_project(caller), "scenes": ["Atme."],
                    "musicAssetId": cast::asset(server, acme, None).await}),
                "/input/musicAssetId",
            ),
            "Mutation.videoGenerate(input.voiceOverAssetId)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": self.own_project(caller), "scenes": ["Atme."],
                    "voiceOverAssetId": cast::asset(server, acme, None).await}),
                "/input/voiceOverAssetId",
            ),
            "Mutation.videoGenerate(input.postId)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": self.own_project(caller), "postId": cast::output(server, acme, "POST_COMPOSITION").await}),
                "/input/postId",
            ),
            "Mutation.videoGenerate(input.visualPostId)" => Case::mutation(
                "videoGenerate",
                json!({"projectId": self.own_project(caller), "visualPostId": cast::output(server, acme, "VISUAL_POST").await}),
                "/input/visualPostId",
            ),
            "Mutation.postCompose(input.projectId)" => Case::mutation(
                "postCompose",
                json!({"projectId": project().await, "brief": "Yoga", "channels": ["X"]}),
                "/input/projectId",
            ),
            "Mutation.postCompose(input.sourceDocumentIds)" => {
                let document = cast::document(server, acme, None).await.0;
                Case::mutation(
                    "postCompose",
                    json!({"projectId": self.own_project(caller), "brief": "Yoga", "channels": ["X"],
                        "sourceDocumentIds": [document]}),
                    "/input/sourceDocumentIds/0",
                )
            }
            "Mutation.postCompose(input.assetIds)" => {
                let asset = cast::asset(server, acme, None).await;
                Case::mutation(
                    "postCompose",
                    json!({"projectId": self.own_project(caller), "brief": "Yoga", "channels": ["X"],
                        "assetIds": [asset]}),
                    "/input/assetIds/0",
                )
            }
            "Mutation.postCompose(input.sourceAnswerId)" => {
                let answer = cast::answer(server, acme, Some(&acme.project)).await;
                Case::mutation(
                    "postCompose",
                    json!({"projectId": self.own_project(caller), "brief": "Yoga", "channels": ["X"],
                        "sourceAnswerId": answer}),
                    "/input/sourceAnswerId",
                )
            }
            "Mutation.postUpdate(input.id)" => Case::mutation(
                "postUpdate",
                json!({"id": cast::output(server, acme, "POST_COMPOSITION").await, "state": "DRAFT"}),
                "/input/id",
            ),
            "Mutation.contentWorkflowRun(input.projectId)" => Case::mutation(
                "contentWorkflowRun",
                json!({"projectId": project().await, "brief": "Ich möchte ruhiger schlafen."}),
                "/input/projectId",
            ),
            "Mutation.contentWorkflowRun(input.periodId)" => Case::mutation(
                "contentWorkflowRun",
                json!({"projectId": self.own_project(caller), "brief": "Ich möchte ruhiger schlafen.",
                    "periodId": cast::period(server, acme).await}),
                "/input/periodId",
            ),
            "Mutation.contentWorkflowApprove(input.runId)" => Case::mutation(
                "contentWorkflowApprove",
                json!({"runId": cast::workflow(server, acme, "AWAITING_APPROVAL").await, "stepKey": "approval",
                    "approve": true}),
                "/input/runId",
            ),
            "Mutation.contentWorkflowRerun(input.runId)" => Case::mutation(
                "contentWorkflowRerun",
                json!({"runId": cast::workflow(server, acme, "FAILED").await, "fromStep": "post"}),
                "/input/runId",
            ),
            "Mutation.contentWorkflowTemplateCreate(input.organizationId)" => Case::mutation(
                "contentWorkflowTemplateCreate",
                json!({"organizationId": acme.id, "key": cast::template_key(server).await, "name": "New",
                    "steps": [{"key": "gate", "kind": "APPROVAL"}]}),
                "/input/organizationId",
            ),
            "Mutation.contentWorkflowTemplateCreate(input.projectId)" => Case::mutation(
                "contentWorkflowTemplateCreate",
                json!({"organizationId": own, "projectId": project().await, "key": cast::template_key(server).await,
                    "name": "New", "steps": [{"key": "gate", "kind": "APPROVAL"}]}),
                "/input/projectId",
            ),
            "Mutation.contentWorkflowTemplateUpdate(input.id)" => Case::mutation(
                "contentWorkflowTemplateUpdate",
                json!({"id": cast::template(server, acme, Some(&acme.project)).await, "name": format!("by {caller}")}),
                "/input/id",
            ),
            "Mutation.contentWorkflowTemplateDelete(input.id)" => Case::mutation(
                "contentWorkflowTemplateDelete",
                json!({"id": cast::template(server, acme, Some(&acme.project)).await}),
                "/input/id",
            ),
            "Mutation.contentWorkflowTemplateCreate(input.steps.endpointId)" => Case::mutation(
                "contentWorkflowTemplateCreate",
                json!({"organizationId": own, "projectId": self.own_project(caller), "name": "New",
                    "key": cast::template_key(server).await, "steps": telling(server, acme).await}),
                "/input/steps/0/endpointId",
            ),
            "Mutation.contentWorkflowTemplateUpdate(input.steps.endpointId)" => {
                let project = self.own_project(caller);
                let template = cast::template(server, self.own(caller), Some(project)).await;
                Case::mutation(
                    "contentWorkflowTemplateUpdate",
                    json!({"id": template, "steps": telling(server, acme).await}),
                    "/input/steps/0/endpointId",
                )
            }
            "Mutation.webhookEndpointCreate(input.organizationId)" => {
                server.tamper("delete from webhook_endpoints").await;
                Case::mutation("webhookEndpointCreate", cast::receiver(&acme.id), "/input/organizationId")
            }
            "Mutation.webhookEndpointUpdate(input.id)" => Case::mutation(
                "webhookEndpointUpdate",
                json!({"id": cast::endpoint(server, acme).await, "name": format!("by {caller}")}),
                "/input/id",
            ),
            "Mutation.webhookEndpointDelete(input.id)" => Case::mutation(
                "webhookEndpointDelete",
                json!({"id": cast::endpoint(server, acme).await}),
                "/input/id",
            ),
            "Mutation.scheduleCreate(input.projectId)" => {
                cast::forget_schedules(server).await;
                Case::mutation("scheduleCreate", cast::yearly(&project().await), "/input/projectId")
            }
            "Mutation.scheduleCreate(input.workflow.periodId)" => {
                cast::forget_schedules(server).await;
                let mut input = cast::yearly(self.own_project(caller));
                input["workflow"]["periodId"] = cast::period(server, acme).await.into();
                Case::mutation("scheduleCreate", input, "/input/workflow/periodId")
            }
            "Mutation.scheduleUpdate(input.id)" => Case::mutation(
                "scheduleUpdate",
                json!({"id": cast::schedule(server, acme, &acme.project).await, "name": format!("by {caller}")}),
                "/input/id",
            ),
            "Mutation.scheduleUpdate(input.workflow.periodId)" => {
                let schedule = cast::schedule(server, self.own(caller), self.own_project(caller)).await;
                let mut workflow = cast::yearly("")["workflow"].clone();
                workflow["periodId"] = cast::period(server, acme).await.into();
                Case::mutation(
                    "scheduleUpdate",
                    json!({"id": schedule, "workflow": workflow}),
                    "/input/workflow/periodId",
                )
            }
            "Mutation.scheduleDelete(input.id)" => Case::mutation(
                "scheduleDelete",
                json!({"id": cast::schedule(server, acme, &acme.project).await}),
                "/input/id",
            ),
            "Mutation.jobCancel(input.id)" => Case::mutation(
                "jobCancel",
                json!({"id": cast::document(server, acme, None).await.1}),
                "/input/id",
            ),
            "Mutation.jobRepeat(input.id)" => {
                Case::mutation("jobRepeat", json!({"id": cast::ended(server, acme).await}), "/input/id")
            }
            "Mutation.publicationExport(input.id)" => Case::mutation(
                "publicationExport",
                json!({"id": cast::output(server, acme, "INSTAGRAM_POSTER").await}),
                "/input/id",
            ),
            "Mutation.publicationMeasure(input.id)" => Case::mutation(
                "publicationMeasure",
                json!({"id": cast::measured(server, acme).await}),
                "/input/id",
            ),
            "Mutation.outputRate(input.id)" => Case::mutation(
                "outputRate",
                json!({"id": cast::answer(server, acme, None).await, "stars": 3}),
                "/input/id",
            ),
            "Mutation.outputDelete(input.id)" => Case::mutation(
                "outputDelete",
                json!({"id": cast::answer(server, acme, None).await}),
                "/input/id",
            ),
            "Organization.auditLog(filter.actorId)" => audit_case("actorId", &acme.owner.id),
            "Organization.auditLog(filter.projectId)" => audit_case("projectId", &project().await),
            "Organization.auditLog(filter.targetId)" => audit_case("targetId", &project().await),
            "Mutation.apiKeyCreate(input.organizationId)" => Case::mutation(
                "apiKeyCreate",
                json!({"organizationId": acme.id, "name": "n", "permissions": ["PROJECT_READ"]}),
                "/input/organizationId",
            ),
            "Mutation.apiKeyCreate(input.projectId)" => Case::mutation(
                "apiKeyCreate",
                json!({"organizationId": own, "projectId": project().await, "name": "n", "permissions": ["PROJECT_READ"]}),
                "/input/projectId",
            ),
            "Mutation.apiKeyRevoke(input.id)" => {
                Case::mutation("apiKeyRevoke", json!({"id": cast::key(server, acme).await}), "/input/id")
            }
            "Mutation.apiKeyRotate(input.id)" => {
                Case::mutation("apiKeyRotate", json!({"id": cast::key(server, acme).await}), "/input/id")
            }
            "Mutation.invitationCreate(input.organizationId)" => Case::mutation(
                "invitationCreate",
                json!({"organizationId": acme.id, "email": cast::address(), "role": "VIEWER"}),
                "/input/organizationId",
            ),
            "Mutation.invitationCreate(input.projectId)" => Case::mutation(
                "invitationCreate",
                json!({"organizationId": own, "projectId": project().await, "email": cast::address(), "role": "VIEWER"}),
                "/input/projectId",
            ),
            "Mutation.invitationResend(input.id)" => Case::mutation(
                "invitationResend",
                json!({"id": cast::invitation(server, acme).await}),
                "/input/id",
            ),
            "Mutation.invitationRevoke(input.id)" => Case::mutation(
                "invitationRevoke",
                json!({"id": cast::invitation(server, acme).await}),
                "/input/id",
            ),
            "Mutation.login(input.organizationId)" => {
                let email = self.person(caller).map_or("nobody@nowhere.example", |person| &person.email);
                Case::mutation(
                    "login",
                    json!({"email": email, "password": PASSWORD, "organizationId": acme.id}),
                    "/input/organizationId",
                )
            }
            "Mutation.membershipDelete(input.id)" => {
                let member = cast::member(server, acme, "MEMBER").await;
                Case::mutation("membershipDelete", json!({"id": member.membership}), "/input/id")
            }
            "Mutation.membershipUpdate(input.id)" => {
                let member = cast::member(server, acme, "MEMBER").await;
                Case::mutation(
                    "membershipUpdate",
                    json!({"id": member.membership, "role": "VIEWER"}),
                    "/input/id",
                )
            }
            "Mutation.organizationDelete(input.id)" => Case::mutation(
                "organizationDelete",
                json!({"id": acme.id, "confirmSlug": acme.slug}),
                "/input/id",
            ),
            "Mutation.organizationRestore(input.id)" => {
                let input = json!({"id": acme.id, "confirmSlug": acme.slug});
                self.owner().mutate("organizationDelete", input, "").await;
                Case::mutation("organizationRestore", json!({"id": acme.id}), "/input/id")
            }
            "Mutation.organizationSwitch(input.organizationId)" => Case::mutation(
                "organizationSwitch",
                json!({"organizationId": acme.id}),
                "/input/organizationId",
            ),
            "Mutation.organizationUpdate(input.id)" => Case::mutation(
                "organizationUpdate",
                json!({"id": acme.id, "description": format!("by {caller}")}),
                "/input/id",
            ),
            "Mutation.projectArchive(input.id)" => {
                Case::mutation("projectArchive", json!({"id": project().await}), "/input/id")
            }
            "Mutation.projectCreate(input.organizationId)" => Case::mutation(
                "projectCreate",
                json!({"organizationId": acme.id, "name": "New"}),
                "/input/organizationId",
            ),
            "Mutation.projectDelete(input.id)" => {
                Case::mutation("projectDelete", json!({"id": project().await}), "/input/id")
            }
            "Mutation.projectMemberSet(input.projectId)" => Case::mutation(
                "projectMemberSet",
                json!({"projectId": project().await, "userId": self.own(caller).viewer.id, "role": "MEMBER"}),
                "/input/projectId",
            ),
            "Mutation.projectMemberSet(input.userId)" => {
                let member = cast::member(server, acme, "VIEWER").await;
                Case::mutation(
                    "projectMemberSet",
                    json!({"projectId": self.own_project(caller), "userId": member.id, "role": "MEMBER"}),
                    "/input/userId",
                )
            }
            "Mutation.projectUpdate(input.id)" => Case::mutation(
                "projectUpdate",
                json!({"id": project().await, "name": format!("by {caller}")}),
                "/input/id",
            ),
            "Mutation.sessionRevoke(input.id)" => {
                let id = cast::session(server, &acme.owner).await;
                Case::mutation("sessionRevoke", json!({"id": id}), "/input/id")
            }
            _ => return None,
        })
    }

    /// One of Acme's objects of each kind; what is one person's own is the owner's.
    pub async fn node(&self, kind: &str) -> Option<String> {
        let (server, acme) = (&self.server, &self.acme);
        let read = |query: &'static str, pointer: &'static str| async move {
            let data = self.owner().ok(query, json!({})).await;
            data.pointer(pointer).and_then(Value::as_str).unwrap().to_owned()
        };
        Some(match kind {
            "ApiKey" => cast::key(server, acme).await,
            "AuditEntry" => {
                read(
                    "{ organization { auditLog(first: 1) { nodes { id } } } }",
                    "/organization/auditLog/nodes/0/id",
                )
                .await
            }
            "Invitation" => cast::invitation(server, acme).await,
            "Job" => cast::document(server, acme, None).await.1,
            "QaConversation" => cast::conversation(server, acme, None).await,
            "KnowledgeDocument" => cast::document(server, acme, None).await.0,
            "Asset" => cast::asset(server, acme, None).await,
            "QaAnswer" => cast::answer(server, acme, None).await,
            "Post" => cast::output(server, acme, "POST_COMPOSITION").await,
            "ContentWorkflowTemplate" => cast::template(server, acme, Some(&acme.project)).await,
            "WebhookEndpoint" => cast::endpoint(server, acme).await,
            "Schedule" => cast::schedule(server, acme, &acme.project).await,
            "ContentWorkflowRun" => cast::workflow(server, acme, "QUEUED").await,
            "ContentStrategy" => cast::output(server, acme, "CONTENT_STRATEGY").await,
            "VisualPost" => cast::output(server, acme, "VISUAL_POST").await,
            "Video" => cast::output(server, acme, "VIDEO").await,
            "Period" => cast::period(server, acme).await,
            "Provider" => cast::provider(server, acme).await,
            "Account" => cast::account(server, acme).await,
            "Publication" => cast::output(server, acme, "INSTAGRAM_POSTER").await,
            "AffirmationSet" => cast::output(server, acme, "AFFIRMATIONS").await,
            "HashtagSet" => cast::output(server, acme, "HASHTAG_RESEARCH").await,
            "Membership" => acme.member.membership.clone(),
            "Organization" => acme.id.clone(),
            "OrganizationUsage" => read("{ organization { usage { id } } }", "/organization/usage/id").await,
            "Project" => cast::project(server, acme, "Node").await,
            "ProjectMember" => {
                let project = acme.project.parse().unwrap();
                ProjectMemberId { project, user: acme.member.id.parse().unwrap() }.to_string()
            }
            "SecurityEvent" => {
                read(
                    "{ viewer { securityEvents(first: 1) { nodes { id } } } }",
                    "/viewer/securityEvents/nodes/0/id",
                )
                .await
            }
            "Session" => cast::session(server, &acme.owner).await,
            "User" => acme.member.id.clone(),
            _ => return None,
        })
    }
}

fn audit_case(filter: &str, id: &str) -> Case {
    let document = format!(
        "query($id: ID!) {{ organization {{ auditLog(filter: {{{filter}: $id}}) {{ totalCount }} }} }}"
    );
    Case::query(&document, json!({"id": id}), "/id", "/organization/auditLog/totalCount")
}

/// A fingerprint of everything that is stored, but for what refusals themselves leave behind.
pub struct State {
    connection: PgConnection,
    query: String,
}

impl State {
    pub async fn of(server: &Server) -> Self {
        let mut connection = server.database.superuser().await;
        let tables = sqlx::query(
            "select tablename::text from pg_tables where schemaname = 'public'
             and tablename not in ('_sqlx_migrations', 'audit_heads', 'usage_counters') order by 1",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let one = |table: String| {
            let only = if table == "audit_entries" { "where outcome = 'DONE'" } else { "" };
            // A row's place and the transaction that wrote it stand for what is in it: whoever changes that writes the row
            // anew. To read all of it would take longer than what is tested.
            format!(
                "select md5(coalesce(string_agg(concat(t.ctid, t.xmin), '|' order by t.tableoid, t.ctid), '')) as m
                 from {table} t {only}"
            )
        };
        let parts: Vec<String> = tables.iter().map(|row| one(row.get(0))).collect();
        let query = format!("select string_agg(m, ',') from ({}) as parts", parts.join(" union all "));
        Self { connection, query }
    }

    pub async fn read(&mut self) -> String {
        sqlx::query_scalar(AssertSqlSafe(self.query.clone())).fetch_one(&mut self.connection).await.unwrap()
    }
}
