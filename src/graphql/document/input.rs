//! Values against the types that the schema declares: variables on every request, literals once per document.
//!
//! The execution engine leaves both open. Its fast mode does not look at variables at all; its strict mode accepts
//! integers beyond 32 bits, text for enums and, where a variable stands somewhere inside a literal, anything.

use std::fmt;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    BaseType, Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet, Type,
};
use async_graphql::{Name, Number, Pos, Positioned, Value, Variables};
use async_graphql_value::Value as Literal;

use super::schema::{Definition, Inputs, Scalar, SchemaIndex};
use super::{Limits, Rejection};
use crate::error::{Code, Error, Fault, FaultCode};

/// Variables as they were sent, before they are compared with what the operation declares.
pub type RawVariables = IndexMap<Name, Value>;

/// A variable that an operation declares.
#[derive(Debug)]
pub(super) struct Declared {
    pub name: Name,
    pub ty: Type,
    pub default: Option<Value>,
}

/// The place of a value: a variable or an argument, and the way down into it.
#[derive(Clone, Copy)]
enum Place<'a> {
    Variable(&'a str),
    Argument(&'a str),
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// The way down, for `extensions.field`.
    fn path(&self) -> Vec<String> {
        let (mut path, last) = match self {
            Self::Variable(name) | Self::Argument(name) => return vec![(*name).to_owned()],
            Self::Field(parent, name) => (parent.path(), (*name).to_owned()),
            Self::Item(parent, index) => (parent.path(), index.to_string()),
        };
        path.push(last);
        path
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${name}"),
            Self::Argument(name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Place<'_> {
    fn fault(&self, code: FaultCode, problem: impl fmt::Display) -> Fault {
        Fault { field: Some(self.path()), ..Fault::new(code, format!("`{self}` {problem}.")) }
    }

    fn expected(&self, what: impl fmt::Display) -> Fault {
        self.fault(FaultCode::Invalid, format_args!("has to be {what}"))
    }

    fn null(&self, ty: &Type) -> Fault {
        self.fault(FaultCode::Required, format_args!("is of type `{ty}` and must not be null"))
    }

    fn missing(&self, ty: &Type) -> Fault {
        self.fault(FaultCode::Required, format_args!("of type `{ty}` is required"))
    }

    fn unknown(&self, input: &str) -> Fault {
        self.fault(FaultCode::Invalid, format_args!("does not exist: `{input}` has no such field"))
    }

    fn one_of(&self, input: &str) -> Fault {
        self.fault(
            FaultCode::Invalid,
            format_args!("has to give exactly one field of `{input}`, and not null"),
        )
    }

    fn too_many(&self, limit: usize) -> Fault {
        self.fault(FaultCode::TooLong, format_args!("has more than {limit} items"))
    }

    fn zero_byte(&self) -> Fault {
        self.fault(FaultCode::Invalid, "contains the character U+0000, which cannot be stored")
    }
}

/// Compares the variables with what the operation declares and puts them into the declared form.
///
/// Also names the variables that are neither sent nor have a default. What is sent and not declared is ignored.
pub(super) fn coerce(
    index: &SchemaIndex,
    limits: &Limits,
    declared: &[Declared],
    mut raw: RawVariables,
) -> Result<(Variables, Vec<Name>), Error> {
    let (mut variables, mut absent) = (Variables::default(), Vec::new());
    let coercion = Checker { index, limits };
    for Declared { name, ty, default } in declared {
        let place = Place::Variable(name);
        match raw.swap_remove(name) {
            Some(value) => {
                let value = coercion.value(value, ty, place).map_err(Error::fault)?;
                variables.insert(name.clone(), value);
            }
            None if default.is_some() => {}
            None if ty.nullable => absent.push(name.clone()),
            None => return Err(Error::fault(place.missing(ty))),
        }
    }
    Ok((variables, absent))
}

#[derive(Clone, Copy)]
struct Checker<'a> {
    index: &'a SchemaIndex,
    limits: &'a Limits,
}

impl Checker<'_> {
    /// A variable's value in the form that its type wants.
    fn value(self, value: Value, ty: &Type, place: Place<'_>) -> Result<Value, Fault> {
        if value == Value::Null {
            return if ty.nullable { Ok(value) } else { Err(place.null(ty)) };
        }
        match (&ty.base, value) {
            (BaseType::List(inner), Value::List(items)) => {
                if items.len() > self.limits.list_items {
                    return Err(place.too_many(self.limits.list_items));
                }
                let item = |(at, item)| self.value(item, inner, Place::Item(&place, at));
                items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::List)
            }
            // A single value stands for a list of one.
            (BaseType::List(inner), value) => Ok(Value::List(vec![self.value(value, inner, place)?])),
            (BaseType::Named(name), value) => self.named(value, name, place),
        }
    }

    fn named(self, value: Value, name: &Name, place: Place<'_>) -> Result<Value, Fault> {
        match self.index.definition(name) {
            Some(Definition::Scalar(scalar)) => scalar_value(*scalar, value, place),
            Some(Definition::Enum(values)) => match value {
                Value::String(text) if values.contains(text.as_str()) => Ok(Value::String(text)),
                _ => Err(place.expected(format_args!("one of the values of `{name}`"))),
            },
            Some(Definition::InputObject { fields, one_of }) => match value {
                Value::Object(object) => self.object(object, name, fields, *one_of, place),
                _ => Err(place.expected(format_args!("an object of type `{name}`"))),
            },
            // Validation refuses variables of any other type.
            _ => Err(place.expected(format_args!("an input type, which `{name}` is not"))),
        }
    }

    fn object(
        self,
        object: IndexMap<Name, Value>,
        name: &Name,
        fields: &Inputs,
        one_of: bool,
        place: Place<'_>,
    ) -> Result<Value, Fault> {
        if one_of && (object.len() != 1 || object.values().any(|value| *value == Value::Null)) {
            return Err(place.one_of(name));
        }
        for (key, input) in fields {
            if !input.optional && !object.contains_key(key) {
                return Err(Place::Field(&place, key).missing(&input.ty));
            }
        }
        let mut coerced = IndexMap::with_capacity(object.len());
        for (key, value) in object {
            let field = Place::Field(&place, &key);
            let input = fields.get(&key).ok_or_else(|| field.unknown(name))?;
            let value = self.value(value, &input.ty, field)?;
            coerced.insert(key, value);
        }
        Ok(Value::Object(coerced))
    }

    /// The same for a literal, which needs no new form. Whether its variables fit is another rule's question.
    fn literal(self, value: &Literal, ty: &Type, place: Place<'_>) -> Result<(), Fault> {
        match (&ty.base, value) {
            (_, Literal::Variable(_)) => Ok(()),
            (_, Literal::Null) => {
                if ty.nullable {
                    Ok(())
                } else {
                    Err(place.null(ty))
                }
            }
            (BaseType::List(inner), Literal::List(items)) => {
                if items.len() > self.limits.list_items {
                    return Err(place.too_many(self.limits.list_items));
                }
                let item = |(at, item)| self.literal(item, inner, Place::Item(&place, at));
                items.iter().enumerate().try_for_each(item)
            }
            (BaseType::List(inner), value) => self.literal(value, inner, place),
            (BaseType::Named(name), value) => match self.index.definition(name) {
                Some(Definition::Scalar(scalar)) => scalar_literal(*scalar, value, place),
                Some(Definition::Enum(values)) => match value {
                    Literal::Enum(value) if values.contains(value) => Ok(()),
                    _ => Err(place.expected(format_args!("one of the values of `{name}`, without quotes"))),
                },
                Some(Definition::InputObject { fields, one_of }) => match value {
                    Literal::Object(object) => self.literal_object(object, name, fields, *one_of, place),
                    _ => Err(place.expected(format_args!("an object of type `{name}`"))),
                },
                _ => Ok(()),
            },
        }
    }

    fn literal_object(
        self,
        object: &IndexMap<Name, Literal>,
        name: &Name,
        fields: &Inputs,
        one_of: bool,
        place: Place<'_>,
    ) -> Result<(), Fault> {
        if one_of && (object.len() != 1 || object.values().any(|value| *value == Literal::Null)) {
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
            self.literal(value, &input.ty, field)
        })
    }
}

