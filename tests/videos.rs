//! Videos: played by another program than the one that made them, with their captions and their sound, and stopped when nobody
//! wants them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::work::Room;
use crate::support::{cast, files};

const MADE: &str = "job { id status engine { provider } error { code message field } }
    video { id kind durationSeconds hasSound captionContrast notes validity { channel valid problems }
        scenes { text startSeconds endSeconds } video { id url mimeType width height durationSeconds bytes }
        poster { url mimeType width } captionsSrt { url mimeType } captionsVtt { url mimeType } }";

/// Whether ffmpeg is there: it decodes what is made here. It is part of what continuous integration installs.
pub fn has_ffmpeg() -> bool {
    let found = Command::new("ffprobe")
        .arg("-version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let required = std::env::var_os("AICOS_REQUIRE_FFMPEG").is_some();
    assert!(found || !required, "ffmpeg is missing: it is in Debian's package ffmpeg");
    found
}

/// What ffprobe says of a file, every frame decoded and counted.
pub fn probe(file: &Path) -> Value {
    let said = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json"])
        .arg(file)
        .output()
        .unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

/// The mean colour of the frame at a time, of what a filter leaves of it.
pub fn color(file: &Path, seconds: &str, filter: &str) -> [u8; 3] {
    let said = Command::new("ffmpeg")
        .args(["-v", "error", "-ss", seconds, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", &format!("{filter},scale=1:1:flags=area,format=rgb24")])
        .args(["-f", "rawvideo", "-"])
        .output()
        .unwrap();
    said.stdout[..3].try_into().unwrap()
}

async fn make(room: &Room, more: Value) -> Value {
    let mut asked = json!({"projectId": room.acme.project, "durationSeconds": 3, "size": "REEL_SMALL"});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let member = room.member();
    let started = member.mutate("videoGenerate", asked, "job { id }").await;
    let job = member.finished(started["job"]["id"].as_str().unwrap()).await;
    let document = format!(
        "query($id: ID!) {{ job(id: $id) {{ status error {{ code message field }} result {{ ... on Video {{ {} }} }} }} }}",
        MADE.split_once("video {").unwrap().1.trim_end().strip_suffix('}').unwrap()
    );
    member.ok(&document, json!({"id": job["id"]})).await["job"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_of_texts_and_pictures_plays_elsewhere() {
    let room = Room::new().await;
    let owner = room.owner();
    let red = crate::visuals::plain(720, 1280, aicos::agents::visuals::builtin::Color::new(200, 20, 20));
    let picture = owner.keep_file(&room.acme, "IMAGE", &red).await;
    let made = make(
        &room,
        json!({"scenes": ["Ich atme."], "assetIds": [picture["id"]], "kind": "ZOOM_IN", "seed": 3,
            "framesPerSecond": 25, "captionStyle": "LINES"}),
    )
    .await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let video = &made["result"];
    assert_eq!((&video["durationSeconds"], &video["kind"]), (&json!(3.0), &json!("ZOOM_IN")));
    assert_eq!(video["hasSound"], false);
    assert_eq!(video["scenes"], json!([{"text": "Ich atme.", "startSeconds": 0.0, "endSeconds": 3.0}]));
    assert!(video["captionContrast"].as_f64().unwrap() >= 3.0, "{video:#}");
    assert!(
        video["validity"].as_array().unwrap().iter().all(|channel| channel["valid"] == true),
        "{video:#}"
    );
    assert_eq!(
        (&video["video"]["mimeType"], &video["video"]["durationSeconds"]),
        (&json!("video/mp4"), &json!(3.0))
    );
    let fetch = async |asset: &Value| files::get(&room.server, asset["url"].as_str().unwrap()).await.body;
    let poster = fetch(&video["poster"]).await;
    assert!(poster.starts_with(&[0xFF, 0xD8, 0xFF]), "a JPEG");
    let srt = String::from_utf8(fetch(&video["captionsSrt"]).await).unwrap();
    let vtt = String::from_utf8(fetch(&video["captionsVtt"]).await).unwrap();
    assert!(srt.starts_with("1\n00:00:0") && srt.contains("Ich atme."), "{srt}");
    assert!(vtt.starts_with("WEBVTT\n") && vtt.contains("Ich atme."), "{vtt}");

    let file = crate::support::config().data_dir.join("film.mp4");
    std::fs::write(&file, fetch(&video["video"]).await).unwrap();
    if has_ffmpeg() {
        let found = probe(&file);
        let stream = found["streams"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stream| stream["codec_type"] == "video")
            .unwrap();
        assert_eq!((&stream["codec_name"], &stream["pix_fmt"]), (&json!("h264"), &json!("yuv420p")));
        assert_eq!(
            (&stream["width"], &stream["height"], &stream["nb_read_frames"]),
            (&json!(720), &json!(1280), &json!("75"))
        );
        let seconds: f64 = found["format"]["duration"].as_str().unwrap().parse().unwrap();
        assert!((seconds - 3.0).abs() < 0.1, "{found:#}");
        let [r, g, b] = color(&file, "2.5", "null");
        assert!(r > g + 60 && r > b + 60, "the picture shows: {r} {g} {b}");
    }
    // Its files are the video's own.
    assert_eq!(owner.fault("assetDelete", json!({"id": video["video"]["id"]})).await, "CONFLICT");
}

#[tokio::test(flavor = "multi_thread")]
async fn slides_become_scenes_and_a_film_that_nobody_wants_stops() {
    let room = Room::new().await;
    let member = room.member();
    let drawn = room
        .run(
            "visualPostCreate",
            json!({"text": "Ruhe. Kraft.", "slides": 2, "template": "minimal", "format": "STORY"}),
            "visualPost { id slides { altText } }",
        )
        .await;
    let slides =
        json!({"visualPostId": drawn["visualPost"]["id"], "kind": "TRANSITION", "durationSeconds": 4});
    let made = make(&room, slides).await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let texts: Vec<&Value> =
        made["result"]["scenes"].as_array().unwrap().iter().map(|scene| &scene["text"]).collect();
    assert_eq!(texts, [&json!("Ruhe."), &json!("Kraft.")]);

    // A script is one text instead of many.
    let script = json!({"script": "# Morgen\n\nAtme ein. Atme aus.\n\nDann geh los.", "durationSeconds": 4});
    let made = make(&room, script).await;
    let texts: Vec<&Value> =
        made["result"]["scenes"].as_array().unwrap().iter().map(|scene| &scene["text"]).collect();
    assert_eq!(texts, ["Morgen", "Atme ein. Atme aus.", "Dann geh los."], "{made:#}");

    // A minute of film is far from done when it is cancelled, and leaves no file.
    let asked = json!({"projectId": room.acme.project, "scenes": ["Lang."], "durationSeconds": 60});
    let started = member.mutate("videoGenerate", asked, "job { id }").await;
    let id = started["job"]["id"].as_str().unwrap();
    member.job_when(id, |job| job["progress"].as_f64() > Some(0.0)).await;
    member.mutate("jobCancel", json!({"id": id}), "").await;
    let job = member.finished(id).await;
    assert_eq!((&job["status"], &job["result"]), (&json!("CANCELLED"), &Value::Null), "{job:#}");
    let rendered = job["events"]
        .as_array()
        .unwrap()
        .iter()
        .any(|event| event["message"].as_str().is_some_and(|text| text.starts_with("Rendered ")));
    assert!(rendered, "{job:#}");

    let refused = async |more: Value| {
        let mut asked = json!({"projectId": room.acme.project});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let payload = member.try_mutate("videoGenerate", asked, "").await;
        (payload["userErrors"][0]["code"].clone(), payload["userErrors"][0]["field"].clone())
    };
    let picture = aicos::id::AssetId::generate();
    for (more, code, field) in [
        (json!({}), "REQUIRED", "scenes"),
        (json!({"scenes": ["a"], "durationSeconds": 2}), "OUT_OF_RANGE", "durationSeconds"),
        (json!({"scenes": ["a"], "framesPerSecond": 61}), "OUT_OF_RANGE", "framesPerSecond"),
        (json!({"scenes": vec!["a"; 21]}), "TOO_LONG", "scenes"),
        (json!({"scenes": ["x".repeat(401)]}), "TOO_LONG", "scenes"),
        (json!({"scenes": ["a"], "visualPostId": drawn["visualPost"]["id"]}), "INVALID", "visualPostId"),
        (json!({"scenes": ["a"], "script": "a"}), "INVALID", "script"),
        (json!({"script": " "}), "REQUIRED", "script"),
        (json!({"script": "x".repeat(8_001)}), "TOO_LONG", "script"),
        (
            json!({"script": "Noch ein Satz, der fast zu lang für eine Szene ist. ".repeat(160)}),
            "TOO_LONG",
            "script",
        ),
        (json!({"script": "a", "postId": drawn["visualPost"]["id"]}), "INVALID", "postId"),
        (json!({"postId": aicos::id::PostId::generate()}), "NOT_FOUND", "postId"),
        (json!({"assetIds": [picture]}), "NOT_FOUND", "assetIds"),
        (json!({"scenes": ["a"], "musicAssetId": picture}), "NOT_FOUND", "musicAssetId"),
    ] {
        let (found, at) = refused(more.clone()).await;
        assert_eq!((&found, &at[1]), (&json!(code), &json!(field)), "{more}");
    }
    // One scene is no transition, which only the engine knows.
    let failed = make(&room, json!({"scenes": ["Allein."], "kind": "TRANSITION"})).await;
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["field"]),
        (&json!("INSUFFICIENT_INPUT"), &json!(["input", "scenes"])),
        "{failed:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_becomes_a_film_of_its_pictures_and_words() {
    let room = Room::new().await;
    let drawn = room
        .run(
            "visualPostCreate",
            json!({"text": "Ruhe.\nKraft.", "slidePerLine": true, "template": "minimal", "format": "STORY"}),
            "visualPost { id slides { jpeg { id } } }",
        )
        .await;
    let slide = |place: usize| drawn["visualPost"]["slides"][place]["jpeg"]["id"].clone();
    let red = crate::visuals::plain(720, 1280, aicos::agents::visuals::builtin::Color::new(200, 20, 20));
    let photo = room.owner().keep_file(&room.acme, "IMAGE", &red).await["id"].clone();
    let compose = async |assets: Value| {
        let asked = json!({"brief": "Am Morgen atmest du zehn Minuten lang ruhig. Danach gehst du ohne Eile los.",
            "channels": ["X"], "variants": 1, "assetIds": assets, "callToAction": "Schreib uns, wie es war."});
        let composed =
            room.run("postCompose", asked, "post { id variants { hook body callToAction } }").await;
        composed["post"].clone()
    };
    let film = async |post: &Value| {
        let made =
            make(&room, json!({"postId": post["id"], "durationSeconds": 6, "size": "REEL_SMALL"})).await;
        assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
        let scenes = made["result"]["scenes"].as_array().unwrap().clone();
        scenes.into_iter().map(|scene| scene["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Slides alone say it all.
    let carousel = compose(json!([slide(1), slide(0)])).await;
    assert_eq!(film(&carousel).await, ["Kraft.", "Ruhe."]);
    // Beside a photo, which stands behind the words of the post.
    let mixed = compose(json!([photo, slide(0)])).await;
    let said = film(&mixed).await;
    let variant = &mixed["variants"][0];
    let words = ["hook", "body", "callToAction"].map(|part| variant[part].as_str().unwrap_or_default());
    let words: Vec<&str> = words.into_iter().flat_map(str::split_whitespace).collect();
    assert_eq!(said[0], "Ruhe.");
    assert_eq!(said[1..].join(" ").split(' ').collect::<Vec<_>>(), words, "{mixed:#}");
    assert!(words.join(" ").contains("zehn Minuten"), "{mixed:#}");
    // A post that goes away meanwhile fails the job, and says so.
    let input = json!({"projectId": room.acme.project, "postId": carousel["id"]});
    room.workers.stop().await;
    let (owner, member) = (room.acme.owner.at(&room.server), room.acme.member.at(&room.server));
    let started = member.mutate("videoGenerate", input, "job { id }").await;
    owner.mutate("outputDelete", json!({"id": carousel["id"]}), "").await;
    let workers = room.server.work();
    let job = member.finished(started["job"]["id"].as_str().unwrap()).await;
    assert_eq!(job["error"]["code"], "NOT_FOUND", "{job:#}");
    workers.stop().await;
}

/// Samples a second of the recordings that are given here, which is not that of films.
const RATE: u32 = 22_050;

/// A recording of a tone: a WAV file of 16 bits, mono.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers of tests are small")]
pub fn recording(hz: f64, amplitude: f64, seconds: f64) -> Vec<u8> {
    let count = (seconds * f64::from(RATE)) as u32;
    let bytes = count * 2;
    let mut file = [&b"RIFF"[..], &(bytes + 36).to_le_bytes(), b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
    file.extend([1_u16, 1].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([RATE, RATE * 2].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([2_u16, 16].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([&b"data"[..], &bytes.to_le_bytes()].concat());
    let sample = |at: u32| amplitude * (std::f64::consts::TAU * hz * f64::from(at) / f64::from(RATE)).sin();
    file.extend((0..count).flat_map(|at| ((sample(at) * 32_767.0) as i16).to_le_bytes()));
    file
}

/// The sound of a film as another program plays it: the left side at 48 kHz.
pub fn sound(file: &Path) -> Vec<f64> {
    let said = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vn", "-af", "pan=mono|c0=c0", "-f", "f32le", "-"])
        .output()
        .unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    said.stdout.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect()
}

/// How much of a frequency a tenth of a second has: its amplitude (Goertzel).
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers of tests are small")]
pub fn level(sound: &[f64], seconds: f64, hz: f64) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * hz / 48_000.0).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in &sound[(seconds * 48_000.0) as usize..][..4_800] {
        (last, before) = (sample + turn * last - before, last);
    }
    2.0 * (last * last + before * before - turn * last * before).max(0.0).sqrt() / 4_800.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_speaks_and_its_music_makes_way() {
    let room = Room::new().await;
    let owner = room.owner();
    let voice = owner.keep_file(&room.acme, "AUDIO", &recording(440.0, 0.5, 1.2)).await;
    let music = owner.keep_file(&room.acme, "AUDIO", &recording(1_500.0, 0.3, 0.9)).await;
    let asked = json!({"scenes": ["Ich atme."], "durationSeconds": 4, "seed": 5,
        "voiceOverAssetId": voice["id"], "musicAssetId": music["id"]});
    let made = make(&room, asked.clone()).await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let video = &made["result"];
    assert_eq!((&video["hasSound"], &video["durationSeconds"]), (&json!(true), &json!(4.0)));
    let fetch =
        async |video: &Value| files::get(&room.server, video["video"]["url"].as_str().unwrap()).await.body;
    let film = fetch(video).await;
    let again = make(&room, asked).await;
    assert!(film == fetch(&again["result"]).await, "the same input gives the same film");
    if !has_ffmpeg() {
        return;
    }
    let file = crate::support::config().data_dir.join("film-with-sound.mp4");
    std::fs::write(&file, film).unwrap();
    let found = probe(&file);
    let streams = found["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2, "{found:#}");
    for (stream, codec) in streams.iter().zip(["h264", "aac"]) {
        assert_eq!(stream["codec_name"], codec, "{found:#}");
        let [start, seconds] =
            ["start_time", "duration"].map(|entry| stream[entry].as_str().unwrap().parse::<f64>().unwrap());
        assert!(start.abs() < 0.001 && (seconds - 4.0).abs() < 0.03, "{found:#}");
    }
    assert_eq!((&streams[1]["profile"], &streams[1]["channels"]), (&json!("LC"), &json!(2)));
    let heard = sound(&file);
    // As long as the pictures, up to the end of a frame of AAC.
    assert!((4 * 48_000..4 * 48_000 + 1_024).contains(&heard.len()), "{}", heard.len());
    let [speaks, silent] = [0.5, 2.0].map(|seconds| level(&heard, seconds, 440.0));
    assert!((speaks - 0.5).abs() < 0.03 && silent < 0.01, "{speaks} {silent}");
    let [under, after, end] = [0.5, 2.6, 3.85].map(|seconds| level(&heard, seconds, 1_500.0));
    assert!(under > 0.03 && under * 3.0 < after && end < after / 4.0, "{under} {after} {end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_heard_is_refused_before_anything_is_rendered() {
    let room = Room::new().await;
    let (owner, member) = (room.owner(), room.member());
    let keep = async |kind: &str, bytes: &[u8]| owner.keep_file(&room.acme, kind, bytes).await["id"].clone();
    let tone = recording(440.0, 0.5, 3.5);
    let mut surround = tone.clone();
    (surround[22], surround[32]) = (6, 12);
    let picture = crate::visuals::plain(90, 160, aicos::agents::visuals::builtin::Color::new(9, 9, 9));
    let cases = [
        ("musicAssetId", keep("IMAGE", &picture).await, "The file is no recording."),
        ("voiceOverAssetId", keep("DOCUMENT", b"Ich atme.").await, "The file is no recording."),
        ("musicAssetId", keep("AUDIO", &tone[..tone.len() / 2]).await, "it is damaged"),
        ("musicAssetId", keep("AUDIO", b"ID3\x04no music at all").await, "it is damaged"),
        ("voiceOverAssetId", keep("AUDIO", &surround).await, "it has 6 channels"),
        (
            "voiceOverAssetId",
            keep("AUDIO", &recording(440.0, 0.0, 1.0)).await,
            "there is nothing to hear in it",
        ),
        (
            "voiceOverAssetId",
            keep("AUDIO", &tone).await,
            "lasts 3.50 seconds and the film 3: set `durationSeconds` to 4 ",
        ),
    ];
    for (field, id, reason) in cases {
        let failed = make(&room, json!({"scenes": ["Ich atme."], field: id})).await;
        assert_eq!(
            (&failed["error"]["code"], &failed["error"]["field"]),
            (&json!("INVALID"), &json!(["input", field])),
            "{failed:#}"
        );
        assert!(failed["error"]["message"].as_str().unwrap().contains(reason), "{failed:#}");
    }
    // Somebody else's is not there; one's own is.
    let globex = cast::organization(&room.server, "Globex").await;
    let theirs = globex.owner.at(&room.server).keep_file(&globex, "AUDIO", &tone).await["id"].clone();
    let own = keep("AUDIO", &tone).await;
    for field in ["voiceOverAssetId", "musicAssetId"] {
        let asked = |id: &Value| json!({"projectId": room.acme.project, "scenes": ["Ich atme."], "durationSeconds": 4, field: id});
        let refused = member.try_mutate("videoGenerate", asked(&theirs), "job { id }").await;
        assert_eq!(
            (&refused["userErrors"][0]["code"], &refused["userErrors"][0]["field"], &refused["job"]),
            (&json!("NOT_FOUND"), &json!(["input", field]), &Value::Null),
            "{refused:#}"
        );
        let started = member.mutate("videoGenerate", asked(&own), "job { id }").await;
        let job = member.finished(started["job"]["id"].as_str().unwrap()).await;
        assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    }
}

/// What ffmpeg's x264 or another of its encoders makes of a second in one colour.
fn clip(name: &str, more: &[&str]) -> Vec<u8> {
    let file = crate::support::config().data_dir.join(name);
    let said = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "color=c=0x1428C8:s=320x180:r=25:d=1"])
        .args(more)
        .arg(&file)
        .output()
        .unwrap();
    assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));
    std::fs::read(file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_move_behind_the_texts_and_pictures_follow_them() {
    let room = Room::new().await;
    let owner = room.owner();
    let red = crate::visuals::plain(720, 1280, aicos::agents::visuals::builtin::Color::new(200, 20, 20));
    let picture = owner.keep_file(&room.acme, "IMAGE", &red).await;
    let first = make(&room, json!({"assetIds": [picture["id"]], "kind": "ZOOM_IN"})).await;
    assert_eq!(first["status"], "SUCCEEDED", "{first:#}");
    // A film that was made here is a clip for the next; the picture comes after it.
    let film = &first["result"]["video"];
    let asked = json!({"scenes": ["Ich atme.", "Ich ruhe."], "clipAssetIds": [film["id"]], "assetIds": [picture["id"]],
        "durationSeconds": 4, "seed": 3});
    let made = make(&room, asked.clone()).await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let video = &made["result"];
    assert_eq!((video["scenes"].as_array().unwrap().len(), &video["hasSound"]), (2, &json!(false)));
    assert_eq!(video["notes"], json!([]));
    assert!(video["captionContrast"].as_f64().unwrap() >= 3.0, "{video:#}");
    let fetch =
        async |video: &Value| files::get(&room.server, video["video"]["url"].as_str().unwrap()).await.body;
    let bytes = fetch(video).await;
    let again = make(&room, asked).await;
    assert!(bytes == fetch(&again["result"]).await, "the same input gives the same film");
    if !has_ffmpeg() {
        return;
    }
    let file = crate::support::config().data_dir.join("film-of-a-film.mp4");
    std::fs::write(&file, bytes).unwrap();
    for seconds in ["0.5", "3.5"] {
        let [r, g, b] = color(&file, seconds, "null");
        assert!(r > g + 60 && r > b + 60, "{seconds}: {r} {g} {b}");
    }
    // A clip of somebody else's making, shorter than its scene and smaller than the film.
    let blue = clip("blue.mov", &["-c:v", "libx264", "-pix_fmt", "yuv420p"]);
    let blue = owner.keep_file(&room.acme, "VIDEO", &blue).await;
    let both = json!({"clipAssetIds": [blue["id"], blue["id"]], "kind": "TRANSITION", "durationSeconds": 6});
    let made = make(&room, both).await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let notes = made["result"]["notes"].as_array().unwrap();
    assert_eq!(
        notes[..2],
        [
            json!("The clip of scene 1 has fewer pixels than the film and looks soft."),
            json!("The clip of scene 1 lasts 1.0 seconds, less than the scene, and begins again.")
        ],
        "{notes:?}"
    );
    let file = crate::support::config().data_dir.join("film-of-clips.mp4");
    std::fs::write(&file, fetch(&made["result"]).await).unwrap();
    assert_eq!(probe(&file)["streams"][0]["nb_read_frames"], "180");
    let [r, g, b] = color(&file, "4.5", "null");
    assert!(b > r + 60 && b > g + 60, "{r} {g} {b}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_refused_where_it_was_given() {
    let room = Room::new().await;
    let (owner, member) = (room.owner(), room.member());
    let keep = async |kind: &str, bytes: &[u8]| owner.keep_file(&room.acme, kind, bytes).await["id"].clone();
    let picture = crate::visuals::plain(90, 160, aicos::agents::visuals::builtin::Color::new(9, 9, 9));
    let mut cases = vec![(keep("IMAGE", &picture).await, "The file is no video.")];
    if has_ffmpeg() {
        let whole = clip("whole.mp4", &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]);
        let hevc = clip("hevc.mp4", &["-c:v", "libx265", "-x265-params", "log-level=none"]);
        let webm = clip("vp9.webm", &["-c:v", "libvpx-vp9"]);
        cases.extend([
            (
                keep("VIDEO", &hevc).await,
                "Clip 1 cannot be used: its pictures are HEVC (H.265), and only H.264",
            ),
            (keep("VIDEO", &webm).await, "Clip 1 cannot be used: it is no MP4 or QuickTime file"),
            (keep("VIDEO", &whole[..whole.len() - 40]).await, "Clip 1 cannot be used: it is damaged"),
        ]);
        // Of several, the one that is wrong is named.
        let two = json!([keep("VIDEO", &whole).await, keep("VIDEO", &hevc).await]);
        let failed = make(&room, json!({"clipAssetIds": two})).await;
        assert!(
            failed["error"]["message"].as_str().unwrap().starts_with("Clip 2 cannot be used"),
            "{failed:#}"
        );
    }
    for (id, reason) in cases {
        let failed = make(&room, json!({"scenes": ["Ich atme."], "clipAssetIds": [id]})).await;
        assert_eq!(
            (&failed["error"]["code"], &failed["error"]["field"]),
            (&json!("INVALID"), &json!(["input", "clipAssetIds"])),
            "{failed:#}"
        );
        assert!(failed["error"]["message"].as_str().unwrap().contains(reason), "{failed:#}");
    }
    let id = aicos::id::AssetId::generate();
    for (more, code, field) in [
        (json!({"clipAssetIds": [id]}), "NOT_FOUND", "clipAssetIds"),
        (json!({"clipAssetIds": vec![id; 21]}), "TOO_LONG", "clipAssetIds"),
        (json!({"clipAssetIds": vec![id; 11], "assetIds": vec![id; 10]}), "TOO_LONG", "clipAssetIds"),
    ] {
        let mut asked = json!({"projectId": room.acme.project});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = member.try_mutate("videoGenerate", asked, "").await;
        let error = &refused["userErrors"][0];
        assert_eq!((&error["code"], &error["field"][1]), (&json!(code), &json!(field)), "{more}");
    }
}
