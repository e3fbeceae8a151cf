//! Role, Permission, Action, and the one table that joins them.
//!
//! Everything that decides who may do what reads this file: the guards on the schema, the doorway to the database,
//! the table in the README. A new [`Action`] without a permission does not compile.

/// A person's role in an organization or project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, async_graphql::Enum)]
#[graphql(rename_items = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// May do everything, deleting the organization included. There is always at least one.
    Owner,
    /// May do everything but delete the organization and manage its billing.
    Admin,
    /// Makes content with the agents.
    Member,
    /// Reads.
    Viewer,
}

/// What a role or an API key allows. Front ends drive buttons from these, not from role names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, async_graphql::Enum)]
#[graphql(rename_items = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum Permission {
    /// See the organization and its people.
    OrgRead,
    /// Change the organization's name and settings.
    OrgUpdate,
    /// Delete or restore the organization.
    OrgDelete,
    /// Manage the tier and invoices.
    OrgBilling,
    /// Invite, change and remove members.
    MemberManage,
    /// Create, rotate and revoke API keys.
    ApiKeyManage,
    /// Read the audit log.
    AuditRead,
    /// Manage webhooks.
    WebhookManage,
    /// Create projects.
    ProjectCreate,
    /// See projects.
    ProjectRead,
    /// Change and archive projects.
    ProjectUpdate,
    /// Delete projects.
    ProjectDelete,
    /// Run agents.
    AgentUse,
    /// Set up agents and their providers.
    AgentConfigure,
    /// Create content.
    ContentCreate,
    /// Read content.
    ContentRead,
    /// Change content.
    ContentUpdate,
    /// Delete content.
    ContentDelete,
    /// Approve content for publication.
    ContentApprove,
    /// Publish content.
    ContentPublish,
}

impl Role {
    /// Every role, strongest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// The spelling on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Admin => "ADMIN",
            Self::Member => "MEMBER",
            Self::Viewer => "VIEWER",
        }
    }

    /// Reads the spelling of the wire and of the database.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What the role allows.
    pub const fn permissions(self) -> Permissions {
        use Permission::{
            AgentUse, ContentCreate, ContentRead, ContentUpdate, OrgBilling, OrgDelete, OrgRead, ProjectRead,
        };
        match self {
            Self::Owner => Permissions::ALL,
            Self::Admin => Permissions::ALL.without(OrgDelete).without(OrgBilling),
            Self::Member => {
                Permissions::of(&[OrgRead, ProjectRead, AgentUse, ContentCreate, ContentRead, ContentUpdate])
            }
            Self::Viewer => Permissions::of(&[OrgRead, ProjectRead, ContentRead]),
        }
    }
}

impl Permission {
    /// Every permission, in the schema's order.
    pub const ALL: [Self; 20] = [
        Self::OrgRead,
        Self::OrgUpdate,
        Self::OrgDelete,
        Self::OrgBilling,
        Self::MemberManage,
        Self::ApiKeyManage,
        Self::AuditRead,
        Self::WebhookManage,
        Self::ProjectCreate,
        Self::ProjectRead,
        Self::ProjectUpdate,
        Self::ProjectDelete,
        Self::AgentUse,
        Self::AgentConfigure,
        Self::ContentCreate,
        Self::ContentRead,
        Self::ContentUpdate,
        Self::ContentDelete,
        Self::ContentApprove,
        Self::ContentPublish,
    ];

