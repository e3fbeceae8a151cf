//! The agent that composes posts, and their way to publication.
//!
//! The built-in engine ([`builtin`]) makes captions of the sources' own sentences. A provider's model rewrites them; what
//! it states beyond the sources is not taken, and the draft stays.

pub mod builtin;
pub mod graphql;
pub mod state;

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use self::builtin::banned::Banned;
use self::builtin::{Compose, Composition, Length, Passage, Variant, facts, readability, validity};
use self::state::PostState;
use super::agent::{self, Agent, JsonQuestion, Made, Order, Tools};
use super::hashtags::builtin::{Corpus, Mix, PastPost, lookups};
use super::text::UnusedInput;
use super::{hashtags, qa, store};
use crate::access::Action;
use crate::accounts::channel::Channel;
use crate::db::{ReadTx, WriteTx};
use crate::engine::{self, Engines, JsonSchema, Usage};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AnswerId, AssetId, DocumentId, PostId, ProjectId, StrategyId};
use crate::jobs::{self, AgentKind, Engine, Failure, Run};
use crate::knowledge::search::{self, Found, Place};
use crate::organizations::settings;
use crate::providers::Wanted;
use crate::retrieval::Language;
use crate::{input, projects};

/// Characters of a brief at the most.
pub const BRIEF_CHARACTERS: usize = 10_000;
/// Characters of a caption that somebody edits, at the most.
pub const CAPTION_CHARACTERS: usize = 10_000;
/// Passages that a post is made from.
const PASSAGES: usize = 20;
/// Hashtags of a post.
const HASHTAGS: usize = 12;
/// Earlier posts whose hashtags count.
const PAST: i32 = 200;
/// Files of a post at the most.
pub const ASSETS: usize = 10;
/// Tokens of a model's answer at the most.
const TOKENS: u32 = 6_000;

/// What the agent is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// What the post is about, or the text itself.
    pub brief: String,
    /// A sentence that it leans to, where it is about a topic.
    #[serde(default)]
    pub angle: Option<String>,
    /// From these documents only.
    pub documents: Option<Vec<DocumentId>>,
    /// The files that go with it.
    pub assets: Vec<AssetId>,
    /// Where it is published.
    pub channels: Vec<Channel>,
    /// The tone that is wished for.
    pub tone: Option<String>,
    /// The language of the post.
    pub language: Language,
    /// How many variants.
    pub variants: usize,
    /// Whether it gets hashtags.
    pub hashtags: bool,
    /// How long; one of each length in turn when none.
    #[serde(default)]
    pub length: Option<Length>,
    /// Words that must not be in it, beside the brand's.
    #[serde(default)]
    pub banned: Vec<String>,
    /// The call to action; one of the project's when none.
    #[serde(default)]
    pub call_to_action: Option<String>,
    /// From what this answer cites.
    #[serde(default)]
    pub answer: Option<AnswerId>,
    /// The place in a plan that it is drafted for.
    #[serde(default)]
    pub planned: Option<Planned>,
}

/// A place in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The plan.
    pub strategy: StrategyId,
    /// When it has the post.
    pub at: DateTime<Utc>,
}

impl Input {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(mut self) -> Result<Self> {
        self.brief = input::paragraph("brief", Some(&self.brief), BRIEF_CHARACTERS)?.ok_or_else(|| {
            Error::fault(Fault::at(FaultCode::Required, "brief", "`brief` must not be empty."))
        })?;
        self.tone = self.tone.map(|tone| input::line("tone", &tone, 100)).transpose()?;
        if !(1..=builtin::VARIANTS).contains(&self.variants) {
            let message = format!("`variants` is a number from 1 to {}.", builtin::VARIANTS);
            return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "variants", message)));
        }
        if self.channels.is_empty() {
            let message = "`channels` is empty. Name at least one channel.";
            return Err(Error::fault(Fault::at(FaultCode::Required, "channels", message)));
        }
        input::list("channels", &self.channels)?;
        self.channels.sort_unstable();
        self.channels.dedup();
        if let Some(documents) = &self.documents {
            input::list("sourceDocumentIds", documents)?;
        }
        input::list("bannedWords", &self.banned)?;
        let word = |word: &String| input::line("bannedWords", word, settings::BANNED_CHARACTERS);
        self.banned = self.banned.iter().map(word).collect::<Result<_>>()?;
        let call = |call: String| input::line("callToAction", &call, settings::CALL_CHARACTERS);
        self.call_to_action = self.call_to_action.map(call).transpose()?;
        if self.assets.len() > ASSETS {
            let message = format!("A post has at most {ASSETS} files, as a carousel has pages.");
            return Err(Error::fault(Fault::at(FaultCode::TooLong, "assetIds", message)));
        }
        Ok(self)
    }
}

