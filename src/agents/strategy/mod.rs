//! The agent that plans what to post where and when, from the organization's documents, its open questions and its posts.
//!
//! The built-in engine ([`builtin`]) makes the plan whatever engine is wanted: the calendar is computed. A provider's model
//! adds working titles, which may state nothing that topic and sentence do not state. Posts of a file, and by a connected account
//! its last posts on Instagram, count among the past ones, with what is measured of them.

pub mod builtin;
pub mod drafts;
pub mod graphql;
mod holidays;
mod instagram;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::builtin::export;
use self::builtin::{
    ChannelPlan, Event, Format, GivenPillar, OpenQuestion, POSTS_PER_WEEK, PastPost, Plan, Strategy,
};
use self::drafts::Draft;
use super::agent::{self, Agent, JsonQuestion, Made, Order, Tools};
use super::posts::builtin::facts;
use super::{files, posts, qa};
use crate::access::Action;
use crate::accounts::channel::Channel;
use crate::assets::{self, AssetKind};
use crate::db::ReadTx;
use crate::engine::{self, Engines, JsonSchema, Usage};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AccountId, AssetId, ProjectId, StrategyId};
use crate::jobs::{self, AgentKind, Engine, Failure, Run};
use crate::knowledge::search;
use crate::providers::Wanted;
use crate::retrieval::Language;
use crate::{input, projects};

/// Passages of documents that a plan is made from, the newest documents' first.
const PASSAGES: i64 = 2_000;
/// Open questions that a plan is made from, the most frequent first.
const QUESTIONS: i64 = 200;
/// How many days a topic rests before it comes again on the same channel.
const TOPIC_REST_DAYS: u32 = 21;
/// The hours of a day between which posts go out.
const HOURS: (u32, u32) = (8, 20);
/// Topics that a model is asked to title.
const TITLED: usize = 60;
/// Characters of a title.
const TITLE_CHARACTERS: usize = 120;
/// Tokens of a model's answer at the most.
const TOKENS: u32 = 4_000;

/// What the agent is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// What the content is for.
    pub goals: Vec<String>,
    /// Whom it is for.
    pub audience: Option<String>,
    /// The pillars; derived from the documents and past posts when empty.
    pub pillars: Vec<GivenPillar>,
    /// The channels.
    pub channels: Vec<Channel>,
    /// Posts a week on each of them, but for those of `cadence`.
    pub posts_per_week: u32,
    /// How single channels are used.
    #[serde(default)]
    pub cadence: Vec<Cadence>,
    /// When the plan begins.
    pub from: DateTime<Utc>,
    /// When it ends; the first moment after it.
    pub until: DateTime<Utc>,
    /// The IANA name of the time zone that days and hours are meant in.
    pub timezone: String,
    /// Days without posts.
    pub blackout: Vec<NaiveDate>,
    /// Posts that must be there.
    pub events: Vec<Event>,
    /// The language of documents and reasons.
    pub language: Language,
    /// The connected account whose last posts count among the past ones.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// The file whose posts count among the past ones.
    #[serde(default)]
    pub past_posts: Option<AssetId>,
    /// The calendar whose all-day events are days without posts.
    #[serde(default)]
    pub holidays: Option<AssetId>,
}

/// How one channel is used, where that is another way than usual.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cadence {
    /// The channel.
    pub channel: Channel,
    /// Posts a week there; as on the others when none.
    pub posts_per_week: Option<u32>,
    /// The least hours between two posts.
    pub spacing_hours: Option<u32>,
    /// The formats that are used there; any when empty.
    pub formats: Vec<Format>,
}

