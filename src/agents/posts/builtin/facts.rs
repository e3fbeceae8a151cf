//! Whether what a text states occurs in its sources: numbers, dates, names, links and mentions.
//!
//! The check is one of words, not of meaning: it finds what was added, not what was twisted. It holds for the built-in
//! engine's posts by construction, and is what a provider's output has to pass.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::validity::{links, mentions};
use super::write::without_marks;
use crate::agents::text::{Language, german};
use crate::retrieval::reading;

/// What kind of statement is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FactKind {
    /// A number, in figures or as a word from two on, or one with another unit than in the sources.
    Number,
    /// A day of the week or a month.
    Date,
    /// A name.
    Name,
    /// A link or an e-mail address.
    Link,
    /// A mentioned account.
    Mention,
}

/// A statement of a text that no source has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// What it is.
    pub kind: FactKind,
    /// As the text has it.
    pub text: String,
    /// Where it begins in the text, in characters (Unicode scalar values).
    pub start: usize,
    /// Where it ends, in characters; the first one after it.
    pub end: usize,
    /// Whether it surely is one. A German noun that no list has may be a name or not; it is given as unsure.
    pub sure: bool,
}

/// What sources state, to check many texts against.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    language: Option<Language>,
    /// Numbers with the units that follow them.
    numbers: BTreeMap<String, BTreeSet<Option<Measure>>>,
    /// Days and months by their place in the week (1 to 7) and the year (11 to 22).
    dates: BTreeSet<u8>,
    words: BTreeSet<String>,
    stems: BTreeSet<String>,
    links: BTreeSet<String>,
    mentions: BTreeSet<String>,
}

/// What a number counts, as far as another would be another statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Measure {
    Percent,
    Euro,
    Dollar,
    Pound,
    Days,
    Weeks,
    Months,
    Years,
    Hours,
    Minutes,
}

/// What a text states that its sources do not.
///
/// Hashtags are not looked at: they name topics. What is the caller's own, such as the brief or a call to action, belongs to
/// the sources.
pub fn check<S: AsRef<str>>(text: &str, sources: &[S], language: Language) -> Vec<Unsupported> {
    Facts::of(sources, language).check(text)
}

impl Facts {
    /// What sources state.
    pub fn of<S: AsRef<str>>(sources: &[S], language: Language) -> Self {
        let mut facts = Self { language: Some(language), ..Self::default() };
        for source in sources {
            let source = source.as_ref();
            facts.read(source, language);
            // As it is shown, a word may be what a mark divides in the source.
            if source.contains(['`', '*', '_', '[']) {
                facts.read(&without_marks(source), language);
            }
        }
        facts
    }

    fn read(&mut self, source: &str, language: Language) {
        self.links.extend(addresses(source).into_iter().map(|(_, address)| bare_link(address)));
        self.mentions.extend(mentions(source).into_iter().map(str::to_lowercase));
        for token in tokens(source) {
            let lower = reading::normal(token.text);
            for number in readings(&token).into_iter().flatten() {
                self.numbers.entry(number).or_default().insert(token.measure);
            }
            if let Some(date) = date_word(&lower) {
                self.dates.insert(date);
            }
            if let Some((_, month, _)) = calendar_date(token.text) {
                self.dates.insert(month + 10);
            }
            self.stems.insert(reading::stem(&lower, language));
            self.words.insert(lower);
        }
    }

