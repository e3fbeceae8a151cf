//! What an organization knows: documents, their versions, and the passages that questions are answered from.
//!
//! A document belongs to the whole organization or to one project. Its text is kept as it is read here (newlines as LF,
//! NFC), and citations count Unicode scalar values of that text. A new text makes a new version; the passages of the old
//! one are found until those of the new one are made. Old versions stay readable while an answer cites them. A model may make
//! vectors of the passages as well ([`embeddings`]).

pub mod convert;
pub mod embeddings;
pub mod graphql;
pub mod index;
pub mod search;
mod store;
pub mod synonyms;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};
use uuid::Uuid;

use self::convert::Converted;
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, DocumentId, JobId, OrganizationId, ProjectId, UserId};
use crate::jobs::{self, NewJob};
use crate::usage::Amounts;
use crate::{idempotency, input, projects};

/// Bytes of a document's text at the most.
pub const TEXT_BYTES: usize = 2 * 1024 * 1024;

/// What kind of text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MimeType {
    /// `text/markdown`: cut at its headings.
    Markdown,
    /// `text/plain`.
    Plain,
    /// `text/html`: a page, kept as Markdown.
    Html,
    /// `text/csv`: a table, kept as a line for each row.
    Csv,
    /// `application/pdf`: kept as Markdown, and read from a file only.
    Pdf,
}

impl MimeType {
    /// The spelling of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown",
            Self::Plain => "text/plain",
            Self::Html => "text/html",
            Self::Csv => "text/csv",
            Self::Pdf => "application/pdf",
        }
    }

    /// Reads what a caller sends as text.
    ///
    /// # Errors
    /// A fault at `mimeType`.
    pub fn parse(text: &str) -> Result<Self> {
        Self::known(text.trim()).filter(|kind| *kind != Self::Pdf).ok_or_else(|| {
            Error::fault(Fault::at(
                FaultCode::Invalid,
                "mimeType",
                "`mimeType` is `text/markdown`, `text/plain`, `text/html` or `text/csv`. Upload a PDF, and add it with \
                 `documentImport`.",
            ))
        })
    }

    /// The kind of this name.
    pub(crate) fn known(name: &str) -> Option<Self> {
        [Self::Markdown, Self::Plain, Self::Html, Self::Csv, Self::Pdf]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// How far a document's newest version is from being found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "IndexState")]
pub enum IndexState {
    /// Its job waits.
    Pending,
    /// Its passages are being made.
    Indexing,
    /// Questions are answered from it.
    Ready,
    /// Its job came to nothing; `indexJob` says why.
    Failed,
}

/// A document, without its text.
#[derive(Debug, Clone)]
pub struct Document {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: DocumentId,
    /// The project that it belongs to; none for the whole organization.
    pub project: Option<ProjectId>,
    /// What it is called.
    pub title: String,
    /// Where it comes from.
    pub source_url: Option<String>,
    /// What kind of text it is.
    pub mime_type: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Bytes of the newest version.
    pub bytes: i32,
    /// The newest version, counted from 1.
    pub version: i32,
    /// How far the newest version is from being found.
    pub index_state: IndexState,
    /// The same as a share, from 0 to 1.
    pub index_progress: f32,
    /// The job that makes the newest version's passages.
    pub index_job: JobId,
    /// The person who added it, or who made the key that did.
    pub created_by: UserId,
    /// The key that added it.
    pub created_by_key: Option<ApiKeyId>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A text, as it is kept.
#[derive(Debug, Clone)]
pub struct Text {
    text: String,
    sha256: [u8; 32],
}

impl Text {
    /// Reads what a caller wrote: newlines become LF, a byte order mark goes, characters are composed (NFC).
    ///
    /// # Errors
    /// A fault at `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        let refuse = |code, message: String| Err(Error::fault(Fault::at(code, field, message)));
        if text.contains('\0') {
            return refuse(FaultCode::Invalid, format!("`{field}` holds the character U+0000. Remove it."));
        }
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = if is_nfc(&text) { text } else { text.nfc().collect() };
        if text.trim().is_empty() {
            return refuse(FaultCode::Required, format!("`{field}` must not be empty."));
        }
        if text.len() > TEXT_BYTES {
            let message =
                format!("`{field}` has at most 2 MiB (2,097,152 bytes of UTF-8). Split the document.");
            return refuse(FaultCode::TooLong, message);
        }
        let sha256 = Sha256::digest(&text).into();
        Ok(Self { text, sha256 })
    }

    fn bytes(&self) -> i32 {
        i32::try_from(self.text.len()).unwrap_or(i32::MAX)
    }
}

/// A new document, checked.
#[derive(Debug)]
pub struct NewDocument {
    /// The project that it shall belong to.
    pub project: Option<ProjectId>,
    /// What it is called.
    pub title: String,
    /// Its text.
    pub text: Text,
    /// What kind of text it is.
    pub mime_type: MimeType,
    /// Where it comes from.
    pub source_url: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
}

impl NewDocument {
    /// Checks what a caller wrote, and what was made of the document's text. Without a title it has its own. The text is
    /// one of `field`.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(
        project: Option<ProjectId>,
        title: Option<&str>,
        (field, converted): (&str, &Converted),
        mime_type: MimeType,
        source_url: Option<&url::Url>,
        tags: &[String],
    ) -> Result<Self> {
        let given = title.filter(|title| !title.trim().is_empty());
        let title = given.or(converted.title.as_deref()).unwrap_or_default();
        Ok(Self {
            project,
            title: input::line("title", title, 200)?,
            text: Text::parse(field, &converted.text)?,
            mime_type,
            source_url: source_url.map(|url| input::url("sourceUrl", url)).transpose()?,
            tags: input::tags(tags)?,
        })
    }
}

