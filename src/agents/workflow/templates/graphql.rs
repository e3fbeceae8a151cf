//! Templates of workflows, as the schema shows them.

use std::collections::BTreeMap;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use serde::Serialize;

use super::super::definition::{Binding, Definition, ForEach, Step, StepKind, Test, Variable, Work};
use super::super::value::{Source, Type, Value};
use super::{NewTemplate, Template, TemplateUpdate};
use crate::access::{Action, Scope};
use crate::db::page::PageArgs;
use crate::db::{Changes, ReadTx, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Json};
use crate::id::{OrganizationId, ProjectId, WorkflowTemplateId};
use crate::idempotency;
use crate::jobs::AgentKind;
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;

/// A workflow that an organization has made for itself: steps, what they are given, and which come after which.
pub struct ContentWorkflowTemplate {
    row: Template,
}

impl ContentWorkflowTemplate {
    /// The template of a row.
    pub const fn new(row: Template) -> Self {
        Self { row }
    }
}

impl Node for ContentWorkflowTemplate {}

/// A workflow that an organization has made for itself: steps, what they are given, and which come after which.
#[Object]
impl ContentWorkflowTemplate {
    /// The template's id; `contentWorkflowRun` takes it, or the key, as `template`.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// The project that it is for; null: for every project.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// What runs name it by; a project's own is meant before one of the organization that has the same key.
    async fn key(&self) -> &str {
        &self.row.key
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.row.description.as_deref()
    }

    /// What a run may be given as `options`.
    async fn variables(&self) -> Vec<WorkflowVariable> {
        let variable = |variable: &Variable| WorkflowVariable {
            name: variable.name.clone(),
            kind: variable.kind,
            default: variable.default.as_ref().map(json),
        };
        self.row.definition.variables.iter().map(variable).collect()
    }

