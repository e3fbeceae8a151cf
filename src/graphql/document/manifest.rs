//! A manifest: the documents that a build has collected, in the formats of the tools that write one.
//!
//! Apollo's tools write `{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id", "body"}]}`;
//! Relay's compiler and GraphQL Code Generator write `{"<id>": "<text>"}`.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Rejection, shorten};

/// Bytes of a file at the most.
const LARGEST: usize = 16 * 1024 * 1024;
/// Bytes of an id at the most.
const LONGEST_ID: usize = 256;
/// Problems that are named.
const NAMED: usize = 20;

/// What becomes of documents that are not in the manifest.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// They are served.
    #[default]
    Off,
    /// They are served, and named in the log.
    Log,
    /// They are refused.
    Enforce,
}

/// The documents of a file, not looked at yet.
#[derive(Debug)]
pub struct Manifest {
    /// Each under its own id; there is at least one.
    pub(crate) entries: Vec<Entry>,
}

/// A document under its id.
#[derive(Debug)]
pub(crate) struct Entry {
    pub id: String,
    pub text: String,
}

impl Manifest {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence that names what is wrong with it, and the fix.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        // Not by its length, which a pipe does not have.
        let read = File::open(path).and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes));
        read.context("it cannot be read")?;
        ensure!(
            bytes.len() <= LARGEST,
            "it is larger than {} MiB. List only documents that are in use.",
            LARGEST >> 20
        );
        Self::parse(std::str::from_utf8(&bytes).context("it is not text in UTF-8")?)
    }

    /// Reads what a file holds.
    ///
    /// # Errors
    /// A sentence that names what is wrong with it, and the fix.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let Pairs(pairs) = serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                anyhow::anyhow!(
                    "it is no JSON object. Name the file that Apollo's or Relay's tools have made."
                )
            }
            _ => anyhow::anyhow!(
                "it is not JSON: {error}. Make it again, or undo what has been changed by hand."
            ),
        })?;
        let is_apollo = pairs.iter().any(|(key, value)| key == "format" || !value.get().starts_with('"'));
        let entries = if is_apollo { apollo(text)? } else { relay(pairs)? };
        ensure!(!entries.is_empty(), "it lists no document. Make it again with the documents of your app.");
        let mut seen = HashSet::new();
        let mut twice = HashSet::new();
        for Entry { id, .. } in &entries {
            ensure!(
                (1..=LONGEST_ID).contains(&id.len()),
                "an id has 1 to {LONGEST_ID} bytes, and it has one of {}.",
                id.len()
            );
            if !seen.insert(id) {
                twice.insert(id);
            }
        }
        if !twice.is_empty() {
            let mut named: Vec<_> = twice.iter().map(|id| quote(id)).collect();
            named.sort_unstable();
            let more = named.len().saturating_sub(NAMED);
            named.truncate(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            bail!("it lists several documents under one id: {}{more}. Give each its own.", named.join(", "));
        }
        Ok(Self { entries })
    }

    /// How many documents it lists.
    #[expect(clippy::len_without_is_empty, reason = "an empty one is refused")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[derive(serde::Deserialize)]
struct Apollo {
    format: String,
    version: u64,
    operations: Vec<ApolloOperation>,
}

#[derive(serde::Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

fn apollo(text: &str) -> anyhow::Result<Vec<Entry>> {
    let Apollo { format, version, operations } = serde_json::from_str(text).map_err(|error| {
        anyhow::anyhow!(
            "it has neither the form of Apollo's manifests, {{\"format\": …, \"version\": 1, \"operations\": [{{\"id\": …, \"body\": …}}]}}, nor of Relay's, {{\"<id>\": \"<document>\"}}: {error}."
        )
    })?;
    ensure!(
        format == "apollo-persisted-query-manifest" && version == 1,
        "its format is `{}` in version {version}; known is `apollo-persisted-query-manifest` in version 1. Make it with @apollo/generate-persisted-query-manifest, or another tool that writes that.",
        format.escape_debug()
    );
    Ok(operations.into_iter().map(|ApolloOperation { id, body }| Entry { id, text: body }).collect())
}

fn relay(pairs: Vec<(String, &RawValue)>) -> anyhow::Result<Vec<Entry>> {
    let entry = |(id, text): (String, &RawValue)| Ok(Entry { id, text: serde_json::from_str(text.get())? });
    pairs.into_iter().map(entry).collect()
}

/// The entries of an object, also those whose key is there already.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

/// A piece of the file, as it may stand in a message.
fn quote(text: &str) -> String {
    let mut text = text.escape_debug().to_string();
    shorten(&mut text);
    format!("`{text}`")
}

/// What is wrong with the documents of a manifest.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    documents: usize,
    lines: Vec<String>,
    more: usize,
}

impl Problems {
    /// Notes why a document cannot be served.
    pub fn add(&mut self, entry: &Entry, rejection: &Rejection) {
        /// Characters of a document that tell which one it is.
        const BEGINNING: usize = 40;
        self.documents += 1;
        let words: Vec<_> = entry.text.split_whitespace().collect();
        let beginning: String = words.join(" ").chars().take(BEGINNING).collect();
        for error in &rejection.errors {
            if self.lines.len() == NAMED {
                self.more += 1;
                continue;
            }
            let place = error.locations.first();
            let place =
                place.map(|at| format!(", line {}, column {}", at.line, at.column)).unwrap_or_default();
            self.lines.push(format!("{} ({beginning}…){place}: {}", quote(&entry.id), error.message));
        }
    }

