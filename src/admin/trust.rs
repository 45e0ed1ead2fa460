//! Which identity providers a key may trust, and where their signing keys may be fetched from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::AdminError;
use crate::auth::{FederatedIssuer, TrustedSubject, jwt};

/// Issuers that sign for everybody who has an account there: host, and the first part of the path where others follow the
/// same host. The last one of Microsoft's is its directory of personal accounts.
const SHARED_ISSUERS: [(&str, Option<&str>); 19] = [
    ("login.microsoftonline.com", Some("common")),
    ("login.microsoftonline.com", Some("organizations")),
    ("login.microsoftonline.com", Some("consumers")),
    ("login.microsoftonline.com", Some("9188040d-6c67-4b5b-b112-36a304b66dad")),
    ("sts.windows.net", Some("common")),
    ("sts.windows.net", Some("organizations")),
    ("sts.windows.net", Some("consumers")),
    ("sts.windows.net", Some("9188040d-6c67-4b5b-b112-36a304b66dad")),
    ("accounts.google.com", None),
    ("appleid.apple.com", None),
    ("www.facebook.com", None),
    ("www.linkedin.com", None),
    ("slack.com", None),
    ("login.salesforce.com", None),
    ("token.actions.githubusercontent.com", None),
    ("gitlab.com", None),
    ("app.terraform.io", None),
    ("agent.buildkite.com", None),
    ("oidc.vercel.com", None),
];

/// Refuses what no key may trust.
pub(super) fn check_trust(trust: &FederatedIssuer) -> Result<(), AdminError> {
    let refuse = |why: String| Err(AdminError::Invalid(why));
    let is_local = cfg!(feature = "local");
    if !trust.issuer.parse().is_ok_and(|uri| is_secure(&uri, is_local)) {
        return refuse("issuer does not start with https://; send an HTTPS URL".to_owned());
    }
    if !trust.jwks_uri.parse().is_ok_and(|uri| is_fetched_safely(&uri, is_local)) {
        return refuse("jwksUri is not a public https:// address; send an HTTPS URL with a public host".to_owned());
    }
    if trust.issuer == jwt::OWN_ISSUER {
        return refuse("issuer is Rollcall itself; send the identity provider's issuer".to_owned());
    }
    if trust.audience.is_empty() {
        return refuse("audience is empty; send the aud of the JWTs to accept".to_owned());
    }
    if trust.subject.only() == Some("") {
        return refuse("subject is empty; send the sub of the JWTs to accept".to_owned());
    }
    if trust.subject == TrustedSubject::Any && is_shared(&trust.issuer) {
        return refuse(format!(
            "subject is missing, and {} signs JWTs for everybody who has an account there; name the sub to accept",
            trust.issuer
        ));
    }
    Ok(())
}

/// Whether a URL is one of HTTPS. A build that runs on somebody's own machine takes HTTP of that machine too: a test's
/// issuer.
fn is_secure(uri: &Uri, is_local: bool) -> bool {
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_local && matches!(host, "127.0.0.1" | "localhost"),
        _ => false,
    }
}

/// Whether a URL is secure and leads beyond this network, as far as it says, or locally to this machine.
fn is_fetched_safely(uri: &Uri, is_local: bool) -> bool {
    let place = uri.host().map_or(Place::Internal, Place::of);
    is_secure(uri, is_local) && (place == Place::Public || (is_local && place == Place::Here))
}

/// Where the host of a URL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On this machine.
    Here,
    /// An address of a private network, or of none.
    Internal,
    /// Anywhere: a name, which is not looked up, or a public address.
    Public,
}

