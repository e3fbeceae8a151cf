//! What stands before the addresses: when all turns are taken and the queue is full, whoever comes next is told so at once.
//!
//! Under an overload most requests are sent away, and what each of them costs is missing to those that are let in. Here it
//! costs little more than reading the head and writing the answer. Who is not told here is told later, by
//! [`Turns::look`]: a page of another origin, whose answer needs more than this one says, and whoever comes to stay.

use std::sync::Arc;

use axum::http::{Method, Request, header};
use axum::response::Response;

use super::graphql::{is_upgrade, refused};
use super::turns::Turns;
use super::{RequestId, protect};
use crate::telemetry::metrics::Route;

/// What a server looks at first. Clones share everything.
#[derive(Debug, Clone)]
pub struct Door {
    turns: Arc<Turns>,
    encrypted: bool,
}

impl Door {
    pub(super) const fn new(turns: Arc<Turns>, encrypted: bool) -> Self {
        Self { turns, encrypted }
    }

    /// The answer to a request that is sent away; none when it may come in.
    pub(super) fn send_away<Body>(&self, request: &Request<Body>) -> Option<Response> {
        let headers = request.headers();
        let is_call = request.method() == Method::POST
            && Route::of(request.uri().path()) == Route::Graphql
            && !headers.contains_key(header::ORIGIN)
            && !is_upgrade(headers);
        if !is_call {
            return None;
        }
        let error = self.turns.look().err()?;
        let mut response = refused(error, headers, &RequestId::of(headers));
        protect(self.encrypted, response.headers_mut());
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::StatusCode;
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::super::turns::TurnSettings;
    use super::*;

    fn call(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::post("/graphql").header("x-request-id", "request-1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[tokio::test]
    async fn who_would_wait_in_vain_is_sent_away_at_the_door() {
        let settings = TurnSettings { at_once: 1, waiting: 1, patience: Duration::from_secs(30), bodies: 10 };
        let turns = Arc::new(Turns::new(settings));
        let door = Door::new(Arc::clone(&turns), false);
        let first = turns.take().await.unwrap();
        assert!(door.send_away(&call(&[])).is_none());
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take().await }
        });
        while turns.look().is_ok() {
            tokio::task::yield_now().await;
        }

        let accept = [("accept", "application/graphql-response+json")];
        let response = door.send_away(&call(&accept)).unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("retry-after"), "1");
        assert_eq!(header("content-type"), "application/graphql-response+json; charset=utf-8");
        assert_eq!(header("x-request-id"), "request-1");
        assert_eq!(header("x-frame-options"), "DENY");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], json!("UNAVAILABLE"));
        assert_eq!(body["errors"][0]["extensions"]["requestId"], json!("request-1"));
        assert!(body.get("data").is_none());

        // What needs another answer goes on to where it is made.
        assert!(door.send_away(&call(&[("origin", "https://pages.example")])).is_none());
        assert!(door.send_away(&call(&[("upgrade", "websocket")])).is_none());
        assert!(door.send_away(&Request::get("/graphql").body(()).unwrap()).is_none());
        assert!(door.send_away(&Request::post("/livez").body(()).unwrap()).is_none());

        drop(first);
        drop(waiting.await.unwrap().unwrap());
        assert!(door.send_away(&call(&[])).is_none());
    }
}
