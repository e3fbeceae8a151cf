//! Pages. Tags are read as browsers read them, one after the other and without a tree, so that no depth is too deep.

use html5gum::{HtmlString, State, Token, Tokenizer};

use super::{Converted, Growing, one_line, title};
use crate::error::Fault;

/// Makes a text of a page.
pub(super) fn convert(page: &str) -> Result<Converted, Fault> {
    let mut tokens = Tokenizer::new(page);
    let mut writer = Writer::default();
    while let Some(Ok(token)) = tokens.next() {
        match token {
            Token::StartTag(tag) => {
                let name = name(&tag.name);
                writer.start(name, tag.self_closing)?;
                if let Some(state) = content(name) {
                    tokens.set_state(state);
                }
            }
            Token::EndTag(tag) => writer.end(name(&tag.name))?,
            Token::String(text) => writer.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    writer.flush()?;
    let title = writer.title.take().and_then(|text| title(&text));
    writer
        .out
        .finish(title, "The page has no text outside of scripts. Save what a browser shows, and send that.")
}

fn name(name: &HtmlString) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

/// How what stands in an element is read, where that is not as tags.
fn content(name: &str) -> Option<State> {
    match name {
        "title" | "textarea" => Some(State::RcData),
        "script" => Some(State::ScriptData),
        "style" | "iframe" | "noembed" | "noframes" | "xmp" => Some(State::RawText),
        "plaintext" => Some(State::PlainText),
        _ => None,
    }
}

/// Whether nobody reads what stands in an element.
fn is_unread(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "template"
            | "noscript"
            | "svg"
            | "math"
            | "iframe"
            | "object"
            | "canvas"
            | "audio"
            | "video"
            | "select"
            | "textarea"
            | "noembed"
            | "noframes"
    )
}

/// Whether an element begins a line of its own.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "head"
            | "header"
            | "hr"
            | "html"
            | "legend"
            | "li"
            | "main"
            | "menu"
            | "nav"
            | "ol"
            | "p"
            | "section"
            | "summary"
            | "ul"
    )
}

fn heading(name: &str) -> Option<usize> {
    ["h1", "h2", "h3", "h4", "h5", "h6"].iter().position(|known| *known == name).map(|at| at + 1)
}

/// What the open line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Paragraph,
    Heading(usize),
    Item,
    Term,
    Code,
}

/// A table that is open.
#[derive(Debug, Default)]
struct Table {
    cells: Vec<String>,
    in_cell: bool,
    /// Whether the open row has cells that head nothing.
    has_values: bool,
    rows: usize,
    /// Whether it only arranges blocks, as its cells hold headings, lists or tables.
    arranges: bool,
}

#[derive(Debug, Default)]
struct Writer {
    out: Growing,
    title: Option<String>,
    in_title: bool,
    /// The element that nobody reads, and how often it is open.
    unread: Option<(String, usize)>,
    text: String,
    line: Line,
    /// The open lists: the number of the last item, none where they have none.
    lists: Vec<Option<usize>>,
    tables: Vec<Table>,
    last: Line,
}

/// Lists and tables that are told apart at the most.
const NESTED: usize = 20;

