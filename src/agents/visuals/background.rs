//! What is behind the text: where the picture comes from, and how it is read.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Input;
use super::builtin::picture::Limits;
use super::builtin::{Background, Color, Note, Pattern, PeriodMark, Picture, PictureError, SLOPE, decode};
use crate::agents::agent::{Order, Tools};
use crate::assets;
use crate::db::ReadTx;
use crate::engine::photos::{Photo, PhotoFailure, Photos};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::id::{AssetId, PeriodId, ProjectId};
use crate::input;
use crate::jobs::{self, Engine, Failure, Run};
use crate::periods;
use crate::retrieval::Language;

/// Bytes of a picture that is drawn with, at the most.
const PICTURE_BYTES: u64 = 10 << 20;
/// Pixels of a picture that are kept while it is drawn with: a story at one and a half times its size. A film holds twenty.
const PIXELS: u64 = 1_620 * 2_880;
/// Own pictures among which one is chosen: those that fit best.
const CANDIDATES: i64 = 12;

/// What is wanted behind the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Wish {
    /// What the template has.
    Template,
    /// One colour.
    Solid {
        /// Which; none: a tone of period or brand.
        color: Option<Color>,
    },
    /// From one colour to another.
    Gradient {
        /// From; none: a tone of period or brand.
        from: Option<Color>,
        /// To.
        to: Option<Color>,
    },
    /// Shapes.
    Pattern {
        /// Which.
        #[serde(default)]
        pattern: Pattern,
        /// On which colour; none: a tone of period or brand.
        #[serde(default)]
        color: Option<Color>,
    },
    /// Soft clouds.
    Clouds {
        /// In which colours; none: tones of period or brand.
        #[serde(default)]
        colors: Vec<Color>,
    },
    /// This picture.
    Asset {
        /// Which.
        id: AssetId,
    },
    /// One of the organization's own pictures that has some of these tags; the period's words when there are none.
    Own {
        /// Words.
        tags: Vec<String>,
    },
    /// A photo of the stock library.
    Stock {
        /// What it shows; the period's words when empty.
        search: Option<String>,
    },
    /// What a provider's model paints.
    Painted {
        /// What it shows.
        prompt: String,
    },
}

impl Wish {
    pub(super) fn parse(self) -> Result<Self> {
        Ok(match self {
            Self::Own { tags } => Self::Own { tags: input::tags(&tags)? },
            Self::Stock { search } => Self::Stock {
                search: search.map(|text| input::line("backgroundSearch", &text, 100)).transpose()?,
            },
            Self::Painted { prompt } => {
                let prompt = input::paragraph("backgroundPrompt", Some(&prompt), super::painted::PROMPT)?;
                let message = "`backgroundPrompt` is needed for a generated background. Say what it shows.";
                let missing = || Fault::at(FaultCode::Required, "backgroundPrompt", message);
                Self::Painted { prompt: prompt.ok_or_else(|| Error::fault(missing()))? }
            }
            other => other,
        })
    }

    /// What is drawn when there is no picture.
    pub(super) fn generated(&self) -> Background {
        match self {
            Self::Solid { color } => Background::Solid { color: *color },
            Self::Gradient { from, to } => Background::Gradient { from: *from, to: *to, angle: SLOPE },
            Self::Pattern { pattern, color } => Background::Pattern { pattern: *pattern, color: *color },
            Self::Painted { .. } => Background::Pattern { pattern: Pattern::default(), color: None },
            Self::Clouds { colors } => Background::Noise { colors: colors.clone() },
            Self::Template | Self::Asset { .. } | Self::Own { .. } | Self::Stock { .. } => {
                Background::Template
            }
        }
    }
}

/// Where the picture behind the text comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Source {
    /// An asset.
    Asset {
        /// Which.
        id: AssetId,
    },
    /// A photo of the stock library.
    Stock {
        /// Who took it.
        photographer: String,
        /// Its page.
        page: String,
    },
    /// What a provider's model has painted.
    Painted {
        /// The file, which belongs to the output.
        id: AssetId,
        /// The provider.
        provider: String,
        /// Its model.
        model: Option<String>,
        /// What it was to show.
        prompt: String,
    },
}

/// The picture behind the text, if there is one.
#[derive(Debug, Default)]
pub(super) struct Behind {
    pub picture: Option<Picture>,
    pub source: Option<Source>,
    pub notes: Vec<Note>,
    /// Which engine has painted it.
    pub engine: Option<Engine>,
}

impl Behind {
    /// Who is named on the slide.
    pub fn credit(&self) -> Option<String> {
        match &self.source {
            Some(Source::Stock { photographer, .. }) => Some(format!("{photographer} / Pexels")),
            _ => None,
        }
    }
}

/// The words of a period by which pictures are found: its key, its names and its keywords in both languages.
async fn words(tx: &mut ReadTx<'_>, period: Option<PeriodId>) -> Result<Vec<String>> {
    let Some(id) = period else { return Ok(Vec::new()) };
    let found = periods::find(tx, id).await?.ok_or(Error::NotFound)?.definition;
    let names = found.names.into_values();
    Ok(std::iter::once(found.key).chain(names).chain(found.keywords.into_values().flatten()).collect())
}

