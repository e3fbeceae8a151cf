//! The parameters of a request: from the JSON of a body, or from the query of an address.
//!
//! They are read in one pass into the values that the execution engine wants. A key that is given twice is refused
//! everywhere: two readers of the same text must never disagree about what it says.

use std::fmt;

use async_graphql::indexmap::map::Entry;
use async_graphql::{Name, Number, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::graphql::document::{Called, RawVariables, Wanted, shorten};

/// The parameters of one operation.
#[derive(Debug, Default)]
pub struct Parameters {
    /// The document's text.
    pub query: Option<String>,
    /// The document's id: `documentId`, or `doc_id` as Relay's apps send it. There is no `id`: some clients number their
    /// requests with it.
    pub document_id: Option<String>,
    /// Which of its operations to run.
    pub operation_name: Option<String>,
    /// The variables as sent.
    pub variables: RawVariables,
    /// What is neither of these.
    pub extensions: RawVariables,
}

impl Parameters {
    /// Whether they say which document is wanted.
    pub fn name_a_document(&self) -> bool {
        self.query.is_some() || self.document_id.is_some() || self.extensions.contains_key(PERSISTED_QUERY)
    }

    /// Which document is wanted.
    ///
    /// # Errors
    /// A sentence, when they do not say, or say it twice.
    pub fn wanted(&self) -> Result<Wanted<'_>, String> {
        let id = self.document_id.as_deref().filter(|id| !id.is_empty()).map(Called::Id);
        let hash = persisted_query(&self.extensions)?.map(Called::Hash);
        if id.is_some() && hash.is_some() {
            return Err(
                "`documentId` and `extensions.persistedQuery` both name a document: send one of them.".into(),
            );
        }
        let name = id.or(hash);
        // Where a protocol demands a text, clients send an empty one beside the name.
        let text = self.query.as_deref().filter(|text| name.is_none() || !text.is_empty());
        if text.is_none() && name.is_none() {
            return Err("`query` is missing: it holds the GraphQL document.".into());
        }
        Ok(Wanted { text, name })
    }
}

/// The extension of Apollo's protocol.
const PERSISTED_QUERY: &str = "persistedQuery";

/// The hash in `extensions.persistedQuery`, which may have other fields of the client's own.
fn persisted_query(extensions: &RawVariables) -> Result<Option<&str>, String> {
    let fields = match extensions.get(PERSISTED_QUERY) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(fields)) => fields,
        Some(_) => {
            return Err("`extensions.persistedQuery` is an object with `version` and `sha256Hash`.".into());
        }
    };
    let is_known =
        matches!(fields.get("version"), Some(Value::Number(version)) if version.as_u64() == Some(1));
    if !is_known {
        return Err("`extensions.persistedQuery` is known in version 1 only: set `version` to 1.".into());
    }
    match fields.get("sha256Hash") {
        Some(Value::String(hash)) => Ok(Some(hash)),
        _ => {
            Err("`extensions.persistedQuery` has no `sha256Hash`, the SHA-256 of the document's text.".into())
        }
    }
}

/// The parameters of a body: of one operation, or of several.
#[derive(Debug)]
pub(super) enum Body {
    One(Parameters),
    Many(Vec<Parameters>),
}

/// Reads a body.
pub(super) fn from_json(text: &str) -> Result<Body, String> {
    let many = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('[');
    let read = if many {
        serde_json::from_str(text).map(Body::Many)
    } else {
        serde_json::from_str(text).map(Body::One)
    };
    read.map_err(|error| explain(&error))
}

/// Reads the query of an address. `variables` and `extensions` are JSON; other parameters are ignored.
pub(super) fn from_query(query: &str) -> Result<Parameters, String> {
    let mut parameters = Parameters::default();
    let mut seen: Vec<&'static str> = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let key = match &*key {
            "query" => "query",
            "documentId" | "doc_id" => "documentId",
            "operationName" => "operationName",
            "variables" => "variables",
            "extensions" => "extensions",
            _ => continue,
        };
        if seen.contains(&key) {
            return Err(format!("`{key}` is given twice."));
        }
        seen.push(key);
        if value.is_empty() {
            continue;
        }
        match key {
            "query" => parameters.query = Some(value.into_owned()),
            "documentId" => parameters.document_id = Some(value.into_owned()),
            "operationName" => parameters.operation_name = Some(value.into_owned()),
            "variables" => parameters.variables = json_object(&value, key)?,
            _ => parameters.extensions = json_object(&value, key)?,
        }
    }
    Ok(parameters)
}

fn json_object(text: &str, key: &str) -> Result<RawVariables, String> {
    let object: Option<Object> =
        serde_json::from_str(text).map_err(|error| format!("`{key}`: {}", explain(&error)))?;
    Ok(object.map(|object| object.0).unwrap_or_default())
}

