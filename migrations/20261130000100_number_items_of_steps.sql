-- A step of a workflow may work for each item of a list: then it leaves one output for each, by its number from 1, whatever is
-- tried twice.
alter table outputs add column item smallint
    constraint outputs_item_range check (item is null or item between 1 and 10 and step is not null);
alter table outputs drop constraint outputs_job_key,
    add constraint outputs_job_key unique nulls not distinct (organization_id, job_id, step, item);
