//! From a text to an answer: two schemas with the same resolvers, one that validates and one that runs.
//!
//! The strict schema never runs anything: it validates each document once, without variables, so that its verdict
//! holds for every later request with the same text. The fast schema runs all operations and validates nothing. Since
//! variables are compared with their declared types on every request, a document that is met for the first time and
//! one from the cache get the same answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::futures_util::StreamExt as _;
use async_graphql::futures_util::stream::BoxStream;
use async_graphql::parser::types::OperationType;
use async_graphql::{
    Data, Name, ObjectType, Request, Response, Schema, SchemaBuilder, ServerError, SubscriptionType,
    ValidationMode, ValidationResult, Variables, async_trait,
};

use super::document::{
    Document, Documents, Fingerprint, Limits, Manifest, Operation, Parsed, Problems, Quote, RawVariables,
    Rejection, SchemaIndex, Trust, Wanted, not_trusted, refuse_invalid,
};
use super::plain::Distinct;
use crate::error::Code;
use crate::telemetry::{count, trace};

/// Documents beside the manifest that the log names; the next one is the last that it hears of.
const NOTED: usize = 10_000;

/// What may be asked about the schema itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disclosure {
    /// Whether introspection is answered.
    pub introspection: bool,
    /// Whether errors suggest names that exist.
    pub suggestions: bool,
}

/// Validates, prices and runs operations.
pub struct Executor<Query, Mutation, Subscription> {
    strict: Schema<Query, Mutation, Subscription>,
    fast: Schema<Query, Mutation, Subscription>,
    index: SchemaIndex,
    documents: Documents,
    trust: Trust,
    /// Documents beside the manifest that the log has named.
    noted: Mutex<HashSet<Fingerprint>>,
    limits: Limits,
    disclosure: Disclosure,
}

/// An operation with its variables, ready to run.
#[derive(Debug)]
pub struct Prepared {
    operation: Arc<Operation>,
    variables: Variables,
    absent: Vec<Name>,
    quote: Quote,
}

impl Prepared {
    /// Query, mutation or subscription.
    pub fn kind(&self) -> OperationType {
        self.operation.kind()
    }

    /// The operation's name, when it has one.
    pub fn name(&self) -> Option<&str> {
        self.operation.name()
    }

    /// Its root field, when it has no second one.
    pub fn root(&self) -> Option<&str> {
        self.operation.root()
    }

    /// What it costs, in points.
    pub fn cost(&self) -> u64 {
        self.quote.points
    }
}

