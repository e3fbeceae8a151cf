//! Publications, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::comment;
use super::details::{self, Details, Tag};
use super::errors::Problem;
use super::machine::{self, Form, State};
use super::{Asked, logged, target};
use crate::access::Action;
use crate::accounts::graphql::Account;
use crate::agents::Output;
use crate::agents::channel::Channel;
use crate::agents::graphql::{AgentOutput, EngineInput, Rating, common, output, started};
use crate::agents::posts::graphql::Post;
use crate::assets::graphql::Asset;
use crate::audit::graphql::Actor;
use crate::db::{Changes, Record};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Url};
use crate::id::{AssetId, ProjectId, PublicationId};
use crate::idempotency;
use crate::jobs::graphql::Job;
use crate::projects::graphql::Project;
use crate::providers::BUILTIN;

/// Something on its way to being public on Instagram, or public there.
pub struct Publication {
    output: Output,
    content: machine::Publication,
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
            return Ok(content);
        }
        let job = loader::job(ctx, self.output.organization, self.output.job).await?;
        Ok(super::standing(content, job))
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

payloads!(InstagramPublishPayload);

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
                    Some(result) => match output(ctx, organization, result).await? {
                        Some(AgentOutput::Publication(publication)) => Some(publication),
                        _ => None,
                    },
                    None => None,
                },
                project: loader::project(ctx, organization, project).await?.map(Project::new),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
