//! The pillars of an organization's content: clusters of its passages and past posts by the words that they share, or what the
//! caller names.
//!
//! Sections of documents and past posts are vectors of TF-IDF weights (Salton and Buckley, Term-weighting approaches in automatic
//! text retrieval, 1988), joined by average linkage as long as they are alike. A post weighs half of a section, and posts that
//! are like no section are a pillar from [`ALONE`] on. A pillar is named by the key phrase that its texts have and the others
//! have not.

use std::collections::{BTreeMap, BTreeSet};

use super::{GivenPillar, PastPost, PillarOrigin, PlannedPillar, Strategy};
use crate::agents::posts::builtin::Passage;
use crate::agents::text::numbers::{apportion, float, ln, rounded, share};
use crate::agents::text::{Language, excerpt, phrases};

/// The most sections that are compared; of more documents the longest sections.
const SECTIONS: usize = 300;
/// The most pillars that are derived, and the fewest when there is enough to tell apart.
const MOST: usize = 5;
const FEWEST: usize = 3;
/// From this likeness (cosine) on, two groups of sections are about the same.
const ALIKE: f64 = 0.12;
/// A text that is less like a pillar does not belong to it. Posts are short, and alike from here on.
const NEAR: f64 = 0.08;
/// The most past posts that are compared, the latest of those that say different things.
const TOLD: usize = 200;
/// A post that has fewer terms says too little.
const TELLING: usize = 3;
/// What a post weighs beside a section.
const POST: f64 = 0.5;
/// Of posts without a section so many make a pillar.
pub(super) const ALONE: usize = 4;
/// The longest heading that names a pillar, in characters.
const NAME: usize = 40;
/// The most text of a pillar that is read for its name, in characters.
const READ: usize = 40_000;
/// Key phrases of a pillar.
const PHRASES: usize = 6;
/// The least share of a pillar, in hundredths.
const LEAST: usize = 10;

/// A section of a document: the passages under one heading.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub document: String,
    pub heading: Option<String>,
    /// The places of its passages.
    pub passages: Vec<usize>,
    /// Its terms with how often each occurs.
    pub terms: BTreeMap<String, usize>,
    pub words: usize,
}

/// The sections of passages, in their order.
pub(super) fn sections(passages: &[Passage], language: Language) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    let mut places: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for (place, passage) in passages.iter().enumerate() {
        let key = (passage.document.as_str(), passage.heading.as_deref());
        let at = *places.entry(key).or_insert(all.len());
        if at == all.len() {
            all.push(Section {
                document: passage.document.clone(),
                heading: passage.heading.clone(),
                passages: Vec::new(),
                terms: BTreeMap::new(),
                words: 0,
            });
        }
        let Some(section) = all.get_mut(at) else { continue };
        // A heading says what its section is about, and counts twice.
        let heading = passage.heading.as_deref().map(last_heading).unwrap_or_default();
        let weight = if section.passages.is_empty() { 2 } else { 0 };
        let heading = phrases::terms(heading, language).into_iter().map(|term| (term, weight));
        let text = phrases::terms(&passage.text, language).into_iter().map(|term| (term, 1));
        for (term, count) in
            heading.chain(text).filter(|(term, count)| *count > 0 && !phrases::is_bare(term, language))
        {
            *section.terms.entry(term).or_insert(0) += count;
        }
        section.words += passage.text.split_whitespace().count();
        section.passages.push(place);
    }
    if all.len() > SECTIONS {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| (std::cmp::Reverse(all.get(*at).map_or(0, |section| section.words)), *at));
        let kept: BTreeSet<usize> = order.into_iter().take(SECTIONS).collect();
        let mut at = 0;
        all.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
    }
    all
}

/// What past posts say: those that say the same are one.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Without hashtags.
    pub text: String,
    /// Its terms with how often each occurs, those of hashtags among them.
    pub terms: BTreeMap<String, usize>,
    pub words: usize,
    /// How many posts say it.
    pub posts: usize,
}

