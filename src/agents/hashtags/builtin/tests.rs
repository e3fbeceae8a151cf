use chrono::TimeZone as _;
use proptest::prelude::*;

use super::*;

fn ask(text: &str, language: Language) -> Research {
    Research {
        text: text.to_owned(),
        language,
        count: 15,
        corpus: Corpus::default(),
        past: Vec::new(),
        brand: Vec::new(),
        period: Vec::new(),
        ideas: Vec::new(),
        banned: Vec::new(),
        must_include: Vec::new(),
        mix: Mix::default(),
    }
}

fn day(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 10, day, 9, 0, 0).unwrap()
}

/// The id of the post of a day.
fn named(on: u32) -> PostId {
    uuid::Uuid::from_u128(on.into()).into()
}

fn post(on: u32, text: &str, tags: &[&str]) -> PastPost {
    PastPost {
        at: day(on),
        text: text.to_owned(),
        hashtags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        post: Some(named(on)),
    }
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|entry| (*entry).to_owned()).collect()
}

fn tags(set: &HashtagSet) -> Vec<&str> {
    set.hashtags.iter().map(|hashtag| hashtag.tag.as_str()).collect()
}

const MORNING: &str = "Wer morgens als Erstes zum Handy greift, startet mit Sorgen in den Tag. Probier eine ruhige \
    Morgenroutine mit Atemübungen. Deine innere Ruhe wird es dir danken.";

#[test]
fn a_german_text_gives_compounds_and_phrases_in_camel_case() {
    let set = research(&ask(MORNING, Language::German)).unwrap();
    let found = tags(&set);
    for expected in ["#RuhigeMorgenroutine", "#InnereRuhe", "#Atemübungen", "#Handy"] {
        assert!(found.contains(&expected), "{expected}: {found:?}");
    }
    assert!(!found.iter().any(|tag| matches!(*tag, "#Tag" | "#Erstes" | "#Probier")), "{found:?}");
    assert!(set.hashtags.iter().all(|hashtag| hashtag.source == Source::Text && hashtag.used_by_us == 0));
}

#[test]
fn an_english_text_gives_phrases() {
    let text =
        "You do not need a new planner. A simple morning routine beats the perfect productivity system.";
    let set = research(&ask(text, Language::English)).unwrap();
    let found = tags(&set);
    assert!(found.contains(&"#MorningRoutine") && found.contains(&"#ProductivitySystem"), "{found:?}");
    assert!(!found.contains(&"#Need") && !found.contains(&"#Beats"), "{found:?}");
}

#[test]
fn words_that_every_document_has_count_less() {
    let mut asked = ask(MORNING, Language::German);
    asked.corpus = Corpus { passages: 1_000, counts: [("handy".to_owned(), 900)].into_iter().collect() };
    let set = research(&asked).unwrap();
    let of = |tag: &str| set.hashtags.iter().find(|hashtag| hashtag.tag == tag).unwrap().distinctiveness;
    assert!(of("#Handy") < 0.05, "{}", of("#Handy"));
    assert!(of("#Atemübungen") > 0.9);
    assert!(lookups(&asked).contains(&"handy".to_owned()), "what is counted is what is looked up");
}

#[test]
fn hashtags_that_went_with_the_words_come_back() {
    let mut asked = ask("Meine Energie trägt mich ruhig bis zum Abend.", Language::German);
    asked.past = vec![
        post(1, "Energie am Morgen tut gut.", &["#lebenskraft", "#montag"]),
        post(2, "Neue Energie für dich.", &["#lebenskraft", "7cycles"]),
        post(3, "Rezept für Kürbissuppe.", &["#herbstküche"]),
        post(4, "Der Kalender für das neue Jahr.", &["#planung"]),
    ];
    let set = research(&asked).unwrap();
    let tag = set.hashtags.iter().find(|hashtag| hashtag.tag == "#lebenskraft").unwrap();
    assert_eq!((tag.source, tag.used_by_us, tag.last_used_at), (Source::Corpus, 2, Some(day(2))));
    assert!(!tags(&set).contains(&"#herbstküche") && !tags(&set).contains(&"#planung"), "{:?}", tags(&set));
}