impl<Query, Mutation, Subscription> Executor<Query, Mutation, Subscription>
where
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    /// Builds both schemas; `build` is called twice.
    ///
    /// # Errors
    ///
    /// When the schema's own SDL cannot be read.
    pub fn new(
        build: impl Fn() -> SchemaBuilder<Query, Mutation, Subscription>,
        limits: Limits,
        disclosure: Disclosure,
    ) -> anyhow::Result<Self> {
        let build = || {
            let mut builder = build();
            if !disclosure.suggestions {
                builder = builder.disable_suggestions();
            }
            if !disclosure.introspection {
                builder = builder.disable_introspection();
            }
            // Documents are measured before they come here; the parser's own limit is the same.
            builder.limit_recursive_depth(64)
        };
        let strict = build().validation_mode(ValidationMode::Strict).extension(StopAfterValidation).finish();
        let fast = build().validation_mode(ValidationMode::Fast).finish();
        let index = SchemaIndex::from_sdl(&fast.sdl()).context("the schema cannot be indexed")?;
        let documents = Documents::new(&limits);
        let (trust, noted) = (Trust::Off, Mutex::default());
        Ok(Self { strict, fast, index, documents, trust, noted, limits, disclosure })
    }

    /// Learns the documents of a manifest, which are checked as any other is, and what becomes of all others.
    ///
    /// # Errors
    ///
    /// Names the documents that can never be served, and why.
    pub async fn trusting(mut self, manifest: &Manifest, trust: Trust) -> anyhow::Result<Self> {
        let mut problems = Problems::default();
        for entry in &manifest.entries {
            let checked = self.validate(&entry.text).await.and_then(|document| {
                document.check_price(&self.limits)?;
                Ok(document)
            });
            match checked {
                Ok(document) => self.documents.trust(&entry.id, document),
                Err(rejection) => problems.add(entry, &rejection),
            }
        }
        problems.refuse(manifest.len())?;
        self.trust = trust;
        Ok(self)
    }

    /// The limits that hold here.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the schema is: types, fields and arguments by name.
    pub fn index(&self) -> &SchemaIndex {
        &self.index
    }

    /// The schema that runs operations, for its SDL.
    pub fn schema(&self) -> &Schema<Query, Mutation, Subscription> {
        &self.fast
    }

    /// How many documents are known from a manifest.
    pub fn trusted(&self) -> usize {
        self.documents.trusted_count()
    }

    /// Finds an operation in a document. Unless the document is known, it is parsed and validated, and kept.
    ///
    /// # Errors
    ///
    /// When the document is not known by its name, is not trusted where it has to be, is not GraphQL, exceeds a limit,
    /// does not fit the schema, or has no such operation.
    pub async fn select(
        &self,
        wanted: impl Into<Wanted<'_>>,
        operation_name: Option<&str>,
    ) -> Result<Arc<Operation>, Rejection> {
        self.find(&wanted.into()).await?.operation(operation_name)
    }

    async fn find(&self, wanted: &Wanted<'_>) -> Result<Arc<Document>, Rejection> {
        let fingerprint = self.documents.meant(wanted)?;
        let trusted = fingerprint.and_then(|known| self.documents.trusted(known));
        if let Some(document) = trusted {
            seen(true);
            return Ok(document);
        }
        if self.trust == Trust::Enforce {
            return Err(not_trusted());
        }
        let known = fingerprint.and_then(|known| self.documents.get(known, wanted));
        seen(known.is_some());
        if let Some(document) = known {
            return Ok(document);
        }
        let text = wanted.text.ok_or_else(|| wanted.not_found())?;
        Ok(self.documents.insert(self.validate(text).await?, wanted))
    }

    /// Logs an operation whose document is not the manifest's, where that is wanted: each document once, and not
    /// without end.
    pub fn note(&self, operation: &Operation, request_id: &str) {
        let document = operation.document();
        if self.trust != Trust::Log || self.documents.is_trusted(document) {
            return;
        }
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() > NOTED || !noted.insert(document) {
            return;
        }
        let count = noted.len();
        drop(noted);
        if count > NOTED {
            tracing::warn!("more than {NOTED} documents are not in the manifest: no further one is named");
            return;
        }
        tracing::warn!(
            request.id = request_id,
            document.hash = %document,
            graphql.operation = operation.name(),
            "a document is not in the manifest, and would not be served with AICOS_TRUSTED_DOCUMENTS=enforce"
        );
    }

    async fn validate(&self, text: &str) -> Result<Document, Rejection> {
        let parsed = Parsed::new(text, &self.limits)?;
        if let Some(at) = parsed.introspects().filter(|_| !self.disclosure.introspection) {
            let message = "Introspection is switched off on this server.";
            return Err(Rejection::new(Code::GraphqlValidationFailed, message, Some(at)));
        }
        let mut request = Request::new(String::new());
        request.set_parsed_query(parsed.to_executable());
        refuse_invalid(self.strict.execute(request).await.errors, &self.limits)?;
        Document::new(parsed, &self.index, &self.limits)
    }

    /// Compares the variables with what the operation declares and prices it.
    ///
    /// # Errors
    ///
    /// When a variable does not fit, a page is too large or the operation costs more than one request may.
    pub fn prepare(&self, operation: Arc<Operation>, raw: RawVariables) -> Result<Prepared, Rejection> {
        let prepared = self.price(operation, raw)?;
        prepared.quote.affordable(&self.limits)?;
        Ok(prepared)
    }

    /// Prices an operation without running it, whatever it costs.
    ///
    /// # Errors
    ///
    /// When a variable does not fit or a page is too large.
    pub fn quote(&self, operation: Arc<Operation>, raw: RawVariables) -> Result<u64, Rejection> {
        self.price(operation, raw).map(|prepared| prepared.cost())
    }

    fn price(&self, operation: Arc<Operation>, raw: RawVariables) -> Result<Prepared, Rejection> {
        let (variables, absent) = operation.coerce(raw, &self.index, &self.limits)?;
        let quote = operation.quote(&variables, &self.limits)?;
        Ok(Prepared { operation, variables, absent, quote })
    }

    /// Runs a query or mutation.
    pub async fn execute(&self, prepared: Prepared, data: Data) -> Response {
        let operation = Arc::clone(&prepared.operation);
        let mut response = self.fast.execute(request(prepared, data)).await;
        operation.settle(&mut response);
        response
    }

    /// Starts a subscription; a query or mutation gives one answer.
    pub fn subscribe(&self, prepared: Prepared, data: Data) -> BoxStream<'static, Response> {
        let operation = Arc::clone(&prepared.operation);
        let responses = self.fast.execute_stream(request(prepared, data));
        let settled = responses.map(move |mut response| {
            operation.settle(&mut response);
            response
        });
        settled.boxed()
    }
}

/// Counts whether a document was known, and says so in the trace.
fn seen(known: bool) {
    count().document(known);
    trace::cached(known);
}

fn request(prepared: Prepared, data: Data) -> Request {
    let Prepared { operation, variables, absent, .. } = prepared;
    let mut request = Request::new(String::new()).variables(variables);
    request.set_parsed_query(operation.to_executable(&absent));
    request.data = data;
    if operation.is_distinct() {
        request.data.insert(Distinct);
    }
    request
}

/// Ends every request of the strict schema where validation ends: with its errors, or with none.
struct StopAfterValidation;

impl ExtensionFactory for StopAfterValidation {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for StopAfterValidation {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        next.run(ctx).await?;
        Err(Vec::new())
    }
}

#[cfg(test)]
mod tests;
