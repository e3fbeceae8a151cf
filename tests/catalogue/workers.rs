//! What workers reach through the gate: whose jobs they move, in whose name they enter, which passages a search says; and
//! that each condition of these functions is needed.

use std::fmt::Write as _;

use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Connection as _};

use super::rights::{must, mutate, prepared, run};
use crate::support::fixture::{World, uuid};

/// One call, and what has to come of it.
struct Call {
    what: &'static str,
    /// Done before, as the superuser.
    before: String,
    /// The call, as the serving role.
    sql: String,
    /// What is looked at afterwards, as the superuser: a query of one text.
    read: String,
    /// The SQLSTATE, or what is read.
    expected: Result<String, &'static str>,
}

/// Where the calls take place: two jobs that run in one organization, and one of the same id in another.
struct Stage {
    first: Uuid,
    second: Uuid,
    projects: [Uuid; 2],
    owner: Uuid,
    stranger: Uuid,
    member: Uuid,
    guest: Uuid,
    both: Uuid,
    /// The job that is called for, and its sibling.
    jobs: [Uuid; 2],
    /// The owner's keys: of the organization, and of its projects.
    free: Uuid,
    bound: [Uuid; 2],
    /// The stranger's key in the other organization.
    theirs: Uuid,
    /// A project of the other organization.
    their_project: Uuid,
}

impl Stage {
    async fn set(superuser: &mut PgConnection, world: &World) -> Self {
        let [one, two] = &world.tenants;
        let mut find = async |table: &str, organization: Uuid, project: Option<Uuid>| -> Uuid {
            let sql = format!(
                "select id from {table} where organization_id = $1 and project_id is not distinct from $2 order by id limit 1"
            );
            let found = sqlx::query_scalar(AssertSqlSafe(sql)).bind(organization).bind(project);
            found.fetch_one(&mut *superuser).await.unwrap()
        };
        let (first, second) = (one.organization(), two.organization());
        let projects = [one.project(0), one.project(1)];
        Self {
            jobs: [
                find("jobs", first, Some(projects[1])).await,
                find("jobs", first, Some(projects[0])).await,
            ],
            free: find("api_keys", first, None).await,
            bound: [
                find("api_keys", first, Some(projects[0])).await,
                find("api_keys", first, Some(projects[1])).await,
            ],
            theirs: find("api_keys", second, None).await,
            their_project: two.project(0),
            owner: one.owner(),
            stranger: two.owner(),
            member: uuid(&one.cast.member.id),
            guest: uuid(&one.guests[0].id),
            both: uuid(&world.both.id),
            first,
            second,
            projects,
        }
    }

    /// Both jobs run in their third of five attempts, and so does the one of the same id in the other organization;
    /// nothing has been noted, and nobody was woken.
    fn running(&self) -> String {
        let (Self { first, second, owner, stranger, .. }, [job, sibling]) = (self, self.jobs);
        format!(
            "delete from queue._private_jobs; delete from job_events where job_id in ('{job}', '{sibling}');
             update jobs set kind = 'test.one', status = 'RUNNING', attempts = 3, max_attempts = 5, progress = 0.25,
                sequence = 1, run_at = now() - interval '1 day', lease_until = now() + interval '1 day', error = null,
                request_id = 'r', cancel_requested_at = null, finished_at = null, engine_provider = null,
                engine_model = null, prompt_tokens = null, completion_tokens = null, cost_micro_usd = null,
                created_by = '{owner}',
                created_by_key = null
             where organization_id = '{first}' and id in ('{job}', '{sibling}');
             insert into jobs select twin.* from jobs j, jsonb_populate_record(j, jsonb_build_object(
                'organization_id', '{second}', 'project_id', null, 'created_by', '{stranger}')) twin where j.id = '{job}'"
        )
    }

    /// All three wait for their turn: the job first, then its sibling, then the twin.
    fn waiting(&self) -> String {
        let (Self { first, .. }, [job, sibling]) = (self, self.jobs);
        format!(
            "{}; update jobs set status = 'QUEUED', attempts = 0, lease_until = null, turn = case
                when id = '{sibling}' then 7 when organization_id = '{first}' then 5 else 9 end
             where id in ('{job}', '{sibling}')",
            self.running()
        )
    }

    /// Sets something of the job; not of its twin.
    fn job(&self, what: &str) -> String {
        format!("update jobs set {what} where organization_id = '{}' and id = '{}'", self.first, self.jobs[0])
    }

