//! What an organization uses, measured.

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
#[graphql(name = "UsageMetricKind")]
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
