//! The SQL of assets.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Asset, AssetKind, AssetUpdate, Filter, NewAsset, NewUpload, Received, Upload};
use crate::db::page::{Page, Slice};
use crate::db::{AnonymousTx, ReadTx, WriteTx};
use crate::error::{Error, Result};
use crate::id::{ApiKeyId, AssetId, JobId, OrganizationId, ProjectId};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    kind: String,
    mime_type: String,
    bytes: i64,
    sha256: Vec<u8>,
    width: Option<i32>,
    height: Option<i32>,
    duration_seconds: Option<f64>,
    alt_text: Option<String>,
    tags: Vec<String>,
    object: Uuid,
    created_at: DateTime<Utc>,
}

fn kind(text: &str) -> Result<AssetKind> {
    AssetKind::parse(text)
        .ok_or_else(|| Error::internal(anyhow::anyhow!("the database holds an unknown kind of asset")))
}

impl TryFrom<Row> for Asset {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            project: row.project_id.map(Into::into),
            kind: kind(&row.kind)?,
            mime_type: row.mime_type,
            bytes: i32::try_from(row.bytes).map_err(Error::internal)?,
            sha256: row.sha256,
            width: row.width,
            height: row.height,
            duration_seconds: row.duration_seconds,
            alt_text: row.alt_text,
            tags: row.tags,
            object: row.object,
            created_at: row.created_at,
        })
    }
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: AssetId,
    new: &NewUpload,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    sqlx::query!(
        "insert into assets (organization_id, id, project_id, kind, bytes, sha256, alt_text, tags, created_by,
            created_by_key, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        organization,
        id.uuid(),
        new.project.map(ProjectId::uuid),
        new.kind.as_str(),
        new.bytes,
        new.sha256,
        new.alt_text,
        &new.tags,
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid),
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A file that somebody sends: what a job makes is nobody's to complete.
pub(super) async fn waiting(tx: &mut ReadTx<'_>, id: AssetId) -> Result<Option<Upload>> {
    let row = sqlx::query!(
        "select project_id, kind, bytes, sha256, expires_at, state from assets
         where organization_id = (select app.current_organization()) and id = $1 and job_id is null",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        Ok(Upload {
            id,
            project: row.project_id.map(Into::into),
            kind: kind(&row.kind)?,
            bytes: row.bytes,
            sha256: row.sha256,
            expires_at: row.expires_at,
            is_ready: row.state == "READY",
        })
    })
    .transpose()
}

/// False: it was done before.
pub(super) async fn complete(tx: &mut WriteTx<'_>, id: AssetId, received: &Received) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "update assets set state = 'READY', object = $3, mime_type = $4, sha256 = $5, width = $6, height = $7
         where organization_id = $1 and id = $2 and state = 'PENDING' and job_id is null",
        organization,
        id.uuid(),
        received.object,
        received.mime_type,
        &received.found.sha256[..],
        received.found.width,
        received.found.height
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn lock(tx: &mut WriteTx<'_>, id: AssetId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "select id from assets where organization_id = $1 and id = $2 for no key update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut WriteTx<'_>, id: AssetId, update: &AssetUpdate) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update assets set alt_text = case when $3 then $4 else alt_text end, tags = coalesce($5, tags)
         where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        update.alt_text.is_some(),
        update.alt_text.as_ref().and_then(Option::as_deref),
        update.tags.as_deref()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: AssetId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from assets where organization_id = $1 and id = $2", organization, id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn owners(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let outputs = sqlx::query_scalar!(
        r#"select distinct output_id as "output!" from assets
           where organization_id = (select app.current_organization()) and id = any($1) and output_id is not null"#,
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(outputs)
}

/// Tags are compared in lower case.
pub(super) async fn matching(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    tags: &[String],
    most: i64,
) -> Result<Vec<(AssetId, i64)>> {
    let rows = sqlx::query!(
        r#"select a.id, hits.count as "hits!" from assets a, lateral (
                select count(*) from unnest(a.tags) tag where lower(tag) = any($2)) hits
           where a.organization_id = (select app.current_organization()) and a.state = 'READY' and a.kind = 'IMAGE'
             and a.job_id is null and (a.project_id is null or a.project_id = $1) and hits.count > 0
           order by hits.count desc, a.id desc limit $3"#,
        project.uuid(),
        tags,
        most
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.hits)).collect())
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Asset>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select organization_id, id, project_id, kind, mime_type as "mime_type!", bytes, sha256 as "sha256!", width,
            height, duration_seconds, alt_text, tags, object as "object!", created_at
           from assets
           where organization_id = (select app.current_organization()) and state = 'READY' and id = any($1)"#,
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

fn kinds(filter: &Filter) -> Option<Vec<String>> {
    filter.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| kind.as_str().to_owned()).collect())
}

