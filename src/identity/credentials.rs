//! Passwords, one-time secrets and API keys: made, recognised and compared, never stored in the clear.
//!
//! # Passwords
//!
//! Text is treated as RFC 8265 says of opaque strings: every space is the ASCII space, and the whole is NFC-normalised, so
//! that one password typed on two keyboards is one password. Nothing is trimmed, truncated or case-folded. Control
//! characters are refused. New passwords have 10 to 200 characters, are not among the best-known ones (also not
//! decorated, repeated or joined), and do not contain the person's name or address.
//!
//! # Time
//!
//! A failed sign-in must not tell whether the address is known. An unknown address verifies against a dummy hash made
//! with the current parameters, and so does a malformed stored hash. A hash of another kind (legacy bcrypt, argon2 with
//! other parameters) is compared at its own price and the dummy on top. From the first such failure, or from
//! [`Hasher::learn`] at start, **every** failure is answered no sooner than the slowest kind takes. Waiting is done
//! without holding a core. A server that never had such hashes waits for nothing.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{self, ApiKeyId};
use crate::telemetry::count;

/// Fewest characters of a new password.
pub const MIN_CHARACTERS: usize = 10;
/// Most characters of a password.
pub const MAX_CHARACTERS: usize = 200;
/// Most bytes of a password as sent; more is not even looked at.
pub const MAX_BYTES: usize = 1024;

/// bcrypt reads no further than this.
const BCRYPT_BYTES: usize = 72;

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal(anyhow::anyhow!("no randomness from the operating system: {error}"))
    })?;
    Ok(bytes)
}

// ---------------------------------------------------------------------------------------------- password policy

/// What is known about the person who chooses a password.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The name.
    pub name: &'a str,
}

/// A new password that has passed the policy.
#[derive(Debug, Clone)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Checks a new password; `field` is the input field that the fault names, for example `password`.
    pub fn parse(text: &str, about: About<'_>, field: &str) -> Result<Self, Fault> {
        if text.len() > MAX_BYTES {
            return Err(too_long(field));
        }
        if text.chars().any(char::is_control) {
            let message =
                "A password cannot contain control characters such as line breaks or tabs. Remove them.";
            return Err(Fault::at(FaultCode::Invalid, field, message));
        }
        let normal = normalise(text);
        let characters = normal.chars().count();
        if characters > MAX_CHARACTERS {
            return Err(too_long(field));
        }
        if characters < MIN_CHARACTERS {
            let message = format!(
                "The password is too short. Use at least {MIN_CHARACTERS} characters; three or more words are easy to remember."
            );
            return Err(Fault::at(FaultCode::TooShort, field, message));
        }
        if is_common(&normal) {
            let message = "This password is among the first that are guessed. Choose one that is harder to guess, such as several unrelated words.";
            return Err(Fault::at(FaultCode::WeakPassword, field, message));
        }
        if is_personal(&normal, about) {
            let message = "The password contains your name or e-mail address. Choose one without them.";
            return Err(Fault::at(FaultCode::WeakPassword, field, message));
        }
        Ok(Self(SecretString::from(normal.as_str())))
    }
}

fn too_long(field: &str) -> Fault {
    let message = format!("The password is too long. Use at most {MAX_CHARACTERS} characters.");
    Fault::at(FaultCode::TooLong, field, message)
}

/// The one form of a password that is hashed.
fn normalise(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).nfc().collect())
}

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});

/// Rows that fingers and alphabets walk along; any stretch of one, in either direction, is a known password.
const WALKS: [&str; 4] = [
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
];

/// How many characters around a known word count as decoration (`password2024!`).
const MAX_DECORATION: usize = 6;
/// Fewer different characters than this make no password.
const MIN_DIFFERENT: usize = 5;

/// Whether the password is a well-known one, possibly decorated, spelled with digits, repeated or joined.
fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    if lower.chars().collect::<HashSet<_>>().len() < MIN_DIFFERENT {
        return true;
    }
    let decoration = |c: char| !c.is_alphabetic();
    let cores = [
        lower.as_str(),
        lower.trim_end_matches(decoration),
        lower.trim_start_matches(decoration),
        lower.trim_matches(decoration),
    ];
    cores.iter().any(|core| {
        let removed = lower.chars().count() - core.chars().count();
        !core.is_empty()
            && removed <= MAX_DECORATION
            && spellings(core).iter().any(|spelling| is_known(spelling))
    })
}

/// A password without its separators: as it stands, and with the digits and signs read as letters.
fn spellings(text: &str) -> [String; 3] {
    let read = |one: char| {
        let letters = text.chars().map(|c| match c {
            '0' => 'o',
            '1' | '|' => one,
            '!' => 'i',
            '3' | '€' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' | '+' => 't',
            '8' => 'b',
            other => other,
        });
        letters.filter(|c| c.is_alphanumeric()).collect()
    };
    [text.chars().filter(|c| c.is_alphanumeric()).collect(), read('i'), read('l')]
}

fn is_known(text: &str) -> bool {
    let known = |part: &str| COMMON.contains(part) || is_walk(part);
    if known(text) {
        return true;
    }
    let mut cuts = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
    cuts.any(|(first, second)| known(first) && (known(second) || known(repeated_unit(second))))
}

