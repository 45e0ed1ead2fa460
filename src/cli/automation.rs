//! `rollcall automation`: the users in whose name keys act.

use clap::Subcommand;

use super::StoreOptions;
use super::tenants;
use crate::admin;
use crate::app::Clock;
use crate::auth::TenantName;
use crate::scim::resource::date_time;

#[derive(Debug, Subcommand)]
pub(super) enum AutomationCommand {
    /// Make an automation user; the keys that act in its name work once it is active
    Add {
        /// The tenant
        tenant: TenantName,
        /// Its name; where /Me is to be answered, the userName of a user of the tenant
        name: String,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Note that an automation user has signed in for the first time
    Activate {
        /// The tenant
        tenant: TenantName,
        /// Its name
        name: String,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// List the automation users of a tenant
    List {
        /// The tenant
        tenant: TenantName,
        #[command(flatten)]
        store: StoreOptions,
    },
}

pub(super) async fn run(command: AutomationCommand) -> Result<(), String> {
    let now = Clock::System.now();
    match command {
        AutomationCommand::Add { tenant, name, store } => {
            let store = store.open().await?;
            tenants::need(&store, &tenant).await?;
            admin::keys::add_automation_user(&store, &tenant, &name, now).await.map_err(|e| e.to_string())?;
            eprintln!("Made {name}. It is not active yet: rollcall automation activate {tenant} {name}");
            Ok(())
        }
        AutomationCommand::Activate { tenant, name, store } => {
            let store = store.open().await?;
            admin::keys::activate(&store, &tenant, &name, now).await.map_err(|e| e.to_string())?;
            eprintln!("{name} is active, and so are its keys.");
            Ok(())
        }
        AutomationCommand::List { tenant, store } => {
            let store = store.open().await?;
            tenants::need(&store, &tenant).await?;
            for user in store.automation_users(&tenant).await.map_err(|e| e.to_string())? {
                let activated = user.activated.map_or_else(|| "-".to_owned(), date_time);
                println!("{}\tcreated {}\tactivated {activated}", user.name, date_time(user.created));
            }
            Ok(())
        }
    }
}