/// What is wrong, without quoting all of what was sent.
fn explain(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    shorten(&mut message);
    match error.classify() {
        serde_json::error::Category::Data => format!("The request is not well-formed: {message}."),
        _ => format!("The request is not JSON: {message}."),
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `query`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
                let (mut query, mut operation_name) = (None::<Option<String>>, None::<Option<String>>);
                let mut document_id = None::<Option<String>>;
                let (mut variables, mut extensions) = (None::<Option<Object>>, None::<Option<Object>>);
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        Key::Query => once(&mut query, &mut map, "query")?,
                        Key::DocumentId => once(&mut document_id, &mut map, "documentId")?,
                        Key::OperationName => once(&mut operation_name, &mut map, "operationName")?,
                        Key::Variables => once(&mut variables, &mut map, "variables")?,
                        Key::Extensions => once(&mut extensions, &mut map, "extensions")?,
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Parameters {
                    query: query.flatten(),
                    document_id: document_id.flatten(),
                    operation_name: operation_name.flatten(),
                    variables: variables.flatten().unwrap_or_default().0,
                    extensions: extensions.flatten().unwrap_or_default().0,
                })
            }
        }

        fn once<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
            slot: &mut Option<T>,
            map: &mut A,
            key: &'static str,
        ) -> Result<(), A::Error> {
            if slot.is_some() {
                return Err(A::Error::duplicate_field(key));
            }
            *slot = Some(map.next_value()?);
            Ok(())
        }

        deserializer.deserialize_map(Read)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    Query,
    #[serde(alias = "doc_id")]
    DocumentId,
    OperationName,
    Variables,
    Extensions,
    #[serde(other)]
    Other,
}

/// A JSON object whose keys are all different, all the way down.
#[derive(Debug, Default)]
struct Object(RawVariables);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
                object(map).map(Object)
            }
        }

        deserializer.deserialize_map(Read)
    }
}

fn object<'de, A: MapAccess<'de>>(mut map: A) -> Result<RawVariables, A::Error> {
    let mut fields = RawVariables::new();
    while let Some(key) = map.next_key::<String>()? {
        // The execution engine writes the text below this key into answers as it is.
        if key == async_graphql_value::RAW_VALUE_TOKEN {
            return Err(A::Error::custom("this key is reserved"));
        }
        match fields.entry(Name::new(key)) {
            Entry::Occupied(known) => {
                return Err(A::Error::custom(format_args!("duplicate key `{}`", known.key())));
            }
            Entry::Vacant(unknown) => {
                unknown.insert(map.next_value_seed(Json)?);
            }
        }
    }
    Ok(fields)
}

/// Any JSON value.
struct Json;

