//! `rollcall history`: what happened to a user or group, and how it was at a time.

use clap::{Args, ValueEnum};
use http::Method;
use serde_json::{Map, Value};

use super::log::summary;
use super::operator::OperatorOptions;
use super::output;
use crate::limits::MAX_LOG_ENTRIES;
use crate::tenant::TenantName;

/// Printed below the help of `history`.
pub(super) const HISTORY_EXAMPLES: &str = "\
Examples:
  rollcall history acme user 2819c223-7f76-453a-919d-413861904646
  rollcall history acme group e9e30dba-f08f-4109-8486-d5c6a331660a --at 2027-01-31T12:00:00Z";

#[derive(Debug, Args)]
pub(super) struct HistoryOptions {
    /// The tenant
    tenant: TenantName,
    /// Whether it is a user or a group
    kind: HistoryKind,
    /// The id of the user or group
    id: String,
    /// Print the user or group as it was at that time, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// Print JSON, one entry a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

/// Of what the history is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum HistoryKind {
    User,
    Group,
}

pub(super) async fn run(options: HistoryOptions) -> Result<(), String> {
    let HistoryOptions { tenant, kind, id, at, json, operator } = options;
    let client = operator.open().await?;
    let resources = match kind {
        HistoryKind::User => "users",
        HistoryKind::Group => "groups",
    };
    let resource = format!("/tenants/{tenant}/{resources}/{}", super::segment(&id));
    if let Some(time) = at {
        let path = format!("{resource}?at={}", super::segment(&time.to_string()));
        let answer = client.ask(Method::GET, &path, None).await?;
        if answer.get("exact") == Some(&Value::Bool(false)) {
            errln!("The log lacks a change since then; the state may differ.");
        }
        outln!("{:#}", answer.get("resource").unwrap_or(&Value::Null));
        return Ok(());
    }
    let mut cursor = String::new();
    loop {
        let path = format!("{resource}/history?limit={MAX_LOG_ENTRIES}&cursor={cursor}");
        let answer = client.ask(Method::GET, &path, None).await?;
        for entry in output::items(&answer, "entries") {
            match json {
                true => outln!("{entry}"),
                false => out!("{}{}", summary(entry), changes(entry)),
            }
        }
        match answer.get("nextCursor").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(()),
        }
    }
}

/// What an entry says of attributes, one a line.
fn changes(entry: &Value) -> String {
    let fields = |name: &str| entry.get(name).and_then(Value::as_object);
    let (Some(after), nothing) = (fields("data"), Map::new()) else { return String::new() };
    let before = fields("before").unwrap_or(&nothing);
    let value = |value: Option<&Value>| value.filter(|value| !value.is_null()).map_or("-".to_owned(), Value::to_string);
    let line =
        |(name, to): (&String, &Value)| format!("    {name}: {} -> {}\n", value(before.get(name)), value(Some(to)));
    after.iter().map(line).collect()
}
