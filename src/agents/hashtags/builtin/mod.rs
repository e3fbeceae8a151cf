//! The built-in engine of hashtag research: hashtags for a text, ranked by what can be measured here.
//!
//! Candidates are key phrases of the text ([`phrases`]), hashtags of the organization's earlier posts that go with the
//! text's words, the brand's and the period's own hashtags, and ideas of a provider. All are scored by one function of how
//! much the text is about them, how much they tell it apart from the organization's other texts, and how far they are in
//! use. How many people a hashtag leads to a post is not known here and not guessed.

mod history;
mod tag;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::history::{History, LATEST, Use};
pub use self::tag::{CHARACTERS, TagProblem, check, hashtags, join, key, tidy};
use crate::agents::text::numbers::{apportion, float, ln, rounded};
use crate::agents::text::phrases::{self, Profile};
use crate::agents::text::{Language, Refusal, UnusedInput};
use crate::id::PostId;
use crate::retrieval::reading;

/// The most hashtags of a set, which is what Instagram's publishing interface takes in a caption.
pub const HASHTAGS: usize = 30;
/// The greatest part of a [`Mix`].
pub const SHARE: u8 = 100;
/// The most hashtags of each list in the input that are read.
const LISTED: usize = 200;
/// The most terms that [`lookups`] names.
pub const LOOKUPS: usize = 400;
/// A phrase of the text that it is less about is no candidate.
const LEAST_RELEVANCE: f64 = 0.3;
/// An earlier hashtag that goes less with the text's words is no candidate.
const LEAST_FREQUENCY: f64 = 0.12;
/// The share of common hashtags from which on two sets are much the same.
const SAME: f64 = 0.8;

/// What is researched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Research {
    /// The post or topic.
    pub text: String,
    /// The text's language.
    pub language: Language,
    /// How many hashtags are wanted, 1 to [`HASHTAGS`].
    pub count: usize,
    /// How common terms are in the organization's documents; what to count is said by [`lookups`].
    pub corpus: Corpus,
    /// The organization's earlier posts.
    pub past: Vec<PastPost>,
    /// The brand's own hashtags.
    pub brand: Vec<String>,
    /// The hashtags of the period that the text is for.
    pub period: Vec<String>,
    /// Hashtags that a provider's model proposes.
    pub ideas: Vec<String>,
    /// Words and hashtags that must not come out.
    pub banned: Vec<String>,
    /// Hashtags that must come out.
    pub must_include: Vec<String>,
    /// How many of each source.
    pub mix: Mix,
}

/// How common terms are in the organization's documents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Corpus {
    /// How many passages there are.
    pub passages: u64,
    /// How many passages hold a term; one that is missing is held by none.
    pub counts: BTreeMap<String, u64>,
}

/// A post that the organization has published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPost {
    /// When.
    pub at: DateTime<Utc>,
    /// Its text.
    pub text: String,
    /// Its hashtags, beside those in its text.
    pub hashtags: Vec<String>,
    /// Which one it is, to name it as evidence.
    pub post: Option<PostId>,
}

/// In which proportion sources fill a set, at most [`SHARE`] each; what a source cannot fill goes to the best of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix {
    /// Phrases of the text.
    pub text: u8,
    /// Hashtags of earlier posts.
    pub corpus: u8,
    /// The brand's.
    pub brand: u8,
    /// The period's.
    pub period: u8,
    /// A provider's.
    pub provider: u8,
}

impl Default for Mix {
    fn default() -> Self {
        Self { text: 12, corpus: 6, brand: 3, period: 3, provider: 4 }
    }
}

impl Mix {
    /// The part of a source.
    pub const fn of(self, source: Source) -> u8 {
        match source {
            Source::Text => self.text,
            Source::Corpus => self.corpus,
            Source::Brand => self.brand,
            Source::Period => self.period,
            Source::Provider => self.provider,
        }
    }
}

/// Where a hashtag is from; of several, the first of brand, period, text, corpus, provider. What the caller demands and
/// nothing else has counts as the brand's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[graphql(name = "HashtagSource")]
pub enum Source {
    /// The brand's own.
    Brand,
    /// The period's.
    Period,
    /// A phrase of the text.
    Text,
    /// The organization's earlier posts.
    Corpus,
    /// A provider's model.
    Provider,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Brand, Self::Period, Self::Text, Self::Corpus, Self::Provider];
}

