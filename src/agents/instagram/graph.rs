//! The calls that publishing on Instagram takes, and what their answers say.

use serde_json::Value;

use super::comment::Sought;
use super::details::Parameters;
use super::machine::{Quota, Status};
use crate::accounts::Connected;
use crate::engine::graph::Trouble;

/// Comments that are read at once, the most that there are.
const COMMENTS: &str = "50";
/// How often more comments are read.
const COMMENT_PAGES: usize = 20;

/// A file as Instagram is told about it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it can be fetched.
    pub url: String,
    /// Whether it is a video.
    pub is_video: bool,
    /// What can be seen, for whoever cannot.
    pub alt_text: Option<String>,
}

/// What a container becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role<'a> {
    /// A picture with its caption.
    Picture(&'a str),
    /// A reel with its caption.
    Reel(&'a str),
    /// A story, which has no caption.
    Story,
    /// A page of a carousel.
    Page,
}

fn id(answer: &Value) -> Result<String, Trouble> {
    // A success without an id is an answer of which half is missing.
    let id =
        answer["id"].as_str().filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
    id.map(str::to_owned).ok_or(Trouble::Lost)
}

/// What the account is called.
pub async fn username(account: &Connected<'_>) -> Result<Option<String>, Trouble> {
    let answer = account.get(&account.account.user_id, &[("fields", "id,username")]).await?;
    Ok(answer["username"].as_str().map(str::to_owned))
}

/// What the account has published in the time that Instagram counts, and what it may: it says so itself, and has said 25, 50
/// and 100. None when it does not say.
pub async fn quota(account: &Connected<'_>) -> Result<Option<Quota>, Trouble> {
    let path = format!("{}/content_publishing_limit", account.account.user_id);
    let answer = account.get(&path, &[("fields", "quota_usage,config")]).await?;
    let found = &answer["data"][0];
    let number = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
    let Some(used) = number(&found["quota_usage"]) else { return Ok(None) };
    Ok(Some(Quota { used, total: number(&found["config"]["quota_total"]) }))
}

/// Makes a container of a file. Nobody sees it, and making it twice does no harm.
pub async fn upload(
    account: &Connected<'_>,
    source: &Source,
    role: Role<'_>,
    more: &Parameters,
) -> Result<String, Trouble> {
    let mut form = vec![(if source.is_video { "video_url" } else { "image_url" }, source.url.as_str())];
    match role {
        Role::Picture(caption) => form.push(("caption", caption)),
        Role::Reel(caption) => form.extend([("media_type", "REELS"), ("caption", caption)]),
        Role::Story => form.push(("media_type", "STORIES")),
        Role::Page => {
            form.push(("is_carousel_item", "true"));
            if source.is_video {
                form.push(("media_type", "VIDEO"));
            }
        }
    }
    let takes_words = !source.is_video && role != Role::Story;
    if let Some(words) = source.alt_text.as_deref().filter(|_| takes_words) {
        form.push(("alt_text", words));
    }
    form.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    id(&account.post(&format!("{}/media", account.account.user_id), &form).await?)
}

/// Makes the container of a carousel of those of its pages.
pub async fn bind(
    account: &Connected<'_>,
    pages: &[String],
    caption: &str,
    more: &Parameters,
) -> Result<String, Trouble> {
    let pages = pages.join(",");
    let mut form = vec![("media_type", "CAROUSEL"), ("children", pages.as_str()), ("caption", caption)];
    form.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    id(&account.post(&format!("{}/media", account.account.user_id), &form).await?)
}

/// Where a container stands.
pub async fn status(account: &Connected<'_>, container: &str) -> Result<Status, Trouble> {
    let answer = account.get(container, &[("fields", "status_code,status")]).await?;
    Ok(match answer["status_code"].as_str() {
        Some("IN_PROGRESS") => Status::InProgress,
        Some("FINISHED") => Status::Finished,
        Some("PUBLISHED") => Status::Published,
        Some("EXPIRED") => Status::Expired,
        Some("ERROR") => Status::Failed(answer["status"].as_str().unwrap_or_default().to_owned()),
        _ => return Err(Trouble::Lost),
    })
}

/// Makes a container public: the one call that cannot be taken back. Gives the id of what is public.
pub async fn publish(account: &Connected<'_>, container: &str) -> Result<String, Trouble> {
    let path = format!("{}/media_publish", account.account.user_id);
    id(&account.post(&path, &[("creation_id", container)]).await?)
}

/// Where what is public can be seen.
pub async fn permalink(account: &Connected<'_>, media: &str) -> Result<String, Trouble> {
    let answer = account.get(media, &[("fields", "permalink")]).await?;
    answer["permalink"].as_str().map(str::to_owned).ok_or(Trouble::Lost)
}

/// Writes a comment below what is public. Gives its id.
pub async fn comment(account: &Connected<'_>, media: &str, text: &str) -> Result<String, Trouble> {
    id(&account.post(&format!("{media}/comments"), &[("message", text)]).await?)
}

/// Looks for a comment below what is public. White space is not compared: it may have been trimmed.
pub async fn seek_comment(account: &Connected<'_>, media: &str, text: &str) -> Result<Sought, Trouble> {
    let wanted: Vec<&str> = text.split_whitespace().collect();
    let path = format!("{media}/comments");
    let mut after = None::<String>;
    for _ in 0..COMMENT_PAGES {
        let mut parameters = vec![("fields", "id,text,timestamp"), ("limit", COMMENTS)];
        parameters.extend(after.as_deref().map(|cursor| ("after", cursor)));
        let answer = account.get(&path, &parameters).await?;
        let comments = answer["data"].as_array().ok_or(Trouble::Lost)?;
        let is_it = |comment: &&Value| {
            comment["text"].as_str().is_some_and(|text| text.split_whitespace().eq(wanted.iter().copied()))
        };
        if let Some(found) = comments.iter().find(is_it) {
            return id(found).map(Sought::Found);
        }
        // Where there is no next page, a cursor may still be given.
        let more = answer["paging"]["next"].as_str().and(answer["paging"]["cursors"]["after"].as_str());
        match more {
            Some(cursor) if !comments.is_empty() => after = Some(cursor.to_owned()),
            _ => return Ok(Sought::Absent),
        }
    }
    Ok(Sought::Crowded)
}
