use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::agents::hashtags::builtin::{Corpus, Mix};
use crate::agents::text::RefusalCode;

const RUNNING: &str = "Die Laufgruppe trifft sich jeden Mittwoch um 18.30 Uhr am Vereinsheim. Es gibt drei Tempogruppen, vom Einstieg bis \
    zum Halbmarathon. Wer neu ist, läuft vier Wochen kostenlos mit. Außerdem hilft es, zu zweit zu kommen (zum Beispiel du und \
    eine Freundin). Warum fällt der erste Kilometer so schwer? Weil der Körper etwa zehn Minuten braucht, um den Stoffwechsel \
    umzustellen. Danach läuft es fast von allein.";
const BREAD: &str =
    "Brot vom Vortag kostet bei uns die Hälfte. Was danach noch übrig ist, geht jeden Abend an die Tafel.";

fn passage(id: &str, heading: &str, text: &str) -> Passage {
    Passage {
        id: id.to_owned(),
        document: "doc".to_owned(),
        version: 2,
        heading: Some(heading.to_owned()),
        text: text.to_owned(),
        start: 100,
        relevance: None,
    }
}

fn ask(brief: &str) -> Compose {
    Compose {
        angle: None,
        brief: brief.to_owned(),
        passages: vec![passage("p1", "Laufgruppe", RUNNING), passage("p2", "Brot von gestern", BREAD)],
        channels: vec![Channel::Instagram, Channel::X],
        language: Language::German,
        variants: 3,
        length: None,
        tone: None,
        call_to_action: None,
        calls_to_action: vec!["Melde dich gern bei uns.".to_owned(), "Book your place today.".to_owned()],
        hashtags: None,
        banned: Vec::new(),
        pillars: Vec::new(),
        seed: 0,
    }
}

fn research() -> Research {
    Research {
        text: String::new(),
        language: Language::German,
        count: 8,
        corpus: Corpus::default(),
        past: Vec::new(),
        brand: vec!["#TSVNordmark".to_owned()],
        period: Vec::new(),
        ideas: Vec::new(),
        banned: Vec::new(),
        must_include: Vec::new(),
        mix: Mix::default(),
    }
}

/// Everything that holds for every composition.
fn hold(asked: &Compose, made: &Composition) {
    assert!((1..=asked.variants).contains(&made.variants.len()));
    let banned = Banned::read(&asked.banned, asked.language);
    let mut known: Vec<&str> = asked.passages.iter().map(|passage| passage.text.as_str()).collect();
    known.push(&asked.brief);
    let mut captions = BTreeSet::new();
    for variant in &made.variants {
        assert!(captions.insert(&variant.caption), "the same caption twice");
        assert_eq!(banned.find(&variant.caption), Vec::<String>::new());
        assert_eq!(variant.graphemes, validity::length(&variant.caption, validity::Unit::Graphemes));
        for citation in &variant.sources {
            let passage = asked.passages.iter().find(|passage| passage.id == citation.passage).unwrap();
            let (from, to) = (citation.start - passage.start, citation.end - passage.start);
            let there: String = passage.text.chars().skip(from).take(to - from).collect();
            assert_eq!(there, citation.quote);
        }
        for line in &variant.lines {
            assert!(variant.caption.contains(&line.text), "{} in {}", line.text, variant.caption);
            match line.origin {
                Origin::Source => assert!(variant.sources.get(line.source.unwrap()).is_some()),
                Origin::Brief => assert!(
                    asked.brief.contains(line.text.trim_start_matches("• ").split(' ').next().unwrap())
                        || asked.call_to_action.as_ref() == Some(&line.text)
                ),
                Origin::Project => assert!(asked.calls_to_action.iter().any(|call| call.trim() == line.text)),
            }
        }
        // Every line of the caption has an origin.
        let mut rest = variant.caption.clone();
        for part in variant.lines.iter().map(|line| &line.text).chain(&variant.hashtags) {
            rest = rest.replacen(part.as_str(), "", 1);
        }
        assert_eq!(rest.trim(), "", "{}", variant.caption);
        assert_eq!(facts::check(&format!("{}\n{}", variant.hook, variant.body), &known, asked.language), []);
    }
    for difference in &made.diffs {
        let to: String = difference
            .parts
            .iter()
            .filter(|part| part.kind != diff::DiffKind::Deleted)
            .map(|part| part.text.as_str())
            .collect();
        assert_eq!(to, made.variants[difference.to].caption);
    }
    assert_eq!(compose(asked).as_ref(), Ok(made), "the same input gives the same output");
}

