//! Where an organization has news sent to, by [Standard Webhooks](https://www.standardwebhooks.com).
//!
//! An endpoint is the organization's and not a workflow's: what leaves the house, and to whom, is decided by those who manage
//! webhooks; whoever designs workflows names an endpoint and neither sees nor needs its secret. The secret is sealed with the
//! master key for its own row, shown once, and opened only to sign.

pub mod graphql;
mod store;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::db::{AnonymousTx, Db, ReadTx, Redacted, WriteTx};
use crate::engine::Reach;
use crate::engine::webhook::{Sender, Undelivered};
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::id::{OrganizationId, WebhookEndpointId};
use crate::identity::credentials;
use crate::identity::master::{MasterKeys, Purpose};
use crate::identity::sealer::Sealer;
use crate::jobs::Failure;
use crate::{idempotency, input};

/// Endpoints of an organization at the most.
pub const MOST: i64 = 20;
/// Characters of an endpoint's name.
const NAME: usize = 100;
/// Bytes of a secret.
const SECRET: usize = 32;
/// How long the secret before signs as well.
const OVERLAP: TimeDelta = TimeDelta::hours(24);

/// An endpoint, without its secret, which nobody can read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: WebhookEndpointId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// Until when the secret before signs as well.
    pub previous_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What the audit log keeps of an endpoint.
pub fn logged(endpoint: &Endpoint) -> Value {
    json!({"name": endpoint.name, "url": endpoint.url.as_str(), "secret": Redacted})
}

/// What sends to the organizations' endpoints.
#[derive(Debug)]
pub struct Webhooks {
    sealer: Sealer,
    sender: Sender,
}

/// An endpoint that can be sent to: its address, and the secrets that sign.
#[derive(Debug)]
pub struct Opened {
    url: Url,
    secrets: Vec<SecretSlice<u8>>,
}

/// One thing to be told.
#[derive(Debug)]
pub struct Message {
    /// The same for the same thing, however often it is sent: by it a receiver drops what it has already.
    pub id: String,
    /// What is said, the same each time.
    pub body: Bytes,
}

/// The signatures of what is sent at a time, one for each secret.
fn sign(secrets: &[SecretSlice<u8>], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let sign = |secret: &SecretSlice<u8>| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret());
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// What went wrong, as a step's failure.
fn failed(why: Undelivered) -> Failure {
    let fault = |message: String, status: Option<u16>| {
        let detail = Detail::Provider {
            provider: "webhook".to_owned(),
            provider_code: status.map(|status| status.to_string()),
            retryable: why.is_retryable(),
        };
        Fault::new(FaultCode::ProviderFailed, message).with(detail)
    };
    match why {
        Undelivered::Refused(why) => Failure::fail(Fault::new(FaultCode::UnsafeUrl, why.to_string())),
        Undelivered::Unreachable => {
            let message = "The webhook's receiver cannot be reached, or did not answer in time.";
            Failure::retry(fault(message.to_owned(), None), None)
        }
        Undelivered::Answered(status @ 300..400, _) => {
            let message = format!(
                "The webhook's receiver answered with a redirect ({status}), which is not followed. Give the endpoint the address that it leads to."
            );
            Failure::fail(fault(message, Some(status)))
        }
        Undelivered::Answered(status, asked) => {
            let fault =
                fault(format!("The webhook's receiver answered with the status {status}."), Some(status));
            if why.is_retryable() { Failure::retry(fault, asked) } else { Failure::fail(fault) }
        }
    }
}

impl Webhooks {
    /// With the master keys that secrets are sealed with.
    pub const fn new(master: MasterKeys, reach: Reach) -> Self {
        Self { sealer: Sealer::new(master, Purpose::WebhookSecrets), sender: Sender::new(reach) }
    }

    fn address(&self, url: &Url) -> Result<()> {
        input::url("url", url)?;
        self.sender
            .reach()
            .check(url)
            .map_err(|refused| Error::fault(Fault::at(FaultCode::UnsafeUrl, "url", refused.to_string())))
    }

    /// A new secret: sealed, and as it is shown once.
    fn secret(&self, organization: OrganizationId, id: WebhookEndpointId) -> Result<(Vec<u8>, SecretString)> {
        let secret = credentials::random::<SECRET>()?;
        let shown = format!("whsec_{}", STANDARD.encode(secret));
        Ok((self.sealer.seal(organization, id.uuid(), &secret)?, shown.into()))
    }

    /// An endpoint with its secrets opened; none when it is not there.
    ///
    /// # Errors
    /// What the database says; a fault of ours when a secret cannot be opened.
    pub async fn opened(&self, tx: &mut ReadTx<'_>, id: WebhookEndpointId) -> Result<Option<Opened>> {
        let Some((endpoint, sealed, previous)) = store::sealed(tx, id).await? else { return Ok(None) };
        let previous = previous.filter(|_| endpoint.previous_until.is_some_and(|until| until > Utc::now()));
        let sealed = std::iter::once(sealed).chain(previous);
        let open = |sealed: Vec<u8>| self.sealer.open(endpoint.organization, id.uuid(), &sealed);
        let secrets = sealed.map(open).collect::<Result<_>>()?;
        Ok(Some(Opened { url: endpoint.url, secrets }))
    }

