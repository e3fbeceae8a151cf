//! Past posts as a table (CSV): what they said, when and where they went out, and how they did.
//!
//! The first line names the columns. A cell that cannot be read is refused with its line and its column, so that no post is left
//! out unnoticed; columns of other names are not read, and told.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::Input;
use super::builtin::PastPost;
use crate::accounts::channel::Channel;
use crate::agents::agent::Tools;
use crate::agents::posts::CAPTION_CHARACTERS;
use crate::agents::text::{calendar, excerpt};
use crate::assets::AssetKind;
use crate::error::{Fault, FaultCode};
use crate::id::AssetId;
use crate::input;
use crate::jobs::{self, Failure, Run};
use crate::knowledge::convert::csv::reader;

/// The field that names the file.
pub(super) const FIELD: &str = "pastPostsAssetId";
/// Posts of a table at the most.
const POSTS: usize = 5_000;
/// Bytes of a file at the most.
const BYTES: u64 = 8 << 20;
/// The first and the last year of a post; beyond them a time is mistyped.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2199;
/// What a figure is at the most.
const MOST: f64 = 1e12;
/// What may stand between two cells; of equals the last is taken.
const DELIMITERS: [u8; 2] = *b";,";
/// Columns that are told by name, of those that are not read.
const TOLD: usize = 50;

/// Which file posts come from, and how many they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file.
    pub file: AssetId,
    /// How many were read.
    pub posts: usize,
    /// Of how many the time of day and all figures are known.
    pub measured: usize,
    /// When the oldest of them went out.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When they were read.
    pub read_at: DateTime<Utc>,
    /// The columns that are none of those that are read.
    pub unused: Vec<String>,
}

/// The posts of a file. No transaction of the run's is open meanwhile.
///
/// # Errors
/// A fault that says what is wrong with the file, and where.
pub(super) async fn read(
    tools: &Tools,
    run: &Run,
    asked: &Input,
    file: AssetId,
) -> Result<(Vec<PastPost>, Origin), Failure> {
    let message = "The file is no table. Save the posts as CSV in UTF-8, and upload that as a `DOCUMENT`.";
    let text = super::text(tools, run, (FIELD, file), (AssetKind::Document, BYTES, message)).await?;
    let zone = input::timezone(&asked.timezone)
        .map_err(|message| Failure::fail(Fault::at(FaultCode::Invalid, "timezone", message)))?;
    // What names no channel can only be of the one that there is.
    let channel = <[Channel; 1]>::try_from(asked.channels.as_slice()).ok().map(|[only]| only);
    let table = jobs::compute(move || parse(&text, zone, channel)).await?;
    let Table { posts, unused } = table.map_err(Failure::fail)?;
    let origin = Origin {
        file,
        posts: posts.len(),
        measured: posts.iter().filter(|post| post.engagement.is_some()).count(),
        oldest_at: posts.iter().map(|post| post.at).min(),
        read_at: Utc::now(),
        unused,
    };
    Ok((posts, origin))
}

/// What a table says.
#[derive(Debug, PartialEq)]
struct Table {
    posts: Vec<PastPost>,
    /// The columns that are not read.
    unused: Vec<String>,
}

/// The columns that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    At,
    Text,
    Channel,
    Likes,
    Comments,
    Shares,
    Saves,
    Engagement,
}

impl Column {
    const ALL: [Self; 8] = [
        Self::At,
        Self::Text,
        Self::Channel,
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Saves,
        Self::Engagement,
    ];
    /// Those whose sum is how a post did.
    const COUNTS: [Self; 4] = [Self::Likes, Self::Comments, Self::Shares, Self::Saves];

    const fn name(self) -> &'static str {
        match self {
            Self::At => "at",
            Self::Text => "text",
            Self::Channel => "channel",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Saves => "saves",
            Self::Engagement => "engagement",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name().eq_ignore_ascii_case(name.trim()))
    }
}

fn refuse(code: FaultCode, message: impl Into<String>) -> Fault {
    Fault::at(code, FIELD, message)
}

fn wrong(line: usize, column: &str, what: &str) -> Fault {
    refuse(FaultCode::Invalid, format!("Line {line}, column `{column}`: {what}"))
}

/// What stands between the cells: what makes the most known columns of the first line.
fn delimiter(table: &str) -> u8 {
    let known = |delimiter: u8| {
        let head = reader(table, delimiter).into_records().next().and_then(Result::ok);
        head.map_or(0, |head| head.iter().filter(|name| Column::parse(name).is_some()).count())
    };
    DELIMITERS.into_iter().max_by_key(|delimiter| known(*delimiter)).unwrap_or(b',')
}

