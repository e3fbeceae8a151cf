-- What is open for long (sockets, event streams) is looked at twice a second: which of the credentials behind it are no
-- longer alive, and which memberships have changed since they were last read by. One statement for all of a process.

-- p_organizations holds null where only the credential is asked about. A row comes back for each place, counted from 1,
-- that is not as it was: alive is false when the credential is dead, and true when only the rights have changed.
create function app.find_changed(
    p_credentials uuid[], p_keys boolean[], p_users uuid[], p_organizations uuid[], p_versions bigint[]
) returns table (place bigint, alive boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select c.place, c.alive
    from (
        select w.place, w.organization_id, w.known,
            case when w.key
                -- A key is its creator's: without them, or without the organization, it is nobody's.
                then k.id is not null and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
                    and creator.user_id is not null and o.deleted_at is null
                else s.id is not null and s.revoked_at is null and s.expires_at > now()
            end as alive,
            case when w.key then greatest(k.version, m.version) + 0 * m.version else m.version end as version
        from unnest(p_credentials, p_keys, p_users, p_organizations, p_versions) with ordinality
            as w (credential, key, user_id, organization_id, known, place)
        left join public.sessions s on not w.key and s.id = w.credential and s.user_id = w.user_id
        left join public.api_keys k on w.key and k.id = w.credential and k.created_by = w.user_id
        left join public.organizations o on o.id = k.organization_id
        left join public.memberships creator
            on creator.organization_id = k.organization_id and creator.user_id = k.created_by
        left join public.memberships m on m.organization_id = w.organization_id and m.user_id = w.user_id
    ) c
    where not c.alive or c.organization_id is not null and c.version is distinct from c.known;
end $$;

grant create on schema app to aicos_gate;
revoke execute on function app.find_changed(uuid[], boolean[], uuid[], uuid[], bigint[]) from public;
grant execute on function app.find_changed(uuid[], boolean[], uuid[], uuid[], bigint[]) to aicos_app;
alter function app.find_changed(uuid[], boolean[], uuid[], uuid[], bigint[]) owner to aicos_gate;
revoke create on schema app from aicos_gate;
