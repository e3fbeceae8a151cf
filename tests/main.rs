//! Every integration test, in one binary that links once.
//!
//! They talk to a real PostgreSQL as the role that serves. The cluster is private, made anew for each run, and stopped
//! when the run ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by failing")]
#![expect(clippy::missing_panics_doc, reason = "helpers of tests fail the test")]

mod support;

mod api_keys;
mod audit;
mod audit_chain;
mod catalogue;
mod concurrency;
mod database;
mod doorway;
mod flows;
mod identity;
mod invitations;
mod limits;
mod mail;
mod organizations;
mod permissions;
mod projects;
mod readme;
mod schema;
mod statements;
mod tenancy;
mod tidy;
