-- Invitations: what a link offers. Only the token's hash is kept, and only the gate reads it.
create table invitations (
    organization_id uuid not null constraint invitations_organization_fkey references organizations on delete cascade,
    id uuid not null,
    project_id uuid,
    email text not null constraint invitations_email_length check (char_length(email) between 3 and 254),
    role text not null constraint invitations_role check (role in ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')),
    hash bytea not null,
    -- EXPIRED is not stored: it is PENDING past its time.
    status text not null default 'PENDING'
        constraint invitations_status check (status in ('PENDING', 'ACCEPTED', 'DECLINED', 'REVOKED')),
    delivery text not null
        constraint invitations_delivery check (delivery in ('NOT_CONFIGURED', 'QUEUED', 'SENT', 'FAILED')),
    invited_by uuid constraint invitations_invited_by_fkey references users on delete set null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint invitations_pkey primary key (id),
    constraint invitations_id_key unique (organization_id, id),
    constraint invitations_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade,
    constraint invitations_project_role check (project_id is null or role <> 'OWNER')
);
create index invitations_project on invitations (organization_id, project_id);
create index invitations_invited_by on invitations (invited_by);
-- One open invitation per address and project. Inside the organization only, so it tells nothing about others.
create unique index invitations_pending_key on invitations
    (organization_id, email, coalesce(project_id, '00000000-0000-0000-0000-000000000000')) where status = 'PENDING';
-- How a link finds its row, through the gate. Not led by the tenant: the tenant is what it finds out.
create index invitations_hash on invitations (hash);

alter table invitations enable row level security, force row level security;
create policy invitations_tenant on invitations to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

grant insert, update (hash, status, delivery, expires_at),
    select (organization_id, id, project_id, email, role, status, delivery, invited_by, created_at, expires_at)
    on invitations to aicos_app;