impl Input {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(mut self) -> Result<Self> {
        input::list("goals", &self.goals)?;
        input::list("blackoutDates", &self.blackout)?;
        input::list("pillars", &self.pillars)?;
        input::list("events", &self.events)?;
        self.goals = self.goals.iter().map(|goal| input::line("goals", goal, 500)).collect::<Result<_>>()?;
        self.audience = self.audience.map(|text| input::line("audience", &text, 500)).transpose()?;
        for pillar in &mut self.pillars {
            pillar.name = input::line("pillars", &pillar.name, 100)?;
            input::list("pillars", &pillar.key_phrases)?;
            let phrases = pillar.key_phrases.iter().map(|phrase| input::line("pillars", phrase, 100));
            pillar.key_phrases = phrases.collect::<Result<_>>()?;
        }
        for event in &mut self.events {
            event.title = input::line("events", &event.title, 200)?;
            input::list("events", &event.channels)?;
        }
        input::list("channels", &self.channels)?;
        self.channels.sort_unstable();
        self.channels.dedup();
        self.check_cadence()?;
        // What is wrong with the window is said now, and not by a job that fails.
        builtin::check(&self.strategy(0)).map_err(|refusal| Error::fault(refusal.into()))?;
        Ok(self)
    }

    fn check_cadence(&self) -> Result<()> {
        input::list("cadence", &self.cadence)?;
        for (place, cadence) in self.cadence.iter().enumerate() {
            let name = cadence.channel.name();
            let wrong = |code, field, message: String| Err(Error::fault(Fault::at(code, field, message)));
            if !self.channels.contains(&cadence.channel) {
                let message =
                    format!("{name} is not among `channels`. Add it there, or leave its cadence out.");
                return wrong(FaultCode::Invalid, "cadence.channel", message);
            }
            if self.cadence.iter().take(place).any(|other| other.channel == cadence.channel) {
                return wrong(
                    FaultCode::Invalid,
                    "cadence.channel",
                    format!("{name} is there twice. Say once how it is used."),
                );
            }
            if cadence.posts_per_week.is_some_and(|posts| !(1..=POSTS_PER_WEEK).contains(&posts)) {
                let message = format!("{name}: `postsPerWeek` is a number from 1 to {POSTS_PER_WEEK}.");
                return wrong(FaultCode::OutOfRange, "cadence.postsPerWeek", message);
            }
        }
        Ok(())
    }

    fn strategy(&self, seed: u64) -> Strategy {
        let plan = |channel: &Channel| {
            let own = self.cadence.iter().find(|cadence| cadence.channel == *channel);
            ChannelPlan {
                channel: *channel,
                posts_per_week: own.and_then(|own| own.posts_per_week).unwrap_or(self.posts_per_week),
                spacing_hours: own.and_then(|own| own.spacing_hours),
                formats: own.map(|own| own.formats.clone()).unwrap_or_default(),
            }
        };
        Strategy {
            goals: self.goals.clone(),
            audience: self.audience.clone(),
            pillars: self.pillars.clone(),
            passages: Vec::new(),
            questions: Vec::new(),
            channels: self.channels.iter().map(plan).collect(),
            past: Vec::new(),
            from: self.from,
            until: self.until,
            timezone: self.timezone.clone(),
            blackout: self.blackout.clone(),
            events: self.events.clone(),
            earliest_hour: HOURS.0,
            latest_hour: HOURS.1,
            topic_rest_days: TOPIC_REST_DAYS,
            language: self.language,
            seed,
        }
    }
}

/// A plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// The IANA name of the time zone that it is meant in.
    pub timezone: String,
    /// The plan.
    pub plan: Plan,
    /// Working titles of topics, by a provider's model.
    pub titles: BTreeMap<String, String>,
    /// The plan as a calendar file.
    pub ics: AssetId,
    /// The plan as a table.
    pub csv: AssetId,
    /// The connected account's posts that it takes into account.
    #[serde(default)]
    pub past: Option<instagram::Origin>,
    /// The file's posts that it takes into account.
    #[serde(default)]
    pub file: Option<table::Origin>,
    /// The days without posts that a calendar has.
    #[serde(default)]
    pub holidays: Vec<NaiveDate>,
    /// The language of documents and reasons.
    #[serde(default = "usual")]
    pub language: Language,
    /// Who drafts its posts, by their places in the calendar.
    #[serde(default)]
    pub drafts: BTreeMap<usize, Draft>,
}

/// The language of plans that do not say theirs: what the schema takes when a caller says none.
const fn usual() -> Language {
    Language::German
}