/// What past posts say, the latest first.
pub(super) fn told(past: &[PastPost], language: Language) -> Vec<Told> {
    let mut order: Vec<&PastPost> = past.iter().collect();
    // Equal moments in the order of their texts, so that the caller's order does not matter.
    order.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.text.cmp(&b.text)));
    let mut all: Vec<Told> = Vec::new();
    let mut places: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for post in order {
        let key = post.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        if let Some(known) = places.get(&key) {
            if let Some(same) = known.and_then(|at| all.get_mut(at)) {
                same.posts += 1;
            }
            continue;
        }
        if all.len() == TOLD {
            continue;
        }
        let mut terms: BTreeMap<String, usize> = BTreeMap::new();
        for term in phrases::terms(&post.text, language) {
            if !phrases::is_bare(&term, language) {
                *terms.entry(term).or_insert(0) += 1;
            }
        }
        let telling = terms.len() >= TELLING;
        places.insert(key, telling.then_some(all.len()));
        if telling {
            let text = without_hashtags(&post.text);
            all.push(Told { words: text.split_whitespace().count(), text, terms, posts: 1 });
        }
    }
    all
}

/// A text line by line without its hashtags.
fn without_hashtags(text: &str) -> String {
    let line = |line: &str| {
        line.split_whitespace().filter(|word| !word.starts_with('#')).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// What pillars are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    pub sections: &'a [Section],
    pub told: &'a [Told],
}

impl<'a> Texts<'a> {
    /// The terms of all texts: of the sections, and then of the posts.
    fn terms(self) -> impl Iterator<Item = &'a BTreeMap<String, usize>> {
        self.sections.iter().map(|section| &section.terms).chain(self.told.iter().map(|told| &told.terms))
    }

    /// Those of them that have these places, as sections and as posts.
    fn at(self, places: &[usize]) -> Own<'a> {
        let before = self.sections.len();
        Own {
            sections: places.iter().filter_map(|place| self.sections.get(*place)).collect(),
            told: places.iter().filter_map(|place| self.told.get(place.checked_sub(before)?)).collect(),
        }
    }
}

/// The texts of a pillar.
#[derive(Debug)]
struct Own<'a> {
    sections: Vec<&'a Section>,
    told: Vec<&'a Told>,
}

impl Own<'_> {
    fn terms(&self) -> impl Iterator<Item = &BTreeMap<String, usize>> {
        self.sections.iter().map(|section| &section.terms).chain(self.told.iter().map(|told| &told.terms))
    }
}

/// The innermost of a heading path.
pub(super) fn last_heading(path: &str) -> &str {
    path.rsplit(" › ").next().unwrap_or(path).trim()
}

/// A vector of unit length.
pub(super) type Vector = BTreeMap<String, f64>;

/// What tells terms apart.
#[derive(Debug, Default)]
pub(super) struct Weights {
    count: usize,
    held: BTreeMap<String, usize>,
}

impl Weights {
    pub fn of(texts: Texts<'_>) -> Self {
        let mut held: BTreeMap<String, usize> = BTreeMap::new();
        for term in texts.terms().flat_map(BTreeMap::keys) {
            *held.entry(term.clone()).or_insert(0) += 1;
        }
        Self { count: texts.terms().count(), held }
    }

    /// (1 + ln tf) · ln(1 + N / n), of unit length.
    pub fn vector(&self, terms: &BTreeMap<String, usize>) -> Vector {
        let weigh = |(term, count): (&String, &usize)| {
            let held = self.held.get(term).copied().unwrap_or(0).max(1);
            let weight =
                (1.0 + ln(float((*count).max(1)))) * ln(1.0 + float(self.count.max(1)) / float(held));
            (term.clone(), weight)
        };
        let mut vector: Vector = terms.iter().map(weigh).collect();
        let length = vector.values().map(|weight| weight * weight).sum::<f64>().sqrt();
        if length > 0.0 {
            for weight in vector.values_mut() {
                *weight /= length;
            }
        }
        vector
    }

    pub fn of_text(&self, text: &str, language: Language) -> Vector {
        let mut terms: BTreeMap<String, usize> = BTreeMap::new();
        for term in phrases::terms(text, language) {
            if !phrases::is_bare(&term, language) {
                *terms.entry(term).or_insert(0) += 1;
            }
        }
        self.vector(&terms)
    }
}

/// The cosine of two vectors of unit length.
pub(super) fn likeness(one: &Vector, other: &Vector) -> f64 {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short.iter().filter_map(|(term, weight)| long.get(term).map(|other| weight * other)).sum()
}

/// Pillars, and to which of them each section belongs.
pub(super) struct Pillars {
    pub all: Vec<PlannedPillar>,
    /// By section; none where no pillar fits.
    pub of_section: Vec<Option<usize>>,
    pub vectors: Vec<Vector>,
}

impl Pillars {
    /// The pillar that a text is most about.
    pub fn nearest(&self, vector: &Vector) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (at, pillar) in self.vectors.iter().enumerate() {
            let alike = likeness(pillar, vector);
            if alike >= NEAR && best.is_none_or(|(_, most)| alike > most) {
                best = Some((at, alike));
            }
        }
        best.map(|(at, _)| at)
    }
}

