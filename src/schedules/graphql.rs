//! Schedules, as the schema shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::Utc;
use serde::Serialize;

use super::{NewSchedule, ScheduleUpdate, Workflow};
use crate::access::{Action, Scope};
use crate::agents::workflow::graphql::options;
use crate::agents::workflow::templates::graphql::json;
use crate::audit::graphql::Actor;
use crate::db::page::PageArgs;
use crate::db::{Changes, ReadTx, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Json};
use crate::id::{OrganizationId, ProjectId, ScheduleId};
use crate::idempotency;
use crate::jobs::graphql::{Job, actor};
use crate::periods::graphql::{self as periods, Period};
use crate::projects::graphql::Project;
use crate::providers::Providers;
use crate::retrieval::Language;

/// What a project has done at set times.
pub struct Schedule {
    row: super::Schedule,
}

impl Schedule {
    /// The schedule of a row.
    pub const fn new(row: super::Schedule) -> Self {
        Self { row }
    }
}

impl Node for Schedule {}

/// What a project has done at set times.
#[Object]
impl Schedule {
    /// The schedule's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// In which project.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        Ok(loader::project(ctx, self.row.organization, self.row.project).await?.map(Project::new))
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// When it is due: minute, hour, day of the month, month, day of the week.
    async fn cron(&self) -> &str {
        self.row.rule.cron()
    }

    /// Whose clocks that means, by the IANA name.
    async fn timezone(&self) -> &str {
        self.row.rule.timezone()
    }

    /// The run of a workflow that it begins.
    async fn workflow(&self) -> ScheduledWorkflow {
        ScheduledWorkflow { organization: self.row.organization, workflow: self.row.workflow.clone() }
    }

    /// Whether it goes on by itself: nobody has paused it, and it has not paused itself.
    async fn enabled(&self) -> bool {
        self.row.is_on()
    }

    /// Why it has paused itself; null when it has not. Put that right and set `enabled`.
    async fn paused_reason(&self) -> Option<UserError> {
        self.row.paused.clone().map(Into::into)
    }

    /// When it is due next; null while it is paused, and for the moment in which it begins a run.
    async fn next_run_at(&self) -> Option<DateTime> {
        self.row.next_run_at.map(Into::into)
    }

    /// The times that its expression names from now on, whether it is paused or not.
    async fn upcoming(
        &self,
        #[graphql(desc = "How many, 1 to 50.", default = 5)] first: i32,
    ) -> async_graphql::Result<Vec<DateTime>> {
        let first =
            usize::try_from(first).ok().filter(|first| (1..=50).contains(first)).ok_or_else(|| {
                let message = "`first` is a number from 1 to 50.";
                Error::fault(Fault::of(FaultCode::OutOfRange, "first", message))
            })?;
        Ok(self.row.rule.upcoming(Utc::now(), first).into_iter().map(Into::into).collect())
    }

