//! A look at the text before the parser sees it.
//!
//! The parser is recursive and builds a tree of everything; this scan is one loop without allocation that stops at
//! the first limit, so that neither 20,000 open brackets nor a million tokens ever reach the parser.

use async_graphql::Pos;

use super::{Limits, Rejection};
use crate::error::Code;

/// Refuses a text that is too long, has too many tokens, is nested too deeply or has an open string.
pub(super) fn scan(text: &str, limits: &Limits) -> Result<(), Rejection> {
    if text.len() > limits.text_bytes {
        let message = format!("The document is longer than {} bytes.", limits.text_bytes);
        return Err(Rejection::new(Code::QueryTooComplex, message, None));
    }
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut open) = (0, 0usize, 0usize);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            0xef if bytes[at..].starts_with(b"\xef\xbb\xbf") => {
                at += 3;
                continue;
            }
            b'#' => {
                at += line_end(&bytes[at..]);
                continue;
            }
            b'"' => at = string_end(bytes, at).ok_or_else(|| open_string(text, start))?,
            b'{' | b'[' | b'(' => {
                at += 1;
                open += 1;
                if open > limits.brackets {
                    let message =
                        format!("More than {} brackets are open at the same time.", limits.brackets);
                    return Err(Rejection::new(Code::QueryTooDeep, message, Some(position(text, start))));
                }
            }
            b'}' | b']' | b')' => {
                at += 1;
                open = open.saturating_sub(1);
            }
            b'.' if bytes[at..].starts_with(b"...") => at += 3,
            b'_' | b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                at += 1 + word_end(&bytes[at + 1..], byte);
                if at - start > limits.name_bytes {
                    let message = format!("A name or number is longer than {} bytes.", limits.name_bytes);
                    return Err(Rejection::new(Code::QueryTooComplex, message, Some(position(text, start))));
                }
            }
            _ => at += 1,
        }
        tokens += 1;
        if tokens > limits.tokens {
            let message = format!("The document has more than {} tokens.", limits.tokens);
            return Err(Rejection::new(Code::QueryTooComplex, message, Some(position(text, start))));
        }
    }
    Ok(())
}

/// How far it is to the end of the line.
fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len())
}

/// How long the rest of a name or number is.
fn word_end(bytes: &[u8], first: u8) -> usize {
    let number = first == b'-' || first.is_ascii_digit();
    let belongs = |byte: &u8| {
        byte.is_ascii_alphanumeric() || *byte == b'_' || (number && matches!(byte, b'.' | b'+' | b'-'))
    };
    bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len())
}

/// Where the string that begins at `at` ends; none when it does not.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes[at..].starts_with(br#"""""#) {
        let mut end = at + 3;
        while end < bytes.len() {
            if bytes[end..].starts_with(br#"\""""#) {
                end += 4;
            } else if bytes[end..].starts_with(br#"""""#) {
                return Some(end + 3);
            } else {
                end += 1;
            }
        }
        return None;
    }
    let mut end = at + 1;
    loop {
        match bytes.get(end)? {
            b'"' => return Some(end + 1),
            b'\n' | b'\r' => return None,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

fn open_string(text: &str, at: usize) -> Rejection {
    let message = "Syntax error: this string has no end.";
    Rejection::new(Code::GraphqlParseFailed, message, Some(position(text, at)))
}

/// Line and column of a byte, both from one.
fn position(text: &str, at: usize) -> Pos {
    let before = &text.as_bytes()[..at];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    let line = before.split(|byte| *byte == b'\n').count();
    let column = 1 + String::from_utf8_lossy(&before[line_start..]).chars().count();
    Pos { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Code> {
        scan(text, &Limits::default()).err().map(|rejection| rejection.code)
    }

    #[test]
    fn ordinary_documents_pass() {
        for text in [
            "{ a }",
            "query Q($a: [Int!]! = [1, 2.5e-3, -4]) { a(b: {c: \"x\\\"{\"}) ... on T { d } }",
            "{ a(text: \"\"\"block { [ ( \\\"\"\" \" still \"\"\") } # { [ (",
            "\u{feff}{ a }",
            "",
        ] {
            assert_eq!(code(text), None, "{text}");
        }
        assert_eq!(code(&"{ a } ".repeat(3_333)), None);
        assert_eq!(code(&format!("{}{}", "[".repeat(50), "]".repeat(50))), None);
    }

    #[test]
    fn the_scan_stops_at_each_limit() {
        assert_eq!(code(&"{".repeat(100_000)), Some(Code::QueryTooDeep));
        assert_eq!(code(&format!("{{a(x: {}", "[".repeat(20_000))), Some(Code::QueryTooDeep));
        assert_eq!(code(&"a ".repeat(10_001)), Some(Code::QueryTooComplex));
        assert_eq!(code(&"a".repeat(129)), Some(Code::QueryTooComplex));
        assert_eq!(code(&" ".repeat(256 * 1024 + 1)), Some(Code::QueryTooComplex));
        for open in ["{a(b: \"no end", "{a(b: \"\"\"no end\"\"", "{a(b: \"broken\nline\")}", "\"\\"] {
            assert_eq!(code(open), Some(Code::GraphqlParseFailed), "{open}");
        }
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "{\n  ä(b: \"";
        assert_eq!(position(text, text.len() - 1), Pos { line: 2, column: 8 });
    }
}
