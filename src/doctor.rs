//! What is wrong with an installation, each finding with its fix.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::postgres::PgConnection;

use crate::app::{self, HOT_QUERIES, Prepared};
use crate::config::{Config, Database};
use crate::db::{Db, PoolSettings, migrate};
use crate::graphql::document::{Limits, Trust};
use crate::identity::master::MasterKeys;
use crate::knowledge::convert::pdf::PdfReader;

/// The findings, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<(bool, &'static str, String)>,
}

impl Report {
    /// Something that is as it should be.
    pub fn good(&mut self, topic: &'static str, what: &str) {
        self.lines.push((true, topic, what.to_owned()));
    }

    /// Something that is not, with its fix.
    pub fn bad(&mut self, topic: &'static str, what: &str) {
        self.lines.push((false, topic, what.to_owned()));
    }

    /// Whether nothing was found.
    pub fn is_well(&self) -> bool {
        self.lines.iter().all(|(good, ..)| *good)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (good, topic, what) in &self.lines {
            writeln!(f, "{} {topic:<12} {what}", if *good { "ok  " } else { "FIX " })?;
        }
        let found = self.lines.iter().filter(|(good, ..)| !good).count();
        writeln!(f, "{} checks, {found} to fix", self.lines.len())
    }
}

/// Checks what needs no database.
pub fn check_settings(config: &Config, report: &mut Report) {
    let open = !config.listen.ip().is_loopback();
    if open && config.public_url.scheme() == "http" {
        report.bad("settings", "AICOS_PUBLIC_URL begins with http: although others can reach the server. Put TLS in front and set it to the https: address.");
    } else {
        report.good("settings", &format!("links begin with {}", config.public_url));
    }
    match (open, config.introspection) {
        (true, true) => report.bad(
            "settings",
            "The schema can be asked for from outside. Set AICOS_INTROSPECTION=off, unless that is meant.",
        ),
        _ => report.good("settings", "introspection is as it should be"),
    }
    match &config.mail {
        Some(_) => report.good("mail", "mails go out by SMTP_URL"),
        None => {
            report
                .good("mail", "no mail is sent; links are shown to inviters and by `aicos user reset-link`");
        }
    }
    for (provider, endpoint) in
        [("openai", &config.providers.openai), ("anthropic", &config.providers.anthropic)]
    {
        match endpoint {
            Some(endpoint) => {
                let key = if endpoint.key.is_some() { "with a key" } else { "without a key" };
                report.good("providers", &format!("{provider} is reached at {} {key}", endpoint.base_url));
            }
            None => {
                report.good("providers", &format!("{provider} is not configured; agents answer without it"));
            }
        }
    }
    match free_space(config) {
        Some(bytes) if bytes < 1 << 30 => {
            let megabytes = bytes >> 20;
            report.bad(
                "disk",
                &format!(
                    "{} has {megabytes} MB left. Make room: PostgreSQL stops when it is full.",
                    config.data_dir.display()
                ),
            );
        }
        Some(bytes) => {
            report.good("disk", &format!("{} has {} GB left", config.data_dir.display(), bytes >> 30));
        }
        None => report.bad(
            "disk",
            &format!(
                "{} cannot be looked at. Choose another folder with --data-dir.",
                config.data_dir.display()
            ),
        ),
    }
    if matches!(config.database, Database::Outside { owner: None, .. }) {
        report.bad("settings", "DATABASE_OWNER_URL is not set, so migrations and the checks of tables are left out. Set it for `aicos migrate` and `aicos doctor`.");
    }
}

/// Checks that assets can be kept: something small is written, read and removed.
pub async fn check_storage(config: &Config, report: &mut Report) {
    let checked = async {
        let storage = app::storage(config, &MasterKeys::generate()?)?;
        storage.check().await.context("STORAGE_URL cannot be used")?;
        anyhow::Ok(storage)
    };
    match checked.await {
        Ok(storage) => report.good("storage", &format!("assets are kept in {}", storage.shown())),
        Err(error) => report.bad("storage", &format!("{error:#}")),
    }
}

/// Checks the manifest, and each of its documents against the schema.
pub async fn check_documents(config: &Config, report: &mut Report) {
    let others = match config.trusted_documents {
        Trust::Off => "others are served",
        Trust::Log => "others are served, and named in the log",
        Trust::Enforce => "others are refused",
    };
    let checked = async {
        // Nothing is opened while documents are checked, so any master key does.
        let master = MasterKeys::generate()?;
        let storage = app::storage(config, &master)?;
        let accounts = Arc::new(app::accounts(config, MasterKeys::generate()?));
        let webhooks = Arc::new(app::webhooks(config, MasterKeys::generate()?));
        let providers = Arc::new(app::providers(config, master)?);
        let pdf_reader = Arc::new(PdfReader::new(app::reader(None)?));
        app::executor(config, Limits::default(), &providers, &accounts, &webhooks, &storage, &pdf_reader)
            .await
    };
    match (checked.await, &config.document_manifest) {
        (Err(error), _) => report.bad("documents", &format!("{error:#}")),
        (Ok(_), None) => report.good("documents", "there is no manifest: what fits the schema is served"),
        (Ok(executor), Some(path)) => report.good(
            "documents",
            &format!("{} is known, with {} of them; {others}", path.display(), executor.trusted()),
        ),
    }
}

