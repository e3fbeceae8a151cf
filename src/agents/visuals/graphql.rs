//! Visual posts, as the schema shows them.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::builtin::{self, Color};
use super::redraw::{self, Redraw};
use super::{Input, Source, Visuals, Wish};
use crate::access::Action;
use crate::agents::graphql::{
    AgentOutput, EngineInput, Given, Ordered, agent_output, order, output, place_at,
};
use crate::assets::graphql::{Asset, part};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::context::{Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::scalars::{Json, Url};
use crate::id::{AssetId, OrganizationId, VisualPostId};
use crate::input;
use crate::jobs::AgentKind;
use crate::jobs::graphql::Job;
use crate::periods::graphql::Period;
use crate::projects::graphql::Project;
use crate::retrieval::Language;

agent_output! {
    /// Slides with text: drawn in process, measured, and kept as PNG and JPEG.
    VisualPost(Visuals) {
        /// The look: `default`, `minimal`, `dramatic`, `gradient`, `quote_card` or `period_branding`.
        async fn template(&self) -> &'static str {
            self.content.template.id()
        }

        /// The size.
        async fn format(&self) -> VisualFormat {
            self.content.format.into()
        }

        /// The period that it belongs to; null when it has none, or the period is gone.
        async fn period(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Period>> {
            let Some(period) = self.content.period else { return Ok(None) };
            Ok(crate::periods::graphql::find(ctx, self.output.organization, period).await?)
        }

        /// The slides, in order.
        async fn slides(&self) -> Vec<VisualSlide> {
            let organization = self.output.organization;
            self.content.slides.iter().map(|slide| VisualSlide { organization, slide: slide.clone() }).collect()
        }

        /// The photo or picture behind the text; null when the engine has drawn what is there.
        async fn background(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<VisualBackgroundSource>> {
            Ok(match &self.content.source {
                None => None,
                Some(Source::Asset { id }) => Some(VisualBackgroundSource {
                    asset: crate::graphql::loader::asset(ctx, self.output.organization, *id).await?.map(Asset::new),
                    ..VisualBackgroundSource::default()
                }),
                Some(Source::Stock { photographer, page }) => Some(VisualBackgroundSource {
                    credit: Some(photographer.clone()),
                    page: url::Url::parse(page).ok().map(Url),
                    ..VisualBackgroundSource::default()
                }),
                Some(Source::Painted { id, provider, model, prompt }) => Some(VisualBackgroundSource {
                    asset: Some(part(ctx, self.output.organization, *id).await?),
                    provider: Some(provider.clone()),
                    model: model.clone(),
                    prompt: Some(prompt.clone()),
                    ..VisualBackgroundSource::default()
                }),
            })
        }

        /// What whoever asked should know, as sentences: characters that no font has, texts that were shortened, pictures that
        /// were enlarged or not found.
        async fn notes(&self) -> Vec<String> {
            self.content.notes.iter().map(ToString::to_string).collect()
        }

        /// The visual post whose slides were edited to make this one; null when it is no redraw, and when that one is deleted.
        async fn redraw_of(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<VisualPost>> {
            let Some(id) = self.content.redraw_of else { return Ok(None) };
            Ok(shown(output(ctx, self.output.organization, id.uuid()).await?))
        }
    }
}

/// An output as the visual post that it is.
fn shown(output: Option<AgentOutput>) -> Option<VisualPost> {
    match output {
        Some(AgentOutput::VisualPost(post)) => Some(post),
        _ => None,
    }
}

/// Where the picture behind the text comes from.
#[derive(Default, SimpleObject)]
pub struct VisualBackgroundSource {
    /// The organization's own picture, or the one that was painted, which goes when the visual post is deleted; null when it is
    /// a photo of a stock library, or was deleted.
    asset: Option<Asset>,
    /// Who took the photo of the stock library; it is named on the first slide.
    credit: Option<String>,
    /// The photo's page.
    page: Option<Url>,
    /// The provider whose model has painted it; null when it was not painted for this visual post.
    provider: Option<String>,
    /// The model that has painted it.
    model: Option<String>,
    /// What it was to show.
    prompt: Option<String>,
}

/// A slide.
pub struct VisualSlide {
    organization: OrganizationId,
    slide: super::Slide,
}

/// A slide.
#[Object]
impl VisualSlide {
    /// As a PNG. It is the slide's own: it goes when the visual post is deleted.
    async fn png(&self, ctx: &Context<'_>) -> async_graphql::Result<Asset> {
        Ok(part(ctx, self.organization, self.slide.png).await?)
    }

    /// As a baseline JPEG, the only kind that Instagram takes. It is the slide's own: it goes when the visual post is deleted.
    async fn jpeg(&self, ctx: &Context<'_>) -> async_graphql::Result<Asset> {
        Ok(part(ctx, self.organization, self.slide.jpeg).await?)
    }

    /// What it says, for those who do not see it.
    async fn alt_text(&self) -> &str {
        &self.slide.alt_text
    }

    /// What was measured of its texts.
    async fn blocks(&self) -> Vec<TextBlockReport> {
        self.slide.blocks.iter().map(TextBlockReport::from).collect()
    }

    /// Its layers from the back to the front, with their places, colours and sizes: to be edited, and sent back to
    /// `visualPostRedraw`. The README says what each kind of layer has.
    async fn scene(&self) -> async_graphql::Result<Json> {
        Ok(Json(serde_json::to_value(&self.slide.scene).map_err(Error::internal)?))
    }
}

/// What was measured of a text.
#[derive(SimpleObject)]
pub struct TextBlockReport {
    /// What is drawn; it ends in an ellipsis when it did not fit.
    text: String,
    /// The size of the type in pixels.
    font_size: f64,
    /// The least contrast with what is behind it, 1 to 21, as WCAG 2.2 measures it.
    contrast: f64,
    /// What WCAG's level AA asks of type of this size: 4.5 or 3.
    required_contrast: f64,
    /// Whether it did not fit and was shortened.
    overflow: bool,
    /// Whether it stands where the platform covers nothing.
    in_safe_area: bool,
}

impl From<&builtin::TextBlockReport> for TextBlockReport {
    fn from(block: &builtin::TextBlockReport) -> Self {
        // Hundredths say enough, and print well.
        let round = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
        Self {
            text: block.text.clone(),
            font_size: round(block.font_size),
            contrast: round(block.contrast),
            required_contrast: round(block.required_contrast),
            overflow: block.overflow,
            in_safe_area: block.in_safe_area,
        }
    }
}

/// The sizes of visual posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(remote = "builtin::VisualFormat")]
pub enum VisualFormat {
    /// A feed post, 1080×1350.
    Post,
    /// A story or reel cover, 1080×1920.
    Story,
    /// A square, 1080×1080.
    Square,
    /// A link preview, 1200×630.
    Link,
}

/// Which typefaces a brand speaks in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(remote = "builtin::Typeface")]
pub enum Typeface {
    /// Inter: plain and modern. Latin, Greek, Cyrillic.
    Sans,
    /// Source Serif 4: calm and literary. Latin, Greek, Cyrillic.
    Serif,
    /// Playfair Display over Inter: elegant, like a magazine. Latin, Cyrillic.
    Editorial,
}

/// What is behind the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
pub enum VisualBackground {
    /// What the template has.
    Template,
    /// One colour: that of `backgroundColors`, else a dark tone of period or brand.
    Solid,
    /// From the first of `backgroundColors` to the second, else two tones of period or brand.
    Gradient,
    /// Generated shapes, see `backgroundPattern`, on the colour of `backgroundColors`, else a pale tone of period or brand.
    Pattern,
    /// Generated soft clouds in the colours of `backgroundColors`, at most 8, else in tones of period or brand.
    Clouds,
    /// One of the organization's own pictures: `backgroundAssetId`, else the one whose tags fit `backgroundTags` or the period's
    /// words best. When none fits, the template's background is taken, and a note says so.
    OwnImage,
    /// A photo of Pexels that shows `backgroundSearch` or the period's name; its photographer is named. Needs the server's
    /// `PEXELS_API_KEY`.
    StockPhoto,
    /// What a provider's image model paints of `backgroundPrompt`, without any text in it: `engine`, or the route of the agent,
    /// names the provider, which has to be one of the kind `OPENAI`, and the model. When it paints nothing and `engine` lets the built-in
    /// engine work instead, shapes are drawn, and a note says so.
    Generated,
}

/// Generated shapes behind the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(remote = "builtin::Pattern")]
pub enum VisualPattern {
    /// A grid of dots that grow and shrink.
    Dots,
    /// Circles around one point.
    Rings,
    /// Lines that swing.
    Waves,
    /// Rays from one point.
    Rays,
    /// Loose round shapes.
    Pebbles,
}

/// What a visual post is made from.
#[derive(InputObject, Serialize)]
struct VisualPostCreateInput {
    /// In which project.
    project_id: ID,
    /// Whose model paints a generated background. Everything else is drawn by the built-in engine, which needs none.
    engine: Option<EngineInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// The text, at most 3,000 characters.
    text: String,
    /// What stands above it, at most 300 characters.
    headline: Option<String>,
    /// Who said it, at most 120 characters.
    attribution: Option<String>,
    /// The look: `default`, `minimal`, `dramatic`, `gradient`, `quote_card` or `period_branding`.
    #[graphql(default_with = "\"default\".to_owned()")]
    template: String,
    /// The size.
    #[graphql(default_with = "VisualFormat::Post")]
    format: VisualFormat,
    /// The typeface.
    #[graphql(default_with = "Typeface::Sans")]
    typeface: Typeface,
    /// The period that it belongs to: its colour goes before the brand's.
    period_id: Option<ID>,
    /// What is behind the text.
    #[graphql(default_with = "VisualBackground::Template")]
    background: VisualBackground,
    /// The colours behind the text, such as `#1A2B3C`: one for `SOLID` and `PATTERN`, two for `GRADIENT`, at most 8 for `CLOUDS`.
    background_colors: Option<Vec<String>>,
    /// The shapes of the background `PATTERN`.
    #[graphql(default_with = "VisualPattern::Pebbles")]
    background_pattern: VisualPattern,
    /// The picture behind the text; with it, `background` need not be given.
    background_asset_id: Option<ID>,
    /// By which tags one of the organization's own pictures is found; the period's words when absent.
    background_tags: Option<Vec<String>>,
    /// What the stock photo shows; the period's name when absent.
    background_search: Option<String>,
    /// What a generated background shows, at most 1,000 characters; needed with `background: GENERATED`.
    background_prompt: Option<String>,
    /// The brand's mark: a picture, best a PNG that is transparent around it.
    logo_asset_id: Option<ID>,
    /// How many slides, 1 to 10: the text is divided between sentences. As many as reading asks for when null.
    #[graphql(default = 1)]
    slides: Option<i32>,
    /// Whether each line of the text is a slide of its own, at most 10 with the headline's, whatever `slides` says: so the lines of
    /// an affirmation set become a carousel.
    #[graphql(default = false)]
    slide_per_line: bool,
    /// The language of the text.
    #[graphql(default_with = "Language::German")]
    language: Language,
}

impl VisualPostCreateInput {
    /// The colours behind the text, in as many places as there may be.
    fn colors<const MOST: usize>(&self) -> Result<[Option<Color>; MOST]> {
        let field = "backgroundColors";
        let given = self.background_colors.as_deref().unwrap_or_default();
        if given.len() > MOST {
            let message = format!("`{field}` has at most {MOST} entries with this `background`.");
            return Err(Error::fault(Fault::at(FaultCode::TooLong, field, message)));
        }
        let mut colors = [None; MOST];
        for (place, text) in colors.iter_mut().zip(given) {
            *place = Some(input::color(field, text)?.parse().map_err(Error::internal)?);
        }
        Ok(colors)
    }

    fn asked(&self) -> Result<Input> {
        let asset = |field: &'static str, id: &Option<ID>| -> Result<Option<AssetId>> {
            id.as_ref().map(|id| input_id(field, id)).transpose()
        };
        let invalid = |field, message: String| Error::fault(Fault::at(FaultCode::Invalid, field, message));
        let colored = [
            VisualBackground::Solid,
            VisualBackground::Gradient,
            VisualBackground::Pattern,
            VisualBackground::Clouds,
        ];
        if self.background_colors.is_some() && !colored.contains(&self.background) {
            let message = "`backgroundColors` goes with `background: SOLID`, `GRADIENT`, `PATTERN` or `CLOUDS`. Leave one of the two out.";
            return Err(invalid("backgroundColors", message.to_owned()));
        }
        let background = match (asset("backgroundAssetId", &self.background_asset_id)?, self.background) {
            (Some(id), VisualBackground::Template | VisualBackground::OwnImage) => Wish::Asset { id },
            (Some(_), _) => {
                let message =
                    "`backgroundAssetId` goes with `background: OWN_IMAGE`. Leave one of the two out.";
                return Err(invalid("backgroundAssetId", message.to_owned()));
            }
            (None, VisualBackground::Template) => Wish::Template,
            (None, VisualBackground::Solid) => {
                let [color] = self.colors()?;
                Wish::Solid { color }
            }
            (None, VisualBackground::Gradient) => {
                let [from, to] = self.colors()?;
                Wish::Gradient { from, to }
            }
            (None, VisualBackground::Pattern) => {
                let [color] = self.colors()?;
                Wish::Pattern { pattern: self.background_pattern.into(), color }
            }
            (None, VisualBackground::Clouds) => {
                Wish::Clouds { colors: self.colors::<8>()?.into_iter().flatten().collect() }
            }
            (None, VisualBackground::OwnImage) => {
                Wish::Own { tags: self.background_tags.clone().unwrap_or_default() }
            }
            (None, VisualBackground::StockPhoto) => Wish::Stock { search: self.background_search.clone() },
            (None, VisualBackground::Generated) => {
                Wish::Painted { prompt: self.background_prompt.clone().unwrap_or_default() }
            }
        };
        Input {
            text: self.text.clone(),
            headline: self.headline.clone(),
            attribution: self.attribution.clone(),
            template: super::template(&self.template)?,
            format: self.format.into(),
            typeface: self.typeface.into(),
            period: self.period_id.as_ref().map(|id| input_id("periodId", id)).transpose()?,
            background,
            logo: asset("logoAssetId", &self.logo_asset_id)?,
            // What is no small number is no number of slides.
            slides: self.slides.map(|slides| u8::try_from(slides).unwrap_or(u8::MAX)),
            slide_per_line: self.slide_per_line,
            language: self.language,
        }
        .parse()
    }
}

/// What making a visual post is answered with.
#[derive(Default, SimpleObject)]
pub struct VisualPostCreatePayload {
    /// The job that draws.
    job: Option<Job>,
    /// The visual post; null when it was not waited for or is not there yet: watch the job.
    visual_post: Option<VisualPost>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// A slide with other layers.
#[derive(InputObject, Serialize)]
struct VisualSlideInput {
    /// Which slide, from 1.
    number: i32,
    /// Its layers, as `VisualSlide.scene` gives them: at most 60, and 65,536 bytes. Width, height and safe area stay as they are,
    /// and it shows no other pictures than the visual post's own.
    scene: Json,
    /// What it says, for those who do not see it, at most 1,000 characters; as before when its texts are, else what they say now,
    /// when absent.
    alt_text: Option<String>,
}

/// Which slides of a visual post are drawn from other layers.
#[derive(InputObject, Serialize)]
struct VisualPostRedrawInput {
    /// The visual post, which stays as it is.
    visual_post_id: ID,
    /// The slides that have changed. The others are taken over as they are.
    slides: Vec<VisualSlideInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// What drawing a visual post from other layers is answered with.
#[derive(Default, SimpleObject)]
pub struct VisualPostRedrawPayload {
    /// The job that draws.
    job: Option<Job>,
    /// The new visual post; null when it was not waited for or is not there yet: watch the job.
    visual_post: Option<VisualPost>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(VisualPostCreatePayload, VisualPostRedrawPayload);

/// Drawing.
#[derive(Default)]
pub struct VisualMutation;

#[Object]
impl VisualMutation {
    /// Draws a text as one slide or several. Requires: `AGENT_USE`, and `CONTENT_READ` for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`,
    /// `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job `INSUFFICIENT_INPUT`, `INVALID`, `QUOTA_EXCEEDED`,
    /// `PROVIDER_NOT_CONFIGURED`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.project_id)")]
    async fn visual_post_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is made from.")] input: VisualPostCreateInput,
    ) -> async_graphql::Result<Option<VisualPostCreatePayload>> {
        let outcome = async {
            let asked = input.asked()?;
            let behind = match &asked.background {
                Wish::Asset { id } => Some(("backgroundAssetId", *id)),
                _ => None,
            };
            let assets: Vec<_> = behind.into_iter().chain(asked.logo.map(|id| ("logoAssetId", id))).collect();
            let given = Given {
                project: &input.project_id,
                period: asked.period,
                account: None,
                documents: None,
                assets: &assets,
                outputs: &[],
                engine: input.engine.as_ref(),
                seed: input.seed,
                wait: input.wait,
                key: input.idempotency_key.as_deref(),
            };
            let Ordered { job, output, project } = order::<Visuals>(ctx, given, &input, asked).await?;
            let visual_post = shown(output);
            Ok(VisualPostCreatePayload { job, visual_post, project, user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Makes a new visual post of one that is there, with slides whose layers were edited: drawn again, and measured anew. The
    /// other slides are taken over as they are; all files of the new one are its own. Only slides that are drawn count as pictures.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for what is edited and for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the
    /// job `NOT_FOUND`, `INVALID`, `QUOTA_EXCEEDED`, `PROVIDER_NOT_CONFIGURED`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.visual_post_id)")]
    async fn visual_post_redraw(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The slides that have changed.")] input: VisualPostRedrawInput,
    ) -> async_graphql::Result<Option<VisualPostRedrawPayload>> {
        let outcome = async {
            let (of, before) = named(ctx, &input.visual_post_id).await?;
            let slides = input.slides.iter().map(|slide| redraw::Given {
                number: slide.number,
                scene: &slide.scene.0,
                alt_text: slide.alt_text.as_deref(),
            });
            let asked = redraw::Input::parse(of, &before.content, &slides.collect::<Vec<_>>())?;
            let project = before.output.project.ok_or(Error::NotFound)?;
            let given = Given {
                project: &ID(project.to_string()),
                period: None,
                account: None,
                documents: None,
                assets: &[],
                outputs: &[("visualPostId", AgentKind::VisualPost, of.uuid())],
                engine: None,
                seed: input.seed,
                wait: input.wait,
                key: input.idempotency_key.as_deref(),
            };
            let Ordered { job, output, project } = order::<Redraw>(ctx, given, &input, asked).await?;
            let visual_post = shown(output);
            Ok(VisualPostRedrawPayload { job, visual_post, project, user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }
}

/// The visual post that a mutation names.
async fn named(ctx: &Context<'_>, id: &ID) -> Result<(VisualPostId, VisualPost)> {
    const FIELD: &str = "visualPostId";
    let post: VisualPostId = input_id(FIELD, id)?;
    let (_, found) = place_at(ctx, FIELD, id).await?;
    shown(Some(found)).map(|found| (post, found)).ok_or_else(|| not_found_at(FIELD)(Error::NotFound))
}
