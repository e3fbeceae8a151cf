//! Files: pictures, videos, audio, documents. A row in the database, and an object in the storage that belongs to it.
//!
//! A file comes in two steps. First its bytes are reserved and a row waits; then, once its object is there and has been
//! looked at, the row becomes an asset. What is looked at is copied as it passes, so that nobody changes it afterwards.
//! Agents do the same within a job: [`save`], then [`keep`] in the transaction that saves their output. A row that waits
//! too long goes, and with every row that goes, or whose object has arrived, the database notes where objects may be left:
//! [`sweep`] removes those. No transaction is open while bytes are moved. Small pictures ([`previews`]) lie beside the
//! object that they were made from and have no rows.

pub mod content;
pub mod graphql;
pub mod previews;
mod store;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::content::{Found, Inspector};
use crate::access::Action;
use crate::db::page::{Page, Slice};
use crate::db::{Changes, Lease, ReadTx, Record, Target, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{AssetId, OrganizationId, ProjectId};
use crate::jobs::Run;
use crate::storage::{Folder, Presentation, Storage, TenantStorage, Unwritten};
use crate::usage::{self, Metric};
use crate::{idempotency, input, projects};

/// How long a file may be sent to the address that it was given.
const ARRIVAL: TimeDelta = TimeDelta::minutes(15);
/// How long a job may take until what it has made is kept.
const MAKING: TimeDelta = TimeDelta::days(1);
/// How long an address to fetch a file is good.
pub const SHOWN: TimeDelta = TimeDelta::minutes(15);
const MIB: i64 = 1024 * 1024;

/// What an asset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, async_graphql::Enum)]
#[graphql(name = "AssetKind")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AssetKind {
    /// A picture: PNG, JPEG, GIF or WebP, at most 20 MiB and 50 million pixels.
    Image,
    /// A video: MP4, `WebM` or `QuickTime`, at most 200 MiB.
    Video,
    /// A recording: MP3, M4A, AAC, WAV or Ogg, at most 50 MiB.
    Audio,
    /// A document: PDF or plain text, at most 50 MiB.
    Document,
    /// Captions: `WebVTT` or `SubRip`, at most 2 MiB.
    Captions,
    /// A calendar: iCalendar, at most 2 MiB.
    Calendar,
    /// Several files in one, as agents make them: ZIP, at most 128 MiB. It cannot be sent.
    Archive,
}

impl AssetKind {
    const ALL: [Self; 7] = [
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Document,
        Self::Captions,
        Self::Calendar,
        Self::Archive,
    ];

    /// The spelling of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "IMAGE",
            Self::Video => "VIDEO",
            Self::Audio => "AUDIO",
            Self::Document => "DOCUMENT",
            Self::Captions => "CAPTIONS",
            Self::Calendar => "CALENDAR",
            Self::Archive => "ARCHIVE",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it may be, in words.
    pub const fn takes(self) -> &'static str {
        match self {
            Self::Image => "a PNG, JPEG, GIF or WebP picture",
            Self::Video => "an MP4, WebM or QuickTime video",
            Self::Audio => "an MP3, M4A, AAC, WAV or Ogg recording",
            Self::Document => "a PDF, or plain text that does not begin with `<`",
            Self::Captions => "WebVTT or SubRip captions",
            Self::Calendar => "an iCalendar file",
            Self::Archive => "a ZIP archive",
        }
    }

    const fn mebibytes(self) -> i64 {
        match self {
            Self::Image => 20,
            Self::Video => 200,
            Self::Archive => 128,
            Self::Audio | Self::Document => 50,
            Self::Captions | Self::Calendar => 2,
        }
    }

    /// Bytes that it may have.
    pub const fn most_bytes(self) -> u64 {
        self.mebibytes().cast_unsigned() << 20
    }
}