/// A hashtag with what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hashtag {
    /// With its sign.
    pub tag: String,
    /// 0 to 1: 0.55 relevance + 0.2 distinctiveness + 0.15 use + 0.1 shortness; less when it only repeats what a better
    /// one says, or was in most of the latest posts.
    pub score: f64,
    /// How much the text is about it, 0 to 1.
    pub relevance: f64,
    /// How much it tells the text apart from the organization's other texts, 0 to 1; 0.5 where there are none.
    pub distinctiveness: f64,
    /// In how many of the organization's posts it is.
    pub used_by_us: usize,
    /// When it was in one last.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The newest of these posts.
    #[serde(default)]
    pub posts: Vec<PostId>,
    /// Where it is from.
    pub source: Source,
    /// What Instagram shows for it, when it was asked.
    #[serde(default)]
    pub instagram: Option<Sample>,
}

impl Hashtag {
    /// How much the organization's posts use it, 0 to 1: half when three do.
    pub fn usage(&self) -> f64 {
        rounded(usage(self.used_by_us))
    }

    /// How short it is, 0 to 1.
    pub fn shortness(&self) -> f64 {
        rounded(shortness(self.tag.trim_start_matches('#')))
    }
}

fn usage(posts: usize) -> f64 {
    float(posts) / (float(posts) + 3.0)
}

/// 1 up to 20 characters, and a twentieth less for each more.
fn shortness(tag: &str) -> f64 {
    1.0 - float(tag.chars().count().saturating_sub(20)) / 20.0
}

/// What Instagram shows for a hashtag: a sample, which does not tell how many people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Posts that were looked at of those that Instagram shows first, at most 50.
    pub top: usize,
    /// Their likes.
    pub likes: Figure,
    /// Their comments.
    pub comments: Figure,
    /// Posts of the last 24 hours that were looked at, at most 50.
    pub recent: usize,
    /// When.
    pub read_at: DateTime<Utc>,
}

/// A number that some posts of a sample have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// Of all of those together.
    pub sum: u64,
    /// How many have it.
    pub of: usize,
}

impl Figure {
    /// What one has on average; none when none has it.
    #[expect(clippy::cast_precision_loss, reason = "likes of fifty posts are far below 2^52")]
    pub fn average(self) -> Option<f64> {
        (self.of > 0).then(|| rounded(self.sum as f64 / float(self.of)))
    }
}

/// Hashtags to paste at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What for.
    pub kind: GroupKind,
    /// With their signs.
    pub tags: Vec<String>,
    /// The same in one line.
    pub text: String,
}

/// The kinds of [`Group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GroupKind {
    /// All of them.
    All,
    /// The best five: what Instagram's app takes in a caption since it announced so in December 2025.
    Five,
    /// The best three, for short posts.
    Three,
    /// Those that are in none of the latest posts.
    Fresh,
}

/// Something that the caller should know about a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Of which kind.
    pub kind: WarningKind,
    /// The hashtag that it is about, with its sign.
    pub tag: Option<String>,
    /// As a sentence.
    pub message: String,
}

/// The kinds of [`Warning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WarningKind {
    /// There are fewer than were asked for.
    Fewer,
    /// It was in most of the latest posts.
    Repeated,
    /// The set is nearly that of a recent post.
    SameSet,
    /// There are no documents to tell common words from telling ones.
    NoCorpus,
    /// There are no earlier posts to learn from.
    NoHistory,
    /// Instagram was to say something of it, and does not.
    NotMeasured,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HashtagSet {
    /// The best first.
    pub hashtags: Vec<Hashtag>,
    /// Ready to paste.
    pub groups: Vec<Group>,
    /// What to know about them.
    pub warnings: Vec<Warning>,
    /// What was given and is not in the set, with the reason: hashtags that are none, or are banned.
    pub unused: Vec<UnusedInput>,
}

