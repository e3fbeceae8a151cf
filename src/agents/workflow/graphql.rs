//! Runs of workflows, as the schema shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Serialize;

use super::definition::StepKind;
use super::state::{Skipped, StepState};
use super::value::Value;
use super::{Asked, Content, Decision, Plan};
use crate::access::Action;
use crate::agents::Output;
use crate::agents::graphql::{AgentOutput, EngineInput, agent_output, output, outputs, place, started};
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::events::Topic;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Json};
use crate::id::{JobId, OrganizationId, PeriodId, ProjectId, WorkflowRunId};
use crate::identity::graphql::User;
use crate::jobs::graphql::{EngineInfo, Job};
use crate::jobs::{AgentKind, Status};
use crate::projects::graphql::Project;
use crate::providers::{Providers, Wanted};
use crate::retrieval::Language;
use crate::{idempotency, jobs, periods};

agent_output! {
    /// A run of a workflow: agents that work one after another, with conditions, delays and approvals between them. It is there
    /// from the moment that it is asked for.
    ContentWorkflowRun of Content, WorkflowRunId {
        /// The key of the template that it follows, as it was then.
        async fn template(&self) -> &str {
            &self.content.template
        }

        /// Where it stands: where its job does.
        async fn status(&self, ctx: &Context<'_>) -> async_graphql::Result<Status> {
            Ok(job(ctx, &self.output).await?.status)
        }

        /// The steps, in the template's order.
        async fn steps(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ContentWorkflowStep>> {
            let job = job(ctx, &self.output).await?;
            let mut states = self.content.states.clone();
            if states.steps.iter().any(|state| !state.status.is_final()) {
                let events = {
                    let mut tx = ctx.door().read(self.output.organization, Action::ContentRead).await?;
                    jobs::events_of(&mut tx, self.output.job, &[super::BEGUN, super::RETRIED]).await?
                };
                states = super::shown(states, &job, &events);
            }
            let organization = self.output.organization;
            Ok(states.steps.into_iter().map(|state| ContentWorkflowStep { organization, state }).collect())
        }

        /// The run that this one takes up; null when it takes up none, and when that one is deleted.
        async fn rerun_of(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<ContentWorkflowRun>> {
            let Some(id) = self.content.rerun_of else { return Ok(None) };
            Ok(find(ctx, self.output.organization, id).await?)
        }
    }
}

/// The job of a run.
async fn job(ctx: &Context<'_>, output: &Output) -> Result<jobs::Job> {
    loader::job(ctx, output.organization, output.job).await?.ok_or(Error::NotFound)
}

async fn find(
    ctx: &Context<'_>,
    organization: OrganizationId,
    id: WorkflowRunId,
) -> Result<Option<ContentWorkflowRun>> {
    Ok(match output(ctx, organization, id.uuid()).await? {
        Some(AgentOutput::ContentWorkflowRun(run)) => Some(run),
        _ => None,
    })
}

/// A step of a run.
pub struct ContentWorkflowStep {
    organization: OrganizationId,
    state: StepState,
}

/// A step of a run.
#[Object]
impl ContentWorkflowStep {
    /// Its name in the workflow.
    async fn key(&self) -> &str {
        &self.state.key
    }

    /// What it does.
    async fn kind(&self) -> StepKind {
        self.state.kind
    }

    /// The agent that works; null when none does.
    async fn agent(&self) -> Option<AgentKind> {
        self.state.agent
    }

    /// Where it stands; `CANCELLED` when it did not run.
    async fn status(&self) -> Status {
        self.state.status
    }

    /// How often it was begun; of one that works for each item of a list, for all of them together.
    async fn attempts(&self) -> i32 {
        self.state.attempts
    }

    /// When it was first begun.
    async fn started_at(&self) -> Option<DateTime> {
        self.state.started_at.map(Into::into)
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime> {
        self.state.finished_at.map(Into::into)
    }

    /// When a delay ends; null for other steps, and until it has begun.
    async fn waits_until(&self) -> Option<DateTime> {
        self.state.until.map(Into::into)
    }

    /// What the template tells whoever is asked for approval; of a step that publishes, why nothing is public.
    async fn message(&self) -> Option<&str> {
        self.state.message.as_deref()
    }

    /// Who has approved or refused, or whose API key has; null when nobody has, and when they have left or are not visible to
    /// the caller.
    async fn approved_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<User>> {
        let Some(user) = self.state.approved_by else { return Ok(None) };
        let row = loader::user(ctx, self.organization, user).await?;
        Ok(row.map(|row| User::in_organization(row, self.organization)))
    }

    /// What they said.
    async fn comment(&self) -> Option<&str> {
        self.state.comment.as_deref()
    }

    /// Whether the condition holds; null for other steps, and until it has been looked at.
    async fn holds(&self) -> Option<bool> {
        self.state.holds
    }

    /// What it left behind, or for the first item of its list; null when that is deleted.
    async fn output(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<AgentOutput>> {
        let Some(id) = self.state.outputs().first().copied() else { return Ok(None) };
        Ok(output(ctx, self.organization, id).await?)
    }

    /// What it left behind, all of it: for each item of its list that is done, in the list's order. What is deleted is left out.
    async fn outputs(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<AgentOutput>> {
        let ids = self.state.outputs();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = outputs(ctx, self.organization, &ids).await?;
        found.sort_by_key(|output| ids.iter().position(|id| *id == output.common().id));
        Ok(found)
    }

    /// How many items the list has that it works for; null when it works once, and until it has begun.
    async fn item_count(&self) -> Option<i32> {
        i32::try_from(self.state.items.as_ref()?.count?).ok()
    }

    /// Which engine did it.
    async fn engine(&self) -> Option<EngineInfo> {
        self.state.engine.clone().map(Into::into)
    }

    /// Why it failed.
    async fn error(&self) -> Option<UserError> {
        self.state.error.clone().map(Into::into)
    }

    /// Why it did not run, as a sentence.
    async fn skipped(&self) -> Option<String> {
        self.state.skipped.as_ref().map(Skipped::sentence)
    }
}

/// What is run.
#[derive(InputObject, Serialize)]
struct ContentWorkflowRunInput {
    /// In which project.
    project_id: ID,
    /// Another engine than the built-in one, for every step that an agent does.
    engine: Option<EngineInput>,
    /// The same seed, input and data give the same output.
    seed: Option<i32>,
    /// Holds the answer up to 25 s, or until the run waits for an approval; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
    /// A template: the key of a built-in one, `full`, `posts_only` or `reels_only`, or the key or the id of one's own.
    #[graphql(default_with = "\"full\".to_owned()")]
    template: String,
    /// The period that it is for.
    period_id: Option<ID>,
    /// What it is about, 1 to 10,000 characters.
    brief: String,
    /// The language of what is made.
    #[graphql(default_with = "Language::German")]
    language: Language,
    /// Values of the template's variables by name: `{"affirmationCount": 3}`.
    options: Option<Json>,
    /// Price the run without starting it.
    #[graphql(default = false)]
    dry_run: bool,
}

/// What running a workflow is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentWorkflowRunPayload {
    /// The job that works; null for a dry run.
    job: Option<Job>,
    /// The run; null for a dry run.
    run: Option<ContentWorkflowRun>,
    /// What the run costs at the most, in millionths of a US dollar, when each step succeeds at once; 0 for the built-in engine,
    /// null when a model's price is not known. A step that works for each item of a list counts as often as there are items, or
    /// may be.
    estimated_cost_micro_usd: Option<i32>,
    /// The project, whose list of outputs has changed.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// A decision about a step that waits for it.
#[derive(InputObject)]
struct ContentWorkflowApproveInput {
    /// The run.
    run_id: ID,
    /// The step that waits.
    step_key: String,
    /// Whether the run goes on; false ends it, and it fails.
    approve: bool,
    /// Why, at most 2,000 characters.
    comment: Option<String>,
}

/// What a decision is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentWorkflowApprovePayload {
    /// The run, which goes on a moment later.
    run: Option<ContentWorkflowRun>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What is run again.
#[derive(InputObject, Serialize)]
struct ContentWorkflowRerunInput {
    /// A run that has ended.
    run_id: ID,
    /// The step that it is taken up from: this one and what comes after it, and what has not succeeded, run again; what the
    /// other steps have made is kept.
    from_step: String,
    /// Holds the answer up to 25 s, or until the run waits for an approval; the job is always returned.
    #[graphql(default = false)]
    wait: bool,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// What running again is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentWorkflowRerunPayload {
    /// The job that works.
    job: Option<Job>,
    /// The new run.
    run: Option<ContentWorkflowRun>,
    /// The project, whose list of outputs has changed.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(ContentWorkflowRunPayload, ContentWorkflowApprovePayload, ContentWorkflowRerunPayload);

/// What a caller gives for the variables.
///
/// # Errors
/// A fault at `options`.
pub(crate) fn options(given: Option<&Json>) -> Result<BTreeMap<String, Value>> {
    let invalid = |message: String| Error::fault(Fault::at(FaultCode::Invalid, "options", message));
    let entries = match given {
        None | Some(Json(serde_json::Value::Null)) => return Ok(BTreeMap::new()),
        Some(Json(serde_json::Value::Object(entries))) => entries,
        Some(_) => return Err(invalid("`options` is an object: `{\"affirmationCount\": 3}`.".to_owned())),
    };
    let read = |(name, json): (&String, &serde_json::Value)| {
        let value = Value::of_json(json).ok_or_else(|| {
            let name: String = name.chars().take(60).collect();
            invalid(format!("`options.{name}` is no text, list of texts, whole number, or true or false."))
        })?;
        Ok((name.clone(), value))
    };
    entries.iter().map(read).collect()
}

/// What has come of a run by the time it is answered.
struct Started {
    job: Option<Job>,
    run: Option<ContentWorkflowRun>,
    project: Option<Project>,
}

async fn answer(
    ctx: &Context<'_>,
    organization: OrganizationId,
    (project, id): (ProjectId, JobId),
    wait: bool,
) -> Result<Started> {
    let job = started(ctx, organization, id, wait).await?;
    let run = match job.as_ref().and_then(|job| job.result) {
        Some(run) => find(ctx, organization, run.into()).await?,
        None => None,
    };
    let project = loader::project(ctx, organization, project).await?.map(Project::new);
    Ok(Started { job: job.map(Job::new), run, project })
}

fn whole(cost: Option<i64>) -> Option<i32> {
    cost.map(|cost| i32::try_from(cost).unwrap_or(i32::MAX))
}

/// Running workflows.
#[derive(Default)]
pub struct WorkflowMutation;

#[Object]
impl WorkflowMutation {
    /// Runs a workflow, or says what that would cost.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for what its agents read and for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `PROVIDER_NOT_CONFIGURED`, `IDEMPOTENCY_KEY_REUSED`,
    /// `QUOTA_EXCEEDED`; of the job those of its agents, and `CONFLICT` when an approval is refused.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.project_id)")]
    async fn content_workflow_run(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is run.")] input: ContentWorkflowRunInput,
    ) -> async_graphql::Result<Option<ContentWorkflowRunPayload>> {
        let outcome = async {
            let missing = not_found_at("projectId");
            let door = ctx.door();
            let project: ProjectId =
                door.named_project("projectId", input_id("projectId", &input.project_id)?)?;
            let period =
                input.period_id.as_ref().map(|id| input_id::<PeriodId>("periodId", id)).transpose()?;
            let asked = Asked {
                project,
                template: input.template.clone(),
                brief: input.brief.clone(),
                period,
                language: input.language,
                options: options(input.options.as_ref())?,
                engine: input.engine.as_ref().map(Wanted::from),
                seed: input.seed,
            };
            let organization = door.tenant().await.map_err(&missing)?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door.write_in(organization, project, Action::AgentRun).await.map_err(&missing)?;
            if let Some(period) = period
                && periods::find(&mut tx, period).await?.is_none()
            {
                return Err(not_found_at("periodId")(Error::NotFound));
            }
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let plan = asked.plan(&mut tx, providers).await?;
            let cost = plan.price(&mut tx, providers.engines().prices()).await?;
            if input.dry_run {
                drop(tx);
                let project = loader::project(ctx, organization, project).await?.map(Project::new);
                return Ok(ContentWorkflowRunPayload {
                    estimated_cost_micro_usd: whole(cost),
                    project,
                    ..ContentWorkflowRunPayload::default()
                });
            }
            let (id, new) = super::start(&mut tx, &plan, &Content::new(&plan), key.as_ref()).await?;
            if new {
                let changes = Changes::made(&plan.logged(None));
                tx.commit(Record::with(Target::job(id).within(Some(project)), changes)).await?;
            } else {
                drop(tx);
            }
            let Started { job, run, project } = answer(ctx, organization, (project, id), input.wait).await?;
            Ok(ContentWorkflowRunPayload {
                job,
                run,
                estimated_cost_micro_usd: whole(cost),
                project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Approves a step that waits for it, and the run goes on; or refuses it, and the run fails.
    /// Requires: `CONTENT_APPROVE` in the project. Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `CONFLICT`.
    #[graphql(guard = "Requires::Here(Action::WorkflowApprove, &input.run_id)")]
    async fn content_workflow_approve(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The decision.")] input: ContentWorkflowApproveInput,
    ) -> async_graphql::Result<Option<ContentWorkflowApprovePayload>> {
        let outcome = async {
            let missing = not_found_at("runId");
            let (organization, found, id) = named(ctx, &input.run_id).await?;
            let decision = Decision::parse(&input.step_key, input.approve, input.comment.as_deref())?;
            let run = found.common();
            let mut tx = ctx
                .door()
                .write_within(organization, run.project, Action::WorkflowApprove)
                .await
                .map_err(&missing)?;
            let changes = serde_json::json!({
                "step": decision.step, "approved": decision.approve, "comment": decision.comment,
            });
            super::decide(&mut tx, run, decision).await.map_err(&missing)?;
            tx.announce(Topic::Job(organization, run.job));
            tx.commit(Record::with(found.target(), Changes::made(&changes))).await?;
            Ok(ContentWorkflowApprovePayload {
                run: find(ctx, organization, id).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Runs a workflow again from one of its steps, as it was then and with the same brief and options. What its other steps have
    /// made is kept, and so are their approvals.
    /// Requires: `AGENT_USE`, and `CONTENT_READ` for what its agents read and for the result.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `CONFLICT`, `IDEMPOTENCY_KEY_REUSED`, `QUOTA_EXCEEDED`.
    #[graphql(guard = "Requires::Here(Action::AgentRun, &input.run_id)")]
    async fn content_workflow_rerun(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is run again.")] input: ContentWorkflowRerunInput,
    ) -> async_graphql::Result<Option<ContentWorkflowRerunPayload>> {
        let outcome = async {
            let missing = not_found_at("runId");
            let (organization, found, earlier) = named(ctx, &input.run_id).await?;
            let key = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let from = crate::input::line("fromStep", &input.from_step, 100)?;
            let run = found.common();
            let mut tx = ctx
                .door()
                .write_within(organization, run.project, Action::AgentRun)
                .await
                .map_err(&missing)?;
            let (plan, content) = super::rerun(&mut tx, run, &from).await.map_err(&missing)?;
            let Plan { project, .. } = plan;
            let (id, new) = super::start(&mut tx, &plan, &content, key.as_ref()).await?;
            if new {
                let changes = Changes::made(&plan.logged(Some((earlier, &from))));
                tx.commit(Record::with(Target::job(id).within(Some(project)), changes)).await?;
            } else {
                drop(tx);
            }
            let Started { job, run, project } = answer(ctx, organization, (project, id), input.wait).await?;
            Ok(ContentWorkflowRerunPayload { job, run, project, user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }
}

/// The run that a mutation names, and whose it is.
async fn named(ctx: &Context<'_>, id: &ID) -> Result<(OrganizationId, AgentOutput, WorkflowRunId)> {
    let run: WorkflowRunId = input_id("runId", id)?;
    let (organization, found) = place(ctx, id).await.map_err(|error| match error {
        Error::Invalid(faults) => {
            let at_run = |fault: Fault| Fault::at(fault.code, "runId", fault.message);
            Error::Invalid(faults.into_iter().map(at_run).collect())
        }
        other => other,
    })?;
    Ok((organization, found, run))
}
