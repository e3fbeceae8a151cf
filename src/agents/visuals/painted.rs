//! What a provider's model paints behind the text.

use super::Input;
use super::background::{self, Behind, Source};
use super::builtin::picture::Limits;
use super::builtin::{Note, Picture, inspect};
use crate::agents::agent::{self, Order, Tools};
use crate::agents::paid::{Asked, Paid, missing, unusable};
use crate::assets::{AssetKind, NewAsset};
use crate::engine::images::{ImageRequest, PICTURE_BYTES, Shape};
use crate::engine::{self, Provider, Usage};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::jobs::{Failure, Run};
use crate::providers::{Wanted, calls};

/// Characters of what a picture shows.
pub(super) const PROMPT: usize = 1_000;
/// What a model reads, and what it counts for the largest picture of the highest quality.
pub(in crate::agents) const TOKENS: Usage = engine::tokens(PROMPT as u64 + 1_000, 6_500);
/// The kind of the event that says that a picture is there.
const EVENT: &str = "painted";

/// Refuses an engine that has no image models; none: the built-in one.
pub(in crate::agents) fn suits(engine: Option<Provider>) -> Result<()> {
    let message = match engine {
        Some(provider) if provider.paints() => return Ok(()),
        Some(_) => {
            "A provider of this kind has no image models. Name one of the kind OPENAI and an image model of its own, or choose another background."
        }
        None => {
            "The built-in engine paints nothing. Name a provider of the kind OPENAI and one of its image models, or choose another background."
        }
    };
    Err(Error::fault(Fault::at(FaultCode::ProviderNotConfigured, "engine.provider", message)))
}

/// Has the background painted. When the provider does not and the caller allows that, it is noted, and a pattern is drawn.
pub(super) async fn fetch(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    prompt: &str,
) -> Result<Behind, Failure> {
    let paint = |wanted| paint(tools, run, order, wanted, prompt);
    let Some((picture, Paid { asset, engine, .. })) =
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
) -> Result<(Picture, Paid), Failure> {
    let engine = tools.engines.text(&wanted.provider).map_err(|error| missing(error.to_string()))?;
    suits(Some(engine.provider()))?;
    let images = engine.images().ok_or_else(|| missing(format!("{} has no image models.", engine.name())))?;
    let request = ImageRequest {
        model: wanted.model.clone().unwrap_or_default(),
        prompt: format!("{}{prompt}", include_str!("prompt.md")),
        shape: Shape::of(order.input.format.size()),
    };
    let words = [request.model.as_str(), &format!("{:?}", request.shape), &request.prompt];
    let asked = Asked::new(EVENT, wanted, order.seed, &words);
    if let Some((bytes, paid)) = asked.earlier(tools, run, order.project, PICTURE_BYTES).await?
        // It could be drawn with before.
        && let Ok(picture) = background::decoded(bytes).await?
    {
        return Ok((picture, paid));
    }
    run.progress(0.05, "Has the background painted.").await?;
    let reply = calls::paint(run, &tools.engines, (&*engine, images), &request).await?;
    let of_no_use = |error| unusable(wanted, "picture", &error);
    let info = inspect(&reply.bytes, &Limits::default()).map_err(of_no_use)?;
    let picture = background::decoded(reply.bytes.clone()).await?.map_err(of_no_use)?;
    let used = calls::engine_that(&tools.engines, &*engine, &reply.model, reply.usage);
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
    let message = format!("{} has painted the background.", used.provider);
    let paid = asked.keep(tools, run, file, used, (0.1, &message)).await?;
    Ok((picture, paid))
}
