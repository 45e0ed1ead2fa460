//! The permanent ids of users and groups: UUIDs.

use std::fmt;

use sha2::{Digest, Sha256};

/// An id that is a UUID in its canonical form.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub(in crate::store) String);

        impl $name {
            /// Reads an id from a URL; `None` for what cannot be one, so that it need not be looked up.
            pub fn parse(text: &str) -> Option<Self> {
                Some(Self(uuid::Uuid::try_parse(text).ok()?.to_string()))
            }

            /// The id in its canonical form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

uuid_id! {
    /// The permanent id of a user. Its first byte is a bucket: a hash of the name at creation, by which users can be
    /// counted and, should a tenant outgrow a partition, spread.
    UserId
}

uuid_id! {
    /// The permanent id of a group, random.
    GroupId
}

impl UserId {
    /// A new id for a user of that folded name.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(folded_user_name: &str) -> Result<Self, getrandom::Error> {
        let mut bytes = random_bytes()?;
        let digest: [u8; 32] = Sha256::digest(folded_user_name.as_bytes()).into();
        let ([bucket, ..], [first, ..]) = (digest, &mut bytes);
        *first = bucket;
        Ok(Self(text(bytes)))
    }
}

impl GroupId {
    /// A new id.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new() -> Result<Self, getrandom::Error> {
        random_bytes().map(|bytes| Self(text(bytes)))
    }
}

fn random_bytes() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// 32 characters that no other request or worker has: what a batch and the holder of a lease are named by.
pub(in crate::store) fn random_token() -> String {
    format!("{:032x}", u128::from(getrandom::u64().unwrap_or(0)) << 64 | u128::from(getrandom::u64().unwrap_or(0)))
}
