//! What the Graph API's errors mean: one table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::graph::{Complaint, Trouble};

/// Why something is not, or not yet, published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// In a word.
    pub code: String,
    /// As a sentence.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether trying again may help.
    pub retryable: bool,
    /// Instagram's own code, when it is about an answer of Instagram's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

impl Problem {
    /// One that was found here.
    pub fn new(code: &str, message: impl Into<String>, remedy: &str) -> Self {
        let (code, message, remedy) = (code.to_owned(), message.into(), remedy.to_owned());
        Self { code, message, remedy, retryable: false, said: None }
    }
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same may succeed in a while.
    Retry,
    /// There is room again later: the limit of a day, or of calls.
    Wait,
    /// The container is not ready yet.
    NotReady,
    /// The container is gone; another one can be made.
    Recreate,
    /// The file is not accepted.
    FixMedia,
    /// The text, or how the parts fit together, is not accepted.
    FixText,
    /// Instagram has limited the account, or the app may not do this.
    Account,
    /// The token is no longer good.
    Reconnect,
    /// Anything else that is refused.
    Refused,
}

impl Kind {
    /// Whether trying again may help, without anybody changing anything.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Retry | Self::Wait | Self::NotReady | Self::Recreate)
    }
}

/// An error, as far as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// What follows.
    pub kind: Kind,
    /// What people are told.
    pub problem: Problem,
    /// How long Instagram asks to wait.
    pub after: Option<Duration>,
}

struct Rule {
    code: Option<i64>,
    subcode: Option<i64>,
    kind: Kind,
    word: &'static str,
    message: &'static str,
    remedy: &'static str,
}

const fn sub(
    subcode: i64,
    kind: Kind,
    word: &'static str,
    message: &'static str,
    remedy: &'static str,
) -> Rule {
    Rule { code: None, subcode: Some(subcode), kind, word, message, remedy }
}

const fn code(
    code: i64,
    kind: Kind,
    word: &'static str,
    message: &'static str,
    remedy: &'static str,
) -> Rule {
    Rule { code: Some(code), subcode: None, kind, word, message, remedy }
}

const LATER: &str = "It is tried again by itself.";
const RECONNECT: &str = "Get a new token and give it to the account with `accountUpdate`.";

