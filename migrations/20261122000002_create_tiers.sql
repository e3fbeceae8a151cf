-- Tiers are data: limits and features. The one table without row-level security: it holds no tenant's data, the serving
-- role may only read it (rls-lint allowlist `open_tables=tiers`).
create table tiers (
    key text constraint tiers_pkey primary key,
    name text not null,
    -- {"MEMBERS": 10, …}: a metric that is absent has no limit.
    limits jsonb not null default '{}' constraint tiers_limits_object check (jsonb_typeof(limits) = 'object'),
    features text[] not null default '{}',
    -- Points that one credential may spend in a minute.
    points_per_minute integer not null constraint tiers_points_positive check (points_per_minute > 0)
);

insert into tiers (key, name, limits, features, points_per_minute) values
    ('community', 'Community', '{}', '{api_keys,audit_log,project_roles}', 100000),
    ('starter', 'Starter', '{"MEMBERS": 5, "PROJECTS": 10}', '{api_keys,audit_log}', 30000);

grant select on tiers to aicos_app, aicos_gate;