    /// What the call said, how the three jobs stand with all that was noted, and how many calls the queue holds.
    fn look(&self) -> String {
        let (Self { first, .. }, [job, sibling]) = (self, self.jobs);
        format!(
            "select concat_ws(' | ', current_setting('test.said'), (select string_agg(concat_ws(' ',
                case when j.id = '{sibling}' then 'sibling' when j.organization_id = '{first}' then 'job' else 'twin' end,
                j.status, j.attempts || '/' || j.max_attempts, j.progress, j.sequence,
                case when j.lease_until > now() + interval '5 days' then 'prolonged' when j.lease_until > now() then 'leased'
                    when j.lease_until is not null then 'lapsed' end,
                case when j.run_at > now() + interval '12 hours' then 'later' end, j.error ->> 'code', 'spent ' || (j.used ->> 'LLM_TOKENS'),
                case when j.engine_provider is not null then concat_ws(' ', 'on', j.engine_provider, j.engine_model,
                    concat_ws('/', coalesce(j.prompt_tokens, -1), coalesce(j.completion_tokens, -1),
                        coalesce(j.cost_micro_usd, -1))) end,
                case when j.finished_at is not null then 'over' end,
                (select string_agg(concat_ws(':', '+' || e.sequence, e.kind, e.message), ' ' order by e.sequence) from job_events e
                    where e.organization_id = j.organization_id and e.job_id = j.id)), ', '
                order by j.id <> '{job}', j.organization_id <> '{first}') from jobs j where j.id in ('{job}', '{sibling}')),
                (select count(*) || ' calls' from queue._private_jobs))"
        )
    }

    /// A call of a function that moves jobs; what it returns is one text.
    fn moves(&self, what: &'static str, before: String, call: &str, expected: [&str; 5]) -> Call {
        let [said, job, twin, sibling, calls] = expected;
        let untouched =
            |text: &str| if text.is_empty() { "RUNNING 3/5 0.25 1 leased" } else { text }.to_owned();
        let expected = format!(
            "{said} | job {}, twin {}, sibling {} | {calls} calls",
            untouched(job),
            untouched(twin),
            untouched(sibling)
        );
        Call { what, before, sql: said_by(call), read: self.look(), expected: Ok(expected) }
    }

    /// A call that enters in the name of whoever started the job.
    fn enters(
        &self,
        what: &'static str,
        before: &[String],
        call: (Uuid, Uuid, i32),
        expected: Result<(Uuid, &str), &'static str>,
    ) -> Call {
        let (organization, job, attempt) = call;
        Call {
            what,
            before: [&[self.running()], before].concat().join("; "),
            sql: format!(
                "select app.enter_job('{organization}', '{job}', {attempt}, current_setting('test.version')::bigint)"
            ),
            read: "select concat_ws('|', current_setting('app.organization'), current_setting('app.user'),
                current_setting('app.project'))"
                .to_owned(),
            expected: expected.map(|(user, projects)| format!("{}|{user}|{projects}", self.first)),
        }
    }

    /// Started by this person, with this key of theirs; looked up before the role changes.
    fn by(&self, user: Uuid, key: Option<Uuid>) -> String {
        let key = key.map_or("null".to_owned(), |key| format!("'{key}'"));
        format!(
            "{}; {}",
            self.job(&format!("created_by = '{user}', created_by_key = {key}")),
            self.version(user)
        )
    }

    fn version(&self, user: Uuid) -> String {
        format!(
            "select set_config('test.version', (select greatest(max(m.version), max(k.version))::text from memberships m
                join jobs j on j.organization_id = m.organization_id and j.id = '{}'
                left join api_keys k on k.organization_id = m.organization_id and k.id = j.created_by_key
             where m.organization_id = '{}' and m.user_id = '{user}'), true)",
            self.jobs[0], self.first
        )
    }
}

/// Keeps what a scalar query says for whoever looks afterwards.
fn said_by(query: &str) -> String {
    format!("select set_config('test.said', coalesce(({query})::text, 'nothing'), true)")
}

fn line(stage: &Stage) -> Vec<Call> {
    let job = stage.jobs[0];
    let claim = |kind: &str| {
        format!(
            "select concat_ws('/', case organization_id when '{}' then 'first' else 'second' end, id = '{job}', kind,
                attempt, request_id) from app.claim_job('{{{kind}}}', interval '10 days')",
            stage.first
        )
    };
    let waits = "QUEUED 0/5 0.25 1";
    let over = format!("{}; update jobs set status = 'SUCCEEDED'", stage.waiting());
    let early = format!("{}; update jobs set run_at = now() + interval '1 day'", stage.waiting());
    let done = "SUCCEEDED 0/5 0.25 1";
    let later = "QUEUED 0/5 0.25 1 later";
    let renew = |attempt: i32| {
        format!(
            "select string_agg(concat_ws(':', id = '{job}', cancelled), ',') from app.renew_leases(array['{job}']::uuid[],
                array[{attempt}], interval '10 days')"
        )
    };
    // A lease is prolonged by the job's id alone, which the server makes and no two jobs have.
    let alone = format!(
        "{}; update jobs set status = 'CANCELLED' where organization_id = '{}' and id = '{job}'",
        stage.running(),
        stage.second
    );
    let twin = "CANCELLED 3/5 0.25 1 leased";
    let and = |what: &str| format!("{alone}; {}", stage.job(what));
    vec![
        stage.moves(
            "the next in the line",
            stage.waiting(),
            &claim("test.one"),
            ["first/t/test.one/1/r", "RUNNING 1/5 0 2 prolonged +2:started", waits, waits, "0"],
        ),
        stage.moves("nothing waits", over, &claim("test.one"), ["nothing", done, done, done, "0"]),
        stage.moves("nothing is due", early, &claim("test.one"), ["nothing", later, later, later, "0"]),
        stage.moves(
            "work that this worker does not do",
            stage.waiting(),
            &claim("test.two"),
            ["nothing", waits, waits, waits, "0"],
        ),
        stage.moves(
            "a lease that is held",
            alone.clone(),
            &renew(3),
            ["t:f", "RUNNING 3/5 0.25 1 prolonged", twin, "", "0"],
        ),
        stage.moves(
            "a lease of a job that is to be cancelled",
            and("cancel_requested_at = now()"),
            &renew(3),
            ["t:t", "RUNNING 3/5 0.25 1 prolonged", twin, "", "0"],
        ),
        stage.moves(
            "a lease of an earlier attempt",
            alone.clone(),
            &renew(2),
            ["nothing", "", twin, "", "0"],
        ),
        stage.moves(
            "a lease of a job that waits",
            and("status = 'QUEUED'"),
            &renew(3),
            ["nothing", "QUEUED 3/5 0.25 1 leased", twin, "", "0"],
        ),
    ]
}

