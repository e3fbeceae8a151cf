-- The same rules and the same chain, cheaper. Each `(select …)` of a policy is a plan of its own, which the executor
-- prepares for every statement, at a price of reading a row or two; that pays where many rows ask, and nowhere else.

-- Whoever shares an organization with the caller is whoever has a membership that the caller sees. Without an organization
-- those are the caller's own.
alter policy users_visible on users
    using (id = (select app.current_user_id()) or exists (select from memberships m where m.user_id = users.id));

-- Who asks is looked up where a row has come so far: of guests, by somebody who is limited to projects; and without an
-- organization.
alter policy memberships_tenant on memberships
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or not limited or user_id = app.current_user_id()
            or user_id = any ((select app.people_of_projects())::uuid[])));
alter policy memberships_own on memberships
    using (case when (select app.current_organization()) is null then user_id = app.current_user_id() else false end);

-- No more stable than what it calls. Said to be immutable it could not become a part of the expression that calls it, and
-- was read and planned again for each entry.
alter function app.audit_hash(bytea, audit_entries) stable;

-- The head is locked by reading it, and written once.
create or replace function app.chain_audit_entry() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    head public.audit_heads;
begin
    select * into head from public.audit_heads h
    where h.organization_id = new.organization_id for no key update;
    if not found then
        -- The organization's first entry. Of two at the same time one waits here, and comes second.
        insert into public.audit_heads (organization_id, sequence, hash)
        values (new.organization_id, 0, decode(repeat('00', 32), 'hex'))
        on conflict (organization_id) do nothing;
        select * into strict head from public.audit_heads h
        where h.organization_id = new.organization_id for no key update;
    end if;
    new.sequence := head.sequence + 1;
    -- After the lock, so that the times of a chain never run backwards.
    new.occurred_at := clock_timestamp();
    new.hash := app.audit_hash(head.hash, new);
    update public.audit_heads set sequence = new.sequence, hash = new.hash
    where organization_id = new.organization_id;
    return new;
end $$;
