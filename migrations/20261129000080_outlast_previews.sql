-- A preview of a picture may be on its way into the object storage when its asset goes. Making one takes at most a minute,
-- so the folder is looked through again after two. What never arrived has none.
create or replace function app.leave_objects() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.asset_leftovers (organization_id, asset_id, project_id, keep, due_at)
    values (old.organization_id, old.id, old.project_id, case when tg_op = 'UPDATE' then new.object end,
        greatest(clock_timestamp() + case old.state when 'READY' then interval '2 minutes' else interval '0' end,
            old.expires_at + interval '1 hour'))
    on conflict on constraint asset_leftovers_pkey do update set keep = excluded.keep, due_at = excluded.due_at;
    return null;
end $$;
