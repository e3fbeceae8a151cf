//! aicos: a multi-tenant GraphQL API server for AI content teams.

pub mod access;
pub mod error;
pub mod graphql;
pub mod http;
pub mod id;
pub mod usage;
