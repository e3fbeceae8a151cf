//! What an organization uses, measured, and the limits of its tier.

pub mod graphql;
mod store;

use std::ops::Add;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use self::store::Limits;
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

    /// Whether it is counted, and starts again with every month; else it is what is there.
    pub const fn is_monthly(self) -> bool {
        match self {
            Self::ApiRequests | Self::AgentRuns | Self::LlmTokens | Self::Images | Self::VideoSeconds => true,
            Self::StorageBytes | Self::Members | Self::Projects => false,
        }
    }

    /// Many of it, for people.
    const fn plural(self) -> &'static str {
        match self {
            Self::ApiRequests => "requests",
            Self::AgentRuns => "runs of agents",
            Self::LlmTokens => "tokens of language models",
            Self::Images => "pictures",
            Self::VideoSeconds => "seconds of video",
            Self::StorageBytes => "bytes of assets",
            Self::Members => "members",
            Self::Projects => "projects",
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

    /// Whether it is a whole month.
    pub fn is_month(&self) -> bool {
        month(self.first) == *self
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
    /// How much, with what running work has reserved.
    pub used: f64,
    /// The tier's limit, if it has one.
    pub limit: Option<f64>,
}

/// What the transaction's organization uses.
///
/// # Errors
/// What the database says.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub async fn measure(tx: &mut ReadTx<'_>, period: Period) -> Result<Vec<Measure>> {
    let counts = store::counts(tx, period.first, period.end).await?;
    let limits = store::limits(tx).await?;
    let measure = |metric: Metric| Measure {
        metric,
        used: counts.of(metric) as f64,
        // A month's limit says nothing about a day.
        limit: limits.get(metric.as_str()).copied().filter(|_| !metric.is_monthly() || period.is_month()),
    };
    Ok(Metric::ALL.into_iter().map(measure).collect())
}

/// What work takes of what is limited by the month. On the wire of the database, amounts of nothing are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct Amounts {
    /// Runs of agents.
    #[serde(skip_serializing_if = "is_nothing")]
    pub agent_runs: i64,
    /// Tokens of language models.
    #[serde(skip_serializing_if = "is_nothing")]
    pub llm_tokens: i64,
    /// Pictures.
    #[serde(skip_serializing_if = "is_nothing")]
    pub images: i64,
    /// Seconds of video, rounded up.
    #[serde(skip_serializing_if = "is_nothing")]
    pub video_seconds: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_nothing(amount: &i64) -> bool {
    *amount == 0
}

impl Amounts {
    /// One run of an agent.
    pub const RUN: Self = Self { agent_runs: 1, llm_tokens: 0, images: 0, video_seconds: 0 };

    /// That many tokens.
    pub fn tokens(count: u64) -> Self {
        Self { llm_tokens: i64::try_from(count).unwrap_or(i64::MAX), ..Self::default() }
    }

    /// These, so many times.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        let many = |one: i64| one.saturating_mul(count.into());
        Self {
            agent_runs: many(self.agent_runs),
            llm_tokens: many(self.llm_tokens),
            images: many(self.images),
            video_seconds: many(self.video_seconds),
        }
    }

    /// What these are more than others.
    #[must_use]
    pub fn beyond(self, other: Self) -> Self {
        let more = |one: i64, other: i64| one.saturating_sub(other).max(0);
        Self {
            agent_runs: more(self.agent_runs, other.agent_runs),
            llm_tokens: more(self.llm_tokens, other.llm_tokens),
            images: more(self.images, other.images),
            video_seconds: more(self.video_seconds, other.video_seconds),
        }
    }

    const fn list(self) -> [(Metric, i64); 4] {
        [
            (Metric::AgentRuns, self.agent_runs),
            (Metric::LlmTokens, self.llm_tokens),
            (Metric::Images, self.images),
            (Metric::VideoSeconds, self.video_seconds),
        ]
    }
}

impl Add for Amounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            agent_runs: self.agent_runs.saturating_add(other.agent_runs),
            llm_tokens: self.llm_tokens.saturating_add(other.llm_tokens),
            images: self.images.saturating_add(other.images),
            video_seconds: self.video_seconds.saturating_add(other.video_seconds),
        }
    }
}

/// Makes sure that there is room for more members, projects or bytes. Where the tier limits them, those who want the last place
/// at the same time wait for each other, so that it is given away once.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub async fn reserve(tx: &mut WriteTx<'_>, metric: Metric, more: i64) -> Result<()> {
    let limits = store::limits(tx).await?;
    reserve_within(tx, &limits, &[(metric, more)]).await
}