    /// The spelling on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrgRead => "ORG_READ",
            Self::OrgUpdate => "ORG_UPDATE",
            Self::OrgDelete => "ORG_DELETE",
            Self::OrgBilling => "ORG_BILLING",
            Self::MemberManage => "MEMBER_MANAGE",
            Self::ApiKeyManage => "API_KEY_MANAGE",
            Self::AuditRead => "AUDIT_READ",
            Self::WebhookManage => "WEBHOOK_MANAGE",
            Self::ProjectCreate => "PROJECT_CREATE",
            Self::ProjectRead => "PROJECT_READ",
            Self::ProjectUpdate => "PROJECT_UPDATE",
            Self::ProjectDelete => "PROJECT_DELETE",
            Self::AgentUse => "AGENT_USE",
            Self::AgentConfigure => "AGENT_CONFIGURE",
            Self::ContentCreate => "CONTENT_CREATE",
            Self::ContentRead => "CONTENT_READ",
            Self::ContentUpdate => "CONTENT_UPDATE",
            Self::ContentDelete => "CONTENT_DELETE",
            Self::ContentApprove => "CONTENT_APPROVE",
            Self::ContentPublish => "CONTENT_PUBLISH",
        }
    }

    /// Reads the spelling of the wire and of the database.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text)
    }

    /// The permissions that a project role or a project's API key can carry: those that act inside a project.
    pub const IN_PROJECT: Permissions = Permissions::ALL
        .without(Self::OrgUpdate)
        .without(Self::OrgDelete)
        .without(Self::OrgBilling)
        .without(Self::WebhookManage)
        .without(Self::ProjectCreate);
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << Permission::ALL.len()) - 1);

    /// The set of these.
    pub const fn of(list: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < list.len() {
            bits |= 1 << list[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// The set without this one.
    #[must_use]
    pub const fn without(self, permission: Permission) -> Self {
        Self(self.0 & !(1 << permission as u32))
    }

    /// Whether it holds this one.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// What both hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of these are in the other.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// In the schema's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }
}

impl serde::Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl serde::Serialize for Permission {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(list: I) -> Self {
        Self(list.into_iter().fold(0, |bits, permission| bits | 1 << permission as u32))
    }
}

impl std::fmt::Debug for Permissions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident, $wire:literal, $permission:ident;)*) => {
        /// Everything that can be done to an organization's data; the wire form is the audit log's `action`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action, in the README's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The wire form, for example `project.create`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)*
                }
            }

            /// The permission that it needs.
            pub const fn permission(self) -> Permission {
                match self {
                    $(Self::$name => Permission::$permission,)*
                }
            }
        }
    };
}

