//! The one-statement door: what is asked or changed all the time, entered and done in one round trip where the general
//! door takes two.
//!
//! # A hot query and its pass
//!
//! A hot query is a plain statement, bound together with a pass: a parameter of the domain `app.tenant_pass` or
//! `app.person_pass`, whose check is `app.enter` or `app.enter_user`. That the check comes first is the protocol's order and
//! not the planner's choice:
//!
//! 1. The statement is sent in the extended protocol. Parse names the type of every parameter, and the pass's is the domain;
//!    whether the text mentions the parameter makes no difference, because Bind has to bring a value for each.
//! 2. Bind makes the values: it hands each one, NULL too, to the input function of its type, and a domain's input function
//!    evaluates the domain's constraints. Only then does it plan the statement (or take the generic plan) and open the
//!    portal; rows are read by Execute, a later message. An error in Bind makes no portal, and everything up to the next
//!    Sync is skipped. (PostgreSQL, "Message Flow", extended query; "CREATE DOMAIN".)
//! 3. Outside of BEGIN the messages up to a Sync are one transaction. What the check has set is local to it: it holds for
//!    the statement, and is gone after it, whether it ended well or not.
//!
//! The doorway sends one Bind between two Syncs, so the statement runs in the context of its pass, or not at all. A value
//! that is written into a text is no pass: it is an expression, checked when the executor comes to it. The doorway never
//! writes one; and should somebody do it, row-level security shows nothing until a check has passed.
//! `tests/doorway/passes.rs` holds all of this on the wire, and that each part of the checks is needed for it.
//!
//! # A hot change
//!
//! A hot change is a function in PL/pgSQL, whose statements run in their order: it enters, changes and writes its audit row.
//! Entering is a condition and not a PERFORM, and what is returned is put into a record instead of going round a loop:
//! PL/pgSQL then opens no query for the one and no cursor for the other. A change is of one object, or of none.
//! `migrate` creates it, and a test compares what the catalogue holds.
//!
//! The SQL of both stands beside its Rust, as a [`Hot`] in the entity's `store.rs`.

use std::marker::PhantomData;

use sqlx::postgres::PgArguments;
use sqlx::{Encode, Postgres, Type};
use uuid::Uuid;

use crate::access::Scope;
use crate::error::{Error, Result};
use crate::id::{ProjectId, SessionId, UserId};

/// A hot query or change.
#[derive(Debug)]
pub struct Hot {
    /// What it is called; a change's function is `app.hot_` and this.
    pub name: &'static str,
    /// Where it leads.
    pub door: Door,
    /// The statement of a query, or the part of a change that stands between entering and the audit row.
    pub sql: &'static str,
}

/// Which context is entered, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Reads one organization: after its own parameters the statement has the organization's id, then the pass.
    Tenant,
    /// Reads what is a person's own: after its own parameters the statement has the person's id, then the pass.
    Person,
    /// Changes one organization. The function writes its audit row after the statement, which must return the column
    /// `audit_project uuid` (`p_target` is the target's wire id); there is no way to leave it out.
    Write {
        /// Its own parameters as SQL, for example `p_id uuid`.
        params: &'static str,
        /// The columns that it returns as SQL, for example `id uuid, name text`.
        returns: &'static str,
    },
}

const ENTER: &str =
    "p_organization uuid, p_user uuid, p_credential uuid, p_key boolean, p_version bigint, p_project uuid";
const AUDIT: &str = "p_audit uuid, p_target text, p_action text, p_actor_key uuid, p_role text, p_target_type text, p_changes jsonb, p_ip text, p_user_agent text, p_request text";

impl Hot {
    /// What `migrate` creates and the catalogue holds; none for a query, which needs no function.
    pub fn definition(&self) -> Option<Definition> {
        let Door::Write { params, returns } = self.door else { return None };
        let columns: Vec<String> = returns
            .split(',')
            .filter_map(|column| column.split_whitespace().next())
            .map(|column| format!("{column} := r.{column};"))
            .collect();
        let source = format!(
            "\n#variable_conflict use_column\ndeclare r record;\nbegin\n    \
             if app.enter(p_organization, p_user, p_credential, p_key, p_version, p_project) is not true then return; end if;\n    \
             {} into r;\n    \
             if not found then return; end if;\n    \
             perform app.record_audit(p_audit, p_action, 'DONE', p_actor_key, p_role, p_target_type, \
             p_target, r.audit_project, p_changes, p_ip, p_user_agent, p_request);\n    \
             {}\n    return next;\nend ",
            self.sql,
            columns.join(" ")
        );
        let params = [params, ENTER, AUDIT].join(", ");
        Some(Definition { name: self.name, source, params, returns })
    }

    /// The statement that calls a change's function.
    pub(super) fn call(&self, arguments: usize) -> String {
        let places: Vec<String> = (1..=arguments).map(|place| format!("${place}")).collect();
        format!("select * from app.hot_{}({})", self.name, places.join(", "))
    }
}

/// A hot change's function as the catalogue holds it.
#[derive(Debug)]
pub struct Definition {
    /// The [`Hot`]'s.
    pub name: &'static str,
    /// `prosrc`: what stands between the dollar quotes.
    pub source: String,
    params: String,
    returns: &'static str,
}

impl Definition {
    /// The statement that creates the function.
    pub fn create(&self) -> String {
        let Self { name, source, params, returns } = self;
        format!(
            "create function app.hot_{name}({params}) returns table ({returns}) language plpgsql as $hot${source}$hot$"
        )
    }
}

/// Enters an organization when it is bound, for reading only.
#[derive(Debug, Type)]
#[sqlx(type_name = "app.tenant_pass")]
pub(super) struct TenantPass {
    organization: Uuid,
    person: Uuid,
    credential: Uuid,
    is_key: bool,
    version: i64,
    project: Option<Uuid>,
}

impl From<&Scope> for TenantPass {
    fn from(scope: &Scope) -> Self {
        let credential = scope.credential();
        Self {
            organization: scope.organization().uuid(),
            person: credential.user().uuid(),
            credential: credential.id(),
            is_key: credential.key().is_some(),
            version: scope.version(),
            project: scope.narrowed().map(ProjectId::uuid),
        }
    }
}

/// Enters as a person when it is bound, for reading only.
#[derive(Debug, Type)]
#[sqlx(type_name = "app.person_pass")]
pub(super) struct PersonPass {
    person: Uuid,
    session: Uuid,
}

impl PersonPass {
    pub(super) const fn new(user: UserId, session: SessionId) -> Self {
        Self { person: user.uuid(), session: session.uuid() }
    }
}

/// A hot query or change with its own arguments bound: what a store hands to the doorway.
#[derive(Debug)]
pub struct Call<R> {
    pub(super) hot: &'static Hot,
    pub(super) arguments: PgArguments,
    row: PhantomData<fn() -> R>,
}

impl<R> Call<R> {
    /// A call without arguments yet.
    pub fn new(hot: &'static Hot) -> Self {
        Self { hot, arguments: PgArguments::default(), row: PhantomData }
    }

    /// Binds the next of its own parameters.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    pub fn bind<'q, T: Encode<'q, Postgres> + Type<Postgres>>(mut self, value: T) -> Result<Self> {
        self.arguments = add(self.arguments, value)?;
        Ok(self)
    }
}

pub(super) fn add<'q, T>(mut arguments: PgArguments, value: T) -> Result<PgArguments>
where
    T: Encode<'q, Postgres> + Type<Postgres>,
{
    use sqlx::Arguments as _;
    arguments.add(value).map_err(|error| Error::internal(anyhow::anyhow!(error)))?;
    Ok(arguments)
}
