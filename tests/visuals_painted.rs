//! Backgrounds that a provider's model paints: as asked, paid for once, and what becomes of every fault.

use std::path::Path;
use std::time::Duration;

use aicos::agents::visuals::builtin::picture::{self, Limits as PictureLimits};
use aicos::agents::visuals::builtin::{Color, Picture, encode};
use aicos::engine::images::{ImageReply, ImageRequest, Shape};
use aicos::engine::{Endpoint, Engines, Failure, Kind, Limits, Provider, Reach, Usage};
use serde_json::{Value, json};

use crate::support::cast;
use crate::support::files::{self, files as listed, folder};
use crate::support::provider::{Counting, FakeProvider, Reply};
use crate::support::work::Room;
use crate::support::{Server, tuning};
use crate::visuals::plain;

const DRAWN: &str = "job { id status attempts engine { provider model promptTokens completionTokens costMicroUsd }
        error { code message field ... on ProviderError { provider providerCode retryable } } events { kind message } }
    visualPost { id notes background { asset { id mimeType width height altText } credit page provider model prompt }
        slides { png { url } blocks { contrast requiredContrast } } }";

const PROMPT: &str = "A quiet sea at dawn";
const SEA: Color = Color::new(20, 40, 160);

fn gpt(fallback: bool) -> Value {
    json!({"provider": "openai", "model": "gpt-image-1", "fallbackToBuiltin": fallback})
}

