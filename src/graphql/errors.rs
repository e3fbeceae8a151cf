//! `userErrors`: what a caller can put right, as data.

use async_graphql::{Interface, SimpleObject};

use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::graphql::scalars::DateTime;
use crate::usage::Metric;

/// A business failure. Refusals, authentication, limits and faults are top-level errors instead.
#[derive(Debug, Clone, Interface)]
#[graphql(
    field(name = "message", ty = "&String", desc = "What happened and what to do next, for people."),
    field(name = "code", ty = "&FaultCode", desc = "What happened, for programs."),
    field(
        name = "field",
        ty = "&Option<Vec<String>>",
        desc = "The path of the input field, for example `[\"input\", \"name\"]`."
    )
)]
pub enum UserError {
    /// An input that can be put right.
    Input(InputError),
    /// A limit of the tier.
    Quota(QuotaError),
    /// Too many attempts.
    Throttle(ThrottleError),
    /// An outside provider's error.
    Provider(ProviderError),
}

/// An input that can be put right.
#[derive(Debug, Clone, SimpleObject)]
pub struct InputError {
    /// What happened and what to do next, for people.
    message: String,
    /// What happened, for programs.
    code: FaultCode,
    /// The path of the input field, for example `["input", "name"]`.
    field: Option<Vec<String>>,
}

/// A limit of the organization's tier is reached.
#[derive(Debug, Clone, SimpleObject)]
pub struct QuotaError {
    /// What happened and what to do next, for people.
    message: String,
    /// What happened, for programs.
    code: FaultCode,
    /// The path of the input field, for example `["input", "name"]`.
    field: Option<Vec<String>>,
    /// What is limited.
    metric: Metric,
    /// The tier's limit.
    limit: f64,
    /// What is used now.
    used: f64,
    /// When the count starts again; null when it does not.
    resets_at: Option<DateTime>,
    /// The tier that allows more, when there is one.
    required_tier: Option<String>,
}

/// Too many attempts; wait and try again.
#[derive(Debug, Clone, SimpleObject)]
pub struct ThrottleError {
    /// What happened and what to do next, for people.
    message: String,
    /// What happened, for programs.
    code: FaultCode,
    /// The path of the input field, for example `["input", "name"]`.
    field: Option<Vec<String>>,
    /// Seconds until the next attempt is accepted.
    retry_after_seconds: i32,
}

/// An outside provider answered with an error.
#[derive(Debug, Clone, SimpleObject)]
pub struct ProviderError {
    /// What happened and what to do next, for people.
    message: String,
    /// What happened, for programs.
    code: FaultCode,
    /// The path of the input field, for example `["input", "name"]`.
    field: Option<Vec<String>>,
    /// The provider.
    provider: String,
    /// The provider's own code, when it gave one.
    provider_code: Option<String>,
    /// Whether trying again later may work.
    retryable: bool,
}

impl From<Fault> for UserError {
    fn from(Fault { code, message, field, detail }: Fault) -> Self {
        match detail {
            Detail::None => Self::Input(InputError { message, code, field }),
            Detail::Throttle { retry_after_seconds } => {
                Self::Throttle(ThrottleError { message, code, field, retry_after_seconds })
            }
            Detail::Quota { metric, limit, used, resets_at, required_tier } => Self::Quota(QuotaError {
                message,
                code,
                field,
                metric,
                limit,
                used,
                resets_at: resets_at.map(Into::into),
                required_tier,
            }),
            Detail::Provider { provider, provider_code, retryable } => {
                Self::Provider(ProviderError { message, code, field, provider, provider_code, retryable })
            }
        }
    }
}

/// A mutation's payload: what it changed, or what the caller can put right.
pub trait Payload: Default {
    /// The payload of a mutation that changed nothing.
    fn failed(user_errors: Vec<UserError>) -> Self;
}

/// Settles a mutation: faults become `userErrors`, everything else a top-level error beside a null payload.
///
/// # Errors
/// What is not the caller's to put right in the input.
pub fn settle<P: Payload>(outcome: Result<P>) -> Result<Option<P>> {
    match outcome {
        Ok(payload) => Ok(Some(payload)),
        Err(Error::Invalid(faults)) => Ok(Some(P::failed(faults.into_iter().map(UserError::from).collect()))),
        Err(error @ Error::NotFound) => {
            Ok(Some(P::failed(vec![Fault::new(FaultCode::NotFound, error.message()).into()])))
        }
        Err(error) => Err(error),
    }
}

/// Implements [`Payload`] for structs whose other fields have defaults.
macro_rules! payloads {
    ($($name:ident),* $(,)?) => {$(
        impl crate::graphql::errors::Payload for $name {
            fn failed(user_errors: Vec<crate::graphql::errors::UserError>) -> Self {
                Self { user_errors, ..Self::default() }
            }
        }
    )*};
}
pub(crate) use payloads;