fn is_walk(text: &str) -> bool {
    const SHORTEST: usize = 4;
    let backwards: String = text.chars().rev().collect();
    text.len() >= SHORTEST && WALKS.iter().any(|row| row.contains(text) || row.contains(&backwards))
}

/// The shortest beginning whose repetition gives the whole text; the text itself when nothing repeats.
fn repeated_unit(text: &str) -> &str {
    let bytes = text.as_bytes();
    let periods = (1..=bytes.len() / 2).filter(|period| bytes.len().is_multiple_of(*period));
    let repeats = |period: &usize| bytes.chunks(*period).all(|chunk| chunk == &bytes[..*period]);
    periods.into_iter().find(repeats).and_then(|period| text.get(..period)).unwrap_or(text)
}

/// Whether the password contains the address's local part or the name, or a longer word of either.
fn is_personal(password: &str, about: About<'_>) -> bool {
    /// Shorter words stand in many good passwords by chance.
    const SHORTEST: usize = 4;
    let local = about.email.split_once('@').map_or(about.email, |(local, _)| local);
    let mut parts = Vec::new();
    for whole in [local, about.name] {
        let whole = normalise(whole).to_lowercase();
        parts.extend(whole.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        parts.push(whole.chars().filter(|c| c.is_alphanumeric()).collect());
    }
    let spellings = spellings(&password.to_lowercase());
    parts
        .iter()
        .filter(|part| part.chars().count() >= SHORTEST)
        .any(|part| spellings.iter().any(|spelling| spelling.contains(part.as_str())))
}

// ---------------------------------------------------------------------------------------------- password hashing

/// What one hash costs: the parameters of argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Cost {
    /// What OWASP recommends: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

impl Cost {
    /// The cheapest that argon2 knows. For tests only.
    pub const CHEAP: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
}

/// How passwords are hashed.
#[derive(Debug, Clone, Copy)]
pub struct HashSettings {
    /// What one hash costs.
    pub cost: Cost,
    /// How many hashes run at once.
    pub parallel: usize,
    /// How many may wait; whoever comes later is told to try again.
    pub waiting: usize,
}

impl Default for HashSettings {
    /// One hash per core, and about a second's worth of waiting.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { cost: Cost::default(), parallel: cores, waiting: cores * 32 }
    }
}

/// The answer to a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Whether it is the right one.
    pub ok: bool,
    /// Whether it is right and its stored hash should be replaced by [`Hasher::rehash`].
    pub needs_upgrade: bool,
}

impl Verified {
    const NO: Self = Self { ok: false, needs_upgrade: false };
}

/// Hashes and verifies passwords, a few at a time, away from the threads that serve requests.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    params: Params,
    /// A hash of nothing anybody knows, with the current parameters.
    dummy: PasswordHash,
    running: Arc<Semaphore>,
    /// Running and waiting together.
    places: Arc<Semaphore>,
    /// How many may run, and run and wait.
    most: (usize, usize),
    /// How long it takes to refuse a password for each kind of outdated hash.
    outdated: Mutex<HashMap<String, Duration>>,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("params", &self.0.params).finish_non_exhaustive()
    }
}

impl Hasher {
    /// Prepares hashing.
    pub fn start(settings: HashSettings) -> Result<Self> {
        let Cost { memory_kib, passes, lanes } = settings.cost;
        let params =
            Params::new(memory_kib, passes, lanes, Some(Params::DEFAULT_OUTPUT_LEN)).map_err(|error| {
                Error::internal(anyhow::anyhow!("the cost of password hashes is not usable: {error}"))
            })?;
        let dummy = dummy(&params)?;
        let parallel = settings.parallel.max(1);
        Ok(Self(Arc::new(Inner {
            params,
            dummy,
            running: Arc::new(Semaphore::new(parallel)),
            places: Arc::new(Semaphore::new(parallel + settings.waiting)),
            most: (parallel, parallel + settings.waiting),
            outdated: Mutex::default(),
        })))
    }

    /// How many passwords are being hashed, and how many wait for it.
    pub fn load(&self) -> (usize, usize) {
        let (parallel, most) = self.0.most;
        let running = parallel.saturating_sub(self.0.running.available_permits());
        let together = most.saturating_sub(self.0.places.available_permits());
        (running, together.saturating_sub(running))
    }

    /// Hashes a new password; the result is what the database stores.
    pub async fn hash(&self, password: &NewPassword) -> Result<SecretString> {
        self.hash_text(Zeroizing::new(password.0.expose_secret().to_owned())).await
    }

    /// Hashes, under the current parameters, a password that has just been verified.
    ///
    /// The policy is not asked again: whoever signs in with an old, short password keeps it until they change it.
    pub async fn rehash(&self, password: &str) -> Result<SecretString> {
        if password.len() > MAX_BYTES {
            return Err(Error::internal(anyhow::anyhow!(
                "a password that cannot have been verified was rehashed"
            )));
        }
        self.hash_text(normalise(password)).await
    }

    async fn hash_text(&self, text: Zeroizing<String>) -> Result<SecretString> {
        let inner = Arc::clone(&self.0);
        let hash = self.run(move || hash_with(&inner.params, text.as_bytes())).await??;
        Ok(hash.to_string().into())
    }

