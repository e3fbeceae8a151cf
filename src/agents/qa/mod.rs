//! The agent that answers questions from an organization's documents, with citations that can be checked.
//!
//! The built-in engine ([`crate::retrieval`]) quotes the sentences that answer, or says that none does. A provider's
//! model gets the same passages, numbered, and has to name the ones that each sentence rests on; what it says without
//! naming one is not an answer, unless the asker wants that as well, and then it is marked. Where the organization has
//! vectors of its passages ([`crate::knowledge::embeddings`]), a model also gets those that mean what is asked. Either way a
//! citation is a stretch of one version of one document, letter for letter, which is compared with the stored text before it
//! is saved.

pub mod conversations;
pub mod graphql;
mod model;
mod store;
mod trace;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::conversations::Turn;
pub use self::trace::Trace;
use super::Output;
use super::agent::{self, provided};
use crate::access::{Action, Permission};
use crate::db::{Changes, ReadTx, Record, Target, WriteTx};
use crate::engine::Engines;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AnswerId, ConversationId, DocumentId, JobId, ProjectId, WireId as _};
use crate::jobs::worker::Work;
use crate::jobs::{self, AgentKind, Attempted, Engine, Failure, Finished, NewJob, Run};
use crate::knowledge::embeddings::Embedder;
use crate::knowledge::search::{self, Found, Passage, Place};
use crate::providers::{Providers, Wanted, calls};
use crate::retrieval::{self, Candidate, Language};
use crate::usage::Amounts;
use crate::{idempotency, input, knowledge};

/// The kind of these jobs.
pub const KIND: &str = "qa.ask";
/// Characters of a question at the most.
pub const QUESTION_CHARACTERS: usize = 2_000;

/// Passages that mean what is asked, at the most, which are ranked together with those that have its words.
const NEAR: usize = 100;

/// How much an answer says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AnswerLength {
    /// The one sentence that answers best. A model is asked for one, too.
    Short,
    /// Up to three sentences, as many as answer about as well. A model is asked for one to four.
    #[default]
    Medium,
    /// Up to six sentences, as many as answer about as well. A model is asked for four to ten.
    Long,
}

impl AnswerLength {
    /// Sentences that the built-in engine quotes at the most.
    const fn quoted(self) -> usize {
        match self {
            Self::Short => 1,
            Self::Medium => 3,
            Self::Long => 6,
        }
    }
}

/// A question, checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    /// What is asked.
    pub question: String,
    /// In this project and what is the whole organization's; everywhere when none.
    pub project: Option<ProjectId>,
    /// In these documents only.
    pub documents: Option<Vec<DocumentId>>,
    /// In documents with one of these tags only.
    pub tags: Option<Vec<String>>,
    /// Going on from the questions of this conversation.
    pub conversation: Option<ConversationId>,
    /// From how many of the best passages.
    pub top_k: usize,
    /// Answers of less confidence count as none.
    pub min_score: Option<f64>,
    /// How much the answer says.
    #[serde(default)]
    pub length: AnswerLength,
    /// The language of the answer; when none, that of the question comes first.
    pub language: Option<Language>,
    /// Whether what a model says without naming a passage stays in the answer.
    #[serde(default)]
    pub keeps_uncited: bool,
    /// Another engine than the built-in one.
    pub engine: Option<Wanted>,
}

/// What a caller wrote.
#[derive(Debug)]
pub struct Asked<'a> {
    /// What is asked.
    pub question: &'a str,
    /// Where.
    pub project: Option<ProjectId>,
    /// In which documents.
    pub documents: Option<Vec<DocumentId>>,
    /// In documents with which tags.
    pub tags: Option<&'a [String]>,
    /// In which conversation.
    pub conversation: Option<ConversationId>,
    /// From how many passages.
    pub top_k: i32,
    /// The least confidence.
    pub min_score: Option<f64>,
    /// How much it shall say.
    pub length: AnswerLength,
    /// In which language.
    pub language: Option<Language>,
    /// Whether what names no passage is left out.
    pub require_citations: bool,
    /// Which engine.
    pub engine: Option<Wanted>,
}