/// The caller's pillars, or those that the texts form, or the caller's goals where they form none.
pub(super) fn pillars(strategy: &Strategy, texts: Texts<'_>, weights: &Weights) -> Pillars {
    if !strategy.pillars.is_empty() {
        return given(strategy, texts, weights, &strategy.pillars, PillarOrigin::Given);
    }
    let derived = derived(strategy, texts, weights);
    if !derived.all.is_empty() {
        return derived;
    }
    let goals = strategy.goals.iter().filter(|goal| !goal.trim().is_empty()).take(MOST);
    let goals: Vec<GivenPillar> = goals
        .map(|goal| GivenPillar { name: excerpt(goal, 80), share: None, key_phrases: vec![goal.clone()] })
        .collect();
    given(strategy, texts, weights, &goals, PillarOrigin::Goal)
}

fn given(
    strategy: &Strategy,
    texts: Texts<'_>,
    weights: &Weights,
    list: &[GivenPillar],
    origin: PillarOrigin,
) -> Pillars {
    let language = strategy.language;
    let vectors: Vec<Vector> = list
        .iter()
        .map(|pillar| {
            weights.of_text(&format!("{}\n{}", pillar.name, pillar.key_phrases.join("\n")), language)
        })
        .collect();
    let mut pillars = Pillars { all: Vec::new(), of_section: Vec::new(), vectors };
    let of: Vec<Option<usize>> = texts.terms().map(|terms| pillars.nearest(&weights.vector(terms))).collect();
    pillars.of_section = of.iter().copied().take(texts.sections.len()).collect();
    // Shares that are missing take what is left in equal parts.
    let named: f64 = list.iter().filter_map(|pillar| pillar.share).sum();
    let missing = list.iter().filter(|pillar| pillar.share.is_none()).count();
    let rest = if missing == 0 { 0.0 } else { ((1.0 - named).max(0.0) / float(missing)).max(0.01) };
    let wanted: Vec<f64> = list.iter().map(|pillar| pillar.share.unwrap_or(rest)).collect();
    let shares = apportion(&wanted, 100);
    for (at, (pillar, hundredths)) in list.iter().zip(shares).enumerate() {
        let places: Vec<usize> = (0..of.len()).filter(|place| of.get(*place) == Some(&Some(at))).collect();
        let own = texts.at(&places);
        let phrases = if pillar.key_phrases.is_empty() {
            name_of(strategy, texts, &own).into_iter().take(PHRASES).collect()
        } else {
            pillar.key_phrases.iter().take(50).cloned().collect()
        };
        pillars.all.push(planned(pillar.name.clone(), hundredths, phrases, &own, origin));
    }
    pillars
}

fn planned(
    name: String,
    hundredths: usize,
    key_phrases: Vec<String>,
    own: &Own<'_>,
    origin: PillarOrigin,
) -> PlannedPillar {
    let sources: BTreeSet<String> = own.sections.iter().map(|section| section.document.clone()).collect();
    let headings = own.sections.iter().filter_map(|section| section.heading.clone()).collect();
    PlannedPillar {
        name,
        share: rounded(float(hundredths) / 100.0),
        planned_share: 0.0,
        key_phrases,
        sources: sources.into_iter().collect(),
        headings,
        past_posts: own.told.iter().map(|told| told.posts).sum(),
        origin,
    }
}

