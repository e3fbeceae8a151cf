-- An organization's own synonyms: words and phrases that mean the same there, a group a row.

create table synonym_groups (
    organization_id uuid not null constraint synonym_groups_organization_fkey references organizations on delete cascade,
    ordinal smallint not null constraint synonym_groups_ordinal_range check (ordinal between 0 and 99),
    terms text[] not null constraint synonym_groups_terms_count check (cardinality(terms) between 2 and 20),
    constraint synonym_groups_pkey primary key (organization_id, ordinal)
);

alter table synonym_groups enable row level security, force row level security;
create policy synonym_groups_tenant on synonym_groups to aicos_app
    using (organization_id = (select app.current_organization()))
    with check (organization_id = (select app.current_organization()));
-- Every project's questions are read with them; who is limited to projects changes nothing that others share.
create policy synonym_groups_whole_insert on synonym_groups as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null);
create policy synonym_groups_whole_delete on synonym_groups as restrictive for delete to aicos_app
    using ((select app.current_projects()) is null);

grant select, insert, delete on synonym_groups to aicos_app;
