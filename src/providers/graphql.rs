//! Providers and routes, as the schema shows them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use secrecy::SecretString;
use serde::Serialize;

use super::{NewProvider, ProviderUpdate, Providers, Wanted, calls};
use crate::access::{Action, Scope};
use crate::agents::graphql::EngineInput;
use crate::db::{Changes, Record, Target};
use crate::engine::{self, Kind as Failing};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::{DateTime, Url};
use crate::graphql::turn::Turn;
use crate::id::{OrganizationId, ProjectId, ProviderId};
use crate::jobs::AgentKind;
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;
use crate::{idempotency, input};

/// Which format a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
pub enum ProviderKind {
    /// OpenAI's chat format, which many servers speak.
    Openai,
    /// Anthropic's messages format.
    Anthropic,
    /// ElevenLabs' format for speech: narrators of films, and nothing that writes.
    Elevenlabs,
    /// Replicate's format for models that take their time: clips for films, and nothing that writes.
    Replicate,
}

impl From<ProviderKind> for engine::Provider {
    fn from(kind: ProviderKind) -> Self {
        match kind {
            ProviderKind::Openai => Self::OpenAi,
            ProviderKind::Anthropic => Self::Anthropic,
            ProviderKind::Elevenlabs => Self::ElevenLabs,
            ProviderKind::Replicate => Self::Replicate,
        }
    }
}

impl From<engine::Provider> for ProviderKind {
    fn from(kind: engine::Provider) -> Self {
        match kind {
            engine::Provider::OpenAi => Self::Openai,
            engine::Provider::Anthropic => Self::Anthropic,
            engine::Provider::ElevenLabs => Self::Elevenlabs,
            engine::Provider::Replicate => Self::Replicate,
        }
    }
}

/// A provider of models that an organization has set up. Its key is never readable again; `keyHint` is its end.
pub struct Provider {
    row: super::Provider,
}

impl Provider {
    /// The provider of a row.
    pub const fn new(row: super::Provider) -> Self {
        Self { row }
    }
}

impl Node for Provider {}

/// A provider of models that an organization has set up. Its key is never readable again; `keyHint` is its end.
#[Object]
impl Provider {
    /// The provider's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// What `engine.provider` names it by; it is meant before one of the server's that has the same name.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Which format it speaks.
    async fn kind(&self) -> ProviderKind {
        self.row.kind.into()
    }

    /// Where it is reached.
    async fn base_url(&self) -> Url {
        Url(self.row.base_url.clone())
    }

    /// The model of calls that name none; null: they have to.
    async fn model(&self) -> Option<&str> {
        self.row.model.as_deref()
    }

    /// Whether it has a key.
    async fn has_key(&self) -> bool {
        self.row.has_key
    }

    /// The last four characters of its key; null without one, and for one that is too short to show any.
    async fn key_hint(&self) -> Option<&str> {
        self.row.key_hint.as_deref()
    }

    /// When it was set up.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.row.updated_at.into()
    }

    /// When it was last tested; null when it never was.
    async fn tested_at(&self) -> Option<DateTime> {
        self.row.tested_at.map(Into::into)
    }
}

/// The engine that an agent works with when a call names none.
pub struct EngineRoute {
    row: super::Route,
}

/// The engine that an agent works with when a call names none.
#[Object]
impl EngineRoute {
    /// Which agent.
    async fn agent(&self) -> AgentKind {
        self.row.agent
    }

    /// In which project; null: in every project that has no route of its own for the agent.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.row.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// The provider's name; `builtin` is the engine that needs none.
    async fn provider(&self) -> &str {
        &self.row.provider
    }

    /// Its model; null: the one that the provider is set up with.
    async fn model(&self) -> Option<&str> {
        self.row.model.as_deref()
    }

    /// Whether the built-in engine may work when the provider does not.
    async fn fallback_to_builtin(&self) -> bool {
        self.row.fallback
    }
}

