//! `rollcall verify` and `rollcall count`: whether the data of a tenant is sound.

use std::process::ExitCode;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::operator::{OperatorClient, OperatorOptions};
use super::output::{items, text};
use crate::tenant::TenantName;

/// Printed below the help of `verify`.
pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  rollcall verify acme
  rollcall verify acme --repair
  rollcall verify acme --json | jq '.damages[].check'

Exit status:
  0  the data is sound
  1  damage was found, also where --repair has mended it
  2  the data could not be examined";

#[derive(Debug, Args)]
pub(super) struct VerifyOptions {
    /// The tenant
    tenant: TenantName,
    /// Mend what is found
    #[arg(long)]
    repair: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Args)]
pub(super) struct CountOptions {
    /// The tenant
    tenant: TenantName,
    #[command(flatten)]
    operator: OperatorOptions,
}

/// Compares the stored number of users with the users, corrects it, and prints the number.
pub(super) async fn count(options: CountOptions) -> Result<(), String> {
    let tenant = options.tenant;
    let answer = options.operator.open().await?.ask(Method::POST, &format!("/tenants/{tenant}/count"), None).await?;
    println!("{}", number(&answer, "users"));
    match number(&answer, "drift") {
        0 => eprintln!("The stored number of users of {tenant} is right."),
        drift => eprintln!("The stored number of users of {tenant} was off by {drift}; it is corrected."),
    }
    Ok(())
}

/// Examines the data of a tenant; the status to exit with.
pub(super) async fn verify(options: VerifyOptions) -> ExitCode {
    let examined = async {
        let client = options.operator.open().await?;
        examine(&client, &options.tenant, options.repair, options.json).await
    };
    match examined.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("rollcall: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether the data is sound.
async fn examine(
    client: &OperatorClient,
    tenant: &TenantName,
    is_repair: bool,
    is_json: bool,
) -> Result<bool, String> {
    let method = if is_repair { Method::POST } else { Method::GET };
    let (mut damages, mut examined) = (Vec::new(), [0_u64; 3]);
    let mut cursor = String::new();
    loop {
        let path = format!("/tenants/{tenant}/verify?cursor={cursor}");
        let answer = client.ask(method.clone(), &path, None).await?;
        for (sum, name) in examined.iter_mut().zip(["users", "groups", "rows"]) {
            *sum += answer.get("examined").map_or(0, |part| number(part, name));
        }
        for damage in items(&answer, "damages") {
            if !is_json {
                println!("{}", line(damage, is_repair));
            }
            damages.push(damage.clone());
        }
        match answer.get("nextCursor").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let [users, groups, rows] = examined;
    if is_json {
        let examined = json!({"users": users, "groups": groups, "rows": rows});
        println!("{}", json!({"sound": damages.is_empty(), "damages": damages, "examined": examined}));
    } else {
        let found = match damages.len() {
            0 => "sound".to_owned(),
            count => format!("damaged: {count}"),
        };
        println!("{tenant}: {found}; examined {users} users, {groups} groups, {rows} rows");
    }
    Ok(damages.is_empty())
}

/// A damage as a line for people.
fn line(damage: &Value, is_repair: bool) -> String {
    let outcome = match (is_repair, damage.get("isMended").and_then(Value::as_bool)) {
        (false, _) => "",
        (true, Some(true)) => "  mended",
        (true, _) => "  not mended",
    };
    format!("{}  {}  {}{outcome}", text(damage, "check"), text(damage, "target"), text(damage, "detail"))
}

fn number(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or(0)
}
