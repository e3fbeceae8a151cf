//! Previews: small versions of pictures, made when they are asked for first and then kept beside their originals.
//!
//! They have no rows and count nothing: they are found again by their names, which follow from their original's, and go when
//! it goes. Making one decodes a picture, so only so many are made at the same time, one of each organization.

use std::sync::Arc;
use std::time::Duration;

use aicos_render::visuals::picture::{Limits, PictureFormat};
use aicos_render::visuals::preview;
use chrono::{DateTime, Utc};
use moka::{future, sync};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::{Asset, AssetKind};
use crate::error::{Error, Result};
use crate::id::{AssetId, OrganizationId};
use crate::storage::{Key, Presentation, TenantStorage};

/// Previews that are made at the same time, by all organizations together. Each takes up to 320 MiB while it is.
const AT_ONCE: usize = 2;
/// Those that wait, all together.
const WAITING: usize = 1_000;
/// When whoever finds too many waiting should come again.
const COME_AGAIN: Duration = Duration::from_secs(5);
/// How long making one may take, the wait for its turn included: whoever deletes an asset counts on it
/// (`app.leave_objects` in the migrations).
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is remembered what there is.
const REMEMBERED: Duration = Duration::from_mins(10);

/// How large a preview is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum PreviewSize {
    /// At most 160 pixels a side: beside a line of a list.
    Tiny,
    /// At most 320 pixels a side: a grid of pictures.
    Small,
    /// At most 640 pixels a side: a card.
    Medium,
    /// At most 1,280 pixels a side: most of a screen.
    Large,
}

impl PreviewSize {
    const ALL: [Self; 4] = [Self::Tiny, Self::Small, Self::Medium, Self::Large];

    /// Pixels of the longer side at the most.
    const fn side(self) -> u32 {
        match self {
            Self::Tiny => 160,
            Self::Small => 320,
            Self::Medium => 640,
            Self::Large => 1_280,
        }
    }

    /// The smallest size in which this picture is the same as in the wanted one: nothing is enlarged.
    fn of(self, asset: &Asset) -> Self {
        let longer = asset.width.max(asset.height).and_then(|side| u32::try_from(side).ok());
        let fits = |size: &Self| longer.is_some_and(|longer| longer <= size.side());
        Self::ALL.into_iter().find(fits).filter(|size| size.side() < self.side()).unwrap_or(self)
    }
}

/// A preview that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    size: PreviewSize,
    format: PictureFormat,
    bytes: u64,
}

impl Made {
    /// Where it may be fetched, until a moment.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn address(
        &self,
        storage: TenantStorage<'_>,
        asset: &Asset,
        until: DateTime<Utc>,
    ) -> Result<Url> {
        let Self { size, format, bytes } = *self;
        let shown = Presentation {
            mime_type: format.mime().to_owned(),
            name: format!("{}-{}", asset.id, suffix(size, format)),
            bytes,
        };
        storage.download_address(&key(storage, asset, size, format), &shown, until).await
    }
}

/// What a preview's name ends in: `320.jpg`, for example.
fn suffix(size: PreviewSize, format: PictureFormat) -> String {
    format!("{}.{}", size.side(), super::content::extension(format.mime()))
}

fn key(storage: TenantStorage<'_>, asset: &Asset, size: PreviewSize, format: PictureFormat) -> Key {
    asset.folder(storage).derived(asset.object, &suffix(size, format))
}

