//! Access tokens, which are signed, and refresh tokens, which are derived.
//!
//! An access token is a JWT that this server made for itself, so nothing about it is negotiable: one algorithm, one
//! issuer, one audience, three known header fields, one spelling. Whatever deviates is refused before the signature is
//! even looked at; the signature is then checked by the `jsonwebtoken` crate with everything pinned.
//!
//! A refresh token names a session and a generation and proves with a MAC that this server derived it. Nothing of it
//! is stored, so nothing can be stolen from the database, and deriving it again gives the same text.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::master::{MasterKeys, Purpose};
use crate::error::{Error, Refusal, Result};
use crate::id::{self, OrganizationId, SessionId, UserId};

// ---------------------------------------------------------------------------------------------- access tokens

/// Longer texts are not looked at.
const MAX_TOKEN_BYTES: usize = 4096;
/// Longer key ids are not looked at.
const MAX_KID_BYTES: usize = 64;
/// How far the clock of the replica that signed may be ahead of ours.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(5);
/// The `typ` that we set (RFC 9068).
const TYP: &str = "at+jwt";
/// How many verified tokens are remembered.
const REMEMBERED: u64 = 10_000;
/// How many signing keys may be alive at once.
const MAX_SIGNING_KEYS: usize = 8;
/// Fewest bytes of a shared secret.
const MIN_SECRET_BYTES: usize = 32;
/// Fewest different bytes of a shared secret.
const MIN_SECRET_VARIETY: usize = 8;

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Who: `sub`.
    pub user: UserId,
    /// On which signed-in device: `sid`.
    pub session: SessionId,
    /// In which organization by default: `org`.
    pub organization: Option<OrganizationId>,
    /// Since when: `iat`, in whole seconds.
    pub issued_at: DateTime<Utc>,
    /// Until when, exclusively: `exp`, in whole seconds.
    pub expires_at: DateTime<Utc>,
    /// Which token: `jti`.
    pub id: Uuid,
}

impl Claims {
    /// The claims of a token that begins now.
    pub fn new(
        user: UserId,
        session: SessionId,
        organization: Option<OrganizationId>,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Self {
        let whole = |time: DateTime<Utc>| DateTime::from_timestamp(time.timestamp(), 0).unwrap_or(time);
        let (issued_at, expires_at) = (whole(now), whole(now + lifetime));
        Self { user, session, organization, issued_at, expires_at, id: Uuid::now_v7() }
    }
}

/// The claims in their wire form.
#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org: Option<OrganizationId>,
    iat: u64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    jti: String,
}

/// The only header fields that exist. `crit`, `jwk`, `jku`, `x5u`, `b64` and the rest are refused by not being here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
}

/// Why a keyring cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The shared secret is short or monotonous.
    #[error(
        "JWT_SECRET_KEY needs at least {MIN_SECRET_BYTES} random bytes; make one with `openssl rand -base64 48`"
    )]
    WeakSecret,
    /// No key, too many, or one twice.
    #[error("between 1 and {MAX_SIGNING_KEYS} different signing keys are needed")]
    Count,
}

struct Key {
    /// None for the shared secret: a hash of it would only help to guess it.
    kid: Option<String>,
    verifying: DecodingKey,
    public: Option<[u8; 32]>,
}

/// What is remembered of a token that was accepted.
#[derive(Clone, Copy)]
struct Accepted {
    claims: Claims,
    not_before: DateTime<Utc>,
}

impl Accepted {
    fn at(&self, now: DateTime<Utc>) -> Result<Claims, Refusal> {
        if now < self.not_before {
            return Err(Refusal::NotAccepted);
        }
        if now >= self.claims.expires_at {
            return Err(Refusal::Expired);
        }
        Ok(self.claims)
    }
}

/// The keys that sign and verify access tokens: one shared secret, or Ed25519 keys of which the first signs.
///
/// A keyring never changes. When keys are rotated a new one takes its place, and with the old one goes its memory of
/// verified tokens, so that a token of a removed key is refused at once.
pub struct Keyring {
    algorithm: Algorithm,
    issuer: String,
    audience: String,
    signing: EncodingKey,
    keys: Vec<Key>,
    validation: Validation,
    verified: Cache<[u8; 32], Accepted>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<_> = self.keys.iter().map(|key| key.kid.as_deref().unwrap_or("secret")).collect();
        f.debug_struct("Keyring")
            .field("algorithm", &self.algorithm)
            .field("keys", &kids)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Signs and verifies with HS256 and one shared secret.
    pub fn from_secret(secret: &SecretString, issuer: &str, audience: &str) -> Result<Self, KeyringError> {
        let bytes = secret.expose_secret().as_bytes();
        let variety = bytes.iter().collect::<std::collections::HashSet<_>>().len();
        if bytes.len() < MIN_SECRET_BYTES || variety < MIN_SECRET_VARIETY {
            return Err(KeyringError::WeakSecret);
        }
        let key = Key { kid: None, verifying: DecodingKey::from_secret(bytes), public: None };
        Ok(Self::with(Algorithm::HS256, EncodingKey::from_secret(bytes), vec![key], issuer, audience))
    }

    /// Signs with the first of these Ed25519 keys and verifies with all of them.
    pub fn from_keys(keys: &[SigningKey], issuer: &str, audience: &str) -> Result<Self, KeyringError> {
        let distinct = keys.iter().map(|key| &key.kid).collect::<std::collections::HashSet<_>>().len();
        let first = keys.first().ok_or(KeyringError::Count)?;
        if distinct != keys.len() || keys.len() > MAX_SIGNING_KEYS {
            return Err(KeyringError::Count);
        }
        let signing = EncodingKey::from_ed_der(first.private.expose_secret());
        let keys = keys
            .iter()
            .map(|key| Key {
                kid: Some(key.kid.clone()),
                verifying: DecodingKey::from_ed_der(&key.public),
                public: Some(key.public),
            })
            .collect();
        Ok(Self::with(Algorithm::EdDSA, signing, keys, issuer, audience))
    }

