//! The composition root: settings in, a running server out. Used by the command line and by the tests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::accounts::Accounts;
use crate::agents;
use crate::agents::agent::Kit;
use crate::agents::instagram::Poster;
use crate::agents::instagram::machine::Pace;
use crate::agents::videos::clips::ClipReader;
use crate::assets::previews::Previews;
use crate::config::{Config, Database};
use crate::counters::Counters;
use crate::db::{Db, Facts, Hot, PoolSettings, migrate};
use crate::engine::photos::Photos;
use crate::engine::{self, Engines, Prices};
use crate::events::redis::Redis;
use crate::graphql::document::{Limits, Manifest};
use crate::graphql::execute::{Disclosure, Executor};
use crate::graphql::{Mutation, Query, Subscription};
use crate::http::graphql::LiveSettings;
use crate::http::limiter::{Limiter, LimiterSettings};
use crate::http::live::Live;
use crate::http::turns::TurnSettings;
use crate::http::{self, Drain, Endpoint, Page, Patience, Readers, Surface, gate::Entrance};
use crate::identity::credentials::{HashSettings, Hasher};
use crate::identity::master::{MasterKeys, Purpose};
use crate::identity::throttle::ThrottleSettings;
use crate::identity::{Identity, IdentitySettings};
use crate::jobs::worker::{WorkerSettings, Workers};
use crate::knowledge::convert::pdf::PdfReader;
use crate::knowledge::embeddings::make::MakeEmbeddings;
use crate::knowledge::index::IndexDocument;
use crate::mail::{Links, Mailer};
use crate::postgres::{Cluster, Options, Progress};
use crate::providers::Providers;
use crate::schedules::fire::FireSchedule;
use crate::storage::Storage;
use crate::storage::address::Keys;
use crate::telemetry::count;
use crate::webhooks::Webhooks;
use crate::{assets, audit, events, graphql, identity, jobs, organizations, projects};

/// Every hot query and change; `migrate` makes the functions of the changes.
pub const HOT_QUERIES: &[&Hot] = &[
    &identity::store::VIEWER,
    &organizations::store::ORGANIZATION,
    &organizations::store::LEVELS,
    &projects::store::CREATE,
    &audit::store::NEWEST,
];

/// A database that is there and has this binary's schema.
pub struct Prepared {
    /// The serving role's connection.
    pub serve: PgConnectOptions,
    /// The owner's connection, when it is known.
    pub owner: Option<PgConnectOptions>,
    cluster: Option<Cluster>,
}

/// The database of a private cluster.
const DATABASE: &str = "aicos";

/// Finds or starts the database, and brings it to this binary's schema where the owner's connection is known.
///
/// # Errors
/// A sentence that names the fix.
pub async fn prepare(config: &Config, progress: Progress) -> anyhow::Result<Prepared> {
    match &config.database {
        Database::Outside { serve, owner } => {
            let serve: PgConnectOptions = serve
                .expose_secret()
                .parse()
                .context("DATABASE_URL is not an address such as postgres://aicos_app:…@host/aicos")?;
            let owner: Option<PgConnectOptions> = match owner {
                Some(owner) => Some(owner.expose_secret().parse().context(
                    "DATABASE_OWNER_URL is not an address such as postgres://aicos_owner:…@host/aicos",
                )?),
                None => None,
            };
            if let Some(owner) = &owner {
                migrate(owner, &*progress).await.context("DATABASE_OWNER_URL cannot migrate")?;
            }
            Ok(Prepared { serve, owner, cluster: None })
        }
        Database::Private { bin_dir } => {
            let options = Options {
                data_dir: config.data_dir.clone(),
                bin_dir: bin_dir.clone(),
                progress: Arc::clone(&progress),
            };
            let cluster = Cluster::start(options).await?;
            let (serve, owner) = private_roles(&cluster).await?;
            migrate(&owner, &*progress).await?;
            Ok(Prepared { serve, owner: Some(owner), cluster: Some(cluster) })
        }
    }
}