impl Writer {
    fn start(&mut self, name: &str, closed: bool) -> Result<(), Fault> {
        if let Some((unread, depth)) = &mut self.unread {
            *depth += usize::from(name == unread && !closed);
            return Ok(());
        }
        if is_unread(name) {
            // Only drawings and formulas may close themselves.
            if !(closed && matches!(name, "svg" | "math")) {
                self.unread = Some((name.to_owned(), 1));
            }
            return Ok(());
        }
        if let Some(level) = heading(name) {
            self.arrange()?;
            self.flush()?;
            self.line = Line::Heading(level);
            return Ok(());
        }
        match name {
            "title" if self.title.is_none() => {
                self.title = Some(String::new());
                self.in_title = true;
            }
            "br" => self.text.push('\n'),
            "pre" => {
                self.break_line()?;
                self.line = Line::Code;
            }
            "ul" | "ol" | "menu" => {
                self.arrange()?;
                self.flush()?;
                if self.lists.len() < NESTED {
                    self.lists.push((name == "ol").then_some(0));
                }
            }
            "li" => {
                self.break_line()?;
                if let Some(Some(number)) = self.lists.last_mut() {
                    *number += 1;
                }
                self.line = Line::Item;
            }
            "dt" => {
                self.break_line()?;
                self.line = Line::Term;
            }
            "dd" => {
                self.break_line()?;
                self.line = Line::Item;
            }
            "table" => {
                self.arrange()?;
                self.flush()?;
                if self.tables.len() < NESTED {
                    self.tables.push(Table::default());
                }
            }
            "tr" => self.end_row()?,
            "td" | "th" => {
                self.end_cell()?;
                if let Some(table) = self.tables.last_mut() {
                    table.in_cell = true;
                    table.has_values |= name == "td";
                }
            }
            _ if is_block(name) => self.break_line()?,
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), Fault> {
        if let Some((unread, depth)) = &mut self.unread {
            if name == unread {
                *depth -= 1;
                if *depth == 0 {
                    self.unread = None;
                }
            }
            return Ok(());
        }
        match name {
            "title" => self.in_title = false,
            "ul" | "ol" | "menu" => {
                self.flush()?;
                self.lists.pop();
            }
            "td" | "th" => self.end_cell()?,
            "tr" => self.end_row()?,
            "table" => {
                self.end_row()?;
                self.tables.pop();
                self.last = Line::Paragraph;
            }
            "pre" => self.flush()?,
            _ if is_block(name) || heading(name).is_some() => self.break_line()?,
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.unread.is_some() {
            return;
        }
        if self.in_title {
            if let Some(title) = &mut self.title {
                title.push_str(text);
            }
        } else if self.line == Line::Code {
            self.text.push_str(text);
        } else {
            // A line break in the source is a space, and one in the text is a break.
            self.text.extend(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }));
        }
    }

    /// The cell that text goes into, if one does.
    fn cell(&mut self) -> Option<&mut Table> {
        self.tables.last_mut().filter(|table| table.in_cell && !table.arranges)
    }

    /// Ends the open line, unless it is a cell's, which is one line whatever is in it.
    fn break_line(&mut self) -> Result<(), Fault> {
        if self.cell().is_some() {
            self.text.push(' ');
            return Ok(());
        }
        self.flush()
    }

    /// A table with headings, lists or tables in its cells only arranges them: its cells are blocks like any others.
    fn arrange(&mut self) -> Result<(), Fault> {
        let Some(table) = self.cell() else { return Ok(()) };
        table.arranges = true;
        let cells = std::mem::take(&mut table.cells);
        for cell in cells {
            self.write(&cell)?;
        }
        Ok(())
    }

    fn end_cell(&mut self) -> Result<(), Fault> {
        let Some(table) = self.cell() else { return self.flush() };
        table.in_cell = false;
        let text = one_line(&std::mem::take(&mut self.text));
        if let Some(table) = self.tables.last_mut() {
            table.cells.push(text);
        }
        self.line = Line::Paragraph;
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), Fault> {
        self.end_cell()?;
        let Some(table) = self.tables.last_mut() else { return Ok(()) };
        table.in_cell = false;
        let heads = !std::mem::take(&mut table.has_values) && table.rows == 0;
        let cells = std::mem::take(&mut table.cells);
        if cells.iter().all(String::is_empty) {
            return Ok(());
        }
        let (first, count) = (table.rows == 0, cells.len());
        table.rows += 1;
        let row = format!("| {} |", cells.join(" | "));
        if first {
            self.out.block(&row)?;
        } else {
            self.out.line(&row)?;
        }
        if heads {
            self.out.line(&format!("|{}", "---|".repeat(count)))?;
        }
        Ok(())
    }

