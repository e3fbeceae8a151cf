//! Where a publication stands, and what follows from what happens to it: no clock, no database, no network.
//!
//! Making containers is invisible and can be repeated. The call that makes one public is written down before it is made;
//! whoever does not know what came of it reads the container, and asks again only when that says that it is not public.
//! After that call another container is made only when the first one says itself that it is none any more.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::comment::{self, Comment};
use super::details::Details;
use super::errors::{self, Kind, Meaning, Problem};
use super::insights::Insights;
use crate::id::{AccountId, AssetId, PostId};

/// Tries of what fails for a while, before it is given up.
const TRIES: u32 = 6;
/// Containers that are made anew because the one before is gone.
const REMADE: u32 = 2;
/// How often it is asked where what is public can be seen.
const LINKS: u32 = 3;
/// How long a container is good.
const CONTAINER: TimeDelta = TimeDelta::hours(24);

/// How a post is shown on Instagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "InstagramKind")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Form {
    /// One picture.
    Feed,
    /// Pictures and videos that go after a day, each by itself.
    Story,
    /// A video.
    Reel,
    /// 2 to 10 pictures and videos to swipe through.
    Carousel,
}

/// Where a publication stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "PublicationState")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// It is being checked, and its pictures are made to fit.
    Validating,
    /// Everything fits, and no account is connected to publish it by.
    ReadyNotConnected,
    /// It waits for its time.
    Scheduled,
    /// Instagram is being told about its files.
    Uploading,
    /// Instagram fetches and processes them.
    Processing,
    /// It is about to be made public, or waits for room in the account's quota.
    Ready,
    /// It is being made public.
    Publishing,
    /// It is public.
    Published,
    /// It came to nothing; `problems` say why.
    Failed,
    /// Instagram let go of what was uploaded, more than once.
    Expired,
}

impl State {
    /// Whether nothing more happens to it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::ReadyNotConnected | Self::Published | Self::Failed | Self::Expired)
    }
}

/// What an account has published in the time that Instagram counts, and what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Published.
    pub used: i32,
    /// Allowed, as Instagram says.
    pub total: Option<i32>,
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is being processed.
    InProgress,
    /// It can be made public.
    Finished,
    /// It is public.
    Published,
    /// It is gone, and never was public.
    Expired,
    /// It cannot be made public, for this reason.
    Failed(String),
}

/// A file of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Which.
    pub asset: AssetId,
    /// Whether it is a video.
    pub is_video: bool,
}

/// Something that becomes public by one call: a picture, a reel, a carousel, or one story of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its files.
    pub pages: Vec<Page>,
    /// The containers of a carousel's pages.
    pub page_containers: Vec<String>,
    /// Its container.
    pub container: Option<String>,
    /// When its containers were begun.
    pub made_at: Option<DateTime<Utc>>,
    /// When the call that makes it public was last written down.
    pub asked_at: Option<DateTime<Utc>>,
    /// How often that was.
    pub asks: u32,
    /// The id of what is public; none when the answer that had it was lost.
    pub media: Option<String>,
    /// Whether it is public.
    pub is_live: bool,
}

impl Item {
    /// Something of which nothing is uploaded.
    pub const fn new(pages: Vec<Page>) -> Self {
        Self {
            pages,
            page_containers: Vec::new(),
            container: None,
            made_at: None,
            asked_at: None,
            asks: 0,
            media: None,
            is_live: false,
        }
    }
}

