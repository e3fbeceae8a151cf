//! The first comment below what has become public, and what follows from what happens to it: no clock, no database, no
//! network.
//!
//! Like the call that makes something public it is written down before it is made, and whoever does not know what came of it
//! reads the comments before making it again. Whatever comes of it, the publication stays public.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::errors::{Kind, Meaning, Problem};
use super::machine::{Pace, Then};

/// Calls that fail, and calls that make the comment, before it is given up.
const TRIES: u32 = 6;

/// Where a first comment stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "FirstCommentState")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// It is written when its publication is public, and never when that comes to nothing.
    #[default]
    Waiting,
    /// It is being written.
    Posting,
    /// It is there.
    Posted,
    /// It is not, or nobody knows; `problem` says why. The publication stays public.
    Failed,
}

/// How far a first comment is. What it says is with the publication's details.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comment {
    /// Where it stands.
    pub state: State,
    /// Its id on Instagram.
    pub id: Option<String>,
    /// When the call that makes it was last written down.
    pub asked_at: Option<DateTime<Utc>>,
    /// How often that was.
    pub asks: u32,
    /// Calls that failed.
    pub failures: u32,
    /// Why it is not, or not yet, there.
    pub problem: Option<Problem>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write down that it is being made, and make it.
    Post,
    /// Look for it among the comments.
    Seek,
}

/// What was found among the comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// It is there, with this id.
    Found(String),
    /// It is not there.
    Absent,
    /// There are more comments than are read.
    Crowded,
}

/// What has happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The call that makes it is about to be made.
    Asking,
    /// It was answered with the comment's id.
    Posted(String),
    /// It failed.
    Trouble(Meaning),
    /// The comments were read.
    Sought(Sought),
    /// They could not be read.
    Unsought(Meaning),
    /// It cannot be made at all.
    Impossible(Problem),
}

impl Comment {
    /// What is to be done next; none when nothing more happens to it.
    pub const fn next(&self) -> Option<Step> {
        match self.state {
            State::Waiting => Some(Step::Post),
            State::Posting => Some(Step::Seek),
            State::Posted | State::Failed => None,
        }
    }

    /// Takes what has happened to heart.
    pub fn take(&mut self, event: Event, now: DateTime<Utc>, pace: &Pace) -> Then {
        match event {
            Event::Asking => {
                self.state = State::Posting;
                self.asked_at = Some(now);
                self.asks += 1;
            }
            Event::Posted(id) | Event::Sought(Sought::Found(id)) => {
                (self.state, self.id, self.problem) = (State::Posted, Some(id), None);
            }
            Event::Trouble(meaning) => return self.trouble(meaning, pace),
            Event::Sought(Sought::Absent) => {
                // A call whose answer was lost may still be on its way.
                let waited = self.asked_at.map_or(pace.settle, |at| (now - at).to_std().unwrap_or_default());
                if let Some(rest) = pace.settle.checked_sub(waited).filter(|rest| !rest.is_zero()) {
                    return Then::Wait(
                        rest,
                        "It is not known yet whether the first comment is there.".to_owned(),
                    );
                }
                if self.asks > TRIES {
                    self.fail(self.problem.clone().unwrap_or_else(unknown_outcome));
                } else {
                    self.state = State::Waiting;
                }
            }
            Event::Unsought(meaning) if meaning.kind.retryable() => {
                return self.again(meaning, pace);
            }
            // Who cannot read all the comments cannot find out, and what may be there is not made again.
            Event::Unsought(_) | Event::Sought(Sought::Crowded) => self.fail(unknown_outcome()),
            Event::Impossible(problem) => self.fail(problem),
        }
        Then::On
    }

    fn trouble(&mut self, meaning: Meaning, pace: &Pace) -> Then {
        match meaning.kind {
            // It was refused, and is made again without a look.
            Kind::Wait | Kind::NotReady => {
                self.state = State::Waiting;
                self.again(meaning, pace)
            }
            Kind::Retry | Kind::Recreate => self.again(meaning, pace),
            Kind::FixMedia | Kind::FixText | Kind::Account | Kind::Reconnect | Kind::Refused => {
                self.fail(meaning.problem);
                Then::On
            }
        }
    }

    /// What has failed is tried again later, so many times.
    fn again(&mut self, meaning: Meaning, pace: &Pace) -> Then {
        let Meaning { kind, problem, after } = meaning;
        self.failures += 1;
        if self.failures > TRIES {
            let unknown = self.state == State::Posting;
            self.fail(if unknown { unknown_outcome() } else { problem });
            return Then::On;
        }
        let least = match kind {
            Kind::Wait => pace.room,
            _ => pace.retry * 2_u32.pow((self.failures - 1).min(6)),
        };
        let why = problem.message.clone();
        self.problem = Some(problem);
        Then::Wait(after.unwrap_or_default().max(least), why)
    }

    fn fail(&mut self, problem: Problem) {
        self.state = State::Failed;
        self.problem = Some(Problem { retryable: false, ..problem });
    }

    /// Nobody works on it any more, for a reason.
    pub fn abandon(&mut self, problem: Problem) {
        match self.state {
            State::Posted | State::Failed => {}
            State::Waiting => self.fail(problem),
            State::Posting => self.fail(unknown_outcome()),
        }
    }
}

