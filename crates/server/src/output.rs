//! The one place that writes to the terminal.
//!
//! Results go to standard output, everything said about the work to standard
//! error, so that `-o json` can always be piped. When the reader of the output
//! goes away the command ends quietly.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::text::Lang;

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: exactly what the service answered.
    Json,
    /// For spreadsheets: what the table shows, as comma-separated values.
    Csv,
}

/// Where and how a command writes.
///
/// Only this type writes to the terminal, hence its methods take it even where
/// they need nothing of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// How results are written.
    pub(crate) format: Format,
    /// The language of everything for people.
    pub(crate) lang: Lang,
    /// Whether somebody watches standard error.
    pub(crate) is_watched: bool,
}

/// What a row shows of a thing.
#[derive(Clone, Copy)]
pub(crate) enum Show {
    /// What stands at this JSON pointer.
    At(&'static str),
    /// What this makes of it.
    With(fn(&Value) -> String),
}

impl Show {
    fn of(self, thing: &Value) -> String {
        match self {
            Self::At(pointer) => wire::text(thing, pointer),
            Self::With(show) => show(thing),
        }
    }
}

/// A heading and what stands under (or beside) it.
pub(crate) type Column = (String, Show);

#[expect(clippy::unused_self, reason = "writing goes through the one type that may write")]
impl Output {
    /// Output in this format and language; bars are drawn only on a terminal.
    pub(crate) fn new(format: Format, lang: Lang) -> Self {
        Self { format, lang, is_watched: io::stderr().is_terminal() }
    }

    /// Whether results are for programs.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line of a result.
    pub(crate) fn line(self, text: impl Display) -> Result<(), Failure> {
        written(writeln!(io::stdout().lock(), "{text}"))
    }

    /// Writes bytes of a result as they are.
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        written(io::stdout().lock().write_all(bytes))
    }

    /// Writes a result for programs.
    pub(crate) fn json(self, value: &Value) -> Result<(), Failure> {
        self.line(format_args!("{value:#}"))
    }

    /// Writes a list, one row per thing.
    pub(crate) fn list(self, things: &[Value], columns: &[Column]) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(&Value::Array(things.to_vec()));
        }
        let rows = things
            .iter()
            .map(|thing| columns.iter().map(|(_, show)| show.of(thing)).collect())
            .collect();
        self.rows(columns.iter().map(|(heading, _)| heading.clone()).collect(), rows)
    }

    /// Writes one thing, one line per particular; empty particulars are left out.
    pub(crate) fn show(self, thing: &Value, particulars: &[Column]) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(thing);
        }
        let rows = particulars
            .iter()
            .map(|(name, show)| vec![name.clone(), show.of(thing)])
            .filter(|row| !row[1].is_empty())
            .collect();
        self.rows(Vec::new(), rows)
    }

    /// Writes a table.
    pub(crate) fn rows(self, head: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), Failure> {
        if self.format == Format::Csv {
            let head = Some(head).filter(|head| !head.is_empty());
            return head.into_iter().chain(rows).try_for_each(|row| self.line(csv(&row)));
        }
        let lines = table(head, rows);
        if lines.is_empty() { Ok(()) } else { self.line(lines) }
    }

    /// Says something about the work. Nobody listening is no error.
    pub(crate) fn note(self, text: impl Display) {
        drop(writeln!(io::stderr().lock(), "{text}"));
    }
}

/// The lines of a table for people.
fn table(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if !head.is_empty() {
        table.set_header(head);
    }
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(|cell| tame(&cell))));
    // Blanks at the ends of lines only disturb in pipes.
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n")
}

/// A line of comma-separated values (RFC 4180). Texts that a spreadsheet would calculate stay texts: they get an
/// apostrophe in front.
pub(crate) fn csv(fields: &[impl AsRef<str>]) -> String {
    let quoted = |field: &str| {
        let mark = if is_formula(field) { "'" } else { "" };
        if field.contains(['"', ',', '\n', '\r']) {
            format!("\"{mark}{}\"", field.replace('"', "\"\""))
        } else {
            format!("{mark}{field}")
        }
    };
    fields.iter().map(|field| quoted(field.as_ref())).collect::<Vec<_>>().join(",")
}

/// Whether a spreadsheet takes the field for something to calculate. Numbers are none, and neither is a dash alone.
fn is_formula(field: &str) -> bool {
    field.starts_with(['=', '+', '-', '@', '\t', '\r'])
        && field.len() > 1
        && field.parse::<f64>().is_err()
}

/// The text without what a terminal would obey: names come from disks, hosts and other people.
fn tame(text: &str) -> String {
    let is_order = |of: char| {
        let turns_round = matches!(of, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        (of.is_control() && of != '\n') || turns_round
    };
    text.replace(is_order, "\u{fffd}")
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::PipeClosed,
            _ => Kind::Failed,
        };
        Failure::new(kind, "cannot write to standard output", error.to_string())
    })
}

/// Bytes for people, in binary units.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::{csv, table, tame};

    /// BAK-55: what a field holds is one field again where it is read.
    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let fields = ["plain", "", "a, b", "say \"x\"", "two\nlines", "备份"].map(str::to_owned);
        let want = "plain,,\"a, b\",\"say \"\"x\"\"\",\"two\nlines\",备份";
        assert_eq!(csv(&fields), want);
    }

    /// Names are other people's: a spreadsheet calculates none of them, and a terminal obeys none.
    #[test]
    fn texts_stay_texts() {
        let fields = ["=1+1", "@SUM(A1)", "+x", "-x, y", "-5", "+2.5", "-", "a=b", "\t=1"];
        let want = "'=1+1,'@SUM(A1),'+x,\"'-x, y\",-5,+2.5,-,a=b,'\t=1";
        assert_eq!(csv(&fields), want);
        assert_eq!(tame("a\u{1b}[2Jb\u{202e}c\r\u{7}"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}");
        let told = table(vec!["name".into()], vec![vec!["a\u{1b}[2J".into()], vec!["b".into()]]);
        assert_eq!(told, "name\na\u{fffd}[2J\nb");
        assert_eq!(tame("备份 \n–é"), "备份 \n–é");
    }
}
