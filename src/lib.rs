//! aicos: a multi-tenant GraphQL API server for AI content teams.

#[macro_use]
pub mod db;

pub mod access;
pub mod api_keys;
pub mod app;
pub mod audit;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod graphql;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod identity;
pub mod input;
pub mod invitations;
pub mod mail;
pub mod memberships;
pub mod organizations;
pub mod postgres;
pub mod projects;
pub mod telemetry;
pub mod usage;