#[test]
fn a_topic_heads_what_the_sources_say_of_it() {
    let asked = Compose { hashtags: Some(research()), ..ask("Laufgruppe für Neue") };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    assert_eq!(made.variants.len(), 3);
    let first = &made.variants[0];
    assert_eq!(
        (first.hook.as_str(), first.opening, first.length),
        ("Laufgruppe für Neue", Opening::Headline, Length::Medium)
    );
    assert!(first.body.contains("Wer neu ist, läuft vier Wochen kostenlos mit."), "{}", first.body);
    assert!(!first.caption.contains("Brot"), "{}", first.caption);
    assert_eq!(first.call_to_action.as_deref(), Some("Melde dich gern bei uns."));
    assert!(first.hashtags.contains(&"#TSVNordmark".to_owned()), "{:?}", first.hashtags);
    let lengths: BTreeSet<Length> = made.variants.iter().map(|variant| variant.length).collect();
    let openings: BTreeSet<Opening> = made.variants.iter().map(|variant| variant.opening).collect();
    assert!(lengths.len() == 3 && openings.len() == 3, "{lengths:?} {openings:?}");
    let short = made.variants.iter().find(|variant| variant.length == Length::Short).unwrap();
    assert!(short.validity.iter().all(|channel| channel.valid), "{:?}", short.validity);
    assert!(made.unused.iter().any(|unused| unused.input == "Book your place today."), "{:?}", made.unused);
}

#[test]
fn a_question_is_followed_by_its_answer_and_only_there() {
    let asked = Compose { variants: 6, ..ask("Warum fällt der erste Kilometer schwer?") };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    for variant in &made.variants {
        let answered = variant.caption.contains("Weil der Körper");
        assert_eq!(answered, variant.caption.contains("schwer?\n\nWeil"), "{}", variant.caption);
        assert_eq!(
            variant.caption.matches('?').count(),
            usize::from(variant.opening == Opening::Question),
            "{}",
            variant.caption
        );
    }
    assert_eq!(made.variants[0].opening, Opening::Question);
}

#[test]
fn what_leans_on_a_sentence_stands_behind_it() {
    let asked = Compose { variants: 6, ..ask("Brot von gestern") };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    let whole: Vec<&str> = made.variants.iter().map(|variant| variant.caption.as_str()).collect();
    for caption in whole {
        if let Some((before, _)) = caption.split_once("Was danach noch übrig ist") {
            assert!(before.trim_end().ends_with("kostet bei uns die Hälfte."), "{caption}");
        }
    }
}

#[test]
fn short_variants_are_shortened_and_say_so() {
    let asked =
        Compose { length: Some(Length::Short), variants: 4, ..ask("Zu zweit laufen mit einer Freundin") };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    let mut shortened = made
        .variants
        .iter()
        .flat_map(|variant| &variant.sources)
        .filter(|source| source.quote.starts_with("Außerdem"));
    assert!(shortened.next().is_some_and(|source| !source.verbatim));
    assert!(made.variants.iter().any(|variant| variant.caption.contains("Es hilft, zu zweit zu kommen.")));
}

#[test]
fn the_caller_s_own_text_is_marked_as_such() {
    let text = "Ab Montag haben wir ein neues Team in der Werkstatt. Jana und Timo reparieren auch E-Bikes. Die Wartezeit sinkt auf fünf Tage.";
    let asked = Compose { passages: Vec::new(), ..ask(text) };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    for variant in &made.variants {
        assert!(variant.sources.is_empty() && variant.lines.iter().all(|line| line.origin != Origin::Source));
    }
}

