//! Providers of models that an organization has set up itself, and which engine its agents work with; every call
//! of a model, whoever's it is ([`calls`]).
//!
//! Their keys are sealed with the master key, each for its own row of its own organization, and are opened only to be used:
//! when a worker begins a job, or a provider is tested. Nothing gives them back; a new address needs its key anew, so that
//! nobody sends one that they do not know to where they like.

pub mod calls;
pub mod graphql;
mod store;
mod wanted;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

pub use self::wanted::Wanted;
use crate::db::{AnonymousTx, Db, ReadTx, Redacted, WriteTx};
use crate::engine::{Endpoint, Engines, Provider as Kind, TextEngine};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{OrganizationId, ProjectId, ProviderId};
use crate::identity::master::{MasterKeys, Purpose};
use crate::identity::sealer::Sealer;
use crate::jobs::AgentKind;
use crate::{idempotency, input};

/// Providers of an organization at the most.
pub const MOST: i64 = 20;
/// The engine that needs no provider.
pub const BUILTIN: &str = "builtin";
/// Characters of a provider's name.
const NAME: usize = 40;
/// Characters of a model's name.
const MODEL: usize = 200;
/// Characters of a key.
const KEY: usize = 500;
/// The end of a key is shown when so much more of it is not.
const HINTED: usize = 16;

/// A provider, without its key, which nobody can read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: ProviderId,
    /// What calls name it by.
    pub name: String,
    /// Which format it speaks.
    pub kind: Kind,
    /// Where it is reached.
    pub base_url: Url,
    /// The model of calls that name none.
    pub model: Option<String>,
    /// The last four characters of its key; none when it has none, or one that is too short to show any.
    pub key_hint: Option<String>,
    /// Whether it has a key.
    pub has_key: bool,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was last tested.
    pub tested_at: Option<DateTime<Utc>>,
}

/// The engine that an agent works with when a call names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Whose.
    pub organization: OrganizationId,
    /// In which project; none: in every project that has no route of its own.
    pub project: Option<ProjectId>,
    /// Which agent.
    pub agent: AgentKind,
    /// The provider's name.
    pub provider: String,
    /// Its model; none: the provider's own choice.
    pub model: Option<String>,
    /// Whether the built-in engine may work when the provider does not.
    pub fallback: bool,
}

/// A key as a caller gives it, checked.
fn key(text: &str) -> Result<SecretString> {
    let refuse = |code, message: &str| Err(Error::fault(Fault::at(code, "key", message)));
    let text = text.trim();
    if text.is_empty() {
        return refuse(
            FaultCode::Required,
            "`key` must not be empty. Leave it out for a server that needs none.",
        );
    }
    if text.len() > KEY {
        return refuse(FaultCode::TooLong, "`key` has at most 500 characters.");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse(FaultCode::Invalid, "`key` holds a character that no key has. Copy it again.");
    }
    Ok(text.into())
}

fn hint(key: &SecretString) -> Option<String> {
    let text = key.expose_secret();
    text.get(text.len().checked_sub(4)?..).filter(|_| text.len() >= HINTED).map(str::to_owned)
}

fn name(text: &str, kind: Kind) -> Result<String> {
    let refuse = |message: &str| Err(Error::fault(Fault::at(FaultCode::Invalid, "name", message)));
    let name = input::slug("name", text)?;
    if name.len() > NAME {
        return Err(Error::fault(Fault::at(FaultCode::TooLong, "name", "`name` has at most 40 characters.")));
    }
    if name == BUILTIN {
        return refuse("`builtin` is the engine that needs no provider. Choose another name.");
    }
    if Kind::parse(&name).is_some_and(|of| of != kind) {
        return refuse("This name is the other kind's. Choose another name, or the kind that it names.");
    }
    Ok(name)
}

/// What reaches providers: the server's own, and the organizations'.
#[derive(Debug)]
pub struct Providers {
    engines: Engines,
    sealer: Sealer,
}

impl Providers {
    /// With the server's own, and the master keys that organizations' keys are sealed with.
    pub const fn new(engines: Engines, master: MasterKeys) -> Self {
        Self { engines, sealer: Sealer::new(master, Purpose::ProviderKeys) }
    }

    /// The server's own.
    pub const fn engines(&self) -> &Engines {
        &self.engines
    }

    fn address(&self, url: &Url) -> Result<()> {
        input::url("baseUrl", url)?;
        self.engines
            .reach()
            .check(url)
            .map_err(|refused| Error::fault(Fault::at(FaultCode::UnsafeUrl, "baseUrl", refused.to_string())))
    }

    /// A provider's text models, with its key opened.
    ///
    /// # Errors
    /// `NOT_FOUND`; a fault of ours when the key cannot be opened.
    pub async fn connect(&self, tx: &mut ReadTx<'_>, id: ProviderId) -> Result<Arc<dyn TextEngine>> {
        let (provider, sealed) = store::sealed(tx, id).await?.ok_or(Error::NotFound)?;
        let open = |sealed: Vec<u8>| self.sealer.open_text(provider.organization, id.uuid(), &sealed);
        let key = sealed.map(open).transpose()?;
        let endpoint = Endpoint { base_url: provider.base_url, key };
        self.engines.connect(provider.kind, &endpoint).map_err(Error::internal)
    }

