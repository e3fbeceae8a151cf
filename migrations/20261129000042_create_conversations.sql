-- Questions that go on from one another. What a conversation holds are its answers; they go with it, as outputs.

create table qa_conversations (
    organization_id uuid not null constraint qa_conversations_organization_fkey references organizations on delete cascade,
    id uuid not null,
    project_id uuid,
    created_by uuid not null,
    created_by_key uuid,
    created_at timestamptz not null default now(),
    constraint qa_conversations_pkey primary key (organization_id, id),
    constraint qa_conversations_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);
create index qa_conversations_project on qa_conversations (organization_id, project_id, id);

alter table qa_answers
    add column conversation_id uuid,
    -- The whole question, where it was completed from those before it.
    add column understood_as text
        constraint qa_answers_understood_as_length check (char_length(understood_as) between 1 and 2000),
    add constraint qa_answers_conversation_fkey foreign key (organization_id, conversation_id)
        references qa_conversations (organization_id, id) on delete cascade;
create index qa_answers_conversation on qa_answers (organization_id, conversation_id, id);

alter table qa_conversations enable row level security, force row level security;
create policy qa_conversations_tenant on qa_conversations to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

grant select, insert, delete on qa_conversations to aicos_app;