/// Whether somebody may see what is set up for the organization as a whole.
fn sees(scope: &Scope) -> bool {
    scope.may(Action::ProviderRead.permission()) && !scope.is_limited()
}

/// The providers of an organization by name; none without the permission.
///
/// # Errors
/// What the database says.
pub async fn list(ctx: &Context<'_>, organization: OrganizationId) -> Result<Option<Vec<Provider>>> {
    let Some(mut tx) = ctx.door().read_if(organization, Action::ProviderRead, sees).await? else {
        return Ok(None);
    };
    Ok(Some(super::list(&mut tx).await?.into_iter().map(Provider::new).collect()))
}

/// A provider of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: ProviderId) -> Result<Option<Provider>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    let Some(opened) = visible(ctx.door().read_if(organization, Action::ProviderRead, sees).await)? else {
        return Ok(None);
    };
    let Some(mut tx) = opened else { return Ok(None) };
    Ok(super::find(&mut tx, id).await?.map(Provider::new))
}

/// The routes of one project, or those of the organization; none without the permission there.
///
/// # Errors
/// What the database says.
pub async fn routes(
    ctx: &Context<'_>,
    organization: OrganizationId,
    project: Option<ProjectId>,
) -> Result<Option<Vec<EngineRoute>>> {
    let may = |scope: &Scope| match project {
        None => sees(scope),
        Some(project) => scope.permissions_in(project).contains(Action::EngineRouteRead.permission()),
    };
    let Some(mut tx) = ctx.door().read_if(organization, Action::EngineRouteRead, may).await? else {
        return Ok(None);
    };
    let routes = super::routes(&mut tx, project).await?;
    Ok(Some(routes.into_iter().map(|row| EngineRoute { row }).collect()))
}

/// A new provider.
#[derive(InputObject, Serialize)]
struct ProviderCreateInput {
    /// Where.
    organization_id: ID,
    /// What `engine.provider` shall name it by: 1 to 40 lower-case letters, digits and single hyphens. It may be `openai`
    /// or `anthropic`, and then stands before the server's own of that kind; `builtin` it cannot be.
    name: String,
    /// Which format it speaks.
    kind: ProviderKind,
    /// Where it is reached, by https and on a public network; the kind's own maker when absent.
    base_url: Option<Url>,
    /// The model of calls that name none, at most 200 characters.
    model: Option<String>,
    /// Its API key, at most 500 characters, which nobody can read again; absent for a server that needs none.
    key: Option<String>,
    /// Makes the call safe to repeat for 24 hours.
    idempotency_key: Option<String>,
}

/// A change of a provider; what is absent stays.
#[derive(InputObject)]
struct ProviderUpdateInput {
    /// Which provider.
    id: ID,
    /// Another name.
    name: Option<String>,
    /// Another address; it needs `key` again.
    base_url: Option<Url>,
    /// Another model for calls that name none; null: they have to.
    model: MaybeUndefined<String>,
    /// Another key; null takes it away.
    key: MaybeUndefined<String>,
}

/// Which provider.
#[derive(InputObject)]
struct ProviderDeleteInput {
    /// The provider.
    id: ID,
}

/// Which provider.
#[derive(InputObject)]
struct ProviderTestInput {
    /// The provider.
    id: ID,
    /// The model that is asked; the provider's own when absent.
    model: Option<String>,
}

/// The engine of an agent.
#[derive(InputObject)]
struct EngineRouteSetInput {
    /// Where.
    organization_id: ID,
    /// For one project only; it stands before the organization's.
    project_id: Option<ID>,
    /// For which agent.
    agent: AgentKind,
    /// Which engine; null or absent takes the route away. `builtin` keeps a project from its organization's.
    engine: Option<EngineInput>,
}

