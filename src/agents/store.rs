//! The SQL of what all outputs have in common.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Filter, Output, Rating};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Result};
use crate::id::{ApiKeyId, JobId, ProjectId};
use crate::jobs::AgentKind;

struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    agent: String,
    job_id: Uuid,
    created_by: Uuid,
    created_by_key: Option<Uuid>,
    created_at: DateTime<Utc>,
    content: Option<Value>,
}

impl TryFrom<Row> for Output {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let unknown = || Error::internal(anyhow::anyhow!("the database holds an output of an unknown agent"));
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id,
            project: row.project_id.map(Into::into),
            agent: AgentKind::parse(&row.agent).ok_or_else(unknown)?,
            job: row.job_id.into(),
            created_by: row.created_by.into(),
            created_by_key: row.created_by_key.map(Into::into),
            created_at: row.created_at,
            content: row.content,
        })
    }
}

/// Begins an output of a job, or of one of its steps, or of one item that a step works for: the row that all agents' outputs
/// have.
pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: Uuid,
    agent: AgentKind,
    (job, step): (JobId, Option<(&str, Option<usize>)>),
    project: Option<ProjectId>,
    content: Option<&Value>,
) -> Result<()> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    let item = step.and_then(|(_, item)| i16::try_from(item?).ok());
    sqlx::query!(
        "insert into outputs
            (organization_id, id, project_id, agent, job_id, created_by, created_by_key, content, step, item)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        organization,
        id,
        project.map(ProjectId::uuid),
        agent.as_str(),
        job.uuid(),
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid),
        content,
        step.map(|(step, _)| step),
        item
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn latest(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    agent: AgentKind,
    most: i32,
) -> Result<Vec<Output>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, agent, job_id, created_by, created_by_key, created_at, content
         from outputs where organization_id = (select app.current_organization()) and project_id = $1 and agent = $2
         order by id desc limit $3",
        project.uuid(),
        agent.as_str(),
        i64::from(most)
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Output>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, agent, job_id, created_by, created_by_key, created_at, content
         from outputs where organization_id = (select app.current_organization()) and id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: Filter) -> Result<Slice<Output>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select organization_id, id, project_id, agent, job_id, created_by, created_by_key, created_at, content
         from outputs where organization_id = (select app.current_organization()) and id > $1 and id < $2
            and ($3::uuid is null or project_id = $3) and ($4::text is null or agent = $4)
            and ($5::timestamptz is null or created_at >= $5)
            and ($6::smallint is null or exists (select from output_ratings r
                where r.organization_id = outputs.organization_id and r.output_id = outputs.id and r.stars >= $6))
            and ($7::smallint is null or exists (select from output_ratings r
                where r.organization_id = outputs.organization_id and r.output_id = outputs.id and r.stars <= $7))",
        "id" "desc" / "asc",
        "$8",
        low,
        high,
        filter.project.map(ProjectId::uuid),
        filter.agent.map(AgentKind::as_str),
        filter.since,
        filter.min_stars,
        filter.max_stars
    );
    let rows: Result<Vec<Output>> = rows.into_iter().map(TryInto::try_into).collect();
    Ok(page.slice(rows?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, filter: Filter) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from outputs where organization_id = (select app.current_organization())
            and ($1::uuid is null or project_id = $1) and ($2::text is null or agent = $2)
            and ($3::timestamptz is null or created_at >= $3)
            and ($4::smallint is null or exists (select from output_ratings r
                where r.organization_id = outputs.organization_id and r.output_id = outputs.id and r.stars >= $4))
            and ($5::smallint is null or exists (select from output_ratings r
                where r.organization_id = outputs.organization_id and r.output_id = outputs.id and r.stars <= $5))"#,
        filter.project.map(ProjectId::uuid),
        filter.agent.map(AgentKind::as_str),
        filter.since,
        filter.min_stars,
        filter.max_stars
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn ratings(tx: &mut ReadTx<'_>, output: Uuid) -> Result<Vec<Rating>> {
    let rows = sqlx::query_as!(
        Rating,
        "select stars, comment, actor_id as actor, by_key, at from output_ratings
         where organization_id = (select app.current_organization()) and output_id = $1 order by at desc, actor_id limit 100",
        output
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn rate(
    tx: &mut WriteTx<'_>,
    output: Uuid,
    stars: i16,
    comment: Option<&str>,
) -> Result<bool> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    let done = sqlx::query!(
        "insert into output_ratings as r (organization_id, output_id, actor_id, project_id, by_key, stars, comment)
         select o.organization_id, o.id, $3, o.project_id, $4, $5, $6 from outputs o
         where o.organization_id = $1 and o.id = $2
         on conflict on constraint output_ratings_pkey do update
            set stars = excluded.stars, comment = excluded.comment, at = now()",
        organization,
        output,
        credential.actor(),
        credential.key().is_some(),
        stars,
        comment
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, output: Uuid) -> Result<bool> {
    let organization = tx.organization().uuid();
    let done =
        sqlx::query!("delete from outputs where organization_id = $1 and id = $2", organization, output)
            .execute(tx.conn())
            .await?;
    Ok(done.rows_affected() == 1)
}

/// The content of an output, locked until the transaction ends.
pub(super) async fn content(tx: &mut WriteTx<'_>, output: Uuid) -> Result<Option<Value>> {
    let organization = tx.organization().uuid();
    let content = sqlx::query_scalar!(
        "select content from outputs where organization_id = $1 and id = $2 for update",
        organization,
        output
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(content.flatten())
}

/// What is published, or about to be, with the same fingerprint; the newest.
pub(super) async fn publications_like(tx: &mut ReadTx<'_>, fingerprint: &str) -> Result<Vec<Value>> {
    let found = sqlx::query_scalar!(
        r#"select content as "content!" from outputs
           where organization_id = (select app.current_organization()) and agent = 'INSTAGRAM_POSTER'
            and content ->> 'fingerprint' = $1
           order by id desc limit 20"#,
        fingerprint
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found)
}

pub(super) async fn set_content(tx: &mut WriteTx<'_>, output: Uuid, content: &Value) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "update outputs set content = $3 where organization_id = $1 and id = $2",
        organization,
        output,
        content
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
