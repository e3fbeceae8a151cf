-- What an organization knows: documents, their versions, and the passages that questions are answered from.

create table documents (
    organization_id uuid not null constraint documents_organization_fkey references organizations on delete cascade,
    id uuid not null,
    -- Of one project, or of the whole organization.
    project_id uuid,
    title text not null constraint documents_title_length check (char_length(title) between 1 and 200),
    source_url text constraint documents_source_url_length check (char_length(source_url) <= 2000),
    mime_type text not null constraint documents_mime_type check (mime_type in ('text/markdown', 'text/plain')),
    version integer not null default 1 constraint documents_version_positive check (version > 0),
    bytes integer not null,
    sha256 bytea not null constraint documents_sha256_length check (octet_length(sha256) = 32),
    -- The version whose passages can be found, and the job that makes those of the newest one.
    indexed_version integer,
    index_job_id uuid not null,
    created_by uuid not null,
    created_by_key uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint documents_pkey primary key (organization_id, id),
    constraint documents_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade,
    constraint documents_index_job_fkey foreign key (organization_id, index_job_id) references jobs (organization_id, id),
    -- The same content again, in the same place, is the same document.
    constraint documents_content_key unique nulls not distinct (organization_id, project_id, sha256)
);
create index documents_project on documents (organization_id, project_id, id);
create index documents_index_job on documents (organization_id, index_job_id);

create table document_versions (
    organization_id uuid not null,
    document_id uuid not null,
    version integer not null,
    project_id uuid,
    text text not null constraint document_versions_text_length check (octet_length(text) between 1 and 2097152),
    created_at timestamptz not null default now(),
    constraint document_versions_pkey primary key (organization_id, document_id, version),
    constraint document_versions_document_fkey foreign key (organization_id, document_id)
        references documents (organization_id, id) on delete cascade
);

-- One passage. Its place is counted in Unicode scalar values of the version's text.
create table document_chunks (
    organization_id uuid not null,
    id uuid not null,
    document_id uuid not null,
    version integer not null,
    project_id uuid,
    heading text,
    start_offset integer not null,
    end_offset integer not null,
    text text not null,
    language text not null constraint document_chunks_language check (language in ('de', 'en')),
    -- How many words it has, for ranking.
    length integer not null,
    -- Its distinct terms, and the same as numbers: the first eight bytes of SHA-256 over the organization and the term.
    -- Because the organization is part of the number, the one index below is in effect one per organization, and what
    -- another tenant stores makes nobody's search slower. A collision costs one candidate too many, never a wrong answer.
    terms text[] not null,
    term_hashes bigint[] not null,
    constraint document_chunks_pkey primary key (organization_id, id),
    constraint document_chunks_version_fkey foreign key (organization_id, document_id, version)
        references document_versions (organization_id, document_id, version) on delete cascade,
    constraint document_chunks_place check (start_offset >= 0 and end_offset > start_offset)
);
create index document_chunks_version on document_chunks (organization_id, document_id, version);
create index document_chunks_terms on document_chunks using gin (term_hashes) with (fastupdate = off);
-- The hashes are what a search reads of every candidate: they stay in the row, the texts do not.
alter table document_chunks alter column term_hashes set storage plain, alter column text set storage extended;

-- In how many passages of a shelf a term stands. A shelf is one project, or the organization's own documents.
create table document_terms (
    organization_id uuid not null constraint document_terms_organization_fkey references organizations on delete cascade,
    project_id uuid,
    shelf uuid not null generated always as (coalesce(project_id, organization_id)) stored,
    term text collate "C" not null constraint document_terms_term_length check (octet_length(term) between 1 and 64),
    chunks integer not null,
    constraint document_terms_pkey primary key (organization_id, term, shelf),
    constraint document_terms_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);
create index document_terms_project on document_terms (organization_id, project_id);

-- How much a shelf holds.
create table document_shelves (
    organization_id uuid not null constraint document_shelves_organization_fkey references organizations on delete cascade,
    project_id uuid,
    shelf uuid not null generated always as (coalesce(project_id, organization_id)) stored,
    chunks bigint not null,
    words bigint not null,
    constraint document_shelves_pkey primary key (organization_id, shelf),
    constraint document_shelves_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade
);
create index document_shelves_project on document_shelves (organization_id, project_id);

alter table documents enable row level security, force row level security;
alter table document_versions enable row level security, force row level security;
alter table document_chunks enable row level security, force row level security;
alter table document_terms enable row level security, force row level security;
alter table document_shelves enable row level security, force row level security;
create policy documents_tenant on documents to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy document_versions_tenant on document_versions to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy document_chunks_tenant on document_chunks to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy document_terms_tenant on document_terms to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
create policy document_shelves_tenant on document_shelves to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));

grant select, insert, delete on documents, document_versions, document_chunks to aicos_app;
grant select, delete on document_terms, document_shelves to aicos_app;
grant insert (organization_id, project_id, term, chunks) on document_terms to aicos_app;
grant insert (organization_id, project_id, chunks, words) on document_shelves to aicos_app;
grant update (title, source_url, version, bytes, sha256, indexed_version, index_job_id, updated_at) on documents to aicos_app;
grant update (chunks) on document_terms to aicos_app;
grant update (chunks, words) on document_shelves to aicos_app;

-- The passages that hold the rarest of the question's terms, the best first: by the summed weight of all the terms that
-- they hold. Array overlap is not leakproof, so under row-level security its index would be ignored; here the gate looks,
-- filters as the policy does, and says ids and weights only. What stands in the passages is then read under the policy.
create policy document_chunks_gate on document_chunks for select to aicos_gate using (true);
grant select (organization_id, id, document_id, project_id, term_hashes) on document_chunks to aicos_gate;
create function app.search_chunks(p_rare bigint[], p_terms bigint[], p_weights real[], p_project uuid,
    p_documents uuid[], p_limit integer) returns table (id uuid, weight real)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_organization constant uuid := app.current_organization();
    v_projects constant uuid[] := app.current_projects();
begin
    return query
    select c.id, (select sum(t.weight) from unnest(p_terms, p_weights) as t (term, weight)
        where t.term = any (c.term_hashes))::real as weight
    from public.document_chunks c
    where c.term_hashes && p_rare
        and c.organization_id = v_organization
        and (v_projects is null or c.project_id = any (v_projects))
        and (p_project is null or c.project_id is null or c.project_id = p_project)
        and (p_documents is null or c.document_id = any (p_documents))
    order by weight desc nulls last, c.id
    limit p_limit;
end $$;
revoke execute on function app.search_chunks(bigint[], bigint[], real[], uuid, uuid[], integer) from public;
grant execute on function app.search_chunks(bigint[], bigint[], real[], uuid, uuid[], integer) to aicos_app;
grant create on schema app to aicos_gate;
alter function app.search_chunks(bigint[], bigint[], real[], uuid, uuid[], integer) owner to aicos_gate;
revoke create on schema app from aicos_gate;
