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
async fn a_background_has_the_colours_that_are_asked_for() {
    let room = Room::new().await;
    let draw = async |background: &str, more: Value| {
        let mut asked =
            json!({"text": "Atme.", "format": "LINK", "template": "minimal", "background": background});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = room.run("visualPostCreate", asked, DRAWN).await;
        assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
        decoded(&room.server, &made["visualPost"]["slides"][0]["png"]).await
    };
    let last = |picture: &Picture| -> [u8; 3] {
        let rgba = picture.rgba();
        rgba[rgba.len() - 4..rgba.len() - 1].try_into().unwrap()
    };
    let solid = draw("SOLID", json!({"backgroundColors": ["#1e5078"]})).await;
    assert_eq!((corner(&solid), last(&solid)), ([0x1E, 0x50, 0x78], [0x1E, 0x50, 0x78]));
    let gradient = draw("GRADIENT", json!({"backgroundColors": ["#C81E1E", "#1E1EC8"]})).await;
    let ([r, _, b], [red, _, blue]) = (corner(&gradient), last(&gradient));
    assert!(r > b + 100 && blue > red + 100, "from {r} {b} to {red} {blue}");
    let dots = draw("PATTERN", json!({"backgroundColors": ["#1E5078"], "backgroundPattern": "DOTS"})).await;
    let rays = draw("PATTERN", json!({"backgroundColors": ["#1E5078"], "backgroundPattern": "RAYS"})).await;
    assert!(dots != rays && dots != solid);
    // Nothing is asked for: in the tones of the brand, and of the period before it.
    let update = json!({"id": room.acme.project, "settings": {"brandColors": ["#1B7F3B"]}});
    room.owner().mutate("projectUpdate", update, "").await;
    let [r, g, b] = corner(&draw("SOLID", json!({})).await);
    assert!(g > r + 20 && g > b + 20, "{r} {g} {b}");

    let fault = async |more: Value| {
        let mut asked = json!({"projectId": room.acme.project, "text": "Atme."});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room.member().fault("visualPostCreate", asked).await
    };
    let two = json!(["#000000", "#FFFFFF"]);
    assert_eq!(fault(json!({"background": "SOLID", "backgroundColors": two})).await, "TOO_LONG");
    assert_eq!(fault(json!({"background": "SOLID", "backgroundColors": ["red"]})).await, "INVALID");
    assert_eq!(fault(json!({"backgroundColors": two})).await, "INVALID");
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
    if uri.path().starts_with("/v1/photos/") {
        let host = format!("http://{}", headers[header::HOST].to_str().unwrap());
        let photo = json!({"id": 1, "width": 4000, "height": 6000, "url": "https://www.pexels.com/photo/sea-1/",
            "photographer": "Ana Lind", "src": {"original": format!("{host}/photos/1/sea.png")}});
        return axum::Json(photo).into_response();
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

    // An edited slide shows the same photo, fetched by its number.
    library.asked.lock().unwrap().clear();
    let scene = made["visualPost"]["slides"][0]["scene"].clone();
    let redraw = async |scene: &Value| {
        let asked = json!({"visualPostId": made["visualPost"]["id"], "wait": true,
            "slides": [{"number": 1, "scene": scene}]});
        member.try_mutate("visualPostRedraw", asked, DRAWN).await
    };
    let redrawn = redraw(&scene).await;
    assert_eq!(redrawn["job"]["status"], "SUCCEEDED", "{redrawn:#}");
    assert_eq!(redrawn["visualPost"]["background"], *background);
    assert_eq!(
        file(&server, &redrawn["visualPost"]["slides"][0]["png"]).await,
        file(&server, &slide["png"]).await
    );
    let asked = std::mem::take(&mut *library.asked.lock().unwrap());
    assert_eq!((asked.len(), &asked[0]), (2, &("/v1/photos/1".to_owned(), KEY.to_owned())), "{asked:?}");
    assert!(asked[1].0.starts_with("/photos/1/sea.png?auto=compress") && asked[1].1.is_empty(), "{asked:?}");
    // Whoever took it stays named where it is shown.
    let mut unnamed = scene.clone();
    let layers = unnamed["layers"].as_array_mut().unwrap();
    layers.retain(|layer| layer["role"] != "CREDIT");
    let refused = redraw(&unnamed).await;
    let error = &refused["userErrors"][0];
    assert_eq!(error["field"], json!(["input", "slides", "0", "scene", "layers"]), "{refused:#}");
    assert!(error["message"].as_str().unwrap().contains("Foto: Ana Lind / Pexels"), "{refused:#}");
    unnamed["layers"].as_array_mut().unwrap().retain(|layer| layer["type"] != "PICTURE");
    let without = redraw(&unnamed).await;
    assert_eq!(without["job"]["status"], "SUCCEEDED", "without the photo nobody needs to be: {without:#}");
    assert_eq!(library.asked.lock().unwrap().len(), 0, "and it is not fetched");
    *library.fault.lock().unwrap() = Some(StatusCode::NOT_FOUND);
    let gone = redraw(&scene).await;
    let error = &gone["job"]["error"];
    assert_eq!(
        (&error["code"], &error["field"]),
        (&json!("NOT_FOUND"), &json!(["input", "visualPostId"])),
        "{gone:#}"
    );
    assert!(error["message"].as_str().unwrap().contains("no more"), "{gone:#}");
    *library.fault.lock().unwrap() = Some(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(redraw(&scene).await["job"]["status"], "SUCCEEDED", "what passes is tried again");
    workers.stop().await;
}

async fn file(server: &Server, asset: &Value) -> Vec<u8> {
    let fetched = files::get(server, asset["url"].as_str().unwrap()).await;
    assert_eq!(fetched.status, 200);
    fetched.body
}

/// The first layer of a scene with this in its field.
fn layer<'a>(scene: &'a mut Value, field: &str, value: &str) -> &'a mut Value {
    scene["layers"].as_array_mut().unwrap().iter_mut().find(|layer| layer[field] == value).unwrap()
}

