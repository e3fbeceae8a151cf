//! Videos: played by another program than the one that made them, with their captions, and stopped when nobody wants them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::files;
use crate::support::work::Room;

const MADE: &str = "job { id status engine { provider } error { code message field } }
    video { id kind durationSeconds captionContrast notes validity { channel valid problems }
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

/// The mean colour of the frame at a time.
fn color(file: &Path, seconds: &str) -> [u8; 3] {
    let said = Command::new("ffmpeg")
        .args(["-v", "error", "-ss", seconds, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", "scale=1:1:flags=area,format=rgb24", "-f", "rawvideo", "-"])
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
        json!({"scenes": ["Ich atme."], "assetIds": [picture["id"]], "kind": "ZOOM_IN", "seed": 3}),
    )
    .await;
    assert_eq!(made["status"], "SUCCEEDED", "{made:#}");
    let video = &made["result"];
    assert_eq!((&video["durationSeconds"], &video["kind"]), (&json!(3.0), &json!("ZOOM_IN")));
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
            (&json!(720), &json!(1280), &json!("90"))
        );
        let seconds: f64 = found["format"]["duration"].as_str().unwrap().parse().unwrap();
        assert!((seconds - 3.0).abs() < 0.1, "{found:#}");
        let [r, g, b] = color(&file, "2.5");
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
        (json!({"scenes": vec!["a"; 21]}), "TOO_LONG", "scenes"),
        (json!({"scenes": ["x".repeat(401)]}), "TOO_LONG", "scenes"),
        (json!({"scenes": ["a"], "visualPostId": drawn["visualPost"]["id"]}), "INVALID", "visualPostId"),
        (json!({"assetIds": [picture]}), "NOT_FOUND", "assetIds"),
        (json!({"scenes": ["a"], "musicAssetId": picture}), "INVALID", "musicAssetId"),
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
