//! What kind of answer a question asks for, and the signs of such an answer in a text: dates, amounts, names, reasons.

use std::collections::HashMap;
use std::ops::{BitOr, BitOrAssign};
use std::sync::LazyLock;

use super::Language;
use super::words::{Kind, Token, is_stop_word, normal};

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asks {
    /// A date, a time of day, a point in time.
    When,
    /// How long something takes or lasts.
    Duration,
    /// An amount of money.
    Money,
    /// Any other number: how many, how large, how old.
    Number,
    /// How often.
    Frequency,
    /// How warm.
    Temperature,
    /// A telephone number, an e-mail address or another way to reach somebody.
    Contact,
    /// Somebody: a name or a role.
    Person,
    /// A place.
    Place,
    /// A reason.
    Reason,
    /// How something is done.
    Manner,
    /// What something is or means.
    Definition,
    /// Whether something is so.
    YesNo,
    /// Something else: which, what.
    Other,
}

impl Asks {
    /// Whether the answer is a figure or a date, which is plain to see.
    pub(super) const fn is_measured(self) -> bool {
        matches!(
            self,
            Self::When | Self::Duration | Self::Money | Self::Number | Self::Frequency | Self::Temperature
        )
    }

    /// Whether an answer of the kind shows by signs at all.
    pub(super) const fn shows(self) -> bool {
        !matches!(self, Self::Manner | Self::Definition | Self::YesNo | Self::Other)
    }

    /// How well the signs answer: 1 for an answer of the kind or when any text may be one, 0 for none of it where the
    /// kind is plain to see, and between for kinds that can be there without a sign.
    pub(super) fn met_by(self, signs: Signs) -> f64 {
        let number = signs.has(Signs::NUMBER);
        let met = match self {
            Self::When => {
                signs.has(
                    Signs::DATE | Signs::MONTH | Signs::WEEKDAY | Signs::CLOCK | Signs::YEAR | Signs::MOMENT,
                ) || (number && signs.has(Signs::SPAN))
            }
            Self::Duration => {
                signs.has(Signs::SPAN)
                    || signs.has(Signs::CLOCK | Signs::DATE | Signs::FOREVER)
                    || (number && signs.has(Signs::MONTH))
            }
            Self::Money => {
                if number && !signs.has(Signs::MONEY | Signs::FREE) {
                    return 0.3;
                }
                number || signs.has(Signs::FREE)
            }
            Self::Temperature => number && signs.has(Signs::DEGREE),
            Self::Number => number || signs.has(Signs::NONE),
            Self::Frequency => signs.has(Signs::OFTEN) || (number && signs.has(Signs::SPAN)),
            Self::Contact => signs.has(Signs::PHONE | Signs::MAIL),
            Self::Person => signs.has(Signs::PERSON | Signs::ROLE),
            Self::Place => signs.has(Signs::PLACE),
            Self::Reason => signs.has(Signs::REASON),
            Self::Manner | Self::Definition | Self::YesNo | Self::Other => return 1.0,
        };
        match (met, self) {
            (true, _) => 1.0,
            (false, Self::Person | Self::Place | Self::Reason | Self::Contact) => 0.5,
            (false, _) => 0.0,
        }
    }
}

/// Signs found in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Signs(u32);

impl Signs {
    pub const NUMBER: Self = Self(1);
    pub const DATE: Self = Self(1 << 1);
    pub const MONTH: Self = Self(1 << 2);
    pub const WEEKDAY: Self = Self(1 << 3);
    pub const CLOCK: Self = Self(1 << 4);
    pub const YEAR: Self = Self(1 << 5);
    pub const MOMENT: Self = Self(1 << 6);
    pub const SPAN: Self = Self(1 << 7);
    pub const FOREVER: Self = Self(1 << 8);
    pub const MONEY: Self = Self(1 << 9);
    pub const FREE: Self = Self(1 << 10);
    pub const NONE: Self = Self(1 << 11);
    pub const OFTEN: Self = Self(1 << 12);
    pub const PHONE: Self = Self(1 << 13);
    pub const MAIL: Self = Self(1 << 14);
    pub const PERSON: Self = Self(1 << 15);
    pub const ROLE: Self = Self(1 << 16);
    pub const PLACE: Self = Self(1 << 17);
    pub const REASON: Self = Self(1 << 18);
    /// A capitalised word that is no stop word; two of them in a row may be a name.
    pub const CAPITAL: Self = Self(1 << 19);
    pub const PERCENT: Self = Self(1 << 20);
    pub const DIGITS: Self = Self(1 << 22);
    pub const DEGREE: Self = Self(1 << 21);

