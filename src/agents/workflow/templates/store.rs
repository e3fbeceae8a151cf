//! The SQL of templates.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{NewTemplate, Template};
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::{ProjectId, WorkflowTemplateId};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    project_id: Option<Uuid>,
    key: String,
    name: String,
    description: Option<String>,
    definition: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Template {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            organization: row.organization_id.into(),
            id: row.id.into(),
            project: row.project_id.map(Into::into),
            key: row.key,
            name: row.name,
            description: row.description,
            definition: serde_json::from_value(row.definition).map_err(Error::internal)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

pub(super) async fn find(tx: &mut ReadTx<'_>, id: WorkflowTemplateId) -> Result<Option<Template>> {
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, key, name, description, definition, created_at, updated_at
         from workflow_templates where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The project's own template of a key, else the organization's.
pub(super) async fn named(tx: &mut ReadTx<'_>, project: ProjectId, key: &str) -> Result<Option<Template>> {
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, key, name, description, definition, created_at, updated_at
         from workflow_templates
         where organization_id = (select app.current_organization()) and key = $2
            and (project_id is null or project_id = $1)
         order by project_id nulls last limit 1",
        project.uuid(),
        key
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    project: Option<ProjectId>,
) -> Result<Slice<Template>> {
    let (low, high) = page.descending();
    let rows = keyset!(
        Row,
        tx,
        page,
        "select organization_id, id, project_id, key, name, description, definition, created_at, updated_at
         from workflow_templates where organization_id = (select app.current_organization()) and id > $1 and id < $2
            and ($3::uuid is null or project_id = $3)",
        "id" "desc" / "asc",
        "$4",
        low,
        high,
        project.map(ProjectId::uuid)
    );
    let rows: Result<Vec<Template>> = rows.into_iter().map(TryInto::try_into).collect();
    Ok(page.slice(rows?))
}

pub(super) async fn count(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from workflow_templates
           where organization_id = (select app.current_organization()) and ($1::uuid is null or project_id = $1)"#,
        project.map(ProjectId::uuid)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

fn same_key() -> Error {
    let message = "There is a template with this key already. Choose another key.";
    Error::fault(Fault::at(FaultCode::AlreadyExists, "key", message))
}

pub(super) async fn insert(tx: &mut WriteTx<'_>, id: WorkflowTemplateId, new: &NewTemplate) -> Result<()> {
    let organization = tx.organization().uuid();
    let definition = serde_json::to_value(&new.definition).map_err(Error::internal)?;
    sqlx::query!(
        "insert into workflow_templates (organization_id, id, project_id, key, name, description, definition)
         values ($1, $2, $3, $4, $5, $6, $7)",
        organization,
        id.uuid(),
        new.project.map(ProjectId::uuid),
        new.key,
        new.name,
        new.description,
        definition
    )
    .execute(tx.conn())
    .await
    .on_constraint("workflow_templates_key_key", same_key)?;
    Ok(())
}

/// The template, locked until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: WorkflowTemplateId) -> Result<Option<Template>> {
    let organization = tx.organization().uuid();
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, project_id, key, name, description, definition, created_at, updated_at
         from workflow_templates where organization_id = $1 and id = $2 for update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn update(tx: &mut WriteTx<'_>, template: &Template) -> Result<()> {
    let organization = tx.organization().uuid();
    let definition = serde_json::to_value(&template.definition).map_err(Error::internal)?;
    sqlx::query!(
        "update workflow_templates set name = $3, description = $4, definition = $5, updated_at = now()
         where organization_id = $1 and id = $2",
        organization,
        template.id.uuid(),
        template.name,
        template.description,
        definition
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut WriteTx<'_>, id: WorkflowTemplateId) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "delete from workflow_templates where organization_id = $1 and id = $2",
        organization,
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