/// What is published, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Where it stands.
    pub state: State,
    /// How it is shown.
    pub form: Form,
    /// By which account; none: none was connected.
    pub account: Option<AccountId>,
    /// The post that it is of.
    pub post: Option<PostId>,
    /// The caption.
    pub caption: String,
    /// What goes along with it.
    #[serde(default)]
    pub details: Details,
    /// The files that were given.
    pub assets: Vec<AssetId>,
    /// What is public together, in order; empty until it is checked.
    pub items: Vec<Item>,
    /// The picture of a reel's cover, as Instagram is told about it.
    #[serde(default)]
    pub cover: Option<AssetId>,
    /// When it shall be public; none: at once.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// The time zone that its time was given in.
    pub timezone: Option<String>,
    /// The same for the same caption and files by the same account.
    pub fingerprint: String,
    /// Why it is not, or not yet, public.
    pub problems: Vec<Problem>,
    /// The account's quota, when it was last read.
    pub quota: Option<Quota>,
    /// What failed for a while, since something succeeded.
    pub failures: u32,
    /// Containers that were made anew.
    pub remade: u32,
    /// When it became public.
    pub published_at: Option<DateTime<Utc>>,
    /// Where it can be seen.
    pub permalink: Option<String>,
    /// How often that was asked.
    pub links: u32,
    /// How far its first comment is, when its details have one.
    #[serde(default)]
    pub comment: Comment,
    /// What Instagram counts of it, when it was last asked.
    #[serde(default)]
    pub insights: Option<Insights>,
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Until a container is read again, at the least.
    pub poll: Duration,
    /// Until a call of which no answer came is taken not to have been carried out.
    pub settle: Duration,
    /// Until what has failed is tried again, for the first time.
    pub retry: Duration,
    /// Until it is looked again whether there is room.
    pub room: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            settle: Duration::from_mins(1),
            retry: Duration::from_secs(10),
            room: Duration::from_mins(15),
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Check everything, and make pictures fit.
    Check,
    /// Wait for its time.
    Sleep(DateTime<Utc>),
    /// Its time has come.
    Begin,
    /// Tell Instagram about the files.
    Upload,
    /// Bind a carousel's pages together.
    Bind,
    /// Read where the containers stand.
    Look,
    /// Write down that it is being made public, and do it.
    Publish,
    /// Find out whether it has become public.
    Review,
    /// Ask where it can be seen.
    Link,
    /// See to its first comment.
    Comment(comment::Step),
    /// It has ended well.
    Done,
    /// It has ended.
    Fail,
}

/// What has happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something does not fit.
    Refused(Vec<Problem>),
    /// Everything fits, and there is no account.
    NotConnected,
    /// The account is gone.
    Disconnected,
    /// A picture for a reel's cover fits.
    Covered(AssetId),
    /// Everything fits.
    Checked(Vec<Item>),
    /// Its time has come.
    Due,
    /// The account's quota was read.
    Room(Option<Quota>),
    /// Containers of a carousel's pages were made.
    PagesMade(Vec<String>),
    /// A container was made.
    Made(String),
    /// The containers were read.
    Seen(Status),
    /// The call that makes it public is about to be made.
    Asking,
    /// It was answered with the id of what is public.
    Live(String),
    /// A call failed.
    Trouble(Meaning),
    /// Whether it is public could not be read.
    Unseen(Meaning),
    /// It was asked where it can be seen, and what the account has published by now.
    Link(Option<String>, Option<Quota>),
    /// Something of its first comment.
    Comment(comment::Event),
}

/// How it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// With the next step.
    On,
    /// With the next step, after this long, for this reason.
    Wait(Duration, String),
}

impl Publication {
    /// One of which nothing is known but how it is shown.
    pub fn new(form: Form) -> Self {
        Self {
            state: State::Validating,
            form,
            account: None,
            post: None,
            caption: String::new(),
            details: Details::default(),
            assets: Vec::new(),
            items: Vec::new(),
            cover: None,
            scheduled_at: None,
            timezone: None,
            fingerprint: String::new(),
            problems: Vec::new(),
            quota: None,
            failures: 0,
            remade: 0,
            published_at: None,
            permalink: None,
            links: 0,
            comment: Comment::default(),
            insights: None,
        }
    }

    /// What is to be made public next.
    pub fn current(&self) -> Option<&Item> {
        self.items.iter().find(|item| !item.is_live)
    }

