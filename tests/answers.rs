//! Answers: what they say of themselves, and how they follow what the asker wants.

use serde_json::{Value, json};

use crate::knowledge::check_citations;
use crate::support::Server;
use crate::support::cast;
use crate::support::provider::Reply;
use crate::support::work::{Room, openai};

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
    assert_eq!(part("kind"), 1.0, "it has the number that is asked for");
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