/// A post in variants, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// Where it stands.
    pub state: PostState,
    /// The variant that is published.
    pub chosen: Option<usize>,
    /// When it is published.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// The place in a plan that it was drafted for.
    #[serde(default)]
    pub planned: Option<Planned>,
    /// The language.
    pub language: Language,
    /// The variants.
    pub variants: Vec<Variant>,
    /// The files that go with it, in their order.
    pub assets: Vec<AssetId>,
    /// What was given and is not in it.
    pub unused: Vec<UnusedInput>,
}

/// What composes posts.
pub struct Posts;

impl Agent for Posts {
    const KIND: AgentKind = AgentKind::PostComposition;
    const JOB: &'static str = "post.compose";
    const TOKENS: Usage = engine::tokens(60_000, TOKENS);
    type Id = PostId;
    type Input = Input;
    type Content = Content;

    async fn make(tools: &Tools, run: &Run, order: &Order<Input>) -> Result<Made<Content>, Failure> {
        let input = &order.input;
        let (cited, found, settings, research) = {
            let mut tx = run.read(Action::ContentRead).await?;
            let cited = match input.answer {
                Some(answer) => Some(cited(&mut tx, answer).await?),
                None => None,
            };
            // What an answer cites is enough, unless documents are named beside it.
            let found = if cited.is_none() || input.documents.is_some() {
                let documents = input.documents.clone();
                let place = Place { project: Some(order.project), documents, tags: None };
                let words = [Some(input.brief.as_str()), input.angle.as_deref()].into_iter().flatten();
                let question = search::read(&mut tx, &words.collect::<Vec<_>>().join("\n")).await?;
                Some(search::search(&mut tx, run.organization(), question, &place).await?)
            } else {
                None
            };
            let settings = projects::settings(&mut tx, order.project).await?;
            let research = if input.hashtags {
                let asked = hashtags::Input {
                    text: input.brief.clone(),
                    period: None,
                    count: HASHTAGS,
                    language: input.language,
                    banned: input.banned.clone(),
                    must_include: Vec::new(),
                    mix: Mix::default(),
                    account: None,
                };
                Some(hashtags::read(&mut tx, order.project, &asked).await?)
            } else {
                None
            };
            (cited, found, settings, research)
        };
        run.release().await;
        let mut passages = cited.unwrap_or_default();
        if let Some(found) = found {
            passages.extend(jobs::compute(move || best(&found)).await?);
        }
        let mut compose = Compose {
            brief: input.brief.clone(),
            angle: input.angle.clone(),
            passages,
            channels: input.channels.clone(),
            language: input.language,
            variants: input.variants,
            length: input.length,
            tone: input.tone.clone().filter(|_| order.engine.is_none()),
            call_to_action: input.call_to_action.clone(),
            calls_to_action: settings.calls_to_action.unwrap_or_default(),
            hashtags: research,
            banned: input.banned.iter().cloned().chain(settings.banned_words.unwrap_or_default()).collect(),
            pillars: Vec::new(),
            // The best opening comes first unless the caller wants another one.
            seed: if order.is_seeded { order.seed } else { 0 },
        };
        if let Some(research) = &mut compose.hashtags {
            let texts = compose.passages.iter().map(|passage| passage.text.as_str());
            let text: Vec<&str> = std::iter::once(input.brief.as_str()).chain(texts).collect();
            let whole = hashtags::builtin::Research { text: text.join("\n\n"), ..research.clone() };
            let terms = jobs::compute(move || lookups(&whole)).await?;
            let mut tx = run.read(Action::ContentRead).await?;
            let (passages, counts) = search::frequencies(&mut tx, order.project, &terms).await?;
            research.corpus = Corpus { passages, counts };
        }
        run.release().await;
        let brand = Brand { voice: settings.brand_voice, banned: compose.banned.clone() };
        let mut made = jobs::compute(move || builtin::compose(&compose)).await??;
        let drafts = (&mut made, &brand);
        let wanted = order.engine.as_ref();
        let answered =
            agent::provided(run, wanted, move |wanted| rewrite(run, &tools.engines, wanted, order, drafts))
                .await?;
        let engine = answered.unwrap_or_else(Engine::builtin);
        let content = Content {
            state: PostState::Draft,
            chosen: None,
            scheduled_at: None,
            planned: input.planned,
            language: input.language,
            variants: made.variants,
            assets: input.assets.clone(),
            unused: made.unused,
        };
        Ok(Made::new(content, engine))
    }

