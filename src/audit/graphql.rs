//! The audit log, as the schema shows it.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::futures_util::Stream;
use async_graphql::parser::types::Field;
use async_graphql::{Context, ID, InputObject, Object, SimpleObject, Subscription, Union};

use super::{Details, Filter, Outcome};
use crate::access::{Action, Role, Scope};
use crate::api_keys::graphql::ApiKey;
use crate::db::page::PageArgs;
use crate::error::{Error, Fault, FaultCode, Result};
use crate::events::Topic;
use crate::graphql::connection::{Connection, Counter, Node, connect};
use crate::graphql::context::{ContextExt as _, Door, Requires, read_id, visible};
use crate::graphql::live::{News, follow};
use crate::graphql::loader;
use crate::graphql::plain::Text;
use crate::graphql::scalars::{DateTime, Json};
use crate::id::{ApiKeyId, AuditEntryId, OrganizationId, ProjectId, UserId};
use crate::identity::graphql::User;
use crate::projects::graphql::Project;

/// Who did something.
#[derive(Union)]
pub enum Actor {
    /// A person.
    User(User),
    /// A program.
    ApiKey(ApiKey),
}

/// One thing that was done in an organization, or refused.
pub struct AuditEntry {
    row: super::AuditEntry,
}

impl AuditEntry {
    /// The entry of a row.
    pub const fn new(row: super::AuditEntry) -> Self {
        Self { row }
    }

    /// What was left out when the page was read without it.
    async fn details(&self, ctx: &Context<'_>) -> Result<Cow<'_, Details>> {
        if let Some(details) = &self.row.details {
            return Ok(Cow::Borrowed(details));
        }
        let mut tx = ctx.door().read(self.row.organization, Action::AuditRead).await?;
        let entry = super::find(&mut tx, self.row.organization, self.row.id).await?;
        entry.and_then(|entry| entry.details).map(Cow::Owned).ok_or(Error::NotFound)
    }
}

/// One field's change.
#[derive(SimpleObject)]
pub struct AuditChange {
    /// The field.
    field: String,
    /// Before; null when it was made. What is secret reads `[redacted]`.
    before: Option<Json>,
    /// After; null when it was removed. What is secret reads `[redacted]`.
    after: Option<Json>,
}

/// One thing that was done in an organization, or refused.
#[Object]
impl AuditEntry {
    /// The entry's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// Its number, gap-free per organization.
    async fn sequence(&self) -> i32 {
        i32::try_from(self.row.sequence).unwrap_or(i32::MAX)
    }

    /// What was done, for example `project.create`.
    async fn action(&self) -> &str {
        &self.row.action
    }

    /// What came of it.
    async fn outcome(&self) -> Outcome {
        self.row.outcome
    }

