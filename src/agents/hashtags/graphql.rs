//! Hashtags, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::builtin::{self, Mix, SHARE, Source};
use super::{Hashtags, Input};
use crate::access::Action;
use crate::agents::graphql::{AgentOutput, EngineInput, Given, agent_output, order};
use crate::agents::posts::graphql::Post;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::context::{Requires, input_id};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{OrganizationId, PeriodId};
use crate::jobs::graphql::Job;
use crate::projects::graphql::Project;
use crate::retrieval::Language;

agent_output! {
    /// Hashtags for a text, with what speaks for each of them. How many people one leads to a post is not known here and
    /// not guessed.
    HashtagSet(Hashtags) {
        /// The hashtags, best first.
        async fn hashtags(&self) -> Vec<Hashtag> {
            let organization = self.output.organization;
            let hashtags = self.content.hashtags.iter().cloned();
            hashtags.map(|hashtag| Hashtag { organization, hashtag }).collect()
        }

        /// Ready to paste: all of them, the best five, the best three, and those that recent posts do not have.
        async fn groups(&self) -> Vec<&str> {
            self.content.groups.iter().map(|group| group.text.as_str()).collect()
        }

        /// What to know about them, and what was given and is not in the set.
        async fn warnings(&self) -> Vec<String> {
            let warnings = self.content.warnings.iter().map(|warning| warning.message.clone());
            let unused = self.content.unused.iter().map(|unused| format!("{}: {}", unused.input, unused.reason));
            warnings.chain(unused).collect()
        }
    }
}

/// A hashtag with what speaks for it.
pub struct Hashtag {
    organization: OrganizationId,
    hashtag: builtin::Hashtag,
}

/// A hashtag with what speaks for it.
#[Object]
impl Hashtag {
    /// With its sign.
    async fn tag(&self) -> &str {
        &self.hashtag.tag
    }

    /// 0 to 1: 0.55 × `relevance` + 0.2 × `distinctiveness` + 0.15 × `orgUsage` + 0.1 × `length`; a fifth less when a better one
    /// says the same, and less when most of the latest posts have it.
    async fn score(&self) -> f64 {
        self.hashtag.score
    }

    /// How much the text is about it, 0 to 1.
    async fn relevance(&self) -> f64 {
        self.hashtag.relevance
    }

    /// How much it tells the text apart from the organization's other texts, 0 to 1; 0.5 where there are none.
    async fn distinctiveness(&self) -> f64 {
        self.hashtag.distinctiveness
    }

    /// How far it is in use, 0 to 1: `usedByUs` by three more.
    async fn org_usage(&self) -> f64 {
        self.hashtag.usage()
    }

    /// How short it is, 0 to 1: 1 up to 20 characters, and a twentieth less for each more.
    async fn length(&self) -> f64 {
        self.hashtag.shortness()
    }

    /// In how many of the project's posts it is.
    async fn used_by_us(&self) -> i32 {
        number(self.hashtag.used_by_us)
    }