    /// Sends something, once.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn send(&self, to: &Opened, message: &Message) -> Result<(), Failure> {
        let timestamp = Utc::now().timestamp();
        let headers = [
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", sign(&to.secrets, &message.id, timestamp, &message.body)),
        ];
        self.sender.post(&to.url, &headers, message.body.clone()).await.map_err(failed)
    }

    /// Seals every secret anew that is not sealed under the current master key (`aicos keys rotate`). Gives how many.
    ///
    /// # Errors
    /// When the database does not answer, or a secret cannot be opened with any master key.
    pub async fn reseal(&self, db: &Db) -> Result<usize> {
        let replace = async |tx: &mut AnonymousTx<'_>, sealed: store::Sealed| {
            let (organization, id, before, previous) = sealed;
            let anew = |sealed: &[u8]| self.sealer.anew(organization, id.uuid(), sealed);
            let (after, previous) = (anew(&before)?, previous.as_deref().map(anew).transpose()?);
            store::seal_secret(tx, (organization, id), &before, &after, previous.as_deref()).await
        };
        self.sealer.reseal(db, store::secrets_to_seal, replace).await
    }
}

/// A new endpoint, checked.
#[derive(Debug)]
pub struct NewEndpoint {
    name: String,
    url: Url,
}

impl NewEndpoint {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(webhooks: &Webhooks, name: &str, url: Url) -> Result<Self> {
        webhooks.address(&url)?;
        Ok(Self { name: input::line("name", name, NAME)?, url })
    }
}

/// Makes an endpoint. Gives it with its secret, which nobody is told again; none for a call that is repeated.
///
/// # Errors
/// `CONFLICT` when there are too many; `IDEMPOTENCY_KEY_REUSED`.
pub async fn create(
    tx: &mut WriteTx<'_>,
    webhooks: &Webhooks,
    new: &NewEndpoint,
    repeated: Option<&idempotency::Key>,
) -> Result<(Endpoint, Option<SecretString>)> {
    let id = WebhookEndpointId::generate();
    if let Some(earlier) = idempotency::claim(tx, repeated, id.uuid()).await? {
        return Ok((find(tx, earlier.into()).await?.ok_or(Error::NotFound)?, None));
    }
    tx.take_turn("webhook endpoints").await?;
    if store::count(tx).await? >= MOST {
        let message =
            format!("An organization has at most {MOST} webhook endpoints. Delete one that is not used.");
        return Err(Error::fault(Fault::new(FaultCode::Conflict, message)));
    }
    let (sealed, shown) = webhooks.secret(tx.organization(), id)?;
    store::insert(tx, id, new, &sealed).await?;
    Ok((find(tx, id).await?.ok_or(Error::NotFound)?, Some(shown)))
}

/// A change of an endpoint: absent leaves unchanged.
#[derive(Debug, Default)]
pub struct EndpointUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another address.
    pub url: Option<Url>,
    /// Whether it gets another secret; the one before signs as well for a while.
    pub rotate: bool,
}

/// Changes an endpoint. Gives it as it was and as it is, and its secret when that is new.
///
/// # Errors
/// A fault at the field; `NOT_FOUND`.
pub async fn update(
    tx: &mut WriteTx<'_>,
    webhooks: &Webhooks,
    id: WebhookEndpointId,
    change: EndpointUpdate,
) -> Result<(Endpoint, Endpoint, Option<SecretString>)> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    let mut after = before.clone();
    if let Some(name) = change.name {
        after.name = input::line("name", &name, NAME)?;
    }
    if let Some(url) = change.url {
        webhooks.address(&url)?;
        after.url = url;
    }
    store::update(tx, &after).await?;
    let mut shown = None;
    if change.rotate {
        let (sealed, secret) = webhooks.secret(before.organization, id)?;
        store::rotate(tx, id, &sealed, Utc::now() + OVERLAP).await?;
        shown = Some(secret);
    }
    Ok((before, find(tx, id).await?.ok_or(Error::NotFound)?, shown))
}

/// Deletes an endpoint with its secret. Gives it as it was. Steps that send there fail.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, id: WebhookEndpointId) -> Result<Endpoint> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    store::delete(tx, id).await?;
    Ok(before)
}

/// One endpoint.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: WebhookEndpointId) -> Result<Option<Endpoint>> {
    Ok(store::list(tx).await?.into_iter().find(|endpoint| endpoint.id == id))
}

/// All endpoints, by name.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>) -> Result<Vec<Endpoint>> {
    store::list(tx).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, and the same with the secret before it.
    #[test]
    fn what_is_sent_is_signed_as_the_specification_says() {
        let secret = |text: &str| SecretSlice::from(STANDARD.decode(text).unwrap());
        let (first, second) = (secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), secret("AAAA"));
        let body = br#"{"test": 2432232314}"#;
        let signature = sign(&[first], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = sign(
            &[secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), second],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            body,
        );
        assert!(both.starts_with(&format!("{signature} v1,")) && both.len() > signature.len() + 10);
    }

    #[test]
    fn a_secret_is_shown_as_it_signs() {
        let webhooks = Webhooks::new(MasterKeys::generate().unwrap(), Reach::Public);
        let (organization, id) = (OrganizationId::generate(), WebhookEndpointId::generate());
        let (sealed, shown) = webhooks.secret(organization, id).unwrap();
        let opened = webhooks.sealer.open(organization, id.uuid(), &sealed).unwrap();
        assert_eq!(shown.expose_secret(), format!("whsec_{}", STANDARD.encode(opened.expose_secret())));
    }

    #[test]
    fn what_may_arrive_later_is_sent_again() {
        for (status, retried) in [
            (301, false),
            (400, false),
            (404, false),
            (410, false),
            (408, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let failure = failed(Undelivered::Answered(status, None));
            assert_eq!(matches!(failure, Failure::Retry(..)), retried, "{status}");
        }
        assert!(matches!(failed(Undelivered::Unreachable), Failure::Retry(..)));
    }
}