    /// Compares a password with the stored hash; `None` stands for an unknown address or one without a password.
    ///
    /// Right or wrong is all that it says: a malformed hash is wrong (and logged), as is a password of more than 72
    /// bytes against bcrypt, which would have compared only the beginning. See the module for what it does about time.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<Verified> {
        // Such a text was never accepted as a password; that says nothing about the account.
        if password.len() > MAX_BYTES || password.chars().any(char::is_control) {
            return Ok(Verified::NO);
        }
        let raw = Zeroizing::new(password.to_owned());
        let stored = stored.map(|stored| Zeroizing::new(stored.to_owned()));
        let inner = Arc::clone(&self.0);
        let (verified, took) = self
            .run(move || {
                let started = Instant::now();
                let verified = inner.verify(&raw, stored.as_ref().map(|stored| stored.as_str()));
                (verified, started.elapsed())
            })
            .await?;
        if !verified.ok {
            tokio::time::sleep(self.0.floor().saturating_sub(took)).await;
        }
        Ok(verified)
    }

    /// Measures what a wrong password costs against a stored hash of an outdated kind.
    ///
    /// Called at start with one stored hash of each kind, it keeps the very first failure from standing out.
    pub async fn learn(&self, stored: &str) -> Result<()> {
        self.verify("", Some(stored)).await.map(|_| ())
    }

    /// Runs one piece of hashing on its own thread, when there is room.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        const WAIT: Duration = Duration::from_secs(1);
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| {
            count().hash_refusal();
            Error::Limited(WAIT)
        })?;
        let permit = Arc::clone(&self.0.running).acquire_owned().await.map_err(Error::internal)?;
        // The permits travel with the work: a caller who goes away does not make room for another hash before
        // this one has really ended.
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop((permit, place));
            result
        })
        .await
        .map_err(Error::internal)
    }
}

/// What a stored hash turns out to be.
enum Stored {
    Argon2 { hash: Box<PasswordHash>, current: bool },
    Bcrypt,
    Malformed,
}

impl Inner {
    fn verify(&self, raw: &str, stored: Option<&str>) -> Verified {
        let normal = normalise(raw);
        let Some(text) = stored else {
            return self.refuse(&normal);
        };
        let started = Instant::now();
        let (ok, current) = match self.read(text) {
            Stored::Argon2 { hash, current } => (matches(&normal, &hash), current),
            // The whole text or nothing: never a prefix of it. The hash is computed either way, for its time.
            Stored::Bcrypt => {
                let equal = bcrypt::verify(raw, text).unwrap_or(false);
                (equal && raw.len() <= BCRYPT_BYTES, false)
            }
            Stored::Malformed => {
                tracing::warn!(
                    "a stored password hash is malformed, so its owner cannot sign in before a reset"
                );
                return self.refuse(&normal);
            }
        };
        if !ok && !current {
            // An outdated hash may also be cheaper than a current one; with the dummy on top it never is.
            self.refuse(&normal);
            self.note(kind(text), started.elapsed());
        }
        Verified { ok, needs_upgrade: ok && !current }
    }

    /// Refuses at the price of a comparison under the current parameters.
    fn refuse(&self, normal: &str) -> Verified {
        std::hint::black_box(matches(normal, &self.dummy));
        Verified::NO
    }

    fn read(&self, text: &str) -> Stored {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            // Above cost 14 a comparison takes seconds: nobody's hash, but a way to stop the server.
            let cost = text.parse::<bcrypt::HashParts>().map(|parts| parts.get_cost());
            return if matches!(cost, Ok(4..=14)) { Stored::Bcrypt } else { Stored::Malformed };
        }
        let Ok(hash) = PasswordHash::new(text) else { return Stored::Malformed };
        let (Ok(algorithm), Ok(params)) =
            (Algorithm::try_from(hash.algorithm.as_str()), Params::try_from(&hash))
        else {
            return Stored::Malformed;
        };
        let version = hash.version.unwrap_or(Version::V0x10.into());
        let complete = hash.salt.is_some() && hash.hash.is_some();
        let bounded = params.m_cost() <= 256 * 1024 && params.t_cost() <= 16 && params.p_cost() <= 16;
        if !complete || !bounded || Version::try_from(version).is_err() {
            return Stored::Malformed;
        }
        let current = algorithm == Algorithm::Argon2id
            && version == u32::from(Version::V0x13)
            && params.m_cost() == self.params.m_cost()
            && params.t_cost() == self.params.t_cost()
            && params.p_cost() == self.params.p_cost()
            && params.output_len() == self.params.output_len();
        Stored::Argon2 { hash: Box::new(hash), current }
    }

    /// Remembers how long a kind of outdated hash takes, once: later, busier measurements would only creep upwards.
    fn note(&self, kind: String, took: Duration) {
        const KINDS: usize = 64;
        let mut outdated = self.outdated.lock().unwrap_or_else(PoisonError::into_inner);
        if outdated.len() < KINDS {
            outdated.entry(kind).or_insert(took);
        }
    }

    /// How long every failure takes at least: a quarter more than the slowest outdated kind.
    fn floor(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(4);
        let outdated = self.outdated.lock().unwrap_or_else(PoisonError::into_inner);
        outdated.values().max().map_or(Duration::ZERO, |slowest| (*slowest * 5 / 4).min(LONGEST))
    }
}

