//! Content strategies, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::builtin::{self, Event, Format, GivenPillar};
use super::{Cadence, Input, Strategies, drafts, holidays, instagram, table};
use crate::access::Action;
use crate::accounts::channel::Channel;
use crate::accounts::graphql::{self as accounts, Account};
use crate::agents::agent::Agent as _;
use crate::agents::graphql::{
    AgentOutput, EngineInput, Given, agent_output, engine_for, engine_name, order, output, place_at,
};
use crate::agents::posts::Posts;
use crate::agents::posts::graphql::Post;
use crate::assets::graphql::Asset;
use crate::db::{Changes, Record};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{DocumentId, JobId, OrganizationId, StrategyId};
use crate::jobs::graphql::Job;
use crate::knowledge::graphql::{self as knowledge, KnowledgeDocument};
use crate::projects::graphql::Project;
use crate::retrieval::Language;
use crate::{idempotency, input, jobs};

agent_output! {
    /// What to post where and when, with the reason for each post. Topics come from the organization's documents and from
    /// questions that nobody has answered; what cannot be filled is left out and named as a gap.
    ContentStrategy(Strategies) {
        /// The pillars, greatest share first.
        async fn pillars(&self) -> Vec<ContentPillar> {
            let organization = self.output.organization;
            let pillars = self.content.plan.pillars.iter().cloned();
            pillars.map(|pillar| ContentPillar { organization, pillar }).collect()
        }

        /// The calendar, in order of time.
        async fn slots(&self) -> Vec<ContentSlot> {
            let slot = |(place, slot): (usize, &builtin::Slot)| ContentSlot {
                organization: self.output.organization,
                place,
                title: self.content.titles.get(&slot.topic).cloned(),
                job: self.content.drafts.get(&place).map(|draft| draft.job),
                slot: slot.clone(),
            };
            self.content.plan.slots.iter().enumerate().map(slot).collect()
        }

        /// What is lacking, as sentences: posts that no topic is left for, open questions, pillars and headings without
        /// posts, hours that nothing is known of.
        async fn gaps(&self) -> Vec<&str> {
            self.content.plan.gaps.iter().map(|gap| gap.message.as_str()).collect()
        }

        /// The calendar as a file (iCalendar) for calendars of all kinds; null when it was deleted.
        async fn calendar_ics(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
            let found = loader::asset(ctx, self.output.organization, self.content.ics).await?;
            Ok(found.map(Asset::new))
        }

        /// The calendar as a table (CSV), one post a line; null when it was deleted.
        async fn calendar_csv(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
            let found = loader::asset(ctx, self.output.organization, self.content.csv).await?;
            Ok(found.map(Asset::new))
        }

        /// The time zone that it is meant in, by its IANA name.
        async fn timezone(&self) -> &str {
            &self.content.timezone
        }

        /// The share of the documents' headings that a post is about, 0 to 1.
        async fn coverage(&self) -> f64 {
            self.content.plan.metrics.coverage
        }

        /// The share of posts whose topic another one of the same channel has as well, 0 to 1.
        async fn repetition(&self) -> f64 {
            self.content.plan.metrics.repetition
        }

        /// The days without posts that the calendar of `holidaysAssetId` has within the plan, such as `2026-12-25`; none without it.
        async fn holidays(&self) -> Vec<String> {
            self.content.holidays.iter().map(ToString::to_string).collect()
        }

        /// The posts of the connected account and of the file that it takes into account; null when neither was named.
        async fn past_posts(&self) -> Option<ContentPastPosts> {
            let (account, file) = (self.content.past.clone(), self.content.file.clone());
            let read = [account.as_ref().map(|of| of.read_at), file.as_ref().map(|of| of.read_at)];
            let read_at = read.into_iter().flatten().max()?;
            Some(ContentPastPosts { organization: self.output.organization, account, file, read_at })
        }
    }
}

/// Past posts, as Instagram has told of them or a file has them. One that is in both counts once, as Instagram tells of it.
pub struct ContentPastPosts {
    organization: OrganizationId,
    account: Option<instagram::Origin>,
    file: Option<table::Origin>,
    read_at: chrono::DateTime<chrono::Utc>,
}

