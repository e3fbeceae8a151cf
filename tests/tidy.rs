//! The rules of the house, as sentences with their fix.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A source file of the crate, without its tests.
struct Source {
    /// Its path below `src/`.
    path: String,
    text: String,
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        // What stands in a test module is free to break the rules.
        let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        Source { path: path.strip_prefix(&root).unwrap().display().to_string(), text }
    };
    let sources: Vec<Source> = paths.into_iter().map(read).collect();
    assert!(sources.len() > 40, "the sources were not found");
    sources
}

impl Source {
    /// Lines of code that hold `needle`, comments left out.
    fn lines_with<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        self.text.lines().enumerate().filter_map(move |(at, line)| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains(needle).then_some((at + 1, line.trim()))
        })
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The room that it stands in: its folder or file in `src/`. What the schema shows of any room is one with `graphql/`,
    /// above them.
    fn room(&self) -> &str {
        if self.path.ends_with("/graphql.rs") { "graphql" } else { self.folder() }
    }

    fn folder(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// The rooms that its code names below `crate::`, each with its line.
    fn uses(&self) -> Vec<(usize, String)> {
        let lines: Vec<_> =
            self.text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        let code = lines.join("\n");
        let mut uses = Vec::new();
        for (at, word) in code.match_indices("crate::") {
            let line = code[..at].matches('\n').count() + 1;
            let paths = members(&code[at + word.len()..]);
            uses.extend(paths.into_iter().map(|path| (line, named(path).to_owned())));
        }
        uses
    }

    fn is_in(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| {
            room.strip_prefix('*').map_or_else(|| self.path.starts_with(room), |end| self.path.ends_with(end))
        })
    }
}

/// How a path goes on: itself, or each of those in its braces, which may have braces of their own.
fn members(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![path] };
    let (mut members, mut from, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            ',' | '}' if depth == 0 => {
                members.push(group[from..at].trim());
                from = at + 1;
                if c == '}' {
                    break;
                }
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

/// The room that a path below `crate::` leads into.
fn named(path: &str) -> &str {
    let end = path.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c)).unwrap_or(path.len());
    let parts: Vec<&str> = path[..end].split("::").collect();
    if parts[0] != "http" && parts.contains(&"graphql") { "graphql" } else { parts[0] }
}

/// Every line with `needle` outside of `rooms` is a breach.
fn only_in(needle: &str, rooms: &[&str], fix: &str) {
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| !source.is_in(rooms) && !source.is_test()) {
        for (line, code) in source.lines_with(needle) {
            breaches.push(format!("src/{}:{line}: {code}", source.path));
        }
    }
    assert!(breaches.is_empty(), "`{needle}` has no place here. {fix}\n{}", breaches.join("\n"));
}

/// No line with `needle` inside of `rooms`.
fn never_in(needle: &str, rooms: &[&str], fix: &str) {
    let mut breaches = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(rooms)) {
        for (line, code) in source.lines_with(needle) {
            breaches.push(format!("src/{}:{line}: {code}", source.path));
        }
    }
    assert!(breaches.is_empty(), "`{needle}` has no place here. {fix}\n{}", breaches.join("\n"));
}

#[test]
fn statements_stand_in_stores() {
    let rooms = ["db/", "*/store.rs", "doctor.rs", "app.rs"];
    only_in("sqlx::query", &rooms, "Move the statement into the entity's store.rs.");
}

#[test]
fn graphql_stays_in_its_rooms() {
    let rooms = ["graphql/", "http/", "*/graphql.rs", "error.rs"];
    let enums = [
        "access/policy.rs",
        "accounts/channel.rs",
        "accounts/mod.rs",
        "agents/hashtags/builtin/mod.rs",
        "agents/instagram/comment.rs",
        "agents/instagram/machine.rs",
        "agents/posts/builtin/diff.rs",
        "agents/posts/builtin/mod.rs",
        "agents/posts/builtin/readability.rs",
        "agents/posts/state.rs",
        "agents/qa/mod.rs",
        "agents/workflow/definition.rs",
        "agents/workflow/value.rs",
        "assets/mod.rs",
        "assets/previews.rs",
        "usage/mod.rs",
        "invitations/mod.rs",
        "audit/mod.rs",
        "jobs/mod.rs",
        "knowledge/mod.rs",
        "periods/cycles.rs",
        "retrieval/language.rs",
        "retrieval/question.rs",
    ];
    for source in sources().iter().filter(|source| !source.is_in(&rooms)) {
        for (line, code) in source.lines_with("async_graphql") {
            // One enum that the schema shows rather than a second one that would drift from it.
            let derives = code.contains("async_graphql::Enum") && source.is_in(&enums);
            assert!(derives, "src/{}:{line}: {code}\nMove it into the entity's graphql.rs.", source.path);
        }
    }
}

