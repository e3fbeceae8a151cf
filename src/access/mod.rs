//! Who may do what: pure rules, no SQL.

pub mod policy;

pub use policy::{Action, Permission, Permissions, Role};