/// A file.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: AssetId,
    /// The project that it belongs to; none for the whole organization.
    pub project: Option<ProjectId>,
    /// What it is.
    pub kind: AssetKind,
    /// What kind of file, as found out.
    pub mime_type: String,
    /// How many bytes it has.
    pub bytes: i32,
    /// Its checksum.
    pub sha256: Vec<u8>,
    /// How wide a picture or video is.
    pub width: Option<i32>,
    /// How high it is.
    pub height: Option<i32>,
    /// How long it lasts.
    pub duration_seconds: Option<f64>,
    /// What can be seen, for whoever cannot.
    pub alt_text: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The name of its object.
    object: Uuid,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
}

impl Asset {
    /// What a browser shall make of it.
    pub fn presentation(&self) -> Presentation {
        Presentation {
            mime_type: self.mime_type.clone(),
            name: format!("{}.{}", self.id, content::extension(&self.mime_type)),
            bytes: u64::try_from(self.bytes).unwrap_or_default(),
        }
    }

    fn folder(&self, storage: TenantStorage<'_>) -> Folder {
        storage.folder(self.project, self.id)
    }

    /// Where it may be fetched, until a moment.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn address(&self, storage: TenantStorage<'_>, until: DateTime<Utc>) -> Result<url::Url> {
        let key = self.folder(storage).object(self.object);
        storage.download_address(&key, &self.presentation(), until).await
    }
}

/// A file that is on its way.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The id of what it becomes.
    pub id: AssetId,
    /// The project that it shall belong to.
    pub project: Option<ProjectId>,
    /// What it shall be.
    pub kind: AssetKind,
    /// How many bytes it has.
    pub bytes: i64,
    /// Its checksum, as far as its sender says one.
    sha256: Option<Vec<u8>>,
    /// Until when it may be sent.
    pub expires_at: DateTime<Utc>,
    /// Whether it has arrived.
    pub is_ready: bool,
}

impl Upload {
    /// Refuses what cannot be sent any more.
    ///
    /// # Errors
    /// `CONFLICT`, `EXPIRED`.
    pub fn expect_waiting(&self) -> Result<()> {
        let (code, message) = if self.is_ready {
            (
                FaultCode::Conflict,
                "This call's file has arrived already. Announce the next one with another key.",
            )
        } else if self.expires_at < Utc::now() {
            (FaultCode::Expired, "This call's file was not sent in time. Announce it again with another key.")
        } else {
            return Ok(());
        };
        Err(Error::fault(Fault::at(code, "idempotencyKey", message)))
    }

    /// Where it is sent.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn address(&self, storage: TenantStorage<'_>) -> Result<url::Url> {
        let key = storage.folder(self.project, self.id).upload();
        storage.upload_address(&key, u64::try_from(self.bytes).unwrap_or_default(), self.expires_at).await
    }
}

/// A file that shall be sent, checked.
#[derive(Debug)]
pub struct NewUpload {
    project: Option<ProjectId>,
    kind: AssetKind,
    bytes: i64,
    sha256: Option<Vec<u8>>,
    alt_text: Option<String>,
    tags: Vec<String>,
}

/// What can be seen, in words.
///
/// # Errors
/// A fault at `altText`.
pub fn alt_text(given: Option<&str>) -> Result<Option<String>> {
    input::paragraph("altText", given, 1000)
}

impl NewUpload {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(
        project: Option<ProjectId>,
        kind: AssetKind,
        bytes: i32,
        sha256: Option<&str>,
        alt: Option<&str>,
        words: &[String],
    ) -> Result<Self> {
        if kind == AssetKind::Archive {
            let message = "Archives are made here, and not sent. Send each file by itself.";
            return Err(Error::fault(Fault::at(FaultCode::Invalid, "kind", message)));
        }
        let (bytes, most) = (i64::from(bytes), kind.mebibytes());
        if !(1..=most * MIB).contains(&bytes) {
            let message = format!("`bytes` is the file's length, from 1 byte to {most} MiB for this kind.");
            return Err(Error::fault(Fault::at(FaultCode::OutOfRange, "bytes", message)));
        }
        let sha256 = sha256.map(|text| {
            checksum(text.trim()).ok_or_else(|| {
                let message = "`sha256` is 64 digits and letters from a to f, as `sha256sum` prints them.";
                Error::fault(Fault::at(FaultCode::Invalid, "sha256", message))
            })
        });
        Ok(Self {
            project,
            kind,
            bytes,
            sha256: sha256.transpose()?,
            alt_text: alt_text(alt)?,
            tags: input::tags(words)?,
        })
    }
}

