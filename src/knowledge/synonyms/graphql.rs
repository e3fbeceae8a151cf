//! Synonyms, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::{Group, NewGroups};
use crate::access::{Action, Scope};
use crate::db::{Changes, Record, Target};
use crate::error::Result;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::id::OrganizationId;
use crate::organizations::graphql::Organization;

/// Words and phrases that mean the same in an organization.
#[derive(SimpleObject)]
pub struct SynonymGroup {
    /// The words and phrases, as they were written.
    terms: Vec<String>,
}

fn shown(groups: Vec<Group>) -> Vec<SynonymGroup> {
    groups.into_iter().map(|terms| SynonymGroup { terms }).collect()
}

/// Whether somebody may see what is set up for the organization as a whole.
fn sees(scope: &Scope) -> bool {
    scope.may(Action::SynonymsRead.permission()) && !scope.is_limited()
}

/// The organization's groups; none without the permission.
///
/// # Errors
/// What the database says.
pub async fn current(ctx: &Context<'_>, organization: OrganizationId) -> Result<Option<Vec<SynonymGroup>>> {
    let Some(mut tx) = ctx.door().read_if(organization, Action::SynonymsRead, sees).await? else {
        return Ok(None);
    };
    Ok(Some(shown(super::list(&mut tx).await?)))
}

/// Words and phrases that mean the same.
#[derive(InputObject)]
struct SynonymGroupInput {
    /// 2 to 20 words and phrases of at most 60 characters. Their endings do not matter.
    terms: Vec<String>,
}

/// An organization's synonyms.
#[derive(InputObject)]
struct SynonymsSetInput {
    /// Where.
    organization_id: ID,
    /// All groups, at most 100; none: there are no synonyms of its own any more.
    groups: Vec<SynonymGroupInput>,
}

/// What setting synonyms is answered with.
#[derive(Default, SimpleObject)]
pub struct SynonymsSetPayload {
    /// All groups, as they are now.
    synonyms: Option<Vec<SynonymGroup>>,
    /// The organization.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(SynonymsSetPayload);

/// Setting synonyms.
#[derive(Default)]
pub struct SynonymsMutation;

#[Object]
impl SynonymsMutation {
    /// Sets all of the organization's own synonyms: the groups stand in place of those before. A question that has a word or
    /// phrase of a group is answered from passages that have another one of it, in every project, from the next question on.
    /// Words of general use need none: the built-in engine knows theirs.
    /// Requires: `AGENT_CONFIGURE` in the whole organization.
    /// Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`.
    #[graphql(guard = "Requires::In(Action::SynonymsSet, &input.organization_id)")]
    async fn synonyms_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The synonyms.")] input: SynonymsSetInput,
    ) -> async_graphql::Result<Option<SynonymsSetPayload>> {
        let outcome = async {
            let door = ctx.door();
            let organization =
                door.named("organizationId", input_id("organizationId", &input.organization_id)?).await?;
            let new = NewGroups::parse(input.groups.iter().map(|group| group.terms.as_slice()))?;
            let mut tx = door
                .write(organization, Action::SynonymsSet)
                .await
                .map_err(not_found_at("organizationId"))?;
            let (before, after) = super::set(&mut tx, new).await?;
            let (gone, made) = super::logged(&before, &after);
            let changes = Changes::between(&gone, &made);
            if before == after {
                drop(tx);
            } else {
                tx.commit(Record::with(Target::organization(organization), changes)).await?;
            }
            Ok(SynonymsSetPayload {
                synonyms: Some(shown(after)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}
