-- Where organizations have news sent to: steps of their workflows send there.

create table webhook_endpoints (
    organization_id uuid not null constraint webhook_endpoints_organization_fkey references organizations on delete cascade,
    id uuid not null,
    name text not null constraint webhook_endpoints_name_length check (char_length(name) between 1 and 100),
    url text not null constraint webhook_endpoints_url_length check (char_length(url) between 1 and 2000),
    -- What is sent is signed with it; sealed with a master key that is not in the database, for this row of this organization alone.
    sealed_secret bytea not null,
    -- The one before, and until when it signs as well.
    sealed_previous bytea,
    previous_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_endpoints_pkey primary key (organization_id, id),
    constraint webhook_endpoints_previous check ((sealed_previous is null) = (previous_until is null))
);

alter table webhook_endpoints enable row level security, force row level security;
create policy webhook_endpoints_tenant on webhook_endpoints to aicos_app
    using (organization_id = (select app.current_organization()))
    with check (organization_id = (select app.current_organization()));
-- Workflows of every project send there; who is limited to projects changes nothing that others share.
create policy webhook_endpoints_whole_insert on webhook_endpoints as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null);
create policy webhook_endpoints_whole_update on webhook_endpoints as restrictive for update to aicos_app
    using ((select app.current_projects()) is null)
    with check ((select app.current_projects()) is null);
create policy webhook_endpoints_whole_delete on webhook_endpoints as restrictive for delete to aicos_app
    using ((select app.current_projects()) is null);

grant select, insert, delete on webhook_endpoints to aicos_app;
grant update (name, url, sealed_secret, sealed_previous, previous_until, updated_at) on webhook_endpoints to aicos_app;

-- Sealing every organization's secrets anew, when the master key has changed, is the gate's.
create policy webhook_endpoints_gate on webhook_endpoints for select to aicos_gate using (true);
create policy webhook_endpoints_gate_seal on webhook_endpoints for update to aicos_gate using (true) with check (true);
grant select (organization_id, id, sealed_secret, sealed_previous), update (sealed_secret, sealed_previous)
    on webhook_endpoints to aicos_gate;

-- As app.tokens_to_seal and app.seal_token, for secrets, each with the one before.
create function app.secrets_to_seal(p_current bytea, p_most integer)
returns table (organization_id uuid, id uuid, sealed_secret bytea, sealed_previous bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select e.organization_id, e.id, e.sealed_secret, e.sealed_previous from public.webhook_endpoints e
    where substring(e.sealed_secret from 1 for length(p_current)) <> p_current
        or substring(e.sealed_previous from 1 for length(p_current)) <> p_current
    order by e.organization_id, e.id limit p_most;
end;
create function app.seal_secret(p_organization uuid, p_endpoint uuid, p_before bytea, p_after bytea, p_previous bytea)
returns boolean
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    update public.webhook_endpoints e set sealed_secret = p_after,
        sealed_previous = case when e.sealed_previous is not null then p_previous end
    where e.organization_id = p_organization and e.id = p_endpoint and e.sealed_secret = p_before
    returning true;
end;

grant create on schema app to aicos_gate;
revoke execute on function app.secrets_to_seal(bytea, integer) from public;
revoke execute on function app.seal_secret(uuid, uuid, bytea, bytea, bytea) from public;
grant execute on function app.secrets_to_seal(bytea, integer) to aicos_app;
grant execute on function app.seal_secret(uuid, uuid, bytea, bytea, bytea) to aicos_app;
alter function app.secrets_to_seal(bytea, integer) owner to aicos_gate;
alter function app.seal_secret(uuid, uuid, bytea, bytea, bytea) owner to aicos_gate;
revoke create on schema app from aicos_gate;
