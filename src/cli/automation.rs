//! `rollcall automation`: the users in whose name keys act.

use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::change::ChangeOptions;
use super::operator::OperatorOptions;
use super::output::OutputOptions;
use super::segment;
use crate::tenant::TenantName;

#[derive(Debug, Subcommand)]
pub(super) enum AutomationCommand {
    /// Create an automation user; the keys that act in its name work once it is active
    #[command(alias = "add")]
    Create {
        /// The tenant
        tenant: TenantName,
        /// Its name; for /Me, the userName of a user of the tenant
        name: String,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Record that an automation user has signed in for the first time; create it if it is missing
    Activate {
        /// The tenant
        tenant: TenantName,
        /// Its name
        name: String,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// List the automation users of a tenant
    List {
        /// The tenant
        tenant: TenantName,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        operator: OperatorOptions,
    },
}

pub(super) async fn run(command: AutomationCommand) -> Result<(), String> {
    match command {
        AutomationCommand::Create { tenant, name, change } => {
            let done = format!("Created {name}. Once it has signed in: rollcall automation activate {tenant} {name}");
            put(change, (&tenant, &name), false, &done).await?;
        }
        AutomationCommand::Activate { tenant, name, change } => {
            put(change, (&tenant, &name), true, &format!("{name} is active, and so are its keys.")).await?;
        }
        AutomationCommand::List { tenant, output, operator } => {
            let operator = operator.open().await?;
            let path = format!("/tenants/{tenant}/automation-users");
            let answer = operator.ask(Method::GET, &path, None).await?;
            output.list(&answer, "automationUsers", &["name", "active", "created", "activated"]);
        }
    }
    Ok(())
}

async fn put(
    change: ChangeOptions,
    (tenant, name): (&TenantName, &str),
    is_active: bool,
    done: &str,
) -> Result<(), String> {
    let path = format!("/tenants/{tenant}/automation-users/{}", segment(name));
    let client = change.open().await?;
    client.ask(Method::PUT, &path, Some(&json!({"active": is_active}))).await?;
    client.report(done);
    Ok(())
}
