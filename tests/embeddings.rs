//! Vectors of passages: what a provider's model is asked for, who has them made and pays for them, and what is found by them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aicos::engine::embeddings::{DIMENSIONS, EmbeddingReply, EmbeddingRequest};
use aicos::engine::{Engines, Failure, Kind, Limits, Provider, Usage};
use aicos::id::JobId;
use serde_json::{Value, json};
use sqlx::types::Uuid;

use crate::knowledge::check_citations;
use crate::support::cast::{self, Organization};
use crate::support::provider::{FakeProvider, OWN_DIMENSIONS, Reply, Seen};
use crate::support::work::{PATIENCE, Room, openai};
use crate::support::{Client, Server};

// --------------------------------------------------------------------------------------------------------- the engine

fn request(texts: &[&str]) -> EmbeddingRequest {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    EmbeddingRequest { model: "text-embedding-3-small".to_owned(), texts, dimensions: Some(32) }
}

async fn embed(fake: &FakeProvider, request: &EmbeddingRequest) -> Result<EmbeddingReply, Failure> {
    let engines = Engines::new(&fake.endpoints("sk-hush-hush"), Limits::default()).unwrap();
    let engine = engines.text("openai").unwrap();
    engine.embeddings().unwrap().embed(request).await
}

#[tokio::test]
async fn a_model_is_asked_in_the_embeddings_format_and_each_text_has_its_vector() {
    let fake = FakeProvider::start().await;
    fake.script_vectors([Reply::backwards().model("text-embedding-3-small-2027"), Reply::text("")]);
    let texts = ["The first text.", "A second one"];
    let backwards = embed(&fake, &request(&texts)).await.unwrap();
    let in_order = embed(&fake, &request(&texts)).await.unwrap();
    assert_eq!(backwards.vectors, in_order.vectors);
    assert_ne!(in_order.vectors[0], in_order.vectors[1]);
    assert!(in_order.vectors.iter().all(|vector| vector.len() == 32));
    assert_eq!(
        (backwards.model.as_str(), in_order.model.as_str()),
        ("text-embedding-3-small-2027", "text-embedding-3-small")
    );
    assert_eq!(in_order.usage, Some(Usage { prompt_tokens: 6, completion_tokens: 0 }));
    let Seen { path, headers, body } = fake.requests().remove(0);
    assert_eq!(
        (path.as_str(), headers["authorization"].as_bytes()),
        ("/v1/embeddings", &b"Bearer sk-hush-hush"[..])
    );
    assert_eq!(
        body,
        json!({"model": "text-embedding-3-small", "input": texts, "dimensions": 32, "encoding_format": "float"})
    );
}

#[tokio::test]
async fn what_a_server_does_not_know_is_left_out() {
    let fake = FakeProvider::start().await;
    fake.lacks("encoding_format");
    assert_eq!(embed(&fake, &request(&["One."])).await.unwrap().vectors[0].len(), 32);
    fake.lacks("dimensions");
    let reply = embed(&fake, &request(&["One."])).await.unwrap();
    assert_eq!(reply.vectors[0].len(), OWN_DIMENSIONS, "the model's own length");
    let bodies: Vec<Value> = fake.requests().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.len(), 2 + 3);
    assert_eq!(bodies[4], json!({"model": "text-embedding-3-small", "input": ["One."]}));
}

