//! What commands print: aligned tables for people, JSON for programs.

use std::fmt;
use std::io::{ErrorKind, Write};

use clap::Args;
use comfy_table::{Table, presets};
use serde_json::{Map, Value};

/// Prints. A closed pipe is ignored: whoever goes on without a reader prints into nothing. Where output is lost for another
/// reason, such as a full disk, the process ends with status 1.
pub(super) fn write(mut to: impl Write, text: fmt::Arguments<'_>) {
    match to.write_fmt(text).and_then(|()| to.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(std::io::stderr(), "rollcall: the output cannot be written ({e}); free space on the disk");
            std::process::exit(1);
        }
        _ => {}
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct OutputOptions {
    /// Print JSON, as the admin API returns it
    #[arg(long)]
    json: bool,
}

impl OutputOptions {
    /// Prints the rows of a list: the fields in that order, or the whole answer as JSON.
    pub(super) fn list(self, answer: &Value, name: &str, columns: &[&str]) {
        if self.json {
            return print_json(answer);
        }
        let rows = items(answer, name).map(|row| columns.iter().map(|column| cell(row.get(*column))).collect());
        outln!("{}", table(Some(columns), rows));
    }

    /// Prints the fields of one resource, one a line, or the whole answer as JSON.
    pub(super) fn show(self, answer: &Value) {
        if self.json {
            return print_json(answer);
        }
        let fields = answer.as_object().into_iter().flatten();
        outln!("{}", table(None, fields.flat_map(|(name, value)| lines(name, value))));
    }
}

/// A text of an answer, or a hyphen.
pub(super) fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer.get(name).and_then(Value::as_str).unwrap_or("-")
}

/// The items of a list in an answer.
pub(super) fn items<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn print_json(answer: &Value) {
    outln!("{answer:#}");
}

/// Columns two blanks apart, without lines, so that a row stays a line and its first word is the id.
pub(super) fn table(header: Option<&[&str]>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(columns) = header {
        table.set_header(columns.iter().map(|column| column.to_uppercase()));
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The lines of a field: one for each field of an object.
fn lines(name: &str, value: &Value) -> Vec<Vec<String>> {
    match value {
        Value::Object(fields) => inner(fields),
        value => vec![vec![name.to_owned(), cell(Some(value))]],
    }
}

fn inner(fields: &Map<String, Value>) -> Vec<Vec<String>> {
    fields.iter().map(|(name, value)| vec![name.clone(), cell(Some(value))]).collect()
}

/// A value in a table.
pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) if values.is_empty() => "-".to_owned(),
        Some(Value::Array(values)) => values.iter().map(|value| cell(Some(value))).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_a_line_with_the_id_first_and_columns_aligned() {
        let rows = [json!({"id": "a", "scopes": ["read", "write"]}), json!({"id": "longer", "active": true})];
        let rows = rows.iter().map(|row| ["id", "scopes", "active"].map(|name| cell(row.get(name))).to_vec());
        assert_eq!(
            table(Some(&["id", "scopes", "active"]), rows),
            "ID      SCOPES      ACTIVE\na       read,write  -\nlonger  -           true"
        );
    }
}
