-- What a project was asked last, for the list of what its documents do not answer.
create index qa_answers_project on qa_answers (organization_id, project_id, id);