    /// Whether any of the given signs is there.
    pub fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// The signs of units, which a table's head or a heading gives to the numbers below it.
    pub fn units(self) -> Self {
        Self(self.0 & (Self::MONEY.0 | Self::SPAN.0 | Self::DEGREE.0 | Self::PERCENT.0 | Self::CLOCK.0))
    }

    /// Whether there is none at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The signs of one token.
    pub fn of_token(token: &Token<'_>) -> Self {
        match token.kind {
            Kind::Email => return Self::MAIL,
            Kind::Joined => return Self::default(),
            Kind::Section => return Self::NUMBER,
            Kind::Word => {}
        }
        let text = super::words::bounded(token.text);
        let mut signs = Self::default();
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            signs |= Self::NUMBER | Self::DIGITS;
            let number = super::words::number(text);
            if number.contains('-') {
                signs |= Self::DATE;
            }
            if number.len() == 4 && (number.starts_with("19") || number.starts_with("20")) {
                signs |= Self::YEAR;
            }
            let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
            if !unit.is_empty() {
                signs |= CLASSES.get(normal(unit).as_str()).copied().unwrap_or_default();
            }
            if number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit()) {
                signs |= Self::PHONE;
            }
            return signs;
        }
        let lower = normal(text);
        signs |= CLASSES.get(lower.as_str()).copied().unwrap_or_default();
        let capital = text.starts_with(char::is_uppercase) && text.len() > 1;
        if capital && !Language::ALL.iter().any(|language| is_stop_word(&lower, *language)) {
            signs |= Self::CAPITAL;
            // German heads of compounds: `Projektleiterin`, `Bergstraße`.
            if ROLE_ENDS.iter().any(|end| lower.ends_with(end)) {
                signs |= Self::ROLE;
            }
            if PLACE_ENDS.iter().any(|end| lower.ends_with(end)) {
                signs |= Self::PLACE;
            }
        }
        if lower.chars().count() > 4 && FREQUENCY_ENDS.iter().any(|end| lower.ends_with(end)) {
            signs |= Self::OFTEN;
        }
        signs
    }

    /// The signs that are not words: currency, percent, degrees, times of day, telephone numbers.
    pub fn of_marks(text: &str) -> Self {
        let mut signs = Self::default();
        let bytes = text.as_bytes();
        let (mut digits, mut spaced) = (0_u32, false);
        for (at, c) in text.char_indices() {
            match c {
                '€' | '$' | '£' => signs |= Self::MONEY,
                '%' => signs |= Self::PERCENT,
                '°' => signs |= Self::DEGREE,
                ':' => {
                    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
                    if at > 0 && digit(at - 1) && digit(at + 1) && digit(at + 2) {
                        signs |= Self::CLOCK;
                    }
                }
                _ => {}
            }
            // A telephone number: seven digits or more, in groups.
            match c {
                '0'..='9' => digits += 1,
                ' ' | '/' | '-' | '(' | ')' | '+' | '\u{a0}' if digits > 0 || c == '+' => spaced = true,
                _ => (digits, spaced) = (0, false),
            }
            if digits >= 7 && spaced {
                signs |= Self::PHONE;
            }
        }
        signs
    }
}

