//! Access tokens: `scim_<tenant>_<client>_<tokenId>_<secret><check>`. The client's id lets its record be read with the
//! token's own: whatever becomes of the client, its tokens follow at the next request.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::key::{KeyId, KeySecret};
use super::record::{Credential, KeyRecord};
use super::scope::Scope;
use crate::tenant::TenantName;

/// An access token with its secret. `Debug` prints no secret.
pub struct AccessToken {
    tenant: TenantName,
    client: KeyId,
    id: KeyId,
    secret: KeySecret,
}

/// What is stored of an access token. What it opens besides, the record of its client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The tenant of its client.
    pub tenant: TenantName,
    /// The client that it was issued to.
    pub client: KeyId,
    /// Which token.
    pub id: KeyId,
    /// SHA-256 of the client's seal and the secret.
    pub hash: [u8; 32],
    /// What it may do, as far as its client may.
    pub scopes: Vec<Scope>,
    /// When it was issued.
    pub created: Timestamp,
    /// When it stops working.
    pub expires: Timestamp,
}

impl AccessToken {
    /// Creates a new token for a client.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn mint(client: &KeyRecord) -> Result<Self, getrandom::Error> {
        let (tenant, client) = (client.tenant.clone(), client.id.clone());
        Ok(Self { tenant, client, id: KeyId::mint()?, secret: KeySecret::mint()? })
    }

    /// Reads a token; `None` for anything that was not printed by [`reveal`](Self::reveal).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("scim_")?.split('_');
        let (tenant, client, id) = (parts.next()?, parts.next()?, parts.next()?);
        let secret = KeySecret::parse(text, parts.next()?)?;
        let (client, id) = (KeyId::parse(client)?, KeyId::parse(id)?);
        let token = Self { tenant: tenant.parse().ok()?, client, id, secret };
        parts.next().is_none().then_some(token)
    }

    /// The whole token, to be returned once.
    pub fn reveal(&self) -> String {
        self.secret.after(&format!("scim_{}_{}_{}", self.tenant, self.client, self.id))
    }

    /// The tenant that the token names.
    pub fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// The client that the token names.
    pub fn client(&self) -> &KeyId {
        &self.client
    }

    /// The token's id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is stored of the secret. With the seal of its client in it, a token is not taken for one of another client that
    /// has the same id: a trust in an identity provider has it again when it is created again.
    pub fn hash(&self, client: &Credential) -> [u8; 32] {
        Sha256::new().chain_update(client.seal_bytes()).chain_update(&self.secret.0).finalize().into()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("AccessToken");
        output.field("tenant", &self.tenant).field("client", &self.client).field("id", &self.id);
        output.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::ApiKey;
    use super::*;

    #[test]
    fn a_token_is_read_back_and_is_no_key() {
        let tenant: TenantName = "acme-2".parse().unwrap();
        let (client, id) = (KeyId::mint().unwrap(), KeyId::mint().unwrap());
        let token = AccessToken { tenant: tenant.clone(), client, id, secret: KeySecret::mint().unwrap() };
        let text = token.reveal();
        let read = AccessToken::parse(&text).unwrap();
        assert_eq!((read.tenant(), read.client(), read.id()), (&tenant, token.client(), token.id()));
        let (first, second) = (Credential::Client([1; 32]), Credential::Client([2; 32]));
        assert_eq!(read.hash(&first), token.hash(&first));
        assert_ne!(read.hash(&first), token.hash(&second), "of another client");
        assert!(ApiKey::parse(&text).is_none());
        assert!(AccessToken::parse(&ApiKey::mint(&tenant).unwrap().reveal()).is_none());
        for i in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[i] = if changed[i] == b'x' { b'y' } else { b'x' };
            assert!(AccessToken::parse(std::str::from_utf8(&changed).unwrap()).is_none(), "{i}");
        }
        assert!(!format!("{token:?}").contains(&token.secret.0));
    }
}
