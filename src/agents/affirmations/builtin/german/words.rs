//! German words and their forms: verbs with separable prefixes, the first person of the present, nouns with their
//! genders, noun phrases and what introduces them.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::super::core::Aspect;
use super::super::lexicon::Sections;
use super::super::text::{COMMA, has_capital, lower};

/// A verb, parted from its separable prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Verb {
    /// `auf` of `aufstehen`; empty when it has none that parts.
    pub prefix: String,
    /// `stehen` of `aufstehen`.
    pub base: String,
}

impl Verb {
    /// `aufstehen`.
    pub fn infinitive(&self) -> String {
        format!("{}{}", self.prefix, self.base)
    }

    /// `aufzustehen`, `zu vertrauen`.
    pub fn with_zu(&self) -> String {
        if self.prefix.is_empty() {
            format!("zu {}", self.base)
        } else {
            format!("{}zu{}", self.prefix, self.base)
        }
    }

    /// `stehe` of `aufstehen`: the first person singular of the present, without the prefix.
    ///
    /// Strong verbs keep their vowel there, so that the ending is all; -eln drops its e (`zweifle`), -ern keeps it.
    pub fn first_person(&self) -> String {
        if let Some(form) = WORDS.irregular.get(&self.base) {
            return form.clone();
        }
        if let Some(stem) = self.base.strip_suffix("eln") {
            return format!("{stem}le");
        }
        match self.base.strip_suffix("en") {
            Some(stem) => format!("{stem}e"),
            None => format!("{}e", self.base.strip_suffix('n').unwrap_or(&self.base)),
        }
    }
}

/// A gender, or the plural.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Gender {
    /// `der`.
    Masculine,
    /// `die`.
    Feminine,
    /// `das`.
    Neuter,
    /// `die`, more than one.
    Plural,
}

/// A noun of the lists.
#[derive(Debug, Clone)]
pub(in super::super) struct Noun {
    /// With its capital.
    pub text: String,
    /// Its gender.
    pub gender: Gender,
    /// Whether it needs no article.
    pub mass: bool,
    /// As a keyword: the frames that it suits.
    pub uses: Vec<String>,
}

/// German's words.
pub(in super::super) struct Words {
    /// By infinitive: how long the prefix is, and the aspect.
    verbs: HashMap<String, (usize, Aspect)>,
    /// What is left of the listed verbs without their prefixes.
    roots: HashSet<String>,
    irregular: HashMap<String, String>,
    nouns: HashMap<String, Noun>,
    separable: Vec<String>,
    inseparable: Vec<String>,
    modals: HashMap<String, String>,
    participles: HashSet<String>,
    occasional: HashSet<String>,
    sets: HashMap<&'static str, HashSet<String>>,
    /// Word, preposition, article.
    contractions: HashMap<String, (String, String)>,
    /// Preterites of strong verbs.
    pub strong_past: HashSet<String>,
    /// Participles that make a perfect with `sein`.
    pub sein_participles: HashSet<String>,
}

/// The lists, read once.
pub(in super::super) static WORDS: LazyLock<Words> = LazyLock::new(Words::load);