impl Place {
    fn of(host: &str) -> Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(IpAddr::V4(address)) => Self::of_v4(address),
            Ok(IpAddr::V6(address)) => Self::of_v6(address),
            Err(_) if host == "localhost" || host.ends_with(".localhost") => Self::Here,
            // `127.1`, `0x7f000001` and `2130706433` are addresses to some who look them up.
            Err(_) if is_number(&host) || host.is_empty() => Self::Internal,
            Err(_) => Self::Public,
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        let is_shared = first == 100 && (64..128).contains(&second);
        let is_internal = address.is_private() || address.is_link_local() || is_shared;
        // 240.0.0.0/4 is reserved, with the broadcast address in it.
        let is_nowhere = first == 0 || address.is_multicast() || first >= 240;
        match address.is_loopback() {
            true => Self::Here,
            false if is_internal || is_nowhere => Self::Internal,
            false => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        // An IPv4 address in the form of one of IPv6: mapped, or by NAT64 (RFC 6052).
        let [a, b, c, d, e, f, high, low] = address.segments();
        if matches!([a, b, c, d, e, f], [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]) {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            return Self::of_v4(Ipv4Addr::new(a, b, c, d));
        }
        let is_internal = address.is_unique_local() || address.is_unicast_link_local();
        let is_nowhere = address.is_multicast() || address.is_unspecified() || [a, b, c, d, e, f] == [0; 6];
        match address.is_loopback() {
            true => Self::Here,
            false if is_internal || is_nowhere => Self::Internal,
            false => Self::Public,
        }
    }
}

/// Whether the last part of a host is a number, as that of no name is.
fn is_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    is_hexadecimal || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
}

fn is_shared(issuer: &str) -> bool {
    let Ok(uri) = issuer.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let first = uri.path().split('/').find(|part| !part.is_empty()).unwrap_or_default().to_ascii_lowercase();
    let is_it = |(shared, path): &(&str, Option<&str>)| host == *shared && path.is_none_or(|path| path == first);
    SHARED_ISSUERS.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_from_public_hosts_and_locally_from_this_machine() {
        for (uri, deployed, local) in [
            ("https://login.example.com/keys", true, true),
            ("https://8.8.8.8/keys", true, true),
            ("https://[2606:4700::1111]/keys", true, true),
            ("http://login.example.com/keys", false, false),
            ("http://127.0.0.1:9001/2018-06-01/runtime/invocation/next", false, true),
            ("http://localhost:3000/keys", false, true),
            ("https://127.0.0.1/keys", false, true),
            ("https://localhost./keys", false, true),
            ("https://a.LOCALHOST/keys", false, true),
            ("https://[::1]/keys", false, true),
            ("https://[::ffff:127.0.0.1]/keys", false, true),
            ("https://[::ffff:10.0.0.1]/keys", false, false),
            ("https://[64:ff9b::a9fe:a9fe]/keys", false, false),
            ("https://10.0.0.1/keys", false, false),
            ("https://172.16.0.1/keys", false, false),
            ("https://172.32.0.1/keys", true, true),
            ("https://192.168.1.1/keys", false, false),
            ("https://169.254.169.254/latest/meta-data", false, false),
            ("https://100.64.0.1/keys", false, false),
            ("https://0.0.0.0/keys", false, false),
            ("https://224.0.0.1/keys", false, false),
            ("https://255.255.255.255/keys", false, false),
            ("https://[fe80::1]/keys", false, false),
            ("https://[fd00::1]/keys", false, false),
            ("https://[::]/keys", false, false),
            ("https://127.1/keys", false, false),
            ("https://2130706433/keys", false, false),
            ("https://0x7f000001/keys", false, false),
            ("https://0177.0.0.01/keys", false, false),
            ("ftp://login.example.com/keys", false, false),
            ("/keys", false, false),
        ] {
            let parsed: Uri = uri.parse().unwrap();
            assert_eq!(
                (is_fetched_safely(&parsed, false), is_fetched_safely(&parsed, true)),
                (deployed, local),
                "{uri}"
            );
        }
    }

    #[test]
    fn an_issuer_of_everybody_is_known() {
        for (issuer, expected) in [
            ("https://login.microsoftonline.com/common/v2.0", true),
            ("https://LOGIN.microsoftonline.com/Organizations/v2.0", true),
            ("https://login.microsoftonline.com/consumers/v2.0", true),
            ("https://login.microsoftonline.com/9188040d-6c67-4b5b-b112-36a304b66dad/v2.0", true),
            ("https://login.microsoftonline.com/5f1d7c3e-0000-0000-0000-000000000000/v2.0", false),
            ("https://sts.windows.net/common/", true),
            ("https://accounts.google.com", true),
            ("https://token.actions.githubusercontent.com/acme", true),
            ("https://gitlab.example.com", false),
            ("https://acme.okta.com", false),
        ] {
            assert_eq!(is_shared(issuer), expected, "{issuer}");
        }
    }
}