fn attempts(stage: &Stage) -> Vec<Call> {
    let ([job, sibling], first, second) = (stage.jobs, stage.first, stage.second);
    let advance = |organization: Uuid, job: Uuid, attempt: i32, progress: f32| {
        format!(
            "select app.advance_job('{organization}', '{job}', {attempt}, {progress}::real, 'progress', 'm', null)"
        )
    };
    let end = |organization: Uuid, job: Uuid, attempt: i32, status: &str, forgive: bool| {
        format!(
            "select app.end_attempt('{organization}', '{job}', {attempt}, '{status}', '{{\"code\": \"E\"}}', interval '9 days',
                {forgive}, 'ended', 'm')"
        )
    };
    let spend = |organization: Uuid, job: Uuid, attempt: i32, tokens: i32| {
        format!(
            "select app.spend_on_job('{organization}', '{job}', {attempt}, '{{\"LLM_TOKENS\": {tokens}}}', 'p', 'm', 7, 1, 2)"
        )
    };
    let told = |figures: &str| format!("select app.spend_on_job('{first}', '{job}', 3, '{{}}', {figures})");
    let (running, and) = (stage.running(), |what: &str| format!("{}; {}", stage.running(), stage.job(what)));
    let figures = "engine_provider = 'q', engine_model = 'n', prompt_tokens = 5, completion_tokens = 0, cost_micro_usd = 3";
    let spent = and(&format!("used = '{{\"LLM_TOKENS\": 5}}', {figures}"));
    let unknown = and("engine_provider = 'q', engine_model = 'n'");
    let many = and(
        "engine_provider = 'q', prompt_tokens = 2147483645, completion_tokens = 2147483647, cost_micro_usd = 0",
    );
    let cancelled = "CANCELLED 3/5 0.25 1 leased";
    vec![
        stage.moves(
            "how far it is",
            running.clone(),
            &advance(first, job, 3, 0.5),
            ["2", "RUNNING 3/5 0.5 2 leased +2:progress:m", "", "", "0"],
        ),
        stage.moves(
            "progress never goes back",
            running.clone(),
            &advance(first, job, 3, 0.1),
            ["2", "RUNNING 3/5 0.25 2 leased +2:progress:m", "", "", "0"],
        ),
        stage.moves(
            "how far an earlier attempt is",
            running.clone(),
            &advance(first, job, 2, 0.5),
            ["nothing", "", "", "", "0"],
        ),
        stage.moves(
            "how far another organization's job is",
            running.clone(),
            &advance(second, sibling, 3, 0.5),
            ["nothing", "", "", "", "0"],
        ),
        stage.moves(
            "how far a cancelled job is",
            and("status = 'CANCELLED'"),
            &advance(first, job, 3, 0.5),
            ["nothing", cancelled, "", "", "0"],
        ),
        stage.moves(
            "what is spent",
            running.clone(),
            &spend(first, job, 3, 7),
            ["true", "RUNNING 3/5 0.25 1 leased spent 7 on p m 7/1/2", "", "", "0"],
        ),
        stage.moves(
            "what is spent besides",
            spent.clone(),
            &spend(first, job, 3, 7),
            ["true", "RUNNING 3/5 0.25 1 leased spent 12 on p m 12/1/5", "", "", "0"],
        ),
        stage.moves(
            "what is spent besides what nobody has counted",
            unknown,
            &spend(first, job, 3, 7),
            ["true", "RUNNING 3/5 0.25 1 leased spent 7 on p m -1/-1/-1", "", "", "0"],
        ),
        stage.moves(
            "what nobody has counted",
            spent.clone(),
            &told("'p', null, null, null, null"),
            ["true", "RUNNING 3/5 0.25 1 leased spent 5 on p -1/-1/-1", "", "", "0"],
        ),
        stage.moves(
            "more than can be counted",
            many,
            &spend(first, job, 3, 7),
            ["true", "RUNNING 3/5 0.25 1 leased spent 7 on p m 2147483647/2147483647/2", "", "", "0"],
        ),
        stage.moves(
            "what cannot be spent",
            spent.clone(),
            &spend(first, job, 3, -1),
            ["nothing", "RUNNING 3/5 0.25 1 leased spent 5 on q n 5/0/3", "", "", "0"],
        ),
        stage.moves(
            "what nobody gives back",
            spent.clone(),
            &told("'p', 'm', 1, 1, -1"),
            ["nothing", "RUNNING 3/5 0.25 1 leased spent 5 on q n 5/0/3", "", "", "0"],
        ),
        stage.moves(
            "what nobody has taken",
            spent,
            &told("null, 'm', 1, 1, 1"),
            ["nothing", "RUNNING 3/5 0.25 1 leased spent 5 on q n 5/0/3", "", "", "0"],
        ),
        stage.moves(
            "what an earlier attempt spends",
            running.clone(),
            &spend(first, job, 2, 7),
            ["nothing", "", "", "", "0"],
        ),
        stage.moves(
            "what another organization's job spends",
            running.clone(),
            &spend(second, sibling, 3, 7),
            ["nothing", "", "", "", "0"],
        ),
        stage.moves(
            "what a cancelled job spends",
            and("status = 'CANCELLED'"),
            &spend(first, job, 3, 7),
            ["nothing", cancelled, "", "", "0"],
        ),
        stage.moves(
            "a failure",
            running.clone(),
            &end(first, job, 3, "FAILED", false),
            ["2", "FAILED 3/5 0.25 2 later E over +2:failed:m", "", "", "0"],
        ),
        stage.moves(
            "a cancellation",
            running.clone(),
            &end(first, job, 3, "CANCELLED", false),
            ["2", "CANCELLED 3/5 0.25 2 later E over +2:ended:m", "", "", "0"],
        ),
        stage.moves(
            "once more",
            running.clone(),
            &end(first, job, 3, "QUEUED", false),
            ["2", "QUEUED 3/5 0.25 2 later +2:ended:m", "", "", "1"],
        ),
        stage.moves(
            "once more, forgiven",
            and("attempts = 5"),
            &end(first, job, 5, "QUEUED", true),
            ["2", "QUEUED 5/6 0.25 2 later +2:ended:m", "", "", "1"],
        ),
        stage.moves(
            "once too often",
            and("attempts = 5"),
            &end(first, job, 5, "QUEUED", false),
            ["2", "FAILED 5/5 0.25 2 later E over +2:failed:m", "", "", "0"],
        ),
        stage.moves(
            "a success that left nothing behind",
            running.clone(),
            &end(first, job, 3, "SUCCEEDED", false),
            ["nothing", "", "", "", "0"],
        ),
        stage.moves(
            "the end of an earlier attempt",
            running.clone(),
            &end(first, job, 2, "FAILED", false),
            ["nothing", "", "", "", "0"],
        ),
        stage.moves(
            "the end of another organization's job",
            running,
            &end(second, sibling, 3, "FAILED", false),
            ["nothing", "", "", "", "0"],
        ),
        stage.moves(
            "the end of a cancelled job",
            and("status = 'CANCELLED'"),
            &end(first, job, 3, "FAILED", false),
            ["nothing", cancelled, "", "", "0"],
        ),
    ]
}

