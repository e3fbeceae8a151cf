//! The last posts of a connected Instagram account: what they say, when they went out, and what Instagram counts of them.
//!
//! The fields are those of the Graph API's reference (IG User › Media, IG Media). Who hides the likes of a post keeps them out of
//! the answer: then it is not known how the post did, and nothing is made up. Captions are read and not kept.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::builtin::PastPost;
use crate::access::Action;
use crate::accounts::Connected;
use crate::accounts::channel::Channel;
use crate::agents::agent::Tools;
use crate::agents::instagram::errors::{Meaning, Problem, meaning};
use crate::agents::text::numbers::float;
use crate::engine::graph::Trouble;
use crate::error::{Detail, Fault, FaultCode};
use crate::id::{AccountId, ProjectId};
use crate::jobs::{Failure, Run};

/// Posts that are read at the most, the newest.
const POSTS: usize = 100;
/// Posts that are asked for at once: so many of the longest captions fit into one answer.
const PAGE: &str = "25";
/// How often more posts are asked for: pages may be shorter than asked.
const PAGES: usize = 10;
const FIELDS: &str = "id,caption,media_type,media_product_type,timestamp,like_count,comments_count,permalink";

/// Where posts come from, and how many they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The account.
    pub account: AccountId,
    /// How many were read.
    pub posts: usize,
    /// Of how many both likes and comments are known.
    pub measured: usize,
    /// When the oldest of them went out.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When they were read.
    pub read_at: DateTime<Utc>,
}

/// The account's last posts. No transaction of the run's is open meanwhile.
///
/// # Errors
/// A fault that says what to do when the account is gone or Instagram does not answer.
pub(super) async fn read(
    tools: &Tools,
    run: &Run,
    project: ProjectId,
    account: AccountId,
) -> Result<(Vec<PastPost>, Origin), Failure> {
    let connected = {
        let mut tx = run.read(Action::AgentRun).await?;
        tools.accounts.connected(&mut tx, account).await?
    };
    run.release().await;
    let usable = connected.filter(|found| found.account.project.is_none_or(|own| own == project));
    let connected = usable.ok_or_else(|| {
        let message = "The account has been disconnected. Name another one, or leave `accountId` out.";
        Failure::fail(Fault::at(FaultCode::NotFound, "accountId", message))
    })?;
    run.progress(0.05, "Reading the account's last posts.").await?;
    let posts = posts(&connected).await.map_err(|trouble| unread(&trouble))?;
    let origin = Origin {
        account,
        posts: posts.len(),
        measured: posts.iter().filter(|post| post.engagement.is_some()).count(),
        oldest_at: posts.iter().map(|post| post.at).min(),
        read_at: Utc::now(),
    };
    Ok((posts, origin))
}

/// The posts that are known and those that were read. One that is both is there once, as it was read.
pub(super) fn together(own: Vec<PastPost>, read: Vec<PastPost>) -> Vec<PastPost> {
    let words = |post: &PastPost| post.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let known: BTreeSet<String> = read.iter().map(words).filter(|text| !text.is_empty()).collect();
    own.into_iter().filter(|post| !known.contains(&words(post))).chain(read).collect()
}

/// What a trouble means, as a job's failure.
fn unread(trouble: &Trouble) -> Failure {
    let Meaning { problem: Problem { message, remedy, retryable, said, .. }, after, .. } = meaning(trouble);
    // When the job has tried often enough, nobody does it by itself.
    let remedy = if retryable { "Ask again later." } else { remedy.as_str() };
    let detail = Detail::Provider { provider: "instagram".to_owned(), provider_code: said, retryable };
    let fault = Fault::new(FaultCode::ProviderFailed, format!("{message} {remedy}")).with(detail);
    if retryable { Failure::retry(fault, after) } else { Failure::fail(fault) }
}

async fn posts(connected: &Connected<'_>) -> Result<Vec<PastPost>, Trouble> {
    let path = format!("{}/media", connected.account.user_id);
    let (mut posts, mut after) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let mut parameters = vec![("fields", FIELDS), ("limit", PAGE)];
        parameters.extend(after.as_deref().map(|cursor| ("after", cursor)));
        let answer = connected.get(&path, &parameters).await?;
        posts.extend(answer["data"].as_array().ok_or(Trouble::Lost)?.iter().filter_map(post));
        // The last page has a cursor as well, and no next one.
        let paging = &answer["paging"];
        after = paging["cursors"]["after"].as_str().filter(|_| paging["next"].is_string()).map(str::to_owned);
        if after.is_none() || posts.len() >= POSTS {
            break;
        }
    }
    posts.truncate(POSTS);
    Ok(posts)
}

/// A post, as far as it says when it went out.
fn post(found: &Value) -> Option<PastPost> {
    let count = |name: &str| found[name].as_u64().and_then(|count| usize::try_from(count).ok());
    let interactions = count("like_count").zip(count("comments_count"));
    Some(PastPost {
        at: moment(found["timestamp"].as_str()?)?,
        channel: Some(Channel::Instagram),
        // A post may have none.
        text: found["caption"].as_str().unwrap_or_default().to_owned(),
        engagement: interactions.map(|(likes, comments)| float(likes) + float(comments)),
    })
}

/// A time as the API writes it, whose offset has no colon.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let read = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%z");
    read.or_else(|_| DateTime::parse_from_rfc3339(text)).ok().map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_counted_is_not_known() {
        let read = |more: Value| {
            let mut found = json!({"id": "1", "timestamp": "2027-01-04T17:30:00+0000"});
            found.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            post(&found)
        };
        let whole = read(json!({"caption": "Calm.", "like_count": 0, "comments_count": 3})).unwrap();
        assert_eq!((whole.text.as_str(), whole.engagement), ("Calm.", Some(3.0)));
        assert_eq!(whole.at, "2027-01-04T17:30:00Z".parse::<DateTime<Utc>>().unwrap());
        for hidden in [
            json!({"comments_count": 3}),
            json!({"like_count": 9}),
            json!({"like_count": -1, "comments_count": 3}),
            json!({"like_count": "many", "comments_count": 3}),
        ] {
            let post = read(hidden.clone()).unwrap();
            assert_eq!((post.text.as_str(), post.engagement), ("", None), "{hidden}");
        }
        assert_eq!(read(json!({"timestamp": "yesterday"})), None);
        assert_eq!(read(json!({"timestamp": null})), None);
        for same in ["2027-01-04T18:30:00+0100", "2027-01-04T18:30:00+01:00", "2027-01-04T17:30:00Z"] {
            assert_eq!(moment(same), Some(whole.at), "{same}");
        }
    }

    #[test]
    fn a_post_of_both_is_there_once_as_it_is_measured() {
        let post = |text: &str, engagement: Option<f64>| PastPost {
            at: "2027-01-04T10:00:00Z".parse().unwrap(),
            channel: engagement.map(|_| Channel::Instagram),
            text: text.to_owned(),
            engagement,
        };
        let own = vec![post("A calm\n\nday. #calm", None), post("Another day.", None)];
        let read = vec![post("A calm day. #calm ", Some(4.0)), post("", Some(1.0))];
        let all = together(own, read.clone());
        assert_eq!(all, [vec![post("Another day.", None)], read].concat());
    }
}