pub(super) async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: &Filter) -> Result<Slice<Asset>> {
    let (low, high) = page.descending();
    let kinds = kinds(filter);
    let rows = keyset!(
        Row,
        tx,
        page,
        r#"select organization_id, id, project_id, kind, mime_type as "mime_type!", bytes, sha256 as "sha256!", width,
            height, duration_seconds, alt_text, tags, object as "object!", created_at
           from assets
           where organization_id = (select app.current_organization()) and state = 'READY' and id > $1 and id < $2
            and ($3::uuid is null or project_id = $3) and ($4::text[] is null or kind = any($4))
            and ($5::text[] is null or tags @> $5)"#,
        "id" "desc" / "asc",
        "$6",
        low,
        high,
        filter.project.map(ProjectId::uuid),
        kinds.as_deref(),
        filter.tags.as_deref()
    );
    Ok(page.slice(rows.into_iter().map(TryInto::try_into).collect::<Result<_>>()?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, filter: &Filter) -> Result<i64> {
    let kinds = kinds(filter);
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from assets
           where organization_id = (select app.current_organization()) and state = 'READY'
            and ($1::uuid is null or project_id = $1) and ($2::text[] is null or kind = any($2))
            and ($3::text[] is null or tags @> $3)"#,
        filter.project.map(ProjectId::uuid),
        kinds.as_deref(),
        filter.tags.as_deref()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// A row for what a job has made, or the one that it has already: its id, and the name of its object.
pub(super) async fn stage(
    tx: &mut WriteTx<'_>,
    job: JobId,
    new: &NewAsset,
    sha256: [u8; 32],
    expires_at: DateTime<Utc>,
) -> Result<(AssetId, Uuid)> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    let bytes = i64::try_from(new.bytes.len()).map_err(Error::internal)?;
    let row = sqlx::query!(
        r#"insert into assets (organization_id, id, project_id, kind, mime_type, bytes, sha256, width, height,
            duration_seconds, alt_text, object, job_id, created_by, created_by_key, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
           on conflict (organization_id, job_id, sha256) where state = 'PENDING' do update set object = assets.object
           returning id, object as "object!""#,
        organization,
        AssetId::generate().uuid(),
        new.project.map(ProjectId::uuid),
        new.kind.as_str(),
        new.mime_type,
        bytes,
        &sha256[..],
        new.width,
        new.height,
        new.duration_seconds,
        new.alt_text,
        Uuid::now_v7(),
        job.uuid(),
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid),
        expires_at
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.id.into(), row.object))
}

/// The object of what a job has made and not kept yet.
pub(super) async fn find_saved(tx: &mut ReadTx<'_>, job: JobId, id: AssetId) -> Result<Option<Uuid>> {
    let object = sqlx::query_scalar!(
        r#"select object as "object!" from assets
           where organization_id = (select app.current_organization()) and id = $1 and job_id = $2 and state = 'PENDING'"#,
        id.uuid(),
        job.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(object)
}

pub(super) async fn keep(tx: &mut WriteTx<'_>, output: Uuid, ids: &[Uuid]) -> Result<u64> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "update assets set state = 'READY', output_id = $3
         where organization_id = $1 and id = any($2) and state = 'PENDING' and job_id is not null",
        organization,
        ids,
        output
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// The archive that belongs to an output.
pub(super) async fn bundle(tx: &mut ReadTx<'_>, output: Uuid) -> Result<Option<AssetId>> {
    let found = sqlx::query_scalar!(
        "select id from assets where organization_id = (select app.current_organization()) and output_id = $1
            and kind = 'ARCHIVE' and state = 'READY' order by id limit 1",
        output
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.map(Into::into))
}

/// Where objects may be left.
pub(super) struct Leftover {
    pub organization: OrganizationId,
    pub asset: AssetId,
    pub project: Option<ProjectId>,
    /// The object that stays.
    pub keep: Option<Uuid>,
}

#[derive(FromRow)]
struct LeftoverRow {
    organization_id: Uuid,
    asset_id: Uuid,
    project_id: Option<Uuid>,
    keep: Option<Uuid>,
}

pub(super) async fn take_leftovers(tx: &mut AnonymousTx<'_>, most: i32) -> Result<Vec<Leftover>> {
    let rows: Vec<LeftoverRow> =
        sqlx::query_as("select organization_id, asset_id, project_id, keep from app.take_leftovers($1)")
            .bind(most)
            .fetch_all(tx.conn())
            .await?;
    let leftover = |row: LeftoverRow| Leftover {
        organization: row.organization_id.into(),
        asset: row.asset_id.into(),
        project: row.project_id.map(Into::into),
        keep: row.keep,
    };
    Ok(rows.into_iter().map(leftover).collect())
}

pub(super) async fn forget_leftover(tx: &mut AnonymousTx<'_>, left: &Leftover) -> Result<()> {
    sqlx::query("select app.forget_leftover($1, $2)")
        .bind(left.organization.uuid())
        .bind(left.asset.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}
