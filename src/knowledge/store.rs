//! The SQL of documents, their versions and passages.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::search::Place;
use super::{Document, DocumentUpdate, Filter, IndexState, NewDocument, Text};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::{ApiKeyId, DocumentId, JobId, OrganizationId, ProjectId};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    title: String,
    source_url: Option<String>,
    mime_type: String,
    tags: Vec<String>,
    bytes: i32,
    version: i32,
    indexed_version: Option<i32>,
    index_job_id: Uuid,
    job_status: String,
    job_progress: f32,
    created_by: Uuid,
    created_by_key: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Document {
    fn from(row: Row) -> Self {
        let (index_state, index_progress) = match row.job_status.as_str() {
            _ if row.indexed_version == Some(row.version) => (IndexState::Ready, 1.0),
            "QUEUED" => (IndexState::Pending, 0.0),
            "RUNNING" => (IndexState::Indexing, row.job_progress),
            _ => (IndexState::Failed, row.job_progress),
        };
        Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            project: row.project_id.map(Into::into),
            title: row.title,
            source_url: row.source_url,
            mime_type: row.mime_type,
            tags: row.tags,
            bytes: row.bytes,
            version: row.version,
            index_state,
            index_progress,
            index_job: row.index_job_id.into(),
            created_by: row.created_by.into(),
            created_by_key: row.created_by_key.map(Into::into),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Document>> {
    let rows = sqlx::query_as!(
        Row,
        "select d.organization_id, d.id, d.project_id, d.title, d.source_url, d.mime_type, d.tags, d.bytes,
            d.version, d.indexed_version, d.index_job_id, j.status as job_status, j.progress as job_progress, d.created_by,
            d.created_by_key, d.created_at, d.updated_at
         from documents d join jobs j on j.organization_id = d.organization_id and j.id = d.index_job_id
         where d.organization_id = (select app.current_organization()) and d.id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: &Filter) -> Result<Slice<Document>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select d.organization_id, d.id, d.project_id, d.title, d.source_url, d.mime_type, d.tags, d.bytes,
            d.version, d.indexed_version, d.index_job_id, j.status as job_status, j.progress as job_progress, d.created_by,
            d.created_by_key, d.created_at, d.updated_at
         from documents d join jobs j on j.organization_id = d.organization_id and j.id = d.index_job_id
         where d.organization_id = (select app.current_organization()) and d.id > $1 and d.id < $2
            and ($3::uuid is null or d.project_id = $3) and ($4::text[] is null or d.tags @> $4)",
        "d.id" "desc" / "asc",
        "$5",
        low,
        high,
        filter.project.map(ProjectId::uuid),
        filter.tags.as_deref()
    );
    Ok(page.slice(rows.into_iter().map(Into::into).collect()))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, filter: &Filter) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from documents
           where organization_id = (select app.current_organization()) and ($1::uuid is null or project_id = $1)
            and ($2::text[] is null or tags @> $2)"#,
        filter.project.map(ProjectId::uuid),
        filter.tags.as_deref()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn text(
    tx: &mut ReadTx<'_>,
    id: DocumentId,
    version: Option<i32>,
) -> Result<Option<String>> {
    let text = sqlx::query_scalar!(
        "select v.text from document_versions v
         join documents d on d.organization_id = v.organization_id and d.id = v.document_id
         where v.organization_id = (select app.current_organization()) and v.document_id = $1
            and v.version = coalesce($2, d.version)",
        id.uuid(),
        version
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(text)
}

/// The document in this place that has this content, if one does.
pub(super) async fn same_content(
    tx: &mut WriteTx<'_>,
    project: Option<ProjectId>,
    sha256: &[u8],
) -> Result<Option<DocumentId>> {
    let organization = tx.organization().uuid();
    let id = sqlx::query_scalar!(
        "select id from documents where organization_id = $1 and project_id is not distinct from $2 and sha256 = $3",
        organization,
        project.map(ProjectId::uuid),
        sha256
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(Into::into))
}

pub(super) async fn has_content(tx: &mut WriteTx<'_>, id: DocumentId, sha256: &[u8]) -> Result<bool> {
    let organization = tx.organization().uuid();
    let same = sqlx::query_scalar!(
        r#"select sha256 = $3 as "same!" from documents where organization_id = $1 and id = $2"#,
        organization,
        id.uuid(),
        sha256
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(same == Some(true))
}

fn same_at_once() -> Error {
    Error::fault(Fault::at(
        FaultCode::AlreadyExists,
        "text",
        "Another document with the same content was added at this moment. Use that one.",
    ))
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: DocumentId,
    job: JobId,
    new: &NewDocument,
) -> Result<()> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    let project = new.project.map(ProjectId::uuid);
    sqlx::query!(
        "insert into documents (organization_id, id, project_id, title, source_url, mime_type, bytes, sha256,
            index_job_id, created_by, created_by_key, tags)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        organization,
        id.uuid(),
        project,
        new.title,
        new.source_url,
        new.mime_type.as_str(),
        new.text.bytes(),
        &new.text.sha256[..],
        job.uuid(),
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid),
        &new.tags
    )
    .execute(tx.conn())
    .await
    .on_constraint("documents_content_key", same_at_once)?;
    insert_version(tx, id, 1, project, &new.text).await
}

