//! Which identity providers a key may trust, and where their signing keys may be fetched from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::AdminError;
use crate::auth::{FederatedIssuer, TrustedSubject, jwt};

/// Where Microsoft signs in: its public cloud, with the issuer of its earlier tokens, and the national ones
/// (learn.microsoft.com, entra/identity-platform/authentication-national-cloud).
const MICROSOFT_HOSTS: [&str; 5] = [
    "login.microsoftonline.com",
    "sts.windows.net",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
];

/// What stands for every directory of Microsoft's in the path of an issuer. The last is its directory of personal accounts,
/// which tokens name (learn.microsoft.com, entra/identity-platform/id-token-claims-reference, `tid`).
const MICROSOFT_SHARED: [&str; 4] = ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"];

/// Hosts of issuers that sign for everybody who has an account there.
const SHARED_HOSTS: [&str; 12] = [
    "accounts.google.com",
    "appleid.apple.com",
    "www.facebook.com",
    "www.linkedin.com",
    "slack.com",
    "login.salesforce.com",
    "token.actions.githubusercontent.com",
    "gitlab.com",
    "app.terraform.io",
    "agent.buildkite.com",
    "oidc.vercel.com",
    "cognito-identity.amazonaws.com",
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

/// Whether a URL is one of HTTPS, without a user name. A build that runs on somebody's own machine takes HTTP of that
/// machine too: a test's issuer.
fn is_secure(uri: &Uri, is_local: bool) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let is_port = |text: &str| text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let rest = authority.as_str().strip_prefix(authority.host());
    if !rest.is_some_and(|rest| rest.is_empty() || is_port(rest)) {
        return false;
    }
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
        let [first, second, third, _] = address.octets();
        let is_shared = first == 100 && (64..128).contains(&second);
        let is_internal = address.is_private() || address.is_link_local() || is_shared;
        // Protocol assignments and benchmarks (RFC 6890), and examples; 240.0.0.0/4 is reserved, with the broadcast address.
        let is_special =
            matches!([first, second, third], [192, 0, 0] | [198, 18 | 19, _]) || address.is_documentation();
        let is_nowhere = first == 0 || address.is_multicast() || first >= 240 || is_special;
        match address.is_loopback() {
            true => Self::Here,
            false if is_internal || is_nowhere => Self::Internal,
            false => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        // An IPv4 address in the form of one of IPv6: mapped, by NAT64 (RFC 6052), or by 6to4 (RFC 3056).
        let [a, b, c, d, e, f, high, low] = address.segments();
        let v4 = match [a, b, c, d, e, f] {
            [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some([high, low]),
            [0x2002, ..] => Some([b, c]),
            _ => None,
        };
        if let Some([high, low]) = v4 {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            return Self::of_v4(Ipv4Addr::new(a, b, c, d));
        }
        // Site-local addresses were given up (RFC 3879); NAT64 has a prefix for networks of one's own (RFC 8215).
        let is_site_local = a & 0xffc0 == 0xfec0 || [a, b, c] == [0x64, 0xff9b, 1];
        let is_internal = address.is_unique_local() || address.is_unicast_link_local() || is_site_local;
        // Teredo (RFC 4380) and examples.
        let is_special = [a, b] == [0x2001, 0] || [a, b] == [0x2001, 0xdb8];
        let is_nowhere =
            address.is_multicast() || address.is_unspecified() || [a, b, c, d, e, f] == [0; 6] || is_special;
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
    SHARED_HOSTS.contains(&&*host) || (MICROSOFT_HOSTS.contains(&&*host) && MICROSOFT_SHARED.contains(&&*first))
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
            ("https://[fec0::1]/keys", false, false),
            ("https://[2002:a00:1::]/keys", false, false),
            ("https://[64:ff9b:1::a00:1]/keys", false, false),
            ("https://[2001:0:a00:1::]/keys", false, false),
            ("https://192.0.0.192/keys", false, false),
            ("https://198.18.0.1/keys", false, false),
            ("https://192.0.2.1/keys", false, false),
            ("https://user@login.example.com/keys", false, false),
            ("https://login.example.com:x/keys", false, false),
            ("https://login.example.com:8443/keys", true, true),
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
            ("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", true),
            ("https://login.microsoftonline.us/common/v2.0", true),
            ("https://login.partner.microsoftonline.cn/organizations/v2.0", true),
            ("https://cognito-identity.amazonaws.com", true),
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
