//! Which agents can be steps of a workflow: what each is given, what later steps may use of what it makes, and what it may
//! cost. Another one is its [`StepAgent`] here and one line in `STEPS`.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::definition::{Binding, Parameter, Signature};
use super::value::{Place, Source, Type, Value, Values};
use crate::agents::Output;
use crate::agents::affirmations::{self, Affirmations};
use crate::agents::agent::{self, Agent, Order, Product, Tools};
use crate::agents::hashtags::{self, Hashtags};
use crate::agents::instagram::{self, machine::Publication};
use crate::agents::posts::{self, Posts};
use crate::agents::strategy::{self, Strategies};
use crate::agents::videos::{self, Videos};
use crate::agents::visuals::{self, Visuals};
use crate::engine::{Prices, Provider, Usage};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AccountId, AssetId};
use crate::jobs::{AgentKind, Failure, Run};
use crate::retrieval::reading;
use crate::retrieval::{Format, Language};
use crate::usage::Amounts;

/// The register: which agents can be steps.
static STEPS: &[&dyn Step] = &[
    &Of::<Affirmations>(PhantomData),
    &Of::<Hashtags>(PhantomData),
    &Of::<Posts>(PhantomData),
    &Of::<Strategies>(PhantomData),
    &Of::<Visuals>(PhantomData),
    &Of::<Videos>(PhantomData),
];

/// The agent as a step.
pub fn find(agent: AgentKind) -> Option<&'static dyn Step> {
    STEPS.iter().copied().find(|step| step.agent() == agent)
}

/// What the agent takes and gives as a step.
pub fn signature(agent: AgentKind) -> Option<Signature> {
    match agent {
        AgentKind::InstagramPoster => Some(PUBLISH),
        _ => find(agent).map(Step::signature),
    }
}

/// Publishing as a step. It makes nothing itself: it orders a publication, whose own job the run waits for.
pub const PUBLISH: Signature = Signature {
    takes: &[
        Parameter::required("assets", Type::Assets),
        Parameter::optional("caption", Type::Text),
        Parameter::optional("kind", Type::Text),
        Parameter::optional("account", Type::Text),
    ],
    gives: &[("state", Type::Text), ("permalink", Type::Text)],
};

/// What is to be published, checked as if a caller had written it.
///
/// # Errors
/// A fault of the agent's.
pub fn publication(values: &Values) -> Result<instagram::Asked> {
    let assets = values.assets("assets");
    let usual = if assets.len() > 1 { "CAROUSEL" } else { "FEED" };
    let form = chosen("kind", &values.text("kind").unwrap_or_else(|| usual.to_owned()))?;
    let account =
        values.text("account").map(|text| text.trim().parse::<AccountId>()).transpose().map_err(|_| {
            let message = "`account` is the id of a connected account.";
            Error::fault(Fault::at(FaultCode::Invalid, "account", message))
        })?;
    let caption = values.text("caption").unwrap_or_default();
    let words = (caption.as_str(), instagram::details::Details::default());
    instagram::Asked::parse(form, (account, None), assets, words, (None, None), false)
}

/// What later steps may use of what a step has left behind; none for what no step leaves.
///
/// # Errors
/// When the database holds what the agent cannot have written.
pub fn gives(mut output: Output) -> Result<Option<Values>> {
    if output.agent == AgentKind::InstagramPoster {
        let publication: Publication = agent::read(&mut output)?;
        let mut values = Values::default();
        let state = serde_json::to_value(publication.state).map_err(Error::internal)?;
        values.put("state", Value::Text(state.as_str().unwrap_or_default().to_owned()));
        values.put("permalink", Value::Text(publication.permalink.unwrap_or_default()));
        return Ok(Some(values));
    }
    find(output.agent).map(|known| known.gives(output)).transpose()
}

/// What a step is given.
#[derive(Debug)]
pub struct Given {
    /// Its parameters' values.
    pub values: Values,
    /// The run's language.
    pub language: Language,
    /// When the run began.
    pub began: DateTime<Utc>,
}

