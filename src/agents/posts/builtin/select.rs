//! What of the sources goes into a post: their sentences, weighed.
//!
//! A sentence counts by its place in the graph of sentences that share words (`TextRank`: Mihalcea and Tarau, `TextRank`:
//! Bringing order into text, 2004), by its position under its heading, and by how much of the brief it covers. What repeats
//! a chosen sentence is put back (maximal marginal relevance: Carbonell and Goldstein, The use of MMR, 1998).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Passage;
use super::banned::Banned;
use super::brief::Brief;
use crate::agents::text::Language;
use crate::agents::text::context::leans_back;
use crate::agents::text::numbers::{float, ln};
use crate::agents::text::phrases;
use crate::retrieval::Format;
use crate::retrieval::reading::{self, Kind};

/// The most sentences that are compared with each other; beyond, those that cover more of the brief.
const SENTENCES: usize = 300;
/// The longest sentence of a post, in characters.
const SENTENCE_CHARACTERS: usize = 320;
/// `TextRank`'s damping, as in its paper, and its steps; after them no order changes.
const DAMPING: f64 = 0.85;
const STEPS: usize = 30;
/// A sentence with a smaller share of the best coverage is off the topic.
const COVERED: f64 = 0.42;
/// The same for a sentence of another section than those that are most on the topic.
const COVERED_ELSEWHERE: f64 = 0.55;
/// What a term of the brief counts when only a part or a longer form of it is there.
const PARTLY: f64 = 0.6;

/// Where a sentence is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum From {
    /// The caller's own words.
    Brief,
    /// A passage, by its place in the list.
    Passage(usize),
}

/// A sentence that a post may have.
#[derive(Debug, Clone)]
pub(super) struct Unit<'a> {
    pub from: From,
    pub kind: Kind,
    /// Where it stands in its passage, in bytes.
    pub bytes: Range<usize>,
    pub text: &'a str,
    /// Its place among all sentences, and which heading it stands under.
    pub order: usize,
    pub section: usize,
    pub terms: BTreeSet<String>,
    /// The parts of its compounds.
    pub parts: BTreeSet<String>,
    /// Whether it needs the sentence before it.
    pub leans: bool,
    /// How much of the brief its own words cover, and how much with its section's, 0 to 1.
    pub own: f64,
    pub coverage: f64,
    pub score: f64,
}

impl Unit<'_> {
    pub fn is_question(&self) -> bool {
        self.text.ends_with('?')
    }

    pub fn has_number(&self) -> bool {
        self.text.contains(|c: char| c.is_ascii_digit())
    }

    pub fn characters(&self) -> usize {
        self.text.chars().count()
    }
}

/// The sentences of a brief and passages that can go into a post, in reading order, weighed.
#[derive(Debug, Default)]
pub(super) struct Units<'a> {
    pub all: Vec<Unit<'a>>,
    /// The places of those on the topic, the best first, without what repeats a better one.
    pub chosen: Vec<usize>,
    /// The best coverage of the brief that a sentence of the passages has by its own words or its heading's.
    pub covered: f64,
}

/// Reads and weighs.
pub(super) fn read<'a>(
    brief: &'a Brief,
    passages: &'a [Passage],
    language: Language,
    banned: &Banned,
) -> Units<'a> {
    let mut all = gather(brief, passages, language, banned);
    let coverage = Coverage::of(brief, &all, language);
    let headings = section_terms(&all, passages, language);
    // A section is as much on the topic as its heading or its best sentence: the others go on from there.
    let mut sections: BTreeMap<usize, f64> = headings
        .into_iter()
        .map(|(section, heading)| (section, coverage.share(&heading.terms, &heading.parts)))
        .collect();
    for unit in &all {
        let best = sections.entry(unit.section).or_insert(0.0);
        *best = best.max(coverage.share(&unit.terms, &unit.parts));
    }
    let named = section_names(&all, passages, &brief.words);
    let mut covered: f64 = 0.0;
    for unit in &mut all {
        let section = sections.get(&unit.section).copied().unwrap_or(0.0);
        unit.own = coverage.share(&unit.terms, &unit.parts);
        let named = named.get(&unit.section).copied().unwrap_or(0.0);
        let by_words = (0.55 * unit.own + 0.45 * section) * (1.0 + named);
        let relevance = match unit.from {
            From::Passage(at) => passages.get(at).and_then(|passage| passage.relevance).unwrap_or(0.0),
            From::Brief => 0.0,
        };
        unit.coverage = match unit.from {
            From::Brief => 1.0,
            From::Passage(_) => by_words.max(0.5 * relevance.clamp(0.0, 1.0)),
        };
        if unit.from != From::Brief {
            covered = covered.max(unit.coverage);
        }
    }
    if all.len() > SENTENCES {
        let mut order: Vec<usize> = (0..all.len()).collect();
        let key = |at: &usize| all.get(*at).map_or(0.0, |unit| unit.coverage);
        order.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.cmp(b)));
        let kept: BTreeSet<usize> = order.into_iter().take(SENTENCES).collect();
        let mut at = 0;
        all.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
    }
    score(&mut all, coverage.is_empty());
    let chosen = choose(&all, coverage.is_empty());
    Units { all, chosen, covered }
}

