//! Who may do what: pure rules, no SQL, no HTTP, no GraphQL.

pub mod policy;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use policy::{Action, Permission, Permissions, Role};

use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, JobId, OrganizationId, ProjectId, SessionId, UserId};

/// What proved who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// An access token of a signed-in session.
    Session {
        /// The person.
        user: UserId,
        /// The session.
        session: SessionId,
    },
    /// An API key, which acts with at most the rights that its creator has now.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// Who made it.
        creator: UserId,
    },
    /// A job, which works in the name of whoever started it, with at most the rights that they have now.
    Job {
        /// The job.
        job: JobId,
        /// The attempt that holds it; an older one is refused by the database.
        attempt: i32,
        /// The person who started it, or who made the key that did.
        creator: UserId,
        /// The key that started it, when it was one.
        key: Option<ApiKeyId>,
    },
}

impl Credential {
    /// The person whose rights count: the session's, the key's creator, or whoever started the job.
    pub const fn user(self) -> UserId {
        match self {
            Self::Session { user, .. } => user,
            Self::ApiKey { creator, .. } | Self::Job { creator, .. } => creator,
        }
    }

    /// The id of the session, key or job.
    pub const fn id(self) -> Uuid {
        match self {
            Self::Session { session, .. } => session.uuid(),
            Self::ApiKey { key, .. } => key.uuid(),
            Self::Job { job, .. } => job.uuid(),
        }
    }

    /// The key that acts, or in whose name a job does.
    pub const fn key(self) -> Option<ApiKeyId> {
        match self {
            Self::Session { .. } => None,
            Self::ApiKey { key, .. } => Some(key),
            Self::Job { key, .. } => key,
        }
    }

    /// Who acts, for the audit log's and the idempotency keys' sake: the person, or the key itself.
    pub const fn actor(self) -> Uuid {
        match self.key() {
            Some(key) => key.uuid(),
            None => self.user().uuid(),
        }
    }
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What proved it.
    pub credential: Credential,
    /// When the credential ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// The organization that the token was issued for, or that the key belongs to.
    pub organization: Option<OrganizationId>,
    /// The key's own limit, when it has one.
    pub requests_per_minute: Option<u32>,
}

/// What the database says about a caller in one organization; the ground that a [`Scope`] is made from.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The organization.
    pub organization: OrganizationId,
    /// The membership's role.
    pub role: Role,
    /// Whether it is a guest's membership, which reaches only the projects below.
    pub limited: bool,
    /// The number that changes with every change of a right.
    pub version: i64,
    /// Whether the organization is deleted; its owners still read it, and may restore it.
    pub deleted: bool,
    /// Roles in single projects.
    pub project_roles: BTreeMap<ProjectId, Role>,
    /// For an API key: its project, if it has one.
    pub key_project: Option<ProjectId>,
    /// For an API key: its own permissions.
    pub key_permissions: Option<Permissions>,
    /// Points that the credential may spend in a minute.
    pub points_per_minute: u32,
}

/// A caller in one organization: the only thing that opens the doorway to its data.
///
/// It may come from a cache, because the transaction that it opens verifies credential, membership and version again.
/// Only `identity` mints one (held by `tests/tidy.rs`).
#[derive(Debug, Clone)]
pub struct Scope {
    credential: Credential,
    standing: Standing,
    narrowed: Option<ProjectId>,
}

impl Scope {
    /// Makes a scope from what the database said.
    pub(crate) const fn mint(credential: Credential, standing: Standing) -> Self {
        Self { credential, standing, narrowed: None }
    }

    /// The same, reaching one project only (`X-Project`).
    #[must_use]
    pub fn narrow(&self, project: ProjectId) -> Self {
        Self { narrowed: Some(project), ..self.clone() }
    }

    /// The organization.
    pub const fn organization(&self) -> OrganizationId {
        self.standing.organization
    }

    /// What proved the caller.
    pub const fn credential(&self) -> Credential {
        self.credential
    }

    /// The number that the database compares.
    pub const fn version(&self) -> i64 {
        self.standing.version
    }