actions! {
    /// See the organization.
    OrganizationRead, "organization.read", OrgRead;
    /// Found an organization: its founder becomes its owner in the same step.
    OrganizationCreate, "organization.create", OrgRead;
    /// Change the organization.
    OrganizationUpdate, "organization.update", OrgUpdate;
    /// Delete the organization.
    OrganizationDelete, "organization.delete", OrgDelete;
    /// Bring a deleted organization back.
    OrganizationRestore, "organization.restore", OrgDelete;
    /// See what the organization uses.
    UsageRead, "usage.read", OrgRead;
    /// See the people.
    MembershipList, "membership.list", OrgRead;
    /// See people's e-mail addresses.
    MemberEmailRead, "membership.email", MemberManage;
    /// Change a member's role.
    MembershipUpdate, "membership.update", MemberManage;
    /// Remove a member.
    MembershipDelete, "membership.delete", MemberManage;
    /// Leave: needs no more than being there.
    MembershipLeave, "membership.leave", OrgRead;
    /// See invitations.
    InvitationList, "invitation.list", MemberManage;
    /// Invite somebody.
    InvitationCreate, "invitation.create", MemberManage;
    /// Accept an invitation: the token is the proof, the role it offers holds from then on.
    InvitationAccept, "invitation.accept", OrgRead;
    /// Decline an invitation.
    InvitationDecline, "invitation.decline", OrgRead;
    /// Take an invitation back.
    InvitationRevoke, "invitation.revoke", MemberManage;
    /// Send an invitation again.
    InvitationResend, "invitation.resend", MemberManage;
    /// Note whether an invitation's mail went out.
    InvitationDeliver, "invitation.deliver", MemberManage;
    /// See projects.
    ProjectRead, "project.read", ProjectRead;
    /// Create a project.
    ProjectCreate, "project.create", ProjectCreate;
    /// Change a project.
    ProjectUpdate, "project.update", ProjectUpdate;
    /// Archive a project, or bring it back.
    ProjectArchive, "project.archive", ProjectUpdate;
    /// Delete a project.
    ProjectDelete, "project.delete", ProjectDelete;
    /// Set somebody's role in a project.
    ProjectMemberSet, "project.member.set", MemberManage;
    /// See API keys.
    ApiKeyList, "api_key.list", ApiKeyManage;
    /// Create an API key.
    ApiKeyCreate, "api_key.create", ApiKeyManage;
    /// Give an API key a new secret.
    ApiKeyRotate, "api_key.rotate", ApiKeyManage;
    /// Revoke an API key.
    ApiKeyRevoke, "api_key.revoke", ApiKeyManage;
    /// Read the audit log.
    AuditRead, "audit.read", AuditRead;
    /// See periods.
    PeriodRead, "period.read", OrgRead;
    /// Change a period's name, colour or keywords.
    PeriodUpdate, "period.update", AgentConfigure;
    /// See the organization's providers of models, without their keys.
    ProviderRead, "provider.read", AgentConfigure;
    /// Set up a provider.
    ProviderCreate, "provider.create", AgentConfigure;
    /// Change a provider, or give it another key.
    ProviderUpdate, "provider.update", AgentConfigure;
    /// Delete a provider.
    ProviderDelete, "provider.delete", AgentConfigure;
    /// Ask a provider something, to see whether it answers.
    ProviderTest, "provider.test", AgentConfigure;
    /// See which engines agents work with when a call names none.
    EngineRouteRead, "engine_route.read", AgentConfigure;
    /// Set the engine that an agent works with when a call names none.
    EngineRouteSet, "engine_route.set", AgentConfigure;
    /// See which model makes the vectors of passages.
    EmbeddingsRead, "embeddings.read", AgentConfigure;
    /// Set which model makes the vectors of passages.
    EmbeddingsSet, "embeddings.set", AgentConfigure;
    /// Make the vectors of all passages: done by a job, in the name of whoever set the model.
    EmbeddingsMake, "embeddings.make", AgentConfigure;
    /// Make the vectors of new documents: done by a job, in the name of whoever added one.
    EmbeddingsAdd, "embeddings.add", ContentCreate;
    /// Make the vectors of changed documents: done by a job, in the name of whoever changed one.
    EmbeddingsRenew, "embeddings.renew", ContentUpdate;
    /// See the organization's own synonyms.
    SynonymsRead, "synonyms.read", AgentConfigure;
    /// Set the organization's own synonyms.
    SynonymsSet, "synonyms.set", AgentConfigure;
    /// See the accounts that the organization has connected, without their tokens.
    AccountRead, "account.read", AgentConfigure;
    /// Connect an account.
    AccountConnect, "account.connect", AgentConfigure;
    /// Give an account another token.
    AccountUpdate, "account.update", AgentConfigure;
    /// Disconnect an account.
    AccountDisconnect, "account.disconnect", AgentConfigure;
    /// Ask whether an account can be used.
    AccountTest, "account.test", AgentConfigure;
    /// See where the organization has news sent to, without the secrets.
    WebhookEndpointRead, "webhook_endpoint.read", WebhookManage;
    /// Say where news may be sent to.
    WebhookEndpointCreate, "webhook_endpoint.create", WebhookManage;
    /// Change a webhook endpoint, or give it another secret.
    WebhookEndpointUpdate, "webhook_endpoint.update", WebhookManage;
    /// Delete a webhook endpoint.
    WebhookEndpointDelete, "webhook_endpoint.delete", WebhookManage;
    /// See the organization's own workflows.
    WorkflowTemplateRead, "workflow_template.read", AgentUse;
    /// Make a workflow.
    WorkflowTemplateCreate, "workflow_template.create", AgentConfigure;
    /// Change a workflow.
    WorkflowTemplateUpdate, "workflow_template.update", AgentConfigure;
    /// Delete a workflow.
    WorkflowTemplateDelete, "workflow_template.delete", AgentConfigure;
    /// See what a project has done at set times.
    ScheduleRead, "schedule.read", AgentUse;
    /// Have something done at set times.
    ScheduleCreate, "schedule.create", AgentConfigure;
    /// Change a schedule, pause it or let it go on.
    ScheduleUpdate, "schedule.update", AgentConfigure;
    /// Delete a schedule.
    ScheduleDelete, "schedule.delete", AgentConfigure;
    /// Begin what is due: done by a job, in the name of whoever made or last changed the schedule.
    ScheduleFire, "schedule.fire", AgentUse;
    /// Read documents, and what agents have made.
    ContentRead, "content.read", ContentRead;
    /// Add a document.
    DocumentCreate, "document.create", ContentCreate;
    /// Change a document.
    DocumentUpdate, "document.update", ContentUpdate;
    /// Delete a document.
    DocumentDelete, "document.delete", ContentDelete;
    /// Make a new document's passages: done by a job, in the name of whoever added it.
    DocumentIndex, "document.index", ContentCreate;
    /// Make a changed document's passages: done by a job, in the name of whoever changed it.
    DocumentReindex, "document.reindex", ContentUpdate;
    /// Announce a file that shall be sent.
    AssetCreate, "asset.create", ContentCreate;
    /// Make an asset of a file that has been sent.
    AssetComplete, "asset.complete", ContentCreate;
    /// Change what is said about an asset.
    AssetUpdate, "asset.update", ContentUpdate;
    /// Delete an asset.
    AssetDelete, "asset.delete", ContentDelete;
    /// Save a file that an agent has made: done by a job, in the name of whoever asked.
    AssetSave, "asset.save", AgentUse;
    /// Ask a question.
    QaAsk, "qa.ask", AgentUse;
    /// Save the answer: done by a job, in the name of whoever asked.
    QaAnswer, "qa.answer", AgentUse;
    /// Begin a conversation.
    ConversationCreate, "conversation.create", AgentUse;
    /// Delete a conversation with its answers.
    ConversationDelete, "conversation.delete", ContentDelete;
    /// Have an agent work in a project.
    AgentRun, "agent.run", AgentUse;
    /// Save what an agent has made: done by a job, in the name of whoever asked.
    OutputCreate, "output.create", AgentUse;
    /// Ask Instagram about hashtags by a connected account: done by a job, in the name of whoever asked.
    HashtagSearch, "hashtag.search", AgentUse;
    /// Change a post, or ask for its approval.
    PostUpdate, "post.update", ContentUpdate;
    /// Approve a post.
    PostApprove, "post.approve", ContentApprove;
    /// Schedule a post, or take it from the schedule.
    PostSchedule, "post.schedule", ContentPublish;
    /// Have something published, now or later.
    PublicationCreate, "publication.create", ContentPublish;
    /// Take a publication further: done by a job, in the name of whoever asked.
    PublicationAdvance, "publication.advance", ContentPublish;
    /// Make one file of a publication: asked for, and then done by a job, in the name of whoever asked.
    PublicationExport, "publication.export", AgentUse;
    /// Ask Instagram what it counts of a publication.
    PublicationMeasure, "publication.measure", AgentUse;
    /// Note how far a run of a workflow is: done by a job, in the name of whoever asked.
    WorkflowAdvance, "workflow.advance", AgentUse;
    /// Approve a step of a run, or refuse it.
    WorkflowApprove, "workflow.approve", ContentApprove;
    /// Cancel a job.
    JobCancel, "job.cancel", AgentUse;
    /// Rate what an agent has made.
    OutputRate, "output.rate", ContentRead;
    /// Delete what an agent has made.
    OutputDelete, "output.delete", ContentDelete;
}

