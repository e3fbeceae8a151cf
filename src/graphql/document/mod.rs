//! Everything that happens to a document before it runs: limits, the price, variables and the cache.
//!
//! The order is the point. A text is scanned before it is parsed, a parsed document is measured before it is
//! validated, and only a valid document is priced and kept. Each step is cheap because the one before it has bounded
//! its input. Validation itself is the execution engine's and is called from outside, between
//! [`Parsed::new`] and [`Document::new`].

mod input;
mod known;
mod limits;
mod literals;
mod manifest;
mod measure;
mod price;
mod prune;
mod scan;
mod schema;
mod shape;
mod weigh;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, Response, ServerError, Value, Variables, parser};

pub use self::input::RawVariables;
use self::input::{Declared, coerce};
pub use self::known::{Called, Documents, Fingerprint, Wanted, not_trusted};
pub use self::limits::Limits;
use self::literals::check_literals;
pub(crate) use self::manifest::Problems;
pub use self::manifest::{Manifest, Trust};
use self::measure::measure;
use self::price::Plan;
pub use self::price::Quote;
use self::prune::prune;
use self::scan::scan;
pub use self::schema::SchemaIndex;
use self::shape::Shape;
use crate::error::{Code, Error, finish};

/// Why a request was refused before anything ran.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The code of every error that does not carry its own.
    pub code: Code,
    /// At least one error, still without extensions: `error::finish` adds them.
    pub errors: Vec<ServerError>,
}

impl Rejection {
    /// A refusal with one error.
    pub fn new(code: Code, message: impl Into<String>, at: Option<Pos>) -> Self {
        Self { code, errors: vec![ServerError::new(message, at)] }
    }

    /// The errors in their final form.
    pub fn finish(mut self, request_id: &str) -> Vec<ServerError> {
        for error in &mut self.errors {
            finish(error, self.code, request_id);
        }
        self.errors
    }

    /// A refusal when there are errors, of which no more are named than the limits allow.
    fn from_all(code: Code, mut errors: Vec<ServerError>, limits: &Limits) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        let more = errors.len().saturating_sub(limits.errors);
        errors.truncate(limits.errors);
        for error in &mut errors {
            shorten(&mut error.message);
        }
        if more > 0 {
            errors.push(ServerError::new(format!("There are {more} more errors."), None));
        }
        Err(Self { code, errors })
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        let code = error.code();
        let mut refusal = Self::new(code, error.message(), None);
        for wire in &mut refusal.errors {
            wire.source = Some(Arc::new(error.clone()));
        }
        refusal
    }
}

/// Cuts a message that quotes more of the request than anybody wants to read.
pub(crate) fn shorten(message: &mut String) {
    const LONGEST: usize = 300;
    if let Some((end, _)) = message.char_indices().nth(LONGEST) {
        message.truncate(end);
        message.push('…');
    }
}

/// A document that is parsed and small enough to be validated.
#[derive(Debug)]
pub struct Parsed {
    document: ExecutableDocument,
    fingerprint: Fingerprint,
}

impl Parsed {
    /// Scans, parses and measures a text.
    ///
    /// # Errors
    ///
    /// `GRAPHQL_PARSE_FAILED`, or what a limit refuses.
    pub fn new(text: &str, limits: &Limits) -> Result<Self, Rejection> {
        scan(text, limits)?;
        let document = parser::parse_query(text).map_err(|error| syntax_error(&error))?;
        measure(&document, limits)?;
        Ok(Self { document, fingerprint: Fingerprint::of(text) })
    }

    /// A copy for validation, which consumes what it is given.
    ///
    /// It has no defaults of variables: the execution engine panics on those whose type it does not know, and they
    /// are checked with the other literals in [`Document::new`].
    pub fn to_executable(&self) -> ExecutableDocument {
        let mut document = self.document.clone();
        let forget = |operation: &mut Positioned<OperationDefinition>| {
            for variable in &mut operation.node.variable_definitions {
                variable.node.default_value = None;
            }
        };
        match &mut document.operations {
            DocumentOperations::Single(operation) => forget(operation),
            DocumentOperations::Multiple(operations) => operations.values_mut().for_each(forget),
        }
        document
    }

    /// Whether an operation asks for the schema.
    pub fn introspects(&self) -> Option<Pos> {
        let fragments = self.document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
        let operations =
            self.document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
        operations.chain(fragments).find_map(introspects)
    }
}