    fn current_mut(&mut self) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| !item.is_live)
    }

    /// The id of what is public first.
    pub fn media(&self) -> Option<&str> {
        self.items.iter().find_map(|item| item.media.as_deref())
    }

    /// How far its first comment is; none when it has none.
    pub const fn first_comment(&self) -> Option<&Comment> {
        if self.details.comment.is_some() { Some(&self.comment) } else { None }
    }

    /// Whether nothing more happens to it, nor to its first comment.
    pub fn is_settled(&self) -> bool {
        let waits =
            self.state == State::Published && self.first_comment().is_some_and(|it| it.next().is_some());
        self.state.is_final() && !waits
    }

    /// What is to be done next.
    pub fn next(&self, now: DateTime<Utc>) -> Step {
        match self.state {
            State::Validating => Step::Check,
            State::Scheduled => self.scheduled_at.filter(|at| *at > now).map_or(Step::Begin, Step::Sleep),
            State::Uploading => match self.current() {
                Some(item) if !item.page_containers.is_empty() => Step::Bind,
                _ => Step::Upload,
            },
            State::Processing => Step::Look,
            State::Ready => Step::Publish,
            State::Publishing => Step::Review,
            State::Published if self.permalink.is_none() && self.links < LINKS && self.media().is_some() => {
                Step::Link
            }
            State::Published => {
                self.first_comment().and_then(Comment::next).map_or(Step::Done, Step::Comment)
            }
            State::ReadyNotConnected => Step::Done,
            State::Failed | State::Expired => Step::Fail,
        }
    }

    /// Takes what has happened to heart.
    pub fn take(&mut self, event: Event, now: DateTime<Utc>, pace: &Pace) -> Then {
        match event {
            Event::Refused(problems) => {
                self.state = State::Failed;
                self.problems = problems;
            }
            Event::NotConnected => {
                self.state = State::ReadyNotConnected;
                self.problems = vec![Problem::new(
                    "NOT_CONNECTED",
                    "Everything fits, and no Instagram account is connected.",
                    "Connect one with `accountConnect`, and publish again.",
                )];
            }
            Event::Disconnected => self.disconnected(),
            Event::Covered(picture) => self.cover = Some(picture),
            Event::Checked(items) => {
                self.items = items;
                let waits = self.scheduled_at.is_some_and(|at| at > now);
                self.state = if waits { State::Scheduled } else { State::Uploading };
            }
            Event::Due => self.state = State::Uploading,
            Event::Room(quota) => return self.room(quota, pace),
            Event::PagesMade(containers) => {
                if let Some(item) = self.current_mut() {
                    item.page_containers = containers;
                    item.made_at = Some(now);
                }
                self.state = State::Processing;
            }
            Event::Made(container) => {
                if let Some(item) = self.current_mut() {
                    item.container = Some(container);
                    item.made_at = item.made_at.or(Some(now));
                }
                self.state = State::Processing;
            }
            Event::Seen(status) => return self.seen(status, now, pace),
            Event::Asking => {
                if let Some(item) = self.current_mut() {
                    item.asked_at = Some(now);
                    item.asks += 1;
                }
                self.state = State::Publishing;
            }
            Event::Live(media) => self.live(Some(media), now, pace),
            Event::Trouble(meaning) => return self.trouble(meaning, pace),
            Event::Unseen(meaning) => return self.again(meaning.problem, meaning.after, pace),
            Event::Link(found, quota) => {
                self.links += 1;
                self.quota = quota.or(self.quota);
                let is_last = found.is_some() || self.links >= LINKS;
                self.permalink = found;
                if !is_last {
                    return Then::Wait(pace.retry, "It is public; where is not told yet.".to_owned());
                }
            }
            Event::Comment(event) => return self.comment.take(event, now, pace),
        }
        Then::On
    }

    fn room(&mut self, quota: Option<Quota>, pace: &Pace) -> Then {
        self.quota = quota;
        let full = quota.is_some_and(|quota| quota.total.is_some_and(|total| quota.used >= total));
        if !full {
            self.problems.clear();
            return Then::On;
        }
        let message = "The account has published as much as Instagram allows in a day.";
        let remedy = "It goes on by itself when there is room again.";
        self.problems = vec![Problem { retryable: true, ..Problem::new("QUOTA_USED_UP", message, remedy) }];
        Then::Wait(pace.room, message.to_owned())
    }

    /// What is public by then stays so, and what is being made public may be.
    fn disconnected(&mut self) {
        let problem = Problem::new(
            "ACCOUNT_GONE",
            "The account has been disconnected.",
            "Connect one, and publish again.",
        );
        if self.state == State::Published {
            self.links = LINKS;
            self.comment.abandon(problem);
            return;
        }
        let unknown = (self.state == State::Publishing).then(unknown_outcome);
        self.state = State::Failed;
        self.problems = unknown.into_iter().chain([problem]).collect();
    }

    fn live(&mut self, media: Option<String>, now: DateTime<Utc>, pace: &Pace) {
        if let Some(item) = self.current_mut() {
            item.media = media;
            item.is_live = true;
        }
        self.problems.clear();
        (self.failures, self.remade) = (0, 0);
        self.state = if self.current().is_some() {
            State::Uploading
        } else {
            self.published_at = Some(now);
            if self.media().is_none() {
                let problem = Problem::new(
                    "POST_UNKNOWN",
                    "Instagram's answer with the id of the post was lost, and a comment needs it.",
                    "Write the comment on Instagram.",
                );
                self.comment.take(comment::Event::Impossible(problem), now, pace);
            }
            State::Published
        };
    }

    fn seen(&mut self, status: Status, now: DateTime<Utc>, pace: &Pace) -> Then {
        let (made_at, asked_at, is_paged) = self
            .current()
            .map_or((None, None, false), |item| (item.made_at, item.asked_at, item.container.is_none()));
        let since = |at: Option<DateTime<Utc>>| at.map_or(TimeDelta::zero(), |at| now - at);
        match status {
            Status::InProgress if since(made_at) < CONTAINER => {
                let age = since(made_at).to_std().unwrap_or_default();
                let wait = (age / 4).clamp(pace.poll, pace.poll * 12);
                return Then::Wait(wait, "Instagram is processing the files.".to_owned());
            }
            Status::InProgress | Status::Expired => self.remake(None),
            Status::Published => self.live(None, now, pace),
            Status::Finished if self.state == State::Publishing => {
                // A call whose answer was lost may still be on its way.
                let waited = since(asked_at).to_std().unwrap_or_default();
                if let Some(rest) = pace.settle.checked_sub(waited).filter(|rest| !rest.is_zero()) {
                    return Then::Wait(rest, "It is not known yet whether it is public.".to_owned());
                }
                self.failures += 1;
                if self.failures > TRIES {
                    let problem = self.problems.first().cloned().unwrap_or_else(unknown_outcome);
                    self.fail(problem);
                } else {
                    self.state = State::Ready;
                }
            }
            Status::Finished => {
                self.problems.clear();
                // Pages that are ready are bound together; what is bound, or needs no binding, can be published.
                self.state = if is_paged { State::Uploading } else { State::Ready };
            }
            Status::Failed(text) => {
                let meaning = errors::failed(&text);
                if meaning.kind.retryable() {
                    self.failures += 1;
                    self.remake(Some(meaning.problem));
                } else {
                    self.fail(meaning.problem);
                }
            }
        }
        Then::On
    }

    /// Begins with new containers: those before are none any more, and never were public.
    fn remake(&mut self, why: Option<Problem>) {
        self.remade += 1;
        if self.remade > REMADE {
            let gone = || {
                Problem::new(
                    "CONTAINER_EXPIRED",
                    "Instagram let go of what was uploaded before it could be published.",
                    "Publish it again.",
                )
            };
            let is_expired = why.is_none();
            self.fail(why.unwrap_or_else(gone));
            if is_expired {
                self.state = State::Expired;
            }
            return;
        }
        if let Some(item) = self.current_mut() {
            *item = Item::new(std::mem::take(&mut item.pages));
        }
        self.state = State::Uploading;
    }

    fn trouble(&mut self, meaning: Meaning, pace: &Pace) -> Then {
        let Meaning { kind, problem, after } = meaning;
        let publishing = self.state == State::Publishing;
        // Of a second call only the container tells what has come of the first.
        if publishing && self.current().is_some_and(|item| item.asks > 1) {
            return self.again(problem, after, pace);
        }
        match kind {
            Kind::NotReady => {
                if publishing {
                    self.state = State::Processing;
                }
                Then::Wait(after.unwrap_or(pace.poll), problem.message)
            }
            Kind::Wait => {
                if publishing {
                    self.state = State::Ready;
                }
                let (wait, why) = (after.unwrap_or(pace.room).max(pace.room), problem.message.clone());
                match self.again(problem, None, pace) {
                    Then::On => Then::On,
                    Then::Wait(..) => Then::Wait(wait, why),
                }
            }
            // That the container is gone is believed when the container is asked.
            Kind::Recreate if !publishing => {
                self.remake(None);
                Then::On
            }
            Kind::Retry | Kind::Recreate => self.again(problem, after, pace),
            Kind::FixMedia | Kind::FixText | Kind::Account | Kind::Reconnect | Kind::Refused => {
                self.fail(problem);
                Then::On
            }
        }
    }

    /// What has failed is tried again later, so many times.
    fn again(&mut self, problem: Problem, after: Option<Duration>, pace: &Pace) -> Then {
        self.failures += 1;
        if self.failures > TRIES {
            let unknown = self.state == State::Publishing;
            self.fail(problem);
            if unknown {
                self.problems.insert(0, unknown_outcome());
            }
            return Then::On;
        }
        let doubled = pace.retry * 2_u32.pow((self.failures - 1).min(6));
        let why = problem.message.clone();
        self.problems = vec![problem];
        Then::Wait(after.unwrap_or_default().max(doubled), why)
    }

    fn fail(&mut self, problem: Problem) {
        self.state = State::Failed;
        self.problems = vec![Problem { retryable: false, ..problem }];
        let live = self.items.iter().filter(|item| item.is_live).count();
        if live > 0 {
            let message = format!("{live} of {} are public.", self.items.len());
            self.problems.push(Problem::new("PARTLY_PUBLISHED", message, "Publish the others again."));
        }
    }
}

