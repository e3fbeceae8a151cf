-- What agents whose results are read as a whole leave behind: one object, in the form that their code writes and reads.
alter table outputs add column content jsonb
    constraint outputs_content_object check (jsonb_typeof(content) = 'object');
-- What is worked on further, such as a post on its way to publication.
grant update (content) on outputs to aicos_app;
