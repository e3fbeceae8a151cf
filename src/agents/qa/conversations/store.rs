//! The SQL of conversations.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conversation, Turn};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::Result;
use crate::id::{ApiKeyId, ConversationId, ProjectId};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    created_by: Uuid,
    created_by_key: Option<Uuid>,
    created_at: DateTime<Utc>,
}

impl From<Row> for Conversation {
    fn from(row: Row) -> Self {
        Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            project: row.project_id.map(Into::into),
            created_by: row.created_by.into(),
            created_by_key: row.created_by_key.map(Into::into),
            created_at: row.created_at,
        }
    }
}

pub(super) async fn insert(
    tx: &mut WriteTx<'_>,
    id: ConversationId,
    project: Option<ProjectId>,
) -> Result<()> {
    let (organization, credential) = (tx.organization().uuid(), tx.credential());
    sqlx::query!(
        "insert into qa_conversations (organization_id, id, project_id, created_by, created_by_key)
         values ($1, $2, $3, $4, $5)",
        organization,
        id.uuid(),
        project.map(ProjectId::uuid),
        credential.user().uuid(),
        credential.key().map(ApiKeyId::uuid)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: ConversationId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "delete from outputs where organization_id = $1
            and id in (select id from qa_answers where organization_id = $1 and conversation_id = $2)",
        organization,
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from qa_conversations where organization_id = $1 and id = $2",
        organization,
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Conversation>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, created_by, created_by_key, created_at from qa_conversations
         where organization_id = (select app.current_organization()) and id = any($1)",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    project: Option<ProjectId>,
) -> Result<Slice<Conversation>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select organization_id, id, project_id, created_by, created_by_key, created_at from qa_conversations
         where organization_id = (select app.current_organization()) and id > $1 and id < $2
            and ($3::uuid is null or project_id = $3)",
        "id" "desc" / "asc",
        "$4",
        low,
        high,
        project.map(ProjectId::uuid)
    );
    Ok(page.slice(rows.into_iter().map(Into::into).collect()))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from qa_conversations
           where organization_id = (select app.current_organization()) and ($1::uuid is null or project_id = $1)"#,
        project.map(ProjectId::uuid)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

pub(super) async fn answers(tx: &mut ReadTx<'_>, id: ConversationId, most: i64) -> Result<Vec<Uuid>> {
    let mut ids = sqlx::query_scalar!(
        "select id from qa_answers where organization_id = (select app.current_organization()) and conversation_id = $1
         order by id desc limit $2",
        id.uuid(),
        most
    )
    .fetch_all(tx.conn())
    .await?;
    ids.reverse();
    Ok(ids)
}

pub(super) async fn turns(tx: &mut ReadTx<'_>, id: ConversationId, most: i64) -> Result<Vec<Turn>> {
    let mut turns = sqlx::query_as!(
        Turn,
        r#"select question, coalesce(understood_as, question) as "understood_as!", answer from qa_answers
           where organization_id = (select app.current_organization()) and conversation_id = $1
           order by id desc limit $2"#,
        id.uuid(),
        most
    )
    .fetch_all(tx.conn())
    .await?;
    turns.reverse();
    Ok(turns)
}
