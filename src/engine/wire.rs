//! HTTP as all providers share it: one client, no redirects, no proxies, and a limit on time and size everywhere.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::address::Reach;
use super::client::{self, LazyClient};
use super::failure::clean_message;
use super::sse::{Event, Malformed, Parser};
use super::{Endpoint, Failure, Kind, Limits, Provider};

/// What is read of an error's body.
const COMPLAINT_BYTES: usize = 64 << 10;

/// The longest wait that a provider is believed to mean.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// The client and its limits.
#[derive(Debug)]
pub struct Wire {
    client: LazyClient,
    limits: Limits,
    /// Where it may lead; none: wherever the server's own settings say.
    reach: Option<Reach>,
    /// To where an answer says that its picture or its clip is.
    fetcher: LazyClient,
}

/// One address of one provider, with the headers that open it.
#[derive(Debug, Clone)]
pub struct Target {
    pub provider: Provider,
    url: Url,
    headers: HeaderMap,
    secret: Option<SecretString>,
}

/// What came back.
pub enum Answer {
    /// A success, whose body is still to come.
    Stream(Box<Stream>),
    /// An error, read.
    Complaint(Complaint),
}

/// An error as the provider puts it.
#[derive(Debug)]
pub struct Complaint {
    /// The status; 200 when it came in the middle of a stream.
    pub status: u16,
    /// `error.code`.
    pub code: Option<String>,
    /// `error.type`.
    pub kind: Option<String>,
    /// `error.param`.
    pub param: Option<String>,
    /// `error.message`, not cleaned: to look at, not to show.
    pub message: String,
    retry_after: Option<Duration>,
}

/// A body that is still to come.
#[derive(Debug)]
pub struct Stream {
    provider: Provider,
    response: Response,
    limits: Limits,
    parser: Parser,
    read: usize,
}

impl Target {
    /// `path` below the version at `endpoint`, opened with `header: prefix + key`.
    pub fn new(
        provider: Provider,
        endpoint: &Endpoint,
        path: &str,
        (header, prefix): (HeaderName, &str),
    ) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &endpoint.key {
            let mut value =
                HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret())).with_context(|| {
                    format!("The API key of {provider} holds a character that no header can carry.")
                })?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let url = below_version(&endpoint.base_url, path)?;
        Ok(Self { provider, url, headers, secret: endpoint.key.clone() })
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, header: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(header, value);
        self
    }

    /// What lies below it under a name.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let mut url = self.url.clone();
        // An address that was made by `new` has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(name);
        }
        Self { url, headers: self.headers.clone(), secret: self.secret.clone(), ..*self }
    }

    /// What the provider says, as it may be shown behind a sentence; nothing when it says nothing.
    pub fn said(&self, complaint: &Complaint) -> String {
        let said = clean_message(&complaint.message, self.secret.as_ref().map(ExposeSecret::expose_secret));
        if said.is_empty() { String::new() } else { format!(" It says: {said}") }
    }

    /// The failure that a complaint is.
    pub fn failure(&self, kind: Kind, complaint: &Complaint) -> Failure {
        let Self { provider, .. } = self;
        let said = self.said(complaint);
        let message = match kind {
            Kind::Authentication => format!(
                "The provider {provider} does not accept the API key, or the key may not do this. Check the key."
            ),
            Kind::Quota => format!(
                "The account at the provider {provider} has no credit left. Top it up, or use another engine."
            ),
            Kind::RateLimited => {
                format!("The provider {provider} has had too many requests. Try again later.")
            }
            Kind::ContextLength => {
                "The text is too long for the model. Give it less, or choose a model that takes more."
                    .to_owned()
            }
            Kind::Refused => format!(
                "The provider {provider} refuses to answer this. Put it differently, or use another engine.{said}"
            ),
            Kind::Rejected if (300..400).contains(&complaint.status) => format!(
                "The provider {provider} answered with a redirect, which is not followed. Check its address."
            ),
            Kind::Rejected => {
                format!("The provider {provider} does not accept the request. Check the model's name.{said}")
            }
            Kind::Timeout | Kind::Unavailable | Kind::Broken => {
                format!("The provider {provider} is overloaded or has an error of its own. Try again later.")
            }
        };
        let code = complaint.code.as_deref().or(complaint.kind.as_deref());
        let mut failure = Failure::new(*provider, kind, message).with_code(code);
        failure.retry_after = complaint.retry_after;
        failure
    }
}

