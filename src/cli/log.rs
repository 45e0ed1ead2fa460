//! `rollcall log`: what has happened at a tenant, what was refused and what operators did; and whether the log is whole.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::operator::{OperatorClient, OperatorOptions};
use super::output;
use crate::admin::log::{csv_header, csv_line};
use crate::app::Clock;
use crate::limits::MAX_LOG_ENTRIES;
use crate::store::model::chain::{ChainExamination, ChainHead, ChainRow, SoundChain};
use crate::tenant::TenantName;

/// The lanes that have a hash chain: letter, and what their events are of.
const LANES: [(&str, &str); 2] = [("u", "users"), ("g", "groups")];

/// Printed below the help of `log`.
pub(super) const LOG_EXAMPLES: &str = "\
Examples:
  rollcall log acme --kind refusal --since 2027-01-31T12:00:00Z
  rollcall log acme --user 2819c223-7f76-453a-919d-413861904646
  rollcall log acme --csv > acme.csv
  rollcall log verify acme

Exit status of verify:
  0  every row of the chains is as it was written
  1  a row was altered or is missing
  2  the log could not be examined";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct LogOptions {
    #[command(subcommand)]
    command: Option<LogCommand>,
    /// The tenant
    #[arg(required = true)]
    tenant: Option<TenantName>,
    /// Only what came since that time, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<jiff::Timestamp>,
    /// Only what came until that time
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    /// Only entries of that kind
    #[arg(long, value_parser = ["change", "refusal", "admin"])]
    kind: Option<String>,
    /// Only requests refused with that status, such as 409 or 4xx
    #[arg(long)]
    status: Option<String>,
    /// Only what concerns the user with that id
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only what concerns the group with that id
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Only what the key with that id did
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only the request with that id
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Print JSON, one entry a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Examine the hash chains of a tenant's log: whether a row was altered or deleted
    Verify {
        /// The tenant
        tenant: TenantName,
        #[command(flatten)]
        operator: Box<OperatorOptions>,
    },
}

/// Prints the log of a tenant, newest first, or examines it; the status to exit with.
pub(super) async fn run(options: LogOptions) -> Result<ExitCode, String> {
    match options.command {
        Some(LogCommand::Verify { tenant, operator }) => Ok(verify(&tenant, *operator).await),
        None => print(options).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn print(options: LogOptions) -> Result<(), String> {
    let tenant = options.tenant.as_ref().map_or("", TenantName::as_str).to_owned();
    let query = options.query();
    let client = options.operator.open().await?;
    let line: fn(&Value) -> String = match (options.json, options.csv) {
        (true, _) => |entry| format!("{entry}\n"),
        (_, true) => csv_line,
        _ => summary,
    };
    let mut out = std::io::stdout();
    let mut show = |text: &str| out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| e.to_string());
    if options.csv {
        show(&csv_header())?;
    }
    let mut cursor = String::new();
    loop {
        let path = format!("/tenants/{tenant}/log?limit={MAX_LOG_ENTRIES}{query}&cursor={cursor}");
        let answer = client.ask(Method::GET, &path, None).await?;
        output::items(&answer, "entries").try_for_each(|entry| show(&line(entry)))?;
        match answer.get("nextCursor").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(()),
        }
    }
}

impl LogOptions {
    fn query(&self) -> String {
        let time = |time: &Option<jiff::Timestamp>| time.map(|time| time.to_string());
        let filters = [
            ("since", time(&self.since)),
            ("until", time(&self.until)),
            ("kind", self.kind.clone()),
            ("status", self.status.clone()),
            ("user", self.user.clone()),
            ("group", self.group.clone()),
            ("key", self.key.clone()),
            ("request", self.request.clone()),
        ];
        let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        filters.map(|(name, value)| format!("&{name}={}", super::segment(&value))).collect()
    }
}

/// An entry for people: when, what, to what, by whom, and why it was refused.
pub(super) fn summary(entry: &Value) -> String {
    let text = |places: &[&str]| {
        let found = places.iter().find_map(|place| entry.pointer(place));
        found.map_or_else(|| "-".to_owned(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let what = match entry.get("status") {
        Some(status) => format!("{status} {} {}", text(&["/method"]), text(&["/route"])),
        None => text(&["/type"]),
    };
    let whom = text(&["/user/userName", "/resource/userName", "/resource/displayName", "/resource/id", "/target"]);
    let by = text(&["/actor/description", "/actor/key", "/actor/client"]);
    let why = entry.get("detail").and_then(Value::as_str).map_or_else(String::new, |detail| format!("  {detail}"));
    format!("{}  {what}  {whom}  by {by}{why}\n", text(&["/timestamp"]))
}

async fn verify(tenant: &TenantName, operator: OperatorOptions) -> ExitCode {
    let client = match operator.open().await {
        Ok(client) => client,
        Err(why) => return unexamined(&why),
    };
    let mut is_sound = true;
    for (lane, name) in LANES {
        match examine(&client, tenant, lane).await {
            Err(why) => return unexamined(&why),
            Ok(Err(why)) => {
                is_sound = false;
                outln!("{name}: broken: {why}");
            }
            Ok(Ok((sound, head))) => {
                let of_before = match sound.unchained {
                    0 => String::new(),
                    rows => format!("; {rows} rows of before the chain"),
                };
                outln!("{name}: sound: {} rows{of_before}; head {}", sound.rows, head.as_deref().unwrap_or("-"));
            }
        }
    }
    if is_sound { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn unexamined(why: &str) -> ExitCode {
    errln!("rollcall: {why}");
    ExitCode::from(2)
}

/// What the examination of a lane came to: how many rows there are and the hash of the last one, or where it is broken.
type Examined = Result<(SoundChain, Option<String>), String>;

/// Examines a lane, page by page.
///
fn unreadable(error: &serde_json::Error) -> String {
    format!("the answer is not of this release ({error}); use the release of the server")
}

/// # Errors
/// When it could not be read.
async fn examine(client: &OperatorClient, tenant: &TenantName, lane: &str) -> Result<Examined, String> {
    let mut examination = ChainExamination::default();
    let mut cursor = String::new();
    loop {
        let path = format!("/tenants/{tenant}/log/chain?lane={lane}&cursor={}", super::segment(&cursor));
        let mut answer = client.ask(Method::GET, &path, None).await?;
        let mut part = |name: &str| answer.get_mut(name).map(Value::take).unwrap_or_default();
        let rows: Vec<ChainRow> = serde_json::from_value(part("rows")).map_err(|e| unreadable(&e))?;
        let head: Option<ChainHead> = serde_json::from_value(part("head")).map_err(|e| unreadable(&e))?;
        let now = Clock::System.now().as_second();
        if let Err(why) = rows.iter().try_for_each(|row| examination.add(row, now)) {
            return Ok(Err(why));
        }
        match part("nextCursor").as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => {
                let sound = examination.end(head.as_ref());
                return Ok(sound.map(|sound| (sound, head.map(|head| head.hash))));
            }
        }
    }
}
