//! How large a document becomes once its fragments are spread out, found without spreading them.
//!
//! One pass over the parsed document: each fragment is measured once, however often it is spread, and all numbers
//! saturate. So a few hundred bytes that stand for 2^30 fields cost no more than a few hundred bytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Pos, Positioned};

use super::{Limits, Rejection};
use crate::error::Code;

/// The size of a selection set with everything below it.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    fields: u64,
    selections: u64,
    roots: u64,
    aliases: u64,
    directives: u64,
    depth: u64,
    introspection_depth: u64,
    nesting: u64,
}

impl Size {
    fn add(&mut self, other: &Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.selections = self.selections.saturating_add(other.selections);
        self.roots = self.roots.saturating_add(other.roots);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.depth = self.depth.max(other.depth);
        self.introspection_depth = self.introspection_depth.max(other.introspection_depth);
        self.nesting = self.nesting.max(other.nesting);
    }
}

/// Refuses a document that is too large in any respect, or whose fragments spread themselves.
pub(super) fn measure(document: &ExecutableDocument, limits: &Limits) -> Result<(), Rejection> {
    let operations = document.operations.iter().len();
    if operations > limits.operations {
        return Err(too_complex(
            "The document",
            "operations",
            operations as u64,
            limits.operations as u64,
            None,
        ));
    }
    let mut ruler = Ruler { document, limits, fragments: HashMap::new(), level: 0 };
    let (mut fields, mut selections) = (0u64, 0u64);
    for (_, operation) in document.operations.iter() {
        let at = Some(operation.pos);
        let operation = &operation.node;
        let variables = operation.variable_definitions.len();
        let declared: usize = operation.variable_definitions.iter().map(|it| it.node.directives.len()).sum();
        let mut size = ruler.selection_set(&operation.selection_set)?;
        size.directives = size.directives.saturating_add((operation.directives.len() + declared) as u64);
        for (what, count, limit) in [
            ("variables", variables as u64, limits.variables as u64),
            ("root fields", size.roots, limits.root_fields),
            ("aliases", size.aliases, limits.aliases),
            ("directives", size.directives, limits.directives),
        ] {
            if count > limit {
                return Err(too_complex("This operation", what, count, limit, at));
            }
        }
        for (what, depth, limit) in [
            ("fields", size.depth, limits.depth),
            ("fields of introspection", size.introspection_depth, limits.introspection_depth),
            ("fields and fragments", size.nesting, limits.nesting),
        ] {
            if depth > limit {
                return Err(too_deep(what, depth, limit, operation.selection_set.pos));
            }
        }
        fields = fields.saturating_add(size.fields);
        selections = selections.saturating_add(size.selections);
    }
    // Fragments that no operation spreads are measured too: validation visits them like all others.
    for name in document.fragments.keys() {
        ruler.fragment(name)?;
    }
    for (what, count, limit) in
        [("fields", fields, limits.fields), ("selections", selections, limits.selections)]
    {
        if count > limit {
            return Err(too_complex(
                "The document, with its fragments spread out,",
                what,
                count,
                limit,
                None,
            ));
        }
    }
    Ok(())
}

fn too_complex(subject: &str, what: &str, count: u64, limit: u64, at: Option<Pos>) -> Rejection {
    let count = if count == u64::MAX { "endless".to_owned() } else { count.to_string() };
    let message = format!(
        "{subject} has {count} {what}, more than the {limit} that are allowed. Ask for less at once."
    );
    Rejection::new(Code::QueryTooComplex, message, at)
}

fn too_deep(what: &str, depth: u64, limit: u64, at: Pos) -> Rejection {
    let message = format!("This operation nests {depth} {what}, more than the {limit} that are allowed.");
    Rejection::new(Code::QueryTooDeep, message, Some(at))
}

struct Ruler<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    /// Measured fragments; none while a fragment is being measured.
    fragments: HashMap<&'a str, Option<Size>>,
    level: u64,
}

impl<'a> Ruler<'a> {
    fn selection_set(&mut self, set: &'a Positioned<SelectionSet>) -> Result<Size, Rejection> {
        // The level bounds this recursion; the nesting that is measured also sees what memory has shortened.
        self.level += 1;
        if self.level > self.limits.nesting + 1 {
            return Err(too_deep("fields and fragments", self.level - 1, self.limits.nesting, set.pos));
        }
        let mut total = Size::default();
        for selection in &set.node.items {
            let mut size = match &selection.node {
                Selection::Field(field) => {
                    let below = if field.node.selection_set.node.items.is_empty() {
                        Size::default()
                    } else {
                        self.selection_set(&field.node.selection_set)?
                    };
                    let introspection = matches!(field.node.name.node.as_str(), "__schema" | "__type");
                    let deepest = below.depth.max(below.introspection_depth) + 1;
                    Size {
                        fields: below.fields.saturating_add(1),
                        roots: 1,
                        aliases: below.aliases.saturating_add(field.node.alias.is_some().into()),
                        depth: if introspection { 0 } else { below.depth + 1 },
                        introspection_depth: match (introspection, below.introspection_depth) {
                            (true, _) => deepest,
                            (false, 0) => 0,
                            (false, depth) => depth + 1,
                        },
                        ..below
                    }
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node)?,
                Selection::InlineFragment(fragment) => self.selection_set(&fragment.node.selection_set)?,
            };
            size.selections = size.selections.saturating_add(1);
            size.directives = size.directives.saturating_add(selection.node.directives().len() as u64);
            size.nesting += 1;
            total.add(&size);
        }
        self.level -= 1;
        Ok(total)
    }

    fn fragment(&mut self, name: &str) -> Result<Size, Rejection> {
        // Validation names fragments that do not exist.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Size::default());
        };
        match self.fragments.entry(name) {
            Entry::Occupied(known) => known.get().ok_or_else(|| {
                let message = format!("The fragment `{name}` spreads itself.");
                Rejection::new(Code::GraphqlValidationFailed, message, Some(fragment.pos))
            }),
            Entry::Vacant(unknown) => {
                unknown.insert(None);
                let mut size = self.selection_set(&fragment.node.selection_set)?;
                size.directives = size.directives.saturating_add(fragment.node.directives.len() as u64);
                self.fragments.insert(name, Some(size));
                Ok(size)
            }
        }
    }
}
