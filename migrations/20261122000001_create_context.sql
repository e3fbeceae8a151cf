-- The context that every policy reads, and nothing else: who is asking, in which organization, limited to which projects.
--
-- The three settings live for one transaction. After it they read as the empty string, never NULL, so each reader maps
-- empty to NULL: without a context no policy matches and no row is visible.

create schema app;
revoke create on schema public from public;
grant usage on schema public to aicos_app, aicos_gate;
grant usage on schema app to aicos_app, aicos_gate;

-- The tenant of this transaction.
create function app.current_organization() returns uuid
language sql stable parallel safe
return nullif(current_setting('app.organization', true), '')::uuid;

-- The person of this transaction; for an API key the person who made it.
create function app.current_user_id() returns uuid
language sql stable parallel safe
return nullif(current_setting('app.user', true), '')::uuid;

-- The projects that the credential or the membership is limited to, as an array literal; NULL when it is not limited.
-- An array and not a single id, because a guest may have been invited to several projects.
create function app.current_projects() returns uuid[]
language sql stable parallel safe
return nullif(current_setting('app.project', true), '')::uuid[];

revoke execute on all functions in schema app from public;
grant execute on all functions in schema app to aicos_app, aicos_gate, aicos_owner;
