//! Visual posts: drawn as asked, measured, kept with their files, and with a background from three places.

use std::sync::{Arc, Mutex};

use aicos::agents::visuals::builtin::picture::{self, Limits};
use aicos::agents::visuals::builtin::{Color, Picture, encode};
use aicos::engine::Endpoint;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::support::cast::{self, Organization};
use crate::support::files;
use crate::support::work::{Room, openai};
use crate::support::{Client, Server, config, tuning};

const DRAWN: &str = "job { id status engine { provider } error { code message field } events { kind message } }
    visualPost { id template format notes period { id } background { asset { id } credit page }
        slides { altText scene png { id url mimeType width height altText project { id } } jpeg { id url mimeType width height }
            blocks { text fontSize contrast requiredContrast overflow inSafeArea } } }";

const TEXT: &str = "Ich gehe meinen Weg mit ruhiger Kraft und vertraue dem, was in mir wächst.";

/// A picture of one colour.
pub fn plain(width: u32, height: u32, color: Color) -> Vec<u8> {
    let rgba = [color.r, color.g, color.b, 255].repeat((width * height) as usize);
    encode::png(&Picture::new(width, height, rgba).unwrap()).unwrap()
}

async fn decoded(server: &Server, asset: &Value) -> Picture {
    let fetched = files::get(server, asset["url"].as_str().unwrap()).await;
    assert_eq!(fetched.status, 200);
    picture::decode(&fetched.body, &Limits::default()).unwrap()
}

fn corner(picture: &Picture) -> [u8; 3] {
    picture.rgba()[..3].try_into().unwrap()
}

