//! Assembly of the GraphQL API.

pub mod document;
pub mod execute;
#[cfg(test)]
pub(crate) mod toy;
