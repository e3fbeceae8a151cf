//! The README keeps its word: its table is the code's, and its commands run as they stand.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// What stands between two markers.
fn section(text: &str, name: &str) -> String {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let from = text.find(&start).unwrap_or_else(|| panic!("README.md has no section {name}")) + start.len();
    text[from..text.find(&end).unwrap()].to_owned()
}

/// Set `UPDATE=1` to write it anew.
#[test]
fn the_table_of_permissions_is_the_code_s() {
    let text = fs::read_to_string(README).unwrap();
    let (printed, now) = (section(&text, "policy"), aicos::access::policy::markdown());
    if std::env::var_os("UPDATE").is_some() {
        let wrap = |table: &str| format!("<!-- policy -->\n{table}<!-- /policy -->");
        fs::write(README, text.replace(&wrap(&printed), &wrap(&now))).unwrap();
    } else {
        assert!(printed == now, "README.md has another table: UPDATE=1 cargo test --test main readme");
    }
}

/// What an enumeration can be, as its reader says.
fn spellings<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
    let said = serde_json::from_str::<T>("\"?\"").unwrap_err().to_string();
    let (_, spellings) =
        said.split_once("expected one of ").or_else(|| said.split_once("expected ")).unwrap();
    let spellings = spellings.split('`').skip(1).step_by(2);
    spellings.map(str::to_owned).collect()
}

/// The names of all fields of a value, however deep.
fn fields(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    if let Some(map) = value.as_object() {
        found.extend(map.keys().cloned());
    }
    let below = value.as_object().into_iter().flat_map(|map| map.values());
    below.chain(value.as_array().into_iter().flatten()).for_each(|value| fields(value, found));
}

#[test]
fn a_scene_is_described_as_it_is_read() {
    use aicos::agents::visuals::builtin::fonts::{Typeface, Voice};
    use aicos::agents::visuals::builtin::{Align, Anchor, Layer, Pattern, Role, Scene, Slot};

    let told = section(&fs::read_to_string(README).unwrap(), "scene");
    let (_, example) = told.split_once("```json\n").unwrap();
    let given: serde_json::Value = serde_json::from_str(example.split_once("```").unwrap().0).unwrap();
    let scene: Scene = serde_json::from_value(given.clone()).unwrap();
    scene.check().unwrap();
    // It has every field, and none that is not read.
    let (mut there, mut read) = Default::default();
    fields(&given, &mut there);
    fields(&serde_json::to_value(&scene).unwrap(), &mut read);
    assert_eq!(there, read);

    // Every kind of layer is in it, and has a row that names its fields.
    let said = serde_json::from_str::<Layer>("{\"type\":\"?\"}").unwrap_err().to_string();
    let kinds: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
    assert!(kinds.contains(&"TEXT") && kinds.len() > 7, "{said}");
    for kind in kinds {
        let layer = given["layers"].as_array().unwrap().iter().find(|layer| layer["type"] == kind);
        let layer = layer.unwrap_or_else(|| panic!("the example has no layer of the type {kind}"));
        let row = told.lines().find(|line| line.starts_with(&format!("| `{kind}`"))).unwrap();
        for field in layer.as_object().unwrap().keys().filter(|field| *field != "type") {
            assert!(row.contains(&format!("`{field}`")), "the row of {kind} does not name `{field}`");
        }
    }
    for (of, spellings) in [
        ("typeface", spellings::<Typeface>()),
        ("voice", spellings::<Voice>()),
        ("align", spellings::<Align>()),
        ("anchor", spellings::<Anchor>()),
        ("pattern", spellings::<Pattern>()),
        ("role", spellings::<Role>()),
        ("slot", spellings::<Slot>()),
    ] {
        assert!(spellings.len() > 1, "{of}: {spellings:?}");
        for spelling in spellings {
            assert!(told.contains(&format!("`{spelling}`")), "{of} may be {spelling}, which is not said");
        }
    }
}