fn asked(engine: &Value, more: &Value) -> Value {
    let mut asked = json!({"text": "Das Meer ist weit.", "template": "minimal", "background": "GENERATED",
        "backgroundPrompt": PROMPT, "engine": engine});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

async fn used(room: &Room) -> Vec<(String, f64)> {
    let seen = room.owner().ok("{ organization { usage { metrics { kind used } } } }", json!({})).await;
    let metrics = seen["organization"]["usage"]["metrics"].as_array().unwrap().clone();
    let wanted = ["AGENT_RUNS", "IMAGES", "LLM_TOKENS"];
    let metrics = metrics.iter().map(|one| (one["kind"].as_str().unwrap(), one["used"].as_f64().unwrap()));
    metrics.filter(|(kind, _)| wanted.contains(kind)).map(|(kind, used)| (kind.to_owned(), used)).collect()
}

fn counts(runs: f64, images: f64, tokens: f64) -> Vec<(String, f64)> {
    let named = [("AGENT_RUNS", runs), ("LLM_TOKENS", tokens), ("IMAGES", images)];
    named.map(|(kind, used)| (kind.to_owned(), used)).into()
}

async fn corner(server: &Server, made: &Value) -> [u8; 3] {
    let url = made["visualPost"]["slides"][0]["png"]["url"].as_str().unwrap();
    let fetched = files::get(server, url).await;
    let picture = picture::decode(&fetched.body, &PictureLimits::default()).unwrap();
    picture.rgba()[..3].try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_is_painted_as_asked_and_paid_for() {
    let room = Room::new().await;
    for (format, size, (width, height)) in [
        ("POST", "1024x1536", (1024, 1536)),
        ("STORY", "1024x1536", (1024, 1536)),
        ("SQUARE", "1024x1024", (1024, 1024)),
        ("LINK", "1536x1024", (1536, 1024)),
    ] {
        room.fake.script([Reply::picture(&plain(width, height, SEA)).tokens(50, 1_584)]);
        let made = room.run("visualPostCreate", asked(&gpt(false), &json!({"format": format})), DRAWN).await;
        assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
        // 50 × $5 and 1,584 × $40 for a million.
        let engine = json!({"provider": "openai", "model": "gpt-image-1", "promptTokens": 50,
            "completionTokens": 1_584, "costMicroUsd": 63_610});
        assert_eq!(made["job"]["engine"], engine);
        let background = &made["visualPost"]["background"];
        assert_eq!(
            (&background["provider"], &background["model"], &background["prompt"], &background["credit"]),
            (&json!("openai"), &json!("gpt-image-1"), &json!(PROMPT), &Value::Null)
        );
        let asset = &background["asset"];
        assert_eq!(
            (&asset["mimeType"], &asset["width"], &asset["height"], &asset["altText"]),
            (&json!("image/png"), &json!(width), &json!(height), &json!(PROMPT))
        );
        let [r, _, b] = corner(&room.server, &made).await;
        assert!(b > r, "the sea shows: {r} {b}");
        for block in made["visualPost"]["slides"][0]["blocks"].as_array().unwrap() {
            assert!(block["contrast"].as_f64() >= block["requiredContrast"].as_f64(), "{block:#}");
        }
        let seen = room.fake.requests().pop().unwrap();
        assert_eq!(seen.path, "/v1/images/generations");
        assert_eq!(seen.headers["authorization"], "Bearer sk-test-key-of-the-server");
        let prompt = seen.body["prompt"].as_str().unwrap();
        assert!(prompt.ends_with(PROMPT) && prompt.contains("no letters, words"), "{prompt}");
        let body = json!({"model": "gpt-image-1", "prompt": prompt, "n": 1, "size": size, "quality": "medium",
            "output_format": "png"});
        assert_eq!(seen.body, body, "and nothing else: these models refuse `response_format`");
    }
    // A run, a slide and its background each, and what the provider counted.
    assert_eq!(used(&room).await, counts(4.0, 8.0, 4.0 * 1_634.0));

    // A provider that does not count has no tokens and no price.
    room.fake.script([Reply::picture(&plain(1024, 1536, SEA)).counting(Counting::Missing)]);
    let made = room.run("visualPostCreate", asked(&gpt(false), &json!({})), DRAWN).await;
    let engine = json!({"provider": "openai", "model": "gpt-image-1", "promptTokens": null,
        "completionTokens": null, "costMicroUsd": null});
    assert_eq!(made["job"]["engine"], engine, "{made:#}");

    // The picture is the output's own: not to be deleted alone, and gone with it.
    let owner = room.owner();
    let picture = made["visualPost"]["background"]["asset"]["id"].as_str().unwrap();
    assert_eq!(owner.asset(picture).await["id"], json!(picture));
    assert_eq!(owner.fault("assetDelete", json!({"id": picture})).await, "CONFLICT");
    owner.mutate("outputDelete", json!({"id": made["visualPost"]["id"]}), "deletedOutputId").await;
    assert_eq!(owner.asset(picture).await, Value::Null);
    assert_eq!(room.fake.left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_provider_leads_to_a_pattern_where_that_is_allowed() {
    let room = Room::new().await;
    let good = plain(1024, 1536, SEA);
    // More pixels than are decoded, in a file that is small.
    let bomb = encode::png(&Picture::new(8_000, 5_001, vec![255; 8_000 * 5_001 * 4]).unwrap()).unwrap();
    let huge = [&good[..], &vec![0; 11 << 20]].concat();
    let faults = [
        (Reply::rate_limited("20"), "too many requests"),
        (Reply::insufficient_quota(), "no credit left"),
        (Reply::unauthorized("sk-abc"), "does not accept the API key"),
        (Reply::unknown_model(), "Check the model's name"),
        (Reply::server_error(), "an error of its own"),
        (Reply::moderated(), "refuses to answer this"),
        (Reply::base64("no base64!"), "is not base64"),
        (Reply::base64(""), "is no picture"),
        (Reply::text(""), "has no picture"),
        (Reply::picture(b"<svg onload='alert(1)'/>"), "is no picture"),
        (Reply::picture(&good[..good.len() - 9]), "cannot be used"),
        (Reply::picture(&bomb), "cannot be used"),
        (Reply::picture(&huge), "is larger than any"),
        (Reply::kept_picture(&huge), "is larger than any"),
        (Reply::picture_at("http://10.0.0.1/picture.png"), "is at no public address"),
        (Reply::picture_at("http://169.254.169.254/latest/meta-data"), "is at no public address"),
        (Reply::picture_at("file:///etc/passwd"), "is at no public address"),
        (Reply::raw(200, "application/json", "{\"data\": ["), "is not in the images format"),
        (Reply::raw(302, "text/plain", ""), "a redirect"),
    ];
    let count = f64::from(u32::try_from(faults.len()).unwrap());
    let mut paid = 0;
    for (fault, said) in faults {
        room.fake.script([fault]);
        let made = room.run("visualPostCreate", asked(&gpt(true), &json!({})), DRAWN).await;
        assert_eq!(made["job"]["status"], "SUCCEEDED", "{said}: {made:#}");
        let engine = &made["job"]["engine"];
        assert_eq!(engine["provider"], "builtin", "{said}");
        // 11 tokens read and 7 made, whether they can be used or not.
        paid += u32::from(engine["costMicroUsd"] == 11 * 5 + 7 * 40);
        assert_eq!(made["visualPost"]["background"], Value::Null, "{said}");
        let note = made["visualPost"]["notes"][0].as_str().unwrap();
        assert!(note.contains("a pattern was drawn instead"), "{said}: {note}");
        let events = made["job"]["events"].as_array().unwrap();
        let fallen = events.iter().find(|event| event["kind"] == "fallback").unwrap();
        let message = fallen["message"].as_str().unwrap();
        assert!(
            message.contains(said) && message.ends_with("The built-in engine works instead."),
            "{message}"
        );
        assert!(!made.to_string().contains("sk-") && !made.to_string().contains("10.0.0.1"), "{made}");
    }
    assert_eq!(room.fake.left(), 0);
    // Eleven of them have answered with something that is of no use, and counted their tokens.
    assert_eq!(paid, 11);
    let spent = 11.0 * 18.0;
    assert_eq!(used(&room).await, counts(count, count, spent));
    // With a good picture the same call has it painted.
    room.fake.script([Reply::picture(&good).tokens(10, 20), Reply::kept_picture(&good).tokens(10, 20)]);
    for _ in 0..2 {
        let made = room.run("visualPostCreate", asked(&gpt(true), &json!({})), DRAWN).await;
        assert_eq!(made["job"]["engine"]["provider"], "openai", "{made:#}");
        assert!(!made["job"]["events"].to_string().contains("fallback"), "{made:#}");
    }
    assert_eq!(used(&room).await, counts(count + 2.0, count + 4.0, spent + 60.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_fall_back_a_fault_is_the_jobs() {
    let room = Room::new().await;
    for (fault, code) in [
        (Reply::moderated(), "moderation_blocked"),
        (Reply::unauthorized("sk-abc"), "invalid_api_key"),
        (Reply::insufficient_quota(), "insufficient_quota"),
    ] {
        room.fake.script([fault]);
        let made = room.run("visualPostCreate", asked(&gpt(false), &json!({})), DRAWN).await;
        assert_eq!(
            (&made["job"]["status"], &made["visualPost"]),
            (&json!("FAILED"), &Value::Null),
            "{made:#}"
        );
        let error = &made["job"]["error"];
        assert_eq!(
            (&error["code"], &error["providerCode"], &error["retryable"]),
            (&json!("PROVIDER_FAILED"), &json!(code), &json!(false))
        );
    }
    assert_eq!(used(&room).await, counts(0.0, 0.0, 0.0), "nothing has come of them");
    // What passes is tried again, when the provider says.
    room.fake.script([Reply::rate_limited("1"), Reply::picture(&plain(1024, 1536, SEA)).tokens(10, 20)]);
    let made = room.run("visualPostCreate", asked(&gpt(false), &json!({})), DRAWN).await;
    assert_eq!(
        (&made["job"]["status"], &made["job"]["attempts"]),
        (&json!("SUCCEEDED"), &json!(2)),
        "{made:#}"
    );
    assert_eq!(used(&room).await, counts(1.0, 2.0, 30.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_provider_with_image_models_paints() {
    let room = Room::new().await;
    let member = room.member();
    let refused = async |engine: Value, more: Value| {
        let mut input = asked(&engine, &more);
        input["projectId"] = json!(room.acme.project);
        let payload = member.try_mutate("visualPostCreate", input, "job { id }").await;
        let error = &payload["userErrors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&error["code"]), text(&error["field"][1]), text(&error["message"]))
    };
    let claude = json!({"provider": "anthropic", "model": "claude-sonnet-5"});
    for (engine, more, code, field, said) in [
        (claude, json!({}), "PROVIDER_NOT_CONFIGURED", "engine", "has no image models"),
        (json!({"provider": "builtin"}), json!({}), "PROVIDER_NOT_CONFIGURED", "engine", "paints nothing"),
        (Value::Null, json!({}), "PROVIDER_NOT_CONFIGURED", "engine", "paints nothing"),
        (json!({"provider": "openai"}), json!({}), "REQUIRED", "engine", "Name one of its models"),
        (gpt(false), json!({"backgroundPrompt": null}), "REQUIRED", "backgroundPrompt", "Say what it shows"),
        (gpt(false), json!({"backgroundPrompt": " "}), "REQUIRED", "backgroundPrompt", "Say what it shows"),
        (gpt(false), json!({"backgroundPrompt": "x".repeat(1_001)}), "TOO_LONG", "backgroundPrompt", "1000"),
        // What is not painted needs no provider.
        (
            gpt(false),
            json!({"background": "CLOUDS"}),
            "PROVIDER_NOT_CONFIGURED",
            "engine",
            "Leave `engine` out",
        ),
    ] {
        let (found, at, message) = refused(engine.clone(), more.clone()).await;
        assert_eq!((&*found, &*at), (code, field), "{engine} {more} {message}");
        assert!(message.contains(said), "{message}");
    }
    // Where the built-in engine may work instead, it does, and says why.
    let claude = json!({"provider": "anthropic", "model": "claude-sonnet-5", "fallbackToBuiltin": true});
    let made = room.run("visualPostCreate", asked(&claude, &json!({})), DRAWN).await;
    assert_eq!(made["job"]["engine"]["provider"], "builtin", "{made:#}");
    assert!(made["job"]["events"].to_string().contains("has no image models"), "{made:#}");
    assert_eq!(room.fake.requests().len(), 0);

    // A route names the provider for those who name none, and draws the others' slides by itself.
    let route = json!({"organizationId": room.acme.id, "agent": "VISUAL_POST",
        "engine": {"provider": "openai", "model": "gpt-image-1"}});
    room.owner().mutate("engineRouteSet", route, "").await;
    room.fake.script([Reply::picture(&plain(1024, 1536, SEA))]);
    let made = room.run("visualPostCreate", asked(&Value::Null, &json!({})), DRAWN).await;
    assert_eq!(made["job"]["engine"]["model"], "gpt-image-1", "{made:#}");
    let made =
        room.run("visualPostCreate", asked(&Value::Null, &json!({"background": "CLOUDS"})), DRAWN).await;
    assert_eq!(made["job"]["engine"]["provider"], "builtin", "{made:#}");
    assert_eq!(room.fake.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_painted_is_paid_for_once() {
    let fake = FakeProvider::start().await;
    let (mut config, objects) = folder();
    config.providers = fake.endpoints("sk-test-key-of-the-server");
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let room = Room { workers: server.work(), acme, fake, server };
    // The logo is read after the background has been painted, and cannot be at first.
    let logo = room.owner().keep_file(&room.acme, "IMAGE", &plain(64, 64, SEA)).await["id"].clone();
    let paths = listed(&objects);
    let path = Path::new(paths.iter().find(|path| path.contains(logo.as_str().unwrap())).unwrap());
    let (place, away) = (path.parent().unwrap(), objects.join("away"));
    std::fs::rename(place, &away).unwrap();
    std::fs::write(place, "no folder").unwrap();
    room.fake.script([Reply::picture(&plain(1024, 1536, SEA)).tokens(50, 1_584)]);
    let input = asked(&gpt(false), &json!({"projectId": room.acme.project, "logoAssetId": logo}));
    let member = room.member();
    let begun = member.mutate("visualPostCreate", input, "job { id }").await;
    let id = begun["job"]["id"].as_str().unwrap();
    let job = member.job_when(id, |job| job["events"].to_string().contains("\"retrying\"")).await;
    assert!(job["events"].to_string().contains("openai has painted the background."), "{job:#}");
    std::fs::remove_file(place).unwrap();
    std::fs::rename(&away, place).unwrap();
    let job = member.finished(id).await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    assert!(job["attempts"].as_i64().unwrap() >= 2, "{job:#}");
    assert_eq!(room.fake.requests().len(), 1, "nobody was asked twice");
    assert_eq!(job["engine"]["costMicroUsd"], 63_610, "and it is counted once");
    assert_eq!(used(&room).await, counts(1.0, 2.0, 1_634.0));
}

fn limits() -> Limits {
    Limits { making: Duration::from_secs(20), ..Limits::default() }
}

async fn paint(engines: &Engines) -> Result<ImageReply, Failure> {
    let engine = engines.text("openai").unwrap();
    let request =
        ImageRequest { model: "gpt-image-1".to_owned(), prompt: PROMPT.to_owned(), shape: Shape::Square };
    engine.images().unwrap().paint(&request).await
}

#[tokio::test]
async fn an_image_model_is_asked_in_its_providers_own_words() {
    let fake = FakeProvider::start().await;
    let engines = Engines::new(&fake.endpoints("sk-hush"), limits()).unwrap();
    let good = plain(64, 64, SEA);
    fake.script([Reply::picture(&good).tokens(3, 4), Reply::kept_picture(&good)]);
    let reply = paint(&engines).await.unwrap();
    assert_eq!(reply.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4 }));
    assert_eq!((&reply.bytes[..], &*reply.model), (&good[..], "gpt-image-1"));
    // An address is fetched without the key.
    assert_eq!(paint(&engines).await.unwrap().bytes, good);
    let fetched = fake.requests().pop().unwrap();
    assert_eq!((&*fetched.path, fetched.headers.get("authorization")), ("/files/picture", None));

    // A server that does not know a parameter is asked without it; nothing else of the request changes.
    fake.lacks("output_format");
    fake.lacks("quality");
    fake.script([Reply::picture(&good)]);
    let before = fake.requests().len();
    paint(&engines).await.unwrap();
    let requests = fake.requests();
    assert_eq!(requests.len() - before, 3);
    let last = requests.last().unwrap().body.as_object().unwrap();
    assert_eq!(last.keys().collect::<Vec<_>>(), ["model", "n", "prompt", "size"]);

    let fake = FakeProvider::start().await;
    let impatient = Limits { making: Duration::from_millis(300), ..limits() };
    let hurried = Engines::new(&fake.endpoints("sk-hush"), impatient).unwrap();
    fake.script([Reply::picture(&good).slow_headers(Duration::from_secs(30))]);
    let late = paint(&hurried).await.unwrap_err();
    assert_eq!((late.kind, late.retryable()), (Kind::Timeout, true), "{late}");
    // A chat's patience between two pieces is not a painter's.
    let slow = Limits { idle: Duration::from_millis(100), ..limits() };
    let patient = Engines::new(&fake.endpoints("sk-hush"), Limits { connect: slow.idle, ..slow }).unwrap();
    fake.script([Reply::picture(&good).slow_headers(Duration::from_millis(800))]);
    assert_eq!(paint(&patient).await.unwrap().bytes, good);

    fake.script([Reply::rate_limited("20"), Reply::moderated()]);
    let limited = paint(&patient).await.unwrap_err();
    assert_eq!((limited.kind, limited.retry_after()), (Kind::RateLimited, Some(Duration::from_secs(20))));
    let refused = paint(&patient).await.unwrap_err();
    assert_eq!((refused.kind, refused.retryable()), (Kind::Refused, false));
    assert!(refused.message.contains("safety system") && !refused.message.contains("hush"), "{refused}");

    // Anthropic has none.
    assert!(engines.text("anthropic").unwrap().images().is_none());
}

/// Attacks: 132, 135.
#[tokio::test]
async fn a_picture_is_fetched_no_further_than_its_provider_may_lead() {
    let fake = FakeProvider::start().await;
    let good = plain(64, 64, SEA);
    let endpoint = Endpoint { base_url: fake.url().parse().unwrap(), key: Some("sk-hush".into()) };
    let engines = |reach| {
        let engines = Engines::new(&fake.endpoints("sk-hush"), limits()).unwrap().reaching(reach);
        let own = engines.connect(Provider::OpenAi, &endpoint).unwrap();
        engines.with("openai", Some(own))
    };
    // A tenant's own server, where private addresses are allowed.
    let own = engines(Reach::Private);
    fake.script([
        Reply::kept_picture(&good),
        Reply::picture_at("http://169.254.169.254/latest/meta-data"),
        Reply::picture_at("http://user@127.0.0.1:1/picture.png"),
        Reply::picture_at("gopher://127.0.0.1/picture.png"),
    ]);
    assert_eq!(paint(&own).await.unwrap().bytes, good);
    for kind in [Kind::Rejected, Kind::Unavailable, Kind::Rejected] {
        let refused = paint(&own).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{refused}");
    }
    // And where they are not, it is not even asked.
    let before = fake.requests().len();
    assert_eq!(paint(&engines(Reach::Public)).await.unwrap_err().kind, Kind::Rejected);
    assert_eq!(fake.requests().len(), before);
}