/// Uploads a picture with tags; gives its id.
async fn upload(
    server: &Server,
    owner: &Client<'_>,
    acme: &Organization,
    tags: &[&str],
    bytes: &[u8],
) -> String {
    let place = json!({"organizationId": acme.id, "projectId": acme.project, "tags": tags});
    let upload = owner.announce(place, "IMAGE", bytes).await;
    assert_eq!(files::put(server, upload["url"].as_str().unwrap(), bytes).await.status, 200);
    owner.mutate("assetUploadComplete", json!({"id": upload["id"]}), "").await;
    upload["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_becomes_slides_that_can_be_read_and_fetched() {
    let room = Room::new().await;
    let period = cast::period(&room.server, &room.acme).await;
    let asked = json!({"text": format!("{TEXT} Ruhe ist kein Luxus."), "attribution": "Mira Hölzl", "template": "period_branding",
        "periodId": period, "slides": 2, "format": "SQUARE", "seed": 7});
    let made = room.run("visualPostCreate", asked.clone(), DRAWN).await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    assert_eq!(made["job"]["engine"]["provider"], "builtin");
    let post = &made["visualPost"];
    assert_eq!((&post["template"], &post["format"]), (&json!("period_branding"), &json!("SQUARE")));
    assert_eq!(post["period"]["id"], json!(period));
    let slides = post["slides"].as_array().unwrap();
    assert_eq!(slides.len(), 2, "{made:#}");
    for slide in slides {
        for (file, mime) in [("png", "image/png"), ("jpeg", "image/jpeg")] {
            assert_eq!((&slide[file]["mimeType"], &slide[file]["width"]), (&json!(mime), &json!(1080)));
            let picture = decoded(&room.server, &slide[file]).await;
            assert_eq!((picture.width(), picture.height()), (1080, 1080));
        }
        assert_eq!(slide["png"]["altText"], slide["altText"]);
        let blocks = slide["blocks"].as_array().unwrap();
        assert!(!blocks.is_empty());
        for block in blocks {
            assert!(block["contrast"].as_f64() >= block["requiredContrast"].as_f64(), "{block:#}");
            assert_eq!(
                (&block["overflow"], &block["inSafeArea"]),
                (&json!(false), &json!(true)),
                "{block:#}"
            );
        }
        assert_eq!(slide["scene"]["width"], 1080);
    }
    assert!(slides[0]["altText"].as_str().unwrap().contains("ruhiger Kraft"), "{made:#}");

    // The same order gives the same pictures; another seed others.
    let again = room.run("visualPostCreate", asked.clone(), DRAWN).await;
    let picture = async |made: &Value| decoded(&room.server, &made["visualPost"]["slides"][0]["png"]).await;
    assert!(picture(&made).await == picture(&again).await);

    // Files are their output's: not to be deleted alone, and gone with it.
    let owner = room.owner();
    let png = slides[0]["png"]["id"].as_str().unwrap();
    assert_eq!(owner.fault("assetDelete", json!({"id": png})).await, "CONFLICT");
    owner.mutate("outputDelete", json!({"id": post["id"]}), "deletedOutputId").await;
    assert_eq!(owner.asset(png).await, Value::Null);
    let kept = again["visualPost"]["slides"][0]["png"]["id"].as_str().unwrap();
    assert_eq!(owner.asset(kept).await["id"], json!(kept), "the other one's files stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_is_found_by_id_by_tag_and_by_period() {
    let room = Room::new().await;
    let owner = room.owner();
    let (red, green) = (Color::new(200, 30, 30), Color::new(30, 160, 60));
    let forest =
        upload(&room.server, &owner, &room.acme, &["Forest", "calm"], &plain(1080, 630, green)).await;
    let brick = upload(&room.server, &owner, &room.acme, &["brick"], &plain(1080, 630, red)).await;
    let draw = async |more: Value| {
        let mut asked = json!({"text": "Atme.", "format": "LINK", "template": "minimal"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room.run("visualPostCreate", asked, DRAWN).await
    };
    let named = draw(json!({"backgroundAssetId": brick})).await;
    assert_eq!(named["visualPost"]["background"]["asset"]["id"], json!(brick), "{named:#}");
    let [r, g, _] = corner(&decoded(&room.server, &named["visualPost"]["slides"][0]["png"]).await);
    assert!(r > g, "the brick shows: {r} {g}");
    // By tag, in any case; the better fit wins.
    let tagged =
        draw(json!({"background": "OWN_IMAGE", "backgroundTags": ["forest", "calm", "brick"]})).await;
    assert_eq!(tagged["visualPost"]["background"]["asset"]["id"], json!(forest), "{tagged:#}");
    let [r, g, _] = corner(&decoded(&room.server, &tagged["visualPost"]["slides"][0]["png"]).await);
    assert!(g > r, "the forest shows: {r} {g}");
    // By the period's words: at first there is none.
    let period = cast::period(&room.server, &room.acme).await;
    let none = draw(json!({"background": "OWN_IMAGE", "periodId": period})).await;
    assert_eq!(none["visualPost"]["background"], Value::Null);
    assert!(none["visualPost"]["notes"][0].as_str().unwrap().contains("None of your pictures"), "{none:#}");
    let key = owner.ok("{ periods { id key } }", json!({})).await;
    let key =
        key["periods"].as_array().unwrap().iter().find(|found| found["id"] == json!(period)).unwrap()["key"]
            .clone();
    let fitting =
        upload(&room.server, &owner, &room.acme, &[key.as_str().unwrap()], &plain(1080, 630, red)).await;
    let found = draw(json!({"background": "OWN_IMAGE", "periodId": period})).await;
    assert_eq!(found["visualPost"]["background"]["asset"]["id"], json!(fitting), "{found:#}");

    // What is no picture is said, and so is everything that cannot be asked.
    let sheet = owner.keep_file(&room.acme, "DOCUMENT", b"Not a picture.").await;
    let failed = draw(json!({"backgroundAssetId": sheet["id"]})).await;
    assert_eq!(failed["job"]["error"]["field"], json!(["input", "backgroundAssetId"]), "{failed:#}");
    let member = room.member();
    let refused = async |more: Value| {
        let mut asked = json!({"projectId": room.acme.project, "text": "Atme."});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let payload = member.try_mutate("visualPostCreate", asked, "").await;
        (payload["userErrors"][0]["code"].clone(), payload["userErrors"][0]["field"].clone())
    };
    for (more, code, field) in [
        (json!({"text": " "}), "REQUIRED", "text"),
        (json!({"text": "x".repeat(3_001)}), "TOO_LONG", "text"),
        (json!({"template": "baroque"}), "INVALID", "template"),
        (json!({"slides": 11}), "OUT_OF_RANGE", "slides"),
        (json!({"backgroundAssetId": brick, "background": "CLOUDS"}), "INVALID", "backgroundAssetId"),
        (json!({"logoAssetId": aicos::id::AssetId::generate()}), "NOT_FOUND", "logoAssetId"),
        (json!({"engine": openai(false)}), "PROVIDER_NOT_CONFIGURED", "engine"),
    ] {
        let (found, at) = refused(more.clone()).await;
        assert_eq!((&found, &at[1]), (&json!(code), &json!(field)), "{more}");
    }
    let stock = draw(json!({"background": "STOCK_PHOTO", "backgroundSearch": "sea"})).await;
    assert_eq!(stock["job"]["error"]["code"], "PROVIDER_NOT_CONFIGURED", "no key, no photos: {stock:#}");
}

/// What a stock library was asked, and what it answers next instead of photos.
#[derive(Clone, Default)]
struct Library {
    asked: Arc<Mutex<Vec<(String, String)>>>,
    fault: Arc<Mutex<Option<StatusCode>>>,
    empty: Arc<Mutex<bool>>,
}

/// Answers as Pexels does.
async fn answer(
    State(library): State<Library>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let key = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    library.asked.lock().unwrap().push((uri.to_string(), key.unwrap_or_default()));
    if let Some(status) = library.fault.lock().unwrap().take() {
        return (status, "no").into_response();
    }
    if uri.path() == "/v1/search" {
        let host = format!("http://{}", headers[header::HOST].to_str().unwrap());
        let photo = json!({"id": 1, "width": 4000, "height": 6000, "url": "https://www.pexels.com/photo/sea-1/",
            "photographer": "Ana Lind", "photographer_url": "https://www.pexels.com/@ana", "photographer_id": 2,
            "avg_color": "#1E3CA0", "liked": false, "alt": "The sea",
            "src": {"original": format!("{host}/photos/1/sea.png"), "large2x": format!("{host}/photos/1/sea.png?w=940")}});
        let photos = if *library.empty.lock().unwrap() { json!([]) } else { json!([photo]) };
        let found = json!({"total_results": 1, "page": 1, "per_page": 15, "photos": photos});
        return axum::response::Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(found.to_string().into())
            .unwrap();
    }
    plain(1080, 1350, Color::new(30, 60, 160)).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_photo_names_its_photographer() {
    const KEY: &str = "pexels-key-of-the-server";
    let library = Library::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(get(answer)).with_state(library.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let mut settings = config();
    settings.photos = Some(Endpoint { base_url: address.parse().unwrap(), key: Some(KEY.into()) });
    settings.reach = aicos::engine::Reach::Private;
    let server = Server::with(settings, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let workers = server.work();
    let member = acme.member.at(&server);
    let draw = async || {
        let asked = json!({"projectId": acme.project, "wait": true, "text": "Das Meer ist weit.", "background": "STOCK_PHOTO",
            "backgroundSearch": "sea & sky", "template": "minimal"});
        member.mutate("visualPostCreate", asked, DRAWN).await
    };
    let made = draw().await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    let background = &made["visualPost"]["background"];
    assert_eq!(background["credit"], "Ana Lind");
    assert_eq!(background["page"], "https://www.pexels.com/photo/sea-1/");
    let slide = &made["visualPost"]["slides"][0];
    let credited =
        slide["blocks"].as_array().unwrap().iter().any(|block| block["text"] == "Foto: Ana Lind / Pexels");
    assert!(credited, "{slide:#}");
    let [r, _, b] = corner(&decoded(&server, &slide["png"]).await);
    assert!(b > r, "the sea shows: {r} {b}");
    let asked = std::mem::take(&mut *library.asked.lock().unwrap());
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0].0, "/v1/search?query=sea+%26+sky&orientation=portrait&locale=de-DE&per_page=15");
    assert_eq!(asked[0].1, KEY);
    assert!(
        asked[1].0.starts_with("/photos/1/sea.png?auto=compress") && asked[1].0.ends_with("w=1080&h=1350"),
        "{asked:?}"
    );
    assert_eq!(asked[1].1, "", "the key is for the search alone");

    *library.empty.lock().unwrap() = true;
    let none = draw().await;
    assert!(none["visualPost"]["notes"][0].as_str().unwrap().contains("no such photo"), "{none:#}");
    *library.fault.lock().unwrap() = Some(StatusCode::UNAUTHORIZED);
    let refused = draw().await;
    assert_eq!(refused["job"]["error"]["code"], "PROVIDER_FAILED", "{refused:#}");
    // What passes is tried again.
    *library.fault.lock().unwrap() = Some(StatusCode::SERVICE_UNAVAILABLE);
    *library.empty.lock().unwrap() = false;
    let again = draw().await;
    assert_eq!(again["job"]["status"], "SUCCEEDED", "{again:#}");
    assert!(!made.to_string().contains(KEY) && !refused.to_string().contains(KEY));
    workers.stop().await;
}