fn hash_with(params: &Params, password: &[u8]) -> Result<PasswordHash> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_with_salt(password, &random::<16>()?)
        .map_err(|error| Error::internal(anyhow::anyhow!("hashing a password did not work: {error}")))
}

/// A hash in form, of no password at all: comparing with it costs what comparing with a real one does. It is not
/// computed, which would make every start slower and leave its memory with the allocator.
fn dummy(params: &Params) -> Result<PasswordHash> {
    let (salt, output) = (random::<16>()?, random::<{ Params::DEFAULT_OUTPUT_LEN }>()?);
    let text = format!(
        "$argon2id$v={}$m={},t={},p={}${}${}",
        u32::from(Version::V0x13),
        params.m_cost(),
        params.t_cost(),
        params.p_cost(),
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output)
    );
    PasswordHash::new(&text)
        .map_err(|error| Error::internal(anyhow::anyhow!("the dummy hash is malformed: {error}")))
}

fn matches(password: &str, hash: &PasswordHash) -> bool {
    // Algorithm, version and parameters are the hash's own.
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

/// Algorithm and parameters of a stored hash, without salt and hash.
fn kind(stored: &str) -> String {
    let parameters = if stored.starts_with("$2") { 2 } else { 3 };
    stored.split('$').skip(1).take(parameters).collect::<Vec<_>>().join("$")
}

// ---------------------------------------------------------------------------------------------- stored hashes

/// SHA-256 of a secret that is random enough to need nothing slower: what the database stores instead of it.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The stored form.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares with stored bytes in constant time; another length never matches.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.0[..].ct_eq(stored).into()
    }
}

impl PartialEq for SecretHash {
    /// Takes the same time wherever the two differ.
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

// ---------------------------------------------------------------------------------------------- one-time secrets

/// What a one-time secret is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// Accepting an invitation.
    Invitation,
    /// Choosing a new password.
    PasswordReset,
    /// Proving that an e-mail address is one's own.
    EmailVerification,
}

/// A fresh one-time secret.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What the person gets; it exists nowhere else.
    pub text: SecretString,
    /// What the database stores.
    pub hash: SecretHash,
}

impl SecretKind {
    const BYTES: usize = 32;
    /// 32 bytes of unpadded base64.
    const BODY: usize = 43;

    const fn prefix(self) -> &'static str {
        match self {
            Self::Invitation => "aicos_inv_",
            Self::PasswordReset => "aicos_pwr_",
            Self::EmailVerification => "aicos_emv_",
        }
    }

    /// Makes one: 256 random bits behind the kind's prefix.
    pub fn generate(self) -> Result<Secret> {
        let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(Zeroizing::new(random::<{ Self::BYTES }>()?)));
        let text = SecretString::from(format!("{}{}", self.prefix(), *body));
        let hash = SecretHash::of(text.expose_secret());
        Ok(Secret { text, hash })
    }

    /// Reads one of this kind and gives the hash to look for; anything else is refused before any look-up.
    pub fn parse(self, text: &str) -> Option<SecretHash> {
        let body = text.strip_prefix(self.prefix())?;
        if body.len() != Self::BODY {
            return None;
        }
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).ok()?);
        (decoded.len() == Self::BYTES).then(|| SecretHash::of(text))
    }
}

// ---------------------------------------------------------------------------------------------- API keys

/// A fresh API key.
///
/// Its text is `aicos_`, the 26 characters of its id, `_`, 30 random letters and digits (178 bits) and 6 letters and
/// digits of CRC-32 over all of that. The checksum lets a scanner, or this server, tell a key from a typing error
/// without asking the database; it adds no secrecy.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// What the person gets, once.
    pub text: SecretString,
    /// What the database stores.
    pub hash: SecretHash,
    /// What lists show: the beginning, which holds nothing secret, and the last four characters.
    pub hint: String,
}

impl ApiKey {
    const PREFIX: &'static str = "aicos_";
    const ID: usize = 26;
    const SECRET: usize = 30;
    const CHECKSUM: usize = 6;

    /// Makes a key for this id.
    pub fn generate(id: ApiKeyId) -> Result<Self> {
        let encoded = id::encode(id.uuid());
        let mut text = Zeroizing::new(format!("{}{encoded}_", Self::PREFIX));
        let end = text.len() + Self::SECRET;
        text.reserve(Self::SECRET + Self::CHECKSUM);
        while text.len() < end {
            let bytes = Zeroizing::new(random::<64>()?);
            // 248 is the largest multiple of 62 in a byte: what lies above would favour some characters.
            let even = bytes.iter().filter(|byte| **byte < 248).map(|byte| base62(u32::from(*byte)));
            let missing = end - text.len();
            text.extend(even.take(missing));
        }
        let sum = checksum(&text);
        text.push_str(&sum);
        let hint = format!("{}{}…{}", Self::PREFIX, &encoded[..8], &sum[Self::CHECKSUM - 4..]);
        Ok(Self { hash: SecretHash::of(&text), hint, text: SecretString::from(text.as_str()) })
    }