    /// The job of the run that it has begun last; null when it has begun none.
    async fn last_run(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Job>> {
        let Some(job) = self.row.last_run else { return Ok(None) };
        Ok(loader::job(ctx, self.row.organization, job).await?.map(Job::new))
    }

    /// Who made it or changed it last: its runs are theirs, with the rights that they have when it is due. Null when they
    /// have left or are not visible to the caller.
    async fn acts_for(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Actor>> {
        Ok(actor(ctx, self.row.organization, self.row.acts_for, self.row.acts_for_key).await?)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.row.updated_at.into()
    }
}

/// The run of a workflow that a schedule begins.
pub struct ScheduledWorkflow {
    organization: OrganizationId,
    workflow: Workflow,
}

/// The run of a workflow that a schedule begins.
#[Object]
impl ScheduledWorkflow {
    /// The template, by its key or its id, as it is when the schedule is due.
    async fn template(&self) -> &str {
        &self.workflow.template
    }

    /// What it is about.
    async fn brief(&self) -> &str {
        &self.workflow.brief
    }

    /// The period that it is for.
    async fn period(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Period>> {
        let Some(period) = self.workflow.period else { return Ok(None) };
        Ok(periods::find(ctx, self.organization, period).await?)
    }

    /// The language of what is made.
    async fn language(&self) -> Language {
        self.workflow.language
    }

    /// Values of the template's variables by name.
    async fn options(&self) -> Json {
        let options: BTreeMap<&String, serde_json::Value> =
            self.workflow.options.iter().map(|(name, value)| (name, json(value).0)).collect();
        Json(serde_json::json!(options))
    }
}

/// The run of a workflow that a schedule begins.
#[derive(InputObject, Serialize)]
struct ScheduledWorkflowInput {
    /// A template: the key of a built-in one, `full`, `posts_only` or `reels_only`, or the key or the id of one's own.
    #[graphql(default_with = "\"full\".to_owned()")]
    template: String,
    /// What it is about, 1 to 10,000 characters.
    brief: String,
    /// The period that it is for.
    period_id: Option<ID>,
    /// The language of what is made.
    #[graphql(default_with = "Language::German")]
    language: Language,
    /// Values of the template's variables by name: `{"affirmationCount": 3}`.
    options: Option<Json>,
}

impl ScheduledWorkflowInput {
    fn read(&self) -> Result<Workflow> {
        let period = self.period_id.as_ref().map(|id| input_id("workflow.periodId", id)).transpose()?;
        Ok(Workflow {
            template: self.template.trim().to_owned(),
            brief: self.brief.clone(),
            period,
            language: self.language,
            options: options(self.options.as_ref()).map_err(super::in_workflow)?,
        })
    }
}

/// A new schedule.
#[derive(InputObject, Serialize)]
struct ScheduleCreateInput {
    /// In which project.
    project_id: ID,
    /// Its name, at most 100 characters.
    name: String,
    /// When it is due: minute, hour, day of the month, month, day of the week; `0 9 * * 1-5` is 9:00 from Monday to Friday.
    /// Its times are at least 15 minutes apart.
    cron: String,
    /// Whose clocks that means: an IANA name such as `Europe/Berlin`. A time that they skip is the first moment after the
    /// gap; one that they show twice is the first, unless all hours are named.
    timezone: String,
    /// The run of a workflow that it begins.
    workflow: ScheduledWorkflowInput,
    /// Whether it goes on by itself; false: from when it is enabled.
    #[graphql(default = true)]
    enabled: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// A change of a schedule; what is absent stays.
#[derive(InputObject)]
struct ScheduleUpdateInput {
    /// Which schedule.
    id: ID,
    /// Another name.
    name: Option<String>,
    /// Another expression.
    cron: Option<String>,
    /// Another time zone.
    timezone: Option<String>,
    /// The whole of another run.
    workflow: Option<ScheduledWorkflowInput>,
    /// False pauses it. True lets one that is paused go on, from the next of its times.
    enabled: Option<bool>,
}

/// Which schedule.
#[derive(InputObject)]
struct ScheduleDeleteInput {
    /// The schedule.
    id: ID,
}

/// What making a schedule is answered with.
#[derive(Default, SimpleObject)]
pub struct ScheduleCreatePayload {
    /// The schedule.
    schedule: Option<Schedule>,
    /// The project, whose list of schedules has changed.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing a schedule is answered with.
#[derive(Default, SimpleObject)]
pub struct ScheduleUpdatePayload {
    /// The schedule.
    schedule: Option<Schedule>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting a schedule is answered with.
#[derive(Default, SimpleObject)]
pub struct ScheduleDeletePayload {
    /// The id of what is gone.
    deleted_schedule_id: Option<ID>,
    /// The project, whose list of schedules has changed.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(ScheduleCreatePayload, ScheduleUpdatePayload, ScheduleDeletePayload);

/// A schedule of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: ScheduleId) -> Result<Option<Schedule>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    let find = async |tx: &mut ReadTx<'_>| Ok(super::find(tx, id).await?.into_iter().collect::<Vec<_>>());
    let rows = ctx.door().read_seen(organization, Action::ScheduleRead, find, |row| Some(row.project));
    Ok(rows.await?.pop().map(Schedule::new))
}

/// A page of a project's schedules; none for whoever may not run agents there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: ProjectId,
    args: &PageArgs,
) -> Result<Option<Connection<Schedule>>> {
    let door = ctx.door();
    let action = Action::ScheduleRead;
    let may = |scope: &Scope| scope.may_list(Some(project), action.permission());
    let Some(mut tx) = door.read_if(organization, action, may).await? else { return Ok(None) };
    let seal = door.seal(&["schedules", &organization.to_string(), &project.to_string()]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page, project).await?;
    drop(tx);
    let count: Counter = Box::new(move |ctx| {
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::ScheduleRead).await?;
            super::count(&mut tx, project).await.map(Some)
        })
    });
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), Schedule::new)))
}