/// A subcode says more than its code, so those stand first.
const TABLE: &[Rule] = &[
    sub(
        2_207_052,
        Kind::Retry,
        "MEDIA_NOT_FETCHED",
        "Instagram could not fetch the file.",
        "It is tried again by itself. If it stays so, see that AICOS_PUBLIC_URL, or the bucket, can be reached from the internet.",
    ),
    sub(2_207_082, Kind::Retry, "PROCESSING_FAILED", "Instagram could not process the file just now.", LATER),
    sub(2_207_003, Kind::Retry, "FETCH_TIMED_OUT", "Instagram took too long to fetch the file.", LATER),
    sub(2_207_032, Kind::Retry, "UNKNOWN", "Instagram failed without saying why.", LATER),
    sub(2_207_053, Kind::Retry, "UNKNOWN", "Instagram failed without saying why.", LATER),
    sub(2_207_027, Kind::NotReady, "NOT_READY", "Instagram is still processing the file.", LATER),
    sub(
        2_207_026,
        Kind::FixMedia,
        "VIDEO_FORMAT",
        "Instagram does not take this kind of video.",
        "Send an MP4 with H.264 video and AAC sound.",
    ),
    sub(
        2_207_005,
        Kind::FixMedia,
        "IMAGE_FORMAT",
        "Instagram does not take this kind of picture.",
        "Send a JPEG.",
    ),
    sub(
        2_207_004,
        Kind::FixMedia,
        "TOO_LARGE",
        "The file is too large for Instagram.",
        "Send one of at most 8 MiB.",
    ),
    sub(
        2_207_009,
        Kind::FixMedia,
        "ASPECT",
        "The picture is too tall or too wide for Instagram.",
        "Crop it to between 4:5 and 1.91:1.",
    ),
    sub(
        2_207_057,
        Kind::FixMedia,
        "COVER",
        "The moment of the cover lies outside of the video.",
        "Choose a moment within it.",
    ),
    sub(
        2_207_085,
        Kind::FixMedia,
        "VIDEO_UNUSABLE",
        "Instagram cannot process the video.",
        "Encode it again as H.264 in an MP4.",
    ),
    sub(
        2_207_010,
        Kind::FixText,
        "CAPTION",
        "Instagram does not take the caption.",
        "Shorten it, or take hashtags and mentions out.",
    ),
    sub(
        2_207_028,
        Kind::FixText,
        "CAROUSEL",
        "Instagram does not take the carousel.",
        "Give it 2 to 10 pictures and videos.",
    ),
    sub(2_207_020, Kind::Recreate, "CONTAINER_EXPIRED", "What was uploaded has expired.", LATER),
    sub(2_207_008, Kind::Recreate, "CONTAINER_EXPIRED", "What was uploaded has expired.", LATER),
    sub(2_207_006, Kind::Recreate, "CONTAINER_GONE", "What was uploaded cannot be found any more.", LATER),
    sub(
        2_207_042,
        Kind::Wait,
        "QUOTA_USED_UP",
        "The account has published as much as Instagram allows in a day.",
        "It goes on by itself when there is room again.",
    ),
    sub(
        2_207_050,
        Kind::Account,
        "ACCOUNT_RESTRICTED",
        "Instagram has restricted the account.",
        "Sign in to Instagram's app and do what it asks for.",
    ),
    sub(
        2_207_001,
        Kind::Account,
        "SPAM",
        "Instagram takes this for spam.",
        "Change the caption, and wait before you publish again.",
    ),
    sub(
        2_207_051,
        Kind::Account,
        "BLOCKED",
        "Instagram has blocked the account from publishing.",
        "Sign in to Instagram's app and do what it asks for.",
    ),
    sub(
        2_207_081,
        Kind::Account,
        "NO_TRIAL_REELS",
        "The account cannot publish trial reels.",
        "Publish it as an ordinary reel.",
    ),
    // It stands for a missing permission and for failures of Meta's alike.
    sub(
        33,
        Kind::Retry,
        "NOT_FOUND_OR_NOT_ALLOWED",
        "Instagram says that it does not know this, or that the token may not see it.",
        "It is tried again by itself. If it stays so, test the account with `accountTest`.",
    ),
    code(190, Kind::Reconnect, "TOKEN_REJECTED", "Instagram does not accept the account's token.", RECONNECT),
    code(102, Kind::Reconnect, "TOKEN_REJECTED", "Instagram does not accept the account's token.", RECONNECT),
    code(
        10,
        Kind::Account,
        "NOT_PERMITTED",
        "The token does not allow this.",
        "Give the account a token that has the permission for this with `accountUpdate`.",
    ),
    code(
        200,
        Kind::Account,
        "NOT_PERMITTED",
        "The token does not allow this.",
        "Give the account a token that has the permission for this with `accountUpdate`.",
    ),
    code(
        36_003,
        Kind::FixMedia,
        "ASPECT",
        "The picture is too tall or too wide for Instagram.",
        "Crop it to between 4:5 and 1.91:1.",
    ),
    code(
        9_004,
        Kind::Retry,
        "MEDIA_NOT_FETCHED",
        "Instagram could not fetch the file.",
        "It is tried again by itself. If it stays so, see that AICOS_PUBLIC_URL, or the bucket, can be reached from the internet.",
    ),
    code(9_007, Kind::NotReady, "NOT_READY", "Instagram is still processing the file.", LATER),
    code(9, Kind::Wait, "QUOTA_USED_UP", "Instagram allows no more for now.", "It goes on by itself later."),
    code(4, Kind::Wait, "RATE_LIMITED", "Instagram has had too many calls.", "It goes on by itself later."),
    code(17, Kind::Wait, "RATE_LIMITED", "Instagram has had too many calls.", "It goes on by itself later."),
    code(32, Kind::Wait, "RATE_LIMITED", "Instagram has had too many calls.", "It goes on by itself later."),
    code(613, Kind::Wait, "RATE_LIMITED", "Instagram has had too many calls.", "It goes on by itself later."),
    code(1, Kind::Retry, "UNKNOWN", "Instagram failed without saying why.", LATER),
    code(2, Kind::Retry, "UNAVAILABLE", "Instagram is not available just now.", LATER),
];

