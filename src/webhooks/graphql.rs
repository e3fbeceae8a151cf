//! Webhook endpoints, as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::{Endpoint, EndpointUpdate, NewEndpoint, Webhooks};
use crate::access::{Action, Scope};
use crate::db::{Changes, Record, Target};
use crate::error::Result;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::scalars::{DateTime, Url};
use crate::id::{OrganizationId, WebhookEndpointId};
use crate::idempotency;
use crate::organizations::graphql::Organization;

/// Where an organization has news sent to. Its secret is never readable again.
pub struct WebhookEndpoint {
    row: Endpoint,
}

/// Where an organization has news sent to. Its secret is never readable again.
#[Object]
impl WebhookEndpoint {
    /// The endpoint's id; a step of a workflow takes it as `endpointId`.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Where it is.
    async fn url(&self) -> Url {
        Url(self.row.url.clone())
    }

    /// Until when the secret before signs as well; null when none does.
    async fn previous_secret_until(&self) -> Option<DateTime> {
        self.row.previous_until.filter(|until| *until > chrono::Utc::now()).map(Into::into)
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

fn sees(scope: &Scope) -> bool {
    scope.may(Action::WebhookEndpointRead.permission()) && !scope.is_limited()
}

/// An organization's endpoints, by name; none for whoever does not manage them.
///
/// # Errors
/// What the database says.
pub async fn list(ctx: &Context<'_>, organization: OrganizationId) -> Result<Option<Vec<WebhookEndpoint>>> {
    let action = Action::WebhookEndpointRead;
    let Some(mut tx) = ctx.door().read_if(organization, action, sees).await? else { return Ok(None) };
    let rows = super::list(&mut tx).await?;
    Ok(Some(rows.into_iter().map(|row| WebhookEndpoint { row }).collect()))
}

/// An endpoint of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: WebhookEndpointId) -> Result<Option<WebhookEndpoint>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    let opened = visible(ctx.door().read_if(organization, Action::WebhookEndpointRead, sees).await)?;
    let Some(Some(mut tx)) = opened else { return Ok(None) };
    Ok(super::find(&mut tx, id).await?.map(|row| WebhookEndpoint { row }))
}

/// A new endpoint.
#[derive(InputObject, Serialize)]
struct WebhookEndpointCreateInput {
    /// Where.
    organization_id: ID,
    /// Its name, at most 100 characters.
    name: String,
    /// Where it is, by https and on a public network.
    url: Url,
    /// Makes the call safe to repeat for 24 hours; the secret is shown the first time only.
    idempotency_key: Option<String>,
}

/// A change of an endpoint; what is absent stays.
#[derive(InputObject)]
struct WebhookEndpointUpdateInput {
    /// Which endpoint.
    id: ID,
    /// Another name.
    name: Option<String>,
    /// Another address.
    url: Option<Url>,
    /// Gives it another secret, which the answer shows once. For 24 hours what is sent is signed with the one before as well.
    #[graphql(default = false)]
    rotate_secret: bool,
}

/// Which endpoint.
#[derive(InputObject)]
struct WebhookEndpointDeleteInput {
    /// The endpoint.
    id: ID,
}

/// What making an endpoint is answered with.
#[derive(Default, SimpleObject)]
pub struct WebhookEndpointCreatePayload {
    /// The endpoint.
    endpoint: Option<WebhookEndpoint>,
    /// The secret, shown once: `whsec_` and base64.
    secret: Option<String>,
    /// The organization, whose list of endpoints has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What changing an endpoint is answered with.
#[derive(Default, SimpleObject)]
pub struct WebhookEndpointUpdatePayload {
    /// The endpoint.
    endpoint: Option<WebhookEndpoint>,
    /// The new secret, shown once; null when it was not to be changed.
    secret: Option<String>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What deleting an endpoint is answered with.
#[derive(Default, SimpleObject)]
pub struct WebhookEndpointDeletePayload {
    /// The id of what is gone.
    deleted_webhook_endpoint_id: Option<ID>,
    /// The organization, whose list of endpoints has changed.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(WebhookEndpointCreatePayload, WebhookEndpointUpdatePayload, WebhookEndpointDeletePayload);

/// Making, changing and deleting webhook endpoints.
#[derive(Default)]
pub struct WebhookMutation;

#[Object]
impl WebhookMutation {
    /// Says where news may be sent to, by Standard Webhooks; at most 20. The answer shows the secret that they are signed with,
    /// once. Requires: `WEBHOOK_MANAGE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `UNSAFE_URL`, `CONFLICT`, `IDEMPOTENCY_KEY_REUSED`.
    #[graphql(guard = "Requires::In(Action::WebhookEndpointCreate, &input.organization_id)")]
    async fn webhook_endpoint_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint.")] input: WebhookEndpointCreateInput,
    ) -> async_graphql::Result<Option<WebhookEndpointCreatePayload>> {
        let outcome = async {
            let door = ctx.door();
            let webhooks = ctx.data_unchecked::<Arc<Webhooks>>();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let new = NewEndpoint::parse(webhooks, &input.name, input.url.0.clone())?;
            let repeated = idempotency::Key::parse(input.idempotency_key.as_deref(), &input)?;
            let mut tx = door
                .write(organization, Action::WebhookEndpointCreate)
                .await
                .map_err(not_found_at("organizationId"))?;
            let (row, secret) = super::create(&mut tx, webhooks, &new, repeated.as_ref()).await?;
            if secret.is_some() {
                let changes = Changes::made(&super::logged(&row));
                tx.commit(Record::with(Target::webhook_endpoint(row.id), changes)).await?;
            } else {
                drop(tx);
            }
            Ok(WebhookEndpointCreatePayload {
                endpoint: Some(WebhookEndpoint { row }),
                secret: secret.map(|secret| secret.expose_secret().to_owned()),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Changes an endpoint, or gives it another secret. Requires: `WEBHOOK_MANAGE`.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `UNSAFE_URL`.
    #[graphql(guard = "Requires::Here(Action::WebhookEndpointUpdate, &input.id)")]
    async fn webhook_endpoint_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: WebhookEndpointUpdateInput,
    ) -> async_graphql::Result<Option<WebhookEndpointUpdatePayload>> {
        let outcome = async {
            let id: WebhookEndpointId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let webhooks = ctx.data_unchecked::<Arc<Webhooks>>();
            let organization = door.tenant().await.map_err(&missing)?;
            let change = EndpointUpdate {
                name: input.name,
                url: input.url.map(|url| url.0),
                rotate: input.rotate_secret,
            };
            let action = Action::WebhookEndpointUpdate;
            let mut tx = door.write(organization, action).await.map_err(&missing)?;
            let (before, after, secret) =
                super::update(&mut tx, webhooks, id, change).await.map_err(&missing)?;
            let mut old = super::logged(&before);
            if secret.is_some() {
                // A secret that replaces another is a change, though neither is told.
                old["secret"] = serde_json::Value::Null;
            }
            let changes = Changes::between(&old, &super::logged(&after));
            let row = if changes.is_empty() {
                drop(tx);
                before
            } else {
                tx.commit(Record::with(Target::webhook_endpoint(id), changes)).await?;
                after
            };
            Ok(WebhookEndpointUpdatePayload {
                endpoint: Some(WebhookEndpoint { row }),
                secret: secret.map(|secret| secret.expose_secret().to_owned()),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Deletes an endpoint with its secret. Steps of workflows that send there fail. Requires: `WEBHOOK_MANAGE`.
    /// Codes: `NOT_FOUND`, `INVALID`.
    #[graphql(guard = "Requires::Here(Action::WebhookEndpointDelete, &input.id)")]
    async fn webhook_endpoint_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which endpoint.")] input: WebhookEndpointDeleteInput,
    ) -> async_graphql::Result<Option<WebhookEndpointDeletePayload>> {
        let outcome = async {
            let id: WebhookEndpointId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let action = Action::WebhookEndpointDelete;
            let mut tx = door.write(organization, action).await.map_err(&missing)?;
            let before = super::delete(&mut tx, id).await.map_err(&missing)?;
            let changes = Changes::removed(&super::logged(&before));
            tx.commit(Record::with(Target::webhook_endpoint(id), changes)).await?;
            Ok(WebhookEndpointDeletePayload {
                deleted_webhook_endpoint_id: Some(input.id.clone()),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