/// What plans.
pub struct Strategies;

impl Agent for Strategies {
    const KIND: AgentKind = AgentKind::ContentStrategy;
    const JOB: &'static str = "strategy.create";
    const TOKENS: Usage = engine::tokens(40_000, TOKENS);
    type Id = StrategyId;
    type Input = Input;
    type Content = Content;

    async fn make(tools: &Tools, run: &Run, order: &Order<Input>) -> Result<Made<Content>, Failure> {
        let (mut strategy, name) = {
            let mut tx = run.read(Action::ContentRead).await?;
            let project = projects::find(&mut tx, order.project).await?.ok_or(Error::NotFound)?;
            (read(&mut tx, order).await?, project.name)
        };
        run.release().await;
        let (mut past, mut file) = (None, None);
        if let Some(asset) = order.input.past_posts {
            let (posts, origin) = table::read(tools, run, &order.input, asset).await?;
            strategy.past = instagram::together(strategy.past, posts);
            file = Some(origin);
        }
        if let Some(account) = order.input.account {
            let (posts, origin) = instagram::read(tools, run, order.project, account).await?;
            strategy.past = instagram::together(strategy.past, posts);
            past = Some(origin);
        }
        let mut holidays = Vec::new();
        if let Some(calendar) = order.input.holidays {
            let message =
                "The file is no calendar. Upload one in the format iCalendar (.ics) as a `CALENDAR`.";
            let kind = (AssetKind::Calendar, AssetKind::Calendar.most_bytes(), message);
            let text = text(tools, run, (holidays::FIELD, calendar), kind).await?;
            let days = builtin::days(&strategy);
            holidays = jobs::compute(move || holidays::among(&days, &text)).await?.map_err(Failure::fail)?;
            strategy.blackout.extend(&holidays);
        }
        let plan = jobs::compute(move || builtin::plan(&strategy)).await??;
        let asking = |wanted| ask(run, &tools.engines, wanted, order, &plan);
        let answered = agent::provided(run, order.engine.as_ref(), asking).await?;
        let (titles, engine) = answered.unwrap_or_else(|| (BTreeMap::new(), Engine::builtin()));
        let (ics, csv) = files(tools, run, order, name, &plan).await?;
        let content = Content {
            timezone: order.input.timezone.clone(),
            plan,
            titles,
            ics,
            csv,
            past,
            file,
            holidays,
            language: order.input.language,
            drafts: BTreeMap::new(),
        };
        Ok(Made { content, engine, files: vec![ics, csv] })
    }

    fn summary(content: &Content) -> Value {
        let Content { plan, past, file, .. } = content;
        let account = past.as_ref().map(|past| past.posts);
        let file = file.as_ref().map(|file| file.posts);
        json!({
            "pillars": plan.pillars.len(), "slots": plan.slots.len(), "gaps": plan.gaps.len(), "accountPosts": account,
            "filePosts": file,
        })
    }
}

/// Puts the plan into the storage, as a calendar file and as a table.
async fn files(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    name: String,
    plan: &Plan,
) -> Result<(AssetId, AssetId), Failure> {
    let ics = export::ics(plan, &files::calendar(run, name));
    let ics = files::save(tools, run, order.project, (AssetKind::Calendar, "text/calendar"), ics).await?;
    let csv = export::csv(plan);
    let csv = files::save(tools, run, order.project, (AssetKind::Document, "text/csv"), csv).await?;
    Ok((ics, csv))
}

