//! Vectors of an organization's passages, near one another where the passages mean the same: which model makes them, the job
//! that does ([`make`]), and the search among them.
//!
//! They stand beside the passages and are the tenant's as these are: a vector goes with its passage, is seen where its passage
//! is, and belongs to the choice of provider, model and length that it was made by, so that no two are ever compared that
//! were made differently. The search is exact: it looks at all that it may see, as they come.

pub mod graphql;
pub mod make;
mod store;

use futures_util::stream::{TryChunksError, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::Action;
use crate::db::{ReadTx, WriteTx};
use crate::engine::embeddings::{DIMENSIONS, EmbeddingRequest};
use crate::engine::{self, Engines};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{JobId, OrganizationId, ProjectId};
use crate::input;
use crate::jobs::{self, Engine, Failure, NewJob, Run};
use crate::knowledge::search::Place;
use crate::providers::{self, Providers, Wanted, calls};
use crate::retrieval::{Nearest, Quantised};
use crate::usage::Amounts;

/// Characters of a model's name.
const MODEL: usize = 200;
/// The turn of whoever changes the choice.
const TURN: &str = "embeddings";
/// How long vectors are of models that can make shorter ones, when nobody says.
const SHORT: usize = 512;
/// Vectors that are held at a time while all of them are looked at.
const HELD: usize = 1_000;

/// The model that makes an organization's vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embeddings {
    /// Whose.
    pub organization: OrganizationId,
    /// The choice, which its vectors belong to.
    pub id: Uuid,
    /// The provider's name.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// How many numbers a vector shall have; none: as many as the model makes of its own.
    pub dimensions: Option<usize>,
}

/// A choice, checked.
#[derive(Debug)]
pub struct NewEmbeddings {
    provider: String,
    model: String,
    dimensions: Option<usize>,
}

impl NewEmbeddings {
    /// Checks what a caller wrote. Without `dimensions` it is as many as fit the model; with none, as the model makes.
    ///
    /// # Errors
    /// A fault at the field; `PROVIDER_NOT_CONFIGURED`.
    pub async fn parse(
        tx: &mut ReadTx<'_>,
        providers: &Providers,
        provider: &str,
        model: Option<&str>,
        dimensions: Option<Option<i32>>,
    ) -> Result<Self> {
        let model = input::line("model", model.unwrap_or_default(), MODEL)?;
        let wanted = Wanted {
            provider: provider.to_owned(),
            model: Some(model.clone()),
            fallback: false,
            own: None,
            kind: None,
        };
        let found = wanted.check(tx, providers).await.map_err(unnested)?;
        let refused = |message: &str| {
            Err(Error::fault(Fault::at(FaultCode::ProviderNotConfigured, "provider", message)))
        };
        let Some(Wanted { provider, kind, .. }) = found else {
            return refused(
                "The built-in engine makes no vectors. Name a provider of the kind OPENAI and one of its embedding models.",
            );
        };
        if kind.is_some_and(|kind| !kind.embeds()) {
            return refused(
                "A provider of this kind has no embedding models. Name one of the kind OPENAI and one of its embedding models.",
            );
        }
        let dimensions = match dimensions {
            None => model.starts_with("text-embedding-3").then_some(SHORT),
            Some(None) => None,
            Some(Some(count)) => {
                let count = usize::try_from(count).ok().filter(|count| (1..=DIMENSIONS).contains(count));
                Some(count.ok_or_else(|| {
                    let message = "`dimensions` is a number from 1 to 4096.";
                    Error::fault(Fault::at(FaultCode::OutOfRange, "dimensions", message))
                })?)
            }
        };
        Ok(Self { provider, model, dimensions })
    }
}

/// An engine's faults, where its fields stand in the input itself.
fn unnested(error: Error) -> Error {
    let Error::Invalid(faults) = error else { return error };
    let unnested = |fault: Fault| {
        let inner = |path: Vec<String>| path.into_iter().skip_while(|part| part == "engine").collect();
        Fault { field: fault.field.map(inner), ..fault }
    };
    Error::Invalid(faults.into_iter().map(unnested).collect())
}

