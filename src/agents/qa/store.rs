//! The SQL of answers and their citations.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Answer, Ask, Citation, ConfidenceParts, Draft, OpenQuestion, Trace};
use crate::agents::Output;
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Result};
use crate::id::{AnswerId, ConversationId, DocumentId, ProjectId};

pub(super) async fn insert(tx: &mut WriteTx<'_>, id: AnswerId, ask: &Ask, draft: &Draft) -> Result<()> {
    let organization = tx.organization().uuid();
    let project = ask.project.map(ProjectId::uuid);
    let parts = draft.confidence_parts;
    let retrieval =
        draft.retrieval.as_ref().map(serde_json::to_value).transpose().map_err(Error::internal)?;
    sqlx::query!(
        "insert into qa_answers (organization_id, id, project_id, question, answer, confidence, conversation_id,
            understood_as, confidence_coverage, confidence_kind, confidence_gap, confidence_chosen, follow_ups,
            uncited, retrieval)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        organization,
        id.uuid(),
        project,
        ask.question,
        draft.answer,
        draft.confidence,
        ask.conversation.map(ConversationId::uuid),
        draft.understood_as,
        parts.map(|parts| parts.coverage),
        parts.map(|parts| parts.kind),
        parts.map(|parts| parts.gap),
        parts.map(|parts| parts.chosen),
        &draft.follow_ups,
        &draft.uncited,
        retrieval
    )
    .execute(tx.conn())
    .await?;
    let near = draft.near_misses.iter().map(|citation| (true, citation));
    let all: Vec<_> = draft.citations.iter().map(|citation| (false, citation)).chain(near).collect();
    let ordinals: Vec<i16> = (0..).take(all.len()).collect();
    let near: Vec<bool> = all.iter().map(|(near, _)| *near).collect();
    let documents: Vec<Option<Uuid>> =
        all.iter().map(|(_, citation)| citation.document.map(DocumentId::uuid)).collect();
    let versions: Vec<i32> = all.iter().map(|(_, citation)| citation.version).collect();
    let headings: Vec<Option<String>> = all.iter().map(|(_, citation)| citation.heading.clone()).collect();
    let quotes: Vec<String> = all.iter().map(|(_, citation)| citation.quote.clone()).collect();
    let starts: Vec<i32> = all.iter().map(|(_, citation)| citation.start).collect();
    let ends: Vec<i32> = all.iter().map(|(_, citation)| citation.end).collect();
    let scores: Vec<f32> = all.iter().map(|(_, citation)| citation.score).collect();
    sqlx::query!(
        "insert into qa_citations (organization_id, answer_id, project_id, ordinal, near_miss, document_id,
            document_version, heading, quote, start_offset, end_offset, score)
         select $1, $2, $3, c.* from unnest($4::smallint[], $5::boolean[], $6::uuid[], $7::int[], $8::text[], $9::text[],
            $10::int[], $11::int[], $12::real[]) as c",
        organization,
        id.uuid(),
        project,
        &ordinals,
        &near,
        &documents as &[Option<Uuid>],
        &versions,
        &headings as &[Option<String>],
        &quotes,
        &starts,
        &ends,
        &scores
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn find_many(tx: &mut ReadTx<'_>, outputs: Vec<Output>) -> Result<Vec<Answer>> {
    let ids: Vec<Uuid> = outputs.iter().map(|output| output.id).collect();
    let rows = sqlx::query!(
        "select id, question, answer, confidence, conversation_id, understood_as, confidence_coverage, confidence_kind,
            confidence_gap, confidence_chosen, follow_ups, uncited from qa_answers
         where organization_id = (select app.current_organization()) and id = any($1)",
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let cited = sqlx::query!(
        "select answer_id, near_miss, document_id, document_version, heading, quote, start_offset, end_offset, score
         from qa_citations where organization_id = (select app.current_organization()) and answer_id = any($1)
         order by answer_id, ordinal",
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let mut citations: HashMap<(Uuid, bool), Vec<Citation>> = HashMap::new();
    for row in cited {
        citations.entry((row.answer_id, row.near_miss)).or_default().push(Citation {
            document: row.document_id.map(Into::into),
            version: row.document_version,
            heading: row.heading,
            quote: row.quote,
            start: row.start_offset,
            end: row.end_offset,
            score: row.score,
        });
    }
    let mut details: HashMap<Uuid, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let answer = |output: Output| {
        let row = details.remove(&output.id)?;
        let parts = |coverage| {
            let (kind, gap, chosen) = (row.confidence_kind?, row.confidence_gap?, row.confidence_chosen?);
            Some(ConfidenceParts { coverage, kind, gap, chosen })
        };
        Some(Answer {
            confidence_parts: row.confidence_coverage.and_then(parts),
            follow_ups: row.follow_ups,
            uncited: row.uncited,
            question: row.question,
            understood_as: row.understood_as,
            conversation: row.conversation_id.map(Into::into),
            answer: row.answer,
            confidence: row.confidence,
            citations: citations.remove(&(output.id, false)).unwrap_or_default(),
            near_misses: citations.remove(&(output.id, true)).unwrap_or_default(),
            output,
        })
    };
    Ok(outputs.into_iter().filter_map(answer).collect())
}

pub(super) async fn retrieval(tx: &mut ReadTx<'_>, id: AnswerId) -> Result<Option<Trace>> {
    let kept = sqlx::query_scalar!(
        "select retrieval from qa_answers where organization_id = (select app.current_organization()) and id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    kept.flatten().map(serde_json::from_value).transpose().map_err(Error::internal)
}

/// Answers that are looked at for open questions, the newest: a project may have any number.
const LOOKED_AT: i64 = 5_000;

/// A question is the same whatever its letters' case. One that has been answered since is not open.
pub(super) async fn unanswered(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    max_stars: Option<i16>,
    most: i64,
) -> Result<Vec<OpenQuestion>> {
    let rows = sqlx::query_as!(
        OpenQuestion,
        r#"select q.question as "question!", q.asked as "asked!", q.last_asked_at as "last_asked_at!",
            case when q.answered then q.id end as "answer: AnswerId", r.stars as "stars: f64"
           from (select (array_agg(a.question order by o.created_at desc))[1] as question, count(*) as asked,
                    max(o.created_at) as last_asked_at, (array_agg(a.id order by o.created_at desc))[1] as id,
                    (array_agg(a.answer order by o.created_at desc))[1] is not null as answered
                from (select organization_id, id, coalesce(understood_as, question) as question, answer from qa_answers
                    where organization_id = (select app.current_organization()) and project_id = $1
                    order by id desc limit $3) a
                join outputs o on o.organization_id = a.organization_id and o.id = a.id
                group by lower(a.question)) q
           cross join lateral (select avg(stars)::float8 as stars from output_ratings
                where organization_id = (select app.current_organization()) and output_id = q.id and q.answered) r
           where not q.answered or r.stars <= $4
           order by 2 desc, 3 desc limit $2"#,
        project.uuid(),
        most,
        LOOKED_AT,
        max_stars.map(f64::from)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
