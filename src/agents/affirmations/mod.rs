//! The agent that writes affirmations from a person's own goals.
//!
//! The built-in engine ([`builtin`]) rewrites the goals by grammar. A provider's model is given the same goals; each of its
//! lines passes the same checks, and those that do not are asked for once more.

pub mod builtin;
pub mod graphql;
mod schedule;

use std::collections::HashSet;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::builtin::{Line, Proposal, Request};
pub use self::schedule::Schedule;
use super::agent::{self, Agent, JsonQuestion, Made, Order, Tools};
use super::files;
use super::text::calendar::Entry;
use super::text::{UnusedInput, excerpt};
use crate::access::Action;
use crate::assets::AssetKind;
use crate::db::ReadTx;
use crate::engine::{self, Engines, JsonSchema, Usage};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AffirmationSetId, AssetId, PeriodId};
use crate::jobs::{self, AgentKind, Engine, Failure, Run};
use crate::knowledge::search::{self, Found, Passage, Place};
use crate::providers::Wanted;
use crate::retrieval::Language;
use crate::{assets, input, periods, projects};

/// Earlier sets whose lines are not repeated.
const EARLIER: i32 = 50;
/// Passages that speak of the goals and whose phrases may colour a line.
const PASSAGES: usize = 5;
/// Passages of the newest documents whose phrases may.
const NEWEST: i64 = 200;
/// Tokens of a model's answer at the most.
const TOKENS: u32 = 4_000;

/// What the agent is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// Goals or struggles in the person's own words.
    pub goals: Vec<String>,
    /// The period whose keywords may colour a line.
    pub period: Option<PeriodId>,
    /// How many lines.
    pub count: usize,
    /// The language of goals and lines.
    pub language: Language,
    /// A word for the tone.
    pub tone: Option<String>,
    /// Words of a line at the most.
    pub max_words: usize,
    /// Words that no line has.
    pub avoid: Vec<String>,
    /// Whom the lines are for.
    #[serde(default)]
    pub audience: Option<String>,
    /// When each line is for.
    #[serde(default)]
    pub schedule: Option<Schedule>,
}

impl Input {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(mut self) -> Result<Self> {
        input::list("goals", &self.goals)?;
        input::list("avoid", &self.avoid)?;
        let line = |field: &str, text: &String, most| input::line(field, text, most);
        let goals = self.goals.iter().map(|goal| line("goals", goal, builtin::GOAL_CHARACTERS));
        self.goals = goals.collect::<Result<_>>()?;
        self.avoid = self.avoid.iter().map(|word| line("avoid", word, 100)).collect::<Result<_>>()?;
        self.tone = self.tone.map(|tone| input::line("tone", &tone, 100)).transpose()?;
        self.audience = self.audience.map(|text| input::line("audience", &text, 500)).transpose()?;
        builtin::check_limits(&self.request(0)).map_err(|error| {
            let field = match &error {
                builtin::AffirmationsError::CountOutOfRange { .. } => "count",
                builtin::AffirmationsError::WordsOutOfRange { .. } => "maxWords",
                _ => "goals",
            };
            Error::fault(Fault::at(FaultCode::OutOfRange, field, error.to_string()))
        })?;
        Ok(self)
    }

    fn request(&self, seed: u64) -> Request {
        Request {
            goals: self.goals.clone(),
            period: None,
            language: self.language,
            tone: self.tone.clone(),
            count: self.count,
            max_words: self.max_words,
            avoid: self.avoid.clone(),
            earlier: Vec::new(),
            passages: Vec::new(),
            seed,
        }
    }
}

/// A set of affirmations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// The language of the lines.
    pub language: Language,
    /// The period that they were made for.
    pub period: Option<PeriodId>,
    /// The lines.
    pub lines: Vec<Line>,
    /// When each line is for, in their order; empty without a schedule.
    #[serde(default)]
    pub moments: Vec<DateTime<Utc>>,
    /// The lines as a text; none in a set of earlier times.
    #[serde(default)]
    pub text: Option<AssetId>,
    /// The lines as a calendar file; none without a schedule.
    #[serde(default)]
    pub ics: Option<AssetId>,
    /// Goals that no line was made from, and what else was given in vain.
    pub unused: Vec<UnusedInput>,
}

/// What writes affirmations.
pub struct Affirmations;

impl Agent for Affirmations {
    const KIND: AgentKind = AgentKind::Affirmations;
    const JOB: &'static str = "affirmations.generate";
    // Twice: what does not pass the checks is asked for once more.
    const TOKENS: Usage = engine::tokens(2 * 30_000, 2 * TOKENS);
    type Id = AffirmationSetId;
    type Input = Input;
    type Content = Content;