    /// Reads a key's text: form and checksum, without a database.
    pub fn parse(text: &str) -> Option<(ApiKeyId, SecretHash)> {
        let length = Self::PREFIX.len() + Self::ID + 1 + Self::SECRET + Self::CHECKSUM;
        if text.len() != length || !text.is_ascii() {
            return None;
        }
        let (signed, sum) = text.split_at(length - Self::CHECKSUM);
        let (encoded, secret) = signed.strip_prefix(Self::PREFIX)?.split_at_checked(Self::ID)?;
        let secret = secret.strip_prefix('_')?;
        if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) || checksum(signed) != sum {
            return None;
        }
        Some((id::decode(encoded)?.into(), SecretHash::of(text)))
    }
}

/// The character for a number modulo 62.
fn base62(number: u32) -> char {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    usize::try_from(number % 62).map_or('0', |index| char::from(ALPHABET[index]))
}

/// CRC-32 in six characters of base62.
fn checksum(text: &str) -> String {
    let sum = crc32fast::hash(text.as_bytes());
    (0..6u32).rev().map(|place| base62(sum / 62u32.pow(place))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> = About { email: "anna.schmidt+news@example.com", name: "Anna-Lena Groß" };
    const GOOD: &str = "violet teapot on the moon";

    fn policy(text: &str) -> Result<(), FaultCode> {
        NewPassword::parse(text, ABOUT, "password").map(|_| ()).map_err(|fault| fault.code)
    }

    fn hasher() -> Hasher {
        Hasher::start(HashSettings { cost: Cost::CHEAP, parallel: 2, waiting: 64 }).unwrap()
    }

    fn accepted(text: &str) -> NewPassword {
        NewPassword::parse(text, About::default(), "password").unwrap()
    }

    /// Attacks: 127.
    #[test]
    fn length_counts_characters_and_nothing_is_cut() {
        assert_eq!(policy("7Qx&kd9z"), Err(FaultCode::TooShort));
        assert_eq!(policy("7Qx&kd9zm"), Err(FaultCode::TooShort));
        assert_eq!(policy("7Qx&kd9zmü"), Ok(()));
        let long: String = "violet teapot §".chars().cycle().take(200).collect();
        assert_eq!(policy(&long[..64]), Ok(()));
        assert_eq!(policy(&long), Ok(()));
        assert_eq!(policy(&format!("{long}x")), Err(FaultCode::TooLong));
        let wide: String = "🫖🌙🎻🧭🦉🍋🚲".chars().cycle().take(200).collect();
        assert_eq!(policy(&wide), Ok(()));
    }

    /// Attacks: 128.
    #[test]
    fn a_huge_password_is_refused_before_it_is_looked_at() {
        assert_eq!(policy(&"x".repeat(1 << 20)), Err(FaultCode::TooLong));
        assert_eq!(policy(&"\0".repeat(1025)), Err(FaultCode::TooLong));
    }

    /// Attacks: 127.
    #[test]
    fn control_characters_are_refused_and_spaces_are_not() {
        for bad in ["\0", "\n", "\r", "\t", "\u{1b}", "\u{7f}", "\u{85}"] {
            assert_eq!(policy(&format!("{GOOD}{bad}")), Err(FaultCode::Invalid), "{bad:?}");
        }
        assert_eq!(policy(&format!("  {GOOD}  ")), Ok(()));
    }

    #[test]
    fn the_fault_names_the_field() {
        let fault = NewPassword::parse("short", ABOUT, "newPassword").unwrap_err();
        assert_eq!(fault.field, Some(vec!["input".to_owned(), "newPassword".to_owned()]));
    }

    /// Attacks: 127.
    #[test]
    fn well_known_passwords_are_refused_in_their_usual_disguises() {
        for bad in [
            "1234567890",
            "qwertyuiop",
            "Password123",
            "P@ssw0rd2024!",
            "passwordpassword",
            "pass-word-pass-word",
            "$ecurity2024",
            "letmeinletmeinletmein",
            "Dragon Monkey",
            "!!!Dragon!!!",
            "iloveyou!!",
            "correct horse battery staple",
            "CorrectHorseBatteryStaple1!",
            "aaaaaaaaaaaa",
            "abababababab",
            "zyxwvutsrq",
            "poiuytrewq",
            "1qaz2wsx3edc",
            "qwerty123456",
            "football2023",
            "Trustno1!!!",
            "we1come2024",
            "aicosaicos",
        ] {
            assert_eq!(policy(bad), Err(FaultCode::WeakPassword), "{bad}");
        }
        for good in [
            GOOD,
            "dragon-Xk29$vQ!!7pL",
            "kd8#mQz!w2Lr",
            "mein Fahrrad hat drei Räder",
            "お気に入りの紅茶とレモン",
        ] {
            assert_eq!(policy(good), Ok(()), "{good}");
        }
    }

    /// Attacks: 127.
    #[test]
    fn the_own_name_and_address_are_refused() {
        for bad in [
            "xx-anna.schmidt-77",
            "Schmidt#teapot#9",
            "teapot 5chmidt moon",
            "ANNALENAGROSS77 groß lena",
            "my lena teapot moon",
        ] {
            assert_eq!(policy(bad), Err(FaultCode::WeakPassword), "{bad}");
        }
        let short = About { email: "bo@example.com", name: "Li" };
        assert!(NewPassword::parse("bottle of lilac ink", short, "password").is_ok());
    }

    #[test]
    fn the_list_holds_a_few_hundred_lower_case_words() {
        assert!(COMMON.len() > 500);
        assert!(COMMON.iter().all(|word| *word == word.to_lowercase()));
    }

    // Hashing

    #[tokio::test]
    async fn the_right_password_is_accepted_and_a_wrong_one_is_not() {
        let hasher = hasher();
        let stored = hasher.hash(&accepted(GOOD)).await.unwrap();
        assert!(stored.expose_secret().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        let verify = async |text: &str| hasher.verify(text, Some(stored.expose_secret())).await.unwrap();
        assert_eq!(verify(GOOD).await, Verified { ok: true, needs_upgrade: false });
        for wrong in
            ["", "violet teapot on the moo", "Violet teapot on the moon", "violet teapot on the moon "]
        {
            assert_eq!(verify(wrong).await, Verified::NO, "{wrong}");
        }
        assert_ne!(stored.expose_secret(), hasher.hash(&accepted(GOOD)).await.unwrap().expose_secret());
    }

    #[tokio::test]
    async fn one_password_typed_on_two_keyboards_is_one_password() {
        let hasher = hasher();
        let stored = hasher.hash(&accepted("Käse\u{a0}und blaue Pflaumen")).await.unwrap();
        let decomposed = "Ka\u{308}se und blaue Pflaumen";
        assert!(hasher.verify(decomposed, Some(stored.expose_secret())).await.unwrap().ok);
    }

    #[tokio::test]
    async fn every_character_of_a_long_password_counts() {
        let hasher = hasher();
        let long: String = "violet teapot §".chars().cycle().take(200).collect();
        let stored = hasher.hash(&accepted(&long)).await.unwrap();
        assert!(hasher.verify(&long, Some(stored.expose_secret())).await.unwrap().ok);
        let mut other = long.clone();
        other.pop();
        other.push('x');
        assert!(!hasher.verify(&other, Some(stored.expose_secret())).await.unwrap().ok);
    }

    #[tokio::test]
    async fn an_unknown_account_is_refused_whatever_is_sent() {
        let hasher = hasher();
        for text in ["", GOOD, "a\0b", &"x".repeat(1 << 20)] {
            assert_eq!(hasher.verify(text, None).await.unwrap(), Verified::NO);
        }
    }

    /// Attacks: 131.
    #[tokio::test]
    async fn other_parameters_are_accepted_and_flagged() {
        let hasher = hasher();
        let old = |algorithm, version, cost: Cost| {
            let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).unwrap();
            let context = Argon2::new(algorithm, version, params);
            let hash: PasswordHash = context.hash_password_with_salt(GOOD.as_bytes(), &[7; 16]).unwrap();
            hash.to_string()
        };
        let stronger = Cost { memory_kib: 64, passes: 2, lanes: 1 };
        for stored in [
            old(Algorithm::Argon2id, Version::V0x13, stronger),
            old(Algorithm::Argon2i, Version::V0x13, Cost::CHEAP),
            old(Algorithm::Argon2id, Version::V0x10, Cost::CHEAP),
        ] {
            let verified = hasher.verify(GOOD, Some(&stored)).await.unwrap();
            assert_eq!(verified, Verified { ok: true, needs_upgrade: true }, "{stored}");
            assert_eq!(hasher.verify("wrong", Some(&stored)).await.unwrap(), Verified::NO);
            let new = hasher.rehash(GOOD).await.unwrap();
            let again = hasher.verify(GOOD, Some(new.expose_secret())).await.unwrap();
            assert_eq!(again, Verified { ok: true, needs_upgrade: false });
        }
    }

    /// Attacks: 131.
    #[tokio::test]
    async fn bcrypt_is_accepted_and_flagged_in_its_three_spellings() {
        let hasher = hasher();
        let hash = bcrypt::hash_with_salt("short pw", 4, [3; 16]).unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let stored = hash.format_for_version(version);
            let verified = hasher.verify("short pw", Some(&stored)).await.unwrap();
            assert_eq!(verified, Verified { ok: true, needs_upgrade: true }, "{stored}");
            assert_eq!(hasher.verify("short pW", Some(&stored)).await.unwrap(), Verified::NO);
        }
        let broken = hash.format_for_version(bcrypt::Version::TwoX);
        assert_eq!(hasher.verify("short pw", Some(&broken)).await.unwrap(), Verified::NO);
    }

    #[tokio::test]
    async fn bcrypt_never_accepts_a_beginning() {
        let hasher = hasher();
        let exact = "x".repeat(71) + "y";
        let stored = bcrypt::hash_with_salt(&exact, 4, [3; 16]).unwrap().to_string();
        assert!(hasher.verify(&exact, Some(&stored)).await.unwrap().ok);
        // The library itself accepts it: it compares 72 bytes.
        assert!(bcrypt::verify(format!("{exact}z"), &stored).unwrap());
        assert_eq!(hasher.verify(&format!("{exact}z"), Some(&stored)).await.unwrap(), Verified::NO);
    }

    #[tokio::test]
    async fn a_malformed_hash_refuses_and_does_not_fail() {
        let hasher = hasher();
        let good = hasher.hash(&accepted(GOOD)).await.unwrap().expose_secret().to_owned();
        let huge = good.replace("m=8,t=1", "m=4194304,t=4000");
        let cut = &good[..good.rfind('$').unwrap()];
        let endless = bcrypt::hash_with_salt(GOOD, 4, [3; 16]).unwrap().to_string().replace("$04$", "$31$");
        for bad in [
            "",
            "$",
            GOOD,
            "$2b$12$short",
            &endless,
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
            "$scrypt$ln=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0",
            "plain:password",
            &huge,
            cut,
            "ü$2b$",
        ] {
            assert_eq!(hasher.verify(GOOD, Some(bad)).await.unwrap(), Verified::NO, "{bad}");
        }
        assert!(hasher.verify(GOOD, Some(&good)).await.unwrap().ok);
    }

    /// Attacks: 34.
    #[tokio::test]
    async fn beyond_the_queue_the_answer_is_to_try_again() {
        let settings =
            HashSettings { cost: Cost { memory_kib: 4096, passes: 3, lanes: 1 }, parallel: 1, waiting: 2 };
        let hasher = Hasher::start(settings).unwrap();
        let all = (0..16).map(|_| {
            let hasher = hasher.clone();
            tokio::spawn(async move { hasher.verify(GOOD, None).await })
        });
        let mut limited = 0;
        for task in all.collect::<Vec<_>>() {
            match task.await.unwrap() {
                Ok(verified) => assert_eq!(verified, Verified::NO),
                Err(Error::Limited(_)) => limited += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!((1..=13).contains(&limited), "{limited}");
        assert!(hasher.verify(GOOD, None).await.is_ok(), "room comes back");
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_does_not_make_room_early() {
        let hasher = Hasher::start(HashSettings { cost: Cost::CHEAP, parallel: 1, waiting: 0 }).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let task = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.run(move || held.recv()).await }
        });
        while hasher.0.running.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let verified = tokio::time::timeout(Duration::from_secs(5), hasher.verify(GOOD, None)).await;
        assert!(matches!(verified, Ok(Err(Error::Limited(_)))));
        release.send(()).unwrap();
        while hasher.0.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(hasher.verify(GOOD, None).await.is_ok());
    }

    /// Attacks: 124.
    #[tokio::test]
    async fn once_a_slow_kind_is_known_every_failure_takes_as_long() {
        let hasher = hasher();
        let legacy = bcrypt::hash_with_salt("short pw", 8, [3; 16]).unwrap().to_string();
        let current = hasher.hash(&accepted(GOOD)).await.unwrap().expose_secret().to_owned();
        assert_eq!(hasher.0.floor(), Duration::ZERO);
        hasher.learn(&legacy).await.unwrap();
        let floor = hasher.0.floor();
        assert!(floor > Duration::ZERO);
        for stored in [None, Some(current.as_str()), Some(legacy.as_str()), Some("malformed")] {
            let started = Instant::now();
            assert!(!hasher.verify("wrong", stored).await.unwrap().ok);
            assert!(started.elapsed() >= floor, "{stored:?}");
        }
        assert_eq!(hasher.0.floor(), floor, "later measurements do not creep upwards");
    }

    /// Attacks: 124.
    #[test]
    fn a_cheaper_old_hash_does_not_answer_sooner() {
        let cost = Cost { memory_kib: 8192, passes: 2, lanes: 1 };
        let hasher = Hasher::start(HashSettings { cost, parallel: 2, waiting: 64 }).unwrap();
        let cheap = hash_with(&Params::new(8, 1, 1, Some(32)).unwrap(), GOOD.as_bytes()).unwrap().to_string();
        let mut fastest = [Duration::MAX; 2];
        for _ in 0..5 {
            for (fastest, stored) in fastest.iter_mut().zip([None, Some(cheap.as_str())]) {
                let started = Instant::now();
                assert_eq!(hasher.0.verify("wrong", stored), Verified::NO);
                *fastest = started.elapsed().min(*fastest);
            }
        }
        // The comparison alone takes a thousandth of the dummy; half leaves room for a busy machine.
        let [unknown, old] = fastest;
        assert!(old > unknown / 2, "unknown {unknown:?}, old {old:?}");
        assert!(hasher.0.floor() > unknown / 2);
    }

    /// Run alone, on a release build: `cargo test --release -- --ignored same_time`.
    #[tokio::test]
    #[ignore = "measures time"]
    async fn known_and_unknown_addresses_take_the_same_time() {
        let hasher = Hasher::start(HashSettings::default()).unwrap();
        let stored = hasher.hash(&accepted(GOOD)).await.unwrap();
        let mut spent = [Duration::ZERO; 2];
        for round in 0..1000 {
            let stored = (round % 2 == 0).then_some(stored.expose_secret());
            let started = Instant::now();
            assert!(!hasher.verify("wrong password", stored).await.unwrap().ok);
            spent[round % 2] += started.elapsed();
        }
        let [known, unknown] = spent.map(|time| time.as_secs_f64());
        println!("known {:.3} ms, unknown {:.3} ms", known * 2.0, unknown * 2.0);
        assert!((known / unknown - 1.0).abs() < 0.05, "known {known}, unknown {unknown}");
    }

    // One-time secrets

    const KINDS: [SecretKind; 3] =
        [SecretKind::Invitation, SecretKind::PasswordReset, SecretKind::EmailVerification];

    #[test]
    fn a_secret_is_read_by_its_own_kind_only() {
        for kind in KINDS {
            let secret = kind.generate().unwrap();
            let text = secret.text.expose_secret();
            assert_eq!(kind.parse(text), Some(secret.hash));
            assert!(ApiKey::parse(text).is_none());
            for other in KINDS.into_iter().filter(|other| *other != kind) {
                assert_eq!(other.parse(text), None);
                let dressed = text.replace(kind.prefix(), other.prefix());
                assert_ne!(other.parse(&dressed), Some(secret.hash), "the prefix is part of what is hashed");
            }
        }
    }

    #[test]
    fn a_secret_has_one_canonical_form() {
        let secret = SecretKind::Invitation.generate().unwrap();
        let text = secret.text.expose_secret();
        let mut loose = text.to_owned();
        let last = loose.pop().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let sibling = alphabet.chars().nth(alphabet.find(last).unwrap() ^ 1).unwrap();
        loose.push(sibling);
        for bad in [
            "",
            "aicos_inv_",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}="),
            &format!("{text}A"),
            &format!(" {text}"),
            &text.to_uppercase(),
            &loose,
            &text.replace(|c: char| c.is_ascii_digit(), "+"),
            &format!("aicos_inv_{}", "ü".repeat(22)),
            &format!("aicos_inv_{}", "A".repeat(1 << 20)),
        ] {
            assert!(bad == text || SecretKind::Invitation.parse(bad).is_none(), "{bad}");
        }
        assert!(SecretKind::Invitation.parse(text).is_some());
    }

    /// Attacks: 82.
    #[test]
    fn hashes_match_only_themselves() {
        let (a, b) = (SecretKind::Invitation.generate().unwrap(), SecretKind::Invitation.generate().unwrap());
        assert!(a.hash.matches(a.hash.bytes()));
        assert!(!a.hash.matches(b.hash.bytes()));
        assert!(!a.hash.matches(&a.hash.bytes()[..31]));
        assert!(!a.hash.matches(b""));
    }

    // API keys

    #[test]
    fn a_key_round_trips_and_its_hint_gives_nothing_away() {
        let id = ApiKeyId::generate();
        let key = ApiKey::generate(id).unwrap();
        let text = key.text.expose_secret();
        assert_eq!(text.len(), 69);
        assert_eq!(ApiKey::parse(text), Some((id, key.hash)));
        assert_eq!(key.hint, format!("{}…{}", &text[..14], &text[65..]));
        assert!(text.starts_with(&format!("aicos_{}_", id::encode(id.uuid()))));
        assert!(KINDS.iter().all(|kind| kind.parse(text).is_none()));
        assert_ne!(text, ApiKey::generate(id).unwrap().text.expose_secret());
    }

    /// Attacks: 83.
    #[test]
    fn one_wrong_character_is_noticed_without_a_database() {
        let key = ApiKey::generate(ApiKeyId::generate()).unwrap();
        let text = key.text.expose_secret();
        for at in 0..text.len() {
            for other in ['0', '1', 'a', 'Z', '_', '-', ' '] {
                let mut changed: Vec<char> = text.chars().collect();
                changed[at] = other;
                let changed: String = changed.into_iter().collect();
                assert!(changed == text || ApiKey::parse(&changed).is_none(), "{at} {other}");
            }
        }
        for bad in [
            "",
            "aicos_",
            &text[1..],
            &text[..68],
            &format!("{text}0"),
            &"é".repeat(35),
            &"x".repeat(1 << 20),
        ] {
            assert!(ApiKey::parse(bad).is_none(), "{bad}");
        }
    }

    /// Attacks: 82.
    #[test]
    fn the_right_id_with_another_secret_has_another_hash() {
        let id = ApiKeyId::generate();
        let (real, forged) = (ApiKey::generate(id).unwrap(), ApiKey::generate(id).unwrap());
        let (read, hash) = ApiKey::parse(forged.text.expose_secret()).unwrap();
        assert_eq!(read, id);
        assert!(!hash.matches(real.hash.bytes()));
    }

    #[test]
    fn the_secret_uses_all_62_characters_evenly() {
        let mut counts = HashMap::new();
        for _ in 0..6000 {
            let key = ApiKey::generate(ApiKeyId::generate()).unwrap();
            for character in key.text.expose_secret()[33..63].chars() {
                *counts.entry(character).or_insert(0u32) += 1;
            }
        }
        assert_eq!(counts.len(), 62);
        // 180,000 draws give about 2903 each; six standard deviations are 321, and bytes taken modulo 62 without
        // rejection would be off by twice that.
        assert!(counts.values().all(|count| (2582..3225).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_checksum_is_crc_32_in_base62() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum("123456789").len(), 6);
        let back = checksum("123456789").chars().fold(0u64, |sum, c| {
            let digit = (0..62).find(|n| base62(*n) == c).unwrap();
            sum * 62 + u64::from(digit)
        });
        assert_eq!(back, 0xCBF4_3926);
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = ApiKey::generate(ApiKeyId::generate()).unwrap();
        let secret = SecretKind::PasswordReset.generate().unwrap();
        let printed = format!("{key:?} {secret:?} {:?} {:?}", accepted(GOOD), hasher());
        assert!(!printed.contains(&key.text.expose_secret()[33..]));
        assert!(!printed.contains(secret.text.expose_secret()));
        assert!(!printed.contains(GOOD));
        assert!(!printed.contains("$argon2"));
    }
}
