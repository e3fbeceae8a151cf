//! Documents of other formats, made into the text that is kept: Markdown, in which headings, lists and rows are marked.
//!
//! What is kept is what questions are answered from and what citations count, so a conversion is deterministic and takes
//! time and memory in proportion to what it is given, at most. HTML and CSV are read here. PDF is read in a process of its
//! own, see [`pdf`].

pub mod csv;
mod html;
pub mod pdf;

use super::{MimeType, TEXT_BYTES};
use crate::error::{Error, Fault, FaultCode, Result};

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Converted {
    /// What it calls itself.
    pub title: Option<String>,
    /// Its text.
    pub text: String,
}

/// Makes the text that is kept of what a caller sent as text. A fault is one of `field`.
///
/// # Errors
/// `REQUIRED` when nothing is left; `INVALID`; `TOO_LONG`.
pub async fn text(mime_type: MimeType, field: &'static str, text: String) -> Result<Converted> {
    let convert = move || match mime_type {
        MimeType::Html => html::convert(&text),
        MimeType::Csv => csv::convert(&text),
        MimeType::Markdown | MimeType::Plain | MimeType::Pdf => Ok(Converted { title: None, text }),
    };
    let converted = tokio::task::spawn_blocking(convert).await.map_err(Error::internal)?;
    converted.map_err(|fault| Error::fault(Fault::at(fault.code, field, fault.message)))
}

/// A text that is being written, as long as it may become.
#[derive(Debug, Default)]
struct Growing(String);

impl Growing {
    fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.0.len() + text.len() > TEXT_BYTES {
            let message =
                "The document's text has more than 2 MiB (2,097,152 bytes of UTF-8). Split the document.";
            return Err(Fault::new(FaultCode::TooLong, message));
        }
        self.0.push_str(text);
        Ok(())
    }

    /// Adds a block, which an empty line sets apart from the one before.
    fn block(&mut self, text: &str) -> Result<(), Fault> {
        if !self.0.is_empty() {
            self.push("\n\n")?;
        }
        self.push(text)
    }

    /// Adds a line to the block before.
    fn line(&mut self, text: &str) -> Result<(), Fault> {
        if !self.0.is_empty() {
            self.push("\n")?;
        }
        self.push(text)
    }

    /// All of it; `empty` says what to do when it is nothing.
    fn finish(self, title: Option<String>, empty: &str) -> Result<Converted, Fault> {
        if self.0.trim().is_empty() {
            return Err(Fault::new(FaultCode::Required, empty));
        }
        Ok(Converted { title, text: self.0 })
    }
}

/// Text on one line: runs of white space are one space, and none stands at its ends.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// A title from a document: one line of at most 200 characters.
fn title(text: &str) -> Option<String> {
    let line = one_line(text);
    let title: String =
        if line.chars().count() > 200 { line.chars().take(199).chain(['…']).collect() } else { line };
    (!title.is_empty()).then_some(title)
}
