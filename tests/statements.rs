//! `.sqlx` holds just the statements of the code, checked with the rights of the role that runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::Database;

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries =
        fs::read_dir(folder).map_or_else(|_| Vec::new(), |entries| entries.map(Result::unwrap).collect());
    entries
        .into_iter()
        .map(|entry| (entry.file_name().display().to_string(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Compiles the crate against a real database, which takes a while: `cargo test --test main statements -- --ignored`.
/// Set `UPDATE=1` to write `.sqlx` anew.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "compiles the crate once more; tests/run runs it"]
async fn every_statement_is_checked_and_committed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let database = Database::fresh().await;
    let fresh = root.join("target/statements");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).unwrap();
    // The macros write only what they expand.
    fs::File::open(root.join("src/lib.rs")).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    let checked = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["check", "--locked", "--quiet"])
        .env("DATABASE_URL", database.serve_url())
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &fresh)
        .status()
        .unwrap();
    assert!(checked.success(), "a statement does not fit the schema");
    let (committed, fresh) = (root.join(".sqlx"), files(&fresh));
    if std::env::var_os("UPDATE").is_some() {
        let _ = fs::remove_dir_all(&committed);
        fs::create_dir_all(&committed).unwrap();
        for (name, text) in &fresh {
            fs::write(committed.join(name), text).unwrap();
        }
    }
    assert!(!fresh.is_empty(), "no statement was written");
    let stale = files(&committed) != fresh;
    assert!(
        !stale,
        ".sqlx is not current: UPDATE=1 cargo test --test main statements -- --ignored, and commit it."
    );
}