    /// What a text states that these facts do not support, in the order of the text.
    pub fn check(&self, text: &str) -> Vec<Unsupported> {
        let mut found: Vec<(usize, &str, FactKind, bool)> = Vec::new();
        let mut covered: Vec<std::ops::Range<usize>> = Vec::new();
        for (start, address) in addresses(text) {
            covered.push(start..start + address.len());
            if !self.links.contains(&bare_link(address)) {
                found.push((start, address, FactKind::Link, true));
            }
        }
        let base = text.as_ptr() as usize;
        for name in mentions(text) {
            let start = name.as_ptr() as usize - base;
            covered.push(start..start + name.len());
            if !self.mentions.contains(&name.to_lowercase()) {
                found.push((start, name, FactKind::Mention, true));
            }
        }
        covered.sort_by_key(|range| range.start);
        let mut ahead = covered.into_iter().peekable();
        let all = tokens(text);
        for (index, token) in all.iter().enumerate() {
            while ahead.peek().is_some_and(|range| range.end <= token.start) {
                ahead.next();
            }
            if ahead.peek().is_some_and(|range| range.contains(&token.start)) || token.tagged {
                continue;
            }
            if let Some((kind, sure)) = self.judge(&all, index) {
                found.push((token.start, token.text, kind, sure));
            }
        }
        found.sort_by_key(|(start, ..)| *start);
        // One walk over the text turns bytes into characters.
        let (mut at, mut characters) = (0, 0);
        let place = |start: usize, at: &mut usize, characters: &mut usize| {
            *characters += text.get(*at..start).map_or(0, |between| between.chars().count());
            *at = start;
            *characters
        };
        let one = |(start, stretch, kind, sure): (usize, &str, FactKind, bool)| {
            let start = place(start, &mut at, &mut characters);
            let end = start + stretch.chars().count();
            Unsupported { kind, text: stretch.to_owned(), start, end, sure }
        };
        found.into_iter().map(one).collect()
    }

