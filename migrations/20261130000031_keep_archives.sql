-- What an output is made of, in one file.
alter table assets drop constraint assets_kind;
alter table assets add constraint assets_kind
    check (kind in ('IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT', 'CAPTIONS', 'CALENDAR', 'ARCHIVE'));