/// The terms that [`Corpus::counts`] should count, the weightiest of the text first.
pub fn lookups(research: &Research) -> Vec<String> {
    let profile = phrases::read(&research.text, research.language);
    let mut terms: Vec<(&String, f64)> = profile.terms.iter().map(|(term, weight)| (term, *weight)).collect();
    terms.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let lists = [&research.brand, &research.period, &research.must_include, &research.ideas];
    let listed = lists.into_iter().flat_map(|list| list.iter().take(LISTED));
    let used: BTreeSet<String> =
        research.past.iter().flat_map(|post| &post.hashtags).take(LISTED).cloned().collect();
    let mut seen = BTreeSet::new();
    let text = terms.into_iter().map(|(term, _)| term.clone());
    let tags = listed.chain(&used).flat_map(|tag| tag_terms(&tidy(tag), research.language));
    text.chain(tags).filter(|term| seen.insert(term.clone())).take(LOOKUPS).collect()
}

/// Researches.
///
/// # Errors
/// `OUT_OF_RANGE` for the count; `INVALID` when more must be included than fit; `INSUFFICIENT_INPUT` when the text has no
/// words.
pub fn research(research: &Research) -> Result<HashtagSet, Refusal> {
    if !(1..=HASHTAGS).contains(&research.count) {
        return Err(Refusal::out_of_range("count", format!("`count` is a number from 1 to {HASHTAGS}.")));
    }
    let profile = phrases::read(&research.text, research.language);
    if profile.terms.is_empty() {
        let message = "The text has no words that hashtags could be made from. Write what the post is about.";
        return Err(Refusal::insufficient("text", message));
    }
    let mut pool = Pool {
        research,
        history: History::read(&research.past, research.language),
        profile: profile.weightiest(LOOKUPS),
        banned: Banned::read(&research.banned, research.language),
        candidates: BTreeMap::new(),
        unused: Vec::new(),
    };
    pool.gather();
    let required = pool.candidates.values().filter(|candidate| candidate.required).count();
    if required > research.count {
        let message = format!(
            "`mustInclude` has {required} hashtags, and {} are wanted in all. Raise `count` or leave some out.",
            research.count
        );
        return Err(Refusal::invalid("mustInclude", message));
    }
    Ok(pool.choose())
}

/// A hashtag that may come out.
#[derive(Debug, Clone)]
struct Candidate {
    tag: String,
    terms: Vec<String>,
    relevance: f64,
    source: Source,
    required: bool,
    /// How often its phrase is in the text; 0 for others.
    count: usize,
}

struct Pool<'a> {
    research: &'a Research,
    profile: Profile,
    history: History,
    banned: Banned,
    candidates: BTreeMap<String, Candidate>,
    unused: Vec<UnusedInput>,
}