    fn with(
        algorithm: Algorithm,
        signing: EncodingKey,
        keys: Vec<Key>,
        issuer: &str,
        audience: &str,
    ) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        // The library reads the system clock; here time is an argument.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            algorithm,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            signing,
            keys,
            validation,
            verified: Cache::new(REMEMBERED),
        }
    }

    /// Signs an access token.
    pub fn sign(&self, claims: &Claims) -> Result<SecretString> {
        let seconds = |time: DateTime<Utc>| u64::try_from(time.timestamp()).map_err(Error::internal);
        let payload = Payload {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: claims.user,
            sid: claims.session,
            org: claims.organization,
            iat: seconds(claims.issued_at)?,
            exp: seconds(claims.expires_at)?,
            nbf: None,
            jti: id::encode(claims.id),
        };
        let mut header = Header::new(self.algorithm);
        header.typ = Some(TYP.to_owned());
        header.kid = self.keys.first().and_then(|key| key.kid.clone());
        jsonwebtoken::encode(&header, &payload, &self.signing)
            .map(SecretString::from)
            .map_err(Error::internal)
    }

    /// Reads an access token: [`Refusal::Expired`] only when it is genuine and nothing but its time has passed.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::NotAccepted);
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(accepted) = self.verified.get(&digest) {
            return accepted.at(now);
        }
        let accepted = self.check(token).ok_or(Refusal::NotAccepted)?;
        let claims = accepted.at(now)?;
        self.verified.insert(digest, accepted);
        Ok(claims)
    }

    /// Everything about a token that does not depend on the time.
    fn check(&self, token: &str) -> Option<Accepted> {
        let mut parts = token.split('.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let head: Head = serde_json::from_slice(&object(header)?).ok()?;
        // Only its form: the library decodes it again.
        object(payload)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let (name, signature_bytes) = match self.algorithm {
            Algorithm::HS256 => ("HS256", 32),
            _ => ("EdDSA", 64),
        };
        if head.alg != name || signature.len() != signature_bytes {
            return None;
        }
        if !matches!(head.typ.as_deref(), None | Some("JWT" | TYP)) {
            return None;
        }
        let key = self.find(head.kid.as_deref())?;
        let payload = jsonwebtoken::decode::<Payload>(token, &key.verifying, &self.validation).ok()?.claims;
        if payload.iss != self.issuer || payload.aud != self.audience {
            return None;
        }
        let claims = Claims {
            user: payload.sub,
            session: payload.sid,
            organization: payload.org,
            issued_at: time(payload.iat)?,
            expires_at: time(payload.exp)?,
            id: id::decode(&payload.jti)?,
        };
        if claims.expires_at <= claims.issued_at {
            return None;
        }
        let begins = claims.issued_at - CLOCK_SKEW;
        let not_before = payload.nbf.map_or(Some(begins), |nbf| time(nbf).map(|nbf| nbf.max(begins)))?;
        Some(Accepted { claims, not_before })
    }

    /// The key that a header names. It is compared with those in memory; nothing is ever opened or fetched for it.
    fn find(&self, kid: Option<&str>) -> Option<&Key> {
        if kid.is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return None;
        }
        self.keys.iter().find(|key| key.kid.as_deref() == kid)
    }

    /// The public keys as a JWK set; empty for a shared secret.
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self
            .keys
            .iter()
            .filter_map(|key| {
                let x = URL_SAFE_NO_PAD.encode(key.public?);
                Some(json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": x}))
            })
            .collect();
        json!({ "keys": keys })
    }
}

/// Decodes a part that must be canonical unpadded base64url of a JSON object.
///
/// The first byte matters: where an object is expected, serde would also take an array.
fn object(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| bytes.first() == Some(&b'{'))
}

/// A time in seconds up to the end of the year 9999.
fn time(seconds: u64) -> Option<DateTime<Utc>> {
    const LAST: i64 = 253_402_300_799;
    let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds <= LAST)?;
    DateTime::from_timestamp(seconds, 0)
}

/// An Ed25519 key that signs access tokens.
///
/// Its id is derived from the public half (the thumbprint of RFC 7638), so another deployment's key cannot have it.
#[derive(Debug, Clone)]
pub struct SigningKey {
    kid: String,
    public: [u8; 32],
    /// PKCS #8.
    private: SecretSlice<u8>,
}

impl SigningKey {
    /// Makes one.
    pub fn generate() -> Result<Self> {
        let document =
            Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8()).map_err(Error::internal)?;
        Self::from_pkcs8(SecretSlice::from(document.as_ref().to_vec()))
    }

    fn from_pkcs8(private: SecretSlice<u8>) -> Result<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(private.expose_secret())
            .map_err(|_| Error::internal(anyhow::anyhow!("a stored signing key is not an Ed25519 key")))?;
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        let x = URL_SAFE_NO_PAD.encode(public);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()));
        Ok(Self { kid, public, private })
    }

    /// The key's id, as it stands in tokens and in the JWK set.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The private half, encrypted for the database.
    pub fn seal(&self, keys: &MasterKeys) -> Result<Vec<u8>> {
        keys.seal(Purpose::SigningKeys, self.private.expose_secret(), self.kid.as_bytes())
    }

    /// The key of this id, from what [`SigningKey::seal`] made.
    pub fn open(keys: &MasterKeys, kid: &str, sealed: &[u8]) -> Result<Self> {
        let key = Self::from_pkcs8(keys.open(Purpose::SigningKeys, sealed, kid.as_bytes())?)?;
        if key.kid != kid {
            return Err(Error::internal(anyhow::anyhow!(
                "a stored signing key does not have the id that it is stored under"
            )));
        }
        Ok(key)
    }
}

// ---------------------------------------------------------------------------------------------- refresh tokens

const REFRESH_PREFIX: &str = "aicosr_";
const REFRESH_DOMAIN: &[u8] = b"aicos refresh v1";
const REFRESH_FACTS: usize = 16 + 16 + 4;
/// The facts and 32 bytes of MAC in unpadded base64.
const REFRESH_BODY: usize = ((REFRESH_FACTS + 32) * 8).div_ceil(6);

/// What a genuine refresh token says; whether it is still good is for [`Family::rotate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshClaims {
    /// The signed-in device.
    pub session: SessionId,
    /// The person.
    pub user: UserId,
    /// How many times the session had been refreshed when the token was derived.
    pub generation: u32,
}

impl RefreshClaims {
    fn bytes(&self) -> [u8; REFRESH_FACTS] {
        let mut bytes = [0; REFRESH_FACTS];
        bytes[..16].copy_from_slice(self.session.uuid().as_bytes());
        bytes[16..32].copy_from_slice(self.user.uuid().as_bytes());
        bytes[32..].copy_from_slice(&self.generation.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (user, rest) = rest.split_first_chunk::<16>()?;
        let generation = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        let [session, user] = [session, user].map(|bytes| Uuid::from_bytes(*bytes));
        Some(Self { session: session.into(), user: user.into(), generation })
    }
}

/// Derives refresh tokens with the first master key and recognises those of every living one.
pub struct RefreshKeys {
    keys: Vec<hmac::Key>,
}

impl fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshKeys").field("count", &self.keys.len()).finish_non_exhaustive()
    }
}

