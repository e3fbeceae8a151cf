-- Organizations, and the memberships that spell them.

create table organizations (
    id uuid constraint organizations_pkey primary key,
    name text not null constraint organizations_name_length check (char_length(name) between 1 and 100),
    -- Not unique across the server: a slug is looked up among the caller's own organizations, so that nobody can find
    -- out by trying which customers there are.
    slug text not null constraint organizations_slug_form check (slug ~ '^[a-z0-9](-?[a-z0-9]){0,62}$'),
    description text constraint organizations_description_length check (char_length(description) <= 2000),
    tier text not null default 'community' constraint organizations_tier_fkey references tiers,
    settings jsonb not null default '{}' constraint organizations_settings_object check (jsonb_typeof(settings) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- Deleted softly: its owners can read and restore it for 30 days.
    deleted_at timestamptz
);
create index organizations_tier on organizations (tier);

-- Every change of a right draws a new number, so that a scope made before it is recognised as old by comparing one
-- number, and a membership that is deleted and made again never repeats one.
create sequence access_versions;
grant usage on sequence access_versions to aicos_app;

create table memberships (
    organization_id uuid not null constraint memberships_organization_fkey references organizations on delete cascade,
    user_id uuid not null constraint memberships_user_fkey references users on delete cascade,
    id uuid not null,
    role text not null constraint memberships_role check (role in ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')),
    -- A guest sees only the projects that they have a row for in project_members.
    limited boolean not null default false,
    version bigint not null default nextval('access_versions'),
    invited_by uuid constraint memberships_invited_by_fkey references users on delete set null,
    created_at timestamptz not null default now(),
    constraint memberships_pkey primary key (organization_id, user_id),
    constraint memberships_id_key unique (organization_id, id),
    constraint memberships_owner_unlimited check (role <> 'OWNER' or not limited)
);
create index memberships_user on memberships (user_id);
create index memberships_invited_by on memberships (invited_by);

alter table organizations enable row level security, force row level security;
alter table memberships enable row level security, force row level security;

create policy organizations_tenant on organizations to aicos_app
    using (id = (select app.current_organization()))
    with check (id = (select app.current_organization()));

-- A person's own memberships are read under the person, before any organization is chosen.
create policy memberships_own on memberships for select to aicos_app
    using (user_id = (select app.current_user_id()) and (select app.current_organization()) is null);
create policy organizations_own on organizations for select to aicos_app
    using ((select app.current_organization()) is null and exists (
        select from memberships m where m.organization_id = organizations.id and m.user_id = (select app.current_user_id())));

grant select, insert, update on organizations to aicos_app;
grant select, insert, update, delete on memberships to aicos_app;

create function app.renew_membership() returns trigger language plpgsql as $$
begin
    new.version := nextval('public.access_versions');
    return new;
end $$;
create trigger memberships_renew before update on memberships for each row execute function app.renew_membership();

-- Deleting and restoring an organization changes what everybody may do in it.
create function app.renew_memberships() returns trigger language plpgsql as $$
begin
    update public.memberships set version = version where organization_id = new.id;
    return null;
end $$;
create trigger organizations_renew after update of deleted_at on organizations
    for each row when (old.deleted_at is distinct from new.deleted_at) execute function app.renew_memberships();

revoke execute on function app.renew_membership(), app.renew_memberships() from public;
grant execute on function app.renew_membership(), app.renew_memberships() to aicos_app;
