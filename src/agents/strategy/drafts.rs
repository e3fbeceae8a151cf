//! Drafts of a plan's posts: one call orders many, each from the agent that composes posts, all or none of them.
//!
//! The plan keeps which job drafts which of its posts. Whoever drafts posts of one plan at the same time waits for the other, so
//! that nothing is drafted twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Content;
use super::builtin::Slot;
use crate::agents::agent::{self, Unseeded};
use crate::agents::posts::{self, Planned, Posts};
use crate::agents::store;
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{DocumentId, JobId, ProjectId, StrategyId};
use crate::jobs::{self, Job, Status};
use crate::providers::Wanted;
use crate::{idempotency, knowledge};

/// Posts that one call drafts at the most.
pub const MOST: usize = 50;

/// Who drafts a post of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The job.
    pub job: JobId,
    /// The call that ordered it.
    call: Uuid,
}

/// Which posts of a plan, and how.
#[derive(Debug)]
pub struct Asked {
    /// Their places in the calendar, in order; when none, the first ones that nobody drafts.
    slots: Option<BTreeSet<usize>>,
    tone: Option<String>,
    variants: usize,
    hashtags: bool,
}

impl Asked {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(slots: Option<&[i32]>, tone: Option<String>, variants: i32, hashtags: bool) -> Result<Self> {
        let place = |place: &i32| {
            usize::try_from(*place).map_err(|_| {
                let message = "`slots` takes places in the calendar, counted from 0.";
                Error::fault(Fault::at(FaultCode::OutOfRange, "slots", message))
            })
        };
        let slots = slots
            .map(|slots| slots.iter().take(MOST + 1).map(place).collect::<Result<Vec<_>>>())
            .transpose()?;
        if slots.as_ref().is_some_and(|slots| slots.len() > MOST) {
            let message = format!("`slots` has at most {MOST} places. Draft the others with another call.");
            return Err(Error::fault(Fault::at(FaultCode::TooLong, "slots", message)));
        }
        let slots = slots.map(|slots| slots.into_iter().collect());
        Ok(Self { slots, tone, variants: usize::try_from(variants).unwrap_or(0), hashtags })
    }
}

/// What there is to order.
#[derive(Debug)]
pub enum Picked {
    /// Posts that nobody drafts yet; there may be none.
    New(Box<Orders>),
    /// An idempotency key replays an earlier call: the jobs of its posts, as far as nobody has had them drafted anew.
    Again(Vec<JobId>),
}

/// Posts to draft.
#[derive(Debug)]
pub struct Orders {
    strategy: StrategyId,
    project: ProjectId,
    content: Content,
    call: Uuid,
    /// By their places in the calendar.
    posts: Vec<(usize, posts::Input)>,
}

/// Finds out which posts of a plan are to be drafted, and holds the plan until the transaction ends.
///
/// # Errors
/// `NOT_FOUND`; `OUT_OF_RANGE` for a place that the plan does not have; `IDEMPOTENCY_KEY_REUSED`; a fault at the field.
pub async fn pick(
    tx: &mut WriteTx<'_>,
    strategy: StrategyId,
    project: ProjectId,
    asked: &Asked,
    key: Option<&idempotency::Key>,
) -> Result<Picked> {
    let stored = store::content(tx, strategy.uuid()).await?.ok_or(Error::NotFound)?;
    let content: Content = serde_json::from_value(stored).map_err(Error::internal)?;
    let call = Uuid::now_v7();
    if let Some(earlier) = idempotency::claim(tx, key, call).await? {
        let same = content.drafts.values().filter(|draft| draft.call == earlier);
        return Ok(Picked::Again(same.map(|draft| draft.job).collect()));
    }
    let count = content.plan.slots.len();
    if asked.slots.iter().flatten().any(|place| *place >= count) {
        let message = match count.checked_sub(1) {
            Some(last) => format!("The plan has {count} posts, whose places are 0 to {last}."),
            None => "The plan has no posts.".to_owned(),
        };
        return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "slots", message)));
    }
    let drafted = drafted(tx, &content.drafts, asked.slots.as_ref()).await?;
    let places = asked.slots.clone().unwrap_or_else(|| (0..count).collect());
    let open: Vec<usize> = places.into_iter().filter(|place| !drafted.contains(place)).take(MOST).collect();
    let slots: Vec<(usize, &Slot)> =
        open.into_iter().filter_map(|place| Some((place, content.plan.slots.get(place)?))).collect();
    let there = sources(tx, project, slots.iter().map(|(_, slot)| *slot)).await?;
    let posts = slots
        .into_iter()
        .map(|(place, slot)| Ok((place, input(strategy, slot, &there, content.language, asked)?)));
    let posts = posts.collect::<Result<_>>()?;
    Ok(Picked::New(Box::new(Orders { strategy, project, content, call, posts })))
}

