//! API keys: `scim_<tenant>_<keyId>_<secret><check>`. The prefix is for secret scanners; the checksum refuses a
//! mistyped key without a lookup; its tenant lets the first read start with the check.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::tenant::TenantName;

/// 83 random bits: nobody finds a key item by guessing.
const ID_LENGTH: usize = 14;
/// 256 random bits.
const SECRET_LENGTH: usize = 43;
/// A CRC-32 in base 62.
const CHECK_LENGTH: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The public part of a key, by which it is listed and revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// Reads an id, as it stands in a key and in a listing.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == ID_LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| Self(text.to_owned()))
    }

    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn mint() -> Result<Self, getrandom::Error> {
        random(ID_LENGTH).map(Self)
    }

    /// An id that is derived from what it stands for, not random.
    pub(super) fn of_digest(digest: &[u8]) -> Self {
        let digit = |byte: &u8| char::from(ALPHABET.get(usize::from(*byte) % ALPHABET.len()).copied().unwrap_or(b'0'));
        Self(digest.iter().take(ID_LENGTH).map(digit).collect())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key with its secret. `Debug` prints no secret, and nothing prints it but [`reveal`](Self::reveal).
pub struct ApiKey {
    tenant: TenantName,
    id: KeyId,
    secret: KeySecret,
}

impl ApiKey {
    /// Creates a new key from the system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn mint(tenant: &TenantName) -> Result<Self, getrandom::Error> {
        Ok(Self { tenant: tenant.clone(), id: KeyId::mint()?, secret: KeySecret::mint()? })
    }

    /// Reads a key; `None` for anything that was not printed by [`reveal`](Self::reveal).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("scim_")?.split('_');
        let (tenant, id, end) = (parts.next()?, parts.next()?, parts.next()?);
        let secret = KeySecret::parse(text, end)?;
        let key = Self { tenant: tenant.parse().ok()?, id: KeyId::parse(id)?, secret };
        parts.next().is_none().then_some(key)
    }

    /// The whole key, to be returned once.
    pub fn reveal(&self) -> String {
        self.secret.after(&format!("scim_{}_{}", self.tenant, self.id))
    }

    /// The tenant that the key names.
    pub fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// The key's id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is stored of the secret.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.0.as_bytes()).into()
    }
}

/// The secret part of a key or an access token, which ends both. It has no `Debug`.
pub(super) struct KeySecret(pub(super) String);

impl KeySecret {
    /// A new one, from the system's random numbers.
    pub(super) fn mint() -> Result<Self, getrandom::Error> {
        random(SECRET_LENGTH).map(Self)
    }

    /// Reads the `end` of a `text`: the secret, and a checksum of all that is before the checksum.
    pub(super) fn parse(text: &str, end: &str) -> Option<Self> {
        let (secret, check) = end.split_at_checked(SECRET_LENGTH)?;
        let is_good = secret.bytes().all(|b| b.is_ascii_alphanumeric()) && checksum(text.strip_suffix(check)?) == check;
        is_good.then(|| Self(secret.to_owned()))
    }

    /// The whole text whose public part this is.
    pub(super) fn after(&self, public: &str) -> String {
        let body = format!("{public}_{}", self.0);
        let check = checksum(&body);
        body + &check
    }
}

fn checksum(body: &str) -> String {
    let mut sum = crc32fast::hash(body.as_bytes()) as usize;
    let digit = |_| {
        let digit = ALPHABET.get(sum % ALPHABET.len()).copied().unwrap_or(b'0');
        sum /= ALPHABET.len();
        char::from(digit)
    };
    (0..CHECK_LENGTH).map(digit).collect()
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("tenant", &self.tenant).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Random letters and digits, each as likely as any other: bytes past the last multiple of 62 are discarded.
fn random(length: usize) -> Result<String, getrandom::Error> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes)?;
        let digits = bytes.iter().filter(|&&b| b < 248).filter_map(|&b| ALPHABET.get(usize::from(b) % 62));
        text.extend(digits.take(length - text.len()).map(|&b| char::from(b)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_a_changed_one_is_not() {
        let key = ApiKey::mint(&"acme-2".parse().unwrap()).unwrap();
        let text = key.reveal();
        let read = ApiKey::parse(&text).unwrap();
        assert_eq!((read.tenant(), read.id(), read.hash()), (key.tenant(), key.id(), key.hash()));
        for i in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[i] = if changed[i] == b'x' { b'y' } else { b'x' };
            assert!(ApiKey::parse(std::str::from_utf8(&changed).unwrap()).is_none());
        }
        assert!(ApiKey::parse(&format!("{text}_a")).is_none());
    }

    #[test]
    fn no_two_keys_are_alike_and_none_shows_its_secret() {
        let tenant = "acme".parse().unwrap();
        let (a, b) = (ApiKey::mint(&tenant).unwrap(), ApiKey::mint(&tenant).unwrap());
        assert_ne!(a.hash(), b.hash());
        assert!(!format!("{a:?}").contains(&a.secret.0));
    }
}
