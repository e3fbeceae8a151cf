//! What a provider's model films for a video: a clip, by words. It takes minutes, so what was asked for is noted before and
//! after: an attempt that is broken off waits for the same clip, and does not pay for another one.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tracing::Instrument as _;

use super::Input;
use super::builtin::{self, FootageError, VideoNote};
use super::clips::Clips;
use crate::agents::agent::{self, Order, Tools};
use crate::agents::paid::{Asked, Paid, missing};
use crate::assets::{self, AssetKind, NewAsset};
use crate::db::ReadTx;
use crate::engine::footage::{
    Aspect, CLIP_BYTES, Clip, Filming, FootageEngine, FootageRequest, SECONDS, Ticket,
};
use crate::engine::{self, Prices, Provider, TextEngine};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::id::AssetId;
use crate::input;
use crate::jobs::{Engine, Failure, Run};
use crate::providers::calls::{self, counted};
use crate::providers::{Providers, Wanted};
use crate::usage::Amounts;

/// Characters of what a clip shows.
const PROMPT: usize = 1_000;
/// Seconds of a clip when nobody says how many.
const USUAL: u32 = 5;
/// How long a clip may take from when it was first asked for.
const LIMIT: TimeDelta = TimeDelta::minutes(15);
/// How long to wait before the clip is looked at again: longer from one time to the next.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// How often in a row the provider may not say where the clip stands.
const MISSES: u32 = 3;
/// How often whoever watches is told that it is still being made.
const TELLING: TimeDelta = TimeDelta::seconds(30);
/// The kinds of the events about a clip: that it is about to be asked for, by which ticket it is made, that nothing came of
/// that, that it is made and counted, and that it is there.
const ASKED: &str = "footage_asked";
const ORDERED: &str = "footage_ordered";
const ENDED: &str = "footage_ended";
const COUNTED: &str = "footage_counted";
const EVENT: &str = "filmed";

/// What is to be filmed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shot {
    /// What it shows.
    pub prompt: String,
    /// How long it lasts, in seconds, as far as the model lets one choose.
    pub seconds: u32,
    /// Whose model films; none: the order's engine.
    pub engine: Option<Wanted>,
}

impl Shot {
    /// One that shows this, by the order's engine.
    pub const fn of(prompt: String) -> Self {
        Self { prompt, seconds: USUAL, engine: None }
    }

    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(self) -> Result<Self> {
        let prompt = input::paragraph("footage.prompt", Some(&self.prompt), PROMPT)?.ok_or_else(|| {
            let message = "`prompt` must not be empty. Say what the footage shows, or leave `footage` out.";
            Error::fault(Fault::at(FaultCode::Required, "footage.prompt", message))
        })?;
        if !SECONDS.contains(&self.seconds) {
            let message = format!("`seconds` is a number from {} to {}.", SECONDS.start(), SECONDS.end());
            return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "footage.seconds", message)));
        }
        Ok(Self { prompt, ..self })
    }

    /// Looks up the provider that it names for itself.
    ///
    /// # Errors
    /// A fault at the field; `PROVIDER_NOT_CONFIGURED`.
    pub async fn engage(&mut self, tx: &mut ReadTx<'_>, providers: &Providers) -> Result<()> {
        let Some(asked) = self.engine.take() else { return Ok(()) };
        let fallback = asked.fallback;
        let found = match asked.check(tx, providers).await {
            Ok(found) => {
                let kind = found.as_ref().and_then(|wanted| wanted.kind);
                // Who may do without footage is not refused for a provider that has none.
                if found.is_some() && fallback { Ok(found) } else { suits(kind).map(|()| found) }
            }
            refused => refused,
        };
        self.engine = found.map_err(within)?;
        Ok(())
    }
}

/// Faults of an engine, as those of the footage's.
fn within(error: Error) -> Error {
    let Error::Invalid(faults) = error else { return error };
    let faults = faults.into_iter().map(|mut fault| {
        if let Some(field) = &mut fault.field {
            field.insert(field.len().min(1), "footage".to_owned());
        }
        fault
    });
    Error::Invalid(faults.collect())
}

