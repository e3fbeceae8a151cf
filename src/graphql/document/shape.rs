//! The form of an answer: what was asked for, in the order in which it was asked.
//!
//! The execution engine keeps fields in the order in which they were ready, and leaves out the ones that failed.
//! GraphQL promises the document's order, and null where a field failed or, when that may not be null, at the closest
//! place above that may. Clients' caches and generated types count on it.

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, Selection, SelectionSet, Type,
};
use async_graphql::{Name, PathSegment, ServerError, Value};

use super::schema::SchemaIndex;
use super::weigh::{ALLOCATION, ENTRY};

/// The fields of a selection set by the name that they have in the answer.
///
/// One shape does for all types that an interface or a union may turn out to be: validation makes sure that fields of
/// the same name have the same form in each of them.
#[derive(Debug, Default)]
pub(super) struct Shape(IndexMap<Name, Part>);

#[derive(Debug, Default)]
struct Part {
    /// Whether it is selected more than once.
    repeated: bool,
    /// Whether the field may be null, then whether its items may, and theirs.
    nullable: Vec<bool>,
    shape: Shape,
}

impl Shape {
    /// The shape of a measured and valid operation.
    pub fn new(index: &SchemaIndex, document: &ExecutableDocument, operation: &OperationDefinition) -> Self {
        let mut shape = Self::default();
        let root = index.root(operation.ty).map_or("", Name::as_str);
        shape.add(index, document, root, &operation.selection_set.node);
        shape
    }

    /// What it takes in memory, by estimate.
    pub fn weight(&self) -> usize {
        let parts = self.0.values().map(|part| ALLOCATION + part.shape.weight());
        self.0.capacity() * (ENTRY + size_of::<(Name, Part)>()) + parts.sum::<usize>()
    }

    fn add(&mut self, index: &SchemaIndex, document: &ExecutableDocument, parent: &str, set: &SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let key = &field.response_key().node;
                    let repeated = self.0.contains_key(key);
                    let part = self.0.entry(key.clone()).or_default();
                    part.repeated |= repeated;
                    let known = index.fields(parent).and_then(|fields| fields.get(&field.name.node));
                    if let Some(known) = known {
                        part.nullable = levels(&known.ty);
                    }
                    let target = known.map_or("", |known| known.target.as_str());
                    part.shape.add(index, document, target, &field.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    let fragment = &fragment.node;
                    let condition = fragment.type_condition.as_ref();
                    let parent = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.add(index, document, parent, &fragment.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                        let fragment = &fragment.node;
                        let parent = fragment.type_condition.node.on.node.as_str();
                        self.add(index, document, parent, &fragment.selection_set.node);
                    }
                }
            }
        }
    }

    /// Whether each field is selected once, here and below.
    pub fn is_distinct(&self) -> bool {
        self.0.values().all(|part| !part.repeated && part.shape.is_distinct())
    }

    /// Gives an answer the form that GraphQL promises.
    pub fn settle(&self, data: &mut Value, errors: &[ServerError]) {
        let failed = errors.iter().map(|error| error.path.as_slice());
        let failed: Vec<_> = failed
            .filter(|path| !path.is_empty() && !is_there(data, path))
            .map(|path| (path, self.null_at(path)))
            .collect();
        // What may not be null takes with it what stands above, so that comes last.
        let (here, above): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(path, length)| path.len() == *length);
        for (path, length) in here.into_iter().chain(above) {
            put_null(data, path.get(..length).unwrap_or(path));
        }
        self.order(data);
    }

    /// How long the beginning of a path is that leads to the closest place that may be null.
    fn null_at(&self, path: &[PathSegment]) -> usize {
        let (mut shape, mut levels, mut found) = (self, [].iter(), 0);
        for (segment, length) in path.iter().zip(1..) {
            if let PathSegment::Field(key) = segment {
                let Some(part) = shape.0.get(key.as_str()) else { break };
                (shape, levels) = (&part.shape, part.nullable.iter());
            }
            if levels.next() == Some(&true) {
                found = length;
            }
        }
        found
    }

    fn order(&self, value: &mut Value) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.order(item)),
            // An object without a selection is a scalar's.
            Value::Object(fields) if !self.0.is_empty() => {
                let mut expected = self.0.keys();
                if !fields.keys().all(|key| expected.any(|expected| expected == key)) {
                    fields.sort_by_cached_key(|key, _| self.0.get_index_of(key));
                }
                for (key, value) in fields {
                    if matches!(value, Value::Object(_) | Value::List(_))
                        && let Some(part) = self.0.get(key)
                    {
                        part.shape.order(value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// From the outside in, whether null may stand there.
fn levels(ty: &Type) -> Vec<bool> {
    let mut levels = vec![ty.nullable];
    let mut base = &ty.base;
    while let BaseType::List(inner) = base {
        levels.push(inner.nullable);
        base = &inner.base;
    }
    levels
}

fn step<'v>(value: &'v mut Value, segment: &PathSegment) -> Option<&'v mut Value> {
    match (value, segment) {
        (Value::Object(fields), PathSegment::Field(key)) => fields.get_mut(key.as_str()),
        (Value::List(items), PathSegment::Index(at)) => items.get_mut(*at),
        _ => None,
    }
}

/// Whether a path leads to something that is not null: a resolver may answer and complain.
fn is_there(value: &mut Value, path: &[PathSegment]) -> bool {
    let end = path.iter().try_fold(value, step);
    end.is_some_and(|value| *value != Value::Null)
}

fn put_null(mut value: &mut Value, path: &[PathSegment]) {
    for segment in path {
        if let PathSegment::Field(key) = segment {
            // The engine makes null of an object whose fields have all failed.
            if *value == Value::Null {
                *value = Value::Object(IndexMap::new());
            }
            if let Value::Object(fields) = value {
                fields.entry(Name::new(key)).or_insert(Value::Null);
            }
        }
        let Some(next) = step(value, segment) else { return };
        value = next;
    }
    *value = Value::Null;
}
