-- What projects have done at set times.

create table schedules (
    organization_id uuid not null constraint schedules_organization_fkey references organizations on delete cascade,
    id uuid not null,
    project_id uuid not null,
    name text not null constraint schedules_name_length check (char_length(name) between 1 and 100),
    cron text not null constraint schedules_cron_length check (char_length(cron) between 9 and 100),
    timezone text not null constraint schedules_timezone_length check (char_length(timezone) between 1 and 64),
    -- What is done, in the form that its code writes and reads.
    work jsonb not null constraint schedules_work_object check (jsonb_typeof(work) = 'object'),
    enabled boolean not null default true,
    -- When it is due; none while it is paused, and from the moment that it is due until its job has said when it is due next.
    next_run_at timestamptz,
    -- That job. When it has come to nothing, the schedule has paused itself.
    fired_by uuid,
    -- The job of the run that it has begun last.
    last_run uuid,
    -- In whose name it runs: with the rights that this person, or this key of theirs, has at that time.
    acts_for uuid not null,
    acts_for_key uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint schedules_pkey primary key (organization_id, id),
    constraint schedules_paused check (enabled or next_run_at is null),
    constraint schedules_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);
create index schedules_project on schedules (organization_id, project_id, id);
-- What is due is looked for in all organizations; only the gate's function does.
create index schedules_due on schedules (next_run_at, id) where next_run_at is not null;

alter table schedules enable row level security, force row level security;
create policy schedules_tenant on schedules to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

grant select, insert, delete on schedules to aicos_app;
grant update (name, cron, timezone, work, enabled, next_run_at, fired_by, last_run, acts_for, acts_for_key, updated_at)
    on schedules to aicos_app;

-- The gate makes the jobs of schedules that are due. They begin nothing themselves: a worker takes them as any other, in
-- the name of whoever the schedule acts for.
create policy schedules_gate on schedules for select to aicos_gate using (true);
create policy schedules_fire on schedules for update to aicos_gate using (true) with check (true);
create policy jobs_fire on jobs for insert to aicos_gate with check (true);
grant select (organization_id, id, project_id, next_run_at, acts_for, acts_for_key),
    update (next_run_at, fired_by) on schedules to aicos_gate;
grant insert (organization_id, id, project_id, kind, input, created_by, created_by_key, request_id) on jobs to aicos_gate;

-- Makes the job of the schedule that has been due the longest. It is due no more from then on, until that job says when it
-- is next: one job for each time, however many ask. No row: nothing is due.
create function app.fire_schedule(p_job uuid, p_request text) returns table (organization_id uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_due record;
begin
    select s.organization_id, s.id, s.project_id, s.next_run_at, s.acts_for, s.acts_for_key into v_due
    from public.schedules s
    where s.next_run_at <= clock_timestamp()
        -- A deleted organization can be brought back: its schedules go on then.
        and exists (select from public.organizations o where o.id = s.organization_id and o.deleted_at is null)
    order by s.next_run_at, s.id limit 1 for update of s skip locked;
    if not found then
        return;
    end if;
    update public.schedules s set next_run_at = null, fired_by = p_job
    where s.organization_id = v_due.organization_id and s.id = v_due.id;
    insert into public.jobs (organization_id, id, project_id, kind, input, created_by, created_by_key, request_id)
    values (v_due.organization_id, p_job, v_due.project_id, 'schedule.fire',
        jsonb_build_object('schedule', v_due.id, 'project', v_due.project_id, 'due', v_due.next_run_at),
        v_due.acts_for, v_due.acts_for_key, p_request);
    insert into public.job_events (organization_id, job_id, sequence, project_id, kind)
    values (v_due.organization_id, p_job, 1, v_due.project_id, 'queued');
    perform app.wake_workers(v_due.organization_id, p_job, clock_timestamp());
    return query select v_due.organization_id;
end $$;

grant create on schema app to aicos_gate;
revoke execute on function app.fire_schedule(uuid, text) from public;
grant execute on function app.fire_schedule(uuid, text) to aicos_app;
alter function app.fire_schedule(uuid, text) owner to aicos_gate;
revoke create on schema app from aicos_gate;