    async fn make(tools: &Tools, run: &Run, order: &Order<Input>) -> Result<Made<Content>, Failure> {
        let (mut request, found, newest) = {
            let mut tx = run.read(Action::ContentRead).await?;
            let (request, found) = read(&mut tx, run, order).await?;
            (request, found, search::newest(&mut tx, order.project, NEWEST).await?)
        };
        run.release().await;
        request.passages = jobs::compute(move || passages(&found, &newest)).await?;
        // To somebody who speaks of dying the built-in engine says where there is help; no model writes over that.
        let in_need = |goal: &String| builtin::checks::asks_for_help(goal, request.language);
        let wanted = order.engine.as_ref().filter(|_| !request.goals.iter().any(in_need));
        let asking = |wanted| ask(run, &tools.engines, wanted, order, &request);
        let (lines, unused, engine) =
            if let Some((lines, engine)) = agent::provided(run, wanted, asking).await? {
                let is_unused = |goal: &&String| !lines.iter().any(|line| line.based_on == **goal);
                let unused = request.goals.iter().filter(is_unused).map(|goal| UnusedInput {
                    input: goal.clone(),
                    reason: "The provider wrote no line for it that passes the checks.".to_owned(),
                });
                let unused = unused.collect();
                (lines, unused, engine)
            } else {
                let made = generate(request).await?;
                let unused = made.unused.into_iter();
                let unused = unused
                    .map(|unused| UnusedInput { reason: unused.reason.to_string(), input: unused.input })
                    .chain(order.input.audience.as_deref().map(unaddressed))
                    .collect();
                (made.lines, unused, Engine::builtin())
            };
        let Input { language, period, ref schedule, .. } = order.input;
        let moments = schedule.as_ref().map(|schedule| schedule.moments(lines.len())).unwrap_or_default();
        let (text, ics) = save(tools, run, order, (&lines, &moments)).await?;
        let files = std::iter::once(text).chain(ics).collect();
        let content = Content { language, period, lines, moments, text: Some(text), ics, unused };
        Ok(Made { content, engine, files })
    }

    fn summary(content: &Content) -> Value {
        json!({"affirmations": content.lines.len(), "unused": content.unused.len()})
    }
}

/// An audience that the built-in engine was told of.
fn unaddressed(audience: &str) -> UnusedInput {
    let reason = "The built-in engine says a person's own goals in the first person, whoever listens. Only a provider can have an audience in mind.";
    UnusedInput { input: excerpt(audience, 100), reason: reason.to_owned() }
}

/// Puts the lines into the storage: as a text, one a line, and with their moments as a calendar file.
async fn save(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    (lines, moments): (&[Line], &[DateTime<Utc>]),
) -> Result<(AssetId, Option<AssetId>), Failure> {
    let mut text: String = lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
    if assets::mime_type(AssetKind::Document, text.as_bytes()).is_err() {
        // Its first letters are those that a picture or a program begins with, such as `BM`.
        text.insert(0, '\n');
    }
    let text = files::save(tools, run, order.project, (AssetKind::Document, "text/plain"), text).await?;
    if moments.is_empty() {
        return Ok((text, None));
    }
    let name = {
        let mut tx = run.read(Action::ContentRead).await?;
        projects::find(&mut tx, order.project).await?.ok_or(Error::NotFound)?.name
    };
    run.release().await;
    let entry = |(number, (line, at)): (usize, (&Line, &DateTime<Utc>))| Entry {
        key: number.to_string(),
        at: *at,
        summary: line.text.clone(),
        description: String::new(),
        category: String::new(),
    };
    let ics = files::calendar(run, name).file((1..).zip(lines.iter().zip(moments)).map(entry));
    let ics = files::save(tools, run, order.project, (AssetKind::Calendar, "text/calendar"), ics).await?;
    Ok((text, Some(ics)))
}

/// What lines are made from: the goals, the period, what was made before, and passages of the organization's documents.
async fn read(tx: &mut ReadTx<'_>, run: &Run, order: &Order<Input>) -> Result<(Request, Found)> {
    let mut request = order.input.request(order.seed);
    let settings = projects::settings(tx, order.project).await?;
    request.avoid.extend(settings.banned_words.unwrap_or_default());
    if let Some(period) = order.input.period {
        let found = periods::find(tx, period).await?.ok_or(Error::NotFound)?;
        request.period = Some(found.definition);
    }
    for mut set in super::latest(tx, order.project, AgentKind::Affirmations, EARLIER).await? {
        let set = agent::content::<Affirmations>(&mut set)?;
        request.earlier.extend(set.lines.into_iter().map(|line| line.text));
    }
    let place = Place { project: Some(order.project), ..Place::default() };
    let question = search::read(tx, &order.input.goals.join("\n")).await?;
    Ok((request, search::search(tx, run.organization(), question, &place).await?))
}