    /// Who did it; null when they have left or are not visible to the caller.
    async fn actor(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Actor>> {
        let organization = self.row.organization;
        let details = self.details(ctx).await?;
        if let Some(id) = details.actor_user {
            let row = loader::user(ctx, organization, id).await?;
            return Ok(row.map(|row| Actor::User(User::in_organization(row, organization))));
        }
        let Some(id) = details.actor_key else { return Ok(None) };
        Ok(loader::api_key(ctx, organization, id).await?.map(|row| Actor::ApiKey(ApiKey::new(row))))
    }

    /// What the actor was called then.
    async fn actor_label(&self) -> &str {
        &self.row.actor_label
    }

    /// The actor's role then; null for an API key.
    async fn actor_role(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Role>> {
        Ok(self.details(ctx).await?.actor_role)
    }

    /// The type of what it was done to.
    async fn target_type(&self) -> &str {
        &self.row.target_type
    }

    /// What it was done to.
    async fn target_id(&self) -> Option<ID> {
        self.row.target_id.clone().map(ID)
    }

    /// The project that it was done in; null when it was none, or is no more.
    async fn project(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Project>> {
        let Some(project) = self.details(ctx).await?.project else { return Ok(None) };
        Ok(loader::project(ctx, self.row.organization, project).await?.map(Project::new))
    }

    /// Before and after, per field.
    async fn changes(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<AuditChange>> {
        let details = self.details(ctx).await?;
        let shown = |value: &serde_json::Value| (!value.is_null()).then(|| Json(value.clone()));
        let change = |change: &crate::db::Change| AuditChange {
            field: change.field.clone(),
            before: shown(&change.before),
            after: shown(&change.after),
        };
        Ok(details.changes.iter().map(change).collect())
    }

    /// The address that it came from.
    async fn ip(&self) -> Option<&str> {
        self.row.ip.as_deref()
    }

    /// What the caller's program said of itself.
    async fn user_agent(&self) -> Option<&str> {
        self.row.user_agent.as_deref()
    }

    /// The request that did it, as in the logs.
    async fn request_id(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        Ok(self.details(ctx).await?.request_id.clone())
    }

    /// The chain's hash up to here, as hexadecimal digits: SHA-256 over the hash before and this entry.
    async fn hash(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        Ok(hex::encode(&self.details(ctx).await?.hash))
    }

    /// When.
    async fn occurred_at(&self) -> DateTime {
        self.row.occurred_at.into()
    }
}

impl Node for AuditEntry {
    fn plain(&self, field: &Field, out: &mut Text) -> Option<()> {
        let row = &self.row;
        match field.name.node.as_str() {
            "id" => out.put(&row.id),
            "sequence" => out.put(&i32::try_from(row.sequence).unwrap_or(i32::MAX)),
            "action" => out.put(&*row.action),
            "outcome" => out.put(row.outcome.as_str()),
            "actorLabel" => out.put(&row.actor_label),
            "actorRole" => out.put(&row.details.as_ref()?.actor_role.map(Role::as_str)),
            "targetType" => out.put(&row.target_type),
            "targetId" => out.put(&row.target_id),
            "ip" => out.put(&row.ip),
            "userAgent" => out.put(&row.user_agent),
            "requestId" => out.put(&row.details.as_ref()?.request_id),
            "occurredAt" => out.put(&DateTime::from(row.occurred_at)),
            _ => None,
        }
    }
}

/// Which entries; what is absent does not matter.
#[derive(InputObject)]
pub struct AuditLogFilter {
    /// Only these actions, at most 100.
    actions: Option<Vec<String>>,
    /// Only by this person or API key.
    actor_id: Option<ID>,
    /// Only on this object.
    target_id: Option<ID>,
    /// Only in this project.
    project_id: Option<ID>,
    /// Only with this outcome.
    outcome: Option<Outcome>,
    /// From this moment on.
    since: Option<DateTime>,
    /// Before this moment.
    until: Option<DateTime>,
}

impl AuditLogFilter {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn read(self) -> Result<Filter> {
        if self.actions.as_ref().is_some_and(|actions| actions.len() > 100) {
            return Err(Error::fault(Fault {
                field: Some(vec!["filter".into(), "actions".into()]),
                ..Fault::new(FaultCode::TooLong, "`actions` has at most 100 items.")
            }));
        }
        let is_word = |action: &String| {
            action.len() <= 60 && action.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.')
        };
        if !self.actions.iter().flatten().all(is_word) {
            return Err(Error::fault(Fault {
                field: Some(vec!["filter".into(), "actions".into()]),
                ..Fault::new(FaultCode::Invalid, "An action is a word such as `project.create`.")
            }));
        }
        if self.target_id.as_ref().is_some_and(|id| !crate::id::is_well_formed(id)) {
            return Err(Error::fault(Fault {
                field: Some(vec!["filter".into(), "targetId".into()]),
                ..Fault::new(FaultCode::Invalid, "`targetId` is not an id.")
            }));
        }
        let actor = match &self.actor_id {
            None => None,
            Some(id) if id.starts_with("key_") => Some(read_id::<ApiKeyId>("filter.actorId", id)?.uuid()),
            Some(id) => Some(read_id::<UserId>("filter.actorId", id)?.uuid()),
        };
        let project =
            self.project_id.as_ref().map(|id| read_id::<ProjectId>("filter.projectId", id)).transpose()?;
        Ok(Filter {
            actions: self.actions,
            actor,
            target: self.target_id.map(|id| id.0),
            project: project.map(ProjectId::uuid),
            outcome: self.outcome,
            since: self.since.map(|time| time.0),
            until: self.until.map(|time| time.0),
        })
    }
}

/// The fields that are taken from [`Details`].
const DETAILS: [&str; 6] = ["actor", "actorRole", "project", "changes", "requestId", "hash"];

/// A page of an organization's audit log; none when the question is answered with no.
///
/// # Errors
/// A fault of the arguments, or what the database says.
pub async fn connection(
    ctx: &Context<'_>,
    organization: OrganizationId,
    args: &PageArgs,
    filter: impl FnOnce() -> Result<Filter>,
    may: impl Fn(&Scope) -> bool,
) -> Result<Option<Connection<AuditEntry>>> {
    let door = ctx.door();
    // Whoever may not look is told so before their arguments are read.
    if !door.asks(organization, &may).await? {
        return Ok(None);
    }
    let filter = filter()?;
    let word = serde_json::to_string(&filter).map_err(Error::internal)?;
    let seal = door.seal(&["auditLog", &organization.to_string(), &word]);
    let look = ctx.look_ahead();
    let page = args.read(&seal)?.looking_further(look.field("pageInfo").exists());
    let selected = |name| {
        look.field("nodes").field(name).exists() || look.field("edges").field("node").field(name).exists()
    };
    let with_details = DETAILS.into_iter().any(selected);
    let newest = if with_details { None } else { super::newest(&page, &filter)? };
    let slice = if let Some((action, call)) = newest {
        let found = door.call_if(organization, Action::AuditRead, call, may).await?;
        let Some(rows) = found else { return Ok(None) };
        let rows = rows.into_iter().map(|row| row.of(&action).read(organization));
        page.slice(rows.collect::<Result<Vec<_>>>()?)
    } else {
        let opened = door.read_if(organization, Action::AuditRead, may).await?;
        let Some(mut tx) = opened else { return Ok(None) };
        super::list(&mut tx, organization, &page, &filter).await?
    };
    let count: Counter = Box::new(move |ctx| {
        let filter = filter.clone();
        Box::pin(async move {
            let mut tx = ctx.door().read(organization, Action::AuditRead).await?;
            super::count(&mut tx, &filter).await.map(Some)
        })
    });
    Ok(Some(connect(slice, &seal, count, |row| row.sequence, AuditEntry::new)))
}

/// An entry of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: AuditEntryId) -> Result<Option<AuditEntry>> {
    let door = ctx.door();
    let Some(organization) = visible(door.tenant().await)? else { return Ok(None) };
    let may = |scope: &Scope| scope.may_somewhere(Action::AuditRead.permission());
    let found = match door.read_if(organization, Action::AuditRead, may).await? {
        Some(mut tx) => super::find(&mut tx, organization, id).await?,
        None => None,
    };
    let Some(row) = found else { return Ok(None) };
    let scope = door.scope(organization).await?;
    // One entry is always read with its details.
    let Some(project) = row.details.as_ref().map(|details| details.project) else { return Ok(None) };
    Ok(scope.may_see(project, Action::AuditRead.permission()).then(|| AuditEntry::new(row)))
}

/// Entries that a subscription reads at a time.
const AT_ONCE: usize = 100;

/// The audit log as it is written.
#[derive(Default)]
pub struct AuditSubscription;

#[Subscription]
impl AuditSubscription {
    /// The organization's audit entries as they are written, each once and in their order; whoever reaches only some
    /// projects gets the entries of those. It goes on until it is ended by either side. Requires: `AUDIT_READ`.
    #[graphql(guard = "Requires::In(Action::AuditRead, &organization_id)")]
    async fn organization_activity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The organization.")] organization_id: ID,
        #[graphql(desc = "Begins after the entry with this sequence, with what is there already; \
            without it, with the next entry to be written.")]
        after: Option<i32>,
    ) -> async_graphql::Result<impl Stream<Item = async_graphql::Result<AuditEntry>> + use<>> {
        let door = ctx.door();
        let organization = read_id("organizationId", &organization_id)?;
        let organization = door.argued("organizationId", organization).await?;
        if after.is_some_and(|sequence| sequence < 0) {
            let message = "`after` is the sequence of an entry, or 0 to begin with the first one.";
            return Err(Error::fault(Fault::of(FaultCode::OutOfRange, "after", message)).into());
        }
        let read = move |door: Arc<Door>, from: Option<i64>| async move {
            let mut tx = door.read_throughout(organization, Action::AuditRead).await?;
            let Some(from) = from else {
                let next = Some(super::last(&mut tx).await?);
                return Ok(News { items: Vec::new(), next, more: false, over: false });
            };
            let (entries, more) = super::since(&mut tx, organization, from, AT_ONCE).await?;
            let next = entries.last().map_or(from, |entry| entry.sequence);
            let items = entries.into_iter().map(AuditEntry::new).collect();
            Ok(News { items, next: Some(next), more, over: false })
        };
        Ok(follow(door, organization, Topic::Audit(organization), after.map(i64::from), read).await?)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::graphql::connection::tests::assert_same;

    fn entries() -> Vec<AuditEntry> {
        let row = super::super::AuditEntry {
            organization: OrganizationId::generate(),
            id: "aud_01jd3x8r5nf6xr8m2zq0v7k9we".parse().unwrap(),
            sequence: 7,
            action: "project.create".into(),
            outcome: Outcome::Done,
            actor_label: "Somebody \"else\" \u{1F600}\u{0}".to_owned(),
            target_type: "Project".to_owned(),
            target_id: Some("prj_1".to_owned()),
            ip: Some("127.0.0.1".to_owned()),
            user_agent: None,
            occurred_at: chrono::DateTime::<Utc>::from_timestamp_nanos(1_790_000_000_123_456_789),
            details: Some(Details {
                actor_user: None,
                actor_key: None,
                actor_role: Some(Role::Admin),
                project: None,
                changes: Vec::new(),
                request_id: "r".to_owned(),
                hash: vec![1, 255],
            }),
        };
        let bare = super::super::AuditEntry {
            sequence: i64::MAX,
            outcome: Outcome::Refused,
            details: row.details.clone().map(|details| Details { actor_role: None, ..details }),
            target_id: None,
            ip: None,
            user_agent: Some("agent".to_owned()),
            ..row.clone()
        };
        vec![AuditEntry::new(row), AuditEntry::new(bare)]
    }

    #[tokio::test]
    async fn plain_fields_are_what_the_resolvers_say() {
        let plain = [
            "id",
            "sequence",
            "action",
            "outcome",
            "actorLabel",
            "actorRole",
            "targetType",
            "targetId",
            "ip",
            "userAgent",
            "requestId",
            "occurredAt",
        ];
        assert_same(entries, &plain, &["hash", "changes { field }", "actor { __typename }"]).await;
    }
}
