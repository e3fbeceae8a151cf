//! Making a document's passages: a job, in the name of whoever added or changed it.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::store::{self, NewChunk};
use super::{IndexInput, MimeType, embeddings};
use crate::access::Action;
use crate::db::{Changes, Record, Target};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::jobs::worker::Work;
use crate::jobs::{self, Attempted, Failure, Finished, Run};
use crate::retrieval::{self, Format, Vocabulary};

/// The kind of these jobs.
pub const KIND: &str = "document.index";

/// What makes passages.
pub struct IndexDocument;

impl Work for IndexDocument {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        index(run).map(|outcome| outcome.map_err(Into::into)).boxed()
    }
}

/// The passages of a text, with how many of them hold each term.
struct Cut {
    chunks: Vec<NewChunk>,
    terms: BTreeMap<String, i32>,
    words: i64,
}

fn cut(title: &str, text: &str, format: Format) -> Cut {
    let chunks = retrieval::chunk(text, format);
    let indexed = retrieval::index(text, title, &chunks, &Vocabulary::of(text));
    let number = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let mut cut = Cut { chunks: Vec::with_capacity(chunks.len()), terms: BTreeMap::new(), words: 0 };
    for (chunk, found) in chunks.into_iter().zip(indexed) {
        let mut terms: Vec<String> =
            found.text.into_iter().chain(found.heading).map(|(term, _)| term).collect();
        terms.sort_unstable();
        terms.dedup();
        for term in &terms {
            *cut.terms.entry(term.clone()).or_default() += 1;
        }
        cut.words += i64::from(number(chunk.words));
        cut.chunks.push(NewChunk {
            heading: chunk.heading,
            start: number(chunk.start),
            end: number(chunk.end),
            text: text.get(chunk.bytes).unwrap_or_default().to_owned(),
            language: chunk.language.as_str(),
            length: number(chunk.words),
            terms,
        });
    }
    cut
}

impl Cut {
    /// How many characters there are of all passages, each under its title and heading.
    fn characters(&self, title: &str) -> i64 {
        let above = |heading: Option<&String>| heading.map_or(0, |heading| heading.chars().count());
        let title = title.chars().count();
        let above: usize = self.chunks.iter().map(|chunk| title + above(chunk.heading.as_ref())).sum();
        let text: i64 = self.chunks.iter().map(|chunk| i64::from(chunk.end - chunk.start)).sum();
        text + i64::try_from(above).unwrap_or(i64::MAX >> 1)
    }
}

async fn index(run: &Run) -> Result<Attempted> {
    let looking = Action::ContentRead;
    let (input, newest, document) = {
        // A key that may add but not read adds all the same: what is read here goes nowhere but into passages.
        let action =
            if run.scope().may_somewhere(looking.permission()) { looking } else { Action::DocumentIndex };
        let mut tx = run.read(action).await?;
        let input: IndexInput = jobs::input(&mut tx, run.job()).await?;
        let newest = store::newest(&mut tx, input.document, input.version).await?;
        let document = super::find(&mut tx, input.document).await?;
        (input, newest, document)
    };
    run.release().await;
    let action = if input.changed { Action::DocumentReindex } else { Action::DocumentIndex };
    let gone = || {
        let message = "The document was deleted before its passages were made.";
        Error::fault(Fault::new(FaultCode::NotFound, message))
    };
    let document = document.ok_or_else(gone)?;
    let target = Target::document(document.id).within(document.project);
    let Some((title, mime_type, text)) = newest else {
        // A newer version has its own job.
        let tx = run.write(document.project, action).await?;
        return run.succeed(tx, &Finished::default(), Record::of(target)).await;
    };
    run.progress(0.1, "Cutting the text into passages.").await?;
    let format = if mime_type == MimeType::Plain.as_str() { Format::Plain } else { Format::Markdown };
    let made = jobs::compute(move || cut(&title, &text, format)).await?;
    run.progress(0.5, &format!("Storing {} passages.", made.chunks.len())).await?;

    let mut tx = run.write(document.project, action).await?;
    store::lock(&mut tx, document.id).await?;
    super::take_shelf(&mut tx, document.project).await?;
    embeddings::hold(&mut tx).await?;
    // Whoever changed or deleted it meanwhile has been waited for.
    let current = super::find(&mut tx, document.id).await?.ok_or_else(gone)?;
    let mut logged = serde_json::json!({"version": input.version, "passages": made.chunks.len()});
    if current.version == input.version {
        store::remove_chunks(&mut tx, &current).await?;
        store::insert_chunks(&mut tx, &current, input.version, &made.chunks).await?;
        let counts = made.terms.iter().map(|(term, count)| (term.as_str(), *count)).collect();
        store::count_chunks(&mut tx, current.project, &counts, made.chunks.len(), made.words).await?;
        store::set_indexed(&mut tx, current.id, input.version).await?;
        let characters = made.characters(&current.title);
        if !embeddings::added(&mut tx, current.project, input.changed, characters).await? {
            logged["notEmbedded"] = serde_json::json!(FaultCode::QuotaExceeded);
        }
    }
    run.succeed(tx, &Finished::default(), Record::with(target, Changes::made(&logged))).await
}
