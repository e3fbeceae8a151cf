//! What the organization's earlier posts tell of hashtags.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{PastPost, tag};
use crate::agents::text::numbers::{float, ln, share};
use crate::agents::text::phrases::{self, Profile};
use crate::id::PostId;

/// The most posts that are read, the latest first.
const POSTS: usize = 1_000;
/// Hashtags of one post that are read.
const TAGS: usize = 60;
/// The most terms of a post that are counted.
const TERMS: usize = 300;
/// The most hashtags that are kept, those in most posts.
const KEPT: usize = 2_000;
/// The most posts that are named as evidence of a hashtag.
const EVIDENCE: usize = 5;
/// How many of the latest posts count for repetition.
pub(super) const LATEST: usize = 5;

/// The use of a hashtag.
#[derive(Debug, Clone, Default)]
pub(super) struct Use {
    /// As it was written last.
    pub tag: String,
    /// In how many posts.
    pub posts: usize,
    /// In how many of the latest.
    pub latest: usize,
    /// When last.
    pub last: Option<DateTime<Utc>>,
    /// The newest posts that have it.
    pub newest: Vec<PostId>,
    /// How many different terms it occurs with.
    ubiquity: usize,
    /// In how many posts it occurs with a term.
    with: BTreeMap<String, usize>,
}

/// The hashtags of earlier posts.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How many posts were read.
    pub posts: usize,
    /// Their hashtags by key.
    pub uses: BTreeMap<String, Use>,
    /// The keys of the latest posts' hashtags, the latest first.
    pub latest: Vec<(DateTime<Utc>, BTreeSet<String>)>,
    /// How many posts have a term.
    terms: BTreeMap<String, usize>,
}

impl History {
    /// Reads posts; of the text's terms only those matter that the text has, the others only widen a hashtag.
    pub fn read(past: &[PastPost], language: crate::agents::text::Language) -> Self {
        let mut order: Vec<&PastPost> = past.iter().collect();
        // Equal moments in the order of their texts, so that the caller's order does not matter.
        order.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.text.cmp(&b.text)));
        order.truncate(POSTS);
        let mut history = Self { posts: order.len(), ..Self::default() };
        for (index, post) in order.into_iter().enumerate() {
            let terms: BTreeSet<String> =
                phrases::terms(&post.text, language).into_iter().take(TERMS).collect();
            let mut keys = BTreeSet::new();
            let inline = tag::hashtags(&post.text);
            for written in post.hashtags.iter().map(String::as_str).chain(inline).take(TAGS) {
                let tidy = tag::tidy(written);
                let key = tag::key(&tidy);
                if tag::check(&tidy).is_err() || !keys.insert(key.clone()) {
                    continue;
                }
                let entry = history.uses.entry(key).or_insert_with(|| Use { tag: tidy, ..Use::default() });
                entry.posts += 1;
                entry.latest += usize::from(index < LATEST);
                entry.last = entry.last.max(Some(post.at));
                entry.newest.extend(post.post.filter(|_| entry.newest.len() < EVIDENCE));
                for term in &terms {
                    *entry.with.entry(term.clone()).or_insert(0) += 1;
                }
            }
            for term in terms {
                *history.terms.entry(term).or_insert(0) += 1;
            }
            if index < LATEST && !keys.is_empty() {
                history.latest.push((post.at, keys));
            }
        }
        if history.uses.len() > KEPT {
            let mut order: Vec<(usize, String)> =
                history.uses.iter().map(|(key, used)| (used.posts, key.clone())).collect();
            order.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            for (_, key) in order.into_iter().skip(KEPT) {
                history.uses.remove(&key);
            }
        }
        for entry in history.uses.values_mut() {
            entry.ubiquity = entry.with.len();
        }
        history
    }

    /// How strongly a hashtag goes with the text's terms: the share of each term's posts that have it, by the terms'
    /// weights; 0 to 1. This is the hashtag frequency of HF-IHU (Otsuka, Wallace and Chiu, A hashtag recommendation system
    /// for twitter data streams, 2016), as a share, so that frequent terms do not outweigh telling ones.
    pub fn frequency(&self, used: &Use, profile: &Profile) -> f64 {
        let (mut sum, mut whole) = (0.0, 0.0);
        for (term, weight) in &profile.terms {
            let Some(posts) = self.terms.get(term) else { continue };
            sum += weight * share(used.with.get(term).copied().unwrap_or(0), *posts);
            whole += weight;
        }
        // One shared term of a long text is little evidence.
        let known = profile.terms.keys().filter(|term| self.terms.contains_key(*term)).count();
        let evidence = float(known) / (float(known) + 1.0);
        if whole > 0.0 { sum / whole * evidence } else { 0.0 }
    }

    /// How few terms a hashtag occurs with: 0 when with all, 1 when with none. The inverse hashtag ubiquity of HF-IHU,
    /// ln(T / Tₕ) over ln T.
    pub fn inverse_ubiquity(&self, used: &Use) -> f64 {
        let all = float(self.terms.len());
        if all < 2.0 {
            return 1.0;
        }
        let ubiquity = float(used.ubiquity.max(1));
        (ln(all / ubiquity) / ln(all)).clamp(0.0, 1.0)
    }
}
