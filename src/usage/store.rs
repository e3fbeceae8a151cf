//! The SQL of usage.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Result};

/// What is counted now.
pub(super) struct Counts {
    pub requests: i64,
    pub members: i64,
    pub projects: i64,
    pub bytes: i64,
}

pub(super) async fn counts(tx: &mut ReadTx<'_>, first: NaiveDate, end: NaiveDate) -> Result<Counts> {
    let counts = sqlx::query_as!(
        Counts,
        r#"select
            (select coalesce(sum(used), 0)::bigint from usage_counters
             where organization_id = (select app.current_organization()) and metric = 'API_REQUESTS'
               and day >= $1 and day < $2) as "requests!",
            (select count(*) from memberships
             where organization_id = (select app.current_organization())) as "members!",
            (select count(*) from projects
             where organization_id = (select app.current_organization()) and archived_at is null) as "projects!",
            app.stored_bytes() as "bytes!""#,
        first,
        end
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(counts)
}

pub(super) async fn limits(tx: &mut ReadTx<'_>) -> Result<BTreeMap<String, f64>> {
    let limits = sqlx::query_scalar!(
        "select t.limits from tiers t join organizations o on o.tier = t.key
         where o.id = (select app.current_organization())"
    )
    .fetch_optional(tx.conn())
    .await?;
    limits
        .map_or_else(|| Ok(BTreeMap::new()), |limits| serde_json::from_value(limits).map_err(Error::internal))
}

pub(super) async fn lock(tx: &mut WriteTx<'_>, metric: &str) -> Result<()> {
    let key = format!("{} {metric}", tx.organization().uuid());
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 3))").bind(key).execute(tx.conn()).await?;
    Ok(())
}
