-- How an answer was looked for: the words and what they were looked up as, and the best passages with their ranks.

alter table qa_answers
    -- Of answers from before it was kept there is none.
    add column retrieval jsonb constraint qa_answers_retrieval_length check (octet_length(retrieval::text) <= 131072);