/// The passages whose phrases may colour a line, those that speak of the goals first, each once.
fn passages(found: &Found, newest: &[Passage]) -> Vec<builtin::Passage> {
    let best = found.best(PASSAGES).into_iter().map(|(passage, _)| passage);
    let mut known = HashSet::new();
    let all = best.chain(newest).filter(|passage| known.insert(passage.candidate.id));
    all.map(|passage| builtin::Passage {
        text: passage.candidate.text.clone(),
        document: passage.document.to_string(),
        version: passage.version,
        heading: passage.candidate.heading.clone(),
        start: passage.candidate.start,
    })
    .collect()
}

/// The built-in engine's lines.
async fn generate(request: Request) -> Result<builtin::Affirmations, Failure> {
    let made = jobs::compute(move || builtin::generate(&request)).await?;
    made.map_err(|error| Failure::fail(Fault::at(FaultCode::InsufficientInput, "goals", error.to_string())))
}

#[derive(Debug, Deserialize)]
struct Written {
    affirmations: Vec<WrittenLine>,
}

#[derive(Debug, Deserialize)]
struct WrittenLine {
    text: String,
    /// From 1.
    goal: usize,
}

/// A model's lines that pass the checks; what does not is asked for once more.
async fn ask(
    run: &Run,
    engines: &Engines,
    wanted: &Wanted,
    order: &Order<Input>,
    request: &Request,
) -> Result<(Vec<Line>, Engine), Failure> {
    let (seed, audience) = (order.seed, order.input.audience.as_deref());
    let question = compose(request, audience, request.count, &[]);
    let (written, mut engine) = write(run, engines, wanted, seed, question).await?;
    let (mut lines, rejected) = builtin::judge(request, &[], written);
    lines.truncate(request.count);
    let missing = request.count - lines.len();
    if missing > 0 {
        let question = compose(request, audience, missing, &rejected);
        let (written, again) = write(run, engines, wanted, seed.wrapping_add(1), question).await?;
        let (more, _) = builtin::judge(request, &lines, written);
        lines.extend(more.into_iter().take(missing));
        engine = engine.and(&again);
    }
    if lines.is_empty() {
        let message = "No line of the provider's passes the checks: first person, present tense, positive, within the limits. Try again, or use the built-in engine.";
        return Err(Failure::fail(Fault::new(FaultCode::InsufficientInput, message)));
    }
    Ok((lines, engine))
}

async fn write(
    run: &Run,
    engines: &Engines,
    wanted: &Wanted,
    seed: u64,
    question: String,
) -> Result<(Vec<Proposal>, Engine), Failure> {
    let asked =
        JsonQuestion { system: include_str!("prompt.md"), question, schema: schema(), max_tokens: TOKENS };
    let (written, engine): (Written, _) = agent::ask_json(run, engines, wanted, seed, asked).await?;
    let proposal = |line: WrittenLine| Some(Proposal { text: line.text, goal: line.goal.checked_sub(1)? });
    let lines = written.affirmations.into_iter().take(2 * *builtin::COUNT.end());
    Ok((lines.filter_map(proposal).collect(), engine))
}

fn schema() -> JsonSchema {
    let line = json!({
        "type": "object", "additionalProperties": false, "required": ["text", "goal"],
        "properties": {"text": {"type": "string"}, "goal": {"type": "integer"}},
    });
    JsonSchema {
        name: "affirmations".to_owned(),
        schema: json!({
            "type": "object", "additionalProperties": false, "required": ["affirmations"],
            "properties": {"affirmations": {"type": "array", "items": line}},
        }),
    }
}

/// What a model is asked: the goals, numbered from 1, the limits, and what was wrong with lines that it wrote before.
fn compose(
    request: &Request,
    audience: Option<&str>,
    count: usize,
    rejected: &[(Proposal, builtin::Reason)],
) -> String {
    let mut text = String::from("Goals:\n");
    // Writing to a string cannot fail.
    for (number, goal) in request.goals.iter().enumerate() {
        let _ = writeln!(text, "{}. {goal}", number + 1);
    }
    let _ = writeln!(
        text,
        "\nWrite {count} affirmations in {}, of at most {} words each.",
        request.language.name(),
        request.max_words
    );
    if let Some(tone) = &request.tone {
        let _ = writeln!(text, "Tone: {tone}");
    }
    if let Some(audience) = audience {
        let _ = writeln!(text, "Audience: {audience}");
    }
    if let Some(period) = &request.period {
        let _ = writeln!(text, "Keywords: {}", period.keywords_in(request.language).join(", "));
    }
    if !request.avoid.is_empty() {
        let _ = writeln!(text, "Avoid: {}", request.avoid.join(", "));
    }
    if !rejected.is_empty() {
        text.push_str("\nThese lines were refused; write others:\n");
        for (proposal, reason) in rejected {
            let _ = writeln!(text, "- {} ({reason})", proposal.text);
        }
    }
    text
}
