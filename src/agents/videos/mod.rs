//! The agent that makes videos.

pub mod builtin;
