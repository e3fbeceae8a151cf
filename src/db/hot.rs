//! The one-statement door: a database function per hot query that enters the tenant and returns the query.
//!
//! Such a function costs one round trip where the general door costs two. Inside it the order of PL/pgSQL statements
//! guarantees that the context is set before the query runs. Its SQL stands beside its Rust, as a [`Hot`] in the
//! entity's `store.rs`; `migrate` creates it, and a test compares what the catalogue holds.

use std::marker::PhantomData;

use sqlx::postgres::PgArguments;
use sqlx::{Encode, Postgres, Type};

/// A hot query and the function that it becomes.
#[derive(Debug)]
pub struct Hot {
    /// The function's name in schema `app`, without the prefix `hot_`.
    pub name: &'static str,
    /// Its own parameters as SQL, for example `p_id uuid`.
    pub params: &'static str,
    /// The columns that it returns as SQL, for example `id uuid, name text`.
    pub returns: &'static str,
    /// Where it leads.
    pub door: Door,
    /// The query.
    pub body: &'static str,
}

/// Which context a hot function enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Reads one organization.
    Tenant,
    /// Reads what is a person's own.
    Person,
    /// Changes one organization. The function writes its audit row after the query, which must return the column
    /// `audit_project uuid` (`p_target` is the target's wire id); there is no way to leave it out.
    Write,
}

const ENTER_TENANT: &str =
    "p_organization uuid, p_user uuid, p_credential uuid, p_key boolean, p_version bigint, p_project uuid";
const ENTER_PERSON: &str = "p_user uuid, p_session uuid";
const AUDIT: &str = "p_audit uuid, p_target text, p_action text, p_actor_key uuid, p_role text, p_target_type text, p_changes jsonb, p_ip text, p_user_agent text, p_request text";

impl Hot {
    fn own_params(&self) -> usize {
        if self.params.is_empty() { 0 } else { self.params.split(',').count() }
    }

    fn count(list: &str) -> usize {
        list.split(',').count()
    }

    fn all_params(&self) -> Vec<&'static str> {
        let mut list = Vec::new();
        if !self.params.is_empty() {
            list.push(self.params);
        }
        match self.door {
            Door::Tenant => list.push(ENTER_TENANT),
            Door::Person => list.push(ENTER_PERSON),
            Door::Write => list.extend([ENTER_TENANT, AUDIT]),
        }
        list
    }

    /// What `migrate` creates and the catalogue holds.
    pub fn definition(&self) -> Definition {
        let Self { returns, body, .. } = *self;
        let params = self.all_params().join(", ");
        let steps = match self.door {
            Door::Tenant => format!(
                "perform app.enter(p_organization, p_user, p_credential, p_key, p_version, p_project);\n    \
                 perform set_config('transaction_read_only', 'on', true);\n    return query {body};"
            ),
            Door::Person => format!(
                "perform app.enter_user(p_user, p_session);\n    \
                 perform set_config('transaction_read_only', 'on', true);\n    return query {body};"
            ),
            Door::Write => {
                let columns: Vec<String> = returns
                    .split(',')
                    .filter_map(|column| column.split_whitespace().next())
                    .map(|column| format!("{column} := r.{column};"))
                    .collect();
                format!(
                    "perform app.enter(p_organization, p_user, p_credential, p_key, p_version, p_project);\n    \
                     for r in {body} loop\n        \
                     perform app.record_audit(p_audit, p_action, 'DONE', p_actor_key, p_role, p_target_type, \
                     p_target, r.audit_project, p_changes, p_ip, p_user_agent, p_request);\n        \
                     {}\n        return next;\n    end loop;",
                    columns.join(" ")
                )
            }
        };
        let declare = if self.door == Door::Write { "declare r record;\n" } else { "" };
        let source = format!("\n#variable_conflict use_column\n{declare}begin\n    {steps}\nend ");
        Definition { source, params, returns }
    }

    /// The statement that calls it.
    pub(super) fn call(&self) -> String {
        let total = self.own_params()
            + match self.door {
                Door::Tenant => Self::count(ENTER_TENANT),
                Door::Person => Self::count(ENTER_PERSON),
                Door::Write => Self::count(ENTER_TENANT) + Self::count(AUDIT),
            };
        let places: Vec<String> = (1..=total).map(|place| format!("${place}")).collect();
        format!("select * from app.hot_{}({})", self.name, places.join(", "))
    }
}

/// A hot function as the catalogue holds it.
#[derive(Debug)]
pub struct Definition {
    /// `prosrc`: what stands between the dollar quotes.
    pub source: String,
    params: String,
    returns: &'static str,
}

impl Definition {
    /// The statement that creates the function under this name.
    pub fn create(&self, name: &str) -> String {
        let Self { source, params, returns } = self;
        format!(
            "create function app.hot_{name}({params}) returns table ({returns}) language plpgsql as $hot${source}$hot$"
        )
    }
}

/// A hot query with its own arguments bound: what a store hands to the doorway.
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

    /// Binds the next of the query's own parameters.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    pub fn bind<'q, T: Encode<'q, Postgres> + Type<Postgres>>(
        mut self,
        value: T,
    ) -> crate::error::Result<Self> {
        use sqlx::Arguments as _;
        self.arguments.add(value).map_err(|error| crate::error::Error::internal(anyhow::anyhow!(error)))?;
        Ok(self)
    }
}