    /// The project that the request narrowed itself to.
    pub const fn narrowed(&self) -> Option<ProjectId> {
        self.narrowed
    }

    /// Whether the organization is deleted.
    pub const fn is_deleted(&self) -> bool {
        self.standing.deleted
    }

    /// Whether the caller reaches only some projects.
    pub const fn is_limited(&self) -> bool {
        self.standing.limited || self.standing.key_project.is_some() || self.narrowed.is_some()
    }

    /// The projects that the caller is a guest of, when they are one.
    pub fn guest_of(&self) -> Option<impl Iterator<Item = ProjectId>> {
        self.standing.limited.then(|| self.standing.project_roles.keys().copied())
    }

    /// The project that a key is bound to or that the request narrowed itself to.
    pub fn bound_project(&self) -> Option<ProjectId> {
        self.narrowed.or(self.standing.key_project)
    }

    /// Points that the credential may spend in a minute.
    pub const fn points_per_minute(&self) -> u32 {
        self.standing.points_per_minute
    }

    /// The caller's role in the organization; an API key has none.
    pub const fn role(&self) -> Option<Role> {
        match self.credential.key() {
            None => Some(self.standing.role),
            Some(_) => None,
        }
    }

    /// The caller's role in one project; an API key has none.
    pub fn role_in(&self, project: ProjectId) -> Option<Role> {
        self.role().map(|_| self.effective_role(project))
    }

    /// An owner is never lowered; otherwise a project's own role replaces the inherited one.
    fn effective_role(&self, project: ProjectId) -> Role {
        if self.standing.role == Role::Owner {
            return Role::Owner;
        }
        self.standing.project_roles.get(&project).copied().unwrap_or(self.standing.role)
    }

    fn cap(&self, permissions: Permissions) -> Permissions {
        let capped = match self.standing.key_permissions {
            Some(own) => permissions.intersection(own),
            None => permissions,
        };
        if self.standing.key_project.is_some() { capped.intersection(Permission::IN_PROJECT) } else { capped }
    }

    /// What the caller may do in the organization as a whole. A guest, or a key of one project, sees that it is there,
    /// and nothing more of it.
    pub fn permissions(&self) -> Permissions {
        if self.standing.limited || self.standing.key_project.is_some() {
            let guest =
                Permissions::of(&[Permission::OrgRead, Permission::ProjectRead, Permission::ContentRead]);
            return self.cap(self.standing.role.permissions().intersection(guest));
        }
        self.cap(self.standing.role.permissions())
    }

    /// What the caller may do in one project.
    pub fn permissions_in(&self, project: ProjectId) -> Permissions {
        if !self.reaches(project) {
            return Permissions::NONE;
        }
        let role = self.effective_role(project);
        if !self.standing.limited && role == self.standing.role {
            return self.cap(role.permissions());
        }
        self.cap(role.permissions().intersection(Permission::IN_PROJECT))
    }

    /// Whether the caller's limits let them reach the project at all.
    fn reaches(&self, project: ProjectId) -> bool {
        (!self.standing.limited || self.standing.project_roles.contains_key(&project))
            && self.standing.key_project.is_none_or(|only| only == project)
            && self.narrowed.is_none_or(|only| only == project)
    }