/// Brings a database to what this binary needs: its own schema, and the queue's. `owner` is the owner's connection.
///
/// # Errors
/// A sentence that names the fix.
pub async fn migrate(owner: &PgConnectOptions, progress: &(dyn Fn(&str) + Sync)) -> anyhow::Result<()> {
    let mut connection = owner.connect().await.context("the database does not let its owner in")?;
    migrate::run(&mut connection, HOT_QUERIES, progress).await?;
    connection.close().await?;
    jobs::queue::migrate(owner).await
}

impl Prepared {
    /// Lets the private cluster go; the last process to leave stops it.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn leave(self) -> anyhow::Result<()> {
        match self.cluster {
            Some(cluster) => cluster.leave().await,
            None => Ok(()),
        }
    }

    /// The owner's connection.
    ///
    /// # Errors
    /// When it is not known.
    pub async fn owner(&self) -> anyhow::Result<PgConnection> {
        let owner = self.owner.as_ref().context("This needs DATABASE_OWNER_URL, the owner's connection.")?;
        owner.connect().await.context("DATABASE_OWNER_URL does not answer")
    }

    /// Which PostgreSQL, when it is a private one.
    pub fn private_version(&self) -> Option<&str> {
        self.cluster.as_ref().map(Cluster::version)
    }
}

/// The roles' passwords follow from the superuser's, so that there is one file to keep.
fn role_password(cluster: &Cluster, role: &str) -> String {
    use base64::Engine as _;
    let key =
        aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, cluster.superuser_password().as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, role.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag.as_ref())
}

async fn private_roles(cluster: &Cluster) -> anyhow::Result<(PgConnectOptions, PgConnectOptions)> {
    let base = PgConnectOptions::new_without_pgpass().socket(cluster.socket_dir()).port(cluster.port());
    let role =
        |name: &str| base.clone().username(name).password(&role_password(cluster, name)).database(DATABASE);
    let (serve, owner) = (role("aicos_app"), role("aicos_owner"));
    // Both get in: the roles and the database were made by an earlier start, of a binary that knew the same roles.
    let both = async {
        serve.connect().await?.close().await?;
        let mut connection = owner.connect().await?;
        let complete = migrate::has_roles(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(complete)
    };
    if both.await.unwrap_or(false) {
        return Ok((serve, owner));
    }
    let superuser =
        base.username(cluster.superuser()).password(cluster.superuser_password()).database("postgres");
    let mut connection = superuser.connect().await.context("the private database does not answer")?;
    connection.execute(migrate::ROLES_SQL).await?;
    for name in ["aicos_app", "aicos_owner"] {
        // The password is base64 of our own making: it holds nothing that could end the literal.
        let sql = format!("alter role {name} with login password '{}'", role_password(cluster, name));
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    let (exists,): (bool,) = sqlx::query_as("select exists (select from pg_database where datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        connection.execute("create database aicos owner aicos_owner").await?;
        connection.execute("revoke connect, temporary on database aicos from public").await?;
        connection.execute("grant connect on database aicos to aicos_app").await?;
    }
    connection.close().await?;
    Ok((serve, owner))
}

/// What tests turn down or up; everybody else takes the defaults.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    /// How hard hashing is.
    pub hashing: HashSettings,
    /// How many sign-ins are let through.
    pub throttle: ThrottleSettings,
    /// How much is let through.
    pub limiter: LimiterSettings,
    /// Limits of requests.
    pub limits: Limits,
    /// How the pool behaves.
    pub pool: PoolSettings,
    /// How jobs are worked on; how many at a time is a setting.
    pub worker: WorkerSettings,
    /// What holds for sockets and event streams.
    pub live: LiveSettings,
    /// How many requests are worked on at the same time.
    pub turns: TurnSettings,
    /// How long connections are waited for.
    pub patience: Patience,
    /// How long is waited for Instagram.
    pub pace: Pace,
    /// What reads PDFs and clips; this program when none is named.
    pub reader: Option<PathBuf>,
}

/// Everything that serves, before it listens. Clones share everything.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// Signing in.
    pub identity: Arc<Identity>,
    /// The addresses.
    pub router: axum::Router,
    door: http::Door,
    readers: Readers,
    drain: Drain,
    live: Arc<Live>,
    redis: Option<Redis>,
    kit: Kit,
    accounts: Arc<Accounts>,
    /// Where assets are kept.
    pub storage: Arc<Storage>,
    serve: PgConnectOptions,
    worker: WorkerSettings,
    patience: Patience,
    pace: Pace,
}