fn introspects(set: &SelectionSet) -> Option<Pos> {
    set.items.iter().find_map(|selection| match &selection.node {
        Selection::Field(field) if matches!(field.node.name.node.as_str(), "__schema" | "__type") => {
            Some(field.pos)
        }
        Selection::Field(field) => introspects(&field.node.selection_set.node),
        Selection::InlineFragment(fragment) => introspects(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => None,
    })
}

/// The parser's message quotes the whole line of the text, however long it is; only the end says what is wrong.
fn syntax_error(error: &parser::Error) -> Rejection {
    let message = match error {
        parser::Error::Syntax { message, .. } => {
            let reason = message.rsplit_once("= ").map_or("the text is not GraphQL", |(_, reason)| reason);
            format!("Syntax error: {reason}.")
        }
        other => format!("Syntax error: {}.", other.to_string().trim_end_matches('.')),
    };
    let mut rejection = Rejection::new(Code::GraphqlParseFailed, message, None);
    for wire in &mut rejection.errors {
        wire.locations = error.positions().collect();
    }
    rejection
}

/// The errors of validation as a refusal; nothing when there are none.
///
/// # Errors
///
/// When there are errors.
pub fn refuse_invalid(errors: Vec<ServerError>, limits: &Limits) -> Result<(), Rejection> {
    Rejection::from_all(Code::GraphqlValidationFailed, errors, limits)
}

/// A valid document, ready to run.
#[derive(Debug)]
pub struct Document {
    fingerprint: Fingerprint,
    operations: Vec<Arc<Operation>>,
}

/// One operation of a valid document.
#[derive(Debug)]
pub struct Operation {
    document: Fingerprint,
    name: Option<Name>,
    kind: OperationType,
    /// This operation and the fragments that it spreads: every run needs a copy, so it holds nothing else.
    executable: ExecutableDocument,
    declared: Vec<Declared>,
    plan: Plan,
    shape: Shape,
    distinct: bool,
    root: Option<Name>,
}

impl Document {
    /// Prices a document that has passed strict validation.
    ///
    /// # Errors
    ///
    /// `GRAPHQL_VALIDATION_FAILED` for literals that do not fit, which strict validation overlooks.
    pub fn new(parsed: Parsed, index: &SchemaIndex, limits: &Limits) -> Result<Self, Rejection> {
        let Parsed { document, fingerprint } = parsed;
        check_literals(index, limits, &document)?;
        let operations = document
            .operations
            .iter()
            .map(|named| Operation::new(index, limits, fingerprint, &document, named).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self { fingerprint, operations })
    }

    /// What it is known by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What it takes in memory, by estimate.
    fn weight(&self) -> u32 {
        /// What the smallest one takes beside its operation, its place in the cache included.
        const OVERHEAD: usize = 1024;
        let operations = self.operations.iter().map(|operation| operation.weight());
        u32::try_from(OVERHEAD + operations.sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Refuses what would be refused with whatever variables.
    ///
    /// # Errors
    ///
    /// As [`Operation::quote`] and [`Quote::affordable`] do.
    pub fn check_price(&self, limits: &Limits) -> Result<(), Rejection> {
        self.operations.iter().try_for_each(|operation| operation.check_price(limits))
    }

    /// The operation of this name, or the only one.
    ///
    /// # Errors
    ///
    /// When there is none, or the name is needed.
    pub fn operation(&self, name: Option<&str>) -> Result<Arc<Operation>, Rejection> {
        let found = match (name, self.operations.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => {
                return Err(bad_input("The document has several operations: name one with `operationName`."));
            }
            (Some(name), all) => all.iter().find(|operation| operation.name() == Some(name)),
        };
        found
            .cloned()
            .ok_or_else(|| bad_input("The document has no operation of the name in `operationName`."))
    }
}

fn bad_input(message: &str) -> Rejection {
    Rejection::new(Code::BadUserInput, message, None)
}

impl Operation {
    fn new(
        index: &SchemaIndex,
        limits: &Limits,
        fingerprint: Fingerprint,
        document: &ExecutableDocument,
        (name, operation): (Option<&Name>, &Positioned<OperationDefinition>),
    ) -> Result<Self, Rejection> {
        let declared: Vec<Declared> = operation
            .node
            .variable_definitions
            .iter()
            .map(|variable| Declared {
                name: variable.node.name.node.clone(),
                ty: variable.node.var_type.node.clone(),
                default: variable.node.default_value.as_ref().map(|value| value.node.clone()),
            })
            .collect();
        let plan = Plan::new(index, limits, document, operation, &declared);
        plan.check_introspection(limits)?;
        let shape = Shape::new(index, document, &operation.node);
        let distinct = shape.is_distinct();
        let mut needed = HashSet::new();
        fragments_of(document, &operation.node.selection_set.node, &mut needed);
        let fragments = document.fragments.iter().filter(|(name, _)| needed.contains(name.as_str()));
        let mut own = operation.clone();
        if operation.node.ty == OperationType::Subscription {
            own.node.selection_set.node.items = vec![single_root(document, operation)?];
        }
        let operations = match name {
            None => DocumentOperations::Single(own),
            Some(name) => DocumentOperations::Multiple(HashMap::from([(name.clone(), own)])),
        };
        let executable = ExecutableDocument {
            operations,
            fragments: fragments.map(|(name, fragment)| (name.clone(), fragment.clone())).collect(),
        };
        let root = only_root(document, &operation.node.selection_set.node);
        Ok(Self {
            document: fingerprint,
            name: name.cloned(),
            kind: operation.node.ty,
            executable,
            declared,
            plan,
            shape,
            distinct,
            root,
        })
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + weigh::executable(&self.executable) + self.plan.weight() + self.shape.weight()
    }

    /// What its document is known by.
    pub fn document(&self) -> Fingerprint {
        self.document
    }

    /// Query, mutation or subscription.
    pub fn kind(&self) -> OperationType {
        self.kind
    }

    /// Its name, when it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its root field, when it has no second one.
    pub fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }

    /// Puts the variables into the form that the operation declares.
    ///
    /// # Errors
    ///
    /// `BAD_USER_INPUT` with the path of the value that does not fit.
    pub fn coerce(
        &self,
        raw: RawVariables,
        index: &SchemaIndex,
        limits: &Limits,
    ) -> Result<(Variables, Vec<Name>), Error> {
        coerce(index, limits, &self.declared, raw)
    }

    /// What it costs with these variables.
    ///
    /// # Errors
    ///
    /// `BAD_USER_INPUT` with the path of a page size that is out of range.
    pub fn quote(&self, variables: &Variables, limits: &Limits) -> Result<Quote, Error> {
        self.plan.quote(variables, limits)
    }

    /// Refuses what would be refused with whatever variables: page sizes out of range, and a price that is too high
    /// even when every page that a variable chooses has one item.
    fn check_price(&self, limits: &Limits) -> Result<(), Rejection> {
        self.quote(&Variables::default(), limits)?;
        let mut smallest = Variables::default();
        for Declared { name, .. } in &self.declared {
            smallest.insert(name.clone(), Value::from(1));
        }
        self.quote(&smallest, limits)?.affordable(limits)
    }

    /// Whether each field is selected once, so that no two answers have to be merged.
    pub fn is_distinct(&self) -> bool {
        self.distinct
    }

    /// Gives an answer the form that GraphQL promises: the document's order, and null where something failed.
    pub fn settle(&self, response: &mut Response) {
        self.shape.settle(&mut response.data, &response.errors);
    }

    /// A copy to run, without the inputs that variables would give which were not sent.
    pub fn to_executable(&self, absent: &[Name]) -> ExecutableDocument {
        let mut executable = self.executable.clone();
        if !absent.is_empty() {
            prune(&mut executable, absent);
        }
        executable
    }
}

/// The one field that a subscription follows, taken out of its fragments: the execution engine looks for it nowhere else.
///
/// # Errors
/// When there is not exactly one, or when it would depend on a variable whether there is.
fn single_root(
    document: &ExecutableDocument,
    operation: &Positioned<OperationDefinition>,
) -> Result<Positioned<Selection>, Rejection> {
    let mut fields = Vec::new();
    let plain = root_fields(document, &operation.node.selection_set.node, &mut fields);
    match fields.as_slice() {
        [(name, field)] if plain && !name.starts_with("__") => Ok((*field).clone()),
        _ => {
            let message =
                "A subscription selects exactly one field of `Subscription`, without @skip and @include.";
            Err(Rejection::new(Code::GraphqlValidationFailed, message, Some(operation.pos)))
        }
    }
}

/// The one field that is selected at the root, however often it is.
fn only_root(document: &ExecutableDocument, set: &SelectionSet) -> Option<Name> {
    let mut fields = Vec::new();
    root_fields(document, set, &mut fields);
    let (first, others) = fields.split_first()?;
    others.iter().all(|(name, _)| *name == first.0).then(|| Name::new(first.0))
}

/// Collects the fields of a root, and tells whether no directive stands above them.
fn root_fields<'d>(
    document: &'d ExecutableDocument,
    set: &'d SelectionSet,
    found: &mut Vec<(&'d str, &'d Positioned<Selection>)>,
) -> bool {
    set.items.iter().fold(true, |plain, selection| {
        let (directives, below) = match &selection.node {
            Selection::Field(field) => {
                found.push((field.node.name.node.as_str(), selection));
                (&field.node.directives, None)
            }
            Selection::InlineFragment(fragment) => {
                (&fragment.node.directives, Some(&fragment.node.selection_set.node))
            }
            Selection::FragmentSpread(spread) => {
                let fragment = document.fragments.get(&spread.node.fragment_name.node);
                (&spread.node.directives, fragment.map(|fragment| &fragment.node.selection_set.node))
            }
        };
        let below = below.is_none_or(|set| root_fields(document, set, found));
        plain && directives.is_empty() && below
    })
}

/// Collects the fragments that a selection set needs.
fn fragments_of<'d>(document: &'d ExecutableDocument, set: &'d SelectionSet, found: &mut HashSet<&'d str>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => fragments_of(document, &field.node.selection_set.node, found),
            Selection::InlineFragment(fragment) => {
                fragments_of(document, &fragment.node.selection_set.node, found);
            }
            Selection::FragmentSpread(spread) => {
                let known = document.fragments.get_key_value(&spread.node.fragment_name.node);
                if let Some((name, fragment)) = known
                    && found.insert(name)
                {
                    fragments_of(document, &fragment.node.selection_set.node, found);
                }
            }
        }
    }
}