fn derived(strategy: &Strategy, texts: Texts<'_>, weights: &Weights) -> Pillars {
    let language = strategy.language;
    let vectors: Vec<Vector> = texts.terms().map(|terms| weights.vector(terms)).collect();
    let clusters = cluster(&vectors, texts.sections.len());
    let goals = weights.of_text(&strategy.goals.join("\n"), language);
    let mut pillars =
        Pillars { all: Vec::new(), of_section: vec![None; texts.sections.len()], vectors: Vec::new() };
    let mut wanted = Vec::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut drafts = Vec::new();
    for (at, cluster) in clusters.iter().enumerate() {
        let own = texts.at(cluster);
        let mut terms: BTreeMap<String, usize> = BTreeMap::new();
        for (term, count) in own.terms().flatten() {
            *terms.entry(term.clone()).or_insert(0) += count;
        }
        let vector = weights.vector(&terms);
        let written: usize = own.sections.iter().map(|section| section.words).sum();
        let posted: usize = own.told.iter().map(|told| told.words).sum();
        let words = (float(written) + POST * float(posted)).max(1.0);
        // What goals speak of weighs up to twice as much; of long sections there is more to say, but not in proportion.
        wanted.push(words.sqrt() * (1.0 + likeness(&vector, &goals).min(1.0)));
        let mut phrases = name_of(strategy, texts, &own);
        let fallback = own
            .sections
            .iter()
            .filter_map(|section| section.heading.as_deref())
            .map(|path| excerpt(last_heading(path), 60))
            .next();
        // The organization's own name for a single section is better than any phrase.
        let headings: BTreeSet<&str> =
            own.sections.iter().filter_map(|section| section.heading.as_deref().map(last_heading)).collect();
        let heading = headings.first().filter(|heading| {
            headings.len() == 1 && own.sections.len() == 1 && heading.chars().count() <= NAME
        });
        let heading = heading
            .map(|heading| (*heading).to_owned())
            .filter(|heading| !heading.is_empty() && !names.contains(heading));
        let phrase = phrases.iter().find(|phrase| !names.contains(*phrase)).cloned();
        let name = heading.or(phrase).or(fallback);
        let name = name.unwrap_or_else(|| {
            let document = own.sections.first().map(|section| section.document.as_str());
            let first = document.or(own.told.first().map(|told| told.text.as_str()));
            excerpt(first.unwrap_or_default(), 60)
        });
        names.insert(name.clone());
        phrases.truncate(PHRASES);
        for place in cluster {
            if let Some(of) = pillars.of_section.get_mut(*place) {
                *of = Some(at);
            }
        }
        pillars.vectors.push(vector);
        drafts.push((name, phrases, own));
    }
    let shares = at_least(apportion(&wanted, 100));
    for ((name, phrases, own), hundredths) in drafts.into_iter().zip(shares) {
        pillars.all.push(planned(name, hundredths, phrases, &own, PillarOrigin::Derived));
    }
    pillars
}

/// Shares in hundredths with none below [`LEAST`]; what that takes comes from the largest.
fn at_least(mut shares: Vec<usize>) -> Vec<usize> {
    if shares.len() * LEAST > 100 {
        return shares;
    }
    while let Some(small) = shares.iter().position(|share| *share < LEAST) {
        let Some(large) = (0..shares.len())
            .max_by_key(|at| (shares.get(*at).copied().unwrap_or(0), std::cmp::Reverse(*at)))
        else {
            break;
        };
        if let Some(share) = shares.get_mut(large) {
            *share -= 1;
        }
        if let Some(share) = shares.get_mut(small) {
            *share += 1;
        }
    }
    shares
}

/// Groups of vectors by average linkage: the two groups that are most alike are joined, as long as there are too many or
/// they are alike enough. The first vectors are so many sections, the others are posts; of posts without a section those are
/// a group that are [`ALONE`] or more, and others are left out.
fn cluster(vectors: &[Vector], sections: usize) -> Vec<Vec<usize>> {
    let weight = |group: &[usize]| -> f64 {
        group.iter().map(|place| if *place < sections { 1.0 } else { POST }).sum()
    };
    let documented = |group: &[usize]| group.iter().any(|place| *place < sections);
    let counts = |group: &[usize]| documented(group) || group.len() >= ALONE;
    let mut groups: Vec<Option<Vec<usize>>> = (0..vectors.len()).map(|at| Some(vec![at])).collect();
    let mut alike: Vec<Vec<f64>> =
        vectors.iter().map(|one| vectors.iter().map(|other| likeness(one, other)).collect()).collect();
    let get = |alike: &[Vec<f64>], a: usize, b: usize| {
        alike.get(a).and_then(|row| row.get(b)).copied().unwrap_or(0.0)
    };
    loop {
        let look = |(at, group): (usize, &Option<Vec<usize>>)| {
            let group = group.as_deref()?;
            Some((at, documented(group), counts(group)))
        };
        let open: Vec<(usize, bool, bool)> = groups.iter().enumerate().filter_map(look).collect();
        let left = open.iter().filter(|(.., counts)| *counts).count();
        let mut best: Option<(usize, usize, f64)> = None;
        for (index, (a, a_documented, a_counts)) in open.iter().enumerate() {
            for (b, b_documented, b_counts) in open.iter().skip(index + 1) {
                let value = get(&alike, *a, *b);
                // A few groups of sections are kept apart however alike they are; posts keep nothing apart.
                let documented = *a_documented && *b_documented;
                let least = if documented { ALIKE } else { NEAR };
                let enough = value >= least && (!documented || left > FEWEST);
                let may = enough || (left > MOST && *a_counts && *b_counts);
                if may && best.is_none_or(|(.., most)| value > most) {
                    best = Some((*a, *b, value));
                }
            }
        }
        let Some((a, b, _)) = best else { break };
        let moved = groups.get_mut(b).and_then(Option::take).unwrap_or_default();
        let weights = (groups.get(a).and_then(Option::as_deref).map_or(1.0, weight), weight(&moved));
        // The mean likeness to a joined group is the mean of those to its parts, by their weights.
        for (other, ..) in &open {
            let (one, two) = (get(&alike, a, *other), get(&alike, b, *other));
            let mean = (one * weights.0 + two * weights.1) / (weights.0 + weights.1);
            for (row, column) in [(a, *other), (*other, a)] {
                if let Some(cell) = alike.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = mean;
                }
            }
        }
        if let Some(Some(group)) = groups.get_mut(a) {
            group.extend(moved);
            group.sort_unstable();
        }
    }
    groups.into_iter().flatten().filter(|group| counts(group)).collect()
}

