-- Work that outlives a request. This table holds the truth; the queue (schema `queue`, a library's own) only wakes
-- workers. Which of all waiting jobs a worker then takes is decided here, fairly between organizations.

create table jobs (
    organization_id uuid not null constraint jobs_organization_fkey references organizations on delete cascade,
    id uuid not null,
    project_id uuid,
    kind text not null constraint jobs_kind_form check (kind ~ '^[a-z_]+(\.[a-z_]+)*$' and char_length(kind) <= 60),
    agent text constraint jobs_agent_length check (char_length(agent) <= 40),
    status text not null default 'QUEUED' constraint jobs_status
        check (status in ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    progress real not null default 0 constraint jobs_progress_range check (progress between 0 and 1),
    -- The number of the newest event.
    sequence integer not null default 1,
    input jsonb not null constraint jobs_input_object check (jsonb_typeof(input) = 'object'),
    -- In whose name it runs: with the rights that this person, or this key of theirs, has at that time.
    created_by uuid not null,
    created_by_key uuid,
    request_id text not null,
    attempts integer not null default 0,
    max_attempts integer not null default 5 constraint jobs_max_attempts_range check (max_attempts between 1 and 25),
    -- Its place in the line of all organizations; see app.give_turn.
    turn bigint not null default 0,
    run_at timestamptz not null default now(),
    -- Until when the worker that has it is believed to be alive.
    lease_until timestamptz,
    cancel_requested_at timestamptz,
    result_id uuid,
    -- What the caller can put right, or wait for: code, message, detail.
    error jsonb constraint jobs_error_object check (jsonb_typeof(error) = 'object'),
    engine_provider text,
    engine_model text,
    prompt_tokens integer,
    completion_tokens integer,
    cost_micro_usd bigint,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint jobs_pkey primary key (organization_id, id),
    constraint jobs_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);
create index jobs_project on jobs (organization_id, project_id, id);
create index jobs_created on jobs (organization_id, created_at);
create index jobs_turns on jobs (organization_id, turn) where status = 'QUEUED';
-- Workers serve every organization, so what they look through is not led by one; only the gate's functions do.
create index jobs_waiting on jobs (turn, id) where status = 'QUEUED';
create index jobs_leases on jobs (lease_until) where status = 'RUNNING';

create table job_events (
    organization_id uuid not null,
    job_id uuid not null,
    sequence integer not null,
    project_id uuid,
    kind text not null constraint job_events_kind_length check (char_length(kind) between 1 and 40),
    message text constraint job_events_message_length check (char_length(message) <= 2000),
    data jsonb,
    at timestamptz not null default clock_timestamp(),
    constraint job_events_pkey primary key (organization_id, job_id, sequence),
    constraint job_events_job_fkey foreign key (organization_id, job_id)
        references jobs (organization_id, id) on delete cascade
);

alter table jobs enable row level security, force row level security;
alter table job_events enable row level security, force row level security;
create policy jobs_tenant on jobs to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy job_events_tenant on job_events to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

grant select, insert on jobs, job_events to aicos_app;
grant update (status, progress, sequence, cancel_requested_at, lease_until, result_id, engine_provider, engine_model,
    prompt_tokens, completion_tokens, cost_micro_usd, finished_at) on jobs to aicos_app;

-- The gate moves jobs of all organizations through their states, and reads what says in whose name they run.
create policy jobs_gate on jobs for select to aicos_gate using (true);
create policy jobs_move on jobs for update to aicos_gate using (true) with check (true);
create policy job_events_note on job_events for insert to aicos_gate with check (true);
grant select, update on jobs to aicos_gate;
grant insert on job_events to aicos_gate;

-- The line. A new job stands behind the organization's own waiting ones and never before the job that is next: so one
-- organization's thousand jobs alternate with another's ten (start-time fair queueing, Goyal, Vin and Cheng, 1996, with
-- every job counted as one).
create function app.give_turn() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    new.turn := greatest(
        coalesce((select max(j.turn) + 1 from public.jobs j
            where j.organization_id = new.organization_id and j.status = 'QUEUED'), 0),
        coalesce((select min(j.turn) from public.jobs j where j.status = 'QUEUED'), 0));
    return new;
end $$;
create trigger jobs_give_turn before insert on jobs for each row execute function app.give_turn();

-- Gives the next job in the line to a worker, for as long as the lease lasts. No row: nothing is due.
create function app.claim_job(p_kinds text[], p_lease interval)
returns table (organization_id uuid, id uuid, kind text, attempt integer, request_id text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_job public.jobs;
begin
    select j.* into v_job from public.jobs j
    where j.status = 'QUEUED' and j.run_at <= clock_timestamp() and j.kind = any (p_kinds)
    order by j.turn, j.id limit 1 for update skip locked;
    if not found then
        return;
    end if;
    update public.jobs j set status = 'RUNNING', attempts = j.attempts + 1, progress = 0, sequence = j.sequence + 1,
        started_at = coalesce(j.started_at, clock_timestamp()), lease_until = clock_timestamp() + p_lease
    where j.organization_id = v_job.organization_id and j.id = v_job.id
    returning j.* into v_job;
    insert into public.job_events (organization_id, job_id, sequence, project_id, kind, data)
    values (v_job.organization_id, v_job.id, v_job.sequence, v_job.project_id, 'started',
        jsonb_build_object('attempt', v_job.attempts));
    return query select v_job.organization_id, v_job.id, v_job.kind, v_job.attempts, v_job.request_id;
end $$;

-- Prolongs the leases of jobs that are being worked on; returns those that are still the worker's, and whether they
-- are to be cancelled.
create function app.renew_leases(p_jobs uuid[], p_attempts integer[], p_lease interval)
returns table (id uuid, cancelled boolean)
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    update public.jobs j set lease_until = clock_timestamp() + p_lease
    from unnest(p_jobs, p_attempts) as held (id, attempt)
    where j.id = held.id and j.attempts = held.attempt and j.status = 'RUNNING'
    returning j.id, j.cancel_requested_at is not null;
end;

-- Notes how far a job is. NULL: it is no longer the worker's.
create function app.advance_job(p_organization uuid, p_job uuid, p_attempt integer, p_progress real, p_kind text,
    p_message text, p_data jsonb) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_sequence integer;
    v_project uuid;
begin
    update public.jobs j set progress = greatest(j.progress, coalesce(p_progress, 0)), sequence = j.sequence + 1
    where j.organization_id = p_organization and j.id = p_job and j.attempts = p_attempt and j.status = 'RUNNING'
    returning j.sequence, j.project_id into v_sequence, v_project;
    if v_sequence is not null then
        insert into public.job_events (organization_id, job_id, sequence, project_id, kind, message, data)
        values (p_organization, p_job, v_sequence, v_project, p_kind, p_message, p_data);
    end if;
    return v_sequence;
end $$;

-- Ends an attempt that came to nothing: FAILED, CANCELLED, or QUEUED again after a delay, unless the attempts are used
-- up. With p_forgive the attempt does not count. NULL: the job is no longer the worker's.
create function app.end_attempt(p_organization uuid, p_job uuid, p_attempt integer, p_status text, p_error jsonb,
    p_delay interval, p_forgive boolean, p_kind text, p_message text) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_sequence integer;
    v_project uuid;
    v_run_at timestamptz;
    v_status text;
begin
    update public.jobs j set
        status = case when p_status = 'QUEUED' and not p_forgive and j.attempts >= j.max_attempts then 'FAILED' else p_status end,
        sequence = j.sequence + 1, lease_until = null, run_at = clock_timestamp() + p_delay,
        max_attempts = least(25, j.max_attempts + p_forgive::integer)
    where j.organization_id = p_organization and j.id = p_job and j.attempts = p_attempt and j.status = 'RUNNING'
        and p_status in ('FAILED', 'CANCELLED', 'QUEUED')
    returning j.sequence, j.project_id, j.run_at, j.status into v_sequence, v_project, v_run_at, v_status;
    if v_sequence is null then
        return null;
    end if;
    if v_status = 'QUEUED' then
        perform app.wake_workers(p_organization, p_job, v_run_at);
    else
        update public.jobs j set error = p_error, finished_at = clock_timestamp()
        where j.organization_id = p_organization and j.id = p_job;
    end if;
    insert into public.job_events (organization_id, job_id, sequence, project_id, kind, message, data)
    values (p_organization, p_job, v_sequence, v_project, case when v_status = 'FAILED' then 'failed' else p_kind end,
        p_message, p_error);
    return v_sequence;
end $$;

-- Takes jobs back from workers that are gone, and wakes workers for due jobs that nobody was woken for. Returns the
-- jobs that have moved.
create function app.recover_jobs() returns table (organization_id uuid, id uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_job public.jobs;
begin
    for v_job in
        select j.* from public.jobs j where j.status = 'RUNNING' and j.lease_until < clock_timestamp()
        order by j.lease_until limit 1000 for update skip locked
    loop
        if v_job.cancel_requested_at is not null then
            v_job.status := 'CANCELLED';
        elsif v_job.attempts >= v_job.max_attempts then
            v_job.status := 'FAILED';
            v_job.error := jsonb_build_object('code', 'CONFLICT', 'message',
                'The work was broken off ' || v_job.attempts || ' times. Try again; if it breaks off again, ask for less at once.');
        else
            v_job.status := 'QUEUED';
        end if;
        update public.jobs j set status = v_job.status, sequence = j.sequence + 1, lease_until = null,
            run_at = clock_timestamp(), error = v_job.error,
            finished_at = case when v_job.status = 'QUEUED' then null else clock_timestamp() end
        where j.organization_id = v_job.organization_id and j.id = v_job.id;
        insert into public.job_events (organization_id, job_id, sequence, project_id, kind, message)
        values (v_job.organization_id, v_job.id, v_job.sequence + 1, v_job.project_id,
            case v_job.status when 'QUEUED' then 'retrying' else lower(v_job.status) end, 'Its worker is gone.');
        if v_job.status = 'QUEUED' then
            perform app.wake_workers(v_job.organization_id, v_job.id, clock_timestamp());
        end if;
        return query select v_job.organization_id, v_job.id;
    end loop;
    -- Waking twice is harmless: a job's wake-up call is one row of the queue, whoever asks for it.
    perform app.wake_workers(j.organization_id, j.id, clock_timestamp())
    from (select w.organization_id, w.id from public.jobs w
        where w.status = 'QUEUED' and w.run_at < clock_timestamp() - interval '15 seconds'
        order by w.turn, w.id limit 10) j;
end $$;

-- In whose name a job runs, and what they may do now. No row: the job is no longer the worker's, the organization is
-- deleted, or its creator has left or their key no longer works.
create function app.find_job_scope(p_organization uuid, p_job uuid, p_attempt integer)
returns table (creator_id uuid, key_id uuid, key_project_id uuid, key_permissions text[], role text, limited boolean,
    version bigint, project_ids uuid[], project_roles text[], points_per_minute integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select j.created_by, j.created_by_key, k.project_id, k.permissions, m.role, m.limited,
        greatest(m.version, k.version),
        coalesce((select array_agg(p.project_id order by p.project_id) from public.project_members p
            where p.organization_id = m.organization_id and p.user_id = m.user_id), '{}'),
        coalesce((select array_agg(p.role order by p.project_id) from public.project_members p
            where p.organization_id = m.organization_id and p.user_id = m.user_id), '{}'),
        t.points_per_minute
    from public.jobs j
    join public.memberships m on m.organization_id = j.organization_id and m.user_id = j.created_by
    join public.organizations o on o.id = j.organization_id and o.deleted_at is null
    join public.tiers t on t.key = o.tier
    left join public.api_keys k on k.organization_id = j.organization_id and k.id = j.created_by_key
    where j.organization_id = p_organization and j.id = p_job and j.attempts = p_attempt and j.status = 'RUNNING'
        and (j.created_by_key is null or k.created_by = j.created_by and k.revoked_at is null
            and (k.expires_at is null or k.expires_at > clock_timestamp()));
end;

-- Enters the organization of a job in its creator's name, with their limits; as app.enter, for work instead of requests.
create function app.enter_job(p_organization uuid, p_job uuid, p_attempt integer, p_version bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_scope record;
    v_projects uuid[];
begin
    select * into v_scope from app.find_job_scope(p_organization, p_job, p_attempt);
    if not found then
        raise exception using errcode = 'AC002', message = 'nobody to work for';
    end if;
    if v_scope.version <> p_version then
        raise exception using errcode = 'AC003', message = 'the membership has changed';
    end if;
    if v_scope.limited then
        v_projects := v_scope.project_ids;
    end if;
    if v_scope.key_project_id is not null then
        v_projects := case when v_projects is null or v_scope.key_project_id = any (v_projects)
            then array[v_scope.key_project_id] else '{}' end;
    end if;
    perform set_config('app.organization', p_organization::text, true),
            set_config('app.user', v_scope.creator_id::text, true),
            set_config('app.project', coalesce(v_projects::text, ''), true);
end $$;

-- The queue is a library's (graphile_worker): its schema belongs to a role of its own, which workers become on
-- connections of their own. `aicos migrate` fills the schema in; the one table is made here because the library would
-- need the right to make schemas for it.
create schema queue authorization aicos_queue;
set local role aicos_queue;
create table queue.migrations (
    id integer constraint migrations_pkey primary key,
    ts timestamptz not null default now(),
    breaking boolean not null default false
);
reset role;

-- The one way into the queue: a call that wakes a worker at that time. It carries ids, never content, and is part of
-- the caller's transaction.
create function app.wake_workers(p_organization uuid, p_job uuid, p_at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform queue.add_job('work', json_build_object('organization', p_organization, 'job', p_job), null, p_at, 25, p_job::text);
end $$;

grant create on schema app to aicos_gate, aicos_queue;
grant usage on schema app to aicos_queue;
do $$
declare
    f text;
begin
    foreach f in array array['claim_job(text[], interval)', 'renew_leases(uuid[], integer[], interval)',
        'advance_job(uuid, uuid, integer, real, text, text, jsonb)',
        'end_attempt(uuid, uuid, integer, text, jsonb, interval, boolean, text, text)', 'recover_jobs()',
        'find_job_scope(uuid, uuid, integer)', 'enter_job(uuid, uuid, integer, bigint)', 'give_turn()']
    loop
        execute format('revoke execute on function app.%s from public', f);
        execute format('grant execute on function app.%s to aicos_app', f);
        execute format('alter function app.%s owner to aicos_gate', f);
    end loop;
end $$;
-- Trigger functions are run by their trigger.
revoke execute on function app.give_turn() from aicos_app;
revoke execute on function app.wake_workers(uuid, uuid, timestamptz) from public;
grant execute on function app.wake_workers(uuid, uuid, timestamptz) to aicos_app, aicos_gate;
alter function app.wake_workers(uuid, uuid, timestamptz) owner to aicos_queue;
revoke create on schema app from aicos_gate, aicos_queue;
