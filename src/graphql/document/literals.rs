//! Literals and uses of variables against the types that the schema declares, once per document.
//!
//! The execution engine's validation leaves both open: it accepts integers beyond 32 bits, text for enums and, where
//! a variable stands somewhere inside a literal, anything; and its rule about variables in positions of another type
//! is never called.

use std::collections::{HashMap, HashSet};

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    BaseType, Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet, Type,
    VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned, ServerError};
use async_graphql_value::{ConstValue, Value as Literal};

use super::input::{INT, Place, small};
use super::schema::{Definition, Input, Inputs, Scalar, SchemaIndex};
use super::{Limits, Rejection};
use crate::error::{Code, Fault, FaultCode};

/// Checks arguments of fields and directives, and defaults of variables, of a document that is valid otherwise.
pub(super) fn check_literals(
    index: &SchemaIndex,
    limits: &Limits,
    document: &ExecutableDocument,
) -> Result<(), Rejection> {
    let mut errors = Vec::new();
    for (_, operation) in document.operations.iter() {
        let definitions = operation.node.variable_definitions.iter();
        let declared =
            definitions.map(|variable| (variable.node.name.node.as_str(), &variable.node)).collect();
        let checker = Checker { index, limits, declared: &declared };
        let mut walk = Walk { checker, document, visited: HashSet::new(), errors: &mut errors };
        walk.operation(&operation.node);
    }
    Rejection::from_all(Code::GraphqlValidationFailed, errors, limits)
}

/// The way through one operation, into each fragment once.
struct Walk<'a> {
    checker: Checker<'a>,
    document: &'a ExecutableDocument,
    visited: HashSet<&'a str>,
    errors: &'a mut Vec<ServerError>,
}

impl<'a> Walk<'a> {
    fn operation(&mut self, operation: &'a OperationDefinition) {
        self.directives(&operation.directives);
        for variable in &operation.variable_definitions {
            let variable = &variable.node;
            self.directives(&variable.directives);
            if let Some(default) = &variable.default_value {
                let literal = default.node.clone().into_value();
                let place = Place::Variable(&variable.name.node);
                let checked = self.checker.literal(&literal, &variable.var_type.node, false, place);
                self.note(checked, default.pos);
            }
        }
        if let Some(root) = self.checker.index.root(operation.ty) {
            self.selections(&operation.selection_set.node, root);
        }
    }

