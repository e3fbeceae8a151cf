//! What agents leave behind, as the schema shows it.

use async_graphql::{Context, ID, InputObject, Interface, Object, SimpleObject};
use uuid::Uuid;

use super::Output;
use super::qa::graphql::QaAnswer;
use crate::access::{Action, Permission, Scope};
use crate::audit::graphql::Actor;
use crate::db::page::PageArgs;
use crate::db::{Changes, ReadTx, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{AnswerId, OrganizationId, ProjectId};
use crate::identity::graphql::User;
use crate::jobs::AgentKind;
use crate::jobs::graphql::{Job, actor};
use crate::projects::graphql::Project;

/// What every agent leaves behind.
#[derive(Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "The output's id."),
    field(name = "project", ty = "Option<Project>", desc = "The project that it was made in."),
    field(name = "job", ty = "Option<Job>", desc = "The job that made it."),
    field(name = "created_by", ty = "Option<Actor>", desc = "Who asked for it."),
    field(name = "created_at", ty = "DateTime", desc = "When it was made."),
    field(
        name = "ratings",
        ty = "Vec<Rating>",
        desc = "What people and programs think of it, newest first, at most 100."
    )
)]
pub enum AgentOutput {
    /// An answer to a question.
    QaAnswer(QaAnswer),
}

impl Node for AgentOutput {}

impl AgentOutput {
    const fn common(&self) -> &Output {
        match self {
            Self::QaAnswer(answer) => answer.common(),
        }
    }
}

/// Somebody's judgement of an output.
#[derive(SimpleObject)]
pub struct Rating {
    /// 1 to 5.
    stars: i32,
    /// Why.
    comment: Option<String>,
    /// Whose; null for a program's, or when the person has left or is not visible to the caller.
    by: Option<User>,
    /// When.
    at: DateTime,
}

/// The fields that all outputs have; each type's own file hands them on.
pub(crate) mod common {
    use super::{Action, Actor, Context, Job, Output, Project, Rating, Result, User, actor, loader};
    use crate::graphql::context::ContextExt as _;
    use crate::id::UserId;

    /// The project that an output was made in.
    pub async fn project(ctx: &Context<'_>, output: &Output) -> Result<Option<Project>> {
        let Some(project) = output.project else { return Ok(None) };
        Ok(loader::project(ctx, output.organization, project).await?.map(Project::new))
    }

    /// The job that made it.
    pub async fn job(ctx: &Context<'_>, output: &Output) -> Result<Option<Job>> {
        Ok(loader::job(ctx, output.organization, output.job).await?.map(Job::new))
    }

    /// Who asked for it.
    pub async fn created_by(ctx: &Context<'_>, output: &Output) -> Result<Option<Actor>> {
        actor(ctx, output.organization, output.created_by, output.created_by_key).await
    }

    /// Its ratings.
    pub async fn ratings(ctx: &Context<'_>, output: &Output) -> Result<Vec<Rating>> {
        let rows = {
            let mut tx = ctx.door().read(output.organization, Action::ContentRead).await?;
            super::super::ratings(&mut tx, output.id).await?
        };
        let mut ratings = Vec::with_capacity(rows.len());
        for row in rows {
            let by = if row.by_key {
                None
            } else {
                loader::user(ctx, output.organization, UserId::from(row.actor)).await?
            };
            ratings.push(Rating {
                stars: i32::from(row.stars),
                comment: row.comment,
                by: by.map(|row| User::in_organization(row, output.organization)),
                at: row.at.into(),
            });
        }
        Ok(ratings)
    }
}

/// Outputs with what is special to their agents, in their order.
async fn read(tx: &mut ReadTx<'_>, outputs: Vec<Output>) -> Result<Vec<AgentOutput>> {
    // One agent so far: with the next one, each reads its own and they are put in order again.
    let answers = super::qa::find_many(tx, outputs).await?;
    Ok(answers.into_iter().map(|answer| AgentOutput::QaAnswer(QaAnswer::new(answer))).collect())
}

/// One output of an organization, as far as the caller may read content where it was made.
///
/// # Errors
/// What the database says.
pub async fn output(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: Uuid,
) -> Result<Option<AgentOutput>> {
    let find = async |tx: &mut ReadTx<'_>| {
        let found = super::find_many(tx, &[id]).await?;
        read(tx, found).await
    };
    let project = |output: &AgentOutput| output.common().project;
    Ok(ctx.door().read_seen(organization, Action::ContentRead, find, project).await?.pop())
}

/// Which outputs; what is absent does not matter.
#[derive(InputObject)]
pub struct OutputFilter {
    /// Only this agent's.
    agent: Option<AgentKind>,
    /// Only those made at this moment or later.
    since: Option<DateTime>,
    /// Only those that somebody has rated with so many stars or more, 1 to 5.
    min_stars: Option<i32>,
}

impl OutputFilter {
    fn read(self, project: Option<ProjectId>) -> Result<super::Filter> {
        let min_stars = match self.min_stars {
            None => None,
            Some(stars) => {
                Some(i16::try_from(stars).ok().filter(|stars| (1..=5).contains(stars)).ok_or_else(|| {
                    Error::fault(Fault {
                        field: Some(vec!["filter".into(), "minStars".into()]),
                        ..Fault::new(FaultCode::OutOfRange, "`minStars` is a number from 1 to 5.")
                    })
                })?)
            }
        };
        Ok(super::Filter { project, agent: self.agent, since: self.since.map(|time| time.0), min_stars })
    }
}

