//! The SQL of periods.

use serde_json::Value;
use uuid::Uuid;

use super::{Definition, Period};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, OnConstraint as _, Result};
use crate::id::PeriodId;

struct Row {
    organization_id: Uuid,
    id: Uuid,
    number: i16,
    key: String,
    names: Value,
    color: String,
    keywords: Value,
}

impl TryFrom<Row> for Period {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let definition = Definition {
            number: u8::try_from(row.number).map_err(Error::internal)?,
            key: row.key,
            names: serde_json::from_value(row.names).map_err(Error::internal)?,
            color: row.color,
            keywords: serde_json::from_value(row.keywords).map_err(Error::internal)?,
        };
        Ok(Self { organization: row.organization_id.into(), id: row.id.into(), definition })
    }
}

fn json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}

pub(super) async fn insert(tx: &mut WriteTx<'_>, definitions: &[Definition]) -> Result<()> {
    let organization = tx.organization().uuid();
    let ids: Vec<Uuid> = definitions.iter().map(|_| PeriodId::generate().uuid()).collect();
    let numbers: Vec<i16> = definitions.iter().map(|period| i16::from(period.number)).collect();
    let keys: Vec<String> = definitions.iter().map(|period| period.key.clone()).collect();
    let names: Vec<Value> = definitions.iter().map(|period| json(&period.names)).collect::<Result<_>>()?;
    let colors: Vec<String> = definitions.iter().map(|period| period.color.clone()).collect();
    let keywords: Vec<Value> =
        definitions.iter().map(|period| json(&period.keywords)).collect::<Result<_>>()?;
    sqlx::query!(
        "insert into periods (organization_id, id, number, key, names, color, keywords)
         select $1, p.* from unnest($2::uuid[], $3::smallint[], $4::text[], $5::jsonb[], $6::text[], $7::jsonb[]) as p",
        organization,
        &ids,
        &numbers,
        &keys,
        &names,
        &colors,
        &keywords
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Period>> {
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, number, key, names, color, keywords from periods
         where organization_id = (select app.current_organization()) order by number"
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// A period, locked until the transaction ends.
pub(super) async fn lock(tx: &mut WriteTx<'_>, id: PeriodId) -> Result<Option<Period>> {
    let organization = tx.organization().uuid();
    let row = sqlx::query_as!(
        Row,
        "select organization_id, id, number, key, names, color, keywords from periods
         where organization_id = $1 and id = $2 for update",
        organization,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

pub(super) async fn update(tx: &mut WriteTx<'_>, id: PeriodId, definition: &Definition) -> Result<()> {
    let organization = tx.organization().uuid();
    let done = sqlx::query!(
        "update periods set key = $3, names = $4, color = $5, keywords = $6 where organization_id = $1 and id = $2",
        organization,
        id.uuid(),
        definition.key,
        json(&definition.names)?,
        definition.color,
        json(&definition.keywords)?
    )
    .execute(tx.conn())
    .await
    .on_constraint("periods_key_key", || {
        let message = "Another period has this key. Choose another one.";
        Error::fault(Fault::at(FaultCode::AlreadyExists, "key", message))
    })?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::NotFound) }
}