fn sweeps(stage: &Stage) -> Vec<Call> {
    let recover = format!("select string_agg((id = '{}')::text, ',') from app.recover_jobs()", stage.jobs[0]);
    let lapsed = |what: &str| {
        let what = format!("lease_until = now() - interval '1 day'{what}");
        format!("{}; {}", stage.running(), stage.job(&what))
    };
    let gone = "Its worker is gone.";
    let sweep = |what, before: String, said: &str, job: &str, calls: &str| {
        stage.moves(what, before, &recover, [said, job, "", "", calls])
    };
    vec![
        sweep("nobody is gone", stage.running(), "nothing", "", "0"),
        sweep(
            "a worker that is gone",
            lapsed(""),
            "true",
            &format!("QUEUED 3/5 0.25 2 +2:retrying:{gone}"),
            "1",
        ),
        sweep(
            "gone, and cancelled before",
            lapsed(", cancel_requested_at = now()"),
            "true",
            &format!("CANCELLED 3/5 0.25 2 over +2:cancelled:{gone}"),
            "0",
        ),
        sweep(
            "gone once too often",
            lapsed(", attempts = 5"),
            "true",
            &format!("FAILED 5/5 0.25 2 CONFLICT over +2:failed:{gone}"),
            "0",
        ),
        sweep(
            "a job that is over",
            lapsed(", status = 'SUCCEEDED'"),
            "nothing",
            "SUCCEEDED 3/5 0.25 1 lapsed",
            "0",
        ),
        sweep(
            "a job that nobody was woken for",
            lapsed(", status = 'QUEUED'"),
            "nothing",
            "QUEUED 3/5 0.25 1 lapsed",
            "1",
        ),
        sweep(
            "a job that is not due",
            lapsed(", status = 'QUEUED', run_at = now() + interval '1 day'"),
            "nothing",
            "QUEUED 3/5 0.25 1 lapsed later",
            "0",
        ),
    ]
}

