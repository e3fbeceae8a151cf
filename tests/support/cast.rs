//! Two organizations with people in all four roles: tests read like sentences.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::{Client, Server};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// One person, signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their address.
    pub email: String,
    /// Their id.
    pub id: String,
    /// Their access token.
    pub token: String,
    /// Their refresh token.
    pub refresh: String,
    /// Their membership in the organization of the cast.
    pub membership: String,
}

/// One organization with its people and its default project.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Its id.
    pub id: String,
    /// Its slug.
    pub slug: String,
    /// Its default project.
    pub project: String,
    /// The person in each role.
    pub owner: Person,
    /// The person in each role.
    pub admin: Person,
    /// The person in each role.
    pub member: Person,
    /// The person in each role.
    pub viewer: Person,
}

const AUTH: &str = "accessToken refreshToken user { id } organization { id slug projects { nodes { id } } }";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// Signs somebody up; `extra` is `organizationName` or `invitationToken`.
pub async fn sign_up(server: &Server, name: &str, email: &str, extra: (&str, &str)) -> Value {
    let input = json!({"email": email, "password": PASSWORD, "name": name, extra.0: extra.1});
    server.anonymous().mutate("signup", input, AUTH).await
}

async fn person(server: &Server, auth: &Value, email: &str) -> Person {
    let token = text(&auth["accessToken"]);
    let own = server
        .bearer(&token)
        .ok("{ viewer { memberships { nodes { id organization { id } } } } }", json!({}))
        .await;
    let memberships = own["viewer"]["memberships"]["nodes"].as_array().unwrap().clone();
    let here =
        memberships.iter().find(|row| row["organization"]["id"] == auth["organization"]["id"]).unwrap();
    Person {
        email: email.to_owned(),
        id: text(&auth["user"]["id"]),
        refresh: text(&auth["refreshToken"]),
        membership: text(&here["id"]),
        token,
    }
}

/// Invites somebody and signs them up by the link.
pub async fn invite(
    server: &Server,
    by: &str,
    organization: &str,
    email: &str,
    role: &str,
    project: Option<&str>,
) -> Person {
    let input = json!({"organizationId": organization, "email": email, "role": role, "projectId": project});
    let made = server.bearer(by).mutate("invitationCreate", input, "acceptUrl invitation { id }").await;
    let url = text(&made["acceptUrl"]);
    let token = token_of(&url);
    let auth = sign_up(server, &email[..email.find('@').unwrap()], email, ("invitationToken", &token)).await;
    person(server, &auth, email).await
}

/// An organization with its four people.
pub async fn organization(server: &Server, name: &str) -> Organization {
    let domain = format!("{}.example", name.to_lowercase());
    let email = |local: &str| format!("{local}@{domain}");
    let auth = sign_up(server, "Olivia Owner", &email("olivia"), ("organizationName", name)).await;
    let owner = person(server, &auth, &email("olivia")).await;
    let id = text(&auth["organization"]["id"]);
    let mut others = Vec::new();
    for (local, role) in [("adam", "ADMIN"), ("mia", "MEMBER"), ("victor", "VIEWER")] {
        others.push(invite(server, &owner.token, &id, &email(local), role, None).await);
    }
    let [admin, member, viewer] = others.try_into().unwrap();
    Organization {
        slug: text(&auth["organization"]["slug"]),
        project: text(&auth["organization"]["projects"]["nodes"][0]["id"]),
        id,
        owner,
        admin,
        member,
        viewer,
    }
}

static PEOPLE: AtomicU32 = AtomicU32::new(0);

/// An address that nobody has yet.
pub fn address() -> String {
    format!("p{}@fresh.example", PEOPLE.fetch_add(1, Ordering::Relaxed))
}

/// Somebody new in the organization.
pub async fn member(server: &Server, organization: &Organization, role: &str) -> Person {
    invite(server, &organization.owner.token, &organization.id, &address(), role, None).await
}

/// Somebody new who belongs to one project alone.
pub async fn guest(server: &Server, organization: &Organization, role: &str, project: &str) -> Person {
    invite(server, &organization.owner.token, &organization.id, &address(), role, Some(project)).await
}

/// A new project's id.
pub async fn project(server: &Server, organization: &Organization, name: &str) -> String {
    let input = json!({"organizationId": organization.id, "name": name});
    let made = organization.owner.at(server).mutate("projectCreate", input, "project { id }").await;
    text(&made["project"]["id"])
}

/// A new API key's id; it may read projects.
pub async fn key(server: &Server, organization: &Organization) -> String {
    let input = json!({"organizationId": organization.id, "name": "key", "permissions": ["PROJECT_READ"]});
    let made = organization.owner.at(server).mutate("apiKeyCreate", input, "apiKey { id }").await;
    text(&made["apiKey"]["id"])
}

