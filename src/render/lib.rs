//! The engines of visual posts and videos: texts and pictures become slides and films, in process and without a provider.
//!
//! Pure functions of their input: no database, no network, no clock. It is a crate of its own because it computes on pixels,
//! and is optimised in every build: `cargo run` shall not draw many times slower than `cargo run --release`.

pub mod videos;
pub mod visuals;

pub use aicos_retrieval::Language;