fn rule(code: i64, subcode: Option<i64>) -> Option<&'static Rule> {
    let by_subcode = TABLE.iter().find(|rule| rule.subcode.is_some() && rule.subcode == subcode);
    by_subcode.or_else(|| TABLE.iter().find(|rule| rule.code == Some(code)))
}

fn understood(complaint: &Complaint) -> Meaning {
    let Complaint { code, subcode, .. } = *complaint;
    let (kind, word, message, remedy) = match rule(code, subcode) {
        Some(rule) => (rule.kind, rule.word, rule.message, rule.remedy),
        None if complaint.transient || complaint.status >= 500 => {
            (Kind::Retry, "UNAVAILABLE", "Instagram is not available just now.", LATER)
        }
        None if complaint.status == 429 => {
            (Kind::Wait, "RATE_LIMITED", "Instagram has had too many calls.", "It goes on by itself later.")
        }
        None if complaint.message.contains("REVOKED_ACCESS_TOKEN") => {
            (Kind::Reconnect, "TOKEN_REJECTED", "Instagram does not accept the account's token.", RECONNECT)
        }
        None => (
            Kind::Refused,
            "REFUSED",
            "Instagram does not accept this.",
            "See what it says, change it, and publish again.",
        ),
    };
    let said =
        if complaint.message.is_empty() { String::new() } else { format!(" It says: {}", complaint.message) };
    let number = match subcode {
        Some(subcode) => format!("{code}/{subcode}"),
        None => code.to_string(),
    };
    let problem = Problem {
        code: word.to_owned(),
        message: format!("{message}{said}"),
        remedy: remedy.to_owned(),
        retryable: kind.retryable(),
        said: Some(number),
    };
    Meaning { kind, problem, after: complaint.retry_after }
}

/// What an error means. Whoever has had no answer knows nothing, and asks again.
pub fn meaning(trouble: &Trouble) -> Meaning {
    match trouble {
        Trouble::Said(complaint) => understood(complaint),
        Trouble::Unreachable | Trouble::Lost => {
            let message = match trouble {
                Trouble::Lost => "Instagram's answer did not arrive.",
                _ => "Instagram cannot be reached.",
            };
            let problem = Problem { retryable: true, ..Problem::new("UNREACHABLE", message, LATER) };
            Meaning { kind: Kind::Retry, problem, after: None }
        }
    }
}