/// A new API key's secret.
pub async fn secret(server: &Server, by: &Person, organization: &str, permissions: &[&str]) -> String {
    let input = json!({"organizationId": organization, "name": "key", "permissions": permissions});
    text(&by.at(server).mutate("apiKeyCreate", input, "secret").await["secret"])
}

/// A new invitation's id.
pub async fn invitation(server: &Server, organization: &Organization) -> String {
    let input = json!({"organizationId": organization.id, "email": address(), "role": "VIEWER"});
    let made = organization.owner.at(server).mutate("invitationCreate", input, "invitation { id }").await;
    text(&made["invitation"]["id"])
}

/// The token of a new invitation.
pub async fn link(
    server: &Server,
    by: &Person,
    organization: &str,
    email: &str,
    role: &str,
    project: Option<&str>,
) -> String {
    let input = json!({"organizationId": organization, "email": email, "role": role, "projectId": project});
    let made = by.at(server).mutate("invitationCreate", input, "acceptUrl").await;
    token_of(&text(&made["acceptUrl"]))
}

/// The token in a link.
pub fn token_of(link: &str) -> String {
    link.split("token=").nth(1).unwrap().to_owned()
}

/// Lets somebody who has an account into one more organization.
pub async fn join(server: &Server, organization: &Organization, person: &Person, role: &str) {
    let token = link(server, &organization.owner, &organization.id, &person.email, role, None).await;
    person.at(server).mutate("invitationAccept", json!({"token": token}), "").await;
}

/// A document of the owner's that nobody else has, in the organization or in one project: its id, and its job's.
pub async fn document(
    server: &Server,
    organization: &Organization,
    project: Option<&str>,
) -> (String, String) {
    let input =
        json!({"organizationId": organization.id, "projectId": project, "title": "Notes", "text": address()});
    let made =
        organization.owner.at(server).mutate("documentCreate", input, "document { id } job { id }").await;
    (text(&made["document"]["id"]), text(&made["job"]["id"]))
}

/// A conversation of the owner's, in the organization or in one project: its id.
pub async fn conversation(server: &Server, organization: &Organization, project: Option<&str>) -> String {
    let input = json!({"organizationId": organization.id, "projectId": project});
    let made =
        organization.owner.at(server).mutate("qaConversationCreate", input, "conversation { id }").await;
    text(&made["conversation"]["id"])
}

/// An answer of the owner's, as a worker would have saved it: where none works, nothing changes while one looks.
pub async fn answer(server: &Server, organization: &Organization, project: Option<&str>) -> String {
    let (_, job) = document(server, organization, project).await;
    let id: sqlx::types::Uuid = sqlx::query_scalar(
        "with output as (
            insert into outputs (organization_id, id, project_id, agent, job_id, created_by)
            select organization_id, gen_random_uuid(), project_id, 'QA', id, created_by from jobs where id = $1
            returning organization_id, id, project_id
         )
         insert into qa_answers (organization_id, id, project_id, question, answer)
         select organization_id, id, project_id, 'Why?', 'So.' from output returning id",
    )
    .bind(super::fixture::uuid(&job))
    .fetch_one(&mut server.database.superuser().await)
    .await
    .unwrap();
    aicos::id::AnswerId::from(id).to_string()
}

/// The job of a question, which has come to nothing: its id.
pub async fn ended(server: &Server, organization: &Organization) -> String {
    let (_, job) = document(server, organization, None).await;
    let asked = json!({"question": "Why?", "project": null, "documents": null, "conversation": null, "top_k": 5,
        "min_score": null, "engine": null});
    sqlx::query(
        "update jobs set kind = 'qa.ask', agent = 'QA', input = $2, status = 'CANCELLED', finished_at = clock_timestamp()
         where id = $1",
    )
    .bind(super::fixture::uuid(&job))
    .bind(asked)
    .execute(&mut server.database.superuser().await)
    .await
    .unwrap();
    job
}

/// A file of the owner's that has been sent and not completed, in the organization or in one project: its id.
pub async fn sent(server: &Server, organization: &Organization, project: Option<&str>) -> String {
    send(server, organization, project, b"Words.").await
}

async fn send(server: &Server, organization: &Organization, project: Option<&str>, bytes: &[u8]) -> String {
    let place = json!({"organizationId": organization.id, "projectId": project});
    let upload = organization.owner.at(server).announce(place, "DOCUMENT", bytes).await;
    super::files::put(server, upload["url"].as_str().unwrap(), bytes).await;
    text(&upload["id"])
}

