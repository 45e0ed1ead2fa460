//! `rollcall link`: a link that signs an administrator in to the page of a tenant. The link alone goes to standard output.

use clap::Args;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::operator::{OperatorClient, OperatorOptions};
use super::output::text;
use crate::auth::PageRole;
use crate::tenant::{OPERATOR_TENANT, TenantName};

/// Where `rollcall serve` listens, if nobody says.
const LOCAL_HOST: &str = "http://127.0.0.1:3000";

/// Printed below the help.
pub(super) const LINK_EXAMPLES: &str = "\
Examples:
  rollcall link acme --for jane@acme.example                    connect an identity provider
  rollcall link acme --role view --ttl 7d                       read the log, with a week to open the link
  rollcall link acme --operator --aws --table-prefix rollcall --host https://scim.example.com";

#[derive(Debug, Args)]
pub(super) struct LinkOptions {
    /// The tenant
    tenant: TenantName,
    /// What the session may do: view reads, setup also creates keys, operate also changes settings; operate with --operator
    #[arg(long, value_name = "ROLE")]
    role: Option<PageRole>,
    /// Let the session list every tenant and create links to each
    #[arg(long)]
    operator: bool,
    /// The person who gets the link; the log and the page name this person
    #[arg(long = "for", value_name = "PERSON")]
    person: Option<String>,
    /// How long the link works, up to 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    ttl: SignedDuration,
    /// Revoke the link with this id instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["role", "operator", "person"])]
    revoke: Option<String>,
    /// The scheme and host of the endpoint, if the command opens the tables itself
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    #[command(flatten)]
    options: OperatorOptions,
}

pub(super) async fn run(link: LinkOptions) -> Result<(), String> {
    let LinkOptions { tenant, role, operator, person, ttl, revoke, host, options } = link;
    if host.is_none() && revoke.is_none() && options.opens_remote_tables() {
        return Err("--host is missing; pass the output BaseUrl of your stack, such as https://scim.example.com".into());
    }
    let client = options.open().await?;
    if let Some(id) = revoke {
        client.ask(Method::DELETE, &format!("/tenants/{tenant}/links/{}", super::segment(&id)), None).await?;
        errln!("Revoked {id}.");
        return Ok(());
    }
    if tenant.as_str() == OPERATOR_TENANT {
        client.need_operators().await?;
    }
    let mut body = Map::from_iter([("ttlSeconds".to_owned(), json!(ttl.as_secs()))]);
    body.extend(role.map(|role| ("role".to_owned(), json!(role.as_str()))));
    body.extend(operator.then(|| ("operator".to_owned(), json!(true))));
    body.extend(person.map(|person| ("actor".to_owned(), json!(person))));
    let path = format!("/tenants/{tenant}/links");
    let answer = client.ask(Method::POST, &path, Some(&Value::Object(body))).await?;
    // Whoever opens the tables itself has come by no host.
    let local = matches!(client, OperatorClient::Direct(_)).then(|| LOCAL_HOST.to_owned());
    let url = text(&answer, "url");
    match (host.or(local), url.split_once('#')) {
        (Some(host), Some((_, secret))) => outln!("{}/{tenant}/manage#{secret}", host.trim_end_matches('/')),
        _ => outln!("{url}"),
    }
    let (id, expires) = (text(&answer, "id"), text(&answer, "expires"));
    errln!("It works once, until {expires}. Revoke it: rollcall link {tenant} --revoke {id}");
    Ok(())
}

/// A time such as `5m` or `7d`; a day has 24 hours.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok()).filter(|days| *days < 1_000);
    match days {
        Some(days) => Ok(SignedDuration::from_hours(24 * days)),
        None => text.parse().map_err(|_| format!("{text} is not a time; write one such as 5m, 24h or 7d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_24_hours() {
        assert_eq!(duration("7d"), Ok(SignedDuration::from_hours(168)));
        assert_eq!(duration("5m"), Ok(SignedDuration::from_mins(5)));
        assert!(duration("soon").is_err());
    }
}