fn checksum(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| bytes.len() == 32)
}

/// What the audit log keeps of an asset.
pub fn logged(asset: &Asset) -> Value {
    json!({
        "kind": asset.kind.as_str(), "mimeType": asset.mime_type, "bytes": asset.bytes,
        "sha256": hex::encode(&asset.sha256), "altText": asset.alt_text, "tags": asset.tags, "project": asset.project,
    })
}

/// What the audit log keeps of a file that shall be sent.
pub fn announced(upload: &Upload) -> Value {
    json!({"kind": upload.kind.as_str(), "bytes": upload.bytes, "project": upload.project})
}

/// Reserves the bytes of a file that shall be sent. False: an idempotency key replays an earlier call.
///
/// # Errors
/// `NOT_FOUND` for the project; `QUOTA_EXCEEDED`.
pub async fn create(
    tx: &mut WriteTx<'_>,
    new: &NewUpload,
    key: Option<&idempotency::Key>,
) -> Result<(Upload, bool)> {
    let id = AssetId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok((waiting(tx, earlier.into()).await?, false));
    }
    if let Some(project) = new.project
        && projects::find(tx, project).await?.is_none()
    {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    usage::reserve(tx, Metric::StorageBytes, new.bytes).await?;
    store::insert(tx, id, new, Utc::now() + ARRIVAL).await?;
    Ok((waiting(tx, id).await?, true))
}

/// A file that is on its way, or has arrived.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn waiting(tx: &mut ReadTx<'_>, id: AssetId) -> Result<Upload> {
    store::waiting(tx, id).await?.ok_or(Error::NotFound)
}

/// What has arrived, looked at and copied to where it stays.
#[derive(Debug)]
pub struct Received {
    object: Uuid,
    mime_type: &'static str,
    found: Found,
}

/// Looks at what was sent, and copies it to where it stays. What is refused is removed.
///
/// # Errors
/// A fault that says what is wrong with it; what the storage says.
pub async fn receive(storage: TenantStorage<'_>, upload: &Upload) -> Result<Received> {
    let sent = storage.folder(upload.project, upload.id).upload();
    let received = inspect(storage, upload).await;
    if matches!(received, Err(Error::Invalid(_))) {
        storage.remove(&sent).await?;
    }
    received
}

async fn inspect(storage: TenantStorage<'_>, upload: &Upload) -> Result<Received> {
    let conflict = |message: &str| Error::fault(Fault::at(FaultCode::Conflict, "id", message));
    if upload.expires_at < Utc::now() {
        let message = "The file was not completed in time. Begin again with `assetUploadCreate`.";
        return Err(Error::fault(Fault::at(FaultCode::Expired, "id", message)));
    }
    let folder = storage.folder(upload.project, upload.id);
    let (bytes, mut pieces) = match storage.pieces(&folder.upload()).await {
        Err(Error::NotFound) => {
            return Err(conflict("Nothing has arrived yet. Send the file with `PUT` to the address first."));
        }
        opened => opened?,
    };
    let announced = u64::try_from(upload.bytes).unwrap_or_default();
    if bytes != announced {
        let message =
            format!("{bytes} bytes have arrived, and {announced} were announced. Send the file again.");
        return Err(Error::fault(Fault::new(FaultCode::Invalid, message)));
    }
    let (mut first, mut head) = (Vec::new(), Vec::new());
    while head.len() < content::HEAD
        && let Some(piece) = pieces.try_next().await?
    {
        head.extend_from_slice(&piece);
        first.push(Ok(piece));
    }
    let mime_type = content::sniff(upload.kind, &head).map_err(Error::fault)?;
    let object = Uuid::now_v7();
    let key = folder.object(object);
    let mut inspector = Inspector::new(mime_type);
    let looked_at = stream::iter(first).chain(pieces).map(|piece: Result<Bytes>| {
        let piece = piece?;
        inspector.pass(&piece).map_err(Error::fault)?;
        Ok(piece)
    });
    match storage.write(&key, mime_type, announced, looked_at).await {
        Ok(()) => {}
        Err(Unwritten::Length) => return Err(conflict("The file changed meanwhile. Send it again.")),
        Err(unwritten) => return Err(unwritten.into()),
    }
    let found = inspector.finish().map_err(Error::fault).and_then(|found| {
        if upload.sha256.as_ref().is_none_or(|said| said[..] == found.sha256) {
            return Ok(found);
        }
        let message = format!(
            "The file that has arrived has the checksum {}, which is not the one that was announced. Send it again.",
            hex::encode(found.sha256)
        );
        Err(Error::fault(Fault::new(FaultCode::Invalid, message)))
    });
    match found {
        Ok(found) => Ok(Received { object, mime_type, found }),
        Err(refused) => {
            storage.remove(&key).await?;
            Err(refused)
        }
    }
}

