//! Who comes in: headers become a caller, an organization, a project, and a way to the database.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use chrono::{DateTime, Utc};

use super::graphql::{Admission, Charge, Charged, Gate, Head, Shown};
use super::limiter::{Limiter, Policy, Spender};
use super::live::Live;
use crate::db::{Db, Facts};
use crate::error::{Error, Fault, FaultCode, Refusal, Result};
use crate::graphql::context::{Door, Intent, OrganizationSelector, ProjectSelector, RequestContext};
use crate::graphql::node::Budget;
use crate::identity::Identity;

/// Lets requests in.
pub struct Entrance {
    db: Db,
    identity: Arc<Identity>,
    limiter: Arc<Limiter>,
    live: Arc<Live>,
}

impl Entrance {
    /// The entrance of a server.
    pub const fn new(db: Db, identity: Arc<Identity>, limiter: Arc<Limiter>, live: Arc<Live>) -> Self {
        Self { db, identity, limiter, live }
    }

    /// Whose budget a request is paid from.
    fn spender(&self, context: &RequestContext) -> Spender {
        let door = &context.door;
        let Ok(caller) = door.caller() else { return Spender::Address(context.address) };
        let credential = caller.credential.id();
        match self.identity.known_scope(caller, door.selected()) {
            None => Spender::Credential(credential),
            Some(scope) => Spender::Member {
                organization: scope.organization(),
                points: scope.points_per_minute(),
                key: caller.requests_per_minute.map(|limit| (credential, limit)),
            },
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty())
}

/// What was sent as a credential.
enum Presented<'a> {
    Nothing,
    Token(&'a str),
    Key(&'a str),
    Unreadable,
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    if headers.contains_key("x-api-key") {
        return text(headers, "x-api-key").map_or(Presented::Unreadable, Presented::Key);
    }
    if !headers.contains_key(AUTHORIZATION) {
        return Presented::Nothing;
    }
    let Some((scheme, value)) = text(headers, "authorization").and_then(|text| text.split_once(' ')) else {
        return Presented::Unreadable;
    };
    match value.trim() {
        _ if !scheme.eq_ignore_ascii_case("bearer") => Presented::Unreadable,
        key if key.starts_with("aicos_") => Presented::Key(key),
        token => Presented::Token(token),
    }
}

fn malformed(header: &str, what: &str) -> Error {
    Error::fault(Fault::new(FaultCode::Invalid, format!("The header {header} is {what}.")))
}

fn organization(headers: &HeaderMap) -> Result<Option<OrganizationSelector>> {
    let Some(word) = text(headers, "x-organization") else { return Ok(None) };
    if word.starts_with("org_") {
        let id = word.parse().map_err(|_| malformed("X-Organization", "not an organization's id or slug"))?;
        return Ok(Some(OrganizationSelector::Id(id)));
    }
    Ok(Some(OrganizationSelector::Slug(word.to_owned())))
}

fn project(headers: &HeaderMap) -> Result<Option<ProjectSelector>> {
    let Some(word) = text(headers, "x-project") else { return Ok(None) };
    if word.starts_with("prj_") {
        let id = word.parse().map_err(|_| malformed("X-Project", "not a project's id or slug"))?;
        return Ok(Some(ProjectSelector::Id(id)));
    }
    Ok(Some(ProjectSelector::Slug(word.to_owned())))
}

fn facts(head: &Head<'_>) -> Facts {
    let user_agent = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    Facts {
        ip: Some(head.address.to_string()),
        user_agent: user_agent.map(|text| text.chars().take(400).collect()),
        request_id: head.request_id.as_str().to_owned(),
    }
}

/// Waits for a moment; without one, for ever.
async fn passed(moment: Option<DateTime<Utc>>) {
    let Some(moment) = moment else { return std::future::pending().await };
    // One that has passed already takes no time.
    tokio::time::sleep((moment - Utc::now()).to_std().unwrap_or_default()).await;
}

impl Gate for Entrance {
    type Context = RequestContext;

    async fn admit(&self, head: Head<'_>) -> Result<Admission<RequestContext>> {
        let lease = self.db.lease(facts(&head));
        let (caller, secret) = match presented(head.headers) {
            Presented::Nothing => (Err(Refusal::Missing), None),
            Presented::Unreadable => (Err(Refusal::NotAccepted), None),
            Presented::Token(token) => (self.identity.recognise_token(token), None),
            Presented::Key(key) => match self.identity.recognise_key(&lease, key).await {
                Ok((caller, secret)) => (Ok(caller), Some(secret)),
                Err(Error::Unauthenticated(refusal)) => (Err(refusal), None),
                Err(error) => return Err(error),
            },
        };
        if let Ok(caller) = &caller {
            self.identity.used(caller);
        }
        let credential = match &caller {
            Ok(_) => Shown::Accepted,
            Err(Refusal::Missing) => Shown::Nothing,
            Err(refusal) => Shown::Refused(*refusal),
        };
        let intent = Intent {
            caller,
            presented: secret,
            organization: organization(head.headers)?,
            project: project(head.headers)?,
        };
        let door = Arc::new(Door::new(Arc::clone(&self.identity), intent, lease));
        Ok(Admission { context: RequestContext::new(door, head.address), credential })
    }

    async fn charge(&self, context: &RequestContext, charge: Charge<'_>) -> Charged {
        let spent = self.limiter.spend(&self.spender(context), charge.points, charge.changes).await;
        let headers = spent.headers();
        let remaining = spent.policies.first().map(|points| {
            let resets_at = Utc::now() + points.resets_in;
            let Policy { quota: limit, remaining, .. } = *points;
            // A body with several operations is charged once, for all of them.
            context
                .budget
                .get_or_init(|| Budget { cost: charge.points, limit, remaining, resets_at })
                .remaining
        });
        Charged { remaining, headers, refused: spent.refused }
    }

    async fn rest(&self, context: &RequestContext) {
        context.door.rest().await;
    }

    async fn attend(&self, context: &Arc<RequestContext>) -> Error {
        let door = &context.door;
        let Ok(caller) = door.caller() else { return std::future::pending().await };
        let _presence = self.live.enter(door);
        tokio::select! {
            why = door.pulse().dismissed() => why,
            () = passed(caller.expires_at) => Error::Unauthenticated(Refusal::Expired),
        }
    }

    fn release(&self, context: Arc<RequestContext>) {
        // Dropping the door gives its connection back; what is open on it is rolled back in a task of its own.
        drop(context);
    }
}