#[tokio::test]
async fn vectors_that_cannot_be_used_are_a_failure_with_what_they_cost() {
    let fake = FakeProvider::start().await;
    let answer = |data: &str| {
        let body = format!(
            r#"{{"object": "list", "data": {data}, "model": "m", "usage": {{"prompt_tokens": 9, "total_tokens": 9}}}}"#
        );
        Reply::raw(200, "application/json", body)
    };
    let two = EmbeddingRequest { dimensions: Some(2), ..request(&["One.", "Two."]) };
    for (data, said) in [
        (r#"[{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [1, 0, 0]}]"#, "another length"),
        (r#"[{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]"#, "another length"),
        (r#"[{"index": 0, "embedding": [1, 0]}, {"index": 0, "embedding": [1, 0]}]"#, "two vectors"),
        (r#"[{"index": 0, "embedding": [1, 0]}]"#, "lacks"),
        (r#"[{"index": 0, "embedding": [1, null]}, {"index": 1, "embedding": [1, 0]}]"#, "no finite numbers"),
        (r#"[{"index": 0, "embedding": [1, 1e39]}, {"index": 1, "embedding": [1, 0]}]"#, "no finite numbers"),
        (r#"[{"index": 0, "embedding": [0, 0]}, {"index": 1, "embedding": [1, 0]}]"#, "without a direction"),
        ("[]", "lacks"),
    ] {
        fake.script_vectors([answer(data)]);
        let failure = embed(&fake, &two).await.unwrap_err();
        assert!(failure.kind == Kind::Broken && failure.message.contains(said), "{data}: {failure:?}");
        assert_eq!(failure.usage.map(Usage::total), Some(9), "{data}: it is paid for all the same");
    }
    for data in [r#"[{"index": 0, "embedding": [NaN, 1]}]"#, r#"[{"index": 0, "embedding": "AACAPw=="}]"#] {
        fake.script_vectors([answer(data)]);
        let failure = embed(&fake, &two).await.unwrap_err();
        assert!(failure.message.contains("not in the embeddings format"), "{failure:?}");
    }
    let huge = format!("[{}]", "0,".repeat(10 << 20));
    fake.script_vectors([answer(&huge)]);
    assert!(embed(&fake, &two).await.unwrap_err().message.contains("larger than any answer"));
    let long = vec!["1"; DIMENSIONS + 1].join(",");
    fake.script_vectors([answer(&format!(r#"[{{"index": 0, "embedding": [{long}]}}]"#))]);
    let own = EmbeddingRequest { dimensions: None, ..request(&["One."]) };
    assert!(embed(&fake, &own).await.unwrap_err().message.contains("4,096"));
}

#[tokio::test]
async fn a_failure_says_of_what_kind_it_is_and_one_provider_has_no_vectors() {
    let fake = FakeProvider::start().await;
    for (reply, kind) in [
        (Reply::rate_limited("20"), Kind::RateLimited),
        (Reply::unauthorized("sk-hush-hush"), Kind::Authentication),
        (Reply::insufficient_quota(), Kind::Quota),
        (Reply::unknown_model(), Kind::Rejected),
        (Reply::context_length(), Kind::ContextLength),
        (Reply::server_error(), Kind::Unavailable),
    ] {
        fake.script_vectors([reply]);
        let failure = embed(&fake, &request(&["One."])).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(!format!("{failure} {failure:?}").contains("hush"), "{failure:?}");
        let wait = (kind == Kind::RateLimited).then_some(Duration::from_secs(20));
        assert_eq!(failure.retry_after(), wait);
    }
    let engines = Engines::new(&fake.endpoints("k"), Limits::default()).unwrap();
    for provider in [Provider::OpenAi, Provider::Anthropic] {
        assert_eq!(engines.text(provider.as_str()).unwrap().embeddings().is_some(), provider.embeds());
    }
    assert!(!Provider::Anthropic.embeds() && !Provider::ElevenLabs.embeds() && !Provider::Replicate.embeds());
}

// ----------------------------------------------------------------------------------------------------- an organization's

const VACATION: &str =
    "Everybody has 30 days of vacation a year. Days that are left over may be taken until March.";
const EXPENSES: &str = "Train tickets are bought in second class. Receipts are handed in within four weeks.";
const OFFICE: &str = "The office in Kiel is open from eight to six. Guests sign in at the desk.";
/// Its words stand in no passage, and no synonym of them does.
const QUESTION: &str = "Zorbing allowance?";
const SET: &str = "embeddings { provider model dimensions passages embedded } organization { id }";
const STATE: &str = "{ organization { embeddings { provider model dimensions passages embedded } } }";

/// A room whose provider knows that zorbing is a vacation.
async fn room() -> Room {
    let room = Room::new().await;
    room.fake.means(&["vacation", "zorbing"]);
    room.fake.means(&["train", "tickets", "receipts"]);
    room
}

fn choice(organization: &Organization) -> Value {
    json!({"organizationId": organization.id, "provider": "openai", "model": "text-embedding-3-small"})
}

/// Waits until every passage has its vector; gives how many there are.
async fn settled(client: &Client<'_>) -> i64 {
    let until = Instant::now() + PATIENCE;
    loop {
        let state = client.ok(STATE, json!({})).await["organization"]["embeddings"].clone();
        if state["passages"] == state["embedded"] {
            return state["embedded"].as_i64().unwrap();
        }
        assert!(Instant::now() < until, "waited too long: {state:#}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// The jobs that make vectors, the oldest first, by their ids on the wire.
async fn jobs(server: &Server) -> Vec<String> {
    let mut superuser = server.database.superuser().await;
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from jobs where kind = 'embeddings.make' order by id")
        .fetch_all(&mut superuser)
        .await
        .unwrap();
    ids.into_iter().map(|id| JobId::from(id).to_string()).collect()
}

async fn vectors(server: &Server) -> i64 {
    let mut superuser = server.database.superuser().await;
    sqlx::query_scalar("select count(*) from document_chunk_vectors").fetch_one(&mut superuser).await.unwrap()
}

async fn tokens(client: &Client<'_>) -> i64 {
    let seen = client.ok("{ organization { usage { metrics { kind used } } } }", json!({})).await;
    let metrics = seen["organization"]["usage"]["metrics"].as_array().unwrap();
    let tokens = metrics.iter().find(|metric| metric["kind"] == "LLM_TOKENS").unwrap();
    tokens["used"].to_string().trim_end_matches(".0").parse().unwrap()
}

/// What vectors were asked for, request by request.
fn embedded(fake: &FakeProvider) -> Vec<Vec<String>> {
    let asked = fake.requests().into_iter().filter(|seen| seen.path == "/v1/embeddings");
    asked
        .map(|seen| {
            let texts = seen.body["input"].as_array().unwrap().iter();
            texts.map(|text| text.as_str().unwrap().to_owned()).collect()
        })
        .collect()
}

/// What the model that answers was asked last.
fn said(fake: &FakeProvider) -> String {
    let asked = fake.requests().into_iter().rfind(|seen| seen.path == "/v1/chat/completions");
    asked.unwrap().body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_whose_words_stand_nowhere_is_answered_once_passages_have_vectors() {
    let room = room().await;
    let owner = room.owner();
    for (title, text) in [("Travel", EXPENSES), ("Rest", VACATION), ("Place", OFFICE)] {
        owner.learn(&room.acme, title, text).await;
    }
    // Before, nobody is asked.
    let asked = owner.ask(&room.acme, QUESTION, json!({"engine": openai(false)})).await;
    assert_eq!(
        (&asked["answer"]["answered"], &asked["job"]["engine"]["provider"]),
        (&json!(false), &json!("builtin"))
    );
    assert!(room.fake.requests().is_empty());
    assert_eq!(owner.ok(STATE, json!({})).await["organization"]["embeddings"], Value::Null);

    let made = owner.mutate("embeddingsSet", choice(&room.acme), SET).await;
    let chosen = &made["embeddings"];
    assert_eq!(
        (&chosen["provider"], &chosen["model"], &chosen["dimensions"], &chosen["passages"]),
        (&json!("openai"), &json!("text-embedding-3-small"), &json!(512), &json!(3)),
        "{made:#}"
    );
    assert_eq!(settled(&owner).await, 3);
    assert_eq!(vectors(&room.server).await, 3);
    let body = room.fake.requests()[0].body.clone();
    assert_eq!((&body["dimensions"], body["input"].as_array().unwrap().len()), (&json!(512), 3));
    assert!(body["input"].to_string().contains("Rest\\n\\nEverybody has 30 days"), "{body:#}");
    // The job says what it took, and it is counted.
    let ids = jobs(&room.server).await;
    assert_eq!(ids.len(), 1);
    let job = owner.finished(&ids[0]).await;
    let read = body["input"].as_array().unwrap().iter();
    let read: i64 =
        read.map(|text| i64::try_from(text.as_str().unwrap().split_whitespace().count()).unwrap()).sum();
    assert_eq!(
        job["engine"],
        json!({"provider": "openai", "model": "text-embedding-3-small", "promptTokens": read, "completionTokens": 0,
            "costMicroUsd": (read * 20_000).div_euclid(1_000_000) + 1}),
        "{job:#}"
    );
    assert_eq!(tokens(&owner).await, read, "what was reserved beyond it is given back");

    // Now it is found by what it means, and stands first.
    room.fake.script([Reply::text("You have 30 days of vacation a year [1].").tokens(100, 10)]);
    let asked = room.member().ask(&room.acme, QUESTION, json!({"engine": openai(false)})).await;
    let answer = &asked["answer"];
    assert_eq!(answer["answer"], "You have 30 days of vacation a year.", "{asked:#}");
    assert_eq!(answer["citations"][0]["document"]["title"], "Rest");
    assert!(check_citations(&owner, answer).await > 0);
    assert!(said(&room.fake).contains("<passage number=\\\"1\\\">\\nRest"), "{}", said(&room.fake));
    assert_eq!(embedded(&room.fake).last().unwrap(), &[QUESTION]);
    // Embedding the question is part of what the answer took: two words, and a millionth of a dollar.
    let engine = &asked["job"]["engine"];
    assert_eq!(
        (&engine["model"], &engine["promptTokens"], &engine["completionTokens"]),
        (&json!("gpt-5.4-mini"), &json!(102), &json!(10))
    );
    assert_eq!(engine["costMicroUsd"], 75 + 45 + 1);
    assert_eq!(tokens(&owner).await, read + 112);
    // It was paid for also when no answer comes of it.
    room.fake.script([Reply::server_error()]);
    let asked = room.member().ask(&room.acme, QUESTION, json!({"engine": openai(true)})).await;
    assert_eq!(
        asked["job"]["engine"],
        json!({"provider": "builtin", "model": null, "promptTokens": 2, "completionTokens": 0, "costMicroUsd": 1}),
        "{asked:#}"
    );

    // The built-in engine goes by words alone, and costs nothing.
    let before = room.fake.requests().len();
    let asked = owner.ask(&room.acme, QUESTION, json!({})).await;
    assert_eq!((&asked["answer"]["answered"], room.fake.requests().len()), (&json!(false), before));

    // Off: the vectors go, and nothing is found by meaning any more.
    let off = owner.mutate("embeddingsSet", json!({"organizationId": room.acme.id}), SET).await;
    assert_eq!((&off["embeddings"], vectors(&room.server).await), (&Value::Null, 0));
    let asked = owner.ask(&room.acme, QUESTION, json!({"engine": openai(false)})).await;
    assert_eq!(asked["job"]["engine"]["provider"], "builtin");
    assert_eq!(room.fake.requests().len(), before);
    owner.learn(&room.acme, "More", "Something else is written here.").await;
    assert_eq!(jobs(&room.server).await.len(), 1, "nobody wants vectors any more");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_meaning_are_ranked_together() {
    let room = room().await;
    let owner = room.owner();
    for (title, text) in [("Travel", EXPENSES), ("Rest", VACATION), ("Place", OFFICE)] {
        owner.learn(&room.acme, title, text).await;
    }
    owner.mutate("embeddingsSet", choice(&room.acme), "").await;
    settled(&owner).await;
    let good = || Reply::text("Guests sign in at the desk [1].");
    // One passage has its words, another one its meaning; both are given to the model.
    room.fake.script([good()]);
    let question = "Where do guests sign in while zorbing?";
    let two = json!({"engine": openai(false), "topK": 2});
    owner.ask(&room.acme, question, two.clone()).await;
    assert!(
        said(&room.fake).contains("Guests sign in") && said(&room.fake).contains("30 days"),
        "{}",
        said(&room.fake)
    );
    assert!(!said(&room.fake).contains("Train tickets"), "{}", said(&room.fake));

    // When the question cannot be embedded it is answered by words alone, and that is said.
    for fault in
        [Reply::rate_limited("1"), Reply::unauthorized("sk-test-key-of-the-server"), Reply::server_error()]
    {
        room.fake.script([good()]);
        room.fake.script_vectors([fault]);
        let asked = owner.ask(&room.acme, question, two.clone()).await;
        assert_eq!(
            (&asked["answer"]["answered"], &asked["job"]["status"]),
            (&json!(true), &json!("SUCCEEDED")),
            "{asked:#}"
        );
        assert!(
            said(&room.fake).contains("Guests sign in") && !said(&room.fake).contains("30 days"),
            "{}",
            said(&room.fake)
        );
        assert_eq!(asked["job"]["engine"]["promptTokens"], 11);
        let job = owner.job(asked["job"]["id"].as_str().unwrap()).await;
        let events = job["events"].as_array().unwrap();
        let event = events.iter().find(|event| event["kind"] == "not_embedded").unwrap();
        assert!(event["message"].as_str().unwrap().ends_with("by the question's words alone."), "{event}");
        assert!(!job.to_string().contains("sk-test-key"), "{job:#}");
    }
    // Without the words as well, nothing is left to be asked about.
    room.fake.script_vectors([Reply::server_error()]);
    let asked = owner.ask(&room.acme, QUESTION, json!({"engine": openai(false)})).await;
    assert_eq!(
        (&asked["job"]["status"], &asked["job"]["engine"]["provider"]),
        (&json!("SUCCEEDED"), &json!("builtin"))
    );
    assert_eq!(room.fake.left(), 0);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_by_the_vectors_of_another_tenant_or_project() {
    let room = room().await;
    let (owner, server, acme) = (room.owner(), &room.server, &room.acme);
    let other = cast::project(server, acme, "Other").await;
    let guest = cast::guest(server, acme, "MEMBER", &acme.project).await;
    let guest = guest.at(server);
    let globex = cast::organization(server, "Globex").await;
    let learn = async |client: &Client<'_>,
                       organization: &Organization,
                       project: Option<&str>,
                       text: &str| {
        let input =
            json!({"organizationId": organization.id, "projectId": project, "title": "Paper", "text": text});
        let made = client.mutate("documentCreate", input, "document { id } job { id }").await;
        let job = client.finished(made["job"]["id"].as_str().unwrap()).await;
        assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
        made["document"]["id"].as_str().unwrap().to_owned()
    };
    owner.mutate("embeddingsSet", choice(acme), "").await;
    globex.owner.at(server).mutate("embeddingsSet", choice(&globex), "").await;
    // Made in the name of whoever adds a document, a guest of one project included, who sees nothing of the choice.
    let visible = learn(&guest, acme, Some(&acme.project), EXPENSES).await;
    learn(&owner, acme, Some(&other), &format!("Theirs: {VACATION}")).await;
    learn(&owner, acme, None, &format!("Everybody's: {VACATION}")).await;
    learn(&globex.owner.at(server), &globex, None, &format!("Globex: {VACATION}")).await;
    assert_eq!((settled(&owner).await, settled(&globex.owner.at(server)).await), (3, 1));
    assert_eq!(guest.ok(STATE, json!({})).await["organization"]["embeddings"], Value::Null);

    let asked = async |client: &Client<'_>, organization: &Organization, more: Value| {
        room.fake.script([Reply::text("UNANSWERED")]);
        let mut input = json!({"engine": openai(false)});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let asked = client.ask(organization, QUESTION, input).await;
        assert_eq!(asked["job"]["engine"]["provider"], "openai", "{asked:#}");
        let said = said(&room.fake);
        ["Train tickets", "Theirs:", "Everybody's:", "Globex:"].map(|text| said.contains(text))
    };
    let project = json!({"projectId": acme.project});
    assert_eq!(asked(&owner, acme, json!({})).await, [true, true, true, false]);
    assert_eq!(asked(&owner, acme, project.clone()).await, [true, false, true, false]);
    assert_eq!(asked(&owner, acme, json!({"projectId": other})).await, [false, true, true, false]);
    assert_eq!(asked(&owner, acme, json!({"documentIds": [visible]})).await, [true, false, false, false]);
    assert_eq!(asked(&guest, acme, project).await, [true, false, false, false]);
    let tagged = json!({"id": visible, "tags": ["Journeys"]});
    owner.mutate("documentUpdate", tagged, "").await;
    assert_eq!(asked(&owner, acme, json!({"tags": ["journeys", "rest"]})).await, [true, false, false, false]);
    assert_eq!(asked(&globex.owner.at(server), &globex, json!({})).await, [false, false, false, true]);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_go_with_their_passages_and_a_new_version_gets_its_own() {
    let room = room().await;
    let owner = room.owner();
    let rest = owner.learn(&room.acme, "Rest", VACATION).await;
    let travel = owner.learn(&room.acme, "Travel", EXPENSES).await;
    owner.mutate("embeddingsSet", choice(&room.acme), "").await;
    assert_eq!(settled(&owner).await, 2);
    let change = json!({"id": rest, "text": VACATION.replace("30 days", "32 days")});
    let changed = room.member().mutate("documentUpdate", change, "job { id }").await;
    owner.finished(changed["job"]["id"].as_str().unwrap()).await;
    owner.mutate("documentDelete", json!({"id": travel}), "").await;
    assert_eq!((settled(&owner).await, vectors(&room.server).await), (1, 1));
    room.fake.script([Reply::text("There are 32 days of vacation [1].")]);
    let asked = owner.ask(&room.acme, QUESTION, json!({"engine": openai(false)})).await;
    assert_eq!(asked["answer"]["citations"][0]["documentVersion"], 2, "{asked:#}");
    check_citations(&owner, &asked["answer"]).await;
    assert!(
        !said(&room.fake).contains("30 days") && !said(&room.fake).contains("Train"),
        "{}",
        said(&room.fake)
    );

    // A document that is deleted while its passages are on their way is no error.
    room.fake.script_vectors([Reply::text("").slow_headers(Duration::from_millis(1_500))]);
    let gone = owner.learn(&room.acme, "Travel", EXPENSES).await;
    let job = jobs(&room.server).await.pop().unwrap();
    owner.job_when(&job, |job| job["status"] == "RUNNING").await;
    owner.mutate("documentDelete", json!({"id": gone}), "").await;
    let job = owner.finished(&job).await;
    assert_eq!((&job["status"], &job["attempts"]), (&json!("SUCCEEDED"), &json!(1)), "{job:#}");
    assert_eq!(vectors(&room.server).await, 1);

    // Another model begins anew, and the same one again makes nothing.
    let asked = embedded(&room.fake).len();
    let large = json!({"organizationId": room.acme.id, "provider": "openai", "model": "text-embedding-3-large", "dimensions": null});
    let made = owner.mutate("embeddingsSet", large.clone(), SET).await;
    assert_eq!(
        (&made["embeddings"]["model"], &made["embeddings"]["dimensions"]),
        (&json!("text-embedding-3-large"), &Value::Null)
    );
    settled(&owner).await;
    owner.finished(&jobs(&room.server).await.pop().unwrap()).await;
    assert_eq!(embedded(&room.fake).len(), asked + 1);
    owner.mutate("embeddingsSet", large, SET).await;
    assert_eq!(embedded(&room.fake).len(), asked + 1);
    let mut superuser = room.server.database.superuser().await;
    let length: i32 = sqlx::query_scalar("select octet_length(direction) from document_chunk_vectors")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert_eq!(usize::try_from(length).unwrap(), OWN_DIMENSIONS, "a byte for each number");
    room.workers.stop().await;
}

/// A text of so many passages.
fn book(sections: usize) -> String {
    let words = "alpha beta gamma delta epsilon zeta eta theta iota kappa ".repeat(20);
    (0..sections)
        .map(|number| format!("## Section {number}\n\nThis is section {number}. {words}\n\n"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_broken_off_goes_on_where_it_was_and_pays_for_nothing_twice() {
    let Room { server, acme, fake, workers } = room().await;
    let owner = acme.owner.at(&server);
    owner.learn(&acme, "Book", &book(150)).await;
    // The first passages are kept; then the provider is out of breath, and then out of order.
    fake.script_vectors([
        Reply::text(""),
        Reply::rate_limited("1"),
        Reply::server_error(),
        Reply::backwards(),
    ]);
    owner.mutate("embeddingsSet", choice(&acme), "").await;
    let passages = settled(&owner).await;
    assert!(passages > 128, "{passages}");
    let ids = jobs(&server).await;
    let job = owner.finished(&ids[0]).await;
    assert_eq!((ids.len(), &job["status"]), (1, &json!("SUCCEEDED")), "{job:#}");
    let kinds: Vec<&str> =
        job["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "queued",
            "started",
            "embedded",
            "waiting",
            "started",
            "retrying",
            "started",
            "embedded",
            "embedded",
            "succeeded"
        ],
        "{job:#}"
    );
    let mut requests = embedded(&fake);
    assert_eq!(requests.len(), 5);
    assert!(requests.iter().all(|texts| texts.len() <= 64));
    assert_eq!((&requests[1], &requests[2]), (&requests[2], &requests[3]), "what failed is asked for again");
    requests.drain(1..3);
    let paid: Vec<String> = requests.concat();
    let distinct: BTreeSet<&String> = paid.iter().collect();
    assert_eq!((paid.len(), distinct.len()), (usize::try_from(passages).unwrap(), paid.len()), "each once");
    // What all attempts took stands on the job, and nothing beyond it stays reserved.
    let read: usize = paid.iter().map(|text| text.split_whitespace().count()).sum();
    assert_eq!(job["engine"]["promptTokens"], read);
    assert_eq!(tokens(&owner).await, i64::try_from(read).unwrap());

    // A worker that goes away in the middle gives the job back, and another one goes on.
    fake.script_vectors([Reply::text(""), Reply::text("").slow_headers(Duration::from_secs(60))]);
    let large = json!({"organizationId": acme.id, "provider": "openai", "model": "text-embedding-3-large"});
    owner.mutate("embeddingsSet", large, "").await;
    let job = jobs(&server).await.pop().unwrap();
    owner.job_when(&job, |job| job["events"].to_string().contains("\"embedded\"")).await;
    let kept = vectors(&server).await;
    assert!((1..passages).contains(&kept), "{kept}");
    let before = embedded(&fake).len();
    workers.stop().await;
    let workers = server.work();
    assert_eq!(settled(&owner).await, passages);
    let job = owner.finished(&job).await;
    assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
    let after: Vec<String> = embedded(&fake)[before..].concat();
    assert!(
        i64::try_from(after.len()).unwrap() <= passages - kept + 64,
        "only what was not kept: {}",
        after.len()
    );
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_documents_at_once_are_one_job_and_what_the_tier_has_no_room_for_is_left_out() {
    let room = room().await;
    let owner = room.owner();
    owner.mutate("embeddingsSet", choice(&room.acme), "").await;
    // While the first one's passages are on their way, the others join.
    room.fake.script_vectors([Reply::text("").slow_headers(Duration::from_secs(2))]);
    owner.learn(&room.acme, "First", VACATION).await;
    for number in 0..4 {
        owner.learn(&room.acme, "Paper", &format!("{EXPENSES} Number {number}.")).await;
    }
    assert_eq!(jobs(&room.server).await.len(), 1);
    assert_eq!(settled(&owner).await, 5);
    owner.finished(&jobs(&room.server).await[0]).await;
    assert_eq!(embedded(&room.fake).len(), 2, "the one that began it, and all others together");
    let used = tokens(&owner).await;

    let mut superuser = room.server.database.superuser().await;
    sqlx::query(
        "with made as (insert into tiers (key, name, limits, points_per_minute)
            values ('small', 'Small', jsonb_build_object('LLM_TOKENS', $1::bigint), 1000000) returning key)
         update organizations set tier = made.key from made where name = 'Acme'",
    )
    .bind(used + 10)
    .execute(&mut superuser)
    .await
    .unwrap();
    owner.learn(&room.acme, "Place", OFFICE).await;
    let state = owner.ok(STATE, json!({})).await["organization"]["embeddings"].clone();
    assert_eq!((&state["passages"], &state["embedded"]), (&json!(6), &json!(5)));
    let log = "{ organization { auditLog(first: 1) { nodes { action changes { field after } } } } }";
    let entry = owner.ok(log, json!({})).await["organization"]["auditLog"]["nodes"][0].clone();
    assert!(entry.to_string().contains("QUOTA_EXCEEDED"), "{entry:#}");
    assert_eq!(owner.fault("embeddingsSet", choice(&room.acme)).await, "QUOTA_EXCEEDED");
    assert_eq!((tokens(&owner).await, jobs(&room.server).await.len()), (used, 1));
    // With more room, the same again makes what is lacking.
    sqlx::query("update tiers set limits = '{}' where key = 'small'").execute(&mut superuser).await.unwrap();
    owner.mutate("embeddingsSet", choice(&room.acme), "").await;
    assert_eq!(settled(&owner).await, 6);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_model_that_can_make_vectors_is_chosen_and_a_job_says_why_it_came_to_nothing() {
    let room = room().await;
    let owner = room.owner();
    let with = |provider: &str, model: Option<&str>, dimensions: i32| json!({"organizationId": room.acme.id, "provider": provider, "model": model, "dimensions": dimensions});
    for (input, code) in [
        (with("anthropic", Some("claude-test"), 8), "PROVIDER_NOT_CONFIGURED"),
        (with("builtin", Some("m"), 8), "PROVIDER_NOT_CONFIGURED"),
        (with("nobody", Some("m"), 8), "PROVIDER_NOT_CONFIGURED"),
        (with("openai", None, 8), "REQUIRED"),
        (with("openai", Some(" "), 8), "REQUIRED"),
        (with("openai", Some(&"m".repeat(201)), 8), "TOO_LONG"),
        (with("openai", Some("m"), 0), "OUT_OF_RANGE"),
        (with("openai", Some("m"), 4_097), "OUT_OF_RANGE"),
    ] {
        assert_eq!(owner.fault("embeddingsSet", input.clone()).await, code, "{input}");
    }
    assert_eq!(owner.ok(STATE, json!({})).await["organization"]["embeddings"], Value::Null);
    owner.learn(&room.acme, "Rest", VACATION).await;
    room.fake.script_vectors([Reply::unknown_model()]);
    let made = owner.mutate("embeddingsSet", with("openai", Some("nope"), 4_096), SET).await;
    assert_eq!(made["embeddings"]["dimensions"], 4_096);
    let job = owner.finished(&jobs(&room.server).await[0]).await;
    assert_eq!(
        (&job["status"], &job["error"]["__typename"]),
        (&json!("FAILED"), &json!("ProviderError")),
        "{job:#}"
    );
    assert_eq!((vectors(&room.server).await, tokens(&owner).await), (0, 0));
    // A key that may do nothing but add documents has its vectors made as well.
    let key = cast::secret(&room.server, &room.acme.owner, &room.acme.id, &["CONTENT_CREATE"]).await;
    let input = json!({"organizationId": room.acme.id, "title": "Travel", "text": EXPENSES});
    room.server.key(&key).mutate("documentCreate", input, "document { title }").await;
    assert_eq!(settled(&owner).await, 2);
    // What is being made for nobody any more is broken off, and what was reserved for it is given back.
    let used = tokens(&owner).await;
    room.fake.script_vectors([Reply::text("").slow_headers(Duration::from_secs(60))]);
    owner.mutate("embeddingsSet", with("openai", Some("another"), 8), "").await;
    let job = jobs(&room.server).await.pop().unwrap();
    owner.job_when(&job, |job| job["status"] == "RUNNING").await;
    assert!(tokens(&owner).await > used);
    owner.mutate("embeddingsSet", json!({"organizationId": room.acme.id}), "").await;
    assert_eq!(owner.finished(&job).await["status"], "CANCELLED");
    assert_eq!((vectors(&room.server).await, tokens(&owner).await), (0, used));
    room.workers.stop().await;
}