/// A text of the owner's as an asset, unlike any other: its id.
pub async fn writing(server: &Server, organization: &Organization) -> String {
    let id = send(server, organization, None, address().as_bytes()).await;
    organization.owner.at(server).mutate("assetUploadComplete", json!({"id": id}), "").await;
    id
}

/// An asset of the owner's, in the organization or in one project: its id.
pub async fn asset(server: &Server, organization: &Organization, project: Option<&str>) -> String {
    let id = sent(server, organization, project).await;
    organization.owner.at(server).mutate("assetUploadComplete", json!({"id": id}), "").await;
    id
}

/// One of the organization's periods.
pub async fn period(server: &Server, organization: &Organization) -> String {
    let found = organization.owner.at(server).ok("{ periods { id } }", json!({})).await;
    text(&found["periods"][2]["id"])
}

/// Leaves no provider in any organization, as only a superuser can: one has no room for as many as a sweep makes.
pub async fn forget_providers(server: &Server) {
    server.tamper("delete from providers").await;
}

static TEMPLATES: AtomicU32 = AtomicU32::new(0);

/// The key of a template that nobody has; an organization has no room for as many as a sweep makes.
pub async fn template_key(server: &Server) -> String {
    server.tamper("delete from workflow_templates").await;
    format!("template{}", TEMPLATES.fetch_add(1, Ordering::Relaxed))
}

/// A new workflow of the organization's, or of one of its projects.
pub async fn template(server: &Server, organization: &Organization, project: Option<&str>) -> String {
    let key = template_key(server).await;
    let input = json!({"organizationId": organization.id, "projectId": project, "key": key, "name": "Ask first",
        "steps": [{"key": "gate", "kind": "APPROVAL"}]});
    let made = organization.owner.at(server);
    let made = made.mutate("contentWorkflowTemplateCreate", input, "template { id }").await;
    text(&made["template"]["id"])
}

/// Leaves no schedule in any project, as only a superuser can: one has no room for as many as a sweep makes.
pub async fn forget_schedules(server: &Server) {
    server.tamper("delete from schedules").await;
}

/// What makes a schedule in a project: on New Year's Day, so that no test sees it due.
pub fn yearly(project: &str) -> Value {
    json!({"projectId": project, "name": "New Year", "cron": "0 9 1 1 *", "timezone": "Europe/Berlin",
        "workflow": {"template": "posts_only", "brief": "I want to sleep better. I want to trust my work.", "language": "EN"}})
}

/// A new schedule of a project of the organization's.
pub async fn schedule(server: &Server, organization: &Organization, project: &str) -> String {
    forget_schedules(server).await;
    let made =
        organization.owner.at(server).mutate("scheduleCreate", yearly(project), "schedule { id }").await;
    text(&made["schedule"]["id"])
}

/// What makes a webhook endpoint; its name leads nowhere.
pub fn receiver(organization: &str) -> Value {
    json!({"organizationId": organization, "name": "Receiver", "url": "https://receiver.invalid/hook"})
}

/// A new webhook endpoint of the organization's; one has no room for as many as a sweep makes.
pub async fn endpoint(server: &Server, organization: &Organization) -> String {
    server.tamper("delete from webhook_endpoints").await;
    let owner = organization.owner.at(server);
    let made = owner.mutate("webhookEndpointCreate", receiver(&organization.id), "endpoint { id }").await;
    text(&made["endpoint"]["id"])
}

static PROVIDERS: AtomicU32 = AtomicU32::new(0);

/// A new provider of the organization's; its name leads nowhere.
pub async fn provider(server: &Server, organization: &Organization) -> String {
    forget_providers(server).await;
    let name = format!("provider-{}", PROVIDERS.fetch_add(1, Ordering::Relaxed));
    let input = json!({"organizationId": organization.id, "name": name, "kind": "OPENAI", "model": "m",
        "baseUrl": "https://provider.invalid", "key": "sk-key-of-a-provider-that-is-not-there"});
    let made = organization.owner.at(server).mutate("providerCreate", input, "provider { id }").await;
    text(&made["provider"]["id"])
}

static ACCOUNTS: AtomicU32 = AtomicU32::new(1);

/// The number of an Instagram account that nobody has connected.
pub fn instagram_user() -> String {
    format!("178414{:011}", ACCOUNTS.fetch_add(1, Ordering::Relaxed))
}

/// Leaves no account in any organization, as only a superuser can: one has no room for as many as a sweep makes, and of
/// several it has to be said which is meant.
pub async fn forget_accounts(server: &Server) {
    server.tamper("delete from accounts").await;
}