    fn summary(content: &Content) -> Value {
        json!({"variants": content.variants.len(), "state": content.state})
    }
}

/// The best passages for the brief, best first.
fn best(found: &Found) -> Vec<Passage> {
    let best = found.best(PASSAGES).into_iter();
    best.map(|(found, coverage)| Passage { relevance: Some(coverage), ..passage(found) }).collect()
}

/// What an answer cites, as passages.
async fn cited(tx: &mut ReadTx<'_>, id: AnswerId) -> Result<Vec<Passage>, Failure> {
    let outputs = super::find_many(tx, &[id.uuid()]).await?;
    let answer = qa::find_many(tx, outputs).await?.pop();
    let refuse = |code, message: &str| Failure::fail(Fault::at(code, "sourceAnswerId", message));
    let answer = answer.ok_or_else(|| {
        refuse(FaultCode::NotFound, "The answer is no longer there. Name another one, or leave it out.")
    })?;
    let passage = |citation: qa::Citation| {
        let (document, start) = (citation.document?.to_string(), usize::try_from(citation.start).ok()?);
        Some(Passage {
            id: format!("{document}:{start}"),
            document,
            version: citation.version.unsigned_abs(),
            heading: citation.heading,
            text: citation.quote,
            start,
            relevance: Some(f64::from(citation.score)),
        })
    };
    let passages: Vec<Passage> = answer.citations.into_iter().filter_map(passage).collect();
    if passages.is_empty() {
        let message =
            "The answer cites no document that is still there, so that there is nothing to make a post from.";
        return Err(refuse(FaultCode::InsufficientInput, message));
    }
    Ok(passages)
}

/// A passage of the documents, as engines read it.
pub(super) fn passage(found: &search::Passage) -> Passage {
    Passage {
        id: Uuid::from_u128(found.candidate.id).to_string(),
        document: found.document.to_string(),
        version: found.version.unsigned_abs(),
        heading: found.candidate.heading.clone(),
        text: found.candidate.text.clone(),
        start: found.candidate.start,
        relevance: None,
    }
}

#[derive(Debug, Deserialize)]
struct Written {
    posts: Vec<WrittenPost>,
}

#[derive(Debug, Deserialize)]
struct WrittenPost {
    /// From 1.
    number: usize,
    opening: String,
    body: String,
}

/// How the brand speaks, and which words are not said for it.
struct Brand {
    voice: Option<String>,
    banned: Vec<String>,
}

/// Has a model rewrite the variants in the brand's voice, without the banned words. What states more than its sources do is not taken.
async fn rewrite(
    run: &Run,
    engines: &Engines,
    wanted: &Wanted,
    order: &Order<Input>,
    (made, brand): (&mut Composition, &Brand),
) -> Result<Engine, Failure> {
    let input = &order.input;
    let post = json!({
        "type": "object", "additionalProperties": false, "required": ["number", "opening", "body"],
        "properties": {
            "number": {"type": "integer"}, "opening": {"type": "string"}, "body": {"type": "string"},
        },
    });
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["posts"],
        "properties": {"posts": {"type": "array", "items": post}},
    });
    let asked = JsonQuestion {
        system: include_str!("prompt.md"),
        question: drafts(input, &made.variants, brand),
        schema: JsonSchema { name: "posts".to_owned(), schema },
        max_tokens: TOKENS,
    };
    let (written, engine): (Written, _) = agent::ask_json(run, engines, wanted, order.seed, asked).await?;
    let banned = Banned::read(&brand.banned, input.language);
    for written in written.posts.into_iter().take(builtin::VARIANTS) {
        let place = written.number.wrapping_sub(1);
        let Some(draft) = made.variants.get(place) else { continue };
        match accept(input, draft, &written, &banned) {
            Ok(variant) => {
                if let Some(slot) = made.variants.get_mut(place) {
                    *slot = variant;
                }
            }
            Err(reason) => {
                let input = super::text::excerpt(&format!("{} {}", written.opening, written.body), 100);
                made.unused.push(UnusedInput { input, reason });
            }
        }
    }
    Ok(engine)
}

