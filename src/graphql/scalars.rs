//! aicos's own scalars, where the library's print something else.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{SecondsFormat, Utc};

/// RFC 3339 in UTC with milliseconds, for example `2026-11-22T05:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub chrono::DateTime<Utc>);

/// RFC 3339 in UTC with milliseconds, for example `2026-11-22T05:00:00.000Z`.
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.to_utc()))
            .map_err(|_| InputValueError::custom("a DateTime looks like 2026-11-22T05:00:00.000Z"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl From<chrono::DateTime<Utc>> for DateTime {
    fn from(time: chrono::DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl serde::Serialize for DateTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// An absolute address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(pub url::Url);

/// An absolute address.
#[Scalar(name = "URL", specified_by_url = "https://url.spec.whatwg.org/")]
impl ScalarType for Url {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        url::Url::parse(text)
            .map(Self)
            .map_err(|_| InputValueError::custom("a URL is absolute, such as https://example.com/image.png"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl serde::Serialize for Url {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl Url {
    /// The stored form back; none when there is none.
    pub fn stored(text: Option<&str>) -> Option<Self> {
        text.and_then(|text| url::Url::parse(text).ok()).map(Self)
    }
}

/// Any JSON value.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Json(pub serde_json::Value);

/// Any JSON value.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}
