//! The agent that finds hashtags for a text, with what speaks for each of them.
//!
//! The built-in engine ([`builtin`]) takes key phrases of the text, and what the organization itself has used. Ideas of a
//! provider's model are scored by the same function beside them. By a connected account, Instagram says what it shows for the
//! best of them.

pub mod builtin;
pub mod graphql;
mod instagram;
mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::builtin::{Corpus, HASHTAGS, HashtagSet, Mix, Research, Source};
use super::agent::{self, Agent, JsonQuestion, Made, Order, Tools};
use super::posts;
use crate::access::Action;
use crate::db::ReadTx;
use crate::engine::{self, Engines, JsonSchema, Usage};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AccountId, HashtagSetId, PeriodId, ProjectId};
use crate::jobs::{self, AgentKind, Engine, Failure, Run};
use crate::knowledge::search;
use crate::providers::Wanted;
use crate::retrieval::Language;
use crate::{input, periods, projects};

/// Characters of a text at the most.
pub const TEXT_CHARACTERS: usize = 20_000;
/// Tokens of a model's answer at the most.
const TOKENS: u32 = 2_000;

/// What the agent is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// The post or topic.
    pub text: String,
    /// The period that it is for.
    pub period: Option<PeriodId>,
    /// How many hashtags.
    pub count: usize,
    /// The language of the text.
    pub language: Language,
    /// Words and hashtags that must not come out.
    pub banned: Vec<String>,
    /// Hashtags that must come out.
    pub must_include: Vec<String>,
    /// In which proportion the sources fill the set.
    #[serde(default)]
    pub mix: Mix,
    /// The connected account by which Instagram is asked about the best ones.
    #[serde(default)]
    pub account: Option<AccountId>,
}

impl Input {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(mut self) -> Result<Self> {
        self.text = input::paragraph("text", Some(&self.text), TEXT_CHARACTERS)?.ok_or_else(|| {
            Error::fault(Fault::at(FaultCode::Required, "text", "`text` must not be empty."))
        })?;
        if !(1..=HASHTAGS).contains(&self.count) {
            let message = format!("`count` is a number from 1 to {HASHTAGS}.");
            return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "count", message)));
        }
        for (field, list) in [("banned", &mut self.banned), ("mustInclude", &mut self.must_include)] {
            input::list(field, list)?;
            *list = list.iter().map(|word| input::line(field, word, 100)).collect::<Result<_>>()?;
        }
        if Source::ALL.iter().all(|source| self.mix.of(*source) == 0) {
            let message = "`mix` leaves nothing to take hashtags from. Give one of its sources more than 0.";
            return Err(Error::fault(Fault::at(FaultCode::Invalid, "mix", message)));
        }
        Ok(self)
    }
}

/// What finds hashtags.
pub struct Hashtags;

impl Agent for Hashtags {
    const KIND: AgentKind = AgentKind::HashtagResearch;
    const JOB: &'static str = "hashtags.research";
    const TOKENS: Usage = engine::tokens(TEXT_CHARACTERS as u64 + 2_000, TOKENS);
    type Id = HashtagSetId;
    type Input = Input;
    type Content = HashtagSet;

    async fn make(tools: &Tools, run: &Run, order: &Order<Input>) -> Result<Made<HashtagSet>, Failure> {
        let mut research = {
            let mut tx = run.read(Action::ContentRead).await?;
            read(&mut tx, order.project, &order.input).await?
        };
        run.release().await;
        let asking = |wanted| ask(run, &tools.engines, wanted, order.seed, &research);
        let answered = agent::provided(run, order.engine.as_ref(), asking).await?;
        let (ideas, engine) = answered.unwrap_or_else(|| (Vec::new(), Engine::builtin()));
        research.ideas = ideas;
        let (lookups, research) = jobs::compute(move || (builtin::lookups(&research), research)).await?;
        let (passages, counts) = {
            let mut tx = run.read(Action::ContentRead).await?;
            search::frequencies(&mut tx, order.project, &lookups).await?
        };
        run.release().await;
        let research = Research { corpus: Corpus { passages, counts }, ..research };
        let mut set = jobs::compute(move || builtin::research(&research)).await??;
        if let Some(account) = order.input.account {
            instagram::measure(tools, run, order.project, account, &mut set).await?;
        }
        Ok(Made::new(set, engine))
    }

    fn summary(set: &HashtagSet) -> Value {
        json!({"hashtags": set.hashtags.len(), "warnings": set.warnings.len()})
    }
}

/// What is researched: the text, the brand's own hashtags, and the period's words.
///
/// # Errors
/// [`Error::NotFound`], or what the database says.
pub(super) async fn read(tx: &mut ReadTx<'_>, project: ProjectId, input: &Input) -> Result<Research> {
    let past = posts::past(tx, project).await?;
    let settings = projects::settings(tx, project).await?;
    let period = match input.period {
        None => Vec::new(),
        Some(id) => {
            let found = periods::find(tx, id).await?.ok_or(Error::NotFound)?.definition;
            let name = found.names.get(&input.language).cloned();
            name.into_iter().chain(found.keywords_in(input.language).iter().cloned()).collect()
        }
    };
    Ok(Research {
        text: input.text.clone(),
        language: input.language,
        count: input.count,
        corpus: Corpus::default(),
        past,
        brand: settings.default_hashtags.unwrap_or_default(),
        period,
        ideas: Vec::new(),
        banned: input.banned.iter().cloned().chain(settings.banned_words.unwrap_or_default()).collect(),
        must_include: input.must_include.clone(),
        mix: input.mix,
    })
}

#[derive(Debug, Deserialize)]
struct Ideas {
    hashtags: Vec<String>,
}

/// A model's ideas.
async fn ask(
    run: &Run,
    engines: &Engines,
    wanted: &Wanted,
    seed: u64,
    research: &Research,
) -> Result<(Vec<String>, Engine), Failure> {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["hashtags"],
        "properties": {"hashtags": {"type": "array", "items": {"type": "string"}}},
    });
    let asked = JsonQuestion {
        system: include_str!("prompt.md"),
        question: format!("Propose {} hashtags for this text:\n\n{}", research.count, research.text),
        schema: JsonSchema { name: "hashtags".to_owned(), schema },
        max_tokens: TOKENS,
    };
    let (ideas, engine): (Ideas, _) = agent::ask_json(run, engines, wanted, seed, asked).await?;
    Ok((ideas.hashtags.into_iter().take(2 * HASHTAGS).collect(), engine))
}
