//! Every setting: a flag, an environment variable or a line of `aicos.toml`; typed, and refused at start when wrong.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::engine::{Endpoint, Endpoints, Reach};
use crate::graphql::document::Trust;
use crate::http::proxies::Network;
use crate::storage::Location;

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// What stands in flags, the environment and `aicos.toml`, before it is checked.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address to listen on [default: 127.0.0.1:8000]
    #[arg(long, env = "AICOS_LISTEN", global = true, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,

    /// Where the private database, keys and files are kept [default: depends on the platform]
    #[arg(long, env = "AICOS_DATA_DIR", global = true, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,

    /// The address that links in mails and invitations begin with [default: <http://localhost:8000>]
    #[arg(long, env = "AICOS_PUBLIC_URL", global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Url>,

    /// The serving role's database [default: a private PostgreSQL in the data folder]
    #[arg(long, env = "DATABASE_URL", global = true, value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,

    /// The owner's database, for migrations only
    #[arg(long, env = "DATABASE_OWNER_URL", global = true, value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_owner_url: Option<String>,

    /// Connections to the database at the most [default: 16]
    #[arg(long, env = "DATABASE_CONNECTIONS", global = true, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_connections: Option<usize>,

    /// Jobs at the same time in this process; 0: none, `aicos worker` does them [default: 4]
    #[arg(long, env = "AICOS_WORKER_SLOTS", global = true, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_slots: Option<usize>,

    /// Shares rate limits between several servers and carries their events; without one, each counts for itself
    #[arg(long, env = "REDIS_URL", global = true, value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_url: Option<String>,

    /// Signs access tokens with this secret (HS256, 32 bytes or more) instead of the keys in the database
    #[arg(long, env = "JWT_SECRET_KEY", global = true, value_name = "SECRET", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_secret_key: Option<String>,

    /// How long an access token is good, in minutes [default: 60]
    #[arg(long, env = "ACCESS_TOKEN_EXPIRE_MINUTES", global = true, value_name = "MINUTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_expire_minutes: Option<u32>,

    /// How long a session lasts, however often it is refreshed, in days [default: 30]
    #[arg(long, env = "REFRESH_TOKEN_EXPIRE_DAYS", global = true, value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_expire_days: Option<u32>,

    /// Encrypts stored secrets: 32 bytes in base64, several separated by commas, the first is current
    #[arg(long, env = "AICOS_MASTER_KEY", global = true, value_name = "KEYS", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key: Option<String>,

    /// Where assets are kept: `file:` or `file:///folder`, or a bucket as
    /// `s3://KEY_ID:SECRET@bucket/prefix?region=…&endpoint=https://…` [default: `file:`, a folder in the data folder]
    #[arg(long, env = "STORAGE_URL", global = true, value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_url: Option<String>,

    /// The server that mails go out by; without one, links are shown instead
    #[arg(long, env = "SMTP_URL", global = true, value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_url: Option<String>,

    /// Whom mails are from
    #[arg(long, env = "MAIL_FROM", global = true, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_from: Option<String>,

    /// The key of OpenAI, or of a server that speaks its chat format, for the provider `openai`
    #[arg(long, env = "OPENAI_API_KEY", global = true, value_name = "KEY", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_api_key: Option<String>,

    /// Where the provider `openai` is reached; alone, it needs no key [default: <https://api.openai.com>]
    #[arg(long, env = "OPENAI_BASE_URL", global = true, value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_base_url: Option<String>,

    /// The key of Anthropic, for the provider `anthropic`
    #[arg(long, env = "ANTHROPIC_API_KEY", global = true, value_name = "KEY", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_api_key: Option<String>,

    /// Where the provider `anthropic` is reached; alone, it needs no key [default: <https://api.anthropic.com>]
    #[arg(long, env = "ANTHROPIC_BASE_URL", global = true, value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_base_url: Option<String>,

    /// Where the Graph API is reached for publishing on Instagram, with its version
    /// [default: <https://graph.facebook.com/v24.0> and <https://graph.instagram.com/v24.0>]
    #[arg(long, env = "INSTAGRAM_BASE_URL", global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instagram_base_url: Option<String>,

    /// The key of Pexels, for stock photos behind visual posts
    #[arg(long, env = "PEXELS_API_KEY", global = true, value_name = "KEY", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pexels_api_key: Option<String>,

    /// Where Pexels is reached [default: <https://api.pexels.com>]
    #[arg(long, env = "PEXELS_BASE_URL", global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pexels_base_url: Option<String>,

    /// Whether the schema can be asked for [default: on for loopback, off otherwise]
    #[arg(long, env = "AICOS_INTROSPECTION", global = true, value_name = "on|off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Switch>,

    /// Whether `/` serves the playground [default: on for loopback, off otherwise]
    #[arg(long, env = "AICOS_PLAYGROUND", global = true, value_name = "on|off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playground: Option<Switch>,

    /// Origins whose pages may call the API, separated by commas [default: none]
    #[arg(long, env = "AICOS_CORS_ORIGINS", global = true, value_name = "ORIGINS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors_origins: Option<String>,

    /// Proxies whose word about the caller's address counts, as addresses or networks, separated by commas [default: none]
    #[arg(long, env = "AICOS_TRUSTED_PROXIES", global = true, value_name = "NETWORKS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<String>,

    /// Whether one request may carry up to ten operations as an array [default: off]
    #[arg(long, env = "AICOS_BATCHING", global = true, value_name = "on|off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batching: Option<Switch>,

    /// What becomes of documents that are not in the manifest: `off` serves them, `log` serves and logs them, `enforce`
    /// refuses them [default: off]
    #[arg(long, env = "AICOS_TRUSTED_DOCUMENTS", global = true, value_name = "off|log|enforce")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_documents: Option<Trust>,

    /// The documents that are known from the start, as a file that Apollo's or Relay's tools write [default: none]
    #[arg(long, env = "AICOS_DOCUMENT_MANIFEST", global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_manifest: Option<PathBuf>,

    /// Prices of models, as a file like src/engine/prices.toml; they stand before the list prices [default: none]
    #[arg(long, env = "AICOS_PRICES", global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<PathBuf>,

    /// Lets whoever sends it as a bearer token read `/metrics`, from anywhere; without one, only this machine may
    #[arg(long, env = "AICOS_METRICS_TOKEN", global = true, value_name = "TOKEN", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_token: Option<String>,

    /// Where traces are sent, as OTLP over HTTP; without one, none are made
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// Whether organizations' providers, and what Instagram fetches, may have private addresses, loopback without https included [default: off]
    #[arg(long, env = "AICOS_ALLOW_PRIVATE_URLS", global = true, value_name = "on|off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_private_urls: Option<Switch>,

    /// The folder of initdb and `pg_ctl` for the private database [default: looked up]
    #[arg(long, env = "AICOS_POSTGRES_BIN", global = true, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_bin: Option<PathBuf>,
}

