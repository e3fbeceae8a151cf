//! Memberships, as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::access::{Action, Role, Scope};
use crate::db::{Record, Target};
use crate::error::Result;
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::loader;
use crate::graphql::scalars::DateTime;
use crate::id::{MembershipId, OrganizationId};
use crate::identity::graphql::{User, user_node};
use crate::organizations::graphql::Organization;
use crate::projects::graphql::Project;

/// One person's role in one organization: a node of its own, so that a role change patches every cached list.
pub struct Membership {
    row: super::Membership,
}

impl Membership {
    /// The membership of a row.
    pub const fn new(row: super::Membership) -> Self {
        Self { row }
    }
}

impl Node for Membership {}

/// One person's role in one organization: a node of its own, so that a role change patches every cached list.
#[Object]
impl Membership {
    /// The membership's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// Who.
    async fn user(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<User>> {
        if ctx.door().user() == Some(self.row.user) {
            return Ok(user_node(ctx, self.row.user).await?);
        }
        let row = loader::user(ctx, self.row.organization, self.row.user).await?;
        Ok(row.map(|row| User::in_organization(row, self.row.organization)))
    }

    /// Where.
    async fn organization(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Organization>> {
        Ok(loader::owner(ctx, self.row.organization).await?.map(Organization::loaded))
    }

    /// As what.
    async fn role(&self) -> Role {
        self.row.role
    }

    /// A guest's projects: the only ones that they see here. Null for a full member. A further project invitation adds
    /// to it.
    async fn limited_to(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Vec<Project>>> {
        let organization = self.row.organization;
        if !self.row.limited {
            return Ok(None);
        }
        let may = |scope: &Scope| scope.may_somewhere(Action::ProjectRead.permission());
        let opened = ctx.door().read_if(organization, Action::ProjectRead, may).await?;
        let Some(mut tx) = opened else { return Ok(None) };
        let ids = super::projects_of(&mut tx, self.row.user).await?;
        let rows = crate::projects::find_many(&mut tx, &ids).await?;
        Ok(Some(rows.into_iter().map(Project::new).collect()))
    }

    /// Who invited them; null for a founder, and when that person has left.
    async fn invited_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<User>> {
        let Some(user) = self.row.invited_by else { return Ok(None) };
        let row = loader::user(ctx, self.row.organization, user).await?;
        Ok(row.map(|row| User::in_organization(row, self.row.organization)))
    }

    /// Since when.
    async fn created_at(&self) -> DateTime {
        self.row.created_at.into()
    }
}

/// A change of a member's role.
#[derive(InputObject)]
struct MembershipUpdateInput {
    /// The membership.
    id: ID,
    /// The new role; nobody grants or takes more than they hold.
    role: Role,
}

/// Whom to remove.
#[derive(InputObject)]
struct MembershipDeleteInput {
    /// Removes a member; one's own id leaves.
    id: ID,
}

/// What changing a role is answered with.
#[derive(Default, SimpleObject)]
pub struct MembershipUpdatePayload {
    /// The membership.
    membership: Option<Membership>,
    /// Its organization.
    organization: Option<Organization>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

/// What removing a member is answered with.
#[derive(Default, SimpleObject)]
pub struct MembershipDeletePayload {
    /// The membership that is no more.
    deleted_membership_id: Option<ID>,
    /// Its organization; null for whoever has just left it.
    organization: Option<Organization>,
    /// The caller.
    viewer: Option<User>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(MembershipUpdatePayload, MembershipDeletePayload);

/// Where a membership is: the caller's own may be in any of their organizations, others are in the request's.
async fn place(ctx: &Context<'_>, id: MembershipId) -> Result<OrganizationId> {
    let door = ctx.door();
    if door.person().is_ok() {
        let mut tx = door.read_person().await?;
        if let Some(own) = super::find(&mut tx, id).await? {
            drop(tx);
            return door.named("id", own.organization).await;
        }
    }
    door.tenant().await
}

/// Changing and removing members.
#[derive(Default)]
pub struct MembershipMutation;

#[Object]
impl MembershipMutation {
    /// Changes a member's role. Requires: `MEMBER_MANAGE`.
    /// Codes: `NOT_FOUND`, `INVALID`, `SELF_ACTION`, `CONFLICT`, `LAST_OWNER`.
    #[graphql(guard = "Requires::Here(Action::MembershipUpdate, &input.id)")]
    async fn membership_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: MembershipUpdateInput,
    ) -> async_graphql::Result<Option<MembershipUpdatePayload>> {
        let outcome = async {
            let id = input_id("id", &input.id)?;
            let door = ctx.door();
            let organization = door.tenant().await.map_err(not_found_at("id"))?;
            let mut tx =
                door.write(organization, Action::MembershipUpdate).await.map_err(not_found_at("id"))?;
            let scope = tx.scope()?;
            let (row, changes) = super::set_role(&mut tx, &scope, id, input.role).await?;
            tx.commit(Record::with(Target::membership(id), changes)).await?;
            Ok(MembershipUpdatePayload {
                membership: Some(Membership::new(row)),
                organization: Some(Organization::lazy(organization)),
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }

    /// Removes a member, or leaves with one's own id. Requires: `MEMBER_MANAGE` for others than oneself.
    /// Codes: `NOT_FOUND`, `INVALID`, `LAST_OWNER`.
    #[graphql(guard = "Requires::Caller")]
    async fn membership_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to remove.")] input: MembershipDeleteInput,
    ) -> async_graphql::Result<Option<MembershipDeletePayload>> {
        let outcome = async {
            let id: MembershipId = input_id("id", &input.id)?;
            let door = ctx.door();
            let organization = place(ctx, id).await.map_err(not_found_at("id"))?;
            let own = {
                let mut tx =
                    door.read(organization, Action::OrganizationRead).await.map_err(not_found_at("id"))?;
                let row = super::find(&mut tx, id).await?;
                row.is_some_and(|row| Some(row.user) == door.user())
            };
            let action = if own { Action::MembershipLeave } else { Action::MembershipDelete };
            let mut tx = door.write_on(organization, action, input.id.to_string()).await?;
            let scope = tx.scope()?;
            let changes = super::remove(&mut tx, &scope, id).await?;
            tx.commit(Record::with(Target::membership(id), changes)).await?;
            let viewer = match door.user() {
                Some(user) => user_node(ctx, user).await?,
                None => None,
            };
            let organization = if own {
                None
            } else {
                visible(door.scope(organization).await)?.map(|scope| scope.organization())
            };
            Ok(MembershipDeletePayload {
                deleted_membership_id: Some(input.id),
                organization: organization.map(Organization::lazy),
                viewer,
                user_errors: Vec::new(),
            })
        };
        Ok(settle(outcome.await)?)
    }
}

/// A membership of the request's organization, or one of the caller's own.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: MembershipId) -> Result<Option<Membership>> {
    let Some(organization) = visible(place(ctx, id).await)? else { return Ok(None) };
    let door = ctx.door();
    let may = |scope: &Scope| scope.may(Action::MembershipList.permission());
    let found = match door.read_if(organization, Action::MembershipList, may).await? {
        Some(mut tx) => super::find(&mut tx, id).await?,
        None => None,
    };
    if found.is_none() {
        return Ok(None);
    }
    // A guest sees themselves, and nobody else as a member of the organization.
    let limited = door.scope(organization).await?.is_limited();
    Ok(found.filter(|row| !limited || Some(row.user) == door.user()).map(Membership::new))
}
