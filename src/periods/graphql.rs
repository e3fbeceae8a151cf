//! Periods, as the schema shows them.

use std::collections::BTreeMap;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::Utc;

use super::PeriodUpdate;
use super::cycles::{self, Cycle};
use crate::access::Action;
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::graphql::connection::Node;
use crate::graphql::context::{ContextExt as _, Requires, input_id, not_found_at, read_id, shown, visible};
use crate::graphql::errors::{UserError, payloads, settle};
use crate::graphql::scalars::{DateTime, Json};
use crate::id::{OrganizationId, PeriodId};
use crate::input;
use crate::retrieval::Language;

/// One of the seven periods of an organization: organization data, seeded; names and keywords by language.
pub struct Period {
    row: super::Period,
}

impl Period {
    /// The period of a row.
    pub const fn new(row: super::Period) -> Self {
        Self { row }
    }
}

impl Node for Period {}

/// One of the seven periods of an organization: organization data, seeded; names and keywords by language.
#[Object]
impl Period {
    /// The period's id.
    pub async fn id(&self) -> ID {
        ID(self.row.id.to_string())
    }

    /// Its place in a cycle, 1 to 7.
    async fn number(&self) -> i32 {
        i32::from(self.row.definition.number)
    }

    /// A short name for programs, such as `energy`; each period of an organization has another one.
    async fn key(&self) -> &str {
        &self.row.definition.key
    }

    /// Its name by language: `{"DE": "Veränderung", "EN": "Change"}`.
    async fn names(&self) -> Json {
        Json(by_language(&self.row.definition.names))
    }

    /// Its colour as `#RRGGBB`.
    async fn color(&self) -> &str {
        &self.row.definition.color
    }

    /// Words that belong to it, by language: `{"DE": ["Aufbruch"], "EN": ["growth"]}`.
    async fn keywords(&self) -> Json {
        Json(by_language(&self.row.definition.keywords))
    }
}

fn by_language<T: serde::Serialize>(map: &BTreeMap<Language, T>) -> serde_json::Value {
    serde_json::to_value(map).unwrap_or_default()
}

/// Where a moment lies in a cycle.
#[derive(SimpleObject)]
pub struct CyclePosition {
    /// In which cycle.
    cycle: Cycle,
    /// Which round of it, from 1.
    round: i32,
    /// The period that it lies in.
    period: Period,
    /// When the period began, on the clock of the time zone, such as `2026-11-29T00:00:00`.
    begins: String,
    /// When it ends.
    ends: String,
    /// How much of it has passed, from 0 to less than 1.
    progress: f64,
}

/// A text in a language.
#[derive(InputObject)]
struct NameInput {
    /// Which language.
    language: Language,
    /// The name, at most 60 characters.
    name: String,
}

/// Keywords in a language.
#[derive(InputObject)]
struct KeywordsInput {
    /// Which language.
    language: Language,
    /// All of them, at most 20 of at most 60 characters.
    keywords: Vec<String>,
}

/// A change of a period; what is absent stays.
#[derive(InputObject)]
struct PeriodUpdateInput {
    /// Which period.
    id: ID,
    /// A key that no other period has: a small letter, then small letters, digits and hyphens, at most 40 in all.
    key: Option<String>,
    /// Names; other languages keep theirs.
    names: Option<Vec<NameInput>>,
    /// A colour as `#RRGGBB`.
    color: Option<String>,
    /// Keywords; other languages keep theirs.
    keywords: Option<Vec<KeywordsInput>>,
}

/// What changing a period is answered with.
#[derive(Default, SimpleObject)]
pub struct PeriodUpdatePayload {
    /// The period.
    period: Option<Period>,
    /// What the caller can put right; empty on success.
    user_errors: Vec<UserError>,
}

payloads!(PeriodUpdatePayload);

/// A period of an organization, for whoever belongs to it.
///
/// # Errors
/// What the database says.
pub async fn find(ctx: &Context<'_>, organization: OrganizationId, id: PeriodId) -> Result<Option<Period>> {
    let Some(mut tx) = shown(ctx.door().read(organization, Action::PeriodRead).await)? else {
        return Ok(None);
    };
    Ok(super::find(&mut tx, id).await?.map(Period::new))
}

/// A period of the request's organization.
///
/// # Errors
/// What the database says.
pub async fn node(ctx: &Context<'_>, id: PeriodId) -> Result<Option<Period>> {
    let Some(organization) = visible(ctx.door().tenant().await)? else { return Ok(None) };
    find(ctx, organization, id).await
}

