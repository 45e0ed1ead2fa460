//! `rollcall key`. A key alone goes to standard output, words to standard error.

use clap::Subcommand;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, civil};

use super::{StoreOptions, tenants};
use crate::admin;
use crate::admin::keys::{Made, NewForm, NewKey};
use crate::app::Clock;
use crate::auth::jwt::{self, Algorithm};
use crate::auth::{Credential, KeyId, KeyRecord, Scope, TenantName, Trust};
use crate::scim::resource::date_time;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and print it, this once
    Add {
        /// The tenant
        tenant: TenantName,
        /// What the key is for
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// The automation user in whose name the key acts; the key works from when that user is active
        #[arg(long, value_name = "USER")]
        automation: Option<String>,
        /// How its holder shows it: as bearer token, as a JWT, as the password of HTTP Basic, as the secret of an OAuth
        /// client, or by JWTs of an identity provider of its own
        #[arg(long, value_name = "FORM", value_enum, default_value = "bearer")]
        form: Form,
        #[command(flatten)]
        trust: TrustOptions,
        /// What the key may do: read, write, admin; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", default_values = ["read", "write"])]
        scopes: Vec<Scope>,
        /// When it stops working: 2027-01-31, 2027-01-31T12:00:00Z, or a time from now such as 90d
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// When it begins to work, in the same forms
        #[arg(long, value_name = "TIME")]
        not_before: Option<String>,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Make a key like another and print it, this once; the old one works on for a while
    Rotate {
        /// The tenant
        tenant: TenantName,
        /// The old key's id
        key: String,
        /// How long the old key works on
        #[arg(long, value_name = "TIME", default_value = "24h")]
        overlap: SignedDuration,
        /// When the new key stops working
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

/// The forms of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    Bearer,
    Jwt,
    Basic,
    Client,
    Federation,
}

/// Which JWTs of an identity provider are taken, for the form federation.
#[derive(Debug, clap::Args)]
pub(super) struct TrustOptions {
    /// Their `iss`, to the letter
    #[arg(long, value_name = "URL", required_if_eq("form", "federation"))]
    issuer: Option<String>,
    /// One of their `aud`
    #[arg(long, value_name = "TEXT", required_if_eq("form", "federation"))]
    audience: Option<String>,
    /// Their `sub`, if only one workload is trusted
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Where the issuer publishes its keys
    #[arg(long, value_name = "URL", required_if_eq("form", "federation"))]
    jwks_uri: Option<String>,
    /// What it signs with: RS256, PS256, ES256 or EdDSA
    #[arg(long, value_name = "NAME", default_value = "RS256", value_parser = signed_with)]
    algorithm: Algorithm,
}

fn signed_with(name: &str) -> Result<Algorithm, String> {
    jwt::algorithm(name).ok_or_else(|| "it is one of RS256, PS256, ES256 and EdDSA".to_owned())
}

impl TrustOptions {
    fn form(self, form: Form) -> NewForm {
        match form {
            Form::Bearer => NewForm::Bearer,
            Form::Jwt => NewForm::Jwt,
            Form::Basic => NewForm::Basic,
            Form::Client => NewForm::Client,
            Form::Federation => NewForm::Federation(Trust {
                issuer: self.issuer.unwrap_or_default(),
                audience: self.audience.unwrap_or_default(),
                subject: self.subject,
                jwks_uri: self.jwks_uri.unwrap_or_default(),
                algorithm: self.algorithm,
            }),
        }
    }
}

pub(super) async fn key(command: KeyCommand) -> Result<(), String> {
    let now = Clock::System.now();
    match command {
        KeyCommand::Add { tenant, description, automation, form, trust, scopes, expires, not_before, store } => {
            let expires = point_in_time("--expires", expires.as_deref(), now)?;
            let not_before = point_in_time("--not-before", not_before.as_deref(), now)?;
            let store = store.open().await?;
            let form = trust.form(form);
            let new = NewKey { tenant, description, automation, scopes, not_before, expires, form };
            show(&admin::keys::add(&store, new, now).await.map_err(|e| e.to_string())?);
            Ok(())
        }
        KeyCommand::Rotate { tenant, key, overlap, expires, store } => {
            let id = key_id(&tenant, &key)?;
            let expires = point_in_time("--expires", expires.as_deref(), now)?;
            let store = store.open().await?;
            let made = admin::keys::rotate(&store, &tenant, &id, overlap, expires, now).await;
            show(&made.map_err(|e| e.to_string())?);
            eprintln!("The old key {id} works until {}.", date_time(now + overlap));
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
            let id = key_id(&tenant, &key)?;
            if !store.open().await?.revoke_key(&tenant, &id, now).await.map_err(|e| e.to_string())? {
                return Err(format!("the tenant {tenant} has no key {id}"));
            }
            eprintln!("Revoked {id}.");
            Ok(())
        }
    }
}

fn key_id(tenant: &TenantName, text: &str) -> Result<KeyId, String> {
    KeyId::parse(text).ok_or_else(|| format!("{text} is not a key's id; see rollcall key list {tenant}"))
}

/// The secret alone goes to standard output.
fn show(made: &Made) {
    let KeyRecord { tenant, id, automation, .. } = &made.record;
    match &made.secret {
        Some(secret) => {
            println!("{secret}");
            eprintln!("The secret token above is not shown again.");
        }
        None => eprintln!("Made {id}. It has no secret: its holder shows JWTs of its identity provider."),
    }
    match &made.record.credential {
        Credential::Client(_) => eprintln!("Client id: {id}. Token endpoint: /{tenant}/oauth/token"),
        Credential::Basic(_) => eprintln!("User name: {}", automation.as_deref().unwrap_or_default()),
        _ => {}
    }
    if let (true, Some(user)) = (made.record.is_waiting, automation) {
        eprintln!("It works once its automation user is active: rollcall automation activate {tenant} {user}");
    }
}

fn line(key: &KeyRecord, now: Timestamp) -> String {
    let scopes = key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",");
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), date_time);
    let automation = key.automation.as_deref().unwrap_or("-");
    format!(
        "{}\t{}\t{}\t{scopes}\tcreated {}\texpires {}\tused {}\tautomation {automation}\t{}",
        key.id,
        key.credential.form(),
        key.state(now).as_str(),
        date_time(key.created),
        time(key.expires),
        time(key.used),
        key.description
    )
}

/// Reads a time that an option names.
fn point_in_time(option: &str, text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let Some(text) = text else { return Ok(None) };
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
        Some(at) if at > now => Ok(Some(at)),
        Some(_) => Err(format!("{option} {text} is in the past")),
        None => Err(format!("{option} {text} is not a time; write 2027-01-31, 2027-01-31T12:00:00Z or 90d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_day_an_instant_or_a_time_from_now() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |text| point_in_time("--expires", Some(text), now).map(|at| at.unwrap().to_string());
        assert_eq!(at("2026-02-01").unwrap(), "2026-02-01T00:00:00Z");
        assert_eq!(at("2026-02-01T12:00:00+01:00").unwrap(), "2026-02-01T11:00:00Z");
        assert_eq!(at("90d").unwrap(), "2026-04-01T00:00:00Z");
        assert!(at("2025-01-01").unwrap_err().contains("past"));
        assert!(at("soon").unwrap_err().contains("not a time"));
    }
}