/// The checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Where a worker answers probes and `/metrics`: only at an address that it is given.
    pub worker_listen: Option<SocketAddr>,
    /// Where the private database, keys and files are kept.
    pub data_dir: PathBuf,
    /// Where assets are kept.
    pub storage: Location,
    /// The address that links begin with.
    pub public_url: Url,
    /// Which database.
    pub database: Database,
    /// Connections to the database at the most.
    pub connections: usize,
    /// Jobs at the same time in this process.
    pub worker_slots: usize,
    /// Shares limits and carries events between servers; none: each counts for itself, and the database carries.
    pub redis_url: Option<SecretString>,
    /// HS256 with this secret.
    pub jwt_secret: Option<SecretString>,
    /// How long an access token is good.
    pub access_lifetime: chrono::TimeDelta,
    /// How long a session lasts.
    pub session_lifetime: chrono::TimeDelta,
    /// Encrypts stored secrets; none: the one in the data folder.
    pub master_key: Option<SecretString>,
    /// Where stock photos are looked for; none: nowhere.
    pub photos: Option<Endpoint>,
    /// Server and sender of mails.
    pub mail: Option<(SecretString, String)>,
    /// Providers of models.
    pub providers: Endpoints,
    /// Where the Graph API is reached instead of its usual hosts.
    pub instagram: Option<Url>,
    /// How far the addresses of organizations' providers may lead.
    pub reach: Reach,
    /// Whether the schema can be asked for.
    pub introspection: bool,
    /// Whether `/` serves the playground.
    pub playground: bool,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Proxies whose word about the caller's address counts.
    pub trusted_proxies: Vec<Network>,
    /// Whether one request may carry several operations.
    pub batching: bool,
    /// What becomes of documents that are not in the manifest.
    pub trusted_documents: Trust,
    /// The documents that are known from the start.
    pub document_manifest: Option<PathBuf>,
    /// Prices of models that stand before the list prices.
    pub prices: Option<PathBuf>,
    /// Opens `/metrics` to whoever has it.
    pub metrics_token: Option<SecretString>,
    /// Where traces are sent.
    pub traces: Option<Url>,
}