/// What is said when nobody can tell.
pub fn unknown_outcome() -> Problem {
    Problem::new(
        "OUTCOME_UNKNOWN",
        "Whether the first comment is there could not be found out.",
        "Look at the post on Instagram before you write the comment again.",
    )
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::agents::instagram::errors;
    use crate::agents::instagram::tests::{PACE, start, waits};
    use crate::engine::graph::{Complaint, Trouble};

    fn said(code: i64) -> Meaning {
        errors::meaning(&Trouble::Said(Complaint { status: 400, code, ..Complaint::default() }))
    }

    /// One whose call has been written down.
    fn asked() -> Comment {
        let mut one = Comment::default();
        assert_eq!(one.next(), Some(Step::Post));
        assert_eq!(one.take(Event::Asking, start(), &PACE), Then::On);
        assert_eq!(one.next(), Some(Step::Seek), "whoever comes next looks for it first");
        one
    }

    #[test]
    fn a_comment_is_made_once() {
        let mut one = asked();
        one.take(Event::Posted("17".into()), start(), &PACE);
        assert_eq!((one.state, one.id.as_deref(), one.next()), (State::Posted, Some("17"), None));
        // Its answer is lost, and it is found.
        let mut one = asked();
        assert_eq!(waits(one.take(Event::Trouble(errors::meaning(&Trouble::Lost)), start(), &PACE)), 10);
        assert_eq!((one.next(), one.problem.as_ref().unwrap().retryable), (Some(Step::Seek), true));
        one.take(Event::Sought(Sought::Found("18".into())), start(), &PACE);
        assert_eq!((one.state, one.id.as_deref(), one.problem), (State::Posted, Some("18"), None));
        // It is not found: it is made again, and not before the first call must have arrived.
        let mut one = asked();
        assert_eq!(waits(one.take(Event::Sought(Sought::Absent), start(), &PACE)), 60);
        assert_eq!(one.next(), Some(Step::Seek));
        let later = start() + TimeDelta::seconds(60);
        assert_eq!(one.take(Event::Sought(Sought::Absent), later, &PACE), Then::On);
        assert_eq!(one.next(), Some(Step::Post));
    }

    #[test]
    fn an_error_leads_where_its_meaning_says() {
        for (code, state) in [
            (10, State::Failed),
            (200, State::Failed),
            (190, State::Failed),
            (100, State::Failed),
            (2, State::Posting),
            (4, State::Waiting),
        ] {
            let mut one = asked();
            let then = one.take(Event::Trouble(said(code)), start(), &PACE);
            assert_eq!((one.state, then == Then::On), (state, state == State::Failed), "{code}");
            let problem = one.problem.unwrap();
            assert_eq!(problem.retryable, state != State::Failed, "{problem:?}");
        }
        let mut one = asked();
        assert_eq!(waits(one.take(Event::Trouble(said(4)), start(), &PACE)), 900);
        // Who may not read the comments does not know, and makes no second one.
        let mut one = asked();
        one.take(Event::Unsought(said(10)), start(), &PACE);
        assert_eq!((one.next(), one.problem.unwrap().code.as_str()), (None, "OUTCOME_UNKNOWN"));
        let mut one = asked();
        one.take(Event::Sought(Sought::Crowded), start(), &PACE);
        assert_eq!((one.next(), one.problem.unwrap().code.as_str()), (None, "OUTCOME_UNKNOWN"));
    }

    #[test]
    fn nothing_is_tried_for_ever() {
        let later = start() + TimeDelta::hours(1);
        let mut one = Comment::default();
        while one.next().is_some() {
            one.take(Event::Asking, start(), &PACE);
            one.take(Event::Sought(Sought::Absent), later, &PACE);
        }
        assert_eq!((one.asks, one.state), (TRIES + 1, State::Failed));
        let mut one = asked();
        let mut waited = Vec::new();
        while let Then::Wait(after, _) = one.take(Event::Unsought(said(2)), start(), &PACE) {
            waited.push(after.as_secs());
        }
        assert_eq!(waited, [10, 20, 40, 80, 160, 320]);
        assert_eq!(one.problem.unwrap().code, "OUTCOME_UNKNOWN");
        // What is refused for a while is known not to be there.
        let mut one = asked();
        while let Then::Wait(..) = one.take(Event::Trouble(said(4)), start(), &PACE) {}
        assert_eq!(one.problem.unwrap().code, "RATE_LIMITED");
    }

    #[test]
    fn one_that_nobody_works_on_any_more_says_what_is_known() {
        let reason = || Problem::new("JOB_ENDED", "Its job has ended.", "Write it yourself.");
        let code = |mut one: Comment| {
            one.abandon(reason());
            (one.state, one.problem.map(|problem| problem.code))
        };
        assert_eq!(code(Comment::default()), (State::Failed, Some("JOB_ENDED".to_owned())));
        assert_eq!(code(asked()), (State::Failed, Some("OUTCOME_UNKNOWN".to_owned())));
        let mut one = asked();
        one.take(Event::Posted("17".into()), start(), &PACE);
        assert_eq!(code(one), (State::Posted, None));
    }
}
