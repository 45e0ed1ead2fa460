//! `rollcall key`. A key alone goes to standard output, words to standard error.

use clap::{Subcommand, ValueEnum};
use http::Method;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, civil};
use serde_json::{Value, json};

use super::operator::OperatorOptions;
use super::{items, text};
use crate::app::Clock;
use crate::auth::record::State;
use crate::auth::{KeyId, Scope};
use crate::scim::resource::date_time;
use crate::tenant::{OPERATOR_TENANT, TenantName};

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
        #[arg(long = "type", alias = "form", value_name = "TYPE", value_enum, default_value = "bearer")]
        form: TypeArgument,
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
        operator: OperatorOptions,
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
        operator: OperatorOptions,
    },
    /// List the keys of a tenant, never their secrets
    List {
        /// The tenant
        tenant: TenantName,
        #[command(flatten)]
        operator: OperatorOptions,
    },
    /// Revoke a key; the next request with it is refused
    Revoke {
        /// The tenant
        tenant: TenantName,
        /// The key's id: the third part of the key, and the first column of the list
        key: String,
        #[command(flatten)]
        operator: OperatorOptions,
    },
}

/// The forms of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TypeArgument {
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
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
}

pub(super) async fn key(command: KeyCommand) -> Result<(), String> {
    let now = Clock::System.now();
    match command {
        KeyCommand::Add { tenant, description, automation, form, trust, scopes, expires, not_before, operator } => {
            let form = form.to_possible_value().map(|form| form.get_name().to_owned());
            let body = json!({
                "description": description,
                "automation": automation,
                "form": form,
                "scopes": scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
                "expires": point_in_time("--expires", expires.as_deref(), now)?,
                "notBefore": point_in_time("--not-before", not_before.as_deref(), now)?,
                "issuer": trust.issuer,
                "audience": trust.audience,
                "subject": trust.subject,
                "jwksUri": trust.jwks_uri,
                "algorithm": trust.algorithm,
            });
            let operator = operator.open().await?;
            if tenant.as_str() == OPERATOR_TENANT {
                operator.need_operators().await?;
            }
            show(&operator.ask(Method::POST, &format!("/tenants/{tenant}/keys"), Some(&body)).await?);
        }
        KeyCommand::Rotate { tenant, key, overlap, expires, operator } => {
            let expires = point_in_time("--expires", expires.as_deref(), now)?;
            let body = json!({"overlapSeconds": overlap.as_secs(), "expires": expires});
            let path = format!("/tenants/{tenant}/keys/{}/rotate", key_id(&key)?);
            show(&operator.open().await?.ask(Method::POST, &path, Some(&body)).await?);
            eprintln!("The old key {key} works until {}.", date_time(now + overlap));
        }
        KeyCommand::List { tenant, operator } => {
            let path = format!("/tenants/{tenant}/keys");
            let answer = operator.open().await?.ask(Method::GET, &path, None).await?;
            for key in items(&answer, "keys") {
                println!("{}", line(key));
            }
        }
        KeyCommand::Revoke { tenant, key, operator } => {
            let path = format!("/tenants/{tenant}/keys/{}", key_id(&key)?);
            operator.open().await?.ask(Method::DELETE, &path, None).await?;
            eprintln!("Revoked {key}.");
        }
    }
    Ok(())
}

/// The id of a key. A whole key that was pasted goes into no address.
fn key_id(text: &str) -> Result<KeyId, String> {
    KeyId::parse(text)
        .ok_or_else(|| "that is not a key's id: the third part of a key, and the first column of the list".to_owned())
}

/// The secret alone goes to standard output.
fn show(key: &Value) {
    let (tenant, id, automation) = (text(key, "tenant"), text(key, "id"), text(key, "automation"));
    match key.get("secret").and_then(Value::as_str) {
        Some(secret) => {
            println!("{secret}");
            eprintln!("The secret token above is not shown again.");
        }
        None => eprintln!("Made {id}. It has no secret: its holder shows JWTs of its identity provider."),
    }
    match text(key, "form") {
        "client" => eprintln!("Client id: {id}. Token endpoint: /{tenant}/oauth/token"),
        "basic" => eprintln!("User name: {automation}"),
        _ => {}
    }
    if text(key, "state") == State::Waiting.as_str() {
        eprintln!("It works once its automation user is active: rollcall automation activate {tenant} {automation}");
    }
}

fn line(key: &Value) -> String {
    let scopes: Vec<_> = items(key, "scopes").filter_map(Value::as_str).collect();
    let of = |name: &str| text(key, name);
    let times = format!("created {}\texpires {}\tused {}", of("created"), of("expires"), of("used"));
    let (id, form, state, description) = (of("id"), of("form"), of("state"), of("description"));
    format!("{id}\t{form}\t{state}\t{}\t{times}\tautomation {}\t{description}", scopes.join(","), of("automation"))
}

/// Reads a time that an option names.
fn point_in_time(option: &str, text: Option<&str>, now: Timestamp) -> Result<Option<String>, String> {
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
        Some(at) if at > now => Ok(Some(date_time(at))),
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
        assert_eq!(at("2026-02-01").unwrap(), "2026-02-01T00:00:00.000Z");
        assert_eq!(at("2026-02-01T12:00:00+01:00").unwrap(), "2026-02-01T11:00:00.000Z");
        assert_eq!(at("90d").unwrap(), "2026-04-01T00:00:00.000Z");
        assert!(at("2025-01-01").unwrap_err().contains("past"));
        assert!(at("soon").unwrap_err().contains("not a time"));
    }
}
