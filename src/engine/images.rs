//! Pictures that a model paints: what is asked, what comes back, and OpenAI's format for it
//! (<https://developers.openai.com/api/reference/resources/images>): `POST {base}/v1/images/generations`.
//!
//! As with texts, servers differ in the parameters that they know: a 400 that names one makes the request simpler. The picture
//! comes as base64 or as an address. An address is fetched without the key, and no further than its provider may lead.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::openai::{OpenAi, refuse};
use super::{Failure, Kind, Limits, Provider, Usage};

/// Bytes of a picture at the most.
pub const PICTURE_BYTES: usize = 10 << 20;
/// Bytes of an answer at the most: a picture in base64, and what stands around it.
const ANSWER_BYTES: usize = 15 << 20;
/// Bytes of a prompt at the most: what the models take.
const PROMPT_BYTES: usize = 32_000;
/// Parameters that a request can do without.
const OPTIONAL: [&str; 3] = ["output_format", "quality", "size"];

/// The shape of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Higher than wide.
    Upright,
    /// As high as wide.
    Square,
    /// Wider than high.
    Lying,
}

impl Shape {
    /// The shape of a size.
    pub fn of((width, height): (u32, u32)) -> Self {
        match width.cmp(&height) {
            std::cmp::Ordering::Less => Self::Upright,
            std::cmp::Ordering::Equal => Self::Square,
            std::cmp::Ordering::Greater => Self::Lying,
        }
    }

    const fn size(self) -> &'static str {
        match self {
            Self::Upright => "1024x1536",
            Self::Square => "1024x1024",
            Self::Lying => "1536x1024",
        }
    }
}

/// What a model is asked to paint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRequest {
    /// The model's name at the provider.
    pub model: String,
    /// What the picture shows.
    pub prompt: String,
    /// In which shape, as far as the provider has it.
    pub shape: Shape,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReply {
    /// The file: it begins like a PNG, JPEG or WebP; whether it is one, nobody has looked yet.
    pub bytes: Bytes,
    /// The model that the provider says has painted it, else the one that was asked.
    pub model: String,
    /// None where the provider does not count.
    pub usage: Option<Usage>,
}

/// A provider's image models.
pub trait ImageEngine: Send + Sync {
    /// Has a picture painted. Dropping the future closes the connection.
    ///
    /// # Errors
    /// A [`Failure`] of any kind.
    fn paint<'a>(&'a self, request: &'a ImageRequest) -> BoxFuture<'a, Result<ImageReply, Failure>>;
}

impl ImageRequest {
    /// Refuses what every provider would refuse, without asking one.
    fn check(&self, provider: Provider) -> Result<(), Failure> {
        super::check_model(provider, &self.model)?;
        if self.prompt.trim().is_empty() || self.prompt.len() > PROMPT_BYTES {
            let message =
                "What the picture shows is empty, or too long for any model. Say it in fewer words.";
            return Err(Failure::new(provider, Kind::Rejected, message));
        }
        Ok(())
    }

    /// Models of the GPT family always answer in base64 and refuse `response_format`, so it is never sent.
    fn body(&self, unknown: &[&'static str]) -> Value {
        let mut body = json!({ "model": self.model, "prompt": self.prompt, "n": 1 });
        for (name, value) in [("size", self.shape.size()), ("quality", "medium"), ("output_format", "png")] {
            if !unknown.contains(&name) {
                body[name] = value.into();
            }
        }
        body
    }
}

#[derive(Deserialize)]
struct Painted {
    model: Option<String>,
    data: Option<Vec<One>>,
    usage: Option<Counted>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct One {
    b64_json: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<u64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<u64>,
}

/// Whether a file begins like a picture of pixels.
fn is_picture(bytes: &[u8]) -> bool {
    let known = infer::get(bytes).map(|found| found.mime_type());
    matches!(known, Some("image/png" | "image/jpeg" | "image/webp"))
}

impl OpenAi {
    async fn picture(&self, request: &ImageRequest) -> Result<ImageReply, Failure> {
        let provider = self.images.provider;
        request.check(provider)?;
        let limits = self.wire.making(ANSWER_BYTES);
        let body = |unknown: &[_]| request.body(unknown);
        let (stream, _) = self.file(&self.images, limits, &OPTIONAL, body).await?;
        let Ok(painted) = serde_json::from_slice::<Painted>(&stream.whole().await?) else {
            return Err(Failure::broken(provider, "is not in the images format"));
        };
        refuse(&self.images, painted.error)?;
        let usage = painted.usage.map(|counted| Usage {
            prompt_tokens: counted.input_tokens.unwrap_or(0),
            completion_tokens: counted.output_tokens.unwrap_or(0),
        });
        let broken = |what: &str| Failure::broken(provider, what).with_usage(usage);
        let bytes = match painted.data.into_iter().flatten().next() {
            Some(One { b64_json: Some(text), .. }) => {
                STANDARD.decode(text.trim()).map_err(|_| broken("is not base64"))?.into()
            }
            Some(One { url: Some(url), .. }) => {
                let url = Url::parse(&url).map_err(|_| broken("names no address of a picture"))?;
                let limits = Limits { bytes: PICTURE_BYTES, ..self.wire.limits() };
                let fetched = self.wire.fetch(&self.images, &url, ("picture", limits)).await;
                fetched.map_err(|failure| failure.with_usage(usage))?
            }
            _ => return Err(broken("has no picture")),
        };
        if bytes.len() > PICTURE_BYTES {
            return Err(broken("is larger than any picture should be"));
        }
        if !is_picture(&bytes) {
            return Err(broken("is no picture"));
        }
        Ok(ImageReply { bytes, model: painted.model.unwrap_or_else(|| request.model.clone()), usage })
    }
}

impl ImageEngine for OpenAi {
    fn paint<'a>(&'a self, request: &'a ImageRequest) -> BoxFuture<'a, Result<ImageReply, Failure>> {
        let total = self.wire.making(ANSWER_BYTES).total;
        self.wire.within(self.images.provider, total, self.picture(request).boxed()).boxed()
    }
}