/// Refuses an engine that has no models that film; none: the built-in one.
pub(in crate::agents) fn suits(engine: Option<Provider>) -> Result<()> {
    let message = match engine {
        Some(provider) if provider.films() => return Ok(()),
        Some(_) => {
            "A provider of this kind has no models that film. Name one of the kind REPLICATE and a model of its own in `footage`, or leave that out."
        }
        None => {
            "The built-in engine does not film. Name a provider of the kind REPLICATE and one of its models, or leave `footage` out."
        }
    };
    Err(Error::fault(Fault::at(FaultCode::ProviderNotConfigured, "engine.provider", message)))
}

/// What has been filmed for a video, as it keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Filmed {
    /// The clip, which belongs to the output.
    pub asset: AssetId,
    /// The provider.
    pub provider: String,
    /// Its model.
    pub model: Option<String>,
    /// What it was to show.
    pub prompt: String,
}

/// What has come of asking for footage.
#[derive(Debug, Default)]
pub(super) struct Footage {
    /// The clip.
    pub clip: Option<builtin::Footage>,
    /// The same as the video keeps it.
    pub made: Option<Filmed>,
    /// Who has filmed, and what for.
    pub engine: Option<Engine>,
    /// What whoever asked should know.
    pub note: Option<VideoNote>,
}

impl Footage {
    fn new(clip: builtin::Footage, paid: Paid, shot: &Shot) -> Self {
        let Paid { asset, engine, .. } = paid;
        let (provider, model) = (engine.provider.clone(), engine.model.clone());
        let made = Filmed { asset, provider, model, prompt: shot.prompt.clone() };
        Self { clip: Some(clip), made: Some(made), engine: Some(engine), note: None }
    }
}

/// Has the footage filmed. When the provider does not and the caller allows that, it is noted, and there is none.
pub(super) async fn fetch(
    tools: &Tools,
    run: &Run,
    reader: &Clips,
    order: &Order<Input>,
) -> Result<Footage, Failure> {
    let Some(shot) = &order.input.footage else { return Ok(Footage::default()) };
    let film = |wanted| film(tools, run, reader, order, wanted, shot);
    let filmed = agent::provided(run, shot.engine.as_ref().or(order.engine.as_ref()), film).await?;
    Ok(filmed.unwrap_or_else(|| Footage { note: Some(VideoNote::NotFilmed), ..Footage::default() }))
}

async fn film(
    tools: &Tools,
    run: &Run,
    reader: &Clips,
    order: &Order<Input>,
    wanted: &Wanted,
    shot: &Shot,
) -> Result<Footage, Failure> {
    let engine = tools.engines.text(&wanted.provider).map_err(|error| missing(error.to_string()))?;
    suits(Some(engine.provider()))?;
    let request = FootageRequest {
        model: wanted.model.clone().unwrap_or_default(),
        prompt: shot.prompt.clone(),
        seconds: shot.seconds,
        aspect: Aspect::of(order.input.size.pixels()),
        seed: u32::try_from(order.seed & u64::from(u32::MAX >> 1)).ok(),
    };
    let shape = format!("{:?} {}", request.aspect, request.seconds);
    let words = [request.model.as_str(), &shape, &request.prompt];
    let asked = Asked::new(EVENT, wanted, order.seed, &words);
    if let Some((bytes, paid)) = asked.earlier(tools, run, order.project, CLIP_BYTES).await?
        // It could be shown before.
        && let Ok(clip) = reader.read(bytes).await?
    {
        return Ok(Footage::new(clip, paid, shot));
    }
    let footage =
        engine.footage().ok_or_else(|| missing(format!("{} has no models that film.", engine.name())))?;
    let studio = Studio {
        run,
        wanted,
        asked: &asked,
        request: &request,
        footage,
        engine: &engine,
        prices: tools.engines.prices(),
    };
    let (clip, used) = studio.shoot().await?;
    let fetched = studio.counted(footage.download(&clip)).await;
    let file = fetched.map_err(|failure| calls::failed(&failure))?;
    let clip = reader.read(file.clone()).await?;
    let clip = clip.map_err(|error| unusable(&wanted.provider, &error))?;
    let kept = NewAsset {
        project: Some(order.project),
        kind: AssetKind::Video,
        mime_type: assets::mime_type(AssetKind::Video, &file).map_err(Failure::from)?,
        bytes: file,
        width: None,
        height: None,
        duration_seconds: None,
        alt_text: Some(shot.prompt.clone()),
    };
    let message = format!("{} has filmed the footage.", engine.name());
    let paid = asked.keep(tools, run, kept, used, (0.2, &message)).await?;
    Ok(Footage::new(clip, paid, shot))
}

