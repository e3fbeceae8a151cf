//! German nouns and the forms that they and their adjectives take: enough to turn what a sentence declines into what a
//! hashtag or a label says.
//!
//! `mit innerer Ruhe` speaks of `innere Ruhe`, `zu innerem Frieden` of `innerer Frieden`, `in kleinen Schritten` of
//! `kleine Schritte`. Where the words alone do not tell, nothing is said.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The grammatical gender of a noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gender {
    /// der
    Masculine,
    /// die
    Feminine,
    /// das
    Neuter,
    /// Nouns that have no singular.
    Plural,
}

/// What is known of a noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noun {
    /// Its gender; none when several are possible.
    pub gender: Option<Gender>,
    /// Whether the word is the nominative singular; else it is another form.
    pub base: bool,
}

/// The shortest part of a compound that tells its gender, in letters.
const HEAD: usize = 3;

/// What is known of a capitalised word: by the list of nouns, the last part of a compound, or a suffix that only nouns have.
pub fn noun(word: &str) -> Option<Noun> {
    let lower = word.to_lowercase();
    if lower.len() > 80 {
        return None;
    }
    listed(&lower).or_else(|| compound(&lower)).or_else(|| by_suffix(&lower))
}

/// Whether the word itself, in some form, is in the list of nouns.
pub fn is_listed(word: &str) -> bool {
    listed(&word.to_lowercase()).is_some()
}

fn listed(lower: &str) -> Option<Noun> {
    if let Some(gender) = NOUNS.get(lower) {
        return Some(Noun { gender: *gender, base: true });
    }
    let form = bases(lower).find_map(|base| NOUNS.get(base.as_str()).copied());
    form.map(|gender| Noun { gender, base: false })
}

/// What a form may be made from: the word without an ending, and that without its umlaut.
fn bases(lower: &str) -> impl Iterator<Item = String> + '_ {
    const ENDINGS: [&str; 9] = ["nen", "ern", "en", "er", "es", "n", "e", "s", ""];
    ENDINGS
        .into_iter()
        .filter_map(|ending| lower.strip_suffix(ending))
        .filter(|base| base.len() >= 2)
        .flat_map(|base| {
            let bare = without_umlaut(base);
            [Some(base.to_owned()), bare].into_iter().flatten()
        })
}

/// The word with its last umlaut undone; none without one.
fn without_umlaut(word: &str) -> Option<String> {
    let (at, vowel) = word.char_indices().rev().find(|(_, c)| matches!(c, 'ä' | 'ö' | 'ü'))?;
    let plain = match vowel {
        'ä' => "a",
        'ö' => "o",
        _ => "u",
    };
    let mut bare = word.to_owned();
    bare.replace_range(at..at + vowel.len_utf8(), plain);
    Some(bare)
}

fn compound(lower: &str) -> Option<Noun> {
    let starts = lower.char_indices().map(|(at, _)| at).skip(HEAD);
    starts
        .filter_map(|at| lower.get(at..))
        .take_while(|head| head.chars().count() >= HEAD)
        // A short head must be the noun itself: `gen` is no form of `Ge`.
        .find_map(|head| listed(head).filter(|noun| noun.base || head.chars().count() > HEAD + 1))
}

fn by_suffix(lower: &str) -> Option<Noun> {
    const SUFFIXES: [(&str, Option<Gender>, bool); 28] = [
        ("ungen", Some(Gender::Feminine), false),
        ("heiten", Some(Gender::Feminine), false),
        ("keiten", Some(Gender::Feminine), false),
        ("schaften", Some(Gender::Feminine), false),
        ("täten", Some(Gender::Feminine), false),
        ("ionen", Some(Gender::Feminine), false),
        ("innen", Some(Gender::Feminine), false),
        ("anzen", Some(Gender::Feminine), false),
        ("enzen", Some(Gender::Feminine), false),
        ("ung", Some(Gender::Feminine), true),
        ("heit", Some(Gender::Feminine), true),
        ("keit", Some(Gender::Feminine), true),
        ("schaft", Some(Gender::Feminine), true),
        ("tät", Some(Gender::Feminine), true),
        ("tion", Some(Gender::Feminine), true),
        ("sion", Some(Gender::Feminine), true),
        ("erin", Some(Gender::Feminine), true),
        ("enz", Some(Gender::Feminine), true),
        ("anz", Some(Gender::Feminine), true),
        ("ologie", Some(Gender::Feminine), true),
        ("erei", Some(Gender::Feminine), true),
        ("ismus", Some(Gender::Masculine), true),
        ("ling", Some(Gender::Masculine), true),
        ("chen", Some(Gender::Neuter), true),
        ("lein", Some(Gender::Neuter), true),
        ("ment", Some(Gender::Neuter), true),
        ("tum", None, true),
        ("nis", None, true),
    ];
    let letters = lower.chars().count();
    let found =
        SUFFIXES.iter().find(|(suffix, ..)| lower.ends_with(suffix) && letters >= suffix.chars().count() + 3);
    found.map(|(_, gender, base)| Noun { gender: *gender, base: *base })
}