    /// Whether the organization allows it, or at least one of its projects: what a guard can know before an argument
    /// names the project.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        let projects = self.standing.project_roles.keys().copied().chain(self.bound_project());
        self.may(permission)
            || projects.into_iter().any(|project| self.permissions_in(project).contains(permission))
    }

    /// Whether everything that the caller reaches allows it: what a list of the whole organization needs. A role in one
    /// project opens nothing outside of it.
    pub fn may_throughout(&self, permission: Permission) -> bool {
        let within = |project: &ProjectId| self.permissions_in(*project).contains(permission);
        match self.bound_project() {
            Some(project) => within(&project),
            None if self.standing.limited => {
                !self.standing.project_roles.is_empty() && self.standing.project_roles.keys().all(within)
            }
            None => self.may(permission),
        }
    }

    /// Whether a list may be read: one project's, or the whole organization's.
    pub fn may_list(&self, project: Option<ProjectId>, permission: Permission) -> bool {
        match project {
            None => self.may_throughout(permission),
            Some(project) => self.permissions_in(project).contains(permission),
        }
    }

    /// Whether one object may be seen: with the organization's permission, or with the one of the project that it is in.
    pub fn may_see(&self, project: Option<ProjectId>, permission: Permission) -> bool {
        self.may_throughout(permission)
            || project.is_some_and(|project| self.permissions_in(project).contains(permission))
    }

    /// Whether the organization as a whole allows it.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions().contains(permission)
    }

    /// A deleted organization is there for its owners to look at and to bring back, and for nothing else.
    fn require_alive(&self, action: Action) -> Result<()> {
        if !self.standing.deleted || action == Action::OrganizationRestore {
            return Ok(());
        }
        let message = "This organization is deleted. Bring it back with `organizationRestore` first.";
        Err(Error::fault(Fault::new(FaultCode::Conflict, message)))
    }

    /// Refuses a change that the organization as a whole does not allow.
    pub fn require(&self, action: Action) -> Result<()> {
        self.require_alive(action)?;
        if self.may(action.permission()) { Ok(()) } else { Err(self.forbidden(action)) }
    }

    /// Refuses what neither the organization nor any of its projects allows.
    pub fn require_somewhere(&self, action: Action) -> Result<()> {
        if self.may_somewhere(action.permission()) { Ok(()) } else { Err(self.forbidden(action)) }
    }

    /// Refuses what not everything that the caller reaches allows.
    pub fn require_throughout(&self, action: Action) -> Result<()> {
        if self.may_throughout(action.permission()) { Ok(()) } else { Err(self.forbidden(action)) }
    }

    /// Refuses a change that the project does not allow.
    pub fn require_in(&self, project: ProjectId, action: Action) -> Result<()> {
        self.require_alive(action)?;
        if self.permissions_in(project).contains(action.permission()) {
            return Ok(());
        }
        let role = self.role_in(project).map(Role::as_str);
        Err(Error::Forbidden { required: action.permission().as_str(), role })
    }

    fn forbidden(&self, action: Action) -> Error {
        Error::Forbidden { required: action.permission().as_str(), role: self.role().map(Role::as_str) }
    }

    /// Whether the caller may hand out this role: nobody grants more than they hold.
    pub fn may_grant(&self, role: Role, project: Option<ProjectId>) -> bool {
        match project {
            None => role.permissions().is_subset(self.permissions()),
            Some(project) => role
                .permissions()
                .intersection(Permission::IN_PROJECT)
                .is_subset(self.permissions_in(project)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(role: Role) -> Standing {
        Standing {
            organization: OrganizationId::generate(),
            role,
            limited: false,
            version: 1,
            deleted: false,
            project_roles: BTreeMap::new(),
            key_project: None,
            key_permissions: None,
            points_per_minute: 1,
        }
    }

    fn session() -> Credential {
        Credential::Session { user: UserId::generate(), session: SessionId::generate() }
    }

    #[test]
    fn a_project_role_replaces_the_inherited_one_but_never_lowers_an_owner() {
        let project = ProjectId::generate();
        let mut member = standing(Role::Admin);
        member.project_roles.insert(project, Role::Viewer);
        let scope = Scope::mint(session(), member);
        assert!(!scope.permissions_in(project).contains(Permission::ProjectUpdate));
        assert!(scope.permissions_in(ProjectId::generate()).contains(Permission::ProjectUpdate));

        let mut owner = standing(Role::Owner);
        owner.project_roles.insert(project, Role::Viewer);
        assert_eq!(Scope::mint(session(), owner).role_in(project), Some(Role::Owner));
    }

    #[test]
    fn a_raised_project_role_gives_nothing_outside_of_the_project() {
        let project = ProjectId::generate();
        let mut viewer = standing(Role::Viewer);
        viewer.project_roles.insert(project, Role::Owner);
        let scope = Scope::mint(session(), viewer);
        assert!(scope.permissions_in(project).contains(Permission::ProjectDelete));
        assert!(!scope.permissions_in(project).contains(Permission::OrgDelete));
        assert!(!scope.may(Permission::ProjectDelete));
        assert!(scope.may_somewhere(Permission::ProjectDelete));
    }

    #[test]
    fn a_guest_reaches_their_projects_only() {
        let project = ProjectId::generate();
        let mut guest = standing(Role::Admin);
        guest.limited = true;
        guest.project_roles.insert(project, Role::Admin);
        let scope = Scope::mint(session(), guest);
        assert!(!scope.may(Permission::MemberManage));
        assert!(scope.permissions_in(project).contains(Permission::MemberManage));
        assert_eq!(scope.permissions_in(ProjectId::generate()), Permissions::NONE);
    }

    #[test]
    fn a_key_has_what_it_and_its_creator_both_have() {
        let project = ProjectId::generate();
        let mut key = standing(Role::Member);
        key.key_permissions = Some(Permissions::of(&[Permission::ProjectRead, Permission::ProjectCreate]));
        key.key_project = Some(project);
        let credential = Credential::ApiKey { key: ApiKeyId::generate(), creator: UserId::generate() };
        let scope = Scope::mint(credential, key);
        assert_eq!(scope.permissions_in(project), Permissions::of(&[Permission::ProjectRead]));
        assert_eq!(scope.permissions_in(ProjectId::generate()), Permissions::NONE);
        assert_eq!(scope.role(), None);
    }

    #[test]
    fn a_role_in_one_project_opens_no_list_of_the_organization() {
        let (here, there) = (ProjectId::generate(), ProjectId::generate());
        let mut raised = standing(Role::Viewer);
        raised.project_roles.insert(here, Role::Admin);
        let scope = Scope::mint(session(), raised);
        assert!(!scope.may_throughout(Permission::AuditRead));
        assert!(scope.narrow(here).may_throughout(Permission::AuditRead));
        assert!(!scope.narrow(there).may_throughout(Permission::AuditRead));
        assert!(
            scope.may_list(Some(here), Permission::AuditRead) && !scope.may_list(None, Permission::AuditRead)
        );
        assert!(!scope.may_list(Some(there), Permission::AuditRead));
        assert!(scope.may_see(Some(here), Permission::AuditRead));
        assert!(
            !scope.may_see(Some(there), Permission::AuditRead) && !scope.may_see(None, Permission::AuditRead)
        );

        let mut guest = standing(Role::Viewer);
        guest.limited = true;
        guest.project_roles.insert(here, Role::Admin);
        assert!(Scope::mint(session(), guest.clone()).may_throughout(Permission::AuditRead));
        guest.project_roles.insert(there, Role::Viewer);
        assert!(!Scope::mint(session(), guest).may_throughout(Permission::AuditRead));
    }

    #[test]
    fn a_key_of_one_project_changes_nothing_in_the_organization() {
        let project = ProjectId::generate();
        let mut key = standing(Role::Owner);
        key.key_permissions = Some(Permissions::ALL);
        key.key_project = Some(project);
        let credential = Credential::ApiKey { key: ApiKeyId::generate(), creator: UserId::generate() };
        let scope = Scope::mint(credential, key);
        assert!(!scope.may(Permission::MemberManage) && !scope.may(Permission::ApiKeyManage));
        assert!(!scope.may_grant(Role::Member, None));
        assert!(scope.may_somewhere(Permission::MemberManage));
        assert!(scope.permissions_in(project).contains(Permission::MemberManage));
    }

    #[test]
    fn nobody_grants_more_than_they_hold() {
        let admin = Scope::mint(session(), standing(Role::Admin));
        assert!(admin.may_grant(Role::Admin, None));
        assert!(!admin.may_grant(Role::Owner, None));
        let project = ProjectId::generate();
        assert!(admin.may_grant(Role::Admin, Some(project)));
    }
}
