//! What agents leave behind, as the schema shows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, ID, InputObject, Interface, MergedObject, Object, SimpleObject};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::Output;
use super::affirmations::Affirmations;
use super::affirmations::graphql::{AffirmationSet, AffirmationsMutation};
use super::agent::{self, Agent, Unseeded};
use super::hashtags::Hashtags;
use super::hashtags::graphql::{HashtagSet, HashtagsMutation};
use super::instagram::graphql::{InstagramMutation, Publication};
use super::posts::Posts;
use super::posts::graphql::{Post, PostsMutation};
use super::qa::conversations::graphql::ConversationMutation;
use super::qa::graphql::{QaAnswer, QaMutation};
use super::strategy::Strategies;
use super::strategy::graphql::{ContentStrategy, StrategyMutation};
use super::videos::Videos;
use super::videos::graphql::{Video, VideoMutation};
use super::visuals::Visuals;
use super::visuals::graphql::{VisualMutation, VisualPost};
use super::workflow::graphql::{ContentWorkflowRun, WorkflowMutation};
use super::workflow::templates::graphql::TemplateMutation;
use crate::access::{Action, Permission, Scope};
use crate::audit::graphql::Actor;
use crate::db::page::PageArgs;
use crate::db::{Changes, ReadTx, Record, Target, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::events::Topic;
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::graphql::turn::Turn;
use crate::id::{
    AccountId, AnswerId, AssetId, DocumentId, JobId, OrganizationId, PeriodId, ProjectId, PublicationId,
    WireId, WorkflowRunId,
};
use crate::identity::graphql::User;
use crate::jobs::AgentKind;
use crate::jobs::graphql::{Job, actor};
use crate::projects::graphql::Project;
use crate::providers::{BUILTIN, Providers, Wanted};
use crate::{accounts, assets, idempotency, jobs, knowledge, periods};

/// What agents are asked to make, and what becomes of it.
#[derive(Default, MergedObject)]
pub struct AgentMutation(
    QaMutation,
    ConversationMutation,
    AffirmationsMutation,
    HashtagsMutation,
    PostsMutation,
    StrategyMutation,
    InstagramMutation,
    VisualMutation,
    VideoMutation,
    WorkflowMutation,
    TemplateMutation,
    OutputMutation,
    RepeatMutation,
);

/// Declares what agents leave behind, each with its ids, and with its agent when it is read as a whole.
macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident, $id:ty $(, $kind:ident)?;)*) => {
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
            $($(#[$doc])* $name($name),)*
        }

        impl AgentOutput {
            pub(crate) const fn common(&self) -> &Output {
                match self {
                    $(Self::$name(output) => output.common(),)*
                }
            }

            /// The type and the id on the wire.
            fn name(&self) -> (&'static str, String) {
                match self {
                    $(Self::$name(output) => (<$id>::KIND, <$id>::from(output.common().id).to_string()),)*
                }
            }

            /// Reads an output that has its content with it. Answers have tables of their own.
            fn read(output: Output) -> Result<Option<Self>> {
                Ok(match output.agent {
                    AgentKind::Qa => None,
                    $($(AgentKind::$kind => Some(Self::$name($name::read(output)?)),)?)*
                })
            }
        }

        impl From<AgentOutput> for crate::graphql::node::Node {
            fn from(output: AgentOutput) -> Self {
                match output {
                    $(AgentOutput::$name(output) => Self::$name(output),)*
                }
            }
        }

        /// The prefixes of outputs' ids.
        const PREFIXES: &[&str] = &[$(<$id>::PREFIX,)*];
    };
}

outputs! {
    /// An answer to a question.
    QaAnswer, AnswerId;
    /// A set of affirmations.
    AffirmationSet, <Affirmations as Agent>::Id, Affirmations;
    /// A set of hashtags.
    HashtagSet, <Hashtags as Agent>::Id, HashtagResearch;
    /// A post.
    Post, <Posts as Agent>::Id, PostComposition;
    /// A content strategy.
    ContentStrategy, <Strategies as Agent>::Id, ContentStrategy;
    /// Something published.
    Publication, PublicationId, InstagramPoster;
    /// Pictures with text.
    VisualPost, <Visuals as Agent>::Id, VisualPost;
    /// A video.
    Video, <Videos as Agent>::Id, Video;
    /// A run of a workflow.
    ContentWorkflowRun, WorkflowRunId, ContentWorkflow;
}

impl Node for AgentOutput {}

impl AgentOutput {
    /// What the audit log says was done something to.
    pub(crate) fn target(&self) -> Target {
        let (kind, id) = self.name();
        Target::output(kind, id).within(self.common().project)
    }
}

