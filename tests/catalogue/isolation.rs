//! Isolation, as the database holds it: what each table lets through is stated here as a rule, and compared with what
//! the serving role really reaches. Tables, columns and rights come from the catalogue, rows from the fixture, and
//! expectations from rule and rights, so nothing below names a column that a migration might forget.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, FromRow};

use crate::support::fixture::{World, uuid};
use crate::support::{Server, fixture};

/// What a table promises. A tenant's table needs no entry: whoever has the column `organization_id` is one, and limited
/// to projects when it also has `project_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// A tenant's rows, for the tenant; with projects, for those who reach the row's project.
    Tenant { reads_own: bool, writes: Writes },
    /// The tenants themselves; their members see them before they have chosen one.
    Organizations,
    /// A person's own rows, for that person outside of any organization.
    Person,
    /// People: themselves, and those who share an organization as far as the membership is visible.
    Users,
    /// Nobody's but the gate's.
    Closed,
    /// The same for everybody, to read.
    Open,
}

/// Which rows of the tenant somebody who sees only some projects may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// Those that they see.
    Seen,
    /// Any new one; changes only what they see.
    NewAnywhere,
    /// None: what everybody shares is changed by those who see all projects.
    Shared,
    /// Those of their projects, though they also see what all projects share.
    Reached,
    /// None: the gate writes.
    Nothing,
}

fn promise(table: &Table) -> Promise {
    let plain = Promise::Tenant { reads_own: false, writes: Writes::Seen };
    match table.name.as_str() {
        "organizations" => Promise::Organizations,
        "users" => Promise::Users,
        "passwords" | "sessions" | "user_tokens" | "security_events" => Promise::Person,
        "audit_heads" | "signing_keys" | "asset_leftovers" => Promise::Closed,
        "tiers" | "_sqlx_migrations" => Promise::Open,
        // A person finds their memberships, and what they made by a repeated call, before any organization is chosen.
        "memberships" => Promise::Tenant { reads_own: true, writes: Writes::NewAnywhere },
        "idempotency_keys" => Promise::Tenant { reads_own: true, writes: Writes::Seen },
        // Leaving, and being refused, is logged wherever it happens.
        "audit_entries" => Promise::Tenant { reads_own: false, writes: Writes::NewAnywhere },
        "usage_counters" => Promise::Tenant { reads_own: false, writes: Writes::Nothing },
        "periods" | "providers" | "embeddings" | "synonym_groups" | "webhook_endpoints" => {
            Promise::Tenant { reads_own: false, writes: Writes::Shared }
        }
        "engine_routes" | "workflow_templates" | "accounts" => {
            Promise::Tenant { reads_own: false, writes: Writes::Reached }
        }
        _ if table.has("organization_id") => plain,
        name => panic!("{name} has no organization_id: say in tests/catalogue/isolation.rs what it promises"),
    }
}

/// A table, as the catalogue knows it, with what the serving role may do to it.
#[derive(Debug, FromRow)]
struct Table {
    name: String,
    protected: bool,
    columns: Vec<String>,
    key: Vec<String>,
    selects: bool,
    inserts: Vec<String>,
    updates: Vec<String>,
    deletes: bool,
    /// A column that may be set to its default without reading anything.
    resettable: Option<String>,
}

impl Table {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known == column)
    }

    /// The tenant of a row, as SQL.
    fn organization(&self) -> &str {
        match self.name.as_str() {
            "organizations" => "t.id",
            _ if self.has("organization_id") => "t.organization_id",
            _ => "null::uuid",
        }
    }

    /// The project that a row belongs to, as SQL; null when it belongs to the whole organization.
    fn project(&self) -> &str {
        match self.name.as_str() {
            "projects" => "t.id",
            "memberships" => {
                "case when t.limited then (select m.project_id from project_members m
                    where m.organization_id = t.organization_id and m.user_id = t.user_id) end"
            }
            _ if self.has("project_id") => "t.project_id",
            _ => "null::uuid",
        }
    }

    /// Whether a row without a project is out of reach for those who see only some projects.
    fn is_by_project(&self) -> bool {
        // By the organization's routes, templates and accounts every project works.
        let shared = ["engine_routes", "workflow_templates", "accounts"].contains(&self.name.as_str());
        self.name == "projects" || (self.has("project_id") && !shared)
    }

    /// The person that a row belongs to, as SQL.
    fn person(&self) -> &str {
        match self.name.as_str() {
            "users" => "t.id",
            "idempotency_keys" => "t.actor_id",
            _ if self.has("user_id") => "t.user_id",
            _ => "null::uuid",
        }
    }
}