impl RefreshKeys {
    /// The keys for refresh tokens.
    pub fn new(master: &MasterKeys) -> Self {
        let derived = master.derive(Purpose::RefreshTokens);
        Self { keys: derived.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key[..])).collect() }
    }

    /// Derives the token of a generation; the same facts give the same text as long as the current key stays.
    pub fn issue(&self, session: SessionId, user: UserId, generation: u32) -> SecretString {
        let facts = RefreshClaims { session, user, generation }.bytes();
        let mut bytes = Zeroizing::new(facts.to_vec());
        if let Some(key) = self.keys.first() {
            bytes.extend_from_slice(&Self::mac(key, &facts)[..]);
        }
        SecretString::from(format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes[..])))
    }

    /// Reads a token that this server derived; anything else is nothing.
    pub fn parse(&self, text: &str) -> Option<RefreshClaims> {
        let body = text.strip_prefix(REFRESH_PREFIX).filter(|body| body.len() == REFRESH_BODY)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).ok()?);
        let (facts, presented) = bytes.split_at_checked(REFRESH_FACTS)?;
        let mut genuine = subtle::Choice::from(0);
        for key in &self.keys {
            genuine |= Self::mac(key, facts)[..].ct_eq(presented);
        }
        if !bool::from(genuine) {
            return None;
        }
        RefreshClaims::read(facts)
    }

    fn mac(key: &hmac::Key, facts: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut context = hmac::Context::with_key(key);
        context.update(REFRESH_DOMAIN);
        context.update(facts);
        let mut out = Zeroizing::new([0; 32]);
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

/// How long the parent of the newest refresh token may be shown again, because its answer may have been lost.
pub const GRACE: TimeDelta = TimeDelta::seconds(10);

/// Where a session's chain of refresh tokens stands: what its row in the database says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The newest generation.
    pub generation: u32,
    /// When it became the newest; none before the first refresh.
    pub rotated_at: Option<DateTime<Utc>>,
    /// When the session ends, however often it is refreshed.
    pub expires_at: DateTime<Utc>,
    /// Whether it was ended.
    pub revoked: bool,
}

/// What a presented refresh token leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The newest token: the session moves on to this generation.
    Advance(u32),
    /// Its parent, shown again soon enough: this generation's token is derived once more and nothing changes.
    Same(u32),
    /// A token that was used up before: somebody has a copy, and the whole session ends.
    Reuse,
    /// The session is over, or never was at this generation: nothing happens.
    Refused,
}

impl Family {
    /// Decides about a presented generation.
    ///
    /// The caller holds the session's row locked, so that of many tokens presented at once exactly one advances.
    #[must_use]
    pub fn rotate(&self, presented: u32, now: DateTime<Utc>) -> Rotation {
        if self.revoked || now >= self.expires_at || presented > self.generation {
            return Rotation::Refused;
        }
        if presented == self.generation {
            return presented.checked_add(1).map_or(Rotation::Refused, Rotation::Advance);
        }
        let is_parent = presented.checked_add(1) == Some(self.generation);
        // Clocks of two replicas differ a little in either direction; a larger difference is no grace.
        let in_grace = self.rotated_at.is_some_and(|rotated_at| (now - rotated_at).abs() <= GRACE);
        if is_parent && in_grace { Rotation::Same(self.generation) } else { Rotation::Reuse }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature;
    use serde_json::Value;

    use super::*;
    use crate::id::ApiKeyId;
    use crate::identity::credentials::{ApiKey, SecretKind};

    const SECRET: &str = "9fK2mQ7xW4vT1zR8bN5cJ3hL6pD0sG-y";
    const ISSUER: &str = "https://aicos.example";
    const AUDIENCE: &str = "aicos";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn claims() -> Claims {
        let organization = Some(OrganizationId::generate());
        Claims::new(UserId::generate(), SessionId::generate(), organization, at(0), TimeDelta::minutes(60))
    }

    fn shared() -> Keyring {
        Keyring::from_secret(&SECRET.into(), ISSUER, AUDIENCE).unwrap()
    }

    fn ed(keys: &[SigningKey]) -> Keyring {
        Keyring::from_keys(keys, ISSUER, AUDIENCE).unwrap()
    }

    fn b64(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whoever makes tokens: the server's own key in the hands of a careless issuer, or an attacker's.
    enum Pen<'a> {
        Ed(&'a SigningKey),
        Hs(&'a [u8]),
        Fixed(&'a [u8]),
    }

    impl Pen<'_> {
        fn raw(&self, header: &str, payload: &str) -> String {
            let message = format!("{}.{}", b64(header), b64(payload));
            let signature = match self {
                Self::Ed(key) => {
                    let pair = Ed25519KeyPair::from_pkcs8(key.private.expose_secret()).unwrap();
                    pair.sign(message.as_bytes()).as_ref().to_vec()
                }
                Self::Hs(secret) => {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
                }
                Self::Fixed(bytes) => bytes.to_vec(),
            };
            format!("{message}.{}", b64(signature))
        }

        fn write(&self, header: &Value, payload: &Value) -> String {
            self.raw(&header.to_string(), &payload.to_string())
        }
    }

    fn payload() -> Value {
        let claims = claims();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": claims.user, "sid": claims.session, "org": claims.organization,
            "iat": claims.issued_at.timestamp(), "exp": claims.expires_at.timestamp(), "jti": id::encode(claims.id),
        })
    }

    fn with(mut value: Value, changes: Value) -> Value {
        let Value::Object(changes) = changes else { panic!("changes are an object") };
        value.as_object_mut().unwrap().extend(changes);
        value
    }

    fn without(mut value: Value, name: &str) -> Value {
        value.as_object_mut().unwrap().remove(name);
        value
    }

    /// An Ed25519 keyring with its key, the header that it expects, and a check that a token is refused while the
    /// control beside it is accepted.
    struct Bench {
        key: SigningKey,
        ring: Keyring,
    }

    impl Bench {
        fn new() -> Self {
            let key = SigningKey::generate().unwrap();
            Self { ring: ed(std::slice::from_ref(&key)), key }
        }

        fn header(&self) -> Value {
            json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.key.kid})
        }