/// What the model has filmed is of no use, and would be the next time: it is asked for once.
fn unusable(provider: &str, error: &FootageError) -> Failure {
    let detail = Detail::Provider { provider: provider.to_owned(), provider_code: None, retryable: false };
    let message = format!(
        "The footage of {provider} cannot be used: {error}. Name another model, or leave `footage` out."
    );
    Failure::fail(Fault::new(FaultCode::ProviderFailed, message).with(detail))
}

/// Where a clip is filmed.
struct Studio<'a> {
    run: &'a Run,
    wanted: &'a Wanted,
    asked: &'a Asked,
    request: &'a FootageRequest,
    footage: &'a dyn FootageEngine,
    engine: &'a Arc<dyn TextEngine>,
    prices: &'a Prices,
}

/// Whether a clip that was first asked for then has had its time.
fn is_over(first: DateTime<Utc>) -> bool {
    Utc::now() - first > LIMIT
}

/// What earlier attempts have noted.
#[derive(Default)]
struct Trail {
    /// When the clip was first asked for.
    first: Option<DateTime<Utc>>,
    /// When it was last asked for without that anything is known of an answer.
    open: Option<DateTime<Utc>>,
    /// What it is made by.
    ticket: Option<Ticket>,
    /// Whether what it has cost stands on the job.
    is_counted: bool,
}

