//! Affirmations, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::builtin::Line;
use super::{Affirmations, Input, Schedule};
use crate::access::Action;
use crate::agents::graphql::{AgentOutput, EngineInput, Given, UnusedInput, agent_output, order};
use crate::agents::qa::graphql::Citation;
use crate::assets::graphql::Asset;
use crate::error::Result;
use crate::graphql::context::{Requires, input_id};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{OrganizationId, PeriodId};
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
            let moments = self.content.moments.iter().copied().map(Some).chain(std::iter::repeat(None));
            let lines = self.content.lines.iter().cloned().zip(moments);
            lines.map(|(line, at)| Affirmation::new(self.output.organization, line, at)).collect()
        }

        /// The lines as a text, one a line; null when it was deleted, and in sets that were made before there were such files.
        async fn text_file(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
            let Some(file) = self.content.text else { return Ok(None) };
            Ok(loader::asset(ctx, self.output.organization, file).await?.map(Asset::new))
        }

        /// The lines as a calendar file (iCalendar) for calendars of all kinds; null without a schedule, and when it was deleted.
        async fn calendar_ics(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
            let Some(file) = self.content.ics else { return Ok(None) };
            Ok(loader::asset(ctx, self.output.organization, file).await?.map(Asset::new))
        }

        /// Goals that no line could be made from, and what else was given in vain, with the reason.
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
    /// When it is for; null without a schedule.
    at: Option<DateTime>,
    /// The sentence of a document whose phrase colours it; null when none does, as in lines of the period's keywords.
    source: Option<Citation>,
}

impl Affirmation {
    fn new(organization: OrganizationId, line: Line, at: Option<chrono::DateTime<chrono::Utc>>) -> Self {
        let source = line.colour.and_then(|colour| Some((colour.source?, colour.quote?)));
        let number = |place: usize| i32::try_from(place).unwrap_or(i32::MAX);
        let source = source.map(|(document, quote)| crate::agents::qa::Citation {
            document: document.parse().ok(),
            version: quote.version,
            heading: quote.heading,
            quote: quote.quote,
            start: number(quote.start),
            end: number(quote.end),
            // The phrase stands there.
            score: 1.0,
        });
        Self {
            source: source.map(|row| Citation::new(organization, row)),
            at: at.map(Into::into),
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
    /// The period whose keywords may colour a line, beside the value phrases of the documents.
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
    /// Words and phrases that no line has, at most 100; nor has one any of the settings' `bannedWords`.
    avoid: Option<Vec<String>>,
    /// Who will say the lines, such as `people who lead for the first time`, at most 500 characters; only a provider can have
    /// them in mind.
    audience: Option<String>,
    /// When the lines are for, in their order.
    schedule: Option<AffirmationScheduleInput>,
}

/// When the lines of a set are for, each some days after the one before it, at the same time of day.
#[derive(InputObject, Serialize)]
struct AffirmationScheduleInput {
    /// The first day, such as `2027-01-04`.
    starts_on: String,
    /// The time of day, such as `07:30`. One that a change of the clocks skips is the next that there is.
    time: String,
    /// The zone that it is meant in, such as `Europe/Berlin`.
    timezone: String,
    /// Days from one line to the next, 1 to 365.
    #[graphql(default = 1)]
    every_days: i32,
}

impl AffirmationScheduleInput {
    fn read(&self) -> Result<Schedule> {
        Schedule::parse(&self.starts_on, &self.time, &self.timezone, self.every_days)
    }
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
                audience: input.audience.clone(),
                schedule: input.schedule.as_ref().map(AffirmationScheduleInput::read).transpose()?,
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