const TABLES: &str = "
    select c.relname::text as name, c.relrowsecurity as protected,
        array_agg(a.attname::text order by a.attnum) as columns,
        (select array_agg(k.attname::text order by k.attnum) from pg_index i
            join pg_attribute k on k.attrelid = c.oid and k.attnum = any (i.indkey::int2[])
            where i.indrelid = c.oid and i.indisprimary) as key,
        has_any_column_privilege('aicos_app', c.oid, 'select') as selects,
        array_remove(array_agg(case when has_column_privilege('aicos_app', c.oid, a.attnum, 'insert')
            then a.attname::text end order by a.attnum), null) as inserts,
        array_remove(array_agg(case when has_column_privilege('aicos_app', c.oid, a.attnum, 'update')
            then a.attname::text end order by a.attnum), null) as updates,
        has_table_privilege('aicos_app', c.oid, 'delete') as deletes,
        (array_agg(a.attname::text order by a.attnotnull, a.attnum)
            filter (where has_column_privilege('aicos_app', c.oid, a.attnum, 'update')
                and (a.atthasdef or not a.attnotnull)))[1] as resettable
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    group by c.oid, c.relname, c.relrowsecurity order by c.relname";

/// A row of the fixture, with whose it is.
#[derive(Debug, FromRow)]
struct Row {
    organization: Option<Uuid>,
    project: Option<Uuid>,
    person: Option<Uuid>,
    /// A condition that finds it, as SQL.
    condition: String,
    /// Its values as JSON, quoted for SQL.
    values: String,
}

/// Who asks.
#[derive(Debug, Clone)]
struct Asker {
    name: &'static str,
    organization: Option<Uuid>,
    user: Option<Uuid>,
    projects: Option<Vec<Uuid>>,
}

impl Asker {
    fn settings(&self) -> String {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let projects = self.projects.as_ref().map(|ids| {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("{{{}}}", ids.join(","))
        });
        format!(
            "select set_config('app.organization', '{}', true), set_config('app.user', '{}', true), \
             set_config('app.project', '{}', true)",
            text(self.organization),
            text(self.user),
            projects.unwrap_or_default()
        )
    }

    fn reaches(&self, row: &Row, by_project: bool) -> bool {
        let project = match (&self.projects, row.project) {
            (None, _) => true,
            (Some(_), None) => !by_project,
            (Some(only), Some(project)) => only.contains(&project),
        };
        self.organization.is_some() && self.organization == row.organization && project
    }

    const fn is_outside(&self) -> bool {
        self.organization.is_none() && self.user.is_some()
    }
}

/// What came of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Privileges or a policy's check refused it.
    Refused,
    /// It was carried out on that many rows.
    Rows(u64),
    /// It got past every policy, and a constraint or trigger ended it.
    Stopped(String),
}

/// What should have come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Refused,
    Rows(u64),
    /// Past every policy, whatever comes then.
    Let,
    /// That many rows, unless a constraint or trigger ends it.
    RowsOrStopped(u64),
}

impl Expected {
    fn holds(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Refused, Outcome::Refused) | (Self::RowsOrStopped(1..), Outcome::Stopped(_)) => true,
            (Self::Let, outcome) => !matches!(outcome, Outcome::Refused | Outcome::Rows(0)),
            (Self::Rows(wanted) | Self::RowsOrStopped(wanted), Outcome::Rows(got)) => wanted == *got,
            _ => false,
        }
    }
}

/// One assertion.
#[derive(Debug)]
struct Probe {
    what: String,
    sql: String,
    expected: Expected,
}

/// Everything that is asked of one table, by asker.
type Probes = BTreeMap<String, Vec<(Asker, Vec<Probe>)>>;