impl Words {
    fn load() -> Self {
        let lists = Sections::of(include_str!("../data/verbs_de.txt"));
        let grammar = Sections::of(include_str!("../data/grammar_de.txt"));
        let nouns = Sections::of(include_str!("../data/nouns_de.txt"));
        let mut verbs = HashMap::new();
        for (section, aspect) in [
            ("occasional", Aspect::Act),
            ("activity", Aspect::Act),
            ("state", Aspect::Be),
            ("end", Aspect::End),
        ] {
            for word in lists.lines(section).iter().flat_map(|line| line.split_whitespace()) {
                let prefix = word.find('|').unwrap_or(0);
                verbs.insert(word.replace('|', ""), (prefix, aspect));
            }
        }
        let roots = verbs
            .iter()
            .map(|(verb, (prefix, _)): (&String, &(usize, Aspect))| verb[*prefix..].to_owned())
            .collect();
        let two = |sections: &Sections<'_>, section| -> HashMap<String, String> {
            let lines = sections.lines(section).iter().filter_map(|line| line.split_once(' '));
            lines.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
        };
        let contractions = two(&grammar, "contractions").into_iter().filter_map(|(word, parts)| {
            let (preposition, article) = parts.split_once(' ')?;
            Some((word, (preposition.to_owned(), article.to_owned())))
        });
        let list =
            |section| lists.lines(section).iter().flat_map(|line| line.split_whitespace()).map(str::to_owned);
        let sets = [
            "soft",
            "fillers",
            "prepositions",
            "determiners",
            "pronouns",
            "genitive",
            "times",
            "time-nouns",
            "adjunct-prepositions",
            "reasons",
            "clauses",
            "someone",
            "adjectives",
        ];
        Self {
            verbs,
            roots,
            irregular: two(&lists, "irregular"),
            nouns: nouns_of(&nouns),
            separable: list("separable").collect(),
            inseparable: list("inseparable").collect(),
            modals: two(&lists, "modals"),
            participles: lists.words("participles"),
            occasional: list("occasional").map(|word| word.replace('|', "")).collect(),
            sets: sets.into_iter().map(|name| (name, grammar.words(name))).collect(),
            contractions: contractions.collect(),
            strong_past: lists.words("strong-past"),
            sein_participles: lists.words("sein-participles"),
        }
    }

    /// Whether a list has a word.
    pub fn is(&self, set: &str, word: &str) -> bool {
        self.sets.get(set).is_some_and(|words| words.contains(word))
    }

    /// A noun, in whatever case it is written.
    pub fn noun(&self, word: &str) -> Option<&Noun> {
        self.nouns.get(&lower(word))
    }

    /// A verb by its infinitive, if the lists have it or its root.
    pub fn verb(&self, infinitive: &str) -> Option<Verb> {
        let parted = |at: usize| {
            let (prefix, base) = infinitive.split_at(at);
            Verb { prefix: prefix.to_owned(), base: base.to_owned() }
        };
        if let Some((prefix, _)) = self.verbs.get(infinitive) {
            return Some(parted(*prefix));
        }
        for prefix in &self.separable {
            if infinitive.strip_prefix(prefix.as_str()).is_some_and(|rest| self.verbs.contains_key(rest)) {
                return Some(parted(prefix.len()));
            }
        }
        let joined = self.inseparable.iter().any(|prefix| {
            infinitive.strip_prefix(prefix.as_str()).is_some_and(|rest| self.verbs.contains_key(rest))
        });
        joined.then(|| parted(0))
    }

    /// A verb by its infinitive; anything with an infinitive's ending is taken for one.
    pub fn verb_or_guess(&self, infinitive: &str) -> Option<Verb> {
        self.verb(infinitive).or_else(|| {
            let looks_like = ["en", "ern", "eln"].iter().any(|end| infinitive.ends_with(end));
            (looks_like && infinitive.chars().count() >= 4 && infinitive.chars().all(char::is_alphabetic))
                .then(|| Verb { prefix: String::new(), base: infinitive.to_owned() })
        })
    }

    /// How a verb behaves in time.
    pub fn aspect(&self, verb: &Verb) -> Aspect {
        let of = |infinitive: &str| self.verbs.get(infinitive).map(|(_, aspect)| *aspect);
        of(&verb.infinitive()).unwrap_or(Aspect::Act)
    }

    /// Whether what a verb says does not come every day.
    pub fn is_occasional(&self, verb: &Verb) -> bool {
        self.occasional.contains(&verb.infinitive())
    }

    /// Whether a word in lower case is an infinitive of the lists.
    pub fn is_infinitive(&self, word: &str) -> bool {
        self.verb(word).is_some()
    }

    /// `aufzustehen` as a verb.
    pub fn verb_with_zu(&self, word: &str) -> Option<Verb> {
        self.separable.iter().find_map(|prefix| {
            let base = word.strip_prefix(prefix.as_str())?.strip_prefix("zu")?;
            let known = self.is_infinitive(base) || self.verbs.contains_key(&format!("{prefix}{base}"));
            known.then(|| Verb { prefix: prefix.clone(), base: base.to_owned() })
        })
    }

    /// The infinitive that "ich …" is a form of, past forms of `sein` and `haben` included.
    pub fn infinitive_of(&self, finite: &str) -> Option<String> {
        if let Some((base, _)) = self.irregular.iter().find(|(_, form)| form.as_str() == finite) {
            return Some(base.clone());
        }
        if let Some(modal) = self.modals.get(finite) {
            return Some(modal.clone());
        }
        match finite {
            "war" | "wäre" => return Some("sein".to_owned()),
            "hatte" | "hätte" | "hab" => return Some("haben".to_owned()),
            "weiss" => return Some("wissen".to_owned()),
            _ => {}
        }
        let stem = finite.strip_suffix('e').unwrap_or(finite);
        let liquid = stem.strip_suffix('l').map(|stem| format!("{stem}eln"));
        let candidates = [Some(format!("{stem}en")), liquid, Some(format!("{stem}n"))];
        candidates
            .into_iter()
            .flatten()
            .find(|infinitive| self.is_infinitive(infinitive) || self.roots.contains(infinitive))
    }

    /// Whether `word` is the preterite of a weak verb, as "ich" takes it.
    pub fn is_weak_past(&self, word: &str) -> bool {
        let Some(stem) = word.strip_suffix("te") else { return false };
        let present = self.infinitive_of(word).is_some();
        let stem = stem.strip_suffix('e').unwrap_or(stem);
        !present && ["en", "n"].iter().any(|end| self.is_infinitive(&format!("{stem}{end}")))
    }

    /// Whether `word` is a past participle.
    pub fn is_participle(&self, word: &str) -> bool {
        if self.participles.contains(word) {
            return true;
        }
        let parted = self.separable.iter().find_map(|prefix| word.strip_prefix(prefix.as_str()));
        if parted.is_some_and(|rest| self.participles.contains(rest) && rest.starts_with("ge")) {
            return true;
        }
        let weak = |word: &str| {
            let root = word.strip_suffix('t').map(|root| root.strip_suffix('e').unwrap_or(root));
            root.is_some_and(|root| ["en", "n"].iter().any(|end| self.is_infinitive(&format!("{root}{end}"))))
        };
        let with_ge = |word: &str| word.strip_prefix("ge").is_some_and(weak);
        let joined = ["be", "emp", "ent", "er", "miss", "ver", "zer", "über", "unter"]
            .iter()
            .any(|prefix| word.starts_with(prefix));
        with_ge(word) || parted.is_some_and(with_ge) || (joined && weak(word)) || word.ends_with("iert")
    }

    /// `am` as `an` and `dem`.
    pub fn contraction(&self, word: &str) -> Option<(&str, &str)> {
        self.contractions.get(word).map(|(preposition, article)| (preposition.as_str(), article.as_str()))
    }

    /// The preposition that a word is or holds.
    pub fn preposition(&self, word: &str) -> Option<String> {
        if let Some((preposition, _)) = self.contraction(word) {
            return Some(preposition.to_owned());
        }
        self.is("prepositions", word).then(|| word.to_owned())
    }

    /// Whether a word stands for a thing: a capital, a noun of the lists, or a placeholder.
    pub fn is_noun(word: &str) -> bool {
        has_capital(word) || word.starts_with('{')
    }

    /// Whether a word may stand before a noun and be inflected with it.
    fn is_attribute(&self, low: &str) -> bool {
        let inflected = ["e", "en", "er", "es", "em"].iter().any(|end| low.ends_with(end)) && low.len() > 3;
        inflected
            && !self.is("prepositions", low)
            && !self.is("pronouns", low)
            && self.contraction(low).is_none()
    }

    /// Where a noun phrase that begins at `at` ends, and where its head is.
    pub fn noun_phrase(&self, words: &[String], at: usize) -> Option<(usize, usize)> {
        let low = |at: usize| words.get(at).map(|word| lower(word)).unwrap_or_default();
        let mut next = at;
        while self.is("determiners", &low(next)) && next < at + 3 {
            next += 1;
        }
        let mut attribute = next;
        while attribute < next + 4
            && words
                .get(attribute)
                .is_some_and(|word| !Self::is_noun(word) && self.is_attribute(&lower(word)))
        {
            attribute += 1;
        }
        let head = if words.get(attribute).is_some_and(|word| Self::is_noun(word)) {
            attribute
        } else if words.get(next).is_some_and(|word| Self::is_noun(word)) {
            next
        } else if self.is("pronouns", &low(at)) {
            return Some((at + 1, at));
        } else {
            return None;
        };
        // "Social Media" is one thing.
        let head = if low(head) == "social" && words.get(head + 1).is_some_and(|word| Self::is_noun(word)) {
            head + 1
        } else {
            head
        };
        let mut end = head + 1;
        if self.is("genitive", &low(end))
            && let Some((after, _)) = self.noun_phrase(words, end)
        {
            end = after;
        }
        if matches!(low(end).as_str(), "und" | "oder" | "sowie")
            && let Some((after, _)) = self.noun_phrase(words, end + 1)
        {
            end = after;
        }
        Some((end, head))
    }

    /// Cuts what stands before a verb into its parts.
    pub fn chunks(&self, words: &[String]) -> Vec<Chunk> {
        let mut all = Vec::new();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let low = lower(word);
            let (kind, end, head) = if matches!(low.as_str(), "mich" | "mir" | "sich" | "dich" | "dir") {
                (Part::Pronoun, at + 1, at)
            } else if let Some(preposition) = self.preposition(&low)
                && let Some((end, head)) = self.noun_phrase(words, at + 1)
            {
                (Part::Preposition(preposition), end, head)
            } else if let Some((end, head)) = self.noun_phrase(words, at).filter(|_| low != COMMA) {
                let time =
                    self.is("time-nouns", &words.get(head).map(|word| lower(word)).unwrap_or_default());
                (if time { Part::Adverb } else { Part::Noun }, end, head)
            } else {
                (Part::Adverb, at + 1, at)
            };
            let head = words.get(head).map(|word| lower(word)).unwrap_or_default();
            all.push(Chunk { kind, words: words.get(at..end).unwrap_or_default().to_vec(), head });
            at = end.max(at + 1);
        }
        all
    }

    /// A noun phrase in the accusative, when its own words tell how.
    pub fn accusative(&self, words: &[String]) -> Option<Vec<String>> {
        let (_, head) = self.noun_phrase(words, 0)?;
        let gender = self.gender(words.get(head)?);
        let mut out = words.to_vec();
        let first = lower(words.first()?);
        let attribute = (1..head).next().map(|at| lower(&words[at])).filter(|_| head > 1);
        let is_ein = matches!(first.as_str(), "ein" | "mein" | "kein" | "dein" | "sein" | "ihr" | "unser");
        if is_ein && head == 0 {
            return Some(out);
        }
        if is_ein {
            let masculine = match (&attribute, gender) {
                (Some(attribute), _) if attribute.ends_with("es") => false,
                (Some(attribute), _) if attribute.ends_with("er") => true,
                (_, Some(gender)) => gender == Gender::Masculine,
                _ => return None,
            };
            if masculine {
                out[0] = format!("{first}en");
                for word in &mut out[1..head] {
                    if let Some(stem) = word.strip_suffix("er") {
                        *word = format!("{stem}en");
                    }
                }
            }
            return Some(out);
        }
        if first == "der" && gender.is_none_or(|gender| gender == Gender::Masculine) {
            "den".clone_into(&mut out[0]);
            for word in &mut out[1..head] {
                if word.ends_with('e') {
                    word.push('n');
                }
            }
            return Some(out);
        }
        let from = usize::from(self.is("determiners", &first));
        if gender.is_none_or(|gender| gender == Gender::Masculine) {
            for word in &mut out[from..head] {
                // `besserer Schlaf`, but not the bare comparative of `früher Feierabend`.
                let bare = word
                    .strip_suffix("er")
                    .is_some_and(|stem| !self.is("adjectives", &lower(word)) || stem.ends_with("er"));
                if bare && !self.is("determiners", &lower(word)) {
                    let stem = word.strip_suffix("er").unwrap_or(word).to_owned();
                    *word = format!("{stem}en");
                }
            }
        }
        Some(out)
    }

    /// A noun phrase in the accusative that is given in the dative ("von einem eigenen Haus"); `None` where its gender is not
    /// known.
    pub fn accusative_of_dative(&self, words: &[String]) -> Option<Vec<String>> {
        let (_, head) = self.noun_phrase(words, 0)?;
        let mut out = words.to_vec();
        let first = lower(words.first()?);
        let determined = self.is("determiners", &first) && head > 0;
        let (article, ending) = match () {
            () if determined && first.ends_with("em") => {
                let stem = first.strip_suffix("em")?;
                match (self.gender(words.get(head)?)?, stem) {
                    (Gender::Masculine, "d") => ("den".to_owned(), "en"),
                    (Gender::Masculine, stem) => (format!("{stem}en"), "en"),
                    (_, "d") => ("das".to_owned(), "e"),
                    (_, stem) => (stem.to_owned(), "es"),
                }
            }
            () if first == "der" && head > 0 => ("die".to_owned(), "e"),
            () if determined && first.ends_with("er") && first != "mehr" && first != "weniger" => {
                (format!("{}e", first.strip_suffix("er")?), "e")
            }
            () => (first, ""),
        };
        let attributes = usize::from(determined)..head;
        if !ending.is_empty() {
            out[0] = article;
            for word in out.get_mut(attributes)? {
                if let Some(stem) = word.strip_suffix("en") {
                    *word = format!("{stem}{ending}");
                }
            }
            return Some(out);
        }
        for word in out.get_mut(attributes)? {
            // Without an article the attribute shows the case: `innerer Ruhe`, `innerem Frieden`.
            if let Some(stem) = word.strip_suffix("em") {
                let ending = if self.gender(words.get(head)?)? == Gender::Masculine { "en" } else { "es" };
                *word = format!("{stem}{ending}");
            } else if let Some(stem) =
                word.strip_suffix("er").filter(|_| self.gender(&words[head]) == Some(Gender::Feminine))
            {
                *word = format!("{stem}e");
            }
        }
        Some(out)
    }

    /// A noun's gender, by the lists, its last part or its ending.
    pub fn gender(&self, noun: &str) -> Option<Gender> {
        let low = lower(noun);
        if let Some(noun) = self.nouns.get(&low) {
            return Some(noun.gender);
        }
        let feminine = ["ung", "heit", "keit", "schaft", "tät", "ion", "enz", "anz", "ei", "ik"];
        if feminine.iter().any(|end| low.ends_with(end)) {
            return Some(Gender::Feminine);
        }
        if ["chen", "lein", "ment", "tum"].iter().any(|end| low.ends_with(end)) {
            return Some(Gender::Neuter);
        }
        if ["ling", "ismus", "or", "ist"].iter().any(|end| low.ends_with(end)) {
            return Some(Gender::Masculine);
        }
        // A compound has the gender of its last part: the longest known one.
        (1..low.len())
            .filter(|at| low.is_char_boundary(*at) && low.len() - at >= 3)
            .find_map(|at| self.nouns.get(&low[at..]))
            .map(|noun| noun.gender)
    }
}

