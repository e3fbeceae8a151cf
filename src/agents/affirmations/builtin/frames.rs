//! Sentences around an affirmed phrase.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::core::{Aspect, Core, Shape};
use super::german::Gender;
use super::keywords::Keyword;
use super::lexicon::{Kind, Sections};
use super::text;
use super::tone::Tone;
use crate::retrieval::Language;

/// A sentence with holes, and what it suits.
pub(super) struct Frame {
    /// The kinds of goal; all when empty.
    kinds: Vec<Kind>,
    needs: Vec<String>,
    tone: Option<Tone>,
    weight: u32,
    template: String,
}

/// A line that could be.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The sentence.
    pub text: String,
    /// The frame's template.
    pub frame: String,
    /// How soon it is chosen; each step doubles its chances.
    pub weight: u32,
    /// The keyword that it has.
    pub keyword: Option<Keyword>,
}

struct Frames {
    verb: Vec<Frame>,
    noun: Vec<Frame>,
    whole: Vec<Frame>,
    verb_keyword: Vec<Frame>,
    noun_keyword: Vec<Frame>,
}

impl Frames {
    fn of(text: &str) -> Self {
        let sections = Sections::of(text);
        let read = |section| sections.lines(section).iter().filter_map(|line| Frame::of(line)).collect();
        Self {
            verb: read("verb"),
            noun: read("noun"),
            whole: read("whole"),
            verb_keyword: read("verb-keyword"),
            noun_keyword: read("noun-keyword"),
        }
    }
}

static GERMAN: LazyLock<Frames> = LazyLock::new(|| Frames::of(include_str!("data/frames_de.txt")));
static ENGLISH: LazyLock<Frames> = LazyLock::new(|| Frames::of(include_str!("data/frames_en.txt")));

impl Frame {
    fn of(line: &str) -> Option<Self> {
        let mut fields = line.split('|').map(str::trim);
        let kinds = fields.next()?.split_whitespace().filter_map(Kind::of).collect();
        let needs = fields.next()?.split_whitespace().map(str::to_owned).collect();
        let tone = Tone::named(fields.next()?);
        let weight = fields.next()?.parse().ok()?;
        Some(Self { kinds, needs, tone, weight, template: fields.next()?.to_owned() })
    }

    fn suits(&self, core: &Core) -> bool {
        let lasting = core.aspect != Aspect::End && !core.timed;
        let kind = self.kinds.is_empty() || self.kinds.contains(&core.kind);
        kind && self.needs.iter().all(|need| match need.as_str() {
            "act" => core.aspect == Aspect::Act,
            "be" => core.aspect == Aspect::Be,
            "end" => core.aspect == Aspect::End,
            "lasting" => lasting,
            "steady" => core.aspect != Aspect::End,
            "short" => core.words <= 3,
            "long" => core.words > 3,
            "verbal" => core.verbal,
            "quality" => core.shape == Shape::Noun { quality: true },
            "thing" => core.shape == Shape::Noun { quality: false },
            // Those of the keyword.
            _ => true,
        })
    }

    /// Whether a keyword has one of the uses that the frame names.
    fn takes(&self, keyword: &Keyword) -> bool {
        self.needs.iter().any(|need| keyword.uses.contains(need))
    }

    fn weight(&self, tone: Option<Tone>) -> u32 {
        match (self.tone, tone) {
            (Some(own), Some(wanted)) if own == wanted => self.weight + 6,
            (Some(_), Some(_)) => self.weight.saturating_sub(2),
            // Thanks are only given when the tone asks for them.
            (Some(Tone::Grateful), None) => 0,
            _ => self.weight,
        }
    }