    /// When it was in one last.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.hashtag.last_used_at.map(Into::into)
    }

    /// The newest of these posts, at most 5, as far as they are there and visible to the caller. Approved posts count, and what
    /// follows from there.
    async fn posts(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Post>> {
        let ids = self.hashtag.posts.iter();
        let found = ids.map(|id| loader::output(ctx, self.organization, id.uuid()));
        let found = futures_util::future::try_join_all(found).await?;
        Ok(found.into_iter().flatten().map(Post::read).collect::<Result<_>>()?)
    }

    /// Where it is from.
    async fn source(&self) -> Source {
        self.hashtag.source
    }

    /// What Instagram shows for it; null when it was not asked, or did not answer: `warnings` say why.
    async fn instagram(&self) -> Option<HashtagSample> {
        self.hashtag.instagram.clone().map(Into::into)
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What Instagram shows for a hashtag: a sample. How many people see it, it tells nobody.
#[derive(SimpleObject)]
pub struct HashtagSample {
    /// Posts that were looked at of those that Instagram shows first, at most 50.
    top_posts: i32,
    /// Likes of such a post, on average of those that say how many they have; null when none does.
    average_likes: Option<f64>,
    /// How many of them say so.
    posts_with_likes: i32,
    /// Comments on such a post, on average of those that say how many they have; null when none does.
    average_comments: Option<f64>,
    /// Posts of the last 24 hours, as far as they were looked at: at most 50.
    recent_posts: i32,
    /// When Instagram was asked.
    read_at: DateTime,
}

impl From<super::builtin::Sample> for HashtagSample {
    fn from(sample: super::builtin::Sample) -> Self {
        Self {
            top_posts: number(sample.top),
            average_likes: sample.likes.average(),
            posts_with_likes: number(sample.likes.of),
            average_comments: sample.comments.average(),
            recent_posts: number(sample.recent),
            read_at: sample.read_at.into(),
        }
    }
}

/// In which proportion the sources fill a set: each a number from 0 to 100 beside the others. What one cannot fill goes to the
/// best of all others; a source with 0 has no part of its own, and only fills up.
#[derive(InputObject, Serialize)]
struct HashtagMixInput {
    /// Phrases of the text.
    #[graphql(default = 12)]
    text: i32,
    /// Hashtags of the project's posts.
    #[graphql(default = 6)]
    corpus: i32,
    /// The brand's own, and those that must come out.
    #[graphql(default = 3)]
    brand: i32,
    /// The period's.
    #[graphql(default = 3)]
    period: i32,
    /// A provider's ideas.
    #[graphql(default = 4)]
    provider: i32,
}

impl HashtagMixInput {
    fn read(&self) -> Result<Mix> {
        let part = |field: &str, part: i32| {
            u8::try_from(part).ok().filter(|part| *part <= SHARE).ok_or_else(|| {
                let message = format!("`{field}` is a number from 0 to {SHARE}.");
                Error::fault(Fault::at(FaultCode::OutOfRange, &format!("mix.{field}"), message))
            })
        };
        Ok(Mix {
            text: part("text", self.text)?,
            corpus: part("corpus", self.corpus)?,
            brand: part("brand", self.brand)?,
            period: part("period", self.period)?,
            provider: part("provider", self.provider)?,
        })
    }
}

/// What hashtags are found for.
#[derive(InputObject, Serialize)]
struct HashtagResearchInput {
    /// In which project.
    project_id: ID,
    /// Another engine than the built-in one: its ideas are scored beside what is found here.
    engine: Option<EngineInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// The post or topic, 1 to 20,000 characters.
    text: String,
    /// The period that it is for: its name and keywords are candidates.
    period_id: Option<ID>,
    /// How many, 1 to 30.
    #[graphql(default = 25)]
    count: i32,
    /// The language of the text.
    #[graphql(default_with = "Language::German")]
    language: Language,
    /// Words and hashtags that must not come out, at most 100.
    banned: Option<Vec<String>>,
    /// Hashtags that must come out, no more than `count`.
    must_include: Option<Vec<String>>,
    /// In which proportion the sources fill the set; when absent, 12 of the text, 6 of the project's posts, 3 of the brand, 3 of the
    /// period and 4 of a provider.
    mix: Option<HashtagMixInput>,
    /// The connected account by which Instagram is asked what it shows for the best 5. It answers an account about 30
    /// different hashtags in 7 days; the set says where it goes without.
    account_id: Option<ID>,
}

/// What researching hashtags is answered with.
#[derive(Default, SimpleObject)]
pub struct HashtagResearchPayload {
    /// The job that finds them.
    job: Option<Job>,
    /// The set; null when it was not waited for or is not there yet: watch the job.
    hashtags: Option<HashtagSet>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(HashtagResearchPayload);

/// Researching hashtags.
#[derive(Default)]
pub struct HashtagsMutation;

#[Object]
impl HashtagsMutation {
    /// Finds hashtags for a text. Requires: `AGENT_USE`, and `CONTENT_READ` for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job `INSUFFICIENT_INPUT`, `INVALID`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.project_id)")]
    async fn hashtag_research(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The text.")] input: HashtagResearchInput,
    ) -> async_graphql::Result<Option<HashtagResearchPayload>> {
        let outcome = async {
            let period =
                input.period_id.as_ref().map(|id| input_id::<PeriodId>("periodId", id)).transpose()?;
            let account = input.account_id.as_ref().map(|id| input_id("accountId", id)).transpose()?;
            let asked = Input {
                text: input.text.clone(),
                period,
                count: usize::try_from(input.count).unwrap_or(0),
                language: input.language,
                banned: input.banned.clone().unwrap_or_default(),
                must_include: input.must_include.clone().unwrap_or_default(),
                mix: input.mix.as_ref().map(HashtagMixInput::read).transpose()?.unwrap_or_default(),
                account,
            };
            let given = Given {
                project: &input.project_id,
                period,
                account,
                documents: None,
                assets: &[],
                outputs: &[],
                engine: input.engine.as_ref(),
                seed: input.seed,
                wait: input.wait,
                key: input.idempotency_key.as_deref(),
            };
            let ordered = order::<Hashtags>(ctx, given, &input, asked.parse()?).await?;
            Ok(HashtagResearchPayload {
                job: ordered.job,
                hashtags: match ordered.output {
                    Some(AgentOutput::HashtagSet(set)) => Some(set),
                    _ => None,
                },
                project: ordered.project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
