-- Files: pictures, videos, audio, documents. A row says what there is; the bytes are in the object storage, under a name
-- that follows from the row, so that no path is ever stored or taken from a caller.

create table assets (
    organization_id uuid not null constraint assets_organization_fkey references organizations on delete cascade,
    id uuid not null,
    -- Of one project, or of the whole organization.
    project_id uuid,
    kind text not null constraint assets_kind check (kind in ('IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT', 'CAPTIONS', 'CALENDAR')),
    -- PENDING while its object is on the way: its bytes are reserved, and nobody sees it.
    state text not null default 'PENDING' constraint assets_state check (state in ('PENDING', 'READY')),
    mime_type text constraint assets_mime_type_length check (char_length(mime_type) between 1 and 100),
    bytes bigint not null constraint assets_bytes_range check (bytes between 1 and 2147483647),
    -- While it is on the way, what its sender says; then what was found.
    sha256 bytea constraint assets_sha256_length check (octet_length(sha256) = 32),
    width integer constraint assets_width_positive check (width > 0),
    height integer constraint assets_height_positive check (height > 0),
    duration_seconds double precision constraint assets_duration_positive check (duration_seconds >= 0),
    alt_text text constraint assets_alt_text_length check (char_length(alt_text) between 1 and 1000),
    tags text[] not null default '{}' constraint assets_tags_count check (cardinality(tags) <= 20),
    -- The name of its object.
    object uuid,
    -- The job that makes it: what a job makes twice is kept once.
    job_id uuid,
    created_by uuid not null,
    created_by_key uuid,
    created_at timestamptz not null default now(),
    -- Until when its object may arrive.
    expires_at timestamptz not null,
    constraint assets_pkey primary key (organization_id, id),
    constraint assets_project_fkey foreign key (organization_id, project_id)
        references projects (organization_id, id) on delete cascade,
    constraint assets_job_fkey foreign key (organization_id, job_id) references jobs (organization_id, id) on delete cascade,
    constraint assets_job_key unique (organization_id, job_id, sha256),
    constraint assets_ready check (state = 'PENDING'
        or (mime_type is not null and sha256 is not null and object is not null))
);
create index assets_project on assets (organization_id, project_id, id);
create index assets_bytes on assets (organization_id) include (bytes);
create index assets_pending on assets (expires_at) where state = 'PENDING';

alter table assets enable row level security, force row level security;
create policy assets_tenant on assets to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    with check (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])));
grant select, insert, delete on assets to aicos_app;
grant update (state, mime_type, bytes, sha256, width, height, duration_seconds, alt_text, tags, object) on assets to aicos_app;

-- What an organization keeps, also in projects that the caller does not see: the limit is the organization's.
create policy assets_gate on assets for select to aicos_gate using (true);
grant select (organization_id, id, state, bytes, expires_at) on assets to aicos_gate;
create function app.stored_bytes() returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(sum(a.bytes), 0)::bigint from public.assets a where a.organization_id = app.current_organization();
end;

-- Where objects may be that no row speaks of: everything of an asset whose row is gone, for whatever reason, and beside
-- the kept object of one that has arrived. No reference holds these rows, because they outlive what they came from.
-- Closed: only the gate looks.
create table asset_leftovers (
    organization_id uuid not null,
    asset_id uuid not null,
    project_id uuid,
    keep uuid,
    due_at timestamptz not null,
    constraint asset_leftovers_pkey primary key (organization_id, asset_id)
);
create index asset_leftovers_due on asset_leftovers (due_at);
alter table asset_leftovers enable row level security, force row level security;
create policy asset_leftovers_gate on asset_leftovers to aicos_gate using (true) with check (true);
grant select, insert, update, delete on asset_leftovers to aicos_gate;

-- An object may still arrive while the address to send it to is good; whoever began within that time gets another hour.
create function app.leave_objects() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.asset_leftovers (organization_id, asset_id, project_id, keep, due_at)
    values (old.organization_id, old.id, old.project_id, case when tg_op = 'UPDATE' then new.object end,
        greatest(clock_timestamp(), old.expires_at + interval '1 hour'))
    on conflict on constraint asset_leftovers_pkey do update set keep = excluded.keep, due_at = excluded.due_at;
    return null;
end $$;
create trigger assets_leave_objects after delete on assets for each row execute function app.leave_objects();
create trigger assets_leave_upload after update of state on assets for each row
    when (old.state = 'PENDING' and new.state = 'READY') execute function app.leave_objects();

-- Lets go of what has not arrived in time, and says where objects are to be removed; nobody else is told for five minutes.
create policy assets_expire on assets for delete to aicos_gate
    using (state = 'PENDING' and expires_at < clock_timestamp() - interval '1 hour');
grant delete on assets to aicos_gate;
create function app.take_leftovers(p_most integer)
returns table (organization_id uuid, asset_id uuid, project_id uuid, keep uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    delete from public.assets a using (
        select p.organization_id, p.id from public.assets p
        where p.state = 'PENDING' and p.expires_at < clock_timestamp() - interval '1 hour'
        order by p.expires_at limit p_most) late
    where a.organization_id = late.organization_id and a.id = late.id;
    return query update public.asset_leftovers l set due_at = clock_timestamp() + interval '5 minutes'
    from (select d.organization_id, d.asset_id from public.asset_leftovers d
        where d.due_at <= clock_timestamp() order by d.due_at limit p_most for update skip locked) due
    where l.organization_id = due.organization_id and l.asset_id = due.asset_id
    returning l.organization_id, l.asset_id, l.project_id, l.keep;
end $$;
create function app.forget_leftover(p_organization uuid, p_asset uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    delete from public.asset_leftovers l where l.organization_id = p_organization and l.asset_id = p_asset;
end;

grant create on schema app to aicos_gate;
do $$
declare
    f text;
begin
    foreach f in array array['stored_bytes()', 'leave_objects()', 'take_leftovers(integer)', 'forget_leftover(uuid, uuid)']
    loop
        execute format('revoke execute on function app.%s from public', f);
        execute format('grant execute on function app.%s to aicos_app', f);
        execute format('alter function app.%s owner to aicos_gate', f);
    end loop;
end $$;
-- Trigger functions are run by their trigger.
revoke execute on function app.leave_objects() from aicos_app;
revoke create on schema app from aicos_gate;

-- A gibibyte.
update tiers set limits = limits || '{"STORAGE_BYTES": 1073741824}' where key = 'starter';
