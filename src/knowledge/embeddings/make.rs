//! Making vectors of the passages of one place: a job, in the name of whoever chose the model, or added or changed a document.
//!
//! It asks for a few passages at a time and keeps their vectors at once, so that whatever ends it, none is paid for twice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::json;
use uuid::Uuid;

use super::store::{self, Lacking};
use super::{Cause, Embedder, Order, hold, needs};
use crate::access::Action;
use crate::db::{Changes, Record, Target, WriteTx};
use crate::engine::embeddings::TEXTS;
use crate::error::Result;
use crate::jobs::worker::Work;
use crate::jobs::{self, Attempted, Engine, Failure, Finished, Part, Run};
use crate::knowledge;
use crate::providers::Providers;
use crate::usage::Amounts;

/// The kind of these jobs.
pub const KIND: &str = "embeddings.make";
/// The kind of the event that says that some vectors are there, and what all of them have taken so far.
const EVENT: &str = "embedded";
/// Characters of the passages of one request at the most: some 30,000 tokens.
const CHARACTERS: usize = 100_000;
/// How long a job that got somewhere waits for a provider that does not say how long.
const PAUSE: Duration = Duration::from_secs(5);

/// What makes vectors.
pub struct MakeEmbeddings {
    providers: Arc<Providers>,
}

impl MakeEmbeddings {
    /// With these providers.
    pub const fn new(providers: Arc<Providers>) -> Self {
        Self { providers }
    }
}

impl Work for MakeEmbeddings {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.attempt(run).boxed()
    }
}

impl Lacking {
    /// What a model is given of it: what somebody who reads the passage sees of where it stands, and the passage.
    fn said(&self) -> String {
        let heading = self.heading.as_deref().map(|heading| format!(" › {heading}")).unwrap_or_default();
        format!("{}{heading}\n\n{}", self.title, self.text)
    }

    fn characters(&self) -> usize {
        let heading = self.heading.as_deref().map_or(0, |heading| heading.chars().count());
        self.title.chars().count() + heading + self.text.chars().count()
    }
}

/// How far the work is.
#[derive(Default)]
struct Progress {
    /// Passages that had no vector when it began.
    all: usize,
    /// Those that have got one.
    done: usize,
    /// What they took, those of earlier attempts included.
    engine: Option<Engine>,
}

impl MakeEmbeddings {
    /// A failure that may pass costs no attempt when something was kept before it: a large place takes many requests.
    async fn attempt(&self, run: &Run) -> Result<Attempted, Failure> {
        let mut progress = Progress::default();
        match self.work(run, &mut progress).await {
            Err(Failure::Retry(fault, after)) if progress.done > 0 => {
                Ok(Attempted::Waits { after: after.unwrap_or(PAUSE), why: fault.message })
            }
            outcome => outcome,
        }
    }

