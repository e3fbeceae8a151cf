-- API keys. Their secrets have 178 bits of their own randomness, so a plain SHA-256 is enough, and only the gate reads it.
create table api_keys (
    organization_id uuid not null constraint api_keys_organization_fkey references organizations on delete cascade,
    id uuid not null constraint api_keys_pkey primary key,
    -- Set: the key sees this project only.
    project_id uuid,
    name text not null constraint api_keys_name_length check (char_length(name) between 1 and 100),
    hint text not null,
    hash bytea not null,
    -- The secret before the last rotation, while its grace lasts.
    previous_hash bytea,
    previous_expires_at timestamptz,
    permissions text[] not null,
    requests_per_minute integer constraint api_keys_requests_positive check (requests_per_minute between 1 and 1000000),
    version bigint not null default nextval('access_versions'),
    created_by uuid not null constraint api_keys_created_by_fkey references users on delete cascade,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    constraint api_keys_id_key unique (organization_id, id),
    constraint api_keys_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);
create index api_keys_project on api_keys (organization_id, project_id);
create index api_keys_created_by on api_keys (created_by);

alter table api_keys enable row level security, force row level security;
create policy api_keys_tenant on api_keys to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

grant insert,
    update (hint, hash, previous_hash, previous_expires_at, revoked_at, version),
    select (organization_id, id, project_id, name, hint, permissions, requests_per_minute, created_by, created_at,
        last_used_at, expires_at, revoked_at, version)
    on api_keys to aicos_app;

-- Rotation moves the secret aside inside one statement, without anybody reading it: the trigger keeps the old hash.
create function app.renew_api_key() returns trigger language plpgsql as $$
begin
    if new.hash is distinct from old.hash then
        new.previous_hash := old.hash;
    end if;
    if (new.hash, new.revoked_at) is distinct from (old.hash, old.revoked_at) then
        new.version := nextval('public.access_versions');
    end if;
    return new;
end $$;
create trigger api_keys_renew before update on api_keys for each row execute function app.renew_api_key();
revoke execute on function app.renew_api_key() from public;
grant execute on function app.renew_api_key() to aicos_app;
