//! Questions and answers, as the schema shows them.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;
use uuid::Uuid;

use super::conversations::graphql::QaConversation;
use super::{AnswerLength, Ask, Asked, trace};
use crate::access::{Action, Permission, Scope};
use crate::agents::Output;
use crate::agents::graphql::{AgentOutput, EngineInput, Rating, common, output, outputs, stars, started};
use crate::audit::graphql::Actor;
use crate::db::{Changes, Record, Target};
use crate::error::Result;
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{AnswerId, DocumentId, OrganizationId, ProjectId};
use crate::idempotency;
use crate::jobs::graphql::Job;
use crate::knowledge::graphql::{self as knowledge, KnowledgeDocument};
use crate::projects::graphql::Project;
use crate::providers::Providers;
use crate::retrieval::{Language, Sense};

/// An answer to a question, from the organization's documents.
pub struct QaAnswer {
    row: super::Answer,
}

impl QaAnswer {
    /// The answer of a row.
    pub const fn new(row: super::Answer) -> Self {
        Self { row }
    }

    /// What all outputs have.
    pub(crate) const fn common(&self) -> &Output {
        &self.row.output
    }
}

impl Node for QaAnswer {}

/// A stretch of a document. `quote` equals the document version's text from `startOffset` to `endOffset`, counted in
/// Unicode scalar values.
pub struct Citation {
    organization: OrganizationId,
    row: super::Citation,
}

impl Citation {
    /// A stretch of a document of an organization.
    pub(crate) const fn new(organization: OrganizationId, row: super::Citation) -> Self {
        Self { organization, row }
    }
}