/// The address of `path` below `base`, whose own path may or may not name the version.
fn below_version(base: &Url, path: &str) -> anyhow::Result<Url> {
    let versioned = |segment: &str| {
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let version = if base.path().split('/').any(versioned) { "" } else { "/v1" };
    let mut url = base.clone();
    url.set_path(&format!("{}{version}/{path}", base.path().trim_end_matches('/')));
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.host().is_some(),
        "A provider's address begins with http:// or https:// and names a host."
    );
    Ok(url)
}

impl Wire {
    /// A wire to where the server's own settings say.
    pub fn new(limits: Limits) -> Self {
        Self { client: LazyClient::new(), limits, reach: None, fetcher: LazyClient::new() }
    }

    /// A wire to where tenants say, as far as that may be reached.
    pub fn guarded(limits: Limits, reach: Reach) -> Self {
        Self { reach: Some(reach), ..Self::new(limits) }
    }

    /// The limits.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    fn client(&self, provider: Provider) -> Result<&Client, Failure> {
        self.client.get(self.reach, |client| client.connect_timeout(self.limits.connect)).map_err(|_| {
            let message = "This server cannot call providers. Ask its operator to look at the log.";
            Failure::new(provider, Kind::Unavailable, message)
        })
    }

    /// The limits of a call for a file, whose answer has so many bytes at the most.
    pub const fn making(&self, bytes: usize) -> Limits {
        let making = self.limits.making;
        Limits { idle: making, total: making, bytes, ..self.limits }
    }

    /// How long a whole call may take: `timeout` when that is less than the limit.
    pub fn total(&self, timeout: Option<Duration>) -> Duration {
        timeout.map_or(self.limits.total, |timeout| timeout.min(self.limits.total))
    }

    /// Runs a whole call.
    pub async fn within<T>(
        &self,
        provider: Provider,
        total: Duration,
        call: BoxFuture<'_, Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(total, call).await {
            Ok(result) => result,
            Err(_) => Err(late(provider, "did not finish", total)),
        }
    }

    /// Posts `body`, and reads the answer's head.
    pub async fn post(&self, target: &Target, body: &Value, limits: Limits) -> Result<Answer, Failure> {
        self.send(target, limits, |client| client.post(target.url.clone()).json(body)).await
    }

    /// Asks for what is there, and reads the answer's head.
    pub async fn get(&self, target: &Target, limits: Limits) -> Result<Answer, Failure> {
        self.send(target, limits, |client| client.get(target.url.clone())).await
    }

    async fn send(
        &self,
        target: &Target,
        limits: Limits,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        let provider = target.provider;
        // What is no name is not looked up, so it is judged here.
        if let Some(refused) = self.reach.and_then(|reach| reach.check(&target.url).err()) {
            return Err(Failure::new(provider, Kind::Rejected, refused.to_string()));
        }
        let request = request(self.client(provider)?).headers(target.headers.clone());
        let waited = limits.connect + limits.idle;
        let sent = tokio::time::timeout(waited, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_timeout() => {
                return Err(late(provider, "could not be connected to", limits.connect));
            }
            // The library's words name addresses, and are no help to a user.
            Ok(Err(_)) => {
                let message = if self.reach.is_some() {
                    // A name that leads nowhere and one that leads where it must not look alike.
                    format!(
                        "The provider {provider} cannot be reached. Check that its address is a public one, or try again later."
                    )
                } else {
                    format!("The provider {provider} cannot be reached. Try again later.")
                };
                return Err(Failure::new(provider, Kind::Unavailable, message));
            }
            Err(_) => return Err(late(provider, "did not begin to answer", waited)),
        };
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| wait(value, Utc::now()));
        let mut stream =
            Box::new(Stream { provider, response, limits, parser: Parser::new(limits.line), read: 0 });
        if status.is_success() {
            return Ok(Answer::Stream(stream));
        }
        stream.limits.bytes = COMPLAINT_BYTES;
        // A complaint without a readable body is still its status.
        let body = stream.whole().await.unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let complaint = Complaint::read(status.as_u16(), &body);
        let retry_after = retry_after.or(complaint.retry_after);
        Ok(Answer::Complaint(Complaint { retry_after, ..complaint }))
    }

    /// Fetches a file from where an answer says that it is, without the key: of the target's own host, as far as that is
    /// called; of any other as far as tenants' addresses may lead, so only publicly where the settings name the target.
    pub async fn fetch(
        &self,
        target: &Target,
        url: &Url,
        (file, limits): (&str, Limits),
    ) -> Result<Bytes, Failure> {
        let provider = target.provider;
        let failed = |kind, what: &str| {
            Failure::new(provider, kind, format!("The provider {provider} names a {file} that {what}."))
        };
        let client = if self.reach.is_none() && url.origin() == target.url.origin() {
            self.client(provider)?
        } else {
            let reach = self.reach.unwrap_or_default();
            reach
                .check_host(url)
                .map_err(|_| failed(Kind::Rejected, "is at no public address, and is not fetched"))?;
            let patience = |client: ClientBuilder| client.connect_timeout(self.limits.connect);
            self.fetcher.get(Some(reach), patience).map_err(|_| {
                failed(Kind::Unavailable, "cannot be fetched. Ask the operator to look at the log")
            })?
        };
        let lost = || failed(Kind::Unavailable, "cannot be fetched. Try again later");
        let too_large = || failed(Kind::Broken, &format!("is larger than any {file} should be"));
        let sent = tokio::time::timeout(limits.connect + limits.idle, client.get(url.clone()).send());
        let response = sent.await.map_err(|_| lost())?.map_err(|_| lost())?;
        if response.status().is_redirection() {
            return Err(failed(Kind::Rejected, "is said to be elsewhere, where it is not looked for"));
        }
        if !response.status().is_success() {
            return Err(lost());
        }
        let most = limits.bytes;
        if response
            .content_length()
            .is_some_and(|bytes| usize::try_from(bytes).is_ok_and(|bytes| bytes > most))
        {
            return Err(too_large());
        }
        let fetched = tokio::time::timeout(limits.total, client::body(response, most));
        let fetched = fetched.await.map_err(|_| lost())?.map_err(|_| lost())?;
        fetched.ok_or_else(too_large)
    }
}

