//! Server-sent events out of bytes that come in pieces of any size
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>).
//!
//! Lines have a greatest length, which the libraries do not give them; the length of the whole is bounded by who reads it.

use std::collections::VecDeque;

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// What stands after `event:`; empty when nothing does.
    pub name: String,
    /// What stands after `data:`, lines joined by line feeds.
    pub data: String,
}

/// The bytes are no event stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A line is longer than it may be.
    TooLong,
    /// A line is not UTF-8.
    NotText,
}

/// Takes bytes and gives events.
#[derive(Debug)]
pub struct Parser {
    longest: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return, so that a line feed belongs to the same end of line.
    returned: bool,
    first: bool,
    name: String,
    data: Option<String>,
    ready: VecDeque<Event>,
}

impl Parser {
    /// A parser of lines of at most `longest` bytes.
    pub fn new(longest: usize) -> Self {
        Self {
            longest,
            line: Vec::new(),
            returned: false,
            first: true,
            name: String::new(),
            data: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.returned) && bytes.first() == Some(&b'\n') {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (head, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + head.len() > self.longest {
                return Err(Malformed::TooLong);
            }
            self.line.extend_from_slice(head);
            if let Some((terminator, rest)) = rest.split_first() {
                self.returned = *terminator == b'\r';
                bytes = rest;
                self.end_line()?;
            } else {
                bytes = rest;
            }
        }
        Ok(())
    }

    /// The next event that is complete. An event that no blank line has ended is none.
    pub fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) -> Result<(), Malformed> {
        let line = String::from_utf8(std::mem::take(&mut self.line)).map_err(|_| Malformed::NotText)?;
        let mut line = line.as_str();
        if std::mem::take(&mut self.first) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            if let Some(data) = self.data.take() {
                self.ready.push_back(Event { name, data });
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments have an empty field; ids and reconnection times do not matter to one answer.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\nevent: a\r\ndata: Grüße 🦀\r\ndata:second\r\n\r\n\
        id: 7\ndata\n\nevent: lost\n\ndata: {\"x\":\"a:b\"}\r\rdata: never ended";

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::new(1 << 20);
        let mut out = Vec::new();
        for piece in pieces {
            parser.push(piece).unwrap();
            while let Some(event) = parser.pop() {
                out.push((event.name, event.data));
            }
        }
        out
    }

    #[test]
    fn pieces_of_any_size_give_the_same_events() {
        let bytes = STREAM.as_bytes();
        let expected = [("a", "Grüße 🦀\nsecond"), ("", ""), ("", "{\"x\":\"a:b\"}")]
            .map(|(name, data)| (name.to_owned(), data.to_owned()));
        for size in 1..=bytes.len() {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(read(&pieces), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_has_a_greatest_length_however_it_comes() {
        let mut parser = Parser::new(8);
        assert_eq!(parser.push(b"data: 123"), Err(Malformed::TooLong));
        let mut parser = Parser::new(8);
        assert_eq!(parser.push(b"data: 12\n"), Ok(()));
        let drip = b"data: 123".iter().try_for_each(|byte| parser.push(&[*byte]));
        assert_eq!(drip, Err(Malformed::TooLong));
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(Parser::new(99).push(b"data: \xff\xfe\n"), Err(Malformed::NotText));
    }
}