/// A stretch of a document. `quote` equals the document version's text from `startOffset` to `endOffset`, counted in
/// Unicode scalar values.
#[Object]
impl Citation {
    /// The document; null when it was deleted or is not visible to the caller.
    async fn document(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<KnowledgeDocument>> {
        let Some(document) = self.row.document else { return Ok(None) };
        Ok(knowledge::find(ctx, self.organization, document).await?)
    }

    /// The version that is quoted.
    async fn document_version(&self) -> i32 {
        self.row.version
    }

    /// The headings above it, outermost first.
    async fn heading(&self) -> Option<&str> {
        self.row.heading.as_deref()
    }

    /// The words, letter for letter.
    async fn quote(&self) -> &str {
        &self.row.quote
    }

    /// Where they begin in the version's text, in Unicode scalar values.
    async fn start_offset(&self) -> i32 {
        self.row.start
    }

    /// Where they end; the first value after them.
    async fn end_offset(&self) -> i32 {
        self.row.end
    }

    /// How well they answer, from 0 to 1.
    async fn score(&self) -> f64 {
        rounded(self.row.score)
    }
}

/// What the confidence of an answer is made of. Each is from 0 to 1.
#[derive(SimpleObject)]
pub struct QaConfidenceParts {
    /// The share of the question's words, each by its weight, that the best sentence has, itself or in what it stands under
    /// and beside. The more, the surer.
    coverage: f64,
    /// Whether the best sentence has the kind of thing that is asked for, such as a date after `when` or an amount after `how
    /// much`: 0 when it does not; between when that cannot be told for certain; 1 when it does, and for questions that may be
    /// answered by any sentence. The more, the surer.
    kind: f64,
    /// How much of the question the one word is that the best sentence lacks most; 0 when it lacks none. The more, the less
    /// sure.
    gap: f64,
    /// How probable it is that the best of all sentences that were read is among the best three: little when many are as
    /// good. The more, the surer.
    chosen: f64,
}

impl From<super::ConfidenceParts> for QaConfidenceParts {
    fn from(parts: super::ConfidenceParts) -> Self {
        let super::ConfidenceParts { coverage, kind, gap, chosen } = parts;
        Self { coverage: rounded(coverage), kind: rounded(kind), gap: rounded(gap), chosen: rounded(chosen) }
    }
}

/// How an answer was looked for.
#[derive(SimpleObject)]
pub struct QaRetrieval {
    /// The question's words, in their order, without those that say too little to look for.
    words: Vec<QaRetrievalWord>,
    /// How many passages have words of the question, of the 200 at most that are ranked.
    candidates: i32,
    /// The best passages, the best first, at most 20.
    passages: Vec<QaRetrievalPassage>,
}

/// A word of a question.
#[derive(SimpleObject)]
pub struct QaRetrievalWord {
    /// The word, in lower case.
    word: String,
    /// What stands in passages for it, the best first, at most eight; none when nothing does.
    forms: Vec<QaRetrievalForm>,
}

/// What stands in passages for a word of a question.
#[derive(SimpleObject)]
pub struct QaRetrievalForm {
    /// Stems of words, all of which a passage has to have.
    terms: Vec<String>,
    /// What they are to the word.
    sense: Sense,
    /// How many passages have the rarest of them.
    passages: i32,
}

/// A passage, and how it was ranked.
pub struct QaRetrievalPassage {
    organization: OrganizationId,
    row: trace::Place,
}

/// A passage, and how it was ranked.
#[Object]
impl QaRetrievalPassage {
    /// The document; null when it was deleted or is not visible to the caller.
    async fn document(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<KnowledgeDocument>> {
        Ok(knowledge::find(ctx, self.organization, self.row.document).await?)
    }

    /// The version that it is of.
    async fn document_version(&self) -> i32 {
        self.row.version
    }

    /// The headings above it, outermost first.
    async fn heading(&self) -> Option<&str> {
        self.row.heading.as_deref()
    }

    /// Whether it is one of the `topK` that the answer was looked for in.
    async fn read(&self) -> bool {
        self.row.read
    }

    /// Which place it has by the question's words, from 1; null when it has none of them.
    async fn word_rank(&self) -> Option<i32> {
        self.row.word_rank
    }

    /// Which place it has by what it means, from 1; null when it is not among the nearest 100, and where vectors are not asked.
    async fn meaning_rank(&self) -> Option<i32> {
        self.row.meaning_rank
    }

    /// How much its words speak for it, by BM25 over text, heading and title; to be compared within one answer only.
    async fn score(&self) -> Option<f64> {
        self.row.score.map(rounded)
    }

    /// How much of the question it has, from 0 to 1.
    async fn coverage(&self) -> Option<f64> {
        self.row.coverage.map(rounded)
    }

    /// How well its best sentence answers, to be compared within one answer only: one more is e times as probable. The best 25
    /// passages are ranked by it. Null for others.
    async fn sentence(&self) -> Option<f64> {
        self.row.sentence.map(rounded)
    }
}

impl QaRetrieval {
    fn new(organization: OrganizationId, trace: super::Trace) -> Self {
        let super::Trace { words, candidates, passages } = trace;
        let form = |form: trace::Form| {
            let trace::Form { terms, sense, passages } = form;
            QaRetrievalForm { terms, sense, passages }
        };
        let word = |word: trace::Word| QaRetrievalWord {
            word: word.word,
            forms: word.forms.into_iter().map(form).collect(),
        };
        Self {
            words: words.into_iter().map(word).collect(),
            candidates,
            passages: passages.into_iter().map(|row| QaRetrievalPassage { organization, row }).collect(),
        }
    }
}

/// A question that the documents have not answered, or not so that it helped.
#[derive(SimpleObject)]
pub struct OpenQuestion {
    /// As it was asked last.
    question: String,
    /// How often it was asked.
    asked: i32,
    /// When it was asked last.
    last_asked_at: DateTime,
    /// What it was answered last, and is rated low; null when it was not answered.
    answer: Option<QaAnswer>,
    /// How that is rated, 1 to 5 stars on average; null when it was not answered.
    stars: Option<f64>,
}

/// The most open questions that are listed.
const OPEN_QUESTIONS: i64 = 50;

/// What a project's documents do not answer; none when the caller may not read its content.
///
/// # Errors
/// What the database says.
pub(crate) async fn open_questions(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: ProjectId,
    max_stars: Option<i32>,
) -> Result<Option<Vec<OpenQuestion>>> {
    let max_stars = stars(&["maxStars"], max_stars)?;
    let may = |scope: &Scope| scope.may_list(Some(project), Permission::ContentRead);
    let Some(mut tx) = ctx.door().read_if(organization, Action::ContentRead, may).await? else {
        return Ok(None);
    };
    let open = super::unanswered(&mut tx, project, max_stars, OPEN_QUESTIONS).await?;
    drop(tx);
    let ids: Vec<Uuid> = open.iter().filter_map(|open| open.answer.map(AnswerId::uuid)).collect();
    let mut answers: HashMap<Uuid, QaAnswer> = HashMap::new();
    if !ids.is_empty() {
        for output in outputs(ctx, organization, &ids).await? {
            if let AgentOutput::QaAnswer(answer) = output {
                answers.insert(answer.common().id, answer);
            }
        }
    }
    let open = open.into_iter().map(|open| OpenQuestion {
        answer: open.answer.and_then(|id| answers.remove(&id.uuid())),
        question: open.question,
        asked: i32::try_from(open.asked).unwrap_or(i32::MAX),
        last_asked_at: open.last_asked_at.into(),
        stars: open.stars.map(|stars| (stars * 100.0).round() / 100.0),
    });
    Ok(Some(open.collect()))
}

/// Three decimals are all that is meant.
fn rounded(share: f32) -> f64 {
    (f64::from(share) * 1000.0).round() / 1000.0
}

/// An answer to a question, from the organization's documents.
#[Object]
impl QaAnswer {
    /// The answer's id.
    pub async fn id(&self) -> ID {
        ID(AnswerId::from(self.row.output.id).to_string())
    }

