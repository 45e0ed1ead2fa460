//! `rollcall demo`: an endpoint on this machine, and Entra ID and Okta as two customers who provision into it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::StoreOptions;
use super::listener;
use super::serve::{self, LocalEndpoint};
use crate::admin;
use crate::admin::keys::{CreatedKey, Expiry, NewCredentialType, NewKey};
use crate::admin::tenants::{self, Chosen};
use crate::app::Clock;
use crate::auth::Scope;
use crate::limits::{DEMO_GROUPS, DEMO_PEOPLE, DEMO_REQUESTS_PER_SECOND};
use crate::store::Store;
use crate::tenant::{Protection, ProtectionMode, Settings, TenantName, TenantRate};

mod client;
mod entra;
mod okta;
mod people;
mod screen;

use client::{IdpClient, RequestPace};
use people::Directory;
use screen::Screen;

/// The customer who has Entra ID.
const ENTRA_TENANT: &str = "demo";

/// The customer who has Okta.
const OKTA_TENANT: &str = "demo-okta";

/// Printed below the help.
pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  rollcall demo                       500 people and 30 groups in half a minute
  rollcall demo --speed 10            slowly, to read along
  rollcall demo --speed 0 --exit      as fast as it can, then stop
  rollcall demo --data ./demo         keep the data

The command plays Entra ID and Okta over HTTP: initial cycles, changes, an old token, and a mass deactivation
that the protection holds. It leaves the endpoint running until Ctrl-C.";

#[derive(Debug, Args)]
pub(super) struct DemoOptions {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Keep the data in this folder, which must hold no tenants; without it, in a folder that the command deletes
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Requests a second; 0 for as fast as possible
    #[arg(long, value_name = "N", default_value_t = DEMO_REQUESTS_PER_SECOND)]
    speed: u32,
    /// How many people there are
    #[arg(long, value_name = "N", default_value_t = DEMO_PEOPLE, value_parser = clap::value_parser!(u32).range(50..=20_000))]
    people: u32,
    /// How many groups there are
    #[arg(long, value_name = "N", default_value_t = DEMO_GROUPS, value_parser = clap::value_parser!(u32).range(5..=1_000))]
    groups: u32,
    /// Stop when everything has been played
    #[arg(long)]
    exit: bool,
}

/// The folder of the store; one of its own is deleted at the end.
struct DemoFolder {
    path: PathBuf,
    is_temporary: bool,
}

