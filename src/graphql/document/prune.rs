//! Inputs that are left out because the variable that would give them was not sent.

use async_graphql::Name;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, Selection, SelectionSet};
use async_graphql_value::Value as Literal;

/// Takes out of a document what is given by variables that were not sent.
///
/// To the execution engine such a variable is null, and null in an input means "clear it", while an input that is
/// left out means "leave it as it is".
pub(super) fn prune(document: &mut ExecutableDocument, absent: &[Name]) {
    match &mut document.operations {
        DocumentOperations::Single(operation) => {
            prune_selections(&mut operation.node.selection_set.node, absent);
        }
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                prune_selections(&mut operation.node.selection_set.node, absent);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        prune_selections(&mut fragment.node.selection_set.node, absent);
    }
}

fn prune_selections(set: &mut SelectionSet, absent: &[Name]) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                let field = &mut field.node;
                field.arguments.retain_mut(|(_, value)| !prune_value(&mut value.node, absent));
                prune_selections(&mut field.selection_set.node, absent);
            }
            Selection::InlineFragment(fragment) => {
                prune_selections(&mut fragment.node.selection_set.node, absent);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// Whether the value itself is an absent variable.
fn prune_value(value: &mut Literal, absent: &[Name]) -> bool {
    match value {
        Literal::Variable(name) => absent.contains(name),
        Literal::List(items) => {
            for item in items {
                if prune_value(item, absent) {
                    *item = Literal::Null;
                }
            }
            false
        }
        Literal::Object(fields) => {
            fields.retain(|_, value| !prune_value(value, absent));
            false
        }
        _ => false,
    }
}