fn names(stage: &Stage) -> Vec<Call> {
    let Stage { first, second, owner, stranger, member, guest, both, free, bound, theirs, .. } = *stage;
    let ([job, sibling], [here, there]) = (stage.jobs, stage.projects);
    let call = (first, job, 3);
    let only = |project: Uuid| format!("{{{project}}}");
    let set = |key: Uuid, what: &str| format!("update api_keys set {what} where id = '{key}'");
    let renew = format!("update memberships set role = role where user_id = '{owner}'");
    let join = |organization: Uuid, user: Uuid, limited: bool| {
        format!(
            "insert into memberships (organization_id, user_id, id, role, limited)
             values ('{organization}', '{user}', gen_random_uuid(), 'VIEWER', {limited})"
        )
    };
    let leave = |user: Uuid| {
        format!("delete from memberships where organization_id = '{first}' and user_id = '{user}'")
    };
    let by = |user, key| stage.by(user, key);
    // A guest who has a role in a project of another organization as well.
    let elsewhere = format!(
        "{}; insert into project_members (organization_id, project_id, user_id, role)
            select organization_id, id, '{guest}', 'ADMIN' from projects where organization_id = '{second}'",
        join(second, guest, true)
    );
    let scope = |what, before: &[String], expected: String| {
        Call {
        what,
        before: [&[stage.running()], before].concat().join("; "),
        sql: said_by(&format!(
            "select string_agg(concat_ws('|', creator_id, key_id, key_project_id, key_permissions, role, limited, project_ids,
                project_roles), ' and ') from app.find_job_scope('{first}', '{job}', 3)"
        )),
        read: "select current_setting('test.said')".to_owned(),
        expected: Ok(expected),
    }
    };
    let mut both_projects = [here, there];
    both_projects.sort();
    vec![
        stage.enters("the creator", &[by(owner, None)], call, Ok((owner, ""))),
        stage.enters("an earlier attempt", &[by(owner, None)], (first, job, 2), Err("AC002")),
        stage.enters(
            "a job that waits",
            &[by(owner, None), stage.job("status = 'QUEUED'")],
            call,
            Err("AC002"),
        ),
        stage.enters("another organization's job", &[by(owner, None)], (second, sibling, 3), Err("AC002")),
        stage.enters("no job", &[by(owner, None)], (first, first, 3), Err("AC002")),
        stage.enters("a creator who has left", &[by(both, None), leave(both)], call, Err("AC002")),
        stage.enters("a creator who has changed", &[by(owner, None), renew.clone()], call, Err("AC003")),
        stage.enters(
            "a deleted organization",
            &[format!("update organizations set deleted_at = now() where id = '{first}'"), by(owner, None)],
            call,
            Err("AC002"),
        ),
        stage.enters("a key", &[by(owner, Some(free))], call, Ok((owner, ""))),
        stage.enters(
            "a revoked key",
            &[set(free, "revoked_at = now()"), by(owner, Some(free))],
            call,
            Err("AC002"),
        ),
        stage.enters(
            "an expired key",
            &[set(free, "expires_at = now()"), by(owner, Some(free))],
            call,
            Err("AC002"),
        ),
        stage.enters(
            "a key that ends later",
            &[set(free, "expires_at = now() + interval '1 day'"), by(owner, Some(free))],
            call,
            Ok((owner, "")),
        ),
        stage.enters("a key of somebody else's", &[by(member, Some(free))], call, Err("AC002")),
        stage.enters("a key that is gone", &[by(owner, Some(first))], call, Err("AC002")),
        stage.enters(
            "a key of another organization",
            &[join(first, stranger, false), by(stranger, Some(theirs))],
            call,
            Err("AC002"),
        ),
        stage.enters(
            "a rotated key",
            &[by(owner, Some(free)), set(free, "hash = '\\x00'")],
            call,
            Err("AC003"),
        ),
        stage.enters("a key whose maker has changed", &[by(owner, Some(free)), renew], call, Err("AC003")),
        stage.enters("a guest", &[by(guest, None)], call, Ok((guest, &only(here)))),
        stage.enters(
            "a guest of no project",
            &[format!("delete from project_members where user_id = '{guest}'"), by(guest, None)],
            call,
            Ok((guest, "{}")),
        ),
        stage.enters(
            "a guest who is one elsewhere as well",
            &[elsewhere.clone(), by(guest, None)],
            call,
            Ok((guest, &only(here))),
        ),
        stage.enters("a project's key", &[by(owner, Some(bound[1]))], call, Ok((owner, &only(there)))),
        stage.enters(
            "a guest's key of their project",
            &[set(bound[0], &format!("created_by = '{guest}'")), by(guest, Some(bound[0]))],
            call,
            Ok((guest, &only(here))),
        ),
        stage.enters(
            "a guest's key of another project",
            &[set(bound[1], &format!("created_by = '{guest}'")), by(guest, Some(bound[1]))],
            call,
            Ok((guest, "{}")),
        ),
        scope(
            "what a key may",
            &[by(owner, Some(bound[1]))],
            format!("{owner}|{}|{there}|{{PROJECT_READ}}|OWNER|f|{{}}|{{}}", bound[1]),
        ),
        scope(
            "what a member may",
            &[by(member, None)],
            format!("{member}|MEMBER|f|{{{},{}}}|{{ADMIN,ADMIN}}", both_projects[0], both_projects[1]),
        ),
        scope(
            "what a guest may who is one elsewhere as well",
            &[elsewhere, by(guest, None)],
            format!("{guest}|VIEWER|t|{{{here}}}|{{VIEWER}}"),
        ),
    ]
}

