//! Whoever changes the audit log behind the server's back is found out, and so is the first entry that they changed.

use aicos::audit;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::support::fixture::uuid;
use crate::support::{Server, cast};

/// Two organizations with a log each; the first one's is tampered with.
struct Log {
    server: Server,
    superuser: PgConnection,
    organization: Uuid,
    other: Uuid,
    /// How many entries the first one has.
    length: i64,
}

impl Log {
    async fn start() -> Self {
        let server = Server::start().await;
        let acme = cast::organization(&server, "Acme").await;
        let globex = cast::organization(&server, "Globex").await;
        // Entries of every shape: with and without a project, by a key, with a user agent, and refused.
        let owner = acme.owner.at(&server).header("user-agent", "a browser");
        let key = json!({"organizationId": acme.id, "name": "Key", "permissions": ["PROJECT_CREATE", "PROJECT_READ"]});
        let secret = owner.mutate("apiKeyCreate", key, "secret").await["secret"].as_str().unwrap().to_owned();
        let project =
            json!({"organizationId": acme.id, "name": "By a key", "description": "Ünïcode \" \\ \n 🦀"});
        server.key(&secret).mutate("projectCreate", project, "").await;
        let update = json!({"id": acme.project, "name": "Renamed"});
        owner.mutate("projectUpdate", update, "").await;
        owner.mutate("membershipUpdate", json!({"id": acme.viewer.membership, "role": "MEMBER"}), "").await;
        let mut superuser = server.database.superuser().await;
        let organization = uuid(&acme.id);
        let length = sqlx::query_scalar("select count(*) from audit_entries where organization_id = $1")
            .bind(organization)
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        assert!(length >= 8, "{length}");
        Self { server, superuser, organization, other: uuid(&globex.id), length }
    }

    /// What `verify` says of the organization after this was done to its log, and undoes it. `:org` stands for its id,
    /// `:n` for the number of an entry in the middle, `:last` for the newest one's.
    async fn after(&mut self, done: &str) -> Option<(i64, String)> {
        let middle = self.middle();
        let sql = done
            .replace(":org", &format!("'{}'", self.organization))
            .replace(":last", &self.length.to_string())
            .replace(":n", &middle.to_string());
        let mut tx = self.superuser.begin().await.unwrap();
        tx.execute("set local session_replication_role = replica").await.unwrap();
        tx.execute(sqlx::raw_sql(AssertSqlSafe(sql.as_str())))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let chains = audit::verify(&mut tx).await.unwrap();
        tx.rollback().await.unwrap();
        let other = chains.iter().find(|chain| chain.organization.uuid() == self.other).unwrap();
        assert!(other.problem.is_none(), "{sql}: {other:?}");
        let chain = chains.iter().find(|chain| chain.organization.uuid() == self.organization);
        let chain = chain.unwrap_or_else(|| panic!("{sql}: nothing is said of the organization"));
        chain.problem.clone().map(|problem| (chain.sequence, problem))
    }

    async fn assert_found(&mut self, done: &str, sequence: i64, problem: &str) {
        let found = self.after(done).await;
        let Some((at, said)) = found else { panic!("not found: {done}") };
        assert_eq!(at, sequence, "{done}: {said}");
        assert!(said.contains(problem), "{done}: {said}");
    }

