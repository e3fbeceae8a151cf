//! Posts, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::builtin::diff::DiffKind;
use super::builtin::readability::Formula;
use super::builtin::{self, Length, validity};
use super::state::PostState;
use super::{Input, PostUpdate, Posts};
use crate::access::Action;
use crate::accounts::channel::Channel;
use crate::agents::Output;
use crate::agents::graphql::{
    AgentOutput, EngineInput, Given, UnusedInput, agent_output, order, output, place,
};
use crate::agents::qa::graphql::Citation;
use crate::agents::strategy::graphql::ContentStrategy;
use crate::assets::graphql::Asset;
use crate::db::{Changes, Record};
use crate::error::Result;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{AnswerId, AssetId, DocumentId, OrganizationId, PostId};
use crate::jobs::graphql::Job;
use crate::jobs::{self, AgentKind};
use crate::projects::graphql::Project;
use crate::retrieval::Language;

agent_output! {
    /// A post in variants, on its way from draft to publication.
    Post(Posts) {
        /// Where it stands.
        async fn state(&self) -> PostState {
            self.content.state
        }

        /// The variant that is approved and published, counted from 0; null while none is chosen.
        async fn chosen_variant(&self) -> Option<i32> {
            self.content.chosen.and_then(|chosen| i32::try_from(chosen).ok())
        }

        /// The variants; they differ in length or in what they open with.
        async fn variants(&self) -> Vec<PostVariant> {
            let organization = self.output.organization;
            self.content.variants.iter().map(|variant| PostVariant { organization, variant: variant.clone() }).collect()
        }

        /// What leads from the first variant's caption to each other's, in their order. Words are compared; in very long captions
        /// lines.
        async fn diffs(&self) -> async_graphql::Result<Vec<PostDiff>> {
            let captions = self.content.variants.iter().map(|variant| variant.caption.clone());
            let captions: Vec<String> = captions.collect();
            // What somebody has written may be long.
            let found = jobs::compute(move || builtin::diffs(&captions)).await?;
            Ok(found.into_iter().map(Into::into).collect())
        }

        /// The files that go with it, in their order, as far as they are there and visible to the caller.
        async fn assets(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Asset>> {
            let organization = self.output.organization;
            let found = self.content.assets.iter().map(|id| loader::asset(ctx, organization, *id));
            let found = futures_util::future::try_join_all(found).await?;
            Ok(found.into_iter().flatten().map(Asset::new).collect())
        }

        /// When it is published; null unless it is scheduled.
        async fn scheduled_at(&self) -> Option<DateTime> {
            self.content.scheduled_at.map(Into::into)
        }

        /// When the plan has it that it was drafted for; null without one. It is published at no other time than `scheduledAt`.
        async fn planned_at(&self) -> Option<DateTime> {
            self.content.planned.map(|planned| planned.at.into())
        }

        /// The plan that it was drafted for; null without one, and when that was deleted.
        async fn strategy(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<ContentStrategy>> {
            let Some(planned) = self.content.planned else { return Ok(None) };
            let found = loader::output(ctx, self.output.organization, planned.strategy.uuid()).await?;
            Ok(found.map(ContentStrategy::read).transpose()?)
        }

        /// What was given and is not in the post, with the reason.
        async fn unused(&self) -> Vec<UnusedInput> {
            self.content.unused.iter().cloned().map(Into::into).collect()
        }
    }
}

/// One way to say it.
pub struct PostVariant {
    organization: OrganizationId,
    variant: builtin::Variant,
}

/// One way to say it.
#[Object]
impl PostVariant {
    /// Everything, ready to publish.
    async fn caption(&self) -> &str {
        &self.variant.caption
    }

    /// The opening.
    async fn hook(&self) -> &str {
        &self.variant.hook
    }

    /// What follows the opening, up to the call to action.
    async fn body(&self) -> &str {
        &self.variant.body
    }

    /// The call to action; null when there is none.
    async fn call_to_action(&self) -> Option<&str> {
        self.variant.call_to_action.as_deref()
    }

    /// With their signs.
    async fn hashtags(&self) -> &[String] {
        &self.variant.hashtags
    }

    /// The caption's length in graphemes: what a reader counts as characters.
    async fn graphemes(&self) -> i32 {
        i32::try_from(self.variant.graphemes).unwrap_or(i32::MAX)
    }

    /// How easily opening and body read; null for a text without words.
    async fn readability(&self) -> Option<Readability> {
        self.variant.readability.map(Readability::from)
    }

    /// What its lines rest on. After an edit those are left whose lines still stand as they stood; a provider's text keeps what it
    /// was made from.
    async fn sources(&self) -> Vec<Citation> {
        let number = |place: usize| i32::try_from(place).unwrap_or(i32::MAX);
        let source = |source: &builtin::Citation| {
            let row = crate::agents::qa::Citation {
                document: source.document.parse::<DocumentId>().ok(),
                version: i32::try_from(source.version).unwrap_or(i32::MAX),
                heading: source.heading.clone(),
                quote: source.quote.clone(),
                start: number(source.start),
                end: number(source.end),
                score: crate::agents::qa::small(source.score),
            };
            Citation::new(self.organization, row)
        };
        self.variant.sources.iter().map(source).collect()
    }

    /// Whether the channels take it.
    async fn validity(&self) -> Vec<ChannelValidity> {
        self.variant.validity.iter().map(ChannelValidity::from).collect()
    }
}

/// How easily a text reads, by a formula that counts its sentences, words and syllables.
#[derive(SimpleObject)]
pub struct Readability {
    /// About 0 (very hard) to 100 (very easy); short sentences of short words come above.
    score: f64,
    /// The formula, by the language of the post.
    formula: Formula,
    /// Sentences, headings and list items.
    sentences: i32,
    /// Words.
    words: i32,
    /// Syllables, estimated from vowels.
    syllables: i32,
}

impl From<builtin::readability::Readability> for Readability {
    fn from(found: builtin::readability::Readability) -> Self {
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            score: found.score,
            formula: found.formula,
            sentences: count(found.sentences),
            words: count(found.words),
            syllables: count(found.syllables),
        }
    }
}

/// What leads from one variant's caption to another's.
#[derive(SimpleObject)]
pub struct PostDiff {
    /// The one, counted from 0.
    from: i32,
    /// The other, counted from 0.
    to: i32,
    /// The stretches of both captions: those that are equal or deleted are the one's, those that are equal or inserted the
    /// other's.
    parts: Vec<DiffPart>,
}

/// A stretch that two captions share, or that one of them has.
#[derive(SimpleObject)]
pub struct DiffPart {
    /// Whose it is.
    kind: DiffKind,
    /// The stretch.
    text: String,
}

impl From<builtin::VariantDiff> for PostDiff {
    fn from(diff: builtin::VariantDiff) -> Self {
        let number = |place: usize| i32::try_from(place).unwrap_or(i32::MAX);
        let part = |part: builtin::diff::DiffPart| DiffPart { kind: part.kind, text: part.text };
        Self {
            from: number(diff.from),
            to: number(diff.to),
            parts: diff.parts.into_iter().map(part).collect(),
        }
    }
}

/// Whether a channel takes a caption.
#[derive(SimpleObject)]
pub struct ChannelValidity {
    /// The channel.
    channel: Channel,
    /// Whether there is no problem.
    valid: bool,
    /// Why it does not take it, as sentences.
    problems: Vec<String>,
}

impl ChannelValidity {
    /// Whether a channel takes something that has these problems there.
    pub const fn new(channel: Channel, problems: Vec<String>) -> Self {
        Self { channel, valid: problems.is_empty(), problems }
    }
}

impl From<&validity::ChannelValidity> for ChannelValidity {
    fn from(valid: &validity::ChannelValidity) -> Self {
        Self {
            channel: valid.channel,
            valid: valid.valid,
            problems: valid.problems.iter().map(|problem| problem.message.clone()).collect(),
        }
    }
}

/// What a post is made from.
#[derive(InputObject, Serialize)]
struct PostComposeInput {
    /// In which project.
    project_id: ID,
    /// Another engine than the built-in one: it rewrites what the built-in engine has composed.
    engine: Option<EngineInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// What the post is about, or the text itself, 1 to 10,000 characters.
    brief: String,
    /// Only from these documents, at most 100; from all that the project sees when absent.
    source_document_ids: Option<Vec<ID>>,
    /// The files that go with it, in their order, at most 10.
    asset_ids: Option<Vec<ID>>,
    /// Where it is published.
    channels: Vec<Channel>,
    /// The tone that is wished for; only a provider can give one.
    tone: Option<String>,
    /// The language of the post; sources in another one are not used.
    #[graphql(default_with = "Language::German")]
    language: Language,
    /// How many variants, 1 to 6; there are fewer when no more would differ.
    #[graphql(default = 3)]
    variants: i32,
    /// Whether it gets hashtags.
    #[graphql(default = true)]
    hashtags: bool,
    /// How long every variant is at most, in graphemes with everything; one of each length in turn when absent.
    length: Option<Length>,
    /// Words and phrases that are not in it, in any form, at most 100 of at most 100 characters; nor are the `bannedWords` of the
    /// settings.
    banned_words: Option<Vec<String>>,
    /// What every variant calls to, at most 150 characters; when absent, one of the `callsToAction` of the settings.
    call_to_action: Option<String>,
    /// An answer of the project's: what it cites are the sources, beside the documents that `sourceDocumentIds` names.
    source_answer_id: Option<ID>,
}

/// What composing a post is answered with.
#[derive(Default, SimpleObject)]
pub struct PostComposePayload {
    /// The job that composes it.
    job: Option<Job>,
    /// The post; null when it was not waited for or is not there yet: watch the job.
    post: Option<Post>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// A change of a post; what is absent stays.
#[derive(InputObject)]
struct PostUpdateInput {
    /// Which post.
    id: ID,
    /// Another caption for the chosen variant. The post is a draft again: what was approved was the text.
    caption: Option<String>,
    /// `DRAFT` → `IN_REVIEW` → `APPROVED` → `SCHEDULED`, back to `DRAFT`, or from `SCHEDULED` to `APPROVED`. Publishing makes it
    /// PUBLISHED or FAILED.
    state: Option<PostState>,
    /// The variant that is published, counted from 0. The post is a draft again.
    chosen_variant: Option<i32>,
    /// When it is published: with `state: SCHEDULED`.
    scheduled_at: Option<DateTime>,
}

/// What changing a post is answered with.
#[derive(Default, SimpleObject)]
pub struct PostUpdatePayload {
    /// The post.
    post: Option<Post>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(PostComposePayload, PostUpdatePayload);

/// Composing and changing posts.
#[derive(Default)]
pub struct PostsMutation;

#[Object]
impl PostsMutation {
    /// Composes a post of the sources' own sentences, in variants, with their sources and each channel's verdict.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job `INSUFFICIENT_INPUT`, `NOT_FOUND`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.project_id)")]
    async fn post_compose(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The brief.")] input: PostComposeInput,
    ) -> async_graphql::Result<Option<PostComposePayload>> {
        let outcome = async {
            let documents = input.source_document_ids.as_ref().map(|ids| {
                ids.iter()
                    .map(|id| input_id::<DocumentId>("sourceDocumentIds", id))
                    .collect::<Result<Vec<_>>>()
            });
            let asked = Input {
                brief: input.brief.clone(),
                documents: documents.transpose()?,
                assets: input
                    .asset_ids
                    .iter()
                    .flatten()
                    .map(|id| input_id::<AssetId>("assetIds", id))
                    .collect::<Result<Vec<_>>>()?,
                channels: input.channels.clone(),
                tone: input.tone.clone(),
                language: input.language,
                variants: usize::try_from(input.variants).unwrap_or(0),
                hashtags: input.hashtags,
                angle: None,
                planned: None,
                length: input.length,
                banned: input.banned_words.clone().unwrap_or_default(),
                call_to_action: input.call_to_action.clone(),
                answer: input
                    .source_answer_id
                    .as_ref()
                    .map(|id| input_id::<AnswerId>("sourceAnswerId", id))
                    .transpose()?,
            };
            let asked = asked.parse()?;
            let answer = asked.answer.map(|id| ("sourceAnswerId", AgentKind::Qa, id.uuid()));
            let documents = asked.documents.clone();
            let assets: Vec<_> = asked.assets.iter().map(|id| ("assetIds", *id)).collect();
            let given = Given {
                project: &input.project_id,
                period: None,
                account: None,
                documents: documents.as_deref(),
                assets: &assets,
                outputs: answer.as_slice(),
                engine: input.engine.as_ref(),
                seed: input.seed,
                wait: input.wait,
                key: input.idempotency_key.as_deref(),
            };
            let ordered = order::<Posts>(ctx, given, &input, asked).await?;
            Ok(PostComposePayload {
                job: ordered.job,
                post: match ordered.output {
                    Some(AgentOutput::Post(post)) => Some(post),
                    _ => None,
                },
                project: ordered.project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Chooses a variant, edits its caption, and moves a post on its way: draft, review, approval, schedule.
    /// Requires: `CONTENT_UPDATE`; for APPROVED `CONTENT_APPROVE`; for SCHEDULED and its time `CONTENT_PUBLISH`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `CONFLICT`.
    #[graphql(guard = "Requires::Here(Action::PostUpdate, &input.id)")]
    async fn post_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: PostUpdateInput,
    ) -> async_graphql::Result<Option<PostUpdatePayload>> {
        let outcome = async {
            let missing = not_found_at("id");
            let change = PostUpdate {
                chosen: input.chosen_variant,
                caption: input.caption,
                state: input.state,
                scheduled_at: input.scheduled_at.map(|at| at.0),
            };
            let action = change.action()?;
            input_id::<PostId>("id", &input.id)?;
            let (organization, found) = place(ctx, &input.id).await?;
            let Output { id, project, .. } = *found.common();
            let mut tx = ctx.door().write_within(organization, project, action).await.map_err(&missing)?;
            let (before, after) = super::update(&mut tx, id, change).await.map_err(&missing)?;
            let changes = Changes::between(&super::logged(&before), &super::logged(&after));
            if changes.is_empty() {
                drop(tx);
            } else {
                tx.commit(Record::with(found.target(), changes)).await?;
            }
            let post = match output(ctx, organization, id).await? {
                Some(AgentOutput::Post(post)) => Some(post),
                _ => None,
            };
            Ok(PostUpdatePayload { post, user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }
}