fn gather<'a>(
    brief: &'a Brief,
    passages: &'a [Passage],
    language: Language,
    banned: &Banned,
) -> Vec<Unit<'a>> {
    let mut all: Vec<Unit<'a>> = Vec::new();
    let mut section = 0;
    let own = brief.own.as_deref().map(|text| (From::Brief, text));
    let given = passages.iter().enumerate().map(|(at, passage)| (From::Passage(at), passage.text.as_str()));
    let mut order = 0;
    for (from, text) in own.into_iter().chain(given) {
        section += 1;
        let mut before_is_question = false;
        // Whether the sentence before was taken, so that one that leans on it has it.
        let mut reachable = false;
        for sentence in reading::sentences(text, Format::Markdown) {
            order += 1;
            let Some(stretch) = text.get(sentence.bytes.clone()) else { continue };
            if sentence.kind == Kind::Heading {
                section += 1;
                before_is_question = false;
            }
            let leans =
                sentence.kind != Kind::Heading && (before_is_question || leans_back(stretch, language));
            before_is_question = stretch.ends_with('?');
            let fits =
                is_usable(stretch, sentence.kind) && banned.find(stretch).is_empty() && (!leans || reachable);
            reachable = fits && sentence.kind != Kind::Heading;
            if fits {
                let Terms { terms, parts } = Terms::of(stretch, language);
                let (kind, bytes) = (sentence.kind, sentence.bytes);
                all.push(Unit {
                    from,
                    kind,
                    bytes,
                    text: stretch,
                    order,
                    section,
                    terms,
                    parts,
                    leans,
                    own: 0.0,
                    coverage: 0.0,
                    score: 0.0,
                });
            }
        }
    }
    all
}

/// Whether a sentence can stand in a post at all.
fn is_usable(text: &str, kind: Kind) -> bool {
    const REFERS: [&str; 10] = [
        "siehe ",
        "s. o.",
        "wie oben",
        "oben genannt",
        "Abbildung ",
        "see above",
        "see below",
        "as described",
        "figure ",
        "table ",
    ];
    let words = text.split_whitespace().take(3).count();
    let length = text.chars().take(SENTENCE_CHARACTERS + 1).count();
    let ends =
        text.trim_end_matches(['"', '”', '“', '»', '«', ')', '*', '_']).ends_with(['.', '!', '?', '…']);
    length <= SENTENCE_CHARACTERS
        && match kind {
            Kind::Heading => words >= 1,
            Kind::Sentence => words >= 3 && ends && !REFERS.iter().any(|part| text.contains(part)),
            Kind::Item => words >= 3 && !text.ends_with(':'),
            Kind::Row | Kind::Code => false,
        }
}

/// The terms of a sentence, and the parts of its German compounds.
#[derive(Debug, Default)]
struct Terms {
    terms: BTreeSet<String>,
    parts: BTreeSet<String>,
}

impl Terms {
    fn of(text: &str, language: Language) -> Self {
        let terms = phrases::terms(text, language).into_iter().collect();
        let mut parts = BTreeSet::new();
        if language == Language::German {
            let compounds = reading::words(text)
                .filter(|(_, word)| word.starts_with(char::is_uppercase) && word.len() >= 8);
            parts.extend(
                compounds.flat_map(|(_, word)| reading::compound_parts(&reading::normal(word), &|_| false)),
            );
        }
        Self { terms, parts }
    }
}