/// The places whose posts are drafted, or are being drafted. Of those that are named, a draft that was deleted does not count.
async fn drafted(
    tx: &mut ReadTx<'_>,
    drafts: &BTreeMap<usize, Draft>,
    named: Option<&BTreeSet<usize>>,
) -> Result<BTreeSet<usize>> {
    let known: Vec<(usize, JobId)> = drafts
        .iter()
        .filter(|(place, _)| named.is_none_or(|named| named.contains(*place)))
        .map(|(place, draft)| (*place, draft.job))
        .collect();
    let ids: Vec<JobId> = known.iter().map(|(_, job)| *job).collect();
    let jobs: BTreeMap<Uuid, Job> =
        jobs::find_many(tx, &ids).await?.into_iter().map(|job| (job.id.uuid(), job)).collect();
    let left = if named.is_some() {
        let results: Vec<Uuid> = jobs.values().filter_map(|job| job.result).collect();
        let found = crate::agents::find_many(tx, &results).await?;
        Some(found.into_iter().map(|output| output.id).collect::<BTreeSet<Uuid>>())
    } else {
        None
    };
    let holds = |job: &Job| match (job.status, job.result, &left) {
        (Status::Failed | Status::Cancelled, ..) => false,
        (Status::Succeeded, Some(result), Some(left)) => left.contains(&result),
        _ => true,
    };
    let stands = |(_, id): &(usize, JobId)| jobs.get(&id.uuid()).is_some_and(holds);
    Ok(known.into_iter().filter(stands).map(|(place, _)| place).collect())
}

/// The documents of some posts that are still there for the project.
async fn sources(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    slots: impl Iterator<Item = &Slot>,
) -> Result<BTreeSet<Uuid>> {
    let named: BTreeSet<Uuid> = slots.flat_map(documents).map(DocumentId::uuid).collect();
    let ids: Vec<DocumentId> = named.into_iter().map(Into::into).collect();
    let found = knowledge::find_many(tx, &ids).await?.into_iter();
    let here = found.filter(|found| found.project.is_none_or(|own| own == project));
    Ok(here.map(|found| found.id.uuid()).collect())
}

/// What the topic of a post comes from.
pub(super) fn documents(slot: &Slot) -> impl Iterator<Item = DocumentId> {
    slot.sources.iter().filter_map(|source| source.parse().ok())
}

/// What a post is composed from. When none of its documents is left, all others are looked at.
fn input(
    strategy: StrategyId,
    slot: &Slot,
    there: &BTreeSet<Uuid>,
    language: crate::retrieval::Language,
    asked: &Asked,
) -> Result<posts::Input> {
    let documents: Vec<DocumentId> = documents(slot).filter(|id| there.contains(&id.uuid())).collect();
    posts::Input {
        brief: slot.topic.clone(),
        angle: slot.angle.as_ref().map(|angle| angle.quote.clone()),
        documents: (!documents.is_empty()).then_some(documents),
        assets: Vec::new(),
        channels: vec![slot.channel],
        tone: asked.tone.clone(),
        language,
        variants: asked.variants,
        hashtags: asked.hashtags,
        length: None,
        banned: Vec::new(),
        call_to_action: None,
        answer: None,
        planned: Some(Planned { strategy, at: slot.at }),
    }
    .parse()
}

impl Orders {
    /// What the first of them is composed from; none when there is nothing to draft.
    pub fn first(&mut self) -> Option<&mut posts::Input> {
        self.posts.first_mut().map(|(_, input)| input)
    }

    /// The places in the calendar.
    pub fn places(&self) -> Vec<usize> {
        self.posts.iter().map(|(place, _)| *place).collect()
    }

    /// Orders all of them, and notes that in the plan. Gives their jobs.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`.
    pub async fn place(mut self, tx: &mut WriteTx<'_>, engine: Option<&Wanted>) -> Result<Vec<JobId>> {
        let mut jobs = Vec::with_capacity(self.posts.len());
        for (place, input) in self.posts {
            let job = JobId::generate();
            let order = Unseeded { project: self.project, engine: engine.cloned(), seed: None, input };
            agent::place::<Posts>(tx, job, order).await?;
            self.content.drafts.insert(place, Draft { job, call: self.call });
            jobs.push(job);
        }
        let content = serde_json::to_value(&self.content).map_err(Error::internal)?;
        store::set_content(tx, self.strategy.uuid(), &content).await?;
        Ok(jobs)
    }
}