impl Studio<'_> {
    async fn counted<T>(
        &self,
        asking: impl Future<Output = Result<T, engine::Failure>>,
    ) -> Result<T, engine::Failure> {
        counted((self.engine.provider(), &self.request.model), asking, |_| None).await
    }

    /// Has the clip filmed, by the ticket of an earlier attempt when there is one.
    async fn shoot(&self) -> Result<(Clip, Engine), Failure> {
        let trail = self.trail().await?;
        let first = trail.first.unwrap_or_else(Utc::now);
        let (ticket, is_new) = match self.known(&trail).await? {
            Some(ticket) => (ticket, false),
            None if is_over(first) => return Err(self.late()),
            None => (self.order().await?, true),
        };
        let mut unwanted = Unwanted { studio: self, ticket: Some(ticket.clone()) };
        let clip = self.watch(&ticket, first, is_new).await;
        unwanted.ticket = None;
        let clip = clip?;
        let took = self.took(&clip);
        if is_new || !trail.is_counted {
            self.run.spend(Amounts::default(), &took).await?;
            let message = format!("{} has filmed.", self.engine.name());
            self.asked.note(self.run, COUNTED, &message, None).await?;
        }
        Ok((clip, took))
    }

    /// What a clip has taken. Nobody counts tokens of it: what it costs goes by how long the model has worked.
    fn took(&self, clip: &Clip) -> Engine {
        let (provider, model) = (self.engine.provider(), &self.request.model);
        let cost = clip.worked.and_then(|worked| self.prices.footage_cost(provider, model, worked));
        Engine {
            provider: self.engine.name().to_owned(),
            model: Some(model.clone()),
            prompt_tokens: None,
            completion_tokens: None,
            cost_micro_usd: cost.map(|cost| i64::try_from(cost).unwrap_or(i64::MAX)),
        }
    }

    async fn trail(&self) -> Result<Trail> {
        let mut trail = Trail::default();
        for (event, kept) in self.asked.noted(self.run, &[ASKED, ORDERED, ENDED, COUNTED]).await? {
            match event.kind.as_str() {
                ASKED => {
                    trail.first = trail.first.or(Some(event.at));
                    trail.open = Some(event.at);
                }
                ORDERED => {
                    trail.open = None;
                    trail.is_counted = false;
                    trail.ticket = kept.and_then(|kept| serde_json::from_value(kept.into()).ok());
                }
                COUNTED => trail.is_counted = true,
                _ => trail.ticket = None,
            }
        }
        Ok(trail)
    }

    /// What is made already: an earlier attempt has noted it, or was broken off before it could.
    async fn known(&self, trail: &Trail) -> Result<Option<Ticket>, Failure> {
        let Some(since) = trail.open else { return Ok(trail.ticket.clone()) };
        match self.counted(self.footage.find(self.request, since)).await {
            Ok(Some(ticket)) => {
                self.ordered(&ticket).await?;
                Ok(Some(ticket))
            }
            // Who cannot be asked now can be asked later; who does not tell never will.
            Err(failure) if failure.retryable() && failure.kind != engine::Kind::Broken => {
                Err(calls::failed(&failure))
            }
            Ok(None) | Err(_) => Ok(None),
        }
    }

    async fn order(&self) -> Result<Ticket, Failure> {
        let message = format!("Asks {} to film.", self.engine.name());
        self.asked.note(self.run, ASKED, &message, None).await?;
        let submitted = self.counted(self.footage.submit(self.request)).await;
        let ticket = submitted.map_err(|failure| calls::failed(&failure))?;
        self.ordered(&ticket).await?;
        Ok(ticket)
    }

    async fn ordered(&self, ticket: &Ticket) -> Result<()> {
        let message = format!("{} films.", self.engine.name());
        self.asked.note(self.run, ORDERED, &message, Some(&ticket.to_string())).await
    }

    /// Looks from time to time until the clip is there.
    async fn watch(&self, ticket: &Ticket, first: DateTime<Utc>, is_new: bool) -> Result<Clip, Failure> {
        let (shortest, longest) = PAUSES;
        let mut pause = if is_new { shortest } else { Duration::ZERO };
        let (mut misses, mut told) = (0, None);
        loop {
            sleep(pause).await;
            pause = pause.mul_f32(1.5).clamp(shortest, longest);
            match self.counted(self.footage.poll(ticket)).await {
                Ok(Filming::Done(clip)) => return Ok(clip),
                Ok(Filming::Ended(failure)) => {
                    self.asked.note(self.run, ENDED, &failure.message, None).await?;
                    return Err(calls::failed(&failure));
                }
                Ok(state) => {
                    misses = 0;
                    if is_over(first) {
                        self.asked.note(self.run, ENDED, "The footage takes too long.", None).await?;
                        self.cancel(ticket).await;
                        return Err(self.late());
                    }
                    self.tell(&state, &mut told).await?;
                }
                Err(failure) => {
                    misses += 1;
                    let asked = failure.retry_after().unwrap_or_default();
                    if failure.retryable() && misses <= MISSES && asked <= longest {
                        pause = pause.max(asked);
                        continue;
                    }
                    if self.wanted.fallback {
                        self.cancel(ticket).await;
                    }
                    return Err(calls::failed(&failure));
                }
            }
        }
    }

    /// Tells whoever watches what is new, and from time to time that nothing is.
    async fn tell(&self, state: &Filming, told: &mut Option<(String, DateTime<Utc>)>) -> Result<()> {
        let name = self.engine.name();
        let (share, message) = match state {
            Filming::Working { progress: Some(progress) } => {
                (*progress, format!("{name} films: {:.0} % are done.", progress * 100.0))
            }
            Filming::Working { progress: None } => (0.0, format!("{name} films.")),
            _ => (0.0, format!("The footage waits for its turn at {name}.")),
        };
        let now = Utc::now();
        if told.as_ref().is_some_and(|(said, at)| *said == message && now - *at < TELLING) {
            return Ok(());
        }
        self.run.progress(0.1 + 0.1 * share, &message).await?;
        *told = Some((message, now));
        Ok(())
    }

    fn late(&self) -> Failure {
        let provider = self.engine.name().to_owned();
        let message = format!(
            "{provider} has not filmed the footage within {} minutes. Ask for it again, or name another model.",
            LIMIT.num_minutes()
        );
        let detail = Detail::Provider { provider, provider_code: None, retryable: true };
        Failure::fail(Fault::new(FaultCode::ProviderFailed, message).with(detail))
    }

    /// Says that the clip is not wanted any more. It costs what it costs if nobody hears that.
    async fn cancel(&self, ticket: &Ticket) {
        drop(self.counted(self.footage.cancel(ticket)).await);
    }
}

/// A clip that nobody wants any more when its job is cancelled: the attempt is dropped, and the provider is told.
struct Unwanted<'a> {
    studio: &'a Studio<'a>,
    ticket: Option<Ticket>,
}

impl Drop for Unwanted<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take().filter(|_| self.studio.run.is_unwanted()) else { return };
        let (engine, model) = (Arc::clone(self.studio.engine), self.studio.request.model.clone());
        let telling = async move {
            if let Some(footage) = engine.footage() {
                drop(counted((engine.provider(), &model), footage.cancel(&ticket), |()| None).await);
            }
        };
        tokio::spawn(telling.in_current_span());
    }
}
