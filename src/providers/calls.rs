//! Calls of providers' models: each is measured and stands in the trace, and what it takes for a job is counted at once,
//! whatever becomes of the answer.

use std::time::{Duration, Instant};

use tracing::Instrument as _;

use crate::engine::embeddings::{EmbeddingEngine, EmbeddingReply, EmbeddingRequest};
use crate::engine::images::{ImageEngine, ImageReply, ImageRequest};
use crate::engine::speech::{SpeechEngine, SpeechReply, SpeechRequest};
use crate::engine::{self, Engines, OnText, TextEngine, TextReply, TextRequest, Usage};
use crate::error::{Detail, Fault, FaultCode, Result};
use crate::jobs::{Engine, Failure, Run};
use crate::telemetry::{self, trace};
use crate::usage::Amounts;

/// Asks a provider's model to write.
async fn call(
    engine: &dyn TextEngine,
    request: &TextRequest,
    on_text: OnText<'_>,
) -> Result<TextReply, engine::Failure> {
    let asking = engine.write(request, on_text);
    counted((engine.provider(), &request.model), asking, |reply| reply.usage).await
}

/// Asks whether a provider's model answers.
///
/// # Errors
/// The provider's failure.
pub async fn probe(
    engine: &dyn TextEngine,
    model: &str,
    timeout: Duration,
) -> Result<engine::Probed, engine::Failure> {
    counted((engine.provider(), model), engine.probe(model, timeout), |probed| probed.usage).await
}

/// Asks a provider for anything, measured and in the trace. Every call is made through here.
///
/// # Errors
/// The provider's failure.
pub(crate) async fn counted<T>(
    (provider, model): (engine::Provider, &str),
    asking: impl Future<Output = Result<T, engine::Failure>>,
    usage: impl FnOnce(&T) -> Option<Usage>,
) -> Result<T, engine::Failure> {
    let (provider, asked) = (provider.as_str(), Instant::now());
    let span = trace::provider(provider, model);
    let replied = asking.instrument(span.clone()).await;
    let (outcome, usage) = match &replied {
        Ok(reply) => (Ok(()), usage(reply)),
        Err(failure) => (Err(failure.kind.as_str()), failure.usage),
    };
    let tokens = usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens));
    telemetry::count().provider(provider, outcome.err().unwrap_or("ok"), asked.elapsed(), tokens);
    trace::replied(&span, outcome, tokens);
    replied
}

/// Has a provider's model write for a job. What it takes is counted at once, whatever becomes of the answer.
///
/// # Errors
/// The provider's failure, as a job's.
pub async fn write(
    run: &Run,
    engines: &Engines,
    engine: &dyn TextEngine,
    request: &TextRequest,
    on_text: OnText<'_>,
) -> Result<TextReply, Failure> {
    let replied = call(engine, request, on_text).await;
    spent(run, (engines, engine), &request.model, replied, |reply| (reply.model.as_str(), reply.usage)).await
}

/// Has a provider's model paint for a job; it counts as [`write()`] does.
///
/// # Errors
/// The provider's failure, as a job's.
pub async fn paint(
    run: &Run,
    engines: &Engines,
    (engine, images): (&dyn TextEngine, &dyn ImageEngine),
    request: &ImageRequest,
) -> Result<ImageReply, Failure> {
    let asking = images.paint(request);
    let painted = counted((engine.provider(), &request.model), asking, |reply| reply.usage).await;
    spent(run, (engines, engine), &request.model, painted, |reply| (reply.model.as_str(), reply.usage)).await
}

/// Has a provider's model speak for a job; it counts as [`write()`] does. Nobody counts tokens of it: what it costs goes by the
/// characters.
///
/// # Errors
/// The provider's failure, as a job's.
pub async fn speak(
    run: &Run,
    engines: &Engines,
    (engine, speech): (&dyn TextEngine, &dyn SpeechEngine),
    request: &SpeechRequest,
) -> Result<(SpeechReply, Engine), Failure> {
    let asking = speech.speak(request);
    let spoken = counted((engine.provider(), &request.model), asking, |_| None).await;
    let reply = spoken.map_err(|failure| failed(&failure))?;
    let cost = engines.prices().speech_cost(engine.provider(), &request.model, reply.characters);
    let took = Engine {
        cost_micro_usd: cost.map(|cost| i64::try_from(cost).unwrap_or(i64::MAX)),
        ..engine_that(engines, engine, &request.model, None)
    };
    run.spend(Amounts::default(), &took).await?;
    Ok((reply, took))
}

/// Has a provider's model make vectors for a job; it counts as [`write()`] does.
///
/// # Errors
/// The provider's failure, as a job's.
pub async fn embed(
    run: &Run,
    engines: &Engines,
    (engine, models): (&dyn TextEngine, &dyn EmbeddingEngine),
    request: &EmbeddingRequest,
) -> Result<EmbeddingReply, Failure> {
    let asking = models.embed(request);
    let embedded = counted((engine.provider(), &request.model), asking, |reply| reply.usage).await;
    spent(run, (engines, engine), &request.model, embedded, |reply| (reply.model.as_str(), reply.usage)).await
}

/// Counts what was spent on an answer, if one came or the provider has counted all the same.
async fn spent<T>(
    run: &Run,
    (engines, engine): (&Engines, &dyn TextEngine),
    model: &str,
    replied: Result<T, engine::Failure>,
    read: impl FnOnce(&T) -> (&str, Option<Usage>),
) -> Result<T, Failure> {
    let answered = match &replied {
        Ok(reply) => Some(read(reply)),
        Err(engine::Failure { usage: Some(usage), .. }) => Some((model, Some(*usage))),
        Err(_) => None,
    };
    if let Some((model, usage)) = answered {
        let tokens = usage.map(|usage| Amounts::tokens(usage.total())).unwrap_or_default();
        run.spend(tokens, &engine_that(engines, engine, model, usage)).await?;
    }
    replied.map_err(|failure| failed(&failure))
}

/// A provider's failure, as a job's.
pub fn failed(failure: &engine::Failure) -> Failure {
    let detail = Detail::Provider {
        provider: failure.provider.as_str().to_owned(),
        provider_code: failure.code.clone(),
        retryable: failure.retryable(),
    };
    let fault = Fault::new(FaultCode::ProviderFailed, failure.message.clone()).with(detail);
    if failure.retryable() { Failure::retry(fault, failure.retry_after()) } else { Failure::fail(fault) }
}

/// The engine of a provider's reply, as its job keeps it.
pub fn engine_of(engines: &Engines, engine: &dyn TextEngine, reply: &TextReply) -> Engine {
    engine_that(engines, engine, &reply.model, reply.usage)
}

/// A provider's engine with the model that has worked, and what it counted.
pub fn engine_that(engines: &Engines, engine: &dyn TextEngine, model: &str, usage: Option<Usage>) -> Engine {
    let small = |tokens: u64| i32::try_from(tokens).unwrap_or(i32::MAX);
    Engine {
        provider: engine.name().to_owned(),
        model: Some(model.to_owned()),
        prompt_tokens: usage.map(|usage| small(usage.prompt_tokens)),
        completion_tokens: usage.map(|usage| small(usage.completion_tokens)),
        cost_micro_usd: usage
            .and_then(|usage| engines.prices().cost(engine.provider(), model, usage))
            .map(|cost| i64::try_from(cost).unwrap_or(i64::MAX)),
    }
}
