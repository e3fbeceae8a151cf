//! The sentences that a plan says, in the language of the content.

use chrono::{Datelike as _, NaiveDate};

use super::hours::{HOUR_NEEDED, Measured, POSTS_NEEDED};
use crate::accounts::channel::Channel;
use crate::agents::text::Language;
use crate::agents::text::numbers::floor;

/// A number with at most one decimal, as the language writes it.
fn decimal(value: f64, language: Language) -> String {
    let tenths = floor(value * 10.0 + 0.5);
    let (whole, tenth) = (tenths / 10, tenths % 10);
    match (tenth, language) {
        (0, _) => whole.to_string(),
        (_, Language::German) => format!("{whole},{tenth}"),
        (_, Language::English) => format!("{whole}.{tenth}"),
    }
}

fn percent(share: f64) -> usize {
    floor(share * 100.0 + 0.5)
}

/// A day in words.
pub(super) fn day(date: NaiveDate, language: Language) -> String {
    const GERMAN: [&str; 12] = [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ];
    const ENGLISH: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let month = usize::try_from(date.month0()).unwrap_or(0);
    match language {
        Language::German => format!("{}. {} {}", date.day(), GERMAN.get(month).unwrap_or(&""), date.year()),
        Language::English => format!("{} {} {}", date.day(), ENGLISH.get(month).unwrap_or(&""), date.year()),
    }
}

/// Why a pillar has its turn.
pub(super) fn pillar(name: &str, share: f64, used: usize, of: usize, language: Language) -> String {
    let wanted = percent(share);
    match (language, of) {
        (Language::German, 0) => format!("„{name}“ soll {wanted} % der Beiträge ausmachen und beginnt."),
        (Language::German, _) => {
            format!("„{name}“ soll {wanted} % der Beiträge ausmachen und hat bisher {used} von {of}.")
        }
        (Language::English, 0) => format!("“{name}” is to make up {wanted}% of the posts and goes first."),
        (Language::English, _) => {
            format!("“{name}” is to make up {wanted}% of the posts and has {used} of {of} so far.")
        }
    }
}

/// Why a topic that belongs to no pillar is there.
pub(super) fn without_pillar(language: Language) -> String {
    match language {
        Language::German => "Das Thema gehört zu keiner Säule und füllt einen freien Platz.".to_owned(),
        Language::English => "The topic belongs to no pillar and fills a free place.".to_owned(),
    }
}

/// Why a heading is a topic.
pub(super) fn heading(posts: usize, has_history: bool, language: Language) -> String {
    match (language, posts, has_history) {
        (Language::German, _, false) => "Das Thema stammt aus den Dokumenten.".to_owned(),
        (Language::German, 0, true) => "Noch kein früherer Beitrag behandelt dieses Thema.".to_owned(),
        (Language::German, 1, true) => "Erst ein früherer Beitrag behandelt dieses Thema.".to_owned(),
        (Language::German, _, true) => format!("{posts} frühere Beiträge behandeln dieses Thema schon."),
        (Language::English, _, false) => "The topic is from the documents.".to_owned(),
        (Language::English, 0, true) => "No earlier post is about this topic.".to_owned(),
        (Language::English, 1, true) => "Only one earlier post is about this topic.".to_owned(),
        (Language::English, _, true) => format!("{posts} earlier posts are about this topic already."),
    }
}

/// Why a question is a topic.
pub(super) fn question(asked: usize, language: Language) -> String {
    match (language, asked) {
        (Language::German, 1) => {
            "Die Frage wurde einmal gestellt, und kein Dokument beantwortet sie: erst klären, dann posten."
                .to_owned()
        }
        (Language::German, _) => format!(
            "Die Frage wurde {asked}-mal gestellt, und kein Dokument beantwortet sie: erst klären, dann posten."
        ),
        (Language::English, 1) => {
            "The question was asked once, and no document answers it: find out first, then post.".to_owned()
        }
        (Language::English, _) => format!(
            "The question was asked {asked} times, and no document answers it: find out first, then post."
        ),
    }
}

/// Why an hour was chosen.
pub(super) fn measured(hour: &Measured, language: Language) -> String {
    let (mean, all) = (decimal(hour.mean, language), decimal(hour.overall, language));
    match language {
        Language::German => format!(
            "Um {} Uhr hatten {} gemessene Beiträge im Schnitt {mean} Interaktionen, alle zusammen {all}.",
            hour.hour, hour.posts
        ),
        Language::English => format!(
            "At {}:00, {} measured posts had {mean} interactions on average, all posts {all}.",
            hour.hour, hour.posts
        ),
    }
}

