-- What connected accounts have asked Instagram about: it answers about so many different hashtags in seven days.

create table hashtag_searches (
    organization_id uuid not null
        constraint hashtag_searches_organization_fkey references organizations on delete cascade,
    account_id uuid not null,
    -- In small letters, without its sign.
    tag text not null constraint hashtag_searches_tag_length check (char_length(tag) between 1 and 100),
    -- Instagram's own id of it, once that is known.
    external_id text constraint hashtag_searches_external_id_form check (external_id ~ '^[0-9]{1,40}$'),
    -- When it was asked first; asking again does not count.
    asked_at timestamptz not null default now(),
    constraint hashtag_searches_pkey primary key (organization_id, account_id, tag),
    constraint hashtag_searches_account_fkey foreign key (organization_id, account_id)
        references accounts (organization_id, id) on delete cascade
);

alter table hashtag_searches enable row level security, force row level security;
-- By the organization's accounts every project asks, and what one has asked counts for all.
create policy hashtag_searches_tenant on hashtag_searches to aicos_app
    using (organization_id = (select app.current_organization()))
    with check (organization_id = (select app.current_organization()));

grant select, insert, delete on hashtag_searches to aicos_app;
grant update (external_id) on hashtag_searches to aicos_app;
