-- Providers of models that an organization has set up itself, and which engine its agents work with when a call names none.

create table providers (
    organization_id uuid not null constraint providers_organization_fkey references organizations on delete cascade,
    id uuid not null,
    -- What calls name it by. Of an organization's own and the server's of the same name, the organization's is meant.
    name text not null constraint providers_name_form
        check (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and char_length(name) <= 40 and name <> 'builtin'),
    kind text not null constraint providers_kind check (kind in ('openai', 'anthropic')),
    base_url text not null constraint providers_base_url_length check (char_length(base_url) between 1 and 2000),
    -- The model of calls that name none.
    model text constraint providers_model_length check (char_length(model) between 1 and 200),
    -- The API key, sealed with a master key that is not in the database, for this row of this organization alone.
    sealed_key bytea,
    key_hint text constraint providers_key_hint_length check (char_length(key_hint) <= 4),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    tested_at timestamptz,
    constraint providers_pkey primary key (organization_id, id),
    constraint providers_name_key unique (organization_id, name)
);

alter table providers enable row level security, force row level security;
create policy providers_tenant on providers to aicos_app
    using (organization_id = (select app.current_organization()))
    with check (organization_id = (select app.current_organization()));
-- Agents of every project work with them; who is limited to projects changes nothing that others share.
create policy providers_whole_insert on providers as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null);
create policy providers_whole_update on providers as restrictive for update to aicos_app
    using ((select app.current_projects()) is null)
    with check ((select app.current_projects()) is null);
create policy providers_whole_delete on providers as restrictive for delete to aicos_app
    using ((select app.current_projects()) is null);

grant select, insert, delete on providers to aicos_app;
grant update (name, base_url, model, sealed_key, key_hint, updated_at, tested_at) on providers to aicos_app;

create table engine_routes (
    organization_id uuid not null constraint engine_routes_organization_fkey references organizations on delete cascade,
    id uuid not null,
    -- None: for every project that has no route of its own for the agent.
    project_id uuid,
    agent text not null constraint engine_routes_agent_length check (char_length(agent) between 1 and 40),
    -- By name, because the server's own have no row. `builtin` is one as well: a project may leave its organization's.
    provider text not null constraint engine_routes_provider_length check (char_length(provider) between 1 and 40),
    model text constraint engine_routes_model_length check (char_length(model) between 1 and 200),
    fallback boolean not null,
    constraint engine_routes_pkey primary key (organization_id, id),
    constraint engine_routes_place_key unique nulls not distinct (organization_id, project_id, agent),
    constraint engine_routes_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);

alter table engine_routes enable row level security, force row level security;
-- Who is limited to projects works by the organization's routes as well.
create policy engine_routes_tenant on engine_routes to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id is null
            or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization()));
-- And changes those of their own projects only.
create policy engine_routes_own_insert on engine_routes as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null
        or project_id = any ((select app.current_projects())::uuid[]));
create policy engine_routes_own_update on engine_routes as restrictive for update to aicos_app
    using ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[]))
    with check ((select app.current_projects()) is null
        or project_id = any ((select app.current_projects())::uuid[]));
create policy engine_routes_own_delete on engine_routes as restrictive for delete to aicos_app
    using ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[]));

grant select, insert, delete on engine_routes to aicos_app;
grant update (provider, model, fallback) on engine_routes to aicos_app;

-- Sealing every organization's keys anew, when the master key has changed, is the gate's.
create policy providers_gate on providers for select to aicos_gate using (true);
create policy providers_gate_seal on providers for update to aicos_gate using (true) with check (true);
grant select (organization_id, id, sealed_key), update (sealed_key) on providers to aicos_gate;

-- Keys that were not sealed under the current master key: their first bytes say which one it was.
create function app.keys_to_seal(p_current bytea, p_most integer)
returns table (organization_id uuid, id uuid, sealed_key bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select p.organization_id, p.id, p.sealed_key from public.providers p
    where p.sealed_key is not null and substring(p.sealed_key from 1 for length(p_current)) <> p_current
    order by p.organization_id, p.id limit p_most;
end;

-- Puts the same key, sealed anew, in the place of what it was opened from; false when that has changed meanwhile.
create function app.seal_key(p_organization uuid, p_provider uuid, p_before bytea, p_after bytea) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    update public.providers p set sealed_key = p_after
    where p.organization_id = p_organization and p.id = p_provider and p.sealed_key = p_before
    returning true;
end;

grant create on schema app to aicos_gate;
revoke execute on function app.keys_to_seal(bytea, integer) from public;
revoke execute on function app.seal_key(uuid, uuid, bytea, bytea) from public;
grant execute on function app.keys_to_seal(bytea, integer) to aicos_app;
grant execute on function app.seal_key(uuid, uuid, bytea, bytea) to aicos_app;
alter function app.keys_to_seal(bytea, integer) owner to aicos_gate;
alter function app.seal_key(uuid, uuid, bytea, bytea) owner to aicos_gate;
revoke create on schema app from aicos_gate;