/// The master keys: from the settings, or kept in the data folder.
///
/// # Errors
/// When they cannot be read.
pub fn master_keys(config: &Config) -> anyhow::Result<MasterKeys> {
    if let Some(keys) = &config.master_key {
        MasterKeys::parse(keys).context("AICOS_MASTER_KEY cannot be used")
    } else {
        let path = config.data_dir.join("master.key");
        MasterKeys::load_or_create(&path).with_context(|| format!("{} cannot be used", path.display()))
    }
}

/// What reaches providers of models.
///
/// # Errors
/// A key of the settings holds what no header can, or the file of prices something else.
pub fn providers(config: &Config, master: MasterKeys) -> anyhow::Result<Providers> {
    let mut engines = Engines::new(&config.providers, engine::Limits::default())?.reaching(config.reach);
    if let Some(path) = &config.prices {
        let named = || format!("AICOS_PRICES is {}, which cannot be used", path.display());
        engines = engines.priced(Prices::read(path).with_context(named)?);
    }
    Ok(Providers::new(engines, master))
}

/// What reaches the services of connected accounts.
pub fn accounts(config: &Config, master: MasterKeys) -> Accounts {
    Accounts::new(master, config.reach, config.instagram.clone())
}

/// What sends to the organizations' webhook endpoints.
pub fn webhooks(config: &Config, master: MasterKeys) -> Webhooks {
    Webhooks::new(master, config.reach)
}

/// What looks for stock photos, when there is a key for it.
fn photos(config: &Config) -> Option<Arc<Photos>> {
    config.photos.clone().map(|library| Arc::new(Photos::new(library, config.reach)))
}

/// The storage of assets, as the settings say it.
///
/// # Errors
/// A sentence that names the fix.
pub fn storage(config: &Config, master: &MasterKeys) -> anyhow::Result<Arc<Storage>> {
    let keys = Keys::new(master.derive(Purpose::Assets));
    Ok(Arc::new(Storage::open(&config.storage, keys, &config.public_url)?))
}

/// The program that is started once more to read what strangers have made: this one when none is named.
///
/// # Errors
/// When it is not known where this program is.
pub fn reader(program: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    // Linux knows this program even after its file was replaced.
    match program {
        Some(program) => Ok(program),
        None if cfg!(target_os = "linux") => Ok(PathBuf::from("/proc/self/exe")),
        None => std::env::current_exe().context("It is not known where this program is"),
    }
}

/// The check of documents and the schema behind it, with the documents of the manifest where there is one.
///
/// # Errors
/// A sentence that names the file, the documents that cannot be served, and the fix.
pub async fn executor(
    config: &Config,
    limits: Limits,
    providers: &Arc<Providers>,
    accounts: &Arc<Accounts>,
    webhooks: &Arc<Webhooks>,
    storage: &Arc<Storage>,
    pdf_reader: &Arc<PdfReader>,
) -> anyhow::Result<Executor<Query, Mutation, Subscription>> {
    let disclosure = Disclosure { introspection: config.introspection, suggestions: config.introspection };
    let previews = Arc::new(Previews::default());
    let schema = || {
        let schema = graphql::schema().data(Arc::clone(providers)).data(Arc::clone(accounts));
        let schema = schema.data(Arc::clone(webhooks)).data(Arc::clone(pdf_reader));
        schema.data(Arc::clone(storage)).data(Arc::clone(&previews))
    };
    let executor = Executor::new(schema, limits, disclosure)?;
    let Some(path) = &config.document_manifest else { return Ok(executor) };
    let read = async { executor.trusting(&Manifest::read(path)?, config.trusted_documents).await };
    let named = || format!("AICOS_DOCUMENT_MANIFEST is {}, which cannot be used", path.display());
    read.await.with_context(named)
}