/// An adjective and its noun as they stand without an article in the nominative; `before` is the word before them.
///
/// None when the words do not tell, or are no adjective and noun at all.
pub fn attributive(before: Option<&str>, adjective: &str, noun_word: &str) -> Option<(String, String)> {
    let lower = adjective.to_lowercase();
    let ending = ["em", "en", "er", "es", "e"].into_iter().find(|ending| lower.ends_with(ending))?;
    let stem = lower.strip_suffix(ending).filter(|stem| stem.chars().count() >= 3)?;
    let before = before.unwrap_or_default();
    let known = noun(noun_word);
    let gender = known.and_then(|noun| noun.gender);
    let plural = known.is_some_and(|noun| !noun.base || noun.gender == Some(Gender::Plural));
    let strong = match gender {
        Some(Gender::Masculine) if !plural => Some("er"),
        Some(Gender::Neuter) if !plural => Some("es"),
        Some(_) => Some("e"),
        None => None,
    };
    let as_is = |ending: &str| Some((format!("{stem}{ending}"), noun_word.to_owned()));
    match ending {
        "e" => match before {
            "das" | "dieses" | "jenes" | "jedes" => as_is("es"),
            "der" | "dieser" | "jener" | "jeder" => as_is("er"),
            _ if past_tense(&lower) => None,
            // Without an article it is feminine, or the plural of any gender.
            _ => as_is("e"),
        },
        "er" => match gender {
            _ if is_bare_article(before) => as_is("er"),
            _ if plural => as_is("e"),
            Some(_) => as_is(strong?).filter(|_| gender != Some(Gender::Neuter)),
            None if takes_dative(before) => as_is("e"),
            None => as_is("er").filter(|_| before.is_empty()),
        },
        "es" => {
            as_is("es").filter(|_| !plural && !matches!(gender, Some(Gender::Masculine | Gender::Feminine)))
        }
        "em" => as_is(strong?).filter(|_| !plural && gender != Some(Gender::Feminine)),
        // -en is every oblique case after an article, and the dative plural without one.
        _ if ends(before, "em") || matches!(before, "im" | "am" | "zum" | "beim" | "vom") => {
            as_is(strong?).filter(|_| !plural && gender != Some(Gender::Feminine))
        }
        _ if matches!(before, "des" | "eines") || ends(before, "es") => {
            let base = genitive(noun_word)?;
            let ending = match noun(&base)?.gender? {
                Gender::Masculine => "er",
                Gender::Neuter => "es",
                _ => return None,
            };
            Some((format!("{stem}{ending}"), base))
        }
        _ if before == "zur" || ends(before, "er") => as_is("e"),
        _ if matches!(before, "die" | "alle" | "beide" | "keine" | "diese") || ends(before, "e") => {
            as_is("e")
        }
        _ if plural && (before == "den" || ends(before, "en") || takes_dative(before)) => {
            Some((format!("{stem}e"), nominative(noun_word)))
        }
        _ if gender == Some(Gender::Masculine) && (ends(before, "en") || takes_accusative(before)) => {
            as_is("er")
        }
        _ => None,
    }
}

/// Whether a word is an article or a possessive with this ending.
fn ends(word: &str, ending: &str) -> bool {
    const STEMS: [&str; 12] =
        ["ein", "kein", "mein", "dein", "sein", "ihr", "unser", "euer", "eur", "dies", "jed", "d"];
    word.strip_suffix(ending).is_some_and(|stem| STEMS.contains(&stem))
}

fn is_bare_article(word: &str) -> bool {
    matches!(word, "ein" | "kein" | "mein" | "dein" | "sein" | "ihr" | "unser" | "euer")
}

