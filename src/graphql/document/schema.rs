//! What the document checks know of the schema, read once from its SDL.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, bail};
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, ConstDirective, FieldDefinition, InputValueDefinition, OperationType, Type, TypeKind,
    TypeSystemDefinition,
};
use async_graphql::{Name, Positioned};

/// Types, fields and arguments by name.
#[derive(Debug)]
pub struct SchemaIndex {
    types: HashMap<Name, Definition>,
    directives: HashMap<Name, Inputs>,
    query: Name,
    mutation: Option<Name>,
    subscription: Option<Name>,
}

/// Arguments or input fields by name.
pub(super) type Inputs = HashMap<Name, Input>;

/// One type.
#[derive(Debug)]
pub(super) enum Definition {
    /// An object or interface.
    Composite(HashMap<Name, Field>),
    /// A union: it has no fields of its own.
    Union,
    /// An enum with its values.
    Enum(HashSet<Name>),
    /// An input object.
    InputObject {
        /// Its fields.
        fields: Inputs,
        /// Whether exactly one of them has to be given.
        one_of: bool,
    },
    /// A scalar.
    Scalar(Scalar),
}

/// What a scalar accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Int,
    Float,
    String,
    Boolean,
    Id,
    /// Anything that JSON can say; its resolver parses it.
    Custom,
}

/// A field of an object or interface.
#[derive(Debug)]
pub(super) struct Field {
    /// Its type.
    pub ty: Type,
    /// The named type that it leads to.
    pub target: Name,
    /// Its arguments.
    pub arguments: Inputs,
    /// How many objects it leads to.
    pub many: Many,
}

/// How many objects a field leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Many {
    /// One, or none.
    One,
    /// A page of a connection: `first` or `last` items.
    Connection,
    /// A plain list that takes `first` or `last`.
    Page,
    /// One for each item of the argument `ids`.
    Ids,
    /// A list whose length nobody states.
    Unknown,
}

/// An argument or an input field.
#[derive(Debug)]
pub(super) struct Input {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out.
    pub optional: bool,
}

impl SchemaIndex {
    /// Reads a schema.
    ///
    /// # Errors
    ///
    /// When the text is not SDL or has no query root.
    pub fn from_sdl(sdl: &str) -> anyhow::Result<Self> {
        let document = parse_schema(sdl).context("the schema's SDL cannot be parsed")?;
        let mut types: HashMap<Name, Definition> =
            [("Int", Scalar::Int), ("Float", Scalar::Float), ("String", Scalar::String)]
                .into_iter()
                .chain([("Boolean", Scalar::Boolean), ("ID", Scalar::Id)])
                .map(|(name, scalar)| (Name::new(name), Definition::Scalar(scalar)))
                .collect();
        let mut directives = HashMap::from(["skip", "include"].map(|name| {
            let condition = Input {
                ty: Type { base: BaseType::Named(Name::new("Boolean")), nullable: false },
                optional: false,
            };
            (Name::new(name), Inputs::from([(Name::new("if"), condition)]))
        }));
        let (mut query, mut mutation, mut subscription) = (None, None, None);
        for definition in document.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    query = schema.node.query.map(|name| name.node);
                    mutation = schema.node.mutation.map(|name| name.node);
                    subscription = schema.node.subscription.map(|name| name.node);
                }
                TypeSystemDefinition::Directive(directive) => {
                    directives.insert(directive.node.name.node, inputs(directive.node.arguments));
                }
                TypeSystemDefinition::Type(ty) => {
                    if ty.node.extend {
                        bail!("the schema extends {}; only whole types are read", ty.node.name.node);
                    }
                    let one_of = has(&ty.node.directives, "oneOf");
                    let definition = match ty.node.kind {
                        TypeKind::Scalar => Definition::Scalar(Scalar::Custom),
                        TypeKind::Object(object) => Definition::Composite(fields(object.fields)),
                        TypeKind::Interface(interface) => Definition::Composite(fields(interface.fields)),
                        TypeKind::Union(_) => Definition::Union,
                        TypeKind::Enum(values) => Definition::Enum(
                            values.values.into_iter().map(|value| value.node.value.node).collect(),
                        ),
                        TypeKind::InputObject(input) => {
                            Definition::InputObject { fields: inputs(input.fields), one_of }
                        }
                    };
                    types.insert(ty.node.name.node, definition);
                }
            }
        }
        // Without a `schema` definition the roots have their usual names.
        let usual = |name: &str| types.contains_key(name).then(|| Name::new(name));
        let query = query.or_else(|| usual("Query")).context("the schema has no query root")?;
        Ok(Self {
            mutation: mutation.or_else(|| usual("Mutation")),
            subscription: subscription.or_else(|| usual("Subscription")),
            query,
            types,
            directives,
        })
    }

    /// Everything that an operation of a kind may select at its root.
    pub fn roots(&self, kind: OperationType) -> impl Iterator<Item = &str> {
        let about_the_schema: &[&str] = match kind {
            OperationType::Query => &["__schema", "__type", "__typename"],
            OperationType::Mutation => &["__typename"],
            OperationType::Subscription => &[],
        };
        let fields = self.root(kind).and_then(|root| self.fields(root));
        fields.into_iter().flat_map(HashMap::keys).map(Name::as_str).chain(about_the_schema.iter().copied())
    }

    /// How many types there are.
    pub(super) fn len(&self) -> usize {
        self.types.len()
    }

    pub(super) fn definition(&self, name: &str) -> Option<&Definition> {
        self.types.get(name)
    }

    /// The fields of an object or interface.
    pub(super) fn fields(&self, name: &str) -> Option<&HashMap<Name, Field>> {
        match self.types.get(name) {
            Some(Definition::Composite(fields)) => Some(fields),
            _ => None,
        }
    }

    pub(super) fn directive(&self, name: &str) -> Option<&Inputs> {
        self.directives.get(name)
    }

    /// Whether a type has something to select.
    pub(super) fn is_composite(&self, name: &str) -> bool {
        matches!(self.types.get(name), Some(Definition::Composite(_) | Definition::Union))
    }

    /// The root type of a kind of operation.
    pub(super) fn root(&self, kind: OperationType) -> Option<&Name> {
        match kind {
            OperationType::Query => Some(&self.query),
            OperationType::Mutation => self.mutation.as_ref(),
            OperationType::Subscription => self.subscription.as_ref(),
        }
    }
}