fn scalar_value(scalar: Scalar, value: Value, place: Place<'_>) -> Result<Value, Fault> {
    match (scalar, value) {
        (Scalar::Int, Value::Number(number)) => {
            let number = small(&number).or_else(|| whole(&number)).ok_or_else(|| place.expected(INT))?;
            Ok(Value::from(number))
        }
        (Scalar::Int, _) => Err(place.expected(INT)),
        (Scalar::Float, Value::Number(number)) => Ok(Value::Number(number)),
        (Scalar::Float, _) => Err(place.expected("a number")),
        (Scalar::Boolean, Value::Boolean(value)) => Ok(Value::Boolean(value)),
        (Scalar::Boolean, _) => Err(place.expected("true or false")),
        (Scalar::Id, Value::Number(number)) if !number.is_f64() => Ok(Value::String(number.to_string())),
        (Scalar::String | Scalar::Id, Value::String(text)) if text.contains('\0') => Err(place.zero_byte()),
        (Scalar::String | Scalar::Id, Value::String(text)) => Ok(Value::String(text)),
        (Scalar::String, _) => Err(place.expected("text")),
        (Scalar::Id, _) => Err(place.expected("an id, which is text")),
        (Scalar::Custom, value) if has_zero_byte(&value) => Err(place.zero_byte()),
        (Scalar::Custom, value) => Ok(value),
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

const INT: &str = "a whole number from -2147483648 to 2147483647";

/// A whole number of 32 bits.
fn small(number: &Number) -> Option<i32> {
    number.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// A whole number of 32 bits that is written with a fraction of zero, as some languages write their numbers.
fn whole(number: &Number) -> Option<i32> {
    let number =
        number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX))?;
    // The range is checked, so the text is that of an i32.
    format!("{number:.0}").parse().ok()
}

/// Whether a text anywhere inside contains U+0000, which the database refuses to store.
fn has_zero_byte(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::List(items) => items.iter().any(has_zero_byte),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_zero_byte(value)),
        _ => false,
    }
}