fn takes_dative(word: &str) -> bool {
    matches!(
        word,
        "mit" | "von" | "bei" | "aus" | "zu" | "nach" | "in" | "an" | "auf" | "seit" | "voller" | "dank"
    )
}

fn takes_accusative(word: &str) -> bool {
    matches!(word, "für" | "ohne" | "durch" | "gegen" | "um")
}

/// Whether a word in -te is rather a verb in the past tense than an adjective or participle.
fn past_tense(lower: &str) -> bool {
    const PARTICIPLES: [&str; 6] = ["ge", "be", "ver", "er", "ent", "zer"];
    const ADJECTIVES: [&str; 17] = [
        "leichte", "echte", "bunte", "sanfte", "zarte", "laute", "kalte", "harte", "feste", "nette",
        "direkte", "perfekte", "rote", "weite", "breite", "exakte", "glatte",
    ];
    lower.ends_with("te")
        && !PARTICIPLES.iter().any(|prefix| lower.starts_with(prefix))
        && !lower.contains("ge")
        && !["ierte", "nte", "bte"].iter().any(|end| lower.ends_with(end))
        && !ADJECTIVES.contains(&lower)
}

/// The nominative of a noun in the genitive singular (`Lebens`, `Hauses`); none when the form does not tell.
pub fn genitive(word: &str) -> Option<String> {
    let is_base = |base: &str| noun(base).is_some_and(|noun| noun.base);
    // Feminine nouns and those in -us do not change.
    if word.ends_with("us") || !word.ends_with('s') {
        return Some(word.to_owned());
    }
    let candidates = [word.strip_suffix('s'), word.strip_suffix("es"), word.strip_suffix("ens")];
    if let Some(base) = candidates.into_iter().flatten().find(|base| is_base(base)) {
        return Some(base.to_owned());
    }
    if is_base(word) {
        return Some(word.to_owned());
    }
    let bare = word.strip_suffix('s')?;
    let plain = bare.chars().count() >= 4 && !bare.ends_with(['e', 's', 'x', 'z', 'ß']);
    plain.then(|| bare.to_owned())
}

/// A noun in the dative plural as its nominative (`Schritten`, `Kindern`); any other word as it is.
pub fn nominative(word: &str) -> String {
    let Some(shorter) = word.strip_suffix('n') else { return word.to_owned() };
    let lower = shorter.to_lowercase();
    let strong = |base: &str| {
        let gender = NOUNS
            .get(base)
            .copied()
            .or_else(|| compound(base).filter(|noun| noun.base).map(|noun| noun.gender));
        matches!(gender, Some(Some(Gender::Masculine | Gender::Neuter))) && !takes_en(base)
    };
    let bare = |base: &str| strong(base) || without_umlaut(base).is_some_and(|base| strong(&base));
    let dative = match lower.strip_suffix('e') {
        // A noun in -e itself has its plural in -en.
        Some(base) => noun(shorter).is_none_or(|noun| !noun.base) && bare(base),
        None if lower.ends_with("er") || lower.ends_with("el") => {
            strong(&lower) || lower.strip_suffix("er").is_some_and(bare)
        }
        None => false,
    };
    if dative { shorter.to_owned() } else { word.to_owned() }
}

/// Masculine and neuter nouns with a plural in -en, which is no dative.
fn takes_en(base: &str) -> bool {
    const NOUNS: [&str; 30] = [
        "mensch",
        "schmerz",
        "ohr",
        "herz",
        "staat",
        "nerv",
        "bett",
        "hemd",
        "held",
        "prinz",
        "strahl",
        "see",
        "student",
        "patient",
        "klient",
        "assistent",
        "präsident",
        "dozent",
        "lieferant",
        "autor",
        "motor",
        "investor",
        "faktor",
        "typ",
        "muskel",
        "konzern",
        "jurist",
        "experiment",
        "insekt",
        "datum",
    ];
    NOUNS.iter().any(|noun| base.ends_with(noun) && base.len() <= noun.len() + 12)
}

