//! The master keys: everything secret that is stored or derived hangs on them.
//!
//! A master key never encrypts or signs anything itself. Each [`Purpose`] has its own key derived from it, so that
//! what was made for one purpose is worthless for another. Several master keys may be alive: the first one makes, all
//! of them read, and that is how they are rotated.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use subtle::ConstantTimeEq;

use super::credentials::random;
use crate::error::{Error, Result};

/// Bytes of a master key and of every key derived from one.
pub const KEY_BYTES: usize = 32;
/// How many master keys may be alive at once.
pub const MAX_KEYS: usize = 8;

const FORMAT: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES;
/// A file of [`MAX_KEYS`] keys is shorter; anything longer is not ours.
const MAX_FILE_BYTES: u64 = 1024;

/// What a derived key is for: the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Refresh tokens, which are derived and not stored.
    RefreshTokens,
    /// The private halves of the keys that sign access tokens.
    SigningKeys,
    /// The MACs of list cursors.
    Cursors,
    /// Organizations' keys of providers of models.
    ProviderKeys,
    /// Access tokens of connected accounts.
    AccountTokens,
    /// The secrets that sign what webhooks send.
    WebhookSecrets,
    /// The MACs of addresses at which assets are sent and fetched.
    Assets,
}

impl Purpose {
    /// The label that goes into the derivation; changing one loses everything made under it.
    const fn label(self) -> &'static str {
        match self {
            Self::RefreshTokens => "refresh tokens",
            Self::SigningKeys => "signing keys",
            Self::Cursors => "cursors",
            Self::ProviderKeys => "provider keys",
            Self::AccountTokens => "account tokens",
            Self::WebhookSecrets => "webhook secrets",
            Self::Assets => "assets",
        }
    }
}

/// Why master keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// A key is not 32 bytes of base64.
    #[error("master key {position} is not 32 bytes of base64; make one with `openssl rand -base64 32`")]
    Malformed {
        /// Which one, counted from 1.
        position: usize,
    },
    /// A key is all the same byte.
    #[error("master key {position} is not random; make one with `openssl rand -base64 32`")]
    NotRandom {
        /// Which one, counted from 1.
        position: usize,
    },
    /// None, too many, or one twice.
    #[error(
        "give between 1 and {MAX_KEYS} different master keys, separated by commas, the current one first"
    )]
    Count,
    /// The file is readable by others.
    #[error("{} can be read by other users; run `chmod 600` on it and consider the keys in it as known", .0.display())]
    Exposed(PathBuf),
    /// The file cannot be read or written.
    #[error("the master key file {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness")]
    Random,
}

/// Why sealed bytes cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// They were sealed under a master key that is not here.
    #[error(
        "a stored secret was sealed under a master key that is not configured; add it to AICOS_MASTER_KEY"
    )]
    UnknownKey,
    /// They were changed, cut, or belong to another purpose or row.
    #[error("a stored secret is damaged or does not belong where it was found")]
    Damaged,
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::internal(error)
    }
}

struct MasterKey {
    id: [u8; KEY_ID_BYTES],
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl MasterKey {
    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&mac(&bytes[..], b"aicos master key id v1", b"")[..KEY_ID_BYTES]);
        Self { id, bytes }
    }

    fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; KEY_BYTES]> {
        mac(&self.bytes[..], b"aicos master key v1\0", purpose.label().as_bytes())
    }

    fn cipher(&self, purpose: Purpose) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM_SIV, &self.derive(purpose)[..]).ok()
    }
}

