//! `rollcall restore`: undoes what a key did, what a hold has counted, or what happened to some users.

use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};

use super::operator::OperatorOptions;
use super::output::{items, text};
use super::progress::Progress;
use crate::tenant::TenantName;

/// Printed below the help of `restore`.
pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  rollcall restore acme --hold --dry-run
  rollcall restore acme --hold
  rollcall restore acme --key 7Qm2Xc0LrT9aVd --since 2027-01-31T12:00:00Z
  rollcall restore acme --user 2819c223-7f76-453a-919d-413861904646

You can run it again at any time: Rollcall skips what it has restored already.";

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["user", "key", "hold"]))]
pub(super) struct RestoreOptions {
    /// The tenant
    tenant: TenantName,
    /// Restore the user with that id; may be given several times
    #[arg(long, value_name = "ID", conflicts_with = "until")]
    user: Vec<String>,
    /// Undo what the key with that id did
    #[arg(long, value_name = "ID", requires = "since")]
    key: Option<String>,
    /// Undo what the protection has counted in the open windows, or in the window with that id
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "current", conflicts_with_all = ["since", "until"])]
    hold: Option<String>,
    /// Undo what happened since that time, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<jiff::Timestamp>,
    /// Undo what happened until that time
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    /// Print what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, one answer of the admin API a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

pub(super) async fn run(options: RestoreOptions) -> Result<(), String> {
    let mut body = options.body();
    let (is_json, is_plan, path) = (options.json, options.dry_run, format!("/tenants/{}/restore", options.tenant));
    let client = options.operator.open().await?;
    let (mut restored, mut unchanged, mut conflicts) = (0, 0, 0);
    let progress = Progress::counting();
    loop {
        let answer = client.ask(Method::POST, &path, Some(&body)).await?;
        restored += items(&answer, "restored").count();
        conflicts += items(&answer, "conflicts").count();
        unchanged += answer.get("unchanged").and_then(Value::as_u64).unwrap_or(0);
        progress.aside(|| {
            if is_json {
                return outln!("{answer}");
            }
            items(&answer, "restored").for_each(|change| outln!("{}", change_line(change, is_plan)));
            items(&answer, "conflicts").for_each(|conflict| outln!("{}", conflict_line(conflict)));
        });
        match answer.get("nextCursor").and_then(Value::as_str) {
            Some(cursor) => {
                progress.set(format!("{restored} so far"));
                body = json!({"cursor": cursor});
            }
            None => {
                progress.aside(|| errln!("{}", answer.get("note").and_then(Value::as_str).unwrap_or_default()));
                break;
            }
        }
    }
    drop(progress);
    let verb = if is_plan { "to restore" } else { "restored" };
    let sum = format!("{restored} {verb}, {unchanged} unchanged, {conflicts} conflicts");
    match conflicts > 0 && !is_plan {
        true => Err(format!("{sum}; the lines above state what to do")),
        false => {
            errln!("{sum}");
            Ok(())
        }
    }
}

impl RestoreOptions {
    fn body(&self) -> Value {
        let fields = [
            ("users", (!self.user.is_empty()).then(|| json!(self.user))),
            ("key", self.key.as_ref().map(|key| json!(key))),
            ("hold", self.hold.as_ref().map(|hold| json!(hold))),
            ("since", self.since.map(|time| json!(time.to_string()))),
            ("until", self.until.map(|time| json!(time.to_string()))),
            ("dryRun", self.dry_run.then(|| json!(true))),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

fn resource(line: &Value) -> String {
    let resource = line.get("resource").unwrap_or(&Value::Null);
    let name = resource.get("userName").or(resource.get("displayName")).and_then(Value::as_str).unwrap_or("-");
    format!("{} {} {name}", text(resource, "type").to_lowercase(), text(resource, "id"))
}

fn change_line(change: &Value, is_plan: bool) -> String {
    let mut parts = Vec::new();
    if change.get("wasDeleted") == Some(&Value::Bool(true)) {
        parts.push("was deleted".to_owned());
    }
    parts.extend(items(change, "attributes").map(|attribute| text(attribute, "name").to_owned()));
    for (name, sign) in [("joins", '+'), ("leaves", '-')] {
        let count = items(change, name).count();
        parts.extend((count > 0).then(|| format!("groups {sign}{count}")));
    }
    let verb = if is_plan { "restore" } else { "restored" };
    format!("{verb} {}: {}", resource(change), parts.join(", "))
}

fn conflict_line(conflict: &Value) -> String {
    let field = ["attribute", "group"].iter().find_map(|name| conflict.get(*name).and_then(Value::as_str));
    let field = field.map_or_else(String::new, |field| format!(" {field}"));
    format!("conflict {}{field}: {}: {}", resource(conflict), text(conflict, "reason"), text(conflict, "detail"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_changes_and_what_does_not() {
        let change = json!({"resource": {"type": "User", "id": "u", "userName": "bob"}, "wasDeleted": true,
            "attributes": [{"name": "active"}], "joins": ["g", "h"], "leaves": []});
        assert_eq!(change_line(&change, false), "restored user u bob: was deleted, active, groups +2");
        let conflict =
            json!({"resource": {"type": "Group", "id": "g"}, "reason": "busy", "detail": "again", "group": "h"});
        assert_eq!(conflict_line(&conflict), "conflict group g - h: busy: again");
    }
}
