//! Every integration test, in one binary that links once.
//!
//! They talk to a real PostgreSQL as the role that serves. The cluster is private, made anew for each run, and stopped
//! when the run ends.

mod support;

mod audit_chain;
mod catalogue;
mod concurrency;
mod database;
mod doorway;
mod flows;
mod mail;
mod schema;
