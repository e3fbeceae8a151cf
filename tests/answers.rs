//! Answers: what they say of themselves, and how they follow what the asker wants.

use serde_json::{Value, json};

use crate::knowledge::check_citations;
use crate::support::cast::{self, Organization};
use crate::support::provider::Reply;
use crate::support::work::{Room, openai};
use crate::support::{Client, Server};

/// Two sections on one matter, of which one answers.
const VACATION: &str = "# Vacation\n\nEverybody has 30 days of vacation a year.\n\n\
# How do I ask for vacation?\n\nVacation is asked for in the calendar, and Maria Keller agrees to it.\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_its_confidence_is_made_of_and_where_more_stands() {
    let room = Room::new().await;
    let member = room.member();
    member.learn(&room.acme, "Handbook", VACATION).await;
    let question = "How many days of vacation do I have?";
    let asked = member.ask(&room.acme, question, json!({})).await;
    let answer = &asked["answer"];
    assert_eq!(answer["answer"], "Everybody has 30 days of vacation a year.", "{asked:#}");
    let part = |name: &str| answer["confidenceParts"][name].as_f64().unwrap();
    assert!(part("coverage") > 0.9 && part("gap") < 0.1, "{answer:#}");
    assert_eq!(answer["confidenceParts"]["kind"], 1.0, "it has the number that is asked for");
    assert!((0.5..=1.0).contains(&part("chosen")), "{answer:#}");
    assert_eq!(answer["followUps"], json!(["How do I ask for vacation?"]), "{answer:#}");
    // One of them asked as it stands finds its passage.
    let next = member.ask(&room.acme, "How do I ask for vacation?", json!({})).await;
    assert!(next["answer"]["answer"].to_string().contains("calendar"), "{next:#}");

    // What has nothing of the question has no headings either.
    let asked = member.ask(&room.acme, "Who is the president of France?", json!({})).await;
    assert_eq!((&asked["answer"]["answered"], &asked["answer"]["followUps"]), (&json!(false), &json!([])));

    // A model does not say how sure it is; where more stands it need not know.
    room.fake.script([Reply::text("You have 30 days of vacation [1].")]);
    let asked = member.ask(&room.acme, question, json!({"engine": openai(false)})).await;
    assert_eq!(
        (&asked["answer"]["confidence"], &asked["answer"]["confidenceParts"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(asked["answer"]["followUps"], json!(["How do I ask for vacation?"]), "{asked:#}");

    // Answers from before they were kept have none.
    let before =
        "update qa_answers set confidence_coverage = null, confidence_kind = null, confidence_gap = null,
        confidence_chosen = null";
    room.server.tamper(before).await;
    let old = "query($id: ID!) { node(id: $id) { ... on QaAnswer { confidence confidenceParts { gap } } } }";
    let old = member.ok(old, json!({"id": answer["id"]})).await;
    assert_eq!(old["node"]["confidence"], answer["confidence"]);
    assert_eq!(old["node"]["confidenceParts"], Value::Null);
    room.workers.stop().await;
}

/// Seven sentences that answer alike.
const BENEFITS: &str = "# Benefits\n\nAcme provides train tickets in second class. Acme provides hotel rooms near customers. \
Acme provides meals during longer journeys. Acme provides parking beside airports. Acme provides laptops without games. \
Acme provides coffee from Brazil. Acme provides umbrellas against rain.\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_as_long_as_the_asker_wants_it() {
    let room = Room::new().await;
    let member = room.member();
    member.learn(&room.acme, "Benefits", BENEFITS).await;
    let question = "What does Acme provide?";
    let mut sure = Vec::new();
    for (length, sentences) in [(None, 3), (Some("SHORT"), 1), (Some("MEDIUM"), 3), (Some("LONG"), 6)] {
        let more = length.map_or_else(|| json!({}), |length| json!({"length": length}));
        let answer = member.ask(&room.acme, question, more).await["answer"].clone();
        let text = answer["answer"].as_str().unwrap();
        assert_eq!(text.matches("Acme provides").count(), sentences, "{length:?}: {text}");
        assert_eq!(check_citations(&member, &answer).await, sentences);
        sure.push(answer["confidence"].clone());
    }
    assert!(sure.iter().all(|confidence| *confidence == sure[0]), "{sure:?}");
    // In a conversation as well.
    let begun = member
        .mutate("qaConversationCreate", json!({"organizationId": room.acme.id}), "conversation { id }")
        .await;
    let more = json!({"conversationId": begun["conversation"]["id"], "length": "SHORT"});
    let asked = member.ask(&room.acme, question, more).await;
    assert_eq!(asked["answer"]["citations"].as_array().unwrap().len(), 1, "{asked:#}");

    // A model is told how much is wanted, and what is far more is left out.
    let reply = "Acme provides coffee [1]. ".repeat(30);
    for (length, order, sentences) in [
        ("SHORT", "in one plain sentence,", 2),
        ("MEDIUM", "in one to four plain sentences,", 8),
        ("LONG", "in four to ten plain sentences, or as many as the passages give,", 20),
    ] {
        room.fake.script([Reply::text(&reply)]);
        let asked =
            member.ask(&room.acme, question, json!({"length": length, "engine": openai(false)})).await;
        let text = asked["answer"]["answer"].as_str().unwrap();
        assert_eq!(text.matches("coffee").count(), sentences, "{text}");
        let said = room.fake.requests().pop().unwrap().body.to_string();
        assert!(said.contains(&format!("Answer in the language of the question, {order}")), "{said}");
    }

    // It is part of the call: a key that repeats it repeats it with the same length.
    let input = |length: &str| json!({"organizationId": room.acme.id, "question": question, "length": length, "idempotencyKey": "once"});
    let first = member.mutate("qaAsk", input("SHORT"), "job { id }").await;
    let again = member.mutate("qaAsk", input("SHORT"), "job { id }").await;
    assert_eq!(first["job"]["id"], again["job"]["id"]);
    assert_eq!(member.fault("qaAsk", input("LONG")).await, "IDEMPOTENCY_KEY_REUSED");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_in_the_language_that_the_asker_wants() {
    let room = Room::new().await;
    let member = room.member();
    let english = "# Network\n\nThe WLAN is called Acme-Guest in every building of the company.\n";
    member.learn(&room.acme, "Network", english).await;
    let question = "How is the WLAN called?";
    let ask = async |more: Value| member.ask(&room.acme, question, more).await["answer"].clone();
    let plain = ask(json!({})).await;
    assert!(plain["answer"].to_string().contains("Acme-Guest"), "{plain:#}");
    assert_eq!(ask(json!({"language": "EN"})).await["answer"], plain["answer"]);
    // The built-in engine translates nothing; it says what came closest.
    let none = ask(json!({"language": "DE"})).await;
    assert_eq!((&none["answered"], &none["citations"]), (&json!(false), &json!([])), "{none:#}");
    assert!(none["nearMisses"][0]["quote"].to_string().contains("Acme-Guest"), "{none:#}");
    assert!(check_citations(&member, &none).await > 0);
    // A model does.
    room.fake.script([Reply::text("Das WLAN heißt Acme-Guest [1].")]);
    let translated = ask(json!({"language": "DE", "engine": openai(false)})).await;
    assert_eq!(translated["answer"], "Das WLAN heißt Acme-Guest.");
    assert!(translated["citations"][0]["quote"].to_string().contains("The WLAN is called"), "{translated:#}");
    let said = room.fake.requests().pop().unwrap().body.to_string();
    assert!(said.contains("Answer in German, in one to four plain sentences,"), "{said}");

    let german = "# Netz\n\nDas WLAN heißt in jedem Gebäude der Firma Acme-Gast.\n";
    member.learn(&room.acme, "Netz", german).await;
    for (language, expected, other) in
        [("DE", "Acme-Gast.", "Acme-Guest"), ("EN", "Acme-Guest", "Acme-Gast.")]
    {
        let asked = member.ask(&room.acme, "WLAN?", json!({"language": language})).await;
        let text = asked["answer"]["answer"].to_string();
        assert!(text.contains(expected) && !text.contains(other), "{language}: {asked:#}");
    }
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_does_not_cite_is_left_out_or_marked() {
    let room = Room::new().await;
    let member = room.member();
    member.learn(&room.acme, "Handbook", VACATION).await;
    let ask = async |reply: &str, require: Option<bool>| {
        room.fake.script([Reply::text(reply)]);
        let mut more = json!({"engine": openai(false)});
        if let Some(require) = require {
            more["requireCitations"] = json!(require);
        }
        member.ask(&room.acme, "How many days of vacation do I have?", more).await["answer"].clone()
    };
    let reply = "You have 30 days of vacation [1]. It never rains.";
    for require in [None, Some(true)] {
        let answer = ask(reply, require).await;
        assert_eq!(
            (&answer["answer"], &answer["uncited"]),
            (&json!("You have 30 days of vacation."), &json!([])),
            "{answer:#}"
        );
        assert_eq!(ask("You have 30 days.", require).await["answered"], false);
    }
    let answer = ask(reply, Some(false)).await;
    assert_eq!(
        (&answer["answer"], &answer["uncited"]),
        (&json!("You have 30 days of vacation. It never rains."), &json!(["It never rains."])),
        "{answer:#}"
    );
    assert_eq!(check_citations(&member, &answer).await, 1);
    let bare = ask("You have 30 days.", Some(false)).await;
    assert_eq!(
        (&bare["answered"], &bare["uncited"], &bare["citations"]),
        (&json!(true), &json!(["You have 30 days."]), &json!([]))
    );
    assert_eq!(ask("UNANSWERED. Nothing is said of it.", Some(false)).await["answered"], false);
    // The built-in engine always cites.
    let more = json!({"requireCitations": false});
    let built = member.ask(&room.acme, "How many days of vacation do I have?", more).await["answer"].clone();
    assert_eq!(built["uncited"], json!([]));
    assert!(check_citations(&member, &built).await > 0);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_asked_of_documents_with_a_tag() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let workers = server.work();
    let (owner, member) = (acme.owner.at(&server), acme.member.at(&server));
    let add = async |title: &str, project: Option<&str>, tags: Value| {
        let text = format!("# Safe\n\nThe password of the safe is {title}-4711.");
        let input = json!({"organizationId": acme.id, "projectId": project, "title": title, "text": text, "tags": tags});
        let made = member.mutate("documentCreate", input, "document { id tags } job { id }").await;
        assert_eq!(member.finished(made["job"]["id"].as_str().unwrap()).await["status"], "SUCCEEDED");
        made["document"].clone()
    };
    let copper = add("copper", None, json!([" Metal", "HR", "HR"])).await;
    assert_eq!(copper["tags"], json!(["HR", "Metal"]));
    add("silver", Some(&acme.project), json!(["metal"])).await;
    let marble = add("marble", None, Value::Null).await;
    assert_eq!(marble["tags"], json!([]));

    let question = "What is the password of the safe?";
    let found = async |more: Value| {
        let text = member.ask(&acme, question, more).await["answer"].to_string();
        ["copper", "silver", "marble"].map(|word| text.contains(&format!("{word}-4711")))
    };
    assert!(found(json!({})).await.iter().filter(|found| **found).count() > 0);
    assert_eq!(found(json!({"tags": ["hr"]})).await, [true, false, false]);
    let metal = found(json!({"tags": ["METAL"]})).await;
    assert!((metal[0] || metal[1]) && !metal[2], "{metal:?}");
    assert_eq!(found(json!({"tags": ["metal"], "documentIds": [marble["id"]]})).await, [false; 3]);
    assert_eq!(found(json!({"tags": ["stone"]})).await, [false; 3]);
    // A tag is no new version, is found at once, and goes as it came.
    let changed = member
        .mutate(
            "documentUpdate",
            json!({"id": marble["id"], "tags": ["stone"]}),
            "document { tags version updatedAt createdAt }",
        )
        .await["document"]
        .clone();
    assert_eq!((&changed["tags"], &changed["version"]), (&json!(["stone"]), &json!(1)));
    assert_eq!(found(json!({"tags": ["wood", "Stone"]})).await, [false, false, true]);
    let kept =
        member.mutate("documentUpdate", json!({"id": marble["id"], "title": "Marble"}), "document { tags }");
    assert_eq!(kept.await["document"]["tags"], json!(["stone"]));
    let log = "{ organization { auditLog(filter: {actions: [\"document.update\"]}) { nodes { action changes { field before after } } } } }";
    let log = owner.ok(log, json!({})).await["organization"]["auditLog"]["nodes"][1].clone();
    assert_eq!(log["action"], "document.update");
    assert_eq!(log["changes"], json!([{"field": "tags", "before": [], "after": ["stone"]}]), "{log:#}");

    // Lists have those with all of the tags.
    let list = "query($filter: DocumentFilter) { organization { documents(filter: $filter) { totalCount nodes { title } }
        projects { nodes { documents(filter: $filter) { totalCount } } } } }";
    let listed = async |tags: Value| {
        let seen = member.ok(list, json!({"filter": {"tags": tags}})).await["organization"].clone();
        let here = seen["projects"]["nodes"][0]["documents"]["totalCount"].clone();
        (seen["documents"]["totalCount"].clone(), here)
    };
    assert_eq!(listed(Value::Null).await, (json!(3), json!(1)));
    assert_eq!(listed(json!(["metal"])).await, (json!(1), json!(1)));
    assert_eq!(listed(json!(["HR", "Metal"])).await, (json!(1), json!(0)));
    assert_eq!(listed(json!(["HR", "metal"])).await, (json!(0), json!(0)));

    let refused =
        async |field: &str, input: Value| member.try_mutate(field, input, "").await["userErrors"][0].clone();
    let ask = |tags: Value| json!({"organizationId": acme.id, "question": question, "tags": tags});
    let many: Vec<String> = (0..21).map(|number| number.to_string()).collect();
    for (tags, code) in [
        (json!([]), "REQUIRED"),
        (json!([""]), "REQUIRED"),
        (json!(many), "TOO_LONG"),
        (json!(["a".repeat(41)]), "TOO_LONG"),
    ] {
        let error = refused("qaAsk", ask(tags.clone())).await;
        assert_eq!((&error["code"], &error["field"]), (&json!(code), &json!(["input", "tags"])), "{error}");
        if tags != json!([]) {
            assert_eq!(
                refused("documentUpdate", json!({"id": marble["id"], "tags": tags})).await["code"],
                code
            );
        }
    }
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_a_file_has_the_files_tags_unless_others_are_named() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let member = acme.member.at(&server);
    for (tags, expected) in
        [(None, json!(["festival"])), (Some(json!(["own"])), json!(["own"])), (Some(json!([])), json!([]))]
    {
        let text = format!("A text for {expected}.");
        let file = member.keep_file(&acme, "DOCUMENT", text.as_bytes()).await["id"].clone();
        member.mutate("assetUpdate", json!({"id": file, "tags": ["festival"]}), "").await;
        let mut input = json!({"assetId": file, "title": "Text"});
        if let Some(tags) = tags {
            input["tags"] = tags;
        }
        let made = member.mutate("documentImport", input, "document { tags }").await;
        assert_eq!(made["document"]["tags"], expected);
    }
}

/// What is answered, or `null`.
async fn answers(client: &Client<'_>, organization: &Organization, question: &str, more: Value) -> String {
    client.ask(organization, question, more).await["answer"]["answer"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organizations_own_words_find_what_its_documents_say_otherwise() {
    let server = Server::start().await;
    let (acme, globex) =
        (cast::organization(&server, "Acme").await, cast::organization(&server, "Globex").await);
    let workers = server.work();
    let (owner, member) = (acme.owner.at(&server), acme.member.at(&server));
    member.learn(&acme, "Handbook", VACATION).await;
    globex.member.at(&server).learn(&globex, "Handbook", VACATION).await;
    let question = "How many blorfels do I have?";
    assert!(!answers(&member, &acme, question, json!({})).await.contains("30 days"));

    let set = async |groups: Value| {
        let input = json!({"organizationId": acme.id, "groups": groups});
        owner.mutate("synonymsSet", input, "synonyms { terms } organization { id synonyms { terms } }").await
    };
    let groups = json!([{"terms": ["Blorfel", "days of vacation"]}, {"terms": ["Zaster", "Gehalt"]}]);
    let made = set(groups.clone()).await;
    assert_eq!((&made["synonyms"], &made["organization"]["synonyms"]), (&groups, &groups), "{made:#}");
    // In every project, from the next question on, and for nobody else.
    for more in [json!({}), json!({"projectId": acme.project})] {
        let asked = member.ask(&acme, question, more).await;
        assert_eq!(asked["answer"]["answer"], "Everybody has 30 days of vacation a year.", "{asked:#}");
        assert!(check_citations(&member, &asked["answer"]).await > 0);
    }
    let theirs = globex.member.at(&server);
    assert!(!answers(&theirs, &globex, question, json!({})).await.contains("30 days"));
    // Seen by whoever may configure agents.
    let seen = "{ organization { synonyms { terms } } }";
    assert_eq!(owner.ok(seen, json!({})).await["organization"]["synonyms"], groups);
    assert_eq!(member.ok(seen, json!({})).await["organization"]["synonyms"], Value::Null);
    assert_eq!(globex.owner.at(&server).ok(seen, json!({})).await["organization"]["synonyms"], json!([]));

    // The log has what changed, and nothing when nothing did.
    let log = "{ organization { auditLog(filter: {actions: [\"synonyms.set\"]}) { nodes { changes { before after } } } } }";
    let entries = async || {
        owner.ok(log, json!({})).await["organization"]["auditLog"]["nodes"].as_array().unwrap().len()
    };
    assert_eq!(entries().await, 1);
    set(groups).await;
    assert_eq!(entries().await, 1);
    // The groups stand in place of those before.
    set(json!([{"terms": ["Zaster", "Gehalt"]}])).await;
    assert!(!answers(&member, &acme, question, json!({})).await.contains("30 days"));
    assert_eq!(set(json!([])).await["synonyms"], json!([]));
    assert_eq!(entries().await, 3);
    for (groups, code) in [
        (json!([{"terms": ["alone"]}]), "REQUIRED"),
        (json!([{"terms": ["a", "b".repeat(61)]}]), "TOO_LONG"),
        (json!([{"terms": (0..21).map(|number| number.to_string()).collect::<Vec<_>>()}]), "TOO_LONG"),
    ] {
        let input = json!({"organizationId": acme.id, "groups": groups});
        let error = owner.try_mutate("synonymsSet", input, "").await["userErrors"][0].clone();
        assert_eq!((&error["code"], &error["field"]), (&json!(code), &json!(["input", "groups"])), "{error}");
    }
    workers.stop().await;
}

const RETRIEVAL: &str = "query($id: ID!) { node(id: $id) { ... on QaAnswer { answered retrieval { candidates
    words { word forms { terms sense passages } }
    passages { document { title } documentVersion heading read wordRank meaningRank score coverage sentence } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_configures_agents_sees_how_an_answer_was_looked_for() {
    let room = Room::new().await;
    let (owner, member) = (room.owner(), room.member());
    member.learn(&room.acme, "Handbook", VACATION).await;
    let synonyms = json!([{"terms": ["Blorfel", "vacation"]}]);
    owner.mutate("synonymsSet", json!({"organizationId": room.acme.id, "groups": synonyms}), "").await;
    let more = json!({"projectId": room.acme.project, "topK": 1});
    let question = "How many days of blorfels are in the calandar?";
    let asked = member.ask(&room.acme, question, more.clone()).await;
    let id = json!({"id": asked["answer"]["id"]});
    let seen = async |client: &Client<'_>, id: &Value| {
        client.ok(RETRIEVAL, id.clone()).await["node"]["retrieval"].clone()
    };

    let trace = seen(&owner, &id).await;
    let senses = |word: &str| -> Vec<(String, String)> {
        let words = trace["words"].as_array().unwrap();
        let found =
            words.iter().find(|looked| looked["word"] == word).unwrap_or_else(|| panic!("{word}: {trace:#}"));
        let forms = found["forms"].as_array().unwrap().iter();
        forms.map(|form| (form["sense"].as_str().unwrap().to_owned(), form["terms"].to_string())).collect()
    };
    assert_eq!(senses("days")[0], ("WORD".to_owned(), "[\"day\"]".to_owned()), "{trace:#}");
    assert_eq!(senses("calandar"), [("SPELLING".to_owned(), "[\"calendar\"]".to_owned())], "{trace:#}");
    assert_eq!(senses("blorfels"), [("OWN_SYNONYM".to_owned(), "[\"vacat\"]".to_owned())], "{trace:#}");
    assert_eq!(trace["candidates"], 2);
    let passages = trace["passages"].as_array().unwrap();
    for (at, passage) in passages.iter().enumerate() {
        assert_eq!((&passage["wordRank"], &passage["meaningRank"]), (&json!(at + 1), &Value::Null));
        assert_eq!((&passage["read"], &passage["documentVersion"]), (&json!(at == 0), &json!(1)));
        assert_eq!(passage["document"]["title"], "Handbook");
        assert!(passage["score"].as_f64().unwrap() > 0.0 && passage["sentence"].is_number(), "{passage:#}");
        assert!((0.0..=1.0).contains(&passage["coverage"].as_f64().unwrap()));
    }
    assert_eq!(passages.len(), 2);

    // Also who does so in the project that it was asked in, and nobody else.
    let admin = cast::guest(&room.server, &room.acme, "ADMIN", &room.acme.project).await;
    let theirs = seen(&admin.at(&room.server), &id).await;
    assert_eq!((&theirs["words"], &theirs["candidates"]), (&trace["words"], &trace["candidates"]));
    assert_eq!(theirs["passages"][0]["document"], Value::Null, "it is the whole organization's");
    for person in [&room.acme.member, &room.acme.viewer] {
        let node = person.at(&room.server).ok(RETRIEVAL, id.clone()).await["node"].clone();
        assert_eq!((&node["retrieval"], node["answered"].is_boolean()), (&Value::Null, true));
    }

    // By words and by meaning.
    room.fake.means(&["vacation", "zorbing"]);
    let chosen =
        json!({"organizationId": room.acme.id, "provider": "openai", "model": "text-embedding-3-small"});
    owner.mutate("embeddingsSet", chosen, "").await;
    let until = std::time::Instant::now() + crate::support::work::PATIENCE;
    let state = "{ organization { embeddings { embedded } } }";
    while owner.ok(state, json!({})).await["organization"]["embeddings"]["embedded"] != json!(2) {
        assert!(std::time::Instant::now() < until, "the vectors were not made");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    room.fake.script([Reply::text("You have 30 days of vacation [1].")]);
    let asked = member.ask(&room.acme, "Zorbing allowance?", json!({"engine": openai(false)})).await;
    let trace = seen(&owner, &json!({"id": asked["answer"]["id"]})).await;
    let first = &trace["passages"][0];
    assert_eq!((&trace["candidates"], &first["meaningRank"]), (&json!(0), &json!(1)), "{trace:#}");
    assert_eq!(
        (&first["wordRank"], &first["score"], &first["read"]),
        (&Value::Null, &Value::Null, &json!(true))
    );

    // Answers from before have none.
    room.server.tamper("update qa_answers set retrieval = null").await;
    assert_eq!(seen(&owner, &id).await, Value::Null);
    room.workers.stop().await;
}