/// The matrix: tables, rows, askers, and what is expected of each combination.
pub struct Matrix {
    tables: Vec<Table>,
    rows: BTreeMap<String, Vec<Row>>,
    askers: Vec<Asker>,
}

impl Matrix {
    /// Reads the catalogue and the fixture's rows.
    pub async fn read(connection: &mut PgConnection, world: &World) -> Self {
        let tables: Vec<Table> = sqlx::query_as(TABLES).fetch_all(&mut *connection).await.unwrap();
        let mut rows = BTreeMap::new();
        for table in &tables {
            let condition: Vec<String> =
                table.key.iter().map(|key| format!("'{key} = ' || quote_literal(t.{key})")).collect();
            let sql = format!(
                "select {} as organization, {} as project, {} as person, {} as condition,
                    quote_literal(to_jsonb(t)::text) as values
                 from public.{} t order by 1, 2, 3, 4",
                table.organization(),
                table.project(),
                table.person(),
                condition.join(" || ' and ' || "),
                table.name
            );
            let found: Vec<Row> =
                sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.unwrap();
            rows.insert(table.name.clone(), found);
        }
        Self { tables, rows, askers: askers(world) }
    }

    /// Fails with a sentence when a table has too few rows to prove anything on.
    pub fn require_rows(&self, world: &World) {
        let [first, second] = &world.tenants;
        for table in &self.tables {
            let rows = &self.rows[&table.name];
            let add = |what: &str| {
                panic!(
                    "{} has no row of {what}, so its isolation is not tested: add one in tests/support/fixture.rs",
                    table.name
                )
            };
            let of = |tenant: Uuid| rows.iter().any(|row| row.organization == Some(tenant));
            let in_project = |project: Uuid| rows.iter().any(|row| row.project == Some(project));
            let own = |person: Uuid| rows.iter().any(|row| row.person == Some(person));
            match promise(table) {
                Promise::Tenant { .. } | Promise::Organizations => {
                    for (tenant, name) in [(first, "the first tenant"), (second, "the second tenant")] {
                        if !of(tenant.organization()) {
                            add(name);
                        }
                        for project in [0, 1] {
                            if table.is_by_project() && !in_project(tenant.project(project)) {
                                add(&format!("{name}'s project {project}"));
                            }
                        }
                    }
                }
                Promise::Person | Promise::Users => {
                    for tenant in [first, second] {
                        if !own(tenant.owner()) {
                            add(&format!("the person {}", tenant.cast.owner.email));
                        }
                    }
                }
                Promise::Closed if rows.is_empty() => add("anybody"),
                Promise::Closed | Promise::Open => {}
            }
        }
    }

    fn sees_membership(&self, asker: &Asker, user: Option<Uuid>) -> bool {
        self.rows["memberships"].iter().any(|row| {
            row.person == user
                && asker.organization == row.organization
                && (asker.reaches(row, false) || row.person == asker.user)
        })
    }

    fn sees(&self, asker: &Asker, table: &Table, row: &Row) -> bool {
        let own = asker.user.is_some() && row.person == asker.user;
        match promise(table) {
            Promise::Open => true,
            Promise::Closed => false,
            Promise::Person => own && asker.is_outside(),
            Promise::Users => own || asker.organization.is_some() && self.sees_membership(asker, row.person),
            Promise::Organizations => {
                asker.organization == row.organization
                    || asker.is_outside()
                        && self.rows["memberships"]
                            .iter()
                            .any(|m| m.organization == row.organization && m.person == asker.user)
            }
            Promise::Tenant { reads_own, .. } => {
                asker.reaches(row, table.is_by_project())
                    || reads_own && own && asker.is_outside()
                    // Their own membership, whatever they are limited to.
                    || table.name == "memberships" && own && asker.organization == row.organization
            }
        }
    }

