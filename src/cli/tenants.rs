//! `rollcall tenant` and `rollcall profile`.

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::StoreOptions;
use crate::app::Clock;
use crate::auth::{CredentialForm, OnDeactivation, Settings, TenantName, TenantShape};
use crate::profiles::Profiles;
use crate::scim::resource::date_time;
use crate::scim::{Profile, ProfileRef};
use crate::store::Store;
use crate::store::tenants::TenantRecord;

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
        store: StoreOptions,
    },
    /// Show a tenant: its profile, its settings, the path of its base URL
    Show {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Change a tenant's profile or settings; what is not named stays. Keys that are there follow at once
    Set {
        /// The tenant
        name: TenantName,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// List the tenants, one a line
    List {
        #[command(flatten)]
        store: StoreOptions,
    },
}

/// What of a tenant is to change.
#[derive(Debug, Args)]
pub(super) struct Change {
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
        TenantCommand::Add { name, profile, invite, on_deactivation, store } => {
            let settings = Settings { invite_automatically: invite, on_deactivation };
            add(&store.open().await?, &name, &chosen(&profile)?, settings).await
        }
        TenantCommand::Show { name, store } => show(&store.open().await?, &name).await,
        TenantCommand::Set { name, change, store } => set(&store.open().await?, &name, change).await,
        TenantCommand::List { store } => {
            for tenant in store.open().await?.tenants().await.map_err(|e| e.to_string())? {
                println!("{}\t{}\t{}", tenant.name, date_time(tenant.created), tenant.shape.profile.name());
            }
            Ok(())
        }
    }
}

pub(super) fn profile(command: &ProfileCommand) -> Result<(), String> {
    match command {
        ProfileCommand::List => {
            for name in Profile::shipped_names() {
                let profile = chosen(name)?.profile;
                println!("{name}\t{}\t{}", forms(&profile), profile.description);
            }
        }
        ProfileCommand::Show { name } => {
            print!("{}", Profile::shipped(name).ok_or_else(|| format!("no profile {name} ships; {}", which()))?);
        }
        ProfileCommand::Check { file } => {
            let profile = from_file(Path::new(file))?.profile;
            println!("{file} is in order: the profile {}", profile.name);
        }
    }
    Ok(())
}

/// The tenant of that name.
///
/// # Errors
/// How to make it, if it is not there.
pub(super) async fn need(store: &Store, name: &TenantName) -> Result<TenantRecord, String> {
    let found = store.tenant(name).await.map_err(|e| e.to_string())?;
    found.ok_or_else(|| format!("there is no tenant {name}; make it: rollcall tenant add {name}"))
}

/// The tenant's profile.
///
/// # Errors
/// As the store's, or that it is not there.
pub(super) async fn profile_of(store: &Store, tenant: &TenantRecord) -> Result<Arc<Profile>, String> {
    let wanted = &tenant.shape.profile;
    Profiles::default().of(store, &tenant.name, wanted).await.map_err(|e| e.to_string())
}

async fn add(store: &Store, name: &TenantName, chosen: &Chosen, settings: Settings) -> Result<(), String> {
    let profile = chosen.keep(store, name).await?;
    let shape = TenantShape { profile, settings, version: 0 };
    if !store.add_tenant(name, &shape, Clock::System.now()).await.map_err(|e| e.to_string())? {
        return Err(format!("the tenant {name} is there already"));
    }
    let path = chosen.profile.base_path(name.as_str());
    let next = match chosen.profile.allows(CredentialForm::Bearer) {
        true => format!("Next: rollcall key add {name} --description TEXT"),
        false => format!("Next: a credential of one of the forms {}", forms(&chosen.profile)),
    };
    eprintln!("Made the tenant {name}. Its path is {path}. {next}");
    Ok(())
}

async fn show(store: &Store, name: &TenantName) -> Result<(), String> {
    let tenant = need(store, name).await?;
    let profile = profile_of(store, &tenant).await?;
    println!("name\t{name}\ncreated\t{}", date_time(tenant.created));
    println!("profile\t{}\npath\t{}", tenant.shape.profile, profile.base_path(name.as_str()));
    println!("credentials\t{}", forms(&profile));
    for path in profile.required() {
        println!("required\t{path}");
    }
    let Settings { invite_automatically, on_deactivation } = tenant.shape.settings;
    println!("inviteAutomatically\t{invite_automatically}\nonDeactivation\t{on_deactivation}");
    Ok(())
}

async fn set(store: &Store, name: &TenantName, change: Change) -> Result<(), String> {
    let chosen = change.profile.as_deref().map(chosen).transpose()?;
    let tenant = need(store, name).await?;
    let profile = match &chosen {
        Some(chosen) => chosen.keep(store, name).await?,
        None => tenant.shape.profile.clone(),
    };
    let held = tenant.shape.settings;
    let settings = Settings {
        invite_automatically: change.invite.unwrap_or(held.invite_automatically),
        on_deactivation: change.on_deactivation.unwrap_or(held.on_deactivation),
    };
    let renewed = store.set_tenant(&tenant, profile, settings).await.map_err(|e| e.to_string())?;
    eprintln!("Changed the tenant {name} and {renewed} of its keys.");
    let now = need(store, name).await?;
    let allowed = profile_of(store, &now).await?;
    eprintln!("Its path is {}; credentials: {}.", allowed.base_path(name.as_str()), forms(&allowed));
    Ok(())
}

/// A profile that somebody has named.
struct Chosen {
    profile: Profile,
    reference: ProfileRef,
    /// The text of one that does not ship.
    own: Option<String>,
}

impl Chosen {
    /// Keeps the text with the tenant, if the profile does not ship.
    async fn keep(&self, store: &Store, tenant: &TenantName) -> Result<ProfileRef, String> {
        if let (Some(text), Some(digest)) = (&self.own, self.reference.digest()) {
            store.add_profile(tenant, digest, text).await.map_err(|e| e.to_string())?;
        }
        Ok(self.reference.clone())
    }
}

/// The profile of a name or file.
fn chosen(name: &str) -> Result<Chosen, String> {
    let Some((reference, text)) = ProfileRef::shipped(name).zip(Profile::shipped(name)) else {
        return match Path::new(name) {
            file if file.exists() => from_file(file),
            _ => Err(format!("{name} is neither a profile that ships nor a file; {}", which())),
        };
    };
    let profile = Profile::parse(text).map_err(|bad| format!("{name}: {bad}"))?;
    Ok(Chosen { profile, reference, own: None })
}

fn from_file(file: &Path) -> Result<Chosen, String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    let profile = Profile::parse_own(&text).map_err(|bad| format!("{shown}: {bad}"))?;
    Ok(Chosen { reference: ProfileRef::own(&profile, &text), profile, own: Some(text) })
}

fn which() -> String {
    format!("those that ship are {}", Profile::shipped_names().collect::<Vec<_>>().join(", "))
}

fn forms(profile: &Profile) -> String {
    profile.credentials.iter().map(|form| form.as_str()).collect::<Vec<_>>().join(",")
}
