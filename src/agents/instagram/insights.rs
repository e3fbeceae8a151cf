//! What Instagram counts of what is public: measured, or not known.
//!
//! The names and the form of the answer are those of the Graph API's reference (IG Media › Insights). Figures can be up to 48
//! hours behind, and what Instagram does not say is not made up.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::Form;
use crate::accounts::Connected;
use crate::engine::graph::Trouble;
use crate::error::{Error, Fault, FaultCode};

/// What Instagram counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insights {
    /// How many accounts have seen it.
    pub reach: Option<u64>,
    /// How often it was seen.
    pub views: Option<u64>,
    /// Likes.
    pub likes: Option<u64>,
    /// Comments.
    pub comments: Option<u64>,
    /// How often it was saved.
    pub saved: Option<u64>,
    /// How often it was shared.
    pub shares: Option<u64>,
    /// When Instagram was asked.
    pub measured_at: DateTime<Utc>,
}

/// While its job works on it, nobody else changes a publication.
pub fn unsettled() -> Error {
    let message = "It is not published, or still being seen to. Measure it when its `state` is PUBLISHED and its job has ended.";
    Error::fault(Fault::at(FaultCode::Conflict, "id", message))
}

/// Asks for the figures of what is public.
pub async fn measure(account: &Connected<'_>, media: &str, form: Form) -> Result<Insights, Trouble> {
    // One that a kind of post does not have makes Instagram refuse all of them.
    let metrics = match form {
        Form::Story => "reach,views,shares",
        Form::Feed | Form::Carousel | Form::Reel => "reach,views,likes,comments,saved,shares",
    };
    let answer = account.get(&format!("{media}/insights"), &[("metric", metrics)]).await?;
    read(&answer, Utc::now()).ok_or(Trouble::Lost)
}

fn read(answer: &Value, measured_at: DateTime<Utc>) -> Option<Insights> {
    let metrics = answer["data"].as_array()?;
    let figure = |name: &str| {
        let metric = metrics.iter().find(|metric| metric["name"] == name)?;
        // Of a post's whole life there is one value; newer metrics call it a total.
        metric["values"][0]["value"].as_u64().or_else(|| metric["total_value"]["value"].as_u64())
    };
    Some(Insights {
        reach: figure("reach"),
        views: figure("views"),
        likes: figure("likes"),
        comments: figure("comments"),
        saved: figure("saved"),
        shares: figure("shares"),
        measured_at,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_not_known() {
        let now = "2027-01-04T10:00:00Z".parse().unwrap();
        let metric = |name: &str, value: Value| json!({"name": name, "period": "lifetime", "values": [{"value": value}]});
        let total = json!({"name": "views", "period": "lifetime", "total_value": {"value": 9}});
        let answer = json!({"data": [metric("reach", json!(120)), metric("likes", json!(0)), metric("saved", json!("many")), total]});
        let found = read(&answer, now).unwrap();
        assert_eq!((found.reach, found.likes, found.views), (Some(120), Some(0), Some(9)));
        assert_eq!((found.comments, found.saved, found.shares), (None, None, None));
        // There is nothing yet, which is no zero.
        assert_eq!(read(&json!({"data": []}), now).unwrap().reach, None);
        assert_eq!(read(&json!({"id": "1"}), now), None);
    }
}
