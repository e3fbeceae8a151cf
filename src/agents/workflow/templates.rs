//! The workflows that are there from the beginning. Their steps are those of the predecessor, as far as agents do them.

use super::definition::Definition;
use crate::error::{Error, Result};

/// Their keys and their definitions.
const BUILT_IN: [(&str, &str); 2] = [
    ("full", include_str!("templates/full.json")),
    ("posts_only", include_str!("templates/posts_only.json")),
];

/// The keys of the built-in templates.
pub fn keys() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().map(|(key, _)| key)
}

/// The built-in template of a key.
///
/// # Errors
/// A fault of ours: a test reads them all.
pub fn built_in(key: &str) -> Result<Option<Definition>> {
    let found = BUILT_IN.into_iter().find(|(known, _)| *known == key);
    found.map(|(_, text)| serde_json::from_str(text).map_err(Error::internal)).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::steps;
    use super::*;

    #[test]
    fn the_built_in_templates_pass_the_checks_and_need_no_options() {
        for key in keys() {
            let definition = built_in(key).unwrap().unwrap();
            assert_eq!(definition.clone().check(steps::signature).unwrap(), definition, "{key}");
            definition.options(std::collections::BTreeMap::new()).unwrap();
        }
        assert!(built_in("nothing").unwrap().is_none());
    }
}