/// Schedules: one in each of the first organization's projects, of which the second has been due longer, and one of the
/// second one's id in the other organization, which is not due.
fn schedules(stage: &Stage) -> Vec<Call> {
    let Stage { first, second, projects: [here, there], owner, free, their_project, .. } = stage;
    let job = "00000000-0000-7000-8000-000000000001";
    // In how many days each of the three is due.
    let due = |[in_first, in_second, in_twin]: [i32; 3]| {
        format!(
            "delete from queue._private_jobs; delete from schedules where organization_id = '{second}';
             update schedules set fired_by = null, acts_for = '{owner}', acts_for_key = '{free}',
                next_run_at = now() + case project_id when '{here}' then {in_first} else {in_second} end * interval '1 day'
             where organization_id = '{first}';
             insert into schedules select twin.* from schedules s, jsonb_populate_record(s, jsonb_build_object(
                'organization_id', '{second}', 'project_id', '{their_project}', 'next_run_at', now() + {in_twin} * interval '1 day')) twin
             where s.project_id = '{there}'"
        )
    };
    let look = format!(
        "select concat_ws(' | ', current_setting('test.said'), (select string_agg(concat_ws(' ',
            case s.project_id when '{here}' then 'here' when '{there}' then 'there' else 'twin' end,
            case when s.next_run_at <= now() then 'due' when s.next_run_at > now() then 'later' end,
            case when s.fired_by = '{job}' then 'fired' end), ', '
            order by s.project_id <> '{here}', s.project_id <> '{there}') from schedules s),
            (select concat_ws(' ', j.status, j.kind, case j.project_id when '{here}' then 'here' when '{there}' then 'there' end,
                case when j.organization_id = '{first}' and j.created_by = '{owner}' and j.created_by_key = '{free}'
                    and j.agent is null then 'owner' end,
                j.request_id, (select s.project_id = j.project_id from schedules s where s.organization_id = j.organization_id
                    and s.id::text = j.input ->> 'schedule' and s.project_id::text = j.input ->> 'project'
                    and (j.input ->> 'due')::timestamptz < now()),
                (select string_agg(e.sequence || e.kind, ' ') from job_events e where e.job_id = j.id)) from jobs j
             where j.id = '{job}'), (select count(*) || ' calls' from queue._private_jobs))"
    );
    let fire = |what, before: String, expected: &str| Call {
        what,
        before,
        sql: said_by(&format!(
            "select case organization_id when '{first}' then 'first' else 'second' end from app.fire_schedule('{job}', 'r')"
        )),
        read: look.clone(),
        expected: Ok(expected.to_owned()),
    };
    let made = |place: &str| format!("QUEUED schedule.fire {place} owner r t 1queued | 1 calls");
    let gone = format!("update organizations set deleted_at = now() where id = '{first}'");
    vec![
        fire(
            "what has been due the longest",
            due([-1, -2, 1]),
            &format!("first | here due, there fired, twin later | {}", made("there")),
        ),
        fire(
            "the next one",
            due([-2, -1, 1]),
            &format!("first | here fired, there due, twin later | {}", made("here")),
        ),
        fire("nothing is due", due([1, 2, 3]), "nothing | here later, there later, twin later | 0 calls"),
        fire(
            "a deleted organization's",
            format!("{}; {gone}", due([-1, -2, 1])),
            "nothing | here due, there due, twin later | 0 calls",
        ),
    ]
}

/// Searches: which shelves they say passages of, in the organization's name and in that of some of its projects.
async fn searches(superuser: &mut PgConnection, stage: &Stage) -> Vec<Call> {
    let (first, second, [here, there]) = (stage.first, stage.second, stage.projects);
    // The numbers of a passage's terms: the same in every copy of a document, and others in another organization.
    let mut terms = async |organization: Uuid, heading: &str| -> Vec<i64> {
        sqlx::query_scalar(
            "select term_hashes from document_chunks where organization_id = $1 and project_id is null and heading like $2",
        )
        .bind(organization)
        .bind(format!("%{heading}%"))
        .fetch_one(&mut *superuser)
        .await
        .unwrap()
    };
    let (vacation, expenses, theirs) =
        (terms(first, "Vacation").await, terms(first, "Expenses").await, terms(second, "Vacation").await);
    let document: Uuid =
        sqlx::query_scalar("select id from documents where organization_id = $1 and project_id = $2")
            .bind(first)
            .bind(there)
            .fetch_one(&mut *superuser)
            .await
            .unwrap();
    let tagged = "update documents set tags = case when id = $2 then '{Rest,Work}'::text[] else '{Work}' end where organization_id = $1";
    sqlx::query(tagged).bind(first).bind(document).execute(&mut *superuser).await.unwrap();
    let list =
        |terms: &[i64]| format!("'{{{}}}'", terms.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
    let within = |organization: &str, projects: &str| {
        format!(
            "select set_config('app.organization', '{organization}', true), set_config('app.project', '{projects}', true)"
        )
    };
    let all = within(&first.to_string(), "");
    let shelves = format!(
        "select coalesce(string_agg(distinct case when c.organization_id <> '{first}' then 'theirs' when c.project_id is null
            then 'organization' when c.project_id = '{here}' then 'here' else 'there' end, ' '), 'nothing')
         from document_chunks c where c.id = any (nullif(current_setting('test.said'), 'nothing')::uuid[])"
    );
    let search = |what, before: &str, rare: &[i64], more: &str, expected: &str| Call {
        what,
        before: before.to_owned(),
        sql: said_by(&format!(
            "select array_agg(id) from app.search_chunks({}, {}, array_fill(1::real, array[{}]), {more})",
            list(rare),
            list(&vacation),
            vacation.len()
        )),
        read: shelves.clone(),
        expected: Ok(expected.to_owned()),
    };
    let either = [vacation.clone(), expenses].concat();
    let best =
        "select concat_ws(' of ', split_part(max(c.heading), ' › ', -1), count(*)) from document_chunks c
        where c.id = any (current_setting('test.said')::uuid[])";
    vec![
        search("everything", &all, &vacation, "null, null, null, 100", "here organization there"),
        search("another organization's terms", &all, &theirs, "null, null, null, 100", "nothing"),
        search("no terms", &all, &[0], "null, null, null, 100", "nothing"),
        search("nobody", &within("", ""), &vacation, "null, null, null, 100", "nothing"),
        search(
            "whoever sees one project",
            &within(&first.to_string(), &format!("{{{here}}}")),
            &vacation,
            "null, null, null, 100",
            "here",
        ),
        search(
            "whoever sees no project",
            &within(&first.to_string(), "{}"),
            &vacation,
            "null, null, null, 100",
            "nothing",
        ),
        search("in one project", &all, &vacation, &format!("'{here}', null, null, 100"), "here organization"),
        search("in one document", &all, &vacation, &format!("null, '{{{document}}}', null, 100"), "there"),
        search("with one of some tags", &all, &vacation, "null, null, '{none,REST}', 100", "there"),
        search("with no such tag", &all, &vacation, "null, null, '{none}', 100", "nothing"),
        search("with no tag at all", &all, &vacation, "null, null, '{}', 100", "nothing"),
        Call {
            read: best.to_owned(),
            ..search(
                "the best one",
                &all,
                &either,
                &format!("null, '{{{document}}}', null, 1"),
                "Vacation of 1",
            )
        },
    ]
}

