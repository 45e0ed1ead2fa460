//! What is stored of a credential. Every type ends here: one record, one check, one identity in the audit trail.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::jwt::Algorithm;
use super::key::KeyId;
use super::scope::Scope;
use super::seal::SealKey;
use crate::limits::{KEY_EXPIRY_WARNING_DAYS, LAST_USED_RESOLUTION_SECONDS};
use crate::tenant::{TenantConfig, TenantName};

/// What is stored of a key: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The tenant whose data the key opens.
    pub tenant: TenantName,
    /// Which key.
    pub id: KeyId,
    /// How a caller proves to hold it.
    pub credential: Credential,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// What its owner calls it.
    pub description: String,
    /// The automation user in whose name it acts.
    pub automation: Option<String>,
    /// Whether that user was never activated: until then the key does not work.
    pub awaiting_activation: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it begins to work.
    pub not_before: Option<Timestamp>,
    /// When it stops working, as it was created.
    pub expires: Option<Timestamp>,
    /// When it stops working because another one has taken its place, if that is earlier.
    pub retires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When it was last used, within a quarter of an hour.
    pub used: Option<Timestamp>,
    /// When the token bucket of its requests is full again, in microseconds since 1970 (see
    /// [`RateLimit`](crate::tenant::RateLimit)); none before a process has counted many.
    pub refill: Option<i64>,
    /// What its tenant is like: a copy, renewed when the tenant changes.
    pub config: TenantConfig,
}

/// How a caller proves to hold a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// An opaque secret, sent as bearer token. Of it SHA-256 is kept: a slow hash would add nothing to 256 random bits.
    Bearer([u8; 32]),
    /// The same, sent as the password of HTTP Basic next to the automation user's name.
    Basic([u8; 32]),
    /// The secret of an OAuth client, good at the token endpoint alone (RFC 6749 section 2.3.1).
    Client([u8; 32]),
    /// A JWT that Rollcall issued, with a key pair of its own, whose private half nobody has any more.
    Jwt {
        /// The public half, Ed25519.
        public_key: Vec<u8>,
        /// Random bytes that what is sealed for the key is sealed with.
        seal: [u8; 32],
    },
    /// JWTs of an identity provider.
    Federation {
        /// Which ones.
        trust: FederatedIssuer,
        /// Random bytes that what is sealed for the key is sealed with.
        seal: [u8; 32],
    },
}

/// Which JWTs of an identity provider are taken: what is not named here is never taken from the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedIssuer {
    /// `iss`, to the letter.
    pub issuer: String,
    /// `aud`; its first, where a JWT names several.
    pub audience: String,
    /// Whose.
    pub subject: TrustedSubject,
    /// Where the issuer publishes its keys (RFC 7517).
    pub jwks_uri: String,
    /// What it signs with.
    pub algorithm: Algorithm,
}

/// About whom a JWT may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedSubject {
    /// About the one whose `sub` this is.
    Only(String),
    /// About anybody for whom the issuer signs JWTs with that audience: people who sign in may be among them.
    Any,
}

impl TrustedSubject {
    /// Whether a JWT with that `sub` is accepted.
    pub(super) fn accepts(&self, subject: Option<&str>) -> bool {
        match self {
            Self::Only(only) => subject == Some(only),
            Self::Any => true,
        }
    }

    /// The `sub`, if it is only one.
    pub fn only(&self) -> Option<&str> {
        if let Self::Only(only) = self { Some(only) } else { None }
    }
}

impl FederatedIssuer {
    /// The id of its record: whoever presents a JWT names issuer and audience, and so the record is found at once.
    pub fn key_id(issuer: &str, audience: &str) -> KeyId {
        let digest = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(audience).finalize();
        KeyId::of_digest(&digest)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

impl Credential {
    /// The name of the form in a record and in listings.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "bearer",
            Self::Basic(_) => "basic",
            Self::Client(_) => "client",
            Self::Jwt { .. } => "jwt",
            Self::Federation { .. } => "federation",
        }
    }

    /// What is sealed for its holder alone, and dies with the record. That of a client is that of its access tokens: what
    /// was sealed for one of them opens with the next.
    pub(super) fn seal(&self) -> SealKey {
        SealKey::of(self.seal_bytes())
    }

    /// Bytes that no other record has.
    pub(super) fn seal_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Bearer(secret) | Self::Basic(secret) | Self::Client(secret) => secret,
            Self::Jwt { seal, .. } | Self::Federation { seal, .. } => seal,
        }
    }

    /// Whether the token endpoint issues access tokens for it.
    pub(super) fn has_tokens(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Federation { .. })
    }
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It works.
    Live,
    /// It works, and stops within [`KEY_EXPIRY_WARNING_DAYS`].
    Expiring,
    /// Its automation user was never activated.
    Waiting,
    /// It does not work yet.
    Pending,
    /// It does not work any more.
    Expired,
    /// It was revoked.
    Revoked,
}

impl State {
    /// The name in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expiring => "expiring",
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyRecord {
    /// Where the key is in its life at that time.
    pub fn state(&self, now: Timestamp) -> State {
        let warns = SignedDuration::from_hours(24 * KEY_EXPIRY_WARNING_DAYS);
        match self {
            Self { revoked: Some(_), .. } => State::Revoked,
            _ if self.ends().is_some_and(|ends| ends <= now) => State::Expired,
            Self { not_before: Some(begins), .. } if *begins > now => State::Pending,
            Self { awaiting_activation: true, .. } => State::Waiting,
            _ if self.ends().is_some_and(|ends| ends.duration_since(now) < warns) => State::Expiring,
            _ => State::Live,
        }
    }

    /// When it stops working.
    pub fn ends(&self) -> Option<Timestamp> {
        [self.expires, self.retires].into_iter().flatten().min()
    }

    /// Whether its use now is to be written down: not each one is.
    pub fn last_used_is_stale(&self, now: Timestamp) -> bool {
        self.used.is_none_or(|used| now.duration_since(used) >= SignedDuration::from_secs(LAST_USED_RESOLUTION_SECONDS))
    }
}