    /// The engines of a job: the server's own, and those of the organization's that it was given. One that has been deleted
    /// since is none, whatever else has its name.
    ///
    /// # Errors
    /// What the database says; a fault of ours when the key cannot be opened.
    pub async fn engines_of(
        &self,
        tx: &mut ReadTx<'_>,
        own: impl IntoIterator<Item = (&str, ProviderId), IntoIter: Send>,
    ) -> Result<Engines> {
        let mut engines = self.engines.clone();
        for (name, id) in own {
            let engine = match self.connect(tx, id).await {
                Ok(engine) => Some(engine),
                Err(Error::NotFound) => None,
                Err(error) => return Err(error),
            };
            engines = engines.with(name, engine);
        }
        Ok(engines)
    }

    /// Seals every key anew that is not sealed under the current master key (`aicos keys rotate`). Gives how many.
    ///
    /// # Errors
    /// When the database does not answer, or a key cannot be opened with any master key.
    pub async fn reseal(&self, db: &Db) -> Result<usize> {
        let replace = async |tx: &mut AnonymousTx<'_>, (organization, id, before): store::Sealed| {
            let after = self.sealer.anew(organization, id.uuid(), &before)?;
            store::seal_key(tx, organization, id, &before, &after).await
        };
        self.sealer.reseal(db, store::keys_to_seal, replace).await
    }
}

fn seal(
    providers: &Providers,
    organization: OrganizationId,
    id: ProviderId,
    key: &SecretString,
) -> Result<Vec<u8>> {
    providers.sealer.seal(organization, id.uuid(), key.expose_secret().as_bytes())
}

/// A new provider, checked.
#[derive(Debug)]
pub struct NewProvider {
    name: String,
    kind: Kind,
    base_url: Url,
    model: Option<String>,
    key: Option<SecretString>,
}

impl NewProvider {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field; `UNSAFE_URL`.
    pub fn parse(
        providers: &Providers,
        kind: Kind,
        given: &str,
        base_url: Option<Url>,
        model: Option<&str>,
        secret: Option<&str>,
    ) -> Result<Self> {
        let base_url = match base_url {
            Some(url) => url,
            None => Url::parse(match kind {
                Kind::OpenAi => "https://api.openai.com",
                Kind::Anthropic => "https://api.anthropic.com",
                Kind::ElevenLabs => "https://api.elevenlabs.io",
                Kind::Replicate => "https://api.replicate.com",
            })
            .map_err(Error::internal)?,
        };
        providers.address(&base_url)?;
        Ok(Self {
            name: name(given, kind)?,
            kind,
            base_url,
            model: model.map(|model| input::line("model", model, MODEL)).transpose()?,
            key: secret.map(key).transpose()?,
        })
    }
}

/// What the audit log keeps of a provider.
pub fn logged(provider: &Provider) -> Value {
    json!({
        "name": provider.name, "kind": provider.kind.as_str(), "baseUrl": provider.base_url.as_str(),
        "model": provider.model, "key": provider.has_key.then_some(Redacted),
    })
}

/// Sets a provider up. Gives it, and whether it is a new one.
///
/// # Errors
/// `ALREADY_EXISTS` for a name that another one has; `CONFLICT` when there are too many; `IDEMPOTENCY_KEY_REUSED`.
pub async fn create(
    tx: &mut WriteTx<'_>,
    providers: &Providers,
    new: &NewProvider,
    repeated: Option<&idempotency::Key>,
) -> Result<(Provider, bool)> {
    let id = ProviderId::generate();
    if let Some(earlier) = idempotency::claim(tx, repeated, id.uuid()).await? {
        return Ok((find(tx, earlier.into()).await?.ok_or(Error::NotFound)?, false));
    }
    tx.take_turn("providers").await?;
    if store::count(tx).await? >= MOST {
        let message = format!("An organization has at most {MOST} providers. Delete one that is not used.");
        return Err(Error::fault(Fault::new(FaultCode::Conflict, message)));
    }
    let organization = tx.organization();
    let sealed = new.key.as_ref().map(|key| seal(providers, organization, id, key)).transpose()?;
    store::insert(tx, id, new, sealed.as_deref(), new.key.as_ref().and_then(hint).as_deref()).await?;
    Ok((find(tx, id).await?.ok_or(Error::NotFound)?, true))
}

/// A change of a provider: absent leaves unchanged, null clears.
#[derive(Debug, Default)]
pub struct ProviderUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another address; it needs the key anew.
    pub base_url: Option<Url>,
    /// Another model for calls that name none.
    pub model: Option<Option<String>>,
    /// Another key.
    pub key: Option<Option<SecretString>>,
}

