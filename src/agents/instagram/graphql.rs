//! Publications, as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::comment;
use super::details::{self, Details, Tag};
use super::errors::{self, Problem};
use super::insights::{self, Insights};
use super::machine::{self, Form, State};
use super::{Asked, export, logged, target};
use crate::access::Action;
use crate::accounts::Accounts;
use crate::accounts::channel::Channel;
use crate::accounts::graphql::Account;
use crate::agents::Output;
use crate::agents::graphql::{AgentOutput, EngineInput, Rating, common, output, place, started};
use crate::agents::posts::graphql::Post;
use crate::assets::graphql::Asset;
use crate::audit::graphql::Actor;
use crate::db::{Changes, Record};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Url};
use crate::graphql::turn::Turn;
use crate::id::{AssetId, OrganizationId, ProjectId, PublicationId};
use crate::idempotency;
use crate::jobs::graphql::Job;
use crate::projects::graphql::Project;
use crate::providers::BUILTIN;

/// Something on its way to being public on Instagram, or public there.
pub struct Publication {
    output: Output,
    content: Box<machine::Publication>,
}

impl Publication {
    /// The publication of a row.
    ///
    /// # Errors
    /// When the database holds what the agent cannot have written.
    pub fn read(mut output: Output) -> Result<Self> {
        let content = output.content.take().unwrap_or_default();
        let content = serde_json::from_value(content).map_err(Error::internal)?;
        Ok(Self { output, content })
    }

    /// What all outputs have.
    pub(crate) const fn common(&self) -> &Output {
        &self.output
    }

    /// As it stands with its job.
    async fn standing(&self, ctx: &Context<'_>) -> Result<machine::Publication> {
        let content = self.content.clone();
        if content.is_settled() {
            return Ok(*content);
        }
        let job = loader::job(ctx, self.output.organization, self.output.job).await?;
        Ok(super::standing(*content, job))
    }
}

impl Node for Publication {}

/// Something on its way to being public on Instagram, or public there.
#[Object]
impl Publication {
    /// The output's id.
    pub async fn id(&self) -> ID {
        ID(PublicationId::from(self.output.id).to_string())
    }