/// Whether an id on the wire is an output's.
pub fn is_output(id: &ID) -> bool {
    id.split('_').next().is_some_and(|prefix| PREFIXES.contains(&prefix))
}

/// Declares an output that is read as a whole: a struct of the output's row and its agent's content, with the fields that
/// all outputs have and those of its own.
macro_rules! agent_output {
    ($(#[$doc:meta])* $name:ident($agent:ty) { $($fields:tt)* }) => {
        $crate::agents::graphql::agent_output! {
            $(#[$doc])*
            $name of <$agent as $crate::agents::agent::Agent>::Content,
            <$agent as $crate::agents::agent::Agent>::Id { $($fields)* }
        }
    };
    ($(#[$doc:meta])* $name:ident of $content:ty, $id:ty { $($fields:tt)* }) => {
        $(#[$doc])*
        pub struct $name {
            output: $crate::agents::Output,
            content: $content,
        }

        impl $name {
            /// The output of a row.
            ///
            /// # Errors
            /// When the database holds what the agent cannot have written.
            pub fn read(mut output: $crate::agents::Output) -> $crate::error::Result<Self> {
                let content = $crate::agents::agent::read(&mut output)?;
                Ok(Self { output, content })
            }

            /// What all outputs have.
            pub(crate) const fn common(&self) -> &$crate::agents::Output {
                &self.output
            }
        }

        impl $crate::graphql::connection::Node for $name {}

        $(#[$doc])*
        #[async_graphql::Object]
        impl $name {
            /// The output's id.
            pub async fn id(&self) -> async_graphql::ID {
                async_graphql::ID(<$id>::from(self.output.id).to_string())
            }

            /// The project that it was made in.
            pub async fn project(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::projects::graphql::Project>> {
                Ok($crate::agents::graphql::common::project(ctx, &self.output).await?)
            }

            /// The job that made it.
            pub async fn job(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::jobs::graphql::Job>> {
                Ok($crate::agents::graphql::common::job(ctx, &self.output).await?)
            }

            /// Who asked for it; null when they have left or are not visible to the caller.
            pub async fn created_by(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::audit::graphql::Actor>> {
                Ok($crate::agents::graphql::common::created_by(ctx, &self.output).await?)
            }

            /// When it was made.
            pub async fn created_at(&self) -> $crate::graphql::scalars::DateTime {
                self.output.created_at.into()
            }

            /// What people and programs think of it, newest first, at most 100.
            pub async fn ratings(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::agents::graphql::Rating>> {
                Ok($crate::agents::graphql::common::ratings(ctx, &self.output).await?)
            }

            $($fields)*
        }
    };
}
pub(crate) use agent_output;

/// Which engine shall work.
#[derive(InputObject, Serialize)]
pub struct EngineInput {
    /// `builtin`, the name of a provider that the organization has set up, or the server's `openai` or `anthropic`.
    provider: String,
    /// The provider's model; needed with a provider that is set up without one, and the built-in engine has none.
    model: Option<String>,
    /// Whether the built-in engine may work when the provider does not; the result says which one did.
    #[graphql(default = false)]
    fallback_to_builtin: bool,
}

impl EngineInput {
    /// What it names.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }
}

impl From<&EngineInput> for Wanted {
    fn from(input: &EngineInput) -> Self {
        Self {
            provider: input.provider.clone(),
            model: input.model.clone(),
            fallback: input.fallback_to_builtin,
            own: None,
            kind: None,
        }
    }
}

/// An input that nothing was made from.
#[derive(SimpleObject)]
pub struct UnusedInput {
    /// The input.
    input: String,
    /// Why, as a sentence.
    reason: String,
}

impl From<super::text::UnusedInput> for UnusedInput {
    fn from(unused: super::text::UnusedInput) -> Self {
        Self { input: unused.input, reason: unused.reason }
    }
}

/// What every agent's mutation is given beside what its agent is asked.
pub(crate) struct Given<'a> {
    pub project: &'a ID,
    pub period: Option<PeriodId>,
    pub account: Option<AccountId>,
    pub documents: Option<&'a [DocumentId]>,
    /// With the fields that name them.
    pub assets: &'a [(&'static str, AssetId)],
    /// Earlier outputs of the same project that it works from, with the fields that name them.
    pub outputs: &'a [(&'static str, AgentKind, Uuid)],
    pub engine: Option<&'a EngineInput>,
    pub seed: Option<i32>,
    pub wait: bool,
    pub key: Option<&'a str>,
}

/// What has come of an order by the time it is answered.
pub(crate) struct Ordered {
    pub job: Option<Job>,
    pub output: Option<AgentOutput>,
    pub project: Option<Project>,
}

/// Has an agent work: writes the job and its audit row, and waits for the result when the caller does. `whole` is the
/// mutation's input, by which an idempotency key is told from another call's.
pub(crate) async fn order<A: Agent>(
    ctx: &Context<'_>,
    given: Given<'_>,
    whole: &impl Serialize,
    mut input: A::Input,
) -> Result<Ordered> {
    let missing = not_found_at("projectId");
    let door = ctx.door();
    let project: ProjectId = door.named_project("projectId", input_id("projectId", given.project)?)?;
    let organization = door.tenant().await.map_err(&missing)?;
    let key = idempotency::Key::parse(given.key, whole)?;
    let mut tx = door.write_in(organization, project, Action::AgentRun).await.map_err(&missing)?;
    let engine = engine_for::<A>(ctx, &mut tx, project, given.engine, &mut input).await?;
    if let Some(period) = given.period
        && periods::find(&mut tx, period).await?.is_none()
    {
        return Err(not_found_at("periodId")(Error::NotFound));
    }
    if let Some(account) = given.account {
        accounts::require(&mut tx, project, account).await?;
    }
    if let Some(documents) = given.documents {
        knowledge::require(&mut tx, Some(project), "sourceDocumentIds", documents).await?;
    }
    for (field, asset) in given.assets {
        assets::require(&mut tx, project, field, &[*asset]).await?;
    }
    for (field, agent, id) in given.outputs {
        let found = super::find_many(&mut tx, &[*id]).await?;
        if !found.iter().any(|found| found.agent == *agent && found.project == Some(project)) {
            let message = "There is no such output in this project, or it is not visible to you.";
            return Err(Error::fault(Fault::at(FaultCode::NotFound, field, message)));
        }
    }
    let provider = engine_name(engine.as_ref()).to_owned();
    let order = Unseeded { project, engine, seed: given.seed, input };
    let (id, new) = agent::enqueue::<A>(&mut tx, order, key.as_ref()).await?;
    if new {
        let changes = Changes::made(&serde_json::json!({"agent": A::KIND.as_str(), "engine": provider}));
        tx.commit(Record::with(Target::job(id).within(Some(project)), changes)).await?;
    } else {
        drop(tx);
    }
    let job = started(ctx, organization, id, given.wait).await?;
    let result = job.as_ref().and_then(|job| job.result);
    Ok(Ordered {
        output: match result {
            Some(result) => output(ctx, organization, result).await?,
            None => None,
        },
        job: job.map(Job::new),
        project: loader::project(ctx, organization, project).await?.map(Project::new),
    })
}

/// The engine that an order of an agent's goes to: the one that is named, else the route's; none for the built-in one. It suits
/// the input, and so does whoever that names.
pub(crate) async fn engine_for<A: Agent>(
    ctx: &Context<'_>,
    tx: &mut WriteTx<'_>,
    project: ProjectId,
    named: Option<&EngineInput>,
    input: &mut A::Input,
) -> Result<Option<Wanted>> {
    let providers = ctx.data_unchecked::<Arc<Providers>>();
    let engine = if A::asks(input) {
        Wanted::choose(named.map(Wanted::from), tx, providers, (Some(project), A::KIND)).await?
    } else {
        builtin_only(named)?;
        None
    };
    if engine.as_ref().is_none_or(|wanted| !wanted.fallback) {
        A::suits(input, engine.as_ref().and_then(|wanted| wanted.kind))?;
    }
    A::engage(input, tx, providers).await?;
    Ok(engine)
}

/// What the audit log calls an engine.
pub(crate) fn engine_name(engine: Option<&Wanted>) -> &str {
    engine.map_or(BUILTIN, |wanted| wanted.provider.as_str())
}

/// Refuses a provider for an agent that no model can do the work of, unless the built-in engine may work as well.
fn builtin_only(engine: Option<&EngineInput>) -> Result<()> {
    if engine.is_none_or(|engine| engine.provider == BUILTIN || engine.fallback_to_builtin) {
        return Ok(());
    }
    let message = "Only the built-in engine does this. Leave `engine` out.";
    Err(Error::fault(Fault::at(FaultCode::ProviderNotConfigured, "engine.provider", message)))
}

/// How long a result is waited for; a request's own deadline is a little later.
const WAIT: Duration = Duration::from_secs(25);

/// The job that the caller has just started; when they wait, once it has ended. They may see it whatever else they may.
pub(crate) async fn started(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: JobId,
    wait: bool,
) -> Result<Option<jobs::Job>> {
    let find = async || {
        let mut tx = ctx.door().read(organization, Action::AgentRun).await?;
        jobs::find(&mut tx, id).await
    };
    if !wait {
        return find().await;
    }
    let lease = ctx.door().lease();
    let mut watch = lease.events().watch(Topic::Job(organization, id));
    let end = Instant::now() + WAIT;
    if let Ok(turn) = ctx.data::<Turn>() {
        turn.give_up();
    }
    loop {
        let job = find().await?;
        // What waits for an approval may wait for days.
        let waits_for_people =
            |job: &jobs::Job| job.status.is_final() || job.status == jobs::Status::AwaitingApproval;
        if job.as_ref().is_none_or(waits_for_people) || Instant::now() >= end {
            return Ok(job);
        }
        // Nothing is held while nothing happens. A hint may be lost with the process that sent it: look again now and then.
        lease.release().await;
        let look_again = (Instant::now() + Duration::from_secs(2)).min(end);
        drop(timeout_at(look_again, watch.changed()).await);
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
    let asked = outputs.iter().filter(|output| output.agent == AgentKind::Qa).cloned().collect();
    let answers = super::qa::find_many(tx, asked).await?;
    let mut answers: HashMap<Uuid, _> =
        answers.into_iter().map(|answer| (answer.output.id, answer)).collect();
    let read = |output: Output| match answers.remove(&output.id) {
        Some(answer) => Ok(Some(AgentOutput::QaAnswer(QaAnswer::new(answer)))),
        None => AgentOutput::read(output),
    };
    outputs.into_iter().map(read).filter_map(Result::transpose).collect()
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
    Ok(outputs(ctx, organization, &[id]).await?.pop())
}

/// Outputs of an organization, as far as the caller may read content where they were made, in no order.
///
/// # Errors
/// What the database says.
pub(crate) async fn outputs(
    ctx: &Context<'_>,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<AgentOutput>> {
    let find = async |tx: &mut ReadTx<'_>| {
        let found = super::find_many(tx, ids).await?;
        read(tx, found).await
    };
    let project = |output: &AgentOutput| output.common().project;
    ctx.door().read_seen(organization, Action::ContentRead, find, project).await
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
    /// Only those that somebody has rated with so many stars or fewer, 1 to 5.
    max_stars: Option<i32>,
}

/// A number of stars in an argument.
pub(crate) fn stars(path: &[&str], stars: Option<i32>) -> Result<Option<i16>> {
    let Some(stars) = stars else { return Ok(None) };
    let known = i16::try_from(stars).ok().filter(|stars| (1..=5).contains(stars));
    known.map(Some).ok_or_else(|| {
        let name = path.last().copied().unwrap_or_default();
        Error::fault(Fault {
            field: Some(path.iter().map(|&part| part.into()).collect()),
            ..Fault::new(FaultCode::OutOfRange, format!("`{name}` is a number from 1 to 5."))
        })
    })
}

impl OutputFilter {
    fn read(self, project: Option<ProjectId>) -> Result<super::Filter> {
        Ok(super::Filter {
            project,
            agent: self.agent,
            since: self.since.map(|time| time.0),
            min_stars: stars(&["filter", "minStars"], self.min_stars)?,
            max_stars: stars(&["filter", "maxStars"], self.max_stars)?,
        })
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

/// The output that an id on the wire names; none when it is another agent's, missing, or not visible to the caller.
async fn named(ctx: &Context<'_>, organization: OrganizationId, id: &ID) -> Result<Option<AgentOutput>> {
    let stored = id.split_once('_').and_then(|(_, body)| crate::id::decode(body));
    let Some(stored) = stored else { return Ok(None) };
    let found = output(ctx, organization, stored).await?;
    Ok(found.filter(|found| found.name().1 == id.as_str()))
}

/// The output that a mutation names, and whose it is.
pub(crate) async fn place(ctx: &Context<'_>, id: &ID) -> Result<(OrganizationId, AgentOutput)> {
    if !is_output(id) || !crate::id::is_well_formed(id) {
        let message = "`id` is not an output's id. One looks like `afs_01jd3x8r5nf6xr8m2zq0v7k9we`.";
        return Err(Error::fault(Fault::at(FaultCode::Invalid, "id", message)));
    }
    let missing = not_found_at("id");
    let organization = ctx.door().tenant().await.map_err(&missing)?;
    let found = named(ctx, organization, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
    Ok((organization, found))
}

/// The output that a field of a mutation other than `id` names, and whose it is.
pub(crate) async fn place_at(
    ctx: &Context<'_>,
    field: &str,
    id: &ID,
) -> Result<(OrganizationId, AgentOutput)> {
    place(ctx, id).await.map_err(|error| match error {
        Error::Invalid(faults) => {
            let here = |fault: Fault| Fault::at(fault.code, field, fault.message);
            Error::Invalid(faults.into_iter().map(here).collect())
        }
        other => other,
    })
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
            let missing = not_found_at("id");
            let (organization, found) = place(ctx, &input.id).await?;
            let Output { id, project, .. } = *found.common();
            let mut tx =
                ctx.door().write_within(organization, project, Action::OutputRate).await.map_err(&missing)?;
            super::rate(&mut tx, id, input.stars, input.comment.as_deref()).await.map_err(&missing)?;
            let changes = Changes::made(&serde_json::json!({"stars": input.stars, "comment": input.comment}));
            tx.commit(Record::with(found.target(), changes)).await?;
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
            let missing = not_found_at("id");
            let (organization, found) = place(ctx, &input.id).await?;
            let Output { id, project, .. } = *found.common();
            let mut tx = ctx
                .door()
                .write_within(organization, project, Action::OutputDelete)
                .await
                .map_err(&missing)?;
            super::delete(&mut tx, id).await.map_err(&missing)?;
            tx.commit(Record::of(found.target())).await?;
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

/// Which job is repeated.
#[derive(InputObject, Serialize)]
struct JobRepeatInput {
    /// An agent's job that has ended.
    id: ID,
    /// Holds the answer up to 25 s; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// What repeating a job is answered with.
#[derive(Default, SimpleObject)]
pub struct JobRepeatPayload {
    /// The new job. The one that it repeats stays as it is.
    job: Option<Job>,
    /// What it has made; null when it was not waited for or is not there yet: watch the job.
    output: Option<AgentOutput>,
    /// The project, whose list of outputs changes; null when it works in none.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(JobRepeatPayload);

/// Having agents work once more.
#[derive(Default)]
pub struct RepeatMutation;

#[Object]
impl RepeatMutation {
    /// Does what an agent's job was asked to do once more, as a job of its own: with the same input, engine and seed, on what the
    /// organization has now. That is for jobs that have failed by something that is over, such as a provider's outage or a month's
    /// limit, and for those whose documents have changed. Workflows have `contentWorkflowRerun`; a publication is not repeated.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for the result.
    /// Codes: `NOT_FOUND`, `INVALID`, `CONFLICT`, `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`; of the job what its agent's
    /// mutation names.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.id)")]
    async fn job_repeat(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which job.")] input: JobRepeatInput,
    ) -> async_graphql::Result<Option<JobRepeatPayload>> {
        let outcome = async {
            let id: JobId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let of = loader::job(ctx, organization, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
            if !of.status.is_final() {
                let message = "The job has not ended yet. Wait for it, or cancel it with `jobCancel`.";
                return Err(Error::fault(Fault::at(FaultCode::Conflict, "id", message)));
            }
            let mut tx =
                door.write_within(organization, of.project, Action::AgentRun).await.map_err(&missing)?;
            let (repeated, new) = super::repeat(&mut tx, &of, key.as_ref()).await?;
            if new {
                let agent = of.agent.map(AgentKind::as_str);
                let changes =
                    Changes::made(&serde_json::json!({"agent": agent, "repeats": of.id.to_string()}));
                tx.commit(Record::with(Target::job(repeated).within(of.project), changes)).await?;
            } else {
                drop(tx);
            }
            let job = started(ctx, organization, repeated, input.wait).await?;
            Ok(JobRepeatPayload {
                output: match job.as_ref().and_then(|job| job.result) {
                    Some(result) => output(ctx, organization, result).await?,
                    None => None,
                },
                job: job.map(Job::new),
                project: match of.project {
                    Some(project) => loader::project(ctx, organization, project).await?.map(Project::new),
                    None => None,
                },
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// An output of the request's organization, by its id on the wire.
///
/// # Errors
/// A fault at the field, or what the database says.
pub async fn node(ctx: &Context<'_>, field: &str, id: &ID) -> Result<Option<AgentOutput>> {
    if !crate::id::is_well_formed(id) {
        let message = format!("`{field}` is no id: an id has 26 letters and digits after its prefix.");
        return Err(Error::fault(Fault::of(FaultCode::Invalid, field, message)));
    }
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    named(ctx, organization, id).await
}
