//! Variables against the types that an operation declares for them, on every request.
//!
//! The execution engine's fast mode does not look at them at all.

use std::fmt;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{BaseType, Type};
use async_graphql::{Name, Number, Value, Variables};

use super::Limits;
use super::schema::{Definition, Inputs, Scalar, SchemaIndex};
use crate::error::{Error, Fault, FaultCode};

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
pub(super) enum Place<'a> {
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
    pub fn fault(&self, code: FaultCode, problem: impl fmt::Display) -> Fault {
        Fault { field: Some(self.path()), ..Fault::new(code, format!("`{self}` {problem}.")) }
    }

    pub fn expected(&self, what: impl fmt::Display) -> Fault {
        self.fault(FaultCode::Invalid, format_args!("has to be {what}"))
    }

    pub fn null(&self, ty: &Type) -> Fault {
        self.fault(FaultCode::Required, format_args!("is of type `{ty}` and must not be null"))
    }

    pub fn missing(&self, ty: &Type) -> Fault {
        self.fault(FaultCode::Required, format_args!("of type `{ty}` is required"))
    }

    pub fn unknown(&self, input: &str) -> Fault {
        self.fault(FaultCode::Invalid, format_args!("does not exist: `{input}` has no such field"))
    }

    pub fn one_of(&self, input: &str) -> Fault {
        self.fault(
            FaultCode::Invalid,
            format_args!("has to give exactly one field of `{input}`, and not null"),
        )
    }

    pub fn too_many(&self, limit: usize) -> Fault {
        self.fault(FaultCode::TooLong, format_args!("has more than {limit} items"))
    }

    pub fn zero_byte(&self) -> Fault {
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

pub(super) const INT: &str = "a whole number from -2147483648 to 2147483647";

/// A whole number of 32 bits.
pub(super) fn small(number: &Number) -> Option<i32> {
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
