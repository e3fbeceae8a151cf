//! Assets: sent, looked at and fetched, in a folder and in a bucket; and what is refused.

use std::path::Path;
use std::sync::{Arc, Mutex};

use aicos::access::Action;
use aicos::assets::{self, AssetKind, NewAsset};
use aicos::db::{Facts, Record, Target};
use aicos::jobs::worker::{Work, WorkerSettings, Workers};
use aicos::jobs::{Attempted, Failure, Finished, Run};
use aicos::storage::Storage;
use axum::http::Method;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use sqlx::types::Uuid;

use crate::support::cast;
use crate::support::files::{self, ASSET, ask, bucket, files as listed, folder, get, png, put, sha256};
use crate::support::{Database, Server, tuning};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Lets go of what is late, and removes what is left, as the server does every half minute.
async fn sweep(server: &Server) -> usize {
    let lease = server.app.identity.lease(Facts::default());
    assets::sweep(&lease, &server.app.storage).await.unwrap()
}

/// What every backend has to do: the same calls, with the same answers.
async fn conforms(server: &Server, objects: &Path) {
    let acme = cast::organization(server, "Acme").await;
    let owner = acme.owner.at(server);
    server.app.storage.check().await.unwrap();

    // Sent, looked at, and fetched as it was, whole and in part.
    let picture = [png(640, 480), vec![7; 6 * 1024 * 1024]].concat();
    // The whole organization's: the test's store makes file names of its keys, and has no room for longer ones.
    let place = json!({"organizationId": acme.id, "sha256": sha256(&picture), "altText": "A picture.", "tags": ["b", "a", "b"]});
    let upload = owner.announce(place, "IMAGE", &picture).await;
    assert_eq!((text(&upload["method"]), &upload["bytes"]), ("PUT", &json!(picture.len())));
    let complete = json!({"id": upload["id"]});
    assert_eq!(
        owner.fault("assetUploadComplete", complete.clone()).await,
        "CONFLICT",
        "nothing is there yet"
    );
    let shorter = put(server, text(&upload["url"]), &picture[1..]).await;
    // A folder does not take it, and a bucket's is found out.
    let found_out = owner.fault("assetUploadComplete", complete.clone()).await;
    assert_eq!(found_out, if shorter.status.is_success() { "INVALID" } else { "CONFLICT" });
    let sent = put(server, text(&upload["url"]), &picture).await;
    assert_eq!(sent.status, 200, "{}", String::from_utf8_lossy(&sent.body));
    let select = format!("asset {{ {ASSET} }} organization {{ assets {{ totalCount }} }}");
    let made = owner.mutate("assetUploadComplete", complete.clone(), &select).await;
    let asset = &made["asset"];
    assert_eq!(made["organization"]["assets"]["totalCount"], 1);
    assert_eq!((&asset["mimeType"], &asset["bytes"]), (&json!("image/png"), &json!(picture.len())));
    assert_eq!((&asset["width"], &asset["height"]), (&json!(640), &json!(480)));
    assert_eq!((text(&asset["sha256"]), &asset["tags"]), (&*sha256(&picture), &json!(["a", "b"])));
    assert_eq!(asset["project"], Value::Null);
    let url = text(&asset["url"]);
    let whole = get(server, url).await;
    assert_eq!((whole.status, whole.header("content-type")), (200.try_into().unwrap(), "image/png"));
    assert!(whole.header("content-disposition").starts_with("inline"), "{whole:?}");
    assert!(whole.body == picture);
    let range = ask(server, Method::GET, url, &[("range", "bytes=0-7")], Vec::new()).await;
    assert_eq!((range.status.as_u16(), &range.body[..]), (206, &picture[..8]));
    assert_eq!(range.header("content-range"), format!("bytes 0-7/{}", picture.len()));
    let beyond = ask(server, Method::GET, url, &[("range", "bytes=99999999-")], Vec::new()).await;
    assert_eq!(beyond.status, 416);

    // What was looked at stays: what is sent afterwards changes nothing, and is removed. Completing again is harmless.
    let again = owner.mutate("assetUploadComplete", complete, "asset { id sha256 }").await;
    assert_eq!((&again["asset"]["id"], &again["asset"]["sha256"]), (&asset["id"], &asset["sha256"]));
    let other = [png(1, 1), vec![8; picture.len() - png(1, 1).len()]].concat();
    assert_eq!(put(server, text(&upload["url"]), &other).await.status, 200);
    assert!(get(server, url).await.body == picture);
    server.tamper("update asset_leftovers set due_at = now() - interval '1 second'").await;
    assert_eq!(sweep(server).await, 1);
    assert!(get(server, url).await.body == picture);

    // A document is saved rather than shown.
    let place = json!({"organizationId": acme.id, "projectId": acme.project});
    let upload = owner.announce(place, "DOCUMENT", b"%PDF-1.7\n...").await;
    put(server, text(&upload["url"]), b"%PDF-1.7\n...").await;
    let select = format!("asset {{ {ASSET} }} project {{ assets {{ totalCount }} }}");
    let made = owner.mutate("assetUploadComplete", json!({"id": upload["id"]}), &select).await;
    let document = &made["asset"];
    assert_eq!(document["project"]["id"], acme.project.as_str());
    assert_eq!(made["project"]["assets"]["totalCount"], 1);
    let saved = get(server, text(&document["url"])).await;
    assert_eq!(saved.header("content-type"), "application/pdf");
    let disposition = format!("attachment; filename=\"{}.pdf\"", text(&document["id"]));
    assert_eq!(
        (saved.header("content-disposition"), &saved.body[..]),
        (&*disposition, &b"%PDF-1.7\n..."[..])
    );

    // What is refused is removed, and the next one may be sent to the same address.
    let page = b"<!DOCTYPE html><script>alert(1)</script>";
    let upload = owner.announce(json!({"organizationId": acme.id}), "IMAGE", page).await;
    put(server, text(&upload["url"]), page).await;
    let complete = json!({"id": upload["id"]});
    assert_eq!(owner.fault("assetUploadComplete", complete.clone()).await, "INVALID");
    assert_eq!(owner.fault("assetUploadComplete", complete.clone()).await, "CONFLICT", "it is gone");
    let fits = [&b"GIF89a"[..], &[1, 0, 1, 0], &[0; 30]].concat();
    assert_eq!(put(server, text(&upload["url"]), &fits).await.status, 200);
    owner.mutate("assetUploadComplete", complete, "asset { id }").await;

    // What is signed for one thing is good for nothing else.
    for (method, url) in [
        (Method::PUT, url.to_owned()),
        (Method::GET, text(&upload["url"]).to_owned()),
        (Method::DELETE, url.to_owned()),
        (Method::GET, url.replace(text(&asset["id"]), text(&document["id"]))),
        (Method::GET, url.replace("ature=", "ature=0")),
        (Method::GET, url.split('?').next().unwrap().to_owned()),
    ] {
        let refused = ask(server, method.clone(), &url, &[], b"Something".to_vec()).await;
        assert!(refused.status.is_client_error(), "{method} {url} {}", refused.status);
    }
    assert!(get(server, url).await.body == picture);

    // Deleted, it is gone at once.
    owner.mutate("assetDelete", json!({"id": asset["id"]}), "deletedAssetId").await;
    assert_eq!(get(server, url).await.status, 404);
    assert_eq!(owner.asset(text(&asset["id"])).await, Value::Null);
    let left = listed(objects).join("\n");
    assert!(!left.contains(text(&asset["id"])) && left.contains(text(&document["id"])), "{left}");
    // Nothing is anywhere but below the organization.
    let outside: Vec<_> =
        left.lines().filter(|path| !path.contains(&format!("organizations/{}/", acme.id))).collect();
    assert!(outside.is_empty(), "{outside:?}");
}

