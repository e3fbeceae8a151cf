-- The gate: the few functions that look before an organization is known, and the one that every transaction enters by.
-- They belong to aicos_gate, a role that cannot sign in and bypasses nothing: it sees a table through one policy of its
-- own there, and only the columns that are granted here.

create policy sessions_gate on sessions for select to aicos_gate using (true);
create policy memberships_gate on memberships for select to aicos_gate using (true);
create policy organizations_gate on organizations for select to aicos_gate using (true);
create policy projects_gate on projects for select to aicos_gate using (true);
create policy project_members_gate on project_members for select to aicos_gate using (true);
create policy users_gate on users for select to aicos_gate using (true);
create policy passwords_gate on passwords for select to aicos_gate using (true);
create policy user_tokens_gate on user_tokens for select to aicos_gate using (true);
create policy invitations_gate on invitations for select to aicos_gate using (true);
create policy api_keys_gate on api_keys for select to aicos_gate using (true);
create policy audit_entries_gate on audit_entries for select to aicos_gate using (true);

grant select on sessions, memberships, project_members, users, passwords, user_tokens, invitations, api_keys to aicos_gate;
grant select (id, name, slug, tier, deleted_at) on organizations to aicos_gate;
grant select (organization_id, id, name, slug) on projects to aicos_gate;

-- The last use is written for many credentials at once, so that no request pays for it.
create policy sessions_touch on sessions for update to aicos_gate using (true) with check (true);
create policy api_keys_touch on api_keys for update to aicos_gate using (true) with check (true);
grant update (last_used_at) on sessions, api_keys to aicos_gate;

-- SQLSTATEs that the server tells apart:
--   AC001 the credential is revoked, expired or unknown    AC002 not a member    AC003 the membership has changed
--   AC010 the last owner

-- Enters one organization: verifies credential and membership, and sets the context of this transaction.
-- p_version is the one that the caller's scope was made from; p_project narrows further, NULL does not.
create function app.enter(
    p_organization uuid, p_user uuid, p_credential uuid, p_key boolean, p_version bigint, p_project uuid
) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
    if v_version <> p_version then
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
    perform set_config('app.organization', p_organization::text, true),
            set_config('app.user', p_user::text, true),
            set_config('app.project', coalesce(v_projects::text, ''), true);
end $$;

