//! The one error, its closed list of codes, and the one conversion to the wire.
//!
//! It knows only how to become an answer. What happened and what to do next stands in the message; SQL, other
//! tenants' ids and secrets never do.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::ErrorExtensionValues;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::telemetry::count;

/// `extensions.code` of a top-level error: the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// No credential, or one that is not accepted.
    Unauthenticated,
    /// The access token was genuine and has expired.
    TokenExpired,
    /// The caller may see the object but not do this.
    Forbidden,
    /// Too many requests or points.
    RateLimited,
    /// The document costs more than one request may.
    QueryTooComplex,
    /// The document is nested too deeply.
    QueryTooDeep,
    /// An argument, variable, header or body is malformed.
    BadUserInput,
    /// The document is not GraphQL.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// The hash of a persisted query is not known here.
    PersistedQueryNotFound,
    /// Only registered documents are accepted.
    DocumentNotTrusted,
    /// Subscriptions only: missing or invisible.
    NotFound,
    /// The deadline passed.
    Timeout,
    /// Something the server needs is down; trying again later may work.
    Unavailable,
    /// A fault of the server.
    Internal,
}

impl Code {
    /// All of them, in the order in which they stand above.
    pub const ALL: [Self; 15] = [
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::Forbidden,
        Self::RateLimited,
        Self::QueryTooComplex,
        Self::QueryTooDeep,
        Self::BadUserInput,
        Self::GraphqlParseFailed,
        Self::GraphqlValidationFailed,
        Self::PersistedQueryNotFound,
        Self::DocumentNotTrusted,
        Self::NotFound,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The one that is spelled like this.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::Forbidden => "FORBIDDEN",
            Self::RateLimited => "RATE_LIMITED",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::QueryTooDeep => "QUERY_TOO_DEEP",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::DocumentNotTrusted => "DOCUMENT_NOT_TRUSTED",
            Self::NotFound => "NOT_FOUND",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// How loudly it is logged: what a caller did wrong never pages anyone.
    pub const fn level(self) -> tracing::Level {
        match self {
            Self::Internal => tracing::Level::ERROR,
            Self::Unavailable | Self::Timeout => tracing::Level::WARN,
            _ => tracing::Level::DEBUG,
        }
    }
}

/// `UserError.code`: what a caller can do wrong, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "UserErrorCode")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FaultCode {
    /// A value is missing.
    Required,
    /// A value is malformed or not allowed here.
    Invalid,
    /// A text is longer than its limit.
    TooLong,
    /// A text is shorter than its limit.
    TooShort,
    /// A number is outside its range.
    OutOfRange,
    /// There is no such object, or the caller cannot see it.
    NotFound,
    /// Another object has this name, slug or address.
    AlreadyExists,
    /// The object has changed or is in a state that does not allow this.
    Conflict,
    /// An organization needs at least one owner.
    LastOwner,
    /// Callers cannot do this to themselves.
    SelfAction,
    /// The link or token has expired.
    Expired,
    /// The tier's limit is reached.
    QuotaExceeded,
    /// The feature belongs to a higher tier.
    TierRequired,
    /// The idempotency key was used before with another input.
    IdempotencyKeyReused,
    /// An outside provider answered with an error.
    ProviderFailed,
    /// No outside provider is set up.
    ProviderNotConfigured,
    /// There is not enough material to work with.
    InsufficientInput,
    /// The address is not allowed.
    UnsafeUrl,
    /// The e-mail address or the password is wrong.
    InvalidCredentials,
    /// The password is too easy to guess.
    WeakPassword,
    /// Too many attempts; wait and try again.
    Throttled,
}

/// What a fault carries beside its message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Detail {
    /// Nothing more.
    #[default]
    None,
    /// When to try again.
    Throttle {
        /// Seconds until the next attempt is accepted.
        retry_after_seconds: i32,
    },
    /// Which limit of the tier was reached.
    Quota {
        /// The metric, in its wire spelling.
        metric: crate::usage::Metric,
        /// The tier's limit.
        limit: f64,
        /// What is used now.
        used: f64,
        /// When the count starts again, if it does.
        #[serde(default)]
        resets_at: Option<DateTime<Utc>>,
        /// The smallest tier that allows what was wanted.
        #[serde(default)]
        required_tier: Option<String>,
    },
    /// What an outside provider said.
    Provider {
        /// The provider.
        provider: String,
        /// Its own code, when it gave one.
        provider_code: Option<String>,
        /// Whether trying again later may work.
        retryable: bool,
    },
}