impl Ask {
    /// Checks what a caller wrote, all but the engine: [`Ask::choose`] does.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(asked: Asked<'_>) -> Result<Self> {
        let refuse = |code, field: &str, message: &str| Error::fault(Fault::at(code, field, message));
        let question = input::paragraph("question", Some(asked.question), QUESTION_CHARACTERS)?
            .ok_or_else(|| refuse(FaultCode::Required, "question", "`question` must not be empty."))?;
        let top_k = usize::try_from(asked.top_k).ok().filter(|top_k| (1..=20).contains(top_k));
        let top_k =
            top_k.ok_or_else(|| refuse(FaultCode::OutOfRange, "topK", "`topK` is a number from 1 to 20."))?;
        if asked.min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(refuse(FaultCode::OutOfRange, "minScore", "`minScore` is a number from 0 to 1."));
        }
        if let Some(documents) = &asked.documents {
            input::list("documentIds", documents)?;
            if documents.is_empty() {
                let message =
                    "`documentIds` is empty. Name documents, or leave it out to look in all of them.";
                return Err(refuse(FaultCode::Required, "documentIds", message));
            }
        }
        if asked.tags.is_some_and(<[String]>::is_empty) {
            let message = "`tags` is empty. Name tags, or leave it out to look in all documents.";
            return Err(refuse(FaultCode::Required, "tags", message));
        }
        Ok(Self {
            question,
            project: asked.project,
            documents: asked.documents,
            tags: asked.tags.map(input::tags).transpose()?,
            conversation: asked.conversation,
            top_k,
            min_score: asked.min_score,
            length: asked.length,
            language: asked.language,
            keeps_uncited: !asked.require_citations,
            engine: asked.engine,
        })
    }

    /// What answering it may take.
    pub(super) fn needs(&self) -> Amounts {
        agent::needs(self.engine.as_ref(), model::MOST, Amounts::default())
    }

    /// Where passages are looked for.
    fn place(&self) -> Place {
        Place { project: self.project, documents: self.documents.clone(), tags: self.tags.clone() }
    }

    /// Settles which engine answers: the one that the caller names, or the one that routes name.
    ///
    /// # Errors
    /// A fault at the field; `PROVIDER_NOT_CONFIGURED`.
    pub async fn choose(&mut self, tx: &mut ReadTx<'_>, providers: &Providers) -> Result<()> {
        let place = (self.project, AgentKind::Qa);
        self.engine = Wanted::choose(self.engine.take(), tx, providers, place).await?;
        Ok(())
    }
}

/// Asks: the answer is a job's. Gives the job, and whether it is a new one.
///
/// # Errors
/// `NOT_FOUND` for the project, a document or the conversation; `IDEMPOTENCY_KEY_REUSED`.
pub async fn ask(tx: &mut WriteTx<'_>, ask: &Ask, key: Option<&idempotency::Key>) -> Result<(JobId, bool)> {
    let id = JobId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok((earlier.into(), false));
    }
    if let Some(project) = ask.project
        && crate::projects::find(tx, project).await?.is_none()
    {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    if let Some(documents) = &ask.documents {
        knowledge::require(tx, ask.project, "documentIds", documents).await?;
    }
    if let Some(conversation) = ask.conversation {
        conversations::require(tx, conversation, ask.project).await?;
    }
    let input = serde_json::to_value(ask).map_err(Error::internal)?;
    let (project, agent) = (ask.project, Some(AgentKind::Qa));
    let new =
        NewJob { id, kind: KIND, agent, project, input, run_at: None, result: None, needs: ask.needs() };
    jobs::enqueue(tx, &new).await?;
    Ok((id, true))
}

/// A stretch of a document that an answer rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    /// The document; none when it is no longer there.
    pub document: Option<DocumentId>,
    /// The version that is quoted.
    pub version: i32,
    /// The headings above it.
    pub heading: Option<String>,
    /// The words, letter for letter.
    pub quote: String,
    /// Where they begin in the version's text, in Unicode scalar values.
    pub start: i32,
    /// Where they end.
    pub end: i32,
    /// How well they answer, from 0 to 1.
    pub score: f32,
}

/// A saved answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What all outputs have.
    pub output: Output,
    /// What was asked.
    pub question: String,
    /// The whole question, where it was completed from those before it.
    pub understood_as: Option<String>,
    /// The conversation that it was asked in.
    pub conversation: Option<ConversationId>,
    /// The answer; none when the documents do not hold one.
    pub answer: Option<String>,
    /// Sentences of it that name no passage.
    pub uncited: Vec<String>,
    /// How sure it is, from 0 to 1; none when a provider's model answered, which does not say.
    pub confidence: Option<f32>,
    /// What that is made of; none when there is none, and for answers from before it was kept.
    pub confidence_parts: Option<ConfidenceParts>,
    /// What it rests on.
    pub citations: Vec<Citation>,
    /// What came closest when there is none.
    pub near_misses: Vec<Citation>,
    /// Headings of other passages that the question touches.
    pub follow_ups: Vec<String>,
}

