//! What Instagram itself shows for hashtags: samples, read by a connected account. It tells nobody how many people a hashtag
//! leads to a post, and nothing here makes that up.
//!
//! The calls and their limits are those of Meta's guide "Hashtag Search" for accounts of Facebook Login: an account asks about
//! at most 30 different hashtags in 7 days, and a hashtag that it has asked about costs nothing for as long. What is asked here
//! is written down before it is asked; what other programs have asked by the same account, Instagram says.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::builtin::{Figure, Hashtag, HashtagSet, Sample, Warning, WarningKind, key};
use super::store;
use crate::access::Action;
use crate::accounts::{Connected, Login};
use crate::agents::agent::Tools;
use crate::agents::instagram::errors::{Kind, meaning};
use crate::db::{Changes, Record, Target};
use crate::engine::graph::Trouble;
use crate::error::Result;
use crate::id::{AccountId, ProjectId};
use crate::jobs::{Failure, Run};

/// Different hashtags that an account may ask about in [`PERIOD`].
const ROOM: usize = 30;
/// For how long a hashtag counts that has been asked about.
const PERIOD: TimeDelta = TimeDelta::days(7);
/// Hashtags that are asked about at once.
const ASKED: usize = 5;
/// Posts of a list that are looked at, the most that a page has.
const PAGE: &str = "50";

/// A hashtag that may be asked about.
struct Admitted {
    /// Where it stands in the set.
    place: usize,
    key: String,
    /// Instagram's id of it, once that is known.
    id: Option<String>,
}

/// Adds to the best hashtags of a set what Instagram shows for them, and to its warnings what it does not.
///
/// # Errors
/// What the database says. What Instagram says is a warning.
pub(super) async fn measure(
    tools: &Tools,
    run: &Run,
    project: ProjectId,
    account: AccountId,
    set: &mut HashtagSet,
) -> Result<(), Failure> {
    let connected = {
        let mut tx = run.read(Action::AgentRun).await?;
        tools.accounts.connected(&mut tx, account).await?
    };
    run.release().await;
    let Some(connected) = connected else {
        warn(set, None, "The account has been disconnected.");
        return Ok(());
    };
    if let Err(message) = usable(&connected) {
        warn(set, None, message);
        return Ok(());
    }
    let elsewhere = match searched(&connected).await {
        Ok(elsewhere) => elsewhere,
        Err(trouble) => {
            warn(set, None, &told(&trouble));
            return Ok(());
        }
    };
    let (mut admitted, left_out) = admit(run, project, account, &elsewhere, &set.hashtags).await?;
    for tag in left_out {
        warn(set, Some(tag), "The account may ask Instagram about no more hashtags within 7 days.");
    }
    let mut learned = Vec::new();
    for admitted in &mut admitted {
        let known = admitted.id.is_some();
        let sampled = sample(&connected, admitted).await;
        if let Some(id) = admitted.id.clone().filter(|_| !known) {
            learned.push((admitted.key.clone(), id));
        }
        let Some(hashtag) = set.hashtags.get_mut(admitted.place) else { continue };
        match sampled {
            Ok(sample) => hashtag.instagram = Some(sample),
            Err(trouble) => {
                let tag = hashtag.tag.clone();
                warn(set, Some(tag), &told(&trouble));
                // What is said of the account is said of the next hashtag as well.
                if matches!(meaning(&trouble).kind, Kind::Account | Kind::Reconnect | Kind::Wait) {
                    break;
                }
            }
        }
    }
    if !learned.is_empty() {
        let mut tx = run.write(Some(project), Action::HashtagSearch).await?;
        store::identify(&mut tx, account, &learned).await?;
        let found: Vec<&String> = learned.iter().map(|(key, _)| key).collect();
        let changes = Changes::made(&json!({"found": found}));
        tx.commit(Record::with(Target::account(account).within(Some(project)), changes)).await?;
        run.release().await;
    }
    Ok(())
}

fn warn(set: &mut HashtagSet, tag: Option<String>, message: &str) {
    let message = match &tag {
        Some(tag) => format!("Nothing of Instagram's is known of {tag}: {message}"),
        None => format!("Nothing of Instagram's is known: {message}"),
    };
    set.warnings.push(Warning { kind: WarningKind::NotMeasured, tag, message });
}

/// What a trouble means, with what to do about it.
fn told(trouble: &Trouble) -> String {
    let problem = meaning(trouble).problem;
    if problem.retryable {
        // Nobody does it by itself here.
        return format!("{} Ask again later.", problem.message);
    }
    format!("{} {}", problem.message, problem.remedy)
}