/// In which line a record begins. Empty lines before it are none of it.
fn line_of(table: &str, record: &csv::StringRecord) -> usize {
    let from = record.position().and_then(|place| usize::try_from(place.byte()).ok()).unwrap_or_default();
    let empty = table.get(from..).map_or(0, |rest| rest.len() - rest.trim_start_matches('\n').len());
    1 + table.get(..from + empty).map_or(0, |before| before.matches('\n').count())
}

/// Reads a table. Times without an offset are those of `zone`, and a post that names no channel is of `channel`.
fn parse(text: &str, zone: Tz, channel: Option<Channel>) -> Result<Table, Fault> {
    let table = text.strip_prefix('\u{FEFF}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let unreadable = |_| refuse(FaultCode::Invalid, "The file cannot be read as CSV. Export it again.");
    let mut records = reader(&table, delimiter(&table)).into_records();
    let Some(head) = records.next() else {
        return Err(refuse(
            FaultCode::Invalid,
            "The file is empty. Its first line names the columns `at`, `text` and what else is known.",
        ));
    };
    let head = Head::read(&table, &head.map_err(unreadable)?)?;
    let mut posts = Vec::new();
    let mut last = 1;
    for record in records {
        let record = record.map_err(unreadable)?;
        // Spreadsheets leave rows without anything.
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if posts.len() == POSTS {
            let message = format!("The file has more than {POSTS} posts. Send the newest.");
            return Err(refuse(FaultCode::TooLong, message));
        }
        let line = line_of(&table, &record);
        posts.push(head.post(line, &record, zone, channel)?);
        last = line;
    }
    // Of a mark that is not closed, everything to the end is one cell.
    if table.matches('"').count() % 2 == 1 {
        let message = format!(
            "Line {last}: a quotation mark is not closed. Double those inside a cell, and put the cell in such marks."
        );
        return Err(refuse(FaultCode::Invalid, message));
    }
    if posts.is_empty() {
        return Err(refuse(
            FaultCode::Invalid,
            "The file has no posts below the line that names its columns.",
        ));
    }
    Ok(Table { posts, unused: head.unused })
}

/// The first line of a table.
struct Head {
    /// How many cells it has.
    width: usize,
    /// Where each column is.
    places: Vec<(Column, usize)>,
    unused: Vec<String>,
}

impl Head {
    fn read(table: &str, record: &csv::StringRecord) -> Result<Self, Fault> {
        let line = line_of(table, record);
        let mut head = Self { width: record.len(), places: Vec::new(), unused: Vec::new() };
        for (place, name) in record.iter().enumerate() {
            let Some(column) = Column::parse(name) else {
                if head.unused.len() < TOLD {
                    let name = excerpt(name, 60);
                    head.unused.push(if name.is_empty() { format!("({})", place + 1) } else { name });
                }
                continue;
            };
            if head.place(column).is_some() {
                return Err(wrong(line, column.name(), "the column is there twice. Remove one of them."));
            }
            head.places.push((column, place));
        }
        for column in [Column::At, Column::Text] {
            if head.place(column).is_none() {
                let what = "there is no such column. The first line names them: `at` and `text`, and what else is known of \
                    `channel`, `likes`, `comments`, `shares`, `saves`, or `engagement` instead of these figures.";
                return Err(wrong(line, column.name(), what));
            }
        }
        let counted = Column::COUNTS.into_iter().find(|column| head.place(*column).is_some());
        if let Some(counted) = counted.filter(|_| head.place(Column::Engagement).is_some()) {
            let what = format!(
                "it stands beside `{}`. Leave one of them out: without `engagement`, the figures are added.",
                counted.name()
            );
            return Err(wrong(line, Column::Engagement.name(), &what));
        }
        Ok(head)
    }

    fn place(&self, column: Column) -> Option<usize> {
        self.places.iter().find(|(own, _)| *own == column).map(|(_, place)| *place)
    }

    /// A cell of a column that there is, without white space around it.
    fn cell<'r>(&self, record: &'r csv::StringRecord, column: Column) -> Option<&'r str> {
        self.place(column).map(|place| record.get(place).unwrap_or_default().trim())
    }

    fn post(
        &self,
        line: usize,
        record: &csv::StringRecord,
        zone: Tz,
        only: Option<Channel>,
    ) -> Result<PastPost, Fault> {
        let refuse = |column: Column, what: String| Err(wrong(line, column.name(), &what));
        if record.len() != self.width {
            // Where the cells went astray nobody knows; the first that is missing or too many is told.
            let column = self
                .places
                .iter()
                .find(|(_, place)| *place >= record.len())
                .map_or(Column::Text, |(column, _)| *column);
            let what = format!(
                "the line has {} cells and the first one {}. Put a text with commas, semicolons or line breaks in quotation marks.",
                record.len(),
                self.width
            );
            return refuse(column, what);
        }
        let at = self.cell(record, Column::At).unwrap_or_default();
        let Some((at, has_time)) = moment(at, zone) else {
            let what = format!(
                "“{}” is no time. Write it like 2026-12-24, 2026-12-24 18:30 or 2026-12-24T18:30:00+01:00.",
                excerpt(at, 40)
            );
            return refuse(Column::At, what);
        };
        let text = self.cell(record, Column::Text).unwrap_or_default();
        if text.chars().count() > CAPTION_CHARACTERS {
            let what = format!(
                "the text has more than {CAPTION_CHARACTERS} characters. Cut it, and see that its quotation marks are closed."
            );
            return refuse(Column::Text, what);
        }
        let channel = match self.cell(record, Column::Channel).filter(|name| !name.is_empty()) {
            None => only,
            Some(name) => {
                let is = |channel: &Channel| {
                    channel.key().eq_ignore_ascii_case(name) || channel.name().eq_ignore_ascii_case(name)
                };
                let Some(known) = Channel::ALL.into_iter().find(is) else {
                    let all: Vec<&str> = Channel::ALL.into_iter().map(Channel::key).collect();
                    let what = format!("“{}” is none of {}.", excerpt(name, 40), all.join(", "));
                    return refuse(Column::Channel, what);
                };
                Some(known)
            }
        };
        // What is not known of one is not compared with what is known of others, and without the time it tells of no hour.
        let engagement = self.engagement(line, record)?.filter(|_| has_time);
        Ok(PastPost { at, channel, text: text.to_owned(), engagement })
    }

    /// How a post did; none where one of the figures is missing.
    fn engagement(&self, line: usize, record: &csv::StringRecord) -> Result<Option<f64>, Fault> {
        if let Some(cell) = self.cell(record, Column::Engagement) {
            return figure(cell, true).map_err(|what| wrong(line, Column::Engagement.name(), &what));
        }
        let (mut sum, mut known) = (None, true);
        for column in Column::COUNTS {
            let Some(cell) = self.cell(record, column) else { continue };
            match figure(cell, false).map_err(|what| wrong(line, column.name(), &what))? {
                Some(count) => sum = Some(sum.unwrap_or(0.0) + count),
                None => known = false,
            }
        }
        Ok(sum.filter(|_| known))
    }
}

