//! Object storage: a local folder, or any store that speaks S3, behind one adapter.
//!
//! A [`Storage`] is opened once. It is reached through a [`TenantStorage`], which only a tenant's scope makes: every key
//! lies under `organizations/<organization>/`, is put together here from ids, and is never read from a caller. The one
//! library knows how to talk to the stores; a folder's addresses are signed here, because it has none of its own.

pub mod address;
mod location;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};
use object_store::{
    Attribute, Attributes, ClientOptions, Error as StoreError, GetOptions, ObjectStore, ObjectStoreExt as _,
    PutOptions, PutPayload,
};
use secrecy::ExposeSecret as _;
use tokio::io::AsyncWriteExt as _;
use url::Url;
use uuid::Uuid;

use self::address::{Keys, Ticket, Verb};
pub use self::location::{Bucket, Location};
use crate::access::Scope;
use crate::error::{Error, Result};
use crate::id::{AssetId, OrganizationId, ProjectId, encode};

/// Bytes that are held in memory of an object that is being written; S3 takes no smaller part.
const PART: usize = 5 * 1024 * 1024;

/// The pieces of an object on its way.
pub type Pieces = BoxStream<'static, Result<Bytes>>;

/// Where objects are kept.
pub struct Storage {
    objects: Arc<dyn ObjectStore>,
    place: Place,
    /// What every key begins with in the store.
    prefix: Path,
}

enum Place {
    /// Its objects are sent to and fetched from this server, at addresses below its own.
    Folder { keys: Keys, base: Url, shown: String },
    /// Its objects are sent to and fetched from the store itself.
    Bucket { signer: Box<AmazonS3>, shown: String },
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage").field(&self.shown()).finish()
    }
}

/// All that belongs to one asset: what has been sent, and what is kept.
#[derive(Debug, Clone)]
pub struct Folder(String);

/// One object.
#[derive(Debug, Clone)]
pub struct Key(String);

impl Folder {
    fn of(organization: OrganizationId, project: Option<ProjectId>, asset: AssetId) -> Self {
        Self(match project {
            Some(project) => format!("organizations/{organization}/projects/{project}/{asset}"),
            None => format!("organizations/{organization}/shared/{asset}"),
        })
    }

    /// What is sent to the asset, before anybody has looked at it.
    pub fn upload(&self) -> Key {
        Key(format!("{}/upload", self.0))
    }

    /// An object of the asset by its name.
    pub fn object(&self, name: Uuid) -> Key {
        Key(format!("{}/{}", self.0, encode(name)))
    }

    /// An object that was made from another one of the asset: it stays and goes with that.
    pub fn derived(&self, name: Uuid, suffix: &str) -> Key {
        Key(format!("{}/{}-{suffix}", self.0, encode(name)))
    }
}

/// What a browser shall make of an object.
#[derive(Debug, Clone)]
pub struct Presentation {
    /// What kind of file it is.
    pub mime_type: String,
    /// What it is called when it is saved.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Presentation {
    /// The `Content-Disposition`: pictures, videos and audio may be shown, everything else is saved.
    pub fn disposition(mime_type: &str, name: &str) -> String {
        let shown = ["image/", "video/", "audio/"].iter().any(|kind| mime_type.starts_with(kind));
        format!("{}; filename=\"{name}\"", if shown { "inline" } else { "attachment" })
    }
}

/// Why an object was not written.
#[derive(Debug)]
pub enum Unwritten {
    /// More or fewer bytes came than were announced.
    Length,
    /// Its sender, or whoever looked at it, broke off.
    Broken(Error),
    /// The store did not take it.
    Store(Error),
}

impl From<Unwritten> for Error {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Length => {
                Self::internal(anyhow::anyhow!("an object has another length than it should"))
            }
            Unwritten::Broken(error) | Unwritten::Store(error) => error,
        }
    }
}

fn unavailable(error: StoreError) -> Error {
    match error {
        StoreError::NotFound { .. } => Error::NotFound,
        error => Error::unavailable(anyhow::Error::from(error).context("the object storage does not answer")),
    }
}