impl DemoFolder {
    fn choose(data: Option<PathBuf>) -> Result<Self, String> {
        if let Some(path) = data {
            return Ok(Self { path, is_temporary: false });
        }
        let number = getrandom::u64().map_err(|e| format!("the system returned no random numbers; try again: {e}"))?;
        Ok(Self { path: std::env::temp_dir().join(format!("rollcall-demo-{number:016x}")), is_temporary: true })
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

pub(super) async fn run(options: DemoOptions) -> Result<(), String> {
    let DemoOptions { listen, data, speed, people, groups, exit } = options;
    let listener = listener::bind(listen, "--listen").await?;
    let folder = DemoFolder::choose(data)?;
    let store =
        StoreOptions { data: folder.path.clone(), aws: false, endpoint_url: None, table_prefix: "rollcall".to_owned() };
    let endpoint = LocalEndpoint::open(listener, store).await?;
    if !endpoint.store().tenants().await.map_err(|e| e.to_string())?.is_empty() {
        return Err(format!("{} has tenants already; choose an empty folder with --data", folder.path.display()));
    }
    let url = endpoint.url();
    let pace = RequestPace::new(speed);
    let people = usize::try_from(people).unwrap_or_default();
    let groups = usize::try_from(groups).unwrap_or_default();
    // Four of five are of the larger customer.
    let (of_entra, groups_of_entra) = (people * 4 / 5, groups * 4 / 5);
    let entra = Customer {
        client: IdpClient::new(&url, tenant(endpoint.store(), ENTRA_TENANT).await?, None, &pace),
        directory: Directory::new("contoso.example", 0..of_entra, groups_of_entra),
    };
    let okta = Customer {
        client: IdpClient::new(&url, tenant(endpoint.store(), OKTA_TENANT).await?, Some(okta::USER_AGENT), &pace),
        directory: Directory::new("fabrikam.example", of_entra..people, groups - groups_of_entra),
    };
    let link = serve::page_link(endpoint.store(), &url, entra.client.tenant()).await?;
    let old_token = revoked_token(endpoint.store(), entra.client.tenant()).await?;
    let screen = Screen::new();
    begin(&screen, &url, &link, &folder.path);
    let played = async {
        play(&screen, (&entra, &old_token), &okta).await?;
        end(&screen, &link, &folder, exit);
        match exit {
            true => Ok(()),
            false => std::future::pending().await,
        }
    };
    endpoint.serve_until(played).await
}

/// A customer of the product: the identity provider, and who is in its directory.
struct Customer {
    client: IdpClient,
    directory: Directory,
}

async fn play(screen: &Screen, (entra, old_token): (&Customer, &str), okta: &Customer) -> Result<(), String> {
    let mut of_entra = entra::initial_cycle(screen, entra).await?;
    let of_okta = okta::initial_import(screen, okta).await?;
    entra::changes(screen, entra, &mut of_entra).await?;
    okta::changes(screen, okta, &of_okta).await?;
    entra::old_token(screen, entra, old_token).await?;
    entra::mass_deactivation(screen, entra, &of_entra).await
}

/// Creates a tenant that is protected, and a key of it.
async fn tenant(store: &Store, name: &str) -> Result<(TenantName, String), String> {
    let name: TenantName = name.parse().map_err(|e: crate::tenant::BadTenantName| e.to_string())?;
    let now: Timestamp = Clock::System.now();
    let protection = Protection { mode: ProtectionMode::Hold, ..Protection::default() };
    // The pace of the play is the choice of who plays it.
    let settings = Settings { protection, rate: TenantRate::Off, ..Settings::default() };
    let profile = Chosen::shipped("default").map_err(|e| e.to_string())?;
    tenants::add(store, &name, &profile, settings, now).await.map_err(|e| e.to_string())?;
    Ok((name.clone(), key(store, name, "created by rollcall demo").await?.secret.unwrap_or_default()))
}

/// Creates a key of a tenant.
async fn key(store: &Store, tenant: TenantName, description: &str) -> Result<CreatedKey, String> {
    let new = NewKey {
        tenant,
        description: description.to_owned(),
        automation: None,
        scopes: vec![Scope::Read, Scope::Write, Scope::Events],
        not_before: None,
        expires: Expiry::Default,
        credential_type: NewCredentialType::Bearer,
    };
    admin::keys::add(store, new, Clock::System.now()).await.map_err(|e| e.to_string())
}

/// The secret of a key that is revoked already.
async fn revoked_token(store: &Store, tenant: &TenantName) -> Result<String, String> {
    let key = key(store, tenant.clone(), "the key of last year").await?;
    store.revoke(&key.record, Clock::System.now()).await.map_err(|e| e.to_string())?;
    Ok(key.secret.unwrap_or_default())
}

fn begin(screen: &Screen, url: &str, link: &str, folder: &Path) {
    screen.title("Rollcall demo");
    screen.fact("Tenant URLs", &format!("{url}/{ENTRA_TENANT}/scim/v2 and {url}/{OKTA_TENANT}/scim/v2"));
    screen.fact("Page", link);
    screen.fact("Feed", &format!("rollcall events {ENTRA_TENANT} --follow --data {}", folder.display()));
}

/// What to look at next.
fn end(screen: &Screen, link: &str, folder: &DemoFolder, exit: bool) {
    if exit && folder.is_temporary {
        return;
    }
    let on = |command: &str| format!("rollcall {command} --data {}", folder.path.display());
    screen.title("What to look at");
    screen.fact("Page", link);
    screen.fact("Everything that happened", &on(&format!("events {ENTRA_TENANT}")));
    screen.fact("What was refused", &on(&format!("log {ENTRA_TENANT} --kind refusal")));
    screen.fact("What is held", &on(&format!("hold show {ENTRA_TENANT}")));
    screen.fact("Reject it, and undo the rest", &on(&format!("hold reject {ENTRA_TENANT}")));
    screen.fact("", &on(&format!("restore {ENTRA_TENANT} --hold")));
    screen.fact("Somebody", &on(&format!("user find {ENTRA_TENANT} anna")));
    screen.fact("A group", &on(&format!("group get {ENTRA_TENANT} 'Sales Berlin'")));
    if !exit {
        let data = if folder.is_temporary { " and deletes its data" } else { "" };
        screen.note(&format!("Ctrl-C stops the endpoint{data}."));
    }
}
