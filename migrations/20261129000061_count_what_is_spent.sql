-- Tokens are spent when a model has answered, whatever becomes of the answer: they are counted at once, so that attempts that
-- fail, are cancelled or die afterwards do not take them for nothing. Amounts only grow. True: it was counted.
create function app.spend_on_job(p_organization uuid, p_job uuid, p_attempt integer, p_used jsonb) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update public.jobs j set used = app.add_amounts(j.used, p_used, 1)
    where j.organization_id = p_organization and j.id = p_job and j.attempts = p_attempt and j.status = 'RUNNING'
        and not exists (select from jsonb_each_text(p_used) a where a.value::bigint < 0)
    returning true
$$;

grant create on schema app to aicos_gate;
revoke execute on function app.spend_on_job(uuid, uuid, integer, jsonb) from public;
grant execute on function app.spend_on_job(uuid, uuid, integer, jsonb) to aicos_app;
grant execute on function app.add_amounts(jsonb, jsonb, integer) to aicos_gate;
alter function app.spend_on_job(uuid, uuid, integer, jsonb) owner to aicos_gate;
revoke create on schema app from aicos_gate;