#[cfg(unix)]
fn free_space(config: &Config) -> Option<u64> {
    let known = rustix::fs::statvfs(&config.data_dir).ok()?;
    Some(known.f_bavail.saturating_mul(known.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_: &Config) -> Option<u64> {
    Some(u64::MAX)
}

/// Checks roles, migrations, tables, policies and hot functions.
pub async fn check_database(prepared: &Prepared, report: &mut Report) {
    let checked = async {
        let db = Db::open(prepared.serve.clone(), &PoolSettings::default())?;
        db.check().await
    };
    match checked.await {
        Ok(()) => {
            report.good("role", "the serving role cannot bypass row-level security and owns no table");
            report.good("migrations", "the database has this binary's schema");
        }
        Err(error) => report.bad("role", &format!("{error:#}")),
    }
    match prepared.owner().await {
        Ok(mut owner) => {
            if let Err(error) = check_tables(&mut owner, report).await {
                report.bad(
                    "tables",
                    &format!("they cannot be looked at: {error}. Is DATABASE_OWNER_URL the owner's?"),
                );
            }
        }
        Err(error) => report.bad("tables", &format!("{error:#}")),
    }
}

/// Tables that hold no tenant's data: see the migrations that make them.
const OPEN_TABLES: [&str; 2] = ["tiers", "_sqlx_migrations"];

async fn check_tables(owner: &mut PgConnection, report: &mut Report) -> sqlx::Result<()> {
    let tables: Vec<(String, bool, bool, i64)> = sqlx::query_as(
        "select c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
            (select count(*) from pg_policy p where p.polrelid = c.oid)
         from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1",
    )
    .fetch_all(&mut *owner)
    .await?;
    let mut well = 0;
    for (table, enabled, forced, policies) in &tables {
        if OPEN_TABLES.contains(&table.as_str()) {
            continue;
        }
        let fix = match (enabled, forced, policies) {
            (false, ..) => {
                format!("row-level security is off: `alter table {table} enable row level security`")
            }
            (_, false, _) => {
                format!("row-level security is not forced: `alter table {table} force row level security`")
            }
            (.., 0) => "it has no policy: restore the one from the migration that makes it".to_owned(),
            _ => {
                well += 1;
                continue;
            }
        };
        report.bad("tables", &format!("{table}: {fix}"));
    }
    // The gate's own policies do; nobody can become the gate.
    let open: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, p.polname::text
         from pg_policy p join pg_class c on c.oid = p.polrelid
         where c.relnamespace = 'public'::regnamespace and p.polroles <> array['aicos_gate'::regrole::oid]
             and 'true' in (pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
         order by 1, 2",
    )
    .fetch_all(&mut *owner)
    .await?;
    for (table, policy) in open {
        let fix = format!("a policy lets everything through: `drop policy {policy} on {table}`");
        report.bad("tables", &format!("{table}: {fix}"));
    }
    report.good("tables", &format!("{well} tables have row-level security on and forced, with policies"));
    check_queue(owner, report).await?;
    if let Some(name) = migrate::stale_function(owner, HOT_QUERIES).await? {
        report.bad("functions", &format!("app.hot_{name} is not this binary's. Run `aicos migrate`."));
    } else {
        let count = HOT_QUERIES.iter().filter(|hot| hot.definition().is_some()).count();
        report.good("functions", &format!("every hot function ({count}) is this binary's"));
    }
    Ok(())
}

/// The queue has its tables, and only who becomes its role reaches them.
async fn check_queue(owner: &mut PgConnection, report: &mut Report) -> sqlx::Result<()> {
    let (there, becomes, inherits): (bool, bool, bool) = sqlx::query_as(
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'queue' and n.nspowner = 'aicos_queue'::regrole and c.relname = '_private_jobs'),
            pg_has_role('aicos_app', 'aicos_queue', 'member'), pg_has_role('aicos_app', 'aicos_queue', 'usage')",
    )
    .fetch_one(owner)
    .await?;
    match (there, becomes, inherits) {
        (false, ..) => report.bad("queue", "its tables are missing or somebody else's. Run `aicos migrate`."),
        (_, false, _) => report.bad(
            "queue",
            "workers cannot become its role, so no job is done: `grant aicos_queue to aicos_app`",
        ),
        (.., true) => report.bad(
            "queue",
            "the serving role has its rights without becoming it: `revoke aicos_queue from aicos_app; \
             alter role aicos_app noinherit; grant aicos_queue to aicos_app`",
        ),
        _ => report.good("queue", "workers become its role, and what serves has none of its rights"),
    }
    Ok(())
}