/// A change of a document; none leaves a field as it is.
#[derive(Debug, Default)]
pub struct DocumentUpdate {
    /// A new title.
    pub title: Option<String>,
    /// A new text: a new version.
    pub text: Option<Text>,
    /// Where it comes from, or that it comes from nowhere.
    pub source_url: Option<Option<String>>,
    /// All the words to find it by.
    pub tags: Option<Vec<String>>,
}

/// Which documents are listed.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only those of this project.
    pub project: Option<ProjectId>,
    /// Only those with all of these tags.
    pub tags: Option<Vec<String>>,
}

/// What the audit log keeps of a document: never its text.
pub fn logged(document: &Document) -> Value {
    json!({
        "title": document.title, "sourceUrl": document.source_url, "mimeType": document.mime_type,
        "version": document.version, "bytes": document.bytes, "tags": document.tags, "project": document.project,
    })
}

/// What a job that makes passages needs to know.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct IndexInput {
    /// Which document.
    pub document: DocumentId,
    /// Which version of it.
    pub version: i32,
    /// Whether it was changed rather than added, which says what its job needs to be allowed.
    pub changed: bool,
}

async fn enqueue_index(
    tx: &mut WriteTx<'_>,
    project: Option<ProjectId>,
    input: &IndexInput,
) -> Result<JobId> {
    let id = JobId::generate();
    let input = serde_json::to_value(input).map_err(Error::internal)?;
    jobs::enqueue(
        tx,
        &NewJob {
            id,
            kind: index::KIND,
            agent: None,
            project,
            input,
            run_at: None,
            result: None,
            needs: Amounts::default(),
        },
    )
    .await?;
    Ok(id)
}

fn not_found(field: &str, what: &str) -> Error {
    Error::fault(Fault::at(
        FaultCode::NotFound,
        field,
        format!("There is no such {what}, or it is not visible to you."),
    ))
}

/// Adds a document, and the job that makes its passages. False: an idempotency key replays an earlier call.
///
/// # Errors
/// `NOT_FOUND` for the project; `ALREADY_EXISTS` for the same content in the same place.
pub async fn create(
    tx: &mut WriteTx<'_>,
    new: NewDocument,
    key: Option<&idempotency::Key>,
) -> Result<(Document, bool)> {
    let id = DocumentId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok((find(tx, earlier.into()).await?.ok_or(Error::NotFound)?, false));
    }
    if let Some(project) = new.project
        && projects::find(tx, project).await?.is_none()
    {
        return Err(not_found("projectId", "project"));
    }
    if let Some(same) = store::same_content(tx, new.project, &new.text.sha256).await? {
        return Err(already_exists("text", same));
    }
    let input = IndexInput { document: id, version: 1, changed: false };
    let job = enqueue_index(tx, new.project, &input).await?;
    store::insert(tx, id, job, &new).await?;
    Ok((find(tx, id).await?.ok_or(Error::NotFound)?, true))
}

/// The same content was there before. Two who add it at the same moment are told apart by the constraint.
fn already_exists(field: &str, same: DocumentId) -> Error {
    Error::fault(Fault::at(
        FaultCode::AlreadyExists,
        field,
        format!(
            "The document {same} has the same content. Use that one, or change it with `documentUpdate`."
        ),
    ))
}