impl Action {
    /// Whether a refusal leaves its own row in the audit log: what changes members, keys or settings, or deletes, and
    /// following the log itself. (As a field it is null without its permission, by design, and refuses nothing.)
    pub const fn audits_refusal(self) -> bool {
        matches!(
            self,
            Self::OrganizationUpdate
                | Self::OrganizationDelete
                | Self::OrganizationRestore
                | Self::MembershipUpdate
                | Self::MembershipDelete
                | Self::InvitationCreate
                | Self::InvitationRevoke
                | Self::InvitationResend
                | Self::ProjectUpdate
                | Self::ProjectArchive
                | Self::ProjectDelete
                | Self::ProjectMemberSet
                | Self::ApiKeyCreate
                | Self::ApiKeyRotate
                | Self::ApiKeyRevoke
                | Self::PeriodUpdate
                | Self::ProviderCreate
                | Self::ProviderUpdate
                | Self::ProviderDelete
                | Self::ProviderTest
                | Self::EngineRouteSet
                | Self::EmbeddingsSet
                | Self::SynonymsSet
                | Self::AccountConnect
                | Self::AccountUpdate
                | Self::AccountDisconnect
                | Self::AccountTest
                | Self::WorkflowTemplateCreate
                | Self::WorkflowTemplateUpdate
                | Self::WorkflowTemplateDelete
                | Self::WebhookEndpointCreate
                | Self::WebhookEndpointUpdate
                | Self::WebhookEndpointDelete
                | Self::ScheduleCreate
                | Self::ScheduleUpdate
                | Self::ScheduleDelete
                | Self::DocumentDelete
                | Self::AssetDelete
                | Self::ConversationDelete
                | Self::OutputDelete
                | Self::AuditRead
        )
    }

