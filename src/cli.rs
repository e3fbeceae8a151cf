//! The command line.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use clap::{Parser, Subcommand};
use secrecy::ExposeSecret as _;

use crate::agents::videos::clips;
use crate::app::{self, App, Prepared, Tuning};
use crate::config::{Config, Settings};
use crate::counters::Counters;
use crate::db::{Db, PoolSettings};
use crate::error::Error;
use crate::knowledge::convert::pdf;
use crate::{doctor, graphql, identity, telemetry};

/// Resolvers nest as deeply as the deepest document that the limits let through; memory that is not touched costs nothing.
const STACK: usize = 16 * 1024 * 1024;

/// A multi-tenant GraphQL API server for AI content teams.
///
/// Without a command it serves: it finds or starts PostgreSQL, brings the database up to date and listens. Settings are
/// flags, environment variables or lines of `aicos.toml` in the current folder, in this order of precedence.
#[derive(Parser)]
#[command(name = "aicos", version, subcommand_required = false)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the playground (the default)
    Serve,
    /// Work on jobs only, beside servers on the same database
    Worker,
    /// Bring the database to this binary's schema, then stop
    Migrate,
    /// Print the GraphQL schema
    Schema,
    /// Check roles, row-level security, migrations, disk, settings and the manifest; each finding comes with its fix
    Doctor,
    /// Fill two organizations with people in all four roles, and print their logins
    Demo,
    /// The audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The keys that sign access tokens
    #[command(subcommand)]
    Keys(KeysCommand),
    /// People
    #[command(subcommand)]
    User(UserCommand),
    /// Read one PDF: what a server starts for each
    #[command(name = pdf::COMMAND, hide = true)]
    ReadPdf,
    /// Read one clip: what a server starts for each that it shows
    #[command(name = clips::COMMAND, hide = true)]
    ReadClip,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Recompute every organization's chain, and name the first entry that is altered, missing or out of order
    Verify,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a new signing key; the one before verifies for another day
    Rotate,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Print a link with which somebody can set a new password; it is good for one hour and one use
    ResetLink {
        /// The address that they sign in with
        email: String,
    },
}

fn say(text: &str) {
    eprintln!("  {text}");
}