fn usable(connected: &Connected<'_>) -> Result<(), &'static str> {
    if connected.account.login != Login::Facebook {
        return Err("Instagram answers about hashtags only by accounts that are connected with `FACEBOOK`.");
    }
    if connected.account.expires_at.is_some_and(|at| at <= Utc::now()) {
        return Err(
            "The account's token has expired. Get a new token and give it to the account with `accountUpdate`.",
        );
    }
    Ok(())
}

/// The ids of the hashtags that the account has asked about within 7 days, by whatever program.
async fn searched(connected: &Connected<'_>) -> Result<BTreeSet<String>, Trouble> {
    let path = format!("{}/recently_searched_hashtags", connected.account.user_id);
    let answer = connected.get(&path, &[("limit", "30")]).await?;
    let found = answer["data"].as_array().ok_or(Trouble::Lost)?;
    Ok(found.iter().filter_map(|hashtag| hashtag["id"].as_str().map(str::to_owned)).collect())
}

/// Which of the best hashtags may be asked about, each written down before it is; and the others.
async fn admit(
    run: &Run,
    project: ProjectId,
    account: AccountId,
    elsewhere: &BTreeSet<String>,
    hashtags: &[Hashtag],
) -> Result<(Vec<Admitted>, Vec<String>), Failure> {
    let wanted =
        || hashtags.iter().take(ASKED).enumerate().map(|(place, hashtag)| (place, key(&hashtag.tag)));
    let mut tx = run.write(Some(project), Action::HashtagSearch).await?;
    // Of two runs by one account the second one counts what the first one has asked.
    tx.take_turn(&format!("hashtags {account}")).await?;
    let earlier = store::searches(&mut tx, account, Utc::now() - PERIOD).await?;
    let is_new = |key: &String| !earlier.contains_key(key);
    let new: Vec<String> =
        wanted().map(|(_, key)| key).filter(is_new).take(room(elsewhere, earlier.values())).collect();
    let mut admitted = Vec::new();
    let mut left_out = Vec::new();
    for (place, key) in wanted() {
        if is_new(&key) && !new.contains(&key) {
            left_out.push(hashtags[place].tag.clone());
        } else {
            let id = earlier.get(&key).cloned().flatten();
            admitted.push(Admitted { place, key, id });
        }
    }
    if new.is_empty() {
        drop(tx);
    } else {
        run.hold(&mut tx).await?;
        store::search(&mut tx, account, &new, Utc::now() - PERIOD).await?;
        let changes = Changes::made(&json!({"hashtags": new}));
        tx.commit(Record::with(Target::account(account).within(Some(project)), changes)).await?;
    }
    run.release().await;
    Ok((admitted, left_out))
}

/// How many more hashtags may be asked about, when Instagram says that these have been, and these are written down here.
fn room<'a>(elsewhere: &BTreeSet<String>, here: impl Iterator<Item = &'a Option<String>>) -> usize {
    let unknown = |id: &&Option<String>| id.as_ref().is_none_or(|id| !elsewhere.contains(id));
    ROOM.saturating_sub(elsewhere.len() + here.filter(unknown).count())
}

/// What Instagram shows for a hashtag; its id is noted when that is told.
async fn sample(connected: &Connected<'_>, tag: &mut Admitted) -> Result<Sample, Trouble> {
    let user = connected.account.user_id.as_str();
    let id = if let Some(id) = &tag.id {
        id.clone()
    } else {
        let answer = connected.get("ig_hashtag_search", &[("user_id", user), ("q", &tag.key)]).await?;
        // The guide and the reference show different forms.
        let id = answer["id"].as_str().or_else(|| answer["data"][0]["id"].as_str());
        let is_id = |id: &&str| (1..=40).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
        id.filter(is_id).ok_or(Trouble::Lost)?.to_owned()
    };
    tag.id = Some(id.clone());
    let list = async |name: &str, fields: &str| {
        let parameters = [("user_id", user), ("fields", fields), ("limit", PAGE)];
        let answer = connected.get(&format!("{id}/{name}"), &parameters).await?;
        answer["data"].as_array().cloned().ok_or(Trouble::Lost)
    };
    let top = list("top_media", "id,like_count,comments_count").await?;
    let recent = list("recent_media", "id").await?;
    Ok(Sample {
        top: top.len(),
        likes: figure(&top, "like_count"),
        comments: figure(&top, "comments_count"),
        recent: recent.len(),
        read_at: Utc::now(),
    })
}

/// The sum of what is said of posts, and of how many it is said.
fn figure(posts: &[Value], name: &str) -> Figure {
    let said = posts.iter().filter_map(|post| post[name].as_u64());
    said.fold(Figure::default(), |Figure { sum, of }, number| Figure {
        sum: sum.saturating_add(number),
        of: of + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_here_and_elsewhere_counts_once() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let id = |id: &str| Some(id.to_owned());
        assert_eq!(room(&ids(&[]), [].iter()), 30);
        assert_eq!(room(&ids(&["1", "2"]), [id("2"), id("3"), None].iter()), 26);
        let many: Vec<Option<String>> = (0..40).map(|number| Some(number.to_string())).collect();
        assert_eq!(room(&ids(&[]), many.iter()), 0);
    }

    #[test]
    fn only_what_is_said_is_counted() {
        let posts = [
            json!({"id": "1", "like_count": 10, "comments_count": 0}),
            json!({"id": "2", "comments_count": 4}),
        ];
        assert_eq!(figure(&posts, "like_count"), Figure { sum: 10, of: 1 });
        assert_eq!(figure(&posts, "comments_count").average(), Some(2.0));
        assert_eq!(figure(&posts[1..], "like_count").average(), None);
    }
}