/// What makes previews.
#[derive(Debug)]
pub struct Previews {
    /// What there is; none for what there cannot be.
    known: future::Cache<(OrganizationId, AssetId, PreviewSize), Option<Made>>,
    /// Who waits in which organization: its pictures are made one after the other, so that those of others need not wait
    /// for all of them.
    lines: sync::Cache<OrganizationId, Arc<Semaphore>>,
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Previews {
    /// None is known or being made.
    fn default() -> Self {
        Self {
            known: future::Cache::builder().max_capacity(50_000).time_to_live(REMEMBERED).build(),
            lines: sync::Cache::builder().max_capacity(1_000).time_to_idle(REMEMBERED).build(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

impl Previews {
    /// What is remembered of a preview; within it, none when there cannot be one.
    pub async fn known(&self, asset: &Asset, size: PreviewSize) -> Option<Option<Made>> {
        if asset.kind != AssetKind::Image {
            return Some(None);
        }
        self.known.get(&(asset.organization, asset.id, size.of(asset))).await
    }

    /// The preview of an asset, made if it is not there; none when there cannot be one. However many ask for it at the same
    /// time, it is made once; by two replicas twice, with the same result. No transaction of the request's may be open.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait; [`Error::Timeout`]; what the storage says.
    pub async fn make(
        &self,
        storage: TenantStorage<'_>,
        asset: &Asset,
        size: PreviewSize,
    ) -> Result<Option<Made>> {
        let size = size.of(asset);
        let making = async {
            let found = tokio::time::timeout(PATIENCE, self.find_or_make(storage, asset, size));
            found.await.unwrap_or(Err(Error::Timeout))
        };
        let known = self.known.try_get_with((asset.organization, asset.id, size), making).await;
        known.map_err(Arc::unwrap_or_clone)
    }

    async fn find_or_make(
        &self,
        storage: TenantStorage<'_>,
        asset: &Asset,
        size: PreviewSize,
    ) -> Result<Option<Made>> {
        for format in [PictureFormat::Jpeg, PictureFormat::Png] {
            if let Some(bytes) = storage.size(&key(storage, asset, size, format)).await? {
                return Ok(Some(Made { size, format, bytes }));
            }
        }
        let turn = self.turn(asset.organization).await?;
        let original = match super::bytes(storage, asset, AssetKind::Image.most_bytes()).await {
            // The asset has been deleted meanwhile.
            Err(Error::NotFound) => return Ok(None),
            original => original?,
        };
        let limits = Limits { file_bytes: original.len(), ..Limits::default() };
        let work = move || {
            // Whoever asked may be gone: the turn is as long as the work.
            let _turn = turn;
            preview::preview(&original, &limits, size.side())
        };
        let made = match tokio::task::spawn_blocking(work).await.map_err(Error::internal)? {
            Ok(made) => made,
            Err(refused) => {
                tracing::debug!("{} has no preview: {refused}", asset.id);
                return Ok(None);
            }
        };
        let (format, bytes) = (made.format, u64::try_from(made.bytes.len()).map_err(Error::internal)?);
        storage.put(&key(storage, asset, size, format), format.mime(), made.bytes.into()).await?;
        Ok(Some(Made { size, format, bytes }))
    }

    /// A turn of all organizations', once it is this one's.
    async fn turn(&self, organization: OrganizationId) -> Result<[OwnedSemaphorePermit; 3]> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Busy(COME_AGAIN))?;
        let line = self.lines.get_with(organization, || Arc::new(Semaphore::new(1)));
        let line = line.acquire_owned().await.map_err(Error::internal)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(Error::internal)?;
        Ok([place, line, turn])
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn asset(width: Option<i32>, height: Option<i32>) -> Asset {
        Asset {
            organization: OrganizationId::generate(),
            id: AssetId::generate(),
            project: None,
            kind: AssetKind::Image,
            mime_type: "image/png".to_owned(),
            bytes: 1,
            sha256: Vec::new(),
            width,
            height,
            duration_seconds: None,
            alt_text: None,
            tags: Vec::new(),
            object: Uuid::nil(),
            created_at: Utc::now(),
        }
    }

    #[test]
    fn a_small_picture_has_one_preview_and_not_four() {
        use PreviewSize::{Large, Medium, Small, Tiny};
        for (width, height, sizes) in [
            (Some(100), Some(160), [Tiny, Tiny, Tiny, Tiny]),
            (Some(161), Some(10), [Tiny, Small, Small, Small]),
            (Some(640), Some(640), [Tiny, Small, Medium, Medium]),
            (Some(4_000), Some(3_000), [Tiny, Small, Medium, Large]),
            (None, None, [Tiny, Small, Medium, Large]),
        ] {
            let asset = asset(width, height);
            assert_eq!(PreviewSize::ALL.map(|size| size.of(&asset)), sizes, "{width:?}");
        }
    }

    #[tokio::test]
    async fn one_organization_does_not_take_every_turn() {
        let previews = Previews::default();
        let (one, other) = (OrganizationId::generate(), OrganizationId::generate());
        let first = previews.turn(one).await.unwrap();
        let mut waiting = Box::pin(previews.turn(one));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(previews.turn(other).await.unwrap());
        drop(first);
        drop(waiting.await.unwrap());
    }
}