/// What the built-in engine's confidence is made of, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceParts {
    /// The share of the question's words, by weight, that the best sentence and what it stands under have.
    pub coverage: f32,
    /// Whether the best sentence has what is asked for: a date, an amount.
    pub kind: f32,
    /// The share of the one word that the best sentence lacks most.
    pub gap: f32,
    /// How probable it is that the best sentence of all is among the best three.
    pub chosen: f32,
}

impl From<retrieval::Confidence> for ConfidenceParts {
    fn from(confidence: retrieval::Confidence) -> Self {
        let retrieval::Confidence { value: _, coverage, kind, gap, chosen } = confidence;
        Self { coverage: small(coverage), kind: small(kind), gap: small(gap), chosen: small(chosen) }
    }
}

/// The answers of outputs, in their order.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, outputs: Vec<Output>) -> Result<Vec<Answer>> {
    store::find_many(tx, outputs).await
}

/// How an answer was looked for; none for answers from before that was kept.
///
/// # Errors
/// What the database says.
pub async fn retrieval(tx: &mut ReadTx<'_>, id: AnswerId) -> Result<Option<Trace>> {
    store::retrieval(tx, id).await
}

/// A question that the documents have not answered, or not so that it helped.
#[derive(Debug, Clone)]
pub struct OpenQuestion {
    /// As it was asked last.
    pub question: String,
    /// How often it was asked.
    pub asked: i64,
    /// When it was asked last.
    pub last_asked_at: DateTime<Utc>,
    /// What it was answered last; none when it was not.
    pub answer: Option<AnswerId>,
    /// How that is rated, on average; none when nobody has rated it.
    pub stars: Option<f64>,
}

/// Questions of a project that the documents have not answered so far, the most frequent first, at most so many; of those
/// that were asked last. With a number of stars, also those whose last answer is rated so low.
///
/// # Errors
/// What the database says.
pub async fn unanswered(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    max_stars: Option<i16>,
    most: i64,
) -> Result<Vec<OpenQuestion>> {
    store::unanswered(tx, project, max_stars, most).await
}

/// An answer before it is saved.
#[derive(Debug, Default)]
struct Draft {
    /// The whole question, where it was completed from those before it.
    understood_as: Option<String>,
    answer: Option<String>,
    uncited: Vec<String>,
    confidence: Option<f32>,
    confidence_parts: Option<ConfidenceParts>,
    citations: Vec<Citation>,
    near_misses: Vec<Citation>,
    follow_ups: Vec<String>,
    retrieval: Option<Trace>,
}

/// What answers questions.
pub struct AnswerQuestion {
    providers: Arc<Providers>,
}

impl AnswerQuestion {
    /// With these providers beside the built-in engine.
    pub const fn new(providers: Arc<Providers>) -> Self {
        Self { providers }
    }
}

impl Work for AnswerQuestion {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.answer(run).boxed()
    }
}

impl AnswerQuestion {
    async fn answer(&self, run: &Run) -> Result<Attempted, Failure> {
        let (ask, turns, understood_as, found, engines, embedder) = {
            let mut tx = run.read(Action::QaAsk).await?;
            let ask: Ask = jobs::input(&mut tx, run.job()).await?;
            // Asking is reading: whoever may not read content is not told it by an agent either.
            let may_read = |permission| run.scope().may_see(ask.project, permission);
            if !may_read(Permission::ContentRead) {
                let message =
                    "Answers come from documents, and you may not read them: that needs CONTENT_READ.";
                return Err(Failure::fail(Fault::new(FaultCode::Conflict, message)));
            }
            let place = ask.place();
            let turns = match ask.conversation {
                Some(conversation) => conversations::turns(&mut tx, conversation).await?,
                None => Vec::new(),
            };
            let understood_as = conversations::understood(&ask.question, &turns);
            let question = search::read(&mut tx, understood_as.as_deref().unwrap_or(&ask.question)).await?;
            let found = search::search(&mut tx, run.organization(), question, &place).await?;
            let engines =
                self.providers.engines_of(&mut tx, ask.engine.as_ref().and_then(Wanted::own)).await?;
            // The built-in engine answers by words alone.
            let embedder = match ask.engine {
                Some(_) => Embedder::of(&mut tx, &self.providers, &place).await?,
                None => None,
            };
            (ask, turns, understood_as, Arc::new(found), engines, embedder)
        };
        run.release().await;
        run.progress(0.5, &format!("Found {} passages.", found.passages.len())).await?;

        let meant = understood_as.as_deref().unwrap_or(&ask.question);
        let asking =
            |wanted| ask_model((&engines, embedder.as_ref()), run, (&ask, &turns, meant), wanted, &found);
        let (draft, engine) = match provided(run, ask.engine.as_ref(), asking).await? {
            Some(answered) => answered,
            None => (builtin(Arc::clone(&found), &ask).await?, Engine::builtin()),
        };
        let draft = Draft { understood_as, ..enough(draft, ask.min_score) };
        Ok(save(run, &ask, &draft, engine).await?)
    }
}

