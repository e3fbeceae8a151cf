-- What work takes of what a tier limits by the month: reserved when a job is enqueued, counted as it is done, and given back
-- when nothing comes of it. A job's two columns and the counters are changed together, by a trigger, so that they cannot
-- come apart whoever ends the job: its worker, a caller who cancels it, or the gate for a worker that is gone.

alter table jobs
    -- {"AGENT_RUNS": 1, …}: what it may still take.
    add column reserved jsonb not null default '{}' constraint jobs_reserved_object check (jsonb_typeof(reserved) = 'object'),
    -- What it has taken. It stays, also when the rest of the job comes to nothing.
    add column used jsonb not null default '{}' constraint jobs_used_object check (jsonb_typeof(used) = 'object');
grant update (reserved, used) on jobs to aicos_app;

-- Both amounts together, or with p_times = -1 what is left of the first; never less than nothing.
create function app.add_amounts(p_amounts jsonb, p_more jsonb, p_times integer) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(jsonb_object_agg(s.key, s.amount) filter (where s.amount > 0), '{}')
    from (select a.key, sum(a.amount)::bigint as amount
        from (select key, value::bigint as amount from jsonb_each_text(p_amounts)
            union all select key, p_times * value::bigint from jsonb_each_text(p_more)) a
        group by a.key) s;
end;

-- Counts on the day on which the job was asked for, so that what is given back is given back where it was taken.
create function app.count_work() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_change record;
begin
    if tg_op = 'DELETE' then
        -- A project has gone, with jobs that had not ended. Where the organization goes, its counters go as well.
        update public.usage_counters c set used = c.used - a.value::bigint
        from jsonb_each_text(old.reserved) a
        where c.organization_id = old.organization_id and c.metric = a.key
            and c.day = (old.created_at at time zone 'UTC')::date;
        return old;
    end if;
    if new.status in ('SUCCEEDED', 'FAILED', 'CANCELLED') then
        new.reserved := '{}';
    end if;
    -- In the same order for everybody, so that nobody waits in a circle.
    for v_change in
        select c.key, sum(c.amount)::bigint as amount
        from (select key, value::bigint as amount from jsonb_each_text(new.reserved)
            union all select key, value::bigint from jsonb_each_text(new.used)
            union all select key, -value::bigint from jsonb_each_text(old.reserved)
            union all select key, -value::bigint from jsonb_each_text(old.used)) c
        group by c.key having sum(c.amount) <> 0 order by c.key
    loop
        insert into public.usage_counters as c (organization_id, metric, day, used)
        values (new.organization_id, v_change.key, (new.created_at at time zone 'UTC')::date, v_change.amount)
        on conflict (organization_id, metric, day) do update set used = c.used + excluded.used;
    end loop;
    return new;
end $$;
create trigger jobs_count_work before insert or update of status, reserved, used on jobs
    for each row execute function app.count_work();
create trigger jobs_return_work before delete on jobs
    for each row when (old.reserved <> '{}') execute function app.count_work();

grant create on schema app to aicos_gate;
revoke execute on function app.count_work() from public;
alter function app.count_work() owner to aicos_gate;
revoke execute on function app.add_amounts(jsonb, jsonb, integer) from public;
grant execute on function app.add_amounts(jsonb, jsonb, integer) to aicos_app;
revoke create on schema app from aicos_gate;

-- A month of the smaller tier.
update tiers set limits = limits || '{"AGENT_RUNS": 500, "LLM_TOKENS": 2000000, "IMAGES": 500, "VIDEO_SECONDS": 1800}'
where key = 'starter';
