//! The SQL of idempotency keys.

use uuid::Uuid;

use crate::db::WriteTx;
use crate::error::Result;

pub(super) async fn forget_old(tx: &mut WriteTx<'_>) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "delete from idempotency_keys where organization_id = $1 and created_at < now() - interval '24 hours'",
        organization
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// True when this transaction claimed it.
pub(super) async fn insert(tx: &mut WriteTx<'_>, key: &str, input: &[u8], target: Uuid) -> Result<bool> {
    let (organization, actor, action) =
        (tx.organization().uuid(), tx.credential().actor(), tx.action().as_str());
    let claimed = sqlx::query!(
        "insert into idempotency_keys (organization_id, actor_id, action, key, input, target_id)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        organization,
        actor,
        action,
        key,
        input,
        target
    )
    .execute(tx.conn())
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// What the key made, and the fingerprint of the input that it came with.
pub(super) async fn get(tx: &mut WriteTx<'_>, key: &str) -> Result<(Uuid, Vec<u8>)> {
    let (organization, actor, action) =
        (tx.organization().uuid(), tx.credential().actor(), tx.action().as_str());
    let row = sqlx::query!(
        "select target_id, input from idempotency_keys
         where organization_id = $1 and actor_id = $2 and action = $3 and key = $4",
        organization,
        actor,
        action,
        key
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.target_id, row.input))
}