#[test]
fn http_stays_in_its_room() {
    only_in("axum", &["http/", "app.rs"], "Only http/ and app.rs know that there is HTTP.");
    never_in(
        "crate::http",
        &["graphql/", "db/", "access/", "identity/", "projects/"],
        "The arrow points from http to graphql.",
    );
}

#[test]
fn outside_addresses_are_called_from_one_room() {
    let rooms = ["engine/", "telemetry/otlp.rs"];
    only_in(
        "reqwest",
        &rooms,
        "Only engine/ makes HTTP clients: theirs are the limits. The collector of traces has its own.",
    );
}

#[test]
fn what_strangers_have_made_is_read_apart() {
    only_in(
        "Command::new(",
        &["apart.rs", "postgres/"],
        "Only apart.rs starts processes: theirs are the limits.",
    );
    never_in("crate::", &["apart.rs"], "apart.rs knows nothing of aicos.");
    only_in(
        "read_clip(",
        &["agents/videos/clips.rs", "render/videos/footage/"],
        "Only a process of its own reads what is in a clip.",
    );
}

#[test]
fn what_traces_say_stands_in_one_place() {
    for word in ["span!(", "#[instrument", "#[tracing::instrument"] {
        only_in(
            word,
            &["telemetry/trace.rs"],
            "Add the span to telemetry/trace.rs: what it says can be seen there.",
        );
    }
    only_in("opentelemetry", &["telemetry/"], "Only telemetry/ knows how traces are carried.");
    for room in
        ["crate::db", "crate::http", "crate::graphql", "crate::identity", "crate::jobs", "sqlx", "axum"]
    {
        never_in(room, &["telemetry/"], "Every room uses telemetry/, and it uses none.");
    }
}

#[test]
fn the_arrows_point_one_way() {
    for room in ["sqlx", "crate::db", "crate::graphql", "crate::http", "crate::identity"] {
        never_in(room, &["access/"], "access/ knows nothing of SQL, HTTP or GraphQL.");
    }
    for room in ["crate::graphql", "crate::identity", "crate::organizations", "crate::projects"] {
        never_in(room, &["db/"], "db/ knows access/, error, id and config.");
    }
    for room in ["crate::", "super::super"] {
        never_in(room, &["postgres/"], "postgres/ knows nothing of aicos.");
        never_in(room, &["engine/"], "engine/ knows nothing of aicos.");
    }
}

/// Arrows that lead back, and why they may.
const BACK: [(&str, &str, &str); 5] = [
    ("error", "telemetry", "an error is counted where it becomes an answer, and figures know its codes"),
    ("error", "usage", "a refusal names the limit of the tier that it met, and usage/ refuses"),
    ("identity", "organizations", "whoever signs up founds an organization in the same transaction"),
    ("identity", "invitations", "or joins the one that has invited them"),
    (
        "projects",
        "organizations",
        "a project is set up in the same words as its organization, which comes with one",
    ),
];

#[test]
fn no_arrow_leads_back() {
    let mut arrows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    // The other crates keep themselves apart.
    for source in
        sources().iter().filter(|source| !source.is_test() && !source.is_in(&["retrieval/", "render/"]))
    {
        // A room's file of the schema says `super`.
        let own = (source.room() == "graphql").then(|| (1, source.folder().to_owned()));
        for (line, to) in source.uses().into_iter().chain(own).filter(|(_, to)| to != source.room()) {
            let place = format!("src/{}:{line}: {} uses {to}", source.path, source.room());
            arrows.entry((source.room().to_owned(), to)).or_default().push(place);
        }
    }
    assert!(arrows.len() > 200, "the arrows were not found");
    for (from, to, why) in BACK {
        let known = arrows.remove(&(from.to_owned(), to.to_owned()));
        assert!(known.is_some(), "{from} does not use {to} any more. Take this out of BACK: {why}.");
    }
    // Whatever leads to nothing, or comes from nothing, is in no circle: what is left when all of that is gone, is.
    loop {
        let count = arrows.len();
        let (from, to): (BTreeSet<_>, BTreeSet<_>) = arrows.keys().cloned().unzip();
        arrows.retain(|(start, end), _| to.contains(start) && from.contains(end));
        if arrows.len() == count {
            break;
        }
    }
    // What leads back is mostly written in few places.
    let mut circle: Vec<Vec<String>> = arrows.into_values().collect();
    circle.sort_by_key(Vec::len);
    assert!(
        circle.is_empty(),
        "These rooms use each other. Move what both sides need below them, into the room where somebody would look for \
         it.\n{}",
        circle.concat().join("\n")
    );
}