/// Genders by nouns in lower case; none where the list has a word with several.
static NOUNS: LazyLock<HashMap<String, Option<Gender>>> = LazyLock::new(|| {
    let mut nouns: HashMap<String, Option<Gender>> = HashMap::new();
    for line in include_str!("nouns_de.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let gender = match words.next() {
            Some("m") => Gender::Masculine,
            Some("f") => Gender::Feminine,
            Some("n") => Gender::Neuter,
            _ => Gender::Plural,
        };
        for word in words {
            let entry = nouns.entry(word.to_lowercase()).or_insert(Some(gender));
            if *entry != Some(gender) {
                *entry = None;
            }
        }
    }
    nouns
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compounds_take_the_gender_of_their_last_part() {
        let gender = |word| noun(word).and_then(|noun| noun.gender);
        assert_eq!(gender("Ruhe"), Some(Gender::Feminine));
        assert_eq!(gender("Morgenroutine"), Some(Gender::Feminine));
        assert_eq!(gender("Roggensauerteigbrot"), Some(Gender::Neuter));
        assert_eq!(gender("Sanierungsfahrplan"), Some(Gender::Masculine));
        assert_eq!(gender("Achtsamkeit"), Some(Gender::Feminine));
        assert_eq!(noun("Helferinnen"), Some(Noun { gender: Some(Gender::Feminine), base: false }));
        assert_eq!(noun("Xyzzy"), None);
        assert_eq!(noun(""), None);
    }

    #[test]
    fn adjectives_come_to_the_nominative_without_an_article() {
        let cases = [
            ("mit", "innerer", "Ruhe", "innere Ruhe"),
            ("zu", "innerem", "Frieden", "innerer Frieden"),
            ("das", "innere", "Kind", "inneres Kind"),
            ("der", "innere", "Frieden", "innerer Frieden"),
            ("deine", "innere", "Stimme", "innere Stimme"),
            ("deiner", "inneren", "Stimme", "innere Stimme"),
            ("mit", "kleinen", "Schritten", "kleine Schritte"),
            ("in", "stillen", "Momenten", "stille Momente"),
            ("die", "roten", "Linsen", "rote Linsen"),
            ("mit", "klarem", "Blick", "klarer Blick"),
            ("einen", "klaren", "Blick", "klarer Blick"),
            ("ein", "gesundes", "Frühstück", "gesundes Frühstück"),
            ("eines", "gesunden", "Frühstücks", "gesundes Frühstück"),
            ("des", "gesunden", "Lebens", "gesundes Leben"),
            ("zur", "flexiblen", "Arbeitszeit", "flexible Arbeitszeit"),
            ("", "flexible", "Arbeitszeiten", "flexible Arbeitszeiten"),
        ];
        for (before, adjective, noun, expected) in cases {
            let (adjective, noun) = attributive(Some(before), adjective, noun)
                .unwrap_or_else(|| panic!("{before} {adjective} {noun}"));
            assert_eq!(format!("{adjective} {noun}"), expected);
        }
        // Verbs before a noun are no adjectives, and unknown genders are not guessed.
        assert_eq!(attributive(Some("wir"), "machen", "Pausen"), None);
        assert_eq!(attributive(Some("er"), "suchte", "Hilfe"), None);
        assert_eq!(attributive(Some("zu"), "neuem", "Xyzzy"), None);
    }

    #[test]
    fn nouns_come_to_the_nominative() {
        for (form, expected) in [
            ("Schritten", "Schritte"),
            ("Kindern", "Kinder"),
            ("Läufern", "Läufer"),
            ("Bäumen", "Bäume"),
            ("Pausen", "Pausen"),
            ("Menschen", "Menschen"),
            ("Rückenschmerzen", "Rückenschmerzen"),
            ("Garten", "Garten"),
            ("Leben", "Leben"),
            ("Regeln", "Regeln"),
            ("Gedanken", "Gedanken"),
            ("Daten", "Daten"),
            ("n", "n"),
        ] {
            assert_eq!(nominative(form), expected, "{form}");
        }
        for (form, expected) in [
            ("Lebens", "Leben"),
            ("Hauses", "Haus"),
            ("Friedens", "Frieden"),
            ("Körpers", "Körper"),
            ("Ruhe", "Ruhe"),
        ] {
            assert_eq!(genitive(form).as_deref(), Some(expected), "{form}");
        }
    }

    #[test]
    fn no_gender_is_listed_twice_by_mistake() {
        // These have two genders, or two meanings.
        let both: Vec<&str> =
            NOUNS.iter().filter(|(_, gender)| gender.is_none()).map(|(noun, _)| noun.as_str()).collect();
        assert!(both.len() <= 12, "{both:?}");
    }
}