    fn may_insert(&self, asker: &Asker, table: &Table, row: &Row) -> bool {
        let here = asker.organization.is_some() && asker.organization == row.organization;
        match promise(table) {
            Promise::Users => asker.user.is_some() && row.person == asker.user,
            Promise::Tenant { writes: Writes::NewAnywhere, .. } | Promise::Organizations => here,
            Promise::Tenant { writes: Writes::Nothing, .. } | Promise::Open | Promise::Closed => false,
            Promise::Tenant { writes: Writes::Shared, .. } => here && asker.projects.is_none(),
            Promise::Tenant { writes: Writes::Reached, .. } => here && asker.reaches(row, true),
            Promise::Tenant { writes: Writes::Seen, .. } => here && self.sees(asker, table, row),
            Promise::Person => self.sees(asker, table, row),
        }
    }

    fn may_change(&self, asker: &Asker, table: &Table, row: &Row) -> bool {
        let here = asker.organization.is_some() && asker.organization == row.organization;
        match promise(table) {
            Promise::Users => asker.is_outside() && row.person == asker.user,
            Promise::Tenant { writes: Writes::Nothing, .. } | Promise::Open | Promise::Closed => false,
            Promise::Tenant { writes: Writes::Shared, .. } => here && asker.projects.is_none(),
            Promise::Tenant { writes: Writes::Reached, .. } => here && asker.reaches(row, true),
            Promise::Tenant { .. } | Promise::Organizations => here && self.sees(asker, table, row),
            Promise::Person => self.sees(asker, table, row),
        }
    }

    /// A few rows that stand for all: one of each tenant, project and person that makes a difference.
    fn samples(&self, table: &Table) -> Vec<&Row> {
        let by_person = matches!(promise(table), Promise::Person | Promise::Users);
        let asking: Vec<Option<Uuid>> = self.askers.iter().map(|asker| asker.user).collect();
        let mut seen = Vec::new();
        let mut list = Vec::new();
        for row in &self.rows[&table.name] {
            let person = if asking.contains(&row.person) { row.person } else { None };
            if by_person && person.is_none() {
                continue;
            }
            let class = (row.organization, row.project, person);
            if !seen.contains(&class) {
                seen.push(class);
                list.push(row);
            }
        }
        list
    }

    /// Every assertion. With `lent`, as if the serving role had every privilege on the table: then the policies alone
    /// hold, and a closed table has to stay closed.
    fn probes(&self, table: &Table, lent: bool) -> Vec<(Asker, Vec<Probe>)> {
        self.askers.iter().map(|asker| (asker.clone(), self.probes_of(asker, table, lent))).collect()
    }

    fn probes_of(&self, asker: &Asker, table: &Table, lent: bool) -> Vec<Probe> {
        let name = &table.name;
        let rows = &self.rows[name];
        let count = |may: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| may(row)).count() as u64;
        let sees = |row: &Row| self.sees(asker, table, row);
        let changes = |row: &Row| self.may_change(asker, table, row);
        let mut list = Vec::new();
        let mut add = |what: String, sql: String, allowed: bool, expected: Expected| {
            let expected = if allowed { expected } else { Expected::Refused };
            list.push(Probe { what, sql, expected });
        };

        let selects = lent || table.selects;
        let inserts: &[String] = if lent { &table.columns } else { &table.inserts };
        let updates: &[String] = if lent { &table.columns } else { &table.updates };
        let deletes = lent || table.deletes;
        let reset = match (&table.resettable, updates.first()) {
            (Some(column), _) => format!("{column} = default"),
            (None, Some(column)) => format!("{column} = {column}"),
            (None, None) => format!("{0} = {0}", table.columns[0]),
        };

        // Everything at once, without reading a column: the policies of the command stand alone.
        let changeable = count(&changes);
        let first = if lent { &table.columns[0] } else { table.key.first().unwrap_or(&table.columns[0]) };
        add(
            "select all".into(),
            format!("select {first} from public.{name}"),
            selects,
            Expected::Rows(count(&sees)),
        );
        if table.resettable.is_some() || lent {
            let sql = format!("update public.{name} set {reset}");
            add("update all".into(), sql, !updates.is_empty(), Expected::RowsOrStopped(changeable));
        }
        let sql = format!("delete from public.{name}");
        add("delete all".into(), sql, deletes, Expected::RowsOrStopped(changeable));

        if changeable > 0 && !updates.is_empty() {
            for (column, other) in self.elsewhere(asker, table) {
                add(
                    format!("update {column} to one out of reach"),
                    format!("update public.{name} set {column} = '{other}'"),
                    true,
                    Expected::Refused,
                );
            }
        }