    fn fill(&self, core: &Core, keyword: Option<&Keyword>, language: Language) -> Option<String> {
        let mut line = self.template.clone();
        let mut own = String::new();
        for (name, form) in &core.slots {
            let hole = format!("{{{name}}}");
            if line.contains(&hole) {
                line = line.replace(&hole, form);
                own.push_str(form);
            }
        }
        if own.is_empty() {
            return None;
        }
        let mut around = self.template.clone();
        if let Some(keyword) = keyword {
            let within = keyword.within(&self.template);
            let plural = keyword.gender == Some(Gender::Plural);
            let forms = [
                ("{kw}", within.text.as_str()),
                (
                    "{mein}",
                    match keyword.gender {
                        Some(Gender::Feminine | Gender::Plural) => "Meine",
                        _ => "Mein",
                    },
                ),
                (
                    "{meinen}",
                    match keyword.gender {
                        Some(Gender::Feminine | Gender::Plural) => "meine",
                        Some(Gender::Masculine) => "meinen",
                        _ => "mein",
                    },
                ),
                ("{hilft}", if plural { "helfen" } else { "hilft" }),
                ("{gibt}", if plural { "geben" } else { "gibt" }),
                ("{wächst}", if plural { "wachsen" } else { "wächst" }),
            ];
            for (hole, form) in forms {
                line = line.replace(hole, form);
                around = around.replace(hole, form);
            }
        }
        // A frame does not say again what the phrase says, and a second "mir" beside the first sounds like a slip.
        let telling = |text: &str| -> BTreeSet<String> {
            let words = text::lower_words(text).filter(|word| {
                word.chars().count() > 3
                    && !matches!(word.as_str(), "with" | "that" | "when" | "dass" | "eine" | "einen" | "mich")
            });
            words.map(|word| text::stem(&word, language)).collect()
        };
        let frame = around.split(['{', '}']).step_by(2).collect::<Vec<_>>().join(" ");
        let repeats = !telling(&frame).is_disjoint(&telling(&own));
        let twice = (self.template.contains("mir, {") && own.starts_with("mir "))
            || (self.template.contains("mich dafür, {") && own.starts_with("mich "));
        let with = match language {
            Language::German => (self.template.starts_with("Mit "), " mit "),
            Language::English => (self.template.starts_with("With "), " with "),
        };
        // "I draw on my strength and am …" limps.
        let limps = self.template.contains("and {fin}") && own.starts_with("am ");
        let twice = twice || limps || (with.0 && format!(" {own}").contains(with.1));
        if repeats || twice || line.contains('{') {
            return None;
        }
        Some(text::capitalized(&line))
    }
}

/// Every line that frames make of a phrase, with at most one keyword for each frame: the one that `choose` prefers.
pub(super) fn candidates(
    core: &Core,
    keywords: &[Keyword],
    tone: Option<Tone>,
    language: Language,
    choose: &dyn Fn(&str) -> u64,
) -> Vec<Candidate> {
    let frames = match language {
        Language::German => &*GERMAN,
        Language::English => &*ENGLISH,
    };
    let (plain, coloured): (&[Frame], &[Frame]) = match core.shape {
        Shape::Verb => (&frames.verb, &frames.verb_keyword),
        Shape::Noun { .. } => (&frames.noun, &frames.noun_keyword),
        Shape::Whole => (&frames.whole, &[]),
    };
    let mut all = Vec::new();
    for frame in plain.iter().filter(|frame| frame.suits(core)) {
        if frame.tone == Some(Tone::Grateful) && tone != Some(Tone::Grateful) {
            continue;
        }
        if let Some(text) = frame.fill(core, None, language) {
            all.push(Candidate {
                text,
                frame: frame.template.clone(),
                weight: frame.weight(tone),
                keyword: None,
            });
        }
    }
    for frame in coloured.iter().filter(|frame| frame.suits(core)) {
        let made = keywords.iter().filter(|keyword| frame.takes(keyword)).filter_map(|keyword| {
            let text = frame.fill(core, Some(keyword), language)?;
            Some(Candidate {
                text,
                frame: frame.template.clone(),
                weight: frame.weight(tone),
                keyword: Some(keyword.within(&frame.template)),
            })
        });
        all.extend(made.min_by_key(|candidate| choose(&candidate.text)));
    }
    all
}
