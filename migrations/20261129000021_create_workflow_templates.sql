-- An organization's own workflows: for all of its projects, or for one.

create table workflow_templates (
    organization_id uuid not null constraint workflow_templates_organization_fkey
        references organizations on delete cascade,
    id uuid not null,
    -- None: for every project.
    project_id uuid,
    -- What runs name it by; a project's own stands before the organization's.
    key text not null constraint workflow_templates_key_form check (key ~ '^[a-z][a-zA-Z0-9_]{0,39}$'),
    name text not null constraint workflow_templates_name_length check (char_length(name) between 1 and 100),
    description text constraint workflow_templates_description_length check (char_length(description) between 1 and 2000),
    -- Its variables and steps, in the form that their code writes and reads; it is checked before it comes here.
    definition jsonb not null constraint workflow_templates_definition_object check (jsonb_typeof(definition) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint workflow_templates_pkey primary key (organization_id, id),
    constraint workflow_templates_key_key unique nulls not distinct (organization_id, project_id, key),
    constraint workflow_templates_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);

alter table workflow_templates enable row level security, force row level security;
-- Who is limited to projects works by the organization's templates as well.
create policy workflow_templates_tenant on workflow_templates to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id is null
            or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization()));
-- And changes those of their own projects only.
create policy workflow_templates_own_insert on workflow_templates as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null
        or project_id = any ((select app.current_projects())::uuid[]));
create policy workflow_templates_own_update on workflow_templates as restrictive for update to aicos_app
    using ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[]))
    with check ((select app.current_projects()) is null
        or project_id = any ((select app.current_projects())::uuid[]));
create policy workflow_templates_own_delete on workflow_templates as restrictive for delete to aicos_app
    using ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[]));

grant select, insert, delete on workflow_templates to aicos_app;
grant update (name, description, definition, updated_at) on workflow_templates to aicos_app;