/// What setting a provider up is answered with.
#[derive(Default, SimpleObject)]
pub struct ProviderCreatePayload {
    /// The provider.
    provider: Option<Provider>,
    /// The organization, whose list of providers has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing a provider is answered with.
#[derive(Default, SimpleObject)]
pub struct ProviderUpdatePayload {
    /// The provider.
    provider: Option<Provider>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting a provider is answered with.
#[derive(Default, SimpleObject)]
pub struct ProviderDeletePayload {
    /// The id of what is gone.
    deleted_provider_id: Option<ID>,
    /// The organization, whose list of providers has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What came of asking a provider something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ProviderOutcome {
    /// The model answered.
    Answered,
    /// The key is missing, wrong, or may not do this.
    AuthenticationFailed,
    /// The account has no credit left.
    OutOfCredit,
    /// Too many requests in too short a time.
    RateLimited,
    /// The request was not accepted: the model's name is wrong, or the address is none that may be called.
    Rejected,
    /// Nothing answers at the address, or it has an error of its own.
    Unreachable,
    /// No answer came in time.
    TimedOut,
    /// Something answered that speaks another format, or broke off.
    Unusable,
}

impl From<Failing> for ProviderOutcome {
    fn from(kind: Failing) -> Self {
        match kind {
            Failing::Authentication => Self::AuthenticationFailed,
            Failing::Quota => Self::OutOfCredit,
            Failing::RateLimited => Self::RateLimited,
            Failing::ContextLength | Failing::Rejected => Self::Rejected,
            // A model that refuses has answered.
            Failing::Refused => Self::Answered,
            Failing::Timeout => Self::TimedOut,
            Failing::Unavailable => Self::Unreachable,
            Failing::Broken => Self::Unusable,
        }
    }
}

/// What came of a test.
#[derive(SimpleObject)]
pub struct ProviderTest {
    /// What happened.
    outcome: ProviderOutcome,
    /// The same as a sentence, with what to do next.
    message: String,
    /// The model that says it has answered.
    model: Option<String>,
    /// How long it took.
    milliseconds: i32,
}

/// What testing a provider is answered with.
#[derive(Default, SimpleObject)]
pub struct ProviderTestPayload {
    /// What came of it.
    test: Option<ProviderTest>,
    /// The provider.
    provider: Option<Provider>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What setting a route is answered with.
#[derive(Default, SimpleObject)]
pub struct EngineRouteSetPayload {
    /// The route; null when it was taken away.
    route: Option<EngineRoute>,
    /// The organization.
    organization: Option<Organization>,
    /// The project, when the route is one's.
    project: Option<Project>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(
    ProviderCreatePayload,
    ProviderUpdatePayload,
    ProviderDeletePayload,
    ProviderTestPayload,
    EngineRouteSetPayload
);

/// How long a test may take: less than a request's deadline.
const TEST: Duration = Duration::from_secs(15);

/// Absent leaves unchanged, null clears.
fn change<T>(given: MaybeUndefined<T>) -> Option<Option<T>> {
    match given {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

async fn ask(engine: &dyn engine::TextEngine, model: &str) -> ProviderTest {
    let asked = Instant::now();
    let probed = calls::probe(engine, model, TEST).await;
    let milliseconds = i32::try_from(asked.elapsed().as_millis()).unwrap_or(i32::MAX);
    match probed {
        Ok(probed) => ProviderTest {
            outcome: ProviderOutcome::Answered,
            message: "The model answers.".to_owned(),
            model: Some(probed.model),
            milliseconds,
        },
        Err(failure) => {
            ProviderTest { outcome: failure.kind.into(), message: failure.message, model: None, milliseconds }
        }
    }
}

/// Setting up providers and routes.
#[derive(Default)]
pub struct ProviderMutation;

#[Object]
impl ProviderMutation {
    /// Sets up a provider of models for the organization's agents; at most 20. Its key is encrypted, and nobody can read it
    /// again. Requires: `AGENT_CONFIGURE` in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `UNSAFE_URL`, `ALREADY_EXISTS`, `CONFLICT`,
    /// `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::ProviderCreate, &input.organization_id)")]
    async fn provider_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The provider.")] input: ProviderCreateInput,
    ) -> async_graphql::Result<Option<ProviderCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let url = input.base_url.as_ref().map(|url| url.0.clone());
            let (model, key) = (input.model.as_deref(), input.key.as_deref());
            let new = NewProvider::parse(providers, input.kind.into(), &input.name, url, model, key)?;
            let repeated = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write(organization, Action::ProviderCreate)
                .await
                .map_err(not_found_at("organizationId"))?;
            let (row, is_new) = super::create(&mut tx, providers, &new, repeated.as_ref()).await?;
            if is_new {
                let changes = Changes::made(&super::logged(&row));
                tx.commit(Record::with(Target::provider(row.id), changes)).await?;
            } else {
                drop(tx);
            }
            Ok(ProviderCreatePayload {
                provider: Some(Provider::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes a provider, or gives it another key. Requires: `AGENT_CONFIGURE` in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `UNSAFE_URL`, `ALREADY_EXISTS`.
    #[graphql(guard = "Requires::Here(Action::ProviderUpdate, &input.id)")]
    async fn provider_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: ProviderUpdateInput,
    ) -> async_graphql::Result<Option<ProviderUpdatePayload>> {
        let outcome = async {
            let id: ProviderId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let asked = ProviderUpdate {
                name: input.name,
                base_url: input.base_url.map(|url| url.0),
                model: change(input.model),
                key: change(input.key).map(|key| key.map(SecretString::from)),
            };
            let rekeyed = asked.key.as_ref().map(Option::is_some);
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let mut tx = door.write(organization, Action::ProviderUpdate).await.map_err(&missing)?;
            let (before, after) = super::update(&mut tx, providers, id, asked).await.map_err(&missing)?;
            let mut old = super::logged(&before);
            if rekeyed == Some(true) {
                // A key that replaces another is a change, though neither is told.
                old["key"] = serde_json::Value::Null;
            }
            let changes = Changes::between(&old, &super::logged(&after));
            if changes.is_empty() {
                drop(tx);
                return Ok(ProviderUpdatePayload {
                    provider: Some(Provider::new(before)),
                    user_errors: Vec::new(),
                });
            }
            tx.commit(Record::with(Target::provider(id), changes)).await?;
            Ok(ProviderUpdatePayload { provider: Some(Provider::new(after)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes a provider with its key. Jobs that wait for it fail, and calls that a route sends to it are refused until the
    /// route is changed. Requires: `AGENT_CONFIGURE` in the whole organization. Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::ProviderDelete, &input.id)")]
    async fn provider_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which provider.")] input: ProviderDeleteInput,
    ) -> async_graphql::Result<Option<ProviderDeletePayload>> {
        let outcome = async {
            let id: ProviderId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let mut tx = door.write(organization, Action::ProviderDelete).await.map_err(&missing)?;
            let before = super::delete(&mut tx, id).await.map_err(&missing)?;
            let changes = Changes::removed(&super::logged(&before));
            tx.commit(Record::with(Target::provider(id), changes)).await?;
            Ok(ProviderDeletePayload {
                deleted_provider_id: Some(input.id.clone()),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Asks a provider's model for one word, at the provider's price, and says what came of it; of a model that does not write,
    /// whether it is there. That it does not answer is a result, not an error. Requires: `AGENT_CONFIGURE` in the whole organization.
    /// Codes: `NOT_FOUND`, `INVALID`, `REQUIRED`, `TOO_LONG`, `THROTTLED`.
    #[graphql(guard = "Requires::Here(Action::ProviderTest, &input.id)")]
    async fn provider_test(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which provider.")] input: ProviderTestInput,
    ) -> async_graphql::Result<Option<ProviderTestPayload>> {
        let outcome = async {
            let id: ProviderId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let organization = door.tenant().await.map_err(&missing)?;
            // Whoever may not write is refused before anything is asked; the row is written when it is known what to say.
            drop(door.write(organization, Action::ProviderTest).await.map_err(&missing)?);
            let (model, engine) = {
                let mut tx = door.read(organization, Action::ProviderTest).await.map_err(&missing)?;
                let row = super::find(&mut tx, id).await?.ok_or(Error::NotFound).map_err(&missing)?;
                let model = match input.model {
                    Some(model) => input::line("model", &model, super::MODEL)?,
                    None => row.model.ok_or_else(|| {
                        let message = "The provider has no model of its own. Name the one that is to answer.";
                        Error::fault(Fault::at(FaultCode::Required, "model", message))
                    })?,
                };
                (model, providers.connect(&mut tx, id).await.map_err(&missing)?)
            };
            door.identity().let_test_a_provider(organization, door.lease()).await?;
            door.lease().release().await;
            if let Ok(turn) = ctx.data::<Turn>() {
                turn.give_up();
            }
            let test = ask(&*engine, &model).await;
            let mut tx = door.write(organization, Action::ProviderTest).await.map_err(&missing)?;
            let row = super::tested(&mut tx, id).await.map_err(&missing)?;
            let said = async_graphql::Value::from(test.outcome).into_json().unwrap_or_default();
            let changes = Changes::made(&serde_json::json!({"model": model, "outcome": said}));
            tx.commit(Record::with(Target::provider(id), changes)).await?;
            Ok(ProviderTestPayload {
                test: Some(test),
                provider: Some(Provider::new(row)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Sets the engine that an agent works with when a call names none: the project's, else the organization's, else the
    /// built-in one. Requires: `AGENT_CONFIGURE`, in the project or in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `PROVIDER_NOT_CONFIGURED`.
    #[graphql(guard = "Requires::In(Action::EngineRouteSet, &input.organization_id)")]
    async fn engine_route_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The route.")] input: EngineRouteSetInput,
    ) -> async_graphql::Result<Option<EngineRouteSetPayload>> {
        let outcome = async {
            let door = ctx.door();
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let project: Option<ProjectId> = match &input.project_id {
                None => None,
                Some(id) => Some(door.named_project("projectId", input_id("projectId", id)?)?),
            };
            let missing = not_found_at(if project.is_some() { "projectId" } else { "organizationId" });
            let mut tx =
                door.write_within(organization, project, Action::EngineRouteSet).await.map_err(&missing)?;
            if let Some(project) = project
                && crate::projects::find(&mut tx, project).await?.is_none()
            {
                return Err(missing(Error::NotFound));
            }
            let route = match &input.engine {
                None => None,
                Some(engine) => {
                    // What a call could not ask for, no route asks for.
                    Wanted::from(engine).check_for(input.agent, &mut tx, providers).await?;
                    let wanted = Wanted::from(engine);
                    Some(super::Route {
                        organization,
                        project,
                        agent: input.agent,
                        provider: input::line("engine.provider", &wanted.provider, super::NAME)?,
                        model: wanted
                            .model
                            .filter(|_| wanted.provider != super::BUILTIN)
                            .map(|model| input::line("engine.model", &model, super::MODEL))
                            .transpose()?,
                        fallback: wanted.fallback,
                    })
                }
            };
            let before = super::set_route(&mut tx, project, input.agent, route.as_ref()).await?;
            let changes = Changes::between(&super::routed(before.as_ref()), &super::routed(route.as_ref()));
            if changes.is_empty() {
                drop(tx);
            } else {
                let target = Target::engine_route(input.agent.as_str()).within(project);
                tx.commit(Record::with(target, changes)).await?;
            }
            let project = match project {
                None => None,
                Some(project) => loader::project(ctx, organization, project).await?.map(Project::new),
            };
            Ok(EngineRouteSetPayload {
                route: route.map(|row| EngineRoute { row }),
                organization: Some(Organization::lazy(organization)),
                project,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
