//! The floor's SQL: for each workload the fastest that was found.
//!
//! W2 was tried in four forms and W3 in two; `/w2` and `/w3` serve the winner, and each stays at its own address, to be
//! compared again.

/// The tenant's settings, as `app.enter` makes them, without its checks.
pub const ENTER: &str = "select set_config('app.organization', $1, true), set_config('app.user', $2, true), \
    set_config('app.project', '', true)";

/// W1: one row by its id.
pub const VIEWER: &str = "select u.id, u.name, u.email, u.created_at from users u where u.id = $1";

/// W2 as JSON made by the database.
pub const LEVELS_JSON: &str = "
select json_build_object('id', o.id, 'name', o.name, 'slug', o.slug, 'projects', (
    select coalesce(json_agg(json_build_object('id', p.id, 'name', p.name, 'slug', p.slug, 'members', (
        select coalesce(json_agg(json_build_object('role', m.role, 'user',
            json_build_object('id', u.id, 'name', u.name)) order by m.user_id), '[]')
        from (
            select s.user_id, case when s.role = 'OWNER' then s.role else coalesce(r.role, s.role) end as role
            from memberships s
            left join project_members r
                on r.organization_id = s.organization_id and r.project_id = p.id and r.user_id = s.user_id
            where s.organization_id = p.organization_id and (not s.limited or r.role is not null)
            order by s.user_id limit 5
        ) m join users u on u.id = m.user_id
    )) order by p.id), '[]')
    from (select * from projects p where p.organization_id = o.id order by p.id limit 20) p
))::text
from organizations o where o.id = $1";

/// W2 as a join with one row per member.
pub const LEVELS_FLAT: &str = "
select o.id, o.name, o.slug, p.id, p.name, p.slug, m.role, u.id, u.name
from organizations o
left join lateral (
    select * from projects p where p.organization_id = o.id order by p.id limit 20
) p on true
left join lateral (
    select s.user_id, case when s.role = 'OWNER' then s.role else coalesce(r.role, s.role) end as role
    from memberships s
    left join project_members r
        on r.organization_id = s.organization_id and r.project_id = p.id and r.user_id = s.user_id
    where s.organization_id = p.organization_id and (not s.limited or r.role is not null)
    order by s.user_id limit 5
) m on true
left join users u on u.id = m.user_id
where o.id = $1 order by p.id, m.user_id";

/// W2 level by level: the organization's first full members, who are the same for every project, then each project's own
/// rows of those members and of guests; people once. The handler puts them together. $2 is no id at all: with a bound the
/// planner takes the index that has the projects in order.
macro_rules! levels {
    ($rest:literal) => {
        concat!(
            "
with p as materialized (
    select p.id, p.name, p.slug from projects p where p.organization_id = $1 and p.id > $2 order by p.id limit 20
), m as materialized (
    select m.user_id, m.role from memberships m
    where m.organization_id = $1 and not m.limited order by m.user_id limit 5
), r as materialized (
    select p.id, r.user_id, r.role, r.guest from p cross join lateral (
        select r.user_id, r.role, r.user_id <> all (array(select m.user_id from m)) as guest
        from project_members r
        where r.organization_id = $1 and r.project_id = p.id
            and (r.user_id = any (array(select m.user_id from m))
                or r.user_id = any (array(select g.user_id from memberships g
                    where g.organization_id = $1 and g.limited)))
        order by r.user_id limit 5
    ) r
)",
            $rest
        )
    };
}

/// The levels with one row per thing.
pub const LEVELS_ROWS: &str = levels!(
    "
select 0, o.id, null::uuid, o.name, o.slug from organizations o where o.id = $1
union all select 1, p.id, null, p.name, p.slug from p
union all select 2, null, m.user_id, null, m.role from m
union all select case when r.guest then 4 else 3 end, r.id, r.user_id, null, r.role from r
union all select 5, u.id, null, u.name, null
    from users u where u.id = any (array(select m.user_id from m union select r.user_id from r))"
);

/// The levels as one row of arrays.
pub const LEVELS_ARRAYS: &str = levels!(
    "
select o.id, o.name, o.slug, pa.ids, pa.names, pa.slugs, ma.users, ma.roles, ra.projects, ra.users, ra.roles, ra.guests,
    ua.ids, ua.names
from organizations o
cross join (select coalesce(array_agg(p.id), '{}') as ids, coalesce(array_agg(p.name), '{}') as names,
    coalesce(array_agg(p.slug), '{}') as slugs from p) pa
cross join (select coalesce(array_agg(m.user_id), '{}') as users, coalesce(array_agg(m.role), '{}') as roles from m) ma
cross join (select coalesce(array_agg(r.id), '{}') as projects, coalesce(array_agg(r.user_id), '{}') as users,
    coalesce(array_agg(r.role), '{}') as roles, coalesce(array_agg(r.guest), '{}') as guests from r) ra
cross join (select coalesce(array_agg(u.id), '{}') as ids, coalesce(array_agg(u.name), '{}') as names
    from users u where u.id = any (array(select m.user_id from m union select r.user_id from r))) ua
where o.id = $1"
);

/// W3: the newest of one action.
pub const PAGE: &str = "
select e.id, e.sequence, e.action, e.actor_label, e.target_id, e.ip, e.user_agent, e.occurred_at
from audit_entries e where e.organization_id = $1 and e.action = $2 order by e.sequence desc limit 50";

/// W3 as JSON made by the database.
pub const PAGE_JSON: &str = "
select coalesce(json_agg(json_build_object('id', e.id, 'sequence', e.sequence, 'action', e.action,
    'actorLabel', e.actor_label, 'targetId', e.target_id, 'ip', e.ip, 'userAgent', e.user_agent,
    'occurredAt', e.occurred_at) order by e.sequence desc), '[]')::text
from (
    select * from audit_entries e where e.organization_id = $1 and e.action = $2 order by e.sequence desc limit 50
) e";

/// W4: a project and its audit row. The trigger that numbers and chains audit rows runs here as everywhere.
pub const CREATE: &str = "
with p as (
    insert into projects (organization_id, id, name, slug) values ($1, $2, $3, $4)
    returning organization_id, id, name, slug
), a as (
    insert into audit_entries (organization_id, id, action, outcome, actor_user_id, actor_label, actor_role,
        target_type, target_id, project_id, changes, ip, request_id)
    select p.organization_id, $5, 'project.create', 'DONE', $6,
        (select u.name from users u where u.id = $6), 'OWNER', 'Project', p.id::text, p.id,
        jsonb_build_array(jsonb_build_object('field', 'name', 'before', null, 'after', p.name),
            jsonb_build_object('field', 'slug', 'before', null, 'after', p.slug)), '127.0.0.1', $7
    from p
)
select p.id, p.name, p.slug from p";
