//! The exported schema is the one that the code makes, and every part of it is described.

use std::fs;

/// Set `UPDATE=1` to write it anew, then read the diff.
#[test]
fn the_exported_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let now = aicos::graphql::sdl();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, &now).unwrap();
    }
    let exported = fs::read_to_string(path).unwrap_or_default();
    assert!(exported == now, "schema.graphql is not current. Run the tests with UPDATE=1 and read the diff.");
}