/// The key phrases of a pillar's texts, those first that the other texts have not and that headings have.
fn name_of(strategy: &Strategy, texts: Texts<'_>, own: &Own<'_>) -> Vec<String> {
    let language = strategy.language;
    let mut text = String::new();
    let mut headings: BTreeSet<String> = BTreeSet::new();
    for section in &own.sections {
        if let Some(heading) = section.heading.as_deref().map(last_heading) {
            headings.extend(phrases::terms(heading, language));
            text.push_str(heading);
            text.push_str(".\n\n");
        }
        for passage in section.passages.iter().filter_map(|place| strategy.passages.get(*place)) {
            text.push_str(&passage.text);
            text.push_str("\n\n");
        }
        if text.len() > READ {
            break;
        }
    }
    for told in &own.told {
        if text.len() > READ {
            break;
        }
        text.push_str(&told.text);
        text.push_str("\n\n");
    }
    let others = |term: &String| {
        let all = texts.terms().filter(|terms| terms.contains_key(term)).count();
        let inside = own.terms().filter(|terms| terms.contains_key(term)).count();
        share(inside, all.max(1))
    };
    let mut rated: Vec<(f64, usize, String)> = Vec::new();
    for (place, phrase) in phrases::read(&text, language).phrases.into_iter().enumerate() {
        let own = phrase.terms.iter().map(others).sum::<f64>() / float(phrase.terms.len().max(1));
        let headed = phrase.terms.iter().all(|term| headings.contains(term));
        let often = float(phrase.count) / (float(phrase.count) + 1.0);
        rated.push((
            phrase.relevance * own * (0.5 + often) * if headed { 1.6 } else { 1.0 },
            place,
            phrase.label(),
        ));
    }
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut seen = BTreeSet::new();
    rated
        .into_iter()
        .map(|(.., label)| label)
        .filter(|label| seen.insert(label.to_lowercase()))
        .take(2 * PHRASES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_words_is_one_group() {
        let vector = |terms: &[&str]| -> Vector {
            terms.iter().map(|term| ((*term).to_owned(), 1.0 / float(terms.len()).sqrt())).collect()
        };
        let vectors = [
            vector(&["brot", "teig"]),
            vector(&["lauf", "schuh"]),
            vector(&["brot", "ofen"]),
            vector(&["steuer", "beleg"]),
            vector(&["lauf", "strecke"]),
            vector(&["hund", "leine"]),
        ];
        assert_eq!(cluster(&vectors, 6), [vec![0, 2], vec![1, 4], vec![3], vec![5]]);
        assert_eq!(cluster(&[], 0), Vec::<Vec<usize>>::new());
        // The same as posts are too few for a group of their own, and join what is documented.
        assert_eq!(cluster(&vectors, 0), Vec::<Vec<usize>>::new());
        assert_eq!(cluster(&vectors, 2), [vec![0, 2], vec![1, 4]]);
        let many: Vec<Vector> = vectors.iter().cycle().take(24).cloned().collect();
        let groups = cluster(&many, 0);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 4, 4]);
    }

    #[test]
    fn small_shares_are_lifted() {
        assert_eq!(at_least(vec![70, 25, 5]), [65, 25, 10]);
        assert_eq!(at_least(vec![100]), [100]);
        assert_eq!(at_least(vec![9; 11]), [9; 11]);
    }
}
