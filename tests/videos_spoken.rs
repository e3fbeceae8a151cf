//! Films whose texts a provider's model speaks: in time with the pictures, paid for once, and what becomes of every fault.

use std::time::Duration;

use aicos::engine::speech::{SpeechReply, SpeechRequest};
use aicos::engine::{Engines, Failure, Kind, Limits, Reach};
use serde_json::{Value, json};

use crate::support::files;
use crate::support::provider::{FakeProvider, Reply, VOICE};
use crate::support::work::Room;
use crate::videos::{has_ffmpeg, level, probe, recording, sound};

const FILM: &str = "query($id: ID!) { job(id: $id) { status attempts error { code message field
        ... on ProviderError { provider providerCode retryable } }
    engine { provider model promptTokens completionTokens costMicroUsd } events { kind message }
    result { ... on Video { id durationSeconds hasSound notes narrator { provider model voice } video { id url }
        scenes { text startSeconds endSeconds recording { id url mimeType durationSeconds altText } } } } } }";

fn speaker(model: &str, fallback: bool) -> Value {
    json!({"provider": "openai", "model": model, "fallbackToBuiltin": fallback})
}

fn asked(room: &Room, engine: &Value, more: &Value) -> Value {
    let mut asked = json!({"projectId": room.acme.project, "size": "REEL_SMALL", "durationSeconds": 3, "seed": 7,
        "scenes": ["Ich atme.", "Ich ruhe."], "narration": {"voice": "marin"}, "engine": engine});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

async fn film(room: &Room, engine: &Value, more: &Value) -> Value {
    let member = room.member();
    let started = member.mutate("videoGenerate", asked(room, engine, more), "job { id }").await;
    let id = started["job"]["id"].as_str().unwrap();
    member.finished(id).await;
    member.ok(FILM, json!({"id": id})).await["job"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_says_its_texts_while_it_shows_them() {
    let room = Room::new().await;
    let spoken = [recording(440.0, 0.5, 1.5), recording(880.0, 0.5, 2.6)];
    room.fake.script(spoken.iter().map(|file| Reply::recording(file)));
    let more = json!({"narration": {"voice": "marin", "instructions": "Calm and slow."}});
    let made = film(&room, &speaker("tts-1", false), &more).await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    // 18 characters at $15 for a million.
    let engine = json!({"provider": "openai", "model": "tts-1", "promptTokens": null, "completionTokens": null,
        "costMicroUsd": 270});
    assert_eq!(made["engine"], engine);
    let video = &made["result"];
    let narrator = json!({"provider": "openai", "model": "tts-1", "voice": "marin"});
    assert_eq!(
        (&video["narrator"], &video["hasSound"], &video["notes"]),
        (&narrator, &json!(true), &json!([]))
    );
    // As long as both take: 0.3 + 1.5 + 0.4 and 0.3 + 2.6 + 0.4.
    let seconds = video["durationSeconds"].as_f64().unwrap();
    assert!((seconds - 5.5).abs() < 0.05, "{video:#}");
    let scenes = video["scenes"].as_array().unwrap();
    for (scene, (text, length)) in scenes.iter().zip([("Ich atme.", 1.5), ("Ich ruhe.", 2.6)]) {
        let recording = &scene["recording"];
        assert_eq!(
            (&scene["text"], &recording["altText"], &recording["mimeType"]),
            (&json!(text), &json!(text), &json!("audio/wav"))
        );
        assert!((recording["durationSeconds"].as_f64().unwrap() - length).abs() < 0.01, "{recording:#}");
    }
    let asked: Vec<Value> = room.fake.requests().into_iter().map(|seen| seen.body).collect();
    let body = |text: &str| {
        json!({"model": "tts-1", "voice": "marin", "input": text, "response_format": "mp3",
            "instructions": "Calm and slow."})
    };
    assert_eq!(asked, [body("Ich atme."), body("Ich ruhe.")]);
    let seen = room.fake.requests().pop().unwrap();
    assert_eq!(
        (&*seen.path, &seen.headers["authorization"]),
        ("/v1/audio/speech", &"Bearer sk-test-key-of-the-server".parse().unwrap())
    );

    if has_ffmpeg() {
        let file = crate::support::config().data_dir.join("spoken-film.mp4");
        let bytes = files::get(&room.server, video["video"]["url"].as_str().unwrap()).await.body;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(probe(&file)["streams"].as_array().unwrap().len(), 2);
        let heard = sound(&file);
        for (at, hz, is_heard) in [
            (0.1, 440.0, false),
            (0.5, 440.0, true),
            (1.6, 440.0, true),
            (2.0, 440.0, false),
            (2.3, 880.0, false),
            (2.7, 880.0, true),
            (4.9, 880.0, true),
            (5.3, 880.0, false),
        ] {
            let level = level(&heard, at, hz);
            assert!(if is_heard { level > 0.4 } else { level < 0.05 }, "{hz} Hz at {at} s: {level}");
        }
    }
    // The recordings are the video's own, and go with it.
    let owner = room.owner();
    let part = scenes[0]["recording"]["id"].as_str().unwrap();
    assert_eq!(owner.fault("assetDelete", json!({"id": part})).await, "CONFLICT");
    owner.mutate("outputDelete", json!({"id": video["id"]}), "deletedOutputId").await;
    assert_eq!(owner.asset(part).await, Value::Null);

    // What is said twice is spoken once, and a model whose price is not known has no cost.
    room.fake.script([Reply::recording(include_bytes!("../src/render/videos/recordings/speech.mp3"))]);
    let made = film(&room, &speaker("gpt-4o-mini-tts", false), &json!({"scenes": ["Ja.", "Ja."]})).await;
    assert_eq!(
        (&made["status"], &made["engine"]["costMicroUsd"]),
        (&json!("SUCCEEDED"), &Value::Null),
        "{made:#}"
    );
    let scenes = &made["result"]["scenes"];
    assert_eq!(scenes[0]["recording"]["id"], scenes[1]["recording"]["id"]);
    assert_eq!(scenes[0]["recording"]["mimeType"], "audio/mpeg", "{scenes:#}");
    assert_eq!(room.fake.left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_spoken_is_paid_for_once() {
    let room = Room::new().await;
    let [first, second] = [recording(440.0, 0.5, 1.0), recording(880.0, 0.5, 1.0)];
    room.fake.script([Reply::recording(&first), Reply::rate_limited("1"), Reply::recording(&second)]);
    let made = film(&room, &speaker("tts-1-hd", false), &json!({})).await;
    assert_eq!((&made["status"], &made["attempts"]), (&json!("SUCCEEDED"), &json!(2)), "{made:#}");
    let said: Vec<Value> = room.fake.requests().iter().map(|seen| seen.body["input"].clone()).collect();
    assert_eq!(said, ["Ich atme.", "Ich ruhe.", "Ich ruhe."], "the first is not asked for again");
    assert_eq!(made["engine"]["costMicroUsd"], 540, "and it is counted once");
    let told = |text: &str| {
        made["events"].as_array().unwrap().iter().filter(|event| event["message"] == text).count()
    };
    assert_eq!(
        [1, 2].map(|scene| told(&format!("openai has spoken scene {scene} of 2."))),
        [1, 1],
        "{made:#}"
    );
    let noted = made["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "spoken").count();
    assert_eq!(noted, 2, "{made:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_provider_leaves_a_silent_film_where_that_is_allowed() {
    let room = Room::new().await;
    let good = recording(440.0, 0.5, 1.0);
    let faults = [
        (Reply::insufficient_quota(), "no credit left"),
        (Reply::unauthorized("sk-abc"), "does not accept the API key"),
        (Reply::server_error(), "an error of its own"),
        (Reply::raw(200, "application/json", "{\"error\": {\"message\": \"no\"}}"), "is no recording"),
        (Reply::raw(200, "audio/mpeg", ""), "is no recording"),
        (
            Reply::recording(&crate::visuals::plain(9, 9, aicos::agents::visuals::builtin::Color::BLACK)),
            "is no recording",
        ),
        (Reply::recording(&good[..good.len() / 2]), "it is damaged"),
        (Reply::recording(&recording(440.0, 0.0, 1.0)), "there is nothing to hear in it"),
        (Reply::recording(&[&good[..], &vec![0; 17 << 20]].concat()), "is larger than any answer"),
        (Reply::raw(302, "text/plain", ""), "a redirect"),
    ];
    for (fault, said) in faults {
        room.fake.script([fault]);
        let made = film(&room, &speaker("tts-1", true), &json!({"scenes": ["Ich atme."]})).await;
        assert_eq!(
            (&made["status"], &made["engine"]["provider"]),
            (&json!("SUCCEEDED"), &json!("builtin")),
            "{said}: {made:#}"
        );
        // Nine characters that were spoken, whatever can be heard of it.
        let spoken = ["it is damaged", "there is nothing to hear in it"].contains(&said);
        let cost = if spoken { json!(9 * 15) } else { Value::Null };
        assert_eq!(made["engine"]["costMicroUsd"], cost, "{said}: {made:#}");
        let video = &made["result"];
        assert_eq!(
            (&video["hasSound"], &video["narrator"], &video["scenes"][0]["recording"]),
            (&json!(false), &Value::Null, &Value::Null)
        );
        assert!(video["notes"].to_string().contains("the film has no voice"), "{video:#}");
        let events = made["events"].as_array().unwrap();
        let fallen = events.iter().find(|event| event["kind"] == "fallback").unwrap();
        assert!(fallen["message"].as_str().unwrap().contains(said), "{said}: {fallen:#}");
        assert!(!made.to_string().contains("sk-"), "{made}");
    }
    assert_eq!(room.fake.left(), 0);

    // Without leave to go on, the fault is the job's, in the provider's own words.
    let made = film(&room, &speaker("tts-1", false), &json!({"narration": {"voice": "bella"}})).await;
    let error = &made["error"];
    assert_eq!(
        (&made["status"], &error["code"], &error["retryable"]),
        (&json!("FAILED"), &json!("PROVIDER_FAILED"), &json!(false)),
        "{made:#}"
    );
    assert!(error["message"].as_str().unwrap().contains("one of 'alloy', 'cedar'"), "{made:#}");
    // More than a film can say: nobody pays for the third text.
    room.fake.script([
        Reply::recording(&recording(440.0, 0.5, 40.0)),
        Reply::recording(&recording(880.0, 0.5, 30.0)),
    ]);
    let long = json!({"scenes": ["Ich atme.", "Ich ruhe.", "Ich schlafe."]});
    let made = film(&room, &speaker("tts-1", true), &long).await;
    assert_eq!(room.fake.left(), 0);
    assert_eq!(
        (&made["error"]["code"], &made["error"]["field"]),
        (&json!("INVALID"), &json!(["input", "scenes"])),
        "{made:#}"
    );
    assert!(made["error"]["message"].as_str().unwrap().contains("shorten them"), "{made:#}");
    let seconds = "{ organization { usage { metrics { kind used } } } }";
    let seen = room.owner().ok(seconds, json!({})).await;
    let metrics = seen["organization"]["usage"]["metrics"].as_array().unwrap();
    let used = metrics.iter().find(|metric| metric["kind"] == "VIDEO_SECONDS").unwrap();
    assert_eq!(
        used["used"],
        json!(30.0),
        "ten films of three seconds, and nothing is held for those that failed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_provider_with_speech_models_speaks() {
    let room = Room::new().await;
    let member = room.member();
    let refused = async |engine: &Value, more: &Value| {
        let payload = member.try_mutate("videoGenerate", asked(&room, engine, more), "job { id }").await;
        let error = &payload["userErrors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&error["code"]), text(&error["field"][1]), text(&error["message"]))
    };
    let tts = speaker("tts-1", false);
    let claude = json!({"provider": "anthropic", "model": "claude-sonnet-5"});
    let voice = aicos::id::AssetId::generate();
    for (engine, more, code, field, said) in [
        (&claude, json!({}), "PROVIDER_NOT_CONFIGURED", "engine", "has no speech models"),
        (&json!({"provider": "builtin"}), json!({}), "PROVIDER_NOT_CONFIGURED", "engine", "does not speak"),
        (&Value::Null, json!({}), "PROVIDER_NOT_CONFIGURED", "engine", "does not speak"),
        (&tts, json!({"narration": {"voice": " "}}), "REQUIRED", "narration", "voice"),
        (&tts, json!({"narration": {"voice": "x".repeat(101)}}), "TOO_LONG", "narration", "100"),
        (
            &tts,
            json!({"narration": {"voice": "nova", "instructions": "x".repeat(501)}}),
            "TOO_LONG",
            "narration",
            "500",
        ),
        (&tts, json!({"voiceOverAssetId": voice}), "INVALID", "narration", "one voice"),
        // What nobody says needs no provider.
        (&tts, json!({"narration": null}), "PROVIDER_NOT_CONFIGURED", "engine", "Leave `engine` out"),
    ] {
        let (found, at, message) = refused(engine, &more).await;
        assert_eq!((&*found, &*at), (code, field), "{engine} {more} {message}");
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(room.fake.requests().len(), 0);

    // A route speaks for those who name none. Pictures without texts have nothing to say.
    let route = json!({"organizationId": room.acme.id, "agent": "VIDEO", "engine": {"provider": "openai", "model": "tts-1"}});
    room.owner().mutate("engineRouteSet", route, "").await;
    room.fake.script([Reply::recording(&recording(440.0, 0.5, 1.0))]);
    let made = film(&room, &Value::Null, &json!({"scenes": ["Ja."]})).await;
    assert_eq!(made["engine"]["model"], "tts-1", "{made:#}");
    let picture = crate::visuals::plain(90, 160, aicos::agents::visuals::builtin::Color::BLACK);
    let picture = room.owner().keep_file(&room.acme, "IMAGE", &picture).await["id"].clone();
    let made = film(&room, &Value::Null, &json!({"scenes": [], "assetIds": [picture]})).await;
    assert_eq!(
        (&made["error"]["code"], &made["error"]["field"]),
        (&json!("INSUFFICIENT_INPUT"), &json!(["input", "narration"])),
        "{made:#}"
    );
    assert_eq!(room.fake.requests().len(), 1);
}

async fn speak(engines: &Engines, instructions: Option<&str>) -> Result<SpeechReply, Failure> {
    let engine = engines.text("openai").unwrap();
    let request = SpeechRequest {
        model: "tts-1".to_owned(),
        voice: "nova".to_owned(),
        instructions: instructions.map(str::to_owned),
        text: "Größe.".to_owned(),
    };
    engine.speech().unwrap().speak(&request).await
}

#[tokio::test]
async fn a_speech_model_is_asked_in_its_providers_own_words() {
    let fake = FakeProvider::start().await;
    let engines = Engines::new(&fake.endpoints("sk-hush"), Limits::default()).unwrap();
    let good = recording(440.0, 0.5, 0.5);
    fake.script([Reply::recording(&good)]);
    let reply = speak(&engines, None).await.unwrap();
    assert_eq!((&reply.bytes[..], reply.characters), (&good[..], 6), "characters, not bytes");
    let body = json!({"model": "tts-1", "voice": "nova", "input": "Größe.", "response_format": "mp3"});
    assert_eq!(fake.requests().pop().unwrap().body, body);

    // A server that does not know a parameter is asked without it.
    fake.lacks("instructions");
    fake.lacks("response_format");
    fake.script([Reply::recording(&good)]);
    speak(&engines, Some("Slowly.")).await.unwrap();
    let requests = fake.requests();
    assert_eq!(requests.len(), 4);
    let last = requests.last().unwrap().body.as_object().unwrap();
    assert_eq!(last.keys().collect::<Vec<_>>(), ["input", "model", "voice"]);

    let impatient = Limits { making: Duration::from_millis(300), ..Limits::default() };
    let hurried = Engines::new(&fake.endpoints("sk-hush"), impatient).unwrap();
    fake.script([Reply::recording(&good).slow_headers(Duration::from_secs(30))]);
    let late = speak(&hurried, None).await.unwrap_err();
    assert_eq!((late.kind, late.retryable()), (Kind::Timeout, true), "{late}");
    fake.script([Reply::rate_limited("20")]);
    let limited = speak(&engines, None).await.unwrap_err();
    assert_eq!((limited.kind, limited.retry_after()), (Kind::RateLimited, Some(Duration::from_secs(20))));
    assert!(engines.text("anthropic").unwrap().speech().is_none());
}

/// The organization's own provider, which speaks by another format than the server's.
async fn narrator(room: &Room) -> Value {
    let input = json!({"organizationId": room.acme.id, "name": "narrator", "kind": "ELEVENLABS",
        "baseUrl": room.fake.url(), "model": "eleven_multilingual_v2", "key": "xi-key-of-acme-0123456789"});
    room.owner().mutate("providerCreate", input, "provider { id kind baseUrl }").await["provider"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn elevenlabs_speaks_in_its_own_words() {
    let room = Room::reaching(Reach::Private).await;
    let own = narrator(&room).await;
    assert_eq!(own["kind"], "ELEVENLABS");
    let engine = json!({"provider": "narrator"});
    let voice = json!({"narration": {"voice": VOICE}, "scenes": ["Größe."]});
    let spoken = recording(440.0, 0.5, 1.0);
    room.fake.script([Reply::rate_limited("1"), Reply::recording(&spoken)]);
    let made = film(&room, &engine, &voice).await;
    assert_eq!((&made["status"], &made["attempts"]), (&json!("SUCCEEDED"), &json!(2)), "{made:#}");
    let narrator = json!({"provider": "narrator", "model": "eleven_multilingual_v2", "voice": VOICE});
    assert_eq!(made["result"]["narrator"], narrator);
    assert_eq!(
        made["engine"]["costMicroUsd"],
        Value::Null,
        "its price is the plan's, which nobody knows here"
    );
    let seen = room.fake.requests().pop().unwrap();
    assert_eq!(seen.path, format!("/v1/text-to-speech/{VOICE}"));
    assert_eq!(seen.body, json!({"text": "Größe.", "model_id": "eleven_multilingual_v2"}));
    assert_eq!(seen.headers["xi-api-key"], "xi-key-of-acme-0123456789");
    assert!(!seen.headers.contains_key("authorization"));

    // What it says of an error, and what is refused without asking.
    let asked = room.fake.requests().len();
    for (reply, more, said) in [
        (Some(Reply::insufficient_quota()), json!({}), "no credit left"),
        (Some(Reply::unauthorized("xi-abc")), json!({}), "does not accept the API key"),
        (None, json!({"narration": {"voice": "ZZFqnCBsd6RMkjVDRZzb"}}), "was not found"),
        (None, json!({"narration": {"voice": "../models"}}), "is no voice of the provider narrator"),
        (None, json!({"engine": {"provider": "narrator", "model": "eleven_x"}}), "does not exist"),
    ] {
        room.fake.script(reply);
        let mut input = voice.clone();
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = film(&room, &engine, &input).await;
        let error = &made["error"];
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!("PROVIDER_FAILED"), &json!(false)),
            "{made:#}"
        );
        assert!(error["message"].as_str().unwrap().contains(said), "{said}: {made:#}");
        assert!(!made.to_string().contains("xi-"), "{made}");
    }
    assert_eq!((room.fake.left(), room.fake.requests().len() - asked), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_speaks_is_asked_for_nothing_else() {
    let room = Room::reaching(Reach::Private).await;
    let own = narrator(&room).await;
    let select = "test { outcome message model }";
    let test = async |model: &str| {
        let input = json!({"id": own["id"], "model": model});
        room.owner().mutate("providerTest", input, select).await["test"].clone()
    };
    let answered = test("eleven_flash_v2_5").await;
    assert_eq!(
        answered,
        json!({"outcome": "ANSWERED", "message": "The model answers.", "model": "eleven_flash_v2_5"})
    );
    let unknown = test("scribe_v1").await;
    assert_eq!(unknown["outcome"], "REJECTED", "{unknown:#}");
    let message = unknown["message"].as_str().unwrap();
    assert!(message.contains("eleven_multilingual_v2, eleven_flash_v2_5."), "{message}");

    let member = room.member();
    let engine = json!({"provider": "narrator"});
    let text =
        json!({"projectId": room.acme.project, "text": "Morning yoga", "language": "EN", "engine": engine});
    let question = json!({"organizationId": room.acme.id, "question": "When?", "engine": engine});
    let picture = json!({"projectId": room.acme.project, "text": "Ja.", "background": "GENERATED",
        "backgroundPrompt": "a lake", "engine": engine});
    for (mutation, input, said) in [
        ("hashtagResearch", text, "speak and do not write"),
        ("qaAsk", question, "speak and do not write"),
        ("visualPostCreate", picture, "has no image models"),
    ] {
        let payload = member.try_mutate(mutation, input, "job { id }").await;
        let error = &payload["userErrors"][0];
        assert_eq!(error["code"], "PROVIDER_NOT_CONFIGURED", "{payload:#}");
        assert!(error["message"].as_str().unwrap().contains(said), "{payload:#}");
    }
    let route = |agent: &str| json!({"organizationId": room.acme.id, "agent": agent, "engine": engine});
    assert_eq!(room.owner().fault("engineRouteSet", route("QA")).await, "PROVIDER_NOT_CONFIGURED");
    room.owner().mutate("engineRouteSet", route("VIDEO"), "").await;
    // The server has none of its own.
    let input = asked(
        &room,
        &speaker("eleven_flash_v2_5", false),
        &json!({"engine": {"provider": "elevenlabs", "model": "m"}}),
    );
    let payload = member.try_mutate("videoGenerate", input, "job { id }").await;
    assert!(
        payload["userErrors"][0]["message"].as_str().unwrap().contains("`providerCreate`"),
        "{payload:#}"
    );
    assert_eq!(room.fake.requests().len(), 2, "only the tests have asked");
}