/// The only account of the organization's, for all projects.
pub async fn account(server: &Server, organization: &Organization) -> String {
    forget_accounts(server).await;
    let input =
        json!({"organizationId": organization.id, "userId": instagram_user(), "token": "EAAB-not-there"});
    let made = organization.owner.at(server).mutate("accountConnect", input, "account { id }").await;
    text(&made["account"]["id"])
}

/// A post of the organization's project that is approved, with the caption "So.".
pub async fn approved_post(server: &Server, organization: &Organization) -> String {
    let post = output(server, organization, "POST_COMPOSITION").await;
    for state in ["IN_REVIEW", "APPROVED"] {
        organization.owner.at(server).mutate("postUpdate", json!({"id": post, "state": state}), "").await;
    }
    post
}

/// What one of the agents has made in the organization's project, as a worker would have saved it.
pub async fn output(server: &Server, organization: &Organization, agent: &str) -> String {
    let (prefix, content) = match agent {
        "AFFIRMATIONS" => ("afs", json!({"language": "EN", "period": null, "lines": [], "unused": []})),
        "HASHTAG_RESEARCH" => ("hts", json!({"hashtags": [], "groups": [], "warnings": [], "unused": []})),
        "POST_COMPOSITION" => {
            let variant = json!({"caption": "So.", "hook": "So.", "body": "", "call_to_action": null, "hashtags": [],
                "opening": "STATEMENT", "length": "SHORT", "pillar": null, "graphemes": 3, "readability": null,
                "lines": [], "sources": [], "validity": []});
            (
                "pst",
                json!({"state": "DRAFT", "chosen": 0, "scheduled_at": null, "language": "EN",
                "variants": [variant], "assets": [], "unused": []}),
            )
        }
        "CONTENT_STRATEGY" => {
            let metrics = json!({"slots": 0, "headings": 0, "covered_headings": 0, "coverage": 0.0, "repetition": 0.0,
                "longest_run": 0, "share_deviation": 0.0});
            let plan = json!({"pillars": [], "slots": [], "metrics": metrics, "gaps": []});
            (
                "stg",
                json!({"timezone": "UTC", "plan": plan, "titles": {}, "ics": aicos::id::AssetId::generate(),
                "csv": aicos::id::AssetId::generate()}),
            )
        }
        "INSTAGRAM_POSTER" => (
            "pub",
            json!({"state": "READY_NOT_CONNECTED", "form": "FEED", "account": null, "post": null, "caption": "So.",
                "assets": [], "scheduled_at": null, "items": [{"pages": [{"is_video": false,
                    "asset": asset(server, organization, Some(&organization.project)).await}], "page_containers": [],
                    "container": null, "made_at": null, "asked_at": null, "asks": 0, "media": null, "is_live": false}], "timezone": null, "fingerprint": "", "problems": [],
                "quota": null, "failures": 0, "remade": 0, "published_at": null, "permalink": null, "links": 0}),
        ),
        "VISUAL_POST" => (
            "vip",
            json!({"template": "MINIMAL", "format": "POST", "period": null, "source": null, "slides": [], "notes": []}),
        ),
        "VIDEO" => (
            "vid",
            json!({"kind": "SLIDESHOW", "video": asset(server, organization, Some(&organization.project)).await,
                "poster": asset(server, organization, Some(&organization.project)).await, "srt": null, "vtt": null,
                "scenes": [], "size": [720, 1280], "seconds": 3.0, "contrast": null, "notes": []}),
        ),
        other => panic!("`{other}` is a new agent: say here what it leaves behind"),
    };
    let (_, job) = document(server, organization, Some(&organization.project)).await;
    let id: sqlx::types::Uuid = sqlx::query_scalar(
        "insert into outputs (organization_id, id, project_id, agent, job_id, created_by, content)
         select organization_id, gen_random_uuid(), project_id, $2, id, created_by, $3 from jobs where id = $1
         returning id",
    )
    .bind(super::fixture::uuid(&job))
    .bind(agent)
    .bind(content)
    .fetch_one(&mut server.database.superuser().await)
    .await
    .unwrap();
    format!("{prefix}_{}", aicos::id::encode(id))
}

