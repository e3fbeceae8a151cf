//! The schema: assembly only.

pub mod connection;
pub mod context;
pub mod document;
pub mod errors;
pub mod execute;
pub mod live;
pub mod loader;
pub mod node;
pub mod plain;
pub mod scalars;
#[cfg(test)]
pub(crate) mod toy;
pub mod turn;

use async_graphql::{MergedObject, MergedSubscription, Schema, SchemaBuilder};

use crate::accounts::graphql::AccountMutation;
use crate::agents::graphql::AgentMutation;
use crate::api_keys::graphql::ApiKeyMutation;
use crate::assets::graphql::AssetMutation;
use crate::audit::graphql::AuditSubscription;
use crate::identity::graphql::{IdentityMutation, IdentityQuery};
use crate::invitations::graphql::{InvitationMutation, InvitationQuery};
use crate::jobs::graphql::{JobMutation, JobQuery, JobSubscription};
use crate::knowledge::embeddings::graphql::EmbeddingsMutation;
use crate::knowledge::graphql::DocumentMutation;
use crate::knowledge::synonyms::graphql::SynonymsMutation;
use crate::memberships::graphql::MembershipMutation;
use crate::organizations::graphql::{OrganizationMutation, OrganizationQuery};
use crate::periods::graphql::{PeriodMutation, PeriodQuery};
use crate::projects::graphql::{ProjectMutation, ProjectQuery};
use crate::providers::graphql::ProviderMutation;
use crate::schedules::graphql::ScheduleMutation;
use crate::webhooks::graphql::WebhookMutation;
use node::NodeQuery;

/// What can be asked.
#[derive(Default, MergedObject)]
pub struct Query(
    NodeQuery,
    IdentityQuery,
    OrganizationQuery,
    ProjectQuery,
    InvitationQuery,
    JobQuery,
    PeriodQuery,
);

/// What can be changed. Each root field is one unit of work; its selection is resolved after it has been kept.
#[derive(Default, MergedObject)]
pub struct Mutation(
    IdentityMutation,
    OrganizationMutation,
    MembershipMutation,
    InvitationMutation,
    ProjectMutation,
    ApiKeyMutation,
    DocumentMutation,
    AssetMutation,
    PeriodMutation,
    ProviderMutation,
    EmbeddingsMutation,
    SynonymsMutation,
    AccountMutation,
    JobMutation,
    AgentMutation,
    ScheduleMutation,
    WebhookMutation,
);

/// What can be followed. An operation selects one of these fields.
#[derive(Default, MergedSubscription)]
pub struct Subscription(AuditSubscription, JobSubscription);

/// The schema, without limits: the document check has them.
pub fn schema() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .register_output_type::<errors::UserError>()
}

/// The schema as text, sorted: what `schema.graphql` holds.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by();
    schema().finish().sdl_with_options(options)
}