    /// Ends the open line.
    fn flush(&mut self) -> Result<(), Fault> {
        let text = std::mem::take(&mut self.text);
        if self.line == Line::Code {
            self.line = Line::Paragraph;
            let text = text.trim_matches(['\n', '\r']).trim_end();
            self.last = Line::Code;
            return if text.is_empty() { Ok(()) } else { self.out.block(&format!("```\n{text}\n```")) };
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> Result<(), Fault> {
        let lines: Vec<String> = text.split('\n').map(one_line).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return Ok(());
        }
        let indent = "  ".repeat(self.lists.len().saturating_sub(1));
        let line = std::mem::take(&mut self.line);
        // Blocks that belong together stand together.
        let follows = matches!(line, Line::Item) && matches!(self.last, Line::Item | Line::Term);
        let block = match line {
            Line::Heading(level) => format!("{} {}", "#".repeat(level), lines.join(" ")),
            Line::Item => {
                let marker = match self.lists.last() {
                    Some(Some(number)) => format!("{number}. "),
                    _ => "- ".to_owned(),
                };
                format!("{indent}{marker}{}", lines.join(" "))
            }
            Line::Term => {
                let term = lines.join(" ");
                if term.ends_with([':', '?', '.', '!']) { term } else { format!("{term}:") }
            }
            // Two spaces at a line's end keep its break.
            Line::Paragraph | Line::Code => lines.join("  \n"),
        };
        self.last = line;
        if follows { self.out.line(&block) } else { self.out.block(&block) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FaultCode;

    fn text(page: &str) -> String {
        convert(page).unwrap().text
    }

    #[test]
    fn headings_paragraphs_and_lists_are_marked_and_the_rest_is_text() {
        let page = "<!doctype html><html><head><title>Das \n Büro &amp; wir</title><style>p{color:red}</style>
            <script>document.write('<p>no</p>')</script></head><body><nav><a href='/x'>Start</a></nav>
            <h1>Das <em>Büro</em></h1><p>Geöffnet von 8 bis&nbsp;18&nbsp;Uhr,<br>samstags <a href=\"/zu\">geschlossen</a>.
            <p>Anfahrt:<ul><li>U-Bahn<li>Bus<ol><li>Linie 4</ol></ul><svg><text>no</text></svg>
            <h2>Fragen</h2><dl><dt>Wo?<dd>Hier.<dt>Schlüssel<dd>Am Empfang.</dl><template>no</template>";
        let converted = convert(page).unwrap();
        assert_eq!(converted.title.as_deref(), Some("Das Büro & wir"));
        assert_eq!(
            converted.text,
            "Start\n\n# Das Büro\n\nGeöffnet von 8 bis 18 Uhr,  \nsamstags geschlossen.\n\nAnfahrt:\n\n- U-Bahn\n- Bus\n  \
             1. Linie 4\n\n## Fragen\n\nWo?\n- Hier.\n\nSchlüssel:\n- Am Empfang."
        );
    }

    #[test]
    fn tables_of_values_are_rows_and_tables_that_arrange_are_not() {
        let table = "<table><thead><tr><th>Raum<th>Plätze</thead><tr><td><p>Nord</p><td>12<tr><td>Süd</td><td>8</td></tr>
            </table><p>Mehr.";
        assert_eq!(text(table), "| Raum | Plätze |\n|---|---|\n| Nord | 12 |\n| Süd | 8 |\n\nMehr.");
        let page = "<table><tr><td>Links<td><h1>Haus</h1><p>Text.<table><tr><td>a<td>b</table></table>Ende";
        assert_eq!(text(page), "Links\n\n# Haus\n\nText.\n\n| a | b |\n\nEnde");
    }

    #[test]
    fn code_keeps_its_lines() {
        assert_eq!(text("<p>So:<pre>\n  a &lt; b\n\tc</pre>Gut."), "So:\n\n```\n  a < b\n\tc\n```\n\nGut.");
    }

    #[test]
    fn what_is_broken_or_hostile_is_only_text() {
        assert_eq!(text("a < b &amp & c </p></td></table></li> d"), "a < b & & c\n\nd");
        assert_eq!(text("<p>before<script>let a = '</p>';"), "before");
        let deep = format!("{}deep{}", "<div><ul><li><table><tr><td>".repeat(50_000), "</div>".repeat(9));
        assert!(text(&deep).ends_with("deep"));
        for empty in ["", "<script>alert(1)</script>", "<p> </p><!-- x -->"] {
            assert_eq!(convert(empty).unwrap_err().code, FaultCode::Required, "{empty:?}");
        }
        let long = format!("<p>{}", "word ".repeat(450_000));
        assert_eq!(convert(&long).unwrap_err().code, FaultCode::TooLong);
    }
}
