//! Each attack of `attacks.md` has a test, and each test that says which attacks it is about says so truly.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks.md");
/// What a safe outcome begins with where there is nothing to attack.
const NOT_APPLICABLE: &str = "not applicable: ";

/// The tests of the crate that name attacks.
#[derive(Default)]
struct Claims {
    /// The file that is being read.
    file: String,
    /// By attack: the files, and their tests.
    found: BTreeMap<u16, BTreeMap<String, Vec<String>>>,
    wrong: Vec<String>,
}

/// The words of a doc comment.
fn doc(attributes: &[syn::Attribute]) -> String {
    let mut doc = String::new();
    for attribute in attributes {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) = &pair.value
        {
            let _ = writeln!(doc, "{}", line.value().trim());
        }
    }
    doc
}

impl Visit<'_> for Claims {
    fn visit_item_fn(&mut self, item: &syn::ItemFn) {
        let doc = doc(&item.attrs);
        let Some(list) = doc.lines().find_map(|line| line.strip_prefix("Attacks: ")) else { return };
        let named = |name: &str| {
            item.attrs
                .iter()
                .any(|attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name))
        };
        let (file, test) = (&self.file, item.sig.ident.to_string());
        if !named("test") || named("ignore") {
            self.wrong.push(format!("{file}: {test} names attacks and is no test that always runs."));
        }
        for number in list.trim_end_matches('.').split(", ") {
            match number.parse() {
                Ok(number) => {
                    let files: &mut BTreeMap<_, Vec<_>> = self.found.entry(number).or_default();
                    files.entry(file.clone()).or_default().push(test.clone());
                }
                Err(_) => self.wrong.push(format!("{file}: {test} names `{number}`: write `Attacks: 1, 2.`")),
            }
        }
    }
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("node_modules") {
                sources(&path, out);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn claims() -> Claims {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut paths);
    }
    paths.sort();
    let mut claims = Claims::default();
    for path in paths {
        claims.file = path.strip_prefix(root).unwrap().display().to_string();
        claims.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
    }
    claims
}

/// Set `UPDATE=1` to write the last column of the table anew.
#[test]
fn every_attack_has_its_tests() {
    let text = fs::read_to_string(TABLE).unwrap();
    let Claims { mut found, mut wrong, .. } = claims();
    let (mut fresh, mut rows) = (String::new(), 0);
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(number) = cells.first().and_then(|cell| cell.parse::<u16>().ok()) else {
            let _ = writeln!(fresh, "{line}");
            continue;
        };
        rows += 1;
        let claimed = found.remove(&number).unwrap_or_default();
        if cells[2].starts_with(NOT_APPLICABLE) != claimed.is_empty() {
            wrong.push(format!(
                "{number} ({}): write a test that says `Attacks: {number}.` in its doc comment, or why it is not applicable.",
                cells[1]
            ));
        }
        let tests: Vec<String> =
            claimed.into_iter().map(|(file, tests)| format!("`{file}`: {}", tests.join(", "))).collect();
        let _ = writeln!(fresh, "| {number} | {} | {} | {} |", cells[1], cells[2], tests.join("; "));
    }
    for (number, files) in found {
        wrong.push(format!("{number} is no attack of tests/attacks.md: {files:?}"));
    }
    assert!(rows > 100, "the table was not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(TABLE, fresh).unwrap();
    } else {
        assert!(fresh == text, "tests/attacks.md names other tests: UPDATE=1 cargo test --test main attacks");
    }
}