    /// What is wrong with a token: the kind of statement, and whether that is sure.
    fn judge(&self, all: &[Token<'_>], index: usize) -> Option<(FactKind, bool)> {
        let token = all.get(index)?;
        let lower = reading::normal(token.text);
        if let Some(number) = self.judge_number(token, &lower) {
            return number.then_some((FactKind::Number, true));
        }
        let capital = token.text.starts_with(char::is_uppercase);
        if let Some(date) = date_word(&lower).filter(|_| capital || lower.ends_with('s')) {
            // `May` and `March` open questions and orders as well.
            let verb =
                token.opens && matches!(lower.as_str(), "may" | "march") && !self.words.contains(&lower);
            return (!self.dates.contains(&date) && !verb).then_some((FactKind::Date, true));
        }
        let known = noughts(&lower) > 0
            || self.words.contains(&lower)
            || self.words.contains(lower.trim_end_matches("'s"));
        let inner = token.text.chars().skip(1).any(char::is_uppercase) && !token.headline;
        if known || !(capital || inner) {
            return None;
        }
        let stem = reading::stem(&lower, self.language.unwrap_or(Language::English));
        if self.stems.contains(&stem) {
            return None;
        }
        match self.language.unwrap_or(Language::English) {
            Language::English => {
                let skip =
                    token.opens || matches!(lower.as_str(), "i" | "i'm" | "i'll" | "i've" | "i'd" | "ok");
                (inner || !skip).then_some((FactKind::Name, !token.headline || inner))
            }
            Language::German => self.judge_german(all, index, inner),
        }
    }

    fn judge_german(&self, all: &[Token<'_>], index: usize, inner: bool) -> Option<(FactKind, bool)> {
        let token = all.get(index)?;
        if inner {
            return Some((FactKind::Name, true));
        }
        if token.opens || token.text.chars().nth(1).is_none() {
            return None;
        }
        let unknown = |at: Option<usize>| {
            let other = at.and_then(|at| all.get(at));
            other.is_some_and(|other| {
                other.text.starts_with(char::is_uppercase)
                    && !self.words.contains(&reading::normal(other.text))
                    && !is_common_noun(other.text)
            })
        };
        if is_common_noun(token.text) || is_address(token.text) {
            return None;
        }
        let beside = |at: Option<usize>| {
            unknown(at) && at.and_then(|at| all.get(at)).is_some_and(|other| !other.opens)
        };
        let next = all.get(index + 1).filter(|next| !next.opens && next.joined).map(|_| index + 1);
        let before = index.checked_sub(1).filter(|_| token.joined);
        let titled = before.and_then(|at| all.get(at)).is_some_and(|before| {
            matches!(before.text, "Herr" | "Herrn" | "Frau" | "Dr" | "Firma" | "Prof" | "Familie")
        });
        Some((FactKind::Name, titled || beside(before) || unknown(next)))
    }

    /// Whether a number is unsupported; none when the token is no number.
    fn judge_number(&self, token: &Token<'_>, lower: &str) -> Option<bool> {
        let readings = readings(token);
        if readings.is_empty() {
            return None;
        }
        // `1.` and `2)` at the beginning of a line count the lines.
        let ordinal = token.line_start
            && token.followed_by_mark
            && lower.parse::<u8>().is_ok_and(|number| number <= 20);
        if ordinal {
            return Some(false);
        }
        let has = |number: &String| {
            self.numbers.get(number).is_some_and(|measures| {
                token.measure.is_none() || measures.contains(&None) || measures.contains(&token.measure)
            })
        };
        if let Some((day, month, year)) = calendar_date(token.text) {
            let known = |number: u16| self.numbers.contains_key(&number.to_string());
            let by_name = known(day.into()) && self.dates.contains(&(month + 10)) && year.is_none_or(known);
            if by_name {
                return Some(false);
            }
        }
        Some(!readings.iter().any(|reading| reading.iter().all(has)))
    }
}

/// Whether a capitalised German word is a noun of the language rather than a name.
fn is_common_noun(word: &str) -> bool {
    const PLACES: [&str; 12] = [
        "burg", "berg", "dorf", "stadt", "hausen", "heim", "furt", "bach", "münde", "stedt", "brück", "felde",
    ];
    let lower = word.to_lowercase();
    let place = PLACES.iter().any(|end| lower.ends_with(end)) && !german::is_listed(word);
    german::noun(word).is_some() && !place
}

/// Whether a word addresses the reader with a capital.
fn is_address(word: &str) -> bool {
    matches!(
        word,
        "Sie"
            | "Ihr"
            | "Ihre"
            | "Ihren"
            | "Ihrem"
            | "Ihrer"
            | "Ihres"
            | "Ihnen"
            | "Du"
            | "Dir"
            | "Dich"
            | "Dein"
            | "Deine"
            | "Deinen"
            | "Deinem"
            | "Deiner"
            | "Deines"
            | "Euch"
            | "Euer"
            | "Eure"
            | "Euren"
            | "Eurem"
            | "Eurer"
    )
}

/// A word of a text and what stands around it.
#[expect(clippy::struct_excessive_bools, reason = "they are independent observations of one word")]
#[derive(Debug, Clone)]
struct Token<'a> {
    text: &'a str,
    start: usize,
    /// Whether a sentence, a line or a quotation begins with it.
    opens: bool,
    /// Whether only a space stands before it.
    joined: bool,
    line_start: bool,
    followed_by_mark: bool,
    tagged: bool,
    /// Whether most words of its line have capitals.
    headline: bool,
    measure: Option<Measure>,
    /// How many noughts the word behind it adds (`1,2 Millionen`).
    noughts: usize,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all: Vec<Token<'_>> = Vec::with_capacity(text.len() / 6);
    let mut last_end = 0;
    for (start, word) in reading::words(text) {
        let gap = text.get(last_end..start).unwrap_or_default();
        let end = start + word.len();
        let after = text.get(end..).unwrap_or_default();
        let line_start = all.is_empty() || gap.contains('\n');
        if let Some(before) = all.last_mut() {
            before.measure = before.measure.or_else(|| measure(gap, word));
            before.noughts = if gap == " " || gap == "\u{a0}" { noughts(word) } else { 0 };
        }
        let currency = [('€', Measure::Euro), ('$', Measure::Dollar), ('£', Measure::Pound)];
        let leading = currency
            .into_iter()
            .find(|(sign, _)| gap.trim_end().ends_with(*sign))
            .map(|(_, measure)| measure);
        let trailing = after.trim_start_matches([' ', '\u{a0}']).chars().next();
        let sign = trailing.and_then(|sign| match sign {
            '%' => Some(Measure::Percent),
            '€' => Some(Measure::Euro),
            '£' => Some(Measure::Pound),
            _ => None,
        });
        all.push(Token {
            text: word,
            start,
            opens: line_start
                || gap.contains(['.', '!', '?', ':', '…', '„', '"', '“', '«', '»', '•', '–', '—', '(', '/']),
            joined: gap == " ",
            line_start,
            followed_by_mark: after.starts_with(['.', ')']),
            tagged: gap.ends_with(['#', '＃']),
            headline: false,
            measure: leading.or(sign),
            noughts: 0,
        });
        last_end = end;
    }
    mark_headlines(&mut all);
    all
}

/// In a line of a few words of which most have capitals, capitals mean nothing.
fn mark_headlines(all: &mut [Token<'_>]) {
    let mut from = 0;
    while from < all.len() {
        let rest = all.get(from + 1..).unwrap_or_default();
        let to = rest.iter().position(|token| token.line_start).map_or(all.len(), |next| from + 1 + next);
        let line = all.get_mut(from..to).unwrap_or_default();
        let long = |token: &&Token<'_>| token.text.chars().count() >= 4;
        let (words, capitals) = line.iter().filter(long).fold((0, 0), |(words, capitals), token| {
            (words + 1, capitals + usize::from(token.text.starts_with(char::is_uppercase)))
        });
        // A line that a full stop ends is a sentence.
        let sentence = line.last().is_some_and(|last| last.followed_by_mark);
        if words >= 3 && capitals * 3 >= words * 2 && line.len() <= 14 && !sentence {
            for token in line {
                token.headline = true;
            }
        }
        from = to;
    }
}

fn measure(gap: &str, word: &str) -> Option<Measure> {
    if !matches!(gap, " " | "\u{a0}" | "-") {
        return None;
    }
    let lower = word.to_lowercase();
    let measure = match lower.as_str() {
        "prozent" | "percent" => Measure::Percent,
        "euro" | "euros" | "eur" => Measure::Euro,
        "dollar" | "dollars" | "usd" => Measure::Dollar,
        "pound" | "pounds" | "gbp" => Measure::Pound,
        "tag" | "tage" | "tagen" | "day" | "days" | "werktage" | "werktagen" => Measure::Days,
        "woche" | "wochen" | "week" | "weeks" => Measure::Weeks,
        "monat" | "monate" | "monaten" | "month" | "months" => Measure::Months,
        "jahr" | "jahre" | "jahren" | "year" | "years" => Measure::Years,
        "stunde" | "stunden" | "hour" | "hours" => Measure::Hours,
        "minute" | "minuten" | "minutes" => Measure::Minutes,
        _ => return None,
    };
    Some(measure)
}

fn noughts(word: &str) -> usize {
    match word.to_lowercase().as_str() {
        "tausend" | "tsd" | "thousand" => 3,
        "mio" | "million" | "millionen" | "millions" => 6,
        "mrd" | "milliarde" | "milliarden" | "billion" | "billions" => 9,
        _ => 0,
    }
}

/// What a token can mean as a number: each reading is a list of numbers that must all be known; none for words.
fn readings(token: &Token<'_>) -> Vec<Vec<String>> {
    let text = token.text;
    if let Some(number) = number_word(&reading::normal(text)) {
        return vec![vec![scaled(number.to_string(), token.noughts)]];
    }
    let digits =
        text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',')).len();
    if digits == 0 {
        return Vec::new();
    }
    let (figures, unit) = text.split_at(digits);
    // `5km`, `2nd`; a longer word is a name (`7Cycles`).
    if unit.chars().count() > 3 {
        return Vec::new();
    }
    let figures = figures.trim_end_matches(['.', ',']);
    let mut readings = vec![vec![scaled(plain(&reading::number(figures)), token.noughts)]];
    // A time (`18.30`) is its hours and minutes as well.
    if let Some((hours, minutes)) = figures.split_once('.')
        && token.noughts == 0
        && (1..=2).contains(&hours.len())
        && minutes.len() == 2
    {
        readings.push(vec![plain(hours), plain(minutes)]);
    }
    readings
}