/// Changes a provider. Gives it as it was and as it is.
///
/// # Errors
/// A fault at the field; `UNSAFE_URL`; `ALREADY_EXISTS` for a name that another one has; `NOT_FOUND`.
pub async fn update(
    tx: &mut WriteTx<'_>,
    providers: &Providers,
    id: ProviderId,
    change: ProviderUpdate,
) -> Result<(Provider, Provider)> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    let mut after = before.clone();
    if let Some(text) = change.name {
        after.name = name(&text, before.kind)?;
    }
    if let Some(url) = change.base_url {
        providers.address(&url)?;
        if url != before.base_url && before.has_key && change.key.is_none() {
            let message = "A new address needs its key again, because a stored one is sent nowhere else. Give `key`, or null for a server that needs none.";
            return Err(Error::fault(Fault::at(FaultCode::Required, "key", message)));
        }
        after.base_url = url;
    }
    if let Some(model) = change.model {
        after.model = model.map(|model| input::line("model", &model, MODEL)).transpose()?;
    }
    if let Some(given) = change.key {
        let given = given.map(|given| key(given.expose_secret())).transpose()?;
        let sealed = given.as_ref().map(|key| seal(providers, before.organization, id, key)).transpose()?;
        store::set_key(tx, id, sealed.as_deref(), given.as_ref().and_then(hint).as_deref()).await?;
    }
    store::update(tx, &after).await?;
    Ok((before, find(tx, id).await?.ok_or(Error::NotFound)?))
}

/// Deletes a provider, with its key. Gives it as it was. Jobs that were given it fail, and calls that a route sends to it
/// are refused.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, id: ProviderId) -> Result<Provider> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    store::delete(tx, id).await?;
    Ok(before)
}

/// Notes that a provider was tested. Gives it.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn tested(tx: &mut WriteTx<'_>, id: ProviderId) -> Result<Provider> {
    store::tested(tx, id).await?;
    find(tx, id).await?.ok_or(Error::NotFound)
}

/// The organization's providers by name.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Provider>> {
    store::list(tx).await
}

/// One provider.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: ProviderId) -> Result<Option<Provider>> {
    Ok(store::list(tx).await?.into_iter().find(|provider| provider.id == id))
}

/// The organization's own provider of a name.
///
/// # Errors
/// What the database says.
pub async fn named(tx: &mut ReadTx<'_>, name: &str) -> Result<Option<Provider>> {
    Ok(store::list(tx).await?.into_iter().find(|provider| provider.name == name))
}

/// The routes of one project, or those of the organization.
///
/// # Errors
/// What the database says.
pub async fn routes(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<Vec<Route>> {
    let routes = store::routes(tx, project).await?;
    Ok(routes.into_iter().filter(|route| route.project == project).collect())
}

/// The route of an agent: the project's, else the organization's.
///
/// # Errors
/// What the database says.
pub async fn route(
    tx: &mut ReadTx<'_>,
    project: Option<ProjectId>,
    agent: AgentKind,
) -> Result<Option<Route>> {
    let routes = store::routes(tx, project).await?;
    let of = |project| routes.iter().find(|route| route.agent == agent && route.project == project);
    Ok(of(project).or_else(|| of(None)).cloned())
}

/// Sets the route of an agent in one place, or takes it away. Gives the one before.
///
/// # Errors
/// What the database says.
pub async fn set_route(
    tx: &mut WriteTx<'_>,
    project: Option<ProjectId>,
    agent: AgentKind,
    route: Option<&Route>,
) -> Result<Option<Route>> {
    let before = routes(tx, project).await?.into_iter().find(|before| before.agent == agent);
    match route {
        Some(route) => store::put_route(tx, route).await?,
        None => store::delete_route(tx, project, agent).await?,
    }
    Ok(before)
}

/// What the audit log keeps of a route.
pub fn routed(route: Option<&Route>) -> Value {
    route.map_or_else(
        || json!({}),
        |route| json!({"provider": route.provider, "model": route.model, "fallback": route.fallback}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_calls_can_say_and_says_no_other_kind() {
        for (text, kind) in [
            ("gateway", Kind::OpenAi),
            ("openai", Kind::OpenAi),
            ("anthropic", Kind::Anthropic),
            ("elevenlabs", Kind::ElevenLabs),
            ("replicate", Kind::Replicate),
        ] {
            assert_eq!(name(text, kind).unwrap(), text);
        }
        for (text, kind) in [
            ("builtin", Kind::OpenAi),
            ("openai", Kind::Anthropic),
            ("anthropic", Kind::OpenAi),
            ("Our Gateway", Kind::OpenAi),
            ("", Kind::OpenAi),
            (&"x".repeat(41), Kind::OpenAi),
        ] {
            assert!(name(text, kind).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_what_a_header_carries_and_shows_little_of_itself() {
        let hinted = |text: &str| hint(&key(text).unwrap());
        assert_eq!(hinted(" sk-0123456789abcdef "), Some("cdef".to_owned()));
        assert_eq!(hinted("short-key"), None);
        for bad in ["", "  ", "two words", "line\nbreak", "schlüssel", &"k".repeat(501)] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