/// What a model is asked: the drafts, numbered from 1, each with what its sources say.
fn drafts(input: &Input, variants: &[Variant], brand: &Brand) -> String {
    let mut text = format!("Language: {}\n", input.language.name());
    // Writing to a string cannot fail.
    if let Some(tone) = &input.tone {
        let _ = writeln!(text, "Tone: {tone}");
    }
    if let Some(voice) = &brand.voice {
        let _ =
            writeln!(text, "Voice of the brand: {}", voice.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if !brand.banned.is_empty() {
        let _ = writeln!(text, "Banned words: {}", brand.banned.join(", "));
    }
    for (number, variant) in variants.iter().enumerate() {
        let _ = writeln!(text, "\nDraft {}\nOpening: {}\nBody: {}", number + 1, variant.hook, variant.body);
        let own = format!("{}\n\n{}", variant.hook, variant.body);
        let own = validity::length(own.trim_end(), validity::Unit::Graphemes);
        // What is added afterwards keeps its room.
        let most = (variant.length.graphemes() + own).saturating_sub(variant.graphemes);
        let _ = writeln!(text, "Most characters: {most}");
        for source in &variant.sources {
            let _ = writeln!(text, "Source: {}", source.quote);
        }
    }
    text
}

/// A model's rewriting as a variant.
fn accept(input: &Input, draft: &Variant, written: &WrittenPost, banned: &Banned) -> Result<Variant, String> {
    let (hook, body) = (written.opening.trim(), written.body.trim());
    let quotes = draft.sources.iter().map(|source| source.quote.as_str());
    let own = [draft.hook.as_str(), draft.body.as_str(), input.brief.as_str()];
    let sources: Vec<&str> = quotes.chain(own).collect();
    let text = format!("{hook}\n\n{body}");
    if hook.is_empty() {
        return Err("The provider's text is empty.".to_owned());
    }
    if !hashtags::builtin::hashtags(&text).is_empty() {
        return Err("The provider's text has hashtags, which are added apart.".to_owned());
    }
    if let Some(unsupported) = facts::check(&text, &sources, input.language).first() {
        return Err(format!(
            "The sources do not have what the provider's text states: {}.",
            unsupported.text
        ));
    }
    let tags = draft.hashtags.join(" ");
    let parts = [hook, body, draft.call_to_action.as_deref().unwrap_or_default(), &tags];
    let caption: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let caption = caption.join("\n\n");
    if let Some(word) = banned.find(&caption).first() {
        return Err(format!("The provider's text has a banned word: {word}."));
    }
    let graphemes = validity::length(&caption, validity::Unit::Graphemes);
    if graphemes > draft.length.graphemes() {
        let most = draft.length.graphemes();
        return Err(format!(
            "The provider's text is too long: {graphemes} characters with everything, of at most {most}."
        ));
    }
    let valid: Vec<_> = input.channels.iter().map(|channel| validity::validity(&caption, *channel)).collect();
    let worse = draft.validity.iter().zip(&valid).find(|(before, after)| before.valid && !after.valid);
    if let Some((_, after)) = worse {
        return Err(format!("The provider's text does not fit {}.", after.channel.name()));
    }
    Ok(Variant {
        hook: hook.to_owned(),
        body: body.to_owned(),
        graphemes,
        readability: readability::readability(&text, input.language),
        lines: Vec::new(),
        validity: valid,
        caption,
        ..draft.clone()
    })
}

/// A project's posts that are approved or further, for what their hashtags tell.
///
/// # Errors
/// What the database says.
pub async fn past(tx: &mut ReadTx<'_>, project: ProjectId) -> Result<Vec<PastPost>> {
    let mut past = Vec::new();
    for mut output in super::latest(tx, project, AgentKind::PostComposition, PAST).await? {
        let (id, at, post) = (output.id, output.created_at, agent::content::<Posts>(&mut output)?);
        if !matches!(post.state, PostState::Approved | PostState::Scheduled | PostState::Published) {
            continue;
        }
        if let Some(variant) = post.chosen.and_then(|chosen| post.variants.into_iter().nth(chosen)) {
            let (at, text) = (post.scheduled_at.unwrap_or(at), variant.caption);
            past.push(PastPost { at, text, hashtags: variant.hashtags, post: Some(id.into()) });
        }
    }
    Ok(past)
}

/// A change of a post: absent leaves unchanged.
#[derive(Debug, Default)]
pub struct PostUpdate {
    /// Another variant is chosen.
    pub chosen: Option<i32>,
    /// Another caption for the chosen variant.
    pub caption: Option<String>,
    /// Where it goes.
    pub state: Option<PostState>,
    /// When it is published.
    pub scheduled_at: Option<DateTime<Utc>>,
}

impl PostUpdate {
    /// What a caller must be allowed to do for it.
    ///
    /// # Errors
    /// `INVALID` for what only publishing brings about.
    pub fn action(&self) -> Result<Action> {
        match self.state {
            Some(PostState::Published | PostState::Failed) => {
                let message = "A post becomes PUBLISHED or FAILED by being published, not by hand.";
                Err(Error::fault(Fault::at(FaultCode::Invalid, "state", message)))
            }
            Some(PostState::Approved) => Ok(Action::PostApprove),
            Some(PostState::Scheduled) => Ok(Action::PostSchedule),
            _ if self.scheduled_at.is_some() => Ok(Action::PostSchedule),
            _ => Ok(Action::PostUpdate),
        }
    }
}

/// Changes a post. Gives it as it was and as it is.
///
/// # Errors
/// `NOT_FOUND`; `OUT_OF_RANGE`; `REQUIRED`; `CONFLICT` for a way that does not exist.
pub async fn update(tx: &mut WriteTx<'_>, id: Uuid, change: PostUpdate) -> Result<(Content, Content)> {
    let conflict = |message: String| Error::fault(Fault::at(FaultCode::Conflict, "state", message));
    let stored = store::content(tx, id).await?.ok_or(Error::NotFound)?;
    let before: Content = serde_json::from_value(stored).map_err(Error::internal)?;
    let mut post = before.clone();
    if change.chosen.is_some() || change.caption.is_some() {
        // What is approved is a text: another one is a draft again.
        post.state = post.state.edited().ok_or_else(|| {
            conflict(format!("The text of a post that is {} cannot be changed.", post.state))
        })?;
    }
    if let Some(chosen) = change.chosen {
        let chosen = usize::try_from(chosen).ok().filter(|chosen| *chosen < post.variants.len());
        post.chosen = Some(chosen.ok_or_else(|| {
            let message =
                format!("`chosenVariant` is a number from 0 to {}.", post.variants.len().saturating_sub(1));
            Error::fault(Fault::at(FaultCode::OutOfRange, "chosenVariant", message))
        })?);
    }
    if let Some(caption) = &change.caption {
        let caption = input::paragraph("caption", Some(caption), CAPTION_CHARACTERS)?.ok_or_else(|| {
            Error::fault(Fault::at(FaultCode::Required, "caption", "`caption` must not be empty."))
        })?;
        let chosen = post.chosen.and_then(|chosen| post.variants.get_mut(chosen));
        let variant = chosen.ok_or_else(|| {
            let message = "Choose a variant with `chosenVariant` before its caption is changed.";
            Error::fault(Fault::at(FaultCode::Required, "chosenVariant", message))
        })?;
        edit(variant, caption, post.language);
    }
    if let Some(to) = change.state.filter(|to| *to != post.state) {
        if to != PostState::Draft && post.chosen.is_none() {
            let message = "Choose a variant with `chosenVariant` first: it is what is approved.";
            return Err(Error::fault(Fault::at(FaultCode::Required, "chosenVariant", message)));
        }
        post.state = post.state.go(to).map_err(|way| conflict(way.to_string()))?;
    }
    if let Some(at) = change.scheduled_at {
        if post.state != PostState::Scheduled {
            return Err(conflict(
                "Only a scheduled post has a time. Send `state: SCHEDULED` with it.".into(),
            ));
        }
        if at <= Utc::now() {
            let message = "`scheduledAt` lies in the past. Give a moment to come.";
            return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "scheduledAt", message)));
        }
        post.scheduled_at = Some(at);
    }
    if post.state != PostState::Scheduled {
        post.scheduled_at = None;
    } else if post.scheduled_at.is_none() {
        let message = "`scheduledAt` is needed: when shall the post be published?";
        return Err(Error::fault(Fault::at(FaultCode::Required, "scheduledAt", message)));
    }
    let content = serde_json::to_value(&post).map_err(Error::internal)?;
    store::set_content(tx, id, &content).await?;
    Ok((before, post))
}