impl Storage {
    /// Opens it. `keys` sign a folder's addresses, which begin with `base`.
    ///
    /// # Errors
    /// A sentence that names the fix.
    pub fn open(location: &Location, keys: Keys, base: &Url) -> anyhow::Result<Self> {
        match location {
            Location::Folder(folder) => {
                let shown = folder.display().to_string();
                let open = || {
                    std::fs::create_dir_all(folder)?;
                    #[cfg(unix)]
                    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
                    std::fs::canonicalize(folder)
                };
                let folder = open().with_context(|| {
                    format!("STORAGE_URL is {shown}, which cannot be made or written. Choose another folder.")
                })?;
                let objects = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true);
                let place = Place::Folder { keys, base: base.clone(), shown };
                Ok(Self { objects: Arc::new(objects), place, prefix: Path::default() })
            }
            Location::Bucket(bucket) => {
                let options = ClientOptions::new()
                    .with_timeout(Duration::from_mins(5))
                    .with_connect_timeout(Duration::from_secs(5));
                let mut builder = AmazonS3Builder::new()
                    .with_client_options(options)
                    .with_bucket_name(&bucket.name)
                    .with_region(&bucket.region);
                if let Some(endpoint) = &bucket.endpoint {
                    builder = builder
                        .with_allow_http(endpoint.scheme() == "http")
                        .with_endpoint(endpoint.as_str().trim_end_matches('/'));
                }
                if let Some((id, secret)) = &bucket.credentials {
                    builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
                }
                let store = builder.build().context("STORAGE_URL cannot be used")?;
                let shown = format!("the bucket {}", bucket.name);
                let place = Place::Bucket { signer: Box::new(store.clone()), shown };
                Ok(Self { objects: Arc::new(store), place, prefix: Path::from(&*bucket.prefix) })
            }
        }
    }

    /// Where it is, without anything secret.
    pub fn shown(&self) -> &str {
        match &self.place {
            Place::Folder { shown, .. } | Place::Bucket { shown, .. } => shown,
        }
    }

    /// One tenant's part of it.
    pub fn of(&self, scope: &Scope) -> TenantStorage<'_> {
        TenantStorage { storage: self, organization: scope.organization() }
    }

    /// Writes, reads and removes something small.
    ///
    /// # Errors
    /// What the store says.
    pub async fn check(&self) -> Result<()> {
        let key = Key(format!("checks/{}", encode(Uuid::now_v7())));
        self.put(&key, "text/plain", Bytes::from_static(b"ok")).await?;
        let found = self.get(&key, 2).await;
        self.objects.delete(&self.path(&key)).await.map_err(unavailable)?;
        found.map(drop)
    }

    /// Removes what is left of an asset whose row is gone, or everything but the object that is kept and what was made from
    /// it. For the sweep alone (held by `tests/tidy.rs`).
    ///
    /// # Errors
    /// What the store says.
    pub async fn clear_leftover(
        &self,
        organization: OrganizationId,
        project: Option<ProjectId>,
        asset: AssetId,
        keep: Option<Uuid>,
    ) -> Result<()> {
        let folder = Folder::of(organization, project, asset);
        self.clear(&folder, keep.map(|name| folder.object(name)).as_ref()).await
    }

    /// What an address of this server's says, when it was signed here for this and is still good.
    pub fn admit(&self, verb: Verb, key: &str, query: &str) -> Option<Ticket> {
        match &self.place {
            Place::Folder { keys, .. } => keys.verify(verb, key, query, Utc::now()),
            Place::Bucket { .. } => None,
        }
    }

    /// Takes what is sent to an address.
    ///
    /// # Errors
    /// Why it was not written; then nothing of it is kept.
    pub async fn take(&self, ticket: &Ticket, pieces: Pieces) -> Result<(), Unwritten> {
        self.write(&Key(ticket.key.clone()), None, ticket.bytes, pieces).await
    }

    /// Gives what is fetched from an address, or a part of it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what the store says.
    pub async fn give(&self, ticket: &Ticket, range: Option<Range<u64>>) -> Result<Pieces> {
        self.pieces(&Key(ticket.key.clone()), range).await.map(|(_, pieces)| pieces)
    }

    fn path(&self, key: &Key) -> Path {
        self.prefix.parts().chain(Path::from(&*key.0).parts()).collect()
    }

    fn attributes(&self, mime_type: Option<&str>) -> Attributes {
        let mut attributes = Attributes::new();
        // A folder knows no kinds: whoever fetches from it is told by the address.
        if let (Place::Bucket { .. }, Some(mime_type)) = (&self.place, mime_type) {
            attributes.insert(Attribute::ContentType, mime_type.to_owned().into());
        }
        attributes
    }

    async fn put(&self, key: &Key, mime_type: &str, bytes: Bytes) -> Result<()> {
        let options = PutOptions { attributes: self.attributes(Some(mime_type)), ..PutOptions::default() };
        let path = self.path(key);
        self.objects.put_opts(&path, PutPayload::from(bytes), options).await.map_err(unavailable)?;
        Ok(())
    }

    /// Writes an object of exactly so many bytes, a part at a time. Broken off, nothing is kept.
    async fn write(
        &self,
        key: &Key,
        mime_type: Option<&str>,
        bytes: u64,
        mut pieces: impl Stream<Item = Result<Bytes>> + Unpin + Send,
    ) -> Result<(), Unwritten> {
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.objects), self.path(key), PART)
            .with_max_concurrency(2)
            .with_attributes(self.attributes(mime_type));
        let mut left = bytes;
        let filled = async {
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(Unwritten::Broken)?;
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                left = left.checked_sub(length).ok_or(Unwritten::Length)?;
                writer.put(piece).await.map_err(|error| Unwritten::Store(unavailable(error)))?;
            }
            if left == 0 { Ok(()) } else { Err(Unwritten::Length) }
        };
        let filled = filled.await;
        if filled.is_ok() {
            return writer.shutdown().await.map_err(|error| Unwritten::Store(Error::unavailable(error)));
        }
        if let Err(error) = writer.abort().await {
            tracing::warn!("what was written of an object could not be removed: {error}");
        }
        filled
    }

    /// The bytes of an object, or of a part of it, and how many the whole has.
    async fn pieces(&self, key: &Key, range: Option<Range<u64>>) -> Result<(u64, Pieces)> {
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        let found = self.objects.get_opts(&self.path(key), options).await.map_err(unavailable)?;
        let bytes = found.meta.size;
        Ok((bytes, found.into_stream().map_err(unavailable).boxed()))
    }

    async fn get(&self, key: &Key, most: u64) -> Result<Bytes> {
        let (bytes, mut pieces) = self.pieces(key, None).await?;
        if bytes > most {
            return Err(Error::internal(anyhow::anyhow!(
                "an object has {bytes} bytes, more than the {most} asked for"
            )));
        }
        let mut whole = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        while let Some(piece) = pieces.try_next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    }

    async fn clear(&self, folder: &Folder, keep: Option<&Key>) -> Result<()> {
        let keep = keep.map(|key| self.path(key));
        let stays = move |path: &Path| {
            let rest = keep.as_ref().and_then(|keep| path.as_ref().strip_prefix(keep.as_ref()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let prefix = self.path(&Key(folder.0.clone()));
        let objects = self.objects.list(Some(&prefix)).map_ok(|found| found.location);
        let gone = objects.try_filter(move |path| std::future::ready(!stays(path))).boxed();
        let mut removed = self.objects.delete_stream(gone);
        while let Some(removed) = removed.next().await {
            match removed {
                // Somebody else was faster.
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Ok(())
    }
}

/// One tenant's part of the storage: whoever holds it reaches nothing else.
#[derive(Debug, Clone, Copy)]
pub struct TenantStorage<'a> {
    storage: &'a Storage,
    organization: OrganizationId,
}

impl TenantStorage<'_> {
    /// Where an asset's objects are.
    pub fn folder(&self, project: Option<ProjectId>, asset: AssetId) -> Folder {
        Folder::of(self.organization, project, asset)
    }

    /// Refuses a key that another tenant's adapter has made.
    fn own(&self, key: &str) -> Result<()> {
        let root = format!("organizations/{}/", self.organization);
        if key.starts_with(&root) {
            return Ok(());
        }
        Err(Error::internal(anyhow::anyhow!("an object of another tenant was asked for")))
    }

    /// Writes an object at once.
    ///
    /// # Errors
    /// What the store says.
    pub async fn put(&self, key: &Key, mime_type: &str, bytes: Bytes) -> Result<()> {
        self.own(&key.0)?;
        self.storage.put(key, mime_type, bytes).await
    }

    /// Writes an object of exactly so many bytes from its pieces. Broken off, nothing of it is kept.
    ///
    /// # Errors
    /// Why it was not written.
    pub async fn write(
        &self,
        key: &Key,
        mime_type: &str,
        bytes: u64,
        pieces: impl Stream<Item = Result<Bytes>> + Unpin + Send,
    ) -> Result<(), Unwritten> {
        self.own(&key.0).map_err(Unwritten::Store)?;
        self.storage.write(key, Some(mime_type), bytes, pieces).await
    }

    /// Reads an object of at most so many bytes at once.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what the store says.
    pub async fn get(&self, key: &Key, most: u64) -> Result<Bytes> {
        self.own(&key.0)?;
        self.storage.get(key, most).await
    }

    /// How many bytes an object has, and its pieces.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what the store says.
    pub async fn pieces(&self, key: &Key) -> Result<(u64, Pieces)> {
        self.own(&key.0)?;
        self.storage.pieces(key, None).await
    }

    /// How many bytes an object has; none when it is not there.
    ///
    /// # Errors
    /// What the store says.
    pub async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.own(&key.0)?;
        match self.storage.objects.head(&self.storage.path(key)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Removes everything of an asset.
    ///
    /// # Errors
    /// What the store says.
    pub async fn clear(&self, folder: &Folder) -> Result<()> {
        self.own(&folder.0)?;
        self.storage.clear(folder, None).await
    }

    /// Removes one object.
    ///
    /// # Errors
    /// What the store says.
    pub async fn remove(&self, key: &Key) -> Result<()> {
        self.own(&key.0)?;
        match self.storage.objects.delete(&self.storage.path(key)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Where an object of exactly so many bytes may be sent with `PUT`, until a moment. A folder takes no other length; a
    /// bucket's addresses cannot say one, so that it has to be looked at when the object is there.
    ///
    /// # Errors
    /// What the store says.
    pub async fn upload_address(&self, key: &Key, bytes: u64, until: DateTime<Utc>) -> Result<Url> {
        self.own(&key.0)?;
        match &self.storage.place {
            Place::Folder { keys, base, .. } => {
                let ticket = Ticket {
                    verb: Verb::Put,
                    key: key.0.clone(),
                    expires: until.timestamp(),
                    bytes,
                    mime_type: String::new(),
                };
                signed(keys.sign(base, &ticket))
            }
            Place::Bucket { signer, .. } => {
                let url = signer.signed_url(Method::PUT, &self.storage.path(key), lasting(until)).await;
                url.map_err(unavailable)
            }
        }
    }

    /// Where an object may be fetched with `GET`, until a moment.
    ///
    /// # Errors
    /// What the store says.
    pub async fn download_address(
        &self,
        key: &Key,
        shown: &Presentation,
        until: DateTime<Utc>,
    ) -> Result<Url> {
        self.own(&key.0)?;
        match &self.storage.place {
            Place::Folder { keys, base, .. } => {
                let ticket = Ticket {
                    verb: Verb::Get,
                    key: key.0.clone(),
                    expires: until.timestamp(),
                    bytes: shown.bytes,
                    mime_type: shown.mime_type.clone(),
                };
                signed(keys.sign(base, &ticket))
            }
            Place::Bucket { signer, .. } => {
                let options = SignedUrlOptions::new().with_query([
                    (
                        "response-content-disposition",
                        &*Presentation::disposition(&shown.mime_type, &shown.name),
                    ),
                    ("response-content-type", &shown.mime_type),
                ]);
                let path = self.storage.path(key);
                let url = signer.signed_url_opts(Method::GET, &path, lasting(until), &options).await;
                url.map_err(unavailable)
            }
        }
    }
}

fn signed(url: Option<Url>) -> Result<Url> {
    url.ok_or_else(|| Error::internal(anyhow::anyhow!("an address could not be signed")))
}

fn lasting(until: DateTime<Utc>) -> Duration {
    (until - Utc::now()).to_std().unwrap_or_default()
}
