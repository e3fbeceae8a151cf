//! Previews of pictures: what they look like, who gets them, and that they go with what they were made from.

use std::path::Path;

use aicos::agents::visuals::builtin::picture::{self, Limits, PictureFormat};
use aicos::agents::visuals::builtin::{Picture, encode};
use aicos::assets;
use aicos::db::Facts;
use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::cast;
use crate::support::files::{ask, bucket, files as listed, folder, get, put};
use crate::support::{Client, Server, tuning};

const SIZES: [(&str, u32); 4] = [("TINY", 160), ("SMALL", 320), ("MEDIUM", 640), ("LARGE", 1_280)];
/// What nobody who is given a picture should read in it.
const PLACE: &[u8] = b"52.5200 N 13.4050 E";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// A picture that is red above and blue below.
fn halves(width: u32, height: u32, alpha: u8) -> Picture {
    let color = |row: u32| if row < height / 2 { [220, 20, 20, alpha] } else { [20, 20, 220, 255] };
    let rgba = (0..height).flat_map(|row| color(row).repeat(width as usize)).collect();
    Picture::new(width, height, rgba).unwrap()
}

/// A JPEG that says that it has to be turned right, and where it was taken.
fn turned(width: u32, height: u32) -> Vec<u8> {
    let jpeg = encode::small_jpeg(&halves(width, height, 255)).unwrap();
    let exif = [b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", PLACE].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], b"\xFF\xE1", &length, &exif, &jpeg[2..]].concat()
}

async fn sweep(server: &Server) -> usize {
    let lease = server.app.identity.lease(Facts::default());
    assets::sweep(&lease, &server.app.storage).await.unwrap()
}

/// The addresses of an asset's previews by size; null for an asset that is not there.
async fn previews(client: &Client<'_>, id: &Value) -> Value {
    let fields = SIZES.map(|(size, _)| format!("{size}: preview(size: {size})")).join(" ");
    let document = format!("query($id: ID!) {{ node(id: $id) {{ ... on Asset {{ {fields} }} }} }}");
    client.ok(&document, json!({"id": id})).await["node"].clone()
}

async fn small(client: &Client<'_>, id: &Value) -> Value {
    let document = "query($id: ID!) { node(id: $id) { ... on Asset { preview } } }";
    client.ok(document, json!({"id": id})).await["node"]["preview"].clone()
}

async fn stored(client: &Client<'_>) -> f64 {
    let seen = client.ok("{ organization { usage { metrics { kind used } } } }", json!({})).await;
    let metrics = seen["organization"]["usage"]["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["kind"] == "STORAGE_BYTES").unwrap()["used"].as_f64().unwrap()
}

/// What every backend has to do.
async fn conforms(server: &Server, objects: &Path) {
    let acme = cast::organization(server, "Acme").await;
    let owner = acme.owner.at(server);
    let mine = |id: &Value| listed(objects).into_iter().filter(|path| path.contains(text(id))).count();

    // Upright, in its shape, and with nothing but its pixels.
    let original = turned(2_000, 1_000);
    assert!(original.windows(PLACE.len()).any(|window| window == PLACE), "the original does say it");
    let photo = owner.keep_file(&acme, "IMAGE", &original).await;
    let before = stored(&owner).await;
    let urls = previews(&owner, &photo["id"]).await;
    for (size, side) in SIZES {
        let fetched = get(server, text(&urls[size])).await;
        assert_eq!((fetched.status.as_u16(), fetched.header("content-type")), (200, "image/jpeg"));
        assert!(fetched.header("content-disposition").starts_with("inline; filename=\"ast_"), "{fetched:?}");
        let found = picture::decode(&fetched.body, &Limits::default()).unwrap();
        let height = side.min(2_000);
        assert_eq!((found.width(), found.height()), (height / 2, height), "{size}");
        // What was above is on the right after a turn to the right.
        let pixel = |x: u32| &found.rgba()[((height / 2 * found.width() + x) * 4) as usize..][..3];
        let (left, right) = (pixel(4), pixel(found.width() - 5));
        assert!(left[2] > 150 && right[0] > 150, "{size} {left:?} {right:?}");
        for word in [PLACE, b"Exif"] {
            assert!(!fetched.body.windows(word.len()).any(|window| window == word), "{size}");
        }
    }
    assert_eq!(
        small(&owner, &photo["id"]).await.as_str().map(str::len),
        urls["SMALL"].as_str().map(str::len)
    );
    // They count nothing.
    assert!((stored(&owner).await - before).abs() < 0.5);

    // Of a part, of its head alone, and under the conditions of the original.
    let url = text(&urls["TINY"]);
    let whole = get(server, url).await;
    let part = ask(server, Method::GET, url, &[("range", "bytes=2-9")], Vec::new()).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &whole.body[2..10]));
    assert_eq!(part.header("content-range"), format!("bytes 2-9/{}", whole.body.len()));
    let head = ask(server, Method::HEAD, url, &[], Vec::new()).await;
    // A bucket answers by itself, and its addresses are good for GET alone.
    if url.starts_with("http://localhost:8000") {
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), whole.body.len().to_string());
        assert!(whole.header("cache-control").starts_with("private, max-age="), "{whole:?}");
        let known = [("if-none-match", whole.header("etag"))];
        assert_eq!(ask(server, Method::GET, url, &known, Vec::new()).await.status, 304);
        let other = [("if-none-match", "\"another\"")];
        assert_eq!(ask(server, Method::GET, url, &other, Vec::new()).await.status, 200);
    } else {
        assert_eq!(head.status, 403);
    }
    for wrong in [
        url.replace("-160.jpg", "-320.jpg"),
        url.replace("-160.jpg", ""),
        url.replace("ature=", "ature=0"),
        url.split('?').next().unwrap().to_owned(),
    ] {
        assert!(get(server, &wrong).await.status.is_client_error(), "{wrong}");
    }

    // Transparency stays, and nothing is enlarged or kept twice.
    let clear = encode::transparent_png(&halves(500, 250, 0)).unwrap();
    let logo = owner.keep_file(&acme, "IMAGE", &clear).await;
    let urls = previews(&owner, &logo["id"]).await;
    for (size, width) in [("SMALL", 320), ("MEDIUM", 500), ("LARGE", 500)] {
        let fetched = get(server, text(&urls[size])).await;
        assert_eq!(fetched.header("content-type"), "image/png");
        let found = picture::decode(&fetched.body, &Limits::default()).unwrap();
        assert_eq!((found.width(), found.height(), found.rgba()[3]), (width, width / 2, 0), "{size}");
        assert_eq!(found.rgba().last(), Some(&255));
    }
    let objects_of_logo = mine(&logo["id"]);

    // What is deleted is gone with all that was made from it.
    let url = text(&urls["SMALL"]).to_owned();
    owner.mutate("assetDelete", json!({"id": logo["id"]}), "deletedAssetId").await;
    assert_eq!(get(server, &url).await.status, 404);
    assert!(objects_of_logo >= 4 && mine(&logo["id"]) == 0, "{objects_of_logo}");
    assert_eq!(small(&owner, &logo["id"]).await, Value::Null);

    // What is left of the upload is swept, and the previews stay.
    let kept = mine(&photo["id"]);
    server.tamper("update asset_leftovers set due_at = now() - interval '1 second'").await;
    assert!(sweep(server).await >= 1);
    assert_eq!(mine(&photo["id"]), kept);
    assert_eq!(get(server, text(&small(&owner, &photo["id"]).await)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_in_a_folder_conform() {
    let (config, objects) = folder();
    let server = Server::with(config, tuning()).await;
    conforms(&server, &objects).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_in_a_bucket_conform() {
    let (config, objects) = bucket().await;
    let server = Server::with(config, tuning()).await;
    conforms(&server, &objects).await;
}

/// Attacks: 149, 151.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_has_no_preview() {
    let (config, objects) = folder();
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let opaque = |width, height| encode::png(&halves(width, height, 255)).unwrap();
    let good = opaque(300, 200);
    for (kind, bytes) in [
        // Within what an asset may be, and more than is decoded: 41 million pixels of a few bytes each thousand.
        ("IMAGE", opaque(16_000, 2_563)),
        ("IMAGE", good[..good.len() - 20].to_vec()),
        ("IMAGE", [&good[..], b"<script>alert(1)</script>"].concat()),
        ("IMAGE", [&b"GIF89a"[..], &[1, 0, 1, 0], &[0; 30]].concat()),
        ("DOCUMENT", b"%PDF-1.7\n...".to_vec()),
    ] {
        let asset = owner.keep_file(&acme, kind, &bytes).await;
        let none = json!({"TINY": null, "SMALL": null, "MEDIUM": null, "LARGE": null});
        assert_eq!(previews(&owner, &asset["id"]).await, none, "{kind} {}", asset["mimeType"]);
    }
    assert!(!listed(&objects).iter().any(|path| path.contains("-320.") || path.contains("-160.")));
    for (bytes, size) in [(good.clone(), (300, 200)), (opaque(16_000, 2_500), (320, 50))] {
        let asset = owner.keep_file(&acme, "IMAGE", &bytes).await;
        let fetched = get(&server, text(&small(&owner, &asset["id"]).await)).await;
        let found = picture::inspect(&fetched.body, &Limits::default()).unwrap();
        assert_eq!((found.format, (found.width, found.height)), (PictureFormat::Jpeg, size));
    }
    // A picture costs more than a row.
    let asked = "{ organization { assets(first: 100) { nodes { id MEDIUM: preview(size: MEDIUM) } } } }";
    let priced = async |document: &str| {
        let answer = acme.owner.at(&server).header("x-cost", "dry-run").send(document, json!({})).await;
        answer.body["extensions"]["cost"]["requested"].as_i64().unwrap()
    };
    let (with, without) =
        (priced(asked).await, priced(&asked.replace("MEDIUM: preview(size: MEDIUM)", "")).await);
    assert_eq!(with - without, 500);
}

/// Attacks: 105.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_its_originals_organizations_and_projects() {
    let (config, objects) = folder();
    let server = Server::with(config.clone(), tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    let owner = acme.owner.at(&server);
    let project = cast::project(&server, &acme, "Short").await;
    let bytes = encode::png(&halves(900, 600, 255)).unwrap();
    let place = json!({"organizationId": acme.id, "projectId": project});
    let upload = owner.announce(place, "IMAGE", &bytes).await;
    put(&server, text(&upload["url"]), &bytes).await;
    owner.mutate("assetUploadComplete", json!({"id": upload["id"]}), "").await;
    let id = &upload["id"];
    let guest = cast::guest(&server, &acme, "ADMIN", &acme.project).await;
    for stranger in [globex.owner.at(&server), guest.at(&server)] {
        assert_eq!(previews(&stranger, id).await, Value::Null);
    }
    assert_eq!(listed(&objects).len(), 1, "nothing is made for strangers: {:?}", listed(&objects));

    // However many ask at the same time, on several replicas, there is one.
    let replica = server.replica_with(config).await;
    let (here, there) = (acme.owner.at(&server), acme.owner.at(&replica));
    let asking = (0..4).flat_map(|_| [small(&here, id), small(&there, id)]);
    let made = join_all(asking).await;
    let bodies = join_all(made.iter().map(|url| get(&server, text(url)))).await;
    assert!(bodies.iter().all(|one| one.status == 200 && one.body == bodies[0].body));
    assert_eq!(listed(&objects).iter().filter(|path| path.contains("-320.jpg")).count(), 1);
    for path in listed(&objects) {
        let root =
            format!("{}/organizations/{}/projects/{project}/{}/", objects.display(), acme.id, text(id));
        assert!(path.starts_with(&root), "{path}");
    }
    // Strangers are told nothing, also now that there is one.
    for stranger in [globex.owner.at(&server), guest.at(&server)] {
        assert_eq!(previews(&stranger, id).await, Value::Null);
    }

    // The project goes, and everything with it; what is on its way just now as well.
    owner.mutate("projectDelete", json!({"id": project}), "").await;
    let late: bool =
        sqlx::query_scalar("select bool_and(due_at > now() + interval '1 minute') from asset_leftovers")
            .fetch_one(&mut server.database.superuser().await)
            .await
            .unwrap();
    assert!(late, "whoever is making one has a minute");
    server.tamper("update asset_leftovers set due_at = now() - interval '1 second'").await;
    assert!(sweep(&server).await >= 1);
    assert_eq!(listed(&objects), [""; 0]);
    assert_eq!(get(&server, text(&made[0])).await.status, 404);
}