impl Config {
    /// Whether there is a page at `/` that works: it asks what is typed there, and for the schema.
    pub fn has_page(&self) -> bool {
        self.playground && self.trusted_documents != Trust::Enforce
    }
}

/// Which database.
#[derive(Debug, Clone)]
pub enum Database {
    /// A private cluster in the data folder.
    Private {
        /// The folder of initdb and `pg_ctl`.
        bin_dir: Option<PathBuf>,
    },
    /// Somebody else's.
    Outside {
        /// The serving role's connection.
        serve: SecretString,
        /// The owner's connection, for migrations.
        owner: Option<SecretString>,
    },
}

fn list(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn mail(url: Option<String>, from: Option<String>) -> anyhow::Result<Option<(SecretString, String)>> {
    match (url, from) {
        (Some(url), Some(from)) => Ok(Some((url.into(), from))),
        (None, None) => Ok(None),
        (Some(_), None) => bail!("SMTP_URL is set without MAIL_FROM, the address that mails are from."),
        (None, Some(_)) => bail!("MAIL_FROM is set without SMTP_URL, the server that mails go out by."),
    }
}

fn reach(private: Option<Switch>) -> Reach {
    if private.is_some_and(Switch::is_on) { Reach::Private } else { Reach::Public }
}

impl Settings {
    /// Adds what `aicos.toml` says, where no flag or variable says otherwise, and checks everything.
    ///
    /// # Errors
    /// A sentence that names the setting and the fix.
    pub fn check(self) -> anyhow::Result<Config> {
        let settings: Self = Figment::from(Toml::file("aicos.toml"))
            .merge(Serialized::defaults(self))
            .extract()
            .context("aicos.toml has a setting that is not known or not of its type")?;
        settings.checked()
    }

    fn checked(self) -> anyhow::Result<Config> {
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8000)));
        let public_url = match self.public_url {
            Some(url) => url,
            None => default_public_url(listen)?,
        };
        ensure!(
            matches!(public_url.scheme(), "http" | "https") && public_url.host().is_some(),
            "AICOS_PUBLIC_URL is an http(s) address such as https://aicos.example.com; it is `{public_url}`."
        );
        let database = match (self.database_url, self.database_owner_url) {
            (Some(serve), owner) => Database::Outside { serve: serve.into(), owner: owner.map(Into::into) },
            (None, Some(_)) => bail!(
                "DATABASE_OWNER_URL is set without DATABASE_URL. Set both to use your own database, or neither for a private one."
            ),
            (None, None) => Database::Private { bin_dir: self.postgres_bin },
        };
        if matches!(database, Database::Outside { .. }) {
            ensure!(
                self.master_key.is_some(),
                "AICOS_MASTER_KEY is needed with an outside database, so that every replica has the same one. Make one with `openssl rand -base64 32`."
            );
        }
        let mail = mail(self.smtp_url, self.mail_from)?;
        let providers = Endpoints {
            openai: provider(
                "OPENAI",
                self.openai_api_key.as_deref(),
                self.openai_base_url.as_deref(),
                "https://api.openai.com",
            )?,
            anthropic: provider(
                "ANTHROPIC",
                self.anthropic_api_key.as_deref(),
                self.anthropic_base_url.as_deref(),
                "https://api.anthropic.com",
            )?,
        };
        let photos = provider(
            "PEXELS",
            self.pexels_api_key.as_deref(),
            self.pexels_base_url.as_deref(),
            "https://api.pexels.com",
        )?;
        let minutes = self.access_token_expire_minutes.unwrap_or(60);
        ensure!(
            (1..=1440).contains(&minutes),
            "ACCESS_TOKEN_EXPIRE_MINUTES is from 1 to 1440; it is {minutes}."
        );
        let days = self.refresh_token_expire_days.unwrap_or(30);
        ensure!((1..=365).contains(&days), "REFRESH_TOKEN_EXPIRE_DAYS is from 1 to 365; it is {days}.");
        let connections = self.database_connections.unwrap_or(16);
        ensure!(
            (1..=1000).contains(&connections),
            "DATABASE_CONNECTIONS is from 1 to 1000; it is {connections}."
        );
        let worker_slots = self.worker_slots.unwrap_or(4);
        ensure!(worker_slots <= 100, "AICOS_WORKER_SLOTS is from 0 to 100; it is {worker_slots}.");
        let trusted_documents = self.trusted_documents.unwrap_or_default();
        let document_manifest = self.document_manifest.filter(|path| !path.as_os_str().is_empty());
        ensure!(
            trusted_documents == Trust::Off || document_manifest.is_some(),
            "AICOS_TRUSTED_DOCUMENTS is set without AICOS_DOCUMENT_MANIFEST, the file that lists the documents. Set both, or neither."
        );
        let data_dir = self.data_dir.unwrap_or_else(crate::postgres::default_data_dir);
        let local = listen.ip().is_loopback();
        let on = |switch: Option<Switch>| switch.map_or(local, Switch::is_on);
        Ok(Config {
            listen,
            worker_listen: self.listen,
            storage: Location::parse(self.storage_url.as_deref(), &data_dir)?,
            data_dir,
            public_url,
            database,
            connections,
            worker_slots,
            redis_url: self.redis_url.map(Into::into),
            jwt_secret: self.jwt_secret_key.map(Into::into),
            access_lifetime: chrono::TimeDelta::minutes(i64::from(minutes)),
            session_lifetime: chrono::TimeDelta::days(i64::from(days)),
            master_key: self.master_key.map(Into::into),
            mail,
            providers,
            instagram: graph(self.instagram_base_url.as_deref(), reach(self.allow_private_urls))?,
            photos,
            reach: reach(self.allow_private_urls),
            introspection: on(self.introspection),
            playground: on(self.playground),
            cors_origins: origins(self.cors_origins.as_deref())?,
            trusted_proxies: proxies(self.trusted_proxies.as_deref())?,
            batching: self.batching.is_some_and(Switch::is_on),
            trusted_documents,
            document_manifest,
            prices: self.prices.filter(|path| !path.as_os_str().is_empty()),
            metrics_token: metrics_token(self.metrics_token)?,
            traces: collector(self.otel_exporter_otlp_endpoint.as_deref())?,
        })
    }
}