/// What the status of a container that failed means: its text names a subcode.
pub fn failed(status: &str) -> Meaning {
    let numbers = status.split(|c: char| !c.is_ascii_digit());
    let subcode = numbers.filter_map(|number| number.parse().ok()).find(|number| {
        // All of Instagram's own begin like this.
        (2_207_000..2_208_000).contains(number)
    });
    let message = crate::agents::text::excerpt(status, 200);
    let mut found =
        understood(&Complaint { status: 400, subcode, message, transient: false, ..Complaint::default() });
    found.problem.said = subcode.map(|subcode| subcode.to_string());
    if subcode.is_none() {
        // "Unknown error" and the like: nothing is public, so that it may be tried again.
        found.kind = Kind::Retry;
        found.problem.retryable = true;
        "PROCESSING_FAILED".clone_into(&mut found.problem.code);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i64, subcode: Option<i64>) -> Meaning {
        let message = "Only photo or video can be accepted".to_owned();
        meaning(&Trouble::Said(Complaint { status: 400, code, subcode, message, ..Complaint::default() }))
    }

    #[test]
    fn every_error_has_one_meaning() {
        for (code, subcode, kind, word) in [
            (9_004, Some(2_207_052), Kind::Retry, "MEDIA_NOT_FETCHED"),
            (9_004, None, Kind::Retry, "MEDIA_NOT_FETCHED"),
            (36_003, Some(2_207_009), Kind::FixMedia, "ASPECT"),
            (36_003, None, Kind::FixMedia, "ASPECT"),
            (352, Some(2_207_026), Kind::FixMedia, "VIDEO_FORMAT"),
            (36_004, Some(2_207_010), Kind::FixText, "CAPTION"),
            (-2, Some(2_207_020), Kind::Recreate, "CONTAINER_EXPIRED"),
            (24, Some(2_207_006), Kind::Recreate, "CONTAINER_GONE"),
            (9, Some(2_207_042), Kind::Wait, "QUOTA_USED_UP"),
            (25, Some(2_207_050), Kind::Account, "ACCOUNT_RESTRICTED"),
            (9_007, Some(2_207_027), Kind::NotReady, "NOT_READY"),
            (100, Some(33), Kind::Retry, "NOT_FOUND_OR_NOT_ALLOWED"),
            (190, Some(463), Kind::Reconnect, "TOKEN_REJECTED"),
            (4, None, Kind::Wait, "RATE_LIMITED"),
            (100, None, Kind::Refused, "REFUSED"),
        ] {
            let found = said(code, subcode);
            assert_eq!((found.kind, found.problem.code.as_str()), (kind, word), "{code}/{subcode:?}");
            assert_eq!(found.problem.retryable, kind.retryable());
            assert!(found.problem.message.contains("Only photo"), "{found:?}");
            assert!(!found.problem.remedy.is_empty());
        }
        assert_eq!(said(190, Some(463)).problem.said.as_deref(), Some("190/463"));
    }

    #[test]
    fn what_is_not_known_is_tried_again_only_where_that_may_help() {
        let of = |status, transient, message: &str| {
            let complaint = Complaint { status, transient, message: message.into(), ..Complaint::default() };
            meaning(&Trouble::Said(complaint)).kind
        };
        assert_eq!(of(500, false, ""), Kind::Retry);
        assert_eq!(of(400, true, ""), Kind::Retry);
        assert_eq!(of(429, false, ""), Kind::Wait);
        assert_eq!(of(400, false, "REVOKED_ACCESS_TOKEN"), Kind::Reconnect);
        assert_eq!(of(400, false, "no"), Kind::Refused);
        assert_eq!(meaning(&Trouble::Lost).kind, Kind::Retry);
        assert_eq!(meaning(&Trouble::Unreachable).kind, Kind::Retry);
    }

    #[test]
    fn a_failed_container_names_its_subcode_in_a_text() {
        let found = failed("Error: Media upload has failed with error code 2207026");
        assert_eq!((found.kind, found.problem.said.as_deref()), (Kind::FixMedia, Some("2207026")));
        assert_eq!(failed("Error: 2207082").kind, Kind::Retry);
        let found = failed("Error: an unknown error has occurred");
        assert_eq!((found.kind, found.problem.code.as_str()), (Kind::Retry, "PROCESSING_FAILED"));
    }

    #[test]
    fn no_rule_stands_behind_another_one_that_hides_it() {
        for (at, rule) in TABLE.iter().enumerate() {
            let same = |other: &Rule| other.code == rule.code && other.subcode == rule.subcode;
            assert!(!TABLE[..at].iter().any(same), "{:?} {:?}", rule.code, rule.subcode);
        }
    }
}
