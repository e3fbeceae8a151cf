-- Words to find documents by. A question may be asked of those that have one of some words only.

alter table documents
    add column tags text[] not null default '{}' constraint documents_tags_count check (cardinality(tags) <= 20);
grant update (tags) on documents to aicos_app;

-- Which documents have them is looked up where passages are found: there may be thousands.
create policy documents_gate on documents for select to aicos_gate using (true);
grant select (organization_id, id, tags) on documents to aicos_gate;

drop function app.search_chunks(bigint[], bigint[], real[], uuid, uuid[], integer);
create function app.search_chunks(p_rare bigint[], p_terms bigint[], p_weights real[], p_project uuid,
    p_documents uuid[], p_tags text[], p_limit integer) returns table (id uuid, weight real)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_organization constant uuid := app.current_organization();
    v_projects constant uuid[] := app.current_projects();
    v_tags constant text[] := array(select lower(t) from unnest(p_tags) t);
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
        and (p_tags is null or exists (select from public.documents d
            where d.organization_id = v_organization and d.id = c.document_id
                and exists (select from unnest(d.tags) t where lower(t) = any (v_tags))))
    order by weight desc nulls last, c.id
    limit p_limit;
end $$;
revoke execute on function app.search_chunks(bigint[], bigint[], real[], uuid, uuid[], text[], integer) from public;
grant execute on function app.search_chunks(bigint[], bigint[], real[], uuid, uuid[], text[], integer) to aicos_app;
grant create on schema app to aicos_gate;
alter function app.search_chunks(bigint[], bigint[], real[], uuid, uuid[], text[], integer) owner to aicos_gate;
revoke create on schema app from aicos_gate;
