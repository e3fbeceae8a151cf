-- Projects, the roles that people have in them, and what a limitation to projects hides.

create table projects (
    organization_id uuid not null constraint projects_organization_fkey references organizations on delete cascade,
    id uuid not null,
    name text not null constraint projects_name_length check (char_length(name) between 1 and 100),
    slug text not null constraint projects_slug_form check (slug ~ '^[a-z0-9](-?[a-z0-9]){0,62}$'),
    description text constraint projects_description_length check (char_length(description) <= 2000),
    settings jsonb not null default '{}' constraint projects_settings_object check (jsonb_typeof(settings) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    archived_at timestamptz,
    constraint projects_pkey primary key (organization_id, id),
    constraint projects_slug_key unique (organization_id, slug)
);

-- A role set here replaces the inherited one in this project; for a guest the row is also what lets them in.
create table project_members (
    organization_id uuid not null,
    project_id uuid not null,
    user_id uuid not null,
    role text not null constraint project_members_role check (role in ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')),
    created_at timestamptz not null default now(),
    constraint project_members_pkey primary key (organization_id, project_id, user_id),
    constraint project_members_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade,
    constraint project_members_membership_fkey foreign key (organization_id, user_id)
        references memberships (organization_id, user_id) on delete cascade
);
create index project_members_user on project_members (organization_id, user_id);

alter table projects enable row level security, force row level security;
alter table project_members enable row level security, force row level security;

create policy projects_tenant on projects to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or id = any ((select app.current_projects())::uuid[])));
create policy project_members_tenant on project_members to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

-- Who is limited to projects sees the full members, who are in every project, and the guests of those projects.
create policy memberships_tenant on memberships to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or not limited or user_id = (select app.current_user_id()) or exists (
            select from project_members p
            where p.organization_id = memberships.organization_id and p.user_id = memberships.user_id)))
    with check (organization_id = (select app.current_organization()));

-- A person is visible to those who share the organization, as far as their memberships are.
create policy users_visible on users for select to aicos_app
    using (id = (select app.current_user_id()) or exists (
        select from memberships m where m.organization_id = (select app.current_organization()) and m.user_id = users.id));
create policy users_insert on users for insert to aicos_app with check (id = (select app.current_user_id()));
create policy users_update on users for update to aicos_app
    using (id = (select app.current_user_id()) and (select app.current_organization()) is null)
    with check (id = (select app.current_user_id()));

grant select, insert, update, delete on projects, project_members to aicos_app;

-- A role in a project is part of what a scope was made from.
create function app.renew_project_member() returns trigger language plpgsql as $$
begin
    update public.memberships set version = version
    where organization_id = coalesce(new.organization_id, old.organization_id)
      and user_id = coalesce(new.user_id, old.user_id);
    return null;
end $$;
create trigger project_members_renew after insert or update or delete on project_members
    for each row execute function app.renew_project_member();
revoke execute on function app.renew_project_member() from public;
grant execute on function app.renew_project_member() to aicos_app;
