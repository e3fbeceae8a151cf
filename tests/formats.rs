//! Documents of other formats: pages, tables and PDFs are added, asked and cited; what cannot be read is refused with what
//! to do about it, and takes nobody else's time or memory.

use serde_json::{Value, json};

use crate::knowledge::check_citations;
use crate::support::cast::{self, Organization};
use crate::support::{Client, Server};

/// A file of `tests/formats`.
fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/formats/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

const ADDED: &str = "document { id title mimeType version text } job { id }";

/// Waits until a document can be found.
async fn indexed(client: &Client<'_>, payload: &Value) {
    let job = client.finished(payload["job"]["id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
}

/// Uploads a file and makes a document of it.
async fn import(client: &Client<'_>, organization: &Organization, bytes: &[u8], more: Value) -> Value {
    let asset = client.keep_file(organization, "DOCUMENT", bytes).await;
    let mut input = json!({"assetId": asset["id"]});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.try_mutate("documentImport", input, ADDED).await
}

const PAGE: &str = "<!doctype html><html lang='de'><head><title>Kantine &amp; Pausen</title>
<style>p { color: red }</style><script>let price = '99 Euro';</script></head><body><nav><a href='/'>Start</a></nav>
<h1>Kantine</h1><p>Die Kantine öffnet um <b>11:45&nbsp;Uhr</b> und schließt um 14 Uhr.</p>
<h2>Preise</h2><table><tr><th>Gericht</th><th>Preis</th></tr><tr><td>Tagessuppe</td><td>3,20 Euro</td></tr>
<tr><td>Gemüseauflauf</td><td>5,80 Euro</td></tr></table>
<h2>Pausen</h2><ul><li>Vormittags sind 15 Minuten <a href='/x'>Pause</a> vorgesehen.</li></ul></body></html>";

const TABLE: &str = "\u{FEFF}Maschine;Standort;Wartung durch;Nächste Wartung\r\n\
Bandsäge B2;Halle 1;Ines Vogt;12. März 2027\r\nDrehmaschine D7;Halle 3;Oskar Brandt;4. Mai 2027\r\n\
\"Laser; klein\";Labor;Ines Vogt;30. Juni 2027\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_from_each_format_and_its_quotation_stands_in_the_stored_text() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let workers = server.work();
    let member = acme.member.at(&server);
    let create = async |title: &str, mime_type: &str, text: &str| {
        let input = json!({"organizationId": acme.id, "title": title, "mimeType": mime_type, "text": text});
        member.mutate("documentCreate", input, ADDED).await
    };
    let page = create("", "text/html", PAGE).await;
    let table = create("Maschinen", "text/csv", TABLE).await;
    let german = import(&member, &acme, &file("betriebsordnung.pdf"), json!({})).await;
    let english = import(&member, &acme, &file("handbook.pdf"), json!({"title": "For the studio"})).await;
    let titles = [
        (&page, "Kantine & Pausen", "text/html"),
        (&table, "Maschinen", "text/csv"),
        (&german, "Betriebsordnung der Muster Werkstatt GmbH", "application/pdf"),
        (&english, "For the studio", "application/pdf"),
    ];
    for (added, title, mime_type) in titles {
        let document = &added["document"];
        assert_eq!(
            (&document["title"], &document["mimeType"]),
            (&json!(title), &json!(mime_type)),
            "{added:#}"
        );
        indexed(&member, added).await;
    }
    let text = page["document"]["text"].as_str().unwrap();
    assert!(text.contains("# Kantine\n\nDie Kantine öffnet um 11:45 Uhr und schließt um 14 Uhr."), "{text}");
    assert!(!text.contains("99 Euro") && !text.contains("color"), "{text}");

    let questions = [
        (&page, "Wann öffnet die Kantine?", "11:45 Uhr", Some("Kantine")),
        (&page, "Was kostet die Tagessuppe?", "3,20 Euro", Some("Kantine › Preise")),
        (&table, "Wer wartet die Drehmaschine D7?", "Wartung durch: Oskar Brandt", None),
        (&table, "Wann ist die nächste Wartung der Bandsäge B2?", "12. März 2027", None),
        (
            &german,
            "Wie viele Urlaubstage habe ich?",
            "28 Urlaubstage",
            Some("Betriebsordnung › Urlaub › Seite 1"),
        ),
        (
            &german,
            "Welche Durchwahl hat Petra Lindemann?",
            "Durchwahl 417",
            Some("Betriebsordnung › Ansprechpersonen › Seite 2"),
        ),
        (
            &english,
            "How high is the deposit for a ribbon microphone?",
            "200 euros",
            Some("Studio handbook › Borrowing microphones › Page 2"),
        ),
        (
            &english,
            "How long may Room B be booked?",
            "four hours",
            Some("Studio handbook › Booking a room › Page 1"),
        ),
    ];
    for (added, question, expected, heading) in questions {
        let asked = member.ask(&acme, question, json!({})).await;
        let answer = &asked["answer"];
        assert_eq!(answer["answered"], true, "{question}: {asked:#}");
        let citation = answer["citations"].as_array().unwrap().iter().find(|citation| {
            citation["document"]["id"] == added["document"]["id"]
                && citation["quote"].as_str().unwrap().contains(expected)
        });
        let citation = citation.unwrap_or_else(|| panic!("{question}: {answer:#}"));
        assert_eq!(citation["heading"].as_str(), heading, "{question}");
        assert!(check_citations(&member, answer).await > 0);
    }
    // What is nowhere in them is not answered.
    let asked = member.ask(&acme, "Was kostet ein Parkplatz?", json!({})).await;
    assert_eq!(asked["answer"]["answered"], false, "{asked:#}");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pdf_that_cannot_be_read_is_refused_with_what_to_do() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let whole = file("handbook.pdf");
    let nested = |object: &str| {
        format!("%PDF-1.7\n1 0 obj\n{object}\nendobj\ntrailer << /Root 1 0 R >>\n").into_bytes()
    };
    let cases = [
        ("locked", file("locked.pdf"), &["Save it without one"][..]),
        ("scanned", file("scanned.pdf"), &["text recognition"]),
        ("cut off", whole[..whole.len() / 2].to_vec(), &["damaged"]),
        ("only a head", b"%PDF-1.7\n".to_vec(), &["damaged"]),
        ("unpacks to 8 GiB", file("bomb.pdf"), &["time or memory"]),
        ("draws itself", file("loop.pdf"), &["time or memory"]),
        ("nested arrays", nested(&"[".repeat(2_000_000)), &["damaged"]),
        ("nested dictionaries", nested(&"<</A".repeat(500_000)), &["damaged"]),
    ];
    for (name, bytes, advice) in cases {
        let payload = import(&member, &acme, &bytes, json!({"title": name})).await;
        let error = &payload["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!("INVALID"), &json!(["input", "assetId"])),
            "{name}"
        );
        let message = error["message"].as_str().unwrap();
        assert!(advice.iter().any(|advice| message.contains(advice)), "{name}: {message}");
        assert_eq!(payload["document"], Value::Null, "{name}");
    }
    // The others are served as before, and a PDF that only forbids changes is read.
    let payload = import(&member, &acme, &file("restricted.pdf"), json!({})).await;
    assert_eq!(payload["document"]["title"], "Studio handbook", "{payload:#}");
    let count = member.ok("{ organization { documents { totalCount } } }", json!({})).await;
    assert_eq!(count["organization"]["documents"]["totalCount"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_made_of_the_right_file_of_the_right_place() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let (owner, member) = (acme.owner.at(&server), acme.member.at(&server));
    // A picture is no document; a text is what it is said to be.
    let picture = member.keep_file(&acme, "IMAGE", &crate::support::files::png(2, 2)).await;
    assert_eq!(
        member.fault("documentImport", json!({"assetId": picture["id"], "title": "P"})).await,
        "INVALID"
    );
    let table = member.keep_file(&acme, "DOCUMENT", b"Name,Room\nAda,12\n").await;
    let input =
        json!({"assetId": table["id"], "title": "T", "mimeType": "text/csv", "idempotencyKey": "once"});
    let made = member.mutate("documentImport", input.clone(), ADDED).await;
    assert_eq!(made["document"]["text"], "Name: Ada | Room: 12");
    assert_eq!(made["document"]["mimeType"], "text/csv");
    // The same call again is the same document; the same file again is the same content.
    assert_eq!(member.mutate("documentImport", input, ADDED).await["document"], made["document"]);
    let again = json!({"assetId": table["id"], "title": "T", "mimeType": "text/csv"});
    assert_eq!(member.fault("documentImport", again).await, "ALREADY_EXISTS");
    let plain = json!({"assetId": table["id"], "title": "T"});
    let plain = member.mutate("documentImport", plain, ADDED).await;
    assert_eq!(
        (&plain["document"]["mimeType"], &plain["document"]["text"]),
        (&json!("text/plain"), &json!("Name,Room\nAda,12\n"))
    );
    let input = json!({"assetId": table["id"]});
    assert_eq!(member.fault("documentImport", input).await, "REQUIRED", "a text has no title of its own");
    let input = json!({"assetId": table["id"], "title": "T", "mimeType": "application/pdf"});
    assert_eq!(member.fault("documentImport", input).await, "INVALID");

    // A file of a project makes a document of that project, and no other document's text.
    let place = json!({"organizationId": acme.id, "projectId": acme.project});
    let upload = member.announce(place, "DOCUMENT", b"# Plan\n\nLater.").await;
    crate::support::files::put(&server, upload["url"].as_str().unwrap(), b"# Plan\n\nLater.").await;
    member.mutate("assetUploadComplete", json!({"id": upload["id"]}), "").await;
    let input = json!({"assetId": upload["id"], "title": "Plan", "mimeType": "text/markdown"});
    let made = member
        .mutate(
            "documentImport",
            input,
            "document { id project { id } } project { documents { totalCount } }",
        )
        .await;
    assert_eq!(made["document"]["project"]["id"], acme.project.as_str());
    assert_eq!(made["project"]["documents"]["totalCount"], 1);
    let elsewhere = json!({"id": plain["document"]["id"], "assetId": upload["id"]});
    assert_eq!(owner.fault("documentUpdate", elsewhere).await, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_written_as_the_first_one_was() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let page = json!({"organizationId": acme.id, "title": "Page", "mimeType": "text/html", "text": PAGE});
    let page = member.mutate("documentCreate", page, ADDED).await;
    let update = json!({"id": page["document"]["id"], "text": "<h1>Neu</h1><script>x</script><p>Heute zu."});
    let changed = member.mutate("documentUpdate", update, ADDED).await;
    assert_eq!(
        (&changed["document"]["version"], &changed["document"]["text"]),
        (&json!(2), &json!("# Neu\n\nHeute zu."))
    );

    let pdf = import(&member, &acme, &file("handbook.pdf"), json!({})).await;
    let id = &pdf["document"]["id"];
    let newer = member.keep_file(&acme, "DOCUMENT", &file("betriebsordnung.pdf")).await;
    let changed = member.mutate("documentUpdate", json!({"id": id, "assetId": newer["id"]}), ADDED).await;
    assert_eq!(changed["document"]["version"], 2);
    assert_eq!(changed["document"]["title"], pdf["document"]["title"], "what it is called stays");
    assert!(changed["document"]["text"].as_str().unwrap().contains("28 Urlaubstage"), "{changed:#}");
    // Not both, and no other kind of file.
    let both = json!({"id": id, "assetId": newer["id"], "text": "x"});
    assert_eq!(member.fault("documentUpdate", both).await, "INVALID");
    let words = member.keep_file(&acme, "DOCUMENT", b"Words.").await;
    assert_eq!(member.fault("documentUpdate", json!({"id": id, "assetId": words["id"]})).await, "INVALID");
    let other = json!({"id": page["document"]["id"], "assetId": newer["id"]});
    assert_eq!(member.fault("documentUpdate", other).await, "INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_empty_once_it_is_read_is_refused() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    let long = format!("<p>{}</p>", "word ".repeat(420_000));
    // Much around little text is taken: what counts is what is kept.
    let little = format!("<style>{}</style><p>Little.</p>", "p{} ".repeat(600_000));
    for (mime_type, title, text, code) in [
        ("text/html", "t", long.as_str(), Some("TOO_LONG")),
        ("text/html", "t", "<script>alert(1)</script>", Some("REQUIRED")),
        ("text/html", "", "<p>Text.", Some("REQUIRED")),
        ("text/csv", "t", "a,b\n", Some("REQUIRED")),
        ("text/html", "t", &little, None),
        ("text/csv", "t", "a,b\n1,2\n", None),
    ] {
        let input = json!({"organizationId": acme.id, "title": title, "mimeType": mime_type, "text": text});
        let payload = member.try_mutate("documentCreate", input, "document { text bytes }").await;
        assert_eq!(payload["userErrors"][0]["code"].as_str(), code, "{mime_type} {title:?} {payload:#}");
    }
}