/// A visual post with one slide, whose layers are a colour; with its scene.
pub async fn drawn(server: &Server, organization: &Organization) -> (String, Value) {
    let id = output(server, organization, "VISUAL_POST").await;
    let scene = json!({"width": 1080, "height": 1350, "typeface": "SANS", "language": "EN",
        "safe": {"x": 48.0, "y": 48.0, "width": 984.0, "height": 1254.0},
        "layers": [{"type": "FILL", "color": "#2196F3", "opacity": 1.0}]});
    let slide = json!({"png": asset(server, organization, Some(&organization.project)).await,
        "jpeg": asset(server, organization, Some(&organization.project)).await, "alt_text": "", "blocks": [], "scene": scene});
    let body = id.rsplit('_').next().and_then(aicos::id::decode).unwrap();
    sqlx::query("update outputs set content = jsonb_set(content, '{slides}', jsonb_build_array($2::jsonb)) where id = $1")
        .bind(body)
        .bind(slide)
        .execute(&mut server.database.superuser().await)
        .await
        .unwrap();
    (id, scene)
}

/// A strategy whose calendar has one post.
pub async fn planned(server: &Server, organization: &Organization) -> String {
    let id = output(server, organization, "CONTENT_STRATEGY").await;
    let slot = json!({"key": "x-20270104-1", "at": "2027-01-04T08:00:00Z", "local": "2027-01-04T08:00:00+00:00", "channel": "X",
        "pillar": "", "format": "TEXT", "topic": "Sleep well", "angle": null, "sources": [], "topic_source": "EVENT",
        "time_basis": "FIXED", "reason": "A fixed event."});
    let body = id.rsplit('_').next().and_then(aicos::id::decode).unwrap();
    sqlx::query("update outputs set content = jsonb_set(content, '{plan,slots}', jsonb_build_array($2::jsonb)) where id = $1")
        .bind(body)
        .bind(slot)
        .execute(&mut server.database.superuser().await)
        .await
        .unwrap();
    id
}

/// A publication that was public by an account, and has been measured just now, so that nobody is asked about it.
pub async fn measured(server: &Server, organization: &Organization) -> String {
    let id = output(server, organization, "INSTAGRAM_POSTER").await;
    let measured = "update outputs set content = jsonb_set(content || '{\"state\": \"PUBLISHED\"}', '{insights}', jsonb_build_object(
        'reach', 1, 'views', 1, 'likes', 1, 'comments', 1, 'saved', 1, 'shares', null, 'measured_at', now()))
        where agent = 'INSTAGRAM_POSTER'";
    server.tamper(measured).await;
    id
}

/// A run of the workflow `full` in the organization's project, whose job stands there: it waits for approval once everything
/// before that is done, as a worker would have left it.
pub async fn workflow(server: &Server, organization: &Organization, status: &str) -> String {
    let input = json!({"projectId": organization.project, "brief": "Ich möchte ruhiger schlafen."});
    let made =
        organization.owner.at(server).mutate("contentWorkflowRun", input, "run { id } job { id }").await;
    let (run, job) = (text(&made["run"]["id"]), text(&made["job"]["id"]));
    if status == "QUEUED" {
        return run;
    }
    let done = if status == "AWAITING_APPROVAL" { 4 } else { 0 };
    sqlx::query(
        "with job as (
            update jobs set status = $2, finished_at = case when $2 = 'FAILED' then now() end where id = $1
            returning organization_id, result_id
         )
         update outputs o set content = jsonb_set(o.content, '{states,steps}', (
            select jsonb_agg(case when at <= $3 then step || '{\"status\": \"SUCCEEDED\"}' else step end order by at)
            from jsonb_array_elements(o.content -> 'states' -> 'steps') with ordinality as steps (step, at)))
         from job where o.organization_id = job.organization_id and o.id = job.result_id",
    )
    .bind(super::fixture::uuid(&job))
    .bind(status)
    .bind(done)
    .execute(&mut server.database.superuser().await)
    .await
    .unwrap();
    run
}

/// Signs somebody in once more; tokens as they come.
pub async fn sign_in(server: &Server, email: &str) -> Value {
    server.anonymous().mutate("login", json!({"email": email, "password": PASSWORD}), AUTH).await
}

/// The id of a new session of somebody's.
pub async fn session(server: &Server, person: &Person) -> String {
    let token = text(&sign_in(server, &person.email).await["accessToken"]);
    let own = server.bearer(&token).ok("{ viewer { sessions { id current } } }", json!({})).await;
    let sessions = own["viewer"]["sessions"].as_array().unwrap();
    text(&sessions.iter().find(|session| session["current"] == true).unwrap()["id"])
}

impl Organization {
    /// The four people with the names of their roles, strongest first.
    pub fn people(&self) -> [(&'static str, &Person); 4] {
        [("OWNER", &self.owner), ("ADMIN", &self.admin), ("MEMBER", &self.member), ("VIEWER", &self.viewer)]
    }
}

impl Person {
    /// This person as a caller.
    pub fn at<'a>(&self, server: &'a Server) -> Client<'a> {
        server.bearer(&self.token)
    }
}
