//! The whole engine over documents in memory.

mod memory;
