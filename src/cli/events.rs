//! `rollcall events` and `rollcall consume`: what has happened to a tenant's users and groups.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::Value;

use super::operator::{OperatorClient, OperatorOptions};
use crate::limits::{MAX_EVENT_WAIT_SECONDS, MAX_EVENTS};
use crate::tenant::TenantName;

/// How long a consumer waits before it runs a command again that has failed, or asks a server again.
const PAUSE: Duration = Duration::from_secs(2);

/// Printed below the help of `events`.
pub(super) const EVENTS_EXAMPLES: &str = "\
Examples:
  rollcall events acme --since 2027-01-31T12:00:00Z
  rollcall events acme --follow --types 'user.*'";

/// Printed below the help of `consume`.
pub(super) const CONSUME_EXAMPLES: &str = "\
Example:
  rollcall consume acme --exec ./on-event.sh

The command gets the event as JSON on standard input, and its type in ROLLCALL_EVENT_TYPE. If it fails,
rollcall runs it again for the same event after 2 seconds; with --once, rollcall stops instead.";

#[derive(Debug, Args)]
pub(super) struct EventsOptions {
    /// The tenant
    tenant: TenantName,
    /// Continue with new events, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Begin with the events since that time, such as 2027-01-31T12:00:00Z; without it, with the oldest event
    #[arg(long, value_name = "TIME")]
    since: Option<jiff::Timestamp>,
    /// Only these types, separated by commas, such as 'user.*,group.deleted'
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Args)]
pub(super) struct ConsumeOptions {
    /// The tenant
    tenant: TenantName,
    /// The command to run for each event, by the shell
    #[arg(long, value_name = "COMMAND")]
    exec: String,
    /// The file that holds the position in the feed; by default rollcall-TENANT.cursor in this folder
    #[arg(long, value_name = "FILE")]
    cursor: Option<PathBuf>,
    /// Only these types, separated by commas, such as 'user.*,group.deleted'
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,
    /// Stop when there are no more events
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

/// Prints events, one a line.
pub(super) async fn events(options: EventsOptions) -> Result<(), String> {
    let mut feed = Feed { client: options.operator.open().await?, tenant: options.tenant, types: options.types };
    let mut query =
        options.since.map_or_else(String::new, |since| format!("&since={}", super::segment(&since.to_string())));
    loop {
        let page = feed.page(&query, options.follow).await?;
        let mut out = std::io::stdout().lock();
        for event in &page.events {
            writeln!(out, "{event}").and_then(|()| out.flush()).map_err(|e| e.to_string())?;
        }
        if page.is_caught_up && !options.follow {
            return Ok(());
        }
        query = format!("&cursor={}", page.next);
    }
}

/// Runs a command for each event, and notes after each where it is.
pub(super) async fn consume(options: ConsumeOptions) -> Result<(), String> {
    let file = options.cursor.unwrap_or_else(|| PathBuf::from(format!("rollcall-{}.cursor", options.tenant)));
    let mut feed = Feed { client: options.operator.open().await?, tenant: options.tenant, types: options.types };
    let mut place = ConsumerPlace::read(&file)?;
    loop {
        let query = if place.cursor.is_empty() { String::new() } else { format!("&cursor={}", place.cursor) };
        let page = feed.page(&query, !options.once).await?;
        let after = page.events.iter().position(|event| id(event) == place.event).map_or(0, |at| at + 1);
        for event in page.events.iter().skip(after) {
            while let Err(why) = run(&options.exec, event) {
                if options.once {
                    return Err(format!(
                        "{why}; correct the command and run consume again, which begins with this event"
                    ));
                }
                errln!("{why}; rollcall runs it again for this event");
                tokio::time::sleep(PAUSE).await;
            }
            id(event).clone_into(&mut place.event);
            place.write(&file)?;
        }
        if page.next != place.cursor {
            place = ConsumerPlace { cursor: page.next, event: String::new() };
            place.write(&file)?;
        }
        if page.is_caught_up && options.once {
            return Ok(());
        }
    }
}

fn id(event: &Value) -> &str {
    event.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// Where a consumer is: the cursor of a page, and the last event of that page that is done.
#[derive(Debug, Default)]
struct ConsumerPlace {
    cursor: String,
    event: String,
}

impl ConsumerPlace {
    fn read(file: &Path) -> Result<Self, String> {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let mut lines = text.lines().map(str::to_owned);
                Ok(Self { cursor: lines.next().unwrap_or_default(), event: lines.next().unwrap_or_default() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", file.display())),
        }
    }

    /// The old file or the new one is there, whenever the process dies.
    fn write(&self, file: &Path) -> Result<(), String> {
        let mut new = file.as_os_str().to_owned();
        new.push(".new");
        let text = format!("{}\n{}\n", self.cursor, self.event);
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, file));
        written.map_err(|e| format!("{}: {e}", file.display()))
    }
}

fn run(command: &str, event: &Value) -> Result<(), String> {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("ROLLCALL_EVENT_TYPE", kind)
        .env("ROLLCALL_EVENT_ID", id(event))
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{command}: {e}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read its input is in order.
        let _ = writeln!(input, "{event}");
    }
    let status = child.wait().map_err(|e| format!("{command}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command}: {status}")) }
}

/// The feed of a tenant, as an operator reads it.
struct Feed {
    client: OperatorClient,
    tenant: TenantName,
    types: Option<String>,
}

struct Page {
    events: Vec<Value>,
    next: String,
    is_caught_up: bool,
}

impl Feed {
    async fn page(&mut self, query: &str, waits: bool) -> Result<Page, String> {
        let wait = if waits { MAX_EVENT_WAIT_SECONDS } else { 0 };
        let types = self.types.as_deref().map_or_else(String::new, |types| format!("&types={}", super::segment(types)));
        let limit = MAX_EVENTS / 10;
        let path = format!("/tenants/{}/events?limit={limit}&wait={wait}{types}{query}", self.tenant);
        let mut answer = self.client.ask(Method::GET, &path, None).await?;
        let events = match answer.get_mut("events").map(Value::take) {
            Some(Value::Array(events)) => events,
            _ => return Err("the answer has no events; check that the server is a Rollcall of this version".to_owned()),
        };
        let next = answer.get("nextCursor").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Page { events, next, is_caught_up: answer.get("caughtUp") == Some(&Value::Bool(true)) })
    }
}