impl Given {
    fn language(&self) -> Language {
        self.values.language("language").unwrap_or(self.language)
    }
}

/// What of a step's work a provider's model can do.
#[derive(Debug, Clone, Copy)]
pub enum Share {
    /// Nothing.
    None,
    /// It writes the texts: this is what it reads and writes, in tokens, at the most.
    Text(Usage),
    /// It makes a file: paints, speaks or films.
    File {
        /// What it reads and makes, in tokens, at the most.
        tokens: Usage,
        /// What it says, in characters, at the most; none when it paints.
        characters: Option<u64>,
        /// Refuses what has no such models.
        suits: fn(Option<Provider>) -> Result<()>,
    },
}

impl Share {
    /// What a model reads and writes, in tokens, at the most.
    pub const fn tokens(self) -> Usage {
        match self {
            Self::None => Usage { prompt_tokens: 0, completion_tokens: 0 },
            Self::Text(tokens) | Self::File { tokens, .. } => tokens,
        }
    }

    /// What a provider's model costs for it at the most, in millionths of a US dollar; none when its price is not known.
    pub fn cost(self, prices: &Prices, provider: Provider, model: &str) -> Option<u64> {
        match self {
            Self::None => Some(0),
            // What has no such models leaves it to the built-in engine.
            Self::File { suits, .. } if suits(Some(provider)).is_err() => Some(0),
            Self::File { characters: Some(characters), .. } => {
                prices.speech_cost(provider, model, characters)
            }
            Self::Text(tokens) | Self::File { tokens, .. } => prices.cost(provider, model, tokens),
        }
    }
}

/// What a step's parameters are bound to.
pub type Inputs = BTreeMap<String, Binding>;

/// An agent that can be a step.
pub trait StepAgent: Agent {
    /// What it takes and gives.
    const SIGNATURE: Signature;

    /// What a model can do of it, given that these parameters are bound.
    fn share(inputs: &Inputs) -> Share {
        let _ = inputs;
        Share::Text(Self::TOKENS)
    }

    /// How long a list that it gives is at the most, given that these parameters are bound; none when only the run will know.
    fn longest(field: &str, inputs: &Inputs) -> Option<u32> {
        let _ = (field, inputs);
        None
    }

    /// What the agent is asked, checked as if a caller had written it.
    ///
    /// # Errors
    /// A fault of the agent's.
    fn input(given: &Given) -> Result<Self::Input>;

    /// What later steps may use of it.
    fn gives(content: &Self::Content) -> Values;
}

/// An agent as a step, whichever it is.
pub trait Step: Sync {
    /// Which one.
    fn agent(&self) -> AgentKind;

    /// What it takes and gives.
    fn signature(&self) -> Signature;

    /// What a model can do of it, given that these parameters are bound.
    fn share(&self, inputs: &Inputs) -> Share;

    /// How long a list that it gives is at the most, given that these parameters are bound; none when only the run will know.
    fn longest(&self, field: &str, inputs: &Inputs) -> Option<u32>;

    /// What it makes of what it is given at the most, of what a tier limits.
    ///
    /// # Errors
    /// A fault of the agent's.
    fn most(&self, given: &Given) -> Result<Amounts>;

    /// Has it work.
    fn make<'a>(
        &'a self,
        tools: &'a Tools,
        run: &'a Run,
        order: Order<Given>,
    ) -> BoxFuture<'a, Result<Product, Failure>>;

    /// What later steps may use of what it has made.
    ///
    /// # Errors
    /// When the database holds what the agent cannot have written.
    fn gives(&self, output: Output) -> Result<Values>;
}

struct Of<A>(PhantomData<fn() -> A>);

impl<A: StepAgent> Step for Of<A> {
    fn agent(&self) -> AgentKind {
        A::KIND
    }