/// A page of what agents have made in an organization, or in one project; none when the caller may not read content
/// there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
    args: &PageArgs,
    filter: Option<OutputFilter>,
) -> Result<Option<Connection<AgentOutput>>> {
    let door = ctx.door();
    let may = |scope: &Scope| scope.may_list(project, Permission::ContentRead);
    let Some(mut tx) = door.read_if(organization, Action::ContentRead, may).await? else { return Ok(None) };
    let filter = match filter {
        None => super::Filter { project, ..super::Filter::default() },
        Some(filter) => filter.read(project)?,
    };
    let word = format!("{filter:?}");
    let seal = door.seal(&["outputs", &organization.to_string(), &word]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page, filter).await?;
    let (has_next, has_previous) = (slice.has_next, slice.has_previous);
    let items = read(&mut tx, slice.items).await?;
    drop(tx);
    let count: Counter = Box::new(move |ctx| {
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::ContentRead).await?;
            super::count(&mut tx, filter).await.map(Some)
        })
    });
    let slice = crate::db::page::Slice { items, has_next, has_previous };
    Ok(Some(connect(slice, &seal, count, |output| output.common().id, |output| output)))
}

/// A rating.
#[derive(InputObject)]
struct OutputRateInput {
    /// What is rated.
    id: ID,
    /// 1 to 5.
    stars: i32,
    /// Why, at most 2,000 characters.
    comment: Option<String>,
}

/// Which output.
#[derive(InputObject)]
struct OutputDeleteInput {
    /// The output.
    id: ID,
}

/// What rating is answered with.
#[derive(Default, SimpleObject)]
pub struct OutputRatePayload {
    /// What was rated.
    output: Option<AgentOutput>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting an output is answered with.
#[derive(Default, SimpleObject)]
pub struct OutputDeletePayload {
    /// The id of what is gone.
    deleted_output_id: Option<ID>,
    /// The project, whose list of outputs has changed; null when it was made in none.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(OutputRatePayload, OutputDeletePayload);

/// The stored id in an output's id on the wire, whichever agent's it is.
fn output_id(id: &ID) -> Result<Uuid> {
    // One agent so far; the next one's prefix is told apart here.
    Ok(input_id::<AnswerId>("id", id)?.uuid())
}

/// The output that a mutation names, and where it is.
async fn place(ctx: &Context<'_>, id: Uuid) -> Result<(OrganizationId, Option<ProjectId>)> {
    let missing = not_found_at("id");
    let organization = ctx.door().tenant().await.map_err(&missing)?;
    let found = output(ctx, organization, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
    Ok((organization, found.common().project))
}

/// Judging and deleting what agents have made.
#[derive(Default)]
pub struct OutputMutation;

#[Object]
impl OutputMutation {
    /// Rates what an agent has made; the caller's earlier rating is replaced. Requires: `CONTENT_READ`.
    /// Codes: `NOT_FOUND`, `INVALID`, `OUT_OF_RANGE`, `TOO_LONG`.
    #[graphql(guard = "Requires::Here(Action::OutputRate, &input.id)")]
    async fn output_rate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rating.")] input: OutputRateInput,
    ) -> async_graphql::Result<Option<OutputRatePayload>> {
        let outcome = async {
            let id = output_id(&input.id)?;
            let missing = not_found_at("id");
            let (organization, project) = place(ctx, id).await?;
            let mut tx =
                ctx.door().write_within(organization, project, Action::OutputRate).await.map_err(&missing)?;
            super::rate(&mut tx, id, input.stars, input.comment.as_deref()).await.map_err(&missing)?;
            let changes = Changes::made(&serde_json::json!({"stars": input.stars, "comment": input.comment}));
            let target = Target::answer(id.into()).within(project);
            tx.commit(Record::with(target, changes)).await?;
            Ok(OutputRatePayload { output: output(ctx, organization, id).await?, user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes what an agent has made, with its citations and ratings. Its job stays. Requires: `CONTENT_DELETE`.
    /// Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::OutputDelete, &input.id)")]
    async fn output_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which output.")] input: OutputDeleteInput,
    ) -> async_graphql::Result<Option<OutputDeletePayload>> {
        let outcome = async {
            let id = output_id(&input.id)?;
            let missing = not_found_at("id");
            let (organization, project) = place(ctx, id).await?;
            let mut tx = ctx
                .door()
                .write_within(organization, project, Action::OutputDelete)
                .await
                .map_err(&missing)?;
            super::delete(&mut tx, id).await.map_err(&missing)?;
            let target = Target::answer(id.into()).within(project);
            tx.commit(Record::of(target)).await?;
            let project = match project {
                None => None,
                Some(project) => loader::project(ctx, organization, project).await?.map(Project::new),
            };
            Ok(OutputDeletePayload {
                deleted_output_id: Some(input.id.clone()),
                project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// An output of the request's organization, by its id on the wire.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: AnswerId) -> Result<Option<AgentOutput>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    output(ctx, organization, id.uuid()).await
}
