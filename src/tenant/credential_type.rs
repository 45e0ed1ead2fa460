//! The types of credential that a client may come with.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

/// How a client authenticates. A tenant's profile lists the types that its clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialType {
    /// A key that the client sends as a bearer token (RFC 6750).
    Bearer,
    /// A signed token with claims (RFC 7519), sent as a bearer token.
    Jwt,
    /// A name and a password (RFC 7617).
    Basic,
    /// An access token that the client gets with its own credentials (RFC 6749 section 4.4).
    Client,
    /// An access token that the client gets with a token of its own identity provider (RFC 7523 section 2.2).
    Federation,
}

impl CredentialType {
    /// Every type.
    pub const ALL: [Self; 5] = [Self::Bearer, Self::Jwt, Self::Basic, Self::Client, Self::Federation];

    /// The name in a profile.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::Basic => "basic",
            Self::Client => "client",
            Self::Federation => "federation",
        }
    }
}

impl fmt::Display for CredentialType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CredentialType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("\"{}\" is not a type of credential; use one of {names}", text.chars().take(64).collect::<String>())
        })
    }
}

/// The challenges of a 401 (RFC 9110 section 11.6.1): one for each scheme of `Authorization` that a client may come with,
/// in the order of the types.
pub fn challenges(types: &[CredentialType]) -> &'static str {
    let is_basic = |kind: &CredentialType| *kind == CredentialType::Basic;
    let (first, rest) = (types.iter().position(is_basic), types.iter().any(|kind| !is_basic(kind)));
    match (first, rest) {
        (None, _) => "Bearer realm=\"scim\"",
        (Some(_), false) => "Basic realm=\"scim\"",
        (Some(0), true) => "Basic realm=\"scim\", Bearer realm=\"scim\"",
        (Some(_), true) => "Bearer realm=\"scim\", Basic realm=\"scim\"",
    }
}

/// How clients authenticate, as ServiceProviderConfig publishes it (RFC 7643 section 5); the first is the primary one.
pub fn authentication_schemes(types: &[CredentialType]) -> Vec<Value> {
    let mut schemes: Vec<Value> = Vec::new();
    for credential_type in types {
        let (kind, name, description, rfc) = match credential_type {
            CredentialType::Bearer | CredentialType::Jwt => (
                "oauthbearertoken",
                "OAuth Bearer Token",
                "The secret token of the tenant, in the Authorization header",
                "rfc6750",
            ),
            CredentialType::Basic => {
                ("httpbasic", "HTTP Basic", "The name of the automation user, and its secret as password", "rfc7617")
            }
            CredentialType::Client | CredentialType::Federation => (
                "oauth2",
                "OAuth 2.0 Client Credentials",
                "A token for a client's secret or for a JWT of its identity provider",
                "rfc6749",
            ),
        };
        if !schemes.iter().any(|scheme| scheme.get("type").is_some_and(|known| known == kind)) {
            let spec = format!("https://www.rfc-editor.org/info/{rfc}");
            let is_first = schemes.is_empty();
            schemes.push(
                json!({"type": kind, "name": name, "description": description, "specUri": spec, "primary": is_first}),
            );
        }
    }
    schemes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_for_each_scheme_that_a_type_is_sent_by() {
        use CredentialType::{Basic, Bearer, Client, Federation, Jwt};
        let (bearer, basic) = ("Bearer realm=\"scim\"", "Basic realm=\"scim\"");
        for (types, expected) in [
            (vec![Bearer], bearer.to_owned()),
            (vec![Jwt, Client, Federation], bearer.to_owned()),
            (vec![Basic], basic.to_owned()),
            (vec![Basic, Client, Federation], format!("{basic}, {bearer}")),
            (CredentialType::ALL.to_vec(), format!("{bearer}, {basic}")),
        ] {
            assert_eq!(challenges(&types), expected);
        }
    }
}