/// Attacks: 149, 151, 152, 155.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_conforms() {
    let (config, objects) = folder();
    let server = Server::with(config, tuning()).await;
    conforms(&server, &objects).await;
}

/// Attacks: 105.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_conforms() {
    let (config, objects) = bucket().await;
    let server = Server::with(config, tuning()).await;
    conforms(&server, &objects).await;
}

/// Attacks: 149, 150, 151.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_really_is_decides() {
    let (config, _) = folder();
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let mp4 = [&[0, 0, 0, 0x18][..], b"ftypmp42\0\0\0\0mp42isom", &[0; 40]].concat();
    let wav = [&b"RIFF\x24\0\0\0WAVEfmt "[..], &[0; 40]].concat();
    let jpeg_head = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xFF\xC0\x00\x11\x08\x01\x00\x02\x00\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xFF\xD9";
    let good: [(&str, &[u8], &str); 12] = [
        ("IMAGE", &png(5_000, 10_000), "image/png"),
        ("IMAGE", jpeg_head, "image/jpeg"),
        ("IMAGE", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;<script>", "image/gif"),
        ("VIDEO", &mp4, "video/mp4"),
        ("AUDIO", &wav, "audio/wav"),
        ("AUDIO", b"\xFF\xF1\x50\x40\x01\x7F\xFC\0\0\0\x07", "audio/aac"),
        ("DOCUMENT", b"%PDF-1.7\n", "application/pdf"),
        ("DOCUMENT", "Ünïcödé".as_bytes(), "text/plain"),
        ("CAPTIONS", b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello", "text/vtt"),
        ("CAPTIONS", b"1\r\n00:00:00,000 --> 00:00:01,000\r\nHello", "application/x-subrip"),
        ("CALENDAR", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR", "text/calendar"),
        ("CALENDAR", b"\xEF\xBB\xBFBEGIN:VCALENDAR\r\n", "text/calendar"),
    ];
    for (kind, bytes, mime_type) in good {
        let asset = member.keep_file(&acme, kind, bytes).await;
        assert_eq!((text(&asset["kind"]), text(&asset["mimeType"])), (kind, mime_type));
        let fetched = get(&server, text(&asset["url"])).await;
        assert_eq!(fetched.header("content-type"), mime_type);
        assert_eq!(fetched.header("x-content-type-options"), "nosniff");
        assert!(fetched.header("content-security-policy").ends_with("sandbox"));
        let shown = ["IMAGE", "VIDEO", "AUDIO"].contains(&kind);
        assert_eq!(fetched.header("content-disposition").starts_with("inline"), shown, "{kind}");
    }
    let zip = [&b"PK\x03\x04"[..], &[0; 60]].concat();
    let bad: [(&str, &[u8]); 17] = [
        // Bombs: nothing of them is decoded, what they say of themselves is enough.
        ("IMAGE", &png(50_000, 50_000)),
        ("IMAGE", &png(16_385, 1)),
        ("IMAGE", &png(0, 1)),
        ("IMAGE", b"\x89PNG\r\n\x1a\n and no more"),
        ("IMAGE", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("IMAGE", b"<?xml version='1.0'?><svg/>"),
        ("IMAGE", &mp4),
        ("VIDEO", &png(1, 1)),
        ("AUDIO", &mp4),
        ("DOCUMENT", &zip),
        ("DOCUMENT", b"  <!doctype html><script>alert(1)</script>"),
        ("DOCUMENT", b"\xEF\xBB\xBF<html>"),
        ("DOCUMENT", b"caf\xE9"),
        ("DOCUMENT", b"ends in the middle \xC3"),
        ("DOCUMENT", b"a\0b"),
        ("CAPTIONS", b"just some words"),
        ("CALENDAR", b"WEBVTT"),
    ];
    for (kind, bytes) in bad {
        let refused = member.try_send(&acme, kind, bytes).await;
        assert_eq!(refused["userErrors"][0]["code"], "INVALID", "{kind} {}", String::from_utf8_lossy(bytes));
        assert_eq!(refused["asset"], Value::Null);
    }
    // What begins as a text and goes on as none is found out where it does.
    let late = [vec![b'a'; 100_000], vec![0xFF]].concat();
    assert_eq!(member.try_send(&acme, "DOCUMENT", &late).await["userErrors"][0]["code"], "INVALID");
    let seen = member.ok("{ organization { assets { totalCount } } }", json!({})).await;
    assert_eq!(seen["organization"]["assets"]["totalCount"], 12);

    for (field, more, code) in [
        ("bytes", json!({"bytes": 0}), "OUT_OF_RANGE"),
        ("bytes", json!({"bytes": 20 * 1024 * 1024 + 1}), "OUT_OF_RANGE"),
        ("sha256", json!({"sha256": "abc"}), "INVALID"),
        ("altText", json!({"altText": "x".repeat(1_001)}), "TOO_LONG"),
        ("tags", json!({"tags": (0..21).map(|n| n.to_string()).collect::<Vec<_>>()}), "TOO_LONG"),
    ] {
        let mut input = json!({"organizationId": acme.id, "kind": "IMAGE", "bytes": 20 * 1024 * 1024});
        member.mutate("assetUploadCreate", input.clone(), "upload { id }").await;
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = member.try_mutate("assetUploadCreate", input, "").await;
        assert_eq!(refused["userErrors"][0]["code"], code, "{refused}");
        assert_eq!(refused["userErrors"][0]["field"], json!(["input", field]));
    }
    // Another file than the one that was announced.
    let announced = json!({"organizationId": acme.id, "sha256": sha256(&png(2, 2))});
    let upload = member.announce(announced, "IMAGE", &png(1, 1)).await;
    put(&server, text(&upload["url"]), &png(1, 1)).await;
    assert_eq!(member.fault("assetUploadComplete", json!({"id": upload["id"]})).await, "INVALID");
    put(&server, text(&upload["url"]), &png(2, 2)).await;
    member.mutate("assetUploadComplete", json!({"id": upload["id"]}), "").await;
}

/// Attacks: 105, 152, 153.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_says_nothing_to_whoever_lacks_its_proof() {
    let (config, objects) = folder();
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let asset = owner.keep_file(&acme, "DOCUMENT", b"A secret.").await;
    let url = text(&asset["url"]);
    let (path, query) = url.split_once('?').unwrap();
    let control = get(&server, url).await;
    assert_eq!((control.status.as_u16(), &control.body[..]), (200, &b"A secret."[..]));
    let base = "http://localhost:8000/assets";
    let nothing = get(&server, &format!("{base}/organizations/nobody?{query}")).await;
    assert_eq!(nothing.status, 404);
    for (method, url) in [
        (Method::GET, format!("{path}?")),
        (Method::GET, path.to_owned()),
        (Method::GET, format!("{url}&expires=9999999999")),
        (Method::GET, url.replace("text%2Fplain", "text%2Fhtml")),
        (Method::GET, url.replace("expires=1", "expires=2")),
        (Method::PUT, url.to_owned()),
        (Method::GET, format!("{base}/../master.key?{query}")),
        (Method::GET, format!("{base}/..%2f..%2fmaster.key?{query}")),
        (Method::GET, format!("{base}/%2fetc%2fpasswd?{query}")),
        (Method::GET, format!("{base}/C:%5Cboot.ini?{query}")),
        (Method::GET, format!("{base}/%00?{query}")),
        (Method::GET, format!("{base}/{}?{query}", "a".repeat(4_000))),
        (Method::GET, format!("{base}/{}%0a1?{query}", path.rsplit("assets/").next().unwrap())),
    ] {
        let refused = ask(&server, method, &url, &[], b"Something".to_vec()).await;
        assert_eq!((refused.status.as_u16(), &refused.body), (404, &nothing.body), "{url}");
        assert_eq!(refused.header("etag"), "");
    }
    // HEAD, conditions and odd ranges.
    let head = ask(&server, Method::HEAD, url, &[], Vec::new()).await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "9", 0));
    let tag = head.header("etag").to_owned();
    let known = ask(&server, Method::GET, url, &[("if-none-match", &tag)], Vec::new()).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    for (range, status, body) in [
        ("bytes=2-4", 206, "sec"),
        ("bytes=-3", 206, "et."),
        ("bytes=7-", 206, "t."),
        ("bytes=0-1,3-4", 200, "A secret."),
        ("lines=1-2", 200, "A secret."),
        ("bytes=9-", 416, ""),
        ("bytes=-0", 416, ""),
    ] {
        let part = ask(&server, Method::GET, url, &[("range", range)], Vec::new()).await;
        assert_eq!(
            (part.status.as_u16(), &*String::from_utf8(part.body).unwrap()),
            (status, body),
            "{range}"
        );
    }
    let stale = [("range", "bytes=2-4"), ("if-range", "\"another\"")];
    assert_eq!(ask(&server, Method::GET, url, &stale, Vec::new()).await.status, 200);
    // More is not taken than was announced, whatever the head says of it.
    let upload = owner.announce(json!({"organizationId": acme.id}), "DOCUMENT", b"nine byte").await;
    let before = listed(&objects);
    let longer = put(&server, text(&upload["url"]), b"ten bytes!").await;
    assert_eq!(longer.status, 413);
    assert_eq!(listed(&objects), before, "nothing of it is kept");
    assert_eq!(put(&server, text(&upload["url"]), b"nine byte").await.status, 200);
    assert_eq!(listed(&objects).len(), before.len() + 1);
    // Names are the server's: each lies below its organization.
    for path in listed(&objects) {
        let root = format!("{}/organizations/{}/shared/ast_", objects.display(), acme.id);
        assert!(path.starts_with(&root), "{path}");
    }
}