impl Pool<'_> {
    fn gather(&mut self) {
        let research = self.research;
        for phrase in std::mem::take(&mut self.profile.phrases) {
            let tag = join(&phrase.words);
            if phrase.relevance >= LEAST_RELEVANCE && check(&tag).is_ok() {
                let candidate = Candidate {
                    tag,
                    terms: phrase.terms,
                    relevance: phrase.relevance,
                    source: Source::Text,
                    required: false,
                    count: phrase.count,
                };
                self.add(candidate);
            }
        }
        let uses = std::mem::take(&mut self.history.uses);
        for used in uses.values() {
            let relevance = self.history.frequency(used, &self.profile);
            if relevance >= LEAST_FREQUENCY {
                let candidate = self.candidate(used.tag.clone(), Source::Corpus);
                self.add(Candidate { relevance: candidate.relevance.max(relevance), ..candidate });
            }
        }
        self.history.uses = uses;
        let lists = [
            (&research.ideas, Source::Provider),
            (&research.period, Source::Period),
            (&research.brand, Source::Brand),
        ];
        for (list, source) in lists {
            for written in list.iter().take(LISTED) {
                if let Some(tag) = self.valid(written) {
                    let candidate = self.candidate(tag, source);
                    self.add(candidate);
                }
            }
        }
        for written in research.must_include.iter().take(LISTED) {
            if let Some(tag) = self.valid(written) {
                let source = self.candidates.get(&key(&tag)).map_or(Source::Brand, |known| known.source);
                let candidate = Candidate { required: true, ..self.candidate(tag, source) };
                self.add(candidate);
            }
        }
        let banned = &self.banned;
        self.candidates.retain(|key, candidate| !banned.hits(key, &candidate.terms));
    }

    /// A hashtag as the caller wrote it, if it is one and not banned; else the reason is kept.
    fn valid(&mut self, written: &str) -> Option<String> {
        let tag = tidy(written);
        let reason = match check(&tag) {
            Ok(()) if !self.banned.hits(&key(&tag), &tag_terms(&tag, self.research.language)) => {
                return Some(tag);
            }
            Ok(()) => "It is banned.".to_owned(),
            Err(TagProblem::Empty) => "There is no hashtag in it.".to_owned(),
            Err(TagProblem::TooLong) => format!("A hashtag has at most {CHARACTERS} characters."),
            Err(TagProblem::Character) => "A hashtag has letters, digits and underscores only.".to_owned(),
            Err(TagProblem::NoLetter) => "A hashtag needs a letter.".to_owned(),
        };
        self.unused.push(UnusedInput { input: crate::agents::text::excerpt(written, 100), reason });
        None
    }

    fn candidate(&self, tag: String, source: Source) -> Candidate {
        let terms = tag_terms(&tag, self.research.language);
        let inside = self.profile.terms.iter().filter(|(term, _)| term.chars().count() >= 4);
        // `Lebenskraft` is about `Kraft`, in the measure that it is spelled by it.
        let whole = key(&tag);
        let part = inside
            .filter(|(term, _)| whole.starts_with(term.as_str()) || whole.ends_with(term.as_str()))
            .map(|(term, weight)| weight * float(term.len()) / float(whole.len().max(1)))
            .fold(0.0, f64::max);
        let relevance = self.profile.overlap(&terms).max(part);
        Candidate { tag, terms, relevance, source, required: false, count: 0 }
    }

    /// Adds a candidate; of two spellings that with more capitals stays.
    fn add(&mut self, candidate: Candidate) {
        let capitals = |tag: &str| tag.chars().filter(|c| c.is_uppercase()).count();
        let entry = self.candidates.entry(key(&candidate.tag)).or_insert_with(|| candidate.clone());
        if capitals(&candidate.tag) > capitals(&entry.tag) && !entry.required {
            entry.tag.clone_from(&candidate.tag);
        }
        if candidate.required {
            entry.tag.clone_from(&candidate.tag);
        }
        entry.relevance = entry.relevance.max(candidate.relevance);
        entry.source = entry.source.min(candidate.source);
        entry.required |= candidate.required;
        entry.count = entry.count.max(candidate.count);
        if entry.terms.len() < candidate.terms.len() {
            entry.terms = candidate.terms;
        }
    }

    fn choose(mut self) -> HashtagSet {
        let mut scored: Vec<(bool, Vec<String>, Hashtag)> =
            self.candidates.iter().map(|(key, candidate)| self.score(key, candidate)).collect();
        scored.sort_by(|a, b| b.2.score.total_cmp(&a.2.score).then_with(|| a.2.tag.cmp(&b.2.tag)));
        // Of two forms of one word (`Gewohnheit`, `Gewohnheiten`) the better one stays.
        let mut seen: BTreeSet<Vec<String>> =
            scored.iter().filter(|(required, ..)| *required).map(|(_, terms, _)| terms.clone()).collect();
        scored.retain(|(required, terms, _)| *required || terms.is_empty() || seen.insert(terms.clone()));
        let chosen = self.fill(&scored);
        let mut hashtags: Vec<Hashtag> = Vec::with_capacity(chosen.len());
        let mut required = Vec::new();
        for (index, (is_required, _, hashtag)) in scored.into_iter().enumerate() {
            if chosen.contains(&index) {
                if is_required {
                    required.push(hashtag.tag.clone());
                }
                hashtags.push(hashtag);
            }
        }
        let warnings = self.warnings(&hashtags);
        let groups = self.groups(&hashtags, &required);
        HashtagSet { hashtags, groups, warnings, unused: std::mem::take(&mut self.unused) }
    }

    fn score(&self, key: &str, candidate: &Candidate) -> (bool, Vec<String>, Hashtag) {
        let used = self.history.uses.get(key);
        let distinctiveness = self.distinctiveness(candidate, used);
        let posts = used.map_or(0, |used| used.posts);
        let mut score = 0.55 * candidate.relevance
            + 0.2 * distinctiveness
            + 0.15 * usage(posts)
            + 0.1 * shortness(&candidate.tag);
        if candidate.source == Source::Text && self.is_part(candidate) {
            score *= 0.8;
        }
        if used.is_some_and(|used| used.latest * 2 > LATEST)
            && !candidate.required
            && candidate.source != Source::Brand
        {
            score *= 0.85;
        }
        let hashtag = Hashtag {
            tag: format!("#{}", candidate.tag),
            score: rounded(score),
            relevance: rounded(candidate.relevance),
            distinctiveness: rounded(distinctiveness),
            used_by_us: posts,
            last_used_at: used.and_then(|used| used.last),
            posts: used.map(|used| used.newest.clone()).unwrap_or_default(),
            source: candidate.source,
            instagram: None,
        };
        (candidate.required, candidate.terms.clone(), hashtag)
    }

    /// Whether a longer phrase of the text that is at least as good always has the candidate's words.
    fn is_part(&self, candidate: &Candidate) -> bool {
        self.candidates.values().any(|other| {
            other.source <= Source::Text
                && other.terms.len() > 1
                && other.relevance > candidate.relevance
                && other.count >= candidate.count
                && other.terms != candidate.terms
                && candidate.terms.iter().any(|term| other.terms.contains(term))
        })
    }

    /// The inverse document frequency of the rarest word, ln((N + 1) / (n + 1)) over ln(N + 1), where passages and earlier
    /// posts are the documents; for a hashtag in use the mean of it and the inverse hashtag ubiquity.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn distinctiveness(&self, candidate: &Candidate, used: Option<&Use>) -> f64 {
        let corpus = &self.research.corpus;
        if corpus.passages == 0 && self.history.posts == 0 {
            return 0.5;
        }
        let all = corpus.passages as f64;
        let idf = |term: &String| {
            let held = corpus.counts.get(term).copied().unwrap_or(0).min(corpus.passages) as f64;
            (ln((all + 1.0) / (held + 1.0)) / ln(all + 1.0).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
        };
        let rarest = candidate.terms.iter().map(idf).fold(0.0, f64::max);
        let by_corpus = if corpus.passages == 0 || candidate.terms.is_empty() { 0.5 } else { rarest };
        used.map_or(by_corpus, |used| f64::midpoint(by_corpus, self.history.inverse_ubiquity(used)))
    }

    /// The places of the chosen ones among the scored, which are in order.
    fn fill(&self, scored: &[(bool, Vec<String>, Hashtag)]) -> BTreeSet<usize> {
        let count = self.research.count;
        let mut chosen: BTreeSet<usize> = scored
            .iter()
            .enumerate()
            .filter(|(_, (required, ..))| *required)
            .map(|(index, _)| index)
            .collect();
        let of = |source: Source| {
            scored
                .iter()
                .enumerate()
                .filter(move |(_, (_, _, hashtag))| hashtag.source == source)
                .map(|(index, _)| index)
        };
        let weight = |source: Source| {
            if of(source).next().is_some() { f64::from(self.research.mix.of(source)) } else { 0.0 }
        };
        let quotas = apportion(&Source::ALL.map(weight), count);
        for (source, quota) in Source::ALL.into_iter().zip(quotas) {
            let had = of(source).filter(|index| chosen.contains(index)).count();
            for index in of(source)
                .filter(|index| !chosen.contains(index))
                .take(quota.saturating_sub(had))
                .collect::<Vec<_>>()
            {
                if chosen.len() < count {
                    chosen.insert(index);
                }
            }
        }
        for index in 0..scored.len() {
            if chosen.len() >= count {
                break;
            }
            chosen.insert(index);
        }
        chosen
    }

    fn groups(&self, hashtags: &[Hashtag], required: &[String]) -> Vec<Group> {
        let rest = hashtags.iter().map(|hashtag| &hashtag.tag).filter(|tag| !required.contains(tag));
        let all: Vec<String> = required.iter().chain(rest).cloned().collect();
        let fresh: Vec<String> = all
            .iter()
            .filter(|tag| self.history.uses.get(&key(tag)).is_none_or(|used| used.latest == 0))
            .cloned()
            .collect();
        let first = |count: usize| all.iter().take(count).cloned().collect::<Vec<_>>();
        let mut groups: Vec<Group> = Vec::new();
        for (kind, tags) in [
            (GroupKind::All, all.clone()),
            (GroupKind::Five, first(5)),
            (GroupKind::Three, first(3)),
            (GroupKind::Fresh, fresh),
        ] {
            if !tags.is_empty() && groups.iter().all(|group| group.tags != tags) {
                groups.push(Group { kind, text: tags.join(" "), tags });
            }
        }
        groups
    }

    fn warnings(&self, hashtags: &[Hashtag]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |kind, tag: Option<&String>, message: String| {
            warnings.push(Warning { kind, tag: tag.cloned(), message });
        };
        if hashtags.len() < self.research.count {
            let message = format!(
                "The text and what is known of the organization give {} hashtags, not {}.",
                hashtags.len(),
                self.research.count
            );
            warn(WarningKind::Fewer, None, message);
        }
        let latest = self.history.posts.min(LATEST);
        for hashtag in hashtags {
            let times = self.history.uses.get(&key(&hashtag.tag)).map_or(0, |used| used.latest);
            if latest > 1 && times * 2 > latest {
                let message = format!("{} is in {times} of the latest {latest} posts.", hashtag.tag);
                warn(WarningKind::Repeated, Some(&hashtag.tag), message);
            }
        }
        let keys: BTreeSet<String> = hashtags.iter().map(|hashtag| key(&hashtag.tag)).collect();
        let same = self.history.latest.iter().find(|(_, earlier)| {
            let common = float(earlier.intersection(&keys).count());
            common / float(earlier.union(&keys).count().max(1)) >= SAME
        });
        if let Some((at, _)) = same {
            let message = format!("The set is nearly that of the post of {}.", at.format("%-d %B %Y"));
            warn(WarningKind::SameSet, None, message);
        }
        if self.research.corpus.passages == 0 {
            let message = "There are no documents to compare with, so that common words are not told from telling ones.";
            warn(WarningKind::NoCorpus, None, message.to_owned());
        }
        if self.history.posts == 0 {
            let message = "There are no earlier posts, so that nothing is known of hashtags in use.";
            warn(WarningKind::NoHistory, None, message.to_owned());
        }
        warnings
    }
}