/// The asset that is wanted, or the own picture that fits best; of those that fit equally well, the seed chooses.
pub(super) async fn own(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    wish: &Wish,
    period: Option<PeriodId>,
    seed: u64,
) -> Result<Option<AssetId>> {
    let tags = match wish {
        Wish::Asset { id } => return Ok(Some(*id)),
        Wish::Own { tags } if !tags.is_empty() => tags.clone(),
        Wish::Own { .. } => words(tx, period).await?,
        _ => return Ok(None),
    };
    let found = assets::matching(tx, project, &tags, CANDIDATES).await?;
    let best = found.first().map_or(0, |(_, hits)| *hits);
    let best: Vec<AssetId> = found.into_iter().filter(|(_, hits)| *hits == best).map(|(id, _)| id).collect();
    let count = u64::try_from(best.len()).unwrap_or(1).max(1);
    Ok(usize::try_from(seed % count).ok().and_then(|place| best.get(place).copied()))
}

/// Fetches the picture that is wanted. When none of the organization's fits, that is noted and the template's background taken.
pub(super) async fn fetch(
    tools: &Tools,
    run: &Run,
    order: &Order<Input>,
    own: Option<AssetId>,
    period: Option<&PeriodMark>,
) -> Result<Behind, Failure> {
    let Input { background, language, format, .. } = &order.input;
    match (background, own) {
        (_, Some(id)) => {
            let picture = picture(tools, run, id, "backgroundAssetId").await?;
            Ok(Behind { picture: Some(picture), source: Some(Source::Asset { id }), ..Behind::default() })
        }
        (Wish::Own { .. }, None) => Ok(Behind { notes: vec![Note::NoOwnPicture], ..Behind::default() }),
        (Wish::Stock { search }, None) => {
            let search =
                search.clone().or_else(|| period.map(|period| period.name.clone())).ok_or_else(|| {
                    let message = "`backgroundSearch` is needed without a period. Say what the photo shows.";
                    Failure::fail(Fault::at(FaultCode::Required, "backgroundSearch", message))
                })?;
            stock(tools, run, &search, *language, format.size(), order.seed).await
        }
        (Wish::Painted { prompt }, None) => super::painted::fetch(tools, run, order, prompt).await,
        _ => Ok(Behind::default()),
    }
}

async fn stock(
    tools: &Tools,
    run: &Run,
    search: &str,
    language: Language,
    size: (u32, u32),
    seed: u64,
) -> Result<Behind, Failure> {
    let photos = library(tools, "background")?;
    run.progress(0.05, "Looking for a photo.").await?;
    let locale = match language {
        Language::German => "de-DE",
        Language::English => "en-US",
    };
    let found = photos.find(search, locale, size, seed).await.map_err(unanswered)?;
    let Some(Photo { photographer, page, bytes }) = found else {
        return Ok(Behind { notes: vec![Note::NoStockPhoto], ..Behind::default() });
    };
    let picture = read(bytes, "background").await?;
    let source = Some(Source::Stock { photographer, page });
    Ok(Behind { picture: Some(picture), source, ..Behind::default() })
}

fn library<'a>(tools: &'a Tools, field: &str) -> Result<&'a Photos, Failure> {
    tools.photos.as_deref().ok_or_else(|| {
        let message = "No stock library is set up on this server. Ask its operator to set PEXELS_API_KEY, or choose another background.";
        Failure::fail(Fault::at(FaultCode::ProviderNotConfigured, field, message))
    })
}

fn unanswered(failure: PhotoFailure) -> Failure {
    let detail = Detail::Provider {
        provider: "pexels".to_owned(),
        provider_code: failure.status.map(|status| status.to_string()),
        retryable: failure.is_retryable,
    };
    Fault::new(FaultCode::ProviderFailed, failure.message).with(detail).into()
}

/// The picture behind the text of a visual post that is there already.
///
/// # Errors
/// A fault that says so when it is gone.
pub(super) async fn again(
    tools: &Tools,
    run: &Run,
    source: &Source,
    size: (u32, u32),
) -> Result<Picture, Failure> {
    const FIELD: &str = "visualPostId";
    let page = match source {
        Source::Asset { id } | Source::Painted { id, .. } => return picture(tools, run, *id, FIELD).await,
        Source::Stock { page, .. } => page,
    };
    let photos = library(tools, FIELD)?;
    run.progress(0.05, "Fetching the photo again.").await?;
    let found = photos.again(page, size).await.map_err(unanswered)?.ok_or_else(|| {
        let message = "The stock library has the photo of this visual post no more. Take its layer out of the scenes, or make a new one with `visualPostCreate`.";
        Failure::fail(Fault::at(FaultCode::NotFound, FIELD, message))
    })?;
    read(found.bytes, FIELD).await
}

/// An asset as a picture to draw with.
///
/// # Errors
/// A fault at the field when it is none that can be read.
pub(crate) async fn picture(
    tools: &Tools,
    run: &Run,
    id: AssetId,
    field: &'static str,
) -> Result<Picture, Failure> {
    let (_, bytes) =
        assets::read(run, &tools.storage, id, PICTURE_BYTES).await.map_err(|error| match error {
            Error::NotFound => {
                let message = "There is no such picture any more, or it is not visible to you.";
                Failure::fail(Fault::at(FaultCode::NotFound, field, message))
            }
            other => other.into(),
        })?;
    read(bytes, field).await
}

async fn read(bytes: Bytes, field: &'static str) -> Result<Picture, Failure> {
    decoded(bytes).await?.map_err(|error| {
        Failure::fail(Fault::at(FaultCode::Invalid, field, format!("The picture cannot be used: {error}.")))
    })
}

/// A file as a picture to draw with, as far as it is one.
pub(super) async fn decoded(bytes: Bytes) -> Result<std::result::Result<Picture, PictureError>> {
    jobs::compute(move || decode(&bytes, &Limits::default()).map(|picture| picture.within(PIXELS))).await
}
