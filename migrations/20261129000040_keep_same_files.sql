-- What a job makes twice is there once, while it is on the way: that is how an attempt that was broken off finds its files
-- again. Two steps of a run may leave the same file behind, each as its own.
alter table assets drop constraint assets_job_key;
create unique index assets_job on assets (organization_id, job_id, sha256) where state = 'PENDING';