        for row in self.samples(table) {
            let Row { condition, values, .. } = row;
            let on = |yes: bool| if yes { Expected::Rows(1) } else { Expected::Rows(0) };
            let on_or_stopped = |yes: bool| if yes { Expected::RowsOrStopped(1) } else { Expected::Rows(0) };
            add(
                format!("select where {condition}"),
                format!("select {first} from public.{name} where {condition}"),
                selects,
                on(sees(row)),
            );
            // A copy: what gets past the policy meets the primary key.
            let columns = if inserts.is_empty() { first } else { &inserts.join(", ") };
            add(
                format!("insert a copy of {condition}"),
                format!(
                    "insert into public.{name} ({columns}) \
                     select {columns} from jsonb_populate_record(null::public.{name}, {values})"
                ),
                !inserts.is_empty(),
                if self.may_insert(asker, table, row) { Expected::Let } else { Expected::Refused },
            );
            let reaches = changes(row) && sees(row);
            add(
                format!("update where {condition}"),
                format!("update public.{name} set {reset} where {condition}"),
                !updates.is_empty() && selects,
                on_or_stopped(reaches),
            );
            add(
                format!("delete where {condition}"),
                format!("delete from public.{name} where {condition}"),
                deletes && selects,
                on_or_stopped(reaches),
            );
        }
        list
    }

    /// Whom the asker's own rows must not be given to: the column that says whose a row is, and somebody else; and for
    /// those who see only some projects, a project that is not among them.
    fn elsewhere(&self, asker: &Asker, table: &Table) -> Vec<(&'static str, Uuid)> {
        let rows = &self.rows[&table.name];
        let another = |of: &dyn Fn(&Row) -> Option<Uuid>| {
            let own = rows.iter().find(|row| self.may_change(asker, table, row)).and_then(of);
            rows.iter().filter_map(of).find(|id| Some(*id) != own).unwrap()
        };
        let other_tenant = || {
            let ids = self.askers.iter().filter_map(|other| other.organization);
            ids.into_iter().find(|id| Some(*id) != asker.organization).unwrap()
        };
        let mut list = vec![match promise(table) {
            Promise::Organizations => ("id", another(&|row| row.organization)),
            Promise::Users => ("id", another(&|row| row.person)),
            Promise::Person => ("user_id", another(&|row| row.person)),
            _ => ("organization_id", other_tenant()),
        }];
        if asker.projects.is_some() && table.is_by_project() {
            let column = if table.name == "projects" { "id" } else { "project_id" };
            let hidden = rows.iter().find(|row| {
                row.organization == asker.organization
                    && row.project.is_some()
                    && !self.may_change(asker, table, row)
            });
            list.push((column, hidden.and_then(|row| row.project).unwrap()));
        }
        list
    }

    /// The assertions with the real privileges.
    pub fn all(&self) -> Suite {
        let granted = self.tables.iter().map(|table| (table.name.clone(), self.probes(table, false)));
        let closed = self.tables.iter().filter(|table| promise(table) == Promise::Closed);
        let lent = closed.map(|table| (table.name.clone(), self.probes(table, true)));
        Suite { granted: granted.collect(), lent: lent.collect() }
    }

    /// The tables that have row-level security.
    pub fn protected(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().filter(|table| table.protected).map(|table| table.name.as_str())
    }
}

/// Whoever might ask: in each role that isolation knows of.
fn askers(world: &World) -> Vec<Asker> {
    let [first, second] = &world.tenants;
    let (own, other) = (first.organization(), second.organization());
    let asker = |name, organization: Option<Uuid>, user: Option<Uuid>, projects: Option<Vec<Uuid>>| Asker {
        name,
        organization,
        user,
        projects,
    };
    let guest = |number: usize| Some(uuid(&first.guests[number].id));
    let project = |number: usize| Some(vec![first.project(number)]);
    vec![
        asker("without a context", None, None, None),
        asker("in the own tenant", Some(own), Some(first.owner()), None),
        asker("in the other tenant", Some(other), Some(second.owner()), None),
        asker("in the own tenant, belonging to both", Some(own), Some(uuid(&world.both.id)), None),
        asker("limited to one project", Some(own), guest(0), project(0)),
        asker("limited to another project", Some(own), guest(1), project(1)),
        asker("limited to no project", Some(own), guest(1), Some(Vec::new())),
        asker("as the person", None, Some(first.owner()), None),
        asker("as another person", None, Some(second.owner()), None),
        asker("as a person of both tenants", None, Some(uuid(&world.both.id)), None),
    ]
}

