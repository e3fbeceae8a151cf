//! What can go wrong with a provider, in a closed list and in words that a user may read.

use std::time::Duration;

use super::{Provider, Usage};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The key is missing, wrong, or may not do this.
    Authentication,
    /// The account has no credit left, or has reached its limit for good.
    Quota,
    /// Too many requests or tokens in too short a time.
    RateLimited,
    /// The question does not fit the model.
    ContextLength,
    /// The model or the provider's filter refused to answer.
    Refused,
    /// The request is not accepted as it is: an unknown model, a wrong parameter.
    Rejected,
    /// The answer, or its next piece, did not come in time.
    Timeout,
    /// The provider cannot be reached, is overloaded, or has an error of its own.
    Unavailable,
    /// An answer came and is of no use: cut off, not in the format, not of the schema, too large, or empty.
    Broken,
}

impl Kind {
    /// How it is counted.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Quota => "quota",
            Self::RateLimited => "rate_limited",
            Self::ContextLength => "context_length",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Broken => "broken",
        }
    }
}

/// A call that brought no answer. Its `Display` is [`message`](Self::message).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whose answer it was to be.
    pub provider: Provider,
    /// What went wrong.
    pub kind: Kind,
    /// The provider's own word for it, such as `insufficient_quota`.
    pub code: Option<String>,
    /// A sentence for users: what happened and what to do next. Neither keys nor bodies are in it.
    pub message: String,
    /// What the provider counted, and will charge for, all the same.
    pub usage: Option<Usage>,
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    /// Whether the same request may succeed later.
    pub const fn retryable(&self) -> bool {
        matches!(self.kind, Kind::RateLimited | Kind::Timeout | Kind::Unavailable | Kind::Broken)
    }

    /// How long the provider asks to wait; none: it does not say, or waiting does not help.
    pub const fn retry_after(&self) -> Option<Duration> {
        if self.retryable() { self.retry_after } else { None }
    }

    pub(super) fn new(provider: Provider, kind: Kind, message: impl Into<String>) -> Self {
        Self { provider, kind, code: None, message: message.into(), usage: None, retry_after: None }
    }

    pub(super) fn broken(provider: Provider, what: &str) -> Self {
        Self::new(provider, Kind::Broken, format!("The answer of {provider} {what}. Try again."))
    }

    #[must_use]
    pub(super) fn with_code(mut self, code: Option<&str>) -> Self {
        self.code = code.and_then(clean_code);
        self
    }

    #[must_use]
    pub(super) fn with_usage(mut self, usage: Option<Usage>) -> Self {
        self.usage = usage;
        self
    }
}

/// A provider's own word: short and plain, or left out.
fn clean_code(code: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    ((1..=64).contains(&code.len()) && code.chars().all(plain)).then(|| code.to_owned())
}

/// Characters of a provider's message that are shown.
const SHOWN: usize = 300;

/// A provider's message as it may be shown: on one line, shortened, without addresses, and without words that are, or
/// look like, a key. `secret` is the key of the call.
pub(super) fn clean_message(message: &str, secret: Option<&str>) -> String {
    let mut out = String::new();
    for word in message.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(if looks_secret(word, secret) { "…" } else { word });
        if out.chars().count() > SHOWN {
            return out.chars().take(SHOWN).chain(['…']).collect();
        }
    }
    out
}

fn looks_secret(word: &str, secret: Option<&str>) -> bool {
    let known = secret.is_some_and(|secret| !secret.is_empty() && word.contains(secret));
    // Keys begin with `sk-`, providers mask them with stars, and nothing else in their messages is as long as a key.
    let shaped = word.contains("sk-") || word.contains("***") || word.contains("Bearer");
    let long = word.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| run.len() >= 32);
    known || shaped || long || word.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_without_what_looks_like_a_key() {
        let message =
            "Incorrect API key provided:\n\tsk-abc123***********wxyz. See https://x.example/keys\u{7}";
        assert_eq!(clean_message(message, None), "Incorrect API key provided: … See …");
        assert_eq!(clean_message("got local-secret!", Some("local-secret")), "got …");
        let long = clean_message(&"word ".repeat(1000), None);
        assert_eq!(long.chars().count(), SHOWN + 1);
    }

    #[test]
    fn a_code_is_plain_or_left_out() {
        assert_eq!(clean_code("rate_limit_exceeded").as_deref(), Some("rate_limit_exceeded"));
        assert_eq!(clean_code("<script>"), None);
        assert_eq!(clean_code(&"x".repeat(65)), None);
    }

    #[test]
    fn waiting_is_only_for_what_may_come_right() {
        let mut failure = Failure::new(Provider::OpenAi, Kind::Quota, "no credit");
        failure.retry_after = Some(Duration::from_secs(1));
        assert!(!failure.retryable());
        assert_eq!(failure.retry_after(), None);
        failure.kind = Kind::RateLimited;
        assert_eq!(failure.retry_after(), Some(Duration::from_secs(1)));
    }
}
