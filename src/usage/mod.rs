//! What an organization uses, measured, and the limits of its tier.

pub mod graphql;
mod store;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::db::{ReadTx, WriteTx};
use crate::error::{Detail, Error, Fault, FaultCode, Result};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "UsageMetricKind")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Metric {
    /// Requests to the API.
    ApiRequests,
    /// Runs of agents.
    AgentRuns,
    /// Tokens of language models.
    LlmTokens,
    /// Pictures made.
    Images,
    /// Seconds of video made.
    VideoSeconds,
    /// Bytes kept.
    StorageBytes,
    /// People in the organization.
    Members,
    /// Projects that are not archived.
    Projects,
}

impl Metric {
    /// Every metric, in the schema's order.
    pub const ALL: [Self; 8] = [
        Self::ApiRequests,
        Self::AgentRuns,
        Self::LlmTokens,
        Self::Images,
        Self::VideoSeconds,
        Self::StorageBytes,
        Self::Members,
        Self::Projects,
    ];

    /// The spelling on the wire and in a tier's limits.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiRequests => "API_REQUESTS",
            Self::AgentRuns => "AGENT_RUNS",
            Self::LlmTokens => "LLM_TOKENS",
            Self::Images => "IMAGES",
            Self::VideoSeconds => "VIDEO_SECONDS",
            Self::StorageBytes => "STORAGE_BYTES",
            Self::Members => "MEMBERS",
            Self::Projects => "PROJECTS",
        }
    }

    /// Reads the spelling of the wire.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == text)
    }
}

/// A stretch of days in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub first: NaiveDate,
    /// The day after the last one.
    pub end: NaiveDate,
}

/// Which stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "UsagePeriod")]
pub enum PeriodKind {
    /// Since midnight, UTC.
    Today,
    /// Since the first of the month, UTC.
    CurrentMonth,
    /// The month before.
    PreviousMonth,
}

fn month(day: NaiveDate) -> Period {
    let first = day.with_day(1).unwrap_or(day);
    Period { first, end: first.checked_add_months(Months::new(1)).unwrap_or(first) }
}

impl Period {
    /// The stretch around a moment.
    pub fn of(kind: PeriodKind, now: DateTime<Utc>) -> Self {
        let today = now.date_naive();
        match kind {
            PeriodKind::Today => {
                Self { first: today, end: today.checked_add_days(Days::new(1)).unwrap_or(today) }
            }
            PeriodKind::CurrentMonth => month(today),
            PeriodKind::PreviousMonth => {
                month(month(today).first.checked_sub_days(Days::new(1)).unwrap_or(today))
            }
        }
    }

    /// The month that begins at this moment, if one does.
    pub fn month_from(start: DateTime<Utc>) -> Option<Self> {
        let period = month(start.date_naive());
        (period.start() == start).then_some(period)
    }

    /// The first instant.
    pub fn start(&self) -> DateTime<Utc> {
        self.first.and_time(chrono::NaiveTime::MIN).and_utc()
    }

    /// The first instant after it.
    pub fn end(&self) -> DateTime<Utc> {
        self.end.and_time(chrono::NaiveTime::MIN).and_utc()
    }
}

/// One measured figure.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// What.
    pub metric: Metric,
    /// How much.
    pub used: f64,
    /// The tier's limit, if it has one.
    pub limit: Option<f64>,
    /// Whether the count starts again with the next period.
    pub resets: bool,
}

/// What the transaction's organization uses: what is measured, and nothing that is not.
///
/// # Errors
/// What the database says.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub async fn measure(tx: &mut ReadTx<'_>, period: Period) -> Result<Vec<Measure>> {
    let counts = store::counts(tx, period.first, period.end).await?;
    let limits = store::limits(tx).await?;
    let limit = |metric: Metric| limits.get(metric.as_str()).copied();
    Ok(vec![
        Measure {
            metric: Metric::ApiRequests,
            used: counts.requests as f64,
            limit: limit(Metric::ApiRequests),
            resets: true,
        },
        Measure {
            metric: Metric::StorageBytes,
            used: counts.bytes as f64,
            limit: limit(Metric::StorageBytes),
            resets: false,
        },
        Measure {
            metric: Metric::Members,
            used: counts.members as f64,
            limit: limit(Metric::Members),
            resets: false,
        },
        Measure {
            metric: Metric::Projects,
            used: counts.projects as f64,
            limit: limit(Metric::Projects),
            resets: false,
        },
    ])
}

/// Makes sure that there is room for more members, projects or bytes. Where the tier limits them, those who want the last place
/// at the same time wait for each other, so that it is given away once.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub async fn reserve(tx: &mut WriteTx<'_>, metric: Metric, more: i64) -> Result<()> {
    let Some(limit) = store::limits(tx).await?.get(metric.as_str()).copied() else { return Ok(()) };
    store::lock(tx, metric.as_str()).await?;
    let today = Period::of(PeriodKind::Today, Utc::now());
    let counts = store::counts(tx, today.first, today.end).await?;
    let used = match metric {
        Metric::Members => counts.members,
        Metric::Projects => counts.projects,
        Metric::StorageBytes => counts.bytes,
        _ => return Ok(()),
    };
    if (used + more) as f64 <= limit {
        return Ok(());
    }
    let what = match metric {
        Metric::Members => "members",
        Metric::StorageBytes => "bytes of assets",
        _ => "projects",
    };
    Err(Error::fault(
        Fault::new(
            FaultCode::QuotaExceeded,
            format!("The organization's tier allows {limit} {what}. Remove one, or move to a larger tier."),
        )
        .with(Detail::Quota { metric, limit, used: used as f64 }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_where_the_next_begin() {
        let now = "2026-03-31T23:59:59Z".parse().unwrap();
        assert_eq!(Period::of(PeriodKind::CurrentMonth, now).end().to_rfc3339(), "2026-04-01T00:00:00+00:00");
        assert_eq!(
            Period::of(PeriodKind::PreviousMonth, now).start().to_rfc3339(),
            "2026-02-01T00:00:00+00:00"
        );
        assert_eq!(Period::of(PeriodKind::Today, now).end().to_rfc3339(), "2026-04-01T00:00:00+00:00");
        assert!(Period::month_from("2026-03-01T00:00:00Z".parse().unwrap()).is_some());
        assert!(Period::month_from("2026-03-02T00:00:00Z".parse().unwrap()).is_none());
    }
}
