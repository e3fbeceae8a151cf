-- What a model has read, written and cost stands on its job as soon as it has answered, with who that was: an answer that
-- cannot be used has to be paid for as well. Where a figure is not known once, the sum is not known either. As before, amounts
-- only grow. True: it was counted.
drop function app.spend_on_job(uuid, uuid, integer, jsonb);
create function app.spend_on_job(p_organization uuid, p_job uuid, p_attempt integer, p_used jsonb, p_provider text, p_model text,
    p_prompt integer, p_completion integer, p_cost bigint) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update public.jobs j set used = app.add_amounts(j.used, p_used, 1),
        prompt_tokens = case when j.engine_provider is null then p_prompt
            when j.prompt_tokens::bigint + p_prompt > 2147483647 then 2147483647 else j.prompt_tokens + p_prompt end,
        completion_tokens = case when j.engine_provider is null then p_completion
            when j.completion_tokens::bigint + p_completion > 2147483647 then 2147483647
            else j.completion_tokens + p_completion end,
        cost_micro_usd = case when j.engine_provider is null then p_cost else j.cost_micro_usd + p_cost end,
        engine_provider = p_provider, engine_model = p_model
    where j.organization_id = p_organization and j.id = p_job and j.attempts = p_attempt and j.status = 'RUNNING'
        and not exists (select from jsonb_each_text(p_used) a where a.value::bigint < 0)
        and least(p_prompt, p_completion, p_cost, 0) = 0 and p_provider is not null
    returning true
$$;

grant create on schema app to aicos_gate;
revoke execute on function app.spend_on_job(uuid, uuid, integer, jsonb, text, text, integer, integer, bigint) from public;
grant execute on function app.spend_on_job(uuid, uuid, integer, jsonb, text, text, integer, integer, bigint) to aicos_app;
alter function app.spend_on_job(uuid, uuid, integer, jsonb, text, text, integer, integer, bigint) owner to aicos_gate;
revoke create on schema app from aicos_gate;