/// What the audit log keeps of a choice.
pub fn logged(embeddings: Option<&Embeddings>) -> Value {
    embeddings.map_or_else(
        || json!({}),
        |row| json!({"provider": row.provider, "model": row.model, "dimensions": row.dimensions}),
    )
}

/// The organization's choice.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>) -> Result<Option<Embeddings>> {
    store::find(tx).await
}

/// How many vectors there are of a choice, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, embeddings: &Embeddings) -> Result<i64> {
    store::count(tx, embeddings.id).await
}

/// Sets which model makes the vectors, and has made what is lacking; without one, all of them are deleted, as they are when
/// it is another one. Gives the choice before and after, and whether a job has begun.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub async fn set(
    tx: &mut WriteTx<'_>,
    new: Option<&NewEmbeddings>,
) -> Result<(Option<Embeddings>, Option<Embeddings>, bool)> {
    tx.take_turn(TURN).await?;
    let before = store::find(tx).await?;
    let same = |row: &Embeddings, new: &NewEmbeddings| {
        (&row.provider, &row.model, row.dimensions) == (&new.provider, &new.model, new.dimensions)
    };
    let mut active = jobs::active(tx, make::KIND).await?;
    if !before.as_ref().zip(new).is_some_and(|(row, new)| same(row, new)) {
        for (job, _) in active.drain(..) {
            match jobs::cancel(tx, job).await {
                // Or it has come to nothing just now.
                Ok(_) | Err(Error::Invalid(_)) => {}
                Err(error) => return Err(error),
            }
        }
        store::delete(tx).await?;
        if let Some(new) = new {
            store::insert(tx, new).await?;
        }
    }
    let after = store::find(tx).await?;
    let mut begun = false;
    if after.is_some() {
        for (project, characters) in store::places(tx).await? {
            // Who is at a place already leaves nothing in it.
            if !active.iter().any(|(_, place)| *place == project) {
                begin(tx, project, Cause::Set, needs(characters)).await?;
                begun = true;
            }
        }
    }
    Ok((before, after, begun))
}

/// Keeps the choice as it is until the transaction ends: whoever changes it waits, and then finds what is new. Passages are
/// touched only afterwards, and their shelf is taken before.
///
/// # Errors
/// What the database says.
pub async fn hold(tx: &mut WriteTx<'_>) -> Result<()> {
    tx.share_turn(TURN).await
}

/// Has vectors made of passages that are new in a place, where the organization wants any; whoever calls this has taken its
/// shelf, and holds the choice ([`hold`]).
/// False: the tier has no room for that this month, and they are left out until they are asked for again.
///
/// # Errors
/// What the database says.
pub async fn added(
    tx: &mut WriteTx<'_>,
    project: Option<ProjectId>,
    is_changed: bool,
    characters: i64,
) -> Result<bool> {
    if store::find(tx).await?.is_none() {
        return Ok(true);
    }
    let active = jobs::active(tx, make::KIND).await?;
    // Places have nothing in common, and whoever is at one leaves nothing in it: no passage is paid for twice.
    let begun = if let Some((job, _)) = active.into_iter().find(|(_, place)| *place == project) {
        jobs::enlarge(tx, job, needs(characters)).await
    } else {
        let cause = if is_changed { Cause::Changed } else { Cause::Added };
        begin(tx, project, cause, needs(characters)).await
    };
    match begun {
        Ok(()) => Ok(true),
        Err(Error::Invalid(faults)) if faults.iter().all(|fault| fault.code == FaultCode::QuotaExceeded) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Why vectors are made, which says what their job needs to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    /// Somebody chose a model.
    Set,
    /// Somebody added a document.
    Added,
    /// Somebody changed one.
    Changed,
}

impl Cause {
    const fn action(self) -> Action {
        match self {
            Self::Set => Action::EmbeddingsMake,
            Self::Added => Action::EmbeddingsAdd,
            Self::Changed => Action::EmbeddingsRenew,
        }
    }
}

/// What a job that makes vectors needs to know.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// Of the passages of this project; none: of those that are the whole organization's.
    project: Option<ProjectId>,
    cause: Cause,
}