-- Enters as a person, in no organization: for what is theirs alone.
create function app.enter_user(p_user uuid, p_session uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform from public.sessions s
    where s.id = p_session and s.user_id = p_user and s.revoked_at is null and s.expires_at > clock_timestamp();
    if not found then
        raise exception using errcode = 'AC001', message = 'the credential is not alive';
    end if;
    perform set_config('app.organization', '', true),
            set_config('app.user', p_user::text, true),
            set_config('app.project', '', true);
end $$;

-- What a scope is made from: a person's membership in one organization, chosen by id or slug. No row: not a member.
create function app.find_scope(p_user uuid, p_organization uuid, p_slug text)
returns table (organization_id uuid, role text, limited boolean, version bigint, deleted boolean,
    project_ids uuid[], project_roles text[], points_per_minute integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select m.organization_id, m.role, m.limited, m.version, o.deleted_at is not null,
        coalesce((select array_agg(p.project_id order by p.project_id) from public.project_members p
            where p.organization_id = m.organization_id and p.user_id = m.user_id), '{}'),
        coalesce((select array_agg(p.role order by p.project_id) from public.project_members p
            where p.organization_id = m.organization_id and p.user_id = m.user_id), '{}'),
        t.points_per_minute
    from public.memberships m
    join public.organizations o on o.id = m.organization_id
    join public.tiers t on t.key = o.tier
    where m.user_id = p_user
      and (p_organization is null or m.organization_id = p_organization)
      and (p_slug is null or o.slug = p_slug)
      -- A deleted organization is there for its owners, for 30 days.
      and (o.deleted_at is null or m.role = 'OWNER' and o.deleted_at > now() - interval '30 days');
end;

-- What an API key's scope is made from: its hashes, and what its creator may do now, as one snapshot, so that a secret is
-- never judged by one version of the key and the scope made from another.
create function app.find_key_scope(p_key uuid)
returns table (organization_id uuid, creator_id uuid, hash bytea, previous_hash bytea, previous_expires_at timestamptz,
    expires_at timestamptz, revoked_at timestamptz, requests_per_minute integer, project_id uuid, permissions text[],
    role text, limited boolean, version bigint, project_ids uuid[], project_roles text[], points_per_minute integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select k.organization_id, k.created_by, k.hash, k.previous_hash, k.previous_expires_at, k.expires_at, k.revoked_at,
        k.requests_per_minute, k.project_id, k.permissions, m.role, m.limited, greatest(m.version, k.version),
        coalesce((select array_agg(p.project_id order by p.project_id) from public.project_members p
            where p.organization_id = m.organization_id and p.user_id = m.user_id), '{}'),
        coalesce((select array_agg(p.role order by p.project_id) from public.project_members p
            where p.organization_id = m.organization_id and p.user_id = m.user_id), '{}'),
        t.points_per_minute
    from public.api_keys k
    join public.memberships m on m.organization_id = k.organization_id and m.user_id = k.created_by
    join public.organizations o on o.id = k.organization_id and o.deleted_at is null
    join public.tiers t on t.key = o.tier
    where k.id = p_key;
end;

-- A person by their address, for signing in.
create function app.find_login(p_email text) returns table (user_id uuid, hash text)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select u.id, p.hash from public.users u left join public.passwords p on p.user_id = u.id where u.email = p_email;
end;

-- A person's own password hash, for changing it.
create function app.find_password(p_user uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select p.hash from public.passwords p where p.user_id = p_user;
end;

-- A single-use link that is still good.
create function app.find_user_token(p_hash bytea, p_purpose text) returns table (id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select t.id, t.user_id from public.user_tokens t
    where t.hash = p_hash and t.purpose = p_purpose and t.used_at is null and t.expires_at > now();
end;

-- What an invitation link offers.
create function app.find_invitation(p_hash bytea)
returns table (organization_id uuid, id uuid, organization_name text, project_id uuid, project_name text, role text,
    email text, status text, expires_at timestamptz, invited_by uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select i.organization_id, i.id, o.name, i.project_id, p.name, i.role, i.email, i.status, i.expires_at, i.invited_by
    from public.invitations i
    join public.organizations o on o.id = i.organization_id and o.deleted_at is null
    left join public.projects p on p.organization_id = i.organization_id and p.id = i.project_id
    where i.hash = p_hash;
end;

-- Records the last use of many credentials at once.
create function app.touch(p_sessions uuid[], p_keys uuid[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    update public.sessions s set last_used_at = now() where s.id = any (p_sessions);
    update public.api_keys k set last_used_at = now() where k.id = any (p_keys);
end;

-- Adds to the request counters of many organizations at once.
create function app.count_usage(p_organizations uuid[], p_metric text, p_used bigint[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    insert into public.usage_counters as c (organization_id, metric, day, used)
    select u.organization, p_metric, (now() at time zone 'UTC')::date, u.used
    from unnest(p_organizations, p_used) as u (organization, used)
    order by u.organization
    on conflict (organization_id, metric, day) do update set used = c.used + excluded.used;
end;

-- The signing keys, newest first; the private parts are sealed.
create function app.signing_keys()
returns table (id text, public_key bytea, sealed_private_key bytea, created_at timestamptz, retired_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select k.id, k.public_key, k.sealed_private_key, k.created_at, k.retired_at from public.signing_keys k
    where k.retired_at is null or k.retired_at > now() - interval '1 day'
    order by k.retired_at is null desc, k.created_at desc;
end;

-- Adds a signing key; with p_rotate the ones before it retire, and only verify for a day. Without it, the key is added
-- only when there is none yet, so that servers that start together agree on one.
create function app.add_signing_key(p_id text, p_public bytea, p_sealed bytea, p_rotate boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('aicos.signing_keys', 0));
    if p_rotate then
        update public.signing_keys set retired_at = now() where retired_at is null;
    elsif exists (select from public.signing_keys k where k.retired_at is null) then
        return;
    end if;
    insert into public.signing_keys (id, public_key, sealed_private_key) values (p_id, p_public, p_sealed);
end $$;

-- The last owner cannot leave, be removed or lowered. Held here, under a lock of the organization's own, because two
-- owners may lower each other at the same time.
create function app.keep_an_owner() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(old.organization_id::text, 1));
    if not exists (
        select from public.memberships m
        where m.organization_id = old.organization_id and m.role = 'OWNER' and m.user_id <> old.user_id
    ) then
        raise exception using errcode = 'AC010', message = 'the last owner';
    end if;
    return coalesce(new, old);
end $$;
create trigger memberships_keep_an_owner before delete on memberships
    for each row when (old.role = 'OWNER') execute function app.keep_an_owner();
create trigger memberships_keep_an_owner_update before update of role on memberships
    for each row when (old.role = 'OWNER' and new.role <> 'OWNER') execute function app.keep_an_owner();

-- The first row of each organization's audit log that is altered, missing or out of order. For `audit verify`, which
-- runs as the owner.
create function app.audit_problems()
returns table (organization_id uuid, entries bigint, sequence bigint, problem text)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    with walked as (
        select e.organization_id, e.sequence,
            lag(e.sequence, 1, 0::bigint) over chain as before,
            e.hash = app.audit_hash(lag(e.hash, 1, decode(repeat('00', 32), 'hex')) over chain, e) as intact
        from public.audit_entries e
        window chain as (partition by e.organization_id order by e.sequence)
    ), judged as (
        select w.organization_id, w.sequence, case
            when w.sequence <> w.before + 1 then 'the entries before it are missing: ' || (w.before + 1) || ' to ' || (w.sequence - 1)
            when not w.intact then 'it was altered or moved, or the entry before it was'
        end as problem
        from walked w
    ), last as (
        select j.organization_id, count(*) as entries, max(j.sequence) as sequence,
            min(j.sequence) filter (where j.problem is not null) as first_bad
        from judged j group by j.organization_id
    )
    select coalesce(l.organization_id, h.organization_id, o.id), coalesce(l.entries, 0),
        case
            when l.first_bad is not null then l.first_bad
            when l.sequence > h.sequence then h.sequence + 1
            when l.sequence = h.sequence and not tip.intact then l.sequence
            else coalesce(l.sequence, 0) + 1
        end,
        case
            when l.first_bad is not null then (select j.problem from judged j
                where j.organization_id = l.organization_id and j.sequence = l.first_bad)
            -- Founding an organization leaves the first entry, so a log without any was emptied.
            when l.organization_id is null and h.organization_id is null then 'the log has no entry at all'
            when h.organization_id is null then 'the head of the chain is missing'
            when coalesce(l.sequence, 0) < h.sequence
                then 'the newest entries are missing: ' || (coalesce(l.sequence, 0) + 1) || ' to ' || h.sequence
            when l.sequence > h.sequence
                then 'entries were added past the head of the chain: ' || (h.sequence + 1) || ' to ' || l.sequence
            when not tip.intact then 'the head of the chain does not match the newest entry'
        end
    from last l
    full join public.audit_heads h on h.organization_id = l.organization_id
    full join public.organizations o on o.id = coalesce(l.organization_id, h.organization_id)
    left join lateral (
        select e.hash = h.hash as intact from public.audit_entries e
        where e.organization_id = l.organization_id and e.sequence = l.sequence
    ) tip on true;
end;

grant create on schema app to aicos_gate;
do $$
declare
    f regprocedure;
begin
    for f in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = 'app'::regnamespace and p.prosecdef
    loop
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to aicos_app', f);
        execute format('alter function %s owner to aicos_gate', f);
    end loop;
end $$;
-- Trigger functions are run by their trigger; verifying the chains is the owner's.
revoke execute on function app.audit_problems(), app.chain_audit_entry(), app.keep_an_owner() from aicos_app;
revoke create on schema app from aicos_gate;
grant execute on function app.audit_problems() to aicos_owner;
grant select on _sqlx_migrations to aicos_app;
