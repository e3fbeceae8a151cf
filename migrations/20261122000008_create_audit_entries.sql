-- The audit log: append-only for the serving role, numbered without gaps and chained by hash, per organization.
--
-- The number and the hash are given by a trigger that the inserting role cannot talk past. It locks the organization's
-- head row, so it is the last thing that a transaction does: writers of one organization wait for each other's commit
-- and for nothing else.

create table audit_entries (
    organization_id uuid not null constraint audit_entries_organization_fkey references organizations on delete restrict,
    id uuid not null,
    sequence bigint not null,
    action text not null constraint audit_entries_action_length check (char_length(action) between 1 and 60),
    outcome text not null constraint audit_entries_outcome check (outcome in ('DONE', 'REFUSED')),
    -- Ids without a reference: the log outlives what it speaks of.
    actor_user_id uuid,
    actor_key_id uuid,
    actor_label text not null,
    actor_role text,
    target_type text not null,
    target_id text,
    project_id uuid,
    changes jsonb not null default '[]' constraint audit_entries_changes_array check (jsonb_typeof(changes) = 'array'),
    ip text,
    user_agent text constraint audit_entries_user_agent_length check (char_length(user_agent) <= 400),
    request_id text not null,
    hash bytea not null,
    occurred_at timestamptz not null,
    constraint audit_entries_pkey primary key (organization_id, sequence),
    constraint audit_entries_id_key unique (organization_id, id)
);
create index audit_entries_action on audit_entries (organization_id, action, sequence desc);
create index audit_entries_target on audit_entries (organization_id, target_id, sequence desc);
create index audit_entries_project on audit_entries (organization_id, project_id, sequence desc);
create index audit_entries_actor on audit_entries (organization_id, actor_user_id, sequence desc);

create table audit_heads (
    organization_id uuid not null constraint audit_heads_pkey primary key
        constraint audit_heads_organization_fkey references organizations on delete restrict,
    sequence bigint not null,
    hash bytea not null
) with (fillfactor = 50);

alter table audit_entries enable row level security, force row level security;
alter table audit_heads enable row level security, force row level security;

create policy audit_entries_tenant on audit_entries to aicos_app
    using (organization_id = (select app.current_organization())
        and ((select app.current_projects()) is null or project_id = any ((select app.current_projects())::uuid[])))
    -- What somebody limited to a project does outside of it (leaving, being refused) is logged all the same.
    with check (organization_id = (select app.current_organization()));

grant select, insert on audit_entries to aicos_app;

-- The head is the gate's alone: the serving role has no privilege on it.
create policy audit_heads_gate on audit_heads to aicos_gate using (true) with check (true);
grant select, insert, update on audit_heads to aicos_gate;
grant select on audit_entries to aicos_gate;

-- h(n) = SHA-256(h(n-1) ‖ entry as a JSON array in UTF-8), h(0) = 32 zero bytes. Times are in microseconds since the
-- epoch, because the text of a timestamp depends on settings of the session.
create function app.audit_hash(previous bytea, entry audit_entries) returns bytea
language sql immutable parallel safe
return sha256(previous || convert_to(jsonb_build_array(
    entry.organization_id, entry.sequence, entry.id, entry.action, entry.outcome, entry.actor_user_id,
    entry.actor_key_id, entry.actor_label, entry.actor_role, entry.target_type, entry.target_id, entry.project_id,
    entry.changes, entry.ip, entry.user_agent, entry.request_id,
    (extract(epoch from entry.occurred_at) * 1000000)::bigint)::text, 'UTF8'));

create function app.chain_audit_entry() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    head public.audit_heads;
begin
    -- First the number, which locks the head; then the hash, which needs the number.
    insert into public.audit_heads as heads (organization_id, sequence, hash)
    values (new.organization_id, 1, decode(repeat('00', 32), 'hex'))
    on conflict (organization_id) do update set sequence = heads.sequence + 1
    returning * into head;
    new.sequence := head.sequence;
    -- After the lock, so that the times of a chain never run backwards.
    new.occurred_at := clock_timestamp();
    new.hash := app.audit_hash(head.hash, new);
    update public.audit_heads set hash = new.hash where organization_id = new.organization_id;
    return new;
end $$;
revoke execute on function app.audit_hash(bytea, audit_entries), app.chain_audit_entry() from public;
grant execute on function app.audit_hash(bytea, audit_entries) to aicos_gate, aicos_owner;
create trigger audit_entries_chain before insert on audit_entries
    for each row execute function app.chain_audit_entry();

-- Writes the audit row of this transaction. Runs as its caller: the row passes the same policies as any other.
create function app.record_audit(
    p_id uuid, p_action text, p_outcome text, p_key uuid, p_role text, p_target_type text, p_target_id text,
    p_project uuid, p_changes jsonb, p_ip text, p_user_agent text, p_request_id text
) returns void language sql as $$
    insert into public.audit_entries (organization_id, id, action, outcome, actor_user_id, actor_key_id, actor_label,
        actor_role, target_type, target_id, project_id, changes, ip, user_agent, request_id)
    select app.current_organization(), p_id, p_action, p_outcome,
        case when p_key is null then app.current_user_id() end, p_key,
        coalesce(
            case when p_key is null then (select u.name from public.users u where u.id = app.current_user_id())
            else (select k.name from public.api_keys k where k.organization_id = app.current_organization() and k.id = p_key) end,
            'unknown'),
        p_role, p_target_type, p_target_id, p_project, coalesce(p_changes, '[]'), p_ip, p_user_agent, p_request_id
$$;
revoke execute on function app.record_audit from public;
grant execute on function app.record_audit to aicos_app;
