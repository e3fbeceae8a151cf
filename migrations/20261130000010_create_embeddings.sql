-- Vectors of passages, near one another where the passages mean the same, and which model makes them for an organization.

create table embeddings (
    organization_id uuid not null constraint embeddings_organization_fkey references organizations on delete cascade,
    -- Another one for each choice: vectors belong to the choice that they were made by, and go with it.
    id uuid not null,
    -- By name, because the server's own have no row.
    provider text not null constraint embeddings_provider_length check (char_length(provider) between 1 and 40),
    model text not null constraint embeddings_model_length check (char_length(model) between 1 and 200),
    -- How many numbers a vector shall have; none: as many as the model makes of its own.
    dimensions integer constraint embeddings_dimensions_range check (dimensions between 1 and 4096),
    constraint embeddings_pkey primary key (organization_id, id),
    constraint embeddings_organization_key unique (organization_id)
);

alter table embeddings enable row level security, force row level security;
create policy embeddings_tenant on embeddings to aicos_app
    using (organization_id = (select app.current_organization()))
    with check (organization_id = (select app.current_organization()));
-- Every project is searched with them; who is limited to projects changes nothing that others share.
create policy embeddings_whole_insert on embeddings as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null);
create policy embeddings_whole_delete on embeddings as restrictive for delete to aicos_app
    using ((select app.current_projects()) is null);

grant select, insert, delete on embeddings to aicos_app;

-- One vector of one passage: its direction, a signed byte for each dimension, of which each is worth `scale`.
create table document_chunk_vectors (
    organization_id uuid not null,
    chunk_id uuid not null,
    document_id uuid not null,
    project_id uuid,
    embeddings_id uuid not null,
    scale real not null constraint document_chunk_vectors_scale_positive check (scale > 0),
    direction bytea not null constraint document_chunk_vectors_length check (octet_length(direction) between 1 and 4096),
    constraint document_chunk_vectors_pkey primary key (organization_id, chunk_id),
    constraint document_chunk_vectors_chunk_fkey foreign key (organization_id, chunk_id)
        references document_chunks (organization_id, id) on delete cascade,
    constraint document_chunk_vectors_embeddings_fkey foreign key (organization_id, embeddings_id)
        references embeddings (organization_id, id) on delete cascade
);
create index document_chunk_vectors_embeddings on document_chunk_vectors (organization_id, embeddings_id);
-- A search reads all of them, and they do not get smaller by being packed.
alter table document_chunk_vectors alter column direction set storage plain;

alter table document_chunk_vectors enable row level security, force row level security;
create policy document_chunk_vectors_tenant on document_chunk_vectors to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

-- They are deleted with their passage, or with the choice.
grant select, insert on document_chunk_vectors to aicos_app;

-- Which jobs of a kind wait or work is asked before another one is enqueued.
create index jobs_active on jobs (organization_id, kind) where status in ('QUEUED', 'RUNNING');
