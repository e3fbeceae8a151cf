//! Footage that a model films: what is asked, and what comes of it. It takes minutes, so it comes in three steps: a clip is
//! asked for, looked at from time to time by a ticket that can be kept, and fetched once it is there.

use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Failure, Kind, Provider};

/// Bytes of a clip at the most.
pub const CLIP_BYTES: usize = 200 << 20;
/// How many seconds of footage can be asked for.
pub const SECONDS: RangeInclusive<u32> = 3..=10;
/// Bytes of a prompt at the most: a thousand characters of any script, and what is said around them.
const PROMPT_BYTES: usize = 8_000;

/// The shape of footage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aspect {
    /// 9:16.
    Upright,
    /// 4:5.
    Portrait,
    /// 1:1.
    Square,
}

impl Aspect {
    /// The shape that is nearest to a size.
    pub const fn of((width, height): (u32, u32)) -> Self {
        if width >= height {
            Self::Square
        } else if width * 3 >= height * 2 {
            Self::Portrait
        } else {
            Self::Upright
        }
    }

    /// Its names, and those of the next shapes that it can be cut out of.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Upright => &["9:16"],
            Self::Portrait => &["4:5", "3:4", "9:16"],
            Self::Square => &["1:1"],
        }
    }
}

/// What a model is asked to film. What is said beside the prompt is kept to as far as the model can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FootageRequest {
    /// The model's name at the provider.
    pub model: String,
    /// What the footage shows.
    pub prompt: String,
    /// How long it lasts.
    pub seconds: u32,
    /// Its shape.
    pub aspect: Aspect,
    /// Asks for the same footage to the same words.
    pub seed: Option<u32>,
}

/// What footage goes by at its provider while it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(String);

/// Where footage stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Filming {
    /// It waits for its turn.
    Waiting,
    /// It is being made.
    Working {
        /// How far it is, from 0 to 1, where the provider says.
        progress: Option<f32>,
    },
    /// It is there.
    Done(Clip),
    /// It came to nothing, and nothing more will come of it.
    Ended(Failure),
}

/// Footage that is there, and not fetched yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Where.
    pub(super) url: Url,
    /// How long the model has worked, in seconds, where the provider says.
    pub worked: Option<f64>,
}

/// A provider's models that film.
pub trait FootageEngine: Send + Sync {
    /// Asks for footage. It is paid for from now on, unless this fails.
    ///
    /// # Errors
    /// A [`Failure`] of any kind. After one that came instead of an answer, it may be asked for all the same:
    /// [`FootageEngine::find`] tells.
    fn submit<'a>(&'a self, request: &'a FootageRequest) -> BoxFuture<'a, Result<Ticket, Failure>>;

    /// Footage that was asked for like this, at this time or later, and is made or being made.
    ///
    /// # Errors
    /// A [`Failure`] of any kind.
    fn find<'a>(
        &'a self,
        request: &'a FootageRequest,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Option<Ticket>, Failure>>;

    /// Where footage stands.
    ///
    /// # Errors
    /// A [`Failure`] of any kind, which says nothing of the footage.
    fn poll<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Filming, Failure>>;

    /// Fetches a clip, of [`CLIP_BYTES`] at the most: it begins like MP4; whether it can be shown, nobody has looked yet.
    ///
    /// # Errors
    /// A [`Failure`] of any kind.
    fn download<'a>(&'a self, clip: &'a Clip) -> BoxFuture<'a, Result<Bytes, Failure>>;

    /// Says that footage is not wanted any more.
    ///
    /// # Errors
    /// A [`Failure`] of any kind.
    fn cancel<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<(), Failure>>;
}

impl FootageRequest {
    /// Refuses what every provider would refuse, without asking one.
    pub(super) fn check(&self, provider: Provider) -> Result<(), Failure> {
        super::check_model(provider, &self.model)?;
        let rejected = |message| Err(Failure::new(provider, Kind::Rejected, message));
        if self.prompt.trim().is_empty() || self.prompt.len() > PROMPT_BYTES {
            return rejected(
                "What the footage shows is empty, or too long for any model. Say it in fewer words.",
            );
        }
        if !SECONDS.contains(&self.seconds) {
            return rejected("Footage lasts 3 to 10 seconds. Ask for as many.");
        }
        Ok(())
    }
}

impl Ticket {
    /// What a provider calls it: none when that is no name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=100).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        is_name.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a file begins like MP4 or `QuickTime`.
pub(super) fn is_clip(bytes: &[u8]) -> bool {
    let known = infer::get(bytes).map(|found| found.mime_type());
    matches!(known, Some("video/mp4" | "video/quicktime" | "video/x-m4v"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_s_size_has_the_nearest_shape() {
        for (size, aspect) in [
            ((1080, 1920), Aspect::Upright),
            ((720, 1280), Aspect::Upright),
            ((1080, 1350), Aspect::Portrait),
            ((1080, 1080), Aspect::Square),
            ((1200, 630), Aspect::Square),
        ] {
            assert_eq!(Aspect::of(size), aspect, "{size:?}");
        }
    }

    #[test]
    fn a_ticket_is_part_of_an_address_and_leads_nowhere_else() {
        assert!(Ticket::parse("gm3qorzdhgbfurvjtvhg6dckhu").is_some());
        for text in ["", "..", "a/b", "a?b", "a b", "ä", &"x".repeat(101)] {
            assert_eq!(Ticket::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_no_model_takes_is_not_asked_for() {
        let good = FootageRequest {
            model: "owner/name".to_owned(),
            prompt: "a lake".to_owned(),
            seconds: 5,
            aspect: Aspect::Upright,
            seed: None,
        };
        let refused = |request: FootageRequest| request.check(Provider::Replicate).is_err();
        assert!(!refused(good.clone()));
        for wrong in [
            FootageRequest { model: " ".to_owned(), ..good.clone() },
            FootageRequest { prompt: " ".to_owned(), ..good.clone() },
            FootageRequest { prompt: "x".repeat(8_001), ..good.clone() },
            FootageRequest { seconds: 2, ..good.clone() },
            FootageRequest { seconds: 11, ..good },
        ] {
            assert!(refused(wrong.clone()), "{} {}", wrong.model, wrong.seconds);
        }
    }
}
