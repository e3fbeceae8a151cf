//! What an operation costs: worked out once per document as far as it can be, finished with each request's variables.
//!
//! - An object costs 1 point: it is what a request makes the server look up, check and build.
//! - A leaf costs nothing: it is a column of a row that is read anyway. The few that weigh as much as many objects have
//!   a price of their own.
//! - A connection costs 1 and its page size times the price of one item. The wrappers that Relay puts around a page
//!   (edges, `pageInfo`) cost nothing, so that `edges { node }` and `nodes` have the same price; an item costs at
//!   least 1, because its row is read even when only the cursor is selected.
//! - A list that cannot be paged counts as ten items, the size of a long list of its kind here (sessions, members of
//!   a team); a list by `ids` counts as many items as ids are asked for.
//! - Fields under `@skip` and `@include` are priced as if they were selected: the price is an upper bound.
//! - Introspection is exempt. Its own estimate, in objects, has its own limit.

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Value, Variables};
use async_graphql_value::Value as Literal;

use super::input::Declared;
use super::schema::{Field as Known, Many, SchemaIndex};
use super::{Limits, Rejection};
use crate::error::{Code, Error, Fault, FaultCode};

/// Leaves that are read or made for themselves, with their prices: a document's text has up to 2 MiB, so that one request
/// brings nine of them at most, and a preview is looked up in the object store, or made.
const HEAVY_LEAVES: [(&str, &str, u64); 2] = [("KnowledgeDocument", "text", 500), ("Asset", "preview", 5)];

/// What is known of an operation's price before its variables are.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The root fields by their names in the answer.
    roots: Vec<(Name, Price)>,
    /// Objects that introspection may touch.
    introspection: u64,
}

/// A price in points.
#[derive(Debug, Default)]
struct Price {
    fixed: u64,
    lists: Vec<List>,
}

/// A price times a number of items.
#[derive(Debug)]
struct List {
    count: Count,
    item: Price,
    /// The field's names in the answer, from the root.
    path: Vec<Name>,
}

/// A number of items.
#[derive(Debug)]
enum Count {
    Fixed(u64),
    Page { first: Argument, last: Argument },
    Ids(Argument),
}

/// An argument's value, as far as the document tells it.
#[derive(Debug, Default)]
enum Argument {
    /// It is not there, or null.
    #[default]
    None,
    /// A number, or the length of a list.
    Known(i64),
    /// A variable, and what stands for it when it is not sent.
    Variable(Name, Option<i64>),
}

/// An operation's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What it costs, at least 1.
    pub points: u64,
    /// The root field that costs most, by its name in the answer.
    dearest: Option<(Name, u64)>,
}

impl Quote {
    /// Refuses an operation that costs more than one request may.
    ///
    /// # Errors
    ///
    /// `QUERY_TOO_COMPLEX`, with the dearest field and its price.
    pub fn affordable(&self, limits: &Limits) -> Result<(), Rejection> {
        if self.points <= limits.points {
            return Ok(());
        }
        let dearest = self.dearest.as_ref().map(|(field, points)| {
            format!(" The field `{field}` costs {points}: ask for smaller pages or fewer levels.")
        });
        let message = format!(
            "This operation costs {} points; one request may cost {}.{}",
            self.points,
            limits.points,
            dearest.unwrap_or_default()
        );
        Err(Rejection::new(Code::QueryTooComplex, message, None))
    }
}

impl Plan {
    /// Reads an operation, whose document is valid and measured.
    pub fn new(
        index: &SchemaIndex,
        limits: &Limits,
        document: &ExecutableDocument,
        operation: &Positioned<OperationDefinition>,
        declared: &[Declared],
    ) -> Self {
        let mut plan = Self::default();
        if let Some(root) = index.root(operation.node.ty) {
            let planner = Planner { index, limits, document, declared };
            planner.roots(&operation.node.selection_set.node, root, &mut plan);
        }
        plan
    }

    /// The price with these variables.
    ///
    /// # Errors
    ///
    /// `BAD_USER_INPUT` when a page is larger than allowed, or smaller than one item.
    pub fn quote(&self, variables: &Variables, limits: &Limits) -> Result<Quote, Error> {
        let mut quote = Quote { points: 0, dearest: None };
        for (field, price) in &self.roots {
            let points = price.points(variables, limits)?;
            quote.points = quote.points.saturating_add(points);
            if quote.dearest.as_ref().is_none_or(|(_, most)| points > *most) {
                quote.dearest = Some((field.clone(), points));
            }
        }
        quote.points = quote.points.max(1);
        Ok(quote)
    }