const REDRAWN: &str = "job { id status agent error { code message field } } visualPost { id template format notes period { id } redrawOf { id }
        slides { altText scene png { id url altText } jpeg { id url } blocks { text contrast requiredContrast overflow inSafeArea } } }
    project { id }";

#[tokio::test(flavor = "multi_thread")]
async fn edited_layers_are_drawn_as_a_new_visual_post() {
    let room = Room::new().await;
    let (owner, member) = (room.owner(), room.member());
    let images = async || {
        let seen = owner.ok("{ organization { usage { metrics { kind used } } } }", json!({})).await;
        let metrics = seen["organization"]["usage"]["metrics"].as_array().unwrap();
        metrics.iter().find(|one| one["kind"] == "IMAGES").unwrap()["used"].as_f64().unwrap()
    };
    let period = cast::period(&room.server, &room.acme).await;
    let asked = json!({"text": format!("{TEXT} Ruhe ist kein Luxus."), "attribution": "Mira Hölzl", "periodId": period, "slides": 2,
        "format": "SQUARE", "template": "minimal"});
    let made = room.run("visualPostCreate", asked, REDRAWN).await;
    let before = made["visualPost"].clone();
    assert_eq!(before["redrawOf"], Value::Null);
    assert!((images().await - 2.0).abs() < 0.1);
    let scene = |at: usize| before["slides"][at]["scene"].clone();
    // What a browser makes of it is the same: no number in it is one that a floating-point number is not.
    let plain: Value = serde_json::from_str(&scene(0).to_string()).unwrap();
    assert!(
        plain["layers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|layer| { layer["seed"].as_u64().is_none_or(|seed| seed <= 1 << 53) }),
        "{plain:#}"
    );
    let redraw = async |slides: Value| {
        let asked = json!({"visualPostId": before["id"], "slides": slides, "wait": true});
        let made = member.mutate("visualPostRedraw", asked, REDRAWN).await;
        assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
        made["visualPost"].clone()
    };

    // Unchanged, it is the same to the byte, in files of its own.
    let same = redraw(json!([{"number": 1, "scene": scene(0)}])).await;
    assert!((images().await - 3.0).abs() < 0.1, "what is taken over is not drawn");
    for (slide, other) in same["slides"].as_array().unwrap().iter().zip(before["slides"].as_array().unwrap())
    {
        for kind in ["png", "jpeg"] {
            assert_eq!(file(&room.server, &slide[kind]).await, file(&room.server, &other[kind]).await);
            assert_ne!(slide[kind]["id"], other[kind]["id"]);
        }
        for measured in ["altText", "scene", "blocks"] {
            assert_eq!(slide[measured], other[measured]);
        }
    }
    assert_eq!(same["redrawOf"]["id"], before["id"]);
    for taken in ["template", "format", "period", "notes"] {
        assert_eq!(same[taken], before[taken]);
    }

    // Another text, colour and place: drawn, measured and said anew.
    let mut edited = scene(1);
    let text = layer(&mut edited, "role", "BODY");
    text["text"] = json!("Stille trägt mich.");
    text["color"] = json!("#7A1020");
    text["rect"]["y"] = json!(200);
    let other = redraw(json!([{"number": 2, "scene": edited}])).await;
    let slide = &other["slides"][1];
    let measured = |slide: &Value, text: &Value| {
        let blocks = slide["blocks"].as_array().unwrap();
        blocks
            .iter()
            .find(|block| block["text"] == *text)
            .unwrap_or_else(|| panic!("{text}: {slide:#}"))
            .clone()
    };
    let said = layer(&mut scene(1), "role", "BODY")["text"].clone();
    let (now, then) = (measured(slide, &json!("Stille trägt mich.")), measured(&before["slides"][1], &said));
    assert_ne!(now["contrast"], then["contrast"]);
    assert_eq!(
        slide["altText"],
        "Bild 2 von 2: Stille trägt mich. — Mira Hölzl. Ruhe."
            .replace("Ruhe.", period_name(&before).as_str())
    );
    assert_eq!(slide["png"]["altText"], slide["altText"]);
    assert_ne!(
        file(&room.server, &slide["png"]).await,
        file(&room.server, &before["slides"][1]["png"]).await
    );
    assert_eq!(
        file(&room.server, &other["slides"][0]["png"]).await,
        file(&room.server, &before["slides"][0]["png"]).await
    );

    // What cannot be read, does not fit, stands outside or has no letters is told as it is.
    let mut poor = scene(0);
    let text = layer(&mut poor, "role", "BODY");
    text["text"] = json!(format!("漢 {TEXT} {TEXT}"));
    text["rect"] = json!({"x": -400, "y": 1000, "width": 900, "height": 60});
    let background = layer(&mut poor, "type", "CLOUDS")["base"].clone();
    layer(&mut poor, "role", "BODY")["color"] = background;
    let told = redraw(json!([{"number": 1, "scene": poor, "altText": "Ein Versuch."}])).await;
    let blocks = told["slides"][0]["blocks"].as_array().unwrap();
    let block = blocks.iter().find(|block| block["overflow"] == true).unwrap();
    assert!(block["contrast"].as_f64() < block["requiredContrast"].as_f64(), "{block:#}");
    assert_eq!((&block["overflow"], &block["inSafeArea"]), (&json!(true), &json!(false)), "{block:#}");
    assert!(block["text"].as_str().unwrap().ends_with('…'), "{block:#}");
    assert_eq!(told["slides"][0]["altText"], "Ein Versuch.");
    let notes = told["notes"].to_string();
    assert!(notes.contains('漢') && notes.contains("shortened"), "{notes}");

    // Two slides may look the same, and what was made by editing may be edited again.
    let twice = json!({"visualPostId": told["id"], "wait": true, "idempotencyKey": "twice",
        "slides": [{"number": 2, "scene": scene(1)}, {"number": 1, "scene": scene(1)}]});
    let first = member.mutate("visualPostRedraw", twice.clone(), REDRAWN).await;
    let slides = &first["visualPost"]["slides"];
    assert_eq!(slides[0]["png"]["id"], slides[1]["png"]["id"], "{first:#}");
    assert_eq!(first["visualPost"]["notes"], json!([]), "{first:#}");
    assert_eq!(first["project"]["id"], json!(room.acme.project));
    let again = member.mutate("visualPostRedraw", twice, REDRAWN).await;
    assert_eq!(again["job"]["id"], first["job"]["id"], "the same call draws once");

    // The files stay when what they were made from goes.
    owner.mutate("outputDelete", json!({"id": before["id"]}), "deletedOutputId").await;
    let shown =
        "query($id: ID!) { node(id: $id) { ... on VisualPost { redrawOf { id } slides { png { url } } } } }";
    let node = owner.ok(shown, json!({"id": same["id"]})).await["node"].clone();
    assert_eq!(node["redrawOf"], Value::Null);
    for slide in node["slides"].as_array().unwrap() {
        assert!(!file(&room.server, &slide["png"]).await.is_empty());
    }
    let gone = json!({"visualPostId": before["id"], "slides": [{"number": 1, "scene": scene(0)}]});
    assert_eq!(member.fault("visualPostRedraw", gone).await, "NOT_FOUND");
    room.workers.stop().await;
}

/// The period's name, as the slide says it last.
fn period_name(post: &Value) -> String {
    let said = post["slides"][1]["altText"].as_str().unwrap();
    said.rsplit("Hölzl. ").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_slides_show_the_pictures_that_they_had() {
    let room = Room::new().await;
    let owner = room.owner();
    let red = plain(1080, 630, Color::new(200, 30, 30));
    let behind = upload(&room.server, &owner, &room.acme, &["wall"], &red).await;
    let logo =
        upload(&room.server, &owner, &room.acme, &["logo"], &plain(200, 80, Color::new(250, 250, 250))).await;
    let asked = json!({"text": "Atme.", "format": "LINK", "template": "minimal", "backgroundAssetId": behind, "logoAssetId": logo});
    let made = room.run("visualPostCreate", asked, DRAWN).await;
    let slide = &made["visualPost"]["slides"][0];
    let redraw = async |scene: Value| {
        let asked = json!({"visualPostId": made["visualPost"]["id"], "wait": true, "slides": [{"number": 1, "scene": scene}]});
        room.member().mutate("visualPostRedraw", asked, DRAWN).await
    };
    let same = redraw(slide["scene"].clone()).await;
    assert_eq!(same["visualPost"]["background"], made["visualPost"]["background"], "{same:#}");
    let png = &same["visualPost"]["slides"][0]["png"];
    assert_eq!(file(&room.server, png).await, file(&room.server, &slide["png"]).await);
    let mut moved = slide["scene"].clone();
    layer(&mut moved, "slot", "LOGO")["rect"]["x"] = json!(40);
    let moved = redraw(moved).await;
    let png = &moved["visualPost"]["slides"][0]["png"];
    assert_ne!(file(&room.server, png).await, file(&room.server, &slide["png"]).await);
    // Without its picture the slide cannot be drawn; one that does not show it can.
    owner.mutate("assetDelete", json!({"id": behind}), "").await;
    let gone = redraw(slide["scene"].clone()).await;
    let error = &gone["job"]["error"];
    assert_eq!(
        (&error["code"], &error["field"]),
        (&json!("NOT_FOUND"), &json!(["input", "visualPostId"])),
        "{gone:#}"
    );
    let mut bare = slide["scene"].clone();
    bare["layers"].as_array_mut().unwrap().retain(|layer| layer["slot"] != "BACKGROUND");
    assert_eq!(redraw(bare).await["job"]["status"], "SUCCEEDED");
    room.workers.stop().await;
}

/// Attacks: 202.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_scene_of_the_slide_is_refused_where_it_is_wrong() {
    let room = Room::new().await;
    let made = room.run("visualPostCreate", json!({"text": "Atme.", "template": "quote_card"}), DRAWN).await;
    let scene = made["visualPost"]["slides"][0]["scene"].clone();
    let place = |field: &str, value: &str| {
        scene["layers"].as_array().unwrap().iter().position(|layer| layer[field] == value).unwrap()
    };
    let (text, panel, clouds) = (place("role", "BODY"), place("type", "PANEL"), place("type", "CLOUDS"));
    let member = room.member();
    let refused = async |slides: Value| {
        let asked = json!({"visualPostId": made["visualPost"]["id"], "slides": slides});
        let answer = member.try_mutate("visualPostRedraw", asked, "job { id }").await;
        assert_eq!(answer["job"], Value::Null, "{answer:#}");
        let error = &answer["userErrors"][0];
        let field: Vec<&str> =
            error["field"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        let message = error["message"].as_str().unwrap();
        assert!(message.ends_with('.') && message.len() < 500, "{message}");
        (error["code"].as_str().unwrap().to_owned(), field[1..].join("."), message.to_owned())
    };
    let set = |pointer: &str, value: Value| {
        let mut scene = scene.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        scene.pointer_mut(parent).unwrap()[key] = value;
        scene
    };
    let at =
        |layer: usize, field: &str| (format!("/layers/{layer}/{field}"), format!("layers.{layer}.{field}"));
    let one = |layer: usize, field: &str, value: Value, code: &str| {
        let (pointer, path) = at(layer, field);
        (set(&pointer, value), code.to_owned(), path.replace('/', "."))
    };
    let whole = |layer: usize, field: &str, value: Value| {
        // A layer is read as a whole: what is wrong in it is said in words.
        (set(&at(layer, field).0, value), "INVALID".to_owned(), format!("layers.{layer}"))
    };
    let many = |count: usize| {
        let fill = json!({"type": "FILL", "color": "#FFFFFF", "opacity": 1});
        (set("/layers", json!(vec![fill; count])), "TOO_LONG".to_owned())
    };
    let mut deep = json!([]);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    let without = |key: &str| {
        let mut scene = scene.clone();
        scene.as_object_mut().unwrap().remove(key);
        (scene, "INVALID".to_owned(), String::new())
    };
    let mut cases = vec![
        (json!({}), "INVALID".to_owned(), String::new()),
        (json!("scene"), "INVALID".to_owned(), String::new()),
        (json!([1, 2]), "INVALID".to_owned(), String::new()),
        (set("/safe", json!([48, 48, 984, 1254])), "INVALID".to_owned(), "safe".to_owned()),
        without("layers"),
        without("safe"),
        (set("/width", json!(1081)), "INVALID".to_owned(), "width".to_owned()),
        (set("/height", json!(64)), "INVALID".to_owned(), "height".to_owned()),
        (set("/width", json!(1_000_000)), "OUT_OF_RANGE".to_owned(), "width".to_owned()),
        (set("/width", json!(-1)), "INVALID".to_owned(), "width".to_owned()),
        (set("/typeface", json!("COMIC")), "INVALID".to_owned(), "typeface".to_owned()),
        (set("/safe/x", json!(0)), "INVALID".to_owned(), "safe".to_owned()),
        (set("/safe/x", json!("left")), "INVALID".to_owned(), "safe.x".to_owned()),
        (set("/title", json!("x")), "INVALID".to_owned(), "title".to_owned()),
        (set("/safe/z", json!(1)), "INVALID".to_owned(), "safe.z".to_owned()),
        (set("/layers", deep.clone()), "INVALID".to_owned(), "layers.0.0".to_owned()),
        one(text, "font", json!("Arial"), "INVALID"),
        one(text, "rect/z", json!(1), "INVALID"),
        one(panel, "border/style", json!({"a": deep}), "INVALID"),
        whole(text, "color", json!("red")),
        whole(text, "align", json!("LEFT")),
        whole(text, "size", json!("large")),
        one(text, "type", json!("HTML"), "INVALID"),
        whole(clouds, "seed", json!(-1)),
        whole(clouds, "seed", json!(1.5)),
        one(text, "size", json!(1e9), "OUT_OF_RANGE"),
        one(text, "size", json!(1e300), "OUT_OF_RANGE"),
        one(text, "size", json!(0), "OUT_OF_RANGE"),
        one(text, "leading", json!(99), "OUT_OF_RANGE"),
        one(text, "tracking", json!(-3), "OUT_OF_RANGE"),
        one(text, "rect/x", json!(-1e39), "OUT_OF_RANGE"),
        one(text, "rect/width", json!(-1), "OUT_OF_RANGE"),
        one(text, "text", json!("x".repeat(5_001)), "TOO_LONG"),
        one(panel, "opacity", json!(1.01), "OUT_OF_RANGE"),
        one(panel, "radius", json!(1e6), "OUT_OF_RANGE"),
        one(panel, "border/width", json!(-1), "OUT_OF_RANGE"),
        one(clouds, "colors", json!([]), "OUT_OF_RANGE"),
        one(clouds, "colors", json!(vec!["#FFFFFF"; 9]), "OUT_OF_RANGE"),
    ];
    let (scene_of, code) = many(61);
    cases.push((scene_of, code, "layers".to_owned()));
    let (scene_of, code) = many(3_000);
    cases.push((scene_of, code, String::new()));
    for (slot, width) in [("BACKGROUND", 100), ("LOGO", 100), ("LOGO", 9_000)] {
        let picture = json!({"type": "PICTURE", "slot": slot, "rect": {"x": 0, "y": 0, "width": width, "height": 9_000}, "radius": 0});
        let mut scene = scene.clone();
        scene["layers"].as_array_mut().unwrap().insert(0, picture);
        let (code, path) =
            if width > 1_000 { ("OUT_OF_RANGE", "layers") } else { ("INVALID", "layers.0.slot") };
        cases.push((scene, code.to_owned(), path.to_owned()));
    }
    for (scene, code, path) in cases {
        let (found, field, message) = refused(json!([{"number": 1, "scene": scene}])).await;
        let path =
            if path.is_empty() { "slides.0.scene".to_owned() } else { format!("slides.0.scene.{path}") };
        assert_eq!((&found, &field), (&code, &path), "{message}");
    }
    let slide = |number: i32| json!({"number": number, "scene": scene});
    for (slides, code, path) in [
        (json!([]), "REQUIRED", "slides"),
        (json!([slide(0)]), "OUT_OF_RANGE", "slides.0.number"),
        (json!([slide(2)]), "OUT_OF_RANGE", "slides.0.number"),
        (json!([slide(-1)]), "OUT_OF_RANGE", "slides.0.number"),
        (json!([slide(1), slide(1)]), "INVALID", "slides.1.number"),
        (
            json!([{"number": 1, "scene": scene, "altText": "x".repeat(1_001)}]),
            "TOO_LONG",
            "slides.0.altText",
        ),
    ] {
        let (found, field, message) = refused(slides).await;
        assert_eq!((found.as_str(), field.as_str()), (code, path), "{message}");
    }
    // No other output is a visual post, and nothing is drawn without room for it.
    let set = room
        .run("affirmationsGenerate", json!({"goals": ["Ich will ruhiger werden."]}), "affirmations { id }")
        .await;
    let other = json!({"visualPostId": set["affirmations"]["id"], "slides": [slide(1)]});
    assert_eq!(member.fault("visualPostRedraw", other).await, "INVALID");
    crate::usage::limit(&room.server, &room.acme, &json!({"IMAGES": 1})).await;
    let full = json!({"visualPostId": made["visualPost"]["id"], "slides": [slide(1)]});
    assert_eq!(member.fault("visualPostRedraw", full).await, "QUOTA_EXCEEDED");
    room.workers.stop().await;
}