    fn signature(&self) -> Signature {
        A::SIGNATURE
    }

    fn share(&self, inputs: &Inputs) -> Share {
        A::share(inputs)
    }

    fn longest(&self, field: &str, inputs: &Inputs) -> Option<u32> {
        A::longest(field, inputs)
    }

    fn most(&self, given: &Given) -> Result<Amounts> {
        Ok(A::most(&A::input(given)?))
    }

    fn make<'a>(
        &'a self,
        tools: &'a Tools,
        run: &'a Run,
        order: Order<Given>,
    ) -> BoxFuture<'a, Result<Product, Failure>> {
        async move {
            let Order { project, engine, seed, is_seeded, input } = order;
            let input = A::input(&input)?;
            agent::make::<A>(tools, run, &Order { project, engine, seed, is_seeded, input }).await
        }
        .boxed()
    }

    fn gives(&self, mut output: Output) -> Result<Values> {
        Ok(A::gives(&agent::content::<A>(&mut output)?))
    }
}

fn number(count: usize) -> Value {
    Value::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The number that a parameter is bound to, or the usual one; none when only the run will know.
fn bound(inputs: &Inputs, name: &str, usual: u32) -> Option<u32> {
    match inputs.get(name) {
        None => Some(usual),
        Some(Binding::Is(Value::Number(number))) => u32::try_from(*number).ok(),
        Some(_) => None,
    }
}

impl StepAgent for Affirmations {
    const SIGNATURE: Signature = Signature {
        takes: &[
            Parameter::required("goals", Type::Texts),
            Parameter::optional("period", Type::Period),
            Parameter::optional("count", Type::Number),
            Parameter::optional("language", Type::Language),
            Parameter::optional("tone", Type::Text),
            Parameter::optional("maxWords", Type::Number),
            Parameter::optional("avoid", Type::Texts),
            Parameter::optional("audience", Type::Text),
        ],
        gives: &[("texts", Type::Texts), ("text", Type::Text), ("count", Type::Number)],
    };

    fn longest(field: &str, inputs: &Inputs) -> Option<u32> {
        bound(inputs, "count", 5).filter(|_| field == "texts")
    }

    fn input(given: &Given) -> Result<Self::Input> {
        let values = &given.values;
        affirmations::Input {
            goals: values.texts("goals"),
            period: values.period("period"),
            count: values.count("count", 5),
            language: given.language(),
            tone: values.text("tone"),
            max_words: values.count("maxWords", 15),
            avoid: values.texts("avoid"),
            audience: values.text("audience"),
            schedule: None,
        }
        .parse()
    }

    fn gives(content: &Self::Content) -> Values {
        let lines: Vec<String> = content.lines.iter().map(|line| line.text.clone()).collect();
        let mut values = Values::default();
        values.put("text", Value::Text(lines.join("\n")));
        values.put("count", number(lines.len()));
        values.put("texts", Value::Texts(lines));
        values
    }
}

impl StepAgent for Hashtags {
    const SIGNATURE: Signature = Signature {
        takes: &[
            Parameter::required("text", Type::Text),
            Parameter::optional("period", Type::Period),
            Parameter::optional("count", Type::Number),
            Parameter::optional("language", Type::Language),
            Parameter::optional("banned", Type::Texts),
            Parameter::optional("mustInclude", Type::Texts),
        ],
        gives: &[("texts", Type::Texts), ("text", Type::Text), ("count", Type::Number)],
    };

    fn longest(field: &str, inputs: &Inputs) -> Option<u32> {
        bound(inputs, "count", 25).filter(|_| field == "texts")
    }

    fn input(given: &Given) -> Result<Self::Input> {
        let values = &given.values;
        hashtags::Input {
            text: values.text("text").unwrap_or_default(),
            period: values.period("period"),
            count: values.count("count", 25),
            language: given.language(),
            banned: values.texts("banned"),
            must_include: values.texts("mustInclude"),
            mix: hashtags::builtin::Mix::default(),
            account: None,
        }
        .parse()
    }

    fn gives(content: &Self::Content) -> Values {
        let tags: Vec<String> = content.hashtags.iter().map(|hashtag| hashtag.tag.clone()).collect();
        let mut values = Values::default();
        values.put("text", Value::Text(tags.join(" ")));
        values.put("count", number(tags.len()));
        values.put("texts", Value::Texts(tags));
        values
    }
}

impl StepAgent for Posts {
    const SIGNATURE: Signature = Signature {
        takes: &[
            Parameter::required("brief", Type::Text),
            Parameter::optional("lead", Type::Text),
            Parameter::required("channels", Type::Channels),
            Parameter::optional("assets", Type::Assets),
            Parameter::optional("tone", Type::Text),
            Parameter::optional("language", Type::Language),
            Parameter::optional("variants", Type::Number),
            Parameter::optional("hashtags", Type::Flag),
            Parameter::optional("length", Type::Text),
            Parameter::optional("callToAction", Type::Text),
            Parameter::optional("bannedWords", Type::Texts),
        ],
        gives: &[
            ("text", Type::Text),
            ("texts", Type::Texts),
            ("assets", Type::Assets),
            ("count", Type::Number),
        ],
    };

    fn longest(field: &str, inputs: &Inputs) -> Option<u32> {
        bound(inputs, "variants", 3).filter(|_| field == "texts")
    }

    fn input(given: &Given) -> Result<Self::Input> {
        let values = &given.values;
        let brief = ["lead", "brief"].into_iter().filter_map(|name| values.text(name));
        posts::Input {
            brief: brief.collect::<Vec<_>>().join("\n\n"),
            documents: None,
            assets: values.assets("assets"),
            channels: values.channels("channels"),
            tone: values.text("tone"),
            language: given.language(),
            variants: values.count("variants", 3),
            hashtags: values.flag("hashtags").unwrap_or(true),
            angle: None,
            planned: None,
            length: values.text("length").map(|length| chosen("length", &length)).transpose()?,
            banned: values.texts("bannedWords"),
            call_to_action: values.text("callToAction"),
            answer: None,
        }
        .parse()
    }

    /// The text is the chosen variant's, as it stands when it is used; the first one's until one is chosen.
    fn gives(content: &Self::Content) -> Values {
        let captions: Vec<String> = content.variants.iter().map(|variant| variant.caption.clone()).collect();
        let mut values = Values::default();
        if let Some(text) = captions.get(content.chosen.unwrap_or_default()) {
            values.put("text", Value::Text(text.clone()));
        }
        values.put("count", number(captions.len()));
        values.put("texts", Value::Texts(captions));
        values.put("assets", Value::Texts(content.assets.iter().map(ToString::to_string).collect()));
        values
    }
}

impl StepAgent for Strategies {
    const SIGNATURE: Signature = Signature {
        takes: &[
            Parameter::required("goals", Type::Texts),
            Parameter::required("channels", Type::Channels),
            Parameter::optional("audience", Type::Text),
            Parameter::optional("postsPerWeek", Type::Number),
            Parameter::optional("days", Type::Number),
            Parameter::optional("timezone", Type::Text),
            Parameter::optional("language", Type::Language),
        ],
        gives: &[("texts", Type::Texts), ("count", Type::Number), ("assets", Type::Assets)],
    };

    /// The calendar begins when the run does.
    fn input(given: &Given) -> Result<Self::Input> {
        let values = &given.values;
        let days = values.number("days").unwrap_or(14).clamp(0, 10_000);
        let beyond = || Error::internal(anyhow::anyhow!("the calendar ends"));
        strategy::Input {
            goals: values.texts("goals"),
            audience: values.text("audience"),
            pillars: Vec::new(),
            channels: values.channels("channels"),
            posts_per_week: u32::try_from(values.number("postsPerWeek").unwrap_or(3)).unwrap_or(0),
            cadence: Vec::new(),
            from: given.began,
            until: given.began.checked_add_signed(TimeDelta::days(days)).ok_or_else(beyond)?,
            timezone: values.text("timezone").unwrap_or_else(|| "UTC".to_owned()),
            blackout: Vec::new(),
            events: Vec::new(),
            language: given.language(),
            account: None,
            past_posts: None,
            holidays: None,
        }
        .parse()
    }

    fn longest(field: &str, _: &Inputs) -> Option<u32> {
        (field == "assets").then_some(2)
    }

    fn gives(content: &Self::Content) -> Values {
        let mut topics: Vec<String> = content.plan.slots.iter().map(|slot| slot.topic.clone()).collect();
        let mut values = Values::default();
        values.put("count", number(topics.len()));
        topics.truncate(super::value::ITEMS);
        values.put("texts", Value::Texts(topics));
        values.put("assets", Value::Texts(vec![content.ics.to_string(), content.csv.to_string()]));
        values
    }
}

impl StepAgent for Visuals {
    const SIGNATURE: Signature = Signature {
        takes: &[
            Parameter::required("text", Type::Text),
            Parameter::optional("headline", Type::Text),
            Parameter::optional("attribution", Type::Text),
            Parameter::optional("template", Type::Text),
            Parameter::optional("format", Type::Text),
            Parameter::optional("period", Type::Period),
            Parameter::optional("backgroundTags", Type::Texts),
            Parameter::optional("backgroundPrompt", Type::Text),
            Parameter::optional("slides", Type::Number),
            Parameter::optional("slidePerLine", Type::Flag),
            Parameter::optional("language", Type::Language),
        ],
        gives: &[
            ("assets", Type::Assets),
            ("text", Type::Text),
            ("texts", Type::Texts),
            ("count", Type::Number),
        ],
    };

    fn share(inputs: &Inputs) -> Share {
        let painted = Share::File { tokens: visuals::PAINTING, characters: None, suits: visuals::paints };
        if inputs.contains_key("backgroundPrompt") { painted } else { Share::None }
    }

    fn longest(field: &str, inputs: &Inputs) -> Option<u32> {
        let count = if inputs.contains_key("slidePerLine") {
            Some(u32::from(visuals::builtin::SLIDES))
        } else {
            bound(inputs, "slides", 1)
        };
        count.filter(|_| matches!(field, "assets" | "texts"))
    }

    /// What is painted goes before what there is.
    fn input(given: &Given) -> Result<Self::Input> {
        let values = &given.values;
        let named = |name: &str, usual: &str| values.text(name).unwrap_or_else(|| usual.to_owned());
        let tags = values.texts("backgroundTags");
        visuals::Input {
            text: values.text("text").unwrap_or_default(),
            headline: values.text("headline"),
            attribution: values.text("attribution"),
            template: visuals::template(&named("template", "default"))?,
            format: chosen("format", &named("format", "POST"))?,
            typeface: visuals::builtin::Typeface::default(),
            period: values.period("period"),
            background: match values.text("backgroundPrompt") {
                Some(prompt) => visuals::Wish::Painted { prompt },
                None if tags.is_empty() => visuals::Wish::Template,
                None => visuals::Wish::Own { tags },
            },
            logo: None,
            slides: Some(u8::try_from(values.count("slides", 1)).unwrap_or(u8::MAX)),
            slide_per_line: values.flag("slidePerLine").unwrap_or(false),
            language: given.language(),
        }
        .parse()
    }

    /// The JPEGs, which every channel takes, and what they say.
    fn gives(content: &Self::Content) -> Values {
        let said: Vec<String> = content.slides.iter().map(|slide| slide.alt_text.clone()).collect();
        let mut values = Values::default();
        let jpegs = content.slides.iter().map(|slide| slide.jpeg.to_string());
        values.put("assets", Value::Texts(jpegs.collect()));
        values.put("text", Value::Text(said.join("\n")));
        values.put("count", number(said.len()));
        values.put("texts", Value::Texts(said));
        values
    }
}

/// Characters of a film's texts at the most.
fn said(inputs: &Inputs) -> usize {
    let characters = |text: &String| text.chars().count();
    match inputs.get("scenes") {
        Some(Binding::Is(Value::Text(text))) => characters(text),
        Some(Binding::Is(Value::Texts(texts))) => texts.iter().map(characters).sum(),
        // One text, which only the run will know.
        Some(Binding::From(Source::Item | Source::Step { place: Some(Place::At(_)), .. })) => {
            videos::builtin::SCENE_TEXT
        }
        _ => videos::builtin::SCENE_TEXT * videos::builtin::SCENES,
    }
}

impl StepAgent for Videos {
    const SIGNATURE: Signature = Signature {
        takes: &[
            Parameter::required("scenes", Type::Texts),
            Parameter::optional("assets", Type::Assets),
            Parameter::optional("clips", Type::Assets),
            Parameter::optional("textsInAssets", Type::Flag),
            Parameter::optional("captions", Type::Flag),
            Parameter::optional("captionStyle", Type::Text),
            Parameter::optional("framesPerSecond", Type::Number),
            Parameter::optional("kind", Type::Text),
            Parameter::optional("size", Type::Text),
            Parameter::optional("durationSeconds", Type::Number),
            Parameter::optional("voiceOver", Type::Assets),
            Parameter::optional("narrationVoice", Type::Text),
            Parameter::optional("narrationInstructions", Type::Text),
            Parameter::optional("footagePrompt", Type::Text),
            Parameter::optional("music", Type::Assets),
            Parameter::optional("period", Type::Period),
            Parameter::optional("language", Type::Language),
        ],
        gives: &[("assets", Type::Assets), ("texts", Type::Texts), ("count", Type::Number)],
    };

    fn share(inputs: &Inputs) -> Share {
        let made = |characters, suits| Share::File { tokens: Videos::TOKENS, characters, suits };
        let spoken = || Some(u64::try_from(said(inputs)).unwrap_or(u64::MAX));
        match ["narrationVoice", "footagePrompt"].map(|name| inputs.contains_key(name)) {
            [false, false] => Share::None,
            [true, false] => made(spoken(), videos::speaks),
            [false, true] => made(None, videos::films),
            // The agent has one route, and no provider does both.
            [true, true] => {
                made(spoken(), |engine| videos::speaks(engine).and_then(|()| videos::films(engine)))
            }
        }
    }

    fn longest(field: &str, _: &Inputs) -> Option<u32> {
        (field == "assets").then_some(1)
    }

    fn input(given: &Given) -> Result<Self::Input> {
        let values = &given.values;
        let named = |name: &str, usual: &str| values.text(name).unwrap_or_else(|| usual.to_owned());
        let manner = values.text("narrationInstructions");
        videos::Input {
            kind: chosen("kind", &named("kind", "SLIDESHOW"))?,
            assets: values.assets("assets"),
            clips: values.assets("clips"),
            scenes: values.texts("scenes"),
            texts_in_assets: values.flag("textsInAssets").unwrap_or(false),
            visual: None,
            post: None,
            seconds: u32::try_from(values.number("durationSeconds").unwrap_or(15)).unwrap_or(0),
            frames_per_second: values
                .number("framesPerSecond")
                .map_or(videos::FRAMES_PER_SECOND, |number| u32::try_from(number).unwrap_or(0)),
            direction: videos::builtin::Direction::default(),
            captions: values.flag("captions").unwrap_or(true),
            caption_style: chosen("captionStyle", &named("captionStyle", "WORDS"))?,
            voice_over: only(values, "voiceOver")?,
            narration: values.text("narrationVoice").map(|voice| videos::Narration { voice, manner }),
            footage: values.text("footagePrompt").map(videos::Shot::of),
            music: only(values, "music")?,
            size: chosen("size", &named("size", "REEL"))?,
            typeface: visuals::builtin::Typeface::default(),
            period: values.period("period"),
            language: given.language(),
        }
        .parse()
    }

    /// The film, and what its scenes say.
    fn gives(content: &Self::Content) -> Values {
        let said: Vec<String> = content.scenes.iter().filter_map(|scene| scene.text.clone()).collect();
        let mut values = Values::default();
        values.put("assets", Value::Texts(vec![content.video.to_string()]));
        values.put("count", number(content.scenes.len()));
        values.put("texts", Value::Texts(said));
        values
    }
}

/// The file of a list that has one at the most.
fn only(values: &Values, field: &'static str) -> Result<Option<AssetId>> {
    match values.assets(field)[..] {
        [] => Ok(None),
        [id] => Ok(Some(id)),
        _ => {
            let message = format!("`{field}` is one file.");
            Err(Error::fault(Fault::at(FaultCode::Invalid, field, message)))
        }
    }
}

/// One of the words that the wire has for something.
fn chosen<T: DeserializeOwned>(field: &'static str, word: &str) -> Result<T> {
    serde_json::from_value(word.into()).map_err(|_| {
        let message = format!("`{word}` is none of the values that `{field}` has.");
        Error::fault(Fault::at(FaultCode::Invalid, field, message))
    })
}

/// The first sentences of a brief, as many as an agent takes goals.
pub fn sentences(brief: &str) -> Vec<String> {
    let found = reading::sentences(brief, Format::Markdown).into_iter();
    let texts = found.filter_map(|sentence| brief.get(sentence.bytes)).map(str::trim);
    let most = *affirmations::builtin::GOALS.end();
    texts.filter(|text| !text.is_empty()).take(most).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_an_agent_of_its_own_and_describes_itself() {
        for (at, step) in STEPS.iter().enumerate() {
            assert_eq!(STEPS.iter().position(|other| other.agent() == step.agent()), Some(at));
            let Signature { takes, gives } = step.signature();
            for (at, parameter) in takes.iter().enumerate() {
                assert_eq!(takes.iter().position(|other| other.name == parameter.name), Some(at));
            }
            assert!(takes.iter().any(|parameter| parameter.required) && !gives.is_empty());
            // What draws has a model make a file only where it is told what to paint or whose voice to use.
            let draws = matches!(step.agent(), AgentKind::VisualPost | AgentKind::Video);
            let all = takes
                .iter()
                .filter(|parameter| parameter.name != "footagePrompt")
                .map(|parameter| (parameter.name.to_owned(), Binding::Is(Value::Text("x".to_owned()))));
            match (step.share(&Inputs::new()), step.share(&all.collect())) {
                (Share::Text(least), Share::Text(tokens)) if !draws => {
                    assert_eq!(least, tokens);
                    assert!(tokens.prompt_tokens > 0 && tokens.completion_tokens > 0);
                }
                (Share::None, Share::File { suits, characters, .. }) if draws => {
                    assert_eq!(characters, (step.agent() == AgentKind::Video).then_some(1));
                    assert!(suits(Some(Provider::OpenAi)).is_ok());
                    assert!(suits(Some(Provider::Anthropic)).is_err() && suits(None).is_err());
                }
                other => panic!("{:?}: {other:?}", step.agent()),
            }
        }
    }

    #[test]
    fn a_step_that_films_needs_a_provider_that_does() {
        let bound = |names: &[&str]| {
            let bind = |name: &&str| ((*name).to_owned(), Binding::Is(Value::Text("x".to_owned())));
            match <Videos as StepAgent>::share(&names.iter().map(bind).collect()) {
                Share::File { suits, .. } => {
                    Provider::ALL.into_iter().filter(|kind| suits(Some(*kind)).is_ok()).collect()
                }
                _ => Vec::new(),
            }
        };
        assert_eq!(bound(&["footagePrompt"]), [Provider::Replicate]);
        assert_eq!(bound(&["narrationVoice"]), [Provider::OpenAi, Provider::ElevenLabs]);
        assert_eq!(bound(&["narrationVoice", "footagePrompt"]), []);
    }

    #[test]
    fn a_film_takes_one_voice_one_piece_of_music_and_clips() {
        let [voice, music, clip] = [(); 3].map(|()| AssetId::generate());
        let given = |music: &[AssetId]| {
            let files = |ids: &[AssetId]| Value::Texts(ids.iter().map(ToString::to_string).collect());
            let mut values = Values::default();
            values.put("scenes", Value::Texts(vec!["Atme.".to_owned()]));
            values.put("voiceOver", files(&[voice]));
            values.put("music", files(music));
            values.put("clips", files(&[clip]));
            Given { values, language: Language::German, began: Utc::now() }
        };
        let input = <Videos as StepAgent>::input(&given(&[music])).unwrap();
        assert_eq!((input.voice_over, input.music, input.clips), (Some(voice), Some(music), vec![clip]));
        assert_eq!(<Videos as StepAgent>::input(&given(&[])).unwrap().music, None);
        assert!(<Videos as StepAgent>::input(&given(&[music, voice])).is_err());
    }

    #[test]
    fn footage_has_a_scene_to_be_behind() {
        let input = |scenes: &[&str], assets: usize, shown: bool| {
            let mut values = Values::default();
            values.put("scenes", Value::Texts(scenes.iter().map(|text| (*text).to_owned()).collect()));
            let assets = (0..assets).map(|_| AssetId::generate().to_string());
            values.put("assets", Value::Texts(assets.collect()));
            values.put("textsInAssets", Value::Flag(shown));
            values.put("footagePrompt", Value::Text("a lake".to_owned()));
            <Videos as StepAgent>::input(&Given { values, language: Language::German, began: Utc::now() })
        };
        assert!(input(&["Atme.", "Ruhe."], 1, false).is_ok(), "behind the second text");
        assert!(input(&["Atme."], 1, false).is_err());
        assert!(input(&["Atme.", "Ruhe."], 1, true).is_err(), "the second text is left out");
    }

    #[test]
    fn a_post_is_of_the_length_and_calls_to_what_it_is_told() {
        let input = |more: &[(&str, Value)]| {
            let mut values = Values::default();
            values.put("brief", Value::Text("Yoga".to_owned()));
            values.put("channels", Value::Texts(vec!["X".to_owned()]));
            for (name, value) in more {
                values.put(name, value.clone());
            }
            <Posts as StepAgent>::input(&Given { values, language: Language::German, began: Utc::now() })
        };
        let text = |text: &str| Value::Text(text.to_owned());
        let bare = input(&[]).unwrap();
        assert_eq!((bare.length, bare.call_to_action, bare.banned), (None, None, Vec::new()));
        let told = [
            ("length", text("SHORT")),
            ("callToAction", text("Schreib uns.")),
            ("bannedWords", Value::Texts(vec!["billig".to_owned()])),
        ];
        let told = input(&told).unwrap();
        assert_eq!(told.length, Some(posts::builtin::Length::Short));
        assert_eq!(
            (told.call_to_action.as_deref(), told.banned),
            (Some("Schreib uns."), vec!["billig".to_owned()])
        );
        assert!(input(&[("length", text("TINY"))]).is_err());
        assert!(input(&[("callToAction", text(&"x".repeat(151)))]).is_err());
    }

    #[test]
    fn a_brief_has_sentences() {
        let brief = "I want to sleep better. I want to trust my work!\n\n- I want to laugh more";
        assert_eq!(
            sentences(brief),
            ["I want to sleep better.", "I want to trust my work!", "I want to laugh more"]
        );
        assert_eq!(sentences(&"Ja. ".repeat(100)).len(), 20);
    }
}
