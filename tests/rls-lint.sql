-- What row-level security asks of one schema, as one query: each row that it returns is a finding.
--
--   $1 the schema            $2 the serving role      $3 the role that owns the tables
--   $4 the tenant's column   $5 tables that hold no tenant's data and may stay open
--   $6 unique indexes that may span tenants
--
-- The rules are checked on the catalogue alone, so they hold for a table that nobody has thought of yet.
with relations as (
    select c.*, c.oid::regclass::text as label
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1::text
), tables as (
    select * from relations where relkind in ('r', 'p')
), tenants as (
    select t.oid, t.label, a.attnum as tenant, a.attnotnull as required
    from tables t join pg_attribute a on a.attrelid = t.oid and a.attname = $4::text
), policies as (
    select t.label || '.' || p.polname as label, p.polcmd as command, p.polroles as roles,
        pg_get_expr(p.polqual, p.polrelid) as reads, pg_get_expr(p.polwithcheck, p.polrelid) as writes,
        coalesce(pg_get_expr(p.polqual, p.polrelid), '') || ' ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as rule
    from pg_policy p join tables t on t.oid = p.polrelid
), definers as (
    select p.*, p.oid::regprocedure::text as label
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = $1::text and p.prosecdef
), links as (
    select t.label || '.' || k.conname as label, k.conrelid, k.confrelid, k.conkey
    from pg_constraint k join tables t on t.oid = k.conrelid
    where k.contype = 'f'
), serving as (
    select * from pg_roles where rolname = $2::text
), findings (rule, object) as (
    -- The switch, the second switch, and something behind them.
    select 'L01 the serving role reaches a table without row-level security', label from tables
    where not relrowsecurity and has_table_privilege($2::name, oid, 'select, insert, update, delete')
        and relname <> all ($5::text[])
    union all
    select 'L02 row-level security is not forced, so the owner is above it', label from tables
    where relrowsecurity and not relforcerowsecurity
    union all
    select 'L03 a table can be read and has no policy', label from tables t
    where relrowsecurity and has_table_privilege($2::name, oid, 'select')
        and not exists (select from pg_policy p where p.polrelid = t.oid)

    -- The roles.
    union all
    select 'L04 the serving role is above the rules, makes roles or owns relations', rolname::text from serving s
    where rolsuper or rolbypassrls or rolcreaterole or exists (select from pg_class c where c.relowner = s.oid)
    union all
    select 'L05 the serving role can become one that is above the rules', r.rolname::text from pg_roles r
    where r.rolname <> $2::text and (r.rolsuper or r.rolbypassrls or r.rolname = $3::text)
        and pg_has_role($2::name, r.oid, 'member')

    -- What policies say.
    union all
    select 'L06 a policy for writing leaves its check unsaid', label from policies
    where command in ('*', 'a', 'w') and writes is null
    union all
    select 'L07 a policy of the serving role lets everything through', label from policies
    where 'true' in (reads, writes)
        and exists (select from unnest(roles) as r (role) where r.role = 0 or pg_has_role($2::name, r.role, 'member'))
    union all
    select 'L08 a policy asks for its context once per row instead of once', label from policies
    where rule ~* '(current_setting|current_[a-z_]+|app\.[a-z_]+)\(' and rule !~* '\mselect\M'

    -- Ways around policies.
    union all
    select 'L09 a view looks with its owner''s eyes', label from relations
    where relkind = 'v' and has_table_privilege($2::name, oid, 'select')
        and coalesce(array_to_string(reloptions, ','), '') !~* 'security_invoker=(true|on|1|yes)'
    union all
    select 'L10 a materialized view keeps rows of every tenant', label from relations
    where relkind = 'm' and has_table_privilege($2::name, oid, 'select')
    union all
    select 'L11 a definer function takes its caller''s search path', label from definers
    where coalesce(array_to_string(proconfig, ','), '') !~ 'search_path='
    union all
    select 'L12 a definer function is anybody''s', label from definers d
    where proacl is null
        or exists (select from aclexplode(d.proacl) a where a.grantee = 0 and a.privilege_type = 'EXECUTE')

    -- The tenant's column, in every table, index and reference.
    union all
    select 'L13 no index leads with the tenant', label from tenants t
    where not exists (select from pg_index i where i.indrelid = t.oid and i.indkey[0] = t.tenant)
    union all
    select 'L14 a reference between tenants'' tables leaves the tenant out', l.label
    from links l join tenants t on t.oid = l.conrelid join tenants other on other.oid = l.confrelid
    where t.tenant <> all (l.conkey)
    union all
    select 'L15 a unique index spans tenants, and tells what others have', i.indexrelid::regclass::text
    from pg_index i join tenants t on t.oid = i.indrelid
    where i.indisunique and not i.indisprimary and t.tenant <> all (i.indkey::int2[])
        and i.indexrelid::regclass::text <> all ($6::text[])
    union all
    select 'L16 the tenant may be missing', label from tenants where not required

    -- Rights that no policy holds back.
    union all
    select 'L17 the serving role may empty, reference or hook a table', label from tables
    where has_table_privilege($2::name, oid, 'truncate, references, trigger')
    union all
    select 'L18 anybody may make things in the schema', n.nspname::text from pg_namespace n
    where n.nspname = $1::text and has_schema_privilege('public', n.oid, 'create')
    union all
    select 'L19 a partition can be read past its parent''s policies', label from relations
    where relispartition and relkind in ('r', 'p') and not relrowsecurity
        and has_table_privilege($2::name, oid, 'select')
    union all
    select 'L20 the audit log can be changed', label from tables
    where relname ~ '^audit_(log|logs|entries)$' and has_table_privilege($2::name, oid, 'update, delete')
    union all
    select 'L21 a reference has no index, so deleting what it names reads everything', l.label from links l
    where not exists (
        select from pg_index i where i.indrelid = l.conrelid
            and (i.indkey::int2[])[0:cardinality(l.conkey) - 1] @> l.conkey)
    union all
    select 'L22 a definer function runs as a superuser', d.label
    from definers d join pg_roles r on r.oid = d.proowner where r.rolsuper
)
select rule, object from findings order by 1, 2
