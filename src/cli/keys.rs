//! `rollcall key`. A key alone goes to standard output, words to standard error.

use clap::{Subcommand, ValueEnum};
use http::Method;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, civil};
use serde_json::{Value, json};

use super::change::{ChangeClient, ChangeOptions};
use super::operator::OperatorOptions;
use super::output::{OutputOptions, text};
use crate::app::Clock;
use crate::auth::record::State;
use crate::auth::{KeyId, Scope};
use crate::scim::resource::date_time;
use crate::tenant::TenantName;

/// The columns of the list.
const COLUMNS: [&str; 9] = ["id", "type", "state", "scopes", "created", "expires", "used", "automation", "description"];

/// Printed below the help of `key create`.
const CREATE_EXAMPLES: &str = "\
Examples:
  rollcall key create acme --description 'Entra ID' --expires 365d
  rollcall key create acme --description Okta --type client --scope read --scope write";

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Create a key and print its secret, which is not stored
    #[command(alias = "add", after_help = CREATE_EXAMPLES)]
    Create {
        /// The tenant
        tenant: TenantName,
        /// What the key is for
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// The automation user in whose name the key acts; the key works once that user is active
        #[arg(long, value_name = "USER")]
        automation: Option<String>,
        /// The type of credential: bearer token, JWT, password for HTTP Basic, secret of an OAuth client, or JWTs of
        /// the client's identity provider
        #[arg(long = "type", alias = "form", value_name = "TYPE", value_enum, default_value = "bearer")]
        credential_type: TypeArgument,
        #[command(flatten)]
        trust: TrustOptions,
        /// A scope of the key: read, write, admin or events; repeat it for several
        #[arg(long = "scope", value_name = "SCOPE", default_values = ["read", "write"])]
        scopes: Vec<Scope>,
        /// When the key stops working: 2027-01-31, 2027-01-31T12:00:00Z, a time from now such as 90d, or never; a year
        /// from now without it
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// When the key starts to work, in the same forms, except never
        #[arg(long, value_name = "TIME")]
        not_before: Option<String>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Create a key like another and print its secret; the old key keeps working for the overlap
    Rotate {
        /// The tenant
        tenant: TenantName,
        /// The old key's id
        key: String,
        /// How long the old key keeps working
        #[arg(long, value_name = "TIME", default_value = "24h")]
        overlap: SignedDuration,
        /// When the new key stops working; without it, the key works as long as the old one was created for
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// List the keys of a tenant, never their secrets
    List {
        /// The tenant
        tenant: TenantName,
        #[command(flatten)]
        output: OutputOptions,
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
        change: ChangeOptions,
    },
}

/// The types of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TypeArgument {
    Bearer,
    Jwt,
    Basic,
    Client,
    Federation,
}

/// Which JWTs of an identity provider Rollcall accepts, for the type federation.
#[derive(Debug, clap::Args)]
pub(super) struct TrustOptions {
    /// The `iss` of accepted JWTs, to the letter
    #[arg(long, value_name = "URL", required_if_eq("credential_type", "federation"))]
    issuer: Option<String>,
    /// The `aud` of accepted JWTs
    #[arg(long, value_name = "TEXT", required_if_eq("credential_type", "federation"))]
    audience: Option<String>,
    /// The `sub` of accepted JWTs: the one workload that you trust
    #[arg(long, value_name = "TEXT", conflicts_with = "any_subject")]
    subject: Option<String>,
    /// Accept the JWTs of every subject that the issuer signs for that audience
    #[arg(long)]
    any_subject: bool,
    /// The URL of the issuer's signing keys
    #[arg(long, value_name = "URL", required_if_eq("credential_type", "federation"))]
    jwks_uri: Option<String>,
    /// The algorithm that it signs with: RS256, PS256, ES256 or EdDSA
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
}

