-- What agents leave behind. One row here for every result of every agent, so that they can be listed, rated and deleted
-- together; what is special to an agent stands in a table of its own under the same id.

create table outputs (
    organization_id uuid not null constraint outputs_organization_fkey references organizations on delete cascade,
    id uuid not null,
    project_id uuid,
    agent text not null constraint outputs_agent_length check (char_length(agent) between 1 and 40),
    job_id uuid not null,
    created_by uuid not null,
    created_by_key uuid,
    created_at timestamptz not null default now(),
    constraint outputs_pkey primary key (organization_id, id),
    constraint outputs_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade,
    constraint outputs_job_fkey foreign key (organization_id, job_id) references jobs (organization_id, id) on delete cascade,
    -- A job has one result, whatever is tried twice.
    constraint outputs_job_key unique (organization_id, job_id)
);
create index outputs_project on outputs (organization_id, project_id, id);

create table output_ratings (
    organization_id uuid not null,
    output_id uuid not null,
    -- The person, or the API key.
    actor_id uuid not null,
    project_id uuid,
    by_key boolean not null,
    stars smallint not null constraint output_ratings_stars_range check (stars between 1 and 5),
    comment text constraint output_ratings_comment_length check (char_length(comment) between 1 and 2000),
    at timestamptz not null default now(),
    constraint output_ratings_pkey primary key (organization_id, output_id, actor_id),
    constraint output_ratings_output_fkey foreign key (organization_id, output_id)
        references outputs (organization_id, id) on delete cascade
);

create table qa_answers (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid,
    question text not null constraint qa_answers_question_length check (char_length(question) between 1 and 2000),
    answer text,
    confidence real constraint qa_answers_confidence_range check (confidence between 0 and 1),
    constraint qa_answers_pkey primary key (organization_id, id),
    constraint qa_answers_output_fkey foreign key (organization_id, id)
        references outputs (organization_id, id) on delete cascade
);

-- Where an answer stands, word for word. The quote stays when the document goes.
create table qa_citations (
    organization_id uuid not null,
    answer_id uuid not null,
    ordinal smallint not null,
    project_id uuid,
    -- Whether it is only what came closest.
    near_miss boolean not null,
    document_id uuid,
    document_version integer not null,
    heading text,
    quote text not null,
    start_offset integer not null,
    end_offset integer not null,
    score real not null,
    constraint qa_citations_pkey primary key (organization_id, answer_id, ordinal),
    constraint qa_citations_answer_fkey foreign key (organization_id, answer_id)
        references qa_answers (organization_id, id) on delete cascade,
    constraint qa_citations_version_fkey foreign key (organization_id, document_id, document_version)
        references document_versions (organization_id, document_id, version) on delete set null (document_id),
    constraint qa_citations_place check (start_offset >= 0 and end_offset = start_offset + char_length(quote))
);
create index qa_citations_version on qa_citations (organization_id, document_id, document_version);

alter table outputs enable row level security, force row level security;
alter table output_ratings enable row level security, force row level security;
alter table qa_answers enable row level security, force row level security;
alter table qa_citations enable row level security, force row level security;
create policy outputs_tenant on outputs to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy output_ratings_tenant on output_ratings to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy qa_answers_tenant on qa_answers to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy qa_citations_tenant on qa_citations to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

grant select, insert, delete on outputs, output_ratings to aicos_app;
grant update (stars, comment, at) on output_ratings to aicos_app;
grant select, insert on qa_answers, qa_citations to aicos_app;
