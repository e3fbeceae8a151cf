-- What a model has said without naming a passage, where the asker wanted that as well.

alter table qa_answers
    add column uncited text[] not null default '{}' constraint qa_answers_uncited_count check (cardinality(uncited) <= 20);