fn late(provider: Provider, what: &str, limit: Duration) -> Failure {
    let message = format!("The provider {provider} {what} within {limit:?}. Try again later.");
    Failure::new(provider, Kind::Timeout, message)
}

/// What `retry-after` asks for: seconds, or a date (RFC 9110, section 10.2.3).
fn wait(value: &HeaderValue, now: DateTime<Utc>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return believed(seconds);
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now;
    Some(until.to_std().unwrap_or_default().min(LONGEST_WAIT))
}

/// So many seconds, as far as they are believed.
fn believed(seconds: f64) -> Option<Duration> {
    Some(Duration::try_from_secs_f64(seconds).ok()?.min(LONGEST_WAIT))
}

impl Complaint {
    /// Out of any of the forms that servers use: `{"error": {…}}`, `{"error": "…"}`, `{"message": "…"}`,
    /// `{"detail": "…"}`, each in an array, and `{"detail": {"status": "…", "message": "…"}}` with or without an array. Some
    /// say there how long to wait.
    pub fn read(status: u16, body: &Value) -> Self {
        let body = body.get(0).unwrap_or(body);
        let error = body.get("error").filter(|error| !error.is_null());
        let detail = body.get("detail").map(|detail| detail.get(0).unwrap_or(detail));
        let detail = detail.filter(|detail| error.is_none() && detail.is_object());
        let error = detail.or(error).unwrap_or(body);
        let text = |key: &str| match error.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let message = error.as_str().map(str::to_owned);
        let message =
            ["message", "msg", "detail"].iter().fold(message, |found, key| found.or_else(|| text(key)));
        Self {
            status,
            code: text("code").or_else(|| detail.and_then(|_| text("status"))),
            kind: text("type"),
            param: text("param"),
            message: message.unwrap_or_default(),
            retry_after: body.get("retry_after").and_then(Value::as_f64).and_then(believed),
        }
    }

    /// One in the words of aicos, about an answer that a success carried.
    pub fn of(code: &str, message: &str) -> Self {
        let error = serde_json::json!({ "code": code, "message": message });
        Self::read(200, &serde_json::json!({ "error": error }))
    }

    /// Whether it is about this parameter of the request.
    pub fn is_about(&self, parameter: &str) -> bool {
        matches!(self.status, 400 | 422)
            && (self.message.contains(parameter)
                || self.param.as_deref().is_some_and(|param| param.starts_with(parameter)))
    }
}