fn nouns_of(lists: &Sections<'_>) -> HashMap<String, Noun> {
    let mut nouns = HashMap::new();
    for section in ["count", "mass", "keywords"] {
        for line in lists.lines(section) {
            let mut fields = line.split_whitespace();
            let (Some(text), Some(gender)) = (fields.next(), fields.next()) else { continue };
            let gender = match gender {
                "m" => Gender::Masculine,
                "f" => Gender::Feminine,
                "n" => Gender::Neuter,
                _ => Gender::Plural,
            };
            let uses: Vec<String> = fields.map(str::to_owned).collect();
            let mass = section == "mass" || uses.iter().any(|word| word == "mass");
            nouns.insert(lower(text), Noun { text: text.to_owned(), gender, mass, uses });
        }
    }
    nouns
}

/// What a part of a phrase is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Part {
    /// `mich`, `mir`.
    Pronoun,
    /// A noun phrase without a preposition.
    Noun,
    /// A noun phrase with this preposition.
    Preposition(String),
    /// A word by itself, or a noun phrase of time.
    Adverb,
}

/// A part of a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Chunk {
    /// What it is.
    pub kind: Part,
    /// Its words.
    pub words: Vec<String>,
    /// The word that it is about, in lower case.
    pub head: String,
}

impl Chunk {
    /// Its words without the preposition; an article that was joined to it is written out.
    pub fn object(&self) -> Vec<String> {
        if !matches!(self.kind, Part::Preposition(_)) {
            return self.words.clone();
        }
        let article = self
            .words
            .first()
            .and_then(|word| WORDS.contraction(&lower(word)))
            .map(|(_, article)| article.to_owned());
        article.into_iter().chain(self.words.iter().skip(1).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn verbs_take_the_first_person() {
        for (infinitive, finite, with_zu) in [
            ("aufstehen", "stehe auf", "aufzustehen"),
            ("vertrauen", "vertraue", "zu vertrauen"),
            ("zweifeln", "zweifle", "zu zweifeln"),
            ("lächeln", "lächle", "zu lächeln"),
            ("verbessern", "verbessere", "zu verbessern"),
            ("sein", "bin", "zu sein"),
            ("wissen", "weiß", "zu wissen"),
            ("übernehmen", "übernehme", "zu übernehmen"),
            ("umsetzen", "setze um", "umzusetzen"),
            ("umarmen", "umarme", "zu umarmen"),
            ("überwinden", "überwinde", "zu überwinden"),
            ("zuhören", "höre zu", "zuzuhören"),
            ("loslassen", "lasse los", "loszulassen"),
            ("wahrnehmen", "nehme wahr", "wahrzunehmen"),
            ("antworten", "antworte", "zu antworten"),
            ("entspannen", "entspanne", "zu entspannen"),
            ("tun", "tue", "zu tun"),
            ("wiederholen", "wiederhole", "zu wiederholen"),
            ("durchhalten", "halte durch", "durchzuhalten"),
            ("anstrengen", "strenge an", "anzustrengen"),
            ("vorankommen", "komme voran", "voranzukommen"),
        ] {
            let verb = WORDS.verb(infinitive).unwrap();
            let form = format!("{} {}", verb.first_person(), verb.prefix);
            assert_eq!(form.trim(), finite);
            assert_eq!(verb.with_zu(), with_zu);
        }
    }

    #[test]
    fn finite_forms_lead_back_to_infinitives() {
        for (finite, infinitive) in [
            ("zweifle", "zweifeln"),
            ("grüble", "grübeln"),
            ("bin", "sein"),
            ("schiebe", "schieben"),
            ("hab", "haben"),
            ("ärgere", "ärgern"),
            ("verbessere", "verbessern"),
            ("fühl", "fühlen"),
            ("kann", "können"),
            ("vergleiche", "vergleichen"),
        ] {
            assert_eq!(WORDS.infinitive_of(finite).as_deref(), Some(infinitive), "{finite}");
        }
        assert_eq!(WORDS.infinitive_of("tisch"), None);
    }

    #[test]
    fn every_listed_verb_goes_there_and_back() {
        for infinitive in WORDS.verbs.keys() {
            let verb = WORDS.verb(infinitive).unwrap();
            assert_eq!(&verb.infinitive(), infinitive);
            let back = WORDS.infinitive_of(&verb.first_person());
            assert!(back.is_some(), "{infinitive}: {}", verb.first_person());
        }
    }

    #[test]
    fn noun_phrases_take_the_accusative() {
        for (nominative, accusative) in [
            ("besserer Schlaf", "besseren Schlaf"),
            ("innerer Frieden", "inneren Frieden"),
            ("ein neuer Job", "einen neuen Job"),
            ("ein Job", "einen Job"),
            ("ein gesundes Leben", "ein gesundes Leben"),
            ("der innere Frieden", "den inneren Frieden"),
            ("eine neue Arbeit", "eine neue Arbeit"),
            ("mehr Geduld", "mehr Geduld"),
            ("mein eigenes Haus", "mein eigenes Haus"),
            ("mein eigener Garten", "meinen eigenen Garten"),
            ("innere Ruhe", "innere Ruhe"),
        ] {
            assert_eq!(WORDS.accusative(&words(nominative)), Some(words(accusative)), "{nominative}");
        }
        assert_eq!(WORDS.accusative(&words("ein Blorz")), None);
    }

    #[test]
    fn noun_phrases_leave_the_dative() {
        for (dative, accusative) in [
            ("einem eigenen Haus", "ein eigenes Haus"),
            ("einem neuen Job", "einen neuen Job"),
            ("einer liebevollen Beziehung", "eine liebevolle Beziehung"),
            ("innerer Ruhe", "innere Ruhe"),
            ("innerem Frieden", "inneren Frieden"),
            ("mehr Zeit", "mehr Zeit"),
            ("Freiheit", "Freiheit"),
        ] {
            assert_eq!(WORDS.accusative_of_dative(&words(dative)), Some(words(accusative)), "{dative}");
        }
    }

    #[test]
    fn phrases_fall_into_parts() {
        let parts = |text: &str| -> Vec<String> {
            WORDS.chunks(&words(text)).iter().map(|chunk| chunk.words.join(" ")).collect()
        };
        assert_eq!(parts("mir mehr Zeit für meine Familie"), ["mir", "mehr Zeit", "für meine Familie"]);
        assert_eq!(parts("ständig an meiner Arbeit"), ["ständig", "an meiner Arbeit"]);
        assert_eq!(parts("regelmäßig Sport"), ["regelmäßig", "Sport"]);
        assert_eq!(parts("am Handy"), ["am Handy"]);
        assert_eq!(
            parts("von der Meinung meiner Mutter und meiner Freunde"),
            ["von der Meinung meiner Mutter und meiner Freunde"]
        );
        assert_eq!(parts("jeden Tag eine gute Tat"), ["jeden Tag", "eine gute Tat"]);
    }

    #[test]
    fn tenses_are_told_by_their_forms() {
        for word in ["gemacht", "erreicht", "aufgeräumt", "verstanden", "trainiert", "gearbeitet"] {
            assert!(WORDS.is_participle(word), "{word}");
        }
        for word in ["gesund", "gut", "bereit", "gelassen", "entspannter"] {
            assert!(!WORDS.is_participle(word), "{word}");
        }
        for word in ["machte", "arbeitete", "vertraute", "lernte"] {
            assert!(WORDS.is_weak_past(word), "{word}");
        }
        for word in ["arbeite", "achte", "biete", "leite", "halte", "warte", "richte", "beobachte", "bitte"] {
            assert!(!WORDS.is_weak_past(word), "{word}");
        }
    }
}
