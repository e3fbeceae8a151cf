//! The agent that makes pictures with text.

pub mod builtin;