/// What was found by its meaning.
#[derive(Debug, Default)]
struct Near {
    /// The nearest first.
    passages: Vec<Passage>,
    /// What it took to find them.
    engine: Option<Engine>,
}

/// Looks for passages that mean what is asked. When the question cannot be embedded, there are none, and an event says why.
async fn near(run: &Run, embedder: &Embedder, ask: &Ask, question: &str) -> Result<Near, Failure> {
    let (vector, engine) = match embedder.embed(run, vec![question.to_owned()]).await {
        Ok((mut vectors, engine)) => (vectors.pop(), engine),
        Err(failure) => {
            let message =
                format!("{} Passages are found by the question's words alone.", failure.fault().message);
            run.note(None, "not_embedded", Some(&message), None).await?;
            return Ok(Near::default());
        }
    };
    let place = ask.place();
    let passages = {
        let mut tx = run.read(Action::QaAsk).await?;
        let ids = match vector {
            Some(vector) => embedder.nearest(&mut tx, vector, &place, NEAR).await?,
            None => Vec::new(),
        };
        search::passages(&mut tx, &ids).await?
    };
    run.release().await;
    Ok(Near { passages, engine: Some(engine) })
}

/// The passages that a model is given: the best of those with the question's words, and where there are any that mean what is
/// asked, the best of both rankings together. With how they were found.
fn best(found: &Found, near: &[Passage], top_k: usize) -> (Vec<Passage>, Trace) {
    let candidates: Vec<_> = found.passages.iter().map(|passage| passage.candidate.clone()).collect();
    let ranked = retrieval::rank(&found.plan, &candidates, &found.statistics);
    let by_words = ranked.iter().map(|ranked| ranked.candidate.id).collect();
    let by_meaning = near.iter().map(|passage| passage.candidate.id).collect();
    let fused = retrieval::fuse(&[by_words, by_meaning], ranked.len() + near.len());
    let of = |id: &u128| found.passages.iter().chain(near).find(|passage| passage.candidate.id == *id);
    let given = fused.iter().take(top_k).filter_map(of).cloned().collect();
    (given, Trace::of(found, &ranked, near, &fused, top_k))
}

async fn ask_model(
    (engines, embedder): (&Engines, Option<&Embedder>),
    run: &Run,
    (ask, turns, meant): (&Ask, &[Turn], &str),
    wanted: &Wanted,
    found: &Arc<Found>,
) -> Result<(Draft, Engine), Failure> {
    let near = match embedder {
        Some(embedder) => near(run, embedder, ask, meant).await?,
        None => Near::default(),
    };
    let closest = builtin(Arc::clone(found), ask).await?;
    if found.passages.is_empty() && near.passages.is_empty() {
        // Nothing to ask a model about.
        return Ok((closest, Engine::builtin()));
    }
    let engine = engines.text(&wanted.provider).map_err(|missing| {
        Failure::fail(Fault::new(FaultCode::ProviderNotConfigured, missing.to_string()))
    })?;
    let (looking, top_k) = (Arc::clone(found), ask.top_k);
    let (passages, retrieval) = jobs::compute(move || best(&looking, &near.passages, top_k)).await?;
    let retrieval = Some(retrieval);
    let reply = model::ask(run, (engines, &*engine), wanted, (ask, turns), &passages).await?;
    let answered = calls::engine_of(engines, &*engine, &reply);
    // Finding them is part of what the answer took.
    let engine = match near.engine {
        Some(embedded) => answered.and(&embedded),
        None => answered,
    };
    let found = Arc::clone(found);
    let (length, keeps_uncited) = (ask.length, ask.keeps_uncited);
    let read = move || model::read(&reply.text, &passages, &found.statistics, length, keeps_uncited);
    let read = jobs::compute(read).await?;
    let mut follow_ups = closest.follow_ups;
    let draft = if let Some(model::Said { answer, uncited, citations }) = read {
        // What the model has cited is no news.
        follow_ups.retain(|heading| citations.iter().all(|cited| cited.heading.as_ref() != Some(heading)));
        Draft { answer: Some(answer), uncited, citations, follow_ups, retrieval, ..Draft::default() }
    } else {
        let near = if closest.citations.is_empty() { closest.near_misses } else { closest.citations };
        Draft { near_misses: near, follow_ups, retrieval, ..Draft::default() }
    };
    Ok((draft, engine))
}