/// Makes an asset of what has arrived. Of those who do so at the same time one does; false for the others.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn complete(tx: &mut WriteTx<'_>, upload: &Upload, received: &Received) -> Result<(Asset, bool)> {
    let made = store::complete(tx, upload.id, received).await?;
    Ok((find(tx, upload.id).await?.ok_or(Error::NotFound)?, made))
}

/// Removes what was copied for nothing, because somebody else was faster, and what was sent. The sweep would do it later.
pub async fn tidy_up(storage: TenantStorage<'_>, upload: &Upload, unused: Option<&Received>) {
    let folder = storage.folder(upload.project, upload.id);
    let unused = unused.map(|received| folder.object(received.object));
    for key in unused.into_iter().chain([folder.upload()]) {
        if let Err(error) = storage.remove(&key).await {
            tracing::warn!("an object is removed later: {error}");
        }
    }
}

/// Removes the objects of an asset whose row is gone. The sweep would do it later.
pub async fn clear(storage: TenantStorage<'_>, asset: &Asset) {
    if let Err(error) = storage.clear(&asset.folder(storage)).await {
        tracing::warn!("objects are removed later: {error}");
    }
}

/// A change of an asset; none leaves a field as it is.
#[derive(Debug, Default)]
pub struct AssetUpdate {
    /// What can be seen, or that nothing is said about it.
    pub alt_text: Option<Option<String>>,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
}

/// Changes an asset. Gives it as it was and as it is.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn update(tx: &mut WriteTx<'_>, id: AssetId, update: &AssetUpdate) -> Result<(Asset, Asset)> {
    store::lock(tx, id).await?;
    let before = find(tx, id).await?.ok_or(Error::NotFound)?;
    store::update(tx, id, update).await?;
    let mut after = before.clone();
    if let Some(alt_text) = &update.alt_text {
        after.alt_text.clone_from(alt_text);
    }
    if let Some(tags) = &update.tags {
        after.tags.clone_from(tags);
    }
    Ok((before, after))
}

/// Deletes an asset's row, which gives its bytes back.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` for what belongs to an output.
pub async fn delete(tx: &mut WriteTx<'_>, id: AssetId) -> Result<Asset> {
    store::lock(tx, id).await?;
    let asset = find(tx, id).await?.ok_or(Error::NotFound)?;
    if !owners(tx, &[id]).await?.is_empty() {
        let message = "This file belongs to what an agent has made. Delete that with `outputDelete`: its files go with it.";
        return Err(Error::fault(Fault::at(FaultCode::Conflict, "id", message)));
    }
    store::delete(tx, id).await?;
    Ok(asset)
}

/// One asset.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: AssetId) -> Result<Option<Asset>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Assets by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[AssetId]) -> Result<Vec<Asset>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::find_many(tx, &ids).await
}

