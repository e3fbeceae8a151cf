//! Documents that are known: those of the manifest for good, and others that were valid while there is room for them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::{Document, Limits, Rejection};
use crate::error::Code;

/// The SHA-256 of a document's text: what a document is known by, so that no two can be taken for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Which document a request wants: its text, a name for it, or both.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The document itself.
    pub text: Option<&'a str>,
    /// What it is called.
    pub name: Option<Called<'a>>,
}

/// A name for a document.
#[derive(Debug, Clone, Copy)]
pub enum Called<'a> {
    /// `extensions.persistedQuery.sha256Hash`: a text beside it is kept for those who send the hash alone.
    Hash(&'a str),
    /// `documentId`: the manifest's id, or `sha256:` and the hash.
    Id(&'a str),
}

impl<'a> From<&'a str> for Wanted<'a> {
    fn from(text: &'a str) -> Self {
        Self { text: Some(text), name: None }
    }
}

impl<'a> From<&'a String> for Wanted<'a> {
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl Wanted<'_> {
    /// Whether a text is to be found by its hash from here on.
    pub fn registers(&self) -> bool {
        matches!(self.name, Some(Called::Hash(_)))
    }

    /// Nothing is known by this name. Clients compare the message for a hash, and send the text next.
    pub fn not_found(&self) -> Rejection {
        let message = match self.name {
            Some(Called::Hash(_)) => "PersistedQueryNotFound",
            _ => {
                "No document is known by this id. Give the server a manifest with it (AICOS_DOCUMENT_MANIFEST), or send the document in `query`."
            }
        };
        Rejection::new(Code::PersistedQueryNotFound, message, None)
    }
}

/// A document that is not the manifest's, where only those may run. The code does not invite to send the text as well.
pub fn not_trusted() -> Rejection {
    let message = "This server runs only the documents of its manifest, and this is none of them. Add it to the file that AICOS_DOCUMENT_MANIFEST names and start the server again; for free documents, such as introspection and what is typed by hand, start a server with AICOS_TRUSTED_DOCUMENTS=off.";
    Rejection::new(Code::DocumentNotTrusted, message, None)
}

/// A valid document beside what became of it.
#[derive(Debug)]
struct Kept {
    document: Arc<Document>,
    /// Whether it was sent with its hash. What was not is found by its text alone: nobody learns by guessing hashes what
    /// others have asked.
    registered: AtomicBool,
}

/// Valid documents by the fingerprint of their text.
#[derive(Debug, Clone)]
pub struct Documents {
    /// What the manifest calls its documents.
    ids: HashMap<Box<str>, Fingerprint>,
    trusted: HashMap<Fingerprint, Arc<Document>>,
    others: Cache<Fingerprint, Arc<Kept>>,
}

impl Documents {
    /// None from a manifest, and room for as many others as the limits allow.
    pub fn new(limits: &Limits) -> Self {
        let weight = |_: &Fingerprint, kept: &Arc<Kept>| kept.document.weight();
        let others = Cache::builder().max_capacity(limits.cache_bytes).weigher(weight).build();
        Self { ids: HashMap::new(), trusted: HashMap::new(), others }
    }

    /// Keeps a document of the manifest for good.
    pub fn trust(&mut self, id: &str, document: Document) {
        let fingerprint = document.fingerprint();
        self.ids.insert(id.into(), fingerprint);
        self.trusted.entry(fingerprint).or_insert_with(|| Arc::new(document));
    }

    /// Which document is meant; none when it is called by an id that is not known, and nothing else tells.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for a hash that is none, and for a name that is another document's.
    pub fn meant(&self, wanted: &Wanted<'_>) -> Result<Option<Fingerprint>, Rejection> {
        let named = match wanted.name {
            None => None,
            Some(Called::Hash(hash)) => {
                let known = self.ids.get(hash).copied().or_else(|| Fingerprint::parse(hash));
                Some(known.ok_or_else(|| {
                    bad_input("`sha256Hash` is the SHA-256 of the document's text: 64 hexadecimal digits in lower case.")
                })?)
            }
            Some(Called::Id(id)) => {
                let hash = || id.strip_prefix("sha256:").and_then(Fingerprint::parse);
                self.ids.get(id).copied().or_else(hash)
            }
        };
        match (named, wanted.text.map(Fingerprint::of)) {
            (Some(named), Some(sent)) if named != sent => Err(bad_input(match wanted.name {
                Some(Called::Hash(_)) => {
                    "`sha256Hash` is not the SHA-256 of the text in `query`, so nothing is kept under it. Hash exactly the text that is sent."
                }
                _ => "`documentId` names another document than `query` holds. Send one of them.",
            })),
            (named, sent) => Ok(sent.or(named)),
        }
    }

    /// A document of the manifest.
    pub fn trusted(&self, fingerprint: Fingerprint) -> Option<Arc<Document>> {
        self.trusted.get(&fingerprint).map(Arc::clone)
    }

    /// Whether a document is the manifest's.
    pub fn is_trusted(&self, fingerprint: Fingerprint) -> bool {
        self.trusted.contains_key(&fingerprint)
    }

    /// How many documents are the manifest's.
    pub fn trusted_count(&self) -> usize {
        self.trusted.len()
    }

    /// A document that has been valid before.
    pub fn get(&self, fingerprint: Fingerprint, wanted: &Wanted<'_>) -> Option<Arc<Document>> {
        let kept = self.others.get(&fingerprint)?;
        if wanted.text.is_none() && !kept.registered.load(Ordering::Relaxed) {
            return None;
        }
        if wanted.registers() {
            kept.registered.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&kept.document))
    }

    /// Keeps a valid document while there is room.
    pub fn insert(&self, document: Document, wanted: &Wanted<'_>) -> Arc<Document> {
        let kept = Kept { document: Arc::new(document), registered: AtomicBool::new(wanted.registers()) };
        let fingerprint = kept.document.fingerprint();
        // Somebody else may have sent the same meanwhile, with its hash or without.
        let entry = self.others.entry(fingerprint).or_insert(Arc::new(kept));
        if wanted.registers() {
            entry.value().registered.store(true, Ordering::Relaxed);
        }
        // Otherwise what is too much stays for a while, and a flood is faster than that.
        self.others.run_pending_tasks();
        Arc::clone(&entry.value().document)
    }
}

#[cfg(test)]
impl Documents {
    /// What all documents beside the manifest take.
    pub fn weight(&self) -> u64 {
        self.others.run_pending_tasks();
        self.others.weighted_size()
    }
}

fn bad_input(message: &str) -> Rejection {
    Rejection::new(Code::BadUserInput, message, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_sha_256_of_the_text() {
        // The example of the GraphQL over HTTP draft.
        let text = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}";
        let hex = "7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e";
        assert_eq!(Fingerprint::of(text).to_string(), hex);
        assert_eq!(Fingerprint::parse(hex), Some(Fingerprint::of(text)));
        for none in ["", &hex[1..], &format!("{hex}0"), &hex.to_uppercase(), &hex.replace('7', "+")] {
            assert_eq!(Fingerprint::parse(none), None, "{none}");
        }
    }
}