pub(super) async fn key(command: KeyCommand) -> Result<(), String> {
    let now = Clock::System.now();
    match command {
        KeyCommand::Create {
            tenant,
            description,
            automation,
            credential_type,
            trust,
            scopes,
            expires,
            not_before,
            change,
        } => {
            let credential_type = credential_type.to_possible_value().map(|value| value.get_name().to_owned());
            let body = json!({
                "description": description,
                "automation": automation,
                "type": credential_type,
                "scopes": scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
                "expires": expiry(expires.as_deref(), now)?,
                "notBefore": point_in_time("--not-before", not_before.as_deref(), now)?,
                "issuer": trust.issuer,
                "audience": trust.audience,
                "subject": trust.subject,
                "anySubject": trust.any_subject.then_some(true),
                "jwksUri": trust.jwks_uri,
                "algorithm": trust.algorithm,
            });
            let client = change.open().await?;
            client.need_operators(&tenant).await?;
            show(&client, &client.ask(Method::POST, &format!("/tenants/{tenant}/keys"), Some(&body)).await?);
        }
        KeyCommand::Rotate { tenant, key, overlap, expires, change } => {
            let expires = expiry(expires.as_deref(), now)?;
            let body = json!({"overlapSeconds": overlap.as_secs(), "expires": expires});
            let path = format!("/tenants/{tenant}/keys/{}/rotate", key_id(&key)?);
            let client = change.open().await?;
            let answer = client.ask(Method::POST, &path, Some(&body)).await?;
            show(&client, &answer);
            let ends = answer.get("replaces").map_or("", |replaced| text(replaced, "expires"));
            match ends.parse::<Timestamp>().is_ok_and(|ends| ends <= now) {
                true => client.report(&format!("The old key {key} has stopped working.")),
                false => client.report(&format!("The old key {key} works until {ends}.")),
            }
        }
        KeyCommand::List { tenant, output, operator } => {
            let path = format!("/tenants/{tenant}/keys");
            let answer = operator.open().await?.ask(Method::GET, &path, None).await?;
            output.list(&answer, "keys", &COLUMNS);
        }
        KeyCommand::Revoke { tenant, key, change } => {
            let path = format!("/tenants/{tenant}/keys/{}", key_id(&key)?);
            let client = change.open().await?;
            client.ask(Method::DELETE, &path, None).await?;
            client.report(&format!("Revoked {key}."));
        }
    }
    Ok(())
}

/// The id of a key. A whole key that was pasted goes into no address.
fn key_id(text: &str) -> Result<KeyId, String> {
    KeyId::parse(text).ok_or_else(|| "KEY is not a key's id; copy one from rollcall key list".to_owned())
}

/// The secret alone goes to standard output.
fn show(client: &ChangeClient, key: &Value) {
    let (tenant, id, automation) = (text(key, "tenant"), text(key, "id"), text(key, "automation"));
    if client.is_dry() {
        return client.report(&format!("Created a key of the type {} for {tenant}.", text(key, "type")));
    }
    match key.get("secret").and_then(Value::as_str) {
        Some(secret) => {
            outln!("{secret}");
            errln!("Copy the secret now: Rollcall does not store it.");
        }
        None => errln!("Created {id}. It has no secret: the client sends JWTs of its identity provider."),
    }
    match text(key, "type") {
        "client" => errln!("Client id: {id}. Token endpoint: /{tenant}/oauth/token"),
        "basic" => errln!("User name: {automation}"),
        _ => {}
    }
    if text(key, "state") == State::Waiting.as_str() {
        errln!("It works once its automation user is active: rollcall automation activate {tenant} {automation}");
    }
}

/// Reads when a key stops working.
fn expiry(text: Option<&str>, now: Timestamp) -> Result<Option<String>, String> {
    match text {
        Some(never @ "never") => Ok(Some(never.to_owned())),
        text => point_in_time("--expires", text, now),
    }
}

/// Reads a time that an option names.
fn point_in_time(option: &str, text: Option<&str>, now: Timestamp) -> Result<Option<String>, String> {
    let Some(text) = text else { return Ok(None) };
    let at = || {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(at);
        }
        if let Ok(day) = text.parse::<civil::Date>() {
            return Some(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
        }
        let span: Span = text.parse().ok()?;
        Some(now.to_zoned_datetime(TimeZone::UTC).checked_add(span).ok()?.timestamp())
    };
    match at() {
        Some(at) if at > now => Ok(Some(date_time(at))),
        Some(_) => Err(format!("{option} {text} is in the past; write a later time")),
        None => Err(format!("{option} {text} is not a time; write 2027-01-31, 2027-01-31T12:00:00Z or 90d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_day_an_instant_or_a_time_from_now() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |text| expiry(Some(text), now).map(|at| at.unwrap());
        assert_eq!(at("never").unwrap(), "never");
        assert!(point_in_time("--not-before", Some("never"), now).is_err());
        assert_eq!(at("2026-02-01").unwrap(), "2026-02-01T00:00:00.000Z");
        assert_eq!(at("2026-02-01T12:00:00+01:00").unwrap(), "2026-02-01T11:00:00.000Z");
        assert_eq!(at("90d").unwrap(), "2026-04-01T00:00:00.000Z");
        assert!(at("2025-01-01").unwrap_err().contains("past"));
        assert!(at("soon").unwrap_err().contains("not a time"));
    }
}
