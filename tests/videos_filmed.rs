//! Clips that a provider's model films: asked for once however often the job is tried, and what becomes of every fault.

use std::time::{Duration, Instant};

use aicos::engine::footage::{Aspect, FootageRequest, Ticket};
use aicos::engine::{Engines, Failure, Kind, Limits, Provider, Reach};
use serde_json::{Value, json};

use crate::support::files;
use crate::support::fixture::uuid;
use crate::support::provider::Reply;
use crate::support::studio::{CLIP, Delivery, FakeStudio, KEY, MODEL, Take};
use crate::support::work::{PATIENCE, Room};
use crate::videos::{color, has_ffmpeg, recording};

const FILM: &str = "query($id: ID!) { job(id: $id) { status attempts error { code message field
        ... on ProviderError { provider providerCode retryable } }
    engine { provider model promptTokens completionTokens costMicroUsd } events { kind message data }
    result { ... on Video { id notes video { url } narrator { provider model }
        footage { provider model prompt asset { id kind url mimeType bytes altText } } } } } }";

/// A room whose organization has a provider that films.
async fn studio() -> (Room, FakeStudio) {
    let (room, studio) = (Room::reaching(Reach::Private).await, FakeStudio::start().await);
    set_up(&room, &studio, "studio", KEY).await;
    (room, studio)
}

async fn set_up(room: &Room, studio: &FakeStudio, name: &str, key: &str) -> Value {
    let input = json!({"organizationId": room.acme.id, "name": name, "kind": "REPLICATE",
        "baseUrl": studio.url(), "model": MODEL, "key": key});
    room.owner().mutate("providerCreate", input, "provider { id kind model }").await["provider"].clone()
}