/// The assertions, ready to be asked again and again.
pub struct Suite {
    granted: Probes,
    lent: Probes,
}

impl Suite {
    /// How many assertions there are.
    pub fn len(&self) -> usize {
        [&self.granted, &self.lent]
            .into_iter()
            .flat_map(|probes| probes.values().flatten())
            .map(|(_, probes)| probes.len())
            .sum()
    }

    /// Asks everything of one table, or of all, in the open transaction, and returns what did not hold; at most `most`.
    pub async fn ask(&self, tx: &mut PgConnection, only: Option<&str>, most: usize) -> Vec<String> {
        let mut broken = Vec::new();
        for (probes, lent) in [(&self.granted, false), (&self.lent, true)] {
            for (table, askers) in probes {
                if only.is_some_and(|only| only != table) {
                    continue;
                }
                if lent {
                    let sql = format!(
                        "savepoint lending; grant select, insert, update, delete on {table} to aicos_app"
                    );
                    run(tx, &sql).await;
                }
                run(tx, "set local role aicos_app").await;
                for (asker, probes) in askers {
                    run(tx, &format!("{}; savepoint probe", asker.settings())).await;
                    for probe in probes {
                        let outcome = outcome(tx, &probe.sql).await;
                        if !probe.expected.holds(&outcome) {
                            let lent = if lent { " with every privilege" } else { "" };
                            broken.push(format!(
                                "{table}, {}{lent}: {}: expected {:?}, got {outcome:?}",
                                asker.name, probe.what, probe.expected
                            ));
                            if broken.len() >= most {
                                return broken;
                            }
                        }
                    }
                    run(tx, "rollback to savepoint probe").await;
                }
                run(tx, if lent { "reset role; rollback to savepoint lending" } else { "reset role" }).await;
            }
        }
        broken
    }
}

