//! Every integration test, in one binary that links once.
//!
//! They talk to a real PostgreSQL as the role that serves. The cluster is private, made anew for each run, and stopped
//! when the run ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by failing")]
#![expect(clippy::missing_panics_doc, reason = "helpers of tests fail the test")]

mod support;

mod ahead;
mod catalogue;
mod doorway;
mod flows;
mod mail;
mod readme;
mod schema;
mod statements;
mod tenancy;
mod tidy;
