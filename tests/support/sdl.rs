//! A schema as text, read back so that tests can walk it.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};

/// A schema's types by name.
pub struct Sdl {
    /// The definitions.
    pub types: BTreeMap<String, TypeDefinition>,
}

impl Sdl {
    /// The schema that the server has.
    pub fn of_the_server() -> Self {
        Self::parse(&aicos::graphql::sdl())
    }

    /// Any schema.
    pub fn parse(text: &str) -> Self {
        let document = parse_schema(text).unwrap();
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => {
                Some((definition.node.name.node.to_string(), definition.node))
            }
            _ => None,
        });
        Self { types: types.collect() }
    }

    /// The fields of an object or interface; none for any other kind of type.
    pub fn fields(&self, name: &str) -> Vec<&FieldDefinition> {
        match self.types.get(name).map(|definition| &definition.kind) {
            Some(TypeKind::Object(object)) => object.fields.iter().map(|field| &field.node).collect(),
            Some(TypeKind::Interface(interface)) => {
                interface.fields.iter().map(|field| &field.node).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The fields of an input object; none for any other kind of type.
    pub fn inputs(&self, name: &str) -> Vec<&InputValueDefinition> {
        match self.types.get(name).map(|definition| &definition.kind) {
            Some(TypeKind::InputObject(input)) => input.fields.iter().map(|field| &field.node).collect(),
            _ => Vec::new(),
        }
    }

    /// The objects that implement an interface.
    pub fn implementing(&self, interface: &str) -> BTreeSet<String> {
        let objects =
            self.types.iter().filter(|(_, definition)| matches!(definition.kind, TypeKind::Object(_)));
        objects.filter(|(name, _)| self.is_a(name, interface)).map(|(name, _)| name.clone()).collect()
    }

    /// Whether a type or an interface declares that it implements an interface.
    pub fn is_a(&self, name: &str, interface: &str) -> bool {
        let declared = match self.types.get(name).map(|definition| &definition.kind) {
            Some(TypeKind::Object(object)) => &object.implements,
            Some(TypeKind::Interface(other)) => &other.implements,
            _ => return false,
        };
        declared.iter().any(|name| name.node == interface)
    }

    /// Every place that takes a value of a scalar: `Mutation.projectUpdate(input.id)`.
    pub fn places(&self, scalar: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (name, definition) in &self.types {
            if !matches!(definition.kind, TypeKind::Object(_)) {
                continue;
            }
            for field in self.fields(name) {
                for argument in &field.arguments {
                    let start = format!("{name}.{}({}", field.name.node, argument.node.name.node);
                    self.walk(&argument.node.ty.node, scalar, &start, &mut found);
                }
            }
        }
        found
    }

    fn walk(&self, ty: &Type, scalar: &str, path: &str, found: &mut BTreeSet<String>) {
        let name = base(ty);
        if name == scalar {
            found.insert(format!("{path})"));
        }
        // An input that holds itself would go on for ever; ours are shallow.
        assert!(path.matches('.').count() < 10, "{path} is nested too deeply for the sweep");
        for input in self.inputs(name) {
            self.walk(&input.ty.node, scalar, &format!("{path}.{}", input.name.node), found);
        }
    }
}

/// The named type inside lists and non-nulls.
pub fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => base(inner),
    }
}
