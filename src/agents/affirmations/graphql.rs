//! Affirmations, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::{Affirmations, Input};
use crate::access::Action;
use crate::agents::graphql::{AgentOutput, EngineInput, Given, UnusedInput, agent_output, order};
use crate::graphql::context::{Requires, input_id};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::id::PeriodId;
use crate::jobs::graphql::Job;
use crate::periods::graphql::{self as periods, Period};
use crate::projects::graphql::Project;
use crate::retrieval::Language;

agent_output! {
    /// A set of affirmations, each made from one of the caller's own goals.
    AffirmationSet(Affirmations) {
        /// The period that it was made for.
        async fn period(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Period>> {
            let Some(period) = self.content.period else { return Ok(None) };
            Ok(periods::find(ctx, self.output.organization, period).await?)
        }

        /// The language of the lines.
        async fn language(&self) -> Language {
            self.content.language
        }

        /// The lines.
        async fn affirmations(&self) -> Vec<Affirmation> {
            self.content.lines.iter().cloned().map(Affirmation::from).collect()
        }

        /// Goals that no line could be made from, with the reason.
        async fn unused(&self) -> Vec<UnusedInput> {
            self.content.unused.iter().cloned().map(Into::into).collect()
        }
    }
}

/// One affirmation with its checks.
#[derive(SimpleObject)]
pub struct Affirmation {
    /// The sentence.
    text: String,
    /// The goal that it was made from.
    based_on: String,
    /// Its words.
    word_count: i32,
    /// Whether it speaks in the first person singular.
    first_person: bool,
    /// Whether it stays in the present.
    present_tense: bool,
    /// Whether it is free of negations and struggling words.
    positive: bool,
    /// 0 repeats an earlier line, 1 is new.
    novelty: f64,
}

impl From<super::builtin::Line> for Affirmation {
    fn from(line: super::builtin::Line) -> Self {
        Self {
            text: line.text,
            based_on: line.based_on,
            word_count: i32::try_from(line.word_count).unwrap_or(i32::MAX),
            first_person: line.first_person,
            present_tense: line.present_tense,
            positive: line.positive,
            novelty: (line.novelty * 1000.0).round() / 1000.0,
        }
    }
}

/// What affirmations are made from.
#[derive(InputObject, Serialize)]
struct AffirmationsGenerateInput {
    /// In which project.
    project_id: ID,
    /// Another engine than the built-in one.
    engine: Option<EngineInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// Goals or struggles in the person's own words, 1 to 20 of at most 500 characters.
    goals: Vec<String>,
    /// The period whose keywords may colour a line.
    period_id: Option<ID>,
    /// How many lines, 1 to 20; there are fewer when no more would differ.
    #[graphql(default = 5)]
    count: i32,
    /// The language of goals and lines.
    #[graphql(default_with = "Language::German")]
    language: Language,
    /// A word for the tone, such as `gentle`, `strong` or `dankbar`; a word that is not known changes nothing.
    tone: Option<String>,
    /// Words of a line at the most, 5 to 30.
    #[graphql(default = 15)]
    max_words: i32,
    /// Words and phrases that no line has, at most 100.
    avoid: Option<Vec<String>>,
}

/// What generating affirmations is answered with.
#[derive(Default, SimpleObject)]
pub struct AffirmationsGeneratePayload {
    /// The job that makes them.
    job: Option<Job>,
    /// The set; null when it was not waited for or is not there yet: watch the job.
    affirmations: Option<AffirmationSet>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(AffirmationsGeneratePayload);

/// Generating affirmations.
#[derive(Default)]
pub struct AffirmationsMutation;

#[Object]
impl AffirmationsMutation {
    /// Makes affirmations from the caller's own goals; a goal that cannot be read gives no line but a reason.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job `INSUFFICIENT_INPUT`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.project_id)")]
    async fn affirmations_generate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The goals.")] input: AffirmationsGenerateInput,
    ) -> async_graphql::Result<Option<AffirmationsGeneratePayload>> {
        let outcome = async {
            let period =
                input.period_id.as_ref().map(|id| input_id::<PeriodId>("periodId", id)).transpose()?;
            let asked = Input {
                goals: input.goals.clone(),
                period,
                count: usize::try_from(input.count).unwrap_or(0),
                language: input.language,
                tone: input.tone.clone(),
                max_words: usize::try_from(input.max_words).unwrap_or(0),
                avoid: input.avoid.clone().unwrap_or_default(),
            };
            let given = Given {
                project: &input.project_id,
                period,
                account: None,
                documents: None,
                assets: &[],
                outputs: &[],
                engine: input.engine.as_ref(),
                seed: input.seed,
                wait: input.wait,
                key: input.idempotency_key.as_deref(),
            };
            let ordered = order::<Affirmations>(ctx, given, &input, asked.parse()?).await?;
            Ok(AffirmationsGeneratePayload {
                job: ordered.job,
                affirmations: match ordered.output {
                    Some(AgentOutput::AffirmationSet(set)) => Some(set),
                    _ => None,
                },
                project: ordered.project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
