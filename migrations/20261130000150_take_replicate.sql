-- Another format that a provider may speak.
alter table providers drop constraint providers_kind,
    add constraint providers_kind check (kind in ('openai', 'anthropic', 'elevenlabs', 'replicate'));
