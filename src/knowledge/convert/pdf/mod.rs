//! PDF, read in a process of its own.
//!
//! A PDF may be made to exhaust whoever reads it: with streams that unpack without end, with forms that draw themselves; and
//! an overflown stack ends a process whatever it catches. So this program starts itself once more for each PDF ([`apart`]).
//! Whatever becomes of that process, the server has a sentence to say.
//!
//! [`apart`]: crate::apart

mod layout;

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use pdf_extract::{Dictionary, Document, Object, ObjectId};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{Converted, title};
use crate::apart::{Apart, Limits};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::knowledge::TEXT_BYTES;

/// Bytes of a PDF at the most.
pub const PDF_BYTES: u64 = 20 * 1024 * 1024;
/// The command by which this program reads one PDF.
pub const COMMAND: &str = "read-pdf";
/// PDFs that are read at the same time.
const AT_ONCE: usize = 2;
/// What reading one may take.
const LIMITS: Limits = Limits { memory: 384 << 20, seconds: 10 };
/// How long reading one may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes that may be read of what the process says: the text may double when its characters are escaped.
const ANSWER_BYTES: u64 = 4 * TEXT_BYTES as u64;

/// What reading a PDF came to.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Read(Converted),
    /// It needs a password.
    Locked,
    /// It has pages and no text.
    Scanned,
    /// Its text is too long.
    Long,
    /// It is no PDF, or a broken one.
    Damaged,
}

/// Reads PDFs.
#[derive(Debug)]
pub struct PdfReader {
    apart: Apart,
}

impl PdfReader {
    /// With the program that knows [`COMMAND`].
    pub fn new(program: PathBuf) -> Self {
        Self { apart: Apart::new(program, &[COMMAND], AT_ONCE) }
    }

    /// Makes a text of a PDF: its headings by their size, its pages each under a heading of their own. A fault is one of
    /// `field`.
    ///
    /// # Errors
    /// `INVALID`, `TOO_LONG`; what the system says when no process can be started.
    pub async fn read(&self, field: &str, pdf: &[u8]) -> Result<Converted> {
        let turn = self.apart.turn().await.map_err(Error::internal)?;
        // What takes too long ends with its limits.
        let outcome = timeout(PATIENCE, self.ask(pdf)).await;
        drop(turn);
        let outcome = outcome.ok().transpose().map_err(Error::internal)?.flatten();
        let refuse = |code, message: &str| Err(Error::fault(Fault::at(code, field, message)));
        match outcome {
            Some(Outcome::Read(converted)) => Ok(converted),
            Some(Outcome::Locked) => refuse(
                FaultCode::Invalid,
                "The PDF is locked with a password. Save it without one, and upload it again.",
            ),
            Some(Outcome::Scanned) => refuse(
                FaultCode::Invalid,
                "The PDF holds pictures of pages and no text. Run text recognition (OCR) over it, and upload the result.",
            ),
            Some(Outcome::Long) => refuse(
                FaultCode::TooLong,
                "The PDF's text has more than 2 MiB (2,097,152 bytes of UTF-8). Split the document.",
            ),
            Some(Outcome::Damaged) => refuse(
                FaultCode::Invalid,
                "The PDF is damaged. Save or print it as a PDF once more, and upload that.",
            ),
            None => refuse(
                FaultCode::Invalid,
                "The PDF takes more time or memory than one may. Split it, or print it as a PDF once more, and upload that.",
            ),
        }
    }

    /// None when the process ended without an answer.
    async fn ask(&self, pdf: &[u8]) -> std::io::Result<Option<Outcome>> {
        let mut child = self.apart.start()?;
        if let Some(mut input) = child.stdin.take() {
            // One that has ended already takes nothing, and is asked below how it ended.
            if let Err(error) = input.write_all(pdf).await {
                tracing::debug!("a PDF was not read to its end: {error}");
            }
        }
        let mut answer = Vec::new();
        if let Some(output) = child.stdout.take() {
            output.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        }
        let status = child.wait().await?;
        if !status.success() {
            tracing::info!("a PDF could not be read: its process ended with {status}");
        }
        Ok(serde_json::from_slice(&answer).ok())
    }
}

/// The other side: reads one PDF from standard input, and says what came of it on standard output.
pub fn answer_one() -> ExitCode {
    let mut pdf = Vec::new();
    if LIMITS.hold().is_err() || std::io::stdin().take(PDF_BYTES).read_to_end(&mut pdf).is_err() {
        return ExitCode::FAILURE;
    }
    let outcome = std::panic::catch_unwind(|| convert(&pdf)).unwrap_or(Outcome::Damaged);
    let said = serde_json::to_vec(&outcome).is_ok_and(|said| std::io::stdout().write_all(&said).is_ok());
    if said { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn convert(pdf: &[u8]) -> Outcome {
    let Ok(mut document) = Document::load_mem(pdf) else { return Outcome::Damaged };
    // What only forbids changes is open to whoever has no password.
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Outcome::Locked;
    }
    let name = document
        .trailer
        .get(b"Info")
        .and_then(|info| document.dereference(info))
        .and_then(|(_, info)| info.as_dict())
        .and_then(|info| info.get(b"Title"))
        .and_then(|name| document.dereference(name))
        .and_then(|(_, name)| pdf_extract::decode_text_string(name))
        .ok();
    spell_out_widths(&mut document);
    let mut pages = layout::Pages::default();
    if pdf_extract::output_doc(&document, &mut pages).is_err() {
        return if pages.is_too_long() { Outcome::Long } else { Outcome::Damaged };
    }
    match pages.finish() {
        Some(text) if text.len() > TEXT_BYTES => Outcome::Long,
        Some(text) => Outcome::Read(Converted { title: name.as_deref().and_then(title), text }),
        None => Outcome::Scanned,
    }
}

/// Writes widths that a font gives for a range of letters as one for each letter, which is all that the library reads: it
/// takes the others for nothing, and what stands apart for words of their own.
fn spell_out_widths(document: &mut Document) {
    let of_font = |font: &Dictionary| {
        let kind = font.get(b"Subtype").and_then(Object::as_name).ok()?;
        let widths = font.get(b"W").and_then(|widths| document.dereference(widths)).ok()?;
        kind.starts_with(b"CIDFont").then(|| spelled_out(widths.1.as_array().ok()?))?
    };
    let fonts: Vec<(ObjectId, Vec<Object>)> = document
        .objects
        .iter()
        .filter_map(|(id, object)| Some((*id, of_font(object.as_dict().ok()?)?)))
        .collect();
    for (id, widths) in fonts {
        if let Ok(font) = document.get_dictionary_mut(id) {
            font.set("W", widths);
        }
    }
}

fn spelled_out(widths: &[Object]) -> Option<Vec<Object>> {
    const LETTERS: i64 = 65_536;
    let mut out = Vec::with_capacity(widths.len());
    let mut rest = widths.iter();
    while let Some(first) = rest.next() {
        let next = rest.next()?;
        out.push(first.clone());
        if let Object::Array(_) = next {
            out.push(next.clone());
            continue;
        }
        let count = next.as_i64().ok()?.checked_sub(first.as_i64().ok()?)?.checked_add(1)?;
        let count = usize::try_from(count.clamp(0, LETTERS)).ok()?;
        out.push(Object::Array(vec![rest.next()?.clone(); count]));
    }
    Some(out)
}