    /// What it takes in memory, by estimate.
    pub fn weight(&self) -> usize {
        self.roots.iter().map(|root| size_of_val(root) + root.1.weight()).sum()
    }

    /// Refuses introspection that goes round in circles.
    pub fn check_introspection(&self, limits: &Limits) -> Result<(), Rejection> {
        if self.introspection <= limits.introspection_objects {
            return Ok(());
        }
        let message = format!(
            "This introspection may touch {} objects, more than the {} that are allowed.",
            self.introspection, limits.introspection_objects
        );
        Err(Rejection::new(Code::QueryTooComplex, message, None))
    }
}

impl Price {
    fn weight(&self) -> usize {
        let each = self
            .lists
            .iter()
            .map(|list| size_of_val(list) + size_of_val(list.path.as_slice()) + list.item.weight());
        each.sum()
    }

    fn add(&mut self, other: Self) {
        self.fixed = self.fixed.saturating_add(other.fixed);
        self.lists.extend(other.lists);
    }

    /// Adds a list, at once when its price is known.
    fn add_list(&mut self, list: List) {
        match list {
            List { count: Count::Fixed(count), item, .. } if item.lists.is_empty() => {
                self.fixed = self.fixed.saturating_add(count.saturating_mul(item.fixed.max(1)));
            }
            list => self.lists.push(list),
        }
    }

    fn points(&self, variables: &Variables, limits: &Limits) -> Result<u64, Error> {
        self.lists.iter().try_fold(self.fixed, |points, list| {
            let count = list.count(variables, limits)?;
            let item = list.item.points(variables, limits)?.max(1);
            Ok(points.saturating_add(count.saturating_mul(item)))
        })
    }
}

impl List {
    fn count(&self, variables: &Variables, limits: &Limits) -> Result<u64, Error> {
        match &self.count {
            Count::Fixed(count) => Ok(*count),
            Count::Ids(ids) => {
                Ok(ids.value(variables).and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
            }
            Count::Page { first, last } => {
                let first = self.page("first", first, variables, limits)?;
                let last = self.page("last", last, variables, limits)?;
                Ok(first.max(last).unwrap_or(limits.default_page))
            }
        }
    }

    fn page(
        &self,
        name: &str,
        argument: &Argument,
        variables: &Variables,
        limits: &Limits,
    ) -> Result<Option<u64>, Error> {
        let Some(size) = argument.value(variables) else {
            return Ok(None);
        };
        match u64::try_from(size) {
            Ok(size) if (1..=limits.page).contains(&size) => Ok(Some(size)),
            _ => {
                let message = format!("`{name}` has to be a number from 1 to {}.", limits.page);
                let path = self.path.iter().map(ToString::to_string).chain([name.to_owned()]).collect();
                let fault = Fault { field: Some(path), ..Fault::new(FaultCode::OutOfRange, message) };
                Err(Error::fault(fault))
            }
        }
    }
}

impl Argument {
    fn value(&self, variables: &Variables) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Known(value) => Some(*value),
            Self::Variable(name, default) => match variables.get(name) {
                Some(Value::Number(number)) => number.as_i64(),
                Some(Value::List(items)) => i64::try_from(items.len()).ok(),
                Some(_) => None,
                None => *default,
            },
        }
    }
}

struct Planner<'a> {
    index: &'a SchemaIndex,
    limits: &'a Limits,
    document: &'a ExecutableDocument,
    declared: &'a [Declared],
}