/// What is said when nobody can tell.
pub fn unknown_outcome() -> Problem {
    Problem::new(
        "OUTCOME_UNKNOWN",
        "Whether it is public could not be found out.",
        "Look at the account on Instagram before you publish it again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::instagram::tests::{PACE, start, waits};
    use crate::engine::graph::{Complaint, Trouble};

    fn page() -> Page {
        Page { asset: AssetId::generate(), is_video: false }
    }

    fn fresh(form: Form) -> Publication {
        let account = Some(AccountId::generate());
        Publication { account, caption: "So.".to_owned(), ..Publication::new(form) }
    }

    fn said(code: i64, subcode: Option<i64>) -> Meaning {
        errors::meaning(&Trouble::Said(Complaint { status: 400, code, subcode, ..Complaint::default() }))
    }

    /// A publication whose one call has been written down.
    fn publishing() -> Publication {
        let mut one = fresh(Form::Feed);
        for event in [
            Event::Checked(vec![Item::new(vec![page()])]),
            Event::Made("1".into()),
            Event::Seen(Status::Finished),
            Event::Asking,
        ] {
            assert_eq!(one.take(event, start(), &PACE), Then::On);
        }
        one
    }

    #[test]
    fn a_picture_goes_all_the_way() {
        let mut one = fresh(Form::Feed);
        let now = start();
        assert_eq!(one.next(now), Step::Check);
        one.take(Event::Checked(vec![Item::new(vec![page()])]), now, &PACE);
        assert_eq!(one.next(now), Step::Upload);
        one.take(Event::Room(Some(Quota { used: 1, total: Some(50) })), now, &PACE);
        one.take(Event::Made("17".into()), now, &PACE);
        assert_eq!((one.state, one.next(now)), (State::Processing, Step::Look));
        assert_eq!(waits(one.take(Event::Seen(Status::InProgress), now, &PACE)), 5);
        let later = now + TimeDelta::minutes(2);
        assert_eq!(waits(one.take(Event::Seen(Status::InProgress), later, &PACE)), 30);
        one.take(Event::Seen(Status::Finished), later, &PACE);
        assert_eq!(one.next(later), Step::Publish);
        one.take(Event::Asking, later, &PACE);
        assert_eq!(one.next(later), Step::Review, "whoever comes next asks the container first");
        one.take(Event::Live("99".into()), later, &PACE);
        assert_eq!(
            (one.state, one.next(later), one.published_at),
            (State::Published, Step::Link, Some(later))
        );
        assert_eq!(waits(one.take(Event::Link(None, None), later, &PACE)), 10);
        one.take(Event::Link(Some("https://instagram.example/p/1".into()), None), later, &PACE);
        assert_eq!((one.next(later), one.problems.len()), (Step::Done, 0));
    }

    #[test]
    fn its_time_is_waited_for_and_without_an_account_it_ends_ready() {
        let mut one = fresh(Form::Feed);
        let at = start() + TimeDelta::hours(1);
        one.scheduled_at = Some(at);
        one.take(Event::Checked(vec![Item::new(vec![page()])]), start(), &PACE);
        assert_eq!(
            (one.state, one.next(start()), one.next(at)),
            (State::Scheduled, Step::Sleep(at), Step::Begin)
        );
        one.take(Event::Due, at, &PACE);
        assert_eq!(one.next(at), Step::Upload);
        let mut one = fresh(Form::Feed);
        one.take(Event::NotConnected, start(), &PACE);
        assert_eq!((one.next(start()), one.problems[0].code.as_str()), (Step::Done, "NOT_CONNECTED"));
    }

    #[test]
    fn a_carousel_is_bound_when_its_pages_are_ready_and_stories_go_one_by_one() {
        let now = start();
        let mut one = fresh(Form::Carousel);
        one.take(Event::Checked(vec![Item::new(vec![page(), page()])]), now, &PACE);
        one.take(Event::PagesMade(vec!["1".into(), "2".into()]), now, &PACE);
        assert_eq!(one.next(now), Step::Look);
        one.take(Event::Seen(Status::Finished), now, &PACE);
        assert_eq!(one.next(now), Step::Bind);
        one.take(Event::Made("3".into()), now, &PACE);
        one.take(Event::Seen(Status::Finished), now, &PACE);
        assert_eq!(one.next(now), Step::Publish);

        let mut one = fresh(Form::Story);
        one.take(Event::Checked(vec![Item::new(vec![page()]), Item::new(vec![page()])]), now, &PACE);
        for (container, state) in [("1", State::Uploading), ("2", State::Published)] {
            assert_eq!(one.next(now), Step::Upload);
            for event in [Event::Made(container.into()), Event::Seen(Status::Finished), Event::Asking] {
                one.take(event, now, &PACE);
            }
            one.take(Event::Live(format!("9{container}")), now, &PACE);
            assert_eq!(one.state, state);
        }
        assert_eq!(one.media(), Some("91"));
    }

    #[test]
    fn a_lost_answer_is_looked_for_and_never_answered_with_a_second_post() {
        let mut one = publishing();
        assert_eq!(waits(one.take(Event::Trouble(errors::meaning(&Trouble::Lost)), start(), &PACE)), 10);
        assert_eq!((one.state, one.next(start())), (State::Publishing, Step::Review));
        one.take(Event::Seen(Status::Published), start(), &PACE);
        assert_eq!((one.state, one.media(), one.next(start())), (State::Published, None, Step::Done));

        // Not public, it is asked for again: the same container, and not before the first call must have arrived.
        let mut one = publishing();
        assert_eq!(waits(one.take(Event::Seen(Status::Finished), start(), &PACE)), 60);
        let later = start() + TimeDelta::seconds(60);
        one.take(Event::Seen(Status::Finished), later, &PACE);
        assert_eq!((one.state, one.current().unwrap().container.as_deref()), (State::Ready, Some("1")));
        one.take(Event::Asking, later, &PACE);
        // Whatever a second call is refused with, the first may have been carried out.
        for meaning in [said(100, None), said(190, None), said(24, Some(2_207_006))] {
            let mut one = one.clone();
            waits(one.take(Event::Trouble(meaning), later, &PACE));
            assert_eq!((one.state, one.next(later)), (State::Publishing, Step::Review));
        }
    }

    #[test]
    fn what_nobody_can_find_out_is_said_to_be_unknown() {
        let mut one = publishing();
        let mut tries = 0;
        while let Then::Wait(..) = one.take(Event::Unseen(said(100, Some(33))), start(), &PACE) {
            tries += 1;
            assert_eq!(one.current().unwrap().container.as_deref(), Some("1"), "no other one is made");
        }
        assert_eq!(
            (tries, one.state, one.problems[0].code.as_str()),
            (TRIES, State::Failed, "OUTCOME_UNKNOWN")
        );
    }

    #[test]
    fn an_error_leads_where_its_meaning_says() {
        for (meaning, state) in [
            (said(190, None), State::Failed),
            (said(36_003, None), State::Failed),
            (said(25, Some(2_207_050)), State::Failed),
            (said(9, Some(2_207_042)), State::Ready),
            (said(9_007, Some(2_207_027)), State::Processing),
            (said(2, None), State::Publishing),
            (said(-2, Some(2_207_020)), State::Publishing),
        ] {
            let mut one = publishing();
            let then = one.take(Event::Trouble(meaning.clone()), start(), &PACE);
            assert_eq!(one.state, state, "{meaning:?}");
            assert_eq!(then == Then::On, state == State::Failed, "{meaning:?}");
        }
        let mut one = publishing();
        assert_eq!(waits(one.take(Event::Trouble(said(9, Some(2_207_042))), start(), &PACE)), 900);
    }

    #[test]
    fn an_expired_container_is_made_anew_and_not_for_ever() {
        let mut one = publishing();
        for _ in 0..REMADE {
            one.take(Event::Seen(Status::Expired), start(), &PACE);
            assert_eq!((one.state, one.next(start())), (State::Uploading, Step::Upload));
            one.take(Event::Made("2".into()), start(), &PACE);
        }
        one.take(Event::Seen(Status::Expired), start(), &PACE);
        assert_eq!((one.state, one.next(start())), (State::Expired, Step::Fail));
        // One that is processed for longer than it is good is none any more either.
        let mut one = fresh(Form::Reel);
        one.take(Event::Checked(vec![Item::new(vec![page()])]), start(), &PACE);
        one.take(Event::Made("1".into()), start(), &PACE);
        one.take(Event::Seen(Status::InProgress), start() + TimeDelta::hours(25), &PACE);
        assert_eq!(one.next(start()), Step::Upload);
    }

    #[test]
    fn a_used_up_quota_is_waited_for() {
        let mut one = fresh(Form::Feed);
        one.take(Event::Checked(vec![Item::new(vec![page()])]), start(), &PACE);
        let full = Some(Quota { used: 25, total: Some(25) });
        assert_eq!(waits(one.take(Event::Room(full), start(), &PACE)), 900);
        assert_eq!((one.next(start()), one.problems[0].code.as_str()), (Step::Upload, "QUOTA_USED_UP"));
        let unknown = Some(Quota { used: 25, total: None });
        assert_eq!(one.take(Event::Room(unknown), start(), &PACE), Then::On, "nobody makes a limit up");
    }

    #[test]
    fn what_fails_for_a_while_is_tried_again_ever_later() {
        let mut one = fresh(Form::Feed);
        one.take(Event::Checked(vec![Item::new(vec![page()])]), start(), &PACE);
        let mut waited = Vec::new();
        while let Then::Wait(after, _) = one.take(Event::Trouble(said(2, None)), start(), &PACE) {
            waited.push(after.as_secs());
        }
        assert_eq!(waited, [10, 20, 40, 80, 160, 320]);
        assert_eq!((one.state, one.problems[0].code.as_str()), (State::Failed, "UNAVAILABLE"));
        // A story that has become public is not lost sight of when the next one fails.
        let mut one = fresh(Form::Story);
        one.take(Event::Checked(vec![Item::new(vec![page()]), Item::new(vec![page()])]), start(), &PACE);
        for event in [Event::Made("1".into()), Event::Asking, Event::Live("9".into())] {
            one.take(event, start(), &PACE);
        }
        one.take(Event::Trouble(said(190, None)), start(), &PACE);
        assert_eq!(
            one.problems.iter().map(|problem| problem.code.as_str()).collect::<Vec<_>>(),
            ["TOKEN_REJECTED", "PARTLY_PUBLISHED"]
        );
        // A container that failed is made anew where that may help.
        let mut one = publishing();
        one.take(Event::Seen(Status::Failed("Error: 2207082".into())), start(), &PACE);
        assert_eq!(one.next(start()), Step::Upload);
        let mut one = publishing();
        one.take(Event::Seen(Status::Failed("Error: 2207026".into())), start(), &PACE);
        assert_eq!((one.next(start()), one.problems[0].code.as_str()), (Step::Fail, "VIDEO_FORMAT"));
    }

    #[test]
    fn a_first_comment_follows_what_is_public_and_never_makes_it_fail() {
        let now = start();
        let public = || {
            let mut one = publishing();
            one.details.comment = Some("First!".to_owned());
            one.take(Event::Live("99".into()), now, &PACE);
            assert_eq!((one.next(now), one.is_settled()), (Step::Link, false));
            one.take(Event::Link(Some("https://instagram.example/p/1".into()), None), now, &PACE);
            assert_eq!(one.next(now), Step::Comment(comment::Step::Post));
            one
        };
        let mut one = public();
        one.take(Event::Comment(comment::Event::Asking), now, &PACE);
        assert_eq!(one.next(now), Step::Comment(comment::Step::Seek));
        one.take(Event::Comment(comment::Event::Posted("7".into())), now, &PACE);
        assert_eq!((one.state, one.next(now), one.is_settled()), (State::Published, Step::Done, true));
        // It is refused, or the account is gone: the publication stays public.
        for event in [Event::Comment(comment::Event::Trouble(said(10, None))), Event::Disconnected] {
            let mut one = public();
            one.take(event, now, &PACE);
            assert_eq!((one.state, one.next(now), one.problems.len()), (State::Published, Step::Done, 0));
            assert_eq!(one.comment.state, comment::State::Failed);
        }
        // Nobody knows which post it belongs to.
        let mut one = publishing();
        one.details.comment = Some("First!".to_owned());
        one.take(Event::Seen(Status::Published), now, &PACE);
        assert_eq!((one.state, one.next(now)), (State::Published, Step::Done));
        assert_eq!(one.comment.problem.unwrap().code, "POST_UNKNOWN");
        // What is not public yet fails without its account.
        let mut one = publishing();
        one.take(Event::Disconnected, now, &PACE);
        assert_eq!(
            one.problems.iter().map(|problem| problem.code.as_str()).collect::<Vec<_>>(),
            ["OUTCOME_UNKNOWN", "ACCOUNT_GONE"]
        );
    }
}
