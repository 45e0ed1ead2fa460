//! `rollcall hold`: what the protection of a tenant holds, and whether it goes on.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::change::ChangeOptions;
use super::operator::OperatorOptions;
use super::output::{OutputOptions, items};
use crate::tenant::TenantName;

#[derive(Debug, Subcommand)]
pub(super) enum HoldCommand {
    /// Show how many users and members lost access in the open windows, and the bounds
    Show {
        /// The tenant
        tenant: TenantName,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Lift the bounds until the open windows end, and for two hours at least
    Approve {
        #[command(flatten)]
        target: HoldTarget,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Hold the requests that remove access until the open windows end
    Reject {
        #[command(flatten)]
        target: HoldTarget,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Let a number of further removals through
    Once {
        #[command(flatten)]
        target: HoldTarget,
        /// How many more users, or members of the group, may lose access
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

/// Of what is decided.
#[derive(Debug, Args)]
pub(super) struct HoldTarget {
    /// The tenant
    tenant: TenantName,
    /// Decide only about removals from this group
    #[arg(long, value_name = "ID")]
    group: Option<String>,
}

pub(super) async fn run(command: HoldCommand) -> Result<(), String> {
    match command {
        HoldCommand::Show { tenant, output, operator } => {
            let answer = operator.open().await?.ask(Method::GET, &format!("/tenants/{tenant}/hold"), None).await?;
            output.list(&answer, "windows", &["id", "kind", "group", "count", "bound", "left", "decision", "until"]);
            Ok(())
        }
        HoldCommand::Approve { target, change } => decide(change, target, "approve", None).await,
        HoldCommand::Reject { target, change } => decide(change, target, "reject", None).await,
        HoldCommand::Once { target, count, change } => decide(change, target, "once", Some(count)).await,
    }
}

async fn decide(change: ChangeOptions, target: HoldTarget, action: &str, count: Option<u32>) -> Result<(), String> {
    let mut body = Map::from_iter([("action".to_owned(), json!(action))]);
    body.extend(count.map(|count| ("count".to_owned(), json!(count))));
    body.extend(target.group.map(|group| ("group".to_owned(), json!(group))));
    let path = format!("/tenants/{}/hold", target.tenant);
    let client = change.open().await?;
    let answer = client.ask(Method::POST, &path, Some(&Value::Object(body))).await?;
    let open = items(&answer, "windows").count();
    client.report(&format!("Recorded the decision {action} for {}. Windows that are open: {open}.", target.tenant));
    Ok(())
}
