//! Vectors of texts that a model makes, near one another where the texts mean the same: what is asked, what comes back, and
//! OpenAI's format for it (<https://developers.openai.com/api/reference/resources/embeddings>):
//! `POST {base}/v1/embeddings`, which many servers speak.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::openai::{OpenAi, refuse};
use super::{Failure, Kind, Limits, Provider, Usage};

/// Texts of one request at the most.
pub const TEXTS: usize = 64;
/// Numbers of a vector at the most.
pub const DIMENSIONS: usize = 4_096;
/// Bytes of an answer at the most: that many vectors of that many numbers, each with its sign, its digits and its exponent.
const ANSWER_BYTES: usize = TEXTS * DIMENSIONS * 32;
/// Parameters that a request can do without.
const OPTIONAL: [&str; 2] = ["dimensions", "encoding_format"];

/// What a model is asked to make vectors of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// The model's name at the provider.
    pub model: String,
    /// The texts, none of them empty; at most [`TEXTS`].
    pub texts: Vec<String>,
    /// How many numbers a vector shall have, at most [`DIMENSIONS`]; none: as many as the model makes of its own.
    pub dimensions: Option<usize>,
}

/// Vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingReply {
    /// One for each text, in the order of the texts: all of the same length, of finite numbers that are not all zero. A server
    /// that knows nothing of `dimensions` has made as many numbers as its model does.
    pub vectors: Vec<Vec<f32>>,
    /// The model that the provider says has made them, else the one that was asked.
    pub model: String,
    /// None where the provider does not count. Nothing is written, so all of it is read.
    pub usage: Option<Usage>,
}

/// A provider's models of vectors.
pub trait EmbeddingEngine: Send + Sync {
    /// Has vectors made. Dropping the future closes the connection.
    ///
    /// # Errors
    /// A [`Failure`] of any kind.
    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<EmbeddingReply, Failure>>;
}

impl EmbeddingRequest {
    /// Refuses what every provider would refuse, without asking one.
    fn check(&self, provider: Provider) -> Result<(), Failure> {
        super::check_model(provider, &self.model)?;
        let rejected = |message| Err(Failure::new(provider, Kind::Rejected, message));
        if self.texts.is_empty() || self.texts.len() > TEXTS {
            return rejected("There is no text to embed, or more than go into one request.");
        }
        if self.texts.iter().any(|text| text.trim().is_empty()) {
            return rejected("A text to embed is empty. Leave it out.");
        }
        if self.dimensions.is_some_and(|count| count == 0 || count > DIMENSIONS) {
            return rejected("A vector has from 1 to 4,096 dimensions.");
        }
        super::check_length(provider, self.texts.iter())
    }

