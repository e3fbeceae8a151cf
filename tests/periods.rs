//! The seven periods of an organization, and where a moment lies in its cycles.

use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::support::Server;
use crate::support::cast;

const PERIODS: &str = "{ periods { id number key names color keywords } }";

#[tokio::test]
async fn an_organization_begins_with_seven_periods_and_makes_them_its_own() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let globex = cast::organization(&server, "Globex").await;
    let admin = acme.admin.at(&server);
    let seven = admin.ok(PERIODS, json!({})).await["periods"].as_array().unwrap().clone();
    let numbers: Vec<i64> = seven.iter().map(|period| period["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(seven[1]["names"], json!({"DE": "Veränderung", "EN": "Change"}));
    assert_eq!(seven[2]["keywords"]["EN"].as_array().unwrap().len(), 5);

    let change = json!({"id": seven[1]["id"], "key": "new-start", "color": "#abcdef",
        "names": [{"language": "DE", "name": "Aufbruch"}],
        "keywords": [{"language": "EN", "keywords": ["courage", "curiosity"]}]});
    let select = "period { key names color keywords }";
    let changed = admin.mutate("periodUpdate", change, select).await["period"].clone();
    assert_eq!(
        (&changed["key"], &changed["color"], &changed["names"]),
        (&json!("new-start"), &json!("#ABCDEF"), &json!({"DE": "Aufbruch", "EN": "Change"}))
    );
    assert_eq!(changed["keywords"]["EN"], json!(["courage", "curiosity"]));
    assert_eq!(changed["keywords"]["DE"], seven[1]["keywords"]["DE"], "the other language keeps its own");
    for (input, code) in [
        (json!({"id": seven[2]["id"], "key": "new-start"}), "ALREADY_EXISTS"),
        (json!({"id": seven[2]["id"], "key": "7th"}), "INVALID"),
        (json!({"id": seven[2]["id"], "color": "red"}), "INVALID"),
        (json!({"id": seven[2]["id"], "names": [{"language": "EN", "name": " "}]}), "REQUIRED"),
        (
            json!({"id": seven[2]["id"], "keywords": [{"language": "EN", "keywords": vec!["a"; 21]}]}),
            "TOO_LONG",
        ),
    ] {
        assert_eq!(admin.fault("periodUpdate", input.clone()).await, code, "{input}");
    }
    // The other organization's are its own.
    let others = globex.owner.at(&server).ok(PERIODS, json!({})).await["periods"].clone();
    assert_eq!(others[1]["key"], "change");
    assert_ne!(others[1]["id"], seven[1]["id"]);
}

#[tokio::test]
async fn organizations_from_before_periods_have_the_same_seven() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let before =
        acme.owner.at(&server).ok("{ periods { number key names color keywords } }", json!({})).await;
    let mut superuser = server.database.superuser().await;
    superuser.execute("delete from periods").await.unwrap();
    let migration = include_str!("../migrations/20261129000011_create_periods.sql");
    let filling = migration.split("alter table periods no force row level security;").nth(1).unwrap();
    let filling = filling.split("alter table").next().unwrap();
    superuser.execute(sqlx::AssertSqlSafe(filling.to_owned())).await.unwrap();
    let after = acme.owner.at(&server).ok("{ periods { number key names color keywords } }", json!({})).await;
    assert_eq!(after, before);
    assert_eq!(after["periods"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn a_moment_lies_in_a_period_of_each_cycle() {
    let server = Server::start().await;
    let acme = cast::organization(&server, "Acme").await;
    let viewer = acme.viewer.at(&server);
    let ask = "query($start: DateTime!, $at: DateTime, $timezone: String!) {
        cyclePositions(start: $start, at: $at, timezone: $timezone) { cycle round begins ends progress period { key } } }";
    let variables =
        json!({"start": "1990-03-14T05:00:00Z", "at": "2026-03-13T22:30:00Z", "timezone": "Europe/Berlin"});
    let found = viewer.ok(ask, variables).await["cyclePositions"].clone();
    let cycles: Vec<&Value> = found.as_array().unwrap().iter().map(|position| &position["cycle"]).collect();
    assert_eq!(cycles, ["DAY", "WEEK", "YEAR", "LIFE"]);
    // The last hour before the 36th birthday, on Berlin's clock.
    assert_eq!(
        (&found[2]["period"]["key"], &found[2]["round"]),
        (&json!("prudence"), &json!(36)),
        "{found:#}"
    );
    assert_eq!(found[2]["ends"], "2026-03-14T00:00:00");
    // 35 completed years: the sixth round of seven begins, in its first period.
    assert_eq!((&found[3]["period"]["key"], &found[3]["round"]), (&json!("image"), &json!(6)));
    let wrong = json!({"start": "1990-03-14T05:00:00Z", "at": "1990-03-13T05:00:00Z", "timezone": "UTC"});
    assert_eq!(viewer.refusal(ask, wrong).await, "BAD_USER_INPUT");
    let wrong = json!({"start": "1990-03-14T05:00:00Z", "timezone": "Berlin"});
    assert_eq!(viewer.refusal(ask, wrong).await, "BAD_USER_INPUT");
}