impl BitOr for Signs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Signs {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

const ROLE_ENDS: [&str; 16] = [
    "leiter",
    "leiterin",
    "leitung",
    "führer",
    "führerin",
    "abteilung",
    "vorstand",
    "beauftragte",
    "beauftragter",
    "beauftragten",
    "meister",
    "meisterin",
    "sprecher",
    "sprecherin",
    "verwaltung",
    "stelle",
];
const PLACE_ENDS: [&str; 12] = [
    "straße", "strasse", "platz", "weg", "allee", "gasse", "halle", "haus", "raum", "saal", "zentrum",
    "schrank",
];
const FREQUENCY_ENDS: [&str; 4] = ["jährlich", "monatlich", "wöchentlich", "täglich"];

/// Words that are signs, by class.
static CLASSES: LazyLock<HashMap<&'static str, Signs>> = LazyLock::new(|| {
    let lists: [(Signs, &str); 16] = [
        (
            Signs::NUMBER,
            "null ein eine einen einem einer zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn \
             fünfzehn zwanzig dreißig dreissig vierzig fünfzig sechzig hundert tausend million millionen hälfte drittel \
             viertel doppelt dreifach one two three four five six seven eight nine ten eleven twelve thirteen fourteen \
             fifteen sixteen eighteen twenty thirty forty fifty sixty ninety hundred thousand half third quarter double",
        ),
        (
            Signs::MONTH,
            "januar jänner februar märz april mai juni juli august september oktober november dezember january february \
             march may june july october december",
        ),
        (
            Signs::WEEKDAY,
            "montag montags dienstag dienstags mittwoch mittwochs donnerstag donnerstags freitag freitags samstag samstags \
             sonnabend sonntag sonntags werktag werktags werktagen monday mondays tuesday tuesdays wednesday wednesdays \
             thursday thursdays friday fridays saturday saturdays sunday sundays weekday weekdays",
        ),
        (Signs::CLOCK, "uhr mittag mittags mitternacht o'clock noon midnight am pm a.m p.m"),
        (
            Signs::MOMENT,
            "heute morgen gestern sofort unverzüglich umgehend spätestens frühestens vorher nachher quartal quartalsende \
             monatsende jahresende jahresbeginn monatsanfang wochenende stichtag ablauf beginn ende anfang frühjahr sommer \
             herbst winter ostern weihnachten today tomorrow yesterday immediately latest earliest beforehand before after \
             until quarter spring summer autumn fall easter christmas end beginning soon once",
        ),
        (
            Signs::SPAN,
            "sekunde sekunden minute minuten min stunde stunden std tag tage tagen woche wochen monat monate monaten jahr \
             jahre jahren werktage werktagen arbeitstage arbeitstagen kalendertage kalendertagen halbjahr quartale second \
             seconds minutes hour hours h day days week weeks month months year years fortnight",
        ),
        (
            Signs::FOREVER,
            "unbefristet dauerhaft unbegrenzt lebenslang indefinitely permanently unlimited lifetime",
        ),
        (
            Signs::MONEY,
            "euro euros eur cent cents dollar dollars usd chf franken pfund pound pounds gbp pence",
        ),
        (
            Signs::FREE,
            "kostenlos kostenfrei gratis unentgeltlich kostenlose kostenfreie inklusive inbegriffen enthalten free included \
             complimentary",
        ),
        (Signs::DEGREE, "grad celsius fahrenheit degree degrees"),
        (Signs::NONE, "kein keine keinen keiner no none unlimited unbegrenzt"),
        (
            Signs::OFTEN,
            "einmal zweimal dreimal viermal mal jedes jeden jede jeder once twice times every each daily weekly monthly \
             quarterly yearly annually regelmäßig regularly vierteljährlich halbjährlich",
        ),
        (Signs::PERSON, "herr herrn frau dr prof mr mrs ms sir"),
        (
            Signs::ROLE,
            "leiter leiterin leitung chef chefin vorgesetzte vorgesetzter vorgesetzten geschäftsführer geschäftsführerin \
             geschäftsführung vorstand vorsitzende vorsitzender betriebsrat personalabteilung sekretariat empfang team \
             abteilung verwaltung mieter vermieter auftraggeber auftragnehmer arbeitgeber arbeitnehmer kunde kunden \
             mitarbeiter mitarbeitende hersteller händler fachkraft elektriker techniker trainer manager director head lead \
             supervisor department reception office hr chair chairman chairwoman board ceo cfo cto founder employer employee \
             customer client supplier contractor landlord tenant manufacturer technician electrician staff everyone",
        ),
        (
            Signs::PLACE,
            "straße strasse platz raum zimmer gebäude etage stock stockwerk erdgeschoss untergeschoss keller hof halle lager \
             büro empfang rezeption eingang schrank regal intranet portal adresse ort stadt street road avenue room building \
             floor basement hall warehouse office reception entrance cupboard cabinet shelf address city town headquarters \
             website page menu folder server links rechts oben unten left right top bottom",
        ),
        (
            Signs::REASON,
            "weil da denn deshalb daher deswegen damit wegen aufgrund grund gründe sonst dadurch somit um because since due \
             therefore reason reasons so otherwise thus hence avoid prevent ensure",
        ),
    ];
    let mut classes: HashMap<&'static str, Signs> = HashMap::new();
    for (sign, words) in lists {
        for word in words.split_whitespace() {
            *classes.entry(word).or_default() |= sign;
        }
    }
    classes
});