/// Origins as browsers write them: scheme, host and port.
fn origins(text: Option<&str>) -> anyhow::Result<Vec<String>> {
    let mut origins = Vec::new();
    for origin in list(text) {
        let url = Url::parse(origin)
            .with_context(|| format!("AICOS_CORS_ORIGINS holds `{origin}`, which is no address"))?;
        ensure!(
            matches!(url.scheme(), "http" | "https") && !origin.contains('*'),
            "AICOS_CORS_ORIGINS holds `{origin}`; origins are listed one by one, each as http(s) and a host."
        );
        let plain = url.origin().ascii_serialization();
        ensure!(
            plain == origin.trim_end_matches('/'),
            "AICOS_CORS_ORIGINS holds `{origin}`; an origin is scheme, host and port only, such as `{plain}`."
        );
        origins.push(plain);
    }
    Ok(origins)
}

/// A provider by its two settings; none when neither is set. An empty setting is as good as none.
fn provider(
    name: &str,
    key: Option<&str>,
    base_url: Option<&str>,
    usual: &str,
) -> anyhow::Result<Option<Endpoint>> {
    let set = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (key, base_url) = (set(key), set(base_url));
    if key.is_none() && base_url.is_none() {
        return Ok(None);
    }
    ensure!(
        key.as_ref().is_none_or(|key| key.chars().all(|c| c.is_ascii_graphic())),
        "{name}_API_KEY holds a space or another character that no key has. Copy it again from the provider."
    );
    let base_url = plain_url(base_url.as_deref().unwrap_or(usual)).with_context(|| {
        format!(
            "{name}_BASE_URL is an http(s) address such as {usual}, without a user, a password, `?` or `#`."
        )
    })?;
    Ok(Some(Endpoint { base_url, key: key.map(Into::into) }))
}

