-- People, and what proves that somebody is one of them. None of these tables belongs to a tenant: a row is its person's
-- own, visible while `app.user` names them and no organization is set. (`users` is also visible to those who share an
-- organization; that policy follows with the memberships.)

create table users (
    id uuid constraint users_pkey primary key,
    -- Canonical: trimmed, NFC, lower case. Unique across the server, because it is what people sign in with.
    email text not null constraint users_email_key unique
        constraint users_email_length check (char_length(email) between 3 and 254),
    name text not null constraint users_name_length check (char_length(name) between 1 and 100),
    avatar_url text constraint users_avatar_url_length check (char_length(avatar_url) <= 2000),
    email_verified_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- Apart from `users`, so that no statement of a tenant can read a hash: the serving role may write one and never read it.
create table passwords (
    user_id uuid constraint passwords_pkey primary key constraint passwords_user_fkey references users on delete cascade,
    hash text not null,
    changed_at timestamptz not null default now()
);

-- A session is a chain of refresh tokens that are derived from it, never stored: only the number of the newest is kept.
create table sessions (
    id uuid constraint sessions_pkey primary key,
    user_id uuid not null constraint sessions_user_fkey references users on delete cascade,
    -- The organization that its access tokens are issued for. Not a tenant column: a session is its person's.
    issued_for uuid,
    generation integer not null default 0,
    rotated_at timestamptz,
    user_agent text constraint sessions_user_agent_length check (char_length(user_agent) <= 400),
    ip text,
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index sessions_user on sessions (user_id, created_at desc);

-- Single-use links: password resets and e-mail verifications.
create table user_tokens (
    id uuid constraint user_tokens_pkey primary key,
    user_id uuid not null constraint user_tokens_user_fkey references users on delete cascade,
    purpose text not null constraint user_tokens_purpose check (purpose in ('password_reset', 'email_verification')),
    hash bytea not null constraint user_tokens_hash_key unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index user_tokens_user on user_tokens (user_id, purpose);

create table security_events (
    id uuid constraint security_events_pkey primary key,
    user_id uuid not null constraint security_events_user_fkey references users on delete cascade,
    kind text not null constraint security_events_kind_length check (char_length(kind) between 1 and 60),
    ip text,
    user_agent text constraint security_events_user_agent_length check (char_length(user_agent) <= 400),
    occurred_at timestamptz not null default now()
);
create index security_events_user on security_events (user_id, id desc);

alter table users enable row level security, force row level security;
alter table passwords enable row level security, force row level security;
alter table sessions enable row level security, force row level security;
alter table user_tokens enable row level security, force row level security;
alter table security_events enable row level security, force row level security;

create policy passwords_own on passwords to aicos_app
    using (user_id = (select app.current_user_id()) and (select app.current_organization()) is null)
    with check (user_id = (select app.current_user_id()) and (select app.current_organization()) is null);
create policy sessions_own on sessions to aicos_app
    using (user_id = (select app.current_user_id()) and (select app.current_organization()) is null)
    with check (user_id = (select app.current_user_id()) and (select app.current_organization()) is null);
create policy user_tokens_own on user_tokens to aicos_app
    using (user_id = (select app.current_user_id()) and (select app.current_organization()) is null)
    with check (user_id = (select app.current_user_id()) and (select app.current_organization()) is null);
create policy security_events_own on security_events to aicos_app
    using (user_id = (select app.current_user_id()) and (select app.current_organization()) is null)
    with check (user_id = (select app.current_user_id()) and (select app.current_organization()) is null);

grant select, insert, update on users to aicos_app;
grant insert (user_id, hash), update (hash, changed_at), select (user_id) on passwords to aicos_app;
grant select, insert, update on sessions to aicos_app;
grant insert, update (used_at), select (id, user_id, purpose, created_at, expires_at, used_at) on user_tokens to aicos_app;
grant select, insert on security_events to aicos_app;
