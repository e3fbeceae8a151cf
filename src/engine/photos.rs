//! Photos of a stock library: the API of Pexels (<https://www.pexels.com/api/documentation/>), whose terms ask that the
//! photographer is named.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::Url;

use super::Endpoint;
use super::address::Reach;
use super::client::{self, LazyClient};

/// Photos among which the seed chooses.
const PHOTOS: usize = 15;
/// Bytes of an answer at the most.
const ANSWER_BYTES: usize = 1 << 20;
/// Bytes of a photo at the most.
const PHOTO_BYTES: usize = 10 << 20;
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What looks for photos.
#[derive(Debug)]
pub struct Photos {
    library: Endpoint,
    reach: Reach,
    client: LazyClient,
}

/// A photo.
#[derive(Debug)]
pub struct Photo {
    /// Who took it.
    pub photographer: String,
    /// Its page.
    pub page: String,
    /// The file, as wide as a slide needs.
    pub bytes: Bytes,
}

#[derive(Deserialize)]
struct Found {
    photos: Vec<FoundPhoto>,
}

#[derive(Deserialize)]
struct FoundPhoto {
    url: String,
    photographer: String,
    src: Sizes,
}

#[derive(Deserialize)]
struct Sizes {
    original: Url,
}

/// The number at the end of a page's address, by which the library names its photo.
fn number(page: &str) -> Option<&str> {
    let name = page.trim_end_matches('/').rsplit('/').next()?;
    let number = name.rsplit('-').next()?;
    (1..=20)
        .contains(&number.len())
        .then_some(number)
        .filter(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// A call that brought no photo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PhotoFailure {
    /// A sentence for users: what happened and what to do next.
    pub message: String,
    /// The status that the library answered with; none when it did not.
    pub status: Option<u16>,
    /// Whether the same request may succeed later.
    pub is_retryable: bool,
}

fn failure(is_retryable: bool, status: Option<StatusCode>, message: &str) -> PhotoFailure {
    PhotoFailure { message: message.to_owned(), status: status.map(|status| status.as_u16()), is_retryable }
}

/// A fault of this server's own.
fn unusable(error: impl std::fmt::Debug) -> PhotoFailure {
    tracing::error!("the stock library cannot be called: {error:?}");
    failure(false, None, "This server cannot call the stock library. Ask its operator to look at the log.")
}

impl Photos {
    /// What looks for photos there; `reach` says whether that may be a private address.
    pub const fn new(library: Endpoint, reach: Reach) -> Self {
        Self { library, reach, client: LazyClient::new() }
    }

    fn client(&self) -> Result<&Client, PhotoFailure> {
        self.client.get(Some(self.reach), |client| client.timeout(PATIENCE)).map_err(unusable)
    }

    /// A photo that shows this, upright, lying or square as the slide is; of the first that are found, the seed chooses.
    /// `locale` is the language of the words. None: nothing was found.
    ///
    /// # Errors
    /// The library's failure.
    pub async fn find(
        &self,
        search: &str,
        locale: &str,
        (width, height): (u32, u32),
        seed: u64,
    ) -> Result<Option<Photo>, PhotoFailure> {
        let mut url = self.library.base_url.clone();
        url.set_path("/v1/search");
        let orientation = match width.cmp(&height) {
            std::cmp::Ordering::Less => "portrait",
            std::cmp::Ordering::Equal => "square",
            std::cmp::Ordering::Greater => "landscape",
        };
        url.query_pairs_mut()
            .append_pair("query", search)
            .append_pair("orientation", orientation)
            .append_pair("locale", locale)
            .append_pair("per_page", &PHOTOS.to_string());
        let answer = self.get(url, true, ANSWER_BYTES).await?;
        let found: Found = serde_json::from_slice(&answer)
            .map_err(|_| failure(true, None, "The stock library sent no list of photos. Try again later."))?;
        let photos: Vec<FoundPhoto> = found.photos.into_iter().take(PHOTOS).collect();
        let count = u64::try_from(photos.len()).unwrap_or(1).max(1);
        let chosen = usize::try_from(seed % count).unwrap_or(0);
        let Some(photo) = photos.into_iter().nth(chosen) else { return Ok(None) };
        Ok(Some(self.fetch(photo, (width, height)).await?))
    }

    /// The photo of a page once more, in the size of a slide. None: the library has it no more.
    ///
    /// # Errors
    /// The library's failure.
    pub async fn again(&self, page: &str, size: (u32, u32)) -> Result<Option<Photo>, PhotoFailure> {
        let Some(number) = number(page) else { return Ok(None) };
        let mut url = self.library.base_url.clone();
        url.set_path(&format!("/v1/photos/{number}"));
        let gone = |failure: &PhotoFailure| matches!(failure.status, Some(404 | 410));
        let found = async {
            let answer = self.get(url, true, ANSWER_BYTES).await?;
            let photo = serde_json::from_slice(&answer).map_err(|_| {
                failure(true, None, "The stock library did not send the photo. Try again later.")
            })?;
            self.fetch(photo, size).await
        };
        match found.await {
            Ok(photo) => Ok(Some(photo)),
            Err(failure) if gone(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn fetch(&self, photo: FoundPhoto, (width, height): (u32, u32)) -> Result<Photo, PhotoFailure> {
        let bytes = self.get(self.address(photo.src.original, width, height)?, false, PHOTO_BYTES).await?;
        Ok(Photo { photographer: photo.photographer, page: photo.url, bytes })
    }

    /// The address of a photo in the size that is needed, on one of the library's own hosts.
    fn address(&self, mut photo: Url, width: u32, height: u32) -> Result<Url, PhotoFailure> {
        let host = photo.host_str().unwrap_or_default();
        let is_own = host == "pexels.com"
            || host.ends_with(".pexels.com")
            || Some(host) == self.library.base_url.host_str();
        if !is_own || photo.scheme() != self.library.base_url.scheme() {
            return Err(failure(
                false,
                None,
                "The stock library named a photo on a foreign host, which is not fetched.",
            ));
        }
        photo.set_query(None);
        // The parameters of the sizes that the library itself offers.
        photo
            .query_pairs_mut()
            .append_pair("auto", "compress")
            .append_pair("cs", "tinysrgb")
            .append_pair("fit", "crop")
            .append_pair("w", &width.to_string())
            .append_pair("h", &height.to_string());
        Ok(photo)
    }

    async fn get(&self, url: Url, with_key: bool, most: usize) -> Result<Bytes, PhotoFailure> {
        let late = || failure(true, None, "The stock library does not answer. Try again later.");
        let mut request = self.client()?.get(url);
        if let Some(key) = self.library.key.as_ref().filter(|_| with_key) {
            let mut key = HeaderValue::from_str(key.expose_secret()).map_err(unusable)?;
            key.set_sensitive(true);
            request = request.header(AUTHORIZATION, key);
        }
        let response = request.send().await.map_err(|_| late())?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let message = "The stock library does not accept the server's key. Ask its operator to check PEXELS_API_KEY.";
                return Err(failure(false, Some(response.status()), message));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let message =
                    "The stock library has had too many requests from this server. Try again later.";
                return Err(failure(true, Some(response.status()), message));
            }
            status => {
                return Err(failure(
                    status.is_server_error(),
                    Some(status),
                    "The stock library has an error of its own. Try again later.",
                ));
            }
        }
        let body = client::body(response, most).await.map_err(|_| late())?;
        let message = "The stock library sent more than is read. Choose another background.";
        body.ok_or_else(|| failure(false, None, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_photo() {
        assert_eq!(number("https://www.pexels.com/photo/sea-at-night-1234567/"), Some("1234567"));
        assert_eq!(number("https://www.pexels.com/photo/1234567"), Some("1234567"));
        for other in
            ["", "https://www.pexels.com/photo/sea/", "https://www.pexels.com/photo/1-../", "a-1?b=2"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
