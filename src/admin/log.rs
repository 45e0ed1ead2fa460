//! The log of a tenant in other forms than JSON.

use serde_json::Value;

/// The columns of the log as CSV: the name, and where an entry has the value. The first place that has one counts.
const COLUMNS: &[(&str, &[&str])] = &[
    ("timestamp", &["/timestamp"]),
    ("kind", &["/kind"]),
    ("type", &["/type"]),
    ("id", &["/id"]),
    ("request", &["/request"]),
    ("key", &["/actor/key"]),
    ("keyState", &["/actor/keyState"]),
    ("keyDescription", &["/actor/description"]),
    ("automationUser", &["/actor/automationUser"]),
    ("client", &["/actor/client"]),
    ("how", &["/how"]),
    ("resourceType", &["/resource/type"]),
    ("resource", &["/resource/id", "/target"]),
    ("name", &["/resource/userName", "/resource/displayName"]),
    ("member", &["/user/id", "/memberGroup/id"]),
    ("memberName", &["/user/userName", "/memberGroup/displayName"]),
    ("method", &["/method"]),
    ("route", &["/route"]),
    ("status", &["/status"]),
    ("code", &["/code"]),
    ("scimType", &["/scimType"]),
    ("detail", &["/detail"]),
    ("milliseconds", &["/milliseconds"]),
    ("rules", &["/rules"]),
    ("suppressed", &["/suppressed"]),
    ("changed", &["/changed"]),
    ("before", &["/before"]),
    ("after", &["/after", "/data"]),
];

/// The names of the columns, as the first line of a file (RFC 4180).
pub fn csv_header() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    format!("{}\r\n", names.join(","))
}

/// An entry of the log as a line of CSV (RFC 4180).
pub fn csv_line(entry: &Value) -> String {
    let cell = |(_, places): &(&str, &[&str])| {
        let value = places.iter().find_map(|place| entry.pointer(place));
        quoted(&value.map_or_else(String::new, plain))
    };
    format!("{}\r\n", COLUMNS.iter().map(cell).collect::<Vec<_>>().join(","))
}

/// A value as a cell shows it: a list with blanks between, an object as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A cell, quoted if it must be. Spreadsheets take a cell that begins like a formula for one: an apostrophe before it
/// makes it text.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    match cell.contains(['"', ',', '\n', '\r']) || is_formula {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_no_formula() {
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"so\"\nnow"), "\"say \"\"so\"\"\nnow\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("@x"), "\"'@x\"");
    }

    #[test]
    fn a_line_has_a_cell_for_each_column() {
        let entry = json!({"kind": "refusal", "status": 409, "rules": ["a", "b"], "target": "u1", "detail": "x"});
        let line = csv_line(&entry);
        assert_eq!(line.matches(',').count(), csv_header().matches(',').count());
        assert!(line.starts_with(",refusal,") && line.contains(",409,") && line.contains(",a b,"), "{line}");
        assert!(line.contains(",u1,"), "{line}");
    }
}