/// The text of a file that a field names: of a kind, with so many bytes at the most, and what to say of another one.
async fn text(
    tools: &Tools,
    run: &Run,
    (field, file): (&'static str, AssetId),
    (kind, most, message): (AssetKind, u64, &'static str),
) -> Result<String, Failure> {
    let refuse = |code, message: String| Failure::fail(Fault::at(code, field, message));
    let asset = {
        let mut tx = run.read(Action::ContentRead).await?;
        assets::find(&mut tx, file).await?
    };
    run.release().await;
    let Some(asset) = asset else {
        let message =
            "There is no such file any more, or it is not visible to you. Name another one, or leave it out.";
        return Err(refuse(FaultCode::NotFound, message.to_owned()));
    };
    if asset.kind != kind || !asset.mime_type.starts_with("text/") {
        return Err(refuse(FaultCode::Invalid, message.to_owned()));
    }
    if u64::try_from(asset.bytes).is_ok_and(|bytes| bytes > most) {
        let message = format!("The file has more than {} MiB. Leave the oldest entries out.", most >> 20);
        return Err(refuse(FaultCode::TooLong, message));
    }
    run.progress(0.02, "Reading the file.").await?;
    let scope = run.scope();
    let bytes = assets::bytes(tools.storage.of(&scope), &asset, most).await?;
    String::from_utf8(bytes.into()).map_err(|_| {
        let message = "The file is not in UTF-8. Save it as UTF-8, and upload it again.";
        refuse(FaultCode::Invalid, message.to_owned())
    })
}

/// What a plan is made from, beside what the caller says.
async fn read(tx: &mut ReadTx<'_>, order: &Order<Input>) -> Result<Strategy> {
    let project: ProjectId = order.project;
    let passages = search::newest(tx, project, PASSAGES).await?;
    let questions = qa::unanswered(tx, project, None, QUESTIONS).await?;
    let past = posts::past(tx, project).await?;
    Ok(Strategy {
        passages: passages.iter().map(posts::passage).collect(),
        questions: questions
            .into_iter()
            .map(|open| OpenQuestion {
                text: open.question,
                asked: u32::try_from(open.asked).unwrap_or(u32::MAX),
            })
            .collect(),
        past: past
            .into_iter()
            .map(|post| PastPost { at: post.at, channel: None, text: post.text, engagement: None })
            .collect(),
        ..order.input.strategy(order.seed)
    })
}

#[derive(Debug, Deserialize)]
struct Titles {
    titles: Vec<Title>,
}

#[derive(Debug, Deserialize)]
struct Title {
    /// From 1.
    number: usize,
    title: String,
}

/// A model's titles, by topic. One that states more than its topic and sentence do is left out.
async fn ask(
    run: &Run,
    engines: &Engines,
    wanted: &Wanted,
    order: &Order<Input>,
    plan: &Plan,
) -> Result<(BTreeMap<String, String>, Engine), Failure> {
    let mut topics: Vec<(&str, Option<&str>)> = Vec::new();
    for slot in &plan.slots {
        if topics.len() < TITLED && !topics.iter().any(|(topic, _)| *topic == slot.topic) {
            topics.push((&slot.topic, slot.angle.as_ref().map(|angle| angle.quote.as_str())));
        }
    }
    let language = order.input.language;
    let mut question = format!("Language: {}\n", language.name());
    for (number, (topic, angle)) in topics.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(question, "\nTopic {}: {topic}", number + 1);
        if let Some(angle) = angle {
            let _ = writeln!(question, "Sentence: {angle}");
        }
    }
    let title = json!({
        "type": "object", "additionalProperties": false, "required": ["number", "title"],
        "properties": {"number": {"type": "integer"}, "title": {"type": "string"}},
    });
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["titles"],
        "properties": {"titles": {"type": "array", "items": title}},
    });
    let asked = JsonQuestion {
        system: include_str!("prompt.md"),
        question,
        schema: JsonSchema { name: "titles".to_owned(), schema },
        max_tokens: TOKENS,
    };
    let (written, engine): (Titles, _) = agent::ask_json(run, engines, wanted, order.seed, asked).await?;
    let mut titles = BTreeMap::new();
    for Title { number, title } in written.titles {
        let Some((topic, angle)) = topics.get(number.wrapping_sub(1)) else { continue };
        let sources: Vec<&str> = std::iter::once(*topic).chain(*angle).collect();
        let Ok(title) = input::line("title", &title, TITLE_CHARACTERS) else { continue };
        if facts::check(&title, &sources, language).is_empty() {
            titles.entry((*topic).to_owned()).or_insert(title);
        }
    }
    Ok((titles, engine))
}