#[test]
fn brand_and_period_have_their_share_and_their_source() {
    let mut asked = ask(MORNING, Language::German);
    asked.count = 8;
    asked.brand = owned(&["#7Cycles", "RhythmusDesLebens"]);
    asked.period = owned(&["#ruhe", "gelassenheit", "#Gelassenheit"]);
    let set = research(&asked).unwrap();
    let source = |tag: &str| {
        set.hashtags.iter().find(|hashtag| key(&hashtag.tag) == key(tag)).map(|hashtag| hashtag.source)
    };
    assert_eq!(source("7Cycles"), Some(Source::Brand));
    assert_eq!(source("Ruhe"), Some(Source::Period));
    assert_eq!(set.hashtags.len(), 8);
    assert!(set.hashtags.iter().filter(|hashtag| hashtag.source == Source::Text).count() >= 4);
    assert!(tags(&set).contains(&"#Ruhe"), "the spelling with capitals stays: {:?}", tags(&set));
}

#[test]
fn banned_words_do_not_come_out_in_any_form() {
    let mut asked =
        ask("Unser Diätplan: Diäten scheitern, die Diät nicht. Gesunde Ernährung hilft.", Language::German);
    asked.banned = owned(&["#diät"]);
    asked.must_include = owned(&["Diätküche", "Ernährung"]);
    let set = research(&asked).unwrap();
    assert!(!set.hashtags.iter().any(|hashtag| key(&hashtag.tag).contains("diät")), "{:?}", tags(&set));
    assert!(tags(&set).contains(&"#Ernährung"));
    assert_eq!(set.unused, [UnusedInput { input: "Diätküche".into(), reason: "It is banned.".into() }]);
}

#[test]
fn what_must_be_included_is_and_what_is_no_hashtag_is_named() {
    let mut asked = ask(MORNING, Language::German);
    asked.count = 3;
    asked.must_include = owned(&["Mein Kurs", "#2027", "hallo!", "#Zeit_für_dich"]);
    let set = research(&asked).unwrap();
    let found = tags(&set);
    assert!(
        found.contains(&"#MeinKurs") && found.contains(&"#Zeit_für_dich") && found.contains(&"#Hallo"),
        "{found:?}"
    );
    assert_eq!(set.unused.len(), 1, "{:?}", set.unused);
    asked.must_include = owned(&["a1", "b2", "c3", "d4"]);
    assert_eq!(research(&asked).unwrap_err().field, "mustInclude");
}

#[test]
fn repetition_is_told() {
    let mut asked = ask(MORNING, Language::German);
    asked.brand = owned(&["#7Cycles"]);
    asked.past = (1..=6).map(|on| post(on, "Ein anderer Text.", &["#7cycles"])).collect();
    let set = research(&asked).unwrap();
    let repeated: Vec<_> =
        set.warnings.iter().filter(|warning| warning.kind == WarningKind::Repeated).collect();
    assert_eq!(repeated.len(), 1);
    assert_eq!(repeated[0].tag.as_deref(), Some("#7Cycles"));
    assert!(repeated[0].message.contains("5 of the latest 5"), "{}", repeated[0].message);
    let fresh = set.groups.iter().find(|group| group.kind == GroupKind::Fresh).unwrap();
    assert!(!fresh.tags.contains(&"#7Cycles".to_owned()) && !fresh.tags.is_empty());
    let before: Vec<String> = set.hashtags.iter().map(|hashtag| hashtag.tag.clone()).collect();
    asked.past.push(PastPost { at: day(20), text: "Gleich.".into(), hashtags: before, post: None });
    let set = research(&asked).unwrap();
    let same = set.warnings.iter().find(|warning| warning.kind == WarningKind::SameSet).unwrap();
    assert!(same.message.contains("20 October 2026"), "{}", same.message);
}

#[test]
fn the_newest_posts_are_evidence() {
    let mut asked = ask(MORNING, Language::German);
    asked.brand = owned(&["#7Cycles"]);
    let once = post(9, "Noch ein Text mit #7cycles.", &["#7CYCLES", "#7cycles"]);
    asked.past = (1..=7).map(|on| post(on, "Ein anderer Text.", &["#7cycles"])).chain([once]).collect();
    let set = research(&asked).unwrap();
    let found = set.hashtags.iter().find(|hashtag| hashtag.tag == "#7Cycles").unwrap();
    assert_eq!((found.used_by_us, &found.posts), (8, &[9, 7, 6, 5, 4].map(named).to_vec()));
    assert!((found.usage() - 0.7273).abs() < 1e-9 && (found.shortness() - 1.0).abs() < 1e-9);
    assert!(
        (Hashtag { tag: format!("#{}", "x".repeat(25)), ..found.clone() }.shortness() - 0.75).abs() < 1e-9
    );
    let other = set.hashtags.iter().find(|hashtag| hashtag.used_by_us == 0).unwrap();
    assert!(other.posts.is_empty() && other.usage().abs() < 1e-9);
}