async fn insert_version(
    tx: &mut WriteTx<'_>,
    id: DocumentId,
    version: i32,
    project: Option<Uuid>,
    text: &Text,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into document_versions (organization_id, document_id, version, project_id, text)
         values ($1, $2, $3, $4, $5)",
        organization,
        id.uuid(),
        version,
        project,
        text.text
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn lock(tx: &mut WriteTx<'_>, id: DocumentId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "select id from documents where organization_id = $1 and id = $2 for no key update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut WriteTx<'_>, id: DocumentId, update: &DocumentUpdate) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update documents set title = coalesce($3, title), source_url = case when $4 then $5 else source_url end,
            tags = coalesce($6, tags), updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        update.title.as_deref(),
        update.source_url.is_some(),
        update.source_url.as_ref().and_then(Option::as_deref),
        update.tags.as_deref()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn add_version(
    tx: &mut WriteTx<'_>,
    before: &Document,
    job: JobId,
    text: &Text,
) -> Result<()> {
    let organization = tx.organization().uuid();
    let (id, version) = (before.id, before.version + 1);
    insert_version(tx, id, version, before.project.map(ProjectId::uuid), text).await?;
    sqlx::query!(
        "update documents set version = $3, bytes = $4, sha256 = $5, index_job_id = $6, updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        version,
        text.bytes(),
        &text.sha256[..],
        job.uuid()
    )
    .execute(tx.conn())
    .await
    .on_constraint("documents_content_key", same_at_once)?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: DocumentId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from documents where organization_id = $1 and id = $2", organization, id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------- passages

/// The newest version's number and text, when this is it.
pub(super) async fn newest(
    tx: &mut ReadTx<'_>,
    id: DocumentId,
    version: i32,
) -> Result<Option<(String, String, String)>> {
    let row = sqlx::query!(
        "select d.title, d.mime_type, v.text from documents d
         join document_versions v on v.organization_id = d.organization_id and v.document_id = d.id and v.version = d.version
         where d.organization_id = (select app.current_organization()) and d.id = $1 and d.version = $2",
        id.uuid(),
        version
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.title, row.mime_type, row.text)))
}

/// A passage to store.
#[derive(Debug)]
pub(super) struct NewChunk {
    pub heading: Option<String>,
    pub start: i32,
    pub end: i32,
    pub text: String,
    pub language: &'static str,
    pub length: i32,
    /// Distinct terms.
    pub terms: Vec<String>,
}