/// The blocks in order: what stands after `sh`, and the lines.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for part in text.split("\n```sh").skip(1) {
        let (head, rest) = part.split_once('\n').unwrap();
        let (code, _) = rest.split_once("\n```").unwrap();
        out.push((head.trim().to_owned(), code.to_owned()));
    }
    out
}

struct Server {
    child: Child,
    folder: std::path::PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        // As Ctrl-C does: the private cluster is stopped with it.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn its_commands_run_one_after_the_other() {
    let text = fs::read_to_string(README).unwrap();
    let folder = std::env::temp_dir().join(format!("aicos-readme-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let port = free_port();
    let binary = env!("CARGO_BIN_EXE_aicos");
    let log = fs::File::create(folder.join("log")).unwrap();
    let child = Command::new(binary)
        .current_dir(&folder)
        .env("AICOS_DATA_DIR", folder.join("data"))
        .env("AICOS_LISTEN", format!("127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server { child, folder: folder.clone() };
    wait_until_ready(port, &folder.join("log"));

    // The examples have a second server.
    let second = free_port();
    let mut script = String::from("set -euo pipefail\n");
    let mut run = 0;
    for (kind, code) in blocks(&text) {
        match kind.as_str() {
            // The server runs already, and the tests would run themselves.
            "server" => assert_eq!(code, "cargo run"),
            "tests" => assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(code.trim()).exists()),
            _ => {
                run += 1;
                let code = code.replace("localhost:8000", &format!("localhost:{port}"));
                script.push_str(&code.replace(":8001", &format!(":{second}")));
                // A person pastes one after the other, and a new document is found a moment later.
                script.push_str("\necho\nsleep 1\n");
            }
        }
    }
    assert!(run >= 5, "README.md has lost its examples");
    let script = script.replace("cargo run --", binary);
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&folder)
        .env("AICOS_DATA_DIR", folder.join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let refused = said.lines().filter(|line| line.contains("\"errors\""));
    // The examples refuse one document on purpose, and look for the code themselves.
    assert!(refused.clone().all(|line| line.contains("DOCUMENT_NOT_TRUSTED")), "{said}");
    assert_eq!(refused.count(), 1, "{said}");
    let expected = [
        "accessToken",
        "marketing-campaign",
        "John Doe",
        "project.create",
        "\"answered\":true",
        "\"key\":\"approval\",\"status\":\"SUCCEEDED\",\"approvedBy\":{\"name\":",
        "\"key\":\"look\",\"kind\":\"APPROVAL\",\"after\":[\"tags\"]",
        "\"key\":\"post\",\"forEach\":\"steps.write.texts\",\"forEachAtMost\":5",
        "\"contentWorkflowRun\":{\"estimatedCostMicroUsd\":0,\"userErrors\":[]}",
        "\"keyHint\":\"cdef\"",
        "\"agent\":\"POST_COMPOSITION\",\"provider\":\"gateway\"",
        "\"userId\":\"17841400000000000\"",
        "\"code\":\"NOT_REACHABLE\"",
        "\"quote\":\"Everybody has 30 days of vacation a year.\"",
        "\"mimeType\":\"text/vtt\"",
        "olivia@",
        "manifest.json is known, with 1 of them; others are refused",
        "{\"data\":{\"rateLimit\":{\"limit\":",
    ];
    let names =
        r#"{"data":{"organization":{"projects":{"nodes":[{"name":"Default"},{"name":"Marketing Campaign"}"#;
    assert_eq!(said.matches(names).count(), 2, "by text and by hash\n{said}");
    for expected in expected {
        assert!(said.contains(expected), "`{expected}` is missing:\n{said}");
    }
    drop(server);
}

fn wait_until_ready(port: u16, log: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) {
            use std::io::Write as _;
            let asked =
                stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let mut answer = String::new();
            if asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains("200 OK") {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the server did not start:\n{}", fs::read_to_string(log).unwrap_or_default());
}
