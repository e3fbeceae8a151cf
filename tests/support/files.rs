//! Files: how they are made, sent and fetched, in a folder and in a bucket.

use aicos::config::Config;
use aicos::storage::{Bucket, Location};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};

use super::cast::Organization;
use super::{Client, Server, config};

/// A PNG that says that it is this large.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8], data: &[u8]| {
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        let body = [name, data].concat();
        bytes.extend(&body);
        bytes.extend(crc32fast::hash(&body).to_be_bytes());
    };
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    chunk(b"IHDR", &head);
    chunk(b"IEND", b"");
    bytes
}

/// The SHA-256 of some bytes, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What an address was answered with.
#[derive(Debug)]
pub struct Fetched {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Fetched {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Asks an address of the server's, or of a store's.
pub async fn ask(
    server: &Server,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Fetched {
    if let Some(path) = url.strip_prefix("http://localhost:8000") {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, headers, body) = server.send(request.body(Body::from(body)).unwrap()).await;
        return Fetched { status, headers, body };
    }
    let mut request = reqwest::Client::new().request(method, url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Fetched { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

pub async fn get(server: &Server, url: &str) -> Fetched {
    ask(server, Method::GET, url, &[], Vec::new()).await
}

pub async fn put(server: &Server, url: &str, body: &[u8]) -> Fetched {
    ask(server, Method::PUT, url, &[], body.to_vec()).await
}

/// What is read of an asset.
pub const ASSET: &str =
    "id kind mimeType bytes width height durationSeconds sha256 altText tags project { id } url
    urlExpiresAt createdAt";

impl Client<'_> {
    /// Announces a file; gives the upload.
    pub async fn announce(&self, place: Value, kind: &str, bytes: &[u8]) -> Value {
        let mut input = json!({"kind": kind, "bytes": bytes.len()});
        input.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        let made = self.mutate("assetUploadCreate", input, "upload { id url method bytes expiresAt }");
        made.await["upload"].clone()
    }

    /// Announces a file, sends it, and tries to complete it; gives the payload.
    pub async fn try_send(&self, organization: &Organization, kind: &str, bytes: &[u8]) -> Value {
        let upload = self.announce(json!({"organizationId": organization.id}), kind, bytes).await;
        let sent = put(self.server, upload["url"].as_str().unwrap(), bytes).await;
        assert_eq!(sent.status, 200, "{}", String::from_utf8_lossy(&sent.body));
        let select = format!("asset {{ {ASSET} }}");
        self.try_mutate("assetUploadComplete", json!({"id": upload["id"]}), &select).await
    }

    /// The same, and expects the asset.
    pub async fn keep_file(&self, organization: &Organization, kind: &str, bytes: &[u8]) -> Value {
        let payload = self.try_send(organization, kind, bytes).await;
        assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
        payload["asset"].clone()
    }

    /// An asset, as it stands now.
    pub async fn asset(&self, id: &str) -> Value {
        let document = format!("query($id: ID!) {{ node(id: $id) {{ ... on Asset {{ {ASSET} }} }} }}");
        self.ok(&document, json!({"id": id})).await["node"].clone()
    }
}

/// Settings with a folder of the test's own, which is given too.
pub fn folder() -> (Config, std::path::PathBuf) {
    let mut config = config();
    let folder = config.data_dir.join(format!("assets-{}", aicos::id::AssetId::generate()));
    config.storage = Location::Folder(folder.clone());
    (config, folder)
}

/// The files below a folder.
pub fn files(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path.display().to_string()) }
        }
    }
    found.sort();
    found
}

/// Starts a store that speaks S3, and gives settings that use it.
pub async fn bucket() -> (Config, std::path::PathBuf) {
    let mut config = config();
    let root = config.data_dir.join(format!("store-{}", aicos::id::AssetId::generate()));
    std::fs::create_dir_all(root.join("files")).unwrap();
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&root).unwrap());
    service.set_auth(SimpleAuth::from_single("id", "a/secret+with=signs"));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    config.storage = Location::Bucket(Bucket {
        name: "files".to_owned(),
        prefix: "aicos".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}/").parse().unwrap()),
        region: "eu-central-1".to_owned(),
        credentials: Some(("id".to_owned(), "a/secret+with=signs".into())),
    });
    (config, root.join("files"))
}
