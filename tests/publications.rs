//! Publishing on Instagram: through every state, past every trap, and never twice.

use std::time::{Duration, Instant};

use aicos::agents::instagram::machine::Pace;
use aicos::app::{Running, Tuning};
use aicos::config::Config;
use aicos::engine::Reach;
use serde_json::{Value, json};

use crate::support::cast::{self, Organization};
use crate::support::graph::{Call, FakeGraph, Fault, USER, jpeg, mp4};
use crate::support::work::PATIENCE;
use crate::support::{Client, Server, config, files, mutation, tuning};

pub const TOKEN: &str = "EAAB-token-of-acme-0123456789abcdef";

const PUBLISHED: &str = "job { id status error { code message ... on ProviderError { provider providerCode retryable } } }
    publication { id channel kind state caption publishedAt scheduledAt permalink quotaUsed quotaTotal
        problems { code message remedy retryable } assets { id } account { id username } post { id state } job { id } }";

/// A server that can be reached, an organization, and Instagram.
pub struct Studio {
    pub graph: FakeGraph,
    pub server: Server,
    running: Running,
    acme: Organization,
}

fn brisk() -> Tuning {
    let mut tuning = tuning();
    tuning.pace = Pace {
        poll: Duration::from_millis(100),
        settle: Duration::from_millis(500),
        retry: Duration::from_millis(50),
        room: Duration::from_millis(200),
    };
    tuning.worker.sweep = Duration::from_millis(200);
    tuning.worker.heartbeat = Duration::from_millis(200);
    tuning
}

fn reachable(graph: &FakeGraph) -> (Config, std::net::SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let public_url = format!("http://{free}").parse().unwrap();
    let (folder, _) = files::folder();
    (
        Config {
            public_url,
            reach: Reach::Private,
            instagram: Some(graph.url()),
            storage: folder.storage,
            ..config()
        },
        free,
    )
}

impl Studio {
    pub async fn open() -> Self {
        Box::pin(Self::with(|_| {})).await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let graph = FakeGraph::start(TOKEN).await;
        let (mut config, address) = reachable(&graph);
        change(&mut config);
        let server = Server::with(config, brisk()).await;
        let running = server.app.clone().listen(address).await.unwrap();
        let acme = cast::organization(&server, "Acme").await;
        Self { graph, server, running, acme }
    }

    /// The same with a connected account.
    async fn connected() -> Self {
        let studio = Self::open().await;
        studio.connect(json!({})).await;
        studio
    }

    fn admin(&self) -> Client<'_> {
        self.acme.admin.at(&self.server)
    }

    async fn connect(&self, more: Value) -> Value {
        let input = with(json!({"organizationId": self.acme.id, "userId": USER, "token": TOKEN}), &more);
        let select = "account { id username login channel expiresAt }";
        self.admin().mutate("accountConnect", input, select).await["account"].clone()
    }

    async fn file(&self, kind: &str, bytes: &[u8]) -> String {
        let asset = self.acme.owner.at(&self.server).keep_file(&self.acme, kind, bytes).await;
        asset["id"].as_str().unwrap().to_owned()
    }

    async fn picture(&self) -> String {
        self.file("IMAGE", &jpeg(1080, 1350)).await
    }

    /// Has something published; gives the payload as it was answered.
    async fn publish(&self, more: Value) -> Value {
        let input = with(json!({"projectId": self.acme.project, "caption": "A new day."}), &more);
        self.admin().mutate("instagramPublish", input, PUBLISHED).await
    }

    async fn publication(&self, made: &Value) -> Value {
        let document =
            format!("query($id: ID!) {{ node(id: $id) {{ ... on Publication {{ {} }} }} }}", fields());
        self.admin().ok(&document, json!({"id": made["publication"]["id"]})).await["node"].clone()
    }

    /// The publication, once its job has ended.
    async fn ended(&self, made: &Value) -> Value {
        self.admin().finished(made["job"]["id"].as_str().unwrap()).await;
        self.publication(made).await
    }

    /// The publication, once it stands somewhere.
    async fn when(&self, made: &Value, holds: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let publication = self.publication(made).await;
            if holds(&publication) {
                return publication;
            }
            assert!(Instant::now() < until, "waited too long: {publication:#}\n{:#?}", self.graph.seen());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Takes the job away from the worker that has it, as the sweep does with one that gives no sign of life.
    async fn lose_the_worker(&self) {
        let lost = "update jobs set lease_until = now() - interval '1 second', attempts = attempts + 1
            where kind = 'instagram.publish' and status = 'RUNNING'";
        assert_eq!(self.server.tamper(lost).await, 1);
    }

    pub async fn close(self) {
        self.running.stop().await.unwrap();
    }
}

/// A PNG of one colour.
fn painted(width: u32, height: u32) -> Vec<u8> {
    let pixels = [200, 60, 60, 255].repeat((width * height) as usize);
    let picture = aicos_render::visuals::Picture::new(width, height, pixels).unwrap();
    aicos_render::visuals::encode::png(&picture).unwrap()
}

fn fields() -> &'static str {
    PUBLISHED.split_once("publication { ").unwrap().1.trim_end().strip_suffix('}').unwrap()
}

