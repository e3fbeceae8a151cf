//! Finding the passages that may answer a question.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{store, synonyms};
use crate::db::ReadTx;
use crate::error::Result;
use crate::id::{DocumentId, OrganizationId, ProjectId};
use crate::jobs;
use crate::retrieval::{self, Candidate, Language, Plan, Question, Statistics};

/// Passages that are looked at while searching, by their rarest terms. With more, the commonest of the question's terms
/// only help to weigh what the rarer ones have found.
const LOOKED_AT: u64 = 4_000;
/// Passages that are ranked.
const RANKED: i32 = 200;

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// In one project and what is the whole organization's; everywhere that the transaction sees when none.
    pub project: Option<ProjectId>,
    /// In these documents only.
    pub documents: Option<Vec<DocumentId>>,
    /// In documents that have one of these tags only, in whatever case.
    pub tags: Option<Vec<String>>,
}

impl Place {
    /// The documents' ids, as the database has them.
    pub(super) fn document_ids(&self) -> Option<Vec<Uuid>> {
        self.documents.as_ref().map(|list| list.iter().map(|document| document.uuid()).collect())
    }
}

/// A passage that may answer, and where it is.
#[derive(Debug, Clone)]
pub struct Passage {
    /// What is ranked.
    pub candidate: Candidate,
    /// Its document.
    pub document: DocumentId,
    /// The version that it is of.
    pub version: i32,
}

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// The question, with spellings corrected by what the organization's documents say.
    pub question: Question,
    /// Its terms, weighed.
    pub plan: Plan,
    /// How often they occur.
    pub statistics: Statistics,
    /// Passages that may answer.
    pub passages: Vec<Passage>,
}

impl Found {
    /// The best passages, best first, each with how much of the question it covers, from 0 to 1. It computes: not for where
    /// others wait.
    pub fn best(&self, most: usize) -> Vec<(&Passage, f64)> {
        let candidates: Vec<_> = self.passages.iter().map(|passage| passage.candidate.clone()).collect();
        let ranked = retrieval::rank(&self.plan, &candidates, &self.statistics);
        let of = |id: u128| self.passages.iter().find(|passage| passage.candidate.id == id);
        let best = ranked.iter().take(most);
        best.filter_map(|ranked| Some((of(ranked.candidate.id)?, ranked.coverage))).collect()
    }
}

/// Reads a question with the organization's own synonyms.
///
/// # Errors
/// What the database says.
pub async fn read(tx: &mut ReadTx<'_>, text: &str) -> Result<Question> {
    let synonyms = synonyms::list(tx).await?;
    let text = text.to_owned();
    // There may be hundreds: not where others wait.
    jobs::compute(move || Question::read_with(&text, &synonyms)).await
}

/// Searches as far as the transaction sees.
///
/// # Errors
/// What the database says.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
#[expect(clippy::cast_possible_truncation, reason = "a weight needs no more digits")]
pub async fn search(
    tx: &mut ReadTx<'_>,
    organization: OrganizationId,
    mut question: Question,
    place: &Place,
) -> Result<Found> {
    let (chunks, words) = store::totals(tx, place.project).await?;
    let mut statistics = Statistics {
        chunks: chunks.unsigned_abs(),
        average_words: words as f64 / chunks.max(1) as f64,
        counts: counts(store::counts(tx, place.project, &question.lookups()).await?).collect(),
    };
    let mut neighbours = Vec::new();
    for near in question.unknown(&statistics) {
        let number = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
        let lengths = number(near.shortest)..=number(near.longest);
        let limit = i64::from(number(near.limit));
        neighbours.extend(counts(store::neighbours(tx, place.project, &near.prefix, lengths, limit).await?));
    }
    question.correct(&neighbours, &mut statistics);
    let plan = question.plan(&statistics);

    let mut looked_at = 0;
    let mut rare: Vec<String> = Vec::new();
    for term in &plan.terms {
        let count = statistics.count(&term.term);
        if !rare.is_empty() && looked_at + count > LOOKED_AT {
            break;
        }
        looked_at += count;
        rare.push(term.term.clone());
    }
    let terms: Vec<(String, f32)> =
        plan.terms.iter().map(|term| (term.term.clone(), term.weight as f32)).collect();
    let ids = store::search(tx, organization, place, &rare, &terms, RANKED).await?;
    let passages = passages(tx, &ids).await?;
    Ok(Found { question, plan, statistics, passages })
}

/// Passages by id, as far as the transaction sees them, in the order of the ids.
///
/// # Errors
/// What the database says.
pub async fn passages(tx: &mut ReadTx<'_>, ids: &[Uuid]) -> Result<Vec<Passage>> {
    Ok(store::chunks(tx, ids).await?.into_iter().map(passage).collect())
}

/// How many passages the transaction sees.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>) -> Result<i64> {
    Ok(store::totals(tx, None).await?.0)
}

/// The passages that can be found for a project, those of the newest documents first, at most so many.
///
/// # Errors
/// What the database says.
pub async fn newest(tx: &mut ReadTx<'_>, project: ProjectId, most: i64) -> Result<Vec<Passage>> {
    Ok(store::newest_chunks(tx, project, most).await?.into_iter().map(passage).collect())
}

/// How many passages there are for a project, and how many of them hold each term.
///
/// # Errors
/// What the database says.
pub async fn frequencies(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    terms: &[String],
) -> Result<(u64, BTreeMap<String, u64>)> {
    let (passages, _) = store::totals(tx, Some(project)).await?;
    let found = counts(store::counts(tx, Some(project), terms).await?).collect();
    Ok((passages.unsigned_abs(), found))
}

fn counts(rows: Vec<(String, i64)>) -> impl Iterator<Item = (String, u64)> {
    rows.into_iter().map(|(term, count)| (term, count.unsigned_abs()))
}

fn passage(row: store::Chunk) -> Passage {
    let language = Language::ALL.into_iter().find(|known| known.as_str() == row.language);
    Passage {
        candidate: Candidate {
            id: row.id.as_u128(),
            document: row.document_id.as_u128(),
            title: row.title,
            heading: row.heading,
            text: row.text,
            start: usize::try_from(row.start_offset).unwrap_or(0),
            language: language.unwrap_or(Language::English),
        },
        document: row.document_id.into(),
        version: row.version,
    }
}