/// Where the Graph API is reached instead; none when it is not set, or empty.
fn graph(text: Option<&str>, reach: Reach) -> anyhow::Result<Option<Url>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let url = plain_url(text).with_context(|| {
        "INSTAGRAM_BASE_URL is an https address with a version, such as https://graph.facebook.com/v24.0, without a user, a password, `?` or `#`."
    })?;
    reach.check(&url).with_context(
        || "INSTAGRAM_BASE_URL cannot be used. A private address needs AICOS_ALLOW_PRIVATE_URLS=on",
    )?;
    Ok(Some(url))
}

/// Proxies whose word counts.
fn proxies(text: Option<&str>) -> anyhow::Result<Vec<Network>> {
    let read = |text: &str| {
        text.parse().map_err(|error| {
            anyhow::anyhow!("AICOS_TRUSTED_PROXIES holds `{text}`, which is no address or network: {error}")
        })
    };
    list(text).into_iter().map(read).collect()
}

/// What opens `/metrics`; none when it is not set, or empty.
fn metrics_token(token: Option<String>) -> anyhow::Result<Option<SecretString>> {
    let Some(token) = token.filter(|token| !token.trim().is_empty()) else { return Ok(None) };
    ensure!(
        token.len() >= 16 && token.chars().all(|c| c.is_ascii_graphic()),
        "AICOS_METRICS_TOKEN is at least 16 letters, digits or signs, without spaces. Make one with `openssl rand -hex 32`."
    );
    Ok(Some(token.into()))
}

/// Where traces are sent; none when it is not set, or empty.
fn collector(text: Option<&str>) -> anyhow::Result<Option<Url>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let url = plain_url(text).context(
        "OTEL_EXPORTER_OTLP_ENDPOINT is an http(s) address such as http://localhost:4318, without a user, a password, `?` or `#`.",
    )?;
    Ok(Some(url))
}

