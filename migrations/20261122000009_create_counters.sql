-- What is counted, and what makes a repeated create harmless.

create table usage_counters (
    organization_id uuid not null constraint usage_counters_organization_fkey references organizations on delete cascade,
    metric text not null constraint usage_counters_metric_length check (char_length(metric) between 1 and 40),
    day date not null,
    used bigint not null,
    constraint usage_counters_pkey primary key (organization_id, metric, day)
);

create table idempotency_keys (
    organization_id uuid not null constraint idempotency_keys_organization_fkey references organizations on delete cascade,
    -- The person, or the API key.
    actor_id uuid not null,
    action text not null,
    key text not null constraint idempotency_keys_key_length check (char_length(key) between 1 and 200),
    -- SHA-256 of the input, so that the same key with another input is refused.
    input bytea not null,
    target_id uuid not null,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (organization_id, actor_id, action, key)
);
create index idempotency_keys_age on idempotency_keys (organization_id, created_at);
create index idempotency_keys_actor on idempotency_keys (actor_id, action, key);

alter table usage_counters enable row level security, force row level security;
alter table idempotency_keys enable row level security, force row level security;
create policy usage_counters_tenant on usage_counters for select to aicos_app
    using (organization_id = (select app.current_organization()));
create policy idempotency_keys_tenant on idempotency_keys to aicos_app
    using (organization_id = (select app.current_organization()))
    with check (organization_id = (select app.current_organization()));
-- A repeated organizationCreate finds its first answer before it has an organization.
create policy idempotency_keys_own on idempotency_keys for select to aicos_app
    using (actor_id = (select app.current_user_id()) and (select app.current_organization()) is null);

grant select on usage_counters to aicos_app;
grant select, insert, delete on idempotency_keys to aicos_app;

-- The gate counts requests of many organizations at once.
create policy usage_counters_gate on usage_counters to aicos_gate using (true) with check (true);
grant select, insert, update on usage_counters to aicos_gate;
