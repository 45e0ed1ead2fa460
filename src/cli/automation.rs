//! `rollcall automation`: the users in whose name keys act.

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

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
        /// Its name; where /Me is to be answered, the userName of a user of the tenant
        name: String,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Record that an automation user has signed in for the first time; creates it if it is missing
    Activate {
        /// The tenant
        tenant: TenantName,
        /// Its name
        name: String,
        #[command(flatten)]
        operator: OperatorOptions,
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
        AutomationCommand::Create { tenant, name, operator } => {
            put(operator, &tenant, &name, false).await?;
            eprintln!("Created {name}. Once it has signed in: rollcall automation activate {tenant} {name}");
        }
        AutomationCommand::Activate { tenant, name, operator } => {
            put(operator, &tenant, &name, true).await?;
            eprintln!("{name} is active, and so are its keys.");
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

async fn put(operator: OperatorOptions, tenant: &TenantName, name: &str, is_active: bool) -> Result<Value, String> {
    let path = format!("/tenants/{tenant}/automation-users/{}", segment(name));
    operator.open().await?.ask(Method::PUT, &path, Some(&json!({"active": is_active}))).await
}
