-- Accounts of other services that an organization has connected, for what it publishes.

create table accounts (
    organization_id uuid not null constraint accounts_organization_fkey references organizations on delete cascade,
    id uuid not null,
    -- None: for every project.
    project_id uuid,
    channel text not null constraint accounts_channel check (channel in ('INSTAGRAM')),
    -- Which way its owner signed in: each has a host of its own.
    login text not null constraint accounts_login check (login in ('FACEBOOK', 'INSTAGRAM')),
    -- The service's own id of the account.
    external_id text not null constraint accounts_external_id_form check (external_id ~ '^[0-9]{1,40}$'),
    username text constraint accounts_username_length check (char_length(username) between 1 and 100),
    -- The access token, sealed with a master key that is not in the database, for this row of this organization alone.
    sealed_token bytea not null,
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    tested_at timestamptz,
    constraint accounts_pkey primary key (organization_id, id),
    constraint accounts_external_id_key unique nulls not distinct (organization_id, project_id, channel, external_id),
    constraint accounts_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);

alter table accounts enable row level security, force row level security;
-- Who is limited to projects publishes by the organization's accounts as well.
create policy accounts_tenant on accounts to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id is null
            or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization()));
-- And changes those of their own projects only.
create policy accounts_own_insert on accounts as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null
        or project_id = any ((select app.current_projects())::uuid[]));
create policy accounts_own_update on accounts as restrictive for update to aicos_app
    using ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[]))
    with check ((select app.current_projects()) is null
        or project_id = any ((select app.current_projects())::uuid[]));
create policy accounts_own_delete on accounts as restrictive for delete to aicos_app
    using ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[]));

grant select, insert, delete on accounts to aicos_app;
grant update (username, sealed_token, expires_at, updated_at, tested_at) on accounts to aicos_app;

-- Sealing every organization's tokens anew, when the master key has changed, is the gate's.
create policy accounts_gate on accounts for select to aicos_gate using (true);
create policy accounts_gate_seal on accounts for update to aicos_gate using (true) with check (true);
grant select (organization_id, id, sealed_token), update (sealed_token) on accounts to aicos_gate;

-- As app.keys_to_seal and app.seal_key, for tokens.
create function app.tokens_to_seal(p_current bytea, p_most integer)
returns table (organization_id uuid, id uuid, sealed_token bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select a.organization_id, a.id, a.sealed_token from public.accounts a
    where substring(a.sealed_token from 1 for length(p_current)) <> p_current
    order by a.organization_id, a.id limit p_most;
end;
create function app.seal_token(p_organization uuid, p_account uuid, p_before bytea, p_after bytea) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    update public.accounts a set sealed_token = p_after
    where a.organization_id = p_organization and a.id = p_account and a.sealed_token = p_before
    returning true;
end;

grant create on schema app to aicos_gate;
revoke execute on function app.tokens_to_seal(bytea, integer) from public;
revoke execute on function app.seal_token(uuid, uuid, bytea, bytea) from public;
grant execute on function app.tokens_to_seal(bytea, integer) to aicos_app;
grant execute on function app.seal_token(uuid, uuid, bytea, bytea) to aicos_app;
alter function app.tokens_to_seal(bytea, integer) owner to aicos_gate;
alter function app.seal_token(uuid, uuid, bytea, bytea) owner to aicos_gate;
revoke create on schema app from aicos_gate;

-- What an organization publishes, for finding what was published before.
create index outputs_publications on outputs (organization_id, id) where agent = 'INSTAGRAM_POSTER';
