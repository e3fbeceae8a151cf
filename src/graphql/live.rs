//! Live operations: a subscription reads what is new through its own door, time after time.
//!
//! Between two looks it holds nothing of the database and no rights: each look is entered anew, so that the database
//! checks credential, membership and row-level security every time. A subscription is woken by an event of its topic,
//! by the sweep that has seen its caller's rights change, and otherwise every fifteen seconds, because events may be
//! lost.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tokio::sync::{Notify, SetOnce};

use super::context::Door;
use crate::error::{Code, Error, Result};
use crate::events::{Topic, Watch};
use crate::id::OrganizationId;

/// How long a subscription goes without looking.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// How long it waits before it looks again when the database was not there.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Subscriptions of one organization in this process at the most.
pub const PER_ORGANIZATION: usize = 1_000;

/// What one look found.
#[derive(Debug)]
pub struct News<T, C> {
    /// What is new, oldest first.
    pub items: Vec<T>,
    /// Where the next look begins.
    pub next: C,
    /// Whether there is more already.
    pub more: bool,
    /// Whether nothing will ever come after these.
    pub over: bool,
}

/// What reaches a live operation from outside: a reason to look again, and the end.
#[derive(Debug, Default)]
pub struct Pulse {
    nudged: Notify,
    dismissed: SetOnce<Error>,
}

impl Pulse {
    /// Makes the operation look again: something about its caller has changed.
    pub fn nudge(&self) {
        self.nudged.notify_one();
    }

    async fn nudged(&self) {
        self.nudged.notified().await;
    }

    /// Ends the connection that the operation came by. The first reason counts.
    pub fn dismiss(&self, why: Error) {
        // Whoever is dismissed already stays so.
        let _ = self.dismissed.set(why);
    }

    /// Waits for the end.
    pub async fn dismissed(&self) -> Error {
        self.dismissed.wait().await.clone()
    }
}

struct Following<T, C, R> {
    door: Arc<Door>,
    organization: OrganizationId,
    watch: Watch,
    read: R,
    from: C,
    found: VecDeque<T>,
    /// Whether the caller has been let in once.
    started: bool,
    more: bool,
    over: bool,
}

/// Everything that `read` finds, from `from` on: what is there at once, and the rest as it comes.
///
/// It ends when a look says that it is over, or with an error. When the caller was let in at first and is not any more,
/// their connection is dismissed instead, by [`Pulse::dismiss`]; whoever runs the stream has to heed that.
///
/// # Errors
/// [`Error::NotFound`] for an organization that the caller does not belong to; `RATE_LIMITED` when it has too many
/// subscriptions already.
pub async fn follow<T, C, R, F>(
    door: &Arc<Door>,
    organization: OrganizationId,
    topic: Topic,
    from: C,
    read: R,
) -> Result<impl Stream<Item = async_graphql::Result<T>> + use<T, C, R, F>>
where
    T: Send + 'static,
    C: Clone + Send + 'static,
    R: Fn(Arc<Door>, C) -> F + Send + 'static,
    F: Future<Output = Result<News<T, C>>> + Send,
{
    // Only for members a place is taken.
    door.scope(organization).await?;
    // Listening comes before the first look, so that nothing falls between the two.
    let watch = door.events().watch(topic);
    if door.events().listeners(organization) > PER_ORGANIZATION {
        return Err(Error::Refused {
            code: Code::RateLimited,
            message: format!(
                "This organization has {PER_ORGANIZATION} subscriptions open already. Close some of them first."
            ),
        });
    }
    let following = Following {
        door: Arc::clone(door),
        organization,
        watch,
        read,
        from,
        found: VecDeque::new(),
        started: false,
        more: true,
        over: false,
    };
    Ok(unfold(following, async |mut following| {
        let item = following.next().await?;
        Some((item.map_err(Into::into), following))
    }))
}

impl<T, C, R, F> Following<T, C, R>
where
    C: Clone,
    R: Fn(Arc<Door>, C) -> F,
    F: Future<Output = Result<News<T, C>>>,
{
    async fn next(&mut self) -> Option<Result<T>> {
        loop {
            if let Some(item) = self.found.pop_front() {
                return Some(Ok(item));
            }
            if self.over {
                return None;
            }
            if !self.more {
                self.wait(LOOK_AGAIN).await;
            }
            // On the heap, so that a subscription that waits keeps no room for it.
            match Box::pin((self.read)(Arc::clone(&self.door), self.from.clone())).await {
                Ok(news) => {
                    self.started = true;
                    self.found.extend(news.items);
                    (self.from, self.more, self.over) = (news.next, news.more, news.over);
                }
                // A database that restarts is no reason to end what can go on afterwards.
                Err(Error::Unavailable(_) | Error::Timeout) if self.started => {
                    self.wait(TRY_AGAIN).await;
                    self.more = true;
                }
                Err(error) => {
                    self.over = true;
                    if self.started && self.is_shut_out(&error).await {
                        self.door.pulse().dismiss(error);
                        return std::future::pending().await;
                    }
                    return Some(Err(error));
                }
            }
        }
    }

    /// Waits for a reason to look again, holding nothing.
    async fn wait(&mut self, longest: Duration) {
        self.door.rest().await;
        tokio::select! {
            () = self.watch.changed() => {}
            () = self.door.pulse().nudged() => {}
            () = tokio::time::sleep(longest) => {}
        }
    }

    /// Whether it is the caller who is gone, and not what they look at.
    async fn is_shut_out(&self, error: &Error) -> bool {
        match error {
            Error::Forbidden { .. } | Error::Unauthenticated(_) => true,
            Error::NotFound => Box::pin(self.door.confirmed(self.organization)).await.is_err(),
            _ => false,
        }
    }
}