fn with(mut input: Value, more: &Value) -> Value {
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

fn codes(publication: &Value) -> Vec<&str> {
    publication["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["code"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_carousels_reels_and_stories_are_published() {
    let studio = Studio::connected().await;
    let (graph, admin) = (&studio.graph, studio.admin());
    graph.delay(1);
    let picture = studio.picture().await;
    let told = json!({"id": picture, "altText": "A sunrise."});
    studio.acme.owner.at(&studio.server).mutate("assetUpdate", told, "").await;
    let other = studio.file("IMAGE", &jpeg(1080, 1080)).await;
    let video = studio.file("VIDEO", &mp4(1)).await;
    let tall = studio.file("IMAGE", &jpeg(1080, 1920)).await;

    let made = studio.publish(json!({"assetIds": [picture], "wait": true})).await;
    let publication = &made["publication"];
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    assert_eq!(
        (&publication["state"], &publication["channel"], &publication["kind"], &publication["permalink"]),
        (
            &json!("PUBLISHED"),
            &json!("INSTAGRAM"),
            &json!("FEED"),
            &json!("https://www.instagram.com/p/AbC123/")
        )
    );
    // The quota is what Instagram says that it is.
    assert_eq!((&publication["quotaUsed"], &publication["quotaTotal"]), (&json!(3), &json!(50)));
    assert!(publication["publishedAt"].is_string() && codes(publication).is_empty(), "{publication:#}");
    assert_eq!(publication["assets"], json!([{"id": picture}]));
    let seen = &graph.published()[0].form;
    assert_eq!((seen["caption"].as_str(), seen["alt_text"].as_str()), ("A new day.", "A sunrise."));
    assert!(seen["image_url"].starts_with("http://127.0.0.1:"), "{seen:?}");

    let made = studio
        .publish(json!({"assetIds": [picture, other, video], "kind": "CAROUSEL", "caption": "Three."}))
        .await;
    assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");
    let carousel = graph.published().pop().unwrap();
    assert_eq!((carousel.form["caption"].as_str(), carousel.pages.len()), ("Three.", 3));
    assert!(
        carousel.pages.iter().all(|page| page["is_carousel_item"] == "true" && !page.contains_key("caption"))
    );
    assert_eq!(carousel.pages[2]["media_type"], "VIDEO");

    let made = studio.publish(json!({"assetIds": [video], "kind": "REEL", "caption": "It moves."})).await;
    assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");
    let reel = graph.published().pop().unwrap().form;
    assert_eq!((reel["media_type"].as_str(), reel["caption"].as_str()), ("REELS", "It moves."));

    let made = studio.publish(json!({"assetIds": [tall, video], "kind": "STORY", "caption": ""})).await;
    assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");
    let stories: Vec<_> = graph.published().into_iter().skip(3).map(|story| story.form).collect();
    assert_eq!(stories.len(), 2);
    assert!(stories.iter().all(|story| story["media_type"] == "STORIES" && !story.contains_key("caption")));
    assert!(stories[0].contains_key("image_url") && stories[1].contains_key("video_url"));

    // What is no JPEG, or has another shape, is made to fit.
    let png = studio.file("IMAGE", &painted(800, 2_000)).await;
    let made = studio.publish(json!({"assetIds": [png], "caption": "Cropped."})).await;
    let publication = studio.ended(&made).await;
    assert_eq!(publication["state"], "PUBLISHED", "{publication:#}");
    let shown =
        studio.acme.owner.at(&studio.server).asset(publication["assets"][0]["id"].as_str().unwrap()).await;
    assert_eq!(
        (&shown["mimeType"], &shown["width"], &shown["height"]),
        (&json!("image/jpeg"), &json!(800), &json!(1_000))
    );
    let broken = studio.file("IMAGE", &files::png(800, 800)).await;
    let made = studio.publish(json!({"assetIds": [broken], "caption": "Broken."})).await;
    assert_eq!(codes(&studio.ended(&made).await), ["IMAGE_FORMAT"]);

    // The same once more is refused, unless it is meant; the file's content counts, not its id.
    let again = studio.picture().await;
    let same = json!({"projectId": studio.acme.project, "caption": "A new day.", "assetIds": [again]});
    assert_eq!(admin.fault("instagramPublish", same.clone()).await, "CONFLICT");
    let meant =
        admin.mutate("instagramPublish", with(same, &json!({"allowDuplicate": true})), PUBLISHED).await;
    assert_eq!(studio.ended(&meant).await["state"], "PUBLISHED");
    assert_eq!(graph.published().len(), 7);
    // No address that was called has the token in it.
    assert!(graph.seen().iter().all(|seen| !seen.address.contains(TOKEN) && !seen.body.contains(TOKEN)));
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_places_and_covers_go_along_with_what_is_published() {
    let studio = Studio::connected().await;
    let (picture, video) = (studio.picture().await, studio.file("VIDEO", &mp4(1)).await);
    let other = studio.file("IMAGE", &jpeg(1080, 1080)).await;
    let shown = "publication { id } job { id }";
    let publish = async |more: Value| {
        let input = with(json!({"projectId": studio.acme.project, "caption": "Us."}), &more);
        let made = studio.admin().mutate("instagramPublish", input, shown).await;
        let ended = studio.ended(&made).await;
        assert_eq!(ended["state"], "PUBLISHED", "{ended:#}");
        let query =
            "query($id: ID!) { node(id: $id) { ... on Publication { collaborators locationId coverSeconds
            userTags { username file x y } } } }";
        let kept = studio.admin().ok(query, json!({"id": made["publication"]["id"]})).await["node"].clone();
        (studio.graph.published().pop().unwrap(), kept)
    };
    let tags = json!([{"username": "@ada.l", "x": 0.25, "y": 0.5}, {"username": "bo", "x": 0.0, "y": 1.0}]);
    let feed = json!({"assetIds": [picture], "userTags": tags, "collaborators": ["@herons"], "locationId": "7640348500"});
    let (out, kept) = publish(feed).await;
    let sent = |form: &std::collections::HashMap<String, String>, name: &str| -> Value {
        serde_json::from_str(&form[name]).unwrap()
    };
    let placed = json!([{"username": "ada.l", "x": 0.25, "y": 0.5}, {"username": "bo", "x": 0.0, "y": 1.0}]);
    assert_eq!(sent(&out.form, "user_tags"), placed);
    assert_eq!(sent(&out.form, "collaborators"), json!(["herons"]));
    assert_eq!(out.form["location_id"], "7640348500");
    let first = json!({"username": "ada.l", "file": 1, "x": 0.25, "y": 0.5});
    assert_eq!((&kept["userTags"][0], &kept["collaborators"]), (&first, &json!(["herons"])));
    assert_eq!((&kept["locationId"], &kept["coverSeconds"]), (&json!("7640348500"), &Value::Null));

    let reel =
        json!({"assetIds": [video], "kind": "REEL", "coverSeconds": 0.5, "userTags": [{"username": "bo"}]});
    let (out, kept) = publish(reel).await;
    assert_eq!((&*out.form["thumb_offset"], &kept["coverSeconds"]), ("500", &json!(0.5)));
    assert_eq!(sent(&out.form, "user_tags"), json!([{"username": "bo"}]));

    // A picture is the cover: what is no JPEG is made into one, of any shape.
    let covered = async |cover: &str| {
        let reel =
            json!({"assetIds": [video], "kind": "REEL", "coverAssetId": cover, "allowDuplicate": true});
        let (out, _) = publish(reel).await;
        assert!(
            out.form["cover_url"].starts_with("http://127.0.0.1:") && !out.form.contains_key("thumb_offset")
        );
        let shown = "{ organization { outputs(first: 1) { nodes { ... on Publication { cover { id mimeType width height }
            assets { id } } } } } }";
        studio.admin().ok(shown, json!({})).await["organization"]["outputs"]["nodes"][0].clone()
    };
    let kept = covered(&picture).await;
    assert_eq!((&kept["cover"]["id"], &kept["assets"]), (&json!(picture), &json!([{"id": video}])));
    let png = studio.file("IMAGE", &painted(400, 1_000)).await;
    let kept = covered(&png).await;
    let cover = &kept["cover"];
    assert_ne!(cover["id"], json!(png));
    assert_eq!(
        (&cover["mimeType"], &cover["width"], &cover["height"]),
        (&json!("image/jpeg"), &json!(400), &json!(1_000))
    );
    // What cannot be one is found before Instagram is asked.
    let asked = studio.graph.calls(Call::Media);
    let gif = studio.file("IMAGE", b"GIF89a\x01\0\x01\0\0\0\0;").await;
    for (cover, code) in [(&gif, "IMAGE_FORMAT"), (&video, "COVER")] {
        let reel =
            json!({"assetIds": [video], "kind": "REEL", "coverAssetId": cover, "allowDuplicate": true});
        assert_eq!(codes(&studio.ended(&studio.publish(reel).await).await), [code]);
    }
    assert_eq!(studio.graph.calls(Call::Media), asked);

    // Each page has its own people, and the whole has the place.
    let tags = json!([{"username": "ada", "file": 2, "x": 0.5, "y": 0.5}, {"username": "bo", "file": 3}]);
    let pages = json!({"assetIds": [picture, other, video], "kind": "CAROUSEL", "userTags": tags, "locationId": "12"});
    let (out, _) = publish(pages).await;
    assert_eq!(out.form["location_id"], "12");
    assert!(!out.pages[0].contains_key("user_tags") && !out.form.contains_key("user_tags"));
    assert_eq!(sent(&out.pages[1], "user_tags"), json!([{"username": "ada", "x": 0.5, "y": 0.5}]));
    assert_eq!(sent(&out.pages[2], "user_tags"), json!([{"username": "bo"}]));

    let admin = studio.admin();
    for (more, code, field) in [
        (json!({"userTags": [{"username": "a b", "x": 0.5, "y": 0.5}]}), "INVALID", "userTags"),
        (json!({"userTags": [{"username": "bo"}]}), "REQUIRED", "userTags"),
        (
            json!({"userTags": [{"username": "bo", "file": 2}], "assetIds": [video, picture], "kind": "CAROUSEL"}),
            "REQUIRED",
            "userTags",
        ),
        (json!({"userTags": [{"username": "bo", "x": 0.5}]}), "REQUIRED", "userTags"),
        (json!({"userTags": [{"username": "bo", "x": 0.5, "y": 2.0}]}), "OUT_OF_RANGE", "userTags"),
        (
            json!({"userTags": [{"username": "bo", "file": 2, "x": 0.5, "y": 0.5}]}),
            "OUT_OF_RANGE",
            "userTags",
        ),
        (json!({"collaborators": ["a", "b", "c", "d"]}), "TOO_LONG", "collaborators"),
        (json!({"collaborators": ["a"], "kind": "STORY"}), "INVALID", "collaborators"),
        (json!({"locationId": "here"}), "INVALID", "locationId"),
        (json!({"coverSeconds": 1.0}), "INVALID", "coverSeconds"),
        (json!({"coverAssetId": picture}), "INVALID", "coverAssetId"),
        (
            json!({"coverAssetId": picture, "coverSeconds": 1.0, "assetIds": [video], "kind": "REEL"}),
            "INVALID",
            "coverAssetId",
        ),
        (
            json!({"coverAssetId": aicos::id::AssetId::generate().to_string(), "kind": "REEL"}),
            "NOT_FOUND",
            "coverAssetId",
        ),
        (json!({"coverSeconds": -1.0, "kind": "REEL"}), "OUT_OF_RANGE", "coverSeconds"),
    ] {
        let input = json!({"projectId": studio.acme.project, "caption": "So.", "assetIds": [picture]});
        let payload = admin.try_mutate("instagramPublish", with(input, &more), "job { id }").await;
        let error = &payload["userErrors"][0];
        assert_eq!((&error["code"], &error["field"][1]), (&json!(code), &json!(field)), "{more} {payload:#}");
    }
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_account_it_ends_ready_and_what_does_not_fit_is_found_before_anybody_is_asked() {
    let studio = Studio::open().await;
    let picture = studio.picture().await;
    let made = studio.publish(json!({"assetIds": [picture], "wait": true})).await;
    assert_eq!(
        (&made["job"]["status"], &made["publication"]["state"]),
        (&json!("SUCCEEDED"), &json!("READY_NOT_CONNECTED")),
        "{made:#}"
    );
    assert_eq!(codes(&made["publication"]), ["NOT_CONNECTED"]);
    assert!(made["publication"]["problems"][0]["remedy"].as_str().unwrap().contains("accountConnect"));

    studio.connect(json!({})).await;
    let text = studio.acme.owner.at(&studio.server).keep_file(&studio.acme, "DOCUMENT", b"Words.").await;
    let gif = studio.file("IMAGE", b"GIF89a\x01\0\x01\0\0\0\0;").await;
    let video = studio.file("VIDEO", &mp4(1)).await;
    let tags = (0..31).map(|n| format!("#tag{n} ")).collect::<String>();
    for (input, expected) in [
        (json!({"assetIds": [picture, picture]}), "MEDIA_COUNT"),
        (json!({"assetIds": [text["id"]]}), "MEDIA_KIND"),
        (json!({"assetIds": [gif]}), "IMAGE_FORMAT"),
        (json!({"assetIds": [video]}), "MEDIA_KIND"),
        (json!({"assetIds": [picture], "kind": "REEL"}), "MEDIA_KIND"),
        (json!({"assetIds": [picture], "kind": "CAROUSEL"}), "MEDIA_COUNT"),
        (json!({"assetIds": [picture], "caption": "a".repeat(2_201)}), "CAPTION_TOO_LONG"),
        (json!({"assetIds": [picture], "caption": tags}), "TOO_MANY_HASHTAGS"),
    ] {
        let made = studio.publish(with(input.clone(), &json!({"wait": true}))).await;
        let publication = &made["publication"];
        assert_eq!(
            (&publication["state"], codes(publication)),
            (&json!("FAILED"), vec![expected]),
            "{input}"
        );
        assert_eq!(
            (&made["job"]["status"], &made["job"]["error"]["code"]),
            (&json!("FAILED"), &json!("INVALID"))
        );
    }
    assert!(studio.graph.seen().is_empty(), "nobody was asked: {:#?}", studio.graph.seen());

    let project = &studio.acme.project;
    let admin = studio.admin();
    let zone = json!({"scheduledAt": "2999-01-01T00:00:00Z", "timezone": "Berlin"});
    for (more, code) in [
        (json!({"assetIds": []}), "REQUIRED"),
        (json!({"assetIds": vec![picture.clone(); 11]}), "TOO_LONG"),
        (json!({"scheduledAt": "2020-01-01T00:00:00Z"}), "OUT_OF_RANGE"),
        (zone, "INVALID"),
        (json!({"engine": {"provider": "openai", "model": "m"}}), "INVALID"),
    ] {
        let input = with(json!({"projectId": project, "caption": "So.", "assetIds": [picture]}), &more);
        assert_eq!(admin.fault("instagramPublish", input).await, code, "{more}");
    }
    // With two accounts it has to be said which; a project's own stands before its organization's.
    let second = json!({"organizationId": studio.acme.id, "userId": "17841400000000002", "token": TOKEN});
    admin.mutate("accountConnect", second.clone(), "").await;
    let input = json!({"projectId": project, "caption": "So.", "assetIds": [picture]});
    assert_eq!(admin.fault("instagramPublish", input.clone()).await, "REQUIRED");
    assert_eq!(admin.fault("accountConnect", second).await, "ALREADY_EXISTS");
    let own = studio.connect(json!({"projectId": project})).await;
    let made = studio.publish(with(input, &json!({"wait": true}))).await;
    assert_eq!(
        (&made["publication"]["state"], &made["publication"]["account"]["id"]),
        (&json!("PUBLISHED"), &own["id"])
    );
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_instagram_cannot_reach_is_found_before_it_is_asked() {
    let graph = FakeGraph::start(TOKEN).await;
    let server = Server::with(Config { instagram: Some(graph.url()), ..config() }, brisk()).await;
    let workers = server.work();
    let acme = cast::organization(&server, "Acme").await;
    let admin = acme.admin.at(&server);
    let picture = acme.owner.at(&server).keep_file(&acme, "IMAGE", &jpeg(1080, 1080)).await;
    let input =
        json!({"projectId": acme.project, "caption": "So.", "assetIds": [picture["id"]], "wait": true});
    let made = admin.mutate("instagramPublish", input, PUBLISHED).await;
    assert_eq!(codes(&made["publication"]), ["NOT_REACHABLE"], "{made:#}");
    // Nor is a token sent to an address that may not be called.
    let account = json!({"organizationId": acme.id, "userId": USER, "token": TOKEN});
    let account = admin.mutate("accountConnect", account, "account { id }").await["account"]["id"].clone();
    let tested = admin.mutate("accountTest", json!({"id": account}), "test { outcome }").await;
    assert_eq!(tested["test"]["outcome"], "UNREACHABLE");
    assert!(graph.seen().is_empty());
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_for_and_one_post_is_public() {
    let studio = Studio::connected().await;
    let picture = studio.picture().await;
    // It was published, and the answer never came.
    studio.graph.fail(Call::Publish, Fault::LoseAnswer);
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Once."})).await;
    let publication = studio.ended(&made).await;
    assert_eq!(publication["state"], "PUBLISHED", "{publication:#}");
    assert_eq!(publication["permalink"], Value::Null, "which one it is was in the answer");
    assert_eq!((studio.graph.published().len(), studio.graph.calls(Call::Publish)), (1, 1));
    // It was not published, and nobody says so.
    studio.graph.fail(Call::Publish, Fault::Transient);
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Twice asked."})).await;
    assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");
    assert_eq!((studio.graph.published().len(), studio.graph.calls(Call::Publish)), (2, 3));
    // Where it can be seen is not told at once, or never: it is public all the same.
    studio.graph.fail(Call::Permalink, Fault::Error(100, Some(33)));
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Told late."})).await;
    assert!(studio.ended(&made).await["permalink"].is_string());
    for _ in 0..3 {
        studio.graph.fail(Call::Permalink, Fault::Error(100, Some(33)));
    }
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Never told."})).await;
    let publication = studio.ended(&made).await;
    assert_eq!((&publication["state"], &publication["permalink"]), (&json!("PUBLISHED"), &Value::Null));
    assert_eq!((studio.graph.published().len(), studio.graph.left()), (4, 0));
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_a_worker_vanishes_one_post_is_public() {
    let studio = Studio::connected().await;
    let picture = studio.picture().await;
    let other = studio.file("IMAGE", &jpeg(1080, 1080)).await;
    for (number, (call, fault)) in [
        (Call::Limit, Fault::Stall),
        (Call::Media, Fault::Stall),
        (Call::Media, Fault::DoAndStall),
        (Call::Status, Fault::Stall),
        (Call::Publish, Fault::Stall),
        (Call::Publish, Fault::DoAndStall),
        (Call::Permalink, Fault::Stall),
    ]
    .into_iter()
    .enumerate()
    {
        let before = studio.graph.calls(call);
        studio.graph.fail(call, fault);
        let input =
            json!({"assetIds": [picture, other], "kind": "CAROUSEL", "caption": format!("Number {number}.")});
        let made = studio.publish(input).await;
        studio.graph.called(call, before + 1).await;
        studio.lose_the_worker().await;
        let publication = studio.ended(&made).await;
        assert_eq!(publication["state"], "PUBLISHED", "{call:?} {fault:?}: {publication:#}");
        let public = studio.graph.published();
        let same = public.iter().filter(|one| one.form["caption"] == format!("Number {number}.")).count();
        assert_eq!((same, public.len()), (1, number + 1), "{call:?} {fault:?}");
    }
    // A story that is public is passed over by whoever takes up the rest.
    let before = studio.graph.calls(Call::Media);
    let made = studio.publish(json!({"assetIds": [picture, other], "kind": "STORY", "caption": ""})).await;
    studio.graph.called(Call::Media, before + 1).await;
    studio.graph.fail(Call::Publish, Fault::DoAndStall);
    let publishing = studio.graph.calls(Call::Publish);
    studio.graph.called(Call::Publish, publishing + 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    studio
        .server
        .tamper(
            "update jobs set lease_until = now() - interval '1 second', attempts = attempts + 1
        where kind = 'instagram.publish' and status = 'RUNNING'",
        )
        .await;
    assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");
    let stories = studio
        .graph
        .published()
        .into_iter()
        .filter(|one| one.form.get("media_type").is_some_and(|kind| kind == "STORIES"));
    assert_eq!(stories.count(), 2);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_leads_where_its_meaning_says() {
    let studio = Studio::connected().await;
    let picture = studio.picture().await;
    let video = studio.file("VIDEO", &mp4(7)).await;
    let run = async |caption: &str, faults: &[(Call, Fault)]| {
        for (call, fault) in faults {
            studio.graph.fail(*call, *fault);
        }
        let made = studio.publish(json!({"assetIds": [picture], "caption": caption})).await;
        let publication = studio.ended(&made).await;
        let job = studio.admin().job(made["job"]["id"].as_str().unwrap()).await;
        assert_eq!(studio.graph.left(), 0, "{caption}");
        (publication, job)
    };
    // What passes is tried again, and said meanwhile.
    for (number, faults) in [
        vec![(Call::Media, Fault::Transient), (Call::Media, Fault::Error(9_004, Some(2_207_052)))],
        vec![(Call::Status, Fault::Error(100, Some(33))), (Call::Status, Fault::Broken(2_207_082))],
        vec![(Call::Status, Fault::Expired)],
        vec![(Call::Publish, Fault::Error(9_007, Some(2_207_027)))],
        vec![(Call::Limit, Fault::Error(4, None)), (Call::Limit, Fault::LoseAnswer)],
        vec![(Call::Publish, Fault::Error(-2, Some(2_207_020))), (Call::Status, Fault::Expired)],
    ]
    .into_iter()
    .enumerate()
    {
        // The last one's expiry is what the container says when it is asked why.
        let (publication, job) = if number == 5 {
            studio.graph.fail(faults[0].0, faults[0].1);
            let made = studio.publish(json!({"assetIds": [picture], "caption": "Passing 5"})).await;
            studio.graph.called(Call::Publish, studio.graph.published().len() + 1).await;
            studio.ended(&made).await;
            let job = studio.admin().job(made["job"]["id"].as_str().unwrap()).await;
            (studio.publication(&made).await, job)
        } else {
            run(&format!("Passing {number}"), &faults).await
        };
        assert_eq!(
            (&publication["state"], &job["status"]),
            (&json!("PUBLISHED"), &json!("SUCCEEDED")),
            "{number} {publication:#}"
        );
        assert!(job["events"].to_string().contains("\"waiting\"") || number == 2, "{job:#}");
        assert!(codes(&publication).is_empty());
    }
    assert_eq!(studio.graph.published().len(), 6);
    // What lasts is reported, with what to do.
    for (faults, state, code, said) in [
        (vec![(Call::Status, Fault::Broken(2_207_009))], "FAILED", "ASPECT", "2207009"),
        (
            vec![(Call::Publish, Fault::Error(25, Some(2_207_050)))],
            "FAILED",
            "ACCOUNT_RESTRICTED",
            "25/2207050",
        ),
        (vec![(Call::Media, Fault::Error(36_004, Some(2_207_010)))], "FAILED", "CAPTION", "36004/2207010"),
        (vec![(Call::Publish, Fault::Error(190, Some(463)))], "FAILED", "TOKEN_REJECTED", "190/463"),
    ] {
        let (publication, job) = run(code, &faults).await;
        assert_eq!(
            (&publication["state"], codes(&publication)),
            (&json!(state), vec![code]),
            "{publication:#}"
        );
        assert_eq!(job["status"], "FAILED");
        assert_eq!(job["error"]["code"], "PROVIDER_FAILED", "{said} {job:#}");
        assert!(!publication["problems"][0]["remedy"].as_str().unwrap().is_empty());
    }
    // Instagram cannot use the video, and says so when it has looked.
    studio.graph.fail(Call::Status, Fault::Broken(2_207_026));
    let made = studio.publish(json!({"assetIds": [video], "kind": "REEL", "caption": "Broken."})).await;
    assert_eq!(codes(&studio.ended(&made).await), ["VIDEO_FORMAT"]);
    // It lets go of what was uploaded again and again.
    let expiring = [(Call::Status, Fault::Expired); 3];
    let (publication, job) = run("Expiring", &expiring).await;
    assert_eq!((&publication["state"], codes(&publication)), (&json!("EXPIRED"), vec!["CONTAINER_EXPIRED"]));
    assert_eq!(job["error"]["code"], "EXPIRED", "{job:#}");
    // What does not pass is given up.
    let lasting = [(Call::Media, Fault::Transient); 7];
    let (publication, _) = run("Lasting", &lasting).await;
    assert_eq!((&publication["state"], codes(&publication)), (&json!("FAILED"), vec!["UNAVAILABLE"]));
    assert_eq!(publication["problems"][0]["retryable"], false, "it is not tried again");
    // The token has been revoked meanwhile.
    studio.graph.accept("EAAB-another-token");
    let (publication, job) = run("Revoked", &[]).await;
    assert_eq!(codes(&publication), ["TOKEN_REJECTED"]);
    assert!(
        !publication.to_string().contains(TOKEN) && !job.to_string().contains(TOKEN),
        "{publication:#} {job:#}"
    );
    assert_eq!(studio.graph.published().len(), 6);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_is_waited_for() {
    let studio = Studio::connected().await;
    let picture = studio.picture().await;
    studio.graph.set_quota(25, 25);
    let made = studio.publish(json!({"assetIds": [picture]})).await;
    let waiting = studio.when(&made, |publication| codes(publication) == ["QUOTA_USED_UP"]).await;
    assert_eq!((&waiting["quotaUsed"], &waiting["quotaTotal"]), (&json!(25), &json!(25)), "{waiting:#}");
    assert_eq!(waiting["problems"][0]["retryable"], true);
    studio.graph.called(Call::Limit, 2).await;
    assert_eq!((studio.graph.published().len(), studio.graph.calls(Call::Media)), (0, 0));
    studio.graph.set_quota(24, 25);
    let publication = studio.ended(&made).await;
    assert_eq!(
        (&publication["state"], &publication["quotaUsed"]),
        (&json!("PUBLISHED"), &json!(25)),
        "{publication:#}"
    );
    // It is used up between the look and the call.
    studio.graph.set_quota(24, 25);
    studio.graph.fail(Call::Publish, Fault::Error(9, Some(2_207_042)));
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Next."})).await;
    assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");
    assert_eq!(studio.graph.published().len(), 2);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_kept_a_cancelled_publication_never_appears_and_the_post_goes_along() {
    let studio = Studio::connected().await;
    let (admin, picture) = (studio.admin(), studio.picture().await);
    let state = async |post: &str| {
        let document = "query($id: ID!) { node(id: $id) { ... on Post { state } } }";
        admin.ok(document, json!({"id": post})).await["node"]["state"].clone()
    };
    let soon = |seconds: i64| (chrono::Utc::now() + chrono::TimeDelta::seconds(seconds)).to_rfc3339();

    let post = cast::approved_post(&studio.server, &studio.acme).await;
    let timed = json!({"assetIds": [picture], "caption": "So.", "postId": post, "scheduledAt": soon(4), "timezone": "Europe/Berlin"});
    let made = studio.publish(timed.clone()).await;
    let waiting = studio.when(&made, |publication| publication["state"] == "SCHEDULED").await;
    assert_eq!(waiting["post"], json!({"id": post, "state": "SCHEDULED"}));
    assert!(studio.graph.seen().is_empty(), "before its time nobody is asked");
    let publication = studio.ended(&made).await;
    assert_eq!(
        (&publication["state"], &publication["post"]["state"]),
        (&json!("PUBLISHED"), &json!("PUBLISHED"))
    );
    let (at, due) =
        (publication["publishedAt"].as_str().unwrap(), publication["scheduledAt"].as_str().unwrap());
    assert!(at >= due, "{at} {due}");
    let again = with(
        json!({"projectId": studio.acme.project}),
        &with(timed, &json!({"scheduledAt": null, "allowDuplicate": true})),
    );
    assert_eq!(admin.fault("instagramPublish", again).await, "CONFLICT", "it is public");

    // What is approved is a text; a draft is none.
    let post = cast::approved_post(&studio.server, &studio.acme).await;
    let input = |caption: &str, post: &str| json!({"projectId": studio.acme.project, "assetIds": [picture], "caption": caption, "postId": post, "allowDuplicate": true});
    assert_eq!(admin.fault("instagramPublish", input("Another text.", &post)).await, "CONFLICT");
    let draft = cast::output(&studio.server, &studio.acme, "POST_COMPOSITION").await;
    assert_eq!(admin.fault("instagramPublish", input("So.", &draft)).await, "CONFLICT");
    assert_eq!(state(&post).await, "APPROVED", "what is refused changes nothing");

    let later = json!({"assetIds": [picture], "caption": "So.", "postId": post, "scheduledAt": soon(3_600), "allowDuplicate": true});
    let made = studio.publish(later).await;
    studio.when(&made, |publication| publication["state"] == "SCHEDULED").await;
    assert_eq!(state(&post).await, "SCHEDULED");
    let job = json!({"id": made["job"]["id"]});
    let cancelled = admin.mutate("jobCancel", job.clone(), "job { status }").await;
    assert_eq!(cancelled["job"]["status"], "CANCELLED");
    let publication = studio.publication(&made).await;
    assert_eq!((&publication["state"], codes(&publication)), (&json!("FAILED"), vec!["CANCELLED"]));
    assert_eq!(state(&post).await, "APPROVED", "it can be scheduled again");

    // While it is processed it can still be cancelled; while it is made public it cannot.
    studio.graph.delay(1_000);
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Processed."})).await;
    studio.when(&made, |publication| publication["state"] == "PROCESSING").await;
    admin.mutate("jobCancel", json!({"id": made["job"]["id"]}), "").await;
    assert_eq!(admin.finished(made["job"]["id"].as_str().unwrap()).await["status"], "CANCELLED");
    assert_eq!(codes(&studio.publication(&made).await), ["CANCELLED"]);
    studio.graph.delay(0);
    studio.graph.fail(Call::Publish, Fault::DoAndStall);
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Too late."})).await;
    studio.when(&made, |publication| publication["state"] == "PUBLISHING").await;
    assert_eq!(admin.fault("jobCancel", json!({"id": made["job"]["id"]})).await, "CONFLICT");
    studio.lose_the_worker().await;
    assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");

    // A post that was taken from the schedule is not published; one whose publication fails has failed.
    let post = cast::approved_post(&studio.server, &studio.acme).await;
    let timed = json!({"assetIds": [picture], "caption": "So.", "postId": post, "scheduledAt": soon(3), "allowDuplicate": true});
    let made = studio.publish(timed).await;
    admin.mutate("postUpdate", json!({"id": post, "state": "APPROVED"}), "").await;
    assert_eq!(codes(&studio.ended(&made).await), ["POST_NOT_SCHEDULED"]);
    assert_eq!(state(&post).await, "APPROVED");
    studio.graph.fail(Call::Publish, Fault::Error(25, Some(2_207_050)));
    let made = studio
        .publish(json!({"assetIds": [picture], "caption": "So.", "postId": post, "allowDuplicate": true}))
        .await;
    assert_eq!(studio.ended(&made).await["post"]["state"], "FAILED");
    assert_eq!(studio.graph.published().len(), 2);
    drop(admin);
    studio.close().await;
}

/// Everything that is stored, as text.
async fn stored(server: &Server) -> String {
    use sqlx::{AssertSqlSafe, Row as _};
    let mut superuser = server.database.superuser().await;
    let tables = sqlx::query(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    );
    let mut all = String::new();
    for table in tables.fetch_all(&mut superuser).await.unwrap() {
        let sql = format!("select string_agg(t::text, ' ') from {} t", table.get::<String, _>(0));
        let text: Option<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut superuser).await.unwrap();
        all.push_str(&text.unwrap_or_default());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_and_never_told() {
    let studio = Studio::open().await;
    let admin = studio.admin();
    let account = studio.connect(json!({"username": "@acme", "expiresAt": "2999-01-01T00:00:00Z"})).await;
    assert_eq!((&account["username"], &account["login"]), (&json!("acme"), &json!("FACEBOOK")));
    let id = json!({"id": account["id"]});
    let select = "test { outcome message quotaUsed quotaTotal milliseconds } account { username testedAt }";
    let tested = admin.mutate("accountTest", id.clone(), select).await;
    assert_eq!(
        (&tested["test"]["outcome"], &tested["test"]["quotaUsed"], &tested["test"]["quotaTotal"]),
        (&json!("CONNECTED"), &json!(2), &json!(50)),
        "{tested:#}"
    );
    assert_eq!(tested["account"]["username"], "acme.studio");
    assert!(tested["account"]["testedAt"].is_string());
    for (fault, outcome) in [
        (Fault::Error(10, None), "NOT_PERMITTED"),
        (Fault::Error(4, None), "RATE_LIMITED"),
        (Fault::Error(100, None), "REJECTED"),
        (Fault::Transient, "UNREACHABLE"),
        (Fault::LoseAnswer, "UNREACHABLE"),
    ] {
        studio.graph.fail(Call::Account, fault);
        let tested = admin.mutate("accountTest", id.clone(), select).await;
        assert_eq!(tested["test"]["outcome"], outcome, "{tested:#}");
    }
    studio.graph.accept("EAAB-next-token-0123456789abcdef");
    let refused = admin.mutate("accountTest", id.clone(), select).await;
    assert_eq!(refused["test"]["outcome"], "TOKEN_REJECTED", "{refused:#}");
    let next = with(id.clone(), &json!({"token": "EAAB-next-token-0123456789abcdef"}));
    let updated = admin.mutate("accountUpdate", next, "account { expiresAt }").await;
    assert_eq!(updated["account"]["expiresAt"], Value::Null, "how long the old one was good says nothing");
    assert_eq!(admin.mutate("accountTest", id.clone(), select).await["test"]["outcome"], "CONNECTED");
    let past = with(id.clone(), &json!({"expiresAt": "2020-01-01T00:00:00Z"}));
    assert_eq!(admin.fault("accountUpdate", past).await, "OUT_OF_RANGE");

    // A token that ends before its time is found when it is asked for.
    let picture = studio.picture().await;
    let soon = (chrono::Utc::now() + chrono::TimeDelta::minutes(5)).to_rfc3339();
    admin.mutate("accountUpdate", with(id.clone(), &json!({"expiresAt": soon})), "").await;
    let made = studio.publish(json!({"assetIds": [picture], "scheduledAt": "2999-01-01T00:00:00Z"})).await;
    assert_eq!(codes(&studio.ended(&made).await), ["TOKEN_EXPIRES"]);

    // Disconnected while something waits for it.
    let later = (chrono::Utc::now() + chrono::TimeDelta::seconds(3)).to_rfc3339();
    let made = studio.publish(json!({"assetIds": [picture], "caption": "Late.", "scheduledAt": later})).await;
    studio.when(&made, |publication| publication["state"] == "SCHEDULED").await;
    let gone = admin
        .mutate(
            "accountDisconnect",
            id.clone(),
            "disconnectedAccountId organization { accounts { totalCount } }",
        )
        .await;
    assert_eq!(
        (&gone["disconnectedAccountId"], &gone["organization"]["accounts"]["totalCount"]),
        (&account["id"], &json!(0))
    );
    assert_eq!(codes(&studio.ended(&made).await), ["ACCOUNT_GONE"]);
    assert_eq!(admin.fault("accountTest", id).await, "NOT_FOUND");

    let all = "{ organization { accounts { nodes { id userId username expiresAt createdAt updatedAt } }
        auditLog(first: 100) { nodes { action changes { field before after } } }
        jobs(first: 20) { nodes { error { message } events(first: 50) { message data } } } } }";
    let told = admin.ok(all, json!({})).await.to_string();
    let kept = stored(&studio.server).await;
    assert!(told.contains("[redacted]") && told.contains("account.connect") && kept.contains("acme.studio"));
    for token in [TOKEN, "EAAB-next-token"] {
        let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            !told.contains(token)
                && !tested.to_string().contains(token)
                && !refused.to_string().contains(token)
        );
        assert!(!kept.contains(token) && !kept.contains(&hex), "a token is stored as it is");
    }
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_a_rotation_of_the_master_key_and_open_in_their_own_place_only() {
    const OLD: &str = "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG9sZCE=";
    const NEW: &str = "bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyE=";
    let graph = FakeGraph::start(TOKEN).await;
    let (settings, _) = reachable(&graph);
    let with_key = |master: &str| Config {
        master_key: Some(master.into()),
        jwt_secret: Some("a secret of the tests, long enough to sign with".into()),
        ..settings.clone()
    };
    let server = Server::with(with_key(OLD), tuning()).await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    let connect = async |organization: &Organization, user: &str| {
        let input = json!({"organizationId": organization.id, "userId": user, "token": TOKEN});
        let made = organization.owner.at(&server).mutate("accountConnect", input, "account { id }").await;
        made["account"]["id"].clone()
    };
    let account = connect(&acme, USER).await;
    let both = with_key(&format!("{NEW},{OLD}"));
    let replica = server.replica_with(both.clone()).await;
    let accounts = aicos::app::accounts(&both, aicos::app::master_keys(&both).unwrap());
    assert_eq!(accounts.reseal(&replica.app.db).await.unwrap(), 1);
    assert_eq!(accounts.reseal(&replica.app.db).await.unwrap(), 0, "it is done");
    let new = server.replica_with(with_key(NEW)).await;
    let tested = acme.owner.at(&new).mutate("accountTest", json!({"id": account}), "test { outcome }").await;
    assert_eq!(tested["test"]["outcome"], "CONNECTED");
    let refused = mutation("accountTest", "");
    let input = json!({"input": {"id": account}});
    assert_eq!(acme.owner.at(&server).refusal(&refused, input).await, "INTERNAL", "with the old one alone");
    // Nor in another row, whoever writes it there.
    let foreign = connect(&globex, "17841400000000009").await;
    let copied = "update accounts set sealed_token = (select sealed_token from accounts where external_id = '17841400000000001')
        where external_id = '17841400000000009'";
    assert_eq!(server.tamper(copied).await, 1);
    let input = json!({"input": {"id": foreign}});
    assert_eq!(globex.owner.at(&replica).refusal(&refused, input).await, "INTERNAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_publish_does_and_by_no_account_of_others() {
    let studio = Studio::connected().await;
    let globex = cast::organization(&studio.server, "Globex").await;
    let theirs = json!({"organizationId": globex.id, "userId": "17841400000000009", "token": TOKEN});
    let theirs = globex.owner.at(&studio.server).mutate("accountConnect", theirs, "account { id }").await;
    let theirs = theirs["account"]["id"].clone();
    let picture = studio.picture().await;
    let input = json!({"projectId": studio.acme.project, "caption": "So.", "assetIds": [picture]});
    let publish = mutation("instagramPublish", "publication { id }");
    let acme = &studio.acme;
    let refuse = json!({"input": input});
    for person in [&acme.member, &acme.viewer] {
        assert_eq!(person.at(&studio.server).refusal(&publish, refuse.clone()).await, "FORBIDDEN");
    }
    // A key needs both, and the right to read.
    for (permissions, expected) in [
        (json!(["PROJECT_READ", "CONTENT_READ", "CONTENT_PUBLISH"]), Some("FORBIDDEN")),
        (json!(["PROJECT_READ", "CONTENT_READ", "AGENT_USE"]), Some("FORBIDDEN")),
        (json!(["PROJECT_READ", "CONTENT_READ", "AGENT_USE", "CONTENT_PUBLISH"]), None),
    ] {
        let key =
            json!({"organizationId": acme.id, "name": permissions.to_string(), "permissions": permissions});
        let key = acme.owner.at(&studio.server).mutate("apiKeyCreate", key, "secret").await;
        let client = studio.server.key(key["secret"].as_str().unwrap());
        if let Some(code) = expected {
            assert_eq!(client.refusal(&publish, refuse.clone()).await, code, "{permissions}");
        } else {
            let made =
                client.mutate("instagramPublish", input.clone(), "job { id } publication { id }").await;
            assert_eq!(studio.ended(&made).await["state"], "PUBLISHED");
            // Whoever sees the project sees what was published; by which account is for those who set them up.
            let shown =
                "query($id: ID!) { node(id: $id) { ... on Publication { state caption account { id } } } }";
            let seen =
                acme.viewer.at(&studio.server).ok(shown, json!({"id": made["publication"]["id"]})).await;
            assert_eq!(seen["node"], json!({"state": "PUBLISHED", "caption": "So.", "account": null}));
            let foreign =
                globex.owner.at(&studio.server).ok(shown, json!({"id": made["publication"]["id"]})).await;
            assert_eq!(foreign["node"], Value::Null);
        }
    }
    let admin = studio.admin();
    let named = with(input.clone(), &json!({"accountId": theirs, "allowDuplicate": true}));
    assert_eq!(admin.fault("instagramPublish", named).await, "NOT_FOUND");
    for field in ["accountTest", "accountUpdate", "accountDisconnect"] {
        assert_eq!(admin.fault(field, json!({"id": theirs})).await, "NOT_FOUND", "{field}");
    }
    let listed = admin.ok("{ organization { accounts { totalCount nodes { userId } } } }", json!({})).await;
    assert_eq!(listed["organization"]["accounts"], json!({"totalCount": 1, "nodes": [{"userId": USER}]}));
    let hidden =
        acme.member.at(&studio.server).ok("{ organization { accounts { totalCount } } }", json!({})).await;
    assert_eq!(hidden["organization"]["accounts"], Value::Null);
    // Another project's account is no project's but its own.
    let other = cast::project(&studio.server, acme, "Other").await;
    let own = studio.connect(json!({"projectId": other, "userId": "17841400000000003"})).await;
    let named = with(input, &json!({"accountId": own["id"], "allowDuplicate": true}));
    assert_eq!(admin.fault("instagramPublish", named).await, "NOT_FOUND");
    // A right that goes while it waits: nothing is published.
    let later = (chrono::Utc::now() + chrono::TimeDelta::seconds(3)).to_rfc3339();
    let promoted = cast::member(&studio.server, acme, "ADMIN").await;
    let waiting =
        json!({"projectId": acme.project, "caption": "Late.", "assetIds": [picture], "scheduledAt": later});
    let made = promoted.at(&studio.server).mutate("instagramPublish", waiting, PUBLISHED).await;
    studio.when(&made, |publication| publication["state"] == "SCHEDULED").await;
    let lowered = json!({"id": promoted.membership, "role": "MEMBER"});
    acme.owner.at(&studio.server).mutate("membershipUpdate", lowered, "").await;
    let publication = studio.ended(&made).await;
    assert_eq!(
        (&publication["state"], codes(&publication)),
        (&json!("FAILED"), vec!["JOB_ENDED"]),
        "{publication:#}"
    );
    assert_eq!(studio.graph.published().len(), 1);
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_publishes_by_its_schedule_and_says_when_nothing_is_public() {
    let studio = Studio::open().await;
    let admin = studio.admin();
    let template = json!({"organizationId": studio.acme.id, "key": "daily", "name": "Daily", "steps": [
        {"key": "draw", "kind": "AGENT", "agent": "VISUAL_POST", "inputs": [{"name": "text", "from": "brief"}]},
        {"key": "publish", "kind": "AGENT", "agent": "INSTAGRAM_POSTER", "after": ["draw"], "retries": 0,
            "inputs": [{"name": "assets", "from": "steps.draw.assets"}, {"name": "caption", "from": "brief"}]},
        {"key": "public", "kind": "CONDITION", "after": ["publish"],
            "condition": {"of": "steps.publish.state", "equals": "PUBLISHED"}}]});
    admin.mutate("contentWorkflowTemplateCreate", template, "").await;
    let shown = "query($id: ID!) { job(id: $id) { status error { message } result { ... on ContentWorkflowRun { steps { key status
        attempts holds message error { code message } output { ... on Publication { state caption permalink } } } } } } }";
    let run = async |client: &Client<'_>, brief: &str| {
        let input = json!({"projectId": studio.acme.project, "template": "daily", "brief": brief});
        let made = client.mutate("contentWorkflowRun", input, "job { id }").await;
        let id = made["job"]["id"].as_str().unwrap();
        client.finished(id).await;
        client.ok(shown, json!({"id": id})).await["job"].clone()
    };
    let step = |job: &Value, at: usize| job["result"]["steps"][at].clone();

    // Nobody has connected an account: that is no failure, and nothing is public.
    let job = run(&admin, "Before the account.").await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    let publish = step(&job, 1);
    assert_eq!((&publish["status"], &publish["attempts"]), (&json!("SUCCEEDED"), &json!(1)), "{publish:#}");
    assert_eq!(publish["output"]["state"], "READY_NOT_CONNECTED");
    assert!(publish["message"].as_str().unwrap().contains("READY_NOT_CONNECTED"), "{publish:#}");
    assert_eq!(step(&job, 2)["holds"], false);
    assert!(studio.graph.published().is_empty());

    // By its schedule, with an account.
    studio.connect(json!({})).await;
    let schedule = json!({"projectId": studio.acme.project, "name": "Daily", "cron": "0 9 * * *", "timezone": "Europe/Berlin",
        "workflow": {"template": "daily", "brief": "A new day."}});
    let made = admin.mutate("scheduleCreate", schedule, "schedule { id }").await;
    assert_eq!(studio.server.tamper("update schedules set next_run_at = now()").await, 1);
    let last = "query($id: ID!) { node(id: $id) { ... on Schedule { lastRun { id } } } }";
    let until = Instant::now() + PATIENCE;
    let job = loop {
        let found = admin.ok(last, json!({"id": made["schedule"]["id"]})).await;
        if let Some(id) = found["node"]["lastRun"]["id"].as_str() {
            admin.finished(id).await;
            break admin.ok(shown, json!({"id": id})).await["job"].clone();
        }
        assert!(Instant::now() < until, "the schedule does not fire");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    let publish = step(&job, 1);
    assert_eq!((&publish["status"], &publish["message"]), (&json!("SUCCEEDED"), &Value::Null), "{publish:#}");
    assert_eq!(
        (&publish["output"]["state"], &publish["output"]["caption"]),
        (&json!("PUBLISHED"), &json!("A new day."))
    );
    assert!(publish["output"]["permalink"].is_string());
    assert_eq!(step(&job, 2)["holds"], true);
    let published = studio.graph.published();
    assert_eq!((published.len(), published[0].form["caption"].as_str()), (1, "A new day."));

    // What Instagram refuses, the step fails of; and whoever may not publish does not by a workflow either.
    studio.graph.fail(Call::Media, Fault::Error(36_004, Some(2_207_010)));
    let job = run(&admin, "Too much.").await;
    assert_eq!(
        (&job["status"], &step(&job, 1)["error"]["code"]),
        (&json!("FAILED"), &json!("PROVIDER_FAILED")),
        "{job:#}"
    );
    let member = studio.acme.member.at(&studio.server);
    let job = run(&member, "By a member.").await;
    let publish = step(&job, 1);
    assert_eq!((&job["status"], &publish["status"]), (&json!("FAILED"), &json!("FAILED")), "{job:#}");
    assert!(publish["error"]["message"].as_str().unwrap().contains("CONTENT_PUBLISH"), "{publish:#}");
    assert_eq!(studio.graph.published().len(), 1);
    drop((admin, member));
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_publishes_each_of_its_posts_one_after_another() {
    let studio = Studio::open().await;
    let admin = studio.admin();
    studio.connect(json!({})).await;
    let template = json!({"organizationId": studio.acme.id, "key": "each", "name": "Each",
        "variables": [{"name": "lines", "type": "TEXTS", "default": {"texts": ["A new day.", "Another one.", "The last."]}}],
        "steps": [
            {"key": "draw", "kind": "AGENT", "agent": "VISUAL_POST", "forEach": "options.lines", "forEachAtMost": 2,
                "inputs": [{"name": "text", "from": "item"}]},
            {"key": "publish", "kind": "AGENT", "agent": "INSTAGRAM_POSTER", "after": ["draw"], "retries": 0,
                "forEach": "steps.draw.assets", "inputs": [{"name": "assets", "from": "item"},
                    {"name": "caption", "from": "options.lines.item"}]},
            {"key": "public", "kind": "CONDITION", "after": ["publish"],
                "condition": {"of": "steps.publish.permalink", "atLeast": 2}}]});
    admin.mutate("contentWorkflowTemplateCreate", template, "").await;
    let shown = "query($id: ID!) { job(id: $id) { status result { ... on ContentWorkflowRun { steps { status attempts holds itemCount
        error { code } outputs { ... on Publication { state caption } } } } } } }";
    let run = async |options: Value| {
        let input = json!({"projectId": studio.acme.project, "template": "each", "brief": "Two of them.", "options": options});
        let made = admin.mutate("contentWorkflowRun", input, "job { id }").await;
        let id = made["job"]["id"].as_str().unwrap();
        admin.finished(id).await;
        admin.ok(shown, json!({"id": id})).await["job"].clone()
    };
    let job = run(json!({})).await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    let publish = &job["result"]["steps"][1];
    assert_eq!(
        publish["outputs"],
        json!([{"state": "PUBLISHED", "caption": "A new day."}, {"state": "PUBLISHED", "caption": "Another one."}]),
        "{publish:#}"
    );
    assert_eq!((&publish["attempts"], &publish["itemCount"]), (&json!(2), &json!(2)), "{publish:#}");
    assert_eq!(job["result"]["steps"][2]["holds"], true, "{job:#}");
    let captions: Vec<String> =
        studio.graph.published().iter().map(|published| published.form["caption"].clone()).collect();
    assert_eq!(captions, ["A new day.", "Another one."]);

    // What Instagram refuses of one, the step fails of; what is public already is left as it is.
    studio.graph.fail(Call::Media, Fault::Error(36_004, Some(2_207_010)));
    let job = run(json!({"lines": ["Too much.", "Never reached."]})).await;
    let publish = &job["result"]["steps"][1];
    assert_eq!(
        (&job["status"], &publish["error"]["code"]),
        (&json!("FAILED"), &json!("PROVIDER_FAILED")),
        "{job:#}"
    );
    assert_eq!(publish["outputs"].as_array().unwrap().len(), 1, "{publish:#}");
    assert_eq!(studio.graph.published().len(), 2);
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_goes_on_beside_its_publication_which_is_cancelled_with_it() {
    let studio = Studio::open().await;
    let admin = studio.admin();
    studio.connect(json!({})).await;
    let condition = |key: &str, after: &str| json!({"key": key, "kind": "CONDITION", "after": [after], "condition": {"of": "brief", "holds": true}});
    let template = json!({"organizationId": studio.acme.id, "key": "beside", "name": "Beside", "steps": [
        {"key": "draw", "kind": "AGENT", "agent": "VISUAL_POST", "inputs": [{"name": "text", "from": "brief"}]},
        {"key": "publish", "kind": "AGENT", "agent": "INSTAGRAM_POSTER", "after": ["draw"],
            "inputs": [{"name": "assets", "from": "steps.draw.assets"}, {"name": "caption", "from": "brief"}]},
        condition("beside", "draw"), condition("behind", "publish")]});
    admin.mutate("contentWorkflowTemplateCreate", template, "").await;
    let begin = async |brief: &str| {
        let input = json!({"projectId": studio.acme.project, "template": "beside", "brief": brief});
        let made = admin.mutate("contentWorkflowRun", input, "job { id }").await;
        made["job"]["id"].as_str().unwrap().to_owned()
    };
    let look = async |id: &str| {
        let shown = "query($id: ID!) { job(id: $id) { status result { ... on ContentWorkflowRun { steps { status output {
            ... on Publication { id state problems { code } job { status } } } } } } } }";
        admin.ok(shown, json!({"id": id})).await["job"].clone()
    };
    let statuses = |job: &Value| {
        let steps = job["result"]["steps"].as_array().unwrap().iter();
        steps.map(|step| step["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    // The pictures are with Instagram, which takes its time: what does not come after it does not wait for it.
    studio.graph.delay(1_000_000);
    let id = begin("Slowly.").await;
    let until = Instant::now() + PATIENCE;
    let job = loop {
        let job = look(&id).await;
        if job["result"]["steps"][1]["output"]["state"] == "PROCESSING"
            && job["result"]["steps"][2]["status"] == "SUCCEEDED"
        {
            break job;
        }
        assert!(Instant::now() < until, "{job:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(statuses(&job), ["SUCCEEDED", "RUNNING", "SUCCEEDED", "QUEUED"], "{job:#}");

    // Whoever cancels the run cancels what it waits for.
    admin.mutate("jobCancel", json!({"id": id}), "job { id }").await;
    assert_eq!(admin.finished(&id).await["status"], "CANCELLED");
    let job = look(&id).await;
    assert_eq!(statuses(&job), ["SUCCEEDED", "CANCELLED", "SUCCEEDED", "CANCELLED"], "{job:#}");
    let publication = &job["result"]["steps"][1]["output"];
    assert_eq!(publication["state"], "FAILED", "{publication:#}");
    assert_eq!(publication["problems"][0]["code"], "CANCELLED", "{publication:#}");
    assert_eq!(publication["job"]["status"], "CANCELLED", "{publication:#}");
    // One entry says both.
    let log = "query($id: ID!) { organization { auditLog(first: 9, filter: {actions: [\"job.cancel\"], targetId: $id}) {
        nodes { changes { field after } } } } }";
    let log = admin.ok(log, json!({"id": id})).await["organization"]["auditLog"]["nodes"].clone();
    let ids = json!([{"changes": [{"field": "publications", "after": [publication["id"]]}]}]);
    assert_eq!(log, ids);

    // A publication whose job came to nothing by itself is waited for no longer.
    let id = begin("In vain.").await;
    let until = Instant::now() + PATIENCE;
    while look(&id).await["result"]["steps"][1]["output"]["state"] != "PROCESSING" {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let end = "update jobs set status = 'FAILED', finished_at = now(), lease_until = null
        where kind = 'instagram.publish' and status in ('QUEUED', 'RUNNING')";
    assert_eq!(studio.server.tamper(end).await, 1);
    assert_eq!(admin.finished(&id).await["status"], "FAILED");
    let job = look(&id).await;
    assert_eq!(statuses(&job), ["SUCCEEDED", "FAILED", "SUCCEEDED", "CANCELLED"], "{job:#}");
    assert_eq!(job["result"]["steps"][1]["output"]["problems"][0]["code"], "JOB_ENDED", "{job:#}");

    // Nobody ends this one.
    studio.graph.delay(0);
    let id = begin("Quickly.").await;
    assert_eq!(admin.finished(&id).await["status"], "SUCCEEDED");
    assert_eq!(statuses(&look(&id).await), ["SUCCEEDED"; 4]);
    let published = studio.graph.published();
    assert_eq!(published.iter().map(|it| it.form["caption"].as_str()).collect::<Vec<_>>(), ["Quickly."]);
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_comment_is_written_once_and_what_is_public_stays_so() {
    let studio = Studio::connected().await;
    let picture = studio.picture().await;
    let publish = async |caption: &str, faults: &[(Call, Fault)]| {
        for (call, fault) in faults {
            studio.graph.fail(*call, *fault);
        }
        let input =
            json!({"assetIds": [picture], "caption": caption, "firstComment": " #one #two\nThe rest. "});
        studio.publish(input).await
    };
    let comment = async |made: &Value| {
        let publication = studio.ended(made).await;
        assert_eq!(publication["state"], "PUBLISHED", "{publication:#}");
        assert_eq!(codes(&publication), [""; 0]);
        assert!(publication["permalink"].is_string(), "{publication:#}");
        let shown = "query($id: ID!) { node(id: $id) { ... on Publication { firstComment { text state
            problem { code message remedy retryable } } } } }";
        let node = studio.admin().ok(shown, json!({"id": publication["id"]})).await["node"].clone();
        let job = studio.admin().job(made["job"]["id"].as_str().unwrap()).await;
        (node["firstComment"].clone(), job["status"].clone())
    };
    let below = || {
        let published = studio.graph.published();
        let comments = published.last().unwrap().comments.iter().map(|(_, text)| text.clone());
        (published.len(), comments.collect::<Vec<_>>())
    };
    let text = "#one #two\nThe rest.";
    let posted = json!({"text": text, "state": "POSTED", "problem": null});
    // Done at once; done, and the answer is lost; not done, and nobody says so; refused for a while.
    for (number, (faults, calls, looks)) in [
        (vec![], 1, 0),
        (vec![(Call::Comment, Fault::LoseAnswer)], 1, 1),
        (vec![(Call::Comment, Fault::Transient)], 2, 1),
        (vec![(Call::Comment, Fault::Error(4, None))], 2, 0),
        (vec![(Call::Comment, Fault::LoseAnswer), (Call::Comments, Fault::Transient)], 1, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let before = (studio.graph.calls(Call::Comment), studio.graph.calls(Call::Comments));
        let made = publish(&format!("Number {number}."), &faults).await;
        assert_eq!(comment(&made).await, (posted.clone(), json!("SUCCEEDED")), "{number}");
        assert_eq!(below(), (number + 1, vec![text.to_owned()]), "{number}");
        let now =
            (studio.graph.calls(Call::Comment) - before.0, studio.graph.calls(Call::Comments) - before.1);
        assert_eq!(now.0, calls, "{number}");
        assert!(now.1 >= looks, "{number} {now:?}");
        assert_eq!(studio.graph.left(), 0, "{number}");
    }
    // It is found among many of others.
    studio.graph.crowd(120);
    let made = publish("In a crowd.", &[(Call::Comment, Fault::LoseAnswer)]).await;
    assert_eq!(comment(&made).await.0, posted);
    assert_eq!(below().1.len(), 1);
    studio.graph.crowd(0);
    // Whenever the worker vanishes, there is one.
    for fault in [Fault::Stall, Fault::DoAndStall] {
        let before = studio.graph.calls(Call::Comment);
        let made = publish(&format!("Vanished {fault:?}."), &[(Call::Comment, fault)]).await;
        studio.graph.called(Call::Comment, before + 1).await;
        studio.lose_the_worker().await;
        assert_eq!(comment(&made).await.0, posted, "{fault:?}");
        assert_eq!(below().1, [text], "{fault:?}");
    }
    // What is refused leaves the publication as it is.
    for (number, (faults, code, said)) in [
        (vec![(Call::Comment, Fault::Error(10, None))], "NOT_PERMITTED", "permission"),
        (vec![(Call::Comment, Fault::Error(200, None))], "NOT_PERMITTED", "permission"),
        (
            vec![(Call::Comment, Fault::LoseAnswer), (Call::Comments, Fault::Error(10, None))],
            "OUTCOME_UNKNOWN",
            "Look at the post",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let made = publish(&format!("Refused {number}."), &faults).await;
        let (shown, job) = comment(&made).await;
        assert_eq!(
            (&shown["state"], &shown["problem"]["code"], &job),
            (&json!("FAILED"), &json!(code), &json!("SUCCEEDED"))
        );
        assert_eq!(shown["problem"]["retryable"], false);
        assert!(shown["problem"]["remedy"].as_str().unwrap().contains(said), "{shown:#}");
    }
    // Which post is public was in the answer that got lost.
    studio.graph.fail(Call::Publish, Fault::LoseAnswer);
    let input = json!({"assetIds": [picture], "caption": "Lost.", "firstComment": "Hi."});
    let made = studio.publish(input).await;
    let publication = studio.ended(&made).await;
    assert_eq!(publication["state"], "PUBLISHED");
    let shown = "query($id: ID!) { node(id: $id) { ... on Publication { firstComment { state problem { code } } } } }";
    let node = studio.admin().ok(shown, json!({"id": publication["id"]})).await["node"].clone();
    assert_eq!(node["firstComment"], json!({"state": "FAILED", "problem": {"code": "POST_UNKNOWN"}}));

    let admin = studio.admin();
    let tags = |count: usize| (0..count).map(|n| format!("#tag{n} ")).collect::<String>();
    for (more, code) in [
        (json!({"firstComment": "a".repeat(2_201)}), "TOO_LONG"),
        (json!({"firstComment": "Hi.", "kind": "STORY"}), "INVALID"),
    ] {
        let input = json!({"projectId": studio.acme.project, "caption": "So.", "assetIds": [picture]});
        let payload = admin.try_mutate("instagramPublish", with(input, &more), "job { id }").await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"][1]),
            (&json!(code), &json!("firstComment")),
            "{payload:#}"
        );
    }
    let asked = studio.graph.seen().len();
    let input = json!({"assetIds": [picture], "caption": tags(16), "firstComment": tags(15)});
    let refused = studio.ended(&studio.publish(input).await).await;
    assert_eq!(codes(&refused), ["TOO_MANY_HASHTAGS"]);
    assert_eq!(studio.graph.seen().len(), asked, "nobody was asked");
    // The log says what became of each.
    let log = "{ organization { auditLog(first: 100, filter: {actions: [\"publication.advance\"]}) { nodes { changes { field after } } } } }";
    let log = admin.ok(log, json!({})).await.to_string();
    assert!(log.contains("POSTED") && log.contains("POST_UNKNOWN"), "{log}");
    drop(admin);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_comment_whose_account_or_writer_goes_is_given_up() {
    let studio = Studio::connected().await;
    let picture = studio.picture().await;
    let shown = "query($id: ID!) { node(id: $id) { ... on Publication { state firstComment { state problem { code } } } } }";
    let waiting = async |caption: &str| {
        // It is refused for a while, again and again.
        for _ in 0..5 {
            studio.graph.fail(Call::Comment, Fault::Error(4, None));
        }
        let before = studio.graph.calls(Call::Comment);
        let input = json!({"assetIds": [picture], "caption": caption, "firstComment": "Hi."});
        let made = studio.publish(input).await;
        studio.graph.called(Call::Comment, before + 1).await;
        made
    };
    let made = waiting("Its job ends.").await;
    let end = "update jobs set status = 'FAILED', finished_at = now(), lease_until = null
        where kind = 'instagram.publish' and status in ('QUEUED', 'RUNNING')";
    let until = Instant::now() + PATIENCE;
    while studio.server.tamper(end).await == 0 {
        assert!(Instant::now() < until);
    }
    let id = json!({"id": made["publication"]["id"]});
    let node = studio.admin().ok(shown, id).await["node"].clone();
    assert_eq!(node["state"], "PUBLISHED");
    let code = node["firstComment"]["problem"]["code"].as_str().unwrap();
    assert!(["JOB_ENDED", "OUTCOME_UNKNOWN"].contains(&code), "{node:#}");
    assert_eq!(node["firstComment"]["state"], "FAILED");

    let made = waiting("Its account goes.").await;
    let accounts = studio.admin().ok("{ organization { accounts { nodes { id } } } }", json!({})).await;
    let account = json!({"id": accounts["organization"]["accounts"]["nodes"][0]["id"]});
    studio.admin().mutate("accountDisconnect", account, "").await;
    let publication = studio.ended(&made).await;
    let node = studio.admin().ok(shown, json!({"id": publication["id"]})).await["node"].clone();
    assert_eq!(
        node,
        json!({"state": "PUBLISHED", "firstComment": {"state": "FAILED", "problem": {"code": "ACCOUNT_GONE"}}})
    );
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instagram_says_what_it_shows_for_the_best_hashtags_and_how_many_it_still_answers_about() {
    let studio = Studio::open().await;
    let account = studio.connect(json!({})).await;
    let project = studio.acme.project.clone();
    let member = studio.acme.member.at(&studio.server);
    let select = "job { status } hashtags { hashtags { tag score instagram { topPosts averageLikes postsWithLikes averageComments
        recentPosts readAt } } warnings }";
    let research = async |text: &str, account: &Value| {
        let input = json!({"projectId": project, "text": text, "language": "EN", "count": 8, "accountId": account, "wait": true});
        let made = member.mutate("hashtagResearch", input, select).await;
        assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
        made["hashtags"].clone()
    };
    let unmeasured = |set: &Value| {
        let warnings =
            set["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap().to_owned());
        warnings.filter(|warning| warning.starts_with("Nothing of Instagram's")).collect::<Vec<_>>()
    };
    let text = "Morning yoga brings calm breathing, strong shoulders, better sleep, patient teachers and a quiet studio by the river.";
    let set = research(text, &account["id"]).await;
    let hashtags = set["hashtags"].as_array().unwrap();
    assert!(hashtags.len() > 5, "{set:#}");
    let measured = hashtags.iter().filter(|hashtag| hashtag["instagram"].is_object()).count();
    assert_eq!((measured, unmeasured(&set)), (5, vec![]), "the best five: {set:#}");
    let sample = &hashtags[0]["instagram"];
    assert_eq!(
        (&sample["topPosts"], &sample["postsWithLikes"], &sample["recentPosts"]),
        (&json!(4), &json!(3), &json!(3))
    );
    // Of 0, 200 and 300 likes; whoever hides theirs does not count. Of 0 to 3 comments.
    assert!((sample["averageLikes"].as_f64().unwrap() - 166.666_7).abs() < 0.001, "{sample:#}");
    assert_eq!(sample["averageComments"], 1.5);
    assert!(sample["readAt"].is_string());
    let none = json!({"projectId": project, "text": text, "language": "EN", "count": 8, "wait": true});
    let without = member.mutate("hashtagResearch", none, select).await["hashtags"].clone();
    let scores = |set: &Value| {
        let hashtags = set["hashtags"].as_array().unwrap().iter();
        hashtags.map(|hashtag| (hashtag["tag"].clone(), hashtag["score"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(scores(&set), scores(&without), "a sample changes no score");
    assert!(without["hashtags"][0]["instagram"].is_null());

    // The same again costs nothing: the ids are known.
    let searched = studio.graph.calls(Call::Hashtag);
    assert_eq!((searched, studio.graph.calls(Call::Top)), (5, 5));
    assert!(research(text, &account["id"]).await["hashtags"][4]["instagram"].is_object());
    assert_eq!((studio.graph.calls(Call::Hashtag), studio.graph.calls(Call::Top)), (5, 10));

    // Another program has asked about 23: there is room for two more, and the rest goes without.
    studio.graph.search_elsewhere(23);
    let other = "Fresh bread, sour dough, warm ovens, honest grain, early bakers and a small village market on Saturdays.";
    let set = research(other, &account["id"]).await;
    let measured =
        set["hashtags"].as_array().unwrap().iter().filter(|hashtag| hashtag["instagram"].is_object());
    assert_eq!(measured.count(), 2, "{set:#}");
    let warnings = unmeasured(&set);
    assert!(
        warnings.len() == 3 && warnings.iter().all(|warning| warning.contains("no more hashtags")),
        "{set:#}"
    );
    assert_eq!(studio.graph.calls(Call::Hashtag), 7, "nobody was asked in vain");
    // What was asked more than 7 days ago counts no longer.
    let old = "update hashtag_searches set asked_at = now() - interval '8 days'";
    assert_eq!(studio.server.tamper(old).await, 7);
    studio.graph.forget_searches();
    assert_eq!(unmeasured(&research(other, &account["id"]).await), [""; 0]);

    // What is asked is written down first: when the answer is lost, it counts all the same.
    studio.graph.fail(Call::Hashtag, Fault::LoseAnswer);
    let set = research("Violins and cellos.", &account["id"]).await;
    let warnings = unmeasured(&set);
    assert!(warnings.len() == 1 && warnings[0].contains("did not arrive"), "{set:#}");
    let noted = "update hashtag_searches set asked_at = asked_at where external_id is null";
    assert_eq!(studio.server.tamper(noted).await, 1);

    // The account is not able to, in one way or another; the set is there all the same.
    for (fault, said) in [
        (Fault::Error(10, None), "does not allow this"),
        (Fault::Error(190, Some(463)), "accountUpdate"),
        (Fault::Transient, "Ask again later"),
        (Fault::Error(4, None), "too many calls"),
    ] {
        studio.graph.fail(Call::Searched, fault);
        let before = studio.graph.calls(Call::Hashtag);
        let set = research(text, &account["id"]).await;
        let warnings = unmeasured(&set);
        assert!(warnings.len() == 1 && warnings[0].contains(said), "{said}: {warnings:?}");
        assert!(!set["hashtags"].as_array().unwrap().is_empty());
        assert_eq!(studio.graph.calls(Call::Hashtag), before);
    }
    let expire = "update accounts set expires_at = now() - interval '1 hour'";
    assert_eq!(studio.server.tamper(expire).await, 1);
    assert!(unmeasured(&research(text, &account["id"]).await)[0].contains("has expired"));
    let other = studio.connect(json!({"userId": "17841400000000002", "login": "INSTAGRAM"})).await;
    assert!(unmeasured(&research(text, &other["id"]).await)[0].contains("FACEBOOK"));
    let missing = json!({"projectId": project, "text": text, "accountId": aicos::id::AccountId::generate().to_string()});
    let refused = member.try_mutate("hashtagResearch", missing, "job { id }").await;
    let error = &refused["userErrors"][0];
    assert_eq!((&error["code"], &error["field"][1]), (&json!("NOT_FOUND"), &json!("accountId")));
    // The log says who asked what by which account.
    let log = "{ organization { auditLog(first: 50, filter: {actions: [\"hashtag.search\"], targetId: $id}) { nodes { changes { field after } } } } }";
    let log = format!("query($id: ID!) {log}");
    let log = studio.admin().ok(&log, json!({"id": account["id"]})).await.to_string();
    assert!(log.contains("violins") && log.contains("sourdough"), "{log}");
    drop(member);
    studio.close().await;
}

/// A post of the account's, as Instagram tells of it; without likes where its owner hides them.
fn posted(number: usize, hour: usize, likes: Option<usize>, caption: Option<&str>) -> Value {
    let day = chrono::NaiveDate::from_ymd_opt(2026, 12, 30).unwrap()
        - chrono::TimeDelta::days(number.try_into().unwrap());
    let mut post = json!({"id": (17_700_000_000_000_000 + number).to_string(), "media_type": "IMAGE", "media_product_type": "FEED",
        "timestamp": format!("{day}T{hour:02}:15:00+0000"), "comments_count": 2,
        "permalink": format!("https://www.instagram.com/p/{number}/"), "username": "acme.studio"});
    if let Some(likes) = likes {
        post["like_count"] = json!(likes);
    }
    if let Some(caption) = caption {
        post["caption"] = json!(caption);
    }
    post
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_takes_the_account_s_last_posts_into_account_as_far_as_instagram_tells() {
    const SELECT: &str = "job { id status attempts error { code message field ... on ProviderError { provider providerCode retryable } } }
        strategy { id gaps pastPosts { posts measured oldestAt readAt account { id } } slots { at channel topic reason } }";
    let studio = Studio::open().await;
    let account = studio.connect(json!({})).await;
    let owner = studio.acme.owner.at(&studio.server);
    let guide = "# Yoga\n\n## Morning yoga\n\nMorning yoga wakes the body before the day asks for it. Fifteen minutes of morning yoga are \
        enough for a calm start.\n\n## Breathing\n\nBreathing through the nose calms the heart. A long breath out tells the body to rest.\n";
    owner.learn(&studio.acme, "Yoga", guide).await;
    let member = studio.acme.member.at(&studio.server);
    let asked = |more: &Value| {
        with(
            json!({"projectId": studio.acme.project, "goals": ["Calm"], "channels": ["INSTAGRAM", "X"], "postsPerWeek": 2, "timezone": "UTC",
                "from": "2027-01-04T00:00:00Z", "until": "2027-01-18T00:00:00Z", "language": "EN", "wait": true}),
            more,
        )
    };
    let by = json!({"accountId": account["id"]});
    let plan = async |more: &Value| member.mutate("contentStrategyCreate", asked(more), SELECT).await;

    // 30 posts at six with 40 likes, 30 at nine with four, two whose likes are hidden, and one whose caption is gone.
    let yoga = "Morning yoga wakes the body.";
    let mut posts: Vec<Value> = (0..30).map(|number| posted(number, 18, Some(40), Some(yoga))).collect();
    posts.extend((30..59).map(|number| posted(number, 9, Some(4), Some("Look at our new studio."))));
    posts.push(posted(59, 9, Some(4), None));
    posts.extend([posted(60, 9, None, Some("Hidden.")), posted(61, 9, None, Some(yoga))]);
    studio.graph.post(posts.clone());
    let made = plan(&by).await;
    assert_eq!(made["job"]["status"], "SUCCEEDED", "{made:#}");
    let past = &made["strategy"]["pastPosts"];
    assert_eq!(
        (&past["posts"], &past["measured"], &past["oldestAt"], &past["account"]),
        (&json!(62), &json!(60), &json!("2026-10-30T09:15:00.000Z"), &Value::Null),
        "a member does not see which accounts there are: {made:#}"
    );
    let slots = made["strategy"]["slots"].as_array().unwrap();
    let of = |channel: &str| {
        let channel = channel.to_owned();
        slots.iter().filter(move |slot| slot["channel"] == json!(channel))
    };
    let said = |slot: &Value, words: &str| slot["reason"].as_str().unwrap().contains(words);
    let best = "At 18:00, 30 measured posts had 42 interactions on average, all posts 24.";
    assert!(of("INSTAGRAM").count() >= 2, "{made:#}");
    for slot in of("INSTAGRAM") {
        assert!(slot["at"].as_str().unwrap().ends_with("T18:00:00.000Z") && said(slot, best), "{slot:#}");
    }
    assert!(
        of("X").all(|slot| said(slot, "Nothing is measured")),
        "another channel's hours are its own: {made:#}"
    );
    let covered = |slot: &&Value| slot["topic"] == "Morning yoga";
    assert!(slots.iter().filter(covered).all(|slot| said(slot, "31 earlier posts")), "{made:#}");
    let seen: Vec<_> = studio.graph.seen().into_iter().filter(|seen| seen.call == Call::Posts).collect();
    assert_eq!(seen.len(), 3, "25 at once: {seen:#?}");
    assert!(seen[1].address.ends_with("&after=25") && seen[2].address.ends_with("&after=50"), "{seen:#?}");
    assert!(seen.iter().all(|seen| !seen.address.contains("EAAB") && !seen.address.contains("token")));
    let shown =
        "query($id: ID!) { node(id: $id) { ... on ContentStrategy { pastPosts { posts account { id } } } } }";
    let node = studio.admin().ok(shown, json!({"id": made["strategy"]["id"]})).await["node"].clone();
    assert_eq!(node["pastPosts"], json!({"posts": 62, "account": {"id": account["id"]}}));

    // Without the account nothing is known of hours, and nothing is said of posts.
    let without = plan(&json!({})).await;
    assert_eq!(without["strategy"]["pastPosts"], Value::Null);
    assert!(without["strategy"]["slots"].to_string().contains("Nothing is measured"), "{without:#}");

    // At most the newest hundred; likes that are hidden everywhere measure nothing; and there may be no posts at all.
    studio.graph.post((0..130).map(|number| posted(number, 18, None, Some("So."))).collect());
    let before = studio.graph.calls(Call::Posts);
    let hidden = plan(&by).await;
    let past = &hidden["strategy"]["pastPosts"];
    assert_eq!((&past["posts"], &past["measured"]), (&json!(100), &json!(0)), "{hidden:#}");
    assert_eq!(studio.graph.calls(Call::Posts) - before, 4);
    assert!(!hidden["strategy"]["slots"].to_string().contains("interactions"), "{hidden:#}");
    studio.graph.post(Vec::new());
    let none = plan(&by).await;
    let past = &none["strategy"]["pastPosts"];
    assert_eq!((&past["posts"], &past["oldestAt"]), (&json!(0), &Value::Null), "{none:#}");
    // Nineteen are too few to tell an hour by.
    studio.graph.post(posts.iter().take(19).cloned().collect());
    let few = plan(&by).await;
    assert!(few["strategy"]["gaps"].to_string().contains("19 measured posts are too few"), "{few:#}");

    // What passes is tried again; everything else fails the job, with what to do about it.
    studio.graph.fail(Call::Posts, Fault::LoseAnswer);
    let again = plan(&by).await;
    assert_eq!(
        (&again["job"]["status"], &again["job"]["attempts"]),
        (&json!("SUCCEEDED"), &json!(2)),
        "{again:#}"
    );
    for (fault, code, words) in [
        (Fault::Error(190, Some(463)), "190/463", "`accountUpdate`"),
        (Fault::Error(10, None), "10", "does not allow this"),
        (Fault::Error(100, None), "100", "does not accept this"),
    ] {
        studio.graph.fail(Call::Posts, fault);
        let failed = plan(&by).await;
        assert_eq!(
            (&failed["job"]["status"], &failed["strategy"]),
            (&json!("FAILED"), &Value::Null),
            "{failed:#}"
        );
        let error = &failed["job"]["error"];
        assert_eq!(
            (&error["code"], &error["provider"], &error["providerCode"], &error["retryable"]),
            (&json!("PROVIDER_FAILED"), &json!("instagram"), &json!(code), &json!(false)),
            "{failed:#}"
        );
        assert!(error["message"].as_str().unwrap().contains(words), "{error:#}");
    }
    assert_eq!(studio.graph.left(), 0);

    // An account that is another project's is no account here, and neither is one that is gone.
    let other = owner
        .mutate("projectCreate", json!({"organizationId": studio.acme.id, "name": "Other"}), "project { id }")
        .await;
    let bound =
        studio.connect(json!({"userId": "17841400000000002", "projectId": other["project"]["id"]})).await;
    owner.mutate("accountDisconnect", json!({"id": account["id"]}), "").await;
    for id in [&bound["id"], &account["id"]] {
        let refused =
            member.try_mutate("contentStrategyCreate", asked(&json!({"accountId": id})), "job { id }").await;
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"][1]),
            (&json!("NOT_FOUND"), &json!("accountId")),
            "{refused:#}"
        );
    }
    let node = studio.admin().ok(shown, json!({"id": made["strategy"]["id"]})).await["node"].clone();
    assert_eq!(node["pastPosts"], json!({"posts": 62, "account": null}), "what was read stays told");
    drop((member, owner));
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_is_exported_with_everything_that_has_to_be_typed() {
    let studio = Studio::open().await;
    let (owner, admin) = (studio.acme.owner.at(&studio.server), studio.admin());
    let picture = studio.file("IMAGE", &painted(400, 600)).await;
    owner.mutate("assetUpdate", json!({"id": picture, "altText": "A red wall."}), "").await;
    let film = mp4(9);
    let video = studio.file("VIDEO", &film).await;
    let made = studio
        .publish(json!({"assetIds": [video, picture], "kind": "CAROUSEL", "caption": "Zwei schöne Dinge.",
            "firstComment": "#eins #zwei", "locationId": "12", "userTags": [{"username": "ada", "file": 1}]}))
        .await;
    let publication = studio.ended(&made).await;
    assert_eq!(publication["state"], "READY_NOT_CONNECTED");
    let select = "job { id status agent error { code message } } publication { id state bundle { id kind mimeType bytes url } }";
    let id = json!({"id": publication["id"], "wait": true, "idempotencyKey": "bundle"});
    let member = studio.acme.member.at(&studio.server);
    let exported = member.mutate("publicationExport", id.clone(), select).await;
    assert_eq!(exported["job"]["status"], "SUCCEEDED", "{exported:#}");
    let bundle = &exported["publication"]["bundle"];
    assert_eq!((&bundle["kind"], &bundle["mimeType"]), (&json!("ARCHIVE"), &json!("application/zip")));
    let fetched = files::get(&studio.server, bundle["url"].as_str().unwrap()).await;
    assert_eq!(
        (fetched.status.as_u16(), fetched.body.len() as u64),
        (200, bundle["bytes"].as_u64().unwrap())
    );
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(fetched.body)).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut archive.by_name(name).unwrap(), &mut bytes).unwrap();
        bytes
    };
    assert_eq!(read("01.mp4"), film);
    // What was no JPEG is in it as it would be published.
    let jpeg = read("02.jpg");
    let size = imagesize::blob_size(&jpeg).unwrap();
    assert!(jpeg.starts_with(b"\xff\xd8\xff") && (size.width, size.height) == (400, 500), "{size:?}");
    let mut text = |name: &str| String::from_utf8(read(name)).unwrap();
    assert_eq!(
        (text("caption.txt").as_str(), text("first-comment.txt").as_str()),
        ("Zwei schöne Dinge.", "#eins #zwei")
    );
    assert_eq!(text("alt-texts.txt"), "02.jpg: A red wall.");
    let about: Value = serde_json::from_str(&text("publication.json")).unwrap();
    assert_eq!((&about["kind"], &about["locationId"]), (&json!("CAROUSEL"), &json!("12")));
    assert_eq!(about["userTags"], json!([{"username": "ada", "file": 1, "x": null, "y": null}]));
    // It is made once, whoever asks and however often.
    let again = admin.mutate("publicationExport", json!({"id": publication["id"]}), select).await;
    assert_eq!((&again["job"], &again["publication"]["bundle"]["id"]), (&Value::Null, &bundle["id"]));
    assert_eq!(
        member.mutate("publicationExport", id, select).await["publication"]["bundle"]["id"],
        bundle["id"]
    );
    // It goes with the publication, and not before.
    assert_eq!(owner.fault("assetDelete", json!({"id": bundle["id"]})).await, "CONFLICT");

    // The same picture twice is one file.
    let twice = json!({"assetIds": [picture, picture], "kind": "STORY", "caption": ""});
    let twice = studio.ended(&studio.publish(twice).await).await;
    assert_eq!((&twice["state"], &twice["assets"][0]), (&json!("READY_NOT_CONNECTED"), &twice["assets"][1]));

    // What does not fit, what is too large, what has lost a file, and what is no publication.
    let refused = studio.ended(&studio.publish(json!({"assetIds": [picture, picture]})).await).await;
    assert_eq!(refused["state"], "FAILED");
    assert_eq!(admin.fault("publicationExport", json!({"id": refused["id"]})).await, "CONFLICT");
    let large = studio
        .ended(&studio.publish(json!({"assetIds": [video], "kind": "STORY", "caption": ""})).await)
        .await;
    assert_eq!(studio.server.tamper("update assets set bytes = 104857601 where kind = 'VIDEO'").await, 1);
    assert_eq!(admin.fault("publicationExport", json!({"id": large["id"]})).await, "OUT_OF_RANGE");
    owner.mutate("assetDelete", json!({"id": video}), "").await;
    assert_eq!(admin.fault("publicationExport", json!({"id": large["id"]})).await, "CONFLICT");
    let post = cast::output(&studio.server, &studio.acme, "POST_COMPOSITION").await;
    assert_eq!(admin.fault("publicationExport", json!({"id": post})).await, "INVALID");
    // Archives are not sent.
    let sent = json!({"organizationId": studio.acme.id, "kind": "ARCHIVE", "bytes": 100});
    assert_eq!(admin.fault("assetUploadCreate", sent).await, "INVALID");
    drop((owner, admin, member));
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_instagram_counts_is_asked_for_and_what_it_does_not_say_is_not_known() {
    let studio = Studio::connected().await;
    let admin = studio.admin();
    let picture = studio.picture().await;
    let select = "publication { insights { reach views likes comments saved shares measuredAt } }";
    let made = studio.publish(json!({"assetIds": [picture]})).await;
    let id = json!({"id": studio.ended(&made).await["id"]});
    let measured = admin.mutate("publicationMeasure", id.clone(), select).await;
    let insights = &measured["publication"]["insights"];
    assert_eq!(
        (&insights["reach"], &insights["views"], &insights["likes"], &insights["saved"], &insights["shares"]),
        (&json!(0.0), &json!(10.0), &json!(20.0), &json!(40.0), &Value::Null),
        "{measured:#}"
    );
    // Within a minute nobody is asked again.
    let again = admin.mutate("publicationMeasure", id.clone(), select).await;
    assert_eq!((&again, studio.graph.calls(Call::Insights)), (&measured, 1));
    let old = "update outputs set content = jsonb_set(content, '{insights,measured_at}', '\"2020-01-01T00:00:00Z\"') where content ? 'insights'
        and content -> 'insights' <> 'null'";
    let stale = async || assert_eq!(studio.server.tamper(old).await, 1);
    for (fault, said) in [
        (Fault::Error(10, None), "does not allow this"),
        (Fault::Error(190, Some(463)), "accountUpdate"),
        (Fault::Transient, "Ask again later"),
        (Fault::LoseAnswer, "Ask again later"),
    ] {
        stale().await;
        studio.graph.fail(Call::Insights, fault);
        let refused = admin.try_mutate("publicationMeasure", id.clone(), "publication { id }").await;
        let error = &refused["userErrors"][0];
        assert_eq!(error["code"], "PROVIDER_FAILED", "{refused:#}");
        assert!(error["message"].as_str().unwrap().contains(said), "{refused:#}");
    }
    assert!(
        admin.mutate("publicationMeasure", id.clone(), select).await["publication"]["insights"]["reach"]
            .is_number()
    );
    // The log has the figures.
    let log = "query($id: ID!) { organization { auditLog(first: 9, filter: {actions: [\"publication.measure\"], targetId: $id}) {
        nodes { changes { field after } } } } }";
    let log = admin.ok(log, id.clone()).await.to_string();
    assert!(log.contains("\"likes\""), "{log}");

    // Stories are counted otherwise, and each by itself.
    let other = studio.file("IMAGE", &jpeg(1080, 1920)).await;
    let one = studio.publish(json!({"assetIds": [other], "kind": "STORY", "caption": ""})).await;
    let one = json!({"id": studio.ended(&one).await["id"]});
    let story = admin.mutate("publicationMeasure", one, select).await;
    let insights = &story["publication"]["insights"];
    assert_eq!((&insights["views"], &insights["likes"]), (&json!(10.0), &Value::Null), "{story:#}");
    let two = studio.publish(json!({"assetIds": [other, picture], "kind": "STORY", "caption": ""})).await;
    let two = json!({"id": studio.ended(&two).await["id"]});
    assert_eq!(admin.fault("publicationMeasure", two).await, "CONFLICT");
    // Which post it is, is not known; it is not public; its account is gone.
    studio.graph.fail(Call::Publish, Fault::LoseAnswer);
    let lost = studio.publish(json!({"assetIds": [picture], "caption": "Lost."})).await;
    let lost = json!({"id": studio.ended(&lost).await["id"]});
    assert_eq!(admin.fault("publicationMeasure", lost).await, "CONFLICT");
    let later = studio
        .publish(json!({"assetIds": [picture], "caption": "Later.", "scheduledAt": "2999-01-01T00:00:00Z"}))
        .await;
    assert_eq!(
        admin.fault("publicationMeasure", json!({"id": later["publication"]["id"]})).await,
        "CONFLICT"
    );
    let accounts = admin.ok("{ organization { accounts { nodes { id } } } }", json!({})).await;
    let account = json!({"id": accounts["organization"]["accounts"]["nodes"][0]["id"]});
    admin.mutate("accountDisconnect", account, "").await;
    let stale = "update outputs set content = jsonb_set(content, '{insights}', 'null')";
    assert!(studio.server.tamper(stale).await > 0);
    assert_eq!(admin.fault("publicationMeasure", id).await, "CONFLICT");
    drop(admin);
    studio.close().await;
}