impl<'de> DeserializeSeed<'de> for Json {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Json)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        object(map).map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Parameters, String> {
        from_json(text).map(|body| match body {
            Body::One(parameters) => parameters,
            Body::Many(_) => panic!("an array"),
        })
    }

    #[test]
    fn the_four_parameters_are_read() {
        let read = one(
            r#"{"query": "{a}", "operationName": "Q", "variables": {"a": [1, 2.5, -3, "x", null, true, {"b": {}}]},
                "extensions": {"e": 1}, "other": {"ignored": 1}}"#,
        )
        .unwrap();
        assert_eq!(read.query.as_deref(), Some("{a}"));
        assert_eq!(read.operation_name.as_deref(), Some("Q"));
        let variables = serde_json::to_string(&read.variables).unwrap();
        assert_eq!(variables, r#"{"a":[1,2.5,-3,"x",null,true,{"b":{}}]}"#);
        assert_eq!(read.extensions.len(), 1);
        let nulls =
            one(r#"{"query":"{a}","operationName":null,"variables":null,"extensions":null}"#).unwrap();
        assert!(nulls.operation_name.is_none() && nulls.variables.is_empty() && nulls.extensions.is_empty());
        assert!(matches!(from_json(" [{\"query\": \"{a}\"}, {}]"), Ok(Body::Many(list)) if list.len() == 2));
    }

    /// The text and the name that a body wants its document by.
    fn wanted(text: &str) -> Result<(Option<String>, Option<String>), String> {
        let read = one(text)?;
        let wanted = read.wanted()?;
        assert!(read.name_a_document());
        let name = wanted.name.map(|name| match name {
            Called::Hash(hash) => format!("hash {hash}"),
            Called::Id(id) => format!("id {id}"),
        });
        Ok((wanted.text.map(str::to_owned), name))
    }

    #[test]
    fn a_document_is_wanted_by_its_text_or_by_a_name() {
        let some = |text: &str| Some(text.to_owned());
        let hashed =
            r#""extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x", "miss": true}, "e": 1}"#;
        for (body, text, name) in [
            (r#"{"query": "{a}"}"#.to_owned(), some("{a}"), None),
            (r#"{"query": ""}"#.to_owned(), some(""), None),
            (r#"{"documentId": "x"}"#.to_owned(), None, some("id x")),
            (r#"{"doc_id": "x", "query": null}"#.to_owned(), None, some("id x")),
            (r#"{"documentId": "x", "query": ""}"#.to_owned(), None, some("id x")),
            (r#"{"documentId": "x", "query": "{a}"}"#.to_owned(), some("{a}"), some("id x")),
            (r#"{"documentId": "", "query": "{a}"}"#.to_owned(), some("{a}"), None),
            (r#"{"documentId": null, "query": "{a}"}"#.to_owned(), some("{a}"), None),
            // A number that some clients give their requests.
            (r#"{"id": "1", "query": "{a}"}"#.to_owned(), some("{a}"), None),
            (format!("{{{hashed}}}"), None, some("hash x")),
            (format!(r#"{{{hashed}, "query": ""}}"#), None, some("hash x")),
            (format!(r#"{{{hashed}, "query": "{{a}}"}}"#), some("{a}"), some("hash x")),
            (r#"{"query": "{a}", "extensions": {"persistedQuery": null}}"#.to_owned(), some("{a}"), None),
        ] {
            assert_eq!(wanted(&body), Ok((text, name)), "{body}");
        }
        for (body, expected) in [
            (r#"{"documentId": 5}"#, "not well-formed"),
            (r#"{"documentId": "a", "doc_id": "a"}"#, "duplicate field `documentId`"),
            (r#"{"documentId": ""}"#, "`query` is missing"),
            (r#"{"extensions": {"persistedQuery": "x"}}"#, "is an object"),
            (r#"{"extensions": {"persistedQuery": {"sha256Hash": "x"}}}"#, "set `version` to 1"),
            (
                r#"{"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "x"}}}"#,
                "set `version` to 1",
            ),
            (
                r#"{"extensions": {"persistedQuery": {"version": "1", "sha256Hash": "x"}}}"#,
                "set `version` to 1",
            ),
            (r#"{"extensions": {"persistedQuery": {"version": 1}}}"#, "no `sha256Hash`"),
            (r#"{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": null}}}"#, "no `sha256Hash`"),
            (
                r#"{"documentId": "a", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "a"}}}"#,
                "send one of them",
            ),
        ] {
            let error = wanted(body).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
        let missing = one("{}").unwrap();
        assert!(!missing.name_a_document() && missing.wanted().is_err());
    }

    #[test]
    fn malformed_bodies_are_refused() {
        let deep = format!(r#"{{"variables": {{"a": {}{}}}}}"#, "[".repeat(20_000), "]".repeat(20_000));
        for bad in [
            "",
            "{",
            "null",
            "5",
            "\"text\"",
            "\u{feff}{\"query\": \"{a}\"}",
            r#"[["{a}"]]"#,
            r#"{"query": 5}"#,
            r#"{"query": {"a": 1}}"#,
            r#"{"query": ["{a}"]}"#,
            r#"{"operationName": 5}"#,
            r#"{"variables": []}"#,
            r#"{"variables": "{}"}"#,
            r#"{"extensions": 5}"#,
            r#"{"query": "{a}", "query": "{b}"}"#,
            r#"{"query": null, "query": "{b}"}"#,
            r#"{"variables": {"a": 1, "a": 2}}"#,
            r#"{"variables": {"a": {"b": [{"c": 1, "c": 1}]}}}"#,
            r#"{"variables": {"$serde_json::private::RawValue": "1"}}"#,
            r#"{"query": "\ud800"}"#,
            r#"{"variables": {"a": 1e999}}"#,
            r#"{"query": "{a}"} trailing"#,
            &deep,
        ] {
            assert!(from_json(bad).is_err(), "{bad:.100}");
        }
        let long = format!(r#"{{"variables": "{}"}}"#, "secret".repeat(1_000));
        assert!(from_json(&long).unwrap_err().len() < 500);
    }

    #[test]
    fn the_query_of_an_address_is_read() {
        let read = from_query("query=%7Ba%7D&variables=%7B%22a%22%3A1%7D&operationName=&token=x").unwrap();
        assert_eq!(read.query.as_deref(), Some("{a}"));
        assert_eq!(read.variables.len(), 1);
        assert!(read.operation_name.is_none());
        assert!(from_query("variables=null").unwrap().variables.is_empty());
        assert_eq!(from_query("doc_id=x&query=").unwrap().document_id.as_deref(), Some("x"));
        for bad in
            ["documentId=a&doc_id=b", "query=a&query=b", "variables=5", "variables=%7B", "extensions=[]"]
        {
            assert!(from_query(bad).is_err(), "{bad}");
        }
    }
}