/// Where a post stands; none when it is not there.
///
/// # Errors
/// What the database says.
pub async fn state_of(tx: &mut ReadTx<'_>, id: Uuid) -> Result<Option<PostState>> {
    let Some(mut output) = super::find_many(tx, &[id]).await?.pop() else { return Ok(None) };
    if output.agent != AgentKind::PostComposition {
        return Ok(None);
    }
    Ok(Some(agent::content::<Posts>(&mut output)?.state))
}

/// Puts a post on the schedule because it is about to be published, with the caption that was approved.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` for one that is not approved, or for another caption.
pub async fn schedule(
    tx: &mut WriteTx<'_>,
    id: Uuid,
    project: ProjectId,
    at: Option<DateTime<Utc>>,
    caption: &str,
) -> Result<()> {
    let found = super::find_many(tx, &[id]).await?.pop();
    let is_there = found
        .is_some_and(|found| found.agent == AgentKind::PostComposition && found.project == Some(project));
    if !is_there {
        let message = "There is no such post in this project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "postId", message)));
    }
    let stored = store::content(tx, id).await?.ok_or(Error::NotFound)?;
    let mut post: Content = serde_json::from_value(stored).map_err(Error::internal)?;
    if post.state != PostState::Scheduled {
        post.state = post.state.go(PostState::Scheduled).map_err(|way| {
            let message = format!("{way} It has to be approved before it is published.");
            Error::fault(Fault::at(FaultCode::Conflict, "postId", message))
        })?;
    }
    let chosen = post.chosen.and_then(|chosen| post.variants.get(chosen));
    if chosen.is_none_or(|variant| variant.caption.trim() != caption) {
        let message =
            "This is not the caption that was approved with the post. Send that one, or leave `postId` out.";
        return Err(Error::fault(Fault::at(FaultCode::Conflict, "caption", message)));
    }
    post.scheduled_at = Some(at.unwrap_or_else(Utc::now));
    let content = serde_json::to_value(&post).map_err(Error::internal)?;
    store::set_content(tx, id, &content).await
}