    /// Its steps.
    async fn steps(&self) -> Vec<WorkflowStep> {
        self.row.definition.steps.iter().cloned().map(|step| WorkflowStep { step }).collect()
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

/// A value as JSON.
pub(crate) fn json(value: &Value) -> Json {
    Json(value.json())
}

/// What a run may be given.
#[derive(SimpleObject)]
pub struct WorkflowVariable {
    /// Its name in the run's `options`.
    name: String,
    /// Its type.
    #[graphql(name = "type")]
    kind: Type,
    /// Its value when a run says nothing; null: a run has to.
    default: Option<Json>,
}

/// A step of a template.
pub struct WorkflowStep {
    step: Step,
}

/// A step of a template.
#[Object]
impl WorkflowStep {
    /// Its name in the workflow.
    async fn key(&self) -> &str {
        &self.step.key
    }

    /// What it does.
    async fn kind(&self) -> StepKind {
        self.step.kind()
    }

    /// The steps that it comes after.
    async fn after(&self) -> &[String] {
        &self.step.after
    }

    /// The agent that works; null when none does.
    async fn agent(&self) -> Option<AgentKind> {
        self.step.agent()
    }

    /// The webhook endpoint that is told; null for other steps.
    async fn endpoint_id(&self) -> Option<ID> {
        let Work::Webhook { endpoint, .. } = &self.step.work else { return None };
        Some(ID(endpoint.to_string()))
    }

    /// What the agent is given, or the webhook tells.
    async fn inputs(&self) -> Vec<WorkflowBinding> {
        let (Work::Agent { inputs, .. } | Work::Webhook { inputs, .. }) = &self.step.work else {
            return Vec::new();
        };
        let bound = |(name, binding): (&String, &Binding)| {
            let (from, value) = match binding {
                Binding::From(source) => (Some(source.to_string()), None),
                Binding::Is(value) => (None, Some(json(value))),
            };
            WorkflowBinding { name: name.clone(), from, value }
        };
        inputs.iter().map(bound).collect()
    }

    /// The list for each item of which the agent works; null when it works once.
    async fn for_each(&self) -> Option<String> {
        self.step.each().map(|each| each.list.to_string())
    }

    /// For so many of the list's first items; null: for all of them.
    async fn for_each_at_most(&self) -> Option<i32> {
        i32::try_from(self.step.each()?.at_most?).ok()
    }

    /// What a condition looks for; null for other steps.
    async fn condition(&self) -> Option<WorkflowCondition> {
        let Work::Condition { of, test } = &self.step.work else { return None };
        let whole = |number: &i64| i32::try_from(*number).unwrap_or(i32::MAX);
        let of = of.to_string();
        let none = WorkflowCondition { of, at_least: None, at_most: None, equals: None, holds: None };
        Some(match test {
            Test::AtLeast(number) => WorkflowCondition { at_least: Some(whole(number)), ..none },
            Test::AtMost(number) => WorkflowCondition { at_most: Some(whole(number)), ..none },
            Test::Equals(text) => WorkflowCondition { equals: Some(text.clone()), ..none },
            Test::Holds(holds) => WorkflowCondition { holds: Some(*holds), ..none },
        })
    }

    /// What whoever is asked for approval is told.
    async fn message(&self) -> Option<&str> {
        let Work::Approval { message } = &self.step.work else { return None };
        message.as_deref()
    }

    /// How long a delay lasts; null for other steps.
    async fn delay_seconds(&self) -> Option<i32> {
        let Work::Delay { seconds } = &self.step.work else { return None };
        i32::try_from(*seconds).ok()
    }

    /// How often it is tried again when that may help.
    async fn retries(&self) -> i32 {
        i32::try_from(self.step.retries).unwrap_or(i32::MAX)
    }

    /// How long one attempt may take.
    async fn timeout_seconds(&self) -> i32 {
        i32::try_from(self.step.timeout_seconds).unwrap_or(i32::MAX)
    }
}

/// What an agent is given for one of its parameters.
#[derive(SimpleObject)]
pub struct WorkflowBinding {
    /// The parameter.
    name: String,
    /// Where the value comes from; null when it stands here.
    from: Option<String>,
    /// The value itself.
    value: Option<Json>,
}

/// What a condition looks for.
#[derive(SimpleObject)]
pub struct WorkflowCondition {
    /// Of what.
    of: String,
    /// That a number, or how many there are, is this or more.
    at_least: Option<i32>,
    /// That a number, or how many there are, is this or less.
    at_most: Option<i32>,
    /// That a text is this one.
    equals: Option<String>,
    /// That it is true, or there at all; with false, the opposite.
    holds: Option<bool>,
}

/// A value: exactly one of the four.
#[derive(InputObject, Serialize)]
struct WorkflowValueInput {
    /// A text, an id or the code of a language, at most 20,000 characters.
    text: Option<String>,
    /// Texts, channels or ids, at most 100.
    texts: Option<Vec<String>>,
    /// A whole number.
    number: Option<i32>,
    /// True or false.
    flag: Option<bool>,
}

/// What a run may be given.
#[derive(InputObject, Serialize)]
struct WorkflowVariableInput {
    /// Its name in the run's `options`: a small letter, then letters, digits and `_`, at most 40 in all.
    name: String,
    /// Its type.
    #[graphql(name = "type")]
    #[serde(rename = "type")]
    kind: Type,
    /// Its value when a run says nothing; absent: a run has to.
    default: Option<WorkflowValueInput>,
}

/// What an agent is given for one of its parameters: `from` or `value`.
#[derive(InputObject, Serialize)]
struct WorkflowBindingInput {
    /// The parameter.
    name: String,
    /// Where the value comes from: `brief`, `brief.sentences`, `period`, `language`, `options.NAME`, `steps.KEY.FIELD`, or
    /// `steps.KEY.FIELD.NUMBER` for one text of a list, counted from 0. In a step that works for each item of a list also
    /// `item`, `item.number` (from 1), and `options.NAME.item` or `steps.KEY.FIELD.item` for what stands at the same place of
    /// another list, going round when that is shorter; of a step that works for each as well it is what that gives for the
    /// item at this place.
    from: Option<String>,
    /// The value itself.
    value: Option<WorkflowValueInput>,
}

/// What a condition looks for: `of`, and exactly one of the others.
#[derive(InputObject, Serialize)]
struct WorkflowConditionInput {
    /// Of what, as `from` of a binding.
    of: String,
    /// That a number, or how many there are, is this or more.
    at_least: Option<i32>,
    /// That a number, or how many there are, is this or less.
    at_most: Option<i32>,
    /// That a text is this one.
    equals: Option<String>,
    /// That it is true, or there at all; with false, the opposite.
    holds: Option<bool>,
}

/// A step of a template.
#[derive(InputObject, Serialize)]
struct WorkflowStepInput {
    /// Its name in the workflow: a small letter, then letters, digits and `_`, at most 40 in all.
    key: String,
    /// What it does.
    kind: StepKind,
    /// The steps that it comes after; absent: it may begin at once.
    after: Option<Vec<String>>,
    /// The agent that works: for `AGENT`.
    agent: Option<AgentKind>,
    /// What the agent is given: for `AGENT`; or what is told, by names of your own, at most 30: for `WEBHOOK`.
    inputs: Option<Vec<WorkflowBindingInput>>,
    /// The list for each item of which the agent works, as `from` of a binding: texts, channels or assets. What it gives is
    /// then together what it gives for each: texts and lists are one list, of at most 100, and `count` is the sum. For `AGENT`.
    for_each: Option<String>,
    /// For so many of the list's first items, 1 to 10; absent: for all of them, and the step fails when there are more than 10.
    /// For `AGENT`.
    for_each_at_most: Option<i32>,
    /// The webhook endpoint that is told: for `WEBHOOK`.
    endpoint_id: Option<ID>,
    /// What is looked for: for `CONDITION`.
    condition: Option<WorkflowConditionInput>,
    /// What whoever is asked is told, at most 500 characters: for `APPROVAL`.
    message: Option<String>,
    /// How long it waits, at most 30 days: for `DELAY`.
    delay_seconds: Option<i32>,
    /// How often it is tried again when that may help, 0 to 5.
    #[graphql(default = 2)]
    retries: i32,
    /// How long one attempt may take, 1 to 3,600.
    #[graphql(default = 600)]
    timeout_seconds: i32,
}

fn fault(code: FaultCode, field: &str, message: String) -> Error {
    Error::fault(Fault::at(code, field, message))
}

impl WorkflowValueInput {
    fn read(&self, field: &str, of: &str) -> Result<Value> {
        let Self { text, texts, number, flag } = self;
        match (text, texts, number, flag) {
            (Some(text), None, None, None) => Ok(Value::Text(text.clone())),
            (None, Some(texts), None, None) => Ok(Value::Texts(texts.clone())),
            (None, None, Some(number), None) => Ok(Value::Number((*number).into())),
            (None, None, None, Some(flag)) => Ok(Value::Flag(*flag)),
            _ => {
                let message = format!("{of} is exactly one of `text`, `texts`, `number` and `flag`.");
                Err(fault(FaultCode::Invalid, field, message))
            }
        }
    }
}

/// A name as a sentence may repeat it.
fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

impl WorkflowVariableInput {
    fn read(&self) -> Result<Variable> {
        let of = format!("The default of `{}`", cut(&self.name));
        let default = self.default.as_ref().map(|value| value.read("variables", &of)).transpose()?;
        Ok(Variable { name: self.name.trim().to_owned(), kind: self.kind, default })
    }
}

impl WorkflowStepInput {
    /// What the step is given, by name.
    fn bindings(&self, key: &str) -> Result<BTreeMap<String, Binding>> {
        let mut inputs = BTreeMap::new();
        for input in self.inputs.iter().flatten() {
            if inputs.insert(input.name.clone(), input.read(key)?).is_some() {
                let (key, name) = (cut(key), cut(&input.name));
                let message = format!("The step `{key}` is given `{name}` twice.");
                return Err(fault(FaultCode::Invalid, "steps", message));
            }
        }
        Ok(inputs)
    }

    fn read(&self) -> Result<Step> {
        let key = self.key.trim().to_owned();
        let wrong = |message: String| fault(FaultCode::Invalid, "steps", message);
        let needs = |what: &str| {
            let message = format!("The step `{}` needs `{what}`.", cut(&key));
            fault(FaultCode::Required, "steps", message)
        };
        let foreign = [
            ("agent", self.agent.is_some() && self.kind != StepKind::Agent),
            ("inputs", self.inputs.is_some() && !matches!(self.kind, StepKind::Agent | StepKind::Webhook)),
            ("forEach", self.for_each.is_some() && self.kind != StepKind::Agent),
            ("forEachAtMost", self.for_each_at_most.is_some() && self.kind != StepKind::Agent),
            ("endpointId", self.endpoint_id.is_some() && self.kind != StepKind::Webhook),
            ("condition", self.condition.is_some() && self.kind != StepKind::Condition),
            ("message", self.message.is_some() && self.kind != StepKind::Approval),
            ("delaySeconds", self.delay_seconds.is_some() && self.kind != StepKind::Delay),
        ];
        if let Some((what, _)) = foreign.into_iter().find(|(_, is_foreign)| *is_foreign) {
            return Err(wrong(format!(
                "The step `{}` has `{what}`, which belongs to steps of another kind.",
                cut(&key)
            )));
        }
        // What is below zero is beyond the bounds that the check names.
        let number = |number: i32| u32::try_from(number).unwrap_or(u32::MAX);
        let work = match self.kind {
            StepKind::Agent => {
                let each = match (&self.for_each, self.for_each_at_most) {
                    (Some(list), at_most) => {
                        Some(ForEach { list: source(list, &key)?, at_most: at_most.map(number) })
                    }
                    (None, None) => None,
                    (None, Some(_)) => return Err(needs("forEach")),
                };
                Work::Agent {
                    agent: self.agent.ok_or_else(|| needs("agent"))?,
                    inputs: self.bindings(&key)?,
                    each,
                }
            }
            StepKind::Webhook => {
                let endpoint = self.endpoint_id.as_ref().ok_or_else(|| needs("endpointId"))?;
                Work::Webhook {
                    endpoint: input_id("steps.endpointId", endpoint)?,
                    inputs: self.bindings(&key)?,
                }
            }
            StepKind::Condition => self.condition.as_ref().ok_or_else(|| needs("condition"))?.read(&key)?,
            StepKind::Approval => Work::Approval { message: self.message.clone() },
            StepKind::Delay => {
                Work::Delay { seconds: number(self.delay_seconds.ok_or_else(|| needs("delaySeconds"))?) }
            }
        };
        crate::input::list("steps", self.after.as_deref().unwrap_or_default())?;
        Ok(Step {
            after: self.after.iter().flatten().map(|key| key.trim().to_owned()).collect(),
            work,
            retries: number(self.retries),
            timeout_seconds: number(self.timeout_seconds),
            key,
        })
    }
}

fn source(text: &str, key: &str) -> Result<Source> {
    text.trim().parse().map_err(|error: super::super::value::NoSource| {
        fault(FaultCode::Invalid, "steps", format!("In the step `{}`: {error}", cut(key)))
    })
}

impl WorkflowBindingInput {
    fn read(&self, key: &str) -> Result<Binding> {
        match (&self.from, &self.value) {
            (Some(from), None) => Ok(Binding::From(source(from, key)?)),
            (None, Some(value)) => {
                let of = format!("`{}` of the step `{}`", cut(&self.name), cut(key));
                Ok(Binding::Is(value.read("steps", &of)?))
            }
            _ => {
                let (name, key) = (cut(&self.name), cut(key));
                let message = format!("`{name}` of the step `{key}` has exactly one of `from` and `value`.");
                Err(fault(FaultCode::Invalid, "steps", message))
            }
        }
    }
}

impl WorkflowConditionInput {
    fn read(&self, key: &str) -> Result<Work> {
        let test = match (self.at_least, self.at_most, &self.equals, self.holds) {
            (Some(number), None, None, None) => Test::AtLeast(number.into()),
            (None, Some(number), None, None) => Test::AtMost(number.into()),
            (None, None, Some(text), None) => Test::Equals(text.clone()),
            (None, None, None, Some(holds)) => Test::Holds(holds),
            _ => {
                let message = format!(
                    "The condition `{}` has exactly one of `atLeast`, `atMost`, `equals` and `holds`.",
                    cut(key)
                );
                return Err(fault(FaultCode::Invalid, "steps", message));
            }
        };
        Ok(Work::Condition { of: source(&self.of, key)?, test })
    }
}

/// A new template.
#[derive(InputObject, Serialize)]
struct ContentWorkflowTemplateCreateInput {
    /// Where.
    organization_id: ID,
    /// For one project only.
    project_id: Option<ID>,
    /// What runs shall name it by: a small letter, then letters, digits and `_`, at most 40 in all, and none that a built-in
    /// template has.
    key: String,
    /// Its name, at most 100 characters.
    name: String,
    /// What it is for, at most 2,000 characters.
    description: Option<String>,
    /// What a run may be given, at most 30.
    variables: Option<Vec<WorkflowVariableInput>>,
    /// Its steps, 1 to 30.
    steps: Vec<WorkflowStepInput>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// A change of a template; what is absent stays.
#[derive(InputObject)]
struct ContentWorkflowTemplateUpdateInput {
    /// Which template.
    id: ID,
    /// Another name.
    name: Option<String>,
    /// Another description; null takes it away.
    description: MaybeUndefined<String>,
    /// All variables.
    variables: Option<Vec<WorkflowVariableInput>>,
    /// All steps.
    steps: Option<Vec<WorkflowStepInput>>,
}

/// Which template.
#[derive(InputObject)]
struct ContentWorkflowTemplateDeleteInput {
    /// The template.
    id: ID,
}

/// What making a template is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentWorkflowTemplateCreatePayload {
    /// The template.
    template: Option<ContentWorkflowTemplate>,
    /// The organization, whose list of templates has changed.
    organization: Option<Organization>,
    /// The project, when the template is one's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing a template is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentWorkflowTemplateUpdatePayload {
    /// The template.
    template: Option<ContentWorkflowTemplate>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting a template is answered with.
#[derive(Default, SimpleObject)]
pub struct ContentWorkflowTemplateDeletePayload {
    /// The id of what is gone.
    deleted_content_workflow_template_id: Option<ID>,
    /// The organization, whose list of templates has changed.
    organization: Option<Organization>,
    /// The project, when the template was one's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(
    ContentWorkflowTemplateCreatePayload,
    ContentWorkflowTemplateUpdatePayload,
    ContentWorkflowTemplateDeletePayload
);

/// A template of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: WorkflowTemplateId) -> Result<Option<ContentWorkflowTemplate>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    let find = async |tx: &mut ReadTx<'_>| Ok(super::find(tx, id).await?.into_iter().collect::<Vec<_>>());
    let rows = ctx.door().read_seen(organization, Action::WorkflowTemplateRead, find, |row| row.project);
    Ok(rows.await?.pop().map(ContentWorkflowTemplate::new))
}

/// A page of an organization's templates, or of one project's own; none for whoever may not run them there.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
    args: &PageArgs,
) -> Result<Option<Connection<ContentWorkflowTemplate>>> {
    let door = ctx.door();
    let action = Action::WorkflowTemplateRead;
    let may = |scope: &Scope| scope.may_list(project, action.permission());
    let Some(mut tx) = door.read_if(organization, action, may).await? else { return Ok(None) };
    let word = format!("{project:?}");
    let seal = door.seal(&["workflowTemplates", &organization.to_string(), &word]);
    let page = args.read(&seal)?;
    let slice = super::list(&mut tx, &page, project).await?;
    drop(tx);
    let count: Counter = Box::new(move |ctx| {
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::WorkflowTemplateRead).await?;
            super::count(&mut tx, project).await.map(Some)
        })
    });
    Ok(Some(connect(slice, &seal, count, |row| row.id.uuid(), ContentWorkflowTemplate::new)))
}

