-- What the confidence of an answer is made of, and under which headings the documents have more.

alter table qa_answers
    -- All four or none: a model says nothing of the kind, and answers of before were saved without.
    add column confidence_coverage real
        constraint qa_answers_confidence_coverage_range check (confidence_coverage between 0 and 1),
    add column confidence_kind real constraint qa_answers_confidence_kind_range check (confidence_kind between 0 and 1),
    add column confidence_gap real constraint qa_answers_confidence_gap_range check (confidence_gap between 0 and 1),
    add column confidence_chosen real
        constraint qa_answers_confidence_chosen_range check (confidence_chosen between 0 and 1),
    add constraint qa_answers_confidence_parts
        check (num_nulls(confidence_coverage, confidence_kind, confidence_gap, confidence_chosen) in (0, 4)),
    add column follow_ups text[] not null default '{}'
        constraint qa_answers_follow_ups_count check (cardinality(follow_ups) <= 10);