/// HMAC-SHA256 over two parts.
fn mac(key: &[u8], first: &[u8], second: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(first);
    context.update(second);
    let mut out = Zeroizing::new([0; KEY_BYTES]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// The server's master keys, the current one first.
pub struct MasterKeys {
    keys: Vec<MasterKey>,
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeys").field("count", &self.keys.len()).finish_non_exhaustive()
    }
}

impl MasterKeys {
    /// Reads one or several keys, each 32 bytes of base64, separated by commas or white space.
    pub fn parse(text: &SecretString) -> Result<Self, MasterKeyError> {
        let mut keys: Vec<MasterKey> = Vec::new();
        let parts = text.expose_secret().split([',', '\n', ' ', '\t', '\r']).filter(|part| !part.is_empty());
        for (index, part) in parts.enumerate() {
            let position = index + 1;
            let decoded =
                Zeroizing::new(STANDARD.decode(part).map_err(|_| MasterKeyError::Malformed { position })?);
            if decoded.len() != KEY_BYTES {
                return Err(MasterKeyError::Malformed { position });
            }
            let mut bytes = Zeroizing::new([0; KEY_BYTES]);
            bytes.copy_from_slice(&decoded);
            if bytes.iter().all(|byte| *byte == bytes[0]) {
                return Err(MasterKeyError::NotRandom { position });
            }
            let known = keys.iter().any(|key| bool::from(key.bytes[..].ct_eq(&bytes[..])));
            if known || position > MAX_KEYS {
                return Err(MasterKeyError::Count);
            }
            keys.push(MasterKey::new(bytes));
        }
        if keys.is_empty() {
            return Err(MasterKeyError::Count);
        }
        Ok(Self { keys })
    }

    /// Makes one fresh key.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let bytes = Zeroizing::new(random::<KEY_BYTES>().map_err(|_| MasterKeyError::Random)?);
        Ok(Self { keys: vec![MasterKey::new(bytes)] })
    }

    /// The text that [`MasterKeys::parse`] reads.
    pub fn to_text(&self) -> SecretString {
        let keys: Vec<String> = self.keys.iter().map(|key| STANDARD.encode(&key.bytes[..])).collect();
        keys.join(",").into()
    }

    /// Reads the keys of the data folder, or makes the file, readable by its owner only.
    ///
    /// Blocks; it is called once at start. Two processes that start together end with the same key: the file appears
    /// complete or not at all, and the first one wins.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        let fault = |source| MasterKeyError::File { path: path.to_owned(), source };
        if let Some(keys) = Self::load(path)? {
            return Ok(keys);
        }
        let fresh = Self::generate()?;
        let suffix: [u8; 8] = random().map_err(|_| MasterKeyError::Random)?;
        let draft = path.with_extension(format!("{:016x}.new", u64::from_be_bytes(suffix)));
        let written = write_private(&draft, &fresh.to_text()).and_then(|()| std::fs::hard_link(&draft, path));
        let cleared = std::fs::remove_file(&draft);
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(fault(error)),
        }
        cleared.map_err(fault)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // The name itself must survive a power cut, or everything sealed until then is lost.
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)?;
        }
        Self::load(path)?.ok_or_else(|| fault(std::io::ErrorKind::NotFound.into()))
    }

    fn load(path: &Path) -> Result<Option<Self>, MasterKeyError> {
        let fault = |source| MasterKeyError::File { path: path.to_owned(), source };
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let metadata = file.metadata().map_err(fault)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
            return Err(fault(std::io::ErrorKind::InvalidData.into()));
        }
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
            return Err(MasterKeyError::Exposed(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(fault)?;
        Self::parse(&SecretString::from(text.as_str())).map(Some)
    }

    /// One key per master key for a purpose that makes its own use of them, the current one first.
    pub fn derive(&self, purpose: Purpose) -> Vec<Zeroizing<[u8; KEY_BYTES]>> {
        self.keys.iter().map(|key| key.derive(purpose)).collect()
    }

    /// Encrypts under the current key.
    ///
    /// `aad` names the place that the result is stored in (a row's id, for example). It is not stored; opening with
    /// another one fails, so that sealed bytes copied into another row are refused.
    pub fn seal(&self, purpose: Purpose, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let key = self.keys.first().ok_or_else(|| Error::internal(MasterKeyError::Count))?;
        let broken = || Error::internal(anyhow::anyhow!("encryption is not available"));
        let header = header(key.id);
        let mut body = plaintext.to_vec();
        let nonce = key
            .cipher(purpose)
            .ok_or_else(broken)?
            .seal_in_place_append_tag(Aad::from([&header[..], aad].concat()), &mut body)
            .map_err(|_| broken())?;
        Ok([&header[..], nonce.as_ref(), &body].concat())
    }

    /// Decrypts with whichever master key it was sealed under.
    pub fn open(&self, purpose: Purpose, sealed: &[u8], aad: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        if sealed.len() < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || sealed[0] != FORMAT {
            return Err(OpenError::Damaged);
        }
        let (header, rest) = sealed.split_at(HEADER_BYTES);
        let (nonce, body) = rest.split_at(NONCE_BYTES);
        let key = self.keys.iter().find(|key| key.id == header[1..]).ok_or(OpenError::UnknownKey)?;
        let cipher = key.cipher(purpose).ok_or(OpenError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plaintext = cipher
            .open_in_place(nonce, Aad::from([header, aad].concat()), &mut body)
            .map_err(|_| OpenError::Damaged)?;
        Ok(SecretSlice::from(plaintext.to_vec()))
    }

    /// Whether these bytes were sealed under the current key; when not, they are due to be sealed again.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        self.keys.first().is_some_and(|key| sealed.get(..HEADER_BYTES) == Some(&header(key.id)[..]))
    }

    /// What everything that is sealed under the current key begins with.
    pub fn current(&self) -> Vec<u8> {
        self.keys.first().map(|key| header(key.id).to_vec()).unwrap_or_default()
    }
}

fn header(id: [u8; KEY_ID_BYTES]) -> [u8; HEADER_BYTES] {
    let mut header = [FORMAT; HEADER_BYTES];
    header[1..].copy_from_slice(&id);
    header
}

