//! What a document takes in memory, by estimate.
//!
//! Its text says little about it: a fragment that many operations spread is kept once for each of them, and the form of
//! the answer has fragments spread out. A cache that is bounded by bytes has to know.

use async_graphql::Positioned;
use async_graphql::parser::types::{
    Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet, VariableDefinition,
};
use async_graphql_value::{Name, Value};

/// What an allocation takes beside its content.
pub(super) const ALLOCATION: usize = 32;
/// What an entry of a map takes beside its key and value.
pub(super) const ENTRY: usize = 32;

/// The bytes of a document as it is run.
pub(super) fn executable(document: &ExecutableDocument) -> usize {
    let operations = document.operations.iter().map(|(_, operation)| self::operation(&operation.node));
    let fragments = document.fragments.values().map(|fragment| {
        ENTRY
            + size_of_val(fragment)
            + directives(&fragment.node.directives)
            + set(&fragment.node.selection_set.node)
    });
    operations.chain(fragments).sum()
}

fn operation(operation: &OperationDefinition) -> usize {
    let variables = operation.variable_definitions.iter().map(|variable| {
        let default = variable.node.default_value.as_ref();
        // The type is kept as it was written, and so is the declaration that requests are compared with.
        2 * (size_of::<Positioned<VariableDefinition>>() + 4 * ALLOCATION)
            + default.map_or(0, |default| 2 * value(&default.node.clone().into_value()))
            + directives(&variable.node.directives)
    });
    size_of_val(operation)
        + variables.sum::<usize>()
        + directives(&operation.directives)
        + set(&operation.selection_set.node)
}

fn set(set: &SelectionSet) -> usize {
    let below = set.items.iter().map(|selection| match &selection.node {
        Selection::Field(field) => {
            let field = &field.node;
            field.alias.as_ref().map_or(0, |alias| name(&alias.node))
                + name(&field.name.node)
                + arguments(&field.arguments)
                + directives(&field.directives)
                + self::set(&field.selection_set.node)
        }
        Selection::FragmentSpread(spread) => {
            name(&spread.node.fragment_name.node) + directives(&spread.node.directives)
        }
        Selection::InlineFragment(fragment) => {
            let condition = fragment.node.type_condition.as_ref();
            condition.map_or(0, |condition| name(&condition.node.on.node))
                + directives(&fragment.node.directives)
                + self::set(&fragment.node.selection_set.node)
        }
    });
    ALLOCATION + set.items.len() * size_of::<Positioned<Selection>>() + below.sum::<usize>()
}

fn directives(directives: &[Positioned<Directive>]) -> usize {
    let each = directives.iter().map(|directive| {
        size_of_val(directive) + name(&directive.node.name.node) + arguments(&directive.node.arguments)
    });
    each.sum()
}

fn arguments(arguments: &[(Positioned<Name>, Positioned<Value>)]) -> usize {
    let each = arguments.iter().map(|argument| {
        let (key, value) = argument;
        size_of_val(argument) + name(&key.node) + self::value(&value.node)
    });
    each.sum()
}

fn name(name: &Name) -> usize {
    ALLOCATION + name.len()
}

/// What a value takes beside itself.
fn value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Number(_) | Value::Boolean(_) => 0,
        Value::Variable(name) | Value::Enum(name) => self::name(name),
        Value::String(text) => ALLOCATION + text.len(),
        Value::Binary(bytes) => ALLOCATION + bytes.len(),
        Value::List(items) => {
            ALLOCATION + size_of_val(items.as_slice()) + items.iter().map(self::value).sum::<usize>()
        }
        Value::Object(fields) => {
            let each = fields.iter().map(|(key, value)| {
                ENTRY + size_of_val(key) + size_of_val(value) + name(key) + self::value(value)
            });
            ALLOCATION + each.sum::<usize>()
        }
    }
}
