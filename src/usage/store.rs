//! The SQL of usage.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Metric;
use crate::db::ReadTx;
use crate::error::{Error, Result};

/// A tier's limits by metric, in its wire spelling.
pub(super) type Limits = BTreeMap<String, f64>;

/// What is counted.
pub(super) struct Counts {
    monthly: BTreeMap<String, i64>,
    members: i64,
    projects: i64,
    bytes: i64,
}

impl Counts {
    pub(super) fn of(&self, metric: Metric) -> i64 {
        match metric {
            Metric::Members => self.members,
            Metric::Projects => self.projects,
            Metric::StorageBytes => self.bytes,
            counted => self.monthly.get(counted.as_str()).copied().unwrap_or_default(),
        }
    }
}

pub(super) async fn counts(tx: &mut ReadTx<'_>, first: NaiveDate, end: NaiveDate) -> Result<Counts> {
    let found = sqlx::query!(
        r#"select
            (select coalesce(jsonb_object_agg(c.metric, c.used), '{}')
             from (select metric, sum(used)::bigint as used from usage_counters
                where organization_id = (select app.current_organization()) and day >= $1 and day < $2
                group by metric) c) as "monthly!",
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
    let monthly = serde_json::from_value(found.monthly).map_err(Error::internal)?;
    Ok(Counts { monthly, members: found.members, projects: found.projects, bytes: found.bytes })
}

pub(super) async fn limits(tx: &mut ReadTx<'_>) -> Result<Limits> {
    let limits = sqlx::query_scalar!(
        "select t.limits from tiers t join organizations o on o.tier = t.key
         where o.id = (select app.current_organization())"
    )
    .fetch_optional(tx.conn())
    .await?;
    limits
        .map_or_else(|| Ok(BTreeMap::new()), |limits| serde_json::from_value(limits).map_err(Error::internal))
}

/// The smallest tier that allows so much.
pub(super) async fn tier_with(tx: &mut ReadTx<'_>, metric: &str, needed: f64) -> Result<Option<String>> {
    let tier = sqlx::query_scalar!(
        r#"select key from tiers where coalesce((limits ->> $1)::float8, 'infinity') >= $2
           order by coalesce((limits ->> $1)::float8, 'infinity'), key limit 1"#,
        metric,
        needed
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(tier)
}