    /// The project that it was asked in; null when it was the whole organization.
    pub async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        Ok(common::project(ctx, &self.row.output).await?)
    }

    /// The job that made it.
    pub async fn job(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Job>> {
        Ok(common::job(ctx, &self.row.output).await?)
    }

    /// Who asked; null when they have left or are not visible to the caller.
    pub async fn created_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Actor>> {
        Ok(common::created_by(ctx, &self.row.output).await?)
    }

    /// When it was made.
    pub async fn created_at(&self) -> DateTime {
        self.row.output.created_at.into()
    }

    /// What people and programs think of it, newest first, at most 100.
    pub async fn ratings(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Rating>> {
        Ok(common::ratings(ctx, &self.row.output).await?)
    }

    /// What was asked.
    async fn question(&self) -> &str {
        &self.row.question
    }

    /// The whole question that was answered: one that goes on from those before it in its conversation is completed from
    /// them, and any other is as it was asked.
    async fn understood_as(&self) -> &str {
        self.row.understood_as.as_deref().unwrap_or(&self.row.question)
    }

    /// The conversation that it was asked in; null when it was asked by itself.
    async fn conversation(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<QaConversation>> {
        let Some(id) = self.row.conversation else { return Ok(None) };
        let found = loader::conversation(ctx, self.row.output.organization, id).await?;
        Ok(found.map(QaConversation::new))
    }

    /// The answer; null when the documents do not hold one. The built-in engine's is made of quotations only.
    async fn answer(&self) -> Option<&str> {
        self.row.answer.as_deref()
    }

    /// Whether the documents answer the question.
    async fn answered(&self) -> bool {
        self.row.answer.is_some()
    }

    /// Sentences of a model's answer that name no passage, as they stand in it: what they say cannot be checked. Empty unless
    /// the question was asked with `requireCitations: false`.
    async fn uncited(&self) -> &[String] {
        &self.row.uncited
    }

    /// How sure the built-in engine is, from 0 to 1; below 0.6 it does not answer. `confidenceParts` says what this is made of.
    /// Null for a provider's answer.
    async fn confidence(&self) -> Option<f64> {
        self.row.confidence.map(rounded)
    }

    /// What `confidence` is made of, by weights that were fitted to questions with known answers. Null for a provider's
    /// answer, and for one from before these were kept.
    async fn confidence_parts(&self) -> Option<QaConfidenceParts> {
        self.row.confidence_parts.map(Into::into)
    }

    /// What the answer rests on.
    async fn citations(&self) -> Vec<Citation> {
        self.cite(&self.row.citations)
    }

    /// What came closest when the question could not be answered.
    async fn near_misses(&self) -> Vec<Citation> {
        self.cite(&self.row.near_misses)
    }

    /// Where the documents may have more: the headings, as `Citation.heading` has them, of other passages that the question
    /// touches, the best first, at most three. They stand there word for word, so they are questions only where a document's
    /// headings are; asked as they are, they find their passages.
    async fn follow_ups(&self) -> &[String] {
        &self.row.follow_ups
    }

    /// How it was looked for: what to look at when an answer is not the one that was hoped for. Null without `AGENT_CONFIGURE`
    /// where it was asked, and for an answer from before this was kept.
    async fn retrieval(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<QaRetrieval>> {
        let Output { organization, project, id, .. } = self.row.output;
        let may = |scope: &Scope| scope.may_see(project, Permission::AgentConfigure);
        let Some(mut tx) = ctx.door().read_if(organization, Action::ContentRead, may).await? else {
            return Ok(None);
        };
        let trace = super::retrieval(&mut tx, id.into()).await?;
        Ok(trace.map(|trace| QaRetrieval::new(organization, trace)))
    }
}

impl QaAnswer {
    fn cite(&self, list: &[super::Citation]) -> Vec<Citation> {
        let organization = self.row.output.organization;
        list.iter().map(|row| Citation { organization, row: row.clone() }).collect()
    }
}

/// A question.
#[derive(InputObject, Serialize)]
struct QaAskInput {
    /// Whose documents.
    organization_id: ID,
    /// Of this project and of the whole organization; of everything that the caller sees when absent.
    project_id: Option<ID>,
    /// What is asked, 1 to 2,000 characters.
    question: String,
    /// Only from these documents, at most 100.
    document_ids: Option<Vec<ID>>,
    /// Only from documents that have one of these tags, in whatever case; at most 20.
    tags: Option<Vec<String>>,
    /// The conversation that it goes on with, in the same project or in none: `And on weekends?` is understood from the
    /// questions before, and a provider's model is told the last of them with their answers.
    conversation_id: Option<ID>,
    /// From how many of the best passages, 1 to 20.
    #[graphql(default = 5)]
    top_k: i32,
    /// Answers of less confidence (0 to 1) count as none.
    min_score: Option<f64>,
    /// How much the answer says. Whether there is one does not depend on it.
    #[graphql(default_with = "AnswerLength::Medium")]
    length: AnswerLength,
    /// The language of the answer. The built-in engine translates nothing: it quotes only what is written in this language, and
    /// what is written in another one is a near miss at best. A model is given passages in any language and answers in this
    /// one. When absent, passages in the language of the question come first, and a model answers in that.
    language: Option<Language>,
    /// Whether a model's sentences that name no passage are left out. When false they stay, and `QaAnswer.uncited` has them.
    /// The built-in engine says nothing without citing it.
    #[graphql(default = true)]
    require_citations: bool,
    /// Another engine than the built-in one.
    engine: Option<EngineInput>,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = true)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// What asking is answered with.
#[derive(Default, SimpleObject)]
pub struct QaAskPayload {
    /// The job that answers.
    job: Option<Job>,
    /// The answer; null when it was not waited for or is not there yet: watch the job. When the job has failed, its
    /// `error` says why.
    answer: Option<QaAnswer>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(QaAskPayload);

/// Asking questions.
#[derive(Default)]
pub struct QaMutation;

#[Object]
impl QaMutation {
    /// Answers a question from the organization's documents, with citations, or says that they do not answer it.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for the answer.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`.
    #[graphql(guard = "Requires::In(Action::QaAsk, &input.organization_id)")]
    async fn qa_ask(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The question.")] input: QaAskInput,
    ) -> async_graphql::Result<Option<QaAskPayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project = match &input.project_id {
                None => None,
                Some(id) => Some(door.named_project("projectId", input_id("projectId", id)?)?),
            };
            let documents = input.document_ids.as_ref().map(|ids| {
                ids.iter().map(|id| input_id::<DocumentId>("documentIds", id)).collect::<Result<Vec<_>>>()
            });
            let asked = Asked {
                question: &input.question,
                project,
                documents: documents.transpose()?,
                tags: input.tags.as_deref(),
                conversation: match &input.conversation_id {
                    None => None,
                    Some(id) => Some(input_id("conversationId", id)?),
                },
                top_k: input.top_k,
                min_score: input.min_score,
                length: input.length,
                language: input.language,
                require_citations: input.require_citations,
                engine: input.engine.as_ref().map(Into::into),
            };
            let mut ask = Ask::parse(asked)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write_within(organization, project, Action::QaAsk)
                .await
                .map_err(not_found_at(if project.is_some() { "projectId" } else { "organizationId" }))?;
            ask.choose(&mut tx, ctx.data_unchecked::<Arc<Providers>>()).await?;
            let (id, new) = super::ask(&mut tx, &ask, key.as_ref()).await?;
            if new {
                let changes = Changes::made(&serde_json::json!({
                    "question": ask.question, "engine": ask.engine.as_ref().map(|wanted| &wanted.provider),
                }));
                tx.commit(Record::with(Target::job(id).within(project), changes)).await?;
            } else {
                drop(tx);
            }
            let job = started(ctx, organization, id, input.wait).await?;
            let answer = match job.as_ref().and_then(|job| job.result) {
                Some(result) => output(ctx, organization, result).await?,
                None => None,
            };
            Ok(QaAskPayload {
                job: job.map(Job::new),
                answer: match answer {
                    Some(AgentOutput::QaAnswer(answer)) => Some(answer),
                    _ => None,
                },
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