/// The organization that an argument names, or else the request's.
async fn place(ctx: &Context<'_>, organization: Option<&ID>) -> Result<Option<OrganizationId>> {
    let door = ctx.door();
    match organization {
        Some(id) => Ok(Some(door.argued("organizationId", read_id("organizationId", id)?).await?)),
        None => visible(door.tenant().await),
    }
}

/// Asking for periods.
#[derive(Default)]
pub struct PeriodQuery;

#[Object]
impl PeriodQuery {
    /// The seven periods of an organization of the caller's, in their order; of the request's when none is named. Null
    /// unless the caller belongs to it. Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn periods(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "One of the caller's own.")] organization_id: Option<ID>,
    ) -> async_graphql::Result<Option<Vec<Period>>> {
        let Some(organization) = place(ctx, organization_id.as_ref()).await? else { return Ok(None) };
        let Some(mut tx) = shown(ctx.door().read(organization, Action::PeriodRead).await)? else {
            return Ok(None);
        };
        Ok(Some(super::list(&mut tx).await?.into_iter().map(Period::new).collect()))
    }

    /// Where a moment lies in the four cycles of a person or company, in the periods of the request's organization; the
    /// formulas stand in the README. Null unless the caller belongs to one. Requires: a credential.
    #[graphql(guard = "Requires::Caller")]
    async fn cycle_positions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "When everything began: a birth, or the founding of a company.")] start: DateTime,
        #[graphql(desc = "Which moment; now when absent.")] at: Option<DateTime>,
        #[graphql(desc = "On whose clock, an IANA time zone such as `Europe/Berlin`.", default = "UTC")]
        timezone: String,
    ) -> async_graphql::Result<Option<Vec<CyclePosition>>> {
        let zone = input::timezone(&timezone)
            .map_err(|message| Error::fault(Fault::of(FaultCode::Invalid, "timezone", message)))?;
        let local = |time: chrono::DateTime<Utc>| time.with_timezone(&zone).naive_local();
        let at = at.map_or_else(Utc::now, |at| at.0);
        let positions = cycles::positions(local(start.0), local(at))
            .map_err(|error| Error::fault(Fault::of(FaultCode::OutOfRange, "at", error.to_string())))?;
        let Some(organization) = place(ctx, None).await? else { return Ok(None) };
        let Some(mut tx) = shown(ctx.door().read(organization, Action::PeriodRead).await)? else {
            return Ok(None);
        };
        let periods = super::list(&mut tx).await?;
        let time = |time: chrono::NaiveDateTime| time.format("%Y-%m-%dT%H:%M:%S").to_string();
        let position = |position: cycles::Position| {
            let period = periods.iter().find(|period| period.definition.number == position.period)?;
            Some(CyclePosition {
                cycle: position.cycle,
                round: i32::try_from(position.round).unwrap_or(i32::MAX),
                period: Period::new(period.clone()),
                begins: time(position.begins),
                ends: time(position.ends),
                progress: position.progress,
            })
        };
        Ok(Some(positions.into_iter().filter_map(position).collect()))
    }
}

/// Changing periods.
#[derive(Default)]
pub struct PeriodMutation;

#[Object]
impl PeriodMutation {
    /// Changes what a period is called, its colour or its keywords. Requires: `AGENT_CONFIGURE` in the whole
    /// organization. Codes: `NOT_FOUND`, `REQUIRED`, `INVALID`, `TOO_LONG`, `ALREADY_EXISTS`.
    #[graphql(guard = "Requires::Here(Action::PeriodUpdate, &input.id)")]
    async fn period_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: PeriodUpdateInput,
    ) -> async_graphql::Result<Option<PeriodUpdatePayload>> {
        let outcome = async {
            let id: PeriodId = input_id("id", &input.id)?;
            let missing = not_found_at("id");
            let door = ctx.door();
            let organization = door.tenant().await.map_err(&missing)?;
            let names = input.names.into_iter().flatten().map(|given| (given.language, given.name));
            let keywords = input.keywords.into_iter().flatten().map(|given| (given.language, given.keywords));
            let change = PeriodUpdate {
                key: input.key,
                names: names.collect(),
                color: input.color,
                keywords: keywords.collect(),
            };
            let mut tx = door.write(organization, Action::PeriodUpdate).await.map_err(&missing)?;
            let (before, after) = super::update(&mut tx, id, change).await.map_err(&missing)?;
            let changes = Changes::between(&before.definition, &after.definition);
            if changes.is_empty() {
                drop(tx);
            } else {
                tx.commit(Record::with(Target::period(id), changes)).await?;
            }
            Ok(PeriodUpdatePayload { period: Some(Period::new(after)), user_errors: Vec::new() })
        };
        Ok(settle(outcome.await)?)
    }
}