#[test]
fn banned_words_stay_out() {
    let asked = Compose {
        banned: vec!["kostenlos".to_owned(), "Mittwoch".to_owned()],
        calls_to_action: vec!["Jetzt kostenlos testen!".to_owned()],
        ..ask("Laufgruppe")
    };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    assert!(made.variants.iter().all(|variant| variant.call_to_action.is_none()));
    assert!(made.unused.iter().any(|unused| unused.reason.contains("banned")));
}

#[test]
fn the_caller_s_call_to_action_is_in_every_variant() {
    let call = "Komm am Mittwoch einfach vorbei und lauf eine Runde mit uns, ganz ohne Anmeldung.";
    let own = |banned: &[&str]| Compose {
        call_to_action: Some(call.to_owned()),
        banned: banned.iter().map(|word| (*word).to_owned()).collect(),
        hashtags: Some(research()),
        variants: 6,
        ..ask("Laufgruppe für Neue")
    };
    let asked = own(&[]);
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    assert!(made.variants.iter().any(|variant| variant.length == Length::Short));
    for variant in &made.variants {
        assert_eq!(variant.call_to_action.as_deref(), Some(call), "{}", variant.caption);
        assert!(variant.graphemes <= variant.length.graphemes());
    }
    assert!(
        !made.unused.iter().any(|unused| unused.input.contains("Book")),
        "the project's are not looked at"
    );
    let asked = own(&["Anmeldung"]);
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    assert!(made.variants.iter().all(|variant| variant.call_to_action.is_none()), "nor used instead");
    assert!(
        made.unused
            .iter()
            .any(|unused| call.starts_with(&unused.input[..20]) && unused.reason.contains("banned"))
    );
    // Where it leaves no room for a sentence, there is no variant rather than one without it.
    let long =
        Compose { call_to_action: Some("Lauf mit. ".repeat(24)), length: Some(Length::Short), ..own(&[]) };
    let refused = compose(&long).unwrap_err();
    assert_eq!(refused.field, "channels");
    assert!(refused.message.contains("call to action"), "{}", refused.message);
}

#[test]
fn all_variants_are_of_the_length_that_is_asked_for() {
    for length in [Length::Short, Length::Medium, Length::Long] {
        let asked = Compose { length: Some(length), ..ask("Laufgruppe für Neue") };
        let made = compose(&asked).unwrap();
        hold(&asked, &made);
        assert!(made.variants.iter().all(|variant| variant.length == length), "{length:?}");
    }
}

#[test]
fn nothing_is_written_without_sources() {
    let refused = |asked: &Compose| compose(asked).unwrap_err();
    let without = |brief: &str| Compose { passages: Vec::new(), ..ask(brief) };
    for brief in ["", "  ", "Schreib einen lustigen Post über Katzen", "Katzen", "👩‍👩‍👧"] {
        assert_eq!(refused(&without(brief)).code, RefusalCode::InsufficientInput, "{brief}");
    }
    let off = refused(&ask("Quantenphysik"));
    assert_eq!((off.code, off.field.as_str()), (RefusalCode::InsufficientInput, "brief"));
    let english = Compose { language: Language::English, ..ask("Running group") };
    assert!(refused(&english).message.contains("language"));
    for variants in [0, 7] {
        assert_eq!(refused(&Compose { variants, ..ask("Laufgruppe") }).code, RefusalCode::OutOfRange);
    }
    // What a search found may say it in other words than the brief.
    let mut found = ask("Jogging");
    found.passages[0].relevance = Some(0.8);
    let made = compose(&found).unwrap();
    assert!(made.variants[0].caption.contains("Laufgruppe") && !made.variants[0].caption.contains("Brot"));
}

#[test]
fn a_tone_is_not_pretended() {
    let made = compose(&Compose { tone: Some("locker".to_owned()), ..ask("Laufgruppe") }).unwrap();
    assert!(made.unused.iter().any(|unused| unused.input == "locker"));
}