/// A number without leading noughts.
fn plain(number: &str) -> String {
    let bare = number.trim_start_matches('0');
    if bare.is_empty() || bare.starts_with(['.', '-']) { format!("0{bare}") } else { bare.to_owned() }
}

fn scaled(number: String, noughts: usize) -> String {
    if noughts == 0 || number.contains('-') {
        return number;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if fraction.len() > noughts {
        return number;
    }
    plain(&format!("{whole}{fraction}{}", "0".repeat(noughts - fraction.len())))
}

/// Day, month and year of `14.6.2027`, `14.06.` or `2027-06-14`.
fn calendar_date(text: &str) -> Option<(u8, u8, Option<u16>)> {
    let parts: Vec<&str> = text.trim_end_matches('.').split('.').collect();
    let (day, month, year) = match parts.as_slice() {
        [day, month] => (*day, *month, None),
        [day, month, year] => (*day, *month, Some(*year)),
        _ => return None,
    };
    let day: u8 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month: u8 = month.parse().ok().filter(|month| (1..=12).contains(month))?;
    let year = year.map(str::parse::<u16>).transpose().ok()?;
    Some((day, month, year.map(|year| if year < 100 { year + 2_000 } else { year })))
}

/// The value of a number written as a word, from two on: `ein` and `one` are articles and pronouns as well.
fn number_word(lower: &str) -> Option<u32> {
    const WORDS: [(&str, &str, u32); 29] = [
        ("zwei", "two", 2),
        ("drei", "three", 3),
        ("vier", "four", 4),
        ("fünf", "five", 5),
        ("sechs", "six", 6),
        ("sieben", "seven", 7),
        ("acht", "eight", 8),
        ("neun", "nine", 9),
        ("zehn", "ten", 10),
        ("elf", "eleven", 11),
        ("zwölf", "twelve", 12),
        ("dreizehn", "thirteen", 13),
        ("vierzehn", "fourteen", 14),
        ("fünfzehn", "fifteen", 15),
        ("sechzehn", "sixteen", 16),
        ("siebzehn", "seventeen", 17),
        ("achtzehn", "eighteen", 18),
        ("neunzehn", "nineteen", 19),
        ("zwanzig", "twenty", 20),
        ("dreißig", "thirty", 30),
        ("vierzig", "forty", 40),
        ("fünfzig", "fifty", 50),
        ("sechzig", "sixty", 60),
        ("siebzig", "seventy", 70),
        ("achtzig", "eighty", 80),
        ("neunzig", "ninety", 90),
        ("hundert", "hundred", 100),
        ("tausend", "thousand", 1_000),
        ("zwo", "two", 2),
    ];
    WORDS.iter().find(|(german, english, _)| *german == lower || *english == lower).map(|(.., value)| *value)
}

/// The place of a day in the week, 1 to 7, or of a month in the year, 11 to 22.
fn date_word(lower: &str) -> Option<u8> {
    const WORDS: [(&str, u8); 40] = [
        ("montag", 1),
        ("dienstag", 2),
        ("mittwoch", 3),
        ("donnerstag", 4),
        ("freitag", 5),
        ("samstag", 6),
        ("sonnabend", 6),
        ("sonntag", 7),
        ("monday", 1),
        ("tuesday", 2),
        ("wednesday", 3),
        ("thursday", 4),
        ("friday", 5),
        ("saturday", 6),
        ("sunday", 7),
        ("januar", 11),
        ("februar", 12),
        ("märz", 13),
        ("april", 14),
        ("mai", 15),
        ("juni", 16),
        ("juli", 17),
        ("august", 18),
        ("september", 19),
        ("oktober", 20),
        ("november", 21),
        ("dezember", 22),
        ("january", 11),
        ("february", 12),
        ("march", 13),
        ("may", 15),
        ("june", 16),
        ("july", 17),
        ("october", 20),
        ("december", 22),
        ("jänner", 11),
        ("feber", 12),
        ("sept", 19),
        ("aug", 18),
        ("dez", 22),
    ];
    let bare = lower.strip_suffix('s').unwrap_or(lower);
    WORDS.iter().find(|(word, _)| *word == lower || *word == bare).map(|(_, place)| *place)
}

/// Links and e-mail addresses with where they begin, in bytes.
fn addresses(text: &str) -> Vec<(usize, &str)> {
    let base = text.as_ptr() as usize;
    let mut all: Vec<(usize, &str)> =
        links(text).into_iter().map(|link| (link.as_ptr() as usize - base, link)).collect();
    let mut finder = linkify::LinkFinder::new();
    finder.kinds(&[linkify::LinkKind::Email]);
    all.extend(finder.links(text).map(|link| (link.start(), link.as_str())));
    all
}

/// What two spellings of one address have in common.
fn bare_link(link: &str) -> String {
    let lower = link.to_lowercase();
    let rest = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    rest.trim_start_matches("www.").trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: &str = "Der Stadtlauf findet am 14. Juni 2027 um 18.30 Uhr in Kiel statt. Die Startgebühr beträgt 12 Euro, \
        höchstens 20 Prozent der 1.200 Plätze gehen an Vereine. Fragen an Herrn Petersen, lauf@beispiel.de oder \
        https://beispiel.de/lauf. Es gibt drei Strecken; 2,5 Millionen Schritte sind das Ziel. @tsv_nordmark";

    fn wrong(text: &str, source: &str, language: Language) -> Vec<(FactKind, String)> {
        check(text, &[source], language).into_iter().map(|one| (one.kind, one.text)).collect()
    }

    #[test]
    fn a_word_that_a_mark_divides_is_known_as_it_is_shown() {
        let sources = ["Das **Haus**boot heißt Bea`trix`."];
        assert!(check("Das Hausboot heißt Beatrix.", &sources, Language::German).is_empty());
        assert!(!check("Das Hausboot heißt Berta.", &sources, Language::German).is_empty());
    }

    #[test]
    fn what_the_sources_say_is_supported_in_any_spelling() {
        for text in [
            "Am 14.06.2027 um 18:30 Uhr laufen wir in Kiel.",
            "Start ist am 14. Juni, für 12 € – und 20 % gehen an Vereine.",
            "1200 Plätze, 3 Strecken, 2.500.000 Schritte!",
            "Frag Herrn Petersen: www.beispiel.de/lauf/ oder lauf@beispiel.de",
            "Danke, @TSV_Nordmark! #Stadtlauf2028 #Hamburg",
            "1. Anmelden\n2. Laufen\n3. Freuen",
            "Sichern Sie sich Ihren Platz: Atempause und Freude inklusive.",
        ] {
            assert_eq!(wrong(text, GERMAN, Language::German), [], "{text}");
        }
    }

    #[test]
    fn what_was_added_is_found() {
        use FactKind::{Date, Link, Mention, Name, Number};
        for (text, kind, expected) in [
            ("Die Gebühr beträgt 15 Euro.", Number, "15"),
            ("Die Gebühr beträgt 12 Prozent.", Number, "12"),
            ("Es gibt vier Strecken.", Number, "vier"),
            ("Am 14. Juli geht es los.", Date, "Juli"),
            ("Am 15.06.2027 geht es los.", Number, "15.06.2027"),
            ("Immer dienstags geht es los.", Date, "dienstags"),
            ("Wir laufen in Lübeck.", Name, "Lübeck"),
            ("Wir laufen in Hamburg.", Name, "Hamburg"),
            ("Mit Frau Schmidtke am Start.", Name, "Schmidtke"),
            ("Mehr auf https://beispiel.de/andere.", Link, "https://beispiel.de/andere"),
            ("Schreib an info@beispiel.de", Link, "info@beispiel.de"),
            ("Danke an @anna", Mention, "anna"),
            ("Das sind 2,5 Milliarden Schritte.", Number, "2,5"),
            ("Mit der LaufApp geht es leichter.", Name, "LaufApp"),
        ] {
            assert_eq!(wrong(text, GERMAN, Language::German), [(kind, expected.to_owned())], "{text}");
        }
    }

    #[test]
    fn english_names_are_found_inside_sentences() {
        let source = "Workshops run every Saturday at 10 am in the Leith roastery and cost £35. Ask Anna.";
        for text in [
            "Every Saturday in Leith: £35.",
            "Ask Anna about it. You may bring friends.",
            "I think it's great.",
            "May we help?",
        ] {
            assert_eq!(wrong(text, source, Language::English), [], "{text}");
        }
        for (text, expected) in [
            ("Join us in Glasgow on Saturday.", "Glasgow"),
            ("It costs $35.", "35"),
            ("It costs £40.", "40"),
            ("Join us every Sunday.", "Sunday"),
            ("Better than Starbucks coffee.", "Starbucks"),
            ("There are two workshops.", "two"),
        ] {
            let found = check(text, &[source], Language::English);
            assert_eq!(found.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), [expected], "{text}");
            assert!(found[0].sure);
            let stretch: String =
                text.chars().skip(found[0].start).take(found[0].end - found[0].start).collect();
            assert_eq!(stretch, expected);
        }
        // In a headline, capitals are style.
        assert!(
            check("Five Reasons To Love Coffee", &[source], Language::English)
                .iter()
                .all(|one| one.kind != FactKind::Name || !one.sure)
        );
    }

    #[test]
    fn nasty_texts_do_no_harm() {
        for text in ["", "\0", "1.2.3.4.5", "....", "00", "٣ أيام", "👩‍👩‍👧 2️⃣", "e\u{301}1"]
        {
            for language in [Language::German, Language::English] {
                assert_eq!(check(text, &[text], language), [], "{text}");
            }
        }
        let long = "99,9 % Größe @x https://a.de ".repeat(36_000);
        assert!(long.len() > 1 << 20);
        assert_eq!(check(&long, &[&long], Language::German), []);
    }
}
