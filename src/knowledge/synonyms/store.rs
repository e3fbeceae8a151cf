//! The SQL of synonyms.

use super::Group;
use crate::db::{ReadTx, WriteTx};
use crate::error::Result;

pub(super) async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Group>> {
    let groups = sqlx::query_scalar!(
        "select terms from synonym_groups where organization_id = (select app.current_organization()) order by ordinal"
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(groups)
}

pub(super) async fn delete(tx: &mut WriteTx<'_>) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!("delete from synonym_groups where organization_id = $1", organization)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut WriteTx<'_>, groups: &[Group]) -> Result<()> {
    let organization = tx.organization().uuid();
    // Arrays of arrays have to be rectangular in PostgreSQL, so a group travels as one text, a word or phrase a line: none has
    // another line in it.
    let (ordinals, terms): (Vec<i16>, Vec<String>) =
        (0..).zip(groups).map(|(ordinal, group)| (ordinal, group.join("\n"))).unzip();
    sqlx::query!(
        "insert into synonym_groups (organization_id, ordinal, terms)
         select $1, g.ordinal, string_to_array(g.terms, chr(10)) from unnest($2::smallint[], $3::text[]) as g (ordinal, terms)",
        organization,
        &ordinals,
        &terms
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