/// Attacks: 105, 155.
#[tokio::test(flavor = "multi_thread")]
async fn an_asset_is_its_organizations_and_its_projects() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    let owner = acme.owner.at(&server);
    let other = cast::project(&server, &acme, "Other").await;
    let guest = cast::guest(&server, &acme, "ADMIN", &other).await;
    let asset = owner.keep_file(&acme, "DOCUMENT", b"A secret.").await;
    let upload = owner.announce(json!({"organizationId": acme.id}), "DOCUMENT", b"pending").await;
    assert_eq!(put(&server, text(&upload["url"]), b"pending").await.status, 200);
    for stranger in [globex.owner.at(&server), guest.at(&server)] {
        assert_eq!(stranger.asset(text(&asset["id"])).await, Value::Null);
        for (field, input) in [
            ("assetUploadComplete", json!({"id": upload["id"]})),
            ("assetUpdate", json!({"id": asset["id"], "altText": "x"})),
            ("assetDelete", json!({"id": asset["id"]})),
        ] {
            assert_eq!(stranger.fault(field, input).await, "NOT_FOUND", "{field}");
        }
        let seen = stranger.ok("{ organization { assets { totalCount } } }", json!({})).await;
        assert_eq!(seen["organization"]["assets"]["totalCount"], 0);
    }
    // Nobody sees what is on its way.
    assert_eq!(owner.asset(text(&upload["id"])).await, Value::Null);
    assert_eq!(owner.fault("assetDelete", json!({"id": upload["id"]})).await, "NOT_FOUND");
    owner.mutate("assetUploadComplete", json!({"id": upload["id"]}), "").await;
    let changed = json!({"id": asset["id"], "altText": " Words. ", "tags": ["x"]});
    let after = owner.mutate("assetUpdate", changed, "asset { altText tags }").await;
    assert_eq!(after["asset"], json!({"altText": "Words.", "tags": ["x"]}));
    let cleared = owner
        .mutate("assetUpdate", json!({"id": asset["id"], "altText": null}), "asset { altText tags }")
        .await;
    assert_eq!(cleared["asset"], json!({"altText": null, "tags": ["x"]}));

    let list = "query($filter: AssetFilter) { organization { assets(filter: $filter) { totalCount nodes { id } } } }";
    for (filter, count) in [
        (json!({"kinds": ["DOCUMENT"]}), 2),
        (json!({"kinds": ["IMAGE"]}), 0),
        (json!({"tags": ["x"]}), 1),
        (json!({"tags": ["x", "y"]}), 0),
    ] {
        let seen = owner.ok(list, json!({"filter": filter})).await;
        assert_eq!(seen["organization"]["assets"]["totalCount"], count, "{filter}");
        assert_eq!(seen["organization"]["assets"]["nodes"].as_array().unwrap().len(), count);
    }
    // A repeated call announces the same file.
    let input = json!({"organizationId": acme.id, "kind": "DOCUMENT", "bytes": 3, "idempotencyKey": "k"});
    let once = owner.mutate("assetUploadCreate", input.clone(), "upload { id url }").await;
    let twice = owner.mutate("assetUploadCreate", input.clone(), "upload { id }").await;
    assert_eq!(once["upload"]["id"], twice["upload"]["id"]);
    put(&server, text(&once["upload"]["url"]), b"abc").await;
    // Of those who complete it at the same time each gets the one asset.
    let completing = (0..5).map(|_| {
        owner.mutate("assetUploadComplete", json!({"id": once["upload"]["id"]}), "asset { id url }")
    });
    for made in join_all(completing).await {
        assert_eq!(made["asset"]["id"], once["upload"]["id"]);
        assert_eq!(get(&server, text(&made["asset"]["url"])).await.body, b"abc");
    }
    assert_eq!(owner.fault("assetUploadCreate", input).await, "CONFLICT");
}

