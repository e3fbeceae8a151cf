//! The SQL of what connected accounts have asked Instagram about.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::db::{ReadTx, WriteTx};
use crate::error::Result;
use crate::id::AccountId;

/// The hashtags that an account has first been asked about since a moment, with Instagram's ids as far as they are known.
pub(super) async fn searches(
    tx: &mut ReadTx<'_>,
    account: AccountId,
    since: DateTime<Utc>,
) -> Result<BTreeMap<String, Option<String>>> {
    let rows = sqlx::query!(
        "select tag, external_id from hashtag_searches
         where organization_id = (select app.current_organization()) and account_id = $1 and asked_at > $2",
        account.uuid(),
        since
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.tag, row.external_id)).collect())
}

/// Notes that an account is asked about hashtags. What it was asked before a moment is forgotten.
pub(super) async fn search(
    tx: &mut WriteTx<'_>,
    account: AccountId,
    tags: &[String],
    since: DateTime<Utc>,
) -> Result<()> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "delete from hashtag_searches where organization_id = $1 and account_id = $2 and asked_at <= $3",
        organization,
        account.uuid(),
        since
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into hashtag_searches (organization_id, account_id, tag)
         select $1, $2, tag from unnest($3::text[]) tag on conflict do nothing",
        organization,
        account.uuid(),
        tags
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes Instagram's ids of hashtags.
pub(super) async fn identify(
    tx: &mut WriteTx<'_>,
    account: AccountId,
    found: &[(String, String)],
) -> Result<()> {
    let organization = tx.organization().uuid();
    let (tags, ids): (Vec<String>, Vec<String>) = found.iter().cloned().unzip();
    sqlx::query!(
        "update hashtag_searches s set external_id = found.id from unnest($3::text[], $4::text[]) found (tag, id)
         where s.organization_id = $1 and s.account_id = $2 and s.tag = found.tag",
        organization,
        account.uuid(),
        &tags,
        &ids
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