/// Checks every literal of a valid document: arguments of fields and directives, and defaults of variables.
pub(super) fn check_literals(
    index: &SchemaIndex,
    limits: &Limits,
    document: &ExecutableDocument,
) -> Result<(), Rejection> {
    let mut literals = Literals { checker: Checker { index, limits }, errors: Vec::new() };
    for fragment in document.fragments.values() {
        literals.directives(&fragment.node.directives);
        literals.selections(&fragment.node.selection_set.node, &fragment.node.type_condition.node.on.node);
    }
    for (_, operation) in document.operations.iter() {
        literals.operation(&operation.node);
    }
    Rejection::from_all(Code::GraphqlValidationFailed, literals.errors, limits)
}

struct Literals<'a> {
    checker: Checker<'a>,
    errors: Vec<async_graphql::ServerError>,
}

impl Literals<'_> {
    fn operation(&mut self, operation: &OperationDefinition) {
        self.directives(&operation.directives);
        for variable in &operation.variable_definitions {
            let variable = &variable.node;
            self.directives(&variable.directives);
            if let Some(default) = &variable.default_value {
                let literal = default.node.clone().into_value();
                let place = Place::Variable(&variable.name.node);
                let checked = self.checker.literal(&literal, &variable.var_type.node, place);
                self.note(checked, default.pos);
            }
        }
        if let Some(root) = self.checker.index.root(operation.ty).cloned() {
            self.selections(&operation.selection_set.node, &root);
        }
    }

    fn selections(&mut self, set: &SelectionSet, parent: &str) {
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
                Selection::FragmentSpread(_) => {}
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
                let checked = self.checker.literal(&value.node, &input.ty, Place::Argument(&name.node));
                self.note(checked, value.pos);
            }
        }
    }

    fn note(&mut self, checked: Result<(), Fault>, at: Pos) {
        if let Err(fault) = checked {
            self.errors.push(async_graphql::ServerError::new(fault.message, Some(at)));
        }
    }
}

/// Takes out of a document what is given by variables that were not sent.
///
/// To the execution engine such a variable is null, and null in an input means "clear it", while an input that is
/// left out means "leave it as it is".
pub(super) fn prune(document: &mut ExecutableDocument, absent: &[Name]) {
    match &mut document.operations {
        async_graphql::parser::types::DocumentOperations::Single(operation) => {
            prune_selections(&mut operation.node.selection_set.node, absent);
        }
        async_graphql::parser::types::DocumentOperations::Multiple(operations) => {
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
