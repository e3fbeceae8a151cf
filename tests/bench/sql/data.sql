-- The data of the benchmark, in the project's own schema. As the superuser; {…} are filled in by `run`.
-- Triggers and references are not checked while loading: the data are made to fit. The audit chain's hashes are not
-- real (`audit verify` would say so), but every head fits its newest entry, so that new entries append.
-- Ids are of version 7 in form, and count, so that `run` knows them.
set session_replication_role = replica;
set synchronous_commit = off;
select setseed(0.42);
create schema bench;
create function bench.id(kind int, number bigint) returns uuid language sql immutable as
$$ select ('0190000' || kind || '-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid $$;
--;
insert into organizations (id, name, slug, created_at, updated_at)
select bench.id(1, o), 'Organization ' || o, 'organization-' || o, now() - o * interval '1 minute', now()
from generate_series(1, {organizations}) o;
--;
insert into users (id, email, name, created_at, updated_at, email_verified_at)
select bench.id(2, u), 'user' || u || '@example.test', 'User Name ' || u, now() - u * interval '1 minute', now(), now()
from generate_series(1, {organizations} * 20) u;
--;
-- Twenty people at home in each organization: an owner, two admins, four viewers, the rest members.
insert into memberships (organization_id, user_id, id, role)
select bench.id(1, o), bench.id(2, (o - 1) * 20 + k), bench.id(3, (o - 1) * 25 + k),
    case when k = 1 then 'OWNER' when k < 4 then 'ADMIN' when k > 16 then 'VIEWER' else 'MEMBER' end
from generate_series(1, {organizations}) o, generate_series(1, 20) k;
--;
-- Five guests from elsewhere, each of three projects.
insert into memberships (organization_id, user_id, id, role, limited)
select bench.id(1, o), bench.id(2, 1 + (o * 7919 + k * 104729) % ({organizations} * 20)),
    bench.id(3, (o - 1) * 25 + 20 + k), 'MEMBER', true
from generate_series(1, {organizations}) o, generate_series(1, 5) k
on conflict do nothing;
--;
insert into projects (organization_id, id, name, slug, created_at, updated_at)
select bench.id(1, o), bench.id(4, (o - 1) * 20 + k), 'Project ' || o || '-' || k, 'project-' || o || '-' || k,
    now() - k * interval '37 minutes', now()
from generate_series(1, {organizations}) o, generate_series(1, 20) k;
--;
-- Eight roles in each project for people at home …
insert into project_members (organization_id, project_id, user_id, role)
select bench.id(1, o), bench.id(4, (o - 1) * 20 + k), bench.id(2, (o - 1) * 20 + 1 + (k * 3 + m * 2) % 20),
    case when m = 0 then 'ADMIN' when m > 5 then 'VIEWER' else 'MEMBER' end
from generate_series(1, {organizations}) o, generate_series(1, 20) k, generate_series(0, 7) m
on conflict do nothing;
--;
-- … and the guests'.
insert into project_members (organization_id, project_id, user_id, role)
select m.organization_id, p.id, m.user_id, 'VIEWER'
from memberships m
join projects p on p.organization_id = m.organization_id
where m.limited and (('x' || right(m.user_id::text, 4))::bit(16)::int + ('x' || right(p.id::text, 4))::bit(16)::int) % 7 = 0
on conflict do nothing;
--;
insert into sessions (id, user_id, issued_for, user_agent, ip, expires_at)
select bench.id(5, s.number), bench.id(2, s.home), bench.id(1, 1 + (s.home - 1) / 20), 'bench', '127.0.0.1',
    now() + interval '30 days'
from (values {sessions}) s (number, home);
--;
-- Skewed: the first organizations own a large share of the rows.
insert into audit_entries (organization_id, id, sequence, action, outcome, actor_user_id, actor_label, actor_role,
    target_type, target_id, project_id, changes, ip, user_agent, request_id, hash, occurred_at)
select bench.id(1, s.o), bench.id(6, s.i), row_number() over (partition by s.o order by s.i),
    (array['project.create', 'project.update', 'project.archive', 'membership.update', 'membership.update',
        'membership.update', 'invitation.create', 'apiKey.create', 'organization.update', 'projectMember.set'])
        [1 + floor(s.a * 10)::int],
    'DONE', bench.id(2, (s.o - 1) * 20 + 1 + s.i % 20), 'User Name ' || ((s.o - 1) * 20 + 1 + s.i % 20), 'ADMIN',
    'Project', 'prj_' || lpad((s.i % 5000)::text, 26, '0'), bench.id(4, (s.o - 1) * 20 + 1 + s.i % 20),
    jsonb_build_array(jsonb_build_object('field', 'name', 'before', 'Project ' || s.i % 5000, 'after', 'Project ' || s.i % 4999)),
    '10.0.' || s.i % 250 || '.' || s.i % 199, 'agent/' || s.i % 9, 'req_' || s.i, sha256(int8send(s.i)),
    now() - ({entries} - s.i) * interval '1 second'
from (
    select i, 1 + floor({organizations} * power(random(), 3))::bigint as o, random() as a
    from generate_series(1::bigint, {entries}) i
) s;
--;
insert into audit_heads (organization_id, sequence, hash)
select distinct on (e.organization_id) e.organization_id, e.sequence, e.hash
from audit_entries e order by e.organization_id, e.sequence desc;
--;
select setval('access_versions', greatest((select max(version) from memberships), 1));
--;
-- What PostGraphile's W4 calls: the project with its audit row, as aicos writes it.
create function bench.add_project(name text, slug text) returns public.projects language plpgsql volatile as $$
declare
    made public.projects;
begin
    insert into public.projects as p (organization_id, id, name, slug)
    -- After every project that is there, as ids of version 7 are.
    values (app.current_organization(), overlay(gen_random_uuid()::text placing 'ffffffff' from 1)::uuid, add_project.name, add_project.slug) returning p.* into made;
    perform app.record_audit(gen_random_uuid(), 'project.create', 'DONE', null, 'OWNER', 'Project', made.id::text, made.id,
        jsonb_build_array(jsonb_build_object('field', 'name', 'before', null, 'after', made.name),
            jsonb_build_object('field', 'slug', 'before', null, 'after', made.slug)), '127.0.0.1', null,
        gen_random_uuid()::text);
    return made;
end $$;
grant usage on schema bench to aicos_app;
-- PostGraphile sees what the schema says only through a membership, and filters only by what leads an index.
comment on table project_members is E'@foreignKey (user_id) references users (id)';
comment on column audit_entries.action is E'@behavior +filterBy';
grant execute on function bench.add_project(text, text) to aicos_app;
--;
vacuum (analyze);
--;
checkpoint;
