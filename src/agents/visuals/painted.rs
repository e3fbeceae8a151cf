//! What a provider's model paints behind the text.
//!
//! A picture costs much more than a text, so it is kept as soon as it is there: an attempt that is broken off afterwards finds
//! it again by an event of the job, and does not pay for it twice.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Input;
use super::background::{self, Behind, Source};
use super::builtin::picture::Limits;
use super::builtin::{Note, Picture, inspect};
use crate::access::Action;
use crate::agents::agent::{self, Order, Tools, Wanted};
use crate::assets::{self, AssetKind, NewAsset};
use crate::engine::images::{ImageRequest, PICTURE_BYTES, Shape};
use crate::engine::{Provider, Usage};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::id::AssetId;
use crate::jobs::{self, Engine, Failure, Run};

/// Characters of what a picture shows.
pub(super) const PROMPT: usize = 1_000;
/// What a model reads, and what it counts for the largest picture of the highest quality.
pub(super) const TOKENS: Usage = agent::tokens(PROMPT as u64 + 1_000, 6_500);
/// The kind of the event that says that a picture is there.
const EVENT: &str = "painted";

/// Refuses an engine that has no image models; none: the built-in one.
pub(super) fn suits(engine: Option<Provider>) -> Result<()> {
    let message = match engine {
        Some(Provider::OpenAi) => return Ok(()),
        Some(Provider::Anthropic) => {
            "Providers of the kind ANTHROPIC have no image models. Name one of the kind OPENAI and an image model of its own, or choose another background."
        }
        None => {
            "The built-in engine paints nothing. Name a provider of the kind OPENAI and one of its image models, or choose another background."
        }
    };
    Err(Error::fault(Fault::at(FaultCode::ProviderNotConfigured, "engine.provider", message)))
}

/// A picture that has been paid for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    /// What was asked of whom.
    request: String,
    asset: AssetId,
    engine: Engine,
}

/// What a call asks for, as a checksum.
fn fingerprint(wanted: &Wanted, request: &ImageRequest) -> String {
    let asked = format!("{}\n{}\n{:?}\n{}", wanted.provider, request.model, request.shape, request.prompt);
    hex::encode(Sha256::digest(asked))
}

/// Has the background painted. When the provider does not and the caller allows that, it is noted, and a pattern is drawn.
pub(super) async fn fetch(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    prompt: &str,
) -> Result<Behind, Failure> {
    let paint = |wanted| paint(tools, run, order, wanted, prompt);
    let Some((picture, Kept { asset, engine, .. })) =
        agent::provided(run, order.engine.as_ref(), paint).await?
    else {
        return Ok(Behind { notes: vec![Note::NotPainted], ..Behind::default() });
    };
    let source = Source::Painted {
        id: asset,
        provider: engine.provider.clone(),
        model: engine.model.clone(),
        prompt: prompt.to_owned(),
    };
    Ok(Behind { picture: Some(picture), source: Some(source), notes: Vec::new(), engine: Some(engine) })
}

async fn paint(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    wanted: &Wanted,
    prompt: &str,
) -> Result<(Picture, Kept), Failure> {
    let missing = |message| Failure::fail(Fault::new(FaultCode::ProviderNotConfigured, message));
    let engine = tools.engines.text(&wanted.provider).map_err(|error| missing(error.to_string()))?;
    suits(Some(engine.provider()))?;
    let images = engine.images().ok_or_else(|| missing(format!("{} has no image models.", engine.name())))?;
    let request = ImageRequest {
        model: wanted.model.clone().unwrap_or_default(),
        prompt: format!("{}{prompt}", include_str!("prompt.md")),
        shape: Shape::of(order.input.format.size()),
    };
    let asked = fingerprint(wanted, &request);
    if let Some(found) = earlier(tools, run, order, &asked).await? {
        return Ok(found);
    }
    run.progress(0.05, "Has the background painted.").await?;
    let reply = crate::agents::paint(run, engine.provider(), images, &request).await?;
    let unusable = |error| {
        let detail =
            Detail::Provider { provider: wanted.provider.clone(), provider_code: None, retryable: true };
        let message = format!("The picture of {} cannot be used: {error}. Try again.", wanted.provider);
        Failure::from(Fault::new(FaultCode::ProviderFailed, message).with(detail))
    };
    let info = inspect(&reply.bytes, &Limits::default()).map_err(unusable)?;
    let picture = background::decoded(reply.bytes.clone()).await?.map_err(unusable)?;
    let used = agent::engine_that(&tools.engines, &*engine, &reply.model, reply.usage);
    let side = |pixels: u32| i32::try_from(pixels).ok();
    let file = NewAsset {
        project: Some(order.project),
        kind: AssetKind::Image,
        bytes: reply.bytes,
        mime_type: info.format.mime(),
        width: side(info.width),
        height: side(info.height),
        duration_seconds: None,
        alt_text: Some(prompt.to_owned()),
    };
    let asset = assets::save(run, &tools.storage, file).await?;
    let kept = Kept { request: asked, asset, engine: used };
    let message = format!("{} has painted the background.", kept.engine.provider);
    run.note(Some(0.1), EVENT, Some(&message), Some(&json!(kept))).await?;
    Ok((picture, kept))
}

/// The picture that an earlier attempt was given for the same request.
async fn earlier(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    asked: &str,
) -> Result<Option<(Picture, Kept)>> {
    let events = {
        let mut tx = run.read(Action::ContentRead).await?;
        jobs::events_of(&mut tx, run.job(), &[EVENT]).await?
    };
    let mut kept = events.into_iter().filter_map(|event| serde_json::from_value::<Kept>(event.data?).ok());
    let Some(kept) = kept.rfind(|kept| kept.request == asked) else { return Ok(None) };
    let place = (Some(order.project), kept.asset);
    let Some(bytes) = assets::read_saved(run, &tools.storage, place, PICTURE_BYTES as u64).await? else {
        return Ok(None);
    };
    // It could be drawn with before.
    Ok(background::decoded(bytes).await?.ok().map(|picture| (picture, kept)))
}
