-- A job is part of the trace in which it was enqueued: what is done of it later hangs below that place. The queue's call
-- cannot carry it, for whoever is woken takes the job that is next in the line, which may be another one.
alter table jobs add column traceparent text
    constraint jobs_traceparent_form check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');

-- As before, and tells whether it is the last attempt, how long the job was due, and its place in a trace.
drop function app.claim_job(text[], interval);
create function app.claim_job(p_kinds text[], p_lease interval)
returns table (organization_id uuid, id uuid, kind text, attempt integer, request_id text, is_last boolean,
    waited double precision, traceparent text)
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
    return query select v_job.organization_id, v_job.id, v_job.kind, v_job.attempts, v_job.request_id,
        v_job.attempts >= v_job.max_attempts, extract(epoch from clock_timestamp() - v_job.run_at)::double precision,
        v_job.traceparent;
end $$;

-- How many jobs of all organizations are due, and since when the first of them is; of no more than the first in the line,
-- so that it costs the same however long the line is.
create function app.count_waiting_jobs(p_most integer) returns table (jobs integer, seconds double precision)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select count(*)::integer, coalesce(extract(epoch from clock_timestamp() - min(line.run_at)), 0)::double precision
    from (select j.run_at from public.jobs j where j.status = 'QUEUED' order by j.turn, j.id limit p_most) line
    where line.run_at <= clock_timestamp();
end;

grant create on schema app to aicos_gate;
revoke execute on function app.claim_job(text[], interval), app.count_waiting_jobs(integer) from public;
grant execute on function app.claim_job(text[], interval), app.count_waiting_jobs(integer) to aicos_app;
alter function app.claim_job(text[], interval) owner to aicos_gate;
alter function app.count_waiting_jobs(integer) owner to aicos_gate;
revoke create on schema app from aicos_gate;