/// Makes sure that there is room for what work may take this month, as [`reserve`] does. It is counted once it stands in a
/// row of jobs.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub async fn reserve_work(tx: &mut WriteTx<'_>, amounts: Amounts) -> Result<()> {
    if amounts == Amounts::default() {
        return Ok(());
    }
    let limits = store::limits(tx).await?;
    reserve_within(tx, &limits, &amounts.list()).await
}

async fn reserve_within(tx: &mut WriteTx<'_>, limits: &Limits, wanted: &[(Metric, i64)]) -> Result<()> {
    let limited = |(metric, more): &&(Metric, i64)| *more > 0 && limits.contains_key(metric.as_str());
    // In one order for everybody, so that nobody waits in a circle.
    for (metric, _) in wanted.iter().filter(limited) {
        tx.take_turn(metric.as_str()).await?;
    }
    check(tx, limits, wanted).await
}

/// Whether there is room for what work may take this month. It may be gone a moment later: [`reserve_work`] keeps it.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub async fn require_room(tx: &mut ReadTx<'_>, amounts: Amounts) -> Result<()> {
    let limits = store::limits(tx).await?;
    check(tx, &limits, &amounts.list()).await
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
async fn check(tx: &mut ReadTx<'_>, limits: &Limits, wanted: &[(Metric, i64)]) -> Result<()> {
    let limited = |metric: Metric| limits.get(metric.as_str()).copied();
    if !wanted.iter().any(|(metric, more)| *more > 0 && limited(*metric).is_some()) {
        return Ok(());
    }
    let month = Period::of(PeriodKind::CurrentMonth, Utc::now());
    let counts = store::counts(tx, month.first, month.end).await?;
    for (metric, more) in wanted.iter().copied().filter(|(_, more)| *more > 0) {
        let Some(limit) = limited(metric) else { continue };
        let (used, needed) = (counts.of(metric), counts.of(metric).saturating_add(more));
        if needed as f64 <= limit {
            continue;
        }
        let required_tier = store::tier_with(tx, metric.as_str(), needed as f64).await?;
        let detail = Detail::Quota {
            metric,
            limit,
            used: used as f64,
            resets_at: metric.is_monthly().then(|| month.end()),
            required_tier,
        };
        let message = exceeded(metric, limit, used, more, month);
        return Err(Error::fault(Fault::new(FaultCode::QuotaExceeded, message).with(detail)));
    }
    Ok(())
}

fn exceeded(metric: Metric, limit: f64, used: i64, more: i64, month: Period) -> String {
    let what = metric.plural();
    if metric.is_monthly() {
        let next = month.end.format("%-d %B %Y");
        return format!(
            "The organization's tier allows {limit} {what} a month. {used} are used or reserved, and this may take {more}. Ask for less, wait until {next}, or move to a larger tier."
        );
    }
    format!("The organization's tier allows {limit} {what}. Remove one, or move to a larger tier.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_added_and_compared_each_for_itself() {
        let one = Amounts { agent_runs: 1, images: 3, ..Amounts::default() };
        let both = one + Amounts::tokens(7) + Amounts::RUN;
        assert_eq!(
            serde_json::to_value(both).unwrap(),
            serde_json::json!({"AGENT_RUNS": 2, "LLM_TOKENS": 7, "IMAGES": 3})
        );
        assert_eq!(both.beyond(one), Amounts { agent_runs: 1, llm_tokens: 7, ..Amounts::default() });
        assert_eq!(one.beyond(both), Amounts::default());
        assert_eq!(Amounts::tokens(u64::MAX) + Amounts::tokens(1), Amounts::tokens(u64::MAX));
        // What is counted is what the tiers limit by the month.
        for (metric, _) in both.list() {
            assert!(metric.is_monthly(), "{metric:?}");
        }
    }

    #[test]
    fn what_is_over_the_limit_is_a_sentence() {
        let month = Period::of(PeriodKind::CurrentMonth, "2026-03-31T23:59:59Z".parse().unwrap());
        assert_eq!(
            exceeded(Metric::Images, 500.0, 497, 5, month),
            "The organization's tier allows 500 pictures a month. 497 are used or reserved, and this may take 5. Ask for less, wait until 1 April 2026, or move to a larger tier."
        );
    }

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
