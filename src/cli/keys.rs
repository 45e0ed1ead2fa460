//! `rollcall key`. A key alone goes to standard output, words to standard error.

use clap::Subcommand;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use super::{StoreOptions, tenants};
use crate::app::Clock;
use crate::auth::{ApiKey, CredentialForm, KeyId, KeyRecord, Scope, TenantName};
use crate::limits::MAX_DESCRIPTION_BYTES;
use crate::scim::Profile;
use crate::scim::resource::date_time;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and print it, this once
    Add {
        /// The tenant
        tenant: TenantName,
        /// What the key is for
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// The automation user in whose name the key acts
        #[arg(long, value_name = "USER")]
        automation: Option<String>,
        /// What the key may do: read, write, admin; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", default_values = ["read", "write"])]
        scopes: Vec<Scope>,
        /// When it stops working: 2027-01-31, 2027-01-31T12:00:00Z, or a time from now such as 90d
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// List the keys of a tenant, never their secrets
    List {
        /// The tenant
        tenant: TenantName,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Revoke a key; the next request with it is refused
    Revoke {
        /// The tenant
        tenant: TenantName,
        /// The key's id: the third part of the key, and the first column of the list
        key: String,
        #[command(flatten)]
        store: StoreOptions,
    },
}

/// What a new key is to be.
pub(super) struct Request {
    pub(super) tenant: TenantName,
    pub(super) description: String,
    pub(super) automation: Option<String>,
    pub(super) scopes: Vec<Scope>,
    pub(super) expires: Option<Timestamp>,
}

/// Makes a key and returns it whole; only its hash is stored, with a copy of what its tenant is like.
pub(super) async fn make(store: &Store, request: Request, now: Timestamp) -> Result<String, String> {
    if request.description.trim().is_empty() || request.description.len() > MAX_DESCRIPTION_BYTES {
        return Err(format!("a description has 1 to {MAX_DESCRIPTION_BYTES} bytes"));
    }
    let tenant = tenants::need(store, &request.tenant).await?;
    let profile = tenants::profile_of(store, &tenant).await?;
    check_form(&profile, CredentialForm::Bearer)?;
    let mut scopes = request.scopes;
    scopes.sort();
    scopes.dedup();
    let key = ApiKey::mint(&request.tenant).map_err(|e| e.to_string())?;
    let record = KeyRecord {
        tenant: request.tenant,
        id: key.id().clone(),
        hash: key.hash(),
        scopes,
        description: request.description,
        automation: request.automation,
        created: now,
        expires: request.expires,
        revoked: None,
        shape: tenant.shape,
    };
    store.add_key(&record).await.map_err(|e| e.to_string())?;
    Ok(key.reveal())
}

/// Refuses a credential of a form that the tenant's profile does not allow.
fn check_form(profile: &Profile, form: CredentialForm) -> Result<(), String> {
    if profile.allows(form) {
        return Ok(());
    }
    let allowed = profile.credentials.iter().map(|form| form.as_str()).collect::<Vec<_>>().join(", ");
    Err(format!(
        "the profile {} of this tenant does not allow credentials of the form {form}; it allows {allowed}",
        profile.name
    ))
}

pub(super) async fn key(command: KeyCommand) -> Result<(), String> {
    let now = Clock::System.now();
    match command {
        KeyCommand::Add { tenant, description, automation, scopes, expires, store } => {
            let expires = expires.map(|text| point_in_time(&text, now)).transpose()?;
            let store = store.open().await?;
            let request = Request { tenant, description, automation, scopes, expires };
            println!("{}", make(&store, request, now).await?);
            eprintln!("The secret token above is not shown again.");
            Ok(())
        }
        KeyCommand::List { tenant, store } => {
            let store = store.open().await?;
            tenants::need(&store, &tenant).await?;
            for key in store.keys(&tenant).await.map_err(|e| e.to_string())? {
                println!("{}", line(&key, now));
            }
            Ok(())
        }
        KeyCommand::Revoke { tenant, key, store } => {
            let id =
                KeyId::parse(&key).ok_or_else(|| format!("{key} is not a key's id; see rollcall key list {tenant}"))?;
            if !store.open().await?.revoke_key(&tenant, &id, now).await.map_err(|e| e.to_string())? {
                return Err(format!("the tenant {tenant} has no key {id}"));
            }
            eprintln!("Revoked {id}.");
            Ok(())
        }
    }
}

fn line(key: &KeyRecord, now: Timestamp) -> String {
    let state = match (key.revoked, key.expires) {
        (Some(_), _) => "revoked",
        (None, Some(_)) if !key.is_live(now) => "expired",
        _ => "live",
    };
    let scopes = key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",");
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), date_time);
    let automation = key.automation.as_deref().unwrap_or("-");
    format!(
        "{}\t{state}\t{scopes}\tcreated {}\texpires {}\tautomation {automation}\t{}",
        key.id,
        date_time(key.created),
        time(key.expires),
        key.description
    )
}

/// Reads `--expires`.
fn point_in_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at = || {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(at);
        }
        if let Ok(day) = text.parse::<civil::Date>() {
            return Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
        }
        let span: Span = text.parse().ok()?;
        Some(now.to_zoned(TimeZone::UTC).checked_add(span).ok()?.timestamp())
    };
    match at() {
        Some(at) if at > now => Ok(at),
        Some(_) => Err(format!("--expires {text} is in the past")),
        None => Err(format!("--expires {text} is not a time; write 2027-01-31, 2027-01-31T12:00:00Z or 90d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_day_an_instant_or_a_time_from_now() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |text| point_in_time(text, now).map(|at| at.to_string());
        assert_eq!(at("2026-02-01").unwrap(), "2026-02-01T00:00:00Z");
        assert_eq!(at("2026-02-01T12:00:00+01:00").unwrap(), "2026-02-01T11:00:00Z");
        assert_eq!(at("90d").unwrap(), "2026-04-01T00:00:00Z");
        assert!(at("2025-01-01").unwrap_err().contains("past"));
        assert!(at("soon").unwrap_err().contains("not a time"));
    }
}
