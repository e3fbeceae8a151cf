//! The name of one request in answers and logs.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::id;

/// The header that carries it, in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The name of one request: the caller's own, or a fresh one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's name for the request when it is 8 to 64 letters, digits, `-` or `_`; otherwise a fresh one.
    pub fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match sent.filter(|text| acceptable(text)) {
            Some(text) => Self(text.into()),
            None => Self(id::encode(Uuid::now_v7()).into()),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, for whoever keeps it.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The name as the value of a header; none cannot happen, for its characters are checked.
    pub fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn acceptable(text: &str) -> bool {
    (8..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_name_is_kept_only_when_it_is_harmless() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(value).unwrap())]);
            RequestId::of(&headers).as_str().to_owned()
        };
        let longest = "a".repeat(64);
        for kept in ["12345678", "my-request_01", &longest] {
            assert_eq!(of(kept), kept);
        }
        let too_long = "a".repeat(65);
        for refused in ["short", "with space", "semi;colon", "a\tb45678", &too_long, ""] {
            assert_ne!(of(refused), refused);
            assert!(acceptable(&of(refused)));
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
