//! The channels that content goes to, each a service that accounts may be of.

use serde::{Deserialize, Serialize};

/// Where a post is published.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, async_graphql::Enum,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Channel {
    /// Instagram.
    Instagram,
    /// Threads.
    Threads,
    /// The network X, once Twitter.
    X,
    /// The network for professions.
    Linkedin,
    /// Facebook.
    Facebook,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Instagram, Self::Threads, Self::X, Self::Linkedin, Self::Facebook];

    /// Its name as it writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instagram => "Instagram",
            Self::Threads => "Threads",
            Self::X => "X",
            Self::Linkedin => "LinkedIn",
            Self::Facebook => "Facebook",
        }
    }

    /// Its name on the wire.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Instagram => "INSTAGRAM",
            Self::Threads => "THREADS",
            Self::X => "X",
            Self::Linkedin => "LINKEDIN",
            Self::Facebook => "FACEBOOK",
        }
    }
}