    /// The type of what it is done to.
    pub fn target_kind(self) -> &'static str {
        match self.as_str().split('.').next() {
            Some("membership") => "Membership",
            Some("invitation") => "Invitation",
            Some("project") if self == Self::ProjectMemberSet => "ProjectMember",
            Some("project") => "Project",
            Some("api_key") => "ApiKey",
            Some("document") => "KnowledgeDocument",
            Some("period") => "Period",
            Some("provider") => "Provider",
            Some("engine_route") => "EngineRoute",
            Some("account") => "Account",
            Some("publication") => "Publication",
            Some("asset") => "Asset",
            Some("post") => "Post",
            Some("workflow") => "ContentWorkflowRun",
            Some("workflow_template") => "ContentWorkflowTemplate",
            Some("conversation") => "QaConversation",
            Some("schedule") => "Schedule",
            Some("webhook_endpoint") => "WebhookEndpoint",
            Some("qa" | "agent" | "job") => "Job",
            Some("output" | "content") => "AgentOutput",
            _ => "Organization",
        }
    }
}

/// The table Action → Permission → Roles as Markdown, for the README.
pub fn markdown() -> String {
    let mut out =
        String::from("| action | needs | OWNER | ADMIN | MEMBER | VIEWER |\n|---|---|---|---|---|---|\n");
    for action in Action::ALL {
        let permission = action.permission();
        out.extend(["| `", action.as_str(), "` | ", permission.as_str(), " "]);
        for role in Role::ALL {
            out.push_str(if role.permissions().contains(permission) { "| ✓ " } else { "|   " });
        }
        out.push_str("|\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_holds_what_the_next_one_holds() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[1].permissions().is_subset(pair[0].permissions()), "{pair:?}");
        }
        assert!(Role::Owner.permissions().contains(Permission::OrgDelete));
        assert!(!Role::Admin.permissions().contains(Permission::OrgBilling));
        assert_eq!(Role::Member.permissions().iter().count(), 6);
        assert_eq!(Role::Viewer.permissions().iter().count(), 3);
    }

    #[test]
    fn every_spelling_reads_back() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
        }
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
    }
}
