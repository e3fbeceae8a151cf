//! The playground, from the binary.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Response, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

/// Nothing from elsewhere, and no page may frame this one.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// What no page here needs of a device.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

#[derive(RustEmbed)]
#[folder = "playground/dist/"]
struct Files;

/// `/`.
pub async fn index(headers: HeaderMap) -> Response<Body> {
    serve("index.html", &headers)
}

/// `/playground/<file>`.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response<Body> {
    serve(&name, &headers)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("md") => "text/markdown; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    format!("\"{:032x}\"", u128::from_be_bytes(hash[..16].try_into().unwrap_or_default()))
}

fn serve(name: &str, headers: &HeaderMap) -> Response<Body> {
    let Some(file) = Files::get(name) else {
        return respond(
            Response::builder().status(StatusCode::NOT_FOUND),
            Body::from("There is no such page."),
        );
    };
    let tag = tag(&file);
    let builder = Response::builder()
        .header(CONTENT_TYPE, media_type(name))
        .header(ETAG, &tag)
        // Names carry no hash: ask each time, and be told that nothing has changed.
        .header(CACHE_CONTROL, "no-cache")
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header("permissions-policy", PERMISSIONS)
        .header("cross-origin-opener-policy", "same-origin");
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return respond(builder.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    respond(builder, Body::from(file.data))
}

fn respond(builder: axum::http::response::Builder, body: Body) -> Response<Body> {
    builder.body(body).unwrap_or_default()
}
