//! Organizations' own providers of models: whose key goes where, that nobody reads one, and which engine works when.

use std::time::Duration;

use aicos::app;
use aicos::config::Config;
use aicos::engine::Reach;
use aicos::identity::throttle::ThrottleSettings;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};

use crate::support::cast::{self, Organization, Person};
use crate::support::provider::{FakeProvider, Reply};
use crate::support::{Client, Server, config, mutation, tuning};

const SERVER: &str = "sk-key-of-the-server-0000";
const ACME: &str = "sk-key-of-acme-aaaa-1111";
const GLOBEX: &str = "sk-key-of-globex-bbbb-2222";
const OLD: &str = "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG9sZCE=";
const NEW: &str = "bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyE=";

const RESEARCHED: &str = "job { id status engine { provider model promptTokens costMicroUsd }
    error { code message ... on ProviderError { provider } } events(first: 100) { kind message } }";

/// Settings with which a provider of a test may be called.
fn near(fake: &FakeProvider) -> Config {
    Config { providers: fake.endpoints(SERVER), reach: Reach::Private, ..config() }
}

/// Sets up a provider of the organization's at the fake.
async fn set_up(server: &Server, organization: &Organization, fake: &FakeProvider, more: Value) -> Value {
    let mut input = json!({"organizationId": organization.id, "name": "gateway", "kind": "OPENAI",
        "baseUrl": fake.url(), "model": "gpt-5.4-mini"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let select = "provider { id name kind baseUrl model hasKey keyHint testedAt }";
    organization.owner.at(server).mutate("providerCreate", input, select).await["provider"].clone()
}

fn research(project: &str, engine: Value) -> Value {
    let mut input =
        json!({"projectId": project, "text": "Morning yoga at seven", "language": "EN", "wait": true});
    if !engine.is_null() {
        input["engine"] = engine;
    }
    input
}

/// Has hashtags found in the organization's project; gives the job.
async fn run(client: &Client<'_>, project: &str, engine: Value) -> Value {
    client.mutate("hashtagResearch", research(project, engine), RESEARCHED).await["job"].clone()
}

fn ideas() -> Reply {
    Reply::json(&json!({"hashtags": ["#SunSalutation"]})).tokens(100, 20)
}

/// Everything that is stored, as text, the queue's tables included.
async fn stored(server: &Server) -> String {
    let mut superuser = server.database.superuser().await;
    let tables = sqlx::query(
        "select format('%I.%I', schemaname, tablename) from pg_tables
         where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let mut all = String::new();
    for table in tables {
        let sql = format!("select string_agg(t::text, ' ') from {} t", table.get::<String, _>(0));
        let text: Option<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut superuser).await.unwrap();
        all.push_str(&text.unwrap_or_default());
    }
    all
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Attacks: 143.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_its_own_organizations_provider_and_nowhere_else() {
    let fake = FakeProvider::start().await;
    let server = Server::with(near(&fake), tuning()).await;
    let [acme, globex] =
        [cast::organization(&server, "Acme").await, cast::organization(&server, "Globex").await];
    let workers = server.work();
    let made = set_up(&server, &acme, &fake, json!({"key": ACME})).await;
    assert_eq!(
        (&made["name"], &made["kind"], &made["hasKey"], &made["keyHint"], &made["testedAt"]),
        (&json!("gateway"), &json!("OPENAI"), &json!(true), &json!("1111"), &Value::Null)
    );
    set_up(&server, &globex, &fake, json!({"key": GLOBEX})).await;
    let claude = json!({"name": "claude", "kind": "ANTHROPIC", "model": "claude-test", "key": ACME});
    set_up(&server, &acme, &fake, claude).await;

    let named = json!({"provider": "gateway"});
    let sent = |at: usize| fake.requests()[at].headers.clone();
    for (at, organization, key) in [(0, &acme, ACME), (1, &globex, GLOBEX)] {
        fake.script([ideas()]);
        let job = run(&organization.member.at(&server), &organization.project, named.clone()).await;
        assert_eq!(
            (&job["status"], &job["engine"]["provider"], &job["engine"]["model"]),
            (&json!("SUCCEEDED"), &json!("gateway"), &json!("gpt-5.4-mini")),
            "{job:#}"
        );
        // The price table knows the model: what it has cost is recorded.
        assert_eq!(job["engine"]["promptTokens"], 100);
        assert!(job["engine"]["costMicroUsd"].as_i64().unwrap() > 0, "{job:#}");
        assert_eq!(sent(at)["authorization"], format!("Bearer {key}"));
    }
    fake.script([ideas()]);
    let job = run(&acme.member.at(&server), &acme.project, json!({"provider": "claude"})).await;
    assert_eq!(job["engine"]["provider"], "claude", "{job:#}");
    assert_eq!((sent(2)["x-api-key"].as_bytes(), sent(2).get("authorization")), (ACME.as_bytes(), None));

    // An organization's own of a server's name stands before it, in that organization.
    set_up(&server, &acme, &fake, json!({"name": "openai", "key": ACME})).await;
    let openai = json!({"provider": "openai", "model": "gpt-test"});
    for (at, organization, key) in [(3, &acme, ACME), (4, &globex, SERVER)] {
        fake.script([ideas()]);
        let job = run(&organization.member.at(&server), &organization.project, openai.clone()).await;
        assert_eq!(job["engine"]["provider"], "openai", "{job:#}");
        assert_eq!(sent(at)["authorization"], format!("Bearer {key}"));
    }

    // A provider that repeats the key tells nobody, and what one organization has set up another cannot name.
    fake.script([Reply::unauthorized(ACME)]);
    let job = run(&acme.member.at(&server), &acme.project, named).await;
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("FAILED"), &json!("PROVIDER_FAILED")),
        "{job:#}"
    );
    assert!(!job.to_string().contains(ACME), "{job:#}");
    assert!(
        job["error"]["message"].as_str().unwrap().contains("The provider gateway does not accept"),
        "{job:#}"
    );
    let foreign = research(&globex.project, json!({"provider": "claude"}));
    assert_eq!(
        globex.member.at(&server).fault("hashtagResearch", foreign).await,
        "REQUIRED",
        "a name that is nobody's, without a model"
    );
    let foreign = research(&globex.project, json!({"provider": "claude", "model": "claude-test"}));
    assert_eq!(globex.member.at(&server).fault("hashtagResearch", foreign).await, "PROVIDER_NOT_CONFIGURED");
    assert_eq!(fake.requests().len(), 6);

    // Nothing of it is readable: not in what is answered, and not in what is stored.
    let all =
        "{ organization { providers { id name hasKey keyHint model baseUrl createdAt updatedAt testedAt }
        auditLog(first: 50) { nodes { action changes { field before after } } }
        jobs(first: 20) { nodes { error { message } events(first: 20) { message data } } } } }";
    let told = acme.owner.at(&server).ok(all, json!({})).await.to_string();
    let kept = stored(&server).await;
    assert!(told.contains("[redacted]") && told.contains("gateway") && kept.contains("gateway"));
    for key in [ACME, GLOBEX, SERVER] {
        assert!(!told.contains(key), "{told}");
        assert!(!kept.contains(key) && !kept.contains(&hex(key)), "a key is stored as it is");
    }
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_works_by_the_projects_route_then_the_organizations_then_without_a_provider() {
    let fake = FakeProvider::start().await;
    let server = Server::with(near(&fake), tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let other = cast::project(&server, &acme, "Other").await;
    let workers = server.work();
    set_up(&server, &acme, &fake, json!({"key": ACME})).await;
    let (owner, member) = (acme.owner.at(&server), acme.member.at(&server));
    let route = |project: Option<&str>, engine: Value| json!({"organizationId": acme.id, "projectId": project, "agent": "HASHTAG_RESEARCH", "engine": engine});
    let worked = async |client: &Client<'_>, project: &str, engine: Value| {
        let job = run(client, project, engine).await;
        assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
        let text = |field: &str| job["engine"][field].as_str().unwrap_or("none").to_owned();
        (text("provider"), text("model"))
    };
    let said = |provider: &str, model: &str| (provider.to_owned(), model.to_owned());

    assert_eq!(worked(&member, &acme.project, Value::Null).await, said("builtin", "none"));
    let select =
        "route { agent provider model fallbackToBuiltin project { id } } project { id } organization { id }";
    let set = owner.mutate("engineRouteSet", route(None, json!({"provider": "gateway"})), select).await;
    assert_eq!(
        (&set["route"]["provider"], &set["route"]["model"], &set["route"]["project"]),
        (&json!("gateway"), &Value::Null, &Value::Null)
    );
    let own = json!({"provider": "gateway", "model": "gpt-of-the-project"});
    let set = owner.mutate("engineRouteSet", route(Some(&other), own), select).await;
    assert_eq!(set["route"]["project"]["id"], other.as_str());
    fake.script([ideas(), ideas(), ideas()]);
    assert_eq!(worked(&member, &acme.project, Value::Null).await, said("gateway", "gpt-5.4-mini"));
    assert_eq!(worked(&member, &other, Value::Null).await, said("gateway", "gpt-of-the-project"));
    // A guest of a project works by the organization's routes as well, and sees none of them.
    let guest = cast::guest(&server, &acme, "MEMBER", &acme.project).await;
    let guest = guest.at(&server);
    assert_eq!(worked(&guest, &acme.project, Value::Null).await, said("gateway", "gpt-5.4-mini"));
    let listed = "query($id: ID!) { organization { engineRoutes { provider } providers { name } }
        project(id: $id) { engineRoutes { provider model } } }";
    let nothing =
        json!({"organization": {"engineRoutes": null, "providers": null}, "project": {"engineRoutes": null}});
    assert_eq!(guest.ok(listed, json!({"id": acme.project})).await, nothing);
    assert_eq!(member.ok(listed, json!({"id": other})).await, nothing);
    assert_eq!(
        acme.admin.at(&server).ok(listed, json!({"id": other})).await,
        json!({"organization": {"engineRoutes": [{"provider": "gateway"}], "providers": [{"name": "gateway"}]},
            "project": {"engineRoutes": [{"provider": "gateway", "model": "gpt-of-the-project"}]}})
    );
    // What a call names stands before both; other agents are not concerned; a project may leave its organization's route.
    assert_eq!(worked(&member, &other, json!({"provider": "builtin"})).await, said("builtin", "none"));
    let goals =
        json!({"projectId": other, "goals": ["I want to sleep better"], "language": "EN", "wait": true});
    let made = member.mutate("affirmationsGenerate", goals, "job { engine { provider } }").await;
    assert_eq!(made["job"]["engine"]["provider"], "builtin");
    owner.mutate("engineRouteSet", route(Some(&acme.project), json!({"provider": "builtin"})), "").await;
    assert_eq!(worked(&member, &acme.project, Value::Null).await, said("builtin", "none"));
    owner.mutate("engineRouteSet", route(Some(&acme.project), Value::Null), "route { agent }").await;
    fake.script([ideas()]);
    assert_eq!(worked(&member, &acme.project, Value::Null).await, said("gateway", "gpt-5.4-mini"));
    assert_eq!(fake.left(), 0);

    // A question in no project goes by the organization's route.
    let learnt = "Everybody has 30 days of vacation a year.";
    owner.learn(&acme, "Handbook", learnt).await;
    let asked = json!({"organizationId": acme.id, "agent": "QA", "engine": {"provider": "gateway"}});
    owner.mutate("engineRouteSet", asked, "").await;
    fake.script([Reply::text("There are 30 days of vacation [1].")]);
    let asked = member.ask(&acme, "How many days of vacation are there?", json!({})).await;
    assert_eq!(asked["job"]["engine"]["provider"], "gateway", "{asked:#}");

    // Only what a call could ask for can be routed to.
    for (engine, code) in [
        (json!({"provider": "nobody", "model": "m"}), "PROVIDER_NOT_CONFIGURED"),
        (json!({"provider": "openai"}), "REQUIRED"),
        (json!({"provider": ""}), "REQUIRED"),
    ] {
        assert_eq!(owner.fault("engineRouteSet", route(None, engine.clone())).await, code, "{engine}");
    }
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_builtin_engine_steps_in_only_where_that_is_allowed_and_a_deleted_provider_is_none() {
    let fake = FakeProvider::start().await;
    let server = Server::with(near(&fake), tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let (owner, member) = (acme.owner.at(&server), acme.member.at(&server));
    let workers = server.work();
    set_up(&server, &acme, &fake, json!({"key": ACME})).await;
    let route = |fallback: bool| {
        json!({"organizationId": acme.id, "agent": "HASHTAG_RESEARCH",
            "engine": {"provider": "gateway", "fallbackToBuiltin": fallback}})
    };
    for (fallback, status, provider) in
        [(true, "SUCCEEDED", json!("builtin")), (false, "FAILED", Value::Null)]
    {
        owner.mutate("engineRouteSet", route(fallback), "").await;
        fake.script([Reply::insufficient_quota()]);
        let job = run(&member, &acme.project, Value::Null).await;
        assert_eq!((&job["status"], &job["engine"]["provider"]), (&json!(status), &provider), "{job:#}");
        assert_eq!(job["events"].to_string().contains("\"fallback\""), fallback, "{job:#}");
    }

    // Given to a provider, and deleted before a worker comes: it goes nowhere else, though the server has one of that name.
    let own = set_up(&server, &acme, &fake, json!({"name": "openai", "key": ACME})).await;
    workers.stop().await;
    let mut later = research(&acme.project, json!({"provider": "openai", "model": "gpt-test"}));
    later["wait"] = false.into();
    let waiting = member.mutate("hashtagResearch", later.clone(), "job { id }").await;
    later["engine"]["fallbackToBuiltin"] = true.into();
    let falling = member.mutate("hashtagResearch", later, "job { id }").await;
    let asked = fake.requests().len();
    let gone = owner
        .mutate(
            "providerDelete",
            json!({"id": own["id"]}),
            "deletedProviderId organization { providers { name } }",
        )
        .await;
    assert_eq!(
        (&gone["deletedProviderId"], &gone["organization"]["providers"]),
        (&own["id"], &json!([{"name": "gateway"}]))
    );
    let workers = server.work();
    let job = member.finished(waiting["job"]["id"].as_str().unwrap()).await;
    assert_eq!(job["error"]["code"], "PROVIDER_NOT_CONFIGURED", "{job:#}");
    assert!(job["error"]["message"].as_str().unwrap().contains("openai has been deleted"), "{job:#}");
    let job = member.finished(falling["job"]["id"].as_str().unwrap()).await;
    assert_eq!(job["engine"]["provider"], "builtin", "{job:#}");
    assert_eq!(fake.requests().len(), asked, "nobody else was asked");

    // Calls that a route sends to what is gone are told so.
    let listed = owner.ok("{ organization { providers { id } } }", json!({})).await;
    let gateway = listed["organization"]["providers"][0]["id"].clone();
    owner.mutate("providerDelete", json!({"id": gateway}), "").await;
    let input = json!({"input": research(&acme.project, Value::Null)});
    let answer = member.ok(&mutation("hashtagResearch", ""), input).await;
    let fault = &answer["hashtagResearch"]["userErrors"][0];
    assert!(fault["message"].as_str().unwrap().contains("is set to work with `gateway`"), "{fault}");
    assert_eq!(run(&member, &acme.project, json!({"provider": "builtin"})).await["status"], "SUCCEEDED");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_happened_and_never_the_key() {
    let fake = FakeProvider::start().await;
    let throttle = ThrottleSettings { per_account_and_address: 8, ..tuning().throttle };
    let tuning = aicos::app::Tuning { throttle, ..tuning() };
    let server = Server::with(near(&fake), tuning).await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let own = set_up(&server, &acme, &fake, json!({"key": ACME})).await;
    let select = "test { outcome message model milliseconds } provider { testedAt }";
    let test = async |input: Value| owner.mutate("providerTest", input, select).await;
    let far = Duration::from_secs(25);
    for (reply, outcome) in [
        (Reply::text("OK").model("gpt-5.4-mini-2026-03-17"), "ANSWERED"),
        (Reply::unauthorized(ACME), "AUTHENTICATION_FAILED"),
        (Reply::insufficient_quota(), "OUT_OF_CREDIT"),
        (Reply::rate_limited("20"), "RATE_LIMITED"),
        (Reply::raw(302, "text/plain", ""), "REJECTED"),
        (Reply::server_error(), "UNREACHABLE"),
        (Reply::text("OK").slow_headers(far), "TIMED_OUT"),
    ] {
        fake.script([reply]);
        let made = test(json!({"id": own["id"]})).await;
        assert_eq!(made["test"]["outcome"], outcome, "{made:#}");
        assert!(!made.to_string().contains(ACME) && !made["provider"]["testedAt"].is_null(), "{made:#}");
        let milliseconds = made["test"]["milliseconds"].as_i64().unwrap();
        assert!((outcome == "TIMED_OUT") == (milliseconds >= 15_000), "{made:#}");
        assert_eq!(made["test"]["model"].is_string(), outcome == "ANSWERED");
    }
    // A redirect was not followed.
    assert!(fake.requests().iter().all(|seen| seen.path == "/v1/chat/completions"));
    fake.script([Reply::text("OK")]);
    test(json!({"id": own["id"], "model": "another"})).await;
    let seen = fake.requests().pop().unwrap();
    assert_eq!(
        (&seen.body["model"], seen.headers["authorization"].as_bytes()),
        (&json!("another"), format!("Bearer {ACME}").as_bytes())
    );
    let asked = fake.requests().len();
    assert_eq!(owner.fault("providerTest", json!({"id": own["id"]})).await, "THROTTLED");
    assert_eq!(fake.requests().len(), asked);
    let refused = mutation("providerTest", "");
    for person in [&acme.member, &acme.viewer] {
        let input = json!({"input": {"id": own["id"]}});
        assert_eq!(person.at(&server).refusal(&refused, input).await, "FORBIDDEN");
    }
    // Another organization has its own count.
    let globex = cast::organization(&server, "Globex").await;
    let theirs = set_up(&server, &globex, &fake, json!({"model": null})).await;
    assert_eq!((&theirs["hasKey"], &theirs["keyHint"]), (&json!(false), &Value::Null));
    let owner = globex.owner.at(&server);
    assert_eq!(owner.fault("providerTest", json!({"id": theirs["id"]})).await, "REQUIRED");
    fake.script([Reply::text("OK")]);
    let input = json!({"id": theirs["id"], "model": "m"});
    assert_eq!(owner.mutate("providerTest", input, select).await["test"]["outcome"], "ANSWERED");
    assert!(!fake.requests().pop().unwrap().headers.contains_key("authorization"));
}

/// Attacks: 132, 133, 134, 135, 140.
#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_called_only_where_a_setting_allows_it() {
    let fake = FakeProvider::start().await;
    let server = Server::with(near(&fake), tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let own = set_up(&server, &acme, &fake, json!({"key": ACME})).await;
    let closed = server.replica_with(Config { reach: Reach::Public, ..near(&fake) }).await;
    let create = |server, url: &str| {
        let input = json!({"organizationId": acme.id, "name": "n", "kind": "OPENAI", "baseUrl": url});
        let owner: &Person = &acme.owner;
        async move { owner.at(server).fault("providerCreate", input).await }
    };
    for url in [
        &fake.url(),
        "https://127.0.0.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://[64:ff9b::7f00:1]",
        "https://10.0.0.1",
        "https://169.254.169.254/latest",
        "https://localhost.",
        "https://metadata.google.internal",
        "http://example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://example.com",
        "https://api.openai.com@127.0.0.1",
        "https://a:b@example.com",
        "https://example.com?key=1",
        "https://example.com#@127.0.0.1",
    ] {
        assert_eq!(create(&closed, url).await, "UNSAFE_URL", "{url}");
    }
    for url in ["https://169.254.169.254", "https://[fe80::1]", "http://10.0.0.1", "http://example.com"] {
        assert_eq!(create(&server, url).await, "UNSAFE_URL", "{url} is none of this machine's");
    }
    let update = json!({"id": own["id"], "baseUrl": "https://10.0.0.1", "key": ACME});
    assert_eq!(acme.owner.at(&closed).fault("providerUpdate", update).await, "UNSAFE_URL");

    // What was set up while it was allowed is judged again at each call.
    let select = "test { outcome message }";
    let input = json!({"id": own["id"]});
    let made = acme.owner.at(&closed).mutate("providerTest", input.clone(), select).await;
    assert_eq!(made["test"]["outcome"], "REJECTED", "{made:#}");
    let workers = closed.work();
    let job = run(&acme.member.at(&closed), &acme.project, json!({"provider": "gateway"})).await;
    assert_eq!(job["error"]["code"], "PROVIDER_FAILED", "{job:#}");
    workers.stop().await;
    assert_eq!(fake.requests().len(), 0, "nothing was connected to");
    // The controls: the same provider where it may be reached, and a public address.
    fake.script([Reply::text("OK")]);
    let made = acme.owner.at(&server).mutate("providerTest", input, select).await;
    assert_eq!((&made["test"]["outcome"], fake.requests().len()), (&json!("ANSWERED"), 1));
    let public = json!({"organizationId": acme.id, "name": "public", "kind": "ANTHROPIC", "key": ACME});
    let made = acme.owner.at(&closed).mutate("providerCreate", public, "provider { baseUrl }").await;
    assert_eq!(made["provider"]["baseUrl"], "https://api.anthropic.com/");

    // An address where nothing listens.
    let nobody = json!({"name": "nobody", "baseUrl": "http://127.0.0.1:1"});
    let nobody = set_up(&server, &acme, &fake, nobody).await;
    let made = acme.owner.at(&server).mutate("providerTest", json!({"id": nobody["id"]}), select).await;
    assert_eq!(made["test"]["outcome"], "UNREACHABLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_changed_without_its_key_ever_following_it_elsewhere() {
    let fake = FakeProvider::start().await;
    let server = Server::with(near(&fake), tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let own = set_up(&server, &acme, &fake, json!({"key": ACME, "idempotencyKey": "once"})).await;
    let again = set_up(&server, &acme, &fake, json!({"key": ACME, "idempotencyKey": "once"})).await;
    assert_eq!(again["id"], own["id"]);
    let id = own["id"].clone();
    let with = |more: Value| {
        let mut input = json!({"id": id});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let select = "provider { name baseUrl model hasKey keyHint }";
    // Whoever may change the address is not given the key by sending it to their own server.
    let elsewhere = FakeProvider::start().await;
    assert_eq!(owner.fault("providerUpdate", with(json!({"baseUrl": elsewhere.url()}))).await, "REQUIRED");
    let moved = with(json!({"baseUrl": elsewhere.url(), "key": GLOBEX, "name": "moved", "model": null}));
    let made = owner.mutate("providerUpdate", moved, select).await;
    assert_eq!(
        (&made["provider"]["name"], &made["provider"]["keyHint"], &made["provider"]["model"]),
        (&json!("moved"), &json!("2222"), &Value::Null)
    );
    elsewhere.script([Reply::text("OK")]);
    owner.mutate("providerTest", with(json!({"model": "m"})), "").await;
    assert_eq!(elsewhere.requests()[0].headers["authorization"], format!("Bearer {GLOBEX}"));
    assert!(fake.requests().is_empty());
    let made = owner.mutate("providerUpdate", with(json!({"key": null})), select).await;
    assert_eq!((&made["provider"]["hasKey"], &made["provider"]["keyHint"]), (&json!(false), &Value::Null));
    // Without one the address may change.
    let made = owner.mutate("providerUpdate", with(json!({"baseUrl": fake.url()})), select).await;
    assert!(made["provider"]["baseUrl"].as_str().unwrap().starts_with(&fake.url()));

    set_up(&server, &acme, &fake, json!({"name": "second"})).await;
    for (change, code) in [
        (json!({"name": "second"}), "ALREADY_EXISTS"),
        (json!({"name": "builtin"}), "INVALID"),
        (json!({"name": "anthropic"}), "INVALID"),
        (json!({"name": "x".repeat(41)}), "TOO_LONG"),
        (json!({"model": " "}), "REQUIRED"),
        (json!({"key": "two words"}), "INVALID"),
        (json!({"key": ""}), "REQUIRED"),
        (json!({"key": "k".repeat(501)}), "TOO_LONG"),
    ] {
        assert_eq!(owner.fault("providerUpdate", with(change.clone())).await, code, "{change}");
    }
    // Thirty at once, and room for eighteen.
    let query = mutation("providerCreate", "provider { id }");
    let create = |number: usize| {
        let input = json!({"organizationId": acme.id, "name": format!("n{number}"), "kind": "OPENAI"});
        owner.ok(&query, json!({"input": input}))
    };
    let answers = futures_util::future::join_all((2..32).map(create)).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .map(|answer| &answer["providerCreate"])
        .partition(|payload| payload["provider"]["id"].is_string());
    assert_eq!((made.len(), refused.len()), (18, 12));
    assert!(refused.iter().all(|payload| payload["userErrors"][0]["code"] == "CONFLICT"), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_a_rotation_of_the_master_key_and_are_sealed_anew() {
    let fake = FakeProvider::start().await;
    // Tokens are signed with a secret, so that only what is sealed depends on the master key.
    let with = |master: &str| Config {
        master_key: Some(master.into()),
        jwt_secret: Some("a secret of the tests, long enough to sign with".into()),
        ..near(&fake)
    };
    let server = Server::with(with(OLD), tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let own = set_up(&server, &acme, &fake, json!({"key": ACME})).await;
    let input = json!({"id": own["id"]});
    let answers = async |server: &Server| {
        fake.script([Reply::text("OK")]);
        let made = acme
            .owner
            .at(server)
            .mutate("providerTest", input.clone(), "test { outcome } provider { keyHint }")
            .await;
        assert_eq!(made["test"]["outcome"], "ANSWERED");
        assert_eq!(made["provider"]["keyHint"], "1111");
        assert_eq!(fake.requests().pop().unwrap().headers["authorization"], format!("Bearer {ACME}"));
    };
    answers(&server).await;

    let both_keys = with(&format!("{NEW},{OLD}"));
    let both = server.replica_with(both_keys.clone()).await;
    answers(&both).await;
    let providers = app::providers(&both_keys, app::master_keys(&both_keys).unwrap()).unwrap();
    assert_eq!(providers.reseal(&both.app.db).await.unwrap(), 1);
    assert_eq!(providers.reseal(&both.app.db).await.unwrap(), 0, "it is done");
    answers(&both).await;
    let workers = both.work();
    fake.script([ideas()]);
    let job = run(&acme.member.at(&both), &acme.project, json!({"provider": "gateway"})).await;
    assert_eq!(job["engine"]["provider"], "gateway", "{job:#}");
    workers.stop().await;

    answers(&server.replica_with(with(NEW)).await).await;
    // With the old one alone it cannot be opened any more.
    let asked = fake.requests().len();
    let refused = mutation("providerTest", "");
    let code = acme.owner.at(&server).refusal(&refused, json!({"input": input})).await;
    assert_eq!((code.as_str(), fake.requests().len()), ("INTERNAL", asked));
    // Nor in another row, whoever writes it there.
    set_up(&server, &acme, &fake, json!({"name": "other", "key": GLOBEX})).await;
    let copied = "update providers set sealed_key = (select sealed_key from providers where name = 'gateway')
        where name = 'other'";
    assert_eq!(server.tamper(copied).await, 1);
    let listed = acme.owner.at(&both).ok("{ organization { providers { id name } } }", json!({})).await;
    let other = listed["organization"]["providers"][1].clone();
    assert_eq!(other["name"], "other");
    let input = json!({"input": {"id": other["id"]}});
    assert_eq!(acme.owner.at(&both).refusal(&refused, input).await, "INTERNAL");
}