        fn genuine(&self, header: &Value, payload: &Value) -> String {
            Pen::Ed(&self.key).write(header, payload)
        }

        #[track_caller]
        fn accepts(&self, token: &str) {
            assert!(self.ring.verify(token, at(1)).is_ok(), "{token}");
        }

        #[track_caller]
        fn refuses(&self, token: &str) {
            self.accepts(&self.genuine(&self.header(), &payload()));
            for now in [at(1), at(1_000_000)] {
                assert_eq!(self.ring.verify(token, now), Err(Refusal::NotAccepted), "{token}");
            }
        }
    }

    #[test]
    fn what_is_signed_is_read_back_with_either_kind_of_key() {
        let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        for ring in [shared(), ed(&keys)] {
            let claims = claims();
            let token = ring.sign(&claims).unwrap();
            assert_eq!(ring.verify(token.expose_secret(), at(0)), Ok(claims));
            assert_eq!(ring.verify(token.expose_secret(), at(3599)), Ok(claims));
            let personal = Claims { organization: None, ..claims };
            let token = ring.sign(&personal).unwrap();
            assert_eq!(ring.verify(token.expose_secret(), at(0)), Ok(personal));
        }
    }

    #[test]
    fn the_header_is_what_others_expect() {
        let bench = Bench::new();
        let token = bench.ring.sign(&claims()).unwrap();
        let header = token.expose_secret().split('.').next().unwrap();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header, bench.header());
    }

    /// Attacks: 58.
    #[test]
    fn no_spelling_of_none_is_an_algorithm() {
        let bench = Bench::new();
        for alg in ["none", "None", "NONE", "nOnE", "", "none ", "null"] {
            let header = with(bench.header(), json!({"alg": alg}));
            let unsigned = Pen::Fixed(b"").write(&header, &payload());
            bench.refuses(&unsigned);
            bench.refuses(unsigned.trim_end_matches('.'));
            bench.refuses(&bench.genuine(&header, &payload()));
            bench.refuses(&bench.genuine(&without(header, "kid"), &payload()));
        }
        bench.refuses(&bench.genuine(&without(bench.header(), "alg"), &payload()));
        bench.refuses(&bench.genuine(&with(bench.header(), json!({"alg": null})), &payload()));
        let unsigned = Pen::Fixed(b"").write(&json!({"alg": "none"}), &payload());
        assert_eq!(shared().verify(&unsigned, at(1)), Err(Refusal::NotAccepted));
    }

    /// Attacks: 59.
    #[test]
    fn a_public_key_is_no_shared_secret() {
        let bench = Bench::new();
        let raw = bench.key.public;
        let der = [&hex("302a300506032b6570032100")[..], &raw].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            base64::engine::general_purpose::STANDARD.encode(&der)
        );
        let jwk = bench.ring.jwks()["keys"][0].to_string();
        let secrets = [raw.to_vec(), der, pem.into_bytes(), b64(raw).into_bytes(), jwk.into_bytes()];
        for secret in &secrets {
            for alg in ["HS256", "EdDSA", "HS384", "HS512"] {
                let header = with(bench.header(), json!({"alg": alg}));
                bench.refuses(&Pen::Hs(secret).write(&header, &payload()));
                bench.refuses(&Pen::Hs(secret).write(&without(header, "kid"), &payload()));
            }
        }
    }

    /// Attacks: 59.
    #[test]
    fn a_shared_secret_ring_takes_no_other_algorithm() {
        let ring = shared();
        let header = json!({"alg": "HS256", "typ": "at+jwt"});
        let pen = Pen::Hs(SECRET.as_bytes());
        assert!(ring.verify(&pen.write(&header, &payload()), at(1)).is_ok());
        let key = SigningKey::generate().unwrap();
        for refused in [
            Pen::Ed(&key).write(&json!({"alg": "EdDSA", "kid": key.kid}), &payload()),
            Pen::Ed(&key).write(&json!({"alg": "EdDSA"}), &payload()),
            pen.write(&json!({"alg": "HS384"}), &payload()),
            pen.write(&json!({"alg": "hs256"}), &payload()),
            pen.write(&json!({"alg": "HS256", "kid": "any"}), &payload()),
        ] {
            assert_eq!(ring.verify(&refused, at(1)), Err(Refusal::NotAccepted), "{refused}");
        }
    }

    /// Attacks: 60.
    #[test]
    fn weak_secrets_are_neither_taken_nor_guessed() {
        for weak in ["", "secret", "changeme", &SECRET[..31], &"a".repeat(64), &"0123456".repeat(9)] {
            let made = Keyring::from_secret(&weak.into(), ISSUER, AUDIENCE);
            assert_eq!(made.err(), Some(KeyringError::WeakSecret), "{weak}");
        }
        let ring = shared();
        let header = json!({"alg": "HS256", "typ": "at+jwt"});
        for guess in ["", "secret", "password", "jwt", "key", "changeme", "aicos", "your-256-bit-secret", "0"]
        {
            let token = Pen::Hs(guess.as_bytes()).write(&header, &payload());
            assert_eq!(ring.verify(&token, at(1)), Err(Refusal::NotAccepted), "{guess}");
        }
        assert!(ring.verify(&Pen::Hs(SECRET.as_bytes()).write(&header, &payload()), at(1)).is_ok());
    }

    /// Attacks: 61.
    #[test]
    fn every_flipped_bit_is_noticed() {
        for ring in [shared(), Bench::new().ring] {
            let token = ring.sign(&claims()).unwrap().expose_secret().to_owned();
            let parts: Vec<Vec<u8>> =
                token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
            for part in 0..3 {
                for bit in 0..parts[part].len() * 8 {
                    let mut changed = parts.clone();
                    changed[part][bit / 8] ^= 1 << (bit % 8);
                    let changed: Vec<String> = changed.iter().map(b64).collect();
                    let verified = ring.verify(&changed.join("."), at(1));
                    assert_eq!(verified, Err(Refusal::NotAccepted), "part {part}, bit {bit}");
                }
            }
            assert!(ring.verify(&token, at(1)).is_ok());
        }
    }

    /// Attacks: 61, 66.
    #[test]
    fn a_token_has_one_spelling() {
        let bench = Bench::new();
        let token = bench.genuine(&bench.header(), &payload());
        let parts: Vec<&str> = token.split('.').collect();
        let (last, rest) = parts[2].split_at(85);
        // 64 bytes leave two bits over in the last character; only zeros are canonical.
        assert_eq!(last.len(), 85);
        let loose = match rest {
            "A" => "B",
            "Q" => "R",
            "g" => "h",
            _ => "x",
        };
        for changed in [
            format!("{token}="),
            format!("{token}=="),
            format!("{token}."),
            format!(".{token}"),
            format!("{token} "),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{token}\0"),
            format!("Bearer {token}"),
            format!("{token}A"),
            token[..token.len() - 1].to_owned(),
            format!("{}.{}.{last}{loose}", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}..{}", parts[0], parts[2]),
            format!(".{}.{}", parts[1], parts[2]),
            format!("{token}.{}", parts[2]),
            format!("{token}.{}.{}", parts[1], parts[2]),
            token.replace('.', ".."),
            "..".to_owned(),
            String::new(),
        ] {
            bench.refuses(&changed);
        }
    }

    /// Attacks: 62.
    #[test]
    fn changed_claims_do_not_fit_the_old_signature() {
        let bench = Bench::new();
        let original = payload();
        let token = bench.genuine(&bench.header(), &original);
        let signature = token.rsplit('.').next().unwrap();
        for change in [
            json!({"sub": UserId::generate()}),
            json!({"sid": SessionId::generate()}),
            json!({"org": OrganizationId::generate()}),
            json!({"exp": 1_999_999_999}),
            json!({"role": "OWNER"}),
        ] {
            let changed = with(original.clone(), change);
            bench.refuses(&format!(
                "{}.{}.{signature}",
                b64(bench.header().to_string()),
                b64(changed.to_string())
            ));
        }
        bench.accepts(&token);
    }

    /// Attacks: 63, 65.
    #[test]
    fn header_fields_that_lead_elsewhere_are_refused_even_when_signed() {
        let bench = Bench::new();
        let attacker = SigningKey::generate().unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(attacker.public)});
        for extra in [
            json!({"jwk": jwk}),
            json!({"jwk": jwk, "kid": attacker.kid}),
            json!({"jku": "http://127.0.0.1:1/jwks.json"}),
            json!({"x5u": "http://127.0.0.1:1/cert.pem"}),
            json!({"x5c": ["MIIB"]}),
            json!({"x5t": "AA"}),
            json!({"crit": []}),
            json!({"crit": ["exp"]}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"b64": false}),
            json!({"b64": true}),
            json!({"zip": "DEF"}),
            json!({"enc": "A256GCM"}),
            json!({"cty": "JWT"}),
            json!({"anything": 1}),
        ] {
            let header = with(bench.header(), extra);
            bench.refuses(&bench.genuine(&header, &payload()));
            bench.refuses(&Pen::Ed(&attacker).write(&header, &payload()));
        }
    }

    /// Attacks: 69.
    #[test]
    fn the_type_is_an_access_token() {
        let bench = Bench::new();
        for good in [json!("at+jwt"), json!("JWT"), Value::Null] {
            bench.accepts(&bench.genuine(&with(bench.header(), json!({"typ": good})), &payload()));
        }
        bench.accepts(&bench.genuine(&without(bench.header(), "typ"), &payload()));
        for bad in [
            json!("rt+jwt"),
            json!("refresh"),
            json!("jwt"),
            json!(""),
            json!("dpop+jwt"),
            json!(1),
            json!([]),
        ] {
            bench.refuses(&bench.genuine(&with(bench.header(), json!({"typ": bad})), &payload()));
        }
    }

    /// Attacks: 64.
    #[test]
    fn a_key_id_is_compared_and_never_followed() {
        let bench = Bench::new();
        let kid = &bench.key.kid;
        for bad in [
            json!("../../../../dev/null"),
            json!("/dev/null"),
            json!("' OR 1=1 --"),
            json!("x' UNION SELECT 'secret"),
            json!("|id"),
            json!(format!("{kid}\0")),
            json!(format!("{kid} ")),
            json!(&kid[1..]),
            json!(kid.to_lowercase() + "-"),
            json!("k".repeat(3000)),
            json!("k".repeat(65_536)),
            json!(""),
            json!(1),
            json!([kid]),
            json!({"kid": kid}),
            Value::Null,
        ] {
            let header = with(bench.header(), json!({"kid": bad}));
            bench.refuses(&bench.genuine(&header, &payload()));
            bench.refuses(&Pen::Hs(b"").write(&with(header, json!({"alg": "HS256"})), &payload()));
        }
        bench.refuses(&bench.genuine(&without(bench.header(), "kid"), &payload()));
    }

    /// Attacks: 66.
    #[test]
    fn size_and_shape_are_checked_first() {
        let bench = Bench::new();
        let header = bench.header().to_string();
        let pen = Pen::Ed(&bench.key);
        bench.refuses(&"a".repeat(65_536));
        bench.refuses(&format!("{}.{}.{}", "a".repeat(30_000), "a".repeat(30_000), "a".repeat(86)));
        bench.refuses(&bench.genuine(&bench.header(), &with(payload(), json!({"pad": "x".repeat(4096)}))));
        let deep = format!("{}{}", "[".repeat(1400), "]".repeat(1400));
        bench.refuses(&pen.raw(&header, &deep));
        bench.refuses(&pen.raw(&header, &format!(r#"{{"sub":{deep}}}"#)));
        let fields = payload();
        let list: Vec<&Value> =
            ["iss", "aud", "sub", "sid", "org", "iat", "exp"].iter().map(|name| &fields[*name]).collect();
        for bad in [
            "not json".to_owned(),
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            "[]".to_owned(),
            "\"text\"".to_owned(),
            json!([fields]).to_string(),
            json!([list[0], list[1], list[2], list[3], list[4], list[5], list[6], null, fields["jti"]])
                .to_string(),
            format!("{fields}{fields}"),
            format!(" {fields}"),
            format!("{fields},"),
            fields.to_string().replace("\"sub\"", "\"sub\":\"usr_0\",\"sub\""),
            fields.to_string().replace("\"exp\"", "\"exp\":9999999999,\"exp\""),
        ] {
            bench.refuses(&pen.raw(&header, &bad));
        }
        for bad in [
            "{}".to_owned(),
            "[]".to_owned(),
            String::new(),
            json!(["EdDSA", "at+jwt", bench.key.kid]).to_string(),
            header.replace("\"alg\"", "\"alg\":\"none\",\"alg\""),
            format!(" {header}"),
        ] {
            bench.refuses(&pen.raw(&bad, &fields.to_string()));
        }
    }

    /// Attacks: 66.
    #[test]
    fn a_signature_of_zeros_or_of_another_curve_is_none() {
        let bench = Bench::new();
        for header in [bench.header(), with(bench.header(), json!({"alg": "ES256"}))] {
            for length in [0, 1, 32, 63, 64, 65, 128] {
                bench.refuses(&Pen::Fixed(&vec![0; length]).write(&header, &payload()));
            }
        }
        let identity = [&[1u8][..], &[0; 63]].concat();
        bench.refuses(&Pen::Fixed(&identity).write(&bench.header(), &payload()));
    }

    /// Attacks: 67.
    #[test]
    fn time_is_kept_to_the_second() {
        for ring in [shared(), Bench::new().ring] {
            let claims = claims();
            let token = ring.sign(&claims).unwrap();
            let token = token.expose_secret();
            assert_eq!(ring.verify(token, at(-6)), Err(Refusal::NotAccepted), "issued in the future");
            assert_eq!(ring.verify(token, at(-5)), Ok(claims), "clocks may differ by five seconds");
            assert_eq!(ring.verify(token, at(3599)), Ok(claims));
            assert_eq!(ring.verify(token, at(3600)), Err(Refusal::Expired));
            assert_eq!(ring.verify(token, at(9_999_999)), Err(Refusal::Expired));
            assert_eq!(ring.verify(token, at(-6)), Err(Refusal::NotAccepted), "also when remembered");
        }
    }

    /// Attacks: 67.
    #[test]
    fn only_a_genuine_token_is_called_expired() {
        let bench = Bench::new();
        let late = at(3600);
        let expired = bench.genuine(&bench.header(), &payload());
        assert_eq!(bench.ring.verify(&expired, late), Err(Refusal::Expired));
        let attacker = SigningKey::generate().unwrap();
        for forged in [
            Pen::Ed(&attacker).write(&bench.header(), &payload()),
            bench.genuine(&bench.header(), &with(payload(), json!({"iss": "https://other.example"}))),
            bench.genuine(&bench.header(), &with(payload(), json!({"aud": "other"}))),
            bench.genuine(&bench.header(), &with(payload(), json!({"nbf": at(9999).timestamp()}))),
            expired[..expired.len() - 2].to_owned(),
        ] {
            assert_eq!(bench.ring.verify(&forged, late), Err(Refusal::NotAccepted), "{forged}");
        }
    }

    /// Attacks: 67.
    #[test]
    fn times_are_whole_positive_numbers() {
        let bench = Bench::new();
        for name in ["exp", "iat"] {
            bench.refuses(&bench.genuine(&bench.header(), &without(payload(), name)));
        }
        let valid = payload()["exp"].clone();
        for name in ["exp", "iat", "nbf"] {
            for bad in [
                json!("1790003600"),
                json!(1_790_003_600.0),
                json!(1_790_003_600.5),
                json!(-1),
                json!(-1_790_003_600),
                json!(1e300),
                json!(u64::MAX),
                json!(i64::MAX),
                json!(253_402_300_800u64),
                json!([valid]),
                json!({"$gt": 0}),
                json!(true),
                json!(""),
            ] {
                bench.refuses(&bench.genuine(&bench.header(), &with(payload(), json!({name: bad}))));
            }
        }
        for name in ["exp", "iat"] {
            bench.refuses(&bench.genuine(&bench.header(), &with(payload(), json!({name: null}))));
        }
        let raw = payload().to_string().replace("1790003600", "1.7900036e9");
        bench.refuses(&Pen::Ed(&bench.key).raw(&bench.header().to_string(), &raw));
        bench.refuses(&bench.genuine(&bench.header(), &with(payload(), json!({"exp": at(0).timestamp()}))));
        bench.refuses(&bench.genuine(&bench.header(), &with(payload(), json!({"exp": 0}))));
    }

    /// Attacks: 67.
    #[test]
    fn a_token_is_not_good_before_its_time() {
        let bench = Bench::new();
        let token = bench.genuine(&bench.header(), &with(payload(), json!({"nbf": at(100).timestamp()})));
        assert_eq!(bench.ring.verify(&token, at(99)), Err(Refusal::NotAccepted));
        assert!(bench.ring.verify(&token, at(100)).is_ok());
        assert_eq!(bench.ring.verify(&token, at(99)), Err(Refusal::NotAccepted), "also when remembered");
    }

    /// Attacks: 68.
    #[test]
    fn issuer_audience_and_subject_are_exact() {
        let bench = Bench::new();
        for (name, right) in [("iss", ISSUER), ("aud", AUDIENCE)] {
            for bad in [
                json!("other"),
                json!(""),
                json!([right]),
                json!([right, "other"]),
                json!([]),
                json!({"0": right}),
                json!(right.to_uppercase()),
                json!(format!("{right}/")),
                json!(format!("{right} ")),
                json!(&right[1..]),
                json!(1),
                Value::Null,
            ] {
                bench.refuses(&bench.genuine(&bench.header(), &with(payload(), json!({name: bad}))));
            }
        }
        for name in ["iss", "aud", "sub", "sid", "jti"] {
            bench.refuses(&bench.genuine(&bench.header(), &without(payload(), name)));
        }
        let user = UserId::generate().to_string();
        for bad in [
            json!(OrganizationId::generate()),
            json!(user.to_uppercase()),
            json!(user.replace("usr_", "")),
            json!(format!("{user} ")),
            json!([user]),
            json!(""),
            json!("admin"),
        ] {
            for name in ["sub", "sid", "org"] {
                let changed = with(payload(), json!({name: bad}));
                if name != "org" || bad.as_str().is_none_or(|text| !text.starts_with("org_")) {
                    bench.refuses(&bench.genuine(&bench.header(), &changed));
                }
            }
        }
        for ring in [
            Keyring::from_keys(std::slice::from_ref(&bench.key), "https://other.example", AUDIENCE).unwrap(),
            Keyring::from_keys(std::slice::from_ref(&bench.key), ISSUER, "other").unwrap(),
        ] {
            let token = ring.sign(&claims()).unwrap();
            bench.refuses(token.expose_secret());
        }
    }

    /// Attacks: 69.
    #[test]
    fn no_kind_of_credential_passes_for_another() {
        let bench = Bench::new();
        let refresh = RefreshKeys::new(&MasterKeys::generate().unwrap());
        let refresh_token = refresh.issue(SessionId::generate(), UserId::generate(), 0);
        let api_key = ApiKey::generate(ApiKeyId::generate()).unwrap();
        let kinds = [SecretKind::Invitation, SecretKind::PasswordReset, SecretKind::EmailVerification];
        let access = bench.ring.sign(&claims()).unwrap();
        let secrets = kinds.map(|kind| kind.generate().unwrap().text);
        for other in secrets.iter().chain([&refresh_token, &api_key.text]) {
            bench.refuses(other.expose_secret());
        }
        for other in secrets.iter().chain([&access, &api_key.text]) {
            assert_eq!(refresh.parse(other.expose_secret()), None);
        }
        for other in [&access, &refresh_token] {
            assert!(ApiKey::parse(other.expose_secret()).is_none());
            assert!(kinds.iter().all(|kind| kind.parse(other.expose_secret()).is_none()));
        }
        assert!(refresh.parse(refresh_token.expose_secret()).is_some());
        bench.accepts(access.expose_secret());
    }

    /// Attacks: 71.
    #[test]
    fn another_deployments_key_under_our_key_id_does_not_sign() {
        let bench = Bench::new();
        let staging = SigningKey::generate().unwrap();
        bench.refuses(&Pen::Ed(&staging).write(&bench.header(), &payload()));
        bench.refuses(ed(&[staging]).sign(&claims()).unwrap().expose_secret());
    }

    #[test]
    fn the_first_key_signs_and_all_verify_until_removed() {
        let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        let [old, new] = &keys;
        let before = ed(std::slice::from_ref(old));
        let token = before.sign(&claims()).unwrap();
        let during = ed(&[new.clone(), old.clone()]);
        assert!(during.verify(token.expose_secret(), at(1)).is_ok());
        let fresh = during.sign(&claims()).unwrap();
        assert!(before.verify(fresh.expose_secret(), at(1)).is_err());
        let after = ed(std::slice::from_ref(new));
        assert!(after.verify(fresh.expose_secret(), at(1)).is_ok());
        assert_eq!(after.verify(token.expose_secret(), at(1)), Err(Refusal::NotAccepted));
    }

    #[test]
    fn a_keyring_needs_different_keys() {
        let key = SigningKey::generate().unwrap();
        for keys in [vec![], vec![key.clone(), key.clone()]] {
            assert_eq!(Keyring::from_keys(&keys, ISSUER, AUDIENCE).err(), Some(KeyringError::Count));
        }
        let many: Vec<_> = (0..9).map(|_| SigningKey::generate().unwrap()).collect();
        assert!(Keyring::from_keys(&many[..8], ISSUER, AUDIENCE).is_ok());
        assert_eq!(Keyring::from_keys(&many, ISSUER, AUDIENCE).err(), Some(KeyringError::Count));
    }

    #[test]
    fn verified_tokens_are_remembered_and_refused_ones_are_not() {
        let bench = Bench::new();
        let token = bench.ring.sign(&claims()).unwrap();
        for _ in 0..3 {
            bench.accepts(token.expose_secret());
        }
        assert!(bench.ring.verify("a.b.c", at(1)).is_err());
        bench.ring.verified.run_pending_tasks();
        assert_eq!(bench.ring.verified.entry_count(), 1);
        // What is remembered is the whole text, signature included.
        let (message, signature) = token.expose_secret().rsplit_once('.').unwrap();
        for other in [b64([0; 64]), String::new(), signature.to_lowercase(), format!("{signature}=")] {
            let verified = bench.ring.verify(&format!("{message}.{other}"), at(1));
            assert_eq!(verified, Err(Refusal::NotAccepted), "{other}");
        }
    }

    #[test]
    fn the_public_keys_verify_what_was_signed() {
        let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        let ring = ed(&keys);
        let jwks = ring.jwks();
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
        let key = &jwks["keys"][0];
        for (name, value) in [("kty", "OKP"), ("crv", "Ed25519"), ("use", "sig"), ("alg", "EdDSA")] {
            assert_eq!(key[name], value);
        }
        assert_eq!(key["kid"], keys[0].kid());
        assert!(key.get("d").is_none());
        let token = ring.sign(&claims()).unwrap();
        let (message, signature) = token.expose_secret().rsplit_once('.').unwrap();
        let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
        signature::UnparsedPublicKey::new(&signature::ED25519, public)
            .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        assert_eq!(shared().jwks(), json!({"keys": []}));
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let pkcs8 = [hex("302e020100300506032b657004220420"), seed].concat();
        let key = SigningKey::from_pkcs8(pkcs8.into()).unwrap();
        assert_eq!(b64(key.public()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_sealed_signing_key_opens_under_its_own_id_only() {
        let master = MasterKeys::generate().unwrap();
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let sealed = key.seal(&master).unwrap();
        let opened = SigningKey::open(&master, key.kid(), &sealed).unwrap();
        let token = ed(&[opened]).sign(&claims()).unwrap();
        assert!(ed(std::slice::from_ref(&key)).verify(token.expose_secret(), at(1)).is_ok());
        assert!(SigningKey::open(&master, other.kid(), &sealed).is_err());
        assert!(SigningKey::open(&MasterKeys::generate().unwrap(), key.kid(), &sealed).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = SigningKey::generate().unwrap();
        let secret = format!("{:?}", key.private.expose_secret());
        let master = MasterKeys::generate().unwrap();
        let printed = format!(
            "{key:?} {:?} {:?} {:?}",
            shared(),
            ed(std::slice::from_ref(&key)),
            RefreshKeys::new(&master)
        );
        assert!(!printed.contains(SECRET));
        assert!(!printed.contains(secret.trim_matches(['[', ']'])));
    }

    // Refresh tokens

    #[test]
    fn a_refresh_token_is_derived_and_read_back() {
        let keys = RefreshKeys::new(&MasterKeys::generate().unwrap());
        let (session, user) = (SessionId::generate(), UserId::generate());
        for generation in [0, 1, 77, u32::MAX] {
            let token = keys.issue(session, user, generation);
            assert_eq!(token.expose_secret().len(), REFRESH_PREFIX.len() + REFRESH_BODY);
            assert_eq!(keys.parse(token.expose_secret()), Some(RefreshClaims { session, user, generation }));
            assert_eq!(token.expose_secret(), keys.issue(session, user, generation).expose_secret());
        }
        let other = keys.issue(SessionId::generate(), user, 0);
        assert_ne!(other.expose_secret(), keys.issue(session, user, 0).expose_secret());
    }

    #[test]
    fn every_changed_bit_of_a_refresh_token_is_noticed() {
        let keys = RefreshKeys::new(&MasterKeys::generate().unwrap());
        let token = keys.issue(SessionId::generate(), UserId::generate(), 3).expose_secret().to_owned();
        let bytes = URL_SAFE_NO_PAD.decode(&token[REFRESH_PREFIX.len()..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.parse(&format!("{REFRESH_PREFIX}{}", b64(changed))), None, "bit {bit}");
        }
        for bad in [
            "",
            "aicosr_",
            &token[1..],
            &token[..token.len() - 1],
            &format!("{token}A"),
            &format!("{token}="),
            &format!(" {token}"),
            &token.to_uppercase(),
            &token.replace("aicosr_", "aicos_"),
            &format!("aicosr_{}", "A".repeat(91)),
            &format!("aicosr_{}", "A".repeat(1 << 20)),
            &format!("aicosr_{}ü", "A".repeat(89)),
            &format!("aicosr_{}", b64(&bytes[..REFRESH_FACTS])),
        ] {
            assert_eq!(keys.parse(bad), None, "{bad}");
        }
        assert!(keys.parse(&token).is_some());
    }

    #[test]
    fn a_refresh_token_has_one_spelling() {
        let keys = RefreshKeys::new(&MasterKeys::generate().unwrap());
        let token = keys.issue(SessionId::generate(), UserId::generate(), 3).expose_secret().to_owned();
        let (head, last) = token.split_at(token.len() - 1);
        let accepted = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
            .chars()
            .filter(|c| keys.parse(&format!("{head}{c}")).is_some())
            .collect::<String>();
        assert_eq!(accepted, last);
    }

    #[test]
    fn refresh_tokens_outlive_a_rotation_of_the_master_key() {
        let (old, new) = (MasterKeys::generate().unwrap(), MasterKeys::generate().unwrap());
        let both = format!("{},{}", new.to_text().expose_secret(), old.to_text().expose_secret());
        let both = RefreshKeys::new(&MasterKeys::parse(&both.into()).unwrap());
        let (session, user) = (SessionId::generate(), UserId::generate());
        let token = RefreshKeys::new(&old).issue(session, user, 1);
        assert!(both.parse(token.expose_secret()).is_some());
        let fresh = both.issue(session, user, 2);
        assert!(RefreshKeys::new(&new).parse(fresh.expose_secret()).is_some());
        assert_eq!(RefreshKeys::new(&new).parse(token.expose_secret()), None);
    }

    fn family(generation: u32, rotated: Option<i64>) -> Family {
        Family { generation, rotated_at: rotated.map(at), expires_at: at(1_000_000), revoked: false }
    }

    /// Attacks: 73, 74, 75, 77, 79.
    #[test]
    fn the_decision_table_of_rotation() {
        use Rotation::{Advance, Refused, Reuse, Same};
        let rows = [
            ("the first refresh", family(0, None), 0, at(5), Advance(1)),
            ("the newest", family(5, Some(0)), 5, at(1), Advance(6)),
            ("the newest, long after", family(5, Some(0)), 5, at(500_000), Advance(6)),
            ("the parent at once", family(5, Some(0)), 4, at(0), Same(5)),
            ("the parent within grace", family(5, Some(0)), 4, at(10), Same(5)),
            ("the parent after grace", family(5, Some(0)), 4, at(11), Reuse),
            ("the parent, our clock behind", family(5, Some(8)), 4, at(0), Same(5)),
            ("the parent, our clock far behind", family(5, Some(11)), 4, at(0), Reuse),
            ("the parent, time of rotation unknown", family(5, None), 4, at(0), Reuse),
            ("the grandparent within grace", family(5, Some(0)), 3, at(1), Reuse),
            ("the first of many within grace", family(5, Some(0)), 0, at(1), Reuse),
            ("a future generation", family(5, Some(0)), 6, at(1), Refused),
            ("the last generation that fits", family(u32::MAX, Some(0)), u32::MAX, at(1), Refused),
            ("the parent of the last", family(u32::MAX, Some(0)), u32::MAX - 1, at(1), Same(u32::MAX)),
            ("at the absolute end", family(5, Some(0)), 5, at(1_000_000), Refused),
            ("just before it", family(5, Some(0)), 5, at(999_999), Advance(6)),
        ];
        for (name, family, presented, now, expected) in rows {
            assert_eq!(family.rotate(presented, now), expected, "{name}");
            for ended in [Family { revoked: true, ..family }, Family { expires_at: now, ..family }] {
                assert_eq!(ended.rotate(presented, now), Refused, "{name}, but over");
            }
        }
    }

    #[test]
    fn the_grace_ends_to_the_millisecond() {
        let family = family(1, Some(0));
        let just = at(10) + TimeDelta::milliseconds(1);
        assert_eq!(family.rotate(0, at(10)), Rotation::Same(1));
        assert_eq!(family.rotate(0, just), Rotation::Reuse);
    }

    /// What the store does with the decision.
    fn refresh(family: &mut Family, presented: u32, now: DateTime<Utc>) -> Rotation {
        let rotation = family.rotate(presented, now);
        match rotation {
            Rotation::Advance(next) => {
                *family = Family { generation: next, rotated_at: Some(now), ..*family }
            }
            Rotation::Reuse => family.revoked = true,
            Rotation::Same(_) | Rotation::Refused => {}
        }
        rotation
    }

    /// Attacks: 76.
    #[test]
    fn fifty_refreshes_at_once_leave_one_chain() {
        let mut family = family(7, Some(0));
        let answers: Vec<_> = (0..50).map(|_| refresh(&mut family, 7, at(100))).collect();
        assert_eq!(answers[0], Rotation::Advance(8));
        assert!(answers[1..].iter().all(|answer| *answer == Rotation::Same(8)));
        assert_eq!(family.generation, 8);
        assert_eq!(refresh(&mut family, 8, at(101)), Rotation::Advance(9));
    }

    /// Attacks: 73.
    #[test]
    fn reuse_ends_the_newest_descendant_too() {
        let mut family = family(0, None);
        for generation in 0..3 {
            assert_eq!(
                refresh(&mut family, generation, at(60 * i64::from(generation))),
                Rotation::Advance(generation + 1)
            );
        }
        assert_eq!(refresh(&mut family, 1, at(121)), Rotation::Reuse);
        for generation in 0..5 {
            assert_eq!(refresh(&mut family, generation, at(122)), Rotation::Refused);
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }
}