    /// The project that it was made in.
    pub async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        Ok(common::project(ctx, &self.output).await?)
    }

    /// The job that takes it further.
    pub async fn job(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Job>> {
        Ok(common::job(ctx, &self.output).await?)
    }

    /// Who asked for it; null when they have left or are not visible to the caller.
    pub async fn created_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Actor>> {
        Ok(common::created_by(ctx, &self.output).await?)
    }

    /// When it was asked for.
    pub async fn created_at(&self) -> DateTime {
        self.output.created_at.into()
    }

    /// What people and programs think of it, newest first, at most 100.
    pub async fn ratings(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Rating>> {
        Ok(common::ratings(ctx, &self.output).await?)
    }

    /// Where it is published.
    async fn channel(&self) -> Channel {
        Channel::Instagram
    }

    /// How it is shown there.
    async fn kind(&self) -> Form {
        self.content.form
    }

    /// Where it stands.
    async fn state(&self, ctx: &Context<'_>) -> async_graphql::Result<State> {
        Ok(self.standing(ctx).await?.state)
    }

    /// By which account; null when none was connected, and without `AGENT_CONFIGURE` where it is connected.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Account>> {
        let Some(id) = self.content.account else { return Ok(None) };
        let found = crate::accounts::graphql::seen(ctx, self.output.organization, id).await?;
        Ok(found.map(Account::new))
    }

    /// The post that it is of; null when it is of none, or that is gone.
    async fn post(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Post>> {
        let Some(post) = self.content.post else { return Ok(None) };
        Ok(match output(ctx, self.output.organization, post.uuid()).await? {
            Some(AgentOutput::Post(post)) => Some(post),
            _ => None,
        })
    }

    /// The files as they are published, in their order, as far as they are there and visible to the caller: those that were
    /// given, or what was made of them to fit.
    async fn assets(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Asset>> {
        let pages = self.content.items.iter().flat_map(|item| &item.pages);
        let made: Vec<AssetId> = pages.map(|page| page.asset).collect();
        let shown = if made.is_empty() { &self.content.assets } else { &made };
        let found = shown.iter().map(|id| loader::asset(ctx, self.output.organization, *id));
        let found = futures_util::future::try_join_all(found).await?;
        Ok(found.into_iter().flatten().map(Asset::new).collect())
    }

    /// The caption. Stories show none.
    async fn caption(&self) -> &str {
        &self.content.caption
    }

    /// When it shall be public; null: at once.
    async fn scheduled_at(&self) -> Option<DateTime> {
        self.content.scheduled_at.map(Into::into)
    }

    /// Who is in the files.
    async fn user_tags(&self) -> Vec<UserTag> {
        self.content.details.tags.iter().map(UserTag::from).collect()
    }

    /// The accounts that are asked to show it as theirs as well.
    async fn collaborators(&self) -> &[String] {
        &self.content.details.collaborators
    }

    /// Where it was: the id of a page on Facebook that has a place.
    async fn location_id(&self) -> Option<&str> {
        self.content.details.location.as_deref()
    }

    /// At how many seconds of the reel its cover is.
    async fn cover_seconds(&self) -> Option<f64> {
        self.content.details.cover.map(|milliseconds| f64::from(milliseconds) / 1_000.0)
    }

    /// The picture of the reel's cover as it is published; null without one, or when it is gone or not visible to the caller.
    async fn cover(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
        let Some(id) = self.content.cover.or(self.content.details.cover_asset) else { return Ok(None) };
        Ok(loader::asset(ctx, self.output.organization, id).await?.map(Asset::new))
    }

    /// Its first comment, and what has become of that; null when it has none.
    async fn first_comment(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<FirstComment>> {
        let Some(text) = self.content.details.comment.clone() else { return Ok(None) };
        let comment::Comment { state, problem, .. } = self.standing(ctx).await?.comment;
        Ok(Some(FirstComment { text, state, problem: problem.map(Into::into) }))
    }

    /// The time zone that its time was given in.
    async fn timezone(&self) -> Option<&str> {
        self.content.timezone.as_deref()
    }

    /// When it became public.
    async fn published_at(&self) -> Option<DateTime> {
        self.content.published_at.map(Into::into)
    }

    /// Where it can be seen; null until Instagram says so, which it may never do.
    async fn permalink(&self) -> Option<Url> {
        self.content.permalink.as_deref().and_then(|link| url::Url::parse(link).ok()).map(Url)
    }

    /// Why it is not, or not yet, public.
    async fn problems(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<PublicationProblem>> {
        Ok(self.standing(ctx).await?.problems.into_iter().map(Into::into).collect())
    }

    /// All of it in one file, once `publicationExport` has had that made: the pictures and videos in their order, the cover,
    /// the caption, the alt texts and the first comment as texts, and everything else in `publication.json`.
    async fn bundle(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Asset>> {
        let organization = self.output.organization;
        let found = {
            let mut tx = ctx.door().read(organization, Action::ContentRead).await?;
            crate::assets::bundle(&mut tx, self.output.id).await?
        };
        let Some(id) = found else { return Ok(None) };
        Ok(loader::asset(ctx, organization, id).await?.map(Asset::new))
    }

    /// What Instagram counts of it, when `publicationMeasure` last asked; null before.
    async fn insights(&self) -> Option<PublicationInsights> {
        self.content.insights.as_ref().map(PublicationInsights::from)
    }

    /// What the account has published in the time that Instagram counts, when it was last asked.
    async fn quota_used(&self) -> Option<i32> {
        self.content.quota.map(|quota| quota.used)
    }

    /// What the account may publish in that time, as Instagram says.
    async fn quota_total(&self) -> Option<i32> {
        self.content.quota.and_then(|quota| quota.total)
    }
}

/// Somebody who is in a picture or video.
#[derive(SimpleObject)]
pub struct UserTag {
    /// Their name on Instagram.
    username: String,
    /// In which file, from 1.
    file: i32,
    /// Where in the picture, from 0 (left) to 1 (right).
    x: Option<f64>,
    /// From 0 (top) to 1 (bottom).
    y: Option<f64>,
}

impl From<&Tag> for UserTag {
    fn from(tag: &Tag) -> Self {
        let part = |thousandths: u16| f64::from(thousandths) / 1_000.0;
        Self {
            username: tag.username.clone(),
            file: i32::try_from(tag.file).unwrap_or(i32::MAX),
            x: tag.place.map(|(x, _)| part(x)),
            y: tag.place.map(|(_, y)| part(y)),
        }
    }
}

/// Somebody who is in a picture or video.
#[derive(InputObject, Serialize)]
struct UserTagInput {
    /// Their name on Instagram, with or without `@`.
    username: String,
    /// In which file, from 1.
    #[graphql(default = 1)]
    file: i32,
    /// Where in the picture, from 0 (left) to 1 (right). A picture needs it, a video has none.
    x: Option<f64>,
    /// From 0 (top) to 1 (bottom).
    y: Option<f64>,
}

impl UserTagInput {
    fn read(&self) -> Result<Tag> {
        // What is no number of a file is out of range as well.
        let file = usize::try_from(self.file).unwrap_or(0);
        Ok(Tag { username: self.username.clone(), file, place: details::place(self.x, self.y)? })
    }
}

/// The comment that is written below a publication when that is public.
#[derive(SimpleObject)]
pub struct FirstComment {
    /// What it says.
    text: String,
    /// Where it stands.
    state: comment::State,
    /// Why it is not, or not yet, there.
    problem: Option<PublicationProblem>,
}

/// What Instagram counts of a publication: whole numbers, up to 48 hours behind. What it does not say is null.
#[derive(SimpleObject)]
pub struct PublicationInsights {
    /// How many accounts have seen it.
    reach: Option<f64>,
    /// How often it was seen.
    views: Option<f64>,
    /// Likes.
    likes: Option<f64>,
    /// Comments.
    comments: Option<f64>,
    /// How often it was saved.
    saved: Option<f64>,
    /// How often it was shared.
    shares: Option<f64>,
    /// When Instagram was asked.
    measured_at: DateTime,
}

impl From<&Insights> for PublicationInsights {
    #[expect(clippy::cast_precision_loss, reason = "nothing is seen 2^52 times")]
    fn from(insights: &Insights) -> Self {
        let number = |figure: Option<u64>| figure.map(|figure| figure as f64);
        Self {
            reach: number(insights.reach),
            views: number(insights.views),
            likes: number(insights.likes),
            comments: number(insights.comments),
            saved: number(insights.saved),
            shares: number(insights.shares),
            measured_at: insights.measured_at.into(),
        }
    }
}

/// Why something is not, or not yet, public.
#[derive(SimpleObject)]
pub struct PublicationProblem {
    /// In a word, for programs.
    code: String,
    /// As a sentence.
    message: String,
    /// What to do about it.
    remedy: String,
    /// Whether it is tried again by itself.
    retryable: bool,
}

impl From<Problem> for PublicationProblem {
    fn from(problem: Problem) -> Self {
        let Problem { code, message, remedy, retryable, .. } = problem;
        Self { code, message, remedy, retryable }
    }
}

/// What is published.
#[derive(InputObject, Serialize)]
struct InstagramPublishInput {
    /// In which project.
    project_id: ID,
    /// Nothing is generated, so that there is no engine but `builtin`; leave it out.
    engine: Option<EngineInput>,
    /// Nothing is left to chance: it changes nothing.
    seed: Option<i32>,
    /// Holds the answer up to 25 s; the job is always returned. What is scheduled is not waited for.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// By which account; the project's one, else the organization's one, when absent.
    account_id: Option<ID>,
    /// The post that it is of: an approved one, with its caption. It becomes PUBLISHED or FAILED with it.
    post_id: Option<ID>,
    /// The files, 1 to 10 in their order. Pictures that do not fit are made into JPEGs that do.
    asset_ids: Vec<ID>,
    /// The caption, at most 2,200 characters with 30 hashtags and 20 mentions; stories show none.
    caption: String,
    /// How it is shown.
    #[graphql(default_with = "Form::Feed")]
    kind: Form,
    /// Who is in the files, at most 20 in all; not in stories.
    user_tags: Option<Vec<UserTagInput>>,
    /// Names of at most 3 accounts that are asked to show it as theirs as well; of `FEED` and `REEL`.
    collaborators: Option<Vec<String>>,
    /// Where it was: the id of a page on Facebook that has a place; not of stories.
    location_id: Option<String>,
    /// At how many seconds of a `REEL` its cover is; Instagram chooses when absent.
    cover_seconds: Option<f64>,
    /// The picture that is the cover of a `REEL`, instead of a moment of it; made into a JPEG when it is none. Instagram shows
    /// the middle of it, 9:16.
    cover_asset_id: Option<ID>,
    /// A comment that is written below it when it is public, at most 2,200 characters with 20 mentions; its hashtags and the
    /// caption's are at most 30 together. Not of stories. It needs a token that may manage comments.
    first_comment: Option<String>,
    /// When it shall be public; at once when absent.
    scheduled_at: Option<DateTime>,
    /// The time zone that the time was chosen in, as an IANA name such as `Europe/Berlin`, for whoever reads it.
    timezone: Option<String>,
    /// Publishes the same once more, though the account has done so within 24 hours.
    #[graphql(default = false)]
    allow_duplicate: bool,
}

impl InstagramPublishInput {
    fn details(&self) -> Result<Details> {
        Ok(Details {
            tags: self.user_tags.iter().flatten().map(UserTagInput::read).collect::<Result<_>>()?,
            collaborators: self.collaborators.clone().unwrap_or_default(),
            location: self.location_id.clone(),
            cover: self.cover_seconds.map(details::cover).transpose()?,
            cover_asset: self.cover_asset_id.as_ref().map(|id| input_id("coverAssetId", id)).transpose()?,
            comment: self.first_comment.clone(),
        })
    }
}

/// What publishing is answered with.
#[derive(Default, SimpleObject)]
pub struct InstagramPublishPayload {
    /// The job that takes it further; cancelling it works until it is being made public.
    job: Option<Job>,
    /// The publication, as it stands.
    publication: Option<Publication>,
    /// The project, whose list of outputs changes.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// Which publication is made into one file.
#[derive(InputObject, Serialize)]
struct PublicationExportInput {
    /// The publication.
    id: ID,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// What exporting is answered with.
#[derive(Default, SimpleObject)]
pub struct PublicationExportPayload {
    /// The job that makes the file; null when it is there already.
    job: Option<Job>,
    /// The publication; its `bundle` is there when the job has succeeded.
    publication: Option<Publication>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// Which publication is measured.
#[derive(InputObject)]
struct PublicationMeasureInput {
    /// The publication.
    id: ID,
}

/// What measuring is answered with.
#[derive(Default, SimpleObject)]
pub struct PublicationMeasurePayload {
    /// The publication with its `insights`.
    publication: Option<Publication>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(InstagramPublishPayload, PublicationExportPayload, PublicationMeasurePayload);

/// How old figures are at the least that are asked for again.
const FRESH: TimeDelta = TimeDelta::minutes(1);

/// The publication that a mutation names, and whose it is.
async fn named(ctx: &Context<'_>, id: &ID) -> Result<(OrganizationId, Publication)> {
    let (organization, found) = place(ctx, id).await?;
    if let AgentOutput::Publication(publication) = found {
        return Ok((organization, publication));
    }
    let message = "`id` is not a publication's id. One looks like `pub_01jd3x8r5nf6xr8m2zq0v7k9we`.";
    Err(Error::fault(Fault::at(FaultCode::Invalid, "id", message)))
}

/// A publication as it is now.
async fn again(ctx: &Context<'_>, organization: OrganizationId, id: Uuid) -> Result<Option<Publication>> {
    Ok(match output(ctx, organization, id).await? {
        Some(AgentOutput::Publication(publication)) => Some(publication),
        _ => None,
    })
}

/// Publishing on Instagram.
#[derive(Default)]
pub struct InstagramMutation;

#[Object]
impl InstagramMutation {
    /// Publishes pictures and videos on Instagram, now or later. What Instagram would refuse is found before it is asked;
    /// without a connected account it ends ready. Requires: `CONTENT_PUBLISH` and `AGENT_USE`, and `CONTENT_READ` for the
    /// files and the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `CONFLICT`, `IDEMPOTENCY_KEY_REUSED`,
    /// `QUOTA_EXCEEDED`; of the job `INVALID`, `EXPIRED`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::PublicationCreate, &input.project_id)")]
    async fn instagram_publish(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is published.")] input: InstagramPublishInput,
    ) -> async_graphql::Result<Option<InstagramPublishPayload>> {
        let outcome = async {
            let missing = not_found_at("projectId");
            let door = ctx.door();
            let project: ProjectId =
                door.named_project("projectId", input_id("projectId", &input.project_id)?)?;
            let organization = door.tenant().await.map_err(&missing)?;
            if input.engine.as_ref().is_some_and(|engine| engine.provider() != BUILTIN) {
                let message = "Publishing has no engine. Leave `engine` out.";
                return Err(Error::fault(Fault::at(FaultCode::Invalid, "engine.provider", message)));
            }
            let assets = input.asset_ids.iter().map(|id| input_id("assetIds", id));
            let asked = Asked::parse(
                input.kind,
                (
                    input.account_id.as_ref().map(|id| input_id("accountId", id)).transpose()?,
                    input.post_id.as_ref().map(|id| input_id("postId", id)).transpose()?,
                ),
                assets.collect::<Result<Vec<AssetId>>>()?,
                (&input.caption, input.details()?),
                (input.scheduled_at.map(|at| at.0), input.timezone.as_deref()),
                input.allow_duplicate,
            )?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            // It takes an agent as well, and the job will have to be allowed both.
            drop(door.write_in(organization, project, Action::AgentRun).await.map_err(&missing)?);
            let mut tx =
                door.write_in(organization, project, Action::PublicationCreate).await.map_err(&missing)?;
            let (id, made) = super::order(&mut tx, project, asked, key.as_ref()).await?;
            if let Some((id, publication)) = made {
                let changes = Changes::made(&logged(&publication));
                tx.commit(Record::with(target(id, Some(project)), changes)).await?;
            } else {
                drop(tx);
            }
            let job = started(ctx, organization, id, input.wait && input.scheduled_at.is_none()).await?;
            let result = job.as_ref().and_then(|job| job.result);
            Ok(InstagramPublishPayload {
                job: job.map(Job::new),
                publication: match result {
                    Some(result) => again(ctx, organization, result).await?,
                    None => None,
                },
                project: loader::project(ctx, organization, project).await?.map(Project::new),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Has all of a publication put into one file, for whoever has no account connected or publishes by hand; its files have
    /// at most 100 MiB together. It is made once. Requires: `AGENT_USE` and `CONTENT_READ`.
    /// Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`, `OUT_OF_RANGE`, `IDEMPOTENCY_KEY_REUSED`; of the job `QUOTA_EXCEEDED`.
    #[graphql(guard = "Requires::Here(Action::PublicationExport, &input.id)")]
    async fn publication_export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which publication.")] input: PublicationExportInput,
    ) -> async_graphql::Result<Option<PublicationExportPayload>> {
        let outcome = async {
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let (organization, found) = named(ctx, &input.id).await?;
            let Output { id, project, .. } = found.output;
            let of = PublicationId::from(id);
            let missing = not_found_at("id");
            let mut tx = ctx
                .door()
                .write_within(organization, project, Action::PublicationExport)
                .await
                .map_err(&missing)?;
            let ordered = export::order(&mut tx, (of, project), &found.content, key.as_ref()).await?;
            if ordered.is_some_and(|(_, is_new)| is_new) {
                tx.commit(Record::of(target(of, project))).await?;
            } else {
                drop(tx);
            }
            let job = match ordered {
                Some((job, _)) => started(ctx, organization, job, input.wait).await?,
                None => None,
            };
            Ok(PublicationExportPayload {
                job: job.map(Job::new),
                publication: again(ctx, organization, id).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Asks Instagram what it counts of a publication that is public, at most once a minute. Several stories are not
    /// measured together. Requires: `AGENT_USE` and `CONTENT_READ`.
    /// Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`, `PROVIDER_FAILED`.
    #[graphql(guard = "Requires::Here(Action::PublicationMeasure, &input.id)")]
    async fn publication_measure(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which publication.")] input: PublicationMeasureInput,
    ) -> async_graphql::Result<Option<PublicationMeasurePayload>> {
        let outcome = async {
            let (organization, found) = named(ctx, &input.id).await?;
            let Output { id, project, .. } = found.output;
            let missing = not_found_at("id");
            let door = ctx.door();
            let write = async || {
                door.write_within(organization, project, Action::PublicationMeasure).await.map_err(&missing)
            };
            // Whoever may not write is refused before anything is asked.
            drop(write().await?);
            let known = found.content.insights.as_ref().map(|insights| insights.measured_at);
            if known.is_none_or(|at| Utc::now() - at >= FRESH) {
                let insights = measure(ctx, organization, &found.content).await?;
                let mut tx = write().await?;
                let changes = super::measured(&mut tx, id, insights).await.map_err(&missing)?;
                tx.commit(Record::with(target(id.into(), project), changes)).await?;
            }
            Ok(PublicationMeasurePayload {
                publication: again(ctx, organization, id).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// Asks for the figures of what is public. Nothing is held meanwhile.
async fn measure(
    ctx: &Context<'_>,
    organization: OrganizationId,
    publication: &machine::Publication,
) -> Result<Insights> {
    let conflict = |message: &str| Error::fault(Fault::at(FaultCode::Conflict, "id", message));
    if publication.state != State::Published || !publication.is_settled() {
        return Err(insights::unsettled());
    }
    let media = match publication.items.as_slice() {
        [item] => item.media.as_deref().ok_or_else(|| {
            conflict(
                "Instagram's answer with the id of the post was lost, so that it cannot be asked about it.",
            )
        })?,
        _ => return Err(conflict("Several stories have no figures together.")),
    };
    let door = ctx.door();
    let connected = {
        let mut tx = door.read(organization, Action::PublicationMeasure).await?;
        let accounts = ctx.data_unchecked::<Arc<Accounts>>();
        match publication.account {
            Some(account) => accounts.connected(&mut tx, account).await?,
            None => None,
        }
    };
    let connected =
        connected.ok_or_else(|| conflict("The account that it was published by has been disconnected."))?;
    door.lease().release().await;
    if let Ok(turn) = ctx.data::<Turn>() {
        turn.give_up();
    }
    insights::measure(&connected, media, publication.form).await.map_err(|trouble| {
        let Problem { message, remedy, retryable, said, .. } = errors::meaning(&trouble).problem;
        // Nobody does it again by itself here.
        let remedy = if retryable { "Ask again later." } else { remedy.as_str() };
        let detail = Detail::Provider { provider: "instagram".to_owned(), provider_code: said, retryable };
        Error::fault(Fault::new(FaultCode::ProviderFailed, format!("{message} {remedy}")).with(detail))
    })
}