    /// Refuses the manifest when there are any.
    ///
    /// # Errors
    /// All of them, as far as anybody wants to read them.
    pub fn refuse(self, all: usize) -> anyhow::Result<()> {
        if self.documents == 0 {
            return Ok(());
        }
        let more = if self.more > 0 { format!("\n  and {} more errors", self.more) } else { String::new() };
        bail!(
            "{} of its {all} documents cannot be served. Correct them against the schema (`aicos schema` prints it) and the limits, and make it again:\n  {}{more}",
            self.documents,
            self.lines.join("\n  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<(String, String)> {
        let manifest = Manifest::parse(text).unwrap_or_else(|error| panic!("{text}: {error:#}"));
        assert_eq!(manifest.len(), manifest.entries.len());
        manifest.entries.into_iter().map(|Entry { id, text }| (id, text)).collect()
    }

    fn wrong(text: &str) -> String {
        format!("{:#}", Manifest::parse(text).expect_err(text))
    }

    #[test]
    fn both_formats_are_read() {
        let expected = [("a".to_owned(), "{ hello }".to_owned()), ("b".to_owned(), "{ \"é\" }".to_owned())];
        let apollo = r#"{
            "format": "apollo-persisted-query-manifest", "version": 1, "operations": [
                {"id": "a", "name": "A", "type": "query", "body": "{ hello }"},
                {"id": "b", "name": "B", "type": "query", "body": "{ \"\u00e9\" }", "clientName": null}
            ]
        }"#;
        assert_eq!(listed(apollo), expected);
        assert_eq!(listed(r#"{"a": "{ hello }", "b": "{ \"é\" }"}"#), expected);
        // The same document may have several names.
        assert_eq!(listed(r#"{"a": "{ hello }", "b": "{ hello }"}"#).len(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_what_to_do() {
        let apollo = |operations: &str| {
            format!(
                r#"{{"format": "apollo-persisted-query-manifest", "version": 1, "operations": {operations}}}"#
            )
        };
        let operation = r#"{"id": "a", "name": "A", "type": "query", "body": "{ a }"}"#;
        let long = format!(r#"{{"{}": "{{ a }}"}}"#, "i".repeat(257));
        for (text, expected) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("query { hello }", "not JSON"),
            (r#"{"a": "{ hello }"} {}"#, "not JSON"),
            ("[]", "no JSON object"),
            ("null", "no JSON object"),
            (r#""{ hello }""#, "no JSON object"),
            ("{}", "lists no document"),
            (&apollo("[]"), "lists no document"),
            (&apollo("{}"), "neither the form of Apollo"),
            (&apollo(r#"[{"id": "a"}]"#), "missing field `body`"),
            (&apollo(r#"[{"id": 1, "body": "{ a }"}]"#), "neither the form of Apollo"),
            (r#"{"a": {"text": "{ hello }"}}"#, "neither the form of Apollo"),
            (r#"{"a": null}"#, "neither the form of Apollo"),
            (r#"{"format": "other", "version": 1, "operations": []}"#, "its format is `other` in version 1"),
            (
                r#"{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}"#,
                "in version 2; known is",
            ),
            (r#"{"b": "{ a }", "a": "{ a }", "b": "{ a }"}"#, "several documents under one id: `b`."),
            (&apollo(&format!("[{operation}, {operation}]")), "several documents under one id: `a`."),
            (r#"{"": "{ a }"}"#, "1 to 256 bytes"),
            (&long, "one of 257"),
        ] {
            let error = wrong(text);
            assert!(error.contains(expected), "{text:.100}: {error}");
            assert!(error.ends_with('.') && error.len() < 600, "{error}");
        }
        let twice: String = (0..100).map(|number| format!(r#""{number:03}": "x", "#)).collect();
        let error = wrong(&format!(r#"{{{twice}{twice}"last": "x"}}"#));
        assert!(error.contains("`019` and 80 more."), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_one_that_is_too_large() {
        let folder = std::env::temp_dir().join(format!("aicos-manifest-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            Manifest::read(&path).map(|manifest| manifest.len()).map_err(|error| format!("{error:#}"))
        };
        let entry = br#"{"a": "{ hello }"}"#;
        assert_eq!(file("good.json", entry), Ok(1));
        let mut padded = entry.to_vec();
        padded.resize(LARGEST, b' ');
        assert_eq!(file("full.json", &padded), Ok(1));
        padded.push(b' ');
        assert!(file("large.json", &padded).unwrap_err().contains("larger than 16 MiB"));
        assert!(file("latin.json", b"{\"a\": \"\xe9\"}").unwrap_err().contains("not text in UTF-8"));
        let missing = format!("{:#}", Manifest::read(&folder.join("missing.json")).unwrap_err());
        assert!(missing.contains("cannot be read") && missing.contains("No such file"), "{missing}");
        assert!(Manifest::read(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
