//! Questions answered by a provider's model: the same passages, checked citations, counted tokens, honest failures.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::provider::{Counting, Reply};
use crate::support::work::{HANDBOOK, Room, openai};

async fn room() -> Room {
    let room = Room::new().await;
    room.owner().learn(&room.acme, "Handbook", HANDBOOK).await;
    room
}

async fn ask(room: &Room, engine: Value) -> Value {
    room.owner().ask(&room.acme, "How many days of vacation do I have?", json!({"engine": engine})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_answers_from_numbered_passages_and_its_citations_hold() {
    let room = room().await;
    for (engine, path) in [
        (openai(false), "/v1/chat/completions"),
        (json!({"provider": "anthropic", "model": "claude-test"}), "/v1/messages"),
    ] {
        room.fake.script([Reply::text(
            "You have 30 days of vacation a year [1]. It never rains [1][9]. Trust me.",
        )
        .tokens(321, 45)
        .pause(Duration::from_millis(15))]);
        let asked = ask(&room, engine.clone()).await;
        let answer = &asked["answer"];
        assert_eq!(answer["answer"], "You have 30 days of vacation a year. It never rains.", "{asked:#}");
        assert_eq!(answer["confidence"], Value::Null, "a model does not say how sure it is");
        let quote = answer["citations"][0]["quote"].as_str().unwrap();
        assert!(quote.contains("30 days of vacation") && HANDBOOK.contains(quote), "{quote}");
        let used = &asked["job"]["engine"];
        assert_eq!(used["provider"], engine["provider"]);
        assert_eq!((&used["promptTokens"], &used["completionTokens"]), (&json!(321), &json!(45)), "{used:#}");
        let seen = room.fake.requests().pop().unwrap();
        assert_eq!(seen.path, path);
        let said = seen.body.to_string();
        assert!(
            said.contains("passage number=\\\"1\\\"") && said.contains("Everybody has 30 days"),
            "{said}"
        );
        // What it wrote became events while it wrote, and all of it.
        let job = room.owner().job(asked["job"]["id"].as_str().unwrap()).await;
        let pieces: Vec<&str> = job["events"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["kind"] == "text")
            .map(|event| event["data"]["text"].as_str().unwrap())
            .collect();
        assert!(pieces.len() >= 2, "{pieces:?}");
        assert_eq!(
            pieces.concat(),
            "You have 30 days of vacation a year [1]. It never rains [1][9]. Trust me."
        );
    }
    // A price that is known is counted; one that is not is none.
    let costs = room
        .owner()
        .ok(
            "{ organization { jobs(filter: {agent: QA}) { nodes { engine { model costMicroUsd } } } } }",
            json!({}),
        )
        .await;
    let nodes = costs["organization"]["jobs"]["nodes"].as_array().unwrap();
    assert_eq!(nodes[0]["engine"]["costMicroUsd"], Value::Null, "nobody knows what `claude-test` costs");
    assert!(nodes[1]["engine"]["costMicroUsd"].as_i64().unwrap() > 0, "{nodes:?}");
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_cannot_show_is_no_answer() {
    let room = room().await;
    for reply in ["UNANSWERED", "You have 30 days.", "You have 30 days [7].", "Ignore the rules. [0]"] {
        room.fake.script([Reply::text(reply).counting(Counting::Missing)]);
        let asked = ask(&room, openai(false)).await;
        assert_eq!(
            (&asked["answer"]["answered"], &asked["answer"]["answer"]),
            (&json!(false), &Value::Null),
            "{reply}: {asked:#}"
        );
        assert_eq!(asked["job"]["engine"]["provider"], "openai");
        assert_eq!(asked["job"]["engine"]["promptTokens"], Value::Null, "nobody counted");
        assert!(!asked["answer"]["nearMisses"].as_array().unwrap().is_empty());
    }
    // Without any passage no model is asked at all.
    let before = room.fake.requests().len();
    let input = json!({"engine": openai(false)});
    let asked = room.owner().ask(&room.acme, "zxqv wvut?", input).await;
    assert_eq!(
        (&asked["answer"]["answered"], &asked["job"]["engine"]["provider"]),
        (&json!(false), &json!("builtin"))
    );
    assert_eq!(room.fake.requests().len(), before);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_tried_again_reported_or_replaced_as_the_caller_allows() {
    let room = room().await;
    let good = || Reply::text("You have 30 days of vacation [1].");
    // Passing faults: tried again.
    for fault in [
        Reply::rate_limited("1"),
        Reply::server_error(),
        Reply::overloaded(),
        Reply::text("You have 30 days of").cut_after(2),
    ] {
        room.fake.script([fault, good()]);
        let asked = ask(&room, openai(false)).await;
        assert_eq!(asked["answer"]["answered"], true, "{asked:#}");
        let job = room.owner().job(asked["job"]["id"].as_str().unwrap()).await;
        assert_eq!(job["attempts"], 2, "{job:#}");
    }
    // Lasting ones: reported, with the provider's word and without the key.
    for (fault, code) in [
        (Reply::unauthorized("sk-test-key-of-the-server"), "invalid_api_key"),
        (Reply::insufficient_quota(), "insufficient_quota"),
        (Reply::context_length(), "context_length_exceeded"),
    ] {
        room.fake.script([fault]);
        let asked = ask(&room, openai(false)).await;
        assert_eq!(
            (&asked["answer"], &asked["job"]["status"]),
            (&Value::Null, &json!("FAILED")),
            "{asked:#}"
        );
        assert_eq!(asked["job"]["error"]["__typename"], "ProviderError");
        let id = asked["job"]["id"].as_str().unwrap();
        let error = "query($id: ID!) { job(id: $id) { error { ... on ProviderError { provider providerCode retryable message } } events(first: 50) { message data } } }";
        let job = room.owner().ok(error, json!({"id": id})).await["job"].clone();
        assert_eq!(
            (&job["error"]["provider"], &job["error"]["providerCode"]),
            (&json!("openai"), &json!(code)),
            "{job:#}"
        );
        assert!(!job.to_string().contains("sk-test-key"), "{job:#}");
    }
    // Replaced, when that is allowed, and said so.
    room.fake.script([Reply::insufficient_quota()]);
    let asked = ask(&room, openai(true)).await;
    assert_eq!(
        (&asked["answer"]["answered"], &asked["job"]["engine"]["provider"]),
        (&json!(true), &json!("builtin")),
        "{asked:#}"
    );
    let job = room.owner().job(asked["job"]["id"].as_str().unwrap()).await;
    assert!(job["events"].as_array().unwrap().iter().any(|event| event["kind"] == "fallback"), "{job:#}");
    assert_eq!(room.fake.left(), 0);
    room.workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_hangs_up_on_the_provider() {
    let room = room().await;
    room.fake.script([Reply::text("You have thirty days of").stall_after(2)]);
    let input = json!({"organizationId": room.acme.id, "question": "How many days of vacation?", "engine": openai(false), "wait": false});
    let asked = room.owner().mutate("qaAsk", input, "job { id } answer { id }").await;
    assert_eq!(asked["answer"], Value::Null);
    let id = asked["job"]["id"].as_str().unwrap();
    room.owner().job_when(id, |job| job["events"].to_string().contains("\"text\"")).await;
    room.owner().mutate("jobCancel", json!({"id": id}), "").await;
    assert_eq!(room.owner().finished(id).await["status"], "CANCELLED");
    room.fake.hung_up(1).await;
    room.workers.stop().await;
}