/// The outputs that assets belong to, each once; none for files that somebody has uploaded.
///
/// # Errors
/// What the database says.
pub async fn owners(tx: &mut ReadTx<'_>, ids: &[AssetId]) -> Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::owners(tx, &ids).await
}

/// Which assets.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this project.
    pub project: Option<ProjectId>,
    /// Only those of one of these kinds.
    pub kinds: Option<Vec<AssetKind>>,
    /// Only those with all of these tags.
    pub tags: Option<Vec<String>>,
}

/// One page of assets, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut ReadTx<'_>, page: &Page<Uuid>, filter: &Filter) -> Result<Slice<Asset>> {
    store::list(tx, page, filter).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, filter: &Filter) -> Result<i64> {
    store::count(tx, filter).await
}

/// Makes sure that assets are there, and are a project's or the whole organization's.
///
/// # Errors
/// `NOT_FOUND` at the field.
pub async fn require(tx: &mut ReadTx<'_>, project: ProjectId, field: &str, ids: &[AssetId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let found = find_many(tx, ids).await?;
    let seen = |id: &AssetId| {
        let place = |asset: &Asset| asset.project.is_none() || asset.project == Some(project);
        found.iter().any(|asset| asset.id == *id && place(asset))
    };
    if ids.iter().all(seen) {
        return Ok(());
    }
    let message = "There is no such file, or it is not visible to you.";
    Err(Error::fault(Fault::at(FaultCode::NotFound, field, message)))
}

/// Pictures that people have uploaded for a project, or for the whole organization, that have one of these tags (in any case):
/// their ids, and how many of the tags each has; the best first, then the newest.
///
/// # Errors
/// What the database says.
pub async fn matching(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    tags: &[String],
    most: i64,
) -> Result<Vec<(AssetId, i64)>> {
    if tags.is_empty() {
        return Ok(Vec::new());
    }
    let tags: Vec<String> = tags.iter().map(|tag| tag.to_lowercase()).collect();
    store::matching(tx, project, &tags, most).await
}

/// A file that an agent has made.
#[derive(Debug)]
pub struct NewAsset {
    /// The project that it belongs to.
    pub project: Option<ProjectId>,
    /// What it is.
    pub kind: AssetKind,
    /// All of it.
    pub bytes: Bytes,
    /// What kind of file: one that this kind of asset takes, or `text/csv` or `text/markdown` for a document.
    pub mime_type: &'static str,
    /// How wide a picture or video is.
    pub width: Option<i32>,
    /// How high it is.
    pub height: Option<i32>,
    /// How long it lasts.
    pub duration_seconds: Option<f64>,
    /// What can be seen, for whoever cannot.
    pub alt_text: Option<String>,
}

/// The kind of file that begins like this, as far as this kind of asset may be one.
///
/// # Errors
/// What may be sent instead.
pub fn mime_type(kind: AssetKind, bytes: &[u8]) -> Result<&'static str, Fault> {
    content::sniff(kind, &bytes[..bytes.len().min(content::HEAD)])
}

/// Puts a file of a job's into the storage. Nobody sees it until [`keep`] is called in the transaction that saves the
/// job's output; without that it goes after a day. The same file of the same job is put there once, however often it is
/// made. No transaction of the run's may be open.
///
/// # Errors
/// `QUOTA_EXCEEDED`; what the database or the storage says.
pub async fn save(run: &Run, storage: &Storage, new: NewAsset) -> Result<AssetId> {
    let found = mime_type(new.kind, &new.bytes);
    let fits = found.as_ref().is_ok_and(|found| {
        *found == new.mime_type || (*found == "text/plain" && new.mime_type.starts_with("text/"))
    });
    if !fits {
        let what = format!("an agent calls {} what is {found:?}", new.mime_type);
        return Err(Error::internal(anyhow::anyhow!(what)));
    }
    let sha256: [u8; 32] = Sha256::digest(&new.bytes).into();
    let bytes = i64::try_from(new.bytes.len()).unwrap_or(i64::MAX);
    let mut tx = run.write(new.project, Action::AssetSave).await?;
    usage::reserve(&mut tx, Metric::StorageBytes, bytes).await?;
    let (id, object) = store::stage(&mut tx, run.job(), &new, sha256, Utc::now() + MAKING).await?;
    let changes =
        Changes::made(&json!({"kind": new.kind.as_str(), "mimeType": new.mime_type, "bytes": bytes}));
    tx.commit(Record::with(Target::asset(id).within(new.project), changes)).await?;
    run.release().await;
    let scope = run.scope();
    let tenant = storage.of(&scope);
    let key = tenant.folder(new.project, id).object(object);
    tenant.put(&key, new.mime_type, new.bytes).await?;
    Ok(id)
}

