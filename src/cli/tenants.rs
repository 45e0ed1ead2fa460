//! `rollcall tenant` and `rollcall profile`.

use std::path::Path;
use std::str::FromStr;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::change::ChangeOptions;
use super::operator::OperatorOptions;
use super::output::{OutputOptions, items, text};
use crate::tenant::{
    FailingAbove, NotifyList, OnDeactivation, Profile, ProtectionMode, ProtectionWindow, SilentAfter, TenantName,
    TenantRate, UserBound,
};

/// Printed below the help of `tenant create`.
const CREATE_EXAMPLES: &str = "\
Example:
  rollcall tenant create acme --profile jostle --invite --on-deactivation suspend";

/// Printed below the help of `tenant delete`.
const DELETE_EXAMPLES: &str = "\
Examples:
  rollcall export acme > acme.ndjson
  rollcall tenant delete acme --after 14d
  rollcall tenant reopen acme

Nobody can create a tenant of that name again.";

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Create a tenant
    #[command(alias = "add", after_help = CREATE_EXAMPLES)]
    Create {
        /// Lower-case letters, digits and hyphens; part of the tenant's URL and keys
        name: TenantName,
        /// The name of a built-in profile, or a file with your own
        #[arg(long, value_name = "NAME|FILE", default_value = "default")]
        profile: String,
        /// Let the application invite new users automatically
        #[arg(long)]
        invite: bool,
        /// What the application does with a user who is deactivated: disable or suspend
        #[arg(long, value_name = "WHAT", default_value_t)]
        on_deactivation: OnDeactivation,
        #[command(flatten)]
        deployment: ChangeOptions,
    },
    /// Show a tenant: its profile, its settings, the path of its base URL
    Show {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Change a tenant's profile or settings; existing keys follow at once
    Set {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        change: ConfigChange,
        #[command(flatten)]
        deployment: ChangeOptions,
    },
    /// Delete a tenant: Rollcall refuses its keys at once, and deletes its data after a time
    #[command(after_help = DELETE_EXAMPLES)]
    Delete {
        /// The tenant
        name: TenantName,
        /// How long the data waits for its end, such as 7d, 12h, 30m or 0s
        #[arg(long, value_name = "TIME", default_value = "7d")]
        after: WaitingTime,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Cancel the deletion of a tenant while its data waits: its keys work again
    Reopen {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Write the data of a tenant in the newest format; run it once every function runs this release
    Upgrade {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// List the tenants, one a line
    List {
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        operator: OperatorOptions,
    },
}

/// How long something waits, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaitingTime(i64);

impl FromStr for WaitingTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let why = || format!("{text} is not a time; write one such as 7d, 12h, 30m or 0s");
        let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
        let parsed = units.into_iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            i64::from(number).checked_mul(seconds)
        });
        parsed.map(Self).ok_or_else(why)
    }
}

/// What of a tenant is to change.
#[derive(Debug, Args)]
pub(super) struct ConfigChange {
    /// The name of a built-in profile, or a file with your own
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Whether the application invites new users automatically
    #[arg(long, value_name = "true|false")]
    invite: Option<bool>,
    /// What the application does with a user who is deactivated: disable or suspend
    #[arg(long, value_name = "WHAT")]
    on_deactivation: Option<OnDeactivation>,
    /// What Rollcall does once many users have lost access within the window: off, warn or hold
    #[arg(long, value_name = "MODE")]
    protect: Option<ProtectionMode>,
    /// How many users may lose access within the window: per cent of all, or a number if that is more
    #[arg(long, value_name = "PERCENT%/USERS")]
    protect_users: Option<UserBound>,
    /// How long the window is, such as 60m or 2h
    #[arg(long, value_name = "LENGTH")]
    protect_window: Option<ProtectionWindow>,
    /// How many requests a second the tenant may send, and how many at once, such as 50/200; off, or default
    #[arg(long, value_name = "RATE/BURST")]
    rate: Option<TenantRate>,
    #[command(flatten)]
    notices: NoticeChange,
}

/// Who is to hear of what somebody should look at.
#[derive(Debug, Args)]
struct NoticeChange {
    /// Who gets each notice as a mail: addresses separated by commas, or off for nobody
    #[arg(long, value_name = "ADDRESSES")]
    notify: Option<NotifyList>,
    /// After how many days without a request the tenant is silent, such as 3d; off for never
    #[arg(long, value_name = "DAYS")]
    silent_after: Option<SilentAfter>,
    /// How many requests may be refused within an hour until the tenant is failing; off for any number
    #[arg(long, value_name = "NUMBER")]
    failing_above: Option<FailingAbove>,
}

