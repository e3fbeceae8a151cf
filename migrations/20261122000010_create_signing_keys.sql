-- The keys that sign access tokens, sealed with the master key, which is not in the database. Closed: only the gate
-- reads and adds them.
create table signing_keys (
    id text constraint signing_keys_pkey primary key,
    public_key bytea not null,
    sealed_private_key bytea not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);
alter table signing_keys enable row level security, force row level security;
create policy signing_keys_gate on signing_keys to aicos_gate using (true) with check (true);
grant select, insert, update on signing_keys to aicos_gate;