/// The template that a mutation names, and whose it is: as far as whoever may change some sees it.
async fn place(
    ctx: &Context<'_>,
    action: Action,
    id: WorkflowTemplateId,
) -> Result<(OrganizationId, Template)> {
    let missing = not_found_at("id");
    let organization = ctx.door().tenant().await.map_err(&missing)?;
    let may = |scope: &Scope| scope.may_somewhere(action.permission());
    let opened = ctx.door().read_if(organization, action, may).await.map_err(&missing)?;
    let mut tx = opened.ok_or_else(|| missing(Error::NotFound))?;
    let found = super::find(&mut tx, id).await?.ok_or_else(|| missing(Error::NotFound))?;
    Ok((organization, found))
}

async fn whose(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
) -> Result<Option<Project>> {
    let Some(project) = project else { return Ok(None) };
    Ok(loader::project(ctx, organization, project).await?.map(Project::new))
}

/// Making, changing and deleting templates.
#[derive(Default)]
pub struct TemplateMutation;

#[Object]
impl TemplateMutation {
    /// Makes a workflow of one's own; at most 100. It is checked: that its steps and variables are there, that no step comes
    /// after itself, and that every step is given what its agent takes.
    /// Requires: `AGENT_CONFIGURE`, in the project or in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `ALREADY_EXISTS`, `CONFLICT`,
    /// `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::WorkflowTemplateCreate, &input.organization_id)")]
    async fn content_workflow_template_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The template.")] input: ContentWorkflowTemplateCreateInput,
    ) -> async_graphql::Result<Option<ContentWorkflowTemplateCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project: Option<ProjectId> = match &input.project_id {
                None => None,
                Some(id) => Some(door.named_project("projectId", input_id("projectId", id)?)?),
            };
            let definition = Definition {
                variables: input
                    .variables
                    .iter()
                    .flatten()
                    .map(WorkflowVariableInput::read)
                    .collect::<Result<_>>()?,
                steps: input.steps.iter().map(WorkflowStepInput::read).collect::<Result<_>>()?,
            };
            let description = input.description.as_deref();
            let new = NewTemplate::parse(project, &input.key, &input.name, description, definition)?;
            let repeated = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let missing = not_found_at(if project.is_some() { "projectId" } else { "organizationId" });
            let mut tx = door
                .write_within(organization, project, Action::WorkflowTemplateCreate)
                .await
                .map_err(&missing)?;
            let (row, is_new) = super::create(&mut tx, &new, repeated.as_ref()).await?;
            if is_new {
                let target = Target::workflow_template(row.id).within(row.project);
                tx.commit(Record::with(target, Changes::made(&super::logged(&row)))).await?;
            } else {
                drop(tx);
            }
            Ok(ContentWorkflowTemplateCreatePayload {
                template: Some(ContentWorkflowTemplate::new(row)),
                organization: Some(Organization::lazy(organization)),
                project: whose(ctx, organization, project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes a template, which is checked as a new one. Runs that have begun go on as they were.
    /// Requires: `AGENT_CONFIGURE`, in the template's project or in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`.
    #[graphql(guard = "Requires::Here(Action::WorkflowTemplateUpdate, &input.id)")]
    async fn content_workflow_template_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: ContentWorkflowTemplateUpdateInput,
    ) -> async_graphql::Result<Option<ContentWorkflowTemplateUpdatePayload>> {
        let outcome = async {
            let id: WorkflowTemplateId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let action = Action::WorkflowTemplateUpdate;
            let (organization, found) = place(ctx, action, id).await?;
            let variables = input
                .variables
                .as_ref()
                .map(|list| list.iter().map(WorkflowVariableInput::read).collect::<Result<Vec<_>>>());
            let steps = input
                .steps
                .as_ref()
                .map(|list| list.iter().map(WorkflowStepInput::read).collect::<Result<Vec<_>>>());
            let change = TemplateUpdate {
                name: input.name,
                description: match input.description {
                    MaybeUndefined::Undefined => None,
                    MaybeUndefined::Null => Some(None),
                    MaybeUndefined::Value(text) => Some(Some(text)),
                },
                variables: variables.transpose()?,
                steps: steps.transpose()?,
            };
            let mut tx =
                ctx.door().write_within(organization, found.project, action).await.map_err(&missing)?;
            let (before, after) = super::update(&mut tx, id, change).await.map_err(&missing)?;
            let changes = Changes::between(&super::logged(&before), &super::logged(&after));
            let row = if changes.is_empty() {
                drop(tx);
                before
            } else {
                let target = Target::workflow_template(id).within(found.project);
                tx.commit(Record::with(target, changes)).await?;
                after
            };
            Ok(ContentWorkflowTemplateUpdatePayload {
                template: Some(ContentWorkflowTemplate::new(row)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes a template. Runs that have begun go on. Requires: `AGENT_CONFIGURE`, in the template's project or in the whole
    /// organization. Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::WorkflowTemplateDelete, &input.id)")]
    async fn content_workflow_template_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which template.")] input: ContentWorkflowTemplateDeleteInput,
    ) -> async_graphql::Result<Option<ContentWorkflowTemplateDeletePayload>> {
        let outcome = async {
            let id: WorkflowTemplateId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let action = Action::WorkflowTemplateDelete;
            let (organization, found) = place(ctx, action, id).await?;
            let mut tx =
                ctx.door().write_within(organization, found.project, action).await.map_err(&missing)?;
            let before = super::delete(&mut tx, id).await.map_err(&missing)?;
            let target = Target::workflow_template(id).within(before.project);
            tx.commit(Record::with(target, Changes::removed(&super::logged(&before)))).await?;
            Ok(ContentWorkflowTemplateDeletePayload {
                deleted_content_workflow_template_id: Some(input.id.clone()),
                organization: Some(Organization::lazy(organization)),
                project: whose(ctx, organization, before.project).await?,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