/// What did not come of the calls as it should; at most `most`.
async fn judge(tx: &mut PgConnection, calls: &[Call], most: usize) -> Vec<String> {
    let mut broken = Vec::new();
    for Call { what, before, sql, read, expected } in calls {
        must(tx, &format!("savepoint call; {before}; set local role aicos_app")).await;
        let got = match run(tx, sql).await {
            Ok(()) => {
                must(tx, "reset role").await;
                Ok(sqlx::query_scalar::<_, String>(AssertSqlSafe(read.as_str()))
                    .fetch_one(&mut *tx)
                    .await
                    .unwrap())
            }
            Err(code) => Err(code),
        };
        if got.as_deref().map_err(String::as_str) != expected.as_deref().map_err(|code| *code) {
            broken.push(format!("{what}:\n  expected {expected:?}\n  got      {got:?}"));
        }
        must(tx, "rollback to savepoint call").await;
        if broken.len() >= most {
            break;
        }
    }
    broken
}

/// What is taken out of the functions, one at a time; spelled as the catalogue does.
const MUTANTS: [(&str, &str, &str); 97] = [
    ("claim_job", "j.status = 'QUEUED' and ", ""),
    ("claim_job", " and j.run_at <= clock_timestamp()", ""),
    ("claim_job", " and j.kind = any (p_kinds)", ""),
    ("claim_job", "order by j.turn, j.id", "order by j.turn desc"),
    ("claim_job", "where j.organization_id = v_job.organization_id and j.id", "where j.id"),
    ("claim_job", " and j.id = v_job.id", ""),
    ("claim_job", "attempts = j.attempts + 1", "attempts = j.attempts"),
    ("claim_job", "clock_timestamp() + p_lease", "clock_timestamp()"),
    ("renew_leases", "(j.id = held.id) AND ", ""),
    ("renew_leases", "(j.attempts = held.attempt) AND ", ""),
    ("renew_leases", " AND (j.status = 'RUNNING'::text)", ""),
    ("renew_leases", "(j.cancel_requested_at IS NOT NULL)", "false"),
    ("advance_job", "j.organization_id = p_organization and ", ""),
    ("advance_job", "and j.id = p_job ", ""),
    ("advance_job", "and j.attempts = p_attempt ", ""),
    ("advance_job", "and j.status = 'RUNNING'", ""),
    ("advance_job", "greatest(j.progress, coalesce(p_progress, 0))", "p_progress"),
    ("spend_on_job", "j.organization_id = p_organization and ", ""),
    ("spend_on_job", "j.id = p_job and ", ""),
    ("spend_on_job", "j.attempts = p_attempt and ", ""),
    ("spend_on_job", "j.status = 'RUNNING'", "true"),
    ("spend_on_job", "a.value::bigint < 0", "false"),
    ("spend_on_job", "app.add_amounts(j.used, p_used, 1)", "p_used"),
    ("spend_on_job", "least(p_prompt, p_completion, p_cost, 0) = 0 and ", ""),
    ("spend_on_job", " and p_provider is not null", ""),
    (
        "spend_on_job",
        "case when j.engine_provider is null then p_cost else j.cost_micro_usd + p_cost end",
        "coalesce(j.cost_micro_usd, 0) + p_cost",
    ),
    ("spend_on_job", "j.cost_micro_usd + p_cost", "p_cost"),
    ("spend_on_job", "else j.prompt_tokens + p_prompt", "else p_prompt"),
    ("spend_on_job", "else j.completion_tokens + p_completion", "else p_completion"),
    ("spend_on_job", "when j.prompt_tokens::bigint + p_prompt > 2147483647 then 2147483647 ", ""),
    (
        "end_attempt",
        "where j.organization_id = p_organization and j.id = p_job and",
        "where j.id = p_job and",
    ),
    ("end_attempt", "and j.id = p_job and j.attempts", "and j.attempts"),
    ("end_attempt", "and j.attempts = p_attempt ", ""),
    ("end_attempt", "and j.status = 'RUNNING'", ""),
    ("end_attempt", "and p_status in ('FAILED', 'CANCELLED', 'QUEUED')", ""),
    ("end_attempt", "and not p_forgive ", ""),
    ("end_attempt", "and j.attempts >= j.max_attempts", ""),
    ("end_attempt", "p_status = 'QUEUED' and not p_forgive and j.attempts >= j.max_attempts", "false"),
    ("end_attempt", "j.max_attempts + p_forgive::integer", "j.max_attempts"),
    ("end_attempt", "if v_status = 'QUEUED' then", "if true then"),
    ("end_attempt", "where j.organization_id = p_organization and j.id = p_job;", "where j.id = p_job;"),
    ("end_attempt", "and j.id = p_job;", ";"),
    ("recover_jobs", "j.status = 'RUNNING' and ", ""),
    ("recover_jobs", " and j.lease_until < clock_timestamp()", ""),
    ("recover_jobs", "v_job.cancel_requested_at is not null", "false"),
    ("recover_jobs", "v_job.attempts >= v_job.max_attempts", "false"),
    ("recover_jobs", "where j.organization_id = v_job.organization_id and j.id", "where j.id"),
    ("recover_jobs", " and j.id = v_job.id", ""),
    ("recover_jobs", "w.status = 'QUEUED' and ", ""),
    ("recover_jobs", " and w.run_at < clock_timestamp() - interval '15 seconds'", ""),
    ("find_job_scope", "(m.organization_id = j.organization_id) AND ", ""),
    ("find_job_scope", " AND (m.user_id = j.created_by)", ""),
    ("find_job_scope", "(o.id = j.organization_id) AND ", ""),
    ("find_job_scope", " AND (o.deleted_at IS NULL)", ""),
    ("find_job_scope", "(k.organization_id = j.organization_id) AND ", ""),
    ("find_job_scope", " AND (k.id = j.created_by_key)", ""),
    ("find_job_scope", "(j.organization_id = find_job_scope.p_organization) AND ", ""),
    ("find_job_scope", "(j.id = find_job_scope.p_job) AND ", ""),
    ("find_job_scope", "(j.attempts = find_job_scope.p_attempt) AND ", ""),
    ("find_job_scope", "(j.status = 'RUNNING'::text) AND ", ""),
    ("find_job_scope", "(j.created_by_key IS NULL) OR ", ""),
    ("find_job_scope", "(j.created_by_key IS NULL)", "(k.id IS NULL)"),
    ("find_job_scope", "(k.created_by = j.created_by) AND ", ""),
    ("find_job_scope", "(k.revoked_at IS NULL) AND ", ""),
    ("find_job_scope", " AND ((k.expires_at IS NULL) OR (k.expires_at > clock_timestamp()))", ""),
    ("find_job_scope", "(k.expires_at > clock_timestamp())", "false"),
    ("find_job_scope", "GREATEST(m.version, k.version)", "m.version"),
    ("find_job_scope", "GREATEST(m.version, k.version)", "k.version"),
    ("find_job_scope", "(p.organization_id = m.organization_id) AND ", ""),
    ("find_job_scope", " AND (p.user_id = m.user_id)", ""),
    ("find_job_scope", "'{}'::uuid[]", "NULL::uuid[]"),
    ("enter_job", "if not found", "if false"),
    ("enter_job", "v_scope.version <> p_version", "false"),
    ("enter_job", "if v_scope.limited", "if false"),
    ("enter_job", "if v_scope.key_project_id is not null", "if false"),
    ("enter_job", "v_projects is null or v_scope.key_project_id = any (v_projects)", "true"),
    ("enter_job", " or v_scope.key_project_id = any (v_projects)", ""),
    ("fire_schedule", "s.next_run_at <= clock_timestamp()", "true"),
    ("fire_schedule", "o.id = s.organization_id and ", ""),
    ("fire_schedule", " and o.deleted_at is null", ""),
    ("fire_schedule", "order by s.next_run_at, s.id", "order by s.next_run_at desc"),
    ("fire_schedule", "next_run_at = null, fired_by", "fired_by"),
    ("fire_schedule", "where s.organization_id = v_due.organization_id and s.id", "where s.id"),
    ("fire_schedule", " and s.id = v_due.id", ""),
    ("search_chunks", "c.term_hashes && p_rare", "true"),
    ("search_chunks", "and c.organization_id = v_organization", ""),
    ("search_chunks", "and (v_projects is null or c.project_id = any (v_projects))", ""),
    ("search_chunks", "and (p_project is null or c.project_id is null or c.project_id = p_project)", ""),
    ("search_chunks", "or c.project_id is null ", ""),
    ("search_chunks", "order by weight desc", "order by weight"),
    ("search_chunks", "limit p_limit", ""),
    ("search_chunks", "and (p_documents is null or c.document_id = any (p_documents))", ""),
    ("search_chunks", "p_tags is null or ", ""),
    ("search_chunks", " and d.id = c.document_id", ""),
    ("search_chunks", "select lower(t) from unnest(p_tags) t", "select t from unnest(p_tags) t"),
    ("search_chunks", "where lower(t) = any (v_tags)", "where t = any (v_tags)"),
    ("search_chunks", " where lower(t) = any (v_tags)", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn workers_move_and_see_what_they_should_and_each_condition_is_needed() {
    let (_server, world, mut superuser) = Box::pin(prepared()).await;
    let stage = Stage::set(&mut superuser, &world).await;
    let calls = [
        line(&stage),
        attempts(&stage),
        sweeps(&stage),
        names(&stage),
        schedules(&stage),
        searches(&mut superuser, &stage).await,
    ];
    let calls: Vec<Call> = calls.into_iter().flatten().collect();
    let mut tx = superuser.begin().await.unwrap();
    let broken = judge(&mut tx, &calls, usize::MAX).await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let (mut report, mut survivors) = (String::new(), Vec::new());
    for (function, clause, instead) in MUTANTS {
        mutate(&mut tx, function, clause, instead).await;
        match judge(&mut tx, &calls, 1).await.first() {
            Some(first) => {
                writeln!(report, "noticed  {function}: `{clause}` -> `{instead}`: {first}").unwrap();
            }
            None => survivors.push((function, clause, instead)),
        }
        must(&mut tx, "rollback to savepoint mutant").await;
    }
    println!("{report}{} calls, {} mutants", calls.len(), MUTANTS.len());
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
}