/// A figure; none in an empty cell.
fn figure(cell: &str, broken: bool) -> Result<Option<f64>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    let plain = cell.bytes().all(|byte| byte.is_ascii_digit() || (broken && byte == b'.'));
    let value = cell.parse().ok().filter(|value: &f64| plain && (0.0..=MOST).contains(value));
    value.map(Some).ok_or_else(|| {
        let like = if broken {
            "a number like 1200 or 3.5"
        } else {
            "a whole number like 1200, without dots or commas"
        };
        format!("“{}” is not {like}. Leave the cell empty where it is not known.", excerpt(cell, 40))
    })
}

/// A moment as it is written, and whether the time of day is in it; without it, it is noon.
fn moment(text: &str, zone: Tz) -> Option<(DateTime<Utc>, bool)> {
    const FORMATS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    let local =
        |time: NaiveDateTime| YEARS.contains(&time.year()).then(|| calendar::moment(zone, time)).flatten();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return YEARS.contains(&at.year()).then(|| (at.with_timezone(&Utc), true));
    }
    if let Some(time) = FORMATS.into_iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()) {
        return local(time).map(|at| (at, true));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    local(day.and_time(NaiveTime::from_hms_opt(12, 0, 0)?)).map(|at| (at, false))
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;

    use super::*;

    fn posts(text: &str) -> Vec<PastPost> {
        parse(text, Berlin, None).unwrap().posts
    }

    fn refused(text: &str) -> (FaultCode, String) {
        let fault = parse(text, Berlin, None).unwrap_err();
        assert_eq!(fault.field, Some(vec!["input".to_owned(), FIELD.to_owned()]));
        assert!(fault.message.ends_with('.'), "{}", fault.message);
        (fault.code, fault.message)
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn columns_stand_in_any_order_and_in_any_case() {
        let post = |at: &str, channel, text: &str, engagement| PastPost {
            at: utc(at),
            channel,
            text: text.to_owned(),
            engagement,
        };
        let expected = vec![
            post("2026-12-24T17:30:00Z", Some(Channel::Instagram), "Ruhe, bitte.\nSo.", Some(42.0)),
            post("2026-07-01T10:00:00Z", Some(Channel::Linkedin), "Sie sagt \"ja\".", None),
            post("2026-07-01T16:05:09Z", None, "", None),
        ];
        let commas = "\u{FEFF}Text,AT,Likes, channel ,comments\r\n\
            \"Ruhe, bitte.\r\nSo.\",2026-12-24 18:30,40,instagram,2\r\n\
            \"Sie sagt \"\"ja\"\".\",2026-07-01,3,LinkedIn,4\r\n\r\n,2026-07-01T18:05:09+02:00,,,7\r\n";
        assert_eq!(posts(commas), expected);
        let semicolons = "at;channel;comments;text;LIKES\n2026-12-24T18:30;INSTAGRAM;2;\"Ruhe, bitte.\nSo.\";40\n\
            2026-07-01;linkedin;4;\"Sie sagt \"\"ja\"\".\";3\n;;;;\n2026-07-01 18:05:09;;7;;";
        assert_eq!(posts(semicolons), expected);
    }

    #[test]
    fn how_a_post_did_is_the_sum_of_figures_that_are_all_there() {
        let one =
            |head: &str, row: &str| posts(&format!("at,text{head}\n2026-12-24 18:30,a{row}"))[0].engagement;
        assert_eq!(one("", ""), None);
        assert_eq!(one(",likes", ",0"), Some(0.0));
        assert_eq!(one(",likes,comments,shares,saves", ",1,20,300,4000"), Some(4321.0));
        assert_eq!(one(",likes,comments", ",1,"), None, "what is missing is not nothing");
        assert_eq!(one(",engagement", ",3.5"), Some(3.5));
        assert_eq!(one(",engagement", ","), None);
    }

    #[test]
    fn what_names_no_channel_is_of_the_only_one() {
        let table = parse("at,text,Views\n2026-12-24,a,9", Berlin, Some(Channel::X)).unwrap();
        assert_eq!((table.posts[0].channel, table.unused), (Some(Channel::X), vec!["Views".to_owned()]));
        let named =
            parse("at,text,channel\n2026-12-24,a,FACEBOOK\n2026-12-24,b,", Berlin, Some(Channel::X)).unwrap();
        assert_eq!(
            named.posts.iter().map(|post| post.channel).collect::<Vec<_>>(),
            [Some(Channel::Facebook), Some(Channel::X)]
        );
    }

    #[test]
    fn clocks_that_change_are_those_of_the_plan() {
        let at = |text: &str| moment(text, Berlin);
        assert_eq!(at("2027-03-28 02:30"), Some((utc("2027-03-28T01:00:00Z"), true)));
        assert_eq!(at("2026-12-24"), Some((utc("2026-12-24T11:00:00Z"), false)));
        for bad in [
            "",
            "24.12.2026",
            "2026-12-24 25:00",
            "2026-13-01",
            "1026-12-24",
            "9026-12-24",
            "1612345678",
            "2026-12-24T18:30:00+99:00",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_its_column() {
        let head = "at,text,channel,likes\n2026-12-24,\"a\nb\",X,1\n";
        for (table, words) in [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("when,text\n2026-12-24,a", "Line 1, column `at`"),
            ("at\n2026-12-24", "Line 1, column `text`"),
            ("at,text,At\n2026-12-24,a,", "Line 1, column `at`: the column is there twice"),
            ("at,text,engagement,saves\n2026-12-24,a,1,1", "Line 1, column `engagement`"),
            ("at,text\n,,\n", "no posts"),
            (&format!("{head}\n\nyesterday,a,X,1"), "Line 6, column `at`: “yesterday”"),
            (&format!("{head}2026-12-24,a,TikTok,1"), "Line 4, column `channel`: “TikTok”"),
            (&format!("{head}2026-12-24,a,X,1.200"), "Line 4, column `likes`: “1.200”"),
            (&format!("{head}2026-12-24,a,X,-1"), "Line 4, column `likes`"),
            (&format!("{head}2026-12-24,a,X,99999999999999999999"), "Line 4, column `likes`"),
            (
                &format!("{head}2026-12-24,a, b,X,1"),
                "Line 4, column `text`: the line has 5 cells and the first one 4",
            ),
            (&format!("{head}2026-12-24,a"), "Line 4, column `channel`: the line has 2 cells"),
            (&format!("{head}2026-12-24,\"a,X,1\n2026-12-25,b,X,1\n"), "Line 4, column `channel`"),
            ("at,text\n2026-12-24,\"a\n2026-12-25,b\n", "Line 2: a quotation mark is not closed"),
            (
                &format!("{head}2026-12-24,{},X,1", "a".repeat(CAPTION_CHARACTERS + 1)),
                "Line 4, column `text`",
            ),
            ("at,text,engagement\n2026-12-24,a,inf", "Line 2, column `engagement`: “inf”"),
            ("at,text,engagement\n2026-12-24,a,1e3", "Line 2, column `engagement`"),
        ] {
            let (code, message) = refused(table);
            assert_eq!(code, FaultCode::Invalid, "{message}");
            assert!(message.contains(words), "{words}: {message}");
        }
        let many = |count: usize| format!("at,text\n{}", "2026-12-24,a\n".repeat(count));
        assert_eq!(posts(&many(POSTS)).len(), POSTS);
        assert_eq!(refused(&many(POSTS + 1)).0, FaultCode::TooLong);
    }
}