async fn run(tx: &mut PgConnection, sql: &str) {
    tx.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn outcome(tx: &mut PgConnection, sql: &str) -> Outcome {
    let sql = format!("rollback to savepoint probe; {sql}");
    match tx.execute(sqlx::raw_sql(AssertSqlSafe(sql.as_str()))).await {
        Ok(done) => Outcome::Rows(done.rows_affected()),
        Err(error) => {
            let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
            if code == "42501" { Outcome::Refused } else { Outcome::Stopped(code.into_owned()) }
        }
    }
}

/// One way of breaking isolation.
struct Mutant {
    name: String,
    table: String,
    sql: String,
}

/// A policy of the serving role.
#[derive(FromRow)]
struct Policy {
    name: String,
    table: String,
    reads: Option<String>,
    writes: Option<String>,
}

/// What is taken out of a policy's expression, each as the catalogue spells it.
const CLAUSES: [(&str, &str, &str); 3] = [
    ("the project forgotten", "( SELECT app.current_projects() AS current_projects)", "NULL::uuid[]"),
    (
        "seen from inside an organization as well",
        "(( SELECT app.current_organization() AS current_organization) IS NULL)",
        "true",
    ),
    (
        "the tenant taken from the row itself",
        "organization_id = ( SELECT app.current_organization() AS current_organization)",
        "organization_id = organization_id",
    ),
];

/// Mutants that change nothing, because what they take out is held a second time: `organizations_own` looks into
/// `memberships`, whose own policies show a person's own rows only outside of any organization. Who may change periods,
/// providers, endpoints, routes, templates and accounts is decided by the row as it is, and no change of a row changes who is
/// limited to projects, or which project it is in.
const HELD_TWICE: [&str; 13] = [
    "accounts_own_update: with check: true",
    "accounts_own_update: with check: the project forgotten",
    "engine_routes_own_update: with check: true",
    "engine_routes_own_update: with check: the project forgotten",
    "organizations_own: using: seen from inside an organization as well",
    "periods_whole_update: with check: true",
    "periods_whole_update: with check: the project forgotten",
    "providers_whole_update: with check: true",
    "providers_whole_update: with check: the project forgotten",
    "webhook_endpoints_whole_update: with check: true",
    "webhook_endpoints_whole_update: with check: the project forgotten",
    "workflow_templates_own_update: with check: true",
    "workflow_templates_own_update: with check: the project forgotten",
];

fn mutants(policies: &[Policy], matrix: &Matrix) -> Vec<Mutant> {
    let mut list = Vec::new();
    for Policy { name, table, reads, writes } in policies {
        for (side, expression) in [("using", reads), ("with check", writes)] {
            let Some(expression) = expression else { continue };
            let mut add = |what: &str, changed: &str| {
                list.push(Mutant {
                    name: format!("{name}: {side}: {what}"),
                    table: table.clone(),
                    sql: format!("alter policy {name} on {table} {side} ({changed})"),
                });
            };
            add("true", "true");
            for (what, clause, instead) in CLAUSES {
                if expression.contains(clause) {
                    add(what, &expression.replace(clause, instead));
                }
            }
        }
    }
    list.extend(matrix.protected().map(|table| Mutant {
        name: format!("{table}: row-level security off"),
        table: table.to_owned(),
        sql: format!("alter table {table} disable row level security"),
    }));
    list
}

/// A server with the fixture's world.
async fn prepared() -> (Server, World) {
    let server = Server::start().await;
    let world = fixture::world(&server).await;
    (server, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_lets_through_what_it_promises_and_nothing_else() {
    let (server, world) = Box::pin(prepared()).await;
    let mut superuser = server.database.superuser().await;
    let matrix = Matrix::read(&mut superuser, &world).await;
    matrix.require_rows(&world);
    let suite = matrix.all();
    let mut tx = superuser.begin().await.unwrap();
    let start = std::time::Instant::now();
    let broken = suite.ask(&mut tx, None, 50).await;
    println!("{} assertions in {:?}", suite.len(), start.elapsed());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A test that cannot fail proves nothing: each policy is weakened in turn, and each table opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_weakened_policy_is_noticed() {
    let (server, world) = Box::pin(prepared()).await;
    let mut superuser = server.database.superuser().await;
    let matrix = Matrix::read(&mut superuser, &world).await;
    let suite = matrix.all();
    let policies: Vec<Policy> = sqlx::query_as(
        "select p.polname::text as name, c.relname::text as table,
            pg_get_expr(p.polqual, p.polrelid) as reads, pg_get_expr(p.polwithcheck, p.polrelid) as writes
         from pg_policy p join pg_class c on c.oid = p.polrelid
         where c.relnamespace = 'public'::regnamespace
           -- The gate's own are `true` already: its functions look before anybody is known, see the columns that are
           -- granted to them, and nobody can become the gate.
           and p.polroles <> array['aicos_gate'::regrole::oid]
         order by 2, 1",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let mutants = mutants(&policies, &matrix);
    let start = std::time::Instant::now();
    let (mut report, mut survivors) = (String::new(), Vec::new());
    let whole =
        mutants.iter().filter(|mutant| mutant.sql.ends_with("(true)") || mutant.sql.ends_with("security"));
    let whole = whole.count();
    for Mutant { name, table, sql } in &mutants {
        let mut tx = superuser.begin().await.unwrap();
        run(&mut tx, sql).await;
        let mut broken = suite.ask(&mut tx, Some(table), 1).await;
        if broken.is_empty() {
            broken = suite.ask(&mut tx, None, 1).await;
        }
        tx.rollback().await.unwrap();
        match broken.first() {
            Some(first) => writeln!(report, "noticed  {name}\n           {first}").unwrap(),
            None => survivors.push(name.clone()),
        }
    }
    println!(
        "{report}{} mutants, {whole} of whole policies or tables, in {:?}",
        mutants.len(),
        start.elapsed()
    );
    assert_eq!(survivors, HELD_TWICE, "not noticed (left), and known to be held twice (right)");
}
