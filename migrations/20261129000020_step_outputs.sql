-- What the steps of a workflow leave behind belongs to the run's job: a job has one result of its own, and one of each of its
-- steps, whatever is tried twice.
alter table outputs add column step text constraint outputs_step_length check (char_length(step) between 1 and 40);
alter table outputs drop constraint outputs_job_key,
    add constraint outputs_job_key unique nulls not distinct (organization_id, job_id, step);