fn write_private(path: &Path, text: &SecretString) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<MasterKeys, MasterKeyError> {
        MasterKeys::parse(&text.into())
    }

    fn fresh() -> MasterKeys {
        MasterKeys::generate().unwrap()
    }

    fn joined(all: &[&MasterKeys]) -> MasterKeys {
        let texts: Vec<String> = all.iter().map(|keys| keys.to_text().expose_secret().to_owned()).collect();
        keys(&texts.join(",")).unwrap()
    }

    fn folder() -> PathBuf {
        let path = std::env::temp_dir().join(format!("aicos-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn what_is_sealed_opens_only_for_its_purpose_and_its_place() {
        let keys = fresh();
        let sealed = keys.seal(Purpose::SigningKeys, b"sk-1", b"org 1").unwrap();
        let opened = keys.open(Purpose::SigningKeys, &sealed, b"org 1").unwrap();
        assert_eq!(opened.expose_secret(), b"sk-1");
        assert!(!sealed.windows(4).any(|window| window == b"sk-1"));
        assert_ne!(sealed, keys.seal(Purpose::SigningKeys, b"sk-1", b"org 1").unwrap());
        for (purpose, aad) in [(Purpose::Cursors, &b"org 1"[..]), (Purpose::SigningKeys, b"org 2")] {
            assert_eq!(keys.open(purpose, &sealed, aad).unwrap_err(), OpenError::Damaged);
        }
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let keys = fresh();
        let sealed = keys.seal(Purpose::SigningKeys, b"private", b"kid").unwrap();
        assert!(keys.open(Purpose::SigningKeys, &sealed, b"kid").is_ok());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(keys.open(Purpose::SigningKeys, &changed, b"kid").is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(keys.open(Purpose::SigningKeys, &sealed[..length], b"kid").is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_retired_key_opens_but_no_longer_seals() {
        let (old, new) = (fresh(), fresh());
        let sealed = old.seal(Purpose::SigningKeys, b"sk", b"").unwrap();
        let both = joined(&[&new, &old]);
        assert_eq!(both.open(Purpose::SigningKeys, &sealed, b"").unwrap().expose_secret(), b"sk");
        assert!(!both.is_current(&sealed));
        let again = both.seal(Purpose::SigningKeys, b"sk", b"").unwrap();
        assert!(both.is_current(&again));
        assert!(new.open(Purpose::SigningKeys, &again, b"").is_ok());
        assert_eq!(new.open(Purpose::SigningKeys, &sealed, b"").unwrap_err(), OpenError::UnknownKey);
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_by_master_key() {
        let (a, b) = (fresh(), fresh());
        let both = joined(&[&a, &b]);
        let refresh = both.derive(Purpose::RefreshTokens);
        assert_eq!(refresh.len(), 2);
        assert_ne!(refresh[0], refresh[1]);
        assert_eq!(refresh[0], a.derive(Purpose::RefreshTokens)[0]);
        assert_ne!(refresh[0], both.derive(Purpose::Cursors)[0]);
    }

    #[test]
    fn only_random_different_32_byte_keys_are_read() {
        let good = fresh().to_text().expose_secret().to_owned();
        assert!(keys(&good).is_ok());
        assert!(keys(&format!(" {good}\n")).is_ok());
        let short = STANDARD.encode([7u8; 31]);
        let long = STANDARD.encode([7u8; 33]);
        for bad in ["", ",", "secret", &short, &long, &good[1..], &format!("{good},x")] {
            assert!(keys(bad).is_err(), "{bad}");
        }
        assert!(matches!(keys(&STANDARD.encode([0u8; 32])), Err(MasterKeyError::NotRandom { position: 1 })));
        assert!(matches!(keys(&format!("{good},{good}")), Err(MasterKeyError::Count)));
        let many: Vec<String> = (0..9).map(|_| fresh().to_text().expose_secret().to_owned()).collect();
        assert!(keys(&many[..8].join(",")).is_ok());
        assert!(matches!(keys(&many.join(",")), Err(MasterKeyError::Count)));
    }

    #[test]
    fn debug_and_errors_show_no_key() {
        let keys = fresh();
        let text = keys.to_text().expose_secret().to_owned();
        assert!(!format!("{keys:?}").contains(&text));
        let error = MasterKeys::parse(&format!("{}x", &text[..43]).into()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&text[..20]));
    }

    #[test]
    fn the_file_is_made_once_and_only_for_its_owner() {
        let folder = folder();
        let path = folder.join("master.key");
        let first = MasterKeys::load_or_create(&path).unwrap();
        let second = MasterKeys::load_or_create(&path).unwrap();
        assert_eq!(first.to_text().expose_secret(), second.to_text().expose_secret());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no draft is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(MasterKeys::load_or_create(&path), Err(MasterKeyError::Exposed(_))));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(MasterKeys::load_or_create(&path), Err(MasterKeyError::Malformed { .. })));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn processes_that_start_together_end_with_one_key() {
        let folder = folder();
        let path = folder.join("master.key");
        let texts: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| MasterKeys::load_or_create(&path).unwrap().to_text()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap().expose_secret().to_owned()).collect()
        });
        assert!(texts.iter().all(|text| text == &texts[0]));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