impl Planner<'_> {
    /// Calls `each` for every field of a selection set, fragments spread out, with the type that it belongs to.
    /// How often is bounded: the document has been measured.
    fn fields<'s>(
        &'s self,
        set: &'s SelectionSet,
        parent: &'s str,
        each: &mut dyn FnMut(&'s Field, &'s str),
    ) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => each(&field.node, parent),
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let on = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.fields(&fragment.node.selection_set.node, on, each);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        let on = &fragment.node.type_condition.node.on.node;
                        self.fields(&fragment.node.selection_set.node, on, each);
                    }
                }
            }
        }
    }

    fn roots(&self, set: &SelectionSet, root: &str, plan: &mut Plan) {
        self.fields(set, root, &mut |field, parent| {
            let key = field.response_key().node.clone();
            match field.name.node.as_str() {
                "__schema" | "__type" => {
                    let objects = self.introspection(&field.selection_set.node);
                    plan.introspection = plan.introspection.saturating_add(objects);
                }
                _ => {
                    let price = self.field(field, parent, &mut vec![key.clone()]);
                    plan.roots.push((key, price));
                }
            }
        });
    }

    /// The price of a selection set, without the object that it belongs to.
    fn selections(&self, set: &SelectionSet, parent: &str, path: &mut Vec<Name>) -> Price {
        let mut price = Price::default();
        self.fields(set, parent, &mut |field, parent| {
            path.push(field.response_key().node.clone());
            price.add(self.field(field, parent, path));
            path.pop();
        });
        price
    }

    fn field(&self, field: &Field, parent: &str, path: &mut Vec<Name>) -> Price {
        let known = self.index.fields(parent).and_then(|fields| fields.get(&field.name.node));
        let Some(known) = known.filter(|known| self.index.is_composite(&known.target)) else {
            let heavy = HEAVY_LEAVES.iter().find(|(on, leaf, _)| *on == parent && *leaf == field.name.node);
            return Price { fixed: heavy.map_or(0, |(_, _, points)| *points), lists: Vec::new() };
        };
        let mut price = Price::default();
        let item = if known.many == Many::Connection {
            price.fixed = 1;
            self.connection(field, known, path, &mut price)
        } else {
            let mut item = self.selections(&field.selection_set.node, &known.target, path);
            item.fixed = item.fixed.saturating_add(1);
            item
        };
        let count = match known.many {
            Many::One => Count::Fixed(1),
            Many::Unknown => Count::Fixed(self.limits.unpaged_list),
            Many::Ids => Count::Ids(self.argument(field, "ids")),
            Many::Connection | Many::Page => {
                Count::Page { first: self.argument(field, "first"), last: self.argument(field, "last") }
            }
        };
        if known.many == Many::One {
            price.add(item);
        } else {
            price.add_list(List { count, item, path: path.clone() });
        }
        price
    }

    /// The price of one item of a connection. What is selected beside its items is added to `once`.
    fn connection(&self, field: &Field, known: &Known, path: &mut Vec<Name>, once: &mut Price) -> Price {
        let mut item = Price::default();
        self.fields(&field.selection_set.node, &known.target, &mut |field, parent| {
            let below = self.index.fields(parent).and_then(|fields| fields.get(&field.name.node));
            path.push(field.response_key().node.clone());
            match (field.name.node.as_str(), below) {
                ("pageInfo", _) | (_, None) => {}
                ("edges", Some(edge)) => {
                    item.add(self.selections(&field.selection_set.node, &edge.target, path));
                }
                ("nodes", Some(node)) => {
                    item.add(self.selections(&field.selection_set.node, &node.target, path));
                    item.fixed = item.fixed.saturating_add(1);
                }
                _ => once.add(self.field(field, parent, path)),
            }
            path.pop();
        });
        item
    }

    fn argument(&self, field: &Field, name: &str) -> Argument {
        let length = |items: usize| Argument::Known(i64::try_from(items).unwrap_or(i64::MAX));
        match field.get_argument(name).map(|value| &value.node) {
            Some(Literal::Number(number)) => number.as_i64().map_or(Argument::None, Argument::Known),
            Some(Literal::List(items)) => length(items.len()),
            // A single id stands for a list of one.
            Some(Literal::String(_)) => length(1),
            Some(Literal::Variable(variable)) => {
                let declared = self.declared.iter().find(|declared| declared.name == *variable);
                let default = match declared.and_then(|declared| declared.default.as_ref()) {
                    Some(Value::Number(number)) => number.as_i64(),
                    Some(Value::List(items)) => i64::try_from(items.len()).ok(),
                    _ => None,
                };
                Argument::Variable(variable.clone(), default)
            }
            _ => Argument::None,
        }
    }

    /// How many objects a piece of introspection may touch: an estimate from how long its lists usually are.
    fn introspection(&self, set: &SelectionSet) -> u64 {
        let mut objects = 1u64;
        self.fields(set, "", &mut |field, _| {
            if field.selection_set.node.items.is_empty() {
                return;
            }
            let count = match field.name.node.as_str() {
                "types" => self.index.len() as u64,
                "fields" | "inputFields" | "enumValues" | "possibleTypes" | "directives" => 10,
                "args" | "interfaces" => 2,
                _ => 1,
            };
            let each = self.introspection(&field.selection_set.node);
            objects = objects.saturating_add(count.saturating_mul(each));
        });
        objects
    }
}
