//! Lists written at once: the JSON text of what is loaded, without a future and a value for each of its fields.
//!
//! The engine makes and awaits a future for every field of every object; for fifty objects with ten fields each that is
//! most of what an answer costs. Where every selected field is plain (loaded, seen by everybody who sees the object, with
//! arguments that it was read for) a list is written here instead, and travels through the engine as one value.

use async_graphql::Value;
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use serde::ser::{
    Error as _, Serialize, SerializeMap as _, SerializeSeq as _, SerializeStruct as _, Serializer,
};

/// The operation selects each field once, so the engine has nothing to merge: it could not merge text.
///
/// Among the data of such requests; without it everything goes through the resolvers.
#[derive(Debug)]
pub struct Distinct;

/// JSON text in the making. Whatever ends in None ends the shortcut.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Appends a value.
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Option<()> {
        serde_json::to_writer(&mut self.0, value).ok()
    }

    /// Appends a list, of which `item` writes each item.
    pub fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(T, &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.0.push(b'[');
        for (at, next) in items.into_iter().enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            item(next, self)?;
        }
        self.0.push(b']');
        Some(())
    }

    /// Appends an object, of which `plain` writes the value of each field. None for fragments and directives.
    pub fn object(
        &mut self,
        type_name: &str,
        set: &SelectionSet,
        mut plain: impl FnMut(&Field, &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.0.push(b'{');
        for (at, selection) in set.items.iter().enumerate() {
            let Selection::Field(field) = &selection.node else { return None };
            let field = &field.node;
            if !field.directives.is_empty() {
                return None;
            }
            if at > 0 {
                self.0.push(b',');
            }
            self.put(field.response_key().node.as_str())?;
            self.0.push(b':');
            match field.name.node.as_str() {
                "__typename" => self.put(type_name)?,
                _ => plain(field, self)?,
            }
        }
        self.0.push(b'}');
        Some(())
    }

    /// The text as a value. Nothing else in this schema is binary, and nothing that a caller sends or has stored becomes it.
    pub fn into_value(self) -> Value {
        Value::Binary(self.0.into())
    }
}

/// Writes an answer's data, in which [`Text`] is what it says.
///
/// # Errors
/// What the serializer says.
pub fn serialize<S: Serializer>(data: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
    data.as_ref().map(Written).serialize(serializer)
}

struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, &Written(value))?;
                }
                map.end()
            }
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Written(item))?;
                }
                list.end()
            }
            Value::Binary(text) => {
                // As `serde_json::value::RawValue` does, which would parse the text to see whether it is JSON.
                const MARK: &str = async_graphql_value::RAW_VALUE_TOKEN;
                let mut raw = serializer.serialize_struct(MARK, 1)?;
                raw.serialize_field(MARK, str::from_utf8(text).map_err(S::Error::custom)?)?;
                raw.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}