/// How far the heading above a section is what the brief says word for word, or begins with its question word.
fn section_names(all: &[Unit<'_>], passages: &[Passage], brief: &[String]) -> BTreeMap<usize, f64> {
    const ASKS: [&str; 14] = [
        "warum", "wie", "wann", "wo", "wer", "weshalb", "wieso", "was", "why", "how", "when", "where", "who",
        "what",
    ];
    let asks = brief.first().filter(|word| ASKS.contains(&word.as_str()));
    let named = |heading: &str| -> f64 {
        let last = heading.rsplit(" › ").next().unwrap_or(heading);
        let words: Vec<String> = reading::words(last).map(|(_, word)| reading::normal(word)).collect();
        let whole = !words.is_empty() && brief.windows(words.len()).any(|window| window == words.as_slice());
        let question = asks.is_some() && words.first() == asks;
        if whole {
            0.35
        } else if question {
            0.2
        } else {
            0.0
        }
    };
    let mut sections = BTreeMap::new();
    for unit in all {
        let passage = match unit.from {
            From::Passage(at) => passages.get(at).and_then(|passage| passage.heading.as_deref()),
            From::Brief => None,
        };
        let value = if unit.kind == Kind::Heading { named(unit.text) } else { passage.map_or(0.0, named) };
        let entry: &mut f64 = sections.entry(unit.section).or_insert(0.0);
        *entry = entry.max(value);
    }
    sections
}

/// The terms of the headings above sections.
fn section_terms(all: &[Unit<'_>], passages: &[Passage], language: Language) -> BTreeMap<usize, Terms> {
    let mut sections: BTreeMap<usize, Terms> = BTreeMap::new();
    for unit in all {
        if unit.kind == Kind::Heading {
            let heading = sections.entry(unit.section).or_default();
            heading.terms.extend(unit.terms.iter().cloned());
            heading.parts.extend(unit.parts.iter().cloned());
        }
        if let From::Passage(at) = unit.from
            && !sections.contains_key(&unit.section)
            && let Some(heading) = passages.get(at).and_then(|passage| passage.heading.as_deref())
        {
            sections.insert(unit.section, Terms::of(heading, language));
        }
    }
    sections
}

/// How much of a brief some terms cover.
struct Coverage {
    terms: Vec<(String, f64, Vec<String>)>,
    whole: f64,
}

impl Coverage {
    fn of(brief: &Brief, all: &[Unit<'_>], language: Language) -> Self {
        let count = float(all.len());
        let mut terms = Vec::with_capacity(brief.terms.len());
        for (term, weight) in &brief.terms {
            let held = all.iter().filter(|unit| unit.terms.contains(term)).count();
            let weight = weight * ln(1.0 + (count + 1.0) / (float(held) + 1.0));
            let parts = match language {
                Language::German => reading::compound_parts(term, &|_| false)
                    .into_iter()
                    .filter(|part| !phrases::is_bare(part, language))
                    .collect(),
                Language::English => Vec::new(),
            };
            terms.push((term.clone(), weight, parts));
        }
        let whole = terms.iter().map(|(_, weight, _)| weight).sum();
        Self { terms, whole }
    }

    const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    fn share(&self, terms: &BTreeSet<String>, whole_parts: &BTreeSet<String>) -> f64 {
        if self.whole <= 0.0 {
            return 0.0;
        }
        let credit = |term: &String, parts: &[String]| {
            if terms.contains(term) {
                return 1.0;
            }
            let longer = |other: &String| {
                let (short, long) = if term.len() < other.len() { (term, other) } else { (other, term) };
                short.chars().count() >= 5 && long.starts_with(short.as_str())
            };
            let partly = whole_parts.contains(term)
                || parts.iter().any(|part| terms.contains(part) || whole_parts.contains(part))
                || terms.iter().any(longer);
            if partly { PARTLY } else { 0.0 }
        };
        self.terms.iter().map(|(term, weight, parts)| weight * credit(term, parts)).sum::<f64>() / self.whole
    }
}

fn score(all: &mut [Unit<'_>], without_brief: bool) {
    let ranks = text_rank(all);
    let best = ranks.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut in_section: BTreeMap<usize, usize> = BTreeMap::new();
    for (unit, rank) in all.iter_mut().zip(ranks) {
        let place = in_section.entry(unit.section).or_insert(0);
        let position = 1.0 / (1.0 + 0.35 * float(*place));
        *place += usize::from(unit.kind != Kind::Heading);
        let (by_rank, by_position, by_coverage) =
            if without_brief { (0.6, 0.4, 0.0) } else { (0.25, 0.2, 0.55) };
        unit.score = by_rank * rank / best + by_position * position + by_coverage * unit.coverage;
    }
}

/// The importance of each sentence: those that share words with many important ones are important.
fn text_rank(all: &[Unit<'_>]) -> Vec<f64> {
    let count = all.len();
    let mut edges: Vec<Vec<(usize, f64)>> = vec![Vec::new(); count];
    for (a, one) in all.iter().enumerate() {
        for (b, other) in all.iter().enumerate().skip(a + 1) {
            let common = one.terms.intersection(&other.terms).count();
            // The paper's similarity; sentences of one word would divide by nothing.
            let length = ln(float(one.terms.len())) + ln(float(other.terms.len()));
            if common > 0 && length > 0.0 {
                let weight = float(common) / length;
                for (from, to) in [(a, b), (b, a)] {
                    if let Some(list) = edges.get_mut(from) {
                        list.push((to, weight));
                    }
                }
            }
        }
    }
    let out: Vec<f64> = edges.iter().map(|list| list.iter().map(|(_, weight)| weight).sum()).collect();
    let mut ranks = vec![1.0; count];
    for _ in 0..STEPS {
        let next = edges.iter().map(|list| {
            let flow = |(from, weight): &(usize, f64)| {
                let whole = out.get(*from).copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
                weight / whole * ranks.get(*from).copied().unwrap_or(0.0)
            };
            1.0 - DAMPING + DAMPING * list.iter().map(flow).sum::<f64>()
        });
        ranks = next.collect();
    }
    ranks
}

/// The sentences on the topic, the best first, each put back by what it repeats of those before it.
fn choose(all: &[Unit<'_>], without_brief: bool) -> Vec<usize> {
    let best = all.iter().map(|unit| unit.coverage).fold(0.0, f64::max);
    // The sections whose best sentence is nearly as much on the topic as any.
    let central = all.iter().filter(|unit| unit.coverage >= 0.85 * best).map(|unit| unit.section);
    let central: BTreeSet<usize> = central.collect();
    let on_topic = |unit: &Unit<'_>| {
        let least = if central.contains(&unit.section) { COVERED } else { COVERED_ELSEWHERE };
        unit.kind != Kind::Heading
            && (without_brief || (unit.coverage > 0.0 && unit.coverage >= least * best))
    };
    let mut left: Vec<usize> = (0..all.len()).filter(|at| all.get(*at).is_some_and(on_topic)).collect();
    let mut repeated = vec![0.0_f64; all.len()];
    let mut chosen = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let value = |at: &usize| {
            all.get(*at).map_or(0.0, |unit| unit.score) - 0.5 * repeated.get(*at).copied().unwrap_or(0.0)
        };
        let mut best = 0;
        for place in 1..left.len() {
            if let (Some(a), Some(b)) = (left.get(best), left.get(place))
                && value(b) > value(a)
            {
                best = place;
            }
        }
        let at = left.remove(best);
        let Some(taken) = all.get(at) else { continue };
        for other in &left {
            if let (Some(unit), Some(worst)) = (all.get(*other), repeated.get_mut(*other)) {
                let common = float(unit.terms.intersection(&taken.terms).count());
                let shorter = float(unit.terms.len().min(taken.terms.len()).max(1));
                *worst = worst.max(common / shorter);
            }
        }
        // The same sentence of two passages is said once.
        if repeated.get(at).is_none_or(|share| *share < 0.9) || taken.terms.len() < 3 {
            chosen.push(at);
        }
    }
    chosen
}