impl Stream {
    /// Whether the body says that it is an event stream.
    pub fn has_events(&self) -> bool {
        let content_type = self.response.headers().get(CONTENT_TYPE);
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
    }

    /// The next event; none at the end.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.parser.pop() {
                return Ok(Some(event));
            }
            let Some(bytes) = self.piece().await? else { return Ok(None) };
            self.parser.push(&bytes).map_err(|malformed| match malformed {
                Malformed::TooLong => self.too_large(),
                Malformed::NotText => Failure::broken(self.provider, "is not text"),
            })?;
        }
    }

    /// The whole body.
    pub async fn whole(mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(bytes) = self.piece().await? {
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = tokio::time::timeout(self.limits.idle, self.response.chunk()).await;
        let piece = match piece {
            Ok(Ok(piece)) => piece,
            Ok(Err(_)) => return Err(Failure::broken(self.provider, "was cut off")),
            Err(_) => return Err(late(self.provider, "sent nothing more", self.limits.idle)),
        };
        self.read += piece.as_ref().map_or(0, Bytes::len);
        if self.read > self.limits.bytes { Err(self.too_large()) } else { Ok(piece) }
    }

    fn too_large(&self) -> Failure {
        Failure::broken(self.provider, "is larger than any answer should be")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_is_in_the_address_once() {
        for (base, full) in [
            ("https://api.openai.com", "https://api.openai.com/v1/chat"),
            ("https://api.openai.com/", "https://api.openai.com/v1/chat"),
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat"),
            ("http://[::1]:11434/v1/", "http://[::1]:11434/v1/chat"),
            ("https://gate.example/team/api", "https://gate.example/team/api/v1/chat"),
            ("https://gate.example/v1beta/openai/", "https://gate.example/v1beta/openai/chat"),
        ] {
            assert_eq!(below_version(&base.parse().unwrap(), "chat").unwrap().as_str(), full);
        }
        assert!(below_version(&"file:///etc".parse().unwrap(), "chat").is_err());
    }

    #[test]
    fn a_wait_is_in_seconds_or_until_a_date_and_has_an_end() {
        let now = DateTime::parse_from_rfc3339("2026-11-25T10:00:00Z").unwrap().to_utc();
        for (text, seconds) in [
            ("20", Some(20.0)),
            ("0.5", Some(0.5)),
            ("Wed, 25 Nov 2026 10:01:00 GMT", Some(60.0)),
            ("Wed, 25 Nov 2026 09:00:00 GMT", Some(0.0)),
            ("99999999", Some(86_400.0)),
            ("-1", None),
            ("soon", None),
            ("NaN", None),
        ] {
            let value = HeaderValue::from_static(text);
            assert_eq!(wait(&value, now).map(|wait| wait.as_secs_f64()), seconds, "{text}");
        }
    }

    #[test]
    fn a_complaint_is_read_in_every_form() {
        for body in [
            json!({ "error": { "message": "no", "type": "t", "param": "p", "code": 7 } }),
            json!([{ "error": { "message": "no", "type": "t", "param": "p", "code": "7" } }]),
            json!({ "object": "error", "message": "no", "type": "t", "param": "p", "code": 7 }),
        ] {
            let complaint = Complaint::read(400, &body);
            assert_eq!(complaint.message, "no");
            assert_eq!(complaint.code.as_deref(), Some("7"));
            assert!(complaint.is_about("p") && !complaint.is_about("q"));
        }
        let complaint = |body| Complaint::read(401, &body);
        let told = complaint(json!({ "detail": { "status": "quota_exceeded", "message": "no" } }));
        assert_eq!((told.code.as_deref(), told.message.as_str()), (Some("quota_exceeded"), "no"));
        let told =
            complaint(json!({ "detail": [{ "loc": ["body", "text"], "msg": "no", "type": "missing" }] }));
        assert_eq!((told.kind.as_deref(), told.message.as_str()), (Some("missing"), "no"));
        for body in [json!({ "error": "no" }), json!({ "detail": "no", "error": null })] {
            assert_eq!(Complaint::read(400, &body).message, "no");
        }
        assert_eq!(Complaint::read(502, &Value::Null).message, "");
        let limited = Complaint::read(429, &json!({ "detail": "slowly", "status": 429, "retry_after": 9.5 }));
        assert_eq!(
            (limited.message.as_str(), limited.retry_after),
            ("slowly", Some(Duration::from_millis(9_500)))
        );
    }
}
