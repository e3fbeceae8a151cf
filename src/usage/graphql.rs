//! Usage, as the schema shows it.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{Metric, Period};
use crate::access::{Action, Scope};
use crate::error::Result;
use crate::graphql::context::{ContextExt as _, visible};
use crate::graphql::scalars::DateTime;
use crate::id::{OrganizationId, OrganizationUsageId};

/// What an organization uses in a stretch of days: what is measured, and nothing that is not.
pub struct OrganizationUsage {
    organization: OrganizationId,
    period: Period,
    measures: Vec<super::Measure>,
}

/// One measured figure.
#[derive(SimpleObject)]
pub struct UsageMetric {
    /// What.
    kind: Metric,
    /// How much, with what running work has reserved.
    used: f64,
    /// The tier's limit; null when there is none, and for a single day where a month is limited.
    limit: Option<f64>,
    /// When the count starts again; null when it does not.
    resets_at: Option<DateTime>,
}

/// What an organization uses in a stretch of days: what is measured, and nothing that is not.
#[Object]
impl OrganizationUsage {
    /// The id of the organization and the period.
    pub async fn id(&self) -> ID {
        let id = OrganizationUsageId {
            organization: self.organization,
            period_start: self.period.start().timestamp(),
        };
        ID(id.to_string())
    }

    /// The first instant.
    async fn period_start(&self) -> DateTime {
        self.period.start().into()
    }

    /// The first instant after it.
    async fn period_end(&self) -> DateTime {
        self.period.end().into()
    }

    /// The figures.
    async fn metrics(&self) -> Vec<UsageMetric> {
        let metric = |measure: &super::Measure| UsageMetric {
            kind: measure.metric,
            used: measure.used,
            limit: measure.limit,
            resets_at: measure.metric.is_monthly().then(|| self.period.end().into()),
        };
        self.measures.iter().map(metric).collect()
    }
}

/// What an organization uses; none without `ORG_READ`, and for guests of single projects.
///
/// # Errors
/// What the database says.
pub async fn of(
    ctx: &Context<'_>,
    organization: OrganizationId,
    period: Period,
) -> Result<Option<OrganizationUsage>> {
    let may = |scope: &Scope| scope.may(Action::UsageRead.permission()) && !scope.is_limited();
    let opened = ctx.door().read_if(organization, Action::UsageRead, may).await?;
    let Some(mut tx) = opened else { return Ok(None) };
    let measures = super::measure(&mut tx, period).await?;
    Ok(Some(OrganizationUsage { organization, period, measures }))
}

/// The usage of one of the caller's organizations in a month, by the id of the pair.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: OrganizationUsageId) -> Result<Option<OrganizationUsage>> {
    let start = chrono::DateTime::from_timestamp(id.period_start, 0);
    let Some(period) = start.and_then(Period::month_from) else { return Ok(None) };
    let Some(tenant) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    if tenant != id.organization {
        return Ok(None);
    }
    Ok(visible(of(ctx, id.organization, period).await)?.flatten())
}
