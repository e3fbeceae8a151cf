//! aicos: a multi-tenant GraphQL API server for AI content teams.
//!
//! # The map
//!
//! | room | what it is | what it may know |
//! |---|---|---|
//! | [`access`] | who may do what: roles, permissions, actions, scopes | nothing below it |
//! | [`events`] | what has happened, to whoever listens: hints, in this process and across | nothing but ids |
//! | [`db`] | the doorway: a request's hold on the database, and the transactions that leave it | `access`, `events` |
//! | [`identity`] | people, sessions, passwords, tokens; makes callers and scopes | `db` |
//! | [`organizations`], [`memberships`], [`invitations`], [`projects`], [`api_keys`], [`providers`], [`accounts`], [`webhooks`], [`audit`], [`usage`] | one folder per entity: `mod.rs` has the words, `store.rs` the SQL, `graphql.rs` the schema | each other's `mod.rs` |
//! | [`jobs`] | work that outlives a request: enqueued in its change's transaction, claimed fairly, fenced by its attempt | `db`, `identity` |
//! | [`schedules`] | runs of workflows at set times, in the name of whoever set them | `jobs`, `agents` |
//! | [`knowledge`] | documents, their versions and passages, the search in them by words, and by vectors that a model makes | `jobs`, `providers`, `retrieval` |
//! | [`assets`] | files: uploads, what they really are, and what is left of them | `jobs`, `storage` |
//! | [`storage`] | object storage, a folder or a bucket, and a tenant's part of it | `access` |
//! | [`agents`] | what makes content, one folder each, and what they leave behind | `jobs`, `knowledge`, `providers`, `accounts` |
//! | [`engine`] | outside providers of models: the port, the wire formats, the prices | nothing of aicos |
//! | [`apart`] | this program once more, in processes without secrets, to read what strangers have made | nothing of aicos |
//! | [`graphql`] | the schema put together; the check of documents; a request's [`Door`](graphql::context::Door) | the entities |
//! | [`http`] | addresses, GraphQL over HTTP, sockets and event streams, limits, draining | `graphql` |
//! | [`retrieval`] | documents in, questions in, exact quotations out: the built-in engine, a crate of its own | nothing of aicos |
//! | [`telemetry`] | logs, figures and traces: what each says stands in one file | `error` alone |
//! | [`postgres`] | the private cluster: find it, start it, stop it | nothing of aicos |
//! | [`app`] | settings in, a running server out | everything |
//! | [`cli`] | the command line | everything |
//!
//! Read [`access::policy`] first, then [`db`] and [`graphql::context`]: what keeps tenants apart is there, and the rest is
//! written on top of it. `tests/tidy.rs` holds the arrows between the rooms.
//!
//! # Four walks
//!
//! **Sign in.** [`http::gate`] finds no credential and makes a door without a caller. The mutation `login` asks
//! [`identity::Identity::sign_in`], which looks the address up through the gate's function `app.find_login` (no table is
//! readable yet), gives the connection back while the password is hashed, opens a transaction as the person
//! ([`db::Lease::identify`]), writes the session and its security event, and signs an access token.
//!
//! **Create a project.** The token becomes a caller without a look-up. The guard on `projectCreate` takes the caller's scope
//! from the cache and compares it with [`access::Action::ProjectCreate`]; the resolver hands one statement to
//! [`db::Lease::call_write`]. In the database `app.enter` verifies the session, the membership and its version, sets the
//! tenant, and the same statement inserts the project, under row-level security, and its audit row. Had the caller's rights
//! changed since the scope was made, `app.enter` would raise, and the scope would be made again, once.
//!
//! **Ask a question.** `qaAsk` writes the job and its audit row in one transaction, which also wakes a worker. A worker
//! claims whichever job is next in the line of all organizations, reads again what its creator may do, and enters their
//! organization by `app.enter_job`. It searches, lets go of the connection, thinks, and in one transaction compares every
//! quotation with the stored text, saves the answer with its audit row, and ends the job; whoever has lost the job's
//! lease meanwhile changes nothing. The resolver has waited without a connection for the job's event.
//!
//! **Read a page of the audit log.** `organization` proves that the caller belongs to it; `auditLog` asks whether they may
//! read it, reads the page's cursor with the list's own seal, and runs the query through the one-statement door, or in the
//! request's read-only transaction when other fields have opened one.
//!
//! **Follow an organization.** A socket says who is there; each of its operations is admitted, checked and charged like a
//! request. The subscription listens to the organization's topic in [`events`], reads what is there, and lets go of its
//! connection and its rights ([`graphql::live`]). A commit of anybody's publishes a hint, which also reaches the other
//! processes; the subscription wakes, enters anew, and sends what it finds. Twice a second [`http::live`] asks the database
//! in one statement which of all the callers are no longer who they were.

// An optimised build lays out the schema's merged objects in one another, one for each entity.
#![recursion_limit = "512"]

#[macro_use]
pub mod db;

pub use aicos_retrieval as retrieval;

pub mod access;
pub mod accounts;
pub mod agents;
pub mod apart;
pub mod api_keys;
pub mod app;
pub mod assets;
pub mod audit;
pub mod cli;
pub mod config;
pub mod counters;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod events;
pub mod graphql;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod identity;
pub mod input;
pub mod invitations;
pub mod jobs;
pub mod knowledge;
pub mod mail;
pub mod memberships;
pub mod organizations;
pub mod periods;
pub mod postgres;
pub mod projects;
pub mod providers;
pub mod schedules;
pub mod storage;
pub mod telemetry;
pub mod usage;
pub mod webhooks;