/// The built-in engine's answer. It computes, so it does so where no other request waits for it.
async fn builtin(found: Arc<Found>, ask: &Ask) -> Result<Draft> {
    let (top_k, language) = (ask.top_k, ask.language);
    let options = retrieval::Options { sentences: ask.length.quoted(), ..retrieval::Options::default() };
    let answer = move || {
        let look = |language: Option<Language>| {
            let candidates = found.passages.iter().map(|passage| &passage.candidate);
            let spoken = |candidate: &&Candidate| language.is_none_or(|wanted| candidate.language == wanted);
            let candidates: Vec<_> = candidates.filter(spoken).cloned().collect();
            let ranked = retrieval::rank(&found.plan, &candidates, &found.statistics);
            let read = &ranked[..ranked.len().min(top_k)];
            let answer = retrieval::answer(&found.plan, &found.question, read, &options);
            let order: Vec<u128> = ranked.iter().map(|ranked| ranked.candidate.id).collect();
            (answer, Trace::of(&found, &ranked, &[], &order, top_k))
        };
        let (mut answer, trace) = look(language);
        if language.is_some() && !answer.answered {
            // What is written in another language may still have come closest.
            let (any, _) = look(None);
            answer.near_misses = if any.answered { any.citations } else { any.near_misses };
        }
        let cite = |list: Vec<retrieval::Citation>| -> Vec<Citation> {
            list.into_iter().filter_map(|citation| place(&found.passages, citation)).collect()
        };
        Draft {
            answer: answer.text,
            confidence: Some(small(answer.confidence.value)),
            confidence_parts: Some(answer.confidence.into()),
            citations: cite(answer.citations),
            near_misses: cite(answer.near_misses),
            follow_ups: answer.follow_ups,
            uncited: Vec::new(),
            retrieval: Some(trace),
            understood_as: None,
        }
    };
    jobs::compute(answer).await
}

#[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1 needs no more digits")]
pub(crate) fn small(share: f64) -> f32 {
    share.clamp(0.0, 1.0) as f32
}

/// A quotation of the engine's with its document and version.
fn place(passages: &[Passage], citation: retrieval::Citation) -> Option<Citation> {
    let passage = passages.iter().find(|passage| passage.candidate.id == citation.chunk)?;
    Some(Citation {
        document: Some(passage.document),
        version: passage.version,
        heading: citation.heading,
        quote: citation.quote,
        start: i32::try_from(citation.start).ok()?,
        end: i32::try_from(citation.end).ok()?,
        score: small(citation.score),
    })
}

/// An answer that is less sure than the caller wants is none; what it rested on came closest.
fn enough(draft: Draft, least: Option<f64>) -> Draft {
    let too_weak = draft.confidence.zip(least).is_some_and(|(sure, least)| f64::from(sure) < least);
    if !too_weak || draft.answer.is_none() {
        return draft;
    }
    Draft { answer: None, uncited: Vec::new(), near_misses: draft.citations, citations: Vec::new(), ..draft }
}

/// Saves the answer and ends the job, in one transaction, once every quotation was found where it is said to be.
async fn save(run: &Run, ask: &Ask, draft: &Draft, engine: Engine) -> Result<Attempted> {
    let mut tx = run.write(ask.project, Action::QaAnswer).await?;
    // A document that was deleted or changed while the answer was made is no longer what it rests on.
    let all: Vec<_> = draft.citations.iter().chain(&draft.near_misses).collect();
    let places: Vec<(DocumentId, i32, i32, String)> = all
        .iter()
        .filter_map(|citation| {
            Some((citation.document?, citation.version, citation.start, citation.quote.clone()))
        })
        .collect();
    if !knowledge::quotes_hold(&mut tx, &places).await? {
        drop(tx);
        return Err(Error::unavailable(anyhow::anyhow!("a document changed while it was read")));
    }
    if let Some(conversation) = ask.conversation {
        conversations::hold(&mut tx, conversation).await?;
    }
    let id = AnswerId::generate();
    super::store::insert(&mut tx, id.uuid(), AgentKind::Qa, (run.job(), None), ask.project, None).await?;
    store::insert(&mut tx, id, ask, draft).await?;
    let changes = Changes::made(&json!({
        "answered": draft.answer.is_some(), "citations": draft.citations.len(), "engine": engine.provider,
        "model": engine.model,
    }));
    let target = Target::output(AnswerId::KIND, id.to_string()).within(ask.project);
    let finished = Finished { result: Some(id.uuid()), engine: Some(engine), used: Amounts::RUN };
    run.succeed(tx, &finished, Record::with(target, changes)).await
}