impl ContentPastPosts {
    /// What both tell, added.
    fn both(
        &self,
        account: impl Fn(&instagram::Origin) -> usize,
        file: impl Fn(&table::Origin) -> usize,
    ) -> i32 {
        number(self.account.as_ref().map_or(0, account) + self.file.as_ref().map_or(0, file))
    }
}

/// Past posts, as Instagram has told of them or a file has them. One that is in both counts once, as Instagram tells of it.
#[Object]
impl ContentPastPosts {
    /// The account; null when none was named or it has been disconnected, and without `AGENT_CONFIGURE` where it is connected.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Account>> {
        let Some(origin) = &self.account else { return Ok(None) };
        let found = accounts::seen(ctx, self.organization, origin.account).await?;
        Ok(found.map(Account::new))
    }

    /// The file; null when none was named, it was deleted, or it is not visible to the caller.
    async fn file(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
        let Some(origin) = &self.file else { return Ok(None) };
        Ok(loader::asset(ctx, self.organization, origin.file).await?.map(Asset::new))
    }

    /// How many were read, from the account and from the file together.
    async fn posts(&self) -> i32 {
        self.both(|account| account.posts, |file| file.posts)
    }

    /// How many were read from the account: the newest, at most 100.
    async fn from_account(&self) -> i32 {
        self.both(|account| account.posts, |_| 0)
    }

    /// How many were read from the file.
    async fn from_file(&self) -> i32 {
        self.both(|_| 0, |file| file.posts)
    }

    /// Of how many of them the figures are known: of the account's both likes and comments, of the file's all of its figures and
    /// the time of day. Only these tell at which hour posts do best, and that only where there are 20 of a channel, and 5 at
    /// one hour.
    async fn measured(&self) -> i32 {
        self.both(|account| account.measured, |file| file.measured)
    }

    /// When the oldest of them went out; null when there are none.
    async fn oldest_at(&self) -> Option<DateTime> {
        let oldest = [
            self.account.as_ref().and_then(|account| account.oldest_at),
            self.file.as_ref().and_then(|file| file.oldest_at),
        ];
        oldest.into_iter().flatten().min().map(Into::into)
    }

    /// When they were read.
    async fn read_at(&self) -> DateTime {
        self.read_at.into()
    }

    /// The file's columns that were not read, because they have other names than those that are; at most 50.
    async fn unused_columns(&self) -> &[String] {
        self.file.as_ref().map_or(&[], |file| &file.unused)
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What a part of the posts is about.
pub struct ContentPillar {
    organization: OrganizationId,
    pillar: builtin::PlannedPillar,
}

/// What a part of the posts is about.
#[Object]
impl ContentPillar {
    /// Its name.
    async fn name(&self) -> &str {
        &self.pillar.name
    }

    /// Which share of the posts it is to have, 0 to 1.
    async fn share(&self) -> f64 {
        self.pillar.share
    }

    /// Which share of the posts it has, 0 to 1.
    async fn planned_share(&self) -> f64 {
        self.pillar.planned_share
    }

    /// What it is recognised by.
    async fn key_phrases(&self) -> &[String] {
        &self.pillar.key_phrases
    }

    /// How many past posts it rests on. Where pillars are derived, the latest 200 that say different things count, each half as
    /// much as a section of a document; posts that are like no section make a pillar when they are 4 or more.
    async fn past_posts(&self) -> i32 {
        number(self.pillar.past_posts)
    }

    /// The documents that it rests on, as far as they are there and visible to the caller.
    async fn sources(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<KnowledgeDocument>> {
        let ids = self.pillar.sources.iter().filter_map(|source| source.parse().ok());
        Ok(documents(ctx, self.organization, ids).await?)
    }
}

/// A post to be.
pub struct ContentSlot {
    organization: OrganizationId,
    place: usize,
    slot: builtin::Slot,
    title: Option<String>,
    job: Option<JobId>,
}

/// A post to be.
#[Object]
impl ContentSlot {
    /// Its place in the calendar, counted from 0: what `contentStrategyDraft` calls it by.
    async fn position(&self) -> i32 {
        number(self.place)
    }

    /// When.
    async fn at(&self) -> DateTime {
        self.slot.at.into()
    }

    /// Where.
    async fn channel(&self) -> Channel {
        self.slot.channel
    }

    /// The pillar's name; empty when the topic belongs to none.
    async fn pillar(&self) -> &str {
        &self.slot.pillar
    }

    /// In which shape: `FEED`, `CAROUSEL`, `REEL`, `STORY` or `TEXT`.
    async fn format(&self) -> &str {
        self.slot.format.key()
    }

    /// About what: a heading of the documents, an open question, or an event.
    async fn topic(&self) -> &str {
        &self.slot.topic
    }

    /// A working title; null unless a provider's model wrote one.
    async fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// A sentence of the documents to start from, letter for letter; null when there is none.
    async fn angle(&self) -> Option<&str> {
        self.slot.angle.as_ref().map(|angle| angle.quote.as_str())
    }

    /// The documents that topic and angle come from, as far as they are there and visible to the caller; none for open questions
    /// and events.
    async fn sources(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<KnowledgeDocument>> {
        Ok(documents(ctx, self.organization, drafts::documents(&self.slot)).await?)
    }

    /// Why this, here and then, as sentences.
    async fn reason(&self) -> &str {
        &self.slot.reason
    }

    /// The job that drafts it, or has; null when nobody has asked for a draft.
    async fn job(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Job>> {
        let Some(job) = self.job else { return Ok(None) };
        Ok(loader::job(ctx, self.organization, job).await?.map(Job::new))
    }

    /// Its draft, and what has become of it; null when there is none yet, and when it was deleted.
    async fn post(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Post>> {
        let Some(job) = self.job else { return Ok(None) };
        let job = loader::job(ctx, self.organization, job).await?;
        let Some(result) = job.and_then(|job| job.result) else { return Ok(None) };
        let found = loader::output(ctx, self.organization, result).await?;
        Ok(found.map(Post::read).transpose()?)
    }
}

/// Documents, as far as they are there and visible to the caller.
async fn documents(
    ctx: &Context<'_>,
    organization: OrganizationId,
    ids: impl Iterator<Item = DocumentId>,
) -> Result<Vec<KnowledgeDocument>> {
    let found = ids.map(|id| knowledge::find(ctx, organization, id));
    let found = futures_util::future::try_join_all(found).await?;
    Ok(found.into_iter().flatten().collect())
}

/// A pillar that the caller names.
#[derive(InputObject, Serialize)]
struct ContentPillarInput {
    /// Its name, at most 100 characters.
    name: String,
    /// Its share of the posts, 0 to 1; what the others leave, in equal parts, when absent.
    share: Option<f64>,
    /// What it is recognised by; found in the documents when absent.
    key_phrases: Option<Vec<String>>,
}

/// A post that must be there.
#[derive(InputObject, Serialize)]
struct ContentEventInput {
    /// What it is about, at most 200 characters.
    title: String,
    /// On which day of the plan's time zone, such as `2026-12-24`.
    date: String,
    /// At what time there, such as `18:30`; at the channel's usual hour when absent.
    time: Option<String>,
    /// On which of the plan's channels; on all when absent.
    channels: Option<Vec<Channel>>,
    /// Its pillar by name; the nearest when absent.
    pillar: Option<String>,
}

/// How one channel is used, where that is another way than `postsPerWeek` says.
#[derive(InputObject, Serialize)]
struct ContentCadenceInput {
    /// Which of the plan's channels.
    channel: Channel,
    /// Posts a week there, 1 to 21; as many as on the others when absent.
    posts_per_week: Option<i32>,
    /// The least hours between two posts there, at most those that an even spread leaves (168 by posts a week); when absent 20, or
    /// three fifths of that.
    spacing_hours: Option<i32>,
    /// The shapes that posts have there, of `FEED`, `CAROUSEL`, `REEL`, `STORY` and `TEXT`: the one that suits a topic, if it is
    /// among them, else the first of them. What suits when absent.
    formats: Option<Vec<String>>,
}

impl ContentCadenceInput {
    fn read(&self) -> Result<Cadence> {
        let count = |field: &str, value: Option<i32>| {
            let read = value.map(u32::try_from).transpose();
            read.map_err(|_| {
                let message = format!("`{field}` is a number above 0.");
                Error::fault(Fault::at(FaultCode::OutOfRange, &format!("cadence.{field}"), message))
            })
        };
        let formats = self.formats.as_deref().unwrap_or_default();
        input::list("cadence.formats", formats)?;
        let format = |name: &String| {
            let known = Format::ALL.into_iter().find(|format| format.key() == name.trim());
            known.ok_or_else(|| {
                let all: Vec<&str> = Format::ALL.into_iter().map(Format::key).collect();
                let message = format!("`formats` takes {}.", all.join(", "));
                Error::fault(Fault::at(FaultCode::Invalid, "cadence.formats", message))
            })
        };
        Ok(Cadence {
            channel: self.channel,
            posts_per_week: count("postsPerWeek", self.posts_per_week)?,
            spacing_hours: count("spacingHours", self.spacing_hours)?,
            formats: formats.iter().map(format).collect::<Result<_>>()?,
        })
    }
}

/// What a strategy is made from.
#[derive(InputObject, Serialize)]
struct ContentStrategyCreateInput {
    /// In which project.
    project_id: ID,
    /// Another engine than the built-in one: it adds working titles to the computed plan.
    engine: Option<EngineInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// What the content is for, at most 100 texts of 500 characters: topics that speak of it weigh more.
    goals: Vec<String>,
    /// Whom it is for.
    audience: Option<String>,
    /// The pillars; derived from the documents and past posts when absent.
    pillars: Option<Vec<ContentPillarInput>>,
    /// Where posts go out.
    channels: Vec<Channel>,
    /// Posts a week on each channel, 1 to 21.
    #[graphql(default = 3)]
    posts_per_week: i32,
    /// How single channels are used, each once.
    cadence: Option<Vec<ContentCadenceInput>>,
    /// When the plan begins.
    from: DateTime,
    /// When it ends: the first moment after it, at most 366 days later. A plan has at most 1,200 posts.
    until: DateTime,
    /// The time zone that days and hours are meant in, by its IANA name.
    timezone: String,
    /// Days without posts, such as `2026-12-24`.
    blackout_dates: Option<Vec<String>>,
    /// Posts that must be there, at most 100.
    events: Option<Vec<ContentEventInput>>,
    /// The language of the documents and of the reasons.
    #[graphql(default_with = "Language::German")]
    language: Language,
    /// The connected Instagram account whose last posts, at most 100, count among the past ones: for what has been said already,
    /// and, with their likes and comments, for the hours at which posts do best. The job fails when Instagram does not tell.
    account_id: Option<ID>,
    /// A file whose posts count among the past ones, in the same way: an asset of the kind `DOCUMENT` of the project or the
    /// organization, in CSV (UTF-8, commas or semicolons, at most 8 MiB and 5,000 posts). Its first line names the columns, in any
    /// order and case: `at` (`2026-12-24T18:30:00+01:00`, or `2026-12-24 18:30` in the plan's time zone, or the day alone, which
    /// tells of no hour), `text`, and what else is known of `channel` (a post without one is of the plan's only channel, if there
    /// is one), `likes`, `comments`, `shares` and `saves`, which are added, or `engagement` instead of these. The job fails with
    /// the line and the column of whatever cannot be read.
    past_posts_asset_id: Option<ID>,
    /// A calendar whose all-day events are days without posts: an asset of the kind `CALENDAR` (iCalendar) of the project or the
    /// organization. Events with a time, and cancelled ones, do not count; those that repeat by a rule count on all of their days.
    /// Whatever cannot be read fails the job with its line.
    holidays_asset_id: Option<ID>,
}

impl ContentStrategyCreateInput {
    fn asked(&self) -> Result<Input> {
        let pillars = self.pillars.iter().flatten().map(|pillar| GivenPillar {
            name: pillar.name.clone(),
            share: pillar.share,
            key_phrases: pillar.key_phrases.clone().unwrap_or_default(),
        });
        let event = |event: &ContentEventInput| {
            Ok(Event {
                title: event.title.clone(),
                date: input::date("events", &event.date)?,
                time: event.time.as_deref().map(|text| input::time("events", text)).transpose()?,
                channels: event.channels.clone().unwrap_or_default(),
                pillar: event.pillar.clone(),
            })
        };
        let posts_per_week = u32::try_from(self.posts_per_week).map_err(|_| {
            let message = format!("`postsPerWeek` is a number from 1 to {}.", builtin::POSTS_PER_WEEK);
            Error::fault(Fault::at(FaultCode::OutOfRange, "postsPerWeek", message))
        })?;
        Input {
            goals: self.goals.clone(),
            audience: self.audience.clone(),
            pillars: pillars.collect(),
            channels: self.channels.clone(),
            posts_per_week,
            cadence: self.cadence.iter().flatten().map(ContentCadenceInput::read).collect::<Result<_>>()?,
            from: self.from.0,
            until: self.until.0,
            timezone: self.timezone.clone(),
            blackout: self
                .blackout_dates
                .iter()
                .flatten()
                .map(|day| input::date("blackoutDates", day))
                .collect::<Result<_>>()?,
            events: self.events.iter().flatten().map(event).collect::<Result<_>>()?,
            language: self.language,
            account: self.account_id.as_ref().map(|id| input_id("accountId", id)).transpose()?,
            past_posts: self.past_posts_asset_id.as_ref().map(|id| input_id(table::FIELD, id)).transpose()?,
            holidays: self.holidays_asset_id.as_ref().map(|id| input_id(holidays::FIELD, id)).transpose()?,
        }
        .parse()
    }
}

/// What making a strategy is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentStrategyCreatePayload {
    /// The job that plans.
    job: Option<Job>,
    /// The strategy; null when it was not waited for or is not there yet: watch the job.
    strategy: Option<ContentStrategy>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// Which posts of a strategy are drafted, and how.
#[derive(InputObject, Serialize)]
struct ContentStrategyDraftInput {
    /// Which strategy.
    strategy_id: ID,
    /// Their positions in the calendar, at most 50. When absent, the first 50 posts that have no draft and are not being drafted.
    slots: Option<Vec<i32>>,
    /// Another engine than the built-in one: it rewrites what the built-in engine has composed.
    engine: Option<EngineInput>,
    /// The tone that is wished for; only a provider can give one.
    tone: Option<String>,
    /// How many variants of each post, 1 to 6; there are fewer when no more would differ.
    #[graphql(default = 3)]
    variants: i32,
    /// Whether the posts get hashtags.
    #[graphql(default = true)]
    hashtags: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// What drafting posts of a strategy is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentStrategyDraftPayload {
    /// The jobs that draft them, one for each post in the calendar's order: watch them, or ask `slots { post }` of the strategy
    /// later. None for posts that have a draft already.
    jobs: Vec<Job>,
    /// The strategy.
    strategy: Option<ContentStrategy>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(ContentStrategyCreatePayload, ContentStrategyDraftPayload);

/// Planning.
#[derive(Default)]
pub struct StrategyMutation;

#[Object]
impl StrategyMutation {
    /// Plans what to post where and when. Requires: `AGENT_USE`, and `CONTENT_READ` for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job `INSUFFICIENT_INPUT`, `INVALID`, `TOO_LONG`, `NOT_FOUND`,
    /// `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.project_id)")]
    async fn content_strategy_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is made from.")] input: ContentStrategyCreateInput,
    ) -> async_graphql::Result<Option<ContentStrategyCreatePayload>> {
        let outcome = async {
            let asked = input.asked()?;
            let files = [(table::FIELD, asked.past_posts), (holidays::FIELD, asked.holidays)];
            let files: Vec<_> = files.into_iter().filter_map(|(field, id)| Some((field, id?))).collect();
            let given = Given {
                project: &input.project_id,
                period: None,
                account: asked.account,
                documents: None,
                assets: &files,
                outputs: &[],
                engine: input.engine.as_ref(),
                seed: input.seed,
                wait: input.wait,
                key: input.idempotency_key.as_deref(),
            };
            let ordered = order::<Strategies>(ctx, given, &input, asked).await?;
            Ok(ContentStrategyCreatePayload {
                job: ordered.job,
                strategy: match ordered.output {
                    Some(AgentOutput::ContentStrategy(strategy)) => Some(strategy),
                    _ => None,
                },
                project: ordered.project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Drafts posts of a strategy: for each a job composes a post about its topic, for its channel, in the plan's language, from
    /// the documents that the topic comes from (from all when none of them is left). All jobs are ordered or none. A post that
    /// has a draft, or is being drafted, is left out; one whose job has failed is drafted anew, and one whose draft was deleted
    /// when its position is named. Requires: `AGENT_USE` and `CONTENT_READ`.
    /// Codes: `NOT_FOUND`, `INVALID`, `OUT_OF_RANGE`, `TOO_LONG`, `REQUIRED`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the jobs `INSUFFICIENT_INPUT`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.strategy_id)")]
    async fn content_strategy_draft(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which posts.")] input: ContentStrategyDraftInput,
    ) -> async_graphql::Result<Option<ContentStrategyDraftPayload>> {
        let outcome = async {
            const FIELD: &str = "strategyId";
            let slots = input.slots.as_deref();
            let asked = drafts::Asked::parse(slots, input.tone.clone(), input.variants, input.hashtags)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let missing = not_found_at(FIELD);
            let id: StrategyId = input_id(FIELD, &input.strategy_id)?;
            let (organization, found) = place_at(ctx, FIELD, &input.strategy_id).await?;
            let project = found.common().project.ok_or(Error::NotFound).map_err(&missing)?;
            let door = ctx.door();
            let mut tx =
                door.write_within(organization, Some(project), Action::AgentRun).await.map_err(&missing)?;
            let picked = drafts::pick(&mut tx, id, project, &asked, key.as_ref()).await.map_err(&missing)?;
            let ordered = match picked {
                drafts::Picked::New(mut orders) => {
                    if let Some(first) = orders.first() {
                        let engine = input.engine.as_ref();
                        let engine = engine_for::<Posts>(ctx, &mut tx, project, engine, first).await?;
                        let places = orders.places();
                        let jobs = orders.place(&mut tx, engine.as_ref()).await?;
                        let changes = Changes::made(&serde_json::json!({
                            "agent": Posts::KIND.as_str(), "engine": engine_name(engine.as_ref()), "slots": places,
                        }));
                        tx.commit(Record::with(found.target(), changes)).await?;
                        jobs
                    } else {
                        drop(tx);
                        Vec::new()
                    }
                }
                drafts::Picked::Again(jobs) => {
                    drop(tx);
                    jobs
                }
            };
            let jobs = {
                let mut tx = door.read(organization, Action::AgentRun).await?;
                jobs::find_many(&mut tx, &ordered).await?
            };
            let place = |job: &jobs::Job| ordered.iter().position(|id| *id == job.id);
            let mut jobs: Vec<_> = jobs.into_iter().map(|job| (place(&job), job)).collect();
            jobs.sort_by_key(|(place, _)| *place);
            Ok(ContentStrategyDraftPayload {
                jobs: jobs.into_iter().map(|(_, job)| Job::new(job)).collect(),
                strategy: match output(ctx, organization, id.uuid()).await? {
                    Some(AgentOutput::ContentStrategy(strategy)) => Some(strategy),
                    _ => None,
                },
                project: loader::project(ctx, organization, project).await?.map(Project::new),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
