-- The same rules, cheaper. What a policy looks up in another table is read through that table's own policies, and the
-- executor prepares all of it for every statement, whether or not a row ever asks. So the rare cases (nobody's
-- organization, a credential limited to projects) look up one array, in a function that runs only when it is needed.
-- The functions run as their caller: they see what the caller's policies show.

-- The organizations of the person, while no organization is set.
create function app.own_organizations() returns uuid[]
language plpgsql stable parallel safe as $$
begin
    if app.current_organization() is not null then
        return null;
    end if;
    return array(select m.organization_id from public.memberships m where m.user_id = app.current_user_id());
end $$;

-- Everybody who has a role of their own in one of the projects that the credential is limited to.
create function app.people_of_projects() returns uuid[]
language plpgsql stable parallel safe as $$
begin
    return array(
        select p.user_id from public.project_members p
        where p.organization_id = app.current_organization() and p.project_id = any (app.current_projects()));
end $$;
revoke execute on function app.own_organizations(), app.people_of_projects() from public;
grant execute on function app.own_organizations(), app.people_of_projects() to aicos_app;

alter policy organizations_own on organizations
    using ((select app.current_organization()) is null and id = any ((select app.own_organizations())::uuid[]));
-- As a CASE it is never an index condition: joined by OR to the tenant's policy it would be one, and every statement of
-- a tenant would read two indexes and sort.
alter policy memberships_own on memberships
    using (case when (select app.current_organization()) is null then user_id = (select app.current_user_id()) else false end);
alter policy memberships_tenant on memberships
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or not limited or user_id = (select app.current_user_id())
            or user_id = any ((select app.people_of_projects())::uuid[])));

-- In PL/pgSQL, because a function in SQL that cannot be inlined is planned again at every call.
create or replace function app.record_audit(
    p_id uuid, p_action text, p_outcome text, p_key uuid, p_role text, p_target_type text, p_target_id text,
    p_project uuid, p_changes jsonb, p_ip text, p_user_agent text, p_request_id text
) returns void language plpgsql as $$
declare
    v_organization constant uuid := app.current_organization();
    v_user constant uuid := app.current_user_id();
    v_label text;
begin
    if p_key is null then
        select u.name into v_label from public.users u where u.id = v_user;
    else
        select k.name into v_label from public.api_keys k where k.organization_id = v_organization and k.id = p_key;
    end if;
    insert into public.audit_entries (organization_id, id, action, outcome, actor_user_id, actor_key_id, actor_label,
        actor_role, target_type, target_id, project_id, changes, ip, user_agent, request_id)
    values (v_organization, p_id, p_action, p_outcome, case when p_key is null then v_user end, p_key,
        coalesce(v_label, 'unknown'), p_role, p_target_type, p_target_id, p_project, coalesce(p_changes, '[]'), p_ip,
        p_user_agent, p_request_id);
end $$;

-- The guests of an organization are few beside its members.
create index memberships_guests on memberships (organization_id, user_id) where limited;

-- The same, and for the same reason in PL/pgSQL: a scope that is not cached is made from this, at a request's expense.
create or replace function app.find_scope(p_user uuid, p_organization uuid, p_slug text)
returns table (organization_id uuid, role text, limited boolean, version bigint, deleted boolean,
    project_ids uuid[], project_roles text[], points_per_minute integer)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
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
end $$;
