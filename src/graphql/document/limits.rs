//! How large a request may be: the figures, with their defaults.

/// What one request may ask for; everything beyond is refused before any resolver runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body that comes without a valid credential.
    pub body_bytes: usize,
    /// Bytes of a body that comes with a valid credential.
    pub trusted_body_bytes: usize,
    /// Bytes of a document's text.
    pub text_bytes: usize,
    /// Tokens of a document's text.
    pub tokens: usize,
    /// Bytes of one name or number in a document.
    pub name_bytes: usize,
    /// Brackets, braces and parentheses that are open at the same time.
    pub brackets: usize,
    /// Operations in one document.
    pub operations: usize,
    /// Variables that one operation declares.
    pub variables: usize,
    /// Fields below each other.
    pub depth: u64,
    /// Fields below each other, counted from the root, in introspection.
    pub introspection_depth: u64,
    /// Fields and fragments below each other.
    pub nesting: u64,
    /// Aliases of one operation, fragments spread out.
    pub aliases: u64,
    /// Directives of one operation, fragments spread out.
    pub directives: u64,
    /// Fields at the root of one operation, fragments spread out.
    pub root_fields: u64,
    /// Fields of all operations of a document together, fragments spread out.
    pub fields: u64,
    /// Fields, spreads and inline fragments of all operations of a document together, fragments spread out.
    pub selections: u64,
    /// Points that one request may cost.
    pub points: u64,
    /// Objects that introspection may touch, by estimate: it is exempt from the points, not from reason.
    pub introspection_objects: u64,
    /// Items of a page, at most.
    pub page: u64,
    /// Items of a page when neither `first` nor `last` is given.
    pub default_page: u64,
    /// What a list that cannot be paged counts as.
    pub unpaged_list: u64,
    /// Items of a list in the input.
    pub list_items: usize,
    /// Errors that one answer names when a document is not valid.
    pub errors: usize,
    /// Bytes that the cache of valid documents takes, by estimate.
    pub cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 * 1024,
            trusted_body_bytes: 8 * 1024 * 1024,
            text_bytes: 256 * 1024,
            tokens: 10_000,
            name_bytes: 128,
            brackets: 50,
            operations: 50,
            variables: 200,
            depth: 12,
            introspection_depth: 15,
            nesting: 32,
            aliases: 50,
            directives: 50,
            root_fields: 30,
            fields: 2_000,
            selections: 4_000,
            points: 5_000,
            introspection_objects: 500_000,
            page: 100,
            default_page: 20,
            unpaged_list: 10,
            list_items: 100,
            errors: 20,
            cache_bytes: 32 * 1024 * 1024,
        }
    }
}