fn mailer(mail: Option<&(SecretString, String)>) -> anyhow::Result<Mailer> {
    match mail {
        Some((url, from)) => Mailer::parse(url, from).context("SMTP_URL or MAIL_FROM cannot be used"),
        None => Ok(Mailer::none()),
    }
}

/// The parts of identity that the command line needs as well.
///
/// # Errors
/// A sentence that names the fix.
pub async fn identity(
    config: &Config,
    db: Db,
    counters: Counters,
    tuning: &Tuning,
) -> anyhow::Result<Arc<Identity>> {
    let settings = IdentitySettings {
        access_lifetime: config.access_lifetime,
        session_lifetime: config.session_lifetime,
        issuer: config.public_url.as_str().trim_end_matches('/').to_owned(),
        throttle: tuning.throttle,
        jwt_secret: config.jwt_secret.clone(),
    };
    let hasher = Hasher::start(tuning.hashing).map_err(|error| anyhow::anyhow!(error))?;
    let links = Links::parse(config.public_url.as_str()).context("AICOS_PUBLIC_URL cannot be used")?;
    let mailer = mailer(config.mail.as_ref())?;
    let identity =
        Identity::start(db, settings, master_keys(config)?, hasher, mailer, links, counters).await?;
    Ok(Arc::new(identity))
}

impl App {
    /// Puts everything together on a database that is prepared.
    ///
    /// # Errors
    /// A sentence that names the fix.
    pub async fn start(config: &Config, serve: PgConnectOptions, tuning: Tuning) -> anyhow::Result<Self> {
        let redis = config.redis_url.as_ref().map(|url| Redis::at(url.expose_secret())).transpose()?;
        let pool = PoolSettings { size: config.connections, ..tuning.pool.clone() };
        let db = Db::open(serve.clone(), &pool)?;
        db.check().await?;
        db.check_functions(HOT_QUERIES).await?;
        let providers = Arc::new(providers(config, master_keys(config)?)?);
        let accounts = Arc::new(accounts(config, master_keys(config)?));
        let webhooks = Arc::new(webhooks(config, master_keys(config)?));
        let counters = match &config.redis_url {
            Some(url) => Counters::shared(url.expose_secret())?,
            None => Counters::local(),
        };
        let identity = identity(config, db.clone(), counters.clone(), &tuning).await?;
        let storage = storage(config, &master_keys(config)?)?;
        let reader = reader(tuning.reader)?;
        let pdf_reader = Arc::new(PdfReader::new(reader.clone()));
        let limits = tuning.limits.clone();
        let executor =
            executor(config, limits, &providers, &accounts, &webhooks, &storage, &pdf_reader).await?;
        let executor = Arc::new(executor);
        let limiter = Arc::new(Limiter::new(tuning.limiter, counters));
        let drain = Drain::default();
        let own_origin = config.public_url.origin().ascii_serialization();
        let settings = http::graphql::Settings {
            batch: config.batching.then_some(10),
            proxies: config.trusted_proxies.iter().copied().collect(),
            origins: config.cors_origins.iter().cloned().chain([own_origin]).collect(),
            live: tuning.live,
            turns: tuning.turns,
            drain: drain.clone(),
            ..http::graphql::Settings::default()
        };
        let kit = Kit {
            providers,
            storage: Arc::clone(&storage),
            photos: photos(config),
            accounts: Arc::clone(&accounts),
            webhooks,
            clips: Arc::new(ClipReader::new(reader)),
        };
        let live = Arc::<Live>::default();
        let entrance = Entrance::new(db.clone(), Arc::clone(&identity), limiter, Arc::clone(&live));
        let endpoint = Endpoint::new(entrance, executor, settings);
        let readers = Readers {
            token: config.metrics_token.clone(),
            proxies: config.trusted_proxies.iter().copied().collect(),
        };
        let page = match config.playground {
            true if config.has_page() => Page::Playground,
            true => Page::Closed,
            false => Page::None,
        };
        let surface = Surface {
            page,
            cors_origins: config.cors_origins.clone(),
            encrypted: config.public_url.scheme() == "https",
            readers: readers.clone(),
        };
        let (router, door) = http::router(
            endpoint,
            db.clone(),
            Arc::clone(&identity),
            &surface,
            drain.clone(),
            Arc::clone(&storage),
        );
        let worker = WorkerSettings { slots: config.worker_slots, ..tuning.worker };
        let (patience, pace) = (tuning.patience, tuning.pace);
        Ok(Self {
            db,
            identity,
            router,
            door,
            readers,
            drain,
            live,
            redis,
            kit,
            accounts,
            storage,
            serve,
            worker,
            patience,
            pace,
        })
    }