#[test]
fn seeds_begin_with_other_openings_and_calls() {
    let base =
        Compose { calls_to_action: (1..9).map(|n| format!("Aufruf Nummer {n}.")).collect(), ..ask("") };
    let seeded = |seed| compose(&Compose { seed, ..base.clone() }).unwrap();
    assert_eq!(seeded(7), seeded(7));
    let different: BTreeSet<String> = (0..12).map(|seed| seeded(seed).variants[0].caption.clone()).collect();
    assert!(different.len() > 3, "{}", different.len());
}

#[test]
fn pillars_are_recognised() {
    let pillar = |name: &str, phrases: &[&str]| Pillar {
        name: name.to_owned(),
        key_phrases: phrases.iter().map(|phrase| (*phrase).to_owned()).collect(),
    };
    let pillars =
        vec![pillar("Backen", &["Brot", "Tafel"]), pillar("Laufen", &["Laufgruppe", "Halbmarathon"])];
    let made = compose(&Compose { pillars, ..ask("Laufgruppe") }).unwrap();
    assert!(made.variants.iter().all(|variant| variant.pillar.as_deref() == Some("Laufen")));
}

#[test]
fn markdown_does_not_show() {
    let text = "Unser **Laufkurs** beginnt im [Stadtpark](https://beispiel.de/park) um `9` Uhr. Alle __Gruppen__ laufen gemeinsam los.";
    let asked = Compose { passages: vec![passage("m", "Laufkurs", text)], ..ask("Laufkurs im Stadtpark") };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    for variant in &made.variants {
        assert!(
            !variant.caption.contains(['*', '`', '[', ']']) && !variant.caption.contains("__"),
            "{}",
            variant.caption
        );
    }
    assert!(made.variants[0].caption.contains("Unser Laufkurs beginnt im Stadtpark um 9 Uhr."));
}

#[test]
fn only_x_makes_every_variant_fit_x() {
    let asked = Compose { channels: vec![Channel::X], variants: 6, ..ask("Laufgruppe") };
    let made = compose(&asked).unwrap();
    hold(&asked, &made);
    assert!(made.variants.iter().all(|variant| variant.validity.len() == 1 && variant.validity[0].valid));
}

#[test]
fn nasty_texts_do_no_harm() {
    let long = format!("{RUNNING} ").repeat(2_600);
    assert!(long.len() > 1 << 20);
    for text in [
        &long,
        "שלום עולם. מה שלומך היום? טוב מאוד.",
        "a\0b. \0\0\0 c d e.",
        "(((((. ))))) – – –. e\u{301}\u{301} x y.",
        "### \n- \n| |",
    ] {
        let mut asked = ask("Laufgruppe Mittwoch");
        asked.passages = vec![passage("n", "Laufgruppe", text)];
        if let Ok(made) = compose(&asked) {
            assert!(!made.variants.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn every_composition_holds(
        brief in "(Laufgruppe|Brot|)[ a-zA-ZäöüÄÖÜ?.!]{0,60}",
        extra in "\\PC{0,200}",
        variants in 1..7_usize,
        seed: u64,
        tags: bool,
    ) {
        let mut asked = Compose { variants, seed, hashtags: tags.then(research), ..ask(&brief) };
        asked.passages.push(passage("p3", "Mehr", &format!("Die Laufgruppe läuft. {extra}")));
        if let Ok(made) = compose(&asked) {
            let known: Vec<&str> = asked.passages.iter().map(|passage| passage.text.as_str()).chain([asked.brief.as_str()]).collect();
            for variant in &made.variants {
                prop_assert_eq!(facts::check(&format!("{}\n{}", variant.hook, variant.body), &known, asked.language), vec![]);
                for citation in &variant.sources {
                    let passage = asked.passages.iter().find(|passage| passage.id == citation.passage).unwrap();
                    let there: String = passage.text.chars().skip(citation.start - 100).take(citation.end - citation.start).collect();
                    prop_assert_eq!(&there, &citation.quote);
                }
                prop_assert!(variant.graphemes <= 1_000);
            }
            prop_assert_eq!(compose(&asked), Ok(made));
        }
    }
}