/// A term as a number that no other organization's term has: the first eight bytes of SHA-256 over both.
pub(super) fn term_hash(organization: OrganizationId, term: &str) -> i64 {
    let digest = Sha256::new().chain_update(organization.uuid().as_bytes()).chain_update(term).finalize();
    digest.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// Takes a document's passages off its shelf.
pub(super) async fn remove_chunks(tx: &mut WriteTx<'_>, document: &Document) -> Result<()> {
    let organization = tx.organization().uuid();
    let shelf = document.project.map_or(organization, ProjectId::uuid);
    sqlx::query!(
        "with gone as (
            delete from document_chunks where organization_id = $1 and document_id = $2 returning terms, length
        ), counted as (
            select term, count(*)::int as chunks from gone cross join lateral unnest(gone.terms) as term group by term
        ), lowered as (
            update document_terms t set chunks = t.chunks - c.chunks from counted c
            where t.organization_id = $1 and t.shelf = $3 and t.term = c.term
        )
        update document_shelves s set chunks = s.chunks - g.chunks, words = s.words - g.words
        from (select count(*) as chunks, coalesce(sum(length), 0) as words from gone) g
        where s.organization_id = $1 and s.shelf = $3",
        organization,
        document.id.uuid(),
        shelf
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from document_terms where organization_id = $1 and shelf = $2 and chunks <= 0",
        organization,
        shelf
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts passages on their document's shelf; a few hundred at a time.
pub(super) async fn insert_chunks(
    tx: &mut WriteTx<'_>,
    document: &Document,
    version: i32,
    chunks: &[NewChunk],
) -> Result<()> {
    let organization = tx.organization();
    for batch in chunks.chunks(200) {
        // Arrays of arrays have to be rectangular in PostgreSQL, so a passage's terms travel as one text, a term a line:
        // no term holds white space.
        let mut hashes = Vec::new();
        let mut counts: Vec<i32> = Vec::with_capacity(batch.len());
        for chunk in batch {
            hashes.extend(chunk.terms.iter().map(|term| term_hash(organization, term)));
            counts.push(i32::try_from(chunk.terms.len()).unwrap_or(i32::MAX));
        }
        let ends: Vec<i32> = counts
            .iter()
            .scan(0, |end, count| {
                *end += count;
                Some(*end)
            })
            .collect();
        let starts: Vec<i32> = ends.iter().zip(&counts).map(|(end, count)| end - count + 1).collect();
        let ids: Vec<Uuid> = batch.iter().map(|_| Uuid::now_v7()).collect();
        let headings: Vec<Option<String>> = batch.iter().map(|chunk| chunk.heading.clone()).collect();
        let froms: Vec<i32> = batch.iter().map(|chunk| chunk.start).collect();
        let untils: Vec<i32> = batch.iter().map(|chunk| chunk.end).collect();
        let texts: Vec<String> = batch.iter().map(|chunk| chunk.text.clone()).collect();
        let languages: Vec<String> = batch.iter().map(|chunk| chunk.language.to_owned()).collect();
        let lengths: Vec<i32> = batch.iter().map(|chunk| chunk.length).collect();
        let terms: Vec<String> = batch.iter().map(|chunk| chunk.terms.join("\n")).collect();
        sqlx::query!(
            "insert into document_chunks (organization_id, id, document_id, version, project_id, heading, start_offset,
                end_offset, text, language, length, terms, term_hashes)
             select $1, c.id, $2, $3, $4, c.heading, c.start_offset, c.end_offset, c.text, c.language, c.length,
                string_to_array(c.terms, chr(10)), ($13::bigint[])[c.first:c.last]
             from unnest($5::uuid[], $6::text[], $7::int[], $8::int[], $9::text[], $10::text[], $11::int[], $12::text[],
                $14::int[], $15::int[])
                as c (id, heading, start_offset, end_offset, text, language, length, terms, first, last)",
            organization.uuid(),
            document.id.uuid(),
            version,
            document.project.map(ProjectId::uuid),
            &ids,
            &headings as &[Option<String>],
            &froms,
            &untils,
            &texts,
            &languages,
            &lengths,
            &terms,
            &hashes,
            &starts,
            &ends
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Counts what was put on a shelf: the number of passages of each term, and of passages and words in all.
pub(super) async fn count_chunks(
    tx: &mut WriteTx<'_>,
    project: Option<ProjectId>,
    terms: &std::collections::BTreeMap<&str, i32>,
    chunks: usize,
    words: i64,
) -> Result<()> {
    let organization = tx.organization().uuid();
    let project = project.map(ProjectId::uuid);
    let (names, counts): (Vec<String>, Vec<i32>) =
        terms.iter().map(|(term, count)| ((*term).to_owned(), *count)).unzip();
    sqlx::query!(
        "insert into document_terms as t (organization_id, project_id, term, chunks)
         select $1, $2, n.term, n.chunks from unnest($3::text[], $4::int[]) as n (term, chunks)
         on conflict on constraint document_terms_pkey do update set chunks = t.chunks + excluded.chunks",
        organization,
        project,
        &names,
        &counts
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into document_shelves as s (organization_id, project_id, chunks, words) values ($1, $2, $3, $4)
         on conflict on constraint document_shelves_pkey do update
            set chunks = s.chunks + excluded.chunks, words = s.words + excluded.words",
        organization,
        project,
        i64::try_from(chunks).unwrap_or(i64::MAX),
        words
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Says that a version can be found now, and forgets older ones that no answer cites.
pub(super) async fn set_indexed(tx: &mut WriteTx<'_>, id: DocumentId, version: i32) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update documents set indexed_version = $3 where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        version
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from document_versions v where v.organization_id = $1 and v.document_id = $2 and v.version < $3
            and not exists (select from qa_citations c where c.organization_id = v.organization_id
                and c.document_id = v.document_id and c.document_version = v.version)",
        organization,
        id.uuid(),
        version
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

// ------------------------------------------------------------------------------------------------------------ search

/// How many passages and words the transaction sees, of one project and the organization's own, or of everything.
pub(super) async fn totals(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"select coalesce(sum(chunks), 0)::bigint as "chunks!", coalesce(sum(words), 0)::bigint as "words!"
           from document_shelves where organization_id = (select app.current_organization())
            and ($1::uuid is null or project_id is null or project_id = $1)"#,
        project.map(ProjectId::uuid)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.chunks, row.words))
}

/// In how many passages the terms stand.
pub(super) async fn counts(
    tx: &mut ReadTx<'_>,
    project: Option<ProjectId>,
    terms: &[String],
) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"select term, sum(chunks)::bigint as "chunks!" from document_terms
           where organization_id = (select app.current_organization()) and term = any($2)
            and ($1::uuid is null or project_id is null or project_id = $1)
           group by term"#,
        project.map(ProjectId::uuid),
        terms
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.term, row.chunks)).collect())
}

/// Terms that begin in one way and are about as long: what a misspelt one may have meant. The most frequent ones first.
pub(super) async fn neighbours(
    tx: &mut ReadTx<'_>,
    project: Option<ProjectId>,
    prefix: &str,
    lengths: std::ops::RangeInclusive<i32>,
    limit: i64,
) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"select term, sum(chunks)::bigint as "chunks!" from document_terms
           where organization_id = (select app.current_organization()) and term >= $2 and term < $2 || chr(1114111)
            and char_length(term) between $3 and $4
            and ($1::uuid is null or project_id is null or project_id = $1)
           group by term order by 2 desc, 1 limit $5"#,
        project.map(ProjectId::uuid),
        prefix,
        lengths.start(),
        lengths.end(),
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.term, row.chunks)).collect())
}