#[test]
fn the_rooms_that_code_names_are_found_in_every_spelling() {
    let text = "use crate::{\n    audit,\n    jobs::{self, Run},\n};\n// crate::nothing\nfn f() -> crate::db::Lease {\n    \
                crate::agents::qa::graphql::g(crate::http::graphql::h)\n}";
    let source = Source { path: "projects/mod.rs".to_owned(), text: text.to_owned() };
    let uses = source.uses();
    let uses: Vec<_> = uses.iter().map(|(line, room)| (*line, room.as_str())).collect();
    assert_eq!(uses, [(1, "audit"), (1, "jobs"), (6, "db"), (7, "graphql"), (7, "http")]);
}

#[test]
fn text_is_ranked_without_knowing_whose_it_is() {
    never_in("crate::", &["retrieval/"], "retrieval/ knows nothing of aicos: text in, quotations out.");
    only_in("graphile_worker", &["jobs/"], "Only jobs/ knows which library carries the queue.");
}

#[test]
fn objects_are_reached_through_a_tenants_adapter() {
    only_in("object_store", &["storage/"], "Only storage/ knows which library talks to the stores.");
    only_in(
        ".clear_leftover(",
        &["assets/mod.rs", "storage/"],
        "Only the sweep removes objects without a tenant's scope.",
    );
    only_in(
        "Storage::open(",
        &["app.rs"],
        "The storage is opened once, and reached through what Storage::of gives.",
    );
    for room in
        ["crate::db", "crate::graphql", "crate::http", "crate::identity", "crate::assets", "sqlx", "axum"]
    {
        never_in(room, &["storage/"], "storage/ knows scopes, ids and errors.");
    }
}

#[test]
fn stores_neither_begin_nor_commit() {
    for word in
        ["\"COMMIT", "\"BEGIN", "\"ROLLBACK", "\"commit", "\"begin", "\"rollback", ".begin()", "SAVEPOINT"]
    {
        never_in(word, &["*/store.rs"], "Transactions begin and end in db/.");
    }
}

#[test]
fn the_doors_that_skip_a_check_are_used_where_the_check_was_made() {
    only_in("Scope::mint(", &["identity/", "access/mod.rs"], "Only identity/ makes scopes.");
    only_in(
        ".identify(",
        &["identity/", "db/", "postgres/"],
        "Only identity/ knows who has proved who they are.",
    );
    let founders = ["identity/mod.rs", "organizations/graphql.rs", "invitations/mod.rs", "db/"];
    only_in(".step_into(", &founders, "Only founding and joining step into an organization.");
    only_in(
        ".anonymous(",
        &[
            "identity/",
            "invitations/mod.rs",
            "jobs/",
            "assets/mod.rs",
            "providers/mod.rs",
            "accounts/mod.rs",
            "webhooks/mod.rs",
            "db/",
        ],
        "Only what comes before an organization is known, or serves all of them, looks through the gate.",
    );
}

#[test]
fn a_query_never_writes() {
    for source in sources() {
        if !source.is_in(&["*/store.rs"]) {
            continue;
        }
        // Functions that take a ReadTx only look.
        for function in source.text.split("pub(super) async fn ").skip(1) {
            let (head, body) = function.split_once('{').unwrap_or_default();
            if !head.contains("ReadTx<") {
                continue;
            }
            for word in ["insert into", "update ", "delete from", "for update"] {
                let writes = body
                    .lines()
                    .any(|line| line.trim().trim_start_matches(['"', 'r', '#']).starts_with(word));
                assert!(
                    !writes,
                    "src/{}: a function that takes a ReadTx writes (`{word}`). Take a WriteTx.",
                    source.path
                );
            }
        }
    }
}

#[test]
fn settings_are_read_in_one_place() {
    only_in(
        "env::var",
        &["config.rs", "postgres/"],
        "Every setting stands in config.rs; the private cluster looks at the environment of the programs that it runs.",
    );
}

#[test]
fn nothing_panics_on_purpose() {
    for word in [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("] {
        let rooms = ["db/connection.rs", "db/lease.rs", "graphql/toy.rs"];
        only_in(word, &rooms, "Return an error: no panic is reachable from a request.");
    }
}