/// Notes what has become of publishing a post. That it is public holds wherever it stood; anything else is its own
/// way's, if somebody has taken it from the schedule meanwhile.
///
/// # Errors
/// What the database says.
pub async fn settle(tx: &mut WriteTx<'_>, id: Uuid, to: PostState) -> Result<()> {
    let Some(stored) = store::content(tx, id).await? else { return Ok(()) };
    let mut post: Content = serde_json::from_value(stored).map_err(Error::internal)?;
    if to != PostState::Published && post.state != PostState::Scheduled {
        return Ok(());
    }
    post.state = to;
    post.scheduled_at = None;
    let content = serde_json::to_value(&post).map_err(Error::internal)?;
    store::set_content(tx, id, &content).await
}

/// Gives a variant a caption that somebody wrote: what was known of the old one is read from the new one.
fn edit(variant: &mut Variant, caption: String, language: Language) {
    let mut said = caption.trim();
    while let Some((before, last)) = said.rsplit_once('\n')
        && last.split_whitespace().all(|word| word.starts_with('#'))
    {
        said = before.trim_end();
    }
    // The call to action is still one where it stands as it stood, at the end of what is said.
    let call = variant.call_to_action.take();
    let before = call.as_ref().and_then(|call| said.strip_suffix(call.as_str()));
    if let Some(before) = before.filter(|before| before.ends_with('\n')) {
        said = before.trim_end();
        variant.call_to_action = call;
    }
    let (hook, body) = said.split_once('\n').unwrap_or((said, ""));
    hook.trim().clone_into(&mut variant.hook);
    body.trim().clone_into(&mut variant.body);
    variant.readability = readability::readability(said, language);
    let tags = hashtags::builtin::hashtags(&caption).into_iter();
    variant.hashtags = tags.map(|tag| format!("#{tag}")).collect();
    variant.graphemes = validity::length(&caption, validity::Unit::Graphemes);
    // A provider's text names its sources as a whole. Of others only those stay whose lines still stand.
    if !variant.lines.is_empty() {
        variant.lines.retain(|line| caption.contains(line.text.as_str()));
        let mut sources = Vec::new();
        for line in &mut variant.lines {
            let source = line.source.and_then(|place| variant.sources.get(place)).cloned();
            line.source = source.map(|source| {
                sources.push(source);
                sources.len() - 1
            });
        }
        variant.sources = sources;
    }
    variant.validity =
        variant.validity.iter().map(|valid| validity::validity(&caption, valid.channel)).collect();
    variant.caption = caption;
}

/// What the audit log keeps of a post.
pub fn logged(post: &Content) -> Value {
    let caption = post.chosen.and_then(|chosen| post.variants.get(chosen)).map(|variant| &variant.caption);
    json!({
        "state": post.state, "chosenVariant": post.chosen, "caption": caption, "scheduledAt": post.scheduled_at,
    })
}
