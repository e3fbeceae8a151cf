//! Vectors, as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use super::NewEmbeddings;
use crate::access::{Action, Scope};
use crate::db::{Changes, Record, Target};
use crate::error::Result;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::id::OrganizationId;
use crate::knowledge;
use crate::organizations::graphql::Organization;
use crate::providers::Providers;

/// The model that makes vectors of an organization's passages, so that a provider's model that answers questions is given
/// passages that mean what is asked as well, not only those that have its words.
#[derive(SimpleObject)]
pub struct Embeddings {
    /// The provider's name.
    provider: String,
    /// Its model.
    model: String,
    /// How many numbers a vector shall have; null: as many as the model makes of its own.
    dimensions: Option<i32>,
    /// How many passages there are.
    passages: i32,
    /// How many of them have a vector.
    embedded: i32,
}

/// Whether somebody may see what is set up for the organization as a whole.
fn sees(scope: &Scope) -> bool {
    scope.may(Action::EmbeddingsRead.permission()) && !scope.is_limited()
}

/// The organization's choice; none without the permission, or when there is none.
///
/// # Errors
/// What the database says.
pub async fn current(ctx: &Context<'_>, organization: OrganizationId) -> Result<Option<Embeddings>> {
    let Some(mut tx) = ctx.door().read_if(organization, Action::EmbeddingsRead, sees).await? else {
        return Ok(None);
    };
    let Some(row) = super::find(&mut tx).await? else { return Ok(None) };
    let small = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    let embedded = small(super::count(&mut tx, &row).await?);
    let passages = small(knowledge::search::count(&mut tx).await?);
    let dimensions = row.dimensions.and_then(|count| i32::try_from(count).ok());
    Ok(Some(Embeddings { provider: row.provider, model: row.model, dimensions, passages, embedded }))
}

/// Which model makes vectors.
#[derive(InputObject)]
struct EmbeddingsSetInput {
    /// Where.
    organization_id: ID,
    /// A provider of the kind `OPENAI`, by its name; null or absent: none, and all vectors are deleted.
    provider: Option<String>,
    /// One of its embedding models, at most 200 characters; needed with a provider.
    model: Option<String>,
    /// How many numbers a vector shall have, 1 to 4096: fewer are smaller and faster, and a little less exact. When absent,
    /// 512 for models whose name begins with `text-embedding-3`, and as many as the model makes of its own for all others;
    /// null means the latter. A server that knows nothing of it makes as many as its model does.
    dimensions: MaybeUndefined<i32>,
}

/// What setting the model of vectors is answered with.
#[derive(Default, SimpleObject)]
pub struct EmbeddingsSetPayload {
    /// The model, and how far it is; null when there is none now.
    embeddings: Option<Embeddings>,
    /// The organization.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(EmbeddingsSetPayload);

/// Choosing what makes vectors.
#[derive(Default)]
pub struct EmbeddingsMutation;

#[Object]
impl EmbeddingsMutation {
    /// Sets the model that makes vectors of the organization's passages, and has it make them: a job for each project and one
    /// for what is the whole organization's, which goes on whenever a document is added or changed. Another model, or another
    /// length, begins anew. The same again has made what is still lacking.
    /// Requires: `AGENT_CONFIGURE` in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `OUT_OF_RANGE`, `PROVIDER_NOT_CONFIGURED`, `QUOTA_EXCEEDED`.
    #[graphql(guard = "Requires::In(Action::EmbeddingsSet, &input.organization_id)")]
    async fn embeddings_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The model.")] input: EmbeddingsSetInput,
    ) -> async_graphql::Result<Option<EmbeddingsSetPayload>> {
        let outcome = async {
            let door = ctx.door();
            let providers = ctx.data_unchecked::<Arc<Providers>>();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let mut tx = door
                .write(organization, Action::EmbeddingsSet)
                .await
                .map_err(not_found_at("organizationId"))?;
            let dimensions = match input.dimensions {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(count) => Some(Some(count)),
            };
            let new = match &input.provider {
                None => None,
                Some(provider) => {
                    let model = input.model.as_deref();
                    Some(NewEmbeddings::parse(&mut tx, providers, provider, model, dimensions).await?)
                }
            };
            let (before, after, begun) = super::set(&mut tx, new.as_ref()).await?;
            let changes = Changes::between(&super::logged(before.as_ref()), &super::logged(after.as_ref()));
            if changes.is_empty() && !begun {
                drop(tx);
            } else {
                tx.commit(Record::with(Target::organization(organization), changes)).await?;
            }
            Ok(EmbeddingsSetPayload {
                embeddings: current(ctx, organization).await?,
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