#[test]
fn groups_can_be_pasted() {
    let mut asked = ask(MORNING, Language::German);
    asked.must_include = owned(&["7Cycles"]);
    let set = research(&asked).unwrap();
    let three = set.groups.iter().find(|group| group.kind == GroupKind::Three).unwrap();
    assert!(three.text.starts_with("#7Cycles #") && three.tags.len() == 3, "{}", three.text);
    assert_eq!(hashtags(&three.text).len(), 3);
}

#[test]
fn nothing_is_made_from_nothing() {
    for text in ["", "   ", "12 34", "!!!", "👩‍👩‍👧", "und oder aber"] {
        let mut asked = ask(text, Language::German);
        asked.brand = owned(&["#7Cycles"]);
        let refusal = research(&asked).unwrap_err();
        assert_eq!(refusal.code, crate::agents::text::RefusalCode::InsufficientInput, "{text:?}");
    }
    for count in [0, 31] {
        let asked = Research { count, ..ask(MORNING, Language::German) };
        assert_eq!(research(&asked).unwrap_err().field, "count");
    }
    let set = research(&ask("Meditation", Language::German)).unwrap();
    assert_eq!(tags(&set), ["#Meditation"]);
    assert!(set.warnings.iter().any(|warning| warning.kind == WarningKind::Fewer));
}

#[test]
fn a_provider_s_ideas_are_scored_like_all_others() {
    let mut asked = ask(MORNING, Language::German);
    asked.ideas = owned(&["#Morgenroutine", "#Weltraum"]);
    let set = research(&asked).unwrap();
    let of = |tag: &str| set.hashtags.iter().find(|hashtag| hashtag.tag == tag).unwrap();
    assert_eq!(of("#Weltraum").source, Source::Provider);
    assert!(of("#Weltraum").relevance == 0.0 && of("#Weltraum").score < of("#Morgenroutine").score);
    assert_eq!(of("#Morgenroutine").source, Source::Text, "the text has it as well");
}

#[test]
fn the_order_of_the_history_does_not_matter() {
    let mut asked = ask(MORNING, Language::German);
    asked.past = (1..=9)
        .map(|on| post(on, "Ruhe und Atemübungen", &["#atmen", "#ruhe", &format!("#tag{on}")]))
        .collect();
    let first = research(&asked).unwrap();
    asked.past.reverse();
    assert_eq!(research(&asked).unwrap(), first);
}

/// Everything that holds for every set.
fn hold(asked: &Research, set: &HashtagSet) {
    assert!(set.hashtags.len() <= asked.count && set.groups.len() <= 4);
    let mut keys = BTreeSet::new();
    for hashtag in &set.hashtags {
        let bare = hashtag.tag.strip_prefix('#').unwrap();
        assert_eq!(check(bare), Ok(()), "{bare}");
        assert!(keys.insert(key(bare)), "{bare} twice");
        for value in [hashtag.score, hashtag.relevance, hashtag.distinctiveness] {
            assert!((0.0..=1.0).contains(&value), "{hashtag:?}");
        }
    }
    assert!(set.hashtags.is_sorted_by(|a, b| a.score >= b.score));
    assert_eq!(research(asked).as_ref(), Ok(set));
}

#[test]
fn nasty_texts_do_no_harm() {
    let long = "Größe ".repeat(200_000);
    let one_word = "x".repeat(1 << 20);
    let texts = [
        long.as_str(),
        &one_word,
        "שלום עולם מה שלומך היום",
        "السلام عليكم ورحمة الله",
        "a\0b\0 Ruhe\0",
        "e\u{301}\u{301}\u{301} Ruhe\u{200d}\u{200d}",
        "#️⃣ #👍 # # ##",
        "朝のルーティンは大切です",
        "\u{202e}Ruhe und Kraft",
        "-----_____------",
        "'s 's ’s ''",
    ];
    for text in texts {
        for language in [Language::German, Language::English] {
            let asked = Research { count: 30, ..ask(text, language) };
            if let Ok(set) = research(&asked) {
                hold(&asked, &set);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_set_holds(text in "\\PC{0,300}", tags in proptest::collection::vec("\\PC{0,40}", 0..12), count in 1..31_usize, german: bool) {
        let language = if german { Language::German } else { Language::English };
        let mut asked = Research { count, ..ask(&format!("Ruhe calm {text}"), language) };
        let third = tags.len() / 3;
        asked.brand = tags[..third].to_vec();
        asked.past = vec![post(1, &text, &[]), PastPost { hashtags: tags[third..].to_vec(), ..post(2, "Ruhe calm", &[]) }];
        asked.banned = tags[2 * third..].to_vec();
        if let Ok(set) = research(&asked) {
            hold(&asked, &set);
        }
    }
}