    async fn work(&self, run: &Run, progress: &mut Progress) -> Result<Attempted, Failure> {
        // A key that may add but not read adds all the same: what is read here goes nowhere but into vectors.
        let ways =
            [Action::ContentRead, Action::EmbeddingsAdd, Action::EmbeddingsRenew, Action::EmbeddingsMake];
        let may = |action: &Action| run.scope().may_somewhere(action.permission());
        let looking = ways.into_iter().find(may).unwrap_or(Action::ContentRead);
        let order: Order = {
            let mut tx = run.read(looking).await?;
            let order: Order = jobs::input(&mut tx, run.job()).await?;
            progress.all = usize::try_from(store::count_lacking(&mut tx, order.project).await?).unwrap_or(0);
            let before = jobs::last_event(&mut tx, run.job(), EVENT).await?;
            progress.engine = before.and_then(|event| serde_json::from_value(event.data?).ok());
            order
        };
        let mut after = Uuid::nil();
        loop {
            let (embedder, passages) = {
                let mut tx = run.read(looking).await?;
                let embedder = Embedder::find(&mut tx, &self.providers).await?;
                let most = i64::try_from(TEXTS).unwrap_or(i64::MAX);
                (embedder, store::lacking(&mut tx, order.project, after, most).await?)
            };
            run.release().await;
            let Some(embedder) = embedder.filter(|_| !passages.is_empty()) else {
                match finish(run, &order, progress).await? {
                    Some(ended) => return Ok(ended),
                    // Something was added since, or another model chosen.
                    None => after = Uuid::nil(),
                }
                continue;
            };
            let passages = first(passages);
            let texts = passages.iter().map(Lacking::said).collect();
            let (vectors, engine) = embedder.embed(run, texts).await?;
            progress.engine = Some(match progress.engine.take() {
                Some(before) => engine.and(&before),
                None => engine,
            });
            after = passages.last().map_or(after, |passage| passage.id);
            let mut tx = write(run, &order).await?;
            if store::find(&mut tx).await?.is_none_or(|now| now.id != embedder.embeddings.id) {
                drop(tx);
                after = Uuid::nil();
                continue;
            }
            progress.done += passages.len();
            let ids: Vec<Uuid> = passages.iter().map(|passage| passage.id).collect();
            store::put(&mut tx, embedder.embeddings.id, &ids, &vectors).await?;
            keep(run, tx, &order, &passages, progress).await?;
        }
    }
}

/// As many passages as go into one request, at least one.
fn first(mut passages: Vec<Lacking>) -> Vec<Lacking> {
    let mut characters = 0;
    let fits = passages.iter().take_while(|passage| {
        characters += passage.characters();
        characters <= CHARACTERS
    });
    let count = fits.count().max(1);
    passages.truncate(count);
    passages
}

/// Opens a transaction in which nobody else adds a passage to the place, takes one away, or chooses another model: they have
/// done so, or wait. Whoever chose the model may do this in the whole organization, others where they have added something.
async fn write<'a>(run: &'a Run, order: &Order) -> Result<WriteTx<'a>> {
    let project = order.project.filter(|_| order.cause != Cause::Set);
    let mut tx = run.write(project, order.cause.action()).await?;
    knowledge::take_shelf(&mut tx, order.project).await?;
    hold(&mut tx).await?;
    Ok(tx)
}

fn record(run: &Run, order: &Order, passages: usize) -> Record {
    let target = Target::organization(run.organization()).within(order.project);
    Record::with(target, Changes::made(&json!({"passages": passages})))
}

/// Keeps the vectors of some passages, with what they took.
async fn keep(
    run: &Run,
    tx: WriteTx<'_>,
    order: &Order,
    passages: &[Lacking],
    progress: &Progress,
) -> Result<()> {
    let Progress { all, done, engine } = progress;
    let all = (*all).max(*done);
    #[expect(clippy::cast_precision_loss, reason = "a share of the work needs no more digits")]
    let share = *done as f32 / all.max(1) as f32;
    let characters: usize = passages.iter().map(Lacking::characters).sum();
    let part = Part {
        progress: share,
        kind: EVENT,
        message: &format!("Embedded {done} of {all} passages."),
        data: json!(engine),
        used: Amounts::default(),
        reserved: needs(i64::try_from(characters).unwrap_or(i64::MAX)),
    };
    run.keep(tx, part, record(run, order, passages.len())).await
}

/// Ends the job when nothing is left to be made; none: something is. Who adds something now waits, and makes a new job.
async fn finish(run: &Run, order: &Order, progress: &Progress) -> Result<Option<Attempted>> {
    let mut tx = write(run, order).await?;
    let wanted = store::find(&mut tx).await?.is_some();
    if wanted && !store::lacking(&mut tx, order.project, Uuid::nil(), 1).await?.is_empty() {
        return Ok(None);
    }
    let finished = Finished { engine: progress.engine.clone(), ..Finished::default() };
    Ok(Some(run.succeed(tx, &finished, record(run, order, progress.done)).await?))
}