    fn selections(&mut self, set: &'a SelectionSet, parent: &'a str) {
        let index = self.checker.index;
        for selection in &set.items {
            self.directives(selection.node.directives());
            match &selection.node {
                Selection::Field(field) => {
                    let known = index.fields(parent).and_then(|fields| fields.get(&field.node.name.node));
                    if let Some(known) = known {
                        self.arguments(&field.node.arguments, &known.arguments);
                        self.selections(&field.node.selection_set.node, &known.target);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let on = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.selections(&fragment.node.selection_set.node, on);
                }
                Selection::FragmentSpread(spread) => {
                    let known = self.document.fragments.get_key_value(&spread.node.fragment_name.node);
                    if let Some((name, fragment)) = known
                        && self.visited.insert(name)
                    {
                        self.directives(&fragment.node.directives);
                        let on = &fragment.node.type_condition.node.on.node;
                        self.selections(&fragment.node.selection_set.node, on);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        for directive in directives {
            if let Some(known) = self.checker.index.directive(&directive.node.name.node) {
                self.arguments(&directive.node.arguments, known);
            }
        }
    }

    fn arguments(&mut self, arguments: &[(Positioned<Name>, Positioned<Literal>)], known: &Inputs) {
        for (name, value) in arguments {
            if let Some(input) = known.get(&name.node) {
                let checked = self.checker.input(&value.node, input, Place::Argument(&name.node));
                self.note(checked, value.pos);
            }
        }
    }

    fn note(&mut self, checked: Result<(), Fault>, at: Pos) {
        if let Err(fault) = checked {
            self.errors.push(ServerError::new(fault.message, Some(at)));
        }
    }
}

#[derive(Clone, Copy)]
struct Checker<'a> {
    index: &'a SchemaIndex,
    limits: &'a Limits,
    declared: &'a HashMap<&'a str, &'a VariableDefinition>,
}

impl Checker<'_> {
    fn input(self, value: &Literal, input: &Input, place: Place<'_>) -> Result<(), Fault> {
        self.literal(value, &input.ty, input.optional, place)
    }

    /// `has_default` tells whether a variable that is not sent may leave the place to its default.
    fn literal(self, value: &Literal, ty: &Type, has_default: bool, place: Place<'_>) -> Result<(), Fault> {
        match (&ty.base, value) {
            (_, Literal::Variable(name)) => self.variable(name, ty, has_default, place),
            (_, Literal::Null) if ty.nullable => Ok(()),
            (_, Literal::Null) => Err(place.null(ty)),
            (BaseType::List(inner), Literal::List(items)) => {
                if items.len() > self.limits.list_items {
                    return Err(place.too_many(self.limits.list_items));
                }
                let item = |(at, item)| self.literal(item, inner, false, Place::Item(&place, at));
                items.iter().enumerate().try_for_each(item)
            }
            // A single value stands for a list of one.
            (BaseType::List(inner), value) => self.literal(value, inner, false, place),
            (BaseType::Named(name), value) => match self.index.definition(name) {
                Some(Definition::Scalar(scalar)) => scalar_literal(*scalar, value, place),
                Some(Definition::Enum(values)) => match value {
                    Literal::Enum(value) if values.contains(value) => Ok(()),
                    _ => Err(place.expected(format_args!("one of the values of `{name}`, without quotes"))),
                },
                Some(Definition::InputObject { fields, one_of }) => match value {
                    Literal::Object(object) => self.object(object, name, fields, *one_of, place),
                    _ => Err(place.expected(format_args!("an object of type `{name}`"))),
                },
                // Validation refuses variables of any other type, and arguments have none.
                _ => Ok(()),
            },
        }
    }

    /// Whether the variable's type fits. Validation names variables that are not declared.
    fn variable(self, name: &Name, ty: &Type, has_default: bool, place: Place<'_>) -> Result<(), Fault> {
        let Some(variable) = self.declared.get(name.as_str()) else { return Ok(()) };
        let declared = &variable.var_type.node;
        let default = variable.default_value.as_ref().is_some_and(|value| value.node != ConstValue::Null);
        let never_null = default || has_default;
        if fits(declared, ty, never_null) {
            return Ok(());
        }
        let problem =
            format!("is of type `{ty}`, for which the variable `${name}` of type `{declared}` does not fit");
        Err(place.fault(FaultCode::Invalid, problem))
    }

    fn object(
        self,
        object: &IndexMap<Name, Literal>,
        name: &Name,
        fields: &Inputs,
        one_of: bool,
        place: Place<'_>,
    ) -> Result<(), Fault> {
        let empty = |value: &Literal| match value {
            Literal::Null => true,
            Literal::Variable(name) => {
                self.declared.get(name.as_str()).is_some_and(|variable| variable.var_type.node.nullable)
            }
            _ => false,
        };
        if one_of && (object.len() != 1 || object.values().any(empty)) {
            return Err(place.one_of(name));
        }
        for (key, input) in fields {
            if !input.optional && !object.contains_key(key) {
                return Err(Place::Field(&place, key).missing(&input.ty));
            }
        }
        object.iter().try_for_each(|(key, value)| {
            let field = Place::Field(&place, key);
            let input = fields.get(key).ok_or_else(|| field.unknown(name))?;
            self.input(value, input, field)
        })
    }
}

/// Whether every value of the type `from` is one of the type `to`; at the top, null may stand for a default.
fn fits(from: &Type, to: &Type, never_null: bool) -> bool {
    if !to.nullable && from.nullable && !never_null {
        return false;
    }
    match (&from.base, &to.base) {
        (BaseType::Named(from), BaseType::Named(to)) => from == to,
        (BaseType::List(from), BaseType::List(to)) => fits(from, to, false),
        _ => false,
    }
}

fn scalar_literal(scalar: Scalar, value: &Literal, place: Place<'_>) -> Result<(), Fault> {
    match (scalar, value) {
        (Scalar::Int, Literal::Number(number)) if small(number).is_some() => Ok(()),
        (Scalar::Int, _) => Err(place.expected(INT)),
        (Scalar::Float, Literal::Number(_)) | (Scalar::Boolean, Literal::Boolean(_)) => Ok(()),
        (Scalar::Float, _) => Err(place.expected("a number")),
        (Scalar::Boolean, _) => Err(place.expected("true or false")),
        (Scalar::Id, Literal::Number(number)) if !number.is_f64() => Ok(()),
        (Scalar::String | Scalar::Id, Literal::String(text)) if text.contains('\0') => Err(place.zero_byte()),
        (Scalar::String | Scalar::Id, Literal::String(_)) => Ok(()),
        (Scalar::String, _) => Err(place.expected("text")),
        (Scalar::Id, _) => Err(place.expected("an id, which is text")),
        (Scalar::Custom, Literal::String(text)) if text.contains('\0') => Err(place.zero_byte()),
        (Scalar::Custom, _) => Ok(()),
    }
}