/// What must not come out.
struct Banned {
    keys: Vec<String>,
    terms: BTreeSet<String>,
}

impl Banned {
    fn read(list: &[String], language: Language) -> Self {
        let entries = || list.iter().take(LISTED).map(|entry| tidy(entry)).filter(|entry| !entry.is_empty());
        let single = entries().map(|entry| tag_terms(&entry, language)).filter(|terms| terms.len() == 1);
        Self { keys: entries().map(|entry| key(&entry)).collect(), terms: single.flatten().collect() }
    }

    /// Whether a hashtag is banned, has a banned word, or is a compound with one at an end (`Diätplan` with `Diät`).
    fn hits(&self, tag_key: &str, terms: &[String]) -> bool {
        let inside = |key: &String| {
            key.chars().count() >= 4 && (tag_key.starts_with(key.as_str()) || tag_key.ends_with(key.as_str()))
        };
        self.keys.iter().any(|key| key == tag_key || inside(key))
            || terms.iter().any(|term| self.terms.contains(term))
    }
}

/// The terms of a hashtag: of its words, by its capitals and underscores.
fn tag_terms(tag: &str, language: Language) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut before = '_';
    let mut chars = tag.chars().peekable();
    while let Some(c) = chars.next() {
        let next_lower = chars.peek().is_some_and(|next| next.is_lowercase());
        let begins = c.is_uppercase() && (!before.is_uppercase() || next_lower);
        if (begins || c == '_') && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.push(c);
        }
        before = c;
    }
    let lowered = words.iter().map(|word| reading::normal(word));
    let content = lowered.filter(|word| !word.is_empty() && !reading::is_stop_word(word, language));
    content.map(|word| reading::stem(&word, language)).collect()
}

#[cfg(test)]
mod tests;
