//! Every integration test, in one binary that links once.
//!
//! They talk to a real PostgreSQL as the role that serves. The cluster is private, made anew for each run, and stopped
//! when the run ends.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by failing")]
#![expect(clippy::too_many_lines, reason = "a scenario is told from its beginning to its end")]

mod support;

mod agents;
mod ahead;
mod answers;
mod api_keys;
mod assets;
mod attacks;
mod audit;
mod audit_chain;
mod catalogue;
mod concurrency;
mod conversations;
mod database;
mod day;
mod documents;
mod doorway;
mod edge;
mod embeddings;
mod engine;
mod evaluation;
mod events;
mod failure;
mod flows;
mod formats;
mod identity;
mod invitations;
mod jobs;
mod knowledge;
mod limits;
mod live;
mod mail;
mod models;
mod observability;
mod organizations;
mod periods;
mod permissions;
mod previews;
mod projects;
mod providers;
mod publications;
mod rate_limits;
mod readme;
mod schedules;
mod schema;
mod secrets;
mod statements;
mod strategy;
mod tenancy;
mod tidy;
mod usage;
mod videos;
mod videos_apart;
mod videos_filmed;
mod videos_spoken;
mod visuals;
mod visuals_painted;
mod webhooks;
mod workflows;
mod workflows_each;
