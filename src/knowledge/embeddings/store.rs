//! The SQL of vectors.

use futures_util::stream::BoxStream;
use uuid::Uuid;

use super::{Embeddings, NewEmbeddings};
use crate::db::{ReadTx, WriteTx};
use crate::error::Result;
use crate::id::ProjectId;
use crate::knowledge::search::Place;
use crate::retrieval::Quantised;

pub(super) async fn find(tx: &mut ReadTx<'_>) -> Result<Option<Embeddings>> {
    let row = sqlx::query!(
        "select organization_id, id, provider, model, dimensions from embeddings
         where organization_id = (select app.current_organization())"
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Embeddings {
        organization: row.organization_id.into(),
        id: row.id,
        provider: row.provider,
        model: row.model,
        dimensions: row.dimensions.and_then(|count| usize::try_from(count).ok()),
    }))
}

pub(super) async fn insert(tx: &mut WriteTx<'_>, new: &NewEmbeddings) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "insert into embeddings (organization_id, id, provider, model, dimensions) values ($1, $2, $3, $4, $5)",
        organization,
        Uuid::now_v7(),
        new.provider,
        new.model,
        new.dimensions.and_then(|count| i32::try_from(count).ok())
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes the choice away, and with it all of its vectors.
pub(super) async fn delete(tx: &mut WriteTx<'_>) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from embeddings where organization_id = $1", organization)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn count(tx: &mut ReadTx<'_>, id: Uuid) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from document_chunk_vectors
           where organization_id = (select app.current_organization()) and embeddings_id = $1"#,
        id
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// The places that hold passages without a vector, with how many characters these have: projects, or none for what is the
/// whole organization's.
pub(super) async fn places(tx: &mut WriteTx<'_>) -> Result<Vec<(Option<ProjectId>, i64)>> {
    let organization = tx.organization().uuid();
    let rows = sqlx::query!(
        r#"select c.project_id, sum(c.end_offset - c.start_offset + coalesce(char_length(c.heading), 0)
                + char_length(d.title))::bigint as "characters!"
           from document_chunks c join documents d on d.organization_id = c.organization_id and d.id = c.document_id
           where c.organization_id = $1 and not exists (select from document_chunk_vectors v
                where v.organization_id = c.organization_id and v.chunk_id = c.id)
           group by c.project_id order by c.project_id nulls first"#,
        organization
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.project_id.map(Into::into), row.characters)).collect())
}

/// A passage without a vector.
#[derive(Debug)]
pub(super) struct Lacking {
    pub id: Uuid,
    pub title: String,
    pub heading: Option<String>,
    pub text: String,
}

/// Passages of a place that have no vector, by id, after one.
pub(super) async fn lacking(
    tx: &mut ReadTx<'_>,
    project: Option<ProjectId>,
    after: Uuid,
    most: i64,
) -> Result<Vec<Lacking>> {
    let rows = sqlx::query_as!(
        Lacking,
        "select c.id, d.title, c.heading, c.text
         from document_chunks c join documents d on d.organization_id = c.organization_id and d.id = c.document_id
         where c.organization_id = (select app.current_organization()) and c.project_id is not distinct from $1
            and c.id > $2 and not exists (select from document_chunk_vectors v
                where v.organization_id = c.organization_id and v.chunk_id = c.id)
         order by c.id limit $3",
        project.map(ProjectId::uuid),
        after,
        most
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// How many passages of a place have no vector.
pub(super) async fn count_lacking(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from document_chunks c
           where c.organization_id = (select app.current_organization()) and c.project_id is not distinct from $1
            and not exists (select from document_chunk_vectors v
                where v.organization_id = c.organization_id and v.chunk_id = c.id)"#,
        project.map(ProjectId::uuid)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// Stores vectors of passages that are still there.
pub(super) async fn put(
    tx: &mut WriteTx<'_>,
    id: Uuid,
    passages: &[Uuid],
    vectors: &[Quantised],
) -> Result<()> {
    let organization = tx.organization().uuid();
    let scales: Vec<f32> = vectors.iter().map(Quantised::scale).collect();
    let directions: Vec<Vec<u8>> = vectors.iter().map(Quantised::bytes).collect();
    sqlx::query!(
        "insert into document_chunk_vectors (organization_id, chunk_id, document_id, project_id, embeddings_id, scale, direction)
         select c.organization_id, c.id, c.document_id, c.project_id, $2, v.scale, v.direction
         from unnest($3::uuid[], $4::real[], $5::bytea[]) as v (id, scale, direction)
         join document_chunks c on c.organization_id = $1 and c.id = v.id
         on conflict on constraint document_chunk_vectors_pkey do nothing",
        organization,
        id,
        passages,
        &scales,
        &directions
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A passage's vector.
#[derive(Debug)]
pub(super) struct Vector {
    pub id: Uuid,
    pub scale: f32,
    pub direction: Vec<u8>,
}

/// Whether there is a vector of a choice in a place.
pub(super) async fn any(tx: &mut ReadTx<'_>, id: Uuid, place: &Place) -> Result<bool> {
    let documents = place.document_ids();
    let any = sqlx::query_scalar!(
        r#"select exists (select from document_chunk_vectors
            where organization_id = (select app.current_organization()) and embeddings_id = $1
                and ($2::uuid is null or project_id is null or project_id = $2)
                and ($3::uuid[] is null or document_id = any($3))
                and ($4::text[] is null or document_id in (select d.id from documents d, unnest(d.tags) tag
                    where d.organization_id = (select app.current_organization())
                        and lower(tag) in (select lower(asked) from unnest($4) asked)))) as "any!""#,
        id,
        place.project.map(ProjectId::uuid),
        documents.as_deref(),
        place.tags.as_deref()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(any)
}

/// All vectors of a choice in a place, in any order, while they come: they are too many to be held.
pub(super) fn all<'t>(
    tx: &'t mut ReadTx<'_>,
    id: Uuid,
    place: &Place,
) -> BoxStream<'t, sqlx::Result<Vector>> {
    let documents = place.document_ids();
    sqlx::query_as!(
        Vector,
        "select chunk_id as id, scale, direction from document_chunk_vectors
         where organization_id = (select app.current_organization()) and embeddings_id = $1
            and ($2::uuid is null or project_id is null or project_id = $2)
            and ($3::uuid[] is null or document_id = any($3))
            and ($4::text[] is null or document_id in (select d.id from documents d, unnest(d.tags) tag
                where d.organization_id = (select app.current_organization())
                    and lower(tag) in (select lower(asked) from unnest($4) asked)))",
        id,
        place.project.map(ProjectId::uuid),
        documents.as_deref(),
        place.tags.as_deref()
    )
    .fetch(tx.conn())
}
