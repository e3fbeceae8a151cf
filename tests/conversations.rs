//! Conversations: questions that go on from one another are understood, shown as they were understood, and go together.

use serde_json::{Value, json};

use crate::knowledge::check_citations;
use crate::support::cast;
use crate::support::provider::Reply;
use crate::support::work::{Room, openai};
use crate::support::{Client, Server, mutation};

const CANTEEN: &str = "# Canteen\n\nThe canteen opens at 11:45 on weekdays and closes at 14:00. On weekends the canteen opens \
at 9:30.\n\n# Microphones\n\nThe deposit for a ribbon microphone is 200 euros. The deposit for a condenser microphone is 80 \
euros. Deposits are paid back by Ines Vogt.\n";

const ASKED: &str = "job { id status error { message } } answer { id question understoodAs answered answer conversation { id }
    citations { document { id } documentVersion quote startOffset endOffset }
    nearMisses { document { id } documentVersion quote startOffset endOffset } }";

async fn ask(client: &Client<'_>, organization: &str, question: &str, more: Value) -> Value {
    let mut input = json!({"organizationId": organization, "question": question});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.mutate("qaAsk", input, ASKED).await["answer"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_on_from_the_one_before() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let workers = server.work();
    let (owner, member) = (acme.owner.at(&server), acme.member.at(&server));
    member.learn(&acme, "Studio", CANTEEN).await;
    let place = json!({"organizationId": acme.id, "projectId": acme.project});
    let begun = member.mutate(
        "qaConversationCreate",
        place,
        "conversation { id } project { qaConversations { totalCount } }",
    );
    let begun = begun.await;
    assert_eq!(begun["project"]["qaConversations"]["totalCount"], 1);
    let id = begun["conversation"]["id"].as_str().unwrap().to_owned();
    let here = json!({"projectId": acme.project, "conversationId": id});

    for (question, understood, expected) in [
        ("When does the canteen open?", "When does the canteen open?", "11:45"),
        ("And on weekends?", "When does the canteen open on weekends?", "9:30"),
        (
            "How high is the deposit for a ribbon microphone?",
            "How high is the deposit for a ribbon microphone?",
            "200 euros",
        ),
        (
            "What about for a condenser microphone?",
            "How high is the deposit for a condenser microphone?",
            "80 euros",
        ),
        ("Who pays it back?", "Who pays it back? (deposit condenser microphone)", "Ines Vogt"),
    ] {
        let answer = ask(&member, &acme.id, question, here.clone()).await;
        assert_eq!((&answer["question"], &answer["understoodAs"]), (&json!(question), &json!(understood)));
        assert!(answer["answer"].to_string().contains(expected), "{question}: {answer:#}");
        assert_eq!(answer["conversation"]["id"], id.as_str());
        assert!(check_citations(&member, &answer).await > 0);
    }
    // By itself the same question says nothing.
    let alone = ask(&member, &acme.id, "And on weekends?", json!({"projectId": acme.project})).await;
    assert_eq!((&alone["understoodAs"], &alone["conversation"]), (&json!("And on weekends?"), &Value::Null));

    let read = "query($id: ID!) { node(id: $id) { ... on QaConversation { project { id } createdBy { ... on User { id } }
        answers { question } } } }";
    let found = member.ok(read, json!({"id": id})).await["node"].clone();
    assert_eq!(found["createdBy"]["id"], acme.member.id.as_str());
    let questions: Vec<&str> = found["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["question"].as_str().unwrap())
        .collect();
    assert_eq!(questions.len(), 5);
    assert_eq!((questions[0], questions[1]), ("When does the canteen open?", "And on weekends?"));

    // Its place is where it is asked in, and nowhere else.
    let elsewhere = json!({"organizationId": acme.id, "question": "Why?", "conversationId": id});
    assert_eq!(member.fault("qaAsk", elsewhere).await, "NOT_FOUND");

    // It goes with its answers and with nothing else.
    let delete = mutation("qaConversationDelete", "");
    assert_eq!(member.refusal(&delete, json!({"input": {"id": id}})).await, "FORBIDDEN");
    let gone = owner
        .mutate(
            "qaConversationDelete",
            json!({"id": id}),
            "deletedQaConversationId project { qaConversations { totalCount } outputs { totalCount nodes { id } } }",
        )
        .await;
    assert_eq!(gone["deletedQaConversationId"], id.as_str());
    assert_eq!(gone["project"]["qaConversations"]["totalCount"], 0);
    assert_eq!(gone["project"]["outputs"], json!({"totalCount": 1, "nodes": [{"id": alone["id"]}]}));
    assert_eq!(owner.fault("qaConversationDelete", json!({"id": id})).await, "NOT_FOUND");
    let gone = json!({"organizationId": acme.id, "projectId": acme.project, "question": "Why?", "conversationId": id});
    assert_eq!(member.fault("qaAsk", gone).await, "NOT_FOUND");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_whose_conversation_is_deleted_meanwhile_is_not_answered() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let owner = acme.owner.at(&server);
    let id = cast::conversation(&server, &acme, None).await;
    let input = json!({"organizationId": acme.id, "question": "Why?", "conversationId": id, "wait": false});
    let job = owner.mutate("qaAsk", input, "job { id }").await["job"]["id"].clone();
    owner.mutate("qaConversationDelete", json!({"id": id}), "").await;
    let workers = server.work();
    let job = owner.finished(job.as_str().unwrap()).await;
    assert_eq!(job["status"], "FAILED", "{job:#}");
    assert!(job["error"]["message"].as_str().unwrap().contains("conversation was deleted"), "{job:#}");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_told_what_was_asked_and_answered_before() {
    let room = Room::new().await;
    let member = room.member();
    member.learn(&room.acme, "Studio", CANTEEN).await;
    let id = cast::conversation(&room.server, &room.acme, None).await;
    let more = json!({"conversationId": id, "engine": openai(false)});
    room.fake.script([
        Reply::text("The canteen opens at 11:45 on weekdays [1]."),
        Reply::text("It opens at 9:30 [1]."),
    ]);
    ask(&member, &room.acme.id, "When does the canteen open?", more.clone()).await;
    let answer = ask(&member, &room.acme.id, "And on weekends?", more).await;
    assert_eq!(answer["answer"], "It opens at 9:30.", "{answer:#}");
    let requests = room.fake.requests();
    let (first, second) = (requests[0].body.to_string(), requests[1].body.to_string());
    assert!(!first.contains("Earlier question:"), "{first}");
    assert!(second.contains("Earlier question: When does the canteen open?"), "{second}");
    assert!(second.contains("Earlier answer: The canteen opens at 11:45 on weekdays."), "{second}");
    assert!(second.contains("Question: And on weekends?"), "{second}");
    room.workers.stop().await;
}