/// An http(s) address that holds nothing secret. What is wrong is not repeated: a password may stand in it.
fn plain_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn default_public_url(listen: SocketAddr) -> anyhow::Result<Url> {
    let host = match listen.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    Ok(Url::parse(&format!("http://{host}:{}", listen.port()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attacks: 20, 146.
    #[test]
    fn defaults_are_safe_and_follow_the_address() {
        let config = Settings::default().checked().unwrap();
        assert_eq!(config.public_url.as_str(), "http://localhost:8000/");
        assert!(config.introspection && config.playground && !config.batching);
        let open = Settings { listen: Some("0.0.0.0:80".parse().unwrap()), ..Settings::default() };
        let config = open.checked().unwrap();
        assert!(!config.introspection && !config.playground);
    }

    #[test]
    fn a_manifest_without_trust_is_a_list_of_names() {
        let with = |trust| Settings {
            trusted_documents: trust,
            document_manifest: Some("manifest.json".into()),
            ..Settings::default()
        };
        let config = with(None).checked().unwrap();
        assert_eq!(config.trusted_documents, Trust::Off);
        assert!(config.document_manifest.is_some() && config.has_page());
        assert!(with(Some(Trust::Log)).checked().unwrap().has_page());
        assert!(!with(Some(Trust::Enforce)).checked().unwrap().has_page());
        assert!(Settings::default().checked().unwrap().document_manifest.is_none());
    }

    #[test]
    fn a_provider_has_a_key_or_an_address_of_its_own() {
        let with = |key: Option<&str>, url: Option<&str>| Settings {
            openai_api_key: key.map(Into::into),
            openai_base_url: url.map(Into::into),
            ..Settings::default()
        };
        let openai = |key, url| with(key, url).checked().unwrap().providers.openai;
        assert!(openai(None, None).is_none() && openai(Some(" "), Some("")).is_none());
        assert_eq!(openai(Some("k"), None).unwrap().base_url.as_str(), "https://api.openai.com/");
        let local = openai(None, Some("http://localhost:11434/v1")).unwrap();
        assert!(local.key.is_none() && local.base_url.port() == Some(11434));
        for url in [
            "localhost:11434",
            "ftp://models.example",
            "http://someone:hunter2@models.example",
            "http://models.example/?key=hunter2",
            "http://models.example/#hunter2",
        ] {
            let error = with(None, Some(url)).checked().unwrap_err().to_string();
            assert!(error.contains("OPENAI_BASE_URL") && !error.contains("hunter2"), "{error}");
        }
        let error = with(Some("two words"), None).checked().unwrap_err().to_string();
        assert!(error.contains("OPENAI_API_KEY") && !error.contains("words"), "{error}");
        let config = with(Some("hunter2"), None).checked().unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let outside = Settings { database_url: Some("postgres://x/y".into()), ..Settings::default() };
        let cases = [
            (outside, "AICOS_MASTER_KEY"),
            (Settings { database_owner_url: Some("x".into()), ..Settings::default() }, "DATABASE_OWNER_URL"),
            (Settings { smtp_url: Some("x".into()), ..Settings::default() }, "MAIL_FROM"),
            (
                Settings { storage_url: Some("s3://id:hunter2@bucket?x=1".into()), ..Settings::default() },
                "STORAGE_URL",
            ),
            (
                Settings { access_token_expire_minutes: Some(0), ..Settings::default() },
                "ACCESS_TOKEN_EXPIRE_MINUTES",
            ),
            (
                Settings { cors_origins: Some("https://a.example/path".into()), ..Settings::default() },
                "AICOS_CORS_ORIGINS",
            ),
            (
                Settings { trusted_proxies: Some("somewhere".into()), ..Settings::default() },
                "AICOS_TRUSTED_PROXIES",
            ),
            (
                Settings { trusted_documents: Some(Trust::Enforce), ..Settings::default() },
                "AICOS_DOCUMENT_MANIFEST",
            ),
            (
                Settings {
                    trusted_documents: Some(Trust::Log),
                    document_manifest: Some("".into()),
                    ..Settings::default()
                },
                "AICOS_DOCUMENT_MANIFEST",
            ),
            (
                Settings {
                    instagram_base_url: Some("https://someone:hunter2@graph.example/v24.0".into()),
                    ..Settings::default()
                },
                "INSTAGRAM_BASE_URL",
            ),
            (
                Settings {
                    instagram_base_url: Some("http://127.0.0.1:9/v24.0".into()),
                    ..Settings::default()
                },
                "AICOS_ALLOW_PRIVATE_URLS",
            ),
            (
                Settings { metrics_token: Some("hunter2".into()), ..Settings::default() },
                "AICOS_METRICS_TOKEN",
            ),
            (
                Settings {
                    otel_exporter_otlp_endpoint: Some("http://someone:hunter2@localhost:4318".into()),
                    ..Settings::default()
                },
                "OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
        ];
        for (settings, name) in cases {
            let error = settings.checked().unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn whoever_watches_needs_nothing_set() {
        let config = Settings::default().checked().unwrap();
        assert!(config.metrics_token.is_none() && config.traces.is_none() && config.worker_listen.is_none());
        let watched = Settings {
            metrics_token: Some("0123456789abcdef".into()),
            otel_exporter_otlp_endpoint: Some("http://localhost:4318".into()),
            ..Settings::default()
        };
        let config = watched.checked().unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
        assert_eq!(config.traces.unwrap().as_str(), "http://localhost:4318/");
    }
}