/// The schedule that a mutation names, and whose it is: as far as whoever may change some sees it.
async fn place(
    ctx: &Context<'_>,
    action: Action,
    id: ScheduleId,
) -> Result<(OrganizationId, super::Schedule)> {
    let missing = not_found_at("id");
    let organization = ctx.door().tenant().await.map_err(&missing)?;
    let may = |scope: &Scope| scope.may_somewhere(action.permission());
    let opened = ctx.door().read_if(organization, action, may).await.map_err(&missing)?;
    let mut tx = opened.ok_or_else(|| missing(Error::NotFound))?;
    let found = super::find(&mut tx, id).await?.ok_or_else(|| missing(Error::NotFound))?;
    Ok((organization, found))
}

/// Making, changing and deleting schedules.
#[derive(Default)]
pub struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Has a workflow run at set times; at most 50 schedules a project. It acts for whoever made or changed it last: when they
    /// have left or may no longer run agents, it pauses itself. What was missed while no server worked is done once; a time
    /// for which the tier has no room is left out.
    /// Requires: `AGENT_CONFIGURE` in the project.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`, `CONFLICT`,
    /// `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::Here(Action::ScheduleCreate, &input.project_id)")]
    async fn schedule_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The schedule.")] input: ScheduleCreateInput,
    ) -> async_graphql::Result<Option<ScheduleCreatePayload>> {
        let outcome = async {
            let missing = not_found_at("projectId");
            let door = ctx.door();
            let project: ProjectId =
                door.named_project("projectId", input_id("projectId", &input.project_id)?)?;
            let times = (input.cron.as_str(), input.timezone.as_str());
            let new = NewSchedule::parse(project, &input.name, times, input.workflow.read()?, input.enabled)?;
            let repeated = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let organization = door.tenant().await.map_err(&missing)?;
            let mut tx =
                door.write_in(organization, project, Action::ScheduleCreate).await.map_err(&missing)?;
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let (row, is_new) = super::create(&mut tx, providers, &new, repeated.as_ref()).await?;
            if is_new {
                let target = Target::schedule(row.id).within(Some(project));
                tx.commit(Record::with(target, Changes::made(&super::logged(&row)))).await?;
            } else {
                drop(tx);
            }
            Ok(ScheduleCreatePayload {
                schedule: Some(Schedule::new(row)),
                project: loader::project(ctx, organization, project).await?.map(Project::new),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes a schedule, pauses it or lets it go on. From then on it acts for whoever did so.
    /// Requires: `AGENT_CONFIGURE` in the schedule's project.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`.
    #[graphql(guard = "Requires::Here(Action::ScheduleUpdate, &input.id)")]
    async fn schedule_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: ScheduleUpdateInput,
    ) -> async_graphql::Result<Option<ScheduleUpdatePayload>> {
        let outcome = async {
            let id: ScheduleId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let action = Action::ScheduleUpdate;
            let (organization, found) = place(ctx, action, id).await?;
            let workflow = input.workflow.as_ref().map(ScheduledWorkflowInput::read).transpose()?;
            let change = ScheduleUpdate {
                name: input.name,
                cron: input.cron,
                timezone: input.timezone,
                workflow,
                enabled: input.enabled,
            };
            let mut tx = ctx.door().write_in(organization, found.project, action).await.map_err(&missing)?;
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let (before, after) = super::update(&mut tx, providers, id, change).await.map_err(&missing)?;
            let changes = Changes::between(&super::logged(&before), &super::logged(&after));
            let row = if changes.is_empty() {
                drop(tx);
                before
            } else {
                let target = Target::schedule(id).within(Some(found.project));
                tx.commit(Record::with(target, changes)).await?;
                after
            };
            Ok(ScheduleUpdatePayload { schedule: Some(Schedule::new(row)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes a schedule. Runs that have begun go on. Requires: `AGENT_CONFIGURE` in the schedule's project.
    /// Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::ScheduleDelete, &input.id)")]
    async fn schedule_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule.")] input: ScheduleDeleteInput,
    ) -> async_graphql::Result<Option<ScheduleDeletePayload>> {
        let outcome = async {
            let id: ScheduleId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let action = Action::ScheduleDelete;
            let (organization, found) = place(ctx, action, id).await?;
            let mut tx = ctx.door().write_in(organization, found.project, action).await.map_err(&missing)?;
            let before = super::delete(&mut tx, id).await.map_err(&missing)?;
            let target = Target::schedule(id).within(Some(before.project));
            tx.commit(Record::with(target, Changes::removed(&super::logged(&before)))).await?;
            Ok(ScheduleDeletePayload {
                deleted_schedule_id: Some(input.id.clone()),
                project: loader::project(ctx, organization, before.project).await?.map(Project::new),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