    /// Starts working on jobs in this process; none when it has no slots for them.
    pub fn work(&self) -> Option<Workers> {
        if self.worker.slots == 0 {
            return None;
        }
        let poster = Poster::new(Arc::clone(&self.accounts), Arc::clone(&self.storage), self.pace);
        let mut works = agents::works(&self.kit, poster);
        works.push(Box::new(IndexDocument));
        works.push(Box::new(MakeEmbeddings::new(Arc::clone(&self.kit.providers))));
        works.push(Box::new(FireSchedule::new(Arc::clone(&self.kit.providers))));
        let (identity, events) = (Arc::clone(&self.identity), self.db.events().clone());
        Some(Workers::start(self.serve.clone(), identity, events, works, self.worker))
    }

    /// Works on jobs until stopped, without serving requests. At `address` it answers probes and shows its figures.
    ///
    /// # Errors
    /// When there are no slots for jobs.
    pub async fn work_until(
        self,
        address: Option<SocketAddr>,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let Some(workers) = self.work() else {
            anyhow::bail!("AICOS_WORKER_SLOTS is 0, so this worker would do nothing. Give it at least 1.");
        };
        let stopped = CancellationToken::new();
        let carrying = tokio::spawn(carry_events(self.db.clone(), self.redis, stopped.clone()));
        let figuring = tokio::spawn(keep_figures(Arc::clone(&self.identity), stopped.clone()));
        let identity = Arc::clone(&self.identity);
        let router = http::worker_router(self.db.clone(), identity, self.readers, self.drain.clone());
        let until = stopped.clone().cancelled_owned();
        let answering = match address {
            Some(address) => match TcpListener::bind(address).await {
                Ok(listener) => {
                    let serving = http::serve(listener, router, None, self.drain, self.patience, until);
                    Some(tokio::spawn(serving))
                }
                // A server on the same machine has the same settings: the work goes on without being looked at.
                Err(error) => {
                    tracing::warn!(
                        "{address} cannot be listened on, so this worker's figures cannot be read: {error}"
                    );
                    None
                }
            },
            None => None,
        };
        stop.await;
        workers.stop().await;
        stopped.cancel();
        carrying.await?;
        figuring.await?;
        if let Some(answering) = answering {
            answering.await?.context("answering probes failed")?;
        }
        self.db.close();
        Ok(())
    }

    /// Listens, and serves in the background until stopped.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn listen(self, address: SocketAddr) -> anyhow::Result<Running> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "{address} cannot be listened on. Stop what uses it, or choose another one with --listen."
            )
        })?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let workers = self.work();
        let (live, looked_at, until) = (self.live, Arc::clone(&self.identity), stop.clone());
        let watching = tokio::spawn(async move {
            until.run_until_cancelled(live.watch_over(&looked_at)).await;
        });
        let housekeeping = tokio::spawn(keep_house(Arc::clone(&self.identity), self.storage, stop.clone()));
        let figuring = tokio::spawn(keep_figures(Arc::clone(&self.identity), stop.clone()));
        let carrying = tokio::spawn(carry_events(self.db.clone(), self.redis, stop.clone()));
        let until = stop.clone().cancelled_owned();
        let door = Some(self.door);
        let serving =
            tokio::spawn(http::serve(listener, self.router, door, self.drain, self.patience, until));
        Ok(Running {
            address,
            db: self.db,
            identity: self.identity,
            stop,
            serving,
            housekeeping,
            figuring,
            carrying,
            workers,
            watching,
        })
    }
}

