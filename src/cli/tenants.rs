//! `rollcall tenant` and `rollcall profile`.

use std::path::Path;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::operator::OperatorOptions;
use super::{items, text};
use crate::tenant::Profile;
use crate::tenant::{OnDeactivation, TenantName};

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant
    Add {
        /// Lower-case letters, digits and hyphens; part of the tenant's URL and keys
        name: TenantName,
        /// The name of a profile that ships, or a file with another one
        #[arg(long, value_name = "NAME|FILE", default_value = "default")]
        profile: String,
        /// Have the application invite new users automatically
        #[arg(long)]
        invite: bool,
        /// What the application does with a user who is deactivated: disable or suspend
        #[arg(long, value_name = "WHAT", default_value_t)]
        on_deactivation: OnDeactivation,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Show a tenant: its profile, its settings, the path of its base URL
    Show {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Change a tenant's profile or settings; what is not named stays. Keys that are there follow at once
    Set {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        change: ConfigChange,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// List the tenants, one a line
    List {
        #[command(flatten)]
        operator: OperatorOptions,
    },
}

/// What of a tenant is to change.
#[derive(Debug, Args)]
pub(super) struct ConfigChange {
    /// The name of a profile that ships, or a file with another one
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Whether the application invites new users automatically
    #[arg(long, value_name = "true|false")]
    invite: Option<bool>,
    /// What the application does with a user who is deactivated: disable or suspend
    #[arg(long, value_name = "WHAT")]
    on_deactivation: Option<OnDeactivation>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// List the profiles that ship, one a line
    List,
    /// Print a profile that ships, as the start of your own
    Show {
        /// Its name
        name: String,
    },
    /// Say whether a profile is in order, or where it is not and why
    Check {
        /// The file
        file: String,
    },
}

pub(super) async fn tenant(command: TenantCommand) -> Result<(), String> {
    match command {
        TenantCommand::Add { name, profile, invite, on_deactivation, operator } => {
            let settings = json!({"inviteAutomatically": invite, "onDeactivation": on_deactivation.as_str()});
            let body = json!({"name": name.as_str(), "profile": chosen(&profile)?, "settings": settings});
            let tenant = operator.open().await?.ask(Method::POST, "/tenants", Some(&body)).await?;
            let next = format!("rollcall key add {name} --description TEXT");
            let forms = forms(&tenant);
            let next = if forms.contains("bearer") { next } else { format!("{next} --type TYPE, of {forms}") };
            eprintln!("Made the tenant {name}. Its path is {}. Next: {next}", text(&tenant, "path"));
        }
        TenantCommand::Show { name, operator } => {
            let tenant = operator.open().await?.ask(Method::GET, &format!("/tenants/{name}"), None).await?;
            show(&tenant);
        }
        TenantCommand::Set { name, change, operator } => {
            let mut settings = Map::new();
            settings.extend(change.invite.map(|invite| ("inviteAutomatically".to_owned(), invite.into())));
            settings.extend(change.on_deactivation.map(|on| ("onDeactivation".to_owned(), on.as_str().into())));
            let mut body = Map::from_iter([("settings".to_owned(), settings.into())]);
            body.extend(change.profile.as_deref().map(chosen).transpose()?.map(|it| ("profile".to_owned(), it)));
            let path = format!("/tenants/{name}");
            let tenant = operator.open().await?.ask(Method::PATCH, &path, Some(&body.into())).await?;
            eprintln!(
                "Changed the tenant {name} and its keys. Its path is {}; credentials: {}.",
                text(&tenant, "path"),
                forms(&tenant)
            );
        }
        TenantCommand::List { operator } => {
            let answer = operator.open().await?.ask(Method::GET, "/tenants", None).await?;
            for tenant in items(&answer, "tenants") {
                println!("{}\t{}\t{}", text(tenant, "name"), text(tenant, "created"), text(tenant, "profile"));
            }
        }
    }
    Ok(())
}

pub(super) fn profile(command: &ProfileCommand) -> Result<(), String> {
    match command {
        ProfileCommand::List => {
            for name in Profile::shipped_names() {
                let text = Profile::shipped(name).unwrap_or_default();
                let profile = Profile::parse(text).map_err(|bad| format!("{name}: {bad}"))?;
                let forms: Vec<_> = profile.credentials.iter().map(|form| form.as_str()).collect();
                println!("{name}\t{}\t{}", forms.join(","), profile.description);
            }
        }
        ProfileCommand::Show { name } => {
            print!("{}", Profile::shipped(name).ok_or_else(|| format!("no profile {name} ships; {}", which()))?);
        }
        ProfileCommand::Check { file } => {
            let profile = from_file(Path::new(file))?;
            println!("{file} is in order: the profile {}", profile.name);
        }
    }
    Ok(())
}

fn show(tenant: &Value) {
    for name in ["name", "created", "profile", "path"] {
        println!("{name}\t{}", text(tenant, name));
    }
    println!("credentials\t{}", forms(tenant));
    for path in items(tenant, "required").filter_map(Value::as_str) {
        println!("required\t{path}");
    }
    for (name, value) in tenant.get("settings").and_then(Value::as_object).into_iter().flatten() {
        println!("{name}\t{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}

fn forms(tenant: &Value) -> String {
    let forms: Vec<_> = items(tenant, "credentials").filter_map(Value::as_str).collect();
    forms.join(",")
}

/// The name of a profile that ships, or the content of a file.
fn chosen(name: &str) -> Result<Value, String> {
    if Profile::shipped(name).is_some() {
        return Ok(name.into());
    }
    match Path::new(name) {
        file if file.exists() => {
            from_file(file)?;
            let text = std::fs::read_to_string(file).map_err(|e| format!("{name}: {e}"))?;
            serde_json::from_str(&text).map_err(|e| format!("{name}: {e}"))
        }
        _ => Err(format!("{name} is neither a profile that ships nor a file; {}", which())),
    }
}

/// Reads a file here, where the place of what is wrong is known by line.
fn from_file(file: &Path) -> Result<Profile, String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    Profile::parse_own(&text).map_err(|bad| format!("{shown}: {bad}"))
}

fn which() -> String {
    format!("those that ship are {}", Profile::shipped_names().collect::<Vec<_>>().join(", "))
}