/// Begins a job that makes the vectors of a place.
async fn begin(tx: &mut WriteTx<'_>, project: Option<ProjectId>, cause: Cause, needs: Amounts) -> Result<()> {
    let new = NewJob {
        id: JobId::generate(),
        kind: make::KIND,
        agent: None,
        project,
        input: serde_json::to_value(Order { project, cause }).map_err(Error::internal)?,
        run_at: None,
        result: None,
        needs,
    };
    jobs::enqueue(tx, &new).await
}

/// What a model may read of texts of so many characters.
fn needs(characters: i64) -> Amounts {
    Amounts::tokens(engine::tokens(characters.unsigned_abs(), 0).total())
}

/// What makes an organization's vectors.
#[derive(Debug)]
pub struct Embedder {
    embeddings: Embeddings,
    engines: Engines,
}

impl Embedder {
    /// The organization's, when it has chosen one; its provider is looked for when it is asked.
    ///
    /// # Errors
    /// What the database says; a fault of ours when the provider's key cannot be opened.
    pub async fn find(tx: &mut ReadTx<'_>, providers: &Providers) -> Result<Option<Self>> {
        let Some(embeddings) = store::find(tx).await? else { return Ok(None) };
        let own = providers::named(tx, &embeddings.provider).await?;
        let own = own.map(|own| (embeddings.provider.as_str(), own.id));
        let engines = providers.engines_of(tx, own).await?;
        Ok(Some(Self { embeddings, engines }))
    }

    /// The same, when there are vectors to be found in a place.
    ///
    /// # Errors
    /// As [`Embedder::find`].
    pub async fn of(tx: &mut ReadTx<'_>, providers: &Providers, place: &Place) -> Result<Option<Self>> {
        let Some(embedder) = Self::find(tx, providers).await? else { return Ok(None) };
        let any = store::any(tx, embedder.embeddings.id, place).await?;
        Ok(Some(embedder).filter(|_| any))
    }

    /// Has vectors made for a job; what they take is counted at once. Gives them, and the engine as the job keeps it.
    ///
    /// # Errors
    /// The provider's failure, as a job's.
    pub async fn embed(&self, run: &Run, texts: Vec<String>) -> Result<(Vec<Quantised>, Engine), Failure> {
        let missing = |message: String| Failure::fail(Fault::new(FaultCode::ProviderNotConfigured, message));
        let Embeddings { provider, model, dimensions, .. } = &self.embeddings;
        let engine = self.engines.text(provider).map_err(|error| missing(error.to_string()))?;
        let models =
            engine.embeddings().ok_or_else(|| missing(format!("{provider} has no embedding models.")))?;
        let request = EmbeddingRequest { model: model.clone(), texts, dimensions: *dimensions };
        let reply = calls::embed(run, &self.engines, (&*engine, models), &request).await?;
        let worked = calls::engine_that(&self.engines, &*engine, &reply.model, reply.usage);
        let vectors: Option<Vec<Quantised>> =
            reply.vectors.iter().map(|vector| Quantised::of(vector)).collect();
        let vectors = vectors.ok_or_else(|| {
            Error::internal(anyhow::anyhow!("an engine has let a vector without a direction through"))
        })?;
        Ok((vectors, worked))
    }

    /// The passages that mean most nearly the same as a vector, the nearest first, as far as the transaction sees.
    ///
    /// # Errors
    /// What the database says.
    pub async fn nearest(
        &self,
        tx: &mut ReadTx<'_>,
        to: Quantised,
        place: &Place,
        most: usize,
    ) -> Result<Vec<Uuid>> {
        let mut nearest = Nearest::new(to, most);
        let mut some = store::all(tx, self.embeddings.id, place).try_chunks(HELD);
        while let Some(vectors) = some.try_next().await.map_err(|TryChunksError(_, error)| error)? {
            // It computes: not where others wait.
            nearest = jobs::compute(move || {
                for store::Vector { id, scale, direction } in vectors {
                    nearest.look(id.as_u128(), &Quantised::kept(scale, &direction));
                }
                nearest
            })
            .await?;
        }
        Ok(nearest.found().into_iter().map(|(id, _)| Uuid::from_u128(id)).collect())
    }
}