/// Makes assets of what a job has put into the storage. They belong to this output, and go when it goes.
///
/// # Errors
/// [`Error::NotFound`] when one is not there.
pub async fn keep(tx: &mut WriteTx<'_>, output: Uuid, ids: &[AssetId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let kept = store::keep(tx, output, &ids).await?;
    if usize::try_from(kept) == Ok(ids.len()) { Ok(()) } else { Err(Error::NotFound) }
}

/// The archive that belongs to an output.
///
/// # Errors
/// What the database says.
pub async fn bundle(tx: &mut ReadTx<'_>, output: Uuid) -> Result<Option<AssetId>> {
    store::bundle(tx, output).await
}

/// An asset and all of its bytes, at most so many. No transaction of the run's may be open.
///
/// # Errors
/// [`Error::NotFound`]; what the database or the storage says.
pub async fn read(run: &Run, storage: &Storage, id: AssetId, most: u64) -> Result<(Asset, Bytes)> {
    let asset = {
        let mut tx = run.read(Action::ContentRead).await?;
        find(&mut tx, id).await?.ok_or(Error::NotFound)?
    };
    run.release().await;
    let scope = run.scope();
    let bytes = bytes(storage.of(&scope), &asset, most).await?;
    Ok((asset, bytes))
}

/// All the bytes, at most so many, of a file that this job has put into the storage and that is not kept yet; none when there
/// is no such file any more. No transaction of the run's may be open.
///
/// # Errors
/// What the database or the storage says.
pub async fn read_saved(
    run: &Run,
    storage: &Storage,
    (project, id): (Option<ProjectId>, AssetId),
    most: u64,
) -> Result<Option<Bytes>> {
    let object = {
        let mut tx = run.read(Action::ContentRead).await?;
        store::find_saved(&mut tx, run.job(), id).await?
    };
    run.release().await;
    let Some(object) = object else { return Ok(None) };
    let scope = run.scope();
    let tenant = storage.of(&scope);
    match tenant.get(&tenant.folder(project, id).object(object), most).await {
        Ok(bytes) => Ok(Some(bytes)),
        // The row is there before its object is.
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All the bytes of an asset, at most so many. No transaction of the request's may be open.
///
/// # Errors
/// What the storage says.
pub async fn bytes(storage: TenantStorage<'_>, asset: &Asset, most: u64) -> Result<Bytes> {
    storage.get(&asset.folder(storage).object(asset.object), most).await
}

/// Lets go of what has not arrived in time, and removes objects that no row speaks of. Says of how many assets.
///
/// # Errors
/// What the database or the storage says; what is left then, is swept the next time.
pub async fn sweep(lease: &Lease, storage: &Storage) -> Result<usize> {
    const MOST: i32 = 100;
    let mut swept = 0;
    loop {
        let leftovers = {
            let mut tx = lease.anonymous().await?;
            store::take_leftovers(&mut tx, MOST).await?
        };
        lease.release().await;
        for left in &leftovers {
            storage.clear_leftover(left.organization, left.project, left.asset, left.keep).await?;
            let mut tx = lease.anonymous().await?;
            store::forget_leftover(&mut tx, left).await?;
        }
        swept += leftovers.len();
        if leftovers.is_empty() {
            return Ok(swept);
        }
    }
}
