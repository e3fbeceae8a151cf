//! aicos: a multi-tenant GraphQL API server for AI content teams.

pub mod access;
pub mod db;
pub mod error;
pub mod id;
pub mod usage;
