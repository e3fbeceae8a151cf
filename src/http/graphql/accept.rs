//! Which of the two media types an answer has.

use axum::http::{HeaderMap, HeaderValue, header};

/// The media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status says what became of the document.
    GraphqlResponse,
    /// `application/json`: 200 for whatever is a GraphQL request.
    Json,
}

impl Media {
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// What the caller prefers; none when it accepts neither.
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let (mut modern, mut legacy) = (Preference::default(), Preference::default());
        let mut any = false;
        for value in headers.get_all(header::ACCEPT) {
            any = true;
            for range in value.to_str().unwrap_or("").split(',') {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next().unwrap_or("");
                let quality = parts.find_map(quality).unwrap_or(1000);
                modern.read(name, "application/graphql-response+json", quality);
                legacy.read(name, "application/json", quality);
            }
        }
        if !any {
            return Some(Self::Json);
        }
        // Of two that are equally welcome the one that is named wins, then the modern one; `*/*` alone gets JSON,
        // which is what a caller expects that has never heard of the other.
        let rank = |it: Preference| (it.quality, it.exactness);
        let best = rank(modern).max(rank(legacy));
        match best {
            (0, _) => None,
            (_, 3) if rank(modern) == best => Some(Self::GraphqlResponse),
            _ if rank(legacy) == best => Some(Self::Json),
            _ => Some(Self::GraphqlResponse),
        }
    }
}

/// What is known of the caller's liking for one media type.
#[derive(Debug, Clone, Copy, Default)]
struct Preference {
    /// How exactly the range named it: 3 for the type itself, 2 for `application/*`, 1 for `*/*`.
    exactness: u8,
    /// In thousandths.
    quality: u32,
}

impl Preference {
    /// The most exact range counts, whatever the others say.
    fn read(&mut self, range: &str, name: &str, quality: u32) {
        let exactness = if range.eq_ignore_ascii_case(name) {
            3
        } else if range.eq_ignore_ascii_case("application/*") {
            2
        } else if range == "*/*" {
            1
        } else {
            return;
        };
        if exactness > self.exactness {
            *self = Self { exactness, quality };
        }
    }
}

/// The `q` of a range, in thousandths; none when the parameter is another one or malformed.
fn quality(parameter: &str) -> Option<u32> {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u32 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" => Some(1000),
        _ => None,
    }
}

/// Whether a body is declared as JSON in UTF-8.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let mut parts = value.to_str().unwrap_or("").split(';').map(str::trim);
    if !parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json")) {
        return false;
    }
    parts.filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        Some(_) => true,
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> Option<Media> {
        Media::negotiate(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]))
    }

    #[test]
    fn the_media_type_is_the_callers_choice() {
        use Media::{GraphqlResponse, Json};
        assert_eq!(Media::negotiate(&HeaderMap::new()), Some(Json));
        for (accept, expected) in [
            ("application/json", Some(Json)),
            ("application/json; charset=utf-8", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            ("Application/GraphQL-Response+JSON; charset=utf-8", Some(GraphqlResponse)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("text/html, */*;q=0.1", Some(Json)),
            ("application/graphql-response+json, application/json", Some(GraphqlResponse)),
            ("application/json, application/graphql-response+json", Some(GraphqlResponse)),
            ("application/graphql-response+json;q=0.5, application/json", Some(Json)),
            ("application/graphql-response+json, application/json;q=0.9", Some(GraphqlResponse)),
            ("application/json;q=0, */*", Some(GraphqlResponse)),
            ("application/graphql-response+json;q=0.9, */*;q=0.8", Some(GraphqlResponse)),
            ("multipart/mixed;deferSpec=20220824, application/json", Some(Json)),
            ("text/html", None),
            ("text/event-stream", None),
            ("application/json;q=0", None),
            ("", None),
        ] {
            assert_eq!(negotiate(accept), expected, "{accept}");
        }
    }

    #[test]
    fn only_json_in_utf8_is_json() {
        let check = |value: &str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap())]))
        };
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "APPLICATION/JSON;charset=\"UTF-8\"",
            "application/json;",
        ] {
            assert!(check(good), "{good}");
        }
        for bad in [
            "application/json; charset=utf-16",
            "application/json; charset=iso-8859-1",
            "text/plain",
            "application/xml",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/json; nonsense",
            "",
        ] {
            assert!(!check(bad), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