/// Changes a document; a new text makes a new version, and the job that makes its passages. Gives the document before
/// and after.
///
/// # Errors
/// `NOT_FOUND`; `ALREADY_EXISTS` when another document in the same place has the new text.
pub async fn update(
    tx: &mut WriteTx<'_>,
    id: DocumentId,
    update: &DocumentUpdate,
) -> Result<(Document, Document)> {
    let before = get_locked(tx, id).await?;
    store::update(tx, id, update).await?;
    if let Some(text) = &update.text
        && !store::has_content(tx, id, &text.sha256).await?
    {
        if let Some(same) = store::same_content(tx, before.project, &text.sha256).await? {
            return Err(already_exists("text", same));
        }
        let input = IndexInput { document: id, version: before.version + 1, changed: true };
        let job = enqueue_index(tx, before.project, &input).await?;
        store::add_version(tx, &before, job, text).await?;
    }
    Ok((before, find(tx, id).await?.ok_or(Error::NotFound)?))
}

/// Deletes a document with its versions and passages. Answers keep the words that they quote.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, id: DocumentId) -> Result<Document> {
    let document = get_locked(tx, id).await?;
    take_shelf(tx, document.project).await?;
    store::remove_chunks(tx, &document).await?;
    store::delete(tx, id).await?;
    // What is gone needs no passages.
    match jobs::cancel(tx, document.index_job).await {
        Ok(_) | Err(Error::Invalid(_)) => Ok(document),
        Err(error) => Err(error),
    }
}

/// Those who change what a shelf holds wait for each other, so that its counts never deadlock.
async fn take_shelf(tx: &mut WriteTx<'_>, project: Option<ProjectId>) -> Result<()> {
    let place = project.map_or_else(String::new, |project| project.to_string());
    tx.take_turn(&format!("shelf {place}")).await
}

async fn get_locked(tx: &mut WriteTx<'_>, id: DocumentId) -> Result<Document> {
    store::lock(tx, id).await?;
    find(tx, id).await?.ok_or_else(|| not_found("id", "document"))
}

/// One document.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: DocumentId) -> Result<Option<Document>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Documents by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[DocumentId]) -> Result<Vec<Document>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::find_many(tx, &ids).await
}

/// The stored text of a version; the newest one without a number.
///
/// # Errors
/// What the database says.
pub async fn text(tx: &mut ReadTx<'_>, id: DocumentId, version: Option<i32>) -> Result<Option<String>> {
    store::text(tx, id, version).await
}

/// Whether every quotation stands, word for word, where it is said to: in the document's version, from a character on.
///
/// # Errors
/// What the database says.
pub async fn quotes_hold(tx: &mut ReadTx<'_>, places: &[(DocumentId, i32, i32, String)]) -> Result<bool> {
    let found = store::count_true_quotes(tx, places).await?;
    Ok(usize::try_from(found) == Ok(places.len()))
}

/// One page of documents, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: &Filter) -> Result<Slice<Document>> {
    store::list(tx, page, filter).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, filter: &Filter) -> Result<i64> {
    store::count(tx, filter).await
}

/// Makes sure that documents are there, and are a project's or the whole organization's when a project is named.
///
/// # Errors
/// `NOT_FOUND` at the field.
pub async fn require(
    tx: &mut ReadTx<'_>,
    project: Option<ProjectId>,
    field: &str,
    documents: &[DocumentId],
) -> Result<()> {
    let found = find_many(tx, documents).await?;
    let seen = |id: &DocumentId| {
        found.iter().any(|row| {
            row.id == *id && (project.is_none() || row.project.is_none() || row.project == project)
        })
    };
    if documents.iter().all(seen) {
        return Ok(());
    }
    let message = "There is no such document, or it is not visible to you.";
    Err(Error::fault(Fault::at(FaultCode::NotFound, field, message)))
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_in_one_form() {
        let text = Text::parse("text", "\u{FEFF}Cafe\u{301}\r\nb\rc\u{202E} ").unwrap();
        assert_eq!(text.text, "Café\nb\nc\u{202E} ");
        assert_eq!(text.sha256, Text::parse("text", "Café\nb\nc\u{202E} ").unwrap().sha256);
        for (bad, code) in
            [("", FaultCode::Required), (" \n\t", FaultCode::Required), ("a\0b", FaultCode::Invalid)]
        {
            let Err(Error::Invalid(faults)) = Text::parse("text", bad) else { panic!("{bad:?}") };
            assert_eq!(faults[0].code, code, "{bad:?}");
        }
        assert!(Text::parse("text", &"a".repeat(TEXT_BYTES)).is_ok());
        assert!(Text::parse("text", &"ä".repeat(TEXT_BYTES / 2 + 1)).is_err());
    }
}