fn asked(room: &Room, prompt: &str, more: &Value) -> Value {
    let mut asked = json!({"projectId": room.acme.project, "size": "REEL_SMALL", "durationSeconds": 3, "seed": 7,
        "scenes": ["Ruhe."], "footage": {"prompt": prompt, "engine": {"provider": "studio"}}});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

async fn begin(room: &Room, prompt: &str, more: &Value) -> String {
    let started = room.member().mutate("videoGenerate", asked(room, prompt, more), "job { id }").await;
    started["job"]["id"].as_str().unwrap().to_owned()
}

async fn film(room: &Room, prompt: &str, more: &Value) -> Value {
    ended(room, &begin(room, prompt, more).await).await
}

/// A job, once it has ended. Whoever films has time, and an organization may ask only so much in a minute.
async fn ended(room: &Room, id: &str) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let job = room.member().ok(FILM, json!({"id": id})).await["job"].clone();
        if ["SUCCEEDED", "FAILED", "CANCELLED"].contains(&job["status"].as_str().unwrap()) {
            return job;
        }
        assert!(Instant::now() < end, "waited too long: {job:#}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn working(logs: &str) -> Value {
    json!({"status": "processing", "logs": logs})
}

/// Takes a job away from the worker that has it, as the sweep does with one that gives no sign of life.
async fn lose(room: &Room, job: &str) {
    let mut superuser = room.server.database.superuser().await;
    sqlx::query(
        "update jobs set lease_until = now() - interval '1 second', attempts = attempts + 1 where id = $1",
    )
    .bind(uuid(job))
    .execute(&mut superuser)
    .await
    .unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_filmed_by_words_and_moves_behind_the_texts() {
    let (room, studio) = studio().await;
    let bar = " 40%|████      | 20/50 [00:09<00:14]";
    studio.script("a lake", [Take::clip().after([json!({"status": "starting"}), working(bar)])]);
    let made = film(&room, "a lake", &json!({})).await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let engine = json!({"provider": "studio", "model": MODEL, "promptTokens": null, "completionTokens": null,
        "costMicroUsd": null});
    assert_eq!(made["engine"], engine, "nobody knows its price here");
    let footage = &made["result"]["footage"];
    assert_eq!(
        (&footage["provider"], &footage["model"], &footage["prompt"]),
        (&json!("studio"), &json!(MODEL), &json!("a lake"))
    );
    let asset = &footage["asset"];
    assert_eq!(
        (&asset["kind"], &asset["mimeType"], &asset["bytes"], &asset["altText"]),
        (&json!("VIDEO"), &json!("video/mp4"), &json!(CLIP.len()), &json!("a lake"))
    );
    assert_eq!(files::get(&room.server, asset["url"].as_str().unwrap()).await.body, CLIP);
    assert_eq!(
        made["result"]["notes"],
        json!([
            "The clip of scene 1 has fewer pixels than the film and looks soft.",
            "The clip of scene 1 lasts 1.0 seconds, less than the scene, and begins again."
        ])
    );
    if has_ffmpeg() {
        let kept = |name: &str, bytes: &[u8]| {
            let file = crate::support::config().data_dir.join(name);
            std::fs::write(&file, bytes).unwrap();
            file
        };
        let film = files::get(&room.server, made["result"]["video"]["url"].as_str().unwrap()).await.body;
        let (clip, film) = (kept("footage.mp4", CLIP), kept("film-of-footage.mp4", &film));
        // Above the text the film is the clip, and it begins again.
        let top = |file, seconds| color(file, seconds, "crop=iw:ih/4:0:0");
        for (at, moment) in [("0.2", "0.2"), ("0.8", "0.8"), ("1.5", "0.5")] {
            let pairs = top(&film, at).into_iter().zip(top(&clip, moment));
            assert!(pairs.clone().all(|(seen, filmed)| seen.abs_diff(filmed) < 12), "{at}: {pairs:?}");
        }
    }
    let told = made["events"].to_string();
    for said in [
        "Asks studio to film.",
        "waits for its turn at studio",
        "40 % are done",
        "studio has filmed the footage.",
    ] {
        assert!(told.contains(said), "{said}: {made:#}");
    }
    assert!(!told.contains("r8_"), "{told}");

    let requests = studio.requests();
    let paths: Vec<&str> = requests.iter().map(|seen| seen.path.as_str()).collect();
    let id = studio.made()[0].id.clone();
    let look = format!("GET /v1/predictions/{id}");
    let file = format!("GET /files/{id}?sig=abc");
    assert_eq!(paths, ["POST /v1/models/acme/camera-2.1/predictions", &look, &look, &look, &file]);
    let input = json!({"prompt": "a lake", "duration": 5, "aspect_ratio": "9:16", "seed": 7});
    assert_eq!(requests[0].body, json!({"input": input}));
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(requests[0].headers["cancel-after"], "15m");
    assert!(!requests[4].headers.contains_key("authorization"), "the key goes nowhere else");

    // It is the video's own, and goes with it.
    let owner = room.owner();
    let part = asset["id"].as_str().unwrap();
    assert_eq!(owner.fault("assetDelete", json!({"id": part})).await, "CONFLICT");
    owner.mutate("outputDelete", json!({"id": made["result"]["id"]}), "deletedOutputId").await;
    assert_eq!(owner.asset(part).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_asked_for_once_however_often_its_job_is_tried() {
    let (room, studio) = studio().await;
    let none = json!({});
    // What is made is fetched until it is there, and nothing is made while there are too many requests.
    let cut = Take::clip().files([Delivery::Cut, Delivery::Whole(CLIP.into())]);
    let interrupted = Take::failed("Prediction interrupted; please retry (code: PA)");
    let scripts = [
        ("slow", vec![Take::clip().after(std::iter::repeat_n(working(""), 4))], 1),
        ("lost", vec![Take::clip().lost()], 1),
        ("limited", vec![Take::rate_limited("1"), Take::clip()], 1),
        ("cut", vec![cut], 1),
        // What the provider has broken off itself is asked for again.
        ("interrupted", vec![interrupted, Take::clip()], 2),
    ];
    let mut begun = Vec::new();
    for (prompt, takes, count) in scripts {
        studio.script(prompt, takes);
        begun.push((prompt, begin(&room, prompt, &none).await, count));
    }
    // The worker of the first is lost while the clip is made.
    until("it is looked at", || studio.made_of("slow").first().is_some_and(|made| made.looks > 0)).await;
    lose(&room, &begun[0].1).await;
    for (prompt, job, count) in begun {
        let made = ended(&room, &job).await;
        assert_eq!(made["status"], "SUCCEEDED", "{prompt}: {made:#}");
        assert!(made["attempts"].as_i64() >= Some(2), "{prompt}: {made:#}");
        assert_eq!(studio.made_of(prompt).len(), count, "{prompt}");
        assert_eq!(made["result"]["footage"]["asset"]["bytes"], CLIP.len(), "{prompt}: {made:#}");
        let noted = |kind: &str| {
            made["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).count()
        };
        assert_eq!((noted("footage_counted"), noted("filmed")), (1, 1), "{prompt}: {made:#}");
    }
    // Whoever is lost does not speak for the job.
    assert_eq!(studio.asked("/cancel"), 0);

    // Where it stands may be unknown for a while, in one attempt.
    studio.script("silent", [Take::clip()]);
    studio.fails_to_tell(2);
    let made = film(&room, "silent", &none).await;
    assert_eq!((&made["status"], &made["attempts"]), (&json!("SUCCEEDED"), &json!(1)), "{made:#}");
    assert_eq!(studio.made_of("silent").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_that_nobody_wants_any_more_is_cancelled_and_so_is_one_that_takes_too_long() {
    let (room, studio) = studio().await;
    let (member, none) = (room.member(), json!({}));
    studio.script("unwanted", [Take::never()]);
    let job = begin(&room, "unwanted", &none).await;
    until("it is looked at", || studio.made_of("unwanted").first().is_some_and(|made| made.looks > 0)).await;
    member.mutate("jobCancel", json!({"id": job}), "").await;
    assert_eq!(member.finished(&job).await["status"], "CANCELLED");
    until("it is cancelled", || studio.made_of("unwanted")[0].is_cancelled).await;

    // It was asked for sixteen minutes ago, and is not there.
    studio.script("late", [Take::never()]);
    let job = begin(&room, "late", &none).await;
    until("it is looked at", || studio.made_of("late").first().is_some_and(|made| made.looks > 0)).await;
    let mut superuser = room.server.database.superuser().await;
    let moved = sqlx::query(
        "update job_events set at = at - interval '16 minutes' where job_id = $1 and kind = 'footage_asked'",
    )
    .bind(uuid(&job))
    .execute(&mut superuser)
    .await
    .unwrap();
    assert_eq!(moved.rows_affected(), 1);
    lose(&room, &job).await;
    let made = ended(&room, &job).await;
    let error = &made["error"];
    assert_eq!((&made["status"], &error["code"]), (&json!("FAILED"), &json!("PROVIDER_FAILED")), "{made:#}");
    assert!(error["message"].as_str().unwrap().contains("within 15 minutes"), "{made:#}");
    assert!(studio.made_of("late")[0].is_cancelled);
    assert_eq!(studio.made().len(), 2);
}

/// Attacks: 132, 135.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_provider_leaves_a_film_without_footage_where_that_is_allowed() {
    let (room, studio) = studio().await;
    set_up(&room, &studio, "stranger", "r8_another_key_0123456789").await;
    let sensitive = "The input or output was flagged as sensitive. (E005)";
    let faults = [
        (
            "credit",
            Take::refused(402, "Insufficient credit", "You have insufficient credit."),
            "no credit left",
        ),
        ("limit", Take::rate_limited("20"), "too many requests"),
        (
            "version",
            Take::refused(422, "Invalid version or not permitted", "It does not exist"),
            "It does not exist",
        ),
        ("broken", Take::refused(500, "Internal server error", "oops"), "an error of its own"),
        ("failed", Take::failed("CUDA out of memory (E1001)"), "It says: CUDA out of memory"),
        ("sensitive", Take::failed(sensitive), "refuses to answer this"),
        ("canceled", Take::ended("canceled"), "was cancelled at the provider studio"),
        ("aborted", Take::ended("aborted"), "has not begun with the footage"),
        ("text", Take::output(&json!("A lake, in words.")), "something else than footage"),
        ("nothing", Take::output(&Value::Null), "something else than footage"),
        ("page", Take::clip().files([Delivery::Whole("<html></html>".into())]), "is no MP4"),
        (
            "damaged",
            Take::clip().files([Delivery::Whole(CLIP[..CLIP.len() / 2].into())]),
            "The footage of studio cannot be used",
        ),
        ("huge", Take::clip().files([Delivery::Long((200 << 20) + 1)]), "is larger than any clip"),
        ("moved", Take::clip().files([Delivery::Redirect]), "is said to be elsewhere"),
        ("gone", Take::clip().files([Delivery::Gone]), "cannot be fetched"),
        ("inside", Take::at("http://10.0.0.1/clip.mp4"), "is at no public address"),
        ("metadata", Take::at("http://169.254.169.254/latest/meta-data"), "is at no public address"),
        ("file", Take::at("file:///etc/passwd"), "is at no public address"),
        ("key", Take::clip(), "does not accept the API key"),
    ];
    let mut begun = Vec::new();
    for (prompt, take, said) in faults {
        studio.script(prompt, [take]);
        let provider = if prompt == "key" { "stranger" } else { "studio" };
        let engine = json!({"provider": provider, "fallbackToBuiltin": true});
        let more = json!({"footage": {"prompt": prompt, "engine": engine}});
        begun.push((prompt, said, begin(&room, prompt, &more).await));
    }
    for (prompt, said, job) in begun {
        let made = ended(&room, &job).await;
        assert_eq!(
            (&made["status"], &made["attempts"], &made["engine"]["provider"]),
            (&json!("SUCCEEDED"), &json!(1), &json!("builtin")),
            "{prompt}: {made:#}"
        );
        assert_eq!(made["result"]["footage"], Value::Null, "{prompt}");
        assert!(made["result"]["notes"].to_string().contains("the film has no footage"), "{made:#}");
        let events = made["events"].as_array().unwrap();
        let fallen = events.iter().find(|event| event["kind"] == "fallback").unwrap();
        assert!(fallen["message"].as_str().unwrap().contains(said), "{said}: {fallen:#}");
        let whole = made.to_string();
        assert!(!whole.contains("r8_") && !whole.contains("10.0.0.1"), "{whole}");
    }

    // Without leave to go on, the fault is the job's.
    studio.script("refused", [Take::failed(sensitive)]);
    let made = film(&room, "refused", &json!({})).await;
    let error = &made["error"];
    assert_eq!(
        (&made["status"], &error["code"], &error["providerCode"], &error["retryable"]),
        (&json!("FAILED"), &json!("PROVIDER_FAILED"), &json!("E005"), &json!(false)),
        "{made:#}"
    );
    assert_eq!(studio.made_of("refused").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_provider_films_what_another_one_speaks_and_nothing_else() {
    let (room, studio) = studio().await;
    let member = room.member();
    let refused = async |more: &Value| {
        let payload = member.try_mutate("videoGenerate", asked(&room, "a lake", more), "job { id }").await;
        let error = payload["userErrors"][0].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let field: Vec<String> = error["field"].as_array().into_iter().flatten().map(text).collect();
        (text(&error["code"]), field.join("."), text(&error["message"]))
    };
    let footage = |engine: Value| json!({"footage": {"prompt": "a lake", "engine": engine}});
    let own = json!({"provider": "studio"});
    let missing = "PROVIDER_NOT_CONFIGURED";
    for (more, code, field, said) in [
        (footage(Value::Null), missing, "input.engine.provider", "does not film"),
        (footage(json!({"provider": "builtin"})), missing, "input.footage.engine.provider", "does not film"),
        (
            footage(json!({"provider": "openai", "model": "m"})),
            missing,
            "input.footage.engine.provider",
            "no models that film",
        ),
        (
            footage(json!({"provider": "nobody", "model": "m"})),
            missing,
            "input.footage.engine.provider",
            "no provider",
        ),
        (
            footage(json!({"provider": "replicate", "model": "m"})),
            missing,
            "input.footage.engine.provider",
            "providerCreate",
        ),
        (json!({"footage": {"prompt": " ", "engine": own}}), "REQUIRED", "input.footage.prompt", "Say what"),
        (
            json!({"footage": {"prompt": "x", "engine": own}, "assetIds": [aicos::id::AssetId::generate()]}),
            "INVALID",
            "input.footage",
            "there is none",
        ),
        (
            json!({"footage": {"prompt": "x".repeat(1_001), "engine": own}}),
            "TOO_LONG",
            "input.footage.prompt",
            "1000",
        ),
        (
            json!({"footage": {"prompt": "x", "seconds": 2, "engine": own}}),
            "OUT_OF_RANGE",
            "input.footage.seconds",
            "from 3 to 10",
        ),
        (
            json!({"footage": {"prompt": "x", "seconds": 11, "engine": own}}),
            "OUT_OF_RANGE",
            "input.footage.seconds",
            "from 3 to 10",
        ),
        // Who only films speaks nothing, and who only speaks films nothing.
        (
            json!({"narration": {"voice": "marin"}, "engine": own}),
            missing,
            "input.engine.provider",
            "no speech models",
        ),
        (
            json!({"narration": {"voice": "marin"}, "engine": {"provider": "openai", "model": "tts-1"},
                "footage": {"prompt": "a lake"}}),
            missing,
            "input.engine.provider",
            "no models that film",
        ),
        // What nobody films needs no provider.
        (json!({"footage": null, "engine": own}), missing, "input.engine.provider", "Leave `engine` out"),
    ] {
        let (found, at, message) = refused(&more).await;
        assert_eq!((&*found, &*at), (code, field), "{more} {message}");
        assert!(message.contains(said), "{said}: {message}");
    }
    // What a post's pictures are behind of only the job knows; then nothing is filmed for it.
    let photo = crate::support::files::png(80, 60);
    let photo = room.owner().keep_file(&room.acme, "IMAGE", &photo).await["id"].clone();
    let post = json!({"brief": "Am Morgen atmest du zehn Minuten lang ruhig. Danach gehst du ohne Eile los.", "channels": ["X"], "assetIds": [photo]});
    let post = room.run("postCompose", post, "post { id }").await["post"]["id"].clone();
    let shown = film(&room, "a hill", &json!({"scenes": null, "postId": post})).await;
    let error = &shown["error"];
    assert_eq!(
        (&error["code"], &error["field"]),
        (&json!("INVALID"), &json!(["input", "footage"])),
        "{shown:#}"
    );
    assert!(studio.made_of("a hill").is_empty());
    let text =
        json!({"projectId": room.acme.project, "text": "Morning yoga", "language": "EN", "engine": own});
    let question = json!({"organizationId": room.acme.id, "question": "When?", "engine": own});
    let picture = json!({"projectId": room.acme.project, "text": "Ja.", "background": "GENERATED",
        "backgroundPrompt": "a lake", "engine": own});
    for (mutation, input, said) in [
        ("hashtagResearch", text, "film and do not write"),
        ("qaAsk", question, "film and do not write"),
        ("visualPostCreate", picture, "has no image models"),
    ] {
        let payload = member.try_mutate(mutation, input, "job { id }").await;
        let error = &payload["userErrors"][0];
        assert_eq!(error["code"], missing, "{payload:#}");
        assert!(error["message"].as_str().unwrap().contains(said), "{payload:#}");
    }
    let route = |agent: &str| json!({"organizationId": room.acme.id, "agent": agent, "engine": own});
    assert_eq!(room.owner().fault("engineRouteSet", route("QA")).await, missing);
    assert_eq!((studio.requests().len(), room.fake.requests().len()), (0, 0));

    // Both in one film.
    studio.script("a lake", [Take::clip().listed(), Take::clip()]);
    room.fake.script([Reply::recording(&recording(440.0, 0.5, 1.0))]);
    let both = json!({"narration": {"voice": "marin"}, "engine": {"provider": "openai", "model": "tts-1"}});
    let made = film(&room, "a lake", &both).await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let engine = &made["engine"];
    assert_eq!(
        (&engine["provider"], &engine["model"], &engine["costMicroUsd"]),
        (&json!("openai"), &json!("tts-1"), &Value::Null),
        "what both cost together is not known: {made:#}"
    );
    assert_eq!(made["result"]["narrator"]["provider"], "openai");
    assert_eq!(made["result"]["footage"]["provider"], "studio");

    // A route films for those who name nobody.
    room.owner().mutate("engineRouteSet", route("VIDEO"), "").await;
    let made = film(&room, "a lake", &json!({"footage": {"prompt": "a lake", "seconds": 8}})).await;
    assert_eq!(made["result"]["footage"]["provider"], "studio", "{made:#}");
    assert_eq!(studio.made_of("a lake")[1].input["duration"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_films_is_looked_for_and_nothing_is_paid() {
    let (room, studio) = studio().await;
    let own = set_up(&room, &studio, "second", KEY).await;
    assert_eq!((&own["kind"], &own["model"]), (&json!("REPLICATE"), &json!(MODEL)));
    let stranger = set_up(&room, &studio, "stranger", "r8_another_key_0123456789").await;
    let test = async |id: &Value, model: &str| {
        let input = json!({"id": id, "model": model});
        room.owner().mutate("providerTest", input, "test { outcome message model }").await["test"].clone()
    };
    let answered =
        |model: &str| json!({"outcome": "ANSWERED", "message": "The model answers.", "model": model});
    assert_eq!(test(&own["id"], MODEL).await, answered(MODEL));
    let pinned = format!("{MODEL}:9dcd6d78e7");
    assert_eq!(test(&own["id"], &pinned).await, answered(&pinned));
    for (id, model, outcome, said) in [
        (&own["id"], "acme/piano", "REJECTED", "has no model `acme/piano`"),
        (&own["id"], "camera", "REJECTED", "`owner/name`"),
        (&own["id"], "acme/../../admin", "REJECTED", "is no model of the provider"),
        (&stranger["id"], MODEL, "AUTHENTICATION_FAILED", "does not accept the API key"),
    ] {
        let test = test(id, model).await;
        assert_eq!(test["outcome"], outcome, "{test:#}");
        assert!(test["message"].as_str().unwrap().contains(said), "{test:#}");
    }
    assert_eq!(studio.made().len(), 0);
    assert_eq!(studio.requests().len(), 4, "what is no name is not asked for");
}

fn request(aspect: Aspect) -> FootageRequest {
    FootageRequest { model: MODEL.to_owned(), prompt: "a lake".to_owned(), seconds: 6, aspect, seed: Some(7) }
}

async fn submit(studio: &FakeStudio, request: FootageRequest) -> Result<Ticket, Failure> {
    let engines = Engines::new(&aicos::engine::Endpoints::default(), Limits::default()).unwrap();
    let engines = engines.reaching(Reach::Private);
    let engine = engines.connect(Provider::Replicate, &studio.endpoint()).unwrap();
    engine.footage().unwrap().submit(&request).await
}

#[tokio::test]
async fn a_model_is_told_what_it_knows_and_no_more() {
    let studio = FakeStudio::start().await;
    studio.script("a lake", std::iter::repeat_n(Take::clip(), 4));
    // It has other lengths, other shapes and no seed.
    studio.takes("duration", [json!(5), json!(10)]);
    studio.takes("aspect_ratio", [json!("16:9"), json!("9:16"), json!("3:4")]);
    studio.takes("seed", []);
    submit(&studio, request(Aspect::Portrait)).await.unwrap();
    assert_eq!(studio.requests().len(), 4);
    assert_eq!(studio.made()[0].input, json!({"prompt": "a lake", "aspect_ratio": "3:4"}));
    // It has no square at all.
    submit(&studio, request(Aspect::Square)).await.unwrap();
    assert_eq!(studio.made()[1].input, json!({"prompt": "a lake"}));
    // A version is asked elsewhere.
    let version = FootageRequest { model: format!("{MODEL}:9dcd6d78e7"), ..request(Aspect::Upright) };
    submit(&studio, version).await.unwrap();
    let last = studio.requests().pop().unwrap();
    assert_eq!(last.path, "POST /v1/predictions");
    assert_eq!(last.body["version"], format!("{MODEL}:9dcd6d78e7"));
    assert_eq!(studio.made()[2].input, json!({"prompt": "a lake", "aspect_ratio": "9:16"}));

    // What no model takes is the caller's to put right.
    studio.takes("prompt", [json!("a sea")]);
    let refused = submit(&studio, request(Aspect::Upright)).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Rejected, "{refused}");
    assert!(refused.message.contains("prompt must be one of"), "{refused}");
    let count = studio.requests().len();
    let nameless = FootageRequest { model: "camera".to_owned(), ..request(Aspect::Upright) };
    assert_eq!(submit(&studio, nameless).await.unwrap_err().kind, Kind::Rejected);
    assert_eq!((studio.requests().len(), studio.made().len()), (count, 3));
}