/// Why an hour is one of an even spread.
pub(super) fn even(measured: usize, language: Language) -> String {
    match (language, measured) {
        (Language::German, 0) => {
            "Für die Uhrzeit gibt es keine Messwerte; sie ist gleichmäßig verteilt.".to_owned()
        }
        (Language::German, 1) => format!(
            "Für die Uhrzeit ist ein gemessener Beitrag zu wenig (nötig: {POSTS_NEEDED}, davon {HOUR_NEEDED} zur selben Stunde); sie ist gleichmäßig verteilt."
        ),
        (Language::German, _) => format!(
            "Für die Uhrzeit sind {measured} gemessene Beiträge zu wenig (nötig: {POSTS_NEEDED}, davon {HOUR_NEEDED} zur selben Stunde); sie ist gleichmäßig verteilt."
        ),
        (Language::English, 0) => "Nothing is measured about the hour; it is spread evenly.".to_owned(),
        (Language::English, 1) => format!(
            "One measured post is too few for the hour (needed: {POSTS_NEEDED}, {HOUR_NEEDED} of them at one hour); it is spread evenly."
        ),
        (Language::English, _) => format!(
            "{measured} measured posts are too few for the hour (needed: {POSTS_NEEDED}, {HOUR_NEEDED} of them at one hour); it is spread evenly."
        ),
    }
}

/// Why an event is there.
pub(super) fn event(language: Language) -> String {
    match language {
        Language::German => "Fester Termin.".to_owned(),
        Language::English => "A fixed event.".to_owned(),
    }
}

/// A week with fewer posts than wanted.
pub(super) fn short(
    channel: Channel,
    monday: NaiveDate,
    got: usize,
    wanted: usize,
    language: Language,
) -> String {
    let (name, day) = (channel.name(), day(monday, language));
    match language {
        Language::German => format!(
            "{name}: In der Woche ab dem {day} passen {got} von {wanted} Beiträgen zwischen Sperrtage, Abstände und Termine."
        ),
        Language::English => format!(
            "{name}: in the week of {day}, {got} of {wanted} posts fit between blackout dates, spacing and events."
        ),
    }
}

/// Slots that no topic was left for.
pub(super) fn no_topic(channel: Channel, slots: usize, language: Language) -> String {
    let name = channel.name();
    match (language, slots) {
        (Language::German, 1) => format!(
            "{name}: Für einen Platz ist kein Thema mehr da, ohne eines zu früh zu wiederholen. Weitere Dokumente helfen."
        ),
        (Language::German, _) => format!(
            "{name}: Für {slots} Plätze ist kein Thema mehr da, ohne eines zu früh zu wiederholen. Weitere Dokumente helfen."
        ),
        (Language::English, 1) => format!(
            "{name}: there is no topic left for one place without repeating one too soon. More documents help."
        ),
        (Language::English, _) => format!(
            "{name}: there is no topic left for {slots} places without repeating one too soon. More documents help."
        ),
    }
}

/// Topics that come again.
pub(super) fn repetition(share: f64, language: Language) -> String {
    let share = percent(share);
    match language {
        Language::German => format!(
            "{share} % der Beiträge greifen ein Thema mehrmals auf demselben Kanal auf. Weitere Dokumente helfen."
        ),
        Language::English => format!(
            "{share}% of the posts take up a topic more than once on the same channel. More documents help."
        ),
    }
}

/// A question without an answer.
pub(super) fn unanswered(text: &str, asked: usize, language: Language) -> String {
    match (language, asked) {
        (Language::German, 1) => format!("Kein Dokument beantwortet: {text} (einmal gefragt)"),
        (Language::German, _) => format!("Kein Dokument beantwortet: {text} ({asked}-mal gefragt)"),
        (Language::English, 1) => format!("No document answers: {text} (asked once)"),
        (Language::English, _) => format!("No document answers: {text} (asked {asked} times)"),
    }
}

/// A pillar with less to post about than its share asks for.
pub(super) fn thin(name: &str, share: f64, planned: f64, language: Language) -> String {
    let (wanted, got) = (percent(share), percent(planned));
    match language {
        Language::German => {
            format!("„{name}“ soll {wanted} % der Beiträge ausmachen; die Themen reichen für {got} %.")
        }
        Language::English => {
            format!("“{name}” is to make up {wanted}% of the posts; there are topics for {got}%.")
        }
    }
}

/// A heading that no post is about, now or before.
pub(super) fn uncovered(heading: &str, language: Language) -> String {
    match language {
        Language::German => format!("Weder ein früherer noch ein geplanter Beitrag behandelt „{heading}“."),
        Language::English => format!("Neither an earlier nor a planned post is about “{heading}”."),
    }
}

/// A channel whose hours are not known.
pub(super) fn no_hours(channel: Channel, measured: usize, language: Language) -> String {
    format!("{}: {}", channel.name(), even(measured, language))
}
