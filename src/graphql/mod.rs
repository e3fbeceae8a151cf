//! Assembly of the GraphQL API.

pub mod document;
pub mod execute;