/// The passages with the rarest terms, best first: ids only.
pub(super) async fn search(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    place: &Place,
    rare: &[String],
    terms: &[(String, f32)],
    limit: i32,
) -> Result<Vec<Uuid>> {
    let hash = |term: &String| term_hash(organization, term);
    let rare: Vec<i64> = rare.iter().map(hash).collect();
    let (hashes, weights): (Vec<i64>, Vec<f32>) =
        terms.iter().map(|(term, weight)| (hash(term), *weight)).unzip();
    let ids = sqlx::query_scalar("select id from app.search_chunks($1, $2, $3, $4, $5, $6, $7)")
        .bind(rare)
        .bind(hashes)
        .bind(weights)
        .bind(place.project.map(ProjectId::uuid))
        .bind(place.document_ids())
        .bind(place.tags.as_deref())
        .bind(limit)
        .fetch_all(tx.conn())
        .await?;
    Ok(ids)
}

/// A passage, as it is read.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub id: Uuid,
    pub document_id: Uuid,
    pub version: i32,
    pub title: String,
    pub heading: Option<String>,
    pub start_offset: i32,
    pub text: String,
    pub language: String,
}

pub(super) async fn chunks(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Chunk>> {
    let rows = sqlx::query_as!(
        Chunk,
        "select c.id, c.document_id, c.version, d.title, c.heading, c.start_offset, c.text, c.language
         from document_chunks c
         join documents d on d.organization_id = c.organization_id and d.id = c.document_id
         where c.organization_id = (select app.current_organization()) and c.id = any($1)
         order by array_position($1, c.id)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// The passages of a project's documents and the whole organization's, by what can be found of each.
pub(super) async fn newest_chunks(tx: &mut ReadTx<'_>, project: ProjectId, most: i64) -> Result<Vec<Chunk>> {
    let rows = sqlx::query_as!(
        Chunk,
        "select c.id, c.document_id, c.version, d.title, c.heading, c.start_offset, c.text, c.language
         from documents d
         join document_chunks c on c.organization_id = d.organization_id and c.document_id = d.id
            and c.version = d.indexed_version
         where d.organization_id = (select app.current_organization()) and (d.project_id is null or d.project_id = $1)
         order by d.id desc, c.start_offset limit $2",
        project.uuid(),
        most
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// How many of the quotes stand, word for word, where they are said to.
pub(super) async fn count_true_quotes(
    tx: &mut ReadTx<'_>,
    places: &[(DocumentId, i32, i32, String)],
) -> Result<i64> {
    let documents: Vec<Uuid> = places.iter().map(|place| place.0.uuid()).collect();
    let versions: Vec<i32> = places.iter().map(|place| place.1).collect();
    let starts: Vec<i32> = places.iter().map(|place| place.2).collect();
    let quotes: Vec<String> = places.iter().map(|place| place.3.clone()).collect();
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from unnest($1::uuid[], $2::int[], $3::int[], $4::text[])
            as q (document, version, start, quote)
           join document_versions v on v.organization_id = (select app.current_organization())
            and v.document_id = q.document and v.version = q.version
           where substring(v.text from q.start + 1 for char_length(q.quote)) = q.quote"#,
        &documents,
        &versions,
        &starts,
        &quotes
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}
