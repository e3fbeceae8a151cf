//! Conversations: questions that go on from one another.
//!
//! A conversation belongs to the whole organization or to one project, and questions are asked in it where it belongs. It
//! holds nothing itself but its answers, which are outputs like any others and go with it.

pub mod graphql;
mod store;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{ApiKeyId, ConversationId, OrganizationId, ProjectId, UserId};
use crate::{idempotency, projects, retrieval};

/// Turns before a question that are looked at.
const LOOKED_BACK: i64 = 6;
/// Answers of a conversation that are shown at the most.
const SHOWN: i64 = 100;

/// A conversation, without its answers.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: ConversationId,
    /// The project that it belongs to; none for the whole organization.
    pub project: Option<ProjectId>,
    /// The person who began it, or who made the key that did.
    pub created_by: UserId,
    /// The key that began it.
    pub created_by_key: Option<ApiKeyId>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
}

/// A question of a conversation, and what it was answered.
#[derive(Debug, Clone)]
pub struct Turn {
    /// What was asked.
    pub question: String,
    /// The whole question.
    pub understood_as: String,
    /// The answer; none when the documents did not hold one.
    pub answer: Option<String>,
}

/// What the audit log keeps of a conversation.
pub fn logged(conversation: &Conversation) -> Value {
    json!({"project": conversation.project})
}

fn missing(field: &str, what: &str) -> Error {
    let message = format!("There is no such {what}, or it is not visible to you.");
    Error::fault(Fault::at(FaultCode::NotFound, field, message))
}

/// Begins a conversation. False: an idempotency key replays an earlier call.
///
/// # Errors
/// `NOT_FOUND` for the project.
pub async fn create(
    tx: &mut WriteTx<'_>,
    project: Option<ProjectId>,
    key: Option<&idempotency::Key>,
) -> Result<(Conversation, bool)> {
    let id = ConversationId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, id.uuid()).await? {
        return Ok((find(tx, earlier.into()).await?.ok_or(Error::NotFound)?, false));
    }
    if let Some(project) = project
        && projects::find(tx, project).await?.is_none()
    {
        return Err(missing("projectId", "project"));
    }
    store::insert(tx, id, project).await?;
    Ok((find(tx, id).await?.ok_or(Error::NotFound)?, true))
}

/// Keeps a conversation from being deleted until the transaction, which saves an answer in it, has ended.
///
/// # Errors
/// `NOT_FOUND` when it was deleted before.
pub async fn hold(tx: &mut WriteTx<'_>, id: ConversationId) -> Result<()> {
    tx.take_turn(&format!("conversation {id}")).await?;
    if find(tx, id).await?.is_some() {
        return Ok(());
    }
    let message = "The conversation was deleted before the question was answered.";
    Err(Error::fault(Fault::new(FaultCode::NotFound, message)))
}

/// Deletes a conversation with its answers.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, id: ConversationId) -> Result<Conversation> {
    // Whoever saves an answer in it at this moment is waited for.
    tx.take_turn(&format!("conversation {id}")).await?;
    let conversation = find(tx, id).await?.ok_or_else(|| missing("id", "conversation"))?;
    store::delete(tx, id).await?;
    Ok(conversation)
}

/// Makes sure that a conversation is there, and belongs where a question is asked.
///
/// # Errors
/// `NOT_FOUND` at `conversationId`.
pub async fn require(tx: &mut ReadTx<'_>, id: ConversationId, project: Option<ProjectId>) -> Result<()> {
    let found = find(tx, id).await?;
    if found.is_some_and(|found| found.project == project) {
        return Ok(());
    }
    let message = "There is no such conversation where this is asked, or it is not visible to you. Name the project that the \
                   conversation belongs to, and none when it belongs to none.";
    Err(Error::fault(Fault::at(FaultCode::NotFound, "conversationId", message)))
}

/// One conversation.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: ConversationId) -> Result<Option<Conversation>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Conversations by id, as far as the transaction sees them.
///
/// # Errors
/// What the database says.
pub async fn find_many(tx: &mut ReadTx<'_>, ids: &[ConversationId]) -> Result<Vec<Conversation>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    store::find_many(tx, &ids).await
}

/// One page of conversations, newest first; of one project, or of everything that the transaction sees.
///
/// # Errors
/// What the database says.
pub async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    project: Option<ProjectId>,
) -> Result<Slice<Conversation>> {
    store::list(tx, page, project).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<i64> {
    store::count(tx, project).await
}

/// The ids of the last answers of a conversation, in the order in which they were given, at most 100.
///
/// # Errors
/// What the database says.
pub async fn answers(tx: &mut ReadTx<'_>, id: ConversationId) -> Result<Vec<Uuid>> {
    store::answers(tx, id, SHOWN).await
}

/// The last few questions of a conversation and their answers, in their order.
///
/// # Errors
/// What the database says.
pub async fn turns(tx: &mut ReadTx<'_>, id: ConversationId) -> Result<Vec<Turn>> {
    store::turns(tx, id, LOOKED_BACK).await
}

/// The whole question that one in a conversation stands for; none when it stands for itself. It goes on from the last
/// question that was answered, or from the last one when none was.
pub fn understood(question: &str, turns: &[Turn]) -> Option<String> {
    let before = turns.iter().rev().find(|turn| turn.answer.is_some()).or(turns.last())?;
    retrieval::follow_up(question, &before.understood_as)
}