fn has(directives: &[Positioned<ConstDirective>], name: &str) -> bool {
    directives.iter().any(|directive| directive.node.name.node == name)
}

fn inputs(definitions: Vec<Positioned<InputValueDefinition>>) -> Inputs {
    let read = |definition: Positioned<InputValueDefinition>| {
        let InputValueDefinition { name, ty, default_value, .. } = definition.node;
        let optional = ty.node.nullable || default_value.is_some();
        (name.node, Input { ty: ty.node, optional })
    };
    definitions.into_iter().map(read).collect()
}

fn fields(definitions: Vec<Positioned<FieldDefinition>>) -> HashMap<Name, Field> {
    let read = |definition: Positioned<FieldDefinition>| {
        let FieldDefinition { name, arguments, ty, .. } = definition.node;
        let arguments = inputs(arguments);
        let (target, list) = target(&ty.node);
        let paged = arguments.contains_key("first") || arguments.contains_key("last");
        let many = match list {
            false if paged && target.ends_with("Connection") => Many::Connection,
            false => Many::One,
            true if paged => Many::Page,
            true if arguments.contains_key("ids") => Many::Ids,
            true => Many::Unknown,
        };
        let target = target.clone();
        (name.node, Field { ty: ty.node, target, arguments, many })
    };
    definitions.into_iter().map(read).collect()
}

/// The named type at the bottom of a type, and whether a list leads there.
pub(super) fn target(ty: &Type) -> (&Name, bool) {
    match &ty.base {
        BaseType::Named(name) => (name, false),
        BaseType::List(inner) => (target(inner).0, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_read_from_its_sdl() {
        let index = SchemaIndex::from_sdl(
            "enum Color { RED } scalar JSON input Tag @oneOf { id: ID name: String = \"x\" }
             type Query { nodes(ids: [ID!]!): [Thing]! things(first: Int): ThingConnection! thing: Thing all: [Thing!]! }
             type Thing { id: ID! } type ThingConnection { nodes: [Thing!]! }",
        )
        .unwrap();
        let many = |field: &str| index.fields("Query").unwrap()[field].many;
        assert_eq!(many("nodes"), Many::Ids);
        assert_eq!(many("things"), Many::Connection);
        assert_eq!(many("thing"), Many::One);
        assert_eq!(many("all"), Many::Unknown);
        assert!(matches!(index.definition("Tag"), Some(Definition::InputObject { one_of: true, .. })));
        assert!(matches!(index.definition("JSON"), Some(Definition::Scalar(Scalar::Custom))));
        assert!(index.root(OperationType::Mutation).is_none());
        assert!(SchemaIndex::from_sdl("type Thing { id: ID! }").is_err());
        assert!(SchemaIndex::from_sdl("type {").is_err());
    }
}
