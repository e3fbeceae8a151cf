-- A pass is a parameter that enters: whoever binds one to a statement has been verified, and the context has been set,
-- before the statement is planned, let alone run. Why that is so stands in src/db/hot.rs. It spares a hot query the function
-- around it, whose rows were kept aside and read again.

-- Both answer true, because a domain's check has to, or raise; and a version that is missing is not the right one.
drop function app.enter(uuid, uuid, uuid, boolean, bigint, uuid);
drop function app.enter_user(uuid, uuid);

-- Enters one organization: verifies credential and membership, and sets the context of this transaction.
-- p_version is the one that the caller's scope was made from; p_project narrows further, NULL does not.
create function app.enter(
    p_organization uuid, p_user uuid, p_credential uuid, p_key boolean, p_version bigint, p_project uuid
) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_alive boolean;
    v_version bigint;
    v_limited boolean;
    v_only uuid;
    v_projects uuid[];
begin
    if p_key then
        select k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp()),
               greatest(k.version, m.version) + 0 * m.version, m.limited, k.project_id
        into v_alive, v_version, v_limited, v_only
        from public.api_keys k
        left join public.memberships m on m.organization_id = k.organization_id and m.user_id = k.created_by
        where k.organization_id = p_organization and k.id = p_credential and k.created_by = p_user;
    else
        select s.revoked_at is null and s.expires_at > clock_timestamp(), m.version, m.limited
        into v_alive, v_version, v_limited
        from public.sessions s
        left join public.memberships m on m.organization_id = p_organization and m.user_id = s.user_id
        where s.id = p_credential and s.user_id = p_user;
    end if;
    if v_alive is not true then
        raise exception using errcode = 'AC001', message = 'the credential is not alive';
    end if;
    if v_version is null then
        raise exception using errcode = 'AC002', message = 'not a member';
    end if;
    if v_version is distinct from p_version then
        raise exception using errcode = 'AC003', message = 'the membership has changed';
    end if;
    if v_limited then
        select coalesce(array_agg(p.project_id), '{}') into v_projects
        from public.project_members p where p.organization_id = p_organization and p.user_id = p_user;
    end if;
    if v_only is not null then
        v_projects := case when v_projects is null or v_only = any (v_projects) then array[v_only] else '{}' end;
    end if;
    if p_project is not null then
        v_projects := case when v_projects is null or p_project = any (v_projects) then array[p_project] else '{}' end;
    end if;
    -- One expression, which PL/pgSQL computes without opening a query.
    return (set_config('app.organization', p_organization::text, true), set_config('app.user', p_user::text, true),
        set_config('app.project', coalesce(v_projects::text, ''), true)) is not null;
end $$;

-- Enters as a person, in no organization: for what is theirs alone.
create function app.enter_user(p_user uuid, p_session uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform from public.sessions s
    where s.id = p_session and s.user_id = p_user and s.revoked_at is null and s.expires_at > clock_timestamp();
    if not found then
        raise exception using errcode = 'AC001', message = 'the credential is not alive';
    end if;
    return (set_config('app.organization', '', true), set_config('app.user', p_user::text, true),
        set_config('app.project', '', true)) is not null;
end $$;

grant create on schema app to aicos_gate;
revoke execute on function app.enter(uuid, uuid, uuid, boolean, bigint, uuid), app.enter_user(uuid, uuid) from public;
grant execute on function app.enter(uuid, uuid, uuid, boolean, bigint, uuid), app.enter_user(uuid, uuid) to aicos_app;
alter function app.enter(uuid, uuid, uuid, boolean, bigint, uuid) owner to aicos_gate;
alter function app.enter_user(uuid, uuid) owner to aicos_gate;
revoke create on schema app from aicos_gate;

create type app.tenant_credentials as (
    organization uuid, person uuid, credential uuid, is_key boolean, version bigint, project uuid
);
create type app.person_credentials as (person uuid, session uuid);

-- What a pass opens is only for looking. NULL is none.
create domain app.tenant_pass as app.tenant_credentials not null
    constraint tenant_pass_enters check (app.enter((value).organization, (value).person, (value).credential,
        (value).is_key, (value).version, (value).project) and set_config('transaction_read_only', 'on', true) = 'on');
create domain app.person_pass as app.person_credentials not null
    constraint person_pass_enters check (app.enter_user((value).person, (value).session)
        and set_config('transaction_read_only', 'on', true) = 'on');