/// Carries what has happened between this process and the others, until stopped: by Redis where there is one, by the
/// database otherwise. Every process that changes or watches something runs it.
pub async fn carry_events(db: Db, redis: Option<Redis>, stop: CancellationToken) {
    let events = db.events().clone();
    match redis {
        Some(redis) => events::carry(events, redis, stop).await,
        None => events::carry(events, db.notifications().clone(), stop).await,
    }
}

/// Writes what was used, reads the signing keys again and removes what is left of assets, every half minute and once more at the end.
async fn keep_house(identity: Arc<Identity>, storage: Arc<Storage>, stop: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(30);
    while tokio::time::timeout(EVERY, stop.cancelled()).await.is_err() {
        if let Err(error) = identity.flush_used().await {
            tracing::warn!("the last uses were not written: {error}");
        }
        if let Err(error) = identity.reload_keys().await {
            tracing::warn!("the signing keys were not read again: {error:#}");
        }
        if let Err(error) = assets::sweep(&identity.lease(Facts::default()), &storage).await {
            tracing::warn!("what is left of assets was not removed: {error}");
        }
    }
}

/// Tidies the figures every second, and every quarter of a minute asks how much work waits, until stopped.
async fn keep_figures(identity: Arc<Identity>, stop: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(1);
    let mut seconds = (0..15_u32).cycle();
    while tokio::time::timeout(EVERY, stop.cancelled()).await.is_err() {
        count().tidy_up();
        if seconds.next() == Some(0) {
            // While the database is away, others say so.
            count().backlog(jobs::backlog(&identity.lease(Facts::default())).await.ok());
        }
    }
}

/// A server that serves.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The database.
    pub db: Db,
    /// Signing in.
    pub identity: Arc<Identity>,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    housekeeping: JoinHandle<()>,
    figuring: JoinHandle<()>,
    carrying: JoinHandle<()>,
    workers: Option<Workers>,
    watching: JoinHandle<()>,
}

impl Running {
    /// Stops accepting, lets accepted requests and running jobs finish, and closes the database.
    ///
    /// # Errors
    /// When serving had failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let working = async {
            if let Some(workers) = self.workers {
                workers.stop().await;
            }
        };
        // An accepted request may wait for a job, and a job may be waited for.
        let (served, ()) = tokio::join!(self.serving, working);
        self.housekeeping.await?;
        self.figuring.await?;
        self.carrying.await?;
        self.watching.await?;
        if let Err(error) = self.identity.flush_used().await {
            tracing::warn!("the last uses were not written: {error}");
        }
        self.db.close();
        served?.context("serving failed")
    }
}

/// Refuses a data folder that cannot be written, with the fix.
///
/// # Errors
/// A sentence that names the fix.
pub fn check_data_dir(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| {
        format!("{} cannot be made. Choose another folder with --data-dir.", path.display())
    })?;
    // A name of its own: another process that starts at the same moment looks as well.
    let probe = path.join(format!(".write-test-{}", std::process::id()));
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).with_context(|| {
        format!("{} cannot be written. Choose another folder with --data-dir.", path.display())
    })?;
    ensure!(path.is_dir(), "{} is not a folder. Choose another one with --data-dir.", path.display());
    Ok(())
}

/// The address of a running server as a person would open it.
pub fn local_url(address: SocketAddr, public: &Url) -> String {
    if public.host_str() == Some("localhost") {
        return format!("http://localhost:{}", address.port());
    }
    public.as_str().trim_end_matches('/').to_owned()
}