    fn body(&self, unknown: &[&'static str]) -> Value {
        let mut body = json!({ "model": self.model, "input": self.texts });
        let dimensions = self.dimensions.map(Value::from);
        for (name, value) in [("dimensions", dimensions), ("encoding_format", Some("float".into()))] {
            if let Some(value) = value.filter(|_| !unknown.contains(&name)) {
                body[name] = value;
            }
        }
        body
    }
}

#[derive(Deserialize)]
struct Embedded {
    model: Option<String>,
    data: Option<Vec<One>>,
    usage: Option<Counted>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct One {
    index: Option<usize>,
    /// A server may write null where a number is none.
    embedding: Vec<Option<f32>>,
}

#[derive(Deserialize)]
struct Counted {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// Each text's vector, or what is wrong with them.
fn arrange(data: Vec<One>, texts: usize, asked: Option<usize>) -> Result<Vec<Vec<f32>>, &'static str> {
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for (place, one) in data.into_iter().enumerate() {
        // Some servers leave the index out, and answer in order.
        let slot = vectors.get_mut(one.index.unwrap_or(place)).ok_or("has a vector of no text")?;
        if slot.is_some() {
            return Err("has two vectors of one text");
        }
        let finite = one.embedding.into_iter().map(|number| number.filter(|number| number.is_finite()));
        let vector: Vec<f32> =
            finite.collect::<Option<_>>().ok_or("has a vector of what are no finite numbers")?;
        if vector.iter().all(|number| *number == 0.0) {
            return Err("has a vector without a direction");
        }
        *slot = Some(vector);
    }
    let vectors: Vec<Vec<f32>> =
        vectors.into_iter().collect::<Option<_>>().ok_or("lacks the vector of a text")?;
    let length = vectors.first().map_or(0, Vec::len);
    if vectors.iter().any(|vector| vector.len() != length) || asked.is_some_and(|asked| asked != length) {
        return Err("has vectors of another length than was asked for");
    }
    if length > DIMENSIONS {
        return Err("has vectors of more than 4,096 dimensions");
    }
    Ok(vectors)
}

impl OpenAi {
    async fn vectors(&self, request: &EmbeddingRequest) -> Result<EmbeddingReply, Failure> {
        let provider = self.embeddings.provider;
        request.check(provider)?;
        let limits = Limits { bytes: ANSWER_BYTES, ..self.wire.limits() };
        let body = |unknown: &[_]| request.body(unknown);
        let (stream, unknown) = self.file(&self.embeddings, limits, &OPTIONAL, body).await?;
        let Ok(embedded) = serde_json::from_slice::<Embedded>(&stream.whole().await?) else {
            return Err(Failure::broken(provider, "is not in the embeddings format"));
        };
        refuse(&self.embeddings, embedded.error)?;
        let usage = embedded.usage.and_then(|counted| {
            let read = counted.prompt_tokens.or(counted.total_tokens)?;
            Some(Usage { prompt_tokens: read, completion_tokens: 0 })
        });
        let asked = request.dimensions.filter(|_| !unknown.contains(&"dimensions"));
        let vectors = arrange(embedded.data.unwrap_or_default(), request.texts.len(), asked)
            .map_err(|what| Failure::broken(provider, what).with_usage(usage))?;
        Ok(EmbeddingReply { vectors, model: embedded.model.unwrap_or_else(|| request.model.clone()), usage })
    }
}

impl EmbeddingEngine for OpenAi {
    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<EmbeddingReply, Failure>> {
        let total = self.wire.limits().total;
        self.wire.within(self.embeddings.provider, total, self.vectors(request).boxed()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::QUESTION_BYTES;

    fn one(index: Option<usize>, numbers: &[f32]) -> One {
        One { index, embedding: numbers.iter().copied().map(Some).collect() }
    }

    #[test]
    fn each_text_has_its_vector_whatever_their_order() {
        let data = vec![one(Some(1), &[0.0, 2.0]), one(Some(0), &[1.0, 0.0])];
        assert_eq!(arrange(data, 2, Some(2)).unwrap(), [[1.0, 0.0], [0.0, 2.0]]);
        let data = vec![one(None, &[1.0]), one(None, &[2.0])];
        assert_eq!(arrange(data, 2, None).unwrap(), [[1.0], [2.0]]);
    }

    #[test]
    fn vectors_that_cannot_be_compared_are_none() {
        let lacking = One { index: Some(0), embedding: vec![Some(1.0), None] };
        for (data, asked, what) in [
            (vec![one(Some(0), &[1.0]), one(Some(0), &[1.0])], None, "two vectors of one text"),
            (vec![one(Some(0), &[1.0]), one(Some(2), &[1.0])], None, "of no text"),
            (vec![one(Some(1), &[1.0])], None, "lacks the vector"),
            (vec![one(Some(0), &[1.0]), one(Some(1), &[1.0, 2.0])], None, "another length"),
            (vec![one(Some(0), &[1.0]), one(Some(1), &[1.0])], Some(2), "another length"),
            (vec![one(Some(0), &[]), one(Some(1), &[])], None, "without a direction"),
            (vec![one(Some(0), &[0.0]), one(Some(1), &[1.0])], None, "without a direction"),
            (vec![one(Some(0), &[f32::INFINITY]), one(Some(1), &[1.0])], None, "no finite numbers"),
            (vec![lacking, one(Some(1), &[1.0, 1.0])], None, "no finite numbers"),
        ] {
            let wrong = arrange(data, 2, asked).unwrap_err();
            assert!(wrong.contains(what), "{wrong}");
        }
        let long = vec![1.0; DIMENSIONS + 1];
        assert!(arrange(vec![one(Some(0), &long)], 1, None).unwrap_err().contains("4,096"));
        assert!(arrange(vec![one(Some(0), &long[1..])], 1, None).is_ok());
    }

    #[test]
    fn what_every_provider_would_refuse_is_not_asked() {
        let request = EmbeddingRequest { model: "m".into(), texts: vec!["t".into()], dimensions: None };
        let refused = |request: EmbeddingRequest| request.check(Provider::OpenAi).unwrap_err().kind;
        assert!(request.check(Provider::OpenAi).is_ok());
        assert_eq!(refused(EmbeddingRequest { model: " ".into(), ..request.clone() }), Kind::Rejected);
        assert_eq!(refused(EmbeddingRequest { texts: Vec::new(), ..request.clone() }), Kind::Rejected);
        assert_eq!(refused(EmbeddingRequest { texts: vec!["\n".into()], ..request.clone() }), Kind::Rejected);
        let many = vec!["t".to_owned(); TEXTS + 1];
        assert_eq!(refused(EmbeddingRequest { texts: many, ..request.clone() }), Kind::Rejected);
        for dimensions in [0, DIMENSIONS + 1] {
            let wrong = EmbeddingRequest { dimensions: Some(dimensions), ..request.clone() };
            assert_eq!(refused(wrong), Kind::Rejected);
        }
        let long = vec!["t".repeat(QUESTION_BYTES), "t".to_owned()];
        assert_eq!(refused(EmbeddingRequest { texts: long, ..request }), Kind::ContextLength);
    }
}
