//! Tables. Every row becomes a line that says each field's name, so that it can be understood, found and quoted alone.

use super::{Converted, Growing, one_line};
use crate::error::{Fault, FaultCode};

/// What may stand between two fields.
const DELIMITERS: [u8; 3] = *b",;\t";
/// Rows from which the delimiter is told.
const SNIFFED: usize = 50;

/// Makes a text of a table whose first row names its fields.
pub(super) fn convert(table: &str) -> Result<Converted, Fault> {
    let table = table.strip_prefix('\u{FEFF}').unwrap_or(table);
    let delimiter = sniff(table);
    let mut rows = reader(table, delimiter).into_records();
    let unreadable = |_| Fault::new(FaultCode::Invalid, "The table cannot be read as CSV. Export it again.");
    let empty = "The table has no rows. Its first row names the fields, and at least one more holds values.";
    let Some(head) = rows.next() else { return Err(Fault::new(FaultCode::Required, empty)) };
    let names: Vec<String> = head.map_err(unreadable)?.iter().map(one_line).collect();
    let mut text = Growing::default();
    for row in rows {
        let row = row.map_err(unreadable)?;
        let fields = row.iter().enumerate().map(|(at, value)| (at, one_line(value)));
        let fields: Vec<String> = fields
            .filter(|(_, value)| !value.is_empty())
            .map(|(at, value)| match names.get(at).filter(|name| !name.is_empty()) {
                Some(name) => format!("{name}: {value}"),
                None => value,
            })
            .collect();
        if !fields.is_empty() {
            text.line(&fields.join(" | "))?;
        }
    }
    text.finish(None, empty)
}

/// Reads a table's rows, of whatever lengths; the first one is a row like the others.
pub fn reader(table: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(table.as_bytes())
}

/// What stands between the fields: what splits the most rows like the first one, and then into the most fields.
fn sniff(table: &str) -> u8 {
    let score = |delimiter: u8| {
        let mut rows = reader(table, delimiter).into_records().map_while(Result::ok).take(SNIFFED);
        let fields = rows.next().map_or(0, |row| row.len());
        let alike = rows.filter(|row| row.len() == fields).count();
        if fields < 2 { (0, 0) } else { (alike, fields) }
    };
    // Of equals the last one is taken.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| score(*delimiter)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: &str) -> String {
        convert(table).unwrap().text
    }

    #[test]
    fn a_row_says_the_names_of_its_fields() {
        let expected = "Name: Anna Müller | Raum: 4, links\nName: Jörg | Raum: 7";
        assert_eq!(text("\u{FEFF}Name,Raum\r\nAnna Müller,\"4,\nlinks\"\r\nJörg,7\r\n"), expected);
        assert_eq!(text("Name;Raum\nAnna Müller;4, links\nJörg;7\n\n"), expected);
        assert_eq!(text("Name\tRaum\nAnna Müller\t4, links\nJörg\t7"), expected);
        // Fields without a name or a value, and one that is too many.
        assert_eq!(text("a,,c\n1,2,\n,,\n3,4,5,6"), "a: 1 | 2\na: 3 | 4 | c: 5 | 6");
    }

    #[test]
    fn the_delimiter_is_what_splits_rows_alike() {
        assert_eq!(sniff("Preis;Artikel\n1,50;Stift\n2,75;Heft"), b';');
        assert_eq!(sniff("Preis,Artikel\n\"1;50\",Stift"), b',');
        assert_eq!(sniff("one\ntwo"), b',');
        assert_eq!(text("one\ntwo\nthree"), "one: two\none: three");
    }

    #[test]
    fn a_table_without_rows_is_refused_and_so_is_one_that_grows_too_large() {
        for table in ["", "a,b", "a,b\n,\n"] {
            assert_eq!(convert(table).unwrap_err().code, FaultCode::Required, "{table:?}");
        }
        let name = "n".repeat(1_000);
        let rows = |count: usize| format!("{name}\n{}", "1\n".repeat(count));
        assert!(convert(&rows(2_000)).is_ok());
        assert_eq!(convert(&rows(2_100)).unwrap_err().code, FaultCode::TooLong);
    }
}
