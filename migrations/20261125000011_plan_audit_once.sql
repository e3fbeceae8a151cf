-- Writes the audit row of this transaction, as it did. In PL/pgSQL its statement is planned once per connection; a function
-- in SQL plans it on every call, which took longer than writing the row.
create or replace function app.record_audit(
    p_id uuid, p_action text, p_outcome text, p_key uuid, p_role text, p_target_type text, p_target_id text,
    p_project uuid, p_changes jsonb, p_ip text, p_user_agent text, p_request_id text
) returns void language plpgsql as $$
begin
    insert into public.audit_entries (organization_id, id, action, outcome, actor_user_id, actor_key_id, actor_label,
        actor_role, target_type, target_id, project_id, changes, ip, user_agent, request_id)
    select app.current_organization(), p_id, p_action, p_outcome,
        case when p_key is null then app.current_user_id() end, p_key,
        coalesce(
            case when p_key is null then (select u.name from public.users u where u.id = app.current_user_id())
            else (select k.name from public.api_keys k where k.organization_id = app.current_organization() and k.id = p_key) end,
            'unknown'),
        p_role, p_target_type, p_target_id, p_project, coalesce(p_changes, '[]'), p_ip, p_user_agent, p_request_id;
end $$;
