-- What an agent has made of files belongs to its output: it goes when the output goes, and not before, so that an output is
-- whole as long as it is there. (Files of outputs that were made before this keep a life of their own.)
alter table assets add column output_id uuid,
    add constraint assets_output_fkey foreign key (organization_id, output_id)
        references outputs (organization_id, id) on delete cascade;
create index assets_output on assets (organization_id, output_id) where output_id is not null;
grant update (output_id) on assets to aicos_app;