/// Attacks: 156.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_kept_than_the_tier_allows() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    server.tamper("update organizations set tier = 'starter'").await;
    server
        .tamper(r#"update tiers set limits = limits || '{"STORAGE_BYTES": 1000}' where key = 'starter'"#)
        .await;
    let input = json!({"organizationId": acme.id, "kind": "DOCUMENT", "bytes": 100});
    let many = (0..50).map(|_| owner.try_mutate("assetUploadCreate", input.clone(), "upload { id url }"));
    let answers = join_all(many).await;
    let taken: Vec<&Value> = answers.iter().filter(|answer| !answer["upload"].is_null()).collect();
    assert_eq!(taken.len(), 10, "ten of a hundred bytes fit, and no more");
    for refused in answers.iter().filter(|answer| answer["upload"].is_null()) {
        assert_eq!(refused["userErrors"][0]["code"], "QUOTA_EXCEEDED", "{refused}");
    }
    let used = async || {
        let seen = owner.ok("{ organization { usage { metrics { kind used limit } } } }", json!({})).await;
        let metrics = seen["organization"]["usage"]["metrics"].as_array().unwrap().clone();
        metrics.into_iter().find(|metric| metric["kind"] == "STORAGE_BYTES").unwrap()
    };
    assert_eq!(used().await, json!({"kind": "STORAGE_BYTES", "used": 1000.0, "limit": 1000.0}));
    // A guest of one project, who sees none of this, meets the same limit.
    let guest = cast::guest(&server, &acme, "ADMIN", &acme.project).await;
    let theirs =
        json!({"organizationId": acme.id, "projectId": acme.project, "kind": "DOCUMENT", "bytes": 1});
    assert_eq!(guest.at(&server).fault("assetUploadCreate", theirs.clone()).await, "QUOTA_EXCEEDED");
    // Deleting gives back.
    let upload = &taken[0]["upload"];
    put(&server, text(&upload["url"]), &[b'a'; 100]).await;
    owner.mutate("assetUploadComplete", json!({"id": upload["id"]}), "").await;
    assert_eq!(used().await["used"], 1000.0);
    owner.mutate("assetDelete", json!({"id": upload["id"]}), "").await;
    assert_eq!(used().await["used"], 900.0);
    guest.at(&server).mutate("assetUploadCreate", theirs, "").await;
    // So does what does not come in time.
    assert_eq!(sweep(&server).await, 0);
    server.tamper("update assets set expires_at = now() - interval '2 hours'").await;
    assert!(sweep(&server).await >= 9);
    assert_eq!(used().await["used"], 0.0);
    owner.mutate("assetUploadCreate", input, "upload { id }").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_is_gone() {
    let (config, objects) = folder();
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    // One that never was completed, one whose project goes, and one that stays.
    let late = owner.announce(json!({"organizationId": acme.id}), "DOCUMENT", b"late").await;
    put(&server, text(&late["url"]), b"late").await;
    let project = cast::project(&server, &acme, "Short").await;
    let gone =
        owner.announce(json!({"organizationId": acme.id, "projectId": project}), "DOCUMENT", b"gone").await;
    put(&server, text(&gone["url"]), b"gone").await;
    owner.mutate("assetUploadComplete", json!({"id": gone["id"]}), "").await;
    let stays = owner.keep_file(&acme, "DOCUMENT", b"stays").await;
    owner.mutate("projectDelete", json!({"id": project}), "").await;
    assert_eq!(listed(&objects).len(), 3);
    assert_eq!(sweep(&server).await, 0, "an object may still be on its way");
    server.tamper("update assets set expires_at = now() - interval '2 hours' where state = 'PENDING'").await;
    server.tamper("update asset_leftovers set due_at = now() - interval '1 second'").await;
    let expired = json!({"id": late["id"]});
    assert_eq!(owner.fault("assetUploadComplete", expired.clone()).await, "EXPIRED");
    assert!(sweep(&server).await >= 2);
    assert_eq!(owner.fault("assetUploadComplete", expired).await, "NOT_FOUND");
    let left = listed(&objects);
    assert!(left.len() == 1 && left[0].contains(text(&stays["id"])), "{left:?}");
    assert_eq!(get(&server, text(&stays["url"])).await.body, b"stays");
    let rows: i64 = sqlx::query_scalar("select count(*) from asset_leftovers")
        .fetch_one(&mut server.database.superuser().await)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

/// Makes a file twice, keeps one of two, and reads it back.
struct Maker {
    storage: Arc<Storage>,
    database: Arc<Database>,
    made: Arc<Mutex<Vec<String>>>,
}

impl Maker {
    fn file(bytes: &'static [u8]) -> NewAsset {
        NewAsset {
            project: None,
            kind: AssetKind::Document,
            bytes: bytes.into(),
            mime_type: "text/csv",
            width: None,
            height: None,
            duration_seconds: None,
            alt_text: None,
        }
    }

    async fn go(&self, run: &Run) -> Result<Attempted, Failure> {
        let kept = assets::save(run, &self.storage, Self::file(b"a,b")).await?;
        let again = assets::save(run, &self.storage, Self::file(b"a,b")).await?;
        assert_eq!(kept, again, "what is made twice is there once");
        let other = assets::save(run, &self.storage, Self::file(b"c,d")).await?;
        assert!(assets::read(run, &self.storage, kept, 100).await.is_err(), "nobody sees it yet");
        if run.attempt() == 1 {
            return Err(Failure::retry(
                aicos::error::Fault::new(aicos::error::FaultCode::Conflict, "Once more."),
                None,
            ));
        }
        let output: Uuid = sqlx::query_scalar(
            "insert into outputs (organization_id, id, agent, job_id, created_by)
             select organization_id, gen_random_uuid(), agent, id, created_by from jobs where id = $1 returning id",
        )
        .bind(run.job().uuid())
        .fetch_one(&mut self.database.superuser().await)
        .await
        .unwrap();
        let mut tx = run.write(None, Action::QaAnswer).await?;
        assets::keep(&mut tx, output, &[kept]).await?;
        self.made.lock().unwrap().extend([kept.to_string(), other.to_string()]);
        Ok(run.succeed(tx, &Finished::default(), Record::of(Target::job(run.job()))).await?)
    }
}

impl Work for Maker {
    fn kind(&self) -> &'static str {
        "qa.ask"
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.go(run).boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_makes_twice_is_kept_once() {
    let (config, objects) = folder();
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let made = Arc::new(Mutex::new(Vec::new()));
    let work = Maker {
        storage: Arc::clone(&server.app.storage),
        database: Arc::clone(&server.database),
        made: Arc::clone(&made),
    };
    let workers = Workers::start(
        server.database.serve.clone(),
        Arc::clone(&server.app.identity),
        server.app.db.events().clone(),
        vec![Box::new(work)],
        WorkerSettings::default(),
    );
    let input = json!({"organizationId": acme.id, "question": "Why?", "wait": false});
    let asked = owner.mutate("qaAsk", input, "job { id }").await;
    let job = owner.finished(text(&asked["job"]["id"])).await;
    workers.stop().await;
    assert_eq!((&job["status"], &job["attempts"]), (&json!("SUCCEEDED"), &json!(2)), "{job:#}");
    let made = made.lock().unwrap().clone();
    let [kept, other] = &made[..] else { panic!("{made:?}") };
    let asset = owner.asset(kept).await;
    assert_eq!((text(&asset["mimeType"]), text(&asset["sha256"])), ("text/csv", &*sha256(b"a,b")));
    let fetched = get(&server, text(&asset["url"])).await;
    assert_eq!(&fetched.body[..], b"a,b");
    assert!(fetched.header("content-disposition").ends_with(".csv\""), "{fetched:?}");
    assert_eq!(owner.asset(other).await, Value::Null);
    // What was not kept goes.
    assert_eq!(listed(&objects).len(), 2);
    server.tamper("update assets set expires_at = now() - interval '2 hours' where state = 'PENDING'").await;
    assert!(sweep(&server).await >= 1);
    assert_eq!(listed(&objects).len(), 1);
    assert_eq!(get(&server, text(&asset["url"])).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_unavailable_and_nothing_is_lost() {
    let (config, _) = bucket().await;
    let server = Server::with(config, tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let asset = owner.keep_file(&acme, "DOCUMENT", b"here").await;
    let (mut away, _) = files::folder();
    away.storage = aicos::storage::Location::Bucket(aicos::storage::Bucket {
        name: "elsewhere".to_owned(),
        prefix: String::new(),
        endpoint: Some("http://127.0.0.1:9".parse().unwrap()),
        region: "us-east-1".to_owned(),
        credentials: Some(("id".to_owned(), "secret".into())),
    });
    let replica = server.replica_with(away).await;
    assert!(replica.app.storage.check().await.is_err());
    let deleted =
        acme.owner.at(&replica).mutate("assetDelete", json!({"id": asset["id"]}), "deletedAssetId").await;
    assert_eq!(deleted["deletedAssetId"], asset["id"], "its objects are removed later");
    assert_eq!(get(&server, text(&asset["url"])).await.status, 200);
    server.tamper("update asset_leftovers set due_at = now() - interval '1 second'").await;
    assert!(sweep(&server).await >= 1);
    assert_eq!(get(&server, text(&asset["url"])).await.status, 404);
}
