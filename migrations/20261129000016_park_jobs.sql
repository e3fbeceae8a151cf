-- Jobs that wait: for a time, for another system, or for somebody's approval. Waiting is no attempt that failed, however
-- often a job is taken up again; so the number of attempts has no bound of its own any more.
alter table jobs drop constraint jobs_max_attempts_range,
    add constraint jobs_max_attempts_range check (max_attempts >= 1);
-- A worker parks its job in the transaction that saves what it waits for, as its creator.
grant update (run_at, max_attempts) on jobs to aicos_app;

-- As before, but for the bound.
create or replace function app.end_attempt(p_organization uuid, p_job uuid, p_attempt integer, p_status text, p_error jsonb,
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
        max_attempts = j.max_attempts + p_forgive::integer
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