    const fn middle(&self) -> i64 {
        self.length / 2
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_log_verifies() {
    let mut log = Log::start().await;
    assert_eq!(log.after("select").await, None);
    // How a session shows times and floats does not matter.
    let sql = "set local timezone = 'Asia/Tokyo'; set local datestyle = 'German'; set local intervalstyle = 'iso_8601'; set local extra_float_digits = 0";
    assert_eq!(log.after(sql).await, None);
    // The owner of the tables verifies; the serving role may not.
    let mut owner = PgConnection::connect_with(&log.server.database.owner).await.unwrap();
    assert_eq!(audit::verify(&mut owner).await.unwrap().len(), 2);
    let mut serving = log.server.database.serving().await;
    assert!(audit::verify(&mut serving).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_any_column_is_found() {
    let mut log = Log::start().await;
    let columns: Vec<(String, String, bool)> = sqlx::query_as(
        "select attname::text, format_type(atttypid, null), attnotnull from pg_attribute
         where attrelid = 'audit_entries'::regclass and attnum > 0 and not attisdropped",
    )
    .fetch_all(&mut log.superuser)
    .await
    .unwrap();
    let mut changes = 0;
    for (column, kind, required) in &columns {
        let mut values = vec![match (column.as_str(), kind.as_str()) {
            ("outcome", _) => "case outcome when 'DONE' then 'REFUSED' else 'DONE' end".to_owned(),
            // Taken out of this chain: the next one misses it.
            ("organization_id" | "sequence", _) => continue,
            (_, "uuid") => "gen_random_uuid()".to_owned(),
            (_, "text") => format!("coalesce({column}, '') || ' '"),
            (_, "jsonb") => format!("{column} || '[{{\"field\": \"x\"}}]'"),
            (_, "bytea") => format!("set_byte({column}, 31, get_byte({column}, 31) # 1)"),
            (_, "timestamp with time zone") => format!("{column} + interval '1 microsecond'"),
            (_, other) => panic!("say how a {other} is changed"),
        }];
        if !required {
            values.push("null".to_owned());
        }
        for value in values {
            // In an entry in which that is a change.
            let (number,): (Option<i64>,) = sqlx::query_as(AssertSqlSafe(format!(
                "select min(sequence) from audit_entries
                 where organization_id = $1 and {column} is distinct from ({value}) and sequence > 1"
            )))
            .bind(log.organization)
            .fetch_one(&mut log.superuser)
            .await
            .unwrap();
            let Some(number) = number else { panic!("no entry has a {column}: make one in this test") };
            let sql = format!(
                "update audit_entries set {column} = {value} where organization_id = :org and sequence = {number}"
            );
            log.assert_found(&sql, number, "it was altered or moved").await;
            changes += 1;
        }
    }
    println!("{changes} changes of {} columns found", columns.len());
    let middle = log.middle();
    let moved = "update audit_entries set organization_id = gen_random_uuid() where organization_id = :org and sequence = :n";
    log.assert_found(moved, middle + 1, &format!("missing: {middle} to {middle}")).await;
    let renumbered =
        "update audit_entries set sequence = 1000 where organization_id = :org and sequence = :n";
    log.assert_found(renumbered, middle + 1, &format!("missing: {middle} to {middle}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_missing_is_found() {
    let mut log = Log::start().await;
    let (middle, last) = (log.middle(), log.length);
    let entries = "delete from audit_entries where organization_id = :org";
    log.assert_found(&format!("{entries} and sequence = 1"), 2, "missing: 1 to 1").await;
    let missing = format!("missing: {middle} to {middle}");
    log.assert_found(&format!("{entries} and sequence = :n"), middle + 1, &missing).await;
    let missing = format!("missing: {middle} to {}", middle + 1);
    log.assert_found(&format!("{entries} and sequence in (:n, :n + 1)"), middle + 2, &missing).await;
    log.assert_found(&format!("{entries} and sequence = :last"), last, &format!("missing: {last} to {last}"))
        .await;
    log.assert_found(entries, 1, &format!("missing: 1 to {last}")).await;
    let head = "delete from audit_heads where organization_id = :org";
    log.assert_found(head, last + 1, "the head of the chain is missing").await;
    log.assert_found(&format!("{entries}; {head}"), 1, "has no entry at all").await;
    // Missing, and the rest moved up.
    let closed = format!(
        "{entries} and sequence = :n;
         update audit_entries set sequence = -sequence where organization_id = :org and sequence > :n;
         update audit_entries set sequence = -sequence - 1 where organization_id = :org and sequence < 0;
         update audit_heads set sequence = sequence - 1 where organization_id = :org"
    );
    log.assert_found(&closed, middle, "it was altered or moved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_moved_or_forged_is_found() {
    let mut log = Log::start().await;
    let (middle, last) = (log.middle(), log.length);
    let swapped = "
        update audit_entries set sequence = -1 where organization_id = :org and sequence = :n;
        update audit_entries set sequence = :n where organization_id = :org and sequence = :n + 1;
        update audit_entries set sequence = :n + 1 where organization_id = :org and sequence = -1";
    log.assert_found(swapped, middle, "it was altered or moved").await;

    let forged = "insert into audit_entries
        select (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(), 'sequence', :last + 1))).*
        from audit_entries e where organization_id = :org and sequence = :last";
    let forged_well = format!(
        "{forged}; update audit_entries e set hash = app.audit_hash(
            (select hash from audit_entries where organization_id = :org and sequence = :last), e)
         where organization_id = :org and sequence = :last + 1"
    );
    log.assert_found(forged, last + 1, "it was altered or moved").await;
    log.assert_found(&forged_well, last + 1, "added past the head").await;
    let head = "update audit_heads set sequence = :last + 1 where organization_id = :org";
    log.assert_found(&format!("{forged_well}; {head}"), last + 1, "does not match").await;
    let head = "update audit_heads set sequence = sequence - 1 where organization_id = :org";
    log.assert_found(head, last, "added past the head").await;
    let head =
        "update audit_heads set hash = set_byte(hash, 0, get_byte(hash, 0) # 1) where organization_id = :org";
    log.assert_found(head, last, "does not match").await;
    // In between, with every number after it one higher.
    let squeezed = "
        update audit_entries set sequence = -sequence - 1 where organization_id = :org and sequence > :n;
        insert into audit_entries
            select (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(), 'sequence', :n + 1))).*
            from audit_entries e where organization_id = :org and sequence = :n;
        update audit_entries set sequence = -sequence where organization_id = :org and sequence < 0;
        update audit_heads set sequence = sequence + 1 where organization_id = :org";
    log.assert_found(squeezed, middle + 1, "it was altered or moved").await;
    // Another organization's entry, whole.
    let foreign = "update audit_entries e set changes = o.changes, id = gen_random_uuid(), hash = o.hash
        from audit_entries o where e.organization_id = :org and o.organization_id <> :org
            and o.sequence = :n and e.sequence = :n";
    log.assert_found(foreign, middle, "it was altered or moved").await;
}