/// Does what the process's arguments say, and tells how it went.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::ReadPdf) => return pdf::answer_one(),
        Some(Command::ReadClip) => return clips::answer_one(),
        _ => {}
    }
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("aicos could not start its threads: {error}");
                return ExitCode::FAILURE;
            }
        };
    match runtime.block_on(act(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\naicos stopped: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn act(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if matches!(arguments.command, Some(Command::Schema)) {
        print!("{}", graphql::sdl());
        return Ok(ExitCode::SUCCESS);
    }
    let config = arguments.settings.check()?;
    let telemetry = telemetry::start(config.traces.as_ref())?;
    let outcome = Box::pin(perform(arguments.command, &config)).await;
    telemetry.stop().await;
    outcome
}

async fn perform(command: Option<Command>, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        None | Some(Command::Serve) => serve(config).await?,
        Some(Command::Worker) => worker(config).await?,
        Some(Command::Doctor) => return doctor(config).await,
        Some(command) => {
            let prepared = prepare(config).await?;
            let outcome = chore(command, config, &prepared).await;
            prepared.leave().await?;
            return outcome;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn prepare(config: &Config) -> anyhow::Result<Prepared> {
    app::check_data_dir(&config.data_dir)?;
    app::prepare(config, Arc::new(say)).await
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let started = Instant::now();
    let prepared = prepare(config).await?;
    let served = serve_on(config, &prepared, started).await;
    prepared.leave().await?;
    served
}

async fn serve_on(config: &Config, prepared: &Prepared, started: Instant) -> anyhow::Result<()> {
    let app = Box::pin(App::start(config, prepared.serve.clone(), Tuning::default())).await?;
    let running = app.listen(config.listen).await?;
    let url = app::local_url(running.address, &config.public_url);
    let database = prepared.private_version().map_or_else(
        || "the database of DATABASE_URL".to_owned(),
        |version| format!("private PostgreSQL {version} in {}", config.data_dir.display()),
    );
    eprintln!();
    say(&format!("aicos is ready after {} ms.", started.elapsed().as_millis()));
    say("");
    if config.has_page() {
        say(&format!("Page      {url}/"));
    }
    say(&format!("API       {url}/graphql"));
    say(&format!("Data      {database}"));
    say("");
    say("Sign up (paste this into another terminal):");
    say("");
    eprintln!("{}", sign_up_example(&url));
    say("Ctrl-C stops the server.");
    wait_for_stop().await?;
    eprintln!();
    say("Stopping: accepted requests are finished first …");
    running.stop().await?;
    say("Stopped.");
    Ok(())
}

async fn worker(config: &Config) -> anyhow::Result<()> {
    let prepared = prepare(config).await?;
    let worked = work_on(config, &prepared).await;
    prepared.leave().await?;
    worked
}

async fn work_on(config: &Config, prepared: &Prepared) -> anyhow::Result<()> {
    let app = Box::pin(App::start(config, prepared.serve.clone(), Tuning::default())).await?;
    say(&format!("Working on up to {} jobs at the same time. Ctrl-C stops.", config.worker_slots));
    let stop = async {
        if let Err(error) = wait_for_stop().await {
            tracing::error!("signals cannot be received: {error}");
        }
        say("Stopping: running jobs are finished first …");
    };
    app.work_until(config.worker_listen, stop).await?;
    say("Stopped.");
    Ok(())
}

fn sign_up_example(url: &str) -> String {
    format!(
        r#"curl -s {url}/graphql -H 'content-type: application/json' -d '{{
  "query": "mutation($input: SignupInput!) {{ signup(input: $input) {{ accessToken user {{ id name }} organization {{ id slug }} userErrors {{ message }} }} }}",
  "variables": {{ "input": {{ "email": "you@example.com", "password": "correct horse battery", "name": "You", "organizationName": "My Organization" }} }}
}}'
"#
    )
}

async fn wait_for_stop() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

async fn doctor(config: &Config) -> anyhow::Result<ExitCode> {
    let mut report = doctor::Report::default();
    doctor::check_settings(config, &mut report);
    doctor::check_storage(config, &mut report).await;
    doctor::check_documents(config, &mut report).await;
    match prepare(config).await {
        Ok(prepared) => {
            doctor::check_database(&prepared, &mut report).await;
            prepared.leave().await?;
        }
        Err(error) => report.bad("database", &format!("{error:#}")),
    }
    print!("{report}");
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn chore(command: Command, config: &Config, prepared: &Prepared) -> anyhow::Result<ExitCode> {
    let db = Db::open(prepared.serve.clone(), &PoolSettings::default())?;
    match command {
        Command::Migrate => {
            prepared.owner().await?;
            say("The database has this binary's schema.");
        }
        Command::Demo => {
            db.check().await?;
            let identity = app::identity(config, db, Counters::local(), &Tuning::default()).await?;
            print!("{}", crate::demo::fill(&identity, &say).await?);
        }
        Command::Audit(AuditCommand::Verify) => return verify_audit(prepared).await,
        Command::Keys(KeysCommand::Rotate) => {
            let kid = identity::rotate_signing_keys(&db, &app::master_keys(config)?).await?;
            println!("The new signing key is {kid}. Servers sign with it within two minutes.");
            let sealed = app::providers(config, app::master_keys(config)?)?.reseal(&db).await?;
            println!("Keys of providers that were sealed anew with the current master key: {sealed}.");
            let sealed = app::accounts(config, app::master_keys(config)?).reseal(&db).await?;
            println!("Tokens of accounts that were sealed anew with the current master key: {sealed}.");
            let sealed = app::webhooks(config, app::master_keys(config)?).reseal(&db).await?;
            println!("Secrets of webhooks that were sealed anew with the current master key: {sealed}.");
        }
        Command::User(UserCommand::ResetLink { email }) => {
            let identity = app::identity(config, db, Counters::local(), &Tuning::default()).await?;
            let link = match identity.reset_link(&email).await {
                Err(Error::NotFound) => bail!("There is no account with the address {email}."),
                made => made?,
            };
            println!("{}", link.expose_secret());
        }
        Command::Serve
        | Command::Worker
        | Command::Schema
        | Command::Doctor
        | Command::ReadPdf
        | Command::ReadClip => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify_audit(prepared: &Prepared) -> anyhow::Result<ExitCode> {
    let mut owner = prepared.owner().await?;
    let chains = crate::audit::verify(&mut owner).await?;
    let mut broken = 0;
    for chain in &chains {
        match &chain.problem {
            None => println!("ok      {}  {} entries", chain.organization, chain.entries),
            Some(problem) => {
                broken += 1;
                println!("BROKEN  {}  entry {}: {problem}", chain.organization, chain.sequence);
            }
        }
    }
    println!("{} chains, {broken} broken", chains.len());
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
