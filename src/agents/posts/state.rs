//! The states of a post and the ways between them. Who may take a way is decided elsewhere.

use serde::{Deserialize, Serialize};

/// Where a post stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PostState {
    /// It is being written.
    #[default]
    Draft,
    /// Somebody is asked to approve it.
    InReview,
    /// It may be published.
    Approved,
    /// It has a time at which it is published.
    Scheduled,
    /// It is public; nothing follows.
    Published,
    /// Publishing it failed.
    Failed,
}

/// A way that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A post that is {from} cannot become {to}.")]
pub struct NoWay {
    /// Where the post stands.
    pub from: PostState,
    /// Where it was to go.
    pub to: PostState,
}

impl std::fmt::Display for PostState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Draft => "a draft",
            Self::InReview => "in review",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Published => "published",
            Self::Failed => "failed",
        })
    }
}

impl PostState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Draft, Self::InReview, Self::Approved, Self::Scheduled, Self::Published, Self::Failed];

    /// Where a post can go from here: forward by one, back to where a change of mind leads, and after a failure again to
    /// the schedule.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::InReview],
            Self::InReview => &[Self::Approved, Self::Draft],
            Self::Scheduled => &[Self::Published, Self::Failed, Self::Approved],
            Self::Approved | Self::Failed => &[Self::Scheduled, Self::Draft],
            Self::Published => &[],
        }
    }

    /// The state after a move.
    ///
    /// # Errors
    /// There is no such way; staying is none either.
    pub fn go(self, to: Self) -> Result<Self, NoWay> {
        if self.next().contains(&to) { Ok(to) } else { Err(NoWay { from: self, to }) }
    }

    /// Where a post stands after its text was changed: what was approved was the text, so that it is a draft again. None
    /// when the text can no longer be changed.
    pub const fn edited(self) -> Option<Self> {
        match self {
            Self::Draft | Self::InReview | Self::Approved | Self::Failed => Some(Self::Draft),
            Self::Scheduled | Self::Published => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_goes_all_the_way() {
        let way = [PostState::InReview, PostState::Approved, PostState::Scheduled, PostState::Published];
        let end = way.into_iter().try_fold(PostState::Draft, PostState::go);
        assert_eq!(end, Ok(PostState::Published));
        assert_eq!(PostState::Scheduled.go(PostState::Failed), Ok(PostState::Failed));
        assert_eq!(PostState::Failed.go(PostState::Scheduled), Ok(PostState::Scheduled));
    }

    #[test]
    fn nothing_is_published_without_approval() {
        for from in PostState::ALL {
            let published = from.go(PostState::Published).is_ok();
            assert_eq!(published, from == PostState::Scheduled, "{from:?}");
            let scheduled = from.go(PostState::Scheduled).is_ok();
            assert_eq!(scheduled, matches!(from, PostState::Approved | PostState::Failed), "{from:?}");
            assert!(from.go(from).is_err(), "staying is no way");
            assert!(PostState::Published.go(from).is_err());
        }
        let refused = PostState::Draft.go(PostState::Approved).unwrap_err();
        assert_eq!(refused.to_string(), "A post that is a draft cannot become approved.");
    }

    #[test]
    fn a_change_needs_a_new_approval() {
        assert_eq!(PostState::Approved.edited(), Some(PostState::Draft));
        assert_eq!(PostState::Scheduled.edited(), None);
        assert_eq!(serde_json::to_string(&PostState::InReview).unwrap(), "\"IN_REVIEW\"");
    }
}