/// One thing that the caller can put right. Kept as JSON where a job has ended with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The kind.
    pub code: FaultCode,
    /// A sentence for people: what happened and what to do next.
    pub message: String,
    /// The path of the input field, for example `["input", "name"]`.
    pub field: Option<Vec<String>>,
    /// More, where there is more.
    #[serde(default)]
    pub detail: Detail,
}

impl Fault {
    /// A fault without a field.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, detail: Detail::None }
    }

    /// A fault of one input field, given as its dotted path below `input`, for example `settings.locale`.
    pub fn at(code: FaultCode, path: &str, message: impl Into<String>) -> Self {
        let field = std::iter::once("input").chain(path.split('.')).map(str::to_owned).collect();
        Self { code, message: message.into(), field: Some(field), detail: Detail::None }
    }

    /// A fault of a query's argument.
    pub fn of(code: FaultCode, argument: &str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: Some(vec![argument.to_owned()]), detail: Detail::None }
    }

    /// The same with more detail.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }
}

/// Why a credential is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// None was sent.
    Missing,
    /// It is malformed, forged, unknown or revoked; which of these is not said.
    NotAccepted,
    /// It was genuine and has expired.
    Expired,
}

/// Everything that can go wrong between a request and its answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No credential, or none that is accepted.
    #[error("not signed in")]
    Unauthenticated(Refusal),
    /// The caller may see the object but not do this.
    #[error("{required} is missing")]
    Forbidden {
        /// The permission that is missing, in its wire spelling.
        required: &'static str,
        /// The caller's role, in its wire spelling; none for API keys.
        role: Option<&'static str>,
    },
    /// The object is missing or invisible.
    #[error("not found")]
    NotFound,
    /// What the caller can put right: `userErrors` in a mutation, `BAD_USER_INPUT` in a query.
    #[error("{}", .0.first().map_or("invalid input", |fault| fault.message.as_str()))]
    Invalid(Vec<Fault>),
    /// Too many requests.
    #[error("too many requests")]
    Limited(Duration),
    /// A refusal of the protocol edge, before anything ran.
    #[error("{message}")]
    Refused {
        /// One of the closed list.
        code: Code,
        /// A sentence for people.
        message: String,
    },
    /// The deadline passed.
    #[error("the deadline passed")]
    Timeout,
    /// The server has more to do than it can, or must not go on uncounted: trying again after this long may work.
    #[error("busy")]
    Busy(Duration),
    /// Something the server needs is down.
    #[error("unavailable: {0:#}")]
    Unavailable(Arc<anyhow::Error>),
    /// A fault of the server; the cause is logged once, at the boundary.
    #[error("internal: {0:#}")]
    Internal(Arc<anyhow::Error>),
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One fault of the caller's.
    pub fn fault(fault: Fault) -> Self {
        Self::Invalid(vec![fault])
    }

    /// A fault of the server, with its cause.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::Internal(Arc::new(cause.into()))
    }

    /// Something the server needs is down.
    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        Self::Unavailable(Arc::new(cause.into()))
    }

    /// The code on the wire.
    pub const fn code(&self) -> Code {
        match self {
            Self::Unauthenticated(Refusal::Expired) => Code::TokenExpired,
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::Forbidden { .. } => Code::Forbidden,
            Self::NotFound => Code::NotFound,
            Self::Invalid(_) => Code::BadUserInput,
            Self::Limited(_) => Code::RateLimited,
            Self::Refused { code, .. } => *code,
            Self::Timeout => Code::Timeout,
            Self::Busy(_) | Self::Unavailable(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// What the caller reads.
    pub fn message(&self) -> String {
        match self {
            Self::Unauthenticated(Refusal::Missing) => {
                "Sign in first: send `Authorization: Bearer <access token>` or `X-API-Key`.".into()
            }
            Self::Unauthenticated(Refusal::NotAccepted) => {
                "This credential is not accepted. Sign in again, or use another API key.".into()
            }
            Self::Unauthenticated(Refusal::Expired) => {
                "The access token has expired. Get a new one with `tokenRefresh`.".into()
            }
            Self::Forbidden { required, role } => match role {
                Some(role) => format!(
                    "This needs the permission {required}, which the role {role} does not have. Ask an owner or admin."
                ),
                None => format!("This needs the permission {required}, which this API key does not have."),
            },
            Self::NotFound => "There is no such object, or it is not visible to you.".into(),
            Self::Invalid(faults) => {
                faults.first().map_or_else(|| "The input is not valid.".into(), |fault| fault.message.clone())
            }
            Self::Limited(wait) => {
                format!("Too many requests. Try again in {} seconds.", wait.as_secs().max(1))
            }
            Self::Refused { message, .. } => message.clone(),
            Self::Timeout => "The request took too long and was stopped. Ask for less at once.".into(),
            Self::Busy(wait) => {
                format!("The service is busy. Try again in {} seconds.", wait.as_secs().max(1))
            }
            Self::Unavailable(_) => "The service is busy or restarting. Try again in a few seconds.".into(),
            Self::Internal(_) => {
                "Something went wrong on the server. It has been logged under this request id.".into()
            }
        }
    }

    /// The extensions beside `requestId`.
    fn extend(&self, extensions: &mut ErrorExtensionValues) {
        extensions.set("code", self.code().as_str());
        match self {
            Self::Forbidden { required, role } => {
                extensions.set("required", *required);
                if let Some(role) = role {
                    extensions.set("role", *role);
                }
            }
            Self::Invalid(faults) => {
                if let Some(field) = faults.first().and_then(|fault| fault.field.as_ref()) {
                    extensions
                        .set("field", async_graphql::Value::from_json(json!(field)).unwrap_or_default());
                }
            }
            Self::Limited(wait) | Self::Busy(wait) => {
                extensions.set("retryAfter", wait.as_secs().max(1));
            }
            _ => {}
        }
    }
}

/// Gives a GraphQL error its final form: message, `extensions.code` from the closed list and `requestId`.
///
/// Resolvers return [`Error`], which async-graphql carries as the error's source; every other source is a fault of
/// ours whose text nobody outside may read. An error without a source comes from the framework itself and gets
/// `fallback`, the code of the stage that it happened in.
pub fn finish(error: &mut async_graphql::ServerError, fallback: Code, request_id: &str) {
    let mut extensions = ErrorExtensionValues::default();
    let mut code = fallback;
    match error.source.take() {
        Some(source) => {
            let fault = source.downcast_ref::<Error>().cloned().unwrap_or_else(|| {
                Error::internal(anyhow::anyhow!(
                    "an error of another type reached the boundary: {}",
                    error.message
                ))
            });
            fault.log(request_id);
            fault.extend(&mut extensions);
            error.message = fault.message();
            code = fault.code();
        }
        None => extensions.set("code", fallback.as_str()),
    }
    count().error(code);
    extensions.set("requestId", request_id);
    error.extensions = Some(extensions);
}

impl Error {
    /// As its code, but for what would fill the log just when there is too much to do: that is counted, and told once in
    /// a while by whoever turns requests away.
    fn level(&self) -> tracing::Level {
        if matches!(self, Self::Busy(_)) { tracing::Level::DEBUG } else { self.code().level() }
    }

    /// Logs it once, at the boundary, as loudly as its code says.
    pub fn log(&self, request_id: &str) {
        let code = self.code().as_str();
        match self.level() {
            tracing::Level::ERROR => tracing::error!(request.id = request_id, code, "request failed: {self}"),
            tracing::Level::WARN => tracing::warn!(request.id = request_id, code, "request failed: {self}"),
            _ => tracing::debug!(request.id = request_id, code, "request refused: {self}"),
        }
    }
}

/// Whether a SQLSTATE means "not just now", not "the statement was wrong": the server is going, coming (57P), full (53)
/// or lost (08), has closed a transaction that idled or lasted too long, or somebody else holds a lock for too long
/// (55P03), or two waited for each other (40P01).
fn is_passing(state: &str) -> bool {
    ["57P", "53", "08"].iter().any(|class| state.starts_with(class))
        || ["25P03", "25P04", "55P03", "40P01"].contains(&state)
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => match database.code().as_deref() {
                Some("57014") => Self::Timeout,
                Some(state) if is_passing(state) => Self::unavailable(error),
                _ => Self::internal(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Tls(_) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

/// Turns a named constraint into the caller's error where the statement is written.
pub trait OnConstraint<T> {
    /// When the statement broke `constraint`, the error is made by `fault`.
    fn on_constraint(self, constraint: &str, fault: impl FnOnce() -> Error) -> Result<T>;
}

impl<T, E: Into<Error> + ConstraintName> OnConstraint<T> for std::result::Result<T, E> {
    fn on_constraint(self, constraint: &str, fault: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|error| if error.constraint() == Some(constraint) { fault() } else { error.into() })
    }
}

/// An error that may name the constraint that was broken.
pub trait ConstraintName {
    /// The constraint's name, when one was broken.
    fn constraint(&self) -> Option<&str>;
}

impl ConstraintName for sqlx::Error {
    fn constraint(&self) -> Option<&str> {
        self.as_database_error().and_then(|error| error.constraint())
    }
}