impl NoticeChange {
    fn fields(&self) -> Map<String, Value> {
        let fields = [
            ("notify", self.notify.as_ref().map(|list| json!(list.texts()))),
            ("silentAfter", self.silent_after.map(|days| json!(days.to_string()))),
            ("failingAbove", self.failing_above.map(|requests| json!(requests.to_string()))),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// List the built-in profiles, one a line
    List {
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Print a built-in profile, as the start of your own
    Show {
        /// Its name
        name: String,
    },
    /// Check a profile, and report the place and reason of each fault
    Check {
        /// The file
        file: String,
    },
}

pub(super) async fn tenant(command: TenantCommand) -> Result<(), String> {
    match command {
        TenantCommand::Create { name, profile, invite, on_deactivation, deployment } => {
            let settings = json!({"inviteAutomatically": invite, "onDeactivation": on_deactivation.as_str()});
            let body = json!({"name": name.as_str(), "profile": chosen(&profile)?, "settings": settings});
            let client = deployment.open().await?;
            let tenant = client.ask(Method::POST, "/tenants", Some(&body)).await?;
            let next = format!("rollcall key create {name} --description TEXT");
            let credential_types = credential_types(&tenant);
            let next = if credential_types.contains("bearer") {
                next
            } else {
                format!("{next} --type TYPE, of {credential_types}")
            };
            client.report(&format!("Created the tenant {name}. Its path is {}. Next: {next}", text(&tenant, "path")));
        }
        TenantCommand::Show { name, output, operator } => {
            let tenant = operator.open().await?.ask(Method::GET, &format!("/tenants/{name}"), None).await?;
            output.show(&tenant);
        }
        TenantCommand::Set { name, change, deployment } => {
            let mut settings = Map::new();
            settings.extend(change.invite.map(|invite| ("inviteAutomatically".to_owned(), invite.into())));
            settings.extend(change.on_deactivation.map(|on| ("onDeactivation".to_owned(), on.as_str().into())));
            let protection = [
                ("protect", change.protect.map(|mode| mode.to_string())),
                ("protectUsers", change.protect_users.map(|bound| bound.to_string())),
                ("protectWindow", change.protect_window.map(|window| window.to_string())),
                ("rate", change.rate.map(|rate| rate.to_string())),
            ];
            settings.extend(protection.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
            settings.extend(change.notices.fields());
            let mut body = Map::from_iter([("settings".to_owned(), settings.into())]);
            body.extend(change.profile.as_deref().map(chosen).transpose()?.map(|it| ("profile".to_owned(), it)));
            let path = format!("/tenants/{name}");
            let client = deployment.open().await?;
            let tenant = client.ask(Method::PATCH, &path, Some(&body.into())).await?;
            client.report(&format!(
                "Changed the tenant {name} and its keys. Its path is {}; credentials: {}.",
                text(&tenant, "path"),
                credential_types(&tenant)
            ));
        }
        TenantCommand::Delete { name, after, operator } => delete(&name, after, operator).await?,
        TenantCommand::Reopen { name, operator } => {
            operator.open().await?.ask(Method::POST, &format!("/tenants/{name}/reopen"), None).await?;
            errln!("The tenant {name} stays, and its keys work again.");
        }
        TenantCommand::Upgrade { name, operator } => upgrade(&name, operator).await?,
        TenantCommand::List { output, operator } => {
            let answer = operator.open().await?.ask(Method::GET, "/tenants", None).await?;
            output.list(&answer, "tenants", &["name", "created", "profile"]);
        }
    }
    Ok(())
}

async fn delete(name: &TenantName, after: WaitingTime, operator: OperatorOptions) -> Result<(), String> {
    let path = format!("/tenants/{name}?afterSeconds={}", after.0);
    let tenant = operator.open().await?.ask(Method::DELETE, &path, None).await?;
    errln!(
        "The keys of {name} are refused from now on. The worker deletes its data after {}. To take that back: rollcall \
         tenant reopen {name}",
        text(&tenant, "closes")
    );
    Ok(())
}

async fn upgrade(name: &TenantName, operator: OperatorOptions) -> Result<(), String> {
    let answer = operator.open().await?.ask(Method::POST, &format!("/tenants/{name}/upgrade"), None).await?;
    let format = answer.get("format").map_or_else(String::new, Value::to_string);
    match answer.get("raised").and_then(Value::as_bool) {
        Some(true) => errln!("The data of {name} is written in format {format} from now on."),
        _ => errln!("The data of {name} is written in format {format} already."),
    }
    Ok(())
}

pub(super) fn profile(command: &ProfileCommand) -> Result<(), String> {
    match command {
        ProfileCommand::List { output } => {
            let rows = Profile::shipped_names().map(|name| {
                let text = Profile::shipped(name).unwrap_or_default();
                let profile = Profile::parse(text).map_err(|bad| format!("{name}: {bad}"))?;
                let credentials: Vec<_> = profile.credentials.iter().map(|kind| kind.as_str()).collect();
                Ok(json!({"name": name, "credentials": credentials, "description": profile.description}))
            });
            let profiles = rows.collect::<Result<Vec<_>, String>>()?;
            output.list(&json!({"profiles": profiles}), "profiles", &["name", "credentials", "description"]);
        }
        ProfileCommand::Show { name } => {
            out!("{}", Profile::shipped(name).ok_or_else(|| format!("{name} is not a built-in profile; {}", which()))?);
        }
        ProfileCommand::Check { file } => {
            let profile = from_file(Path::new(file))?;
            outln!("{file} is valid: the profile {}", profile.name);
        }
    }
    Ok(())
}

fn credential_types(tenant: &Value) -> String {
    let credential_types: Vec<_> = items(tenant, "credentials").filter_map(Value::as_str).collect();
    credential_types.join(",")
}

/// The name of a profile that ships, or the content of a file.
fn chosen(name: &str) -> Result<Value, String> {
    if Profile::shipped(name).is_some() {
        return Ok(name.into());
    }
    match Path::new(name) {
        file if file.exists() => {
            from_file(file)?;
            let text = std::fs::read_to_string(file).map_err(|e| unusable(name, &e))?;
            serde_json::from_str(&text).map_err(|e| unusable(name, &e))
        }
        _ => Err(format!("{name} is neither a built-in profile nor a file; {}", which())),
    }
}

/// Reads a file here, where the place of what is wrong is known by line.
fn from_file(file: &Path) -> Result<Profile, String> {
    let path = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| unusable(&path.to_string(), &e))?;
    Profile::parse_own(&text).map_err(|bad| format!("{path}: {bad}"))
}

fn unusable(file: &str, error: &dyn std::fmt::Display) -> String {
    format!("{file} cannot be read ({error}); check its path and permissions")
}

fn which() -> String {
    format!("use one of {}", Profile::shipped_names().collect::<Vec<_>>().join(", "))
}
